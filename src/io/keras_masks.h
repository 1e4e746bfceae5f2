/* SPDX-License-Identifier: MIT
 * The masks that Keras 3 writes into the graph of a Functional model.
 */
#ifndef LSTM_IO_KERAS_MASKS_H
#define LSTM_IO_KERAS_MASKS_H

#include "status.h"

#include <jansson.h>
#include <stdbool.h>

/* Check every mask that a layer of `layers`, the list of a Functional model, is called with, and
 * put into `rest` (an empty array) the layers without the operations that only compute masks.
 *   LSTM_ERROR_UNSUPPORTED  a mask is not the one that reaches the layer by itself */
lstm_status lstm__keras_masks(const json_t *layers, json_t *rest);

/* Whether a keyword of a call holds masks, which lstm__keras_masks() has checked. */
bool lstm__is_keras_mask_keyword(const char *key);

#endif
