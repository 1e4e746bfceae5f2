/* SPDX-License-Identifier: MIT
 * Status and error text of this thread, and the macros that carry a status outwards.
 *
 * A function that can fail returns lstm_status and has one label `out:` where it releases what it
 * holds. FAIL writes the text and jumps there; TRY passes another function's failure on. Both
 * expect a local `lstm_status status`.
 */
#ifndef LSTM_BASE_STATUS_H
#define LSTM_BASE_STATUS_H

#include <lstm/lstm.h>

#if defined(__GNUC__)
#define LSTM__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define LSTM__PRINTF(text, first)
#endif

/* Set this thread's error text and return `status`. */
lstm_status lstm__fail(lstm_status status, const char *format, ...) LSTM__PRINTF(2, 3);

/* Put "prefix: " before this thread's error text (a file's name, a layer's) and return `status`. */
lstm_status lstm__prefix_error(lstm_status status, const char *format, ...) LSTM__PRINTF(2, 3);

/* For functions with an `out:` label. */
#define FAIL(...)                         \
    do {                                  \
        status = lstm__fail(__VA_ARGS__); \
        goto out;                         \
    } while (0)
#define TRY(call)              \
    do {                       \
        status = (call);       \
        if (status != LSTM_OK) \
            goto out;          \
    } while (0)

/* For functions that hold nothing. */
#define RETURN_IF_ERROR(call)         \
    do {                              \
        lstm_status status_ = (call); \
        if (status_ != LSTM_OK)       \
            return status_;           \
    } while (0)

#endif
