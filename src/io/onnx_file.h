/* SPDX-License-Identifier: MIT
 * Models in ONNX files.
 */
#ifndef LSTM_IO_ONNX_FILE_H
#define LSTM_IO_ONNX_FILE_H

#include "file_reader.h"
#include "graph.h"

/* Read a model. */
lstm_status lstm__onnx_load(lstm_model **out, lstm_context *context, const lstm__file *file);

/* Write a built model. */
lstm_status lstm__onnx_save(const lstm_model *model, const char *path);

#endif
