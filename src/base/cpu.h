/* SPDX-License-Identifier: MIT
 * Instruction levels of this CPU, and the flush-to-zero scope of compute calls.
 */
#ifndef LSTM_BASE_CPU_H
#define LSTM_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Whether CPU and operating system (OSXSAVE, XCR0) support a level, LSTM_ISA_*. */
bool lstm__cpu_supports(int32_t isa);

/* The highest supported level, lowered by `limit` (0 = none) and by the environment variable
 * LSTM_MAX_ISA. */
int32_t lstm__cpu_level(int32_t limit);

/* The level that LSTM_MAX_ISA names, 0 if it is not set or names none; *text is its value or NULL.
 */
int32_t lstm__cpu_environment_limit(const char **text);

/* Flush denormals to zero on this thread; returns the mode to give back to lstm__denormals_restore.
 */
uint64_t lstm__denormals_flush(void);
void lstm__denormals_restore(uint64_t mode);

#endif
