/* SPDX-License-Identifier: MIT
 *
 * safetensors: files that the reference package wrote (tests/fuzz/corpus/safetensors), headers by
 * hand, and our own. Damage at every byte and bit is in fuzz/fuzz_safetensors.c.
 */
#include "test_io_support.h"

#include "safetensors.h"

static lstm_context *standard;

static void open_corpus(lstm__safetensors **tensors, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/fuzz/corpus/safetensors/%s", LSTM_TESTS_DIR, name);
    assert_works(lstm__safetensors_open(tensors, standard, path));
    assert_string_equal(lstm__safetensors_path(*tensors), path);
}

static void test_a_file_of_the_reference_is_read(void **state)
{
    (void)state;
    lstm__safetensors *tensors = NULL;
    open_corpus(&tensors, "mixed.safetensors");
    assert_int_equal(lstm__safetensors_count(tensors), 6);
    assert_string_equal(lstm__safetensors_metadata(tensors, "text"), "a \"quoted\" \xc3\xa9\n");
    assert_null(lstm__safetensors_metadata(tensors, "absent"));

    const lstm__tensor *a = NULL;
    float floats[6];
    assert_works(lstm__safetensors_need(tensors, "a", &a));
    assert_int_equal(a->kind, LSTM__F32);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[0], 2);
    assert_int_equal(a->shape[1], 3);
    assert_works(lstm__tensor_floats(a, floats, 6));
    for (int k = 0; k < 6; k++)
        assert_true(floats[k] == (float)(k - 3) / 2);
    assert_fails(lstm__tensor_floats(a, floats, 5), LSTM_ERROR_SHAPE,
                 "tensor \"a\" has 6 elements, expected 5");

    double scale = 1;
    uint64_t flags[3];
    assert_works(lstm__tensor_doubles(lstm__safetensors_find(tensors, "scale"), &scale, 1));
    assert_true(scale == 0);
    assert_works(lstm__tensor_integers(lstm__safetensors_find(tensors, "flag"), flags, 3));
    assert_int_equal(flags[1], 1);
    assert_fails(lstm__tensor_integers(lstm__safetensors_find(tensors, "count"), flags, 2),
                 LSTM_ERROR_FORMAT, "tensor \"count\": element 0 is negative");
    assert_int_equal(lstm__safetensors_find(tensors, "none")->count, 0);
    assert_null(lstm__safetensors_find(tensors, "absent"));
    assert_fails(lstm__safetensors_need(tensors, "cuont", &a), LSTM_ERROR_NOT_FOUND,
                 "the nearest name is \"count\"");
    assert_fails(lstm__safetensors_need(tensors, "something else", &a), LSTM_ERROR_NOT_FOUND,
                 "among its 6");
    lstm__safetensors_close(tensors);
}

static void test_every_dtype_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double values[3];
    } expected[] = {
        {"f16", {-.5, 0, .5}}, {"f32", {-.5, 0, .5}}, {"f64", {-.5, 0, .5}}, {"i8", {-1, 0, 1}},
        {"i16", {-1, 0, 1}},   {"i32", {-1, 0, 1}},   {"i64", {-1, 0, 1}},   {"u8", {0, 1, 2}},
        {"u16", {0, 1, 2}},    {"u32", {0, 1, 2}},    {"u64", {0, 1, 2}},    {"bool", {0, 1, 0}},
    };
    lstm__safetensors *tensors = NULL;
    open_corpus(&tensors, "all.safetensors");
    assert_int_equal(lstm__safetensors_count(tensors), 12);
    for (size_t k = 0; k < 12; k++) {
        const lstm__tensor *const tensor = lstm__safetensors_get(tensors, k);
        double doubles[3];
        float floats[3];
        assert_string_equal(tensor->name, expected[k].name); /* in the order of the header */
        assert_works(lstm__tensor_doubles(tensor, doubles, 3));
        assert_works(lstm__tensor_floats(tensor, floats, 3));
        for (int e = 0; e < 3; e++) {
            assert_true(doubles[e] == expected[k].values[e]);
            assert_true((double)floats[e] == expected[k].values[e]);
        }
    }
    lstm__safetensors_close(tensors);
    float brain[4];
    open_corpus(&tensors, "bf16.safetensors");
    assert_works(lstm__tensor_floats(lstm__safetensors_get(tensors, 0), brain, 4));
    for (int k = 0; k < 4; k++)
        assert_true(brain[k] == (float)(k - 2) / 2);
    lstm__safetensors_close(tensors);
    open_corpus(&tensors, "empty.safetensors");
    assert_int_equal(lstm__safetensors_count(tensors), 0);
    lstm__safetensors_close(tensors);
}

/* Parse a file with this header and `data` bytes. */
static lstm_status parse(const char *header, size_t data)
{
    bytes b = {.size = 0};
    add_number(&b, 8, strlen(header));
    add_text(&b, header);
    for (size_t k = 0; k < data; k++)
        add_number(&b, 1, k);
    lstm__file file = {
        .context = standard, .name = lstm__copy_text(standard, "hand"), .size = b.size};
    file.bytes = malloc(b.size);
    assert_non_null(file.bytes);
    memcpy(file.bytes, b.data, b.size);
    lstm__safetensors *tensors = NULL;
    const lstm_status status = lstm__safetensors_parse(&tensors, &file);
    assert_int_equal(status == LSTM_OK, tensors != NULL);
    assert_int_equal(status == LSTM_OK, file.bytes == NULL);
    lstm__safetensors_close(tensors);
    lstm__file_close(&file);
    return status;
}

#define TENSOR(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

static void test_good_headers_by_hand_are_read(void **state)
{
    (void)state;
    assert_works(
        parse("{" TENSOR("b", "U8", "2", "1,3") "," TENSOR("a", "U8", "", "0,1") "}   ", 3));
    assert_works(
        parse("{" TENSOR("a", "F32", "0", "0,0") "," TENSOR("b", "U8", "2", "0,2") "}", 2));
    assert_works(parse("{\"__metadata__\":{}," TENSOR("a", "I8", "1,1,1,1,1,1,1,1", "0,1") "}", 1));
}

static void test_wrong_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        lstm_status status;
        const char *message;
    } cases[] = {
        {"", 0, LSTM_ERROR_FORMAT, "not a JSON object"},
        {"[]", 0, LSTM_ERROR_FORMAT, "not a JSON object"},
        {"{", 0, LSTM_ERROR_FORMAT, "hand: offset 9: the safetensors header is not valid JSON"},
        {"{} x", 0, LSTM_ERROR_FORMAT, "not valid JSON: end of file expected"},
        {"{\"a\":1}", 0, LSTM_ERROR_FORMAT, "tensor \"a\": its description is not a JSON object"},
        {"{\"\":{}}", 0, LSTM_ERROR_FORMAT, "name is empty"},
        {"{\"a\\u0001\":{}}", 0, LSTM_ERROR_FORMAT, "control characters"},
        {"{\"a\\u0000\":{}}", 0, LSTM_ERROR_FORMAT, "not valid JSON"},
        {"{\"a\xff\":{}}", 0, LSTM_ERROR_FORMAT, "not valid JSON"},
        {"{\"__metadata__\":1}", 0, LSTM_ERROR_FORMAT, "__metadata__ is not a JSON object"},
        {"{\"__metadata__\":{\"x\":1}}", 0, LSTM_ERROR_FORMAT, "__metadata__ \"x\" is not a text"},
        {"{\"a\":{}}", 0, LSTM_ERROR_FORMAT, "dtype is missing"},
        {"{\"a\":{\"dtype\":3}}", 0, LSTM_ERROR_FORMAT, "dtype is missing or not a text"},
        {"{" TENSOR("a", "F8_E5M2", "1", "0,1") "}", 1, LSTM_ERROR_UNSUPPORTED,
         "dtype \"F8_E5M2\" is none of"},
        {"{\"a\":{\"dtype\":\"U8\"}}", 0, LSTM_ERROR_FORMAT, "shape is missing"},
        {"{" TENSOR("a", "U8", "-1", "0,1") "}", 1, LSTM_ERROR_FORMAT, "whole numbers from 0"},
        {"{" TENSOR("a", "U8", "1.0", "0,1") "}", 1, LSTM_ERROR_FORMAT, "whole numbers from 0"},
        {"{" TENSOR("a", "U8", "9223372036854775808", "0,1") "}", 1, LSTM_ERROR_FORMAT,
         "too big integer"},
        {"{" TENSOR("a", "U8", "4294967296,4294967296", "0,1") "}", 1, LSTM_ERROR_FORMAT,
         "overflows"},
        {"{" TENSOR("a", "F64", "4611686018427387904", "0,8") "}", 8, LSTM_ERROR_FORMAT,
         "overflows"},
        {"{" TENSOR("a", "U8", "1,1,1,1,1,1,1,1,1", "0,1") "}", 1, LSTM_ERROR_UNSUPPORTED,
         "9 dimensions"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, LSTM_ERROR_FORMAT, "data_offsets is not"},
        {"{" TENSOR("a", "U8", "1", "0") "}", 1, LSTM_ERROR_FORMAT, "data_offsets is not"},
        {"{" TENSOR("a", "U8", "1", "0,1,2") "}", 1, LSTM_ERROR_FORMAT, "data_offsets is not"},
        {"{" TENSOR("a", "U8", "1", "1,0") "}", 1, LSTM_ERROR_FORMAT, "data_offsets is not"},
        {"{" TENSOR("a", "U8", "1", "-1,0") "}", 1, LSTM_ERROR_FORMAT, "data_offsets is not"},
        {"{" TENSOR("a", "U8", "1", "\\\"0\\\",1") "}", 1, LSTM_ERROR_FORMAT, "not valid JSON"},
        {"{" TENSOR("a", "U8", "2", "0,1") "}", 1, LSTM_ERROR_FORMAT,
         "has 1 bytes, its shape and dtype U8 need 2"},
        {"{" TENSOR("a", "U8", "2", "0,2") "}", 1, LSTM_ERROR_FORMAT, "it is cut off"},
        {"{" TENSOR("a", "U8", "2", "0,2") "}", 3, LSTM_ERROR_FORMAT,
         "end at byte 2 of the data, the file at 3"},
        {"{" TENSOR("a", "U8", "2", "1,3") "}", 3, LSTM_ERROR_FORMAT, "there is a hole"},
        {"{" TENSOR("a", "U8", "2", "0,2") "," TENSOR("b", "U8", "2", "1,3") "}", 3,
         LSTM_ERROR_FORMAT, "they overlap"},
        {"{" TENSOR("a", "U8", "2", "0,2") "," TENSOR("a", "U8", "2", "2,4") "}", 4,
         LSTM_ERROR_FORMAT, "duplicate"},
        {"{}", 1, LSTM_ERROR_FORMAT, "the tensors end at byte 0 of the data, the file at 1"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        assert_fails(parse(cases[k].header, cases[k].data), cases[k].status, cases[k].message);
    assert_false(lstm__is_safetensors((const unsigned char *)"\x02\0\0\0\0\0\0\0", 8));
    assert_true(lstm__is_safetensors((const unsigned char *)"\x02\0\0\0\0\0\0\0{}", 10));
    assert_false(lstm__is_safetensors((const unsigned char *)"\x02\0\0\0\0\0\0\x01{}", 10));
}

static void test_headers_longer_than_the_limit_are_refused(void **state)
{
    (void)state;
    lstm__safetensors *tensors = NULL;
    bytes b = {.size = 0};
    add_number(&b, 8, 100000001);
    add_text(&b, "{}");
    write_file("long.safetensors", b.data, b.size);
    assert_fails(lstm__safetensors_open(&tensors, standard, "long.safetensors"), LSTM_ERROR_FORMAT,
                 "header of 100000001 bytes; at most 100000000");
    assert_fails(lstm__safetensors_open(&tensors, standard, "absent.safetensors"), LSTM_ERROR_IO,
                 "No such file");
    assert_null(tensors);
}

static void test_a_written_file_is_aligned_and_read_again(void **state)
{
    (void)state;
    static const double doubles[2] = {0.1, -1e300};
    static const float floats[3] = {1, 2, 3};
    static const uint64_t numbers[1] = {UINT64_MAX};
    static const unsigned char byte[1] = {7};
    lstm__safetensors_writer *writer = NULL;
    assert_works(lstm__safetensors_writer_create(&writer, standard));
    assert_works(lstm__safetensors_add_tensor(writer, "byte", LSTM__U8, 0, NULL, byte));
    assert_works(lstm__safetensors_add_tensor(writer, "lstm/kernel", LSTM__F32, 2,
                                              (int64_t[]){3, 1}, floats));
    assert_works(lstm__safetensors_add_tensor(writer, "mean \"\xc3\xa9\"", LSTM__F64, 1,
                                              (int64_t[]){2}, doubles));
    assert_works(
        lstm__safetensors_add_tensor(writer, "number", LSTM__U64, 1, (int64_t[]){1}, numbers));
    assert_works(lstm__safetensors_add_tensor(writer, "none", LSTM__I64, 1, (int64_t[]){0}, NULL));
    assert_works(lstm__safetensors_add_metadata(writer, "format", "x \"y\"\n\xe2\x82\xac"));
    assert_works(lstm__safetensors_save(writer, "own.safetensors"));
    assert_works(lstm__safetensors_save(writer, "twin.safetensors"));
    lstm__safetensors_writer_destroy(writer);

    lstm__safetensors *tensors = NULL;
    assert_works(lstm__safetensors_open(&tensors, standard, "own.safetensors"));
    assert_string_equal(lstm__safetensors_metadata(tensors, "format"), "x \"y\"\n\xe2\x82\xac");
    static const char *const names[] = {"byte", "lstm/kernel", "mean \"\xc3\xa9\"", "number",
                                        "none"};
    for (size_t k = 0; k < 5; k++) {
        const lstm__tensor *const tensor = lstm__safetensors_get(tensors, k);
        assert_string_equal(tensor->name, names[k]);
        assert_int_equal((uintptr_t)tensor->bytes % lstm__element_size(tensor->kind), 0);
    }
    assert_memory_equal(lstm__safetensors_find(tensors, names[2])->bytes, doubles, sizeof doubles);
    assert_memory_equal(lstm__safetensors_find(tensors, "lstm/kernel")->bytes, floats,
                        sizeof floats);
    uint64_t number = 0;
    assert_works(lstm__tensor_integers(lstm__safetensors_find(tensors, "number"), &number, 1));
    assert_true(number == UINT64_MAX);
    lstm__safetensors_close(tensors);

    size_t size = 0;
    size_t twin_size = 0;
    unsigned char *const own = read_file("own.safetensors", &size);
    unsigned char *const twin = read_file("twin.safetensors", &twin_size);
    assert_int_equal(size, twin_size);
    assert_memory_equal(own, twin, size);
    free(own);
    free(twin);
}

static void test_additions_are_checked(void **state)
{
    (void)state;
    lstm__safetensors_writer *w = NULL;
    assert_works(lstm__safetensors_writer_create(&w, standard));
    assert_works(lstm__safetensors_add_tensor(w, "a", LSTM__U8, 0, NULL, "x"));
    assert_fails(lstm__safetensors_add_tensor(w, "a", LSTM__U8, 0, NULL, "x"), LSTM_ERROR_ARGUMENT,
                 "is there already");
    assert_fails(lstm__safetensors_add_tensor(w, "__metadata__", LSTM__U8, 0, NULL, "x"),
                 LSTM_ERROR_ARGUMENT, "cannot be the name");
    assert_fails(lstm__safetensors_add_tensor(w, "", LSTM__U8, 0, NULL, "x"), LSTM_ERROR_ARGUMENT,
                 "cannot be the name");
    assert_fails(lstm__safetensors_add_tensor(w, "b\xff", LSTM__U8, 0, NULL, "x"),
                 LSTM_ERROR_ARGUMENT, "UTF-8");
    assert_fails(lstm__safetensors_add_tensor(w, "b", 0, 0, NULL, "x"), LSTM_ERROR_ARGUMENT,
                 "kind 0");
    assert_fails(lstm__safetensors_add_tensor(w, "b", LSTM__U8, 9, NULL, "x"), LSTM_ERROR_ARGUMENT,
                 "rank 9");
    assert_fails(lstm__safetensors_add_tensor(w, "b", LSTM__U8, 1, (int64_t[]){-1}, "x"),
                 LSTM_ERROR_SHAPE, "overflows");
    assert_works(lstm__safetensors_add_metadata(w, "k", "v"));
    assert_fails(lstm__safetensors_add_metadata(w, "k", "v"), LSTM_ERROR_ARGUMENT,
                 "metadata \"k\" is there already");
    assert_fails(lstm__safetensors_add_metadata(w, "l", "\xff"), LSTM_ERROR_ARGUMENT,
                 "text is not valid UTF-8");
    assert_fails(lstm__safetensors_add_metadata(w, "\xff", "v"), LSTM_ERROR_ARGUMENT,
                 "key is not valid UTF-8");
    lstm__safetensors_writer_destroy(w);
    lstm__safetensors_writer_destroy(NULL);
}

static lstm_status write_and_read(lstm_context *context)
{
    static const float one = 1;
    lstm_status status = LSTM_OK;
    lstm__safetensors_writer *writer = NULL;
    lstm__safetensors *tensors = NULL;
    TRY(lstm__safetensors_writer_create(&writer, context));
    TRY(lstm__safetensors_add_tensor(writer, "a", LSTM__U8, 0, NULL, "x"));
    TRY(lstm__safetensors_add_tensor(writer, "b", LSTM__F32, 1, (int64_t[]){1}, &one));
    TRY(lstm__safetensors_add_metadata(writer, "k", "v"));
    TRY(lstm__safetensors_save(writer, "sweep.safetensors"));
    TRY(lstm__safetensors_open(&tensors, context, "sweep.safetensors"));
out:
    lstm__safetensors_writer_destroy(writer);
    lstm__safetensors_close(tensors);
    return status;
}

static void test_every_failing_allocation_is_reported(void **state)
{
    (void)state;
    memory m;
    lstm_context *const context = counted_context(&m);
    const size_t blocks = m.blocks;
    lstm_status status = LSTM_ERROR_MEMORY;
    for (long n = 0; status != LSTM_OK; n++) {
        m.allowed = n;
        m.failed = false;
        status = write_and_read(context);
        assert_int_equal(status, m.failed ? LSTM_ERROR_MEMORY : LSTM_OK);
        assert_int_equal(m.blocks, blocks);
        assert_true(n < 100);
    }
    lstm_context_destroy(context);
    assert_int_equal(m.blocks, 0);
}

int main(void)
{
    standard = lstm__context_acquire(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_of_the_reference_is_read),
        cmocka_unit_test(test_every_dtype_is_read),
        cmocka_unit_test(test_good_headers_by_hand_are_read),
        cmocka_unit_test(test_wrong_headers_are_refused),
        cmocka_unit_test(test_headers_longer_than_the_limit_are_refused),
        cmocka_unit_test(test_a_written_file_is_aligned_and_read_again),
        cmocka_unit_test(test_additions_are_checked),
        cmocka_unit_test(test_every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
