/* SPDX-License-Identifier: MIT
 *
 * Texts made from the tables of commands: --help, the list of commands, man page, completion
 * script.
 */
#ifndef LSTM_CLI_HELP_H
#define LSTM_CLI_HELP_H

#include "command.h"
#include <stdio.h>

void help_print_commands(FILE *stream);
void help_print_command(FILE *stream, const command *command);
void help_print_man(FILE *stream);
void help_print_completion(FILE *stream);

#endif
