/* SPDX-License-Identifier: MIT
 *
 * Names compared without regard to case, and the nearest known name to a mistyped one.
 *
 * The distance is Damerau's and Levenshtein's in its restricted form (optimal string alignment: no
 * part is edited twice), by the usual table of which only three rows are kept. A candidate is worth
 * suggesting when at most max(2, length / 3) edits lead to it and at least one character stays.
 */
#include "names.h"

#include <string.h>

enum { LONGEST = 127 };

/* ASCII only, independent of the locale. */
static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

int lstm__compare_names(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) - lower(*b);
}

const lstm__name *lstm__find_name(const lstm__name *table, const char *name)
{
    for (; table->name; table++)
        if (lstm__compare_names(table->name, name) == 0)
            return table;
    return NULL;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t compared_length(const char *name)
{
    const char *end = memchr(name, 0, LONGEST);
    return end ? (size_t)(end - name) : LONGEST;
}

size_t lstm__edit_distance(const char *a, const char *b)
{
    const size_t rows = compared_length(a);
    const size_t columns = compared_length(b);
    /* the rows of the two prefixes before and of this one, taking turns */
    unsigned char table[3][LONGEST + 1];
    for (size_t column = 0; column <= columns; column++)
        table[0][column] = (unsigned char)column;
    for (size_t row = 1; row <= rows; row++) {
        const unsigned char *before_last = table[(row + 1) % 3];
        const unsigned char *last = table[(row + 2) % 3];
        unsigned char *now = table[row % 3];
        now[0] = (unsigned char)row;
        for (size_t column = 1; column <= columns; column++) {
            const unsigned char p = lower(a[row - 1]);
            const unsigned char q = lower(b[column - 1]);
            size_t edits = smaller((size_t)last[column] + 1, (size_t)now[column - 1] + 1);
            edits = smaller(edits, (size_t)last[column - 1] + (p != q));
            if (row > 1 && column > 1 && p == lower(b[column - 2]) && lower(a[row - 2]) == q)
                edits = smaller(edits, (size_t)before_last[column - 2] + 1);
            now[column] = (unsigned char)edits;
        }
    }
    return table[rows % 3][columns];
}

void lstm__nearest_start(lstm__nearest *nearest, const char *wanted)
{
    *nearest = (lstm__nearest){.wanted = wanted, .best = NULL, .distance = SIZE_MAX};
}

void lstm__nearest_offer(lstm__nearest *nearest, const char *candidate)
{
    const size_t length = compared_length(nearest->wanted);
    const size_t other = compared_length(candidate);
    const size_t limit = length / 3 > 2 ? length / 3 : 2;
    const size_t distance = lstm__edit_distance(nearest->wanted, candidate);
    if (distance > limit || distance >= nearest->distance ||
        distance >= (length > other ? length : other))
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}

lstm_status lstm__fail_unknown(const lstm__nearest *nearest, const char *what)
{
    if (nearest->best)
        return lstm__fail(LSTM_ERROR_NOT_FOUND, "unknown %s \"%s\"; did you mean \"%s\"?", what,
                          nearest->wanted, nearest->best);
    return lstm__fail(LSTM_ERROR_NOT_FOUND, "unknown %s \"%s\"", what, nearest->wanted);
}
