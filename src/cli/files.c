/* SPDX-License-Identifier: MIT
 *
 * Whole files; see files.h.
 *
 * Writing: a new file beside the target (mkstemp, so that two programs never share one), all bytes,
 * fsync, the permissions that an ordinary new file would have, rename. Whatever goes wrong before,
 * the target stays as it was.
 */
#include "files.h"

#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

int file_has_suffix(const char *path, const char *suffix)
{
    const size_t length = strlen(path);
    const size_t tail = strlen(suffix);
    return length > tail && strcasecmp(path + length - tail, suffix) == 0;
}

int file_read(const char *path, size_t limit, char **text, size_t *length)
{
    *text = NULL;
    *length = 0;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return message_error(EXIT_FILE, "%s: %s", path, strerror(errno));
    }
    size_t capacity = 65536;
    size_t used = 0;
    char *buffer = malloc(capacity + 1);
    int code = EXIT_DONE;
    while (buffer != NULL) {
        used += fread(buffer + used, 1, capacity - used, file);
        if (used < capacity || used > limit) {
            break;
        }
        capacity *= 2;
        char *larger = realloc(buffer, capacity + 1);
        if (larger == NULL) {
            free(buffer);
        }
        buffer = larger;
    }
    if (buffer == NULL) {
        code = message_error(EXIT_WORK, "%s: out of memory", path);
    } else if (ferror(file)) {
        code = message_error(EXIT_FILE, "%s: %s", path, strerror(errno));
    } else if (used > limit) {
        code = message_error(EXIT_USE, "%s: larger than %zu bytes", path, limit);
    }
    fclose(file);
    if (code != EXIT_DONE) {
        free(buffer);
        return code;
    }
    buffer[used] = '\0';
    *text = buffer;
    *length = used;
    return EXIT_DONE;
}

static int write_all(int descriptor, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t written = write(descriptor, text, length);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

int file_write(const char *path, const char *text, size_t length)
{
    const size_t size = strlen(path) + sizeof ".XXXXXX";
    char *temporary = malloc(size);
    if (temporary == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    snprintf(temporary, size, "%s.XXXXXX", path);
    const int descriptor = mkstemp(temporary);
    if (descriptor < 0) {
        const int code = message_error(EXIT_FILE, "%s: cannot be written: %s", path,
                                       strerror(errno));
        free(temporary);
        return code;
    }
    const mode_t mask = umask(0);
    umask(mask);
    int failed = write_all(descriptor, text, length) != 0 ||
                 fchmod(descriptor, 0666 & ~mask) != 0 || fsync(descriptor) != 0;
    int reason = errno;
    if (close(descriptor) != 0 && !failed) {
        failed = 1;
        reason = errno;
    }
    if (!failed && rename(temporary, path) != 0) {
        failed = 1;
        reason = errno;
    }
    int code = EXIT_DONE;
    if (failed) {
        unlink(temporary);
        code = message_error(EXIT_FILE, "%s: cannot be written: %s", path, strerror(reason));
    }
    free(temporary);
    return code;
}

int file_check_writable(const char *path)
{
    struct stat info;
    if (path[0] == '\0') {
        return message_error(EXIT_USE, "the name of the output file is empty");
    }
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return message_error(EXIT_FILE, "%s: cannot be written: %s", path, strerror(EISDIR));
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    if (folder == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    int code = EXIT_DONE;
    if (access(folder, W_OK | X_OK) != 0) {
        code = message_error(EXIT_FILE, "%s: cannot be written: %s: %s", path, folder,
                             strerror(errno));
    }
    free(folder);
    return code;
}
