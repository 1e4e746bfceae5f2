/* SPDX-License-Identifier: MIT
 *
 * HDF5 files: the superblock, and a walk through all groups (HDF5 File Format Specification 3.0,
 * II.A).
 *
 *     version 0, 1:  signature | versions | sizes of addresses and lengths | tree sizes | flags |
 *                    base, …, end, … | root entry
 *     version 2, 3:  signature | version | sizes | flags | base | extension | end | root | checksum
 *
 * The walk is breadth first: the list of objects is its queue, so depth costs no stack. An object
 * that lies in itself is found by going up its groups; objects with many names are bounded by the
 * number of objects.
 */
#include "hdf5_format.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_OBJECTS = 200000, MOST_DEPTH = 32, MOST_PATH = 1024, MOST_NAME = 255 };
static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

bool lstm__is_hdf5(const unsigned char *bytes, size_t size)
{
    return size >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
}

/* ---- Superblock */

static bool is_size(size_t size)
{
    return size == 2 || size == 4 || size == 8;
}

static lstm_status read_sizes(lstm__hdf5 *file, lstm__cursor *c)
{
    uint8_t offset_size = 0;
    uint8_t length_size = 0;
    RETURN_IF_ERROR(lstm__get_u8(c, &offset_size));
    RETURN_IF_ERROR(lstm__get_u8(c, &length_size));
    if (!is_size(offset_size) || !is_size(length_size))
        return lstm__fail_at(c, "addresses of %d and lengths of %d bytes; expected 2, 4 or 8",
                             (int)offset_size, (int)length_size);
    file->offset_size = offset_size;
    file->length_size = length_size;
    return LSTM_OK;
}

static lstm_status read_base(const lstm__hdf5 *file, lstm__cursor *c)
{
    uint64_t base = 0;
    RETURN_IF_ERROR(lstm__hdf5_get_address(file, c, &base));
    if (base != 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: its HDF5 part begins at %llu; expected 0",
                          c->name, (unsigned long long)base);
    return LSTM_OK;
}

static lstm_status read_superblock(lstm__hdf5 *file, uint64_t *root)
{
    lstm__cursor c = file->whole;
    uint8_t version = 0;
    uint64_t end = 0;
    if (!lstm__is_hdf5(c.bytes, c.size))
        return lstm__fail_at(&c, "no HDF5 file");
    RETURN_IF_ERROR(lstm__skip(&c, sizeof signature));
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    if (version > 3)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: HDF5 superblock of version %d: this version reads 0 to 3", c.name,
                          (int)version);
    RETURN_IF_ERROR(lstm__skip(&c, version < 2 ? 4 : 0));
    RETURN_IF_ERROR(read_sizes(file, &c));
    if (version < 2) {
        RETURN_IF_ERROR(lstm__skip(&c, 1 + 2 + 2 + 4 + (version == 1 ? 4 : 0)));
        RETURN_IF_ERROR(read_base(file, &c));
        RETURN_IF_ERROR(lstm__skip(&c, file->offset_size));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, &end));
        RETURN_IF_ERROR(lstm__skip(&c, 2 * file->offset_size));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, root));
    } else {
        RETURN_IF_ERROR(lstm__skip(&c, 1));
        RETURN_IF_ERROR(read_base(file, &c));
        RETURN_IF_ERROR(lstm__skip(&c, file->offset_size));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, &end));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, root));
        RETURN_IF_ERROR(lstm__hdf5_check(file, &c, 0));
    }
    if (end > file->whole.size)
        return lstm__fail_at(&c, "the file is cut off: it has %zu of %llu bytes", file->whole.size,
                             (unsigned long long)end);
    return LSTM_OK;
}

/* ---- Objects */

typedef struct description {
    lstm__hdf5 *file;
    lstm__hdf5_object *object;
    lstm__cursor type, shape;
    bool is_group;
    bool has_layout;
} description;

static lstm_status visit_message(void *user, uint32_t type, const lstm__cursor *body)
{
    description *d = user;
    switch (type) {
    case LSTM__HDF5_DATASPACE:
        d->shape = *body;
        return LSTM_OK;
    case LSTM__HDF5_DATATYPE:
        d->type = *body;
        return LSTM_OK;
    case LSTM__HDF5_LAYOUT:
        d->object->layout = *body;
        d->has_layout = true;
        return LSTM_OK;
    case LSTM__HDF5_FILTERS:
        d->object->filters = *body;
        return LSTM_OK;
    case LSTM__HDF5_FILL:
        d->object->fill = *body;
        return LSTM_OK;
    case LSTM__HDF5_SYMBOLS:
    case LSTM__HDF5_LINK_INFO:
    case LSTM__HDF5_GROUP_INFO:
    case LSTM__HDF5_LINK:
        d->is_group = true;
        return LSTM_OK;
    case LSTM__HDF5_EXTERNAL:
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: dataset \"/%s\" lies in other files: external storage is not read",
                          d->file->whole.name, d->object->path);
    default:
        return LSTM_OK;
    }
}

/* Find out what an object is. */
static lstm_status describe(lstm__hdf5 *file, lstm__hdf5_object *object)
{
    description d = {.file = file, .object = object};
    RETURN_IF_ERROR(lstm__hdf5_messages(file, object->address, visit_message, &d));
    if (d.is_group && !d.has_layout)
        return LSTM_OK;
    if (!d.has_layout)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: object \"/%s\" is neither a group nor a dataset (a named type?)",
                          file->whole.name, object->path);
    if (d.type.size == 0 || d.shape.size == 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: dataset \"/%s\" has no datatype or no dataspace",
                          file->whole.name, object->path);
    object->is_dataset = true;
    RETURN_IF_ERROR(lstm__hdf5_parse_type(&d.type, &object->type));
    RETURN_IF_ERROR(
        lstm__hdf5_parse_shape(file, &d.shape, &object->rank, object->shape, &object->count));
    return lstm__hdf5_check_dataset(file, object);
}

typedef struct adding {
    lstm__hdf5 *file;
    size_t group;
} adding;

static char *join(lstm_context *context, const char *group, const char *name, size_t length)
{
    const size_t before = strlen(group);
    char *path = lstm__allocate(context, before + 1 + length + 1);
    if (!path)
        return NULL;
    char *end = path;
    memcpy(end, group, before);
    end += before;
    if (before > 0)
        *end++ = '/';
    memcpy(end, name, length);
    end[length] = 0;
    return path;
}

static lstm_status append(lstm__hdf5 *file, size_t parent, const char *name, size_t length,
                          uint64_t address)
{
    RETURN_IF_ERROR(lstm__grow(file->context, (void **)&file->objects, &file->capacity,
                               file->count + 1, sizeof *file->objects));
    const lstm__hdf5_object *group = file->count ? &file->objects[parent] : NULL;
    lstm__hdf5_object *object = &file->objects[file->count];
    *object = (lstm__hdf5_object){
        .address = address, .parent = parent, .depth = group ? group->depth + 1 : 0};
    object->path = join(file->context, group ? group->path : "", name, length);
    if (!object->path)
        return lstm__fail_memory(length, "a name");
    const char *slash = strrchr(object->path, '/');
    object->name = slash ? slash + 1 : object->path;
    file->count++;
    return LSTM_OK;
}

static lstm_status add_member(void *user, const char *name, size_t length, uint64_t address)
{
    const adding *a = user;
    lstm__hdf5 *file = a->file;
    const lstm__hdf5_object *group = &file->objects[a->group];
    if (file->count == MOST_OBJECTS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: more than %d groups and datasets",
                          file->whole.name, MOST_OBJECTS);
    if (group->depth >= MOST_DEPTH || length > MOST_NAME ||
        strlen(group->path) + 1 + length > MOST_PATH)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: group \"/%.100s\": names or groups beyond the limits (%d bytes a name, "
            "%d a path, %d levels)",
            file->whole.name, group->path, MOST_NAME, MOST_PATH, MOST_DEPTH);
    for (size_t above = a->group;; above = file->objects[above].parent) {
        if (file->objects[above].address == address)
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: group \"/%s\" contains itself",
                              file->whole.name, file->objects[above].path);
        if (above == 0)
            break;
    }
    return append(file, a->group, name, length, address);
}

static lstm_status walk(lstm__hdf5 *file, uint64_t root)
{
    RETURN_IF_ERROR(append(file, 0, "", 0, root));
    for (size_t k = 0; k < file->count; k++) {
        lstm__hdf5_object group = file->objects[k]; /* a copy: the list moves when it grows */
        adding a = {file, k};
        RETURN_IF_ERROR(describe(file, &file->objects[k]));
        if (k == 0 && file->objects[0].is_dataset)
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: its root is no group", file->whole.name);
        if (!file->objects[k].is_dataset)
            RETURN_IF_ERROR(lstm__hdf5_links(file, &group, add_member, &a));
    }
    return LSTM_OK;
}

static int by_path(const void *a, const void *b)
{
    const lstm__hdf5_object *const *first = a;
    const lstm__hdf5_object *const *second = b;
    return strcmp((*first)->path, (*second)->path);
}

/* Every path once: two members of a group with the same name would make the second unreachable. */
static lstm_status sort(lstm__hdf5 *file)
{
    file->sorted = lstm__allocate_array(file->context, file->count, sizeof *file->sorted);
    if (!file->sorted)
        return lstm__fail_memory(file->count, "the objects of an HDF5 file");
    for (size_t k = 0; k < file->count; k++)
        file->sorted[k] = &file->objects[k];
    qsort(file->sorted, file->count, sizeof *file->sorted, by_path);
    for (size_t k = 1; k < file->count; k++)
        if (by_path(&file->sorted[k - 1], &file->sorted[k]) == 0)
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: \"/%s\" is there twice", file->whole.name,
                              file->sorted[k]->path);
    return LSTM_OK;
}

lstm_status lstm__hdf5_open(lstm__hdf5 **out, lstm_context *context, const lstm__cursor *whole,
                            bool checksums)
{
    lstm_status status = LSTM_OK;
    uint64_t root = 0;
    *out = NULL;
    lstm__hdf5 *file = lstm__allocate_zeroed(context, sizeof *file);
    if (!file)
        return lstm__fail_memory(sizeof *file, "an HDF5 file");
    file->context = context;
    file->whole = *whole;
    file->whole.offset = 0;
    file->checksums = checksums;
    file->work = &file->work_left;
    file->work_left = whole->size > SIZE_MAX / 128 ? SIZE_MAX : 64 * whole->size + (1 << 20);
    TRY(read_superblock(file, &root));
    TRY(walk(file, root));
    TRY(sort(file));
    *out = file;
    return LSTM_OK;
out:
    lstm__hdf5_close(file);
    return status;
}

void lstm__hdf5_close(lstm__hdf5 *file)
{
    if (!file)
        return;
    for (size_t k = 0; k < file->count; k++)
        lstm__release(file->context, file->objects[k].path);
    lstm__release(file->context, file->objects);
    lstm__release(file->context, file->sorted);
    lstm__release(file->context, file);
}

const char *lstm__hdf5_name(const lstm__hdf5 *file)
{
    return file->whole.name;
}

size_t lstm__hdf5_count(const lstm__hdf5 *file)
{
    return file->count;
}

const lstm__hdf5_object *lstm__hdf5_get(const lstm__hdf5 *file, size_t index)
{
    return &file->objects[index];
}

const lstm__hdf5_object *lstm__hdf5_find(const lstm__hdf5 *file, const char *path)
{
    size_t low = 0;
    size_t high = file->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(file->sorted[middle]->path, path);
        if (order == 0)
            return file->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
