/* SPDX-License-Identifier: MIT
 * RMSprop (Tieleman and Hinton 2012), Adagrad (Duchi et al. 2011) and Adadelta (Zeiler 2012).
 * Formulas: kernels.h.
 */
#include "optimizer_rule.h"

static void rmsprop_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    needed[0] = true;
    needed[1] = options->momentum > 0;
    needed[2] = options->centered == LSTM_YES;
}

static void rmsprop_update(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    const lstm__rmsprop_step step = {(real)u->rate,    (real)o->rho, (real)u->momentum,
                                     (real)o->epsilon, u->decay,     u->coupled,
                                     u->keras};
    u->kernels->rmsprop(u->count, &step, u->w, u->g, u->moments[0], u->moments[1], u->moments[2]);
}

const lstm__rule lstm__rule_rmsprop = {
    .optimizer = LSTM_OPTIMIZER_RMSPROP,
    .rate = {1e-3, 1e-2},
    .epsilon = {1e-7, 1e-8},
    .rho = {0.9, 0.99},
    .moments = rmsprop_moments,
    .update = rmsprop_update,
};

static void adagrad_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    (void)options;
    needed[0] = true;
}

static void adagrad_update(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    const double rate = u->rate / (1 + (u->t - 1) * o->rate_decay);
    const lstm__adagrad_step step = {(real)rate, (real)o->epsilon, u->decay, u->coupled, u->keras};
    u->kernels->adagrad(u->count, &step, u->w, u->g, u->moments[0]);
}

const lstm__rule lstm__rule_adagrad = {
    .optimizer = LSTM_OPTIMIZER_ADAGRAD,
    .rate = {1e-3, 1e-2},
    .epsilon = {1e-7, 1e-10},
    .initial = {0.1, 0},
    .moments = adagrad_moments,
    .update = adagrad_update,
};

static void adadelta_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    (void)options;
    needed[0] = needed[1] = true;
}

static void adadelta_update(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    const lstm__adadelta_step step = {(real)u->rate, (real)o->rho, (real)o->epsilon, u->decay,
                                      u->coupled};
    u->kernels->adadelta(u->count, &step, u->w, u->g, u->moments[0], u->moments[1]);
}

const lstm__rule lstm__rule_adadelta = {
    .optimizer = LSTM_OPTIMIZER_ADADELTA,
    .rate = {1e-3, 1},
    .epsilon = {1e-7, 1e-6},
    .rho = {0.95, 0.9},
    .moments = adadelta_moments,
    .update = adadelta_update,
};
