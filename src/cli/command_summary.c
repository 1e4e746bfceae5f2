/* SPDX-License-Identifier: MIT
 *
 * `lstm summary`: the layers of a model with their shapes and sizes, and what the model costs in
 * memory and work.
 *
 * What each layer reads comes from the model's description, whose layers stand in the model's
 * order. Memory is that of real sessions, planned for the batch in question.
 */
#include "command.h"
#include "file_kind.h"
#include "messages.h"
#include "network_file.h"
#include "text_table.h"

#include <jansson.h>
#include <lstm/lstm.h>
#include <stdlib.h>
#include <string.h>

typedef struct summary_job {
    const lstm_model *model;
    int64_t batch;
    int64_t steps;   /* for inputs with a free number of steps */
    int64_t counted; /* steps of a sample that FLOPs are counted for */
    int free_steps;
    double parameters;
    json_t *layers; /* of the description */
} summary_job;

/* "(batch, 28, 1)" */
static void shape_of(char *text, size_t size, const lstm_layer *layer)
{
    int64_t steps = 0;
    int64_t features = 0;
    lstm_layer_shape(layer, &steps, &features);
    if (steps == 0) {
        snprintf(text, size, "(batch, %lld)", (long long)features);
    } else if (steps < 0) {
        snprintf(text, size, "(batch, steps, %lld)", (long long)features);
    } else {
        snprintf(text, size, "(batch, %lld, %lld)", (long long)steps, (long long)features);
    }
}

/* "a, b:h": the names of the layers that layer `index` reads; of its own parts, as a Bidirectional
 * has them, only what stands behind its name: "./forward_lstm". */
static void reads_of(char *text, size_t size, const summary_job *job, size_t index)
{
    const json_t *inputs = json_object_get(json_array_get(job->layers, index), "inputs");
    const char *layer = lstm_layer_name(lstm_model_layer(job->model, index));
    const size_t length = strlen(layer);
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(inputs) && used < size; i++) {
        const char *name = json_string_value(json_array_get(inputs, i));
        const int own = name != NULL && strncmp(name, layer, length) == 0 && name[length] == '/';
        used += (size_t)snprintf(text + used, size - used, "%s%s%s", i == 0 ? "" : ", ",
                                 own ? "." : "",
                                 name == NULL ? "?"
                                 : own        ? name + length
                                              : name);
    }
}

static double parameters_of(const lstm_model *model, const lstm_layer *layer)
{
    double total = 0;
    for (size_t i = 0; i < lstm_model_parameter_count(model); i++) {
        lstm_parameter_info info = {.struct_size = sizeof info};
        if (lstm_model_parameter_info(model, i, &info) == LSTM_OK && info.layer == layer) {
            total += (double)info.count;
        }
    }
    return total;
}

static int print_layers(const summary_job *job)
{
    text_table *table = text_table_create(6, "<<<<>>");
    text_table_row(table, "Layer", "Type", "Output shape", "Reads", "Parameters", "FLOPs");
    text_table_rule(table);
    for (size_t i = 0; i < lstm_model_layer_count(job->model); i++) {
        const lstm_layer *layer = lstm_model_layer(job->model, i);
        char shape[80];
        char reads[600];
        char parameters[40] = "";
        char flops[40] = "";
        shape_of(shape, sizeof shape, layer);
        reads_of(reads, sizeof reads, job, i);
        const double count = parameters_of(job->model, layer);
        if (count > 0) {
            text_count(parameters, sizeof parameters, count);
        }
        const double work = lstm_model_flops(job->model, layer, job->counted);
        if (work > 0) {
            text_metric(flops, sizeof flops, work);
        }
        text_table_row(table, lstm_layer_name(layer), lstm_layer_type(layer), shape, reads,
                       parameters, flops);
    }
    text_table_rule(table);
    const int code = text_table_print(table, stdout);
    text_table_destroy(table);
    return code;
}

/* Bytes of a session for the batch; 0 if there can be none. */
static size_t session_bytes(lstm_model *model, const summary_job *job, int32_t training)
{
    lstm_session *session = NULL;
    const lstm_session_options options = {.struct_size = sizeof options,
                                          .training = training,
                                          .batch = job->batch,
                                          .steps = job->free_steps ? job->steps : 0};
    if (lstm_session_create(&session, model, &options) != LSTM_OK) {
        return 0;
    }
    const size_t bytes = lstm_session_memory_size(session);
    lstm_session_destroy(session);
    return bytes;
}

/* "237 kFLOP", "640 FLOP" */
static const char *flops_text(char *text, size_t size, double work)
{
    char number[40];
    text_metric(number, sizeof number, work);
    snprintf(text, size, "%s%sFLOP", number, strpbrk(number, "kMGT") == NULL ? " " : "");
    return text;
}

static void print_costs(lstm_model *model, const summary_job *job)
{
    char text[2][48];
    const double total = (double)lstm_model_parameter_total(model);
    printf("Parameters  %s (%s)\n", text_count(text[0], sizeof text[0], total),
           text_bytes(text[1], sizeof text[1], 4 * total));
    const size_t predict = session_bytes(model, job, LSTM_NO);
    const size_t training = predict == 0 ? 0 : session_bytes(model, job, LSTM_YES);
    if (training == 0) {
        printf("Memory      %s\n", lstm_last_error());
    } else {
        printf("Memory      %s to predict, %s to train, for a batch of %lld",
               text_bytes(text[0], sizeof text[0], (double)predict),
               text_bytes(text[1], sizeof text[1], (double)training), (long long)job->batch);
        if (job->free_steps) {
            printf(", %lld steps", (long long)job->steps);
        }
        putchar('\n');
    }
    const double work = lstm_model_flops(model, NULL, job->counted);
    printf("Work        %s forward for a sample", flops_text(text[0], sizeof text[0], work));
    if (job->counted > 1) {
        printf(" of %lld steps, %s a step", (long long)job->counted,
               flops_text(text[1], sizeof text[1], work / (double)job->counted));
    }
    putchar('\n');
}

/* The path, then what the file is. */
static void print_file(const lstm_model *model, const char *path)
{
    char size[40];
    double bytes = 0;
    const char *profile = lstm_constant_name(LSTM_NAMES_PROFILE, lstm_model_profile(model));
    const char *kind = file_kind(path, &bytes);
    printf("%s\n%s, %s, %s profile\n\n", path, kind, text_bytes(size, sizeof size, bytes),
           profile == NULL ? "unknown" : profile);
}

/* Steps of a sample: the longest fixed input's, or those of --steps. */
static void count_steps(summary_job *job)
{
    for (size_t i = 0; i < lstm_model_input_count(job->model); i++) {
        int64_t steps = 0;
        lstm_layer_shape(lstm_model_input(job->model, i), &steps, NULL);
        if (steps < 0) {
            job->free_steps = 1;
            steps = job->steps;
        }
        job->counted = steps > job->counted ? steps : job->counted;
    }
}

static int run_summary(const arguments *line)
{
    const char *path = arguments_operand(line, 0);
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    json_t *root = NULL;
    char *text = NULL;
    size_t length = 0;
    int code = EXIT_DONE;
    NEED(arguments_context(line, &context));
    NEED(model_load(&model, context, path, arguments_seed(line)));
    text = model_description(model, &length);
    root = text == NULL ? NULL : json_loadb(text, length, 0, NULL);
    if (root == NULL) {
        code = EXIT_WORK;
        goto out;
    }
    summary_job job = {.model = model,
                       .batch = arguments_integer(line, "batch-size"),
                       .steps = arguments_integer(line, "steps"),
                       .counted = 1,
                       .layers = json_object_get(root, "layers")};
    count_steps(&job);
    print_file(model, path);
    NEED(print_layers(&job));
    print_costs(model, &job);
out:
    json_decref(root);
    free(text);
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return code;
}

static const option_spec options_of_summary[] = {
    {.name = "batch-size",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "32",
     .help = "batch for which memory is told"},
    {.name = "steps",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1e9,
     .value = "100",
     .help = "steps to count for inputs of any number of steps"},
    {.name = NULL}};

const command command_summary = {
    .name = "summary",
    .group = COMMAND_GROUP_MODELS,
    .summary = "layers, shapes, parameters, memory and work of a model",
    .synopsis = "MODEL",
    .help = "MODEL is a JSON description or a saved model.",
    .examples = "lstm summary model.lstm",
    .options = options_of_summary,
    .operand_min = 1,
    .operand_max = 1,
    .run = run_summary,
};
