/* SPDX-License-Identifier: MIT
 * Adam and its kin: AdamW, AMSGrad, Adamax, Nadam, RAdam (Kingma and Ba 2015, Loshchilov and Hutter
 * 2019, Reddi et al. 2018, Dozat 2016, Liu et al. 2020). Formulas: kernels.h; here is what depends
 * on the number of the update.
 *
 * Nadam, both systems:  mu_t = b1 (1 - 0.96^(t d) / 2), d = 1 in Keras and momentum_decay in
 *                       PyTorch, P_t the product of
 * mu_1 … mu_t;  w -= lr (mu_(t+1) / (1 - P_(t+1)) m + (1 - mu_t) / (1 - P_t) g) / (sqrt(v / (1 - b2^t)) + epsilon).
 *
 * RAdam:  r_inf = 2/(1-b2) - 1, r_t = r_inf - 2 t b2^t / (1 - b2^t); above 5 the rate is multiplied by
 * sqrt((r_t-4)(r_t-2) r_inf / ((r_inf-4)(r_inf-2) r_t)) and divided by the root of v, else it is
 * that of momentum alone.
 */
#include "optimizer_rule.h"

#include <math.h>

static void adam_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    needed[0] = needed[1] = true;
    needed[2] = options->amsgrad == LSTM_YES && (options->optimizer == LSTM_OPTIMIZER_ADAM ||
                                                 options->optimizer == LSTM_OPTIMIZER_ADAMW);
}

static lstm__adam_step step_of(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    return (lstm__adam_step){.rate = (real)u->rate,
                             .beta_1 = (real)u->momentum,
                             .beta_2 = (real)o->beta_2,
                             .epsilon = (real)o->epsilon,
                             .decay = u->decay,
                             .coupled_decay = u->coupled,
                             .root_scale = 1};
}

static void adam_coefficients(const lstm__update *u, lstm__adam_step *step)
{
    const double correction_1 = 1 - pow(u->momentum, u->t);
    const double correction_2 = sqrt(1 - pow(u->options->beta_2, u->t));
    step->rate = (real)(u->keras ? u->rate * correction_2 / correction_1 : u->rate / correction_1);
    step->root_scale = (real)(u->keras ? 1 : 1 / correction_2);
}

double lstm__nadam_momentum(const lstm_optimizer_options *options, double beta_1, double t)
{
    return beta_1 * (1 - 0.5 * pow(0.96, t * options->momentum_decay));
}

static void nadam_coefficients(const lstm__update *u, lstm__adam_step *step)
{
    const double now = lstm__nadam_momentum(u->options, u->momentum, u->t);
    const double next = lstm__nadam_momentum(u->options, u->momentum, u->t + 1);
    const double product = u->state->momentum_product * now;
    step->rate = (real)(u->rate * next / (1 - product * next));
    step->gradient_rate = (real)(u->rate * (1 - now) / (1 - product));
    step->root_scale = (real)(1 / sqrt(1 - pow(u->options->beta_2, u->t)));
}

static void radam_coefficients(const lstm__update *u, lstm__adam_step *step)
{
    const double beta_2 = u->options->beta_2;
    const double correction = 1 - pow(beta_2, u->t);
    const double most = 2 / (1 - beta_2) - 1;
    const double length = most - 2 * u->t * pow(beta_2, u->t) / correction;
    const double rate = u->rate / (1 - pow(u->momentum, u->t));
    if (length > 5) {
        const double rectified = sqrt((length - 4) * (length - 2) * most /
                                      ((most - 4) * (most - 2) * length));
        step->rate = (real)(rate * rectified * sqrt(correction));
    } else {
        step->rate = (real)rate;
        step->root_scale = 0;
        step->epsilon = 1;
    }
}

/* One pass over the parameters for all three; they differ in its coefficients. */
static void adam_update(const lstm__update *u)
{
    lstm__adam_step step = step_of(u);
    if (u->options->optimizer == LSTM_OPTIMIZER_NADAM)
        nadam_coefficients(u, &step);
    else if (u->options->optimizer == LSTM_OPTIMIZER_RADAM)
        radam_coefficients(u, &step);
    else
        adam_coefficients(u, &step);
    u->kernels->adam(u->count, &step, u->w, u->g, u->moments[0], u->moments[1], u->moments[2]);
}

static void adamax_update(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    const real epsilon = (real)o->epsilon;
    const lstm__adamax_step step = {.rate = (real)(u->rate / (1 - pow(u->momentum, u->t))),
                                    .beta_1 = (real)u->momentum,
                                    .beta_2 = (real)o->beta_2,
                                    .epsilon = u->keras ? epsilon : 0,
                                    .gradient_epsilon = u->keras ? 0 : epsilon,
                                    .decay = u->decay,
                                    .coupled_decay = u->coupled};
    u->kernels->adamax(u->count, &step, u->w, u->g, u->moments[0], u->moments[1]);
}

/* What the five have in common; further members follow. */
#define ADAM_RULE(kind, ...)                                                        \
    {                                                                               \
        .optimizer = kind, .epsilon = {1e-7, 1e-8}, .beta_1 = 0.9, .beta_2 = 0.999, \
        .cycles_beta_1 = true, .moments = adam_moments, __VA_ARGS__                 \
    }

const lstm__rule lstm__rule_adam = ADAM_RULE(LSTM_OPTIMIZER_ADAM, .rate = {1e-3, 1e-3},
                                             .update = adam_update);
const lstm__rule lstm__rule_adamw = ADAM_RULE(LSTM_OPTIMIZER_ADAMW, .rate = {1e-3, 1e-3},
                                              .weight_decay = {0.004, 0.01}, .decoupled = true,
                                              .update = adam_update);
const lstm__rule lstm__rule_adamax = ADAM_RULE(LSTM_OPTIMIZER_ADAMAX, .rate = {1e-3, 2e-3},
                                               .update = adamax_update);
const lstm__rule lstm__rule_nadam = ADAM_RULE(LSTM_OPTIMIZER_NADAM, .rate = {1e-3, 2e-3},
                                              .momentum_decay = {1, 0.004}, .update = adam_update);
const lstm__rule lstm__rule_radam = ADAM_RULE(LSTM_OPTIMIZER_RADAM, .rate = {1e-3, 1e-3},
                                              .update = adam_update);
