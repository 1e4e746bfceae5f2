/* SPDX-License-Identifier: MIT
 * Names with suggestions: "unknown layer type 'LTSM'; did you mean 'LSTM'?".
 */
#ifndef LSTM_BASE_NAMES_H
#define LSTM_BASE_NAMES_H

#include "status.h"

typedef struct lstm__name {
    const char *name;
    int32_t value;
} lstm__name;

/* Compare without regard to ASCII case: 0 when equal. */
int lstm__compare_names(const char *a, const char *b);

/* Find `name` in a table ended by {NULL, 0} (first match wins). NULL if absent. */
const lstm__name *lstm__find_name(const lstm__name *table, const char *name);

/* The number of edits (insert, delete, replace, swap neighbours) between two names, at most 127
 * bytes each compared. */
size_t lstm__edit_distance(const char *a, const char *b);

/* Collects candidates one by one and keeps the nearest to `wanted`. */
typedef struct lstm__nearest {
    const char *wanted;
    const char *best; /* NULL until a candidate is near enough to be worth suggesting */
    size_t distance;
} lstm__nearest;
void lstm__nearest_start(lstm__nearest *nearest, const char *wanted);
void lstm__nearest_offer(lstm__nearest *nearest, const char *candidate);

/* Fail with NOT_FOUND: `unknown WHAT "NAME"; did you mean "BEST"?` (or without the question). */
lstm_status lstm__fail_unknown(const lstm__nearest *nearest, const char *what);

#endif
