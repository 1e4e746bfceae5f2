/* SPDX-License-Identifier: MIT
 * L-BFGS without line search, as torch.optim.LBFGS with line_search_fn None (Liu and Nocedal 1989;
 * the two loops are Nocedal 1980). Scalars are double. The inverse Hessian starts as y.s / y.y, the
 * very first step has the length rate * min(1, 1 / |g|_1), later ones the rate itself; a pair is
 * kept only if y.s > 1e-10.
 */
#include "lbfgs.h"
#include "checked.h"
#include "optimizer_rule.h"

#include <math.h>
#include <string.h>

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
                               int32_t history)
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
    if (!lbfgs->vectors || !lbfgs->products) {
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

bool lstm__lbfgs_iterate(lstm__lbfgs *l, double rate, double tolerance, real *w, const real *g)
{
    l->numbers.iterations++;
    if (l->numbers.iterations > 1)
        remember(l, g);
    find_direction(l, g);
    memcpy(vector(l, BEFORE), g, l->count * sizeof *g);
    l->numbers.length = l->numbers.iterations == 1 ? rate * fmin(1, 1 / size_sum(l->count, g))
                                                   : rate;
    if (dot(l->count, g, vector(l, DIRECTION)) > -tolerance)
        return false;
    add(l->count, l->numbers.length, vector(l, DIRECTION), w);
    return true;
}

/* ---- One batch */

lstm_status lstm__lbfgs_step(lstm_optimizer *optimizer, lstm_session *session, double loss,
                             lstm__lbfgs_evaluate evaluate, void *user)
{
    lstm_status status = LSTM_OK;
    lstm__lbfgs *l = optimizer->lbfgs;
    const lstm_optimizer_options *o = &optimizer->options;
    real *w = optimizer->model->values;
    const real *g = session->gradients;
    double rate = 0;
    RETURN_IF_ERROR(lstm__check_gradients(session));
    RETURN_IF_ERROR(lstm__optimizer_next_rate(optimizer, &rate));
    memcpy(vector(l, START), w, l->count * sizeof *w);
    lstm__freeze_gradients(session);
    bool done = largest(l->count, g) <= o->tolerance_grad;
    for (int32_t iteration = 1, evaluations = 1; !done; iteration++, evaluations++) {
        const double before = loss;
        if (!lstm__lbfgs_iterate(l, rate, o->tolerance_change, w, g) ||
            iteration == o->max_iterations)
            break;
        lstm__graph_changed(optimizer->model);
        TRY(evaluate(user, &loss));
        TRY(lstm__check_gradients(session));
        lstm__freeze_gradients(session);
        done = evaluations + 1 >= o->max_evaluations || largest(l->count, g) <= o->tolerance_grad ||
               largest(l->count, vector(l, DIRECTION)) * l->numbers.length <= o->tolerance_change ||
               fabs(loss - before) < o->tolerance_change;
    }
    lstm__optimizer_updated(optimizer);
    return LSTM_OK;
out:
    memcpy(w, vector(l, START), l->count * sizeof *w);
    lstm__graph_changed(optimizer->model);
    return status;
}
