/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: ZIP archives and the .npy arrays in them. Every entry of an archive that is taken is
 * unpacked, unless it announces more than 4 MiB.
 */
#include "replay.h"

#include "npy.h"
#include "zip_archive.h"

#include <stdlib.h>
#include <string.h>

const char fuzz_corpus[] = "zip";

enum { MOST = 1 << 22 };

static void read_entry(lstm_context *context, const lstm__zip *zip, const lstm__zip_entry *entry)
{
    const unsigned char *content = NULL;
    void *owned = NULL;
    if (lstm__zip_content(zip, entry, MOST, &content, &owned) != LSTM_OK)
        return;
    lstm__cursor cursor = lstm__memory_cursor(entry->name, content, (size_t)entry->size);
    lstm__npy npy;
    if (lstm__npy_parse(&npy, &cursor) == LSTM_OK) {
        float *const values = malloc(npy.count * sizeof *values + 1);
        if (!values)
            abort();
        lstm__npy_floats(&npy, values);
        free(values);
    }
    lstm__release(context, owned);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm_context *const context = lstm__context_acquire(NULL);
    char name[] = "fuzz.zip";
    const lstm__file file = {
        .context = context, .name = name, .bytes = (unsigned char *)bytes, .size = size};
    lstm__zip *zip = NULL;
    if (lstm__zip_open(&zip, context, &file) == LSTM_OK) {
        for (size_t k = 0; k < lstm__zip_count(zip); k++) {
            const lstm__zip_entry *const entry = lstm__zip_get(zip, k);
            if (lstm__zip_find(zip, entry->name) != entry)
                abort();
            read_entry(context, zip, entry);
        }
        lstm__zip_close(zip);
    } else if (zip) {
        abort();
    }
    lstm__context_release(context);
    return 0;
}
