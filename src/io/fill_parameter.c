/* SPDX-License-Identifier: MIT
 *
 * Weights go from the file's bytes to their place in the model in one pass. A parameter of the
 * PyTorch profile lies transposed in the model: floats that this machine can read where they are
 * are transposed from the file itself, all others are converted into room of their own first.
 */
#include "fill_parameter.h"

#include <math.h>
#include <string.h>

/* Whether elements are floats of this machine, one behind the other, at an address for floats. */
static bool are_floats(const lstm__elements *e)
{
    return e->kind == LSTM__F32 && !e->big_endian && e->stride == sizeof(float) &&
           (uintptr_t)e->bytes % _Alignof(float) == 0;
}

/* The largest magnitude of a run tells whether all are finite; only a run with one that is not is
 * looked at again. A comparison with NaN is false, so the bits are compared, as integers. */
size_t lstm__first_not_finite(const float *values, size_t count)
{
    enum { RUN = 1024, MAGNITUDE = 0x7fffffff, INFINITE = 0x7f800000 };
    for (size_t first = 0; first < count; first += RUN) {
        const size_t end = count - first < RUN ? count : first + RUN;
        int32_t largest = 0;
        for (size_t k = first; k < end; k++) {
            int32_t bits = 0;
            memcpy(&bits, &values[k], sizeof bits);
            bits &= MAGNITUDE;
            largest = bits > largest ? bits : largest;
        }
        if (largest < INFINITE)
            continue;
        for (size_t k = first; k < end; k++)
            if (!isfinite(values[k]))
                return k;
    }
    return count;
}

lstm_status lstm__fill_parameter(const lstm__parameter *parameter, const lstm__elements *elements,
                                 real *block, size_t *bad)
{
    const size_t count = lstm__parameter_size(parameter);
    real *const to = block + parameter->offset;
    if (!parameter->transposed) {
        lstm__read_floats(elements, to);
        *bad = lstm__first_not_finite(to, count);
        return LSTM_OK;
    }
    if (are_floats(elements)) {
        const float *const from = (const float *)(const void *)elements->bytes;
        lstm__parameter_write(parameter, block, from);
        *bad = lstm__first_not_finite(to, count);
        if (*bad < count) /* another place, now that it lies transposed */
            *bad = lstm__first_not_finite(from, count);
        return LSTM_OK;
    }
    lstm_context *const context = parameter->node->model->context;
    float *const room = lstm__allocate_array(context, count, sizeof *room);
    if (!room)
        return lstm__fail_memory(count * sizeof *room, "a parameter");
    lstm__read_floats(elements, room);
    lstm__parameter_write(parameter, block, room);
    *bad = lstm__first_not_finite(room, count);
    lstm__release(context, room);
    return LSTM_OK;
}
