/* SPDX-License-Identifier: MIT
 * HDF5 files put together in memory: groups with texts as attributes, and arrays.
 */
#ifndef LSTM_IO_HDF5_WRITER_H
#define LSTM_IO_HDF5_WRITER_H

#include "context.h"

typedef struct lstm__hdf5_writer lstm__hdf5_writer;

lstm_status lstm__hdf5_writer_create(lstm__hdf5_writer **out, lstm_context *context);
void lstm__hdf5_writer_destroy(lstm__hdf5_writer *writer);

/* Add a group to a group (0 = the root); *number is its own. `name_attribute`, the text of an
 * attribute "name", may be NULL. Names: at most 255 bytes. */
lstm_status lstm__hdf5_add_group(lstm__hdf5_writer *writer, size_t parent, const char *name,
                                 const char *name_attribute, size_t *number);

/* Add a text, or a list of texts, as an attribute of a group. Texts are copied. A list of more than
 * 64,512 bytes becomes several attributes, NAME0, NAME1, … */
lstm_status lstm__hdf5_add_text(lstm__hdf5_writer *writer, size_t group, const char *name,
                                const char *text);
lstm_status lstm__hdf5_add_texts(lstm__hdf5_writer *writer, size_t group, const char *name,
                                 const char *const *texts, size_t count);

/* Add an array. `values` are copied. */
lstm_status lstm__hdf5_add_array(lstm__hdf5_writer *writer, size_t parent, const char *name,
                                 int32_t rank, const int64_t *shape, const float *values);

/* Put the file together; *bytes belong to the writer. Once. */
lstm_status lstm__hdf5_finish(lstm__hdf5_writer *writer, const unsigned char **bytes, size_t *size);

#endif
