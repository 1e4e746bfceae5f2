/* SPDX-License-Identifier: MIT
 * L-BFGS as torch.optim.LBFGS, without line search or with that of the strong Wolfe conditions (Liu
 * and Nocedal 1989; the two loops are Nocedal 1980). Scalars are double. The inverse Hessian starts as y.s / y.y, the
 * very first step has the length rate * min(1, 1 / |g|_1), later ones the rate itself; a pair is
 * kept only if y.s > 1e-10.
 */
#include "lbfgs.h"
#include "checked.h"
#include "line_search.h"
#include "optimizer_rule.h"

#include <math.h>
#include <string.h>

/* Of a line search: where it begins, and the gradients of its bracket. */
enum { ORIGIN, GRADIENTS, SEARCH_VECTORS = GRADIENTS + LSTM__LINE_PLACES };

static void moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    (void)options;
    (void)needed;
}

const lstm__rule lstm__rule_lbfgs = {
    .optimizer = LSTM_OPTIMIZER_LBFGS,
    .rate = {1, 1},
    .moments = moments,
    .update = NULL,
};

lstm_status lstm__lbfgs_create(lstm__lbfgs **out, lstm_context *context, size_t count,
                               int32_t history, bool searches)
{
    size_t values = 0;
    size_t bytes = 0;
    const size_t pairs = (size_t)history;
    *out = NULL;
    if (!lstm__mul(count, 2 * pairs + LSTM__LBFGS_FIXED, &values) ||
        !lstm__mul(values, sizeof(real), &bytes))
        return lstm__fail(LSTM_ERROR_MEMORY,
                          "L-BFGS: %d pairs of %zu values need more memory than can be addressed",
                          (int)history, count);
    lstm__lbfgs *lbfgs = lstm__allocate_zeroed(context, sizeof *lbfgs);
    if (!lbfgs)
        return lstm__fail_memory(sizeof *lbfgs, "L-BFGS");
    lbfgs->vectors = lstm__allocate_zeroed(context, bytes);
    lbfgs->products = lstm__allocate_zeroed(context, 2 * pairs * sizeof(double));
    if (searches) /* count fits: 2 * pairs + 3 of them did */
        lbfgs->search = lstm__allocate_array(context, SEARCH_VECTORS * count, sizeof(real));
    if (!lbfgs->vectors || !lbfgs->products || (searches && !lbfgs->search)) {
        lstm__lbfgs_destroy(lbfgs, context);
        return lstm__fail_memory(bytes, "the memory of L-BFGS");
    }
    lbfgs->count = count;
    lbfgs->history = pairs;
    lbfgs->numbers.scale = 1;
    *out = lbfgs;
    return LSTM_OK;
}

void lstm__lbfgs_destroy(lstm__lbfgs *lbfgs, lstm_context *context)
{
    if (!lbfgs)
        return;
    lstm__release(context, lbfgs->vectors);
    lstm__release(context, lbfgs->products);
    lstm__release(context, lbfgs->search);
    lstm__release(context, lbfgs);
}

/* ---- Vectors */

enum { DIRECTION, BEFORE, START };

static real *vector(const lstm__lbfgs *l, size_t index)
{
    return l->vectors + index * l->count;
}

static real *gradient_change(const lstm__lbfgs *l, size_t pair)
{
    return vector(l, LSTM__LBFGS_FIXED + pair);
}

static real *value_change(const lstm__lbfgs *l, size_t pair)
{
    return vector(l, LSTM__LBFGS_FIXED + l->history + pair);
}

static double dot(size_t count, const real *a, const real *b)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += (double)a[k] * (double)b[k];
    return sum;
}

static void add(size_t count, double factor, const real *x, real *y)
{
    for (size_t k = 0; k < count; k++)
        y[k] = (real)((double)y[k] + factor * (double)x[k]);
}

static double largest(size_t count, const real *x)
{
    double most = 0;
    for (size_t k = 0; k < count; k++)
        most = fmax(most, fabs((double)x[k]));
    return most;
}

static double size_sum(size_t count, const real *x)
{
    double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += fabs((double)x[k]);
    return sum;
}

/* ---- One iteration */

/* Keep the pair of the latest step, dropping the oldest if there is no room. */
static void remember(lstm__lbfgs *l, const real *g)
{
    size_t stored = (size_t)l->numbers.stored;
    if (stored == l->history) {
        const size_t rest = (l->history - 1) * l->count * sizeof(real);
        memmove(gradient_change(l, 0), gradient_change(l, 1), rest);
        memmove(value_change(l, 0), value_change(l, 1), rest);
        memmove(l->products, l->products + 1, (l->history - 1) * sizeof(double));
        stored--;
    }
    real *y = gradient_change(l, stored);
    real *s = value_change(l, stored);
    const real *before = vector(l, BEFORE);
    const real *d = vector(l, DIRECTION);
    for (size_t k = 0; k < l->count; k++) {
        y[k] = g[k] - before[k];
        s[k] = (real)((double)d[k] * l->numbers.length);
    }
    const double product = dot(l->count, y, s);
    if (product > 1e-10) {
        l->products[stored++] = 1 / product;
        l->numbers.scale = product / dot(l->count, y, y);
    }
    l->numbers.stored = (double)stored;
}

static void find_direction(lstm__lbfgs *l, const real *g)
{
    real *d = vector(l, DIRECTION);
    double *coefficients = l->products + l->history;
    const size_t stored = (size_t)l->numbers.stored;
    for (size_t k = 0; k < l->count; k++)
        d[k] = -g[k];
    for (size_t k = stored; k-- > 0;) {
        coefficients[k] = dot(l->count, value_change(l, k), d) * l->products[k];
        add(l->count, -coefficients[k], gradient_change(l, k), d);
    }
    for (size_t k = 0; k < l->count; k++)
        d[k] = (real)((double)d[k] * l->numbers.scale);
    for (size_t k = 0; k < stored; k++) {
        const double back = dot(l->count, gradient_change(l, k), d) * l->products[k];
        add(l->count, coefficients[k] - back, value_change(l, k), d);
    }
}

/* Direction and first length of an iteration. Returns false where it does not descend by more than
 * `tolerance`. */
static bool begin_iteration(lstm__lbfgs *l, double rate, double tolerance, const real *g)
{
    l->numbers.iterations++;
    if (l->numbers.iterations > 1)
        remember(l, g);
    find_direction(l, g);
    memcpy(vector(l, BEFORE), g, l->count * sizeof *g);
    l->numbers.length = l->numbers.iterations == 1 ? rate * fmin(1, 1 / size_sum(l->count, g))
                                                   : rate;
    return dot(l->count, g, vector(l, DIRECTION)) <= -tolerance;
}

bool lstm__lbfgs_iterate(lstm__lbfgs *l, double rate, double tolerance, real *w, const real *g)
{
    if (!begin_iteration(l, rate, tolerance, g))
        return false;
    add(l->count, l->numbers.length, vector(l, DIRECTION), w);
    return true;
}

/* ---- One batch */

/* A step: the batch, and what computes it. */
typedef struct batch_step {
    lstm_optimizer *optimizer;
    lstm_session *session;
    lstm__lbfgs_evaluate evaluate;
    void *user;
    double loss;
    int32_t evaluations;
} batch_step;

/* Loss and gradients at the parameters as they are. */
static lstm_status compute(batch_step *s)
{
    lstm__graph_changed(s->optimizer->model);
    s->evaluations++;
    RETURN_IF_ERROR(s->evaluate(s->user, &s->loss));
    RETURN_IF_ERROR(lstm__check_gradients(s->session));
    lstm__freeze_gradients(s->session);
    return LSTM_OK;
}

static lstm_status compute_at(void *user, double t, int place, double *f, double *slope)
{
    batch_step *s = user;
    lstm__lbfgs *l = s->optimizer->lbfgs;
    real *w = s->optimizer->model->values;
    memcpy(w, l->search + ORIGIN * l->count, l->count * sizeof *w);
    add(l->count, t, vector(l, DIRECTION), w);
    const lstm_status status = compute(s);
    if (status == LSTM_ERROR_NUMERIC) { /* too far */
        *f = HUGE_VAL;
        *slope = 0;
        return LSTM_OK;
    }
    RETURN_IF_ERROR(status);
    *f = s->loss;
    *slope = dot(l->count, s->session->gradients, vector(l, DIRECTION));
    memcpy(l->search + (size_t)(GRADIENTS + place) * l->count, s->session->gradients,
           l->count * sizeof *w);
    return LSTM_OK;
}

/* Move along the direction to a length that satisfies the strong Wolfe conditions. */
static lstm_status search(batch_step *s)
{
    lstm__lbfgs *l = s->optimizer->lbfgs;
    real *w = s->optimizer->model->values;
    real *g = s->session->gradients;
    lstm__line line = {.evaluate = compute_at,
                       .user = s,
                       .largest = largest(l->count, vector(l, DIRECTION)),
                       .tolerance = s->optimizer->options.tolerance_change};
    const lstm__line_point start = {
        .f = s->loss, .slope = dot(l->count, g, vector(l, DIRECTION)), .place = 0};
    lstm__line_point found;
    memcpy(l->search + ORIGIN * l->count, w, l->count * sizeof *w);
    memcpy(l->search + GRADIENTS * l->count, g, l->count * sizeof *g);
    RETURN_IF_ERROR(lstm__line_search(&line, start, l->numbers.length, &found));
    memcpy(w, l->search + ORIGIN * l->count, l->count * sizeof *w);
    add(l->count, found.t, vector(l, DIRECTION), w);
    memcpy(g, l->search + (size_t)(GRADIENTS + found.place) * l->count, l->count * sizeof *g);
    lstm__graph_changed(s->optimizer->model);
    l->numbers.length = found.t;
    s->loss = found.f;
    return LSTM_OK;
}

lstm_status lstm__lbfgs_step(lstm_optimizer *optimizer, lstm_session *session, double loss,
                             lstm__lbfgs_evaluate evaluate, void *user)
{
    lstm_status status = LSTM_OK;
    lstm__lbfgs *l = optimizer->lbfgs;
    const lstm_optimizer_options *o = &optimizer->options;
    real *w = optimizer->model->values;
    const real *g = session->gradients;
    batch_step s = {optimizer, session, evaluate, user, loss, 1};
    double rate = 0;
    RETURN_IF_ERROR(lstm__check_gradients(session));
    RETURN_IF_ERROR(lstm__optimizer_next_rate(optimizer, &rate));
    memcpy(vector(l, START), w, l->count * sizeof *w);
    lstm__freeze_gradients(session);
    bool done = largest(l->count, g) <= o->tolerance_grad;
    for (int32_t iteration = 1; !done; iteration++) {
        const double before = s.loss;
        if (!begin_iteration(l, rate, o->tolerance_change, g))
            break;
        if (l->search) {
            TRY(search(&s));
        } else {
            add(l->count, l->numbers.length, vector(l, DIRECTION), w);
            if (iteration < o->max_iterations) /* as PyTorch: the last point is not looked at */
                TRY(compute(&s));
        }
        done = iteration >= o->max_iterations || s.evaluations >= o->max_evaluations ||
               largest(l->count, g) <= o->tolerance_grad ||
               largest(l->count, vector(l, DIRECTION)) * l->numbers.length <= o->tolerance_change ||
               fabs(s.loss - before) < o->tolerance_change;
    }
    lstm__optimizer_updated(optimizer);
    return LSTM_OK;
out:
    memcpy(w, vector(l, START), l->count * sizeof *w);
    lstm__graph_changed(optimizer->model);
    return status;
}
