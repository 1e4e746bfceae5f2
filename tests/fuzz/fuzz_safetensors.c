/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: safetensors files. The tensors of a file that is taken lie inside it, and all of
 * them can be read.
 */
#include "replay.h"

#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

const char fuzz_corpus[] = "safetensors";

static void read_tensor(const lstm__tensor *tensor)
{
    double *const doubles = malloc(tensor->count * sizeof *doubles + 1);
    float *const floats = malloc(tensor->count * sizeof *floats + 1);
    uint64_t *const integers = malloc(tensor->count * sizeof *integers + 1);
    if (!doubles || !floats || !integers ||
        lstm__tensor_doubles(tensor, doubles, tensor->count) != LSTM_OK ||
        lstm__tensor_floats(tensor, floats, tensor->count) != LSTM_OK ||
        lstm__tensor_floats(tensor, floats, tensor->count + 1) != LSTM_ERROR_SHAPE)
        abort();
    (void)lstm__tensor_integers(tensor, integers, tensor->count);
    free(integers);
    free(floats);
    free(doubles);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    lstm__file file = {
        .context = context, .name = malloc(8), .bytes = malloc(size ? size : 1), .size = size};
    if (!file.name || !file.bytes)
        abort();
    memcpy(file.name, "fuzz", 5);
    if (size > 0)
        memcpy(file.bytes, bytes, size);
    lstm__safetensors *tensors = NULL;
    if (lstm__safetensors_parse(&tensors, &file) == LSTM_OK) {
        for (size_t k = 0; k < lstm__safetensors_count(tensors); k++) {
            const lstm__tensor *const tensor = lstm__safetensors_get(tensors, k);
            if (lstm__safetensors_find(tensors, tensor->name) != tensor || tensor->size > size)
                abort();
            read_tensor(tensor);
        }
        (void)lstm__safetensors_metadata(tensors, "format");
        lstm__safetensors_close(tensors);
    } else if (tensors) {
        abort();
    }
    lstm__file_close(&file);
    lstm__context_release(context);
    return 0;
}
