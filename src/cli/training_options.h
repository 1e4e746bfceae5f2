/* SPDX-License-Identifier: MIT
 *
 * Losses, optimizers, schedules and metrics as words of the command line:
 *
 *     --loss huber:delta=2                                   name, or name:key=value,…
 *     --optimizer sgd:momentum=0.9,nesterov=true             name, or name:key=value,…
 *     --optimizer adam.json                                  Keras' or PyTorch's option names
 *     --schedule cosine:steps=1000,warmup_steps=100          name, or name:key=value,…
 *     --metrics accuracy,mae
 *
 * Keys are those of Keras (learning_rate, beta_1, rho, epsilon, clipnorm …) and of PyTorch (lr,
 * betas, alpha, eps …). A key that this version cannot honour is refused by name, unless its value
 * asks for nothing (null, false, Keras' default).
 */
#ifndef LSTM_CLI_TRAINING_OPTIONS_H
#define LSTM_CLI_TRAINING_OPTIONS_H

#include <jansson.h>
#include <lstm/lstm.h>
#include <stddef.h>

#define QUANTILE_LIMIT 64
#define CLASS_LIMIT 65536

/* A loss with what its options point to. */
typedef struct loss_choice {
    lstm_loss_options options;
    float quantiles[QUANTILE_LIMIT];
} loss_choice;

/* An optimizer with its schedule. `options.schedule` is set where there is one: the struct must
 * stay where it is. */
typedef struct optimizer_choice {
    lstm_optimizer_options options;
    lstm_schedule_options schedule;
} optimizer_choice;

/* All return 0, or EXIT_USE (EXIT_FILE for the JSON file) after printing the error. */
int loss_parse(loss_choice *out, const char *text);
int optimizer_parse(optimizer_choice *out, const char *text);
int metrics_parse(int32_t *out, size_t capacity, int32_t *count, const char *text);

/* A schedule as a word, or as Keras' object {"class_name": "CosineDecay", "config": {…}}; both may
 * set the learning rate of the optimizer (initial_learning_rate). `what` names the option or file
 * for messages. */
int schedule_parse(optimizer_choice *out, const char *text);
int schedule_read(optimizer_choice *out, const json_t *object, const char *what);

/* "1,2,0.5": one weight a class. */
int class_weights_parse(float **out, size_t *count, const char *text);

/* What the targets of a loss look like, for dataset_match. */
int loss_target(const loss_choice *loss);

#endif
