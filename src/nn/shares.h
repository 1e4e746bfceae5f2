/* SPDX-License-Identifier: MIT
 * How much work is worth a thread, and who gets which part of it.
 */
#ifndef LSTM_NN_SHARES_H
#define LSTM_NN_SHARES_H

#include "context.h"

#include <stdbool.h>
#include <stddef.h>

/* Multiply-adds. A thread that has just worked takes on a task within a few microseconds, one that
 * sleeps in about 50: a task should last longer than that at 50 multiply-adds a nanosecond. Sharing
 * the panels of a step is done only by threads that have just worked. */
enum { LSTM__TASK_WORK = 1 << 20, LSTM__STEP_TASK_WORK = 1 << 19 };

typedef struct lstm__share {
    size_t first, count;
} lstm__share;

/* Multiply-adds of `rows` rows by k by the four gates of `units` units, those of the cell counted
 * as 32 more k. */
static inline size_t lstm__work(size_t rows, size_t k, size_t units)
{
    return rows * (k + 32) * 4 * units;
}

/* The number of tasks for `items` inseparable parts of some work: at least 1, at most one a thread,
 * none of less work than `least`. */
static inline size_t lstm__shares(lstm_context *context, size_t items, size_t work, size_t least)
{
    const size_t threads = (size_t)lstm_context_threads(context);
    const size_t worthwhile = work / least;
    const size_t most = threads < items ? threads : items;
    return worthwhile < 1 || most < 1 ? 1 : worthwhile < most ? worthwhile : most;
}

/* Task `index` of `tasks` gets these of `total`. */
static inline lstm__share lstm__share_of(size_t total, size_t tasks, int32_t index)
{
    const size_t k = (size_t)index;
    const size_t base = total / tasks;
    const size_t extra = total % tasks;
    return (lstm__share){k * base + (k < extra ? k : extra), base + (k < extra)};
}

/* Whether a step is better shared by its columns: the rows are too few for all threads, and one
 * step is enough work. */
static inline bool lstm__share_columns(lstm_context *context, size_t rows, size_t columns,
                                       size_t step_work)
{
    const size_t threads = (size_t)lstm_context_threads(context);
    return threads > 1 && rows < 2 * threads && columns > 1 &&
           step_work / threads >= LSTM__STEP_TASK_WORK;
}

#endif
