/* SPDX-License-Identifier: MIT
 * A model on its way to an ONNX file.
 */
#ifndef LSTM_IO_ONNX_EXPORT_H
#define LSTM_IO_ONNX_EXPORT_H

#include "graph.h"
#include "onnx_writer.h"

/* Operators are those of this opset; files say IR version 8. */
enum { LSTM__ONNX_OPSET = 17, LSTM__ONNX_IR = 8 };
enum { LSTM__ONNX_NAME = 2 * LSTM__NAME_SIZE, LSTM__ONNX_KEPT = 128 };

typedef struct lstm__onnx_export {
    const lstm_model *model;
    lstm__onnx_writer w;
    bool has_batch; /* the constant "batch" of one number has been put in */
    /* by port (node->port_first + port): the node that makes the mask of the port's value, NULL =
     * it has none */
    const lstm__node **masks;
    size_t made; /* by lstm__onnx_make, whose last names are kept here */
    char names[LSTM__ONNX_KEPT][LSTM__ONNX_NAME];
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

/* The value that an operator without attributes makes of up to three others (NULL = fewer), called
 * NAME:1, NAME:2 …; that name stays valid while LSTM__ONNX_KEPT others are made. */
const char *lstm__onnx_make(lstm__onnx_export *x, const lstm__node *node, const char *op,
                            const char *a, const char *b, const char *c);
/* A name like those, for a node that has attributes or several outputs. */
const char *lstm__onnx_fresh(lstm__onnx_export *x, const lstm__node *node);
/* Constants under such names: whole numbers (rank 1), one number, floats. */
const char *lstm__onnx_integers(lstm__onnx_export *x, const int64_t *values, size_t count);
const char *lstm__onnx_number(lstm__onnx_export *x, float value);
const char *lstm__onnx_floats_of(lstm__onnx_export *x, const lstm__node *node, int rank,
                                 const int64_t *shape, const float *values);
/* A sequence turned round in time. */
void lstm__onnx_turn(lstm__onnx_export *x, const lstm__node *node, const char *from,
                     const char *to);
/* `row`, [1, width], once for every sample. */
const char *lstm__onnx_for_batch(lstm__onnx_export *x, const lstm__node *node, const char *row,
                                 int64_t width, const char *to);

/* The mask of a layer's value, bool (batch, steps, 1); NULL = it has none, whatever the input. */
const char *lstm__onnx_mask(const lstm__onnx_export *x, const lstm_layer *layer,
                            char name[LSTM__ONNX_NAME]);
/* Find out which values have masks; x->masks is the caller's to release. */
lstm_status lstm__onnx_find_masks(lstm__onnx_export *x);
/* Put in what makes the mask that a node gives, after the node. */
void lstm__onnx_put_mask(lstm__onnx_export *x, const lstm__node *node);
lstm_status lstm__onnx_export_masking(lstm__onnx_export *x, const lstm__node *node);
/* x with zeros where the mask leaves a step out; without a mask x itself. */
const char *lstm__onnx_masked(lstm__onnx_export *x, const lstm__node *node, const char *value,
                              const char *mask);
lstm_status lstm__onnx_export_masked_pooling(lstm__onnx_export *x, const lstm__node *node,
                                             const char *mask);

/* Attention in plain operators / a recurrent layer as a Scan, where ONNX' operators do not do. */
lstm_status lstm__onnx_export_attention(lstm__onnx_export *x, const lstm__node *node);
lstm_status lstm__onnx_export_heads(lstm__onnx_export *x, const lstm__node *node);
bool lstm__onnx_needs_scan(const lstm__onnx_export *x, const lstm__node *node);
lstm_status lstm__onnx_export_scan(lstm__onnx_export *x, const lstm__node *node);

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
