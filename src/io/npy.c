/* SPDX-License-Identifier: MIT
 *
 * The .npy format (NumPy's numpy/lib/format.py, "Format Version 1.0" to 3.0):
 *
 *     6 bytes        \x93NUMPY
 *     2 bytes        version, major and minor
 *     2 or 4 bytes   N, little-endian: 2 in version 1, 4 in versions 2 and 3
 *     N bytes        a Python dictionary literal with exactly 'descr', 'fortran_order' and 'shape', then blanks
 *     the rest       the elements
 *
 * The dictionary is read by a parser of the few things that it may hold: quoted texts without
 * escapes, True and False, tuples of whole numbers (with the L that Python 2 wrote). Anything else
 * is an error, nothing is ever evaluated. Every key must be there once. The elements must fill the
 * rest of the file exactly.
 */
#include "npy.h"

#include "checked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

enum { MOST_HEADER = 1 << 20, MOST_DESCR = 16, ALIGNMENT = 64 };

bool lstm__is_npy(const unsigned char *bytes, size_t size)
{
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

/* ---- The dictionary ---- */

static char peek(const lstm__cursor *c)
{
    return c->offset < c->size ? (char)c->bytes[c->offset] : 0;
}

static void skip_blanks(lstm__cursor *c)
{
    while (c->offset < c->size &&
           (peek(c) == ' ' || peek(c) == '\n' || peek(c) == '\t' || peek(c) == '\r'))
        c->offset++;
}

/* Skip blanks and, if the next character is `wanted`, that too. */
static bool accept(lstm__cursor *c, char wanted)
{
    skip_blanks(c);
    if (wanted == 0 || peek(c) != wanted)
        return false;
    c->offset++;
    return true;
}

static lstm_status expect(lstm__cursor *c, char wanted)
{
    if (accept(c, wanted))
        return LSTM_OK;
    return lstm__fail_at(c, "the .npy header needs '%c' here", wanted);
}

/* A text in single or double quotes. */
static lstm_status read_text(lstm__cursor *c, char *text, size_t capacity)
{
    skip_blanks(c);
    const char quote = peek(c);
    if (quote != '\'' && quote != '"')
        return lstm__fail_at(c, "the .npy header needs a quoted text here");
    c->offset++;
    size_t length = 0;
    while (peek(c) != quote) {
        const char next = peek(c);
        if (next < 0x20 || next > 0x7e || next == '\\')
            return lstm__fail_at(
                c, "a text in the .npy header is not closed or holds unusual characters");
        if (length + 1 >= capacity)
            return lstm__fail_at(c, "a text in the .npy header is longer than %zu characters",
                                 capacity - 1);
        text[length++] = next;
        c->offset++;
    }
    c->offset++;
    text[length] = 0;
    return LSTM_OK;
}

static bool accept_word(lstm__cursor *c, const char *word)
{
    const size_t length = strlen(word);
    if (lstm__remaining(c) < length || memcmp(c->bytes + c->offset, word, length) != 0)
        return false;
    c->offset += length;
    return true;
}

static lstm_status read_order(lstm__cursor *c, lstm__npy *npy)
{
    skip_blanks(c);
    if (accept_word(c, "True"))
        npy->fortran_order = true;
    else if (accept_word(c, "False"))
        npy->fortran_order = false;
    else
        return lstm__fail_at(c, "fortran_order is neither True nor False");
    return LSTM_OK;
}

static lstm_status read_dimension(lstm__cursor *c, int64_t *value)
{
    skip_blanks(c);
    if (peek(c) == '-')
        return lstm__fail_at(c, "shape holds a negative dimension");
    if (peek(c) < '0' || peek(c) > '9')
        return lstm__fail_at(c, "shape needs a whole number here");
    *value = 0;
    while (peek(c) >= '0' && peek(c) <= '9') {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, peek(c) - '0', value))
            return lstm__fail_at(c, "a dimension in shape does not fit in 64 bits");
        c->offset++;
    }
    accept_word(c, "L");
    return LSTM_OK;
}

static lstm_status read_shape(lstm__cursor *c, lstm__npy *npy)
{
    RETURN_IF_ERROR(expect(c, '('));
    npy->rank = 0;
    bool comma = true;
    while (!accept(c, ')')) {
        if (!comma)
            return lstm__fail_at(c, "shape is not a tuple of whole numbers");
        if (npy->rank == LSTM__MOST_DIMENSIONS)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: the array has more than %d dimensions",
                              c->name, LSTM__MOST_DIMENSIONS);
        RETURN_IF_ERROR(read_dimension(c, &npy->shape[npy->rank++]));
        comma = accept(c, ',');
    }
    if (npy->rank == 1 && !comma)
        return lstm__fail_at(c, "shape is a number in brackets, not a tuple");
    return LSTM_OK;
}

static lstm_status read_descr(lstm__cursor *c, lstm__npy *npy)
{
    static const struct {
        char text[4];
        int32_t kind;
    } known[] = {
        {"f2", LSTM__F16}, {"f4", LSTM__F32}, {"f8", LSTM__F64}, {"i1", LSTM__I8},
        {"i2", LSTM__I16}, {"i4", LSTM__I32}, {"i8", LSTM__I64}, {"u1", LSTM__U8},
        {"u2", LSTM__U16}, {"u4", LSTM__U32}, {"u8", LSTM__U64}, {"b1", LSTM__BOOL},
    };
    skip_blanks(c);
    if (peek(c) == '[' || peek(c) == '(')
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: a structured array (a table of records); save one array of "
                          "numbers",
                          c->name);
    char text[MOST_DESCR + 1];
    RETURN_IF_ERROR(read_text(c, text, sizeof text));
    const char order = text[0];
    for (size_t k = 0; order != 0 && k < sizeof known / sizeof known[0]; k++)
        if (strcmp(text + 1, known[k].text) == 0) {
            npy->kind = known[k].kind;
            npy->big_endian = order == '>';
            const bool single_byte = lstm__element_size(npy->kind) == 1;
            if (order == '<' || order == '>' || (order == '|' && single_byte))
                return LSTM_OK;
            return lstm__fail_at(c, "descr '%s' has no byte order; expected '<' or '>'", text);
        }
    if (strcmp(text, "|O") == 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: an array of Python objects (dtype object), which is never read: "
                          "it could run code; save numbers",
                          c->name);
    return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                      "%s: elements of type '%s'; supported are float16, 32, 64, int8 to 64, "
                      "uint8 to 64 and bool",
                      c->name, text);
}

static lstm_status read_dictionary(lstm__cursor *c, lstm__npy *npy)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    bool comma = true;
    RETURN_IF_ERROR(expect(c, '{'));
    while (!accept(c, '}')) {
        char key[MOST_DESCR + 1];
        if (!comma)
            return lstm__fail_at(c, "the .npy header needs ',' or '}' here");
        RETURN_IF_ERROR(read_text(c, key, sizeof key));
        unsigned k = 0;
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen & 1u << k)
            return lstm__fail_at(c, "the .npy header has %s key '%s'",
                                 k == 3 ? "an unknown" : "twice the", key);
        seen |= 1u << k;
        RETURN_IF_ERROR(expect(c, ':'));
        RETURN_IF_ERROR(k == 0   ? read_descr(c, npy)
                        : k == 1 ? read_order(c, npy)
                                 : read_shape(c, npy));
        comma = accept(c, ',');
    }
    for (unsigned k = 0; k < 3; k++)
        if (!(seen & 1u << k))
            return lstm__fail_at(c, "the .npy header has no '%s'", keys[k]);
    skip_blanks(c);
    if (lstm__remaining(c) > 0)
        return lstm__fail_at(c, "the .npy header goes on after its dictionary");
    return LSTM_OK;
}

/* ---- The file ---- */

static lstm_status read_header(lstm__cursor *cursor, lstm__cursor *header)
{
    const unsigned char *start = NULL;
    uint8_t major = 0;
    uint8_t minor = 0;
    uint64_t length = 0;
    if (!lstm__is_npy(cursor->bytes + cursor->offset, lstm__remaining(cursor)))
        return lstm__fail_at(cursor, "this is not a .npy array: it does not begin with \\x93NUMPY");
    RETURN_IF_ERROR(lstm__get_bytes(cursor, sizeof magic, &start));
    RETURN_IF_ERROR(lstm__get_u8(cursor, &major));
    RETURN_IF_ERROR(lstm__get_u8(cursor, &minor));
    if (major < 1 || major > 3 || minor != 0)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: version %d.%d of the .npy format; supported are 1.0, 2.0, 3.0",
                          cursor->name, major, minor);
    RETURN_IF_ERROR(lstm__get_uint(cursor, major == 1 ? 2 : 4, &length));
    if (length > MOST_HEADER)
        return lstm__fail_at(cursor, "a .npy header of %" PRIu64 " bytes; at most %d are allowed",
                             length, MOST_HEADER);
    return lstm__get_part(cursor, length, header);
}

lstm_status lstm__npy_describe(lstm__npy *npy, lstm__cursor *cursor, uint64_t file)
{
    lstm__cursor header;
    *npy = (lstm__npy){0};
    RETURN_IF_ERROR(read_header(cursor, &header));
    RETURN_IF_ERROR(read_dictionary(&header, npy));
    size_t bytes = 0;
    if (!lstm__product(npy->shape, (size_t)npy->rank, &npy->count) ||
        !lstm__mul(npy->count, lstm__element_size(npy->kind), &bytes))
        return lstm__fail_at(cursor, "the product of the array's shape overflows");
    const uint64_t left = file - cursor->offset;
    if (bytes != left)
        return lstm__fail_at(
            cursor, "%zu elements of %zu bytes need %zu bytes, the file holds %llu: it %s",
            npy->count, lstm__element_size(npy->kind), bytes, (unsigned long long)left,
            bytes > left ? "is cut off" : "goes on after the array");
    return LSTM_OK;
}

lstm_status lstm__npy_parse(lstm__npy *npy, lstm__cursor *cursor)
{
    RETURN_IF_ERROR(lstm__npy_describe(npy, cursor, cursor->size));
    return lstm__get_bytes(cursor, lstm__remaining(cursor), &npy->bytes);
}

void lstm__npy_floats(const lstm__npy *npy, float *values)
{
    const size_t size = lstm__element_size(npy->kind);
    lstm__elements elements = {.bytes = npy->bytes,
                               .kind = npy->kind,
                               .big_endian = npy->big_endian,
                               .stride = size,
                               .count = npy->count};
    if (!npy->fortran_order || npy->rank < 2 || npy->count == 0) {
        lstm__read_floats(&elements, values);
        return;
    }
    /* Row by row of the result: `index` counts through all dimensions but the last, `place` is its
     * row's source. */
    const int32_t last = npy->rank - 1;
    const size_t row = (size_t)npy->shape[last];
    int64_t index[LSTM__MOST_DIMENSIONS] = {0};
    elements.stride = npy->count / row * size;
    elements.count = row;
    for (size_t done = 0; done < npy->count; done += row) {
        size_t place = 0;
        size_t step = size;
        for (int32_t d = 0; d < last; d++) {
            place += (size_t)index[d] * step;
            step *= (size_t)npy->shape[d];
        }
        elements.bytes = npy->bytes + place;
        lstm__read_floats(&elements, values + done);
        for (int32_t d = last - 1; d >= 0 && ++index[d] == npy->shape[d]; d--)
            index[d] = 0;
    }
}

size_t lstm__npy_header(char header[LSTM__NPY_HEADER], int32_t rank, const int64_t *shape)
{
    /* 10 bytes before the dictionary; 8 dimensions of at most 19 digits and a ", " fit in the rest.
     */
    char *const text = header + sizeof magic + 4;
    const size_t room = LSTM__NPY_HEADER - sizeof magic - 4;
    size_t used = (size_t)snprintf(text, room,
                                   "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int32_t d = 0; d < rank; d++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRId64 "%s", d ? ", " : "",
                                 shape[d], rank == 1 ? "," : "");
    used += (size_t)snprintf(text + used, room - used, "), }");
    while ((sizeof magic + 4 + used + 1) % ALIGNMENT != 0)
        text[used++] = ' ';
    text[used++] = '\n';
    memcpy(header, magic, sizeof magic);
    header[sizeof magic] = 1;
    header[sizeof magic + 1] = 0;
    header[sizeof magic + 2] = (char)(used & 255);
    header[sizeof magic + 3] = (char)(used >> 8);
    return sizeof magic + 4 + used;
}
