/* SPDX-License-Identifier: MIT
 *
 * Whole files in memory, and bounds-checked reading from them.
 *
 * A file of 16 MiB and more is mapped read-only, smaller ones are read. Mapping saves a copy of the
 * file and, what costs more, the clearing of as much fresh memory (design/loading.md).
 * Its price: a file that is cut off in place while it is loaded ends the process with SIGBUS, which
 * a library cannot catch without owning the process' signals; so does a disk error. Files that are
 * replaced by renaming, as this library writes them, are not touched by that. What a small file
 * gives is a snapshot. What a mapped one gives may change while it is looked at, so no check may
 * depend on reading a byte twice: a number is read once into a variable, checked and used there.
 *
 * The file is opened without blocking and looked at before anything is read, so that a FIFO without
 * a writer gives an error instead of a hang. The block is exactly as long as the file was when it
 * was opened; one that shrinks meanwhile is an error.
 *
 * Invariant of a cursor: offset <= size. Counts come as uint64_t, straight from files, and are
 * compared with size - offset, which cannot wrap.
 */
#include "file_reader.h"

#include "checked.h"
#include "system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_READ = 1 << 30, TEXT_SIZE = 1024, LEAST_MAPPED = 16 << 20 };

static lstm_status check_kind(const char *path, const struct stat *information)
{
    const mode_t mode = information->st_mode;
    if (S_ISREG(mode))
        return LSTM_OK;
    const char *kind = "a device";
    if (S_ISDIR(mode))
        kind = "a directory";
    else if (S_ISFIFO(mode))
        kind = "a pipe (FIFO)";
    else if (S_ISSOCK(mode))
        kind = "a socket";
    return lstm__fail(LSTM_ERROR_IO, "%s: is %s; expected a regular file", path, kind);
}

static lstm_status read_all(int descriptor, const char *path, unsigned char *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const size_t wanted = size - done < LARGEST_READ ? size - done : LARGEST_READ;
        const ssize_t got = read(descriptor, bytes + done, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lstm__fail_system(errno, "%s: cannot read at offset %zu", path, done);
        if (got == 0)
            return lstm__fail(LSTM_ERROR_IO,
                              "%s: became shorter while it was read: %zu of %zu bytes", path, done,
                              size);
        done += (size_t)got;
    }
    return LSTM_OK;
}

/* The bytes of a large file where the system has them; false where it cannot be mapped. */
static bool map(lstm__file *file, int descriptor)
{
    int flags = MAP_PRIVATE;
#ifdef MAP_POPULATE
    flags |= MAP_POPULATE; /* all pages at once: nearly every byte is needed */
#endif
    void *const bytes = mmap(NULL, file->size, PROT_READ, flags, descriptor, 0);
    if (bytes == MAP_FAILED)
        return false;
    file->bytes = bytes;
    file->mapped = true;
    return true;
}

static lstm_status open_file(lstm__file *file, lstm_context *context, const char *path, int flags)
{
    lstm_status status = LSTM_OK;
    *file = (lstm__file){0};
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (descriptor < 0)
        return lstm__fail_system(errno, "%s: cannot open", path);
    file->context = context;
    struct stat information;
    if (fstat(descriptor, &information) != 0) {
        status = lstm__fail_system(errno, "%s: cannot examine", path);
        goto out;
    }
    TRY(check_kind(path, &information));
    if (information.st_size <= 0)
        FAIL(LSTM_ERROR_FORMAT, "%s: the file is empty", path);
    if ((uintmax_t)information.st_size > (uintmax_t)PTRDIFF_MAX)
        FAIL(LSTM_ERROR_MEMORY, "%s: %jd bytes do not fit in memory", path,
             (intmax_t)information.st_size);
    file->size = (size_t)information.st_size;
    file->name = lstm__copy_text(context, path);
    if (!file->name)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for its name", path);
    if (file->size >= LEAST_MAPPED && map(file, descriptor))
        goto out;
    file->bytes = lstm__allocate(context, file->size);
    if (!file->bytes)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for its %zu bytes", path, file->size);
    TRY(read_all(descriptor, path, file->bytes, file->size));
out:
    close(descriptor);
    if (status != LSTM_OK)
        lstm__file_close(file);
    return status;
}

lstm_status lstm__file_open(lstm__file *file, lstm_context *context, const char *path)
{
    return open_file(file, context, path, 0);
}

lstm_status lstm__file_open_inside(lstm__file *file, lstm_context *context, const char *path)
{
    return open_file(file, context, path, O_NOFOLLOW);
}

void lstm__file_drop(lstm__file *file)
{
    if (file->mapped)
        munmap(file->bytes, file->size);
    else if (file->context)
        lstm__release(file->context, file->bytes);
    file->bytes = NULL;
    file->size = 0;
    file->mapped = false;
}

void lstm__file_close(lstm__file *file)
{
    lstm__file_drop(file);
    if (file->context)
        lstm__release(file->context, file->name);
    *file = (lstm__file){0};
}

lstm__cursor lstm__file_cursor(const lstm__file *file)
{
    return lstm__memory_cursor(file->name, file->bytes, file->size);
}

lstm__cursor lstm__memory_cursor(const char *name, const void *bytes, size_t size)
{
    return (lstm__cursor){.name = name, .bytes = bytes, .size = size};
}

size_t lstm__remaining(const lstm__cursor *cursor)
{
    return cursor->size - cursor->offset;
}

lstm_status lstm__fail_at(const lstm__cursor *cursor, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = 0;
    va_end(arguments);
    return lstm__fail(LSTM_ERROR_FORMAT, "%s: offset %zu: %s", cursor->name,
                      cursor->base + cursor->offset, text);
}

lstm_status lstm__get_bytes(lstm__cursor *cursor, uint64_t count, const unsigned char **bytes)
{
    if (count > lstm__remaining(cursor))
        return lstm__fail_at(cursor, "%llu bytes expected, %zu are left", (unsigned long long)count,
                             lstm__remaining(cursor));
    *bytes = cursor->bytes + cursor->offset;
    cursor->offset += (size_t)count;
    return LSTM_OK;
}

lstm_status lstm__skip(lstm__cursor *cursor, uint64_t count)
{
    const unsigned char *passed = NULL;
    return lstm__get_bytes(cursor, count, &passed);
}

lstm_status lstm__seek(lstm__cursor *cursor, uint64_t offset)
{
    if (offset > cursor->size)
        return lstm__fail_at(cursor, "a pointer to offset %llu, beyond the end at %zu",
                             (unsigned long long)offset, cursor->base + cursor->size);
    cursor->offset = (size_t)offset;
    return LSTM_OK;
}

lstm_status lstm__get_part(lstm__cursor *cursor, uint64_t count, lstm__cursor *part)
{
    const size_t start = cursor->offset;
    const unsigned char *bytes = NULL;
    RETURN_IF_ERROR(lstm__get_bytes(cursor, count, &bytes));
    *part = (lstm__cursor){
        .name = cursor->name, .bytes = bytes, .size = (size_t)count, .base = cursor->base + start};
    return LSTM_OK;
}

static lstm_status get_number(lstm__cursor *cursor, size_t bytes, bool big_endian, uint64_t *value)
{
    const unsigned char *source = NULL;
    RETURN_IF_ERROR(lstm__get_bytes(cursor, bytes, &source));
    uint64_t number = 0;
    for (size_t k = 0; k < bytes; k++)
        number = number << 8 | source[big_endian ? k : bytes - 1 - k];
    *value = number;
    return LSTM_OK;
}

lstm_status lstm__get_uint(lstm__cursor *cursor, size_t bytes, uint64_t *value)
{
    if (bytes < 1 || bytes > 8)
        return lstm__fail_at(cursor, "a number of %zu bytes; expected 1 to 8", bytes);
    return get_number(cursor, bytes, false, value);
}

/* One function for each width and order. */
#define DEFINE_GET(name, type, bytes, big_endian)                        \
    lstm_status name(lstm__cursor *cursor, type *value)                  \
    {                                                                    \
        uint64_t number = 0;                                             \
        RETURN_IF_ERROR(get_number(cursor, bytes, big_endian, &number)); \
        *value = (type)number;                                           \
        return LSTM_OK;                                                  \
    }
DEFINE_GET(lstm__get_u8, uint8_t, 1, false)
DEFINE_GET(lstm__get_u16, uint16_t, 2, false)
DEFINE_GET(lstm__get_u32, uint32_t, 4, false)
DEFINE_GET(lstm__get_u64, uint64_t, 8, false)
DEFINE_GET(lstm__get_u16_be, uint16_t, 2, true)
DEFINE_GET(lstm__get_u32_be, uint32_t, 4, true)
DEFINE_GET(lstm__get_u64_be, uint64_t, 8, true)
