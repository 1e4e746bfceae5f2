/* SPDX-License-Identifier: MIT
 * The context: memory, threads, instruction level, log. Internally a context is never NULL:
 * lstm__context_acquire turns the caller's NULL into the built-in default context.
 */
#ifndef LSTM_BASE_CONTEXT_H
#define LSTM_BASE_CONTEXT_H

#include "status.h"

/* Take a reference to a context (the default one for NULL); give it back. Any thread. */
lstm_context *lstm__context_acquire(lstm_context *context);
void lstm__context_release(lstm_context *context);

/* Allocate `bytes` (0 counts as 1) aligned to 64, not zeroed / zeroed. NULL on failure, without an
 * error text. The block must be released with the same context. */
void *lstm__allocate(lstm_context *context, size_t bytes);
void *lstm__allocate_zeroed(lstm_context *context, size_t bytes);
void lstm__release(lstm_context *context, void *memory);

/* Allocate an array, with the product checked. */
void *lstm__allocate_array(lstm_context *context, size_t count, size_t size);

/* Grow an array of `size`-byte elements to at least `needed` elements (doubling): *memory and
 * *capacity change on success only. */
lstm_status lstm__grow(lstm_context *context, void **memory, size_t *capacity, size_t needed,
                       size_t size);

/* Copy a text. NULL on failure. */
char *lstm__copy_text(lstm_context *context, const char *text);

/* Fail with LSTM_ERROR_MEMORY and a text that names the bytes and the purpose. */
lstm_status lstm__fail_memory(size_t bytes, const char *purpose);

/* Send a line to the context's log, if it has one. */
void lstm__log(lstm_context *context, const char *format, ...) LSTM__PRINTF(2, 3);

/* Run task(argument, k) for k in [0, count) on the context's threads or the caller's runner, and
 * wait. Runs on the calling thread alone where there are no others or count is 1. Each task must
 * write only its own part of the result, and the partition must not depend on the number of
 * threads, so that the bits do not. */
void lstm__parallel(lstm_context *context, int32_t count,
                    void (*task)(void *argument, int32_t index), void *argument);

/* The instruction level of the context, LSTM_ISA_*. Ask once and keep the kernel table: the default
 * context asks the CPU every time. */
int32_t lstm__context_isa(lstm_context *context);

/* Layer types of the caller's own that descriptions may name: add one (its struct and type are
 * copied; one of the same type is replaced) / find one, NULL = there is none / by number, NULL = no
 * more. */
lstm_status lstm__context_add_layer(lstm_context *context, const lstm_custom_layer *layer);
const lstm_custom_layer *lstm__context_find_layer(const lstm_context *context, const char *type);
const lstm_custom_layer *lstm__context_layer(const lstm_context *context, size_t number);

/* Fail with LSTM_ERROR_THREAD if the context has worker threads and the process has forked since.
 */
lstm_status lstm__context_check(lstm_context *context);

#endif
