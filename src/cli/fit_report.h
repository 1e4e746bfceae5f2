/* SPDX-License-Identifier: MIT
 *
 * The page of `lstm fit --report`: how the loss and each metric went, epoch by epoch, and with what
 * settings.
 */
#ifndef LSTM_CLI_FIT_REPORT_H
#define LSTM_CLI_FIT_REPORT_H

#include <lstm/lstm.h>

typedef struct fit_report {
    const char *model_path; /* as given on the command line */
    const char *output_path;
    const lstm_model *model;
    const lstm_history *history;
    const lstm_fit_options *options; /* with loss and optimizer_options set */
    int64_t first_epoch;             /* epochs done before this run (resumed from a checkpoint) */
    int64_t samples;
    int64_t validation_samples; /* 0 = none */
    /* [classes][classes] of the trained model, on the validation samples if there are any; NULL = the
     * loss has no classes */
    const int64_t *confusion;
    size_t classes;
    double seconds;
    int64_t steps; /* updates done since training began */
} fit_report;

/* Write the page: one file, no script. Returns 0, or the exit code after printing the error. */
int fit_report_write(const fit_report *report, const char *path);

#endif
