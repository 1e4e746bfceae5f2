/* SPDX-License-Identifier: MIT
 *
 * lstm_table: argument checks and access; reading is in src/io/csv_table.c.
 */
#include "csv_table.h"
#include "options.h"

#include <string.h>

static lstm_status check_options(lstm_table_options *o)
{
    RETURN_IF_ERROR(lstm__read_flag(&o->no_header, LSTM_NO, "lstm_table_options: no_header"));
    RETURN_IF_ERROR(
        lstm__read_flag(&o->allow_missing, LSTM_NO, "lstm_table_options: allow_missing"));
    if (o->reserved != 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_table_options: reserved is %d; expected 0",
                          (int)o->reserved);
    if (o->column_count > 0 && !o->columns)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_table_options: columns is NULL, column_count is %zu",
                          o->column_count);
    for (size_t k = 0; k < o->column_count; k++)
        if (!o->columns[k])
            return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_table_options: columns[%zu] is NULL", k);
    return LSTM_OK;
}

lstm_status lstm_table_load_csv(lstm_table **out, lstm_context *context, const char *path,
                                const lstm_table_options *options)
{
    if (!out)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_table_load_csv: out is NULL");
    *out = NULL;
    if (!path || !*path)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_table_load_csv: path is %s",
                          path ? "empty" : "NULL");
    lstm_table_options o;
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_table_options"));
    RETURN_IF_ERROR(check_options(&o));
    return lstm__table_load(out, context, path, &o);
}

void lstm_table_destroy(lstm_table *table)
{
    lstm__table_destroy(table);
}

size_t lstm_table_rows(const lstm_table *table)
{
    return table ? table->rows : 0;
}

size_t lstm_table_columns(const lstm_table *table)
{
    return table ? table->column_count : 0;
}

/* NULL outside. */
static const lstm__column *column_of(const lstm_table *table, size_t column)
{
    return table && column < table->column_count ? &table->columns[column] : NULL;
}

const char *lstm_table_column_name(const lstm_table *table, size_t column)
{
    const lstm__column *const found = column_of(table, column);
    return found ? found->name : NULL;
}

int32_t lstm_table_column_kind(const lstm_table *table, size_t column)
{
    const lstm__column *const found = column_of(table, column);
    return found ? found->kind : 0;
}

const double *lstm_table_column_values(const lstm_table *table, size_t column)
{
    const lstm__column *const found = column_of(table, column);
    return found ? found->values : NULL;
}

size_t lstm_table_line(const lstm_table *table, size_t row)
{
    if (!table || row >= table->rows)
        return 0;
    size_t low = 0; /* marks[low].row <= row < marks[high].row */
    size_t high = table->mark_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (table->marks[middle].row <= row)
            low = middle;
        else
            high = middle;
    }
    return table->marks[low].line + (row - table->marks[low].row);
}

lstm_status lstm_table_find_column(const lstm_table *table, const char *name, size_t *column)
{
    if (!table || !name || !column)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_table_find_column: %s is NULL",
                          !table  ? "table"
                          : !name ? "name"
                                  : "column");
    for (size_t k = 0; k < table->column_count; k++)
        if (strcmp(table->columns[k].name, name) == 0) {
            *column = k;
            return LSTM_OK;
        }
    return lstm__table_fail_column(table, name);
}
