/* SPDX-License-Identifier: MIT
 *
 * Activations with numbers of their own at every level that this CPU supports, against the formulas
 * of lstm.h in double, and their slopes against the derivative: all sizes up to three vectors and
 * three more, in place, added to what is there, and at the ends of the range. Without numbers they
 * are the plain activations, bit for bit.
 *
 * Compiled a second time with LSTM__DOUBLE for the table of the gradient checks.
 */
#include "activation_reference.h"
#include "kernel_checks.h"

static const lstm__activation shaped[] = {{LSTM_ACTIVATION_LINEAR, (real)0.9, (real)0.1},
                                          {LSTM_ACTIVATION_LINEAR, (real)-2, 0},
                                          {LSTM_ACTIVATION_TANH, (real)1.7, (real)0.6},
                                          {LSTM_ACTIVATION_TANH, (real)-0.5, (real)-2},
                                          {LSTM_ACTIVATION_RELU, (real)0.25, 0},
                                          {LSTM_ACTIVATION_RELU, 0, (real)0.5},
                                          {LSTM_ACTIVATION_RELU, (real)0.25, (real)0.5},
                                          {LSTM_ACTIVATION_ELU, (real)0.5, 0},
                                          {LSTM_ACTIVATION_ELU, (real)3, 0},
                                          {LSTM_ACTIVATION_HARD_SIGMOID, (real)0.25, 0},
                                          {LSTM_ACTIVATION_HARD_SIGMOID, (real)-0.4, 1}};

enum { COUNT = sizeof shaped / sizeof *shaped };

static double value(lstm__activation f, double x)
{
    const double a = (double)f.alpha;
    const double b = (double)f.beta;
    switch (f.kind) {
    case LSTM_ACTIVATION_TANH:
        return a * tanh(b * x);
    case LSTM_ACTIVATION_RELU:
        return x > b ? x : a * (x - b);
    case LSTM_ACTIVATION_ELU:
        return x > 0 ? x : a * expm1(x);
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return fmin(1, fmax(0, a * x + b));
    default:
        return a * x + b;
    }
}

/* By x itself, not by the value. */
static double derivative(lstm__activation f, double x)
{
    const double a = (double)f.alpha;
    const double b = (double)f.beta;
    switch (f.kind) {
    case LSTM_ACTIVATION_TANH:
        return a * b * (1 - tanh(b * x) * tanh(b * x));
    case LSTM_ACTIVATION_RELU:
        return x > b ? 1 : a;
    case LSTM_ACTIVATION_ELU:
        return x > 0 ? 1 : a * exp(x);
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return a * x + b > 0 && a * x + b < 1 ? a : 0;
    default:
        return a;
    }
}

static size_t largest(const lstm__kernels *k)
{
    return k->lanes == 1 ? 9 : 3 * k->lanes + 3;
}

static void test_activations_with_numbers_equal_their_formulas(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t size = 0; size <= largest(k); size++)
        for (size_t which = 0; which < COUNT; which++) {
            const lstm__activation f = shaped[which];
            const matrix x = vector(size, which % 3, -4, 4);
            const matrix y = vector(size, 1, -1, 1);
            const matrix dy = vector(size, 0, -1, 1);
            const matrix dx = vector(size, 2, -1, 1);
            const matrix before = copy_of(dx);
            const matrix in_place = copy_of(x);
            worst e = {0};
            k->shaped_forward(f, size, x.p, y.p);
            k->shaped_forward(f, size, in_place.p, in_place.p);
            k->shaped_backward(f, size, y.p, dy.p, dx.p, 1);
            k->shaped_backward(f, size, y.p, dy.p, dy.p, 0);
            for (size_t c = 0; c < size; c++) {
                compare(&e, at(y, 0, c), value(f, at(x, 0, c)), which, c);
                assert_true(in_place.p[c] == y.p[c]);
                /* dx = before + d, dy = d */
                compare(&e, at(dx, 0, c), at(before, 0, c) + at(dy, 0, c), which, c);
            }
            expect(e, 4 * CLOSE, "activation with numbers", size);
            finish(x);
            finish(y);
            finish(dy);
            finish(dx);
            finish(before);
            finish(in_place);
        }
}

static void test_slopes_are_those_of_the_argument(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t which = 0; which < COUNT; which++) {
        enum { SIZE = 203 };
        const lstm__activation f = shaped[which];
        const matrix x = vector(SIZE, 0, -4, 4);
        const matrix y = vector(SIZE, 0, 0, 1);
        const matrix d = vector(SIZE, 0, 1, 1);
        worst e = {0};
        k->shaped_forward(f, SIZE, x.p, y.p);
        k->shaped_backward(f, SIZE, y.p, d.p, d.p, 0);
        for (size_t c = 0; c < SIZE; c++)
            compare(&e, at(d, 0, c), derivative(f, at(x, 0, c)), which, c);
        expect(e, 16 * CLOSE, "slope with numbers", SIZE);
        finish(x);
        finish(y);
        finish(d);
    }
}

static void test_ends_of_the_range_are_kept(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t which = 0; which < COUNT; which++) {
        const lstm__activation f = shaped[which];
        real x[3] = {(real)INFINITY, (real)-INFINITY, (real)NAN};
        real y[3];
        k->shaped_forward(f, 3, x, y);
        assert_true(isnan(y[2]));
        for (size_t c = 0; c < 2; c++) {
            const double want = value(f, (double)x[c]);
            if (isfinite(want))
                assert_true(fabs((double)y[c] - want) <= CLOSE * (1 + fabs(want)));
            else if (!isnan(want)) /* a flat side is flat */
                assert_true((double)y[c] == want || fabs((double)y[c]) > 1e28);
            else
                assert_true(y[c] == 0);
        }
    }
}

static void test_without_numbers_they_are_the_plain_ones(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t which = 0; which < ACTIVATION_COUNT; which++) {
        enum { SIZE = 37 };
        const lstm__activation f = {activations[which], 0, 0};
        const matrix x = vector(SIZE, 0, -4, 4);
        const matrix plain = copy_of(x);
        const matrix back = vector(SIZE, 0, -1, 1);
        const matrix plain_back = copy_of(back);
        k->shaped_forward(f, SIZE, x.p, x.p);
        k->activation_forward(f.kind, SIZE, plain.p, plain.p);
        k->shaped_backward(f, SIZE, x.p, x.p, back.p, 1);
        k->activation_backward(f.kind, SIZE, plain.p, plain.p, plain_back.p, 1);
        assert_memory_equal(x.p, plain.p, SIZE * sizeof *x.p);
        assert_memory_equal(back.p, plain_back.p, SIZE * sizeof *back.p);
        finish(x);
        finish(plain);
        finish(back);
        finish(plain_back);
    }
}

#define TESTS(level)                                                       \
    LEVEL_TEST(test_activations_with_numbers_equal_their_formulas, level), \
        LEVEL_TEST(test_slopes_are_those_of_the_argument, level),          \
        LEVEL_TEST(test_ends_of_the_range_are_kept, level),                \
        LEVEL_TEST(test_without_numbers_they_are_the_plain_ones, level)

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef LSTM__DOUBLE
        TESTS(GENERIC),
#else
        TESTS(GENERIC),
        TESTS(AVX2),
        TESTS(AVX512),
        TESTS(NEON),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
