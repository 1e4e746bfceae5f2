/* SPDX-License-Identifier: MIT
 * Reading a caller's lstm_data: every count is checked against the model's shapes before anything
 * runs.
 */
#ifndef LSTM_API_DATA_H
#define LSTM_API_DATA_H

#include "losses.h"

typedef struct lstm__data {
    lstm_data own;     /* the caller's struct, completed; `batch` points into it */
    lstm__batch batch; /* first 0, count = samples */
} lstm__data;

/* Check `data` against a built model. `loss` NULL: targets are not looked at. */
lstm_status lstm__data_read(lstm__data *read, const lstm_model *model, const lstm_data *data,
                            const lstm__loss *loss);

/* Fill in and check an LSTM_LAYOUT_*. */
lstm_status lstm__read_layout(int32_t *layout);

/* Values of one sample of a shape; steps are those of free inputs. */
size_t lstm__data_sample_size(lstm__shape shape, size_t steps);

#endif
