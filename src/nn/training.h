/* SPDX-License-Identifier: MIT
 * The training loop: epochs, batches, validation, early stopping, history, and a position that can
 * be saved and taken up again to the bit, in the middle of an epoch too.
 */
#ifndef LSTM_NN_TRAINING_H
#define LSTM_NN_TRAINING_H

#include "class_counts.h"
#include "losses.h"
#include "optimizer.h"
#include "pieces.h"
#include "source.h"

enum { LSTM__METRICS = 16, LSTM__COLUMNS = 2 * (LSTM__METRICS + 1) + 1, LSTM__COLUMN_NAME = 48 };

/* One row of values an epoch. */
struct lstm_history {
    lstm_context *context;
    size_t columns;
    char names[LSTM__COLUMNS][LSTM__COLUMN_NAME];
    double *values; /* [epochs][columns] */
    size_t epochs, capacity;
    size_t best;
};

lstm_status lstm__history_create(lstm_history **out, lstm_context *context);
void lstm__history_destroy(lstm_history *history);
lstm_status lstm__history_append(lstm_history *history, const double *values);

/* Sums of a pass over data. */
typedef struct lstm__sums {
    double loss, loss_weight;
    double metric[LSTM__METRICS], metric_weight[LSTM__METRICS];
    double norm, norms; /* of the gradients, and how many: training only */
} lstm__sums;

/* Where training stands: what, together with parameters, moments and best weights, makes a resume
 * exact. */
typedef struct lstm__position {
    int64_t epoch; /* completed */
    int64_t batch; /* completed in the current epoch; where sequences are cut: pieces of batches */
    int64_t step;  /* updates in all */
    int64_t best_epoch;
    int64_t waiting; /* epochs without an improvement */
    int64_t stopped; /* 1 = early stopping has ended it */
    double best;
    lstm__sums sums; /* of the current epoch */
} lstm__position;

typedef struct lstm__training {
    lstm_model *model;
    lstm_optimizer *optimizer;
    lstm_history *history;
    lstm__loss loss;
    int32_t metrics[LSTM__METRICS];
    size_t metric_count;
    lstm__batch data;       /* arrays, samples, layout, steps; order and range unused */
    size_t samples;         /* the first `samples` of data are trained on */
    lstm__batch validation; /* first .. first + count - 1 of its arrays; count 0 = none */
    size_t batch_size;
    /* instead of the arrays of data and validation, whose samples and steps still say how many there
     * are; NULL = arrays. The same source may be both */
    lstm__source *source, *validation_source;
    size_t bucket_batches; /* batches of a group that is sorted by length; 0 = none */
    lstm__pieces pieces;   /* how sequences are cut; count 0 = not at all */
    /* what was carried when the last checkpoint was written inside an epoch, or read */
    lstm__states states;
    int64_t epochs, max_steps;
    bool shuffle, restore_best, recompute;
    int64_t patience; /* 0 = no early stopping */
    double min_delta;
    uint64_t seed;
    double weight_noise; /* standard deviation, 0 = none */
    bool gradient_norms; /* a column of the history */
    real *best_values;   /* laid out like model->values; NULL = not kept */
    lstm__position position;
    lstm__class_counts counts;            /* of the current epoch, part of the position */
    lstm__class_counts validation_counts; /* of a pass over the validation data */
    int32_t (*progress)(void *user, const lstm_progress *progress);
    void *progress_user;
    /* Files for the last and for the best state; NULL = none. The last one is written after every
     * checkpoint_every epochs, unless the one before is younger than checkpoint_seconds */
    const char *checkpoint, *checkpoint_best;
    int64_t checkpoint_every;
    double checkpoint_seconds;
    lstm_status (*write_checkpoint)(const char *path, const struct lstm__training *training);
} lstm__training;

/* Name the history's columns: loss, metrics, and the same with val_ in front where there is
 * validation data; then gradient_norm, where it is wanted. */
void lstm__training_name_columns(lstm__training *training);

/* Samples of the largest batch / batches, or pieces of batches, in an epoch. */
size_t lstm__training_largest_batch(const lstm__training *training);
size_t lstm__training_batches(const lstm__training *training);

/* Run from training->position to the end. */
lstm_status lstm__training_run(lstm__training *training);

/* The loss and each metric from what has been added up. */
void lstm__metric_values(const lstm__sums *sums, const lstm__class_counts *counts,
                         const int32_t *metrics, size_t count, double *values);

/* Loss and metrics over data->first .. + data->count, without training; of a source's samples unless
 * `source` is NULL. */
lstm_status lstm__evaluate(lstm_session *session, const lstm__loss *loss, const int32_t *metrics,
                           size_t metric_count, const lstm__batch *data, size_t batch_size,
                           lstm__source *source, lstm__sums *sums, lstm__class_counts *counts);

#endif
