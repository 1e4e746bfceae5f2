/* SPDX-License-Identifier: MIT
 *
 * Parts of messages: the names that there are, and excerpts of what a file holds.
 *
 * Both work in fixed buffers, so that telling of a failure needs no memory. An excerpt is never cut
 * inside a UTF-8 character, and what could disturb a terminal does not reach it.
 */
#include "name_list.h"

#include <string.h>

enum { SHOWN = 40, ROOM_FOR_CUT = 8 };

void lstm__name_list_start(lstm__name_list *list, const char *wanted)
{
    lstm__nearest_start(&list->nearest, wanted);
    list->text[0] = 0;
    list->used = 0;
    list->full = false;
}

void lstm__name_list_add(lstm__name_list *list, const char *name)
{
    lstm__nearest_offer(&list->nearest, name);
    if (list->full)
        return;
    char excerpt[LSTM__EXCERPT];
    lstm__excerpt(excerpt, name, strlen(name));
    const size_t length = strlen(excerpt);
    const char *separator = list->used > 0 ? ", " : "";
    if (list->used + strlen(separator) + length + ROOM_FOR_CUT > sizeof list->text) {
        memcpy(list->text + list->used, ", ...", 6);
        list->full = true;
        return;
    }
    memcpy(list->text + list->used, separator, strlen(separator));
    list->used += strlen(separator);
    memcpy(list->text + list->used, excerpt, length + 1);
    list->used += length;
}

lstm_status lstm__fail_not_found(const lstm__name_list *list, const char *place, const char *what)
{
    char wanted[LSTM__EXCERPT];
    char best[LSTM__EXCERPT];
    lstm__excerpt(wanted, list->nearest.wanted, strlen(list->nearest.wanted));
    if (!list->nearest.best)
        return lstm__fail(LSTM_ERROR_NOT_FOUND, "%s has no %s \"%s\"; it has: %s", place, what,
                          wanted, list->used ? list->text : "none");
    lstm__excerpt(best, list->nearest.best, strlen(list->nearest.best));
    return lstm__fail(LSTM_ERROR_NOT_FOUND, "%s has no %s \"%s\"; did you mean \"%s\"? It has: %s",
                      place, what, wanted, best, list->text);
}

const char *lstm__excerpt(char excerpt[LSTM__EXCERPT], const char *text, size_t length)
{
    size_t shown = length;
    if (length > SHOWN) {
        shown = SHOWN;
        while (shown > SHOWN - 3 && ((unsigned char)text[shown] & 0xc0) == 0x80)
            shown--; /* text[shown] would continue a character */
    }
    for (size_t k = 0; k < shown; k++) {
        const unsigned char c = (unsigned char)text[k];
        excerpt[k] = c < 0x20 || c == 0x7f || c == '"' ? '?' : text[k];
    }
    memcpy(excerpt + shown, length > shown ? "..." : "", length > shown ? 4 : 1);
    return excerpt;
}
