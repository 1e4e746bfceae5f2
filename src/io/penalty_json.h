/* SPDX-License-Identifier: MIT
 * What every layer with parameters may carry in a description: Keras' *_regularizer and
 * *_constraint, and its rate.
 */
#ifndef LSTM_IO_PENALTY_JSON_H
#define LSTM_IO_PENALTY_JSON_H

#include "graph.h"

#include <jansson.h>

/* Whether a key of a layer of this class is read here. */
bool lstm__penalty_key(const lstm__layer_class *class, const char *key);

/* Read all of them from a layer's object / write those that are not the default. */
lstm_status lstm__penalty_from_json(lstm__node *node, const json_t *layer);
int lstm__penalty_to_json(const lstm__node *node, json_t *layer);

#endif
