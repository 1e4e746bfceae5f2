/* SPDX-License-Identifier: MIT
 * Reading Python pickles without running anything: a stack machine that builds numbers, texts,
 * tuples, lists and dictionaries. Whatever else a pickle asks for goes through the caller's
 * functions, who knows what he builds; every other instruction is refused by its name.
 */
#ifndef LSTM_IO_PICKLE_READER_H
#define LSTM_IO_PICKLE_READER_H

#include "file_reader.h"

enum {
    LSTM__PICKLE_NONE,
    LSTM__PICKLE_BOOL,
    LSTM__PICKLE_INTEGER, /* of up to 64 bits */
    LSTM__PICKLE_LONG,    /* of more: its bytes, little-endian */
    LSTM__PICKLE_REAL,
    LSTM__PICKLE_TEXT, /* or bytes */
    LSTM__PICKLE_TUPLE,
    LSTM__PICKLE_LIST,
    LSTM__PICKLE_DICTIONARY, /* items: key, value, key, value, … */
    LSTM__PICKLE_GLOBAL,     /* integer: the caller's number of it */
    LSTM__PICKLE_OBJECT      /* integer: the caller's number of it; class: what it is */
};

/* A value; others refer to it by its number. */
typedef struct lstm__pickle_value {
    uint8_t kind;
    uint8_t class;  /* of LSTM__PICKLE_OBJECT */
    uint32_t count; /* items of a container, bytes of a text */
    uint32_t capacity;
    union {
        int64_t integer;
        double real;
        const unsigned char *text; /* inside the pickle, without a NUL */
        uint32_t *items;           /* numbers of values */
    } as;
} lstm__pickle_value;

typedef struct lstm__pickle lstm__pickle;

/* What the caller builds. Each returns the number of a value or an error.
 *   global       what `module` and `name` stand for
 *   call         the result of a global on a tuple of arguments
 *   persistent   what the pickle keeps outside itself under an id */
typedef struct lstm__pickle_builder {
    lstm_status (*global)(void *user, lstm__pickle *pickle, const char *module, const char *name,
                          uint32_t *value);
    lstm_status (*call)(void *user, lstm__pickle *pickle, uint32_t function, uint32_t arguments,
                        uint32_t *value);
    lstm_status (*persistent)(void *user, lstm__pickle *pickle, uint32_t id, uint32_t *value);
} lstm__pickle_builder;

struct lstm__pickle {
    lstm_context *context;
    lstm__cursor cursor; /* behind what has been read */
    const lstm__pickle_builder *builder;
    void *user;
    lstm__pickle_value *values;
    size_t value_count, value_capacity;
    uint32_t *stack;
    size_t stack_count, stack_capacity;
    uint32_t *memo;
    size_t memo_count, memo_capacity;
};

/* Read one pickle from pickle->cursor on; *result is the number of its value. Values of earlier
 * runs stay. FORMAT: damaged. UNSUPPORTED: an instruction that is not allowed. Work and memory are
 * in proportion to the bytes, and bounded: at most a million values. */
lstm_status lstm__pickle_run(lstm__pickle *pickle, uint32_t *result);
void lstm__pickle_end(lstm__pickle *pickle);

/* The value with a number, until the next one is added. */
lstm__pickle_value *lstm__pickle_get(const lstm__pickle *pickle, uint32_t number);

/* Item `index` of a tuple or list, NULL if there is none. */
const lstm__pickle_value *lstm__pickle_item(const lstm__pickle *pickle,
                                            const lstm__pickle_value *value, size_t index);

/* Add a value / append to a container. */
lstm_status lstm__pickle_add(lstm__pickle *pickle, lstm__pickle_value value, uint32_t *number);
lstm_status lstm__pickle_append(lstm__pickle *pickle, uint32_t container, uint32_t value);

/* Whether a text is `expected`. */
bool lstm__pickle_is(const lstm__pickle_value *value, const char *expected);

#endif
