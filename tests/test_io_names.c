/* SPDX-License-Identifier: MIT
 *
 * Names in files and messages: well-formed UTF-8, excerpts that do not cut characters, lists of
 * what there is.
 */
#include "test_io_support.h"

#include "element.h"
#include "name_list.h"

static bool is_name(const char *text)
{
    return lstm__is_name(text, strlen(text));
}

static void test_names_are_well_formed_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "lstm/kernel:0",
                                       " ",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xc2\xa0",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xe0\xa0\x80"};
    static const char *const bad[] = {
        "",     /* nothing */
        "a\nb", /* control characters */
        "\x7f",
        "\xc2\x80", /* also those beyond ASCII */
        "\x80",     /* no beginning */
        "\xc3",     /* cut off */
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(", /* no continuation */
        "\xe2\x82(",
        "\xc0\xaf", /* longer than needed */
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80",
        "\xff",
    };
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++)
        if (!is_name(good[k]))
            fail_msg("good name %zu is refused", k);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        if (is_name(bad[k]))
            fail_msg("bad name %zu is taken", k);
}

static const char *excerpt(char buffer[LSTM__EXCERPT], const char *text)
{
    return lstm__excerpt(buffer, text, strlen(text));
}

static void test_excerpts_are_short_and_harmless(void **state)
{
    (void)state;
    char b[LSTM__EXCERPT];
    assert_string_equal(excerpt(b, ""), "");
    assert_string_equal(excerpt(b, "say \"hi\"\x1b[2J\n"), "say ?hi??[2J?");
    assert_string_equal(excerpt(b, "0123456789012345678901234567890123456789"),
                        "0123456789012345678901234567890123456789");
    assert_string_equal(excerpt(b, "0123456789012345678901234567890123456789x"),
                        "0123456789012345678901234567890123456789...");
    assert_string_equal(excerpt(b, "01234567890123456789012345678901234567\xe2\x82\xac and more"),
                        "01234567890123456789012345678901234567..."); /* the sign would be cut */
    assert_string_equal(excerpt(b, "0123456789012345678901234567890123456\xe2\x82\xac and more"),
                        "0123456789012345678901234567890123456\xe2\x82\xac...");
}

static void test_lists_of_names_are_cut_to_fit(void **state)
{
    (void)state;
    lstm__name_list list;
    lstm__name_list_start(&list, "Price");
    assert_fails(lstm__fail_not_found(&list, "x.csv", "column"), LSTM_ERROR_NOT_FOUND,
                 "x.csv has no column \"Price\"; it has: none");
    for (int k = 0; k < 1000; k++) {
        char name[32];
        snprintf(name, sizeof name, "column number %d", k);
        lstm__name_list_add(&list, name);
    }
    lstm__name_list_add(&list, "price");
    assert_fails(lstm__fail_not_found(&list, "x.csv", "column"), LSTM_ERROR_NOT_FOUND,
                 "x.csv has no column \"Price\"; did you mean \"price\"? It has: column number 0, "
                 "column number 1, ");
    const char *const text = lstm_last_error();
    assert_string_equal(text + strlen(text) - 5, ", ...");
    assert_true(strlen(list.text) < sizeof list.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_well_formed_utf8),
        cmocka_unit_test(test_excerpts_are_short_and_harmless),
        cmocka_unit_test(test_lists_of_names_are_cut_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
