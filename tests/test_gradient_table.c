/* SPDX-License-Identifier: MIT
 * Back-propagation of every layer of the library's own table, with every value of every option of its
 * own option table, past every kind of mask, for 1 to 5 steps, against finite differences in double.
 *
 * A row says how a layer is fed and what its options are to begin with; a class without a row fails.
 * Each value of each option is then tried alone with all masks and lengths, and each pair of values
 * of two options once, masks, lengths, profiles, batches, features, second readers of the input and
 * free numbers of steps taking turns. is_refused() says which of these the library must refuse: what
 * it refuses besides, or lets pass, fails too.
 */
#include "gradient_direction.h"
#include "constants.h"
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MOST_VALUES = 128, FEATURES = 3 };

/* What a layer reads. */
enum {
    SEQUENCE = 1, /* sequences behind a Dense layer each */
    VECTOR = 2,   /* vectors behind a Dense layer each */
    RAW = 4,      /* sequences as they come */
    TOKENS = 8,   /* a sequence of tokens */
    WORDS = 16,   /* a vector of tokens */
    STATES = 32,  /* a sequence, and vectors of its units */
    CELLS = 64,   /* two recurrent layers, one of them backwards */
    NOTHING = 128 /* it is an input itself */
};

typedef struct row {
    const lstm__layer_class *class;
    const void *options;
    int feeds; /* any of them, one after the other */
    int inputs;
    bool fixed;                     /* needs a fixed number of steps */
    bool alone;                     /* options are not varied */
    const lstm__layer_class *cells; /* of CELLS */
    const char *what;
} row;

#define OPTIONS(type, ...) (&(const lstm_##type##_options){__VA_ARGS__})
#define EMPTY OPTIONS(combine, .name = NULL)
#define ALL_BUT_NORMALISATION                                                         \
    .units = 5, .return_sequences = LSTM_YES, .proj_size = 2, .peepholes = LSTM_YES,  \
    .coupled_gates = LSTM_COUPLING_FORGET, .gate_clip = 0.5f, .cell_clip = 0.3f,      \
    .zoneout_h = 0.3f, .zoneout_c = 0.2f, .dropout = 0.2f, .recurrent_dropout = 0.3f, \
    .recurrent_dropconnect = 0.3f, .seed = 9
#define NORMALISATION_AND_OTHERS(kind)                                                        \
    .units = 5, .return_sequences = LSTM_YES, .layer_norm = LSTM_LAYER_NORM_##kind,           \
    .layer_norm_epsilon = 0.1f, .coupled_gates = LSTM_COUPLING_INPUT, .gate_clip = 0.9f,      \
    .cell_clip = 0.4f, .zoneout_h = 0.3f, .zoneout_c = 0.2f, .dropout = 0.2f, .proj_size = 2, \
    .recurrent_dropout = 0.3f, .recurrent_dropconnect = 0.3f, .seed = 9

static const row rows[] = {
    {.class = &lstm__class_input,
     .options = OPTIONS(input, .features = 3),
     .feeds = NOTHING,
     .inputs = 0},
    {.class = &lstm__class_input,
     .options = OPTIONS(input, .features = 3, .vector = LSTM_YES),
     .feeds = NOTHING,
     .inputs = 0,
     .what = "vector"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, .units = 3, .return_sequences = LSTM_YES),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, .units = 3, .return_state = LSTM_YES),
     .feeds = STATES,
     .inputs = 3,
     .what = "from states"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, ALL_BUT_NORMALISATION),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "all but normalisation"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, NORMALISATION_AND_OTHERS(BA)),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "ba and others"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, NORMALISATION_AND_OTHERS(FASTRNNS)),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "fastrnns and others"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, NORMALISATION_AND_OTHERS(TFLITE)),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "tflite and others"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, NORMALISATION_AND_OTHERS(TF), .peepholes = LSTM_YES),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "tf, peepholes and others"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, .units = 5, .proj_size = 3, .peepholes = LSTM_YES, .cell_clip = 0.2f,
                        .proj_clip = 0.2f, .return_sequences = LSTM_YES),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "LSTMP of Sak et al."},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(lstm, .units = 4, .return_sequences = LSTM_YES,
                        .activation = LSTM_ACTIVATION_RELU, .activation_alpha = 0.25f,
                        .recurrent_activation = LSTM_ACTIVATION_HARD_SIGMOID,
                        .recurrent_activation_alpha = 0.3f, .recurrent_activation_beta = 0.6f,
                        .output_activation = LSTM_ACTIVATION_LINEAR,
                        .output_activation_alpha = 0.9f, .output_activation_beta = 0.1f),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "activations with numbers"},
    {.class = &lstm__class_lstm,
     .options = OPTIONS(
         lstm, .units = 4, .return_sequences = LSTM_YES, .go_backwards = LSTM_YES,
         .activation = LSTM_ACTIVATION_ELU, .activation_alpha = 0.5f,
         .recurrent_activation = LSTM_ACTIVATION_LINEAR, .recurrent_activation_alpha = -0.3f,
         .recurrent_activation_beta = 0.5f, .output_activation = LSTM_ACTIVATION_TANH,
         .output_activation_alpha = -1.5f, .output_activation_beta = 0.7f, .gate_clip = 0.4f,
         .layer_norm = LSTM_LAYER_NORM_BA, .layer_norm_epsilon = 0.1f, .proj_size = 2),
     .feeds = SEQUENCE | STATES,
     .inputs = 3,
     .alone = true,
     .what = "falling activations under a clip"},
    {.class = &lstm__class_dense,
     .options = OPTIONS(dense, .units = 3),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_dropout,
     .options = OPTIONS(dropout, .rate = 0.4f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_activation,
     .options = OPTIONS(activation, .activation = LSTM_ACTIVATION_TANH),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_repeat_vector,
     .options = OPTIONS(repeat_vector, .count = 2),
     .feeds = VECTOR,
     .inputs = 1},
    {.class = &lstm__class_reshape,
     .options = OPTIONS(reshape, .steps = 3, .features = 1),
     .feeds = VECTOR,
     .inputs = 1},
    {.class = &lstm__class_reshape,
     .options = OPTIONS(reshape, .steps = 1, .features = 3),
     .feeds = VECTOR,
     .inputs = 1},
    {.class = &lstm__class_flatten,
     .options = OPTIONS(reshape, .steps = 0),
     .feeds = SEQUENCE,
     .inputs = 1,
     .fixed = true},
    {.class = &lstm__class_gru,
     .options = OPTIONS(gru, .units = 3, .return_sequences = LSTM_YES),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_gru,
     .options = OPTIONS(gru, .units = 3, .return_state = LSTM_YES),
     .feeds = STATES,
     .inputs = 2,
     .what = "from a state"},
    {.class = &lstm__class_gru,
     .options = OPTIONS(gru, .units = 3, .return_sequences = LSTM_YES,
                        .activation = LSTM_ACTIVATION_TANH, .activation_alpha = 1.4f,
                        .activation_beta = 0.7f, .recurrent_activation = LSTM_ACTIVATION_LINEAR,
                        .recurrent_activation_alpha = 0.4f, .recurrent_activation_beta = 0.3f),
     .feeds = SEQUENCE | STATES,
     .inputs = 2,
     .alone = true,
     .what = "activations with numbers"},
    {.class = &lstm__class_simple_rnn,
     .options = OPTIONS(simple_rnn, .units = 3, .return_sequences = LSTM_YES),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_simple_rnn,
     .options = OPTIONS(simple_rnn, .units = 3, .return_state = LSTM_YES),
     .feeds = STATES,
     .inputs = 2,
     .what = "from a state"},
    {.class = &lstm__class_add, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 3},
    {.class = &lstm__class_subtract, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 2},
    {.class = &lstm__class_multiply, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 3},
    {.class = &lstm__class_average, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 3},
    {.class = &lstm__class_maximum, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 3},
    {.class = &lstm__class_concatenate, .options = EMPTY, .feeds = SEQUENCE | VECTOR, .inputs = 3},
    {.class = &lstm__class_layer_normalization,
     .options = OPTIONS(layer_normalization, .epsilon = 0.1f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_batch_normalization,
     .options = OPTIONS(batch_normalization, .epsilon = 0.1f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_embedding,
     .options = OPTIONS(embedding, .input_dim = 5, .output_dim = 3),
     .feeds = TOKENS | WORDS,
     .inputs = 1},
    {.class = &lstm__class_global_average_pooling,
     .options = OPTIONS(global_pooling, .ignore_mask = 0),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_global_max_pooling,
     .options = OPTIONS(global_pooling, .ignore_mask = 0),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_last_step,
     .options = OPTIONS(global_pooling, .ignore_mask = 0),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_max_pooling,
     .options = OPTIONS(pooling, .pool_size = 1),
     .feeds = SEQUENCE,
     .inputs = 1,
     .fixed = true},
    {.class = &lstm__class_average_pooling,
     .options = OPTIONS(pooling, .pool_size = 1),
     .feeds = SEQUENCE,
     .inputs = 1,
     .fixed = true},
    {.class = &lstm__class_conv1d,
     .options = OPTIONS(conv1d, .filters = 2, .kernel_size = 3, .padding = LSTM_PADDING_SAME),
     .feeds = SEQUENCE,
     .inputs = 1,
     .fixed = true},
    {.class = &lstm__class_attention,
     .options = OPTIONS(attention, .causal = 0),
     .feeds = SEQUENCE,
     .inputs = 2},
    {.class = &lstm__class_attention,
     .options = OPTIONS(attention, .causal = 0),
     .feeds = SEQUENCE,
     .inputs = 3,
     .what = "own keys"},
    {.class = &lstm__class_additive_attention,
     .options = OPTIONS(attention, .causal = 0),
     .feeds = SEQUENCE,
     .inputs = 2},
    {.class = &lstm__class_additive_attention,
     .options = OPTIONS(attention, .causal = 0),
     .feeds = SEQUENCE,
     .inputs = 3,
     .what = "own keys"},
    {.class = &lstm__class_multi_head_attention,
     .options = OPTIONS(multi_head_attention, .num_heads = 2, .key_dim = 3),
     .feeds = SEQUENCE,
     .inputs = 2},
    {.class = &lstm__class_multi_head_attention,
     .options = OPTIONS(multi_head_attention, .num_heads = 2, .key_dim = 3),
     .feeds = SEQUENCE,
     .inputs = 3,
     .what = "own keys"},
    {.class = &lstm__class_spatial_dropout,
     .options = OPTIONS(dropout, .rate = 0.4f),
     .feeds = SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_gaussian_noise,
     .options = OPTIONS(gaussian_noise, .stddev = 0.2f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_gaussian_dropout,
     .options = OPTIONS(dropout, .rate = 0.4f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_alpha_dropout,
     .options = OPTIONS(dropout, .rate = 0.4f),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_masking,
     .options = OPTIONS(masking, .mask_value = 0),
     .feeds = RAW | SEQUENCE,
     .inputs = 1},
    {.class = &lstm__class_learned_vector,
     .options = OPTIONS(learned_vector, .features = 3),
     .feeds = SEQUENCE | VECTOR,
     .inputs = 1},
    {.class = &lstm__class_bidirectional,
     .options = OPTIONS(bidirectional, .merge_mode = 0),
     .feeds = CELLS,
     .inputs = 2,
     .cells = &lstm__class_lstm},
    {.class = &lstm__class_bidirectional,
     .options = OPTIONS(bidirectional, .merge_mode = 0),
     .feeds = CELLS,
     .inputs = 2,
     .cells = &lstm__class_gru,
     .what = "of GRUs"},
    {.class = &lstm__class_bidirectional,
     .options = OPTIONS(bidirectional, .merge_mode = 0),
     .feeds = CELLS,
     .inputs = 2,
     .cells = &lstm__class_simple_rnn,
     .what = "of SimpleRNNs"},
    {.class = &lstm__class_reverse, .options = EMPTY, .feeds = SEQUENCE, .inputs = 1},
};

/* ---- Values of options */

typedef struct value {
    const lstm__option *option; /* NULL = the options as they are */
    double number;
} value;

static const struct {
    const char *key;
    double numbers[3]; /* 0 = no more */
} own_numbers[] = {
    {"units", {1, 5}},     {"proj_size", {1, 2}},      {"input_dim", {2, 7}},
    {"pool_size", {2, 3}}, {"kernel_size", {1, 2, 4}}, {"key_dim", {1, 2}},
    {"epsilon", {0.05}},   {"proj_clip", {0.05}},      {"layer_norm_epsilon", {0.1}},
};

static void *place_of(void *options, const lstm__option *option)
{
    return (unsigned char *)options + option->offset;
}

static void set(void *options, const value *v)
{
    if (!v->option)
        return;
    void *place = place_of(options, v->option);
    switch (v->option->kind) {
    case LSTM__OPTION_COUNT:
    case LSTM__OPTION_SIZE:
        *(int64_t *)place = (int64_t)v->number;
        break;
    case LSTM__OPTION_RATE:
        *(float *)place = (float)v->number;
        break;
    case LSTM__OPTION_SEED:
        *(uint64_t *)place = (uint64_t)v->number;
        break;
    default:
        *(int32_t *)place = (int32_t)v->number;
    }
}

static size_t numbers_of(const lstm__option *option, double *to)
{
    static const double standard[] = {1, 2};
    size_t count = 0;
    for (size_t k = 0; k < sizeof own_numbers / sizeof *own_numbers; k++)
        if (strcmp(own_numbers[k].key, option->key) == 0)
            for (; count < 3 && own_numbers[k].numbers[count] != 0; count++)
                to[count] = own_numbers[k].numbers[count];
    if (count > 0)
        return count;
    switch (option->kind) {
    case LSTM__OPTION_NAMED:
        for (const lstm__name *name = lstm__constant_names(option->set); name->name; name++)
            if (strcmp(name->name, lstm__constant_name(option->set, name->value)) == 0)
                to[count++] = name->value;
        return count;
    case LSTM__OPTION_RATE:
        to[0] = 0.3f;
        return 1;
    case LSTM__OPTION_SEED:
        to[0] = 7;
        return 1;
    default: /* a flag has the same two */
        memcpy(to, standard, sizeof standard);
        return 2;
    }
}

/* The options as they are, then each value of each option. */
static size_t values_of(const row *r, value *to)
{
    size_t count = 1;
    to[0] = (value){NULL, 0};
    for (const lstm__option *option = r->class->options; option->key && !r->alone; option++) {
        double numbers[MOST_VALUES];
        if (option->alias || option->kind == LSTM__OPTION_FIXED || option->kind == LSTM__OPTION_ANY)
            continue;
        const size_t found = numbers_of(option, numbers);
        assert_true(count + found <= MOST_VALUES);
        for (size_t k = 0; k < found; k++)
            to[count++] = (value){option, numbers[k]};
    }
    return count;
}

/* ---- One case */

typedef struct
try {
    const row *r;
    const value *values[2];
    int feed;
    int32_t profile;
    gradient_case how;
    size_t number; /* of the case: what takes turns follows from it */
}
try;

static size_t done, refused;

/* An option by its name in files; 0 where the class has none. */
static double number_of(const row *r, void *options, const char *key)
{
    for (const lstm__option *option = r->class->options; option->key; option++) {
        const void *place = place_of(options, option);
        if (strcmp(option->key, key) != 0)
            continue;
        switch (option->kind) {
        case LSTM__OPTION_COUNT:
        case LSTM__OPTION_SIZE:
            return (double)*(const int64_t *)place;
        case LSTM__OPTION_RATE:
            return (double)*(const float *)place;
        case LSTM__OPTION_FLAG:
        case LSTM__OPTION_NAMED:
            return *(const int32_t *)place;
        default:
            return 0;
        }
    }
    return 0;
}

static bool is_cell(const lstm__layer_class *class)
{
    return class == &lstm__class_lstm || class == &lstm__class_gru ||
           class == &lstm__class_simple_rnn;
}

/* Whether an activation cannot have the numbers that option `key` gives it; `usual`: where it is 0.
 */
static bool wrong_numbers(const row *r, void *o, const char *key, int32_t usual)
{
    char name[2][64];
    snprintf(name[0], sizeof name[0], "%s_alpha", key);
    snprintf(name[1], sizeof name[1], "%s_beta", key);
    const double alpha = number_of(r, o, name[0]);
    const double beta = number_of(r, o, name[1]);
    const double given = number_of(r, o, key);
    if (alpha == 0 && beta == 0)
        return false;
    switch (given == 0 ? usual : (int32_t)given) {
    case LSTM_ACTIVATION_LINEAR:
    case LSTM_ACTIVATION_HARD_SIGMOID:
        return alpha == 0;
    case LSTM_ACTIVATION_TANH:
        return alpha == 0 || beta == 0;
    case LSTM_ACTIVATION_RELU:
        return false;
    case LSTM_ACTIVATION_ELU:
        return alpha == 0 || beta != 0;
    default:
        return true;
    }
}

/* What the documentation of the options rules out. */
static bool is_refused(const try *t, void *o)
{
    const row *r = t->r;
#define HAS(key) number_of(r, o, key)
    if (is_cell(r->class) && (HAS("activation") == LSTM_ACTIVATION_SOFTMAX ||
                              HAS("recurrent_activation") == LSTM_ACTIVATION_SOFTMAX ||
                              HAS("output_activation") == LSTM_ACTIVATION_SOFTMAX))
        return true;
    if (wrong_numbers(r, o, "activation", LSTM_ACTIVATION_TANH) ||
        wrong_numbers(r, o, "recurrent_activation", LSTM_ACTIVATION_SIGMOID) ||
        wrong_numbers(r, o, "output_activation", 0))
        return true;
    if (is_cell(r->class) && t->feed == STATES && HAS("stateful") == LSTM_YES)
        return true;
    if (r->class == &lstm__class_gru)
        return t->profile == LSTM_PROFILE_TORCH && HAS("reset_after") == LSTM_NO;
    if (r->class == &lstm__class_lstm)
        return (HAS("layer_norm") > LSTM_LAYER_NORM_NONE &&
                HAS("layer_norm") != LSTM_LAYER_NORM_TF && HAS("peepholes") == LSTM_YES) ||
               HAS("proj_size") >= HAS("units") || (HAS("proj_clip") > 0 && HAS("proj_size") == 0);
    if (r->class == &lstm__class_conv1d) {
        const double reach = (HAS("kernel_size") - 1) * fmax(1, HAS("dilation_rate")) + 1;
        return (HAS("strides") > 1 && HAS("dilation_rate") > 1) ||
               (HAS("padding") == LSTM_PADDING_VALID && reach > (double)t->how.steps);
    }
    if (r->class == &lstm__class_max_pooling || r->class == &lstm__class_average_pooling)
        return HAS("padding") == LSTM_PADDING_CAUSAL ||
               (HAS("padding") <= LSTM_PADDING_VALID && HAS("pool_size") > (double)t->how.steps);
    return false;
#undef HAS
}

static void describe(const try *t, char *text, size_t size)
{
    static const char *const paddings[] = {"no mask", "lengths", "holes", "leading", "nothing"};
    int at = snprintf(text, size, "%s", t->r->class->type);
    if (t->r->what)
        at += snprintf(text + at, size - (size_t)at, " %s", t->r->what);
    for (int k = 0; k < 2; k++) {
        const value *v = t->values[k];
        const char *name = v->option && v->option->kind == LSTM__OPTION_NAMED
                               ? lstm__constant_name(v->option->set, (int32_t)v->number)
                               : NULL;
        if (v->option && name)
            at += snprintf(text + at, size - (size_t)at, ", %s = %s", v->option->key, name);
        else if (v->option)
            at += snprintf(text + at, size - (size_t)at, ", %s = %g", v->option->key, v->number);
    }
    snprintf(text + at, size - (size_t)at, " (feed %d, %s, %s, batch %zu, %lld steps, case %zu)",
             t->feed, lstm__constant_name(LSTM_NAMES_PROFILE, t->profile), paddings[t->how.padding],
             t->how.batch, (long long)t->how.steps, t->number);
}

static void need(const try *t, lstm_status status)
{
    char text[320];
    if (status == LSTM_OK)
        return;
    describe(t, text, sizeof text);
    fail_msg("%s: %s", text, lstm_last_error());
}

static const lstm_layer *add(const try *t, lstm_model *model, const lstm__layer_class *class,
                             const void *options, const lstm_layer *input)
{
    lstm_layer *out = NULL;
    need(t, lstm__graph_add(model, class, options, NULL, &input,
                            class == &lstm__class_input ? 0 : 1, &out));
    return out;
}

static const lstm_layer *input(const try *t, lstm_model *model, bool vector, int64_t features)
{
    const bool free_steps = !t->r->fixed && t->number % 2 == 0;
    const lstm_input_options options = {.vector = vector ? LSTM_YES : LSTM_NO,
                                        .features = features,
                                        .steps = vector || free_steps ? 0 : t->how.steps};
    return add(t, model, &lstm__class_input, &options, NULL);
}

/* Behind a Dense layer, which the gradient at the layer's input arrives at. */
static const lstm_layer *behind(const try *t, lstm_model *model, bool vector, int64_t features)
{
    const lstm_dense_options dense = {.units = features, .activation = LSTM_ACTIVATION_TANH};
    return add(t, model, &lstm__class_dense, &dense, input(t, model, vector, 2));
}

static const lstm_layer *cell(const try *t, lstm_model *model, const lstm_layer *x, int32_t back)
{
    const lstm__layer_class *class = t->r->cells;
    const int32_t sequences = t->number % 3 ? LSTM_YES : LSTM_NO;
    const lstm_lstm_options lstm = {
        .units = 3, .return_sequences = sequences, .go_backwards = back};
    const lstm_gru_options gru = {.units = 3, .return_sequences = sequences, .go_backwards = back};
    const lstm_simple_rnn_options rnn = {
        .units = 3, .return_sequences = sequences, .go_backwards = back};
    return add(t, model, class,
               class == &lstm__class_lstm  ? (const void *)&lstm
               : class == &lstm__class_gru ? (const void *)&gru
                                           : (const void *)&rnn,
               x);
}

/* The layers that the layer reads; their number. */
static int feed(const try *t, lstm_model *model, void *options, const lstm_layer **to)
{
    /* narrow and wide inputs of a cell, see LSTM__NARROW */
    const int64_t features = is_cell(t->r->class) && t->number % 4 == 3 ? 9 : FEATURES;
    const double width = number_of(t->r, options, "proj_size");
    const double units = number_of(t->r, options, "units");
    switch (t->feed) {
    case NOTHING:
        return 0;
    case RAW:
        to[0] = input(t, model, false, features);
        return 1;
    case TOKENS:
    case WORDS:
        to[0] = input(t, model, t->feed == WORDS, t->feed == WORDS ? t->how.steps : 1);
        return 1;
    case CELLS:
        to[0] = behind(t, model, false, features);
        to[1] = cell(t, model, to[0], LSTM_YES);
        to[0] = cell(t, model, to[0], LSTM_NO);
        return 2;
    case STATES:
        to[0] = behind(t, model, false, features);
        to[1] = behind(t, model, true, (int64_t)(width > 0 ? width : units));
        to[2] = behind(t, model, true, (int64_t)units);
        return t->r->class == &lstm__class_lstm ? 3 : 2;
    default:
        for (int k = 0; k < (is_cell(t->r->class) ? 1 : t->r->inputs); k++)
            to[k] = behind(t, model, t->feed == VECTOR, features);
        if (t->r->inputs > 1 && t->number % 5 == 4)
            to[1] = to[0]; /* the same twice; the other is then read by nobody but itself */
        return is_cell(t->r->class) ? 1 : t->r->inputs;
    }
}

/* Other readers of what the layer reads come before it or after it: gradients there are added up. */
static void read_too(const try *t, lstm_model *model, const lstm_layer *x, size_t turn)
{
    const lstm_activation_options options = {.activation = LSTM_ACTIVATION_TANH};
    if (t->feed != NOTHING && t->number % 3 == turn)
        add(t, model, &lstm__class_activation, &options, x);
}

/* An input has to be read; further outputs (states, the other direction) are read now and then. */
static void read_ports(const try *t, lstm_model *model, const lstm_layer *layer)
{
    const lstm_activation_options options = {.activation = LSTM_ACTIVATION_SOFTSIGN};
    const lstm__node *node = layer->node;
    if (t->feed == NOTHING || (node->port_count > 1 && t->number % 2 == 0))
        for (int port = 0; port < node->port_count; port++)
            add(t, model, &lstm__class_activation, &options, &node->ports[port]);
}

static void run(const try *t)
{
    union {
        lstm_lstm_options largest;
        unsigned char bytes[512];
    } options;
    char text[320];
    lstm_model *model = NULL;
    const lstm_layer *inputs[3] = {NULL};
    lstm_layer *layer = NULL;
    assert_true(t->r->class->options_size <= sizeof options);
    memcpy(&options, t->r->options, t->r->class->options_size);
    for (int k = 0; k < 2; k++)
        set(&options, t->values[k]);
    if (t->feed == NOTHING && ((lstm_input_options *)&options)->vector != LSTM_YES)
        ((lstm_input_options *)&options)->steps = t->how.steps;
    need(t, lstm__graph_create(&model, NULL, t->profile, 5));
    const int count = feed(t, model, &options, inputs);
    read_too(t, model, inputs[0], 1);
    const lstm_status status = lstm__graph_add(model, t->r->class, &options, NULL, inputs, count,
                                               &layer);
    describe(t, text, sizeof text);
    if (is_refused(t, &options)) {
        lstm__graph_release(model);
        if (status == LSTM_OK)
            fail_msg("%s: expected to be refused", text);
        refused++;
        return;
    }
    need(t, status);
    read_too(t, model, inputs[0], 2);
    read_ports(t, model, layer);
    const char *wrong = check_direction(model, &t->how);
    if (wrong[0])
        fail_msg("%s: %s", text, wrong);
    done++;
}

static void run_turn(try *t, int padding, int64_t steps)
{
    static const size_t batches[] = {5, 3, 4, 2};
    t->number++;
    t->profile = t->number / 2 % 2 ? LSTM_PROFILE_TORCH : LSTM_PROFILE_KERAS;
    t->how = (gradient_case){.padding = padding, .batch = batches[t->number % 4], .steps = steps};
    if (padding == PADDING_NONE && t->number % 7 == 0)
        t->how.batch = 1;
    run(t);
}

static void run_row(try *t)
{
    value values[MOST_VALUES];
    const size_t count = values_of(t->r, values);
    for (size_t k = 0; k < count; k++)
        for (int padding = 0; padding < PADDINGS; padding++)
            for (int64_t steps = 1; steps <= 5; steps++) {
                t->values[0] = &values[k];
                t->values[1] = &values[0];
                run_turn(t, padding, steps);
            }
    for (size_t k = 1; k < count; k++)
        for (size_t other = k + 1; other < count; other++)
            if (values[k].option != values[other].option) {
                t->values[0] = &values[k];
                t->values[1] = &values[other];
                run_turn(t, (int)((k + other) % PADDINGS), 1 + (int64_t)((k + 2 * other) % 5));
            }
}

/* ---- */

static void test_every_layer_of_the_library_has_a_row(void **state)
{
    (void)state;
    for (size_t k = 0; lstm__layer_classes[k]; k++) {
        bool found = false;
        for (size_t n = 0; n < sizeof rows / sizeof *rows; n++)
            found = found || rows[n].class == lstm__layer_classes[k];
        if (!found)
            fail_msg("layer %s has no row in this test", lstm__layer_classes[k]->type);
    }
}

static void test_every_layer_back_propagates_with_every_option_and_mask(void **state)
{
    try t = {.number = 0};
    (void)state;
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++)
        for (int feed = 1; feed <= NOTHING; feed *= 2) {
            if (!(rows[n].feeds & feed))
                continue;
            t.r = &rows[n];
            t.feed = feed;
            run_row(&t);
        }
    print_message("%zu cases of %zu rows agree, %zu more are refused as documented\n", done,
                  sizeof rows / sizeof *rows, refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_of_the_library_has_a_row),
        cmocka_unit_test(test_every_layer_back_propagates_with_every_option_and_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
