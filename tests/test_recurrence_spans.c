/* SPDX-License-Identifier: MIT
 *
 * The spans of a recurrence with recomputation, for many shapes and every batch and number of
 * steps that a plan allows: they are whole segments, fill the sequence, and fit with their states
 * into what was planned.
 */
#include "random.h"
#include "tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SEED = 20261124, SHAPES = 300 };

static size_t number(uint64_t shape, uint64_t index, size_t most)
{
    return 1 + (size_t)(lstm__random_uniform(SEED, shape, index) * (double)most);
}

static void check(const lstm__recurrence *r, size_t kept, size_t batch, size_t steps)
{
    const lstm__recurrence_call call = {.batch = batch, .steps = steps};
    const size_t span = lstm__span_steps(r, batch, steps);
    const size_t count = lstm__span_count(r, &call);
    assert_true(span >= 1);
    if (count > 1) {
        assert_int_equal(span % lstm__segment_steps(r, batch), 0);
        assert_true((count + 1) * batch <= kept);
    }
    assert_true(span * batch <= r->tape_rows);
    assert_int_equal(lstm__span_start(r, &call, 0), 0);
    assert_int_equal(lstm__span_start(r, &call, count), steps);
    for (size_t k = 0; k < count; k++) {
        const size_t length = lstm__span_start(r, &call, k + 1) - lstm__span_start(r, &call, k);
        assert_in_range(length, k == 0 ? 1 : span, span);
    }
}

static void test_spans_fit_into_what_was_planned(void **state)
{
    (void)state;
    size_t recomputing = 0;
    print_message("seed %d\n", SEED);
    for (uint64_t shape = 0; shape < SHAPES; shape++) {
        const size_t hidden = number(shape, 0, shape % 2 ? 40 : 1200);
        lstm__recurrence r = {.hidden = hidden,
                              .input = number(shape, 1, 100),
                              .max_batch = number(shape, 2, shape % 3 ? 60 : 3000),
                              .max_steps = number(shape, 3, 400),
                              .training = true,
                              .recompute = true};
        r.padded = (hidden + 15) / 16 * 16;
        r.ld_gates = 4 * r.padded + 16;
        r.ld_rows = hidden + r.input;
        lstm__span_plan(&r);
        recomputing += r.recompute;
        const size_t kept = r.recompute ? lstm__span_kept_rows(&r) : 0;
        for (size_t batch = 1; batch <= r.max_batch; batch++)
            check(&r, kept, batch, r.max_steps);
        for (size_t steps = 1; steps <= r.max_steps; steps += 1 + steps / 20)
            check(&r, kept, number(shape, 4 + steps, r.max_batch - 1), steps);
    }
    assert_in_range(recomputing, SHAPES / 4, SHAPES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_fit_into_what_was_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
