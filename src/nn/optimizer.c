/* SPDX-License-Identifier: MIT
 * Optimizers: memory, accumulation, clipping, and the update of the whole block or, where layers
 * have rates of their own, of one parameter after another. Rules are in optimizer_*.c, formulas in
 * kernels.h.
 *
 * Parameters, gradients, moments and averages are blocks of the same layout whose gaps are zero.
 * Sources: Keras 3 (keras/src/optimizers), PyTorch 2 (torch.optim documentation).
 */
#include "optimizer.h"
#include "lbfgs.h"
#include "optimizer_rule.h"
#include "penalties.h"
#include "weight_noise.h"

#include <math.h>
#include <string.h>

static lstm_status allocate_block(lstm_model *model, const char *what, real **block)
{
    *block = lstm__allocate_zeroed(model->context, model->value_count * sizeof(real));
    return *block ? LSTM_OK : lstm__fail_memory(model->value_count * sizeof(real), what);
}

static lstm_status allocate_blocks(lstm_optimizer *optimizer, lstm_model *model)
{
    const lstm_optimizer_options *o = &optimizer->options;
    bool needed[LSTM__MOMENTS] = {false};
    optimizer->rule->moments(o, needed);
    for (int k = 0; k < LSTM__MOMENTS; k++)
        if (needed[k])
            RETURN_IF_ERROR(
                allocate_block(model, "an optimizer's moments", &optimizer->moments[k]));
    if (o->use_ema == LSTM_YES)
        RETURN_IF_ERROR(allocate_block(model, "an optimizer's averages", &optimizer->average));
    if (o->accumulation_steps > 1)
        RETURN_IF_ERROR(allocate_block(model, "the accumulated gradient", &optimizer->accumulated));
    if (o->optimizer == LSTM_OPTIMIZER_LBFGS)
        RETURN_IF_ERROR(lstm__lbfgs_create(&optimizer->lbfgs, model->context, model->value_count,
                                           o->history_size, o->strong_wolfe == LSTM_YES));
    for (size_t v = 0; o->optimizer == LSTM_OPTIMIZER_ADAGRAD && v < model->value_count; v++)
        optimizer->moments[0][v] = (real)o->initial_accumulator;
    return LSTM_OK;
}

static void release_blocks(lstm_optimizer *optimizer, lstm_context *context)
{
    for (int k = 0; k < LSTM__MOMENTS; k++)
        lstm__release(context, optimizer->moments[k]);
    lstm__release(context, optimizer->average);
    lstm__release(context, optimizer->accumulated);
    lstm__lbfgs_destroy(optimizer->lbfgs, context);
    lstm__release(context, optimizer);
}

/* A schedule that cycles the momentum says what it begins with, so that the moments are there. */
static lstm_status join_schedule(lstm_optimizer_options *o, const lstm__rule *rule,
                                 const lstm_schedule_options *schedule)
{
    const bool has_momentum = o->optimizer == LSTM_OPTIMIZER_SGD ||
                              o->optimizer == LSTM_OPTIMIZER_RMSPROP;
    if (schedule->cycle_momentum != LSTM_YES)
        return LSTM_OK;
    if (!has_momentum && !rule->cycles_beta_1)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "schedule: cycle_momentum needs an optimizer with a momentum or beta_1");
    *(has_momentum ? &o->momentum : &o->beta_1) = schedule->max_momentum;
    return LSTM_OK;
}

lstm_status lstm__optimizer_create(lstm_optimizer **out, lstm_model *model,
                                   const lstm_optimizer_options *options)
{
    lstm_status status = LSTM_OK;
    lstm_optimizer *optimizer = NULL;
    lstm_optimizer_options own;
    lstm_schedule_options schedule;
    TRY(lstm__optimizer_options_read(&own, options, model->profile));
    TRY(lstm__schedule_read(&schedule, own.schedule, own.profile));
    TRY(join_schedule(&own, lstm__rule_find(own.optimizer), &schedule));
    optimizer = lstm__allocate_zeroed(model->context, sizeof *optimizer);
    if (!optimizer) {
        status = lstm__fail_memory(sizeof *optimizer, "an optimizer");
        goto out;
    }
    optimizer->rule = lstm__rule_find(own.optimizer);
    optimizer->options = own;
    optimizer->schedule = schedule;
    optimizer->options.schedule = &optimizer->schedule;
    optimizer->state = (lstm__optimizer_state){.momentum_product = 1, .plateau = {.reduced = 1}};
    TRY(allocate_blocks(optimizer, model));
    optimizer->model = model;
    lstm__graph_acquire(model);
    *out = optimizer;
    return LSTM_OK;
out:
    if (optimizer)
        release_blocks(optimizer, model->context);
    return status;
}

void lstm__optimizer_destroy(lstm_optimizer *optimizer)
{
    if (!optimizer)
        return;
    lstm_model *model = optimizer->model;
    release_blocks(optimizer, model->context);
    lstm__graph_release(model);
}

/* ---- Gradients */

static double parameter_norm(const lstm_session *session, const lstm__parameter *parameter)
{
    return session->model->kernels->sum_squares(lstm__parameter_size(parameter),
                                                session->gradients + parameter->offset);
}

lstm_status lstm__check_gradients(const lstm_session *session)
{
    const lstm_model *model = session->model;
    if (isfinite(model->kernels->sum_squares(model->value_count, session->gradients)))
        return LSTM_OK;
    for (size_t k = 0; k < model->parameter_count; k++)
        if (!isfinite(parameter_norm(session, &model->parameters[k])))
            return lstm__fail(LSTM_ERROR_NUMERIC, "the gradient of parameter \"%s\" is not finite",
                              model->parameters[k].name);
    return LSTM_OK;
}

static void clip(const lstm_optimizer_options *o, lstm_session *session)
{
    const lstm_model *model = session->model;
    if (o->clip_value > 0)
        model->kernels->clip(model->learned_count, (real)o->clip_value, session->gradients);
    if (o->global_clip_norm > 0) {
        const double norm = sqrt(
            model->kernels->sum_squares(model->learned_count, session->gradients));
        const double factor = o->global_clip_norm /
                              (o->profile == LSTM_PROFILE_TORCH ? norm + 1e-6 : norm);
        if (factor < 1)
            model->kernels->scale(model->learned_count, (real)factor, session->gradients);
    }
    for (size_t k = 0; o->clip_norm > 0 && k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        const double norm = sqrt(parameter_norm(session, parameter));
        if (norm > o->clip_norm && !parameter->statistic)
            model->kernels->scale(lstm__parameter_size(parameter), (real)(o->clip_norm / norm),
                                  session->gradients + parameter->offset);
    }
}

bool lstm__freeze_gradients(lstm_session *session)
{
    const lstm_model *model = session->model;
    bool one = true;
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        one = one && parameter->node->rate == 1;
        if (parameter->node->rate == 0)
            memset(session->gradients + parameter->offset, 0,
                   lstm__parameter_size(parameter) * sizeof(real));
    }
    return one;
}

/* ---- Averages */

static int64_t updates_done(const lstm_optimizer *optimizer)
{
    return optimizer->steps / optimizer->options.accumulation_steps;
}

/* Keras blends after every call, whether it updates or not, and counts calls in updates; PyTorch
 * after updates. */
static void blend_average(lstm_optimizer *optimizer)
{
    lstm_model *model = optimizer->model;
    const lstm_optimizer_options *o = &optimizer->options;
    const int64_t done = updates_done(optimizer);
    if (!optimizer->average)
        return;
    if (done == 0)
        memcpy(optimizer->average, model->values, model->learned_count * sizeof(real));
    else
        model->kernels->average(model->learned_count, (real)o->ema_momentum, model->values,
                                optimizer->average);
    if (o->ema_overwrite_frequency > 0 && (done + 1) % o->ema_overwrite_frequency == 0) {
        memcpy(model->values, optimizer->average, model->learned_count * sizeof(real));
        lstm__graph_changed(model);
    }
}

void lstm__optimizer_use_average(lstm_optimizer *optimizer)
{
    lstm_model *model = optimizer->model;
    const bool keras = optimizer->options.profile == LSTM_PROFILE_KERAS;
    if (optimizer->average && (keras ? optimizer->steps : updates_done(optimizer)) > 0) {
        memcpy(model->values, optimizer->average, model->learned_count * sizeof(real));
        lstm__graph_changed(model);
    }
}

void lstm__optimizer_updated(lstm_optimizer *optimizer)
{
    lstm__penalty_constrain(optimizer->model);
    lstm__graph_changed(optimizer->model);
    blend_average(optimizer);
    optimizer->steps++;
}

/* ---- The step */

static int64_t schedule_time(const lstm_optimizer *optimizer)
{
    return optimizer->options.profile == LSTM_PROFILE_KERAS ? optimizer->steps
                                                            : updates_done(optimizer);
}

double lstm__optimizer_rate(const lstm_optimizer *optimizer)
{
    return lstm__schedule_rate(&optimizer->schedule, &optimizer->state.plateau,
                               optimizer->options.learning_rate, schedule_time(optimizer));
}

lstm_status lstm__optimizer_next_rate(const lstm_optimizer *optimizer, double *rate)
{
    *rate = lstm__optimizer_rate(optimizer);
    if (!(*rate >= 0) || !isfinite(*rate))
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "the schedule's callback gave the rate %g: expected a finite number of at "
            "least 0",
            *rate);
    return LSTM_OK;
}

static void update_stretch(const lstm_optimizer *optimizer, lstm__update *u, const real *gradients,
                           double rate, size_t first, size_t count)
{
    const lstm_optimizer_options *o = &optimizer->options;
    const bool decoupled = u->keras || optimizer->rule->decoupled || o->decoupled_decay == LSTM_YES;
    u->rate = rate;
    u->decay = decoupled ? (real)(rate * o->weight_decay) : 0;
    u->coupled = decoupled ? 0 : (real)o->weight_decay;
    u->count = count;
    u->w = optimizer->model->values + first;
    u->g = gradients + first;
    for (int k = 0; k < LSTM__MOMENTS; k++)
        u->moments[k] = optimizer->moments[k] ? optimizer->moments[k] + first : NULL;
    optimizer->rule->update(u);
}

static void update(lstm_optimizer *optimizer, const lstm_session *session, double rate, bool one)
{
    const lstm_optimizer_options *o = &optimizer->options;
    const lstm_model *model = optimizer->model;
    const double momentum = optimizer->rule->cycles_beta_1 ? o->beta_1 : o->momentum;
    lstm__update u = {.kernels = model->kernels,
                      .options = o,
                      .state = &optimizer->state,
                      .t = (double)(updates_done(optimizer) + 1),
                      .momentum = lstm__schedule_momentum(&optimizer->schedule, momentum,
                                                          schedule_time(optimizer)),
                      .keras = o->profile == LSTM_PROFILE_KERAS};
    if (one)
        update_stretch(optimizer, &u, session->gradients, rate, 0, model->learned_count);
    for (size_t k = 0; !one && k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        if (parameter->node->rate > 0 && !parameter->statistic)
            update_stretch(optimizer, &u, session->gradients, rate * parameter->node->rate,
                           parameter->offset, lstm__parameter_size(parameter));
    }
    if (o->optimizer == LSTM_OPTIMIZER_NADAM)
        optimizer->state.momentum_product *= lstm__nadam_momentum(o, u.momentum, u.t);
}

/* Add to the accumulated gradient; with the last of n, put the mean (Keras) or sum (PyTorch) into
 * the session. Returns whether there is an update to make. */
static bool accumulate(lstm_optimizer *optimizer, lstm_session *session)
{
    const lstm_model *model = optimizer->model;
    const int32_t n = optimizer->options.accumulation_steps;
    if (!optimizer->accumulated)
        return true;
    if ((optimizer->steps + 1) % n != 0) {
        model->kernels->add_scaled(model->value_count, 1, session->gradients,
                                   optimizer->accumulated);
        return false;
    }
    model->kernels->add_scaled(model->value_count, 1, optimizer->accumulated, session->gradients);
    if (optimizer->options.profile == LSTM_PROFILE_KERAS)
        model->kernels->scale(model->value_count, (real)(1.0 / n), session->gradients);
    memset(optimizer->accumulated, 0, model->value_count * sizeof(real));
    return true;
}

/* What backward left in the gradients of statistics (graph.h) is taken off them, and then is no
 * gradient of anything. */
static void move_statistics(lstm_session *session)
{
    lstm_model *model = session->model;
    if (model->learned_count == model->value_count)
        return;
    for (size_t k = model->learned_count; k < model->value_count; k++) {
        model->values[k] -= session->gradients[k];
        session->gradients[k] = 0;
    }
    lstm__graph_changed(model);
}

lstm_status lstm__optimizer_step(lstm_optimizer *optimizer, lstm_session *session)
{
    const lstm_optimizer_options *o = &optimizer->options;
    double rate = 0;
    if (o->strong_wolfe == LSTM_YES)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "a line search computes the batch again and again: lstm_fit can, a single "
            "step cannot");
    RETURN_IF_ERROR(lstm__check_gradients(session));
    RETURN_IF_ERROR(lstm__optimizer_next_rate(optimizer, &rate));
    move_statistics(session);
    if (!accumulate(optimizer, session)) {
        if (o->profile == LSTM_PROFILE_KERAS)
            blend_average(optimizer);
        optimizer->steps++;
        return LSTM_OK;
    }
    const bool one = lstm__freeze_gradients(session);
    clip(o, session);
    if (o->gradient_noise > 0)
        lstm__gradient_noise_add(session, o->gradient_noise, o->gradient_noise_decay,
                                 o->gradient_noise_seed ? o->gradient_noise_seed
                                                        : session->model->seed,
                                 updates_done(optimizer));
    if (optimizer->lbfgs)
        lstm__lbfgs_iterate(optimizer->lbfgs, rate, o->tolerance_change, optimizer->model->values,
                            session->gradients);
    else
        update(optimizer, session, rate, one);
    lstm__optimizer_updated(optimizer);
    return LSTM_OK;
}
