/* SPDX-License-Identifier: MIT
 * Functions on plain arrays: named constants, scalers, least squares.
 */
#include "blas.h"
#include "checked.h"
#include "constants.h"
#include "context.h"
#include "need.h"

#include <math.h>
#include <string.h>

lstm_status lstm_constant_from_name(int32_t set, const char *name, int32_t *value)
{
    NEED(name);
    NEED(value);
    return lstm__constant_find(set, name, value);
}

const char *lstm_constant_name(int32_t set, int32_t value)
{
    return lstm__constant_name(set, value);
}

/* ---- Scalers */

static lstm_status check_finite(const double *x, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            if (!isfinite(x[r * columns + c]))
                return lstm__fail(LSTM_ERROR_NUMERIC,
                                  "row %zu, column %zu is %g: expected a finite number", r, c,
                                  x[r * columns + c]);
    return LSTM_OK;
}

lstm_status lstm_scaler_fit(const double *x, size_t rows, size_t columns, double *offset,
                            double *scale)
{
    NEED(x);
    NEED(offset);
    NEED(scale);
    if (rows == 0 || columns == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%zu rows of %zu columns: expected at least 1 each",
                          rows, columns);
    RETURN_IF_ERROR(check_finite(x, rows, columns));
    for (size_t c = 0; c < columns; c++) {
        double mean = 0;
        double squares = 0;
        for (size_t r = 0; r < rows; r++) /* Welford's update: no cancellation */
        {
            const double step = x[r * columns + c] - mean;
            mean += step / (double)(r + 1);
            squares += step * (x[r * columns + c] - mean);
        }
        const double deviation = sqrt(squares / (double)rows);
        offset[c] = mean;
        scale[c] = deviation > 1e-12 * fabs(mean) && deviation > 0 ? deviation : 1;
    }
    return LSTM_OK;
}

lstm_status lstm_scaler_apply(const double *x, size_t rows, size_t columns, const double *offset,
                              const double *scale, float *y)
{
    NEED(x);
    NEED(offset);
    NEED(scale);
    NEED(y);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            y[r * columns + c] = (float)((x[r * columns + c] - offset[c]) / scale[c]);
    return LSTM_OK;
}

lstm_status lstm_scaler_invert(const float *y, size_t rows, size_t columns, const double *offset,
                               const double *scale, double *x)
{
    NEED(y);
    NEED(offset);
    NEED(scale);
    NEED(x);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            x[r * columns + c] = (double)y[r * columns + c] * scale[c] + offset[c];
    return LSTM_OK;
}

/* ---- Least squares */

lstm_status lstm_least_squares(lstm_context *context, const double *x, size_t rows, size_t columns,
                               const double *y, size_t targets, double *coefficients)
{
    lstm_status status = LSTM_OK;
    size_t values = 0;
    NEED(x);
    NEED(y);
    NEED(coefficients);
    if (columns == 0 || targets == 0 || rows < columns)
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "%zu rows, %zu columns, %zu targets: expected rows >= columns >= 1 and targets >= 1",
            rows, columns, targets);
    RETURN_IF_ERROR(check_finite(x, rows, columns));
    RETURN_IF_ERROR(check_finite(y, rows, targets));
    lstm_context *held = lstm__context_acquire(context);
    double *a = lstm__mul(rows, columns, &values) ? lstm__allocate_array(held, values, sizeof *a)
                                                  : NULL;
    double *b = lstm__mul(rows, targets, &values) ? lstm__allocate_array(held, values, sizeof *b)
                                                  : NULL;
    if (!a || !b) {
        status = lstm__fail_memory(rows * (columns + targets) * sizeof *a, "least squares");
        goto out;
    }
    memcpy(a, x, rows * columns * sizeof *a);
    memcpy(b, y, rows * targets * sizeof *b);
    TRY(lstm__least_squares(rows, columns, targets, a, b));
    memcpy(coefficients, b, columns * targets * sizeof *b);
out:
    lstm__release(held, a);
    lstm__release(held, b);
    lstm__context_release(held);
    return status;
}
