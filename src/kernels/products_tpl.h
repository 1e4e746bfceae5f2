/* SPDX-License-Identifier: MIT
 *
 * The products of whole sequences: x W for all steps, dx, and the weight gradient.
 *
 * Walk of c += a b: blocks of rows whose part of a stays in the second cache; pieces of k; strips
 * of b (a panel of gates, or a group of columns) whose piece stays in the first; tiles. Only the
 * pieces of k have a say in the bits.
 */
#ifndef LSTM_KERNELS_PRODUCTS_TPL_H
#define LSTM_KERNELS_PRODUCTS_TPL_H

enum { BLOCK_BYTES = 256 << 10, FEWEST_ROWS = 48 };

/* A strip of columns: where it lies in b and c. */
typedef struct strip {
    const real *b, *bias;
    size_t first, columns, vectors;
} strip;

static void copy_part(size_t rows, size_t columns, const real *from, size_t ld_from, real *to,
                      size_t ld_to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c += LANES) {
            const size_t n = columns - c < LANES ? columns - c : LANES;
            put(to + r * ld_to + c, get(from + r * ld_from + c, n), n);
        }
}

/* One piece of k for rows first to first + rows - 1 of a strip. */
static void multiply_piece(const lstm__multiplication *p, const strip *s, size_t first, size_t rows,
                           size_t k, size_t count, size_t most_rows, tile_function *const *by_rows)
{
    real edge[MOST_ROWS * MOST_VECTORS * LANES] __attribute__((aligned(64)));
    const size_t wide = s->vectors * LANES;
    const bool partial = s->columns < wide;
    const bool fresh = k == 0 && !p->accumulate;
    const parts tiles = cut(rows, most_rows);
    tile_job job = {.count = count, .row = p->ld_a, .step = 1, .b = s->b + k * wide, .wide = wide};
    for (size_t t = 0; t < tiles.count; t++) {
        const size_t row = first + part_first(&tiles, t);
        const size_t height = part_size(&tiles, t);
        real *c = p->c + row * p->ld_c + s->first;
        job.a = p->a + row * p->ld_a + k;
        job.then = t + 1 == tiles.count ? s->b + p->k * wide + k * wide : NULL;
        job.far = far_part(s->b + p->k * wide + k * wide, t, count, wide);
        job.out = partial ? edge : c;
        job.ld_out = partial ? wide : p->ld_c;
        job.start = fresh ? s->bias : job.out;
        job.ld_start = fresh ? 0 : job.ld_out;
        if (partial && !fresh)
            copy_part(height, s->columns, c, p->ld_c, edge, wide);
        by_rows[height - 1](&job);
        if (partial)
            copy_part(height, s->columns, edge, wide, c, p->ld_c);
    }
}

static INLINE size_t block_rows(size_t depth)
{
    const size_t rows = BLOCK_BYTES / sizeof(real) / (depth ? depth : 1);
    return rows < FEWEST_ROWS ? FEWEST_ROWS : rows;
}

/* c [rows] in gate order = bias + a W, b being W's gates layout. */
static void multiply_gates(const lstm__multiplication *p, size_t units)
{
    const parts depths = cut(p->k, DEPTH);
    const size_t most = block_rows(depths.base);
    for (size_t row = 0; row < p->rows; row += most)
        for (size_t d = 0; d < depths.count; d++)
            for (size_t panel = 0; panel < panels_of(units); panel++) {
                const size_t at = panel * 4 * LANES;
                const strip s = {p->b + at * p->k, p->bias ? p->bias + at : NULL, at, 4 * LANES, 4};
                multiply_piece(p, &s, row, p->rows - row < most ? p->rows - row : most,
                               part_first(&depths, d), part_size(&depths, d), GATE_ROWS,
                               gate_tiles);
            }
}

/* c [rows][columns] = (or +=) a in gate order times W transposed, b being its across layout; k = 4
 * U. */
static void multiply_across(const lstm__multiplication *p, size_t columns)
{
    const parts groups = cut(panels_of(columns), CROSS_VECTORS);
    const parts depths = cut(p->k, DEPTH);
    const size_t most = block_rows(depths.base);
    for (size_t row = 0; row < p->rows; row += most)
        for (size_t d = 0; d < depths.count; d++)
            for (size_t g = 0; g < groups.count; g++) {
                const size_t first = part_first(&groups, g) * LANES;
                const size_t wide = part_size(&groups, g) * LANES;
                const strip s = {p->b + first * p->k, NULL, first,
                                 columns - first < wide ? columns - first : wide, wide / LANES};
                multiply_piece(p, &s, row, p->rows - row < most ? p->rows - row : most,
                               part_first(&depths, d), part_size(&depths, d), CROSS_ROWS,
                               cross_tiles[s.vectors - 1]);
            }
}

/* The same from the narrow layout: one scalar product an element, in four sums a row. */
static void multiply_narrow(const lstm__multiplication *p, size_t columns)
{
    for (size_t row = 0; row < p->rows; row++)
        for (size_t c = 0; c < columns; c++) {
            const real *a = p->a + row * p->ld_a;
            const real *b = p->b + c * p->k;
            V sum[4] = {vset(0), vset(0), vset(0), vset(0)};
            for (size_t k = 0; k < p->k; k += 4 * LANES)
                UNROLL for (size_t v = 0; v < 4; v++)
                    sum[v] = vfma(vload(a + k + v * LANES), vload(b + k + v * LANES), sum[v]);
            real *out = p->c + row * p->ld_c + c;
            const real total = vsum(vadd(vadd(sum[0], sum[1]), vadd(sum[2], sum[3])));
            *out = p->accumulate ? *out + total : total;
        }
}

/* ---- Weight gradient */

/* Four gates of a panel in a matrix [..][4 units] lie `units` apart: to and from a tile's
 * [rows][4][V]. */
static INLINE void gather_panel(size_t rows, size_t units, size_t n, const real *matrix, real *sums)
{
    for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t v = 0; v < 4; v++)
            vstore(sums + (r * 4 + v) * LANES, get(matrix + (r * 4 + v) * units, n));
}

static INLINE void scatter_panel(size_t rows, size_t units, size_t n, const real *sums,
                                 real *matrix)
{
    for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t v = 0; v < 4; v++)
            put(matrix + (r * 4 + v) * units, vload(sums + (r * 4 + v) * LANES), n);
}

/* db of a panel = (fresh) or += sums of the rows of d, a block of that panel. */
static void sum_panel(const lstm__outer *o, size_t panel, const real *d, size_t ld_d, size_t rows,
                      bool fresh)
{
    const size_t n = lanes_left(o->units, panel);
    real *db = o->db + panel * LANES;
    V sum[4];
    UNROLL for (size_t v = 0; v < 4; v++) sum[v] = fresh ? vset(0) : get(db + v * o->units, n);
    for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t v = 0; v < 4; v++)
            sum[v] = vadd(sum[v], vload(d + r * ld_d + v * LANES));
    UNROLL for (size_t v = 0; v < 4; v++) put(db + v * o->units, sum[v], n);
}

/* Rows this far apart are on a page each, or nearly so: then a block of them is copied before it is
 * read again and again. */
enum { FAR_BYTES = 1024 };

static INLINE bool is_far(size_t ld)
{
    return ld * sizeof(real) >= FAR_BYTES;
}

/* Columns of a [rows][inputs] cut into tiles, each [rows][height]. A vector is written where
 * `height` elements count: the rest is overwritten by the next row, or is room. */
static void copy_tiles(const real *a, size_t ld, const uint32_t *list, size_t rows, size_t inputs,
                       real *room)
{
    const parts tiles = cut(inputs, GATE_ROWS);
    for (size_t t = 0; t < tiles.count; t++) {
        const size_t first = part_first(&tiles, t);
        const size_t height = part_size(&tiles, t);
        for (size_t r = 0; r < rows; r++) {
            const real *from = a + (list ? list[r] : r) * ld + first;
            for (size_t c = 0; c < height; c += LANES) {
                const size_t left = inputs - first - c;
                vstore(room + (first * rows + r * height) + c,
                       get(from + c, left < LANES ? left : LANES));
            }
        }
    }
}

/* A panel of d. */
static void copy_panel(const real *d, size_t ld, const uint32_t *list, size_t rows, real *room)
{
    for (size_t r = 0; r < rows; r++)
        copy_part(1, 4 * LANES, d + (list ? list[r] : r) * ld, ld, room + r * 4 * LANES, 4 * LANES);
}

/* A block of a and a panel of d as the tiles find them: a as it stands, or in tiles. */
typedef struct outer_block {
    const real *a;
    size_t ld_a; /* 0: in tiles */
    const real *d;
    size_t ld_d;
    size_t rows, inputs;
    bool fresh;
} outer_block;

/* Ask for the part of dw that the tile after this one adds to. */
static INLINE void fetch_matrix(const real *matrix, size_t rows, size_t units)
{
    for (size_t r = 0; r < rows * 4; r++)
        __builtin_prefetch(matrix + r * units, 1);
}

/* One panel of dw, from its first input of the block on. */
static void outer_panel(const outer_block *b, size_t units, size_t panel, real *dw)
{
    real sums[GATE_ROWS * 4 * LANES] __attribute__((aligned(64)));
    const parts tiles = cut(b->inputs, GATE_ROWS);
    const size_t n = lanes_left(units, panel);
    tile_job job = {.count = b->rows,
                    .row = 1,
                    .b = b->d,
                    .wide = b->ld_d,
                    .start = b->fresh ? NULL : sums,
                    .ld_start = 4 * LANES,
                    .out = sums,
                    .ld_out = 4 * LANES};
    for (size_t t = 0; t < tiles.count; t++) {
        const size_t first = part_first(&tiles, t);
        const size_t height = part_size(&tiles, t);
        real *matrix = dw + first * 4 * units + panel * LANES;
        job.a = b->a + (b->ld_a ? first : first * b->rows);
        job.step = b->ld_a ? b->ld_a : height;
        if (t + 1 < tiles.count)
            fetch_matrix(matrix + height * 4 * units, part_size(&tiles, t + 1), units);
        if (!b->fresh)
            gather_panel(height, units, n, matrix, sums);
        gate_tiles[height - 1](&job);
        scatter_panel(height, units, n, sums, matrix);
    }
}

/* Panels of dw and db for some rows, by blocks of inputs. */
static void outer_rows(const lstm__outer *o, size_t first, size_t rows, size_t first_panel,
                       size_t last_panel)
{
    const parts chunks = cut(o->inputs, LSTM__OUTER_INPUTS);
    real *d_room = o->scratch;
    real *a_room = o->scratch + LSTM__OUTER_ROWS * 4 * LANES;
    const uint32_t *list = o->list ? o->list + first : NULL;
    const size_t start = o->list ? 0 : first;
    for (size_t c = 0; c < chunks.count; c++) {
        const size_t input = part_first(&chunks, c);
        outer_block b = {.a = o->a + start * o->ld_a + input,
                         .ld_a = o->ld_a,
                         .rows = rows,
                         .inputs = part_size(&chunks, c),
                         .fresh = first == 0 && !o->accumulate};
        if (o->dw && (list || is_far(o->ld_a))) {
            copy_tiles(b.a, o->ld_a, list, rows, b.inputs, a_room);
            b.a = a_room;
            b.ld_a = 0;
        }
        for (size_t p = first_panel; p < last_panel; p++) {
            b.d = o->d + start * o->ld_d + p * 4 * LANES;
            b.ld_d = o->ld_d;
            if (list || is_far(o->ld_d)) {
                copy_panel(b.d, o->ld_d, list, rows, d_room);
                b.d = d_room;
                b.ld_d = 4 * LANES;
            }
            if (o->dw)
                outer_panel(&b, o->units, p, o->dw + input * 4 * o->units);
            if (o->db && c == 0)
                sum_panel(o, p, b.d, b.ld_d, rows, b.fresh);
        }
    }
}

/* Panels first to last - 1. Without rows dw and db are zeros. */
static void outer_gates(const lstm__outer *o, size_t first_panel, size_t last_panel)
{
    const parts depths = cut(o->rows, LSTM__OUTER_ROWS);
    for (size_t d = 0; d < depths.count; d++)
        outer_rows(o, part_first(&depths, d), part_size(&depths, d), first_panel, last_panel);
    if (depths.count == 0 && !o->accumulate)
        outer_rows(o, 0, 0, first_panel, last_panel);
}

#endif
