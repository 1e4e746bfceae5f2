/* SPDX-License-Identifier: MIT
 * The tensors of a PyTorch state dict: .pt and .pth files as torch.save writes them (ZIP archives,
 * and the pickles before PyTorch 1.6), or safetensors.
 */
#ifndef LSTM_IO_TORCH_FILE_H
#define LSTM_IO_TORCH_FILE_H

#include "safetensors.h"

/* Everything in it belongs to the file. */
typedef struct lstm__torch_tensor {
    const char *name;
    int32_t kind; /* LSTM__F16 … */
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int64_t stride[LSTM__MOST_DIMENSIONS]; /* in elements; >= 0 */
    size_t count;
    const unsigned char *bytes; /* of the first element */
    bool big_endian;
} lstm__torch_tensor;

typedef struct lstm__torch_file {
    lstm_context *context;
    const char *name; /* for messages */
    lstm__torch_tensor *tensors;
    size_t count;
    bool ordered; /* as the modules were made; else as the file happens to have them */
    void *parts;  /* what the tensors lie in */
} lstm__torch_file;

/* Whether a file is a ZIP archive of torch.save (MEMORY: cannot be told; an archive that cannot be
 * read is none) / a pickle. */
lstm_status lstm__torch_is_zip(const lstm__file *file, bool *is_torch);
bool lstm__is_pickle(const unsigned char *bytes, size_t size);

/* Find the tensors of a file in memory, which must outlive the result. Of a checkpoint with several
 * dictionaries that called state_dict, model_state_dict or model is taken. FORMAT: damaged, no state
 * dict, a tensor outside its storage. UNSUPPORTED: whatever is not tensors and containers, by name.
 */
lstm_status lstm__torch_open(lstm__torch_file *out, const lstm__file *file);
lstm_status lstm__torch_open_safetensors(lstm__torch_file *out, const lstm__safetensors *tensors);
void lstm__torch_close(lstm__torch_file *file);

/* The elements in the order of the shape, where that is how they lie; else bytes is NULL. */
lstm__elements lstm__torch_elements(const lstm__torch_tensor *tensor);

/* Convert a tensor's elements, in the order of its shape. */
void lstm__torch_floats(const lstm__torch_tensor *tensor, float *values);

#endif
