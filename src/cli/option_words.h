/* SPDX-License-Identifier: MIT
 *
 * Words with settings, name:key=value,key=value, as JSON objects; for losses, optimizers and
 * schedules.
 */
#ifndef LSTM_CLI_OPTION_WORDS_H
#define LSTM_CLI_OPTION_WORDS_H

#include <jansson.h>
#include <stddef.h>

/* Turn a word into {"name": name, key: value, …}; `what` names the option for messages. A value is
 * true, false, null, a number, else text. Returns 0, or the exit code after printing the error;
 * *out is NULL then. */
int object_from_text(json_t **out, const char *text, const char *what);

/* Write a value as it is shown in messages, shortened. Returns text. */
const char *value_text(const json_t *value, char *text, size_t size);

/* Print that a key of a word takes something else. Returns EXIT_USE. */
int wrong_value(const char *what, const char *name, const char *key, const char *expected,
                const json_t *value);

/* Print that a word has no such key; `names` (NULL at the end) are those it has. Returns EXIT_USE.
 */
int unknown_word(const char *what, const char *name, const char *key, const char *const *names);

#endif
