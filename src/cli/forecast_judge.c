/* SPDX-License-Identifier: MIT
 *
 * How good the forecasts are, and what comes next (forecast.h).
 *
 * Intervals: for each step ahead the residuals of the validation part (v = forecast + residual, in
 * logs where the transform has them) are sorted, and their quantiles at rank (n + 1) q, rounded
 * outwards, are added to the forecast: the split conformal interval (Vovk, Gammerman and Shafer,
 * "Algorithmic learning in a random world", 2005), each side on its own, so that it is not centred
 * on the forecast unless the residuals are; of few residuals only the size is used. How many test
 * points it really covers is counted and reported. Where large changes follow large changes
 * (volatility clustering), residuals are first divided by the spread of the window before them, and
 * the interval is as much wider or narrower as the latest window is (normalised conformal
 * prediction: Papadopoulos, Gammerman and Vovk 2008).
 */
#define _POSIX_C_SOURCE 200809L
#include "forecast.h"
#include "messages.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantile at rank (n + 1) q, rounded away from the middle. */
static double outer_quantile(const double *sorted, size_t count, double q)
{
    const double rank = (double)(count + 1) * q;
    double index = q < 0.5 ? floor(rank) - 1.0 : ceil(rank) - 1.0;
    index = fmin(fmax(index, 0.0), (double)(count - 1));
    return sorted[(size_t)index];
}

#define SIGNED_LEAST 100 /* fewer residuals than this say nothing certain about each tail alone */

/* The interval of some residuals, which are sorted here. The forecast itself always lies inside. */
static interval interval_of(double *residuals, size_t count)
{
    if (count >= SIGNED_LEAST) {
        qsort(residuals, count, sizeof *residuals, compare);
        return (interval){fmin(outer_quantile(residuals, count, 0.025), 0.0),
                          fmin(outer_quantile(residuals, count, 0.1), 0.0),
                          fmax(outer_quantile(residuals, count, 0.9), 0.0),
                          fmax(outer_quantile(residuals, count, 0.975), 0.0)};
    }
    for (size_t n = 0; n < count; n++) {
        residuals[n] = fabs(residuals[n]);
    }
    qsort(residuals, count, sizeof *residuals, compare);
    const double reach80 = outer_quantile(residuals, count, 0.8);
    const double reach95 = outer_quantile(residuals, count, 0.95);
    return (interval){-reach95, -reach80, reach80, reach95};
}

/* What one unit of an interval is worth at an origin. */
static double unit_at(const forecast_run *run, size_t origin)
{
    return run->scaled ? fmax(transform_spread(&run->chosen.recipe, run->chosen.matrix, origin),
                              run->spread_floor)
                       : 1.0;
}

/* Do large changes follow large changes? Correlation, over the training part, of the size of z(t,1)
 * with the spread of the window before it (volatility clustering: Engle 1982). */
static double spread_correlation(const attempt *a, const double *y)
{
    const recipe *const r = &a->recipe;
    const double n = (double)a->train.count;
    double sums[5] = {0};
    double *const z = malloc(r->horizon * sizeof *z);
    for (size_t k = 0; k < a->train.count && z != NULL; k++) {
        transform_target(r, y, a->train.origins[k], z);
        const double size = fabs(z[0]);
        const double spread = transform_spread(r, a->matrix, a->train.origins[k]);
        sums[0] += size / n;
        sums[1] += spread / n;
        sums[2] += size * size / n;
        sums[3] += spread * spread / n;
        sums[4] += size * spread / n;
    }
    free(z);
    const double product = (sums[2] - sums[0] * sums[0]) * (sums[3] - sums[1] * sums[1]);
    return product > 0.0 ? (sums[4] - sums[0] * sums[1]) / sqrt(product) : 0.0;
}

/* Decide whether intervals are scaled: where the correlation is neither small nor chance. */
static void choose_scaling(forecast_run *run, double *work)
{
    const attempt *const a = &run->chosen;
    run->spread_correlation = spread_correlation(a, run->series.values[0]);
    run->scaled = a->recipe.window >= 8 && !transform_is_seasonal(a->recipe.target) &&
                  run->spread_correlation > 0.1 &&
                  run->spread_correlation * sqrt((double)a->train.count) > 3.0;
    for (size_t n = 0; n < a->validation.count; n++) {
        work[n] = transform_spread(&a->recipe, a->matrix, a->validation.origins[n]);
    }
    qsort(work, a->validation.count, sizeof *work, compare);
    run->spread_floor = 0.1 * work[a->validation.count / 2];
    run->scaled = run->scaled && run->spread_floor > 0.0;
}

static int find_intervals(forecast_run *run)
{
    const attempt *const a = &run->chosen;
    const recipe *const r = &a->recipe;
    const double *const y = run->series.values[0];
    const size_t count = a->validation.count;
    double *const residuals = malloc(count * sizeof *residuals);
    run->intervals = malloc(r->horizon * sizeof *run->intervals);
    if (residuals == NULL || run->intervals == NULL) {
        free(residuals);
        return message_error(EXIT_WORK, "no memory for the intervals");
    }
    choose_scaling(run, residuals);
    for (size_t h = 0; h < r->horizon; h++) {
        for (size_t n = 0; n < count; n++) {
            const size_t origin = a->validation.origins[n];
            residuals[n] = transform_residual(r, y[origin + h + 1],
                                              a->validation_forecast[n * r->horizon + h]) /
                           unit_at(run, origin);
        }
        run->intervals[h] = interval_of(residuals, count);
    }
    run->residual_count = count;
    free(residuals);
    return EXIT_DONE;
}

static void count_coverage(forecast_run *run)
{
    const attempt *const a = &run->chosen;
    const recipe *const r = &a->recipe;
    const double *const y = run->series.values[0];
    double inside80 = 0.0;
    double inside95 = 0.0;
    for (size_t n = 0; n < a->test.count; n++) {
        const double unit = unit_at(run, a->test.origins[n]);
        for (size_t h = 0; h < r->horizon; h++) {
            const double truth = y[a->test.origins[n] + h + 1];
            const double value = run->table.items[0].forecast[n * r->horizon + h];
            const interval *const band = &run->intervals[h];
            inside80 += truth >= transform_shift(r, value, unit * band->low80) &&
                        truth <= transform_shift(r, value, unit * band->high80);
            inside95 += truth >= transform_shift(r, value, unit * band->low95) &&
                        truth <= transform_shift(r, value, unit * band->high95);
        }
    }
    const double points = (double)(a->test.count * r->horizon);
    run->coverage80 = inside80 / points;
    run->coverage95 = inside95 / points;
}

int forecast_judge(forecast_run *run)
{
    int code = EXIT_DONE;
    attempt *const a = &run->chosen;
    const recipe *const r = &a->recipe;
    const double *const y = run->series.values[0];
    method_table *const table = &run->table;
    const forecast_part *const test = &a->test;
    method *const network = &table->items[table->count];
    memset(network, 0, sizeof *network);
    network->name = METHOD_NETWORK;
    (void)snprintf(network->detail, sizeof network->detail,
                   "window %zu, mean of %zu networks of %lld units", r->window, a->member_count,
                   (long long)run->settings->units);
    network->forecast = malloc(test->count * r->horizon * sizeof(double));
    if (network->forecast == NULL) {
        return message_error(EXIT_WORK, "no memory for the test forecasts");
    }
    table->count = 1;
    NEED(forecast_predict(a, y, test->origins, test->count, network->forecast));
    CHECK(baseline_simple(table, r, y, test->origins, test->count, a->train.end_row), "baselines");
    CHECK(baseline_linear(table, r, run->context, a->matrix, y, a->train.origins, a->train.count,
                          test->origins, test->count),
          "linear autoregression");
    baseline_judge(table, y, test->origins, a->train.end_row, test->stride);
    NEED(find_intervals(run));
    count_coverage(run);
    baseline_verdict(table, r, run->series.names[0], run->verdict, sizeof run->verdict);
out:
    return code;
}

int forecast_look_ahead(forecast_run *run)
{
    const attempt *const a = &run->chosen;
    const recipe *const r = &a->recipe;
    const series *const data = &run->series;
    forecast_ahead *const out = &run->ahead;
    const size_t horizon = r->horizon;
    out->memory = malloc(6 * horizon * sizeof(double));
    if (out->memory == NULL) {
        return message_error(EXIT_WORK, "no memory for the forecast");
    }
    out->count = horizon;
    out->times = out->memory;
    out->value = out->memory + horizon;
    out->low80 = out->memory + 2 * horizon;
    out->high80 = out->memory + 3 * horizon;
    out->low95 = out->memory + 4 * horizon;
    out->high95 = out->memory + 5 * horizon;
    const size_t origin = data->rows - 1;
    const int code = forecast_predict(a, data->values[0], &origin, 1, out->value);
    if (code != EXIT_DONE) {
        return code;
    }
    const double now = series_time(data, origin);
    const double unit = unit_at(run, origin);
    for (size_t h = 0; h < horizon; h++) {
        const interval *const band = &run->intervals[h];
        out->times[h] = spacing_next(&data->spacing, now, (int64_t)h + 1);
        out->low80[h] = transform_shift(r, out->value[h], unit * band->low80);
        out->high80[h] = transform_shift(r, out->value[h], unit * band->high80);
        out->low95[h] = transform_shift(r, out->value[h], unit * band->low95);
        out->high95[h] = transform_shift(r, out->value[h], unit * band->high95);
        if (!isfinite(out->value[h])) {
            return message_error(EXIT_WORK, "the forecast is no finite number (step %zu)", h + 1);
        }
    }
    return EXIT_DONE;
}

void forecast_release(forecast_run *run)
{
    attempt_release(&run->chosen);
    baseline_release(&run->table);
    free(run->intervals);
    free(run->ahead.memory);
    free(run->saved);
    series_release(&run->series);
    run->intervals = NULL;
    run->ahead.memory = NULL;
    run->saved = NULL;
}
