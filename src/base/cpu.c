/* SPDX-License-Identifier: MIT
 *
 * What this CPU can do, and the flush-to-zero scope of compute calls.
 *
 * A level counts as supported when the CPU has every instruction set the level's kernel file is
 * compiled with AND the operating system saves the registers involved (OSXSAVE and XCR0): virtual
 * machines and old kernels may show the CPU's bits and still lose the upper register halves.
 * Nothing is cached, as there are no writable globals; CPUID is slow in a virtual machine, so
 * callers ask once, when a context is created.
 *
 * Of the floating-point mode only flush-to-zero bits are touched: FTZ and DAZ of MXCSR on x86-64
 * (where every CPU has DAZ; elsewhere on x86 nothing is done), FZ of FPCR on aarch64.
 */
#include "cpu.h"

#include "names.h"

#include <lstm/lstm.h>

#include <stdlib.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>
#endif

#if defined(__x86_64__)

enum { STATE_AVX = 0x06, STATE_AVX512 = 0xE6 }; /* XMM, YMM; also opmask, ZMM_Hi256, Hi16_ZMM */

static uint32_t saved_states(void)
{
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(uint32_t word, int bit)
{
    return (word >> bit & 1) != 0;
}

static bool x86_supports(int32_t isa)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return false;
    const bool fma = has(c, 12);
    const bool os_saves = has(c, 27);
    const bool avx = has(c, 28);
    if (!fma || !os_saves || !avx)
        return false;
    const uint32_t states = saved_states();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, 5) || (states & STATE_AVX) != STATE_AVX)
        return false;
    if (isa == LSTM_ISA_AVX2)
        return true;
    return has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31) &&
           (states & STATE_AVX512) == STATE_AVX512;
}

#endif

bool lstm__cpu_supports(int32_t isa)
{
    switch (isa) {
    case LSTM_ISA_GENERIC:
        return true;
#if defined(__x86_64__)
    case LSTM_ISA_AVX2:
    case LSTM_ISA_AVX512:
        return x86_supports(isa);
#endif
#if defined(__aarch64__)
    case LSTM_ISA_NEON:
        return true;
#endif
    default:
        return false;
    }
}

static const lstm__name levels[] = {
    {"generic", LSTM_ISA_GENERIC},
    {"avx2", LSTM_ISA_AVX2},
    {"avx512", LSTM_ISA_AVX512},
    {"neon", LSTM_ISA_NEON},
    {NULL, 0},
};

int32_t lstm__cpu_environment_limit(const char **text)
{
    *text = getenv("LSTM_MAX_ISA");
    const lstm__name *level = *text ? lstm__find_name(levels, *text) : NULL;
    return level ? level->value : 0;
}

/* Whether a limit lets a level pass. A level of another architecture's limits nothing but is no
 * licence either: it is compared only with its own kind. */
static bool allowed(int32_t isa, int32_t limit)
{
    if (limit == 0 || isa == LSTM_ISA_GENERIC)
        return true;
    if ((isa == LSTM_ISA_NEON) != (limit == LSTM_ISA_NEON))
        return limit != LSTM_ISA_GENERIC;
    return isa <= limit;
}

int32_t lstm__cpu_level(int32_t limit)
{
    static const int32_t highest_first[] = {LSTM_ISA_NEON, LSTM_ISA_AVX512, LSTM_ISA_AVX2};
    const char *text = NULL;
    const int32_t environment = lstm__cpu_environment_limit(&text);
    for (size_t k = 0; k < sizeof highest_first / sizeof highest_first[0]; k++) {
        const int32_t isa = highest_first[k];
        if (allowed(isa, limit) && allowed(isa, environment) && lstm__cpu_supports(isa))
            return isa;
    }
    return LSTM_ISA_GENERIC;
}

uint64_t lstm__denormals_flush(void)
{
#if defined(__x86_64__)
    const uint32_t mode = _mm_getcsr();
    const uint32_t flushing = mode | 0x8040u; /* FTZ is bit 15, DAZ bit 6 */
    if (flushing != mode)
        _mm_setcsr(flushing);
    return mode;
#elif defined(__aarch64__)
    uint64_t mode = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    const uint64_t flushing = mode | UINT64_C(1) << 24;
    if (flushing != mode)
        __asm__ volatile("msr fpcr, %0" : : "r"(flushing) : "memory");
    return mode;
#else
    return 0;
#endif
}

void lstm__denormals_restore(uint64_t mode)
{
#if defined(__x86_64__)
    const uint32_t now = _mm_getcsr();
    /* exception flags raised meanwhile stay */
    const uint32_t back = (now & ~0x8040u) | ((uint32_t)mode & 0x8040u);
    if (back != now)
        _mm_setcsr(back);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
#else
    (void)mode;
#endif
}
