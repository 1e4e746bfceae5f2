/* SPDX-License-Identifier: MIT
 * Optimizers: moments beside the model's parameter block, clipping, and the step.
 */
#ifndef LSTM_NN_OPTIMIZER_H
#define LSTM_NN_OPTIMIZER_H

#include "session.h"

enum { LSTM__MOMENTS = 3 };

struct lstm_optimizer {
    lstm_model *model;
    lstm_optimizer_options options; /* defaults filled in, negative values turned to 0 */
    int64_t steps;
    real *moments[LSTM__MOMENTS]; /* laid out like model->values; NULL = not used. Adam: m, v, largest v. SGD: m.
                                     RMSprop: v, m, mean gradient */
};

lstm_status lstm__optimizer_create(lstm_optimizer **out, lstm_model *model, const lstm_optimizer_options *options);
void lstm__optimizer_destroy(lstm_optimizer *optimizer);

/* Clip the session's gradients and apply them. NUMERIC (nothing changed) if one is not finite. */
lstm_status lstm__optimizer_step(lstm_optimizer *optimizer, lstm_session *session);

/* Fail with NUMERIC naming the first parameter whose gradient is not finite; OK if all are. */
lstm_status lstm__check_gradients(const lstm_session *session);

#endif
