/* SPDX-License-Identifier: MIT
 * Finite differences of a whole model.
 */
#include "gradient_problem.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 4, MOST_VALUES = 4096, MOST_SAMPLES = 5, LABELS = 3 };
static const double STEP = 1.0 / 1024;
static const double FINE_STEP = 1.0 / (1 << 18);
static const double TOLERANCE = 1e-6;

typedef struct problem {
    const char *name;
    lstm_model *model;
    lstm_session *session;
    lstm__batch batch;
    float *inputs[MOST_ARRAYS];
    size_t input_sizes[MOST_ARRAYS];
    float *targets[MOST_ARRAYS]; /* weights of the outputs, or targets of a loss */
    size_t target_sizes[MOST_ARRAYS];
    float *weights; /* of steps; NULL = none */
    int32_t labels[MOST_SAMPLES * LABELS];
    int32_t label_lengths[MOST_SAMPLES];
    const lstm__loss *loss; /* NULL: sum(output * weight) */
} problem;

void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

/* ---- Building blocks of the recipes */

const lstm_layer *add_many(lstm_model *model, const lstm__layer_class *class, const void *options,
                           const lstm_layer *const *inputs, int count)
{
    lstm_layer *out = NULL;
    ok(lstm__graph_add(model, class, options, NULL, inputs, count, &out));
    return out;
}

const lstm_layer *add(lstm_model *model, const lstm__layer_class *class, const void *options,
                      const lstm_layer *input)
{
    return add_many(model, class, options, &input, class == &lstm__class_input ? 0 : 1);
}

const lstm_layer *sequence(lstm_model *model, int64_t steps, int64_t features)
{
    return add(model, &lstm__class_input,
               &(lstm_input_options){.steps = steps, .features = features}, NULL);
}

const lstm_layer *dense(lstm_model *model, int32_t activation, int64_t units,
                        const lstm_layer *input)
{
    return add(model, &lstm__class_dense,
               &(lstm_dense_options){.activation = activation, .units = units}, input);
}

const lstm_layer *lstm(lstm_model *model, const lstm_layer *input, lstm_lstm_options options)
{
    return add(model, &lstm__class_lstm, &options, input);
}

/* ---- The check */

static void fill(float *values, size_t count, uint64_t stream)
{
    for (size_t k = 0; k < count; k++)
        values[k] = (float)(floor(512 * lstm__random_uniform(11, stream, k) - 256) / 256);
}

static size_t values_of(lstm__shape shape, size_t batch)
{
    return batch * (size_t)(shape.steps == 0 ? 1 : shape.steps) * (size_t)shape.features;
}

/* A target that suits a loss, from a uniform number and one around 0. */
static float target_for(int32_t kind, double u, float value)
{
    switch (kind) {
    case LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY:
        return (float)(int)(3 * u);
    case LSTM_LOSS_MAPE:
        return value < 0 ? value - 0.25f : value + 0.25f;
    case LSTM_LOSS_HINGE:
    case LSTM_LOSS_SQUARED_HINGE:
        return u < 0.5 ? -1 : 1;
    case LSTM_LOSS_MSE:
    case LSTM_LOSS_MAE:
    case LSTM_LOSS_HUBER:
    case LSTM_LOSS_LOG_COSH:
    case LSTM_LOSS_COSINE_SIMILARITY:
    case LSTM_LOSS_QUANTILE:
    case LSTM_LOSS_GAUSSIAN_NLL:
        return value;
    default:
        return (float)u;
    }
}

/* 0 to 3 labels a sample among the classes 0 to 2, some repeated, some without an alignment. */
static void set_labels(problem *p, size_t batch)
{
    for (size_t b = 0; b < batch; b++)
        p->label_lengths[b] = (int32_t)((b + 2) % (LABELS + 1));
    for (size_t k = 0; k < batch * LABELS; k++)
        p->labels[k] = (int32_t)(3 * lstm__random_uniform(19, 1, k));
    p->batch.labels = p->labels;
    p->batch.label_steps = LABELS;
    p->batch.label_lengths = p->label_lengths;
    ok(lstm__loss_prepare(p->session, p->loss, LABELS));
}

static void start(problem *p, const char *name, recipe make, int32_t profile, int64_t steps,
                  size_t batch, const lstm__loss *loss)
{
    size_t input = 0;
    *p = (problem){.name = name, .loss = loss};
    ok(lstm__graph_create(&p->model, NULL, profile, 5));
    make(p->model, steps);
    ok(lstm__graph_build(p->model));
    /* away from zero gradients and the saturated range */
    for (size_t k = 0; k < p->model->value_count; k++)
        p->model->values[k] += (real)(lstm__random_uniform(3, 3, k) - 0.5) / 2;
    lstm__graph_changed(p->model);
    for (size_t k = 0; k < p->model->node_count; k++)
        if (p->model->nodes[k]->class == &lstm__class_input) {
            p->input_sizes[input] = values_of(p->model->nodes[k]->shapes[0], batch);
            p->inputs[input] = malloc(p->input_sizes[input] * sizeof(float));
            fill(p->inputs[input], p->input_sizes[input], 20 + input);
            input++;
        }
    for (size_t k = 0; k < p->model->output_count; k++) {
        const lstm__shape shape = p->model->outputs[k]->node->shapes[p->model->outputs[k]->port];
        p->target_sizes[k] = values_of(shape, batch);
        p->targets[k] = malloc(p->target_sizes[k] * sizeof(float));
        fill(p->targets[k], p->target_sizes[k], 40 + k);
        /* probabilities or class numbers */
        for (size_t v = 0; loss && v < p->target_sizes[k]; v++) {
            const double u = lstm__random_uniform(13, k, v);
            p->targets[k][v] = target_for(loss->kind, u, p->targets[k][v]);
        }
    }
    ok(lstm__session_create(&p->session, p->model, true, true, batch, 0, 9));
    p->session->fixed_update = true;
    p->batch = (lstm__batch){.layout = LSTM_LAYOUT_BATCH_FIRST,
                             .samples = batch,
                             .count = batch,
                             .inputs = (const float *const *)p->inputs,
                             .targets = (const float *const *)p->targets};
    if (loss && loss->kind == LSTM_LOSS_CTC)
        set_labels(p, batch);
    if (loss && loss->reduction != 0) { /* per step, the third one left out */
        const size_t rows = batch * (size_t)steps;
        p->weights = malloc(rows * sizeof *p->weights);
        for (size_t k = 0; k < rows; k++)
            p->weights[k] = k == 2 ? 0 : (float)(0.5 + lstm__random_uniform(14, 1, k));
        p->batch.weights = p->weights;
        p->batch.weights_per_step = loss->kind != LSTM_LOSS_CTC;
    }
}

static void end(problem *p)
{
    lstm__session_destroy(p->session);
    lstm__graph_release(p->model);
    for (size_t k = 0; k < MOST_ARRAYS; k++) {
        free(p->inputs[k]);
        free(p->targets[k]);
    }
    free(p->weights);
}

static double objective(problem *p)
{
    double sum = 0;
    lstm__session_forward(p->session, &p->batch);
    if (p->loss) {
        ok(lstm__loss_compute(p->session, p->loss, &p->batch, true, &sum));
        return sum;
    }
    for (size_t k = 0; k < p->model->output_count; k++) {
        const lstm_layer *layer = p->model->outputs[k];
        const lstm__shape shape = layer->node->shapes[layer->port];
        lstm__port *port = lstm__session_port(p->session, layer);
        const size_t steps = shape.steps == 0 ? 1 : (size_t)shape.steps;
        const size_t features = (size_t)shape.features;
        lstm__session_import(p->session, shape, port->gradient, LSTM_LAYOUT_BATCH_FIRST,
                             p->targets[k]);
        port->written = true;
        for (size_t b = 0; b < p->batch.count; b++)
            for (size_t t = 0; t < steps; t++)
                for (size_t f = 0; f < features; f++)
                    sum += port->value.data[(t * p->batch.count + b) * port->value.stride + f] *
                           (double)p->targets[k][(b * steps + t) * features + f];
    }
    return sum;
}

static double quotient(double step, double m2, double m1, double p1, double p2)
{
    return (8 * (p1 - m1) - (p2 - m2)) / (12 * step);
}

static double slope_of_value(problem *p, double *value, double step)
{
    const double at = *value;
    double f[4];
    for (int k = 0; k < 4; k++) {
        *value = at + step * (k < 2 ? k - 2 : k - 1);
        lstm__graph_changed(p->model);
        f[k] = objective(p);
    }
    *value = at;
    lstm__graph_changed(p->model);
    return quotient(step, f[0], f[1], f[2], f[3]);
}

static double slope_of_input(problem *p, float *value, double step)
{
    const float at = *value;
    double f[4];
    for (int k = 0; k < 4; k++) {
        *value = at + (float)(step * (k < 2 ? k - 2 : k - 1));
        f[k] = objective(p);
    }
    *value = at;
    return quotient(step, f[0], f[1], f[2], f[3]);
}

/* Whether the step was too coarse: a clip or a bend of an activation may lie inside it. */
static bool differs(double found, double expected)
{
    return !(fabs(found - expected) <= 0.1 * TOLERANCE * fmax(1e-3, fabs(expected)));
}

static void compare(const problem *p, const char *what, const double *found, const double *expected,
                    size_t count)
{
    double largest = 1e-3;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(expected[k]));
    for (size_t k = 0; k < count; k++)
        if (!(fabs(found[k] - expected[k]) <= TOLERANCE * largest))
            fail_msg("%s: %s: value %zu of %zu: gradient %.12g, finite difference %.12g", p->name,
                     what, k, count, found[k], expected[k]);
}

static void check_gradients(problem *p)
{
    static double found[MOST_VALUES];
    static double expected[MOST_VALUES];
    const size_t values = p->model->value_count;
    assert_true(values <= MOST_VALUES);
    objective(p);
    lstm__session_backward(p->session);
    real *gradients = malloc(values * sizeof *gradients);
    memcpy(gradients, p->session->gradients, values * sizeof *gradients);
    float *input_gradients[MOST_ARRAYS] = {NULL};
    for (size_t k = 0, input = 0; k < p->model->node_count; k++) {
        const lstm__node *node = p->model->nodes[k];
        if (node->class != &lstm__class_input)
            continue;
        input_gradients[input] = malloc(p->input_sizes[input] * sizeof(float));
        lstm__session_export(p->session, node->shapes[0],
                             lstm__session_own(p->session, node, 0)->gradient,
                             LSTM_LAYOUT_BATCH_FIRST, input_gradients[input]);
        input++;
    }
    for (size_t k = 0; k < p->model->parameter_count; k++) {
        const lstm__parameter *parameter = &p->model->parameters[k];
        if (parameter->statistic)
            continue; /* no gradient: see graph.h */
        const size_t count = lstm__parameter_size(parameter);
        for (size_t v = 0; v < count; v++) {
            found[v] = gradients[parameter->offset + v];
            double *value = &p->model->values[parameter->offset + v];
            expected[v] = slope_of_value(p, value, STEP);
            if (differs(found[v], expected[v]))
                expected[v] = slope_of_value(p, value, FINE_STEP);
        }
        /* PyTorch's second bias has the same gradient as the first, and both were moved alone:
         * nothing special. */
        compare(p, parameter->name, found, expected, count);
    }
    for (size_t input = 0; input < MOST_ARRAYS && input_gradients[input]; input++) {
        for (size_t v = 0; v < p->input_sizes[input]; v++) {
            found[v] = (double)input_gradients[input][v];
            expected[v] = slope_of_input(p, &p->inputs[input][v], STEP);
            if (differs(found[v], expected[v]))
                expected[v] = slope_of_input(p, &p->inputs[input][v], FINE_STEP);
        }
        compare(p, "input", found, expected, p->input_sizes[input]);
        free(input_gradients[input]);
    }
    free(gradients);
}

void run(const char *name, recipe make, int32_t profile, const lstm__loss *loss)
{
    static const size_t batches[] = {1, 3, 5};
    for (int64_t steps = 1; steps <= 5; steps++)
        for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
            problem p;
            start(&p, name, make, profile, steps, batches[k], loss);
            check_gradients(&p);
            end(&p);
        }
}
