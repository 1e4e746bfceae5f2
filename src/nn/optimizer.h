/* SPDX-License-Identifier: MIT
 * Optimizers: moments, averages and accumulated gradients beside the model's parameter block,
 * clipping, and the step.
 */
#ifndef LSTM_NN_OPTIMIZER_H
#define LSTM_NN_OPTIMIZER_H

#include "schedule.h"
#include "session.h"

enum { LSTM__MOMENTS = 3 };

typedef struct lstm__rule lstm__rule;
typedef struct lstm__lbfgs lstm__lbfgs;

/* Numbers that change from step to step. Doubles only: a checkpoint stores them as an array. */
typedef struct lstm__optimizer_state {
    double momentum_product; /* Nadam: product of the momenta so far */
    lstm__plateau plateau;
} lstm__optimizer_state;

struct lstm_optimizer {
    lstm_model *model;
    const lstm__rule *rule;
    /* defaults filled in, negative values turned to 0; schedule points to the one below */
    lstm_optimizer_options options;
    lstm_schedule_options schedule;
    int64_t steps; /* calls; the updates are steps / accumulation_steps */
    lstm__optimizer_state state;
    /* laid out like model->values; NULL = not used. Which is which: optimizer_rule.h */
    real *moments[LSTM__MOMENTS];
    real *average; /* of the parameters; NULL = not kept */
    /* sum of the gradients since the last update; NULL = every gradient updates */
    real *accumulated;
    lstm__lbfgs *lbfgs; /* NULL for the others */
};

lstm_status lstm__optimizer_create(lstm_optimizer **out, lstm_model *model,
                                   const lstm_optimizer_options *options);
void lstm__optimizer_destroy(lstm_optimizer *optimizer);

/* Clip the session's gradients and apply them. NUMERIC (nothing changed) if one is not finite. */
lstm_status lstm__optimizer_step(lstm_optimizer *optimizer, lstm_session *session);

/* The rate of the next update / the same, checked: a callback may give anything. */
double lstm__optimizer_rate(const lstm_optimizer *optimizer);
lstm_status lstm__optimizer_next_rate(const lstm_optimizer *optimizer, double *rate);

/* Put the averages into the model, if there are any. */
void lstm__optimizer_use_average(lstm_optimizer *optimizer);

/* What follows an update of the parameters: constraints, averages, and the count. */
void lstm__optimizer_updated(lstm_optimizer *optimizer);

/* Set the gradients of frozen layers to zero. Returns whether all layers learn at the same rate. */
bool lstm__freeze_gradients(lstm_session *session);

/* Fail with NUMERIC naming the first parameter whose gradient is not finite; OK if all are. */
lstm_status lstm__check_gradients(const lstm_session *session);

#endif
