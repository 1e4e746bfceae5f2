/* SPDX-License-Identifier: MIT
 * Checkpoints: everything needed to go on training to the bit, as a safetensors file.
 */
#ifndef LSTM_IO_CHECKPOINT_FILE_H
#define LSTM_IO_CHECKPOINT_FILE_H

#include "safetensors.h"
#include "training.h"

/* Write / read a training run: parameters, moments, best weights, history, position. Reading checks
 * that model, optimizer, data and options fit before it changes anything. */
lstm_status lstm__checkpoint_write(const char *path, const lstm__training *training);
lstm_status lstm__checkpoint_read(const char *path, lstm__training *training);

/* The same for a manual loop: parameters, moments and one number. */
lstm_status lstm__checkpoint_save(const char *path, const lstm_model *model,
                                  const lstm_optimizer *optimizer, int64_t position);
lstm_status lstm__checkpoint_load(const char *path, lstm_model *model, lstm_optimizer *optimizer,
                                  int64_t *position);

/* The model of a checkpoint of either kind: its description, with the weights, scalers and notes
 * that the model had when it was written. At most `most_values` parameters. */
lstm_status lstm__checkpoint_model(lstm_model **out, lstm_context *context,
                                   const lstm__safetensors *file, size_t most_values);

#endif
