/* SPDX-License-Identifier: MIT
 * An allocator for lstm_context_options that counts its calls, refuses the n-th one, fills new
 * memory with NaN (a value read before it was written spoils the result), and finds leaks and
 * writes outside of a block.
 */
#ifndef LSTM_TESTS_COUNTING_ALLOCATOR_H
#define LSTM_TESTS_COUNTING_ALLOCATOR_H

#include <lstm/lstm.h>
#include <stdatomic.h>

typedef struct counting_allocator {
    atomic_size_t calls;   /* of allocate */
    atomic_size_t live;    /* blocks not yet released */
    atomic_size_t damaged; /* blocks whose margin was written to, or that were released twice */
    atomic_size_t refuse;  /* the call, from 1, that gets NULL; 0 = none */
    atomic_size_t refused; /* calls that got NULL */
    atomic_size_t largest; /* bytes of the largest block asked for */
} counting_allocator;

/* Fill in the memory members of a context's options. */
void counting_allocator_options(counting_allocator *allocator, lstm_context_options *options);

/* A context of one thread that takes its memory here; NULL if the allocator refused it. */
lstm_context *counting_allocator_context(counting_allocator *allocator);

/* Fail the test unless every block was released and none was damaged. */
#define assert_nothing_left(allocator) counting_allocator_check((allocator), __FILE__, __LINE__)
void counting_allocator_check(const counting_allocator *allocator, const char *file, int line);

#endif
