/* SPDX-License-Identifier: MIT
 *
 * The vector vocabulary (see vec_generic.h) on AVX-512 F, BW, DQ, VL: sixteen floats, tails by mask
 * registers.
 */
#ifndef LSTM_KERNELS_VEC_AVX512_H
#define LSTM_KERNELS_VEC_AVX512_H

#include "kernels.h"

#include <immintrin.h>

enum { LANES = 16, FUSED = 1 };

typedef __m512 V;
typedef __mmask16 B;
typedef struct D {
    __m512d low, high;
} D;

static inline __mmask16 first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

static inline V vload(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vstore(float *p, V v)
{
    _mm512_storeu_ps(p, v);
}

static inline V vload_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

static inline void vstore_part(float *p, V v, size_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

static inline V vpart(V v, size_t n, V other)
{
    return _mm512_mask_mov_ps(other, first_lanes(n), v);
}

static inline V vset(float x)
{
    return _mm512_set1_ps(x);
}

static inline V vadd(V a, V b)
{
    return _mm512_add_ps(a, b);
}

static inline V vsub(V a, V b)
{
    return _mm512_sub_ps(a, b);
}

static inline V vmul(V a, V b)
{
    return _mm512_mul_ps(a, b);
}

static inline V vdiv(V a, V b)
{
    return _mm512_div_ps(a, b);
}

static inline V vfma(V a, V b, V c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline V vfnma(V a, V b, V c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline V vreciprocal(V a)
{
    const V y = _mm512_rcp14_ps(a);
    return _mm512_fmadd_ps(y, _mm512_fnmadd_ps(a, y, _mm512_set1_ps(1)), y);
}

static inline V vsqrt(V a)
{
    return _mm512_sqrt_ps(a);
}

static inline V vabs(V a)
{
    return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a);
}

static inline V vcopysign(V a, V b)
{
    /* 0xD8: bits of b where sign is set, else of a */
    const __m512i sign = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(
        _mm512_ternarylogic_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b), sign, 0xD8));
}

static inline V vmin(V a, V b)
{
    return _mm512_min_ps(a, b);
}

static inline V vmax(V a, V b)
{
    return _mm512_max_ps(a, b);
}

static inline V vpow2(V t)
{
    const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(shifted, _mm512_set1_epi32(0x3F800000)));
}

static inline V vtimes_pow2(V a, V n, V t)
{
    (void)t;
    return _mm512_scalef_ps(a, n);
}

static inline V vpow2_of(V n, V t)
{
    (void)t;
    return _mm512_scalef_ps(_mm512_set1_ps(1), n);
}

static inline B vgreater(V a, V b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}

static inline V vselect(B b, V x, V y)
{
    return _mm512_mask_mov_ps(y, b, x);
}

static inline float vsum(V a)
{
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vlargest(V a)
{
    const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline D dzero(void)
{
    return (D){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline D dsquare_add(D d, V v)
{
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
    return (D){_mm512_fmadd_pd(low, low, d.low), _mm512_fmadd_pd(high, high, d.high)};
}

static inline double dsum(D d)
{
    const __m512d eight = _mm512_add_pd(d.low, d.high);
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight),
                                       _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#endif
