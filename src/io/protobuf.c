/* SPDX-License-Identifier: MIT
 *
 * Wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding): a field is a
 * varint (number << 3 | wire type), then a varint, 4 or 8 bytes, or a length with that many bytes.
 *
 * A varint has at most 10 bytes; every length is compared with what is left of the message that it
 * stands in, so a part never reaches beyond its message. Nothing is allocated.
 */
#include "protobuf.h"

enum { MOST_VARINT = 10 };

lstm_status lstm__get_varint(lstm__cursor *cursor, uint64_t *value)
{
    const size_t start = cursor->offset;
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 7 * MOST_VARINT; shift += 7) {
        uint8_t byte = 0;
        const lstm_status status = lstm__get_u8(cursor, &byte);
        if (status != LSTM_OK) {
            cursor->offset = start;
            return status;
        }
        number |= (uint64_t)(byte & 127) << (shift < 64 ? shift : 63);
        if (byte < 128) {
            *value = number;
            return LSTM_OK;
        }
    }
    cursor->offset = start;
    return lstm__fail_at(cursor, "a number that does not end within %d bytes", (int)MOST_VARINT);
}

lstm_status lstm__count_varints(lstm__cursor packed, size_t *count)
{
    const size_t size = lstm__remaining(&packed);
    *count = 0;
    for (size_t k = 0; k < size; k++)
        *count += packed.bytes[packed.offset + k] < 128;
    if (size > 0 && packed.bytes[packed.offset + size - 1] >= 128)
        return lstm__fail_at(&packed, "the last of its packed numbers is cut off");
    return LSTM_OK;
}

lstm_status lstm__next_field(lstm__cursor *message, lstm__field *field)
{
    const size_t start = message->offset;
    lstm_status status = LSTM_OK;
    uint64_t key = 0;
    uint32_t narrow = 0;
    TRY(lstm__get_varint(message, &key));
    *field = (lstm__field){.number = (uint32_t)(key >> 3), .wire = (int)(key & 7)};
    if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
        TRY(lstm__fail_at(message, "field number %llu: expected 1 to 536870911",
                          (unsigned long long)(key >> 3)));
    switch (field->wire) {
    case LSTM__WIRE_VARINT:
        TRY(lstm__get_varint(message, &field->value));
        break;
    case LSTM__WIRE_FIXED64:
        TRY(lstm__get_u64(message, &field->value));
        break;
    case LSTM__WIRE_FIXED32:
        TRY(lstm__get_u32(message, &narrow));
        field->value = narrow;
        break;
    case LSTM__WIRE_BYTES:
        TRY(lstm__get_varint(message, &field->value));
        TRY(lstm__get_part(message, field->value, &field->part));
        break;
    default:
        TRY(lstm__fail_at(message, "field %u has wire type %d: expected 0, 1, 2 or 5",
                          field->number, field->wire));
    }
out:
    if (status != LSTM_OK)
        message->offset = start;
    return status;
}

lstm_status lstm__need_wire(const lstm__field *field, int wire, const char *what)
{
    if (field->wire == wire)
        return LSTM_OK;
    return lstm__fail(LSTM_ERROR_FORMAT, "%s has wire type %d: expected %d", what, field->wire,
                      wire);
}
