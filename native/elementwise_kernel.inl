// Functions of single elements, written as plain loops that the compiler turns into vectors of the
// width that the including file is built for. Nothing here may call into the C++ library.

inline float as_float(std::uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::uint32_t as_bits(float x) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

// e^x to about 1 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor of degree 7 in r, 2^n in the exponent.
// Clamped so that 2^n stays a normal number. NaN stays NaN.
inline float exp_(float x) {
  x = x > 88.0f ? 88.0f : x;
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest integer
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * as_float((as_bits(shifted) + 127u) << 23);
}

inline float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }

// Near 0 the quotient would cancel; there the odd Taylor polynomial (to x^9) is exact enough.
inline float tanh_(float x) {
  const float e = exp_(2.0f * x);
  const float far = 1.0f - 2.0f / (e + 1.0f);
  const float s = x * x;
  const float near =
      x + x * s * (-1.0f / 3.0f + s * (2.0f / 15.0f + s * (-17.0f / 315.0f + s * (62.0f / 2835.0f))));
  return __builtin_fabsf(x) < 0.3f ? near : far;
}

inline float softplus_(float x) {
  const float positive = x > 0.0f ? x : 0.0f;
  return positive + __builtin_log1pf(exp_(-__builtin_fabsf(x)));
}

constexpr float kGeluTanhScale = 0.7978845608f;  // sqrt(2 / pi)
constexpr float kSeluAlpha = 1.6732632423f, kSeluScale = 1.0507009873f;

template <Activation kind>
inline float value(float x, float alpha) {
  switch (kind) {
    case Activation::linear: return x;
    case Activation::relu: return x < 0.0f ? 0.0f : x;
    case Activation::sigmoid: return sigmoid_(x);
    case Activation::tanh: return tanh_(x);
    case Activation::gelu: return 0.5f * x * (1.0f + __builtin_erff(x * 0.7071067812f));
    case Activation::gelu_tanh:
      return 0.5f * x * (1.0f + tanh_(kGeluTanhScale * (x + 0.044715f * x * x * x)));
    case Activation::silu: return x * sigmoid_(x);
    case Activation::elu: return x < 0.0f ? alpha * (exp_(x) - 1.0f) : x;
    case Activation::selu: return kSeluScale * (x < 0.0f ? kSeluAlpha * (exp_(x) - 1.0f) : x);
    case Activation::leaky_relu: return x < 0.0f ? alpha * x : x;
    case Activation::softplus: return softplus_(x);
    case Activation::softsign: return x / (1.0f + __builtin_fabsf(x));
    case Activation::exponential: return exp_(x);
    case Activation::hard_sigmoid: {
      const float y = x / 6.0f + 0.5f;
      return y < 0.0f ? 0.0f : (y > 1.0f ? 1.0f : y);
    }
    case Activation::relu6: return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
  }
  return x;
}

// f'(z), from z and y = f(z), whichever is cheaper.
template <Activation kind>
inline float slope(float z, float y, float alpha) {
  switch (kind) {
    case Activation::linear: return 1.0f;
    case Activation::relu: return y > 0.0f ? 1.0f : 0.0f;
    case Activation::sigmoid: return y * (1.0f - y);
    case Activation::tanh: return 1.0f - y * y;
    case Activation::gelu:
      return 0.5f * (1.0f + __builtin_erff(z * 0.7071067812f)) +
             z * 0.3989422804f * exp_(-0.5f * z * z);
    case Activation::gelu_tanh: {
      const float t = tanh_(kGeluTanhScale * (z + 0.044715f * z * z * z));
      return 0.5f * (1.0f + t) +
             0.5f * z * (1.0f - t * t) * kGeluTanhScale * (1.0f + 3.0f * 0.044715f * z * z);
    }
    case Activation::silu: {
      const float s = sigmoid_(z);
      return s + y * (1.0f - s);
    }
    case Activation::elu: return z < 0.0f ? y + alpha : 1.0f;
    case Activation::selu: return z < 0.0f ? y + kSeluScale * kSeluAlpha : kSeluScale;
    case Activation::leaky_relu: return z < 0.0f ? alpha : 1.0f;
    case Activation::softplus: return sigmoid_(z);
    case Activation::softsign: {
      const float d = 1.0f + __builtin_fabsf(z);
      return 1.0f / (d * d);
    }
    case Activation::exponential: return y;
    case Activation::hard_sigmoid: return ((z > -3.0f) & (z < 3.0f)) ? 1.0f / 6.0f : 0.0f;
    case Activation::relu6: return ((z > 0.0f) & (z < 6.0f)) ? 1.0f : 0.0f;
  }
  return 1.0f;
}

template <Activation kind>
void activate_as(float alpha, const float* x, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = value<kind>(x[i], alpha);
}

template <Activation kind>
void activate_bwd_as(float alpha, const float* z, const float* y, const float* dy, float* dx,
                     std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) dx[i] = dy[i] * slope<kind>(z[i], y[i], alpha);
}

// f'(y) dy for a vector; f is linear, relu, sigmoid or tanh.
template <Activation kind>
inline Vec derived(Vec y, Vec dy) {
  if (kind == Activation::relu) return y > Vec{} ? dy : Vec{};
  if (kind == Activation::sigmoid) return dy * (y * (1.0f - y));
  if (kind == Activation::tanh) return dy * (1.0f - y * y);
  return dy;
}

// Columns outermost, so that their sums stay in registers.
template <Activation kind>
void derive_rows_as(const float* y, const float* dy, std::int64_t y_stride, float* out,
                    std::int64_t out_stride, std::int64_t rows, std::int64_t K,
                    float* bias_gradient) {
  std::int64_t k = 0;
  for (; k + 2 * kLanes <= K; k += 2 * kLanes) {
    Vec sum0 = load(bias_gradient + k), sum1 = load(bias_gradient + k + kLanes);
    const float *from = y + k, *gradient = dy + k;
    float* to = out + k;
    for (std::int64_t r = 0; r < rows; ++r) {
      const Vec dz0 = derived<kind>(load(from), load(gradient));
      const Vec dz1 = derived<kind>(load(from + kLanes), load(gradient + kLanes));
      store(to, dz0);
      store(to + kLanes, dz1);
      sum0 += dz0;
      sum1 += dz1;
      from += y_stride;
      gradient += y_stride;
      to += out_stride;
    }
    store(bias_gradient + k, sum0);
    store(bias_gradient + k + kLanes, sum1);
  }
  for (std::int64_t r = 0; k < K && r < rows; ++r) {
    for (std::int64_t i = k; i < K; ++i) {
      const float dz = dy[r * y_stride + i] * slope<kind>(0.0f, y[r * y_stride + i], 0.0f);
      out[r * out_stride + i] = dz;
      bias_gradient[i] += dz;
    }
  }
}

// One case per activation, so that each loop is compiled for one function.
#define PENMARK_EACH_ACTIVATION(run)                                                      \
  switch (kind) {                                                                         \
    case Activation::linear: run(Activation::linear); break;                              \
    case Activation::relu: run(Activation::relu); break;                                  \
    case Activation::sigmoid: run(Activation::sigmoid); break;                            \
    case Activation::tanh: run(Activation::tanh); break;                                  \
    case Activation::gelu: run(Activation::gelu); break;                                  \
    case Activation::gelu_tanh: run(Activation::gelu_tanh); break;                        \
    case Activation::silu: run(Activation::silu); break;                                  \
    case Activation::elu: run(Activation::elu); break;                                    \
    case Activation::selu: run(Activation::selu); break;                                  \
    case Activation::leaky_relu: run(Activation::leaky_relu); break;                      \
    case Activation::softplus: run(Activation::softplus); break;                          \
    case Activation::softsign: run(Activation::softsign); break;                          \
    case Activation::exponential: run(Activation::exponential); break;                    \
    case Activation::hard_sigmoid: run(Activation::hard_sigmoid); break;                  \
    case Activation::relu6: run(Activation::relu6); break;                                \
  }

void activate(Activation kind, float alpha, const float* x, float* y, std::int64_t n) {
#define PENMARK_RUN(k) activate_as<k>(alpha, x, y, n)
  PENMARK_EACH_ACTIVATION(PENMARK_RUN)
#undef PENMARK_RUN
}

void activate_bwd(Activation kind, float alpha, const float* z, const float* y, const float* dy,
                  float* dx, std::int64_t n) {
#define PENMARK_RUN(k) activate_bwd_as<k>(alpha, z, y, dy, dx, n)
  PENMARK_EACH_ACTIVATION(PENMARK_RUN)
#undef PENMARK_RUN
}

void derive_rows(Activation kind, const float* y, const float* dy, std::int64_t y_stride,
                 float* out, std::int64_t out_stride, std::int64_t rows, std::int64_t K,
                 float* bias_gradient) {
#define PENMARK_RUN(k) derive_rows_as<k>(y, dy, y_stride, out, out_stride, rows, K, bias_gradient)
  switch (kind) {
    case Activation::relu: PENMARK_RUN(Activation::relu); break;
    case Activation::sigmoid: PENMARK_RUN(Activation::sigmoid); break;
    case Activation::tanh: PENMARK_RUN(Activation::tanh); break;
    default: PENMARK_RUN(Activation::linear); break;
  }
#undef PENMARK_RUN
}

// The formulas are Keras's (keras/src/optimizers, 3.15), which differ in details from the papers':
// where epsilon stands, and that Adam's bias corrections are folded into the rate.
template <OptimizerKind kind>
void update_as(const UpdateRule& rule, float* __restrict w, float* __restrict s0,
               float* __restrict s1, float* __restrict s2, const float* __restrict gradient,
               std::int64_t n) {
  const float rate = rule.rate, keep = 1.0f - rule.decay, scale = rule.gradient_scale;
  const float beta1 = rule.beta1, beta2 = rule.beta2, epsilon = rule.epsilon;
  const float clip = rule.clip > 0.0f ? rule.clip : 3.402823466e38f;
  const bool amsgrad = rule.amsgrad, centered = rule.centered, has_momentum = rule.has_momentum;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    float g = gradient[i] * scale;
    g = g > clip ? clip : g;
    g = g < -clip ? -clip : g;
    const float before = w[i] * keep;
    if (kind == OptimizerKind::sgd) {
      w[i] = before - rate * g;
    } else if (kind == OptimizerKind::momentum) {
      s0[i] = beta1 * s0[i] - rate * g;
      w[i] = before + s0[i];
    } else if (kind == OptimizerKind::nesterov) {
      s0[i] = beta1 * s0[i] - rate * g;
      w[i] = before + beta1 * s0[i] - rate * g;
    } else if (kind == OptimizerKind::rmsprop) {
      s0[i] = beta2 * s0[i] + (1.0f - beta2) * g * g;
      float spread = s0[i] + epsilon;
      if (centered) {
        s2[i] = beta2 * s2[i] + (1.0f - beta2) * g;
        spread -= s2[i] * s2[i];
      }
      float move = rate * g / __builtin_sqrtf(spread);
      if (has_momentum) {
        s1[i] = beta1 * s1[i] + move;
        move = s1[i];
      }
      w[i] = before - move;
    } else if (kind == OptimizerKind::adagrad) {
      s0[i] += g * g;
      w[i] = before - rate * g / __builtin_sqrtf(s0[i] + epsilon);
    } else if (kind == OptimizerKind::adadelta) {
      s0[i] = beta2 * s0[i] + (1.0f - beta2) * g * g;
      const float move = __builtin_sqrtf(s1[i] + epsilon) * g / __builtin_sqrtf(s0[i] + epsilon);
      s1[i] = beta2 * s1[i] + (1.0f - beta2) * move * move;
      w[i] = before - rate * move;
    } else {
      s0[i] += (g - s0[i]) * (1.0f - beta1);
      s1[i] += (g * g - s1[i]) * (1.0f - beta2);
      float spread = s1[i];
      if (amsgrad) {
        s2[i] = s2[i] > spread ? s2[i] : spread;
        spread = s2[i];
      }
      w[i] = before - rate * s0[i] / (__builtin_sqrtf(spread) + epsilon);
    }
  }
}

#ifdef __AVX512F__
// Adam without amsgrad. Estimates of 14 bits and a step of Newton's method give the square root and
// the quotient to a few ulp without the divider, which on some processors takes 35 cycles for both
// (16 lanes): with 64 images, about as long as the products of the same weights. (The forms with a
// mask, because GCC 12 warns of an uninitialized variable inside the others.)
template <bool kClips>
void update_adam_as(const UpdateRule& rule, float* w, float* s0, float* s1, const float* gradient,
                    std::int64_t n) {
  const float keep = 1.0f - rule.decay;
  const Vec clip = splat(rule.clip > 0.0f ? rule.clip : 3.402823466e38f), least = -clip;
  const Vec tiny = splat(1e-37f), huge = splat(3.402823466e38f);
  const float share1 = 1.0f - rule.beta1, share2 = 1.0f - rule.beta2;
  constexpr __mmask16 kAll = 0xffff;
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    __builtin_prefetch(w + i + 64, 1, 3);
    __builtin_prefetch(s0 + i + 64, 1, 3);
    __builtin_prefetch(s1 + i + 64, 1, 3);
    if (rule.next != 0) {  // to L2: it is more than L1 holds
      __builtin_prefetch(s0 + i + rule.next, 0, 2);
      __builtin_prefetch(s1 + i + rule.next, 0, 2);
    }
    Vec g = load(gradient + i);
    if (kClips) {  // of a number and a NaN, minimum and maximum are the second, which stays a NaN
      g *= rule.gradient_scale;
      g = (Vec)_mm512_maskz_min_ps(kAll, (__m512)clip, (__m512)g);
      g = (Vec)_mm512_maskz_max_ps(kAll, (__m512)least, (__m512)g);
    }
    Vec m = load(s0 + i), v = load(s1 + i);
    m += (g - m) * share1;
    v += (g * g - v) * share2;
    store(s0 + i, m);
    store(s1 + i, v);
    // 1 / sqrt(0) would be infinite.
    const Vec spread = (Vec)_mm512_maskz_max_ps(kAll, (__m512)tiny, (__m512)v);
    const Vec inverse_root = (Vec)_mm512_maskz_rsqrt14_ps(kAll, (__m512)spread);
    Vec root = spread * inverse_root;
    root += root * (0.5f - root * (0.5f * inverse_root));
    const Vec divisor = root + rule.epsilon;
    const Vec inverse = (Vec)_mm512_maskz_rcp14_ps(kAll, (__m512)divisor);
    Vec move = rule.rate * m * inverse;
    move += move * (1.0f - divisor * inverse);
    const Vec kept = load(w + i) * keep;
    // Where v is infinite the quotient is zero, and `move` is a NaN.
    const __mmask16 moves = _mm512_cmp_ps_mask((__m512)v, (__m512)huge, _CMP_NGT_UQ);
    store(w + i, (Vec)_mm512_mask_sub_ps((__m512)kept, moves, (__m512)kept, (__m512)move));
  }
  update_as<OptimizerKind::adam>(rule, w + i, s0 + i, s1 + i, nullptr, gradient + i, n - i);
}

void update_adam(const UpdateRule& rule, float* w, float* s0, float* s1, const float* gradient,
                 std::int64_t n) {
  const bool clips = rule.clip > 0.0f || rule.gradient_scale != 1.0f;
  (clips ? update_adam_as<true> : update_adam_as<false>)(rule, w, s0, s1, gradient, n);
}
#else
void update_adam(const UpdateRule& rule, float* w, float* s0, float* s1, const float* gradient,
                 std::int64_t n) {
  update_as<OptimizerKind::adam>(rule, w, s0, s1, nullptr, gradient, n);
}
#endif

void update(const UpdateRule& rule, float* w, float* s0, float* s1, float* s2, const float* g,
            std::int64_t n) {
  switch (rule.kind) {
    case OptimizerKind::sgd: update_as<OptimizerKind::sgd>(rule, w, s0, s1, s2, g, n); break;
    case OptimizerKind::momentum:
      update_as<OptimizerKind::momentum>(rule, w, s0, s1, s2, g, n);
      break;
    case OptimizerKind::nesterov:
      update_as<OptimizerKind::nesterov>(rule, w, s0, s1, s2, g, n);
      break;
    case OptimizerKind::rmsprop:
      update_as<OptimizerKind::rmsprop>(rule, w, s0, s1, s2, g, n);
      break;
    case OptimizerKind::adagrad:
      update_as<OptimizerKind::adagrad>(rule, w, s0, s1, s2, g, n);
      break;
    case OptimizerKind::adadelta:
      update_as<OptimizerKind::adadelta>(rule, w, s0, s1, s2, g, n);
      break;
    case OptimizerKind::adam:
      if (rule.amsgrad) update_as<OptimizerKind::adam>(rule, w, s0, s1, s2, g, n);
      else update_adam(rule, w, s0, s1, g, n);
      break;
  }
}
