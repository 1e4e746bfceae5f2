/* SPDX-License-Identifier: MIT
 * PyTorch's recurrent modules in descriptions: several layers, two directions.
 */
#ifndef LSTM_IO_TORCH_STACK_JSON_H
#define LSTM_IO_TORCH_STACK_JSON_H

#include "graph.h"

#include <jansson.h>

/* Whether a layer of a description is such a module. */
bool lstm__is_torch_stack(const lstm_model *model, const json_t *layer);

/* The layers it consists of, as a list of descriptions; *out is a new reference. */
lstm_status lstm__torch_stack_expand(const lstm_model *model, const json_t *layer, json_t **out);

/* The names that PyTorch gives a layer's parameters: "torch_module" and "torch_layer", of a node
 * just added / of a description. */
bool lstm__torch_name_key(const char *key);
lstm_status lstm__torch_name_from_json(lstm__node *node, const json_t *layer);
int lstm__torch_name_to_json(const lstm__node *node, json_t *layer);

#endif
