/* SPDX-License-Identifier: MIT
 *
 * Tables of text: columns as wide as their widest cell, numbers to the right, rules where the
 * terminal has them.
 *
 *     text_table *table = text_table_create(3, "<<>");       // left, left, right
 *     text_table_row(table, "Layer", "Shape", "Parameters");  // the first row is the heading
 *     text_table_row(table, ...);
 *     text_table_rule(table);
 *     code = text_table_print(table, stdout);
 *     text_table_destroy(table);
 *
 * On a terminal too narrow for the table, the widest left-aligned columns are cut and end in "…";
 * in files nothing is cut.
 */
#ifndef LSTM_CLI_TEXT_TABLE_H
#define LSTM_CLI_TEXT_TABLE_H

#include <stdio.h>

#define TEXT_TABLE_COLUMNS 12

typedef struct text_table text_table;

/* `alignment` has one of '<' and '>' a column. NULL where there is no memory. */
text_table *text_table_create(size_t columns, const char *alignment);
void text_table_destroy(text_table *table);

/* Add a row of as many texts as there are columns; they are copied. */
void text_table_row(text_table *table, ...);
void text_table_rule(text_table *table);

/* Print the table. Returns 0, or EXIT_WORK after printing that memory ran out on the way. */
int text_table_print(const text_table *table, FILE *stream);

/* Columns that a UTF-8 text takes on a terminal. */
int text_width(const char *text);

/* 1 if the program's locale shows UTF-8. */
int text_is_utf8(void);

/* "4,682"; "18.3 KiB"; "243.7 k" (metric prefix). Written into text, which is returned. */
const char *text_count(char *text, size_t size, double count);
const char *text_bytes(char *text, size_t size, double bytes);
const char *text_metric(char *text, size_t size, double value);

#endif
