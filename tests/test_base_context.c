/* SPDX-License-Identifier: MIT
 *
 * Contexts: options, allocators that refuse, references, growing arrays, the log; and the checked
 * arithmetic and the arena that memory is measured with.
 */
#include "arena.h"
#include "context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An allocator that counts, refuses from a certain allocation on, and can hand out misaligned
 * blocks. */
typedef struct counter {
    long allocations, live, refuse_from;
    size_t largest_alignment;
    int misalign;
} counter;

static void *counted_allocate(void *user, size_t bytes, size_t alignment)
{
    counter *const c = user;
    if (c->allocations++ >= c->refuse_from)
        return NULL;
    if (alignment > c->largest_alignment)
        c->largest_alignment = alignment;
    c->live++;
    unsigned char *const block = aligned_alloc(alignment, bytes + alignment);
    return block && c->misalign ? block + 8 : block;
}

static void counted_release(void *user, void *memory)
{
    counter *const c = user;
    assert_non_null(memory);
    c->live--;
    free(c->misalign ? (unsigned char *)memory - 8 : memory);
}

static lstm_context_options counted(counter *c)
{
    return (lstm_context_options){.struct_size = sizeof(lstm_context_options),
                                  .allocate = counted_allocate,
                                  .release = counted_release,
                                  .allocator_user = c};
}

static void test_null_context_has_every_default(void **state)
{
    (void)state;
    lstm_context *const context = lstm__context_acquire(NULL);
    assert_non_null(context);
    assert_ptr_equal(lstm__context_acquire(NULL), context);
    assert_ptr_equal(lstm__context_acquire(context), context);
    lstm__context_release(context);
    lstm__context_release(context);
    lstm__context_release(context);
    lstm__context_release(context);
    assert_int_equal(lstm_context_threads(NULL), 1);
    assert_int_equal(lstm_context_threads(context), 1);
    assert_int_equal(lstm_context_isa(NULL), lstm__context_isa(context));
    assert_true(lstm_context_isa(NULL) >= LSTM_ISA_GENERIC);
    assert_int_equal(lstm__context_check(context), LSTM_OK);
    lstm__log(context, "nobody hears this");
    lstm_context_destroy(NULL);
}

static void test_create_reads_its_options(void **state)
{
    (void)state;
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, NULL), LSTM_OK);
    assert_int_equal(lstm_context_threads(context), 1);
    lstm_context_destroy(context);
    const lstm_context_options generic = {.struct_size = sizeof generic,
                                          .max_isa = LSTM_ISA_GENERIC};
    assert_int_equal(lstm_context_create(&context, &generic), LSTM_OK);
    assert_int_equal(lstm_context_isa(context), LSTM_ISA_GENERIC);
    lstm_context_destroy(context);
}

static void test_create_rejects_wrong_options(void **state)
{
    (void)state;
    assert_int_equal(lstm_context_create(NULL, NULL), LSTM_ERROR_ARGUMENT);
    const uint32_t size = sizeof(lstm_context_options);
    const lstm_context_options bad[] = {
        {.struct_size = 0},
        {.struct_size = size, .threads = -2},
        {.struct_size = size, .threads = 257},
        {.struct_size = size, .max_isa = -1},
        {.struct_size = size, .max_isa = 5},
        {.struct_size = size, .blas_threads = -1},
        {.struct_size = size, .allocate = counted_allocate},
        {.struct_size = size, .release = counted_release},
    };
    static const char *const named[] = {"struct_size", "threads",      "threads", "max_isa",
                                        "max_isa",     "blas_threads", "release", "allocate"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        lstm_context *context = (lstm_context *)&size;
        assert_int_equal(lstm_context_create(&context, &bad[k]), LSTM_ERROR_ARGUMENT);
        assert_null(context);
        assert_non_null(strstr(lstm_last_error(), named[k]));
    }
    struct {
        lstm_context_options known;
        int64_t unknown;
    } newer = {{.struct_size = sizeof newer}, 1};
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &newer.known), LSTM_ERROR_UNSUPPORTED);
    newer.unknown = 0;
    assert_int_equal(lstm_context_create(&context, &newer.known), LSTM_OK);
    lstm_context_destroy(context);
}

static void test_create_survives_every_refused_allocation(void **state)
{
    (void)state;
    for (long refuse = 0;; refuse++) {
        counter c = {.refuse_from = refuse};
        lstm_context_options options = counted(&c);
        options.threads = 2;
        lstm_context *context = NULL;
        const lstm_status status = lstm_context_create(&context, &options);
        if (status == LSTM_OK) {
            lstm_context_destroy(context);
            assert_int_equal(c.live, 0);
            assert_true(refuse > 1);
            return;
        }
        assert_int_equal(status, LSTM_ERROR_MEMORY);
        assert_null(context);
        assert_int_equal(c.live, 0);
    }
}

static void test_memory_comes_aligned_from_the_callers_allocator(void **state)
{
    (void)state;
    counter c = {.refuse_from = 1000};
    const lstm_context_options options = counted(&c);
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        unsigned char *const memory = lstm__allocate_zeroed(context, sizes[k]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (size_t byte = 0; byte < sizes[k]; byte++)
            assert_int_equal(memory[byte], 0);
        lstm__release(context, memory);
    }
    lstm__release(context, NULL);
    assert_int_equal(c.largest_alignment, 64);
    assert_null(lstm__allocate(context, SIZE_MAX));
    assert_null(lstm__allocate(context, (size_t)PTRDIFF_MAX));
    assert_null(lstm__allocate_array(context, SIZE_MAX / 2, 3));
    lstm_context_destroy(context);
    assert_int_equal(c.live, 0);
}

static void test_misaligned_blocks_count_as_refused(void **state)
{
    (void)state;
    counter c = {.refuse_from = 1000, .misalign = 1};
    const lstm_context_options options = counted(&c);
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_ERROR_MEMORY);
    assert_null(context);
    assert_int_equal(c.live, 0);
}

static void test_context_lives_until_the_last_reference(void **state)
{
    (void)state;
    counter c = {.refuse_from = 1000};
    const lstm_context_options options = counted(&c);
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    assert_ptr_equal(lstm__context_acquire(context), context);
    lstm_context_destroy(context);
    assert_int_equal(c.live, 1);
    assert_int_equal(lstm_context_threads(context), 1);
    lstm__context_release(context);
    assert_int_equal(c.live, 0);
}

static void test_grow_doubles_and_keeps_the_content(void **state)
{
    (void)state;
    counter c = {.refuse_from = 1000};
    const lstm_context_options options = counted(&c);
    lstm_context *context = NULL;
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    int32_t *numbers = NULL;
    size_t capacity = 0;
    for (int32_t k = 0; k < 1000; k++) {
        void *memory = numbers;
        assert_int_equal(lstm__grow(context, &memory, &capacity, (size_t)k + 1, sizeof *numbers),
                         LSTM_OK);
        numbers = memory;
        numbers[k] = k;
    }
    assert_true(c.allocations < 12);
    for (int32_t k = 0; k < 1000; k++)
        assert_int_equal(numbers[k], k);
    void *memory = numbers;
    const size_t before = capacity;
    c.refuse_from = 0;
    assert_int_equal(lstm__grow(context, &memory, &capacity, capacity + 1, sizeof *numbers),
                     LSTM_ERROR_MEMORY);
    assert_int_equal(lstm__grow(context, &memory, &capacity, SIZE_MAX, sizeof *numbers),
                     LSTM_ERROR_MEMORY);
    assert_ptr_equal(memory, numbers);
    assert_int_equal(capacity, before);
    assert_null(lstm__copy_text(context, "text"));
    c.refuse_from = 1000;
    char *const text = lstm__copy_text(context, "text");
    assert_string_equal(text, "text");
    lstm__release(context, text);
    lstm__release(context, numbers);
    lstm_context_destroy(context);
    assert_int_equal(c.live, 0);
}

static void test_memory_failures_name_bytes_and_purpose(void **state)
{
    (void)state;
    assert_int_equal(lstm__fail_memory(12345, "the tape"), LSTM_ERROR_MEMORY);
    assert_non_null(strstr(lstm_last_error(), "12345"));
    assert_non_null(strstr(lstm_last_error(), "the tape"));
}

static void keep_line(void *user, const char *line)
{
    snprintf(user, 100, "%s", line);
}

static void test_log_sends_lines(void **state)
{
    (void)state;
    char line[100] = "";
    const lstm_context_options options = {
        .struct_size = sizeof options, .log = keep_line, .log_user = line};
    lstm_context *context = NULL;
    setenv("LSTM_MAX_ISA", "mmx", 1);
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    unsetenv("LSTM_MAX_ISA");
    assert_non_null(strstr(line, "\"mmx\""));
    lstm__log(context, "%d lines", 3);
    assert_string_equal(line, "3 lines");
    lstm_context_destroy(context);
}

static void test_checked_arithmetic_refuses_overflow(void **state)
{
    (void)state;
    size_t out = 1;
    assert_true(lstm__mul(3, 4, &out) && out == 12);
    assert_false(lstm__mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_int_equal(out, 0);
    assert_true(lstm__add(3, 4, &out) && out == 7);
    assert_false(lstm__add(SIZE_MAX, 1, &out));
    assert_int_equal(out, 0);
    const int64_t shape[3] = {2, 3, 4};
    assert_true(lstm__product(shape, 3, &out) && out == 24);
    assert_true(lstm__product(shape, 0, &out) && out == 1);
    const int64_t negative[2] = {2, -3};
    assert_false(lstm__product(negative, 2, &out));
    const int64_t huge[3] = {INT64_MAX, INT64_MAX, 2};
    assert_false(lstm__product(huge, 3, &out));
    const int64_t empty[2] = {0, INT64_MAX};
    assert_true(lstm__product(empty, 2, &out) && out == 0);
}

static void test_arena_measures_what_it_carves(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 16, 17, 1000};
    lstm__arena measure = {0};
    for (size_t k = 0; k < 5; k++)
        assert_null(lstm__carve(&measure, counts[k], sizeof(float)));
    assert_false(measure.overflow);
    unsigned char *const base = aligned_alloc(64, measure.used);
    assert_non_null(base);
    lstm__arena arena = {.base = base};
    unsigned char *end = base;
    for (size_t k = 0; k < 5; k++) {
        unsigned char *const part = lstm__carve(&arena, counts[k], sizeof(float));
        assert_int_equal((uintptr_t)part % 64, 0);
        assert_true(part >= end);
        end = part + counts[k] * sizeof(float);
    }
    assert_true(end <= base + measure.used);
    assert_int_equal(arena.used, measure.used);
    free(base);
    lstm__carve(&measure, SIZE_MAX, 2);
    assert_true(measure.overflow);
    lstm__arena full = {0};
    lstm__carve(&full, SIZE_MAX - 100, 1);
    assert_true(full.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_context_has_every_default),
        cmocka_unit_test(test_create_reads_its_options),
        cmocka_unit_test(test_create_rejects_wrong_options),
        cmocka_unit_test(test_create_survives_every_refused_allocation),
        cmocka_unit_test(test_memory_comes_aligned_from_the_callers_allocator),
        cmocka_unit_test(test_misaligned_blocks_count_as_refused),
        cmocka_unit_test(test_context_lives_until_the_last_reference),
        cmocka_unit_test(test_grow_doubles_and_keeps_the_content),
        cmocka_unit_test(test_memory_failures_name_bytes_and_purpose),
        cmocka_unit_test(test_log_sends_lines),
        cmocka_unit_test(test_checked_arithmetic_refuses_overflow),
        cmocka_unit_test(test_arena_measures_what_it_carves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
