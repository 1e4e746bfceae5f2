/* SPDX-License-Identifier: MIT
 *
 * The text of a page that is being written: a buffer that grows. Running out of memory is
 * remembered and told at the end (page_write), so that the hundreds of calls that add a line need
 * no check of their own.
 */
#ifndef LSTM_CLI_REPORT_PAGE_H
#define LSTM_CLI_REPORT_PAGE_H

#include "messages.h"
#include <stddef.h>

typedef struct page {
    char *text; /* ends in NUL once anything was added */
    size_t length;
    size_t capacity;
    int failed; /* no memory: nothing was added since */
} page;

/* Add text as it is. `format` makes markup; what comes from files or from the user goes through
 * page_add_escaped. */
void page_add(page *to, const char *format, ...) PRINTF_LIKE(2, 3);

/* Add text with & < > " ' as entities; control characters become blanks. NULL adds nothing. */
void page_add_escaped(page *to, const char *text);

/* Add a number for a person: `digits` significant digits, no exponent between 1e-4 and 1e7, a real
 * minus sign. */
void page_add_number(page *to, double value, int digits);

/* The same with a fixed number of decimals, for columns of numbers. */
void page_add_fixed(page *to, double value, int decimals);

/* Write the page to a file, all or nothing, and release it.
 * Returns 0, or the exit code after printing the error. */
int page_write(page *to, const char *path);
void page_release(page *to);

/* Write a number with `digits` significant digits into text (plain ASCII, for terminals and CSV)
 * and return it. */
const char *number_text(char *text, size_t size, double value, int digits);

#endif
