/* SPDX-License-Identifier: MIT
 * GRU and SimpleRNN under the PyTorch profile against the real PyTorch, from
 * ../shared/golden/torch: outputs, last states and gradients (1e-5, 1e-4 relative) of nn.RNN and of
 * a bidirectional nn.GRU of two layers.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t dimension(const golden_case *golden, const char *array, size_t index)
{
    return json_integer_value(
        json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), index));
}

/* The array of our "gru.weight_ih_l0": PREFIX.weight_ih_l0. */
static float *parameter_array(const golden_case *golden, const lstm_model *model, size_t parameter,
                              const char *prefix, size_t *count)
{
    char name[96];
    lstm_parameter_info info = {.struct_size = sizeof info};
    assert_ok(lstm_model_parameter_info(model, parameter, &info));
    snprintf(name, sizeof name, "%s.%s", prefix, strchr(info.name, '.') + 1);
    float *values = golden_array(golden, name, count);
    assert_non_null(values);
    assert_int_equal(*count, info.count);
    return values;
}

static void load_parameters(const golden_case *golden, lstm_model *model)
{
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        size_t count = 0;
        float *values = parameter_array(golden, model, k, "w", &count);
        assert_ok(lstm_model_set_parameter(model, k, values, count));
        free(values);
    }
}

static void check_gradients(const golden_case *golden, const lstm_model *model,
                            const lstm_session *session)
{
    size_t count = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(model); k++) {
        float *expected = parameter_array(golden, model, k, "g", &count);
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
    const lstm_model_options profile = {.struct_size = sizeof profile,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .features = dimension(&golden, "x", 2)};
    const lstm_simple_rnn_options options = {.struct_size = sizeof options,
                                             .units = dimension(&golden, "hn", 2),
                                             .activation = activation,
                                             .return_sequences = LSTM_YES};
    assert_ok(lstm_model_create(&model, NULL, &profile));
    assert_ok(lstm_model_add_input(model, &input, NULL));
    assert_ok(lstm_model_add_simple_rnn(model, &options, NULL, &layer));
    assert_ok(lstm_layer_state(layer, &h, NULL));
    assert_int_equal(lstm_layer_state(layer, &h, &layer), LSTM_ERROR_ARGUMENT);
    const lstm_layer *outputs[2] = {layer, h};
    assert_ok(lstm_model_set_outputs(model, outputs, 2));
    assert_ok(lstm_model_build(model));
    load_parameters(&golden, model);
    float *x = golden_array(&golden, "x", &count);
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = dimension(&golden, "x", 1),
                            .x = x,
                            .x_count = count};
    const lstm_session_options plan = {.struct_size = sizeof plan,
                                       .training = LSTM_YES,
                                       .batch = data.samples,
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

enum { GRU_LAYERS = 2, GRU_CELLS = 2 * GRU_LAYERS };

typedef struct stack {
    lstm_model *model;
    lstm_layer *cells[GRU_CELLS]; /* forward and backward of each layer: PyTorch's order of hn */
} stack;

/* nn.GRU(num_layers=2, bidirectional=True): outputs are y and the last states of all cells, inputs
 * x and their first states. */
static stack build_stack(const golden_case *golden)
{
    stack s = {NULL, {NULL}};
    const int64_t units = dimension(golden, "hn", 2);
    const lstm_model_options profile = {.struct_size = sizeof profile,
                                        .profile = LSTM_PROFILE_TORCH};
    const lstm_input_options input = {.struct_size = sizeof input,
                                      .features = dimension(golden, "x", 2)};
    const lstm_input_options state = {
        .struct_size = sizeof state, .features = units, .vector = LSTM_YES};
    const lstm_layer *outputs[1 + GRU_CELLS] = {NULL};
    lstm_layer *previous = NULL;
    assert_ok(lstm_model_create(&s.model, NULL, &profile));
    assert_ok(lstm_model_add_input(s.model, &input, &previous));
    for (int k = 0; k < GRU_CELLS; k++) {
        lstm_layer *h0 = NULL;
        lstm_layer *h = NULL;
        assert_ok(lstm_model_add_input(s.model, &state, &h0));
        const lstm_gru_options options = {.struct_size = sizeof options,
                                          .units = units,
                                          .initial_h = h0,
                                          .return_sequences = LSTM_YES,
                                          .go_backwards = k % 2 ? LSTM_YES : LSTM_NO};
        assert_ok(lstm_model_add_gru(s.model, &options, previous, &s.cells[k]));
        assert_ok(lstm_layer_state(s.cells[k], &h, NULL));
        outputs[1 + k] = h;
        if (k % 2 == 0)
            continue;
        const lstm_bidirectional_options both = {.struct_size = sizeof both,
                                                 .forward = s.cells[k - 1],
                                                 .backward = s.cells[k],
                                                 .name = k < 2 ? "first" : "second"};
        assert_ok(lstm_model_add_bidirectional(s.model, &both, NULL, &previous));
    }
    outputs[0] = previous;
    assert_ok(lstm_model_set_outputs(s.model, outputs, 1 + GRU_CELLS));
    assert_ok(lstm_model_build(s.model));
    return s;
}

/* Our "second.weight_ih_l0_reverse" is PyTorch's "weight_ih_l1_reverse". */
static float *stack_array(const golden_case *golden, const stack *s, size_t parameter,
                          const char *prefix, size_t *count)
{
    char name[96];
    lstm_parameter_info info = {.struct_size = sizeof info};
    assert_ok(lstm_model_parameter_info(s->model, parameter, &info));
    snprintf(name, sizeof name, "%s.%s", prefix, strchr(info.name, '.') + 1);
    if (strncmp(info.name, "second", 6) == 0)
        *strchr(strstr(name, "_l0"), '0') = '1';
    float *values = golden_array(golden, name, count);
    assert_non_null(values);
    assert_int_equal(*count, info.count);
    return values;
}

static void check_output(const golden_case *golden, lstm_session *session, const char *name,
                         const char *weights, size_t first, size_t outputs)
{
    size_t count = 0;
    float *expected = golden_array(golden, name, &count);
    float *r = golden_array(golden, weights, &count);
    const size_t each = count / outputs;
    float *found = malloc(each * sizeof *found);
    for (size_t k = 0; k < outputs; k++) {
        assert_ok(lstm_session_output(session, first + k, found, each));
        assert_close(name, found, expected + k * each, each, 1e-5, 0);
        assert_ok(lstm_session_set_output_gradient(session, first + k, r + k * each, each));
    }
    free(found);
    free(r);
    free(expected);
}

static void check_stack_gradients(const golden_case *golden, const stack *s,
                                  const lstm_session *session)
{
    size_t count = 0;
    for (size_t k = 0; k < lstm_model_parameter_count(s->model); k++) {
        float *expected = stack_array(golden, s, k, "g", &count);
        float *found = malloc(count * sizeof *found);
        assert_ok(lstm_session_parameter_gradient(session, k, found, count));
        assert_close("parameter gradient", found, expected, count, 0, 1e-4);
        free(found);
        free(expected);
    }
    float *expected = golden_array(golden, "gh0", &count);
    float *found = malloc(count * sizeof *found);
    for (size_t k = 0; k < GRU_CELLS; k++)
        assert_ok(lstm_session_input_gradient(session, 1 + k, found + k * count / GRU_CELLS,
                                              count / GRU_CELLS));
    assert_close("gh0", found, expected, count, 0, 1e-4);
    free(found);
    free(expected);
    expected = golden_array(golden, "gx", &count);
    found = malloc(count * sizeof *found);
    assert_ok(lstm_session_input_gradient(session, 0, found, count));
    assert_close("gx", found, expected, count, 0, 1e-4);
    free(found);
    free(expected);
}

static void test_stacked_bidirectional_gru_equals_pytorch(void **state)
{
    golden_case golden;
    lstm_session *session = NULL;
    size_t count = 0;
    const float *inputs[1 + GRU_CELLS];
    size_t sizes[1 + GRU_CELLS];
    (void)state;
    if (!golden_available())
        skip();
    golden_open(&golden, "torch", "gru2_bidirectional");
    stack s = build_stack(&golden);
    for (size_t k = 0; k < lstm_model_parameter_count(s.model); k++) {
        float *values = stack_array(&golden, &s, k, "w", &count);
        assert_ok(lstm_model_set_parameter(s.model, k, values, count));
        free(values);
    }
    float *x = golden_array(&golden, "x", &sizes[0]);
    float *h0 = golden_array(&golden, "h0", &count);
    inputs[0] = x;
    for (size_t k = 0; k < GRU_CELLS; k++) {
        sizes[1 + k] = count / GRU_CELLS;
        inputs[1 + k] = h0 + k * sizes[1 + k];
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = LSTM_LAYOUT_TIME_FIRST,
                            .samples = dimension(&golden, "x", 1),
                            .inputs = inputs,
                            .input_sizes = sizes,
                            .input_count = 1 + GRU_CELLS};
    const lstm_session_options plan = {.struct_size = sizeof plan,
                                       .training = LSTM_YES,
                                       .batch = data.samples,
                                       .steps = dimension(&golden, "x", 0)};
    assert_ok(lstm_session_create(&session, s.model, &plan));
    assert_ok(lstm_session_forward(session, &data));
    check_output(&golden, session, "y", "r", 0, 1);
    check_output(&golden, session, "hn", "r_hn", 1, GRU_CELLS);
    assert_ok(lstm_session_backward(session));
    check_stack_gradients(&golden, &s, session);
    print_message("%-28s equal\n", "gru2_bidirectional");
    free(x);
    free(h0);
    lstm_session_destroy(session);
    lstm_model_destroy(s.model);
    golden_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_rnn_equals_pytorch),
        cmocka_unit_test(test_stacked_bidirectional_gru_equals_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
