/* SPDX-License-Identifier: MIT
 * Losses with their gradients at the outputs, and metrics.
 */
#ifndef LSTM_NN_LOSSES_H
#define LSTM_NN_LOSSES_H

#include "session.h"

enum { LSTM__QUANTILES = 64 };

typedef struct lstm__loss {
    int32_t kind; /* LSTM_LOSS_* */
    bool from_logits;
    double delta;        /* Huber */
    double smoothing;    /* of labels */
    double gamma, alpha; /* focal */
    bool balanced;       /* focal, binary: alpha counts */
    int32_t reduction;   /* LSTM_REDUCTION_*; 0 = mean */
    size_t quantile_count;
    float quantiles[LSTM__QUANTILES];
    int32_t blank;          /* CTC; negative counts from the last class */
    bool zero_infinity;     /* CTC */
    bool log_probabilities; /* CTC: the outputs are taken as they are */
    double (*custom)(void *user, const float *prediction, size_t features, const float *target,
                     size_t targets, float *gradient);
    void *custom_user;
    size_t custom_targets; /* 0 = as many as features */
} lstm__loss;

/* Check options and fill in defaults. */
lstm_status lstm__loss_read(lstm__loss *loss, const lstm_loss_options *options);

/* Whether targets are label sequences (lstm__batch.labels) instead of arrays. */
bool lstm__loss_takes_labels(const lstm__loss *loss);

/* Labels of the longest of the batch's samples. */
size_t lstm__loss_longest(const lstm__loss *loss, const lstm__batch *batch);

/* Allocate what the loss needs in a session, for up to `labels` labels a sample: CTC alone needs
 * something. */
lstm_status lstm__loss_prepare(lstm_session *session, const lstm__loss *loss, size_t labels);

/* Say why the loss of the latest call is not finite, if the targets are the reason: answers
 * LSTM_OK if they are not. */
lstm_status lstm__loss_explain(const lstm_session *session, const lstm__loss *loss,
                               const lstm__batch *batch);

/* Refuse label sequences that cannot be written into `steps` of the model's output, whatever its
 * numbers: for training data. */
lstm_status lstm__loss_check_alignment(const lstm_model *model, const lstm__loss *loss,
                                       const lstm__batch *batch);

/* Values one target row has for an output of `features`: 1 for class numbers. */
size_t lstm__loss_target_features(const lstm__loss *loss, size_t features);

/* Check that the outputs suit the loss (pairs, or groups of quantiles). */
lstm_status lstm__loss_check_outputs(const lstm_model *model, const lstm__loss *loss);

/* The feature of an output that predicts target value `target`: the mean, or the quantile nearest
 * to 1/2. */
size_t lstm__loss_prediction(const lstm__loss *loss, size_t target);

/* The activation of the layer at an output if the loss can go through it: nobody else reads its
 * output. */
int32_t lstm__loss_activation(const lstm_layer *layer);

/* Whether a cross-entropy goes through the softmax or sigmoid of this output. */
bool lstm__loss_is_fused(const lstm__loss *loss, const lstm_layer *layer);

/* Check the class numbers of a sparse loss: names the first output, sample, step and value out of
 * range. Steps beyond the batch's lengths are not looked at. */
lstm_status lstm__loss_check_targets(const lstm_model *model, const lstm__loss *loss,
                                     const lstm__batch *batch);

/* Check that every target's class is one of `count`. */
lstm_status lstm__loss_check_class_weights(const lstm_model *model, const lstm__loss *loss,
                                           const lstm__batch *batch, size_t count);

/* The loss of the session's latest forward against the batch's targets, summed over the outputs,
 * with the model's penalties. With `gradient` the output gradients are set. Fails only for class
 * numbers out of range, and where lstm__loss_prepare has not been called for as many labels. */
lstm_status lstm__loss_compute(lstm_session *session, const lstm__loss *loss,
                               const lstm__batch *batch, bool gradient, double *value);

/* Whether a metric can be had with a loss. */
lstm_status lstm__metric_check(int32_t metric, const lstm__loss *loss);

/* Add the first output's part of a metric over this batch: *sum and *weight grow. */
void lstm__metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss,
                      const lstm__batch *batch, double *sum, double *weight);

/* The metric from its sums. */
double lstm__metric_value(int32_t metric, double sum, double weight);

#endif
