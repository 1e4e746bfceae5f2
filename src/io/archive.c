/* SPDX-License-Identifier: MIT
 *
 * Archives of named arrays: the list itself, and reading it from the three formats.
 *
 * The format is told by the first bytes: \x93NUMPY, "PK", or a header length followed by '{'. Every
 * array becomes row-major floats. One that is already that in the file (little-endian float32, C
 * order, aligned) is not copied: it stays in the file's block, which the archive then keeps. Names
 * are unique: ZIP directory and safetensors header are checked for that when they are read,
 * lstm__archive_add looks itself.
 */
#include "archive.h"

#include "checked.h"
#include "npy.h"
#include "onnx_graph.h"
#include "zip_archive.h"

#include <string.h>

lstm_status lstm__archive_create(lstm_archive **out, lstm_context *context)
{
    *out = NULL;
    lstm_context *const held = lstm__context_acquire(context);
    lstm_archive *const archive = lstm__allocate_zeroed(held, sizeof *archive);
    if (!archive) {
        lstm__context_release(held);
        return lstm__fail_memory(sizeof *archive, "an archive");
    }
    archive->context = held;
    *out = archive;
    return LSTM_OK;
}

void lstm__archive_destroy(lstm_archive *archive)
{
    if (!archive)
        return;
    lstm_context *const context = archive->context;
    for (size_t k = 0; k < archive->count; k++) {
        lstm__release(context, archive->arrays[k].name);
        lstm__release(context, archive->arrays[k].owned);
    }
    lstm__release(context, archive->arrays);
    lstm__safetensors_close(archive->tensors);
    lstm__file_close(&archive->file);
    lstm__release(context, archive);
    lstm__context_release(context);
}

const lstm__array *lstm__archive_find(const lstm_archive *archive, const char *name)
{
    for (size_t k = 0; k < archive->count; k++)
        if (strcmp(archive->arrays[k].name, name) == 0)
            return &archive->arrays[k];
    return NULL;
}

/* Add an array without data. `name` has `length` bytes. */
static lstm_status append(lstm_archive *archive, const char *name, size_t length, int32_t rank,
                          const int64_t *shape, size_t count, lstm__array **added)
{
    void *memory = archive->arrays;
    RETURN_IF_ERROR(lstm__grow(archive->context, &memory, &archive->capacity, archive->count + 1,
                               sizeof(lstm__array)));
    archive->arrays = memory;
    lstm__array *const array = &archive->arrays[archive->count];
    *array = (lstm__array){.rank = rank, .count = count};
    if (rank > 0)
        memcpy(array->shape, shape, (size_t)rank * sizeof *shape);
    array->name = lstm__allocate(archive->context, length + 1);
    if (!array->name)
        return lstm__fail_memory(length + 1, "the name of an array");
    memcpy(array->name, name, length);
    array->name[length] = 0;
    archive->count++;
    *added = array;
    return LSTM_OK;
}

/* Give an array a block of its own for its data. */
static lstm_status allocate_data(const lstm_archive *archive, lstm__array *array)
{
    array->owned = lstm__allocate_array(archive->context, array->count, sizeof *array->owned);
    if (!array->owned)
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for the %zu floats of array \"%.200s\"",
                          array->count, array->name);
    array->data = array->owned;
    return LSTM_OK;
}

lstm_status lstm__archive_add(lstm_archive *archive, const char *name, int32_t rank,
                              const int64_t *shape, const float *data, size_t count)
{
    if (lstm__archive_find(archive, name))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the archive already has an array \"%.200s\"", name);
    lstm__array *array = NULL;
    RETURN_IF_ERROR(append(archive, name, strlen(name), rank, shape, count, &array));
    const lstm_status status = allocate_data(archive, array);
    if (status != LSTM_OK) {
        lstm__release(archive->context, array->name);
        archive->count--;
        return status;
    }
    if (count > 0)
        memcpy(array->owned, data, count * sizeof *data);
    return LSTM_OK;
}

/* ---- Reading ---- */

static bool is_float_in_place(const unsigned char *bytes, int32_t kind)
{
    return kind == LSTM__F32 && (uintptr_t)bytes % _Alignof(float) == 0;
}

/* Add the array of a .npy file. *kept becomes true if its data stays in the bytes that were parsed.
 */
static lstm_status add_npy(lstm_archive *archive, const char *name, size_t length,
                           lstm__cursor *cursor, bool may_keep, bool *kept)
{
    lstm__npy npy;
    RETURN_IF_ERROR(lstm__npy_parse(&npy, cursor));
    lstm__array *array = NULL;
    RETURN_IF_ERROR(append(archive, name, length, npy.rank, npy.shape, npy.count, &array));
    if (may_keep && is_float_in_place(npy.bytes, npy.kind) && !npy.big_endian &&
        (!npy.fortran_order || npy.rank < 2)) {
        array->data = (const float *)(const void *)npy.bytes;
        *kept = true;
        return LSTM_OK;
    }
    RETURN_IF_ERROR(allocate_data(archive, array));
    lstm__npy_floats(&npy, array->owned);
    return LSTM_OK;
}

static lstm_status add_npz_entry(lstm_archive *archive, const lstm__zip *zip,
                                 const lstm__zip_entry *entry, const char *path, bool *kept)
{
    static const char suffix[] = ".npy";
    const size_t length = strlen(entry->name);
    const size_t suffix_length = sizeof suffix - 1;
    if (length <= suffix_length || strcmp(entry->name + length - suffix_length, suffix) != 0)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: the ZIP entry \"%.200s\" is no .npy array, so this is no .npz file",
                          path, entry->name);
    const unsigned char *bytes = NULL;
    void *owned = NULL;
    RETURN_IF_ERROR(lstm__zip_content(zip, entry, UINT64_MAX, &bytes, &owned));
    lstm__cursor cursor = lstm__memory_cursor(entry->name, bytes, (size_t)entry->size);
    lstm_status status = add_npy(archive, entry->name, length - suffix_length, &cursor, !owned,
                                 kept);
    lstm__release(archive->context, owned);
    if (status != LSTM_OK && status != LSTM_ERROR_MEMORY)
        status = lstm__prefix_error(status, "%s", path);
    return status;
}

static lstm_status load_npz(lstm_archive *archive, const lstm__file *file, bool *kept)
{
    lstm_status status = LSTM_OK;
    lstm__zip *zip = NULL;
    TRY(lstm__zip_open(&zip, archive->context, file));
    for (size_t k = 0; k < lstm__zip_count(zip); k++)
        TRY(add_npz_entry(archive, zip, lstm__zip_get(zip, k), file->name, kept));
out:
    lstm__zip_close(zip);
    return status;
}

/* Takes over the file. */
static lstm_status load_safetensors(lstm_archive *archive, lstm__file *file)
{
    bool kept = false;
    RETURN_IF_ERROR(lstm__safetensors_parse(&archive->tensors, file));
    for (size_t k = 0; k < lstm__safetensors_count(archive->tensors); k++) {
        const lstm__tensor *const tensor = lstm__safetensors_get(archive->tensors, k);
        lstm__array *array = NULL;
        RETURN_IF_ERROR(append(archive, tensor->name, strlen(tensor->name), tensor->rank,
                               tensor->shape, tensor->count, &array));
        if (is_float_in_place(tensor->bytes, tensor->kind)) {
            array->data = (const float *)(const void *)tensor->bytes;
            kept = true;
            continue;
        }
        RETURN_IF_ERROR(allocate_data(archive, array));
        RETURN_IF_ERROR(lstm__tensor_floats(tensor, array->owned, array->count));
    }
    if (!kept) {
        lstm__safetensors_close(archive->tensors);
        archive->tensors = NULL;
    }
    return LSTM_OK;
}

/* The initializers of an ONNX model; its graph is not looked at. */
static lstm_status load_onnx(lstm_archive *archive, const lstm__file *file)
{
    lstm_status status = LSTM_OK;
    lstm__onnx_graph graph = {0};
    TRY(lstm__onnx_read(&graph, file));
    for (size_t k = 0; k < graph.tensor_count; k++) {
        const lstm__onnx_tensor *const tensor = &graph.tensors[k];
        lstm__array *array = NULL;
        TRY(append(archive, tensor->name, strlen(tensor->name), tensor->rank, tensor->shape,
                   tensor->elements.count, &array));
        TRY(allocate_data(archive, array));
        lstm__read_floats(&tensor->elements, array->owned);
    }
out:
    lstm__onnx_end(&graph);
    return status;
}

static lstm_status load_by_content(lstm_archive *archive, lstm__file *file)
{
    bool kept = false;
    lstm__cursor cursor = lstm__file_cursor(file);
    if (lstm__is_npy(file->bytes, file->size))
        RETURN_IF_ERROR(add_npy(archive, "array", strlen("array"), &cursor, true, &kept));
    else if (lstm__is_zip(file->bytes, file->size))
        RETURN_IF_ERROR(load_npz(archive, file, &kept));
    else if (lstm__is_safetensors(file->bytes, file->size))
        return load_safetensors(archive, file);
    else if (lstm__is_onnx(file->bytes, file->size))
        return load_onnx(archive, file);
    else
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: is no .npy, .npz or .safetensors file and no ONNX model, or its "
                          "beginning is damaged",
                          file->name);
    if (kept) {
        archive->file = *file;
        *file = (lstm__file){0};
    }
    return LSTM_OK;
}

lstm_status lstm__archive_load(lstm_archive **out, lstm_context *context, const char *path)
{
    lstm_status status = LSTM_OK;
    lstm__file file = {0};
    lstm_archive *archive = NULL;
    *out = NULL;
    TRY(lstm__archive_create(&archive, context));
    TRY(lstm__file_open(&file, archive->context, path));
    TRY(load_by_content(archive, &file));
    *out = archive;
    archive = NULL;
out:
    /* before the file, in which arrays may lie, and which is still open on failure */
    lstm__archive_destroy(archive);
    lstm__file_close(&file);
    return status;
}
