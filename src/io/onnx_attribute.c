/* SPDX-License-Identifier: MIT
 * Attributes of ONNX nodes, found by name in the bytes of the node.
 */
#include "onnx_graph.h"

#include <string.h>

/* AttributeProto: name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9, type 20. */
enum { F = 2, I = 3, S = 4, T = 5, FLOATS = 7, INTS = 8, STRINGS = 9, NODE_ATTRIBUTE = 5 };
enum { TYPE = 20, TYPE_FLOATS = 6, TYPE_INTS = 7, TYPE_STRINGS = 8 };

static lstm_status wrong(const lstm__onnx_node *node, const char *name, const char *expected)
{
    return lstm__fail(LSTM_ERROR_FORMAT, "attribute %s of a %.60s is no %s", name, node->op,
                      expected);
}

static bool is_called(lstm__cursor message, const char *name)
{
    const size_t length = strlen(name);
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        if (lstm__next_field(&message, &field) != LSTM_OK)
            return false;
        if (field.number == 1 && field.wire == LSTM__WIRE_BYTES)
            return lstm__remaining(&field.part) == length &&
                   memcmp(field.part.bytes, name, length) == 0;
    }
    return false;
}

/* The message of an attribute; NULL name: the next one from *at on. */
static bool find(const lstm__onnx_node *node, const char *name, lstm__cursor *attribute)
{
    lstm__cursor message = node->message;
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        if (lstm__next_field(&message, &field) != LSTM_OK)
            return false;
        if (field.number == NODE_ATTRIBUTE && field.wire == LSTM__WIRE_BYTES &&
            is_called(field.part, name)) {
            *attribute = field.part;
            return true;
        }
    }
    return false;
}

bool lstm__onnx_has_attribute(const lstm__onnx_node *node, const char *name)
{
    lstm__cursor attribute;
    return find(node, name, &attribute);
}

/* The first field `number` of an attribute. */
static lstm_status take(const lstm__onnx_node *node, const char *name, uint32_t number, int wire,
                        const char *expected, lstm__field *field, bool *found)
{
    lstm__cursor attribute;
    *found = false;
    if (!find(node, name, &attribute))
        return LSTM_OK;
    while (lstm__remaining(&attribute) > 0) {
        RETURN_IF_ERROR(lstm__next_field(&attribute, field));
        if (field->number == number) {
            if (field->wire != wire)
                return wrong(node, name, expected);
            *found = true;
            return LSTM_OK;
        }
    }
    return wrong(node, name, expected);
}

lstm_status lstm__onnx_int(const lstm__onnx_node *node, const char *name, int64_t *value)
{
    lstm__field field;
    bool found = false;
    RETURN_IF_ERROR(take(node, name, I, LSTM__WIRE_VARINT, "whole number", &field, &found));
    if (found)
        *value = (int64_t)field.value;
    return LSTM_OK;
}

static float single(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float value = 0;
    memcpy(&value, &low, sizeof value);
    return value;
}

lstm_status lstm__onnx_float(const lstm__onnx_node *node, const char *name, float *value)
{
    lstm__field field;
    bool found = false;
    RETURN_IF_ERROR(take(node, name, F, LSTM__WIRE_FIXED32, "number", &field, &found));
    if (found)
        *value = single(field.value);
    return LSTM_OK;
}

/* A list may be empty: what it is a list of says its type, which the first versions left out. */
static lstm_status check_type(const lstm__onnx_node *node, const char *name, lstm__cursor attribute,
                              uint64_t type, const char *expected)
{
    while (lstm__remaining(&attribute) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&attribute, &field));
        if (field.number == TYPE && (field.wire != LSTM__WIRE_VARINT || field.value != type))
            return wrong(node, name, expected);
    }
    return LSTM_OK;
}

static lstm_status store(const lstm__onnx_node *node, const char *name, uint64_t bits, bool floats,
                         void *values, int capacity, int *count)
{
    if (*count >= capacity)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "attribute %s of a %.60s has more than %d entries: expected at most %d",
                          name, node->op, capacity, capacity);
    if (floats)
        ((float *)values)[(*count)++] = single(bits);
    else
        ((int64_t *)values)[(*count)++] = (int64_t)bits;
    return LSTM_OK;
}

/* Both lists; packed or one by one. */
static lstm_status read_list(const lstm__onnx_node *node, const char *name, bool floats,
                             void *values, int capacity, int *count)
{
    lstm__cursor attribute;
    *count = 0;
    if (!find(node, name, &attribute))
        return LSTM_OK;
    RETURN_IF_ERROR(
        check_type(node, name, attribute, floats ? TYPE_FLOATS : TYPE_INTS, "list of numbers"));
    while (lstm__remaining(&attribute) > 0) {
        lstm__field field;
        uint64_t bits = 0;
        RETURN_IF_ERROR(lstm__next_field(&attribute, &field));
        if (field.number != (floats ? FLOATS : INTS))
            continue;
        if (field.wire != LSTM__WIRE_BYTES) {
            if (field.wire != (floats ? LSTM__WIRE_FIXED32 : LSTM__WIRE_VARINT))
                return wrong(node, name, "list of numbers");
            RETURN_IF_ERROR(store(node, name, field.value, floats, values, capacity, count));
            continue;
        }
        while (lstm__remaining(&field.part) > 0) {
            RETURN_IF_ERROR(floats ? lstm__get_uint(&field.part, 4, &bits)
                                   : lstm__get_varint(&field.part, &bits));
            RETURN_IF_ERROR(store(node, name, bits, floats, values, capacity, count));
        }
    }
    return LSTM_OK;
}

lstm_status lstm__onnx_ints(const lstm__onnx_node *node, const char *name, int64_t *values,
                            int capacity, int *count)
{
    return read_list(node, name, false, values, capacity, count);
}

lstm_status lstm__onnx_floats(const lstm__onnx_node *node, const char *name, float *values,
                              int capacity, int *count)
{
    return read_list(node, name, true, values, capacity, count);
}

static lstm_status copy(const lstm__onnx_node *node, const char *name, const lstm__field *field,
                        char text[64])
{
    const size_t length = lstm__remaining(&field->part);
    if (field->wire != LSTM__WIRE_BYTES || length > 63 ||
        (length && !lstm__is_name((const char *)field->part.bytes, length)))
        return wrong(node, name, "text of at most 63 bytes");
    if (length)
        memcpy(text, field->part.bytes, length);
    text[length] = 0;
    return LSTM_OK;
}

lstm_status lstm__onnx_string(const lstm__onnx_node *node, const char *name, char text[64])
{
    lstm__field field;
    bool found = false;
    RETURN_IF_ERROR(take(node, name, S, LSTM__WIRE_BYTES, "text", &field, &found));
    return found ? copy(node, name, &field, text) : LSTM_OK;
}

lstm_status lstm__onnx_strings(const lstm__onnx_node *node, const char *name, int index,
                               char text[64], bool *found)
{
    lstm__cursor attribute;
    *found = false;
    if (!find(node, name, &attribute))
        return LSTM_OK;
    RETURN_IF_ERROR(check_type(node, name, attribute, TYPE_STRINGS, "list of texts"));
    while (lstm__remaining(&attribute) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&attribute, &field));
        if (field.number == STRINGS && index-- == 0) {
            *found = true;
            return copy(node, name, &field, text);
        }
    }
    return LSTM_OK;
}

lstm_status lstm__onnx_tensor_attribute(lstm__onnx_graph *graph, const lstm__onnx_node *node,
                                        const char *name, lstm__onnx_tensor *tensor, bool *found)
{
    lstm__field field;
    RETURN_IF_ERROR(take(node, name, T, LSTM__WIRE_BYTES, "tensor", &field, found));
    return *found ? lstm__onnx_read_tensor(graph, field.part, tensor) : LSTM_OK;
}

lstm_status lstm__onnx_check_attributes(const lstm__onnx_node *node, const char *const *known)
{
    lstm__cursor message = node->message;
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number != NODE_ATTRIBUTE)
            continue;
        RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "an attribute"));
        int k = 0;
        while (known[k] && !is_called(field.part, known[k]))
            k++;
        if (known[k])
            continue;
        char text[64] = "?";
        lstm__cursor attribute = field.part;
        while (lstm__remaining(&attribute) > 0) {
            RETURN_IF_ERROR(lstm__next_field(&attribute, &field));
            if (field.number == 1 && copy(node, "name", &field, text) != LSTM_OK)
                break;
        }
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "attribute \"%s\" is not known to this version",
                          text);
    }
    return LSTM_OK;
}
