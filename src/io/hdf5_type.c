/* SPDX-License-Identifier: MIT
 *
 * HDF5 datatypes and dataspaces (HDF5 File Format Specification 3.0, IV.A.2.b and IV.A.2.d).
 *
 *     datatype:   class (4 bits) and version (4 bits) | 24 bits of the class | size (4) | properties of the class
 *     dataspace:  version | rank | flags | version 1: 5 bytes, version 2: kind | sizes | [largest sizes]
 *
 * Integers and floats are taken only in the exact forms that C has; every other type gets kind 0
 * and a name, and fails when somebody wants its numbers.
 */
#include "checked.h"
#include "hdf5_format.h"

#include <string.h>

enum {
    CLASS_INTEGER = 0,
    CLASS_FLOAT = 1,
    CLASS_TEXT = 3,
    CLASS_VARIABLE = 9,
    CLASSES = 12,
    NULL_SPACE = 2
};

const char *lstm__hdf5_type_name(const lstm__hdf5_type *type)
{
    static const char *const names[CLASSES] = {
        "integer",   "float",           "time",     "text",
        "bit field", "opaque",          "compound", "reference",
        "enum",      "variable-length", "array",    "complex"};
    return type->class >= 0 && type->class < CLASSES ? names[type->class] : "unknown";
}

/* Whole bytes, no padding. */
static lstm_status parse_integer(lstm__cursor *body, uint64_t bits, lstm__hdf5_type *type)
{
    static const int32_t kinds[2][9] = {
        {0, LSTM__U8, LSTM__U16, 0, LSTM__U32, 0, 0, 0, LSTM__U64},
        {0, LSTM__I8, LSTM__I16, 0, LSTM__I32, 0, 0, 0, LSTM__I64},
    };
    uint16_t offset = 0;
    uint16_t precision = 0;
    RETURN_IF_ERROR(lstm__get_u16(body, &offset));
    RETURN_IF_ERROR(lstm__get_u16(body, &precision));
    if (type->size <= 8 && offset == 0 && precision == 8 * type->size)
        type->kind = kinds[bits >> 3 & 1][type->size];
    type->big_endian = bits & 1;
    return LSTM_OK;
}

/* IEEE 754 half, single, double, and bfloat16. */
static lstm_status parse_float(lstm__cursor *body, uint64_t bits, lstm__hdf5_type *type)
{
    static const struct {
        unsigned char size, exponent_at, exponent_size, mantissa_size;
        uint32_t bias;
        int32_t kind;
    } forms[] = {{2, 10, 5, 10, 15, LSTM__F16},
                 {2, 7, 8, 7, 127, LSTM__BF16},
                 {4, 23, 8, 23, 127, LSTM__F32},
                 {8, 52, 11, 52, 1023, LSTM__F64}};
    const unsigned char *p = NULL;
    uint32_t bias = 0;
    RETURN_IF_ERROR(lstm__get_bytes(body, 8, &p)); /* offset (2), precision (2), then a byte each */
    RETURN_IF_ERROR(lstm__get_u32(body, &bias));
    const bool vax = bits >> 6 & 1;
    const bool implied = (bits >> 4 & 3) == 2;
    const size_t sign = bits >> 8 & 255;
    for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++)
        if (forms[k].size == type->size && p[0] == 0 && p[1] == 0 && p[2] == 8 * forms[k].size &&
            p[3] == 0 && p[4] == forms[k].exponent_at && p[5] == forms[k].exponent_size &&
            p[6] == 0 && p[7] == forms[k].mantissa_size && bias == forms[k].bias &&
            sign == 8 * type->size - 1u && implied && !vax)
            type->kind = forms[k].kind;
    type->big_endian = bits & 1;
    return LSTM_OK;
}

lstm_status lstm__hdf5_parse_type(lstm__cursor *body, lstm__hdf5_type *type)
{
    uint8_t first = 0;
    uint64_t bits = 0;
    uint32_t size = 0;
    *type = (lstm__hdf5_type){0};
    const lstm__cursor start = *body;
    RETURN_IF_ERROR(lstm__get_u8(body, &first));
    RETURN_IF_ERROR(lstm__get_uint(body, 3, &bits));
    RETURN_IF_ERROR(lstm__get_u32(body, &size));
    const int version = first >> 4;
    if (version < 1 || version > 5)
        return lstm__fail_at(&start, "a datatype of version %d; expected 1 to 5", version);
    if (size == 0)
        return lstm__fail_at(&start, "a datatype of 0 bytes");
    type->class = first & 15;
    type->size = size;
    switch (type->class) {
    case CLASS_INTEGER:
        return parse_integer(body, bits, type);
    case CLASS_FLOAT:
        return parse_float(body, bits, type);
    case CLASS_TEXT:
        type->text = 1;
        type->padding = (int)(bits & 15);
        return LSTM_OK;
    case CLASS_VARIABLE:
        type->text = (bits & 15) == 1 ? 2 : 0;
        return LSTM_OK;
    default:
        return LSTM_OK;
    }
}

lstm_status lstm__hdf5_parse_shape(const lstm__hdf5 *file, lstm__cursor *body, int32_t *rank,
                                   int64_t *shape, size_t *count)
{
    uint8_t version = 0;
    uint8_t dimensions = 0;
    uint8_t kind = 1;
    const lstm__cursor start = *body;
    RETURN_IF_ERROR(lstm__get_u8(body, &version));
    RETURN_IF_ERROR(lstm__get_u8(body, &dimensions));
    RETURN_IF_ERROR(lstm__skip(body, 1));
    if (version == 1)
        RETURN_IF_ERROR(lstm__skip(body, 5));
    else if (version == 2)
        RETURN_IF_ERROR(lstm__get_u8(body, &kind));
    else
        return lstm__fail_at(&start, "a dataspace of version %d; expected 1 or 2", (int)version);
    if (kind > NULL_SPACE || (kind != 1 && dimensions > 0))
        return lstm__fail_at(&start, "a dataspace of kind %d and rank %d", (int)kind,
                             (int)dimensions);
    if (dimensions > LSTM__MOST_DIMENSIONS)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                          "%s: offset %zu: an array of %d dimensions: at most %d are read",
                          start.name, start.base + start.offset, (int)dimensions,
                          LSTM__MOST_DIMENSIONS);
    for (size_t k = 0; k < dimensions; k++) {
        uint64_t size = 0;
        RETURN_IF_ERROR(lstm__hdf5_get_length(file, body, &size));
        if (size > INT64_MAX)
            return lstm__fail_at(&start, "dimension %zu is %llu", k, (unsigned long long)size);
        shape[k] = (int64_t)size;
    }
    *rank = kind == NULL_SPACE ? -1 : dimensions;
    if (kind == NULL_SPACE)
        *count = 0;
    else if (!lstm__product(shape, dimensions, count))
        return lstm__fail_at(&start, "the product of the %d dimensions overflows", (int)dimensions);
    return LSTM_OK;
}
