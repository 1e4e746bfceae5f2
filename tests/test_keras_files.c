/* SPDX-License-Identifier: MIT
 *
 * Files of the real Keras: every case of ../shared/golden that this version's layers can express is
 * loaded from .keras and from .h5, and gives the recorded output within 1e-5; weights alone into a
 * model of the description; small files of Keras 3 and Keras 2 kept in tests/fuzz/corpus/keras; and
 * what is wrong with a file is said by name.
 */
#include "closeness.h"
#include "golden_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST = 8 };

/* Cases that can be read and written. */
static const char *const cases[] = {"lstm_last",
                                    "lstm_sequences",
                                    "lstm_backwards",
                                    "lstm_states",
                                    "lstm_no_bias",
                                    "tutorial",
                                    "stack2_dense_softmax",
                                    "encoder_decoder",
                                    "gru_reset_after",
                                    "gru_reset_before",
                                    "simple_rnn",
                                    "layernorm_between",
                                    "batchnorm_inference",
                                    "global_pool",
                                    "conv_pool_lstm",
                                    "time_distributed_dense",
                                    "bidirectional_ave",
                                    "bidirectional_concat",
                                    "bidirectional_masked",
                                    "bidirectional_mul",
                                    "bidirectional_sum",
                                    "embedding_mask_trail_last",
                                    "embedding_mask_holes_seq"};

/* ---- Predictions */

static double check_outputs(const golden_case *golden, lstm_model *model)
{
    float *x[MOST];
    size_t x_counts[MOST];
    size_t inputs = 0;
    float *outs[MOST];
    size_t y_counts[MOST];
    float *y[MOST];
    double worst = 0;
    const size_t outputs = lstm_model_output_count(model);
    while (inputs < MOST &&
           (x[inputs] = golden_array_number(golden, "x", 1, inputs, &x_counts[inputs])))
        inputs++;
    for (size_t k = 0; k < outputs; k++) {
        y[k] = golden_array_number(golden, "y", 1, k, &y_counts[k]);
        assert_non_null(y[k]);
        outs[k] = malloc(y_counts[k] * sizeof(float));
        assert_non_null(outs[k]);
    }
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = 4,
                            .inputs = (const float *const *)x,
                            .input_sizes = x_counts,
                            .input_count = inputs};
    assert_ok(lstm_predict_outputs(model, &data, outs, y_counts, outputs));
    for (size_t k = 0; k < outputs; k++) {
        worst = fmax(worst, assert_close("output", outs[k], y[k], y_counts[k], 1e-5, 0));
        free(outs[k]);
        free(y[k]);
    }
    for (size_t k = 0; k < inputs; k++)
        free(x[k]);
    return worst;
}

static void path_of(const golden_case *golden, const char *file, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", golden->folder, file);
}

/* Of these there are no .h5 files. */
static void test_attention_gives_what_keras_gave(void **state)
{
    static const char *const names[] = {"attention_dot", "attention_additive",
                                        "attention_multihead"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        golden_case golden;
        char path[1200];
        lstm_model *model = NULL;
        golden_open(&golden, "keras", names[k]);
        path_of(&golden, "model.keras", path, sizeof path);
        assert_ok(lstm_model_load(&model, NULL, path));
        print_message("%-24s %.1e\n", names[k], check_outputs(&golden, model));
        lstm_model_destroy(model);
        golden_close(&golden);
    }
}

static void test_whole_models_give_what_keras_gave(void **state)
{
    static const char *const files[] = {"model.keras", "model.h5"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        double worst = 0;
        golden_open(&golden, "keras", cases[k]);
        for (size_t f = 0; f < 2; f++) {
            char path[1200];
            lstm_model *model = NULL;
            path_of(&golden, files[f], path, sizeof path);
            assert_ok(lstm_model_load(&model, NULL, path));
            worst = fmax(worst, check_outputs(&golden, model));
            lstm_model_destroy(model);
        }
        print_message("%-24s %.1e\n", cases[k], worst);
        golden_close(&golden);
    }
}

static void test_weights_alone_fill_a_model_of_the_description(void **state)
{
    static const char *const files[] = {"model.weights.h5", "model.h5", "model.keras"};
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        golden_open(&golden, "keras", cases[k]);
        for (size_t f = 0; f < 3; f++) {
            char path[1200];
            lstm_model *model = golden_model(&golden);
            path_of(&golden, files[f], path, sizeof path);
            assert_ok(lstm_model_load_weights(model, path));
            check_outputs(&golden, model);
            lstm_model_destroy(model);
        }
        golden_close(&golden);
    }
}

static void test_a_loaded_model_survives_saving_as_our_own(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    golden_case golden;
    char path[1200];
    lstm_model *model = NULL;
    golden_open(&golden, "keras", "lstm_states");
    path_of(&golden, "model.keras", path, sizeof path);
    assert_ok(lstm_model_load(&model, NULL, path));
    assert_ok(lstm_model_save(model, "kept.lstm"));
    lstm_model_destroy(model);
    assert_ok(lstm_model_load(&model, NULL, "kept.lstm"));
    check_outputs(&golden, model);
    lstm_model_destroy(model);
    model = golden_model(&golden);
    assert_ok(lstm_model_load_weights(model, "kept.lstm")); /* safetensors: by name */
    check_outputs(&golden, model);
    lstm_model_destroy(model);
    golden_close(&golden);
}

/* ---- Kept files: LSTM(1) and Dense(1) on [2, 1], weight k of n is (k - n / 2) / 2; .h5: Dense(1) on [2] */

static const char *kept(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/keras/%s", LSTM_TESTS_DIR, name);
    return path;
}

static void check_kept(const lstm_model *model)
{
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        float values[16];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, p, &info));
        assert_ok(lstm_model_get_parameter(model, p, values, info.count));
        for (size_t k = 0; k < info.count; k++)
            assert_true(values[k] == ((float)k - (float)(info.count / 2)) / 2);
    }
}

static void test_small_files_of_keras_2_and_3_are_read(void **state)
{
    static const char *const files[] = {"keras3.keras", "keras2.keras", "keras3.h5", "keras2.h5"};
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        lstm_model *model = NULL;
        assert_ok(lstm_model_load(&model, NULL, kept(files[k])));
        assert_int_equal(lstm_model_parameter_count(model), k < 2 ? 5 : 2);
        check_kept(model);
        lstm_model_destroy(model);
    }
}

/* ---- Weights into other models */

static lstm_model *model_of(const char *json)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_from_json(&model, NULL, json, strlen(json)));
    return model;
}

static void assert_refused(lstm_status got, lstm_status expected, const char *part)
{
    if (got != expected || !strstr(lstm_last_error(), part))
        fail_msg("got %s \"%s\"; expected %s with \"%s\"", lstm_status_name(got), lstm_last_error(),
                 lstm_status_name(expected), part);
}

static void test_other_names_are_matched_by_order(void **state)
{
    (void)state;
    lstm_model *model = model_of(
        "{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, {\"type\": \"LSTM\", \"name\": "
        "\"a\", "
        "\"units\": 1}, {\"type\": \"Dense\", \"name\": \"b\", \"units\": 1}]}");
    assert_ok(lstm_model_load_weights(model, kept("keras3.keras")));
    check_kept(model);
    assert_ok(lstm_model_load_weights(model, kept("keras2.keras")));
    check_kept(model);
    lstm_model_destroy(model);
    model = model_of("{\"layers\": [{\"type\": \"Input\", \"shape\": [2]}, "
                     "{\"type\": \"Dense\", \"name\": \"b\", \"units\": 1}]}");
    assert_ok(lstm_model_load_weights(model, kept("keras2.h5")));
    check_kept(model);
    lstm_model_destroy(model);
}

/* Keras sorts layers by depth and by a walk from the outputs: here "b" comes before "a". */
#define PARALLEL(a, b)                                                              \
    "{\"layers\": [{\"type\": \"Input\", \"name\": \"x\", \"shape\": [2, 1]},"      \
    "{\"type\": \"LSTM\", \"name\": \"" a "\", \"inputs\": [\"x\"], \"units\": 2}," \
    "{\"type\": \"LSTM\", \"name\": \"" b                                           \
    "\", \"inputs\": [\"x\"], \"units\": 2}], \"outputs\": [\"" b "\", \"" a "\"]}"

static void test_layers_are_counted_in_the_order_of_keras(void **state)
{
    (void)state;
    lstm_model *written = model_of(PARALLEL("a", "b"));
    lstm_model *read = model_of(PARALLEL("other", "names"));
    lstm_model *whole = NULL;
    for (size_t p = 0; p < 6; p++) {
        float values[16];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(written, p, &info));
        for (size_t k = 0; k < info.count; k++)
            values[k] = (float)(100 * p + k);
        assert_ok(lstm_model_set_parameter(written, p, values, info.count));
    }
    assert_ok(lstm_model_export(written, "parallel.weights.h5"));
    assert_ok(lstm_model_export(written, "parallel.keras"));
    assert_ok(lstm_model_load_weights(read, "parallel.weights.h5"));
    assert_ok(lstm_model_load(&whole, NULL, "parallel.keras"));
    for (size_t p = 0; p < 6; p++) {
        float expected[16];
        float found[16];
        size_t index = 0;
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(written, p, &info));
        assert_ok(lstm_model_get_parameter(written, p, expected, info.count));
        assert_ok(lstm_model_get_parameter(read, p, found, info.count));
        assert_memory_equal(found, expected, info.count * sizeof *found);
        assert_ok(lstm_model_find_parameter(whole, info.name, &index));
        assert_ok(lstm_model_get_parameter(whole, index, found, info.count));
        assert_memory_equal(found, expected, info.count * sizeof *found);
    }
    lstm_model_destroy(written);
    lstm_model_destroy(read);
    lstm_model_destroy(whole);
}

static void test_models_of_keras_survive_writing_for_keras(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        golden_case golden;
        char path[1200];
        lstm_model *model = NULL;
        golden_open(&golden, "keras", cases[k]);
        path_of(&golden, "model.h5", path, sizeof path);
        assert_ok(lstm_model_load(&model, NULL, path));
        assert_ok(lstm_model_export(model, "written.keras"));
        assert_ok(lstm_model_export(model, "written.weights.h5"));
        lstm_model_destroy(model);
        assert_ok(lstm_model_load(&model, NULL, "written.keras"));
        check_outputs(&golden, model);
        lstm_model_destroy(model);
        model = golden_model(&golden);
        assert_ok(lstm_model_load_weights(model, "written.weights.h5"));
        check_outputs(&golden, model);
        lstm_model_destroy(model);
        golden_close(&golden);
    }
}

static void test_what_keras_cannot_say_is_refused_by_name(void **state)
{
    static const char *const layers[][2] = {
        {"{\"type\": \"LastStep\", \"name\": \"last\"}", "layer \"last\": Keras has no LastStep"},
        {"{\"type\": \"Dense\", \"name\": \"d\", \"units\": 1, \"activation\": "
         "\"hard_sigmoid_keras2\"}",
         "layer \"d\": Keras 3 has no hard_sigmoid_keras2"},
        {"{\"type\": \"Masking\"}, {\"type\": \"Conv1D\", \"name\": \"c\", \"filters\": 1, "
         "\"kernel_size\": 1}",
         "layer \"c\": \"ignore_mask\" is false, which Keras' Conv1D cannot be"},
        {"{\"type\": \"Bidirectional\", \"name\": \"b\", \"layer\": {\"type\": \"GRU\", "
         "\"units\": 2}}], \"outputs\": [\"b\", \"b/forward_gru\"",
         "layer \"b/forward_gru\": its outputs are read by others than the Bidirectional \"b\""}};
    (void)state;
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char json[600];
        snprintf(json, sizeof json, "{\"layers\": [{\"type\": \"Input\", \"shape\": [3, 2]}, %s]}",
                 layers[k][0]);
        lstm_model *model = model_of(json);
        remove("refused.keras");
        assert_refused(lstm_model_export(model, "refused.keras"), LSTM_ERROR_UNSUPPORTED,
                       layers[k][1]);
        assert_null(fopen("refused.keras", "rb"));
        lstm_model_destroy(model);
    }
}

static void test_only_formats_of_keras_are_exported(void **state)
{
    (void)state;
    lstm_model *model = model_of("{\"layers\": [{\"type\": \"Input\", \"shape\": [2]}, {\"type\": "
                                 "\"Dense\", \"units\": 1}]}");
    assert_refused(lstm_model_export(model, "x.hdf5"), LSTM_ERROR_ARGUMENT,
                   "\"x.hdf5\": expected a name that ends with .keras");
    assert_refused(lstm_model_export(model, NULL), LSTM_ERROR_ARGUMENT, "path is NULL");
    assert_refused(lstm_model_export(model, "no/such/folder/x.keras"), LSTM_ERROR_IO,
                   "no/such/folder");
    lstm_model_destroy(model);
}

static void check_unchanged(const char *json, const char *file, lstm_status expected,
                            const char *part)
{
    lstm_model *model = model_of(json);
    lstm_model *same = model_of(json);
    assert_refused(lstm_model_load_weights(model, file), expected, part);
    for (size_t p = 0; p < lstm_model_parameter_count(model); p++) {
        float a[256];
        float b[256];
        lstm_parameter_info info = {.struct_size = sizeof info};
        assert_ok(lstm_model_parameter_info(model, p, &info));
        assert_ok(lstm_model_get_parameter(model, p, a, info.count));
        assert_ok(lstm_model_get_parameter(same, p, b, info.count));
        assert_memory_equal(a, b, info.count * sizeof *a);
    }
    lstm_model_destroy(model);
    lstm_model_destroy(same);
}

#define INPUT "{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, "
#define LSTM "{\"type\": \"LSTM\", \"units\": 1"

static void test_weights_that_do_not_fit_change_nothing_and_are_named(void **state)
{
    (void)state;
    const char *const keras = kept("keras3.keras");
    check_unchanged(INPUT LSTM "}]}", keras, LSTM_ERROR_FORMAT,
                    "\"layers/dense/vars/0\" [1, 1] belongs to no layer");
    check_unchanged(INPUT LSTM "}, {\"type\": \"Dense\", \"units\": 2}]}", keras, LSTM_ERROR_SHAPE,
                    "model.weights.h5: tensor \"layers/dense/vars/0\": shape [1, 1], expected [1, "
                    "2] (dense/kernel)");
    check_unchanged(
        INPUT LSTM "}, {\"type\": \"Dense\", \"units\": 1}, {\"type\": \"Dense\", \"units\": 1}]}",
        keras, LSTM_ERROR_FORMAT,
        "no weights for layer \"dense_1\" (Dense): expected 2, the first dense_1/kernel [1, 1]");
    check_unchanged(INPUT LSTM ", \"use_bias\": false}, {\"type\": \"Dense\", \"units\": 1}]}",
                    keras, LSTM_ERROR_FORMAT,
                    "\"layers/lstm\" holds 3 weights; layer \"lstm\" (LSTM) has 2");
    check_unchanged(
        "{\"profile\": \"torch\", \"layers\": [{\"type\": \"Input\", \"shape\": [2, 1]}, " LSTM
        "}]}",
        keras, LSTM_ERROR_UNSUPPORTED, "profile torch");
    check_unchanged(INPUT LSTM "}]}", kept("keras2.h5"), LSTM_ERROR_FORMAT,
                    "holds 2 weights; layer \"lstm\" (LSTM) has 3");
    check_unchanged(INPUT LSTM "}]}", LSTM_TESTS_DIR "/test_keras_files.c", LSTM_ERROR_FORMAT,
                    "neither safetensors nor a file of Keras or PyTorch");
    check_unchanged(INPUT LSTM "}]}", "absent.h5", LSTM_ERROR_IO, "absent.h5");
    assert_refused(lstm_model_load_weights(NULL, "x"), LSTM_ERROR_ARGUMENT, "model is NULL");
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_refused(lstm_model_load_weights(model, "x"), LSTM_ERROR_STATE, "not built");
    assert_refused(lstm_model_load_weights(model, NULL), LSTM_ERROR_ARGUMENT, "path is NULL");
    lstm_model_destroy(model);
}

/* ---- Refused files */

static void check_load(const char *group, const char *name, lstm_status expected, const char *part)
{
    golden_case golden;
    lstm_model *model = NULL;
    golden_open(&golden, "keras", "lstm_last"); /* for the folder */
    char path[1300];
    snprintf(path, sizeof path, "%s/../../%s/%s", golden.folder, group, name);
    assert_refused(lstm_model_load(&model, NULL, path), expected, part);
    assert_null(model);
    golden_close(&golden);
}

static void test_what_is_wrong_is_said_by_name(void **state)
{
    (void)state;
    if (!golden_available())
        skip();
    check_load("keras/lstm_last", "model.weights.h5", LSTM_ERROR_UNSUPPORTED,
               "an HDF5 file without a description");
    check_load("malformed", "truncated.pt", LSTM_ERROR_FORMAT, "the ZIP archive");
    /* no input layer either */
    check_load("malformed", "wrong_weight_shape.keras", LSTM_ERROR_ARGUMENT, "nothing to read");
    check_load("malformed", "no_weights.keras", LSTM_ERROR_FORMAT, "has no model.weights.h5");
    check_load("malformed", "soft_link_loop.keras", LSTM_ERROR_UNSUPPORTED, "is a soft link");
    check_load("malformed", "huge_dataset.weights.h5", LSTM_ERROR_UNSUPPORTED,
               "without a description");
    check_load("malformed", "lambda_layer.keras", LSTM_ERROR_NOT_FOUND, "Lambda");
    check_load("malformed", "units_huge.keras", LSTM_ERROR_ARGUMENT, "nothing to read");
    check_load("malformed", "units_text.keras", LSTM_ERROR_FORMAT, "\"units\" is");
    check_load("malformed", "path_traversal.keras", LSTM_ERROR_FORMAT, "path_traversal.keras");
    check_load("malformed", "central_directory_cut.keras", LSTM_ERROR_FORMAT,
               "central_directory_cut.keras");
    check_load("malformed", "bomb.keras", LSTM_ERROR_FORMAT, "bomb.keras");
    golden_case golden;
    golden_open(&golden, "keras", "lstm_last");
    char path[1300];
    lstm_model *model = golden_model(&golden);
    snprintf(path, sizeof path, "%s/../../malformed/huge_dataset.weights.h5", golden.folder);
    assert_refused(lstm_model_load_weights(model, path), LSTM_ERROR_FORMAT,
                   "holds 1 weights; layer \"lstm\" (LSTM) has 3");
    lstm_model_destroy(model);
    model = model_of("{\"layers\": [{\"type\": \"Input\", \"shape\": [2, 3]}, {\"type\": \"LSTM\", "
                     "\"units\": 6}]}");
    snprintf(path, sizeof path, "%s/../../malformed/wrong_weight_shape.keras", golden.folder);
    assert_refused(lstm_model_load_weights(model, path), LSTM_ERROR_SHAPE,
                   "tensor \"layers/lstm/cell/vars/1\": shape [6, 20], expected [6, 24] "
                   "(lstm/recurrent_kernel)");
    lstm_model_destroy(model);
    golden_close(&golden);
}

/* ---- Damage */

static unsigned char *read_bytes(const char *path, size_t *size)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(stat(path, &info), 0);
    *size = (size_t)info.st_size;
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void write_bytes(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_archives_cut_off_anywhere_are_errors(void **state)
{
    static const char *const files[] = {"keras3.keras", "keras2.h5"};
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        size_t size = 0;
        unsigned char *bytes = read_bytes(kept(files[f]), &size);
        for (size_t cut = 1; cut < size; cut += f == 0 ? 1 : 7) {
            lstm_model *model = NULL;
            write_bytes("cut", bytes, cut);
            const lstm_status status = lstm_model_load(&model, NULL, "cut");
            if (status != LSTM_ERROR_FORMAT && status != LSTM_ERROR_UNSUPPORTED)
                fail_msg("%s cut to %zu bytes: %s", files[f], cut, lstm_status_name(status));
            assert_null(model);
        }
        free(bytes);
    }
}

/* Any flipped bit of a .keras is an error or the same model: everything in a ZIP archive that
 * matters has a checksum. */
static void test_a_flipped_bit_in_an_archive_never_gives_another_model(void **state)
{
    (void)state;
    size_t size = 0;
    size_t harmless = 0;
    unsigned char *bytes = read_bytes(kept("keras3.keras"), &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        lstm_model *model = NULL;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        write_bytes("flipped", bytes, size);
        if (lstm_model_load(&model, NULL, "flipped") == LSTM_OK) {
            assert_int_equal(lstm_model_parameter_count(model), 5);
            check_kept(model);
            harmless++;
        }
        lstm_model_destroy(model);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    print_message("%zu of %zu bits do not matter (dates, attributes, local headers)\n", harmless,
                  8 * size);
    assert_true(harmless < size * 4);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_gives_what_keras_gave),
        cmocka_unit_test(test_whole_models_give_what_keras_gave),
        cmocka_unit_test(test_weights_alone_fill_a_model_of_the_description),
        cmocka_unit_test(test_a_loaded_model_survives_saving_as_our_own),
        cmocka_unit_test(test_small_files_of_keras_2_and_3_are_read),
        cmocka_unit_test(test_other_names_are_matched_by_order),
        cmocka_unit_test(test_layers_are_counted_in_the_order_of_keras),
        cmocka_unit_test(test_models_of_keras_survive_writing_for_keras),
        cmocka_unit_test(test_what_keras_cannot_say_is_refused_by_name),
        cmocka_unit_test(test_only_formats_of_keras_are_exported),
        cmocka_unit_test(test_weights_that_do_not_fit_change_nothing_and_are_named),
        cmocka_unit_test(test_what_is_wrong_is_said_by_name),
        cmocka_unit_test(test_archives_cut_off_anywhere_are_errors),
        cmocka_unit_test(test_a_flipped_bit_in_an_archive_never_gives_another_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
