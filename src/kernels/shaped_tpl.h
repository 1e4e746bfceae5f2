/* SPDX-License-Identifier: MIT
 *
 * Activations with numbers a and b of their own (LSTM_ACTIVATION_LINEAR … in lstm.h), and their
 * slopes from the values y:
 *
 *     linear        a x + b                          a
 *     tanh          a tanh(b x)                      b (a - y^2 / a)
 *     relu          x for x > b, else a (x - b)      1 for y > 0, else a
 *     elu           x for x > 0, else a (e^x - 1)    1 for y > 0, else y + a
 *     hard_sigmoid  clip(a x + b, 0, 1)              a for 0 < y < 1
 *
 * With neither number each is the usual function of cell_tpl.h.
 */
#ifndef LSTM_KERNELS_SHAPED_TPL_H
#define LSTM_KERNELS_SHAPED_TPL_H

/* The limit keeps 0 times infinity out of a flat left side. */
static INLINE V bent_relu(V x, V a, V b)
{
    const V left = vmul(a, vsub(vmax(vset((real)-1e30), x), b));
    return vselect(vgreater(x, b), x, left);
}

static OUT_OF_LINE V shaped_rarely(lstm__activation f, V x)
{
    const V a = vset(f.alpha);
    const V b = vset(f.beta);
    const V zero = vset(0);
    switch (f.kind) {
    case LSTM_ACTIVATION_TANH:
        return vmul(a, vtanh(vmul(b, x)));
    case LSTM_ACTIVATION_RELU:
        return bent_relu(x, a, b);
    case LSTM_ACTIVATION_ELU:
        return vselect(vgreater(x, zero), x, vmul(a, vexpm1_negative(vmin(zero, x))));
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return vmin(vset(1), vmax(zero, vfma(a, x, b)));
    default:
        return vfma(a, x, b);
    }
}

static INLINE V shaped(lstm__activation f, V x)
{
    return f.alpha == 0 && f.beta == 0 ? activate_by(f.kind, x) : shaped_rarely(f, x);
}

static OUT_OF_LINE V shaped_slope_rarely(lstm__activation f, V y)
{
    const V a = vset(f.alpha);
    switch (f.kind) {
    case LSTM_ACTIVATION_TANH:
        return vmul(vset(f.beta), vfnma(vmul(y, vset(1 / f.alpha)), y, a));
    case LSTM_ACTIVATION_RELU:
        return vselect(vgreater(y, vset(0)), vset(1), a);
    case LSTM_ACTIVATION_ELU:
        return vselect(vgreater(y, vset(0)), vset(1), vadd(y, a));
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return ramp_slope(y, f.alpha);
    default:
        return a;
    }
}

static INLINE V shaped_slope(lstm__activation f, V y)
{
    return f.alpha == 0 && f.beta == 0 ? slope_by(f.kind, y) : shaped_slope_rarely(f, y);
}

static void shaped_forward(lstm__activation activation, size_t count, const real *x, real *y)
{
    if (activation.alpha == 0 && activation.beta == 0) {
        activation_forward(activation.kind, count, x, y);
        return;
    }
    FOR_EACH_VECTOR(count, put(y + k, shaped(activation, get(x + k, n)), n));
}

static void shaped_backward(lstm__activation activation, size_t count, const real *y,
                            const real *dy, real *dx, int accumulate)
{
    if (activation.alpha == 0 && activation.beta == 0) {
        activation_backward(activation.kind, count, y, dy, dx, accumulate);
        return;
    }
    FOR_EACH_VECTOR(count,
                    const V d = vmul(get(dy + k, n), shaped_slope(activation, get(y + k, n)));
                    add_or_put(dx + k, d, accumulate, n));
}

#endif
