/* SPDX-License-Identifier: MIT
 *
 * Which transform suits a series, and why (transform.h).
 *
 * Order of the questions, all asked of the training part alone:
 *   1. Which seasons are there (season_find)? --season overrides.
 *   2. Is the series, less its seasons, stationary (trend_test)? Then its level can be learned: level.
 *   3. Does the last season, with its change, foretell better than the last value? Then: seasonal.
 *   4. Do changes grow with the level, which is always positive? Then: log-return, or log-seasonal.
 *   5. Else: diff for one step ahead, window-last for more.
 * A network fed with raw levels of a trending series loses to "repeat the last value" by up to
 * thirty times: whatever lies beyond the levels of the training part is foreign to it.
 */
#include "messages.h"
#include "transform.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPREAD_SLOPE 0.5  /* halfway between "not at all" and "in proportion" */
#define SPREAD_RANGE 1.25 /* less variation of the level than this cannot show it */

/* Return the first row whose value is <= 0, or the number of rows. */
static size_t first_not_positive(const double *y, size_t rows)
{
    size_t i = 0;
    while (i < rows && y[i] > 0.0) {
        i++;
    }
    return i;
}

static int no_memory(void)
{
    return message_error(EXIT_WORK, "no memory to examine the series");
}

/* ---- Seasons */

static int find_seasons(recipe *of, transform_choice *choice, lstm_context *context,
                        const series *data, size_t rows, size_t season)
{
    if (season == 0) {
        if (season_find(choice->seasons, choice->strengths, &choice->season_count, context,
                        data->values[0], rows, &of->spacing) != LSTM_OK) {
            return no_memory();
        }
        of->season = choice->season_count > 0 ? choice->seasons[0].rows : 0;
    } else {
        cycle candidates[CYCLES];
        const size_t count = spacing_cycles(&of->spacing, candidates);
        choice->seasons[0] = (cycle){CYCLE_ROWS, season};
        for (size_t c = 0; c < count; c++) {
            if (candidates[c].rows == season) {
                choice->seasons[0] = candidates[c];
            }
        }
        choice->season_count = 1;
        choice->strengths[0] = NAN;
        of->season = season;
    }
    /* Without a time axis nobody knows where in the cycle a new file begins. */
    of->cycle_count = 0;
    for (size_t c = 0; c < choice->season_count; c++) {
        if (of->spacing.kind != SPACING_ROWS) {
            of->cycles[of->cycle_count++] = choice->seasons[c];
        }
    }
    return EXIT_DONE;
}

/* ---- Tests */

static int test_column(trend_result *out, const recipe *of, lstm_context *context,
                       const series *data, size_t column, size_t rows)
{
    double *const copy = malloc(rows * sizeof *copy);
    if (copy == NULL) {
        return no_memory();
    }
    memcpy(copy, data->values[column], rows * sizeof *copy);
    lstm_status status = trend_remove_cycles(context, copy, rows, data->times, &of->spacing,
                                             of->cycles, of->cycle_count);
    if (status == LSTM_OK) {
        status = trend_test(out, context, copy, rows);
    }
    free(copy);
    return status == LSTM_OK ? EXIT_DONE : message_status(status, "testing for a trend");
}

/* Root mean square error of a base over the training part at all horizons. */
static double base_error(transform kind, size_t season, size_t horizon, const double *y,
                         size_t rows, size_t first)
{
    double sum = 0.0;
    size_t count = 0;
    for (size_t t = first; t + horizon < rows; t++) {
        for (size_t h = 1; h <= horizon; h++) {
            const double error = y[t + h] - transform_base(kind, season, y, t, h);
            sum += error * error;
            count++;
        }
    }
    return count > 0 ? sqrt(sum / (double)count) : INFINITY;
}

static int grows_with_level(transform_choice *choice, const double *y, size_t rows)
{
    choice->spread_known = first_not_positive(y, rows) == rows &&
                           spread_slope(y, rows, &choice->spread, &choice->range);
    return choice->spread_known && choice->spread >= SPREAD_SLOPE && choice->range >= SPREAD_RANGE;
}

static size_t say(transform_choice *choice, size_t used, const char *text)
{
    if (used < sizeof choice->reason) {
        (void)snprintf(choice->reason + used, sizeof choice->reason - used, "%s", text);
    }
    return strlen(choice->reason);
}

static size_t say_trend(transform_choice *choice)
{
    const trend_result *const t = &choice->trend;
    const int rejected = t->adf < t->adf_critical;
    const int level = t->kpss <= t->kpss_critical;
    const char *const verdict = t->stationary ? "the level is stable"
                                : rejected
                                    ? "the level shifts (no unit root, but not stationary either)"
                                : level ? "a unit root can't be ruled out"
                                        : "the level wanders or trends";
    char text[400];
    (void)snprintf(text, sizeof text,
                   "%s: ADF %.2f (5 %% below %.2f), KPSS %.3f (1 %% above %.3f)%s", verdict, t->adf,
                   t->adf_critical, t->kpss, t->kpss_critical,
                   choice->season_count > 0 ? ", season removed" : "");
    return say(choice, 0, text);
}

static void choose_target(recipe *of, transform_choice *choice, const series *data, size_t rows)
{
    const double *const y = data->values[0];
    size_t used = say_trend(choice);
    char text[300];
    if (choice->trend.stationary) {
        of->target = TRANSFORM_LEVEL;
        return;
    }
    int logarithm = grows_with_level(choice, y, rows);
    const size_t bad = first_not_positive(y, data->rows);
    const int log_lost = logarithm && bad < data->rows;
    logarithm = logarithm && !log_lost;
    const size_t m = of->season;
    if (m > 0 && rows >= 4 * m + of->horizon) {
        const double repeat = base_error(TRANSFORM_DIFF, 0, of->horizon, y, rows, m);
        const double seasonal = base_error(TRANSFORM_SEASONAL, m, of->horizon, y, rows, m);
        if (seasonal < repeat) {
            of->target = logarithm ? TRANSFORM_LOG_SEASONAL : TRANSFORM_SEASONAL;
            (void)snprintf(text, sizeof text,
                           "; the season (%zu rows) with its last change foretells the training "
                           "part better than the last "
                           "value (RMSE %.4g against %.4g)",
                           m, seasonal, repeat);
            used = say(choice, used, text);
        }
    }
    if (of->target == TRANSFORM_AUTO) {
        of->target = logarithm          ? TRANSFORM_LOG_RETURN
                     : of->horizon == 1 ? TRANSFORM_DIFF
                                        : TRANSFORM_WINDOW_LAST;
    }
    if (logarithm) {
        (void)snprintf(text, sizeof text, "; changes grow with the level (slope %.2f)",
                       choice->spread);
        used = say(choice, used, text);
    } else if (log_lost) {
        char when[64];
        (void)snprintf(
            text, sizeof text,
            "; changes grow with the level, but line %zu (%s) holds %g, which has no logarithm",
            series_line(data, bad), series_time_text(data, bad, when, sizeof when), y[bad]);
        used = say(choice, used, text);
    }
}

/* The other columns: as they are if stationary, else in the manner of the target. */
static int choose_inputs(recipe *of, lstm_context *context, const series *data, size_t rows)
{
    of->inputs[0] = of->target;
    for (size_t c = 1; c < of->column_count; c++) {
        of->inputs[c] = TRANSFORM_LEVEL;
        if (rows < 12) {
            continue;
        }
        trend_result trend;
        const int code = test_column(&trend, of, context, data, c, rows);
        if (code != EXIT_DONE) {
            return code;
        }
        if (trend.stationary) {
            continue;
        }
        const int positive = first_not_positive(data->values[c], data->rows) == data->rows;
        if (of->target == TRANSFORM_WINDOW_LAST) {
            of->inputs[c] = TRANSFORM_WINDOW_LAST;
        } else if (transform_is_log(of->target) && positive) {
            of->inputs[c] = TRANSFORM_LOG_RETURN;
        } else {
            of->inputs[c] = TRANSFORM_DIFF;
        }
    }
    return EXIT_DONE;
}

static int check_asked(const recipe *of, const series *data, transform asked)
{
    if (transform_is_seasonal(asked) && of->season == 0) {
        return message_error(
            EXIT_USE,
            "--transform %s: no season was found in \"%s\"; give its length in rows with "
            "--season",
            transform_names[asked], data->names[0]);
    }
    if (transform_is_log(asked)) {
        const size_t bad = first_not_positive(data->values[0], data->rows);
        if (bad < data->rows) {
            char when[64];
            return message_error(
                EXIT_USE,
                "%s: line %zu (%s), column \"%s\": %g has no logarithm; --transform %s needs "
                "values above 0: use %s, or remove the row",
                data->path, series_line(data, bad), series_time_text(data, bad, when, sizeof when),
                data->names[0], data->values[0][bad], transform_names[asked],
                asked == TRANSFORM_LOG_SEASONAL ? "seasonal" : "diff");
        }
    }
    return EXIT_DONE;
}

int transform_choose(recipe *of, transform_choice *choice, lstm_context *context,
                     const series *data, size_t rows, transform asked, size_t season)
{
    memset(choice, 0, sizeof *choice);
    of->target = asked;
    int code = find_seasons(of, choice, context, data, rows, season);
    if (code == EXIT_DONE) {
        code = check_asked(of, data, asked);
    }
    if (code == EXIT_DONE && rows >= 12) {
        code = test_column(&choice->trend, of, context, data, 0, rows);
        choice->tested = 1;
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (asked != TRANSFORM_AUTO) {
        const size_t used = say(choice, 0, "asked for with --transform");
        if (asked == TRANSFORM_LEVEL && choice->tested && !choice->trend.stationary) {
            (void)say(choice, used,
                      "; the tests find a trend or unit root: expect it to lose to the last value");
        }
    } else if (!choice->tested) {
        of->target = of->horizon == 1 ? TRANSFORM_DIFF : TRANSFORM_WINDOW_LAST;
        (void)say(choice, 0, "too few rows for a test");
    } else {
        choose_target(of, choice, data, rows);
    }
    if (transform_is_seasonal(of->target)) {
        of->cycle_count = 0; /* the difference has removed it */
    }
    return choose_inputs(of, context, data, rows);
}
