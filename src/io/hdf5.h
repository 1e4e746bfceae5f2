/* SPDX-License-Identifier: MIT
 * Reading the part of HDF5 that h5py and Keras write: groups, hard links, attributes of text,
 * arrays of numbers. docs/design/hdf5.md says what is read and what is refused.
 */
#ifndef LSTM_IO_HDF5_H
#define LSTM_IO_HDF5_H

#include "element.h"
#include "file_reader.h"

/* What the elements of a dataset or an attribute are. */
typedef struct lstm__hdf5_type {
    /* HDF5's number: 0 integer, 1 float, 3 text, 5 opaque, 9 variable length, … */
    int class;
    size_t size;  /* bytes of one element, > 0 */
    int32_t kind; /* LSTM__F16 …; 0 = no number that we read */
    bool big_endian;
    int text;    /* 0 = none, 1 = in `size` bytes, 2 = in the global heap */
    int padding; /* of text 1: 0 ends at a NUL, 1 filled up with NUL, 2 with blanks */
} lstm__hdf5_type;

/* A group or a dataset. Everything in it belongs to the file. */
typedef struct lstm__hdf5_object {
    char *path;       /* "layers/lstm/cell/vars/0"; the root is "" */
    const char *name; /* the last part of it */
    uint64_t address; /* of its header */
    size_t parent;    /* number of its group; the root's is 0 */
    size_t depth;
    bool is_dataset;
    /* Of a dataset: */
    lstm__hdf5_type type;
    int32_t rank; /* 0 = one value */
    int64_t shape[LSTM__MOST_DIMENSIONS];
    size_t count; /* product of the shape */
    /* values the file really holds, at most as many as its bytes can be; 0 = not written */
    size_t stored;
    lstm__cursor layout, filters, fill; /* bodies of these messages; size 0 = none */
} lstm__hdf5_object;

typedef struct lstm__hdf5 lstm__hdf5;

/* Whether bytes start like an HDF5 file. */
bool lstm__is_hdf5(const unsigned char *bytes, size_t size);

/* Walk through a file in memory, which must outlive the result. `whole` names it in messages. With
 * `checksums` false the checksums of newer headers are not looked at, so that tests reach what lies
 * behind them. FORMAT: anything wrong, with its place. UNSUPPORTED: soft and external links,
 * external storage, virtual datasets, shared messages, more than 8 dimensions; names what it is and
 * where. */
lstm_status lstm__hdf5_open(lstm__hdf5 **out, lstm_context *context, const lstm__cursor *whole,
                            bool checksums);
void lstm__hdf5_close(lstm__hdf5 *file);
const char *lstm__hdf5_name(const lstm__hdf5 *file);

/* Objects, each after its group; number 0 is the root. find: by path, NULL if there is none. */
size_t lstm__hdf5_count(const lstm__hdf5 *file);
const lstm__hdf5_object *lstm__hdf5_get(const lstm__hdf5 *file, size_t index);
const lstm__hdf5_object *lstm__hdf5_find(const lstm__hdf5 *file, const char *path);

/* Convert a dataset of numbers; `count` must be its own (SHAPE otherwise). UNSUPPORTED: other
 * types, filters other than deflate and shuffle, newer chunk indexes; each by name. */
lstm_status lstm__hdf5_floats(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                              float *values, size_t count);

/* The texts of an attribute: one, or a list; an empty array of anything is an empty list. */
typedef struct lstm__hdf5_texts {
    lstm_context *context;
    char **items; /* each ends with a NUL; in `block` */
    size_t count;
    bool found; /* false: there is no such attribute, and this is all zero */
    char *block;
} lstm__hdf5_texts;
lstm_status lstm__hdf5_read_texts(const lstm__hdf5 *file, const lstm__hdf5_object *object,
                                  const char *name, lstm__hdf5_texts *texts);
void lstm__hdf5_release_texts(lstm__hdf5_texts *texts);

#endif
