/* SPDX-License-Identifier: MIT
 * Model descriptions as JSON: our own form and Keras' (docs/model-json.md).
 */
#ifndef LSTM_IO_MODEL_JSON_H
#define LSTM_IO_MODEL_JSON_H

#include "graph.h"

/* Read a description and build the model. */
lstm_status lstm__model_from_json(lstm_model **out, lstm_context *context, const char *text,
                                  size_t length);

/* The same for a file that holds the parameters too, at most `most_values` of them: more are
 * refused (FORMAT) before there is memory for them, and they are 0 until they are read.
 * keras_version is the major version of the Keras that wrote the file; 0 = not Keras, or as the
 * description says. */
lstm_status lstm__model_from_json_of_file(lstm_model **out, lstm_context *context, const char *text,
                                          size_t length, size_t most_values, int keras_version);

/* Write a built model's description; *text is released with the model's context. */
lstm_status lstm__model_to_json(const lstm_model *model, char **text);

#endif
