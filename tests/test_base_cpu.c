/* SPDX-License-Identifier: MIT
 *
 * Instruction levels, their limits, and the flush-to-zero scope.
 */
#include "cpu.h"

#include <lstm/lstm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int restore_environment(void **state)
{
    (void)state;
    unsetenv("LSTM_MAX_ISA");
    return 0;
}

static void test_generic_is_always_there_and_nonsense_never(void **state)
{
    (void)state;
    assert_true(lstm__cpu_supports(LSTM_ISA_GENERIC));
    assert_false(lstm__cpu_supports(0));
    assert_false(lstm__cpu_supports(5));
    assert_false(lstm__cpu_supports(-1));
#if defined(__x86_64__)
    assert_false(lstm__cpu_supports(LSTM_ISA_NEON));
    if (lstm__cpu_supports(LSTM_ISA_AVX512))
        assert_true(lstm__cpu_supports(LSTM_ISA_AVX2));
    const int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    assert_int_equal(lstm__cpu_supports(LSTM_ISA_AVX2), has_avx2);
#endif
}

static void test_level_is_the_highest_supported(void **state)
{
    (void)state;
    unsetenv("LSTM_MAX_ISA");
    const int32_t level = lstm__cpu_level(0);
    assert_true(lstm__cpu_supports(level));
    for (int32_t isa = level + 1; isa <= LSTM_ISA_NEON; isa++)
        assert_false(lstm__cpu_supports(isa));
}

static void test_limit_only_lowers(void **state)
{
    (void)state;
    unsetenv("LSTM_MAX_ISA");
    const int32_t highest = lstm__cpu_level(0);
    assert_int_equal(lstm__cpu_level(LSTM_ISA_GENERIC), LSTM_ISA_GENERIC);
#if defined(__x86_64__)
    for (int32_t limit = LSTM_ISA_GENERIC; limit <= LSTM_ISA_AVX512; limit++)
        assert_int_equal(lstm__cpu_level(limit), limit < highest ? limit : highest);
    assert_int_equal(lstm__cpu_level(LSTM_ISA_NEON), highest);
#else
    assert_int_equal(lstm__cpu_level(LSTM_ISA_AVX512), highest);
#endif
}

static void test_environment_lowers_too(void **state)
{
    (void)state;
    unsetenv("LSTM_MAX_ISA");
    const int32_t highest = lstm__cpu_level(0);
    const char *text = NULL;
    assert_int_equal(lstm__cpu_environment_limit(&text), 0);
    assert_null(text);
    setenv("LSTM_MAX_ISA", "GENERIC", 1);
    assert_int_equal(lstm__cpu_level(0), LSTM_ISA_GENERIC);
    assert_int_equal(lstm__cpu_level(highest), LSTM_ISA_GENERIC);
    setenv("LSTM_MAX_ISA", "avx99", 1);
    assert_int_equal(lstm__cpu_level(0), highest);
    assert_int_equal(lstm__cpu_environment_limit(&text), 0);
    assert_string_equal(text, "avx99");
#if defined(__x86_64__)
    setenv("LSTM_MAX_ISA", "avx2", 1);
    assert_int_equal(lstm__cpu_level(0), highest < LSTM_ISA_AVX2 ? highest : LSTM_ISA_AVX2);
    assert_int_equal(lstm__cpu_level(LSTM_ISA_GENERIC), LSTM_ISA_GENERIC);
#endif
}

static void test_denormals_are_flushed_inside_the_scope_only(void **state)
{
    (void)state;
    volatile float small = 1e-38f;
    volatile float tenth = 0.1f;
    volatile float denormal = 1e-40f;
    assert_true(small * tenth != 0);
#if defined(__x86_64__) || defined(__aarch64__)
    const uint64_t outer = lstm__denormals_flush();
    assert_true(small * tenth == 0);
    assert_true(denormal * 10 == 0);
    const uint64_t inner = lstm__denormals_flush();
    assert_true(small * tenth == 0);
    lstm__denormals_restore(inner);
    assert_true(small * tenth == 0);
    lstm__denormals_restore(outer);
#endif
    assert_true(small * tenth != 0);
    assert_true(denormal * 10 != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generic_is_always_there_and_nonsense_never),
        cmocka_unit_test_teardown(test_level_is_the_highest_supported, restore_environment),
        cmocka_unit_test_teardown(test_limit_only_lowers, restore_environment),
        cmocka_unit_test_teardown(test_environment_lowers_too, restore_environment),
        cmocka_unit_test(test_denormals_are_flushed_inside_the_scope_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
