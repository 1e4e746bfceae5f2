/* SPDX-License-Identifier: MIT
 * Losses of classes, row by row, as Keras 3 defines them: cross-entropies, their focal forms (Lin
 * et al. 2017), Kullback-Leibler divergence and hinges. Formulas: lstm.h.
 *
 * On bare probabilities Keras' formulas hold: p is divided by its row's sum (categorical) and
 * clipped to [1e-7, 1 - 1e-7], with zero gradient where the clip acts. From logits everything is
 * computed without logarithms of a p that was rounded.
 */
#include "loss_rows.h"

#include <float.h>
#include <math.h>

#define PROBABILITY_FLOOR 1e-7

static void set(const lstm__loss_row *r, size_t f, double slope)
{
    if (r->d)
        r->d[f] = (real)(slope * r->scale);
}

static double clipped(double p)
{
    return fmin(fmax(p, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* Smoothed targets: of one of two classes, and of one of `features`. */
static double binary_target(const lstm__loss_row *r, size_t f)
{
    const double s = r->loss->smoothing;
    return (double)r->y[f] * (1 - s) + 0.5 * s;
}

static double class_target(const lstm__loss_row *r, size_t f)
{
    const double s = r->loss->smoothing;
    const double y = r->sparse ? f == r->known : (double)r->y[f];
    return y * (1 - s) + s / (double)r->features;
}

/* ---- Two classes */

/* log(1 + exp(-|x|)) + max(x, 0) - x y, which is -y log s(x) - (1-y) log(1 - s(x)). */
static double binary_entropy(double x, double y)
{
    return fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
}

double lstm__row_binary(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double x = (double)r->p[f];
        const double y = binary_target(r, f);
        if (r->loss->from_logits) {
            sum += binary_entropy(x, y);
            set(r, f, sigmoid(x) - y);
        } else {
            const double q = clipped(x);
            sum -= y * log(q) + (1 - y) * log1p(-q);
            set(r, f, q == x ? (1 - y) / (1 - q) - y / q : 0);
        }
    }
    return sum;
}

static double fused_binary(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double y = binary_target(r, f);
        const double q = (double)r->p[f];
        sum -= (y != 0 ? y * log(fmax(q, FLT_MIN)) : 0) +
               (y != 1 ? (1 - y) * log(fmax(1 - q, FLT_MIN)) : 0);
        set(r, f, q - y);
    }
    return sum;
}

/* (1 - p_t)^gamma times the cross-entropy, p_t = y p + (1-y)(1-p), and its slope by p; `slope` is
 * the cross-entropy's. */
static double focal(const lstm__loss *loss, double p, double y, double entropy, double slope,
                    double *d)
{
    const double rest = 1 - (y * p + (1 - y) * (1 - p));
    const double weight = loss->balanced ? y * loss->alpha + (1 - y) * (1 - loss->alpha) : 1;
    const double factor = pow(rest, loss->gamma);
    const double bend = loss->gamma == 0 ? 0
                                         : loss->gamma * pow(rest, loss->gamma - 1) * (1 - 2 * y);
    *d = weight * (factor * slope + bend * entropy);
    return weight * factor * entropy;
}

double lstm__row_binary_focal(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double x = (double)r->p[f];
        const double y = binary_target(r, f);
        double d = 0;
        if (r->loss->from_logits) {
            /* by x: dp/dx = p (1-p), and the cross-entropy's slope by x is p - y */
            const double p = sigmoid(x);
            const double by_x = p * sigmoid(-x);
            sum += focal(r->loss, p, y, binary_entropy(x, y), by_x > 0 ? (p - y) / by_x : 0, &d);
            set(r, f, d * by_x);
        } else {
            const double q = clipped(x);
            const double entropy = -y * log(q) - (1 - y) * log1p(-q);
            sum += focal(r->loss, x, y, entropy, q == x ? (1 - y) / (1 - q) - y / q : 0, &d);
            set(r, f, d);
        }
    }
    return sum;
}

/* ---- Many classes */

/* log of the sum of exp over a row */
static double log_sum_exp(const lstm__loss_row *r)
{
    double most = -INFINITY;
    double sum = 0;
    for (size_t f = 0; f < r->features; f++)
        most = fmax(most, (double)r->p[f]);
    for (size_t f = 0; f < r->features; f++)
        sum += exp((double)r->p[f] - most);
    return most + log(sum);
}

/* The same of a class number without smoothing. The kernel that CTC has for it gives e = exp(x -
 * most), which stay where the gradient is wanted, and their sum, a float. Where that is near 1 the
 * loss of the likeliest class, log(sum), and its gradient, (1 - sum) / sum, are small differences:
 * then the rest beside the largest e, which is 1, is summed in double. NaN goes that way too. */
static double sparse_logits(const lstm__loss_row *r)
{
    real most = 0;
    double rest = (double)r->kernels->ctc_normalise(r->features, r->p, r->d, &most) - 1;
    if (!(rest > 0.125)) {
        size_t largest = 0;
        rest = 0;
        for (size_t f = 0; f < r->features; f++) {
            const double e = r->d ? (double)r->d[f] : exp((double)r->p[f] - (double)most);
            largest += e == 1;
            rest += e == 1 ? 0 : e;
        }
        rest += (double)largest - 1;
    }
    if (r->d) {
        const double known = (double)r->d[r->known] - 1; /* beside the largest */
        r->kernels->scale(r->features, (real)(r->scale / (1 + rest)), r->d);
        set(r, r->known, (known - rest) / (1 + rest));
    }
    return (double)most - (double)r->p[r->known] + log1p(rest);
}

/* -sum y log softmax(x) */
static double categorical_logits(const lstm__loss_row *r)
{
    if (r->sparse && r->known < r->features && r->loss->smoothing == 0)
        return sparse_logits(r);
    const double log_sum = log_sum_exp(r);
    double weight = 0;
    double dot = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double t = class_target(r, f);
        weight += t;
        dot += t * (double)r->p[f];
    }
    for (size_t f = 0; r->d && f < r->features; f++)
        set(r, f, weight * exp((double)r->p[f] - log_sum) - class_target(r, f));
    return weight * log_sum - dot;
}

static double row_sum(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++)
        sum += (double)r->p[f];
    return sum;
}

/* The same on probabilities, as Keras: divided by their sum, clipped. */
static double categorical_probabilities(const lstm__loss_row *r)
{
    const double sum = row_sum(r);
    double loss = 0;
    double inner = 0; /* sum of slope * q, for the derivative of the division */
    for (size_t f = 0; f < r->features; f++) {
        const double t = class_target(r, f);
        const double raw = (double)r->p[f] / sum;
        loss -= t * log(clipped(raw));
        inner += clipped(raw) == raw ? -t : 0;
    }
    for (size_t f = 0; r->d && f < r->features; f++) {
        const double raw = (double)r->p[f] / sum;
        set(r, f, ((clipped(raw) == raw ? -class_target(r, f) / raw : 0) - inner) / sum);
    }
    return loss;
}

/* Sparse cross-entropy on probabilities: Keras takes the log of the clipped p and softmaxes it
 * again. */
static double sparse_probabilities(const lstm__loss_row *r)
{
    double sum = 0;
    double dot = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double q = clipped((double)r->p[f]);
        const double t = class_target(r, f);
        sum += q;
        dot += t != 0 ? t * log(q) : 0;
    }
    for (size_t f = 0; r->d && f < r->features; f++) {
        const double p = (double)r->p[f];
        set(r, f, clipped(p) == p ? 1 / sum - class_target(r, f) / p : 0);
    }
    return log(sum) - dot;
}

double lstm__row_categorical(const lstm__loss_row *r)
{
    if (r->loss->from_logits)
        return categorical_logits(r);
    return r->sparse ? sparse_probabilities(r) : categorical_probabilities(r);
}

/* Behind softmax: p is the softmax of unseen logits, the gradient is theirs. */
static double fused_categorical(const lstm__loss_row *r)
{
    double loss = 0;
    double weight = 0;
    for (size_t f = 0; f < r->features; f++)
        weight += class_target(r, f);
    for (size_t f = 0; f < r->features; f++) {
        const double t = class_target(r, f);
        if (t != 0)
            loss -= t * log(fmax((double)r->p[f], FLT_MIN));
        set(r, f, weight * (double)r->p[f] - t);
    }
    return loss;
}

lstm__row_loss lstm__row_fused(int32_t kind)
{
    return kind == LSTM_LOSS_BINARY_CROSSENTROPY ? fused_binary : fused_categorical;
}

/* alpha (1 - q)^gamma (-y log q) of one class, and its slope by q. `log_q` and `rest` = 1 - q are
 * exact where q is not. */
static double class_focal(const lstm__loss *loss, double y, double q, double log_q, double rest,
                          double *slope)
{
    const double factor = loss->alpha * pow(rest, loss->gamma);
    const double bend = loss->gamma == 0 ? 0
                                         : loss->alpha * loss->gamma * pow(rest, loss->gamma - 1);
    *slope = y * (bend * log_q - factor / q);
    return -factor * y * log_q;
}

/* q = softmax(x): the slope by x_f is q_f (s_f - sum_k s_k q_k). */
static double focal_logits(const lstm__loss_row *r)
{
    const double log_sum = log_sum_exp(r);
    double loss = 0;
    double inner = 0;
    for (int pass = 0; pass < (r->d ? 2 : 1); pass++)
        for (size_t f = 0; f < r->features; f++) {
            const double log_q = (double)r->p[f] - log_sum;
            const double q = fmax(exp(log_q), DBL_MIN);
            double slope = 0;
            const double value = class_focal(r->loss, class_target(r, f), q, log_q,
                                             fmax(-expm1(log_q), 0), &slope);
            if (pass == 0) {
                loss += value;
                inner += slope * q;
            } else {
                set(r, f, q * (slope - inner));
            }
        }
    return loss;
}

static double focal_probabilities(const lstm__loss_row *r)
{
    const double sum = row_sum(r);
    double loss = 0;
    double inner = 0;
    for (int pass = 0; pass < (r->d ? 2 : 1); pass++)
        for (size_t f = 0; f < r->features; f++) {
            const double raw = (double)r->p[f] / sum;
            const double q = clipped(raw);
            double slope = 0;
            const double value = class_focal(r->loss, class_target(r, f), q, log(q), 1 - q, &slope);
            slope = q == raw ? slope : 0;
            if (pass == 0) {
                loss += value;
                inner += slope * q;
            } else {
                set(r, f, (slope - inner) / sum);
            }
        }
    return loss;
}

double lstm__row_categorical_focal(const lstm__loss_row *r)
{
    return r->loss->from_logits ? focal_logits(r) : focal_probabilities(r);
}

double lstm__row_kl_divergence(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double p = (double)r->p[f];
        const double q = fmin(fmax(p, PROBABILITY_FLOOR), 1);
        const double y = fmin(fmax((double)r->y[f], PROBABILITY_FLOOR), 1);
        sum += y * log(y / q);
        set(r, f, q == p ? -y / q : 0);
    }
    return sum;
}

/* ---- Hinges */

static double hinge_target(const lstm__loss_row *r, size_t f)
{
    return r->binary ? 2 * (double)r->y[f] - 1 : (double)r->y[f];
}

double lstm__row_hinge(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double y = hinge_target(r, f);
        const double gap = 1 - y * (double)r->p[f];
        sum += fmax(gap, 0);
        set(r, f, gap > 0 ? -y : 0);
    }
    return sum;
}

double lstm__row_squared_hinge(const lstm__loss_row *r)
{
    double sum = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double y = hinge_target(r, f);
        const double gap = fmax(1 - y * (double)r->p[f], 0);
        sum += gap * gap;
        set(r, f, -2 * y * gap);
    }
    return sum;
}

double lstm__row_categorical_hinge(const lstm__loss_row *r)
{
    double right = 0;
    double wrong = -INFINITY;
    size_t worst = 0;
    for (size_t f = 0; f < r->features; f++) {
        const double y = (double)r->y[f];
        const double p = (double)r->p[f];
        right += y * p;
        if ((1 - y) * p > wrong) {
            wrong = (1 - y) * p;
            worst = f;
        }
    }
    const double gap = wrong - right + 1;
    for (size_t f = 0; r->d && f < r->features; f++) {
        const double y = (double)r->y[f];
        set(r, f, gap > 0 ? (f == worst ? 1 - y : 0) - y : 0);
    }
    return fmax(gap, 0);
}
