/* SPDX-License-Identifier: MIT
 * Structs that the library writes: as far as the caller's size reaches, zeros in what a newer caller
 * has behind it, nothing else.
 */
#include "api_checks.h"
#include "sample_models.h"

enum { TAIL = 64 };

static lstm_model *model;
static lstm_archive *archive;

static int start(void **state)
{
    static const float values[3] = {1, 2, 3};
    const int64_t shape[1] = {3};
    (void)state;
    assert_ok(build_tutorial(&model, NULL, 3, 2, 3, 2));
    assert_ok(lstm_archive_create(&archive, NULL));
    assert_ok(lstm_archive_add(archive, "a", 1, shape, values, 3));
    return 0;
}

static int end(void **state)
{
    (void)state;
    lstm_archive_destroy(archive);
    lstm_model_destroy(model);
    return 0;
}

static void set_size(unsigned char *bytes, uint32_t size)
{
    memcpy(bytes, &size, sizeof size);
}

typedef lstm_status describe_call(void *info);

static lstm_status describe_parameter(void *info)
{
    return lstm_model_parameter_info(model, 0, info);
}
static lstm_status describe_array(void *info)
{
    return lstm_archive_get(archive, 0, info);
}
static lstm_status find_array(void *info)
{
    return lstm_archive_find(archive, "a", info);
}

static void check_info(describe_call *describe, size_t size)
{
    unsigned char whole[512];
    unsigned char part[512];
    memset(whole, 0xEE, sizeof whole);
    set_size(whole, (uint32_t)size);
    assert_ok(describe(whole));
    for (size_t cut = sizeof(uint32_t); cut <= size + TAIL; cut += 4) {
        memset(part, 0xEE, sizeof part);
        set_size(part, (uint32_t)cut);
        assert_ok(describe(part));
        const size_t shared = cut < size ? cut : size;
        assert_memory_equal(part + 4, whole + 4, shared - 4);
        for (size_t k = size; k < cut; k++)
            assert_int_equal(part[k], 0); /* what this library does not know is zero */
        for (size_t k = cut; k < sizeof part; k++)
            assert_int_equal(part[k], 0xEE);
        uint32_t kept = 0;
        memcpy(&kept, part, sizeof kept);
        assert_int_equal(kept, cut);
    }
    for (uint32_t wrong = 0; wrong <= 3; wrong++) {
        memset(part, 0xEE, sizeof part);
        set_size(part, wrong);
        assert_status(describe(part), LSTM_ERROR_ARGUMENT);
        for (size_t k = 4; k < sizeof part; k++)
            assert_int_equal(part[k], 0xEE);
    }
    assert_status(describe(NULL), LSTM_ERROR_ARGUMENT);
}

static void test_information_structs_are_written_as_far_as_they_reach(void **state)
{
    (void)state;
    check_info(describe_parameter, sizeof(lstm_parameter_info));
    check_info(describe_array, sizeof(lstm_array_info));
    check_info(find_array, sizeof(lstm_array_info));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_information_structs_are_written_as_far_as_they_reach),
    };
    return cmocka_run_group_tests(tests, start, end);
}
