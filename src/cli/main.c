/* SPDX-License-Identifier: MIT
 *
 * The program `lstm`: finds the command, parses the line after the command's table, runs it and
 * ends with its exit code (messages.h). It is written against the public header alone.
 */
#include "command.h"
#include "help.h"
#include "messages.h"

#include <fcntl.h>
#include <lstm/lstm.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_LIMIT 32

const command *const commands[] = {&command_summary,
                                   &command_fit,
                                   &command_tune,
                                   &command_evaluate,
                                   &command_predict,
                                   &command_gradient,
                                   &command_convert,
                                   &command_forecast,
                                   &command_bench,
                                   &command_help,
                                   NULL};

const command *command_find(const char *name)
{
    for (const command *const *c = commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0) {
            return *c;
        }
    }
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *names[COMMAND_LIMIT + 1];
    size_t count = 0;
    for (; commands[count] != NULL && count < COMMAND_LIMIT; count++) {
        names[count] = commands[count]->name;
    }
    names[count] = NULL;
    return nearest_word(name, names);
}

static int print_version(void)
{
    lstm_context *context = NULL;
    const lstm_status status = lstm_context_create(&context, NULL);
    if (status != LSTM_OK) {
        return message_status(status, NULL);
    }
    const char *isa = lstm_constant_name(LSTM_NAMES_ISA, lstm_context_isa(context));
    printf("lstm %d.%d.%d (liblstm %s, %s kernels, BLAS %s)\n", LSTM_VERSION_MAJOR,
           LSTM_VERSION_MINOR, LSTM_VERSION_PATCH, lstm_version_string(),
           isa == NULL ? "unknown" : isa, lstm_context_blas(context));
    lstm_context_destroy(context);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        help_print_commands(stderr);
        return EXIT_USE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        return print_version();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
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
    arguments *line = NULL;
    int code = arguments_parse(&line, found, argc - 1, argv + 1);
    if (code == ARGUMENTS_GO_ON) {
        code = found->run(line);
    }
    arguments_destroy(line);
    return code;
}

/* A standard stream that the caller closed must not become the descriptor of the first file that is
 * opened. Standard output gets one that cannot be written, so that results which nobody can receive
 * are noticed. */
static void keep_standard_streams(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) == -1 &&
            open("/dev/null", descriptor == 2 ? O_WRONLY : O_RDONLY) != descriptor) {
            _exit(EXIT_FILE);
        }
    }
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    setlocale(LC_CTYPE,
              ""); /* only to know whether the terminal shows UTF-8; numbers stay those of "C" */
    const int code = run(argc, argv);
    const int output = message_finish_output();
    return code != EXIT_DONE ? code : output;
}
