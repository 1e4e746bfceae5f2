/* SPDX-License-Identifier: MIT
 *
 * ZIP archives: those that Python wrote (tests/fuzz/corpus/zip), archives built byte by byte
 * (zip64, every lie that a directory can tell), and our own. Damage at every byte and bit is in
 * fuzz/fuzz_zip.c.
 */
#include "test_io_support.h"

#include "zip_archive.h"

#include <zlib.h>

static lstm_context *standard;

/* A file in memory, in a block of exactly its size. */
static lstm__file memory_file(const void *content, size_t size)
{
    lstm__file file = {
        .context = standard, .name = lstm__copy_text(standard, "hand.zip"), .size = size};
    file.bytes = malloc(size);
    assert_non_null(file.bytes);
    memcpy(file.bytes, content, size);
    return file;
}

/* ---- Archives by hand ---- */

/* What goes into a local header and a directory record; zeros give a good stored entry "a" with the
 * content "hello". */
typedef struct recipe {
    const char *name;       /* NULL: "a" */
    const char *local_name; /* NULL: as name */
    const char *content;    /* NULL: "hello" */
    int method;
    int local_method; /* as method + this */
    int flags;
    int disk;
    int crc_change;
    int64_t size_change;
    int64_t packed_change;
    int64_t offset_change;
    bool zip64;    /* sizes and offset in a zip64 field */
    int cut_extra; /* bytes missing from that field */
} recipe;

static uint32_t crc_of(const char *text)
{
    return (uint32_t)crc32(0, (const unsigned char *)text, (unsigned)strlen(text));
}

static size_t add_local(bytes *b, const recipe *r)
{
    const char *name = r->local_name ? r->local_name : r->name ? r->name : "a";
    const size_t offset = b->size;
    add_number(b, 4, 0x04034b50);
    add_number(b, 2, 20);
    add_number(b, 2, (uint64_t)r->flags);
    add_number(b, 2, (uint64_t)(r->method + r->local_method));
    add_number(b, 4, 0);
    add_number(b, 12, 0); /* CRC and sizes: as those who stream leave them */
    add_number(b, 2, strlen(name));
    add_number(b, 2, 3);
    add_text(b, name);
    add_text(b, "xxx");
    add_text(b, r->content ? r->content : "hello");
    return offset;
}

static void add_record(bytes *b, const recipe *r, size_t offset)
{
    const char *const name = r->name ? r->name : "a";
    const char *const content = r->content ? r->content : "hello";
    const uint64_t size = strlen(content) + (uint64_t)r->size_change;
    const uint64_t packed = strlen(content) + (uint64_t)r->packed_change;
    const uint64_t place = offset + (uint64_t)r->offset_change;
    add_number(b, 4, 0x02014b50);
    add_number(b, 4, 20);
    add_number(b, 2, (uint64_t)r->flags);
    add_number(b, 2, (uint64_t)r->method);
    add_number(b, 4, 0);
    add_number(b, 4, crc_of(content) + (uint32_t)r->crc_change);
    add_number(b, 4, r->zip64 ? UINT32_MAX : packed);
    add_number(b, 4, r->zip64 ? UINT32_MAX : size);
    add_number(b, 2, strlen(name));
    add_number(b, 2, r->zip64 ? 28 + 5 : 0);
    add_number(b, 2, 0);
    add_number(b, 2, (uint64_t)r->disk);
    add_number(b, 6, 0);
    add_number(b, 4, r->zip64 ? UINT32_MAX : place);
    add_text(b, name);
    if (r->zip64) {
        add_number(b, 2, 0x5455); /* another field first */
        add_number(b, 2, 1);
        add_number(b, 1, 0);
        add_number(b, 2, 1);
        add_number(b, 2, (uint64_t)(24 - r->cut_extra));
        add_number(b, 8, size);
        add_number(b, 8, packed);
        add_number(b, 8, place);
    }
}

static void add_end(bytes *b, size_t count, size_t start)
{
    const size_t size = b->size - start;
    add_number(b, 4, 0x06054b50);
    add_number(b, 4, 0);
    add_number(b, 2, count);
    add_number(b, 2, count);
    add_number(b, 4, size);
    add_number(b, 4, start);
    add_number(b, 2, 0);
}

static void build(bytes *b, const recipe *recipes, size_t count)
{
    size_t offsets[8];
    b->size = 0;
    for (size_t k = 0; k < count; k++)
        offsets[k] = add_local(b, &recipes[k]);
    const size_t start = b->size;
    for (size_t k = 0; k < count; k++)
        add_record(b, &recipes[k], offsets[k]);
    add_end(b, count, start);
}

/* Open an archive and read all of its entries; the first's content must be `first` if that is
 * given. */
static lstm_status read_all(const bytes *b, const char *first)
{
    lstm_status status = LSTM_OK;
    lstm__file file = memory_file(b->data, b->size);
    lstm__zip *zip = NULL;
    TRY(lstm__zip_open(&zip, standard, &file));
    for (size_t k = 0; k < lstm__zip_count(zip); k++) {
        const lstm__zip_entry *const entry = lstm__zip_get(zip, k);
        char content[256] = "";
        assert_true(entry->size < sizeof content);
        TRY(lstm__zip_read(zip, entry, content));
        if (k == 0 && first)
            assert_string_equal(content, first);
    }
out:
    lstm__zip_close(zip);
    lstm__file_close(&file);
    return status;
}

static void test_good_archives_by_hand_are_read(void **state)
{
    (void)state;
    bytes b;
    build(&b, (recipe[]){{0}}, 1);
    assert_works(read_all(&b, "hello"));
    build(&b,
          (recipe[]){
              {.name = "b/c.npy"}, {.name = "a", .content = "x"}, {.name = "e", .content = ""}},
          3);
    assert_works(read_all(&b, "hello"));
    build(&b, (recipe[]){{.zip64 = true}}, 1);
    assert_works(read_all(&b, "hello"));
    build(&b, NULL, 0);
    assert_works(read_all(&b, NULL));
    /* A comment, and one that looks like an end record. */
    build(&b, (recipe[]){{0}}, 1);
    b.data[b.size - 2] = 26;
    add_text(&b, "PK\x05\x06 abcdefghijklmnopqrstu");
    assert_int_equal(b.data[b.size - 26 - 2], 26);
    assert_works(read_all(&b, "hello"));
}

static void test_a_zip64_end_record_is_used(void **state)
{
    (void)state;
    bytes b = {.size = 0};
    const recipe r = {0};
    add_local(&b, &r);
    const size_t start = b.size;
    add_record(&b, &r, 0);
    const size_t size = b.size - start;
    const size_t end64 = b.size;
    add_number(&b, 4, 0x06064b50);
    add_number(&b, 8, 44);
    add_number(&b, 4, 45);
    add_number(&b, 8, 0);
    add_number(&b, 8, 1);
    add_number(&b, 8, 1);
    add_number(&b, 8, size);
    add_number(&b, 8, start);
    add_number(&b, 4, 0x07064b50);
    add_number(&b, 4, 0);
    const size_t locator = b.size;
    add_number(&b, 8, end64);
    add_number(&b, 4, 1);
    add_number(&b, 4, 0x06054b50);
    add_number(&b, 4, 0);
    add_number(&b, 8, UINT64_MAX);
    add_number(&b, 4, UINT32_MAX);
    add_number(&b, 2, 0);
    assert_works(read_all(&b, "hello"));
    b.data[locator]++;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "does not point to a zip64 end record");
    b.data[locator]--;
    b.data[locator + 7] = 1;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "beyond the end");
    b.data[locator + 7] = 0;
    b.data[locator + 8] = 2;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_UNSUPPORTED, "several disks");
}

static void test_lies_of_a_directory_are_refused(void **state)
{
    (void)state;
    static const struct {
        recipe r;
        lstm_status status;
        const char *message;
    } cases[] = {
        {{.crc_change = 1}, LSTM_ERROR_FORMAT, "entry \"a\" is damaged: CRC"},
        {{.size_change = 1}, LSTM_ERROR_FORMAT, "is stored in 5 bytes but has 6"},
        {{.size_change = 100, .packed_change = 100},
         LSTM_ERROR_FORMAT,
         "ZIP entry \"a\": hand.zip: offset 34: 105 bytes"},
        {{.method = 8}, LSTM_ERROR_FORMAT, "does not unpack to the 5 bytes announced"},
        {{.method = 8, .size_change = 1 << 20}, LSTM_ERROR_FORMAT, "more than deflate can give"},
        {{.method = 12}, LSTM_ERROR_UNSUPPORTED, "packed by method 12"},
        {{.local_method = 8},
         LSTM_ERROR_FORMAT,
         "the entry's own header and the ZIP directory disagree"},
        {{.local_name = "b"}, LSTM_ERROR_FORMAT, "disagree"},
        {{.local_name = "aa"}, LSTM_ERROR_FORMAT, "disagree"},
        {{.flags = 1}, LSTM_ERROR_UNSUPPORTED, "is encrypted"},
        {{.flags = 1 << 6}, LSTM_ERROR_UNSUPPORTED, "is encrypted"},
        {{.disk = 1}, LSTM_ERROR_UNSUPPORTED, "on another disk"},
        {{.offset_change = 1}, LSTM_ERROR_FORMAT, "no ZIP entry here"},
        {{.offset_change = 1000}, LSTM_ERROR_FORMAT, "beyond the end"},
        {{.zip64 = true, .offset_change = -1}, LSTM_ERROR_FORMAT, "beyond the end"},
        {{.zip64 = true, .cut_extra = 8}, LSTM_ERROR_FORMAT, "8 bytes expected, 0 are left"},
        {{.name = "../a"}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = "a/../../b"}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = ".."}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = "/etc/passwd"}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = "c:/a"}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = "a\\b"}, LSTM_ERROR_FORMAT, "leads outside"},
        {{.name = "a\nb"}, LSTM_ERROR_FORMAT, "is no text"},
        {{.name = "a\xff"}, LSTM_ERROR_FORMAT, "is no text"},
        {{.name = ""}, LSTM_ERROR_FORMAT, "is no text"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        bytes b;
        build(&b, &cases[k].r, 1);
        assert_fails(read_all(&b, NULL), cases[k].status, cases[k].message);
    }
    assert_true(lstm__zip_is_name("a/..b/c..", 9));
    assert_true(lstm__zip_is_name("lstm/kernel:0.npy", 17));
    assert_false(lstm__zip_is_name("a\0b", 3));
}

static void test_entries_that_share_bytes_or_names_are_refused(void **state)
{
    (void)state;
    bytes b;
    build(&b, (recipe[]){{0}, {.content = "other"}}, 2);
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "two ZIP entries are called \"a\"");
    /* The first announces the second as its own content. */
    build(&b, (recipe[]){{.size_change = 20, .packed_change = 20}, {.name = "b"}}, 2);
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "\"a\" and \"b\" overlap");
}

static void test_wrong_ends_are_refused(void **state)
{
    (void)state;
    bytes b;
    build(&b, (recipe[]){{0}}, 1);
    add_text(&b, "x");
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "has no end record");
    build(&b, (recipe[]){{0}}, 1);
    b.data[b.size - 22 + 10] = 2; /* entries */
    assert_fails(read_all(&b, NULL), LSTM_ERROR_UNSUPPORTED, "several disks");
    b.data[b.size - 22 + 8] = 2;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "cannot hold 2 entries");
    b.data[b.size - 22 + 8] = b.data[b.size - 22 + 10] = 0;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "left over in the ZIP directory");
    build(&b, (recipe[]){{0}}, 1);
    b.data[b.size - 22 + 4] = 1;
    assert_fails(read_all(&b, NULL), LSTM_ERROR_UNSUPPORTED, "several disks");
    build(&b, (recipe[]){{0}}, 1);
    b.data[b.size - 22 + 15] = 1; /* size of the directory */
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "lies outside the file");
    build(&b, (recipe[]){{0}}, 1);
    b.data[b.size - 22 + 16]++; /* its offset */
    assert_fails(read_all(&b, NULL), LSTM_ERROR_FORMAT, "lies outside the file");
}

static void test_archives_of_python_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t count;
        const char *first;
        lstm_status status;
    } files[] = {
        {"stored.npz", 2, "a.npy", LSTM_OK},     {"deflated.npz", 2, "a.npy", LSTM_OK},
        {"plain.npz", 2, "a.npy", LSTM_OK},      {"streamed.npz", 2, "a.npy", LSTM_OK},
        {"text.zip", 2, "config.json", LSTM_OK}, {"empty.npz", 0, NULL, LSTM_OK},
        {"up.zip", 0, NULL, LSTM_ERROR_FORMAT},  {"bzip2.zip", 0, NULL, LSTM_ERROR_UNSUPPORTED},
    };
    for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
        char path[4096];
        lstm__file file;
        lstm__zip *zip = NULL;
        snprintf(path, sizeof path, "%s/fuzz/corpus/zip/%s", LSTM_TESTS_DIR, files[k].name);
        assert_works(lstm__file_open(&file, standard, path));
        assert_int_equal(lstm__zip_open(&zip, standard, &file), files[k].status);
        for (size_t e = 0; zip && e < lstm__zip_count(zip); e++) {
            const lstm__zip_entry *const entry = lstm__zip_get(zip, e);
            const unsigned char *content = NULL;
            void *owned = NULL;
            if (e == 0)
                assert_string_equal(entry->name, files[k].first);
            assert_ptr_equal(lstm__zip_find(zip, entry->name), entry);
            assert_works(lstm__zip_content(zip, entry, 4096, &content, &owned));
            assert_int_equal(owned == NULL, entry->stored);
            if (entry->size > 0)
                assert_memory_equal(content,
                                    strstr(entry->name, ".npy") ? "\x93NUMPY" : "{\"a\": ", 6);
            lstm__release(standard, owned);
            if (entry->size > 0)
                assert_fails(lstm__zip_content(zip, entry, entry->size - 1, &content, &owned),
                             LSTM_ERROR_FORMAT, "are allowed");
        }
        if (zip) {
            assert_int_equal(lstm__zip_count(zip), files[k].count);
            assert_null(lstm__zip_find(zip, "absent"));
        }
        lstm__zip_close(zip);
        lstm__file_close(&file);
    }
}

static void test_a_large_entry_is_inflated_exactly(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    unsigned char *const content = calloc(1, SIZE); /* zeros: the highest ratio there is */
    unsigned char packed[2048];
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = content;
    stream.avail_in = SIZE;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t packed_size = stream.total_out;
    deflateEnd(&stream);
    for (int change = -1; change <= 1; change++) {
        bytes b = {.size = 0};
        add_number(&b, 4, 0x04034b50);
        add_number(&b, 4, 20);
        add_number(&b, 2, 8);
        add_number(&b, 16, 0);
        add_number(&b, 4, 1);
        add_text(&b, "z");
        add_bytes(&b, packed, packed_size);
        const size_t start = b.size;
        add_number(&b, 4, 0x02014b50);
        add_number(&b, 6, 20);
        add_number(&b, 2, 8);
        add_number(&b, 4, 0);
        add_number(&b, 4, crc32(0, content, SIZE));
        add_number(&b, 4, packed_size);
        add_number(&b, 4, (uint64_t)(SIZE + change));
        add_number(&b, 2, 1);
        add_number(&b, 12, 0);
        add_number(&b, 4, 0);
        add_text(&b, "z");
        add_end(&b, 1, start);
        lstm__file file = memory_file(b.data, b.size);
        lstm__zip *zip = NULL;
        assert_works(lstm__zip_open(&zip, standard, &file));
        unsigned char *const out = malloc((size_t)(SIZE + change));
        if (change == 0) {
            assert_works(lstm__zip_read(zip, lstm__zip_get(zip, 0), out));
            assert_memory_equal(out, content, SIZE);
        } else {
            assert_fails(lstm__zip_read(zip, lstm__zip_get(zip, 0), out), LSTM_ERROR_FORMAT,
                         "does not unpack to");
        }
        free(out);
        lstm__zip_close(zip);
        lstm__file_close(&file);
    }
    free(content);
}

static void test_written_archives_are_aligned_and_read_again(void **state)
{
    (void)state;
    lstm__zip_writer *writer = NULL;
    assert_works(lstm__zip_writer_open(&writer, standard, "own.zip"));
    assert_works(
        lstm__zip_writer_add(writer, "a", (lstm__piece[]){{"hel", 3}, {NULL, 0}, {"lo", 2}}, 3));
    assert_works(lstm__zip_writer_add(writer, "folder/b\xc3\xa4", (lstm__piece[]){{"x", 1}}, 1));
    assert_works(lstm__zip_writer_add(writer, "empty", NULL, 0));
    assert_fails(lstm__zip_writer_add(writer, "a", NULL, 0), LSTM_ERROR_ARGUMENT,
                 "is there already");
    assert_fails(lstm__zip_writer_add(writer, "../a", NULL, 0), LSTM_ERROR_ARGUMENT,
                 "cannot be the name");
    assert_works(lstm__zip_writer_close(&writer));
    assert_null(writer);
    lstm__zip_writer_abort(writer);

    lstm__file file;
    lstm__zip *zip = NULL;
    assert_works(lstm__file_open(&file, standard, "own.zip"));
    assert_works(lstm__zip_open(&zip, standard, &file));
    assert_int_equal(lstm__zip_count(zip), 3);
    for (size_t k = 0; k < 3; k++) {
        const lstm__zip_entry *const entry = lstm__zip_get(zip, k);
        const unsigned char *content = NULL;
        void *owned = NULL;
        assert_works(lstm__zip_content(zip, entry, 100, &content, &owned));
        assert_null(owned);
        assert_int_equal((size_t)(content - file.bytes) % 64, 0);
    }
    const lstm__zip_entry *const a = lstm__zip_find(zip, "a");
    assert_int_equal(a->size, 5);
    assert_memory_equal(a->packed, "hello", 5);
    lstm__zip_close(zip);
    lstm__file_close(&file);
}

int main(void)
{
    standard = lstm__context_acquire(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_archives_by_hand_are_read),
        cmocka_unit_test(test_a_zip64_end_record_is_used),
        cmocka_unit_test(test_lies_of_a_directory_are_refused),
        cmocka_unit_test(test_entries_that_share_bytes_or_names_are_refused),
        cmocka_unit_test(test_wrong_ends_are_refused),
        cmocka_unit_test(test_archives_of_python_are_read),
        cmocka_unit_test(test_a_large_entry_is_inflated_exactly),
        cmocka_unit_test(test_written_archives_are_aligned_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
