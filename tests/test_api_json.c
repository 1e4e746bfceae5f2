/* SPDX-License-Identifier: MIT
 * Model descriptions: a round trip of every layer type, what Keras writes, and a table of bad
 * descriptions with the status and the words that must be in the text.
 */
#include "api_checks.h"
#include "sample_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *to_json(const lstm_model *model)
{
    size_t length = 0;
    assert_status(lstm_model_to_json(model, NULL, 0, &length), LSTM_ERROR_SHAPE);
    assert_true(length > 0);
    char *text = malloc(length + 1);
    assert_non_null(text);
    assert_ok(lstm_model_to_json(model, text, length + 1, NULL));
    assert_int_equal(strlen(text), length);
    return text;
}

static lstm_status from_text(lstm_model **model, const char *text)
{
    return lstm_model_from_json(model, NULL, text, strlen(text));
}

/* Layers, shapes, parameters and the text of both are the same. */
static void check_round_trip(const lstm_model *model)
{
    lstm_model *copy = NULL;
    char *text = to_json(model);
    assert_ok(from_text(&copy, text));
    char *again = to_json(copy);
    assert_string_equal(again, text);
    assert_int_equal(lstm_model_is_built(copy), LSTM_YES);
    assert_int_equal(lstm_model_profile(copy), lstm_model_profile(model));
    assert_int_equal(lstm_model_layer_count(copy), lstm_model_layer_count(model));
    for (size_t k = 0; k < lstm_model_layer_count(model); k++) {
        int64_t a[2], b[2];
        assert_string_equal(lstm_layer_name(lstm_model_layer(copy, k)),
                            lstm_layer_name(lstm_model_layer(model, k)));
        assert_string_equal(lstm_layer_type(lstm_model_layer(copy, k)),
                            lstm_layer_type(lstm_model_layer(model, k)));
        assert_ok(lstm_layer_shape(lstm_model_layer(copy, k), &a[0], &a[1]));
        assert_ok(lstm_layer_shape(lstm_model_layer(model, k), &b[0], &b[1]));
        assert_memory_equal(a, b, sizeof a);
    }
    assert_int_equal(lstm_model_output_count(copy), lstm_model_output_count(model));
    assert_true(same_parameters(copy, model)); /* from the same seed */
    free(text);
    free(again);
    lstm_model_destroy(copy);
}

static void test_every_layer_type_survives_the_round_trip(void **state)
{
    lstm_model *model = NULL;
    (void)state;
    for (int32_t profile = LSTM_PROFILE_KERAS; profile <= LSTM_PROFILE_TORCH; profile++) {
        assert_ok(build_everything(&model, NULL, profile, 17));
        check_round_trip(model);
        lstm_model_destroy(model);
    }
}

static void test_seeds_of_all_64_bits_survive_the_round_trip(void **state)
{
    static const uint64_t seeds[] = {0, 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    static const char *const texts[] = {"\"\"", "\"12x\"", "\"-1\"", "\"18446744073709551616\"",
                                        "true"};
    (void)state;
    for (size_t k = 0; k < LENGTH(seeds); k++) {
        lstm_model *m = NULL;
        assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .seed = seeds[k])));
        assert_ok(
            lstm_model_add_input(m, OPTIONS(lstm_input, .vector = LSTM_YES, .features = 2), NULL));
        assert_ok(lstm_model_add_dropout(m, OPTIONS(lstm_dropout, .rate = 0.5f, .seed = seeds[k]),
                                         NULL, NULL));
        assert_ok(lstm_model_add_dense(m, OPTIONS(lstm_dense, .units = 3), NULL, NULL));
        assert_ok(lstm_model_build(m));
        check_round_trip(m);
        lstm_model_destroy(m);
    }
    for (size_t k = 0; k < LENGTH(texts); k++) {
        lstm_model *m = NULL;
        char text[200];
        snprintf(text, sizeof text, "{\"seed\": %s, \"layers\": []}", texts[k]);
        assert_status_text(from_text(&m, text), LSTM_ERROR_FORMAT, "seed");
    }
}

static void test_free_steps_states_and_outputs_survive_the_round_trip(void **state)
{
    lstm_model *m = NULL;
    lstm_layer *first = NULL;
    lstm_layer *second = NULL;
    lstm_layer *h = NULL;
    lstm_layer *c = NULL;
    lstm_layer *head = NULL;
    (void)state;
    assert_ok(lstm_model_create(&m, NULL, OPTIONS(lstm_model, .seed = 3)));
    assert_ok(lstm_model_add_input(
        m, OPTIONS(lstm_input, .features = 2, .name = "Überschrift \"x\""), NULL));
    assert_ok(lstm_model_add_lstm(
        m, OPTIONS(lstm_lstm, .units = 3, .return_sequences = LSTM_YES, .return_state = LSTM_YES),
        NULL, &first));
    assert_ok(lstm_layer_state(first, &h, &c));
    assert_ok(lstm_model_add_lstm(m,
                                  OPTIONS(lstm_lstm, .units = 3, .initial_h = c, .initial_c = h,
                                          .unit_forget_bias = LSTM_NO,
                                          .recurrent_initializer = LSTM_INITIALIZER_TORCH_UNIFORM),
                                  first, &second));
    assert_ok(lstm_model_add_dense(
        m, OPTIONS(lstm_dense, .units = 2, .activation = LSTM_ACTIVATION_HARD_SIGMOID), h, &head));
    assert_ok(lstm_model_set_outputs(m, (const lstm_layer *[]){head, c, second, first}, 4));
    assert_ok(lstm_model_build(m));
    check_round_trip(m);
    lstm_model_destroy(m);
}

static void test_to_json_checks_its_arguments(void **state)
{
    lstm_model *m = NULL;
    char small[4] = "abc";
    size_t length = 0;
    (void)state;
    assert_ok(build_tutorial(&m, NULL, 2, 1, 1, 1));
    assert_status(lstm_model_to_json(NULL, small, sizeof small, &length), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_to_json(m, NULL, 4, &length), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_to_json(m, small, sizeof small, &length), LSTM_ERROR_SHAPE);
    assert_string_equal(small, "abc");
    assert_true(length > sizeof small);
    char *exact = malloc(length + 1);
    assert_status(lstm_model_to_json(m, exact, length, NULL), LSTM_ERROR_SHAPE);
    assert_ok(lstm_model_to_json(m, exact, length + 1, NULL));
    free(exact);
    lstm_model_destroy(m);
}

static void test_from_json_checks_its_arguments(void **state)
{
    lstm_model *m = (lstm_model *)state;
    (void)state;
    assert_status(lstm_model_from_json(NULL, NULL, "{}", 2), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_model_from_json(&m, NULL, NULL, 2), LSTM_ERROR_ARGUMENT);
    assert_null(m);
}

static void test_a_plain_stack_needs_no_names_and_no_inputs(void **state)
{
    lstm_model *m = NULL;
    static const char text[] =
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [28, 1]}, {\"type\": \"LSTM\", \"units\": "
        "32},"
        "{\"type\": \"Dense\", \"units\": 10, \"activation\": \"softmax\"}]} trailing";
    (void)state;
    assert_ok(lstm_model_from_json(&m, NULL, text, sizeof text - 10)); /* not NUL-terminated */
    assert_int_equal(lstm_model_profile(m), LSTM_PROFILE_KERAS);
    assert_int_equal(lstm_model_parameter_total(m), 33 * 128 + 128 + 330);
    lstm_model_destroy(m);
}

static void test_torch_names_of_options_are_known(void **state)
{
    lstm_model *m = NULL;
    static const char text[] =
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [null, 4]},"
        "{\"type\": \"LSTM\", \"hidden_size\": 8, \"batch_first\": true, \"num_layers\": 1},"
        "{\"type\": \"Linear\", \"out_features\": 2, \"bias\": false}]}";
    lstm_parameter_info info = {.struct_size = sizeof info};
    int64_t steps = 0;
    (void)state;
    assert_ok(from_text(&m, text));
    assert_int_equal(lstm_model_parameter_count(m), 5);
    assert_ok(lstm_model_parameter_info(m, 4, &info));
    assert_string_equal(info.name, "dense.weight");
    assert_ok(lstm_layer_shape(lstm_model_output(m, 0), &steps, NULL));
    assert_int_equal(steps, -1); /* PyTorch's LSTM gives the whole sequence */
    lstm_model_destroy(m);
}

/* ---- Bad descriptions */

#define STACK(...) "{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, " __VA_ARGS__ "]}"
#define LAYER(...) STACK("{" __VA_ARGS__ "}")

static const struct {
    const char *text;
    lstm_status status;
    const char *words; /* in the error text */
} bad[] = {
    /* no JSON, or not a description */
    {"", LSTM_ERROR_FORMAT, "line"},
    {"{", LSTM_ERROR_FORMAT, "line 1"},
    {"{\"layers\": [\n}", LSTM_ERROR_FORMAT, "line 2"},
    {"[]", LSTM_ERROR_FORMAT, "layers"},
    {"{}", LSTM_ERROR_FORMAT, "layers"},
    {"null", LSTM_ERROR_FORMAT, NULL},
    {"{\"layers\": {}}", LSTM_ERROR_FORMAT, "layers"},
    {"{\"layers\": []}", LSTM_ERROR_FORMAT, NULL},
    {"{\"layers\": [3]}", LSTM_ERROR_FORMAT, "layer 0"},
    {"{\"layers\": [{}]}", LSTM_ERROR_FORMAT, "type"},
    {"{\"layers\": [{\"type\": 5}]}", LSTM_ERROR_FORMAT, "type"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}]}", LSTM_ERROR_FORMAT, "input"},
    /* the root's keys */
    {"{\"layer\": [], \"layers\": []}", LSTM_ERROR_NOT_FOUND, "\"layers\""},
    {"{\"profle\": \"keras\", \"layers\": []}", LSTM_ERROR_NOT_FOUND, "\"profile\""},
    {"{\"profile\": \"kears\", \"layers\": []}", LSTM_ERROR_NOT_FOUND, "\"keras\""},
    {"{\"profile\": 3, \"layers\": []}", LSTM_ERROR_FORMAT, "profile"},
    {"{\"seed\": -1, \"layers\": []}", LSTM_ERROR_FORMAT, "seed"},
    {"{\"seed\": 1.5, \"layers\": []}", LSTM_ERROR_FORMAT, "seed"},
    {"{\"layers\": [], \"layers\": []}", LSTM_ERROR_FORMAT, "duplicate"},
    /* layers */
    {LAYER("\"type\": \"LSMT\", \"units\": 3"), LSTM_ERROR_NOT_FOUND, "\"LSTM\""},
    {LAYER("\"type\": \"Convolution\""), LSTM_ERROR_NOT_FOUND, "Convolution"},
    {LAYER("\"type\": \"LSTM\""), LSTM_ERROR_ARGUMENT, "units"},
    {LAYER("\"type\": \"LSTM\", \"units\": 0"), LSTM_ERROR_FORMAT, "units"},
    {LAYER("\"type\": \"LSTM\", \"units\": -3"), LSTM_ERROR_FORMAT, "units"},
    {LAYER("\"type\": \"LSTM\", \"units\": \"3\""), LSTM_ERROR_FORMAT, "\"3\""},
    {LAYER("\"type\": \"LSTM\", \"units\": 3.5"), LSTM_ERROR_FORMAT, "3.5"},
    {LAYER("\"type\": \"LSTM\", \"units\": 1099511627776"), LSTM_ERROR_ARGUMENT, "units"},
    {LAYER("\"type\": \"LSTM\", \"units\": 99999999999999999999"), LSTM_ERROR_FORMAT, "big"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"units\": 4"), LSTM_ERROR_FORMAT, "duplicate"},
    {LAYER("\"type\": \"LSTM\", \"unit\": 3"), LSTM_ERROR_NOT_FOUND, "\"units\""},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"return_sequence\": true"), LSTM_ERROR_NOT_FOUND,
     "return_sequences"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"return_sequences\": 1"), LSTM_ERROR_FORMAT,
     "true or false"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"activation\": \"gelo\""), LSTM_ERROR_NOT_FOUND,
     "activation"},
    {LAYER("\"type\": \"GRU\", \"units\": 3, \"activation\": \"softmax\""), LSTM_ERROR_UNSUPPORTED,
     "softmax inside a GRU"},
    {LAYER("\"type\": \"GRU\", \"units\": 3, \"dropout\": 1"), LSTM_ERROR_ARGUMENT, "dropout"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"dropout\": 1.5"), LSTM_ERROR_ARGUMENT, "dropout"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"proj_size\": -1"), LSTM_ERROR_FORMAT, "at least 0"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"proj_size\": 3"), LSTM_ERROR_ARGUMENT, "1 to 2"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"layer_norm\": \"bar\""), LSTM_ERROR_NOT_FOUND,
     "ba"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"bidirectional\": true"), LSTM_ERROR_UNSUPPORTED,
     "bidirectional"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"kernel_initializer\": \"glorot_unifom\""),
     LSTM_ERROR_NOT_FOUND, "glorot_uniform"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"trainable\": 1"), LSTM_ERROR_FORMAT, "trainable"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"learning_rate_factor\": -1"), LSTM_ERROR_FORMAT,
     "learning_rate_factor"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"kernel_regularizer\": \"L3\""),
     LSTM_ERROR_UNSUPPORTED, "L1L2"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"bias_regularizer\": {\"class_name\": \"L1\", "
           "\"config\": {\"l1\": -1}}"),
     LSTM_ERROR_FORMAT, "bias_regularizer"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"kernel_constraint\": {\"class_name\": "
           "\"MaxNorm\", \"config\": {\"max_value\": 1, \"axis\": 1}}"),
     LSTM_ERROR_UNSUPPORTED, "axis 0"},
    {LAYER("\"type\": \"Dense\", \"units\": 3, \"recurrent_regularizer\": null"),
     LSTM_ERROR_NOT_FOUND, "recurrent_regularizer"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"name\": 7"), LSTM_ERROR_FORMAT, "name"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"name\": \"a\\nb\""), LSTM_ERROR_FORMAT, "name"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"name\": \"input\""), LSTM_ERROR_ARGUMENT, "taken"},
    {LAYER("\"type\": \"Dense\", \"units\": 3, \"activation\": \"sofmax\""), LSTM_ERROR_NOT_FOUND,
     "softmax"},
    {LAYER("\"type\": \"Dense\", \"units\": 3, \"activation\": 4"), LSTM_ERROR_FORMAT,
     "activation"},
    {LAYER("\"type\": \"Dropout\", \"rate\": \"high\""), LSTM_ERROR_FORMAT, "number"},
    {LAYER("\"type\": \"Dropout\", \"rate\": 1.0"), LSTM_ERROR_ARGUMENT, "rate"},
    {LAYER("\"type\": \"Dropout\", \"rate\": 0.5, \"seed\": -4"), LSTM_ERROR_FORMAT, "seed"},
    {LAYER("\"type\": \"RepeatVector\", \"n\": 3"), LSTM_ERROR_SHAPE, "vector"},
    {LAYER("\"type\": \"Reshape\", \"target_shape\": [3, 3]"), LSTM_ERROR_SHAPE, "10"},
    {LAYER("\"type\": \"Reshape\", \"target_shape\": []"), LSTM_ERROR_FORMAT, "target_shape"},
    {LAYER("\"type\": \"Reshape\", \"target_shape\": [1, 2, 5]"), LSTM_ERROR_FORMAT,
     "target_shape"},
    {LAYER("\"type\": \"Reshape\""), LSTM_ERROR_FORMAT, "target_shape"},
    {LAYER("\"type\": \"Activation\", \"activation\": []"), LSTM_ERROR_FORMAT, "activation"},
    {"{\"layers\": [{\"type\": \"Input\"}]}", LSTM_ERROR_FORMAT, "shape"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": 3}]}", LSTM_ERROR_FORMAT, "shape"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, null]}]}", LSTM_ERROR_FORMAT, "shape"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, -2]}]}", LSTM_ERROR_FORMAT, "shape"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [1, 2, 3]}]}", LSTM_ERROR_FORMAT, "shape"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [2], \"inputs\": [\"a\"]}]}",
     LSTM_ERROR_FORMAT, "reads"},
    {"{\"layers\": [{\"type\": \"Dense\", \"units\": 3}]}", LSTM_ERROR_ARGUMENT, "nothing to read"},
    /* references */
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": [\"inptu\"]"), LSTM_ERROR_NOT_FOUND,
     "\"input\""},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": [5]"), LSTM_ERROR_FORMAT, "inputs"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": 5"), LSTM_ERROR_FORMAT, "inputs"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": [\"input\", \"input\"]"),
     LSTM_ERROR_FORMAT, "three"},
    {LAYER("\"type\": \"Dense\", \"units\": 3, \"inputs\": [\"input\", \"input\", \"input\"]"),
     LSTM_ERROR_FORMAT, "expected at most"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": [\"input\", \"input\", \"input\", "
           "\"input\"]"),
     LSTM_ERROR_FORMAT, "expected at most"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"inputs\": [\"input:h\"]"), LSTM_ERROR_NOT_FOUND,
     "input"},
    {LAYER("\"type\": \"LSTM\", \"units\": 3, \"initial_state\": \"input\""), LSTM_ERROR_FORMAT,
     "states"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, {\"type\": \"LSTM\", \"units\": 2}], "
     "\"outputs\": [\"lstn\"]}",
     LSTM_ERROR_NOT_FOUND, "\"lstm\""},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, {\"type\": \"LSTM\", \"units\": 2}], "
     "\"outputs\": [4]}",
     LSTM_ERROR_FORMAT, "outputs"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, {\"type\": \"LSTM\", \"units\": 2}], "
     "\"outputs\": []}",
     LSTM_ERROR_ARGUMENT, "output"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, {\"type\": \"LSTM\", \"units\": 2}], "
     "\"outputs\": [\"lstm\", "
     "\"lstm\"]}",
     LSTM_ERROR_ARGUMENT, "already"},
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [5, 2]}, {\"type\": \"LSTM\", \"units\": 2}, "
     "{\"type\": \"Dense\", "
     "\"units\": 1}], \"outputs\": [\"lstm\"]}",
     LSTM_ERROR_FORMAT, "dense"},
    /* sizes that overflow */
    {"{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 4611686018427387904]}, {\"type\": "
     "\"LSTM\", \"units\": 9}]}",
     LSTM_ERROR_MEMORY, NULL},
    /* Keras */
    {"{\"class_name\": \"Lambda\", \"config\": {}}", LSTM_ERROR_UNSUPPORTED, "Lambda"},
    {"{\"class_name\": \"Sequential\", \"config\": {}}", LSTM_ERROR_FORMAT, "layers"},
    {"{\"class_name\": \"Sequential\", \"config\": {\"layers\": []}}", LSTM_ERROR_FORMAT, "layers"},
    {"{\"class_name\": \"Sequential\", \"config\": {\"layers\": [4]}}", LSTM_ERROR_FORMAT,
     "class_name"},
    {"{\"class_name\": \"Sequential\", \"config\": {\"layers\": [{\"class_name\": \"ConvLSTM2D\", "
     "\"config\": {\"filters\": 3}}]}}",
     LSTM_ERROR_NOT_FOUND, "ConvLSTM2D"},
    {"{\"class_name\": \"Functional\", \"config\": {\"layers\": [{\"class_name\": \"Dense\", "
     "\"config\": {\"name\": \"a\", "
     "\"units\": 2}, \"inbound_nodes\": [[[\"b\", 0, 0, {}]]]}], \"input_layers\": [], "
     "\"output_layers\": []}}",
     LSTM_ERROR_FORMAT, "cycle"},
    {"{\"class_name\": \"Functional\", \"config\": {\"layers\": [{\"class_name\": \"Dense\", "
     "\"config\": {\"name\": \"a\", "
     "\"units\": 2}, \"inbound_nodes\": [[[\"a\", 0, 9, {}]]]}], \"input_layers\": [], "
     "\"output_layers\": []}}",
     LSTM_ERROR_FORMAT, "inbound"},
};

static void test_bad_descriptions_say_what_is_wrong(void **state)
{
    (void)state;
    for (size_t k = 0; k < LENGTH(bad); k++) {
        lstm_model *m = (lstm_model *)&m;
        const lstm_status status = from_text(&m, bad[k].text);
        if (status != bad[k].status)
            print_error("description %zu: %s\n", k, bad[k].text);
        assert_status_text(status, bad[k].status, bad[k].words);
        assert_null(m);
        print_message("%-24s %s\n", lstm_status_name(status), lstm_last_error());
    }
}

static void test_deep_nesting_is_an_error_and_no_crash(void **state)
{
    enum { DEPTH = 200000 };
    static const char *const opening[] = {"[", "{\"a\":", "{\"layers\":["};
    (void)state;
    for (size_t k = 0; k < LENGTH(opening); k++) {
        lstm_model *m = NULL;
        const size_t each = strlen(opening[k]);
        char *text = malloc(DEPTH * each + 1);
        for (size_t d = 0; d < DEPTH; d++)
            memcpy(text + d * each, opening[k], each);
        text[DEPTH * each] = 0;
        assert_status(from_text(&m, text), LSTM_ERROR_FORMAT);
        assert_null(m);
        free(text);
    }
}

static void test_keras_arguments_nested_too_deeply_are_an_error(void **state)
{
    enum { DEPTH = 400 };
    static const char head[] =
        "{\"class_name\": \"Functional\", \"config\": {\"layers\": [{\"class_name\": "
        "\"Dense\", \"config\": {\"name\": \"a\", \"units\": 2}, \"inbound_nodes\": "
        "[{\"args\": ";
    static const char tail[] = "}]}], \"input_layers\": [], \"output_layers\": []}}";
    char text[sizeof head + sizeof tail + 2 * DEPTH];
    lstm_model *m = NULL;
    (void)state;
    strcpy(text, head);
    memset(text + sizeof head - 1, '[', DEPTH);
    memset(text + sizeof head - 1 + DEPTH, ']', DEPTH);
    strcpy(text + sizeof head - 1 + 2 * DEPTH, tail);
    assert_status_text(from_text(&m, text), LSTM_ERROR_FORMAT, "too deeply");
}

/* Cut a valid description at every byte, and put a few bytes in every place: never a crash, never a
 * leak. */
static void test_damaged_descriptions_never_crash(void **state)
{
    static const char replacements[] = {0, '"', '{', '}', '[', ',', '9', '-', '\\', (char)0xff};
    lstm_model *m = NULL;
    size_t accepted = 0;
    size_t tried = 0;
    (void)state;
    assert_ok(build_everything(&m, NULL, 0, 17));
    char *text = to_json(m);
    const size_t length = strlen(text);
    lstm_model_destroy(m);
    for (size_t cut = 0; cut < length; cut++) {
        m = NULL;
        assert_status(lstm_model_from_json(&m, NULL, text, cut), LSTM_ERROR_FORMAT);
        assert_null(m);
    }
    for (size_t place = 0; place < length; place++)
        for (size_t r = 0; r < sizeof replacements; r++) {
            const char kept = text[place];
            text[place] = replacements[r];
            m = NULL;
            if (lstm_model_from_json(&m, NULL, text, length) == LSTM_OK)
                accepted++;
            lstm_model_destroy(m);
            tried++;
            text[place] = kept;
        }
    print_message("%zu of %zu damaged descriptions are other valid descriptions\n", accepted,
                  tried);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_type_survives_the_round_trip),
        cmocka_unit_test(test_seeds_of_all_64_bits_survive_the_round_trip),
        cmocka_unit_test(test_free_steps_states_and_outputs_survive_the_round_trip),
        cmocka_unit_test(test_to_json_checks_its_arguments),
        cmocka_unit_test(test_from_json_checks_its_arguments),
        cmocka_unit_test(test_a_plain_stack_needs_no_names_and_no_inputs),
        cmocka_unit_test(test_torch_names_of_options_are_known),
        cmocka_unit_test(test_bad_descriptions_say_what_is_wrong),
        cmocka_unit_test(test_deep_nesting_is_an_error_and_no_crash),
        cmocka_unit_test(test_keras_arguments_nested_too_deeply_are_an_error),
        cmocka_unit_test(test_damaged_descriptions_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
