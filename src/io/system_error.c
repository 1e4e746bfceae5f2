/* SPDX-License-Identifier: MIT
 *
 * The system's reason for a failure, as text.
 *
 * strerror may share one buffer between threads, and strerror_r comes in two kinds: POSIX' returns
 * an int and fills the buffer, GNU's returns the text. _Generic picks by the returned type, so that
 * no build-time test is needed.
 */
#include "system_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REASON_SIZE = 128, TEXT_SIZE = 1024 };

#if defined(__GNUC__)
#define MAY_BE_UNUSED __attribute__((unused))
#else
#define MAY_BE_UNUSED
#endif

MAY_BE_UNUSED static const char *reason_posix(int result, const char *buffer)
{
    return result == 0 ? buffer : "unknown error";
}

MAY_BE_UNUSED static const char *reason_gnu(const char *result, const char *buffer)
{
    (void)buffer;
    return result;
}

lstm_status lstm__fail_system(int error, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = 0;
    va_end(arguments);
    char buffer[REASON_SIZE] = "";
    const char *reason = _Generic(strerror_r(error, buffer, sizeof buffer), int: reason_posix, char *: reason_gnu)(
        strerror_r(error, buffer, sizeof buffer), buffer);
    return lstm__fail(LSTM_ERROR_IO, "%s: %s", text, reason);
}
