/* SPDX-License-Identifier: MIT
 *
 * Optimizer updates in one pass over parameters, gradients and moments. The formulas stand beside
 * the step structs in kernels.h; the papers are Kingma and Ba 2015 (Adam), Reddi et al. 2018
 * (AMSGrad), Loshchilov and Hutter 2019 (AdamW), Sutskever et al. 2013 (momentum, Nesterov),
 * Tieleman and Hinton 2012 (RMSprop), Duchi et al. 2011 (Adagrad), Zeiler 2012 (Adadelta), Dozat
 * 2016 (Nadam), Liu et al. 2020 (RAdam) and Chen et al. 2023 (Lion).
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

static INLINE void adam_vector(const lstm__adam_step *s, real *w, const real *g, real *m, real *v,
                               real *vmax_, size_t n)
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
    const V change = vdiv(vfma(vset(s->gradient_rate), gradient, vmul(vset(s->rate), first)),
                          divisor);
    put(w, vsub(decayed_weight(before, s->decay), change), n);
}

static void adam(size_t count, const lstm__adam_step *step, real *w, const real *g, real *m,
                 real *v, real *vmax_)
{
    const lstm__adam_step s = *step;
    FOR_EACH_VECTOR(count,
                    adam_vector(&s, w + k, g + k, m + k, v + k, vmax_ ? vmax_ + k : NULL, n));
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
        put(w,
            vadd(weight, s->nesterov ? vfnma(rate, gradient, vmul(momentum, velocity)) : velocity),
            n);
    } else {
        const V buffer = s->first
                             ? gradient
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

static INLINE void rmsprop_vector(const lstm__rmsprop_step *s, real *w, const real *g, real *v,
                                  real *m, real *a, size_t n)
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
        /* rounding can leave a variance below zero */
        square = vmax(vset(0), vfnma(mean, mean, square));
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

static void rmsprop(size_t count, const lstm__rmsprop_step *step, real *w, const real *g, real *v,
                    real *m, real *a)
{
    const lstm__rmsprop_step s = *step;
    FOR_EACH_VECTOR(count,
                    rmsprop_vector(&s, w + k, g + k, v + k, m ? m + k : NULL, a ? a + k : NULL, n));
}

static INLINE void adagrad_vector(const lstm__adagrad_step *s, real *w, const real *g, real *v,
                                  size_t n)
{
    const V before = get(w, n);
    const V epsilon = vset(s->epsilon);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V sum = vfma(gradient, gradient, get(v, n));
    put(v, sum, n);
    const V divisor = s->keras ? vsqrt(vadd(sum, epsilon)) : vadd(vsqrt(sum), epsilon);
    put(w, vsub(decayed_weight(before, s->decay), vdiv(vmul(vset(s->rate), gradient), divisor)), n);
}

static void adagrad(size_t count, const lstm__adagrad_step *step, real *w, const real *g, real *v)
{
    const lstm__adagrad_step s = *step;
    FOR_EACH_VECTOR(count, adagrad_vector(&s, w + k, g + k, v + k, n));
}

static INLINE void adadelta_vector(const lstm__adadelta_step *s, real *w, const real *g, real *v,
                                   real *u, size_t n)
{
    const V before = get(w, n);
    const V old = get(u, n);
    const V epsilon = vset(s->epsilon);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V square = blend(s->rho, get(v, n), vmul(gradient, gradient));
    put(v, square, n);
    const V change = vmul(vdiv(vsqrt(vadd(old, epsilon)), vsqrt(vadd(square, epsilon))), gradient);
    put(u, blend(s->rho, old, vmul(change, change)), n);
    put(w, vfnma(vset(s->rate), change, decayed_weight(before, s->decay)), n);
}

static void adadelta(size_t count, const lstm__adadelta_step *step, real *w, const real *g, real *v,
                     real *u)
{
    const lstm__adadelta_step s = *step;
    FOR_EACH_VECTOR(count, adadelta_vector(&s, w + k, g + k, v + k, u + k, n));
}

static INLINE void adamax_vector(const lstm__adamax_step *s, real *w, const real *g, real *m,
                                 real *u, size_t n)
{
    const V before = get(w, n);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V first = blend(s->beta_1, get(m, n), gradient);
    const V size = vadd(vabs(gradient), vset(s->gradient_epsilon));
    const V norm = vmax(vmul(vset(s->beta_2), get(u, n)), size);
    put(m, first, n);
    put(u, norm, n);
    const V change = vdiv(vmul(vset(s->rate), first), vadd(norm, vset(s->epsilon)));
    put(w, vsub(decayed_weight(before, s->decay), change), n);
}

static void adamax(size_t count, const lstm__adamax_step *step, real *w, const real *g, real *m,
                   real *u)
{
    const lstm__adamax_step s = *step;
    FOR_EACH_VECTOR(count, adamax_vector(&s, w + k, g + k, m + k, u + k, n));
}

static INLINE void lion_vector(const lstm__lion_step *s, real *w, const real *g, real *m, size_t n)
{
    const V zero = vset(0);
    const V before = get(w, n);
    const V moment = get(m, n);
    const V gradient = decayed_gradient(before, get(g, n), s->coupled_decay);
    const V direction = blend(s->beta_1, moment, gradient);
    const V rate = vset(s->rate);
    const V up = vselect(vgreater(direction, zero), rate, zero);
    const V down = vselect(vgreater(zero, direction), rate, zero);
    put(w, vadd(vsub(decayed_weight(before, s->decay), up), down), n);
    put(m, blend(s->beta_2, moment, gradient), n);
}

static void lion(size_t count, const lstm__lion_step *step, real *w, const real *g, real *m)
{
    const lstm__lion_step s = *step;
    FOR_EACH_VECTOR(count, lion_vector(&s, w + k, g + k, m + k, n));
}

static void average(size_t count, real keep, const real *x, real *y)
{
    FOR_EACH_VECTOR(count, put(y + k, blend(keep, get(y + k, n), get(x + k, n)), n));
}

static void add_scaled(size_t count, real factor, const real *x, real *y)
{
    FOR_EACH_VECTOR(count, put(y + k, vfma(vset(factor), get(x + k, n), get(y + k, n)), n));
}

#endif
