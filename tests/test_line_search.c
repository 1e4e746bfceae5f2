/* SPDX-License-Identifier: MIT
 * The line search: what it finds satisfies the strong Wolfe conditions, near the first trial or far
 * from it, and also where the function is not finite.
 */
#include "line_search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct problem {
    double (*f)(double t);
    double (*slope)(double t);
    double kept[LSTM__LINE_PLACES]; /* the length whose gradient a place holds */
} problem;

static lstm_status evaluate(void *user, double t, int place, double *f, double *slope)
{
    problem *p = user;
    assert_in_range(place, 0, LSTM__LINE_PLACES - 1);
    p->kept[place] = t;
    *f = p->f(t);
    *slope = p->slope(t);
    return LSTM_OK;
}

/* Moré and Thuente 1994, function 1 with beta = 2, and function 2. */
static double first(double t)
{
    return -t / (t * t + 2);
}
static double first_slope(double t)
{
    return (t * t - 2) / ((t * t + 2) * (t * t + 2));
}
static double second(double t)
{
    return pow(t + 0.004, 5) - 2 * pow(t + 0.004, 4);
}
static double second_slope(double t)
{
    return 5 * pow(t + 0.004, 4) - 8 * pow(t + 0.004, 3);
}

/* -log of the distance to a wall at 1, beyond which there is nothing, and a pull towards it. */
static double wall(double t)
{
    return t < 1 ? -3 * t - log(1 - t) : INFINITY;
}
static double wall_slope(double t)
{
    return t < 1 ? -3 + 1 / (1 - t) : 0;
}

static void test_what_is_found_satisfies_the_strong_wolfe_conditions(void **state)
{
    const problem problems[] = {
        {first, first_slope, {0}}, {second, second_slope, {0}}, {wall, wall_slope, {0}}};
    static const double begins[] = {1e-3, 1e-2, 0.1, 0.5, 1, 5, 100};
    (void)state;
    for (size_t k = 0; k < sizeof problems / sizeof *problems; k++)
        for (size_t b = 0; b < sizeof begins / sizeof *begins; b++) {
            problem p = problems[k];
            lstm__line line = {evaluate, &p, 1, 1e-9, 0};
            const lstm__line_point start = {0, p.f(0), p.slope(0), 0};
            lstm__line_point found;
            assert_int_equal(lstm__line_search(&line, start, begins[b], &found), LSTM_OK);
            if (!(found.f <= start.f + 1e-4 * found.t * start.slope) ||
                !(fabs(found.slope) <= 0.9 * fabs(start.slope)))
                fail_msg("function %zu from %g: t %g, f %g, slope %g after %d evaluations", k,
                         begins[b], found.t, found.f, found.slope, line.evaluations);
            assert_true(p.kept[found.place] == found.t);
            assert_true(found.f == p.f(found.t));
            assert_in_range(line.evaluations, 1, 20);
        }
}

static lstm_status refuse(void *user, double t, int place, double *f, double *slope)
{
    (void)user;
    (void)t;
    (void)place;
    (void)f;
    (void)slope;
    return LSTM_ERROR_MEMORY;
}

static void test_an_error_of_the_function_ends_the_search(void **state)
{
    lstm__line line = {refuse, NULL, 1, 1e-9, 0};
    lstm__line_point found;
    (void)state;
    assert_int_equal(lstm__line_search(&line, (lstm__line_point){0, 1, -1, 0}, 1, &found),
                     LSTM_ERROR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found_satisfies_the_strong_wolfe_conditions),
        cmocka_unit_test(test_an_error_of_the_function_ends_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
