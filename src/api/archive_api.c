/* SPDX-License-Identifier: MIT
 *
 * lstm_archive: argument checks; the work is done in src/io/archive.c and archive_save.c.
 */
#include "archive.h"
#include "checked.h"
#include "name_list.h"
#include "options.h"

#include <string.h>

lstm_status lstm_archive_create(lstm_archive **out, lstm_context *context)
{
    if (!out)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_create: out is NULL");
    return lstm__archive_create(out, context);
}

void lstm_archive_destroy(lstm_archive *archive)
{
    lstm__archive_destroy(archive);
}

lstm_status lstm_archive_load(lstm_archive **out, lstm_context *context, const char *path)
{
    if (!out)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_load: out is NULL");
    *out = NULL;
    if (!path || !*path)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_load: path is %s",
                          path ? "empty" : "NULL");
    return lstm__archive_load(out, context, path);
}

size_t lstm_archive_count(const lstm_archive *archive)
{
    return archive ? archive->count : 0;
}

static lstm_status describe(const lstm__array *array, lstm_array_info *info)
{
    lstm_array_info own = {
        .struct_size = sizeof own,
        .rank = array->rank,
        .count = array->count,
        .name = array->name,
        .data = array->data,
    };
    _Static_assert(sizeof own.shape == sizeof array->shape, "both have 8 dimensions");
    memcpy(own.shape, array->shape, sizeof own.shape);
    return lstm__write_info(info, &own, sizeof own, "lstm_array_info");
}

lstm_status lstm_archive_get(const lstm_archive *archive, size_t index, lstm_array_info *info)
{
    if (!archive || !info)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_get: %s is NULL",
                          archive ? "info" : "archive");
    if (index >= archive->count)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_archive_get: index is %zu, the archive has %zu arrays", index,
                          archive->count);
    return describe(&archive->arrays[index], info);
}

lstm_status lstm_archive_find(const lstm_archive *archive, const char *name, lstm_array_info *info)
{
    if (!archive || !name || !info)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_find: %s is NULL",
                          !archive ? "archive"
                          : !name  ? "name"
                                   : "info");
    const lstm__array *const array = lstm__archive_find(archive, name);
    if (array)
        return describe(array, info);
    lstm__name_list names;
    lstm__name_list_start(&names, name);
    for (size_t k = 0; k < archive->count; k++)
        lstm__name_list_add(&names, archive->arrays[k].name);
    return lstm__fail_not_found(&names, "the archive", "array");
}

lstm_status lstm_archive_add(lstm_archive *archive, const char *name, int32_t rank,
                             const int64_t *shape, const float *data, size_t count)
{
    if (!archive || !name)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_add: %s is NULL",
                          archive ? "name" : "archive");
    if (!lstm__is_name(name, strlen(name)))
        return lstm__fail(
            LSTM_ERROR_ARGUMENT,
            "lstm_archive_add: the name is empty, or not UTF-8 text without control characters");
    if (rank < 0 || rank > LSTM__MOST_DIMENSIONS)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_add: rank is %d; expected 0 to %d",
                          (int)rank, LSTM__MOST_DIMENSIONS);
    if ((rank > 0 && !shape) || (count > 0 && !data))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_add: %s is NULL",
                          rank > 0 && !shape ? "shape" : "data");
    size_t product = 0;
    size_t bytes = 0;
    if (!lstm__product(shape, (size_t)rank, &product) || !lstm__mul(product, sizeof *data, &bytes))
        return lstm__fail(LSTM_ERROR_SHAPE,
                          "lstm_archive_add: array \"%.200s\": a dimension is negative, or their "
                          "product overflows",
                          name);
    if (product != count)
        return lstm__fail(
            LSTM_ERROR_SHAPE,
            "lstm_archive_add: array \"%.200s\": count is %zu, the product of its shape is %zu",
            name, count, product);
    return lstm__archive_add(archive, name, rank, shape, data, count);
}

lstm_status lstm_archive_save(const lstm_archive *archive, const char *path)
{
    if (!archive || !path || !*path)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_archive_save: %s",
                          !archive ? "archive is NULL"
                          : !path  ? "path is NULL"
                                   : "path is empty");
    return lstm__archive_save(archive, path);
}
