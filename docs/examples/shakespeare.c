/* SPDX-License-Identifier: MIT
 * A language model of characters: reads Shakespeare in 32 streams side by side, 64 characters an
 * update, its state carried from each update to the next (back-propagation truncated at 64 steps),
 * and then writes on by itself.
 *
 *     shakespeare FOLDER [--epochs N]        the folder with input.txt ("tinyshakespeare")
 *
 * Initial values matter more here than anything else. Embedding N(0, 1) and biases as in PyTorch, but
 * kernels glorot_uniform and orthogonal as in Keras and nothing added to the forget bias; what other
 * choices reach is in README.md.
 *
 * How the data lies: sample b of a batch continues sample b of the batch before, so piece k of
 * stream b is sample 32 k + b, and the order is kept (no shuffling).
 */
#include "example.h"

enum { STREAMS = 32, STEPS = 64, EMBEDDING = 64, WRITTEN = 600 };

typedef struct text {
    size_t length, symbols;
    unsigned char *characters, symbol_of[256], character_of[256];
} text;

static text read_text(const char *folder, size_t most)
{
    text t = {0};
    FILE *file = open_data(folder, "input.txt");
    t.characters = zeros(most, 1);
    t.length = fread(t.characters, 1, most, file);
    fclose(file);
    for (size_t k = 0; k < t.length; k++)
        t.symbol_of[t.characters[k]] = 1;
    for (int c = 0; c < 256; c++)
        if (t.symbol_of[c]) {
            t.character_of[t.symbols] = (unsigned char)c;
            t.symbol_of[c] = (unsigned char)t.symbols++;
        }
    return t;
}

/* Characters `from` to `to` as streams: inputs, and as targets the characters that follow. */
static lstm_data streams_of(const text *t, size_t from, size_t to)
{
    const size_t pieces = (to - from - 1) / STREAMS / STEPS, count = pieces * STREAMS * STEPS;
    float *x = zeros(count, sizeof *x), *y = zeros(count, sizeof *y);
    for (size_t n = 0; n < count; n++) {
        const size_t piece = n / STEPS / STREAMS, stream = n / STEPS % STREAMS, step = n % STEPS;
        const unsigned char *at = t->characters + from + (stream * pieces + piece) * STEPS + step;
        x[n] = t->symbol_of[at[0]];
        y[n] = t->symbol_of[at[1]];
    }
    return (lstm_data){.struct_size = sizeof(lstm_data),
                       .samples = (int64_t)(pieces * STREAMS),
                       .x = x,
                       .x_count = count,
                       .y = y,
                       .y_count = count};
}

static lstm_model *build(size_t symbols, int64_t units, uint64_t seed)
{
    lstm_model *model;
    DO(lstm_model_create(&model, NULL,
                         OPTIONS(lstm_model, .profile = LSTM_PROFILE_TORCH, .seed = seed)));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .features = 1), NULL));
    DO(lstm_model_add_embedding(
        model, OPTIONS(lstm_embedding, .input_dim = (int64_t)symbols, .output_dim = EMBEDDING),
        NULL, NULL));
    DO(lstm_model_add_lstm(model,
                           OPTIONS(lstm_lstm, .units = units, .return_sequences = LSTM_YES,
                                   .stateful = LSTM_YES,
                                   .kernel_initializer = LSTM_INITIALIZER_GLOROT_UNIFORM,
                                   .recurrent_initializer = LSTM_INITIALIZER_ORTHOGONAL),
                           NULL, NULL));
    DO(lstm_model_add_dense(model,
                            OPTIONS(lstm_dense, .units = (int64_t)symbols,
                                    .kernel_initializer = LSTM_INITIALIZER_GLOROT_UNIFORM),
                            NULL, NULL));
    DO(lstm_model_build(model));
    return model;
}

/* Write on after a line feed: each character is drawn with the probability the network gives it, its
 * logits divided by a temperature below 1, which makes likely ones likelier. */
static void write_text(lstm_model *model, const text *t, double temperature, uint64_t seed)
{
    static int32_t written[WRITTEN];
    const int32_t line_feed = (int32_t)t->symbol_of['\n'];
    lstm_session *session;
    lstm_sampler *sampler;
    size_t length;
    DO(lstm_session_create(&session, model, OPTIONS(lstm_session, .batch = 1, .steps = 1)));
    DO(lstm_sampler_create(&sampler, NULL,
                           OPTIONS(lstm_sampler, .classes = (int64_t)t->symbols,
                                   .temperature = temperature, .seed = seed)));
    DO(lstm_session_sample(session, sampler, &line_feed, 1, -1, written, WRITTEN, &length));
    for (size_t n = 0; n < length; n++)
        putchar(t->character_of[written[n]]);
    putchar('\n');
    lstm_sampler_destroy(sampler);
    lstm_session_destroy(session);
}

int main(int argc, char **argv)
{
    const arguments a = read_arguments(argc, argv);
    const text t = read_text(a.folder, a.brief ? 60000 : 4000000);
    const size_t held = t.length / 10;
    const lstm_data train = streams_of(&t, 0, t.length - held),
                    test = streams_of(&t, t.length - held, t.length);
    const int64_t units = a.brief ? 64 : 256;
    const double rate = a.brief ? 1e-2 : 2e-3;
    lstm_model *model = build(t.symbols, units, a.seed);
    const int epochs = a.epochs ? (int)a.epochs : a.brief ? 2 : 3;
    printf(
        "%zu characters of %zu kinds, the last tenth held out; embedding %d, LSTM %d, seed %llu;\n"
        "%d streams of %d steps an update, state carried, Adam at %g, no clipping\n",
        t.length, t.symbols, EMBEDDING, (int)units, (unsigned long long)a.seed, STREAMS, STEPS,
        rate);
    lstm_history *history;
    DO(lstm_fit(
        model,
        OPTIONS(lstm_fit, .epochs = epochs, .batch_size = STREAMS, .shuffle = LSTM_NO,
                .validation = &test,
                .loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY,
                                .from_logits = LSTM_YES),
                .optimizer_options = OPTIONS(lstm_optimizer, .learning_rate = rate),
                .progress = print_epoch),
        &train, &history));
    double bits = 0;
    for (int epoch = 0; epoch < epochs; epoch++) {
        bits = lstm_history_value(history, (size_t)epoch, 1) / log(2);
        printf("after epoch %d: %.3f bits a character on the last tenth (trigrams: 2.96)\n",
               epoch + 1, bits);
    }
    write_text(model, &t, 0.7, a.seed);
    lstm_history_destroy(history);
    free((void *)(uintptr_t)train.x);
    free((void *)(uintptr_t)train.y);
    free((void *)(uintptr_t)test.x);
    free((void *)(uintptr_t)test.y);
    free(t.characters);
    lstm_model_destroy(model);
    return bits < (a.brief ? 5.0 : epochs < 3 ? 2.96 : 2.3) ? 0 : 1;
}
