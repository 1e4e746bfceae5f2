/* SPDX-License-Identifier: MIT
 * Checks of lstm_data. Nothing is copied: the batch points at the caller's arrays.
 */
#include "data.h"
#include "checked.h"
#include "options.h"

#include <math.h>

size_t lstm__data_sample_size(lstm__shape shape, size_t steps)
{
    const int64_t sizes[2] = {shape.steps == 0  ? 1
                              : shape.steps < 0 ? (int64_t)steps
                                                : shape.steps,
                              shape.features};
    size_t size = 0;
    return lstm__product(sizes, 2, &size) ? size : SIZE_MAX;
}

lstm_status lstm__read_layout(int32_t *layout)
{
    if (*layout == 0)
        *layout = LSTM_LAYOUT_BATCH_FIRST;
    if (*layout != LSTM_LAYOUT_BATCH_FIRST && *layout != LSTM_LAYOUT_TIME_FIRST)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "layout is %d: expected LSTM_LAYOUT_BATCH_FIRST or LSTM_LAYOUT_TIME_FIRST",
            (int)*layout);
    return LSTM_OK;
}

static lstm_status check_count(const char *what, const lstm_layer *layer, size_t samples,
                               size_t each, size_t count)
{
    size_t expected = 0;
    if (!lstm__mul(samples, each, &expected) || expected != count)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%s \"%s\" has %zu values: expected %zu (%zu samples of %zu)", what,
                          layer->node->name, count, expected, samples, each);
    return LSTM_OK;
}

/* Steps of the free inputs, from the first of them. */
static lstm_status free_steps(const lstm_layer *layer, size_t samples, size_t count, size_t *steps)
{
    size_t row = 0;
    if (samples == 0)
        return LSTM_OK;
    if (!lstm__mul(samples, (size_t)layer->node->shapes[0].features, &row) || count == 0 ||
        count % row != 0)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "input \"%s\" has %zu values: expected a multiple of %zu (%zu samples of "
                          "any number of steps of %lld "
                          "features)",
                          layer->node->name, count, row, samples,
                          (long long)layer->node->shapes[0].features);
    *steps = count / row;
    return LSTM_OK;
}

static lstm_status read_inputs(lstm__data *read, const lstm_model *model)
{
    lstm_data *own = &read->own;
    const size_t samples = (size_t)own->samples;
    const bool many = own->inputs != NULL;
    const size_t given = many ? own->input_count : 1;
    size_t wanted = 0;
    bool found = false;
    for (size_t k = 0; k < model->node_count; k++)
        wanted += model->nodes[k]->class == &lstm__class_input;
    if (given != wanted)
        return lstm__fail(LSTM_ERROR_SHAPE, "%zu input array(s) given, the model has %zu input(s)",
                          given, wanted);
    if (many && !own->input_sizes)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "inputs is set but input_sizes is NULL");
    read->batch.inputs = many ? own->inputs : &own->x;
    const size_t *counts = many ? own->input_sizes : &own->x_count;
    for (size_t k = 0, input = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        if (!read->batch.inputs[input] && counts[input] > 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "the array of input \"%s\" is NULL", node->name);
        if (node->shapes[0].steps < 0 && !found) {
            RETURN_IF_ERROR(
                free_steps(&node->ports[0], samples, counts[input], &read->batch.steps));
            found = true;
        }
        RETURN_IF_ERROR(check_count("input", &node->ports[0], samples,
                                    lstm__data_sample_size(node->shapes[0], read->batch.steps),
                                    counts[input]));
        input++;
    }
    return LSTM_OK;
}

/* One input's lengths. */
static lstm_status check_lengths(const lstm__node *node, const int32_t *lengths, size_t samples,
                                 size_t steps)
{
    if (lengths && node->shapes[0].steps == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "input \"%s\" is a vector: it has no lengths",
                          node->name);
    for (size_t k = 0; lengths && k < samples; k++)
        if (lengths[k] < 0 || (size_t)lengths[k] > steps)
            return lstm__fail(
                LSTM_ERROR_ARGUMENT,
                "input \"%s\": the length of sample %zu is %d: expected 0 to %zu steps", node->name,
                k, (int)lengths[k], steps);
    return LSTM_OK;
}

/* Counts of the short forms. */
static lstm_status check_mask_counts(const lstm_data *own, const lstm__node *node, size_t steps)
{
    const size_t samples = (size_t)own->samples;
    if (own->lengths && own->lengths_count != samples)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%zu lengths given: expected one for each of the %zu samples",
                          own->lengths_count, samples);
    if (own->mask &&
        (steps > 0 && samples > SIZE_MAX / steps ? 0 : samples * steps) != own->mask_count)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "the mask of input \"%s\" has %zu values: expected %zu (%zu samples of %zu steps)",
            node->name, own->mask_count, samples * steps, samples, steps);
    return LSTM_OK;
}

static lstm_status read_masks(lstm__data *read, const lstm_model *model)
{
    const lstm_data *own = &read->own;
    bool first = true;
    if ((own->lengths && own->input_lengths) || (own->mask && own->input_masks))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s are both set: choose one",
                          own->lengths && own->input_lengths ? "lengths and input_lengths"
                                                             : "mask and input_masks");
    for (size_t k = 0, input = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        const size_t steps = node->shapes[0].steps < 0 ? read->batch.steps
                                                       : (size_t)node->shapes[0].steps;
        const int32_t *lengths = own->input_lengths ? own->input_lengths[input] : NULL;
        if (own->input_masks && own->input_masks[input] && node->shapes[0].steps == 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "input \"%s\" is a vector: it has no mask",
                              node->name);
        if (first && node->shapes[0].steps != 0) {
            RETURN_IF_ERROR(check_mask_counts(own, node, steps));
            lengths = own->lengths ? own->lengths : lengths;
            first = false;
        }
        RETURN_IF_ERROR(check_lengths(node, lengths, (size_t)own->samples, steps));
        input++;
    }
    if (first && (own->lengths || own->mask))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s given, but no input of the model is a sequence",
                          own->lengths ? "lengths" : "a mask");
    read->batch.lengths = own->lengths;
    read->batch.mask = own->mask;
    read->batch.lengths_of = own->input_lengths;
    read->batch.masks_of = own->input_masks;
    return LSTM_OK;
}

/* Label sequences instead of arrays of targets. */
static lstm_status read_labels(lstm__data *read)
{
    const lstm_data *own = &read->own;
    const size_t samples = (size_t)own->samples;
    if (!own->labels && samples > 0 && (own->labels_count > 0 || !own->label_lengths))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "labels is NULL: CTC needs the labels of each "
                                               "sample");
    if (samples > 0 && own->labels_count % samples != 0)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "labels has %zu values: expected as many for each of the %zu samples",
                          own->labels_count, samples);
    if (own->label_lengths && own->label_lengths_count != samples)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%zu label lengths given: expected one for each of the %zu samples",
                          own->label_lengths_count, samples);
    read->batch.labels = own->labels;
    read->batch.label_steps = samples > 0 ? own->labels_count / samples : 0;
    read->batch.label_lengths = own->label_lengths;
    return LSTM_OK;
}

static lstm_status read_targets(lstm__data *read, const lstm_model *model, const lstm__loss *loss)
{
    lstm_data *own = &read->own;
    const bool many = own->targets != NULL;
    const size_t given = many ? own->target_count : 1;
    if (!many && !own->y && own->samples > 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "y is NULL: a loss needs targets");
    if (given != model->output_count)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "%zu target array(s) given, the model has %zu output(s)", given,
                          model->output_count);
    if (many && !own->target_sizes)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "targets is set but target_sizes is NULL");
    read->batch.targets = many ? own->targets : &own->y;
    const size_t *counts = many ? own->target_sizes : &own->y_count;
    for (size_t k = 0; k < given; k++) {
        const lstm_layer *layer = model->outputs[k];
        lstm__shape shape = layer->node->shapes[layer->port];
        shape.features = (int64_t)lstm__loss_target_features(loss, (size_t)shape.features);
        if (!read->batch.targets[k] && own->samples > 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "the target of output \"%s\" is NULL",
                              layer->node->name);
        RETURN_IF_ERROR(check_count("target of output", layer, (size_t)own->samples,
                                    lstm__data_sample_size(shape, read->batch.steps), counts[k]));
    }
    return LSTM_OK;
}

/* Weights: one a sample, or one a step of each sample, for outputs that are sequences of that many
 * steps. */
static lstm_status read_weights(lstm__data *read, const lstm_model *model)
{
    const lstm_data *own = &read->own;
    const size_t samples = (size_t)own->samples;
    const size_t count = own->sample_weight_count;
    double sum = 0;
    if (!own->sample_weights && count == 0)
        return LSTM_OK;
    if (!own->sample_weights)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "sample_weight_count is %zu but sample_weights is NULL", count);
    read->batch.weights_per_step = count != samples;
    for (size_t k = 0; count != samples && k < model->output_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        const lstm__shape shape = {layer->node->shapes[layer->port].steps, 1};
        const size_t steps = lstm__data_sample_size(shape, read->batch.steps);
        size_t expected = 0;
        if (shape.steps == 0 || !lstm__mul(samples, steps, &expected) || count != expected)
            return lstm__fail(LSTM_ERROR_SHAPE,
                              "%zu sample weights given: output \"%s\" takes %zu%s", count,
                              layer->node->name, samples,
                              shape.steps == 0 ? "" : ", or as many for each of its steps");
    }
    for (size_t k = 0; k < count; k++) {
        if (!(own->sample_weights[k] >= 0) || isinf(own->sample_weights[k]))
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "sample weight %zu is %g: expected a finite number of at least 0", k,
                              (double)own->sample_weights[k]);
        sum += (double)own->sample_weights[k];
    }
    if (samples > 0 && sum == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "all %zu sample weights are 0: nothing would count",
                          count);
    read->batch.weights = own->sample_weights;
    return LSTM_OK;
}

lstm_status lstm__data_read(lstm__data *read, const lstm_model *model, const lstm_data *data,
                            const lstm__loss *loss)
{
    if (!data)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "data is NULL");
    RETURN_IF_ERROR(lstm__read_options(&read->own, sizeof read->own, data, "lstm_data"));
    lstm_data *own = &read->own;
    RETURN_IF_ERROR(lstm__read_layout(&own->layout));
    if (own->samples < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "samples is %lld: expected 0 or more",
                          (long long)own->samples);
    read->batch = (lstm__batch){
        .layout = own->layout, .samples = (size_t)own->samples, .count = (size_t)own->samples};
    RETURN_IF_ERROR(read_inputs(read, model));
    RETURN_IF_ERROR(read_masks(read, model));
    RETURN_IF_ERROR(lstm__check_arrays(model, &read->batch));
    if (!loss)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__loss_check_outputs(model, loss));
    if (lstm__loss_takes_labels(loss))
        RETURN_IF_ERROR(read_labels(read));
    else
        RETURN_IF_ERROR(read_targets(read, model, loss));
    RETURN_IF_ERROR(read_weights(read, model));
    return lstm__loss_check_targets(model, loss, &read->batch);
}
