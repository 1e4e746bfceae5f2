/* SPDX-License-Identifier: MIT
 * Layers around another layer in JSON.
 */
#ifndef LSTM_IO_WRAPPER_JSON_H
#define LSTM_IO_WRAPPER_JSON_H

#include "status.h"

#include <jansson.h>
#include <stdbool.h>

/* Whether a layer object is TimeDistributed. */
bool lstm__is_time_distributed(const json_t *layer);

/* The wrapped layer as an object of its own, with the wrapper's name and inputs; the caller gives
 * up *out. */
lstm_status lstm__unwrap_layer(const json_t *layer, json_t **out);

#endif
