/* SPDX-License-Identifier: MIT
 * Rows of a .npy file by pread. Nothing is mapped: what is in memory is one row, so that the memory
 * of a program does not grow with the file, and a file that is cut while it is open gives an error
 * instead of a signal.
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "array_file.h"
#include "system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 1 << 17 }; /* more than any header of version 1.0; others are as short */

void lstm__array_file_close(lstm__array_file *file)
{
    if (!file->name)
        return;
    if (file->file >= 0)
        close(file->file);
    lstm__release(file->context, file->buffer);
    lstm__release(file->context, file->name);
    *file = (lstm__array_file){.file = -1};
}

/* Read `size` bytes at `offset`, all of them. */
static lstm_status read_at(const lstm__array_file *file, uint64_t offset, unsigned char *bytes,
                           size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = pread(file->file, bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lstm__fail_system(errno, "%s cannot be read", file->name);
        if (got == 0)
            return lstm__fail(LSTM_ERROR_IO, "%s ends at byte %llu: it was longer when opened",
                              file->name, (unsigned long long)(offset + done));
        done += (size_t)got;
    }
    return LSTM_OK;
}

static lstm_status read_header(lstm__array_file *file)
{
    struct stat about;
    lstm_status status = LSTM_OK;
    unsigned char *bytes = NULL;
    if (fstat(file->file, &about) != 0)
        return lstm__fail_system(errno, "%s cannot be read", file->name);
    if (!S_ISREG(about.st_mode))
        return lstm__fail(LSTM_ERROR_IO, "%s is no regular file", file->name);
    const uint64_t size = (uint64_t)about.st_size;
    const size_t part = size < HEADER_BYTES ? (size_t)size : HEADER_BYTES;
    bytes = lstm__allocate_array(file->context, part > 0 ? part : 1, 1);
    if (!bytes)
        return lstm__fail_memory(part, "the header of an array");
    TRY(read_at(file, 0, bytes, part));
    if (!lstm__is_npy(bytes, part))
        FAIL(LSTM_ERROR_FORMAT, "%s: no .npy file", file->name);
    lstm__cursor cursor = lstm__memory_cursor(file->name, bytes, part);
    TRY(lstm__npy_describe(&file->npy, &cursor, size));
    file->first = cursor.offset;
    if (file->npy.rank == 0)
        FAIL(LSTM_ERROR_FORMAT, "%s: a single number; expected an array of samples", file->name);
    if (file->npy.fortran_order && file->npy.rank > 1)
        FAIL(LSTM_ERROR_UNSUPPORTED,
             "%s: in Fortran order, a sample is not in one place: save numpy.ascontiguousarray(x)",
             file->name);
    file->row = 1;
    for (int32_t k = 1; k < file->npy.rank; k++)
        file->row *= (size_t)file->npy.shape[k]; /* the product of all was checked */
    const size_t bytes_of_row = file->row * lstm__element_size(file->npy.kind);
    file->buffer = lstm__allocate_array(file->context, bytes_of_row > 0 ? bytes_of_row : 1, 1);
    if (!file->buffer)
        FAIL(LSTM_ERROR_MEMORY, "no memory for one row of %s: %zu bytes", file->name, bytes_of_row);
out:
    lstm__release(file->context, bytes);
    return status;
}

lstm_status lstm__array_file_open(lstm__array_file *file, lstm_context *context, const char *path)
{
    const size_t length = strlen(path) + 1;
    *file = (lstm__array_file){.context = context, .file = -1};
    file->name = lstm__allocate_array(context, length, 1);
    if (!file->name)
        return lstm__fail_memory(length, "a path");
    memcpy(file->name, path, length);
    file->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const lstm_status status = file->file < 0
                                   ? lstm__fail_system(errno, "%s cannot be opened", path)
                                   : read_header(file);
    if (status != LSTM_OK)
        lstm__array_file_close(file);
    return status;
}

lstm_status lstm__array_file_read(lstm__array_file *file, const int64_t *rows, size_t count,
                                  float *values)
{
    const size_t size = lstm__element_size(file->npy.kind);
    for (size_t k = 0; k < count; k++) {
        const lstm__elements elements = {.bytes = file->buffer,
                                         .kind = file->npy.kind,
                                         .big_endian = file->npy.big_endian,
                                         .stride = size,
                                         .count = file->row};
        RETURN_IF_ERROR(read_at(file, file->first + (uint64_t)rows[k] * file->row * size,
                                file->buffer, file->row * size));
        lstm__read_floats(&elements, values + k * file->row);
    }
    return LSTM_OK;
}
