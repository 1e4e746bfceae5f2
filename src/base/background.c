/* SPDX-License-Identifier: MIT
 * A thread that does one task at a time: a mutex, a condition, and the task that is under way.
 */
#define _POSIX_C_SOURCE 200809L
#include "background.h"
#include "context.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

struct lstm__background {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void (*task)(void *argument); /* NULL = nothing to do */
    void *argument;
    bool stop;
};

static void *run(void *of)
{
    lstm__background *const b = of;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->task && !b->stop)
            pthread_cond_wait(&b->changed, &b->lock);
        if (!b->task)
            break;
        void (*const task)(void *argument) = b->task;
        void *const argument = b->argument;
        pthread_mutex_unlock(&b->lock);
        task(argument);
        pthread_mutex_lock(&b->lock);
        b->task = NULL;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

lstm_status lstm__background_create(lstm__background **out, lstm_context *context)
{
    sigset_t all, before;
    *out = NULL;
    lstm__background *const b = lstm__allocate_zeroed(context, sizeof *b);
    if (!b)
        return lstm__fail_memory(sizeof *b, "a thread that reads ahead");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    sigfillset(&all); /* signals are the caller's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&b->thread, NULL, run, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        pthread_cond_destroy(&b->changed);
        pthread_mutex_destroy(&b->lock);
        lstm__release(context, b);
        return lstm__fail(LSTM_ERROR_THREAD, "a thread that reads ahead cannot be started: %s",
                          strerror(error));
    }
    *out = b;
    return LSTM_OK;
}

void lstm__background_destroy(lstm__background *background, lstm_context *context)
{
    if (!background)
        return;
    pthread_mutex_lock(&background->lock);
    background->stop = true;
    pthread_cond_broadcast(&background->changed);
    pthread_mutex_unlock(&background->lock);
    pthread_join(background->thread, NULL);
    pthread_cond_destroy(&background->changed);
    pthread_mutex_destroy(&background->lock);
    lstm__release(context, background);
}

void lstm__background_begin(lstm__background *background, void (*task)(void *argument),
                            void *argument)
{
    pthread_mutex_lock(&background->lock);
    background->task = task;
    background->argument = argument;
    pthread_cond_broadcast(&background->changed);
    pthread_mutex_unlock(&background->lock);
}

void lstm__background_wait(lstm__background *background)
{
    pthread_mutex_lock(&background->lock);
    while (background->task)
        pthread_cond_wait(&background->changed, &background->lock);
    pthread_mutex_unlock(&background->lock);
}
