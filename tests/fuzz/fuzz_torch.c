/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: files of torch.save, ZIP and legacy, with their pickles. What opens must have tensors
 * that can be read to the last element, and what it becomes a model of must have finite parameters.
 */
#include "replay.h"

#include "torch_layers.h"
#include "zip_archive.h"

#include <math.h>
#include <stdlib.h>

const char fuzz_corpus[] = "torch";

static void read_tensors(const lstm__torch_file *tensors, size_t size)
{
    for (size_t k = 0; k < tensors->count; k++) {
        const lstm__torch_tensor *const t = &tensors->tensors[k];
        if (t->count > size)
            abort();
        float *const values = malloc(t->count * sizeof *values + 1);
        if (!values)
            abort();
        lstm__torch_floats(t, values);
        free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    char name[] = "fuzz.pt";
    const lstm__file file = {
        .context = context, .name = name, .bytes = (unsigned char *)bytes, .size = size};
    lstm__torch_file tensors;
    bool is_zip = false;
    if (lstm__torch_is_zip(&file, &is_zip) != LSTM_OK)
        abort();
    if ((is_zip || lstm__is_pickle(bytes, size)) && lstm__torch_open(&tensors, &file) == LSTM_OK) {
        lstm_model *model = NULL;
        read_tensors(&tensors, size);
        if (lstm__torch_model(&model, context, &tensors) == LSTM_OK) {
            for (size_t k = 0; k < model->value_count; k++)
                if (!isfinite(model->values[k]))
                    abort();
            lstm__graph_release(model);
        } else if (model) {
            abort();
        }
        lstm__torch_close(&tensors);
    }
    lstm__context_release(context);
    return 0;
}
