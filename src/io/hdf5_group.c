/* SPDX-License-Identifier: MIT
 *
 * The links of HDF5 groups (HDF5 File Format Specification 3.0, III.A.1, III.B, III.C, IV.A.2.g).
 *
 *     old groups:  the symbol table message names a B-tree (version 1) and a local heap; the tree's
 *                  leaves name symbol table
 *                  nodes ("SNOD"), whose entries hold offsets of names in the heap and addresses of object headers
 *     new groups:  link messages in the header, or, when there are many, in a fractal heap (hdf5_heap.c)
 *
 * A child of a B-tree node is one level below it, so the depth is bounded by the root's level; how
 * often nodes are visited is bounded by the budget.
 */
#include "hdf5_format.h"
#include "name_list.h"

#include <string.h>

enum {
    CACHE_SOFT_LINK = 2,
    MOST_LEVELS = 16,
    LINK_CREATION = 4,
    LINK_TYPE = 8,
    LINK_CHARSET = 16,
    LINK_HARD = 0,
    LINK_SOFT = 1,
    LINK_EXTERNAL = 64,
    INFO_ORDER = 1
};

typedef struct walk {
    const lstm__hdf5 *file;
    const lstm__hdf5_object *group;
    lstm__hdf5_link visit;
    void *user;
    lstm__hdf5_budget budget;
    lstm__cursor names;            /* the local heap's data */
    uint64_t tree, heap;           /* of an old group */
    uint64_t link_heap, link_tree; /* of a new one with many links */
} walk;

static lstm_status refuse_link(const walk *w, const char *kind, const char *name, size_t length)
{
    char excerpt[LSTM__EXCERPT];
    return lstm__fail(
        LSTM_ERROR_UNSUPPORTED,
        "%s: group \"/%s\": \"%s\" is %s link: Keras writes none, and none is followed",
        w->file->whole.name, w->group->path, lstm__excerpt(excerpt, name, length), kind);
}

static lstm_status take(const walk *w, const lstm__cursor *place, const char *name, size_t length,
                        uint64_t address)
{
    if (length == 0 || !lstm__is_name(name, length) || memchr(name, '/', length) ||
        (length == 1 && name[0] == '.'))
        return lstm__fail_at(
            place, "group \"/%s\": the name of a member is empty, or no text that a name can be",
            w->group->path);
    return w->visit(w->user, name, length, address);
}

/* ---- Old groups */

static lstm_status find_name(const walk *w, uint64_t offset, const lstm__cursor *place,
                             const char **name, size_t *length)
{
    if (offset >= w->names.size)
        return lstm__fail_at(place, "a name at %llu in a heap of %zu bytes",
                             (unsigned long long)offset, w->names.size);
    *name = (const char *)w->names.bytes + offset;
    const char *end = memchr(*name, 0, w->names.size - (size_t)offset);
    if (!end)
        return lstm__fail_at(place, "a name that does not end in its heap");
    *length = (size_t)(end - *name);
    return LSTM_OK;
}

static lstm_status read_symbols(walk *w, uint64_t address)
{
    lstm__cursor cursor;
    uint8_t version = 0;
    uint16_t count = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(w->file, address, "a symbol table node", &cursor));
    RETURN_IF_ERROR(lstm__hdf5_spend(&w->budget, &cursor));
    RETURN_IF_ERROR(lstm__hdf5_expect(&cursor, "SNOD", "a symbol table node"));
    RETURN_IF_ERROR(lstm__get_u8(&cursor, &version));
    if (version != 1)
        return lstm__fail_at(&cursor, "a symbol table node of version %d; expected 1",
                             (int)version);
    RETURN_IF_ERROR(lstm__skip(&cursor, 1));
    RETURN_IF_ERROR(lstm__get_u16(&cursor, &count));
    for (size_t k = 0; k < count; k++) {
        uint64_t offset = 0;
        uint64_t object = 0;
        uint32_t cache = 0;
        const char *name = NULL;
        size_t length = 0;
        const lstm__cursor entry = cursor;
        RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &cursor, &offset));
        RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &cursor, &object));
        RETURN_IF_ERROR(lstm__get_u32(&cursor, &cache));
        RETURN_IF_ERROR(lstm__skip(&cursor, 4 + 16));
        RETURN_IF_ERROR(find_name(w, offset, &entry, &name, &length));
        if (cache == CACHE_SOFT_LINK)
            return refuse_link(w, "a soft", name, length);
        RETURN_IF_ERROR(take(w, &entry, name, length, object));
    }
    return LSTM_OK;
}

/* The node at an address; level -1 = the root, whatever its level. */
static lstm_status read_tree(walk *w, uint64_t address, int level)
{
    lstm__cursor cursor;
    uint8_t type = 0;
    uint8_t own = 0;
    uint16_t count = 0;
    uint64_t child = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(w->file, address, "a B-tree node", &cursor));
    RETURN_IF_ERROR(lstm__hdf5_spend(&w->budget, &cursor));
    RETURN_IF_ERROR(lstm__hdf5_expect(&cursor, "TREE", "a B-tree node"));
    RETURN_IF_ERROR(lstm__get_u8(&cursor, &type));
    RETURN_IF_ERROR(lstm__get_u8(&cursor, &own));
    RETURN_IF_ERROR(lstm__get_u16(&cursor, &count));
    if (type != 0 || own > MOST_LEVELS || (level >= 0 && own != level))
        return lstm__fail_at(
            &cursor,
            "a B-tree node of type %d on level %d, where one of type 0 on a lower level belongs",
            (int)type, (int)own);
    RETURN_IF_ERROR(lstm__skip(&cursor, 2 * w->file->offset_size));
    for (size_t k = 0; k < count; k++) {
        RETURN_IF_ERROR(lstm__skip(&cursor, w->file->length_size));
        RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &cursor, &child));
        RETURN_IF_ERROR(own == 0 ? read_symbols(w, child) : read_tree(w, child, own - 1));
    }
    return LSTM_OK;
}

static lstm_status open_names(walk *w)
{
    lstm__cursor cursor;
    uint8_t version = 0;
    uint64_t size = 0;
    uint64_t address = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(w->file, w->heap, "a local heap", &cursor));
    RETURN_IF_ERROR(lstm__hdf5_expect(&cursor, "HEAP", "a local heap"));
    RETURN_IF_ERROR(lstm__get_u8(&cursor, &version));
    if (version != 0)
        return lstm__fail_at(&cursor, "a local heap of version %d; expected 0", (int)version);
    RETURN_IF_ERROR(lstm__skip(&cursor, 3));
    RETURN_IF_ERROR(lstm__hdf5_get_length(w->file, &cursor, &size));
    RETURN_IF_ERROR(lstm__skip(&cursor, w->file->length_size));
    RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &cursor, &address));
    RETURN_IF_ERROR(lstm__hdf5_at(w->file, address, "the names in a local heap", &cursor));
    return lstm__get_part(&cursor, size, &w->names);
}

/* ---- New groups */

static lstm_status read_link(const walk *w, lstm__cursor body)
{
    const lstm__cursor start = body;
    uint8_t version = 0;
    uint8_t flags = 0;
    uint8_t type = LINK_HARD;
    uint64_t length = 0;
    uint64_t address = 0;
    const unsigned char *name = NULL;
    RETURN_IF_ERROR(lstm__get_u8(&body, &version));
    RETURN_IF_ERROR(lstm__get_u8(&body, &flags));
    if (version != 1)
        return lstm__fail_at(&start, "a link message of version %d; expected 1", (int)version);
    if (flags & LINK_TYPE)
        RETURN_IF_ERROR(lstm__get_u8(&body, &type));
    RETURN_IF_ERROR(
        lstm__skip(&body, (flags & LINK_CREATION ? 8 : 0) + (flags & LINK_CHARSET ? 1 : 0)));
    RETURN_IF_ERROR(lstm__get_uint(&body, (size_t)1 << (flags & 3), &length));
    RETURN_IF_ERROR(lstm__get_bytes(&body, length, &name));
    if (type != LINK_HARD)
        return refuse_link(w,
                           type == LINK_SOFT       ? "a soft"
                           : type == LINK_EXTERNAL ? "an external"
                                                   : "a user-defined",
                           (const char *)name, (size_t)length);
    RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &body, &address));
    return take(w, &start, (const char *)name, (size_t)length, address);
}

static lstm_status visit_message(void *user, uint32_t type, const lstm__cursor *message)
{
    walk *w = user;
    lstm__cursor body = *message;
    uint8_t flags = 0;
    switch (type) {
    case LSTM__HDF5_LINK:
        return read_link(w, body);
    case LSTM__HDF5_SYMBOLS:
        RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &body, &w->tree));
        return lstm__hdf5_get_address(w->file, &body, &w->heap);
    case LSTM__HDF5_LINK_INFO:
        RETURN_IF_ERROR(lstm__skip(&body, 1));
        RETURN_IF_ERROR(lstm__get_u8(&body, &flags));
        RETURN_IF_ERROR(lstm__skip(&body, flags & INFO_ORDER ? 8 : 0));
        RETURN_IF_ERROR(lstm__hdf5_get_address(w->file, &body, &w->link_heap));
        return lstm__hdf5_get_address(w->file, &body, &w->link_tree);
    default:
        return LSTM_OK;
    }
}

lstm_status lstm__hdf5_links(const lstm__hdf5 *file, const lstm__hdf5_object *group,
                             lstm__hdf5_link visit, void *user)
{
    walk w = {.file = file,
              .group = group,
              .visit = visit,
              .user = user,
              .budget = lstm__hdf5_start(file),
              .tree = LSTM__HDF5_NOWHERE,
              .heap = LSTM__HDF5_NOWHERE,
              .link_heap = LSTM__HDF5_NOWHERE,
              .link_tree = LSTM__HDF5_NOWHERE};
    RETURN_IF_ERROR(lstm__hdf5_messages(file, group->address, visit_message, &w));
    if (w.tree != LSTM__HDF5_NOWHERE) {
        RETURN_IF_ERROR(open_names(&w));
        RETURN_IF_ERROR(read_tree(&w, w.tree, -1));
    }
    if (w.link_heap != LSTM__HDF5_NOWHERE)
        return lstm__hdf5_dense(file, w.link_heap, w.link_tree, visit_message, &w, LSTM__HDF5_LINK);
    return LSTM_OK;
}
