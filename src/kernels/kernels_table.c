/* SPDX-License-Identifier: MIT
 *
 * From a level to its table. A level that this build lacks gets the generic table.
 */
#include "kernel_tables.h"

const lstm__kernels *lstm__kernels_for(int32_t isa)
{
#ifdef LSTM__DOUBLE
    (void)isa;
    return &lstm__kernels_double;
#else
    switch (isa) {
#if defined(__x86_64__)
    case LSTM_ISA_AVX2:
        return &lstm__kernels_avx2;
    case LSTM_ISA_AVX512:
        return &lstm__kernels_avx512;
#elif defined(__aarch64__)
    case LSTM_ISA_NEON:
        return &lstm__kernels_neon;
#endif
    default:
        return &lstm__kernels_generic;
    }
#endif
}
