/* SPDX-License-Identifier: MIT
 *
 * Every kernel of every level that this CPU supports, against a plain double reference: all sizes
 * from 0 to 70, rows farther apart than they are long, pointers off alignment, and the memory
 * around every array unchanged. The functions exp, tanh, sigmoid are swept over all magnitudes,
 * denormals, infinities and NaN, and held to the bounds that functions_tpl.h states.
 *
 * Compiled a second time with LSTM__DOUBLE for the table of the gradient checks.
 */
#include "activation_reference.h"
#include "kernel_checks.h"

enum { MOST = 70 };

/* ---- Activations ------------------------------------------------------------------------------------------------ */

static void test_activations_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t count = 0; count <= MOST; count++)
        for (size_t a = 0; a < ACTIVATION_COUNT; a++)
            for (size_t shift = 0; shift < 2; shift++) {
                const matrix x = vector(count, shift, -5, 5);
                matrix y = vector(count, 1 - shift, 0, 1);
                matrix same = copy_of(x);
                k->activation_forward(activations[a], count, x.p, y.p);
                k->activation_forward(activations[a], count, same.p, same.p);
                worst w = {0};
                for (size_t e = 0; e < count; e++) {
                    const double want = activate(activations[a], at(x, 0, e));
                    compare(&w, at(y, 0, e), want, a, e);
                    compare(&w, at(same, 0, e), at(y, 0, e), a, e);
                }
                expect(w, CLOSE, "activation_forward", count);
                finish(x);
                finish(y);
                finish(same);
            }
}

static void test_activation_gradients_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t count = 0; count <= MOST; count++)
        for (size_t a = 0; a < ACTIVATION_COUNT; a++)
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                matrix y = vector(count, 1, -3, 3);
                k->activation_forward(activations[a], count, y.p, y.p);
                const matrix dy = vector(count, 2, -1, 1);
                matrix dx = vector(count, 3, -1, 1);
                const matrix before = copy_of(dx);
                matrix same = copy_of(dy);
                k->activation_backward(activations[a], count, y.p, dy.p, dx.p, accumulate);
                k->activation_backward(activations[a], count, y.p, same.p, same.p, 0);
                worst w = {0};
                for (size_t e = 0; e < count; e++) {
                    const double want = at(dy, 0, e) * slope(activations[a], at(y, 0, e));
                    compare(&w, at(same, 0, e), want, a, e);
                    compare(&w, at(dx, 0, e), want + (accumulate ? at(before, 0, e) : 0), a, e);
                }
                expect(w, 4 * CLOSE, "activation_backward", count);
                const matrix all[] = {y, dy, dx, before, same};
                for (size_t m = 0; m < sizeof all / sizeof all[0]; m++)
                    finish(all[m]);
            }
}

static void check_softmax(const lstm__kernels *k, size_t columns, size_t gap, int accumulate)
{
    enum { ROWS = 4 };
    const matrix x = make(ROWS, columns, gap, gap, -30, 30);
    matrix y = make(ROWS, columns, 2 * gap, gap, 0, 1);
    matrix same = copy_of(x);
    const matrix dy = make(ROWS, columns, gap, 1, -1, 1);
    matrix dx = make(ROWS, columns, 0, gap, -1, 1);
    const matrix before = copy_of(dx);
    k->softmax_forward(ROWS, columns, x.p, x.ld, y.p, y.ld);
    k->softmax_forward(ROWS, columns, same.p, same.ld, same.p, same.ld);
    k->softmax_backward(ROWS, columns, y.p, y.ld, dy.p, dy.ld, dx.p, dx.ld, accumulate);
    worst w = {0};
    for (size_t r = 0; r < ROWS && columns > 0; r++) {
        double most = -INFINITY, sum = 0, product = 0;
        for (size_t c = 0; c < columns; c++)
            most = fmax(most, at(x, r, c));
        for (size_t c = 0; c < columns; c++)
            sum += exp(at(x, r, c) - most);
        for (size_t c = 0; c < columns; c++)
            product += at(dy, r, c) * at(y, r, c);
        for (size_t c = 0; c < columns; c++) {
            compare(&w, at(y, r, c), exp(at(x, r, c) - most) / sum, r, c);
            compare(&w, at(same, r, c), at(y, r, c), r, c);
            compare(&w, at(dx, r, c),
                    at(y, r, c) * (at(dy, r, c) - product) + (accumulate ? at(before, r, c) : 0), r,
                    c);
        }
    }
    expect(w, CLOSE, "softmax", columns);
    const matrix all[] = {x, y, same, dy, dx, before};
    for (size_t m = 0; m < sizeof all / sizeof all[0]; m++)
        finish(all[m]);
}

static void test_softmax_equals_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t columns = 0; columns <= MOST; columns++)
        for (int variant = 0; variant < 4; variant++)
            check_softmax(k, columns, variant & 1 ? 3 : 0, variant >> 1);
}

static void test_softmax_passes_on_nan_and_survives_large_numbers(void **state)
{
    const lstm__kernels *const k = table(state);
    real x[37];
    for (size_t bad = 0; bad < 37; bad++) {
        for (size_t e = 0; e < 37; e++)
            x[e] = (real)1e30;
        k->softmax_forward(1, 37, x, 37, x, 37);
        assert_true(fabs((double)x[5] * 37 - 1) < 1e-6);
        x[bad] = (real)NAN;
        k->softmax_forward(1, 37, x, 37, x, 37);
        for (size_t e = 0; e < 37; e++)
            assert_true(isnan(x[e]));
    }
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static void check_rows(const lstm__kernels *k, size_t rows, size_t columns, size_t gap, int flag)
{
    const matrix x = make(rows, columns, gap, 1, -1, 1);
    const matrix bias = vector(columns, 1, -1, 1);
    matrix filled = make(rows, columns, gap, 0, 0, 1);
    matrix copied = make(rows, columns, 2 * gap, 1, 0, 1);
    const matrix copied_before = copy_of(copied);
    matrix sum = vector(columns, 1, -1, 1);
    const matrix sum_before = copy_of(sum);
    k->fill_rows(rows, columns, flag ? bias.p : NULL, filled.p, filled.ld);
    k->copy_rows(rows, columns, x.p, x.ld, copied.p, copied.ld, flag);
    k->column_sum(rows, columns, x.p, x.ld, sum.p, flag);
    worst w = {0};
    worst sums = {0};
    for (size_t c = 0; c < columns; c++) {
        double total = flag ? at(sum_before, 0, c) : 0;
        for (size_t r = 0; r < rows; r++) {
            total += at(x, r, c);
            compare(&w, at(filled, r, c), flag ? at(bias, 0, c) : 0, r, c);
            compare(&w, at(copied, r, c), at(x, r, c) + (flag ? at(copied_before, r, c) : 0), r, c);
        }
        compare(&sums, at(sum, 0, c), total, 0, c);
    }
    expect(w, CLOSE, "fill_rows and copy_rows", columns);
    expect(sums, 8 * CLOSE, "column_sum", columns); /* up to 200 terms, which may cancel */
    const matrix all[] = {x, bias, filled, copied, copied_before, sum, sum_before};
    for (size_t m = 0; m < sizeof all / sizeof all[0]; m++)
        finish(all[m]);
}

static void test_row_kernels_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    static const size_t rows[] = {0, 1, 2, 63, 64, 65, 200};
    for (size_t columns = 0; columns <= MOST; columns++)
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            for (int variant = 0; variant < 4; variant++)
                check_rows(k, rows[r], columns, variant & 1 ? 3 : 0, variant >> 1);
}

static void test_array_kernels_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t count = 0; count <= 3 * MOST; count++) {
        const matrix x = vector(count, count % 3, -2, 2);
        matrix scaled = copy_of(x);
        matrix clipped = copy_of(x);
        k->scale(count, (real)0.3, scaled.p);
        k->clip(count, (real)0.75, clipped.p);
        double sum = 0;
        worst w = {0};
        for (size_t e = 0; e < count; e++) {
            sum += at(x, 0, e) * at(x, 0, e);
            compare(&w, at(scaled, 0, e), (double)(real)0.3 * at(x, 0, e), 0, e);
            compare(&w, at(clipped, 0, e), fmax(-0.75, fmin(0.75, at(x, 0, e))), 0, e);
        }
        expect(w, CLOSE, "scale and clip", count);
        const double got = k->sum_squares(count, x.p);
        if (!(fabs(got - sum) <= 1e-13 * (1 + sum)))
            fail_msg("sum_squares of %zu: %.17g, expected %.17g", count, got, sum);
        finish(x);
        finish(scaled);
        finish(clipped);
    }
}

static void test_sum_squares_does_not_depend_on_alignment(void **state)
{
    const lstm__kernels *const k = table(state);
    const matrix x = vector(1001, 0, -2, 2);
    const double want = k->sum_squares(1001, x.p);
    real *const room = malloc((1001 + 32) * sizeof *room);
    assert_non_null(room);
    for (size_t shift = 0; shift < 32; shift++) {
        memcpy(room + shift, x.p, 1001 * sizeof *room);
        assert_true(k->sum_squares(1001, room + shift) == want);
    }
    free(room);
    finish(x);
}

static void test_clip_and_scale_let_nan_through(void **state)
{
    const lstm__kernels *const k = table(state);
    real x[5] = {(real)NAN, (real)INFINITY, (real)-INFINITY, 1, 2};
    k->clip(5, 1, x);
    assert_true(isnan(x[0]) && x[1] == 1 && x[2] == -1 && x[3] == 1 && x[4] == 1);
    k->scale(5, 2, x);
    assert_true(isnan(x[0]) && x[1] == 2);
    assert_true(isnan(k->sum_squares(5, x)));
}

/* ---- Optimizers ------------------------------------------------------------------------------------------------- */

typedef struct optimizer_arrays {
    matrix w, g, m, v, a;      /* worked on by the kernel */
    matrix w0, g0, m0, v0, a0; /* as they were */
} optimizer_arrays;

static optimizer_arrays make_arrays(size_t count)
{
    optimizer_arrays r;
    r.w = vector(count, 1, -1, 1);
    r.g = vector(count, 2, -1, 1);
    r.m = vector(count, 3, -1, 1);
    r.v = vector(count, 1, 1, 2);
    r.a = vector(count, 0, 0, 2);
    r.w0 = copy_of(r.w);
    r.g0 = copy_of(r.g);
    r.m0 = copy_of(r.m);
    r.v0 = copy_of(r.v);
    r.a0 = copy_of(r.a);
    return r;
}

static void finish_arrays(optimizer_arrays r)
{
    const matrix all[] = {r.w, r.g, r.m, r.v, r.a, r.w0, r.g0, r.m0, r.v0, r.a0};
    for (size_t m = 0; m < sizeof all / sizeof all[0]; m++)
        finish(all[m]);
}

static void check_adam(const lstm__kernels *k, size_t count, int amsgrad, double coupled,
                       double decay)
{
    optimizer_arrays r = make_arrays(count);
    const lstm__adam_step s = {(real)0.01,  (real)0.9,     (real)0.99, (real)1e-3,
                               (real)decay, (real)coupled, (real)1.5,  0};
    k->adam(count, &s, r.w.p, r.g.p, r.m.p, r.v.p, amsgrad ? r.a.p : NULL);
    worst worst_ = {0};
    for (size_t e = 0; e < count; e++) {
        const double w = at(r.w0, 0, e);
        const double g = at(r.g0, 0, e) + coupled * w;
        const double m = 0.9 * at(r.m0, 0, e) + 0.1 * g;
        const double v = 0.99 * at(r.v0, 0, e) + 0.01 * g * g;
        const double most = amsgrad ? fmax(v, at(r.a0, 0, e)) : v;
        compare(&worst_, at(r.m, 0, e), m, 0, e);
        compare(&worst_, at(r.v, 0, e), v, 0, e);
        compare(&worst_, at(r.a, 0, e), amsgrad ? most : at(r.a0, 0, e), 0, e);
        compare(&worst_, at(r.g, 0, e), at(r.g0, 0, e), 0, e);
        compare(&worst_, at(r.w, 0, e), w - decay * w - 0.01 * m / (sqrt(most) * 1.5 + 1e-3), 0, e);
    }
    expect(worst_, CLOSE, "adam", count);
    finish_arrays(r);
}

static void check_sgd(const lstm__kernels *k, size_t count, int variant)
{
    optimizer_arrays r = make_arrays(count);
    const int has_momentum = variant & 1, nesterov = variant >> 1 & 1, keras = variant >> 2 & 1,
              first = variant >> 3;
    const lstm__sgd_step s = {(real)0.1,  (real)0.9, (real)0.25, (real)0.01,
                              (real)0.02, nesterov,  keras,      first};
    k->sgd(count, &s, r.w.p, r.g.p, has_momentum ? r.m.p : NULL);
    worst worst_ = {0};
    for (size_t e = 0; e < count; e++) {
        const double g = at(r.g0, 0, e) + 0.02 * at(r.w0, 0, e);
        double w = at(r.w0, 0, e) * (1 - 0.01);
        double m = at(r.m0, 0, e);
        if (!has_momentum) {
            w -= 0.1 * g;
        } else if (keras) {
            m = 0.9 * m - 0.1 * g;
            w += nesterov ? 0.9 * m - 0.1 * g : m;
        } else {
            m = first ? g : 0.9 * m + 0.75 * g;
            w -= 0.1 * (nesterov ? g + 0.9 * m : m);
        }
        compare(&worst_, at(r.w, 0, e), w, 0, e);
        compare(&worst_, at(r.m, 0, e), m, 0, e);
        compare(&worst_, at(r.g, 0, e), at(r.g0, 0, e), 0, e);
    }
    expect(worst_, CLOSE, "sgd", count);
    finish_arrays(r);
}

static void check_rmsprop(const lstm__kernels *k, size_t count, int variant)
{
    optimizer_arrays r = make_arrays(count);
    const int has_momentum = variant & 1, centered = variant >> 1 & 1, keras = variant >> 2;
    const lstm__rmsprop_step s = {(real)0.1,  (real)0.9,  (real)0.5, (real)1e-2,
                                  (real)0.01, (real)0.02, keras};
    /* a mean whose square is below the mean square, as in earnest */
    for (size_t e = 0; e < count; e++) {
        r.a.p[e] *= (real)0.25;
        r.a0.p[e] = r.a.p[e];
    }
    k->rmsprop(count, &s, r.w.p, r.g.p, r.v.p, has_momentum ? r.m.p : NULL,
               centered ? r.a.p : NULL);
    worst worst_ = {0};
    for (size_t e = 0; e < count; e++) {
        const double g = at(r.g0, 0, e) + 0.02 * at(r.w0, 0, e);
        const double v = 0.9 * at(r.v0, 0, e) + 0.1 * g * g;
        const double a = centered ? 0.9 * at(r.a0, 0, e) + 0.1 * g : at(r.a0, 0, e);
        const double square = centered ? v - a * a : v;
        const double d = keras ? g / sqrt(square + 1e-2) : g / (sqrt(square) + 1e-2);
        double w = at(r.w0, 0, e) * (1 - 0.01);
        double m = at(r.m0, 0, e);
        if (has_momentum) {
            m = 0.5 * m + (keras ? 0.1 * d : d);
            w -= keras ? m : 0.1 * m;
        } else {
            w -= 0.1 * d;
        }
        compare(&worst_, at(r.w, 0, e), w, 0, e);
        compare(&worst_, at(r.v, 0, e), v, 0, e);
        compare(&worst_, at(r.m, 0, e), m, 0, e);
        compare(&worst_, at(r.a, 0, e), a, 0, e);
    }
    expect(worst_, CLOSE, "rmsprop", count);
    finish_arrays(r);
}

static void test_optimizer_kernels_equal_reference(void **state)
{
    const lstm__kernels *const k = table(state);
    for (size_t count = 0; count <= MOST; count++) {
        check_adam(k, count, 0, 0, 0);
        check_adam(k, count, 1, 0.02, 0);
        check_adam(k, count, 1, 0, 0.01);
        for (int variant = 0; variant < 16; variant++)
            check_sgd(k, count, variant);
        for (int variant = 0; variant < 8; variant++)
            check_rmsprop(k, count, variant);
    }
}

/* ---- Accuracy of the functions ---------------------------------------------------------------------------------- */

#ifndef LSTM__DOUBLE

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The error of y in units in the last place of the exact value; results below the normal numbers
 * may be flushed, those above the finite ones must be infinite. */
static double error_in_ulp(float y, double want)
{
    if (isnan(want))
        return isnan(y) ? 0 : INFINITY;
    if (fabs(want) >= 0x1.ffffffp127) /* rounds to infinity */
        return isinf(y) && signbit(y) == (want < 0) ? 0 : INFINITY;
    if (isnan(y) || isinf(y))
        return INFINITY;
    if (fabs(want) < 0x1p-126)
        return fabs((double)y - want) <= 0x1p-126 ? 0 : INFINITY;
    int exponent = 0;
    frexp(want, &exponent);
    return fabs((double)y - want) / ldexp(1, exponent - 24);
}

enum { CHUNK = 1021 }; /* so that vectors and tails take turns */

static void sweep(const lstm__kernels *k, int32_t activation, const char *name, double limit)
{
    const uint64_t stride = 2011; /* a prime: about two million of the 2^32 bit patterns */
    float x[CHUNK], y[CHUNK];
    double largest = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        size_t count = 0;
        for (; count < CHUNK && bits <= UINT32_MAX; bits += stride)
            x[count++] = float_of((uint32_t)bits);
        k->activation_forward(activation, count, x, y);
        for (size_t e = 0; e < count; e++) {
            const double error = error_in_ulp(y[e], activate(activation, (double)x[e]));
            if (!(error <= limit))
                fail_msg("%s %s(%a = %.9g) is %.9g, expected %.9g: %.2f ulp, limit %.2f", k->name,
                         name, (double)x[e], (double)x[e], (double)y[e],
                         activate(activation, (double)x[e]), error, limit);
            if (error > largest)
                largest = error;
        }
    }
    print_message("%s %s: at most %.2f ulp\n", k->name, name, largest);
}

static void test_functions_stay_within_their_bounds(void **state)
{
    const lstm__kernels *const k = table(state);
    sweep(k, LSTM_ACTIVATION_EXPONENTIAL, "exp", 1.1);
    sweep(k, LSTM_ACTIVATION_TANH, "tanh", 2.6);
    sweep(k, LSTM_ACTIVATION_SIGMOID, "sigmoid", 2.6);
    sweep(k, LSTM_ACTIVATION_ELU, "elu", 1.1);
    sweep(k, LSTM_ACTIVATION_SOFTPLUS, "softplus", 3);
    sweep(k, LSTM_ACTIVATION_SOFTSIGN, "softsign", 1.6);
    const uint64_t mode = lstm__denormals_flush();
    sweep(k, LSTM_ACTIVATION_EXPONENTIAL, "exp (flushing)", 1.1);
    sweep(k, LSTM_ACTIVATION_TANH, "tanh (flushing)", 2.6);
    sweep(k, LSTM_ACTIVATION_SIGMOID, "sigmoid (flushing)", 2.6);
    lstm__denormals_restore(mode);
}

static void test_functions_have_exact_limits(void **state)
{
    const lstm__kernels *const k = table(state);
    const float infinity = INFINITY;
    static const struct {
        int32_t activation;
        float low, high, zero;
    } limits[] = {
        {LSTM_ACTIVATION_TANH, -1, 1, 0},
        {LSTM_ACTIVATION_SIGMOID, 0, 1, 0.5f},
        {LSTM_ACTIVATION_EXPONENTIAL, 0, INFINITY, 1},
        {LSTM_ACTIVATION_ELU, -1, INFINITY, 0},
        {LSTM_ACTIVATION_SOFTPLUS, 0, INFINITY, 0.693147180559945f},
        {LSTM_ACTIVATION_SOFTSIGN, -1, 1, 0},
        {LSTM_ACTIVATION_RELU, 0, INFINITY, 0},
        {LSTM_ACTIVATION_HARD_SIGMOID, 0, 1, 0.5f},
    };
    for (size_t row = 0; row < sizeof limits / sizeof limits[0]; row++) {
        float x[6] = {-infinity, infinity, 0, -3e38f, 3e38f, NAN};
        k->activation_forward(limits[row].activation, 6, x, x);
        assert_true(x[0] == limits[row].low && x[3] == limits[row].low);
        assert_true(x[1] == limits[row].high);
        assert_true(x[4] == limits[row].high || x[4] == 3e38f);
        assert_true(x[2] == limits[row].zero);
        assert_true(isnan(x[5]));
    }
}

static void test_tanh_keeps_the_sign_and_value_of_tiny_numbers(void **state)
{
    const lstm__kernels *const k = table(state);
    float x[4] = {-0.0f, 1e-30f, -1e-30f, 0x1p-149f};
    k->activation_forward(LSTM_ACTIVATION_TANH, 4, x, x);
    assert_true(x[0] == 0 && signbit(x[0]));
    assert_true(x[1] == 1e-30f && x[2] == -1e-30f && x[3] >= 0 && x[3] <= 0x1p-149f);
}

#define FLOAT_TESTS(level)                                      \
    LEVEL_TEST(test_functions_stay_within_their_bounds, level), \
        LEVEL_TEST(test_functions_have_exact_limits, level),    \
        LEVEL_TEST(test_tanh_keeps_the_sign_and_value_of_tiny_numbers, level),

#else

#define FLOAT_TESTS(level)

#endif

#define LEVEL_TESTS(level)                                                        \
    LEVEL_TEST(test_activations_equal_reference, level),                          \
        LEVEL_TEST(test_activation_gradients_equal_reference, level),             \
        LEVEL_TEST(test_softmax_equals_reference, level),                         \
        LEVEL_TEST(test_softmax_passes_on_nan_and_survives_large_numbers, level), \
        LEVEL_TEST(test_row_kernels_equal_reference, level),                      \
        LEVEL_TEST(test_array_kernels_equal_reference, level),                    \
        LEVEL_TEST(test_sum_squares_does_not_depend_on_alignment, level),         \
        LEVEL_TEST(test_clip_and_scale_let_nan_through, level),                   \
        FLOAT_TESTS(level) LEVEL_TEST(test_optimizer_kernels_equal_reference, level)

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
