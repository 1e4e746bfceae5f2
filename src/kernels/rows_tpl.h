/* SPDX-License-Identifier: MIT
 *
 * Rows filled, copied, added up; sum of squares, scaling, clipping.
 *
 * column_sum adds in blocks of BLOCK rows, each block in row order, then the blocks in order: the
 * order is the same whatever the number of columns, and rounding errors grow with rows / BLOCK +
 * BLOCK instead of rows.
 */
#ifndef LSTM_KERNELS_ROWS_TPL_H
#define LSTM_KERNELS_ROWS_TPL_H

#include <string.h>

enum { BLOCK = 64 };

static void fill_rows(size_t rows, size_t columns, const real *bias, real *y, size_t ld_y)
{
    if (columns == 0)
        return;
    for (size_t row = 0; row < rows; row++) {
        if (bias)
            memcpy(y + row * ld_y, bias, columns * sizeof *y);
        else
            memset(y + row * ld_y, 0, columns * sizeof *y);
    }
}

static INLINE void sum_block(size_t rows, const real *x, size_t ld_x, real *out, int add, size_t n)
{
    V sum = get(x, n);
    for (size_t row = 1; row < rows; row++)
        sum = vadd(sum, get(x + row * ld_x, n));
    put(out, add ? vadd(get(out, n), sum) : sum, n);
}

/* Four vectors at once, so that a row's cache lines are read one behind the other. */
static INLINE void sum_block_by_four(size_t rows, const real *x, size_t ld_x, real *out, int add)
{
    V a = vload(x);
    V b = vload(x + LANES);
    V c = vload(x + 2 * LANES);
    V d = vload(x + 3 * LANES);
    for (size_t row = 1; row < rows; row++) {
        x += ld_x;
        a = vadd(a, vload(x));
        b = vadd(b, vload(x + LANES));
        c = vadd(c, vload(x + 2 * LANES));
        d = vadd(d, vload(x + 3 * LANES));
    }
    vstore(out, add ? vadd(vload(out), a) : a);
    vstore(out + LANES, add ? vadd(vload(out + LANES), b) : b);
    vstore(out + 2 * LANES, add ? vadd(vload(out + 2 * LANES), c) : c);
    vstore(out + 3 * LANES, add ? vadd(vload(out + 3 * LANES), d) : d);
}

static void column_sum(size_t rows, size_t columns, const real *x, size_t ld_x, real *out,
                       int accumulate)
{
    if (rows == 0 && !accumulate && columns > 0)
        memset(out, 0, columns * sizeof *out);
    for (size_t first = 0; first < rows; first += BLOCK) {
        const size_t block = rows - first < BLOCK ? rows - first : BLOCK;
        const real *const from = x + first * ld_x;
        const int add = accumulate || first > 0;
        size_t done = 0;
        for (; done + 4 * LANES <= columns; done += 4 * LANES)
            sum_block_by_four(block, from + done, ld_x, out + done, add);
        FOR_EACH_VECTOR(columns - done,
                        sum_block(block, from + done + k, ld_x, out + done + k, add, n));
    }
}

static void copy_rows(size_t rows, size_t columns, const real *x, size_t ld_x, real *y, size_t ld_y,
                      int accumulate)
{
    if (columns == 0)
        return;
    for (size_t row = 0; row < rows; row++, x += ld_x, y += ld_y) {
        if (accumulate)
            FOR_EACH_VECTOR(columns, put(y + k, vadd(get(y + k, n), get(x + k, n)), n));
        else
            memmove(y, x, columns * sizeof *y);
    }
}

static double sum_squares(size_t count, const real *x)
{
    D even = dzero(); /* two sums, as one would wait for its own additions */
    D odd = dzero();
    size_t done = 0;
    for (; done + 2 * LANES <= count; done += 2 * LANES) {
        even = dsquare_add(even, vload(x + done));
        odd = dsquare_add(odd, vload(x + done + LANES));
    }
    FOR_EACH_VECTOR(count - done, even = dsquare_add(even, get(x + done + k, n)));
    return dsum(even) + dsum(odd);
}

static void scale(size_t count, real factor, real *x)
{
    const V f = vset(factor);
    FOR_EACH_VECTOR(count, put(x + k, vmul(get(x + k, n), f), n));
}

static void clip(size_t count, real limit, real *x)
{
    const V high = vset(limit);
    const V low = vset(-limit);
    FOR_EACH_VECTOR(count, put(x + k, vmin(high, vmax(low, get(x + k, n))), n));
}

#endif
