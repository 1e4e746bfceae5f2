/* SPDX-License-Identifier: MIT
 *
 * Inputs and outputs by name, as `--x NAME=FILE` gives them.
 *
 * A model from an ONNX file carries a note that says how the file called its inputs and outputs and
 * in which order their axes stood there; arrays are then taken and given in that form. Of any other
 * model the names are those of its input layers, and arrays have the usual form.
 */
#ifndef LSTM_CLI_NAMED_PORTS_H
#define LSTM_CLI_NAMED_PORTS_H

#include "arrays.h"

#include <jansson.h>
#include <lstm/lstm.h>

typedef struct named_ports {
    int active;     /* arrays came by name */
    json_t *note;   /* {"inputs": […], "outputs": […]}, or NULL */
    float *lengths; /* of each sample, or NULL */
    size_t lengths_count;
    char lengths_label[256];
} named_ports;

/* Whether the arrays of an option are given by name: its first item is NAME=FILE. */
int named_given(const arguments *line, const char *option);

/* Load the arrays of an option by name, in the order of the model's inputs and in its form. Returns
 * 0, or the exit code after printing the error; release in both cases. */
int named_load(named_ports *out, array_list *list, lstm_context *context, const lstm_model *model,
               const arguments *line, const char *option);
void named_release(named_ports *ports);

/* The number of arrays that the model's outputs are in the file's form; 0 = it has no such form. */
size_t named_output_count(const named_ports *ports);

/* Put output `index` of the file's form together from the model's outputs.
 *   values  [in]  the model's outputs in the usual form, (samples, steps, features)
 *   steps   [in]  of each of them; 0 = a vector
 *   out     [out] with memory of malloc in `data`
 * Returns 0, or the exit code after printing the error. */
int named_output(const named_ports *ports, size_t index, float *const *values, const int64_t *steps,
                 const int64_t *features, int64_t samples, output_array *out);

#endif
