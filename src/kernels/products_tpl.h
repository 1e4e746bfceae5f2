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

/* A strip of columns: where it lies in b and c. `then` = where the next strip lies in b, or NULL. */
typedef struct strip {
    const real *b, *then, *bias;
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
    fetches next;
    fetch_nothing(&next, s->b);
    if (s->then) {
        if (!fresh || !WHOLE_LINES)
            fetch_rows(&next, p->c + first * p->ld_c + s->first + wide, p->ld_c, rows, wide);
        fetch_evenly(&next, s->then + k * wide, count * wide,
                     tiles.count * count * (s->vectors > CROSS_VECTORS ? 2 : 1));
    }
    job.fetch = &next;
    for (size_t t = 0; t < tiles.count; t++) {
        const size_t row = first + part_first(&tiles, t);
        const size_t height = part_size(&tiles, t);
        real *c = p->c + row * p->ld_c + s->first;
        job.a = p->a + row * p->ld_a + k;
        job.then = t + 1 == tiles.count && s->then ? s->then + k * wide : NULL;
        job.out = partial ? edge : c;
        job.ld_out = partial ? wide : p->ld_c;
        job.start = fresh ? s->bias : job.out;
        job.ld_start = fresh ? 0 : job.ld_out;
        if (partial && !fresh)
            copy_part(height, s->columns, c, p->ld_c, edge, wide);
        if (fresh && !partial && t + 1 < tiles.count)
            for (size_t r = 0; r < part_size(&tiles, t + 1); r++)
                claim(c + (height + r) * p->ld_c, wide);
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
                const bool last = panel + 1 == panels_of(units);
                const strip s = {.b = p->b + at * p->k,
                                 .then = last ? NULL : p->b + (at + 4 * LANES) * p->k,
                                 .bias = p->bias ? p->bias + at : NULL,
                                 .first = at,
                                 .columns = 4 * LANES,
                                 .vectors = 4};
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
                const bool last = g + 1 == groups.count;
                const strip s = {.b = p->b + first * p->k,
                                 .then = last ? NULL : p->b + (first + wide) * p->k,
                                 .first = first,
                                 .columns = columns - first < wide ? columns - first : wide,
                                 .vectors = wide / LANES};
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

/* Some vectors of columns of dw: one gate of neighbouring panels, whose columns lie side by side in
 * dw; or where panels are few the four gates of one, which lie side by side in d, so that d can be read
 * where it stands. */
typedef struct outer_strip {
    size_t vectors;
    size_t panel;          /* of the first vector */
    size_t d, d_step;      /* its first column in d, and from vector to vector */
    size_t column, w_step; /* the same of dw */
    size_t last;           /* lanes of the last vector that count; all others count in full */
} outer_strip;

/* Rows this far apart are on a page each, or nearly so: then a block of them is copied before it is
 * read again and again. */
enum { FAR_BYTES = 1024 };

static INLINE bool is_far(size_t ld)
{
    return ld * sizeof(real) >= FAR_BYTES;
}

/* The strips of panels first to last - 1: by gates, then groups of panels. */
typedef struct outer_strips {
    size_t first_panel, units;
    bool by_panel, near; /* near: all of dw stays in the second cache */
    parts groups;
    size_t count;
} outer_strips;

static INLINE outer_strips cut_panels(size_t inputs, size_t units, size_t ld_d, size_t first_panel,
                                      size_t last_panel)
{
    const size_t panels = last_panel - first_panel;
    const bool by_panel = !is_far(ld_d) || (panels < CROSS_VECTORS && CROSS_VECTORS == 4);
    const parts groups = cut(panels, by_panel ? 1 : CROSS_VECTORS);
    return (outer_strips){.first_panel = first_panel,
                          .units = units,
                          .by_panel = by_panel,
                          .near = inputs * units * 4 * sizeof(real) <= BLOCK_BYTES,
                          .groups = groups,
                          .count = by_panel ? panels : 4 * groups.count};
}

static INLINE outer_strip strip_at(const outer_strips *s, size_t index)
{
    const size_t group = s->by_panel ? index : index % s->groups.count;
    const size_t gate = s->by_panel ? 0 : index / s->groups.count;
    const size_t panel = s->first_panel + part_first(&s->groups, group);
    const size_t vectors = s->by_panel ? 4 : part_size(&s->groups, group);
    const size_t last = lanes_left(s->units, s->by_panel ? panel : panel + vectors - 1);
    return (outer_strip){.vectors = vectors,
                         .panel = panel,
                         .d = (panel * 4 + gate) * LANES,
                         .d_step = s->by_panel ? LANES : 4 * LANES,
                         .column = gate * s->units + panel * LANES,
                         .w_step = s->by_panel ? s->units : LANES,
                         .last = last};
}

/* Lanes of vector v that count. */
static INLINE size_t strip_lanes(const outer_strip *s, const outer_strips *all, size_t v)
{
    return all->by_panel || v + 1 == s->vectors ? s->last : LANES;
}

/* A block of a and a strip of d as the tiles find them: a as it stands, or in tiles. */
typedef struct outer_block {
    const real *a;
    size_t ld_a; /* 0: in tiles */
    const real *d;
    size_t ld_d;
    size_t rows, inputs;
    bool fresh;
} outer_block;

/* One row of some tiles of the same height. */
static INLINE void copy_row(const real *from, size_t tiles, size_t height, real *to, size_t step)
{
    for (size_t t = 0; t < tiles; t++, from += height, to += step)
        for (size_t c = 0; c < height; c += LANES) {
            const size_t n = height - c < LANES ? height - c : LANES;
            put(to + c, get(from + c, n), n);
        }
}

/* Columns of a [rows][inputs] cut into tiles, each [rows][height]. */
static void copy_tiles(const real *a, size_t ld, const uint32_t *list, size_t rows, size_t inputs,
                       real *room)
{
    const parts tiles = cut(inputs, CROSS_ROWS);
    for (size_t r = 0; r < rows; r++) {
        const real *from = a + (list ? list[r] : r) * ld;
        const size_t high = tiles.base + 1;
        const size_t rest = part_first(&tiles, tiles.extra);
        copy_row(from, tiles.extra, high, room + r * high, rows * high);
        copy_row(from + rest, tiles.count - tiles.extra, tiles.base,
                 room + rest * rows + r * tiles.base, rows * tiles.base);
    }
}

/* Some vectors, `step` apart, of each row of d. */
static INLINE void copy_vectors(size_t vectors, size_t step, const real *d, size_t ld,
                                const uint32_t *list, size_t rows, real *room)
{
    for (size_t r = 0; r < rows; r++, room += vectors * LANES) {
        const real *from = d + (list ? list[r] : r) * ld;
        UNROLL for (size_t v = 0; v < vectors; v++)
            vstore(room + v * LANES, vload(from + v * step));
    }
}

/* A strip of d: nearly all have CROSS_VECTORS vectors. */
static void copy_strip(const outer_strip *s, const real *d, size_t ld, const uint32_t *list,
                       size_t rows, real *room)
{
    if (s->vectors == CROSS_VECTORS && !list)
        copy_vectors(CROSS_VECTORS, s->d_step, d + s->d, ld, NULL, rows, room);
    else
        copy_vectors(s->vectors, s->d_step, d + s->d, ld, list, rows, room);
}

/* db of a strip = (fresh) or += sums of the rows of d. */
static void sum_strip(const lstm__outer *o, const outer_strips *all, const outer_strip *s,
                      const outer_block *b)
{
    V sum[4];
    real *db = o->db + s->column;
    for (size_t v = 0; v < s->vectors; v++)
        sum[v] = b->fresh ? vset(0) : get(db + v * s->w_step, strip_lanes(s, all, v));
    for (size_t r = 0; r < b->rows; r++)
        for (size_t v = 0; v < s->vectors; v++)
            sum[v] = vadd(sum[v], vload(b->d + r * b->ld_d + v * LANES));
    for (size_t v = 0; v < s->vectors; v++)
        put(db + v * s->w_step, sum[v], strip_lanes(s, all, v));
}

/* What comes after a tile: the part of dw that the next adds to, and with the first tiles a vector
 * each of the strip of d that is copied next. dw is not asked for sooner: its rows are so far apart,
 * often by a power of two, that few of them stay in a cache together. Where its rows do not begin on
 * lines, a part has one line more. */
static INLINE void fetch_outer(fetches *f, const outer_strips *all, const outer_strip *s,
                               const real *matrix, size_t height, const real *d, size_t ld_d,
                               size_t rows)
{
    fetch_nothing(f, matrix);
    if (all->near)
        return;
    for (size_t v = 0; v < s->vectors && height > 0; v++)
        if (all->by_panel || v * LANES * sizeof(real) % 64 == 0)
            fetch(f, matrix + v * s->w_step, 4 * all->units, height);
    if (!all->by_panel && height > 0)
        fetch(f, matrix + s->vectors * LANES - 1, 4 * all->units, height); /* its last line */
    if (d)
        fetch(f, d, ld_d, rows);
}

/* A strip of dw, from its first input of the block on. Tiles add to dw itself where it has whole
 * vectors side by side. */
static void outer_tiles(const outer_block *b, const outer_strips *all, const outer_strip *s,
                        real *dw, const real *next_d, size_t ld_d)
{
    fetches next;
    real sums[CROSS_ROWS * 4 * LANES] __attribute__((aligned(64)));
    const parts tiles = cut(b->inputs, CROSS_ROWS);
    const bool direct = s->w_step == LANES && s->last == LANES;
    const size_t ld = 4 * all->units;
    const size_t wide = s->vectors * LANES;
    tile_job job = {.count = b->rows,
                    .row = 1,
                    .b = b->d,
                    .wide = b->ld_d,
                    .ld_start = direct ? ld : wide,
                    .ld_out = direct ? ld : wide,
                    .fetch = &next};
    tile_function *const *by_rows = all->by_panel ? gate_tiles : cross_tiles[s->vectors - 1];
    for (size_t t = 0; t < tiles.count; t++) {
        const size_t first = part_first(&tiles, t);
        const size_t height = part_size(&tiles, t);
        real *matrix = dw + first * ld + s->column;
        job.a = b->a + (b->ld_a ? first : first * b->rows);
        job.step = b->ld_a ? b->ld_a : height;
        job.out = direct ? matrix : sums;
        job.start = b->fresh ? NULL : job.out;
        fetch_outer(&next, all, s, matrix + height * ld,
                    t + 1 < tiles.count ? part_size(&tiles, t + 1) : 0,
                    next_d && t < s->vectors ? next_d + t * s->d_step : NULL, ld_d, b->rows);
        if (!direct && !b->fresh)
            for (size_t r = 0; r < height; r++)
                for (size_t v = 0; v < s->vectors; v++)
                    vstore(sums + (r * s->vectors + v) * LANES,
                           get(matrix + r * ld + v * s->w_step, strip_lanes(s, all, v)));
        by_rows[height - 1](&job);
        if (!direct)
            for (size_t r = 0; r < height; r++)
                for (size_t v = 0; v < s->vectors; v++)
                    put(matrix + r * ld + v * s->w_step, vload(sums + (r * s->vectors + v) * LANES),
                        strip_lanes(s, all, v));
    }
}

/* Panels of dw and db for some rows, by blocks of inputs. */
static void outer_rows(const lstm__outer *o, size_t first, size_t rows, const outer_strips *all)
{
    const parts chunks = cut(o->inputs, LSTM__OUTER_INPUTS);
    real *d_room = o->scratch;
    real *a_room = o->scratch + LSTM__OUTER_ROWS * 4 * LANES;
    const uint32_t *list = o->list ? o->list + first : NULL;
    const size_t start = o->list ? 0 : first;
    for (size_t c = 0; c < chunks.count; c++) {
        const size_t input = part_first(&chunks, c);
        real *dw = o->dw ? o->dw + input * 4 * o->units : NULL;
        outer_block b = {.a = o->a + start * o->ld_a + input,
                         .ld_a = o->ld_a,
                         .rows = rows,
                         .inputs = part_size(&chunks, c),
                         .fresh = first == 0 && !o->accumulate};
        if (dw && (list || is_far(o->ld_a))) {
            copy_tiles(b.a, o->ld_a, list, rows, b.inputs, a_room);
            b.a = a_room;
            b.ld_a = 0;
        }
        for (size_t k = 0; k < all->count; k++) {
            const outer_strip s = strip_at(all, k);
            const real *next_d = NULL;
            if (!list && k + 1 < all->count)
                next_d = o->d + start * o->ld_d + strip_at(all, k + 1).d;
            b.d = o->d + start * o->ld_d + s.d;
            b.ld_d = o->ld_d;
            if (list || !all->by_panel || is_far(o->ld_d)) {
                copy_strip(&s, o->d + start * o->ld_d, o->ld_d, list, rows, d_room);
                b.d = d_room;
                b.ld_d = s.vectors * LANES;
            }
            if (dw)
                outer_tiles(&b, all, &s, dw, next_d, o->ld_d);
            if (o->db && c == 0)
                sum_strip(o, all, &s, &b);
        }
    }
}

/* Panels first to last - 1. Without rows dw and db are zeros. */
static void outer_gates(const lstm__outer *o, size_t first_panel, size_t last_panel)
{
    const outer_strips all = cut_panels(o->inputs, o->units, o->ld_d, first_panel, last_panel);
    const parts depths = cut(o->rows, LSTM__OUTER_ROWS);
    for (size_t d = 0; d < depths.count; d++)
        outer_rows(o, part_first(&depths, d), part_size(&depths, d), &all);
    if (depths.count == 0 && !o->accumulate)
        outer_rows(o, 0, 0, &all);
}

#endif
