/* SPDX-License-Identifier: MIT
 * Back-propagation against finite differences, in double: layers and losses are compiled with LSTM__DOUBLE, so the only
 * error is that of the difference quotient. Every layer, option, state path and loss; sequence lengths 1 to 5; both routes of
 * the recurrence (small and larger batches); layers read twice.
 *
 * Fourth-order central differences, (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h. Inputs are stored as float: they are
 * multiples of 2^-8 and h is 2^-10, so that every point is exact. Tolerance 1e-6 of the largest gradient of the array.
 */
#include "losses.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST_ARRAYS = 4, MOST_VALUES = 4096 };
static const double STEP = 1.0 / 1024;
static const double TOLERANCE = 1e-6;

typedef void (*recipe)(lstm_model *model, int64_t steps);

typedef struct problem {
    const char *name;
    lstm_model *model;
    lstm_session *session;
    lstm__batch batch;
    float *inputs[MOST_ARRAYS];
    size_t input_sizes[MOST_ARRAYS];
    float *targets[MOST_ARRAYS]; /* weights of the outputs, or targets of a loss */
    size_t target_sizes[MOST_ARRAYS];
    float *weights;              /* of steps; NULL = none */
    const lstm__loss *loss;      /* NULL: sum(output * weight) */
} problem;

static void ok(lstm_status status)
{
    if (status != LSTM_OK)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
}

/* ---- Building blocks of the recipes */

static const lstm_layer *add(lstm_model *model, const lstm__layer_class *class, const void *options,
                             const lstm_layer *input)
{
    lstm_layer *out = NULL;
    ok(lstm__graph_add(model, class, options, NULL, &input, class == &lstm__class_input ? 0 : 1, &out));
    return out;
}

static const lstm_layer *sequence(lstm_model *model, int64_t steps, int64_t features)
{
    return add(model, &lstm__class_input, &(lstm_input_options){.steps = steps, .features = features}, NULL);
}

static const lstm_layer *vector(lstm_model *model, int64_t features)
{
    return add(model, &lstm__class_input, &(lstm_input_options){.vector = LSTM_YES, .features = features}, NULL);
}

static const lstm_layer *dense(lstm_model *model, int32_t activation, int64_t units, const lstm_layer *input)
{
    return add(model, &lstm__class_dense, &(lstm_dense_options){.activation = activation, .units = units}, input);
}

static const lstm_layer *lstm(lstm_model *model, const lstm_layer *input, lstm_lstm_options options)
{
    return add(model, &lstm__class_lstm, &options, input);
}

static void lstm_last(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 3), (lstm_lstm_options){.units = 4});
}
static void lstm_sequences(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 3), (lstm_lstm_options){.units = 4, .return_sequences = LSTM_YES});
}
static void lstm_backwards(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 3),
         (lstm_lstm_options){.units = 4, .return_sequences = LSTM_YES, .go_backwards = LSTM_YES});
}
static void lstm_wide_input(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 11), (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
}
static void lstm_wide_backwards(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 11), (lstm_lstm_options){.units = 2, .go_backwards = LSTM_YES});
}
static void lstm_no_bias(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 2), (lstm_lstm_options){.units = 3, .use_bias = LSTM_NO});
}
static void lstm_all_states(lstm_model *model, int64_t steps)
{
    lstm(model, sequence(model, steps, 3),
         (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES, .return_state = LSTM_YES});
}
static void lstm_initial_state(lstm_model *model, int64_t steps)
{
    const lstm_layer *inputs[3] = {sequence(model, steps, 2), vector(model, 3), vector(model, 3)};
    const lstm_lstm_options options = {.units = 3, .return_state = LSTM_YES};
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}
static void encoder_decoder(lstm_model *model, int64_t steps)
{
    const lstm_layer *encoder = lstm(model, sequence(model, steps, 2), (lstm_lstm_options){.units = 3});
    const lstm_layer *inputs[3] = {sequence(model, 3, 2), &encoder->node->ports[1], &encoder->node->ports[2]};
    const lstm_lstm_options options = {.units = 3, .return_sequences = LSTM_YES};
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, inputs, 3, NULL));
}
static void stack_with_repeat(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = lstm(model, sequence(model, steps, 2),
                               (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    const lstm_layer *b = lstm(model, a, (lstm_lstm_options){.units = 4});
    const lstm_layer *c = add(model, &lstm__class_repeat_vector, &(lstm_repeat_vector_options){.count = 3}, b);
    const lstm_layer *d = lstm(model, c, (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    dense(model, LSTM_ACTIVATION_SOFTMAX, 3, d);
}
static void read_twice(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 2);
    const lstm_layer *a = lstm(model, x, (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    lstm(model, a, (lstm_lstm_options){.units = 2});
    lstm(model, a, (lstm_lstm_options){.units = 2, .go_backwards = LSTM_YES});
    dense(model, LSTM_ACTIVATION_TANH, 2, a);
    dense(model, LSTM_ACTIVATION_SIGMOID, 2, &a->node->ports[1]);
}
static void shapes(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = sequence(model, steps, 6);
    const lstm_layer *r = add(model, &lstm__class_reshape, &(lstm_reshape_options){.steps = 2 * steps, .features = 3}, x);
    const lstm_layer *a = lstm(model, r, (lstm_lstm_options){.units = 2, .return_sequences = LSTM_YES});
    dense(model, LSTM_ACTIVATION_TANH, 3, add(model, &lstm__class_flatten, &(lstm_reshape_options){0}, a));
    add(model, &lstm__class_flatten, &(lstm_reshape_options){0}, a);
}
static void dropout(lstm_model *model, int64_t steps)
{
    const lstm_layer *x = add(model, &lstm__class_dropout, &(lstm_dropout_options){.rate = 0.3f, .seed = 7},
                              sequence(model, steps, 4));
    const lstm_layer *a = lstm(model, x, (lstm_lstm_options){.units = 3, .return_sequences = LSTM_YES});
    add(model, &lstm__class_dropout, &(lstm_dropout_options){.rate = 0.5f}, a);
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

static void start(problem *p, const char *name, recipe make, int32_t profile, int64_t steps, size_t batch,
                  const lstm__loss *loss)
{
    size_t input = 0;
    *p = (problem){.name = name, .loss = loss};
    ok(lstm__graph_create(&p->model, NULL, profile, 5));
    make(p->model, steps);
    ok(lstm__graph_build(p->model));
    for (size_t k = 0; k < p->model->value_count; k++) /* away from zero gradients and the saturated range */
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
        for (size_t v = 0; loss && v < p->target_sizes[k]; v++) { /* probabilities or class numbers */
            const double u = lstm__random_uniform(13, k, v);
            p->targets[k][v] = target_for(loss->kind, u, p->targets[k][v]);
        }
    }
    ok(lstm__session_create(&p->session, p->model, true, true, batch, 0, 9));
    p->session->fixed_update = true;
    p->batch = (lstm__batch){.layout = LSTM_LAYOUT_BATCH_FIRST, .samples = batch, .count = batch,
                             .inputs = (const float *const *)p->inputs, .targets = (const float *const *)p->targets};
    if (loss && loss->reduction != 0) { /* per step, the third one left out */
        const size_t rows = batch * (size_t)steps;
        p->weights = malloc(rows * sizeof *p->weights);
        for (size_t k = 0; k < rows; k++)
            p->weights[k] = k == 2 ? 0 : (float)(0.5 + lstm__random_uniform(14, 1, k));
        p->batch.weights = p->weights;
        p->batch.weights_per_step = true;
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
        lstm__session_import(p->session, shape, port->gradient, LSTM_LAYOUT_BATCH_FIRST, p->targets[k]);
        port->written = true;
        for (size_t b = 0; b < p->batch.count; b++)
            for (size_t t = 0; t < steps; t++)
                for (size_t f = 0; f < features; f++)
                    sum += port->value.data[(t * p->batch.count + b) * port->value.stride + f]
                           * (double)p->targets[k][(b * steps + t) * features + f];
    }
    return sum;
}

static double quotient(double m2, double m1, double p1, double p2)
{
    return (8 * (p1 - m1) - (p2 - m2)) / (12 * STEP);
}

static double slope_of_value(problem *p, double *value)
{
    const double at = *value;
    double f[4];
    for (int k = 0; k < 4; k++) {
        *value = at + STEP * (k < 2 ? k - 2 : k - 1);
        lstm__graph_changed(p->model);
        f[k] = objective(p);
    }
    *value = at;
    lstm__graph_changed(p->model);
    return quotient(f[0], f[1], f[2], f[3]);
}

static double slope_of_input(problem *p, float *value)
{
    const float at = *value;
    double f[4];
    for (int k = 0; k < 4; k++) {
        *value = at + (float)(STEP * (k < 2 ? k - 2 : k - 1));
        f[k] = objective(p);
    }
    *value = at;
    return quotient(f[0], f[1], f[2], f[3]);
}

static void compare(const problem *p, const char *what, const double *found, const double *expected, size_t count)
{
    double largest = 1e-3;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(expected[k]));
    for (size_t k = 0; k < count; k++)
        if (!(fabs(found[k] - expected[k]) <= TOLERANCE * largest))
            fail_msg("%s: %s: value %zu of %zu: gradient %.12g, finite difference %.12g", p->name, what, k, count, found[k],
                     expected[k]);
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
        lstm__session_export(p->session, node->shapes[0], lstm__session_own(p->session, node, 0)->gradient,
                             LSTM_LAYOUT_BATCH_FIRST, input_gradients[input]);
        input++;
    }
    for (size_t k = 0; k < p->model->parameter_count; k++) {
        const lstm__parameter *parameter = &p->model->parameters[k];
        const size_t count = lstm__parameter_size(parameter);
        for (size_t v = 0; v < count; v++) {
            found[v] = gradients[parameter->offset + v];
            expected[v] = slope_of_value(p, &p->model->values[parameter->offset + v]);
        }
        /* PyTorch's second bias has the same gradient as the first, and both were moved alone: nothing special. */
        compare(p, parameter->name, found, expected, count);
    }
    for (size_t input = 0; input < MOST_ARRAYS && input_gradients[input]; input++) {
        for (size_t v = 0; v < p->input_sizes[input]; v++) {
            found[v] = (double)input_gradients[input][v];
            expected[v] = slope_of_input(p, &p->inputs[input][v]);
        }
        compare(p, "input", found, expected, p->input_sizes[input]);
        free(input_gradients[input]);
    }
    free(gradients);
}

static void run(const char *name, recipe make, int32_t profile, const lstm__loss *loss)
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

static void test_recurrent_layers_back_propagate_through_every_option(void **state)
{
    static const struct {
        const char *name;
        recipe make;
    } cases[] = {{"last output", lstm_last},           {"sequences", lstm_sequences},
                 {"backwards", lstm_backwards},        {"wide input", lstm_wide_input},
                 {"wide backwards", lstm_wide_backwards}, {"no bias", lstm_no_bias},
                 {"all states", lstm_all_states},      {"initial state", lstm_initial_state},
                 {"encoder-decoder", encoder_decoder}, {"stack with repeat", stack_with_repeat},
                 {"a layer read twice", read_twice},   {"reshape and flatten", shapes},
                 {"dropout", dropout}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        run(cases[k].name, cases[k].make, LSTM_PROFILE_KERAS, NULL);
        run(cases[k].name, cases[k].make, LSTM_PROFILE_TORCH, NULL);
    }
}

static int32_t chosen_activation;
static void dense_on_sequence(lstm_model *model, int64_t steps)
{
    dense(model, chosen_activation, 3, dense(model, LSTM_ACTIVATION_TANH, 4, sequence(model, steps, 2)));
}
static void activation_layer(lstm_model *model, int64_t steps)
{
    const lstm_layer *a = dense(model, LSTM_ACTIVATION_LINEAR, 3, sequence(model, steps, 2));
    add(model, &lstm__class_activation, &(lstm_activation_options){.activation = chosen_activation}, a);
}

static void test_every_activation_back_propagates(void **state)
{
    (void)state;
    for (chosen_activation = LSTM_ACTIVATION_LINEAR; chosen_activation <= LSTM_ACTIVATION_HARD_SIGMOID;
         chosen_activation++) {
        run("Dense", dense_on_sequence, LSTM_PROFILE_KERAS, NULL);
        run("Activation", activation_layer, LSTM_PROFILE_KERAS, NULL);
    }
}

static void test_every_loss_back_propagates(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_LOSS_MSE; kind <= LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY; kind++)
        for (int logits = 0; logits < 2; logits++) {
            const lstm__loss loss = {.kind = kind, .from_logits = logits, .delta = 0.4};
            const bool binary = kind == LSTM_LOSS_BINARY_CROSSENTROPY;
            if (logits && kind < LSTM_LOSS_BINARY_CROSSENTROPY)
                continue;
            chosen_activation = logits || kind < LSTM_LOSS_BINARY_CROSSENTROPY ? LSTM_ACTIVATION_LINEAR
                                : binary ? LSTM_ACTIVATION_SIGMOID : LSTM_ACTIVATION_SOFTMAX;
            run("loss behind Dense", dense_on_sequence, LSTM_PROFILE_KERAS, &loss);
            run("loss behind Activation", activation_layer, LSTM_PROFILE_KERAS, &loss);
            if (!logits && kind >= LSTM_LOSS_BINARY_CROSSENTROPY) {
                chosen_activation = binary ? LSTM_ACTIVATION_HARD_SIGMOID : LSTM_ACTIVATION_SOFTPLUS;
                run("loss on bare probabilities", dense_on_sequence, LSTM_PROFILE_KERAS, &loss);
            }
        }
}

static void four_units(lstm_model *model, int64_t steps)
{
    dense(model, chosen_activation, 4, dense(model, LSTM_ACTIVATION_TANH, 4, sequence(model, steps, 2)));
}

static void test_every_later_loss_back_propagates(void **state)
{
    static const struct {
        const char *name;
        int32_t kind, activation;
        bool logits;
    } cases[] = {{"mape", LSTM_LOSS_MAPE, LSTM_ACTIVATION_LINEAR, false},
                 {"msle", LSTM_LOSS_MSLE, LSTM_ACTIVATION_SOFTPLUS, false},
                 {"log_cosh", LSTM_LOSS_LOG_COSH, LSTM_ACTIVATION_LINEAR, false},
                 {"binary focal", LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_SIGMOID, false},
                 {"binary focal from logits", LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_LINEAR, true},
                 {"categorical focal", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_SOFTMAX, false},
                 {"categorical focal on bare values", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_SOFTPLUS, false},
                 {"categorical focal from logits", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, LSTM_ACTIVATION_LINEAR, true},
                 {"kl_divergence", LSTM_LOSS_KL_DIVERGENCE, LSTM_ACTIVATION_SOFTMAX, false},
                 {"poisson", LSTM_LOSS_POISSON, LSTM_ACTIVATION_SOFTPLUS, false},
                 {"cosine", LSTM_LOSS_COSINE_SIMILARITY, LSTM_ACTIVATION_LINEAR, false},
                 {"hinge", LSTM_LOSS_HINGE, LSTM_ACTIVATION_LINEAR, false},
                 {"squared hinge", LSTM_LOSS_SQUARED_HINGE, LSTM_ACTIVATION_LINEAR, false},
                 {"categorical hinge", LSTM_LOSS_CATEGORICAL_HINGE, LSTM_ACTIVATION_LINEAR, false},
                 {"quantile", LSTM_LOSS_QUANTILE, LSTM_ACTIVATION_LINEAR, false},
                 {"gaussian", LSTM_LOSS_GAUSSIAN_NLL, LSTM_ACTIVATION_LINEAR, false}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int32_t reduction = 0; reduction <= LSTM_REDUCTION_WEIGHTED_MEAN; reduction++) {
            const lstm__loss loss = {.kind = cases[k].kind, .from_logits = cases[k].logits, .delta = 1, .gamma = 2.5,
                                     .alpha = 0.3, .balanced = reduction == LSTM_REDUCTION_SUM, .reduction = reduction,
                                     .quantile_count = 2, .quantiles = {0.125f, 0.75f}};
            chosen_activation = cases[k].activation;
            run(cases[k].name, four_units, LSTM_PROFILE_KERAS, &loss);
        }
}

static void test_smoothed_and_weighted_entropies_back_propagate(void **state)
{
    (void)state;
    for (int32_t kind = LSTM_LOSS_BINARY_CROSSENTROPY; kind <= LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY; kind++)
        for (int32_t reduction = LSTM_REDUCTION_MEAN; reduction <= LSTM_REDUCTION_WEIGHTED_MEAN; reduction++)
            for (int form = 0; form < 3; form++) { /* from logits, through the activation, on bare probabilities */
                const lstm__loss loss = {.kind = kind, .from_logits = form == 0, .smoothing = 0.2, .reduction = reduction,
                                         .quantile_count = 1};
                const bool binary = kind == LSTM_LOSS_BINARY_CROSSENTROPY;
                chosen_activation = form == 0   ? LSTM_ACTIVATION_LINEAR
                                    : form == 1 ? (binary ? LSTM_ACTIVATION_SIGMOID : LSTM_ACTIVATION_SOFTMAX)
                                                : (binary ? LSTM_ACTIVATION_HARD_SIGMOID : LSTM_ACTIVATION_SOFTPLUS);
                run("smoothed entropy", four_units, LSTM_PROFILE_KERAS, &loss);
            }
}

static void penalised(lstm_model *model, int64_t steps)
{
    lstm_layer *a = NULL;
    const lstm_lstm_options options = {.units = 3, .return_sequences = LSTM_YES};
    const lstm_layer *x = sequence(model, steps, 2);
    ok(lstm__graph_add(model, &lstm__class_lstm, &options, NULL, &x, 1, &a));
    a->node->penalties[LSTM__PENALTY_KERNEL] = (lstm__penalty){.l2 = 0.1};
    a->node->penalties[LSTM__PENALTY_RECURRENT] = (lstm__penalty){.l1 = 0.05, .l2 = 0.02};
    a->node->penalties[LSTM__PENALTY_BIAS] = (lstm__penalty){.l2 = 0.3};
    dense(model, LSTM_ACTIVATION_LINEAR, 3, a);
}

static void test_penalties_belong_to_the_loss_and_its_gradient(void **state)
{
    const lstm__loss loss = {.kind = LSTM_LOSS_MSE, .quantile_count = 1};
    (void)state;
    run("penalties", penalised, LSTM_PROFILE_KERAS, &loss);
    run("penalties", penalised, LSTM_PROFILE_TORCH, &loss);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_later_loss_back_propagates),
        cmocka_unit_test(test_smoothed_and_weighted_entropies_back_propagate),
        cmocka_unit_test(test_penalties_belong_to_the_loss_and_its_gradient),
        cmocka_unit_test(test_recurrent_layers_back_propagate_through_every_option),
        cmocka_unit_test(test_every_activation_back_propagates),
        cmocka_unit_test(test_every_loss_back_propagates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
