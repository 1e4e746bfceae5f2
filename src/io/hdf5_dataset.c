/* SPDX-License-Identifier: MIT
 *
 * HDF5 datasets: where the numbers lie, and reading them (HDF5 File Format Specification 3.0,
 * III.A.1, IV.A.2.f, IV.A.2.i, IV.A.2.l).
 *
 *     compact:     in the header         contiguous:  one run of bytes, or nowhere: all fill value
 *     chunked:     the array is cut into equal boxes, whose places a B-tree (version 1) lists by
 *                  their first element. A box
 *                  that is not listed holds the fill value; boxes may reach over the edges. Filters
 *                  were applied in the order
 *                  of their list, so they are undone backwards: deflate, and shuffle (byte b of
 *                  every element together).
 *
 * Nothing is allocated but two buffers for one box, and those only after the box' bytes in the file
 * are enough for what they are said to become (deflate: 1032 times at most). Boxes are counted, so
 * that a tree cannot make the same work again and again.
 */
#include "checked.h"
#include "hdf5_format.h"

#include <string.h>
#include <zlib.h>

enum {
    COMPACT = 0,
    CONTIGUOUS = 1,
    CHUNKED = 2,
    VIRTUAL = 3,
    FILTER_DEFLATE = 1,
    FILTER_SHUFFLE = 2,
    MOST_FILTERS = 8,
    MOST_RATIO = 1100,
    MOST_LEVELS = 16,
    MOST_WASTE = 64, /* how much larger than the array all chunks together may be */
    INDEX_SINGLE = 1,
    SINGLE_FILTERED = 2
};
#define MOST_CHUNK ((size_t)256 << 20)

typedef struct layout {
    int class;
    uint64_t address;  /* of contiguous data, of the tree, or of the single box */
    lstm__cursor data; /* compact */
    int64_t chunk[LSTM__MOST_DIMENSIONS];
    size_t chunk_count;   /* elements of a box */
    int index;            /* 0 = B-tree of version 1, INDEX_SINGLE = one box */
    uint64_t single_size; /* its bytes, if filtered */
    uint64_t single_mask;
} layout;

typedef struct filters {
    size_t count;
    uint16_t id[MOST_FILTERS];
    uint32_t value[MOST_FILTERS]; /* the first one of each */
    bool deflate;
} filters;

/* ---- Layout */

static lstm_status read_chunk_shape(const lstm__hdf5_object *object, lstm__cursor *c,
                                    size_t dimensions, size_t width, layout *l)
{
    const lstm__cursor start = *c;
    if (dimensions != (size_t)object->rank + 1 || object->rank < 1)
        return lstm__fail_at(&start, "chunks of rank %zu in an array of rank %d", dimensions - 1,
                             (int)object->rank);
    for (size_t k = 0; k < dimensions; k++) {
        uint64_t size = 0;
        RETURN_IF_ERROR(lstm__get_uint(c, width, &size));
        if (size == 0 || size > UINT32_MAX)
            return lstm__fail_at(&start, "chunk dimension %zu is %llu", k,
                                 (unsigned long long)size);
        if (k + 1 < dimensions)
            l->chunk[k] = (int64_t)size;
        else if (size != object->type.size)
            return lstm__fail_at(&start, "chunks of elements of %llu bytes; the type has %zu",
                                 (unsigned long long)size, object->type.size);
    }
    size_t bytes = 0;
    if (!lstm__product(l->chunk, (size_t)object->rank, &l->chunk_count) ||
        !lstm__mul(l->chunk_count, object->type.size, &bytes) || bytes > MOST_CHUNK)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: dataset \"/%s\": chunks of more than %zu MiB", start.name,
                          object->path, MOST_CHUNK >> 20);
    return LSTM_OK;
}

static lstm_status read_old_layout(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                                   lstm__cursor *c, layout *l)
{
    uint8_t dimensions = 0;
    uint8_t class = 0;
    uint32_t size = 0;
    RETURN_IF_ERROR(lstm__get_u8(c, &dimensions));
    RETURN_IF_ERROR(lstm__get_u8(c, &class));
    RETURN_IF_ERROR(lstm__skip(c, 5));
    l->class = class;
    if (class != COMPACT)
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, c, &l->address));
    if (class == CHUNKED)
        return read_chunk_shape(object, c, dimensions, 4, l);
    RETURN_IF_ERROR(lstm__skip(c, 4u * dimensions));
    if (class != COMPACT)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__get_u32(c, &size));
    return lstm__get_part(c, size, &l->data);
}

static lstm_status read_new_chunks(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                                   lstm__cursor *c, layout *l)
{
    static const char *const names[] = {"none",        "single",           "implicit",
                                        "fixed array", "extensible array", "B-tree of version 2"};
    uint8_t flags = 0;
    uint8_t dimensions = 0;
    uint8_t width = 0;
    uint8_t index = 0;
    RETURN_IF_ERROR(lstm__get_u8(c, &flags));
    RETURN_IF_ERROR(lstm__get_u8(c, &dimensions));
    RETURN_IF_ERROR(lstm__get_u8(c, &width));
    RETURN_IF_ERROR(read_chunk_shape(object, c, dimensions, width, l));
    RETURN_IF_ERROR(lstm__get_u8(c, &index));
    if (index != INDEX_SINGLE)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: dataset \"/%s\": chunks listed by an index of kind %s: only single "
                          "chunks and B-trees of "
                          "version 1 are read (write the file without libver=\"latest\")",
                          c->name, object->path, index < 6 ? names[index] : "unknown");
    l->index = INDEX_SINGLE;
    l->single_mask = UINT64_MAX; /* no filter was applied, whatever the list says */
    if (flags & SINGLE_FILTERED) {
        RETURN_IF_ERROR(lstm__hdf5_get_length(file, c, &l->single_size));
        RETURN_IF_ERROR(lstm__get_uint(c, 4, &l->single_mask));
    }
    return lstm__hdf5_get_address(file, c, &l->address);
}

static lstm_status read_layout(const lstm__hdf5 *file, const lstm__hdf5_object *object, layout *l)
{
    lstm__cursor c = object->layout;
    uint8_t version = 0;
    uint8_t class = 0;
    uint8_t dimensions = 0;
    uint16_t size = 0;
    *l = (layout){.address = LSTM__HDF5_NOWHERE};
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    if (version < 1 || version > 4)
        return lstm__fail(version > 4 ? LSTM_ERROR_UNSUPPORTED : LSTM_ERROR_FORMAT,
                          "%s: dataset \"/%s\": a data layout of version %d: 1 to 4 are read "
                          "(write the file without "
                          "libver=\"latest\")",
                          c.name, object->path, (int)version);
    if (version < 3)
        return read_old_layout(file, object, &c, l);
    RETURN_IF_ERROR(lstm__get_u8(&c, &class));
    l->class = class;
    switch (class) {
    case COMPACT:
        RETURN_IF_ERROR(lstm__get_u16(&c, &size));
        return lstm__get_part(&c, size, &l->data);
    case CONTIGUOUS:
        return lstm__hdf5_get_address(file, &c, &l->address);
    case CHUNKED:
        if (version == 4)
            return read_new_chunks(file, object, &c, l);
        RETURN_IF_ERROR(lstm__get_u8(&c, &dimensions));
        RETURN_IF_ERROR(lstm__hdf5_get_address(file, &c, &l->address));
        return read_chunk_shape(object, &c, dimensions, 4, l);
    default:
        return LSTM_OK;
    }
}

/* ---- Filters */

static lstm_status read_filters(const lstm__hdf5_object *object, filters *f)
{
    lstm__cursor c = object->filters;
    uint8_t version = 0;
    uint8_t count = 0;
    *f = (filters){0};
    if (c.size == 0)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    RETURN_IF_ERROR(lstm__get_u8(&c, &count));
    if (version < 1 || version > 2 || count > MOST_FILTERS)
        return lstm__fail_at(
            &object->filters,
            "%d filters in a list of version %d; expected at most %d, version 1 or 2", (int)count,
            (int)version, MOST_FILTERS);
    RETURN_IF_ERROR(lstm__skip(&c, version == 1 ? 6 : 0));
    for (size_t k = 0; k < count; k++) {
        uint16_t id = 0;
        uint16_t name = 0;
        uint16_t values = 0;
        RETURN_IF_ERROR(lstm__get_u16(&c, &id));
        if (version == 1 || id >= 256)
            RETURN_IF_ERROR(lstm__get_u16(&c, &name));
        RETURN_IF_ERROR(lstm__skip(&c, 2));
        RETURN_IF_ERROR(lstm__get_u16(&c, &values));
        RETURN_IF_ERROR(lstm__skip(&c, name));
        for (size_t v = 0; v < values; v++) {
            uint32_t value = 0;
            RETURN_IF_ERROR(lstm__get_u32(&c, &value));
            f->value[k] = v == 0 ? value : f->value[k];
        }
        RETURN_IF_ERROR(lstm__skip(&c, version == 1 && values % 2 ? 4 : 0));
        f->id[k] = id;
        f->deflate = f->deflate || id == FILTER_DEFLATE;
    }
    f->count = count;
    return LSTM_OK;
}

static const char *filter_name(uint16_t id)
{
    static const struct {
        uint16_t id;
        const char *name;
    } names[] = {{3, "fletcher32"}, {4, "szip"},      {5, "nbit"},      {6, "scaleoffset"},
                 {32000, "lzf"},    {32001, "blosc"}, {32004, "lz4"},   {32008, "bitshuffle"},
                 {32013, "zfp"},    {32015, "zstd"},  {32026, "blosc2"}};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (names[k].id == id)
            return names[k].name;
    return "unknown";
}

static lstm_status check_filters(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                                 const filters *f)
{
    size_t deflates = 0;
    for (size_t k = 0; k < f->count; k++) {
        deflates += f->id[k] == FILTER_DEFLATE;
        if ((f->id[k] != FILTER_DEFLATE && f->id[k] != FILTER_SHUFFLE) || deflates > 1)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "%s: dataset \"/%s\" is packed with filter %d (%s): only deflate, "
                              "once, and shuffle are read",
                              file->whole.name, object->path, (int)f->id[k],
                              deflates > 1 ? "a second deflate" : filter_name(f->id[k]));
        if (f->id[k] == FILTER_SHUFFLE && f->value[k] != object->type.size)
            return lstm__fail(
                LSTM_ERROR_FORMAT,
                "%s: dataset \"/%s\": shuffled elements of %u bytes; the type has %zu",
                file->whole.name, object->path, (unsigned)f->value[k], object->type.size);
    }
    return LSTM_OK;
}

static void unshuffle(const unsigned char *from, unsigned char *to, size_t size, size_t element)
{
    const size_t count = size / element;
    for (size_t b = 0; b < element; b++)
        for (size_t k = 0; k < count; k++)
            to[k * element + b] = from[b * count + k];
    memcpy(to + count * element, from + count * element, size - count * element);
}

/* Inflate to exactly `wanted` bytes. */
static bool inflate_exactly(const unsigned char *from, size_t size, unsigned char *to,
                            size_t wanted)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)from,
                       .avail_in = (uInt)size,
                       .next_out = to,
                       .avail_out = (uInt)wanted};
    if (size > UINT32_MAX || wanted > UINT32_MAX || inflateInit(&stream) != Z_OK)
        return false;
    const int end = inflate(&stream, Z_FINISH);
    inflateEnd(&stream);
    return end == Z_STREAM_END && stream.avail_out == 0;
}

/* ---- Checking */

lstm_status lstm__hdf5_check_dataset(const lstm__hdf5 *file, lstm__hdf5_object *object)
{
    layout l;
    filters f;
    size_t bytes = 0;
    RETURN_IF_ERROR(read_layout(file, object, &l));
    RETURN_IF_ERROR(read_filters(object, &f));
    if (l.class == VIRTUAL)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: dataset \"/%s\" is virtual, made of other datasets: not read",
                          file->whole.name, object->path);
    if (l.class > VIRTUAL)
        return lstm__fail_at(&object->layout, "a data layout of class %d", l.class);
    if (l.class == CHUNKED) {
        const size_t most = file->whole.size / object->type.size * (f.deflate ? MOST_RATIO : 1);
        object->stored = l.address == LSTM__HDF5_NOWHERE ? 0
                         : object->count < most          ? object->count
                                                         : most;
        return LSTM_OK;
    }
    const bool nowhere = l.class == CONTIGUOUS && l.address == LSTM__HDF5_NOWHERE;
    if (nowhere || object->count == 0)
        return LSTM_OK;
    if (!lstm__mul(object->count, object->type.size, &bytes))
        bytes = SIZE_MAX;
    if (l.class == COMPACT ? bytes > l.data.size
                           : l.address > file->whole.size || bytes > file->whole.size - l.address)
        return lstm__fail(
            LSTM_ERROR_FORMAT,
            "%s: dataset \"/%s\": its %zu elements of %zu bytes do not lie in the file",
            file->whole.name, object->path, object->count, object->type.size);
    object->stored = object->count;
    return LSTM_OK;
}

/* ---- Reading */

typedef struct reading {
    const lstm__hdf5 *file;
    const lstm__hdf5_object *object;
    layout layout;
    filters filters;
    int32_t kind;
    float *values;
    size_t chunk_bytes;
    unsigned char *buffers[2];
    size_t buffer_size;
    size_t boxes; /* still to come at most */
    lstm__hdf5_budget budget;
} reading;

static void convert(const reading *r, const unsigned char *bytes, size_t stride, size_t count,
                    float *values)
{
    lstm__read_floats(&(lstm__elements){bytes, r->kind, r->object->type.big_endian, stride, count},
                      values);
}

/* Everything is the fill value until it is read: the message's, or 0. */
static lstm_status fill(const reading *r)
{
    lstm__cursor c = r->object->fill;
    uint8_t version = 0;
    uint8_t flags = 1;
    uint32_t size = 0;
    const unsigned char *value = NULL;
    memset(r->values, 0, r->object->count * sizeof *r->values);
    if (c.size == 0)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__get_u8(&c, &version));
    if (version < 1 || version > 3)
        return lstm__fail_at(&r->object->fill, "a fill value of version %d; expected 1 to 3",
                             (int)version);
    RETURN_IF_ERROR(lstm__skip(&c, version == 3 ? 0 : 2));
    RETURN_IF_ERROR(lstm__get_u8(&c, &flags));
    if (version == 3 ? !(flags & 32) : version == 2 && flags == 0)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__get_u32(&c, &size));
    if (size == 0 || size == UINT32_MAX)
        return LSTM_OK;
    RETURN_IF_ERROR(lstm__get_bytes(&c, size, &value));
    if (size != r->object->type.size)
        return lstm__fail_at(&r->object->fill, "a fill value of %u bytes for elements of %zu",
                             (unsigned)size, r->object->type.size);
    convert(r, value, 0, r->object->count, r->values);
    return LSTM_OK;
}

/* Undo the filters of a box; *bytes becomes chunk_bytes bytes long. */
static lstm_status unpack(reading *r, const lstm__cursor *packed, uint64_t mask,
                          const unsigned char **bytes)
{
    size_t size = packed->size;
    const unsigned char *from = packed->bytes;
    bool expands = false;
    for (size_t k = 0; k < r->filters.count; k++)
        expands = expands || (r->filters.id[k] == FILTER_DEFLATE && !(mask >> k & 1));
    if (expands ? r->chunk_bytes / MOST_RATIO > size : size != r->chunk_bytes)
        return lstm__fail_at(packed, "a chunk of %zu bytes that holds %zu", size, r->chunk_bytes);
    const size_t needed = size > r->chunk_bytes ? size : r->chunk_bytes;
    if (r->filters.count > 0 && needed > r->buffer_size) {
        for (size_t k = 0; k < 2; k++) {
            lstm__release(r->file->context, r->buffers[k]);
            r->buffers[k] = NULL;
        }
        r->buffer_size = 0;
        for (size_t k = 0; k < 2; k++)
            if (!(r->buffers[k] = lstm__allocate(r->file->context, needed)))
                return lstm__fail_memory(needed, "a chunk of an HDF5 dataset");
        r->buffer_size = needed;
    }
    for (size_t k = r->filters.count; k-- > 0;) {
        unsigned char *to = r->buffers[k % 2];
        if (from == to)
            to = r->buffers[(k + 1) % 2];
        if (mask >> k & 1)
            continue;
        if (r->filters.id[k] == FILTER_SHUFFLE) {
            unshuffle(from, to, size, r->filters.value[k]);
        } else {
            if (!inflate_exactly(from, size, to, r->chunk_bytes))
                return lstm__fail_at(packed, "a chunk that does not inflate to %zu bytes",
                                     r->chunk_bytes);
            size = r->chunk_bytes;
        }
        from = to;
    }
    if (size != r->chunk_bytes)
        return lstm__fail_at(packed, "a chunk of %zu bytes; expected %zu", size, r->chunk_bytes);
    *bytes = from;
    return LSTM_OK;
}

/* Copy the part of a box that lies in the array, run by run of the last dimension. */
static void place_box(const reading *r, const uint64_t *first, const unsigned char *bytes)
{
    const lstm__hdf5_object *o = r->object;
    const size_t last = (size_t)o->rank - 1;
    const size_t width = (size_t)r->layout.chunk[last];
    const size_t room = (size_t)o->shape[last] - (size_t)first[last];
    const size_t run = width < room ? width : room;
    uint64_t at[LSTM__MOST_DIMENSIONS] = {0};
    for (size_t row = 0; row < r->layout.chunk_count / width; row++) {
        size_t offset = 0;
        bool inside = true;
        for (size_t k = 0; k <= last; k++) {
            const uint64_t index = first[k] + at[k];
            inside = inside && index < (uint64_t)o->shape[k];
            offset = offset * (size_t)o->shape[k] + (size_t)index;
        }
        if (inside)
            convert(r, bytes + row * width * o->type.size, o->type.size, run, r->values + offset);
        for (size_t k = last; k-- > 0;) {
            if (++at[k] < (uint64_t)r->layout.chunk[k])
                break;
            at[k] = 0;
        }
    }
}

static lstm_status read_box(reading *r, const uint64_t *first, uint64_t address, uint64_t size,
                            uint64_t mask)
{
    lstm__cursor c;
    lstm__cursor packed;
    const unsigned char *bytes = NULL;
    RETURN_IF_ERROR(lstm__hdf5_at(r->file, address, "a chunk", &c));
    for (size_t k = 0; k < (size_t)r->object->rank; k++)
        if (first[k] >= (uint64_t)r->object->shape[k] || first[k] % (uint64_t)r->layout.chunk[k])
            return lstm__fail_at(&c, "a chunk that begins at %llu in dimension %zu of %lld",
                                 (unsigned long long)first[k], k, (long long)r->object->shape[k]);
    if (r->boxes == 0)
        return lstm__fail_at(&c, "more chunks than the array has");
    r->boxes--;
    RETURN_IF_ERROR(lstm__get_part(&c, size, &packed));
    RETURN_IF_ERROR(unpack(r, &packed, mask, &bytes));
    place_box(r, first, bytes);
    return LSTM_OK;
}

static lstm_status read_tree(reading *r, uint64_t address, int level)
{
    lstm__cursor c;
    uint8_t type = 0;
    uint8_t own = 0;
    uint16_t count = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(r->file, address, "a B-tree node", &c));
    RETURN_IF_ERROR(lstm__hdf5_spend(&r->budget, &c));
    RETURN_IF_ERROR(lstm__hdf5_expect(&c, "TREE", "a B-tree node"));
    RETURN_IF_ERROR(lstm__get_u8(&c, &type));
    RETURN_IF_ERROR(lstm__get_u8(&c, &own));
    RETURN_IF_ERROR(lstm__get_u16(&c, &count));
    if (type != 1 || own > MOST_LEVELS || (level >= 0 && own != level))
        return lstm__fail_at(
            &c,
            "a B-tree node of type %d on level %d, where one of type 1 on a lower level belongs",
            (int)type, (int)own);
    RETURN_IF_ERROR(lstm__skip(&c, 2 * r->file->offset_size));
    for (size_t k = 0; k < count; k++) {
        uint32_t size = 0;
        uint32_t mask = 0;
        uint64_t child = 0;
        uint64_t first[LSTM__MOST_DIMENSIONS];
        RETURN_IF_ERROR(lstm__get_u32(&c, &size));
        RETURN_IF_ERROR(lstm__get_u32(&c, &mask));
        for (size_t d = 0; d < (size_t)r->object->rank; d++)
            RETURN_IF_ERROR(lstm__get_u64(&c, &first[d]));
        RETURN_IF_ERROR(lstm__skip(&c, 8));
        RETURN_IF_ERROR(lstm__hdf5_get_address(r->file, &c, &child));
        RETURN_IF_ERROR(own > 0 ? read_tree(r, child, own - 1)
                                : read_box(r, first, child, size, mask));
    }
    return LSTM_OK;
}

static lstm_status read_chunks(reading *r)
{
    const uint64_t zero[LSTM__MOST_DIMENSIONS] = {0};
    r->boxes = 1;
    for (size_t k = 0; k < (size_t)r->object->rank; k++)
        /* at most `count` */
        r->boxes *= ((size_t)r->object->shape[k] - 1) / (size_t)r->layout.chunk[k] + 1;
    r->chunk_bytes = r->layout.chunk_count * r->object->type.size;
    size_t work = 0;
    if (!lstm__mul(r->boxes, r->chunk_bytes, &work) ||
        work / MOST_WASTE > r->object->count * r->object->type.size + MOST_CHUNK)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: dataset \"/%s\": %zu chunks of %zu bytes for an array of %zu values",
                          r->file->whole.name, r->object->path, r->boxes, r->chunk_bytes,
                          r->object->count);
    if (r->layout.index == INDEX_SINGLE)
        return read_box(r, zero, r->layout.address,
                        r->layout.single_size ? r->layout.single_size : r->chunk_bytes,
                        r->layout.single_mask);
    return read_tree(r, r->layout.address, -1);
}

/* Keras stores bfloat16 as opaque pairs of bytes and says so in an attribute. */
static lstm_status find_kind(const lstm__hdf5 *file, const lstm__hdf5_object *object, int32_t *kind)
{
    enum { CLASS_OPAQUE = 5 };
    lstm__hdf5_texts texts = {0};
    *kind = object->type.kind;
    if (*kind == 0 && object->type.class == CLASS_OPAQUE && object->type.size == 2) {
        RETURN_IF_ERROR(lstm__hdf5_read_texts(file, object, "dtype", &texts));
        if (texts.count == 1 && strcmp(texts.items[0], "bfloat16") == 0)
            *kind = LSTM__BF16;
        lstm__hdf5_release_texts(&texts);
    }
    if (*kind == 0)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: dataset \"/%s\" holds elements of %zu bytes of type %s: only float16, "
            "bfloat16, float32, float64 and integers of 8 to 64 bits are read",
            file->whole.name, object->path, object->type.size, lstm__hdf5_type_name(&object->type));
    return LSTM_OK;
}

lstm_status lstm__hdf5_floats(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                              float *values, size_t count)
{
    lstm_status status = LSTM_OK;
    reading r = {
        .file = file, .object = object, .values = values, .budget = lstm__hdf5_start(file)};
    if (!object->is_dataset || count != object->count)
        return lstm__fail(LSTM_ERROR_SHAPE, "%s: \"/%s\" has %zu values; expected %zu",
                          file->whole.name, object->path, object->is_dataset ? object->count : 0,
                          count);
    RETURN_IF_ERROR(find_kind(file, object, &r.kind));
    RETURN_IF_ERROR(read_layout(file, object, &r.layout));
    RETURN_IF_ERROR(read_filters(object, &r.filters));
    RETURN_IF_ERROR(check_filters(file, object, &r.filters));
    if (count == 0)
        return LSTM_OK;
    const size_t size = object->type.size;
    if (r.layout.class == COMPACT)
        convert(&r, r.layout.data.bytes, size, count, values);
    else if (r.layout.address == LSTM__HDF5_NOWHERE)
        TRY(fill(&r));
    else if (r.layout.class == CONTIGUOUS)
        convert(&r, file->whole.bytes + r.layout.address, size, count, values);
    else {
        TRY(fill(&r));
        TRY(read_chunks(&r));
    }
out:
    lstm__release(file->context, r.buffers[0]);
    lstm__release(file->context, r.buffers[1]);
    return status;
}
