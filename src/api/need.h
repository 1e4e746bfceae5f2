/* SPDX-License-Identifier: MIT
 * The checks that every public function begins with, and the floating-point scope of compute calls.
 */
#ifndef LSTM_API_NEED_H
#define LSTM_API_NEED_H

#include "status.h"

#define NEED(pointer)                                                                     \
    do {                                                                                  \
        if (!(pointer))                                                                   \
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s: %s is NULL", __func__, #pointer); \
    } while (0)

#define NEED_BUILT(model)                                                                     \
    do {                                                                                      \
        if (!(model)->built)                                                                  \
            return lstm__fail(LSTM_ERROR_STATE,                                               \
                              "%s: the model is not built: call lstm_model_build", __func__); \
    } while (0)

/* A reserved member of an option struct: a later version may give it a meaning. */
#define NEED_ZERO(member)                                                                         \
    do {                                                                                          \
        if ((member) != 0)                                                                        \
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s: %s is %d: expected 0", __func__, #member, \
                              (int)(member));                                                     \
    } while (0)

#endif
