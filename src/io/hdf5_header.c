/* SPDX-License-Identifier: MIT
 *
 * HDF5 object headers, versions 1 and 2, and the small things that every part of the reader needs
 * (HDF5 File Format Specification 3.0, IV.A and appendix on checksums).
 *
 *     version 1:  1 | 0 | messages (2) | references (4) | size (4) | 4 bytes, then messages
 *                 message: type (2) | size (2) | flags (1) | 3 bytes | body
 *     version 2:  "OHDR" | 2 | flags | [times] | [limits] | size, then messages, then a checksum
 *                 message: type (1) | size (2) | flags (1) | [order (2)] | body
 *
 * A continuation message names another block of messages ("OCHK" in version 2). Blocks are read in
 * the order in which they are named; together they cannot be longer than the file, which ends every
 * loop.
 */
#include "hdf5_format.h"

#include <string.h>

enum {
    MOST_BLOCKS = 1024,
    FLAG_SHARED = 2,
    FLAG_MUST_KNOW = 128,
    HEADER_SIZE_BITS = 3,
    HEADER_ORDER = 4,
    HEADER_LIMITS = 16,
    HEADER_TIMES = 32
};

/* ---- Places */

lstm__hdf5_budget lstm__hdf5_start(const lstm__hdf5 *file)
{
    return (lstm__hdf5_budget){file->whole.size / 8 + 64};
}

lstm_status lstm__hdf5_spend(lstm__hdf5_budget *budget, const lstm__cursor *place)
{
    if (budget->left == 0)
        return lstm__fail_at(place, "the structure of the file leads in a loop");
    budget->left--;
    return LSTM_OK;
}

lstm_status lstm__hdf5_work(const lstm__hdf5 *file)
{
    if (*file->work == 0)
        return lstm__fail(LSTM_ERROR_FORMAT,
                          "%s: takes more work than a file of %zu bytes can be worth",
                          file->whole.name, file->whole.size);
    --*file->work;
    return LSTM_OK;
}

lstm_status lstm__hdf5_at(const lstm__hdf5 *file, uint64_t address, const char *what,
                          lstm__cursor *cursor)
{
    *cursor = file->whole;
    if (address == LSTM__HDF5_NOWHERE)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: %s has no place in the file", file->whole.name,
                          what);
    if (address >= file->whole.size)
        return lstm__fail(LSTM_ERROR_FORMAT, "%s: %s is at offset %llu, beyond the end at %zu",
                          file->whole.name, what, (unsigned long long)address, file->whole.size);
    cursor->offset = (size_t)address;
    return LSTM_OK;
}

lstm_status lstm__hdf5_get_address(const lstm__hdf5 *file, lstm__cursor *cursor, uint64_t *address)
{
    RETURN_IF_ERROR(lstm__get_uint(cursor, file->offset_size, address));
    if (file->offset_size < 8 && *address == (UINT64_C(1) << 8 * file->offset_size) - 1)
        *address = LSTM__HDF5_NOWHERE;
    return LSTM_OK;
}

lstm_status lstm__hdf5_get_length(const lstm__hdf5 *file, lstm__cursor *cursor, uint64_t *length)
{
    return lstm__get_uint(cursor, file->length_size, length);
}

lstm_status lstm__hdf5_expect(lstm__cursor *cursor, const char *signature, const char *what)
{
    const unsigned char *bytes = NULL;
    lstm__cursor ahead = *cursor;
    RETURN_IF_ERROR(lstm__get_bytes(&ahead, 4, &bytes));
    if (memcmp(bytes, signature, 4) != 0)
        return lstm__fail_at(cursor, "expected %s, which starts with \"%s\"", what, signature);
    *cursor = ahead;
    return LSTM_OK;
}

size_t lstm__hdf5_width(uint64_t most)
{
    size_t bytes = 1;
    while (most >>= 8)
        bytes++;
    return bytes;
}

/* ---- Checksums: Bob Jenkins' lookup3 (2006), in 12-byte steps over three words */

static uint32_t turn(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t word_of(const unsigned char *bytes, size_t size)
{
    uint32_t word = 0;
    for (size_t k = 0; k < size && k < 4; k++)
        word |= (uint32_t)bytes[k] << 8 * k;
    return word;
}

uint32_t lstm__hdf5_checksum(const unsigned char *bytes, size_t size)
{
    static const int mixing[6] = {4, 6, 8, 16, 19, 4};
    static const int ending[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t w[3];
    w[0] = w[1] = w[2] = 0xdeadbeefu + (uint32_t)size;
    for (; size > 12; size -= 12, bytes += 12) {
        for (size_t k = 0; k < 3; k++)
            w[k] += word_of(bytes + 4 * k, 4);
        for (size_t k = 0; k < 6; k++) {
            uint32_t *const a = &w[k % 3];
            uint32_t *const b = &w[(k + 1) % 3];
            uint32_t *const c = &w[(k + 2) % 3];
            *a -= *c;
            *a ^= turn(*c, mixing[k]);
            *c += *b;
        }
    }
    if (size == 0)
        return w[2];
    for (size_t k = 0; k < 3; k++)
        w[k] += size > 4 * k ? word_of(bytes + 4 * k, size - 4 * k) : 0;
    for (size_t k = 0; k < 7; k++) {
        uint32_t *const to = &w[(k + 2) % 3];
        const uint32_t from = w[(k + 1) % 3];
        *to ^= from;
        *to -= turn(from, ending[k]);
    }
    return w[2];
}

lstm_status lstm__hdf5_check(const lstm__hdf5 *file, lstm__cursor *cursor, size_t start)
{
    uint32_t stored = 0;
    const size_t end = cursor->offset;
    RETURN_IF_ERROR(lstm__get_u32(cursor, &stored));
    const uint32_t computed = lstm__hdf5_checksum(cursor->bytes + start, end - start);
    if (file->checksums && computed != stored) {
        cursor->offset = start;
        return lstm__fail_at(cursor,
                             "damaged: the checksum of these %zu bytes is %08x, expected %08x",
                             end - start, (unsigned)computed, (unsigned)stored);
    }
    return LSTM_OK;
}

/* ---- Messages */

typedef struct blocks {
    uint64_t address[MOST_BLOCKS];
    uint64_t size[MOST_BLOCKS];
    size_t count;
    uint64_t bytes; /* of all */
} blocks;

static lstm_status add_block(const lstm__hdf5 *file, blocks *list, const lstm__cursor *message)
{
    lstm__cursor body = *message;
    uint64_t address = 0;
    uint64_t size = 0;
    RETURN_IF_ERROR(lstm__hdf5_get_address(file, &body, &address));
    RETURN_IF_ERROR(lstm__hdf5_get_length(file, &body, &size));
    if (list->count == MOST_BLOCKS)
        return lstm__fail_at(message, "an object header of more than %d blocks", MOST_BLOCKS);
    if (size > file->whole.size || list->bytes + size > file->whole.size)
        return lstm__fail_at(
            message, "the blocks of an object header are longer than the file, or lead in a loop");
    list->bytes += size;
    list->address[list->count] = address;
    list->size[list->count++] = size;
    return LSTM_OK;
}

static bool can_be_shared(uint32_t type)
{
    return type == LSTM__HDF5_DATASPACE || type == LSTM__HDF5_DATATYPE || type == LSTM__HDF5_FILL ||
           type == LSTM__HDF5_FILL_OLD || type == LSTM__HDF5_FILTERS ||
           type == LSTM__HDF5_ATTRIBUTE;
}

static bool is_known(uint32_t type)
{
    return type <= 24;
}

/* One message: `header` is at its start and passes it. */
static lstm_status read_message(const lstm__hdf5 *file, lstm__cursor *header, int version,
                                bool ordered, blocks *list, lstm__hdf5_visit visit, void *user)
{
    uint64_t type = 0;
    uint16_t size = 0;
    uint8_t flags = 0;
    const lstm__cursor start = *header;
    lstm__cursor body;
    RETURN_IF_ERROR(lstm__hdf5_work(file));
    RETURN_IF_ERROR(lstm__get_uint(header, version == 1 ? 2 : 1, &type));
    RETURN_IF_ERROR(lstm__get_u16(header, &size));
    RETURN_IF_ERROR(lstm__get_u8(header, &flags));
    RETURN_IF_ERROR(lstm__skip(header, version == 1 ? 3 : ordered ? 2 : 0));
    RETURN_IF_ERROR(lstm__get_part(header, size, &body));
    if (type == LSTM__HDF5_CONTINUATION)
        return add_block(file, list, &body);
    if ((flags & FLAG_SHARED) && can_be_shared((uint32_t)type))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: offset %zu: a shared message (a committed datatype, or a table of "
                          "shared messages): Keras "
                          "writes none, and this version reads none",
                          file->whole.name, start.base + start.offset);
    if (!is_known((uint32_t)type) && (flags & FLAG_MUST_KNOW))
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: offset %zu: a header message of type %llu that must be understood",
                          file->whole.name, start.base + start.offset, (unsigned long long)type);
    return type == 0 || !is_known((uint32_t)type) ? LSTM_OK : visit(user, (uint32_t)type, &body);
}

static lstm_status read_block(const lstm__hdf5 *file, lstm__cursor *block, int version,
                              bool ordered, blocks *list, lstm__hdf5_visit visit, void *user)
{
    const size_t smallest = version == 1 ? 8 : ordered ? 6 : 4;
    while (lstm__remaining(block) >= smallest)
        RETURN_IF_ERROR(read_message(file, block, version, ordered, list, visit, user));
    return LSTM_OK;
}

static lstm_status read_continuation(const lstm__hdf5 *file, size_t number, int version,
                                     bool ordered, blocks *list, lstm__hdf5_visit visit, void *user)
{
    lstm__cursor cursor;
    lstm__cursor block;
    uint64_t size = list->size[number];
    RETURN_IF_ERROR(
        lstm__hdf5_at(file, list->address[number], "a part of an object header", &cursor));
    const size_t start = cursor.offset;
    if (version == 2) {
        if (size < 8)
            return lstm__fail_at(&cursor, "a part of an object header of %llu bytes",
                                 (unsigned long long)size);
        RETURN_IF_ERROR(lstm__hdf5_expect(&cursor, "OCHK", "a part of an object header"));
        size -= 8;
    }
    RETURN_IF_ERROR(lstm__get_part(&cursor, size, &block));
    if (version == 2)
        RETURN_IF_ERROR(lstm__hdf5_check(file, &cursor, start));
    return read_block(file, &block, version, ordered, list, visit, user);
}

static lstm_status open_old(lstm__cursor *cursor, lstm__cursor *block)
{
    uint8_t version = 0;
    uint32_t size = 0;
    RETURN_IF_ERROR(lstm__get_u8(cursor, &version));
    if (version != 1)
        return lstm__fail_at(cursor,
                             "an object header of version %d; expected 1, or \"OHDR\" of version 2",
                             (int)version);
    RETURN_IF_ERROR(lstm__skip(cursor, 1 + 2 + 4));
    RETURN_IF_ERROR(lstm__get_u32(cursor, &size));
    RETURN_IF_ERROR(lstm__skip(cursor, 4));
    return lstm__get_part(cursor, size, block);
}

static lstm_status open_new(const lstm__hdf5 *file, lstm__cursor *cursor, lstm__cursor *block,
                            bool *ordered)
{
    const size_t start = cursor->offset;
    uint8_t version = 0;
    uint8_t flags = 0;
    uint64_t size = 0;
    RETURN_IF_ERROR(lstm__skip(cursor, 4));
    RETURN_IF_ERROR(lstm__get_u8(cursor, &version));
    RETURN_IF_ERROR(lstm__get_u8(cursor, &flags));
    if (version != 2)
        return lstm__fail_at(cursor, "an object header \"OHDR\" of version %d; expected 2",
                             (int)version);
    RETURN_IF_ERROR(
        lstm__skip(cursor, (flags & HEADER_TIMES ? 16 : 0) + (flags & HEADER_LIMITS ? 4 : 0)));
    RETURN_IF_ERROR(lstm__get_uint(cursor, (size_t)1 << (flags & HEADER_SIZE_BITS), &size));
    RETURN_IF_ERROR(lstm__get_part(cursor, size, block));
    *ordered = flags & HEADER_ORDER;
    return lstm__hdf5_check(file, cursor, start);
}

lstm_status lstm__hdf5_messages(const lstm__hdf5 *file, uint64_t address, lstm__hdf5_visit visit,
                                void *user)
{
    lstm__cursor cursor;
    lstm__cursor block;
    bool ordered = false;
    blocks list;
    list.count = 0;
    list.bytes = 0;
    RETURN_IF_ERROR(lstm__hdf5_at(file, address, "an object header", &cursor));
    const bool is_new = lstm__remaining(&cursor) >= 4 &&
                        memcmp(cursor.bytes + cursor.offset, "OHDR", 4) == 0;
    const int version = is_new ? 2 : 1;
    RETURN_IF_ERROR(is_new ? open_new(file, &cursor, &block, &ordered) : open_old(&cursor, &block));
    list.bytes = block.size;
    RETURN_IF_ERROR(read_block(file, &block, version, ordered, &list, visit, user));
    for (size_t k = 0; k < list.count; k++)
        RETURN_IF_ERROR(read_continuation(file, k, version, ordered, &list, visit, user));
    return LSTM_OK;
}
