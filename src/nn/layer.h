/* SPDX-License-Identifier: MIT
 * What a layer is: a node of the graph with its options, shapes and parameters, and the class that
 * gives it meaning.
 *
 * A new layer is one file layer_<name>.c with one lstm__layer_class, and one row in layer_table.h.
 * Nothing else knows it: JSON reading and writing, summaries and parameter files work from the
 * class' option table.
 *
 * Inside the library sequences are time first: row (t * batch + b) of a tensor holds the features
 * of sample b at step t. A tensor may be a view with `stride` > features, so that a layer can hand
 * out a part of its tape without a copy.
 */
#ifndef LSTM_NN_LAYER_H
#define LSTM_NN_LAYER_H

#include "arena.h"
#include "kernels.h"
#include "layer_table.h"
#include "status.h"

#include <stdbool.h>

enum { LSTM__NAME_SIZE = 128, LSTM__PORTS = 3, LSTM__INPUTS = 64 /* most that a layer may read */ };

/* Shape of one sample. steps: 0 = a vector, > 0 = that many, -1 = any number (the call decides). */
typedef struct lstm__shape {
    int64_t steps;
    int64_t features;
} lstm__shape;

typedef struct lstm__view {
    real *data;
    size_t stride; /* elements from one row to the next */
} lstm__view;

/* States that a stateful layer keeps in a session from one call to the next. */
typedef struct lstm__carried {
    real *h, *c; /* [batch][units], [batch][cell_units]; c NULL = the layer has none */
    size_t units;
    size_t cell_units; /* of c: more than `units` where h is projected */
    size_t batch; /* samples whose states these are; 0 = none, the next call begins from zeros */
} lstm__carried;

typedef struct lstm__node lstm__node;
typedef struct lstm__layer_class lstm__layer_class;
typedef struct lstm__batch lstm__batch;             /* session.h */
typedef struct lstm__trace lstm__trace;             /* trace.h */
typedef struct lstm__cell_fields lstm__cell_fields; /* cell_steps.h */

/* What keeps a parameter small, see lstm_regularizer_options. */
enum {
    LSTM__PENALTY_KERNEL,
    LSTM__PENALTY_RECURRENT,
    LSTM__PENALTY_BIAS,
    LSTM__PENALTY_ACTIVITY, /* of the layer's output */
    LSTM__PENALTIES
};
typedef struct lstm__penalty {
    int32_t constraint; /* LSTM_CONSTRAINT_*, or 0 = none */
    double l1, l2, max_norm;
} lstm__penalty;

/* The public handle: one output (port) of a node. Port 0 is the layer itself; an LSTM has 1 = h and
 * 2 = c. */
struct lstm_layer {
    lstm__node *node;
    int port;
};

struct lstm__node {
    const lstm__layer_class *class;
    lstm_model *model;
    size_t index;
    char name[LSTM__NAME_SIZE];
    /* before the names of its parameters, where that is not the name; else "" */
    char stem[LSTM__NAME_SIZE];
    const char *suffix; /* behind them; NULL = nothing */
    bool bare;          /* PyTorch's names without a stem, as of one module alone */
    int number;         /* of a layer in a stack: the 1 of PyTorch's weight_ih_l1 */
    /* the class' option struct, defaults filled in, pointers of the caller cleared */
    void *options;
    int input_count;
    const lstm_layer **inputs; /* input_count of them, the node's own list */
    int port_count;
    lstm__shape shapes[LSTM__PORTS];
    lstm_layer ports[LSTM__PORTS];
    /* it or a layer before it has parameters, so gradients must come this far */
    bool learns;
    /* layers that read the port, plus 1 if it is an output of the model */
    int readers[LSTM__PORTS];
    size_t port_first;      /* number of port 0 among all ports of the model */
    size_t parameter_first; /* number of the first parameter among the model's */
    size_t parameter_count;
    double rate; /* factor of the learning rate; 0 = frozen */
    bool
        wrapped; /* described as the layer inside a TimeDistributed: counts for file formats only */
    lstm__penalty penalties[LSTM__PENALTIES];
    size_t value_first; /* where this node's parameter values begin in the model's block */
};

/* How an option looks in JSON and where it lies in the option struct. */
enum {
    LSTM__OPTION_END = 0,
    LSTM__OPTION_COUNT, /* int64_t > 0 */
    LSTM__OPTION_SIZE,  /* int64_t >= 0; 0 = what it is the size of is not there */
    LSTM__OPTION_FLAG,  /* int32_t LSTM_YES / LSTM_NO <-> true / false */
    /* int32_t constant of the name set `set`; Keras' {"class_name": …} objects are accepted */
    LSTM__OPTION_NAMED,
    LSTM__OPTION_RATE, /* float */
    LSTM__OPTION_SEED, /* uint64_t or null */
    LSTM__OPTION_ANY,  /* read and ignored: does not change the result here */
    /* a feature this version lacks: accepted only as null, false, 0 or the value `only` */
    LSTM__OPTION_FIXED
};
typedef struct lstm__option {
    const char *key;
    int kind;
    size_t offset;
    int32_t set;      /* LSTM_NAMES_* of LSTM__OPTION_NAMED */
    bool alias;       /* another name of an option above: read, never written */
    const char *only; /* of LSTM__OPTION_FIXED; may be NULL */
    bool rare;        /* written only where it is on, see lstm__option_is_on */
} lstm__option;

/* Rows of an option table. */
#define LSTM__OPTION(key, kind, offset)                         \
    {                                                           \
        key, LSTM__OPTION_##kind, offset, 0, false, NULL, false \
    }
#define LSTM__OPTION_OF(key, offset, set)                        \
    {                                                            \
        key, LSTM__OPTION_NAMED, offset, set, false, NULL, false \
    }
#define LSTM__RARE(key, kind, offset, set)                       \
    {                                                            \
        key, LSTM__OPTION_##kind, offset, set, false, NULL, true \
    }
/* The two numbers of the activation `member` of an option struct. */
#define LSTM__NUMBERS(key, type, member)                               \
    LSTM__RARE(key "_alpha", RATE, offsetof(type, member##_alpha), 0), \
        LSTM__RARE(key "_beta", RATE, offsetof(type, member##_beta), 0)
#define LSTM__ALIAS(key, kind, offset)                         \
    {                                                          \
        key, LSTM__OPTION_##kind, offset, 0, true, NULL, false \
    }
#define LSTM__IGNORED(key)                             \
    {                                                  \
        key, LSTM__OPTION_ANY, 0, 0, true, NULL, false \
    }
#define LSTM__FIXED(key, only)                           \
    {                                                    \
        key, LSTM__OPTION_FIXED, 0, 0, true, only, false \
    }
/* What Keras' and PyTorch's recurrent layers may say that has one value here, or none. */
#define LSTM__RECURRENT_FIXED_OPTIONS                                                      \
    LSTM__FIXED("bias_initializer", "zeros"), LSTM__FIXED("kernel_regularizer", NULL),     \
        LSTM__FIXED("recurrent_regularizer", NULL), LSTM__FIXED("bias_regularizer", NULL), \
        LSTM__FIXED("activity_regularizer", NULL), LSTM__FIXED("kernel_constraint", NULL), \
        LSTM__FIXED("recurrent_constraint", NULL), LSTM__FIXED("bias_constraint", NULL),   \
        LSTM__FIXED("time_major", NULL), LSTM__FIXED("num_layers", "1"),                   \
        LSTM__FIXED("bidirectional", NULL), LSTM__IGNORED("implementation"),               \
        LSTM__IGNORED("unroll"), LSTM__IGNORED("batch_first")

#define LSTM__OPTIONS_END                                \
    {                                                    \
        NULL, LSTM__OPTION_END, 0, 0, false, NULL, false \
    }

/* Whether an option of a layer has another value than 0, NO or the first of its names ("none"; an
 * activation: any). */
static inline bool lstm__option_is_on(const lstm__option *option, const void *options)
{
    const void *place = (const unsigned char *)options + option->offset;
    switch (option->kind) {
    case LSTM__OPTION_COUNT:
    case LSTM__OPTION_SIZE:
        return *(const int64_t *)place != 0;
    case LSTM__OPTION_FLAG:
        return *(const int32_t *)place == LSTM_YES;
    case LSTM__OPTION_NAMED: /* there is no activation "none" */
        return *(const int32_t *)place > (option->set == LSTM_NAMES_ACTIVATION ? 0 : 1);
    case LSTM__OPTION_RATE:
        return *(const float *)place != 0;
    case LSTM__OPTION_SEED:
        return *(const uint64_t *)place != 0;
    default:
        return false;
    }
}

/* One parameter array as users see it: a block of rows x columns in the model's values, perhaps
 * transposed. */
typedef struct lstm__parameter {
    char name[LSTM__NAME_SIZE + 32];
    lstm__node *node;
    size_t offset;        /* into the model's values */
    size_t rows, columns; /* as stored; rank 1 has rows 1 */
    int rank;
    /* as users see it: rows, columns, or columns, rows, or a split of them */
    int64_t shape[4];
    /* LSTM__PENALTY_*, or -1: whose entry of the node's penalties is this parameter's */
    int penalty;
    bool transposed;             /* users see columns x rows (PyTorch) */
    bool statistic;              /* not learned: lies behind the learned values, see graph.h */
    int32_t initializer;         /* LSTM_INITIALIZER_* */
    size_t fan_in, fan_out;      /* for the initialiser */
    size_t units;                /* for torch_uniform's bound */
    size_t one_first, one_count; /* these values get 1 added (unit forget bias) */
} lstm__parameter;

/* What becomes of the mask of a layer's first input. */
enum {
    LSTM__MASK_DROP = 0, /* the output has none: a vector, or steps that mean something else */
    /* step for step the same: the session hands it on to port 0 before forward */
    LSTM__MASK_KEEP,
    LSTM__MASK_OWN /* forward sets it */
};

struct lstm__layer_class {
    const char *type;      /* "LSTM" */
    const char *name_stem; /* "lstm": automatic names are lstm, lstm_1, … */
    size_t options_size;
    const lstm__option *options;
    int mask;         /* LSTM__MASK_* */
    int least_inputs; /* that it reads; 0 = 1 */
    int most_inputs;  /* 0 = 1 */
    /* treats every step alone and alike: TimeDistributed of it is itself */
    bool stepwise;
    size_t plan_size; /* of the struct that a session keeps for the node */

    /* Check options (defaults filled in here) and inputs; set port_count and shapes. The node has
     * name and inputs. */
    lstm_status (*define)(lstm__node *node);
    /* Declare parameters with lstm__graph_add_parameter, from node->value_first on. NULL = none. */
    lstm_status (*declare)(lstm__node *node);
    /* Write initial values other than an initialiser's, in place; not called where a file brings
     * them. NULL = none. */
    void (*initialize)(const lstm__node *node);
    /* Give back what the options own. NULL = nothing. */
    void (*release)(lstm__node *node);
    /* Lay out the node's buffers for the session's largest batch and steps: run twice, see arena.h.
     */
    void (*plan)(const lstm__node *node, lstm_session *session, void *plan, lstm__arena *arena);
    /* Read the input tensors, set the output tensors. */
    void (*forward)(const lstm__node *node, lstm_session *session, void *plan);
    /* Read the output gradients, write input gradients and parameter gradients. NULL = nothing to
     * do (inputs). */
    void (*backward)(const lstm__node *node, lstm_session *session, void *plan);
    /* Numbers of state that a sample of this node carries from call to call (h and c together);
     * `pieces`: in a session that runs sequences in pieces. NULL = none. */
    size_t (*carries)(const lstm__node *node, bool pieces);
    /* The states that this node carries; called only where it does. */
    lstm__carried *(*carried)(const lstm__node *node, void *plan);
    /* Whether a sequence may come in pieces, one call a piece: each step's output then follows from
     * that step and what is carried. NULL = where the layer is `stepwise`. */
    bool (*piecewise)(const lstm__node *node);
    /* What a trace LSTM_TRACE_… of the latest forward is; false = the layer has none, or the session
     * keeps none. NULL = no layer with traces. */
    bool (*trace)(const lstm__node *node, const lstm_session *session, const void *plan,
                  int32_t which, lstm__trace *found);
    /* Look at the arrays of a call before anything is computed, for values that the layer cannot
     * take. NULL = none. */
    lstm_status (*check)(const lstm__node *node, const lstm__batch *batch);
    /* Whether a step of the input layer that this layer reads, given as it came, is padding: so that
     * the samples of a batch can be put in order before anything runs. NULL = values tell nothing. */
    bool (*padding)(const lstm__node *node, const float *step);
    bool only_here; /* Keras has no such class */
    /* Of a cell on cell_steps.h: where its common options are. NULL = no such layer. */
    const lstm__cell_fields *cell;
    /* Of a layer whose output is rows of a table of values: how many rows the table has. NULL = no such
     * layer. */
    size_t (*table)(const lstm__node *node);
    /* Whether a session may hand it numbers of rows of a table as its first input, see row_tables.h.
     * NULL = never. */
    bool (*takes_table)(const lstm__node *node, const lstm_session *session);
    /* Whether every port is an output of the model where the layer is one. NULL = port 0 only. */
    bool (*returns_ports)(const lstm__node *node);
    /* Floating-point operations of one sample of `steps` steps (products only). NULL = none worth
     * counting. */
    double (*flops)(const lstm__node *node, int64_t steps);
};

/* For `piecewise`: wherever the layer stands. */
bool lstm__always_piecewise(const lstm__node *node);

/* Classes by type; the table ends with NULL. */
extern const lstm__layer_class *const lstm__layer_classes[];
#define LSTM__DECLARE_CLASS(name) extern const lstm__layer_class lstm__class_##name;
LSTM__LAYERS(LSTM__DECLARE_CLASS)
#undef LSTM__DECLARE_CLASS

#endif
