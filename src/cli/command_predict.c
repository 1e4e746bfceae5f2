/* SPDX-License-Identifier: MIT
 *
 * `lstm predict`: the outputs of a model for arrays of inputs, written as arrays.
 */
#include "arrays.h"
#include "command.h"
#include "dataset.h"
#include "messages.h"

#include <lstm/lstm.h>
#include <stdlib.h>

typedef struct outputs {
    size_t count;
    output_array *arrays;
    float **values;
    size_t *counts;
    char (*names)[24];
} outputs;

static void outputs_release(outputs *o)
{
    for (size_t i = 0; o->values != NULL && i < o->count; i++) {
        free(o->values[i]);
    }
    free(o->values);
    free(o->arrays);
    free(o->counts);
    free(o->names);
    *o = (outputs){0};
}

/* Room for every output: y0, y1, … */
static int outputs_allocate(outputs *o, const lstm_model *model, const dataset *set)
{
    o->count = lstm_model_output_count(model);
    o->arrays = calloc(o->count + 1, sizeof *o->arrays);
    o->values = calloc(o->count + 1, sizeof *o->values);
    o->counts = calloc(o->count + 1, sizeof *o->counts);
    o->names = calloc(o->count + 1, sizeof *o->names);
    if (o->arrays == NULL || o->values == NULL || o->counts == NULL || o->names == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    for (size_t i = 0; i < o->count; i++) {
        output_array *a = &o->arrays[i];
        dataset_output_shape(model, i, set->samples, set->steps, &a->rank, a->shape);
        size_t count = 1;
        int too_large = 0;
        for (int32_t k = 0; k < a->rank; k++) {
            too_large |= __builtin_mul_overflow(count, (size_t)a->shape[k], &count);
        }
        o->values[i] = too_large ? NULL : calloc(count + 1, sizeof(float));
        if (o->values[i] == NULL) {
            return message_error(EXIT_WORK, "out of memory for output %zu", i);
        }
        snprintf(o->names[i], sizeof o->names[i], "y%zu", i);
        a->name = o->names[i];
        a->data = o->values[i];
        a->count = count;
        o->counts[i] = count;
    }
    return EXIT_DONE;
}

/* Write the outputs as the file that the model came from has them. */
static int write_named(const loaded *main, const outputs *o, const char *path)
{
    const size_t count = named_output_count(&main->ports);
    output_array *arrays = calloc(count + 1, sizeof *arrays);
    int64_t *shapes = calloc(2 * o->count + 1, sizeof *shapes);
    int code = arrays == NULL || shapes == NULL ? message_error(EXIT_WORK, "out of memory")
                                                : EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < o->count; i++) {
        const output_array *a = &o->arrays[i];
        shapes[i] = a->rank == 3 ? a->shape[1] : 0;
        shapes[o->count + i] = a->shape[a->rank - 1];
    }
    for (size_t i = 0; code == EXIT_DONE && i < count; i++) {
        code = named_output(&main->ports, i, o->values, shapes, shapes + o->count,
                            main->set.samples, &arrays[i]);
    }
    if (code == EXIT_DONE && count == 1) {
        arrays[0].name = "y0"; /* as a single output is always called */
    }
    if (code == EXIT_DONE) {
        code = arrays_check_output(path, count);
    }
    if (code == EXIT_DONE) {
        code = arrays_write(main->context, path, arrays, count);
    }
    for (size_t i = 0; arrays != NULL && i < count; i++) {
        free((void *)(uintptr_t)arrays[i].data);
    }
    free(arrays);
    free(shapes);
    return code;
}

/* Outputs of files that are time first: (steps, samples, features). */
static int turn_outputs(outputs *o)
{
    for (size_t i = 0; i < o->count; i++) {
        output_array *a = &o->arrays[i];
        if (a->rank != 3 || a->count == 0) {
            continue;
        }
        float *turned = malloc(a->count * sizeof *turned);
        if (turned == NULL) {
            return message_error(EXIT_WORK, "out of memory for output %zu", i);
        }
        swap_axes(o->values[i], turned, a->shape[0], a->shape[1], (size_t)a->shape[2]);
        free(o->values[i]);
        o->values[i] = turned;
        a->data = turned;
        const int64_t samples = a->shape[0];
        a->shape[0] = a->shape[1];
        a->shape[1] = samples;
    }
    return EXIT_DONE;
}

static int run_predict(const arguments *line)
{
    const char *path = arguments_text(line, "output");
    loaded main = {0};
    outputs result = {0};
    int code = EXIT_DONE;
    NEED(arrays_check_output(path, 1));
    if (arguments_given(line, "state-out") > 0) {
        NEED(arrays_check_output(arguments_text(line, "state-out"), STATE_KINDS));
    }
    NEED(loaded_model(&main, line));
    const size_t own = lstm_model_output_count(main.model) -
                       (main.states.out ? main.states.layers[0] + main.states.layers[1] : 0);
    NEED(arrays_check_output(path, own));
    NEED(loaded_arrays(&main, line, NULL, TARGET_VALUES));
    NEED(outputs_allocate(&result, main.model, &main.set));
    CHECK(lstm_predict_outputs(main.model, &main.set.data, result.values, result.counts,
                               result.count),
          NULL);
    if (main.time_first) {
        NEED(turn_outputs(&result));
    }
    NEED(states_write(&main.states, main.context, line, result.values + own, main.set.samples));
    if (named_output_count(&main.ports) > 0) {
        NEED(write_named(&main, &result, path));
    } else {
        NEED(arrays_write(main.context, path, result.arrays, own));
    }
    message_note("wrote %s: %lld samples", path, (long long)main.set.samples);
out:
    outputs_release(&result);
    loaded_release(&main);
    return code;
}

static const option_spec options_of_predict[] = {
    {.name = "x",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "input array, one for each input of the model, in its order, or NAME=FILE; of "
             "an ONNX model in its own shapes"},
    OPTION_LENGTHS,
    OPTION_MASK,
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "the outputs: .npz or .safetensors with y0, y1, ...; .npy or .csv for one output"},
    OPTION_STATE_IN,
    {.name = "state-out",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .help = "the last states: hn (layers, samples, units), and cn of LSTM layers"},
    OPTION_NETWORK,
    OPTION_BATCH_FIRST,
    OPTION_ACTIVATION,
    {.name = NULL}};

const command command_predict = {
    .name = "predict",
    .group = COMMAND_GROUP_MODELS,
    .summary = "run a model on arrays",
    .synopsis = "MODEL --x X.npy -o Y.npy",
    .examples = "lstm predict model.lstm --x x.npy -o y.npy\n"
                "lstm predict model.lstm --x words.npy --x tags.npy -o outputs.npz\n"
                "lstm predict model.onnx --x X=x.npy --x h0=h0.npy -o outputs.npz",
    .options = options_of_predict,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_predict,
};
