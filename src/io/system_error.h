/* SPDX-License-Identifier: MIT
 * Failures of the operating system, told with its own reason.
 */
#ifndef LSTM_IO_SYSTEM_ERROR_H
#define LSTM_IO_SYSTEM_ERROR_H

#include "status.h"

/* Fail with LSTM_ERROR_IO and the text "…: No space left on device"; `error` is a value of errno.
 */
lstm_status lstm__fail_system(int error, const char *format, ...) LSTM__PRINTF(2, 3);

#endif
