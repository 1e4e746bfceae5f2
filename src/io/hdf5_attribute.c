/* SPDX-License-Identifier: MIT
 *
 * Attributes of HDF5 objects, read as texts (HDF5 File Format Specification 3.0, IV.A.2.m).
 *
 *     version 1:  1 | 0 | sizes of name, type, shape (2 each) | name, type, shape, each filled up to 8 bytes | data
 *     version 2:  2 | flags | sizes | name | type | shape | data
 *     version 3:  the same with the name's character set behind the sizes
 *
 * A text is in the data, or the data names its length and its place in the global heap. All texts
 * of one attribute together cannot be longer than the file, however often they name the same
 * object.
 */
#include "hdf5_format.h"

#include <string.h>

enum { FLAGS_SHARED = 3 };

typedef struct search {
    const lstm__hdf5 *file;
    const char *name;
    bool found;
    lstm__cursor type, shape, data;
    uint64_t dense_heap, dense_tree;
} search;

static lstm_status get_field(lstm__cursor *body, uint16_t size, bool padded, lstm__cursor *field)
{
    RETURN_IF_ERROR(lstm__get_part(body, size, field));
    return lstm__skip(body, padded ? (8 - size % 8u) % 8u : 0);
}

static lstm_status match_attribute(search *s, lstm__cursor body)
{
    const lstm__cursor start = body;
    uint8_t version = 0;
    uint8_t flags = 0;
    uint16_t sizes[3] = {0, 0, 0};
    lstm__cursor name;
    lstm__cursor type;
    lstm__cursor shape;
    RETURN_IF_ERROR(lstm__get_u8(&body, &version));
    RETURN_IF_ERROR(lstm__get_u8(&body, &flags));
    if (version < 1 || version > 3)
        return lstm__fail_at(&start, "an attribute of version %d; expected 1 to 3", (int)version);
    for (size_t k = 0; k < 3; k++)
        RETURN_IF_ERROR(lstm__get_u16(&body, &sizes[k]));
    RETURN_IF_ERROR(lstm__skip(&body, version == 3 ? 1 : 0));
    RETURN_IF_ERROR(get_field(&body, sizes[0], version == 1, &name));
    RETURN_IF_ERROR(get_field(&body, sizes[1], version == 1, &type));
    RETURN_IF_ERROR(get_field(&body, sizes[2], version == 1, &shape));
    const size_t length = strlen(s->name);
    const bool same = name.size > length && memcmp(name.bytes, s->name, length) == 0 &&
                      name.bytes[length] == 0;
    if (!same || s->found)
        return LSTM_OK;
    if (version > 1 && (flags & FLAGS_SHARED))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: attribute \"%s\" has a committed datatype: not read", start.name,
                          s->name);
    s->found = true;
    s->type = type;
    s->shape = shape;
    return lstm__get_part(&body, lstm__remaining(&body), &s->data);
}

static lstm_status visit_message(void *user, uint32_t type, const lstm__cursor *message)
{
    search *s = user;
    lstm__cursor body = *message;
    uint8_t flags = 0;
    if (type == LSTM__HDF5_ATTRIBUTE)
        return match_attribute(s, body);
    if (type != LSTM__HDF5_ATTRIBUTE_INFO)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__skip(&body, 1));
    RETURN_IF_ERROR(lstm__get_u8(&body, &flags));
    RETURN_IF_ERROR(lstm__skip(&body, flags & 1 ? 2 : 0));
    RETURN_IF_ERROR(lstm__hdf5_get_address(s->file, &body, &s->dense_heap));
    return lstm__hdf5_get_address(s->file, &body, &s->dense_tree);
}

/* The bytes of element `k`, ended where its text ends. */
static lstm_status get_text(const lstm__hdf5 *file, const lstm__hdf5_type *type, lstm__cursor *data,
                            const char **text, size_t *length)
{
    const unsigned char *bytes = NULL;
    uint64_t size = type->size;
    if (type->text == 1) {
        RETURN_IF_ERROR(lstm__get_bytes(data, size, &bytes));
    } else {
        uint32_t stored = 0;
        uint64_t address = 0;
        uint32_t index = 0;
        lstm__cursor object;
        RETURN_IF_ERROR(lstm__get_u32(data, &stored));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, data, &address));
        RETURN_IF_ERROR(lstm__get_u32(data, &index));
        size = stored;
        bytes = (const unsigned char *)"";
        if (size > 0) {
            RETURN_IF_ERROR(lstm__hdf5_global(file, address, index, &object));
            RETURN_IF_ERROR(lstm__get_bytes(&object, size, &bytes));
        }
    }
    const unsigned char *end = size ? memchr(bytes, 0, (size_t)size) : NULL;
    *text = (const char *)bytes;
    *length = end ? (size_t)(end - bytes) : (size_t)size;
    while (type->text == 1 && type->padding == 2 && *length > 0 && (*text)[*length - 1] == ' ')
        --*length;
    return LSTM_OK;
}

/* Two rounds over the data: how long the texts are, then the copies. */
static lstm_status copy_texts(const search *s, const lstm__hdf5_type *type, size_t count,
                              lstm__hdf5_texts *texts)
{
    lstm_context *context = s->file->context;
    const char *text = NULL;
    size_t length = 0;
    size_t total = 0;
    lstm__cursor data = s->data;
    for (size_t k = 0; k < count; k++) {
        RETURN_IF_ERROR(get_text(s->file, type, &data, &text, &length));
        total += length + 1;
        if (total > s->file->whole.size + k + 1)
            return lstm__fail_at(&data, "the texts of attribute \"%s\" are longer than the file",
                                 s->name);
    }
    texts->context = context;
    texts->items = lstm__allocate_array(context, count, sizeof *texts->items);
    texts->block = lstm__allocate(context, total);
    if (!texts->items || !texts->block)
        return lstm__fail_memory(total, "the texts of an attribute");
    char *end = texts->block;
    data = s->data;
    for (size_t k = 0; k < count; k++) {
        RETURN_IF_ERROR(get_text(s->file, type, &data, &text, &length));
        texts->items[k] = end;
        memcpy(end, text, length);
        end[length] = 0;
        end += length + 1;
    }
    texts->count = count;
    return LSTM_OK;
}

lstm_status lstm__hdf5_read_texts(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                                  const char *name, lstm__hdf5_texts *texts)
{
    search s = {.file = file,
                .name = name,
                .dense_heap = LSTM__HDF5_NOWHERE,
                .dense_tree = LSTM__HDF5_NOWHERE};
    lstm__hdf5_type type;
    int32_t rank = 0;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t count = 0;
    lstm_status status = LSTM_OK;
    *texts = (lstm__hdf5_texts){.context = file->context};
    TRY(lstm__hdf5_messages(file, object->address, visit_message, &s));
    if (!s.found && s.dense_heap != LSTM__HDF5_NOWHERE)
        TRY(lstm__hdf5_dense(file, s.dense_heap, s.dense_tree, visit_message, &s,
                             LSTM__HDF5_ATTRIBUTE));
    if (!s.found)
        return LSTM_OK;
    TRY(lstm__hdf5_parse_type(&s.type, &type));
    TRY(lstm__hdf5_parse_shape(file, &s.shape, &rank, shape, &count));
    texts->found = true;
    if (count == 0)
        return LSTM_OK;
    if (!type.text || (type.text == 2 && type.size != 8 + file->offset_size))
        FAIL(LSTM_ERROR_FORMAT, "%s: attribute \"%s\" of \"/%s\" is %s; expected text",
             file->whole.name, name, object->path, lstm__hdf5_type_name(&type));
    if (count > lstm__remaining(&s.data) / type.size) {
        status = lstm__fail_at(&s.data, "attribute \"%s\": %zu texts of %zu bytes in %zu bytes",
                               name, count, type.size, lstm__remaining(&s.data));
        goto out;
    }
    TRY(copy_texts(&s, &type, count, texts));
    return LSTM_OK;
out:
    lstm__hdf5_release_texts(texts);
    return status;
}

void lstm__hdf5_release_texts(lstm__hdf5_texts *texts)
{
    if (texts->context) {
        lstm__release(texts->context, texts->items);
        lstm__release(texts->context, texts->block);
    }
    *texts = (lstm__hdf5_texts){0};
}
