/* SPDX-License-Identifier: MIT
 * lstm_files: .npy files as a source of training data; shapes are checked against the model when
 * they are opened.
 */
#include "array_file.h"
#include "checked.h"
#include "losses.h"
#include "need.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

struct lstm_files {
    lstm_context *context;
    lstm__array_file *files; /* inputs, then targets */
    size_t input_count, count;
    int32_t *lengths; /* NULL = none */
    lstm_source source;
};

static lstm_status read_rows(void *user, const lstm_batch *batch)
{
    lstm_files *files = user;
    for (size_t k = 0; k < files->count; k++) {
        float *values = k < files->input_count ? batch->inputs[k]
                                               : batch->targets[k - files->input_count];
        RETURN_IF_ERROR(
            lstm__array_file_read(&files->files[k], batch->samples, (size_t)batch->count, values));
    }
    for (int64_t k = 0; files->lengths && k < batch->count; k++)
        batch->lengths[k] = files->lengths[batch->samples[k]];
    return LSTM_OK;
}

static lstm_status fail_shape(const lstm__array_file *file, const char *what,
                              const lstm_layer *layer, int64_t steps, int64_t features)
{
    char found[128] = "", wanted[64];
    for (int32_t k = 0, at = 0; k < file->npy.rank && at < (int)sizeof found - 24; k++)
        at += snprintf(found + at, sizeof found - (size_t)at, k ? ", %lld" : "%lld",
                       (long long)file->npy.shape[k]);
    if (steps == 0)
        snprintf(wanted, sizeof wanted, "(samples, %lld)", (long long)features);
    else if (steps < 0)
        snprintf(wanted, sizeof wanted, "(samples, steps, %lld)", (long long)features);
    else
        snprintf(wanted, sizeof wanted, "(samples, %lld, %lld)", (long long)steps,
                 (long long)features);
    return lstm__fail(LSTM_ERROR_SHAPE, "%s: shape (%s), %s \"%s\" takes %s", file->name, found,
                      what, layer->node->name, wanted);
}

/* One row must be steps * features values; free steps are taken from the first such file. */
static lstm_status check_shape(lstm_files *files, const lstm__array_file *file, const char *what,
                               const lstm_layer *layer, lstm__shape shape)
{
    const size_t features = (size_t)shape.features;
    if (shape.steps < 0 && files->source.steps == 0 && features > 0 && file->row > 0 &&
        file->row % features == 0)
        files->source.steps = (int64_t)(file->row / features);
    const int64_t sizes[2] = {shape.steps < 0    ? files->source.steps
                              : shape.steps == 0 ? 1
                                                 : shape.steps,
                              shape.features};
    size_t row = 0;
    if (!lstm__product(sizes, 2, &row) || row != file->row)
        return fail_shape(file, what, layer, shape.steps, shape.features);
    if (file->npy.shape[0] != files->files[0].npy.shape[0])
        return lstm__fail(LSTM_ERROR_SHAPE, "%s has %lld samples, %s has %lld", file->name,
                          (long long)file->npy.shape[0], files->files[0].name,
                          (long long)files->files[0].npy.shape[0]);
    return LSTM_OK;
}

static lstm_status check_shapes(lstm_files *files, const lstm_model *model, const lstm__loss *loss)
{
    size_t at = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class == &lstm__class_input) {
            RETURN_IF_ERROR(
                check_shape(files, &files->files[at], "input", &node->ports[0], node->shapes[0]));
            at++;
        }
    }
    for (size_t k = 0; k < model->output_count; k++, at++) {
        const lstm_layer *layer = model->outputs[k];
        lstm__shape shape = layer->node->shapes[layer->port];
        shape.features = (int64_t)lstm__loss_target_features(loss, (size_t)shape.features);
        RETURN_IF_ERROR(
            check_shape(files, &files->files[at], "the target of output", layer, shape));
    }
    files->source.samples = files->files[0].npy.shape[0];
    if (files->source.samples < 1)
        return lstm__fail(LSTM_ERROR_SHAPE, "%s has no samples", files->files[0].name);
    return LSTM_OK;
}

static lstm_status copy_lengths(lstm_files *files, const lstm_files_options *o)
{
    if (!o->lengths && o->lengths_count == 0)
        return LSTM_OK;
    if (!o->lengths || o->lengths_count != (size_t)files->source.samples)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%zu lengths given: expected one for each of the %lld "
                          "samples",
                          o->lengths ? o->lengths_count : 0, (long long)files->source.samples);
    files->lengths = lstm__allocate_array(files->context, o->lengths_count, sizeof *o->lengths);
    if (!files->lengths)
        return lstm__fail_memory(o->lengths_count * sizeof *o->lengths, "the lengths");
    memcpy(files->lengths, o->lengths, o->lengths_count * sizeof *o->lengths);
    files->source.lengths = files->lengths;
    return LSTM_OK;
}

static lstm_status check_counts(const lstm_model *model, const lstm_files_options *o)
{
    size_t inputs = 0;
    for (size_t k = 0; k < model->node_count; k++)
        inputs += model->nodes[k]->class == &lstm__class_input;
    if (o->input_count != inputs || o->target_count != model->output_count || !o->inputs ||
        !o->targets)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "%zu input file(s) and %zu target file(s): the model has %zu input(s) and "
            "%zu output(s)",
            o->inputs ? o->input_count : 0, o->targets ? o->target_count : 0, inputs,
            model->output_count);
    for (size_t k = 0; k < inputs + o->target_count; k++)
        if (!(k < inputs ? o->inputs[k] : o->targets[k - inputs]))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "path %zu of %s is NULL",
                              k < inputs ? k : k - inputs, k < inputs ? "inputs" : "targets");
    return LSTM_OK;
}

lstm_status lstm_files_open(lstm_files **out, lstm_model *model, const lstm_files_options *options)
{
    lstm_status status = LSTM_OK;
    lstm_files_options o;
    lstm__loss loss;
    lstm_files *files = NULL;
    NEED(out);
    *out = NULL;
    NEED(model);
    NEED_BUILT(model);
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_files_options"));
    NEED_ZERO(o.reserved);
    RETURN_IF_ERROR(lstm__loss_read(&loss, o.loss));
    if (lstm__loss_takes_labels(&loss))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "CTC from files: give lstm_fit a source of your own");
    RETURN_IF_ERROR(lstm__loss_check_outputs(model, &loss));
    RETURN_IF_ERROR(check_counts(model, &o));
    files = lstm__allocate_zeroed(model->context, sizeof *files);
    if (!files)
        return lstm__fail_memory(sizeof *files, "files of data");
    files->context = lstm__context_acquire(model->context);
    files->source = (lstm_source){.struct_size = sizeof files->source,
                                  .prefetch = LSTM_YES,
                                  .read = read_rows,
                                  .user = files};
    const size_t count = o.input_count + o.target_count;
    files->files = lstm__allocate_zeroed(files->context, count * sizeof *files->files);
    if (!files->files)
        FAIL(LSTM_ERROR_MEMORY, "no memory for %zu files of data", count);
    files->input_count = o.input_count;
    for (; files->count < count; files->count++)
        TRY(lstm__array_file_open(&files->files[files->count], files->context,
                                  files->count < o.input_count
                                      ? o.inputs[files->count]
                                      : o.targets[files->count - o.input_count]));
    TRY(check_shapes(files, model, &loss));
    TRY(copy_lengths(files, &o));
    *out = files;
    return LSTM_OK;
out:
    lstm_files_close(files);
    return status;
}

void lstm_files_close(lstm_files *files)
{
    if (!files)
        return;
    lstm_context *context = files->context;
    for (size_t k = 0; k < files->count; k++)
        lstm__array_file_close(&files->files[k]);
    lstm__release(context, files->files);
    lstm__release(context, files->lengths);
    lstm__release(context, files);
    lstm__context_release(context);
}

const lstm_source *lstm_files_source(const lstm_files *files)
{
    return files ? &files->source : NULL;
}
