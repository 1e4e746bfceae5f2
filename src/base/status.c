/* SPDX-License-Identifier: MIT
 *
 * Status codes, the library's version and the error text of each thread.
 *
 * The text lives in one fixed thread-local buffer, the library's only writable storage outside of
 * handles, so that reporting a failure cannot itself fail. A text is first formatted beside the
 * buffer and copied then: arguments may point into the text that is being replaced. Longer texts
 * are cut and end with "...".
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 1024 };

static _Thread_local char error_text[TEXT_SIZE];

static const struct {
    lstm_status status;
    const char *name;
    const char *message;
} known[] = {
    {LSTM_OK, "LSTM_OK", "Success."},
    {LSTM_ERROR_ARGUMENT, "LSTM_ERROR_ARGUMENT",
     "A parameter is NULL, out of its range or not one of its constants: correct the call."},
    {LSTM_ERROR_SHAPE, "LSTM_ERROR_SHAPE",
     "An element count or a shape does not fit: give arrays of the size that the message names."},
    {LSTM_ERROR_STATE, "LSTM_ERROR_STATE",
     "The call comes at the wrong time: correct the order of the calls."},
    {LSTM_ERROR_UNSUPPORTED, "LSTM_ERROR_UNSUPPORTED",
     "This version of the library does not know what was asked for: use a newer one or do "
     "without."},
    {LSTM_ERROR_MEMORY, "LSTM_ERROR_MEMORY",
     "There is not enough memory, or a size does not fit in it: use a smaller batch or free "
     "something."},
    {LSTM_ERROR_IO, "LSTM_ERROR_IO",
     "A file cannot be opened, read, written or renamed: see the system's reason in the message."},
    {LSTM_ERROR_FORMAT, "LSTM_ERROR_FORMAT",
     "A file or a description was read but its content is wrong: correct the place that the "
     "message names."},
    {LSTM_ERROR_NUMERIC, "LSTM_ERROR_NUMERIC",
     "A number became NaN or infinite, or a matrix is singular: check the data or lower the "
     "learning rate."},
    {LSTM_ERROR_CANCELLED, "LSTM_ERROR_CANCELLED", "The progress callback asked to stop."},
    {LSTM_ERROR_NOT_FOUND, "LSTM_ERROR_NOT_FOUND",
     "Nothing has this name: see the message for what there is."},
    {LSTM_ERROR_THREAD, "LSTM_ERROR_THREAD",
     "The system refused a thread, or a context with threads was used after fork(): create a new "
     "context."},
};

enum { KNOWN_COUNT = sizeof known / sizeof known[0] };

uint32_t lstm_version(void)
{
    return LSTM_VERSION;
}

#define TEXT_OF_VALUE(value) #value
#define TEXT_OF(macro) TEXT_OF_VALUE(macro)

const char *lstm_version_string(void)
{
    return TEXT_OF(LSTM_VERSION_MAJOR) "." TEXT_OF(LSTM_VERSION_MINOR) "." TEXT_OF(
        LSTM_VERSION_PATCH);
}

const char *lstm_status_name(lstm_status status)
{
    for (size_t k = 0; k < KNOWN_COUNT; k++)
        if (known[k].status == status)
            return known[k].name;
    return "LSTM_ERROR_UNKNOWN";
}

const char *lstm_status_message(lstm_status status)
{
    for (size_t k = 0; k < KNOWN_COUNT; k++)
        if (known[k].status == status)
            return known[k].message;
    return "This is not a status of this version of the library: compare lstm_version() with "
           "LSTM_VERSION.";
}

const char *lstm_last_error(void)
{
    return error_text;
}

/* Mark a text that vsnprintf had to cut. */
static void mark_cut(char text[TEXT_SIZE], int length)
{
    if (length >= TEXT_SIZE)
        memcpy(text + TEXT_SIZE - 4, "...", 4);
}

lstm_status lstm__fail(lstm_status status, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        snprintf(text, sizeof text, "%s", lstm_status_message(status));
    mark_cut(text, length);
    memcpy(error_text, text, sizeof text);
    return status;
}

lstm_status lstm__prefix_error(lstm_status status, const char *format, ...)
{
    char prefix[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    if (length < 0)
        return status;
    mark_cut(prefix, length);
    return lstm__fail(status, "%s: %s", prefix, error_text);
}
