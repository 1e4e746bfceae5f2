/* SPDX-License-Identifier: MIT
 * The only way to BLAS and LAPACK. Row-major everywhere.
 */
#ifndef LSTM_BASE_BLAS_H
#define LSTM_BASE_BLAS_H

#include "status.h"

/* C [m][n] = op(A) [m][k] * op(B) [k][n] + beta * C; op transposes where the flag is set. Leading
 * dimensions are those of the arrays as stored. m, n or k may be 0. With beta = 0 what C held does
 * not matter, not even NaN. */
void lstm__sgemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k, const float *a,
                 size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);
void lstm__dgemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k, const double *a,
                 size_t lda, const double *b, size_t ldb, double beta, double *c, size_t ldc);

/* Replace the m x n matrix a (m >= n) by the Q of its QR factorisation, columns multiplied by the
 * signs of R's diagonal. */
lstm_status lstm__orthonormalize(lstm_context *context, size_t m, size_t n, double *a);

/* Least squares, as lstm_least_squares; a [m][n] stays, b [m][targets] is overwritten, the solution
 * is in its first n rows. Works on memory of the default context. */
lstm_status lstm__least_squares(size_t m, size_t n, size_t targets, double *a, double *b);

/* The name of the BLAS' kernel set, or "unknown"; set its number of threads (ignored where it
 * cannot be set). */
const char *lstm__blas_core(void);
void lstm__blas_set_threads(int32_t threads);

#endif
