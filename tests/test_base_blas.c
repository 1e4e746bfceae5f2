/* SPDX-License-Identifier: MIT
 *
 * Products of every form against a plain loop, orthonormal matrices, least squares.
 */
#include "blas.h"
#include "context.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 31 };

typedef struct product {
    int ta, tb;
    size_t m, n, k, gap;
    double beta;
} product;

static double number(uint64_t stream, size_t index)
{
    return 2 * lstm__random_uniform(SEED, stream, index) - 1;
}

#define DEFINE_CHECK(name, type, gemm, tolerance)                                                 \
    static void name(product p)                                                                   \
    {                                                                                             \
        const size_t lda = (p.ta ? p.m : p.k) + p.gap;                                            \
        const size_t ldb = (p.tb ? p.k : p.n) + p.gap;                                            \
        const size_t ldc = p.n + p.gap;                                                           \
        const size_t a_count = (p.ta ? p.k : p.m) * lda;                                          \
        const size_t b_count = (p.tb ? p.n : p.k) * ldb;                                          \
        const size_t c_count = p.m * ldc;                                                         \
        type *const a = malloc((a_count + 1) * sizeof *a);                                        \
        type *const b = malloc((b_count + 1) * sizeof *b);                                        \
        type *const c = malloc((c_count + 1) * sizeof *c);                                        \
        type *const before = malloc((c_count + 1) * sizeof *before);                              \
        assert_true(a &&b &&c &&before);                                                          \
        for (size_t e = 0; e < a_count; e++)                                                      \
            a[e] = (type)number(1, e);                                                            \
        for (size_t e = 0; e < b_count; e++)                                                      \
            b[e] = (type)number(2, e);                                                            \
        for (size_t e = 0; e < c_count; e++)                                                      \
            c[e] = before[e] = p.beta == 0 && e % ldc < p.n ? (type)NAN : (type)number(3, e);     \
        gemm(p.ta, p.tb, p.m, p.n, p.k, a, lda, b, ldb, (type)p.beta, c, ldc);                    \
        for (size_t e = 0; e < c_count; e++) {                                                    \
            const size_t r = e / ldc;                                                             \
            const size_t s = e % ldc;                                                             \
            double want = (double)before[e]; /* between the rows nothing may change */            \
            for (size_t t = 0; s < p.n && t <= p.k; t++)                                          \
                want = t == 0 ? (p.beta == 0 ? 0 : p.beta * want)                                 \
                              : want + (double)a[p.ta ? (t - 1) * lda + r : r * lda + t - 1] *    \
                                           (double)b[p.tb ? s * ldb + t - 1 : (t - 1) * ldb + s]; \
            if (!(fabs((double)c[e] - want) <= (tolerance) * ((double)p.k + 1)))                  \
                fail_msg("%zu x %zu x %zu, ta %d, tb %d, beta %g: [%zu][%zu] is %g, expected %g", \
                         p.m, p.n, p.k, p.ta, p.tb, p.beta, r, s, (double)c[e], want);            \
        }                                                                                         \
        free(a);                                                                                  \
        free(b);                                                                                  \
        free(c);                                                                                  \
        free(before);                                                                             \
    }

DEFINE_CHECK(check_sgemm, float, lstm__sgemm, 3e-7)
DEFINE_CHECK(check_dgemm, double, lstm__dgemm, 1e-15)

static void test_products_equal_a_plain_loop(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 33};
    static const double betas[] = {0, 1, -0.5};
    for (size_t i = 0; i < 5 * 5 * 5; i++)
        for (int form = 0; form < 4; form++)
            for (size_t gap = 0; gap < 4; gap += 3)
                for (size_t k = 0; k < 3; k++) {
                    const product p = {form & 1,      form >> 1, sizes[i % 5], sizes[i / 5 % 5],
                                       sizes[i / 25], gap,       betas[k]};
                    check_sgemm(p);
                    check_dgemm(p);
                }
}

/* Large enough to take the way of the single row or column on every BLAS core. */
static void test_large_vector_products_equal_a_plain_loop(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++)
        for (size_t gap = 0; gap < 4; gap += 3)
            for (int k = 0; k < 3; k++) {
                const double beta = k == 0 ? 0 : k == 1 ? 1 : -0.5;
                check_sgemm((product){form & 1, form >> 1, 1, 1009, 997, gap, beta});
                check_dgemm((product){form & 1, form >> 1, 1009, 1, 997, gap, beta});
                check_sgemm((product){form & 1, form >> 1, 1009, 1, 997, gap, beta});
                check_dgemm((product){form & 1, form >> 1, 1, 1009, 997, gap, beta});
            }
}

static void test_leading_dimensions_beyond_int_are_served(void **state)
{
    (void)state;
    const float a[3] = {1, 2, 3};
    const float b[3] = {4, 5, 6};
    float c[1] = {100};
    lstm__sgemm(0, 1, 1, 1, 3, a, (size_t)1 << 40, b, (size_t)1 << 40, 1, c, (size_t)1 << 40);
    assert_true(c[0] == 132);
    const double x[2] = {3, 4};
    double z[2] = {0, 0};
    lstm__dgemm(1, 0, 1, 2, 1, x, (size_t)1 << 40, x, (size_t)1 << 40, 0, z, (size_t)1 << 40);
    assert_true(z[0] == 9 && z[1] == 12);
}

static void check_orthonormal(size_t m, size_t n)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    double *const a = malloc((m * n + 1) * sizeof *a);
    double *const q = malloc((m * n + 1) * sizeof *q);
    assert_true(a && q);
    for (size_t e = 0; e < m * n; e++)
        a[e] = q[e] = lstm__random_normal(SEED, m * 1000 + n, e);
    assert_int_equal(lstm__orthonormalize(context, m, n, q), LSTM_OK);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            /* of Q'Q and of R = Q'A, upper triangular with a positive diagonal */
            double dot = 0, r = 0;
            for (size_t row = 0; row < m; row++) {
                dot += q[row * n + i] * q[row * n + j];
                r += q[row * n + i] * a[row * n + j];
            }
            assert_true(fabs(dot - (i == j)) < 1e-13);
            assert_true(i > j ? fabs(r) < 1e-12 : i < j || r > 0);
        }
    free(a);
    free(q);
    lstm__context_release(context);
}

static void test_orthonormalize_gives_q_with_unique_signs(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{1, 1},    {4, 3},   {5, 5}, {64, 1},
                                       {128, 32}, {70, 69}, {3, 0}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        check_orthonormal(shapes[k][0], shapes[k][1]);
}

static void test_orthonormalize_rejects_wide_matrices(void **state)
{
    (void)state;
    double a[6] = {0};
    assert_int_equal(lstm__orthonormalize(lstm__context_acquire(NULL), 2, 3, a),
                     LSTM_ERROR_ARGUMENT);
}

static void test_least_squares_finds_an_exact_solution(void **state)
{
    (void)state;
    enum { M = 40, N = 5, TARGETS = 3 };
    static double a[M * N], b[M * TARGETS], want[N * TARGETS];
    for (size_t e = 0; e < M * N; e++)
        a[e] = number(7, e);
    for (size_t e = 0; e < N * TARGETS; e++)
        want[e] = number(8, e);
    lstm__dgemm(0, 0, M, TARGETS, N, a, N, want, TARGETS, 0, b, TARGETS);
    assert_int_equal(lstm__least_squares(M, N, TARGETS, a, b), LSTM_OK);
    for (size_t e = 0; e < N * TARGETS; e++)
        assert_true(fabs(b[e] - want[e]) < 1e-12);
}

static void test_least_squares_leaves_a_residual_orthogonal_to_the_columns(void **state)
{
    (void)state;
    enum { M = 30, N = 4 };
    static double a[M * N], copy[M * N], b[M], y[M];
    for (size_t e = 0; e < M * N; e++)
        copy[e] = a[e] = number(9, e);
    for (size_t e = 0; e < M; e++)
        y[e] = b[e] = number(10, e);
    assert_int_equal(lstm__least_squares(M, N, 1, a, b), LSTM_OK);
    for (size_t column = 0; column < N; column++) {
        double dot = 0;
        for (size_t row = 0; row < M; row++) {
            double residual = y[row];
            for (size_t k = 0; k < N; k++)
                residual -= copy[row * N + k] * b[k];
            dot += residual * copy[row * N + column];
        }
        assert_true(fabs(dot) < 1e-12);
    }
}

static void test_least_squares_of_dependent_columns_is_the_smallest(void **state)
{
    (void)state;
    double a[8] = {1, 1, 2, 2, 3, 3, 4, 4}; /* two equal columns: the weight is shared */
    double b[4] = {2, 4, 6, 8};
    assert_int_equal(lstm__least_squares(4, 2, 1, a, b), LSTM_OK);
    assert_true(fabs(b[0] - 1) < 1e-12 && fabs(b[1] - 1) < 1e-12);
}

static void test_least_squares_rejects_bad_input(void **state)
{
    (void)state;
    double a[6] = {1, 2, 3, 4, NAN, 6};
    double b[3] = {1, 2, 3};
    assert_int_equal(lstm__least_squares(3, 2, 1, a, b), LSTM_ERROR_NUMERIC);
    assert_non_null(strstr(lstm_last_error(), "x[2][0]"));
    a[4] = 5;
    b[1] = INFINITY;
    assert_int_equal(lstm__least_squares(3, 2, 1, a, b), LSTM_ERROR_NUMERIC);
    assert_non_null(strstr(lstm_last_error(), "y[1][0]"));
    assert_int_equal(lstm__least_squares(2, 3, 1, a, b), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm__least_squares(2, 0, 1, a, b), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm__least_squares(2, 1, 0, a, b), LSTM_ERROR_ARGUMENT);
    assert_int_equal(lstm__least_squares(SIZE_MAX, 1, 1, a, b), LSTM_ERROR_MEMORY);
}

static void test_blas_has_a_name(void **state)
{
    (void)state;
    assert_true(strlen(lstm__blas_core()) > 0);
    assert_string_equal(lstm_context_blas(NULL), lstm__blas_core());
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_equal_a_plain_loop),
        cmocka_unit_test(test_large_vector_products_equal_a_plain_loop),
        cmocka_unit_test(test_leading_dimensions_beyond_int_are_served),
        cmocka_unit_test(test_orthonormalize_gives_q_with_unique_signs),
        cmocka_unit_test(test_orthonormalize_rejects_wide_matrices),
        cmocka_unit_test(test_least_squares_finds_an_exact_solution),
        cmocka_unit_test(test_least_squares_leaves_a_residual_orthogonal_to_the_columns),
        cmocka_unit_test(test_least_squares_of_dependent_columns_is_the_smallest),
        cmocka_unit_test(test_least_squares_rejects_bad_input),
        cmocka_unit_test(test_blas_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
