/* SPDX-License-Identifier: MIT
 *
 * TensorProto: numbers as raw bytes, as packed or single fields, or in a file beside the model.
 *
 * raw_data, float_data and double_data are already little-endian arrays and are used where they
 * stand; int32_data and the like are varints and are unpacked. The number of elements is compared
 * with the shape before anything is allocated. External data must be a plain name in the model's own
 * folder: no path, no link out of it.
 */
#include "onnx_graph.h"
#include "checked.h"

#include <stdlib.h>
#include <string.h>

/* TensorProto.DataType by number. */
static const int32_t kinds[] = {0,         LSTM__F32, LSTM__U8, LSTM__I8,   LSTM__U16, LSTM__I16,
                                LSTM__I32, LSTM__I64, 0,        LSTM__BOOL, LSTM__F16, LSTM__F64,
                                LSTM__U32, LSTM__U64, 0,        0,          LSTM__BF16};

/* Where the numbers are. */
typedef struct parts {
    int32_t type;
    size_t count;
    lstm__cursor raw, packed;
    bool has_raw, has_packed, external;
    uint32_t packed_field;
    size_t singles; /* fields with one number each */
    const char *location;
    uint64_t offset, length;
    bool has_length;
} parts;

static lstm_status read_dims(lstm__onnx_tensor *tensor, const lstm__field *field)
{
    lstm__cursor packed = field->part;
    if (field->wire == LSTM__WIRE_VARINT) {
        if (tensor->rank >= LSTM__MOST_DIMENSIONS)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "a tensor of more than %d axes",
                              (int)LSTM__MOST_DIMENSIONS);
        tensor->shape[tensor->rank++] = (int64_t)field->value;
        return LSTM_OK;
    }
    RETURN_IF_ERROR(lstm__need_wire(field, LSTM__WIRE_BYTES, "dims"));
    while (lstm__remaining(&packed) > 0) {
        uint64_t value = 0;
        RETURN_IF_ERROR(lstm__get_varint(&packed, &value));
        if (tensor->rank >= LSTM__MOST_DIMENSIONS)
            return lstm__fail_at(&packed, "a tensor of more than %d axes",
                                 (int)LSTM__MOST_DIMENSIONS);
        tensor->shape[tensor->rank++] = (int64_t)value;
    }
    return LSTM_OK;
}

/* StringStringEntryProto: location, offset, length. */
static lstm_status read_external(lstm__onnx_graph *graph, lstm__cursor message, parts *p)
{
    const char *key = "";
    const char *value = "";
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number == 1)
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &key));
        if (field.number == 2)
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &value));
    }
    if (strcmp(key, "location") == 0) {
        p->location = value;
        return LSTM_OK;
    }
    if (strcmp(key, "offset") != 0 && strcmp(key, "length") != 0)
        return LSTM_OK;
    char *end = NULL;
    const unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || number > PTRDIFF_MAX)
        return lstm__fail_at(&message, "external data: %s is \"%.40s\": expected a number", key,
                             value);
    if (key[0] == 'o')
        p->offset = number;
    p->has_length = p->has_length || key[0] == 'l';
    if (key[0] == 'l')
        p->length = number;
    return LSTM_OK;
}

static lstm_status read_numbers(const lstm__field *field, parts *p)
{
    if (p->packed_field && p->packed_field != field->number)
        return lstm__fail(LSTM_ERROR_FORMAT, "numbers in more than one field");
    p->packed_field = field->number;
    if (field->wire != LSTM__WIRE_BYTES) {
        p->singles++;
        return LSTM_OK;
    }
    if (p->has_packed && lstm__remaining(&field->part) > 0 && lstm__remaining(&p->packed) > 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "packed numbers in several pieces");
    if (lstm__remaining(&field->part) > 0 || !p->has_packed)
        p->packed = field->part;
    p->has_packed = true;
    return LSTM_OK;
}

static lstm_status read_fields(lstm__onnx_graph *graph, lstm__cursor message,
                               lstm__onnx_tensor *tensor, parts *p)
{
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        switch (field.number) {
        case 1:
            RETURN_IF_ERROR(read_dims(tensor, &field));
            break;
        case 2:
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_VARINT, "data_type"));
            p->type = field.value < 256 ? (int32_t)field.value : 255;
            break;
        case 3:
            return lstm__fail_at(&message, "a tensor in segments");
        case 4:  /* float_data */
        case 5:  /* int32_data */
        case 7:  /* int64_data */
        case 10: /* double_data */
        case 11: /* uint64_data */
            RETURN_IF_ERROR(read_numbers(&field, p));
            break;
        case 8:
            RETURN_IF_ERROR(lstm__onnx_text(graph, &field, &tensor->name));
            break;
        case 9:
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "raw_data"));
            p->raw = field.part;
            p->has_raw = true;
            break;
        case 13:
            RETURN_IF_ERROR(lstm__need_wire(&field, LSTM__WIRE_BYTES, "external_data"));
            RETURN_IF_ERROR(read_external(graph, field.part, p));
            break;
        case 14:
            p->external = field.value == 1;
            break;
        default:
            break;
        }
    }
    return LSTM_OK;
}

/* ---- The three places */

static lstm_status set_elements(lstm__onnx_tensor *tensor, const parts *p,
                                const unsigned char *bytes, size_t size)
{
    const int32_t kind = kinds[p->type];
    size_t expected = 0;
    if (!lstm__mul(p->count, lstm__element_size(kind), &expected) || expected != size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "tensor \"%.100s\": %zu bytes, its shape and type need %zu", tensor->name,
                          size, expected);
    tensor->elements = (lstm__elements){
        .bytes = bytes, .kind = kind, .stride = lstm__element_size(kind), .count = p->count};
    return LSTM_OK;
}

/* The file called `name` beside the model, opened once. */
static lstm_status open_beside(lstm__onnx_graph *graph, const char *tensor, const char *name,
                               const lstm__file **file)
{
    const char *slash = strrchr(graph->path, '/');
    const size_t folder = slash ? (size_t)(slash - graph->path) + 1 : 0;
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') ||
        strchr(name, '\\'))
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "tensor \"%.100s\": external data in \"%.100s\": expected a plain name of "
            "a file in the model's own folder",
            tensor, name);
    for (size_t k = 0; k < graph->file_count; k++)
        if (strcmp(graph->files[k].name + folder, name) == 0) {
            *file = &graph->files[k];
            return LSTM_OK;
        }
    if (graph->file_count == LSTM__ONNX_FILES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "tensor \"%.100s\": external data in more than %d files", tensor,
                          (int)LSTM__ONNX_FILES);
    char *path = lstm__onnx_allocate(graph, folder + strlen(name) + 1, 1);
    if (!path)
        return lstm__fail_memory(folder + strlen(name) + 1, "a path");
    memcpy(path, graph->path, folder);
    memcpy(path + folder, name, strlen(name));
    RETURN_IF_ERROR(lstm__file_open_inside(&graph->files[graph->file_count], graph->context, path));
    *file = &graph->files[graph->file_count++];
    graph->external_size += (*file)->size;
    return LSTM_OK;
}

static lstm_status read_beside(lstm__onnx_graph *graph, lstm__onnx_tensor *tensor, const parts *p)
{
    const lstm__file *file = NULL;
    size_t size = 0;
    if (!lstm__mul(p->count, lstm__element_size(kinds[p->type]), &size))
        return lstm__fail(LSTM_ERROR_FORMAT, "tensor \"%.100s\": its shape is too large",
                          tensor->name);
    RETURN_IF_ERROR(open_beside(graph, tensor->name, p->location ? p->location : "", &file));
    if (p->has_length && p->length != size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "tensor \"%.100s\": %llu bytes of external data, expected %zu",
                          tensor->name, (unsigned long long)p->length, size);
    if (p->offset > file->size || file->size - p->offset < size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "tensor \"%.100s\": external data of %zu bytes from offset %llu on: "
                          "\"%.100s\" has %zu",
                          tensor->name, size, (unsigned long long)p->offset, file->name,
                          file->size);
    return set_elements(tensor, p, file->bytes + p->offset, size);
}

/* Numbers in fields: float_data and double_data lie there ready, the others are varints. */
static lstm_status read_typed(lstm__onnx_graph *graph, lstm__cursor message,
                              lstm__onnx_tensor *tensor, parts *p)
{
    const bool fixed = p->packed_field == 4 || p->packed_field == 10;
    const int32_t own = p->packed_field == 4    ? LSTM__F32
                        : p->packed_field == 10 ? LSTM__F64
                                                : kinds[p->type];
    const size_t element = p->packed_field == 4 ? 4 : 8;
    size_t count = p->singles;
    size_t packed = fixed ? lstm__remaining(&p->packed) / element : 0;
    if (fixed && own != kinds[p->type])
        return lstm__fail(LSTM_ERROR_FORMAT, "tensor \"%.100s\": its type is not that of its field",
                          tensor->name);
    if (fixed && p->has_packed && !p->singles)
        return set_elements(tensor, p, p->packed.bytes, lstm__remaining(&p->packed));
    if (!fixed && p->has_packed)
        RETURN_IF_ERROR(lstm__count_varints(p->packed, &packed));
    count += packed;
    if (count != p->count)
        return lstm__fail(LSTM_ERROR_FORMAT, "tensor \"%.100s\": %zu numbers, its shape needs %zu",
                          tensor->name, count, p->count);
    /* as bytes of their kind: halves are stored as their bits */
    const size_t size = lstm__element_size(kinds[p->type]);
    unsigned char *bytes = lstm__onnx_allocate(graph, count, size);
    if (!bytes)
        return lstm__fail_memory(count * size, "a tensor of the ONNX file");
    size_t done = 0;
    while (lstm__remaining(&message) > 0) {
        lstm__field field;
        RETURN_IF_ERROR(lstm__next_field(&message, &field));
        if (field.number != p->packed_field)
            continue;
        if (field.wire != LSTM__WIRE_BYTES) {
            memcpy(bytes + size * done++, &field.value, size);
            continue;
        }
        while (lstm__remaining(&field.part) > 0) {
            uint64_t value = 0;
            RETURN_IF_ERROR(fixed ? lstm__get_uint(&field.part, element, &value)
                                  : lstm__get_varint(&field.part, &value));
            memcpy(bytes + size * done++, &value, size);
        }
    }
    return set_elements(tensor, p, bytes, count * size);
}

lstm_status lstm__onnx_read_tensor(lstm__onnx_graph *graph, lstm__cursor message,
                                   lstm__onnx_tensor *tensor)
{
    parts p = {0};
    *tensor = (lstm__onnx_tensor){.name = ""};
    RETURN_IF_ERROR(read_fields(graph, message, tensor, &p));
    if (p.type < 1 || (size_t)p.type >= sizeof kinds / sizeof kinds[0] || !kinds[p.type])
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "tensor \"%.100s\": data type %d: expected float16, bfloat16, float, "
                          "double, bool or an integer",
                          tensor->name, (int)p.type);
    if (!lstm__product(tensor->shape, (size_t)tensor->rank, &p.count))
        return lstm__fail(LSTM_ERROR_FORMAT, "tensor \"%.100s\": a shape that overflows",
                          tensor->name);
    if (p.external)
        return read_beside(graph, tensor, &p);
    if (p.has_raw)
        return set_elements(tensor, &p, p.raw.bytes, lstm__remaining(&p.raw));
    return read_typed(graph, message, tensor, &p);
}
