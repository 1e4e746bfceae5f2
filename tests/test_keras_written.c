/* SPDX-License-Identifier: MIT
 *
 * Models written for Keras and read again by us: the .h5 of Keras 1 and 2 and the .keras of Keras 3
 * give the same outputs, bit for bit; states of Bidirectional layers; descriptions and lists of names
 * too long for one HDF5 message. The real Keras opens them in round_trip_keras.py.
 */
#include "api_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 3, STEPS = 4, FEATURES = 2, MOST_OUTPUTS = 4, ROOM = 4096 };

static lstm_model *model_of(const char *json)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, json, strlen(json)));
    return model;
}

/* What a model makes of a fixed input for each of its inputs; returns the number of values. */
static size_t run(lstm_model *model, float *values)
{
    static float x[SAMPLES * STEPS * FEATURES];
    const float *inputs[2] = {x, x};
    const size_t sizes[2] = {LENGTH(x), LENGTH(x)};
    float *outs[MOST_OUTPUTS];
    size_t counts[MOST_OUTPUTS];
    size_t total = 0;
    const size_t outputs = lstm_model_output_count(model);
    assert_true(outputs <= MOST_OUTPUTS);
    for (size_t k = 0; k < LENGTH(x); k++)
        x[k] = (float)((int)(k * 7919 % 31) - 15) / 8;
    for (size_t k = 0; k < outputs; k++) {
        int64_t steps = 0;
        int64_t features = 0;
        lstm_layer_shape(lstm_model_output(model, k), &steps, &features);
        counts[k] = (size_t)(SAMPLES * (steps == 0 ? 1 : STEPS) * features);
        outs[k] = values + total;
        total += counts[k];
    }
    assert_true(total <= ROOM);
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = SAMPLES,
                            .inputs = inputs,
                            .input_sizes = sizes,
                            .input_count = lstm_model_input_count(model)};
    assert_ok(lstm_predict_outputs(model, &data, outs, counts, outputs));
    return total;
}

static void assert_same_when_read(const char *json, const char *path)
{
    static float expected[ROOM], found[ROOM];
    lstm_model *model = model_of(json);
    lstm_model *read = NULL;
    assert_ok(lstm_model_export(model, path));
    assert_ok(lstm_model_load(&read, NULL, path));
    const size_t count = run(model, expected);
    assert_int_equal(run(read, found), count);
    assert_memory_equal(found, expected, count * sizeof *found);
    lstm_model_destroy(model);
    lstm_model_destroy(read);
}

#define X                                                                                        \
    "{\"profile\": \"keras\", \"seed\": 5, \"layers\": [{\"type\": \"Input\", \"name\": \"x\", " \
    "\"shape\": [4, 2]}, "

static const char *const networks[] = {
    X "{\"type\": \"LSTM\", \"name\": \"a\", \"units\": 3, \"return_sequences\": true, "
      "\"recurrent_activation\": \"hard_sigmoid_keras2\"}, {\"type\": \"GRU\", \"units\": 2, "
      "\"reset_after\": false}, {\"type\": \"Dense\", \"units\": 2, \"activation\": \"softmax\"}]}",
    X "{\"type\": \"TimeDistributed\", \"name\": \"t\", \"layer\": {\"type\": \"Dense\", "
      "\"units\": 3}}, "
      "{\"type\": \"LayerNormalization\"}, {\"type\": \"Bidirectional\", \"merge_mode\": \"sum\", "
      "\"layer\": {\"type\": \"SimpleRNN\", \"units\": 2}}, {\"type\": \"BatchNormalization\"}]}",
    X
    "{\"type\": \"LSTM\", \"name\": \"q\", \"units\": 4, \"return_sequences\": true}, "
    "{\"type\": \"MultiHeadAttention\", \"inputs\": [\"q\", \"x\"], \"num_heads\": 2, \"key_dim\": "
    "3, \"use_causal_mask\": true}, {\"type\": \"Attention\", \"inputs\": "
    "[\"multi_head_attention\", "
    "\"q\"], \"use_scale\": true}, {\"type\": \"GlobalMaxPooling1D\"}]}",
    X
    "{\"type\": \"LSTM\", \"name\": \"e\", \"units\": 2}, {\"type\": \"RepeatVector\", \"n\": 4}, "
    "{\"type\": \"LSTM\", \"name\": \"d\", \"inputs\": [\"repeat_vector\", \"e:h\", \"e:c\"], "
    "\"units\": 2}], "
    "\"outputs\": [\"d\", \"e:c\"]}"};

static void test_what_is_written_in_the_old_form_is_read_the_same(void **state)
{
    (void)state;
    for (size_t k = 0; k < LENGTH(networks); k++) {
        char path[32];
        snprintf(path, sizeof path, "written%zu.h5", k);
        assert_same_when_read(networks[k], path);
    }
}

/* The merged output in `mode`, the states of both halves read by others and given out. */
static void check_states(const char *mode, const char *cell, const char *states,
                         const char *outputs, const char *path)
{
    char json[1600];
    snprintf(
        json, sizeof json,
        X
        "{\"type\": \"Bidirectional\", \"name\": \"b\", \"merge_mode\": %s, \"layer\": {\"type\": "
        "\"%s\", \"name\": \"cell\", \"units\": 2, \"return_sequences\": true}}, {\"type\": "
        "\"%s\", \"name\": \"next\", \"inputs\": [\"x\", %s], \"units\": 2}], \"outputs\": "
        "[\"next\", %s]}",
        mode, cell, cell, states, outputs);
    assert_same_when_read(json, path);
}

static void test_states_of_a_bidirectional_are_written_and_read(void **state)
{
    static const char *const paths[] = {"states.keras", "states.h5"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        check_states("\"concat\"", "LSTM", "\"b/backward_cell:h\", \"b/backward_cell:c\"",
                     "\"b\", \"b/forward_cell:c\"", paths[k]);
        check_states("null", "LSTM", "\"b/forward_cell:h\", \"b/backward_cell:c\"",
                     "\"b\", \"b:h\", \"b/backward_cell:h\"", paths[k]);
        check_states("\"ave\"", "GRU", "\"b/backward_cell:h\"", "\"b\", \"b/forward_cell:h\"",
                     paths[k]);
    }
}

/* What Keras 3.15 writes for Bidirectional(LSTM(2, return_state=True)) whose last output is read. */
static void test_a_reference_to_a_state_that_is_not_there_is_an_error(void **state)
{
    static const char json[] =
        "{\"class_name\": \"Functional\", \"config\": {\"layers\": [{\"class_name\": "
        "\"InputLayer\", "
        "\"config\": {\"batch_shape\": [null, 4, 2], \"name\": \"x\"}, \"inbound_nodes\": []}, "
        "{\"class_name\": \"Bidirectional\", \"config\": {\"name\": \"b\", \"layer\": "
        "{\"class_name\": "
        "\"LSTM\", \"config\": {\"name\": \"l\", \"units\": 2, \"return_state\": %s}}}, \"name\": "
        "\"b\", "
        "\"inbound_nodes\": [[[\"x\", 0, 0, {}]]]}], \"input_layers\": [[\"x\", 0, 0]], "
        "\"output_layers\": [[\"b\", 0, 0], [\"b\", 0, %d]]}}";
    char text[sizeof json + 16];
    lstm_model *model = NULL;
    (void)state;
    snprintf(text, sizeof text, json, "true", 4);
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    assert_string_equal(lstm_layer_name(lstm_model_output(model, 1)), "b/backward_l");
    lstm_model_destroy(model);
    snprintf(text, sizeof text, json, "true", 5);
    assert_int_equal(lstm_model_from_json(&model, NULL, text, strlen(text)), LSTM_ERROR_FORMAT);
    assert_non_null(strstr(lstm_last_error(), "layer \"b\" has no output 5"));
    snprintf(text, sizeof text, json, "false", 3);
    assert_int_equal(lstm_model_from_json(&model, NULL, text, strlen(text)), LSTM_ERROR_FORMAT);
    assert_non_null(strstr(lstm_last_error(), "layer \"b\" has no output 3"));
}

/* The description goes into a heap, the names into several attributes. */
static void test_long_descriptions_and_lists_are_cut(void **state)
{
    enum { LAYERS = 800, EACH = 200 };
    char *json = malloc(LAYERS * EACH + 300);
    (void)state;
    assert_non_null(json);
    size_t used = (size_t)sprintf(json,
                                  X "{\"type\": \"LSTM\", \"name\": \"first\", \"units\": 2}");
    for (int k = 0; k < LAYERS; k++)
        used += (size_t)sprintf(json + used,
                                ", {\"type\": \"Activation\", \"activation\": \"tanh\", \"name\": "
                                "\"%0100d\"}",
                                k);
    sprintf(json + used, ", {\"type\": \"Dense\", \"name\": \"last\", \"units\": 2}]}");
    assert_same_when_read(json, "long.h5");
    free(json);
}

static void test_what_the_old_form_cannot_say_is_refused(void **state)
{
    static const char *const layers[][2] = {
        {"{\"type\": \"LSTM\", \"name\": \"l\", \"units\": 2, \"recurrent_activation\": "
         "\"hard_sigmoid\"}",
         "layer \"l\": the hard_sigmoid of Keras 3"},
        {"{\"type\": \"LSTM\", \"name\": \"a/b\", \"units\": 2}", "a name with '/'"},
        {"{\"type\": \"Reverse\", \"name\": \"r\"}", "layer \"r\": Keras has no Reverse"}};
    (void)state;
    for (size_t k = 0; k < LENGTH(layers); k++) {
        char json[400];
        snprintf(json, sizeof json, X "%s]}", layers[k][0]);
        lstm_model *model = model_of(json);
        remove("refused.h5");
        assert_int_equal(lstm_model_export(model, "refused.h5"), LSTM_ERROR_UNSUPPORTED);
        assert_non_null(strstr(lstm_last_error(), layers[k][1]));
        assert_null(fopen("refused.h5", "rb"));
        lstm_model_destroy(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_in_the_old_form_is_read_the_same),
        cmocka_unit_test(test_states_of_a_bidirectional_are_written_and_read),
        cmocka_unit_test(test_a_reference_to_a_state_that_is_not_there_is_an_error),
        cmocka_unit_test(test_long_descriptions_and_lists_are_cut),
        cmocka_unit_test(test_what_the_old_form_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
