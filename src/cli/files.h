/* SPDX-License-Identifier: MIT
 *
 * Whole files for the program's own texts (reports, descriptions, CSV): read into memory, or
 * written completely or not at all.
 */
#ifndef LSTM_CLI_FILES_H
#define LSTM_CLI_FILES_H

#include <stddef.h>

/* Read a file of at most `limit` bytes. *text ends in NUL beyond *length; free() it.
 * Returns 0, or the exit code (EXIT_FILE; EXIT_USE if it is larger) after printing the error. */
int file_read(const char *path, size_t limit, char **text, size_t *length);

/* Write a file under a temporary name beside `path`, and rename it when it is complete.
 * Returns 0, or EXIT_FILE after printing the error. */
int file_write(const char *path, const char *text, size_t length);

/* Check before long work that a file could be written at `path`: its folder exists and is writable,
 * and `path` itself is no folder. Returns 0, or EXIT_FILE after printing the error. */
int file_check_writable(const char *path);

/* 1 if the path ends in the suffix (".npy"), upper or lower case. */
int file_has_suffix(const char *path, const char *suffix);

#endif
