/* SPDX-License-Identifier: MIT
 *
 * Packing of weights into the layouts of packed.h, once per update.
 *
 * The way back needs W transposed. Blocks of LANES columns are read row by row in whole vectors and
 * written lane by lane to a block of LANES x wide that stays in the first cache.
 */
#ifndef LSTM_KERNELS_PACKING_TPL_H
#define LSTM_KERNELS_PACKING_TPL_H

static INLINE size_t lanes_left(size_t units, size_t panel)
{
    return units - panel * LANES < LANES ? units - panel * LANES : LANES;
}

/* w [rows][4 units] -> gates layout. A few rows at a time through all panels: each row is on pages
 * of its own. */
static void pack_gates(size_t units, size_t rows, const real *w, size_t ld, real *packed)
{
    enum { TOGETHER = 16 };
    for (size_t first = 0; first < rows; first += TOGETHER) {
        const size_t last = rows - first < TOGETHER ? rows : first + TOGETHER;
        for (size_t p = 0; p < panels_of(units); p++) {
            const size_t n = lanes_left(units, p);
            for (size_t k = first; k < last; k++) {
                const real *from = w + k * ld + p * LANES;
                real *to = packed + (p * rows + k) * 4 * LANES;
                claim(to + 4 * rows * LANES, 4 * LANES); /* the next panel's row */
                UNROLL for (int gate = 0; gate < 4; gate++)
                    vstore(to + gate * LANES, get(from + (size_t)gate * units, n));
            }
        }
    }
}

/* first + second [4 units], each of which may be NULL -> gate order. */
static void pack_bias(size_t units, const real *first, const real *second, real *packed)
{
    for (size_t p = 0; p < panels_of(units); p++) {
        const size_t n = lanes_left(units, p);
        for (size_t gate = 0; gate < 4; gate++) {
            const size_t at = gate * units + p * LANES;
            const V a = first ? get(first + at, n) : vset(0);
            vstore(packed, second ? vadd(a, get(second + at, n)) : a);
            packed += LANES;
        }
    }
}

/* w [columns][4 units] -> across layout of its transpose. */
static void pack_across(size_t units, size_t columns, const real *w, size_t ld, real *packed)
{
    const parts groups = cut(panels_of(columns), CROSS_VECTORS);
    for (size_t g = 0; g < groups.count; g++) {
        const size_t first = part_first(&groups, g) * LANES;
        const size_t wide = part_size(&groups, g) * LANES;
        const size_t real_columns = columns - first < wide ? columns - first : wide;
        for (size_t p = 0; p < panels_of(units); p++) {
            const size_t n = lanes_left(units, p);
            for (size_t gate = 0; gate < 4; gate++) {
                const real *from = w + first * ld + gate * units + p * LANES;
                claim(packed + LANES * wide, LANES * wide); /* the next block */
                for (size_t c = 0; c < wide; c++) {
                    real lanes[LANES];
                    /* what the same gate of the next panel needs: each row is on pages of its own */
                    if (c < real_columns)
                        __builtin_prefetch(from + c * ld + LANES);
                    vstore(lanes, c < real_columns ? get(from + c * ld, n) : vset(0));
                    UNROLL for (size_t lane = 0; lane < LANES; lane++)
                        packed[lane * wide + c] = lanes[lane];
                }
                packed += LANES * wide;
            }
        }
    }
}

/* w [columns][4 units] -> narrow layout. */
static void pack_narrow(size_t units, size_t columns, const real *w, size_t ld, real *packed)
{
    for (size_t c = 0; c < columns; c++)
        pack_bias(units, w + c * ld, NULL, packed + c * panels_of(units) * 4 * LANES);
}

#endif
