/* SPDX-License-Identifier: MIT
 * Model descriptions as JSON: our own form and Keras' (docs/model-json.md).
 */
#ifndef LSTM_IO_MODEL_JSON_H
#define LSTM_IO_MODEL_JSON_H

#include "graph.h"

/* Read a description and build the model. */
lstm_status lstm__model_from_json(lstm_model **out, lstm_context *context, const char *text, size_t length);

/* Write a built model's description; *text is released with the model's context. */
lstm_status lstm__model_to_json(const lstm_model *model, char **text);

#endif
