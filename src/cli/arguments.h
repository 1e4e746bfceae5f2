/* SPDX-License-Identifier: MIT
 *
 * Command lines after a table: every option of a command is one row that says its name, the kind of
 * its argument, its range, its default and its help text. Parsing (getopt_long), --help, the man
 * page and the completion script all read the same rows.
 *
 *     static const option_spec options[] = {
 *         {.name = "epochs", .kind = OPTION_INTEGER, .metavar = "N", .minimum = 1, .maximum = 1e6,
 *          .value = "1", .help = "passes over the data"},
 *         {.name = "output", .letter = 'o', .kind = OPTION_TEXT, .metavar = "FILE", .help = "where to write"},
 *         {.name = NULL}};
 *     ...
 *     const int64_t epochs = arguments_integer(line, "epochs");
 *
 * Every command has these as well: --threads N, --seed N, --quiet, --help; and --log-format
 * text|json if its table says so with OPTION_LOG_FORMAT (below).
 */
#ifndef LSTM_CLI_ARGUMENTS_H
#define LSTM_CLI_ARGUMENTS_H

#include <lstm/lstm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct command;

typedef enum option_kind {
    OPTION_FLAG = 1, /* no argument */
    OPTION_INTEGER,  /* whole number in [minimum, maximum] */
    /* finite number in [minimum, maximum], ends excluded where open_low/open_high say so */
    OPTION_REAL,
    OPTION_TEXT,   /* any text; given twice, the last one counts */
    OPTION_CHOICE, /* one of `choices` */
    OPTION_LIST    /* any text, may be given several times; all count, in order */
} option_kind;

typedef struct option_spec {
    const char *name; /* long name without dashes: "batch-size" */
    int letter;       /* short name or 0 */
    option_kind kind;
    const char *metavar; /* name of the argument in help: "N" */
    const char *help;    /* one or a few words; no full stop; the default is added by itself */
    const char *value;   /* the default, read as if it had been given; NULL = none */
    /* the default as help shows it, where `value` does not say it: "all CPUs" */
    const char *shown;
    double minimum; /* INTEGER, REAL; minimum == maximum == 0 means no limit */
    double maximum;
    int open_low;               /* REAL: minimum itself is excluded */
    int open_high;              /* REAL: maximum itself is excluded */
    const char *const *choices; /* CHOICE: NULL at the end */
    int is_file;                /* the argument is a file (for completion) */
    int required;               /* missing it is an error */
    /* begins a new block of options in help under this heading: "Training"; else NULL */
    const char *heading;
} option_spec;

/* A row for commands that train: --log-format text|json. */
extern const char *const log_format_choices[];
#define OPTION_LOG_FORMAT                                                                \
    {                                                                                    \
        .name = "log-format", .kind = OPTION_CHOICE, .metavar = "FORMAT",                \
        .choices = log_format_choices, .value = "text",                                  \
        .help = "how progress is written: text, or json: one object an epoch, to stdout" \
    }

/* A parsed command line. */
typedef struct arguments arguments;

#define ARGUMENTS_GO_ON (-1)

/* Parse a command line.
 *   out        [out] the parsed line, or NULL
 *   argc, argv [in]  argv[0] is the command's name
 * Returns ARGUMENTS_GO_ON, or the exit code with which the program is to end: 0 after --help, 2
 * after an error, which has been printed. */
int arguments_parse(arguments **out, const struct command *command, int argc, char **argv);
void arguments_destroy(arguments *arguments);

/* How often an option stood on the command line (a default does not count). For these calls `name`
 * must be in the command's table or a common option; anything else is a programming error and ends
 * the program. */
size_t arguments_given(const arguments *arguments, const char *name);

/* 1 if the command has an option of this name at all. */
int arguments_has(const arguments *arguments, const char *name);

int arguments_flag(const arguments *arguments, const char *name);        /* 1 or 0 */
int64_t arguments_integer(const arguments *arguments, const char *name); /* given, default, or 0 */
double arguments_real(const arguments *arguments, const char *name);     /* given, default, or 0 */
/* TEXT, CHOICE; NULL if neither */
const char *arguments_text(const arguments *arguments, const char *name);
/* index in choices, -1 if neither */
int arguments_choice(const arguments *arguments, const char *name);
/* of a LIST; NULL outside */
const char *arguments_item(const arguments *arguments, const char *name, size_t index);

/* Words that are no options. */
size_t arguments_operands(const arguments *arguments);
const char *arguments_operand(const arguments *arguments, size_t index); /* NULL outside */

/* The seed of --seed (default 0). */
uint64_t arguments_seed(const arguments *arguments);

/* Make the context of the command: --threads (default: every CPU), BLAS with one thread, log lines
 * to stderr unless
 * --quiet. Returns 0, or the exit code after printing the error. */
int arguments_context(const arguments *arguments, lstm_context **out);

/* Split "a,b,c" into its parts; blanks around parts are dropped. Free with parts_release.
 * Returns 0, or the exit code after printing that a part is empty (`what` names the option). */
typedef struct parts {
    char **items;
    size_t count;
} parts;
int parts_split(parts *out, const char *text, const char *what);
void parts_release(parts *parts);

/* Read a whole number / a finite number that fills the whole text. Return 1 if it does, 0 else. */
int parse_integer(const char *text, int64_t *value);
int parse_real(const char *text, double *value);

/* Return the candidate nearest to a mistyped word, or NULL if none is near (edit distance beyond a
 * third of the length). `candidates` ends with NULL. */
const char *nearest_word(const char *word, const char *const *candidates);

/* Print the options of a command, common ones included, as a table for --help. */
void arguments_print_options(FILE *stream, const struct command *command);

/* Give every option of a command, common ones last, to a function: for help, man page and
 * completion. */
void arguments_each_option(const struct command *command,
                           void (*visit)(void *user, const option_spec *option), void *user);

#endif
