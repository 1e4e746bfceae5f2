/* SPDX-License-Identifier: MIT
 * SGD with momentum and Nesterov (Sutskever et al. 2013), and Lion (Chen et al. 2023). Formulas:
 * kernels.h.
 */
#include "optimizer_rule.h"

static void sgd_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    needed[0] = options->momentum > 0;
}

static void sgd_update(const lstm__update *u)
{
    const lstm_optimizer_options *o = u->options;
    const lstm__sgd_step step = {(real)u->rate, (real)u->momentum, (real)o->dampening,
                                 u->decay,      u->coupled,        o->nesterov == LSTM_YES,
                                 u->keras,      u->t == 1};
    u->kernels->sgd(u->count, &step, u->w, u->g, u->moments[0]);
}

const lstm__rule lstm__rule_sgd = {
    .optimizer = LSTM_OPTIMIZER_SGD,
    .rate = {1e-2, 1e-3},
    .moments = sgd_moments,
    .update = sgd_update,
};

static void lion_moments(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS])
{
    (void)options;
    needed[0] = true;
}

static void lion_update(const lstm__update *u)
{
    const lstm__lion_step step = {(real)u->rate, (real)u->momentum, (real)u->options->beta_2,
                                  u->decay, u->coupled};
    u->kernels->lion(u->count, &step, u->w, u->g, u->moments[0]);
}

const lstm__rule lstm__rule_lion = {
    .optimizer = LSTM_OPTIMIZER_LION,
    .rate = {1e-3, 1e-3},
    .beta_1 = 0.9,
    .beta_2 = 0.99,
    .cycles_beta_1 = true,
    .decoupled = true,
    .moments = lion_moments,
    .update = lion_update,
};
