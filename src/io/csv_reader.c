/* SPDX-License-Identifier: MIT
 *
 * CSV by RFC 4180: records of fields, separated by one character, ended by LF or CRLF; a field in
 * double quotes may hold separators, line ends and doubled quotes.
 *
 *     buffer   | used up | the field so far | not yet looked at | free |
 *              0       start              next                end   SIZE
 *
 * The file is read into one buffer. When it is used up in the middle of a field, the field moves to
 * the front and the rest is filled; a field therefore always lies in one piece, and one that does
 * not fit is too long. Doubled quotes are closed up in place. buffer[end] always holds a line end,
 * so that the loop over ordinary characters needs one test each: whether the character is one of
 * those that can end a field.
 *
 * The separator is the one of comma, semicolon and tab that the first line, outside of quotes,
 * holds most often, in that order among equals; comma if it holds none.
 */
#include "csv_reader.h"

#include "system_error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_SIZE = LSTM__CSV_MOST_FIELD + (1 << 16) };

struct lstm__csv {
    lstm_context *context;
    const char *path; /* the caller's */
    int descriptor;
    bool exhausted;  /* the file holds nothing beyond `end` */
    bool after_last; /* the record before ended: a file that ends now is complete */
    char separator;
    size_t line; /* of `next`, from 1 */
    size_t start;
    size_t next;
    size_t end;
    bool special[256]; /* ends the loop over ordinary characters */
    char buffer[BUFFER_SIZE + 1];
};

/* Read as much as fits behind `end`. */
static lstm_status fill(lstm__csv *csv)
{
    while (!csv->exhausted && csv->end < BUFFER_SIZE) {
        const ssize_t got = read(csv->descriptor, csv->buffer + csv->end, BUFFER_SIZE - csv->end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return lstm__fail_system(errno, "%s: cannot read", csv->path);
        csv->exhausted = got == 0;
        csv->end += (size_t)got;
    }
    csv->buffer[csv->end] = '\n';
    return LSTM_OK;
}

/* Make room and read on in the middle of a field; *moved is how far its bytes went to the front. */
static lstm_status refill(lstm__csv *csv, size_t *moved)
{
    *moved = csv->start;
    memmove(csv->buffer, csv->buffer + csv->start, csv->end - csv->start);
    csv->next -= csv->start;
    csv->end -= csv->start;
    csv->start = 0;
    if (csv->end == BUFFER_SIZE)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu: a field is longer than %d bytes",
                          csv->path, csv->line, LSTM__CSV_MOST_FIELD);
    return fill(csv);
}

static char find_separator(const lstm__csv *csv)
{
    static const char candidates[] = {',', ';', '\t'};
    size_t counts[sizeof candidates] = {0};
    bool quoted = false;
    for (size_t k = csv->next; k < csv->end && (quoted || csv->buffer[k] != '\n'); k++) {
        if (csv->buffer[k] == '"')
            quoted = !quoted;
        for (size_t c = 0; !quoted && c < sizeof candidates; c++)
            counts[c] += csv->buffer[k] == candidates[c];
    }
    size_t best = 0;
    for (size_t c = 1; c < sizeof candidates; c++)
        if (counts[c] > counts[best])
            best = c;
    return candidates[best];
}

/* Tell files that are something else by how they begin. */
static lstm_status check_beginning(lstm__csv *csv)
{
    const char *const b = csv->buffer;
    if (csv->end >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0)
        csv->next = 3;
    if (csv->next == csv->end)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: the file is empty", csv->path);
    if (csv->end >= 2 && (memcmp(b, "\xff\xfe", 2) == 0 || memcmp(b, "\xfe\xff", 2) == 0))
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: is UTF-16 text; save it as CSV in UTF-8",
                          csv->path);
    if (csv->end >= 4 && memcmp(b, "PK\x03\x04", 4) == 0)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: is a ZIP file (a spreadsheet?), not CSV text; export it as CSV",
                          csv->path);
    return LSTM_OK;
}

lstm_status lstm__csv_open(lstm__csv **out, lstm_context *context, const char *path)
{
    lstm_status status = LSTM_OK;
    *out = NULL;
    lstm__csv *csv = lstm__allocate(context, sizeof *csv);
    if (!csv)
        return lstm__fail_memory(sizeof *csv, "the buffer of a CSV file");
    memset(csv, 0, offsetof(lstm__csv, buffer));
    csv->context = context;
    csv->path = path;
    csv->line = 1;
    csv->after_last = true;
    csv->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (csv->descriptor < 0) {
        status = lstm__fail_system(errno, "%s: cannot open", path);
        goto out;
    }
    struct stat information;
    if (fstat(csv->descriptor, &information) == 0 && S_ISDIR(information.st_mode))
        FAIL(LSTM_ERROR_IO, "%s: is a directory; expected a CSV file", path);
    TRY(fill(csv));
    TRY(check_beginning(csv));
    csv->separator = find_separator(csv);
    csv->special[0] = csv->special['\n'] = csv->special['\r'] = csv->special['"'] = true;
    csv->special[(unsigned char)csv->separator] = true;
    *out = csv;
    csv = NULL;
out:
    lstm__csv_close(csv);
    return status;
}

void lstm__csv_close(lstm__csv *csv)
{
    if (!csv)
        return;
    if (csv->descriptor >= 0)
        close(csv->descriptor);
    lstm__release(csv->context, csv);
}

/* The character at `next` after reading on where that is needed; *at_end where there is none. */
static lstm_status look(lstm__csv *csv, char *c, bool *at_end)
{
    size_t moved = 0;
    if (csv->next == csv->end && !csv->exhausted)
        RETURN_IF_ERROR(refill(csv, &moved));
    *at_end = csv->next == csv->end;
    *c = csv->buffer[csv->next];
    return LSTM_OK;
}

/* Pass what ends a field: a separator, a line end or the end of the file. `length` bytes of the
 * field lie at start. */
static lstm_status end_field(lstm__csv *csv, lstm__field *field, size_t length)
{
    char c = 0;
    bool at_end = false;
    RETURN_IF_ERROR(look(csv, &c, &at_end));
    field->last = at_end || c != csv->separator;
    if (!at_end && c == '\r') {
        csv->next++;
        RETURN_IF_ERROR(look(csv, &c, &at_end));
        if (!at_end && c != '\n')
            return lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: line %zu: a carriage return that no line feed follows",
                              csv->path, csv->line);
    }
    if (!at_end) {
        csv->line += c == '\n';
        csv->next++;
    }
    if (length > LSTM__CSV_MOST_FIELD)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu: a field is longer than %d bytes",
                          csv->path, field->line, LSTM__CSV_MOST_FIELD);
    field->text = csv->buffer + csv->start;
    field->length = length;
    /* over what ended the field, which is passed, or over the sentinel, which is put back */
    field->text[length] = 0;
    csv->after_last = field->last;
    return LSTM_OK;
}

static lstm_status next_plain(lstm__csv *csv, lstm__field *field)
{
    for (;;) {
        const char *p = csv->buffer + csv->next;
        while (!csv->special[(unsigned char)*p])
            p++;
        csv->next = (size_t)(p - csv->buffer);
        if (csv->next < csv->end || csv->exhausted)
            break;
        size_t moved = 0;
        RETURN_IF_ERROR(refill(csv, &moved));
    }
    if (csv->next < csv->end && csv->buffer[csv->next] == 0)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu: a NUL byte; this is no text file",
                          csv->path, csv->line);
    if (csv->next < csv->end && csv->buffer[csv->next] == '"')
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: line %zu: a double quote inside a field; a field that holds quotes "
                          "must begin and end "
                          "with one, and those inside are doubled",
                          csv->path, csv->line);
    const size_t length = csv->next - csv->start;
    return end_field(csv, field, length);
}

/* `next` is behind the opening quote. `filled` is where the next byte of the content goes: never
 * beyond `next`. */
static lstm_status next_quoted(lstm__csv *csv, lstm__field *field)
{
    size_t filled = csv->start;
    field->quoted = true;
    for (;;) {
        char c = 0;
        bool at_end = false;
        if (csv->next == csv->end && !csv->exhausted) {
            size_t moved = 0;
            RETURN_IF_ERROR(refill(csv, &moved));
            filled -= moved;
        }
        RETURN_IF_ERROR(look(csv, &c, &at_end));
        if (at_end)
            return lstm__fail(LSTM_ERROR_FORMAT,
                              "%s: line %zu: a quoted field is not closed before the file ends",
                              csv->path, field->line);
        csv->next++;
        if (c == 0)
            return lstm__fail(LSTM_ERROR_FORMAT, "%s: line %zu: a NUL byte; this is no text file",
                              csv->path, csv->line);
        csv->line += c == '\n';
        if (c == '"') {
            const size_t before = csv->start;
            RETURN_IF_ERROR(look(csv, &c, &at_end));
            filled -= before - csv->start;
            if (at_end || c != '"')
                break;
            csv->next++;
        }
        csv->buffer[filled++] = c;
    }
    const size_t length = filled - csv->start;
    if (csv->next < csv->end && csv->buffer[csv->next] != csv->separator &&
        csv->buffer[csv->next] != '\n' && csv->buffer[csv->next] != '\r')
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: line %zu: text after the closing quote of a field; quotes inside a "
                          "field are doubled",
                          csv->path, csv->line);
    return end_field(csv, field, length);
}

lstm_status lstm__csv_next(lstm__csv *csv, lstm__field *field, bool *ended)
{
    char c = 0;
    bool at_end = false;
    /* the sentinel, which may have become the NUL of the field before */
    csv->buffer[csv->end] = '\n';
    csv->start = csv->next;
    *field = (lstm__field){.line = csv->line};
    RETURN_IF_ERROR(look(csv, &c, &at_end));
    *ended = at_end && csv->after_last;
    if (*ended) {
        field->text = csv->buffer + csv->end;
        *field->text = 0;
        return LSTM_OK;
    }
    if (!at_end && c == '"') {
        csv->next++;
        return next_quoted(csv, field);
    }
    return next_plain(csv, field);
}
