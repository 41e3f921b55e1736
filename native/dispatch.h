// Which kernels this machine can run.
#pragma once

#include <string>
#include <vector>

#include "bf16.h"
#include "kernels.h"

namespace penmark {

// Names of the instruction sets built in and usable here, slowest first; never empty.
std::vector<std::string> usable_isas();

struct Isa {
  const char* name;
  const Kernels& kernels;
  const Bf16Kernels& bf16;
};

// The one of that name, or, for "", of PENMARK_ISA if that is set, else the fastest usable one.
// Throws std::invalid_argument for a name that is unknown, not built in, or not usable here.
Isa choose_isa(const std::string& name = "");

}  // namespace penmark
