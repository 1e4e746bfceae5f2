/* SPDX-License-Identifier: MIT
 * A model's description as Keras 3 writes it.
 */
#ifndef LSTM_IO_KERAS_DESCRIPTION_H
#define LSTM_IO_KERAS_DESCRIPTION_H

#include "graph.h"

#include <jansson.h>

/* The order that Keras gives the layers of a Functional model: order[k] is the number of the node
 * that comes k-th; room for node_count numbers. The weights in its files are numbered after it. */
lstm_status lstm__keras_order(const lstm_model *model, size_t *order);

/* Which layer of Keras a node belongs to: itself, or the Bidirectional that it is a half of;
 * owners[k] for node k. */
void lstm__keras_owners(const lstm_model *model, size_t *owners);

/* Whether others read the last states of a recurrent layer. */
bool lstm__states_are_read(const lstm__node *node);

/* The description, layers in this order: as config.json holds it, or (`old`) as Keras 1 and 2 do;
 * *root is a new reference. */
lstm_status lstm__keras_describe(const lstm_model *model, const size_t *order, bool old,
                                 json_t **root);

#endif
