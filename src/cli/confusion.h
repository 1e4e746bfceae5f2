/* SPDX-License-Identifier: MIT
 *
 * A confusion matrix for people: counts with the diagonal marked, and a line of scores a class.
 */
#ifndef LSTM_CLI_CONFUSION_H
#define LSTM_CLI_CONFUSION_H

#include <stdint.h>
#include <stdio.h>

/* Print the matrix [classes][classes], rows actual, columns predicted, if it is narrow enough to
 * read, and precision, recall, F1 and the worst confusion of each class. Returns 0, or EXIT_WORK
 * after printing that there is no memory. */
int confusion_print(const int64_t *matrix, size_t classes, FILE *stream);

/* Write it as a JSON array of arrays. */
void confusion_print_json(const int64_t *matrix, size_t classes, FILE *stream);

#endif
