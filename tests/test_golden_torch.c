/* SPDX-License-Identifier: MIT
 * The PyTorch profile against the real PyTorch: nn.LSTM's outputs, final states and gradients
 * (1e-5, 1e-4 relative), and ten steps of each optimizer (1e-3 relative), from
 * ../shared/golden/torch and torch_train.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = 3 };

typedef struct network {
    lstm_model *model;
    lstm_layer *layers[MOST_LAYERS];
    int layer_count;
    bool states; /* h0 and c0 are inputs */
} network;

static int64_t dimension(const golden_case *golden, const char *array, size_t index)
{
    return json_integer_value(
        json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), index));
}

static lstm_layer *state_input(lstm_model *model, const char *stem, int layer, int64_t units)
{
    char name[16];
    lstm_layer *out = NULL;
    snprintf(name, sizeof name, "%s_%d", stem, layer);
    const lstm_input_options options = {
        .struct_size = sizeof options, .vector = LSTM_YES, .features = units, .name = name};
    assert_ok(lstm_model_add_input(model, &options, &out));
    return out;
}

/* A stack of LSTM layers as nn.LSTM(num_layers) is, with every layer's last states as outputs
 * behind the sequence. */
static network build(const golden_case *golden)
{
    network n = {.states = json_object_get(json_object_get(golden->json, "arrays"), "h0") != NULL};
    const int64_t units = dimension(golden, "hn", 2);
    const int bias = json_object_get(json_object_get(golden->json, "arrays"), "w.bias_ih_l0") !=
                     NULL;
    const lstm_layer *outputs[1 + 2 * MOST_LAYERS] = {NULL};
    lstm_layer *previous = NULL;
    n.layer_count = (int)dimension(golden, "hn", 0);
    const lstm_model_options profile = {.struct_size = sizeof profile,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .features = dimension(golden, "x", 2)};
    assert_ok(lstm_model_create(&n.model, NULL, &profile));
    assert_ok(lstm_model_add_input(n.model, &input, &previous));
    for (int k = 0; k < n.layer_count; k++) {
        lstm_lstm_options options = {.struct_size = sizeof options,
                                     .units = units,
                                     .return_sequences = LSTM_YES,
                                     .use_bias = bias ? LSTM_YES : LSTM_NO};
        if (n.states) {
            options.initial_h = state_input(n.model, "h", k, units);
            options.initial_c = state_input(n.model, "c", k, units);
        }
        assert_ok(lstm_model_add_lstm(n.model, &options, previous, &n.layers[k]));
        lstm_layer *h = NULL;
        lstm_layer *c = NULL;
        assert_ok(lstm_layer_state(n.layers[k], &h, &c));
        outputs[1 + k] = h;
        outputs[1 + n.layer_count + k] = c;
        previous = n.layers[k];
    }
    outputs[0] = previous;
    assert_ok(lstm_model_set_outputs(n.model, outputs, (size_t)(1 + 2 * n.layer_count)));
    assert_ok(lstm_model_build(n.model));
    return n;
}

/* Our "lstm_1.weight_ih_l0" is PyTorch's "weight_ih_l1". */
static void torch_name(const network *n, size_t parameter, const char *prefix, char *name,
                       size_t size)
{
    lstm_parameter_info info = {.struct_size = sizeof info};
    int layer = 0;
    assert_ok(lstm_model_parameter_info(n->model, parameter, &info));
    while (n->layers[layer] != info.layer)
        layer++;
    const char *last = strchr(info.name, '.') + 1;
    snprintf(name, size, "%s.%.*s%d", prefix, (int)strlen(last) - 1, last, layer);
}

static void load_weights(const golden_case *golden, const network *n)
{
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        char name[64];
        size_t count = 0;
        torch_name(n, k, "w", name, sizeof name);
        float *values = golden_array(golden, name, &count);
        assert_non_null(values);
        assert_ok(lstm_model_set_parameter(n->model, k, values, count));
        free(values);
    }
}

/* Outputs are the sequence, then each layer's h, then each layer's c; PyTorch stacks the layers
 * into hn and cn. */
static void check_outputs(const golden_case *golden, const network *n, lstm_session *session,
                          int64_t batch, int64_t units)
{
    const size_t each = (size_t)(batch * units);
    static const char *const names[2][2] = {{"hn", "r_hn"}, {"cn", "r_cn"}};
    size_t count = 0;
    float *y = golden_array(golden, "y", &count);
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_session_output(session, 0, found, count));
    assert_close("y", found, y, count, 1e-5, 0);
    free(y);
    y = golden_array(golden, "r", &count);
    assert_ok(lstm_session_set_output_gradient(session, 0, y, count));
    free(y);
    for (int kind = 0; kind < 2; kind++) {
        float *states = golden_array(golden, names[kind][0], &count);
        float *weights = golden_array(golden, names[kind][1], &count);
        for (int k = 0; k < n->layer_count; k++) {
            const size_t output = (size_t)(1 + kind * n->layer_count + k);
            assert_ok(lstm_session_output(session, output, found, each));
            assert_close(names[kind][0], found, states + (size_t)k * each, each, 1e-5, 0);
            assert_ok(lstm_session_set_output_gradient(session, output, weights + (size_t)k * each,
                                                       each));
        }
        free(states);
        free(weights);
    }
    free(found);
}

static void check_gradients(const golden_case *golden, const network *n,
                            const lstm_session *session)
{
    for (size_t k = 0; k < lstm_model_parameter_count(n->model); k++) {
        char name[64];
        size_t count = 0;
        torch_name(n, k, "g", name, sizeof name);
        float *expected = golden_array(golden, name, &count);
        float *found = malloc((count + 1) * sizeof *found);
        assert_ok(lstm_session_parameter_gradient(session, k, found, count));
        assert_close(name, found, expected, count, 0, 1e-4);
        free(found);
        free(expected);
    }
    size_t count = 0;
    float *expected = golden_array(golden, "gx", &count);
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_session_input_gradient(session, 0, found, count));
    assert_close("gx", found, expected, count, 0, 1e-4);
    free(found);
    free(expected);
}

static void check_state_gradients(const golden_case *golden, const network *n,
                                  const lstm_session *session, size_t each)
{
    static const char *const names[2] = {"gh0", "gc0"};
    for (size_t kind = 0; kind < 2; kind++) {
        size_t count = 0;
        float *expected = golden_array(golden, names[kind], &count);
        float *found = malloc((each + 1) * sizeof *found);
        for (size_t k = 0; k < (size_t)n->layer_count; k++) {
            assert_ok(lstm_session_input_gradient(session, 1 + 2 * k + kind, found, each));
            assert_close(names[kind], found, expected + k * each, each, 0, 1e-4);
        }
        free(found);
        free(expected);
    }
}

static void run_forward_case(const char *name)
{
    golden_case golden;
    golden_open(&golden, "torch", name);
    network n = build(&golden);
    lstm_session *session = NULL;
    const int64_t steps = dimension(&golden, "x", 0);
    const int64_t batch = dimension(&golden, "x", 1);
    const int64_t units = dimension(&golden, "hn", 2);
    const size_t each = (size_t)(batch * units);
    float *arrays[1 + 2 * MOST_LAYERS] = {NULL};
    size_t sizes[1 + 2 * MOST_LAYERS] = {0};
    size_t h_count = 0;
    load_weights(&golden, &n);
    arrays[0] = golden_array(&golden, "x", &sizes[0]);
    float *h0 = n.states ? golden_array(&golden, "h0", &h_count) : NULL;
    float *c0 = n.states ? golden_array(&golden, "c0", &h_count) : NULL;
    for (int k = 0; n.states && k < n.layer_count; k++) {
        arrays[1 + 2 * k] = h0 + (size_t)k * each;
        arrays[2 + 2 * k] = c0 + (size_t)k * each;
        sizes[1 + 2 * k] = sizes[2 + 2 * k] = each;
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = batch,
                            .inputs = (const float *const *)arrays,
                            .input_sizes = sizes,
                            .input_count = n.states ? 1 + 2 * (size_t)n.layer_count : 1};
    const lstm_session_options options = {
        .struct_size = sizeof options, .training = LSTM_YES, .batch = batch, .steps = steps};
    assert_ok(lstm_session_create(&session, n.model, &options));
    assert_ok(lstm_session_forward(session, &data));
    check_outputs(&golden, &n, session, batch, units);
    assert_ok(lstm_session_backward(session));
    check_gradients(&golden, &n, session);
    if (n.states)
        check_state_gradients(&golden, &n, session, each);
    print_message("%-28s equal\n", name);
    free(arrays[0]);
    free(h0);
    free(c0);
    lstm_session_destroy(session);
    lstm_model_destroy(n.model);
    golden_close(&golden);
}

static void test_outputs_states_and_gradients_equal_those_of_pytorch(void **state)
{
    static const char *const names[] = {"lstm1", "lstm1_no_bias", "lstm3", "lstm_long",
                                        "lstm_wide"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_forward_case(names[k]);
}

/* ---- Training */

static double number(const json_t *optimizer, const char *key)
{
    return json_number_value(json_object_get(optimizer, key));
}

static lstm_optimizer_options read_optimizer(const golden_case *golden, int32_t kind)
{
    const json_t *o = json_object_get(golden->json, "optimizer");
    const json_t *betas = json_object_get(o, "betas");
    lstm_optimizer_options options = {.struct_size = sizeof options, .optimizer = kind};
    options.learning_rate = number(o, "lr");
    options.momentum = number(o, "momentum");
    options.dampening = number(o, "dampening");
    options.rho = number(o, "alpha") + number(o, "rho");
    options.beta_1 = json_number_value(json_array_get(betas, 0));
    options.beta_2 = json_number_value(json_array_get(betas, 1));
    options.epsilon = number(o, "eps");
    options.weight_decay = number(o, "weight_decay");
    options.nesterov = json_is_true(json_object_get(o, "nesterov")) ? LSTM_YES : LSTM_NO;
    options.centered = json_is_true(json_object_get(o, "centered")) ? LSTM_YES : LSTM_NO;
    options.momentum_decay = number(o, "momentum_decay");
    options.rate_decay = number(o, "lr_decay");
    options.initial_accumulator = number(o, "initial_accumulator_value");
    options.max_iterations = (int32_t)number(o, "max_iter");
    options.max_evaluations = (int32_t)number(o, "max_eval");
    options.history_size = (int32_t)number(o, "history_size");
    options.tolerance_grad = number(o, "tolerance_grad");
    options.tolerance_change = number(o, "tolerance_change");
    options.amsgrad = json_is_true(json_object_get(o, "amsgrad")) ? LSTM_YES : LSTM_NO;
    if (json_is_string(json_object_get(golden->json, "clip")))
        options.global_clip_norm = 0.1;
    return options;
}

typedef struct recorder {
    double losses[64];
    size_t count;
} recorder;

static int32_t record(void *user, const lstm_progress *progress)
{
    recorder *r = user;
    if (progress->event == LSTM_PROGRESS_BATCH && r->count < 64)
        r->losses[r->count++] = progress->loss;
    return 0;
}

/* LSTM, last step, Linear: the model of every case of torch_train, with the weights from before. */
static lstm_model *training_model(const golden_case *golden)
{
    lstm_model *model = NULL;
    const lstm_model_options profile = {.struct_size = sizeof profile,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .steps = dimension(golden, "x", 1),
                                      .features = dimension(golden, "x", 2)};
    const lstm_lstm_options lstm = {.struct_size = sizeof lstm,
                                    .units = dimension(golden, "w0_1", 1)};
    const lstm_dense_options linear = {.struct_size = sizeof linear,
                                       .units = dimension(golden, "w0_5", 0)};
    assert_ok(lstm_model_create(&model, NULL, &profile));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_lstm(model, &lstm, NULL, NULL));
    assert_ok(lstm_model_add_dense(model, &linear, NULL, NULL));
    assert_ok(lstm_model_build(model));
    golden_set_parameters(golden, model, "w0_", 1);
    return model;
}

/* Train on batches in order; the losses of `steps` of them must be the wanted ones. Returns the
 * largest relative error. */
static double train(const golden_case *golden, lstm_model *model,
                    const lstm_optimizer_options *optimizer, int32_t batch, const double *wanted,
                    size_t steps)
{
    size_t x_count = 0;
    size_t y_count = 0;
    double error = 0;
    float *x = golden_array(golden, "x", &x_count);
    float *y = golden_array(golden, "y", &y_count);
    const lstm_loss_options loss = {.struct_size = sizeof loss,
                                    .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                    .from_logits = LSTM_YES};
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = dimension(golden, "x", 0),
                            .x = x,
                            .x_count = x_count,
                            .y = y,
                            .y_count = y_count};
    recorder r = {.count = 0};
    const lstm_fit_options options = {.struct_size = sizeof options,
                                      .loss = &loss,
                                      .optimizer_options = optimizer,
                                      .batch_size = batch,
                                      .max_steps = (int64_t)steps,
                                      .shuffle = LSTM_NO,
                                      .progress = record,
                                      .progress_user = &r};
    assert_ok(lstm_fit(model, &options, &data, NULL));
    assert_int_equal(r.count, steps);
    for (size_t k = 0; k < steps; k++) {
        error = fmax(error, fabs(r.losses[k] - wanted[k]) / fabs(wanted[k]));
        if (!(error <= 1e-3))
            fail_msg("loss of step %zu: %.9g, expected %.9g", k, r.losses[k], wanted[k]);
    }
    free(x);
    free(y);
    return error;
}

/* `steps`: as many as can be compared; 0 = all, and the weights after them. */
static void run_training_case(const char *name, int32_t kind, size_t steps)
{
    golden_case golden;
    golden_open(&golden, "torch_train", name);
    const lstm_optimizer_options optimizer = read_optimizer(&golden, kind);
    lstm_model *model = training_model(&golden);
    size_t count = 0;
    double wanted[64];
    double worst = 0;
    float *losses = golden_array(&golden, "losses", &count);
    assert_true(count <= 64 && steps <= count);
    for (size_t k = 0; k < count; k++)
        wanted[k] = (double)losses[k];
    const int32_t batch = (int32_t)json_integer_value(json_object_get(golden.json, "batch"));
    const double loss_error = train(&golden, model, &optimizer, batch, wanted,
                                    steps > 0 ? steps : count);
    for (size_t k = 0; steps == 0 && k < lstm_model_parameter_count(model); k++) {
        float *expected = golden_array_number(&golden, "w1_", 1, k, &count);
        float *found = malloc((count + 1) * sizeof *found);
        assert_ok(lstm_model_get_parameter(model, k, found, count));
        worst = fmax(worst, assert_close(name, found, expected, count, 0, 1e-3) /
                                largest_size(expected, count));
        free(found);
        free(expected);
    }
    if (steps > 0)
        print_message("%-28s losses %.1e relative, the first %zu\n", name, loss_error, steps);
    else
        print_message("%-28s losses %.1e, weights %.1e relative\n", name, loss_error, worst);
    free(losses);
    lstm_model_destroy(model);
    golden_close(&golden);
}

/* The golden run of L-BFGS jumps about: from its fifth batch on PyTorch itself, on another machine,
 * is off by more than 1e-3. On the whole data with short steps the run is well conditioned; these
 * losses are those of PyTorch 2.13 in double, which its float run meets within 2e-5. */
static void test_lbfgs_follows_pytorch(void **state)
{
    static const struct {
        int32_t history;
        double losses[8];
    } cases[] = {{100,
                  {1.57181547, 1.29791366, 0.842640076, 0.208475156, 0.0443771082, 0.0122580924,
                   0.00399638197, 0.0013873465}},
                 {4,
                  {1.57181547, 1.29791366, 0.838921053, 0.230075559, 0.0450721441, 0.0121952371,
                   0.00362237632, 0.00119716593}}};
    golden_case golden;
    (void)state;
    if (!golden_available())
        skip();
    golden_open(&golden, "torch_train", "lbfgs");
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const lstm_optimizer_options optimizer = {.struct_size = sizeof optimizer,
                                                  .optimizer = LSTM_OPTIMIZER_LBFGS,
                                                  .learning_rate = 0.2,
                                                  .max_iterations = 5,
                                                  .max_evaluations = 6,
                                                  .history_size = cases[k].history};
        lstm_model *model = training_model(&golden);
        const double error = train(&golden, model, &optimizer, 32, cases[k].losses, 8);
        print_message("L-BFGS, %3d pairs              losses %.1e relative\n",
                      (int)cases[k].history, error);
        lstm_model_destroy(model);
    }
    golden_close(&golden);
    run_training_case("lbfgs", LSTM_OPTIMIZER_LBFGS, 4);
}

static void test_training_follows_pytorch_step_by_step(void **state)
{
    static const struct {
        const char *name;
        int32_t kind;
    } cases[] = {{"sgd", LSTM_OPTIMIZER_SGD},
                 {"sgd_momentum", LSTM_OPTIMIZER_SGD},
                 {"sgd_nesterov", LSTM_OPTIMIZER_SGD},
                 {"sgd_dampening_decay", LSTM_OPTIMIZER_SGD},
                 {"sgd_clip_grad_norm", LSTM_OPTIMIZER_SGD},
                 {"rmsprop", LSTM_OPTIMIZER_RMSPROP},
                 {"rmsprop_centered_momentum", LSTM_OPTIMIZER_RMSPROP},
                 {"adam", LSTM_OPTIMIZER_ADAM},
                 {"adam_decay", LSTM_OPTIMIZER_ADAM},
                 {"adam_amsgrad", LSTM_OPTIMIZER_ADAM},
                 {"adamw", LSTM_OPTIMIZER_ADAMW},
                 {"adagrad", LSTM_OPTIMIZER_ADAGRAD},
                 {"adadelta", LSTM_OPTIMIZER_ADADELTA},
                 {"adamax", LSTM_OPTIMIZER_ADAMAX},
                 {"nadam", LSTM_OPTIMIZER_NADAM},
                 {"radam", LSTM_OPTIMIZER_RADAM}};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        run_training_case(cases[k].name, cases[k].kind, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_states_and_gradients_equal_those_of_pytorch),
        cmocka_unit_test(test_training_follows_pytorch_step_by_step),
        cmocka_unit_test(test_lbfgs_follows_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
