/* SPDX-License-Identifier: MIT
 * The learning-rate range test (Smith 2017, "Cyclical learning rates", section 3.3): one run of
 * lstm_fit whose rate grows by a constant factor from batch to batch, until the loss runs away. The
 * losses are smoothed by an average that forgets, corrected for its beginning (as Adam's moments).
 */
#include "graph.h"
#include "context.h"
#include "need.h"
#include "options.h"
#include "status.h"

#include <lstm/lstm.h>
#include <math.h>
#include <string.h>

#define SMOOTHING 0.9

typedef struct range {
    lstm_rate_test_options options;
    double *rates, *losses;
    int32_t count;
    double average, least;
} range;

static double rate_at(void *user, int64_t t, double learning_rate)
{
    const lstm_rate_test_options *o = user;
    (void)learning_rate;
    const double last = o->steps > 1 ? (double)(o->steps - 1) : 1;
    return o->lowest * pow(o->highest / o->lowest, (double)t / last);
}

/* Take a batch's loss, which was measured before its update; a non-zero answer ends the test. */
static int32_t take_loss(void *user, const lstm_progress *progress)
{
    range *r = user;
    if (progress->event != LSTM_PROGRESS_BATCH)
        return 0;
    const int32_t k = r->count++;
    r->average = SMOOTHING * r->average + (1 - SMOOTHING) * progress->loss;
    r->rates[k] = rate_at(&r->options, k, 0);
    r->losses[k] = r->average / (1 - pow(SMOOTHING, k + 1));
    r->least = k == 0 ? r->losses[0] : fmin(r->least, r->losses[k]);
    /* a loss may be negative: what counts is the distance from the best, against the first's */
    const double scale = fmax(fabs(r->least), fabs(r->losses[0] - r->least));
    return r->losses[k] - r->least > (r->options.stop - 1) * scale || r->count == r->options.steps;
}

static lstm_status read_range(range *r, const lstm_rate_test_options *options, size_t capacity)
{
    lstm_rate_test_options *o = &r->options;
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, options, "lstm_rate_test_options"));
    NEED_ZERO(o->reserved);
    o->lowest = o->lowest == 0 ? 1e-6 : o->lowest;
    o->highest = o->highest == 0 ? 10 : o->highest;
    o->stop = o->stop == 0 ? 4 : o->stop;
    o->steps = o->steps == 0 ? 100 : o->steps;
    if (!(o->lowest > 0 && o->lowest < o->highest) || !isfinite(o->highest))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "rates from %g to %g: expected 0 < lowest < highest",
                          o->lowest, o->highest);
    if (!(o->stop > 1) || o->steps < 2)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "stop is %g and steps is %d: expected a number above 1 and at least 2 "
                          "steps",
                          o->stop, (int)o->steps);
    if (capacity < (size_t)o->steps)
        return lstm__fail(LSTM_ERROR_SHAPE, "room for %zu rates: expected %d", capacity,
                          (int)o->steps);
    return LSTM_OK;
}

/* The rate at which the loss is lowest, and the one around which it falls most over a tenth of the
 * rates tried; the first tenth is left out, where the average is not yet one. */
static void judge(const range *r, lstm_rate_test_result *result)
{
    const int32_t width = r->count < 20 ? 1 : r->count / 10;
    int32_t lowest = 0;
    int32_t steepest = 0;
    double fall = 0;
    for (int32_t k = 1; k < r->count; k++)
        if (isfinite(r->losses[k]) && r->losses[k] < r->losses[lowest])
            lowest = k;
    for (int32_t k = width; k + width <= lowest; k++)
        if (r->losses[k + width] - r->losses[k] < fall) {
            fall = r->losses[k + width] - r->losses[k];
            steepest = k + width / 2;
        }
    result->count = r->count;
    result->lowest = r->count > 0 ? r->rates[lowest] : 0;
    result->steepest = fall < 0 ? r->rates[steepest] : 0;
}

lstm_status lstm_rate_test(lstm_model *model, const lstm_rate_test_options *options,
                           const lstm_data *data, double *rates, double *losses, size_t capacity,
                           lstm_rate_test_result *result)
{
    lstm_status status = LSTM_OK;
    range r = {.rates = rates, .losses = losses};
    real *saved = NULL;
    NEED(model);
    NEED(rates);
    NEED(losses);
    NEED(result);
    NEED_BUILT(model);
    RETURN_IF_ERROR(read_range(&r, options, capacity));
    if (result->struct_size < sizeof *result)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_rate_test_result: struct_size is %u",
                          (unsigned)result->struct_size);
    lstm_optimizer_options optimizer = {.struct_size = sizeof optimizer};
    if (r.options.optimizer_options)
        RETURN_IF_ERROR(lstm__read_options(&optimizer, sizeof optimizer,
                                           r.options.optimizer_options, "lstm_optimizer_options"));
    optimizer.struct_size = sizeof optimizer;
    const lstm_schedule_options schedule = {.struct_size = sizeof schedule,
                                            .schedule = LSTM_SCHEDULE_CALLBACK,
                                            .rate = rate_at,
                                            .rate_user = &r.options};
    optimizer.schedule = &schedule;
    const lstm_fit_options fit = {.struct_size = sizeof fit,
                                  .batch_size = r.options.batch_size,
                                  .max_steps = (int64_t)r.options.steps + 1,
                                  .loss = r.options.loss,
                                  .optimizer_options = &optimizer,
                                  .seed = r.options.seed,
                                  .progress = take_loss,
                                  .progress_user = &r};
    saved = lstm__allocate_array(model->context, model->value_count, sizeof(real));
    if (!saved)
        return lstm__fail_memory(model->value_count * sizeof(real), "the weights before the test");
    memcpy(saved, model->values, model->value_count * sizeof(real));
    status = lstm_fit(model, &fit, data, NULL);
    memcpy(model->values, saved, model->value_count * sizeof(real));
    lstm__graph_changed(model);
    lstm__release(model->context, saved);
    if (status != LSTM_OK && status != LSTM_ERROR_CANCELLED &&
        !(status == LSTM_ERROR_NUMERIC && r.count > 0)) /* the loss ran away at once */
        return status;
    judge(&r, result);
    return LSTM_OK;
}
