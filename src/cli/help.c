/* SPDX-License-Identifier: MIT
 *
 * Texts made from the tables of commands: the list of commands, --help of a command, the man page
 * (roff), the completion script (bash). Everything comes from the same rows that arguments.c
 * parses.
 */
#include "help.h"

#include "messages.h"
#include "text_table.h"

#include <lstm/lstm.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_COLUMN 30
#define WIDEST 100

/* What follows an option's name: " FILE" or "". */
static const char *metavar(const option_spec *o)
{
    return o->kind == OPTION_FLAG || o->metavar == NULL ? "" : o->metavar;
}

/* "passes over the data (1 to 1000000; default 1)": a text and its facts. */
static void describe(char *text, size_t size, const option_spec *o)
{
    char facts[256] = "";
    size_t used = 0;
#define FACT(...)                                                                                  \
    used += used < sizeof facts ? (size_t)snprintf(facts + used, sizeof facts - used, __VA_ARGS__) \
                                : 0
    if (o->required) {
        FACT("required");
    }
    if (o->kind == OPTION_CHOICE) {
        FACT("%s", used > 0 ? "; " : "");
        for (size_t i = 0; o->choices[i] != NULL; i++) {
            FACT("%s%s", i == 0 ? "" : ", ", o->choices[i]);
        }
    }
    if (o->kind == OPTION_LIST) {
        FACT("%srepeatable", used > 0 ? "; " : "");
    }
    const char *value = o->shown != NULL ? o->shown : o->value;
    if (value != NULL && o->kind != OPTION_FLAG) {
        FACT("%sdefault %s", used > 0 ? "; " : "", value);
    }
#undef FACT
    if (used > 0) {
        snprintf(text, size, "%s (%s)", o->help, facts);
    } else {
        snprintf(text, size, "%s", o->help);
    }
}

/* Print words from column `indent` on, broken at `width`; the cursor stands at `column`. */
static void print_wrapped(FILE *stream, const char *text, int column, int indent, int width)
{
    if (column >= indent) {
        fputc('\n', stream);
        column = 0;
    }
    fprintf(stream, "%*s", indent - column, "");
    column = indent;
    while (*text != '\0') {
        const size_t length = strcspn(text, " ");
        if (column > indent && column + 1 + (int)length > width) {
            fprintf(stream, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", (int)length, text);
        column += (int)length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

typedef struct option_printer {
    FILE *stream;
    int width;
    int headed; /* a heading has been printed */
} option_printer;

static void print_option(void *user, const option_spec *o)
{
    option_printer *p = user;
    const char *bold = message_paint(p->stream, PAINT_BOLD);
    const char *plain = message_paint(p->stream, PAINT_NONE);
    const int common = strcmp(o->name, "threads") == 0;
    if (o->heading != NULL || common || !p->headed) {
        const char *heading = o->heading != NULL ? o->heading
                              : common           ? "Common options"
                                                 : "Options";
        fprintf(p->stream, "\n%s%s%s\n", bold, heading, plain);
        p->headed = 1;
    }
    char text[512];
    describe(text, sizeof text, o);
    char letter[4] = "  ";
    if (o->letter != 0) {
        snprintf(letter, sizeof letter, "-%c", o->letter);
    }
    const char *argument = metavar(o);
    fprintf(p->stream, "  %s%s--%s%s%s", letter, o->letter != 0 ? ", " : "  ", o->name,
            argument[0] == '\0' ? "" : " ", argument);
    const int column = 8 + (int)strlen(o->name) +
                       (argument[0] == '\0' ? 0 : 1 + text_width(argument));
    print_wrapped(p->stream, text, column + 1 > LEFT_COLUMN ? LEFT_COLUMN : column, LEFT_COLUMN,
                  p->width);
}

static int page_width(FILE *stream)
{
    const int columns = message_columns(stream);
    return columns == 0 ? WIDEST : columns < 50 ? 50 : columns > WIDEST ? WIDEST : columns;
}

void arguments_print_options(FILE *stream, const command *of)
{
    option_printer printer = {.stream = stream, .width = page_width(stream)};
    arguments_each_option(of, print_option, &printer);
}

/* Print each line of a text behind a prefix. */
static void print_lines(FILE *stream, const char *first, const char *others, const char *text)
{
    for (const char *line = text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        fprintf(stream, "%s%.*s\n", line == text ? first : others, (int)length, line);
        line += length + (line[length] == '\n');
    }
}

void help_print_command(FILE *stream, const command *c)
{
    const char *bold = message_paint(stream, PAINT_BOLD);
    const char *plain = message_paint(stream, PAINT_NONE);
    char prefix[64];
    char others[64];
    snprintf(prefix, sizeof prefix, "usage: lstm %s ", c->name);
    snprintf(others, sizeof others, "       lstm %s ", c->name);
    fprintf(stream, "%slstm %s%s: %s\n\n", bold, c->name, plain, c->summary);
    print_lines(stream, prefix, others, c->synopsis);
    arguments_print_options(stream, c);
    if (c->help != NULL) {
        fprintf(stream, "\n");
        print_lines(stream, "", "", c->help);
    }
    if (c->examples != NULL) {
        fprintf(stream, "\n%sExamples%s\n", bold, plain);
        print_lines(stream, "  ", "  ", c->examples);
    }
}

void help_print_commands(FILE *stream)
{
    const char *bold = message_paint(stream, PAINT_BOLD);
    const char *plain = message_paint(stream, PAINT_NONE);
    fprintf(stream,
            "%slstm%s %s: train, run and inspect LSTM networks on this computer's CPU\n\n"
            "usage: lstm COMMAND [arguments]\n"
            "       lstm help COMMAND | lstm COMMAND --help | lstm --version\n",
            bold, plain, lstm_version_string());
    const char *group = "";
    for (const command *const *c = commands; *c != NULL; c++) {
        if (strcmp((*c)->group, group) != 0) {
            group = (*c)->group;
            fprintf(stream, "\n%s%s%s\n", bold, group, plain);
        }
        fprintf(stream, "  %-10s  %s\n", (*c)->name, (*c)->summary);
    }
    fprintf(stream, "\nExit codes: 0 done, 1 the work failed, 2 wrong use or bad input, 3 a file "
                    "cannot be read or\n"
                    "written, 130 interrupted. Results go to standard output or to -o FILE, "
                    "messages to standard error.\n");
}

/* ---- Man page: roff with the man macros */

/* Print text with what roff would take for itself escaped. */
static void print_roff(FILE *stream, const char *text)
{
    int line_start = 1;
    for (const char *c = text; *c != '\0'; c++) {
        if (line_start && (*c == '.' || *c == '\'')) {
            fputs("\\&", stream);
        }
        if (*c == '\\') {
            fputs("\\e", stream);
        } else if (*c == '-') {
            fputs("\\-", stream);
        } else {
            fputc(*c, stream);
        }
        line_start = *c == '\n';
    }
}

static void print_roff_option(void *user, const option_spec *o)
{
    FILE *stream = user;
    if (strcmp(o->name, "threads") == 0) {
        return; /* the common options stand once, at the end */
    }
    if (strcmp(o->name, "seed") == 0 || strcmp(o->name, "quiet") == 0 ||
        strcmp(o->name, "help") == 0) {
        return;
    }
    char text[512];
    describe(text, sizeof text, o);
    fputs(".TP\n", stream);
    if (o->letter != 0) {
        fprintf(stream, "\\fB\\-%c\\fR, ", o->letter);
    }
    fputs("\\fB\\-\\-", stream);
    print_roff(stream, o->name);
    fprintf(stream, "\\fR \\fI%s\\fR\n", metavar(o));
    print_roff(stream, text);
    fputc('\n', stream);
}

static void print_roff_command(FILE *stream, const command *c)
{
    fprintf(stream, ".SS \"lstm %s\"\n", c->name);
    print_roff(stream, c->summary);
    fputs(".\n", stream);
    for (const char *line = c->synopsis; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        char form[512];
        snprintf(form, sizeof form, "%.*s", (int)length, line);
        fprintf(stream, ".PP\n\\fBlstm %s\\fR ", c->name);
        print_roff(stream, form);
        fputc('\n', stream);
        line += length + (line[length] == '\n');
    }
    arguments_each_option(c, print_roff_option, stream);
    if (c->help != NULL) {
        fputs(".PP\n.nf\n", stream);
        print_roff(stream, c->help);
        fputs("\n.fi\n", stream);
    }
    if (c->examples != NULL) {
        fputs(".PP\nExamples:\n.PP\n.nf\n.RS\n", stream);
        print_roff(stream, c->examples);
        fputs("\n.RE\n.fi\n", stream);
    }
}

void help_print_man(FILE *stream)
{
    fprintf(stream, ".TH LSTM 1 \"\" \"liblstm %s\" \"User Commands\"\n", lstm_version_string());
    fputs(
        ".SH NAME\nlstm \\- train, run and inspect LSTM networks\n"
        ".SH SYNOPSIS\n\\fBlstm\\fR \\fICOMMAND\\fR [\\fIarguments\\fR]\n.br\n"
        "\\fBlstm help\\fR [\\fICOMMAND\\fR]\n.br\n\\fBlstm \\-\\-version\\fR\n"
        ".SH DESCRIPTION\nTrain, run and inspect long short\\-term memory networks on CPUs. Arrays "
        "travel as .npy, .npz,\n"
        "\\&.safetensors or CSV; models as .lstm (or .safetensors) files or as JSON descriptions.\n"
        "Results go to standard output or to the file after \\fB\\-o\\fR, messages to standard "
        "error.\n"
        ".SH COMMANDS\n",
        stream);
    for (const command *const *c = commands; *c != NULL; c++) {
        print_roff_command(stream, *c);
    }
    fputs(".SH COMMON OPTIONS\nEvery command takes:\n"
          ".TP\n\\fB\\-\\-threads\\fR \\fIN\\fR\nCPU threads to use (default all CPUs); does not "
          "change results\n"
          ".TP\n\\fB\\-\\-seed\\fR \\fIN\\fR\nseed of everything random (default 0); same seed, "
          "same result\n"
          ".TP\n\\fB\\-q\\fR, \\fB\\-\\-quiet\\fR\nprint results and errors only\n"
          ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint the command's help\n"
          ".SH EXIT STATUS\n"
          ".TP\n0\ndone\n.TP\n1\nthe work failed: numeric trouble, no memory\n.TP\n2\nwrong use or "
          "bad input\n"
          ".TP\n3\na file cannot be read or written\n.TP\n130\ninterrupted; the last checkpoint is "
          "kept\n"
          ".SH ENVIRONMENT\n"
          ".TP\nLSTM_MAX_ISA\nhighest instruction level to use: generic, avx2, avx512, neon\n"
          ".TP\nNO_COLOR\nif set, messages are not coloured\n",
          stream);
}

/* ---- Completion */

static void print_option_word(void *user, const option_spec *o)
{
    fprintf(user, " --%s", o->name);
}

static void print_choices(void *user, const option_spec *o)
{
    if (o->kind != OPTION_CHOICE) {
        return;
    }
    FILE *stream = user;
    fprintf(stream, "        --%s) COMPREPLY=($(compgen -W \"", o->name);
    for (size_t i = 0; o->choices[i] != NULL; i++) {
        fprintf(stream, "%s%s", i == 0 ? "" : " ", o->choices[i]);
    }
    fputs("\" -- \"$word\")); return ;;\n", stream);
}

void help_print_completion(FILE *stream)
{
    fputs("# bash completion for lstm, made by `lstm help --completion`\n"
          "_lstm()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"",
          stream);
    for (const command *const *c = commands; *c != NULL; c++) {
        fprintf(stream, "%s ", (*c)->name);
    }
    fputs(
        "--version --help\" -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n",
        stream);
    for (const command *const *c = commands; *c != NULL; c++) {
        fprintf(stream, "    %s)\n        words='", (*c)->name);
        arguments_each_option(*c, print_option_word, stream);
        if (*c == &command_help) {
            for (const command *const *d = commands; *d != NULL; d++) {
                fprintf(stream, " %s", (*d)->name);
            }
        }
        fputs("'\n        case $before in\n", stream);
        arguments_each_option(*c, print_choices, stream);
        fputs("        esac ;;\n", stream);
    }
    fputs("    esac\n"
          "    if [ \"${word#-}\" != \"$word\" ] || [ \"${COMP_WORDS[1]}\" = help ]; then\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _lstm lstm\n",
          stream);
}
