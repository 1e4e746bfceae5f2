/* SPDX-License-Identifier: MIT
 *
 * exp, tanh, sigmoid and log1p on the float vocabulary, one formula for every level.
 *
 * Reduction (Cody and Waite): n = round(x / ln 2), by adding and subtracting 1.5 * 2^23, which
 * leaves no room for a fraction; r = x - n ln 2 in two parts, the first of which has so few bits
 * that its product with n is exact. |r| <= 0.3466, where
 *     exp(r) - 1 = r + r^2 P(r)
 * with P of degree 4, minimax for the relative error of exp(r) - 1 (1.4e-8, a ninth of an ulp;
 * fitted by Lawson's iteration). The 1 and the factor 2^n are added last and differently by each
 * function:
 *     exp(x)      2^n (1 + q)                         q = exp(r) - 1
 *     expm1(x)    2^n q + (2^n - 1)                   no cancellation: for n = 0 it is q itself
 *     sigmoid(x)  1 / (1 + exp(-x))
 *     tanh(x)     -m / (2 + m), m = expm1(-2 |x|), with the sign of x
 *     log1p(e)    2 atanh(s), s = e / (2 + e)         for 0 <= e <= 1, a polynomial of degree 3 in s^2
 *
 * Largest errors against double libm, in ulp, over all finite arguments whose result is a normal
 * number (measured by tests/test_kernels.c, with and without FMA): exp 1.1, expm1 1.1, sigmoid 2.6,
 * tanh 2.6, softplus = max(x, 0) + log1p(exp(-|x|)) 3.0. Results below the smallest normal number
 * are 0 or a denormal one. NaN comes through; infinite arguments give the exact limits.
 *
 * The divisions stay: estimated reciprocals with a Newton step were slower (AVX-512 on a Sapphire
 * Rapids core: 1.63 against 1.46 ns a unit of the cell).
 */
#ifndef LSTM_KERNELS_FUNCTIONS_TPL_H
#define LSTM_KERNELS_FUNCTIONS_TPL_H

#define ROUNDING 0x1.8p23f

/* exp(x) - 1 = 2^n q + (2^n - 1), and t = ROUNDING + n, which vpow2 turns into 2^n */
typedef struct reduced {
    V q, n, t;
} reduced;

static inline reduced reduce(V x)
{
    const V t = vfma(x, vset(0x1.715476p+0f), vset(ROUNDING));
    const V n = vsub(t, vset(ROUNDING));
    V r = vfnma(n, vset(0x1.63p-1f), x);
    r = vfnma(n, vset(-0x1.bd0106p-13f), r);
    V p = vset(0x1.6d99ecp-10f);
    p = vfma(p, r, vset(0x1.1228a0p-7f));
    p = vfma(p, r, vset(0x1.555486p-5f));
    p = vfma(p, r, vset(0x1.5554aep-3f));
    p = vfma(p, r, vset(0x1.0p-1f));
    return (reduced){vfma(vmul(r, r), p, r), n, t};
}

/* exp over the whole range. The factor is applied in two halves, so that neither leaves the range
 * of exponents and a denormal result is rounded once. */
static inline V vexp(V x)
{
    const reduced e = reduce(vmax(vset(-104.0f), vmin(vset(89.0f), x)));
    const V half = vfma(e.n, vset(0.5f), vset(ROUNDING));
    const V other_half = vsub(e.t, vsub(half, vset(ROUNDING)));
    return vmul(vmul(vadd(e.q, vset(1.0f)), vpow2(half)), vpow2(other_half));
}

/* exp for x <= 0, or where infinity will do from 88.4 on; 0 below the smallest normal number. */
static inline V vexp_negative(V x)
{
    const reduced e = reduce(vmax(vset(-88.0f), vmin(vset(88.7f), x)));
    return vmul(vadd(e.q, vset(1.0f)), vpow2(e.t));
}

/* exp(x) - 1 for x <= 0. */
static inline V vexpm1_negative(V x)
{
    const reduced e = reduce(vmax(vset(-88.0f), x));
    const V scale = vpow2(e.t);
    return vfma(e.q, scale, vsub(scale, vset(1.0f)));
}

static inline V vsigmoid(V x)
{
    return vdiv(vset(1.0f), vadd(vset(1.0f), vexp_negative(vsub(vset(0.0f), x))));
}

static inline V vtanh(V x)
{
    const V m = vexpm1_negative(vmul(vset(-2.0f), vabs(x)));
    return vcopysign(vdiv(m, vadd(m, vset(2.0f))), x);
}

/* For the cell, where instructions count: the same reduction and polynomial, without the last division.
 * Gates and tanh(c) that come of these are within 4.5 and 5.5 ulp (tests/test_kernels_packed.c).
 * Where vfma rounds once, one constant for ln 2 will do: n ln 2 is off by n 1.9e-9, which is less than
 * an ulp of the result for all n that the cut leaves.
 *
 * x + n ln 2 / halves, for halves = 1 and 2. */
static inline V vreduced(V x, V n, float halves)
{
    if (FUSED)
        return vfma(n, vset(0x1.62e430p-1f / halves), x);
    return vfma(n, vset(-0x1.bd0106p-13f / halves), vfma(n, vset(0x1.63p-1f / halves), x));
}

/* 1 + exp(-x), which is what a sigmoid divides by. x is cut at -34, where the sigmoid is 2e-15, so
 * that products of two of them and of a tanh's divisor have a reciprocal, and at 87. In s = -r, with
 * signs drawn into the coefficients. */
static inline V vsigmoid_divisor(V x)
{
    const V a = vmax(vset(-34.0f), vmin(vset(87.0f), x));
    const V t = vfnma(a, vset(0x1.715476p+0f), vset(ROUNDING));
    const V n = vsub(t, vset(ROUNDING));
    const V s = vreduced(a, n, 1);
    V p = vset(0x1.6d99ecp-10f);
    p = vfma(p, s, vset(-0x1.1228a0p-7f));
    p = vfma(p, s, vset(0x1.555486p-5f));
    p = vfma(p, s, vset(-0x1.5554aep-3f));
    p = vfma(p, s, vset(0x1.0p-1f));
    p = vfma(p, s, vset(-1.0f));
    p = vfma(p, s, vset(1.0f));
    return vadd(vtimes_pow2(p, n, t), vset(1.0f));
}

/* exp(2 x) - 1 = m; tanh(x) = m / (m + 2). x is cut where tanh is 1. In r / 2, with powers of two drawn
 * into the coefficients. */
static inline V vtanh_dividend(V x)
{
    const V a = vmax(vset(-9.1f), vmin(vset(9.1f), x));
    const V t = vfma(a, vset(0x1.715476p+1f), vset(ROUNDING));
    const V n = vsub(t, vset(ROUNDING));
    const V s = vreduced(a, n, -2);
    V p = vset(0x1.6d99ecp-4f);
    p = vfma(p, s, vset(0x1.1228a0p-2f));
    p = vfma(p, s, vset(0x1.555486p-1f));
    p = vfma(p, s, vset(0x1.5554aep-0f));
    p = vfma(p, s, vset(0x1.0p+1f));
    p = vfma(p, s, vset(2.0f));
    const V scale = vpow2_of(n, t);
    return vfma(vmul(p, s), scale, vsub(scale, vset(1.0f)));
}

static inline V vlog1p_unit(V e)
{
    const V s = vdiv(e, vadd(e, vset(2.0f)));
    const V z = vmul(s, s);
    V p = vset(0x1.1f0884p-3f);
    p = vfma(p, z, vset(0x1.1eb30ep-3f));
    p = vfma(p, z, vset(0x1.99d2a6p-3f));
    p = vfma(p, z, vset(0x1.555500p-2f));
    const V twice = vadd(s, s);
    return vfma(vmul(twice, z), p, twice);
}

#endif
