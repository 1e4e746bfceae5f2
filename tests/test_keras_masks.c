/* SPDX-License-Identifier: MIT
 *
 * Masks in the graph of a Functional model of Keras 3: descriptions as Keras 3.15 writes them, by
 * hand only shortened and made wrong. Numbers are compared with the real Keras by
 * round_trip_keras.py.
 */
#include "model_json.h"

#include "test_io_support.h"

static lstm_context *context;

#define TENSOR(name)                                                                            \
    "{\"class_name\": \"__keras_tensor__\", \"config\": {\"keras_history\": [\"" name "\", 0, " \
                                                                                      "0]}}"
#define OPERATION(class, name, axis, arguments)                                                \
    "{\"class_name\": \"" class "\", \"config\": {\"name\": \"" name "\"" axis "}, \"name\": " \
                                "\"" name "\", \"inbound_nodes\": [{\"args\": [" arguments     \
                                "], \"kwargs\": {}}]},"
#define LAYER(class, name, options, arguments, keywords)                                 \
    "{\"class_name\": \"" class "\", \"config\": {\"name\": \"" name                     \
                                "\", \"trainable\": true" options "}, \"name\": \"" name \
                                "\", \"inbound_nodes\": [{\"args\": [" arguments         \
                                "], \"kwargs\": {" keywords "}}]}"
#define MODEL(layers)                                                                         \
    "{\"class_name\": \"Functional\", \"config\": {\"layers\": ["                             \
    "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 5, 3], \"name\": " \
    "\"x\"}, \"name\": \"x\", \"inbound_nodes\": []}," layers                                 \
    "], \"input_layers\": [\"x\", 0, 0], \"output_layers\": [\"l\", 0, 0]}}"
#define MASKED(value, compared, axis)                                  \
    OPERATION("NotEqual", "not_equal", "", TENSOR("x") ", " compared)  \
    LAYER("Masking", "m", ", \"mask_value\": " value, TENSOR("x"), "") \
    "," OPERATION("Any", "any", ", \"axis\": " axis, TENSOR("not_equal"))
#define LSTM_OF(name, input, mask, more) \
    LAYER("LSTM", name, ", \"units\": 3" more, TENSOR(input), "\"mask\": " mask)
#define SEQUENCES ", \"return_sequences\": true"

static void accepts(const char *description, int32_t nodes)
{
    lstm_model *model = NULL;
    assert_works(lstm__model_from_json(&model, context, description, strlen(description)));
    assert_int_equal(model->node_count, nodes);
    lstm__graph_release(model);
}

static void refuses(const char *description, const char *why)
{
    lstm_model *model = NULL;
    assert_fails(lstm__model_from_json(&model, context, description, strlen(description)),
                 LSTM_ERROR_UNSUPPORTED, why);
}

static void test_operations_that_compute_a_mask_are_left_out(void **state)
{
    (void)state;
    accepts(MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("l", "m", TENSOR("any"), "")), 3);
    accepts(MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("a", "m", TENSOR("any"), SEQUENCES) "," LAYER(
                "Add", "sum", "", "[" TENSOR("a") ", " TENSOR("m") "]",
                "") "," LSTM_OF("l", "sum", TENSOR("any"), "")),
            5);
}

static void test_a_mask_of_another_value_axis_or_tensor_is_refused(void **state)
{
    (void)state;
    refuses(MODEL(MASKED("0.5", "0", "-1") LSTM_OF("l", "m", TENSOR("any"), "")),
            "layer \"l\" is called with a mask (\"any\") other than the one");
    refuses(MODEL(MASKED("0.5", "0.5", "1") LSTM_OF("l", "m", TENSOR("any"), "")),
            "layer \"l\" is called with a mask (\"any\")");
    refuses(
        MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("l", "x", TENSOR("any"), "")),
        "layer \"l\" is called with a mask (\"any\") other than the one that Masking or Embedding "
        "gave to what it reads (\"x\")");
    refuses(MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("l", "m", TENSOR("x"), "")),
            "layer \"l\" is called with a mask (\"x\")");
}

/* Keras 3: valid where any input is; here: where all are. */
static void test_a_reader_of_merged_masks_that_differ_is_refused(void **state)
{
    (void)state;
    static const char why[] = "layer \"l\" reads what differently masked layers were merged into";
    refuses(MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("a", "x", "null", SEQUENCES) "," LAYER(
                "Add", "sum", "", "[" TENSOR("a") ", " TENSOR("m") "]",
                "") "," LSTM_OF("l", "sum", "null", "")),
            why);
    refuses(MODEL(MASKED("0.5", "0.5", "-1") LSTM_OF("a", "x", "null", SEQUENCES) "," LAYER(
                "Add", "sum", "", "[" TENSOR("a") ", " TENSOR("m") "]",
                "") "," LSTM_OF("l", "sum", TENSOR("any"), "")),
            why);
}

static void test_a_mask_that_reads_itself_is_refused(void **state)
{
    (void)state;
    refuses(MODEL(OPERATION("LogicalOr", "or", "", TENSOR("and") ", " TENSOR("or"))
                      OPERATION("LogicalOr", "and", "", TENSOR("or") ", " TENSOR("and"))
                          LSTM_OF("l", "x", TENSOR("or"), "")),
            "layer \"l\" is called with a mask (\"or\")");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_that_compute_a_mask_are_left_out),
        cmocka_unit_test(test_a_mask_of_another_value_axis_or_tensor_is_refused),
        cmocka_unit_test(test_a_reader_of_merged_masks_that_differ_is_refused),
        cmocka_unit_test(test_a_mask_that_reads_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
