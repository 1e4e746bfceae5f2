/* SPDX-License-Identifier: MIT
 *
 * The vector vocabulary on GCC's vector extension: four floats, on any architecture. No FMA: vfma
 * rounds twice.
 *
 * The vocabulary, which every vec_*.h provides and every template uses:
 *
 *     V, LANES                         vector of `real`, its width
 *     vload, vstore                    any alignment
 *     vload_part, vstore_part          the first n < LANES lanes only; memory behind them is not touched, lanes are 0
 *     vpart(v, n, other)               the first n lanes of v, the rest of other
 *     vset                             one number in every lane
 *     vadd vsub vmul vdiv vsqrt vabs
 *     vreciprocal(a)                   1 / a to within 2 ulp, for 1 <= a < 1e37
 *     vfma(a, b, c) = a b + c          vfnma(a, b, c) = c - a b
 *     vmin(a, b), vmax(a, b)           b where either is NaN: give the limit first and NaN comes through
 *     vcopysign(a, b)                  |a| with the sign of b
 *     vpow2(t)                         2^n for t = 1.5 * 2^23 + n, n an integer from -127 (gives 0) to 128 (gives
 *                                      infinity): t holds n in its low bits, which are shifted to the exponent's
 *     vtimes_pow2(a, n, t)             a 2^n for the same t and n; vpow2_of(n, t): 2^n
 *     FUSED                            whether vfma rounds once
 *     B, vgreater(a, b), vselect(b, x, y)   x where b, else y
 *     vsum, vlargest                   over the lanes, in an order fixed by LANES
 *     D, dzero, dsquare_add(d, v), dsum     sum of squares in double
 */
#ifndef LSTM_KERNELS_VEC_GENERIC_H
#define LSTM_KERNELS_VEC_GENERIC_H

#include "kernels.h"

#include <string.h>

enum { LANES = 4, FUSED = 0 };

typedef float V __attribute__((vector_size(16)));
typedef uint32_t B __attribute__((vector_size(16)));
typedef double D2 __attribute__((vector_size(16)));
typedef struct D {
    D2 low, high;
} D;

static inline V vload(const float *p)
{
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vstore(float *p, V v)
{
    memcpy(p, &v, sizeof v);
}

static inline V vload_part(const float *p, size_t n)
{
    return (V){n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
}

static inline void vstore_part(float *p, V v, size_t n)
{
    if (n > 0)
        p[0] = v[0];
    if (n > 1)
        p[1] = v[1];
    if (n > 2)
        p[2] = v[2];
    if (n > 3)
        p[3] = v[3];
}

static inline V vset(float x)
{
    return (V){x, x, x, x};
}

static inline B bits_of(V v)
{
    return (B)v;
}

static inline V vselect(B b, V x, V y)
{
    return (V)((b & bits_of(x)) | (~b & bits_of(y)));
}

static inline V vpart(V v, size_t n, V other)
{
    const uint32_t lanes = (uint32_t)n;
    const B index = {0, 1, 2, 3};
    return vselect((B)(index < (B){lanes, lanes, lanes, lanes}), v, other);
}

static inline V vadd(V a, V b)
{
    return a + b;
}

static inline V vsub(V a, V b)
{
    return a - b;
}

static inline V vmul(V a, V b)
{
    return a * b;
}

static inline V vdiv(V a, V b)
{
    return a / b;
}

static inline V vfma(V a, V b, V c)
{
    return a * b + c;
}

static inline V vfnma(V a, V b, V c)
{
    return c - a * b;
}

static inline V vreciprocal(V a)
{
    return (V){1, 1, 1, 1} / a;
}

static inline V vsqrt(V a)
{
    return (V){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]),
               __builtin_sqrtf(a[3])};
}

static inline V vabs(V a)
{
    return (V)(bits_of(a) & 0x7FFFFFFFu);
}

static inline V vcopysign(V a, V b)
{
    return (V)((bits_of(a) & 0x7FFFFFFFu) | (bits_of(b) & 0x80000000u));
}

static inline B vgreater(V a, V b)
{
    return (B)(a > b);
}

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
    return (V)((bits_of(t) << 23) + 0x3F800000u);
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
    return (a[0] + a[2]) + (a[1] + a[3]);
}

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float vlargest(V a)
{
    return larger(larger(a[0], a[2]), larger(a[1], a[3]));
}

static inline D dzero(void)
{
    return (D){{0, 0}, {0, 0}};
}

static inline D dsquare_add(D d, V v)
{
    const D2 low = {v[0], v[1]};
    const D2 high = {v[2], v[3]};
    return (D){d.low + low * low, d.high + high * high};
}

static inline double dsum(D d)
{
    const D2 pair = d.low + d.high;
    return pair[0] + pair[1];
}

#endif
