/* SPDX-License-Identifier: MIT
 * The table of optimizers, and reading their options.
 *
 * Defaults are those of Keras 3.15 and PyTorch 2.13, read from the installed packages.
 */
#include "constants.h"
#include "optimizer_rule.h"
#include "options.h"

#include <math.h>

static const lstm__rule *const rules[] = {
    &lstm__rule_sgd,     &lstm__rule_rmsprop,  &lstm__rule_adam,   &lstm__rule_adamw,
    &lstm__rule_adagrad, &lstm__rule_adadelta, &lstm__rule_adamax, &lstm__rule_nadam,
    &lstm__rule_radam,   &lstm__rule_lion,     &lstm__rule_lbfgs,
};

const lstm__rule *lstm__rule_find(int32_t optimizer)
{
    size_t k = 0;
    while (rules[k]->optimizer != optimizer)
        k++;
    return rules[k];
}

/* 0 = the default, negative = 0. */
static double setting(double value, double standard)
{
    return value == 0 ? standard : value < 0 ? 0 : value;
}

static lstm_status check_range(double value, double low, double high, const char *what)
{
    if (!(value >= low && value < high))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is %g: expected %g <= %s < %g", what, value, low,
                          what, high);
    return LSTM_OK;
}

static void fill_defaults(lstm_optimizer_options *o, const lstm__rule *rule)
{
    const int system = o->profile == LSTM_PROFILE_KERAS ? 0 : 1;
    o->learning_rate = setting(o->learning_rate, rule->rate[system]);
    o->momentum = setting(o->momentum, 0);
    o->dampening = setting(o->dampening, 0);
    o->rho = setting(o->rho, rule->rho[system]);
    o->beta_1 = setting(o->beta_1, rule->beta_1);
    o->beta_2 = setting(o->beta_2, rule->beta_2);
    o->epsilon = setting(o->epsilon, rule->epsilon[system]);
    o->weight_decay = setting(o->weight_decay, rule->weight_decay[system]);
    o->initial_accumulator = setting(o->initial_accumulator, rule->initial[system]);
    o->momentum_decay = setting(o->momentum_decay, rule->momentum_decay[system]);
    o->ema_momentum = setting(o->ema_momentum, 0.99);
    o->accumulation_steps = o->accumulation_steps == 0 ? 1 : o->accumulation_steps;
    o->history_size = o->history_size == 0 ? 100 : o->history_size;
    o->max_iterations = o->max_iterations == 0 ? 20 : o->max_iterations;
    o->max_evaluations = o->max_evaluations == 0
                             ? o->max_iterations / 4 * 5 + o->max_iterations % 4 * 5 / 4
                             : o->max_evaluations;
    o->tolerance_grad = setting(o->tolerance_grad, 1e-7);
    o->tolerance_change = setting(o->tolerance_change, 1e-9);
    o->gradient_noise_decay = setting(o->gradient_noise_decay, 0.55);
}

static lstm_status check_ranges(const lstm_optimizer_options *o)
{
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
    RETURN_IF_ERROR(check_range(o->initial_accumulator, 0, HUGE_VAL, "initial_accumulator"));
    RETURN_IF_ERROR(check_range(o->rate_decay, 0, HUGE_VAL, "rate_decay"));
    RETURN_IF_ERROR(check_range(o->momentum_decay, 0, HUGE_VAL, "momentum_decay"));
    RETURN_IF_ERROR(check_range(o->ema_momentum, 0, 1, "ema_momentum"));
    RETURN_IF_ERROR(check_range(o->accumulation_steps, 1, INT32_MAX, "accumulation_steps"));
    RETURN_IF_ERROR(
        check_range(o->ema_overwrite_frequency, 0, INT32_MAX, "ema_overwrite_frequency"));
    RETURN_IF_ERROR(check_range(o->history_size, 1, 10000, "history_size"));
    RETURN_IF_ERROR(check_range(o->max_iterations, 1, INT32_MAX, "max_iterations"));
    RETURN_IF_ERROR(check_range(o->max_evaluations, 1, INT32_MAX, "max_evaluations"));
    RETURN_IF_ERROR(check_range(o->tolerance_grad, 0, HUGE_VAL, "tolerance_grad"));
    RETURN_IF_ERROR(check_range(o->tolerance_change, 0, HUGE_VAL, "tolerance_change"));
    RETURN_IF_ERROR(check_range(o->gradient_noise, 0, HUGE_VAL, "gradient_noise"));
    return check_range(o->gradient_noise_decay, 0, HUGE_VAL, "gradient_noise_decay");
}

/* Options that do not go together. */
static lstm_status check_pairs(const lstm_optimizer_options *o)
{
    const bool keras = o->profile == LSTM_PROFILE_KERAS;
    const int32_t kind = o->optimizer;
    const int clips = (o->clip_norm > 0) + (o->global_clip_norm > 0) + (o->clip_value > 0);
    if (clips > 1)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "more than one of clip_norm, global_clip_norm and clip_value is set");
    if (o->dampening > 0 && (keras || kind != LSTM_OPTIMIZER_SGD))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "dampening belongs to PyTorch's SGD only");
    if (o->nesterov == LSTM_YES && (kind != LSTM_OPTIMIZER_SGD || o->momentum == 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "nesterov needs SGD with a momentum above 0");
    if (o->rate_decay > 0 && (keras || kind != LSTM_OPTIMIZER_ADAGRAD))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "rate_decay belongs to PyTorch's Adagrad only");
    if (o->decoupled_decay == LSTM_YES && !keras && kind != LSTM_OPTIMIZER_ADAM &&
        kind != LSTM_OPTIMIZER_ADAMW && kind != LSTM_OPTIMIZER_NADAM &&
        kind != LSTM_OPTIMIZER_RADAM)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "decoupled_decay belongs to PyTorch's Adam, Nadam and RAdam");
    if (o->ema_overwrite_frequency > 0 && o->use_ema != LSTM_YES)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "ema_overwrite_frequency is set, but use_ema is not");
    if (kind != LSTM_OPTIMIZER_LBFGS && o->strong_wolfe == LSTM_YES)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "strong_wolfe belongs to L-BFGS");
    if (kind == LSTM_OPTIMIZER_LBFGS &&
        (clips > 0 || o->weight_decay > 0 || o->accumulation_steps > 1 || o->gradient_noise > 0))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "L-BFGS takes no clipping, weight decay, accumulation or noise");
    return LSTM_OK;
}

lstm_status lstm__optimizer_options_read(lstm_optimizer_options *out,
                                         const lstm_optimizer_options *options,
                                         int32_t model_profile)
{
    lstm_optimizer_options o;
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_optimizer_options"));
    if (o.reserved != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_optimizer_options: reserved is %d: expected 0",
                          (int)o.reserved);
    RETURN_IF_ERROR(
        lstm__read_constant(&o.optimizer, LSTM_OPTIMIZER_ADAM, LSTM_NAMES_OPTIMIZER, "optimizer"));
    RETURN_IF_ERROR(lstm__read_constant(&o.profile, model_profile, LSTM_NAMES_PROFILE, "profile"));
    RETURN_IF_ERROR(lstm__read_flag(&o.nesterov, LSTM_NO, "nesterov"));
    RETURN_IF_ERROR(lstm__read_flag(&o.centered, LSTM_NO, "centered"));
    RETURN_IF_ERROR(lstm__read_flag(&o.amsgrad, LSTM_NO, "amsgrad"));
    RETURN_IF_ERROR(lstm__read_flag(&o.use_ema, LSTM_NO, "use_ema"));
    RETURN_IF_ERROR(lstm__read_flag(&o.decoupled_decay, LSTM_NO, "decoupled_decay"));
    RETURN_IF_ERROR(lstm__read_flag(&o.strong_wolfe, LSTM_NO, "strong_wolfe"));
    if (o.reserved_2 != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_optimizer_options: reserved_2 is %d: expected 0",
                          (int)o.reserved_2);
    fill_defaults(&o, lstm__rule_find(o.optimizer));
    RETURN_IF_ERROR(check_ranges(&o));
    RETURN_IF_ERROR(check_pairs(&o));
    *out = o;
    return LSTM_OK;
}
