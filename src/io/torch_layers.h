/* SPDX-License-Identifier: MIT
 * PyTorch's state dicts as models.
 */
#ifndef LSTM_IO_TORCH_LAYERS_H
#define LSTM_IO_TORCH_LAYERS_H

#include "graph.h"
#include "torch_file.h"

/* Make a model of a state dict that says by its names and shapes what it is: one nn.LSTM, nn.GRU or
 * nn.RNN, alone or among nn.Embedding, nn.LayerNorm and nn.Linear whose widths chain in one way
 * only. The note "lstm.layout" of the model is "time_first", as PyTorch's modules read sequences.
 * UNSUPPORTED: other modules, or several ways: a description is needed. */
lstm_status lstm__torch_model(lstm_model **out, lstm_context *context,
                              const lstm__torch_file *file);

/* Fill a model of the profile torch. A prefix that all names of the file, or of the model, share
 * ("module.") may be missing from the others. Every tensor must be used and every parameter filled:
 * SHAPE, FORMAT, NOT_FOUND name file, tensor, expected and found shape; nothing is changed then,
 * unless the model is new, so that nobody else knows it: its values are then filled in place. */
lstm_status lstm__torch_fill(lstm_model *model, const lstm__torch_file *file, bool is_new);

/* Whether names are those of PyTorch's recurrent modules. */
bool lstm__torch_names(const lstm__safetensors *tensors);

#endif
