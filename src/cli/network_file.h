/* SPDX-License-Identifier: MIT
 *
 * Models on their way in and out of the program: which file names can be written, and loading with
 * the right exit codes.
 */
#ifndef LSTM_CLI_NETWORK_FILE_H
#define LSTM_CLI_NETWORK_FILE_H

#include <jansson.h>
#include <lstm/lstm.h>

/* Load a model file, or a JSON description, whose parameters come from `seed` (0: from the
 * description's own). Returns 0, or the exit code after printing the error. */
int model_load(lstm_model **out, lstm_context *context, const char *path, uint64_t seed);

/* Load the weights of `path` into the network that the description `network` is of; network NULL =
 * model_load. Returns 0, or the exit code after printing the error. */
int model_load_described(lstm_model **out, lstm_context *context, const char *path,
                         const char *network, uint64_t seed);

/* Return the model's description as JSON / build the model again from another description with the
 * same parameters, which are copied, as is what the program notes of arrays; scalers and other
 * metadata are not. Both return 0, or the exit code
 * after printing the error. */
int model_describe(const lstm_model *model, json_t **root);
int model_rebuild(lstm_model **model, lstm_context *context, const json_t *root);

/* Give SimpleRNN layers another activation: state dicts of nn.RNN do not say which. Returns as
 * above. */
int model_set_activation(lstm_model **model, lstm_context *context, const char *activation);

/* Give an input of the model another shape: "[NAME=]STEPS,FEATURES", or "[NAME=]FEATURES" of a
 * vector, STEPS a number or "?", which is any number; without a name the input number `index`. Only
 * the number of steps can change. Returns as above. */
int model_set_shape(lstm_model **model, lstm_context *context, const char *text, size_t index);

/* Check before the work that a model can be written to `path`: .lstm or .safetensors (the whole
 * model), .json (the description only). Returns 0, or the exit code after printing the error. */
int model_check_output(const char *path);

/* Replace a model by an equal one whose layers do while training what they do while predicting:
 * dropout and noise let everything through, BatchNormalization goes by its moving statistics.
 * Returns 0, or the exit code after printing the error. */
int model_as_predicting(lstm_model **model, lstm_context *context);

/* Copy every parameter from a model into another of the same network. Returns 0, or the exit code
 * after printing the error. */
int model_copy_parameters(lstm_model *to, const lstm_model *from);

/* Return the model's description as text (free it), or NULL after printing the error. */
char *model_description(const lstm_model *model, size_t *length);

/* Write the model. Returns 0, or the exit code after printing the error. */
int model_write(const lstm_model *model, const char *path);

#endif
