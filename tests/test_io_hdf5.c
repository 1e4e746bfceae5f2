/* SPDX-License-Identifier: MIT
 *
 * The HDF5 reader on files that h5py wrote (tests/fuzz/make_hdf5_corpus.py, which gives the rule of
 * their values), on files put together by hand, and on all of them damaged in every byte, with and
 * without checksums.
 */
#include "test_io_support.h"

#include "hdf5.h"

#include <math.h>

static memory held;
static lstm_context *context;

static unsigned char *load(const char *name, size_t *size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/hdf5/%s", LSTM_TESTS_DIR, name);
    return read_file(path, size);
}

static lstm_status open_bytes(lstm__hdf5 **file, const unsigned char *data, size_t size,
                              bool checksums)
{
    const lstm__cursor whole = lstm__memory_cursor("test.h5", data, size);
    return lstm__hdf5_open(file, context, &whole, checksums);
}

typedef struct opened {
    unsigned char *data;
    size_t size;
    lstm__hdf5 *file;
} opened;

static opened open_corpus(const char *name)
{
    opened o = {NULL, 0, NULL};
    o.data = load(name, &o.size);
    assert_works(open_bytes(&o.file, o.data, o.size, true));
    return o;
}

static void close_corpus(opened *o)
{
    lstm__hdf5_close(o->file);
    free(o->data);
    assert_int_equal(held.blocks, 0);
}

static const lstm__hdf5_object *need(const opened *o, const char *path)
{
    const lstm__hdf5_object *const object = lstm__hdf5_find(o->file, path);
    if (!object)
        fail_msg("no \"%s\"", path);
    return object;
}

/* Element k of n is offset + scale * (k - n / 2). */
static void check_values(const opened *o, const char *path, size_t count, double scale,
                         double offset)
{
    float values[64];
    const lstm__hdf5_object *const object = need(o, path);
    assert_true(object->is_dataset);
    assert_int_equal(object->count, count);
    assert_works(lstm__hdf5_floats(o->file, object, values, count));
    for (size_t k = 0; k < count; k++) {
        const double expected = offset + scale * ((double)k - (double)(count / 2));
        if (fabs((double)values[k] - expected) > 1e-6)
            fail_msg("%s: value %zu is %g, expected %g", path, k, (double)values[k], expected);
    }
}

static void check_texts(const opened *o, const char *attribute, const char *const *expected,
                        size_t count)
{
    lstm__hdf5_texts texts;
    assert_works(lstm__hdf5_read_texts(o->file, lstm__hdf5_get(o->file, 0), attribute, &texts));
    assert_true(texts.found);
    assert_int_equal(texts.count, count);
    for (size_t k = 0; k < count; k++)
        assert_string_equal(texts.items[k], expected[k]);
    lstm__hdf5_release_texts(&texts);
}

/* ---- Files of h5py */

static void test_an_old_file_is_read(void **state)
{
    (void)state;
    opened o = open_corpus("plain.h5");
    assert_int_equal(lstm__hdf5_count(o.file), 3);
    const lstm__hdf5_object *const b = need(&o, "a/b");
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->shape[0], 2);
    assert_int_equal(b->shape[1], 3);
    assert_string_equal(b->name, "b");
    assert_string_equal(lstm__hdf5_get(o.file, b->parent)->path, "a");
    check_values(&o, "a/b", 6, 0.5, 0);
    check_texts(&o, "layer_names", (const char *[]){"lstm", "", "d\xc3\xa9nse"}, 3);
    check_texts(&o, "weight_names", (const char *[]){"ab", "cdefg"}, 2);
    check_texts(&o, "one", (const char *[]){"text"}, 1);
    check_texts(&o, "none", NULL, 0);
    close_corpus(&o);
}

static void test_a_new_file_is_read(void **state)
{
    (void)state;
    opened o = open_corpus("new.h5");
    check_values(&o, "a/b", 6, 0.5, 0);
    check_texts(&o, "weight_names", (const char *[]){"ab", "cdefg"}, 2);
    check_texts(&o, "none", NULL, 0);
    close_corpus(&o);
}

static void test_links_and_attributes_in_fractal_heaps_are_read(void **state)
{
    (void)state;
    opened o = open_corpus("dense.h5");
    for (size_t k = 0; k < 10; k++) {
        char name[16];
        char text[16];
        snprintf(name, sizeof name, "d%zu", k);
        check_values(&o, name, 1, 0, (double)k);
        snprintf(name, sizeof name, "text%zu", k);
        snprintf(text, sizeof text, "value %zu", k);
        check_texts(&o, name, (const char *[]){text}, 1);
    }
    close_corpus(&o);
}

static void test_every_kind_of_number_is_read(void **state)
{
    static const struct {
        const char *name;
        double scale, offset;
    } kinds[] = {{"f2", 0.5, 0}, {"f4", 0.5, 0}, {"f8", 0.5, 0}, {"i1", 1, 0},
                 {"i2", 1, 0},   {"i4", 1, 0},   {"u8", 1, 1},   {"u1", 1, 1}};
    (void)state;
    float value = 0;
    opened o = open_corpus("types.h5");
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        check_values(&o, kinds[k].name, 3, kinds[k].scale, kinds[k].offset);
    check_values(&o, "scalar", 1, 0, 1.5);
    assert_int_equal(need(&o, "scalar")->rank, 0);
    check_values(&o, "empty", 0, 0, 0);
    assert_fails(lstm__hdf5_floats(o.file, need(&o, "bool"), &value, 1), LSTM_ERROR_UNSUPPORTED,
                 "type enum");
    assert_fails(lstm__hdf5_floats(o.file, need(&o, "scalar"), &value, 2), LSTM_ERROR_SHAPE,
                 "has 1 values; expected 2");
    assert_fails(lstm__hdf5_floats(o.file, need(&o, ""), &value, 1), LSTM_ERROR_SHAPE,
                 "has 0 values");
    close_corpus(&o);
}

static void test_chunks_are_unpacked_and_holes_filled(void **state)
{
    (void)state;
    float part[16];
    opened o = open_corpus("chunks.h5");
    check_values(&o, "packed", 35, 0.5, 0);
    check_values(&o, "unwritten", 4, 0, 7);
    assert_works(lstm__hdf5_floats(o.file, need(&o, "part"), part, 16));
    for (size_t k = 0; k < 16; k++)
        assert_true(part[k] == (k == 0 ? 1.0f : 2.5f));
    assert_int_equal(need(&o, "unwritten")->stored, 0);
    close_corpus(&o);
    o = open_corpus("single.h5");
    check_values(&o, "a", 35, 0.5, 0);
    close_corpus(&o);
}

/* Found by libFuzzer: elements of 2 GiB made the reader count to 2^31 for each chunk. */
static void test_shuffled_elements_have_the_size_of_the_type(void **state)
{
    /* shuffle, optional, one value: 4 */
    static const unsigned char filter[10] = {2, 0, 1, 0, 1, 0, 4, 0, 0, 0};
    (void)state;
    size_t size = 0;
    size_t at = 0;
    lstm__hdf5 *file = NULL;
    float values[35];
    unsigned char *const data = load("single.h5", &size);
    while (at + sizeof filter < size && memcmp(data + at, filter, sizeof filter) != 0)
        at++;
    assert_true(at + sizeof filter < size);
    data[at + 9] = 0x80;
    assert_works(open_bytes(&file, data, size, false));
    assert_fails(lstm__hdf5_floats(file, lstm__hdf5_find(file, "a"), values, 35), LSTM_ERROR_FORMAT,
                 "shuffled elements of 2147483652 bytes; the type has 4");
    lstm__hdf5_close(file);
    free(data);
}

/* ---- Refused by name */

static void check_refused(const char *name, const char *part)
{
    size_t size = 0;
    lstm__hdf5 *file = NULL;
    unsigned char *const data = load(name, &size);
    assert_fails(open_bytes(&file, data, size, true), LSTM_ERROR_UNSUPPORTED, part);
    assert_null(file);
    assert_int_equal(held.blocks, 0);
    free(data);
}

static void test_what_is_not_followed_is_named(void **state)
{
    (void)state;
    check_refused("soft.h5", "\"x\" is a soft link");
    check_refused("soft_old.h5", "\"x\" is a soft link");
    check_refused("external.h5", "\"x\" is an external link");
    check_refused("storage.h5", "\"/x\" lies in other files");
    check_refused("named.h5", "\"/x\" is neither a group nor a dataset");
    check_refused("rank9.h5", "9 dimensions");
}

static void test_unknown_filters_are_named(void **state)
{
    (void)state;
    float values[3];
    opened o = open_corpus("fletcher.h5");
    assert_fails(lstm__hdf5_floats(o.file, need(&o, "x"), values, 3), LSTM_ERROR_UNSUPPORTED,
                 "filter 3 (fletcher32)");
    close_corpus(&o);
    o = open_corpus("lzf.h5");
    assert_fails(lstm__hdf5_floats(o.file, need(&o, "x"), values, 3), LSTM_ERROR_UNSUPPORTED,
                 "filter 32000 (lzf)");
    close_corpus(&o);
}

static void test_a_group_in_itself_is_found(void **state)
{
    (void)state;
    size_t size = 0;
    lstm__hdf5 *file = NULL;
    unsigned char *const data = load("loop.h5", &size);
    assert_fails(open_bytes(&file, data, size, true), LSTM_ERROR_FORMAT,
                 "group \"/\" contains itself");
    free(data);
}

static void test_a_damaged_header_is_found_by_its_checksum(void **state)
{
    (void)state;
    size_t size = 0;
    lstm__hdf5 *file = NULL;
    unsigned char *const data = load("new.h5", &size);
    data[9] ^= 1;
    assert_fails(open_bytes(&file, data, size, true), LSTM_ERROR_FORMAT, "expected 2, 4 or 8");
    data[9] ^= 1;
    data[30] ^= 1; /* the end of the file */
    assert_fails(open_bytes(&file, data, size, true), LSTM_ERROR_FORMAT, "checksum");
    free(data);
}

/* ---- By hand: a file of version 0 whose root is an object header of version 1 */

enum { ROOT = 96, HEADER = ROOT + 16 };

static void start_file(bytes *b)
{
    b->size = 0;
    add_bytes(b, "\x89HDF\r\n\x1a\n", 8);
    add_number(b, 5, 0);
    add_number(b, 1, 8);
    add_number(b, 1, 8);
    add_number(b, 1, 0);
    add_number(b, 2, 4);
    add_number(b, 2, 16);
    add_number(b, 4, 0);
    add_number(b, 8, 0);
    add_number(b, 8, UINT64_MAX);
    add_number(b, 8, 0); /* end of file: not beyond it */
    add_number(b, 8, UINT64_MAX);
    add_number(b, 8, 0);
    add_number(b, 8, ROOT);
    add_number(b, 24, 0);
    assert_int_equal(b->size, ROOT);
}

/* A header of version 1 with `size` bytes of messages. */
static void start_header(bytes *b, size_t size)
{
    add_number(b, 2, 1);
    add_number(b, 2, 1);
    add_number(b, 4, 1);
    add_number(b, 4, size);
    add_number(b, 4, 0);
}

static void start_message(bytes *b, size_t type, size_t size, size_t flags)
{
    add_number(b, 2, type);
    add_number(b, 2, size);
    add_number(b, 4, flags);
}

static void add_link(bytes *b, const char *name, uint64_t address)
{
    start_message(b, 6, 3 + strlen(name) + 8, 0);
    add_number(b, 2, 1);
    add_number(b, 1, strlen(name));
    add_text(b, name);
    add_number(b, 8, address);
}

static void test_object_headers_that_lead_in_a_loop_are_found(void **state)
{
    (void)state;
    bytes b;
    lstm__hdf5 *file = NULL;
    start_file(&b);
    start_header(&b, 24);
    start_message(&b, 16, 16, 0); /* goes on with itself */
    add_number(&b, 8, HEADER);
    add_number(&b, 8, 24);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT, "lead in a loop");
    b.data[HEADER + 16] = 25; /* longer than what is left */
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT, "25 bytes expected");
}

static void test_names_that_cannot_be_are_refused(void **state)
{
    static const char *const names[] = {"a/b", "", ".", "\x01", "\xff"};
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        bytes b;
        lstm__hdf5 *file = NULL;
        start_file(&b);
        start_header(&b, 8 + 3 + strlen(names[k]) + 8);
        add_link(&b, names[k], ROOT);
        assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT,
                     "no text that a name can be");
    }
}

static void test_a_name_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    bytes b;
    lstm__hdf5 *file = NULL;
    start_file(&b);
    start_header(&b, 2 * 20);
    add_link(&b, "x", ROOT + 16 + 40);
    add_link(&b, "x", ROOT + 16 + 40);
    start_header(&b, 8);
    start_message(&b, 10, 0, 0);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT,
                 "\"/x\" is there twice");
}

/* Groups whose every member is the same next group: 2^30 paths in a few hundred bytes. */
static void test_a_file_of_endlessly_many_paths_is_refused(void **state)
{
    (void)state;
    bytes b;
    lstm__hdf5 *file = NULL;
    start_file(&b);
    for (size_t level = 0; level < 30; level++) {
        const uint64_t next = b.size + 16 + 2 * 20;
        start_header(&b, 2 * 20);
        add_link(&b, "x", next);
        add_link(&b, "y", next);
    }
    start_header(&b, 8);
    start_message(&b, 10, 0, 0);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_UNSUPPORTED,
                 "more than 200000");
    assert_int_equal(held.blocks, 0);
}

static void test_shared_messages_are_refused(void **state)
{
    (void)state;
    bytes b;
    lstm__hdf5 *file = NULL;
    start_file(&b);
    start_header(&b, 16);
    start_message(&b, 3, 8, 2);
    add_number(&b, 8, 0);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_UNSUPPORTED,
                 "a shared message");
}

/* A dataset "x" of float32: dataspace, datatype, layout of version 3. */
static void dataset_by_hand(bytes *b, uint64_t rows, int class, uint64_t address)
{
    start_file(b);
    start_header(b, 20);
    add_link(b, "x", ROOT + 16 + 20);
    start_header(b, 8 + 16 + 8 + 20 + 8 + 18);
    start_message(b, 1, 16, 0);
    add_number(b, 8, 0x0101);
    add_number(b, 8, rows);
    start_message(b, 3, 20, 0);
    add_bytes(b, "\x11\x20\x1f\x00\x04\x00\x00\x00\x00\x00\x20\x00\x17\x08\x00\x17\x7f\x00\x00\x00",
              20);
    start_message(b, 8, 18, 0);
    add_number(b, 1, 3);
    add_number(b, 1, (uint64_t) class);
    add_number(b, 8, address);
    add_number(b, 8, rows * 4);
}

static void test_data_must_lie_in_the_file(void **state)
{
    (void)state;
    bytes b;
    lstm__hdf5 *file = NULL;
    float values[2] = {1, 1};
    dataset_by_hand(&b, 2, 1, 96);
    assert_works(open_bytes(&file, b.data, b.size, true));
    const lstm__hdf5_object *x = lstm__hdf5_find(file, "x");
    assert_int_equal(x->type.kind, LSTM__F32);
    assert_int_equal(x->stored, 2);
    lstm__hdf5_close(file);
    dataset_by_hand(&b, 2, 1, b.size - 7);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT,
                 "do not lie in the file");
    dataset_by_hand(&b, UINT64_C(1) << 62, 1, 96);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT,
                 "do not lie in the file");
    dataset_by_hand(&b, UINT64_MAX, 1, 96);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_FORMAT, "dimension 0 is");
    dataset_by_hand(&b, 2, 3, 96);
    assert_fails(open_bytes(&file, b.data, b.size, true), LSTM_ERROR_UNSUPPORTED, "is virtual");
    dataset_by_hand(&b, 2, 1, UINT64_MAX); /* never written: zeros */
    assert_works(open_bytes(&file, b.data, b.size, true));
    x = lstm__hdf5_find(file, "x");
    assert_int_equal(x->stored, 0);
    assert_works(lstm__hdf5_floats(file, x, values, 2));
    assert_true(values[0] == 0 && values[1] == 0);
    lstm__hdf5_close(file);
}

/* ---- Damage */

static const char *const everything[] = {"plain.h5", "new.h5",    "dense.h5",
                                         "types.h5", "chunks.h5", "single.h5",
                                         "soft.h5",  "loop.h5",   "fletcher.h5"};

/* Open and read all there is; the status of the first failure. */
static lstm_status read_all(const unsigned char *data, size_t size, bool checksums)
{
    lstm__hdf5 *file = NULL;
    lstm_status status = LSTM_OK;
    float values[256];
    TRY(open_bytes(&file, data, size, checksums));
    for (size_t k = 0; k < lstm__hdf5_count(file); k++) {
        const lstm__hdf5_object *const object = lstm__hdf5_get(file, k);
        lstm__hdf5_texts texts;
        if (object->is_dataset && object->count <= 256)
            TRY(lstm__hdf5_floats(file, object, values, object->count));
        TRY(lstm__hdf5_read_texts(file, object, "layer_names", &texts));
        lstm__hdf5_release_texts(&texts);
        TRY(lstm__hdf5_read_texts(file, object, "text7", &texts));
        lstm__hdf5_release_texts(&texts);
    }
out:
    lstm__hdf5_close(file);
    return status;
}

static void check_damaged(const unsigned char *data, size_t size, bool checksums)
{
    held.peak = 0;
    const lstm_status status = read_all(data, size, checksums);
    if (status != LSTM_OK && status != LSTM_ERROR_FORMAT && status != LSTM_ERROR_UNSUPPORTED)
        fail_msg("%s: %s", lstm_status_name(status), lstm_last_error());
    assert_int_equal(held.blocks, 0);
    assert_true(held.peak < (size_t)1 << 20);
}

static void test_files_cut_off_anywhere_are_errors(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof everything / sizeof everything[0]; f++) {
        size_t size = 0;
        unsigned char *const data = load(everything[f], &size);
        for (size_t cut = 0; cut < size; cut++) {
            unsigned char *const exact = malloc(cut ? cut : 1);
            assert_non_null(exact);
            memcpy(exact, data, cut);
            lstm__hdf5 *file = NULL;
            assert_int_not_equal(open_bytes(&file, exact, cut, true), LSTM_OK);
            assert_null(file);
            check_damaged(exact, cut, false);
            free(exact);
        }
        free(data);
    }
}

/* One bit of every byte, and every byte as 0 and 255; fuzz_hdf5 flips every bit. */
static void test_any_byte_may_be_wrong(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof everything / sizeof everything[0]; f++) {
        size_t size = 0;
        unsigned char *const data = load(everything[f], &size);
        for (size_t at = 0; at < size; at++) {
            const unsigned char before = data[at];
            const unsigned char wrong[3] = {(unsigned char)(before ^ 1u << at % 8), 0, 255};
            for (size_t k = 0; k < 3; k++) {
                data[at] = wrong[k];
                if (wrong[k] != before)
                    check_damaged(data, size, false);
            }
            data[at] = before;
        }
        free(data);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t f = 0; f < 6; f++) {
        size_t size = 0;
        unsigned char *const data = load(everything[f], &size);
        const lstm_status whole = read_all(data, size, true);
        for (long allowed = 0;; allowed++) {
            held.allowed = allowed;
            held.failed = false;
            const lstm_status status = read_all(data, size, true);
            assert_int_equal(held.blocks, 0);
            if (!held.failed) {
                assert_int_equal(status, whole);
                break;
            }
            assert_int_equal(status, LSTM_ERROR_MEMORY);
        }
        held.allowed = -1;
        free(data);
    }
}

static int set_up(void **state)
{
    (void)state;
    context = counted_context(&held);
    held.blocks = 0; /* the context's own stays */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    held.blocks = 1;
    lstm_context_destroy(context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_old_file_is_read),
        cmocka_unit_test(test_a_new_file_is_read),
        cmocka_unit_test(test_links_and_attributes_in_fractal_heaps_are_read),
        cmocka_unit_test(test_every_kind_of_number_is_read),
        cmocka_unit_test(test_chunks_are_unpacked_and_holes_filled),
        cmocka_unit_test(test_shuffled_elements_have_the_size_of_the_type),
        cmocka_unit_test(test_what_is_not_followed_is_named),
        cmocka_unit_test(test_unknown_filters_are_named),
        cmocka_unit_test(test_a_group_in_itself_is_found),
        cmocka_unit_test(test_a_damaged_header_is_found_by_its_checksum),
        cmocka_unit_test(test_object_headers_that_lead_in_a_loop_are_found),
        cmocka_unit_test(test_names_that_cannot_be_are_refused),
        cmocka_unit_test(test_a_name_that_is_there_twice_is_refused),
        cmocka_unit_test(test_a_file_of_endlessly_many_paths_is_refused),
        cmocka_unit_test(test_shared_messages_are_refused),
        cmocka_unit_test(test_data_must_lie_in_the_file),
        cmocka_unit_test(test_files_cut_off_anywhere_are_errors),
        cmocka_unit_test(test_any_byte_may_be_wrong),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
