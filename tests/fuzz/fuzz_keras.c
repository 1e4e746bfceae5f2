/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: whole models of Keras, .keras and .h5. What loads must have a finite value in every
 * parameter.
 */
#include "replay.h"

#include "hdf5.h"
#include "keras_file.h"
#include "zip_archive.h"

#include <math.h>
#include <stdlib.h>

const char fuzz_corpus[] = "keras";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    char name[] = "fuzz.keras";
    const lstm__file file = {
        .context = context, .name = name, .bytes = (unsigned char *)bytes, .size = size};
    lstm_model *model = NULL;
    if (lstm__is_zip(bytes, size) || lstm__is_hdf5(bytes, size)) {
        if (lstm__keras_load(&model, context, &file) == LSTM_OK) {
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
