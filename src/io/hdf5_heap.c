/* SPDX-License-Identifier: MIT
 *
 * The heaps of HDF5 (HDF5 File Format Specification 3.0, III.A.2, III.E and III.G).
 *
 * Global heap: collections ("GCOL") of numbered objects, in which texts of variable length lie.
 *
 * Fractal heap: messages of groups with many links or attributes. The address space of the heap is
 * cut into blocks by a table of `width` columns, whose rows 0 and 1 hold blocks of the starting
 * size and every further row blocks twice as large as the row above. Blocks up to the largest
 * direct size ("FHDB") hold bytes; beyond it a block is another such table ("FHIB"). A B-tree of
 * version 2 lists the heap's objects; a record ends with, or starts with, an ID that holds an
 * offset in the heap and a length.
 *
 * Not read, by name: filtered heaps, and objects outside the blocks ("huge", "tiny"), which neither
 * links nor the attributes of Keras need.
 */
#include "hdf5_format.h"

#include <string.h>

enum {
    MOST_LEVELS = 16,
    MOST_ROWS = 64,
    BLOCK_CHECKSUMS = 2,
    ID_HUGE = 1,
    NODE_OVERHEAD = 10, /* signature, version, type, checksum */
    TREE_LINKS_BY_NAME = 5,
    TREE_LINKS_BY_ORDER = 6,
    TREE_ATTRIBUTES_BY_NAME = 8,
    TREE_ATTRIBUTES_BY_ORDER = 9
};

/* ---- Global heap */

lstm_status lstm__hdf5_global(const lstm__hdf5 *file, uint64_t address, uint32_t index,
                              lstm__cursor *object)
{
    lstm__cursor cursor;
    lstm__cursor heap;
    uint8_t version = 0;
    uint64_t size = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(file, address, "a global heap", &cursor));
    const size_t start = cursor.offset;
    RETURN_IF_ERROR(lstm__hdf5_expect(&cursor, "GCOL", "a global heap"));
    RETURN_IF_ERROR(lstm__get_u8(&cursor, &version));
    if (version != 1)
        return lstm__fail_at(&cursor, "a global heap of version %d; expected 1", (int)version);
    RETURN_IF_ERROR(lstm__skip(&cursor, 3));
    RETURN_IF_ERROR(lstm__hdf5_get_length(file, &cursor, &size));
    const size_t head = cursor.offset - start;
    if (size < head)
        return lstm__fail_at(&cursor, "a global heap of %llu bytes", (unsigned long long)size);
    RETURN_IF_ERROR(lstm__get_part(&cursor, size - head, &heap));
    while (lstm__remaining(&heap) >= 8 + file->length_size) {
        uint16_t number = 0;
        RETURN_IF_ERROR(lstm__hdf5_work(file));
        RETURN_IF_ERROR(lstm__get_u16(&heap, &number));
        RETURN_IF_ERROR(lstm__skip(&heap, 2 + 4));
        RETURN_IF_ERROR(lstm__hdf5_get_length(file, &heap, &size));
        if (number == index && number != 0)
            return lstm__get_part(&heap, size, object);
        if (number == 0) /* the free rest */
            break;
        RETURN_IF_ERROR(lstm__skip(&heap, size));
        if (size % 8 && lstm__skip(&heap, 8 - size % 8) != LSTM_OK)
            break;
    }
    return lstm__fail_at(&heap, "the global heap has no object %u", (unsigned)index);
}

/* ---- Fractal heap */

typedef struct fractal {
    const lstm__hdf5 *file;
    lstm__hdf5_budget budget;
    size_t id_size;
    bool block_checksums;
    uint64_t most_managed;
    uint64_t width;
    uint64_t start_size;
    uint64_t most_direct;
    uint64_t root;
    uint64_t root_rows; /* 0: the root is a direct block */
    size_t offset_width;
    size_t length_width;
} fractal;

static lstm_status open_heap(fractal *h, const lstm__hdf5 *file, uint64_t address)
{
    lstm__cursor c;
    uint8_t version = 0;
    uint8_t flags = 0;
    uint16_t id_size = 0;
    uint16_t filters = 0;
    uint16_t width = 0;
    uint16_t heap_bits = 0;
    uint16_t rows = 0;
    uint32_t most_managed = 0;
    *h = (fractal){.file = file, .budget = lstm__hdf5_start(file)};
    RETURN_IF_ERROR(lstm__hdf5_at(file, address, "a fractal heap", &c));
    const size_t start = c.offset;
    RETURN_IF_ERROR(lstm__hdf5_expect(&c, "FRHP", "a fractal heap"));
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    RETURN_IF_ERROR(lstm__get_u16(&c, &id_size));
    RETURN_IF_ERROR(lstm__get_u16(&c, &filters));
    RETURN_IF_ERROR(lstm__get_u8(&c, &flags));
    RETURN_IF_ERROR(lstm__get_u32(&c, &most_managed));
    RETURN_IF_ERROR(lstm__skip(&c, 10 * file->length_size + 2 * file->offset_size));
    RETURN_IF_ERROR(lstm__get_u16(&c, &width));
    RETURN_IF_ERROR(lstm__hdf5_get_length(file, &c, &h->start_size));
    RETURN_IF_ERROR(lstm__hdf5_get_length(file, &c, &h->most_direct));
    RETURN_IF_ERROR(lstm__get_u16(&c, &heap_bits));
    RETURN_IF_ERROR(lstm__skip(&c, 2));
    RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, &h->root));
    RETURN_IF_ERROR(lstm__get_u16(&c, &rows));
    if (version != 0)
        return lstm__fail_at(&c, "a fractal heap of version %d; expected 0", (int)version);
    if (filters > 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: offset %zu: a fractal heap with filters",
                          c.name, start);
    RETURN_IF_ERROR(lstm__hdf5_check(file, &c, start));
    if (id_size < 3 || id_size > 64 || width == 0 || width > 4096 || heap_bits == 0 ||
        heap_bits > 64 || rows > MOST_ROWS || h->start_size == 0 ||
        h->most_direct < h->start_size || h->most_direct > UINT32_MAX ||
        (h->start_size & (h->start_size - 1)) || (h->most_direct & (h->most_direct - 1)))
        return lstm__fail_at(&c, "a fractal heap whose sizes make no sense");
    h->id_size = id_size;
    h->block_checksums = flags & BLOCK_CHECKSUMS;
    h->most_managed = most_managed;
    h->width = width;
    h->root_rows = rows;
    h->offset_width = ((size_t)heap_bits + 7) / 8;
    size_t direct_bits = 0;
    while (UINT64_C(1) << direct_bits < h->most_direct)
        direct_bits++;
    const size_t by_block = (direct_bits + 7) / 8;
    const size_t by_object = lstm__hdf5_width(most_managed);
    h->length_width = by_block < by_object ? by_block : by_object;
    if (h->length_width == 0 || 1 + h->offset_width + h->length_width > id_size)
        return lstm__fail_at(&c, "a fractal heap whose IDs of %d bytes are too short",
                             (int)id_size);
    return LSTM_OK;
}

/* The size of the blocks of a row; 0 if it cannot be expressed. */
static uint64_t row_size(const fractal *h, uint64_t row)
{
    const uint64_t doublings = row == 0 ? 0 : row - 1;
    return doublings >= 63 || h->start_size > UINT64_MAX >> (doublings + 1)
               ? 0
               : h->start_size << doublings;
}

/* Rows of a table that covers `size` bytes. */
static uint64_t rows_of(const fractal *h, uint64_t size)
{
    uint64_t rows = 1;
    uint64_t covered = h->start_size * h->width;
    while (covered < size && rows < MOST_ROWS) {
        covered = covered > UINT64_MAX / 2 ? UINT64_MAX : 2 * covered;
        rows++;
    }
    return rows;
}

/* Bytes `offset` … `offset` + `length` of the direct block at an address. */
static lstm_status read_direct(fractal *h, uint64_t address, uint64_t block_size, uint64_t offset,
                               uint64_t length, lstm__cursor *object)
{
    lstm__cursor c;
    lstm__cursor block;
    const size_t head = 5 + h->file->offset_size + h->offset_width + (h->block_checksums ? 4 : 0);
    RETURN_IF_ERROR(lstm__hdf5_at(h->file, address, "a block of a fractal heap", &c));
    RETURN_IF_ERROR(lstm__get_part(&c, block_size, &block));
    const lstm__cursor start = block;
    RETURN_IF_ERROR(lstm__hdf5_expect(&block, "FHDB", "a block of a fractal heap"));
    if (offset < head || offset > block_size || length > block_size - offset)
        return lstm__fail_at(&start, "an object of %llu bytes at %llu in a block of %llu bytes",
                             (unsigned long long)length, (unsigned long long)offset,
                             (unsigned long long)block_size);
    RETURN_IF_ERROR(lstm__seek(&block, offset));
    return lstm__get_part(&block, length, object);
}

/* Find the entry of the indirect block at *address that covers *offset, and make both those of the
 * entry. *rows becomes the number of rows of the entry's own table, 0 if it is a direct block;
 * *size its bytes. */
static lstm_status descend(fractal *h, uint64_t *address, uint64_t *offset, uint64_t *rows,
                           uint64_t *size)
{
    lstm__cursor c;
    uint64_t entry = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(h->file, *address, "a block of a fractal heap", &c));
    RETURN_IF_ERROR(lstm__hdf5_spend(&h->budget, &c));
    const lstm__cursor start = c;
    RETURN_IF_ERROR(lstm__hdf5_expect(&c, "FHIB", "a table of a fractal heap"));
    RETURN_IF_ERROR(lstm__skip(&c, 1 + h->file->offset_size + h->offset_width));
    for (uint64_t row = 0; row < *rows; row++) {
        const uint64_t each = row_size(h, row);
        if (each == 0)
            break;
        if (*offset / each < h->width) {
            entry = row * h->width + *offset / each;
            RETURN_IF_ERROR(lstm__skip(&c, entry * h->file->offset_size));
            RETURN_IF_ERROR(lstm__hdf5_get_address(h->file, &c, address));
            *offset %= each;
            *size = each;
            *rows = each <= h->most_direct ? 0 : rows_of(h, each);
            return LSTM_OK;
        }
        if (each > UINT64_MAX / h->width)
            break;
        *offset -= each * h->width;
    }
    return lstm__fail_at(&start, "an offset outside a table of a fractal heap");
}

static lstm_status find_object(fractal *h, lstm__cursor id, lstm__cursor *object)
{
    uint8_t first = 0;
    uint64_t offset = 0;
    uint64_t length = 0;
    const lstm__cursor start = id;
    RETURN_IF_ERROR(lstm__get_u8(&id, &first));
    if (first >> 6 != 0)
        return lstm__fail_at(&start, "an ID of version %d in a fractal heap; expected 0",
                             first >> 6);
    if (first >> 4 & 3)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: offset %zu: a %s object of a fractal heap: Keras writes none, and none "
            "is read",
            start.name, start.base + start.offset, (first >> 4 & 3) == ID_HUGE ? "huge" : "tiny");
    RETURN_IF_ERROR(lstm__get_uint(&id, h->offset_width, &offset));
    RETURN_IF_ERROR(lstm__get_uint(&id, h->length_width, &length));
    uint64_t address = h->root;
    uint64_t rows = h->root_rows;
    uint64_t size = h->start_size;
    if (length > h->most_managed)
        return lstm__fail_at(&start, "an object of %llu bytes in a fractal heap of at most %llu",
                             (unsigned long long)length, (unsigned long long)h->most_managed);
    for (int depth = 0; rows > 0; depth++) {
        if (depth > MOST_LEVELS)
            return lstm__fail_at(&start, "a fractal heap of more than %d levels", MOST_LEVELS);
        RETURN_IF_ERROR(descend(h, &address, &offset, &rows, &size));
    }
    return read_direct(h, address, size, offset, length, object);
}

/* ---- B-tree of version 2 */

typedef struct tree {
    fractal *heap;
    lstm__hdf5_visit visit;
    void *user;
    uint32_t message;
    uint64_t node_size;
    size_t record_size;
    size_t id_first;                     /* of the heap ID in a record */
    size_t count_width;                  /* of a child's number of records */
    size_t total_width[MOST_LEVELS + 1]; /* of the number below a node of this level */
} tree;

/* What widths the pointers of each level have (specification, III.A.2, "Maximum Number of
 * Records"). */
static lstm_status plan_tree(tree *t, uint64_t levels, const lstm__cursor *place)
{
    const uint64_t leaf = (t->node_size - NODE_OVERHEAD) / t->record_size;
    uint64_t total = leaf;
    t->count_width = lstm__hdf5_width(leaf);
    t->total_width[0] = 0;
    for (uint64_t k = 1; k <= levels; k++) {
        const uint64_t pointer = t->heap->file->offset_size + t->count_width +
                                 t->total_width[k - 1];
        if (t->node_size < NODE_OVERHEAD + pointer)
            return lstm__fail_at(place, "a B-tree whose nodes of %llu bytes are too small",
                                 (unsigned long long)t->node_size);
        const uint64_t most = (t->node_size - NODE_OVERHEAD - pointer) / (t->record_size + pointer);
        total = total > UINT64_MAX / (most + 2) ? UINT64_MAX : (most + 1) * total + most;
        t->total_width[k] = lstm__hdf5_width(total);
    }
    return LSTM_OK;
}

static lstm_status read_record(tree *t, lstm__cursor record)
{
    lstm__cursor id;
    lstm__cursor object;
    RETURN_IF_ERROR(lstm__hdf5_spend(&t->heap->budget, &record));
    RETURN_IF_ERROR(lstm__hdf5_work(t->heap->file));
    RETURN_IF_ERROR(lstm__skip(&record, t->id_first));
    RETURN_IF_ERROR(lstm__get_part(&record, t->heap->id_size, &id));
    RETURN_IF_ERROR(find_object(t->heap, id, &object));
    return t->visit(t->user, t->message, &object);
}

static lstm_status read_node(tree *t, uint64_t address, uint64_t count, uint64_t level)
{
    lstm__cursor node;
    lstm__cursor record;
    uint64_t child = 0;
    uint64_t below = 0;
    const lstm__hdf5 *file = t->heap->file;
    RETURN_IF_ERROR(lstm__hdf5_at(file, address, "a B-tree node", &node));
    RETURN_IF_ERROR(lstm__hdf5_spend(&t->heap->budget, &node));
    const size_t start = node.offset;
    RETURN_IF_ERROR(lstm__hdf5_expect(&node, level ? "BTIN" : "BTLF", "a B-tree node"));
    RETURN_IF_ERROR(lstm__skip(&node, 2));
    const size_t pointer = level ? file->offset_size + t->count_width + t->total_width[level - 1]
                                 : 0;
    if (count > t->node_size / t->record_size)
        return lstm__fail_at(&node, "a B-tree node of %llu records of %zu bytes",
                             (unsigned long long)count, t->record_size);
    lstm__cursor records = node;
    RETURN_IF_ERROR(lstm__skip(&node, count * t->record_size));
    lstm__cursor children = node;
    RETURN_IF_ERROR(lstm__skip(&node, level ? (count + 1) * pointer : 0));
    RETURN_IF_ERROR(lstm__hdf5_check(file, &node, start));
    for (uint64_t k = 0; k <= count; k++) {
        if (level) {
            RETURN_IF_ERROR(lstm__hdf5_get_address(file, &children, &child));
            RETURN_IF_ERROR(lstm__get_uint(&children, t->count_width, &below));
            RETURN_IF_ERROR(lstm__skip(&children, t->total_width[level - 1]));
            RETURN_IF_ERROR(read_node(t, child, below, level - 1));
        }
        if (k == count)
            break;
        RETURN_IF_ERROR(lstm__get_part(&records, t->record_size, &record));
        RETURN_IF_ERROR(read_record(t, record));
    }
    return LSTM_OK;
}

lstm_status lstm__hdf5_dense(const lstm__hdf5 *file, uint64_t heap, uint64_t address,
                             lstm__hdf5_visit visit, void *user, uint32_t type)
{
    lstm__cursor c;
    fractal h;
    uint8_t version = 0;
    uint8_t kind = 0;
    uint32_t node_size = 0;
    uint16_t record_size = 0;
    uint16_t levels = 0;
    uint16_t root_count = 0;
    uint64_t root = 0;
    RETURN_IF_ERROR(open_heap(&h, file, heap));
    RETURN_IF_ERROR(lstm__hdf5_at(file, address, "a B-tree", &c));
    const size_t start = c.offset;
    RETURN_IF_ERROR(lstm__hdf5_expect(&c, "BTHD", "a B-tree"));
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    RETURN_IF_ERROR(lstm__get_u8(&c, &kind));
    RETURN_IF_ERROR(lstm__get_u32(&c, &node_size));
    RETURN_IF_ERROR(lstm__get_u16(&c, &record_size));
    RETURN_IF_ERROR(lstm__get_u16(&c, &levels));
    RETURN_IF_ERROR(lstm__skip(&c, 2));
    RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, &root));
    RETURN_IF_ERROR(lstm__get_u16(&c, &root_count));
    RETURN_IF_ERROR(lstm__skip(&c, file->length_size));
    RETURN_IF_ERROR(lstm__hdf5_check(file, &c, start));
    tree t = {.heap = &h,
              .visit = visit,
              .user = user,
              .message = type,
              .node_size = node_size,
              .record_size = record_size};
    if (kind == TREE_LINKS_BY_NAME)
        t.id_first = 4;
    else if (kind == TREE_LINKS_BY_ORDER)
        t.id_first = 8;
    else if (kind != TREE_ATTRIBUTES_BY_NAME && kind != TREE_ATTRIBUTES_BY_ORDER)
        return lstm__fail_at(&c, "a B-tree of kind %d where links or attributes are listed",
                             (int)kind);
    if (version != 0 || levels > MOST_LEVELS || record_size < t.id_first + h.id_size ||
        node_size < NODE_OVERHEAD + (uint32_t)record_size)
        return lstm__fail_at(&c, "a B-tree of version %d with %d levels and records of %d bytes",
                             (int)version, (int)levels, (int)record_size);
    RETURN_IF_ERROR(plan_tree(&t, levels, &c));
    return root == LSTM__HDF5_NOWHERE ? LSTM_OK : read_node(&t, root, root_count, levels);
}
