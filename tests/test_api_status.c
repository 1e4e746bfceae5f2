/* SPDX-License-Identifier: MIT
 * Version, status codes, the error text of each thread, names of constants, and what NULL handles
 * give.
 */
#include "api_checks.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_library_and_header_have_one_version(void **state)
{
    char text[32];
    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", LSTM_VERSION_MAJOR, LSTM_VERSION_MINOR,
             LSTM_VERSION_PATCH);
    assert_int_equal(lstm_version(), LSTM_VERSION);
    assert_string_equal(lstm_version_string(), text);
}

static void test_status_values_names_and_messages_are_pinned(void **state)
{
    static const struct {
        lstm_status status;
        int value;
        const char *name;
    } known[] = {
        {LSTM_OK, 0, "LSTM_OK"},
        {LSTM_ERROR_ARGUMENT, -10, "LSTM_ERROR_ARGUMENT"},
        {LSTM_ERROR_SHAPE, -20, "LSTM_ERROR_SHAPE"},
        {LSTM_ERROR_STATE, -30, "LSTM_ERROR_STATE"},
        {LSTM_ERROR_UNSUPPORTED, -40, "LSTM_ERROR_UNSUPPORTED"},
        {LSTM_ERROR_MEMORY, -50, "LSTM_ERROR_MEMORY"},
        {LSTM_ERROR_IO, -60, "LSTM_ERROR_IO"},
        {LSTM_ERROR_FORMAT, -70, "LSTM_ERROR_FORMAT"},
        {LSTM_ERROR_NUMERIC, -80, "LSTM_ERROR_NUMERIC"},
        {LSTM_ERROR_CANCELLED, -90, "LSTM_ERROR_CANCELLED"},
        {LSTM_ERROR_NOT_FOUND, -100, "LSTM_ERROR_NOT_FOUND"},
        {LSTM_ERROR_THREAD, -110, "LSTM_ERROR_THREAD"},
    };
    (void)state;
    for (size_t k = 0; k < LENGTH(known); k++) {
        assert_int_equal(known[k].status, known[k].value);
        assert_string_equal(lstm_status_name(known[k].status), known[k].name);
        const char *message = lstm_status_message(known[k].status);
        assert_true(strlen(message) > 5);
        assert_int_equal(message[strlen(message) - 1], '.');
        for (size_t other = 0; other < k; other++)
            assert_string_not_equal(message, lstm_status_message(known[other].status));
    }
    for (lstm_status status = -200; status <= 10; status++) {
        bool listed = false;
        for (size_t k = 0; k < LENGTH(known); k++)
            listed = listed || known[k].status == status;
        if (!listed)
            assert_string_equal(lstm_status_name(status), "LSTM_ERROR_UNKNOWN");
        assert_non_null(lstm_status_message(status));
    }
    assert_string_equal(lstm_status_name(INT32_MIN), "LSTM_ERROR_UNKNOWN");
}

static void *check_fresh_thread(void *argument)
{
    int *good = argument;
    *good = strcmp(lstm_last_error(), "") == 0;
    *good = *good && lstm_model_build(NULL) == LSTM_ERROR_ARGUMENT &&
            strstr(lstm_last_error(), "lstm_model_build");
    return NULL;
}

static void test_error_text_belongs_to_its_thread_and_survives_success(void **state)
{
    pthread_t thread;
    int good = 0;
    int32_t value = 0;
    char before[256];
    (void)state;
    assert_status(lstm_constant_from_name(LSTM_NAMES_LOSS, "no such loss", &value),
                  LSTM_ERROR_NOT_FOUND);
    snprintf(before, sizeof before, "%s", lstm_last_error());
    assert_text_contains(before, "no such loss");
    assert_int_equal(pthread_create(&thread, NULL, check_fresh_thread, &good), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(good);
    assert_string_equal(lstm_last_error(), before);
    assert_ok(lstm_constant_from_name(LSTM_NAMES_LOSS, "mse", &value));
    assert_string_equal(lstm_last_error(), before);
}

/* Number of constants in each set, LSTM_NAMES_PROFILE first. */
static const int32_t set_sizes[] = {2, 4, 11, 21, 14, 11, 7, 8, 4, 4};

static void test_every_constant_has_a_name_that_leads_back(void **state)
{
    (void)state;
    for (int32_t set = LSTM_NAMES_PROFILE; set <= LSTM_NAMES_CONSTRAINT; set++) {
        const int32_t size = set_sizes[set - 1];
        for (int32_t constant = 1; constant <= size; constant++) {
            char shouted[64];
            int32_t found = 0;
            const char *name = lstm_constant_name(set, constant);
            assert_non_null(name);
            assert_ok(lstm_constant_from_name(set, name, &found));
            assert_int_equal(found, constant);
            size_t k = 0;
            for (; name[k] && k + 1 < sizeof shouted; k++)
                shouted[k] = (char)toupper((unsigned char)name[k]);
            shouted[k] = 0;
            found = 0;
            assert_ok(lstm_constant_from_name(set, shouted, &found));
            assert_int_equal(found, constant);
        }
        assert_null(lstm_constant_name(set, 0));
        assert_null(lstm_constant_name(set, -1));
        assert_null(lstm_constant_name(set, size + 1));
    }
    assert_null(lstm_constant_name(0, 1));
    assert_null(lstm_constant_name(LSTM_NAMES_CONSTRAINT + 1, 1));
}

static void test_both_names_of_a_loss_are_known(void **state)
{
    int32_t value = 0;
    (void)state;
    assert_ok(lstm_constant_from_name(LSTM_NAMES_LOSS, "mean_squared_error", &value));
    assert_int_equal(value, LSTM_LOSS_MSE);
    assert_ok(lstm_constant_from_name(LSTM_NAMES_METRIC, "root_mean_squared_error", &value));
    assert_int_equal(value, LSTM_METRIC_RMSE);
    assert_ok(lstm_constant_from_name(LSTM_NAMES_PROFILE, "PyTorch", &value));
    assert_int_equal(value, LSTM_PROFILE_TORCH);
}

static void test_mistyped_constants_get_the_nearest_name(void **state)
{
    static const struct {
        int32_t set;
        const char *wrong, *right;
    } typos[] = {{LSTM_NAMES_PROFILE, "kears", "keras"},
                 {LSTM_NAMES_ISA, "avx", "avx2"},
                 {LSTM_NAMES_ACTIVATION, "sigmiod", "sigmoid"},
                 {LSTM_NAMES_LOSS, "binary_crossentrpy", "binary_crossentropy"},
                 {LSTM_NAMES_METRIC, "acuracy", "accuracy"},
                 {LSTM_NAMES_OPTIMIZER, "adm", "adam"},
                 {LSTM_NAMES_INITIALIZER, "glorot_unifrm", "glorot_uniform"}};
    (void)state;
    for (size_t k = 0; k < LENGTH(typos); k++) {
        int32_t value = 77;
        assert_status_text(lstm_constant_from_name(typos[k].set, typos[k].wrong, &value),
                           LSTM_ERROR_NOT_FOUND, typos[k].right);
        assert_int_equal(value, 77);
    }
}

static void test_constant_from_name_rejects_bad_arguments(void **state)
{
    int32_t value = 77;
    (void)state;
    assert_status(lstm_constant_from_name(LSTM_NAMES_LOSS, NULL, &value), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_constant_from_name(LSTM_NAMES_LOSS, "mse", NULL), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_constant_from_name(0, "mse", &value), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_constant_from_name(LSTM_NAMES_CONSTRAINT + 1, "mse", &value),
                  LSTM_ERROR_ARGUMENT);
    assert_status(lstm_constant_from_name(-1, "mse", &value), LSTM_ERROR_ARGUMENT);
    assert_status(lstm_constant_from_name(LSTM_NAMES_LOSS, "", &value), LSTM_ERROR_NOT_FOUND);
    assert_int_equal(value, 77);
}

static void test_destroying_null_does_nothing(void **state)
{
    (void)state;
    lstm_context_destroy(NULL);
    lstm_model_destroy(NULL);
    lstm_session_destroy(NULL);
    lstm_optimizer_destroy(NULL);
    lstm_history_destroy(NULL);
    lstm_primitive_destroy(NULL);
    lstm_archive_destroy(NULL);
    lstm_table_destroy(NULL);
}

static void test_questions_about_null_have_their_documented_answers(void **state)
{
    (void)state;
    assert_int_equal(lstm_context_threads(NULL), 1);
    assert_non_null(lstm_constant_name(LSTM_NAMES_ISA, lstm_context_isa(NULL)));
    assert_non_null(lstm_context_blas(NULL));
    assert_int_equal(lstm_model_is_built(NULL), LSTM_NO);
    assert_int_equal(lstm_model_profile(NULL), 0);
    assert_int_equal(lstm_model_layer_count(NULL), 0);
    assert_null(lstm_model_layer(NULL, 0));
    assert_int_equal(lstm_model_input_count(NULL), 0);
    assert_int_equal(lstm_model_output_count(NULL), 0);
    assert_null(lstm_model_input(NULL, 0));
    assert_null(lstm_model_output(NULL, 0));
    assert_null(lstm_layer_name(NULL));
    assert_null(lstm_layer_type(NULL));
    assert_int_equal(lstm_model_parameter_count(NULL), 0);
    assert_int_equal(lstm_model_parameter_total(NULL), 0);
    assert_null(lstm_model_metadata(NULL, "key"));
    assert_true(lstm_model_flops(NULL, NULL, 1) == 0);
    assert_int_equal(lstm_optimizer_steps(NULL), 0);
    assert_true(lstm_optimizer_learning_rate(NULL) == 0);
    assert_int_equal(lstm_history_epochs(NULL), 0);
    assert_int_equal(lstm_history_columns(NULL), 0);
    assert_null(lstm_history_name(NULL, 0));
    assert_true(isnan(lstm_history_value(NULL, 0, 0)));
    assert_int_equal(lstm_history_best(NULL), 0);
    assert_int_equal(lstm_session_memory_size(NULL), 0);
    assert_int_equal(lstm_primitive_memory_size(NULL), 0);
    assert_int_equal(lstm_primitive_route(NULL), 0);
    assert_int_equal(lstm_archive_count(NULL), 0);
    assert_int_equal(lstm_table_rows(NULL), 0);
    assert_int_equal(lstm_table_columns(NULL), 0);
    assert_null(lstm_table_column_name(NULL, 0));
    assert_int_equal(lstm_table_column_kind(NULL, 0), 0);
    assert_null(lstm_table_column_values(NULL, 0));
    assert_int_equal(lstm_table_line(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library_and_header_have_one_version),
        cmocka_unit_test(test_status_values_names_and_messages_are_pinned),
        cmocka_unit_test(test_error_text_belongs_to_its_thread_and_survives_success),
        cmocka_unit_test(test_every_constant_has_a_name_that_leads_back),
        cmocka_unit_test(test_both_names_of_a_loss_are_known),
        cmocka_unit_test(test_mistyped_constants_get_the_nearest_name),
        cmocka_unit_test(test_constant_from_name_rejects_bad_arguments),
        cmocka_unit_test(test_destroying_null_does_nothing),
        cmocka_unit_test(test_questions_about_null_have_their_documented_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
