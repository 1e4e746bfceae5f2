/* SPDX-License-Identifier: MIT
 * Size-tagged option structs, by the rule of Linux' copy_struct_from_user.
 */
#ifndef LSTM_BASE_OPTIONS_H
#define LSTM_BASE_OPTIONS_H

#include "status.h"

#include <stdbool.h>

/* Copy the caller's option struct into `destination` (`size` bytes, whose first member is
 * struct_size): a shorter one is completed with zeros, the unknown tail of a longer one must be
 * zero. NULL gives all zeros. On success destination->struct_size == size. `what` names the struct
 * in messages. */
lstm_status lstm__read_options(void *destination, size_t size, const void *source,
                               const char *what);

/* Copy `size` bytes of an information struct to the caller's, as far as his struct_size reaches. */
lstm_status lstm__write_info(void *destination, const void *source, size_t size, const char *what);

/* Check a flag: 0 becomes `standard`; only LSTM_YES and LSTM_NO are accepted else. */
lstm_status lstm__read_flag(int32_t *flag, int32_t standard, const char *what);

#endif
