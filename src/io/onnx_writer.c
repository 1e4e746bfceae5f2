/* SPDX-License-Identifier: MIT
 * Messages of protocol buffers, from the inside out: a part is put together in a buffer of its own
 * and then copied behind its length. See protobuf.c for the format.
 */
#include "onnx_writer.h"
#include "protobuf.h"

#include <stdio.h>
#include <string.h>

static void append(lstm__message *m, const void *bytes, size_t size)
{
    if (m->failed || size == 0)
        return;
    if (size > PTRDIFF_MAX - m->size ||
        lstm__grow(m->context, (void **)&m->bytes, &m->capacity, m->size + size, 1) != LSTM_OK) {
        m->failed = true;
        return;
    }
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

void lstm__put_varint(lstm__message *m, uint64_t value)
{
    unsigned char bytes[10];
    size_t size = 0;
    for (; value >= 128; value >>= 7)
        bytes[size++] = (unsigned char)(value | 128);
    bytes[size++] = (unsigned char)value;
    append(m, bytes, size);
}

static void key(lstm__message *m, uint32_t field, int wire)
{
    lstm__put_varint(m, (uint64_t)field << 3 | (unsigned)wire);
}

void lstm__put_number(lstm__message *m, uint32_t field, uint64_t value)
{
    key(m, field, LSTM__WIRE_VARINT);
    lstm__put_varint(m, value);
}

void lstm__put_bytes(lstm__message *m, uint32_t field, const void *bytes, size_t size)
{
    key(m, field, LSTM__WIRE_BYTES);
    lstm__put_varint(m, size);
    append(m, bytes, size);
}

void lstm__put_text(lstm__message *m, uint32_t field, const char *text)
{
    lstm__put_bytes(m, field, text, strlen(text));
}

void lstm__put_float(lstm__message *m, uint32_t field, float value)
{
    key(m, field, LSTM__WIRE_FIXED32);
    append(m, &value, sizeof value);
}

void lstm__put_message(lstm__message *m, uint32_t field, lstm__message *part)
{
    m->failed = m->failed || part->failed;
    lstm__put_bytes(m, field, part->bytes, part->size);
    part->size = 0;
}

void lstm__message_end(lstm__message *m)
{
    if (m->context)
        lstm__release(m->context, m->bytes);
    *m = (lstm__message){0};
}

lstm_status lstm__message_check(const lstm__message *m)
{
    return m->failed ? lstm__fail_memory(m->size, "the ONNX file") : LSTM_OK;
}

/* ---- Graph */

void lstm__onnx_writer_start(lstm__onnx_writer *w, lstm_context *context)
{
    *w = (lstm__onnx_writer){.constants = 0};
    w->graph.context = w->node.context = w->part.context = w->inner.context = context;
    w->deep.context = w->shape.context = w->size.context = context;
}

void lstm__onnx_writer_end(lstm__onnx_writer *w)
{
    lstm__message_end(&w->graph);
    lstm__message_end(&w->node);
    lstm__message_end(&w->part);
    lstm__message_end(&w->inner);
    lstm__message_end(&w->deep);
    lstm__message_end(&w->shape);
    lstm__message_end(&w->size);
}

void lstm__onnx_node_open(lstm__onnx_writer *w, const char *op, const char *name,
                          const char *const *inputs, const char *const *outputs)
{
    for (; *inputs; inputs++)
        lstm__put_text(&w->node, 1, *inputs);
    for (; *outputs; outputs++)
        lstm__put_text(&w->node, 2, *outputs);
    if (name && name[0])
        lstm__put_text(&w->node, 3, name);
    lstm__put_text(&w->node, 4, op);
}

/* AttributeProto: name 1, type 20; 1 float, 2 int, 3 text, 6 floats, 7 ints, 8 texts. */
static void attribute(lstm__onnx_writer *w, const char *name, uint64_t type)
{
    lstm__put_text(&w->part, 1, name);
    lstm__put_number(&w->part, 20, type);
}

void lstm__onnx_node_int(lstm__onnx_writer *w, const char *name, int64_t value)
{
    attribute(w, name, 2);
    lstm__put_number(&w->part, 3, (uint64_t)value);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_float(lstm__onnx_writer *w, const char *name, float value)
{
    attribute(w, name, 1);
    lstm__put_float(&w->part, 2, value);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_text(lstm__onnx_writer *w, const char *name, const char *text)
{
    attribute(w, name, 3);
    lstm__put_text(&w->part, 4, text);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_ints(lstm__onnx_writer *w, const char *name, const int64_t *values,
                          size_t count)
{
    attribute(w, name, 7);
    for (size_t k = 0; k < count; k++)
        lstm__put_number(&w->part, 8, (uint64_t)values[k]);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_floats(lstm__onnx_writer *w, const char *name, const float *values,
                            size_t count)
{
    attribute(w, name, 6);
    for (size_t k = 0; k < count; k++)
        lstm__put_float(&w->part, 7, values[k]);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_texts(lstm__onnx_writer *w, const char *name, const char *const *texts,
                           size_t count)
{
    attribute(w, name, 8);
    for (size_t k = 0; k < count; k++)
        lstm__put_text(&w->part, 9, texts[k]);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_node_close(lstm__onnx_writer *w)
{
    lstm__put_message(&w->graph, 1, &w->node);
}

void lstm__onnx_graph_open(lstm__onnx_writer *w, lstm__message *outer)
{
    *outer = w->graph;
    w->graph = (lstm__message){.context = outer->context};
}

void lstm__onnx_graph_close(lstm__onnx_writer *w, lstm__message *outer, const char *name,
                            lstm__message *inner)
{
    lstm__put_text(&w->graph, 2, name);
    *inner = w->graph;
    w->graph = *outer;
    *outer = (lstm__message){0};
}

void lstm__onnx_node_graph(lstm__onnx_writer *w, const char *name, lstm__message *inner)
{
    attribute(w, name, 5);
    lstm__put_message(&w->part, 6, inner);
    lstm__put_message(&w->node, 5, &w->part);
}

void lstm__onnx_put_tensor(lstm__onnx_writer *w, const char *name, int32_t type, int rank,
                           const int64_t *shape, const void *values, size_t bytes)
{
    for (int k = 0; k < rank; k++)
        lstm__put_number(&w->inner, 1, (uint64_t)shape[k]);
    lstm__put_number(&w->inner, 2, (uint64_t)type);
    lstm__put_text(&w->inner, 8, name);
    lstm__put_bytes(&w->inner, 9, values, bytes);
    lstm__put_message(&w->graph, 5, &w->inner);
}

const char *lstm__onnx_put_integers(lstm__onnx_writer *w, char name[32], int rank,
                                    const int64_t *values, size_t count)
{
    const int64_t shape[1] = {(int64_t)count};
    snprintf(name, 32, "constant:%d", w->constants++);
    lstm__onnx_put_tensor(w, name, LSTM__ONNX_INT64, rank, shape, values, count * sizeof *values);
    return name;
}

const char *lstm__onnx_put_number(lstm__onnx_writer *w, char name[32], float value)
{
    snprintf(name, 32, "constant:%d", w->constants++);
    lstm__onnx_put_tensor(w, name, LSTM__ONNX_FLOAT, 0, NULL, &value, sizeof value);
    return name;
}

void lstm__onnx_put_port(lstm__onnx_writer *w, uint32_t field, const char *name, int32_t type,
                         int rank, const int64_t *shape, const char *const *symbols)
{
    for (int k = 0; k < rank; k++) {
        if (shape[k] > 0)
            lstm__put_number(&w->size, 1, (uint64_t)shape[k]);
        else
            lstm__put_text(&w->size, 2, symbols[k]);
        lstm__put_message(&w->shape, 1, &w->size);
    }
    lstm__put_number(&w->deep, 1, (uint64_t)type);
    lstm__put_message(&w->deep, 2, &w->shape);
    lstm__put_message(&w->inner, 1, &w->deep);
    lstm__put_text(&w->part, 1, name);
    lstm__put_message(&w->part, 2, &w->inner);
    lstm__put_message(&w->graph, field, &w->part);
}
