/* SPDX-License-Identifier: MIT
 * Optimizers. Formulas of both profiles are in kernels.h; here are defaults, step-dependent coefficients and clipping.
 *
 * Parameters, gradients and moments are blocks of the same layout whose gaps are zero, so a step is one kernel call over
 * the whole block. Sources: Keras 3 (keras/src/optimizers), PyTorch 2 (torch.optim documentation).
 */
#include "optimizer.h"
#include "constants.h"
#include "options.h"

#include <math.h>

/* 0 = the default, negative = 0. */
static double setting(double value, double standard)
{
    return value == 0 ? standard : value < 0 ? 0 : value;
}

static lstm_status check_range(double value, double low, double high, const char *what)
{
    if (!(value >= low && value < high))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected %g <= %s < %g", what, value, low, what, high);
    return LSTM_OK;
}

static lstm_status fill_defaults(lstm_optimizer_options *o, int32_t model_profile)
{
    RETURN_IF_ERROR(lstm__read_constant(&o->optimizer, LSTM_OPTIMIZER_ADAM, LSTM_NAMES_OPTIMIZER, "optimizer"));
    RETURN_IF_ERROR(lstm__read_constant(&o->profile, model_profile, LSTM_NAMES_PROFILE, "profile"));
    RETURN_IF_ERROR(lstm__read_flag(&o->nesterov, LSTM_NO, "nesterov"));
    RETURN_IF_ERROR(lstm__read_flag(&o->centered, LSTM_NO, "centered"));
    RETURN_IF_ERROR(lstm__read_flag(&o->amsgrad, LSTM_NO, "amsgrad"));
    const bool keras = o->profile == LSTM_PROFILE_KERAS;
    const bool sgd = o->optimizer == LSTM_OPTIMIZER_SGD;
    const bool rmsprop = o->optimizer == LSTM_OPTIMIZER_RMSPROP;
    const bool adamw = o->optimizer == LSTM_OPTIMIZER_ADAMW;
    o->learning_rate = setting(o->learning_rate, keras ? (sgd ? 1e-2 : 1e-3) : (rmsprop ? 1e-2 : 1e-3));
    o->momentum = setting(o->momentum, 0);
    o->dampening = setting(o->dampening, 0);
    o->rho = setting(o->rho, keras ? 0.9 : 0.99);
    o->beta_1 = setting(o->beta_1, 0.9);
    o->beta_2 = setting(o->beta_2, 0.999);
    o->epsilon = setting(o->epsilon, keras ? 1e-7 : 1e-8);
    o->weight_decay = setting(o->weight_decay, adamw ? (keras ? 0.004 : 0.01) : 0);
    RETURN_IF_ERROR(check_range(o->learning_rate, 0, HUGE_VAL, "learning_rate"));
    RETURN_IF_ERROR(check_range(o->momentum, 0, 1, "momentum"));
    RETURN_IF_ERROR(check_range(o->dampening, 0, 1, "dampening"));
    RETURN_IF_ERROR(check_range(o->rho, 0, 1, "rho"));
    RETURN_IF_ERROR(check_range(o->beta_1, 0, 1, "beta_1"));
    RETURN_IF_ERROR(check_range(o->beta_2, 0, 1, "beta_2"));
    RETURN_IF_ERROR(check_range(o->epsilon, 0, HUGE_VAL, "epsilon"));
    RETURN_IF_ERROR(check_range(o->weight_decay, 0, HUGE_VAL, "weight_decay"));
    RETURN_IF_ERROR(check_range(o->clip_norm, 0, HUGE_VAL, "clip_norm"));
    RETURN_IF_ERROR(check_range(o->global_clip_norm, 0, HUGE_VAL, "global_clip_norm"));
    RETURN_IF_ERROR(check_range(o->clip_value, 0, HUGE_VAL, "clip_value"));
    if ((o->clip_norm > 0) + (o->global_clip_norm > 0) + (o->clip_value > 0) > 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "more than one of clip_norm, global_clip_norm and clip_value is set");
    if (o->dampening > 0 && (keras || !sgd))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "dampening belongs to PyTorch's SGD only");
    if (o->nesterov == LSTM_YES && (!sgd || o->momentum == 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "nesterov needs SGD with a momentum above 0");
    return LSTM_OK;
}

/* Which moments an optimizer keeps. */
static void needed_moments(const lstm_optimizer_options *o, bool needed[LSTM__MOMENTS])
{
    needed[0] = o->optimizer != LSTM_OPTIMIZER_SGD || o->momentum > 0;
    needed[1] = o->optimizer == LSTM_OPTIMIZER_RMSPROP ? o->momentum > 0 : o->optimizer != LSTM_OPTIMIZER_SGD;
    needed[2] = o->optimizer == LSTM_OPTIMIZER_RMSPROP ? o->centered == LSTM_YES
                                                       : o->optimizer != LSTM_OPTIMIZER_SGD && o->amsgrad == LSTM_YES;
}

lstm_status lstm__optimizer_create(lstm_optimizer **out, lstm_model *model, const lstm_optimizer_options *options)
{
    lstm_status status = LSTM_OK;
    lstm_optimizer *optimizer = NULL;
    lstm_optimizer_options own;
    bool needed[LSTM__MOMENTS];
    TRY(lstm__read_options(&own, sizeof own, options, "lstm_optimizer_options"));
    TRY(fill_defaults(&own, model->profile));
    needed_moments(&own, needed);
    optimizer = lstm__allocate_zeroed(model->context, sizeof *optimizer);
    if (!optimizer) {
        status = lstm__fail_memory(sizeof *optimizer, "an optimizer");
        goto out;
    }
    optimizer->options = own;
    for (int k = 0; k < LSTM__MOMENTS; k++) {
        if (!needed[k])
            continue;
        optimizer->moments[k] = lstm__allocate_zeroed(model->context, model->value_count * sizeof(real));
        if (!optimizer->moments[k]) {
            status = lstm__fail_memory(model->value_count * sizeof(real), "an optimizer's moments");
            goto out;
        }
    }
    optimizer->model = model;
    lstm__graph_acquire(model);
    *out = optimizer;
    return LSTM_OK;
out:
    for (int k = 0; optimizer && k < LSTM__MOMENTS; k++)
        lstm__release(model->context, optimizer->moments[k]);
    lstm__release(model->context, optimizer);
    return status;
}

void lstm__optimizer_destroy(lstm_optimizer *optimizer)
{
    if (!optimizer)
        return;
    lstm_model *model = optimizer->model;
    for (int k = 0; k < LSTM__MOMENTS; k++)
        lstm__release(model->context, optimizer->moments[k]);
    lstm__release(model->context, optimizer);
    lstm__graph_release(model);
}

static double parameter_norm(const lstm_session *session, const lstm__parameter *parameter)
{
    return session->model->kernels->sum_squares(lstm__parameter_size(parameter), session->gradients + parameter->offset);
}

lstm_status lstm__check_gradients(const lstm_session *session)
{
    const lstm_model *model = session->model;
    if (isfinite(model->kernels->sum_squares(model->value_count, session->gradients)))
        return LSTM_OK;
    for (size_t k = 0; k < model->parameter_count; k++)
        if (!isfinite(parameter_norm(session, &model->parameters[k])))
            return lstm__fail(LSTM_ERROR_NUMERIC, "the gradient of parameter \"%s\" is not finite", model->parameters[k].name);
    return LSTM_OK;
}

static void clip(const lstm_optimizer_options *o, lstm_session *session)
{
    const lstm_model *model = session->model;
    if (o->clip_value > 0)
        model->kernels->clip(model->value_count, (real)o->clip_value, session->gradients);
    if (o->global_clip_norm > 0) {
        const double norm = sqrt(model->kernels->sum_squares(model->value_count, session->gradients));
        const double factor = o->global_clip_norm / (o->profile == LSTM_PROFILE_TORCH ? norm + 1e-6 : norm);
        if (factor < 1)
            model->kernels->scale(model->value_count, (real)factor, session->gradients);
    }
    for (size_t k = 0; o->clip_norm > 0 && k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        const double norm = sqrt(parameter_norm(session, parameter));
        if (norm > o->clip_norm)
            model->kernels->scale(lstm__parameter_size(parameter), (real)(o->clip_norm / norm),
                                  session->gradients + parameter->offset);
    }
}

lstm_status lstm__optimizer_step(lstm_optimizer *optimizer, lstm_session *session)
{
    const lstm_optimizer_options *o = &optimizer->options;
    lstm_model *model = optimizer->model;
    RETURN_IF_ERROR(lstm__check_gradients(session));
    clip(o, session);
    const bool keras = o->profile == LSTM_PROFILE_KERAS;
    const bool decoupled = keras || o->optimizer == LSTM_OPTIMIZER_ADAMW;
    const real decay = decoupled ? (real)(o->learning_rate * o->weight_decay) : 0;
    const real coupled = decoupled ? 0 : (real)o->weight_decay;
    const double t = (double)(optimizer->steps + 1);
    real **m = optimizer->moments;
    if (o->optimizer == LSTM_OPTIMIZER_SGD) {
        const lstm__sgd_step step = {(real)o->learning_rate, (real)o->momentum, (real)o->dampening, decay, coupled,
                                     o->nesterov == LSTM_YES, keras, optimizer->steps == 0};
        model->kernels->sgd(model->value_count, &step, model->values, session->gradients, m[0]);
    } else if (o->optimizer == LSTM_OPTIMIZER_RMSPROP) {
        const lstm__rmsprop_step step = {(real)o->learning_rate, (real)o->rho, (real)o->momentum, (real)o->epsilon,
                                         decay, coupled, keras};
        model->kernels->rmsprop(model->value_count, &step, model->values, session->gradients, m[0], m[1], m[2]);
    } else {
        const double correction_1 = 1 - pow(o->beta_1, t);
        const double correction_2 = sqrt(1 - pow(o->beta_2, t));
        const lstm__adam_step step = {
            (real)(keras ? o->learning_rate * correction_2 / correction_1 : o->learning_rate / correction_1),
            (real)o->beta_1, (real)o->beta_2, (real)o->epsilon, decay, coupled, (real)(keras ? 1 : 1 / correction_2)};
        model->kernels->adam(model->value_count, &step, model->values, session->gradients, m[0], m[1], m[2]);
    }
    lstm__graph_changed(model);
    optimizer->steps++;
    return LSTM_OK;
}
