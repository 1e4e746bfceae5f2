/* SPDX-License-Identifier: MIT
 * Reading untrusted files: a whole regular file in memory, and a cursor that cannot leave its
 * bytes.
 */
#ifndef LSTM_IO_FILE_READER_H
#define LSTM_IO_FILE_READER_H

#include "context.h"

#include <stdbool.h>

typedef struct lstm__file {
    lstm_context *context; /* NULL in a closed file */
    char *name;            /* the path as the caller wrote it, for messages */
    unsigned char *bytes;  /* to be read only; aligned to 64 */
    size_t size;           /* > 0 */
    bool mapped;           /* bytes are the system's cache of the file, else a block of their own */
} lstm__file;

/* Read a regular file. IO: missing, unreadable, no regular file. FORMAT: empty. On failure `file`
 * is closed. */
lstm_status lstm__file_open(lstm__file *file, lstm_context *context, const char *path);

/* The same, but a symbolic link in the last part of the path is refused: for files that another file
 * names. */
lstm_status lstm__file_open_inside(lstm__file *file, lstm_context *context, const char *path);

/* Give back the bytes early; the name stays. */
void lstm__file_drop(lstm__file *file);

/* Release a file; a zeroed or closed one is fine. */
void lstm__file_close(lstm__file *file);

/* A place in a run of bytes. Nothing outside [0, size) is ever read; `offset` <= `size` always. */
typedef struct lstm__cursor {
    const char *name; /* of the file (and part), for messages */
    const unsigned char *bytes;
    size_t size;
    size_t offset;
    size_t base; /* where bytes[0] is in the file, for messages */
} lstm__cursor;

/* A cursor at the start of a file / of memory that is called `name`. */
lstm__cursor lstm__file_cursor(const lstm__file *file);
lstm__cursor lstm__memory_cursor(const char *name, const void *bytes, size_t size);

/* Bytes after the cursor. */
size_t lstm__remaining(const lstm__cursor *cursor);

/* Each reads what it says and moves on; on failure (FORMAT: `name: offset N: …`) the cursor stays.
 * Little-endian, or big-endian where the name says so. */
lstm_status lstm__get_u8(lstm__cursor *cursor, uint8_t *value);
lstm_status lstm__get_u16(lstm__cursor *cursor, uint16_t *value);
lstm_status lstm__get_u32(lstm__cursor *cursor, uint32_t *value);
lstm_status lstm__get_u64(lstm__cursor *cursor, uint64_t *value);
lstm_status lstm__get_u16_be(lstm__cursor *cursor, uint16_t *value);
lstm_status lstm__get_u32_be(lstm__cursor *cursor, uint32_t *value);
lstm_status lstm__get_u64_be(lstm__cursor *cursor, uint64_t *value);

/* A little-endian number of `bytes` (1 to 8) bytes. */
lstm_status lstm__get_uint(lstm__cursor *cursor, size_t bytes, uint64_t *value);

/* Point to the next `count` bytes and pass them / pass them / go to an offset from the cursor's
 * start. */
lstm_status lstm__get_bytes(lstm__cursor *cursor, uint64_t count, const unsigned char **bytes);
lstm_status lstm__skip(lstm__cursor *cursor, uint64_t count);
lstm_status lstm__seek(lstm__cursor *cursor, uint64_t offset);

/* A cursor for the next `count` bytes alone; `cursor` passes them. */
lstm_status lstm__get_part(lstm__cursor *cursor, uint64_t count, lstm__cursor *part);

/* Fail with FORMAT and the text `name: offset N: …` for the cursor's place. */
lstm_status lstm__fail_at(const lstm__cursor *cursor, const char *format, ...) LSTM__PRINTF(2, 3);

#endif
