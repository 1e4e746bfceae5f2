/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: .npy files. A file that is taken must hold its elements inside its bytes, and give
 * the same floats again after being written.
 */
#include "replay.h"

#include "npy.h"

#include <stdlib.h>
#include <string.h>

const char fuzz_corpus[] = "npy";

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Write values as a .npy file and read that back. */
static void round_trip(const lstm__npy *npy, const float *values)
{
    char header[LSTM__NPY_HEADER];
    const size_t header_size = lstm__npy_header(header, npy->rank, npy->shape);
    const size_t size = header_size + npy->count * sizeof *values;
    unsigned char *const file = malloc(size);
    float *const again = malloc(npy->count * sizeof *values + 1);
    require(header_size % 64 == 0 && file && again);
    memcpy(file, header, header_size);
    memcpy(file + header_size, values, npy->count * sizeof *values);
    lstm__cursor cursor = lstm__memory_cursor("again.npy", file, size);
    lstm__npy second;
    require(lstm__npy_parse(&second, &cursor) == LSTM_OK && second.count == npy->count &&
            second.rank == npy->rank);
    lstm__npy_floats(&second, again);
    require(memcmp(again, values, npy->count * sizeof *values) == 0);
    free(again);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    lstm__cursor cursor = lstm__memory_cursor("fuzz.npy", bytes, size);
    lstm__npy npy;
    if (lstm__npy_parse(&npy, &cursor) != LSTM_OK)
        return 0;
    require(npy.count * lstm__element_size(npy.kind) <= size);
    float *const values = malloc(npy.count * sizeof *values + 1);
    require(values != NULL);
    lstm__npy_floats(&npy, values);
    round_trip(&npy, values);
    free(values);
    return 0;
}
