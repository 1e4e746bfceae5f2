/* SPDX-License-Identifier: MIT
 * Putting an ONNX model together: messages of protocol buffers, nodes, tensors, ports.
 */
#ifndef LSTM_IO_ONNX_WRITER_H
#define LSTM_IO_ONNX_WRITER_H

#include "context.h"

#include <stdbool.h>

/* Bytes that grow. After a failure nothing more is put in, and lstm__message_check tells. */
typedef struct lstm__message {
    lstm_context *context;
    unsigned char *bytes;
    size_t size, capacity;
    bool failed;
} lstm__message;

void lstm__put_varint(lstm__message *m, uint64_t value);
void lstm__put_number(lstm__message *m, uint32_t field, uint64_t value);
void lstm__put_bytes(lstm__message *m, uint32_t field, const void *bytes, size_t size);
void lstm__put_text(lstm__message *m, uint32_t field, const char *text);
void lstm__put_float(lstm__message *m, uint32_t field, float value);
/* Put a message into another one and empty it. */
void lstm__put_message(lstm__message *m, uint32_t field, lstm__message *part);
void lstm__message_end(lstm__message *m);
lstm_status lstm__message_check(const lstm__message *m);

/* TensorProto.DataType of the tensors and ports written. */
enum { LSTM__ONNX_FLOAT = 1, LSTM__ONNX_INT64 = 7, LSTM__ONNX_BOOL = 9 };

/* A graph being written. One node at a time is open. */
typedef struct lstm__onnx_writer {
    lstm__message graph, node, part, inner, deep, shape, size;
    int constants; /* number of constants without a name of their own so far */
} lstm__onnx_writer;

void lstm__onnx_writer_start(lstm__onnx_writer *w, lstm_context *context);
void lstm__onnx_writer_end(lstm__onnx_writer *w);

/* Open a node; inputs and outputs are lists of names ended by NULL, "" = left out. */
void lstm__onnx_node_open(lstm__onnx_writer *w, const char *op, const char *name,
                          const char *const *inputs, const char *const *outputs);
void lstm__onnx_node_int(lstm__onnx_writer *w, const char *name, int64_t value);
void lstm__onnx_node_float(lstm__onnx_writer *w, const char *name, float value);
void lstm__onnx_node_text(lstm__onnx_writer *w, const char *name, const char *text);
void lstm__onnx_node_ints(lstm__onnx_writer *w, const char *name, const int64_t *values,
                          size_t count);
void lstm__onnx_node_floats(lstm__onnx_writer *w, const char *name, const float *values,
                            size_t count);
void lstm__onnx_node_texts(lstm__onnx_writer *w, const char *name, const char *const *texts,
                           size_t count);
void lstm__onnx_node_close(lstm__onnx_writer *w);

/* A graph inside a node: from `open` on everything goes into it, its ports too, until `close`, which
 * leaves it in *inner; `outer` keeps the other one meanwhile. An attribute of the node that is opened
 * next takes it. In case of an error end *inner or *outer with lstm__message_end. */
void lstm__onnx_graph_open(lstm__onnx_writer *w, lstm__message *outer);
void lstm__onnx_graph_close(lstm__onnx_writer *w, lstm__message *outer, const char *name,
                            lstm__message *inner);
void lstm__onnx_node_graph(lstm__onnx_writer *w, const char *name, lstm__message *inner);

/* A constant array. */
void lstm__onnx_put_tensor(lstm__onnx_writer *w, const char *name, int32_t type, int rank,
                           const int64_t *shape, const void *values, size_t bytes);

/* Whole numbers as a constant, whose name is written to `name`. rank 0 or 1. */
const char *lstm__onnx_put_integers(lstm__onnx_writer *w, char name[32], int rank,
                                    const int64_t *values, size_t count);

/* One float as a constant. */
const char *lstm__onnx_put_number(lstm__onnx_writer *w, char name[32], float value);

/* An input (field 11) or output (12) of the graph: sizes > 0, or 0 with a symbol. */
void lstm__onnx_put_port(lstm__onnx_writer *w, uint32_t field, const char *name, int32_t type,
                         int rank, const int64_t *shape, const char *const *symbols);

#endif
