/* SPDX-License-Identifier: MIT
 *
 * Tests and measures of a series (series_trend.h).
 *
 * Unit root: the augmented Dickey-Fuller regression with a constant,
 *     dy(t) = a + g y(t-1) + sum_k b_k dy(t-k) + e(t),
 * tests g = 0 against g < 0 (Dickey and Fuller 1979, Said and Dickey 1984). The number of lags has
 * the smallest BIC up to 12 (n/100)^(1/4) (Schwert 1989). The critical value is MacKinnon's
 * response surface ("Critical values for cointegration tests", Queen's Economics Department working
 * paper 1227, 2010, table 2, N = 1, constant, 5 %). The t statistic of g comes from the theorem of
 * Frisch, Waugh and Lovell: regress dy(t) and y(t-1) on all other regressors, then one residual on
 * the other.
 *
 * Stationarity: the KPSS statistic with a constant, eta = sum_t S(t)^2 / (n^2 s^2), S the partial
 * sums of the deviations from the mean and s^2 their long-run variance with Bartlett weights up to
 * 12 (n/100)^(1/4) lags (Kwiatkowski, Phillips, Schmidt and Shin, Journal of Econometrics 54, 1992,
 * table 1: 1 % 0.739). The 1 % value is used because the test rejects far too often where a
 * stationary series is strongly autocorrelated (Caner and Kilian 2001), as daily and hourly ones
 * are.
 *
 * Season: the strength of Wang, Smith and Hyndman ("Characteristic-based clustering for time series
 * data", 2006), from a classical decomposition; for long periods the seasonal figure is a sum of
 * three harmonics instead of one mean a place, since means over two or three cycles would fit
 * noise. Above 0.64 a seasonal difference is advised: the rule of nsdiffs in R's forecast package
 * (Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 9.1).
 *
 * Spread against level: Tukey's plot ("Exploratory data analysis", 1977), a slope near 1 asks for
 * logarithms.
 */
#include "series_trend.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEST_ROWS 20000 /* tests look at the latest so many rows: enough to decide, and quick */
#define PI 3.14159265358979323846

static size_t schwert_lags(size_t count)
{
    return (size_t)floor(12.0 * pow((double)count / 100.0, 0.25));
}

/* ---- Augmented Dickey-Fuller */

/* t statistic and BIC with `lags` lagged changes, over the same rows (from first on) for every
 * number of lags. */
static lstm_status dickey_fuller(double *t, double *bic, lstm_context *context, const double *y,
                                 size_t count, size_t first, size_t lags, double *x,
                                 double *targets)
{
    const size_t rows = count - 1 - first;
    const size_t columns = 1 + lags;
    for (size_t r = 0; r < rows; r++) {
        const size_t i = first + r; /* the change from i to i + 1 */
        targets[2 * r] = y[i + 1] - y[i];
        targets[2 * r + 1] = y[i];
        x[r * columns] = 1.0;
        for (size_t k = 1; k <= lags; k++) {
            x[r * columns + k] = y[i + 1 - k] - y[i - k];
        }
    }
    double *const coefficients = malloc(2 * columns * sizeof *coefficients);
    if (coefficients == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    const lstm_status status = lstm_least_squares(context, x, rows, columns, targets, 2,
                                                  coefficients);
    double level_change = 0.0;
    double level_level = 0.0;
    double change_change = 0.0;
    for (size_t r = 0; r < rows && status == LSTM_OK; r++) {
        double change = targets[2 * r];
        double level = targets[2 * r + 1];
        for (size_t k = 0; k < columns; k++) {
            change -= x[r * columns + k] * coefficients[2 * k];
            level -= x[r * columns + k] * coefficients[2 * k + 1];
        }
        level_change += level * change;
        level_level += level * level;
        change_change += change * change;
    }
    free(coefficients);
    if (status != LSTM_OK) {
        return status;
    }
    const double g = level_level > 0.0 ? level_change / level_level : 0.0;
    const double rss = fmax(change_change - g * level_change, 1e-300);
    const double variance = rss / (double)(rows - columns - 1);
    *t = level_level > 0.0 ? g / sqrt(variance / level_level) : 0.0;
    *bic = log(rss / (double)rows) + (double)(columns + 1) * log((double)rows) / (double)rows;
    return LSTM_OK;
}

static lstm_status adf_test(trend_result *out, lstm_context *context, const double *y, size_t count)
{
    size_t most = schwert_lags(count);
    while (most > 0 && count - 1 - most < 2 * most + 8) {
        most--;
    }
    double *const x = malloc((count - 1) * (most + 1) * sizeof *x);
    double *const targets = malloc((count - 1) * 2 * sizeof *targets);
    lstm_status status = x == NULL || targets == NULL ? LSTM_ERROR_MEMORY : LSTM_OK;
    double best = INFINITY;
    for (size_t lags = 0; lags <= most && status == LSTM_OK; lags++) {
        double t = 0.0;
        double bic = 0.0;
        status = dickey_fuller(&t, &bic, context, y, count, most, lags, x, targets);
        if (status == LSTM_OK && bic < best) {
            best = bic;
            out->adf = t;
            out->adf_lags = lags;
        }
    }
    free(x);
    free(targets);
    const double n = (double)(count - 1 - most);
    out->adf_critical = -2.86154 - 2.8903 / n - 4.234 / (n * n) - 40.040 / (n * n * n);
    return status;
}

/* ---- KPSS */

static void kpss_test(trend_result *out, double *deviations, size_t count)
{
    double mean = 0.0;
    for (size_t i = 0; i < count; i++) {
        mean += deviations[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        deviations[i] -= mean;
    }
    const size_t lags = schwert_lags(count) < count - 1 ? schwert_lags(count) : count - 1;
    double variance = 0.0;
    for (size_t lag = 0; lag <= lags; lag++) {
        double sum = 0.0;
        for (size_t i = lag; i < count; i++) {
            sum += deviations[i] * deviations[i - lag];
        }
        const double weight = lag == 0 ? 1.0 : 2.0 * (1.0 - (double)lag / (double)(lags + 1));
        variance += weight * sum / (double)count;
    }
    double partial = 0.0;
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        partial += deviations[i];
        squares += partial * partial;
    }
    out->kpss = variance > 0.0 ? squares / ((double)count * (double)count * variance) : 0.0;
    out->kpss_lags = lags;
    out->kpss_critical = 0.739;
}

lstm_status trend_test(trend_result *out, lstm_context *context, const double *y, size_t count)
{
    memset(out, 0, sizeof *out);
    if (count > TEST_ROWS) {
        y += count - TEST_ROWS;
        count = TEST_ROWS;
    }
    out->rows = count;
    double *const copy = malloc(count * sizeof *copy);
    if (copy == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    memcpy(copy, y, count * sizeof *copy);
    const lstm_status status = adf_test(out, context, y, count);
    kpss_test(out, copy, count);
    free(copy);
    out->stationary = out->adf < out->adf_critical && out->kpss <= out->kpss_critical;
    return status;
}

/* ---- Regressions on harmonics */

/* Replace y by the residuals of y on x. */
static lstm_status residuals(lstm_context *context, double *y, size_t rows, const double *x,
                             size_t columns)
{
    double *const coefficients = malloc(columns * sizeof *coefficients);
    if (coefficients == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    const lstm_status status = lstm_least_squares(context, x, rows, columns, y, 1, coefficients);
    for (size_t r = 0; r < rows && status == LSTM_OK; r++) {
        for (size_t k = 0; k < columns; k++) {
            y[r] -= x[r * columns + k] * coefficients[k];
        }
    }
    free(coefficients);
    return status;
}

lstm_status trend_remove_cycles(lstm_context *context, double *y, size_t count, const double *times,
                                const spacing *by, const cycle *cycles, size_t cycle_count)
{
    const size_t columns = 1 + 2 * cycle_count;
    if (cycle_count == 0 || count < 2 * columns) {
        return LSTM_OK;
    }
    double *const x = calloc(count * columns, sizeof *x);
    if (x == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        x[i * columns] = 1.0;
        for (size_t c = 0; c < cycle_count; c++) {
            const double angle =
                2.0 * PI * cycle_phase(&cycles[c], by, times != NULL ? times[i] : (double)(i + 1));
            x[i * columns + 1 + 2 * c] = sin(angle);
            x[i * columns + 2 + 2 * c] = cos(angle);
        }
    }
    const lstm_status status = residuals(context, y, count, x, columns);
    free(x);
    return status;
}

/* ---- Season */

/* y less its centred moving average over one period; returns the number of values, the first at row
 * *first. */
static size_t detrend(double *out, const double *y, size_t count, size_t period, size_t *first)
{
    const size_t half = period / 2;
    const int even = period % 2 == 0;
    *first = half;
    if (count < 2 * half + 1) {
        return 0;
    }
    for (size_t i = half; i + half < count; i++) {
        double sum = 0.0;
        for (size_t k = i - half; k <= i + half; k++) {
            const int edge = even && (k == i - half || k == i + half);
            sum += edge ? 0.5 * y[k] : y[k];
        }
        out[i - half] = y[i] - sum / (double)period;
    }
    return count - 2 * half;
}

static double variance_of(const double *y, size_t count)
{
    double mean = 0.0;
    for (size_t i = 0; i < count; i++) {
        mean += y[i] / (double)count;
    }
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (y[i] - mean) * (y[i] - mean);
    }
    return sum / (double)count;
}

static lstm_status remove_means(double *y, size_t count, size_t period, size_t first)
{
    double *const sums = calloc(2 * period, sizeof *sums);
    if (sums == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        sums[(first + i) % period] += y[i];
        sums[period + (first + i) % period] += 1.0;
    }
    for (size_t i = 0; i < count; i++) {
        y[i] -= sums[(first + i) % period] / sums[period + (first + i) % period];
    }
    free(sums);
    return LSTM_OK;
}

static lstm_status remove_harmonics(lstm_context *context, double *y, size_t count, size_t period)
{
    const size_t columns = 7;
    double *const x = calloc(count * columns, sizeof *x);
    if (x == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        x[i * columns] = 1.0;
        for (size_t k = 1; k <= 3; k++) {
            const double angle = 2.0 * PI * (double)k * (double)(i % period) / (double)period;
            x[i * columns + 2 * k - 1] = sin(angle);
            x[i * columns + 2 * k] = cos(angle);
        }
    }
    const lstm_status status = residuals(context, y, count, x, columns);
    free(x);
    return status;
}

lstm_status season_strength(double *strength, lstm_context *context, const double *y, size_t count,
                            size_t period)
{
    *strength = 0.0;
    if (count > TEST_ROWS && TEST_ROWS > 4 * period) {
        y += count - TEST_ROWS;
        count = TEST_ROWS;
    }
    if (period < 2 || count < 2 * period + 1) {
        return LSTM_OK;
    }
    double *const work = malloc(count * sizeof *work);
    if (work == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    size_t first = 0;
    const size_t used = detrend(work, y, count, period, &first);
    const double before = variance_of(work, used);
    const lstm_status status = period <= 60 ? remove_means(work, used, period, first)
                                            : remove_harmonics(context, work, used, period);
    if (status == LSTM_OK && before > 0.0) {
        *strength = fmax(0.0, 1.0 - variance_of(work, used) / before);
    }
    free(work);
    return status;
}

void autocorrelation(const double *y, size_t count, size_t lags, double *r)
{
    double mean = 0.0;
    for (size_t i = 0; i < count; i++) {
        mean += y[i] / (double)count;
    }
    double scale = 0.0;
    for (size_t i = 0; i < count; i++) {
        scale += (y[i] - mean) * (y[i] - mean);
    }
    for (size_t lag = 1; lag <= lags; lag++) {
        double sum = 0.0;
        for (size_t i = lag; i < count; i++) {
            sum += (y[i] - mean) * (y[i - lag] - mean);
        }
        r[lag - 1] = scale > 0.0 ? sum / scale : 0.0;
    }
}

/* Where no calendar suggests a period: the highest peak of the autocorrelation of the linearly
 * detrended series behind its first dip below 0. 0 = none. */
static size_t period_by_autocorrelation(lstm_context *context, const double *y, size_t count)
{
    if (count > TEST_ROWS) {
        y += count - TEST_ROWS;
        count = TEST_ROWS;
    }
    const size_t lags = count / 3 < 400 ? count / 3 : 400;
    double *const work = calloc(count * 3 + lags + 1, sizeof *work);
    if (work == NULL || lags < 4) {
        free(work);
        return 0;
    }
    double *const x = work + count;
    double *const r = x + 2 * count;
    memcpy(work, y, count * sizeof *work);
    for (size_t i = 0; i < count; i++) {
        x[2 * i] = 1.0;
        x[2 * i + 1] = (double)i / (double)count;
    }
    size_t best = 0;
    if (residuals(context, work, count, x, 2) == LSTM_OK) {
        autocorrelation(work, count, lags, r);
        size_t lag = 1;
        while (lag <= lags && r[lag - 1] > 0.0) {
            lag++;
        }
        for (; lag + 1 <= lags; lag++) {
            const int peak = lag > 1 && r[lag - 1] > r[lag - 2] && r[lag - 1] >= r[lag];
            if (peak && r[lag - 1] > 0.3 && (best == 0 || r[lag - 1] > r[best - 1] + 0.05)) {
                best = lag;
            }
        }
    }
    free(work);
    return best;
}

lstm_status season_find(cycle cycles[CYCLES], double strengths[CYCLES], size_t *cycle_count,
                        lstm_context *context, const double *y, size_t count, const spacing *by)
{
    cycle candidates[CYCLES];
    size_t candidate_count = spacing_cycles(by, candidates);
    if (candidate_count == 0) {
        const size_t period = period_by_autocorrelation(context, y, count);
        if (period >= 2) {
            candidates[candidate_count++] = (cycle){CYCLE_ROWS, period};
        }
    }
    *cycle_count = 0;
    for (size_t c = 0; c < candidate_count; c++) {
        double strength = 0.0;
        const lstm_status status = season_strength(&strength, context, y, count,
                                                   candidates[c].rows);
        if (status != LSTM_OK) {
            return status;
        }
        if (strength < SEASON_THRESHOLD) {
            continue;
        }
        size_t at = (*cycle_count)++;
        for (; at > 0 && strengths[at - 1] < strength; at--) {
            strengths[at] = strengths[at - 1];
            cycles[at] = cycles[at - 1];
        }
        strengths[at] = strength;
        cycles[at] = candidates[c];
    }
    return LSTM_OK;
}

int spread_slope(const double *y, size_t count, double *slope, double *range)
{
    const size_t block = count / 20 > 10 ? count / 20 : 10;
    double n = 0.0;
    double sums[4] = {0.0, 0.0, 0.0, 0.0}; /* x, y, xx, xy */
    double low = INFINITY;
    double high = 0.0;
    for (size_t first = 0; first + block < count; first += block) {
        double level = 0.0;
        double squares = 0.0;
        double changes = 0.0;
        for (size_t i = first; i < first + block; i++) {
            const double change = y[i + 1] - y[i];
            level += y[i] / (double)block;
            changes += change / (double)block;
            squares += change * change / (double)block;
        }
        const double spread = sqrt(fmax(squares - changes * changes, 0.0));
        low = fmin(low, level);
        high = fmax(high, level);
        if (spread > 0.0) {
            const double lx = log(level);
            const double ly = log(spread);
            n += 1.0;
            sums[0] += lx;
            sums[1] += ly;
            sums[2] += lx * lx;
            sums[3] += lx * ly;
        }
    }
    const double spread_x = n > 0.0 ? sums[2] - sums[0] * sums[0] / n : 0.0;
    if (n < 4.0 || spread_x <= 0.0) {
        return 0;
    }
    *slope = (sums[3] - sums[0] * sums[1] / n) / spread_x;
    *range = high / low;
    return 1;
}
