/* SPDX-License-Identifier: MIT
 *
 * Reading the columns of a CSV file into arrays of double.
 *
 * Each kept column collects its values in a list of chunks, which grow with the rows seen (an
 * eighth of them, 64 to 65536), so that nothing is ever moved and little is allocated in vain. When
 * the file ends and the number of rows is known, the chunks of one column after another are copied
 * into one array and released: the peak is the kept values plus one column. Line numbers take
 * memory only where they jump (quoted line ends, skipped lines).
 *
 * A column's kind is that of its first value that is not missing. Until then missing values count
 * as NaN; what they mean depends on the kind found: text may be empty, a number may be missing if
 * the caller allows it, a date may not. A column without any value is one of numbers (all NaN)
 * where missing values are allowed, else of text.
 */
#include "csv_table.h"

#include "checked.h"
#include "csv_reader.h"
#include "csv_value.h"
#include "name_list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 65536, LEAST_CHUNK = 64, MOST_CHUNK = 65536 };

struct lstm__chunk {
    lstm__chunk *next;
    size_t used;
    size_t capacity;
    double values[];
};

/* One load under way. */
typedef struct load {
    lstm_table *table;
    lstm__csv *csv;
    const char *path;
    const lstm_table_options *options;
    bool allow_missing;
    bool has_header;
    locale_t c_locale;
    size_t blank_line; /* the first of the blank lines just passed, 0 if there are none */
    size_t blank_count;
} load;

static void release_chunks(const lstm_table *table, lstm__column *column)
{
    while (column->first) {
        lstm__chunk *const next = column->first->next;
        lstm__release(table->context, column->first);
        column->first = next;
    }
    column->last = NULL;
}

void lstm__table_destroy(lstm_table *table)
{
    if (!table)
        return;
    lstm_context *const context = table->context;
    for (size_t k = 0; k < table->column_count; k++) {
        release_chunks(table, &table->columns[k]);
        lstm__release(context, table->columns[k].name);
        lstm__release(context, table->columns[k].values);
    }
    lstm__release(context, table->columns);
    lstm__release(context, table->marks);
    lstm__release(context, table->path);
    lstm__release(context, table);
    lstm__context_release(context);
}

lstm_status lstm__table_fail_column(const lstm_table *table, const char *name)
{
    lstm__name_list names;
    lstm__name_list_start(&names, name);
    for (size_t k = 0; k < table->column_count; k++)
        lstm__name_list_add(&names, table->columns[k].name);
    return lstm__fail_not_found(&names, table->path, "column");
}

/* ---- Values ---- */

static lstm_status push(const lstm_table *table, lstm__column *column, double value)
{
    if (!column->last || column->last->used == column->last->capacity) {
        size_t capacity = table->rows / 8;
        capacity = capacity < LEAST_CHUNK  ? LEAST_CHUNK
                   : capacity > MOST_CHUNK ? MOST_CHUNK
                                           : capacity;
        lstm__chunk *const chunk = lstm__allocate(
            table->context, sizeof *chunk + capacity * sizeof chunk->values[0]);
        if (!chunk)
            return lstm__fail(LSTM_ERROR_MEMORY, "%s: no memory for row %zu of column \"%.100s\"",
                              table->path, table->rows + 1, column->name);
        chunk->next = NULL;
        chunk->used = 0;
        chunk->capacity = capacity;
        if (column->last)
            column->last->next = chunk;
        else
            column->first = chunk;
        column->last = chunk;
    }
    column->last->values[column->last->used++] = value;
    return LSTM_OK;
}

/* Fail with the place of a field, its text and what is wrong with it. */
static lstm_status fail_field(const load *l, const lstm__column *column, const lstm__field *field,
                              const char *what)
{
    char name[LSTM__EXCERPT];
    char text[LSTM__EXCERPT];
    return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu, column \"%s\": \"%s\" %s", l->path,
                      field->line, lstm__excerpt(name, column->name, strlen(column->name)),
                      lstm__excerpt(text, field->text, field->length), what);
}

static lstm_status fail_missing(const load *l, const lstm__column *column, size_t line)
{
    char name[LSTM__EXCERPT];
    return lstm__fail(LSTM_ERROR_FORMAT,
                      "%s: line %zu, column \"%s\": the value is missing (empty, NA or NaN)",
                      l->path, line, lstm__excerpt(name, column->name, strlen(column->name)));
}

static lstm_status take_missing(const load *l, lstm__column *column, const lstm__field *field)
{
    if (column->kind == LSTM_COLUMN_TEXT)
        return LSTM_OK;
    if (column->missing == 0)
        column->missing = field->line;
    if (column->kept && (column->kind == LSTM_COLUMN_DATE ||
                         (column->kind == LSTM_COLUMN_NUMBER && !l->allow_missing)))
        return fail_missing(l, column, field->line);
    return column->kept ? push(l->table, column, (double)NAN) : LSTM_OK;
}

/* Decide a column's kind by its first value, and read that. */
static lstm_status take_first(const load *l, lstm__column *column, const lstm__field *field,
                              double *value)
{
    const int32_t number = lstm__read_number(field->text, field->length, l->c_locale, value);
    const int32_t date = number == LSTM__VALUE_OTHER
                             ? lstm__read_date(field->text, field->length, value)
                             : 0;
    if (number != LSTM__VALUE_OTHER)
        column->kind = LSTM_COLUMN_NUMBER;
    else
        column->kind = date == LSTM__VALUE_GOOD ? LSTM_COLUMN_DATE : LSTM_COLUMN_TEXT;
    if (!column->kept)
        return LSTM_OK;
    if (number == LSTM__VALUE_INFINITE)
        return fail_field(l, column, field, "is infinite or too large for a double");
    if (date == LSTM__VALUE_IMPOSSIBLE && field->length >= strlen("YYYY-MM-DD"))
        return fail_field(l, column, field, "is a date that does not exist");
    if (column->kind == LSTM_COLUMN_TEXT) {
        release_chunks(l->table, column);
        column->kept = false;
    } else if (column->missing > 0 && (column->kind == LSTM_COLUMN_DATE || !l->allow_missing)) {
        return fail_missing(l, column, column->missing);
    }
    return LSTM_OK;
}

static lstm_status take_later(const load *l, const lstm__column *column, const lstm__field *field,
                              double *value)
{
    if (column->kind == LSTM_COLUMN_NUMBER) {
        const int32_t answer = lstm__read_number(field->text, field->length, l->c_locale, value);
        if (answer == LSTM__VALUE_OTHER)
            return fail_field(l, column, field, "is not a number");
        if (answer == LSTM__VALUE_INFINITE)
            return fail_field(l, column, field, "is infinite or too large for a double");
        return LSTM_OK;
    }
    const int32_t answer = lstm__read_date(field->text, field->length, value);
    if (answer == LSTM__VALUE_OTHER)
        return fail_field(l, column, field,
                          "is not a date; expected YYYY-MM-DD or YYYY-MM-DD HH:MM:SS");
    if (answer == LSTM__VALUE_IMPOSSIBLE)
        return fail_field(l, column, field, "is a date that does not exist");
    return LSTM_OK;
}

/* Blanks around an unquoted field do not belong to it. */
static void trim(lstm__field *field)
{
    if (field->quoted)
        return;
    while (field->length > 0 && (field->text[0] == ' ' || field->text[0] == '\t')) {
        field->text++;
        field->length--;
    }
    while (field->length > 0 &&
           (field->text[field->length - 1] == ' ' || field->text[field->length - 1] == '\t'))
        field->text[--field->length] = 0;
}

static lstm_status take_field(const load *l, lstm__column *column, lstm__field *field)
{
    if (column->kind != 0 && !column->kept)
        return LSTM_OK;
    trim(field);
    if (lstm__is_missing(field->text, field->length))
        return take_missing(l, column, field);
    double value = 0;
    if (column->kind == 0)
        RETURN_IF_ERROR(take_first(l, column, field, &value));
    else
        RETURN_IF_ERROR(take_later(l, column, field, &value));
    return column->kept ? push(l->table, column, value) : LSTM_OK;
}

/* ---- Rows ---- */

/* Remember that the next row begins in `line`. */
static lstm_status mark_line(lstm_table *table, size_t line)
{
    if (table->mark_count > 0) {
        const lstm__line_mark *const last = &table->marks[table->mark_count - 1];
        if (last->line + (table->rows - last->row) == line)
            return LSTM_OK;
    }
    void *memory = table->marks;
    RETURN_IF_ERROR(lstm__grow(table->context, &memory, &table->mark_capacity,
                               table->mark_count + 1, sizeof(lstm__line_mark)));
    table->marks = memory;
    table->marks[table->mark_count++] = (lstm__line_mark){.row = table->rows, .line = line};
    return LSTM_OK;
}

static lstm_status fail_ragged(const load *l, const lstm__field *first, size_t found)
{
    return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu has %zu field%s, the %s has %zu", l->path,
                      first->line, found, found == 1 ? "" : "s",
                      l->has_header ? "header" : "first line", l->table->column_count);
}

/* Blank lines are ignored at the end of the file. Elsewhere they are rows of one empty field. */
static lstm_status take_blank_lines(load *l)
{
    const size_t first = l->blank_line;
    const size_t count = l->blank_count;
    l->blank_line = 0;
    l->blank_count = 0;
    if (count == 0)
        return LSTM_OK;
    if (l->table->column_count != 1)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu is blank, the %s has %zu fields",
                          l->path, first, l->has_header ? "header" : "first line",
                          l->table->column_count);
    for (size_t k = 0; k < count; k++) {
        char nothing[1] = "";
        lstm__field field = {.text = nothing, .line = first + k};
        RETURN_IF_ERROR(mark_line(l->table, field.line));
        RETURN_IF_ERROR(take_field(l, &l->table->columns[0], &field));
        l->table->rows++;
    }
    return LSTM_OK;
}

/* Read the rest of a row whose first field is there. */
static lstm_status take_row(load *l, lstm__field *field)
{
    lstm_table *const table = l->table;
    const lstm__field first = *field;
    bool ended = false;
    RETURN_IF_ERROR(mark_line(table, first.line));
    size_t found = 0;
    for (;; found++) {
        if (found < table->column_count)
            RETURN_IF_ERROR(take_field(l, &table->columns[found], field));
        if (field->last)
            break;
        RETURN_IF_ERROR(lstm__csv_next(l->csv, field, &ended));
    }
    if (++found != table->column_count)
        return fail_ragged(l, &first, found);
    table->rows++;
    return LSTM_OK;
}

static lstm_status read_rows(load *l)
{
    lstm__field field;
    bool ended = false;
    for (;;) {
        RETURN_IF_ERROR(lstm__csv_next(l->csv, &field, &ended));
        if (ended)
            return LSTM_OK;
        if (field.last && field.length == 0 && !field.quoted) {
            if (l->blank_count++ == 0)
                l->blank_line = field.line;
            continue;
        }
        RETURN_IF_ERROR(take_blank_lines(l));
        RETURN_IF_ERROR(take_row(l, &field));
    }
}

/* ---- The first line ---- */

static bool is_wanted(const lstm_table_options *options, const char *name)
{
    for (size_t k = 0; k < options->column_count; k++)
        if (strcmp(options->columns[k], name) == 0)
            return true;
    return options->column_count == 0;
}

static lstm_status add_column(load *l, const char *name)
{
    lstm_table *const table = l->table;
    if (table->column_count == MOST_COLUMNS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: line 1 has more than %d columns", l->path,
                          MOST_COLUMNS);
    void *memory = table->columns;
    RETURN_IF_ERROR(lstm__grow(table->context, &memory, &table->column_capacity,
                               table->column_count + 1, sizeof(lstm__column)));
    table->columns = memory;
    char *const copy = lstm__copy_text(table->context, name);
    if (!copy)
        return lstm__fail_memory(strlen(name) + 1, "the name of a column");
    table->columns[table->column_count++] = (lstm__column){.name = copy,
                                                           .kept = is_wanted(l->options, name)};
    return LSTM_OK;
}

static int compare_columns(const void *a, const void *b)
{
    const lstm__column *const x = *(const lstm__column *const *)a;
    const lstm__column *const y = *(const lstm__column *const *)b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x > y) - (x < y);
}

static lstm_status check_names(const lstm_table *table)
{
    lstm_status status = LSTM_OK;
    const lstm__column **const order = lstm__allocate_array(table->context, table->column_count,
                                                            sizeof *order);
    if (!order)
        return lstm__fail_memory(table->column_count * sizeof *order,
                                 "the order of a table's columns");
    for (size_t k = 0; k < table->column_count; k++)
        order[k] = &table->columns[k];
    qsort(order, table->column_count, sizeof *order, compare_columns);
    for (size_t k = 1; k < table->column_count; k++)
        if (strcmp(order[k - 1]->name, order[k]->name) == 0) {
            char name[LSTM__EXCERPT];
            FAIL(LSTM_ERROR_FORMAT, "%s: line 1: the columns %td and %td are both called \"%s\"",
                 table->path, order[k - 1] - table->columns + 1, order[k] - table->columns + 1,
                 lstm__excerpt(name, order[k]->name, strlen(order[k]->name)));
        }
out:
    lstm__release(table->context, order);
    return status;
}

static lstm_status check_wanted(const load *l)
{
    for (size_t k = 0; k < l->options->column_count; k++) {
        size_t found = 0;
        while (found < l->table->column_count &&
               strcmp(l->table->columns[found].name, l->options->columns[k]) != 0)
            found++;
        if (found == l->table->column_count)
            return lstm__table_fail_column(l->table, l->options->columns[k]);
    }
    return LSTM_OK;
}

/* Read the first line: the names, or with no_header the first row. */
static lstm_status read_first_line(load *l)
{
    lstm_table *const table = l->table;
    lstm__field field;
    bool ended = false;
    bool any_text = false;
    RETURN_IF_ERROR(lstm__csv_next(l->csv, &field, &ended));
    if (field.last && field.length == 0 && !field.quoted)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: line 1 is blank; expected %s", l->path,
                          l->has_header ? "the names of the columns" : "values");
    if (!l->has_header)
        RETURN_IF_ERROR(mark_line(table, field.line));
    for (;;) {
        double unused = 0;
        trim(&field);
        if (l->has_header) {
            RETURN_IF_ERROR(add_column(l, field.text));
            any_text = any_text ||
                       (lstm__read_number(field.text, field.length, l->c_locale, &unused) ==
                            LSTM__VALUE_OTHER &&
                        lstm__read_date(field.text, field.length, &unused) == LSTM__VALUE_OTHER);
        } else {
            char name[24];
            snprintf(name, sizeof name, "%zu", table->column_count);
            RETURN_IF_ERROR(add_column(l, name));
            RETURN_IF_ERROR(take_field(l, &table->columns[table->column_count - 1], &field));
        }
        if (field.last)
            break;
        RETURN_IF_ERROR(lstm__csv_next(l->csv, &field, &ended));
    }
    if (l->has_header && !any_text)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: line 1 holds only numbers or dates; expected a header line with the "
                          "names of the columns",
                          l->path);
    table->rows = l->has_header ? 0 : 1;
    RETURN_IF_ERROR(check_names(table));
    return check_wanted(l);
}

/* ---- The table ---- */

/* Bring each column's values into one array. */
static lstm_status gather(const load *l)
{
    lstm_table *const table = l->table;
    for (size_t k = 0; k < table->column_count; k++) {
        lstm__column *const column = &table->columns[k];
        if (column->kind == 0)
            column->kind = l->allow_missing ? LSTM_COLUMN_NUMBER : LSTM_COLUMN_TEXT;
        if (column->kind == LSTM_COLUMN_TEXT)
            column->kept = false;
        if (column->kept) {
            column->values = lstm__allocate_array(table->context, table->rows,
                                                  sizeof *column->values);
            if (!column->values)
                return lstm__fail(LSTM_ERROR_MEMORY,
                                  "%s: no memory for the %zu values of column \"%.100s\"", l->path,
                                  table->rows, column->name);
            size_t done = 0;
            for (const lstm__chunk *chunk = column->first; chunk;
                 done += chunk->used, chunk = chunk->next)
                memcpy(column->values + done, chunk->values, chunk->used * sizeof *column->values);
        }
        release_chunks(table, column);
    }
    return LSTM_OK;
}

lstm_status lstm__table_load(lstm_table **out, lstm_context *context, const char *path,
                             const lstm_table_options *options)
{
    lstm_status status = LSTM_OK;
    *out = NULL;
    lstm_context *const held = lstm__context_acquire(context);
    lstm_table *table = lstm__allocate_zeroed(held, sizeof *table);
    if (!table) {
        lstm__context_release(held);
        return lstm__fail_memory(sizeof *table, "a table");
    }
    table->context = held;
    load l = {.table = table,
              .path = path,
              .options = options,
              .allow_missing = options->allow_missing == LSTM_YES,
              .has_header = options->no_header != LSTM_YES};
    table->path = lstm__copy_text(held, path);
    if (!table->path)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for the file's name", path);
    l.c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (l.c_locale == (locale_t)0)
        FAIL(LSTM_ERROR_MEMORY, "%s: no memory for a locale", path);
    TRY(lstm__csv_open(&l.csv, held, path));
    TRY(read_first_line(&l));
    TRY(read_rows(&l));
    if (table->rows == 0)
        FAIL(LSTM_ERROR_FORMAT, "%s: has a header line but no rows", path);
    lstm__csv_close(l.csv); /* its buffer is not needed while columns are gathered */
    l.csv = NULL;
    TRY(gather(&l));
    *out = table;
    table = NULL;
out:
    lstm__csv_close(l.csv);
    if (l.c_locale != (locale_t)0)
        freelocale(l.c_locale);
    lstm__table_destroy(table);
    return status;
}
