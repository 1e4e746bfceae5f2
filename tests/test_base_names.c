/* SPDX-License-Identifier: MIT
 *
 * Names without regard to case, edit distances, suggestions.
 */
#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const lstm__name table[] = {
    {"adam", 3}, {"adamw", 4}, {"mean_squared_error", 1}, {"MSE", 1}, {NULL, 0}};

static void test_names_are_found_whatever_their_case(void **state)
{
    (void)state;
    assert_int_equal(lstm__find_name(table, "Adam")->value, 3);
    assert_int_equal(lstm__find_name(table, "ADAMW")->value, 4);
    assert_int_equal(lstm__find_name(table, "mse")->value, 1);
    assert_null(lstm__find_name(table, "ada"));
    assert_null(lstm__find_name(table, "adamww"));
    assert_null(lstm__find_name(table, ""));
}

static void test_comparison_orders_like_strcmp(void **state)
{
    (void)state;
    assert_int_equal(lstm__compare_names("ABC", "abc"), 0);
    assert_true(lstm__compare_names("abc", "abd") < 0);
    assert_true(lstm__compare_names("abc", "ab") > 0);
    assert_true(lstm__compare_names("\xc3\xa4", "a") > 0);
}

static void test_edit_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(lstm__edit_distance("", ""), 0);
    assert_int_equal(lstm__edit_distance("lstm", "LSTM"), 0);
    assert_int_equal(lstm__edit_distance("", "abc"), 3);
    assert_int_equal(lstm__edit_distance("abc", ""), 3);
    assert_int_equal(lstm__edit_distance("ltsm", "lstm"), 1);
    assert_int_equal(lstm__edit_distance("kitten", "sitting"), 3);
    assert_int_equal(lstm__edit_distance("adm", "adam"), 1);
    assert_int_equal(lstm__edit_distance("ca", "abc"), 3);
    char a[300], b[300];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    a[299] = b[299] = 0;
    assert_int_equal(lstm__edit_distance(a, b), 127);
}

static const char *nearest_of(const char *wanted)
{
    static const char *const candidates[] = {"temperature", "wind", "rain", "a", "bc"};
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, wanted);
    for (size_t k = 0; k < sizeof candidates / sizeof candidates[0]; k++)
        lstm__nearest_offer(&nearest, candidates[k]);
    lstm__fail_unknown(&nearest, "column");
    return nearest.best;
}

static void test_only_near_names_are_suggested(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("tempertaure"), "temperature");
    assert_string_equal(lstm_last_error(),
                        "unknown column \"tempertaure\"; did you mean \"temperature\"?");
    assert_string_equal(nearest_of("Wnid"), "wind");
    assert_null(nearest_of("humidity"));
    assert_string_equal(lstm_last_error(), "unknown column \"humidity\"");
    assert_null(nearest_of("x"));
    assert_null(nearest_of(""));
}

static void test_the_nearest_name_wins_and_the_first_of_equals(void **state)
{
    (void)state;
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, "adm");
    lstm__nearest_offer(&nearest, "adamw");
    lstm__nearest_offer(&nearest, "adam");
    lstm__nearest_offer(&nearest, "adim");
    assert_string_equal(nearest.best, "adam");
    assert_int_equal(nearest.distance, 1);
    assert_int_equal(lstm__fail_unknown(&nearest, "optimizer"), LSTM_ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_found_whatever_their_case),
        cmocka_unit_test(test_comparison_orders_like_strcmp),
        cmocka_unit_test(test_edit_distance_counts_edits),
        cmocka_unit_test(test_only_near_names_are_suggested),
        cmocka_unit_test(test_the_nearest_name_wins_and_the_first_of_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
