/* SPDX-License-Identifier: MIT
 *
 * The parts of `lstm tune` that are plain arithmetic: who trains how long, and how much a parameter
 * matters.
 */
#include "tune.h"

#include "api_checks.h"
#include <math.h>

/* Li et al. 2018 (Hyperband, JMLR 18-185), Table 1: R = 81, eta = 3: brackets s = 4 … 0. */
static void test_hyperband_has_the_brackets_of_the_paper(void **state)
{
    static const size_t trials[] = {81, 34, 15, 8, 5};
    static const int64_t first[] = {1, 3, 9, 27, 81};
    search_plan plan;
    (void)state;
    plan_make(&plan, METHOD_HYPERBAND, 0, 81, 1, 3);
    assert_int_equal(plan.count, 5);
    size_t total = 0;
    for (size_t k = 0; k < plan.count; k++) {
        assert_int_equal(plan.brackets[k].count, trials[k]);
        assert_int_equal(plan.brackets[k].rungs, 5 - (int)k);
        assert_int_equal(plan.brackets[k].epochs[0], first[k]);
        assert_int_equal(plan.brackets[k].epochs[4 - k], 81);
        assert_int_equal(plan.brackets[k].first, total);
        total += trials[k];
    }
    assert_int_equal(plan.trials, total);
}

static void test_halving_ends_with_one_trial_and_respects_the_least_epochs(void **state)
{
    search_plan plan;
    (void)state;
    plan_make(&plan, METHOD_HALVING, 27, 100, 1, 3);
    assert_int_equal(plan.brackets[0].rungs, 4);
    assert_int_equal(plan.brackets[0].epochs[0], 4); /* 100 / 27 */
    assert_int_equal(plan.brackets[0].epochs[3], 100);
    plan_make(&plan, METHOD_HALVING, 27, 100, 20, 3);
    assert_int_equal(plan.brackets[0].rungs, 2);
    assert_int_equal(plan.brackets[0].epochs[0], 33);
    plan_make(&plan, METHOD_HALVING, 27, 2, 1, 3); /* no room for rungs */
    assert_int_equal(plan.brackets[0].rungs, 1);
    plan_make(&plan, METHOD_RANDOM, 27, 100, 1, 3);
    assert_int_equal(plan.brackets[0].rungs, 1);
    assert_int_equal(plan.brackets[0].epochs[0], 100);
}

static json_t *no_values(const tune *t, int64_t number)
{
    (void)t;
    (void)number;
    return json_object();
}

static void give(trial *which, double value)
{
    json_array_append_new(which->results, isnan(value) ? json_pack("{s:n}", "val_loss")
                                                       : json_pack("{s:f}", "val_loss", value));
}

static void test_the_best_go_on_once_all_of_a_rung_have_a_result(void **state)
{
    search_plan plan;
    tune t = {.objective = "val_loss"};
    int64_t epochs = 0;
    (void)state;
    plan_make(&plan, METHOD_HALVING, 9, 9, 1, 3);
    assert_int_equal(trials_make(&t, 9, no_values), 0);
    for (ptrdiff_t k = 0; k < 9; k++) {
        assert_int_equal(plan_next(&t, &plan, &epochs), k);
        assert_int_equal(epochs, 1);
        t.trials[k].running = 1;
    }
    assert_int_equal(plan_next(&t, &plan, &epochs), -1);
    for (size_t k = 0; k < 9; k++) {
        if (k != 4) {
            give(&t.trials[k], 10 - (double)k); /* 8, then 7, then 6 are best */
            t.trials[k].running = 0;
        }
    }
    assert_int_equal(plan_next(&t, &plan, &epochs), -1); /* trial 4 may still win */
    t.trials[4].running = 0;
    t.trials[4].error = strdup("failed");
    assert_int_equal(plan_next(&t, &plan, &epochs), 8);
    assert_int_equal(epochs, 3);
    give(&t.trials[8], 5);
    assert_int_equal(plan_next(&t, &plan, &epochs), 7);
    give(&t.trials[7], NAN); /* loses against any number */
    assert_int_equal(plan_next(&t, &plan, &epochs), 6);
    give(&t.trials[6], 4);
    assert_int_equal(plan_next(&t, &plan, &epochs), 6);
    assert_int_equal(epochs, 9);
    give(&t.trials[6], 3);
    assert_int_equal(plan_next(&t, &plan, &epochs), -1);
    t.maximise = 1;
    assert_true(trial_score(&t, &t.trials[6], 0) == -4);
    trials_release(&t);
}

/* Expected: (F - 1)(g - 1) / ((F - 1)(g - 1) + N) with F of a one-way analysis of variance of the
 * ranks, computed with NumPy. */
static void test_the_share_of_a_parameter_is_omega_squared_of_the_ranks(void **state)
{
    static const double y[] = {.5, .3, .9, .2, .8, .7, .1, .4, .6, 1.5, 1.2, 1.1};
    static const double classes[] = {0, 0, 1, 0, 1, 1, 0, 0, 1, 2, 2, 2};
    static const double x[] = {3, 1, 4, 1.5, 9, 2, 6, 5, 3.5, 8, 9.7, 9.3};
    static const double same[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    (void)state;
    assert_true(fabs(effect_share(classes, y, 12, 4) - 0.843558282208589) < 1e-12);
    assert_true(fabs(effect_share(x, y, 12, 3) - 0.4867980661956117) < 1e-12);
    assert_true(isnan(effect_share(same, y, 12, 4)));
    assert_true(isnan(effect_share(x, y, 2, 4)));
}

static void test_medians_follow_the_points(void **state)
{
    static const double x[] = {4, 1, 2, 3, 5, 6, 8, 7};
    static const double y[] = {40, 10, 20, 30, 50, 60, 80, 70};
    double places[4];
    double medians[4];
    (void)state;
    assert_int_equal(effect_medians(x, y, 8, places, medians, 4), 4);
    for (size_t k = 0; k < 4; k++) {
        assert_true(places[k] == 1.5 + 2 * (double)k);
        assert_true(medians[k] == 10 * places[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hyperband_has_the_brackets_of_the_paper),
        cmocka_unit_test(test_halving_ends_with_one_trial_and_respects_the_least_epochs),
        cmocka_unit_test(test_the_best_go_on_once_all_of_a_rung_have_a_result),
        cmocka_unit_test(test_the_share_of_a_parameter_is_omega_squared_of_the_ranks),
        cmocka_unit_test(test_medians_follow_the_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
