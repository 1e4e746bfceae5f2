/* SPDX-License-Identifier: MIT
 *
 * The gates of a GRU (Cho et al. 2014) in one step, forward and backward, around products made
 * elsewhere. Arguments: lstm__gru_step in kernels.h.
 *
 *     z = s(a_z)    r = s(a_r)    g = t(a_g)    h = g + z (h_previous - g)
 * where a = x W + b + what comes from h: for the candidate r (h U + c) with the reset after the
 * product, (r h) U before it. s is sigmoid and t tanh, or others (shaped_tpl.h); slopes are taken from the values:
 *     dz = dh (h_previous - g) s'(z)      da_g = dh (1 - z) t'(g)      dh_previous = dh z + ...
 *     after:   dr = da_g (h U + c) s'(r), and da_g r goes back through U
 *     before:  dr = drh h_previous s'(r), and dh_previous += drh r, where drh = da_g U^T
 */
#ifndef LSTM_KERNELS_GRU_TPL_H
#define LSTM_KERNELS_GRU_TPL_H

typedef struct gru_row {
    real *z, *r, *g;          /* of the row */
    const real *hz, *hr, *hg; /* what comes from h */
    const real *h_previous;
    real *h, *second;
} gru_row;

static INLINE gru_row gru_row_of(const lstm__gru_step *s, size_t row)
{
    real *const gates = s->gates + row * 3 * s->units;
    const real *const recurrent = s->recurrent ? s->recurrent + row * 3 * s->units : gates;
    return (gru_row){gates + s->z,
                     gates + s->r,
                     gates + 2 * s->units,
                     recurrent + s->z,
                     recurrent + s->r,
                     recurrent + 2 * s->units,
                     s->h_previous + row * s->ld_previous,
                     s->h + row * s->units,
                     s->second ? s->second + row * s->units : NULL};
}

/* h from the finished candidate. */
static INLINE V gru_blend(V z, V g, V h)
{
    return vfma(z, vsub(h, g), g);
}

static void gru_after_forward(const lstm__gru_step *given)
{
    const lstm__gru_step own = *given; /* no store can change it */
    const lstm__gru_step *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        const gru_row p = gru_row_of(s, row);
        FOR_EACH_VECTOR(
            s->units,
            const V z = shaped(s->recurrent_activation, vadd(get(p.z + k, n), get(p.hz + k, n)));
            const V r = shaped(s->recurrent_activation, vadd(get(p.r + k, n), get(p.hr + k, n)));
            const V second = get(p.hg + k, n);
            const V g = shaped(s->activation, vfma(r, second, get(p.g + k, n))); put(p.z + k, z, n);
            put(p.r + k, r, n); put(p.g + k, g, n); if (p.second) put(p.second + k, second, n);
            put(p.h + k, gru_blend(z, g, get(p.h_previous + k, n)), n));
    }
}

/* z, r and second = r h_previous. */
static void gru_before_reset(const lstm__gru_step *given)
{
    const lstm__gru_step own = *given; /* no store can change it */
    const lstm__gru_step *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        const gru_row p = gru_row_of(s, row);
        FOR_EACH_VECTOR(
            s->units,
            const V z = shaped(s->recurrent_activation, vadd(get(p.z + k, n), get(p.hz + k, n)));
            const V r = shaped(s->recurrent_activation, vadd(get(p.r + k, n), get(p.hr + k, n)));
            put(p.z + k, z, n); put(p.r + k, r, n);
            put(p.second + k, vmul(r, get(p.h_previous + k, n)), n));
    }
}

static void gru_before_forward(const lstm__gru_step *given)
{
    const lstm__gru_step own = *given; /* no store can change it */
    const lstm__gru_step *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        const gru_row p = gru_row_of(s, row);
        FOR_EACH_VECTOR(s->units, const V g = shaped(s->activation, get(p.g + k, n));
                        put(p.g + k, g, n);
                        put(p.h + k, gru_blend(get(p.z + k, n), g, get(p.h_previous + k, n)), n));
    }
}

/* In place of the gates the gradients of their sums (r: later, where the reset stands before the
 * product); h holds dh and becomes dh z. */
static void gru_backward(const lstm__gru_step *given)
{
    const lstm__gru_step own = *given; /* no store can change it */
    const lstm__gru_step *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        const gru_row p = gru_row_of(s, row);
        FOR_EACH_VECTOR(
            s->units, const V z = get(p.z + k, n); const V g = get(p.g + k, n);
            const V dh = get(p.h + k, n);
            const V dg = vmul(vsub(dh, vmul(dh, z)), shaped_slope(s->activation, g));
            put(p.z + k,
                vmul(vmul(dh, vsub(get(p.h_previous + k, n), g)),
                     shaped_slope(s->recurrent_activation, z)),
                n);
            put(p.g + k, dg, n); put(p.h + k, vmul(dh, z), n); if (s->after) {
                const V r = get(p.r + k, n);
                put(p.r + k,
                    vmul(vmul(dg, get(p.second + k, n)), shaped_slope(s->recurrent_activation, r)),
                    n);
                put(p.second + k, vmul(dg, r), n);
            });
    }
}

/* recurrent holds drh, [rows][units]. */
static void gru_before_backward(const lstm__gru_step *given)
{
    const lstm__gru_step own = *given; /* no store can change it */
    const lstm__gru_step *const s = &own;
    for (size_t row = 0; row < s->rows; row++) {
        const real *const from = s->recurrent + row * s->units;
        real *const gate = s->gates + row * 3 * s->units + s->r;
        const real *const h_previous = s->h_previous + row * s->ld_previous;
        real *const h = s->h + row * s->units;
        FOR_EACH_VECTOR(
            s->units, const V d = get(from + k, n); const V r = get(gate + k, n);
            put(h + k, vfma(d, r, get(h + k, n)), n);
            put(gate + k,
                vmul(vmul(d, get(h_previous + k, n)), shaped_slope(s->recurrent_activation, r)),
                n));
    }
}

#endif
