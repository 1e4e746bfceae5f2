/* SPDX-License-Identifier: MIT
 *
 * One step of an LSTM, forward and backward: products whose tiles end in the mathematics of the
 * cell, so that neither pre-activations nor the gradient at h ever go through memory (but for a
 * tile's worth of it in the first cache).
 *
 * The cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000):
 *     i = sigmoid(a_i)   f = sigmoid(a_f)   g = tanh(a_g)   o = sigmoid(a_o)
 *     c = f c_previous + i g        h = o tanh(c)
 * and its gradients
 *     do = dh tanh(c)               dc = dc_next + dh o (1 - tanh(c)^2)
 *     di = dc g    df = dc c_previous    dg = dc i    dc_previous = dc f
 * which leave multiplied by the derivatives of the activations.
 */
#ifndef LSTM_KERNELS_STEPS_TPL_H
#define LSTM_KERNELS_STEPS_TPL_H

/* ---- Forward */

/* The divisors of the sigmoids are I, F, O, and tanh(x) = m / (m + 2): one reciprocal for i, f and g, as
 * 1/(I F G) gives each, and one for o and tanh(c). Without a tape the quotients alone will do:
 *     c = (c_previous I G + m F) / (I F G)        h = m / (O (m + 2)), m of c
 *
 * The first half of one row of a panel, from the sums of its tile, in whose place O and c are left. */
static INLINE void finish_gates(const lstm__step_forward *s, size_t row, size_t panel, real *sums)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const V before = vload(s->c_previous + cell);
    const V i = vsigmoid_divisor(vload(sums));
    const V f = vsigmoid_divisor(vload(sums + LANES));
    const V m = vtanh_dividend(vload(sums + 2 * LANES));
    const V g = vadd(m, vset(2));
    const V ig = vmul(i, g);
    const V all = vmul(ig, f);
    V c;
    if (s->gates) {
        real *gates = s->gates + row * s->ld_gates + panel * 4 * LANES;
        const V inverse = vreciprocal(all);
        const V gate_i = vmul(vmul(f, g), inverse);
        const V gate_f = vmul(ig, inverse);
        const V gate_g = vmul(vmul(vmul(i, f), m), inverse);
        vstore(gates, gate_i);
        vstore(gates + LANES, gate_f);
        vstore(gates + 2 * LANES, gate_g);
        c = vfma(gate_f, before, vmul(gate_i, gate_g));
    } else {
        c = vdiv(vfma(before, ig, vmul(m, f)), all);
    }
    vstore(s->c + cell, c);
    vstore(sums, vsigmoid_divisor(vload(sums + 3 * LANES)));
    vstore(sums + LANES, c);
}

/* The second half. */
static INLINE void finish_output(const lstm__step_forward *s, size_t row, size_t panel, size_t n,
                                 const real *sums)
{
    const V o = vload(sums);
    const V m = vtanh_dividend(vload(sums + LANES));
    const V t = vadd(m, vset(2));
    V h;
    if (s->gates) {
        const V inverse = vreciprocal(vmul(o, t));
        const V gate_o = vmul(t, inverse);
        const V tanh_c = vmul(vmul(m, o), inverse);
        vstore(s->gates + row * s->ld_gates + (panel * 4 + 3) * LANES, gate_o);
        vstore(s->tanh_c + row * s->ld_cell + panel * LANES, tanh_c);
        h = vmul(gate_o, tanh_c);
    } else {
        h = vdiv(m, vmul(o, t));
    }
    put(s->h + row * s->ld_h + panel * LANES, h, n);
    if (s->y)
        put(s->y + row * s->ld_y + panel * LANES, h, n);
}

/* From sums to h for rows x panels tiles. In two passes: a processor looks only so far ahead, and
 * one chain of instructions from sums to h fills that window while it waits for its divisions
 * (AVX-512: 99 cycles a row and panel against 84). */
static void finish(const lstm__step_forward *s, size_t first, size_t rows, size_t first_panel,
                   size_t panels, real *sums)
{
    for (size_t p = 0; p < panels; p++)
        for (size_t r = 0; r < rows; r++)
            finish_gates(s, first + r, first_panel + p, sums + (p * rows + r) * 4 * LANES);
    for (size_t p = 0; p < panels; p++) {
        const size_t n = lanes_left(s->units, first_panel + p);
        if (n == LANES)
            for (size_t r = 0; r < rows; r++)
                finish_output(s, first + r, first_panel + p, LANES,
                              sums + (p * rows + r) * 4 * LANES);
        else
            for (size_t r = 0; r < rows; r++)
                finish_output(s, first + r, first_panel + p, n, sums + (p * rows + r) * 4 * LANES);
    }
}

/* Steps of fewer rows times k are over before a list of streams pays. */
enum { SMALL_STEP = 2048 };

/* What comes after some panels: the weights of as many, and what the cells of the first read and
 * write of the tape. */
static void fetch_panel(fetches *f, const lstm__step_forward *s, size_t panel, size_t panels)
{
    const size_t gates = panel * 4 * LANES;
    const size_t cell = panel * LANES;
    const size_t n = lanes_left(s->units, panel);
    const bool small = s->rows * s->k < SMALL_STEP;
    fetch_nothing(f, s->bias);
    if (s->start && !small)
        fetch_rows(f, s->start + gates, s->ld_start, s->rows, 4 * LANES);
    fetch_evenly(f, s->packed + gates * s->k, panels * s->k * 4 * LANES,
                 cut(s->rows, GATE_ROWS).count * panels * s->k * (4 / CROSS_VECTORS));
    if (WHOLE_LINES || small)
        return;
    if (s->gates && s->gates != s->start)
        fetch_rows(f, s->gates + gates, s->ld_gates, s->rows, 4 * LANES);
    if (s->tanh_c) {
        fetch_rows(f, s->tanh_c + cell, s->ld_cell, s->rows, LANES);
        fetch_rows(f, s->c + cell, s->ld_cell, s->rows, LANES);
        fetch_rows(f, s->h + cell, s->ld_h, s->rows, n);
    }
    if (s->y)
        fetch_rows(f, s->y + cell, s->ld_y, s->rows, n);
}

/* What the cells of some rows of a panel are going to write, but not the tape of a short step, which is
 * near. */
static INLINE void claim_tape(const lstm__step_forward *s, size_t first, size_t rows, size_t panel)
{
    const size_t cell = panel * LANES;
    if (s->gates && s->rows * s->k < 4 * SMALL_STEP)
        return;
    for (size_t r = first; r < first + rows; r++) {
        if (s->gates) {
            claim(s->gates + r * s->ld_gates + 4 * cell, 4 * LANES);
            claim(s->c + r * s->ld_cell + cell, LANES);
            claim(s->tanh_c + r * s->ld_cell + cell, LANES);
            claim(s->h + r * s->ld_h + cell, LANES);
        }
        if (s->y)
            claim(s->y + r * s->ld_y + cell, LANES);
    }
}

/* Panels first to last - 1: for each some panels and all rows, tile by tile. Short steps take panels in
 * groups. */
static void step_forward(const lstm__step_forward *s, size_t first_panel, size_t last_panel)
{
    real sums[MOST_ROWS * 4 * LANES] __attribute__((aligned(64)));
    fetches next;
    const parts tiles = cut(s->rows, GATE_ROWS);
    const size_t most = s->rows > 0 && s->rows <= MOST_ROWS / 2 ? MOST_ROWS / s->rows : 1;
    const size_t groups = (last_panel - first_panel + most - 1) / most;
    for (size_t g = 0; g < groups; g++) {
        const size_t p = first_panel + (s->turned ? groups - 1 - g : g) * most;
        const size_t panels = last_panel - p < most ? last_panel - p : most;
        const size_t then = s->turned ? p - most : p + most; /* if there is one more */
        const size_t panels_then = last_panel - then < most ? last_panel - then : most;
        const bool more = g + 1 < groups;
        fetch_nothing(&next, s->bias);
        if (more && !s->single)
            fetch_panel(&next, s, then, panels_then);
        for (size_t t = 0; t < tiles.count; t++) {
            const size_t first = part_first(&tiles, t);
            const size_t rows = part_size(&tiles, t);
            for (size_t k = 0; k < panels; k++) {
                const size_t part = s->turned ? panels - 1 - k : k;
                const size_t at = (p + part) * 4 * LANES;
                /* with several panels there is one tile of rows */
                const bool last = t + 1 == tiles.count && (more || k + 1 < panels);
                const tile_job job = {
                    .count = s->k,
                    .a = s->a + first * s->ld_a,
                    .row = s->ld_a,
                    .step = 1,
                    .b = s->packed + at * s->k,
                    .wide = 4 * LANES,
                    .start = s->start ? s->start + first * s->ld_start + at : s->bias + at,
                    .ld_start = s->start ? s->ld_start : 0,
                    .out = sums + part * rows * 4 * LANES,
                    .ld_out = 4 * LANES,
                    .then = last ? s->packed + (s->turned ? at - 4 * LANES : at + 4 * LANES) * s->k
                                 : NULL,
                    .fetch = &next,
                };
                if (s->single)
                    tile_single_4(&job);
                else
                    gate_tiles[rows - 1](&job);
            }
            if (t + 1 < tiles.count)
                claim_tape(s, first + rows, part_size(&tiles, t + 1), p);
            else if (more && panels == 1)
                claim_tape(s, 0, part_size(&tiles, 0), then);
            finish(s, first, rows, p, panels, sums);
        }
    }
}

/* ---- Backward */

static INLINE void back_row(const lstm__step_backward *s, size_t row, size_t panel, size_t n, V dh)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    real *gates = s->gates + row * s->ld_gates + panel * 4 * LANES;
    const V one = vset(1);
    const V i = vload(gates);
    const V f = vload(gates + LANES);
    const V g = vload(gates + 2 * LANES);
    const V o = vload(gates + 3 * LANES);
    const V t = vload(s->tanh_c + cell);
    if (s->dy)
        dh = vadd(dh, get(s->dy + row * s->ld_dy + panel * LANES, n));
    if (s->extra)
        dh = vadd(dh, get(s->extra + row * s->ld_extra + panel * LANES, n));
    const V dc = vfma(vmul(dh, o), vfnma(t, t, one), vload(s->dc + cell));
    vstore(gates, vmul(vmul(dc, g), vfnma(i, i, i)));
    vstore(gates + LANES, vmul(vmul(dc, vload(s->c_previous + cell)), vfnma(f, f, f)));
    vstore(gates + 2 * LANES, vmul(vmul(dc, i), vfnma(g, g, one)));
    vstore(gates + 3 * LANES, vmul(vmul(dh, t), vfnma(o, o, o)));
    vstore(s->dc + cell, vmul(dc, f));
}

/* Of the tape what the cell is going to read: gates with the first piece of k, the rest with the
 * last. */
static void fetch_tape(fetches *f, const lstm__step_backward *s, size_t first, size_t rows,
                       size_t panel, size_t vectors, bool begin, bool end)
{
    const size_t cell = first * s->ld_cell + panel * LANES;
    const size_t n = vectors * LANES;
    if (begin)
        fetch_rows(f, s->gates + first * s->ld_gates + panel * 4 * LANES, s->ld_gates, rows, 4 * n);
    if (!end)
        return;
    fetch_rows(f, s->tanh_c + cell, s->ld_cell, rows, n);
    fetch_rows(f, s->c_previous + cell, s->ld_cell, rows, n);
    if (s->dy)
        fetch_rows(f, s->dy + first * s->ld_dy + panel * LANES, s->ld_dy, rows, n);
}

/* Some rows of one group of columns: dh of all of them by pieces of k, which the rows share while
 * it is near, then the cell. */
static void back_block(const lstm__step_backward *s, size_t first, size_t rows, size_t panel,
                       size_t vectors, real *sums)
{
    const size_t k = panels_of(s->units) * 4 * LANES;
    const size_t wide = vectors * LANES;
    const parts depths = cut(s->next ? k : 0, DEPTH);
    const parts tiles = cut(rows, CROSS_ROWS);
    for (size_t d = 0; d < depths.count; d++) {
        const size_t from = part_first(&depths, d);
        const size_t count = part_size(&depths, d);
        const real *b = s->packed + panel * LANES * k + from * wide;
        fetches next;
        fetch_nothing(&next, b);
        if (!s->single && s->rows * k >= 4 * SMALL_STEP)
            fetch_tape(&next, s, first, rows, panel, vectors, d == 0, d + 1 == depths.count);
        if (!s->single)
            fetch_evenly(&next, b + count * wide, count * wide, tiles.count * count);
        for (size_t t = 0; t < tiles.count; t++) {
            const size_t row = part_first(&tiles, t);
            real *out = sums + row * wide;
            const tile_job job = {
                .count = count,
                .a = s->next + (first + row) * s->ld_next + from,
                .row = s->ld_next,
                .step = 1,
                .b = b,
                .wide = wide,
                .start = d > 0 ? out : NULL,
                .ld_start = wide,
                .out = out,
                .ld_out = wide,
                .then = t + 1 == tiles.count ? b + count * wide : NULL,
                .fetch = &next,
            };
            if (s->single)
                single_tiles[vectors - 1](&job);
            else
                cross_tiles[vectors - 1][part_size(&tiles, t) - 1](&job);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++) {
            const size_t n = lanes_left(s->units, panel + v);
            const V dh = s->next ? vload(sums + r * wide + v * LANES) : vset(0);
            if (n == LANES)
                back_row(s, first + r, panel + v, LANES, dh);
            else
                back_row(s, first + r, panel + v, n, dh);
        }
}

/* Groups of columns first to last - 1; there are lstm__panels(cross_vectors, panels) of them. */
static void step_backward(const lstm__step_backward *s, size_t first_group, size_t last_group)
{
    enum { TOGETHER = 16 * MOST_ROWS };
    real sums[TOGETHER * CROSS_VECTORS * LANES] __attribute__((aligned(64)));
    const parts groups = cut(panels_of(s->units), CROSS_VECTORS);
    const parts blocks = cut(s->rows, TOGETHER);
    for (size_t k = first_group; k < last_group; k++) {
        const size_t g = s->turned ? first_group + last_group - 1 - k : k;
        for (size_t b = 0; b < blocks.count; b++)
            back_block(s, part_first(&blocks, b), part_size(&blocks, b), part_first(&groups, g),
                       part_size(&groups, g), sums);
    }
}

#endif
