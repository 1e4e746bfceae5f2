/* SPDX-License-Identifier: MIT
 * What an optimizer is: defaults of both systems, the moments it keeps, and one update of a stretch
 * of parameters. A new optimizer is one lstm__rule in a file optimizer_*.c, one row in
 * optimizer_rules.c, one constant and its name.
 *
 *     moments     [0]           [1]             [2]
 *     SGD         momentum
 *     RMSprop     mean square   momentum        mean
 *     Adam        mean          mean square     largest mean square
 *     Adagrad     sum of squares
 *     Adadelta    mean square   mean square of the changes
 *     Adamax      mean          norm
 *     Lion        mean
 */
#ifndef LSTM_NN_OPTIMIZER_RULE_H
#define LSTM_NN_OPTIMIZER_RULE_H

#include "optimizer.h"

/* One stretch of parameters, with everything that depends on the update. */
typedef struct lstm__update {
    const lstm__kernels *kernels;
    const lstm_optimizer_options *options;
    const lstm__optimizer_state *state;
    double t;            /* number of the update, from 1 */
    double rate;         /* of this stretch */
    double momentum;     /* of SGD and RMSprop, or beta_1: as the schedule has it */
    real decay, coupled; /* decoupled: rate * weight_decay; coupled: weight_decay */
    bool keras;
    size_t count;
    real *w;
    const real *g;
    real *moments[LSTM__MOMENTS];
} lstm__update;

/* Pairs are Keras, PyTorch. A default of 0 is 0. */
struct lstm__rule {
    int32_t optimizer;
    double rate[2], epsilon[2], rho[2], weight_decay[2], initial[2], momentum_decay[2];
    double beta_1, beta_2;
    bool cycles_beta_1; /* what a one-cycle schedule moves: beta_1, else momentum */
    bool decoupled;     /* weight decay is decoupled in PyTorch too */
    void (*moments)(const lstm_optimizer_options *options, bool needed[LSTM__MOMENTS]);
    void (*update)(const lstm__update *u); /* NULL: L-BFGS */
};

extern const lstm__rule lstm__rule_sgd;
extern const lstm__rule lstm__rule_rmsprop;
extern const lstm__rule lstm__rule_adam;
extern const lstm__rule lstm__rule_adamw;
extern const lstm__rule lstm__rule_adagrad;
extern const lstm__rule lstm__rule_adadelta;
extern const lstm__rule lstm__rule_adamax;
extern const lstm__rule lstm__rule_nadam;
extern const lstm__rule lstm__rule_radam;
extern const lstm__rule lstm__rule_lion;
extern const lstm__rule lstm__rule_lbfgs;

/* The rule of LSTM_OPTIMIZER_*, which has been checked. */
const lstm__rule *lstm__rule_find(int32_t optimizer);

/* Check options and fill in the rule's defaults (the schedule apart). */
lstm_status lstm__optimizer_options_read(lstm_optimizer_options *out,
                                         const lstm_optimizer_options *options,
                                         int32_t model_profile);

/* The momentum of Nadam at update t: beta_1 (1 - 0.96^(t momentum_decay) / 2). */
double lstm__nadam_momentum(const lstm_optimizer_options *options, double beta_1, double t);

#endif
