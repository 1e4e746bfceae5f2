/* SPDX-License-Identifier: MIT
 *
 * Writing an archive in the format that the path's suffix names.
 *
 * .npy holds one array without its name, .npz one stored ZIP entry NAME.npy for each array,
 * .safetensors all of them as F32. An empty archive makes an empty .npz or .safetensors file.
 * Everything is decided before a file is created, and a file takes its name only when it is
 * complete.
 */
#include "archive.h"

#include "file_writer.h"
#include "names.h"
#include "npy.h"
#include "zip_archive.h"

#include <string.h>

enum { MOST_NAME = 1000 };

static lstm_status save_npy(const lstm_archive *archive, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__writer *file = NULL;
    if (archive->count != 1)
        FAIL(LSTM_ERROR_SHAPE,
             "%s: a .npy file holds exactly one array, the archive has %zu; save a .npz", path,
             archive->count);
    const lstm__array *const array = &archive->arrays[0];
    char header[LSTM__NPY_HEADER];
    const size_t header_size = lstm__npy_header(header, array->rank, array->shape);
    TRY(lstm__writer_open(&file, archive->context, path));
    TRY(lstm__writer_write(file, header, header_size));
    TRY(lstm__writer_write(file, array->data, array->count * sizeof *array->data));
    TRY(lstm__writer_close(&file));
out:
    lstm__writer_abort(file);
    return status;
}

static lstm_status add_entry(lstm__zip_writer *zip, const lstm__array *array)
{
    char name[MOST_NAME + sizeof ".npy"];
    const size_t length = strlen(array->name);
    if (length > MOST_NAME)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "the name \"%.40s...\" has %zu bytes; a .npz file allows %d", array->name,
                          length, MOST_NAME);
    memcpy(name, array->name, length);
    memcpy(name + length, ".npy", sizeof ".npy");
    char header[LSTM__NPY_HEADER];
    const lstm__piece pieces[] = {
        {header, lstm__npy_header(header, array->rank, array->shape)},
        {array->data, array->count * sizeof *array->data},
    };
    return lstm__zip_writer_add(zip, name, pieces, 2);
}

static lstm_status save_npz(const lstm_archive *archive, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__zip_writer *zip = NULL;
    TRY(lstm__zip_writer_open(&zip, archive->context, path));
    for (size_t k = 0; k < archive->count; k++)
        TRY(add_entry(zip, &archive->arrays[k]));
    TRY(lstm__zip_writer_close(&zip));
out:
    lstm__zip_writer_abort(zip);
    return status;
}

static lstm_status save_safetensors(const lstm_archive *archive, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__safetensors_writer *writer = NULL;
    TRY(lstm__safetensors_writer_create(&writer, archive->context));
    for (size_t k = 0; k < archive->count; k++) {
        const lstm__array *const array = &archive->arrays[k];
        TRY(lstm__safetensors_add_tensor(writer, array->name, LSTM__F32, array->rank, array->shape,
                                         array->data));
    }
    TRY(lstm__safetensors_save(writer, path));
out:
    lstm__safetensors_writer_destroy(writer);
    return status;
}

lstm_status lstm__archive_save(const lstm_archive *archive, const char *path)
{
    static const struct {
        const char *suffix;
        lstm_status (*save)(const lstm_archive *archive, const char *path);
    } formats[] = {{".npy", save_npy}, {".npz", save_npz}, {".safetensors", save_safetensors}};
    const size_t length = strlen(path);
    for (size_t k = 0; k < sizeof formats / sizeof formats[0]; k++) {
        const size_t suffix = strlen(formats[k].suffix);
        if (length >= suffix && lstm__compare_names(path + length - suffix, formats[k].suffix) == 0)
            return formats[k].save(archive, path);
    }
    return lstm__fail(LSTM_ERROR_ARGUMENT,
                      "%s: the suffix of the name tells the format of an archive; expected .npy, "
                      ".npz or .safetensors",
                      path);
}
