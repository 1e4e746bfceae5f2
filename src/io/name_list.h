/* SPDX-License-Identifier: MIT
 * The names that there are, joined for a message: "Date, Open, Close".
 */
#ifndef LSTM_IO_NAME_LIST_H
#define LSTM_IO_NAME_LIST_H

#include "names.h"

#include <stdbool.h>

typedef struct lstm__name_list {
    lstm__nearest nearest; /* to what was asked for */
    char text[600];        /* cut with "..." when full */
    size_t used;
    bool full;
} lstm__name_list;

/* Start a list for the message that `wanted` is not there / add a name that is. */
void lstm__name_list_start(lstm__name_list *list, const char *wanted);
void lstm__name_list_add(lstm__name_list *list, const char *name);

/* Fail with NOT_FOUND: `PLACE has no WHAT "WANTED"; did you mean "NEAREST"? It has: A, B, C`. */
lstm_status lstm__fail_not_found(const lstm__name_list *list, const char *place, const char *what);

/* Copy at most 40 bytes of a text for a message: control characters and quotes become '?', a cut is
 * shown by "...". */
enum { LSTM__EXCERPT = 48 };
const char *lstm__excerpt(char excerpt[LSTM__EXCERPT], const char *text, size_t length);

#endif
