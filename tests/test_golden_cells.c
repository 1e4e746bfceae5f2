/* SPDX-License-Identifier: MIT
 * GRU and SimpleRNN under the PyTorch profile against the real PyTorch, from ../shared/golden/torch: nn.RNN's outputs, last
 * states and gradients (1e-5, 1e-4 relative); the last states of both directions of nn.GRU's first layer.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t dimension(const golden_case *golden, const char *array, size_t index)
{
    return json_integer_value(json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), index));
}

/* The array of our "gru.weight_ih_l0": PREFIX.weight_ih_l0SUFFIX. */
static float *parameter_array(const golden_case *golden, const lstm_model *model, size_t parameter, const char *prefix,
                              const char *suffix, size_t *count)
{
    char name[96];
    lstm_parameter_info info = {.struct_size = sizeof info};
    assert_ok(lstm_model_parameter_info(model, parameter, &info));
    snprintf(name, sizeof name, "%s.%s%s", prefix, strchr(info.name, '.') + 1, suffix);
    float *values = golden_array(golden, name, count);
    assert_non_null(values);
    assert_int_equal(*count, info.count);
    return values;
}

static void load_parameters(const golden_case *golden, lstm_model *model, const char *suffix)
{
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        float *values = parameter_array(golden, model, k, "w", suffix, &count);
        assert_ok(lstm_model_set_parameter(model, k, values, count));
        free(values);
    }
}

static void check_gradients(const golden_case *golden, const lstm_model *model, const lstm_session *session)
{
    size_t count = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        float *expected = parameter_array(golden, model, k, "g", "", &count);
        float *found = malloc(count * sizeof *found);
        assert_ok(lstm_session_parameter_gradient(session, k, found, count));
        assert_close("parameter gradient", found, expected, count, 0, 1e-4);
        free(found);
        free(expected);
    }
    float *expected = golden_array(golden, "gx", &count);
    float *found = malloc(count * sizeof *found);
    assert_ok(lstm_session_input_gradient(session, 0, found, count));
    assert_close("gx", found, expected, count, 0, 1e-4);
    free(found);
    free(expected);
}

static void run_rnn(const char *name, int32_t activation)
{
    static const char *const arrays[2][2] = {{"y", "r"}, {"hn", "r_hn"}};
    golden_case golden;
    lstm_model *model = NULL;
    lstm_session *session = NULL;
    lstm_layer *h = NULL;
    lstm_layer *layer = NULL;
    size_t count = 0;
    golden_open(&golden, "torch", name);
    const lstm_model_options profile = {.struct_size = sizeof profile, .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input, .features = dimension(&golden, "x", 2)};
    const lstm_simple_rnn_options options = {.struct_size = sizeof options, .units = dimension(&golden, "hn", 2),
                                             .activation = activation, .return_sequences = LSTM_YES};
    assert_ok(lstm_model_create(&model, NULL, &profile));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_simple_rnn(model, &options, NULL, &layer));
    assert_ok(lstm_layer_state(layer, &h, NULL));
    assert_int_equal(lstm_layer_state(layer, &h, &layer), LSTM_ERROR_ARGUMENT);
    const lstm_layer *outputs[2] = {layer, h};
    assert_ok(lstm_model_set_outputs(model, outputs, 2));
    assert_ok(lstm_model_build(model));
    load_parameters(&golden, model, "");
    float *x = golden_array(&golden, "x", &count);
    const lstm_data data = {.struct_size = sizeof data, .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = dimension(&golden, "x", 1), .x = x, .x_count = count};
    const lstm_session_options plan = {.struct_size = sizeof plan, .training = LSTM_YES, .batch = data.samples,
                                       .steps = dimension(&golden, "x", 0)};
    assert_ok(lstm_session_create(&session, model, &plan));
    assert_ok(lstm_session_forward(session, &data));
    for (size_t k = 0; k < 2; k++) {
        float *expected = golden_array(&golden, arrays[k][0], &count);
        float *weights = golden_array(&golden, arrays[k][1], &count);
        float *found = malloc(count * sizeof *found);
        assert_ok(lstm_session_output(session, k, found, count));
        assert_close(arrays[k][0], found, expected, count, 1e-5, 0);
        assert_ok(lstm_session_set_output_gradient(session, k, weights, count));
        free(found);
        free(weights);
        free(expected);
    }
    assert_ok(lstm_session_backward(session));
    check_gradients(&golden, model, session);
    print_message("%-28s equal\n", name);
    free(x);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_simple_rnn_equals_pytorch(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    run_rnn("rnn_tanh", LSTM_ACTIVATION_TANH);
    run_rnn("rnn_relu", LSTM_ACTIVATION_RELU);
}

/* One direction of the first layer: its last state is hn[direction]. */
static void run_gru(int direction)
{
    golden_case golden;
    lstm_model *model = NULL;
    size_t x_count = 0;
    size_t count = 0;
    golden_open(&golden, "torch", "gru2_bidirectional");
    const int64_t batch = dimension(&golden, "x", 1);
    const int64_t units = dimension(&golden, "hn", 2);
    const size_t each = (size_t)(batch * units);
    const lstm_model_options profile = {.struct_size = sizeof profile, .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input, .features = dimension(&golden, "x", 2)};
    const lstm_input_options state = {.struct_size = sizeof state, .features = units, .vector = LSTM_YES};
    lstm_layer *x = NULL;
    lstm_layer *h0 = NULL;
    assert_ok(lstm_model_create(&model, NULL, &profile));
    assert_ok(lstm_model_add_input(model, &input, &x));
    assert_ok(lstm_model_add_input(model, &state, &h0));
    const lstm_gru_options options = {.struct_size = sizeof options, .units = units, .initial_h = h0,
                                      .go_backwards = direction ? LSTM_YES : LSTM_NO};
    assert_ok(lstm_model_add_gru(model, &options, x, NULL));
    assert_ok(lstm_model_build(model));
    load_parameters(&golden, model, direction ? "_reverse" : "");
    float *values = golden_array(&golden, "x", &x_count);
    float *states = golden_array(&golden, "h0", &count);
    float *expected = golden_array(&golden, "hn", &count);
    float *found = malloc(each * sizeof *found);
    const float *inputs[2] = {values, states + (size_t)direction * each};
    const size_t sizes[2] = {x_count, each};
    const lstm_data data = {.struct_size = sizeof data, .layout = LSTM_LAYOUT_TIME_FIRST, .samples = batch, .inputs = inputs,
                            .input_sizes = sizes, .input_count = 2};
    assert_ok(lstm_predict(model, &data, found, each));
    assert_close("hn", found, expected + (size_t)direction * each, each, 1e-5, 0);
    free(values);
    free(states);
    free(expected);
    free(found);
    lstm_model_destroy(model);
    golden_close(&golden);
}

static void test_gru_equals_pytorch_in_both_directions(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    run_gru(0);
    run_gru(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_rnn_equals_pytorch),
        cmocka_unit_test(test_gru_equals_pytorch_in_both_directions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
