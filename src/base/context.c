/* SPDX-License-Identifier: MIT
 *
 * The context: allocator, threads or runner, instruction level, log.
 *
 * A context is counted: the caller holds one reference from create to destroy, every model and
 * other handle one more. The built-in default context, which stands for NULL, is constant and not
 * counted; its level is 0, "ask the CPU", because there is nowhere to keep the answer. The last
 * reference to a context with threads must not be given back by one of its own tasks.
 *
 * Memory is aligned to 64 bytes whoever provides it. A block from a caller's allocator that is not
 * counts as a failed allocation, since a vector load would fault on it.
 *
 * lstm__parallel flushes denormals around the tasks on every path, so that bits do not depend on
 * which thread ran one. A caller's runner is used by one call at a time: a second one, nested in a
 * task or from another thread, runs alone.
 */
#include "context.h"

#include "blas.h"
#include "checked.h"
#include "cpu.h"
#include "options.h"
#include "pool.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, MOST_THREADS = 256, LOG_SIZE = 1024 };

enum { HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };

struct lstm_context {
    _Atomic int32_t references; /* 0 in the default context */
    _Atomic int32_t running;    /* calls of the caller's runner under way: 0 or 1 */
    int32_t threads;
    int32_t isa; /* 0 in the default context */
    /* NULL = aligned_alloc and free */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *allocator_user;
    void (*run)(void *user, void (*task)(void *argument, int32_t index), void *argument,
                int32_t count);
    void *run_user;
    void (*log)(void *user, const char *line);
    void *log_user;
    lstm__pool *pool;          /* NULL with one thread or a runner */
    lstm_custom_layer *layers; /* types of the caller's own, their names copied */
    size_t layer_count, layer_capacity;
};

static const lstm_context standard = {.threads = 1};

lstm_context *lstm__context_acquire(lstm_context *context)
{
    if (!context)
        return (lstm_context *)&standard; /* never written: it is not counted and has no runner */
    if (context != &standard)
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void lstm__context_release(lstm_context *context)
{
    if (!context || context == &standard)
        return;
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    lstm__pool_destroy(context->pool, context);
    for (size_t k = 0; k < context->layer_count; k++)
        lstm__release(context, (void *)(uintptr_t)context->layers[k].type);
    lstm__release(context, context->layers);
    lstm_context self = *context; /* what lstm__release needs must not lie in the block it frees */
    lstm__release(&self, context);
}

/* Check the caller's options and complete them. */
static lstm_status read_options(lstm_context_options *o, const lstm_context_options *given)
{
    RETURN_IF_ERROR(lstm__read_options(o, sizeof *o, given, "lstm_context_options"));
    if (o->threads < -1 || o->threads > MOST_THREADS)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_context_options: threads is %d; expected -1 (all), or 0 to %d",
                          (int)o->threads, MOST_THREADS);
    if (o->max_isa < 0 || o->max_isa > LSTM_ISA_NEON)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_context_options: max_isa is %d; expected one of LSTM_ISA_*",
                          (int)o->max_isa);
    if (o->blas_threads < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_context_options: blas_threads is %d; expected 0 or more",
                          (int)o->blas_threads);
    if (!o->allocate != !o->release)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "lstm_context_options: %s is NULL; give allocate and release, or neither",
                          o->allocate ? "release" : "allocate");
    if (o->threads == 0)
        o->threads = 1;
    if (o->threads == -1) {
        const int32_t available = lstm__threads_available();
        o->threads = available < MOST_THREADS ? available : MOST_THREADS;
    }
    return LSTM_OK;
}

static void log_unknown_level(lstm_context *context)
{
    const char *text = NULL;
    if (lstm__cpu_environment_limit(&text) == 0 && text && *text)
        lstm__log(context,
                  "LSTM_MAX_ISA is \"%s\", which is none of generic, avx2, avx512, neon: ignored",
                  text);
}

lstm_status lstm_context_create(lstm_context **out, const lstm_context_options *options)
{
    lstm_context *context = NULL;
    lstm_status status = LSTM_OK;
    if (!out)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "lstm_context_create: out is NULL");
    *out = NULL;

    lstm_context_options o;
    TRY(read_options(&o, options));
    lstm_context start = {
        .references = 1,
        .threads = o.threads,
        .isa = lstm__cpu_level(o.max_isa),
        .allocate = o.allocate,
        .release = o.release,
        .allocator_user = o.allocator_user,
        .run = o.run,
        .run_user = o.run_user,
        .log = o.log,
        .log_user = o.log_user,
    };
    context = lstm__allocate(&start, sizeof *context);
    if (!context)
        FAIL(LSTM_ERROR_MEMORY, "lstm_context_create: no memory for %zu bytes", sizeof *context);
    memcpy(context, &start, sizeof *context);
    if (context->threads > 1 && !context->run)
        TRY(lstm__pool_create(&context->pool, context, context->threads));
    if (o.blas_threads > 0)
        lstm__blas_set_threads(o.blas_threads);
    log_unknown_level(context);
    *out = context;
    context = NULL;
out:
    lstm__context_release(context);
    return status;
}

void lstm_context_destroy(lstm_context *context)
{
    lstm__context_release(context);
}

lstm_status lstm__context_add_layer(lstm_context *context, const lstm_custom_layer *layer)
{
    for (size_t k = 0; k < context->layer_count; k++)
        if (strcmp(context->layers[k].type, layer->type) == 0) {
            const char *type = context->layers[k].type;
            context->layers[k] = *layer;
            context->layers[k].type = type;
            return LSTM_OK;
        }
    RETURN_IF_ERROR(lstm__grow(context, (void **)&context->layers, &context->layer_capacity,
                               context->layer_count + 1, sizeof *context->layers));
    char *type = lstm__copy_text(context, layer->type);
    if (!type)
        return lstm__fail_memory(strlen(layer->type) + 1, "the type of a layer");
    context->layers[context->layer_count] = *layer;
    context->layers[context->layer_count++].type = type;
    return LSTM_OK;
}

const lstm_custom_layer *lstm__context_layer(const lstm_context *context, size_t number)
{
    return number < context->layer_count ? &context->layers[number] : NULL;
}

const lstm_custom_layer *lstm__context_find_layer(const lstm_context *context, const char *type)
{
    for (size_t k = 0; k < context->layer_count; k++)
        if (strcmp(context->layers[k].type, type) == 0)
            return &context->layers[k];
    return NULL;
}

int32_t lstm_context_threads(const lstm_context *context)
{
    return context ? context->threads : 1;
}

int32_t lstm_context_isa(const lstm_context *context)
{
    return context && context->isa ? context->isa : lstm__cpu_level(0);
}

int32_t lstm__context_isa(lstm_context *context)
{
    return lstm_context_isa(context);
}

const char *lstm_context_blas(const lstm_context *context)
{
    (void)context;
    return lstm__blas_core();
}

/* A large block on huge pages where the system has them: rows of a tape are a page apart or more,
 * and with small pages finding the page costs more than reading the row (design/huge-pages.md). */
static void *allocate_large(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - HUGE_PAGE)
        return NULL;
    const size_t rounded = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *const memory = aligned_alloc(HUGE_PAGE, rounded);
#ifdef MADV_HUGEPAGE
    if (memory)
        (void)madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void *lstm__allocate(lstm_context *context, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - ALIGNMENT)
        return NULL;
    const size_t rounded = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!context->allocate)
        return rounded < LARGE ? aligned_alloc(ALIGNMENT, rounded) : allocate_large(rounded);
    void *const memory = context->allocate(context->allocator_user, rounded, ALIGNMENT);
    if ((uintptr_t)memory % ALIGNMENT == 0)
        return memory;
    context->release(context->allocator_user, memory);
    lstm__log(context, "the allocator returned a block that is not aligned to %d bytes: refused",
              ALIGNMENT);
    return NULL;
}

void *lstm__allocate_zeroed(lstm_context *context, size_t bytes)
{
    void *const memory = lstm__allocate(context, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

void *lstm__allocate_array(lstm_context *context, size_t count, size_t size)
{
    size_t bytes = 0;
    return lstm__mul(count, size, &bytes) ? lstm__allocate(context, bytes) : NULL;
}

void lstm__release(lstm_context *context, void *memory)
{
    if (!memory)
        return;
    if (context->release)
        context->release(context->allocator_user, memory);
    else
        free(memory);
}

lstm_status lstm__grow(lstm_context *context, void **memory, size_t *capacity, size_t needed,
                       size_t size)
{
    if (needed <= *capacity)
        return LSTM_OK;
    size_t wanted = 8;
    if (*capacity > SIZE_MAX / 2)
        wanted = needed;
    else if (wanted < *capacity * 2)
        wanted = *capacity * 2;
    if (wanted < needed)
        wanted = needed;
    size_t bytes = 0;
    void *const larger = lstm__mul(wanted, size, &bytes) ? lstm__allocate(context, bytes) : NULL;
    if (!larger)
        return lstm__fail(LSTM_ERROR_MEMORY, "no memory for %zu elements of %zu bytes", wanted,
                          size);
    if (*memory)
        memcpy(larger, *memory, *capacity * size);
    lstm__release(context, *memory);
    *memory = larger;
    *capacity = wanted;
    return LSTM_OK;
}

char *lstm__copy_text(lstm_context *context, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *const copy = lstm__allocate(context, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

lstm_status lstm__fail_memory(size_t bytes, const char *purpose)
{
    return lstm__fail(LSTM_ERROR_MEMORY, "no memory for %zu bytes: %s", bytes, purpose);
}

void lstm__log(lstm_context *context, const char *format, ...)
{
    if (!context->log)
        return;
    char line[LOG_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length >= 0)
        context->log(context->log_user, line);
}

typedef struct flushed {
    void (*task)(void *argument, int32_t index);
    void *argument;
} flushed;

/* One task on a thread of the caller's runner, whose floating-point mode is not ours to keep. */
static void run_flushed(void *argument, int32_t index)
{
    const flushed *const f = argument;
    const uint64_t mode = lstm__denormals_flush();
    f->task(f->argument, index);
    lstm__denormals_restore(mode);
}

void lstm__parallel(lstm_context *context, int32_t count,
                    void (*task)(void *argument, int32_t index), void *argument)
{
    if (count > 1 && context->run) {
        int32_t idle = 0;
        if (atomic_compare_exchange_strong(&context->running, &idle, 1)) {
            flushed f = {task, argument};
            context->run(context->run_user, run_flushed, &f, count);
            atomic_store(&context->running, 0);
            return;
        }
    }
    const uint64_t mode = lstm__denormals_flush();
    if (context->pool)
        lstm__pool_run(context->pool, count, task, argument);
    else
        for (int32_t k = 0; k < count; k++)
            task(argument, k);
    lstm__denormals_restore(mode);
}

lstm_status lstm__context_check(lstm_context *context)
{
    if (context->pool && lstm__pool_forked(context->pool))
        return lstm__fail(LSTM_ERROR_THREAD,
                          "the context has %d threads and the process has forked since it was "
                          "created; create a new context in this process",
                          (int)context->threads);
    return LSTM_OK;
}
