/* SPDX-License-Identifier: MIT
 * Learning-rate schedules: the rate of an update, and the state of the one that watches the loss.
 */
#ifndef LSTM_NN_SCHEDULE_H
#define LSTM_NN_SCHEDULE_H

#include "status.h"

#include <stdbool.h>

/* What a plateau schedule remembers. Doubles, as they stand in a checkpoint. */
typedef struct lstm__plateau {
    /* product of the factors so far: the rate is base * reduced, not below the minimum */
    double reduced;
    double best;
    double seen;     /* 0 until there is a best */
    double waiting;  /* epochs without an improvement */
    double cooldown; /* epochs of rest left */
} lstm__plateau;

/* Check options and fill in the profile's defaults. */
lstm_status lstm__schedule_read(lstm_schedule_options *out, const lstm_schedule_options *options,
                                int32_t profile);

/* The rate of update t (from 0) for a base rate. */
double lstm__schedule_rate(const lstm_schedule_options *schedule, const lstm__plateau *plateau,
                           double base, int64_t t);

/* The momentum of update t where the schedule cycles it, else `momentum`. */
double lstm__schedule_momentum(const lstm_schedule_options *schedule, double momentum, int64_t t);

/* The loss at the end of an epoch. */
void lstm__schedule_watch(const lstm_schedule_options *schedule, lstm__plateau *plateau,
                          int32_t profile, double base, double loss);

#endif
