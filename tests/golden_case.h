/* SPDX-License-Identifier: MIT
 * One case of ../shared/golden: its case.json and its arrays.
 */
#ifndef LSTM_TESTS_GOLDEN_CASE_H
#define LSTM_TESTS_GOLDEN_CASE_H

#include <jansson.h>
#include <lstm/lstm.h>
#include <stdbool.h>

typedef struct golden_case {
    char folder[1024];
    json_t *json;
} golden_case;

/* Whether ../shared (or $LSTM_SHARED) is there; says "skipped: ../shared is absent" if not. */
bool golden_available(void);

/* Open golden/GROUP/NAME; fails the test if it cannot be read. */
void golden_open(golden_case *golden, const char *group, const char *name);
void golden_close(golden_case *golden);

/* Array NAME.npy as floats (the caller frees), with its count; NULL if there is no such file. */
float *golden_array(const golden_case *golden, const char *name, size_t *count);
float *golden_array_number(const golden_case *golden, const char *stem, size_t digits,
                           size_t number, size_t *count);

/* Build the model of the case's "config"; set its parameters from arrays STEM00, STEM01, … */
lstm_model *golden_model(const golden_case *golden);
void golden_set_parameters(const golden_case *golden, lstm_model *model, const char *stem,
                           size_t digits);

/* Fail the test with lstm_last_error() unless a call succeeded. */
#define assert_ok(call) golden_assert_ok((call), #call, __FILE__, __LINE__)
void golden_assert_ok(lstm_status status, const char *call, const char *file, int line);

#endif
