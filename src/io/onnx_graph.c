/* SPDX-License-Identifier: MIT
 *
 * ONNX files (https://onnx.ai/onnx/repo-docs/IR.html): ModelProto -> GraphProto -> NodeProto,
 * TensorProto, ValueInfoProto. Attributes stay bytes until somebody asks for them, tensors stay in
 * the file as far as their encoding allows. Subgraphs are not entered; an operator that has one is
 * refused by its name when it is translated.
 *
 * Everything is bounded by the file: an entry takes at least one byte of it, and memory grows with
 * the entries that were read.
 */
#include "onnx_graph.h"
#include "checked.h"

#include <string.h>

enum { BLOCK = 1 << 16, MOST_TEXT = 4096, FIRST_SLOTS = 256, MOST_NODES = 1 << 20 };

struct lstm__onnx_block {
    struct lstm__onnx_block *next;
    size_t used, size;
};

void *lstm__onnx_allocate(lstm__onnx_graph *graph, size_t count, size_t size)
{
    size_t bytes = 0;
    struct lstm__onnx_block *block = graph->blocks;
    if (!lstm__mul(count, size, &bytes) || bytes > PTRDIFF_MAX - 2 * BLOCK)
        return NULL;
    bytes = (bytes + 63) / 64 * 64;
    if (!block || block->size - block->used < bytes) {
        const size_t room = bytes > BLOCK / 4 ? bytes : BLOCK;
        struct lstm__onnx_block *fresh = lstm__allocate_zeroed(graph->context, 64 + room);
        if (!fresh)
            return NULL;
        fresh->size = room;
        /* a large one goes behind the block that is being filled */
        if (block && room != BLOCK) {
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            graph->blocks = fresh;
        }
        block = fresh;
    }
    void *memory = (unsigned char *)block + 64 + block->used;
    block->used += bytes;
    return memory;
}

void lstm__onnx_end(lstm__onnx_graph *graph)
{
    if (!graph->context)
        return;
    while (graph->blocks) {
        struct lstm__onnx_block *next = graph->blocks->next;
        lstm__release(graph->context, graph->blocks);
        graph->blocks = next;
    }
    lstm__release(graph->context, graph->nodes);
    lstm__release(graph->context, graph->tensors);
    lstm__release(graph->context, graph->tensor_names);
    lstm__release(graph->context, graph->inputs);
    lstm__release(graph->context, graph->outputs);
    lstm__release(graph->context, graph->names);
    lstm__release(graph->context, graph->slots);
    for (size_t k = 0; k < graph->file_count; k++)
        lstm__file_close(&graph->files[k]);
    *graph = (lstm__onnx_graph){0};
}

bool lstm__is_onnx(const unsigned char *bytes, size_t size)
{
    /* ir_version, which every model begins with; then another field of a ModelProto */
    return size >= 2 && bytes[0] == 0x08 && (bytes[1] >= 128 || bytes[1] < 64) &&
           !(size == 2 && bytes[1] == 0);
}

/* ---- Names */

lstm_status lstm__onnx_text(lstm__onnx_graph *graph, const lstm__field *field, const char **text)
{
    RETURN_IF_ERROR(lstm__need_wire(field, LSTM__WIRE_BYTES, "a text"));
    const size_t length = lstm__remaining(&field->part);
    const char *bytes = (const char *)field->part.bytes;
    if (length > MOST_TEXT)
        return lstm__fail_at(&field->part, "a name of %zu bytes: expected at most %d", length,
                             (int)MOST_TEXT);
    if (length > 0 && !lstm__is_name(bytes, length))
        return lstm__fail_at(&field->part, "a name that is no UTF-8 without control characters");
    char *copy = lstm__onnx_allocate(graph, length + 1, 1);
    if (!copy)
        return lstm__fail_memory(length + 1, "a name of the ONNX file");
    memcpy(copy, bytes, length);
    *text = copy;
    return LSTM_OK;
}

static uint32_t hash(const char *text)
{
    uint32_t value = 2166136261u;
    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 16777619u;
    return value;
}

static void put_slot(lstm__onnx_graph *graph, uint32_t number)
{
    size_t at = hash(graph->names[number]) & (graph->slot_count - 1);
    while (graph->slots[at])
        at = (at + 1) & (graph->slot_count - 1);
    graph->slots[at] = number + 1;
}

static lstm_status grow_slots(lstm__onnx_graph *graph)
{
    if (graph->name_count * 2 < graph->slot_count)
        return LSTM_OK;
    const size_t count = graph->slot_count ? 2 * graph->slot_count : FIRST_SLOTS;
    uint32_t *slots = lstm__allocate_zeroed(graph->context, count * sizeof *slots);
    if (!slots)
        return lstm__fail_memory(count * sizeof *slots, "the names of the ONNX file");
    lstm__release(graph->context, graph->slots);
    graph->slots = slots;
    graph->slot_count = count;
    for (uint32_t k = 0; k < graph->name_count; k++)
        put_slot(graph, k);
    return LSTM_OK;
}

/* The number of a name, a new one if it is new. "" has none. */
static lstm_status number_of(lstm__onnx_graph *graph, const char *text, int *number)
{
    *number = LSTM__ONNX_NONE;
    if (!text[0])
        return LSTM_OK;
    RETURN_IF_ERROR(grow_slots(graph));
    size_t at = hash(text) & (graph->slot_count - 1);
    for (; graph->slots[at]; at = (at + 1) & (graph->slot_count - 1))
        if (strcmp(graph->names[graph->slots[at] - 1], text) == 0) {
            *number = (int)graph->slots[at] - 1;
            return LSTM_OK;
        }
    RETURN_IF_ERROR(lstm__grow(graph->context, (void **)&graph->names, &graph->name_capacity,
                               graph->name_count + 1, sizeof *graph->names));
    graph->names[graph->name_count] = text;
    *number = (int)graph->name_count++;
    put_slot(graph, (uint32_t)*number);
    return LSTM_OK;
}

/* ---- Nodes */

enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_DOMAIN = 7 };

static lstm_status count_ports(lstm__cursor message, lstm__onnx_node *node)
{
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        node->input_count += field.number == NODE_INPUT;
        node->output_count += field.number == NODE_OUTPUT;
    }
    if (node->input_count > LSTM__ONNX_PORTS || node->output_count > LSTM__ONNX_PORTS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "a node with %d inputs and %d outputs: expected at most %d",
                          node->input_count, node->output_count, (int)LSTM__ONNX_PORTS);
    return LSTM_OK;
}

static lstm_status read_node(lstm__onnx_graph *graph, lstm__cursor message)
{
    lstm__onnx_node node = {.op = "", .name = "", .domain = "", .message = message};
    const char *text = NULL;
    int inputs = 0;
    int outputs = 0;
    if (graph->node_count >= MOST_NODES)
        return lstm__fail_at(&message, "more than %d nodes", (int)MOST_NODES);
    RETURN_IF_ERROR(count_ports(message, &node));
    node.inputs = lstm__onnx_allocate(graph, (size_t)node.input_count + 1, sizeof(int));
    node.outputs = lstm__onnx_allocate(graph, (size_t)node.output_count + 1, sizeof(int));
    if (!node.inputs || !node.outputs)
        return lstm__fail_memory(64, "a node of the ONNX file");
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == NODE_INPUT || field.number == NODE_OUTPUT) {
            int *place = field.number == NODE_INPUT ? &node.inputs[inputs++]
                                                    : &node.outputs[outputs++];
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &text));
            RETURN_IF_ERROR(number_of(graph, text, place));
        } else if (field.number == NODE_NAME) {
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &node.name));
        } else if (field.number == NODE_OP) {
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &node.op));
        } else if (field.number == NODE_DOMAIN) {
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &node.domain));
        }
    }
    RETURN_IF_ERROR(lstm__grow(graph->context, (void **)&graph->nodes, &graph->node_capacity,
                               graph->node_count + 1, sizeof *graph->nodes));
    graph->nodes[graph->node_count++] = node;
    return LSTM_OK;
}

/* ---- Inputs and outputs */

static lstm_status read_dimension(lstm__onnx_graph *graph, lstm__cursor message,
                                  lstm__onnx_port *port)
{
    int64_t size = 0;
    const char *symbol = NULL;
    if (port->rank >= LSTM__MOST_DIMENSIONS)
        return lstm__fail_at(&message, "more than %d axes", (int)LSTM__MOST_DIMENSIONS);
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == 1) {
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_VARINT, "dim_value"));
            size = (int64_t)field.value;
        } else if (field.number == 2) {
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &symbol));
        }
    }
    port->symbols[port->rank] = symbol;
    port->shape[port->rank++] = size > 0 ? size : 0;
    return LSTM_OK;
}

/* TypeProto: tensor_type 1 -> elem_type 1, shape 2 -> dim 1. */
static lstm_status read_type(lstm__onnx_graph *graph, lstm__cursor message, lstm__onnx_port *port)
{
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number != 1)
            continue;
        RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "tensor_type"));
        lstm__cursor tensor = field.part;
        while (lstm__remaining(&tensor) > 0) {
            RETURN_IF_ERROR(lstm__next_field(&tensor, &field));
            if (field.number == 1) {
                RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_VARINT, "elem_type"));
                port->type = field.value < 256 ? (int32_t)field.value : 0;
            } else if (field.number == 2) {
                RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "shape"));
                lstm__cursor shape = field.part;
                port->has_shape = true;
                port->rank = 0;
                while (lstm__remaining(&shape) > 0) {
                    RETURN_IF_ERROR(lstm__next_field(&shape, &field));
                    if (field.number != 1)
                        continue;
                    RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "dim"));
                    RETURN_IF_ERROR(read_dimension(graph, field.part, port));
                }
            }
        }
    }
    return LSTM_OK;
}

static lstm_status read_port(lstm__onnx_graph *graph, lstm__cursor message, lstm__onnx_port **list,
                             size_t *count, size_t *capacity)
{
    lstm__onnx_port port = {.name = LSTM__ONNX_NONE};
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        const char *text = NULL;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == 1) {
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &text));
            RETURN_IF_ERROR(number_of(graph, text, &port.name));
        } else if (field.number == 2) {
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "type"));
            RETURN_IF_ERROR(read_type(graph, field.part, &port));
        }
    }
    if (port.name == LSTM__ONNX_NONE)
        return lstm__fail_at(&message, "an input or output of the graph without a name");
    RETURN_IF_ERROR(lstm__grow(graph->context, (void **)list, capacity, *count + 1, sizeof **list));
    (*list)[(*count)++] = port;
    return LSTM_OK;
}

/* ---- The graph and the model */

static lstm_status read_initializer(lstm__onnx_graph *graph, lstm__cursor message)
{
    lstm__onnx_tensor tensor = {0};
    int number = 0;
    RETURN_IF_ERROR(lstm__onnx_read_tensor(graph, message, &tensor));
    RETURN_IF_ERROR(number_of(graph, tensor.name, &number));
    if (number == LSTM__ONNX_NONE)
        return lstm__fail_at(&message, "an initializer without a name");
    RETURN_IF_ERROR(lstm__grow(graph->context, (void **)&graph->tensors, &graph->tensor_capacity,
                               graph->tensor_count + 1, sizeof *graph->tensors));
    RETURN_IF_ERROR(lstm__grow(graph->context, (void **)&graph->tensor_names,
                               &graph->tensor_name_capacity, graph->tensor_count + 1, sizeof(int)));
    graph->tensor_names[graph->tensor_count] = number;
    graph->tensors[graph->tensor_count++] = tensor;
    return LSTM_OK;
}

static lstm_status read_graph(lstm__onnx_graph *graph, lstm__cursor message)
{
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number != 1 && field.number != 5 && field.number != 11 && field.number != 12 &&
            field.number != 15)
            continue;
        RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "a part of the graph"));
        if (field.number == 1)
            RETURN_IF_ERROR(read_node(graph, field.part));
        else if (field.number == 5)
            RETURN_IF_ERROR(read_initializer(graph, field.part));
        else if (field.number == 11)
            RETURN_IF_ERROR(read_port(graph, field.part, &graph->inputs, &graph->input_count,
                                      &graph->input_capacity));
        else if (field.number == 12)
            RETURN_IF_ERROR(read_port(graph, field.part, &graph->outputs, &graph->output_count,
                                      &graph->output_capacity));
        else
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "the graph has sparse initializers");
    }
    return LSTM_OK;
}

/* OperatorSetIdProto: the version of ONNX' own operators; those of other domains do not matter
 * until a node uses one. */
static lstm_status read_opset(lstm__onnx_graph *graph, lstm__cursor message)
{
    const char *domain = "";
    int64_t version = 0;
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == 1)
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &domain));
        if (field.number == 2) {
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_VARINT, "an opset's version"));
            version = (int64_t)field.value;
        }
    }
    if (strcmp(domain, "") == 0 || strcmp(domain, "ai.onnx") == 0)
        graph->opset = version;
    return LSTM_OK;
}

static lstm_status read_model(lstm__onnx_graph *graph, lstm__cursor message)
{
    int graphs = 0;
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == 7) {
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "the graph"));
            RETURN_IF_ERROR(read_graph(graph, field.part));
            graphs++;
        } else if (field.number == 8) {
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "an opset"));
            RETURN_IF_ERROR(read_opset(graph, field.part));
        }
    }
    if (graphs != 1)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: an ONNX model with %d graphs: expected one",
                          graph->path, graphs);
    if (graph->opset < LSTM__ONNX_LEAST_OPSET || graph->opset > LSTM__ONNX_MOST_OPSET)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: an ONNX model of opset %lld: this version reads %d to %d",
                          graph->path, (long long)graph->opset, (int)LSTM__ONNX_LEAST_OPSET,
                          (int)LSTM__ONNX_MOST_OPSET);
    return LSTM_OK;
}

lstm_status lstm__onnx_read(lstm__onnx_graph *graph, const lstm__file *file)
{
    *graph = (lstm__onnx_graph){
        .context = file->context, .path = file->name, .file_size = file->size};
    return read_model(graph, lstm__file_cursor(file));
}
