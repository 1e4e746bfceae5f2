/* SPDX-License-Identifier: MIT
 * What the parts of the HDF5 reader (and the writer) share: places in the file, object headers,
 * links, heaps, types. Only hdf5_*.c use it.
 */
#ifndef LSTM_IO_HDF5_FORMAT_H
#define LSTM_IO_HDF5_FORMAT_H

#include "hdf5.h"

struct lstm__hdf5 {
    lstm_context *context;
    lstm__cursor whole;
    size_t offset_size; /* bytes of an address: 2, 4 or 8 */
    size_t length_size; /* bytes of a length: 2, 4 or 8 */
    bool checksums;
    /* what may still be done while the file is open: each message or heap object seen costs 1 */
    size_t *work;
    size_t work_left;
    lstm__hdf5_object *objects;
    const lstm__hdf5_object **sorted; /* by path */
    size_t count;
    size_t capacity;
};

/* An address of all ones: there is nothing. */
#define LSTM__HDF5_NOWHERE UINT64_MAX

/* How much of the file may still be looked at in one operation: each node of a tree and each block
 * costs 1. What loops or meets itself again and again runs out of it. */
typedef struct lstm__hdf5_budget {
    size_t left;
} lstm__hdf5_budget;
lstm__hdf5_budget lstm__hdf5_start(const lstm__hdf5 *file);
lstm_status lstm__hdf5_spend(lstm__hdf5_budget *budget, const lstm__cursor *place);

/* The same for the whole time that the file is open, 64 for each byte: ends what asks for the same
 * things ever again. */
lstm_status lstm__hdf5_work(const lstm__hdf5 *file);

/* A cursor on the whole file at an address. FORMAT: outside, or nowhere; `what` names what is
 * looked for. */
lstm_status lstm__hdf5_at(const lstm__hdf5 *file, uint64_t address, const char *what,
                          lstm__cursor *cursor);

/* Read an address / a length / four letters that must be there. */
lstm_status lstm__hdf5_get_address(const lstm__hdf5 *file, lstm__cursor *cursor, uint64_t *address);
lstm_status lstm__hdf5_get_length(const lstm__hdf5 *file, lstm__cursor *cursor, uint64_t *length);
lstm_status lstm__hdf5_expect(lstm__cursor *cursor, const char *signature, const char *what);

/* Check that the bytes from `start` of the cursor to its place are followed by their checksum, and
 * pass that. */
lstm_status lstm__hdf5_check(const lstm__hdf5 *file, lstm__cursor *cursor, size_t start);

/* The checksum of newer headers. */
uint32_t lstm__hdf5_checksum(const unsigned char *bytes, size_t size);

/* Bytes that numbers up to `most` need. */
size_t lstm__hdf5_width(uint64_t most);

/* ---- Object headers: hdf5_header.c */

enum {
    LSTM__HDF5_DATASPACE = 1,
    LSTM__HDF5_LINK_INFO = 2,
    LSTM__HDF5_DATATYPE = 3,
    LSTM__HDF5_FILL_OLD = 4,
    LSTM__HDF5_FILL = 5,
    LSTM__HDF5_LINK = 6,
    LSTM__HDF5_EXTERNAL = 7,
    LSTM__HDF5_LAYOUT = 8,
    LSTM__HDF5_GROUP_INFO = 10,
    LSTM__HDF5_FILTERS = 11,
    LSTM__HDF5_ATTRIBUTE = 12,
    LSTM__HDF5_CONTINUATION = 16,
    LSTM__HDF5_SYMBOLS = 17,
    LSTM__HDF5_ATTRIBUTE_INFO = 21
};

/* Call `visit` for every message of the header at an address, in its order. The body is at its
 * start. */
typedef lstm_status (*lstm__hdf5_visit)(void *user, uint32_t type, const lstm__cursor *body);
lstm_status lstm__hdf5_messages(const lstm__hdf5 *file, uint64_t address, lstm__hdf5_visit visit,
                                void *user);

/* ---- Links: hdf5_group.c */

/* The hard links of a group; the name is checked and not ended by a NUL. UNSUPPORTED: other links.
 */
typedef lstm_status (*lstm__hdf5_link)(void *user, const char *name, size_t length,
                                       uint64_t address);
lstm_status lstm__hdf5_links(const lstm__hdf5 *file, const lstm__hdf5_object *group,
                             lstm__hdf5_link visit, void *user);

/* ---- Heaps: hdf5_heap.c */

/* Call `visit` for every message in the fractal heap that the B-tree (version 2) at `tree` lists.
 */
lstm_status lstm__hdf5_dense(const lstm__hdf5 *file, uint64_t heap, uint64_t tree,
                             lstm__hdf5_visit visit, void *user, uint32_t type);

/* The object `index` of the global heap collection at an address, as a cursor. */
lstm_status lstm__hdf5_global(const lstm__hdf5 *file, uint64_t address, uint32_t index,
                              lstm__cursor *object);

/* ---- Types and shapes: hdf5_type.c */

/* Read the body of a datatype message / a dataspace message (*rank -1: no elements at all). */
lstm_status lstm__hdf5_parse_type(lstm__cursor *body, lstm__hdf5_type *type);
lstm_status lstm__hdf5_parse_shape(const lstm__hdf5 *file, lstm__cursor *body, int32_t *rank,
                                   int64_t *shape, size_t *count);
const char *lstm__hdf5_type_name(const lstm__hdf5_type *type);

/* ---- Arrays: hdf5_dataset.c */

/* Check the messages of a dataset as far as they can be without reading it, and set `stored`. */
lstm_status lstm__hdf5_check_dataset(const lstm__hdf5 *file, lstm__hdf5_object *object);

#endif
