/* SPDX-License-Identifier: MIT
 *
 * A fuzz target is one function on bytes. With libFuzzer:
 *
 *     clang -g -fsanitize=fuzzer,address,undefined … fuzz_npy.c … && ./fuzz_npy tests/fuzz/corpus/npy
 *
 * and in ctest linked with replay_main.c, which feeds it the corpus, each file also cut at every
 * length and with every bit flipped.
 */
#ifndef LSTM_TESTS_FUZZ_REPLAY_H
#define LSTM_TESTS_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

/* Feed one input to the code under test. Anything but a clean return is a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The folder of this target's corpus inside tests/fuzz/corpus. */
extern const char fuzz_corpus[];

#endif
