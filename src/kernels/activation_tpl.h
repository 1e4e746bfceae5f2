/* SPDX-License-Identifier: MIT
 *
 * Activations of single elements and their gradients from the output alone, and softmax over rows.
 *
 * f'(x) by y = f(x):  tanh 1 - y^2,  sigmoid y (1 - y),  relu and elu 1 for y > 0 (else 0 and 1 + y),  softplus
 * 1 - exp(-y),  softsign (1 - |y|)^2,  exponential y,  hard sigmoid 1/6 (Keras 2: 1/5) for
 * 0 < y < 1.
 */
#ifndef LSTM_KERNELS_ACTIVATION_TPL_H
#define LSTM_KERNELS_ACTIVATION_TPL_H

static INLINE V softplus(V x)
{
    return vadd(vmax(vset(0), x), vlog1p_unit(vexp_negative(vsub(vset(0), vabs(x)))));
}

static INLINE V elu(V x)
{
    return vselect(vgreater(x, vset(0)), x, vexpm1_negative(vmin(vset(0), x)));
}

/* From 2^24 on the quotient is 1 (2^53 in double); the limit keeps infinity out of it. */
static INLINE V softsign(V x)
{
    const V finite = vmax(vset((real)-1e30), vmin(vset((real)1e30), x));
    return vdiv(finite, vadd(vset(1), vabs(finite)));
}

static INLINE V hard_sigmoid(V x)
{
    return vmin(vset(1), vmax(vset(0), vfma(x, vset((real)(1.0 / 6.0)), vset((real)0.5))));
}

static INLINE V hard_sigmoid_keras2(V x)
{
    return vmin(vset(1), vmax(vset(0), vfma(x, vset((real)0.2), vset((real)0.5))));
}

#define MAP(expression) FOR_EACH_VECTOR(count, const V v = get(x + k, n); put(y + k, expression, n))

static void activation_forward(int32_t activation, size_t count, const real *x, real *y)
{
    switch (activation) {
    case LSTM_ACTIVATION_TANH:
        MAP(vtanh(v));
        break;
    case LSTM_ACTIVATION_SIGMOID:
        MAP(vsigmoid(v));
        break;
    case LSTM_ACTIVATION_RELU:
        MAP(vmax(vset(0), v));
        break;
    case LSTM_ACTIVATION_ELU:
        MAP(elu(v));
        break;
    case LSTM_ACTIVATION_SOFTPLUS:
        MAP(softplus(v));
        break;
    case LSTM_ACTIVATION_SOFTSIGN:
        MAP(softsign(v));
        break;
    case LSTM_ACTIVATION_EXPONENTIAL:
        MAP(vexp(v));
        break;
    case LSTM_ACTIVATION_HARD_SIGMOID:
        MAP(hard_sigmoid(v));
        break;
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        MAP(hard_sigmoid_keras2(v));
        break;
    default: /* linear */
        if (x != y)
            MAP(v);
        break;
    }
}

#undef MAP

static INLINE V elu_slope(V y)
{
    const V one = vset(1);
    return vselect(vgreater(y, vset(0)), one, vadd(one, y));
}

static INLINE V softsign_slope(V y)
{
    const V rest = vsub(vset(1), vabs(y));
    return vmul(rest, rest);
}

/* Of both hard sigmoids. */
static INLINE V ramp_slope(V y, real slope)
{
    const V zero = vset(0);
    return vselect(vgreater(y, zero), vselect(vgreater(vset(1), y), vset(slope), zero), zero);
}

static INLINE void add_or_put(real *p, V v, int accumulate, size_t n)
{
    put(p, accumulate ? vadd(get(p, n), v) : v, n);
}

#define MAP(slope)                                                                \
    FOR_EACH_VECTOR(count, const V v = get(y + k, n); const V d = get(dy + k, n); \
                    add_or_put(dx + k, vmul(d, slope), accumulate, n))

static void activation_backward(int32_t activation, size_t count, const real *y, const real *dy,
                                real *dx, int accumulate)
{
    switch (activation) {
    case LSTM_ACTIVATION_TANH:
        MAP(vfnma(v, v, vset(1)));
        break;
    case LSTM_ACTIVATION_SIGMOID:
        MAP(vfnma(v, v, v));
        break;
    case LSTM_ACTIVATION_RELU:
        MAP(vselect(vgreater(v, vset(0)), vset(1), vset(0)));
        break;
    case LSTM_ACTIVATION_ELU:
        MAP(elu_slope(v));
        break;
    case LSTM_ACTIVATION_SOFTPLUS:
        MAP(vsub(vset(0), vexpm1_negative(vsub(vset(0), v))));
        break;
    case LSTM_ACTIVATION_SOFTSIGN:
        MAP(softsign_slope(v));
        break;
    case LSTM_ACTIVATION_EXPONENTIAL:
        MAP(v);
        break;
    case LSTM_ACTIVATION_HARD_SIGMOID:
        MAP(ramp_slope(v, (real)(1.0 / 6.0)));
        break;
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        MAP(ramp_slope(v, (real)0.2));
        break;
    default: /* linear */
        FOR_EACH_VECTOR(count, add_or_put(dx + k, get(dy + k, n), accumulate, n));
        break;
    }
}

#undef MAP

static void softmax_row(size_t columns, const real *x, real *y)
{
    V most = vset(-INFINITY);
    FOR_EACH_VECTOR(columns, most = vmax(most, vpart(get(x + k, n), n, most)));
    const V offset = vset(vlargest(most));
    V sums = vset(0);
    FOR_EACH_VECTOR(columns,
                    const V e = vpart(vexp_negative(vsub(get(x + k, n), offset)), n, vset(0));
                    sums = vadd(sums, e); put(y + k, e, n));
    const V factor = vset(1 / vsum(sums));
    FOR_EACH_VECTOR(columns, put(y + k, vmul(get(y + k, n), factor), n));
}

static void softmax_forward(size_t rows, size_t columns, const real *x, size_t ld_x, real *y,
                            size_t ld_y)
{
    for (size_t row = 0; row < rows; row++)
        softmax_row(columns, x + row * ld_x, y + row * ld_y);
}

static void softmax_backward(size_t rows, size_t columns, const real *y, size_t ld_y,
                             const real *dy, size_t ld_dy, real *dx, size_t ld_dx, int accumulate)
{
    for (size_t row = 0; row < rows; row++, y += ld_y, dy += ld_dy, dx += ld_dx) {
        V sums = vset(0);
        FOR_EACH_VECTOR(columns, sums = vfma(get(y + k, n), get(dy + k, n), sums));
        const V mean = vset(vsum(sums));
        FOR_EACH_VECTOR(columns, add_or_put(dx + k, vmul(get(y + k, n), vsub(get(dy + k, n), mean)),
                                            accumulate, n));
    }
}

#endif
