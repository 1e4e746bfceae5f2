/* SPDX-License-Identifier: MIT
 * Metrics that need counts of each class: precision, recall, F1 and the confusion matrix.
 */
#ifndef LSTM_NN_CLASS_COUNTS_H
#define LSTM_NN_CLASS_COUNTS_H

#include "losses.h"

/* Counts of the first output over all batches so far. Where an output says one class of several, a
 * row is that class; else each feature is a class of its own that is there or not. */
typedef struct lstm__class_counts {
    size_t classes;  /* 0 = nothing is counted */
    double *values;  /* [3][classes]: right, predicted, actual */
    bool one_of_all; /* a row is one class of all: those never seen are left out of means */
    /* [matrix_size][matrix_size]: rows are actual, columns predicted; NULL = not wanted */
    int64_t *matrix;
    size_t matrix_size;
} lstm__class_counts;

/* Classes to count for these metrics; 0 = none of them needs it. */
size_t lstm__class_counts_needed(const lstm_model *model, const lstm__loss *loss,
                                 const int32_t *metrics, size_t count);

/* Allocate for `classes` classes (0: nothing), all 0. */
lstm_status lstm__class_counts_create(lstm__class_counts *counts, const lstm_model *model,
                                      const lstm__loss *loss, size_t classes);
void lstm__class_counts_release(lstm__class_counts *counts, const lstm_model *model);
void lstm__class_counts_clear(lstm__class_counts *counts);

/* Size of the confusion matrix of the first output; 0 = it has none. */
size_t lstm__confusion_size(const lstm_model *model, const lstm__loss *loss);

/* Count the batch of the latest forward pass. */
void lstm__class_counts_add(lstm__class_counts *counts, lstm_session *session,
                            const lstm__loss *loss, const lstm__batch *batch);

/* Whether a metric comes from counts, and its value. */
bool lstm__metric_is_macro(int32_t metric);
double lstm__class_counts_value(const lstm__class_counts *counts, int32_t metric);

#endif
