/* SPDX-License-Identifier: MIT
 *
 * The instruction level that this run of the tests got is the one it asked for by LSTM_MAX_ISA, or,
 * without it, one that the processor has. The presets level-* run all tests once a level; this test
 * makes sure that they do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lstm/lstm.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static int32_t level_of_new_context(int32_t max_isa)
{
    lstm_context *context = NULL;
    const lstm_context_options options = {sizeof options, .max_isa = max_isa};
    assert_int_equal(lstm_context_create(&context, &options), LSTM_OK);
    const int32_t level = lstm_context_isa(context);
    lstm_context_destroy(context);
    return level;
}

/* Whether Linux lists a flag of the first processor. */
static int processor_has(const char *flag)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL)
        return 0;
    char *line = NULL;
    size_t capacity = 0;
    int found = 0;
    while (!found && getline(&line, &capacity, file) > 0) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
            continue;
        for (char *word = strtok(line, " \t\n:"); word != NULL && !found;
             word = strtok(NULL, " \t\n:"))
            found = strcmp(word, flag) == 0;
        break;
    }
    free(line);
    fclose(file);
    return found;
}

static int processor_has_level(int32_t level)
{
    switch (level) {
    case LSTM_ISA_GENERIC:
        return 1;
    case LSTM_ISA_AVX2:
        return processor_has("avx2") && processor_has("fma");
    case LSTM_ISA_AVX512:
        return processor_has("avx512f") && processor_has("avx512bw") && processor_has("avx512dq") &&
               processor_has("avx512vl");
#if defined(__aarch64__)
    case LSTM_ISA_NEON: /* the list of flags is the machine's, even where qemu is the processor */
        return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
#endif
    default:
        return 0;
    }
}

static void test_context_uses_the_level_asked_for_by_the_environment(void **state)
{
    (void)state;
    const char *asked_name = getenv("LSTM_MAX_ISA");
    const int32_t level = level_of_new_context(0);
    assert_true(processor_has_level(level));
    if (asked_name == NULL || asked_name[0] == '\0') {
        printf("level %s\n", lstm_constant_name(LSTM_NAMES_ISA, level));
        return;
    }
    int32_t asked = 0;
    assert_int_equal(lstm_constant_from_name(LSTM_NAMES_ISA, asked_name, &asked), LSTM_OK);
    if (!processor_has_level(asked)) {
        printf("skipped: this processor has no %s; the tests ran at level %s\n", asked_name,
               lstm_constant_name(LSTM_NAMES_ISA, level));
        skip();
    }
    printf("level %s, as asked\n", lstm_constant_name(LSTM_NAMES_ISA, level));
    assert_int_equal(level, asked);
}

static void test_option_lowers_the_level_and_never_raises_it(void **state)
{
    (void)state;
    const int32_t level = level_of_new_context(0);
    assert_int_equal(level_of_new_context(LSTM_ISA_GENERIC), LSTM_ISA_GENERIC);
    assert_int_equal(level_of_new_context(level), level);
    if (level != LSTM_ISA_NEON)
        assert_in_range(level_of_new_context(LSTM_ISA_AVX512), LSTM_ISA_GENERIC, level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_uses_the_level_asked_for_by_the_environment),
        cmocka_unit_test(test_option_lowers_the_level_and_never_raises_it),
    };
    return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
