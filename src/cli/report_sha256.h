/* SPDX-License-Identifier: MIT
 *
 * SHA-256 of a file, so that a report says which data it is about (compare with `sha256sum`).
 */
#ifndef LSTM_CLI_REPORT_SHA256_H
#define LSTM_CLI_REPORT_SHA256_H

/* Write 64 hexadecimal digits and a NUL into text. Returns 0, or EXIT_FILE after printing the
 * error. */
int file_sha256(const char *path, char text[65]);

#endif
