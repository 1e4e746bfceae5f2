/* SPDX-License-Identifier: MIT
 * ZIP archives: reading by the central directory, writing of stored entries.
 */
#ifndef LSTM_IO_ZIP_ARCHIVE_H
#define LSTM_IO_ZIP_ARCHIVE_H

#include "file_reader.h"

typedef struct lstm__zip_entry {
    char *name;                  /* checked: UTF-8, relative, without ".." and backslashes */
    uint64_t size;               /* bytes when unpacked */
    uint64_t packed_size;        /* bytes in the file */
    const unsigned char *packed; /* inside the file */
    size_t offset;               /* of the local header in the file */
    uint32_t crc;
    bool stored; /* packed is the content; else it is deflated */
} lstm__zip_entry;

typedef struct lstm__zip lstm__zip;

/* Whether bytes start like a ZIP archive (also an empty one). */
bool lstm__is_zip(const unsigned char *bytes, size_t size);

/* Check the directory of an archive in memory. `file` must outlive the result. FORMAT: anything
 * wrong, also entries that overlap, announce more than deflate can give (1100 times their bytes)
 * or, together, more than 16 GiB. UNSUPPORTED: encrypted entries, other methods than stored and
 * deflated, several disks. */
lstm_status lstm__zip_open(lstm__zip **out, lstm_context *context, const lstm__file *file);
void lstm__zip_close(lstm__zip *zip);

/* Entries in the order of the directory; index < count. lstm__zip_find returns NULL if there is
 * none. */
size_t lstm__zip_count(const lstm__zip *zip);
const lstm__zip_entry *lstm__zip_get(const lstm__zip *zip, size_t index);
const lstm__zip_entry *lstm__zip_find(const lstm__zip *zip, const char *name);

/* Unpack an entry into exactly entry->size bytes and check its CRC. */
lstm_status lstm__zip_read(const lstm__zip *zip, const lstm__zip_entry *entry, void *bytes);

/* The content of an entry of at most `most` bytes: inside the file if it is stored (*owned is
 * NULL), else in a new block, *owned, that the caller releases. The CRC is checked either way. */
lstm_status lstm__zip_content(const lstm__zip *zip, const lstm__zip_entry *entry, uint64_t most,
                              const unsigned char **bytes, void **owned);

/* An archive being written; atomic as lstm__writer. */
typedef struct lstm__zip_writer lstm__zip_writer;
typedef struct lstm__piece {
    const void *bytes;
    size_t size;
} lstm__piece;
lstm_status lstm__zip_writer_open(lstm__zip_writer **out, lstm_context *context, const char *path);

/* Add a stored entry that is made of pieces; its content starts at a multiple of 64 bytes.
 * ARGUMENT: a name that the reader would refuse. */
lstm_status lstm__zip_writer_add(lstm__zip_writer *zip, const char *name, const lstm__piece *pieces,
                                 size_t count);

/* Finish / give up; the same rules as lstm__writer_close and lstm__writer_abort. */
lstm_status lstm__zip_writer_close(lstm__zip_writer **zip);
void lstm__zip_writer_abort(lstm__zip_writer *zip);

/* Whether an entry may have this name: see lstm__zip_entry. */
bool lstm__zip_is_name(const char *name, size_t length);

#endif
