/* SPDX-License-Identifier: MIT
 *
 * Tables of text; see text_table.h. A row without cells is a rule.
 */
#include "text_table.h"

#include "messages.h"

#include <langinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define GAP 2
#define NARROWEST 8

typedef struct row {
    char *cells[TEXT_TABLE_COLUMNS];
    int rule;
} row;

struct text_table {
    size_t columns;
    char alignment[TEXT_TABLE_COLUMNS + 1];
    row *rows;
    size_t count;
    int failed;
};

int text_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Columns of the character at *text, which is moved behind it. */
static int next_width(const char **text)
{
    wchar_t wide;
    mbstate_t state = {0};
    const size_t length = mbrtowc(&wide, *text, strlen(*text), &state);
    if (length == 0 || length == (size_t)-1 || length == (size_t)-2) {
        /* the rest of a UTF-8 character */
        const int inside = ((unsigned char)**text & 0xC0) == 0x80;
        (*text)++;
        return !inside;
    }
    *text += length;
    const int width = wcwidth(wide);
    return width < 0 ? 1 : width;
}

int text_width(const char *text)
{
    int width = 0;
    while (*text != '\0') {
        width += next_width(&text);
    }
    return width;
}

text_table *text_table_create(size_t columns, const char *alignment)
{
    text_table *table = columns <= TEXT_TABLE_COLUMNS ? calloc(1, sizeof *table) : NULL;
    if (table != NULL) {
        table->columns = columns;
        snprintf(table->alignment, sizeof table->alignment, "%s", alignment);
    }
    return table;
}

void text_table_destroy(text_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t r = 0; r < table->count; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            free(table->rows[r].cells[c]);
        }
    }
    free(table->rows);
    free(table);
}

static row *add_row(text_table *table)
{
    row *rows = table == NULL ? NULL : realloc(table->rows, (table->count + 1) * sizeof *rows);
    if (rows == NULL) {
        if (table != NULL) {
            table->failed = 1;
        }
        return NULL;
    }
    table->rows = rows;
    rows[table->count] = (row){0};
    return &rows[table->count++];
}

void text_table_row(text_table *table, ...)
{
    row *r = add_row(table);
    if (r == NULL) {
        return;
    }
    va_list list;
    va_start(list, table);
    for (size_t c = 0; c < table->columns; c++) {
        r->cells[c] = strdup(va_arg(list, const char *));
        table->failed |= r->cells[c] == NULL;
    }
    va_end(list);
}

void text_table_rule(text_table *table)
{
    row *r = add_row(table);
    if (r != NULL) {
        r->rule = 1;
    }
}

/* The width of each column; their sum with the gaps is returned. */
static int measure(const text_table *table, int widths[TEXT_TABLE_COLUMNS])
{
    int total = 0;
    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = 0;
        for (size_t r = 0; r < table->count; r++) {
            const int width = table->rows[r].rule ? 0 : text_width(table->rows[r].cells[c]);
            widths[c] = width > widths[c] ? width : widths[c];
        }
        total += widths[c] + (c == 0 ? 0 : GAP);
    }
    return total;
}

/* Take columns from the widest left-aligned cells until the table fits. */
static int squeeze(const text_table *table, int widths[TEXT_TABLE_COLUMNS], int total, int room)
{
    while (total > room) {
        size_t widest = table->columns;
        for (size_t c = 0; c < table->columns; c++) {
            if (table->alignment[c] == '<' && widths[c] > NARROWEST &&
                (widest == table->columns || widths[c] > widths[widest])) {
                widest = c;
            }
        }
        if (widest == table->columns) {
            return total;
        }
        widths[widest]--;
        total--;
    }
    return total;
}

static void print_cell(FILE *stream, const char *text, int width, int right, int last)
{
    const int own = text_width(text);
    if (own <= width) {
        fprintf(stream, "%*s%s", right ? width - own : 0, "", text);
        fprintf(stream, "%*s", right || last ? 0 : width - own, "");
        return;
    }
    int used = 0;
    while (*text != '\0') {
        const char *next = text;
        used += next_width(&next);
        if (used > width - 1) {
            break;
        }
        fwrite(text, 1, (size_t)(next - text), stream);
        text = next;
    }
    fputs(text_is_utf8() ? "…" : "~", stream);
}

int text_table_print(const text_table *table, FILE *stream)
{
    if (table == NULL || table->failed) {
        return message_error(EXIT_WORK, "out of memory");
    }
    int widths[TEXT_TABLE_COLUMNS];
    int total = measure(table, widths);
    const int columns = message_columns(stream);
    if (columns > 0) {
        total = squeeze(table, widths, total, columns);
    }
    for (size_t r = 0; r < table->count; r++) {
        const row *line = &table->rows[r];
        if (line->rule) {
            for (int i = 0; i < total; i++) {
                fputs(text_is_utf8() ? "─" : "-", stream);
            }
            fputc('\n', stream);
            continue;
        }
        fputs(r == 0 ? message_paint(stream, PAINT_BOLD) : "", stream);
        size_t last = table->columns;
        while (last > 1 && line->cells[last - 1][0] == '\0') {
            last--; /* no blanks at the end of a line */
        }
        for (size_t c = 0; c < last; c++) {
            fprintf(stream, "%*s", c == 0 ? 0 : GAP, "");
            print_cell(stream, line->cells[c], widths[c], table->alignment[c] == '>',
                       c + 1 == last);
        }
        fputs(r == 0 ? message_paint(stream, PAINT_NONE) : "", stream);
        fputc('\n', stream);
    }
    return EXIT_DONE;
}

const char *text_count(char *text, size_t size, double count)
{
    char digits[64];
    snprintf(digits, sizeof digits, "%.0f", count);
    const size_t length = strlen(digits);
    size_t used = 0;
    for (size_t i = 0; i < length && used + 2 < size; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static const char *scaled(char *text, size_t size, double value, double base,
                          const char *const *units)
{
    size_t unit = 0;
    while (fabs(value) >= base && units[unit + 1] != NULL) {
        value /= base;
        unit++;
    }
    snprintf(text, size, unit == 0 || fabs(value) >= 100 ? "%.0f%s" : "%.1f%s", value, units[unit]);
    return text;
}

const char *text_bytes(char *text, size_t size, double bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", NULL};
    return scaled(text, size, bytes, 1024, units);
}

const char *text_metric(char *text, size_t size, double value)
{
    static const char *const units[] = {"", " k", " M", " G", " T", NULL};
    return scaled(text, size, value, 1000, units);
}
