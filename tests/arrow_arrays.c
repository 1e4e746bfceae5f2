/* SPDX-License-Identifier: MIT
 * Arrow arrays made by hand; see arrow_arrays.h.
 */
#include "arrow_arrays.h"
#include "closeness.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *block(size_t size)
{
    void *memory = calloc(size + 1, 1);
    assert_non_null(memory);
    return memory;
}

static char *text(const char *from)
{
    char *copy = block(strlen(from));
    memcpy(copy, from, strlen(from));
    return copy;
}

static void release_schema(struct ArrowSchema *schema)
{
    assert_non_null(schema->release);
    for (int64_t k = 0; k < schema->n_children; k++) {
        if (schema->children[k]->release)
            schema->children[k]->release(schema->children[k]);
        free(schema->children[k]);
    }
    free(schema->children);
    free((char *)(uintptr_t)schema->format);
    free((char *)(uintptr_t)schema->name);
    if (schema->private_data)
        ((released *)schema->private_data)->schemas++;
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    assert_non_null(array->release);
    for (int64_t k = 0; k < array->n_children; k++) {
        if (array->children[k]->release)
            array->children[k]->release(array->children[k]);
        free(array->children[k]);
    }
    for (int64_t k = 0; k < array->n_buffers; k++)
        free((void *)(uintptr_t)array->buffers[k]);
    free(array->children);
    free(array->buffers);
    if (array->private_data)
        ((released *)array->private_data)->arrays++;
    array->release = NULL;
}

static column new_column(const char *name, const char *format, size_t count, size_t offset,
                         int64_t buffers, int64_t children)
{
    column c = {block(sizeof *c.schema), block(sizeof *c.array)};
    *c.schema = (struct ArrowSchema){.format = text(format),
                                     .name = text(name),
                                     .flags = ARROW_FLAG_NULLABLE,
                                     .n_children = children,
                                     .children = block((size_t)children * sizeof(void *)),
                                     .release = release_schema};
    *c.array = (struct ArrowArray){.length = (int64_t)count,
                                   .offset = (int64_t)offset,
                                   .n_buffers = buffers,
                                   .n_children = children,
                                   .buffers = block((size_t)buffers * sizeof(void *)),
                                   .children = block((size_t)children * sizeof(void *)),
                                   .release = release_array};
    return c;
}

static uint16_t half_of(double value) /* of whole numbers up to 2048 */
{
    uint32_t bits = 0;
    const float single = (float)value;
    memcpy(&bits, &single, sizeof bits);
    if (value == 0)
        return 0;
    return (uint16_t)((bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 |
                      (bits >> 13 & 0x3ff));
}

#define STORE(type)                                                    \
    do {                                                               \
        const type number_ = (type)value;                              \
        memcpy(bytes + at * sizeof number_, &number_, sizeof number_); \
    } while (0)

static void store(char format, unsigned char *bytes, size_t at, double value)
{
    switch (format) {
    case 'b':
        bytes[at / 8] = (unsigned char)(bytes[at / 8] | (value != 0) << at % 8);
        break;
    case 'c':
        STORE(int8_t);
        break;
    case 'C':
        STORE(uint8_t);
        break;
    case 's':
        STORE(int16_t);
        break;
    case 'S':
        STORE(uint16_t);
        break;
    case 'i':
        STORE(int32_t);
        break;
    case 'I':
        STORE(uint32_t);
        break;
    case 'l':
        STORE(int64_t);
        break;
    case 'L':
        STORE(uint64_t);
        break;
    case 'e': {
        const uint16_t half = half_of(value);
        memcpy(bytes + at * sizeof half, &half, sizeof half);
        break;
    }
    case 'f':
        STORE(float);
        break;
    default:
        STORE(double);
    }
}

column numbers_column(const char *name, char format, const double *values, size_t count,
                      size_t offset)
{
    const char letter[2] = {format, 0};
    column c = new_column(name, letter, count, offset, 2, 0);
    unsigned char *bytes = block((count + offset) * sizeof(double));
    for (size_t k = 0; k < offset; k++)
        store(format, bytes, k, 77 + (double)k);
    for (size_t k = 0; k < count; k++)
        store(format, bytes, offset + k, values[k]);
    c.array->buffers[1] = bytes;
    return c;
}

column fixed_lists(const char *name, size_t size, column items, size_t count, size_t offset)
{
    char format[32];
    snprintf(format, sizeof format, "+w:%zu", size);
    column c = new_column(name, format, count, offset, 1, 1);
    c.schema->children[0] = items.schema;
    c.array->children[0] = items.array;
    return c;
}

column any_lists(const char *name, int wide, column items, const int *lengths, size_t count,
                 size_t offset)
{
    column c = new_column(name, wide ? "+L" : "+l", count, offset, 2, 1);
    unsigned char *bytes = block((count + offset + 1) * sizeof(int64_t));
    int64_t at = 0;
    for (size_t k = 0; k <= count; k++) {
        store(wide ? 'l' : 'i', bytes, offset + k, (double)at);
        at += k < count ? lengths[k] : 0;
    }
    c.array->buffers[1] = bytes;
    c.schema->children[0] = items.schema;
    c.array->children[0] = items.array;
    return c;
}

void make_null(struct ArrowArray *array, size_t index)
{
    const size_t bytes = (size_t)(array->length + array->offset) / 8 + 1;
    if (!array->buffers[0]) {
        array->buffers[0] = block(bytes);
        memset((void *)(uintptr_t)array->buffers[0], 0xff, bytes);
    }
    unsigned char *bits = (unsigned char *)(uintptr_t)array->buffers[0];
    const size_t at = (size_t)array->offset + index;
    bits[at / 8] = (unsigned char)(bits[at / 8] & ~(1 << at % 8));
    array->null_count = -1; /* not counted, as the specification allows */
}

void batch_of(struct ArrowSchema *schema, struct ArrowArray *batch, const column *columns,
              size_t count, size_t rows, size_t offset, released *counts)
{
    column c = new_column("", "+s", rows, offset, 1, (int64_t)count);
    for (size_t k = 0; k < count; k++) {
        c.schema->children[k] = columns[k].schema;
        c.array->children[k] = columns[k].array;
    }
    c.schema->private_data = c.array->private_data = counts;
    *batch = *c.array;
    free(c.array);
    if (schema) {
        *schema = *c.schema;
    } else {
        c.schema->private_data = NULL;
        c.schema->release(c.schema);
    }
    free(c.schema);
}
