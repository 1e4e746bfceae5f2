/* SPDX-License-Identifier: MIT
 *
 * Writing safetensors files; the format is described in safetensors_reader.c.
 *
 * The header names metadata and tensors in the order in which they were added. The data holds the
 * tensors in the order of falling element size, and the header is filled up with blanks to a
 * multiple of 64 bytes: so every tensor is aligned to its element's size in the file, and in memory
 * when the file is read or mapped.
 *
 * The header is built as a Jansson tree, which checks UTF-8 and escapes. The same additions give
 * the same bytes.
 */
#include "safetensors.h"

#include "checked.h"
#include "file_writer.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 64, MOST_HEADER = 100000000 };

typedef struct tensor {
    const void *values;
    char *name;
    size_t size; /* bytes */
    size_t element_size;
    uint64_t offset; /* in the data, once laid out */
    int32_t kind;
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
} tensor;

struct lstm__safetensors_writer {
    lstm_context *context;
    json_t *metadata;
    tensor *tensors;
    size_t count;
    size_t capacity;
};

lstm_status lstm__safetensors_writer_create(lstm__safetensors_writer **out, lstm_context *context)
{
    *out = NULL;
    lstm__safetensors_writer *const writer = lstm__allocate_zeroed(context, sizeof *writer);
    if (!writer)
        return lstm__fail_memory(sizeof *writer, "a safetensors file");
    writer->context = context;
    writer->metadata = json_object();
    if (!writer->metadata) {
        lstm__release(context, writer);
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for a safetensors header");
    }
    *out = writer;
    return LSTM_OK;
}

void lstm__safetensors_writer_destroy(lstm__safetensors_writer *writer)
{
    if (!writer)
        return;
    for (size_t k = 0; k < writer->count; k++)
        lstm__release(writer->context, writer->tensors[k].name);
    lstm__release(writer->context, writer->tensors);
    json_decref(writer->metadata);
    lstm__release(writer->context, writer);
}

/* Whether Jansson takes a text: json_string fails on invalid UTF-8 and without memory alike. */
static lstm_status check_text(const char *text, const char *what)
{
    json_t *const probe = json_string(text);
    if (!probe)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is not valid UTF-8", what);
    json_decref(probe);
    return LSTM_OK;
}

lstm_status lstm__safetensors_add_metadata(lstm__safetensors_writer *writer, const char *key,
                                           const char *text)
{
    RETURN_IF_ERROR(check_text(key, "a metadata key"));
    RETURN_IF_ERROR(check_text(text, "a metadata text"));
    if (json_object_get(writer->metadata, key))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "metadata \"%.200s\" is there already", key);
    if (json_object_set_new(writer->metadata, key, json_string(text)) != 0)
        return lstm__fail_memory(strlen(text), "metadata of a safetensors file");
    return LSTM_OK;
}

lstm_status lstm__safetensors_add_tensor(lstm__safetensors_writer *writer, const char *name,
                                         int32_t kind, int32_t rank, const int64_t *shape,
                                         const void *values)
{
    if (!lstm__is_name(name, strlen(name)) || strcmp(name, "__metadata__") == 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "\"%.200s\" cannot be the name of a tensor: expected UTF-8 text without "
                          "control characters that is not \"__metadata__\"",
                          name);
    for (size_t k = 0; k < writer->count; k++)
        if (strcmp(writer->tensors[k].name, name) == 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "a tensor \"%.200s\" is there already", name);
    tensor t = {
        .values = values, .kind = kind, .rank = rank, .element_size = lstm__element_size(kind)};
    size_t count = 0;
    if (t.element_size == 0 || rank < 0 || rank > LSTM__MOST_DIMENSIONS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "tensor \"%.200s\": kind %d, rank %d", name,
                          (int)kind, (int)rank);
    if (!lstm__product(shape, (size_t)rank, &count) || !lstm__mul(count, t.element_size, &t.size))
        return lstm__fail(LSTM_ERROR_SHAPE, "tensor \"%.200s\": the product of its shape overflows",
                          name);
    if (rank > 0)
        memcpy(t.shape, shape, (size_t)rank * sizeof *shape);
    void *memory = writer->tensors;
    RETURN_IF_ERROR(
        lstm__grow(writer->context, &memory, &writer->capacity, writer->count + 1, sizeof(tensor)));
    writer->tensors = memory;
    t.name = lstm__copy_text(writer->context, name);
    if (!t.name)
        return lstm__fail_memory(strlen(name) + 1, "the name of a tensor");
    writer->tensors[writer->count++] = t;
    return LSTM_OK;
}

/* The order of the data: the k-th tensor written. Larger elements first, else as added. */
static void lay_out(lstm__safetensors_writer *writer, size_t *order)
{
    size_t used = 0;
    uint64_t offset = 0;
    for (size_t element_size = 8; element_size > 0; element_size /= 2)
        for (size_t k = 0; k < writer->count; k++)
            if (writer->tensors[k].element_size == element_size) {
                writer->tensors[k].offset = offset;
                offset += writer->tensors[k].size;
                order[used++] = k;
            }
}

/* The header's tree; NULL if there is no memory. */
static json_t *describe(const lstm__safetensors_writer *writer)
{
    json_t *const header = json_object();
    bool good = header != NULL;
    if (good && json_object_size(writer->metadata) > 0)
        good = json_object_set(header, "__metadata__", writer->metadata) == 0;
    for (size_t k = 0; good && k < writer->count; k++) {
        const tensor *const t = &writer->tensors[k];
        json_t *const shape = json_array();
        for (int32_t d = 0; d < t->rank; d++)
            good = json_array_append_new(shape, json_integer(t->shape[d])) == 0 && good;
        json_t *const entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                        lstm__element_name(t->kind), "shape", shape, "data_offsets",
                                        (json_int_t)t->offset, (json_int_t)(t->offset + t->size));
        good = json_object_set_new(header, t->name, entry) == 0 && good;
    }
    if (good)
        return header;
    json_decref(header);
    return NULL;
}

static lstm_status write_header(lstm__writer *file, const char *text, size_t length)
{
    const size_t padding = (ALIGNMENT - (LENGTH_BYTES + length) % ALIGNMENT) % ALIGNMENT;
    uint64_t announced = length + padding;
    if (announced > MOST_HEADER)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "a safetensors header of %" PRIu64 " bytes; at most %d are allowed",
                          announced, MOST_HEADER);
    unsigned char number[LENGTH_BYTES];
    for (size_t k = 0; k < LENGTH_BYTES; k++, announced >>= 8)
        number[k] = (unsigned char)(announced & 255);
    char blanks[ALIGNMENT];
    memset(blanks, ' ', sizeof blanks);
    RETURN_IF_ERROR(lstm__writer_write(file, number, sizeof number));
    RETURN_IF_ERROR(lstm__writer_write(file, text, length));
    return lstm__writer_write(file, blanks, padding);
}

lstm_status lstm__safetensors_save(lstm__safetensors_writer *writer, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__writer *file = NULL;
    json_t *header = NULL;
    char *text = NULL;
    size_t length = 0;
    size_t *const order = lstm__allocate_array(writer->context, writer->count, sizeof *order);
    if (!order)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for the order of %zu tensors", path, writer->count);
    lay_out(writer, order);
    header = describe(writer);
    if (header)
        length = json_dumpb(header, NULL, 0, JSON_COMPACT);
    if (length > 0)
        text = lstm__allocate(writer->context, length);
    if (!text || json_dumpb(header, text, length, JSON_COMPACT) != length)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for the safetensors header", path);
    TRY(lstm__writer_open(&file, writer->context, path));
    TRY(write_header(file, text, length));
    for (size_t k = 0; k < writer->count; k++) {
        const tensor *const t = &writer->tensors[order[k]];
        TRY(lstm__writer_write(file, t->values, t->size));
    }
    TRY(lstm__writer_close(&file));
out:
    lstm__writer_abort(file);
    json_decref(header);
    lstm__release(writer->context, text);
    lstm__release(writer->context, order);
    return status;
}
