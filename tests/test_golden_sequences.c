/* SPDX-License-Identifier: MIT
 * Masks, lengths and both directions against the real Keras and PyTorch: outputs within 1e-5,
 * gradients within 1e-4 of the largest, for the cases of ../shared/golden that are about sequences.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One network with its session, and where gradients go. */
typedef struct network {
    lstm_model *model;
    lstm_session *session;
} network;

static void end(network *n)
{
    lstm_session_destroy(n->session);
    lstm_model_destroy(n->model);
}

static void start(network *n, int64_t batch, int64_t steps)
{
    const lstm_session_options options = {
        .struct_size = sizeof options, .training = LSTM_YES, .batch = batch, .steps = steps};
    assert_ok(lstm_session_create(&n->session, n->model, &options));
}

static double check_output(const golden_case *golden, const network *n, size_t index,
                           const char *name, size_t first, size_t part)
{
    size_t count = 0;
    float *expected = golden_array(golden, name, &count);
    assert_non_null(expected);
    count = part ? part : count;
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_session_output(n->session, index, found, count));
    const double worst = assert_close(name, found, expected + first, count, 1e-5, 0);
    free(found);
    free(expected);
    return worst;
}

static void give_gradient(const golden_case *golden, const network *n, size_t index,
                          const char *name, size_t first, size_t part)
{
    size_t count = 0;
    float *weights = golden_array(golden, name, &count);
    assert_non_null(weights);
    assert_ok(
        lstm_session_set_output_gradient(n->session, index, weights + first, part ? part : count));
    free(weights);
}

static double check_parameter(const golden_case *golden, const network *n, size_t index,
                              const char *name)
{
    size_t count = 0;
    float *expected = golden_array(golden, name, &count);
    assert_non_null(expected);
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_session_parameter_gradient(n->session, index, found, count));
    const double worst = assert_close(name, found, expected, count, 0, 1e-4) /
                         largest_size(expected, count);
    free(found);
    free(expected);
    return worst;
}

static double check_input(const golden_case *golden, const network *n, size_t index,
                          const char *name, size_t first, size_t part)
{
    size_t count = 0;
    float *expected = golden_array(golden, name, &count);
    assert_non_null(expected);
    count = part ? part : count;
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_session_input_gradient(n->session, index, found, count));
    const double worst = assert_close(name, found, expected + first, count, 0, 1e-4) /
                         largest_size(expected + first, count);
    free(found);
    free(expected);
    return worst;
}

/* ---- Keras */

static void run_keras(const char *name)
{
    golden_case golden;
    network n = {NULL, NULL};
    size_t count = 0;
    golden_open(&golden, "keras", name);
    n.model = golden_model(&golden);
    golden_set_parameters(&golden, n.model, "w", 2);
    float *x = golden_array(&golden, "x0", &count);
    const lstm_data data = {.struct_size = sizeof data, .samples = 4, .x = x, .x_count = count};
    start(&n, 4, 7);
    assert_ok(lstm_session_forward(n.session, &data));
    const double output = check_output(&golden, &n, 0, "y0", 0, 0);
    give_gradient(&golden, &n, 0, "r0", 0, 0);
    assert_ok(lstm_session_backward(n.session));
    double gradient = check_input(&golden, &n, 0, "gx0", 0, 0);
    for (size_t k = 0; k < lstm_model_parameter_count(n.model); k++) {
        char parameter[32];
        snprintf(parameter, sizeof parameter, "gw%02zu", k);
        gradient = fmax(gradient, check_parameter(&golden, &n, k, parameter));
    }
    print_message("%-30s output %.1e, gradient %.1e relative\n", name, output, gradient);
    free(x);
    end(&n);
    golden_close(&golden);
}

static void test_masking_directions_and_activations_equal_those_of_keras(void **state)
{
    static const char *const names[] = {"masking_layer",
                                        "bidirectional_concat",
                                        "bidirectional_sum",
                                        "bidirectional_mul",
                                        "bidirectional_ave",
                                        "lstm_act_elu_tanh",
                                        "lstm_act_linear_hard_sigmoid",
                                        "lstm_act_relu_hard_sigmoid",
                                        "lstm_act_softsign_sigmoid"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_keras(names[k]);
}

static void test_states_are_carried_as_by_a_stateful_layer_of_keras(void **state)
{
    (void)state;
    golden_case golden;
    network n = {NULL, NULL};
    if (!golden_available())
        skip();
    golden_open(&golden, "keras", "stateful_three_calls");
    n.model = golden_model(&golden);
    golden_set_parameters(&golden, n.model, "w", 2);
    start(&n, 4, 7);
    for (int round = 0; round < 2; round++) {
        for (size_t k = 0; k < 3; k++) {
            char name[8];
            size_t count = 0;
            float *x = golden_array_number(&golden, "x", 1, k, &count);
            const lstm_data data = {
                .struct_size = sizeof data, .samples = 4, .x = x, .x_count = count};
            assert_ok(lstm_session_forward(n.session, &data));
            snprintf(name, sizeof name, "y%d", (int)k);
            print_message("%-30s %s %.1e\n", "stateful_three_calls", name,
                          check_output(&golden, &n, 0, name, 0, 0));
            free(x);
        }
        assert_ok(lstm_session_reset_states(n.session));
    }
    end(&n);
    golden_close(&golden);
}

/* A network whose embedding is looked up here, so that its mask is ours: Keras' config without the
 * Embedding layer. */
static lstm_model *model_behind_embedding(const golden_case *golden)
{
    lstm_model *model = NULL;
    json_t *config = json_deep_copy(json_object_get(golden->json, "config"));
    json_t *layers = json_object_get(json_object_get(config, "config"), "layers");
    json_t *input = json_object_get(json_array_get(layers, 0), "config");
    json_array_remove(layers, 1);
    json_object_set_new(input, "batch_shape", json_pack("[n, i, i]", 7, 6));
    char *text = json_dumps(config, 0);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    free(text);
    json_decref(config);
    return model;
}

static void run_embedded(const char *name)
{
    enum { SAMPLES = 4, STEPS = 7, WIDTH = 6, WORDS = 13 };
    golden_case golden;
    network n = {NULL, NULL};
    size_t count = 0;
    float x[SAMPLES * STEPS * WIDTH];
    float dx[SAMPLES * STEPS * WIDTH];
    float table_gradient[WORDS * WIDTH] = {0};
    uint8_t mask[SAMPLES * STEPS];
    golden_open(&golden, "keras", name);
    n.model = model_behind_embedding(&golden);
    float *tokens = golden_array(&golden, "x0", &count);
    float *table = golden_array(&golden, "w00", &count);
    for (size_t k = 0; k < SAMPLES * STEPS; k++) {
        mask[k] = tokens[k] > 0;
        memcpy(x + k * WIDTH, table + (size_t)tokens[k] * WIDTH, WIDTH * sizeof *x);
    }
    for (size_t k = 0; k < lstm_model_parameter_count(n.model); k++) {
        float *values = golden_array_number(&golden, "w", 2, k + 1, &count);
        assert_ok(lstm_model_set_parameter(n.model, k, values, count));
        free(values);
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .x = x,
                            .x_count = SAMPLES * STEPS * WIDTH,
                            .mask = mask,
                            .mask_count = SAMPLES * STEPS};
    start(&n, SAMPLES, STEPS);
    assert_ok(lstm_session_forward(n.session, &data));
    const double output = check_output(&golden, &n, 0, "y0", 0, 0);
    give_gradient(&golden, &n, 0, "r0", 0, 0);
    assert_ok(lstm_session_backward(n.session));
    double gradient = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(n.model); k++) {
        char parameter[32];
        snprintf(parameter, sizeof parameter, "gw%02zu", k + 1);
        gradient = fmax(gradient, check_parameter(&golden, &n, k, parameter));
    }
    assert_ok(lstm_session_input_gradient(n.session, 0, dx, SAMPLES * STEPS * WIDTH));
    for (size_t k = 0; k < SAMPLES * STEPS * WIDTH; k++)
        table_gradient[(size_t)tokens[k / WIDTH] * WIDTH + k % WIDTH] += dx[k];
    float *expected = golden_array(&golden, "gw00", &count);
    assert_close("gw00", table_gradient, expected, count, 0, 1e-4);
    /* Without a tape the same. */
    float *y = golden_array(&golden, "y0", &count);
    float *found = malloc((count + 1) * sizeof *found);
    assert_ok(lstm_predict(n.model, &data, found, count));
    assert_close("predicted", found, y, count, 1e-5, 0);
    print_message("%-30s output %.1e, gradient %.1e relative\n", name, output, gradient);
    free(found);
    free(y);
    free(expected);
    free(table);
    free(tokens);
    end(&n);
    golden_close(&golden);
}

static void test_masks_of_every_kind_equal_those_of_keras(void **state)
{
    static const char *const names[] = {"embedding_mask_trail_last", "embedding_mask_trail_seq",
                                        "embedding_mask_holes_last", "embedding_mask_holes_seq",
                                        "embedding_mask_lead_last",  "embedding_mask_lead_seq",
                                        "bidirectional_masked"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        run_embedded(names[k]);
}

/* ---- PyTorch */

static int64_t dimension(const golden_case *golden, const char *array, size_t index)
{
    return json_integer_value(
        json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), index));
}

enum { MOST = 4 }; /* layers times directions */

static lstm_layer *state_input(lstm_model *model, const char *stem, int number, int64_t units)
{
    char name[16];
    lstm_layer *out = NULL;
    snprintf(name, sizeof name, "%s_%d", stem, number);
    const lstm_input_options options = {
        .struct_size = sizeof options, .vector = LSTM_YES, .features = units, .name = name};
    assert_ok(lstm_model_add_input(model, &options, &out));
    return out;
}

/* nn.LSTM with `layers` layers: sequence, then h of each layer and direction, then c. */
static void build_torch(network *n, const golden_case *golden, int layers, int directions,
                        bool states)
{
    const int64_t units = dimension(golden, "cn", 2);
    const int64_t width = dimension(golden, "hn", 2);
    const lstm_model_options profile = {.struct_size = sizeof profile,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .features = dimension(golden, "x", 2)};
    const lstm_layer *outputs[1 + 2 * MOST] = {NULL};
    lstm_layer *previous = NULL;
    const int total = layers * directions;
    assert_ok(lstm_model_create(&n->model, NULL, &profile));
    assert_ok(lstm_model_add_input(n->model, &input, &previous));
    for (int k = 0; k < layers; k++) {
        lstm_layer *parts[2] = {NULL, NULL};
        for (int d = 0; d < directions; d++) {
            lstm_layer *h = NULL;
            lstm_layer *c = NULL;
            lstm_lstm_options options = {.struct_size = sizeof options,
                                         .units = units,
                                         .proj_size = width < units ? width : 0,
                                         .return_sequences = LSTM_YES,
                                         .go_backwards = d ? LSTM_YES : LSTM_NO};
            if (states) {
                options.initial_h = state_input(n->model, "h", k * directions + d, width);
                options.initial_c = state_input(n->model, "c", k * directions + d, units);
            }
            assert_ok(lstm_model_add_lstm(n->model, &options, previous, &parts[d]));
            assert_ok(lstm_layer_state(parts[d], &h, &c));
            outputs[1 + k * directions + d] = h;
            outputs[1 + total + k * directions + d] = c;
        }
        previous = parts[0];
        if (directions == 2) {
            const lstm_bidirectional_options both = {
                .struct_size = sizeof both, .forward = parts[0], .backward = parts[1]};
            assert_ok(lstm_model_add_bidirectional(n->model, &both, NULL, &previous));
        }
    }
    outputs[0] = previous;
    assert_ok(lstm_model_set_outputs(n->model, outputs, (size_t)(1 + 2 * total)));
    assert_ok(lstm_model_build(n->model));
}

/* "bidirectional_1.weight_ih_l0_reverse" is PyTorch's "weight_ih_l1_reverse"; parameters come in
 * the order of the layers. */
static void torch_name(const network *n, size_t k, size_t each, const char *prefix, char *name,
                       size_t size)
{
    lstm_parameter_info info = {.struct_size = sizeof info};
    assert_ok(lstm_model_parameter_info(n->model, k, &info));
    const char *own = strchr(info.name, '.') + 1;
    const char *number = strstr(own, "_l0") + 2;
    snprintf(name, size, "%s.%.*s%zu%s", prefix, (int)(number - own), own, k / each, number + 1);
}

static void run_torch(const char *name, int layers, int directions, int32_t layout)
{
    golden_case golden;
    network n = {NULL, NULL};
    size_t sizes[1 + 2 * MOST] = {0};
    size_t count = 0;
    size_t length_count = 0;
    float *arrays[1 + 2 * MOST] = {NULL};
    int32_t lengths[16];
    char text[64];
    golden_open(&golden, "torch", name);
    const bool states = json_object_get(json_object_get(golden.json, "arrays"), "h0") != NULL;
    const int64_t batch = dimension(&golden, "hn", 1);
    const size_t each = (size_t)(batch * dimension(&golden, "hn", 2));
    const size_t cells = (size_t)(batch * dimension(&golden, "cn", 2));
    const size_t total = (size_t)(layers * directions);
    build_torch(&n, &golden, layers, directions, states);
    const size_t parameters = lstm_model_parameter_count(n.model);
    for (size_t k = 0; k < parameters; k++) {
        torch_name(&n, k, parameters / (size_t)layers, "w", text, sizeof text);
        float *values = golden_array(&golden, text, &count);
        assert_non_null(values);
        assert_ok(lstm_model_set_parameter(n.model, k, values, count));
        free(values);
    }
    float *x = arrays[0] = golden_array(&golden, "x", &sizes[0]);
    float *h0 = states ? golden_array(&golden, "h0", &count) : NULL;
    float *c0 = states ? golden_array(&golden, "c0", &count) : NULL;
    for (size_t k = 0; states && k < total; k++) {
        arrays[1 + 2 * k] = h0 + k * each;
        arrays[2 + 2 * k] = c0 + k * cells;
        sizes[1 + 2 * k] = each;
        sizes[2 + 2 * k] = cells;
    }
    float *given = golden_array(&golden, "lengths", &length_count);
    for (size_t k = 0; given && k < length_count; k++)
        lengths[k] = (int32_t)given[k];
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = layout,
                            .samples = batch,
                            .inputs = (const float *const *)arrays,
                            .input_sizes = sizes,
                            .input_count = states ? 1 + 2 * total : 1,
                            .lengths = given ? lengths : NULL,
                            .lengths_count = length_count};
    start(&n, batch, 64);
    assert_ok(lstm_session_forward(n.session, &data));
    double output = check_output(&golden, &n, 0, "y", 0, 0);
    give_gradient(&golden, &n, 0, "r", 0, 0);
    for (size_t k = 0; k < total; k++) {
        output = fmax(output, check_output(&golden, &n, 1 + k, "hn", k * each, each));
        output = fmax(output, check_output(&golden, &n, 1 + total + k, "cn", k * cells, cells));
        give_gradient(&golden, &n, 1 + k, "r_hn", k * each, each);
        give_gradient(&golden, &n, 1 + total + k, "r_cn", k * cells, cells);
    }
    assert_ok(lstm_session_backward(n.session));
    double gradient = check_input(&golden, &n, 0, "gx", 0, 0);
    for (size_t k = 0; k < parameters; k++) {
        torch_name(&n, k, parameters / (size_t)layers, "g", text, sizeof text);
        gradient = fmax(gradient, check_parameter(&golden, &n, k, text));
    }
    for (size_t k = 0; states && k < total; k++) {
        gradient = fmax(gradient, check_input(&golden, &n, 1 + 2 * k, "gh0", k * each, each));
        gradient = fmax(gradient, check_input(&golden, &n, 2 + 2 * k, "gc0", k * cells, cells));
    }
    print_message("%-30s output %.1e, gradient %.1e relative\n", name, output, gradient);
    free(x);
    free(h0);
    free(c0);
    free(given);
    end(&n);
    golden_close(&golden);
}

static void test_lengths_and_directions_equal_those_of_pytorch(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    run_torch("lstm1_batch_first", 1, 1, LSTM_LAYOUT_BATCH_FIRST);
    run_torch("lstm1_lengths", 1, 1, LSTM_LAYOUT_BATCH_FIRST);
    run_torch("lstm2_bidirectional", 2, 2, LSTM_LAYOUT_TIME_FIRST);
    run_torch("lstm2_bidirectional_lengths", 2, 2, LSTM_LAYOUT_TIME_FIRST);
}

static void test_projections_equal_those_of_pytorch(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    run_torch("lstm_proj", 1, 1, LSTM_LAYOUT_TIME_FIRST);
    run_torch("lstm2_proj_bidirectional", 2, 2, LSTM_LAYOUT_TIME_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masking_directions_and_activations_equal_those_of_keras),
        cmocka_unit_test(test_states_are_carried_as_by_a_stateful_layer_of_keras),
        cmocka_unit_test(test_masks_of_every_kind_equal_those_of_keras),
        cmocka_unit_test(test_lengths_and_directions_equal_those_of_pytorch),
        cmocka_unit_test(test_projections_equal_those_of_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
