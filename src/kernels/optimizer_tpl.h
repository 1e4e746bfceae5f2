/* SPDX-License-Identifier: MIT
 *
 * Optimizer updates in one pass over parameters, gradients and moments. The formulas stand beside the step structs in
 * kernels.h; the papers are Kingma and Ba 2015 (Adam), Reddi et al. 2018 (AMSGrad), Loshchilov and Hutter 2019 (AdamW),
 * Sutskever et al. 2013 (momentum, Nesterov) and Tieleman and Hinton 2012 (RMSprop).
 */
#ifndef LSTM_KERNELS_OPTIMIZER_TPL_H
#define LSTM_KERNELS_OPTIMIZER_TPL_H

/* The gradient with coupled decay, and the parameter with decoupled decay. */
static INLINE V decayed_gradient(V w, V g, real coupled_decay)
{
    return vfma(vset(coupled_decay), w, g);
}

static INLINE V decayed_weight(V w, real decay)
{
    return vfnma(vset(decay), w, w);
}

/* old + (1 - keep) (now - old), as keep * old + (1 - keep) * now */
static INLINE V blend(real keep, V old, V now)
{
    return vfma(vset(keep), old, vmul(vset(1 - keep), now));
}

static INLINE void adam_vector(const lstm__adam_step *s, real *w, const real *g, real *m, real *v, real *vmax_,
                               size_t n)
{
    const V before = get(w, n);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V first = blend(s->beta_1, get(m, n), gradient);
    V second = blend(s->beta_2, get(v, n), vmul(gradient, gradient));
    put(m, first, n);
    put(v, second, n);
    if (vmax_) {
        second = vmax(get(vmax_, n), second);
        put(vmax_, second, n);
    }
    const V divisor = vfma(vsqrt(second), vset(s->root_scale), vset(s->epsilon));
    const V change = vdiv(vmul(vset(s->rate), first), divisor);
    put(w, vsub(decayed_weight(before, s->decay), change), n);
}

static void adam(size_t count, const lstm__adam_step *step, real *w, const real *g, real *m, real *v, real *vmax_)
{
    const lstm__adam_step s = *step;
    FOR_EACH_VECTOR(count, adam_vector(&s, w + k, g + k, m + k, v + k, vmax_ ? vmax_ + k : NULL, n));
}

static INLINE void sgd_vector(const lstm__sgd_step *s, real *w, const real *g, real *m, size_t n)
{
    const V before = get(w, n);
    const V rate = vset(s->rate);
    const V momentum = vset(s->momentum);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V weight = decayed_weight(before, s->decay);
    if (!m) {
        put(w, vfnma(rate, gradient, weight), n);
    } else if (s->keras) {
        const V velocity = vfnma(rate, gradient, vmul(momentum, get(m, n)));
        put(m, velocity, n);
        put(w, vadd(weight, s->nesterov ? vfnma(rate, gradient, vmul(momentum, velocity)) : velocity), n);
    } else {
        const V buffer = s->first ? gradient
                                  : vfma(momentum, get(m, n), vmul(vset(1 - s->dampening), gradient));
        put(m, buffer, n);
        put(w, vfnma(rate, s->nesterov ? vfma(momentum, buffer, gradient) : buffer, weight), n);
    }
}

static void sgd(size_t count, const lstm__sgd_step *step, real *w, const real *g, real *m)
{
    const lstm__sgd_step s = *step;
    FOR_EACH_VECTOR(count, sgd_vector(&s, w + k, g + k, m ? m + k : NULL, n));
}

static INLINE void rmsprop_vector(const lstm__rmsprop_step *s, real *w, const real *g, real *v, real *m, real *a,
                                  size_t n)
{
    const V before = get(w, n);
    const V epsilon = vset(s->epsilon);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V weight = decayed_weight(before, s->decay);
    V square = blend(s->rho, get(v, n), vmul(gradient, gradient));
    put(v, square, n);
    if (a) {
        const V mean = blend(s->rho, get(a, n), gradient);
        put(a, mean, n);
        square = vmax(vset(0), vfnma(mean, mean, square)); /* rounding can leave a variance below zero */
    }
    const V divisor = s->keras ? vsqrt(vadd(square, epsilon)) : vadd(vsqrt(square), epsilon);
    const V direction = vdiv(gradient, divisor);
    if (!m) {
        put(w, vfnma(vset(s->rate), direction, weight), n);
        return;
    }
    const V scaled = s->keras ? vmul(vset(s->rate), direction) : direction;
    const V velocity = vfma(vset(s->momentum), get(m, n), scaled);
    put(m, velocity, n);
    put(w, s->keras ? vsub(weight, velocity) : vfnma(vset(s->rate), velocity, weight), n);
}

static void rmsprop(size_t count, const lstm__rmsprop_step *step, real *w, const real *g, real *v, real *m, real *a)
{
    const lstm__rmsprop_step s = *step;
    FOR_EACH_VECTOR(count, rmsprop_vector(&s, w + k, g + k, v + k, m ? m + k : NULL, a ? a + k : NULL, n));
}

#endif
