/* SPDX-License-Identifier: MIT
 * Metrics of the first output, as Keras computes them: sums over a batch that add up over batches.
 * Rows of weight 0 do not count; other weights do not matter.
 */
#include "constants.h"
#include "loss_ctc.h"
#include "loss_rows.h"

#include <math.h>

static size_t largest(size_t count, const real *values)
{
    size_t best = 0;
    for (size_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

static bool has_classes(int32_t kind)
{
    return kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY ||
           kind == LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY || kind == LSTM_LOSS_KL_DIVERGENCE ||
           kind == LSTM_LOSS_CATEGORICAL_HINGE;
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
    if (r->sparse)
        return (double)largest(r->features, p) == (double)y[0];
    if (has_classes(loss->kind)) {
        size_t best = 0;
        for (size_t f = 1; f < r->features; f++)
            if (y[f] > y[best])
                best = f;
        return largest(r->features, p) == best;
    }
    const bool logits = loss->from_logits && (loss->kind == LSTM_LOSS_BINARY_CROSSENTROPY ||
                                              loss->kind == LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY);
    const double threshold = logits ? 0 : 0.5;
    for (size_t f = 0; f < compared(r, loss); f++)
        hits += ((double)p[lstm__loss_prediction(loss, f)] > threshold) == (y[f] > 0.5f);
    return hits / (double)compared(r, loss);
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

lstm_status lstm__metric_check(int32_t metric, const lstm__loss *loss)
{
    const bool labels = lstm__loss_takes_labels(loss);
    const bool good = labels
                          ? metric == LSTM_METRIC_ACCURACY || metric == LSTM_METRIC_LABEL_ERROR_RATE
                          : metric != LSTM_METRIC_LABEL_ERROR_RATE;
    if (good)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_ARGUMENT, "the metric %s does not go with the loss %s%s",
                      lstm__constant_name(LSTM_NAMES_METRIC, metric),
                      lstm__constant_name(LSTM_NAMES_LOSS, loss->kind),
                      labels ? ": accuracy and label_error_rate do" : "");
}

void lstm__metric_add(lstm_session *session, int32_t metric, const lstm__loss *loss,
                      const lstm__batch *batch, double *sum, double *weight)
{
    if (lstm__loss_takes_labels(loss)) {
        lstm__ctc_metric_add(session, metric, loss, batch, sum, weight);
        return;
    }
    const lstm__rows r = lstm__rows_in(session, loss, batch, 0);
    const lstm__view value = lstm__session_port(session, session->model->outputs[0])->value;
    for (size_t t = r.skip; t < r.steps; t++)
        for (size_t b = 0; b < batch->count; b++) {
            const real *p = value.data + (t * batch->count + b) * value.stride;
            const float *y = lstm__rows_target(&r, t, b);
            if ((batch->weights || r.mask) && lstm__rows_weight(&r, t, b) == 0)
                continue;
            if (metric == LSTM_METRIC_ACCURACY) {
                *sum += row_accuracy(&r, loss, p, y);
                *weight += 1;
            } else {
                *sum += row_error(&r, loss, metric, p, y);
                *weight += (double)(r.sparse ? r.features : compared(&r, loss));
            }
        }
}

double lstm__metric_value(int32_t metric, double sum, double weight)
{
    const double mean = weight > 0 ? sum / weight : 0;
    return metric == LSTM_METRIC_RMSE ? sqrt(mean) : mean;
}
