/* SPDX-License-Identifier: MIT
 * What is random in the LSTM's variants: which numbers zoneout holds, and recurrent dropout with
 * one mask for each gate, as in Keras, where h(t-1) is masked before it enters a gate's product and
 * the masks stay the same for all steps of a sequence (Gal and Ghahramani 2016). Where gates are
 * normalised there is one mask for all gates, as in TensorFlow Addons' LayerNormLSTMCell: h U stays
 * one product.
 *
 * A draw is a function of (seed, stream, kind, step, sample, unit): neither threads nor the cut of
 * the batch among them matter.
 */
#include "product.h"
#include "random.h"
#include "stepwise.h"

#include <string.h>

enum { KIND_H = 1, KIND_C = 2, KIND_FACTORS = 3 };

/* to [count] = `drawn` with chance `rate`, else `other`; `row` numbers what is drawn. */
static void draw(const lstm__stepwise *s, int kind, uint64_t row, double rate, real drawn,
                 real other, size_t count, real *to)
{
    const uint64_t blocks = (count + 3) / 4;
    s->kernels->draw_factors(&(lstm__draw){.seed = s->seed,
                                           .stream = lstm__random_stream(s->stream, (uint64_t)kind),
                                           .block = row * blocks,
                                           .rate = rate,
                                           .drawn = drawn,
                                           .other = other},
                             count, to);
}

void lstm__stepwise_draw_holds(const lstm__stepwise_pass *pass, size_t t, size_t first,
                               size_t count)
{
    const lstm__stepwise *s = pass->s;
    real *hold_h = lstm__stepwise_tape(pass, s->hold_h, t, s->padded);
    real *hold_c = lstm__stepwise_tape(pass, s->hold_c, t, s->padded);
    for (size_t row = first; row < first + count; row++) {
        const uint64_t place = (uint64_t)t * pass->call->batch + row;
        if (hold_h)
            draw(s, KIND_H, place, (double)s->options->zoneout_h, 1, 0, s->width,
                 hold_h + row * s->padded);
        if (hold_c) {
            memset(hold_c + row * s->padded, 0, s->padded * sizeof(real));
            draw(s, KIND_C, place, (double)s->options->zoneout_c, 1, 0, s->units,
                 hold_c + row * s->padded);
        }
    }
}

void lstm__stepwise_draw_factors(const lstm__stepwise *s, const lstm__recurrence_call *call)
{
    const double rate = (double)s->options->recurrent_dropout;
    const size_t masks = s->one_mask ? 1 : LSTM__GATES;
    for (size_t row = 0; row < masks * call->batch; row++)
        draw(s, KIND_FACTORS, row, rate, 0, (real)(1 / (1 - rate)), s->width,
             s->factors + row * s->width);
}

static const real *factors_of(const lstm__stepwise_pass *pass, size_t gate, size_t first)
{
    return pass->s->factors + (gate * pass->call->batch + first) * pass->s->width;
}

static void multiply(size_t count, const real *a, const real *b, real *to)
{
    for (size_t k = 0; k < count; k++)
        to[k] = a[k] * b[k];
}

/* One gate of rows in gate order, to or from rows of units. */
static void move_gate(const lstm__stepwise *s, size_t rows, size_t gate, real *gates, real *units,
                      size_t ld, bool out)
{
    const size_t lanes = s->kernels->lanes;
    for (size_t p = 0; p < s->panels; p++) {
        const size_t left = s->units - p * lanes;
        real *in_order = gates + (p * LSTM__GATES + gate) * lanes;
        if (out)
            s->kernels->copy_rows(rows, left < lanes ? left : lanes, in_order, s->ld_gates,
                                  units + p * lanes, ld, 0);
        else
            s->kernels->copy_rows(rows, left < lanes ? left : lanes, units + p * lanes, ld,
                                  in_order, s->ld_gates, 1);
    }
}

void lstm__stepwise_dropped(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const real *h = lstm__stepwise_rows(pass, t) + first * s->ld_rows;
    real *masked = s->parts + first * (s->padded + s->width);
    real *product = masked + count * s->width;
    for (size_t gate = 0; gate < LSTM__GATES; gate++) {
        const real *factors = factors_of(pass, gate, first);
        for (size_t row = 0; row < count; row++)
            multiply(s->width, h + row * s->ld_rows, factors + row * s->width,
                     masked + row * s->width);
        s->kernels->multiply_across(&(lstm__multiplication){.rows = count,
                                                            .k = s->width,
                                                            .a = masked,
                                                            .ld_a = s->width,
                                                            .b = s->gate_weights[gate],
                                                            .c = product,
                                                            .ld_c = s->padded},
                                    s->units);
        move_gate(s, count, gate, lstm__stepwise_gates(pass, s->gates, t) + first * s->ld_gates,
                  product, s->padded, false);
    }
}

void lstm__stepwise_dropped_back(const lstm__stepwise_pass *pass, size_t t, size_t first,
                                 size_t count)
{
    const lstm__stepwise *s = pass->s;
    real *back = s->parts + first * (s->padded + s->width);
    real *d = back + count * s->width;
    for (size_t gate = 0; gate < LSTM__GATES; gate++) {
        const real *factors = factors_of(pass, gate, first);
        move_gate(s, count, gate, lstm__stepwise_gates(pass, s->gates, t) + first * s->ld_gates, d,
                  s->padded, true);
        s->kernels->multiply_across(&(lstm__multiplication){.rows = count,
                                                            .k = s->units,
                                                            .a = d,
                                                            .ld_a = s->padded,
                                                            .b = s->gate_back[gate],
                                                            .c = back,
                                                            .ld_c = s->width},
                                    s->width);
        for (size_t row = 0; row < count; row++)
            for (size_t k = 0; k < s->width; k++)
                s->dr[(first + row) * s->padded + k] += back[row * s->width + k] *
                                                        factors[row * s->width + k];
    }
}

void lstm__stepwise_dropped_weights(const lstm__stepwise_pass *pass, real *dweights)
{
    const lstm__stepwise *s = pass->s;
    const size_t batch = pass->call->batch;
    const size_t rows = pass->call->steps * batch;
    for (size_t gate = 0; gate < LSTM__GATES; gate++) {
        const real *factors = factors_of(pass, gate, 0);
        for (size_t row = 0; row < rows; row++)
            multiply(s->width, s->rows + row * s->ld_rows, factors + row % batch * s->width,
                     s->masked_h + row * s->width);
        move_gate(s, rows, gate, s->gates, s->gate_d, s->units, true);
        lstm__gemm(1, 0, s->width, s->units, rows, s->masked_h, s->width, s->gate_d, s->units, 0,
                   dweights + gate * s->units, LSTM__GATES * s->units);
    }
}

/* ---- One mask for all gates */

void lstm__stepwise_mask_h(const lstm__stepwise_pass *pass, size_t t, size_t first, size_t count)
{
    const lstm__stepwise *s = pass->s;
    const real *h = lstm__stepwise_rows(pass, t) + first * s->ld_rows;
    const real *factors = factors_of(pass, 0, first);
    real *to = lstm__stepwise_masked_h(pass, t, first);
    for (size_t row = 0; row < count; row++)
        multiply(s->width, h + row * s->ld_rows, factors + row * s->width, to + row * s->width);
}

void lstm__stepwise_masked_back(const lstm__stepwise_pass *pass, size_t first, size_t count,
                                const real *back)
{
    const lstm__stepwise *s = pass->s;
    const real *factors = factors_of(pass, 0, first);
    for (size_t row = 0; row < count; row++)
        for (size_t k = 0; k < s->width; k++)
            s->dr[(first + row) * s->padded + k] += back[row * s->padded + k] *
                                                    factors[row * s->width + k];
}
