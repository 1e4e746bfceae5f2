/* SPDX-License-Identifier: MIT
 *
 * `lstm tune`: search for good settings, or show what each regulariser of a model buys; see tune.h.
 */
#include "tune.h"

#include "command.h"
#include "files.h"
#include "messages.h"
#include "network_file.h"
#include "report_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const methods[] = {"random", "halving", "hyperband", NULL};

/* ---- A search */

static int prepare(const tune *t, const trial *which, json_t *description, word_list *words)
{
    const search *s = t->own;
    const char **without = calloc(s->space.count + 2, sizeof *without);
    const char *name;
    json_t *value;
    size_t count = 0;
    int code = without == NULL ? message_error(EXIT_WORK, "out of memory") : EXIT_DONE;
    if (without != NULL) {
        without[count++] = "epochs";
        for (size_t k = 0; k < s->space.count; k++) {
            without[count++] = s->space.items[k].name;
        }
        words_add_given(words, t->line, without);
    }
    json_object_foreach(which->values, name, value)
    {
        if (code == EXIT_DONE && strchr(name, '.') != NULL) {
            code = space_apply(description, name, value, "the trial");
        } else if (code == EXIT_DONE) {
            words_add_value(words, name, value);
        }
    }
    if (arguments_seed(t->line) != 0) {
        words_add(words, "--seed=%lld", (long long)arguments_seed(t->line));
    }
    free(without);
    return code;
}

static ptrdiff_t next(const tune *t, int64_t *epochs)
{
    const search *s = t->own;
    return plan_next(t, &s->plan, epochs);
}

static json_t *draw(const tune *t, int64_t number)
{
    const search *s = t->own;
    return space_draw(&s->space, arguments_seed(t->line), number);
}

static void print_json(const trial *which)
{
    const size_t count = json_array_size(which->results);
    json_t *line = json_pack("{s:I, s:O}", "trial", (json_int_t)which->number, "values",
                             which->values);
    json_object_update(line, json_array_get(which->results, count - 1));
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text != NULL) {
        puts(text);
        fflush(stdout);
    }
    free(text);
    json_decref(line);
}

static void tell(const tune *t, const trial *which)
{
    const trial *best = search_best(t);
    char text[40];
    if (arguments_choice(t->line, "log-format") == 1) {
        print_json(which);
        return;
    }
    message_note("trial %lld of %zu, epoch %.0f: %s %s%s", (long long)which->number, t->count,
                 trial_value(which, -1, "epochs"), t->objective,
                 number_text(text, sizeof text, trial_value(which, -1, t->objective), 5),
                 best == which ? "  (the best so far)" : "");
}

/* Copy a file, all or nothing. */
static int copy_file(const char *from, const char *to)
{
    char temporary[4200];
    char buffer[65536];
    snprintf(temporary, sizeof temporary, "%s.part", to);
    FILE *in = fopen(from, "rb");
    FILE *out = in == NULL ? NULL : fopen(temporary, "wb");
    int failed = out == NULL;
    for (size_t got = 1; !failed && got > 0;) {
        got = fread(buffer, 1, sizeof buffer, in);
        failed = ferror(in) || fwrite(buffer, 1, got, out) != got;
    }
    if (in != NULL) {
        fclose(in);
    }
    if (out != NULL) {
        failed |= fclose(out) != 0;
    }
    if (failed || rename(temporary, to) != 0) {
        const int code = message_error(EXIT_FILE, "%s: cannot be written: %s", to, strerror(errno));
        unlink(temporary);
        return code;
    }
    return EXIT_DONE;
}

/* Keep the best trial's model as best.lstm; checkpoints and the other models are not needed. */
static int keep_best(const tune *t)
{
    const trial *best = search_best(t);
    char from[4096];
    char to[4096];
    if (best == NULL) {
        return message_error(EXIT_WORK, "no trial came to an end with a finite %s", t->objective);
    }
    snprintf(to, sizeof to, "%s/best.lstm", t->folder);
    const int code = copy_file(trial_path(t, best, ".lstm", from, sizeof from), to);
    for (size_t i = 0; i < t->count && code == EXIT_DONE; i++) {
        unlink(trial_path(t, &t->trials[i], ".ckpt", from, sizeof from));
        if (&t->trials[i] != best) {
            unlink(trial_path(t, &t->trials[i], ".lstm", from, sizeof from));
        }
    }
    return code;
}

static int run_search(tune *t, search *s)
{
    char path[4096];
    int code = EXIT_DONE;
    NEED(trials_make(t, s->plan.trials, draw));
    NEED(tune_run(t));
    if (arguments_choice(t->line, "log-format") != 1) {
        NEED(search_print(t, s));
    }
    snprintf(path, sizeof path, "%s/report.html", t->folder);
    NEED(search_report(t, s, path));
    NEED(keep_best(t));
    message_note("wrote %s/best.lstm and %s", t->folder, path);
out:
    return code;
}

/* ---- Both */

/* Whether the layers of the model are part of what is searched. */
static int changes_layers(const search_space *space)
{
    int found = 0;
    for (size_t k = 0; k < space->count; k++) {
        found |= strchr(space->items[k].name, '.') != NULL;
    }
    return found;
}

static int load_description(tune *t)
{
    const char *path = arguments_operand(t->line, 0);
    const lstm_context_options one = {.struct_size = sizeof one, .threads = 1, .blas_threads = 1};
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    char *text = NULL;
    size_t length = 0;
    int code = EXIT_DONE;
    CHECK(lstm_context_create(&context, &one), NULL);
    NEED(model_load(&model, context, path, arguments_seed(t->line)));
    text = model_description(model, &length);
    t->description = text == NULL ? NULL : json_loadb(text, length, 0, NULL);
    code = t->description == NULL ? EXIT_WORK : EXIT_DONE;
out:
    free(text);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return code;
}

static int has_validation(const arguments *line)
{
    return arguments_real(line, "validation-split") > 0 || arguments_given(line, "val-x") > 0;
}

static int choose_objective(tune *t)
{
    const char *given = arguments_text(t->line, "objective");
    t->objective = given;
    if (strncmp(given, "val_", 4) == 0 && !has_validation(t->line)) {
        return message_error(EXIT_USE,
                             "%s needs validation data: --validation-split V, or --val-x and "
                             "--val-y",
                             given);
    }
    const char *metric = strncmp(given, "val_", 4) == 0 ? given + 4 : given;
    const char *metrics = arguments_text(t->line, "metrics");
    if (strcmp(metric, "loss") != 0 && (metrics == NULL || strstr(metrics, metric) == NULL)) {
        return message_error(EXIT_USE, "--objective %s: neither loss nor one of --metrics", given);
    }
    t->maximise = strcmp(metric, "accuracy") == 0;
    return EXIT_DONE;
}

/* What the trials depend on. */
static int make_settings(tune *t, const search *s, int64_t seeds)
{
    static const char *const nothing[] = {NULL};
    word_list words = {0};
    words_add_given(&words, t->line, nothing);
    json_t *given = json_array();
    for (size_t i = 0; i < words.count; i++) {
        json_array_append_new(given, json_string(words.words[i]));
    }
    t->settings = json_pack("{s:s, s:I, s:o, s:O}", "method", s->method, "seed",
                            (json_int_t)arguments_seed(t->line), "set of options", given, "model",
                            t->description);
    if (t->settings != NULL && s->space.root != NULL) {
        json_object_set(t->settings, "space", s->space.root);
        json_object_set_new(t->settings, "objective", json_string(t->objective));
        json_object_set_new(t->settings, "eta", json_real(s->plan.eta));
        json_object_set_new(t->settings, "first rung",
                            json_integer((json_int_t)s->plan.brackets[0].epochs[0]));
        if (s->plan.brackets[0].rungs > 1) { /* of a random search there may be more later */
            json_object_set_new(t->settings, "number of trials",
                                json_integer((json_int_t)s->plan.trials));
        }
    } else if (t->settings != NULL) {
        json_object_set_new(t->settings, "number of seeds", json_integer((json_int_t)seeds));
    }
    const int failed = words.failed || t->settings == NULL;
    words_release(&words);
    return failed ? message_error(EXIT_WORK, "out of memory") : EXIT_DONE;
}

static void choose_processes(tune *t)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t cpus = online < 1 ? 1 : online;
    t->jobs = arguments_given(t->line, "jobs") > 0 ? arguments_integer(t->line, "jobs") : cpus;
    t->jobs = t->jobs > 256 ? 256 : t->jobs;
    const int64_t each = cpus / t->jobs;
    t->threads = arguments_given(t->line, "threads") > 0 ? arguments_integer(t->line, "threads")
                 : each < 1                              ? 1
                                                         : each;
}

static int check_line(const arguments *line)
{
    const int ablate = arguments_flag(line, "ablate");
    if (ablate == (arguments_given(line, "space") > 0)) {
        return message_error(EXIT_USE, "tune needs either --space SPACE.json or --ablate");
    }
    if (arguments_given(line, "steps") > 0) {
        return message_error(EXIT_USE, "tune counts in --epochs, not in --steps");
    }
    if (ablate && !has_validation(line)) {
        return message_error(EXIT_USE, "--ablate needs validation data: --validation-split V, or "
                                       "--val-x and --val-y");
    }
    return EXIT_DONE;
}

static int run_tune(const arguments *line)
{
    tune t = {.line = line, .folder = arguments_text(line, "output")};
    search s = {.method = arguments_text(line, "method")};
    const int ablate = arguments_flag(line, "ablate");
    int lock = -1;
    int code = EXIT_DONE;
    t.epochs = arguments_integer(line, "epochs");
    t.own = &s;
    t.prepare = prepare;
    t.next = next;
    t.tell = tell;
    NEED(check_line(line));
    NEED(choose_objective(&t));
    NEED(load_description(&t));
    if (ablate) {
        s.method = "ablation";
    } else {
        NEED(space_load(&s.space, arguments_text(line, "space"), t.description));
        plan_make(&s.plan, arguments_choice(line, "method"),
                  (size_t)arguments_integer(line, "trials"), t.epochs,
                  arguments_integer(line, "min-epochs"), arguments_real(line, "eta"));
    }
    choose_processes(&t);
    NEED(make_settings(&t, &s, arguments_integer(line, "seeds")));
    NEED(trials_open(&t, &lock));
    if (!ablate && !file_has_suffix(arguments_operand(line, 0), ".json") &&
        !changes_layers(&s.space)) {
        json_decref(t.description); /* trials go on from the model's own weights */
        t.description = NULL;
    }
    code = ablate ? ablation_run(&t) : run_search(&t, &s);
out:
    if (lock >= 0) {
        close(lock);
    }
    trials_release(&t);
    space_release(&s.space);
    json_decref(t.settings);
    json_decref(t.description);
    return code;
}

static const option_spec options[] = {
    {.name = "space",
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .is_file = 1,
     .heading = "Search",
     .help = "what is searched, in JSON: {\"lstm.units\": {\"log_int\": [8, 128]}, "
             "\"learning-rate\": {\"log_uniform\": [1e-4, 1e-1]}, \"batch-size\": [16, 32]}"},
    {.name = "ablate",
     .kind = OPTION_FLAG,
     .help = "instead: switch each regulariser of the model off, and show what it buys"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "FOLDER",
     .required = 1,
     .is_file = 1,
     .help = "folder for trials.json, report.html, best.lstm and the trials; the same command "
             "again goes on with what is there"},
    {.name = "method",
     .kind = OPTION_CHOICE,
     .metavar = "METHOD",
     .choices = methods,
     .value = "random",
     .help = "random: all trials train for --epochs; halving: the best go on, --eta times as long; "
             "hyperband: several halvings"},
    {.name = "trials",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e6,
     .value = "20",
     .help = "trials at the start; of hyperband its brackets decide"},
    {.name = "min-epochs",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "1",
     .help = "halving, hyperband: the least that a trial trains"},
    {.name = "eta",
     .kind = OPTION_REAL,
     .metavar = "X",
     .minimum = 1.5,
     .maximum = 100,
     .value = "3",
     .help = "halving, hyperband: one in X goes on, X times as long"},
    {.name = "objective",
     .kind = OPTION_TEXT,
     .metavar = "NAME",
     .value = "val_loss",
     .help = "what is sought: the least val_loss, loss, val_mae, ..., or the largest val_accuracy"},
    {.name = "seeds",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1000,
     .value = "3",
     .help = "--ablate: each variant is trained so many times"},
    {.name = "jobs",
     .letter = 'j',
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 256,
     .shown = "all CPUs",
     .help = "processes at a time; does not change results"},
    {.name = "log-format",
     .kind = OPTION_CHOICE,
     .metavar = "FORMAT",
     .choices = log_format_choices,
     .value = "text",
     .help = "json: one object for each trial and rung, to stdout, instead of the table"},
    {.name = NULL}};

const command command_tune = {
    .name = "tune",
    .group = COMMAND_GROUP_MODELS,
    .summary = "search for good settings; show what each regulariser buys",
    .synopsis = "MODEL --space SPACE.json --x X.npy --y Y.npy --validation-split V -o FOLDER\n"
                "MODEL --ablate --x X.npy --y Y.npy --validation-split V -o FOLDER",
    .help = "A name with a dot is an option of a layer (LAYER.OPTION), another one of `lstm fit`.\n"
            "Ranges: uniform, log_uniform, int, log_int with [low, high]; choice, or a list.\n"
            "Same seed, same result, however many processes and interruptions there were.",
    .examples =
        "lstm tune model.json --space space.json --x x.npy --y y.npy --validation-split 0.2 "
        "--epochs 20 -o search\n"
        "lstm tune model.json --ablate --x x.npy --y y.npy --validation-split 0.2 --epochs 50 -o "
        "ablation",
    .options = options,
    .shared = fit_shared_options,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_tune,
};
