/* SPDX-License-Identifier: MIT
 * Model files: safetensors with the description, metadata, scalers and a self-test inside; and
 * reading those of others.
 */
#ifndef LSTM_IO_MODEL_FILE_H
#define LSTM_IO_MODEL_FILE_H

#include "graph.h"

lstm_status lstm__model_save(const lstm_model *model, const char *path);
/* Whether a text can be stored as a note (UTF-8). */
bool lstm__model_is_note(const char *text);

/* Our own files, descriptions and files of Keras, by their content. */
lstm_status lstm__model_load(lstm_model **out, lstm_context *context, const char *path);

/* Fill a built model's parameters; nothing is changed on failure. */
lstm_status lstm__model_load_weights(lstm_model *model, const char *path);

#endif
