/* SPDX-License-Identifier: MIT
 * Back-propagation of a small model against a finite difference along one random direction of all its
 * parameters and inputs together, in double (LSTM__DOUBLE): four forward passes a case, so that
 * thousands of cases take a second. An element whose gradient is wrong by e is seen if e is above
 * 1e-8 of the norm of the whole gradient.
 *
 * Fourth-order central differences as in gradient_problem.h with h = 2^-12 an element; where the two
 * disagree h = 2^-20 and other directions are tried, for a bend of the function may lie inside the
 * difference. What disagrees along all of them is wrong, and then the same is done for each
 * parameter alone, to name it.
 */
#ifndef LSTM_TESTS_GRADIENT_DIRECTION_H
#define LSTM_TESTS_GRADIENT_DIRECTION_H

#include "session.h"

#include <stdbool.h>

/* Which steps of the sequences are there. */
enum {
    PADDING_NONE,
    PADDING_LENGTHS, /* unsorted, from 0 to all steps; taken in the order that pays */
    PADDING_HOLES,
    PADDING_LEADING, /* the first steps are not there */
    PADDING_ALL,     /* no step is */
    PADDINGS
};

typedef struct gradient_case {
    int padding;
    size_t batch;
    int64_t steps; /* of inputs with a free number of steps */
} gradient_case;

/* Build a model, check its gradients and release it. "" or what is wrong: valid until the next call.
 */
const char *check_direction(lstm_model *model, const gradient_case *how);

#endif
