/* SPDX-License-Identifier: MIT
 *
 * `lstm gradient`: the derivative of a loss, or of sum(output * R), with respect to every parameter
 * and every input.
 *
 * The network is differentiated as it predicts: dropout and noise are switched off in a copy of the
 * model, and BatchNormalization goes by its moving statistics. Samples are taken in portions that
 * bound the memory of the tape. A portion's loss is a mean over its samples, so its gradient counts
 * with the portion's share of all samples; sums run in double.
 */
#include "arrays.h"
#include "command.h"
#include "dataset.h"
#include "messages.h"
#include "network_file.h"
#include "training_options.h"

#include <lstm/lstm.h>
#include <stdlib.h>
#include <string.h>

typedef struct gradient_job {
    loaded main; /* y: the targets of --y or --dy */
    lstm_session *session;
    int given_dy;
    loss_choice chosen_loss;
    double loss;
    size_t parameters, inputs, largest;
    double **sums;     /* one array a parameter */
    float **gradients; /* parameters, then inputs */
    float *scratch;    /* as large as the largest parameter */
    output_array *arrays;
    char (*input_names)[24];
    float *turned[2]; /* of states */
} gradient_job;

static void release(gradient_job *job)
{
    for (size_t i = 0; job->sums != NULL && i < job->parameters; i++) {
        free(job->sums[i]);
    }
    for (size_t i = 0; job->gradients != NULL && i < job->parameters + job->inputs; i++) {
        free(job->gradients[i]);
    }
    free(job->sums);
    free(job->gradients);
    free(job->scratch);
    free(job->arrays);
    free(job->input_names);
    free(job->turned[0]);
    free(job->turned[1]);
    lstm_session_destroy(job->session);
    loaded_release(&job->main);
}

/* Room for the gradients, with names and shapes. */
static int allocate(gradient_job *job)
{
    job->parameters = lstm_model_parameter_count(job->main.model);
    job->inputs = job->main.x.count;
    const size_t count = job->parameters + job->inputs;
    job->sums = calloc(job->parameters + 1, sizeof *job->sums);
    job->gradients = calloc(count + 1, sizeof *job->gradients);
    job->arrays = calloc(count + 1, sizeof *job->arrays);
    job->input_names = calloc(job->inputs + 1, sizeof *job->input_names);
    int code = EXIT_DONE;
    if (job->sums == NULL || job->gradients == NULL || job->arrays == NULL ||
        job->input_names == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < job->parameters; i++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        CHECK(lstm_model_parameter_info(job->main.model, i, &info), NULL);
        job->arrays[i] = (output_array){.name = info.name, .rank = info.rank, .count = info.count};
        memcpy(job->arrays[i].shape, info.shape, sizeof info.shape);
        job->largest = info.count > job->largest ? info.count : job->largest;
        job->sums[i] = calloc(info.count + 1, sizeof(double));
        if (job->sums[i] == NULL) {
            code = message_error(EXIT_WORK, "out of memory");
            goto out;
        }
    }
    for (size_t i = 0; i < job->inputs; i++) {
        const array *x = &job->main.x.items[i];
        output_array *a = &job->arrays[job->parameters + i];
        snprintf(job->input_names[i], sizeof job->input_names[i], "x%zu", i);
        *a = (output_array){.name = job->input_names[i], .rank = x->rank, .count = x->count};
        memcpy(a->shape, x->shape, sizeof a->shape);
    }
    job->scratch = calloc(job->largest + 1, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        job->gradients[i] = calloc(job->arrays[i].count + 1, sizeof(float));
        job->arrays[i].data = job->gradients[i];
        if (job->gradients[i] == NULL || job->scratch == NULL) {
            code = message_error(EXIT_WORK, "out of memory");
            goto out;
        }
    }
out:
    return code;
}

/* Point `portion` at samples [first, first + samples) of the set. */
static void take_portion(const gradient_job *job, lstm_data *portion, const float **pointers,
                         size_t *sizes, int64_t first, int64_t samples)
{
    const lstm_data *all = &job->main.set.data;
    *portion = *all;
    portion->samples = samples;
    const size_t total = all->input_count + all->target_count;
    for (size_t i = 0; i < total; i++) {
        const size_t each = job->main.set.sizes[i] / (size_t)all->samples;
        pointers[i] = job->main.set.pointers[i] + each * (size_t)first;
        sizes[i] = each * (size_t)samples;
    }
    portion->inputs = pointers;
    portion->input_sizes = sizes;
    portion->targets = pointers + all->input_count;
    portion->target_sizes = sizes + all->input_count;
    if (all->labels != NULL) {
        const size_t each = all->labels_count / (size_t)all->samples;
        portion->labels = all->labels + each * (size_t)first;
        portion->labels_count = each * (size_t)samples;
    }
}

static int run_portion(gradient_job *job, const lstm_data *portion, int64_t first)
{
    const double share = job->given_dy ? 1
                                       : (double)portion->samples / (double)job->main.set.samples;
    int code = EXIT_DONE;
    CHECK(lstm_session_forward(job->session, portion), NULL);
    if (job->given_dy) {
        for (size_t i = 0; i < portion->target_count; i++) {
            CHECK(lstm_session_set_output_gradient(job->session, i, portion->targets[i],
                                                   portion->target_sizes[i]),
                  NULL);
        }
    } else {
        double loss = 0;
        CHECK(lstm_session_loss(job->session, &job->chosen_loss.options, portion, &loss), NULL);
        job->loss += loss * share;
    }
    CHECK(lstm_session_backward(job->session), NULL);
    for (size_t i = 0; i < job->parameters; i++) {
        CHECK(lstm_session_parameter_gradient(job->session, i, job->scratch, job->arrays[i].count),
              NULL);
        for (size_t k = 0; k < job->arrays[i].count; k++) {
            job->sums[i][k] += share * (double)job->scratch[k];
        }
    }
    for (size_t i = 0; i < job->inputs; i++) {
        const size_t count = portion->input_sizes[i];
        float *place = job->gradients[job->parameters + i] +
                       count / (size_t)portion->samples * (size_t)first;
        CHECK(lstm_session_input_gradient(job->session, i, place, count), NULL);
        for (size_t k = 0; k < count; k++) {
            place[k] = (float)(share * (double)place[k]);
        }
    }
out:
    return code;
}

static int run_portions(gradient_job *job, int64_t portion_size)
{
    const size_t total = job->main.set.data.input_count + job->main.set.data.target_count;
    const float **pointers = calloc(total + 1, sizeof *pointers);
    size_t *sizes = calloc(total + 1, sizeof *sizes);
    int code = EXIT_DONE;
    if (pointers == NULL || sizes == NULL) {
        code = message_error(EXIT_WORK, "out of memory");
    }
    for (int64_t first = 0; first < job->main.set.samples && code == EXIT_DONE;
         first += portion_size) {
        const int64_t left = job->main.set.samples - first;
        lstm_data portion;
        take_portion(job, &portion, pointers, sizes, first,
                     left < portion_size ? left : portion_size);
        code = run_portion(job, &portion, first);
    }
    for (size_t i = 0; i < job->parameters && code == EXIT_DONE; i++) {
        for (size_t k = 0; k < job->arrays[i].count; k++) {
            job->gradients[i][k] = (float)job->sums[i][k];
        }
    }
    free(pointers);
    free(sizes);
    return code;
}

static int load(gradient_job *job, const arguments *line)
{
    const char *path = arguments_text(line, "output");
    int code = EXIT_DONE;
    job->given_dy = arguments_given(line, "dy") > 0;
    if (job->given_dy == (arguments_given(line, "y") > 0)) {
        return message_error(EXIT_USE, "gradient needs either --y (with --loss) or --dy");
    }
    if (job->given_dy && arguments_given(line, "loss") > 0) {
        return message_error(
            EXIT_USE, "--loss belongs to --y; with --dy the gradient is that of sum(output * dy)");
    }
    NEED(loss_parse(&job->chosen_loss, arguments_text(line, "loss")));
    if (job->chosen_loss.options.reduction > LSTM_REDUCTION_MEAN) {
        return message_error(EXIT_USE, "--loss: gradient takes means only (reduction=mean)");
    }
    NEED(arrays_check_output(path, 2));
    NEED(loaded_model(&job->main, line));
    NEED(model_as_predicting(&job->main.model, job->main.context));
    NEED(loaded_arrays(&job->main, line, job->given_dy ? "dy" : "y",
                       job->given_dy ? TARGET_VALUES : loss_target(&job->chosen_loss)));
out:
    return code;
}

/* Gradients of sequences in the order of axes that their files have. */
static int turn_inputs(gradient_job *job)
{
    for (size_t i = 0; i < job->main.states.inputs; i++) {
        output_array *a = &job->arrays[job->parameters + i];
        int64_t steps = 0;
        lstm_layer_shape(lstm_model_input(job->main.model, i), &steps, NULL);
        if (steps == 0 || a->rank < 2 || a->count == 0 || job->main.x.items[i].from_csv) {
            continue;
        }
        float *turned = malloc(a->count * sizeof *turned);
        if (turned == NULL) {
            return message_error(EXIT_WORK, "out of memory");
        }
        swap_axes(a->data, turned, a->shape[0], a->shape[1],
                  a->count / (size_t)a->shape[0] / (size_t)a->shape[1]);
        free(job->gradients[job->parameters + i]);
        job->gradients[job->parameters + i] = turned;
        a->data = turned;
        const int64_t samples = a->shape[0];
        a->shape[0] = a->shape[1];
        a->shape[1] = samples;
    }
    return EXIT_DONE;
}

/* The gradients of initial states as h0 and c0; *count becomes the number of arrays. */
static int gather_states(gradient_job *job, size_t *count)
{
    static const char *const names[STATE_KINDS] = {"h0", "c0"};
    const states *s = &job->main.states;
    const size_t kinds = s->layers[1] > 0 ? 2 : 1;
    *count = job->parameters + job->inputs;
    if (!s->in) {
        return EXIT_DONE;
    }
    *count = job->parameters + s->inputs;
    float **by_kind = calloc(s->layers[0] * kinds + 1, sizeof *by_kind);
    if (by_kind == NULL) {
        return message_error(EXIT_WORK, "out of memory");
    }
    for (size_t i = 0; i < s->layers[0]; i++) {
        for (size_t k = 0; k < kinds; k++) {
            by_kind[k * s->layers[0] + i] = job->gradients[*count + i * kinds + k];
        }
    }
    const int code = states_gather(s, by_kind, job->main.set.samples, names, job->arrays, count,
                                   job->turned);
    free(by_kind);
    return code;
}

static int run_gradient(const arguments *line)
{
    const char *path = arguments_text(line, "output");
    gradient_job job = {0};
    int code = EXIT_DONE;
    NEED(load(&job, line));
    NEED(allocate(&job));
    const int64_t wanted = arguments_integer(line, "batch-size");
    const int64_t portion = wanted < job.main.set.samples ? wanted : job.main.set.samples;
    const lstm_session_options options = {.struct_size = sizeof options,
                                          .training = LSTM_YES,
                                          .batch = portion,
                                          .steps = job.main.set.steps,
                                          .labels = job.main.set.samples == 0
                                                        ? 0
                                                        : (int64_t)job.main.set.data.labels_count /
                                                              job.main.set.samples};
    CHECK(lstm_session_create(&job.session, job.main.model, &options), NULL);
    NEED(run_portions(&job, portion));
    if (job.main.time_first) {
        NEED(turn_inputs(&job));
    }
    size_t count = 0;
    NEED(gather_states(&job, &count));
    NEED(arrays_write(job.main.context, path, job.arrays, count));
    if (job.given_dy) {
        message_note("wrote %s: %zu parameters, %zu input%s", path, job.parameters, job.inputs,
                     job.inputs == 1 ? "" : "s");
    } else {
        message_note("loss %.9g; wrote %s: %zu parameters, %zu input%s", job.loss, path,
                     job.parameters, job.inputs, job.inputs == 1 ? "" : "s");
    }
out:
    release(&job);
    return code;
}

static const option_spec options_of_gradient[] = {
    {.name = "x",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = "input array, one for each input of the model, in its order"},
    {.name = "y",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "target array, one for each output: the gradient of the loss"},
    {.name = "loss",
     .kind = OPTION_TEXT,
     .metavar = "LOSS",
     .value = "mse",
     .help = "as for `lstm fit`"},
    {.name = "dy",
     .kind = OPTION_LIST,
     .metavar = "FILE",
     .is_file = 1,
     .help = "instead of --y: an array of each output's shape; the gradient of sum(output * dy)"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .metavar = "FILE",
     .required = 1,
     .is_file = 1,
     .help = ".npz or .safetensors: one array a parameter under its name, and x0, x1, ... for the "
             "inputs"},
    {.name = "batch-size",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "256",
     .help = "samples at a time; bounds the memory, changes the result only by rounding"},
    OPTION_STATE_IN,
    OPTION_NETWORK,
    OPTION_BATCH_FIRST,
    OPTION_ACTIVATION,
    {.name = NULL}};

const command command_gradient = {
    .name = "gradient",
    .group = COMMAND_GROUP_MODELS,
    .summary = "derivatives with respect to every parameter and input",
    .synopsis =
        "MODEL --x X.npy --y Y.npy [--loss LOSS] -o G.npz\nMODEL --x X.npy --dy R.npy -o G.npz",
    .help = "The network is differentiated as it predicts: dropout and noise do not act, and\n"
            "BatchNormalization goes by its moving statistics.",
    .examples = "lstm gradient model.lstm --x x.npy --y y.npy --loss mse -o gradients.npz",
    .options = options_of_gradient,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_gradient,
};
