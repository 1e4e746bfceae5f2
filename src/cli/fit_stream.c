/* SPDX-License-Identifier: MIT
 *
 * `lstm fit --stream`: training on .npy files of which only the rows of a batch are read, so that they
 * may be larger than memory. Lengths are read as a whole: four bytes a sample.
 */
#include "fit_job.h"

#include "messages.h"

#include <stdlib.h>
#include <string.h>

int stream_check(const arguments *line)
{
    static const char *const arrays_only[] = {"mask",          "val-mask",  "sample-weights",
                                              "label-lengths", "folds",     "val-label-lengths",
                                              "walk-forward",  "find-rate", NULL};
    for (size_t k = 0; arrays_only[k] != NULL; k++) {
        if (arguments_given(line, arrays_only[k]) > 0) {
            return message_error(EXIT_USE, "--stream and --%s exclude each other", arrays_only[k]);
        }
    }
    if (named_given(line, "x")) {
        return message_error(EXIT_USE, "--stream takes --x FILE, not --x NAME=FILE");
    }
    return EXIT_DONE;
}

/* The files of an option in order; NULL where there is no memory. */
static const char **paths_of(const arguments *line, const char *option, size_t *count)
{
    *count = arguments_given(line, option);
    const char **paths = calloc(*count + 1, sizeof *paths);
    for (size_t k = 0; paths != NULL && k < *count; k++) {
        paths[k] = arguments_item(line, option, k);
    }
    return paths;
}

/* Open the files of two options; the number of their samples and, where they are given, their lengths
 * go into `set`. */
static int open_files(const fit_job *job, const char *x, const char *y, const char *prefix,
                      dataset *set, lstm_files **out)
{
    lstm_files_options o = {.struct_size = sizeof o, .loss = &job->loss.options};
    const char **inputs = paths_of(job->line, x, &o.input_count);
    const char **targets = paths_of(job->line, y, &o.target_count);
    int code = EXIT_DONE;
    if (inputs == NULL || targets == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    o.inputs = inputs;
    o.targets = targets;
    CHECK(lstm_files_open(out, job->main.model, &o), NULL);
    set->samples = lstm_files_source(*out)->samples;
    NEED(dataset_masks(set, job->main.context, job->line, prefix));
    if (set->lengths != NULL) { /* once more with the lengths, whose number is known to fit now */
        lstm_files_close(*out);
        o.lengths = set->data.lengths;
        o.lengths_count = set->data.lengths_count;
        CHECK(lstm_files_open(out, job->main.model, &o), NULL);
    }
out:
    free(inputs);
    free(targets);
    return code;
}

int stream_open(fit_job *job)
{
    lstm_fit_options *o = &job->options;
    int code = EXIT_DONE;
    if (job->main.time_first) {
        return message_error(EXIT_USE, "--stream: sequences of this model are (steps, samples, "
                                       "features), but a sample has to be in one place: store them "
                                       "as (samples, steps, features) and give --batch-first");
    }
    NEED(open_files(job, "x", "y", "", &job->main.set, &job->files));
    o->source = lstm_files_source(job->files);
    if (arguments_given(job->line, "val-x") > 0) {
        NEED(open_files(job, "val-x", "val-y", "val-", &job->validation, &job->validation_files));
        o->validation_source = lstm_files_source(job->validation_files);
    }
out:
    return code;
}
