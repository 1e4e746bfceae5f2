/* SPDX-License-Identifier: MIT
 *
 * .npy files: those that NumPy wrote (tests/fuzz/corpus/npy, values described in make_corpus.py),
 * headers written by hand, and what is refused. Damage at every byte and bit is in fuzz/fuzz_npy.c.
 */
#include "test_io_support.h"

#include "npy.h"

#include <math.h>

/* The value of element k of n in a corpus file. */
static float corpus_value(int32_t kind, size_t k, size_t n)
{
    const float centred = (float)((double)k - (double)(n / 2));
    if (kind <= LSTM__F64)
        return centred / 2;
    if (kind <= LSTM__I64)
        return centred;
    return kind == LSTM__BOOL ? (float)(k % 2) : (float)k;
}

/* Parse a corpus file and compare its values. */
static lstm__npy check_corpus(const char *name)
{
    char path[4096];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/fuzz/corpus/npy/%s", LSTM_TESTS_DIR, name);
    unsigned char *const content = read_file(path, &size);
    lstm__cursor cursor = lstm__memory_cursor(name, content, size);
    lstm__npy npy;
    float values[64];
    assert_works(lstm__npy_parse(&npy, &cursor));
    assert_true(npy.count <= 64);
    lstm__npy_floats(&npy, values);
    for (size_t k = 0; k < npy.count; k++)
        if (values[k] != corpus_value(npy.kind, k, npy.count))
            fail_msg("%s: element %zu is %g", name, k, (double)values[k]);
    free(content);
    npy.bytes = NULL;
    return npy;
}

static void test_every_type_of_numpy_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t kind;
        bool big_endian;
    } files[] = {
        {"f2.npy", LSTM__F16, false},       {"big_f2.npy", LSTM__F16, true},
        {"f4.npy", LSTM__F32, false},       {"big_f4.npy", LSTM__F32, true},
        {"f8.npy", LSTM__F64, false},       {"big_f8.npy", LSTM__F64, true},
        {"i1.npy", LSTM__I8, false},        {"i2.npy", LSTM__I16, false},
        {"i4.npy", LSTM__I32, false},       {"big_i4.npy", LSTM__I32, true},
        {"i8.npy", LSTM__I64, false},       {"u1.npy", LSTM__U8, false},
        {"big_u2.npy", LSTM__U16, true},    {"u4.npy", LSTM__U32, false},
        {"u8.npy", LSTM__U64, false},       {"b1.npy", LSTM__BOOL, false},
        {"version2.npy", LSTM__F32, false}, {"version3.npy", LSTM__F32, false},
    };
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        const lstm__npy npy = check_corpus(files[k].name);
        assert_int_equal(npy.kind, files[k].kind);
        assert_int_equal(npy.big_endian, files[k].big_endian);
        assert_int_equal(npy.rank, 2);
        assert_int_equal(npy.shape[0], 2);
        assert_int_equal(npy.shape[1], 3);
    }
}

static void test_fortran_order_is_turned_into_rows(void **state)
{
    (void)state;
    const lstm__npy npy = check_corpus("fortran.npy");
    assert_true(npy.fortran_order);
    assert_int_equal(npy.rank, 3);
    assert_int_equal(npy.count, 24);
}

static void test_shapes_from_scalar_to_eight_dimensions(void **state)
{
    (void)state;
    assert_int_equal(check_corpus("scalar.npy").rank, 0);
    assert_int_equal(check_corpus("vector.npy").rank, 1);
    assert_int_equal(check_corpus("empty.npy").count, 0);
    assert_int_equal(check_corpus("rank8.npy").rank, 8);
    assert_int_equal(check_corpus("python2.npy").count, 2);
}

/* Parse a file with this dictionary and `data` bytes of zeros. */
static lstm_status parse(const char *dictionary, size_t data, lstm__npy *npy)
{
    bytes b = {.size = 0};
    add_bytes(&b, "\x93NUMPY\x01\x00", 8);
    add_number(&b, 2, strlen(dictionary));
    add_text(&b, dictionary);
    for (size_t k = 0; k < data; k++)
        add_number(&b, 1, 0);
    unsigned char *const exact = malloc(b.size);
    assert_non_null(exact);
    memcpy(exact, b.data, b.size);
    lstm__cursor cursor = lstm__memory_cursor("hand.npy", exact, b.size);
    const lstm_status status = lstm__npy_parse(npy, &cursor);
    free(exact);
    return status;
}

static void test_headers_in_other_spellings_are_read(void **state)
{
    (void)state;
    lstm__npy npy;
    assert_works(parse("{'descr':'<f4','fortran_order':False,'shape':(2,)}", 8, &npy));
    assert_works(parse(
        "  { \"shape\" : ( 2 , 1 , ) , 'fortran_order' : True , 'descr' : '<f4' , }  \n", 8, &npy));
    assert_true(npy.fortran_order);
    assert_works(parse("{'descr': '<i1', 'fortran_order': False, 'shape': ()}", 1, &npy));
    assert_works(parse("{'descr': '>u1', 'fortran_order': False, 'shape': (3,)}", 3, &npy));
}

static void test_wrong_headers_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *dictionary;
        lstm_status status;
        const char *message;
    } cases[] = {
        {"", LSTM_ERROR_FORMAT, "needs '{' here"},
        {"{", LSTM_ERROR_FORMAT, "needs a quoted text"},
        {"{}", LSTM_ERROR_FORMAT, "has no 'descr'"},
        {"{'descr': '<f4', 'shape': (2,)}", LSTM_ERROR_FORMAT, "has no 'fortran_order'"},
        {"{'descr': '<f4', 'fortran_order': False}", LSTM_ERROR_FORMAT, "has no 'shape'"},
        {"{'descr': '<f4', 'descr': '<f4', }", LSTM_ERROR_FORMAT,
         "hand.npy: offset 34: the .npy header has twice the key"},
        {"{'descr': '<f4', 'extra': False, }", LSTM_ERROR_FORMAT, "an unknown key 'extra'"},
        {"{'descr': '<f4' 'shape': (2,)}", LSTM_ERROR_FORMAT, "needs ',' or '}'"},
        {"{'descr' '<f4'}", LSTM_ERROR_FORMAT, "needs ':' here"},
        {"{'descr': <f4}", LSTM_ERROR_FORMAT, "needs a quoted text"},
        {"{'descr': '<f4}", LSTM_ERROR_FORMAT, "not closed"},
        {"{'desc\\x72': '<f4'}", LSTM_ERROR_FORMAT, "unusual characters"},
        {"{'descr': '<f4', 'fortran_order': false, }", LSTM_ERROR_FORMAT, "neither True nor False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", LSTM_ERROR_FORMAT,
         "negative dimension"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", LSTM_ERROR_FORMAT,
         "not a tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", LSTM_ERROR_FORMAT,
         "needs '(' here"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}", LSTM_ERROR_FORMAT,
         "not a tuple of whole numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}", LSTM_ERROR_FORMAT,
         "not a tuple of whole numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", LSTM_ERROR_FORMAT,
         "needs a whole number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}",
         LSTM_ERROR_FORMAT, "64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         LSTM_ERROR_FORMAT, "overflows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}",
         LSTM_ERROR_FORMAT, "overflows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", LSTM_ERROR_FORMAT,
         "goes on after"},
        {"{'descr': 'f4', 'fortran_order': False, 'shape': (2,)}", LSTM_ERROR_UNSUPPORTED, "'f4'"},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}", LSTM_ERROR_FORMAT,
         "has no byte order"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", LSTM_ERROR_UNSUPPORTED, "''"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", LSTM_ERROR_UNSUPPORTED,
         "Python objects"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", LSTM_ERROR_UNSUPPORTED,
         "'<c8'"},
        {"{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}", LSTM_ERROR_UNSUPPORTED,
         "'<U3'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", LSTM_ERROR_UNSUPPORTED,
         "structured"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1)}",
         LSTM_ERROR_UNSUPPORTED, "more than 8 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", LSTM_ERROR_FORMAT,
         "is cut off"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", LSTM_ERROR_FORMAT,
         "goes on after the array"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        lstm__npy npy;
        assert_fails(parse(cases[k].dictionary, 8, &npy), cases[k].status, cases[k].message);
    }
}

static void test_wrong_beginnings_are_refused(void **state)
{
    (void)state;
    lstm__npy npy;
    lstm__cursor c = lstm__memory_cursor("x.npy", "\x93NUMPZ\x01\x00\x00\x00", 10);
    assert_fails(lstm__npy_parse(&npy, &c), LSTM_ERROR_FORMAT, "not a .npy array");
    c = lstm__memory_cursor("x.npy", "\x93NUMPY\x04\x00\x00\x00\x00\x00", 12);
    assert_fails(lstm__npy_parse(&npy, &c), LSTM_ERROR_UNSUPPORTED, "version 4.0");
    c = lstm__memory_cursor("x.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
    assert_fails(lstm__npy_parse(&npy, &c), LSTM_ERROR_FORMAT, "a .npy header of 4294967295 bytes");
    c = lstm__memory_cursor("x.npy", "\x93NUMPY\x01\x00\x05\x00{", 11);
    assert_fails(lstm__npy_parse(&npy, &c), LSTM_ERROR_FORMAT, "5 bytes expected, 1 are left");
}

static void test_written_headers_equal_those_of_numpy(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t rank;
        int64_t shape[8];
    } files[] = {{"f4.npy", 2, {2, 3}},
                 {"scalar.npy", 0, {0}},
                 {"vector.npy", 1, {5}},
                 {"empty.npy", 3, {2, 0, 3}}};
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        char path[4096];
        char header[LSTM__NPY_HEADER];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/fuzz/corpus/npy/%s", LSTM_TESTS_DIR, files[k].name);
        unsigned char *const content = read_file(path, &size);
        assert_int_equal(lstm__npy_header(header, files[k].rank, files[k].shape), 128);
        assert_memory_equal(header, content, 128);
        free(content);
    }
    int64_t longest[8];
    for (int d = 0; d < 8; d++)
        longest[d] = INT64_MAX;
    char header[LSTM__NPY_HEADER];
    assert_true(lstm__npy_header(header, 8, longest) <= LSTM__NPY_HEADER);
}

static void test_halves_are_exact(void **state)
{
    (void)state;
    static const struct {
        unsigned bits;
        float value;
    } cases[] = {{0x0000, 0},
                 {0x0001, 0x1p-24f},
                 {0x03ff, 0x1.ff8p-15f},
                 {0x0400, 0x1p-14f},
                 {0x3c00, 1},
                 {0xc000, -2},
                 {0x7bff, 65504},
                 {0x7c00, INFINITY},
                 {0xfc00, -INFINITY},
                 {0x3555, 0.333251953125f}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const unsigned char raw[2] = {(unsigned char)(cases[k].bits & 255),
                                      (unsigned char)(cases[k].bits >> 8)};
        const lstm__elements e = {.bytes = raw, .kind = LSTM__F16, .stride = 2, .count = 1};
        float value = 1;
        lstm__read_floats(&e, &value);
        assert_true(value == cases[k].value);
    }
    const unsigned char raw[4] = {0x00, 0x80, 0x01, 0x7c};
    const lstm__elements e = {.bytes = raw, .kind = LSTM__F16, .stride = 2, .count = 2};
    float values[2];
    lstm__read_floats(&e, values);
    assert_true(values[0] == 0 && signbit(values[0]));
    assert_true(isnan(values[1]));
}

static void test_integers_are_kept_exactly_or_refused(void **state)
{
    (void)state;
    uint64_t value = 0;
    const unsigned char large[8] = {1, 0, 0, 0, 0, 0, 0, 0x80};
    lstm__elements e = {.bytes = large, .kind = LSTM__U64, .stride = 8, .count = 1};
    assert_works(lstm__read_integers(&e, &value));
    assert_true(value == 0x8000000000000001u);
    e.kind = LSTM__I64;
    assert_fails(lstm__read_integers(&e, &value), LSTM_ERROR_FORMAT, "element 0 is negative");
    e.kind = LSTM__F64;
    assert_fails(lstm__read_integers(&e, &value), LSTM_ERROR_FORMAT,
                 "elements are F64; expected integers");
    e.kind = LSTM__BOOL;
    assert_works(lstm__read_integers(&e, &value));
    assert_true(value == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_of_numpy_is_read),
        cmocka_unit_test(test_fortran_order_is_turned_into_rows),
        cmocka_unit_test(test_shapes_from_scalar_to_eight_dimensions),
        cmocka_unit_test(test_headers_in_other_spellings_are_read),
        cmocka_unit_test(test_wrong_headers_are_refused_with_their_place),
        cmocka_unit_test(test_wrong_beginnings_are_refused),
        cmocka_unit_test(test_written_headers_equal_those_of_numpy),
        cmocka_unit_test(test_halves_are_exact),
        cmocka_unit_test(test_integers_are_kept_exactly_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
