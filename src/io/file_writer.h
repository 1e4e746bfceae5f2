/* SPDX-License-Identifier: MIT
 * Writing a file so that its name holds either the old content or the new, whole one.
 */
#ifndef LSTM_IO_FILE_WRITER_H
#define LSTM_IO_FILE_WRITER_H

#include "context.h"

typedef struct lstm__writer lstm__writer;

/* Start a file. Nothing has the name `path` until lstm__writer_close succeeds, except where `path`
 * is a device or a pipe, which are written directly. */
lstm_status lstm__writer_open(lstm__writer **out, lstm_context *context, const char *path);

/* The same with a temporary name from the start, as where the file system has no files without a
 * name; a killed process leaves it. */
lstm_status lstm__writer_open_named(lstm__writer **out, lstm_context *context, const char *path);

/* Append bytes. */
lstm_status lstm__writer_write(lstm__writer *writer, const void *bytes, size_t count);

/* Append `count` zero bytes. */
lstm_status lstm__writer_pad(lstm__writer *writer, size_t count);

/* The number of bytes appended so far. */
uint64_t lstm__writer_position(const lstm__writer *writer);

/* Bring everything to the disk and give the file its name. The writer is gone afterwards, and
 * *writer NULL, also on failure; then the old file is as it was. */
lstm_status lstm__writer_close(lstm__writer **writer);

/* Give up: the temporary file is removed. NULL is fine, so that an `out:` label can always call it.
 */
void lstm__writer_abort(lstm__writer *writer);

#endif
