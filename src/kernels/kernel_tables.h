/* SPDX-License-Identifier: MIT
 * The tables that this architecture has. One that it lacks is not compiled.
 */
#ifndef LSTM_KERNELS_KERNEL_TABLES_H
#define LSTM_KERNELS_KERNEL_TABLES_H

#include "kernels.h"

#ifdef LSTM__DOUBLE
extern const lstm__kernels lstm__kernels_double;
#else
extern const lstm__kernels lstm__kernels_generic;
#if defined(__x86_64__)
extern const lstm__kernels lstm__kernels_avx2;
extern const lstm__kernels lstm__kernels_avx512;
#elif defined(__aarch64__)
extern const lstm__kernels lstm__kernels_neon;
#endif
#endif

#endif
