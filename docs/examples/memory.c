/* SPDX-License-Identifier: MIT
 * Three tasks that need memory (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016), made on the
 * fly, trained in a loop of our own until they are solved:
 *
 *     memory --task adding100     the sum of the two marked numbers among 100; solved: MSE < 0.01
 *     memory --task adding400     the same among 400
 *     memory --task order         which symbols came at two places in 100 to 110: 4 classes; solved: 99 %
 *     memory --task copy          ten symbols again after 50 blanks; solved: 99 % of the symbols
 *
 * The forget bias begins at log(U(1, T - 1)), the input bias at its negative ("chrono", Tallec and
 * Ollivier 2018): units then remember over 1 to T steps from the start.
 */
#include "example.h"

enum { BATCH = 20, UNITS = 128, LONGEST = 400, WIDEST = 10, SYMBOLS = 8, COPIED = 10, BLANKS = 50 };

typedef struct task {
    const char *name;
    int64_t steps, features, outputs; /* the longest sequence */
    int32_t loss, all_steps;          /* LSTM_LOSS_*; the answer is one a step */
    double rate,
        goal; /* learning rate; mean squared error below it, or part of right answers above */
} task;

static const task tasks[] = {
    {"adding100", 100, 2, 1, LSTM_LOSS_MSE, 0, 5e-3, 0.01},
    {"adding400", 400, 2, 1, LSTM_LOSS_MSE, 0, 5e-3, 0.01},
    {"order", 110, 8, 4, LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, 0, 5e-3, 0.99},
    {"copy", 2 * COPIED + BLANKS, WIDEST, WIDEST, LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, 1,
     5e-3, 0.99},
};

static float x[BATCH * LONGEST * WIDEST], y[BATCH * LONGEST], p[BATCH * LONGEST * WIDEST];
static int32_t lengths[BATCH];

/* Two numbers in [0, 1), one in each half, are marked; y is their sum. */
static void make_adding(const task *t, int k, uint64_t *state)
{
    float *row = x + k * t->steps * 2;
    const int half = (int)t->steps / 2, first = random_below(state, half),
              second = half + random_below(state, half);
    for (int s = 0; s < t->steps; s++) {
        row[2 * s] = (float)random_unit(state);
        row[2 * s + 1] = s == first || s == second;
    }
    y[k] = row[2 * first] + row[2 * second];
}

/* Begin E, end B, distractors a to d between, X or Y at a step of 10 to 19 and of 50 to 59 (task 6a
 * of 1997). */
static void make_order(const task *t, int k, uint64_t *state)
{
    enum { X = 4, Y, B, E };
    float *row = x + k * t->steps * t->features;
    const int length = 100 + random_below(state, 11), first = 10 + random_below(state, 10),
              second = 50 + random_below(state, 10), one = random_below(state, 2),
              two = random_below(state, 2);
    memset(row, 0, (size_t)(t->steps * t->features) * sizeof *row);
    for (int s = 0; s < length; s++) {
        const int symbol = s == 0            ? E
                           : s == length - 1 ? B
                           : s == first      ? X + one
                           : s == second     ? X + two
                                             : random_below(state, 4);
        row[s * t->features + symbol] = 1;
    }
    lengths[k] = length;
    y[k] = (float)(2 * one + two);
}

/* Ten of eight symbols, blanks (8), a sign to start (9); then the symbols are wanted, before them
 * blanks. */
static void make_copy(const task *t, int k, uint64_t *state)
{
    float *row = x + k * t->steps * WIDEST;
    memset(row, 0, (size_t)(t->steps * WIDEST) * sizeof *row);
    for (int s = 0; s < t->steps; s++) {
        const int copied = s - COPIED - BLANKS;
        const int symbol = s < COPIED ? random_below(state, SYMBOLS) : copied == -1 ? 9 : 8;
        row[s * WIDEST + symbol] = 1;
        y[k * t->steps + s] = 8;
        for (int c = 0; copied >= 0 && c < SYMBOLS; c++)
            if (row[copied * WIDEST + c] > 0)
                y[k * t->steps + s] = (float)c;
    }
}

/* How good the outputs are: mean squared error, or the part of right answers (copy: of the last ten). */
static double quality(const task *t)
{
    double sum = 0, count = 0;
    const int64_t steps = t->all_steps ? t->steps : 1;
    for (int64_t row = 0; row < BATCH * steps; row++) {
        if (t->all_steps && row % steps < steps - COPIED)
            continue;
        const float *of = p + row * t->outputs;
        int best = 0;
        for (int c = 1; c < t->outputs; c++)
            best = of[c] > of[best] ? c : best;
        sum += t->loss == LSTM_LOSS_MSE ? pow((double)of[0] - y[row], 2) : best == (int)y[row];
        count++;
    }
    return sum / count;
}

static void set_chrono_bias(lstm_model *model, double steps, uint64_t *state)
{
    float bias[4 * UNITS] = {0};
    size_t index;
    for (int u = 0; u < UNITS; u++)
        bias[u] = -(bias[UNITS + u] = (float)log(1 + random_unit(state) * (steps - 2)));
    DO(lstm_model_find_parameter(model, "lstm/bias", &index));
    DO(lstm_model_set_parameter(model, index, bias, 4 * UNITS));
}

int main(int argc, char **argv)
{
    const arguments a = read_arguments(argc, argv);
    const task *t = tasks;
    while (a.task && t < tasks + 3 && strcmp(t->name, a.task) != 0)
        t++;
    uint64_t state = a.seed;
    lstm_model *model;
    lstm_session *session;
    lstm_optimizer *optimizer;
    DO(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = a.seed)));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .features = t->features), NULL));
    DO(lstm_model_add_lstm(
        model,
        OPTIONS(lstm_lstm, .units = UNITS, .return_sequences = t->all_steps ? LSTM_YES : LSTM_NO),
        NULL, NULL));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = t->outputs), NULL, NULL));
    DO(lstm_model_build(model));
    set_chrono_bias(model, (double)t->steps, &state);
    DO(lstm_session_create(
        &session, model,
        OPTIONS(lstm_session, .training = LSTM_YES, .batch = BATCH, .steps = t->steps)));
    DO(lstm_optimizer_create(
        &optimizer, model,
        OPTIONS(lstm_optimizer, .learning_rate = t->rate, .global_clip_norm = 1,
                .schedule = OPTIONS(lstm_schedule, .schedule = LSTM_SCHEDULE_STEP, .steps = 5000,
                                    .factor = 0.5))));
    const lstm_loss_options *loss = OPTIONS(lstm_loss, .loss = t->loss, .from_logits = LSTM_YES);
    const lstm_loss_options *squares = OPTIONS(lstm_loss, .loss = LSTM_LOSS_MSE);
    const int most = a.brief ? 30 : 25000;
    const double start = seconds();
    double recent = t->loss == LSTM_LOSS_MSE ? 1 : 0, first = 0;
    for (int update = 1; update <= most; update++) {
        for (int k = 0; k < BATCH; k++)
            (t->loss == LSTM_LOSS_MSE ? make_adding
             : t->all_steps           ? make_copy
                                      : make_order)(t, k, &state);
        const lstm_data data = {.struct_size = sizeof data,
                                .samples = BATCH,
                                .x = x,
                                .x_count = (size_t)(BATCH * t->steps * t->features),
                                .y = y,
                                .y_count = (size_t)(BATCH * (t->all_steps ? t->steps : 1)),
                                .lengths = t->features == 8 ? lengths : NULL,
                                .lengths_count = t->features == 8 ? BATCH : 0};
        double value;
        DO(lstm_session_forward(session, &data));
        DO(lstm_session_output(session, 0, p, data.y_count * (size_t)t->outputs));
        DO(lstm_session_loss(session, t->loss == LSTM_LOSS_MSE ? squares : loss, &data, &value));
        DO(lstm_session_backward(session));
        DO(lstm_optimizer_step(optimizer, session));
        recent += (quality(t) - recent) / (update < 50 ? update : 50);
        first = update == 1 ? value : first;
        const int solved = t->loss == LSTM_LOSS_MSE ? recent < t->goal : recent > t->goal;
        if (update % 500 == 0 || solved || update == most)
            printf("%s: %d sequences, %s %.4f, %.1f s\n", t->name, update * BATCH,
                   t->loss == LSTM_LOSS_MSE ? "mean squared error" : "right answers", recent,
                   seconds() - start);
        fflush(stdout);
        if (solved)
            break;
        if (update == most && !(a.brief && value < first))
            return 1; /* not solved; in the short setting: nothing learned */
    }
    lstm_optimizer_destroy(optimizer);
    lstm_session_destroy(session);
    lstm_model_destroy(model);
    return 0;
}
