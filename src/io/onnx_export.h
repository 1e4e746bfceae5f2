/* SPDX-License-Identifier: MIT
 * A model on its way to an ONNX file.
 */
#ifndef LSTM_IO_ONNX_EXPORT_H
#define LSTM_IO_ONNX_EXPORT_H

#include "graph.h"
#include "onnx_writer.h"

/* Operators are those of this opset; files say IR version 8. */
enum { LSTM__ONNX_OPSET = 17, LSTM__ONNX_IR = 8 };
enum { LSTM__ONNX_NAME = 2 * LSTM__NAME_SIZE };

typedef struct lstm__onnx_export {
    const lstm_model *model;
    lstm__onnx_writer w;
    bool has_batch; /* the constant "batch" of one number has been put in */
} lstm__onnx_export;

/* How the value of a port is called: NAME, NAME:h, NAME:c. */
const char *lstm__onnx_value_name(const lstm_layer *layer, char name[LSTM__ONNX_NAME]);
/* A name for something between: NAME:what. */
const char *lstm__onnx_between(const lstm__node *node, const char *what,
                               char name[LSTM__ONNX_NAME]);

/* One node with up to two inputs (NULL = fewer) and one output; attributes follow, then close. */
void lstm__onnx_open(lstm__onnx_export *x, const lstm__node *node, const char *op,
                     const char *first, const char *second, const char *output);
/* The same without attributes. */
void lstm__onnx_simple(lstm__onnx_export *x, const lstm__node *node, const char *op,
                       const char *first, const char *second, const char *output);
void lstm__onnx_transpose(lstm__onnx_export *x, const lstm__node *node, const char *input,
                          const char *output, const int64_t *order, size_t count);

/* A float tensor called NAME:what; `name` receives that. */
const char *lstm__onnx_floats_out(lstm__onnx_export *x, const lstm__node *node, const char *what,
                                  int rank, const int64_t *shape, const float *values,
                                  char name[LSTM__ONNX_NAME]);

/* How ONNX says an activation. */
typedef struct lstm__onnx_formula {
    const char *op;
    bool alone, in_cells; /* is an operator / may be one of a recurrent node's activations */
    int numbers;          /* alpha, or alpha and beta */
    float number[2];
} lstm__onnx_formula;

/* false = not at all. */
bool lstm__onnx_formula_of(lstm__activation activation, lstm__onnx_formula *formula);

/* Put an activation between two values; linear is Identity. */
lstm_status lstm__onnx_activate(lstm__onnx_export *x, const lstm__node *node,
                                lstm__activation activation, const char *input, const char *output);

/* The size of the batch as a constant of one number, "batch:size". */
const char *lstm__onnx_batch(lstm__onnx_export *x);

/* Fail with UNSUPPORTED: ONNX cannot say WHAT of this layer. */
lstm_status lstm__onnx_cannot(const lstm__node *node, const char *what);

/* The values of a parameter as they are stored: rows x columns. */
static inline const float *lstm__stored(const lstm__node *node, size_t parameter)
{
    return node->model->values + node->model->parameters[node->parameter_first + parameter].offset;
}

/* Recurrent layers / all others. */
lstm_status lstm__onnx_export_cell(lstm__onnx_export *x, const lstm__node *node);
lstm_status lstm__onnx_export_layer(lstm__onnx_export *x, const lstm__node *node);

/* Whether a node is a recurrent layer / one whose states go in and out of the graph. */
bool lstm__onnx_is_cell(const lstm__node *node);
bool lstm__onnx_is_stateful(const lstm__node *node);

#endif
