/* SPDX-License-Identifier: MIT
 * Samples as Arrow columns; see arrow_samples.h.
 */
#include "arrow_samples.h"
#include "api_checks.h"

const int own_lengths[N] = {4, 1, 3, 0, 2, 4, 4, 1, 2, 3, 4};

double x_of(size_t n, size_t t, size_t f)
{
    return (double)((n * 7 + t * 3 + f * 5) % 6);
}

static double y_of(size_t n)
{
    return (double)(n % 3);
}

void fill_arrays(float *x, float *y)
{
    for (size_t n = 0; n < N; n++) {
        y[n] = (float)y_of(n);
        for (size_t t = 0; t < T; t++)
            for (size_t f = 0; f < F; f++)
                x[(n * T + t) * F + f] = (float)x_of(n, t, f);
    }
}

/* Numbers of feature f (F = all) of the rows from `first` on, in front of which `skip` rows of other
 * numbers stand. */
static column some_numbers(const form *w, const char *name, size_t first, size_t rows, size_t skip,
                           size_t feature)
{
    double values[(N + 8) * T * F] = {0};
    size_t count = 0;
    for (size_t n = 0; n < skip * T * (feature == F ? F : 1); n++)
        values[count++] = 55;
    for (size_t n = first; n < first + rows; n++)
        for (size_t t = 0; t < T; t++)
            for (size_t f = feature == F ? 0 : feature; f < (feature == F ? F : feature + 1); f++)
                values[count++] = x_of(n, t, f);
    return numbers_column(name, w->format, values, count, w->offset);
}

size_t x_columns(const form *w, column *to, size_t first, size_t rows)
{
    static const int all[N + 8] = {T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T};
    const size_t skip = w->lists + w->batch; /* rows of the column in front */
    const size_t length = rows + w->batch;
    size_t count = 0;
    switch (w->form) {
    case NESTED:
        to[count++] = fixed_lists("x", T,
                                  fixed_lists("item", F,
                                              some_numbers(w, "item", first, rows, skip, F),
                                              (length + w->lists) * T, 0),
                                  length, w->lists);
        break;
    case TWO_LISTS:
        to[count++] = fixed_lists("a", T, some_numbers(w, "item", first, rows, skip, 0), length,
                                  w->lists);
        to[count++] = fixed_lists("b", T, some_numbers(w, "item", first, rows, skip, 1), length,
                                  w->lists);
        break;
    case FLAT:
        to[count++] = fixed_lists("x", T * F, some_numbers(w, "item", first, rows, skip, F), length,
                                  w->lists);
        break;
    case WIDE:
        for (size_t k = 0; k < T * F; k++) {
            static const char *const names[] = {"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"};
            double values[N + 8];
            for (size_t n = 0; n < length; n++)
                values[n] = n < w->batch ? 44 : x_of(first + n - w->batch, k / F, k % F);
            to[count++] = numbers_column(names[k], w->format, values, length, w->offset);
        }
        break;
    case ANY:
        to[count++] = any_lists("x", 0,
                                fixed_lists("item", F,
                                            some_numbers(w, "item", first, rows, w->batch, F),
                                            length * T, 0),
                                all, length, w->lists);
        break;
    default:
        to[count++] = any_lists("a", 1, some_numbers(w, "item", first, rows, w->batch, 0), all,
                                length, w->lists);
        to[count++] = any_lists("b", 0, some_numbers(w, "item", first, rows, w->batch, 1), all,
                                length, w->lists);
    }
    return count;
}

void make_batch(const form *w, struct ArrowSchema *schema, struct ArrowArray *batch, size_t first,
                size_t rows, released *counts)
{
    column columns[T * F + 1];
    double y[N + 8];
    const size_t count = x_columns(w, columns, first, rows);
    for (size_t n = 0; n < rows + w->batch; n++)
        y[n] = n < w->batch ? 33 : y_of(first + n - w->batch);
    columns[count] = numbers_column("y", w->format, y, rows + w->batch, w->offset);
    batch_of(schema, batch, columns, count + 1, rows, w->batch, counts);
}

const lstm_arrow_columns columns_of_form[] = {
    [NESTED] = {(const char *const[]){"x"}, 1},
    [TWO_LISTS] = {(const char *const[]){"a", "b"}, 2},
    [FLAT] = {(const char *const[]){"x"}, 1},
    [WIDE] = {(const char *const[]){"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"}, 8},
    [ANY] = {(const char *const[]){"x"}, 1},
    [TWO_ANY] = {(const char *const[]){"a", "b"}, 2},
};
static const lstm_arrow_columns y_column = {(const char *const[]){"y"}, 1};

lstm_arrow_options options_of(int kind)
{
    return (lstm_arrow_options){.struct_size = sizeof(lstm_arrow_options),
                                .inputs = &columns_of_form[kind],
                                .input_count = 1,
                                .targets = &y_column,
                                .target_count = 1};
}

lstm_model *build_steps(int64_t steps)
{
    lstm_model *model = NULL;
    assert_ok(lstm_model_create(&model, NULL, NULL));
    assert_ok(
        lstm_model_add_input(model, OPTIONS(lstm_input, .steps = steps, .features = F), NULL));
    assert_ok(lstm_model_add_lstm(
        model, OPTIONS(lstm_lstm, .units = 3, .return_sequences = LSTM_YES), NULL, NULL));
    assert_ok(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = 1), NULL, NULL));
    assert_ok(lstm_model_build(model));
    return model;
}

void make_lists(struct ArrowSchema *schema, struct ArrowArray *batch, const int *lengths,
                int padded, released *counts)
{
    double x[N * T * F];
    double y[N * T];
    double n_steps[N];
    double weights[N];
    size_t count = 0;
    for (size_t n = 0; n < N; n++) {
        n_steps[n] = lengths[n];
        weights[n] = 0.5 + (double)(n % 3);
        for (size_t t = 0; t < (padded ? T : (size_t)lengths[n]); t++, count++) {
            y[count] = t < (size_t)lengths[n] ? (double)(t + n) : 9;
            for (size_t f = 0; f < F; f++)
                x[count * F + f] = t < (size_t)lengths[n] ? x_of(n, t, f) : 9;
        }
    }
    const column items = fixed_lists("item", F, numbers_column("item", 'g', x, count * F, 0), count,
                                     0);
    const column values = numbers_column("item", 'f', y, count, 0);
    const column columns[] = {
        padded ? fixed_lists("x", T, items, N, 0) : any_lists("x", 0, items, lengths, N, 0),
        padded ? fixed_lists("y", T, values, N, 0) : any_lists("y", 1, values, lengths, N, 0),
        numbers_column("length", 's', n_steps, N, 0), numbers_column("weight", 'g', weights, N, 0)};
    batch_of(schema, batch, columns, 4, N, 0, counts);
}
