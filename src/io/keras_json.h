/* SPDX-License-Identifier: MIT
 * Keras' model descriptions, turned into our own form.
 */
#ifndef LSTM_IO_KERAS_JSON_H
#define LSTM_IO_KERAS_JSON_H

#include "status.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether a description is one that Keras wrote (an object with class_name and config). */
bool lstm__is_keras_json(const json_t *root);

/* Turn model.to_json() of Keras 1 to 3 (Sequential, Functional) into {"profile": "keras", "layers":
 * […], "outputs": […]};
 * *out is a new reference. `version` is the major version of the Keras that wrote it; 0 = as the
 * description says itself,
 * 3 if it does not. */
lstm_status lstm__keras_json_convert(const json_t *root, int version, json_t **out);

/* The major version in a text like "2.15.0"; 0 if it is none. */
int lstm__keras_version(const char *text);

#endif
