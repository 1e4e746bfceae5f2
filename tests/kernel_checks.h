/* SPDX-License-Identifier: MIT
 * What the tests of kernels share: arrays in a guarded surrounding, comparison that keeps the worst
 * place, the levels.
 */
#ifndef LSTM_TESTS_KERNEL_CHECKS_H
#define LSTM_TESTS_KERNEL_CHECKS_H

#include "cpu.h"
#include "kernels.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD = 32, SEED = 20260711 };

#ifdef LSTM__DOUBLE
static const double CLOSE = 1e-13;
#else
/* the tolerance of all levels against double, relative to 1 + |value| */
static const double CLOSE = 2e-6;
#endif

static const real UNTOUCHED = (real)-12345.678;

/* ---- Arrays with a guarded surrounding ------------------------------------------------------------------------- */

typedef struct matrix {
    size_t rows, columns, ld, total;
    real *block, *p;
} matrix;

static uint64_t next_stream; /* each matrix gets numbers of its own */

/* rows x columns, `gap` elements between rows, `shift` elements off alignment, values in [low,
 * high). */
static inline matrix make(size_t rows, size_t columns, size_t gap, size_t shift, double low,
                          double high)
{
    matrix m = {rows, columns, columns + gap, 2 * GUARD + shift + rows * (columns + gap),
                NULL, NULL};
    m.block = aligned_alloc(64, (m.total * sizeof(real) + 63) / 64 * 64);
    assert_non_null(m.block);
    for (size_t k = 0; k < m.total; k++)
        m.block[k] = UNTOUCHED;
    m.p = m.block + GUARD + shift;
    next_stream++;
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++)
            m.p[row * m.ld + column] =
                (real)(low + (high - low) *
                                 lstm__random_uniform(SEED, next_stream, row * columns + column));
    return m;
}

static inline matrix vector(size_t count, size_t shift, double low, double high)
{
    return make(1, count, 0, shift, low, high);
}

static inline matrix copy_of(matrix m)
{
    matrix copy = m;
    copy.block = aligned_alloc(64, (m.total * sizeof(real) + 63) / 64 * 64);
    assert_non_null(copy.block);
    memcpy(copy.block, m.block, m.total * sizeof(real));
    copy.p = copy.block + (m.p - m.block);
    return copy;
}

static inline double at(matrix m, size_t row, size_t column)
{
    return (double)m.p[row * m.ld + column];
}

/* Check that nothing but the elements changed, and free. */
static inline void finish(matrix m)
{
    const size_t start = (size_t)(m.p - m.block);
    for (size_t k = 0; k < m.total; k++) {
        const size_t place = k - start;
        const int inside = k >= start && place < m.rows * m.ld && place % m.ld < m.columns;
        if (!inside && m.block[k] != UNTOUCHED)
            fail_msg("a %zu x %zu array (ld %zu) was written at element %td", m.rows, m.columns,
                     m.ld, (ptrdiff_t)k - (ptrdiff_t)start);
    }
    free(m.block);
}

/* Keeps the worst deviation of a comparison, to name it when it is too large. */
typedef struct worst {
    double error, got, want;
    size_t row, column;
} worst;

static inline void compare(worst *w, double got, double want, size_t row, size_t column)
{
    double error = fabs(got - want) / (1 + fabs(want));
    if (isnan(got) || isnan(want))
        error = isnan(got) && isnan(want) ? 0 : INFINITY;
    else if (got == want)
        error = 0;
    if (error > w->error)
        *w = (worst){error, got, want, row, column};
}

static inline void expect(worst w, double limit, const char *what, size_t size)
{
    if (!(w.error <= limit))
        fail_msg("%s, size %zu: worst at [%zu][%zu]: %.9g, expected %.9g (error %.3g, limit %.3g)",
                 what, size, w.row, w.column, w.got, w.want, w.error, limit);
}

/* ---- Levels ----------------------------------------------------------------------------------------------------- */

static const struct level {
    int32_t isa;
    const char *name;
} levels[] = {
    {LSTM_ISA_GENERIC, "generic"},
    {LSTM_ISA_AVX2, "avx2"},
    {LSTM_ISA_AVX512, "avx512"},
    {LSTM_ISA_NEON, "neon"},
};

/* The table of the level under test; skips the test where the CPU lacks it. */
static inline const lstm__kernels *table(void **state)
{
    const struct level *const level = *state;
    if (!lstm__cpu_supports(level->isa)) {
        print_message("skipped: no %s here\n", level->name);
        skip();
    }
    const lstm__kernels *const kernels = lstm__kernels_for(level->isa);
#ifndef LSTM__DOUBLE
    assert_int_equal(kernels->isa, level->isa);
    assert_string_equal(kernels->name, level->name);
#endif
    next_stream = 0;
    return kernels;
}

#define LEVEL_TEST(test, level)                                                        \
    {                                                                                  \
#test " (" #level ")", test, NULL, NULL, (void *)&levels[LSTM_ISA_##level - 1] \
    }

#endif
