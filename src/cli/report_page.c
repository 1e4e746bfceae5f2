/* SPDX-License-Identifier: MIT
 *
 * The growing text of a page (report_page.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "report_page.h"
#include "files.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Make room for `more` bytes and a NUL. Returns 1, or 0 if there is no memory. */
static int grow(page *to, size_t more)
{
    if (to->failed) {
        return 0;
    }
    if (more < to->capacity - to->length) {
        return 1;
    }
    size_t capacity = to->capacity > 0 ? to->capacity : 16384;
    while (capacity - to->length <= more) {
        if (capacity > (size_t)-1 / 4) {
            to->failed = 1;
            return 0;
        }
        capacity *= 2;
    }
    char *const text = realloc(to->text, capacity);
    if (text == NULL) {
        to->failed = 1;
        return 0;
    }
    to->text = text;
    to->capacity = capacity;
    return 1;
}

void page_add(page *to, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    va_list again;
    va_copy(again, list);
    char short_text[512];
    const int length = vsnprintf(short_text, sizeof short_text, format, list);
    va_end(list);
    if (length < 0) {
        to->failed = 1;
    } else if (grow(to, (size_t)length)) {
        if ((size_t)length < sizeof short_text) {
            memcpy(to->text + to->length, short_text, (size_t)length + 1);
        } else {
            (void)vsnprintf(to->text + to->length, (size_t)length + 1, format, again);
        }
        to->length += (size_t)length;
    }
    va_end(again);
}

void page_add_escaped(page *to, const char *text)
{
    if (text == NULL) {
        return;
    }
    for (const char *next = text; *next != '\0'; next++) {
        const char *entity = NULL;
        switch (*next) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '"':
            entity = "&quot;";
            break;
        case '\'':
            entity = "&#39;";
            break;
        default:
            break;
        }
        if (entity != NULL) {
            page_add(to, "%s", entity);
        } else if (grow(to, 1)) {
            const unsigned char byte = (unsigned char)*next;
            to->text[to->length++] = byte < 0x20 || byte == 0x7f ? ' ' : *next;
            to->text[to->length] = '\0';
        }
    }
}

const char *number_text(char *text, size_t size, double value, int digits)
{
    if (!isfinite(value)) {
        (void)snprintf(text, size, "%s", isnan(value) ? "-" : value > 0 ? "inf" : "-inf");
        return text;
    }
    const double magnitude = fabs(value);
    if (value == 0.0) {
        (void)snprintf(text, size, "0");
    } else if (magnitude >= 1e9 || magnitude < 1e-4) {
        (void)snprintf(text, size, "%.*e", digits > 1 ? digits - 1 : 0, value);
    } else {
        int decimals = digits - 1 - (int)floor(log10(magnitude));
        decimals = decimals < 0 ? 0 : decimals;
        (void)snprintf(text, size, "%.*f", decimals, value);
    }
    return text;
}

static void add_plain(page *to, const char *text)
{
    if (strcmp(text, "-") == 0) {
        page_add(to, "\xE2\x80\x93"); /* en dash: no value */
    } else if (text[0] == '-') {
        page_add(to, "\xE2\x88\x92%s", text + 1); /* minus sign */
    } else {
        page_add(to, "%s", text);
    }
}

void page_add_number(page *to, double value, int digits)
{
    char text[64];
    add_plain(to, number_text(text, sizeof text, value, digits));
}

void page_add_fixed(page *to, double value, int decimals)
{
    char text[64];
    if (!isfinite(value) || fabs(value) >= 1e15) {
        add_plain(to, number_text(text, sizeof text, value, 6));
        return;
    }
    (void)snprintf(text, sizeof text, "%.*f", decimals, value);
    add_plain(to, text);
}

int page_write(page *to, const char *path)
{
    int code;
    if (to->failed) {
        code = message_error(EXIT_WORK, "%s: no memory for the report", path);
    } else {
        code = file_write(path, to->text != NULL ? to->text : "", to->length);
    }
    page_release(to);
    return code;
}

void page_release(page *to)
{
    free(to->text);
    memset(to, 0, sizeof *to);
}
