/* SPDX-License-Identifier: MIT
 * Our own files, models and checkpoints: safetensors with a kind, a version and a checksum over all
 * content, so that a damaged file is recognised whatever bit it lost.
 */
#ifndef LSTM_IO_SEALED_FILE_H
#define LSTM_IO_SEALED_FILE_H

#include "safetensors.h"

typedef struct lstm__seal {
    lstm__safetensors_writer *writer;
    unsigned long checksum;
} lstm__seal;

/* Start a file of a kind ("model", "checkpoint"); add texts and tensors (borrowed until it is
 * written); write it, atomically. destroy after any of them, also a failed start. */
lstm_status lstm__seal_start(lstm__seal *seal, lstm_context *context, const char *kind);
lstm_status lstm__seal_text(lstm__seal *seal, const char *key, const char *text);
lstm_status lstm__seal_tensor(lstm__seal *seal, const char *name, int32_t kind, int32_t rank,
                              const int64_t *shape, const void *values);
lstm_status lstm__seal_write(lstm__seal *seal, const char *path);
void lstm__seal_destroy(lstm__seal *seal);

/* Whether a file says that it is of a kind; nothing is checked. */
bool lstm__seal_is(const lstm__safetensors *file, const char *kind);

/* Check that an open file is of this kind, not newer than this library, and undamaged. `texts` are
 * the keys that were written, ended by NULL, in the order written. */
lstm_status lstm__seal_check(const lstm__safetensors *file, const char *kind,
                             const char *const *texts);

#endif
