/* SPDX-License-Identifier: MIT
 * Model files: safetensors with the description, metadata, scalers and a self-test inside.
 */
#ifndef LSTM_IO_MODEL_FILE_H
#define LSTM_IO_MODEL_FILE_H

#include "graph.h"

lstm_status lstm__model_save(const lstm_model *model, const char *path);
lstm_status lstm__model_load(lstm_model **out, lstm_context *context, const char *path);

#endif
