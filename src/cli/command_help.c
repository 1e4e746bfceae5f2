/* SPDX-License-Identifier: MIT
 *
 * `lstm help`: the list of commands, the help of one, and the texts that an installation needs (man
 * page, completion).
 */
#include "command.h"
#include "files.h"
#include "help.h"
#include "messages.h"

#include <stdio.h>
#include <stdlib.h>

/* Print to stdout, or with -o to a file that appears when it is complete. */
static int print_text(void (*print)(FILE *stream), const char *path)
{
    if (path == NULL) {
        print(stdout);
        return EXIT_DONE;
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    print(stream);
    const int code = fclose(stream) == 0 ? file_write(path, text, length)
                                         : message_error(EXIT_WORK, "out of memory");
    free(text);
    return code;
}

static int run_help(const arguments *line)
{
    const char *path = arguments_text(line, "output");
    const int texts = arguments_flag(line, "man") + arguments_flag(line, "completion");
    if (texts == 2 || (texts == 1 && arguments_operands(line) > 0)) {
        return message_error(EXIT_USE, "help prints one thing at a time");
    }
    if (texts == 1) {
        return print_text(arguments_flag(line, "man") ? help_print_man : help_print_completion,
                          path);
    }
    if (path != NULL) {
        return message_error(EXIT_USE, "-o belongs to --man and --completion");
    }
    const char *name = arguments_operand(line, 0);
    if (name == NULL) {
        help_print_commands(stdout);
        return EXIT_DONE;
    }
    const command *found = command_find(name);
    if (found == NULL) {
        const char *near = command_nearest(name);
        return near == NULL
                   ? message_error(EXIT_USE, "there is no command \"%s\" (see `lstm help`)", name)
                   : message_error(EXIT_USE, "there is no command \"%s\"; did you mean %s?", name,
                                   near);
    }
    help_print_command(stdout, found);
    return EXIT_DONE;
}

static const option_spec options[] = {
    {.name = "man", .kind = OPTION_FLAG, .help = "print the manual page (roff)"},
    {.name = "completion", .kind = OPTION_FLAG, .help = "print the completion script for bash"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .shown = "standard output",
     .help = "where to write these two"},
    {.name = NULL}};

const command command_help = {
    .name = "help",
    .group = COMMAND_GROUP_OTHER,
    .summary = "list the commands, or describe one",
    .synopsis = "[COMMAND]\n--man | --completion [-o FILE]",
    .options = options,
    .operand_min = 0,
    .operand_max = 1,
    .run = run_help,
};
