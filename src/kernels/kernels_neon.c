/* SPDX-License-Identifier: MIT
 *
 * The NEON level: every aarch64 CPU.
 */
#if defined(__aarch64__)
#include "vec_neon.h"

#include "functions_tpl.h"

#define LEVEL_TABLE lstm__kernels_neon
#define LEVEL_ISA LSTM_ISA_NEON
#define LEVEL_NAME "neon"
#include "level_tpl.h"
#else
typedef int no_neon_here; /* C forbids an empty file */
#endif
