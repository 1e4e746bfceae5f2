/* SPDX-License-Identifier: MIT
 * Writing parameters alone: PyTorch's state dicts, and arrays under Keras' or PyTorch's names.
 */
#ifndef LSTM_IO_TORCH_EXPORT_H
#define LSTM_IO_TORCH_EXPORT_H

#include "graph.h"

/* Whether a path ends with .pt or .pth. */
bool lstm__is_torch_path(const char *path);

/* Write the parameters of a built model under the names of a profile: .pt and .pth as torch.save
 * does (PyTorch's names only: ARGUMENT), .safetensors, .npz. UNSUPPORTED: a layer that the profile
 * cannot say. Atomic. */
lstm_status lstm__parameters_save(lstm_model *model, const char *path, int32_t profile);

#endif
