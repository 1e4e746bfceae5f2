/* SPDX-License-Identifier: MIT
 * Small models and data for the tests of the public interface.
 */
#ifndef LSTM_TESTS_SAMPLE_MODELS_H
#define LSTM_TESTS_SAMPLE_MODELS_H

#include <lstm/lstm.h>

/* Fill with numbers in [-1, 1) that depend on the seed alone. */
void fill_numbers(float *values, size_t count, uint64_t seed);
float *new_numbers(size_t count, uint64_t seed); /* the caller frees */

/* Each build function returns what the last call gave and *model NULL on failure, so that it serves
 * the allocation failure sweep too. */

/* Input (steps, features) -> LSTM(units) -> Dense(outputs): the tutorial's network. steps 0 = free.
 */
lstm_status build_tutorial(lstm_model **model, lstm_context *context, int64_t steps,
                           int64_t features, int64_t units, int64_t outputs);

/* Input (6, 3) -> LSTM(5, sequences) -> Dropout(0.3) -> LSTM(4, backwards) -> Dense(2): something
 * random in it. */
lstm_status build_stack(lstm_model **model, lstm_context *context);
enum { STACK_STEPS = 6, STACK_FEATURES = 3, STACK_OUTPUTS = 2 };
lstm_model *new_sample_stack(void); /* the same in the default context; it must not fail */

/* Samples for it: targets that depend on the inputs. */
enum { STACK_SAMPLES = 40 };
typedef struct stack_task {
    float x[STACK_SAMPLES * STACK_STEPS * STACK_FEATURES], y[STACK_SAMPLES * STACK_OUTPUTS];
    lstm_data data;
} stack_task;
void start_stack_task(stack_task *t);

/* Every layer type: two inputs (7 steps of 3 features, a vector of 4), an encoder that reads
 * backwards and whose states start a decoder, initial states from Dense layers, three outputs: a
 * sequence (7, 3), a vector of 4, its cell. */
lstm_status build_everything(lstm_model **model, lstm_context *context, int32_t profile,
                             uint64_t seed);
enum {
    EVERYTHING_INPUTS = 2,
    EVERYTHING_OUTPUTS = 3,
    EVERYTHING_STEPS = 7,
    EVERYTHING_FEATURES = 3,
    EVERYTHING_VECTOR = 4
};

/* All parameters one after the other; the caller frees. */
float *copy_parameters(const lstm_model *model, size_t *count);

/* Whether two models have the same parameters, names and bits. */
int same_parameters(const lstm_model *a, const lstm_model *b);

#endif
