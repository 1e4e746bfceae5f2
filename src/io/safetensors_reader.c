/* SPDX-License-Identifier: MIT
 *
 * Reading safetensors files (https://github.com/huggingface/safetensors, "Format").
 *
 *     8 bytes            N, little-endian
 *     N bytes            header: a JSON object, blanks allowed at its end
 *     the rest           data
 *
 * The header maps each tensor's name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets
 * counted from the start of the data, and "__metadata__" to texts by name. Checked here, as in the
 * reference: N <= 100 MB and inside the file, no name twice, every shape's product times the
 * element size is end - begin, and the tensors in order of their offsets fill the data exactly, so
 * that none overlaps another and no byte is left unexplained.
 *
 * Jansson parses the header: it refuses duplicate keys, invalid UTF-8, NUL characters, integers
 * beyond 64 bits and nesting beyond 2048. It allocates with malloc, in proportion to the header;
 * names and metadata stay in its tree.
 */
#include "safetensors.h"

#include "checked.h"
#include "names.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, MOST_HEADER = 100000000 };

struct lstm__safetensors {
    lstm_context *context;
    lstm__file file;
    json_t *header;
    const json_t *metadata; /* NULL if there is none; inside header */
    lstm__tensor *tensors;
    size_t count;
};

bool lstm__is_safetensors(const unsigned char *bytes, size_t size)
{
    return size > LENGTH_BYTES && bytes[4] == 0 && bytes[5] == 0 && bytes[6] == 0 &&
           bytes[7] == 0 && bytes[LENGTH_BYTES] == '{';
}

static lstm_status parse_header(lstm__safetensors *s, lstm__cursor *cursor)
{
    uint64_t length = 0;
    RETURN_IF_ERROR(lstm__get_u64(cursor, &length));
    if (length > MOST_HEADER)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: a safetensors header of %" PRIu64 " bytes; at most %d are allowed",
                          cursor->name, length, MOST_HEADER);
    if (length > lstm__remaining(cursor))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the safetensors header has %" PRIu64
                          " bytes, the file only %zu after offset %d: it is "
                          "cut off",
                          cursor->name, length, lstm__remaining(cursor), LENGTH_BYTES);
    const unsigned char *text = NULL;
    RETURN_IF_ERROR(lstm__get_bytes(cursor, length, &text));
    if (length == 0 || text[0] != '{')
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: offset %d: the safetensors header is not a JSON object",
                          cursor->name, LENGTH_BYTES);
    json_error_t error;
    s->header = json_loadb((const char *)text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (s->header)
        return LSTM_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return lstm__fail(LSTM_ERROR_MEMORY, "%s: no memory for the header of %" PRIu64 " bytes",
                          cursor->name, length);
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: offset %d: the safetensors header is not valid JSON: %s", cursor->name,
                      LENGTH_BYTES + (error.position > 0 ? error.position : 0), error.text);
}

static lstm_status check_metadata(lstm__safetensors *s, const json_t *metadata)
{
    if (!json_is_object(metadata))
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: __metadata__ is not a JSON object", s->file.name);
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)metadata, key, value) if (
        !json_is_string(value)) return lstm__fail(LSTM_ERROR_FORMAT,
                                                  "%s: __metadata__ \"%.100s\" is not a text",
                                                  s->file.name, key);
    s->metadata = metadata;
    return LSTM_OK;
}

static lstm_status fail_tensor(const lstm__safetensors *s, const char *name, const char *what)
{
    return lstm__fail(LSTM_ERROR_FORMAT, "%s: tensor \"%.200s\": %s", s->file.name, name, what);
}

static lstm_status read_shape(const lstm__safetensors *s, lstm__tensor *tensor, const json_t *shape)
{
    if (!json_is_array(shape))
        return fail_tensor(s, tensor->name, "shape is missing or not a list");
    if (json_array_size(shape) > LSTM__MOST_DIMENSIONS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: tensor \"%.200s\" has %zu dimensions; at most %d are supported",
                          s->file.name, tensor->name, json_array_size(shape),
                          LSTM__MOST_DIMENSIONS);
    tensor->rank = (int32_t)json_array_size(shape);
    for (int32_t k = 0; k < tensor->rank; k++) {
        const json_t *dimension = json_array_get(shape, (size_t)k);
        if (!json_is_integer(dimension) || json_integer_value(dimension) < 0)
            return fail_tensor(s, tensor->name,
                               "shape holds something else than whole numbers from 0");
        tensor->shape[k] = json_integer_value(dimension);
    }
    size_t unused = 0;
    if (!lstm__product(tensor->shape, (size_t)tensor->rank, &tensor->count) ||
        !lstm__mul(tensor->count, lstm__element_size(tensor->kind), &unused))
        return fail_tensor(s, tensor->name, "the product of its shape overflows");
    return LSTM_OK;
}

static lstm_status read_tensor(const lstm__safetensors *s, lstm__tensor *tensor, const char *name,
                               const json_t *entry, const lstm__cursor *data)
{
    tensor->name = name;
    if (!json_is_object(entry))
        return fail_tensor(s, name, "its description is not a JSON object");
    if (!lstm__is_name(name, strlen(name)))
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: a tensor's name is empty or holds control characters", s->file.name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype)
        return fail_tensor(s, name, "dtype is missing or not a text");
    tensor->kind = lstm__element_from_name(dtype);
    if (tensor->kind == 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: tensor \"%.200s\": dtype \"%.40s\" is none of F64, F32, F16, BF16, "
                          "I64, I32, I16, I8, "
                          "U64, U32, U16, U8, BOOL",
                          s->file.name, name, dtype);
    RETURN_IF_ERROR(read_shape(s, tensor, json_object_get(entry, "shape")));

    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0);
    const json_t *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return fail_tensor(s, name, "data_offsets is not a list of two rising whole numbers");
    const uint64_t first = (uint64_t)json_integer_value(begin);
    const uint64_t last = (uint64_t)json_integer_value(end);
    if (last > data->size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: tensor \"%.200s\" ends at byte %" PRIu64
                          " of the data, the file holds %zu: it is "
                          "cut off",
                          s->file.name, name, last, data->size);
    tensor->size = tensor->count * lstm__element_size(tensor->kind);
    if (last - first != tensor->size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: tensor \"%.200s\" has %" PRIu64
                          " bytes, its shape and dtype %s need %zu",
                          s->file.name, name, last - first, dtype, tensor->size);
    tensor->offset = (size_t)first;
    tensor->bytes = data->bytes + first;
    return LSTM_OK;
}

/* By begin, then by end, so that an empty tensor comes before the one that starts at its place. */
static int compare_places(const void *a, const void *b)
{
    const lstm__tensor *const x = *(const lstm__tensor *const *)a;
    const lstm__tensor *const y = *(const lstm__tensor *const *)b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size);
}

static lstm_status check_places(const lstm__safetensors *s, size_t data_size)
{
    lstm_status status = LSTM_OK;
    const lstm__tensor **const order = lstm__allocate_array(s->context, s->count, sizeof *order);
    if (!order)
        return lstm__fail_memory(s->count * sizeof *order, "the order of a file's tensors");
    for (size_t k = 0; k < s->count; k++)
        order[k] = &s->tensors[k];
    qsort(order, s->count, sizeof *order, compare_places);
    size_t expected = 0;
    for (size_t k = 0; k < s->count; k++) {
        if (order[k]->offset != expected)
            FAIL(LSTM_ERROR_FORMAT,
                 "%s: tensor \"%.200s\" begins at byte %zu of the data, the one before ends at "
                 "%zu: %s",
                 s->file.name, order[k]->name, order[k]->offset, expected,
                 order[k]->offset < expected ? "they overlap" : "there is a hole");
        expected = order[k]->offset + order[k]->size;
    }
    if (expected != data_size)
        FAIL(LSTM_ERROR_FORMAT, "%s: the tensors end at byte %zu of the data, the file at %zu",
             s->file.name, expected, data_size);
out:
    lstm__release(s->context, order);
    return status;
}

static lstm_status read_tensors(lstm__safetensors *s, const lstm__cursor *data)
{
    const size_t entries = json_object_size(s->header);
    s->tensors = lstm__allocate_array(s->context, entries, sizeof *s->tensors);
    if (!s->tensors)
        return lstm__fail(LSTM_ERROR_MEMORY, "%s: no memory for the list of %zu tensors",
                          s->file.name, entries);
    const char *name = NULL;
    json_t *entry = NULL;
    json_object_foreach(s->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            RETURN_IF_ERROR(check_metadata(s, entry));
            continue;
        }
        lstm__tensor *const tensor = &s->tensors[s->count];
        memset(tensor, 0, sizeof *tensor);
        RETURN_IF_ERROR(read_tensor(s, tensor, name, entry, data));
        s->count++;
    }
    return check_places(s, data->size);
}

lstm_status lstm__safetensors_parse(lstm__safetensors **out, lstm__file *file)
{
    lstm_status status = LSTM_OK;
    *out = NULL;
    lstm__safetensors *s = lstm__allocate_zeroed(file->context, sizeof *s);
    if (!s)
        return lstm__fail_memory(sizeof *s, "a safetensors file");
    s->context = file->context;
    s->file = *file;
    lstm__cursor cursor = lstm__file_cursor(file);
    lstm__cursor data;
    TRY(parse_header(s, &cursor));
    TRY(lstm__get_part(&cursor, lstm__remaining(&cursor), &data));
    TRY(read_tensors(s, &data));
    *file = (lstm__file){0};
    *out = s;
    s = NULL;
out:
    if (s)
        s->file = (lstm__file){0}; /* still the caller's */
    lstm__safetensors_close(s);
    return status;
}

lstm_status lstm__safetensors_open(lstm__safetensors **out, lstm_context *context, const char *path)
{
    *out = NULL;
    lstm__file file;
    RETURN_IF_ERROR(lstm__file_open(&file, context, path));
    const lstm_status status = lstm__safetensors_parse(out, &file);
    lstm__file_close(&file);
    return status;
}

void lstm__safetensors_close(lstm__safetensors *s)
{
    if (!s)
        return;
    json_decref(s->header);
    lstm__file_close(&s->file);
    lstm__release(s->context, s->tensors);
    lstm__release(s->context, s);
}

void lstm__safetensors_drop_data(lstm__safetensors *s)
{
    lstm__file_drop(&s->file);
}

size_t lstm__safetensors_count(const lstm__safetensors *s)
{
    return s->count;
}

const lstm__tensor *lstm__safetensors_get(const lstm__safetensors *s, size_t index)
{
    return &s->tensors[index];
}

const lstm__tensor *lstm__safetensors_find(const lstm__safetensors *s, const char *name)
{
    for (size_t k = 0; k < s->count; k++)
        if (strcmp(s->tensors[k].name, name) == 0)
            return &s->tensors[k];
    return NULL;
}

lstm_status lstm__safetensors_need(const lstm__safetensors *s, const char *name,
                                   const lstm__tensor **tensor)
{
    *tensor = lstm__safetensors_find(s, name);
    if (*tensor)
        return LSTM_OK;
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, name);
    for (size_t k = 0; k < s->count; k++)
        lstm__nearest_offer(&nearest, s->tensors[k].name);
    if (nearest.best)
        return lstm__fail(LSTM_ERROR_NOT_FOUND,
                          "%s: has no tensor \"%.200s\"; the nearest name is \"%.200s\"",
                          s->file.name, name, nearest.best);
    return lstm__fail(LSTM_ERROR_NOT_FOUND, "%s: has no tensor \"%.200s\" among its %zu",
                      s->file.name, name, s->count);
}

const char *lstm__safetensors_metadata(const lstm__safetensors *s, const char *key)
{
    return json_string_value(json_object_get(s->metadata, key));
}

lstm_context *lstm__safetensors_context(const lstm__safetensors *tensors)
{
    return tensors->context;
}

const char *lstm__safetensors_path(const lstm__safetensors *s)
{
    return s->file.name;
}

lstm__elements lstm__tensor_elements(const lstm__tensor *tensor)
{
    return (lstm__elements){.bytes = tensor->bytes,
                            .kind = tensor->kind,
                            .stride = lstm__element_size(tensor->kind),
                            .count = tensor->count};
}

lstm_status lstm__tensor_check(const lstm__tensor *tensor, size_t count)
{
    if (count == tensor->count)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_SHAPE, "tensor \"%.200s\" has %zu elements, expected %zu",
                      tensor->name, tensor->count, count);
}

lstm_status lstm__tensor_floats(const lstm__tensor *tensor, float *values, size_t count)
{
    RETURN_IF_ERROR(lstm__tensor_check(tensor, count));
    const lstm__elements elements = lstm__tensor_elements(tensor);
    lstm__read_floats(&elements, values);
    return LSTM_OK;
}

lstm_status lstm__tensor_doubles(const lstm__tensor *tensor, double *values, size_t count)
{
    RETURN_IF_ERROR(lstm__tensor_check(tensor, count));
    const lstm__elements elements = lstm__tensor_elements(tensor);
    lstm__read_doubles(&elements, values);
    return LSTM_OK;
}

lstm_status lstm__tensor_integers(const lstm__tensor *tensor, uint64_t *values, size_t count)
{
    RETURN_IF_ERROR(lstm__tensor_check(tensor, count));
    const lstm__elements elements = lstm__tensor_elements(tensor);
    const lstm_status status = lstm__read_integers(&elements, values);
    return status == LSTM_OK ? status
                             : lstm__prefix_error(status, "tensor \"%.200s\"", tensor->name);
}
