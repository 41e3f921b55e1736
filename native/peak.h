// The machine's peak, to relate measured speeds to.
#pragma once

namespace penmark {

// Most float32 operations per second, in GFLOP/s, that `threads` threads together reached in a
// number of short trials; a multiply-add counts two. Takes about a tenth of a second.
double peak_gflops(int threads);

}  // namespace penmark
