/* SPDX-License-Identifier: MIT
 *
 * Atomic file writing.
 *
 * A file without a name (O_TMPFILE) is created in the target's folder (same file system, so that
 * rename is atomic), written through a buffer and brought to the disk with fsync. Only then it gets
 * the name ".NAME.HEX.tmp" (linkat, which fails where a name is taken) and is renamed over the
 * target; then the folder is brought to the disk too. A process that is killed leaves nothing, but
 * for the moment between these two calls: the system gives the blocks of a nameless file back. Where
 * the file system, or a missing /proc, does not allow that, the file has its temporary name from
 * the start (O_EXCL); a killed process then leaves it, and nobody else removes it: who wrote it
 * cannot be told on a folder that several machines share. Any failure before the rename removes the
 * temporary file and leaves the target alone.
 *
 * The new file gets the mode of the one it replaces (and its owner and group where the system lets
 * us), or 0666 less the umask. A symbolic link is followed by hand and its target replaced, so the
 * link stays. A target that may not be written is refused, although rename alone would replace it.
 * What is no regular file (/dev/null, a FIFO, a terminal) and what is reached through /proc
 * (/dev/stdout, /dev/fd/3) is written directly: there is nothing to rename.
 *
 * The name of the temporary file needs to be unlikely, not secret: O_EXCL decides, and a taken name
 * is tried again.
 */
#include "file_writer.h"

#include "checked.h"
#include "system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 1 << 16,
    LARGEST_WRITE = 1 << 30,
    MOST_LINKS = 40,
    MOST_NAMES = 100,
    SHOWN_NAME = 100
};

struct lstm__writer {
    lstm_context *context;
    char *path;      /* as the caller wrote it, for messages */
    char *target;    /* what is renamed to: path with symbolic links followed */
    char *temporary; /* name before the target's; NULL when written directly */
    bool is_named;   /* and there is a file of that name */
    int descriptor;  /* -1 when closed */
    size_t used;     /* bytes in the buffer */
    uint64_t position;
    unsigned char buffer[BUFFER_SIZE];
};

/* The length of the folder part of a path, with its slash; 0 if there is none. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Replace writer->target, a symbolic link, by what it points to. */
static lstm_status follow_link(lstm__writer *writer)
{
    char link[PATH_MAX];
    const ssize_t length = readlink(writer->target, link, sizeof link - 1);
    if (length < 0)
        return lstm__fail_system(errno, "%s: cannot follow the symbolic link", writer->path);
    link[length] = 0;
    const size_t folder = link[0] == '/' ? 0 : folder_length(writer->target);
    char *const joined = lstm__allocate(writer->context, folder + (size_t)length + 1);
    if (!joined)
        return lstm__fail_memory(folder + (size_t)length + 1, "the name of a file");
    memcpy(joined, writer->target, folder);
    memcpy(joined + folder, link, (size_t)length + 1);
    lstm__release(writer->context, writer->target);
    writer->target = joined;
    return LSTM_OK;
}

static bool is_descriptor(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/fd/", 8) == 0;
}

/* Find what is to be written. *existing tells about it (st_nlink == 0: there is nothing yet),
 * *direct whether it is written without a temporary file. */
static lstm_status find_target(lstm__writer *writer, struct stat *existing, bool *direct)
{
    memset(existing, 0, sizeof *existing);
    *direct = false;
    if (stat(writer->path, existing) == 0) {
        if (S_ISDIR(existing->st_mode))
            return lstm__fail_system(EISDIR, "%s: cannot write", writer->path);
        if (!S_ISREG(existing->st_mode)) {
            *direct = true;
            return LSTM_OK;
        }
        if (faccessat(AT_FDCWD, writer->path, W_OK, AT_EACCESS) != 0)
            return lstm__fail_system(errno, "%s: cannot replace the file that is there",
                                     writer->path);
    } else if (errno != ENOENT) {
        return lstm__fail_system(errno, "%s: cannot write", writer->path);
    } else {
        memset(existing, 0, sizeof *existing);
    }
    for (int k = 0; k < MOST_LINKS; k++) {
        struct stat here;
        if (is_descriptor(writer->target)) {
            *direct = true;
            return LSTM_OK;
        }
        if (lstat(writer->target, &here) != 0 || !S_ISLNK(here.st_mode))
            return LSTM_OK;
        RETURN_IF_ERROR(follow_link(writer));
    }
    return lstm__fail_system(ELOOP, "%s: cannot follow the symbolic link", writer->path);
}

/* A number that another process, thread or attempt is unlikely to draw: time, process, address and
 * attempt, mixed. */
static unsigned draw(const void *address, unsigned attempt)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t x = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
    x ^= (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)address ^ attempt;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return (unsigned)(x ^ x >> 31);
}

/* Room for temporary names beside the target, its folder filled in. */
static lstm_status start_name(lstm__writer *writer, size_t *size)
{
    const char *const target = writer->target;
    const size_t folder = folder_length(target);
    if (target[folder] == 0)
        return lstm__fail(LSTM_ERROR_IO, "%s: is the name of a folder; expected that of a file",
                          writer->path);
    *size = folder + SHOWN_NAME + 32;
    writer->temporary = lstm__allocate(writer->context, *size);
    if (!writer->temporary)
        return lstm__fail_memory(*size, "the name of a temporary file");
    memcpy(writer->temporary, target, folder);
    return LSTM_OK;
}

static void draw_name(const lstm__writer *writer, size_t size, unsigned attempt)
{
    const size_t folder = folder_length(writer->target);
    snprintf(writer->temporary + folder, size - folder, ".%.*s.%08x.tmp", SHOWN_NAME,
             writer->target + folder, draw(writer, attempt));
}

/* Under which a file without a name can be given one. */
static void descriptor_path(int descriptor, char text[40])
{
    snprintf(text, 40, "/proc/self/fd/%d", descriptor);
}

/* Create a file without a name in the target's folder; false where that cannot be. */
static bool create_nameless(lstm__writer *writer)
{
#ifdef O_TMPFILE
    char path[40];
    const size_t length = folder_length(writer->target);
    writer->temporary[length] = 0;
    const int descriptor = open(length ? writer->temporary : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
                                0666);
    if (descriptor < 0)
        return false;
    descriptor_path(descriptor, path);
    if (access(path, F_OK) == 0) {
        writer->descriptor = descriptor;
        return true;
    }
    close(descriptor);
#else
    (void)writer;
#endif
    return false;
}

static lstm_status create_named(lstm__writer *writer, size_t size)
{
    for (unsigned attempt = 0; attempt < MOST_NAMES; attempt++) {
        draw_name(writer, size, attempt);
        writer->descriptor = open(writer->temporary,
                                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        writer->is_named = writer->descriptor >= 0;
        if (writer->is_named)
            return LSTM_OK;
        if (errno != EEXIST)
            break;
    }
    return lstm__fail_system(errno, "%s: cannot create a temporary file beside it", writer->path);
}

/* Give the finished file its temporary name. */
static lstm_status give_name(lstm__writer *writer)
{
    char path[40];
    const size_t size = folder_length(writer->target) + SHOWN_NAME + 32;
    descriptor_path(writer->descriptor, path);
    for (unsigned attempt = 0; !writer->is_named && attempt < MOST_NAMES; attempt++) {
        draw_name(writer, size, attempt);
        writer->is_named = linkat(AT_FDCWD, path, AT_FDCWD, writer->temporary, AT_SYMLINK_FOLLOW) ==
                           0;
        if (!writer->is_named && errno != EEXIST)
            break;
    }
    return writer->is_named
               ? LSTM_OK
               : lstm__fail_system(errno, "%s: cannot name the finished file", writer->path);
}

/* Give the new file the mode, and where allowed the owner and group, of the one it replaces. */
static lstm_status copy_mode(const lstm__writer *writer, const struct stat *existing)
{
    if (existing->st_nlink == 0)
        return LSTM_OK;
    mode_t mode = existing->st_mode & 0777;
    if (fchown(writer->descriptor, existing->st_uid, existing->st_gid) != 0) {
        struct stat now;
        if (fstat(writer->descriptor, &now) != 0 || now.st_gid != existing->st_gid)
            /* another group must not get more than everybody has */
            mode &= 0707 | (mode & 07) << 3;
    }
    if (fchmod(writer->descriptor, mode) != 0)
        return lstm__fail_system(errno, "%s: cannot set the mode of the new file", writer->path);
    return LSTM_OK;
}

static lstm_status open_writer(lstm__writer **out, lstm_context *context, const char *path,
                               bool named)
{
    lstm_status status = LSTM_OK;
    size_t size = 0;
    *out = NULL;
    lstm__writer *writer = lstm__allocate(context, sizeof *writer);
    if (!writer)
        return lstm__fail_memory(sizeof *writer, "a file's buffer");
    memset(writer, 0, offsetof(lstm__writer, buffer));
    writer->context = context;
    writer->descriptor = -1;
    writer->path = lstm__copy_text(context, path);
    writer->target = lstm__copy_text(context, path);
    if (!writer->path || !writer->target)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for the file's name", path);
    struct stat existing;
    bool direct = false;
    TRY(find_target(writer, &existing, &direct));
    if (direct) {
        /* standard output sent to a file */
        const int append = S_ISREG(existing.st_mode) ? O_APPEND : 0;
        writer->descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | append);
        if (writer->descriptor < 0) {
            status = lstm__fail_system(errno, "%s: cannot open for writing", path);
            goto out;
        }
    } else {
        TRY(start_name(writer, &size));
        if (named || !create_nameless(writer))
            TRY(create_named(writer, size));
        TRY(copy_mode(writer, &existing));
    }
    *out = writer;
    writer = NULL;
out:
    lstm__writer_abort(writer);
    return status;
}

lstm_status lstm__writer_open(lstm__writer **out, lstm_context *context, const char *path)
{
    return open_writer(out, context, path, false);
}

lstm_status lstm__writer_open_named(lstm__writer **out, lstm_context *context, const char *path)
{
    return open_writer(out, context, path, true);
}

static lstm_status write_all(lstm__writer *writer, const unsigned char *bytes, size_t count)
{
    while (count > 0) {
        const ssize_t done = write(writer->descriptor, bytes,
                                   count < LARGEST_WRITE ? count : LARGEST_WRITE);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return lstm__fail_system(errno, "%s: cannot write", writer->path);
        bytes += done;
        count -= (size_t)done;
    }
    return LSTM_OK;
}

static lstm_status flush(lstm__writer *writer)
{
    const size_t used = writer->used;
    writer->used = 0;
    return write_all(writer, writer->buffer, used);
}

lstm_status lstm__writer_write(lstm__writer *writer, const void *bytes, size_t count)
{
    if (count == 0)
        return LSTM_OK;
    if (count > BUFFER_SIZE - writer->used)
        RETURN_IF_ERROR(flush(writer));
    if (count >= BUFFER_SIZE) {
        RETURN_IF_ERROR(write_all(writer, bytes, count));
    } else {
        memcpy(writer->buffer + writer->used, bytes, count);
        writer->used += count;
    }
    writer->position += count;
    return LSTM_OK;
}

lstm_status lstm__writer_pad(lstm__writer *writer, size_t count)
{
    static const unsigned char zeros[64];
    while (count > 0) {
        const size_t part = count < sizeof zeros ? count : sizeof zeros;
        RETURN_IF_ERROR(lstm__writer_write(writer, zeros, part));
        count -= part;
    }
    return LSTM_OK;
}

uint64_t lstm__writer_position(const lstm__writer *writer)
{
    return writer->position;
}

/* Bring the folder's entry to the disk. The file has its name by now, so this cannot fail the call.
 */
static void sync_folder(const lstm__writer *writer)
{
    const size_t length = folder_length(writer->target);
    /* the temporary name is used up: its folder part serves once more */
    writer->temporary[length] = 0;
    const int folder = open(length ? writer->temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder);
        close(folder);
    }
}

lstm_status lstm__writer_close(lstm__writer **owner)
{
    lstm_status status = LSTM_OK;
    lstm__writer *writer = *owner;
    *owner = NULL;
    TRY(flush(writer));
    if (writer->temporary && fsync(writer->descriptor) != 0 && errno != EINVAL &&
        errno != ENOTSUP) {
        status = lstm__fail_system(errno, "%s: cannot bring to the disk", writer->path);
        goto out;
    }
    if (writer->temporary)
        TRY(give_name(writer));
    const int closed = close(writer->descriptor);
    writer->descriptor = -1;
    if (closed != 0 && errno != EINTR) {
        status = lstm__fail_system(errno, "%s: cannot write", writer->path);
        goto out;
    }
    if (writer->temporary) {
        if (rename(writer->temporary, writer->target) != 0) {
            status = lstm__fail_system(errno, "%s: cannot rename the finished file", writer->path);
            goto out;
        }
        writer->is_named = false;
        sync_folder(writer);
        lstm__release(writer->context, writer->temporary);
        writer->temporary = NULL;
    }
out:
    lstm__writer_abort(writer);
    return status;
}

void lstm__writer_abort(lstm__writer *writer)
{
    if (!writer)
        return;
    if (writer->descriptor >= 0)
        close(writer->descriptor);
    if (writer->is_named)
        (void)unlink(writer->temporary);
    lstm__release(writer->context, writer->temporary);
    lstm__release(writer->context, writer->target);
    lstm__release(writer->context, writer->path);
    lstm__release(writer->context, writer);
}
