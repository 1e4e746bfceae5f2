/* SPDX-License-Identifier: MIT
 * Losses: value and gradient at the outputs, row by row, as Keras 3 defines them.
 *
 * Cross-entropy behind a softmax or sigmoid layer is taken through that layer at once: the gradient at its input is
 * p - y, which neither overflows nor loses digits; the port is marked `at_logits` so that the layer passes it on as it is.
 * On bare probabilities Keras' formulas hold: p is divided by its row's sum (categorical) and clipped to [1e-7, 1 - 1e-7],
 * with zero gradient where the clip acts.
 */
#include "losses.h"
#include "constants.h"
#include "options.h"

#include <float.h>
#include <math.h>

#define PROBABILITY_FLOOR 1e-7

lstm_status lstm__loss_read(lstm__loss *loss, const lstm_loss_options *options)
{
    lstm_loss_options own;
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_loss_options"));
    RETURN_IF_ERROR(lstm__read_constant(&own.loss, LSTM_LOSS_MSE, LSTM_NAMES_LOSS, "loss"));
    RETURN_IF_ERROR(lstm__read_flag(&own.from_logits, LSTM_NO, "from_logits"));
    if (own.huber_delta == 0)
        own.huber_delta = 1;
    if (!(own.huber_delta > 0) || !isfinite(own.huber_delta))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "huber_delta is %g: expected a positive number", (double)own.huber_delta);
    *loss = (lstm__loss){own.loss, own.from_logits == LSTM_YES, (double)own.huber_delta};
    return LSTM_OK;
}

size_t lstm__loss_target_features(const lstm__loss *loss, size_t features)
{
    return loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ? 1 : features;
}

/* ---- Walking over rows */

typedef struct rows {
    const lstm_session *session;
    const lstm__batch *batch;
    const float *targets;
    lstm__view value;
    real *gradient; /* compact; NULL = not wanted */
    size_t steps;   /* 1 for a vector */
    size_t features;
    size_t target_features;
} rows;

static rows rows_of(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch, size_t output)
{
    const lstm_layer *layer = session->model->outputs[output];
    const lstm__shape shape = layer->node->shapes[layer->port];
    const lstm__port *port = lstm__session_port(session, layer);
    const size_t features = (size_t)shape.features;
    return (rows){session,
                  batch,
                  batch->targets[output],
                  port->value,
                  port->gradient.data,
                  shape.steps == 0 ? 1 : lstm__session_steps(session, shape),
                  features,
                  lstm__loss_target_features(loss, features)};
}

static const float *target_of(const rows *r, size_t t, size_t b)
{
    const size_t sample = lstm__batch_sample(r->batch, b);
    const size_t row = r->batch->layout == LSTM_LAYOUT_TIME_FIRST ? t * r->batch->samples + sample : sample * r->steps + t;
    return r->targets + row * r->target_features;
}

static const real *value_of(const rows *r, size_t t, size_t b)
{
    return r->value.data + (t * r->batch->count + b) * r->value.stride;
}

/* ---- One row: its loss (sum over features where the mean is per element), its gradient times `scale` into d */

static double regression_row(const lstm__loss *loss, size_t features, const real *p, const float *y, double scale, real *d)
{
    double sum = 0;
    for (size_t f = 0; f < features; f++) {
        const double e = (double)p[f] - (double)y[f];
        const double size = fabs(e);
        double slope = 2 * e;
        if (loss->kind == LSTM_LOSS_MSE) {
            sum += e * e;
        } else if (loss->kind == LSTM_LOSS_MAE) {
            sum += size;
            slope = (e > 0) - (e < 0);
        } else {
            sum += size <= loss->delta ? e * e / 2 : loss->delta * size - loss->delta * loss->delta / 2;
            slope = size <= loss->delta ? e : e > 0 ? loss->delta : -loss->delta;
        }
        if (d)
            d[f] = (real)(slope * scale);
    }
    return sum;
}

/* log(1 + exp(-|x|)) + max(x, 0) - x y, which is -y log s(x) - (1-y) log(1 - s(x)). */
static double binary_row(bool logits, size_t features, const real *p, const float *y, double scale, real *d)
{
    double sum = 0;
    for (size_t f = 0; f < features; f++) {
        const double x = (double)p[f];
        const double t = (double)y[f];
        double slope = 0;
        if (logits) {
            sum += fmax(x, 0) - x * t + log1p(exp(-fabs(x)));
            slope = (x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))) - t;
        } else {
            const double q = fmin(fmax(x, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
            sum -= t * log(q) + (1 - t) * log1p(-q);
            slope = q == x ? (1 - t) / (1 - q) - t / q : 0;
        }
        if (d)
            d[f] = (real)(slope * scale);
    }
    return sum;
}

/* -sum y log softmax(x); `known` names the one class of a sparse target, else y holds weights. */
static double logits_row(size_t features, const real *x, const float *y, size_t known, double scale, real *d)
{
    double most = -INFINITY;
    double sum = 0;
    double weight = 0;
    double dot = 0;
    for (size_t f = 0; f < features; f++)
        most = fmax(most, (double)x[f]);
    for (size_t f = 0; f < features; f++)
        sum += exp((double)x[f] - most);
    const double log_sum = most + log(sum);
    for (size_t f = 0; f < features; f++) {
        const double t = y ? (double)y[f] : f == known;
        weight += t;
        dot += t * (double)x[f];
    }
    for (size_t f = 0; d && f < features; f++) {
        const double t = y ? (double)y[f] : f == known;
        d[f] = (real)((weight * exp((double)x[f] - log_sum) - t) * scale);
    }
    return weight * log_sum - dot;
}

/* The same on probabilities, as Keras: divided by their sum, clipped. */
static double probabilities_row(size_t features, const real *p, const float *y, size_t known, double scale, real *d)
{
    double sum = 0;
    double loss = 0;
    double inner = 0; /* sum of slope * q, for the derivative of the division */
    for (size_t f = 0; f < features; f++)
        sum += (double)p[f];
    for (size_t f = 0; f < features; f++) {
        const double t = y ? (double)y[f] : f == known;
        const double raw = (double)p[f] / sum;
        const double q = fmin(fmax(raw, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
        loss -= t * log(q);
        inner += q == raw ? -t : 0;
    }
    for (size_t f = 0; d && f < features; f++) {
        const double t = y ? (double)y[f] : f == known;
        const double raw = (double)p[f] / sum;
        const double q = fmin(fmax(raw, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
        d[f] = (real)(((q == raw ? -t / q : 0) - inner) / sum * scale);
    }
    return loss;
}

/* Sparse cross-entropy on probabilities: Keras takes the log of the clipped p and softmaxes it again. */
static double sparse_probabilities_row(size_t features, const real *p, size_t known, double scale, real *d)
{
    double sum = 0;
    for (size_t f = 0; f < features; f++)
        sum += fmin(fmax((double)p[f], PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
    const double chosen = fmin(fmax((double)p[known], PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
    for (size_t f = 0; d && f < features; f++) {
        const double q = fmin(fmax((double)p[f], PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR);
        const double slope = q == (double)p[f] ? 1 / sum - (f == known ? 1 / q : 0) : 0;
        d[f] = (real)(slope * scale);
    }
    return log(sum) - log(chosen);
}

/* Behind softmax: p is the softmax of unseen logits, the gradient is theirs. */
static double fused_softmax_row(size_t features, const real *p, const float *y, size_t known, double scale, real *d)
{
    double loss = 0;
    double weight = y ? 0 : 1;
    for (size_t f = 0; y && f < features; f++)
        weight += (double)y[f];
    for (size_t f = 0; f < features; f++) {
        const double t = y ? (double)y[f] : f == known;
        if (t != 0)
            loss -= t * log(fmax((double)p[f], FLT_MIN));
        if (d)
            d[f] = (real)((weight * (double)p[f] - t) * scale);
    }
    return loss;
}

static double fused_sigmoid_row(size_t features, const real *p, const float *y, double scale, real *d)
{
    double loss = 0;
    for (size_t f = 0; f < features; f++) {
        const double t = (double)y[f];
        const double q = (double)p[f];
        loss -= (t != 0 ? t * log(fmax(q, FLT_MIN)) : 0) + (t != 1 ? (1 - t) * log(fmax(1 - q, FLT_MIN)) : 0);
        if (d)
            d[f] = (real)((q - t) * scale);
    }
    return loss;
}

/* ---- The whole batch */

/* The activation of the layer at an output if the loss can go through it: nobody else reads its output. */
static int32_t output_activation(const lstm_layer *layer)
{
    if (layer->node->readers[layer->port] != 1)
        return LSTM_ACTIVATION_LINEAR;
    if (layer->node->class == &lstm__class_dense)
        return ((const lstm_dense_options *)layer->node->options)->activation;
    if (layer->node->class == &lstm__class_activation)
        return ((const lstm_activation_options *)layer->node->options)->activation;
    return LSTM_ACTIVATION_LINEAR;
}

static bool is_fused(const lstm__loss *loss, const lstm_layer *layer)
{
    const int32_t activation = output_activation(layer);
    if (loss->from_logits)
        return false;
    if (loss->kind == LSTM_LOSS_BINARY_CROSSENTROPY)
        return activation == LSTM_ACTIVATION_SIGMOID;
    return (loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY || loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY)
           && activation == LSTM_ACTIVATION_SOFTMAX;
}

static double row_loss(const lstm__loss *loss, bool fused, size_t features, const real *p, const float *y, double scale,
                       real *d)
{
    const bool sparse = loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
    const size_t known = sparse ? (size_t)y[0] : 0;
    switch (loss->kind) {
    case LSTM_LOSS_BINARY_CROSSENTROPY:
        return fused ? fused_sigmoid_row(features, p, y, scale, d)
                     : binary_row(loss->from_logits, features, p, y, scale, d);
    case LSTM_LOSS_CATEGORICAL_CROSSENTROPY:
    case LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY:
        if (fused)
            return fused_softmax_row(features, p, sparse ? NULL : y, known, scale, d);
        if (loss->from_logits)
            return logits_row(features, p, sparse ? NULL : y, known, scale, d);
        return sparse ? sparse_probabilities_row(features, p, known, scale, d)
                      : probabilities_row(features, p, y, known, scale, d);
    default:
        return regression_row(loss, features, p, y, scale, d);
    }
}

static lstm_status check_classes(const lstm_model *model, const lstm__batch *batch, size_t output)
{
    const lstm_layer *layer = model->outputs[output];
    const lstm__shape shape = layer->node->shapes[layer->port];
    const rows found = {.batch = batch,
                        .targets = batch->targets[output],
                        .steps = shape.steps == 0 ? 1 : shape.steps < 0 ? batch->steps : (size_t)shape.steps,
                        .features = (size_t)shape.features,
                        .target_features = 1};
    const rows *r = &found;
    for (size_t b = 0; b < r->batch->count; b++)
        for (size_t t = 0; t < r->steps; t++) {
            const double class = (double)target_of(r, t, b)[0];
            if (!(class >= 0 && class < (double)r->features && class == floor(class)))
                return lstm__fail(LSTM_ERROR_ARGUMENT,
                                  "target of output %zu, sample %zu, step %zu: class %g: expected a whole number from 0 to %zu",
                                  output, lstm__batch_sample(r->batch, b), t, class, r->features - 1);
        }
    return LSTM_OK;
}

lstm_status lstm__loss_check_targets(const lstm_model *model, const lstm__loss *loss, const lstm__batch *batch)
{
    if (loss->kind != LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY)
        return LSTM_OK;
    for (size_t output = 0; output < model->output_count; output++)
        RETURN_IF_ERROR(check_classes(model, batch, output));
    return LSTM_OK;
}

lstm_status lstm__loss_compute(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch, bool gradient,
                               double *value)
{
    const bool sparse = loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
    const bool per_row = sparse || loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY;
    double total = 0;
    RETURN_IF_ERROR(lstm__loss_check_targets(session->model, loss, batch));
    for (size_t output = 0; output < session->model->output_count; output++) {
        const lstm_layer *layer = session->model->outputs[output];
        const rows r = rows_of(session, loss, batch, output);
        const bool fused = is_fused(loss, layer);
        const double count = (double)(batch->count * r.steps) * (per_row ? 1 : (double)r.features);
        const double scale = count > 0 ? 1 / count : 0;
        double sum = 0;
        for (size_t t = 0; t < r.steps; t++)
            for (size_t b = 0; b < batch->count; b++) {
                real *d = gradient && r.gradient ? r.gradient + (t * batch->count + b) * r.features : NULL;
                sum += row_loss(loss, fused, r.features, value_of(&r, t, b), target_of(&r, t, b), scale, d);
            }
        total += sum * scale;
        if (gradient && r.gradient) {
            lstm__session_port(session, layer)->written = true;
            lstm__session_port(session, layer)->at_logits = fused;
        }
    }
    session->gradient_given = session->gradient_given || gradient;
    *value = total;
    return LSTM_OK;
}

/* ---- Metrics */

static size_t largest(size_t count, const real *values)
{
    size_t best = 0;
    for (size_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

static double row_accuracy(const rows *r, const lstm__loss *loss, const real *p, const float *y)
{
    double hits = 0;
    if (loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY)
        return (double)largest(r->features, p) == (double)y[0];
    if (loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY) {
        size_t best = 0;
        for (size_t f = 1; f < r->features; f++)
            if (y[f] > y[best])
                best = f;
        return largest(r->features, p) == best;
    }
    const double threshold = loss->kind == LSTM_LOSS_BINARY_CROSSENTROPY && loss->from_logits ? 0 : 0.5;
    for (size_t f = 0; f < r->features; f++)
        hits += ((double)p[f] > threshold) == (y[f] > 0.5f);
    return hits / (double)r->features;
}

void lstm__metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss, const lstm__batch *batch, double *sum,
                      double *weight)
{
    const rows r = rows_of(session, loss, batch, 0);
    const bool sparse = loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY;
    for (size_t t = 0; t < r.steps; t++)
        for (size_t b = 0; b < batch->count; b++) {
            const real *p = value_of(&r, t, b);
            const float *y = target_of(&r, t, b);
            if (metric == LSTM_METRIC_ACCURACY) {
                *sum += row_accuracy(&r, loss, p, y);
                *weight += 1;
                continue;
            }
            for (size_t f = 0; f < r.features; f++) {
                const double e = (double)p[f] - (sparse ? (double)y[0] == (double)f : (double)y[f]);
                *sum += metric == LSTM_METRIC_MAE ? fabs(e) : e * e;
                *weight += 1;
            }
        }
}

double lstm__metric_value(int32_t metric, double sum, double weight)
{
    const double mean = weight > 0 ? sum / weight : 0;
    return metric == LSTM_METRIC_RMSE ? sqrt(mean) : mean;
}
