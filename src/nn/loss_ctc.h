/* SPDX-License-Identifier: MIT
 * CTC as the loss of a session: labels come from the batch, memory from lstm__loss_prepare.
 */
#ifndef LSTM_NN_LOSS_CTC_H
#define LSTM_NN_LOSS_CTC_H

#include "ctc.h"
#include "losses.h"

/* What a session keeps for CTC: one block. */
struct lstm__labelling {
    lstm__ctc ctc;
    size_t longest;    /* labels of a sample, whether they fit into the steps or not */
    int32_t *decoded;  /* [steps]: for metrics */
    size_t *distances; /* [longest + 1] */
};

/* The class number of the blank among `classes`. */
size_t lstm__ctc_blank(const lstm__loss *loss, size_t classes);

/* Check that the model suits CTC: one output, a sequence, and a blank among its classes. */
lstm_status lstm__ctc_check_output(const lstm_model *model, const lstm__loss *loss);

/* Check the labels of a batch whose samples count. */
lstm_status lstm__ctc_check_batch(const lstm_model *model, const lstm__loss *loss,
                                  const lstm__batch *batch);

/* As lstm__loss_compute. */
lstm_status lstm__ctc_loss(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch,
                           bool gradient, double *value);

/* Metrics over the decoded outputs: LSTM_METRIC_LABEL_ERROR_RATE, LSTM_METRIC_ACCURACY. */
void lstm__ctc_metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss,
                          const lstm__batch *batch, double *sum, double *weight);

#endif
