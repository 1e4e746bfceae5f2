/* SPDX-License-Identifier: MIT
 *
 * Several networks as one (forecast.h).
 *
 * Networks of H units become one LSTM of K H units: the units of network k see the input through
 * their own kernel and only each other through a block-diagonal recurrent kernel, so that they
 * compute what they computed before; the dense layer takes a K-th of each network's output. In
 * Keras' layout, columns of the kernels are [i | f | g | o], each gate K H wide, network k at k H
 * within it. The mean costs one model file and one forward pass.
 */
#include "forecast.h"
#include "messages.h"
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    size_t inputs, units, outputs, count; /* of one network; how many */
} shape;

/* The five parameters of such a model, in order: kernel, recurrent kernel, bias, dense kernel,
 * dense bias. */
enum { KERNEL, RECURRENT, BIAS, DENSE, DENSE_BIAS, PARAMETERS };

static void sizes_of(size_t sizes[PARAMETERS], size_t inputs, size_t units, size_t outputs)
{
    sizes[KERNEL] = inputs * 4 * units;
    sizes[RECURRENT] = units * 4 * units;
    sizes[BIAS] = 4 * units;
    sizes[DENSE] = units * outputs;
    sizes[DENSE_BIAS] = outputs;
}

/* Copy `rows` rows of one network's [rows][4 units] into the merged [..][4 units count], from row
 * `first` on. */
static void place_gates(float *merged, const float *own, const shape *s, size_t rows, size_t first,
                        size_t k)
{
    const size_t wide = s->units * s->count;
    for (size_t r = 0; r < rows; r++) {
        for (size_t gate = 0; gate < 4; gate++) {
            memcpy(merged + (first + r) * 4 * wide + gate * wide + k * s->units,
                   own + (r * 4 + gate) * s->units, s->units * sizeof *own);
        }
    }
}

static void place(float *const merged[PARAMETERS], float *const own[PARAMETERS], const shape *s,
                  size_t k)
{
    place_gates(merged[KERNEL], own[KERNEL], s, s->inputs, 0, k);
    place_gates(merged[RECURRENT], own[RECURRENT], s, s->units, k * s->units, k);
    place_gates(merged[BIAS], own[BIAS], s, 1, 0, k);
    const float part = 1.0f / (float)s->count;
    for (size_t i = 0; i < s->units * s->outputs; i++) {
        merged[DENSE][k * s->units * s->outputs + i] = part * own[DENSE][i];
    }
    for (size_t i = 0; i < s->outputs; i++) {
        merged[DENSE_BIAS][i] += part * own[DENSE_BIAS][i];
    }
}

static int build(lstm_model **out, lstm_context *context, const shape *s, int64_t window)
{
    int code = EXIT_DONE;
    const lstm_input_options input = {
        .struct_size = sizeof input, .steps = window, .features = (int64_t)s->inputs};
    const lstm_lstm_options recurrent = {.struct_size = sizeof recurrent,
                                         .units = (int64_t)(s->units * s->count)};
    const lstm_dense_options dense = {.struct_size = sizeof dense, .units = (int64_t)s->outputs};
    CHECK(lstm_model_create(out, context, NULL), NULL);
    CHECK(lstm_model_add_input(*out, &input, NULL), NULL);
    CHECK(lstm_model_add_lstm(*out, &recurrent, NULL, NULL), NULL);
    CHECK(lstm_model_add_dense(*out, &dense, NULL, NULL), NULL);
    CHECK(lstm_model_build(*out), NULL);
out:
    return code;
}

int forecast_merge(lstm_model **out, lstm_context *context, lstm_model *const *models, size_t count)
{
    int code = EXIT_DONE;
    int64_t window = 0;
    int64_t inputs = 0;
    int64_t units = 0;
    int64_t outputs = 0;
    float *merged[PARAMETERS] = {NULL};
    float *own[PARAMETERS] = {NULL};
    size_t sizes[PARAMETERS];
    size_t merged_sizes[PARAMETERS];
    CHECK(lstm_layer_shape(lstm_model_layer(models[0], 0), &window, &inputs), NULL);
    CHECK(lstm_layer_shape(lstm_model_layer(models[0], 1), NULL, &units), NULL);
    CHECK(lstm_layer_shape(lstm_model_layer(models[0], 2), NULL, &outputs), NULL);
    const shape s = {(size_t)inputs, (size_t)units, (size_t)outputs, count};
    sizes_of(sizes, s.inputs, s.units, s.outputs);
    sizes_of(merged_sizes, s.inputs, s.units * count, s.outputs);
    for (size_t p = 0; p < PARAMETERS; p++) {
        own[p] = malloc(sizes[p] * sizeof(float));
        merged[p] = calloc(merged_sizes[p], sizeof(float));
        if (own[p] == NULL || merged[p] == NULL) {
            code = message_error(EXIT_WORK, "no memory to merge %zu networks", count);
            goto out;
        }
    }
    NEED(build(out, context, &s, window));
    for (size_t k = 0; k < count; k++) {
        for (size_t p = 0; p < PARAMETERS; p++) {
            CHECK(lstm_model_get_parameter(models[k], p, own[p], sizes[p]), "merging");
        }
        place(merged, own, &s, k);
    }
    for (size_t p = 0; p < PARAMETERS; p++) {
        CHECK(lstm_model_set_parameter(*out, p, merged[p], merged_sizes[p]), "merging");
    }
out:
    for (size_t p = 0; p < PARAMETERS; p++) {
        free(own[p]);
        free(merged[p]);
    }
    return code;
}
