/* SPDX-License-Identifier: MIT
 *
 * Command lines after a table; see arguments.h.
 *
 * All options of a command, its own and the common ones, get one slot each; a slot holds every text
 * given. getopt_long runs with "-" first in the short options, so operands may stand anywhere,
 * whatever POSIXLY_CORRECT says. A long option is given to getopt_long as the slot's number plus
 * SLOT_BASE, a short one is looked up by its letter.
 */
#include "arguments.h"

#include "command.h"
#include "help.h"
#include "messages.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BASE 1000
#define OPTION_LIMIT 96

const char *const log_format_choices[] = {"text", "json", NULL};

static const option_spec common_options[] = {
    {.name = "threads",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 256,
     .shown = "all CPUs",
     .help = "CPU threads to use; does not change results"},
    {.name = "seed",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 0,
     .maximum = 9e18,
     .value = "0",
     .help = "seed of everything random; same seed, same result"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .help = "print results and errors only"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "print this help"},
    {.name = NULL}};

typedef struct slot {
    const option_spec *spec;
    char **texts; /* as given, in order; borrowed from argv */
    size_t count;
    int64_t integer;
    double real;
    int choice;
} slot;

struct arguments {
    const command *command;
    slot slots[OPTION_LIMIT];
    size_t slot_count;
    char **operands; /* borrowed from argv */
    size_t operand_count;
};

int parse_integer(const char *text, int64_t *value)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == ' ') {
        return 0;
    }
    *value = number;
    return 1;
}

int parse_real(const char *text, double *value)
{
    char *end = NULL;
    errno = 0;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number) || text[0] == ' ') {
        return 0;
    }
    *value = number;
    return 1;
}

void arguments_each_option(const command *of, void (*visit)(void *user, const option_spec *option),
                           void *user)
{
    for (const option_spec *o = of->shared; o != NULL && o->name != NULL; o++) {
        visit(user, o);
    }
    for (const option_spec *o = of->options; o != NULL && o->name != NULL; o++) {
        visit(user, o);
    }
    for (const option_spec *o = common_options; o->name != NULL; o++) {
        visit(user, o);
    }
}

static void add_slot(void *user, const option_spec *option)
{
    arguments *a = user;
    if (a->slot_count < OPTION_LIMIT) {
        a->slots[a->slot_count].spec = option;
        a->slots[a->slot_count].choice = -1;
        a->slot_count++;
    }
}

static const slot *look_for(const arguments *a, const char *name)
{
    for (size_t i = 0; i < a->slot_count; i++) {
        if (strcmp(a->slots[i].spec->name, name) == 0) {
            return &a->slots[i];
        }
    }
    return NULL;
}

int arguments_has(const arguments *a, const char *name)
{
    return look_for(a, name) != NULL;
}

static const slot *find(const arguments *a, const char *name)
{
    const slot *found = look_for(a, name);
    if (found != NULL) {
        return found;
    }
    exit(message_error(EXIT_WORK, "internal error: the command has no option --%s", name));
}

/* "--rate takes a number above 0 and below 1, not "2"" */
static int wrong_value(const option_spec *o, const char *text)
{
    char range[160] = "";
    if (o->kind == OPTION_CHOICE) {
        size_t used = 0;
        for (size_t i = 0; o->choices[i] != NULL && used < sizeof range; i++) {
            used += (size_t)snprintf(range + used, sizeof range - used, "%s%s", i == 0 ? "" : ", ",
                                     o->choices[i]);
        }
        const char *near = nearest_word(text, o->choices);
        return near == NULL
                   ? message_error(EXIT_USE, "--%s takes one of %s, not \"%s\"", o->name, range,
                                   text)
                   : message_error(EXIT_USE, "--%s takes one of %s, not \"%s\"; did you mean %s?",
                                   o->name, range, text, near);
    }
    if (o->minimum < o->maximum) {
        const char *low = o->open_low ? " above " : " from ";
        const char *high = o->open_high ? (o->open_low ? " and below " : " to below ")
                                        : (o->open_low ? " up to " : " to ");
        if (o->maximum >= 1e18) {
            snprintf(range, sizeof range, o->open_low ? "%s%.10g" : "%s%.10g on", low, o->minimum);
        } else {
            snprintf(range, sizeof range, "%s%.10g%s%.10g", low, o->minimum, high, o->maximum);
        }
    }
    return message_error(EXIT_USE, "--%s takes a %s%s, not \"%s\"", o->name,
                         o->kind == OPTION_INTEGER ? "whole number" : "number", range, text);
}

/* Read one argument of an option into its slot. */
static int read_value(slot *s, const char *text)
{
    const option_spec *o = s->spec;
    const int limited = o->minimum < o->maximum;
    switch (o->kind) {
    case OPTION_INTEGER:
        if (!parse_integer(text, &s->integer) ||
            (limited && ((double)s->integer < o->minimum || (double)s->integer > o->maximum))) {
            return wrong_value(o, text);
        }
        break;
    case OPTION_REAL:
        if (!parse_real(text, &s->real) ||
            (limited &&
             (s->real < o->minimum || s->real > o->maximum ||
              (o->open_low && s->real <= o->minimum) || (o->open_high && s->real >= o->maximum)))) {
            return wrong_value(o, text);
        }
        break;
    case OPTION_CHOICE:
        for (s->choice = 0; o->choices[s->choice] != NULL; s->choice++) {
            if (strcmp(o->choices[s->choice], text) == 0) {
                return EXIT_DONE;
            }
        }
        return wrong_value(o, text);
    case OPTION_TEXT:
    case OPTION_LIST:
        if (text[0] == '\0') {
            return message_error(EXIT_USE, "--%s: the argument is empty", o->name);
        }
        break;
    case OPTION_FLAG:
        break;
    }
    return EXIT_DONE;
}

static int take(slot *s, char *text)
{
    char **texts = realloc(s->texts, (s->count + 1) * sizeof *texts);
    if (texts == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    s->texts = texts;
    s->texts[s->count++] = text;
    return text == NULL ? EXIT_DONE : read_value(s, text);
}

static int unknown_option(const arguments *a, const char *word)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *names[OPTION_LIMIT + 1];
    for (size_t i = 0; i < a->slot_count; i++) {
        names[i] = a->slots[i].spec->name;
    }
    names[a->slot_count] = NULL;
    const char *near = nearest_word(name, names);
    if (near != NULL) {
        return message_error(EXIT_USE, "%s has no option --%s; did you mean --%s?",
                             a->command->name, name, near);
    }
    return message_error(EXIT_USE, "%s has no option --%s (see `lstm help %s`)", a->command->name,
                         name, a->command->name);
}

/* Fill the tables of getopt_long. */
static void make_tables(const arguments *a, struct option *longs, char *shorts)
{
    *shorts++ = '-';
    *shorts++ = ':';
    for (size_t i = 0; i < a->slot_count; i++) {
        const option_spec *o = a->slots[i].spec;
        const int needs_text = o->kind != OPTION_FLAG;
        longs[i] = (struct option){.name = o->name,
                                   .has_arg = needs_text ? required_argument : no_argument,
                                   .flag = NULL,
                                   .val = SLOT_BASE + (int)i};
        if (o->letter != 0) {
            *shorts++ = (char)o->letter;
            if (needs_text) {
                *shorts++ = ':';
            }
        }
    }
    longs[a->slot_count] = (struct option){0};
    *shorts = '\0';
}

static slot *slot_of(arguments *a, int answer)
{
    if (answer >= SLOT_BASE && (size_t)(answer - SLOT_BASE) < a->slot_count) {
        return &a->slots[answer - SLOT_BASE];
    }
    for (size_t i = 0; i < a->slot_count; i++) {
        if (a->slots[i].spec->letter != 0 && a->slots[i].spec->letter == answer) {
            return &a->slots[i];
        }
    }
    return NULL;
}

static int read_line(arguments *a, int argc, char **argv)
{
    struct option longs[OPTION_LIMIT + 1];
    char shorts[2 * OPTION_LIMIT + 4];
    make_tables(a, longs, shorts);
    a->operands = calloc((size_t)argc + 1, sizeof *a->operands);
    if (a->operands == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    opterr = 0;
    optind = 0;
    for (;;) {
        optopt = 0;
        const int answer = getopt_long(argc, argv, shorts, longs, NULL);
        if (answer == -1) {
            break;
        }
        if (answer == 1) {
            a->operands[a->operand_count++] = optarg;
            continue;
        }
        if (answer == ':') {
            return message_error(EXIT_USE, "%s needs an argument", argv[optind - 1]);
        }
        if (answer == '?') {
            const slot *flag = slot_of(a, optopt);
            if (flag != NULL) {
                return message_error(EXIT_USE, "--%s takes no argument", flag->spec->name);
            }
            return optopt != 0
                       ? message_error(EXIT_USE, "%s has no option -%c (see `lstm help %s`)",
                                       a->command->name, optopt, a->command->name)
                       : unknown_option(a, argv[optind - 1]);
        }
        slot *s = slot_of(a, answer);
        const int code = s == NULL ? EXIT_DONE
                                   : take(s, s->spec->kind == OPTION_FLAG ? NULL : optarg);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    while (optind < argc) {
        a->operands[a->operand_count++] = argv[optind++];
    }
    return EXIT_DONE;
}

static int check_line(const arguments *a)
{
    const command *c = a->command;
    for (size_t i = 0; i < a->slot_count; i++) {
        const option_spec *o = a->slots[i].spec;
        if (o->required && a->slots[i].count == 0) {
            return o->letter == 0 ? message_error(EXIT_USE, "%s needs --%s %s (see `lstm help %s`)",
                                                  c->name, o->name, o->metavar, c->name)
                                  : message_error(EXIT_USE, "%s needs -%c %s (see `lstm help %s`)",
                                                  c->name, o->letter, o->metavar, c->name);
        }
    }
    if (a->operand_count < (size_t)c->operand_min) {
        return message_error(EXIT_USE, "an argument is missing: lstm %s %.*s", c->name,
                             (int)strcspn(c->synopsis, "\n"), c->synopsis);
    }
    if (a->operand_count > (size_t)c->operand_max) {
        return message_error(EXIT_USE, "unexpected argument \"%s\": lstm %s %.*s",
                             a->operands[c->operand_max], c->name, (int)strcspn(c->synopsis, "\n"),
                             c->synopsis);
    }
    return EXIT_DONE;
}

int arguments_parse(arguments **out, const command *of, int argc, char **argv)
{
    *out = NULL;
    arguments *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    a->command = of;
    arguments_each_option(of, add_slot, a);
    int code = EXIT_DONE;
    for (size_t i = 0; i < a->slot_count && code == EXIT_DONE; i++) {
        const char *value = a->slots[i].spec->value;
        code = value == NULL ? EXIT_DONE : read_value(&a->slots[i], value);
    }
    if (code == EXIT_DONE) {
        code = read_line(a, argc, argv);
    }
    if (code == EXIT_DONE && arguments_flag(a, "help")) {
        help_print_command(stdout, of);
        arguments_destroy(a);
        return EXIT_DONE;
    }
    if (code == EXIT_DONE) {
        code = check_line(a);
    }
    if (code != EXIT_DONE) {
        arguments_destroy(a);
        return code;
    }
    message_set_quiet(arguments_flag(a, "quiet"));
    *out = a;
    return ARGUMENTS_GO_ON;
}

void arguments_destroy(arguments *a)
{
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < a->slot_count; i++) {
        free(a->slots[i].texts);
    }
    free(a->operands);
    free(a);
}

size_t arguments_given(const arguments *a, const char *name)
{
    return find(a, name)->count;
}

int arguments_flag(const arguments *a, const char *name)
{
    return find(a, name)->count > 0;
}

int64_t arguments_integer(const arguments *a, const char *name)
{
    return find(a, name)->integer;
}

double arguments_real(const arguments *a, const char *name)
{
    return find(a, name)->real;
}

const char *arguments_text(const arguments *a, const char *name)
{
    const slot *s = find(a, name);
    return s->count > 0 ? s->texts[s->count - 1] : s->spec->value;
}

int arguments_choice(const arguments *a, const char *name)
{
    return find(a, name)->choice;
}

const char *arguments_item(const arguments *a, const char *name, size_t index)
{
    const slot *s = find(a, name);
    return index < s->count ? s->texts[index] : NULL;
}

size_t arguments_operands(const arguments *a)
{
    return a->operand_count;
}

const char *arguments_operand(const arguments *a, size_t index)
{
    return index < a->operand_count ? a->operands[index] : NULL;
}

uint64_t arguments_seed(const arguments *a)
{
    return (uint64_t)arguments_integer(a, "seed");
}

static void log_line(void *user, const char *line)
{
    (void)user;
    message_note("%s", line);
}

int arguments_context(const arguments *a, lstm_context **out)
{
    const int64_t threads = arguments_integer(a, "threads");
    const lstm_context_options options = {.struct_size = sizeof options,
                                          .threads = threads == 0 ? -1 : (int32_t)threads,
                                          .blas_threads = 1,
                                          .log = log_line};
    const lstm_status status = lstm_context_create(out, &options);
    return status == LSTM_OK ? EXIT_DONE : message_status(status, NULL);
}

int parts_split(parts *out, const char *text, const char *what)
{
    *out = (parts){0};
    size_t count = 1;
    for (const char *c = text; *c != '\0'; c++) {
        count += *c == ',';
    }
    out->items = calloc(count, sizeof *out->items);
    if (out->items == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    for (const char *begin = text; out->count < count; begin += strcspn(begin, ",") + 1) {
        size_t length = strcspn(begin, ",");
        const size_t blanks = strspn(begin, " \t");
        const char *first = begin + (blanks < length ? blanks : length);
        length -= (size_t)(first - begin);
        while (length > 0 && (first[length - 1] == ' ' || first[length - 1] == '\t')) {
            length--;
        }
        char *item = length == 0 ? NULL : strndup(first, length);
        if (item == NULL) {
            parts_release(out);
            return length == 0 ? message_error(EXIT_USE, "%s: \"%s\" has an empty part", what, text)
                               : message_error(EXIT_WORK, "out of memory");
        }
        out->items[out->count++] = item;
    }
    return EXIT_DONE;
}

void parts_release(parts *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (parts){0};
}
