/* SPDX-License-Identifier: MIT
 * The gradients of a whole model against differences of its loss.
 */
#ifndef LSTM_NN_GRADIENT_CHECK_H
#define LSTM_NN_GRADIENT_CHECK_H

#include "losses.h"

typedef struct lstm__gradient_check {
    lstm_session *session; /* for training, with a fixed update */
    const lstm__loss *loss;
    const lstm__batch *batch;
    double step, tolerance;
    int32_t directions; /* random ones for each parameter, beside that of its gradient */
    uint64_t seed;
    real *kept; /* room for model->value_count values each */
    real *gradients;
} lstm__gradient_check;

/* errors[k] for parameter k. NUMERIC names the parameter that is off most. The model is as before
 * afterwards. */
lstm_status lstm__check_model_gradients(const lstm__gradient_check *check, double *errors);

#endif
