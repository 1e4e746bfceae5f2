/* SPDX-License-Identifier: MIT
 *
 * The LSTM cell behind its product (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):
 *     i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
 *     c = f c_previous + i g        h = o tanh(c)
 * and its gradients
 *     do = dh tanh(c)               dc = dc_next + dh o (1 - tanh(c)^2)
 *     di = dc g    df = dc c_previous    dg = dc i    dc_previous = dc f
 * which leave multiplied by the derivatives of the activations.
 *
 * Vectors run over the units of one row, the last one with a tail mask; every element is read before it is written, so
 * c may be c_previous.
 */
#ifndef LSTM_KERNELS_GATES_TPL_H
#define LSTM_KERNELS_GATES_TPL_H

/* One row of one step; the columns `units` apart are those of i, f, g, o. */
typedef struct forward_row {
    size_t units;
    real *gates;
    const real *bias, *c_previous;
    real *c, *tanh_c, *h;
} forward_row;

static INLINE V with_bias(const forward_row *row, size_t column, size_t n)
{
    const V a = get(row->gates + column, n);
    return row->bias ? vadd(a, get(row->bias + column, n)) : a;
}

static INLINE void forward_units(const forward_row *row, size_t k, size_t n)
{
    const size_t units = row->units;
    const V i = vsigmoid(with_bias(row, k, n));
    const V f = vsigmoid(with_bias(row, k + units, n));
    const V g = vtanh(with_bias(row, k + 2 * units, n));
    const V o = vsigmoid(with_bias(row, k + 3 * units, n));
    put(row->gates + k, i, n);
    put(row->gates + k + units, f, n);
    put(row->gates + k + 2 * units, g, n);
    put(row->gates + k + 3 * units, o, n);
    const V c = vfma(f, get(row->c_previous + k, n), vmul(i, g));
    const V t = vtanh(c);
    put(row->c + k, c, n);
    if (row->tanh_c)
        put(row->tanh_c + k, t, n);
    put(row->h + k, vmul(o, t), n);
}

static void gates_forward(size_t rows, size_t units, real *gates, size_t ld_gates, const real *bias,
                          const real *c_previous, real *c, real *tanh_c, real *h, size_t ld_h)
{
    for (size_t r = 0; r < rows; r++) {
        const forward_row row = {units, gates + r * ld_gates, bias, c_previous + r * units, c + r * units,
                                 tanh_c ? tanh_c + r * units : NULL, h + r * ld_h};
        size_t k = 0;
        for (; k + LANES <= units; k += LANES)
            forward_units(&row, k, LANES);
        if (k < units)
            forward_units(&row, k, units - k);
    }
}

typedef struct backward_row {
    size_t units;
    real *gates;
    const real *c_previous, *tanh_c, *dy, *dh;
    real *dc;
} backward_row;

/* y (1 - y), the derivative of the sigmoid by its value. */
static INLINE V sigmoid_slope(V y)
{
    return vfnma(y, y, y);
}

static INLINE void backward_units(const backward_row *row, size_t k, size_t n)
{
    const size_t units = row->units;
    const V one = vset(1);
    const V i = get(row->gates + k, n);
    const V f = get(row->gates + k + units, n);
    const V g = get(row->gates + k + 2 * units, n);
    const V o = get(row->gates + k + 3 * units, n);
    const V t = get(row->tanh_c + k, n);
    V dh = row->dy ? get(row->dy + k, n) : vset(0);
    if (row->dh)
        dh = vadd(dh, get(row->dh + k, n));
    const V dc = vfma(vmul(dh, o), vfnma(t, t, one), get(row->dc + k, n));
    put(row->gates + k, vmul(vmul(dc, g), sigmoid_slope(i)), n);
    put(row->gates + k + units, vmul(vmul(dc, get(row->c_previous + k, n)), sigmoid_slope(f)), n);
    put(row->gates + k + 2 * units, vmul(vmul(dc, i), vfnma(g, g, one)), n);
    put(row->gates + k + 3 * units, vmul(vmul(dh, t), sigmoid_slope(o)), n);
    put(row->dc + k, vmul(dc, f), n);
}

static void gates_backward(size_t rows, size_t units, real *gates, size_t ld_gates, const real *c_previous,
                           const real *tanh_c, const real *dy, size_t ld_dy, const real *dh, size_t ld_dh, real *dc)
{
    for (size_t r = 0; r < rows; r++) {
        const backward_row row = {units, gates + r * ld_gates, c_previous + r * units, tanh_c + r * units,
                                  dy ? dy + r * ld_dy : NULL, dh ? dh + r * ld_dh : NULL, dc + r * units};
        size_t k = 0;
        for (; k + LANES <= units; k += LANES)
            backward_units(&row, k, LANES);
        if (k < units)
            backward_units(&row, k, units - k);
    }
}

#endif
