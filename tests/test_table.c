/* SPDX-License-Identifier: MIT
 *
 * lstm_table through its public functions: kinds of columns, numbers and dates against the C
 * library's own, what is refused and with which message, memory, failing allocations, damage at
 * every byte.
 */
#include "test_io_support.h"

#include <locale.h>
#include <math.h>
#include <time.h>

/* Load a text as a CSV file. */
static lstm_status load(lstm_table **table, const char *text, const lstm_table_options *options)
{
    write_text("table.csv", text);
    return lstm_table_load_csv(table, NULL, "table.csv", options);
}

static const lstm_table_options no_header = {.struct_size = sizeof no_header,
                                             .no_header = LSTM_YES};
static const lstm_table_options missing = {.struct_size = sizeof missing,
                                           .allow_missing = LSTM_YES};

static void test_columns_have_names_kinds_and_values(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    size_t column = 9;
    assert_works(load(&table, "Date,Price,Name\n2020-01-01,1.5,x\n2020-01-02,-2e3,\n", NULL));
    assert_int_equal(lstm_table_rows(table), 2);
    assert_int_equal(lstm_table_columns(table), 3);
    assert_string_equal(lstm_table_column_name(table, 1), "Price");
    assert_int_equal(lstm_table_column_kind(table, 0), LSTM_COLUMN_DATE);
    assert_int_equal(lstm_table_column_kind(table, 1), LSTM_COLUMN_NUMBER);
    assert_int_equal(lstm_table_column_kind(table, 2), LSTM_COLUMN_TEXT);
    assert_true(lstm_table_column_values(table, 0)[1] == 1577923200);
    assert_true(lstm_table_column_values(table, 1)[0] == 1.5);
    assert_true(lstm_table_column_values(table, 1)[1] == -2000);
    assert_null(lstm_table_column_values(table, 2));
    assert_works(lstm_table_find_column(table, "Price", &column));
    assert_int_equal(column, 1);
    assert_fails(lstm_table_find_column(table, "close", &column), LSTM_ERROR_NOT_FOUND,
                 "table.csv has no column \"close\"; it has: Date, Price, Name");
    assert_fails(lstm_table_find_column(table, "price", &column), LSTM_ERROR_NOT_FOUND,
                 "did you mean \"Price\"?");
    assert_int_equal(column, 1);
    assert_int_equal(lstm_table_line(table, 1), 3);
    assert_int_equal(lstm_table_line(table, 2), 0);
    assert_null(lstm_table_column_name(table, 3));
    assert_null(lstm_table_column_values(table, 3));
    assert_int_equal(lstm_table_column_kind(table, 3), 0);
    lstm_table_destroy(table);
}

static void test_separators_quotes_and_line_ends(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *second_name;
        size_t columns;
        double first, last; /* of the second column */
        size_t last_line;
    } cases[] = {
        {"a,b\n1,2\n3,4\n", "b", 2, 2, 4, 3},
        {"a,b\n1,2\n3,4", "b", 2, 2, 4, 3},
        {"a;b\r\n1;2\r\n3;4\r\n\r\n\r\n", "b", 2, 2, 4, 3},
        {"a\tb\n1\t2\n3\t4\n\n", "b", 2, 2, 4, 3},
        {"\xef\xbb\xbf\"a\",b\n1,2\n3,4\n", "b", 2, 2, 4, 3},
        {"\"a, b; c\";\"say \"\"hi\"\"\"\n1;2\n3;4\n", "say \"hi\"", 2, 2, 4, 3},
        {"a,\"b\nc\"\n\"1\",\"2\"\n\"x\ny\",\"4\"\n", "b\nc", 2, 2, 4, 4},
        {"a, b \n1, 2 \n3,\t4\n", "b", 2, 2, 4, 3},
        {"a,b;c\n1,2\n3,4\n", "b;c", 2, 2, 4, 3},
        {"a,b,\n1,2,\n3,4,x\n", "b", 3, 2, 4, 3},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        lstm_table *table = NULL;
        if (k == 6) { /* the first column becomes text only later */
            assert_fails(load(&table, cases[k].text, NULL), LSTM_ERROR_FORMAT,
                         "line 4, column \"a\": \"x?y\" is not a");
            continue;
        }
        assert_works(load(&table, cases[k].text, NULL));
        assert_int_equal(lstm_table_columns(table), cases[k].columns);
        assert_int_equal(lstm_table_rows(table), 2);
        assert_string_equal(lstm_table_column_name(table, 1), cases[k].second_name);
        assert_true(lstm_table_column_values(table, 1)[0] == cases[k].first);
        assert_true(lstm_table_column_values(table, 1)[1] == cases[k].last);
        assert_int_equal(lstm_table_line(table, 1), cases[k].last_line);
        lstm_table_destroy(table);
    }
}

static void test_lines_are_counted_through_quoted_ones(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    assert_works(load(&table, "\"a\n\n\",b\n\"x\",1\n\"y\ny\",2\n\"z\n\nz\",3\nw,4\n", NULL));
    assert_int_equal(lstm_table_rows(table), 4);
    assert_int_equal(lstm_table_line(table, 0), 4);
    assert_int_equal(lstm_table_line(table, 1), 5);
    assert_int_equal(lstm_table_line(table, 2), 7);
    assert_int_equal(lstm_table_line(table, 3), 10);
    lstm_table_destroy(table);
}

static void test_files_without_header_have_numbered_columns(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    assert_works(load(&table, "1.5,2020-01-01\n2.5,2020-01-02\n", &no_header));
    assert_int_equal(lstm_table_rows(table), 2);
    assert_string_equal(lstm_table_column_name(table, 0), "0");
    assert_string_equal(lstm_table_column_name(table, 1), "1");
    assert_true(lstm_table_column_values(table, 0)[0] == 1.5);
    assert_int_equal(lstm_table_line(table, 0), 1);
    assert_int_equal(lstm_table_line(table, 1), 2);
    lstm_table_destroy(table);
    assert_fails(load(&table, "1.5,2020-01-01\n2.5,2020-01-02\n", NULL), LSTM_ERROR_FORMAT,
                 "line 1 holds only numbers or dates; expected a header line");
    const char *const wanted[] = {"1"};
    const lstm_table_options second = {
        .struct_size = sizeof second, .no_header = LSTM_YES, .columns = wanted, .column_count = 1};
    assert_works(load(&table, "x,1\nx,2\n", &second));
    assert_true(lstm_table_column_values(table, 1)[1] == 2);
    lstm_table_destroy(table);
}

static void test_only_the_columns_asked_for_are_kept(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    const char *const wanted[] = {"c", "a"};
    const lstm_table_options some = {
        .struct_size = sizeof some, .columns = wanted, .column_count = 2};
    assert_works(load(&table, "a,b,c\n1,2,3\n4,oops,6\n", &some));
    assert_null(lstm_table_column_values(table, 1));
    assert_int_equal(lstm_table_column_kind(table, 1), LSTM_COLUMN_NUMBER);
    assert_true(lstm_table_column_values(table, 0)[1] == 4);
    assert_true(lstm_table_column_values(table, 2)[1] == 6);
    lstm_table_destroy(table);
    assert_fails(load(&table, "Date,Price\n1,2\n", &some), LSTM_ERROR_NOT_FOUND,
                 "table.csv has no column \"c\"; it has: Date, Price");
    assert_null(table);
    assert_fails(load(&table, "a,b,c\n1,2\n", &some), LSTM_ERROR_FORMAT,
                 "line 2 has 2 fields, the header has 3");
}

static void test_missing_values_are_errors_or_nan(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    static const char *const spellings[] = {"", "NA", "NaN", "nan", " ", "\"\""};
    for (size_t k = 0; k < 6; k++) {
        char text[64];
        snprintf(text, sizeof text, "a,b\n%s,1\n2,1\n3,1\n", spellings[k]);
        assert_fails(load(&table, text, NULL), LSTM_ERROR_FORMAT,
                     "table.csv: line 2, column \"a\": the value is missing");
        assert_works(load(&table, text, &missing));
        assert_int_equal(lstm_table_column_kind(table, 0), LSTM_COLUMN_NUMBER);
        assert_true(isnan(lstm_table_column_values(table, 0)[0]));
        assert_true(lstm_table_column_values(table, 0)[2] == 3);
        lstm_table_destroy(table);
        snprintf(text, sizeof text, "a,b\n2,1\n%s,1\n", spellings[k]);
        assert_fails(load(&table, text, NULL), LSTM_ERROR_FORMAT,
                     "table.csv: line 3, column \"a\": the value is missing");
        assert_works(load(&table, text, &missing));
        assert_true(isnan(lstm_table_column_values(table, 0)[1]));
        lstm_table_destroy(table);
    }
    assert_fails(load(&table, "t,b\n2020-01-01,1\n,1\n", &missing), LSTM_ERROR_FORMAT,
                 "line 3, column \"t\": the value is");
    assert_fails(load(&table, "t,b\n,1\n2020-01-01,1\n", &missing), LSTM_ERROR_FORMAT,
                 "line 2, column \"t\": the value is");
    assert_works(load(&table, "a,b\n,1\n,2\n", NULL));
    assert_int_equal(lstm_table_column_kind(table, 0), LSTM_COLUMN_TEXT);
    lstm_table_destroy(table);
    /* with one column, a blank line inside is an empty field */
    assert_works(load(&table, "a\n1\n\n3\n\n", &missing));
    assert_int_equal(lstm_table_rows(table), 3);
    assert_true(isnan(lstm_table_column_values(table, 0)[1]));
    assert_int_equal(lstm_table_line(table, 2), 4);
    lstm_table_destroy(table);
}

static void test_wrong_files_are_refused_with_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        lstm_status status;
        const char *message;
    } cases[] = {
        {"", LSTM_ERROR_FORMAT, "table.csv: the file is empty"},
        {"\xef\xbb\xbf", LSTM_ERROR_FORMAT, "the file is empty"},
        {"\n\n", LSTM_ERROR_FORMAT, "line 1 is blank; expected the names"},
        {"a,b\n", LSTM_ERROR_FORMAT, "has a header line but no rows"},
        {"a,b\n\n\n", LSTM_ERROR_FORMAT, "has a header line but no rows"},
        {"a,b\n1,2\n3\n", LSTM_ERROR_FORMAT, "table.csv: line 3 has 1 field, the header has 2"},
        {"a,b\n1,2,3,4\n", LSTM_ERROR_FORMAT, "table.csv: line 2 has 4 fields, the header has 2"},
        {"a,b\n1,2\n\n3,4\n", LSTM_ERROR_FORMAT,
         "table.csv: line 3 is blank, the header has 2 fields"},
        {"a,Price\n1,2\n3,n/a\n", LSTM_ERROR_FORMAT,
         "table.csv: line 3, column \"Price\": \"n/a\" is not a number"},
        {"a\n1\n0x10\n", LSTM_ERROR_FORMAT, "\"0x10\" is not a number"},
        {"a\n1\n1e\n", LSTM_ERROR_FORMAT, "\"1e\" is not a number"},
        {"a\n1\n.\n", LSTM_ERROR_FORMAT, "\".\" is not a number"},
        {"a\n1\n1 2\n", LSTM_ERROR_FORMAT, "\"1 2\" is not a number"},
        {"a;b\n1;1\n1,5;2\n", LSTM_ERROR_FORMAT, "\"1,5\" is not a number"},
        {"a\n1\ninf\n", LSTM_ERROR_FORMAT, "line 3, column \"a\": \"inf\" is infinite"},
        {"a\n-Infinity\n", LSTM_ERROR_FORMAT, "line 2, column \"a\": \"-Infinity\" is infinite"},
        {"a\n1e999\n", LSTM_ERROR_FORMAT, "\"1e999\" is infinite or too large"},
        {"a\n2020-01-01\nx\n", LSTM_ERROR_FORMAT,
         "line 3, column \"a\": \"x\" is not a date; expected YYYY-MM-DD"},
        {"a\n2020-01-01\n2020-02-30\n", LSTM_ERROR_FORMAT,
         "\"2020-02-30\" is a date that does not exist"},
        {"a\n2019-02-29\n", LSTM_ERROR_FORMAT,
         "line 2, column \"a\": \"2019-02-29\" is a date that does not exist"},
        {"a,b,a\n1,2,3\n", LSTM_ERROR_FORMAT, "line 1: the columns 1 and 3 are both called \"a\""},
        {"a,b\n1,\"2\n3,4\n", LSTM_ERROR_FORMAT, "table.csv: line 2: a quoted field is not closed"},
        {"a,b\n1,\"2\"3\n", LSTM_ERROR_FORMAT, "line 2: text after the closing quote"},
        {"a,b\n1,2\"3\n", LSTM_ERROR_FORMAT, "line 2: a double quote inside a field"},
        {"a,b\r1,2\r", LSTM_ERROR_FORMAT, "line 1: a carriage return that no line feed follows"},
        {"\xff\xfe"
         "a",
         LSTM_ERROR_FORMAT, "is UTF-16 text"},
        {"PK\x03\x04", LSTM_ERROR_FORMAT, "is a ZIP file"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        lstm_table *table = (lstm_table *)&table;
        assert_fails(load(&table, cases[k].text, NULL), cases[k].status, cases[k].message);
        assert_null(table);
    }
    lstm_table *table = NULL;
    write_file("table.csv", "a,b\n1,2\0003\n", 10);
    assert_fails(lstm_table_load_csv(&table, NULL, "table.csv", NULL), LSTM_ERROR_FORMAT,
                 "line 2: a NUL byte");
    write_file("table.csv", "a,b\n\"1\0\",2\n", 11);
    assert_fails(lstm_table_load_csv(&table, NULL, "table.csv", NULL), LSTM_ERROR_FORMAT,
                 "line 2: a NUL byte");
    assert_fails(lstm_table_load_csv(&table, NULL, "absent.csv", NULL), LSTM_ERROR_IO,
                 "absent.csv: cannot open: No such");
    assert_fails(lstm_table_load_csv(&table, NULL, ".", NULL), LSTM_ERROR_IO, "is a directory");
}

static void test_arguments_are_checked(void **state)
{
    (void)state;
    lstm_table *table = NULL;
    size_t column = 0;
    const char *const names[] = {"a", NULL};
    lstm_table_options o = {.struct_size = sizeof o};
    assert_fails(lstm_table_load_csv(NULL, NULL, "x", NULL), LSTM_ERROR_ARGUMENT, "out is NULL");
    assert_fails(lstm_table_load_csv(&table, NULL, NULL, NULL), LSTM_ERROR_ARGUMENT,
                 "path is NULL");
    assert_fails(lstm_table_load_csv(&table, NULL, "", NULL), LSTM_ERROR_ARGUMENT, "path is empty");
    o.struct_size = 0;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "struct_size is 0");
    o.struct_size = sizeof o;
    o.no_header = 3;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "no_header is 3");
    o.no_header = 0;
    o.allow_missing = -1;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "allow_missing is -1");
    o.allow_missing = 0;
    o.reserved = 1;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "reserved is 1");
    o.reserved = 0;
    o.column_count = 2;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "columns is NULL");
    o.columns = names;
    assert_fails(load(&table, "a\n1\n", &o), LSTM_ERROR_ARGUMENT, "columns[1] is NULL");
    const struct {
        lstm_table_options known;
        int64_t newer;
    } larger = {{.struct_size = sizeof larger}, 1};
    assert_fails(load(&table, "a\n1\n", &larger.known), LSTM_ERROR_UNSUPPORTED, "newer lstm.h");
    o = (lstm_table_options){.struct_size = 8, .no_header = LSTM_NO, .reserved = 99};
    assert_works(load(&table, "a\n1\n", &o)); /* shorter: the rest does not count */
    assert_fails(lstm_table_find_column(NULL, "a", &column), LSTM_ERROR_ARGUMENT, "table is NULL");
    assert_fails(lstm_table_find_column(table, NULL, &column), LSTM_ERROR_ARGUMENT, "name is NULL");
    assert_fails(lstm_table_find_column(table, "a", NULL), LSTM_ERROR_ARGUMENT, "column is NULL");
    lstm_table_destroy(table);
    lstm_table_destroy(NULL);
    assert_int_equal(lstm_table_rows(NULL) + lstm_table_columns(NULL) + lstm_table_line(NULL, 0),
                     0);
    assert_null(lstm_table_column_name(NULL, 0));
    assert_null(lstm_table_column_values(NULL, 0));
    assert_int_equal(lstm_table_column_kind(NULL, 0), 0);
}

static void test_numbers_are_the_nearest_doubles(void **state)
{
    (void)state;
    enum { COUNT = 20000, WIDTH = 48 };
    static char texts[COUNT][WIDTH];
    static const char *const special[] = {"0.1",
                                          "-0",
                                          "+7",
                                          ".5",
                                          "5.",
                                          "1e23",
                                          "8.5e-320",
                                          "4.9e-324",
                                          "1e-400",
                                          "1e22",
                                          "9007199254740993",
                                          "123456789012345678901234567890",
                                          "1.7976931348623157e308",
                                          "2.2250738585072011e-308",
                                          "0.000000000000000000000000000000000001e36",
                                          "00000000000000000000000000012.5",
                                          "1E+05",
                                          "9007199254740992e-22",
                                          "18446744073709551615",
                                          "99999999999999999999"};
    const unsigned seed = 20240229;
    printf("seed %u\n", seed);
    srand(seed);
    FILE *const file = fopen("numbers.csv", "wb");
    assert_non_null(file);
    fprintf(file, "name,n\n");
    for (size_t k = 0; k < COUNT; k++) {
        if (k < sizeof special / sizeof special[0])
            snprintf(texts[k], WIDTH, "%s", special[k]);
        else
            snprintf(texts[k], WIDTH, "%.*e", rand() % 22,
                     ldexp(rand() - RAND_MAX / 2, rand() % 200 - 100));
        if (k % 2 && !strchr(texts[k], '.') && k >= 20)
            snprintf(texts[k], WIDTH, "%d.%0*d", rand(), rand() % 9 + 1, rand() % 1000);
        fprintf(file, "x,%s\n", texts[k]);
    }
    fclose(file);
    lstm_table *table = NULL;
    assert_works(lstm_table_load_csv(&table, NULL, "numbers.csv", NULL));
    assert_int_equal(lstm_table_rows(table), COUNT);
    for (size_t k = 0; k < COUNT; k++) {
        const double expected = strtod(texts[k], NULL);
        const double got = lstm_table_column_values(table, 1)[k];
        if (got != expected || signbit(got) != signbit(expected))
            fail_msg("\"%s\": %a, expected %a", texts[k], got, expected);
    }
    lstm_table_destroy(table);
}

static void test_numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    lstm_table *table = NULL;
    const char *set = NULL;
    for (size_t k = 0; k < 4 && !set; k++)
        set = setlocale(LC_ALL, locales[k]);
    /* its warnings make it fail */
    if (!set && system("localedef -i de_DE -f UTF-8 ./comma >comma.log 2>&1") >= 0) {
        setenv("LOCPATH", ".", 1);
        set = setlocale(LC_ALL, "comma");
    }
    printf("locale: %s, decimal point \"%s\"\n", set ? set : "none other is installed",
           localeconv()->decimal_point);
    assert_works(load(&table, "a\n1.5\n2.5000000000000000000000001\n", NULL));
    assert_true(lstm_table_column_values(table, 0)[0] == 1.5);
    assert_true(lstm_table_column_values(table, 0)[1] == 2.5);
    lstm_table_destroy(table);
    setlocale(LC_ALL, "C");
}

static void test_dates_are_seconds_since_1970(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {
        {"1970-01-01", 0},
        {"1969-12-31", -86400},
        {"2000-02-29", 951782400},
        {"2024/03/01", 1709251200},
        {"2024-03", 1709251200},
        {"0001-01-01", -62135596800},
        {"9999-12-31 23:59:59", 253402300799},
        {"2020-01-01T00:00", 1577836800},
        {"2020-01-01 12:34:56", 1577882096},
        {"2020-01-01T12:34:56.5", 1577882096.5},
        {"2020-01-01T12:34:56Z", 1577882096},
        {"2020-01-01T12:34:56+05:30", 1577882096 - 19800},
        {"2020-01-01T12:34-02:00", 1577882040 + 7200},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char text[128];
        lstm_table *table = NULL;
        snprintf(text, sizeof text, "t\n%s\n", cases[k].text);
        assert_works(load(&table, text, NULL));
        assert_int_equal(lstm_table_column_kind(table, 0), LSTM_COLUMN_DATE);
        assert_true(lstm_table_column_values(table, 0)[0] == cases[k].seconds);
        lstm_table_destroy(table);
    }
    static const char *const texts[] = {"2020-1-1",
                                        "2020/01",
                                        "20-01-01",
                                        "2020-01-01T1:00",
                                        "2020-01-01x",
                                        "2020-01/01",
                                        "2020-01-01T12:00+0530",
                                        "2020-01-01 12:00:00.",
                                        "01/02/2020",
                                        "2020-13"};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        char text[128];
        lstm_table *table = NULL;
        snprintf(text, sizeof text, "t\n%s\n", texts[k]);
        assert_works(load(&table, text, NULL));
        if (lstm_table_column_kind(table, 0) != LSTM_COLUMN_TEXT)
            fail_msg("\"%s\" counts as a date", texts[k]);
        lstm_table_destroy(table);
    }
    static const char *const impossible[] = {"2020-00-01",          "2020-13-01",
                                             "2021-02-29",          "1900-02-29",
                                             "2020-04-31",          "2020-01-00",
                                             "2020-01-01 24:00",    "2020-01-01 00:60",
                                             "2020-01-01 00:00:60", "2020-01-01T00:00+24:00"};
    for (size_t k = 0; k < sizeof impossible / sizeof impossible[0]; k++) {
        char text[128];
        lstm_table *table = NULL;
        snprintf(text, sizeof text, "t\n%s\n", impossible[k]);
        assert_fails(load(&table, text, NULL), LSTM_ERROR_FORMAT, "is a date that does not exist");
    }
}

static void test_every_day_of_five_centuries_is_right(void **state)
{
    (void)state;
    FILE *const file = fopen("days.csv", "wb");
    assert_non_null(file);
    fprintf(file, "t\n");
    const time_t first = -11676096000; /* 1600-01-01 */
    const size_t days = 182622;        /* to 2099-12-31 */
    for (size_t k = 0; k < days; k++) {
        const time_t when = first + (time_t)k * 86400;
        struct tm date;
        gmtime_r(&when, &date);
        fprintf(file, "%04d-%02d-%02d\n", date.tm_year + 1900, date.tm_mon + 1, date.tm_mday);
    }
    fclose(file);
    lstm_table *table = NULL;
    assert_works(lstm_table_load_csv(&table, NULL, "days.csv", NULL));
    assert_int_equal(lstm_table_rows(table), days);
    for (size_t k = 0; k < days; k++)
        assert_true(lstm_table_column_values(table, 0)[k] == (double)first + (double)k * 86400);
    lstm_table_destroy(table);
}

static void test_memory_is_that_of_the_kept_columns(void **state)
{
    (void)state;
    enum { ROWS = 200000, BUFFER = 2 << 20 };
    FILE *const file = fopen("long.csv", "wb");
    assert_non_null(file);
    fprintf(file, "a,b,c,d\n");
    for (int k = 0; k < ROWS; k++)
        fprintf(file, "%d.25,%d,some text,%d\n", k, k, -k);
    fclose(file);
    memory m;
    lstm_context *const context = counted_context(&m);
    const char *const wanted[] = {"a", "d"};
    for (size_t count = 1; count <= 2; count++) {
        const lstm_table_options o = {
            .struct_size = sizeof o, .columns = wanted, .column_count = count};
        lstm_table *table = NULL;
        m.peak = 0;
        assert_works(lstm_table_load_csv(&table, context, "long.csv", &o));
        const size_t column = ROWS * sizeof(double);
        printf("%zu kept: peak %zu bytes, %zu held, %zu values\n", count, m.peak, m.now,
               count * column);
        assert_true(m.now < count * column + 65536);
        assert_true(m.peak < count * column + (column > BUFFER ? column : BUFFER) + column / 4);
        assert_true(lstm_table_column_values(table, 0)[ROWS - 1] == ROWS - 0.75);
        assert_int_equal(lstm_table_line(table, ROWS - 1), ROWS + 1);
        lstm_table_destroy(table);
    }
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

static void test_fields_across_the_buffer_are_whole(void **state)
{
    (void)state;
    enum { BUFFER = (1 << 20) + (1 << 16) };
    for (int shift = -3; shift <= 3; shift++) {
        FILE *const file = fopen("edge.csv", "wb");
        assert_non_null(file);
        const int header = fprintf(file, "name,b,c\n");
        /* so that the second row's fields cross the buffer's end */
        const int width = BUFFER - header + shift - 12;
        fputc('"', file);
        for (int k = 0; k < width / 2; k++)
            fputc('x', file);
        fprintf(file, "\",1,2\n\"");
        for (int k = 0; k < width - width / 2 - 9; k++)
            fputc('y', file);
        fprintf(file, "\"\"\",\"12345\"\r\n");
        fclose(file);
        lstm_table *table = NULL;
        assert_fails(lstm_table_load_csv(&table, NULL, "edge.csv", NULL), LSTM_ERROR_FORMAT,
                     "line 3 has 2 fields, the header has 3");
        FILE *const again = fopen("edge.csv", "r+b");
        assert_non_null(again);
        fseek(again, -2, SEEK_END);
        fprintf(again, ",6\r\n");
        fclose(again);
        assert_works(lstm_table_load_csv(&table, NULL, "edge.csv", NULL));
        assert_int_equal(lstm_table_rows(table), 2);
        assert_true(lstm_table_column_values(table, 1)[1] == 12345);
        assert_true(lstm_table_column_values(table, 2)[1] == 6);
        lstm_table_destroy(table);
    }
}

static void test_fields_have_a_largest_size(void **state)
{
    (void)state;
    enum { MOST = 1 << 20 };
    for (int quoted = 0; quoted < 2; quoted++)
        for (int more = 0; more < 3; more++) {
            const int length = more < 2 ? MOST + more : 2 * MOST;
            FILE *const file = fopen("wide.csv", "wb");
            assert_non_null(file);
            fprintf(file, "a,b\n1,%s", quoted ? "\"" : "");
            for (int k = 0; k < length; k++)
                fputc('x', file);
            fprintf(file, "%s\n", quoted ? "\"" : "");
            fclose(file);
            lstm_table *table = NULL;
            if (more == 0)
                assert_works(lstm_table_load_csv(&table, NULL, "wide.csv", NULL));
            else
                assert_fails(lstm_table_load_csv(&table, NULL, "wide.csv", NULL), LSTM_ERROR_FORMAT,
                             "line 2: a field is longer than 1048576 bytes");
            lstm_table_destroy(table);
        }
}

static void test_columns_have_a_largest_number(void **state)
{
    (void)state;
    for (int count = 65536; count <= 65537; count++) {
        FILE *const file = fopen("columns.csv", "wb");
        assert_non_null(file);
        for (int k = 0; k < count; k++)
            fprintf(file, "%sc%d", k ? "," : "", k);
        fprintf(file, "\n");
        for (int k = 0; k < count; k++)
            fprintf(file, "%s1", k ? "," : "");
        fprintf(file, "\n");
        fclose(file);
        lstm_table *table = NULL;
        if (count == 65536)
            assert_works(lstm_table_load_csv(&table, NULL, "columns.csv", NULL));
        else
            assert_fails(lstm_table_load_csv(&table, NULL, "columns.csv", NULL),
                         LSTM_ERROR_UNSUPPORTED, "more than 65536 columns");
        lstm_table_destroy(table);
    }
}

static void test_pipes_are_read(void **state)
{
    (void)state;
    int ends[2];
    char path[64];
    lstm_table *table = NULL;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a\n1\n2\n", 6), 6);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_works(lstm_table_load_csv(&table, NULL, path, NULL));
    assert_int_equal(lstm_table_rows(table), 2);
    lstm_table_destroy(table);
    close(ends[0]);
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    memory m;
    lstm_context *const context = counted_context(&m);
    const size_t blocks = m.blocks;
    lstm_status status = LSTM_ERROR_MEMORY;
    write_text("table.csv",
               "a,b,c,d,e,f,g,h,i\n2020-01-01,2,x,4,5,6,7,8,9\n\"2020-01-02\n\",2,x,4,5,6,7,8,9\n");
    /* the date with a line end is refused when all memory is there */
    for (long n = 0; status != LSTM_ERROR_FORMAT; n++) {
        lstm_table *table = NULL;
        m.allowed = n;
        m.failed = false;
        status = lstm_table_load_csv(&table, context, "table.csv", NULL);
        assert_null(table);
        assert_int_equal(status, m.failed ? LSTM_ERROR_MEMORY : LSTM_ERROR_FORMAT);
        assert_int_equal(m.blocks, blocks);
        assert_true(n < 200);
    }
    write_text("table.csv", "a,b\n2020-01-01,2\n2020-01-02,2\n");
    for (long n = 0; status != LSTM_OK; n++) {
        lstm_table *table = NULL;
        m.allowed = n;
        m.failed = false;
        status = lstm_table_load_csv(&table, context, "table.csv", NULL);
        assert_int_equal(status, m.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        lstm_table_destroy(table);
        assert_int_equal(m.blocks, blocks);
        assert_true(n < 200);
    }
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_have_names_kinds_and_values),
        cmocka_unit_test(test_separators_quotes_and_line_ends),
        cmocka_unit_test(test_lines_are_counted_through_quoted_ones),
        cmocka_unit_test(test_files_without_header_have_numbered_columns),
        cmocka_unit_test(test_only_the_columns_asked_for_are_kept),
        cmocka_unit_test(test_missing_values_are_errors_or_nan),
        cmocka_unit_test(test_wrong_files_are_refused_with_line_and_column),
        cmocka_unit_test(test_arguments_are_checked),
        cmocka_unit_test(test_numbers_are_the_nearest_doubles),
        cmocka_unit_test(test_numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(test_dates_are_seconds_since_1970),
        cmocka_unit_test(test_every_day_of_five_centuries_is_right),
        cmocka_unit_test(test_memory_is_that_of_the_kept_columns),
        cmocka_unit_test(test_fields_across_the_buffer_are_whole),
        cmocka_unit_test(test_fields_have_a_largest_size),
        cmocka_unit_test(test_columns_have_a_largest_number),
        cmocka_unit_test(test_pipes_are_read),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
