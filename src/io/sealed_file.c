/* SPDX-License-Identifier: MIT
 * Sealed files. The checksum is zlib's CRC-32 over the library's version, keys and texts in the
 * order written, then name, kind, shape and bytes of every tensor in the order of the header. Kind
 * and version are checked first, so that a newer file is called newer and not damaged.
 */
#include "sealed_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define KEY_KIND "lstm.format"
#define KEY_VERSION "lstm.format_version"
#define KEY_LIBRARY "lstm.library"
#define KEY_CHECKSUM "lstm.checksum"

enum { FORMAT_VERSION = 1 };

static unsigned long add_bytes(unsigned long checksum, const void *bytes, size_t size)
{
    return crc32_z(checksum, bytes, size);
}

static unsigned long add_text(unsigned long checksum, const char *text)
{
    return add_bytes(checksum, text, strlen(text) + 1);
}

static unsigned long add_tensor(unsigned long checksum, const char *name, int32_t kind,
                                int32_t rank, const int64_t *shape, const void *bytes, size_t size)
{
    checksum = add_text(checksum, name);
    checksum = add_bytes(checksum, &kind, sizeof kind);
    checksum = add_bytes(checksum, shape, (size_t)rank * sizeof *shape);
    return size > 0 ? add_bytes(checksum, bytes, size) : checksum;
}

lstm_status lstm__seal_start(lstm__seal *seal, lstm_context *context, const char *kind)
{
    char version[16];
    *seal = (lstm__seal){NULL, add_text(crc32_z(0, NULL, 0), lstm_version_string())};
    snprintf(version, sizeof version, "%d", FORMAT_VERSION);
    RETURN_IF_ERROR(lstm__safetensors_writer_create(&seal->writer, context));
    RETURN_IF_ERROR(lstm__safetensors_add_metadata(seal->writer, KEY_KIND, kind));
    RETURN_IF_ERROR(lstm__safetensors_add_metadata(seal->writer, KEY_VERSION, version));
    return lstm__safetensors_add_metadata(seal->writer, KEY_LIBRARY, lstm_version_string());
}

lstm_status lstm__seal_text(lstm__seal *seal, const char *key, const char *text)
{
    seal->checksum = add_text(add_text(seal->checksum, key), text);
    return lstm__safetensors_add_metadata(seal->writer, key, text);
}

lstm_status lstm__seal_tensor(lstm__seal *seal, const char *name, int32_t kind, int32_t rank,
                              const int64_t *shape, const void *values)
{
    size_t size = lstm__element_size(kind);
    for (int32_t k = 0; k < rank; k++)
        size *= (size_t)shape[k];
    seal->checksum = add_tensor(seal->checksum, name, kind, rank, shape, values, size);
    return lstm__safetensors_add_tensor(seal->writer, name, kind, rank, shape, values);
}

lstm_status lstm__seal_write(lstm__seal *seal, const char *path)
{
    char checksum[32];
    snprintf(checksum, sizeof checksum, "%08lx", seal->checksum);
    RETURN_IF_ERROR(lstm__safetensors_add_metadata(seal->writer, KEY_CHECKSUM, checksum));
    return lstm__safetensors_save(seal->writer, path);
}

void lstm__seal_destroy(lstm__seal *seal)
{
    lstm__safetensors_writer_destroy(seal->writer);
    seal->writer = NULL;
}

bool lstm__seal_is(const lstm__safetensors *file, const char *kind)
{
    const char *found = lstm__safetensors_metadata(file, KEY_KIND);
    return found && strcmp(found, kind) == 0;
}

static lstm_status check_kind(const lstm__safetensors *file, const char *kind)
{
    const char *path = lstm__safetensors_path(file);
    const char *found = lstm__safetensors_metadata(file, KEY_KIND);
    const char *version = lstm__safetensors_metadata(file, KEY_VERSION);
    const char *library = lstm__safetensors_metadata(file, KEY_LIBRARY);
    if (!found || !version)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: a safetensors file, but not one of liblstm (no \"%s\" in its "
                          "metadata): plain weights need a "
                          "model description",
                          path, found ? KEY_VERSION : KEY_KIND);
    if (strcmp(found, kind) != 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: a liblstm file of kind \"%.40s\": expected a %s",
                          path, found, kind);
    char *end = NULL;
    const long number = strtol(version, &end, 10);
    if (end == version || *end || number < 1)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: format version \"%.40s\" is no number", path,
                          version);
    if (number > FORMAT_VERSION)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: format version %ld, written by liblstm %.40s: this library (%s) "
                          "reads up to version %d",
                          path, number, library ? library : "?", lstm_version_string(),
                          FORMAT_VERSION);
    return LSTM_OK;
}

lstm_status lstm__seal_check(const lstm__safetensors *file, const char *kind,
                             const char *const *texts)
{
    RETURN_IF_ERROR(check_kind(file, kind));
    char computed[32];
    const char *library = lstm__safetensors_metadata(file, KEY_LIBRARY);
    unsigned long checksum = add_text(crc32_z(0, NULL, 0), library ? library : "");
    for (size_t k = 0; texts[k]; k++) {
        const char *text = lstm__safetensors_metadata(file, texts[k]);
        if (!text)
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: \"%s\" is missing from its metadata",
                              lstm__safetensors_path(file), texts[k]);
        checksum = add_text(add_text(checksum, texts[k]), text);
    }
    for (size_t k = 0; k < lstm__safetensors_count(file); k++) {
        const lstm__tensor *t = lstm__safetensors_get(file, k);
        checksum = add_tensor(checksum, t->name, t->kind, t->rank, t->shape, t->bytes, t->size);
    }
    snprintf(computed, sizeof computed, "%08lx", checksum);
    const char *stored = lstm__safetensors_metadata(file, KEY_CHECKSUM);
    if (!stored || strcmp(stored, computed) != 0)
        return lstm__fail(
            LSTM_ERROR_FORMAT, "%s: the file is damaged: checksum %.40s, expected %.40s",
            lstm__safetensors_path(file), computed, stored ? stored : "one in the metadata");
    return LSTM_OK;
}
