/* SPDX-License-Identifier: MIT
 * An ONNX file as it stands on disk: nodes, tensors, inputs and outputs of its main graph.
 */
#ifndef LSTM_IO_ONNX_GRAPH_H
#define LSTM_IO_ONNX_GRAPH_H

#include "element.h"
#include "protobuf.h"

enum {
    LSTM__ONNX_LEAST_OPSET = 7,
    LSTM__ONNX_MOST_OPSET = 26,
    LSTM__ONNX_PORTS = 64, /* most inputs or outputs of a node */
    LSTM__ONNX_FILES = 8,  /* most files with external data */
    LSTM__ONNX_NONE = -1   /* an input that is left out */
};

/* A constant array. `elements` may have stride 0: one number that stands everywhere. */
typedef struct lstm__onnx_tensor {
    const char *name;
    int rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    lstm__elements elements;
} lstm__onnx_tensor;

typedef struct lstm__onnx_node {
    const char *op, *name, *domain;
    int input_count, output_count;
    int *inputs, *outputs; /* numbers of names; LSTM__ONNX_NONE = left out */
    lstm__cursor message;  /* for its attributes */
} lstm__onnx_node;

/* An input or output of the graph. Sizes: > 0, or 0 = any; `symbols` are the names of those. */
typedef struct lstm__onnx_port {
    int name; /* number */
    int32_t type;
    bool has_shape;
    int rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    const char *symbols[LSTM__MOST_DIMENSIONS];
} lstm__onnx_port;

typedef struct lstm__onnx_graph {
    lstm_context *context;
    const char *path; /* for messages, and where external data lies */
    size_t file_size;
    int64_t opset;
    lstm__onnx_node *nodes;
    size_t node_count, node_capacity;
    lstm__onnx_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    int *tensor_names;
    size_t tensor_name_capacity;
    lstm__onnx_port *inputs, *outputs;
    size_t input_count, input_capacity, output_count, output_capacity;
    /* names of values by number, and a hash table of numbers + 1 */
    const char **names;
    size_t name_count, name_capacity;
    uint32_t *slots;
    size_t slot_count;
    /* where external data lies */
    lstm__file files[LSTM__ONNX_FILES];
    size_t file_count, external_size;
    struct lstm__onnx_block *blocks;
} lstm__onnx_graph;

/* Whether a file that starts with these bytes can be an ONNX model. */
bool lstm__is_onnx(const unsigned char *bytes, size_t size);

/* Read the file; everything in the result points into it or belongs to the graph. End it in any
 * case. */
lstm_status lstm__onnx_read(lstm__onnx_graph *graph, const lstm__file *file);
void lstm__onnx_end(lstm__onnx_graph *graph);

/* Memory that lives as long as the graph, zeroed; NULL = none left (no error text). */
void *lstm__onnx_allocate(lstm__onnx_graph *graph, size_t count, size_t size);

/* Read a TensorProto. */
lstm_status lstm__onnx_read_tensor(lstm__onnx_graph *graph, lstm__cursor message,
                                   lstm__onnx_tensor *tensor);

/* A text of the file, copied: UTF-8 without control characters, at most 4096 bytes. */
lstm_status lstm__onnx_text(lstm__onnx_graph *graph, const lstm__field *field, const char **text);

/* Attributes of a node; each call finds the one called `name`. Missing ones leave the value as it
 * is. FORMAT if an attribute has another type. */
bool lstm__onnx_has_attribute(const lstm__onnx_node *node, const char *name);
lstm_status lstm__onnx_int(const lstm__onnx_node *node, const char *name, int64_t *value);
lstm_status lstm__onnx_float(const lstm__onnx_node *node, const char *name, float *value);
/* Lists: at most `capacity` entries are stored, more are an error; *count = how many there are. */
lstm_status lstm__onnx_ints(const lstm__onnx_node *node, const char *name, int64_t *values,
                            int capacity, int *count);
lstm_status lstm__onnx_floats(const lstm__onnx_node *node, const char *name, float *values,
                              int capacity, int *count);
/* A text, at most 63 bytes / the text number `index` of a list; *found says if there is one. */
lstm_status lstm__onnx_string(const lstm__onnx_node *node, const char *name, char text[64]);
lstm_status lstm__onnx_strings(const lstm__onnx_node *node, const char *name, int index,
                               char text[64], bool *found);
lstm_status lstm__onnx_tensor_attribute(lstm__onnx_graph *graph, const lstm__onnx_node *node,
                                        const char *name, lstm__onnx_tensor *tensor, bool *found);
/* Fail with UNSUPPORTED unless every attribute is one of `known` (NULL-ended). */
lstm_status lstm__onnx_check_attributes(const lstm__onnx_node *node, const char *const *known);

#endif
