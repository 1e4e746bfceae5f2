/* SPDX-License-Identifier: MIT
 *
 * Losses, optimizers and metrics as words of the command line:
 *
 *     --loss huber:delta=2                                   name, or name:key=value,…
 *     --optimizer sgd:momentum=0.9,nesterov=true             name, or name:key=value,…
 *     --optimizer adam.json                                  Keras' or PyTorch's option names
 *     --metrics accuracy,mae
 *
 * Keys are those of Keras (learning_rate, beta_1, rho, epsilon, clipnorm …) and of PyTorch (lr, betas, alpha, eps …).
 * A key that this version cannot honour is refused by name, unless its value asks for nothing (null, false, Keras'
 * default).
 */
#ifndef LSTM_CLI_TRAINING_OPTIONS_H
#define LSTM_CLI_TRAINING_OPTIONS_H

#include <lstm/lstm.h>
#include <stddef.h>

/* All return 0, or EXIT_USE (EXIT_FILE for the JSON file) after printing the error. */
int loss_parse(lstm_loss_options *out, const char *text);
int optimizer_parse(lstm_optimizer_options *out, const char *text);
int metrics_parse(int32_t *out, size_t capacity, int32_t *count, const char *text);

#endif
