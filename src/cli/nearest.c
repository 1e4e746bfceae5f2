/* SPDX-License-Identifier: MIT
 *
 * The word that was probably meant: optimal string alignment distance (Levenshtein with swaps of
 * neighbours, Damerau
 * 1964) to each candidate, three rows at a time.
 */
#include "arguments.h"

#include <ctype.h>
#include <string.h>

#define LONGEST 63

static size_t smallest(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static size_t distance(const char *a, const char *b)
{
    const size_t rows = strlen(a);
    const size_t columns = strlen(b);
    size_t lines[3][LONGEST + 1];
    for (size_t j = 0; j <= columns; j++) {
        lines[0][j] = j;
    }
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = lines[i % 3];
        const size_t *before = lines[(i + 2) % 3];
        const size_t *earlier = lines[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            const int ca = tolower((unsigned char)a[i - 1]);
            const int cb = tolower((unsigned char)b[j - 1]);
            now[j] = smallest(before[j] + 1, now[j - 1] + 1, before[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == cb && earlier[j - 2] + 1 < now[j]) {
                now[j] = earlier[j - 2] + 1;
            }
        }
    }
    return lines[rows % 3][columns];
}

const char *nearest_word(const char *word, const char *const *candidates)
{
    const size_t length = strlen(word);
    if (length == 0 || length > LONGEST) {
        return NULL;
    }
    const char *best = NULL;
    size_t best_distance = (length + 2) / 3 + 1;
    for (; *candidates != NULL; candidates++) {
        if (strlen(*candidates) > LONGEST) {
            continue;
        }
        const size_t d = distance(word, *candidates);
        if (d < best_distance) {
            best_distance = d;
            best = *candidates;
        }
    }
    return best;
}
