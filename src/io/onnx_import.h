/* SPDX-License-Identifier: MIT
 * From an ONNX graph to a model: what the values of the graph stand for while its nodes are
 * translated one by one.
 *
 * A value is a constant, or what some layers give. Axes of the latter say what they are, so that
 * Transpose, Squeeze, Reshape and the like only rename axes. Sizes that are free in the file get
 * probe sizes: the arithmetic of shapes (Shape, Gather, Concat, Mul …) then runs on plain numbers.
 */
#ifndef LSTM_IO_ONNX_IMPORT_H
#define LSTM_IO_ONNX_IMPORT_H

#include "graph.h"
#include "onnx_graph.h"

enum { LSTM__ONNX_PROBE_BATCH = 10007, LSTM__ONNX_PROBE_STEPS = 10009, LSTM__ONNX_PARTS = 64 };

enum {
    LSTM__VALUE_NONE = 0,
    LSTM__VALUE_CONSTANT,
    LSTM__VALUE_LAYERS,
    LSTM__VALUE_LENGTHS /* an input that gives the length of each sample */
};

/* What an axis of a value of layers is. PART: one of several layers side by side (directions);
 * ROWS: samples and steps in one axis, samples outside (BATCH_STEP) or inside. */
enum {
    LSTM__AXIS_ONE = 1,
    LSTM__AXIS_BATCH,
    LSTM__AXIS_STEP,
    LSTM__AXIS_PART,
    LSTM__AXIS_FEATURE,
    LSTM__AXIS_BATCH_STEP,
    LSTM__AXIS_STEP_BATCH
};

/* A layer, perhaps to be turned round in time. */
typedef struct lstm__onnx_part {
    const lstm_layer *layer;
    bool turned;
} lstm__onnx_part;

typedef struct lstm__onnx_value {
    int kind;
    int rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    int axis[LSTM__MOST_DIMENSIONS];
    lstm__elements elements;
    /* features of the parts one behind the other, or, with an axis PART, the parts along it */
    lstm__onnx_part *parts;
    int part_count;
    bool is_state; /* the last h or c */
    bool whole;    /* whole numbers: tokens */
    size_t input;  /* of LENGTHS: number of the graph's input */
} lstm__onnx_value;

/* Values of a parameter, known before the model is built. */
typedef struct lstm__onnx_assignment {
    const lstm__node *node;
    size_t parameter;
    const float *values;
    size_t count;
} lstm__onnx_assignment;

typedef struct lstm__onnx_import {
    lstm__onnx_graph *graph;
    lstm_model *model;
    lstm__onnx_value *values; /* by number of the name */
    int *readers;             /* needed nodes and outputs that read each value */
    int *single_readers;      /* of a value that one node reads: that node; else -1 */
    bool *needed, *done;      /* by node; done: translated together with an earlier one */
    const lstm__onnx_node *node;
    lstm__onnx_assignment *assignments;
    size_t assignment_count, assignment_capacity;
    int lengths; /* number of the value that gives lengths, or LSTM__ONNX_NONE */
    bool has_cells, cells_without_lengths;
    size_t made;          /* bytes of constants that translating has made */
    int64_t batch, steps; /* sizes that free axes stand for */
} lstm__onnx_import;

typedef lstm_status (*lstm__onnx_translate)(lstm__onnx_import *import, const lstm__onnx_node *node);
typedef struct lstm__onnx_operator {
    const char *op;
    lstm__onnx_translate translate;
} lstm__onnx_operator;

/* Tables of operators, ended by NULL, one a file. */
extern const lstm__onnx_operator lstm__onnx_shape_operators[];
extern const lstm__onnx_operator lstm__onnx_constant_operators[];
extern const lstm__onnx_operator lstm__onnx_cell_operators[];
extern const lstm__onnx_operator lstm__onnx_layer_operators[];
extern const lstm__onnx_operator lstm__onnx_window_operators[];

/* Input `k` of a node, NULL = left out / its output, NULL = nobody wants it. */
lstm__onnx_value *lstm__onnx_input(lstm__onnx_import *import, const lstm__onnx_node *node, int k);
lstm__onnx_value *lstm__onnx_output(lstm__onnx_import *import, const lstm__onnx_node *node, int k);
/* Whether a value is there and is a constant / is what layers give. */
bool lstm__onnx_is_constant(const lstm__onnx_value *value);
bool lstm__onnx_is_layers(const lstm__onnx_value *value);
/* Whether every input that is there is a constant. */
bool lstm__onnx_all_constant(lstm__onnx_import *import, const lstm__onnx_node *node);

/* Fail with UNSUPPORTED; operator and name of the node come before the text where translating ends. */
lstm_status lstm__onnx_refuse(const lstm__onnx_node *node, const char *format, ...)
    LSTM__PRINTF(2, 3);

/* The numbers of a constant: floats, owned by the graph / at most `capacity` whole numbers. */
lstm_status lstm__onnx_read_floats(lstm__onnx_import *import, const lstm__onnx_value *value,
                                   float **floats);
lstm_status lstm__onnx_read_integers(const lstm__onnx_node *node, const lstm__onnx_value *value,
                                     int64_t *numbers, int capacity, int *count);
size_t lstm__onnx_count(const lstm__onnx_value *value);

/* The place of an axis of this kind, -1 = none. */
int lstm__onnx_axis(const lstm__onnx_value *value, int kind);
/* "(batch, steps, features 6)" */
const char *lstm__onnx_describe(const lstm__onnx_value *value, char text[160]);

/* The one layer that gives a value: parts are joined, turned ones turned round. */
lstm_status lstm__onnx_join(lstm__onnx_import *import, lstm__onnx_value *value,
                            const lstm_layer **layer);

/* Let `out` be what a layer gives, with the axes of `like` but the layer's own features. */
lstm_status lstm__onnx_set_layer(lstm__onnx_import *import, lstm__onnx_value *out,
                                 const lstm__onnx_value *like, const lstm_layer *layer);
lstm_status lstm__onnx_set_parts(lstm__onnx_import *import, lstm__onnx_value *out, int count,
                                 const lstm__onnx_part *parts);

/* Add a layer named after the node. */
lstm_status lstm__onnx_add(lstm__onnx_import *import, const lstm__layer_class *class,
                           const void *options, const lstm_layer *const *inputs, int count,
                           lstm_layer **out);

/* Note values of a layer's parameter, in our shape; they stay the graph's. */
lstm_status lstm__onnx_assign(lstm__onnx_import *import, const lstm_layer *layer, size_t parameter,
                              const float *values, size_t count);

/* Normalise an axis of a value of `rank` axes; -1 = the last. */
lstm_status lstm__onnx_normalize_axis(const lstm__onnx_node *node, int64_t axis, int rank,
                                      int *out);

/* Whether the file uses lengths: layers then look at padding as at any other step. */
bool lstm__onnx_has_lengths(const lstm__onnx_import *import);

#endif
