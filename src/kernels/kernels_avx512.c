/* SPDX-License-Identifier: MIT
 *
 * The AVX-512 level. Compiled with -mavx512f and its companions; called only where
 * lstm__cpu_supports says so.
 */
#if defined(__x86_64__)
#include "vec_avx512.h"

#include "functions_tpl.h"

#define LEVEL_TABLE lstm__kernels_avx512
#define LEVEL_ISA LSTM_ISA_AVX512
#define LEVEL_NAME "avx512"
#include "level_tpl.h"
#else
typedef int no_avx512_here; /* C forbids an empty file */
#endif
