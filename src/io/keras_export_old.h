/* SPDX-License-Identifier: MIT
 * Whole models in one HDF5 file, as Keras 1 and 2 write them.
 */
#ifndef LSTM_IO_KERAS_EXPORT_OLD_H
#define LSTM_IO_KERAS_EXPORT_OLD_H

#include "graph.h"
#include "hdf5_writer.h"

/* Put the description and the weights of a model of the Keras profile into an empty file, layers in
 * the order of lstm__keras_order. */
lstm_status lstm__keras_put_old(lstm__hdf5_writer *file, const lstm_model *model,
                                const size_t *order);

#endif
