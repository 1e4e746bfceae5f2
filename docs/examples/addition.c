/* SPDX-License-Identifier: MIT
 * Sums from text: "535+61 " read character by character becomes "596 " (Sutskever and Zaremba 2014;
 * Keras' addition_rnn). The question is read backwards by an encoder whose last output is given to
 * every step of a decoder. Questions of the validation part never occur in training.
 *
 *     addition [--epochs N]
 */
#include "example.h"

enum { DIGITS = 3, ASKED = 2 * DIGITS + 1, TOLD = DIGITS + 1, MOST = 50000 };
static const char symbols[] = "0123456789+ ";
enum { SYMBOLS = sizeof symbols - 1 };

static float x[(size_t)MOST * ASKED * SYMBOLS], y[(size_t)MOST * TOLD];

static int symbol(char c)
{
    return (int)(strchr(symbols, c) - symbols);
}

/* A number of one to three digits, each number of digits as likely as the others. */
static int draw(uint64_t *state)
{
    int value = 0;
    for (int n = 1 + random_below(state, DIGITS); n > 0; n--)
        value = 10 * value + random_below(state, 10);
    return value;
}

/* `count` questions, no two of which have the same numbers, reversed and one-hot; answers as classes. */
static void make_questions(int count, uint64_t seed)
{
    uint8_t *seen = zeros(1000 * 1000, 1);
    for (int n = 0; n < count;) {
        const int a = draw(&seed), b = draw(&seed);
        uint8_t *met = &seen[a < b ? a * 1000 + b : b * 1000 + a];
        if (*met)
            continue;
        *met = 1;
        char question[32], answer[16];
        snprintf(question, sizeof question, "%d+%d", a, b);
        snprintf(answer, sizeof answer, "%-*d", TOLD, a + b);
        const int length = (int)strlen(question);
        for (int k = 0; k < ASKED; k++) {
            const char c = ASKED - 1 - k < length ? question[ASKED - 1 - k] : ' ';
            x[((size_t)n * ASKED + (size_t)k) * SYMBOLS + (size_t)symbol(c)] = 1;
        }
        for (int k = 0; k < TOLD; k++)
            y[n * TOLD + k] = (float)symbol(answer[k]);
        n++;
    }
    free(seen);
}

/* The part of the samples in which every character is right. */
static double exact(lstm_model *model, const lstm_data *data)
{
    const size_t count = (size_t)data->samples * TOLD;
    float *p = zeros(count * SYMBOLS, sizeof *p);
    int right = 0;
    DO(lstm_predict(model, data, p, count * SYMBOLS));
    for (size_t n = 0; n < (size_t)data->samples; n++) {
        int wrong = 0;
        for (size_t k = n * TOLD; k < (n + 1) * TOLD; k++) {
            const float *row = p + k * SYMBOLS;
            for (int s = 0; s < SYMBOLS; s++)
                wrong += row[s] > row[(int)data->y[k]];
        }
        right += wrong == 0;
    }
    free(p);
    return (double)right / (double)data->samples;
}

int main(int argc, char **argv)
{
    const arguments a = read_arguments(argc, argv);
    const int count = a.brief ? 4000 : MOST, held = count / 10, learned = count - held;
    make_questions(count, a.seed);
    const lstm_data train = {.struct_size = sizeof train,
                             .samples = learned,
                             .x = x,
                             .x_count = (size_t)learned * ASKED * SYMBOLS,
                             .y = y,
                             .y_count = (size_t)learned * TOLD};
    const lstm_data test = {.struct_size = sizeof test,
                            .samples = held,
                            .x = x + train.x_count,
                            .x_count = (size_t)held * ASKED * SYMBOLS,
                            .y = y + train.y_count,
                            .y_count = (size_t)held * TOLD};

    lstm_model *model;
    DO(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = a.seed)));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .steps = ASKED, .features = SYMBOLS), NULL));
    DO(lstm_model_add_lstm(model, OPTIONS(lstm_lstm, .units = 128), NULL, NULL));
    DO(lstm_model_add_repeat_vector(model, OPTIONS(lstm_repeat_vector, .count = TOLD), NULL, NULL));
    DO(lstm_model_add_lstm(model, OPTIONS(lstm_lstm, .units = 128, .return_sequences = LSTM_YES),
                           NULL, NULL));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = SYMBOLS), NULL, NULL));
    DO(lstm_model_build(model));

    const int32_t accuracy = LSTM_METRIC_ACCURACY;
    const int epochs = a.epochs ? (int)a.epochs : a.brief ? 2 : 13;
    lstm_history *history;
    DO(lstm_fit(
        model,
        OPTIONS(lstm_fit, .epochs = epochs, .seed = a.seed, .validation = &test,
                .progress = print_epoch,
                .loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                .from_logits = LSTM_YES),
                .metrics = &accuracy, .metric_count = 1),
        &train, &history));
    const double last = lstm_history_value(history, (size_t)epochs - 1, 3);
    printf("%s %.3f of the characters, %.3f of the sums exactly right\n",
           lstm_history_name(history, 3), last, exact(model, &test));
    lstm_history_destroy(history);
    lstm_model_destroy(model);
    return last > (a.brief ? 0.3 : 0.95) ? 0 : 1;
}
