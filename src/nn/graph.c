/* SPDX-License-Identifier: MIT
 * The model as a graph: adding nodes, building, parameters by name, notes and scalers.
 *
 * Nodes are kept in the order added. A node can only read nodes that exist, so that order is
 * topological and a cycle cannot be expressed. Building is two passes: declare (each class reserves
 * its parameters in one block) and initialise.
 */
#include "graph.h"
#include "checked.h"
#include "names.h"
#include "penalties.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN_VALUES = 16 }; /* parameters begin at multiples of 64 bytes */

lstm_status lstm__graph_create(lstm_model **out, lstm_context *context, int32_t profile,
                               uint64_t seed)
{
    lstm_context *owned = lstm__context_acquire(context);
    lstm_model *model = lstm__allocate_zeroed(owned, sizeof *model);
    if (!model) {
        lstm__context_release(owned);
        return lstm__fail_memory(sizeof *model, "a model");
    }
    atomic_init(&model->references, 1);
    atomic_init(&model->spare, NULL);
    model->context = owned;
    model->kernels = lstm__kernels_for(lstm__context_isa(owned));
    model->profile = profile;
    model->seed = seed;
    *out = model;
    return LSTM_OK;
}

void lstm__graph_acquire(lstm_model *model)
{
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
}

static void free_node(lstm_context *context, lstm__node *node)
{
    if (node) {
        if (node->options && node->class && node->class->release)
            node->class->release(node);
        lstm__release(context, node->options);
        lstm__release(context, node->inputs);
    }
    lstm__release(context, node);
}

void lstm__graph_release(lstm_model *model)
{
    if (!model || atomic_fetch_sub_explicit(&model->references, 1, memory_order_acq_rel) != 1)
        return;
    lstm_context *context = model->context;
    for (size_t k = 0; k < model->node_count; k++)
        free_node(context, model->nodes[k]);
    for (size_t k = 0; k < model->note_count; k++) {
        lstm__release(context, model->notes[k].key);
        lstm__release(context, model->notes[k].text);
    }
    lstm__release(context, model->scalers[0].offset);
    lstm__release(context, model->scalers[1].offset);
    lstm__release(context, model->notes);
    lstm__release(context, model->nodes);
    lstm__release(context, model->outputs);
    lstm__release(context, model->parameters);
    lstm__release(context, model->values);
    lstm__release(context, atomic_load(&model->spare));
    lstm__release(context, model);
    lstm__context_release(context);
}

lstm_layer *lstm__graph_find(const lstm_model *model, const char *name)
{
    for (size_t k = 0; k < model->node_count; k++)
        if (strcmp(model->nodes[k]->name, name) == 0)
            return &model->nodes[k]->ports[0];
    return NULL;
}

lstm_status lstm__check_arrays(const lstm_model *model, const lstm__batch *batch)
{
    for (size_t k = 0; k < model->node_count; k++)
        if (model->nodes[k]->class->check)
            RETURN_IF_ERROR(model->nodes[k]->class->check(model->nodes[k], batch));
    return LSTM_OK;
}

/* ---- Adding */

void lstm__graph_automatic_name(const lstm_model *model, const char *stem, char *name)
{
    size_t number = 0;
    for (size_t k = 0; k < model->node_count; k++)
        number += strcmp(model->nodes[k]->class->name_stem, stem) == 0;
    snprintf(name, LSTM__NAME_SIZE, "%s", stem);
    if (number > 0)
        snprintf(name, LSTM__NAME_SIZE, "%s_%zu", stem, number);
    while (lstm__graph_find(model, name))
        snprintf(name, LSTM__NAME_SIZE, "%s_%zu", stem, ++number);
}

static lstm_status set_name(const lstm_model *model, lstm__node *node, const char *name)
{
    if (!name) {
        lstm__graph_automatic_name(model, node->class->name_stem, node->name);
        return LSTM_OK;
    }
    const size_t length = strlen(name);
    if (length == 0 || length >= LSTM__NAME_SIZE)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "layer name of %zu bytes: expected 1 to %d", length,
                          LSTM__NAME_SIZE - 1);
    if (lstm__graph_find(model, name))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "layer name \"%s\" is taken: names are unique in a model", name);
    memcpy(node->name, name, length + 1);
    return LSTM_OK;
}

static lstm_status set_inputs(const lstm_model *model, lstm__node *node,
                              const lstm_layer *const *inputs, int count)
{
    const int least = node->class->least_inputs           ? node->class->least_inputs
                      : node->class == &lstm__class_input ? 0
                                                          : 1;
    const int most = node->class->most_inputs ? node->class->most_inputs : least;
    if (count < least || count > most)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT, "layer \"%s\" (%s) reads %d layers: expected %d%s%.0d", node->name,
            node->class->type, count, least, most > least ? " to " : "", most > least ? most : 0);
    node->inputs = lstm__allocate_array(model->context, (size_t)count, sizeof *node->inputs);
    if (!node->inputs)
        return lstm__fail_memory((size_t)count * sizeof *node->inputs, "a layer");
    for (int k = 0; k < count; k++) {
        const lstm_layer *input = inputs[k];
        if (!input && k == 0) {
            if (model->node_count == 0)
                return lstm__fail(LSTM_ERROR_ARGUMENT,
                                  "layer \"%s\" has nothing to read: add an input layer first",
                                  node->name);
            input = &model->nodes[model->node_count - 1]->ports[0];
        }
        if (!input || input->node->model != model)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "layer \"%s\" reads a layer of another model",
                              node->name);
        node->inputs[k] = input;
    }
    node->input_count = count;
    return LSTM_OK;
}

lstm_status lstm__graph_add(lstm_model *model, const lstm__layer_class *class, const void *options,
                            const char *name, const lstm_layer *const *inputs, int input_count,
                            lstm_layer **out)
{
    lstm_status status = LSTM_OK;
    lstm__node *node = NULL;
    if (out)
        *out = NULL;
    if (model->built)
        FAIL(LSTM_ERROR_STATE,
             "the model is already built: layers are added before lstm_model_build");
    TRY(lstm__grow(model->context, (void **)&model->nodes, &model->node_capacity,
                   model->node_count + 1, sizeof *model->nodes));
    node = lstm__allocate_zeroed(model->context, sizeof *node);
    if (!node || !(node->options = lstm__allocate_zeroed(model->context, class->options_size))) {
        status = lstm__fail_memory(sizeof *node, "a layer");
        goto out;
    }
    memcpy(node->options, options, class->options_size);
    node->class = class;
    node->model = model;
    node->index = model->node_count;
    node->rate = 1;
    TRY(set_name(model, node, name));
    TRY(set_inputs(model, node, inputs, input_count));
    status = class->define(node);
    if (status != LSTM_OK) {
        lstm__prefix_error(status, "layer \"%s\" (%s)", node->name, class->type);
        goto out;
    }
    node->port_first = model->port_count;
    for (int k = 0; k < node->port_count; k++)
        node->ports[k] = (lstm_layer){node, k};
    for (int k = 0; k < node->input_count; k++)
        node->inputs[k]->node->readers[node->inputs[k]->port]++;
    model->port_count += (size_t)node->port_count;
    model->nodes[model->node_count++] = node;
    if (out)
        *out = &node->ports[0];
    return LSTM_OK;
out:
    free_node(model->context, node);
    return status;
}

void lstm__graph_remove_last(lstm_model *model)
{
    lstm__node *node = model->nodes[--model->node_count];
    for (int k = 0; k < node->input_count; k++)
        node->inputs[k]->node->readers[node->inputs[k]->port]--;
    model->port_count -= (size_t)node->port_count;
    free_node(model->context, node);
}

/* ---- Outputs */

static lstm_status append_output(lstm_model *model, const lstm_layer *layer)
{
    RETURN_IF_ERROR(lstm__grow(model->context, (void **)&model->outputs, &model->output_capacity,
                               model->output_count + 1, sizeof *model->outputs));
    model->outputs[model->output_count++] = layer;
    return LSTM_OK;
}

lstm_status lstm__graph_set_outputs(lstm_model *model, const lstm_layer *const *layers,
                                    size_t count)
{
    if (model->built)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the model is already built: outputs are chosen before lstm_model_build");
    if (count == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "a model needs at least one output");
    for (size_t k = 0; k < count; k++) {
        if (!layers[k] || layers[k]->node->model != model)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "output %zu is not a layer of this model", k);
        for (size_t other = 0; other < k; other++)
            if (layers[other] == layers[k])
                return lstm__fail(LSTM_ERROR_ARGUMENT,
                                  "output %zu (layer \"%s\") is already output %zu", k,
                                  layers[k]->node->name, other);
    }
    RETURN_IF_ERROR(lstm__grow(model->context, (void **)&model->outputs, &model->output_capacity,
                               count, sizeof *model->outputs));
    for (size_t k = 0; k < count; k++)
        model->outputs[k] = layers[k];
    model->output_count = count;
    model->outputs_chosen = true;
    return LSTM_OK;
}

bool lstm__returns_state(const lstm__node *node)
{
    return node->class->returns_ports && node->class->returns_ports(node);
}

/* Without a choice: the layers whose ports nobody reads. */
static lstm_status default_outputs(lstm_model *model)
{
    model->output_count = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        lstm__node *node = model->nodes[k];
        int readers = 0;
        for (int port = 0; port < node->port_count; port++)
            readers += node->readers[port];
        if (readers > 0)
            continue;
        if (node->class == &lstm__class_input)
            return lstm__fail(LSTM_ERROR_STATE, "input layer \"%s\" is read by no other layer",
                              node->name);
        for (int port = 0; port < (lstm__returns_state(node) ? node->port_count : 1); port++)
            RETURN_IF_ERROR(append_output(model, &node->ports[port]));
    }
    return LSTM_OK;
}

/* Every layer must lead to an output. */
static lstm_status check_dangling(lstm_model *model)
{
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        bool used = false;
        for (int port = 0; port < node->port_count; port++)
            used = used || node->readers[port] > 0;
        for (size_t o = 0; o < model->output_count; o++)
            used = used || model->outputs[o]->node == node;
        if (!used)
            return lstm__fail(LSTM_ERROR_STATE,
                              "layer \"%s\" (%s) is read by no other layer and is not among the "
                              "outputs: add it to them or leave it out",
                              node->name, node->class->type);
    }
    return LSTM_OK;
}

/* ---- Building */

static lstm_status reserve(size_t *total, size_t count, size_t *offset)
{
    size_t end = 0;
    if (!lstm__add(*total, count, &end) || !lstm__add(end, ALIGN_VALUES - 1, &end) ||
        end > PTRDIFF_MAX / sizeof(real))
        return lstm__fail(LSTM_ERROR_MEMORY,
                          "the parameters need more memory than this machine can address");
    *offset = *total;
    *total = end / ALIGN_VALUES * ALIGN_VALUES;
    return LSTM_OK;
}

lstm_status lstm__graph_reserve(lstm_model *model, size_t count, size_t *offset)
{
    return reserve(&model->value_count, count, offset);
}

lstm_status lstm__graph_reserve_statistic(lstm_model *model, size_t count, size_t *offset)
{
    return reserve(&model->statistic_count, count, offset);
}

/* Statistics go behind all learned values. */
static lstm_status place_statistics(lstm_model *model)
{
    size_t first = 0;
    model->learned_count = model->value_count;
    RETURN_IF_ERROR(lstm__graph_reserve(model, model->statistic_count, &first));
    for (size_t k = 0; k < model->parameter_count; k++)
        if (model->parameters[k].statistic)
            model->parameters[k].offset += first;
    return LSTM_OK;
}

static void set_shape(lstm__parameter *parameter, const int64_t *given)
{
    const int64_t rows = (int64_t)parameter->rows;
    const int64_t columns = (int64_t)parameter->columns;
    for (int k = 0; k < parameter->rank; k++)
        parameter->shape[k] = given[k];
    if (parameter->rank <= 2) {
        parameter->shape[0] = parameter->rank == 1 || parameter->transposed ? columns : rows;
        parameter->shape[1] = parameter->rank == 1 ? 0 : parameter->transposed ? rows : columns;
    }
}

/* NAME/kernel, NAME.weight_ih_l0, NAME.weight_ih_l1_reverse */
static void set_parameter_name(lstm__parameter *parameter, bool torch, const char *name)
{
    const lstm__node *node = parameter->node;
    const char *stem = node->stem[0] ? node->stem : node->name;
    const char *suffix = node->suffix ? node->suffix : "";
    const size_t length = strlen(name);
    if (!torch)
        snprintf(parameter->name, sizeof parameter->name, "%s/%s%s", stem, name, suffix);
    else if (length > 3 && strcmp(name + length - 3, "_l0") == 0)
        snprintf(parameter->name, sizeof parameter->name, "%s%s%.*s%d%s", node->bare ? "" : stem,
                 node->bare ? "" : ".", (int)length - 1, name, node->number, suffix);
    else
        snprintf(parameter->name, sizeof parameter->name, "%s.%s%s", stem, name, suffix);
}

lstm_status lstm__graph_add_parameter(lstm__node *node, const lstm__parameter_spec *spec)
{
    lstm_model *model = node->model;
    const bool torch = model->profile == LSTM_PROFILE_TORCH;
    RETURN_IF_ERROR(lstm__grow(model->context, (void **)&model->parameters,
                               &model->parameter_capacity, model->parameter_count + 1,
                               sizeof *model->parameters));
    lstm__parameter *parameter = &model->parameters[model->parameter_count];
    *parameter = (lstm__parameter){
        .node = node,
        .offset = spec->offset,
        .rows = spec->rows,
        .columns = spec->columns,
        .rank = spec->rank,
        .penalty = lstm__penalty_find(spec->keras_name),
        .transposed = torch && spec->torch_transposed,
        .statistic = spec->statistic,
        .initializer = spec->initializer,
        .fan_in = spec->fan_in,
        .fan_out = spec->fan_out,
        .units = spec->units,
        .one_first = spec->one_first,
        .one_count = spec->one_count,
    };
    set_shape(parameter, torch ? spec->torch_shape : spec->keras_shape);
    set_parameter_name(parameter, torch, torch ? spec->torch_name : spec->keras_name);
    model->parameter_count++;
    node->parameter_count++;
    return LSTM_OK;
}

lstm_status lstm__graph_build(lstm_model *model)
{
    lstm_status status = LSTM_OK;
    if (model->built)
        return lstm__fail(LSTM_ERROR_STATE, "the model is already built");
    if (model->node_count == 0)
        return lstm__fail(LSTM_ERROR_STATE,
                          "the model has no layers: add an input layer and at least one more");
    if (!model->outputs_chosen)
        RETURN_IF_ERROR(default_outputs(model));
    if (model->output_count == 0)
        return lstm__fail(LSTM_ERROR_STATE, "the model has no output");
    RETURN_IF_ERROR(check_dangling(model));
    for (size_t k = 0; k < model->node_count; k++) {
        lstm__node *node = model->nodes[k];
        node->parameter_first = model->parameter_count;
        node->value_first = model->value_count;
        if (node->class->declare)
            TRY(node->class->declare(node));
        node->learns = node->parameter_count > 0;
        for (int input = 0; input < node->input_count; input++)
            node->learns = node->learns || node->inputs[input]->node->learns;
    }
    TRY(place_statistics(model));
    if (model->loading && model->value_count > model->most_values)
        FAIL(LSTM_ERROR_FORMAT, "the layers have %zu parameters, more than the file can hold",
             model->value_count);
    model->values = lstm__allocate_zeroed(model->context, model->value_count * sizeof(real));
    if (!model->values) {
        status = lstm__fail_memory(model->value_count * sizeof(real), "the parameters");
        goto out;
    }
    if (!model->loading)
        TRY(lstm__graph_initialize(model));
    for (size_t k = 0; k < model->output_count; k++)
        model->outputs[k]->node->readers[model->outputs[k]->port]++;
    model->built = true;
    lstm__graph_changed(model);
    return LSTM_OK;
out:
    lstm__release(model->context, model->values);
    model->values = NULL;
    model->parameter_count = 0;
    model->value_count = model->learned_count = model->statistic_count = 0;
    for (size_t k = 0; k < model->node_count; k++)
        model->nodes[k]->parameter_count = 0;
    return status;
}

/* ---- Parameters */

/* to [columns][rows] = from [rows][columns], in squares that stay in the cache. */
static void transpose(size_t rows, size_t columns, const real *from, real *to)
{
    enum { SIDE = 32 };
    for (size_t first = 0; first < rows; first += SIDE)
        for (size_t left = 0; left < columns; left += SIDE) {
            const size_t bottom = rows - first < SIDE ? rows : first + SIDE;
            const size_t right = columns - left < SIDE ? columns : left + SIDE;
            for (size_t c = left; c < right; c++)
                for (size_t r = first; r < bottom; r++)
                    to[c * rows + r] = from[r * columns + c];
        }
}

void lstm__parameter_read(const lstm__parameter *parameter, const real *block, real *values)
{
    const real *from = block + parameter->offset;
    if (!parameter->transposed) {
        memcpy(values, from, lstm__parameter_size(parameter) * sizeof *values);
        return;
    }
    transpose(parameter->rows, parameter->columns, from, values);
}

void lstm__parameter_write(const lstm__parameter *parameter, real *block, const real *values)
{
    real *to = block + parameter->offset;
    if (!parameter->transposed) {
        memcpy(to, values, lstm__parameter_size(parameter) * sizeof *values);
        return;
    }
    transpose(parameter->columns, parameter->rows, values, to);
}

size_t lstm__graph_find_parameter(const lstm_model *model, const char *name)
{
    size_t k = 0;
    while (k < model->parameter_count && strcmp(model->parameters[k].name, name) != 0)
        k++;
    return k;
}

/* ---- Notes and scalers */

static lstm__note *find_note(const lstm_model *model, const char *key)
{
    for (size_t k = 0; k < model->note_count; k++)
        if (strcmp(model->notes[k].key, key) == 0)
            return &model->notes[k];
    return NULL;
}

const char *lstm__graph_note(const lstm_model *model, const char *key)
{
    const lstm__note *note = find_note(model, key);
    return note ? note->text : NULL;
}

lstm_status lstm__graph_set_note(lstm_model *model, const char *key, const char *text)
{
    lstm_status status = LSTM_OK;
    lstm__note *note = find_note(model, key);
    char *new_key = NULL;
    char *new_text = NULL;
    if (!text) {
        if (note) {
            lstm__release(model->context, note->key);
            lstm__release(model->context, note->text);
            *note = model->notes[--model->note_count];
        }
        return LSTM_OK;
    }
    new_text = lstm__copy_text(model->context, text);
    if (!new_text) {
        status = lstm__fail_memory(strlen(text), "metadata");
        goto out;
    }
    if (note) {
        lstm__release(model->context, note->text);
        note->text = new_text;
        return LSTM_OK;
    }
    TRY(lstm__grow(model->context, (void **)&model->notes, &model->note_capacity,
                   model->note_count + 1, sizeof *model->notes));
    new_key = lstm__copy_text(model->context, key);
    if (!new_key) {
        status = lstm__fail_memory(strlen(key), "metadata");
        goto out;
    }
    model->notes[model->note_count++] = (lstm__note){new_key, new_text};
    return LSTM_OK;
out:
    lstm__release(model->context, new_text);
    return status;
}

lstm_status lstm__graph_set_scaler(lstm_model *model, int32_t which, size_t columns,
                                   const double *offset, const double *scale)
{
    lstm__scaler *scaler = &model->scalers[which - LSTM_SCALER_INPUT];
    double *copy = NULL;
    for (size_t k = 0; k < columns; k++)
        if (!isfinite(offset[k]) || !isfinite(scale[k]) || scale[k] == 0)
            return lstm__fail(LSTM_ERROR_NUMERIC,
                              "scaler column %zu: offset %g, scale %g: expected finite numbers and "
                              "a scale other than 0",
                              k, offset[k], scale[k]);
    if (columns > 0) {
        copy = columns <= SIZE_MAX / 2
                   ? lstm__allocate_array(model->context, 2 * columns, sizeof *copy)
                   : NULL;
        if (!copy)
            return lstm__fail_memory(columns, "a scaler");
        memcpy(copy, offset, columns * sizeof *copy);
        memcpy(copy + columns, scale, columns * sizeof *copy);
    }
    lstm__release(model->context, scaler->offset);
    *scaler = (lstm__scaler){columns, copy, copy ? copy + columns : NULL};
    return LSTM_OK;
}
