/* SPDX-License-Identifier: MIT
 *
 * The commands of the program `lstm`: what each is called, which options it takes, what runs it.
 *
 * A command is one constant: everything that the program prints about it (help, man page,
 * completion) is made from this constant, so that no description can differ from what is parsed.
 * main.c parses the command line after the command's tables and then calls run(). A command writes
 * results to stdout or to its output file, messages to stderr (messages.h), and returns one of the
 * exit codes of messages.h.
 */
#ifndef LSTM_CLI_COMMAND_H
#define LSTM_CLI_COMMAND_H

#include "arguments.h"

typedef struct command {
    const char *name;    /* "fit" */
    const char *group;   /* the heading under which `lstm help` lists it: COMMAND_GROUP_* */
    const char *summary; /* one line, no full stop: "train a model on arrays" */
    /* what follows the name: "MODEL --x X.npy --y Y.npy -o OUT [options]"; further forms of the
     * call follow after '\n' */
    const char *synopsis;
    /* paragraphs below the table of options; lines of at most 78 columns; may be NULL */
    const char *help;
    const char *examples; /* one command line a line, each from "lstm " on; may be NULL */
    /* ended by an entry whose name is NULL; the common ones are added to every command */
    const option_spec *options;
    /* options that stand before them and are another command's too, ended alike; may be NULL */
    const option_spec *shared;
    int operand_min; /* how many words that are no options */
    int operand_max;
    int (*run)(const arguments *arguments);
} command;

#define COMMAND_GROUP_MODELS "Models and arrays"
#define COMMAND_GROUP_APPLICATIONS "Applications"
#define COMMAND_GROUP_OTHER "Other"

extern const command command_summary;
extern const command command_fit;
extern const command command_evaluate;
extern const command command_predict;
extern const command command_gradient;
extern const command command_convert;
extern const command command_tune;
extern const command command_forecast;
extern const command command_bench;
extern const command command_help;

/* Every command in the order of `lstm help`, ended by NULL. */
extern const command *const commands[];

/* Find a command by its name; NULL if there is none. */
const command *command_find(const char *name);

/* Return the name of the command nearest to a mistyped one, or NULL if none is near. */
const char *command_nearest(const char *name);

#endif
