/* SPDX-License-Identifier: MIT
 *
 * What the tests of files share: a context with a counting, failing allocator, whole files, bytes
 * put together one by one, and files in memory of exactly their size, so that the address sanitizer
 * sees every byte read beyond it.
 */
#ifndef LSTM_TESTS_TEST_IO_SUPPORT_H
#define LSTM_TESTS_TEST_IO_SUPPORT_H

#include <lstm/lstm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Memory ---- */

typedef struct memory {
    size_t now; /* bytes held */
    size_t peak;
    size_t blocks; /* blocks held */
    long allowed;  /* allocations until one fails; negative: none does */
    bool failed;
} memory;

enum { BLOCK_HEAD = 64 };

static inline void *memory_allocate(void *user, size_t bytes, size_t alignment)
{
    memory *const m = user;
    if (m->allowed == 0) {
        m->failed = true;
        return NULL;
    }
    if (m->allowed > 0)
        m->allowed--;
    assert_true(alignment <= BLOCK_HEAD);
    unsigned char *const block = aligned_alloc(BLOCK_HEAD, (bytes + 2 * BLOCK_HEAD - 1) /
                                                               BLOCK_HEAD * BLOCK_HEAD);
    if (!block)
        return NULL;
    memcpy(block, &bytes, sizeof bytes);
    m->now += bytes;
    m->blocks++;
    if (m->now > m->peak)
        m->peak = m->now;
    return block + BLOCK_HEAD;
}

static inline void memory_release(void *user, void *block)
{
    memory *const m = user;
    size_t bytes = 0;
    memcpy(&bytes, (unsigned char *)block - BLOCK_HEAD, sizeof bytes);
    m->now -= bytes;
    m->blocks--;
    free((unsigned char *)block - BLOCK_HEAD);
}

/* A context whose memory is counted in *m. */
static inline lstm_context *counted_context(memory *m)
{
    *m = (memory){.allowed = -1};
    lstm_context *context = NULL;
    const lstm_context_options options = {.struct_size = sizeof options,
                                          .allocate = memory_allocate,
                                          .release = memory_release,
                                          .allocator_user = m};
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    return context;
}

/* ---- Files ---- */

static inline void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* The bytes of a file in a block of exactly its size. */
static inline unsigned char *read_file(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *const bytes = malloc(*size ? *size : 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static inline bool file_holds(const char *path, const char *text)
{
    size_t size = 0;
    unsigned char *const bytes = read_file(path, &size);
    const bool same = size == strlen(text) && memcmp(bytes, text, size) == 0;
    free(bytes);
    return same;
}

/* ---- Bytes ---- */

typedef struct bytes {
    unsigned char data[4096];
    size_t size;
} bytes;

static inline void add_bytes(bytes *b, const void *source, size_t count)
{
    assert_true(b->size + count <= sizeof b->data);
    memcpy(b->data + b->size, source, count);
    b->size += count;
}

/* A little-endian number. */
static inline void add_number(bytes *b, size_t count, uint64_t value)
{
    for (size_t k = 0; k < count; k++, value >>= 8) {
        const unsigned char byte = (unsigned char)(value & 255);
        add_bytes(b, &byte, 1);
    }
}

static inline void add_text(bytes *b, const char *text)
{
    add_bytes(b, text, strlen(text));
}

/* ---- Messages ---- */

/* The status, and that the error text holds a part. */
#define assert_fails(call, expected, part)                                                        \
    do {                                                                                          \
        const lstm_status got_ = (call);                                                          \
        if (got_ != (expected) || !strstr(lstm_last_error(), part))                               \
            fail_msg("got %s \"%s\"; expected %s with \"%s\"", lstm_status_name(got_),            \
                     got_ == LSTM_OK ? "" : lstm_last_error(), lstm_status_name(expected), part); \
    } while (0)
#define assert_works(call)                                                 \
    do {                                                                   \
        const lstm_status got_ = (call);                                   \
        if (got_ != LSTM_OK)                                               \
            fail_msg("%s: %s", lstm_status_name(got_), lstm_last_error()); \
    } while (0)

/* ---- The shared folder ---- */

/* Its path, or NULL after saying that it is not there. */
static inline const char *shared_folder(void)
{
    const char *path = getenv("LSTM_SHARED");
    if (!path)
        path = LSTM_SHARED_DIR;
    struct stat information;
    if (stat(path, &information) == 0)
        return path;
    printf("skipped: ../shared is absent\n");
    return NULL;
}

#endif
