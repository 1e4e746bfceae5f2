/* SPDX-License-Identifier: MIT
 * {"type": "Bidirectional", "layer": {…}} taken apart.
 */
#ifndef LSTM_IO_BIDIRECTIONAL_JSON_H
#define LSTM_IO_BIDIRECTIONAL_JSON_H

#include "graph.h"

#include <jansson.h>

/* Whether a layer is to be taken apart (and not the merging layer alone). */
bool lstm__is_bidirectional_json(const json_t *layer);

/* Three layers in its place: forward, backward, merge. `model` holds the layers before it. *parts
 * is a new list. */
lstm_status lstm__bidirectional_json_expand(const lstm_model *model, const json_t *layer,
                                            json_t **parts);

/* How output `port` of a Bidirectional of Keras that gives its states is called here, as a new
 * reference; NULL: it is no state. */
lstm_status lstm__bidirectional_json_state(const json_t *layer, int port, json_t **name);

#endif
