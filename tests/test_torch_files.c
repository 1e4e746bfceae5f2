/* SPDX-License-Identifier: MIT
 *
 * State dicts of the real PyTorch: every case of ../shared/golden/torch that begins with zeros is
 * loaded from .pt and .safetensors and gives the recorded output within 1e-5; modules of several
 * layers and directions in descriptions keep PyTorch's names through JSON and our own files.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const cases[] = {"lstm1",         "lstm1_batch_first", "lstm1_no_bias",
                                    "lstm1_lengths", "lstm_long",         "lstm_wide",
                                    "rnn_tanh"};

static int64_t length_of(const golden_case *golden, const char *array, size_t axis)
{
    return json_integer_value(
        json_array_get(json_object_get(json_object_get(golden->json, "arrays"), array), axis));
}

static double check_output(const golden_case *golden, lstm_model *model)
{
    const char *module = json_string_value(json_object_get(golden->json, "module"));
    const bool batch_first = strstr(module, "batch_first=True") != NULL;
    size_t count = 0;
    size_t y_count = 0;
    size_t length_count = 0;
    float *x = golden_array(golden, "x", &count);
    float *y = golden_array(golden, "y", &y_count);
    float *lengths = golden_array(golden, "lengths", &length_count);
    float *out = malloc(y_count * sizeof *out);
    int32_t steps[16];
    assert_non_null(x);
    assert_non_null(y);
    assert_non_null(out);
    for (size_t k = 0; k < length_count; k++)
        steps[k] = (int32_t)lengths[k];
    const lstm_data data = {.struct_size = sizeof data,
                            .layout = batch_first ? LSTM_LAYOUT_BATCH_FIRST
                                                  : LSTM_LAYOUT_TIME_FIRST,
                            .samples = length_of(golden, "x", batch_first ? 0 : 1),
                            .x = x,
                            .x_count = count,
                            .lengths = length_count ? steps : NULL,
                            .lengths_count = length_count};
    assert_ok(lstm_predict(model, &data, out, y_count));
    const double worst = assert_close("y", out, y, y_count, 1e-5, 0);
    free(x);
    free(y);
    free(lengths);
    free(out);
    return worst;
}

static void test_state_dicts_give_what_pytorch_gave(void **state)
{
    static const char *const files[] = {"model.pt", "model.safetensors"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        double worst = 0;
        golden_open(&golden, "torch", cases[k]);
        for (size_t f = 0; f < 2; f++) {
            char path[1200];
            lstm_model *model = NULL;
            snprintf(path, sizeof path, "%s/%s", golden.folder, files[f]);
            assert_ok(lstm_model_load(&model, NULL, path));
            worst = fmax(worst, check_output(&golden, model));
            lstm_model_destroy(model);
        }
        print_message("%-20s %.1e\n", cases[k], worst);
        golden_close(&golden);
    }
}

static void check_names(const lstm_model *model)
{
    static const char *const names[] = {"rnn.weight_ih_l0",
                                        "rnn.weight_hh_l0",
                                        "rnn.bias_ih_l0",
                                        "rnn.bias_hh_l0",
                                        "rnn.weight_ih_l0_reverse",
                                        "rnn.weight_hh_l0_reverse",
                                        "rnn.bias_ih_l0_reverse",
                                        "rnn.bias_hh_l0_reverse",
                                        "rnn.weight_ih_l1",
                                        "rnn.weight_hh_l1",
                                        "rnn.bias_ih_l1",
                                        "rnn.bias_hh_l1",
                                        "rnn.weight_ih_l1_reverse",
                                        "rnn.weight_hh_l1_reverse",
                                        "rnn.bias_ih_l1_reverse",
                                        "rnn.bias_hh_l1_reverse",
                                        "head.weight",
                                        "head.bias"};
    assert_int_equal(lstm_model_parameter_count(model), sizeof names / sizeof *names);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, k, &info));
        assert_string_equal(info.name, names[k]);
    }
}

static void test_modules_of_several_layers_keep_their_names(void **state)
{
    static const char description[] =
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [null, 3]},"
        "{\"type\": \"LSTM\", \"name\": \"rnn\", \"input_size\": 3, \"hidden_size\": 4,"
        " \"num_layers\": 2, \"bidirectional\": true, \"dropout\": 0.5, \"batch_first\": true},"
        "{\"type\": \"Linear\", \"name\": \"head\", \"units\": 2}]}";
    char text[8192];
    size_t length = 0;
    lstm_model *model = NULL;
    lstm_layer *layer = NULL;
    (void)state;
    assert_ok(lstm_model_from_json(&model, NULL, description, strlen(description)));
    check_names(model);
    assert_ok(lstm_model_find_layer(model, "rnn.l0.dropout", &layer));
    assert_ok(lstm_model_find_layer(model, "rnn", &layer));
    int64_t features = 0;
    assert_ok(lstm_layer_shape(layer, NULL, &features));
    assert_int_equal(features, 8);
    assert_ok(lstm_model_to_json(model, text, sizeof text, &length));
    assert_ok(lstm_model_save(model, "stack.lstm"));
    lstm_model_destroy(model);
    assert_ok(lstm_model_from_json(&model, NULL, text, length));
    check_names(model);
    lstm_model_destroy(model);
    assert_ok(lstm_model_load(&model, NULL, "stack.lstm"));
    check_names(model);
    lstm_model_destroy(model);
}

static void test_wrong_stacks_are_refused(void **state)
{
    static const char *const layers[][2] = {
        {"\"hidden_size\": 4, \"num_layers\": 0", "\"num_layers\": expected"},
        {"\"hidden_size\": 4, \"num_layers\": 100000", "\"num_layers\": expected"},
        {"\"hidden_size\": 4, \"num_layers\": 2, \"dropout\": 1", "\"dropout\" is 1"},
        {"\"hidden_size\": 4, \"input_size\": 5", "\"input_size\" is 5; layer \"x\" gives 3"},
        {"\"hidden_size\": 4, \"torch_layer\": -1", "\"torch_layer\": expected"}};
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char json[400];
        lstm_model *model = NULL;
        snprintf(json, sizeof json,
                 "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"name\": \"x\", "
                 "\"shape\": [null, 3]}, {\"type\": \"LSTM\", %s}]}",
                 layers[k][0]);
        assert_true(lstm_model_from_json(&model, NULL, json, strlen(json)) != LSTM_OK);
        if (!strstr(lstm_last_error(), layers[k][1]))
            fail_msg("\"%s\" says \"%s\"", layers[k][0], lstm_last_error());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_dicts_give_what_pytorch_gave),
        cmocka_unit_test(test_modules_of_several_layers_keep_their_names),
        cmocka_unit_test(test_wrong_stacks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
