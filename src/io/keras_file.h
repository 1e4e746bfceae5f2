/* SPDX-License-Identifier: MIT
 * Keras' own files: .keras archives, and HDF5 files of whole models or of weights alone
 * (docs/interchange.md).
 */
#ifndef LSTM_IO_KERAS_FILE_H
#define LSTM_IO_KERAS_FILE_H

#include "file_reader.h"
#include "graph.h"

/* Load a model from a ZIP archive or an HDF5 file in memory. FORMAT, also when a weight of the file
 * belongs to no layer or a parameter gets none; SHAPE; UNSUPPORTED: layers and options that this
 * version lacks, files of weights alone. */
lstm_status lstm__keras_load(lstm_model **out, lstm_context *context, const lstm__file *file);

/* Fill a built model's parameters from such a file; nothing is changed on failure. */
lstm_status lstm__keras_load_weights(lstm_model *model, const lstm__file *file);

#endif
