/* SPDX-License-Identifier: MIT
 *
 * A confusion matrix in a page: cells as dark as their part of the row, scores of each class.
 */
#ifndef LSTM_CLI_CONFUSION_PAGE_H
#define LSTM_CLI_CONFUSION_PAGE_H

#include "report_page.h"
#include <stdint.h>

/* Add the matrix [classes][classes], rows actual, columns predicted: cell by cell where it is narrow
 * enough to read, then precision, recall, F1 and the worst confusion of each class that is there. */
void confusion_add(page *to, const int64_t *matrix, size_t classes);

/* The style of it, for the page's style sheet. */
extern const char confusion_style[];

#endif
