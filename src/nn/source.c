/* SPDX-License-Identifier: MIT
 * Reading batches from a caller's source. A buffer knows for which samples it was filled, so what
 * was read ahead is used only if it is what is asked for (it is not after a resume, or when an epoch
 * ends).
 */
#include "source.h"
#include "batch_order.h"
#include "checked.h"
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Opening and closing */

static lstm_status read_own(lstm__source *s, const lstm_source *own)
{
    lstm_source *o = &s->own;
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, own, "lstm_source"));
    RETURN_IF_ERROR(lstm__read_flag(&o->prefetch, LSTM_NO, "prefetch"));
    if (!o->read)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "source.read is NULL");
    if (o->samples < 1 || (uint64_t)o->samples > SIZE_MAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "source.samples is %lld: expected at least 1",
                          (long long)o->samples);
    if (o->steps < 0 || o->steps > INT32_MAX || o->label_steps < 0 || o->label_steps > INT32_MAX)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "source.steps is %lld, label_steps %lld: expected 0 to %d",
                          (long long)o->steps, (long long)o->label_steps, INT32_MAX);
    return LSTM_OK;
}

/* Inputs of the model: how many, the first sequence, and whether the steps of free ones are given. */
static lstm_status look_at_inputs(lstm__source *s)
{
    for (size_t k = 0; k < s->model->node_count; k++) {
        const lstm__node *node = s->model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        s->input_count++;
        if (node->shapes[0].steps != 0 && !s->sequence)
            s->sequence = node;
        if (node->shapes[0].steps < 0 && s->own.steps == 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "source.steps is 0, but the number of steps of input \"%s\" is free",
                              node->name);
        if (node->shapes[0].steps < 0)
            s->steps = (size_t)s->own.steps;
    }
    if (s->sequence)
        s->longest = (int32_t)(s->sequence->shapes[0].steps < 0 ? s->own.steps
                                                                : s->sequence->shapes[0].steps);
    if (lstm__loss_takes_labels(s->loss) && s->own.label_steps == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "source.label_steps is 0: CTC needs room for labels");
    return LSTM_OK;
}

static lstm_status allocate(const lstm__source *s, void *array, size_t count, size_t each,
                            size_t size)
{
    size_t values = 0;
    void *memory = NULL;
    if (lstm__mul(count, each, &values))
        memory = lstm__allocate_array(s->model->context, values > 0 ? values : 1, size);
    if (!memory)
        return lstm__fail_memory(values * size, "a batch of a source");
    memcpy(array, &memory, sizeof memory);
    return LSTM_OK;
}

/* Values of one sample of a shape. */
static size_t sample_size(const lstm__source *s, lstm__shape shape)
{
    const lstm__batch batch = {.steps = s->steps};
    return lstm__batch_steps(&batch, shape) * (size_t)shape.features;
}

static lstm_status allocate_targets(const lstm__source *s, lstm__source_buffer *b)
{
    const lstm_model *model = s->model;
    RETURN_IF_ERROR(allocate(s, &b->targets, model->output_count, 1, sizeof *b->targets));
    memset(b->targets, 0, model->output_count * sizeof *b->targets);
    for (size_t k = 0; k < model->output_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        lstm__shape shape = layer->node->shapes[layer->port];
        shape.features = (int64_t)lstm__loss_target_features(s->loss, (size_t)shape.features);
        RETURN_IF_ERROR(
            allocate(s, &b->targets[k], s->largest, sample_size(s, shape), sizeof **b->targets));
    }
    return LSTM_OK;
}

static lstm_status allocate_buffer(const lstm__source *s, lstm__source_buffer *b)
{
    const lstm_model *model = s->model;
    RETURN_IF_ERROR(allocate(s, &b->samples, s->largest, 1, sizeof *b->samples));
    RETURN_IF_ERROR(allocate(s, &b->rows, s->largest, 1, sizeof *b->rows));
    RETURN_IF_ERROR(allocate(s, &b->ends, s->largest, 1, sizeof *b->ends));
    RETURN_IF_ERROR(allocate(s, &b->weights, s->largest, 1, sizeof *b->weights));
    RETURN_IF_ERROR(allocate(s, &b->lengths, s->largest, 1, sizeof *b->lengths));
    RETURN_IF_ERROR(allocate(s, &b->inputs, s->input_count, 1, sizeof *b->inputs));
    memset(b->inputs, 0, s->input_count * sizeof *b->inputs);
    for (size_t k = 0, input = 0; k < model->node_count; k++)
        if (model->nodes[k]->class == &lstm__class_input) {
            RETURN_IF_ERROR(allocate(s, &b->inputs[input], s->largest,
                                     sample_size(s, model->nodes[k]->shapes[0]),
                                     sizeof **b->inputs));
            input++;
        }
    if (lstm__loss_takes_labels(s->loss))
        return allocate(s, &b->labels, s->largest, (size_t)s->own.label_steps, sizeof *b->labels);
    return allocate_targets(s, b);
}

lstm_status lstm__source_open(lstm__source **out, const lstm_model *model, const lstm__loss *loss,
                              const lstm_source *own, size_t largest)
{
    lstm_status status = LSTM_OK;
    lstm__source *s = lstm__allocate_zeroed(model->context, sizeof *s);
    *out = NULL;
    if (!s)
        return lstm__fail_memory(sizeof *s, "a source");
    s->model = model;
    s->loss = loss;
    TRY(lstm__loss_check_outputs(model, loss));
    TRY(read_own(s, own));
    s->largest = (uint64_t)s->own.samples < largest ? (size_t)s->own.samples : largest;
    TRY(look_at_inputs(s));
    for (int k = 0; k < (s->own.prefetch == LSTM_YES ? 2 : 1); k++)
        TRY(allocate_buffer(s, &s->buffers[k]));
    if (s->own.prefetch == LSTM_YES)
        TRY(lstm__background_create(&s->reader, model->context));
    *out = s;
out:
    if (status != LSTM_OK)
        lstm__source_close(s);
    return status;
}

void lstm__source_close(lstm__source *source)
{
    if (!source)
        return;
    lstm_context *context = source->model->context;
    lstm__background_destroy(source->reader, context);
    for (int k = 0; k < 2; k++) {
        const lstm__source_buffer *b = &source->buffers[k];
        for (size_t i = 0; b->inputs && i < source->input_count; i++)
            lstm__release(context, b->inputs[i]);
        for (size_t i = 0; b->targets && i < source->model->output_count; i++)
            lstm__release(context, b->targets[i]);
        lstm__release(context, b->inputs);
        lstm__release(context, b->targets);
        lstm__release(context, b->samples);
        lstm__release(context, b->rows);
        lstm__release(context, b->ends);
        lstm__release(context, b->lengths);
        lstm__release(context, b->labels);
        lstm__release(context, b->weights);
    }
    lstm__release(context, source);
}

lstm__batch lstm__source_whole(const lstm__source *source)
{
    return (lstm__batch){.layout = LSTM_LAYOUT_BATCH_FIRST,
                         .samples = (size_t)source->own.samples,
                         .steps = source->steps,
                         .count = (size_t)source->own.samples};
}

/* ---- Reading */

/* What the caller may leave as it is. */
static void set_defaults(const lstm__source *s, const lstm__source_buffer *b)
{
    for (size_t k = 0; k < b->count; k++) {
        b->rows[k] = k;
        b->weights[k] = 1;
        b->lengths[k] = s->longest;
    }
    for (size_t k = 0; b->labels && k < b->count * (size_t)s->own.label_steps; k++)
        b->labels[k] = -1;
}

/* Let the caller fill b for b->samples. Runs on either thread. */
static void fill(lstm__source *s, lstm__source_buffer *b)
{
    set_defaults(s, b);
    const lstm_batch wanted = {
        .struct_size = sizeof wanted,
        .count = (int64_t)b->count,
        .samples = b->samples,
        .inputs = b->inputs,
        .targets = b->targets,
        .lengths = s->sequence ? b->lengths : NULL,
        .sample_weights = b->weights,
        .labels = b->labels,
    };
    lstm__fail(LSTM_ERROR_IO, "source.read did not say why");
    b->status = s->own.read(s->own.user, &wanted);
    if (b->status != LSTM_OK)
        snprintf(b->text, sizeof b->text, "%s", lstm_last_error());
}

static void fill_ahead(void *of)
{
    lstm__source *s = of;
    fill(s, s->ahead);
}

static lstm_status check_numbers(const lstm__source *s, const lstm__source_buffer *b)
{
    double sum = 0;
    for (size_t k = 0; k < b->count; k++) {
        if (s->sequence && (b->lengths[k] < 0 || b->lengths[k] > s->longest))
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "input \"%s\": the length of sample %lld is %d: expected 0 to %d steps",
                s->sequence->name, (long long)b->samples[k], (int)b->lengths[k], (int)s->longest);
        if (s->own.lengths && b->lengths[k] != s->own.lengths[b->samples[k]])
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "source.read gives sample %lld a length of %d, source.lengths says %d",
                (long long)b->samples[k], (int)b->lengths[k], (int)s->own.lengths[b->samples[k]]);
        if (!(b->weights[k] >= 0) || isinf(b->weights[k]))
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "the weight of sample %lld is %g: expected a finite number of at least 0",
                (long long)b->samples[k], (double)b->weights[k]);
        sum += (double)b->weights[k];
    }
    if (sum == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the weights of all %zu samples of a batch are 0: nothing would count",
                          b->count);
    return LSTM_OK;
}

/* The checks that arrays get: token numbers, classes, labels. */
static lstm_status check(const lstm__source *s, const lstm__source_buffer *b)
{
    RETURN_IF_ERROR(check_numbers(s, b));
    RETURN_IF_ERROR(lstm__check_arrays(s->model, &b->batch));
    RETURN_IF_ERROR(lstm__loss_check_targets(s->model, s->loss, &b->batch));
    RETURN_IF_ERROR(lstm__loss_check_alignment(s->model, s->loss, &b->batch));
    if (s->trains && s->class_weights)
        return lstm__loss_check_class_weights(s->model, s->loss, &b->batch, s->class_weight_count);
    return LSTM_OK;
}

/* Whether all lengths are those of the whole: the batch then has none, as arrays without lengths. */
static bool all_whole(const lstm__source *s, const lstm__source_buffer *b)
{
    for (size_t k = 0; k < b->count; k++)
        if (b->lengths[k] != s->longest)
            return false;
    return true;
}

static void make_batch(const lstm__source *s, lstm__source_buffer *b)
{
    b->batch = (lstm__batch){
        .layout = LSTM_LAYOUT_BATCH_FIRST,
        .samples = b->count,
        .steps = s->steps,
        .inputs = (const float *const *)b->inputs,
        .targets = (const float *const *)b->targets,
        .weights = b->weights,
        .class_weights = s->trains ? s->class_weights : NULL,
        .lengths = all_whole(s, b) ? NULL : b->lengths,
        .count = b->count,
        .labels = b->labels,
        .label_steps = (size_t)s->own.label_steps,
    };
}

static void ask(lstm__source_buffer *b, const uint64_t *order, size_t first, size_t count)
{
    b->count = count;
    for (size_t k = 0; k < count; k++)
        b->samples[k] = order ? (int64_t)order[first + k] : (int64_t)(first + k);
}

static bool holds(const lstm__source_buffer *b, const uint64_t *order, size_t first, size_t count)
{
    if (b->count != count)
        return false;
    for (size_t k = 0; k < count; k++)
        if (b->samples[k] != (order ? (int64_t)order[first + k] : (int64_t)(first + k)))
            return false;
    return true;
}

lstm_status lstm__source_read(lstm__source *source, const uint64_t *order, size_t first,
                              size_t count, size_t next_count, lstm__batch *batch)
{
    lstm__source_buffer *b = &source->buffers[0];
    if (source->reader) {
        lstm__background_wait(source->reader);
        b = source->ahead ? source->ahead : b;
    }
    if (!source->reader || !source->ahead || !holds(b, order, first, count)) {
        ask(b, order, first, count);
        fill(source, b);
    }
    if (b->status != LSTM_OK)
        return lstm__fail(b->status, "the batch that begins with sample %lld: %s",
                          (long long)b->samples[0], b->text);
    make_batch(source, b);
    const lstm_status status = check(source, b);
    if (status != LSTM_OK)
        return lstm__prefix_error(status, "the batch that begins with sample %lld",
                                  (long long)b->samples[0]);
    b->batch.order = b->rows;
    if (source->sorts)
        lstm__batch_sort(source->model, &b->batch, b->rows, b->ends);
    *batch = b->batch;
    if (source->reader && next_count > 0) {
        source->ahead = &source->buffers[b == &source->buffers[0]];
        ask(source->ahead, order, first + count, next_count);
        lstm__background_begin(source->reader, fill_ahead, source);
    } else {
        source->ahead = NULL;
    }
    return LSTM_OK;
}
