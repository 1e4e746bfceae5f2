/* SPDX-License-Identifier: MIT
 * Checks of statuses: a call that gives another status than expected fails the test with both names
 * and the error text.
 */
#ifndef LSTM_TESTS_API_CHECKS_H
#define LSTM_TESTS_API_CHECKS_H

#include "closeness.h"

#include <lstm/lstm.h>
#include <stdbool.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* A struct of options with its size set: OPTIONS(lstm_dense, .units = 3). */
#define OPTIONS(object, ...) \
    (&(object##_options){.struct_size = sizeof(object##_options), __VA_ARGS__})

/* `text`: what the error text must contain, NULL = any text. */
static inline void check_status_(lstm_status found, lstm_status expected, const char *text,
                                 const char *call, const char *file, int line)
{
    const char *message = found == LSTM_OK ? "" : lstm_last_error();
    if (found != expected) {
        print_error("%s:%d: %s\n    gave %s (%s), expected %s\n", file, line, call,
                    lstm_status_name(found), message, lstm_status_name(expected));
        _fail(file, line);
    }
    if (found != LSTM_OK && message[0] == 0) {
        print_error("%s:%d: %s gave %s without a text\n", file, line, call,
                    lstm_status_name(found));
        _fail(file, line);
    }
    if (found != LSTM_OK && text && !strstr(message, text)) {
        print_error("%s:%d: %s\n    said \"%s\", expected it to contain \"%s\"\n", file, line, call,
                    message, text);
        _fail(file, line);
    }
}
#define assert_ok(call) check_status_((call), LSTM_OK, NULL, #call, __FILE__, __LINE__)
#define assert_status(call, status) check_status_((call), (status), NULL, #call, __FILE__, __LINE__)
#define assert_status_text(call, status, text) \
    check_status_((call), (status), (text), #call, __FILE__, __LINE__)

#define assert_text_contains(found, part)                                              \
    do {                                                                               \
        const char *found_text_ = (found);                                             \
        if (!found_text_ || !strstr(found_text_, (part))) {                            \
            print_error("%s:%d: \"%s\" does not contain \"%s\"\n", __FILE__, __LINE__, \
                        found_text_ ? found_text_ : "(null)", (part));                 \
            _fail(__FILE__, __LINE__);                                                 \
        }                                                                              \
    } while (0)

#endif
