/* SPDX-License-Identifier: MIT
 * Layers by callbacks of the caller. Each such node has a class of its own, made when it is added,
 * which is called as the caller's type; everything else sees a layer like any other.
 */
#ifndef LSTM_NN_CUSTOM_H
#define LSTM_NN_CUSTOM_H

#include "graph.h"

/* Check a caller's struct and complete it: its type must be a word, and none of the library's. */
lstm_status lstm__custom_read(lstm_custom_layer *own, const lstm_custom_layer *layer);

/* Add a node of a type that lstm__custom_read has completed. `name` NULL = automatic. */
lstm_status lstm__custom_add(lstm_model *model, const lstm_custom_layer *layer, const char *name,
                             const lstm_layer *const *inputs, int count, lstm_layer **out);

/* Stands for all of them where a description is read: what they have in common. */
extern const lstm__layer_class lstm__class_custom;

#endif
