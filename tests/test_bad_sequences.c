/* SPDX-License-Identifier: MIT
 * Bad input around sequences: each mistake is refused with words that name what was given, where, and
 * what would do; and the objects stay usable.
 */
#include "api_checks.h"

#include <stdio.h>

enum { SAMPLES = 3, STEPS = 4, UNITS = 2 };

#define NETWORK(layers) \
    "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [4, 3]}," layers "]}"

static void refuse(const char *text, lstm_status status, const char *words)
{
    lstm_model *model = NULL;
    assert_status_text(lstm_model_from_json(&model, NULL, text, strlen(text)), status, words);
    assert_null(model);
}

static lstm_model *load(const char *text)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, text, strlen(text)));
    return model;
}

static void test_unknown_names_suggest_the_nearest(void **state)
{
    (void)state;
    refuse(NETWORK("{\"type\": \"LTSM\", \"units\": 2}"), LSTM_ERROR_NOT_FOUND,
           "unknown layer type \"LTSM\"; did you mean \"LSTM\"?");
    refuse(NETWORK("{\"type\": \"Bidirectionl\", \"units\": 2}"), LSTM_ERROR_NOT_FOUND,
           "\"Bidirectional\"");
    refuse(NETWORK("{\"type\": \"LSTM\", \"unit\": 2}"), LSTM_ERROR_NOT_FOUND,
           "unknown option \"unit\"; did you mean \"units\"?");
    refuse(NETWORK("{\"type\": \"GRU\", \"units\": 2, \"return_sequence\": true}"),
           LSTM_ERROR_NOT_FOUND, "\"return_sequences\"");
    refuse(NETWORK("{\"type\": \"LSTM\", \"units\": 2, \"activation\": \"tahn\"}"),
           LSTM_ERROR_NOT_FOUND, "\"tanh\"");
    refuse(NETWORK("{\"type\": \"LSTM\", \"units\": 2, \"inital_state\": \"x\"}"),
           LSTM_ERROR_NOT_FOUND,
           "unknown option \"inital_state\"; did you mean \"initial_state\"?");
}

/* Layers can only read what stands before them, so a cycle has a layer that reads one further down, or
 * itself. */
static void test_cycles_and_missing_layers_are_named(void **state)
{
    (void)state;
    refuse(NETWORK("{\"type\": \"Dense\", \"name\": \"a\", \"units\": 3, \"inputs\": [\"b\"]},"
                   "{\"type\": \"Dense\", \"name\": \"b\", \"units\": 3, \"inputs\": [\"a\"]}"),
           LSTM_ERROR_NOT_FOUND,
           "layer 1 \"a\" (Dense): reads layer \"b\", which stands further down");
    refuse(NETWORK("{\"type\": \"LSTM\", \"name\": \"self\", \"units\": 3, \"initial_state\": "
                   "\"self\"}"),
           LSTM_ERROR_NOT_FOUND, "\"self\" (LSTM): reads itself");
    refuse(NETWORK("{\"type\": \"Dense\", \"name\": \"hidden\", \"units\": 3},"
                   "{\"type\": \"Dense\", \"units\": 3, \"inputs\": [\"hiden\"]}"),
           LSTM_ERROR_NOT_FOUND, "unknown layer \"hiden\"; did you mean \"hidden\"?");
    refuse(NETWORK("{\"type\": \"Dense\", \"units\": 3, \"inputs\": [\"x\", \"x\"]}"),
           LSTM_ERROR_FORMAT, "reads 2 layer(s): expected at most 1");
}

#define TO(outputs, layers)   \
    "{\"outputs\": [" outputs \
    "], \"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [4, 3]}," layers "]}"

/* Without "outputs" every layer that nobody reads is one. */
static void test_layers_that_lead_nowhere_are_named(void **state)
{
    (void)state;
    refuse(TO("\"right\"",
              "{\"type\": \"LSTM\", \"name\": \"left\", \"units\": 2},"
              "{\"type\": \"GRU\", \"name\": \"right\", \"units\": 2, \"inputs\": \"x\"}"),
           LSTM_ERROR_FORMAT,
           "layer \"left\" (LSTM) is read by no other layer and is not among the outputs");
    refuse(TO("\"right\"",
              "{\"type\": \"LSTM\", \"name\": \"left\", \"units\": 2},"
              "{\"type\": \"Dense\", \"name\": \"end\", \"units\": 2},"
              "{\"type\": \"GRU\", \"name\": \"right\", \"units\": 2, \"inputs\": \"x\"}"),
           LSTM_ERROR_FORMAT, "layer \"end\" (Dense) is read by no other layer");
    refuse(TO("\"left\"", "{\"type\": \"LSTM\", \"name\": \"left\", \"units\": 2},"
                          "{\"type\": \"Input\", \"name\": \"z\", \"shape\": [3]}"),
           LSTM_ERROR_FORMAT, "layer \"z\" (Input) is read by no other layer");
    refuse(TO("\"lefd\"", "{\"type\": \"LSTM\", \"name\": \"left\", \"units\": 2}"),
           LSTM_ERROR_NOT_FOUND, "unknown layer \"lefd\"; did you mean \"left\"?");
    lstm_model_destroy(
        load(TO("\"left:h\", \"right\"",
                "{\"type\": \"LSTM\", \"name\": \"left\", \"units\": 2},"
                "{\"type\": \"GRU\", \"name\": \"right\", \"units\": 2, \"inputs\": \"x\"}")));
}

static void test_shapes_that_do_not_fit_name_both_layers(void **state)
{
    (void)state;
    static const char add[] = NETWORK(
        "{\"type\": \"LSTM\", \"name\": \"narrow\", \"units\": 2, \"return_sequences\": true},"
        "{\"type\": \"LSTM\", \"name\": \"wide\", \"units\": 5, \"return_sequences\": true},"
        "{\"type\": \"Add\", \"inputs\": [\"narrow\", \"wide\"]}");
    refuse(add, LSTM_ERROR_SHAPE,
           "layer \"narrow\" has the shape (4 steps, 2 features), layer \"wide\" (4 steps, 5 "
           "features)");
    refuse(NETWORK("{\"type\": \"LSTM\", \"name\": \"last\", \"units\": 2},"
                   "{\"type\": \"LSTM\", \"name\": \"more\", \"units\": 2}"),
           LSTM_ERROR_SHAPE, "\"more\"");
    assert_text_contains(lstm_last_error(), "layer \"last\", a vector of 2 features");
    refuse(NETWORK("{\"type\": \"LSTM\", \"name\": \"first\", \"units\": 2},"
                   "{\"type\": \"LSTM\", \"name\": \"second\", \"units\": 3, \"inputs\": [\"x\"], "
                   "\"initial_state\": \"first\"}"),
           LSTM_ERROR_SHAPE, "\"second\"");
    assert_text_contains(lstm_last_error(), "\"first\"");
}

static void test_lengths_and_masks_that_do_not_fit_name_the_sample(void **state)
{
    float x[SAMPLES * STEPS * 3] = {0};
    float y[SAMPLES * UNITS];
    int32_t lengths[SAMPLES] = {4, 4, -1};
    const uint8_t mask[SAMPLES * STEPS] = {1};
    (void)state;
    lstm_model *model = load(NETWORK("{\"type\": \"LSTM\", \"units\": 2}"));
    lstm_data data = {.struct_size = sizeof data,
                      .samples = SAMPLES,
                      .x = x,
                      .x_count = LENGTH(x),
                      .lengths = lengths,
                      .lengths_count = SAMPLES};
    assert_status_text(lstm_predict(model, &data, y, LENGTH(y)), LSTM_ERROR_ARGUMENT,
                       "the length of sample 2 is -1: expected 0 to 4 steps");
    lengths[2] = 5;
    assert_status_text(lstm_predict(model, &data, y, LENGTH(y)), LSTM_ERROR_ARGUMENT,
                       "the length of sample 2 is 5: expected 0 to 4 steps");
    lengths[2] = 0;
    data.lengths_count = 2;
    assert_status_text(lstm_predict(model, &data, y, LENGTH(y)), LSTM_ERROR_SHAPE,
                       "2 lengths given: expected one for each of the 3 samples");
    data.lengths = NULL;
    data.lengths_count = 0;
    data.mask = mask;
    data.mask_count = SAMPLES;
    assert_status_text(lstm_predict(model, &data, y, LENGTH(y)), LSTM_ERROR_SHAPE,
                       "has 3 values: expected 12 (3 samples of 4 steps)");
    data.mask_count = LENGTH(mask);
    assert_ok(lstm_predict(model, &data, y, LENGTH(y)));
    lstm_model_destroy(model);
}

static void test_states_of_another_batch_size_are_refused(void **state)
{
    float x[SAMPLES * STEPS * 3] = {0};
    float h[SAMPLES * UNITS] = {0};
    lstm_session *session = NULL;
    lstm_layer *layer = NULL;
    (void)state;
    lstm_model *model = load(NETWORK("{\"type\": \"GRU\", \"units\": 2, \"stateful\": true}"));
    lstm_data data = {.struct_size = sizeof data, .samples = SAMPLES, .x = x, .x_count = LENGTH(x)};
    assert_ok(lstm_model_find_layer(model, "gru", &layer));
    assert_ok(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = SAMPLES)));
    assert_status_text(lstm_session_get_states(session, layer, h, NULL, LENGTH(h)),
                       LSTM_ERROR_STATE, "carries no states yet");
    assert_ok(lstm_session_set_states(session, layer, h, NULL, 2 * UNITS));
    assert_status_text(lstm_session_forward(session, &data), LSTM_ERROR_SHAPE,
                       "layer \"gru\" carries the states of 2 samples, 3 given");
    assert_status_text(lstm_session_set_states(session, layer, h, NULL, 5), LSTM_ERROR_SHAPE,
                       "5 values given: expected 2 for each of 1 to 3 samples");
    assert_ok(lstm_session_reset_states(session));
    assert_ok(lstm_session_forward(session, &data));
    assert_ok(lstm_session_get_states(session, layer, h, NULL, LENGTH(h)));
    lstm_session_destroy(session);
    lstm_model_destroy(model);
}

static void test_tokens_outside_the_vocabulary_name_sample_step_and_value(void **state)
{
    static const float wrong[] = {7, -1, 2.5f};
    static const char *const words[] = {"sample 1, step 2: token 7", "sample 1, step 2: token -1",
                                        "sample 1, step 2: token 2.5"};
    float x[SAMPLES * STEPS] = {0};
    float y[SAMPLES * UNITS];
    (void)state;
    lstm_model *model = load(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [4, 1]}, {\"type\": \"Embedding\", "
        "\"input_dim\": 7, \"output_dim\": 3}, {\"type\": \"LSTM\", \"units\": 2}]}");
    const lstm_data data = {
        .struct_size = sizeof data, .samples = SAMPLES, .x = x, .x_count = LENGTH(x)};
    for (size_t k = 0; k < LENGTH(wrong); k++) {
        x[1 * STEPS + 2] = wrong[k];
        assert_status_text(lstm_predict(model, &data, y, LENGTH(y)), LSTM_ERROR_ARGUMENT, words[k]);
        assert_text_contains(lstm_last_error(), "takes whole numbers from 0 to 6");
    }
    x[1 * STEPS + 2] = 6;
    assert_ok(lstm_predict(model, &data, y, LENGTH(y)));
    lstm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_names_suggest_the_nearest),
        cmocka_unit_test(test_cycles_and_missing_layers_are_named),
        cmocka_unit_test(test_layers_that_lead_nowhere_are_named),
        cmocka_unit_test(test_shapes_that_do_not_fit_name_both_layers),
        cmocka_unit_test(test_lengths_and_masks_that_do_not_fit_name_the_sample),
        cmocka_unit_test(test_states_of_another_batch_size_are_refused),
        cmocka_unit_test(test_tokens_outside_the_vocabulary_name_sample_step_and_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
