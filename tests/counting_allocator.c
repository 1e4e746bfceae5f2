/* SPDX-License-Identifier: MIT
 * A block lies between two margins:
 *
 *     malloc'ed | up to `alignment` bytes unused | header (64 bytes) | the caller's bytes | 64 bytes margin |
 *                                                                    ^ aligned
 */
#include "counting_allocator.h"
#include "closeness.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 64, MARK = 0x5A, NOT_A_NUMBER = 0xFF, RELEASED = 0xDD };

/* More than any machine has is refused here: sanitizers end a program that asks malloc for it. */
#define MOST_BYTES ((size_t)1 << 36)

#define LIVE UINT64_C(0x4c53544d414c4956)

typedef struct header {
    uint64_t state; /* LIVE until released */
    void *block;
    size_t bytes;
    unsigned char mark[MARGIN - 3 * 8];
} header;

_Static_assert(sizeof(header) == MARGIN, "the header is the margin in front");

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    counting_allocator *allocator = user;
    const size_t call = atomic_fetch_add(&allocator->calls, 1) + 1;
    if (bytes > atomic_load(&allocator->largest))
        atomic_store(&allocator->largest, bytes);
    unsigned char *block = call == atomic_load(&allocator->refuse) || bytes > MOST_BYTES
                               ? NULL
                               : malloc(alignment + MARGIN + bytes + MARGIN);
    if (!block) {
        atomic_fetch_add(&allocator->refused, 1);
        return NULL;
    }
    const uintptr_t first = ((uintptr_t)block + MARGIN + alignment - 1) / alignment * alignment;
    unsigned char *memory = block + (first - (uintptr_t)block);
    header head = {.state = LIVE, .block = block, .bytes = bytes};
    memset(head.mark, MARK, sizeof head.mark);
    memcpy(memory - MARGIN, &head, sizeof head);
    memset(memory, NOT_A_NUMBER, bytes);
    memset(memory + bytes, MARK, MARGIN);
    atomic_fetch_add(&allocator->live, 1);
    return memory;
}

static bool is_marked(const unsigned char *bytes, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (bytes[k] != MARK)
            return false;
    return true;
}

static void release(void *user, void *memory)
{
    counting_allocator *allocator = user;
    header head;
    if (!memory) {
        atomic_fetch_add(&allocator->damaged, 1); /* the header promises that this never comes */
        return;
    }
    memcpy(&head, (unsigned char *)memory - MARGIN, sizeof head);
    if (head.state != LIVE || !is_marked(head.mark, sizeof head.mark) ||
        !is_marked((unsigned char *)memory + head.bytes, MARGIN)) {
        atomic_fetch_add(&allocator->damaged, 1);
        return; /* the block is given up: free could crash on it */
    }
    void *block = head.block;
    memset((unsigned char *)memory - MARGIN, RELEASED, MARGIN + head.bytes);
    atomic_fetch_sub(&allocator->live, 1);
    free(block);
}

void counting_allocator_options(counting_allocator *allocator, lstm_context_options *options)
{
    options->allocate = allocate;
    options->release = release;
    options->allocator_user = allocator;
}

lstm_context *counting_allocator_context(counting_allocator *allocator)
{
    lstm_context *context = NULL;
    lstm_context_options options = {.struct_size = sizeof options};
    counting_allocator_options(allocator, &options);
    const lstm_status status = lstm_context_create(&context, &options);
    return status == LSTM_OK ? context : NULL;
}

void counting_allocator_check(const counting_allocator *allocator, const char *file, int line)
{
    const size_t live = atomic_load(&allocator->live);
    const size_t damaged = atomic_load(&allocator->damaged);
    if (live == 0 && damaged == 0)
        return;
    print_error("%s:%d: after %zu allocations %zu blocks are left and %zu were damaged\n", file,
                line, atomic_load(&allocator->calls), live, damaged);
    _fail(file, line);
}
