/* SPDX-License-Identifier: MIT
 *
 * Writing ZIP archives of stored entries; the format is described in zip_reader.c.
 *
 * All of an entry is in memory, so its size and CRC stand in its local header and nothing is
 * written twice. An extra field (0xD935, the one that Android's zipalign uses) fills up each local
 * header so that content starts at a multiple of 64 bytes. Sizes, offsets and counts that do not
 * fit in the old fields go to zip64 ones, and only then. Entries are dated 1980-01-01, the earliest
 * date there is, so that equal content gives equal files.
 */
#include "zip_archive.h"

#include "checked.h"
#include "file_writer.h"

#include <string.h>
#include <zlib.h>

enum {
    LOCAL_SIZE = 30,
    ZIP64_LOCAL = 4 + 16,
    ZIP64_RECORD = 4 + 24,
    EXTRA_ZIP64 = 1,
    EXTRA_ALIGN = 0xd935,
    ALIGNMENT = 64,
    VERSION = 20,
    VERSION_ZIP64 = 45,
    FLAG_UTF8 = 1 << 11,
    EARLIEST_DATE = 1 << 5 | 1,
    MOST_NAME = 65535
};

typedef struct entry {
    char *name;
    uint64_t size;
    uint64_t offset;
    uint32_t crc;
} entry;

struct lstm__zip_writer {
    lstm_context *context;
    lstm__writer *file;
    entry *entries;
    size_t count;
    size_t capacity;
};

/* A record under construction; every record written here fits. */
typedef struct fields {
    unsigned char bytes[LOCAL_SIZE + ZIP64_RECORD + 4 * ALIGNMENT];
    size_t used;
} fields;

static void put(fields *f, size_t bytes, uint64_t value)
{
    for (size_t k = 0; k < bytes; k++, value >>= 8)
        f->bytes[f->used++] = (unsigned char)(value & 255);
}

/* A 32-bit field whose value may have to go to a zip64 one. */
static void put_or_mark(fields *f, uint64_t value)
{
    put(f, 4, value < UINT32_MAX ? value : UINT32_MAX);
}

lstm_status lstm__zip_writer_open(lstm__zip_writer **out, lstm_context *context, const char *path)
{
    lstm_status status = LSTM_OK;
    *out = NULL;
    lstm__zip_writer *zip = lstm__allocate_zeroed(context, sizeof *zip);
    if (!zip)
        return lstm__fail_memory(sizeof *zip, "a ZIP archive");
    zip->context = context;
    TRY(lstm__writer_open(&zip->file, context, path));
    *out = zip;
    zip = NULL;
out:
    lstm__zip_writer_abort(zip);
    return status;
}

/* What local header and directory record have in common: flags to CRC. */
static void put_description(fields *f, const entry *e)
{
    put(f, 2, FLAG_UTF8);
    put(f, 2, 0); /* stored */
    put(f, 2, 0); /* time */
    put(f, 2, EARLIEST_DATE);
    put(f, 4, e->crc);
    put_or_mark(f, e->size);
    put_or_mark(f, e->size);
    put(f, 2, strlen(e->name));
}

static lstm_status write_local(lstm__writer *file, const entry *e)
{
    fields f = {.used = 0};
    const bool zip64 = e->size >= UINT32_MAX;
    const size_t fixed = LOCAL_SIZE + strlen(e->name) + (zip64 ? ZIP64_LOCAL : 0) + 6;
    const size_t filling = (size_t)((ALIGNMENT - (e->offset + fixed) % ALIGNMENT) % ALIGNMENT);
    put(&f, 4, 0x04034b50);
    put(&f, 2, zip64 ? VERSION_ZIP64 : VERSION);
    put_description(&f, e);
    put(&f, 2, (zip64 ? ZIP64_LOCAL : 0) + 6 + filling);
    RETURN_IF_ERROR(lstm__writer_write(file, f.bytes, f.used));
    RETURN_IF_ERROR(lstm__writer_write(file, e->name, strlen(e->name)));
    f.used = 0;
    if (zip64) {
        put(&f, 2, EXTRA_ZIP64);
        put(&f, 2, ZIP64_LOCAL - 4);
        put(&f, 8, e->size);
        put(&f, 8, e->size);
    }
    put(&f, 2, EXTRA_ALIGN);
    put(&f, 2, 2 + filling);
    put(&f, 2, ALIGNMENT);
    RETURN_IF_ERROR(lstm__writer_write(file, f.bytes, f.used));
    return lstm__writer_pad(file, filling);
}

lstm_status lstm__zip_writer_add(lstm__zip_writer *zip, const char *name, const lstm__piece *pieces,
                                 size_t count)
{
    const size_t length = strlen(name);
    if (length > MOST_NAME || !lstm__zip_is_name(name, length))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "\"%.200s\" cannot be the name of a ZIP entry: expected a relative path "
                          "in UTF-8 without "
                          "\"..\" and backslashes, of at most %d bytes",
                          name, MOST_NAME);
    for (size_t k = 0; k < zip->count; k++)
        if (strcmp(zip->entries[k].name, name) == 0)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "a ZIP entry \"%.200s\" is there already", name);
    entry e = {.offset = lstm__writer_position(zip->file), .crc = (uint32_t)crc32_z(0, NULL, 0)};
    for (size_t k = 0; k < count; k++) {
        if (pieces[k].size > 0)
            e.crc = (uint32_t)crc32_z(e.crc, pieces[k].bytes, pieces[k].size);
        e.size += pieces[k].size;
    }
    void *memory = zip->entries;
    RETURN_IF_ERROR(
        lstm__grow(zip->context, &memory, &zip->capacity, zip->count + 1, sizeof(entry)));
    zip->entries = memory;
    e.name = lstm__copy_text(zip->context, name);
    if (!e.name)
        return lstm__fail_memory(length + 1, "the name of a ZIP entry");
    zip->entries[zip->count++] = e;
    RETURN_IF_ERROR(write_local(zip->file, &e));
    for (size_t k = 0; k < count; k++)
        RETURN_IF_ERROR(lstm__writer_write(zip->file, pieces[k].bytes, pieces[k].size));
    return LSTM_OK;
}

static lstm_status write_record(lstm__writer *file, const entry *e)
{
    fields f = {.used = 0};
    const bool big_size = e->size >= UINT32_MAX;
    const bool big_offset = e->offset >= UINT32_MAX;
    const bool zip64 = big_size || big_offset;
    const size_t values = (big_size ? 16 : 0) + (big_offset ? 8 : 0);
    put(&f, 4, 0x02014b50);
    put(&f, 2, zip64 ? VERSION_ZIP64 : VERSION);
    put(&f, 2, zip64 ? VERSION_ZIP64 : VERSION);
    put_description(&f, e);
    put(&f, 2, zip64 ? 4 + values : 0);
    put(&f, 2, 0); /* comment */
    put(&f, 2, 0); /* disk */
    put(&f, 2, 0); /* attributes */
    put(&f, 4, 0);
    put_or_mark(&f, e->offset);
    RETURN_IF_ERROR(lstm__writer_write(file, f.bytes, f.used));
    RETURN_IF_ERROR(lstm__writer_write(file, e->name, strlen(e->name)));
    f.used = 0;
    if (zip64) {
        put(&f, 2, EXTRA_ZIP64);
        put(&f, 2, values);
    }
    if (big_size) {
        put(&f, 8, e->size);
        put(&f, 8, e->size);
    }
    if (big_offset)
        put(&f, 8, e->offset);
    return lstm__writer_write(file, f.bytes, f.used);
}

static lstm_status write_end(const lstm__zip_writer *zip, uint64_t start)
{
    fields f = {.used = 0};
    const uint64_t end = lstm__writer_position(zip->file);
    const uint64_t size = end - start;
    if (zip->count >= UINT16_MAX || size >= UINT32_MAX || start >= UINT32_MAX) {
        put(&f, 4, 0x06064b50);
        put(&f, 8, 44); /* bytes of this record after this field */
        put(&f, 2, VERSION_ZIP64);
        put(&f, 2, VERSION_ZIP64);
        put(&f, 4, 0); /* disks */
        put(&f, 4, 0);
        put(&f, 8, zip->count);
        put(&f, 8, zip->count);
        put(&f, 8, size);
        put(&f, 8, start);
        put(&f, 4, 0x07064b50);
        put(&f, 4, 0);
        put(&f, 8, end);
        put(&f, 4, 1);
    }
    const size_t count = zip->count < UINT16_MAX ? zip->count : UINT16_MAX;
    put(&f, 4, 0x06054b50);
    put(&f, 2, 0); /* disks */
    put(&f, 2, 0);
    put(&f, 2, count);
    put(&f, 2, count);
    put_or_mark(&f, size);
    put_or_mark(&f, start);
    put(&f, 2, 0); /* comment */
    return lstm__writer_write(zip->file, f.bytes, f.used);
}

lstm_status lstm__zip_writer_close(lstm__zip_writer **owner)
{
    lstm_status status = LSTM_OK;
    lstm__zip_writer *zip = *owner;
    *owner = NULL;
    const uint64_t start = lstm__writer_position(zip->file);
    for (size_t k = 0; k < zip->count; k++)
        TRY(write_record(zip->file, &zip->entries[k]));
    TRY(write_end(zip, start));
    TRY(lstm__writer_close(&zip->file));
out:
    lstm__zip_writer_abort(zip);
    return status;
}

void lstm__zip_writer_abort(lstm__zip_writer *zip)
{
    if (!zip)
        return;
    lstm__writer_abort(zip->file);
    for (size_t k = 0; k < zip->count; k++)
        lstm__release(zip->context, zip->entries[k].name);
    lstm__release(zip->context, zip->entries);
    lstm__release(zip->context, zip);
}
