/* SPDX-License-Identifier: MIT
 *
 * Arrays that travel in files; see arrays.h.
 *
 * Numbers always belong to an lstm_archive: the one that was loaded, or for CSV one that the
 * table's columns are copied into, row by row. CSV is written with 9 significant digits, which give
 * back the same float.
 */
#include "arrays.h"

#include "files.h"
#include "messages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *shape_text(char *text, size_t size, int32_t rank, const int64_t *shape)
{
    size_t used = (size_t)snprintf(text, size, "(");
    for (int32_t i = 0; i < rank && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i == 0 ? "" : ", ",
                                 (long long)shape[i]);
    }
    if (used < size) {
        snprintf(text + used, size - used, rank == 1 ? ",)" : ")");
    }
    return text;
}

static int is_csv(const char *path)
{
    return file_has_suffix(path, ".csv") || file_has_suffix(path, ".tsv") ||
           file_has_suffix(path, ".txt");
}

/* ---- CSV in */

/* 1 if a field is a number, perhaps in quotes, infinite or too large, or a missing one: empty, NA,
 * NaN. The text is changed. */
static int is_number_field(char *field)
{
    field += strspn(field, " \"");
    size_t length = strlen(field);
    while (length > 0 && strchr(" \"", field[length - 1]) != NULL) {
        field[--length] = '\0';
    }
    char *end = NULL;
    (void)strtod(field, &end);
    return length == 0 || *end == '\0' || strcasecmp(field, "na") == 0;
}

/* 1 if every field of the file's first line is a number or missing: the file has no header. A line of
 * numbers and text is one, too, but that is said, as it may be a row with a mistake. */
static int first_line_is_data(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return 0; /* lstm_table_load_csv says why */
    }
    char *line = NULL;
    size_t capacity = 0;
    size_t fields = 0;
    size_t numbers = 0; /* fields that are not empty */
    const char *text_field = NULL;
    if (getline(&line, &capacity, file) > 0) {
        char *text = strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
        text[strcspn(text, "\r\n")] = '\0';
        const char *separator = strchr(text, ';') != NULL ? ";" : ",";
        separator = strchr(text, '\t') != NULL ? "\t" : separator;
        text = text[0] != '\0' ? text : NULL;
        while (text != NULL) {
            char *field = strsep(&text, separator);
            if (is_number_field(field)) {
                fields++;
                numbers += field[strspn(field, " \"")] != '\0';
            } else if (text_field == NULL) {
                text_field = field;
            }
        }
    }
    if (numbers > 0 && text_field != NULL) {
        message_warning("%s: line 1 is taken for a header: \"%.40s\" is no number", path,
                        text_field);
    }
    const int data = fields > 0 && text_field == NULL;
    free(line);
    fclose(file);
    return data;
}

static int copy_table(lstm_archive *archive, const lstm_table *table, const char *path)
{
    const size_t rows = lstm_table_rows(table);
    const size_t columns = lstm_table_columns(table);
    for (size_t c = 0; c < columns; c++) {
        if (lstm_table_column_kind(table, c) != LSTM_COLUMN_NUMBER) {
            return message_error(
                EXIT_USE,
                "%s: column \"%s\" holds %s; an array needs numbers, as 1.5, between "
                "commas, semicolons or tabs",
                path, lstm_table_column_name(table, c),
                lstm_table_column_kind(table, c) == LSTM_COLUMN_DATE ? "dates" : "text");
        }
    }
    float *values = calloc(rows == 0 || columns == 0 ? 1 : rows,
                           (columns == 0 ? 1 : columns) * sizeof *values);
    if (values == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    for (size_t c = 0; c < columns; c++) {
        const double *column = lstm_table_column_values(table, c);
        for (size_t r = 0; r < rows; r++) {
            values[r * columns + c] = (float)column[r];
        }
    }
    const int64_t shape[2] = {(int64_t)rows, (int64_t)columns};
    const lstm_status status = lstm_archive_add(archive, "array", 2, shape, values, rows * columns);
    free(values);
    return status == LSTM_OK ? EXIT_DONE : message_status(status, path);
}

static int load_csv(lstm_archive **out, lstm_context *context, const char *path)
{
    lstm_table *table = NULL;
    int code = EXIT_DONE;
    *out = NULL;
    const lstm_table_options options = {.struct_size = sizeof options,
                                        .no_header = first_line_is_data(path) ? LSTM_YES : LSTM_NO};
    CHECK(lstm_table_load_csv(&table, context, path, &options), path);
    CHECK(lstm_archive_create(out, context), path);
    NEED(copy_table(*out, table, path));
out:
    lstm_table_destroy(table);
    if (code != EXIT_DONE) {
        lstm_archive_destroy(*out);
        *out = NULL;
    }
    return code;
}

/* ---- Lists */

static int append(array_list *list, const lstm_array_info *info, const char *path, int named,
                  int from_csv)
{
    array *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    list->items = items;
    array *item = &items[list->count++];
    *item = (array){
        .rank = info->rank, .count = info->count, .data = info->data, .from_csv = from_csv};
    memcpy(item->shape, info->shape, sizeof item->shape);
    if (named) {
        snprintf(item->label, sizeof item->label, "%s: %s", path, info->name);
    } else {
        snprintf(item->label, sizeof item->label, "%s", path);
    }
    return EXIT_DONE;
}

static int no_such_array(const lstm_archive *archive, const char *path, const char *name)
{
    char names[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < lstm_archive_count(archive) && used < sizeof names; i++) {
        lstm_array_info info = {.struct_size = sizeof info};
        if (lstm_archive_get(archive, i, &info) == LSTM_OK) {
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                     info.name);
        }
    }
    if (used == 0) {
        return message_error(EXIT_USE, "%s: holds no array", path);
    }
    return message_error(EXIT_USE,
                         "%s: holds several arrays (%s), but none called \"%s\" or \"%s0\"", path,
                         names, name, name);
}

/* Take the arrays of one file: its only one, or NAME, NAME0, NAME1, … */
static int take_arrays(array_list *list, const lstm_archive *archive, const char *path,
                       const char *name, int from_csv)
{
    lstm_array_info info = {.struct_size = sizeof info};
    if (lstm_archive_count(archive) == 1) {
        const lstm_status status = lstm_archive_get(archive, 0, &info);
        return status == LSTM_OK ? append(list, &info, path, 0, from_csv)
                                 : message_status(status, path);
    }
    if (lstm_archive_find(archive, name, &info) == LSTM_OK) {
        return append(list, &info, path, 1, 0);
    }
    for (size_t i = 0;; i++) {
        char numbered[64];
        snprintf(numbered, sizeof numbered, "%s%zu", name, i);
        info = (lstm_array_info){.struct_size = sizeof info};
        if (lstm_archive_find(archive, numbered, &info) != LSTM_OK) {
            return i > 0 ? EXIT_DONE : no_such_array(archive, path, name);
        }
        const int code = append(list, &info, path, 1, 0);
        if (code != EXIT_DONE) {
            return code;
        }
    }
}

static int add_file(array_list *list, lstm_context *context, const char *path, const char *name)
{
    lstm_archive **archives = realloc(list->archives, (list->archive_count + 1) * sizeof *archives);
    if (archives == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    list->archives = archives;
    lstm_archive *archive = NULL;
    int code = EXIT_DONE;
    if (is_csv(path)) {
        code = load_csv(&archive, context, path);
    } else {
        const lstm_status status = lstm_archive_load(&archive, context, path);
        code = status == LSTM_OK ? EXIT_DONE : message_status(status, path);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    list->archives[list->archive_count++] = archive;
    return take_arrays(list, archive, path, name, is_csv(path));
}

int arrays_load_file(array_list *out, lstm_context *context, const char *path, const char *name)
{
    *out = (array_list){0};
    const int code = add_file(out, context, path, name);
    if (code != EXIT_DONE) {
        arrays_release(out);
    }
    return code;
}

int arrays_load(array_list *out, lstm_context *context, const arguments *line, const char *option)
{
    *out = (array_list){0};
    const char *dash = strrchr(option, '-');
    const char *name = dash == NULL ? option : dash + 1;
    for (size_t i = 0; i < arguments_given(line, option); i++) {
        const char *path = arguments_item(line, option, i);
        const int code = add_file(out, context, path, name);
        if (code != EXIT_DONE) {
            arrays_release(out);
            return code;
        }
    }
    return EXIT_DONE;
}

void arrays_release(array_list *list)
{
    for (size_t i = 0; i < list->archive_count; i++) {
        lstm_archive_destroy(list->archives[i]);
    }
    free(list->archives);
    free(list->items);
    *list = (array_list){0};
}

/* ---- Out */

int arrays_check_output(const char *path, size_t array_count)
{
    const int npy = file_has_suffix(path, ".npy");
    const int csv = file_has_suffix(path, ".csv");
    if (!npy && !csv && !file_has_suffix(path, ".npz") && !file_has_suffix(path, ".safetensors")) {
        return message_error(EXIT_USE, "%s: arrays are written as .npy, .npz, .safetensors or .csv",
                             path);
    }
    if ((npy || csv) && array_count > 1) {
        return message_error(EXIT_USE, "%s: holds one array, there are %zu to write: use .npz",
                             path, array_count);
    }
    return file_check_writable(path);
}

/* A matrix: the first dimension counts rows, all others lie in a row. */
static int write_csv(const char *path, const output_array *a)
{
    const size_t rows = a->rank > 0 ? (size_t)a->shape[0] : 1;
    const size_t columns = rows > 0 ? a->count / rows : 0;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL) {
        return message_error(EXIT_WORK, "%s: out of memory", path);
    }
    for (size_t c = 0; c < columns; c++) {
        fprintf(stream, "%s%s_%zu", c == 0 ? "" : ",", a->name, c);
    }
    fputs(columns > 0 ? "\n" : "", stream);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            fprintf(stream, "%s%.9g", c == 0 ? "" : ",", (double)a->data[r * columns + c]);
        }
        fputc('\n', stream);
    }
    const int code = fclose(stream) == 0 ? file_write(path, text, length)
                                         : message_error(EXIT_WORK, "%s: out of memory", path);
    free(text);
    return code;
}

int arrays_write(lstm_context *context, const char *path, const output_array *arrays, size_t count)
{
    if (file_has_suffix(path, ".csv") && count == 1) {
        return write_csv(path, arrays);
    }
    lstm_archive *archive = NULL;
    int code = EXIT_DONE;
    CHECK(lstm_archive_create(&archive, context), path);
    for (size_t i = 0; i < count; i++) {
        const output_array *a = &arrays[i];
        CHECK(lstm_archive_add(archive, a->name, a->rank, a->shape, a->data, a->count), path);
    }
    CHECK(lstm_archive_save(archive, path), path);
out:
    lstm_archive_destroy(archive);
    return code;
}
