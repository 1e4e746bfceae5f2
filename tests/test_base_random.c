/* SPDX-License-Identifier: MIT
 *
 * Philox against its authors' known answers (Random123, kat_vectors), and the numbers made from it.
 */
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, index;
        uint32_t answer[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x0370734413198a2e,
         0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        uint32_t words[4];
        lstm__random_block(known[k].seed, known[k].stream, known[k].index, words);
        assert_memory_equal(words, known[k].answer, sizeof words);
    }
}

static void test_uniform_numbers_have_the_right_moments(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    double sum = 0, squares = 0;
    for (uint64_t k = 0; k < COUNT; k++) {
        const double u = lstm__random_uniform(1, 2, k);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / COUNT - 0.5) < 0.003);
    assert_true(fabs(squares / COUNT - 1.0 / 3) < 0.003);
}

static void test_normal_numbers_have_the_right_moments(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    double moment[5] = {0};
    size_t beyond = 0;
    for (uint64_t k = 0; k < COUNT; k++) {
        const double z = lstm__random_normal(1, 2, k);
        assert_true(isfinite(z));
        beyond += fabs(z) > 2;
        for (int power = 1; power <= 4; power++)
            moment[power] += pow(z, power) / COUNT;
    }
    assert_true(fabs(moment[1]) < 0.01);
    assert_true(fabs(moment[2] - 1) < 0.015);
    assert_true(fabs(moment[3]) < 0.04);
    assert_true(fabs(moment[4] - 3) < 0.1);
    assert_true(fabs((double)beyond / COUNT - 0.0455) < 0.002);
}

static void test_numbers_depend_on_seed_stream_and_index(void **state)
{
    (void)state;
    const double u = lstm__random_uniform(1, 2, 3);
    assert_true(u == lstm__random_uniform(1, 2, 3));
    assert_true(u != lstm__random_uniform(2, 2, 3));
    assert_true(u != lstm__random_uniform(1, 3, 3));
    assert_true(u != lstm__random_uniform(1, 2, 4));
}

static void test_streams_differ_and_are_not_symmetric(void **state)
{
    (void)state;
    enum { SIDE = 40 };
    static uint64_t streams[SIDE * SIDE];
    for (uint64_t a = 0; a < SIDE; a++)
        for (uint64_t b = 0; b < SIDE; b++) {
            const size_t place = a * SIDE + b;
            streams[place] = lstm__random_stream(a, b);
            for (size_t k = 0; k < place; k++)
                assert_true(streams[k] != streams[place]);
        }
}

static void test_integers_below_a_bound_are_even(void **state)
{
    (void)state;
    size_t counts[7] = {0};
    for (uint64_t k = 0; k < 70000; k++)
        counts[lstm__random_below(5, 6, k, 7)]++;
    for (size_t k = 0; k < 7; k++)
        assert_in_range(counts[k], 9600, 10400);
    assert_int_equal(lstm__random_below(5, 6, 7, 1), 0);
    /* of a bound of 3/4 of the range every fourth draw is rejected; else the first third would come
     * up half the time */
    const uint64_t third = UINT64_C(1) << 62;
    size_t in_first = 0;
    for (uint64_t k = 0; k < 30000; k++) {
        const uint64_t x = lstm__random_below(5, 6, k, 3 * third);
        assert_true(x < 3 * third);
        in_first += x < third;
    }
    assert_in_range(in_first, 9700, 10300);
}

static void test_permutation_holds_each_number_once(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static uint64_t order[COUNT], again[COUNT];
    static int seen[COUNT];
    lstm__random_permutation(1, 2, order, COUNT);
    lstm__random_permutation(1, 2, again, COUNT);
    assert_memory_equal(order, again, sizeof order);
    size_t fixed = 0;
    for (size_t k = 0; k < COUNT; k++) {
        assert_true(order[k] < COUNT);
        assert_int_equal(seen[order[k]]++, 0);
        fixed += order[k] == k;
    }
    assert_true(fixed < 10);
    lstm__random_permutation(1, 3, again, COUNT);
    assert_memory_not_equal(order, again, sizeof order);
    lstm__random_permutation(1, 2, order, 0);
    lstm__random_permutation(1, 2, order, 1);
    assert_int_equal(order[0], 0);
}

static void test_permutations_of_three_are_equally_frequent(void **state)
{
    (void)state;
    size_t counts[27] = {0};
    for (uint64_t stream = 0; stream < 60000; stream++) {
        uint64_t order[3];
        lstm__random_permutation(9, stream, order, 3);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    size_t kinds = 0;
    for (size_t k = 0; k < 27; k++)
        if (counts[k]) {
            kinds++;
            assert_in_range(counts[k], 9600, 10400);
        }
    assert_int_equal(kinds, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_gives_the_published_answers),
        cmocka_unit_test(test_uniform_numbers_have_the_right_moments),
        cmocka_unit_test(test_normal_numbers_have_the_right_moments),
        cmocka_unit_test(test_numbers_depend_on_seed_stream_and_index),
        cmocka_unit_test(test_streams_differ_and_are_not_symmetric),
        cmocka_unit_test(test_integers_below_a_bound_are_even),
        cmocka_unit_test(test_permutation_holds_each_number_once),
        cmocka_unit_test(test_permutations_of_three_are_equally_frequent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
