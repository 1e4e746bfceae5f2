/* SPDX-License-Identifier: MIT
 *
 * A fork-join pool.
 *
 * A job is handed out through one 64-bit atomic, the ticket: the number of the job above, the
 * number of tasks not yet taken below. Whoever wants a task, caller or worker, takes one off by
 * compare-and-swap; the upper half makes a stale swap fail. `unfinished` counts tasks, not workers,
 * so that a caller never waits for a worker that woke too late to get any. Fields of the job (task,
 * argument) are written before the ticket is published and read only between taking a task and
 * finishing it; the caller cannot leave the job before that.
 *
 *     caller   lock turn; task, argument; unfinished = count; publish ticket; wake sleepers; take tasks;
 *              wait for unfinished == 0; unlock turn
 *     worker   take tasks; spin a moment; sleep until the ticket holds tasks or `stopping`
 *
 * Which thread runs which task is left to chance; results cannot depend on it as every task writes
 * only its own part (see lstm__parallel). A task that itself calls for the pool is recognised by
 * its thread and runs its part alone. The identity of a thread is the address of its errno.
 *
 * Workers take no signals, flush denormals, and have 2 MiB of stack. A forked child has no workers:
 * it sees by the process number that the pool is not its own.
 */
#include "pool.h"

#include "context.h"
#include "cpu.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { SPINS = 2000, STACK_BYTES = 2 << 20 };

typedef struct worker {
    lstm__pool *pool;
    pthread_t thread;
    _Atomic uintptr_t identity;
} worker;

struct lstm__pool {
    _Alignas(64) _Atomic uint64_t ticket;    /* job << 32 | tasks not yet taken */
    _Alignas(64) _Atomic int32_t unfinished; /* tasks of this job that have not returned */
    _Alignas(64) void (*task)(void *argument, int32_t index);
    void *argument;
    _Atomic uintptr_t caller; /* identity of the thread whose turn it is */
    pthread_mutex_t turn;
    pthread_mutex_t lock; /* guards sleepers and stopping, and both conditions */
    pthread_cond_t wake;
    pthread_cond_t finished;
    int32_t sleepers;
    bool stopping;
    pid_t process;
    int32_t worker_count; /* workers started */
    worker workers[];
};

static uintptr_t own_identity(void)
{
    return (uintptr_t)&errno;
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t tasks_left(lstm__pool *pool)
{
    return (uint32_t)atomic_load_explicit(&pool->ticket, memory_order_acquire);
}

/* Take tasks and run them until none is left. */
static void work(lstm__pool *pool)
{
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    while ((uint32_t)ticket > 0) {
        if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, ticket - 1,
                                                   memory_order_acq_rel, memory_order_acquire))
            continue;
        pool->task(pool->argument, (int32_t)((uint32_t)ticket - 1));
        if (atomic_fetch_sub_explicit(&pool->unfinished, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
    }
}

static void *run_worker(void *argument)
{
    worker *const self = argument;
    lstm__pool *const pool = self->pool;
    atomic_store(&self->identity, own_identity());
    lstm__denormals_flush();
    for (bool stopping = false; !stopping;) {
        work(pool);
        for (int spin = 0; spin < SPINS && tasks_left(pool) == 0; spin++)
            pause_briefly();
        pthread_mutex_lock(&pool->lock);
        while (tasks_left(pool) == 0 && !pool->stopping) {
            pool->sleepers++;
            pthread_cond_wait(&pool->wake, &pool->lock);
            pool->sleepers--;
        }
        stopping = pool->stopping;
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* Whether the calling thread is running one of the pool's tasks. */
static bool inside(lstm__pool *pool)
{
    const uintptr_t self = own_identity();
    if (atomic_load_explicit(&pool->caller, memory_order_relaxed) == self)
        return true;
    for (int32_t k = 0; k < pool->worker_count; k++)
        if (atomic_load_explicit(&pool->workers[k].identity, memory_order_relaxed) == self)
            return true;
    return false;
}

static void run_serially(int32_t count, void (*task)(void *argument, int32_t index), void *argument)
{
    for (int32_t k = 0; k < count; k++)
        task(argument, k);
}

static void wait_until_finished(lstm__pool *pool)
{
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&pool->unfinished, memory_order_acquire) == 0)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->unfinished, memory_order_acquire) != 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void lstm__pool_run(lstm__pool *pool, int32_t count, void (*task)(void *argument, int32_t index),
                    void *argument)
{
    if (count <= 1 || lstm__pool_forked(pool) || inside(pool)) {
        run_serially(count, task, argument);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    atomic_store_explicit(&pool->caller, own_identity(), memory_order_relaxed);
    pool->task = task;
    pool->argument = argument;
    atomic_store_explicit(&pool->unfinished, count, memory_order_relaxed);
    const uint64_t job = (atomic_load_explicit(&pool->ticket, memory_order_relaxed) >> 32) + 1;
    atomic_store_explicit(&pool->ticket, job << 32 | (uint32_t)count, memory_order_release);

    pthread_mutex_lock(&pool->lock);
    const int32_t wanted = count - 1 < pool->sleepers ? count - 1 : pool->sleepers;
    for (int32_t k = 0; k < wanted; k++)
        pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->lock);

    work(pool);
    wait_until_finished(pool);
    atomic_store_explicit(&pool->caller, 0, memory_order_relaxed);
    pthread_mutex_unlock(&pool->turn);
}

/* Start one worker with all signals blocked. Returns pthread_create's error. */
static int start_worker(worker *self)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    /* A refusal leaves the system's default size, which is no less on the systems that refuse. */
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&self->thread, &attributes, run_worker, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

lstm_status lstm__pool_create(lstm__pool **out, lstm_context *context, int32_t threads)
{
    *out = NULL;
    const size_t bytes = sizeof(lstm__pool) + (size_t)(threads - 1) * sizeof(worker);
    lstm__pool *const pool = lstm__allocate_zeroed(context, bytes);
    if (!pool)
        return lstm__fail_memory(bytes, "the threads of a context");
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->process = getpid();
    for (int32_t k = 0; k < threads - 1; k++) {
        pool->workers[k].pool = pool;
        const int error = start_worker(&pool->workers[k]);
        if (error) {
            lstm__pool_destroy(pool, context);
            return lstm__fail(LSTM_ERROR_THREAD, "thread %d of %d could not be started: %s",
                              (int)k + 2, (int)threads, strerror(error));
        }
        pool->worker_count++;
    }
    *out = pool;
    return LSTM_OK;
}

void lstm__pool_destroy(lstm__pool *pool, lstm_context *context)
{
    if (!pool)
        return;
    if (!lstm__pool_forked(pool)) {
        pthread_mutex_lock(&pool->lock);
        pool->stopping = true;
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
        for (int32_t k = 0; k < pool->worker_count; k++)
            pthread_join(pool->workers[k].thread, NULL);
        pthread_cond_destroy(&pool->finished);
        pthread_cond_destroy(&pool->wake);
        pthread_mutex_destroy(&pool->lock);
        pthread_mutex_destroy(&pool->turn);
    }
    lstm__release(context, pool);
}

bool lstm__pool_forked(const lstm__pool *pool)
{
    return pool->process != getpid();
}

int32_t lstm__threads_available(void)
{
    long count = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
#endif
    if (count < 1)
        count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > INT32_MAX ? INT32_MAX : (int32_t)count;
}
