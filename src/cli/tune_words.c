/* SPDX-License-Identifier: MIT
 *
 * The command line of a trial: what was given to `lstm tune` of data and training, and what is the
 * trial's own behind it.
 */
#include "tune.h"

#include "messages.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void take_word(word_list *list, char *word)
{
    char **longer = realloc(list->words, (list->count + 2) * sizeof *longer);
    if (longer != NULL) {
        list->words = longer;
    }
    if (longer == NULL || word == NULL) {
        list->failed = 1;
        free(word);
        return;
    }
    list->words[list->count++] = word;
    list->words[list->count] = NULL;
}

void words_add(word_list *list, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    va_list again;
    va_copy(again, values);
    const int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    char *word = length < 0 ? NULL : malloc((size_t)length + 1);
    if (word != NULL) {
        vsnprintf(word, (size_t)length + 1, format, again);
    }
    va_end(again);
    take_word(list, word);
}

void words_release(word_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->words[i]);
    }
    free(list->words);
    *list = (word_list){0};
}

void words_add_given(word_list *list, const arguments *line, const char *const *without)
{
    for (const option_spec *o = fit_shared_options; o->name != NULL; o++) {
        size_t k = 0;
        while (without[k] != NULL && strcmp(without[k], o->name) != 0) {
            k++;
        }
        for (size_t i = 0; without[k] == NULL && i < arguments_given(line, o->name); i++) {
            if (o->kind == OPTION_FLAG) {
                words_add(list, "--%s", o->name);
            } else {
                words_add(list, "--%s=%s", o->name, arguments_item(line, o->name, i));
            }
        }
    }
}

void words_add_value(word_list *list, const char *option, const json_t *value)
{
    if (json_is_string(value)) {
        words_add(list, "--%s=%s", option, json_string_value(value));
    } else if (json_is_integer(value)) {
        words_add(list, "--%s=%lld", option, (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        char text[40]; /* the shortest that reads back */
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
        if (strtod(text, NULL) != json_real_value(value)) {
            snprintf(text, sizeof text, "%.17g", json_real_value(value));
        }
        words_add(list, "--%s=%s", option, text);
    } else if (json_is_boolean(value)) {
        words_add(list, "--%s=%s", option, json_is_true(value) ? "yes" : "no");
    } else if (!json_is_null(value)) {
        words_add(list, "--%s=?", option); /* a list or an object is no value of an option */
    }
}

const char *trial_path(const tune *t, const trial *which, const char *suffix, char *text,
                       size_t size)
{
    snprintf(text, size, "%s/trial-%lld%s", t->folder, (long long)which->number, suffix);
    return text;
}

int trial_words(const tune *t, const trial *which, int64_t epochs, word_list *out)
{
    char path[4096];
    json_t *description = t->description == NULL ? NULL : json_deep_copy(t->description);
    int code = EXIT_DONE;
    *out = (word_list){0};
    words_add(out, "fit");
    words_add(out, "%s",
              t->description == NULL ? arguments_operand(t->line, 0)
                                     : trial_path(t, which, ".json", path, sizeof path));
    NEED(t->prepare(t, which, description, out));
    words_add(out, "--epochs=%lld", (long long)epochs);
    words_add(out, "--checkpoint=%s", trial_path(t, which, ".ckpt", path, sizeof path));
    words_add(out, "--output=%s", trial_path(t, which, ".lstm", path, sizeof path));
    words_add(out, "--threads=%lld", (long long)t->threads);
    words_add(out, "--quiet");
    if (out->failed) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    if (description != NULL) {
        trial_path(t, which, ".json", path, sizeof path);
        if (json_dump_file(description, path, JSON_INDENT(1)) != 0) {
            code = message_error(EXIT_FILE, "%s: cannot be written", path);
        }
    }
out:
    json_decref(description);
    return code;
}
