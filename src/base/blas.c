/* SPDX-License-Identifier: MIT
 *
 * The only file that includes BLAS' and LAPACK's headers.
 *
 * Products. CBLAS counts in int, so a dimension beyond 2^30 is cut into pieces in a loop; a leading
 * dimension that no int holds, which no machine's memory can back with more than a few rows, goes
 * through a plain triple loop. Empty products are answered here, as BLAS would complain on the
 * standard output about their leading dimensions.
 *
 * LAPACK. The `_work` forms of LAPACKE are called on memory that we provide: the others allocate by
 * themselves and print when that fails. Their row-major forms transpose copies, so the calls are
 * column-major:
 *   orthonormalize   a row-major m x n matrix A is, seen by columns, A' (n x m). Its LQ factorisation A' = L Q'
 *                    (dgelqf, dorglq) is the QR factorisation A = Q R with R = L', in place and without transposing.
 *   least squares    dgelsy (QR with column pivoting, rank by condition 1e-12), on transposed copies. Its memory comes
 *                    from the default context, because the caller's is not known here.
 * LAPACK itself allocates nothing; OpenBLAS keeps buffers of its own.
 *
 * What only OpenBLAS has is looked up through weak symbols, so any other CBLAS links as well.
 */
#include "blas.h"

#include "checked.h"
#include "context.h"

#include <cblas.h>
#include <lapacke.h>

#include <limits.h>
#include <math.h>
#include <string.h>

enum { PIECE = 1 << 30 };

extern char *openblas_get_corename(void) __attribute__((weak));
extern void openblas_set_num_threads(int threads) __attribute__((weak));

const char *lstm__blas_core(void)
{
    const char *const name = openblas_get_corename ? openblas_get_corename() : NULL;
    return name ? name : "unknown";
}

void lstm__blas_set_threads(int32_t threads)
{
    if (openblas_set_num_threads)
        openblas_set_num_threads((int)threads);
}

static size_t piece(size_t left)
{
    return left < PIECE ? left : PIECE;
}

/* Whether a product with a single row or column goes to gemv. It reads the matrix once, where gemm
 * packs it first: 3 times as fast for large ones, 8 times on AVX2 cores. Only OpenBLAS' AVX-512
 * cores multiply small matrices without packing, and then 1.3 times as fast as gemv. */
static bool is_vector_product(size_t m, size_t n, size_t k)
{
    enum { UNPACKED = 1000000 }; /* OpenBLAS' own limit for m n k */
    if (m != 1 && n != 1)
        return false;
    if (m * n > UNPACKED || k > UNPACKED / (m * n))
        return true;
    const char *const core = lstm__blas_core();
    return strcmp(core, "SkylakeX") != 0 && strcmp(core, "Cooperlake") != 0 &&
           strcmp(core, "Sapphirerapids") != 0;
}

/* The two precisions differ in nothing but their type. `vector` and `matrix` are one BLAS call
 * each, on dimensions that fit in int; `plain` serves what BLAS cannot. */
#define DEFINE_GEMM(name, type, cblas_gemm, cblas_gemv)                                           \
    static void name##_plain(int ta, int tb, size_t m, size_t n, size_t k, const type *a,         \
                             size_t lda, const type *b, size_t ldb, type beta, type *c,           \
                             size_t ldc)                                                          \
    {                                                                                             \
        for (size_t row = 0; row < m; row++)                                                      \
            for (size_t column = 0; column < n; column++) {                                       \
                type sum = 0;                                                                     \
                for (size_t p = 0; p < k; p++)                                                    \
                    sum += a[ta ? p * lda + row : row * lda + p] *                                \
                           b[tb ? column * ldb + p : p * ldb + column];                           \
                type *const out = c + row * ldc + column;                                         \
                *out = beta == 0 ? sum : sum + beta * *out;                                       \
            }                                                                                     \
    }                                                                                             \
    static void name##_vector(int ta, int tb, int m, int n, int k, const type *a, int lda,        \
                              const type *b, int ldb, type beta, type *c, int ldc)                \
    {                                                                                             \
        const int count = m == 1 ? n : m;                                                         \
        const int step = m == 1 ? 1 : ldc;                                                        \
        for (int e = 0; beta == 0 && e < count;                                                   \
             e++) /* what c held must not matter, not even NaN */                                 \
            c[(size_t)e * (size_t)step] = 0;                                                      \
        if (m == 1)                                                                               \
            cblas_gemv(CblasRowMajor, tb ? CblasNoTrans : CblasTrans, tb ? n : k, tb ? k : n, 1,  \
                       b, ldb, a, ta ? lda : 1, beta == 0 ? 1 : beta, c, step);                   \
        else                                                                                      \
            cblas_gemv(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, ta ? k : m, ta ? m : k, 1,  \
                       a, lda, b, tb ? 1 : ldb, beta == 0 ? 1 : beta, c, step);                   \
    }                                                                                             \
    static void name##_matrix(int ta, int tb, int m, int n, int k, const type *a, int lda,        \
                              const type *b, int ldb, type beta, type *c, int ldc)                \
    {                                                                                             \
        cblas_gemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, \
                   m, n, k, 1, a, lda, b, ldb, beta, c, ldc);                                     \
    }                                                                                             \
    void lstm__##name(int ta, int tb, size_t m, size_t n, size_t k, const type *a, size_t lda,    \
                      const type *b, size_t ldb, type beta, type *c, size_t ldc)                  \
    {                                                                                             \
        if (m == 0 || n == 0)                                                                     \
            return;                                                                               \
        if (k == 0 || lda > INT_MAX || ldb > INT_MAX || ldc > INT_MAX) {                          \
            name##_plain(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);                          \
            return;                                                                               \
        }                                                                                         \
        const bool vector = is_vector_product(m, n, k);                                           \
        for (size_t row = 0; row < m; row += piece(m - row))                                      \
            for (size_t column = 0; column < n; column += piece(n - column))                      \
                for (size_t p = 0; p < k; p += piece(k - p))                                      \
                    (vector ? name##_vector : name##_matrix)(                                     \
                        ta, tb, (int)piece(m - row), (int)piece(n - column), (int)piece(k - p),   \
                        a + (ta ? p * lda + row : row * lda + p), (int)lda,                       \
                        b + (tb ? column * ldb + p : p * ldb + column), (int)ldb,                 \
                        p == 0 ? beta : 1, c + row * ldc + column, (int)ldc);                     \
    }

DEFINE_GEMM(sgemm, float, cblas_sgemm, cblas_sgemv)
DEFINE_GEMM(dgemm, double, cblas_dgemm, cblas_dgemv)

/* Turn a LAPACK answer into a status: it is 0 unless LAPACK and this file disagree about an
 * argument. */
static lstm_status lapack_status(lapack_int info, const char *routine)
{
    if (info == 0)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_NUMERIC, "LAPACK's %s answered %d", routine, (int)info);
}

lstm_status lstm__orthonormalize(lstm_context *context, size_t m, size_t n, double *a)
{
    lstm_status status = LSTM_OK;
    double *tau = NULL;
    double *work = NULL;
    if (n == 0)
        return LSTM_OK;
    if (m < n)
        FAIL(LSTM_ERROR_ARGUMENT, "orthonormalize: %zu rows, expected at least the %zu columns", m,
             n);
    if (m > INT_MAX)
        FAIL(LSTM_ERROR_MEMORY, "orthonormalize: a matrix of %zu x %zu is too large for LAPACK", m,
             n);

    const lapack_int rows = (lapack_int)n; /* of the column-major view */
    const lapack_int columns = (lapack_int)m;
    double wanted[2] = {0, 0};
    TRY(lapack_status(
        LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, rows, columns, a, rows, wanted, &wanted[0], -1),
        "dgelqf"));
    TRY(lapack_status(
        LAPACKE_dorglq_work(LAPACK_COL_MAJOR, rows, columns, rows, a, rows, wanted, &wanted[1], -1),
        "dorglq"));
    const size_t length = (size_t)fmax(fmax(wanted[0], wanted[1]), (double)n);
    tau = lstm__allocate_array(context, 2 * n, sizeof *tau); /* behind it the signs */
    work = lstm__allocate_array(context, length, sizeof *work);
    if (!tau || !work)
        TRY(lstm__fail_memory((2 * n + length) * sizeof *work, "a QR factorisation"));
    double *const sign = tau + n;
    TRY(lapack_status(LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, rows, columns, a, rows, tau, work,
                                          (lapack_int)length),
                      "dgelqf"));
    for (size_t k = 0; k < n; k++)
        sign[k] = a[k * n + k] < 0 ? -1 : 1;
    TRY(lapack_status(LAPACKE_dorglq_work(LAPACK_COL_MAJOR, rows, columns, rows, a, rows, tau, work,
                                          (lapack_int)length),
                      "dorglq"));
    for (size_t row = 0; row < m; row++)
        for (size_t column = 0; column < n; column++)
            a[row * n + column] *= sign[column];
out:
    lstm__release(context, work);
    lstm__release(context, tau);
    return status;
}

/* Refuse NaN and infinity, naming the first place. */
static lstm_status check_finite(const double *x, size_t rows, size_t columns, const char *what)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++)
            if (!isfinite(x[row * columns + column]))
                return lstm__fail(LSTM_ERROR_NUMERIC, "least squares: %s[%zu][%zu] is %g", what,
                                  row, column, x[row * columns + column]);
    return LSTM_OK;
}

static void transpose(size_t rows, size_t columns, const double *x, double *y)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++)
            y[column * rows + row] = x[row * columns + column];
}

lstm_status lstm__least_squares(size_t m, size_t n, size_t targets, double *a, double *b)
{
    lstm_status status = LSTM_OK;
    lstm_context *const context = lstm__context_acquire(NULL);
    double *columns = NULL; /* a, then b, by columns */
    double *work = NULL;
    lapack_int *pivots = NULL;
    size_t width = 0;
    size_t count = 0;
    if (m < n || n == 0 || targets == 0)
        FAIL(LSTM_ERROR_ARGUMENT,
             "least squares: %zu rows, %zu columns, %zu targets; expected rows >= columns >= 1", m,
             n, targets);
    if (m > INT_MAX || targets > INT_MAX || !lstm__add(n, targets, &width) ||
        !lstm__mul(m, width, &count))
        FAIL(LSTM_ERROR_MEMORY, "least squares: %zu rows, %zu columns, %zu targets are too large",
             m, n, targets);
    TRY(check_finite(a, m, n, "x"));
    TRY(check_finite(b, m, targets, "y"));

    const lapack_int rows = (lapack_int)m;
    const lapack_int unknowns = (lapack_int)n;
    const lapack_int sides = (lapack_int)targets;
    const double condition = 1e-12;
    lapack_int rank = 0;
    double wanted = 0;
    columns = lstm__allocate_array(context, count, sizeof *columns);
    pivots = lstm__allocate_array(context, n, sizeof *pivots);
    if (!columns || !pivots)
        FAIL(LSTM_ERROR_MEMORY, "least squares: no memory for %zu numbers", count);
    memset(pivots, 0, n * sizeof *pivots);
    double *const right = columns + m * n;
    transpose(m, n, a, columns);
    transpose(m, targets, b, right);
    TRY(lapack_status(LAPACKE_dgelsy_work(LAPACK_COL_MAJOR, rows, unknowns, sides, columns, rows,
                                          right, rows, pivots, condition, &rank, &wanted, -1),
                      "dgelsy"));
    const size_t length = wanted < 1 ? 1 : (size_t)wanted;
    work = lstm__allocate_array(context, length, sizeof *work);
    if (!work || length > INT_MAX)
        FAIL(LSTM_ERROR_MEMORY, "least squares: no memory for %zu numbers", length);
    TRY(lapack_status(LAPACKE_dgelsy_work(LAPACK_COL_MAJOR, rows, unknowns, sides, columns, rows,
                                          right, rows, pivots, condition, &rank, work,
                                          (lapack_int)length),
                      "dgelsy"));
    for (size_t row = 0; row < n; row++)
        for (size_t column = 0; column < targets; column++)
            b[row * targets + column] = right[column * m + row];
out:
    lstm__release(context, work);
    lstm__release(context, pivots);
    lstm__release(context, columns);
    lstm__context_release(context);
    return status;
}
