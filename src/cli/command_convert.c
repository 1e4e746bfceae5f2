/* SPDX-License-Identifier: MIT
 *
 * lstm convert: a model from one form into another. What IN is comes from its content, what OUT
 * becomes from its suffix.
 */
#include "command.h"
#include "dataset.h"
#include "files.h"
#include "messages.h"
#include "network_file.h"

#include <lstm/lstm.h>

static int write_model(const lstm_model *model, const char *path, const arguments *line)
{
    const int is_source = file_has_suffix(path, ".c");
    const lstm_source_options options = {.struct_size = sizeof options,
                                         .prefix = arguments_text(line, "prefix"),
                                         .max_steps = arguments_integer(line, "max-steps")};
    if (!is_source && (options.prefix != NULL || options.max_steps != 0)) {
        return message_error(EXIT_USE, "%s: --prefix and --max-steps are for C source (.c)", path);
    }
    if (!is_source) {
        return model_write(model, path);
    }
    const lstm_status status = lstm_model_export_source(model, path, &options);
    return status == LSTM_OK ? EXIT_DONE : message_status(status, path);
}

static int run_convert(const arguments *line)
{
    const char *in = arguments_operand(line, 0);
    const char *out = arguments_operand(line, 1);
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    int code = EXIT_DONE;
    const int32_t naming = arguments_given(line, "naming") > 0
                               ? (arguments_choice(line, "naming") == 0 ? LSTM_PROFILE_KERAS
                                                                        : LSTM_PROFILE_TORCH)
                               : 0;
    NEED(naming != 0 ? file_check_writable(out) : model_check_output(out));
    NEED(arguments_context(line, &context));
    NEED(model_load_described(&model, context, in, arguments_text(line, "network"),
                              arguments_seed(line)));
    NEED(model_set_activation(&model, context, arguments_text(line, "activation")));
    for (size_t i = 0; i < arguments_given(line, "input-shape"); i++) {
        NEED(model_set_shape(&model, context, arguments_item(line, "input-shape", i), i));
    }
    if (naming != 0) {
        CHECK(lstm_model_export_weights(model, out, naming), out);
        goto out;
    }
    NEED(write_model(model, out, line));
out:
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return code;
}

static const char *const naming_choices[] = {"keras", "torch", NULL};

static const option_spec options_of_convert[] = {
    {.name = "naming",
     .kind = OPTION_CHOICE,
     .metavar = "PROFILE",
     .choices = naming_choices,
     .help =
         "write the parameters alone, under Keras' or PyTorch's names: .safetensors, .npz, .pt"},
    OPTION_NETWORK,
    OPTION_ACTIVATION,
    {.name = "input-shape",
     .kind = OPTION_LIST,
     .metavar = "SHAPE",
     .help = "[NAME=]STEPS,FEATURES of an input, in the model's order where no name is given: "
             "fixes a free number of steps, or frees a fixed one (STEPS = ?)"},
    {.name = "prefix",
     .kind = OPTION_TEXT,
     .metavar = "NAME",
     .help = "of C source: what its names begin with; default: the file's name"},
    {.name = "max-steps",
     .kind = OPTION_INTEGER,
     .metavar = "N",
     .minimum = 1,
     .maximum = 1048576,
     .help = "of C source: most steps of a sequence whose number of steps is free; default 64"},
    {.name = NULL}};

const command command_convert = {
    .name = "convert",
    .group = COMMAND_GROUP_MODELS,
    .summary = "a model from one file format into another",
    .synopsis = "IN OUT",
    .help = "IN is recognised by its content: a saved model, a JSON description, a file of\n"
            "Keras (.keras, .h5), a state dict of PyTorch (.pt, .pth, .safetensors), ONNX.\n"
            "OUT is written by its suffix: .lstm or .safetensors (all), .json (the description\n"
            "only), .keras, .weights.h5 (for Keras 3), .h5 (for Keras 2 and 3), .pt, .pth (a\n"
            "state dict), .onnx, which hold no scalers and no metadata; .c, one file of C99 for\n"
            "small machines, which checks itself when it is compiled with -DPREFIX_TEST.",
    .examples = "lstm convert model.keras model.lstm\n"
                "lstm convert model.keras weights.safetensors --naming torch\n"
                "lstm convert model.onnx model.keras --input-shape 28,1\n"
                "lstm convert model.lstm model.c --prefix wakeword",
    .options = options_of_convert,
    .operand_min = 2,
    .operand_max = 2,
    .run = run_convert,
};
