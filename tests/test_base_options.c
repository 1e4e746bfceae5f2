/* SPDX-License-Identifier: MIT
 *
 * Option structs of every age, and information structs written back.
 */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct known_options {
    uint32_t struct_size;
    int32_t a;
    double b;
} known_options;

typedef struct newer_options {
    known_options known;
    int64_t c;
    int64_t d;
} newer_options;

static void test_null_gives_zeros(void **state)
{
    (void)state;
    known_options o = {1, 2, 3};
    assert_int_equal(lstm__read_options(&o, sizeof o, NULL, "known_options"), LSTM_OK);
    assert_int_equal(o.struct_size, sizeof o);
    assert_int_equal(o.a, 0);
    assert_true(o.b == 0);
}

static void test_equal_size_is_copied(void **state)
{
    (void)state;
    const known_options given = {sizeof given, 7, 0.5};
    known_options o;
    assert_int_equal(lstm__read_options(&o, sizeof o, &given, "known_options"), LSTM_OK);
    assert_memory_equal(&o, &given, sizeof o);
}

static void test_shorter_struct_is_completed_with_zeros(void **state)
{
    (void)state;
    const known_options given = {8, 7, 0.5};
    known_options o = {1, 2, 3};
    assert_int_equal(lstm__read_options(&o, sizeof o, &given, "known_options"), LSTM_OK);
    assert_int_equal(o.struct_size, sizeof o);
    assert_int_equal(o.a, 7);
    assert_true(o.b == 0);
    const uint32_t shortest = 4;
    assert_int_equal(lstm__read_options(&o, sizeof o, &shortest, "known_options"), LSTM_OK);
    assert_int_equal(o.a, 0);
}

static void test_longer_struct_is_accepted_while_its_tail_is_zero(void **state)
{
    (void)state;
    newer_options given = {{sizeof given, 7, 0.5}, 0, 0};
    known_options o;
    assert_int_equal(lstm__read_options(&o, sizeof o, &given, "known_options"), LSTM_OK);
    assert_int_equal(o.a, 7);
    assert_int_equal(o.struct_size, sizeof o);
    given.d = 1;
    o.a = 99;
    assert_int_equal(lstm__read_options(&o, sizeof o, &given, "known_options"),
                     LSTM_ERROR_UNSUPPORTED);
    assert_non_null(strstr(lstm_last_error(), "known_options"));
    assert_non_null(strstr(lstm_last_error(), "newer lstm.h"));
    assert_int_equal(o.a, 99);
}

static void test_impossible_size_is_refused(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 3, 4097, 0xCDCDCDCD, UINT32_MAX};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        const known_options given = {sizes[k], 7, 0.5};
        known_options o = {0};
        assert_int_equal(lstm__read_options(&o, sizeof o, &given, "known_options"),
                         LSTM_ERROR_ARGUMENT);
        assert_non_null(strstr(lstm_last_error(), "sizeof(known_options)"));
        assert_int_equal(o.a, 0);
    }
}

static void test_struct_may_lie_at_any_address(void **state)
{
    (void)state;
    unsigned char room[sizeof(known_options) + 1];
    const known_options given = {sizeof given, 7, 0.5};
    memcpy(room + 1, &given, sizeof given);
    known_options o;
    assert_int_equal(lstm__read_options(&o, sizeof o, room + 1, "known_options"), LSTM_OK);
    assert_int_equal(o.a, 7);
}

static void test_info_is_written_as_far_as_the_caller_reaches(void **state)
{
    (void)state;
    const known_options info = {0, 7, 0.5};
    known_options shorter = {8, 1, 2};
    assert_int_equal(lstm__write_info(&shorter, &info, sizeof info, "known_options"), LSTM_OK);
    assert_int_equal(shorter.struct_size, 8);
    assert_int_equal(shorter.a, 7);
    assert_true(shorter.b == 2);
    newer_options longer = {{sizeof longer, 1, 2}, 3, 4};
    assert_int_equal(lstm__write_info(&longer, &info, sizeof info, "known_options"), LSTM_OK);
    assert_int_equal(longer.known.struct_size, sizeof longer);
    assert_int_equal(longer.known.a, 7);
    assert_true(longer.known.b == 0.5);
    assert_int_equal(longer.c, 0);
    assert_int_equal(longer.d, 0);
    known_options unset = {0, 1, 2};
    assert_int_equal(lstm__write_info(&unset, &info, sizeof info, "known_options"),
                     LSTM_ERROR_ARGUMENT);
    assert_int_equal(unset.a, 1);
    assert_int_equal(lstm__write_info(NULL, &info, sizeof info, "known_options"),
                     LSTM_ERROR_ARGUMENT);
}

static void test_flags_are_yes_no_or_default(void **state)
{
    (void)state;
    int32_t flag = 0;
    assert_int_equal(lstm__read_flag(&flag, LSTM_NO, "o.flag"), LSTM_OK);
    assert_int_equal(flag, LSTM_NO);
    flag = LSTM_YES;
    assert_int_equal(lstm__read_flag(&flag, LSTM_NO, "o.flag"), LSTM_OK);
    assert_int_equal(flag, LSTM_YES);
    static const int32_t bad[] = {-1, 3, INT32_MAX, INT32_MIN};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        flag = bad[k];
        assert_int_equal(lstm__read_flag(&flag, LSTM_NO, "o.flag"), LSTM_ERROR_ARGUMENT);
        assert_non_null(strstr(lstm_last_error(), "o.flag"));
        assert_int_equal(flag, bad[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_gives_zeros),
        cmocka_unit_test(test_equal_size_is_copied),
        cmocka_unit_test(test_shorter_struct_is_completed_with_zeros),
        cmocka_unit_test(test_longer_struct_is_accepted_while_its_tail_is_zero),
        cmocka_unit_test(test_impossible_size_is_refused),
        cmocka_unit_test(test_struct_may_lie_at_any_address),
        cmocka_unit_test(test_info_is_written_as_far_as_the_caller_reaches),
        cmocka_unit_test(test_flags_are_yes_no_or_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
