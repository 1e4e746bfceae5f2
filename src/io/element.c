/* SPDX-License-Identifier: MIT
 *
 * Numbers of array files: IEEE 754 half, single and double, bfloat16, integers and bool, in either
 * byte order.
 *
 * Elements are put together from bytes, so neither their alignment nor the byte order of this
 * machine matters. A half is (-1)^s 2^(e-15) (1 + m/1024), or m 2^-24 where e = 0; both are exact
 * as floats. A bfloat16 is the upper half of a float's bits. Writers hand out the machine's own
 * bytes, which must therefore be little-endian.
 */
#include "element.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the writers of array files expect a little-endian machine");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8,
               "float and double are IEEE 754 single and double");

static const struct {
    const char *name;
    uint8_t size;
    int32_t kind;
} kinds[] = {
    {"F16", 2, LSTM__F16},   {"BF16", 2, LSTM__BF16}, {"F32", 4, LSTM__F32}, {"F64", 8, LSTM__F64},
    {"I8", 1, LSTM__I8},     {"I16", 2, LSTM__I16},   {"I32", 4, LSTM__I32}, {"I64", 8, LSTM__I64},
    {"U8", 1, LSTM__U8},     {"U16", 2, LSTM__U16},   {"U32", 4, LSTM__U32}, {"U64", 8, LSTM__U64},
    {"BOOL", 1, LSTM__BOOL},
};

size_t lstm__element_size(int32_t kind)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (kinds[k].kind == kind)
            return kinds[k].size;
    return 0;
}

const char *lstm__element_name(int32_t kind)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (kinds[k].kind == kind)
            return kinds[k].name;
    return "none";
}

int32_t lstm__element_from_name(const char *name)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return kinds[k].kind;
    return 0;
}

static inline uint64_t load(const unsigned char *bytes, size_t size, bool big_endian)
{
    uint64_t bits = 0;
    for (size_t k = 0; k < size; k++)
        bits |= (uint64_t)bytes[k] << 8 * (big_endian ? size - 1 - k : k);
    return bits;
}

static inline float single(uint32_t bits)
{
    float value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double real(uint64_t bits)
{
    double value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float half(uint32_t bits)
{
    const uint32_t sign = (bits & 0x8000u) << 16;
    const uint32_t exponent = bits >> 10 & 31;
    const uint32_t mantissa = bits & 0x3ff;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return single(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13);
}

/* `to` is the type read into; `bits` are those of the element. */
#define EACH(size, to, value)                                                      \
    for (size_t k = 0; k < e->count; k++) {                                        \
        const uint64_t bits = load(e->bytes + k * e->stride, size, e->big_endian); \
        out[k] = (to)(value);                                                      \
    }                                                                              \
    break

#define DEFINE_READ(name, to)                          \
    void name(const lstm__elements *e, to *out)        \
    {                                                  \
        switch (e->kind) {                             \
        case LSTM__F16:                                \
            EACH(2, to, half((uint32_t)bits));         \
        case LSTM__BF16:                               \
            EACH(2, to, single((uint32_t)bits << 16)); \
        case LSTM__F32:                                \
            EACH(4, to, single((uint32_t)bits));       \
        case LSTM__F64:                                \
            EACH(8, to, real(bits));                   \
        case LSTM__I8:                                 \
            EACH(1, to, (int8_t)bits);                 \
        case LSTM__I16:                                \
            EACH(2, to, (int16_t)bits);                \
        case LSTM__I32:                                \
            EACH(4, to, (int32_t)bits);                \
        case LSTM__I64:                                \
            EACH(8, to, (int64_t)bits);                \
        case LSTM__U8:                                 \
            EACH(1, to, bits);                         \
        case LSTM__U16:                                \
            EACH(2, to, bits);                         \
        case LSTM__U32:                                \
            EACH(4, to, bits);                         \
        case LSTM__U64:                                \
            EACH(8, to, bits);                         \
        case LSTM__BOOL:                               \
            EACH(1, to, bits != 0);                    \
        default:                                       \
            break;                                     \
        }                                              \
    }
static DEFINE_READ(read_floats_each, float) DEFINE_READ(lstm__read_doubles, double)

    void lstm__read_floats(const lstm__elements *e, float *out)
{
    /* most weights: floats that lie there as this machine has them */
    if (e->kind == LSTM__F32 && !e->big_endian && e->stride == sizeof *out && e->count > 0)
        memcpy(out, e->bytes, e->count * sizeof *out);
    else
        read_floats_each(e, out);
}

lstm_status lstm__read_integers(const lstm__elements *e, uint64_t *out)
{
    if (e->kind < LSTM__I8 || e->kind > LSTM__BOOL)
        return lstm__fail(LSTM_ERROR_FORMAT, "elements are %s; expected integers",
                          lstm__element_name(e->kind));
    const size_t size = lstm__element_size(e->kind);
    const bool may_be_negative = e->kind <= LSTM__I64;
    for (size_t k = 0; k < e->count; k++) {
        const uint64_t bits = load(e->bytes + k * e->stride, size, e->big_endian);
        if (may_be_negative && bits >> (8 * size - 1))
            return lstm__fail(LSTM_ERROR_FORMAT, "element %zu is negative; expected 0 or more", k);
        out[k] = e->kind == LSTM__BOOL ? bits != 0 : bits;
    }
    return LSTM_OK;
}

bool lstm__is_name(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t k = 0; k < length;) {
        const unsigned char first = p[k];
        size_t more = 0;
        uint32_t code = first;
        if (first < 0x20 || first == 0x7f)
            return false;
        if (first >= 0x80) {
            more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
            if (first < 0xc2 || first > 0xf4 || length - k <= more)
                return false;
            code = first & (0x3fu >> more);
        }
        for (size_t m = 1; m <= more; m++) {
            if ((p[k + m] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (p[k + m] & 0x3fu);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
            (code >= 0xd800 && code <= 0xdfff) || (more && code < 0xa0))
            return false;
        k += more + 1;
    }
    return length > 0;
}
