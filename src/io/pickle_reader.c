/* SPDX-License-Identifier: MIT
 *
 * The restricted pickle machine (Python's Lib/pickletools.py describes every instruction).
 *
 * A pickle is a program for a stack: instructions push values, tie those above a mark into
 * containers, keep and recall values by number (the memo), and call functions by name. Here a value
 * is an entry of one table, the stack and the memo hold numbers of entries, and functions are the
 * caller's. Bounds: an instruction adds at most one value and moves each number of the stack once;
 * values, memo entries and the stack number at most MOST_VALUES; nothing is followed recursively,
 * so a list inside itself does no harm.
 *
 * Protocols 2 to 5 as PyTorch and pickle write them; instructions of protocol 0 and 1 that none of
 * these use are refused with all others, by name.
 */
#include "pickle_reader.h"

#include "element.h"

#include <string.h>

enum { MOST_VALUES = 1000000, NAME_SIZE = 128 };
static const uint32_t mark = UINT32_MAX;

/* ---- Values */

lstm__pickle_value *lstm__pickle_get(const lstm__pickle *pickle, uint32_t number)
{
    return &pickle->values[number];
}

const lstm__pickle_value *lstm__pickle_item(const lstm__pickle *pickle,
                                            const lstm__pickle_value *value, size_t index)
{
    const bool list = value->kind == LSTM__PICKLE_TUPLE || value->kind == LSTM__PICKLE_LIST;
    return list && index < value->count ? &pickle->values[value->as.items[index]] : NULL;
}

bool lstm__pickle_is(const lstm__pickle_value *value, const char *expected)
{
    return value && value->kind == LSTM__PICKLE_TEXT && value->count == strlen(expected) &&
           memcmp(value->as.text, expected, value->count) == 0;
}

lstm_status lstm__pickle_add(lstm__pickle *pickle, lstm__pickle_value value, uint32_t *number)
{
    if (pickle->value_count == MOST_VALUES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a pickle of more than %d values",
                          pickle->cursor.name, MOST_VALUES);
    RETURN_IF_ERROR(lstm__grow(pickle->context, (void **)&pickle->values, &pickle->value_capacity,
                               pickle->value_count + 1, sizeof *pickle->values));
    *number = (uint32_t)pickle->value_count;
    pickle->values[pickle->value_count++] = value;
    return LSTM_OK;
}

lstm_status lstm__pickle_append(lstm__pickle *pickle, uint32_t container, uint32_t value)
{
    lstm__pickle_value *to = &pickle->values[container];
    void *items = to->as.items;
    size_t capacity = to->capacity;
    if (to->count == MOST_VALUES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a pickle with a container of more than %d",
                          pickle->cursor.name, MOST_VALUES);
    RETURN_IF_ERROR(lstm__grow(pickle->context, &items, &capacity, to->count + 1, sizeof value));
    to->as.items = items;
    to->capacity = (uint32_t)capacity;
    to->as.items[to->count++] = value;
    return LSTM_OK;
}

/* ---- Stack */

static lstm_status push(lstm__pickle *p, uint32_t number)
{
    if (p->stack_count == MOST_VALUES)
        return lstm__fail(LSTM_ERROR_UNSUPPORTED, "%s: a pickle with a stack of more than %d",
                          p->cursor.name, MOST_VALUES);
    RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->stack, &p->stack_capacity,
                               p->stack_count + 1, sizeof *p->stack));
    p->stack[p->stack_count++] = number;
    return LSTM_OK;
}

static lstm_status push_value(lstm__pickle *p, lstm__pickle_value value)
{
    uint32_t number = 0;
    RETURN_IF_ERROR(lstm__pickle_add(p, value, &number));
    return push(p, number);
}

static lstm_status push_integer(lstm__pickle *p, int kind, int64_t integer)
{
    return push_value(p, (lstm__pickle_value){.kind = (uint8_t)kind, .as.integer = integer});
}

static lstm_status pop(lstm__pickle *p, uint32_t *number)
{
    if (p->stack_count == 0 || p->stack[p->stack_count - 1] == mark)
        return lstm__fail_at(&p->cursor, "the pickle takes a value from an empty stack");
    *number = p->stack[--p->stack_count];
    return LSTM_OK;
}

/* Where the values above the highest mark begin. */
static lstm_status find_mark(const lstm__pickle *p, size_t *first)
{
    size_t k = p->stack_count;
    while (k > 0 && p->stack[k - 1] != mark)
        k--;
    if (k == 0)
        return lstm__fail_at(&p->cursor, "the pickle closes a list that was never opened");
    *first = k;
    return LSTM_OK;
}

/* A container of kind `kind` on the stack. */
static lstm_status top(const lstm__pickle *p, size_t below, int kind, uint32_t *number)
{
    const bool there = below > 0 && p->stack[below - 1] != mark &&
                       p->values[p->stack[below - 1]].kind == kind;
    if (!there)
        return lstm__fail_at(&p->cursor, "the pickle adds to something that is no %s",
                             kind == LSTM__PICKLE_LIST ? "list" : "dictionary");
    *number = p->stack[below - 1];
    return LSTM_OK;
}

/* ---- Instructions; each returns true in *known if `code` is one of its own */

static lstm_status read_long(lstm__pickle *p, uint64_t size)
{
    const unsigned char *bytes = NULL;
    uint64_t number = 0;
    RETURN_IF_ERROR(lstm__get_bytes(&p->cursor, size, &bytes));
    if (size > 8)
        return push_value(p, (lstm__pickle_value){.kind = LSTM__PICKLE_LONG,
                                                  .count = (uint32_t)size,
                                                  .as.text = bytes});
    for (uint64_t k = 0; k < 8; k++) { /* the sign goes on */
        const unsigned char fill = size > 0 && bytes[size - 1] >= 128 ? 255 : 0;
        number |= (uint64_t)(k < size ? bytes[k] : fill) << 8 * k;
    }
    return push_integer(p, LSTM__PICKLE_INTEGER, (int64_t)number);
}

static lstm_status number_step(lstm__pickle *p, uint8_t code, bool *known)
{
    uint64_t n = 0;
    double real = 0;
    switch (code) {
    case 'N':
        return push_integer(p, LSTM__PICKLE_NONE, 0);
    case 0x88:
    case 0x89:
        return push_integer(p, LSTM__PICKLE_BOOL, code == 0x88);
    case 'K':
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, 1, &n));
        return push_integer(p, LSTM__PICKLE_INTEGER, (int64_t)n);
    case 'M':
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, 2, &n));
        return push_integer(p, LSTM__PICKLE_INTEGER, (int64_t)n);
    case 'J':
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, 4, &n));
        return push_integer(p, LSTM__PICKLE_INTEGER, (int32_t)(uint32_t)n);
    case 0x8a:
    case 0x8b:
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, code == 0x8a ? 1 : 4, &n));
        return read_long(p, n);
    case 'G':
        RETURN_IF_ERROR(lstm__get_u64_be(&p->cursor, &n));
        memcpy(&real, &n, sizeof real);
        return push_value(p, (lstm__pickle_value){.kind = LSTM__PICKLE_REAL, .as.real = real});
    default:
        *known = false;
        return LSTM_OK;
    }
}

static lstm_status text_step(lstm__pickle *p, uint8_t code, bool *known)
{
    /* instruction, bytes of the length: texts, and bytes, which PyTorch uses for texts of Python 2 */
    static const unsigned char forms[][2] = {{'X', 4}, {0x8c, 1}, {0x8d, 8}, {'U', 1},
                                             {'T', 4}, {'C', 1},  {'B', 4},  {0x8e, 8}};
    for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
        uint64_t length = 0;
        const unsigned char *bytes = NULL;
        if (forms[k][0] != code)
            continue;
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, forms[k][1], &length));
        if (length > UINT32_MAX)
            return lstm__fail_at(&p->cursor, "a text of %llu bytes", (unsigned long long)length);
        RETURN_IF_ERROR(lstm__get_bytes(&p->cursor, length, &bytes));
        return push_value(p, (lstm__pickle_value){.kind = LSTM__PICKLE_TEXT,
                                                  .count = (uint32_t)length,
                                                  .as.text = bytes});
    }
    *known = false;
    return LSTM_OK;
}

/* Take the values from `first` on, and with `opened` the mark below them, off the stack into a
 * container. */
static lstm_status tie(lstm__pickle *p, uint32_t container, size_t first, bool opened)
{
    for (size_t k = first; k < p->stack_count; k++) {
        if (p->stack[k] == mark)
            return lstm__fail_at(&p->cursor, "the pickle ties a mark into a container");
        RETURN_IF_ERROR(lstm__pickle_append(p, container, p->stack[k]));
    }
    p->stack_count = first - opened;
    return LSTM_OK;
}

static lstm_status tie_new(lstm__pickle *p, int kind, size_t first, bool opened)
{
    uint32_t container = 0;
    if (kind == LSTM__PICKLE_DICTIONARY && (p->stack_count - first) % 2 != 0)
        return lstm__fail_at(&p->cursor, "the pickle has a dictionary with a key without a value");
    RETURN_IF_ERROR(lstm__pickle_add(p, (lstm__pickle_value){.kind = (uint8_t)kind}, &container));
    RETURN_IF_ERROR(tie(p, container, first, opened));
    return push(p, container);
}

static lstm_status container_step(lstm__pickle *p, uint8_t code, bool *known)
{
    size_t first = 0;
    uint32_t container = 0;
    switch (code) {
    case '(':
        return push(p, mark);
    case ')':
    case ']':
    case '}':
        return push_integer(p,
                            code == ')'   ? LSTM__PICKLE_TUPLE
                            : code == ']' ? LSTM__PICKLE_LIST
                                          : LSTM__PICKLE_DICTIONARY,
                            0);
    case 0x85:
    case 0x86:
    case 0x87:
        if (p->stack_count < (size_t)(code - 0x84))
            return lstm__fail_at(&p->cursor, "the pickle takes a value from an empty stack");
        return tie_new(p, LSTM__PICKLE_TUPLE, p->stack_count - (code - 0x84), false);
    case 't':
    case 'l':
    case 'd':
        RETURN_IF_ERROR(find_mark(p, &first));
        return tie_new(p,
                       code == 't'   ? LSTM__PICKLE_TUPLE
                       : code == 'l' ? LSTM__PICKLE_LIST
                                     : LSTM__PICKLE_DICTIONARY,
                       first, true);
    case 'a':
    case 's':
        first = p->stack_count - (code == 'a' ? 1 : 2);
        if (p->stack_count < (code == 'a' ? 2 : 3))
            return lstm__fail_at(&p->cursor, "the pickle takes a value from an empty stack");
        RETURN_IF_ERROR(
            top(p, first, code == 'a' ? LSTM__PICKLE_LIST : LSTM__PICKLE_DICTIONARY, &container));
        return tie(p, container, first, false);
    case 'e':
    case 'u':
        RETURN_IF_ERROR(find_mark(p, &first));
        RETURN_IF_ERROR(top(p, first - 1, code == 'e' ? LSTM__PICKLE_LIST : LSTM__PICKLE_DICTIONARY,
                            &container));
        if (code == 'u' && (p->stack_count - first) % 2 != 0)
            return lstm__fail_at(&p->cursor, "the pickle has a key without a value");
        return tie(p, container, first, true);
    default:
        *known = false;
        return LSTM_OK;
    }
}

static lstm_status remember(lstm__pickle *p, uint64_t place)
{
    if (p->stack_count == 0 || p->stack[p->stack_count - 1] == mark)
        return lstm__fail_at(&p->cursor, "the pickle keeps a value of an empty stack");
    if (place >= MOST_VALUES)
        return lstm__fail_at(&p->cursor, "the pickle keeps a value as number %llu",
                             (unsigned long long)place);
    RETURN_IF_ERROR(lstm__grow(p->context, (void **)&p->memo, &p->memo_capacity, (size_t)place + 1,
                               sizeof *p->memo));
    while (p->memo_count <= place)
        p->memo[p->memo_count++] = mark;
    p->memo[place] = p->stack[p->stack_count - 1];
    return LSTM_OK;
}

static lstm_status memo_step(lstm__pickle *p, uint8_t code, bool *known)
{
    uint64_t place = 0;
    switch (code) {
    case 'q':
    case 'r':
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, code == 'q' ? 1 : 4, &place));
        return remember(p, place);
    case 0x94:
        return remember(p, p->memo_count);
    case 'h':
    case 'j':
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, code == 'h' ? 1 : 4, &place));
        if (place >= p->memo_count || p->memo[place] == mark)
            return lstm__fail_at(&p->cursor, "the pickle recalls value %llu, which it never kept",
                                 (unsigned long long)place);
        return push(p, p->memo[place]);
    default:
        *known = false;
        return LSTM_OK;
    }
}

/* A line of text into `name`, which has NAME_SIZE bytes. */
static lstm_status read_line(lstm__pickle *p, char *name)
{
    const char *line = (const char *)p->cursor.bytes + p->cursor.offset;
    const size_t left = lstm__remaining(&p->cursor);
    const char *end = memchr(line, '\n', left < NAME_SIZE ? left : NAME_SIZE);
    if (!end || !lstm__is_name(line, (size_t)(end - line)))
        return lstm__fail_at(&p->cursor, "the pickle names something without a proper name");
    memcpy(name, line, (size_t)(end - line));
    name[end - line] = 0;
    return lstm__skip(&p->cursor, (uint64_t)(end - line) + 1);
}

static lstm_status pop_name(lstm__pickle *p, char *name)
{
    uint32_t number = 0;
    RETURN_IF_ERROR(pop(p, &number));
    const lstm__pickle_value *text = &p->values[number];
    if (text->kind != LSTM__PICKLE_TEXT || text->count >= NAME_SIZE ||
        !lstm__is_name((const char *)text->as.text, text->count))
        return lstm__fail_at(&p->cursor, "the pickle names something without a proper name");
    memcpy(name, text->as.text, text->count);
    name[text->count] = 0;
    return LSTM_OK;
}

static lstm_status global_step(lstm__pickle *p, uint8_t code)
{
    char module[NAME_SIZE];
    char name[NAME_SIZE];
    uint32_t value = 0;
    if (code == 'c') {
        RETURN_IF_ERROR(read_line(p, module));
        RETURN_IF_ERROR(read_line(p, name));
    } else {
        RETURN_IF_ERROR(pop_name(p, name));
        RETURN_IF_ERROR(pop_name(p, module));
    }
    RETURN_IF_ERROR(p->builder->global(p->user, p, module, name, &value));
    return push(p, value);
}

static lstm_status call_step(lstm__pickle *p, uint8_t code, bool *known)
{
    uint32_t argument = 0;
    uint32_t object = 0;
    uint32_t value = 0;
    switch (code) {
    case 'c':
    case 0x93:
        return global_step(p, code);
    case 'R':
        RETURN_IF_ERROR(pop(p, &argument));
        RETURN_IF_ERROR(pop(p, &object));
        if (p->values[object].kind != LSTM__PICKLE_GLOBAL ||
            p->values[argument].kind != LSTM__PICKLE_TUPLE)
            return lstm__fail_at(&p->cursor, "the pickle calls something that is no function");
        RETURN_IF_ERROR(p->builder->call(p->user, p, object, argument, &value));
        return push(p, value);
    case 'Q':
        RETURN_IF_ERROR(pop(p, &argument));
        RETURN_IF_ERROR(p->builder->persistent(p->user, p, argument, &value));
        return push(p, value);
    case 'b': /* attributes of a dictionary (PyTorch's _metadata): not wanted */
        RETURN_IF_ERROR(pop(p, &argument));
        return top(p, p->stack_count, LSTM__PICKLE_DICTIONARY, &object);
    case '0':
        return pop(p, &argument);
    default:
        *known = false;
        return LSTM_OK;
    }
}

/* ---- The machine */

static lstm_status refuse(const lstm__pickle *p, uint8_t code)
{
    static const struct {
        uint8_t code;
        const char *name;
    } names[] = {{'I', "INT"},
                 {'L', "LONG"},
                 {'S', "STRING"},
                 {'V', "UNICODE"},
                 {'F', "FLOAT"},
                 {'i', "INST"},
                 {'o', "OBJ"},
                 {'P', "PERSID"},
                 {'p', "PUT"},
                 {'g', "GET"},
                 {'1', "POP_MARK"},
                 {'2', "DUP"},
                 {0x81, "NEWOBJ"},
                 {0x92, "NEWOBJ_EX"},
                 {0x82, "EXT1"},
                 {0x83, "EXT2"},
                 {0x84, "EXT4"},
                 {0x8f, "EMPTY_SET"},
                 {0x90, "ADDITEMS"},
                 {0x91, "FROZENSET"},
                 {0x96, "BYTEARRAY8"},
                 {0x97, "NEXT_BUFFER"},
                 {0x98, "READONLY_BUFFER"}};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (names[k].code == code)
            return lstm__fail(LSTM_ERROR_UNSUPPORTED,
                              "%s: offset %zu: the pickle instruction %s is not allowed: only "
                              "tensors, numbers, texts and containers are built",
                              p->cursor.name, p->cursor.base + p->cursor.offset - 1, names[k].name);
    return lstm__fail_at(&p->cursor, "byte 0x%02x is no pickle instruction", code);
}

static lstm_status step(lstm__pickle *p, uint8_t code)
{
    static lstm_status (*const groups[])(lstm__pickle *, uint8_t, bool *) = {
        number_step, text_step, container_step, memo_step, call_step};
    uint64_t skipped = 0;
    if (code == 0x80) {
        RETURN_IF_ERROR(lstm__get_uint(&p->cursor, 1, &skipped));
        return skipped >= 2 && skipped <= 5
                   ? LSTM_OK
                   : lstm__fail(LSTM_ERROR_UNSUPPORTED,
                                "%s: a pickle of protocol %d: expected 2 to 5", p->cursor.name,
                                (int)skipped);
    }
    if (code == 0x95) /* the size of a frame */
        return lstm__get_uint(&p->cursor, 8, &skipped);
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
        bool known = true;
        const lstm_status status = groups[k](p, code, &known);
        if (known)
            return status;
    }
    return refuse(p, code);
}

lstm_status lstm__pickle_run(lstm__pickle *p, uint32_t *result)
{
    p->stack_count = 0;
    p->memo_count = 0;
    for (;;) {
        uint8_t code = 0;
        RETURN_IF_ERROR(lstm__get_u8(&p->cursor, &code));
        if (code == '.')
            break;
        RETURN_IF_ERROR(step(p, code));
    }
    RETURN_IF_ERROR(pop(p, result));
    return p->stack_count == 0
               ? LSTM_OK
               : lstm__fail_at(&p->cursor, "the pickle ends with values left on its stack");
}

void lstm__pickle_end(lstm__pickle *p)
{
    for (size_t k = 0; k < p->value_count; k++) {
        const int kind = p->values[k].kind;
        if (kind == LSTM__PICKLE_TUPLE || kind == LSTM__PICKLE_LIST ||
            kind == LSTM__PICKLE_DICTIONARY)
            lstm__release(p->context, p->values[k].as.items);
    }
    lstm__release(p->context, p->values);
    lstm__release(p->context, p->stack);
    lstm__release(p->context, p->memo);
    p->values = NULL;
    p->stack = p->memo = NULL;
    p->value_count = p->stack_count = p->memo_count = 0;
}
