/* SPDX-License-Identifier: MIT
 *
 * The LSTM engine's kernels at every level that this CPU supports against plain double references:
 * all sizes around the widths of vectors and tiles, rows farther apart than they are long, pointers
 * off alignment, memory around every array unchanged, padding zero. Also that the bits of a row do
 * not depend on the rows it is computed with, nor those of a panel on how panels are shared.
 *
 * Compiled a second time with LSTM__DOUBLE for the table of the gradient checks.
 */
#include "kernel_checks.h"

/* Sums of a few hundred products of numbers below 1 in any order. */
#ifdef LSTM__DOUBLE
static const double SUMS = 1e-12;
#else
static const double SUMS = 2e-5;
#endif

enum { DEEP = 517 }; /* more than two of the kernels' pieces of k */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static size_t padded(const lstm__kernels *k, size_t units)
{
    return lstm__panels(k->lanes, units) * k->lanes;
}

/* Column of (unit, gate) in gate order. */
static size_t place(const lstm__kernels *k, size_t unit, size_t gate)
{
    return (unit / k->lanes * 4 + gate) * k->lanes + unit % k->lanes;
}

/* rows x U with the first `units` columns in [low, high) and zeros behind them. */
static matrix make_cells(const lstm__kernels *k, size_t rows, size_t units, double low, double high)
{
    matrix m = make(rows, padded(k, units), 0, 0, low, high);
    for (size_t row = 0; row < rows; row++)
        for (size_t u = units; u < m.columns; u++)
            m.p[row * m.ld + u] = 0;
    return m;
}

/* rows x 4 U in gate order with zeros in the padding. */
static matrix make_gates(const lstm__kernels *k, size_t rows, size_t units, double low, double high)
{
    matrix m = make(rows, 4 * padded(k, units), 3, 0, low, high);
    for (size_t row = 0; row < rows; row++)
        for (size_t u = units; u < padded(k, units); u++)
            for (size_t gate = 0; gate < 4; gate++)
                m.p[row * m.ld + place(k, u, gate)] = 0;
    return m;
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

/* Sizes: every one up to three vectors and three more, but with wide vectors only those next to a
 * whole number. */
static bool worth_a_look(const lstm__kernels *k, size_t size)
{
    const size_t over = size % k->lanes;
    return size <= 4 || over <= 1 || over == k->lanes - 1 || over == k->lanes / 2;
}

static size_t largest(const lstm__kernels *k)
{
    return k->lanes == 1 ? 9 : 3 * k->lanes + 3;
}

/* ---- Packing */

static void test_packing_moves_every_weight_to_its_place_and_pads_with_zeros(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= largest(k); units++)
        for (size_t columns = 0; columns <= largest(k); columns++) {
            if (!worth_a_look(k, columns))
                continue;
            const size_t u = padded(k, units);
            const matrix w = make(columns, 4 * units, 5, 1, -1, 1);
            matrix gates = vector(columns * 4 * u, 0, 0, 1);
            matrix narrow = vector(columns * 4 * u, 0, 0, 1);
            matrix across = vector(padded(k, columns) * 4 * u, 0, 0, 1);
            k->pack_gates(units, columns, w.p, w.ld, gates.p);
            k->pack_narrow(units, columns, w.p, w.ld, narrow.p);
            k->pack_across(units, columns, w.p, w.ld, across.p);
            worst e = {0};
            const size_t panels = padded(k, columns) / k->lanes;
            const size_t groups = lstm__panels(k->cross_vectors, panels);
            for (size_t unit = 0; unit < u; unit++)
                for (size_t gate = 0; gate < 4; gate++)
                    for (size_t c = 0; c < padded(k, columns); c++) {
                        const double want = unit < units && c < columns
                                                ? at(w, c, gate * units + unit)
                                                : 0;
                        size_t first = 0; /* of the group that holds column c */
                        size_t wide = 0;
                        for (size_t g = 0; first + wide <= c; g++) {
                            first += wide;
                            wide = (panels / groups + (g < panels % groups)) * k->lanes;
                        }
                        compare(&e,
                                (double)across
                                    .p[first * 4 * u + place(k, unit, gate) * wide + c - first],
                                want, c, unit);
                        if (c >= columns)
                            continue;
                        compare(&e, (double)narrow.p[c * 4 * u + place(k, unit, gate)], want, c,
                                unit);
                        compare(&e,
                                (double)gates
                                    .p[((unit / k->lanes * columns + c) * 4 + gate) * k->lanes +
                                       unit % k->lanes],
                                want, c, unit);
                    }
            expect(e, 0, "packing", units);
            FINISH(w, gates, narrow, across);
        }
}

static void test_packing_adds_two_biases(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= largest(k); units++)
        for (int variant = 0; variant < 4; variant++) {
            const matrix first = vector(4 * units, 1, -1, 1);
            const matrix second = vector(4 * units, 2, -1, 1);
            matrix bias = vector(4 * padded(k, units), 0, 0, 1);
            k->pack_bias(units, variant & 1 ? first.p : NULL, variant & 2 ? second.p : NULL,
                         bias.p);
            worst e = {0};
            for (size_t u = 0; u < padded(k, units); u++)
                for (size_t gate = 0; gate < 4; gate++) {
                    double want = 0;
                    if (u < units)
                        want = (variant & 1 ? at(first, 0, gate * units + u) : 0) +
                               (variant & 2 ? at(second, 0, gate * units + u) : 0);
                    compare(&e, at(bias, 0, place(k, u, gate)), want, gate, u);
                }
            expect(e, CLOSE, "pack_bias", units);
            FINISH(first, second, bias);
        }
}

/* ---- Steps */

typedef struct forward_case {
    size_t rows, units, depth;
    bool single, start, keep, in_place, copy, turned;
} forward_case;

static void check_forward(const lstm__kernels *k, forward_case f)
{
    const size_t u = padded(k, f.units);
    const matrix a = make(f.rows, f.depth, 3, 1, -1, 1);
    const matrix w = make(f.depth, 4 * f.units, 0, 0, -0.5, 0.5);
    const matrix bias = vector(4 * f.units, 0, -1, 1);
    matrix packed = vector(f.depth * 4 * u, 0, 0, 1);
    matrix ordered = vector(4 * u, 0, 0, 1);
    matrix gates = make_gates(k, f.rows, f.units, -1, 1);
    const matrix start = copy_of(gates);
    const matrix before = make_cells(k, f.rows, f.units, -2, 2);
    matrix c = f.in_place ? copy_of(before) : make_cells(k, f.rows, f.units, 0, 0);
    matrix t = make_cells(k, f.rows, f.units, 0, 0);
    matrix h = make(f.rows, f.units, 7, 1, 0, 0);
    matrix y = make(f.rows, f.units, 2, 3, 0, 0);
    k->pack_gates(f.units, f.depth, w.p, w.ld, packed.p);
    k->pack_bias(f.units, bias.p, NULL, ordered.p);
    const lstm__step_forward s = {
        .rows = f.rows,
        .units = f.units,
        .k = f.depth,
        .single = f.single,
        .turned = f.turned,
        .a = a.p,
        .ld_a = a.ld,
        .packed = packed.p,
        .bias = ordered.p,
        .start = f.start ? gates.p : NULL,
        .ld_start = gates.ld,
        .gates = f.keep ? gates.p : NULL,
        .ld_gates = gates.ld,
        .c_previous = f.in_place ? c.p : before.p,
        .c = c.p,
        .tanh_c = f.keep ? t.p : NULL,
        .ld_cell = c.ld,
        .h = h.p,
        .ld_h = h.ld,
        .y = f.copy ? y.p : NULL,
        .ld_y = y.ld,
    };
    k->step_forward(&s, 0, u / k->lanes);
    worst e = {0};
    for (size_t row = 0; row < f.rows; row++)
        for (size_t unit = 0; unit < f.units; unit++) {
            double z[4];
            for (size_t gate = 0; gate < 4; gate++) {
                z[gate] = f.start ? at(start, row, place(k, unit, gate))
                                  : at(bias, 0, gate * f.units + unit);
                for (size_t d = 0; d < f.depth; d++)
                    z[gate] += at(a, row, d) * at(w, d, gate * f.units + unit);
            }
            const double want[4] = {sigmoid(z[0]), sigmoid(z[1]), tanh(z[2]), sigmoid(z[3])};
            const double cell = want[1] * at(before, row, unit) + want[0] * want[2];
            for (size_t gate = 0; f.keep && gate < 4; gate++)
                compare(&e, at(gates, row, place(k, unit, gate)), want[gate], row, unit);
            compare(&e, at(c, row, unit), cell, row, unit);
            compare(&e, at(t, row, unit), f.keep ? tanh(cell) : 0, row, unit);
            compare(&e, at(h, row, unit), want[3] * tanh(cell), row, unit);
            compare(&e, at(y, row, unit), f.copy ? want[3] * tanh(cell) : 0, row, unit);
        }
    expect(e, SUMS, "step_forward", f.units);
    for (size_t row = 0; row < f.rows; row++)
        for (size_t unit = f.units; unit < u; unit++)
            assert_true(c.p[row * c.ld + unit] == 0 && t.p[row * t.ld + unit] == 0);
    FINISH(a, w, bias, packed, ordered, gates, start, before, c, t, h, y);
}

static void test_step_forward_equals_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= largest(k); units++)
        for (size_t rows = 0; rows <= 13; rows++)
            if (worth_a_look(k, units) || rows == 7)
                for (int variant = 0; variant < 8; variant++)
                    check_forward(k, (forward_case){rows, units, (units + 5 * rows) % 23, false,
                                                    variant & 1, variant & 2, rows % 2,
                                                    variant % 4 == 1, variant & 4});
    for (size_t depth = 0; depth <= 20; depth++)
        for (int single = 0; single < 2; single++)
            check_forward(k, (forward_case){1, 5 * k->lanes + 2, depth, single, depth % 2, true,
                                            false, true, depth & 2});
}

/* Numbers from -limit to limit, near zero as dense as far from it, then the ends of what a float holds. */
static double sample_point(size_t k, size_t count, double limit)
{
    static const double ends[] = {INFINITY, -INFINITY, 3e38, -3e38, 1e10, -1e10, 0};
    enum { ENDS = sizeof ends / sizeof ends[0] };
    if (k < ENDS)
        return ends[k];
    const double part = 2.0 * (double)(k - ENDS) / (double)(count - ENDS - 1) - 1;
    return k % 2 ? limit * part : limit * part * exp(-20 * fabs(part));
}

/* Distance from y to what it should be, in units of the last place of a real. */
static double in_ulp(real y, double want)
{
    int exponent = 0;
    frexp(want, &exponent);
    return fabs((double)y - want) / ldexp(1, exponent - (sizeof(real) == 4 ? 24 : 53));
}

/* The cell alone, with sums that begin anywhere: each of its functions within the bounds that
 * functions_tpl.h states, sigmoids from where they are cut on. */
static void test_gates_of_a_step_stay_within_their_bounds(void **state)
{
    const lstm__kernels *const k = table(state);
    enum { ROWS = 997 };
    const size_t u = k->lanes;
    matrix gates = make_gates(k, ROWS, u, 0, 0);
    matrix start = make_gates(k, ROWS, u, 0, 0);
    const matrix before = make_cells(k, ROWS, u, 0, 0);
    matrix c = make_cells(k, ROWS, u, 0, 0);
    matrix t = make_cells(k, ROWS, u, 0, 0);
    matrix h = make(ROWS, u, 0, 0, 0, 0);
    matrix c_alone = make_cells(k, ROWS, u, 0, 0);
    matrix h_alone = make(ROWS, u, 0, 0, 0, 0);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t unit = 0; unit < u; unit++) {
            const size_t place_of = row * u + unit;
            for (size_t gate = 0; gate < 4; gate++)
                start.p[row * start.ld + place(k, unit, gate)] = (real)sample_point(
                    (place_of + gate * 31) % (ROWS * u), ROWS * u, gate == 2 ? 12 : 33.9);
            before.p[row * before.ld + unit] = (real)sample_point(place_of, ROWS * u, 10);
            if (!isfinite(before.p[row * before.ld + unit]) || place_of < 8)
                before.p[row * before.ld + unit] = 0;
        }
    lstm__step_forward s = {.rows = ROWS,
                            .units = u,
                            .start = start.p,
                            .ld_start = start.ld,
                            .gates = gates.p,
                            .ld_gates = gates.ld,
                            .c_previous = before.p,
                            .c = c.p,
                            .tanh_c = t.p,
                            .ld_cell = c.ld,
                            .h = h.p,
                            .ld_h = h.ld};
    k->step_forward(&s, 0, 1);
    s.gates = s.tanh_c = NULL;
    s.c = c_alone.p;
    s.h = h_alone.p;
    k->step_forward(&s, 0, 1);
    const double sigmoid_bound = sizeof(real) == 4 ? 4.5 : 8;
    const double tanh_bound = sizeof(real) == 4 ? 5.5 : 8;
    double worst_sigmoid = 0, worst_tanh = 0, worst_c = 0, worst_h = 0;
    for (size_t row = 0; row < ROWS; row++)
        for (size_t unit = 0; unit < u; unit++) {
            double a[4];
            for (size_t gate = 0; gate < 4; gate++) {
                const double x = at(start, row, place(k, unit, gate));
                a[gate] = at(gates, row, place(k, unit, gate));
                if (gate == 2)
                    worst_tanh = fmax(worst_tanh, in_ulp((real)a[gate], tanh(x)));
                else if (x >= -34)
                    worst_sigmoid = fmax(worst_sigmoid, in_ulp((real)a[gate], sigmoid(x)));
                else
                    assert_true(a[gate] >= 0 && a[gate] < 2e-15);
            }
            const double parts = fabs(a[1] * at(before, row, unit)) + fabs(a[0] * a[2]);
            const double cell = a[1] * at(before, row, unit) + a[0] * a[2];
            worst_c = fmax(worst_c, fabs(at(c, row, unit) - cell) / (parts + 1e-300));
            worst_c = fmax(worst_c, fabs(at(c_alone, row, unit) - cell) / (parts + 1e-300));
            worst_tanh = fmax(worst_tanh, in_ulp((real)at(t, row, unit), tanh(at(c, row, unit))));
            const double out = a[3] * tanh(at(c_alone, row, unit));
            worst_h = fmax(worst_h, fabs(at(h_alone, row, unit) - out) / (fabs(out) + 1e-300));
        }
    const double unit = sizeof(real) == 4 ? 0x1p-24 : 0x1p-53;
    print_message("%s: sigmoid %.2f ulp, tanh %.2f ulp, c %.1f, h %.1f roundings\n", k->name,
                  worst_sigmoid, worst_tanh, worst_c / unit, worst_h / unit);
    assert_true(worst_sigmoid <= sigmoid_bound);
    assert_true(worst_tanh <= tanh_bound);
    assert_true(worst_c <= 24 * unit);
    assert_true(worst_h <= 24 * unit);
    FINISH(gates, start, before, c, t, h, c_alone, h_alone);
}

/* A sum that is no number makes the output none, at all places of the cell. */
static void test_nan_comes_through_a_step(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t gate = 0; gate < 4; gate++)
        for (int keep = 0; keep < 2; keep++) {
            matrix start = make_gates(k, 1, 1, 0, 0);
            const matrix before = make_cells(k, 1, 1, 1, 2);
            matrix c = make_cells(k, 1, 1, 0, 0);
            matrix t = make_cells(k, 1, 1, 0, 0);
            matrix h = make(1, 1, 0, 0, 0, 0);
            start.p[place(k, 0, gate)] = NAN;
            const lstm__step_forward s = {.rows = 1,
                                          .units = 1,
                                          .start = start.p,
                                          .ld_start = start.ld,
                                          .gates = keep ? start.p : NULL,
                                          .ld_gates = start.ld,
                                          .c_previous = before.p,
                                          .c = c.p,
                                          .tanh_c = keep ? t.p : NULL,
                                          .ld_cell = c.ld,
                                          .h = h.p,
                                          .ld_h = h.ld};
            k->step_forward(&s, 0, 1);
            assert_true(isnan(h.p[0]));
            assert_true(gate == 3 || isnan(c.p[0]));
            FINISH(start, before, c, t, h);
        }
}

static void check_backward(const lstm__kernels *k, size_t rows, size_t units, int variant)
{
    const bool single = rows == 1 && (variant & 2);
    const size_t u = padded(k, units);
    const bool has_next = variant & 1, has_dy = variant & 2, has_extra = variant & 4;
    const matrix next = make_gates(k, rows, units, -1, 1);
    const matrix w = make(units, 4 * units, 1, 0, -0.5, 0.5);
    matrix packed = vector(u * 4 * u, 0, 0, 1);
    matrix gates = make_gates(k, rows, units, 0.01, 0.99);
    const matrix forward = copy_of(gates);
    const matrix before = make_cells(k, rows, units, -2, 2);
    const matrix t = make_cells(k, rows, units, -0.99, 0.99);
    matrix dc = make_cells(k, rows, units, -1, 1);
    const matrix dc_in = copy_of(dc);
    const matrix dy = make(rows, units, 5, 1, -1, 1);
    const matrix extra = make(rows, units, 2, 3, -1, 1);
    k->pack_across(units, units, w.p, w.ld, packed.p);
    const lstm__step_backward s = {
        .rows = rows,
        .units = units,
        .single = single,
        .turned = variant & 8,
        .next = has_next ? next.p : NULL,
        .ld_next = next.ld,
        .packed = packed.p,
        .gates = gates.p,
        .ld_gates = gates.ld,
        .c_previous = before.p,
        .tanh_c = t.p,
        .dc = dc.p,
        .ld_cell = dc.ld,
        .dy = has_dy ? dy.p : NULL,
        .ld_dy = dy.ld,
        .extra = has_extra ? extra.p : NULL,
        .ld_extra = extra.ld,
    };
    k->step_backward(&s, 0, lstm__panels(k->cross_vectors, u / k->lanes));
    worst e = {0};
    for (size_t row = 0; row < rows; row++)
        for (size_t unit = 0; unit < units; unit++) {
            double g[4];
            double dh = (has_dy ? at(dy, row, unit) : 0) + (has_extra ? at(extra, row, unit) : 0);
            for (size_t gate = 0; gate < 4; gate++) {
                g[gate] = at(forward, row, place(k, unit, gate));
                for (size_t j = 0; has_next && j < units; j++)
                    dh += at(next, row, place(k, j, gate)) * at(w, unit, gate * units + j);
            }
            const double th = at(t, row, unit);
            const double cell = at(dc_in, row, unit) + dh * g[3] * (1 - th * th);
            const double want[4] = {cell * g[2] * g[0] * (1 - g[0]),
                                    cell * at(before, row, unit) * g[1] * (1 - g[1]),
                                    cell * g[0] * (1 - g[2] * g[2]), dh * th * g[3] * (1 - g[3])};
            for (size_t gate = 0; gate < 4; gate++)
                compare(&e, at(gates, row, place(k, unit, gate)), want[gate], row, unit);
            compare(&e, at(dc, row, unit), cell * g[1], row, unit);
        }
    expect(e, SUMS, "step_backward", units);
    for (size_t row = 0; row < rows; row++)
        for (size_t unit = units; unit < u; unit++)
            for (size_t gate = 0; gate < 4; gate++)
                assert_true(gates.p[row * gates.ld + place(k, unit, gate)] == 0);
    FINISH(next, w, packed, gates, forward, before, t, dc, dc_in, dy, extra);
}

static void test_step_backward_equals_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 0; units <= 2 * largest(k); units++)
        for (size_t rows = 0; rows <= 13; rows++)
            if (worth_a_look(k, units) || rows == 7)
                check_backward(k, rows, units, (int)(units + rows) % 16);
    for (int variant = 0; variant < 16; variant++)
        check_backward(k, 7, largest(k), variant);
    for (size_t units = 1; units <= 2 * largest(k); units++)
        check_backward(k, 1, units, units % 2 ? 7 : 15);
}

/* ---- Products */

static void check_products(const lstm__kernels *k, size_t rows, size_t units, size_t columns,
                           int variant)
{
    const size_t u = padded(k, units);
    const bool add = variant & 1, narrow = columns <= LSTM__NARROW && (variant & 2);
    const matrix d = make_gates(k, rows, units, -1, 1);
    const matrix w = make(columns, 4 * units, 1, 1, -0.5, 0.5);
    const matrix x = make(rows, columns, 3, 1, -1, 1);
    const matrix bias = make_gates(k, 1, units, -1, 1);
    matrix packed = vector(padded(k, columns) * 4 * u, 0, 0, 1);
    matrix back = make(rows, columns, 2, 1, -1, 1);
    const matrix back_in = copy_of(back);
    matrix ahead = make_gates(k, rows, units, 0, 0);
    (narrow ? k->pack_narrow : k->pack_across)(units, columns, w.p, w.ld, packed.p);
    const lstm__multiplication p = {.rows = rows,
                                    .k = 4 * u,
                                    .a = d.p,
                                    .ld_a = d.ld,
                                    .b = packed.p,
                                    .c = back.p,
                                    .ld_c = back.ld,
                                    .accumulate = add};
    (narrow ? k->multiply_narrow : k->multiply_across)(&p, columns);
    k->pack_gates(units, columns, w.p, w.ld, packed.p);
    const lstm__multiplication q = {.rows = rows,
                                    .k = columns,
                                    .a = x.p,
                                    .ld_a = x.ld,
                                    .b = packed.p,
                                    .bias = variant & 4 ? bias.p : NULL,
                                    .c = ahead.p,
                                    .ld_c = ahead.ld};
    k->multiply_gates(&q, units);
    worst e = {0};
    for (size_t row = 0; row < rows; row++) {
        for (size_t c = 0; c < columns; c++) {
            double sum = add ? at(back_in, row, c) : 0;
            for (size_t unit = 0; unit < units; unit++)
                for (size_t gate = 0; gate < 4; gate++)
                    sum += at(d, row, place(k, unit, gate)) * at(w, c, gate * units + unit);
            compare(&e, at(back, row, c), sum, row, c);
        }
        for (size_t unit = 0; unit < units && columns > 0; unit++)
            for (size_t gate = 0; gate < 4; gate++) {
                double sum = q.bias ? at(bias, 0, place(k, unit, gate)) : 0;
                for (size_t c = 0; c < columns; c++)
                    sum += at(x, row, c) * at(w, c, gate * units + unit);
                compare(&e, at(ahead, row, place(k, unit, gate)), sum, row, unit);
            }
    }
    expect(e, SUMS, "products", units);
    FINISH(d, w, x, bias, packed, back, back_in, ahead);
}

static void test_products_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 1; units <= largest(k); units++)
        for (size_t columns = 0; columns <= 2 * largest(k); columns++)
            if (worth_a_look(k, units) && worth_a_look(k, columns))
                check_products(k, (units + columns) % 14, units, columns,
                               (int)(units + columns) % 8);
    for (int variant = 0; variant < 8; variant++) {
        check_products(k, 7, 140, 3, variant);
        check_products(k, 7, 140, 9, variant);
        check_products(k, 7, 3, DEEP, variant);
        check_products(k, 190, 6, 7, variant);
    }
}

static void check_outer(const lstm__kernels *k, size_t rows, size_t inputs, size_t units)
{
    const size_t panels = padded(k, units) / k->lanes;
    const matrix a = make(rows, inputs, 3, 1, -1, 1);
    const matrix d = make_gates(k, rows, units, -1, 1);
    matrix dw = make(inputs, 4 * units, 0, 1, -1, 1);
    matrix db = vector(4 * units, 1, -1, 1);
    matrix shared_dw = copy_of(dw);
    matrix shared_db = copy_of(db);
    real *scratch = aligned_alloc(64, LSTM__OUTER_SCRATCH * sizeof(real));
    assert_non_null(scratch);
    lstm__outer o = {.rows = rows,
                     .inputs = inputs,
                     .units = units,
                     .a = a.p,
                     .ld_a = a.ld,
                     .d = d.p,
                     .ld_d = d.ld,
                     .dw = dw.p,
                     .db = db.p,
                     .scratch = scratch};
    k->outer_gates(&o, 0, panels);
    o.dw = shared_dw.p;
    o.db = NULL;
    k->outer_gates(&o, panels / 2, panels);
    k->outer_gates(&o, 0, panels / 2);
    o.dw = NULL;
    o.db = shared_db.p;
    k->outer_gates(&o, 0, panels);
    worst e = {0};
    for (size_t column = 0; column < 4 * units; column++) {
        const size_t from = place(k, column % units, column / units);
        double total = 0;
        for (size_t row = 0; row < rows; row++)
            total += at(d, row, from);
        compare(&e, at(db, 0, column), total, inputs, column);
        for (size_t input = 0; input < inputs; input++) {
            double sum = 0;
            for (size_t row = 0; row < rows; row++)
                sum += at(a, row, input) * at(d, row, from);
            compare(&e, at(dw, input, column), sum, input, column);
        }
    }
    expect(e, SUMS, "outer_gates", units);
    free(scratch);
    assert_memory_equal(dw.block, shared_dw.block, dw.total * sizeof(real));
    assert_memory_equal(db.block, shared_db.block, db.total * sizeof(real));
    FINISH(a, d, dw, db, shared_dw, shared_db);
}

static void test_weight_gradient_equals_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t units = 1; units <= largest(k); units++)
        for (size_t inputs = 1; inputs <= 27; inputs++)
            if (worth_a_look(k, units))
                check_outer(k, (units + 3 * inputs) % 17, inputs, units);
    check_outer(k, DEEP, 13, k->lanes + 3);
    check_outer(k, DEEP, 240, 2 * k->lanes);
    check_outer(k, 77, 300, 300);
    check_outer(k, 0, 5, 3);
}

/* ---- Bits */

static void test_bits_of_a_row_do_not_depend_on_the_rows_around_it(void **state)
{
    const lstm__kernels *const k = table(state);
    enum { ROWS = 23 };
    const size_t units = 2 * k->lanes + 1;
    const size_t u = padded(k, units);
    const matrix a = make(ROWS, DEEP, 0, 0, -1, 1);
    const matrix w = make(DEEP, 4 * units, 0, 0, -0.1, 0.1);
    matrix packed = vector(DEEP * 4 * u, 0, 0, 1);
    matrix bias = make_gates(k, 1, units, -1, 1);
    matrix c = make_cells(k, ROWS, units, -1, 1);
    matrix same = copy_of(c);
    matrix h = make(ROWS, units, 0, 0, 0, 0);
    matrix also = copy_of(h);
    matrix out = make_gates(k, ROWS, units, 0, 0);
    matrix again = copy_of(out);
    k->pack_gates(units, DEEP, w.p, w.ld, packed.p);
    lstm__step_forward s = {.rows = ROWS,
                            .units = units,
                            .k = DEEP,
                            .a = a.p,
                            .ld_a = a.ld,
                            .packed = packed.p,
                            .bias = bias.p,
                            .c_previous = c.p,
                            .c = c.p,
                            .ld_cell = c.ld,
                            .h = h.p,
                            .ld_h = h.ld};
    lstm__multiplication p = {.rows = ROWS,
                              .k = DEEP,
                              .a = a.p,
                              .ld_a = a.ld,
                              .b = packed.p,
                              .bias = bias.p,
                              .c = out.p,
                              .ld_c = out.ld};
    k->step_forward(&s, 0, u / k->lanes);
    k->multiply_gates(&p, units);
    for (size_t first = 0, count = 1; first < ROWS; first += count, count = count % 7 + 1) {
        s.rows = p.rows = count < ROWS - first ? count : ROWS - first;
        s.a = p.a = a.p + first * a.ld;
        s.c_previous = s.c = same.p + first * same.ld;
        s.h = also.p + first * also.ld;
        p.c = again.p + first * again.ld;
        k->step_forward(&s, 1, u / k->lanes);
        k->step_forward(&s, 0, 1);
        k->multiply_gates(&p, units);
    }
    assert_memory_equal(c.block, same.block, c.total * sizeof(real));
    assert_memory_equal(h.block, also.block, h.total * sizeof(real));
    assert_memory_equal(out.block, again.block, out.total * sizeof(real));
    FINISH(a, w, packed, bias, c, same, h, also, out, again);
}

#define LEVEL_TESTS(level)                                                               \
    LEVEL_TEST(test_packing_moves_every_weight_to_its_place_and_pads_with_zeros, level), \
        LEVEL_TEST(test_packing_adds_two_biases, level),                                 \
        LEVEL_TEST(test_step_forward_equals_reference, level),                           \
        LEVEL_TEST(test_gates_of_a_step_stay_within_their_bounds, level),                \
        LEVEL_TEST(test_nan_comes_through_a_step, level),                                \
        LEVEL_TEST(test_step_backward_equals_reference, level),                          \
        LEVEL_TEST(test_products_equal_reference, level),                                \
        LEVEL_TEST(test_weight_gradient_equals_reference, level),                        \
        LEVEL_TEST(test_bits_of_a_row_do_not_depend_on_the_rows_around_it, level)

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
