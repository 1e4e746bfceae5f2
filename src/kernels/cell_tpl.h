/* SPDX-License-Identifier: MIT
 *
 * The cell of an LSTM with any activations, apart from the product that feeds it (steps_tpl.h has
 * both in one for tanh and sigmoid). r = recurrent activation, s = activation:
 *     i = r(a_i)   f = r(a_f)   g = s(a_g)   o = r(a_o)   c = f c_previous + i g   h = o s(c)
 * Slopes are taken from the values, as in activation_tpl.h. Padding stays zero whatever s(0) is.
 */
#ifndef LSTM_KERNELS_CELL_TPL_H
#define LSTM_KERNELS_CELL_TPL_H

/* Others than tanh and sigmoid: one body, called, as it would make a cell five times as long. */
static OUT_OF_LINE V activate_rarely(int32_t activation, V x)
{
    switch (activation) {
    case LSTM_ACTIVATION_RELU:
        return vmax(vset(0), x);
    case LSTM_ACTIVATION_ELU:
        return elu(x);
    case LSTM_ACTIVATION_SOFTPLUS:
        return softplus(x);
    case LSTM_ACTIVATION_SOFTSIGN:
        return softsign(x);
    case LSTM_ACTIVATION_EXPONENTIAL:
        return vexp(x);
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return hard_sigmoid(x);
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        return hard_sigmoid_keras2(x);
    default:
        return x;
    }
}

static INLINE V activate_by(int32_t activation, V x)
{
    if (activation == LSTM_ACTIVATION_TANH)
        return vtanh(x);
    if (activation == LSTM_ACTIVATION_SIGMOID)
        return vsigmoid(x);
    return activate_rarely(activation, x);
}

static OUT_OF_LINE V slope_rarely(int32_t activation, V y)
{
    switch (activation) {
    case LSTM_ACTIVATION_RELU:
        return vselect(vgreater(y, vset(0)), vset(1), vset(0));
    case LSTM_ACTIVATION_ELU:
        return elu_slope(y);
    case LSTM_ACTIVATION_SOFTPLUS:
        return vsub(vset(0), vexpm1_negative(vsub(vset(0), y)));
    case LSTM_ACTIVATION_SOFTSIGN:
        return softsign_slope(y);
    case LSTM_ACTIVATION_EXPONENTIAL:
        return y;
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return ramp_slope(y, (real)(1.0 / 6.0));
    case LSTM_ACTIVATION_HARD_SIGMOID_KERAS2:
        return ramp_slope(y, (real)0.2);
    default:
        return vset(1);
    }
}

static INLINE V slope_by(int32_t activation, V y)
{
    if (activation == LSTM_ACTIVATION_TANH)
        return vfnma(y, y, vset(1));
    if (activation == LSTM_ACTIVATION_SIGMOID)
        return vfnma(y, y, y);
    return slope_rarely(activation, y);
}

static void cell_forward(const lstm__cell *s)
{
    for (size_t row = 0; row < s->rows; row++)
        for (size_t p = 0; p < panels_of(s->units); p++) {
            const size_t n = lanes_left(s->units, p);
            const size_t cell = row * s->ld_cell + p * LANES;
            real *gates = s->gates + row * s->ld_gates + p * 4 * LANES;
            V a[4];
            for (size_t v = 0; v < 4; v++) {
                a[v] = activate_by(v == 2 ? s->activation : s->recurrent, vload(gates + v * LANES));
                if (n < LANES)
                    a[v] = vpart(a[v], n, vset(0));
                vstore(gates + v * LANES, a[v]);
            }
            const V c = vfma(a[1], vload(s->c_previous + cell), vmul(a[0], a[2]));
            const V t = activate_by(s->activation, c);
            const V h = vmul(a[3], t);
            vstore(s->c + cell, c);
            if (s->active_c)
                vstore(s->active_c + cell, t);
            put(s->h + row * s->ld_h + p * LANES, h, n);
            if (s->y)
                put(s->y + row * s->ld_y + p * LANES, h, n);
        }
}

static void cell_backward(const lstm__cell *s)
{
    for (size_t row = 0; row < s->rows; row++)
        for (size_t p = 0; p < panels_of(s->units); p++) {
            const size_t cell = row * s->ld_cell + p * LANES;
            real *gates = s->gates + row * s->ld_gates + p * 4 * LANES;
            const V i = vload(gates);
            const V f = vload(gates + LANES);
            const V g = vload(gates + 2 * LANES);
            const V o = vload(gates + 3 * LANES);
            const V t = vload(s->active_c + cell);
            const V dh = vload(s->dh + cell);
            const V dc = vfma(vmul(dh, o), slope_by(s->activation, t), vload(s->dc + cell));
            vstore(gates, vmul(vmul(dc, g), slope_by(s->recurrent, i)));
            vstore(gates + LANES,
                   vmul(vmul(dc, vload(s->c_previous + cell)), slope_by(s->recurrent, f)));
            vstore(gates + 2 * LANES, vmul(vmul(dc, i), slope_by(s->activation, g)));
            vstore(gates + 3 * LANES, vmul(vmul(dh, t), slope_by(s->recurrent, o)));
            vstore(s->dc + cell, vmul(dc, f));
        }
}

#endif
