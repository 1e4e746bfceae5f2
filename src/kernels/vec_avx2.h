/* SPDX-License-Identifier: MIT
 *
 * The vector vocabulary (see vec_generic.h) on AVX2 and FMA: eight floats. Tails go through
 * maskload and maskstore, which touch no memory behind the last lane.
 */
#ifndef LSTM_KERNELS_VEC_AVX2_H
#define LSTM_KERNELS_VEC_AVX2_H

#include "kernels.h"

#include <immintrin.h>

enum { LANES = 8, FUSED = 1 };

typedef __m256 V;
typedef __m256 B;
typedef struct D {
    __m256d low, high;
} D;

static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline V vload(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vstore(float *p, V v)
{
    _mm256_storeu_ps(p, v);
}

static inline V vload_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}

static inline void vstore_part(float *p, V v, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

static inline V vpart(V v, size_t n, V other)
{
    return _mm256_blendv_ps(other, v, _mm256_castsi256_ps(first_lanes(n)));
}

static inline V vset(float x)
{
    return _mm256_set1_ps(x);
}

static inline V vadd(V a, V b)
{
    return _mm256_add_ps(a, b);
}

static inline V vsub(V a, V b)
{
    return _mm256_sub_ps(a, b);
}

static inline V vmul(V a, V b)
{
    return _mm256_mul_ps(a, b);
}

static inline V vdiv(V a, V b)
{
    return _mm256_div_ps(a, b);
}

static inline V vfma(V a, V b, V c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline V vfnma(V a, V b, V c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline V vreciprocal(V a)
{
    return _mm256_div_ps(_mm256_set1_ps(1), a);
}

static inline V vsqrt(V a)
{
    return _mm256_sqrt_ps(a);
}

static inline V vabs(V a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline V vcopysign(V a, V b)
{
    const V sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, b));
}

static inline V vmin(V a, V b)
{
    return _mm256_min_ps(a, b);
}

static inline V vmax(V a, V b)
{
    return _mm256_max_ps(a, b);
}

static inline V vpow2(V t)
{
    const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_set1_epi32(0x3F800000)));
}

static inline V vtimes_pow2(V a, V n, V t)
{
    (void)n;
    return vmul(a, vpow2(t));
}

static inline V vpow2_of(V n, V t)
{
    (void)n;
    return vpow2(t);
}

static inline B vgreater(V a, V b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}

static inline V vselect(B b, V x, V y)
{
    return _mm256_blendv_ps(y, x, b);
}

static inline float vsum(V a)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vlargest(V a)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline D dzero(void)
{
    return (D){_mm256_setzero_pd(), _mm256_setzero_pd()};
}

static inline D dsquare_add(D d, V v)
{
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    return (D){_mm256_fmadd_pd(low, low, d.low), _mm256_fmadd_pd(high, high, d.high)};
}

static inline double dsum(D d)
{
    const __m256d four = _mm256_add_pd(d.low, d.high);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#endif
