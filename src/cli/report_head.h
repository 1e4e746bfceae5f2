/* SPDX-License-Identifier: MIT
 *
 * Beginning and end of the pages of `lstm fit --report` and `lstm tune`: one style for both.
 */
#ifndef LSTM_CLI_REPORT_HEAD_H
#define LSTM_CLI_REPORT_HEAD_H

#include "report_page.h"

/* Write everything up to and with the heading. */
void report_begin(page *to, const char *title);
void report_end(page *to);

/* One row of a table of two columns. */
void report_row(page *to, const char *name, const char *value);

#endif
