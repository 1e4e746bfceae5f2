/* SPDX-License-Identifier: MIT
 *
 * Transforms of a series and their inverses (transform.h).
 *
 * Invariants: nothing here looks beyond the origin when it fills a window or a base; scalers see
 * training origins only.
 */
#include "transform.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

const char *const transform_names[] = {"auto",        "level",    "diff",         "log-return",
                                       "window-last", "seasonal", "log-seasonal", NULL};

int transform_is_log(transform kind)
{
    return kind == TRANSFORM_LOG_RETURN || kind == TRANSFORM_LOG_SEASONAL;
}

int transform_is_seasonal(transform kind)
{
    return kind == TRANSFORM_SEASONAL || kind == TRANSFORM_LOG_SEASONAL;
}

size_t recipe_features(const recipe *of)
{
    return of->column_count + 2 * of->cycle_count;
}

static size_t lead_of(transform kind, size_t season)
{
    switch (kind) {
    case TRANSFORM_DIFF:
    case TRANSFORM_LOG_RETURN:
        return 1;
    case TRANSFORM_SEASONAL:
    case TRANSFORM_LOG_SEASONAL:
        return season + 1;
    case TRANSFORM_LEVEL:
    case TRANSFORM_WINDOW_LAST:
    case TRANSFORM_AUTO:
    default:
        return 0;
    }
}

size_t recipe_lead(const recipe *of)
{
    size_t lead = 0;
    for (size_t c = 0; c < of->column_count; c++) {
        const size_t own = lead_of(of->inputs[c], of->season);
        lead = own > lead ? own : lead;
    }
    return lead;
}

void recipe_release(recipe *of)
{
    free(of->offset);
    free(of->scale);
    free(of->target_offset);
    free(of->target_scale);
    of->offset = NULL;
    of->scale = NULL;
    of->target_offset = NULL;
    of->target_scale = NULL;
}

static double value_of(transform kind, double y)
{
    return transform_is_log(kind) ? log(y) : y;
}

static double input_at(transform kind, size_t season, const double *y, size_t i)
{
    if (i < lead_of(kind, season)) {
        return NAN;
    }
    switch (kind) {
    case TRANSFORM_DIFF:
        return y[i] - y[i - 1];
    case TRANSFORM_LOG_RETURN:
        return log(y[i] / y[i - 1]);
    case TRANSFORM_SEASONAL:
    case TRANSFORM_LOG_SEASONAL:
        return (value_of(kind, y[i]) - value_of(kind, y[i - season])) -
               (value_of(kind, y[i - 1]) - value_of(kind, y[i - 1 - season]));
    case TRANSFORM_LEVEL:
    case TRANSFORM_WINDOW_LAST:
    case TRANSFORM_AUTO:
    default:
        return y[i];
    }
}

double *transform_matrix(const recipe *of, const series *data)
{
    const size_t features = recipe_features(of);
    if (data->rows > (size_t)-1 / sizeof(double) / features) {
        return NULL;
    }
    double *const matrix = malloc(data->rows * features * sizeof *matrix);
    if (matrix == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < data->rows; i++) {
        double *const row = matrix + i * features;
        for (size_t c = 0; c < of->column_count; c++) {
            row[c] = input_at(of->inputs[c], of->season, data->values[c], i);
        }
        for (size_t c = 0; c < of->cycle_count; c++) {
            const double angle = 2.0 * PI *
                                 cycle_phase(&of->cycles[c], &of->spacing, series_time(data, i));
            row[of->column_count + 2 * c] = sin(angle);
            row[of->column_count + 2 * c + 1] = cos(angle);
        }
    }
    return matrix;
}

/* One window [window][features], not scaled. */
static void raw_window(const recipe *of, const double *matrix, size_t origin, double *out)
{
    const size_t features = recipe_features(of);
    const double *const rows = matrix + (origin + 1 - of->window) * features;
    const double *const last = matrix + origin * features;
    for (size_t k = 0; k < of->window; k++) {
        for (size_t c = 0; c < features; c++) {
            const int relative = c < of->column_count && of->inputs[c] == TRANSFORM_WINDOW_LAST;
            out[k * features + c] = rows[k * features + c] - (relative ? last[c] : 0.0);
        }
    }
}

void transform_windows(const recipe *of, const double *matrix, const size_t *origins, size_t count,
                       float *x)
{
    const size_t features = recipe_features(of);
    for (size_t n = 0; n < count; n++) {
        const double *const rows = matrix + (origins[n] + 1 - of->window) * features;
        const double *const last = matrix + origins[n] * features;
        float *const out = x + n * of->window * features;
        for (size_t k = 0; k < of->window; k++) {
            for (size_t c = 0; c < features; c++) {
                const int relative = c < of->column_count && of->inputs[c] == TRANSFORM_WINDOW_LAST;
                const double value = rows[k * features + c] - (relative ? last[c] : 0.0);
                out[k * features + c] = (float)((value - of->offset[c]) / of->scale[c]);
            }
        }
    }
}

double transform_base(transform kind, size_t season, const double *y, size_t origin, size_t h)
{
    if (kind == TRANSFORM_LEVEL) {
        return 0.0;
    }
    if (!transform_is_seasonal(kind)) {
        return value_of(kind, y[origin]);
    }
    const size_t k = (h + season - 1) / season;
    return value_of(kind, y[origin + h - k * season]) +
           (double)k * (value_of(kind, y[origin]) - value_of(kind, y[origin - season]));
}

double transform_spread(const recipe *of, const double *matrix, size_t origin)
{
    const size_t features = recipe_features(of);
    const int levels = of->target == TRANSFORM_LEVEL || of->target == TRANSFORM_WINDOW_LAST;
    double sum = 0.0;
    size_t count = 0;
    for (size_t i = origin + 1 - of->window + (levels ? 1 : 0); i <= origin; i++) {
        const double change = matrix[i * features] - (levels ? matrix[(i - 1) * features] : 0.0);
        sum += change * change;
        count++;
    }
    return count > 0 ? sqrt(sum / (double)count) : 0.0;
}

static double raw_target(const recipe *of, const double *y, size_t origin, size_t h)
{
    return value_of(of->target, y[origin + h]) -
           transform_base(of->target, of->season, y, origin, h);
}

void transform_target(const recipe *of, const double *y, size_t origin, double *z)
{
    for (size_t h = 1; h <= of->horizon; h++) {
        z[h - 1] = (raw_target(of, y, origin, h) - of->target_offset[h - 1]) /
                   of->target_scale[h - 1];
    }
}

void transform_invert(const recipe *of, const double *y, size_t origin, const double *z,
                      double *out)
{
    for (size_t h = 1; h <= of->horizon; h++) {
        const double v = transform_base(of->target, of->season, y, origin, h) +
                         of->target_offset[h - 1] + of->target_scale[h - 1] * z[h - 1];
        out[h - 1] = transform_is_log(of->target) ? exp(v) : v;
    }
}

double transform_shift(const recipe *of, double value, double residual)
{
    return transform_is_log(of->target) ? value * exp(residual) : value + residual;
}

double transform_residual(const recipe *of, double truth, double value)
{
    return transform_is_log(of->target) ? log(truth / value) : truth - value;
}

static int allocate_scalers(recipe *of)
{
    const size_t features = recipe_features(of);
    recipe_release(of);
    of->offset = calloc(features, sizeof(double));
    of->scale = calloc(features, sizeof(double));
    of->target_offset = calloc(of->horizon, sizeof(double));
    of->target_scale = calloc(of->horizon, sizeof(double));
    return of->offset != NULL && of->scale != NULL && of->target_offset != NULL &&
           of->target_scale != NULL;
}

lstm_status transform_fit_scalers(recipe *of, const double *matrix, const double *y,
                                  const size_t *origins, size_t count)
{
    const size_t features = recipe_features(of);
    /* Windows overlap, so some of them, evenly spread, cover every training row; all of them would
     * only repeat rows. */
    const size_t limit = 4000;
    const size_t stride = count > limit ? (count + limit - 1) / limit : 1;
    const size_t used = (count + stride - 1) / stride;
    if (!allocate_scalers(of)) {
        return LSTM_ERROR_MEMORY;
    }
    double *const windows = malloc(used * of->window * features * sizeof *windows);
    double *const targets = malloc(count * of->horizon * sizeof *targets);
    lstm_status status = windows == NULL || targets == NULL ? LSTM_ERROR_MEMORY : LSTM_OK;
    if (status == LSTM_OK) {
        for (size_t n = 0; n < used; n++) {
            raw_window(of, matrix, origins[n * stride], windows + n * of->window * features);
        }
        for (size_t n = 0; n < count; n++) {
            for (size_t h = 1; h <= of->horizon; h++) {
                targets[n * of->horizon + h - 1] = raw_target(of, y, origins[n], h);
            }
        }
        status = lstm_scaler_fit(windows, used * of->window, features, of->offset, of->scale);
    }
    if (status == LSTM_OK) {
        status = lstm_scaler_fit(targets, count, of->horizon, of->target_offset, of->target_scale);
    }
    free(windows);
    free(targets);
    return status;
}
