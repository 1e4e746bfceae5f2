/* SPDX-License-Identifier: MIT
 *
 * Learning-rate schedules as words of the command line and as Keras' objects; see
 * training_options.h.
 */
#include "training_options.h"

#include "arguments.h"
#include "messages.h"
#include "option_words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    FOR_STEP = 1,
    FOR_EXPONENTIAL = 2,
    FOR_COSINE = 4,
    FOR_RESTARTS = 8,
    FOR_CYCLE = 16,
    FOR_PLATEAU = 32,
    FOR_CONSTANT = 64,
    FOR_TIMED = FOR_STEP | FOR_EXPONENTIAL | FOR_COSINE | FOR_RESTARTS | FOR_CYCLE,
    FOR_FACTOR = FOR_STEP | FOR_EXPONENTIAL | FOR_PLATEAU,
    FOR_COSINES = FOR_COSINE | FOR_RESTARTS,
    FOR_EVERY = 127,
    FOR_WARMUP = FOR_EVERY - FOR_CYCLE
};

typedef enum key_kind {
    KEY_WHOLE = 1, /* int64_t >= 0 */
    KEY_WHOLE_32,  /* int32_t >= 0; 0 is handed down as -1 */
    KEY_PLAIN_32,  /* int32_t >= 0 */
    KEY_REAL,      /* >= 0 */
    KEY_REAL_0,    /* >= 0; 0 is handed down as -1 */
    KEY_FLAG,
    KEY_RATE,      /* the optimizer's learning rate */
    KEY_STAIRCASE, /* true: step instead of exponential */
    KEY_ANNEAL,    /* "cos" or "linear" */
    KEY_TARGET,    /* Keras' warmup_target: the rate that the warm-up ends at */
    KEY_FREE
} key_kind;

typedef struct schedule_key {
    const char *name;
    key_kind kind;
    int whose;
    size_t offset; /* in lstm_schedule_options */
} schedule_key;

#define AT(member) offsetof(lstm_schedule_options, member)
static const schedule_key keys[] = {
    {"name", KEY_FREE, FOR_EVERY, 0},
    {"initial_learning_rate", KEY_RATE, FOR_EVERY, 0},
    {"steps", KEY_WHOLE, FOR_TIMED, AT(steps)},
    {"decay_steps", KEY_WHOLE, FOR_STEP | FOR_EXPONENTIAL | FOR_COSINE, AT(steps)},
    {"first_decay_steps", KEY_WHOLE, FOR_RESTARTS, AT(steps)},
    {"step_size", KEY_WHOLE, FOR_STEP, AT(steps)},
    {"T_max", KEY_WHOLE, FOR_COSINE, AT(steps)},
    {"T_0", KEY_WHOLE, FOR_RESTARTS, AT(steps)},
    {"total_steps", KEY_WHOLE, FOR_CYCLE, AT(steps)},
    {"factor", KEY_REAL, FOR_FACTOR, AT(factor)},
    {"decay_rate", KEY_REAL, FOR_STEP | FOR_EXPONENTIAL, AT(factor)},
    {"gamma", KEY_REAL, FOR_STEP | FOR_EXPONENTIAL, AT(factor)},
    {"staircase", KEY_STAIRCASE, FOR_STEP | FOR_EXPONENTIAL, 0},
    {"alpha", KEY_REAL, FOR_COSINES, AT(alpha)},
    {"t_mul", KEY_REAL, FOR_RESTARTS, AT(t_mul)},
    {"T_mult", KEY_REAL, FOR_RESTARTS, AT(t_mul)},
    {"m_mul", KEY_REAL, FOR_RESTARTS, AT(m_mul)},
    {"warmup_steps", KEY_WHOLE, FOR_WARMUP, AT(warmup_steps)},
    {"warmup_start", KEY_REAL, FOR_WARMUP, AT(warmup_start)},
    {"warmup_target", KEY_TARGET, FOR_COSINE, 0},
    {"max_lr", KEY_RATE, FOR_CYCLE, 0},
    {"pct_start", KEY_REAL, FOR_CYCLE, AT(pct_start)},
    {"div_factor", KEY_REAL, FOR_CYCLE, AT(div_factor)},
    {"final_div_factor", KEY_REAL, FOR_CYCLE, AT(final_div_factor)},
    {"anneal_strategy", KEY_ANNEAL, FOR_CYCLE, AT(linear)},
    {"cycle_momentum", KEY_FLAG, FOR_CYCLE, AT(cycle_momentum)},
    {"base_momentum", KEY_REAL_0, FOR_CYCLE, AT(base_momentum)},
    {"max_momentum", KEY_REAL_0, FOR_CYCLE, AT(max_momentum)},
    {"patience", KEY_WHOLE_32, FOR_PLATEAU, AT(patience)},
    {"cooldown", KEY_PLAIN_32, FOR_PLATEAU, AT(cooldown)},
    {"min_delta", KEY_REAL_0, FOR_PLATEAU, AT(min_delta)},
    {"threshold", KEY_REAL_0, FOR_PLATEAU, AT(min_delta)},
    {"minimum", KEY_REAL, FOR_PLATEAU, AT(minimum)},
    {"min_lr", KEY_REAL, FOR_PLATEAU, AT(minimum)},
};
#undef AT
#define KEY_COUNT (sizeof keys / sizeof keys[0])

typedef struct schedule_reader {
    optimizer_choice *out;
    const char *what;
    const char *name;
} schedule_reader;

static int whose_schedule(int32_t schedule)
{
    static const int whose[] = {0,           FOR_CONSTANT, FOR_STEP,  FOR_EXPONENTIAL,
                                FOR_COSINE,  FOR_RESTARTS, FOR_CYCLE, FOR_PLATEAU,
                                FOR_CONSTANT};
    return whose[schedule];
}

static int read_whole(const schedule_reader *r, const schedule_key *k, const json_t *value)
{
    char *place = (char *)&r->out->schedule + k->offset;
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (k->kind != KEY_WHOLE && number > INT32_MAX)) {
        return wrong_value(r->what, r->name, k->name, "a whole number from 0 on", value);
    }
    const int64_t wide = (int64_t)number;
    const int32_t narrow = number == 0 && k->kind == KEY_WHOLE_32 ? -1 : (int32_t)number;
    memcpy(place, k->kind == KEY_WHOLE ? (const void *)&wide : &narrow,
           k->kind == KEY_WHOLE ? sizeof wide : sizeof narrow);
    return EXIT_DONE;
}

static int read_real(const schedule_reader *r, const schedule_key *k, const json_t *value)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0) {
        return wrong_value(r->what, r->name, k->name, "a number from 0 on", value);
    }
    if (k->kind == KEY_RATE || k->kind == KEY_TARGET) {
        r->out->options.learning_rate = number == 0 ? -1 : number;
        return EXIT_DONE;
    }
    number = number == 0 && k->kind == KEY_REAL_0 ? -1 : number;
    memcpy((char *)&r->out->schedule + k->offset, &number, sizeof number);
    return EXIT_DONE;
}

static int read_flag(const schedule_reader *r, const schedule_key *k, const json_t *value)
{
    lstm_schedule_options *s = &r->out->schedule;
    int32_t flag = json_is_true(value) ? LSTM_YES : LSTM_NO;
    if (k->kind == KEY_ANNEAL) {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        flag = strcmp(text, "linear") == 0 ? LSTM_YES : LSTM_NO;
        if (flag == LSTM_NO && strcmp(text, "cos") != 0) {
            return wrong_value(r->what, r->name, k->name, "cos or linear", value);
        }
    } else if (!json_is_boolean(value)) {
        return wrong_value(r->what, r->name, k->name, "true or false", value);
    }
    if (k->kind == KEY_STAIRCASE) {
        s->schedule = flag == LSTM_YES ? LSTM_SCHEDULE_STEP : s->schedule;
        return EXIT_DONE;
    }
    memcpy((char *)s + k->offset, &flag, sizeof flag);
    return EXIT_DONE;
}

static int read_key(const schedule_reader *r, const char *key, const json_t *value)
{
    const int whose = whose_schedule(r->out->schedule.schedule);
    const char *names[KEY_COUNT + 1];
    size_t count = 0;
    const schedule_key *k = NULL;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if ((keys[i].whose & whose) != 0) {
            names[count++] = keys[i].name;
            k = strcmp(keys[i].name, key) == 0 ? &keys[i] : k;
        }
    }
    names[count] = NULL;
    if (k == NULL) {
        return unknown_word(r->what, r->name, key, names);
    }
    if (k->kind == KEY_FREE || json_is_null(value)) {
        return EXIT_DONE;
    }
    switch (k->kind) {
    case KEY_WHOLE:
    case KEY_WHOLE_32:
    case KEY_PLAIN_32:
        return read_whole(r, k, value);
    case KEY_FLAG:
    case KEY_STAIRCASE:
    case KEY_ANNEAL:
        return read_flag(r, k, value);
    default:
        return read_real(r, k, value);
    }
}

/* The rows of an object, after its name is known. */
static int read_keys(schedule_reader *r, const char *name, const json_t *object)
{
    const char *key;
    json_t *value;
    lstm_schedule_options *s = &r->out->schedule;
    *s = (lstm_schedule_options){.struct_size = sizeof *s};
    r->name = name;
    const lstm_status status = lstm_constant_from_name(LSTM_NAMES_SCHEDULE, name, &s->schedule);
    if (status != LSTM_OK) {
        return message_status(status, r->what);
    }
    if (s->schedule == LSTM_SCHEDULE_CALLBACK) {
        return message_error(EXIT_USE, "%s: a callback is something for programs", r->what);
    }
    int code = EXIT_DONE;
    json_object_foreach((json_t *)object, key, value)
    {
        if (code == EXIT_DONE) {
            code = read_key(r, key, value);
        }
    }
    const json_t *target = json_object_get(object, "warmup_target");
    /* Keras: the initial rate is where the warm-up begins */
    if (code == EXIT_DONE && json_is_number(target)) {
        s->warmup_start = json_number_value(json_object_get(object, "initial_learning_rate"));
        r->out->options.learning_rate = json_number_value(target);
    } else if (code == EXIT_DONE && json_object_get(object, "warmup_target") != NULL) {
        s->warmup_steps = 0; /* without a target Keras has no warm-up */
    }
    r->out->options.schedule = s;
    return code;
}

int schedule_read(optimizer_choice *out, const json_t *object, const char *what)
{
    schedule_reader reader = {.out = out, .what = what};
    const char *name = json_string_value(json_object_get(object, "class_name"));
    const json_t *config = json_object_get(object, "config");
    if (name == NULL || !json_is_object(config)) {
        return message_error(
            EXIT_USE, "%s: a schedule is {\"class_name\": \"ExponentialDecay\", \"config\": {…}}",
            what);
    }
    return read_keys(&reader, name, config);
}

int schedule_parse(optimizer_choice *out, const char *text)
{
    schedule_reader reader = {.out = out, .what = "--schedule"};
    json_t *object = NULL;
    int code = object_from_text(&object, text, "--schedule");
    if (code == EXIT_DONE) {
        code = read_keys(&reader, json_string_value(json_object_get(object, "name")), object);
    }
    json_decref(object);
    return code;
}
