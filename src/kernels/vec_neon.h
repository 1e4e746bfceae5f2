/* SPDX-License-Identifier: MIT
 *
 * The vector vocabulary (see vec_generic.h) on aarch64's NEON: four floats with FMA.
 */
#ifndef LSTM_KERNELS_VEC_NEON_H
#define LSTM_KERNELS_VEC_NEON_H

#include "kernels.h"

#include <arm_neon.h>

enum { LANES = 4, FUSED = 1 };

typedef float32x4_t V;
typedef uint32x4_t B;
typedef struct D {
    float64x2_t low, high;
} D;

static inline V vload(const float *p)
{
    return vld1q_f32(p);
}

static inline void vstore(float *p, V v)
{
    vst1q_f32(p, v);
}

static inline V vload_part(const float *p, size_t n)
{
    V v = vdupq_n_f32(0);
    if (n > 0)
        v = vld1q_lane_f32(p, v, 0);
    if (n > 1)
        v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2)
        v = vld1q_lane_f32(p + 2, v, 2);
    if (n > 3)
        v = vld1q_lane_f32(p + 3, v, 3);
    return v;
}

static inline void vstore_part(float *p, V v, size_t n)
{
    if (n > 0)
        vst1q_lane_f32(p, v, 0);
    if (n > 1)
        vst1q_lane_f32(p + 1, v, 1);
    if (n > 2)
        vst1q_lane_f32(p + 2, v, 2);
    if (n > 3)
        vst1q_lane_f32(p + 3, v, 3);
}

static inline V vpart(V v, size_t n, V other)
{
    static const uint32_t index[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(index), vdupq_n_u32((uint32_t)n)), v, other);
}

static inline V vset(float x)
{
    return vdupq_n_f32(x);
}

static inline V vadd(V a, V b)
{
    return vaddq_f32(a, b);
}

static inline V vsub(V a, V b)
{
    return vsubq_f32(a, b);
}

static inline V vmul(V a, V b)
{
    return vmulq_f32(a, b);
}

static inline V vdiv(V a, V b)
{
    return vdivq_f32(a, b);
}

static inline V vfma(V a, V b, V c)
{
    return vfmaq_f32(c, a, b);
}

static inline V vfnma(V a, V b, V c)
{
    return vfmsq_f32(c, a, b);
}

static inline V vreciprocal(V a)
{
    return vdivq_f32(vdupq_n_f32(1), a);
}

static inline V vsqrt(V a)
{
    return vsqrtq_f32(a);
}

static inline V vabs(V a)
{
    return vabsq_f32(a);
}

static inline V vcopysign(V a, V b)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), b, a);
}

static inline B vgreater(V a, V b)
{
    return vcgtq_f32(a, b);
}

static inline V vselect(B b, V x, V y)
{
    return vbslq_f32(b, x, y);
}

/* Not vminq and vmaxq, which make NaN of any NaN operand: the vocabulary promises the second one.
 */
static inline V vmin(V a, V b)
{
    return vselect(vgreater(b, a), a, b);
}

static inline V vmax(V a, V b)
{
    return vselect(vgreater(a, b), a, b);
}

static inline V vpow2(V t)
{
    const uint32x4_t shifted = vshlq_n_u32(vreinterpretq_u32_f32(t), 23);
    return vreinterpretq_f32_u32(vaddq_u32(shifted, vdupq_n_u32(0x3F800000u)));
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

static inline float vsum(V a)
{
    const float32x2_t two = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float vlargest(V a)
{
    return larger(larger(vgetq_lane_f32(a, 0), vgetq_lane_f32(a, 2)),
                  larger(vgetq_lane_f32(a, 1), vgetq_lane_f32(a, 3)));
}

static inline D dzero(void)
{
    return (D){vdupq_n_f64(0), vdupq_n_f64(0)};
}

static inline D dsquare_add(D d, V v)
{
    const float64x2_t low = vcvt_f64_f32(vget_low_f32(v));
    const float64x2_t high = vcvt_high_f64_f32(v);
    return (D){vfmaq_f64(d.low, low, low), vfmaq_f64(d.high, high, high)};
}

static inline double dsum(D d)
{
    const float64x2_t pair = vaddq_f64(d.low, d.high);
    return vgetq_lane_f64(pair, 0) + vgetq_lane_f64(pair, 1);
}

#endif
