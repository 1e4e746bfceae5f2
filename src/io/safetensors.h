/* SPDX-License-Identifier: MIT
 * Reading and writing safetensors files.
 */
#ifndef LSTM_IO_SAFETENSORS_H
#define LSTM_IO_SAFETENSORS_H

#include "element.h"
#include "file_reader.h"

/* One tensor of an open file. Everything in it belongs to the file. */
typedef struct lstm__tensor {
    const char *name;
    int32_t kind; /* LSTM__F16 … LSTM__BOOL, little-endian */
    int32_t rank;
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t count;               /* product of the shape */
    size_t size;                /* bytes */
    size_t offset;              /* from the start of the data */
    const unsigned char *bytes; /* aligned only as the file happens to be */
} lstm__tensor;

typedef struct lstm__safetensors lstm__safetensors;

/* Whether a file that starts with these bytes can be a safetensors file. */
bool lstm__is_safetensors(const unsigned char *bytes, size_t size);

/* Read and check a file / one that is already in memory: *file is taken over and closed with the
 * result, and stays the caller's on failure. FORMAT: anything wrong, with its place. UNSUPPORTED:
 * more than 8 dimensions, another dtype. */
lstm_status lstm__safetensors_open(lstm__safetensors **out, lstm_context *context,
                                   const char *path);
lstm_status lstm__safetensors_parse(lstm__safetensors **out, lstm__file *file);
void lstm__safetensors_close(lstm__safetensors *tensors);

/* Give the memory of the tensors' elements back early; names, shapes and texts stay. */
void lstm__safetensors_drop_data(lstm__safetensors *tensors);

/* Tensors in the order of the header. lstm__safetensors_get needs index < count.
 * lstm__safetensors_find returns NULL if there is none; lstm__safetensors_need fails with NOT_FOUND
 * then and suggests the nearest. */
size_t lstm__safetensors_count(const lstm__safetensors *tensors);
const lstm__tensor *lstm__safetensors_get(const lstm__safetensors *tensors, size_t index);
const lstm__tensor *lstm__safetensors_find(const lstm__safetensors *tensors, const char *name);
lstm_status lstm__safetensors_need(const lstm__safetensors *tensors, const char *name,
                                   const lstm__tensor **tensor);

/* The metadata under a key, NULL if there is none. The file's path, for messages. */
const char *lstm__safetensors_metadata(const lstm__safetensors *tensors, const char *key);
const char *lstm__safetensors_path(const lstm__safetensors *tensors);
lstm_context *lstm__safetensors_context(const lstm__safetensors *tensors);

/* Convert a tensor's elements; `count` must be the tensor's (SHAPE otherwise, with the tensor's
 * name and shape). lstm__tensor_integers: FORMAT if they are no integers or one is negative. */
lstm_status lstm__tensor_check(const lstm__tensor *tensor, size_t count);
lstm__elements lstm__tensor_elements(const lstm__tensor *tensor);
lstm_status lstm__tensor_floats(const lstm__tensor *tensor, float *values, size_t count);
lstm_status lstm__tensor_doubles(const lstm__tensor *tensor, double *values, size_t count);
lstm_status lstm__tensor_integers(const lstm__tensor *tensor, uint64_t *values, size_t count);

/* A file being put together. Values are borrowed until the writer is destroyed; names and texts are
 * copied. */
typedef struct lstm__safetensors_writer lstm__safetensors_writer;
lstm_status lstm__safetensors_writer_create(lstm__safetensors_writer **out, lstm_context *context);
void lstm__safetensors_writer_destroy(lstm__safetensors_writer *writer);

/* Add a metadata text (UTF-8) / a tensor in the machine's own bytes. ARGUMENT: no UTF-8, or the
 * name is taken. */
lstm_status lstm__safetensors_add_metadata(lstm__safetensors_writer *writer, const char *key,
                                           const char *text);
lstm_status lstm__safetensors_add_tensor(lstm__safetensors_writer *writer, const char *name,
                                         int32_t kind, int32_t rank, const int64_t *shape,
                                         const void *values);

/* Write everything to a path, atomically. */
lstm_status lstm__safetensors_save(lstm__safetensors_writer *writer, const char *path);

#endif
