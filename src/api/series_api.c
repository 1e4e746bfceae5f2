/* SPDX-License-Identifier: MIT
 * Functions on series: scalers by other rules than mean and deviation, windows.
 */
#include "checked.h"
#include "context.h"
#include "need.h"
#include "options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Scalers */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the part q of n sorted values lies; between two values by parts, as
 * numpy.percentile does. */
static double quantile(const double *sorted, size_t n, double q)
{
    const double place = q * (double)(n - 1);
    const size_t below = (size_t)place;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

lstm_status lstm_scaler_fit_as(int32_t scaling, const double *x, size_t rows, size_t columns,
                               double *offset, double *scale)
{
    if (scaling < LSTM_SCALING_STANDARD || scaling > LSTM_SCALING_ROBUST)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "scaling is %d: expected LSTM_SCALING_*",
                          (int)scaling);
    /* checks everything, and is the answer for the first rule */
    RETURN_IF_ERROR(lstm_scaler_fit(x, rows, columns, offset, scale));
    if (scaling == LSTM_SCALING_STANDARD)
        return LSTM_OK;
    lstm_context *context = lstm__context_acquire(NULL);
    double *column = lstm__allocate_array(context, rows, sizeof *column);
    if (column) {
        for (size_t c = 0; c < columns; c++) {
            for (size_t r = 0; r < rows; r++)
                column[r] = x[r * columns + c];
            qsort(column, rows, sizeof *column, ascending);
            const bool robust = scaling == LSTM_SCALING_ROBUST;
            const double low = robust ? quantile(column, rows, 0.25) : column[0];
            const double high = robust ? quantile(column, rows, 0.75) : column[rows - 1];
            offset[c] = robust ? quantile(column, rows, 0.5) : low;
            scale[c] = high > low ? high - low : 1;
        }
    }
    const lstm_status status = column ? LSTM_OK
                                      : lstm__fail_memory(rows * sizeof *column, "one column");
    lstm__release(context, column);
    lstm__context_release(context);
    return status;
}

/* ---- Windows */

static lstm_status read_window(lstm_window_options *own, const lstm_window_options *options)
{
    RETURN_IF_ERROR(lstm__read_options(own, sizeof *own, options, "lstm_window_options"));
    NEED_ZERO(own->reserved);
    own->horizon = own->horizon == 0 ? 1 : own->horizon;
    own->stride = own->stride == 0 ? 1 : own->stride;
    if (own->window < 1 || own->horizon < 1 || own->gap < 0 || own->stride < 1 ||
        own->window > INT32_MAX || own->horizon > INT32_MAX || own->gap > INT32_MAX)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "window %lld, horizon %lld, gap %lld, stride %lld: expected at least 1, 1, "
            "0 and 1",
            (long long)own->window, (long long)own->horizon, (long long)own->gap,
            (long long)own->stride);
    if (own->target_count > 0 && !own->targets)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "target_count is %zu but targets is NULL",
                          own->target_count);
    return LSTM_OK;
}

static size_t count_windows(const lstm_window_options *own, size_t rows)
{
    const size_t reach = (size_t)(own->window + own->gap + own->horizon);
    return rows < reach ? 0 : (rows - reach) / (size_t)own->stride + 1;
}

int64_t lstm_window_count(const lstm_window_options *options, size_t rows)
{
    lstm_window_options own;
    return read_window(&own, options) == LSTM_OK ? (int64_t)count_windows(&own, rows) : -1;
}

static lstm_status check_count(const char *what, size_t windows, int64_t steps, size_t columns,
                               size_t found)
{
    const int64_t sizes[3] = {(int64_t)windows, steps, (int64_t)columns};
    size_t expected = 0;
    if (!lstm__product(sizes, 3, &expected) || expected != found)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "%s has %zu values: expected %zu (%zu windows of %lld rows of %zu columns)", what,
            found, expected, windows, (long long)steps, columns);
    return LSTM_OK;
}

lstm_status lstm_window_make(const lstm_window_options *options, const float *series, size_t rows,
                             size_t columns, float *x, size_t x_count, float *y, size_t y_count)
{
    lstm_window_options own;
    NEED(series);
    NEED(x);
    RETURN_IF_ERROR(read_window(&own, options));
    const size_t windows = count_windows(&own, rows);
    const size_t targets = own.targets ? own.target_count : columns;
    RETURN_IF_ERROR(check_count("x", windows, own.window, columns, x_count));
    if (y)
        RETURN_IF_ERROR(check_count("y", windows, own.horizon, targets, y_count));
    for (size_t k = 0; own.targets && k < targets; k++)
        if (own.targets[k] >= columns)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "target %zu is column %zu: there are %zu", k,
                              own.targets[k], columns);
    const size_t read = (size_t)own.window * columns;
    for (size_t n = 0; n < windows; n++) {
        const float *from = series + n * (size_t)own.stride * columns;
        memcpy(x + n * read, from, read * sizeof *x);
        const float *told = from + (size_t)(own.window + own.gap) * columns;
        for (size_t row = 0; y && row < (size_t)own.horizon; row++)
            for (size_t k = 0; k < targets; k++)
                y[(n * (size_t)own.horizon + row) * targets + k] =
                    told[row * columns + (own.targets ? own.targets[k] : k)];
    }
    return LSTM_OK;
}
