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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 32, SEED = 20260711 };

#ifdef LSTM__DOUBLE
static const double CLOSE = 1e-13;
#else
/* the tolerance of all levels against double, relative to 1 + |value| */
static const double CLOSE = 2e-6;
#endif

static const real UNTOUCHED = (real)-12345.678;

/* ---- Arrays with a guarded surrounding

Every test runs twice: with a page that cannot be touched right before every array, and with one
right behind it. On the other side are numbers that have to be the same afterwards, as those between
the rows. */

typedef struct matrix {
    size_t rows, columns, ld, total;
    real *block, *p; /* all `total` elements that can be touched, and the first of the array */
    void *pages;
    size_t pages_bytes;
} matrix;

static uint64_t next_stream; /* each matrix gets numbers of its own */
static bool guard_behind;    /* of the test that runs; else the guard page is before */

/* Room for a matrix of this shape, `shift` elements off alignment where the page is before it. */
static inline matrix reserve(size_t rows, size_t columns, size_t ld, size_t shift)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t own = rows && columns ? (rows - 1) * ld + columns : 0;
    matrix m = {.rows = rows, .columns = columns, .ld = ld};
    m.total = own + GUARD + (guard_behind ? 0 : shift);
    const size_t bytes = m.total * sizeof(real);
    const size_t room = (bytes + page - 1) / page * page;
    m.pages_bytes = room + page;
    m.pages = mmap(NULL, m.pages_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(m.pages != MAP_FAILED);
    unsigned char *start = m.pages;
    assert_int_equal(mprotect(guard_behind ? start + room : start, page, PROT_NONE), 0);
    m.block = (real *)(guard_behind ? start + room - bytes : start + page);
    m.p = m.block + (guard_behind ? GUARD : shift);
    return m;
}

/* rows x columns, `gap` elements between rows, `shift` elements off alignment, values in [low,
 * high). */
static inline matrix make(size_t rows, size_t columns, size_t gap, size_t shift, double low,
                          double high)
{
    const matrix m = reserve(rows, columns, columns + gap, shift);
    for (size_t k = 0; k < m.total; k++)
        m.block[k] = UNTOUCHED;
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
    const size_t shift = guard_behind ? 0 : (size_t)(m.p - m.block);
    const matrix copy = reserve(m.rows, m.columns, m.ld, shift);
    memcpy(copy.block, m.block, m.total * sizeof(real));
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
    munmap(m.pages, m.pages_bytes);
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
    bool guard_behind;
} levels[][2] = {
    {{LSTM_ISA_GENERIC, "generic", false}, {LSTM_ISA_GENERIC, "generic", true}},
    {{LSTM_ISA_AVX2, "avx2", false}, {LSTM_ISA_AVX2, "avx2", true}},
    {{LSTM_ISA_AVX512, "avx512", false}, {LSTM_ISA_AVX512, "avx512", true}},
    {{LSTM_ISA_NEON, "neon", false}, {LSTM_ISA_NEON, "neon", true}},
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
    guard_behind = level->guard_behind;
    return kernels;
}

#define LEVEL_TEST_GUARDED(test, level, where, behind)                 \
    {                                                                  \
#test " (" #level ", guard page " where ")", test, NULL, NULL, \
            (void *)&levels[LSTM_ISA_##level - 1][behind]              \
    }
#define LEVEL_TEST(test, level)                       \
    LEVEL_TEST_GUARDED(test, level, "before", false), \
        LEVEL_TEST_GUARDED(test, level, "behind", true)

#endif
