// All work space of a network in one allocation: sized first, allocated once, then pointed into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace penmark {

class Arena {
 public:
  // With guards on, 64 bytes of a pattern follow each region; `first_overrun` looks for damage.
  explicit Arena(bool guards = false) : guards_(guards) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Asks for `count` elements; *where points at them, zeroed and 64-byte aligned, after allocate().
  // `where` must stay at its address until then.
  template <class T>
  void reserve(T** where, std::int64_t count) {
    static_assert(sizeof(T*) == sizeof(void*), "plain pointers only");
    add(reinterpret_cast<void**>(where), static_cast<std::size_t>(count) * sizeof(T));
  }

  void allocate();  // throws std::bad_alloc
  std::size_t bytes() const { return bytes_; }
  // Number of the first region whose guard was overwritten, or -1.
  std::int64_t first_overrun() const;

 private:
  struct Region {
    void** where;
    std::size_t offset, bytes;
  };
  void add(void** where, std::size_t bytes);

  std::vector<Region> regions_;
  unsigned char* memory_ = nullptr;
  std::size_t bytes_ = 0, alignment_ = 64;
  bool guards_;
};

}  // namespace penmark
