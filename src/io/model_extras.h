/* SPDX-License-Identifier: MIT
 * What a model has besides layers and weights, scalers and notes (metadata), in our own files.
 */
#ifndef LSTM_IO_MODEL_EXTRAS_H
#define LSTM_IO_MODEL_EXTRAS_H

#include "graph.h"
#include "sealed_file.h"

/* Tensors "scaler.*" of the scalers that a model has / set those that a file has. */
lstm_status lstm__scalers_seal(lstm__seal *seal, const lstm_model *model);
lstm_status lstm__scalers_load(lstm_model *model, const lstm__safetensors *file);

/* The notes as the text of a JSON object, which the caller frees / set those of such a text; `path`
 * is for messages. */
lstm_status lstm__notes_to_text(const lstm_model *model, char **text);
lstm_status lstm__notes_load(lstm_model *model, const char *text, const char *path);

#endif
