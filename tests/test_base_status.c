/* SPDX-License-Identifier: MIT
 *
 * Status names, messages, and the error text of each thread.
 */
#include "status.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const lstm_status statuses[] = {
    LSTM_OK,
    LSTM_ERROR_ARGUMENT,
    LSTM_ERROR_SHAPE,
    LSTM_ERROR_STATE,
    LSTM_ERROR_UNSUPPORTED,
    LSTM_ERROR_MEMORY,
    LSTM_ERROR_IO,
    LSTM_ERROR_FORMAT,
    LSTM_ERROR_NUMERIC,
    LSTM_ERROR_CANCELLED,
    LSTM_ERROR_NOT_FOUND,
    LSTM_ERROR_THREAD,
};

enum { STATUS_COUNT = sizeof statuses / sizeof statuses[0] };

static void test_every_status_has_a_name_and_a_message_of_its_own(void **state)
{
    (void)state;
    for (size_t k = 0; k < STATUS_COUNT; k++) {
        assert_string_not_equal(lstm_status_name(statuses[k]), "LSTM_ERROR_UNKNOWN");
        assert_int_equal(
            lstm_status_message(statuses[k])[strlen(lstm_status_message(statuses[k])) - 1], '.');
        for (size_t other = 0; other < k; other++) {
            assert_string_not_equal(lstm_status_name(statuses[k]),
                                    lstm_status_name(statuses[other]));
            assert_string_not_equal(lstm_status_message(statuses[k]),
                                    lstm_status_message(statuses[other]));
        }
    }
    assert_string_equal(lstm_status_name(LSTM_ERROR_SHAPE), "LSTM_ERROR_SHAPE");
    assert_string_equal(lstm_status_name(-11), "LSTM_ERROR_UNKNOWN");
    assert_non_null(strstr(lstm_status_message(12345), "lstm_version"));
}

static void test_version_text_agrees_with_number(void **state)
{
    (void)state;
    unsigned major = 0, minor = 0, patch = 0;
    assert_int_equal(sscanf(lstm_version_string(), "%u.%u.%u", &major, &minor, &patch), 3);
    assert_int_equal(major * 10000 + minor * 100 + patch, lstm_version());
    assert_int_equal(lstm_version(), LSTM_VERSION);
}

static void test_fail_keeps_the_text_and_returns_the_status(void **state)
{
    (void)state;
    assert_int_equal(lstm__fail(LSTM_ERROR_SHAPE, "%d of %s", 3, "four"), LSTM_ERROR_SHAPE);
    assert_string_equal(lstm_last_error(), "3 of four");
}

static void test_fail_may_quote_the_text_it_replaces(void **state)
{
    (void)state;
    lstm__fail(LSTM_ERROR_IO, "inner");
    lstm__fail(LSTM_ERROR_IO, "outer (%s)", lstm_last_error());
    assert_string_equal(lstm_last_error(), "outer (inner)");
}

static void test_prefix_goes_before_the_text(void **state)
{
    (void)state;
    lstm__fail(LSTM_ERROR_FORMAT, "row 3 is ragged");
    assert_int_equal(lstm__prefix_error(LSTM_ERROR_FORMAT, "%s.csv", "data"), LSTM_ERROR_FORMAT);
    assert_string_equal(lstm_last_error(), "data.csv: row 3 is ragged");
}

static void test_long_texts_are_cut_and_say_so(void **state)
{
    (void)state;
    char longer[3000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    lstm__fail(LSTM_ERROR_IO, "%s", longer);
    assert_int_equal(strlen(lstm_last_error()), 1023);
    assert_string_equal(lstm_last_error() + 1020, "...");
    lstm__prefix_error(LSTM_ERROR_IO, "%s", longer);
    assert_int_equal(strlen(lstm_last_error()), 1023);
    assert_string_equal(lstm_last_error() + 1020, "...");
}

static void *fail_elsewhere(void *result)
{
    *(int *)result = strcmp(lstm_last_error(), "") == 0;
    lstm__fail(LSTM_ERROR_IO, "elsewhere");
    return NULL;
}

static void test_each_thread_has_its_own_text(void **state)
{
    (void)state;
    lstm__fail(LSTM_ERROR_IO, "here");
    pthread_t thread;
    int was_empty = 0;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &was_empty), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(was_empty);
    assert_string_equal(lstm_last_error(), "here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_a_name_and_a_message_of_its_own),
        cmocka_unit_test(test_version_text_agrees_with_number),
        cmocka_unit_test(test_fail_keeps_the_text_and_returns_the_status),
        cmocka_unit_test(test_fail_may_quote_the_text_it_replaces),
        cmocka_unit_test(test_prefix_goes_before_the_text),
        cmocka_unit_test(test_long_texts_are_cut_and_say_so),
        cmocka_unit_test(test_each_thread_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
