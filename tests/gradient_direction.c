/* SPDX-License-Identifier: MIT
 * A finite difference of a whole model along one direction.
 */
#include "gradient_direction.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INPUTS = 4, MOST_OUTPUTS = 8, MOST_NUMBERS = 1 << 10, MOST_STEPS = 64, TRIES = 5 };
static const double STEP = 1.0 / (1 << 12);
static const double FINE_STEP = 1.0 / (1 << 20);
static const double TOLERANCE = 1e-8;

typedef struct input {
    lstm__node *node;
    size_t steps, features, count;
    float values[MOST_NUMBERS], at[MOST_NUMBERS];
    bool fixed[MOST_NUMBERS]; /* tokens, and steps that are not there */
    int32_t lengths[MOST_STEPS];
    unsigned char mask[MOST_STEPS];
} input;

typedef struct problem {
    lstm_model *model;
    lstm_session *session;
    const gradient_case *how;
    lstm__batch batch;
    input inputs[MOST_INPUTS];
    size_t input_count;
    const float *arrays[MOST_INPUTS];
    const int32_t *lengths[MOST_INPUTS];
    const unsigned char *masks[MOST_INPUTS];
    double gradients[MOST_NUMBERS], values[MOST_NUMBERS];
    double input_gradients[MOST_INPUTS][MOST_NUMBERS]; /* as the values of the input */
    float weights[MOST_OUTPUTS][MOST_NUMBERS];         /* the objective is sum(output * weight) */
    double norm;
} problem;

static problem p;
static char message[512];

static bool failed(const char *what)
{
    snprintf(message, sizeof message, "%s: %s", what, lstm_last_error());
    return false;
}

static size_t steps_of(lstm__shape shape)
{
    return shape.steps == 0 ? 1 : shape.steps < 0 ? (size_t)p.how->steps : (size_t)shape.steps;
}

/* ---- Data */

/* The layer of a class that reads an input first, or NULL. */
static const lstm__node *reader(const lstm__node *of, const lstm__layer_class *class)
{
    for (size_t k = 0; k < p.model->node_count; k++)
        if (p.model->nodes[k]->class == class && p.model->nodes[k]->inputs[0]->node == of)
            return p.model->nodes[k];
    return NULL;
}

/* Multiples of 2^-8 between -1 and 1; tokens where an Embedding reads them; some whole steps of the
 * value that a Masking layer leaves out. */
static void fill(input *x, size_t number)
{
    const lstm__node *embedding = reader(x->node, &lstm__class_embedding);
    const lstm__node *masking = reader(x->node, &lstm__class_masking);
    for (size_t k = 0; k < x->count; k++) {
        const double u = lstm__random_uniform(11, 20 + number, k);
        x->values[k] = (float)(floor(510 * u - 254) / 256);
        x->fixed[k] = embedding != NULL;
        if (embedding)
            x->values[k] = (float)floor(
                u * (double)((const lstm_embedding_options *)embedding->options)->input_dim);
        if (masking && lstm__random_uniform(12, number, k / x->features) < 0.3) {
            x->values[k] = ((const lstm_masking_options *)masking->options)->mask_value;
            x->fixed[k] = true;
        }
    }
}

/* Sequence `number` of the model has other gaps than the one before. */
static bool is_there(int padding, size_t batch, size_t steps, size_t number, size_t b, size_t t)
{
    const size_t sample = (b + number) % batch;
    switch (padding) {
    case PADDING_LENGTHS:
        return t < (sample == 1 ? 0 : sample == 0 ? steps : (sample * 3) % (steps + 1));
    case PADDING_HOLES:
        return (sample * 5 + t * 3 + sample * t) % 4 != 0;
    case PADDING_LEADING:
        return t >= sample % (steps + 1);
    case PADDING_ALL:
        return false;
    default:
        return true;
    }
}

static void pad(input *x, size_t number)
{
    const size_t batch = p.how->batch;
    for (size_t b = 0; b < batch; b++) {
        x->lengths[b] = 0;
        for (size_t t = 0; t < x->steps; t++) {
            const bool there = is_there(p.how->padding, batch, x->steps, number, b, t);
            x->mask[b * x->steps + t] = there;
            x->lengths[b] += there;
            for (size_t f = 0; f < x->features && !there; f++)
                x->fixed[(b * x->steps + t) * x->features + f] = true;
        }
    }
    if (x->node->shapes[0].steps == 0 || p.how->padding == PADDING_NONE)
        return;
    p.lengths[number] = p.how->padding == PADDING_LENGTHS ? x->lengths : NULL;
    p.masks[number] = p.how->padding == PADDING_LENGTHS ? NULL : x->mask;
}

static bool take_inputs(void)
{
    for (size_t k = 0; k < p.model->node_count; k++) {
        lstm__node *node = p.model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        input *x = &p.inputs[p.input_count];
        *x = (input){.node = node,
                     .steps = steps_of(node->shapes[0]),
                     .features = (size_t)node->shapes[0].features};
        x->count = p.how->batch * x->steps * x->features;
        if (x->count > MOST_NUMBERS || p.how->batch * x->steps > MOST_STEPS)
            return failed("an input is too large");
        fill(x, p.input_count);
        if (node->shapes[0].steps != 0)
            pad(x, p.input_count);
        p.arrays[p.input_count++] = x->values;
    }
    p.batch = (lstm__batch){.layout = LSTM_LAYOUT_BATCH_FIRST,
                            .samples = p.how->batch,
                            .count = p.how->batch,
                            .steps = (size_t)p.how->steps,
                            .inputs = p.arrays,
                            .lengths_of = p.lengths,
                            .masks_of = p.masks};
    return true;
}

static bool start(void)
{
    lstm_model *model = p.model;
    if (lstm__graph_build(model) != LSTM_OK)
        return failed("build");
    if (model->value_count > MOST_NUMBERS || model->output_count > MOST_OUTPUTS)
        return failed("the model is too large");
    /* away from zero gradients and the saturated range */
    for (size_t k = 0; k < model->value_count; k++)
        model->values[k] += (lstm__random_uniform(3, 3, k) - 0.5) / 2;
    memcpy(p.values, model->values, model->value_count * sizeof *p.values);
    lstm__graph_changed(model);
    if (!take_inputs() || lstm__session_create(&p.session, model, true, true, p.how->batch,
                                               (size_t)p.how->steps, 9) != LSTM_OK)
        return failed("a session");
    p.session->fixed_update = true;
    for (size_t k = 0; k < model->output_count; k++)
        for (size_t v = 0; v < MOST_NUMBERS; v++)
            p.weights[k][v] = (float)(lstm__random_uniform(40, k, v) * 2 - 1);
    return true;
}

/* ---- Differences */

static double objective(bool gradients)
{
    double sum = 0;
    lstm__batch batch = p.batch;
    if (p.how->padding == PADDING_LENGTHS) {
        batch.lengths = p.lengths[0];
        lstm__session_order(p.session, &batch);
    }
    lstm__session_reset_states(p.session);
    lstm__session_forward(p.session, &batch);
    for (size_t k = 0; k < p.model->output_count; k++) {
        const lstm_layer *layer = p.model->outputs[k];
        const lstm__shape shape = layer->node->shapes[layer->port];
        lstm__port *port = lstm__session_port(p.session, layer);
        const size_t steps = steps_of(shape);
        const size_t features = (size_t)shape.features;
        const float *weights = p.weights[k];
        if (gradients) {
            lstm__session_import(p.session, shape, port->gradient, LSTM_LAYOUT_BATCH_FIRST,
                                 weights);
            port->written = true;
        }
        for (size_t b = 0; b < p.how->batch; b++)
            for (size_t t = 0; t < steps; t++)
                for (size_t f = 0; f < features; f++)
                    sum += port->value.data[(t * p.how->batch + b) * port->value.stride + f] *
                           (double)
                               weights[(lstm__session_sample(p.session, b) * steps + t) * features +
                                       f];
    }
    return sum;
}

/* Multiples of 1/16, so that inputs, which are floats, move exactly; not 0. */
static double along(size_t number, size_t stream, size_t k)
{
    const double u = floor(32 * lstm__random_uniform(77 + number, stream, k)) - 16;
    return (u < 0 ? u : u + 1) / 16;
}

/* Whether value k is part of a direction: of all parameters, or of one. */
static bool takes_part(const lstm__parameter *only, size_t k)
{
    if (only)
        return k >= only->offset && k < only->offset + lstm__parameter_size(only);
    return k < p.model->learned_count;
}

/* Everything at w + distance * direction. */
static void move(const lstm__parameter *only, size_t number, double distance)
{
    for (size_t k = 0; k < p.model->value_count; k++)
        p.model->values[k] = p.values[k] +
                             (takes_part(only, k) ? distance * along(number, 0, k) : 0);
    for (size_t i = 0; i < p.input_count; i++)
        for (size_t v = 0; v < p.inputs[i].count; v++) {
            input *x = &p.inputs[i];
            x->values[v] = x->at[v];
            if (!only && !x->fixed[v])
                x->values[v] += (float)(distance * along(number, 1 + i, v));
        }
    lstm__graph_changed(p.model);
}

static bool agrees(const lstm__parameter *only, size_t number, double step, double *found,
                   double *expected)
{
    static const double places[4] = {-2, -1, 1, 2};
    double f[4];
    *found = 0;
    for (size_t k = 0; k < p.model->value_count; k++)
        *found += takes_part(only, k) ? p.gradients[k] * along(number, 0, k) : 0;
    for (size_t i = 0; i < p.input_count && !only; i++)
        for (size_t v = 0; v < p.inputs[i].count; v++)
            if (!p.inputs[i].fixed[v])
                *found += p.input_gradients[i][v] * along(number, 1 + i, v);
    for (size_t k = 0; k < 4; k++) {
        move(only, number, places[k] * step);
        f[k] = objective(false);
    }
    move(only, number, 0);
    *expected = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
    return fabs(*found - *expected) <= TOLERANCE * fmax(1, p.norm);
}

/* Along some directions; one that agrees is enough, for bends make others disagree. */
static bool agrees_somewhere(const lstm__parameter *only, double *found, double *expected)
{
    for (size_t number = 0; number < TRIES; number++)
        if (agrees(only, number, number == 0 ? STEP : FINE_STEP, found, expected))
            return true;
    return false;
}

static void take_input_gradient(const input *x, double *to)
{
    const lstm__port *port = lstm__session_own(p.session, x->node, 0);
    for (size_t b = 0; b < p.how->batch; b++)
        for (size_t t = 0; t < x->steps; t++)
            for (size_t f = 0; f < x->features; f++) {
                const size_t row = t * p.how->batch + b;
                to[(lstm__session_sample(p.session, b) * x->steps + t) * x->features + f] =
                    port->written ? port->gradient.data[row * port->gradient.stride + f] : 0;
            }
}

static void take_gradients(void)
{
    objective(true);
    lstm__session_backward(p.session);
    p.norm = 0;
    memcpy(p.gradients, p.session->gradients, p.model->value_count * sizeof *p.gradients);
    for (size_t k = 0; k < p.model->learned_count; k++)
        p.norm += p.gradients[k] * p.gradients[k];
    p.norm = sqrt(p.norm);
    for (size_t i = 0; i < p.input_count; i++) {
        take_input_gradient(&p.inputs[i], p.input_gradients[i]);
        memcpy(p.inputs[i].at, p.inputs[i].values, sizeof p.inputs[i].at);
    }
}

/* Smaller parameters where states grow beyond what differences can tell (exponential in a loop). */
static void shrink(void)
{
    for (size_t k = 0; k < p.model->learned_count; k++)
        p.values[k] = p.model->values[k] /= 4;
    lstm__graph_changed(p.model);
}

static void judge(void)
{
    double found = 0;
    double expected = 0;
    take_gradients();
    for (int times = 0; times < 3 && !(p.norm < 1e3); times++) {
        shrink();
        take_gradients();
    }
    if (agrees_somewhere(NULL, &found, &expected))
        return;
    snprintf(message, sizeof message, "an input: gradient %.12g, finite difference %.12g", found,
             expected);
    for (size_t k = 0; k < p.model->parameter_count; k++)
        if (!p.model->parameters[k].statistic &&
            !agrees_somewhere(&p.model->parameters[k], &found, &expected)) {
            snprintf(message, sizeof message, "%s: gradient %.12g, finite difference %.12g",
                     p.model->parameters[k].name, found, expected);
            return;
        }
}

const char *check_direction(lstm_model *model, const gradient_case *how)
{
    p.model = model;
    p.session = NULL;
    p.how = how;
    p.input_count = 0;
    memset(p.lengths, 0, sizeof p.lengths);
    memset(p.masks, 0, sizeof p.masks);
    message[0] = '\0';
    if (start())
        judge();
    lstm__session_destroy(p.session);
    lstm__graph_release(model);
    return message;
}
