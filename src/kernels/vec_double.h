/* SPDX-License-Identifier: MIT
 *
 * The vector vocabulary (see vec_generic.h) with one lane of double, and the functions of
 * functions_tpl.h on libm: for the gradient checks of the tests.
 */
#ifndef LSTM_KERNELS_VEC_DOUBLE_H
#define LSTM_KERNELS_VEC_DOUBLE_H

#include "kernels.h"

#include <math.h>

enum { LANES = 1 };

typedef double V;
typedef double D;
typedef int B;

static inline V vload(const double *p)
{
    return *p;
}

static inline void vstore(double *p, V v)
{
    *p = v;
}

static inline V vload_part(const double *p, size_t n)
{
    return n > 0 ? *p : 0;
}

static inline void vstore_part(double *p, V v, size_t n)
{
    if (n > 0)
        *p = v;
}

static inline V vpart(V v, size_t n, V other)
{
    return n > 0 ? v : other;
}

static inline V vset(double x)
{
    return x;
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
    return 1 / a;
}

static inline V vsqrt(V a)
{
    return sqrt(a);
}

static inline V vabs(V a)
{
    return fabs(a);
}

static inline V vcopysign(V a, V b)
{
    return copysign(a, b);
}

static inline V vmin(V a, V b)
{
    return a < b ? a : b;
}

static inline V vmax(V a, V b)
{
    return a > b ? a : b;
}

static inline B vgreater(V a, V b)
{
    return a > b;
}

static inline V vselect(B b, V x, V y)
{
    return b ? x : y;
}

static inline double vsum(V a)
{
    return a;
}

static inline double vlargest(V a)
{
    return a;
}

static inline D dzero(void)
{
    return 0;
}

static inline D dsquare_add(D d, V v)
{
    return d + v * v;
}

static inline double dsum(D d)
{
    return d;
}

static inline V vexp(V x)
{
    return exp(x);
}

static inline V vexp_negative(V x)
{
    return exp(x);
}

static inline V vexpm1_negative(V x)
{
    return expm1(x);
}

static inline V vsigmoid(V x)
{
    return 1 / (1 + exp(-x));
}

static inline V vtanh(V x)
{
    return tanh(x);
}

static inline V vsigmoid_divisor(V x)
{
    return 1 + exp(x < -300 ? 300 : -x);
}

static inline V vtanh_dividend(V x)
{
    return expm1(2 * (x < -20 ? -20 : x > 20 ? 20 : x));
}

static inline V vlog1p_unit(V e)
{
    return log1p(e);
}

#endif
