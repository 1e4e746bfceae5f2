/* SPDX-License-Identifier: MIT
 * Names of the public constants, for files, messages and the command line.
 */
#ifndef LSTM_NN_CONSTANTS_H
#define LSTM_NN_CONSTANTS_H

#include "names.h"

/* The table of a set LSTM_NAMES_*, ended by {NULL, 0}, or NULL. The first name of a value is the
 * preferred one. */
const lstm__name *lstm__constant_names(int32_t set);

/* The preferred name; NULL if there is none. */
const char *lstm__constant_name(int32_t set, int32_t value);

/* The constant of a name; NOT_FOUND suggests the nearest. */
lstm_status lstm__constant_find(int32_t set, const char *name, int32_t *value);

/* Check an option that is a constant of a set: 0 becomes `standard`. `what` names it in the
 * message. */
lstm_status lstm__read_constant(int32_t *value, int32_t standard, int32_t set, const char *what);

#endif
