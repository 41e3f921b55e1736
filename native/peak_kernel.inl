// What the machine could do at best: multiply-adds on registers alone, as many independent chains as
// the matrix kernel has accumulators. Included as brgemm_kernel.inl is.

constexpr int kChains = kRows * kColumnVecs;

// Does rounds * kChains vector multiply-adds; the result keeps them from being left out.
inline float multiply_adds(std::int64_t rounds) {
  Vec chain[kChains];
  const Vec factor = splat(0.999f), term = splat(1e-3f);
  PENMARK_UNROLL for (int i = 0; i < kChains; ++i) chain[i] = splat(static_cast<float>(i));
  for (std::int64_t round = 0; round < rounds; ++round)
    _Pragma("GCC unroll 32") for (int i = 0; i < kChains; ++i)
      chain[i] = chain[i] * factor + term;
  Vec sum{};
  for (int i = 0; i < kChains; ++i) sum += chain[i];
  return sum[0];
}
