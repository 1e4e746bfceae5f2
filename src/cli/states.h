/* SPDX-License-Identifier: MIT
 *
 * --state-in and --state-out: the states of all recurrent layers of a model, in PyTorch's shapes:
 * h0, hn (layers, samples, outputs of a step) and c0, cn (LSTM layers, samples, units); directions
 * count as layers, forward first.
 */
#ifndef LSTM_CLI_STATES_H
#define LSTM_CLI_STATES_H

#include "arrays.h"
#include <lstm/lstm.h>

#define STATE_KINDS 2 /* h, c */

typedef struct states {
    size_t layers[STATE_KINDS]; /* that have an h, a c */
    int64_t units[STATE_KINDS];
    size_t inputs, outputs; /* of the model, without those of states */
    int in, out;            /* whether the model has inputs, outputs for states */
    array_list given;       /* h0, c0 */
} states;

/* Replace a model by an equal one with inputs for initial states behind its own, and outputs for
 * last states behind its own, as the command line asks for them. Returns 0, or the exit code after
 * printing the error. */
int states_add(states *out, lstm_model **model, lstm_context *context, const arguments *line);

/* Append the arrays of --state-in to those of the model's own inputs. */
int states_load(states *s, array_list *x, lstm_context *context, const arguments *line);

/* Write the values of the outputs for states, one array each, to --state-out. */
int states_write(const states *s, lstm_context *context, const arguments *line,
                 float *const *values, int64_t samples);

/* Put one array a layer together: "h0" and "c0" of the inputs' gradients. `room` has STATE_KINDS
 * pointers, which the caller frees. */
int states_gather(const states *s, float *const *values, int64_t samples, const char *const *names,
                  output_array *arrays, size_t *count, float **room);
void states_release(states *s);

#endif
