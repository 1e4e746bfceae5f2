/* SPDX-License-Identifier: MIT
 *
 * The table of the double build, on libm, for gradient checks.
 */
#ifdef LSTM__DOUBLE
#include "vec_double.h"

#define LEVEL_TABLE lstm__kernels_double
#define LEVEL_ISA LSTM_ISA_GENERIC
#define LEVEL_NAME "double"
#include "level_tpl.h"
#else
typedef int no_double_here; /* C forbids an empty file */
#endif
