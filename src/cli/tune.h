/* SPDX-License-Identifier: MIT
 *
 * `lstm tune`: many training runs of one model on the same data, in parallel processes, and what
 * they show.
 *
 *     tune_space.c     the space that is searched: read, checked, drawn from
 *     tune_plan.c      who runs how long: random search, successive halving, Hyperband
 *     tune_trials.c    the trials and their file
 *     tune_words.c     the command line of a trial
 *     tune_run.c       the processes
 *     tune_effects.c   how much each parameter matters
 *     tune_report.c    table and picture of a search
 *     ablation.c       `--ablate`: the regularisers of a model, one by one switched off
 *     ablation_report.c
 *     command_tune.c   options
 *
 * A trial is `lstm fit` with a description and options of its own, run in a forked process which
 * writes one JSON object about the end of its history. Everything random of a trial depends on the
 * seed and the trial's number, and who goes on after a rung on all results of that rung, so that
 * neither the number of processes nor an interruption changes anything. All files are in one
 * folder, which is locked while any process works in it.
 */
#ifndef LSTM_CLI_TUNE_H
#define LSTM_CLI_TUNE_H

#include "arguments.h"
#include "fit_job.h"
#include "messages.h"
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* ---- The space */

typedef enum space_kind {
    SPACE_UNIFORM = 1,
    SPACE_LOG_UNIFORM,
    SPACE_INT,
    SPACE_LOG_INT,
    SPACE_CHOICE
} space_kind;

typedef struct space_parameter {
    const char *name; /* "lstm.units": an option of a layer; "learning-rate": an option of fit */
    space_kind kind;
    double low, high;
    const json_t *choices;
} space_parameter;

typedef struct search_space {
    json_t *root; /* as read; owns names and choices */
    space_parameter *items;
    size_t count;
} search_space;

/* Read a space and try the ends of every range on the description and on fit's options.
 * Returns 0, or the exit code after printing which key is wrong and what was probably meant. */
int space_load(search_space *out, const char *path, const json_t *description);
void space_release(search_space *space);

/* Draw the values of a trial: a function of seed and number alone. NULL where there is no memory.
 */
json_t *space_draw(const search_space *space, uint64_t seed, int64_t number);

/* Where a value lies on the axis of a plot: the number itself, or the index of a choice. */
double space_position(const space_parameter *parameter, const json_t *value);

/* Put a value of a layer into a description: "lstm.units", "bidirectional.layer.units". Returns 0,
 * or the exit code after printing that there is no such layer; `where` comes first in messages. */
int space_apply(json_t *description, const char *name, const json_t *value, const char *where);

/* ---- Trials */

typedef struct trial {
    int64_t number;  /* from 1 */
    json_t *values;  /* what is its own: an object */
    json_t *results; /* one object for each rung that it has reached; see tune_run.c */
    char *error;     /* why it failed; NULL = it has not */
    int running;
} trial;

typedef struct tune tune;

/* The command line of a trial. */
typedef struct word_list {
    char **words; /* NULL at the end */
    size_t count;
    int failed; /* no memory */
} word_list;

struct tune {
    const arguments *line;
    const char *folder;
    json_t *description; /* of the model; NULL where MODEL itself is what trials train */
    json_t *settings;    /* what all trials depend on, for comparison with the trials file */
    trial *trials;
    size_t count;
    int64_t epochs; /* of the last rung */
    int64_t jobs, threads;
    const char *objective; /* a column of the history */
    int maximise;
    double began;
    void *own; /* of the search or the ablation */

    /* Change the description for a trial and add the words of its own to its command line. */
    int (*prepare)(const tune *t, const trial *which, json_t *description, word_list *words);
    /* In the process of the trial, after training: add to its result. May be NULL. */
    int (*measure)(const tune *t, const trial *which, fit_job *job, json_t *result);
    /* Which trial can run now, and up to which epoch; -1 = none before another one ends. */
    ptrdiff_t (*next)(const tune *t, int64_t *epochs);
    /* Say that a rung of a trial is done. */
    void (*tell)(const tune *t, const trial *which);
};

/* Open (or make) the folder and lock it, and read its trials file if there is one: its settings
 * must be those of `t`. Returns 0, or the exit code after printing the error. */
int trials_open(tune *t, int *lock);

/* Make `count` trials of which those read from the file keep their results. `draw` gives the values
 * of the others. */
int trials_make(tune *t, size_t count, json_t *(*draw)(const tune *t, int64_t number));
int trials_save(const tune *t);
void trials_release(tune *t);

/* A number of a trial's result at a rung (-1 = its latest); NaN where there is none. */
double trial_value(const trial *which, ptrdiff_t rung, const char *name);

/* The value that is to become small: that of the objective, or its negative; infinite where it is
 * no number. */
double trial_score(const tune *t, const trial *which, ptrdiff_t rung);

/* ---- Command lines */

void words_add(word_list *list, const char *format, ...) PRINTF_LIKE(2, 3);
void words_release(word_list *list);

/* Add the options of data and training that were given on the command line, without those called
 * in `without` (NULL at the end). */
void words_add_given(word_list *list, const arguments *line, const char *const *without);

/* Add a value as an option of fit; null adds nothing. */
void words_add_value(word_list *list, const char *option, const json_t *value);

/* Write the path of a file of a trial, FOLDER/trial-7.json, into text and return it. */
const char *trial_path(const tune *t, const trial *which, const char *suffix, char *text,
                       size_t size);
/* The whole command line of a trial up to an epoch; also for the reader, who can run it by hand. */
int trial_words(const tune *t, const trial *which, int64_t epochs, word_list *out);

/* ---- Running */

/* Run everything that `next` names, `jobs` at a time; the trials file is written after each.
 * Returns 0, EXIT_INTERRUPTED, or the exit code of an error that concerns all trials. */
int tune_run(tune *t);

/* ---- The plan of a search */

#define PLAN_BRACKETS 16
#define PLAN_RUNGS 24

typedef struct bracket {
    size_t first, count; /* its trials */
    int rungs;
    int64_t epochs[PLAN_RUNGS]; /* total at the end of each */
} bracket;

typedef struct search_plan {
    bracket brackets[PLAN_BRACKETS];
    size_t count;
    double eta;
    size_t trials; /* in all */
} search_plan;

enum { METHOD_RANDOM, METHOD_HALVING, METHOD_HYPERBAND };

/* Lay out a search: `trials` at the start (of Hyperband what its brackets need), `epochs` for the
 * last rung, at least `least` for the first (0 = as many rungs as make one trial the last). */
void plan_make(search_plan *plan, int method, size_t trials, int64_t epochs, int64_t least,
               double eta);

/* Which trial can run now; see tune.next. The plan is t->own's first member. */
ptrdiff_t plan_next(const tune *t, const search_plan *plan, int64_t *epochs);

/* ---- What mattered */

/* The share of the variance of the ranks of y that the groups of x explain (omega squared: 0 on
 * average where x does not matter); x is cut into `groups` of about equal size, or by its values
 * where they are fewer. Ranks, so that one trial that ran away does not decide. NaN with fewer
 * points than can be told apart. */
double effect_share(const double *x, const double *y, size_t count, size_t groups);

/* The middle of the y whose x are near a place: for the line through a cloud of points. Writes at
 * most `capacity` places and medians, in order of x; returns their number. */
size_t effect_medians(const double *x, const double *y, size_t count, double *places,
                      double *medians, size_t capacity);

/* ---- Results */

typedef struct search {
    search_plan plan;
    search_space space;
    const char *method;
} search;

/* The best trial of those that reached the last rung; NULL = none did. */
const trial *search_best(const tune *t);
int search_print(const tune *t, const search *s);
int search_report(const tune *t, const search *s, const char *path);

/* ---- Ablation */

int ablation_run(tune *t);

#define VARIANT_NAME 160

typedef struct regulariser {
    char name[VARIANT_NAME]; /* "dropout_1: rate 0.5", "weight decay 0.01" */
    json_t *layer;           /* borrowed from the description, where it is an option of a layer */
    char path[VARIANT_NAME]; /* "lstm.dropout" */
    const char *option;      /* of fit, where it is one */
    int switched;            /* the option's 0 switches off what --optimizer names */
} regulariser;

/* One line of the result: means and standard deviations over the seeds. */
typedef struct variant {
    char name[VARIANT_NAME];
    double train, train_sd, validation, validation_sd;
    size_t seeds;                           /* that did not fail */
    double *train_seeds, *validation_seeds; /* each; NULL where there is no memory */
} variant;

int ablation_print(const variant *variants, size_t count, size_t regularisers);
int ablation_report(const tune *t, const variant *variants, size_t count, size_t regularisers);

#endif
