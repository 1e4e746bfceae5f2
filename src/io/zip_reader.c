/* SPDX-License-Identifier: MIT
 *
 * Reading ZIP archives (PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5).
 *
 *     local header, name, extra, content      for each entry
 *     central directory                       one record an entry: the truth about it
 *     [zip64 end record, zip64 locator]
 *     end record, comment                     the end of the file
 *
 * The end record is found from the end of the file and must reach exactly there. Sizes, CRC and
 * method come from the central directory; the local header is only checked (signature, name,
 * method), since writers that stream leave its sizes 0. Each entry occupies its local header to the
 * end of its content; these ranges must lie before the directory and must not overlap, which rules
 * out the bombs that share one content.
 *
 * Content is inflated into a block of exactly the announced size, never more. Deflate cannot expand
 * more than 1032 times, so an entry that announces more than 1100 times its bytes is a lie and
 * refused before anything is allocated.
 */
#include "zip_archive.h"

#include "checked.h"
#include "element.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_SIZE = 22,
    MOST_COMMENT = 65535,
    LOCATOR_SIZE = 20,
    RECORD_SIZE = 46,
    MOST_RATIO = 1100,
    FLAG_ENCRYPTED = 1,
    FLAG_STRONG = 1 << 6,
    FLAG_MASKED = 1 << 13,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    EXTRA_ZIP64 = 1
};
static const uint32_t local_signature = 0x04034b50;
static const uint32_t record_signature = 0x02014b50;
static const uint32_t end_signature = 0x06054b50;
static const uint32_t end64_signature = 0x06064b50;
static const uint32_t locator_signature = 0x07064b50;
static const uint64_t most_bytes = (uint64_t)1 << 34;

struct lstm__zip {
    lstm_context *context;
    const lstm__file *file;
    lstm__zip_entry *entries;
    size_t count;
};

/* Where the central directory is. */
typedef struct directory {
    uint64_t count;
    uint64_t size;
    uint64_t offset;
} directory;

/* The fields of one directory record. */
typedef struct record {
    uint16_t flags;
    uint16_t method;
    uint32_t crc;
    uint64_t packed_size;
    uint64_t size;
    uint64_t offset;
    uint32_t disk;
    const unsigned char *name;
    uint16_t name_length;
} record;

static uint32_t number32(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool lstm__is_zip(const unsigned char *bytes, size_t size)
{
    return size >= 4 && (number32(bytes) == local_signature || number32(bytes) == end_signature);
}

bool lstm__zip_is_name(const char *name, size_t length)
{
    if (!lstm__is_name(name, length) || name[0] == '/' || memchr(name, '\\', length))
        return false;
    if (length >= 3 && name[1] == ':' && name[2] == '/')
        return false; /* a drive */
    for (size_t start = 0; start < length;) {
        const char *slash = memchr(name + start, '/', length - start);
        const size_t end = slash ? (size_t)(slash - name) : length;
        if (end - start == 2 && name[start] == '.' && name[start + 1] == '.')
            return false;
        start = end + 1;
    }
    return true;
}

/* ---- The end of the file ---- */

static lstm_status find_end(const lstm__file *file, lstm__cursor *cursor)
{
    *cursor = lstm__file_cursor(file);
    const size_t limit = END_SIZE + MOST_COMMENT;
    for (size_t back = END_SIZE; back <= file->size && back <= limit; back++) {
        const unsigned char *end = file->bytes + file->size - back;
        if (number32(end) == end_signature && (size_t)(end[20] | end[21] << 8) == back - END_SIZE) {
            cursor->offset = file->size - back;
            return LSTM_OK;
        }
    }
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: the ZIP archive has no end record: it is cut off, or bytes follow it",
                      file->name);
}

/* Replace the directory's place by that of the zip64 end record, if there is one. */
static lstm_status read_end64(const lstm__file *file, size_t end, directory *d)
{
    lstm__cursor c = lstm__file_cursor(file);
    if (end < LOCATOR_SIZE || number32(file->bytes + end - LOCATOR_SIZE) != locator_signature)
        return LSTM_OK;
    uint32_t disk = 0;
    uint32_t disks = 0;
    uint32_t signature = 0;
    uint64_t place = 0;
    c.offset = end - LOCATOR_SIZE + 4;
    RETURN_IF_ERROR(lstm__get_u32(&c, &disk));
    RETURN_IF_ERROR(lstm__get_u64(&c, &place));
    RETURN_IF_ERROR(lstm__get_u32(&c, &disks));
    if (disk != 0 || disks > 1)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a ZIP archive of several disks", file->name);
    RETURN_IF_ERROR(lstm__seek(&c, place));
    RETURN_IF_ERROR(lstm__get_u32(&c, &signature));
    if (signature != end64_signature)
        return lstm__fail_at(&c, "the ZIP archive's locator does not point to a zip64 end record");
    uint64_t on_this_disk = 0;
    uint32_t directory_disk = 0;
    RETURN_IF_ERROR(lstm__skip(&c, 8 + 2 + 2)); /* size of the record, versions */
    RETURN_IF_ERROR(lstm__get_u32(&c, &disk));
    RETURN_IF_ERROR(lstm__get_u32(&c, &directory_disk));
    RETURN_IF_ERROR(lstm__get_u64(&c, &on_this_disk));
    RETURN_IF_ERROR(lstm__get_u64(&c, &d->count));
    RETURN_IF_ERROR(lstm__get_u64(&c, &d->size));
    RETURN_IF_ERROR(lstm__get_u64(&c, &d->offset));
    if (disk != 0 || directory_disk != 0 || on_this_disk != d->count)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a ZIP archive of several disks", file->name);
    return LSTM_OK;
}

static lstm_status read_end(const lstm__file *file, directory *d)
{
    lstm__cursor c;
    RETURN_IF_ERROR(find_end(file, &c));
    const size_t end = c.offset;
    uint16_t disk = 0;
    uint16_t directory_disk = 0;
    uint16_t on_this_disk = 0;
    uint16_t count = 0;
    uint32_t size = 0;
    uint32_t offset = 0;
    RETURN_IF_ERROR(lstm__skip(&c, 4));
    RETURN_IF_ERROR(lstm__get_u16(&c, &disk));
    RETURN_IF_ERROR(lstm__get_u16(&c, &directory_disk));
    RETURN_IF_ERROR(lstm__get_u16(&c, &on_this_disk));
    RETURN_IF_ERROR(lstm__get_u16(&c, &count));
    RETURN_IF_ERROR(lstm__get_u32(&c, &size));
    RETURN_IF_ERROR(lstm__get_u32(&c, &offset));
    if ((disk != 0 && disk != UINT16_MAX) ||
        (directory_disk != 0 && directory_disk != UINT16_MAX) || on_this_disk != count)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a ZIP archive of several disks", file->name);
    *d = (directory){.count = count, .size = size, .offset = offset};
    RETURN_IF_ERROR(read_end64(file, end, d));
    if (d->offset > end || d->size > end - d->offset)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP directory (offset %" PRIu64 ", %" PRIu64
                          " bytes) lies outside the file",
                          file->name, d->offset, d->size);
    if (d->count > d->size / RECORD_SIZE)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: a ZIP directory of %" PRIu64 " bytes cannot hold %" PRIu64
                          " entries",
                          file->name, d->size, d->count);
    return LSTM_OK;
}

/* ---- The directory ---- */

/* Take from a zip64 extra field those values that did not fit in the record: in this order, and
 * only those. */
static lstm_status read_zip64(lstm__cursor *extra, record *r)
{
    while (lstm__remaining(extra) >= 4) {
        uint16_t kind = 0;
        uint16_t length = 0;
        lstm__cursor field;
        RETURN_IF_ERROR(lstm__get_u16(extra, &kind));
        RETURN_IF_ERROR(lstm__get_u16(extra, &length));
        RETURN_IF_ERROR(lstm__get_part(extra, length, &field));
        if (kind != EXTRA_ZIP64)
            continue;
        if (r->size == UINT32_MAX)
            RETURN_IF_ERROR(lstm__get_u64(&field, &r->size));
        if (r->packed_size == UINT32_MAX)
            RETURN_IF_ERROR(lstm__get_u64(&field, &r->packed_size));
        if (r->offset == UINT32_MAX)
            RETURN_IF_ERROR(lstm__get_u64(&field, &r->offset));
        if (r->disk == UINT16_MAX)
            RETURN_IF_ERROR(lstm__get_u32(&field, &r->disk));
        break;
    }
    return LSTM_OK;
}

static lstm_status read_record(lstm__cursor *c, record *r)
{
    uint32_t signature = 0;
    uint32_t packed_size = 0;
    uint32_t size = 0;
    uint32_t offset = 0;
    uint16_t extra_length = 0;
    uint16_t comment_length = 0;
    uint16_t disk = 0;
    lstm__cursor extra;
    RETURN_IF_ERROR(lstm__get_u32(c, &signature));
    if (signature != record_signature)
        return lstm__fail_at(c, "the ZIP directory is damaged: no record here");
    RETURN_IF_ERROR(lstm__skip(c, 2 + 2)); /* versions */
    RETURN_IF_ERROR(lstm__get_u16(c, &r->flags));
    RETURN_IF_ERROR(lstm__get_u16(c, &r->method));
    RETURN_IF_ERROR(lstm__skip(c, 2 + 2)); /* time, date */
    RETURN_IF_ERROR(lstm__get_u32(c, &r->crc));
    RETURN_IF_ERROR(lstm__get_u32(c, &packed_size));
    RETURN_IF_ERROR(lstm__get_u32(c, &size));
    RETURN_IF_ERROR(lstm__get_u16(c, &r->name_length));
    RETURN_IF_ERROR(lstm__get_u16(c, &extra_length));
    RETURN_IF_ERROR(lstm__get_u16(c, &comment_length));
    RETURN_IF_ERROR(lstm__get_u16(c, &disk));
    RETURN_IF_ERROR(lstm__skip(c, 2 + 4)); /* attributes */
    RETURN_IF_ERROR(lstm__get_u32(c, &offset));
    RETURN_IF_ERROR(lstm__get_bytes(c, r->name_length, &r->name));
    RETURN_IF_ERROR(lstm__get_part(c, extra_length, &extra));
    RETURN_IF_ERROR(lstm__skip(c, comment_length));
    r->packed_size = packed_size;
    r->size = size;
    r->offset = offset;
    r->disk = disk;
    return read_zip64(&extra, r);
}

/* What is refused in a record whatever its place, with `name` for the message. */
static lstm_status check_record(const lstm__cursor *c, const record *r, const char *name)
{
    if (!lstm__zip_is_name(name, r->name_length) || strlen(name) != r->name_length)
        return lstm__fail(
            LSTM_ERROR_FORMAT,
            "%s: the ZIP entry \"%.100s\" has a name that leads outside the archive or is no text",
            c->name, name);
    if (r->flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: the ZIP entry \"%.100s\" is encrypted",
                          c->name, name);
    if (r->method != METHOD_STORED && r->method != METHOD_DEFLATED)
        return lstm__fail(
            LSTM_ERROR_UNSUPPORTED,
            "%s: the ZIP entry \"%.100s\" is packed by method %d; supported are stored (0) and "
            "deflate (8)",
            c->name, name, r->method);
    if (r->disk != 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: the ZIP entry \"%.100s\" lies on another disk", c->name, name);
    if (r->method == METHOD_STORED && r->size != r->packed_size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP entry \"%.100s\" is stored in %" PRIu64
                          " bytes but has %" PRIu64,
                          c->name, name, r->packed_size, r->size);
    if (r->size / MOST_RATIO > r->packed_size)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP entry \"%.100s\" announces %" PRIu64 " bytes in %" PRIu64
                          ", more than deflate can give",
                          c->name, name, r->size, r->packed_size);
    return LSTM_OK;
}

/* Find an entry's content behind its local header. `before` is where the directory starts. */
static lstm_status find_content(const lstm__file *file, const record *r, uint64_t before,
                                lstm__zip_entry *entry)
{
    lstm__cursor c = lstm__file_cursor(file);
    c.size = (size_t)before;
    uint32_t signature = 0;
    uint16_t method = 0;
    uint16_t name_length = 0;
    uint16_t extra_length = 0;
    const unsigned char *name = NULL;
    RETURN_IF_ERROR(lstm__seek(&c, r->offset));
    RETURN_IF_ERROR(lstm__get_u32(&c, &signature));
    if (signature != local_signature)
        return lstm__fail_at(&c, "no ZIP entry here");
    RETURN_IF_ERROR(lstm__skip(&c, 2 + 2));
    RETURN_IF_ERROR(lstm__get_u16(&c, &method));
    RETURN_IF_ERROR(lstm__skip(&c, 2 + 2 + 4 + 4 + 4));
    RETURN_IF_ERROR(lstm__get_u16(&c, &name_length));
    RETURN_IF_ERROR(lstm__get_u16(&c, &extra_length));
    RETURN_IF_ERROR(lstm__get_bytes(&c, name_length, &name));
    RETURN_IF_ERROR(lstm__skip(&c, extra_length));
    if (method != r->method || name_length != r->name_length ||
        memcmp(name, r->name, name_length) != 0)
        return lstm__fail_at(&c, "the entry's own header and the ZIP directory disagree");
    return lstm__get_bytes(&c, r->packed_size, &entry->packed);
}

static lstm_status read_entry(lstm__zip *zip, lstm__cursor *c, const directory *d, uint64_t *total)
{
    record r = {0};
    lstm__zip_entry *const entry = &zip->entries[zip->count];
    memset(entry, 0, sizeof *entry);
    RETURN_IF_ERROR(read_record(c, &r));
    entry->name = lstm__allocate(zip->context, (size_t)r.name_length + 1);
    if (!entry->name)
        return lstm__fail_memory((size_t)r.name_length + 1, "the name of a ZIP entry");
    memcpy(entry->name, r.name, r.name_length);
    entry->name[r.name_length] = 0;
    zip->count++; /* from here on lstm__zip_close releases the name */
    RETURN_IF_ERROR(check_record(c, &r, entry->name));
    const lstm_status status = find_content(zip->file, &r, d->offset, entry);
    if (status != LSTM_OK)
        return lstm__prefix_error(status, "ZIP entry \"%.100s\"", entry->name);
    entry->size = r.size;
    entry->packed_size = r.packed_size;
    entry->offset = (size_t)r.offset;
    entry->crc = r.crc;
    entry->stored = r.method == METHOD_STORED;
    if (r.size > PTRDIFF_MAX)
        return lstm__fail(LSTM_ERROR_MEMORY,
                          "%s: the ZIP entry \"%.100s\" has %" PRIu64
                          " bytes, more than fit in memory",
                          c->name, entry->name, r.size);
    if (r.size > most_bytes - *total)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP archive announces more than %" PRIu64 " bytes", c->name,
                          most_bytes);
    *total += r.size;
    return LSTM_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const lstm__zip_entry *const *)a)->name,
                  (*(const lstm__zip_entry *const *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
    const size_t x = (*(const lstm__zip_entry *const *)a)->offset;
    const size_t y = (*(const lstm__zip_entry *const *)b)->offset;
    return (x > y) - (x < y);
}

/* No two entries may share a name or bytes. */
static lstm_status check_entries(const lstm__zip *zip)
{
    lstm_status status = LSTM_OK;
    const lstm__zip_entry **const order = lstm__allocate_array(zip->context, zip->count,
                                                               sizeof *order);
    if (!order)
        return lstm__fail_memory(zip->count * sizeof *order, "the order of ZIP entries");
    for (size_t k = 0; k < zip->count; k++)
        order[k] = &zip->entries[k];
    qsort(order, zip->count, sizeof *order, compare_names);
    for (size_t k = 1; k < zip->count; k++)
        if (strcmp(order[k - 1]->name, order[k]->name) == 0)
            FAIL(LSTM_ERROR_FORMAT, "%s: two ZIP entries are called \"%.200s\"", zip->file->name,
                 order[k]->name);
    qsort(order, zip->count, sizeof *order, compare_places);
    for (size_t k = 1; k < zip->count; k++) {
        const unsigned char *end = order[k - 1]->packed + order[k - 1]->packed_size;
        if (order[k]->offset < (size_t)(end - zip->file->bytes))
            FAIL(LSTM_ERROR_FORMAT, "%s: the ZIP entries \"%.100s\" and \"%.100s\" overlap",
                 zip->file->name, order[k - 1]->name, order[k]->name);
    }
out:
    lstm__release(zip->context, order);
    return status;
}

lstm_status lstm__zip_open(lstm__zip **out, lstm_context *context, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    *out = NULL;
    directory d;
    lstm__zip *zip = NULL;
    TRY(read_end(file, &d));
    zip = lstm__allocate_zeroed(context, sizeof *zip);
    if (!zip)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for a ZIP archive", file->name);
    zip->context = context;
    zip->file = file;
    zip->entries = lstm__allocate_array(context, (size_t)d.count, sizeof *zip->entries);
    if (!zip->entries)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for %" PRIu64 " ZIP entries", file->name, d.count);
    lstm__cursor whole = lstm__file_cursor(file);
    lstm__cursor c;
    TRY(lstm__seek(&whole, d.offset));
    TRY(lstm__get_part(&whole, d.size, &c));
    uint64_t total = 0;
    for (uint64_t k = 0; k < d.count; k++)
        TRY(read_entry(zip, &c, &d, &total));
    if (lstm__remaining(&c) > 0) {
        status = lstm__fail_at(&c, "%zu bytes are left over in the ZIP directory",
                               lstm__remaining(&c));
        goto out;
    }
    TRY(check_entries(zip));
    *out = zip;
    zip = NULL;
out:
    lstm__zip_close(zip);
    return status;
}

void lstm__zip_close(lstm__zip *zip)
{
    if (!zip)
        return;
    for (size_t k = 0; k < zip->count; k++)
        lstm__release(zip->context, zip->entries[k].name);
    lstm__release(zip->context, zip->entries);
    lstm__release(zip->context, zip);
}

size_t lstm__zip_count(const lstm__zip *zip)
{
    return zip->count;
}

const lstm__zip_entry *lstm__zip_get(const lstm__zip *zip, size_t index)
{
    return &zip->entries[index];
}

const lstm__zip_entry *lstm__zip_find(const lstm__zip *zip, const char *name)
{
    for (size_t k = 0; k < zip->count; k++)
        if (strcmp(zip->entries[k].name, name) == 0)
            return &zip->entries[k];
    return NULL;
}

/* ---- Content ---- */

static void *zlib_allocate(void *context, unsigned count, unsigned size)
{
    return lstm__allocate_array(context, count, size);
}

static void zlib_release(void *context, void *memory)
{
    lstm__release(context, memory);
}

/* Inflate an entry into exactly its size. zlib counts in unsigned int, so both sides are handed
 * over in parts. */
static lstm_status inflate_all(const lstm__zip *zip, const lstm__zip_entry *entry,
                               unsigned char *bytes)
{
    z_stream stream = {.zalloc = zlib_allocate, .zfree = zlib_release, .opaque = zip->context};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return lstm__fail(LSTM_ERROR_MEMORY, "%s: no memory to unpack \"%.100s\"", zip->file->name,
                          entry->name);
    const unsigned char *in = entry->packed;
    uint64_t in_left = entry->packed_size;
    uint64_t out_left = entry->size;
    unsigned char nothing = 0; /* where output would go that must not come */
    int result = Z_OK;
    stream.next_out = entry->size > 0 ? bytes : &nothing;
    while (result == Z_OK) {
        if (stream.avail_in == 0 && in_left > 0) {
            stream.next_in = (z_const unsigned char *)in;
            stream.avail_in = (unsigned)(in_left < UINT32_MAX ? in_left : UINT32_MAX);
            in += stream.avail_in;
            in_left -= stream.avail_in;
        }
        if (stream.avail_out == 0 && out_left > 0) {
            stream.avail_out = (unsigned)(out_left < UINT32_MAX ? out_left : UINT32_MAX);
            out_left -= stream.avail_out;
        }
        result = inflate(&stream, Z_NO_FLUSH);
    }
    const bool exact = stream.avail_in == 0 && in_left == 0 && stream.avail_out == 0 &&
                       out_left == 0;
    inflateEnd(&stream);
    if (result == Z_MEM_ERROR)
        return lstm__fail(LSTM_ERROR_MEMORY, "%s: no memory to unpack \"%.100s\"", zip->file->name,
                          entry->name);
    if (result != Z_STREAM_END || !exact)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP entry \"%.100s\" does not unpack to the %" PRIu64
                          " bytes announced: it is damaged",
                          zip->file->name, entry->name, entry->size);
    return LSTM_OK;
}

static lstm_status check_crc(const lstm__zip *zip, const lstm__zip_entry *entry,
                             const unsigned char *bytes)
{
    const uint32_t crc = (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, (size_t)entry->size);
    if (crc == entry->crc)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: the ZIP entry \"%.100s\" is damaged: CRC %08" PRIx32
                      ", expected %08" PRIx32,
                      zip->file->name, entry->name, crc, entry->crc);
}

lstm_status lstm__zip_read(const lstm__zip *zip, const lstm__zip_entry *entry, void *bytes)
{
    if (entry->stored)
        memcpy(bytes, entry->packed, (size_t)entry->size);
    else
        RETURN_IF_ERROR(inflate_all(zip, entry, bytes));
    return check_crc(zip, entry, bytes);
}

lstm_status lstm__zip_content(const lstm__zip *zip, const lstm__zip_entry *entry, uint64_t most,
                              const unsigned char **bytes, void **owned)
{
    *owned = NULL;
    if (entry->size > most)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP entry \"%.100s\" has %" PRIu64 " bytes; at most %" PRIu64
                          " are allowed",
                          zip->file->name, entry->name, entry->size, most);
    if (entry->stored) {
        *bytes = entry->packed;
        return check_crc(zip, entry, entry->packed);
    }
    void *const block = lstm__allocate(zip->context, (size_t)entry->size);
    if (!block)
        return lstm__fail(LSTM_ERROR_MEMORY,
                          "%s: no memory for the %" PRIu64 " bytes of the ZIP entry \"%.100s\"",
                          zip->file->name, entry->size, entry->name);
    const lstm_status status = lstm__zip_read(zip, entry, block);
    if (status != LSTM_OK) {
        lstm__release(zip->context, block);
        return status;
    }
    *bytes = block;
    *owned = block;
    return LSTM_OK;
}
