/* SPDX-License-Identifier: MIT
 * Metrics of the first output, as Keras computes them: sums over a batch that add up over batches.
 * Rows of weight 0 do not count; other weights do not matter.
 */
#include "class_counts.h"
#include "constants.h"
#include "loss_ctc.h"
#include "row_classes.h"

#include <math.h>

size_t lstm__row_largest(size_t count, const real *values)
{
    size_t best = 0;
    for (size_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

bool lstm__loss_is_class(const lstm__loss *loss)
{
    return loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ||
           loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY ||
           loss->kind == LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY ||
           loss->kind == LSTM_LOSS_KL_DIVERGENCE || loss->kind == LSTM_LOSS_CATEGORICAL_HINGE;
}

size_t lstm__row_class(const lstm__rows *r, const float *y)
{
    size_t best = 0;
    if (r->sparse)
        return y[0] >= 0 && y[0] < (float)r->features ? (size_t)y[0] : r->features - 1;
    for (size_t f = 1; f < r->features; f++)
        if (y[f] > y[best])
            best = f;
    return best;
}

bool lstm__row_is_positive(const lstm__loss *loss, real value)
{
    const bool logits = loss->from_logits && (loss->kind == LSTM_LOSS_BINARY_CROSSENTROPY ||
                                              loss->kind == LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY);
    return (double)value > (logits ? 0 : 0.5);
}

/* Values of a row that metrics compare: a loss of the caller's may have more in its targets. */
static size_t compared(const lstm__rows *r, const lstm__loss *loss)
{
    return loss->kind == LSTM_LOSS_CUSTOM && r->target_features > r->features ? r->features
                                                                              : r->target_features;
}

static double row_accuracy(const lstm__rows *r, const lstm__loss *loss, const real *p,
                           const float *y)
{
    double hits = 0;
    if (lstm__loss_is_class(loss))
        return lstm__row_largest(r->features, p) == lstm__row_class(r, y);
    for (size_t f = 0; f < compared(r, loss); f++)
        hits += lstm__row_is_positive(loss, p[lstm__loss_prediction(loss, f)]) == (y[f] > 0.5f);
    return hits / (double)compared(r, loss);
}

/* Counts of all classes together: 2 right and predicted + actual give F1. */
static void add_pooled(const lstm__rows *r, const lstm__loss *loss, int32_t metric, const real *p,
                       const float *y, double *sum, double *weight)
{
    if (lstm__loss_is_class(loss)) { /* a class is predicted and one is right in each row */
        *sum += lstm__row_largest(r->features, p) == lstm__row_class(r, y);
        *weight += 1;
        return;
    }
    for (size_t f = 0; f < compared(r, loss); f++) {
        const bool found = lstm__row_is_positive(loss, p[lstm__loss_prediction(loss, f)]);
        const bool wanted = y[f] > 0.5f;
        *sum += (found && wanted) * (metric == LSTM_METRIC_F1_MICRO ? 2 : 1);
        *weight += metric == LSTM_METRIC_PRECISION_MICRO ? found
                   : metric == LSTM_METRIC_RECALL_MICRO  ? wanted
                                                         : found + wanted;
    }
}

/* Whether fewer than five classes are above the right one, equals above it in order counted. */
static double row_in_top_5(const lstm__rows *r, const real *p, const float *y)
{
    const size_t wanted = lstm__row_class(r, y);
    size_t above = 0;
    for (size_t f = 0; f < r->features; f++)
        above += p[f] > p[wanted] || (p[f] == p[wanted] && f < wanted);
    return above < 5;
}

/* Absolute or squared errors of a row; a class number stands for its one-hot row. */
static double row_error(const lstm__rows *r, const lstm__loss *loss, int32_t metric, const real *p,
                        const float *y)
{
    const size_t count = r->sparse ? r->features : compared(r, loss);
    double sum = 0;
    for (size_t f = 0; f < count; f++) {
        const double wanted = r->sparse ? (double)y[0] == (double)f : (double)y[f];
        const double e = (double)p[lstm__loss_prediction(loss, f)] - wanted;
        sum += metric == LSTM_METRIC_MAE ? fabs(e) : e * e;
    }
    return sum;
}

/* The cross-entropies that perplexity is the power of. */
static bool has_entropy(const lstm__loss *loss)
{
    return loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ||
           loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY;
}

lstm_status lstm__metric_check(int32_t metric, const lstm__loss *loss)
{
    const char *hint = "";
    bool good = true;
    if (lstm__loss_takes_labels(loss)) {
        good = metric == LSTM_METRIC_ACCURACY || metric == LSTM_METRIC_LABEL_ERROR_RATE;
        hint = ": accuracy and label_error_rate do";
    } else if (metric == LSTM_METRIC_LABEL_ERROR_RATE) {
        good = false;
        hint = ": it belongs to ctc";
    } else if (metric == LSTM_METRIC_TOP_5_ACCURACY) {
        good = lstm__loss_is_class(loss);
        hint = ": it belongs to losses of one class of several";
    } else if (metric == LSTM_METRIC_PERPLEXITY || metric == LSTM_METRIC_BITS_PER_CHARACTER) {
        good = has_entropy(loss);
        hint = ": it belongs to the categorical cross-entropies";
    }
    return good ? LSTM_OK
                : lstm__fail(LSTM_ERROR_ARGUMENT, "the metric %s does not go with the loss %s%s",
                             lstm__constant_name(LSTM_NAMES_METRIC, metric),
                             lstm__constant_name(LSTM_NAMES_LOSS, loss->kind), hint);
}

/* The cross-entropy of a row, without smoothing. */
static double row_entropy(const lstm__rows *r, const lstm__loss *loss, bool fused, const real *p,
                          const float *y)
{
    lstm__loss plain = *loss;
    plain.smoothing = 0;
    const lstm__loss_row row = {.loss = &plain,
                                .kernels = r->kernels,
                                .features = r->features,
                                .targets = compared(r, loss),
                                .p = p,
                                .y = y,
                                .sparse = r->sparse,
                                .known = lstm__row_class(r, y),
                                .scale = 1};
    return fused ? lstm__row_fused(loss->kind)(&row) : lstm__row_categorical(&row);
}

static void add_row(const lstm__rows *r, const lstm__loss *loss, int32_t metric, bool fused,
                    const real *p, const float *y, double *sum, double *weight)
{
    switch (metric) {
    case LSTM_METRIC_ACCURACY:
        *sum += row_accuracy(r, loss, p, y);
        *weight += 1;
        break;
    case LSTM_METRIC_TOP_5_ACCURACY:
        *sum += row_in_top_5(r, p, y);
        *weight += 1;
        break;
    case LSTM_METRIC_PRECISION_MICRO:
    case LSTM_METRIC_RECALL_MICRO:
    case LSTM_METRIC_F1_MICRO:
        add_pooled(r, loss, metric, p, y, sum, weight);
        break;
    case LSTM_METRIC_PERPLEXITY:
    case LSTM_METRIC_BITS_PER_CHARACTER:
        *sum += row_entropy(r, loss, fused, p, y);
        *weight += 1;
        break;
    default:
        *sum += row_error(r, loss, metric, p, y);
        *weight += (double)(r->sparse ? r->features : compared(r, loss));
        break;
    }
}

void lstm__metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss,
                      const lstm__batch *batch, double *sum, double *weight)
{
    if (lstm__loss_takes_labels(loss)) {
        lstm__ctc_metric_add(session, metric, loss, batch, sum, weight);
        return;
    }
    if (lstm__metric_is_macro(metric))
        return; /* class_counts.c */
    const bool fused = lstm__loss_is_fused(loss, session->model->outputs[0]);
    const lstm__rows r = lstm__rows_in(session, loss, batch, 0);
    const lstm__view value = lstm__session_port(session, session->model->outputs[0])->value;
    for (size_t t = r.skip; t < r.steps; t++)
        for (size_t b = 0; b < batch->count; b++) {
            const real *p = value.data + (t * batch->count + b) * value.stride;
            const float *y = lstm__rows_target(&r, t, b);
            if ((batch->weights || r.mask) && lstm__rows_weight(&r, t, b) == 0)
                continue;
            add_row(&r, loss, metric, fused, p, y, sum, weight);
        }
}

double lstm__metric_value(int32_t metric, double sum, double weight)
{
    const double mean = weight > 0 ? sum / weight : 0;
    switch (metric) {
    case LSTM_METRIC_RMSE:
        return sqrt(mean);
    case LSTM_METRIC_PERPLEXITY:
        return exp(mean);
    case LSTM_METRIC_BITS_PER_CHARACTER:
        return mean / log(2);
    default:
        return mean;
    }
}
