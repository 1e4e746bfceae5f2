/* SPDX-License-Identifier: MIT
 *
 * Files of Keras from the inside: memory that runs out anywhere, descriptions that ask for more
 * than the file holds, what the log is told, and the conventions of Keras 1 and 2. Files:
 * tests/fuzz/make_hdf5_corpus.py.
 */
#include "keras_export.h"
#include "keras_file.h"
#include "model_file.h"
#include "model_json.h"
#include "zip_archive.h"

#include "test_io_support.h"

static memory held;
static lstm_context *context;
static char logged[4096];

static void keep_log(void *user, const char *line)
{
    (void)user;
    const size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static const char *kept(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/keras/%s", LSTM_TESTS_DIR, name);
    return path;
}

/* A .keras of a description and the weights of keras3.keras. */
static void write_archive(const char *path, const char *description, const char *version)
{
    lstm__file file = {0};
    lstm__zip *zip = NULL;
    lstm__zip_writer *writer = NULL;
    const unsigned char *content = NULL;
    void *owned = NULL;
    assert_works(lstm__file_open(&file, context, kept("keras3.keras")));
    assert_works(lstm__zip_open(&zip, context, &file));
    const lstm__zip_entry *const entry = lstm__zip_find(zip, "model.weights.h5");
    assert_works(lstm__zip_content(zip, entry, 1 << 20, &content, &owned));
    assert_works(lstm__zip_writer_open(&writer, context, path));
    assert_works(
        lstm__zip_writer_add(writer, "metadata.json", &(lstm__piece){version, strlen(version)}, 1));
    assert_works(lstm__zip_writer_add(writer, "config.json",
                                      &(lstm__piece){description, strlen(description)}, 1));
    assert_works(lstm__zip_writer_add(writer, "model.weights.h5",
                                      &(lstm__piece){content, (size_t)entry->size}, 1));
    assert_works(lstm__zip_writer_close(&writer));
    lstm__release(context, owned);
    lstm__zip_close(zip);
    lstm__file_close(&file);
}

#define SEQUENTIAL(lstm, dense)                                                               \
    "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"layers\": ["            \
    "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 2, 1], \"name\": " \
    "\"x\"}},"                                                                                \
    "{\"class_name\": \"LSTM\", \"config\": {\"name\": \"lstm\", " lstm "}},"                 \
    "{\"class_name\": \"Dense\", \"config\": {\"name\": \"dense\", " dense "}}]}}"
static const char keras3[] = "{\"keras_version\": \"3.15.0\"}";
static const char keras2[] = "{\"keras_version\": \"2.15.0\"}";

static void test_memory_may_run_out_anywhere(void **state)
{
    static const char *const files[] = {"keras3.keras", "keras2.keras", "keras2.h5", "keras1.h5"};
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        for (long allowed = 0;; allowed++) {
            lstm_model *model = NULL;
            held.allowed = allowed;
            held.failed = false;
            const size_t before = held.blocks;
            const lstm_status status = lstm__model_load(&model, context, kept(files[k]));
            held.allowed = -1;
            if (!held.failed) {
                assert_int_equal(status, LSTM_OK);
                lstm__graph_release(model);
                assert_int_equal(held.blocks, before);
                break;
            }
            assert_int_equal(status, LSTM_ERROR_MEMORY);
            assert_null(model);
            assert_int_equal(held.blocks, before);
        }
    }
}

static void test_memory_may_run_out_while_weights_are_loaded(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    assert_works(lstm__model_load(&model, context, kept("keras2.keras")));
    for (long allowed = 0;; allowed++) {
        held.allowed = allowed;
        held.failed = false;
        const size_t before = held.blocks;
        const lstm_status status = lstm__model_load_weights(model, kept("keras3.keras"));
        held.allowed = -1;
        assert_int_equal(held.blocks, before);
        assert_int_equal(status, held.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        if (!held.failed)
            break;
    }
    lstm__graph_release(model);
}

static void test_memory_may_run_out_while_a_model_is_exported(void **state)
{
    static const char *const files[] = {"exported.keras", "exported.weights.h5", "exported.h5"};
    (void)state;
    lstm_model *model = NULL;
    assert_works(lstm__model_load(&model, context, kept("keras3.keras")));
    for (size_t k = 0; k < 3; k++)
        for (long allowed = 0;; allowed++) {
            held.allowed = allowed;
            held.failed = false;
            const size_t before = held.blocks;
            const lstm_status status = lstm__keras_save(model, files[k]);
            held.allowed = -1;
            assert_int_equal(held.blocks, before);
            assert_int_equal(status, held.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
            if (!held.failed)
                break;
        }
    lstm__graph_release(model);
}

static void test_a_description_cannot_ask_for_more_than_the_file_holds(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    write_archive("huge.keras", SEQUENTIAL("\"units\": 100000", "\"units\": 1"), keras3);
    held.peak = held.now;
    const size_t before = held.now;
    assert_fails(lstm__model_load(&model, context, "huge.keras"), LSTM_ERROR_FORMAT,
                 "huge.keras: config.json: the layers have 40000900016 parameters, more than the "
                 "file can hold");
    assert_true(held.peak - before < (size_t)1 << 20);
}

static void test_initialisers_of_other_versions_do_not_matter(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    logged[0] = 0;
    write_archive(
        "initialiser.keras",
        SEQUENTIAL(
            "\"units\": 1, \"kernel_initializer\": {\"class_name\": \"HeNormal\", \"config\": {}}",
            "\"units\": 1, \"bias_initializer\": {\"class_name\": \"Constant\", \"config\": {}}"),
        keras3);
    assert_works(lstm__model_load(&model, context, "initialiser.keras"));
    assert_non_null(strstr(logged, "HeNormal is not in this version"));
    assert_non_null(strstr(logged, "Constant is not in this version"));
    lstm__graph_release(model);
    /* Where they do matter they are refused. */
    const char description[] = SEQUENTIAL("\"units\": 1, \"kernel_initializer\": \"HeNormal\"",
                                          "\"units\": 1");
    assert_fails(lstm__model_from_json(&model, context, description, strlen(description)),
                 LSTM_ERROR_NOT_FOUND, "HeNormal");
}

static void test_hard_sigmoid_is_another_function_before_keras_3(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    const char *const description = SEQUENTIAL("\"units\": 1",
                                               "\"units\": 1, \"activation\": \"hard_sigmoid\"");
    write_archive("sigmoid3.keras", description, keras3);
    assert_works(lstm__model_load(&model, context, "sigmoid3.keras"));
    lstm__graph_release(model);
    write_archive("sigmoid2.keras", description, keras2);
    assert_works(lstm__model_load(&model, context, "sigmoid2.keras"));
    assert_int_equal(((const lstm_dense_options *)model->nodes[2]->options)->activation,
                     LSTM_ACTIVATION_HARD_SIGMOID_KERAS2);
    lstm__graph_release(model);
    const char *const inside =
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": ["
        "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 2, 1]}},"
        "{\"class_name\": \"Bidirectional\", \"config\": {\"layer\": {\"class_name\": "
        "\"LSTM\", \"config\": {\"units\": 1, \"recurrent_activation\": \"hard_sigmoid\"}}}},"
        "{\"class_name\": \"RepeatVector\", \"config\": {\"n\": 2}},"
        "{\"class_name\": \"GRU\", \"config\": {\"units\": 1}}]}, "
        "\"keras_version\": \"2.1.6\"}";
    assert_works(lstm__model_from_json(&model, context, inside, strlen(inside)));
    for (size_t k = 1; k < 3; k++)
        assert_int_equal(
            ((const lstm_lstm_options *)model->nodes[k]->options)->recurrent_activation,
            LSTM_ACTIVATION_HARD_SIGMOID_KERAS2);
    assert_int_equal(((const lstm_gru_options *)model->nodes[5]->options)->reset_after, LSTM_NO);
    lstm__graph_release(model);
}

/* Layers of Keras that are an Activation here, with its numbers. */
static void test_activation_layers_are_read(void **state)
{
    static const struct {
        const char *layer;
        int32_t activation;
        float alpha, beta;
    } layers[] = {
        {"\"ReLU\", \"config\": {\"max_value\": null, \"negative_slope\": 0.0, \"threshold\": 0.0}",
         LSTM_ACTIVATION_RELU, 0, 0},
        {"\"ReLU\", \"config\": {\"negative_slope\": 0.25, \"threshold\": 0.5}",
         LSTM_ACTIVATION_RELU, 0.25f, 0.5f},
        {"\"LeakyReLU\", \"config\": {\"negative_slope\": 0.125}", LSTM_ACTIVATION_RELU, 0.125f, 0},
        {"\"LeakyReLU\", \"config\": {\"alpha\": 0.5}", LSTM_ACTIVATION_RELU, 0.5f, 0},
        {"\"ELU\", \"config\": {\"alpha\": 0.5}", LSTM_ACTIVATION_ELU, 0.5f, 0},
        {"\"Softmax\", \"config\": {\"axis\": -1}", LSTM_ACTIVATION_SOFTMAX, 0, 0}};
    static const char *const refused[] = {"\"ReLU\", \"config\": {\"max_value\": 6.0}",
                                          "\"Softmax\", \"config\": {\"axis\": 1}"};
    static const char frame[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [{\"class_name\": "
        "\"InputLayer\", "
        "\"config\": {\"batch_shape\": [null, 2, 3]}}, {\"class_name\": %s}]}}";
    char text[400];
    lstm_model *model = NULL;
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        snprintf(text, sizeof text, frame, layers[k].layer);
        assert_works(lstm__model_from_json(&model, context, text, strlen(text)));
        const lstm_activation_options *const own = model->nodes[1]->options;
        assert_int_equal(own->activation, layers[k].activation);
        assert_true(own->alpha == layers[k].alpha && own->beta == layers[k].beta);
        lstm__graph_release(model);
    }
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        snprintf(text, sizeof text, frame, refused[k]);
        assert_true(lstm__model_from_json(&model, context, text, strlen(text)) != LSTM_OK);
        assert_non_null(strstr(lstm_last_error(), "(Activation): unknown option"));
    }
}

static void test_a_sequence_that_was_built_by_a_call_is_read(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    write_archive(
        "called.keras",
        "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"build_input_shape\": "
        "[null, 2, 1], "
        "\"layers\": [{\"class_name\": \"LSTM\", \"config\": {\"name\": \"lstm\", \"units\": 1}},"
        "{\"class_name\": \"Dense\", \"config\": {\"name\": \"dense\", \"units\": 1}}]}}",
        keras2);
    assert_works(lstm__model_load(&model, context, "called.keras"));
    assert_int_equal(model->node_count, 3);
    assert_int_equal(model->nodes[0]->shapes[0].steps, 2);
    lstm__graph_release(model);
}

/* Array k holds k: W, U, b of the gates i, c, f, o are 0 1 2, 3 4 5, 6 7 8, 9 10 11; ours are i, f,
 * c, o. */
static void test_the_twelve_arrays_of_keras_1_become_three(void **state)
{
    static const float expected[3][4] = {{0, 6, 3, 9}, {1, 7, 4, 10}, {2, 8, 5, 11}};
    (void)state;
    lstm_model *model = NULL;
    assert_works(lstm__model_load(&model, context, kept("keras1.h5")));
    assert_int_equal(model->parameter_count, 3);
    for (size_t p = 0; p < 3; p++) {
        real values[4];
        lstm__parameter_read(&model->parameters[p], model->values, values);
        assert_memory_equal(values, expected[p], sizeof values);
    }
    lstm__graph_release(model);
}

static void test_the_log_says_that_the_optimizer_is_not_read(void **state)
{
    (void)state;
    lstm_model *model = NULL;
    logged[0] = 0;
    assert_works(lstm__model_load(&model, context, kept("keras3.keras")));
    assert_non_null(
        strstr(logged, " arrays of the optimizer, metrics and random seeds are not read"));
    lstm__graph_release(model);
}

static int set_up(void **state)
{
    (void)state;
    held = (memory){.allowed = -1};
    const lstm_context_options options = {.struct_size = sizeof options,
                                          .allocate = memory_allocate,
                                          .release = memory_release,
                                          .allocator_user = &held,
                                          .log = keep_log};
    return lstm_context_create(&context, &options) == LSTM_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    lstm_context_destroy(context);
    return held.blocks == 0 ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_may_run_out_anywhere),
        cmocka_unit_test(test_memory_may_run_out_while_weights_are_loaded),
        cmocka_unit_test(test_memory_may_run_out_while_a_model_is_exported),
        cmocka_unit_test(test_a_description_cannot_ask_for_more_than_the_file_holds),
        cmocka_unit_test(test_initialisers_of_other_versions_do_not_matter),
        cmocka_unit_test(test_hard_sigmoid_is_another_function_before_keras_3),
        cmocka_unit_test(test_activation_layers_are_read),
        cmocka_unit_test(test_a_sequence_that_was_built_by_a_call_is_read),
        cmocka_unit_test(test_the_twelve_arrays_of_keras_1_become_three),
        cmocka_unit_test(test_the_log_says_that_the_optimizer_is_not_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
