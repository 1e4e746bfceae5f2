/* SPDX-License-Identifier: MIT
 * Dates as people write them, "Tuesday, 3 May 1994" or "05/03/94", become ISO dates, "1994-05-03": an
 * encoder reads the characters in both directions; a decoder, told the date so far, asks additive
 * attention (Bahdanau et al. 2015) at each step where to look, and names the next character.
 * Training gives the decoder the true date so far (teacher forcing); afterwards it reads its own.
 *
 *     dates [--epochs N]
 */
#include "example.h"

enum {
    READ = 32,
    TOLD = 10,
    LETTERS = 128,
    MARKS = 12,
    MOST = 40000,
    TESTED = 1000,
    BEGIN = 11,
    BATCH = 32
};
static const char marks[] = "-0123456789"; /* classes 0 to 10; mark k + 1 in the decoder's input */

typedef struct dates {
    float read[(size_t)MOST * READ], before[(size_t)MOST * TOLD], told[(size_t)MOST * TOLD];
} dates;

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* One date of 1970 to 2029 in one of seven formats; the characters read are padded with 0. */
static void make_date(dates *to, size_t n, uint64_t *state)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const int shift[] = {0, 3, 2, 5, 0, 3,
                                5, 1, 4, 6, 2, 4}; /* Sakamoto's day of the week */
    const int year = 1970 + random_below(state, 60), month = random_below(state, 12);
    const int leap = month == 1 && year % 4 == 0;
    const int day = 1 + random_below(state, length[month] + leap), before = year - (month < 2);
    const char *name = months[month];
    const char *weekday =
        days[(before + before / 4 - before / 100 + before / 400 + shift[month] + day) % 7];
    char text[64], iso[64];
    switch (random_below(state, 7)) {
    case 0:
        snprintf(text, sizeof text, "%s, %d %s %d", weekday, day, name, year);
        break;
    case 1:
        snprintf(text, sizeof text, "%s %d, %d", name, day, year);
        break;
    case 2:
        snprintf(text, sizeof text, "%02d/%02d/%02d", month + 1, day, year % 100);
        break;
    case 3:
        snprintf(text, sizeof text, "%d.%d.%d", day, month + 1, year);
        break;
    case 4:
        snprintf(text, sizeof text, "%.3s %d, '%02d", name, day, year % 100);
        break;
    case 5:
        snprintf(text, sizeof text, "%d %.3s %d", day, name, year);
        break;
    default:
        snprintf(text, sizeof text, "%d%02d%02d", year, month + 1, day);
        break;
    }
    snprintf(iso, sizeof iso, "%04d-%02d-%02d", year, month + 1, day);
    for (size_t k = 0, end = strlen(text); k < READ; k++)
        to->read[n * READ + k] = k < end ? (float)text[k] : 0;
    for (size_t k = 0; k < TOLD; k++) {
        const float mark = (float)(strchr(marks, iso[k]) - marks);
        to->told[n * TOLD + k] = mark;
        to->before[n * TOLD + k] = k == 0 ? BEGIN : to->told[n * TOLD + k - 1];
    }
}

static lstm_model *build(uint64_t seed)
{
    lstm_model *model;
    lstm_layer *read, *before, *encoder, *h, *c, *decoder, *context;
    DO(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = seed)));
    DO(lstm_model_add_input(
        model, OPTIONS(lstm_input, .steps = READ, .features = 1, .name = "read"), NULL));
    DO(lstm_model_add_embedding(
        model,
        OPTIONS(lstm_embedding, .input_dim = LETTERS, .output_dim = 32, .mask_zero = LSTM_YES),
        NULL, &read));
    const lstm_lstm_options *half = OPTIONS(lstm_lstm, .units = 64, .return_sequences = LSTM_YES);
    DO(lstm_model_add_bidirectional(model, OPTIONS(lstm_bidirectional, .lstm = half), read,
                                    &encoder));
    DO(lstm_model_add_last_step(model, NULL, encoder, &h));
    DO(lstm_model_add_global_average_pooling(model, NULL, encoder, &c));
    DO(lstm_model_add_input(
        model, OPTIONS(lstm_input, .steps = TOLD, .features = 1, .name = "before"), NULL));
    DO(lstm_model_add_embedding(
        model, OPTIONS(lstm_embedding, .input_dim = MARKS, .output_dim = 16), NULL, &before));
    DO(lstm_model_add_lstm(model,
                           OPTIONS(lstm_lstm, .units = 128, .return_sequences = LSTM_YES,
                                   .initial_h = h, .initial_c = c),
                           before, &decoder));
    DO(lstm_model_add_additive_attention(model, NULL, (const lstm_layer *[]){decoder, encoder}, 2,
                                         &context));
    DO(lstm_model_add_concatenate(model, NULL, (const lstm_layer *[]){decoder, context}, 2, NULL));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = MARKS - 1), NULL, NULL));
    DO(lstm_model_build(model));
    return model;
}

static lstm_data data_of(const dates *d, size_t first, size_t count, const float **inputs,
                         size_t *sizes)
{
    inputs[0] = d->read + first * READ, inputs[1] = d->before + first * TOLD;
    sizes[0] = count * READ, sizes[1] = count * TOLD;
    return (lstm_data){.struct_size = sizeof(lstm_data),
                       .samples = (int64_t)count,
                       .inputs = inputs,
                       .input_sizes = sizes,
                       .input_count = 2,
                       .y = d->told + first * TOLD,
                       .y_count = count * TOLD};
}

/* Let the decoder read what it said itself, a character more in each pass; return the part of dates
 * that are right in every character. */
static double exact(lstm_model *model, dates *d, size_t first)
{
    const float *inputs[2];
    size_t sizes[2];
    float *p = zeros((size_t)TESTED * TOLD * (MARKS - 1), sizeof *p);
    const lstm_data data = data_of(d, first, TESTED, inputs, sizes);
    int right = 0;
    static int wrong[TESTED]; /* characters of each date */
    for (size_t k = 0; k < TOLD; k++) {
        DO(lstm_predict(model, &data, p, (size_t)TESTED * TOLD * (MARKS - 1)));
        for (size_t n = 0; n < TESTED; n++) {
            const float *row = p + (n * TOLD + k) * (MARKS - 1);
            int best = 0;
            for (int mark = 1; mark < MARKS - 1; mark++)
                best = row[mark] > row[best] ? mark : best;
            if (k + 1 < TOLD)
                d->before[(first + n) * TOLD + k + 1] = (float)best;
            wrong[n] += best != (int)d->told[(first + n) * TOLD + k];
            right += k + 1 == TOLD && wrong[n] == 0;
        }
    }
    free(p);
    return (double)right / TESTED;
}

int main(int argc, char **argv)
{
    const arguments a = read_arguments(argc, argv);
    const size_t count = a.brief ? 3000 : MOST;
    const int epochs = a.epochs ? (int)a.epochs : a.brief ? 2 : 6;
    static dates all;
    uint64_t state = a.seed;
    for (size_t n = 0; n < MOST; n++)
        make_date(&all, n, &state);
    lstm_model *model = build(a.seed);
    const float *inputs[2];
    size_t sizes[2];
    const lstm_data train = data_of(&all, 0, count - TESTED, inputs, sizes);
    const lstm_schedule_options schedule = {
        .struct_size = sizeof schedule,
        .schedule = LSTM_SCHEDULE_COSINE,
        .steps = epochs * (((int64_t)count - TESTED + BATCH - 1) / BATCH)};
    const int32_t accuracy = LSTM_METRIC_ACCURACY;
    lstm_history *history;
    DO(lstm_fit(
        model,
        OPTIONS(lstm_fit, .epochs = epochs, .batch_size = BATCH, .seed = a.seed,
                .progress = print_epoch,
                .loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                .from_logits = LSTM_YES),
                .metrics = &accuracy, .metric_count = 1,
                .optimizer_options = OPTIONS(lstm_optimizer, .learning_rate = 2e-3,
                                             .global_clip_norm = 1)),
        &train, &history));
    const double learned = lstm_history_value(history, (size_t)epochs - 1, 1),
                 whole = exact(model, &all, count - TESTED);
    printf("dates that are right in all ten characters: %.4f of %d\n", whole, TESTED);
    lstm_history_destroy(history);
    lstm_model_destroy(model);
    return (a.brief ? learned > 0.25 : whole > 0.99) ? 0 : 1;
}
