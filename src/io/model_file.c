/* SPDX-License-Identifier: MIT
 * Model files. Texts: "lstm.model" (the description), "lstm.metadata" (a JSON object of the notes).
 * Tensors: the parameters under their public names and shapes, scalers as F64, and the self-test:
 * an input for every input and what the network makes of it. On loading the network runs on that
 * input; a description that does not fit its weights is refused.
 */
#include "model_file.h"
#include "checkpoint_file.h"
#include "fill_parameter.h"
#include "hdf5.h"
#include "keras_file.h"
#include "model_extras.h"
#include "model_json.h"
#include "onnx_file.h"
#include "onnx_graph.h"
#include "random.h"
#include "sealed_file.h"
#include "session.h"
#include "torch_layers.h"
#include "zip_archive.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {"lstm.model", "lstm.metadata", NULL};

enum { TEST_BATCH = 2, TEST_STEPS = 4, STREAM_TEST = 4 };
#define TEST_TOLERANCE 1e-3

/* ---- Self-test: inputs are drawn from a fixed stream, so only outputs are stored */

typedef struct test {
    lstm_context *context;
    const lstm_model *model;
    size_t input_count;
    const float **inputs;
    float *block; /* inputs */
    float **outputs;
    size_t *sizes; /* of outputs */
    float *results;
    float *expected; /* of a file; laid out like results */
} test;

static size_t sample_rows(lstm__shape shape)
{
    return shape.steps == 0 ? 1 : shape.steps < 0 ? TEST_STEPS : (size_t)shape.steps;
}

static size_t values_of(lstm__shape shape)
{
    return TEST_BATCH * sample_rows(shape) * (size_t)shape.features;
}

static void test_end(test *t)
{
    lstm__release(t->context, t->inputs);
    lstm__release(t->context, t->block);
    lstm__release(t->context, t->outputs);
    lstm__release(t->context, t->sizes);
    lstm__release(t->context, t->results);
    lstm__release(t->context, t->expected);
}

static lstm_status test_start(test *t, const lstm_model *model)
{
    size_t total = 0;
    size_t results = 0;
    *t = (test){.context = model->context, .model = model};
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input) {
            t->input_count++;
            total += values_of(model->nodes[k]->shapes[0]);
        }
    for (size_t k = 0; k < model->output_count; k++)
        results += values_of(model->outputs[k]->node->shapes[model->outputs[k]->port]);
    t->inputs = lstm__allocate_array(t->context, t->input_count, sizeof *t->inputs);
    t->block = lstm__allocate_array(t->context, total, sizeof *t->block);
    t->outputs = lstm__allocate_array(t->context, model->output_count, sizeof *t->outputs);
    t->sizes = lstm__allocate_array(t->context, model->output_count, sizeof *t->sizes);
    t->results = lstm__allocate_array(t->context, results, sizeof *t->results);
    if (!t->inputs || !t->block || !t->outputs || !t->sizes || !t->results)
        return lstm__fail_memory((total + results) * sizeof(float), "the self-test");
    for (size_t k = 0; k < total; k++)
        t->block[k] = (float)(2 * lstm__random_uniform(0, STREAM_TEST, k) - 1);
    float *next = t->block;
    for (size_t k = 0, input = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input) {
            t->inputs[input++] = next;
            next += values_of(model->nodes[k]->shapes[0]);
        }
    next = t->results;
    for (size_t k = 0; k < model->output_count; k++) {
        t->outputs[k] = next;
        t->sizes[k] = values_of(model->outputs[k]->node->shapes[model->outputs[k]->port]);
        next += t->sizes[k];
    }
    return LSTM_OK;
}

static lstm_status test_run(test *t)
{
    lstm_session *session = NULL;
    const lstm__batch batch = {.layout = LSTM_LAYOUT_BATCH_FIRST,
                               .samples = TEST_BATCH,
                               .steps = TEST_STEPS,
                               .inputs = t->inputs,
                               .count = TEST_BATCH};
    RETURN_IF_ERROR(lstm__session_create_as(
        &session, (lstm_model *)(uintptr_t)t->model,
        &(lstm__session_wish){.batch = TEST_BATCH, .steps = TEST_STEPS, .retires = true}));
    lstm__session_forward(session, &batch);
    for (size_t k = 0; k < t->model->output_count; k++) {
        const lstm_layer *layer = t->model->outputs[k];
        lstm__session_export(session, layer->node->shapes[layer->port],
                             lstm__session_port(session, layer)->value, LSTM_LAYOUT_BATCH_FIRST,
                             t->outputs[k]);
    }
    lstm__session_retire(session);
    return LSTM_OK;
}

/* ---- Saving */

bool lstm__model_is_note(const char *text)
{
    json_t *note = json_string(text);
    const bool valid = note != NULL;
    json_decref(note);
    return valid;
}

static lstm_status seal_parameters(lstm__seal *seal, const lstm_model *model, float *values)
{
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *p = &model->parameters[k];
        const size_t count = lstm__parameter_size(p);
        lstm__parameter_read(p, model->values, values);
        RETURN_IF_ERROR(lstm__seal_tensor(seal, p->name, LSTM__F32, p->rank, p->shape, values));
        values += count;
    }
    return LSTM_OK;
}

lstm_status lstm__model_save(const lstm_model *model, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__seal seal = {NULL, 0};
    test t = {.context = model->context};
    char *description = NULL;
    char *notes = NULL;
    float *values = lstm__allocate_array(model->context, model->value_count, sizeof *values);
    if (!values) {
        status = lstm__fail_memory(model->value_count * sizeof *values,
                                   "the parameters of the file");
        goto out;
    }
    TRY(lstm__model_to_json(model, &description));
    TRY(lstm__notes_to_text(model, &notes));
    TRY(lstm__seal_start(&seal, model->context, "model"));
    TRY(lstm__seal_text(&seal, texts[0], description));
    TRY(lstm__seal_text(&seal, texts[1], notes));
    TRY(seal_parameters(&seal, model, values));
    TRY(lstm__scalers_seal(&seal, model));
    TRY(test_start(&t, model));
    TRY(test_run(&t));
    for (size_t k = 0; k < model->output_count; k++) {
        char name[48];
        const int64_t shape[1] = {(int64_t)t.sizes[k]};
        snprintf(name, sizeof name, "selftest.output.%zu", k);
        TRY(lstm__seal_tensor(&seal, name, LSTM__F32, 1, shape, t.outputs[k]));
    }
    TRY(lstm__seal_write(&seal, path));
out:
    lstm__seal_destroy(&seal);
    test_end(&t);
    free(notes);
    lstm__release(model->context, description);
    lstm__release(model->context, values);
    return status;
}

/* ---- Loading */

/* The elements of each parameter into a block laid out like the model's values. */
static lstm_status load_parameters(const lstm_model *model, const lstm__safetensors *file,
                                   real *block)
{
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *p = &model->parameters[k];
        const lstm__tensor *t = NULL;
        size_t bad = 0;
        RETURN_IF_ERROR(lstm__safetensors_need(file, p->name, &t));
        RETURN_IF_ERROR(lstm__tensor_check(t, lstm__parameter_size(p)));
        const lstm__elements elements = lstm__tensor_elements(t);
        RETURN_IF_ERROR(lstm__fill_parameter(p, &elements, block, &bad));
        if (bad < t->count)
            return lstm__fail(LSTM_ERROR_NUMERIC, "%s: parameter \"%s\": value %zu is not finite",
                              lstm__safetensors_path(file), p->name, bad);
    }
    return LSTM_OK;
}

/* What the self-test is to give, out of the file. */
static lstm_status load_self_test(test *t, const lstm__safetensors *file)
{
    size_t total = 0;
    for (size_t k = 0; k < t->model->output_count; k++)
        total += t->sizes[k];
    t->expected = lstm__allocate_array(t->context, total, sizeof *t->expected);
    if (!t->expected)
        return lstm__fail_memory(total * sizeof *t->expected, "the self-test");
    float *next = t->expected;
    for (size_t k = 0; k < t->model->output_count; next += t->sizes[k++]) {
        char name[48];
        const lstm__tensor *stored = NULL;
        snprintf(name, sizeof name, "selftest.output.%zu", k);
        RETURN_IF_ERROR(lstm__safetensors_need(file, name, &stored));
        RETURN_IF_ERROR(lstm__tensor_floats(stored, next, t->sizes[k]));
    }
    return LSTM_OK;
}

static lstm_status run_self_test(test *t, const char *path)
{
    RETURN_IF_ERROR(test_run(t));
    const float *expected = t->expected;
    for (size_t k = 0; k < t->model->output_count; expected += t->sizes[k++]) {
        float largest = 1;
        for (size_t v = 0; v < t->sizes[k]; v++)
            largest = fmaxf(largest, fabsf(expected[v]));
        for (size_t v = 0; v < t->sizes[k]; v++)
            if (!(fabsf(t->outputs[k][v] - expected[v]) <= (float)TEST_TOLERANCE * largest))
                return lstm__fail(
                    LSTM_ERROR_NUMERIC,
                    "%s: self-test: output %zu, value %zu is %g: expected %g as stored in the file",
                    path, k, v, (double)t->outputs[k][v], (double)expected[v]);
    }
    return LSTM_OK;
}

/* Every tensor of the file must have been used: names that belong to no part are an error. */
static lstm_status check_unused(const lstm_model *model, const lstm__safetensors *file)
{
    for (size_t k = 0; k < lstm__safetensors_count(file); k++) {
        const char *name = lstm__safetensors_get(file, k)->name;
        if (lstm__graph_find_parameter(model, name) == model->parameter_count &&
            strncmp(name, "scaler.", 7) != 0 && strncmp(name, "selftest.", 9) != 0)
            return lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: tensor \"%.100s\" belongs to no layer of the model",
                              lstm__safetensors_path(file), name);
    }
    return LSTM_OK;
}

/* A state dict of PyTorch in safetensors. */
static lstm_status load_state_dict(lstm_model **out, lstm_context *context,
                                   const lstm__safetensors *file)
{
    lstm__torch_file tensors;
    RETURN_IF_ERROR(lstm__torch_open_safetensors(&tensors, file));
    const lstm_status status = lstm__torch_model(out, context, &tensors);
    lstm__torch_close(&tensors);
    return status;
}

/* A file of torch.save: a new model, or into the one that is there. */
static lstm_status load_torch(lstm_model **out, lstm_context *context, lstm_model *into,
                              const lstm__file *file)
{
    lstm__torch_file tensors;
    RETURN_IF_ERROR(lstm__torch_open(&tensors, file));
    const lstm_status status = into ? lstm__torch_fill(into, &tensors, false)
                                    : lstm__torch_model(out, context, &tensors);
    lstm__torch_close(&tensors);
    return status;
}

static lstm_status load_sealed(lstm_model **out, lstm_context *context, lstm__file *opened)
{
    lstm_status status = LSTM_OK;
    lstm__safetensors *file = NULL;
    lstm_model *model = NULL;
    test t = {.context = context};
    const size_t most_values = opened->size;
    TRY(lstm__safetensors_parse(&file, opened));
    if (!lstm__safetensors_metadata(file, "lstm.format") && lstm__torch_names(file)) {
        status = load_state_dict(out, context, file);
        goto out;
    }
    if (lstm__seal_is(file, "checkpoint")) {
        status = lstm__checkpoint_model(out, context, file, most_values);
        goto out;
    }
    TRY(lstm__seal_check(file, "model", texts));
    const char *description = lstm__safetensors_metadata(file, texts[0]);
    status = lstm__model_from_json_of_file(&model, context, description, strlen(description),
                                           most_values, 0);
    if (status != LSTM_OK) {
        lstm__prefix_error(status, "%s", lstm__safetensors_path(file));
        goto out;
    }
    TRY(load_parameters(model, file, model->values));
    lstm__graph_changed(model);
    TRY(lstm__scalers_load(model, file));
    TRY(lstm__notes_load(model, lstm__safetensors_metadata(file, texts[1]),
                         lstm__safetensors_path(file)));
    TRY(check_unused(model, file));
    TRY(test_start(&t, model));
    TRY(load_self_test(&t, file));
    lstm__safetensors_drop_data(file); /* the packed weights of the self-test take its place */
    TRY(run_self_test(&t, lstm__safetensors_path(file)));
    *out = model;
    model = NULL;
out:
    test_end(&t);
    lstm__graph_release(model);
    lstm__safetensors_close(file);
    return status;
}

/* What a file that we do not read is, by its first bytes. */
static const char *foreign_format(const unsigned char *bytes, size_t size)
{
    if (size >= 6 && memcmp(bytes, "\223NUMPY", 6) == 0)
        return "a NumPy array";
    return NULL;
}

/* Plain safetensors: the parameters under their names, and nothing else but scalers and self-tests.
 */
static lstm_status load_named(lstm_model *model, lstm__file *opened)
{
    lstm_status status = LSTM_OK;
    lstm__safetensors *file = NULL;
    real *block = NULL;
    TRY(lstm__safetensors_parse(&file, opened));
    if (!lstm__safetensors_metadata(file, "lstm.format") && model->profile == LSTM_PROFILE_TORCH) {
        lstm__torch_file tensors;
        TRY(lstm__torch_open_safetensors(&tensors, file));
        status = lstm__torch_fill(model, &tensors, false);
        lstm__torch_close(&tensors);
        goto out;
    }
    TRY(check_unused(model, file));
    block = lstm__allocate_zeroed(model->context, model->value_count * sizeof *block);
    if (!block) {
        status = lstm__fail_memory(model->value_count * sizeof *block, "the parameters");
        goto out;
    }
    TRY(load_parameters(model, file, block));
    memcpy(model->values, block, model->value_count * sizeof *block);
    lstm__graph_changed(model);
out:
    lstm__safetensors_close(file);
    lstm__release(model->context, block);
    return status;
}

lstm_status lstm__model_load_weights(lstm_model *model, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__file file = {0};
    RETURN_IF_ERROR(lstm__file_open(&file, model->context, path));
    bool is_torch = false;
    status = lstm__torch_is_zip(&file, &is_torch);
    if (status != LSTM_OK)
        goto out;
    if (lstm__is_safetensors(file.bytes, file.size))
        status = load_named(model, &file);
    else if (is_torch || lstm__is_pickle(file.bytes, file.size))
        status = load_torch(NULL, NULL, model, &file);
    else if (lstm__is_zip(file.bytes, file.size) || lstm__is_hdf5(file.bytes, file.size))
        status = lstm__keras_load_weights(model, &file);
    else
        status = lstm__fail(LSTM_ERROR_FORMAT,
                            "%s: neither safetensors nor a file of Keras or PyTorch", path);
out:
    lstm__file_close(&file);
    return status;
}

lstm_status lstm__model_load(lstm_model **out, lstm_context *context, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__file file = {0};
    lstm_context *held = lstm__context_acquire(context);
    *out = NULL;
    TRY(lstm__file_open(&file, held, path));
    /* first: the length of its header may look like anything */
    if (lstm__is_safetensors(file.bytes, file.size)) {
        status = load_sealed(out, context, &file);
        goto out;
    }
    bool is_torch = false;
    TRY(lstm__torch_is_zip(&file, &is_torch));
    if (is_torch || lstm__is_pickle(file.bytes, file.size)) {
        status = load_torch(out, context, NULL, &file);
        goto out;
    }
    if (lstm__is_zip(file.bytes, file.size) || lstm__is_hdf5(file.bytes, file.size)) {
        status = lstm__keras_load(out, held, &file);
        goto out;
    }
    if (lstm__is_onnx(file.bytes, file.size)) {
        status = lstm__onnx_load(out, held, &file);
        goto out;
    }
    size_t first = 0;
    while (first < file.size && strchr(" \t\r\n", file.bytes[first]) && file.bytes[first])
        first++;
    const char *foreign = foreign_format(file.bytes, file.size);
    if (foreign)
        FAIL(LSTM_ERROR_UNSUPPORTED,
             "%s: %s: this version reads liblstm's own model files, JSON "
             "descriptions, files of Keras and state dicts of PyTorch",
             path, foreign);
    if (first < file.size && file.bytes[first] == '{') {
        status = lstm__model_from_json(out, context, (const char *)file.bytes, file.size);
        if (status != LSTM_OK)
            lstm__prefix_error(status, "%s", path);
    } else {
        FAIL(LSTM_ERROR_FORMAT,
             "%s: neither a liblstm model file, nor a JSON description, nor a file of Keras or "
             "PyTorch",
             path);
    }
out:
    lstm__file_close(&file);
    lstm__context_release(held);
    return status;
}
