/* SPDX-License-Identifier: MIT
 *
 * The AVX2 and FMA level. Compiled with -mavx2 -mfma; called only where lstm__cpu_supports says so.
 */
#if defined(__x86_64__)
#include "vec_avx2.h"

#include "functions_tpl.h"

#define GATE_ROWS 6 /* tiles for 16 registers */
#define CROSS_ROWS 6
#define CROSS_VECTORS 2
#define LEVEL_TABLE lstm__kernels_avx2
#define LEVEL_ISA LSTM_ISA_AVX2
#define LEVEL_NAME "avx2"
#include "level_tpl.h"
#else
typedef int no_avx2_here; /* C forbids an empty file */
#endif
