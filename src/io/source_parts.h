/* SPDX-License-Identifier: MIT
 * What the writers of the families of layers as C source share.
 */
#ifndef LSTM_IO_SOURCE_PARTS_H
#define LSTM_IO_SOURCE_PARTS_H

#include "source_export.h"

static inline lstm__shape lstm__source_input(const lstm__node *node, int k)
{
    return node->inputs[k]->node->shapes[node->inputs[k]->port];
}

static inline const lstm__parameter *lstm__source_parameter(const lstm__node *node, size_t k)
{
    return &node->model->parameters[node->parameter_first + k];
}

/* Fail with UNSUPPORTED: C source has no such thing. */
lstm_status lstm__source_cannot(const lstm__node *node, const char *what);

/* Note that an activation is needed, `inside` a cell or on whole arrays. */
lstm_status lstm__source_need_activation(lstm__source *s, const lstm__node *node,
                                         int32_t activation, bool inside);
const char *lstm__source_activation(int32_t activation);

/* The values of parameter k as they are stored, as the constant WHATn of node n. */
void lstm__source_put(lstm__source *s, const lstm__node *node, const char *what, size_t k);

/* "PREFIX_WHAT5", or "NULL" where it is not there. */
const char *lstm__source_constant(const lstm__source *s, const lstm__node *node, const char *what,
                                  bool there, char text[LSTM__SOURCE_VALUE]);

/* Recurrent layers (source_cells.c): what they need, their constants, the statements that run them,
 * the numbers of scratch of one step. */
lstm_status lstm__source_need_cell(lstm__source *s, const lstm__node *node);
lstm_status lstm__source_cell_constants(lstm__source *s, const lstm__node *node);
void lstm__source_cell(lstm__source *s, const lstm__node *node, const char *x, const char *y);
int64_t lstm__source_scratch(const lstm__node *node);

/* Attention (source_attention.c); false / nothing for other layers. Of MultiHeadAttention the
 * projected query, key and value, and what the heads give, are arrays q, k, v, z of the memory. */
bool lstm__source_is_attention(const lstm__node *node);
lstm_status lstm__source_need_attention(lstm__source *s, const lstm__node *node);
void lstm__source_attention_constants(lstm__source *s, const lstm__node *node);
void lstm__source_attention(lstm__source *s, const lstm__node *node, const char *y);

/* Declare the arrays of a node in the memory; returns how many floats they are. */
int64_t lstm__source_attention_memory(lstm__source *s, const lstm__node *node);

/* The functions of the kernel for them. */
extern const char lstm__source_text_lstm[], lstm__source_text_variant[], lstm__source_text_gru[],
    lstm__source_text_rnn[], lstm__source_text_attend[];

#endif
