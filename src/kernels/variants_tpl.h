/* SPDX-License-Identifier: MIT
 *
 * The cell of an LSTM with its variants, apart from the products that feed it; p are peepholes
 * (Gers and Schmidhuber 2000), | | a clip (ONNX `clip`, TensorFlow `cell_clip`), z zoneout (Krueger
 * et al. 2016), N the normalisation of c (Ba et al. 2016), each of which may be absent:
 *     i = r(|a_i + p_i c_previous|)      f = r(|a_f + p_f c_previous|), or 1 - i
 *     g = s(|a_g|)                       i = 1 - f with the other coupling
 *     m = |f c_previous + i g|           o = r(|a_o + p_o m|)
 *     n = N(m)                           h = o t(n)
 *     c = z c_previous + (1 - z) m       (n in place of m where the normalised c is carried, and
 *                                         then in o too)
 * Backward m is computed again from the gates. Whether a value was clipped is seen from the value
 * itself: one at the limit was, and then no gradient goes on.
 */
#ifndef LSTM_KERNELS_VARIANTS_TPL_H
#define LSTM_KERNELS_VARIANTS_TPL_H

#define BETWEEN(low, x, high) vmin(high, vmax(low, x))

/* The row of a matrix of units, and of one in gate order. */
#define ROW(matrix, row) ((matrix) ? (matrix) + (row)*s->ld_cell : NULL)

static INLINE V gate_of(const lstm__variant *s, lstm__activation activation, V a)
{
    if (s->gate_clip > 0)
        a = BETWEEN(vset(-s->gate_clip), a, vset(s->gate_clip));
    return shaped(activation, a);
}

/* The slope at a gate's value, 0 where its argument was at the clip. The activation rises, or, with
 * numbers of its own, falls. */
static INLINE V gate_slope(const lstm__variant *s, lstm__activation activation, V y)
{
    const V slope = shaped_slope(activation, y);
    if (!(s->gate_clip > 0))
        return slope;
    const V right = shaped(activation, vset(s->gate_clip));
    const V left = shaped(activation, vset(-s->gate_clip));
    const V high = vmax(left, right);
    const V low = vmin(left, right);
    return vselect(vgreater(high, y), vselect(vgreater(y, low), slope, vset(0)), vset(0));
}

static INLINE V fresh_cell(const lstm__variant *s, V i, V f, V g, V c_previous)
{
    const V m = vfma(f, c_previous, vmul(i, g));
    return s->cell_clip > 0 ? BETWEEN(vset(-s->cell_clip), m, vset(s->cell_clip)) : m;
}

/* a + p c */
static INLINE V look(const lstm__variant *s, size_t gate, size_t panel, V a, V c)
{
    if (!s->peephole)
        return a;
    return vfma(vload(s->peephole + (gate * panels_of(s->units) + panel) * LANES), c, a);
}

static INLINE V held_of(const lstm__variant *s, size_t row, size_t panel)
{
    return s->hold ? vload(s->hold + row * s->ld_hold + panel * LANES) : vset(s->held);
}

static INLINE bool has_zoneout(const lstm__variant *s)
{
    return s->hold || s->held > 0;
}

/* Whether o sees what is known after the normalisation of c only. */
static INLINE bool looks_late(const lstm__variant *s)
{
    return s->peephole && s->normal && s->carried;
}

/* The gates of one panel; returns m. Where o looks late its place is left with its sum. */
static INLINE V variant_gates(const lstm__variant *s, size_t panel, size_t n, real *gates,
                              V c_previous)
{
    V i = vset(0);
    V f = vset(0);
    const V g = gate_of(s, s->activation, vload(gates + 2 * LANES));
    if (s->coupling != LSTM_COUPLING_INPUT)
        i = gate_of(s, s->recurrent, look(s, 0, panel, vload(gates), c_previous));
    if (s->coupling != LSTM_COUPLING_FORGET)
        f = gate_of(s, s->recurrent, look(s, 1, panel, vload(gates + LANES), c_previous));
    if (s->coupling == LSTM_COUPLING_FORGET)
        f = vsub(vset(1), i);
    if (s->coupling == LSTM_COUPLING_INPUT)
        i = vsub(vset(1), f);
    const V m = fresh_cell(s, i, f, g, c_previous);
    const V a_o = vload(gates + 3 * LANES);
    const V o = looks_late(s) ? a_o : gate_of(s, s->recurrent, look(s, 2, panel, a_o, m));
    const V zero = vset(0);
    vstore(gates, n < LANES ? vpart(i, n, zero) : i);
    vstore(gates + LANES, n < LANES ? vpart(f, n, zero) : f);
    vstore(gates + 2 * LANES, n < LANES ? vpart(g, n, zero) : g);
    vstore(gates + 3 * LANES, n < LANES ? vpart(o, n, zero) : o);
    return n < LANES ? vpart(m, n, zero) : m;
}

/* o of one panel, from its sum and what it sees of c. */
static INLINE void late_gate(const lstm__variant *s, size_t panel, real *o, V seen)
{
    const V value = gate_of(s, s->recurrent, look(s, 2, panel, vload(o), seen));
    vstore(o, vpart(value, lanes_left(s->units, panel), vset(0)));
}

/* c and h of one panel from m and what h sees of it. */
static INLINE void variant_states(const lstm__variant *s, size_t row, size_t panel, size_t n, V m,
                                  V seen)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const V o = vload(s->gates + row * s->ld_gates + (panel * 4 + 3) * LANES);
    V t = shaped(s->output, seen);
    if (n < LANES)
        t = vpart(t, n, vset(0));
    if (has_zoneout(s)) {
        const V before = vload(s->c_previous + cell);
        m = vfma(held_of(s, row, panel), vsub(before, m), m);
    }
    vstore(s->c + cell, m);
    if (s->active_c)
        vstore(s->active_c + cell, t);
    put(s->h + row * s->ld_h + panel * LANES, vmul(o, t), n);
}

/* x [units] = (x - mean) / sqrt(variance + epsilon), of vectors `apart` elements from each other,
 * `gates` of them side by side in each panel; returns the factor. */
static INLINE real normalise(size_t units, size_t apart, size_t gates, real epsilon, real *x)
{
    V sum = vset(0);
    const real count = (real)(gates * units);
    for (size_t p = 0; p < panels_of(units); p++)
        for (size_t v = 0; v < gates; v++) {
            const V value = vload(x + p * apart + v * LANES);
            sum = vadd(sum, vpart(value, lanes_left(units, p), vset(0)));
        }
    const V mean = vset(vsum(sum) / count);
    sum = vset(0);
    for (size_t p = 0; p < panels_of(units); p++)
        for (size_t v = 0; v < gates; v++) {
            const V d = vpart(vsub(vload(x + p * apart + v * LANES), mean), lanes_left(units, p),
                              vset(0));
            sum = vfma(d, d, sum);
            vstore(x + p * apart + v * LANES, d);
        }
    const real spread = (real)1 / (real)sqrt((double)(vsum(sum) / count + epsilon));
    for (size_t p = 0; p < panels_of(units); p++)
        for (size_t v = 0; v < gates; v++)
            vstore(x + p * apart + v * LANES, vmul(vset(spread), vload(x + p * apart + v * LANES)));
    return spread;
}

/* d [units] = gradient at x, from that at the normalised x. */
static INLINE void normalise_back(size_t units, size_t apart, size_t gates, real spread,
                                  const real *normal, real *d)
{
    V sum = vset(0);
    V product = vset(0);
    const real count = (real)(gates * units);
    for (size_t p = 0; p < panels_of(units); p++)
        for (size_t v = 0; v < gates; v++) {
            const V dy = vload(d + p * apart + v * LANES);
            sum = vadd(sum, dy);
            product = vfma(dy, vload(normal + p * apart + v * LANES), product);
        }
    const V mean = vset(vsum(sum) / count);
    const V slope = vset(vsum(product) / count);
    for (size_t p = 0; p < panels_of(units); p++)
        for (size_t v = 0; v < gates; v++) {
            real *at = d + p * apart + v * LANES;
            const V x = vload(normal + p * apart + v * LANES);
            const V dx = vmul(vset(spread), vfnma(slope, x, vsub(vload(at), mean)));
            vstore(at, vpart(dx, lanes_left(units, p), vset(0)));
        }
}

static void variant_forward(const lstm__variant *given)
{
    const lstm__variant own = *given; /* no store can change it */
    const lstm__variant *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        real *const gates = s->gates + row * s->ld_gates;
        real *const normal = ROW(s->normal, row);
        for (size_t p = 0; p < panels_of(s->units); p++) {
            const size_t n = lanes_left(s->units, p);
            const V m = variant_gates(s, p, n, gates + p * 4 * LANES,
                                      vload(s->c_previous + row * s->ld_cell + p * LANES));
            if (normal) {
                vstore(normal + p * LANES, m);
                vstore(s->c + row * s->ld_cell + p * LANES, m);
            } else {
                variant_states(s, row, p, n, m, m);
            }
        }
        if (!normal)
            continue;
        s->spread[row] = normalise(s->units, LANES, 1, s->epsilon, normal);
        for (size_t p = 0; p < panels_of(s->units); p++) {
            const V x = vload(normal + p * LANES);
            const V seen = vfma(x, vload(s->gamma + p * LANES), vload(s->beta + p * LANES));
            if (looks_late(s))
                late_gate(s, p, gates + (p * 4 + 3) * LANES, seen);
            const V m = s->carried ? seen : vload(s->c + row * s->ld_cell + p * LANES);
            variant_states(s, row, p, lanes_left(s->units, p), m, seen);
        }
    }
}

/* ---- Back */

static INLINE void add_to(real *sum, V value)
{
    vstore(sum, vadd(vload(sum), value));
}

/* The gradient at what h sees of c, and what zoneout lets through of that at c. */
static INLINE V back_output(const lstm__variant *s, size_t row, size_t panel, V dc)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const V o = vload(s->gates + row * s->ld_gates + (panel * 4 + 3) * LANES);
    const V t = vload(s->active_c + cell);
    const V dn = vmul(vmul(vload(s->dh + cell), o), shaped_slope(s->output, t));
    return s->carried || !s->normal ? vadd(dn, dc) : dn;
}

/* What zoneout lets through of the gradient at c. */
static INLINE V let_through(const lstm__variant *s, size_t row, size_t panel, V dc)
{
    return has_zoneout(s) ? vfnma(held_of(s, row, panel), dc, dc) : dc;
}

/* From the gradients at a_o and m of one panel to those of the gates and of c_previous. */
static INLINE void back_gates(const lstm__variant *s, size_t row, size_t panel, V da_o, V dm)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const size_t wide = panels_of(s->units) * LANES;
    real *gates = s->gates + row * s->ld_gates + panel * 4 * LANES;
    const V i = vload(gates);
    const V f = vload(gates + LANES);
    const V g = vload(gates + 2 * LANES);
    const V before = vload(s->c_previous + cell);
    const V dc = vload(s->dc + cell);
    if (s->peephole && !looks_late(s))
        dm = vfma(vload(s->peephole + 2 * wide + panel * LANES), da_o, dm);
    if (s->cell_clip > 0) {
        const V size = vabs(vfma(f, before, vmul(i, g)));
        dm = vselect(vgreater(size, vset(s->cell_clip)), vset(0), dm);
    }
    V di = vmul(dm, g);
    V df = vmul(dm, before);
    if (s->coupling == LSTM_COUPLING_FORGET) {
        di = vsub(di, df);
        df = vset(0);
    } else if (s->coupling == LSTM_COUPLING_INPUT) {
        df = vsub(df, di);
        di = vset(0);
    }
    const V da_i = vmul(di, gate_slope(s, s->recurrent, i));
    const V da_f = vmul(df, gate_slope(s, s->recurrent, f));
    vstore(gates, da_i);
    vstore(gates + LANES, da_f);
    vstore(gates + 2 * LANES, vmul(vmul(dm, i), gate_slope(s, s->activation, g)));
    vstore(gates + 3 * LANES, da_o);
    V back = vmul(dm, f);
    if (has_zoneout(s))
        back = vfma(held_of(s, row, panel), dc, back);
    if (s->peephole) {
        real *sums = s->dpeephole + row * 3 * wide + panel * LANES;
        add_to(sums, vmul(da_i, before));
        add_to(sums + wide, vmul(da_f, before));
        if (!looks_late(s))
            add_to(sums + 2 * wide, vmul(da_o, fresh_cell(s, i, f, g, before)));
        back = vfma(vload(s->peephole + panel * LANES), da_i, back);
        back = vfma(vload(s->peephole + wide + panel * LANES), da_f, back);
    }
    vstore(s->dc + cell, back);
}

static INLINE V back_output_gate(const lstm__variant *s, size_t row, size_t panel)
{
    const size_t cell = row * s->ld_cell + panel * LANES;
    const V o = vload(s->gates + row * s->ld_gates + (panel * 4 + 3) * LANES);
    return vmul(vmul(vload(s->dh + cell), vload(s->active_c + cell)),
                gate_slope(s, s->recurrent, o));
}

static void variant_backward(const lstm__variant *given)
{
    const lstm__variant own = *given; /* no store can change it */
    const lstm__variant *const s = &own;
    const size_t wide = panels_of(s->units) * LANES;
    for (size_t row = 0; row < s->rows; row++) {
        real *const dh = s->dh + row * s->ld_cell;
        const real *const dc = s->dc + row * s->ld_cell;
        real *const gates = s->gates + row * s->ld_gates;
        for (size_t p = 0; !s->normal && p < panels_of(s->units); p++) {
            const V dm = back_output(s, row, p, let_through(s, row, p, vload(dc + p * LANES)));
            back_gates(s, row, p, back_output_gate(s, row, p), dm);
        }
        if (!s->normal)
            continue;
        for (size_t p = 0; p < panels_of(s->units); p++) {
            const V x = vload(s->normal + row * s->ld_cell + p * LANES);
            const V da_o = back_output_gate(s, row, p);
            V dn = back_output(s, row, p, let_through(s, row, p, vload(dc + p * LANES)));
            if (looks_late(s)) {
                const V seen = vfma(x, vload(s->gamma + p * LANES), vload(s->beta + p * LANES));
                dn = vfma(vload(s->peephole + 2 * wide + p * LANES), da_o, dn);
                add_to(s->dpeephole + (row * 3 + 2) * wide + p * LANES, vmul(da_o, seen));
            }
            real *sums = s->dnormal + row * 2 * wide + p * LANES;
            add_to(sums, vmul(dn, x));
            add_to(sums + wide, dn);
            vstore(dh + p * LANES, vmul(dn, vload(s->gamma + p * LANES)));
            vstore(gates + (p * 4 + 3) * LANES, da_o);
        }
        normalise_back(s->units, LANES, 1, s->spread[row], s->normal + row * s->ld_cell, dh);
        for (size_t p = 0; p < panels_of(s->units); p++) {
            V dm = vload(dh + p * LANES);
            if (!s->carried)
                dm = vadd(dm, let_through(s, row, p, vload(dc + p * LANES)));
            back_gates(s, row, p, vload(gates + (p * 4 + 3) * LANES), dm);
        }
    }
}

/* ---- Normalised gates */

static void gate_norm_forward(const lstm__gate_norm *given)
{
    const lstm__gate_norm own = *given; /* no store can change it */
    const lstm__gate_norm *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        real *const x = s->x + row * s->ld_x;
        real *const y = s->y + row * s->ld_y;
        if (s->joint)
            s->spread[row * 4] = normalise(s->units, 4 * LANES, 4, s->epsilon, x);
        for (size_t gate = 0; !s->joint && gate < 4; gate++)
            s->spread[row * 4 + gate] = normalise(s->units, 4 * LANES, 1, s->epsilon,
                                                  x + gate * LANES);
        for (size_t k = 0; k < panels_of(s->units) * 4 * LANES; k += LANES)
            vstore(y + k,
                   vfma(vload(s->gamma + k), vload(x + k), vload((s->bias ? s->bias : y) + k)));
    }
}

static void gate_norm_backward(const lstm__gate_norm *given)
{
    const lstm__gate_norm own = *given; /* no store can change it */
    const lstm__gate_norm *const s = &own;
    enum { CHUNK = 4 * LANES };
    for (size_t row = 0; row < s->rows; row++) {
        real *const x = s->x + row * s->ld_x;
        const real *const dy = s->y + row * s->ld_y;
        real *const sums = s->dgamma + row * s->ld_dgamma;
        const size_t gates = s->joint ? 4 : 1;
        for (size_t k = 0; k < panels_of(s->units) * CHUNK; k += LANES)
            add_to(sums + k, vmul(vload(dy + k), vload(x + k)));
        for (size_t gate = 0; gate < 4; gate += gates) {
            const V spread = vset(s->spread[row * 4 + gate]);
            const real count = (real)(gates * s->units);
            V sum = vset(0);
            V product = vset(0);
            for (size_t p = 0; p < panels_of(s->units); p++)
                for (size_t v = gate; v < gate + gates; v++) {
                    const size_t k = p * CHUNK + v * LANES;
                    const V d = vmul(vload(s->gamma + k), vload(dy + k));
                    sum = vadd(sum, d);
                    product = vfma(d, vload(x + k), product);
                }
            const V mean = vset(vsum(sum) / count);
            const V slope = vset(vsum(product) / count);
            for (size_t p = 0; p < panels_of(s->units); p++)
                for (size_t v = gate; v < gate + gates; v++) {
                    const size_t k = p * CHUNK + v * LANES;
                    const V d = vmul(vload(s->gamma + k), vload(dy + k));
                    const V dx = vmul(spread, vfnma(slope, vload(x + k), vsub(d, mean)));
                    vstore(x + k, vpart(dx, lanes_left(s->units, p), vset(0)));
                }
        }
    }
}

/* ---- Zoneout of outputs */

static void hold_forward(const lstm__hold *s)
{
    for (size_t row = 0; row < s->rows; row++) {
        real *const y = s->y + row * s->ld_y;
        const real *const before = s->previous + row * s->ld_previous;
        const real *const hold = s->hold ? s->hold + row * s->ld_hold : NULL;
        FOR_EACH_VECTOR(s->columns, const V x = get(y + k, n);
                        const V z = hold ? get(hold + k, n) : vset(s->held);
                        put(y + k, vfma(z, vsub(get(before + k, n), x), x), n));
    }
}

static void hold_backward(const lstm__hold *s)
{
    for (size_t row = 0; row < s->rows; row++) {
        real *const dy = s->y + row * s->ld_y;
        real *const kept = s->kept + row * s->ld_kept;
        const real *const hold = s->hold ? s->hold + row * s->ld_hold : NULL;
        FOR_EACH_VECTOR(s->columns, const V d = get(dy + k, n);
                        const V z = hold ? get(hold + k, n) : vset(s->held);
                        put(kept + k, vmul(z, d), n); put(dy + k, vfnma(z, d, d), n));
    }
}

/* ---- Plain matrices in the across layout */

/* w [k][columns], or (`turned`) [columns][k], -> groups of vectors of columns, as equal as can be,
 * each [k][vectors][V]: what multiply_across takes for b. */
static void pack_columns(size_t k, size_t columns, const real *w, size_t ld, int turned,
                         real *packed)
{
    const parts groups = cut(panels_of(columns), CROSS_VECTORS);
    for (size_t g = 0; g < groups.count; g++) {
        const size_t first = part_first(&groups, g) * LANES;
        const size_t wide = part_size(&groups, g) * LANES;
        const size_t real_columns = columns - first < wide ? columns - first : wide;
        for (size_t row = 0; row < k; row++, packed += wide)
            for (size_t c = 0; c < wide; c++)
                packed[c] = c >= real_columns ? 0
                            : turned          ? w[(first + c) * ld + row]
                                              : w[row * ld + first + c];
    }
}

#undef ROW
#undef BETWEEN

#endif
