/* SPDX-License-Identifier: MIT
 *
 * Writing HDF5 (HDF5 File Format Specification 3.0): superblock of version 2, object headers of
 * version 2, links in the headers of their groups, contiguous data. Readable by every libhdf5 from
 * 1.8 (2008) on.
 *
 *     superblock | data of all arrays and long texts, each from a multiple of 64 on | headers,
 *     members before their groups, the root last
 *
 * A header needs the addresses of what it links to, so entries are written from the last to the
 * first: a member is always added after its group.
 *
 * Attributes are texts. A message holds at most 64 KiB, so a long text lies in a global heap of its
 * own, to which its attribute points, and a long list is cut into NAME0, NAME1, … as Keras does it.
 */
#include "hdf5_writer.h"

#include "checked.h"
#include "hdf5_format.h"

#include <stdio.h>
#include <string.h>

enum {
    SUPERBLOCK = 48,
    ALIGNMENT = 64,
    MOST_NAME = 255,
    HEADER_WIDTH_4 = 2,
    CONSTANT = 1,
    MOST_INSIDE = 1024, /* bytes of a text that stays in its message */
    MOST_LIST = 64512,  /* bytes of a list, Keras' limit */
    LEAST_HEAP = 4096
};

/* `count` texts of `width` bytes, filled up with NUL; or one in a heap. */
typedef struct attribute {
    char *name;
    char *bytes; /* NULL: in the heap at `heap`, `width` bytes of it */
    uint64_t heap;
    size_t width, count;
    bool is_list;
    size_t next; /* attribute of the same group; 0 = none */
} attribute;

typedef struct entry {
    char *name;
    size_t attribute; /* number of its first one + 1; 0 = none */
    size_t parent;
    bool is_array;
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t size;      /* bytes of the data */
    uint64_t data;    /* where they are */
    uint64_t address; /* of the header */
} entry;

struct lstm__hdf5_writer {
    lstm_context *context;
    entry *entries;
    size_t count;
    size_t capacity;
    attribute *attributes;
    size_t attribute_count;
    size_t attribute_capacity;
    /* for each entry: its first member, the next member of its group; 0 = none */
    size_t *first, *next;
    unsigned char *bytes;
    size_t used;
    size_t room;
};

/* ---- Bytes */

static lstm_status put_bytes(lstm__hdf5_writer *w, const void *bytes, size_t count)
{
    size_t end = 0;
    if (!lstm__add(w->used, count, &end))
        return lstm__fail_memory(SIZE_MAX, "an HDF5 file");
    RETURN_IF_ERROR(lstm__grow(w->context, (void **)&w->bytes, &w->room, end, 1));
    if (count > 0)
        memcpy(w->bytes + w->used, bytes, count);
    w->used = end;
    return LSTM_OK;
}

static lstm_status put(lstm__hdf5_writer *w, size_t width, uint64_t value)
{
    unsigned char bytes[8];
    for (size_t k = 0; k < width; k++)
        bytes[k] = (unsigned char)(value >> 8 * k & 255);
    return put_bytes(w, bytes, width);
}

static lstm_status align(lstm__hdf5_writer *w)
{
    static const unsigned char zeros[ALIGNMENT];
    return put_bytes(w, zeros, (ALIGNMENT - w->used % ALIGNMENT) % ALIGNMENT);
}

/* The head of a message whose body takes `size` bytes. */
static lstm_status put_message(lstm__hdf5_writer *w, uint64_t type, size_t size, uint64_t flags)
{
    RETURN_IF_ERROR(put(w, 1, type));
    RETURN_IF_ERROR(put(w, 2, size));
    return put(w, 1, flags);
}

/* ---- Building */

lstm_status lstm__hdf5_writer_create(lstm__hdf5_writer **out, lstm_context *context)
{
    static const unsigned char nothing[SUPERBLOCK];
    lstm_status status = LSTM_OK;
    size_t root = 0;
    *out = NULL;
    lstm__hdf5_writer *w = lstm__allocate_zeroed(context, sizeof *w);
    if (!w)
        return lstm__fail_memory(sizeof *w, "an HDF5 file");
    w->context = context;
    TRY(put_bytes(w, nothing, sizeof nothing));
    TRY(lstm__hdf5_add_group(w, 0, "/", NULL, &root));
    *out = w;
    return LSTM_OK;
out:
    lstm__hdf5_writer_destroy(w);
    return status;
}

void lstm__hdf5_writer_destroy(lstm__hdf5_writer *w)
{
    if (!w)
        return;
    for (size_t k = 0; k < w->count; k++)
        lstm__release(w->context, w->entries[k].name);
    for (size_t k = 0; k < w->attribute_count; k++) {
        lstm__release(w->context, w->attributes[k].name);
        lstm__release(w->context, w->attributes[k].bytes);
    }
    lstm__release(w->context, w->attributes);
    lstm__release(w->context, w->entries);
    lstm__release(w->context, w->first);
    lstm__release(w->context, w->bytes);
    lstm__release(w->context, w);
}

static lstm_status check_name(const char *name)
{
    if (strlen(name) > MOST_NAME)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "name \"%.100s...\" in an HDF5 file: expected at most %d bytes", name,
                          MOST_NAME);
    return LSTM_OK;
}

static lstm_status add(lstm__hdf5_writer *w, size_t parent, const char *name)
{
    RETURN_IF_ERROR(check_name(name));
    RETURN_IF_ERROR(lstm__grow(w->context, (void **)&w->entries, &w->capacity, w->count + 1,
                               sizeof *w->entries));
    entry *e = &w->entries[w->count];
    *e = (entry){.parent = parent};
    e->name = lstm__copy_text(w->context, name);
    w->count++;
    return e->name ? LSTM_OK : lstm__fail_memory(strlen(name), "a name");
}

lstm_status lstm__hdf5_add_group(lstm__hdf5_writer *w, size_t parent, const char *name,
                                 const char *name_attribute, size_t *number)
{
    *number = w->count;
    RETURN_IF_ERROR(add(w, parent, name));
    if (!name_attribute)
        return LSTM_OK;
    RETURN_IF_ERROR(check_name(name_attribute));
    return lstm__hdf5_add_text(w, *number, "name", name_attribute);
}

/* ---- Attributes */

static lstm_status add_attribute(lstm__hdf5_writer *w, size_t group, const char *name,
                                 attribute **out)
{
    RETURN_IF_ERROR(check_name(name));
    RETURN_IF_ERROR(lstm__grow(w->context, (void **)&w->attributes, &w->attribute_capacity,
                               w->attribute_count + 1, sizeof *w->attributes));
    attribute *a = &w->attributes[w->attribute_count++];
    *a = (attribute){.next = w->entries[group].attribute, .count = 1};
    w->entries[group].attribute = w->attribute_count;
    a->name = lstm__copy_text(w->context, name);
    *out = a;
    return a->name ? LSTM_OK : lstm__fail_memory(strlen(name), "a name");
}

/* A text as the only object of a global heap. */
static lstm_status put_heap(lstm__hdf5_writer *w, const char *text, size_t length)
{
    static const unsigned char zeros[LEAST_HEAP];
    enum { HEAD = 16 }; /* of the heap, of an object, of the space that is left */
    const size_t padding = (8 - length % 8) % 8;
    const size_t used = 2 * HEAD + length + padding;
    const size_t left = used + HEAD < LEAST_HEAP ? LEAST_HEAP - used : HEAD;
    RETURN_IF_ERROR(put_bytes(w, "GCOL\1\0\0", 8));
    RETURN_IF_ERROR(put(w, 8, used + left));
    RETURN_IF_ERROR(put(w, 8, 1)); /* object 1, no references */
    RETURN_IF_ERROR(put(w, 8, length));
    RETURN_IF_ERROR(put_bytes(w, text, length));
    RETURN_IF_ERROR(put_bytes(w, zeros, padding));
    RETURN_IF_ERROR(put(w, 8, 0)); /* object 0: free */
    RETURN_IF_ERROR(put(w, 8, left));
    return put_bytes(w, zeros, left - HEAD);
}

lstm_status lstm__hdf5_add_text(lstm__hdf5_writer *w, size_t group, const char *name,
                                const char *text)
{
    attribute *a = NULL;
    const size_t length = strlen(text);
    RETURN_IF_ERROR(add_attribute(w, group, name, &a));
    if (length > UINT32_MAX)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "attribute \"%.100s\" is too long for HDF5",
                          name);
    if (length <= MOST_INSIDE) {
        a->width = length + 1;
        a->bytes = lstm__copy_text(w->context, text);
        return a->bytes ? LSTM_OK : lstm__fail_memory(length, "an attribute");
    }
    RETURN_IF_ERROR(align(w));
    a->heap = w->used;
    a->width = length;
    return put_heap(w, text, length);
}

/* Some texts of a list, each of `width` bytes. */
static lstm_status add_part(lstm__hdf5_writer *w, size_t group, const char *name,
                            const char *const *texts, size_t count, size_t width)
{
    attribute *a = NULL;
    RETURN_IF_ERROR(add_attribute(w, group, name, &a));
    a->is_list = true;
    a->count = count;
    a->width = width;
    a->bytes = lstm__allocate_zeroed(w->context, count * width + 1);
    if (!a->bytes)
        return lstm__fail_memory(count * width, "an attribute");
    for (size_t k = 0; k < count; k++)
        memcpy(a->bytes + k * width, texts[k], strlen(texts[k]));
    return LSTM_OK;
}

lstm_status lstm__hdf5_add_texts(lstm__hdf5_writer *w, size_t group, const char *name,
                                 const char *const *texts, size_t count)
{
    size_t width = 1;
    for (size_t k = 0; k < count; k++)
        width = strlen(texts[k]) > width ? strlen(texts[k]) : width;
    if (width > MOST_LIST)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "attribute \"%.100s\" is too long for HDF5",
                          name);
    const size_t each = MOST_LIST / width;
    if (count <= each)
        return add_part(w, group, name, texts, count, width);
    for (size_t first = 0, part = 0; first < count; first += each, part++) {
        char text[MOST_NAME + 1];
        snprintf(text, sizeof text, "%.200s%zu", name, part);
        RETURN_IF_ERROR(add_part(w, group, text, texts + first,
                                 count - first < each ? count - first : each, width));
    }
    return LSTM_OK;
}

lstm_status lstm__hdf5_add_array(lstm__hdf5_writer *w, size_t parent, const char *name,
                                 int32_t rank, const int64_t *shape, const float *values)
{
    size_t count = 0;
    RETURN_IF_ERROR(add(w, parent, name));
    entry *e = &w->entries[w->count - 1];
    e->is_array = true;
    e->rank = rank;
    memcpy(e->shape, shape, (size_t)rank * sizeof *shape);
    if (!lstm__product(shape, (size_t)rank, &count) || !lstm__mul(count, 4, &e->size))
        return lstm__fail_memory(SIZE_MAX, "an array of an HDF5 file");
    RETURN_IF_ERROR(align(w));
    e->data = w->used;
    return put_bytes(w, values, e->size);
}

/* ---- Headers */

static lstm_status put_array_messages(lstm__hdf5_writer *w, const entry *e)
{
    /* Class and version, 24 bits of the class, size; then bit offset, precision, places and sizes,
     * bias. */
    static const unsigned char single[20] = {0x11, 0x20, 31, 0, 4, 0,  0,   0, 0, 0,
                                             32,   0,    23, 8, 0, 23, 127, 0, 0, 0};
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_DATASPACE, 4 + 8 * (size_t)e->rank, 0));
    RETURN_IF_ERROR(put(w, 1, 2));
    RETURN_IF_ERROR(put(w, 1, (uint64_t)e->rank));
    RETURN_IF_ERROR(put(w, 1, 0));
    RETURN_IF_ERROR(put(w, 1, e->rank > 0));
    for (int32_t k = 0; k < e->rank; k++)
        RETURN_IF_ERROR(put(w, 8, (uint64_t)e->shape[k]));
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_DATATYPE, sizeof single, CONSTANT));
    RETURN_IF_ERROR(put_bytes(w, single, sizeof single));
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_FILL, 2, CONSTANT));
    /* version 3: allocated late, written if set, not set */
    RETURN_IF_ERROR(put(w, 2, 3 | 0x0a << 8));
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_LAYOUT, 18, 0));
    RETURN_IF_ERROR(put(w, 2, 3 | 1 << 8)); /* version 3, contiguous */
    RETURN_IF_ERROR(put(w, 8, e->size ? e->data : LSTM__HDF5_NOWHERE));
    return put(w, 8, e->size);
}

/* Texts of fixed length, UTF-8, filled up with NUL; or one of any length in a heap. */
static lstm_status put_attribute(lstm__hdf5_writer *w, const attribute *a)
{
    /* a sequence of characters, UTF-8; the type of one */
    static const unsigned char any_length[16] = {0x19, 1, 1, 0, 16, 0, 0, 0, 0x13, 0x10, 0, 0, 1};
    enum { FIXED_TYPE = 8, IN_HEAP = 16 };
    const size_t name = strlen(a->name) + 1;
    const size_t type = a->bytes ? FIXED_TYPE : sizeof any_length;
    const size_t space = a->is_list ? 12 : 4;
    const size_t data = a->bytes ? a->count * a->width : IN_HEAP;
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_ATTRIBUTE, 9 + name + type + space + data, 0));
    RETURN_IF_ERROR(put(w, 2, 3));
    RETURN_IF_ERROR(put(w, 2, name));
    RETURN_IF_ERROR(put(w, 2, type));
    RETURN_IF_ERROR(put(w, 2, space));
    RETURN_IF_ERROR(put(w, 1, 0));
    RETURN_IF_ERROR(put_bytes(w, a->name, name));
    if (a->bytes) {
        RETURN_IF_ERROR(put(w, 4, 0x13 | 0x11 << 8)); /* text, padded with NUL, UTF-8 */
        RETURN_IF_ERROR(put(w, 4, a->width));
    } else {
        RETURN_IF_ERROR(put_bytes(w, any_length, sizeof any_length));
    }
    /* dataspace of version 2: one value, or a list */
    RETURN_IF_ERROR(put(w, 4, a->is_list ? 2 | 1 << 8 | 1 << 24 : 2));
    if (a->is_list)
        RETURN_IF_ERROR(put(w, 8, a->count));
    if (a->bytes)
        return put_bytes(w, a->bytes, data);
    RETURN_IF_ERROR(put(w, 4, a->width));
    RETURN_IF_ERROR(put(w, 8, a->heap));
    return put(w, 4, 1);
}

static lstm_status put_group_messages(lstm__hdf5_writer *w, size_t number)
{
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_LINK_INFO, 18, 0));
    RETURN_IF_ERROR(put(w, 2, 0));
    RETURN_IF_ERROR(put(w, 8, LSTM__HDF5_NOWHERE));
    RETURN_IF_ERROR(put(w, 8, LSTM__HDF5_NOWHERE));
    RETURN_IF_ERROR(put_message(w, LSTM__HDF5_GROUP_INFO, 2, CONSTANT));
    RETURN_IF_ERROR(put(w, 2, 0));
    for (size_t k = w->entries[number].attribute; k > 0; k = w->attributes[k - 1].next)
        RETURN_IF_ERROR(put_attribute(w, &w->attributes[k - 1]));
    for (size_t k = w->first[number]; k != 0; k = w->next[k]) {
        const entry *member = &w->entries[k];
        const size_t length = strlen(member->name);
        RETURN_IF_ERROR(put_message(w, LSTM__HDF5_LINK, 4 + length + 8, 0));
        /* version 1, with character set: UTF-8 */
        RETURN_IF_ERROR(put(w, 3, 1 | 0x10 << 8 | 1 << 16));
        RETURN_IF_ERROR(put(w, 1, length));
        RETURN_IF_ERROR(put_bytes(w, member->name, length));
        RETURN_IF_ERROR(put(w, 8, member->address));
    }
    return LSTM_OK;
}

static void patch(lstm__hdf5_writer *w, size_t at, size_t width, uint64_t value)
{
    for (size_t k = 0; k < width; k++)
        w->bytes[at + k] = (unsigned char)(value >> 8 * k & 255);
}

static lstm_status put_header(lstm__hdf5_writer *w, size_t number)
{
    entry *e = &w->entries[number];
    RETURN_IF_ERROR(align(w));
    const size_t start = w->used;
    e->address = start;
    RETURN_IF_ERROR(put_bytes(w, "OHDR", 4));
    RETURN_IF_ERROR(put(w, 2, 2 | HEADER_WIDTH_4 << 8));
    RETURN_IF_ERROR(put(w, 4, 0));
    const size_t messages = w->used;
    RETURN_IF_ERROR(e->is_array ? put_array_messages(w, e) : put_group_messages(w, number));
    if (w->used - messages > UINT32_MAX)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "a group of more members than an HDF5 header holds");
    patch(w, messages - 4, 4, w->used - messages);
    return put(w, 4, lstm__hdf5_checksum(w->bytes + start, w->used - start));
}

lstm_status lstm__hdf5_finish(lstm__hdf5_writer *w, const unsigned char **bytes, size_t *size)
{
    static const unsigned char head[12] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 2, 8, 8, 0};
    w->first = w->count <= SIZE_MAX / 2
                   ? lstm__allocate_array(w->context, 2 * w->count, sizeof *w->first)
                   : NULL;
    if (!w->first)
        return lstm__fail_memory(w->count, "an HDF5 file");
    memset(w->first, 0, 2 * w->count * sizeof *w->first);
    w->next = w->first + w->count;
    for (size_t k = w->count; k-- > 1;) { /* backwards: the first member ends up in front */
        w->next[k] = w->first[w->entries[k].parent];
        w->first[w->entries[k].parent] = k;
    }
    for (size_t k = w->count; k-- > 0;)
        RETURN_IF_ERROR(put_header(w, k));
    memcpy(w->bytes, head, sizeof head);
    patch(w, 12, 8, 0);
    patch(w, 20, 8, LSTM__HDF5_NOWHERE);
    patch(w, 28, 8, w->used);
    patch(w, 36, 8, w->entries[0].address);
    patch(w, 44, 4, lstm__hdf5_checksum(w->bytes, 44));
    *bytes = w->bytes;
    *size = w->used;
    return LSTM_OK;
}
