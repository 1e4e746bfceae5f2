/* SPDX-License-Identifier: MIT
 * What a model file is, for people.
 */
#ifndef LSTM_CLI_FILE_KIND_H
#define LSTM_CLI_FILE_KIND_H

#include <stddef.h>

/* "archive of Keras", "state dict of PyTorch", … by the file's first bytes, as the library tells
 * them apart; *bytes is its size. An unreadable file: "file", 0. */
const char *file_kind(const char *path, double *bytes);

#endif
