/* SPDX-License-Identifier: MIT
 *
 * `lstm fit --folds` and `--walk-forward`: the same training on several parts of the data, and what
 * it gives on the parts left out; `lstm fit --find-rate`: the learning-rate range test.
 */
#ifndef LSTM_CLI_FIT_FOLDS_H
#define LSTM_CLI_FIT_FOLDS_H

#include "fit_job.h"

/* 1 if the command line asks for folds. */
int folds_wanted(const arguments *line);

/* Check options that do not go with folds or the range test. Returns 0, or EXIT_USE after printing
 * which. */
int folds_check(const arguments *line);

/* Train a new model on each fold and print a table, or with --log-format json one object a fold and
 * one with means and standard deviations. Returns 0, or the exit code after printing the error. */
int folds_run(fit_job *job);

/* Run the range test, write its page and print what it found. */
int rate_find(fit_job *job, const char *path);

#endif
