/* SPDX-License-Identifier: MIT
 *
 * One training run after the command line of `lstm fit`: for that command, and for the trials of
 * `lstm tune`.
 *
 * Everything that can be wrong is looked at by fit_job_prepare, before the first update: options,
 * files, shapes, and whether the output files can be written at all.
 */
#ifndef LSTM_CLI_FIT_JOB_H
#define LSTM_CLI_FIT_JOB_H

#include "arguments.h"
#include "dataset.h"
#include "progress.h"
#include "training_options.h"

#define METRIC_LIMIT 16

typedef struct fit_job {
    const arguments *line;
    loaded main; /* model and training data */
    array_list val_x, val_y;
    dataset validation;
    lstm_files *files, *validation_files; /* of --stream, instead of arrays */
    float *class_weights;
    loss_choice loss;
    optimizer_choice optimizer;
    int32_t metrics[METRIC_LIMIT];
    lstm_fit_options options; /* points into this struct, which must stay where it is */
    lstm_history *history;
    progress show;
} fit_job;

/* Options of data and training, which `lstm fit` and `lstm tune` share. */
extern const option_spec fit_shared_options[];

/* Read options, model and arrays. Returns 0, or the exit code after printing the error; release in
 * both cases. */
int fit_job_prepare(fit_job *job, const arguments *line);

/* --stream: check that nothing is asked for that needs arrays in memory, and open the files. Part of
 * fit_job_prepare. */
int stream_check(const arguments *line);
int stream_open(fit_job *job);

/* Train. Returns 0, or the exit code after printing the error. */
int fit_job_train(fit_job *job);

/* The confusion matrix of the trained model on the validation data, or on the training data where there
 * are none: [classes][classes], of malloc. *matrix NULL = the loss has no classes. Returns 0, or the
 * exit code after printing the error. */
int fit_job_confusion(fit_job *job, int64_t **matrix, size_t *classes);

/* How many of the samples train: the others are --validation-split's, as lstm_fit counts. */
int64_t fit_job_trained(const fit_job *job);

void fit_job_release(fit_job *job);

#endif
