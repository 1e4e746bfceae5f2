/* SPDX-License-Identifier: MIT
 * What this machine can do at most, measured: multiply-adds in registers, reading of a block, and
 * the clock for it all. Machines differ and share their cores, so a bench measures these between
 * its own samples and trusts only ratios.
 */
#ifndef LSTM_BENCH_MACHINE_PEAK_H
#define LSTM_BENCH_MACHINE_PEAK_H

#include <stddef.h>
#include <stdint.h>

enum { MOST_SAMPLES = 99 };

/* Seconds of a clock that never jumps; seconds for which this process' threads have held a core. */
double machine_seconds(void);
double machine_busy_seconds(void);

/* GFLOP/s of `threads` threads at level `isa` (LSTM_ISA_*, supported by the CPU), two a
 * multiply-add (at the generic level a multiplication and an addition), measured for about
 * `seconds`. Per second for which a thread held its core, so that it is what the cores can do,
 * however many others want them. */
double machine_peak(int32_t isa, int32_t threads, double seconds);

/* GB/s of one thread reading a block of `bytes` again and again with the loads of level `isa`, per
 * second for which it held its core. 0 if out of memory. */
double machine_read_bandwidth(int32_t isa, size_t bytes, double seconds);

/* The processor's name, fit for a JSON string; "unknown" where the system does not tell. */
void machine_name(char *name, size_t size);

/* The name of a level, "avx2". */
const char *machine_level(int32_t isa);

/* The middle one of an odd number of values, which are sorted. */
double machine_median(double *values, size_t count);

#endif
