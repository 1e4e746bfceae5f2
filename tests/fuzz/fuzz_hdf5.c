/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: HDF5 files. Every dataset of at most a million values is read, and the attributes
 * that Keras uses, of every object; once with the checksums of newer headers and once without, so
 * that damage reaches what lies behind them.
 */
#include "replay.h"

#include "hdf5.h"

#include <stdlib.h>
#include <string.h>

const char fuzz_corpus[] = "hdf5";

enum { MOST = 1 << 20 };

static void read_values(const lstm__hdf5 *file, const lstm__hdf5_object *object)
{
    if (!object->is_dataset || object->count > MOST)
        return;
    float *const values = malloc(object->count * sizeof *values + 1);
    if (!values)
        abort();
    lstm__hdf5_floats(file, object, values, object->count);
    free(values);
}

static void read_names(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                       const char *attribute)
{
    lstm__hdf5_texts texts;
    if (lstm__hdf5_read_texts(file, object, attribute, &texts) != LSTM_OK && texts.items)
        abort();
    size_t total = 0;
    for (size_t k = 0; k < texts.count; k++)
        total += strlen(texts.items[k]);
    if (total > (size_t)1 << 30)
        abort();
    lstm__hdf5_release_texts(&texts);
}

static void run(const uint8_t *bytes, size_t size, bool checksums)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    const lstm__cursor whole = lstm__memory_cursor("fuzz.h5", bytes, size);
    lstm__hdf5 *file = NULL;
    if (lstm__hdf5_open(&file, context, &whole, checksums) == LSTM_OK) {
        for (size_t k = 0; k < lstm__hdf5_count(file); k++) {
            const lstm__hdf5_object *const object = lstm__hdf5_get(file, k);
            if (lstm__hdf5_find(file, object->path) != object)
                abort();
            read_values(file, object);
            read_names(file, object, "weight_names");
            read_names(file, object, "text7");
        }
        lstm__hdf5_close(file);
    } else if (file) {
        abort();
    }
    lstm__context_release(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    run(bytes, size, true);
    run(bytes, size, false);
    return 0;
}
