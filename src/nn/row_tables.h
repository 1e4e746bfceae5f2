/* SPDX-License-Identifier: MIT
 * Tensors that are handed from layer to layer as numbers of the rows of a table, in place of the rows.
 * A layer that says so in its class (`table`: Embedding) gives them, one that says so (`takes_table`:
 * LSTM) takes them; here it is decided where a session does that. docs/design/embedding-as-a-table.md
 */
#ifndef LSTM_NN_ROW_TABLES_H
#define LSTM_NN_ROW_TABLES_H

#include "session.h"

/* The rows of the table whose numbers a session hands on in the place of the tensor of a port; 0 = the
 * tensor is handed on. Known before anything is laid out: for `plan`. */
size_t lstm__session_table(const lstm_session *session, const lstm_layer *layer);

#endif
