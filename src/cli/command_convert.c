/* SPDX-License-Identifier: MIT
 *
 * lstm convert: a model from one form into another. What IN is comes from its content, what OUT
 * becomes from its suffix.
 */
#include "command.h"
#include "dataset.h"
#include "messages.h"
#include "network_file.h"

#include <lstm/lstm.h>

static int run_convert(const arguments *line)
{
    const char *in = arguments_operand(line, 0);
    const char *out = arguments_operand(line, 1);
    lstm_context *context = NULL;
    lstm_model *model = NULL;
    int code = EXIT_DONE;
    NEED(model_check_output(out));
    NEED(arguments_context(line, &context));
    NEED(model_load_described(&model, context, in, arguments_text(line, "network"),
                              arguments_seed(line)));
    NEED(model_set_activation(&model, context, arguments_text(line, "activation")));
    NEED(model_write(model, out));
out:
    lstm_model_destroy(model);
    lstm_context_destroy(context);
    return code;
}

static const option_spec options_of_convert[] = {OPTION_NETWORK, OPTION_ACTIVATION, {.name = NULL}};

const command command_convert = {
    .name = "convert",
    .group = COMMAND_GROUP_MODELS,
    .summary = "a model from one file format into another",
    .synopsis = "IN OUT",
    .help = "IN is recognised by its content: a saved model, a JSON description, a file of\n"
            "Keras (.keras, .h5) or ONNX. OUT is written by its suffix: .lstm or\n"
            ".safetensors (all), .json (the description only), .keras, .weights.h5 (for\n"
            "Keras 3) or .onnx, both without scalers and metadata.",
    .examples = "lstm convert model.keras model.lstm",
    .options = options_of_convert,
    .operand_min = 2,
    .operand_max = 2,
    .run = run_convert,
};
