/* SPDX-License-Identifier: MIT
 * From the weights in an HDF5 file of Keras to the parameters of a model.
 */
#ifndef LSTM_IO_KERAS_WEIGHTS_H
#define LSTM_IO_KERAS_WEIGHTS_H

#include "graph.h"
#include "hdf5.h"

/* At most how many parameters the file can hold. */
size_t lstm__keras_most_values(const lstm__hdf5 *file);

/* Fill every parameter and use every weight, or change nothing. `own_description`: the model was
 * made from the description beside the weights; then a failure may leave anything in it, and where
 * the file does not know the layers' names they are counted in the order of the nodes, which is
 * Keras'; else in the order that Keras would give them. */
lstm_status lstm__keras_read_weights(lstm_model *model, const lstm__hdf5 *file,
                                     bool own_description);

#endif
