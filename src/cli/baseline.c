/* SPDX-License-Identifier: MIT
 *
 * Simple forecasts, errors and significance (baseline.h).
 *
 * Drift: the last value plus h times the mean change of the training part. Seasonal naive: the
 * value of the same season in the last cycle that is known; with drift: plus the change from the
 * last cycle to this one, y(t) - y(t-m). MASE: the mean absolute error over the mean absolute
 * error, in the training part, of repeating the value one season (else one row) before (Hyndman and
 * Koehler, "Another look at measures of forecast accuracy", 2006). Diebold-Mariano (1995): t test
 * on the mean difference of squared errors, with the long-run variance by Newey and West (1987) and
 * the small-sample factor and Student's t of Harvey, Leybourne and Newbold (1997).
 */
#include "baseline.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static method *add_method(method_table *table, const char *name, size_t count, size_t horizon)
{
    if (table->count == METHODS || count > (size_t)-1 / sizeof(double) / (horizon + 1)) {
        return NULL;
    }
    double *const forecast = malloc((count * horizon + 1) * sizeof *forecast);
    if (forecast == NULL) {
        return NULL;
    }
    method *const added = &table->items[table->count++];
    memset(added, 0, sizeof *added);
    added->name = name;
    added->forecast = forecast;
    added->p = NAN;
    table->origins = count;
    table->horizon = horizon;
    return added;
}

lstm_status baseline_simple(method_table *table, const recipe *of, const double *y,
                            const size_t *origins, size_t count, size_t train_rows)
{
    const size_t horizon = of->horizon;
    const size_t m = of->season;
    const double slope = (y[train_rows - 1] - y[0]) / (double)(train_rows - 1);
    method *const last = add_method(table, METHOD_LAST, count, horizon);
    method *const drift = add_method(table, METHOD_DRIFT, count, horizon);
    const int seasonal = m > 0 && count > 0 && origins[0] >= m;
    method *const naive = seasonal ? add_method(table, METHOD_SEASONAL, count, horizon) : NULL;
    method *const moved = seasonal ? add_method(table, METHOD_SEASONAL_DRIFT, count, horizon)
                                   : NULL;
    if (last == NULL || drift == NULL || (seasonal && (naive == NULL || moved == NULL))) {
        return LSTM_ERROR_MEMORY;
    }
    table->season = m;
    if (seasonal) {
        (void)snprintf(naive->detail, sizeof naive->detail, "season of %zu rows", m);
        (void)snprintf(moved->detail, sizeof moved->detail, "plus the change over the last season");
    }
    for (size_t n = 0; n < count; n++) {
        const size_t t = origins[n];
        for (size_t h = 1; h <= horizon; h++) {
            const size_t at = n * horizon + h - 1;
            last->forecast[at] = y[t];
            drift->forecast[at] = y[t] + (double)h * slope;
            if (seasonal) {
                const size_t k = (h + m - 1) / m;
                naive->forecast[at] = y[t + h - k * m];
                moved->forecast[at] = y[t + h - k * m] + (double)k * (y[t] - y[t - m]);
            }
        }
    }
    return LSTM_OK;
}

/* ---- Linear autoregression */

/* Write a 1 and the latest `lags` rows of the scaled windows of some origins as rows of x. */
static lstm_status linear_rows(const recipe *of, const double *matrix, const size_t *origins,
                               size_t count, size_t lags, double *x)
{
    const size_t features = recipe_features(of);
    const size_t width = of->window * features;
    const size_t columns = 1 + lags * features;
    float *const window = malloc(width * sizeof *window);
    if (window == NULL) {
        return LSTM_ERROR_MEMORY;
    }
    for (size_t n = 0; n < count; n++) {
        transform_windows(of, matrix, &origins[n], 1, window);
        const float *const from = window + (of->window - lags) * features;
        x[n * columns] = 1.0;
        for (size_t k = 0; k < lags * features; k++) {
            x[n * columns + 1 + k] = (double)from[k];
        }
    }
    free(window);
    return LSTM_OK;
}

#define LINEAR_ROWS 20000 /* more rows do not change 400 coefficients much, but take time */
#define LINEAR_COLUMNS 400

static lstm_status linear_fit(double **coefficients, size_t *lags, const recipe *of,
                              lstm_context *context, const double *matrix, const double *y,
                              const size_t *train, size_t train_count)
{
    const size_t features = recipe_features(of);
    const size_t stride = train_count > LINEAR_ROWS ? (train_count + LINEAR_ROWS - 1) / LINEAR_ROWS
                                                    : 1;
    const size_t rows = (train_count + stride - 1) / stride;
    *lags = of->window;
    while (*lags > 1 && (*lags * features > LINEAR_COLUMNS || 5 * (1 + *lags * features) > rows)) {
        --*lags;
    }
    const size_t columns = 1 + *lags * features;
    if (rows < columns) {
        return LSTM_ERROR_ARGUMENT;
    }
    double *const x = malloc(rows * columns * sizeof *x);
    double *const z = malloc(rows * of->horizon * sizeof *z);
    size_t *const origins = malloc(rows * sizeof *origins);
    *coefficients = malloc(columns * of->horizon * sizeof **coefficients);
    lstm_status status = LSTM_ERROR_MEMORY;
    if (x != NULL && z != NULL && origins != NULL && *coefficients != NULL) {
        for (size_t n = 0; n < rows; n++) {
            origins[n] = train[n * stride];
            transform_target(of, y, origins[n], z + n * of->horizon);
        }
        status = linear_rows(of, matrix, origins, rows, *lags, x);
    }
    if (status == LSTM_OK) {
        status = lstm_least_squares(context, x, rows, columns, z, of->horizon, *coefficients);
    }
    free(x);
    free(z);
    free(origins);
    return status;
}

lstm_status baseline_linear(method_table *table, const recipe *of, lstm_context *context,
                            const double *matrix, const double *y, const size_t *train,
                            size_t train_count, const size_t *origins, size_t count)
{
    double *coefficients = NULL;
    size_t lags = 0;
    lstm_status status = linear_fit(&coefficients, &lags, of, context, matrix, y, train,
                                    train_count);
    const size_t columns = 1 + lags * recipe_features(of);
    if (status == LSTM_ERROR_ARGUMENT) {
        return LSTM_OK; /* too few rows for even one lag: there is no such baseline */
    }
    double *const x = malloc((columns + of->horizon) * sizeof *x);
    method *const linear = status == LSTM_OK ? add_method(table, METHOD_LINEAR, count, of->horizon)
                                             : NULL;
    if (x == NULL || linear == NULL) {
        status = status == LSTM_OK ? LSTM_ERROR_MEMORY : status;
        goto out;
    }
    (void)snprintf(linear->detail, sizeof linear->detail, "%zu lags, same inputs and transform",
                   lags);
    double *const z = x + columns;
    for (size_t n = 0; n < count && status == LSTM_OK; n++) {
        status = linear_rows(of, matrix, &origins[n], 1, lags, x);
        for (size_t h = 0; h < of->horizon; h++) {
            z[h] = 0.0;
            for (size_t k = 0; k < columns; k++) {
                z[h] += x[k] * coefficients[k * of->horizon + h];
            }
        }
        transform_invert(of, y, origins[n], z, linear->forecast + n * of->horizon);
    }
out:
    free(x);
    free(coefficients);
    return status;
}

/* ---- Errors */

static double mase_scale(const double *y, size_t rows, size_t season)
{
    const size_t m = season > 0 && rows > season ? season : 1;
    double sum = 0.0;
    for (size_t i = m; i < rows; i++) {
        sum += fabs(y[i] - y[i - m]);
    }
    return rows > m ? sum / (double)(rows - m) : 0.0;
}

void baseline_judge(method_table *table, const double *y, const size_t *origins, size_t train_rows,
                    size_t stride)
{
    const double points = (double)(table->origins * table->horizon);
    table->mase_scale = mase_scale(y, train_rows, table->season);
    for (size_t i = 0; i < table->count; i++) {
        method *const m = &table->items[i];
        double squares = 0.0;
        double absolute = 0.0;
        for (size_t n = 0; n < table->origins; n++) {
            for (size_t h = 1; h <= table->horizon; h++) {
                const double error = y[origins[n] + h] - m->forecast[n * table->horizon + h - 1];
                squares += error * error;
                absolute += fabs(error);
            }
        }
        m->rmse = sqrt(squares / points);
        m->mae = absolute / points;
        m->mase = table->mase_scale > 0.0 ? m->mae / table->mase_scale : NAN;
    }
    const method *const last = baseline_find(table, METHOD_LAST);
    for (size_t i = 0; i < table->count; i++) {
        method *const m = &table->items[i];
        m->ratio = last != NULL && last->rmse > 0.0 ? m->rmse / last->rmse : NAN;
        m->versus = m->rmse > 0.0 ? table->items[0].rmse / m->rmse : NAN;
        m->p = i == 0 ? NAN
                      : diebold_mariano(table->items[0].forecast, m->forecast, y, origins,
                                        table->origins, table->horizon, stride);
    }
}

void baseline_release(method_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->items[i].forecast);
    }
    memset(table, 0, sizeof *table);
}

const method *baseline_find(const method_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].name, name) == 0) {
            return &table->items[i];
        }
    }
    return NULL;
}

const method *baseline_best(const method_table *table)
{
    const method *best = NULL;
    for (size_t i = 1; i < table->count; i++) {
        if (best == NULL || table->items[i].rmse < best->rmse) {
            best = &table->items[i];
        }
    }
    return best;
}

/* ---- Significance */

/* Continued fraction of the regularised incomplete beta function (Lentz's method; DLMF 8.17.22). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0;
    double d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double result = d;
    for (int m = 1; m <= 300; m++) {
        double factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1.0 + factor * d;
        c = 1.0 + factor / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        result *= d * c;
        factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1.0 + factor * d;
        c = 1.0 + factor / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        const double change = d * c;
        result *= change;
        if (fabs(change - 1.0) < 1e-12) {
            break;
        }
    }
    return result;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0.0 || x >= 1.0) {
        return x <= 0.0 ? 0.0 : 1.0;
    }
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double student_p(double t, double freedom)
{
    return isnan(t) ? NAN : incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
}

double diebold_mariano(const double *a, const double *b, const double *y, const size_t *origins,
                       size_t count, size_t horizon, size_t stride)
{
    double *const d = malloc((count + 1) * sizeof *d);
    if (d == NULL || count < 4) {
        free(d);
        return NAN;
    }
    double mean = 0.0;
    for (size_t n = 0; n < count; n++) {
        d[n] = 0.0;
        for (size_t h = 1; h <= horizon; h++) {
            const double first = y[origins[n] + h] - a[n * horizon + h - 1];
            const double second = y[origins[n] + h] - b[n * horizon + h - 1];
            d[n] += (first * first - second * second) / (double)horizon;
        }
        mean += d[n] / (double)count;
    }
    /* Neighbouring origins share horizon - 1 targets. */
    const size_t overlap = (horizon - 1 + stride - 1) / stride;
    size_t lags = (size_t)floor(cbrt((double)count));
    lags = overlap > lags ? overlap : lags;
    lags = lags > count / 2 ? count / 2 : lags;
    double variance = 0.0;
    for (size_t lag = 0; lag <= lags; lag++) {
        double sum = 0.0;
        for (size_t n = lag; n < count; n++) {
            sum += (d[n] - mean) * (d[n - lag] - mean);
        }
        variance += (lag == 0 ? 1.0 : 2.0 * (1.0 - (double)lag / (double)(lags + 1))) * sum /
                    (double)count;
    }
    free(d);
    if (!(variance > 0.0)) {
        return mean == 0.0 ? 1.0 : NAN;
    }
    if (count < 2 * (overlap + 1)) {
        return NAN; /* hardly two forecasts that do not overlap */
    }
    const double n = (double)count;
    const double steps = (double)(overlap + 1);
    const double correction = (n + 1.0 - 2.0 * steps + steps * (steps - 1.0) / n) / n;
    return student_p(mean / sqrt(variance / n) * sqrt(fmax(correction, 0.0)), n - 1.0);
}

/* ---- The verdict */

/* Whether every method stands within a few percent of the last value: nothing in the past tells the
 * future. */
static int unpredictable(const method_table *table, const recipe *of)
{
    double best = INFINITY;
    for (size_t i = 0; i < table->count; i++) {
        best = fmin(best, table->items[i].ratio);
    }
    return of->target != TRANSFORM_LEVEL && best > 0.98;
}

static const char *p_text(double p, char *text, size_t size)
{
    if (isnan(p)) {
        (void)snprintf(text, size, "not testable");
    } else if (p < 0.001) {
        (void)snprintf(text, size, "p < 0.001");
    } else {
        (void)snprintf(text, size, "p = %.*f", p < 0.1 ? 3 : 2, p);
    }
    return text;
}

static void verdict_against_last(const method_table *table, const recipe *of, const char *what,
                                 char *text, size_t size)
{
    const method *const network = &table->items[0];
    const method *const last = baseline_find(table, METHOD_LAST);
    char p[32];
    (void)p_text(last->p, p, sizeof p);
    const char *const closing =
        unpredictable(table, of)
            ? ": series like this one are close to unpredictable from their own past"
            : "";
    if (isnan(last->p) && network->ratio < 1.0) {
        (void)snprintf(text, size,
                       "The network's error is %.2g %% below repeating the last value of %s (RMSE "
                       "ratio %.4f), in %zu test "
                       "forecasts: too few to tell whether that is chance.",
                       100.0 * (1.0 - network->ratio), what, network->ratio, table->origins);
    } else if (network->ratio >= 1.0) {
        (void)snprintf(
            text, size,
            "The network does not beat repeating the last value of %s (RMSE ratio %.4f)%s.", what,
            network->ratio, closing);
    } else if (!(last->p < 0.05)) {
        (void)snprintf(
            text, size,
            "The network's error is %.2g %% below repeating the last value of %s (RMSE ratio "
            "%.4f), but a "
            "difference of this size can be chance (Diebold-Mariano %s): treat it as no better%s.",
            100.0 * (1.0 - network->ratio), what, network->ratio, p, closing);
    } else {
        (void)snprintf(text, size,
                       "The network beats repeating the last value of %s: its error is %.*f %% "
                       "smaller (RMSE ratio %.4f, "
                       "Diebold-Mariano %s).",
                       what, network->ratio > 0.9 ? 1 : 0, 100.0 * (1.0 - network->ratio),
                       network->ratio, p);
    }
}

void baseline_verdict(const method_table *table, const recipe *of, const char *what, char *text,
                      size_t size)
{
    verdict_against_last(table, of, what, text, size);
    const method *const best = baseline_best(table);
    const size_t used = strlen(text);
    if (best == NULL || strcmp(best->name, METHOD_LAST) == 0 || used + 1 >= size) {
        return;
    }
    const int chance = !(best->p < 0.05);
    char p[32];
    (void)p_text(best->p, p, sizeof p);
    char *const more = text + used;
    const size_t room = size - used;
    if (isnan(best->p)) {
        (void)snprintf(more, room, " The best simple method is %s (ratio %.4f).", best->name,
                       best->ratio);
    } else if (best->versus > 1.0 && chance) {
        (void)snprintf(more, room, " The best simple method, %s, is as good (ratio %.4f, %s).",
                       best->name, best->ratio, p);
    } else if (best->versus > 1.0) {
        (void)snprintf(more, room, " Use %s instead: its error is smaller still (ratio %.4f, %s).",
                       best->name, best->ratio, p);
    } else if (chance) {
        (void)snprintf(more, room,
                       " Against the best simple method, %s (ratio %.4f), the difference is within "
                       "chance (%s).",
                       best->name, best->ratio, p);
    } else {
        (void)snprintf(more, room, " It also beats the best simple method, %s, by %.*f %% (%s).",
                       best->name, best->versus > 0.9 ? 1 : 0, 100.0 * (1.0 - best->versus), p);
    }
}
