/* SPDX-License-Identifier: MIT
 * One block per owner, measured and carved by the same function run twice: first with base == NULL
 * (measure), then with the block. A layout function calls lstm__carve for each part in a fixed
 * order.
 */
#ifndef LSTM_BASE_ARENA_H
#define LSTM_BASE_ARENA_H

#include "checked.h"

typedef struct lstm__arena {
    unsigned char *base; /* NULL while measuring */
    size_t used;         /* bytes carved so far */
    bool overflow;       /* a size did not fit: the measurement is void */
} lstm__arena;

/* Carve `count` elements of `size` bytes, aligned to 64. NULL while measuring. */
static inline void *lstm__carve(lstm__arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    size_t end = 0;
    if (!lstm__mul(count, size, &bytes) || !lstm__add(bytes, 63, &bytes) ||
        !lstm__add(arena->used, bytes & ~(size_t)63, &end) || end > PTRDIFF_MAX) {
        arena->overflow = true;
        return NULL;
    }
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used = end;
    return part;
}

#endif
