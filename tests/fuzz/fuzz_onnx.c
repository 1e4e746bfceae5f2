/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: ONNX models. What loads must have a finite value in every parameter. Nothing beside
 * the file is read: the name has no folder, and external data of that name is not there.
 */
#include "replay.h"

#include "onnx_file.h"
#include "onnx_graph.h"

#include <math.h>
#include <stdlib.h>

const char fuzz_corpus[] = "onnx";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    char name[] = "fuzz.onnx";
    const lstm__file file = {
        .context = context, .name = name, .bytes = (unsigned char *)bytes, .size = size};
    lstm_model *model = NULL;
    if (lstm__is_onnx(bytes, size)) {
        if (lstm__onnx_load(&model, context, &file) == LSTM_OK) {
            for (size_t k = 0; k < model->value_count; k++)
                if (!isfinite(model->values[k]))
                    abort();
            lstm__graph_release(model);
        } else if (model) {
            abort();
        }
    }
    lstm__context_release(context);
    return 0;
}
