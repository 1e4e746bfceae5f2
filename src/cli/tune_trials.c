/* SPDX-License-Identifier: MIT
 *
 * The trials of a search or an ablation, and the file that makes both resumable.
 *
 *     {"lstm_tune": 1, "settings": {…}, "trials": [{"number": 1, "values": {…},
 *      "results": [{"epochs": 3, "loss": …, "val_loss": …, "seconds": …}], "error": "…"}]}
 *
 * The file is written whole under another name and renamed after every rung of a trial, so that a
 * process killed at any time leaves the last complete state. The lock is on the folder and is
 * inherited by the processes of the trials: orphans of a killed search keep it until they have
 * ended.
 */
#include "tune.h"

#include "files.h"
#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIALS_BYTES 1000000000

static const char *file_path(const tune *t, char *text, size_t size)
{
    snprintf(text, size, "%s/trials.json", t->folder);
    return text;
}

/* Name the first setting that is not the file's. */
static int compare_settings(const tune *t, const json_t *found, const char *path)
{
    const char *key;
    json_t *value;
    json_object_foreach(t->settings, key, value)
    {
        if (!json_equal(value, json_object_get(found, key))) {
            char *was = json_dumps(json_object_get(found, key), JSON_ENCODE_ANY | JSON_COMPACT);
            char *is = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            const int code = message_error(
                EXIT_USE,
                "%s: these trials were made with another %s: %.200s there, %.200s here; take "
                "another folder, or remove this one",
                path, key, was == NULL ? "none" : was, is == NULL ? "none" : is);
            free(was);
            free(is);
            return code;
        }
    }
    return EXIT_DONE;
}

static int take_trials(tune *t, const json_t *root, const char *path)
{
    const json_t *list = json_object_get(root, "trials");
    size_t index;
    json_t *entry;
    t->trials = calloc(json_array_size(list) + 1, sizeof *t->trials);
    if (t->trials == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    json_array_foreach(list, index, entry)
    {
        const json_t *values = json_object_get(entry, "values");
        const json_t *results = json_object_get(entry, "results");
        const char *error = json_string_value(json_object_get(entry, "error"));
        trial *to = &t->trials[t->count++];
        to->number = json_integer_value(json_object_get(entry, "number"));
        to->values = json_deep_copy(values);
        to->results = json_deep_copy(results);
        to->error = error == NULL ? NULL : strdup(error);
        if (to->number != (int64_t)index + 1 || !json_is_object(values) ||
            !json_is_array(results)) {
            return message_error(EXIT_USE, "%s: entry %zu is no trial", path, index + 1);
        }
    }
    return EXIT_DONE;
}

static int read_file(tune *t)
{
    char path[4096];
    char *text = NULL;
    size_t length = 0;
    json_t *root = NULL;
    json_error_t error;
    int code = EXIT_DONE;
    if (access(file_path(t, path, sizeof path), F_OK) != 0) {
        return EXIT_DONE;
    }
    NEED(file_read(path, TRIALS_BYTES, &text, &length));
    root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (json_integer_value(json_object_get(root, "lstm_tune")) != 1) {
        code = root == NULL ? message_error(EXIT_USE, "%s: line %d, column %d: %s", path,
                                            error.line, error.column, error.text)
                            : message_error(EXIT_USE, "%s: no trials file of this version", path);
        goto out;
    }
    NEED(compare_settings(t, json_object_get(root, "settings"), path));
    NEED(take_trials(t, root, path));
out:
    json_decref(root);
    free(text);
    return code;
}

int trials_open(tune *t, int *lock)
{
    if (mkdir(t->folder, 0777) != 0 && errno != EEXIST) {
        return message_error(EXIT_FILE, "%s: cannot be made: %s", t->folder, strerror(errno));
    }
    *lock = open(t->folder, O_RDONLY | O_DIRECTORY);
    if (*lock < 0) {
        return message_error(EXIT_FILE, "%s: %s", t->folder, strerror(errno));
    }
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        return message_error(EXIT_FILE, "%s: another `lstm tune` works in this folder", t->folder);
    }
    return read_file(t);
}

int trials_make(tune *t, size_t count, json_t *(*draw)(const tune *t, int64_t number))
{
    trial *longer = realloc(t->trials, (count + 1) * sizeof *longer);
    if (longer == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    t->trials = longer;
    while (t->count < count) {
        trial *to = &t->trials[t->count];
        *to = (trial){.number = (int64_t)t->count + 1};
        to->values = draw(t, to->number);
        to->results = json_array();
        t->count++;
        if (to->values == NULL || to->results == NULL) {
            return message_error(EXIT_WORK, "out of memory");
        }
    }
    return EXIT_DONE;
}

int trials_save(const tune *t)
{
    char path[4096];
    json_t *list = json_array();
    for (size_t i = 0; i < t->count; i++) {
        const trial *from = &t->trials[i];
        json_t *entry = json_pack("{s:I, s:O, s:O}", "number", (json_int_t)from->number, "values",
                                  from->values, "results", from->results);
        if (from->error != NULL) {
            json_object_set_new(entry, "error", json_string(from->error));
        }
        json_array_append_new(list, entry);
    }
    json_t *root = json_pack("{s:i, s:O, s:o}", "lstm_tune", 1, "settings", t->settings, "trials",
                             list);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    const int code = text == NULL ? message_error(EXIT_WORK, "out of memory for the trials file")
                                  : file_write(file_path(t, path, sizeof path), text, strlen(text));
    free(text);
    return code;
}

void trials_release(tune *t)
{
    for (size_t i = 0; i < t->count; i++) {
        json_decref(t->trials[i].values);
        json_decref(t->trials[i].results);
        free(t->trials[i].error);
    }
    free(t->trials);
    t->trials = NULL;
    t->count = 0;
}

double trial_value(const trial *which, ptrdiff_t rung, const char *name)
{
    const size_t count = json_array_size(which->results);
    const size_t at = rung < 0 ? count - 1 : (size_t)rung;
    const json_t *value = json_object_get(json_array_get(which->results, at), name);
    return at < count && json_is_number(value) ? json_number_value(value) : NAN;
}

double trial_score(const tune *t, const trial *which, ptrdiff_t rung)
{
    const double value = trial_value(which, rung, t->objective);
    return isnan(value) ? INFINITY : t->maximise ? -value : value;
}
