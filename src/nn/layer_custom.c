/* SPDX-License-Identifier: MIT
 * Layers by callbacks: the caller's functions between the ports of a node.
 *
 * Callbacks see compact arrays, time first. Values of an input that is a view are copied; so is a
 * gradient that must be added to one that is there already. All gradients are zero when a callback
 * begins, so it may add to them or overwrite them. Options of the node: a pointer to what was made
 * when it was added, which the node owns.
 */
#include "constants.h"
#include "custom.h"
#include "layer_ports.h"
#include "options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct custom {
    lstm__layer_class class;
    lstm_custom_layer layer;
    lstm_custom_definition definition;
    bool owned; /* by its node */
    char type[LSTM__NAME_SIZE];
    char stem[LSTM__NAME_SIZE];
} custom;

typedef struct custom_options {
    custom *custom;
} custom_options;

typedef struct buffers {
    real **copies;    /* of each input's value, and … */
    real **gradients; /* … training: of the gradient that is added to another */
    lstm_custom_tensor *inputs;
    real *memory;
    const float **parameters;
    float **parameter_gradients;
} buffers;

static custom *custom_of(const lstm__node *node)
{
    return ((const custom_options *)node->options)->custom;
}

/* The library's numbers are floats; in double for the tests, whose callbacks know. */
static const float *as_floats(const real *values)
{
    return (const float *)(const void *)values;
}
static float *as_own_floats(real *values)
{
    return (float *)(void *)values;
}

/* ---- Definition */

static lstm_custom_shape shape_of(lstm__shape shape)
{
    return (lstm_custom_shape){shape.steps, shape.features};
}

static lstm_status check_parameter(const lstm_custom_parameter *parameter, size_t number)
{
    const size_t length = strnlen(parameter->name, sizeof parameter->name);
    if (length == 0 || length == sizeof parameter->name)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "parameter %zu has no name of 1 to %zu bytes",
                          number, sizeof parameter->name - 1);
    for (size_t k = 0; k < length; k++)
        if (!isalnum((unsigned char)parameter->name[k]) && parameter->name[k] != '_')
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "parameter name \"%s\": expected letters, digits and _",
                              parameter->name);
    if (parameter->rank < 1 || parameter->rank > 4)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "parameter \"%s\" has rank %d: expected 1 to 4",
                          parameter->name, (int)parameter->rank);
    for (int32_t k = 0; k < parameter->rank; k++)
        if (parameter->shape[k] < 1)
            return lstm__fail(LSTM_ERROR_SHAPE, "parameter \"%s\": axis %d is %lld: expected > 0",
                              parameter->name, (int)k, (long long)parameter->shape[k]);
    return LSTM_OK;
}

static lstm_status check_definition(const lstm__node *node, lstm_custom_definition *d)
{
    bool free_steps = d->output.steps >= 0;
    for (int k = 0; k < node->input_count; k++)
        free_steps = free_steps || lstm__input_shape(node, k).steps < 0;
    if (d->output.features < 1 || d->output.features > INT32_MAX || d->output.steps < -1 ||
        d->output.steps > INT32_MAX)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "its define callback gave %lld steps of %lld features: expected steps of "
                          "at least -1 (any number), and 1 feature or more",
                          (long long)d->output.steps, (long long)d->output.features);
    if (!free_steps)
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "its define callback gave any number of steps, but no input has that");
    if (d->parameter_count > LSTM_CUSTOM_PARAMETERS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%zu parameters: expected at most %d",
                          d->parameter_count, LSTM_CUSTOM_PARAMETERS);
    if (d->memory < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "memory is %lld: expected 0 or more",
                          (long long)d->memory);
    if (d->parameter_count > 0 && !custom_of(node)->layer.backward)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "has parameters, but no backward callback to learn them");
    for (size_t k = 0; k < d->parameter_count; k++) {
        lstm_custom_parameter *parameter = &d->parameters[k];
        RETURN_IF_ERROR(check_parameter(parameter, k));
        RETURN_IF_ERROR(lstm__read_constant(&parameter->initializer, LSTM_INITIALIZER_ZEROS,
                                            LSTM_NAMES_INITIALIZER, "initializer"));
    }
    return LSTM_OK;
}

static lstm_status define(lstm__node *node)
{
    custom *own = custom_of(node);
    lstm_custom_definition *d = &own->definition;
    lstm_custom_shape inputs[LSTM__INPUTS] = {{0, 0}};
    for (int k = 0; k < node->input_count; k++)
        inputs[k] = shape_of(lstm__input_shape(node, k));
    *d = (lstm_custom_definition){.struct_size = sizeof *d,
                                  .inputs = inputs,
                                  .input_count = (size_t)node->input_count,
                                  .output = inputs[0]};
    if (own->layer.define) {
        const lstm_status status = own->layer.define(own->layer.user, d);
        if (status != LSTM_OK)
            return lstm__fail(LSTM_ERROR_SHAPE,
                              "its define callback refused what it reads: layer \"%s\" with %lld "
                              "features (it returned %s)",
                              node->inputs[0]->node->name, (long long)inputs[0].features,
                              lstm_status_name(status));
    }
    d->inputs = NULL;
    RETURN_IF_ERROR(check_definition(node, d));
    node->port_count = 1;
    node->shapes[0] = (lstm__shape){d->output.steps, d->output.features};
    return LSTM_OK;
}

static lstm_status declare(lstm__node *node)
{
    const lstm_custom_definition *d = &custom_of(node)->definition;
    for (size_t k = 0; k < d->parameter_count; k++) {
        const lstm_custom_parameter *p = &d->parameters[k];
        size_t count = 0;
        size_t offset = 0;
        if (!lstm__product(p->shape, (size_t)p->rank, &count))
            count = SIZE_MAX;
        RETURN_IF_ERROR(lstm__graph_reserve(node->model, count, &offset));
        lstm__parameter_spec spec = {.keras_name = p->name,
                                     .torch_name = p->name,
                                     .offset = offset,
                                     .columns = (size_t)p->shape[p->rank - 1],
                                     .rank = p->rank,
                                     .initializer = p->initializer};
        spec.rows = count / spec.columns;
        spec.fan_in = spec.rows;
        spec.fan_out = spec.units = spec.columns;
        memcpy(spec.keras_shape, p->shape, sizeof spec.keras_shape);
        memcpy(spec.torch_shape, p->shape, sizeof spec.torch_shape);
        RETURN_IF_ERROR(lstm__graph_add_parameter(node, &spec));
    }
    return LSTM_OK;
}

static void initialize(const lstm__node *node)
{
    const lstm_custom_definition *d = &custom_of(node)->definition;
    for (size_t k = 0; k < d->parameter_count; k++) {
        const lstm__parameter *parameter = &node->model->parameters[node->parameter_first + k];
        const float *initial = d->parameters[k].initial;
        for (size_t v = 0; initial && v < lstm__parameter_size(parameter); v++)
            node->model->values[parameter->offset + v] = (real)initial[v];
    }
}

/* ---- Running */

static void plan(const lstm__node *node, lstm_session *session, void *memory, lstm__arena *arena)
{
    buffers *b = memory;
    const custom *own = custom_of(node);
    const size_t count = (size_t)node->input_count;
    real **copies = lstm__carve(arena, count, sizeof *copies);
    real **gradients = lstm__carve(arena, count, sizeof *gradients);
    b->inputs = lstm__carve(arena, count, sizeof *b->inputs);
    b->parameters = lstm__carve(arena, own->definition.parameter_count, sizeof *b->parameters);
    b->parameter_gradients = lstm__carve(arena, own->definition.parameter_count,
                                         sizeof *b->parameter_gradients);
    for (size_t k = 0; k < count; k++) {
        const lstm__shape in = lstm__input_shape(node, (int)k);
        const size_t rows = lstm__session_max_rows(session, in);
        real *copy = lstm__carve_matrix(arena, rows, (size_t)in.features);
        real *gradient = lstm__carve_matrix(arena, session->training ? rows : 0,
                                            (size_t)in.features);
        if (arena->base) {
            copies[k] = copy;
            gradients[k] = gradient;
        }
    }
    b->copies = copies;
    b->gradients = gradients;
    b->memory = lstm__carve_matrix(arena, lstm__session_max_rows(session, node->shapes[0]),
                                   (size_t)own->definition.memory);
    lstm__plan_port(node, session, 0, arena);
}

static const uint8_t *mask_of(const lstm_session *session, const lstm_layer *layer)
{
    return session->ports[layer->node->port_first + (size_t)layer->port].mask;
}

/* What both callbacks are given. */
static lstm_custom_pass pass_of(const lstm__node *node, lstm_session *session, const buffers *b)
{
    const custom *own = custom_of(node);
    const lstm__shape shape = node->shapes[0];
    for (int k = 0; k < node->input_count; k++) {
        const lstm__shape in = lstm__input_shape(node, k);
        const lstm__view x = lstm__input_value(node, session, k);
        const size_t features = (size_t)in.features;
        if (x.stride != features)
            session->model->kernels->copy_rows(lstm__session_rows(session, in), features, x.data,
                                               x.stride, b->copies[k], features, 0);
        b->inputs[k] = (lstm_custom_tensor){
            .shape = {in.steps == 0 ? 0 : (int64_t)lstm__session_steps(session, in), in.features},
            .mask = mask_of(session, node->inputs[k]),
            .values = as_own_floats(x.stride != features ? b->copies[k] : x.data)};
    }
    for (size_t k = 0; k < own->definition.parameter_count; k++) {
        b->parameters[k] = as_floats(lstm__values_of(node, k));
        b->parameter_gradients[k] = session->training
                                        ? as_own_floats(lstm__gradients_of(node, session, k))
                                        : NULL;
    }
    return (lstm_custom_pass){
        .struct_size = sizeof(lstm_custom_pass),
        .training = session->training ? LSTM_YES : LSTM_NO,
        .batch = (int64_t)session->batch,
        .inputs = b->inputs,
        .input_count = (size_t)node->input_count,
        .output = {.shape = {shape.steps == 0 ? 0 : (int64_t)lstm__session_steps(session, shape),
                             shape.features},
                   .mask = lstm__session_own(session, node, 0)->mask,
                   .values = as_own_floats(lstm__session_own(session, node, 0)->value.data)},
        .parameters = b->parameters,
        .memory = as_own_floats(b->memory)};
}

static void forward(const lstm__node *node, lstm_session *session, void *memory)
{
    const custom *own = custom_of(node);
    const bool same_steps = node->shapes[0].steps != 0 &&
                            node->shapes[0].steps == lstm__input_shape(node, 0).steps;
    lstm__session_own(session, node, 0)->mask = same_steps && own->layer.drop_mask == LSTM_NO
                                                    ? lstm__input_mask(node, session, 0)
                                                    : NULL;
    const lstm_custom_pass pass = pass_of(node, session, memory);
    own->layer.forward(own->layer.user, &pass);
}

/* Where the gradient of each input goes: its place, or a buffer whose numbers are added to it. */
static void start_gradient(const lstm__node *node, lstm_session *session, const buffers *b, int k,
                           lstm__view *place, bool *add)
{
    const lstm__shape in = lstm__input_shape(node, k);
    const size_t features = (size_t)in.features;
    *place = lstm__take_gradient(node, session, k, add);
    if (!place->data)
        return;
    real *gradient = *add ? b->gradients[k] : place->data;
    session->model->kernels->fill_rows(lstm__session_rows(session, in), features, NULL, gradient,
                                       features);
    b->inputs[k].gradient = as_own_floats(gradient);
}

static void backward(const lstm__node *node, lstm_session *session, void *memory)
{
    const buffers *b = memory;
    const custom *own = custom_of(node);
    lstm__view places[LSTM__INPUTS];
    bool add[LSTM__INPUTS] = {false};
    lstm_custom_pass pass = pass_of(node, session, b);
    for (int k = 0; k < node->input_count; k++)
        start_gradient(node, session, b, k, &places[k], &add[k]);
    for (size_t k = 0; k < node->parameter_count; k++)
        memset(lstm__gradients_of(node, session, k), 0,
               lstm__parameter_size(&node->model->parameters[node->parameter_first + k]) *
                   sizeof(real));
    pass.parameter_gradients = b->parameter_gradients;
    pass.output.gradient = as_own_floats(lstm__session_own(session, node, 0)->gradient.data);
    own->layer.backward(own->layer.user, &pass);
    for (int k = 0; k < node->input_count; k++) {
        const lstm__shape in = lstm__input_shape(node, k);
        const size_t features = (size_t)in.features;
        if (places[k].data && add[k])
            session->model->kernels->copy_rows(lstm__session_rows(session, in), features,
                                               b->gradients[k], features, places[k].data,
                                               places[k].stride, 1);
    }
}

static bool piecewise(const lstm__node *node)
{
    return custom_of(node)->layer.stepwise == LSTM_YES;
}

static void release(lstm__node *node)
{
    custom *own = custom_of(node);
    if (own->owned)
        lstm__release(node->model->context, own);
}

/* ---- Adding */

static const lstm__option no_options[] = {LSTM__OPTIONS_END};

const lstm__layer_class lstm__class_custom = {
    .type = "layer of your own",
    .name_stem = "custom",
    .options_size = sizeof(custom_options),
    .options = no_options,
    .mask = LSTM__MASK_OWN,
    .most_inputs = LSTM__INPUTS,
    .plan_size = sizeof(buffers),
    .define = define,
    .declare = declare,
    .initialize = initialize,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .piecewise = piecewise,
    .release = release,
    .only_here = true,
};

lstm_status lstm__custom_read(lstm_custom_layer *own, const lstm_custom_layer *layer)
{
    static const char *const taken[] = {"InputLayer", "Linear", "RNN", "TimeDistributed",
                                        "Bidirectional"};
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, layer, "lstm_custom_layer"));
    RETURN_IF_ERROR(lstm__read_flag(&own->stepwise, LSTM_NO, "stepwise"));
    RETURN_IF_ERROR(lstm__read_flag(&own->drop_mask, LSTM_NO, "drop_mask"));
    if (own->reserved != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "reserved is %d: expected 0", (int)own->reserved);
    const size_t length = own->type ? strlen(own->type) : 0;
    if (length < 1 || length > 63)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "type is a name of %zu bytes: expected 1 to 63 letters, digits and _",
                          length);
    for (size_t k = 0; k < length; k++)
        if (!isalnum((unsigned char)own->type[k]) && own->type[k] != '_')
            return lstm__fail(LSTM_ERROR_ARGUMENT, "type \"%s\": expected letters, digits and _",
                              own->type);
    bool known = false;
    for (size_t k = 0; lstm__layer_classes[k]; k++)
        known = known || strcmp(lstm__layer_classes[k]->type, own->type) == 0;
    for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
        known = known || strcmp(taken[k], own->type) == 0;
    if (known)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "type \"%s\" is one of the library's own",
                          own->type);
    if (!own->forward)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "type \"%s\": forward is NULL", own->type);
    return LSTM_OK;
}

/* Keras' way: MyLayer -> my_layer. */
static void make_stem(const char *type, char *stem)
{
    size_t at = 0;
    for (size_t k = 0; type[k] && at + 2 < LSTM__NAME_SIZE; k++) {
        const bool upper = isupper((unsigned char)type[k]);
        if (upper && k > 0 && !isupper((unsigned char)type[k - 1]) && type[k - 1] != '_')
            stem[at++] = '_';
        stem[at++] = (char)tolower((unsigned char)type[k]);
    }
    stem[at] = 0;
}

lstm_status lstm__custom_add(lstm_model *model, const lstm_custom_layer *layer, const char *name,
                             const lstm_layer *const *inputs, int count, lstm_layer **out)
{
    custom *own = lstm__allocate_zeroed(model->context, sizeof *own);
    if (!own)
        return lstm__fail_memory(sizeof *own, "a layer");
    snprintf(own->type, sizeof own->type, "%s", layer->type);
    make_stem(layer->type, own->stem);
    own->layer = *layer;
    own->layer.type = own->type;
    own->class = lstm__class_custom;
    own->class.type = own->type;
    own->class.name_stem = own->stem;
    if (!layer->backward)
        own->class.backward = NULL;
    const custom_options options = {own};
    const lstm_status status = lstm__graph_add(model, &own->class, &options, name, inputs, count,
                                               out);
    if (status == LSTM_OK)
        own->owned = true;
    else
        lstm__release(model->context, own);
    return status;
}
