/* SPDX-License-Identifier: MIT
 * Precision = right / predicted, recall = right / actual, F1 = 2 right / (predicted + actual), 0
 * where that is 0 / 0; the macro metrics are the means over classes, as scikit-learn has them: of
 * exclusive classes those that are neither in the targets nor predicted are left out.
 */
#include "class_counts.h"
#include "loss_rows.h"
#include "row_classes.h"

#include <string.h>

bool lstm__metric_is_macro(int32_t metric)
{
    return metric == LSTM_METRIC_PRECISION || metric == LSTM_METRIC_RECALL ||
           metric == LSTM_METRIC_F1;
}

static size_t features_of(const lstm_model *model)
{
    const lstm_layer *layer = model->outputs[0];
    return (size_t)layer->node->shapes[layer->port].features;
}

size_t lstm__class_counts_needed(const lstm_model *model, const lstm__loss *loss,
                                 const int32_t *metrics, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (lstm__metric_is_macro(metrics[k]))
            return lstm__loss_is_class(loss) ? features_of(model)
                                             : lstm__loss_target_features(loss, features_of(model));
    return 0;
}

size_t lstm__confusion_size(const lstm_model *model, const lstm__loss *loss)
{
    const size_t features = features_of(model);
    if (lstm__loss_takes_labels(loss))
        return 0;
    if (lstm__loss_is_class(loss))
        return features;
    return lstm__loss_target_features(loss, features) == 1 ? 2 : 0;
}

lstm_status lstm__class_counts_create(lstm__class_counts *counts, const lstm_model *model,
                                      const lstm__loss *loss, size_t classes)
{
    *counts = (lstm__class_counts){.classes = classes, .one_of_all = lstm__loss_is_class(loss)};
    if (classes == 0)
        return LSTM_OK;
    size_t count = 0;
    counts->values = lstm__mul(classes, 3, &count)
                         ? lstm__allocate_array(model->context, count, sizeof *counts->values)
                         : NULL;
    if (!counts->values)
        return lstm__fail_memory(count * sizeof *counts->values, "the counts of the classes");
    lstm__class_counts_clear(counts);
    return LSTM_OK;
}

void lstm__class_counts_release(lstm__class_counts *counts, const lstm_model *model)
{
    lstm__release(model->context, counts->values);
    *counts = (lstm__class_counts){0};
}

void lstm__class_counts_clear(lstm__class_counts *counts)
{
    if (counts->values)
        memset(counts->values, 0, 3 * counts->classes * sizeof *counts->values);
    if (counts->matrix)
        memset(counts->matrix, 0,
               counts->matrix_size * counts->matrix_size * sizeof *counts->matrix);
}

static void count_row(lstm__class_counts *counts, const lstm__rows *r, const lstm__loss *loss,
                      const real *p, const float *y)
{
    double *right = counts->values;
    double *predicted = right + counts->classes;
    double *actual = predicted + counts->classes;
    if (counts->one_of_all) {
        const size_t found = lstm__row_largest(r->features, p);
        const size_t wanted = lstm__row_class(r, y);
        if (counts->classes > 0) {
            right[found] += found == wanted;
            predicted[found]++;
            actual[wanted]++;
        }
        if (counts->matrix)
            counts->matrix[wanted * counts->matrix_size + found]++;
        return;
    }
    for (size_t f = 0; f < r->target_features && f < r->features; f++) {
        const bool found = lstm__row_is_positive(loss, p[lstm__loss_prediction(loss, f)]);
        const bool wanted = y[f] > 0.5f;
        if (counts->classes > 0) {
            right[f] += found && wanted;
            predicted[f] += found;
            actual[f] += wanted;
        }
        if (counts->matrix)
            counts->matrix[(size_t)wanted * 2 + (size_t)found]++;
    }
}

void lstm__class_counts_add(lstm__class_counts *counts, lstm_session *session,
                            const lstm__loss *loss, const lstm__batch *batch)
{
    if (counts->classes == 0 && !counts->matrix)
        return;
    const lstm__rows r = lstm__rows_in(session, loss, batch, 0);
    const lstm__view value = lstm__session_port(session, session->model->outputs[0])->value;
    for (size_t t = r.skip; t < r.steps; t++)
        for (size_t b = 0; b < batch->count; b++)
            if ((!batch->weights && !r.mask) || lstm__rows_weight(&r, t, b) > 0)
                count_row(counts, &r, loss, value.data + (t * batch->count + b) * value.stride,
                          lstm__rows_target(&r, t, b));
}

double lstm__class_counts_value(const lstm__class_counts *counts, int32_t metric)
{
    const size_t n = counts->classes;
    double sum = 0;
    size_t seen = 0;
    for (size_t c = 0; c < n; c++) {
        const double right = counts->values[c];
        const double predicted = counts->values[n + c];
        const double actual = counts->values[2 * n + c];
        const double top = metric == LSTM_METRIC_F1 ? 2 * right : right;
        const double divisor = metric == LSTM_METRIC_PRECISION ? predicted
                               : metric == LSTM_METRIC_RECALL  ? actual
                                                               : predicted + actual;
        sum += divisor > 0 ? top / divisor : 0;
        seen += !counts->one_of_all || predicted > 0 || actual > 0;
    }
    return seen > 0 ? sum / (double)seen : 0;
}
