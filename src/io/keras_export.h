/* SPDX-License-Identifier: MIT
 * Writing models so that Keras opens them.
 */
#ifndef LSTM_IO_KERAS_EXPORT_H
#define LSTM_IO_KERAS_EXPORT_H

#include "graph.h"

/* Write a built model: NAME.weights.h5, its weights alone for Keras 3; NAME.h5, description and
 * weights in the form of Keras 1 and 2; any other name, a .keras archive. Atomic as lstm__writer. */
lstm_status lstm__keras_save(const lstm_model *model, const char *path);

#endif
