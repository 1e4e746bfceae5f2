/* SPDX-License-Identifier: MIT
 * A thread that does one task at a time while the caller goes on.
 */
#ifndef LSTM_BASE_BACKGROUND_H
#define LSTM_BASE_BACKGROUND_H

#include "status.h"

typedef struct lstm__background lstm__background;

/* Start the thread. *out is NULL on failure: LSTM_ERROR_MEMORY or LSTM_ERROR_THREAD. */
lstm_status lstm__background_create(lstm__background **out, lstm_context *context);

/* Wait for the task, stop, free. NULL is fine. */
void lstm__background_destroy(lstm__background *background, lstm_context *context);

/* Begin task(argument); none may be under way. */
void lstm__background_begin(lstm__background *background, void (*task)(void *argument),
                            void *argument);

/* Wait until the task that was begun last has ended; at once if none is under way. */
void lstm__background_wait(lstm__background *background);

#endif
