/* SPDX-License-Identifier: MIT
 * The context's own threads: fork, join, nothing else.
 */
#ifndef LSTM_BASE_POOL_H
#define LSTM_BASE_POOL_H

#include "status.h"

#include <stdbool.h>

typedef struct lstm__pool lstm__pool;

/* Start threads - 1 workers (threads >= 2). *out is NULL on failure: LSTM_ERROR_MEMORY or
 * LSTM_ERROR_THREAD. Memory is the context's, which must outlive the pool. */
lstm_status lstm__pool_create(lstm__pool **out, lstm_context *context, int32_t threads);

/* Stop and free; nothing may be running. In a process forked after create only the memory is freed.
 */
void lstm__pool_destroy(lstm__pool *pool, lstm_context *context);

/* Run task(argument, k) for k in [0, count) and wait. Threads that call at once take turns; a task
 * that calls runs its part alone. Serial in a forked process. */
void lstm__pool_run(lstm__pool *pool, int32_t count, void (*task)(void *argument, int32_t index),
                    void *argument);

/* Whether the process is another one than the pool's. */
bool lstm__pool_forked(const lstm__pool *pool);

/* The number of CPUs that this process may use, at least 1. */
int32_t lstm__threads_available(void);

#endif
