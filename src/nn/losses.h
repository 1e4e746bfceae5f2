/* SPDX-License-Identifier: MIT
 * Losses with their gradients at the outputs, and metrics.
 */
#ifndef LSTM_NN_LOSSES_H
#define LSTM_NN_LOSSES_H

#include "session.h"

typedef struct lstm__loss {
    int32_t kind; /* LSTM_LOSS_* */
    bool from_logits;
    double delta; /* Huber */
} lstm__loss;

/* Check options and fill in defaults. */
lstm_status lstm__loss_read(lstm__loss *loss, const lstm_loss_options *options);

/* Values one target row has for an output of `features`: 1 for class numbers. */
size_t lstm__loss_target_features(const lstm__loss *loss, size_t features);

/* Check the class numbers of a sparse loss: names the first output, sample, step and value out of range. */
lstm_status lstm__loss_check_targets(const lstm_model *model, const lstm__loss *loss, const lstm__batch *batch);

/* The loss of the session's latest forward against the batch's targets: mean over samples, steps (and features), summed
 * over the outputs. With `gradient` the output gradients are set. Fails only for class numbers out of range. */
lstm_status lstm__loss_compute(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch, bool gradient,
                               double *value);

/* Add the first output's part of a metric over this batch: *sum and *weight grow. */
void lstm__metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss, const lstm__batch *batch, double *sum,
                      double *weight);

/* The metric from its sums. */
double lstm__metric_value(int32_t metric, double sum, double weight);

#endif
