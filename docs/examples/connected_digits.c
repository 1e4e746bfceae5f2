/* SPDX-License-Identifier: MIT
 * Digits spoken one after the other, without being told where one ends: three to five recordings of
 * the Free Spoken Digit Dataset are joined, a bidirectional LSTM reads them in steps of 20 ms, and
 * CTC (Graves et al. 2006) learns the labels' places by itself. Decoded by a prefix beam search.
 *
 *     connected_digits FOLDER      the folder with recordings/0_george_0.wav … ("fsdd")
 *
 * Recordings 0 to 4 of each speaker and digit are for the test, as the data set's makers say. The
 * front end: 20 logarithms of mel bands of 25 ms windows, every 10 ms; two windows are a step.
 */
#include "example.h"

#include <complex.h>

enum { WINDOW = 200, HOP = 80, BINS = 256, BANDS = 20, FEATURES = 2 * BANDS, CLASSES = 11 };
enum { STEPS = 120, LABELS = 5, INDICES = 50, SPEAKERS = 6, LONGEST = 60 };

typedef struct recording {
    int steps; /* of 20 ms */
    float x[LONGEST * FEATURES];
} recording;

/* The discrete Fourier transform of BINS values, in place (Cooley and Tukey 1965). */
static void transform(float complex *z, int count)
{
    float complex even[BINS / 2], odd[BINS / 2];
    if (count == 1)
        return;
    for (int k = 0; k < count / 2; k++) {
        even[k] = z[2 * k];
        odd[k] = z[2 * k + 1];
    }
    transform(even, count / 2);
    transform(odd, count / 2);
    for (int k = 0; k < count / 2; k++) {
        const double angle = -2 * 3.14159265358979323846 * k / count;
        const float complex turned = (float complex)(cos(angle) + sin(angle) * I) * odd[k];
        z[k] = even[k] + turned;
        z[k + count / 2] = even[k] - turned;
    }
}

/* Logarithms of triangular mel bands of one window. */
static void mel_bands(const int16_t *samples, float *bands)
{
    float complex z[BINS] = {0};
    for (int k = 0; k < WINDOW; k++)
        z[k] = (float)(samples[k] * (0.54 - 0.46 * cos(2 * 3.14159265358979323846 * k / WINDOW)));
    transform(z, BINS);
    const double top = log1p(4000.0 / 700);
    for (int band = 0; band < BANDS; band++) {
        double energy = 1;
        double edge[3];
        for (int k = 0; k < 3; k++)
            edge[k] = 700 * expm1(top * (band + k) / (BANDS + 1)) * BINS / 8000;
        for (int bin = (int)ceil(edge[0]); bin < edge[2] && bin < BINS / 2; bin++) {
            const double rise = (bin - edge[0]) / (edge[1] - edge[0]);
            const double fall = (edge[2] - bin) / (edge[2] - edge[1]);
            energy += fmax(0, fmin(rise, fall)) * pow((double)cabsf(z[bin]), 2);
        }
        bands[band] = (float)log(energy);
    }
}

static void read_recording(recording *to, const char *folder, const char *speaker, int digit,
                           int index)
{
    static int16_t samples[LONGEST * 2 * HOP + WINDOW];
    char name[128];
    snprintf(name, sizeof name, "recordings/%d_%s_%d.wav", digit, speaker, index);
    FILE *file = open_data(folder, name);
    fseek(file, 44, SEEK_SET); /* behind the header of 8 kHz, 16 bits, one channel */
    const int count = (int)fread(samples, sizeof *samples, sizeof samples / sizeof *samples, file);
    fclose(file);
    for (int at = 0; at + 1 <= 2 * LONGEST && at * HOP + WINDOW <= count; at++) {
        mel_bands(samples + at * HOP, to->x + at * BANDS);
        to->steps = (at + 1) / 2;
    }
}

typedef struct set {
    int count;
    float *x;
    int32_t *lengths, *labels;
    lstm_data data;
} set;

/* Join three to five random recordings of one speaker, `count` times. */
static set join(recording (*all)[10][INDICES], int speakers, int first, int last, int count,
                uint64_t seed)
{
    set s = {.count = count};
    s.x = zeros((size_t)count * STEPS * FEATURES, sizeof *s.x);
    s.lengths = zeros((size_t)count, sizeof *s.lengths);
    s.labels = zeros((size_t)count * LABELS, sizeof *s.labels);
    for (int n = 0; n < count; n++) {
        const int digits = 3 + random_below(&seed, 3), speaker = random_below(&seed, speakers);
        for (int k = 0; k < LABELS; k++) {
            const int digit = random_below(&seed, 10);
            const recording *r = &all[speaker][digit][first + random_below(&seed, last - first)];
            const int room = STEPS - s.lengths[n], steps = r->steps < room ? r->steps : room;
            s.labels[n * LABELS + k] = k < digits && steps > 4 ? digit + 1 : -1; /* 0: blank */
            if (s.labels[n * LABELS + k] < 0) {
                memset(s.labels + n * LABELS + k, 0xFF, sizeof(int32_t) * (size_t)(LABELS - k));
                break;
            }
            memcpy(s.x + ((size_t)n * STEPS + (size_t)s.lengths[n]) * FEATURES, r->x,
                   sizeof(float) * (size_t)steps * FEATURES);
            s.lengths[n] += steps;
        }
    }
    s.data = (lstm_data){.struct_size = sizeof(lstm_data),
                         .samples = count,
                         .x = s.x,
                         .x_count = (size_t)count * STEPS * FEATURES,
                         .lengths = s.lengths,
                         .lengths_count = (size_t)count,
                         .labels = s.labels,
                         .labels_count = (size_t)count * LABELS};
    return s;
}

/* Logarithms of energies around 13, give or take 4. */
static void standardise(set *s)
{
    for (size_t k = 0; k < s->data.x_count; k++)
        s->x[k] = (s->x[k] - 13) / 4;
}

/* Part of the test's labels that a beam search gets wrong; prints the first few sequences. */
static double decode(lstm_model *model, const set *s)
{
    float *logits = zeros((size_t)s->count * STEPS * CLASSES, sizeof *logits);
    int32_t *found = zeros((size_t)s->count * STEPS, sizeof *found);
    int32_t *counts = zeros((size_t)s->count, sizeof *counts);
    size_t errors = 0, labels = 0;
    DO(lstm_predict(model, &s->data, logits, (size_t)s->count * STEPS * CLASSES));
    const lstm_ctc_decode_arrays arrays = {.struct_size = sizeof arrays,
                                           .batch = s->count,
                                           .steps = STEPS,
                                           .x = logits,
                                           .lengths = s->lengths,
                                           .labels = found,
                                           .labels_count = (size_t)s->count * STEPS,
                                           .label_lengths = counts};
    DO(lstm_ctc_beam_search(NULL, OPTIONS(lstm_ctc_decode, .classes = CLASSES), &arrays));
    for (int n = 0; n < s->count; n++) {
        const int32_t *right = s->labels + n * LABELS;
        size_t distance = 0, length = 0;
        while (length < LABELS && right[length] > 0)
            length++;
        DO(lstm_edit_distance(NULL, found + n * STEPS, (size_t)counts[n], right, length,
                              &distance));
        errors += distance;
        labels += length;
        for (size_t k = 0; n < 5 && k < length; k++)
            printf("%d ", right[k] - 1);
        for (int k = 0; n < 5 && k < counts[n]; k++)
            printf(k == 0 ? " heard as %d" : " %d", found[n * STEPS + k] - 1);
        if (n < 5)
            printf("\n");
    }
    free(logits);
    free(found);
    free(counts);
    return (double)errors / (double)labels;
}

int main(int argc, char **argv)
{
    static const char *const speakers[SPEAKERS] = {"jackson", "george", "lucas",
                                                   "nicolas", "theo",   "yweweler"};
    const arguments a = read_arguments(argc, argv);
    const int voices = a.brief ? 1 : SPEAKERS, last = a.brief ? 15 : INDICES;
    recording(*all)[10][INDICES] = zeros(SPEAKERS, sizeof *all);
    for (int speaker = 0; speaker < voices; speaker++)
        for (int digit = 0; digit < 10; digit++)
            for (int index = 0; index < last; index++)
                read_recording(&all[speaker][digit][index], a.folder, speakers[speaker], digit,
                               index);
    set train = join(all, voices, 5, last, a.brief ? 200 : 3000, a.seed);
    set test = join(all, voices, 0, 5, a.brief ? 40 : 200, a.seed + 1000);
    standardise(&train);
    standardise(&test);
    free(all);

    lstm_model *model;
    const lstm_lstm_options *lstm = OPTIONS(lstm_lstm, .units = a.brief ? 32 : 96,
                                            .return_sequences = LSTM_YES);
    DO(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = a.seed)));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .steps = STEPS, .features = FEATURES),
                            NULL));
    DO(lstm_model_add_bidirectional(model, OPTIONS(lstm_bidirectional, .lstm = lstm), NULL, NULL));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = CLASSES), NULL, NULL));
    DO(lstm_model_build(model));

    const lstm_loss_options *loss = OPTIONS(lstm_loss, .loss = LSTM_LOSS_CTC,
                                            .ctc_zero_infinity = LSTM_YES);
    const int32_t metric = LSTM_METRIC_LABEL_ERROR_RATE;
    const int epochs = a.epochs ? (int)a.epochs : a.brief ? 25 : 15;
    DO(lstm_fit(model,
                OPTIONS(lstm_fit, .epochs = epochs, .batch_size = a.brief ? 10 : 16, .loss = loss,
                        .seed = a.seed, .metrics = &metric, .metric_count = 1,
                        .validation = &test.data, .progress = print_epoch,
                        .optimizer_options = OPTIONS(lstm_optimizer, .global_clip_norm = 5,
                                                     .learning_rate = a.brief ? 1e-2 : 3e-3)),
                &train.data, NULL));
    const double wrong = decode(model, &test);
    printf("digit errors %.3f of %d sequences by beam search (a constant answer: .88)\n", wrong,
           test.count);
    for (set *of = &train; of != NULL; of = of == &train ? &test : NULL) {
        free(of->x);
        free(of->lengths);
        free(of->labels);
    }
    lstm_model_destroy(model);
    return wrong < (a.brief ? 0.6 : 0.1) ? 0 : 1;
}
