/* SPDX-License-Identifier: MIT
 *
 * Cells of one step apart from their products, at every level that this CPU supports, against plain
 * double references: the LSTM's with every pair of activations, the GRU's with the reset before and
 * after its product. All sizes up to three vectors and three more; padding stays zero. Numbers drawn
 * at random are those of base/random.h, to the bit.
 *
 * Compiled a second time with LSTM__DOUBLE for the table of the gradient checks.
 */
#include "activation_reference.h"
#include "kernel_checks.h"
#include "packed.h"
#include "random.h"

enum { ROWS = 3 };

static size_t largest(const lstm__kernels *k)
{
    return k->lanes == 1 ? 9 : 3 * k->lanes + 3;
}

static void finish_all(const matrix *all, size_t count)
{
    for (size_t m = 0; m < count; m++)
        finish(all[m]);
}

#define FINISH(...)                                  \
    do {                                             \
        const matrix all[] = {__VA_ARGS__};          \
        finish_all(all, sizeof all / sizeof all[0]); \
    } while (0)

/* ---- LSTM */

typedef struct cell {
    matrix gates, before, c, c_previous, active, dh, dc, h, y;
    size_t padded;
} cell;

/* Column of (unit, gate) in gate order. */
static size_t place(const lstm__kernels *k, size_t unit, size_t gate)
{
    return (unit / k->lanes * 4 + gate) * k->lanes + unit % k->lanes;
}

static matrix padded_with_zeros(size_t units, size_t padded)
{
    matrix m = make(ROWS, padded, 0, 0, -1, 1);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = units; u < padded; u++)
            m.p[row * m.ld + u] = 0;
    return m;
}

static cell make_cell(const lstm__kernels *k, size_t units)
{
    cell s = {.padded = lstm__panels(k->lanes, units) * k->lanes};
    s.gates = make(ROWS, 4 * s.padded, 3, 0, -2, 2);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = units; u < s.padded; u++)
            for (size_t gate = 0; gate < 4; gate++)
                s.gates.p[row * s.gates.ld + place(k, u, gate)] = 0;
    s.before = copy_of(s.gates);
    s.c_previous = padded_with_zeros(units, s.padded);
    s.c = make(ROWS, s.padded, 0, 0, -1, 1);
    s.active = make(ROWS, s.padded, 0, 0, -1, 1);
    s.dh = padded_with_zeros(units, s.padded);
    s.dc = padded_with_zeros(units, s.padded);
    s.h = make(ROWS, units, 2, 1, -1, 1);
    s.y = make(ROWS, units, 1, 0, -1, 1);
    return s;
}

static lstm__cell arguments(const cell *s, size_t units, int32_t activation, int32_t recurrent)
{
    return (lstm__cell){.rows = ROWS,
                        .units = units,
                        .activation = activation,
                        .recurrent = recurrent,
                        .gates = s->gates.p,
                        .ld_gates = s->gates.ld,
                        .c_previous = s->c_previous.p,
                        .c = s->c.p,
                        .active_c = s->active.p,
                        .dh = s->dh.p,
                        .dc = s->dc.p,
                        .ld_cell = s->padded,
                        .h = s->h.p,
                        .ld_h = s->h.ld,
                        .y = s->y.p,
                        .ld_y = s->y.ld};
}

static void check_forward(const lstm__kernels *k, const cell *s, const lstm__cell *call)
{
    worst e = {0};
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < s->padded; u++) {
            double a[4];
            for (size_t gate = 0; gate < 4; gate++) {
                const size_t column = place(k, u, gate);
                a[gate] = u < call->units ? activate(gate == 2 ? call->activation : call->recurrent,
                                                     at(s->before, row, column))
                                          : 0;
                compare(&e, at(s->gates, row, column), a[gate], row, u);
            }
            const double c = a[1] * at(s->c_previous, row, u) + a[0] * a[2];
            const double active = activate(call->activation, c);
            compare(&e, at(s->c, row, u), c, row, u);
            compare(&e, at(s->active, row, u), active, row, u);
            if (u >= call->units)
                continue;
            compare(&e, at(s->h, row, u), a[3] * active, row, u);
            compare(&e, at(s->y, row, u), a[3] * active, row, u);
        }
    expect(e, 4 * CLOSE, "cell forward", call->units);
}

/* From the values that forward left in `from` and the gradients in `dh` and `dc`. */
static void check_backward(const lstm__kernels *k, const cell *s, const lstm__cell *call,
                           matrix from, matrix dc_next)
{
    worst e = {0};
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < s->padded; u++) {
            double a[4];
            for (size_t gate = 0; gate < 4; gate++)
                a[gate] = at(from, row, place(k, u, gate));
            const double t = at(s->active, row, u);
            const double dh = at(s->dh, row, u);
            const double dc = at(dc_next, row, u) + dh * a[3] * slope(call->activation, t);
            const double want[4] = {
                dc * a[2] * slope(call->recurrent, a[0]),
                dc * at(s->c_previous, row, u) * slope(call->recurrent, a[1]),
                dc * a[0] * slope(call->activation, a[2]),
                dh * t * slope(call->recurrent, a[3]),
            };
            for (size_t gate = 0; gate < 4; gate++)
                compare(&e, at(s->gates, row, place(k, u, gate)), want[gate], row, u);
            compare(&e, at(s->dc, row, u), dc * a[1], row, u);
        }
    expect(e, 8 * CLOSE, "cell backward", call->units);
}

static void test_lstm_cells_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= largest(k); units++)
        for (size_t pair = 0; pair < 2 * ACTIVATION_COUNT; pair++) {
            const int32_t activation = activations[pair % ACTIVATION_COUNT];
            const int32_t recurrent = pair < ACTIVATION_COUNT
                                          ? LSTM_ACTIVATION_SIGMOID
                                          : activations[(pair * 7 + units) % ACTIVATION_COUNT];
            const cell s = make_cell(k, units);
            const lstm__cell call = arguments(&s, units, activation, recurrent);
            k->cell_forward(&call);
            check_forward(k, &s, &call);
            const matrix from = copy_of(s.gates);
            const matrix dc_next = copy_of(s.dc);
            k->cell_backward(&call);
            check_backward(k, &s, &call, from, dc_next);
            FINISH(from, dc_next, s.gates, s.before, s.c, s.c_previous, s.active, s.dh, s.dc, s.h,
                   s.y);
        }
}

/* ---- GRU */

typedef struct gru {
    matrix gates, before, recurrent, h_previous, h, second;
    size_t units, z, r, g;
} gru;

static gru make_gru(size_t units, bool reset_first)
{
    return (gru){
        .gates = make(ROWS, 3 * units, 0, 1, -2, 2),
        .recurrent = make(ROWS, 3 * units, 0, 0, -2, 2),
        .h_previous = make(ROWS, units, 3, 1, -1, 1),
        .h = make(ROWS, units, 0, 0, -1, 1),
        .second = make(ROWS, units, 0, 0, -1, 1),
        .units = units,
        .z = reset_first ? units : 0,
        .r = reset_first ? 0 : units,
        .g = 2 * units,
    };
}

static lstm__gru_step step_of(const gru *s, int after)
{
    return (lstm__gru_step){.activation = {.kind = LSTM_ACTIVATION_TANH},
                            .recurrent_activation = {.kind = LSTM_ACTIVATION_SIGMOID},
                            .rows = ROWS,
                            .units = s->units,
                            .z = s->z,
                            .r = s->r,
                            .after = after,
                            .gates = s->gates.p,
                            .recurrent = s->recurrent.p,
                            .h_previous = s->h_previous.p,
                            .ld_previous = s->h_previous.ld,
                            .h = s->h.p,
                            .second = s->second.p};
}

static void finish_gru(const gru *s)
{
    FINISH(s->gates, s->recurrent, s->h_previous, s->h, s->second);
}

static void check_gru_after(const lstm__kernels *k, size_t units, bool reset_first)
{
    const gru s = make_gru(units, reset_first);
    const matrix before = copy_of(s.gates);
    const lstm__gru_step step = step_of(&s, 1);
    worst e = {0};
    k->gru_after_forward(&step);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < units; u++) {
            const double z = sigmoid(at(before, row, s.z + u) + at(s.recurrent, row, s.z + u));
            const double r = sigmoid(at(before, row, s.r + u) + at(s.recurrent, row, s.r + u));
            const double hu = at(s.recurrent, row, s.g + u);
            const double g = tanh(at(before, row, s.g + u) + r * hu);
            compare(&e, at(s.gates, row, s.z + u), z, row, u);
            compare(&e, at(s.gates, row, s.r + u), r, row, u);
            compare(&e, at(s.gates, row, s.g + u), g, row, u);
            compare(&e, at(s.second, row, u), hu, row, u);
            compare(&e, at(s.h, row, u), g + z * (at(s.h_previous, row, u) - g), row, u);
        }
    expect(e, 4 * CLOSE, "GRU forward, reset after", units);

    const matrix values = copy_of(s.gates);
    const matrix dh = copy_of(s.h);
    const matrix hu = copy_of(s.second);
    k->gru_backward(&step);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < units; u++) {
            const double z = at(values, row, s.z + u);
            const double r = at(values, row, s.r + u);
            const double g = at(values, row, s.g + u);
            const double d = at(dh, row, u);
            const double dg = d * (1 - z) * (1 - g * g);
            compare(&e, at(s.gates, row, s.z + u), d * (at(s.h_previous, row, u) - g) * z * (1 - z),
                    row, u);
            compare(&e, at(s.gates, row, s.g + u), dg, row, u);
            compare(&e, at(s.gates, row, s.r + u), dg * at(hu, row, u) * r * (1 - r), row, u);
            compare(&e, at(s.second, row, u), dg * r, row, u);
            compare(&e, at(s.h, row, u), d * z, row, u);
        }
    expect(e, 8 * CLOSE, "GRU backward, reset after", units);
    FINISH(before, values, dh, hu);
    finish_gru(&s);
}

static void check_gru_before(const lstm__kernels *k, size_t units, bool reset_first)
{
    const gru s = make_gru(units, reset_first);
    const matrix before = copy_of(s.gates);
    const lstm__gru_step step = step_of(&s, 0);
    worst e = {0};
    k->gru_before_reset(&step);
    k->gru_before_forward(&step);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < units; u++) {
            const double z = sigmoid(at(before, row, s.z + u) + at(s.recurrent, row, s.z + u));
            const double r = sigmoid(at(before, row, s.r + u) + at(s.recurrent, row, s.r + u));
            const double g = tanh(at(before, row, s.g + u));
            const double previous = at(s.h_previous, row, u);
            compare(&e, at(s.gates, row, s.z + u), z, row, u);
            compare(&e, at(s.gates, row, s.r + u), r, row, u);
            compare(&e, at(s.gates, row, s.g + u), g, row, u);
            compare(&e, at(s.second, row, u), r * previous, row, u);
            compare(&e, at(s.h, row, u), g + z * (previous - g), row, u);
        }
    expect(e, 4 * CLOSE, "GRU forward, reset before", units);

    const matrix values = copy_of(s.gates);
    const matrix dh = copy_of(s.h);
    const matrix drh = make(ROWS, units, 0, 1, -1, 1);
    lstm__gru_step back = step;
    k->gru_backward(&back);
    back.recurrent = drh.p;
    k->gru_before_backward(&back);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t u = 0; u < units; u++) {
            const double z = at(values, row, s.z + u);
            const double r = at(values, row, s.r + u);
            const double g = at(values, row, s.g + u);
            const double d = at(dh, row, u);
            const double previous = at(s.h_previous, row, u);
            compare(&e, at(s.gates, row, s.z + u), d * (previous - g) * z * (1 - z), row, u);
            compare(&e, at(s.gates, row, s.g + u), d * (1 - z) * (1 - g * g), row, u);
            compare(&e, at(s.gates, row, s.r + u), at(drh, row, u) * previous * r * (1 - r), row,
                    u);
            compare(&e, at(s.h, row, u), d * z + at(drh, row, u) * r, row, u);
        }
    expect(e, 8 * CLOSE, "GRU backward, reset before", units);
    FINISH(before, values, dh, drh);
    finish_gru(&s);
}

static void test_gru_cells_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= largest(k); units++)
        for (int order = 0; order < 2; order++) {
            check_gru_after(k, units, order != 0);
            check_gru_before(k, units, order != 0);
        }
}

/* ---- Random numbers */

static void test_drawn_factors_are_the_words_of_the_generator(void **state)
{
    static const double rates[] = {0, 0.25, 0.7, 1};
    const lstm__kernels *const k = table(state);
    for (size_t count = 0; count < 140; count += 1 + count / 9)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
            real found[141];
            const lstm__draw draw = {.seed = 0x123456789abcdefu + count,
                                     .stream = 0xfedcba9876543210u,
                                     .block = 0xfffffff0u + r, /* the counter carries */
                                     .rate = rates[r],
                                     .drawn = -1,
                                     .other = 3};
            found[count] = 7;
            k->draw_factors(&draw, count, found);
            for (size_t v = 0; v < count; v++) {
                uint32_t words[4];
                lstm__random_block(draw.seed, draw.stream, draw.block + v / 4, words);
                const bool drawn = words[v % 4] < draw.rate * 4294967296.0;
                assert_true(found[v] == (drawn ? draw.drawn : draw.other));
            }
            assert_true(found[count] == 7);
        }
}

#define LEVEL_TESTS(level)                                 \
    LEVEL_TEST(test_lstm_cells_equal_reference, level),    \
        LEVEL_TEST(test_gru_cells_equal_reference, level), \
        LEVEL_TEST(test_drawn_factors_are_the_words_of_the_generator, level)

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        LEVEL_TESTS(GENERIC),
#ifndef LSTM__DOUBLE
        LEVEL_TESTS(AVX2),
        LEVEL_TESTS(AVX512),
        LEVEL_TESTS(NEON),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
