/* SPDX-License-Identifier: MIT
 * Losses of numbers, row by row, as Keras 3 defines them (MSE to Poisson, cosine similarity); the
 * quantile loss of Koenker and Bassett 1978; the Gaussian negative log-likelihood of Nix and
 * Weigend 1994 on log variances. Formulas: lstm.h.
 */
#include "loss_rows.h"

#include <math.h>

#define FLOOR 1e-7

static void set(const lstm__loss_row *r, size_t f, double slope)
{
    if (r->d)
        r->d[f] = (real)(slope * r->scale);
}

static double error_of(const lstm__loss_row *r, size_t f)
{
    return (double)r->p[f] - (double)r->y[f];
}

static double sign(double x)
{
    return (x > 0) - (x < 0);
}

double lstm__row_mse(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double e = error_of(r, f);
        sum += e * e;
        set(r, f, 2 * e);
    }
    return sum;
}

double lstm__row_mae(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double e = error_of(r, f);
        sum += fabs(e);
        set(r, f, sign(e));
    }
    return sum;
}

double lstm__row_huber(const lstm__loss_row *r)
{
    const double delta = r->loss->delta;
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double e = error_of(r, f);
        const double size = fabs(e);
        sum += size <= delta ? e * e / 2 : delta * size - delta * delta / 2;
        set(r, f, size <= delta ? e : sign(e) * delta);
    }
    return sum;
}

double lstm__row_mape(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double e = error_of(r, f);
        const double size = 100 / fmax(fabs((double)r->y[f]), FLOOR);
        sum += fabs(e) * size;
        set(r, f, sign(e) * size);
    }
    return sum;
}

double lstm__row_msle(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double p = fmax((double)r->p[f], FLOOR);
        const double e = log1p(p) - log1p(fmax((double)r->y[f], FLOOR));
        sum += e * e;
        set(r, f, (double)r->p[f] > FLOOR ? 2 * e / (1 + p) : 0);
    }
    return sum;
}

/* log cosh e = |e| + log(1 + exp(-2 |e|)) - log 2, which does not overflow. */
double lstm__row_log_cosh(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double e = error_of(r, f);
        sum += fabs(e) + log1p(exp(-2 * fabs(e))) - log(2);
        set(r, f, tanh(e));
    }
    return sum;
}

double lstm__row_poisson(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double p = (double)r->p[f];
        const double y = (double)r->y[f];
        sum += p - y * log(p + FLOOR);
        set(r, f, 1 - y / (p + FLOOR));
    }
    return sum;
}

/* -p.y / (|p| |y|); a norm below the floor counts as the floor, without a slope of its own. */
double lstm__row_cosine(const lstm__loss_row *r)
{
    double pp = 0;
    double yy = 0;
    double py = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double p = (double)r->p[f];
        const double y = (double)r->y[f];
        pp += p * p;
        yy += y * y;
        py += p * y;
    }
    const double p_norm = fmax(sqrt(pp), FLOOR);
    const double y_norm = fmax(sqrt(yy), FLOOR);
    const double pull = sqrt(pp) > FLOOR ? py / pp : 0;
    for (size_t f = 0; f < r->features; f++)
        set(r, f, (pull * (double)r->p[f] - (double)r->y[f]) / (p_norm * y_norm));
    return -py / (p_norm * y_norm);
}

double lstm__row_quantile(const lstm__loss_row *r)
{
    const size_t count = r->loss->quantile_count;
    double sum = 0;
    for (size_t k = 0; k < r->targets; k++)
        for (size_t q = 0; q < count; q++) {
            const size_t f = k * count + q;
            const double part = (double)r->loss->quantiles[q];
            const double e = (double)r->y[k] - (double)r->p[f];
            sum += e > 0 ? part * e : (part - 1) * e;
            set(r, f, e > 0 ? -part : e < 0 ? 1 - part : 0);
        }
    return sum;
}

double lstm__row_gaussian(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t k = 0; k < r->targets; k++) {
        const double e = error_of(r, k);
        const double log_variance = (double)r->p[r->targets + k];
        const double precision = exp(-log_variance);
        sum += 0.5 * (log_variance + e * e * precision);
        set(r, k, e * precision);
        set(r, r->targets + k, 0.5 * (1 - e * e * precision));
    }
    return sum;
}

/* The caller's numbers are floats; in double for the tests, whose functions know. */
double lstm__row_custom(const lstm__loss_row *row)
{
    const double value = row->loss->custom(row->loss->custom_user,
                                           (const float *)(const void *)row->p, row->features,
                                           row->y, row->targets, (float *)(void *)row->d);
    for (size_t f = 0; row->d && f < row->features; f++)
        row->d[f] *= (real)row->scale;
    return value;
}
