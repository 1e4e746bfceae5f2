/* SPDX-License-Identifier: MIT
 * The wire format of protocol buffers: fields of a message one by one, bounded by its bytes.
 */
#ifndef LSTM_IO_PROTOBUF_H
#define LSTM_IO_PROTOBUF_H

#include "file_reader.h"

/* Wire types; the groups of old versions (3 and 4) are refused. */
enum {
    LSTM__WIRE_VARINT = 0,
    LSTM__WIRE_FIXED64 = 1,
    LSTM__WIRE_BYTES = 2,
    LSTM__WIRE_FIXED32 = 5
};

typedef struct lstm__field {
    uint32_t number;
    int wire;
    uint64_t value;    /* of a varint or a fixed number */
    lstm__cursor part; /* of bytes: a text, a message inside, packed numbers */
} lstm__field;

/* Read the next field; the cursor has bytes left. FORMAT with the place on failure. */
lstm_status lstm__next_field(lstm__cursor *message, lstm__field *field);

/* Fail unless the field has this wire type; `what` names it. */
lstm_status lstm__need_wire(const lstm__field *field, int wire, const char *what);

/* Read one varint. */
lstm_status lstm__get_varint(lstm__cursor *cursor, uint64_t *value);

/* Count the varints of packed bytes. */
lstm_status lstm__count_varints(lstm__cursor packed, size_t *count);

#endif
