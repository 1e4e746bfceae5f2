/* SPDX-License-Identifier: MIT
 * Columns of Arrow record batches; see arrow_column.h.
 *
 * Three offsets are added where others have lost one of them (a slice of a batch moves the batch's, a
 * slice of a column the column's, and a column of lists may lie on a slice of numbers): element e of
 * an array lies at offset + e in its buffers, validity bits included; element e of a batch is element
 * offset + e of its columns; the items of element e of a list of N stand from (offset + e) * N on in
 * its child, counted without the child's own offset.
 *
 * The numbers of a batch are the producer's: they are not changed, and everything that is used to
 * find them (lengths, offsets of lists) is checked once, before the first row is read.
 */
#include "arrow_column.h"
#include "checked.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Schema */

/* What people call the formats that are not read, by their beginnings. */
static const char *format_name(const char *format)
{
    static const char *const names[][2] = {{"n", "null"},
                                           {"u", "utf8"},
                                           {"U", "large_utf8"},
                                           {"vu", "utf8_view"},
                                           {"z", "binary"},
                                           {"Z", "large_binary"},
                                           {"vz", "binary_view"},
                                           {"w:", "fixed_size_binary"},
                                           {"d:", "decimal"},
                                           {"tdD", "date32"},
                                           {"tdm", "date64"},
                                           {"tts", "time32[s]"},
                                           {"ttm", "time32[ms]"},
                                           {"ttu", "time64[us]"},
                                           {"ttn", "time64[ns]"},
                                           {"tss:", "timestamp[s]"},
                                           {"tsm:", "timestamp[ms]"},
                                           {"tsu:", "timestamp[us]"},
                                           {"tsn:", "timestamp[ns]"},
                                           {"tD", "duration"},
                                           {"ti", "interval"},
                                           {"+s", "struct"},
                                           {"+m", "map"},
                                           {"+u", "union"},
                                           {"+r", "run_end_encoded"},
                                           {"+vl", "list_view"},
                                           {"+vL", "large_list_view"},
                                           {"+l", "list"},
                                           {"+L", "large_list"},
                                           {"+w:", "fixed_size_list"}};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (strncmp(format, names[k][0], strlen(names[k][0])) == 0)
            return names[k][1];
    return "unknown";
}

static lstm_status refuse(const char *name, const struct ArrowSchema *schema, const char *why)
{
    return lstm__fail(LSTM_ERROR_UNSUPPORTED, "column \"%s\": format \"%.40s\" (%s): %s", name,
                      schema->format, format_name(schema->format), why);
}

/* The kind of a format of one letter; 0 = none of ours. */
static int32_t kind_of(const char *format)
{
    static const struct {
        char letter;
        int32_t kind;
    } kinds[] = {{'b', LSTM__ARROW_BIT}, {'c', LSTM__I8},  {'C', LSTM__U8},  {'s', LSTM__I16},
                 {'S', LSTM__U16},       {'i', LSTM__I32}, {'I', LSTM__U32}, {'l', LSTM__I64},
                 {'L', LSTM__U64},       {'e', LSTM__F16}, {'f', LSTM__F32}, {'g', LSTM__F64}};
    for (size_t k = 0; format[0] && !format[1] && k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k].letter == format[0])
            return kinds[k].kind;
    return 0;
}

/* The text of an entry of a schema's metadata, which are pairs of lengths and bytes in native integers;
 * NULL = there is none. */
static const char *metadata_of(const struct ArrowSchema *schema, const char *key, size_t *length)
{
    const char *at = schema->metadata;
    int32_t pairs = 0;
    if (!at)
        return NULL;
    memcpy(&pairs, at, sizeof pairs);
    at += sizeof pairs;
    for (int32_t k = 0; k < pairs; k++) {
        int32_t lengths[2];
        const char *texts[2];
        for (int i = 0; i < 2; i++) {
            memcpy(&lengths[i], at, sizeof lengths[i]);
            texts[i] = at + sizeof lengths[i];
            at = texts[i] + lengths[i];
        }
        *length = (size_t)lengths[1];
        if ((size_t)lengths[0] == strlen(key) && memcmp(texts[0], key, strlen(key)) == 0)
            return texts[1];
    }
    return NULL;
}

/* Whether an extension type's parameters (a JSON text) put the axes of a tensor in another order than
 * 0, 1, 2, … */
static bool is_permuted(const struct ArrowSchema *schema)
{
    static const char word[] = "\"permutation\"";
    size_t length = 0;
    const char *text = metadata_of(schema, "ARROW:extension:metadata", &length);
    long axis = 0;
    bool found = false;
    for (size_t at = 0; text && at < length && !(found && text[at] == ']'); at++) {
        if (!found) {
            found = at + sizeof word - 1 <= length && memcmp(text + at, word, sizeof word - 1) == 0;
            at += found ? sizeof word - 1 : 0;
        } else if (text[at] >= '0' && text[at] <= '9') {
            long number = 0;
            for (; at < length && text[at] >= '0' && text[at] <= '9' && number < 1000; at++)
                number = 10 * number + (text[at] - '0');
            at--;
            if (number != axis++)
                return true;
        }
    }
    return false;
}

lstm_status lstm__arrow_check_schema(const struct ArrowSchema *schema)
{
    if (!schema->release)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the Arrow schema has been released");
    if (!schema->format || strcmp(schema->format, "+s") != 0)
        return lstm__fail(
            LSTM_ERROR_FORMAT,
            "the Arrow schema has the format \"%.40s\" (%s): expected a record batch, "
            "\"+s\" (struct)",
            schema->format ? schema->format : "",
            format_name(schema->format ? schema->format : ""));
    for (int64_t k = 0; k < schema->n_children; k++)
        if (!schema->children || !schema->children[k] || !schema->children[k]->format)
            return lstm__fail(LSTM_ERROR_FORMAT, "the Arrow schema has no column %lld of %lld",
                              (long long)k, (long long)schema->n_children);
    return LSTM_OK;
}

static const char *name_of(const struct ArrowSchema *schema)
{
    return schema->name ? schema->name : "";
}

static lstm_status fail_not_found(const struct ArrowSchema *schema, const char *name)
{
    char there[400] = "";
    size_t used = 0;
    for (int64_t k = 0; k < schema->n_children && used < sizeof there; k++)
        used += (size_t)snprintf(there + used, sizeof there - used, "%s\"%.60s\"",
                                 k == 0 ? "" : ", ", name_of(schema->children[k]));
    return lstm__fail(LSTM_ERROR_NOT_FOUND, "there is no column \"%s\" in the record batch: %s",
                      name, there);
}

/* Number of items of "+w:N"; 0 = that is no number. */
static size_t fixed_size(const char *format)
{
    char *end = NULL;
    const long long size = strtoll(format + 3, &end, 10);
    return format[3] && !*end && size > 0 && size <= INT32_MAX ? (size_t)size : 0;
}

/* One list; *child is what it holds. */
static lstm_status read_list(lstm__arrow_type *type, const struct ArrowSchema *own)
{
    const bool fixed = strncmp(own->format, "+w:", 3) == 0;
    const size_t level = type->levels;
    if (level == LSTM__ARROW_LEVELS)
        return refuse(type->name, own, "lists in more than four lists are not read");
    if (own->n_children != 1 || !own->children || !own->children[0] || !own->children[0]->format)
        return lstm__fail(LSTM_ERROR_FORMAT, "column \"%s\": a list of %lld children", type->name,
                          (long long)own->n_children);
    type->sizes[level] = fixed ? fixed_size(own->format) : 0;
    if (fixed && type->sizes[level] == 0)
        return refuse(type->name, own, "lists of at least one item are read");
    if (!fixed && level > 0)
        return refuse(type->name, own, "lists inside lists must be of a fixed size");
    if (level > 0 && !lstm__mul(type->item, type->sizes[level], &type->item))
        return refuse(type->name, own, "too many numbers");
    if (!fixed) {
        type->varies = true;
        type->wide = own->format[1] == 'L';
    }
    type->levels++;
    return LSTM_OK;
}

lstm_status lstm__arrow_type_read(lstm__arrow_type *type, const struct ArrowSchema *schema,
                                  const char *name)
{
    const struct ArrowSchema *own = NULL;
    *type = (lstm__arrow_type){.item = 1};
    for (int64_t k = 0; k < schema->n_children; k++) {
        if (strcmp(name_of(schema->children[k]), name) != 0)
            continue;
        if (own)
            return lstm__fail(LSTM_ERROR_FORMAT, "two columns are called \"%s\"", name);
        own = schema->children[k];
        type->child = (size_t)k;
    }
    if (!own)
        return fail_not_found(schema, name);
    type->name = name_of(own);
    for (;;) {
        if (own->dictionary)
            return refuse(name, own, "dictionary-encoded columns are not read: decode it");
        if (is_permuted(own))
            return refuse(name, own, "tensors with a permutation are not read");
        if (strcmp(own->format, "+l") != 0 && strcmp(own->format, "+L") != 0 &&
            strncmp(own->format, "+w:", 3) != 0)
            break;
        RETURN_IF_ERROR(read_list(type, own));
        own = own->children[0];
    }
    type->kind = kind_of(own->format);
    return type->kind ? LSTM_OK
                      : refuse(name, own,
                               "bool, integers, float16, float and double are read, and lists of "
                               "them");
}

bool lstm__arrow_is_whole(const lstm__arrow_type *type)
{
    return type->kind != LSTM__F16 && type->kind != LSTM__F32 && type->kind != LSTM__F64;
}

/* ---- Finding numbers */

/* Elements of an array: `count` from `first` on, its own offset not yet added. */
typedef struct range {
    const struct ArrowArray *array;
    size_t first, count;
} range;

static bool bit(const void *bits, size_t index)
{
    return (((const unsigned char *)bits)[index / 8] >> (index % 8)) & 1;
}

static size_t list_offset(const lstm__arrow_type *type, const struct ArrowArray *list, size_t index)
{
    const unsigned char *at = list->buffers[1];
    int64_t wide = 0;
    int32_t narrow = 0;
    if (type->wide) {
        memcpy(&wide, at + index * sizeof wide, sizeof wide);
        return (size_t)wide;
    }
    memcpy(&narrow, at + index * sizeof narrow, sizeof narrow);
    return (size_t)narrow;
}

/* A range of rows in the column itself. */
static range in_column(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                       size_t count)
{
    return (range){batch->children[type->child], (size_t)batch->offset + row, count};
}

/* The items of a range of lists of a level. */
static range in_child(const lstm__arrow_type *type, size_t level, range lists)
{
    const size_t first = (size_t)lists.array->offset + lists.first;
    range items = {lists.array->children[0], 0, 0};
    if (type->sizes[level] > 0) {
        items.first = first * type->sizes[level];
        items.count = lists.count * type->sizes[level];
    } else if (lists.count > 0) {
        items.first = list_offset(type, lists.array, first);
        items.count = list_offset(type, lists.array, first + lists.count) - items.first;
    }
    return items;
}

static range numbers_of(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                        size_t count)
{
    range r = in_column(type, batch, row, count);
    for (size_t level = 0; level < type->levels; level++)
        r = in_child(type, level, r);
    return r;
}

/* ---- Checks */

static lstm_status fail_column(const lstm__arrow_type *type, const char *what, long long number)
{
    return lstm__fail(LSTM_ERROR_FORMAT, "column \"%s\" is no Arrow array of its format: %s %lld",
                      type->name, what, number);
}

lstm_status lstm__arrow_check_batch(const struct ArrowSchema *schema,
                                    const struct ArrowArray *batch, size_t number)
{
    if (!batch->release)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "record batch %zu has been released", number);
    if (batch->n_children != schema->n_children || batch->length < 0 || batch->offset < 0 ||
        batch->length > INT64_MAX - batch->offset || batch->n_buffers != 1 || !batch->buffers)
        return lstm__fail(
            LSTM_ERROR_FORMAT,
            "record batch %zu has %lld columns, %lld rows, offset %lld, %lld buffers: "
            "expected %lld columns and 1 buffer",
            number, (long long)batch->n_children, (long long)batch->length,
            (long long)batch->offset, (long long)batch->n_buffers, (long long)schema->n_children);
    for (int64_t k = 0; k < batch->n_children; k++)
        if (!batch->children || !batch->children[k])
            return lstm__fail(LSTM_ERROR_FORMAT, "record batch %zu has no column %lld", number,
                              (long long)k);
    return LSTM_OK;
}

/* One array of the chain and the range that is read of it. */
static lstm_status check_array(const lstm__arrow_type *type, size_t level, range r)
{
    const struct ArrowArray *a = r.array;
    const bool list = level < type->levels;
    const int64_t buffers = list && type->sizes[level] > 0 ? 1 : 2;
    size_t end = 0;
    if (!a)
        return fail_column(type, "no child at level", (long long)level);
    if (a->n_buffers != buffers || !a->buffers)
        return fail_column(type, "number of buffers", (long long)a->n_buffers);
    if (a->offset < 0 || a->length < 0 || a->length > INT64_MAX / 2 || a->offset > INT64_MAX / 2)
        return fail_column(type, "length or offset out of range:", (long long)a->offset);
    if (!lstm__add(r.first, r.count, &end) || end > (uint64_t)a->length)
        return fail_column(type, "fewer elements than its rows need:", (long long)a->length);
    if (list && (a->n_children != 1 || !a->children))
        return fail_column(type, "number of children", (long long)a->n_children);
    if (buffers == 2 && r.count > 0 && !a->buffers[1])
        return fail_column(type, "its numbers are NULL at level", (long long)level);
    size_t last = 0;
    if (list && type->sizes[level] > 0 &&
        !lstm__mul((size_t)a->offset + end, type->sizes[level], &last))
        return fail_column(type, "too many elements:", (long long)a->length);
    return LSTM_OK;
}

static lstm_status check_offsets(const lstm__arrow_type *type, range lists)
{
    const size_t first = (size_t)lists.array->offset + lists.first;
    size_t before = lists.count > 0 ? list_offset(type, lists.array, first) : 0;
    if (before > (size_t)INT64_MAX)
        return fail_column(type, "a negative offset in row", 0);
    for (size_t k = 0; k < lists.count; k++) {
        const size_t next = list_offset(type, lists.array, first + k + 1);
        if (next < before || next > (size_t)INT64_MAX)
            return fail_column(type, "offsets that fall in row", (long long)k);
        before = next;
    }
    return LSTM_OK;
}

lstm_status lstm__arrow_check(const lstm__arrow_type *type, const struct ArrowArray *batch)
{
    range r = in_column(type, batch, 0, (size_t)batch->length);
    for (size_t level = 0;; level++) {
        RETURN_IF_ERROR(check_array(type, level, r));
        if (level == type->levels)
            return LSTM_OK;
        if (type->sizes[level] == 0)
            RETURN_IF_ERROR(check_offsets(type, r));
        r = in_child(type, level, r);
    }
}

/* ---- Nulls */

static bool may_have_nulls(const struct ArrowArray *array)
{
    return array->null_count != 0 && array->buffers[0];
}

static bool has_null(range r)
{
    if (!may_have_nulls(r.array))
        return false;
    for (size_t k = 0; k < r.count; k++)
        if (!bit(r.array->buffers[0], (size_t)r.array->offset + r.first + k))
            return true;
    return false;
}

static range in_batch(const struct ArrowArray *batch, size_t row)
{
    return (range){batch, row, 1};
}

bool lstm__arrow_find_null(const lstm__arrow_type *type, const struct ArrowArray *batch,
                           size_t *row)
{
    bool any = may_have_nulls(batch);
    const struct ArrowArray *array = batch->children[type->child];
    for (size_t level = 0; level <= type->levels; level++) {
        any = any || may_have_nulls(array);
        array = level < type->levels ? array->children[0] : NULL;
    }
    for (size_t k = 0; any && k < (size_t)batch->length; k++) {
        range r = in_column(type, batch, k, 1);
        bool found = has_null(in_batch(batch, k)) || has_null(r);
        for (size_t level = 0; !found && level < type->levels; level++) {
            r = in_child(type, level, r);
            found = has_null(r);
        }
        *row = k;
        if (found)
            return true;
    }
    return false;
}

/* ---- Reading */

size_t lstm__arrow_items(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row)
{
    const range r = in_column(type, batch, row, 1);
    if (type->levels == 0)
        return 1;
    if (type->varies && (has_null(in_batch(batch, row)) || has_null(r)))
        return 0;
    return in_child(type, 0, r).count;
}

/* `count` numbers from the first on, one behind the other. */
static void convert(const lstm__arrow_type *type, const struct ArrowArray *array, size_t first,
                    size_t count, float *out)
{
    const unsigned char *bytes = array->buffers[1];
    if (type->kind == LSTM__ARROW_BIT) {
        for (size_t k = 0; k < count; k++)
            out[k] = bit(bytes, first + k);
        return;
    }
    const size_t size = lstm__element_size(type->kind);
    if (type->kind == LSTM__F32) {
        memcpy(out, bytes + first * size, count * size);
        return;
    }
    lstm__read_floats(
        &(lstm__elements){
            .bytes = bytes + first * size, .kind = type->kind, .stride = size, .count = count},
        out);
}

/* NaN where an element of a range is null: each stands for `each` numbers of the row. */
static void mark_nulls(const lstm__arrow_type *type, range r, size_t each, float *out,
                       size_t stride)
{
    if (!may_have_nulls(r.array))
        return;
    for (size_t k = 0; k < r.count; k++)
        for (size_t i = 0;
             i < each && !bit(r.array->buffers[0], (size_t)r.array->offset + r.first + k); i++) {
            const size_t number = k * each + i;
            out[number / type->item * stride + number % type->item] = NAN;
        }
}

void lstm__arrow_read(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                      bool nulls, float *out, size_t stride)
{
    const size_t items = lstm__arrow_items(type, batch, row);
    const range numbers = numbers_of(type, batch, row, 1);
    const size_t first = (size_t)numbers.array->offset + numbers.first;
    if (items == 0)
        return;
    if (stride == type->item)
        convert(type, numbers.array, first, items * type->item, out);
    for (size_t k = 0; stride != type->item && k < items; k++)
        convert(type, numbers.array, first + k * type->item, type->item, out + k * stride);
    if (!nulls)
        return;
    size_t each = items * type->item;
    mark_nulls(type, in_batch(batch, row), each, out, stride);
    range r = in_column(type, batch, row, 1);
    for (size_t level = 0;; level++) {
        mark_nulls(type, r, each, out, stride);
        if (level == type->levels)
            return;
        r = in_child(type, level, r);
        each = level == 0 ? type->item : each / type->sizes[level];
    }
}

double lstm__arrow_number(const lstm__arrow_type *type, const struct ArrowArray *batch, size_t row,
                          size_t k)
{
    const range numbers = numbers_of(type, batch, row, 1);
    const size_t at = (size_t)numbers.array->offset + numbers.first + k;
    const unsigned char *bytes = numbers.array->buffers[1];
    double number = 0;
    if (type->kind == LSTM__ARROW_BIT)
        return bit(bytes, at);
    const size_t size = lstm__element_size(type->kind);
    lstm__read_doubles(
        &(lstm__elements){
            .bytes = bytes + at * size, .kind = type->kind, .stride = size, .count = 1},
        &number);
    return number;
}

const float *lstm__arrow_floats(const lstm__arrow_type *type, const struct ArrowArray *batch)
{
    size_t row = 0;
    if (type->kind != LSTM__F32 || type->varies || lstm__arrow_find_null(type, batch, &row))
        return NULL;
    const range numbers = numbers_of(type, batch, 0, (size_t)batch->length);
    const unsigned char *bytes = numbers.array->buffers[1];
    if ((uintptr_t)bytes % sizeof(float) != 0 || !bytes)
        return NULL;
    return (const float *)(const void *)bytes + (size_t)numbers.array->offset + numbers.first;
}
