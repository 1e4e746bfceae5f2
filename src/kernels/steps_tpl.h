/* SPDX-License-Identifier: MIT
 *
 * One step of an LSTM, forward and backward: products whose tiles end in the mathematics of the cell, so that neither
 * pre-activations nor the gradient at h ever go through memory (but for a tile's worth of it in the first cache).
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

typedef struct four_gates {
    V i, f, g, o;
} four_gates;

/* The four activations with two divisions: 1/(a b) gives both 1/a and 1/b. exp is cut at e^40, where a sigmoid is 4e-18,
 * so that no product overflows. g = tanh(x) = -m/(2 + m), m = exp(-2|x|) - 1, with the sign of x. */
static INLINE four_gates activate(V ai, V af, V ag, V ao)
{
    const V least = vset(-40);
    const V one = vset(1);
    const V zero = vset(0);
    const V i = vadd(one, vexp_negative(vsub(zero, vmax(least, ai))));
    const V f = vadd(one, vexp_negative(vsub(zero, vmax(least, af))));
    const V o = vadd(one, vexp_negative(vsub(zero, vmax(least, ao))));
    const V m = vexpm1_negative(vmul(vset(-2), vabs(ag)));
    const V g = vadd(m, vset(2));
    const V ig = vdiv(one, vmul(i, g));
    const V fo = vdiv(one, vmul(f, o));
    return (four_gates){vmul(ig, g), vmul(fo, o), vcopysign(vmul(vmul(m, ig), i), ag), vmul(fo, f)};
}

/* Gates and cell of one row of a panel, from the sums of its tile. */
static INLINE void finish_row(const lstm__step_forward *s, size_t row, size_t panel, size_t n, const real *sums)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const four_gates a = activate(vload(sums), vload(sums + LANES), vload(sums + 2 * LANES), vload(sums + 3 * LANES));
    if (s->gates) {
        real *gates = s->gates + row * s->ld_gates + panel * 4 * LANES;
        vstore(gates, a.i);
        vstore(gates + LANES, a.f);
        vstore(gates + 2 * LANES, a.g);
        vstore(gates + 3 * LANES, a.o);
    }
    const V c = vfma(a.f, vload(s->c_previous + cell), vmul(a.i, a.g));
    const V t = vtanh(c);
    const V h = vmul(a.o, t);
    vstore(s->c + cell, c);
    if (s->tanh_c)
        vstore(s->tanh_c + cell, t);
    put(s->h + row * s->ld_h + panel * LANES, h, n);
    if (s->y)
        put(s->y + row * s->ld_y + panel * LANES, h, n);
}

/* Panels first to last - 1. */
static void step_forward(const lstm__step_forward *s, size_t first_panel, size_t last_panel)
{
    real sums[MOST_ROWS * 4 * LANES] __attribute__((aligned(64)));
    const parts tiles = cut(s->rows, GATE_ROWS);
    for (size_t p = first_panel; p < last_panel; p++) {
        const size_t n = lanes_left(s->units, p);
        tile_job job = {.count = s->k, .row = s->ld_a, .step = 1, .b = s->packed + p * s->k * 4 * LANES,
                        .wide = 4 * LANES, .out = sums, .ld_out = 4 * LANES};
        for (size_t t = 0; t < tiles.count; t++) {
            const size_t first = part_first(&tiles, t);
            const size_t rows = part_size(&tiles, t);
            job.a = s->a + first * s->ld_a;
            job.start = s->start ? s->start + first * s->ld_start + p * 4 * LANES : s->bias + p * 4 * LANES;
            job.ld_start = s->start ? s->ld_start : 0;
            if (s->single)
                tile_single(&job);
            else
                gate_tiles[rows - 1](&job);
            if (n == LANES)
                for (size_t r = 0; r < rows; r++)
                    finish_row(s, first + r, p, LANES, sums + r * 4 * LANES);
            else
                for (size_t r = 0; r < rows; r++)
                    finish_row(s, first + r, p, n, sums + r * 4 * LANES);
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

/* Groups of columns first to last - 1; there are lstm__panels(cross_vectors, panels) of them. */
static void step_backward(const lstm__step_backward *s, size_t first_group, size_t last_group)
{
    real sums[MOST_ROWS * MOST_VECTORS * LANES] __attribute__((aligned(64)));
    const size_t k = panels_of(s->units) * 4 * LANES;
    const parts groups = cut(panels_of(s->units), CROSS_VECTORS);
    const parts tiles = cut(s->rows, CROSS_ROWS);
    for (size_t g = first_group; g < last_group; g++) {
        const size_t panel = part_first(&groups, g);
        const size_t vectors = part_size(&groups, g);
        tile_job job = {.count = k, .row = s->ld_next, .step = 1, .b = s->packed + panel * LANES * k,
                        .wide = vectors * LANES, .out = sums, .ld_out = vectors * LANES};
        for (size_t t = 0; t < tiles.count; t++) {
            const size_t first = part_first(&tiles, t);
            const size_t rows = part_size(&tiles, t);
            if (s->next) {
                job.a = s->next + first * s->ld_next;
                cross_tiles[vectors - 1][rows - 1](&job);
            }
            for (size_t r = 0; r < rows; r++)
                for (size_t v = 0; v < vectors; v++) {
                    const size_t n = lanes_left(s->units, panel + v);
                    const V dh = s->next ? vload(sums + (r * vectors + v) * LANES) : vset(0);
                    if (n == LANES)
                        back_row(s, first + r, panel + v, LANES, dh);
                    else
                        back_row(s, first + r, panel + v, n, dh);
                }
        }
    }
}

#endif
