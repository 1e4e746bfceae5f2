/* SPDX-License-Identifier: MIT
 *
 * liblstm: train, run, save and load LSTM networks on CPUs, from C and from every language that can
 * call C.
 *
 * This header is the manual. It is the only public header; everything in it is stable: names,
 * values and layouts are only ever appended to. It compiles as C11 and as C++17.
 *
 * ---------------------------------------------------------------------------------------------------------------
 * 1. The tutorial network in fifteen lines
 * ---------------------------------------------------------------------------------------------------------------
 *
 *     #include <lstm/lstm.h>
 *     lstm_model *model;
 *     lstm_model_create(&model, NULL, NULL);
 *     lstm_model_add_input(model, &(lstm_input_options){sizeof(lstm_input_options), .steps = 28, .features = 1}, NULL);
 *     lstm_model_add_lstm (model, &(lstm_lstm_options){sizeof(lstm_lstm_options), .units = 32}, NULL, NULL);
 *     lstm_model_add_dense(model, &(lstm_dense_options){sizeof(lstm_dense_options), .units = 10}, NULL, NULL);
 *     lstm_model_build(model);
 *     lstm_data data = {sizeof data, .samples = n, .x = x, .x_count = n * 28, .y = y, .y_count = n * 10};
 *     lstm_fit(model, &(lstm_fit_options){sizeof(lstm_fit_options), .epochs = 10}, &data, NULL);
 *     lstm_predict(model, &data, out, n * 10);
 *     lstm_model_save(model, "model.lstm");
 *     lstm_model_destroy(model);
 *
 * Compile with `cc program.c $(pkg-config --cflags --libs lstm)`, or in CMake `find_package(LSTM)`
 * and `target_link_libraries(program LSTM::lstm)`.
 *
 * ---------------------------------------------------------------------------------------------------------------
 * 2. Rules that hold for every call
 * ---------------------------------------------------------------------------------------------------------------
 *
 * Status.      Every call that can fail returns an lstm_status: 0 is success, every error is negative.
 *              lstm_last_error() then gives, for this thread, one line that says what was wrong, where, what was
 *              expected and what was found. The library never prints, never exits, never aborts.
 * Failure.     A failed call changes nothing that the caller can see, unless its comment says otherwise. `create`
 *              and `load` calls write NULL to their first parameter when they fail.
 * Handles.     lstm_context, lstm_model, lstm_session, lstm_optimizer, lstm_history, lstm_primitive, lstm_ctc,
 *              lstm_sampler, lstm_archive and lstm_table belong to the caller, who ends each with its `destroy`, and
 *              lstm_files and lstm_arrow, which end with `close`. An lstm_layer belongs to its model and is never
 *              destroyed by the caller. Handles may be destroyed in any order (a session keeps what it needs of its
 *              model alive); `destroy(NULL)` does nothing.
 * Options.     An option struct begins with `struct_size`, which the caller sets to sizeof the struct. Every other
 *              member may be left 0 or NULL and then has its documented default; a NULL pointer to the whole struct
 *              means all defaults, where the comment allows it. A struct from an older header (shorter) is accepted;
 *              one from a newer header (longer) is accepted as long as the part unknown here is zero, and answers
 *              LSTM_ERROR_UNSUPPORTED otherwise. Constants start at 1, so 0 is always "the default".
 *              Flags are LSTM_YES (1) or LSTM_NO (2). Where 0 itself is a meaningful number but not the default
 *              (beta_1 = 0), a negative value means 0; the member's comment says so.
 * Arrays.      Numbers cross this interface as arrays of 32-bit floats with an explicit element count, which is
 *              compared with the count that the shapes demand: LSTM_ERROR_SHAPE names both. The caller's arrays are
 *              read or written only during the call, unless the comment says otherwise.
 * Layout.      A sequence array is [samples][steps][features] ("batch first", the default, as in Keras) or
 *              [steps][samples][features] ("time first", PyTorch's default); see lstm_data. The last index is
 *              contiguous. Shapes in comments leave out nothing: B = samples in the batch, T = steps, I = input
 *              features, H = units.
 * Threads.     A built model may be read by any number of sessions and predict/evaluate calls at the same time.
 *              Whatever changes the parameters (fit, optimizer step, set_parameter) needs the model to itself. Every
 *              other handle is used by one thread at a time. Different handles never interfere: there is no global
 *              state but the per-thread error text. Compute calls flush denormal numbers to zero while they run and
 *              restore the caller's floating-point mode when they return.
 * Results.     The same library file, instruction level, BLAS and seed give the same bits, whatever the number of
 *              threads in the context. Between instruction levels results agree to rounding (about 1e-6 relative).
 *
 * ---------------------------------------------------------------------------------------------------------------
 * 3. What stands where, in this order
 * ---------------------------------------------------------------------------------------------------------------
 *
 *     Version, Status, Constants        names of everything that can be chosen; lstm_constant_from_name
 *     Context                           threads, allocator, instruction level; NULL does for most programs
 *     Model                             layers, graph, parameters, notes, scalers, windows, files
 *     Data                              arrays, lengths and masks; sources: callbacks, files larger than memory, Arrow
 *     Optimizer                         rules, schedules, clipping, averages
 *     fit, evaluate, predict            the whole loop, checkpoints, learning-rate test, splits, history
 *     Session                           a loop of your own: forward, loss, backward, step; states, traces
 *     Primitive                         one LSTM layer on your own arrays
 *     CTC, Decoding, Metrics            label sequences, beam search, sampling, scores; on your own arrays
 *     Archive, Table, Linear algebra    .npy, .npz, .safetensors; CSV; least squares
 *
 * Three heights of use, each complete in itself: fit / evaluate / predict; sessions; the primitive.
 */
#ifndef LSTM_LSTM_H
#define LSTM_LSTM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the shared library exports. Define LSTM_STATIC when linking the static library on
 * Windows. */
#if defined(LSTM_BUILDING_SHARED) && defined(__GNUC__)
#define LSTM_API __attribute__((visibility("default")))
#else
#define LSTM_API
#endif

/* ===============================================================================================================
 * Version
 * ===============================================================================================================
 */

/* The version of this header. The library's own is lstm_version(): compare the two to detect a
 * mixed install. The major number changes when the ABI does, and the file name (liblstm.so.MAJOR)
 * with it. */
#define LSTM_VERSION_MAJOR 0
#define LSTM_VERSION_MINOR 1
#define LSTM_VERSION_PATCH 0
#define LSTM_VERSION (LSTM_VERSION_MAJOR * 10000 + LSTM_VERSION_MINOR * 100 + LSTM_VERSION_PATCH)

/* Return the library's version as major * 10000 + minor * 100 + patch. Threads: any. */
LSTM_API uint32_t lstm_version(void);

/* Return the library's version as text, "0.1.0". Threads: any. Ownership: static, never freed. */
LSTM_API const char *lstm_version_string(void);

/* ===============================================================================================================
 * Status
 * ===============================================================================================================
 */

/* 0 is success, negative values are errors. The values are pinned: new ones may appear in the gaps.
 */
typedef int32_t lstm_status;

/* Done. */
#define LSTM_OK ((lstm_status)0)
/* A parameter is NULL, out of its range or not one of its constants: correct the call. */
#define LSTM_ERROR_ARGUMENT ((lstm_status)-10)
/* An element count or a shape does not fit: the message names what was expected and what was given.
 */
#define LSTM_ERROR_SHAPE ((lstm_status)-20)
/* The call comes at the wrong time (a model built twice, backward before forward): correct the
 * order. */
#define LSTM_ERROR_STATE ((lstm_status)-30)
/* What was asked for exists but not in this version (a newer file, an option of a newer header). */
#define LSTM_ERROR_UNSUPPORTED ((lstm_status)-40)
/* The allocator returned NULL, or a size does not fit in memory: use a smaller batch, or free
 * something. */
#define LSTM_ERROR_MEMORY ((lstm_status)-50)
/* A file cannot be opened, read, written or renamed: the message holds the system's reason. */
#define LSTM_ERROR_IO ((lstm_status)-60)
/* A file or a description was read but its content is wrong: the message says where. */
#define LSTM_ERROR_FORMAT ((lstm_status)-70)
/* A number became NaN or infinite, or a matrix is singular: the message names the first place seen.
 */
#define LSTM_ERROR_NUMERIC ((lstm_status)-80)
/* The progress callback asked to stop. */
#define LSTM_ERROR_CANCELLED ((lstm_status)-90)
/* No layer, parameter, column, array or constant has this name: the message suggests the nearest
 * one. */
#define LSTM_ERROR_NOT_FOUND ((lstm_status)-100)
/* The system refused a thread, or a context with threads is used after fork(). */
#define LSTM_ERROR_THREAD ((lstm_status)-110)

/* Return the constant's name, "LSTM_ERROR_SHAPE"; "LSTM_ERROR_UNKNOWN" for a value that is none.
 * Threads: any. Ownership: static. */
LSTM_API const char *lstm_status_name(lstm_status status);

/* Return one sentence that says what the status means and what to do about it. Threads: any.
 * Ownership: static. */
LSTM_API const char *lstm_status_message(lstm_status status);

/* Return the text of this thread's latest error: what, where, expected, found. It stays until the
 * next failing call of this thread; successful calls leave it alone. Never NULL; "" before the
 * first error. Threads: each has its own. Ownership: the library; copy it to keep it. */
LSTM_API const char *lstm_last_error(void);

/* ===============================================================================================================
 * Constants
 * ===============================================================================================================
 */

#define LSTM_YES 1
#define LSTM_NO 2

/* Conventions. Keras and PyTorch disagree in more than twenty places (initialisers, optimizer
 * formulas and defaults, number of biases, parameter names and shapes). A profile sets all of them
 * together; each can still be set alone. */
#define LSTM_PROFILE_KERAS 1 /* the default */
#define LSTM_PROFILE_TORCH 2

/* Memory order of sequences in the caller's arrays. */
#define LSTM_LAYOUT_BATCH_FIRST 1 /* [samples][steps][features], the default */
#define LSTM_LAYOUT_TIME_FIRST 2  /* [steps][samples][features] */

/* Instruction levels. A context uses the highest one that both the CPU and the operating system
 * support. */
#define LSTM_ISA_GENERIC 1
#define LSTM_ISA_AVX2 2   /* AVX2 and FMA */
#define LSTM_ISA_AVX512 3 /* AVX-512 F, BW, DQ, VL */
#define LSTM_ISA_NEON 4   /* aarch64 */

/* Activations, applied to one value; softmax to the last axis. */
#define LSTM_ACTIVATION_LINEAR 1
#define LSTM_ACTIVATION_TANH 2
#define LSTM_ACTIVATION_SIGMOID 3
#define LSTM_ACTIVATION_RELU 4
#define LSTM_ACTIVATION_SOFTMAX 5
#define LSTM_ACTIVATION_ELU 6                  /* x for x > 0, exp(x) - 1 else */
#define LSTM_ACTIVATION_SOFTPLUS 7             /* log(1 + exp(x)) */
#define LSTM_ACTIVATION_SOFTSIGN 8             /* x / (1 + |x|) */
#define LSTM_ACTIVATION_EXPONENTIAL 9          /* exp(x) */
#define LSTM_ACTIVATION_HARD_SIGMOID 10        /* clip(x/6 + 1/2, 0, 1), Keras 3 and PyTorch */
#define LSTM_ACTIVATION_HARD_SIGMOID_KERAS2 11 /* clip(x/5 + 1/2, 0, 1), Keras 1 and 2 */

/* Some activations have numbers a and b of their own where an option struct has members …_alpha and
 * …_beta. Both 0, the default, is the function as above; else both count as they are:
 *
 *     LINEAR        a x + b                     a not 0                     ONNX' Affine
 *     TANH          a tanh(b x)                 neither 0                   ScaledTanh
 *     RELU          x for x > b, else a (x - b)  neither negative           LeakyRelu (b = 0),
 *                                                                           ThresholdedRelu (a = 0)
 *     ELU           x for x > 0, else a (exp(x) - 1)   a > 0, b = 0         Elu
 *     HARD_SIGMOID  clip(a x + b, 0, 1)         a not 0                     HardSigmoid
 *
 * Gradients follow from the values of the function, which is why some numbers are refused. */

/* Losses. `p` is the prediction, `y` the target. The loss of a batch is the mean over samples,
 * steps and (where the loss is per element) features. */
#define LSTM_LOSS_MSE 1   /* (p - y)^2 */
#define LSTM_LOSS_MAE 2   /* |p - y| */
#define LSTM_LOSS_HUBER 3 /* (p-y)^2 / 2 up to delta, delta |p-y| - delta^2 / 2 beyond */
#define LSTM_LOSS_BINARY_CROSSENTROPY 4      /* -y log p - (1-y) log(1-p), per element */
#define LSTM_LOSS_CATEGORICAL_CROSSENTROPY 5 /* -sum_k y_k log p_k, per row; y has the shape of p */
/* -log p_y, per row; y holds one class number a row */
#define LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY 6
#define LSTM_LOSS_MAPE 7     /* 100 |p - y| / max(|y|, 1e-7) */
#define LSTM_LOSS_MSLE 8     /* (log(1 + max(p, 1e-7)) - log(1 + max(y, 1e-7)))^2 */
#define LSTM_LOSS_LOG_COSH 9 /* log cosh(p - y) */
/* (1 - p_t)^gamma times the binary cross-entropy, p_t = y p + (1-y)(1-p) */
#define LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY 10
/* -alpha sum_k (1 - p_k)^gamma y_k log p_k, per row */
#define LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY 11
/* sum_k y_k log(y_k / p_k), per row; both limited to [1e-7, 1] */
#define LSTM_LOSS_KL_DIVERGENCE 12
#define LSTM_LOSS_POISSON 13           /* p - y log(p + 1e-7) */
#define LSTM_LOSS_COSINE_SIMILARITY 14 /* -p.y / (|p| |y|), per row: -1 is best */
#define LSTM_LOSS_HINGE 15 /* max(1 - y p, 0); y is -1 or 1, or 0 or 1 (in the whole batch) */
#define LSTM_LOSS_SQUARED_HINGE 16     /* its square */
#define LSTM_LOSS_CATEGORICAL_HINGE 17 /* max(max_k (1-y_k) p_k - sum_k y_k p_k + 1, 0), per row */
/* max(q (y-p), (q-1) (y-p)): p becomes the q-quantile (Koenker and Bassett 1978) */
#define LSTM_LOSS_QUANTILE 18
/* (s + (y - m)^2 exp(-s)) / 2: an output of 2 K features holds K means m, then K log variances s,
 * for K values y (Nix and Weigend 1994; PyTorch's GaussianNLLLoss with var = exp(s)). */
#define LSTM_LOSS_GAUSSIAN_NLL 19
/* Connectionist temporal classification (Graves et al. 2006): -log of the probability of a label
 * sequence, summed over all ways of writing it into the steps with blanks between labels and labels
 * repeated. Targets are lstm_data.labels. Outputs are logits of the classes, one of which is the
 * blank; a softmax layer is gone through; from_logits = LSTM_NO takes logarithms of probabilities
 * as they are (PyTorch's CTCLoss; the gradient is that of the logarithms). A sample without an
 * alignment (fewer steps than labels, and a blank between equal ones, need) has an infinite loss
 * and a gradient of NaN; lstm_fit refuses it and names it. */
#define LSTM_LOSS_CTC 20
/* A function of the caller: lstm_loss_options.custom. */
#define LSTM_LOSS_CUSTOM 21

/* What the loss of a batch is: the sum over rows of weight * loss (a row is a sample, or a step of
 * one; per-element losses are the mean over the row's features), divided by */
/* the number of rows (Keras' sum_over_batch_size): weights are not in the divisor */
#define LSTM_REDUCTION_MEAN 1
#define LSTM_REDUCTION_SUM 2 /* nothing */
/* the sum of the weights: steps of weight 0 do not count at all */
#define LSTM_REDUCTION_WEIGHTED_MEAN 3
/* CTC alone: the number of samples, each loss being divided by the number of its labels first (of
 * none: by 1). PyTorch's "mean" of CTCLoss; Keras' is LSTM_REDUCTION_MEAN. */
#define LSTM_REDUCTION_MEAN_PER_LABEL 4

/* Metrics, computed beside the loss. */
/* sparse, categorical or binary (threshold 1/2; 0 for logits), chosen by the loss */
#define LSTM_METRIC_ACCURACY 1
#define LSTM_METRIC_MAE 2  /* mean absolute error */
#define LSTM_METRIC_RMSE 3 /* root of the mean squared error over all elements of all batches */
#define LSTM_METRIC_MSE 4
/* CTC: edit distance of the greedily decoded outputs to the labels, divided by the number of labels,
 * over all samples. (Accuracy with CTC: the part of samples without any error.) */
#define LSTM_METRIC_LABEL_ERROR_RATE 5
/* Of each class, then the mean over classes (scikit-learn's "macro"; classes that are neither in the
 * targets nor predicted are left out); of an output of one feature that of class 1. Thresholds as
 * for accuracy; several features of a binary loss are a class each. F1 = 2 right / (predicted +
 * actual). 0 where nothing was predicted or is there */
#define LSTM_METRIC_PRECISION 6
#define LSTM_METRIC_RECALL 7
#define LSTM_METRIC_F1 8
/* the same from the counts of all classes together ("micro"; Keras' Precision and Recall) */
#define LSTM_METRIC_PRECISION_MICRO 9
#define LSTM_METRIC_RECALL_MICRO 10
#define LSTM_METRIC_F1_MICRO 11
#define LSTM_METRIC_TOP_5_ACCURACY 12 /* the right class is among the five most likely */
/* exp of the mean cross-entropy, and the mean in bits; of the categorical cross-entropies */
#define LSTM_METRIC_PERPLEXITY 13
#define LSTM_METRIC_BITS_PER_CHARACTER 14

/* Optimizers. */
#define LSTM_OPTIMIZER_SGD 1
#define LSTM_OPTIMIZER_RMSPROP 2
#define LSTM_OPTIMIZER_ADAM 3
#define LSTM_OPTIMIZER_ADAMW 4
#define LSTM_OPTIMIZER_ADAGRAD 5
#define LSTM_OPTIMIZER_ADADELTA 6
#define LSTM_OPTIMIZER_ADAMAX 7
#define LSTM_OPTIMIZER_NADAM 8
#define LSTM_OPTIMIZER_RADAM 9
#define LSTM_OPTIMIZER_LION 10
/* for small models: keeps 2 * history_size copies of the parameters */
#define LSTM_OPTIMIZER_LBFGS 11

/* Learning rates over the updates t = 0, 1, ... (lstm_schedule_options). */
#define LSTM_SCHEDULE_CONSTANT 1
#define LSTM_SCHEDULE_STEP 2        /* rate * factor^floor(t / steps) */
#define LSTM_SCHEDULE_EXPONENTIAL 3 /* rate * factor^(t / steps) */
#define LSTM_SCHEDULE_COSINE 4      /* down to alpha * rate in `steps` updates, and stays there */
/* the same again and again, each `t_mul` times as long (Loshchilov and Hutter 2017) */
#define LSTM_SCHEDULE_COSINE_RESTARTS 5
/* up to rate and down to almost 0 in `steps` updates (Smith and Topin 2018) */
#define LSTM_SCHEDULE_ONE_CYCLE 6
/* times `factor` when the watched loss has not become better for `patience` epochs */
#define LSTM_SCHEDULE_PLATEAU 7
#define LSTM_SCHEDULE_CALLBACK 8 /* a function of the caller */

/* What a parameter array is kept to, after each update. Norms are those of the columns of (I, 4H)
 * or (I, units), each the weights that come into one unit or gate. */
#define LSTM_CONSTRAINT_NONE 1
#define LSTM_CONSTRAINT_MAX_NORM 2 /* at most max_norm */
#define LSTM_CONSTRAINT_UNIT_NORM 3
#define LSTM_CONSTRAINT_NON_NEGATIVE 4

/* Initialisers. */
#define LSTM_INITIALIZER_GLOROT_UNIFORM 1 /* U(-l, l), l = sqrt(6 / (fan_in + fan_out)) */
/* QR of a normal matrix, signs made unique (Saxe et al. 2013) */
#define LSTM_INITIALIZER_ORTHOGONAL 2
#define LSTM_INITIALIZER_ZEROS 3
#define LSTM_INITIALIZER_ONES 4
/* U(-k, k), k = 1/sqrt(units) in recurrent layers, 1/sqrt(fan_in) in Dense */
#define LSTM_INITIALIZER_TORCH_UNIFORM 5

#define LSTM_INITIALIZER_RANDOM_UNIFORM 6 /* U(-0.05, 0.05), Keras' Embedding */
#define LSTM_INITIALIZER_RANDOM_NORMAL 7  /* N(0, 1), PyTorch's Embedding */

/* What Conv1D and the pooling layers do at the ends of a sequence of T steps, for a window of K
 * steps: valid: nothing, (T - K) / strides + 1 outputs; same: ceil(T / strides) outputs, with zeros
 * (pooling: nothing) around the sequence, one more behind than before if they are odd; causal: as
 * many, all the zeros before, so that no output depends on a later step (Conv1D only). */
#define LSTM_PADDING_VALID 1
#define LSTM_PADDING_SAME 2
#define LSTM_PADDING_CAUSAL 3

/* How Attention compares a query q with a key k. */
#define LSTM_SCORE_DOT 1    /* sum(q k) */
#define LSTM_SCORE_CONCAT 2 /* sum(tanh(q + k)) */
/* Which gate of an LSTM follows from which. */
#define LSTM_COUPLING_NONE 1
#define LSTM_COUPLING_FORGET 2 /* f = 1 - i (Greff et al. 2015; ONNX' input_forget) */
#define LSTM_COUPLING_INPUT 3  /* i = 1 - f (TensorFlow Lite's CIFG) */

/* What an LSTM normalises, N(a) = (a - mean) / sqrt(variance + epsilon) over the H numbers of a
 * gate or of c, or over all 4H of the gates: four published cells that share a name.
 *   BA        a = gx N4H(x W) + gh N4H(h U) + b;  h' = o tanh(gc N(c') + bc); c' is carried as it is
 *             (the paper of Ba et al. 2016; Haste)
 *   FASTRNNS  the same, but gc N(c') + bc is also what is carried (PyTorch's fastrnns; TF Addons)
 *   TFLITE    a = g NH(x W + h U) + b, each gate alone; c' not normalised (TensorFlow Lite)
 *   TF        the same, and gc N(c') + bc is carried (TensorFlow 1's LayerNormBasicLSTMCell)
 * Parameters: BA, FASTRNNS: kernel_gamma, recurrent_gamma (4H); TFLITE, TF: gate_gamma (4H); all but
 * TFLITE: cell_gamma, cell_beta (H). b is the bias. */
#define LSTM_LAYER_NORM_NONE 1
#define LSTM_LAYER_NORM_BA 2
#define LSTM_LAYER_NORM_FASTRNNS 3
#define LSTM_LAYER_NORM_TFLITE 4
#define LSTM_LAYER_NORM_TF 5
/* How Bidirectional merges its two outputs. */
#define LSTM_MERGE_CONCAT 1 /* features side by side, forward first */
#define LSTM_MERGE_SUM 2
#define LSTM_MERGE_MUL 3
#define LSTM_MERGE_AVE 4
#define LSTM_MERGE_NONE 5 /* two outputs */

/* Gates and states of a recurrent layer, step by step, and the weights of attention
 * (lstm_session_trace). */
#define LSTM_TRACE_INPUT_GATE 1  /* i of an LSTM */
#define LSTM_TRACE_FORGET_GATE 2 /* f */
#define LSTM_TRACE_CANDIDATE 3   /* g, of a GRU too */
#define LSTM_TRACE_OUTPUT_GATE 4 /* o */
#define LSTM_TRACE_CELL 5        /* c */
#define LSTM_TRACE_OUTPUT 6      /* h of any recurrent layer */
#define LSTM_TRACE_RESET_GATE 7  /* r of a GRU */
#define LSTM_TRACE_UPDATE_GATE 8 /* z of a GRU */
#define LSTM_TRACE_ATTENTION 9

/* The sets of constants that have names in files, on the command line and in messages. */
#define LSTM_NAMES_PROFILE 1
#define LSTM_NAMES_ISA 2
#define LSTM_NAMES_ACTIVATION 3
#define LSTM_NAMES_LOSS 4
#define LSTM_NAMES_METRIC 5
#define LSTM_NAMES_OPTIMIZER 6
#define LSTM_NAMES_INITIALIZER 7
#define LSTM_NAMES_SCHEDULE 8
#define LSTM_NAMES_REDUCTION 9
#define LSTM_NAMES_CONSTRAINT 10
#define LSTM_NAMES_PADDING 20
#define LSTM_NAMES_SCORE 21
#define LSTM_NAMES_MERGE 30
#define LSTM_NAMES_TRACE 31
#define LSTM_NAMES_COUPLING 32
#define LSTM_NAMES_LAYER_NORM 33

/* Find a constant by its name, as Keras writes it: ("mse" and "mean_squared_error", "adam",
 * "hard_sigmoid", "avx2"). Upper and lower case are the same.
 *   set    [in]  one of LSTM_NAMES_*
 *   name   [in]  the name; not NULL
 *   value  [out] the constant; unchanged on failure
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (NULL or no such set), LSTM_ERROR_NOT_FOUND (the message
 * suggests the nearest). Threads: any. */
LSTM_API lstm_status lstm_constant_from_name(int32_t set, const char *name, int32_t *value);

/* Return the preferred name of a constant, or NULL if the set or the value is unknown. Threads:
 * any. Ownership: static. */
LSTM_API const char *lstm_constant_name(int32_t set, int32_t value);

/* ===============================================================================================================
 * Context
 *
 * Where memory comes from, how many threads may work, which instruction level is used and where log
 * lines go. NULL stands for a context with every default, wherever a context is asked for.
 *
 * Ownership: the caller's; models keep a context alive as long as they need it.
 * Threads:   a context may be used by several threads at once; the calls that use its worker threads take turns.
 * =============================================================================================================== */

typedef struct lstm_context lstm_context;

typedef struct lstm_context_options {
    uint32_t struct_size;
    /* Threads that may work on one call, the caller's included: 0 or 1 = only the caller's, and no
     * thread is ever created; -1 = one for each CPU this process may use; at most 256. */
    int32_t threads;
    /* Highest instruction level to use, LSTM_ISA_*; 0 = no limit. The environment variable
     * LSTM_MAX_ISA (generic, avx2, avx512, neon) does the same. Both only lower what the CPU has.
     */
    int32_t max_isa;
    /* Threads of the BLAS library: 0 = leave it as it is (the default); n >= 1 = set it. This is a
     * process-wide setting of OpenBLAS, so only a program's owner should use it. Ignored where the
     * BLAS is another one. */
    int32_t blas_threads;
    /* Memory. Both or neither. `allocate` returns `bytes` bytes aligned to `alignment` (a power of
     * two), or NULL. `release` gets what `allocate` returned, never NULL. Default: aligned_alloc
     * and free. */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *allocator_user;
    /* The caller's own thread pool instead of ours: run task(argument, k) for every k in [0,
     * count), in any order, on any thread, and return when all are done. NULL = the context's own
     * threads. */
    void (*run)(void *user, void (*task)(void *argument, int32_t index), void *argument,
                int32_t count);
    void *run_user;
    /* Called with one line of text (no newline) for things worth knowing that are no errors; from
     * any thread that uses the context. NULL = silence. */
    void (*log)(void *user, const char *line);
    void *log_user;
} lstm_context_options;

/* Create a context.
 *   out      [out] the context, or NULL on failure
 *   options  [in]  NULL = every default
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY,
 * LSTM_ERROR_THREAD. */
LSTM_API lstm_status lstm_context_create(lstm_context **out, const lstm_context_options *options);

/* End a context: its threads stop once no model uses it any more. NULL is fine. */
LSTM_API void lstm_context_destroy(lstm_context *context);

/* Return the number of threads that may work on one call (>= 1). NULL gives 1. */
LSTM_API int32_t lstm_context_threads(const lstm_context *context);

/* Return the instruction level in use, LSTM_ISA_*. NULL gives the default context's. */
LSTM_API int32_t lstm_context_isa(const lstm_context *context);

/* Return the name of the CPU kernel set of the BLAS in use ("SkylakeX"), or "unknown". Ownership:
 * static. */
LSTM_API const char *lstm_context_blas(const lstm_context *context);

/* ===============================================================================================================
 * Model: a graph of layers with its parameters
 *
 * Layers are added in the order in which data flows; each names the layer it reads, and NULL means
 * the layer added last, so a plain stack needs no names at all. lstm_model_build() then checks
 * every shape, allocates the parameters and fills them from the seed. After that the graph is
 * fixed; parameters may still change.
 *
 * Ownership: the model is the caller's; its layers are the model's.
 * Threads:   building: one thread. Built: any number of readers, or one writer of the parameters.
 * =============================================================================================================== */

typedef struct lstm_model lstm_model;
typedef struct lstm_layer lstm_layer;

typedef struct lstm_model_options {
    uint32_t struct_size;
    /* LSTM_PROFILE_*: conventions of names, initialisers and biases; default Keras' */
    int32_t profile;
    /* of the initial parameters; two models with equal seeds and layers are equal. Default 0 */
    uint64_t seed;
} lstm_model_options;

/* Create an empty model.
 *   out      [out] the model, or NULL on failure
 *   context  [in]  NULL = defaults; kept alive by the model
 *   options  [in]  NULL = defaults
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_create(lstm_model **out, lstm_context *context,
                                       const lstm_model_options *options);

/* Destroy a model. Sessions and optimizers made from it stay usable; its layers do not. NULL is
 * fine. */
LSTM_API void lstm_model_destroy(lstm_model *model);

/* ---- Layers. Each add call:
 *   model    [in]  not yet built
 *   options  [in]  the layer's options; NULL only where every member has a default
 *   input    [in]  the layer to read, of the same model; NULL = the layer added last
 *   out      [out] the new layer; NULL = not wanted
 * and returns LSTM_OK, LSTM_ERROR_ARGUMENT (an option is out of range, the name is taken, the layer
 * is another model's, no layer to read), LSTM_ERROR_STATE (already built), LSTM_ERROR_SHAPE (the
 * input's shape does not suit the layer), LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. A failed add
 * leaves the model as it was.
 *
 * `name` must be unique in the model; NULL = Keras' automatic name ("lstm", "lstm_1", "dense"). At
 * most 127 bytes. */

/* An input of the network: a sequence (features given) of a fixed or free number of steps, or a
 * vector. */
typedef struct lstm_input_options {
    uint32_t struct_size;
    int32_t vector;   /* LSTM_YES: one vector a sample, no time axis. Default: a sequence */
    int64_t features; /* > 0 */
    int64_t steps;    /* of a sequence: > 0, or 0 = each call brings its own number */
    const char *name;
} lstm_input_options;
LSTM_API lstm_status lstm_model_add_input(lstm_model *model, const lstm_input_options *options,
                                          lstm_layer **out);

/* A long short-term memory layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et
 * al. 2000):
 *
 *     i = sigmoid(x Wi + h Ui + bi)     f = sigmoid(x Wf + h Uf + bf)
 *     g = tanh   (x Wg + h Ug + bg)     o = sigmoid(x Wo + h Uo + bo)
 *     c' = f * c + i * g                h' = o * tanh(c')
 *
 * It holds one matrix of (H + I) rows by 4H columns: first the H rows that multiply h, then the I
 * rows that multiply x; columns i, f, g, o. Parameters are read and written under the profile's
 * names and shapes (lstm_parameter_info). Reads a sequence [B][T][I]; gives the last output [B][H]
 * or, with return_sequences, all of them [B][T][H]. */
typedef struct lstm_lstm_options {
    uint32_t struct_size;
    int32_t return_sequences; /* LSTM_YES: every step's output. Default LSTM_NO */
    int64_t units;            /* H > 0 */
    /* LSTM_YES: read the sequence from its end; outputs come in that order, as in Keras */
    int32_t go_backwards;
    int32_t use_bias; /* default LSTM_YES */
    /* add 1 to the initial forget bias. Default: YES for the Keras profile, NO for PyTorch's */
    int32_t unit_forget_bias;
    /* of the x rows. Default: glorot_uniform over (I, 4H), or torch_uniform */
    int32_t kernel_initializer;
    /* of the h rows. Default: orthogonal over (H, 4H), or torch_uniform */
    int32_t recurrent_initializer;
    /* LSTM_YES: the last h and c become outputs of the model too, when this layer is one */
    int32_t return_state;
    const lstm_layer *initial_h; /* a layer [B][H] to start from; NULL = zeros. Both or neither */
    const lstm_layer *initial_c;
    /* or another LSTM layer of H units, whose last h and c are taken */
    const lstm_layer *initial_state;
    const char *name;
    /* What return_sequences gives at steps that a mask or a length leaves out. LSTM_NO: the output
     * before is repeated, zeros before the first one (Keras, the default); LSTM_YES: zeros
     * (PyTorch's default). h and c are held in both cases, and the last output is that of the last
     * step that is there. See docs/sequences.md. */
    int32_t zero_output_for_mask;
    /* of g, and of c' unless output_activation says another: LSTM_ACTIVATION_*, not softmax;
     * default tanh */
    int32_t activation;
    /* of i, f and o; default sigmoid. Others than the defaults leave the fastest path */
    int32_t recurrent_activation;
    /* LSTM_YES: in a session every call begins with the h and c that the call before ended with
     * (Keras' stateful); gradients do not go into the call before. See lstm_session_reset_states */
    int32_t stateful;
    /* ---- Variants, all off by default, in any combination but those refused below. Equations and
     * sources are in docs/layers.md. */
    /* LSTM_COUPLING_*: one gate from the other. The columns of the gate that follows stay in the
     * kernels and are not used */
    int32_t coupled_gates;
    /* P > 0: h is projected, h' = (o tanh(c')) W, from H to P < H numbers, which is what recurrent
     * weights and readers see (PyTorch's proj_size, Sak et al. 2014); an initial h has P numbers.
     * Parameter projection_kernel (H, P), or weight_hr_l0 (P, H) behind the biases */
    int64_t proj_size;
    /* > 0: the projected h is limited to this size (TensorFlow's proj_clip) */
    float proj_clip;
    /* LSTM_YES: i and f see c, o sees c' (Gers and Schmidhuber 2000). Parameter peephole_kernel (3,
     * H), rows i, f, o, initially zeros, or weight_ch_l0. (ONNX orders them i, o, f.) */
    int32_t peepholes;
    /* > 0: sums are limited to this size before the activations of i, f, g, o (ONNX' clip, as ONNX
     * Runtime does it) */
    float gate_clip;
    /* > 0: c' is limited to this size and carried so (TensorFlow's cell_clip); with layer_norm before it is
     * normalised */
    float cell_clip;
    /* 0 to 1: chance that a number of h, of c, is held from the step before while training; else
     * the mean of both possibilities (zoneout, Krueger et al. 2016) */
    float zoneout_h;
    float zoneout_c;
    /* LSTM_LAYER_NORM_*; of these only _TF has peepholes too (i and f see the c carried, o the new
     * one; TensorFlow's LayerNormLSTMCell): no definition of the others with them is published, but
     * TensorFlow Lite's, which adds them before each gate's normalisation */
    int32_t layer_norm;
    /* added to variances. Default 1e-5; negative = 0 */
    float layer_norm_epsilon;
    /* Each 0 <= rate < 1, while training; what stays is divided by 1 - rate. Masks depend only on
     * the seed, the layer, the update and the place, not on threads.
     * Of x: one mask of (B, I) for all steps and gates (Keras' dropout) */
    float dropout;
    /* of h(t-1) where it enters the gates: four masks of (B, H) for all steps (Keras'); with
     * layer_norm one mask for all gates (TensorFlow Addons') */
    float recurrent_dropout;
    /* of the values of the recurrent kernel, one mask for an update (AWD-LSTM's weight drop) */
    float recurrent_dropconnect;
    uint64_t seed; /* of these and of zoneout. Default 0: the model's seed and the layer's place */
    /* LSTM_ACTIVATION_*, not softmax: what c' goes through where it becomes h', h' = o act(c').
     * Default 0: `activation` and its numbers (ONNX' LSTM has three activations) */
    int32_t output_activation;
    /* numbers of the three activations, see LSTM_ACTIVATION_LINEAR and those that follow it.
     * Default 0 */
    float activation_alpha;
    float activation_beta;
    float recurrent_activation_alpha;
    float recurrent_activation_beta;
    float output_activation_alpha; /* only with output_activation */
    float output_activation_beta;
    int32_t reserved; /* 0 */
} lstm_lstm_options;
LSTM_API lstm_status lstm_model_add_lstm(lstm_model *model, const lstm_lstm_options *options,
                                         const lstm_layer *input, lstm_layer **out);

/* y = activation(x W + b), on a vector [B][I] or on each step of a sequence [B][T][I]. */
typedef struct lstm_dense_options {
    uint32_t struct_size;
    int32_t activation;         /* LSTM_ACTIVATION_*; default linear */
    int64_t units;              /* > 0 */
    int32_t use_bias;           /* default LSTM_YES */
    int32_t kernel_initializer; /* default glorot_uniform, or torch_uniform */
    const char *name;
} lstm_dense_options;
LSTM_API lstm_status lstm_model_add_dense(lstm_model *model, const lstm_dense_options *options,
                                          const lstm_layer *input, lstm_layer **out);

/* While training, set each value to zero with probability `rate` and divide the others by 1 - rate
 * (inverted dropout, Srivastava et al. 2014); nothing otherwise. The mask depends only on the seed,
 * the layer, the update and the place, not on threads. */
typedef struct lstm_dropout_options {
    uint32_t struct_size;
    float rate;    /* 0 <= rate < 1 */
    uint64_t seed; /* default 0: taken from the model's seed and the layer's place */
    const char *name;
} lstm_dropout_options;
LSTM_API lstm_status lstm_model_add_dropout(lstm_model *model, const lstm_dropout_options *options,
                                            const lstm_layer *input, lstm_layer **out);

/* An activation on its own. */
typedef struct lstm_activation_options {
    uint32_t struct_size;
    int32_t activation; /* LSTM_ACTIVATION_*; default linear */
    const char *name;
    float alpha; /* numbers of the activation, see LSTM_ACTIVATION_LINEAR … Default 0 */
    float beta;
} lstm_activation_options;
LSTM_API lstm_status lstm_model_add_activation(lstm_model *model,
                                               const lstm_activation_options *options,
                                               const lstm_layer *input, lstm_layer **out);

/* Repeat a vector [B][F] for `count` steps: [B][count][F]. */
typedef struct lstm_repeat_vector_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    int64_t count;    /* > 0 */
    const char *name;
} lstm_repeat_vector_options;
LSTM_API lstm_status lstm_model_add_repeat_vector(lstm_model *model,
                                                  const lstm_repeat_vector_options *options,
                                                  const lstm_layer *input, lstm_layer **out);

/* Give the values of a sample another shape, in the same order: a sequence of a fixed number of
 * steps to a vector (Flatten: steps = 0), or anything of steps * features values to a sequence. */
typedef struct lstm_reshape_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    int64_t steps;    /* > 0: a sequence; 0: a vector */
    int64_t features; /* > 0, or 0 = whatever is left */
    const char *name;
} lstm_reshape_options;
LSTM_API lstm_status lstm_model_add_reshape(lstm_model *model, const lstm_reshape_options *options,
                                            const lstm_layer *input, lstm_layer **out);
/* Reshape to one vector; `options` as above with only `name`, or NULL. */
LSTM_API lstm_status lstm_model_add_flatten(lstm_model *model, const lstm_reshape_options *options,
                                            const lstm_layer *input, lstm_layer **out);

/* ---- Other recurrent cells
 *
 * Steps that the sequence's mask leaves out hold the state and repeat the output of the step
 * before, as in Keras, or give zeros with zero_output_for_mask. */

/* A gated recurrent unit (Cho et al. 2014):
 *
 *     z = sigmoid(x Wz + h Uz + bz)     r = sigmoid(x Wr + h Ur + br)
 *     reset_after:   g = tanh(x Wg + bg + r * (h Ug + cg))      (Keras' default, PyTorch, cuDNN)
 *     otherwise:     g = tanh(x Wg + bg + (r * h) Ug)           (Cho's paper)
 *     h' = z * h + (1 - z) * g
 *
 * Parameters under the Keras profile: kernel (I, 3H), recurrent_kernel (H, 3H), columns z, r, g;
 * bias (2, 3H) with reset_after (of x, then of h), else (3H). Under PyTorch's: weight_ih_l0 (3H,
 * I), weight_hh_l0 (3H, H), bias_ih_l0 and bias_hh_l0 (3H), rows r, z, g; reset_after only. Reads a
 * sequence [B][T][I]; gives [B][H] or [B][T][H]. */
typedef struct lstm_gru_options {
    uint32_t struct_size;
    int32_t return_sequences; /* LSTM_YES: every step's output. Default LSTM_NO */
    int64_t units;            /* H > 0 */
    int32_t go_backwards;     /* as in lstm_lstm_options */
    int32_t use_bias;         /* default LSTM_YES */
    int32_t reset_after;      /* default LSTM_YES */
    /* LSTM_YES: the last h becomes an output of the model too, when this layer is one */
    int32_t return_state;
    int32_t kernel_initializer;    /* default glorot_uniform over (I, 3H), or torch_uniform */
    int32_t recurrent_initializer; /* default orthogonal over (H, 3H), or torch_uniform */
    const lstm_layer *initial_h;   /* a layer [B][H] to start from; NULL = zeros */
    const char *name;
    int32_t zero_output_for_mask; /* as in lstm_lstm_options */
    int32_t stateful;             /* as in lstm_lstm_options; gradients stay in the call */
    int32_t activation;           /* of g: LSTM_ACTIVATION_*, not softmax; default tanh */
    int32_t recurrent_activation; /* of z and r; default sigmoid */
    /* as in lstm_lstm_options; recurrent_dropout has three masks */
    float dropout;
    float recurrent_dropout;
    uint64_t seed;
    float activation_alpha; /* as in lstm_lstm_options */
    float activation_beta;
    float recurrent_activation_alpha;
    float recurrent_activation_beta;
} lstm_gru_options;
LSTM_API lstm_status lstm_model_add_gru(lstm_model *model, const lstm_gru_options *options,
                                        const lstm_layer *input, lstm_layer **out);

/* The plain recurrent layer of Elman (1990): h' = activation(x W + h U + b). Parameters as a GRU's
 * with H columns; under PyTorch's profile two biases. */
typedef struct lstm_simple_rnn_options {
    uint32_t struct_size;
    int32_t return_sequences; /* LSTM_YES: every step's output. Default LSTM_NO */
    int64_t units;            /* H > 0 */
    int32_t activation;       /* any but softmax; default tanh */
    int32_t go_backwards;     /* as in lstm_lstm_options */
    int32_t use_bias;         /* default LSTM_YES */
    /* LSTM_YES: the last h becomes an output of the model too, when this layer is one */
    int32_t return_state;
    int32_t kernel_initializer;    /* default glorot_uniform, or torch_uniform */
    int32_t recurrent_initializer; /* default orthogonal, or torch_uniform */
    const lstm_layer *initial_h;   /* a layer [B][H] to start from; NULL = zeros */
    const char *name;
    int32_t zero_output_for_mask; /* as in lstm_lstm_options */
    int32_t stateful;             /* as in lstm_lstm_options; gradients stay in the call */
    /* as in lstm_lstm_options; recurrent_dropout has one mask */
    float dropout;
    float recurrent_dropout;
    uint64_t seed;
    float activation_alpha; /* as in lstm_lstm_options */
    float activation_beta;
} lstm_simple_rnn_options;
LSTM_API lstm_status lstm_model_add_simple_rnn(lstm_model *model,
                                               const lstm_simple_rnn_options *options,
                                               const lstm_layer *input, lstm_layer **out);

/* ---- Layers that read several others, of one shape: element by element, or side by side
 *
 *   options  [in]  NULL = no name
 *   inputs   [in]  `count` layers of this model, 2 to 64 (subtract: 2)
 * A step that one input's mask leaves out is left out of the result. LSTM_ERROR_SHAPE names both
 * layers and shapes. */
typedef struct lstm_combine_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    const char *name;
} lstm_combine_options;
/* Sum of the inputs (Keras' Add; a residual connection), the first minus the second, product, mean,
 * largest. */
LSTM_API lstm_status lstm_model_add_sum(lstm_model *model, const lstm_combine_options *options,
                                        const lstm_layer *const *inputs, size_t count,
                                        lstm_layer **out);
LSTM_API lstm_status lstm_model_add_difference(lstm_model *model,
                                               const lstm_combine_options *options,
                                               const lstm_layer *const *inputs, size_t count,
                                               lstm_layer **out);
LSTM_API lstm_status lstm_model_add_product(lstm_model *model, const lstm_combine_options *options,
                                            const lstm_layer *const *inputs, size_t count,
                                            lstm_layer **out);
LSTM_API lstm_status lstm_model_add_average(lstm_model *model, const lstm_combine_options *options,
                                            const lstm_layer *const *inputs, size_t count,
                                            lstm_layer **out);
LSTM_API lstm_status lstm_model_add_maximum(lstm_model *model, const lstm_combine_options *options,
                                            const lstm_layer *const *inputs, size_t count,
                                            lstm_layer **out);
/* Features one behind the other: [B][T][F1 + F2 + ...]; numbers of features may differ. */
LSTM_API lstm_status lstm_model_add_concatenate(lstm_model *model,
                                                const lstm_combine_options *options,
                                                const lstm_layer *const *inputs, size_t count,
                                                lstm_layer **out);

/* ---- Normalisation */

/* Each row alone: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta over the features (Ba et
 * al. 2016). Parameters: gamma, beta (PyTorch: weight, bias), where wanted. */
typedef struct lstm_layer_normalization_options {
    uint32_t struct_size;
    int32_t center; /* beta; default LSTM_YES */
    int32_t scale;  /* gamma; default LSTM_YES */
    float epsilon;  /* default 1e-3 (PyTorch's profile: 1e-5); negative = 0 */
    const char *name;
} lstm_layer_normalization_options;
LSTM_API lstm_status lstm_model_add_layer_normalization(
    lstm_model *model, const lstm_layer_normalization_options *options, const lstm_layer *input,
    lstm_layer **out);

/* Each feature over all samples and valid steps of the batch (Ioffe and Szegedy 2015). While
 * training with the batch's mean and variance, which also move moving_mean and moving_variance at
 * each optimizer step; otherwise with those. Keras: moving = momentum moving + (1 - momentum)
 * batch, momentum 0.99, epsilon 1e-3. PyTorch: moving = (1 - momentum) moving + momentum batch,
 * variance with the divisor n - 1, momentum 0.1, epsilon 1e-5, names weight, bias, running_mean,
 * running_var. */
typedef struct lstm_batch_normalization_options {
    uint32_t struct_size;
    int32_t center; /* beta; default LSTM_YES */
    int32_t scale;  /* gamma; default LSTM_YES */
    float epsilon;  /* default of the profile; negative = 0 */
    float momentum; /* default of the profile; negative = 0 */
    /* LSTM_YES: use the moving statistics while training too, and leave them as they are */
    int32_t fixed_statistics;
    const char *name;
} lstm_batch_normalization_options;
LSTM_API lstm_status lstm_model_add_batch_normalization(
    lstm_model *model, const lstm_batch_normalization_options *options, const lstm_layer *input,
    lstm_layer **out);

/* ---- Embedding and pooling */

/* Row number x of a table [V][F] for each token x: whole numbers from 0 to V - 1, given as floats.
 * Reads an input layer: a vector of T tokens, or a sequence of one feature; gives [B][T][F]. A
 * number that is none, or outside, is refused by the call that brings the data (LSTM_ERROR_ARGUMENT
 * names sample, step and value). Parameter: embeddings (PyTorch: weight). */
typedef struct lstm_embedding_options {
    uint32_t struct_size;
    /* LSTM_YES: token 0 is padding, and layers behind leave its steps out. Default LSTM_NO */
    int32_t mask_zero;
    int64_t input_dim;  /* V > 0 */
    int64_t output_dim; /* F > 0 */
    /* default random_uniform, or random_normal under PyTorch's profile */
    int32_t embeddings_initializer;
    int32_t reserved; /* 0 */
    const char *name;
} lstm_embedding_options;
LSTM_API lstm_status lstm_model_add_embedding(lstm_model *model,
                                              const lstm_embedding_options *options,
                                              const lstm_layer *input, lstm_layer **out);

/* From a sequence [B][T][F] to one vector [B][F]: mean / largest / last of the valid steps; zeros
 * where there is none. `options` may be NULL. */
typedef struct lstm_global_pooling_options {
    uint32_t struct_size;
    /* LSTM_YES: padding counts like any other step, as in Keras' GlobalMaxPooling1D. Default
     * LSTM_NO */
    int32_t ignore_mask;
    const char *name;
} lstm_global_pooling_options;
LSTM_API lstm_status
lstm_model_add_global_average_pooling(lstm_model *model, const lstm_global_pooling_options *options,
                                      const lstm_layer *input, lstm_layer **out);
LSTM_API lstm_status lstm_model_add_global_max_pooling(lstm_model *model,
                                                       const lstm_global_pooling_options *options,
                                                       const lstm_layer *input, lstm_layer **out);
LSTM_API lstm_status lstm_model_add_last_step(lstm_model *model,
                                              const lstm_global_pooling_options *options,
                                              const lstm_layer *input, lstm_layer **out);

/* Turn a sequence round in time, y(t) = x(T - 1 - t), and its mask with it: behind a layer with
 * go_backwards the outputs are in the order of the input again. `options` may be NULL. */
LSTM_API lstm_status lstm_model_add_reverse(lstm_model *model, const lstm_combine_options *options,
                                            const lstm_layer *input, lstm_layer **out);

/* Largest / mean of windows of `pool_size` steps; the sequence must have a fixed number of steps.
 * The mean of a window at an end counts the steps inside only, as in Keras. The result has no mask.
 */
typedef struct lstm_pooling_options {
    uint32_t struct_size;
    int32_t padding;   /* LSTM_PADDING_VALID (default) or _SAME */
    int64_t pool_size; /* default 2 */
    int64_t strides;   /* default pool_size */
    const char *name;
} lstm_pooling_options;
LSTM_API lstm_status lstm_model_add_max_pooling(lstm_model *model,
                                                const lstm_pooling_options *options,
                                                const lstm_layer *input, lstm_layer **out);
LSTM_API lstm_status lstm_model_add_average_pooling(lstm_model *model,
                                                    const lstm_pooling_options *options,
                                                    const lstm_layer *input, lstm_layer **out);

/* y(t) = activation(b + sum over k of x(t strides + k dilation - padding) W(k)): a convolution over
 * time. The sequence has a fixed number of steps, or strides are 1 and padding is same or causal.
 * Parameters: kernel (K, F, filters), bias; PyTorch: weight (filters, F, K), bias. Steps that the
 * mask leaves out count as zeros, like those outside the sequence, so that padding changes nothing;
 * the mask is kept where the number of steps is, else dropped. */
typedef struct lstm_conv1d_options {
    uint32_t struct_size;
    int32_t padding;            /* default LSTM_PADDING_VALID */
    int64_t filters;            /* > 0 */
    int64_t kernel_size;        /* K > 0 */
    int64_t strides;            /* default 1 */
    int64_t dilation_rate;      /* default 1 */
    int32_t activation;         /* default linear */
    int32_t use_bias;           /* default LSTM_YES */
    int32_t kernel_initializer; /* default glorot_uniform, or torch_uniform */
    /* LSTM_YES: padding is read like any other step and the mask ends here, as in Keras. Default
     * LSTM_NO */
    int32_t ignore_mask;
    const char *name;
} lstm_conv1d_options;
LSTM_API lstm_status lstm_model_add_conv1d(lstm_model *model, const lstm_conv1d_options *options,
                                           const lstm_layer *input, lstm_layer **out);

/* ---- Attention
 *
 *   inputs  [in]  `count` = 2: query [B][T][D] and value [B][S][D], which is the key too; 3: query, value, key
 *   out     [out] [B][T][features of value]
 * For each query: weights = softmax over the S keys of score(query, key); output = sum of weights *
 * value. Keys that the value's mask leaves out get weight 0, as do all keys for a query that its
 * mask leaves out. `causal`: query t sees the keys from 0 to t. */

/* Luong's (dot) attention; Bahdanau's is additive attention. */
typedef struct lstm_attention_options {
    uint32_t struct_size;
    /* dot: scores times one learned number, `scale`. Additive: sum(scale * tanh(q + k)) with a
     * learned vector. Default LSTM_NO; additive: LSTM_YES */
    int32_t use_scale;
    /* LSTM_SCORE_*; default dot. Not for additive attention. Concat has a learned factor,
     * concat_score_weight */
    int32_t score_mode;
    int32_t causal; /* default LSTM_NO */
    const char *name;
} lstm_attention_options;
LSTM_API lstm_status lstm_model_add_attention(lstm_model *model,
                                              const lstm_attention_options *options,
                                              const lstm_layer *const *inputs, size_t count,
                                              lstm_layer **out);
LSTM_API lstm_status lstm_model_add_additive_attention(lstm_model *model,
                                                       const lstm_attention_options *options,
                                                       const lstm_layer *const *inputs,
                                                       size_t count, lstm_layer **out);

/* Scaled dot-product attention of several heads (Vaswani et al. 2017): queries, keys and values go
 * through a Dense layer for each head, scores are divided by sqrt(key_dim), the heads' outputs side
 * by side go through a last Dense layer to the features of the query. Parameters in Keras' order
 * and shapes: query/kernel (D, N, K), query/bias (N, K), key/..., value/...,
 * attention_output/kernel (N, V, D), attention_output/bias (D). */
typedef struct lstm_multi_head_attention_options {
    uint32_t struct_size;
    int32_t use_bias;           /* default LSTM_YES */
    int64_t num_heads;          /* N > 0 */
    int64_t key_dim;            /* K > 0, of one head */
    int64_t value_dim;          /* V; default key_dim */
    int32_t causal;             /* default LSTM_NO */
    int32_t kernel_initializer; /* default glorot_uniform */
    const char *name;
} lstm_multi_head_attention_options;
LSTM_API lstm_status lstm_model_add_multi_head_attention(
    lstm_model *model, const lstm_multi_head_attention_options *options,
    const lstm_layer *const *inputs, size_t count, lstm_layer **out);

/* ---- Noise while training, nothing otherwise */

/* Dropout of whole features: one draw a sample and feature, the same for all steps. */
LSTM_API lstm_status lstm_model_add_spatial_dropout(lstm_model *model,
                                                    const lstm_dropout_options *options,
                                                    const lstm_layer *input, lstm_layer **out);

/* Multiply by normal numbers with mean 1 and variance rate / (1 - rate) (Srivastava et al. 2014). */
LSTM_API lstm_status lstm_model_add_gaussian_dropout(lstm_model *model,
                                                     const lstm_dropout_options *options,
                                                     const lstm_layer *input, lstm_layer **out);

/* Dropout for SELU networks (Klambauer et al. 2017): dropped values become -1.758, and all are
 * scaled and shifted so that mean 0 and variance 1 stay. */
LSTM_API lstm_status lstm_model_add_alpha_dropout(lstm_model *model,
                                                  const lstm_dropout_options *options,
                                                  const lstm_layer *input, lstm_layer **out);

/* Add normal numbers with mean 0. */
typedef struct lstm_gaussian_noise_options {
    uint32_t struct_size;
    float stddev;  /* >= 0 */
    uint64_t seed; /* as in lstm_dropout_options */
    const char *name;
} lstm_gaussian_noise_options;
LSTM_API lstm_status lstm_model_add_gaussian_noise(lstm_model *model,
                                                   const lstm_gaussian_noise_options *options,
                                                   const lstm_layer *input, lstm_layer **out);
/* Mask every step all of whose features equal mask_value (a sequence padded with a value that data
 * never has), and make its values zeros. Layers behind it then skip these steps; see
 * docs/sequences.md. */
typedef struct lstm_masking_options {
    uint32_t struct_size;
    float mask_value; /* finite; default 0 */
    const char *name;
} lstm_masking_options;
LSTM_API lstm_status lstm_model_add_masking(lstm_model *model, const lstm_masking_options *options,
                                            const lstm_layer *input, lstm_layer **out);

/* Learned values, the same for every sample: a vector [B][features] whose values are a parameter
 * (NAME/values, NAME.values). Two of them as initial_h and initial_c make a trainable initial
 * state. Reads its input for its place in the graph only. */
typedef struct lstm_learned_vector_options {
    uint32_t struct_size;
    int32_t initializer; /* LSTM_INITIALIZER_*; default zeros */
    int64_t features;    /* > 0 */
    const char *name;
} lstm_learned_vector_options;
LSTM_API lstm_status lstm_model_add_learned_vector(lstm_model *model,
                                                   const lstm_learned_vector_options *options,
                                                   const lstm_layer *input, lstm_layer **out);

/* Read a sequence in both directions and merge the outputs, those of the backward layer turned
 * round in time. Two recurrent layers do the work: two new LSTM layers NAME/forward_lstm and
 * NAME/backward_lstm with the options `lstm`, or two layers of any recurrent kind that are there
 * already, the second with go_backwards. Where sequences are returned, the outputs of masked steps
 * are zeros (zero_output_for_mask of both layers is set). Under the PyTorch profile the parameters
 * are called NAME.weight_ih_l0 … and NAME.weight_ih_l0_reverse … `input` is what the new layers
 * read; it is not looked at with forward and backward. */
typedef struct lstm_bidirectional_options {
    uint32_t struct_size;
    int32_t merge_mode;            /* LSTM_MERGE_*; default concat */
    const lstm_lstm_options *lstm; /* of both new layers; without go_backwards and initial states */
    const lstm_layer *forward;     /* or instead: two layers of the model */
    const lstm_layer *backward;
    const char *name; /* at most 95 bytes */
} lstm_bidirectional_options;
LSTM_API lstm_status lstm_model_add_bidirectional(lstm_model *model,
                                                  const lstm_bidirectional_options *options,
                                                  const lstm_layer *input, lstm_layer **out);

/* The parts of a Bidirectional layer.
 *   forward, backward  [out] its two recurrent layers (lstm_layer_state gives their last states); NULL = not wanted
 *   backward_output    [out] with LSTM_MERGE_NONE the backward layer's output in the order of time
 *                      (the layer itself is the
 *                      forward one's); NULL = not wanted
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (no Bidirectional layer, or one that merges). Ownership: the
 * model's. */
LSTM_API lstm_status lstm_bidirectional_parts(const lstm_layer *layer, lstm_layer **forward,
                                              lstm_layer **backward, lstm_layer **backward_output);

/* The further outputs of an LSTM layer, as layers that others can read: the last hidden state h
 * [B][H] and the last cell state c [B][H].
 *   layer  [in]  an LSTM layer; of a GRU or SimpleRNN there is h only, and c must be NULL
 *   h, c   [out] NULL = not wanted
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (not a recurrent layer). Ownership: the model's. */
LSTM_API lstm_status lstm_layer_state(const lstm_layer *layer, lstm_layer **h, lstm_layer **c);

/* Penalty and constraint of one parameter of a layer. Both are part of the model's description. */
typedef struct lstm_regularizer_options {
    uint32_t struct_size;
    int32_t constraint; /* LSTM_CONSTRAINT_*; default none */
    /* add l1 * sum |w| + l2 * sum w^2 to the loss (Keras' L1, L2, L1L2); >= 0, default 0 */
    double l1, l2;
    double max_norm; /* of LSTM_CONSTRAINT_MAX_NORM: > 0, default 2 (Keras') */
} lstm_regularizer_options;

/* Regularise a layer's "kernel" (weights of its input), "recurrent_kernel" or "bias", at any time; or
 * its "activity": l1 sum |y| + l2 sum y^2 over its output y, divided by the samples of the batch,
 * without the steps that a mask leaves out (Keras' activity_regularizer; no constraint). What a
 * layer returns as states is not part of it.
 *   options  [in] NULL = nothing any more
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_NOT_FOUND (no such parameter name),
 * LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_layer_set_regularizer(lstm_layer *layer, const char *parameter,
                                                const lstm_regularizer_options *options);

/* Multiply the learning rate of a layer's parameters by `factor` >= 0; 0 freezes them: they are not
 * updated, decayed or constrained, and do not count in a global norm. Part of the model's
 * description. Default 1. Returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API lstm_status lstm_layer_set_rate(lstm_layer *layer, double factor);

/* Return that factor. NULL gives 0. */
LSTM_API double lstm_layer_rate(const lstm_layer *layer);

/* Choose which layers are the model's outputs, in this order. Without this call they are the layers
 * that no other layer reads, in the order added (an LSTM with return_state gives three: output, h,
 * c).
 *   layers  [in] `count` layers of this model (h and c layers included), count > 0
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (already built), LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_set_outputs(lstm_model *model, const lstm_layer *const *layers,
                                            size_t count);

/* Check the graph, allocate the parameters and initialise them from the seed. Every layer must lead to
 * an output: one that no other reads and that is not among the chosen outputs is refused by name, as
 * its parameters would be saved and decayed without ever being used (a Keras Model has no such layers
 * either). Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (already built, no layers, a layer
 * that leads nowhere), LSTM_ERROR_MEMORY (also for sizes that overflow), LSTM_ERROR_NUMERIC. After a
 * failure the model can still be changed and built again. */
LSTM_API lstm_status lstm_model_build(lstm_model *model);

/* Return LSTM_YES once lstm_model_build has succeeded, LSTM_NO before. NULL gives LSTM_NO. */
LSTM_API int32_t lstm_model_is_built(const lstm_model *model);

/* Return the profile, LSTM_PROFILE_*. NULL gives 0. */
LSTM_API int32_t lstm_model_profile(const lstm_model *model);

/* ---- Looking at the graph */

/* Return the number of layers, inputs included. NULL gives 0. */
LSTM_API size_t lstm_model_layer_count(const lstm_model *model);

/* Return layer `index` in the order added, or NULL. Ownership: the model's. */
LSTM_API lstm_layer *lstm_model_layer(const lstm_model *model, size_t index);

/* ---- Layers of your own: callbacks between the library's layers
 *
 * A type is a struct of functions; the same functions serve every layer of that type, in any number
 * of models and sessions. Arrays are time first: row (t * batch + b) holds the features of sample b
 * at step t, or row b where steps is 0. Callbacks run on the thread that called the library, with
 * denormals flushed to zero; they must not allocate through the library nor call it on the same
 * session. docs/custom.md has an example. */

/* Steps as in lstm_layer_shape: 0 = a vector, -1 = any number (only in definitions). */
typedef struct lstm_custom_shape {
    int64_t steps;
    int64_t features;
} lstm_custom_shape;

#define LSTM_CUSTOM_PARAMETERS 8

/* A parameter array of the layer: LAYER/name under Keras' profile, LAYER.name under PyTorch's. */
typedef struct lstm_custom_parameter {
    char name[32]; /* letters, digits and _ */
    int32_t rank;  /* 1 to 4 */
    /* LSTM_INITIALIZER_*, with fans of the last axis and the product of the others; default zeros */
    int32_t initializer;
    int64_t shape[4];
    /* or the values themselves, row-major, which must stay until lstm_model_build; NULL = none */
    const float *initial;
} lstm_custom_parameter;

/* What the `define` callback reads and fills in. */
typedef struct lstm_custom_definition {
    uint32_t struct_size;            /* set by the library */
    int32_t reserved;                /* 0 */
    const lstm_custom_shape *inputs; /* what the layer reads */
    size_t input_count;
    lstm_custom_shape output; /* what it gives; on entry the first input's shape */
    size_t parameter_count;   /* on entry 0; at most LSTM_CUSTOM_PARAMETERS */
    lstm_custom_parameter parameters[LSTM_CUSTOM_PARAMETERS];
    /* floats to keep from forward to backward, for each row of the output; on entry 0 */
    int64_t memory;
} lstm_custom_definition;

typedef struct lstm_custom_tensor {
    lstm_custom_shape shape; /* of this call */
    const uint8_t *mask;     /* [steps][batch], 0 = the step is not there; NULL = all are */
    float *values;           /* inputs: to be read only */
    /* backward. Output: given, to be read only. Inputs: zero on entry; NULL = not wanted */
    float *gradient;
} lstm_custom_tensor;

typedef struct lstm_custom_pass {
    uint32_t struct_size; /* set by the library */
    int32_t training;     /* LSTM_YES or LSTM_NO */
    int64_t batch;
    const lstm_custom_tensor *inputs;
    size_t input_count;
    lstm_custom_tensor output;
    const float *const *parameters;    /* in the order of the definition */
    float *const *parameter_gradients; /* backward: zero on entry; else NULL */
    float *memory;                     /* [rows of the output][memory] */
} lstm_custom_pass;

typedef struct lstm_custom_layer {
    uint32_t struct_size;
    /* LSTM_YES: the output at a step follows from that step alone, so that sequences may come in
     * pieces (tbptt_k1). Default LSTM_NO */
    int32_t stepwise;
    const char *type; /* its name in descriptions and files: 1 to 63 letters, digits and _ */
    /* Check what is read, and say what is given and which parameters there are. Any other status
     * than LSTM_OK refuses the inputs. NULL = the first input's shape, no parameters */
    lstm_status (*define)(void *user, lstm_custom_definition *definition);
    void (*forward)(void *user, const lstm_custom_pass *pass);
    /* NULL = no gradient goes through it (then it has no parameters) */
    void (*backward)(void *user, const lstm_custom_pass *pass);
    void *user; /* must live as long as models that use it */
    /* LSTM_YES: the mask of the first input ends here. Default LSTM_NO: where the output has as many
     * steps it is handed on */
    int32_t drop_mask;
    int32_t reserved; /* 0 */
} lstm_custom_layer;

/* Add a layer of your own.
 *   layer   [in]  its type; copied
 *   name    [in]  of the layer; NULL = automatic ("my_layer" for the type MyLayer)
 *   inputs  [in]  `count` layers to read, at most 64; count 0 = the layer added last
 * Returns as other add calls, and LSTM_ERROR_ARGUMENT for a type that the library has itself. A
 * model with such layers is saved with the type's name; whoever loads it registers the type first.
 * Formats of other systems refuse it by name. */
LSTM_API lstm_status lstm_model_add_custom(lstm_model *model, const lstm_custom_layer *layer,
                                           const char *name, const lstm_layer *const *inputs,
                                           size_t count, lstm_layer **out);

/* Let descriptions and files that are read with this context name a type of your own; a type
 * registered again is replaced. The struct is copied. Not while other threads use the context.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (context is NULL; a type that cannot be), LSTM_ERROR_MEMORY.
 */
LSTM_API lstm_status lstm_context_register_layer(lstm_context *context,
                                                 const lstm_custom_layer *layer);

/* Find a layer by its name. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_NOT_FOUND (suggests
 * the nearest name; *out is NULL). */
LSTM_API lstm_status lstm_model_find_layer(const lstm_model *model, const char *name,
                                           lstm_layer **out);

/* Return the number of inputs / outputs of the model. Outputs are known once the model is built (0
 * before). */
LSTM_API size_t lstm_model_input_count(const lstm_model *model);
LSTM_API size_t lstm_model_output_count(const lstm_model *model);

/* Return the layer that is input / output `index`, or NULL. Ownership: the model's. */
LSTM_API lstm_layer *lstm_model_input(const lstm_model *model, size_t index);
LSTM_API lstm_layer *lstm_model_output(const lstm_model *model, size_t index);

/* Return a layer's name / type ("Input", "LSTM", "Dense", ...), or NULL for NULL. Ownership: the
 * model's / static. */
LSTM_API const char *lstm_layer_name(const lstm_layer *layer);
LSTM_API const char *lstm_layer_type(const lstm_layer *layer);

/* Tell the shape of one sample of a layer's output.
 *   steps     [out] steps of a sequence, 0 = a vector, -1 = a sequence of any number of steps; may be NULL
 *   features  [out] may be NULL
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API lstm_status lstm_layer_shape(const lstm_layer *layer, int64_t *steps, int64_t *features);

/* Return the multiply-and-add work of one forward pass of this layer over one sample of `steps`
 * steps, in floating- point operations (a multiplication and an addition are two). Of the whole
 * model with layer = NULL. */
LSTM_API double lstm_model_flops(const lstm_model *model, const lstm_layer *layer, int64_t steps);

/* ---- Parameters, in the profile's order, names and shapes
 *
 * Keras:   NAME/kernel (I, 4H), NAME/recurrent_kernel (H, 4H), NAME/bias (4H); gates i, f, c(=g), o.
 *          Dense: NAME/kernel (I, units), NAME/bias (units).
 * PyTorch: NAME.weight_ih_l0 (4H, I), NAME.weight_hh_l0 (4H, H), NAME.bias_ih_l0 (4H),
 * NAME.bias_hh_l0 (4H).
 *          Dense: NAME.weight (units, I), NAME.bias (units).
 * Arrays are row-major in the shape given, whatever the memory layout inside the library. */

typedef struct lstm_parameter_info {
    uint32_t struct_size;    /* [in] set it before the call */
    int32_t rank;            /* 1 to 4 */
    int64_t shape[4];        /* rows, columns, ...; unused entries are 0 */
    size_t count;            /* number of values */
    const char *name;        /* "lstm/kernel". Ownership: the model's */
    const lstm_layer *layer; /* whose it is. Ownership: the model's */
    /* LSTM_NO: a statistic that training collects (a moving mean), not learned by gradients; its
     * "gradient" is what the next optimizer step takes off it */
    int32_t trainable;
} lstm_parameter_info;

/* Return the number of parameters (arrays) of a built model; 0 before or for NULL. */
LSTM_API size_t lstm_model_parameter_count(const lstm_model *model);

/* Return the number of values in all parameters together. */
LSTM_API size_t lstm_model_parameter_total(const lstm_model *model);

/* Describe parameter `index`. Returns LSTM_OK, LSTM_ERROR_ARGUMENT (index), LSTM_ERROR_STATE (not
 * built), LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_model_parameter_info(const lstm_model *model, size_t index,
                                               lstm_parameter_info *info);

/* Find a parameter's index by its name. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE,
 * LSTM_ERROR_NOT_FOUND (suggests the nearest name). */
LSTM_API lstm_status lstm_model_find_parameter(const lstm_model *model, const char *name,
                                               size_t *index);

/* Copy parameter `index` out of / into the model. `count` must be the parameter's count. Returns
 * LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_SHAPE (count); set also
 * LSTM_ERROR_NUMERIC if a value is NaN or infinite (nothing is changed then). */
LSTM_API lstm_status lstm_model_get_parameter(const lstm_model *model, size_t index, float *values,
                                              size_t count);
LSTM_API lstm_status lstm_model_set_parameter(lstm_model *model, size_t index, const float *values,
                                              size_t count);

/* ---- Notes and scalers that travel in the model's file */

/* Store a text under a key (both UTF-8, NUL-terminated; the key at most 127 bytes), or remove it
 * with text = NULL. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_set_metadata(lstm_model *model, const char *key, const char *text);

/* Return the text stored under a key, or NULL. Ownership: the model's, until the next set of the
 * same key. */
LSTM_API const char *lstm_model_metadata(const lstm_model *model, const char *key);

#define LSTM_SCALING_STANDARD 1
#define LSTM_SCALING_MIN_MAX 2
#define LSTM_SCALING_ROBUST 3

#define LSTM_SCALER_INPUT 1  /* columns of the first input's features */
#define LSTM_SCALER_TARGET 2 /* columns of the first output's features */

/* Remember how the caller scaled its data: network value = (raw value - offset) / scale, column by
 * column. The library stores this with the model but does not apply it: lstm_scaler_apply and
 * lstm_scaler_invert do.
 *   which    [in] LSTM_SCALER_*
 *   columns  [in] 0 removes the scaler; else offset and scale hold `columns` values, scale finite and not 0
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_NUMERIC, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_set_scaler(lstm_model *model, int32_t which, size_t columns,
                                           const double *offset, const double *scale);

/* Read a stored scaler.
 *   columns        [out] its number of columns, 0 = none stored
 *   offset, scale  [out] `capacity` values each, or NULL to ask only for the number
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE (capacity < columns). */
LSTM_API lstm_status lstm_model_get_scaler(const lstm_model *model, int32_t which, size_t *columns,
                                           double *offset, double *scale, size_t capacity);

/* Mean and standard deviation (population, as scikit-learn's StandardScaler) of each column of x
 * [rows][columns]. A constant column gets scale 1. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_NUMERIC (a value is NaN or infinite: the row and column). */
LSTM_API lstm_status lstm_scaler_fit(const double *x, size_t rows, size_t columns, double *offset,
                                     double *scale);

/* The same with a choice of rule, column by column; a column whose scale would be 0 gets scale 1:
 *   LSTM_SCALING_STANDARD  mean, standard deviation (population)        (scikit-learn's StandardScaler)
 *   LSTM_SCALING_MIN_MAX   smallest, largest - smallest: to [0, 1]      (MinMaxScaler)
 *   LSTM_SCALING_ROBUST    median, third - first quartile, between neighbours by parts (RobustScaler)
 * Returns as lstm_scaler_fit, and LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_scaler_fit_as(int32_t scaling, const double *x, size_t rows,
                                        size_t columns, double *offset, double *scale);

/* y = (x - offset) / scale, and its inverse x = y * scale + offset, row by row: [rows][columns].
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API lstm_status lstm_scaler_apply(const double *x, size_t rows, size_t columns,
                                       const double *offset, const double *scale, float *y);
LSTM_API lstm_status lstm_scaler_invert(const float *y, size_t rows, size_t columns,
                                        const double *offset, const double *scale, double *x);

/* ---- Windows over a series: what a forecast is trained on */

typedef struct lstm_window_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    int64_t window;   /* rows that are read, > 0 */
    int64_t horizon;  /* rows that are predicted, behind them; default 1 */
    int64_t gap;      /* rows between the two; default 0 */
    int64_t stride;   /* rows from the beginning of one window to that of the next; default 1 */
    const size_t *targets; /* the columns that are predicted; NULL = all */
    size_t target_count;
} lstm_window_options;

/* Return how many windows a series of `rows` rows has: 0 where none fits, -1 for options out of
 * range (lstm_last_error says which). */
LSTM_API int64_t lstm_window_count(const lstm_window_options *options, size_t rows);

/* Cut a series [rows][columns] into windows; sample k reads the rows from k * stride on.
 *   x  [out] [windows][window][columns]; x_count says how many values it holds
 *   y  [out] [windows][horizon][targets]; NULL = not wanted
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE (a count). */
LSTM_API lstm_status lstm_window_make(const lstm_window_options *options, const float *series,
                                      size_t rows, size_t columns, float *x, size_t x_count,
                                      float *y, size_t y_count);

/* ---- Description, file */

/* Build a model from a JSON description (docs/model-json.md): ours, {"profile": "keras", "layers":
 * [{"type": "LSTM", "units": 32}, ...]}, or what Keras' model.to_json() writes. The model is built,
 * with parameters from its seed.
 *   text, length  [in] UTF-8; need not end in NUL
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_FORMAT (line and column, or layer and key),
 * LSTM_ERROR_NOT_FOUND (an unknown layer type or option, with the nearest), LSTM_ERROR_UNSUPPORTED,
 * LSTM_ERROR_SHAPE, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_from_json(lstm_model **out, lstm_context *context, const char *text,
                                          size_t length);

/* Write the description of a built model as JSON.
 *   buffer    [out] receives the text with its NUL; may be NULL if capacity is 0
 *   capacity  [in]  bytes in buffer
 *   length    [out] bytes of the text without its NUL; may be NULL
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_SHAPE (capacity
 * too small: length says what is needed), LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_to_json(const lstm_model *model, char *buffer, size_t capacity,
                                        size_t *length);

/* Save a built model: a safetensors file with parameters, description, metadata, scalers and a
 * self-test (a small input and its output). The file is written under a temporary name beside
 * `path` and renamed when complete, so an existing file stays whole if anything fails. Returns
 * LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_IO, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_save(const lstm_model *model, const char *path);

/* Load a model, recognised by its content: our own file; a JSON description; a file of Keras 1 to 3
 * (.keras, .h5) or ONNX whose layers this version has; a state dict of PyTorch (.pt, .pth, safetensors) that
 * says by its names and shapes what it is: an nn.LSTM, nn.GRU or nn.RNN, alone or in a row with
 * others; its metadata "lstm.layout" is then "time_first" (docs/interchange.md); a checkpoint, which
 * gives the model with weights, scalers and metadata as they were when it was written (lstm_fit's
 * checkpoint_best: the best epoch's). The self-test of our own model files is run: a network that
 * does not reproduce its stored output is refused. Of a file of Keras every
 * weight is used and every parameter filled; the optimizer's state is not read, which a log line
 * says. No file, however damaged, is read outside its bounds, nor can it ask for more parameters
 * than it holds. A file of 16 MiB and more is mapped: do not cut it off in place meanwhile, but
 * rename a new one over it, as lstm_model_save does. The self-test's memory stays with the model for
 * its first session. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_IO, LSTM_ERROR_FORMAT,
 * LSTM_ERROR_NOT_FOUND, LSTM_ERROR_UNSUPPORTED (newer file; weights without a description),
 * LSTM_ERROR_SHAPE, LSTM_ERROR_NUMERIC (self-test or NaN), LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_load(lstm_model **out, lstm_context *context, const char *path);

/* Fill the parameters of a built model from a file, recognised by its content: weights of Keras
 * (.weights.h5, .h5, .keras; the model must have the Keras profile) are matched by the layers'
 * names if all of them are there, else by the order of the layers, as Keras does; safetensors (also
 * our own files), and state dicts of PyTorch (.pt, .pth; the model must have its profile), by the
 * parameters' names, which may differ by a prefix ("module."). Every weight must be used and every parameter filled;
 * anything else is an error that names file, tensor, shape expected and shape found. Scalers,
 * metadata and the optimizer's state are left alone. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_STATE (not built), LSTM_ERROR_IO, LSTM_ERROR_FORMAT, LSTM_ERROR_NOT_FOUND,
 * LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_SHAPE, LSTM_ERROR_NUMERIC (NaN or infinite),
 * LSTM_ERROR_MEMORY. Threads: needs the model to itself. */
LSTM_API lstm_status lstm_model_load_weights(lstm_model *model, const char *path);

/* Write a built model for others, in the format of the path's suffix: .keras (description and
 * weights) and .weights.h5 (weights alone, for model.load_weights of the same network) for Keras 3;
 * .h5 (description and weights as Keras 2 writes them; Keras 3 opens it too, but for first states that
 * are other layers' and MultiHeadAttention);
 * .pt or .pth, a state dict that PyTorch's torch.load(weights_only=True) opens; .onnx (opset 17; the
 * batch is free; layers that ONNX has no operator for are refused by name; a stateful LSTM takes its
 * states as inputs NAME.h0, NAME.c0 and gives NAME.hn, NAME.cn). A model of the other profile is
 * converted: of two biases the sum is written to Keras, of one bias itself and zeros to
 * PyTorch. Scalers, metadata and the seed are not part of these formats. Atomic as lstm_model_save.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (another suffix), LSTM_ERROR_STATE (not built),
 * LSTM_ERROR_IO, LSTM_ERROR_UNSUPPORTED (a layer that the format cannot say, by its name),
 * LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_export(const lstm_model *model, const char *path);

/* How a model becomes C source. */
typedef struct lstm_source_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    /* before the names of functions and constants: letters, digits and '_', at most 31. Default:
     * from the file's name */
    const char *prefix;
    int64_t max_steps; /* of sequences of any number of steps: 1 to 2^20; default 64 */
} lstm_source_options;

/* Write a built model as one self-contained file of C99 for small machines: the weights, a kernel of
 * plain loops, PREFIX_run for a whole sequence and, where every layer works step by step,
 * PREFIX_start and PREFIX_step for a stream; no heap, no other file. The caller of these functions
 * gives the memory, a struct PREFIX_memory; a comment says what RAM and flash it takes. Compiled
 * with -DPREFIX_TEST it is a program that checks itself against outputs of this library
 * (docs/interchange.md). Dropout and noise do not act, a stateful layer begins from zeros in
 * PREFIX_run.
 *   options  [in]  NULL = defaults
 * Atomic as lstm_model_save. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built),
 * LSTM_ERROR_IO, LSTM_ERROR_UNSUPPORTED (names a layer that cannot be written), LSTM_ERROR_NUMERIC,
 * LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_model_export_source(const lstm_model *model, const char *path,
                                              const lstm_source_options *options);

/* Write the parameters of a built model alone, as arrays under the names and in the shapes of a
 * profile: .safetensors, .npz, .pt or .pth (PyTorch's names). Files of the model's own profile go
 * back with lstm_model_load_weights.
 *   naming  [in]  LSTM_PROFILE_*; 0 = the model's own
 * Returns as lstm_model_export. Atomic. */
LSTM_API lstm_status lstm_model_export_weights(const lstm_model *model, const char *path,
                                               int32_t naming);

/* ===============================================================================================================
 * Data
 *
 * What fit, evaluate, predict and the session calls read: `samples` samples for each input and,
 * where there is a loss, each output. One input and one output use x and y; more use the arrays of
 * pointers instead.
 *
 * Counts: an input needs samples * steps * features values (a vector: samples * features). If the
 * input's number of steps is free, it is x_count / (samples * features), the same for every free
 * input. A target needs the output's values; for the sparse cross-entropy one class number (0, 1,
 * ...) a row: samples, or samples * steps.
 *
 * Sequences of different lengths stand in one array, padded to the longest. `lengths` says how many
 * steps of each sample are there, from the first on; `mask` marks the steps that are there one by
 * one (and may have holes); with both, a step is there if both say so. They belong to the first
 * input that is a sequence; input_lengths and input_masks give each input its own. What stands in
 * the padding is never looked at: a padded batch gives what its samples give one by one. The layers
 * hand the mask on (docs/sequences.md).
 * ===============================================================================================================
 */

typedef struct lstm_data {
    uint32_t struct_size;
    int32_t layout;  /* LSTM_LAYOUT_*, of inputs, targets and predictions; default batch first */
    int64_t samples; /* >= 0; 0 is a batch without samples and harmless */
    const float *x;
    size_t x_count;
    const float *y; /* may be NULL where no target is needed */
    size_t y_count;
    const float *const *inputs; /* instead of x: `input_count` arrays in the model's input order */
    const size_t *input_sizes;  /* their counts */
    size_t input_count;
    const float *const *targets; /* instead of y */
    const size_t *target_sizes;
    size_t target_count;
    /* How much each sample, or each step of each sample, counts in the loss: `samples` or samples *
     * steps finite values >= 0, not all 0, steps in `layout`. NULL = 1. A weight of 0 excludes: its
     * targets may be anything. */
    const float *sample_weights;
    size_t sample_weight_count;
    const int32_t *lengths; /* one a sample, 0 to steps, in any order; NULL = all steps */
    size_t lengths_count;   /* samples */
    /* [samples][steps] or, time first, [steps][samples]; 0 = this step is not there; NULL = all are
     */
    const uint8_t *mask;
    size_t mask_count; /* samples * steps */
    /* instead of lengths: for each input its lengths, of `samples` entries, or NULL */
    const int32_t *const *input_lengths;
    /* instead of mask: for each input its mask, of samples * steps entries, or NULL */
    const uint8_t *const *input_masks;
    /* CTC, instead of y: [samples][most] class numbers, `labels_count` in all, whatever the layout.
     * A sample's labels are the first label_lengths of its row; with label_lengths NULL those before
     * its first negative number, all behind which are negative too */
    const int32_t *labels;
    size_t labels_count;
    const int32_t *label_lengths; /* one a sample, 0 to most */
    size_t label_lengths_count;   /* samples */
} lstm_data;

/* ---- A source: data that is read a batch at a time
 *
 * For data larger than memory, or made on the way (augmented, drawn, simulated). lstm_fit asks for
 * each batch by the numbers of its samples, so shuffling, validation_split, resuming and the bits of
 * the result are those of the same data given as arrays. Arrays are batch first. */

/* One batch to be read: the callee fills the arrays. All belong to the library and are valid during
 * the call only. */
typedef struct lstm_batch {
    uint32_t struct_size;
    int32_t reserved;
    int64_t count; /* samples wanted */
    /* their numbers, 0 to source.samples - 1, in the order in which the arrays take them */
    const int64_t *samples;
    /* in the model's input order: [count][steps][features], or [count][features] */
    float *const *inputs;
    /* in output order, shaped as lstm_data's targets; NULL with CTC */
    float *const *targets;
    /* [count], of the first input that is a sequence; holds the number of its steps. NULL if none */
    int32_t *lengths;
    float *sample_weights; /* [count]; holds 1 */
    /* CTC: [count][source.label_steps]; holds -1, which ends a sample's labels. Else NULL */
    int32_t *labels;
} lstm_batch;

typedef struct lstm_source {
    uint32_t struct_size;
    /* LSTM_YES: a thread of the library's reads the next batch while this one is trained on: `read`
     * is then called from that thread (never from two at once). Default LSTM_NO */
    int32_t prefetch;
    int64_t samples;     /* > 0 */
    int64_t steps;       /* of free inputs, the longest sample's; 0 if there are none */
    int64_t label_steps; /* CTC: labels of the longest sample; else 0 */
    /* Fill a batch. Return LSTM_OK, or a status that ends lstm_fit with the text that
     * lstm_last_error has (of a library's call inside), or a general one. */
    lstm_status (*read)(void *user, const lstm_batch *batch);
    void *user;
    /* The length of every sample, `samples` of them, if known beforehand: needed for
     * bucket_batches only; must be what `read` gives. NULL = not known */
    const int32_t *lengths;
} lstm_source;

/* A loss and its settings, the same for every output. */
typedef struct lstm_loss_options {
    uint32_t struct_size;
    int32_t loss; /* LSTM_LOSS_*; default MSE */
    /* LSTM_YES: the cross-entropies take logits; default LSTM_NO: probabilities. CTC: see there */
    int32_t from_logits;
    float huber_delta; /* > 0; default 1 */
    /* 0 <= s < 1, of the dense cross-entropies: y (1-s) + s/classes, binary y (1-s) + s/2; default
     * 0 */
    float label_smoothing;
    float focal_gamma; /* >= 0; default 2. Negative = 0 */
    /* 0 < a < 1; default 0.25: of the categorical, and of the binary one with focal_balanced */
    float focal_alpha;
    /* LSTM_YES: weigh the binary one's classes y alpha + (1-y) (1-alpha); default LSTM_NO */
    int32_t focal_balanced;
    int32_t reduction; /* LSTM_REDUCTION_*; default mean */
    /* Quantiles 0 < q < 1, ascending or not. With Q of them an output of K * Q features predicts
     * the Q quantiles of each of K target values, one value's quantiles side by side. NULL = { 0.5
     * }. At most 64. */
    const float *quantiles;
    size_t quantile_count;
    /* CTC: the class of the blank; negative counts from the end, -1 is the last class (TensorFlow
     * 1). Default 0 (Keras 3, PyTorch) */
    int32_t ctc_blank;
    /* CTC, LSTM_YES: a sample without an alignment counts as 0 and has no gradient (PyTorch's
     * zero_infinity). Default LSTM_NO */
    int32_t ctc_zero_infinity;
    /* LSTM_LOSS_CUSTOM: the loss of one row (a step of a sequence, or a vector), finite.
     *   prediction  [in]  `features` values        target  [in] `targets` values
     *   gradient    [out] of the loss at each prediction value, to be overwritten; NULL = not wanted
     * Weights, masks and the reduction are applied around it. */
    double (*custom)(void *user, const float *prediction, size_t features, const float *target,
                     size_t targets, float *gradient);
    void *custom_user;
    int64_t custom_targets; /* values of a row of the target; default 0 = as many as features */
} lstm_loss_options;

/* ---- A source of .npy files, which may be larger than memory: only the rows of a batch are read. */

typedef struct lstm_files lstm_files;

typedef struct lstm_files_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    /* .npy files whose first axis is the sample: one for each input, in the model's order. Any kind
     * of number, C order. (samples, steps, features), or without axes of one feature */
    const char *const *inputs;
    size_t input_count;
    const char *const *targets; /* one for each output */
    size_t target_count;
    const int32_t *lengths; /* as lstm_data's, one a sample; copied. NULL = all steps */
    size_t lengths_count;
    const lstm_loss_options *loss; /* says what shape targets have; NULL = MSE. Not CTC */
} lstm_files_options;

/* Open files and check their shapes against a built model. They are read with pread while the object
 * lives and must not change.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_IO,
 * LSTM_ERROR_FORMAT, LSTM_ERROR_UNSUPPORTED (Fortran order, CTC), LSTM_ERROR_SHAPE (names file,
 * expected and found shape), LSTM_ERROR_MEMORY. Ownership: the caller's. */
LSTM_API lstm_status lstm_files_open(lstm_files **out, lstm_model *model,
                                     const lstm_files_options *options);
LSTM_API void lstm_files_close(lstm_files *files);

/* Return the source for lstm_fit_options or lstm_evaluate_options, with prefetch set; a copy may be
 * changed. Its `read` fails with LSTM_ERROR_IO where a file can no longer be read. Ownership: the
 * files', until close. Threads: one reader at a time. NULL for NULL. */
LSTM_API const lstm_source *lstm_files_source(const lstm_files *files);

/* ---- A source of Apache Arrow data: record batches that another library has in memory or streams
 *
 * The structs are those of Arrow's C data interface and C stream interface
 * (https://arrow.apache.org/docs/format/CDataInterface.html), which pyarrow, polars, DuckDB, R's
 * arrow and others fill in. Nothing is copied when they are opened: rows are read where they lie,
 * a batch of training at a time. docs/data.md. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

typedef struct lstm_arrow lstm_arrow;

/* What to do with values that are null. */
#define LSTM_NULLS_REFUSE 1 /* the default: an error that names row and column */
/* NaN; a list that is null is one of NaN, or of no items where lengths vary */
#define LSTM_NULLS_NAN 2

/* The columns that make one input or one target, by their names. A row of the batch is a sample.
 *
 *   a vector (features)         columns of numbers, or of lists of a fixed size: their numbers side by
 *                               side are the features
 *   a sequence (steps, features) lists of an item a step, the item a number or a list of a fixed size:
 *                               the items of the columns side by side are the features. Lists of any
 *                               length give each sample a length of its own, as `lengths` does; the
 *                               first input that is a sequence says it, and targets have it too, or
 *                               all steps
 *                               or one list of steps * features numbers (arrow.fixed_shape_tensor)
 *                               or steps * features columns of numbers, step by step
 *
 * Numbers are bool, integers, float16, float or double, of which float needs no conversion; integers
 * beyond 2^24 are rounded. Anything else is refused by its name. */
typedef struct lstm_arrow_columns {
    const char *const *names;
    size_t count;
} lstm_arrow_columns;

typedef struct lstm_arrow_options {
    uint32_t struct_size;
    int32_t nulls;                    /* LSTM_NULLS_*; default refuse */
    const lstm_arrow_columns *inputs; /* one for each input, in the model's order */
    size_t input_count;
    const lstm_arrow_columns *targets; /* one for each output; count 0: nothing but to predict */
    size_t target_count;
    /* a column of integers, the steps of each sample, where sequences are padded; NULL = none */
    const char *lengths;
    const char *weights; /* a column of numbers, lstm_data's sample_weights; NULL = 1 */
    const char *labels;  /* CTC, instead of targets: lists of integers; a negative one ends them */
    const lstm_loss_options *loss; /* says what shape targets have; NULL = MSE */
} lstm_arrow_options;

/* Check record batches against a built model and take them over.
 *   schema   [in,out] of the batches: a struct whose children are the columns
 *   batches  [in,out] `count` of them, count > 0, with one row at least in all
 * On success both are moved, as the specification has it: `release` is NULL in the caller's structs,
 * and is called, once each, by lstm_arrow_close. On failure they are the caller's as before.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (a null, a length: row and column; released structs),
 * LSTM_ERROR_STATE (not built), LSTM_ERROR_NOT_FOUND (names the columns that are there),
 * LSTM_ERROR_UNSUPPORTED (a format, by its name), LSTM_ERROR_SHAPE (names columns, expected and
 * found numbers), LSTM_ERROR_FORMAT (no Arrow data), LSTM_ERROR_MEMORY. Ownership: the caller's. */
LSTM_API lstm_status lstm_arrow_open(lstm_arrow **out, lstm_model *model,
                                     const lstm_arrow_options *options, struct ArrowSchema *schema,
                                     struct ArrowArray *batches, size_t count);

/* The same with the batches of a stream, all of which are kept, as samples are asked for in any order.
 * The stream is read to its end and released whatever is returned, unless it was before. Returns as
 * lstm_arrow_open, and LSTM_ERROR_IO (the stream's own error). */
LSTM_API lstm_status lstm_arrow_open_stream(lstm_arrow **out, lstm_model *model,
                                            const lstm_arrow_options *options,
                                            struct ArrowArrayStream *stream);
LSTM_API void lstm_arrow_close(lstm_arrow *arrow);

/* Return the source for lstm_fit_options or lstm_evaluate_options, with prefetch set; a copy may be
 * changed. `lengths` is set where samples have them. Ownership: the Arrow data's, until close.
 * Threads: one reader at a time. NULL for NULL. */
LSTM_API const lstm_source *lstm_arrow_source(const lstm_arrow *arrow);

/* Give the data as arrays, for lstm_predict and everything else that takes lstm_data. A column of
 * floats that is alone in its input or target and in one batch, without nulls, in lists of a fixed
 * size or none, is pointed at where it lies; others are copied the first time.
 *   data  [in,out] struct_size is set before the call; everything else is written
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. Ownership of the
 * arrays: the Arrow data's, until close. */
LSTM_API lstm_status lstm_arrow_data(lstm_arrow *arrow, lstm_data *data);

/* ===============================================================================================================
 * Optimizer
 *
 * Moments, step count and clipping. Formulas are those of the profile (Keras 3, PyTorch 2):
 *   SGD      Keras: m = momentum*m - lr*g; w += m, Nesterov w += momentum*m - lr*g.
 *            PyTorch: b = momentum*b + (1-dampening)*g (b = g at the first step); w -= lr*b,
 *            Nesterov lr*(g+momentum*b).
 *   RMSprop  v = rho*v + (1-rho)*g^2; Keras divides by sqrt(v + epsilon), PyTorch by sqrt(v) + epsilon (Hinton 2012).
 *   Adam     (Kingma and Ba 2015) Keras: w -= lr*sqrt(1-b2^t)/(1-b1^t) * m/(sqrt(v) + epsilon); PyTorch corrects v
 *            before epsilon is added.
 *   AdamW    the same after w -= lr*weight_decay*w (Loshchilov and Hutter 2019).
 *   Adagrad  v += g^2; Keras: w -= lr*g/sqrt(v + epsilon), PyTorch: lr*g/(sqrt(v) + epsilon) (Duchi et al. 2011).
 *   Adadelta v = rho*v + (1-rho)*g^2; d = g*sqrt(u + epsilon)/sqrt(v + epsilon); u = rho*u + (1-rho)*d^2; w -= lr*d
 *            (Zeiler 2012).
 *   Adamax   u = max(b2*u, |g|); w -= lr/(1-b1^t) * m/u, epsilon added to u (Keras) or to |g| (PyTorch).
 *   Nadam    Adam with Nesterov momentum (Dozat 2016): w -= lr*(c1*m + c2*g)/(sqrt(v^) + epsilon),
 *            see docs/optimizers.md.
 *   RAdam    Adam with a rectified rate (Liu et al. 2020), PyTorch's formula in both profiles.
 *   Lion     w -= lr*sign(b1*m + (1-b1)*g); m = b2*m + (1-b2)*g (Chen et al. 2023), Keras' formula in both profiles.
 *   L-BFGS   PyTorch's (Liu and Nocedal 1989), in both profiles; strong_wolfe adds the line search. lstm_fit makes
 *            up to max_iterations iterations on each batch; lstm_optimizer_step makes one with the gradient it is
 *            given.
 *
 * Weight averages (Keras' use_ema): after each update a = m*a + (1-m)*w, the first time a = w.
 * lstm_fit puts the averages into the model when it ends, as Keras does; a manual loop calls
 * lstm_optimizer_use_average.
 *
 * Accumulation: with accumulation_steps n only every n-th step (in lstm_fit: batch) updates, with
 * the mean of the last n gradients (Keras) or their sum (PyTorch). Schedules count batches (Keras)
 * or updates (PyTorch).
 *
 * Ownership: the caller's. Threads: one at a time; a step writes the model's parameters.
 * ===============================================================================================================
 */

typedef struct lstm_optimizer lstm_optimizer;

/* How the learning rate changes. All numbers: 0 = the default. */
typedef struct lstm_schedule_options {
    uint32_t struct_size;
    int32_t schedule; /* LSTM_SCHEDULE_*; default constant */
    /* > 0 for step, exponential, cosine (both), one-cycle: Keras' decay_steps, first_decay_steps,
     * PyTorch's step_size, T_max, T_0, total_steps */
    int64_t steps;
    /* step, exponential, plateau: 0 < factor; plateau < 1. Default 0.1, except exponential: needed
     */
    double factor;
    /* cosine: the lowest rate as a part of the learning rate, 0 <= alpha <= 1; default 0 */
    double alpha;
    /* restarts: how much longer (>= 1; default 2 in Keras, 1 in PyTorch) and how much higher (default
     * 1) each cycle is than the one before */
    double t_mul, m_mul;
    double warmup_start; /* the rate at update 0 of a warm-up; default 0 */
    /* before any schedule: linearly from warmup_start to the learning rate; default 0 = none */
    int64_t warmup_steps;
    /* One-cycle, as PyTorch's OneCycleLR: from rate / div_factor (25) in part pct_start (0.3) up to
     * rate, then down to rate / div_factor / final_div_factor (10000). */
    double pct_start, div_factor, final_div_factor;
    int32_t linear; /* LSTM_YES: straight lines; default LSTM_NO: cosines */
    /* LSTM_YES: momentum (SGD, RMSprop) or beta_1 go the other way; default LSTM_NO */
    int32_t cycle_momentum;
    double base_momentum, max_momentum; /* default 0.85 and 0.95 */
    /* Plateau, as ReduceLROnPlateau of the profile (Keras: better by min_delta; PyTorch: better by
     * the part min_delta). */
    int32_t patience; /* epochs; default 10. Negative = 0 */
    int32_t cooldown; /* epochs of rest after a reduction; default 0 */
    double min_delta; /* default 1e-4. Negative = 0 */
    double minimum;   /* the lowest rate; default 0 */
    /* Callback: return the rate of update t >= 0, finite and >= 0. It must depend on its arguments
     * only, else a resumed run differs from one that was not interrupted. */
    double (*rate)(void *user, int64_t t, double learning_rate);
    void *rate_user;
} lstm_schedule_options;

typedef struct lstm_optimizer_options {
    uint32_t struct_size;
    int32_t optimizer; /* LSTM_OPTIMIZER_*; default Adam */
    int32_t profile;   /* whose formula and defaults; default: the model's profile */
    int32_t nesterov;  /* SGD; default LSTM_NO */
    /* Keras: SGD 0.01, others 0.001; PyTorch: RMSprop, Adagrad 0.01, Adamax, Nadam 0.002, Adadelta
     * 1, others 0.001; L-BFGS 1. Negative = 0 */
    double learning_rate;
    double momentum;  /* SGD, RMSprop: [0, 1); default 0 */
    double dampening; /* SGD, PyTorch profile only; default 0 */
    /* RMSprop: default 0.9 (Keras), 0.99 (PyTorch); Adadelta: 0.95, 0.9. Negative = 0 */
    double rho;
    /* RMSprop: divide by the standard deviation instead of the root mean square; default LSTM_NO */
    int32_t centered;
    /* Adam, AdamW: keep the largest second moment (Reddi et al. 2018); default LSTM_NO */
    int32_t amsgrad;
    double beta_1; /* Adam and its kin, Lion: default 0.9. Negative = 0 */
    double beta_2; /* the same: default 0.999, Lion 0.99. Negative = 0 */
    /* default 1e-7 (Keras), 1e-8 (PyTorch; Adagrad 1e-10, Adadelta 1e-6). Negative = 0 */
    double epsilon;
    /* AdamW: decoupled; default 0.004 (Keras), 0.01 (PyTorch); negative = 0. Others: Keras
     * decoupled, PyTorch added to the gradient (except Lion, and with decoupled_decay); default 0
     */
    double weight_decay;
    /* Clipping, at most one of the three; 0 = none. */
    double clip_norm; /* each parameter array's own L2 norm (Keras' clipnorm) */
    /* the norm over all parameters (Keras' global_clipnorm, torch clip_grad_norm_) */
    double global_clip_norm;
    double clip_value; /* each value to [-c, c] */
    /* PyTorch's decoupled_weight_decay of Adam, Nadam and RAdam; default LSTM_NO */
    int32_t decoupled_decay;
    int32_t accumulation_steps; /* update with every n-th gradient only; default 1 */
    double initial_accumulator; /* Adagrad: default 0.1 (Keras), 0 (PyTorch). Negative = 0 */
    /* Adagrad, PyTorch's lr_decay: lr / (1 + updates * rate_decay); default 0 */
    double rate_decay;
    /* Nadam: default 1 (Keras has 0.96^t), 0.004 (PyTorch). Negative = 0 */
    double momentum_decay;
    int32_t use_ema; /* LSTM_YES: keep averages of the parameters; default LSTM_NO */
    /* put them into the model every so many updates; default 0 = only at the end */
    int32_t ema_overwrite_frequency;
    double ema_momentum;                   /* 0 < m < 1; default 0.99 */
    const lstm_schedule_options *schedule; /* copied; NULL = constant */
    /* L-BFGS */
    int32_t history_size;    /* default 100 */
    int32_t max_iterations;  /* on a batch of lstm_fit; default 20 */
    int32_t max_evaluations; /* on a batch of lstm_fit; default 5/4 of max_iterations */
    int32_t reserved;        /* 0 */
    double tolerance_grad;   /* stop on a batch when no gradient is larger; default 1e-7 */
    double tolerance_change; /* or when parameters or loss change less; default 1e-9 */
    /* Noise on the gradients of each update, after clipping: normal numbers with the variance
     * gradient_noise / (1 + updates done)^gradient_noise_decay (Neelakantan et al. 2015 take 0.01,
     * 0.3 or 1). Default 0 = none. Not for L-BFGS */
    double gradient_noise;
    double gradient_noise_decay;  /* default 0.55; negative = 0 */
    uint64_t gradient_noise_seed; /* default 0: the model's */
    /* L-BFGS, in lstm_fit: step lengths by a line search for the strong Wolfe conditions (Nocedal and
     * Wright 2006, algorithms 3.5 and 3.6; PyTorch's line_search_fn='strong_wolfe'); the learning
     * rate is the first length that is tried. Default LSTM_NO */
    int32_t strong_wolfe;
    int32_t reserved_2; /* 0 */
} lstm_optimizer_options;

/* Create an optimizer for a built model. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE
 * (not built), LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_optimizer_create(lstm_optimizer **out, lstm_model *model,
                                           const lstm_optimizer_options *options);
LSTM_API void lstm_optimizer_destroy(lstm_optimizer *optimizer);

/* Return the number of steps done. NULL gives 0. */
LSTM_API int64_t lstm_optimizer_steps(const lstm_optimizer *optimizer);

/* Return the learning rate of the next step, as the schedule has it / set the one that the schedule
 * starts from (>= 0, finite). NULL gives 0. set returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API double lstm_optimizer_learning_rate(const lstm_optimizer *optimizer);
LSTM_API lstm_status lstm_optimizer_set_learning_rate(lstm_optimizer *optimizer, double rate);

/* Tell a plateau schedule the watched loss at the end of an epoch (lstm_fit does so itself); others
 * ignore it. Returns LSTM_OK, LSTM_ERROR_ARGUMENT (NULL; NaN). */
LSTM_API lstm_status lstm_optimizer_watch(lstm_optimizer *optimizer, double loss);

/* Put the averages of use_ema into the model's parameters.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no averages are kept; no update yet). */
LSTM_API lstm_status lstm_optimizer_use_average(lstm_optimizer *optimizer);

/* ===============================================================================================================
 * fit, evaluate, predict
 * ===============================================================================================================
 */

typedef struct lstm_history lstm_history;

/* What the progress callback is told. Pointers are valid during the call only. */
typedef struct lstm_progress {
    uint32_t struct_size;
    int32_t event;         /* LSTM_PROGRESS_* */
    int64_t epoch, epochs; /* this epoch, from 1; the last one planned */
    /* batches done in this epoch; batches in an epoch. Each is an update without accumulation */
    int64_t batch, batches;
    int64_t step; /* batches done since training began */
    /* BATCH: this batch's, before its update; EPOCH: the mean over the epoch */
    double loss;
    double seconds; /* since fit began */
    /* EPOCH: loss, metrics, val_loss, val_metrics, in the history's order; else 0 */
    size_t value_count;
    const char *const *names;
    const double *values;
    int32_t improved; /* EPOCH: LSTM_YES if the watched loss is the best so far */
    int32_t reserved;
    double learning_rate; /* of the next update */
} lstm_progress;
#define LSTM_PROGRESS_BATCH 1
#define LSTM_PROGRESS_EPOCH 2

typedef struct lstm_fit_options {
    uint32_t struct_size;
    /* total number of epochs; default 1. Training runs from initial_epoch to this */
    int32_t epochs;
    int32_t batch_size;    /* samples an update; default 32; the last batch may be smaller */
    int32_t shuffle;       /* a new order each epoch; default LSTM_YES */
    int32_t initial_epoch; /* epochs already done; default 0 */
    /* stop after this many epochs without a better watched loss (val_loss where there is
     * validation, else loss); default 0 = never */
    int32_t early_stopping;
    /* with early_stopping: leave the best epoch's weights; default LSTM_YES */
    int32_t restore_best;
    int32_t metric_count;   /* of `metrics`, at most 16 */
    const int32_t *metrics; /* LSTM_METRIC_* */
    /* stop after this many updates in all, going round the data as often as needed (epochs is
     * ignored then); default 0 = epochs decide */
    int64_t max_steps;
    /* the last part of the data, 0 <= v < 1, never trained on; default 0 */
    double validation_split;
    double min_delta;              /* how much better counts as better; default 0 */
    const lstm_data *validation;   /* or data of its own; then validation_split must be 0 */
    const lstm_loss_options *loss; /* NULL = MSE */
    /* made for this model, goes on where it was; NULL = a new one from: */
    lstm_optimizer *optimizer;
    const lstm_optimizer_options *optimizer_options; /* NULL = Adam */
    uint64_t seed;                                   /* of shuffling and dropout; default 0 */
    /* A file that holds everything needed to go on to the bit: parameters, moments, best weights,
     * position. Written after every `checkpoint_every` epochs (default 1), at the end and when
     * cancelled, under another name first, so that it is whole at any time. See checkpoint_seconds
     * for epochs that are short. NULL = none. */
    const char *checkpoint;
    int32_t checkpoint_every;
    int32_t reserved; /* 0 */
    /* start from such a file, also with its learning rate (a log line says so if it is another than
     * that of the options); NULL = start from the model as it is */
    const char *resume;
    /* Called after each update and epoch, on the calling thread. A non-zero answer stops training
     * after this update: fit returns LSTM_ERROR_CANCELLED, with the checkpoint written and the
     * parameters as after the last update. */
    int32_t (*progress)(void *user, const lstm_progress *progress);
    void *progress_user;
    /* Keras' class_weight: multiplies each training row's weight by that of its class (the sparse
     * target, the largest of several features, a single feature rounded). Values finite and >= 0.
     * Validation does not use them. NULL = 1. */
    const float *class_weights;
    size_t class_weight_count;
    /* Truncated back-propagation through time (Williams and Peng 1990), for sequences longer than
     * the memory of their tape: an update after every tbptt_k1 steps, from the losses of these
     * steps, with gradients that go back over tbptt_k2 steps: the k1 and k2 - k1 before them.
     * States are carried from piece to piece of a batch's sequences (between batches in `stateful`
     * layers only), and are part of checkpoints; an epoch's progress counts pieces as batches.
     * Every output must be a sequence, and every layer one whose steps follow from those before
     * (no layer that goes backwards, no attention, pooling or convolution). Pieces in which no
     * sample has a step cause no update. docs/sequences.md. tbptt_k1: 1 or more; default 0 = whole
     * sequences. tbptt_k2: tbptt_k1 or more; default tbptt_k1 */
    int64_t tbptt_k1;
    int64_t tbptt_k2;
    /* Weight noise (Graves 2013): loss and gradients of each batch are those at the weights plus
     * normal numbers with this standard deviation, drawn anew for each update; the update moves the
     * weights themselves. Validation and the model at the end are without it. Default 0 = none. Not
     * for L-BFGS */
    double weight_noise;
    /* LSTM_YES: the history has a last column "gradient_norm", the mean over the epoch's batches of
     * the L2 norm of all gradients, before accumulation and clipping. Default LSTM_NO */
    int32_t gradient_norms;
    int32_t reserved_2; /* 0 */
    /* Instead of `data`, which is NULL then; and of `validation`. NULL = arrays */
    const lstm_source *source;
    const lstm_source *validation_source;
    /* Batches of samples of nearly equal lengths: the epoch's order is cut into groups of so many
     * batches, each is sorted by length and cut into batches, whose order is drawn again. Less
     * padding is computed, while a sample still meets other company in every epoch. Needs lengths
     * (of the data or of the source) and shuffle. Default 0 = none */
    int64_t bucket_batches;
    /* as in lstm_session_options, for the memory of long sequences; the same training to the bit.
     * Has no effect with tbptt_k1, whose pieces are short. Default LSTM_NO */
    int32_t recompute;
    int32_t reserved_3; /* 0 */
    /* A second file like `checkpoint`, written after every epoch whose watched loss is the best so
     * far, and left alone by others: its weights are those of the best epoch, and training can go on
     * from there. Must not be `checkpoint`. NULL = none */
    const char *checkpoint_best;
    /* Do not write `checkpoint` after an epoch if the one before was written less than so many seconds
     * ago: bringing a file to the disk takes milliseconds, which is long for a small model. It is
     * written after the first epoch, at the end and when cancelled all the same; what is lost when the
     * process is killed is this time, and an epoch. Does not change the results. Default 0: after
     * every epoch */
    double checkpoint_seconds;
} lstm_fit_options;

/* Train a model.
 *   model    [in,out] built; its parameters change. On LSTM_ERROR_NUMERIC (a loss became NaN or infinite; the message
 *            names epoch, batch and the first parameter gradient that is not finite) they are those before that update
 *   options  [in]     NULL = defaults
 *   data     [in]     inputs and targets; at least one sample
 *   history  [out]    the losses and metrics of each epoch; NULL = not wanted. Written also when fit fails or is
 *            cancelled after its first epoch
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE, LSTM_ERROR_SHAPE, LSTM_ERROR_NUMERIC,
 * LSTM_ERROR_CANCELLED, LSTM_ERROR_IO, LSTM_ERROR_FORMAT, LSTM_ERROR_UNSUPPORTED,
 * LSTM_ERROR_MEMORY. Threads: needs the model to itself. */
LSTM_API lstm_status lstm_fit(lstm_model *model, const lstm_fit_options *options,
                              const lstm_data *data, lstm_history **history);

typedef struct lstm_evaluate_options {
    uint32_t struct_size;
    int32_t batch_size;            /* default 32; does not change the result beyond rounding */
    const lstm_loss_options *loss; /* NULL = MSE */
    const int32_t *metrics;        /* LSTM_METRIC_* */
    int32_t metric_count;
    int32_t reserved; /* 0 */
    /* Instead of `data`, which is NULL then; NULL = arrays */
    const lstm_source *source;
    /* [out] [classes][classes]: how many rows of each actual class (first index) were predicted as
     * each (second), of the first output; one feature has two classes. Rows of weight 0 do not
     * count. `confusion_count` = classes * classes places. NULL = not wanted */
    int64_t *confusion;
    size_t confusion_count;
} lstm_evaluate_options;

/* ---- Finding a learning rate
 *
 * The range test (Smith 2017, "Cyclical learning rates"): train on one batch after another while the
 * rate grows by a constant factor, until the loss runs away. A good rate is near the steepest fall,
 * well below where the loss is lowest. The model is as before afterwards. */
typedef struct lstm_rate_test_options {
    uint32_t struct_size;
    int32_t batch_size; /* default 32 */
    double lowest;      /* > 0; default 1e-6 */
    double highest;     /* > lowest; default 10 */
    int32_t steps;      /* rates, one a batch: 2 or more; default 100 */
    int32_t reserved;   /* 0 */
    /* end when the smoothed loss is this many times as far from 0 as its lowest, and as far above it
     * as that was below the first; > 1, default 4 */
    double stop;
    const lstm_loss_options *loss;                   /* NULL = MSE */
    const lstm_optimizer_options *optimizer_options; /* NULL = Adam; its schedule is not used */
    uint64_t seed;                                   /* of shuffling and dropout */
} lstm_rate_test_options;

typedef struct lstm_rate_test_result {
    uint32_t struct_size; /* [in] set it before the call */
    int32_t count;        /* rates tried */
    double steepest;      /* the rate at which the loss falls fastest; 0 = it never fell */
    double lowest;        /* the rate at which it is lowest */
} lstm_rate_test_result;

/* Run the test.
 *   rates, losses  [out] `capacity` values each, at least `steps`: rates, and the losses at them
 *                  (averages with the factor 0.9, corrected for their beginning)
 *   result         [out]
 * Returns LSTM_OK (also when the loss became infinite, which ends the test), LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_SHAPE (capacity; data), and what lstm_fit returns. Threads: needs the model to itself.
 */
LSTM_API lstm_status lstm_rate_test(lstm_model *model, const lstm_rate_test_options *options,
                                    const lstm_data *data, double *rates, double *losses,
                                    size_t capacity, lstm_rate_test_result *result);

/* ---- Splits for cross-validation */

#define LSTM_SPLIT_FOLDS 1 /* each sample validates once (scikit-learn's KFold) */
#define LSTM_SPLIT_WALK_FORWARD \
    2 /* train on the past, validate on what follows (TimeSeriesSplit) */

typedef struct lstm_split_options {
    uint32_t struct_size;
    int32_t kind;    /* LSTM_SPLIT_*; default folds */
    int32_t folds;   /* 2 or more; default 5 */
    int32_t shuffle; /* folds: of samples in another order; default LSTM_NO */
    uint64_t seed;   /* of it */
    /* walking forward: samples left out between the two parts, so that windows that overlap do not
     * give the future away; default 0 */
    int64_t gap;
    int32_t reserved; /* 0 */
} lstm_split_options;

/* Say which samples train and which validate in one fold.
 *   options            [in]  NULL = five folds
 *   fold               [in]  0 to folds - 1
 *   train, validation  [out] room for `samples` indices each
 *   ..._count          [out] how many of them are set
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (fewer samples than folds need), LSTM_ERROR_UNSUPPORTED,
 * LSTM_ERROR_MEMORY. Threads: any. */
LSTM_API lstm_status lstm_split(const lstm_split_options *options, int64_t samples, int32_t fold,
                                int64_t *train, int64_t *train_count, int64_t *validation,
                                int64_t *validation_count);

/* Compute loss and metrics without training.
 *   values  [out] 1 + metric_count numbers: the loss, then each metric in the order asked for
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE, LSTM_ERROR_SHAPE, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_evaluate(lstm_model *model, const lstm_evaluate_options *options,
                                   const lstm_data *data, double *values, size_t count);

/* Run a model with one output.
 *   data   [in]  inputs; targets are ignored
 *   out    [out] the output, in data's layout: [samples][features] or [samples][steps][features]
 *   count  [in]  number of values of `out`
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built, several outputs),
 * LSTM_ERROR_SHAPE, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_predict(lstm_model *model, const lstm_data *data, float *out,
                                  size_t count);

/* Run a model with any number of outputs: outs[k] gets output k, of counts[k] values. Returns as
 * lstm_predict. */
LSTM_API lstm_status lstm_predict_outputs(lstm_model *model, const lstm_data *data,
                                          float *const *outs, const size_t *counts,
                                          size_t output_count);

/* ---- History: one row an epoch, one named column a value ("loss", "accuracy", "val_loss", ...). */
LSTM_API void lstm_history_destroy(lstm_history *history);
/* Return the number of epochs / columns. NULL gives 0. */
LSTM_API size_t lstm_history_epochs(const lstm_history *history);
LSTM_API size_t lstm_history_columns(const lstm_history *history);
/* Return a column's name, or NULL. Ownership: the history's. */
LSTM_API const char *lstm_history_name(const lstm_history *history, size_t column);
/* Return one value; NaN outside the table. `epoch` counts from 0. */
LSTM_API double lstm_history_value(const lstm_history *history, size_t epoch, size_t column);
/* Return the epoch (from 0) with the best watched loss; 0 if there is none. */
LSTM_API size_t lstm_history_best(const lstm_history *history);

/* ===============================================================================================================
 * Session: one execution plan, for manual loops
 *
 *     lstm_session_create(&session, model, &(lstm_session_options){sizeof(lstm_session_options), .training = LSTM_YES,
 *                                                                  .batch = 32, .steps = 28});
 *     for (...) {
 *         lstm_session_forward(session, &data);
 *         lstm_session_loss(session, NULL, &data, &loss);
 *         lstm_session_backward(session);
 *         lstm_optimizer_step(optimizer, session);
 *     }
 *
 * All memory is allocated by create; no other call of a session allocates. Forward keeps the tape
 * that backward needs if the session is for training, and applies dropout.
 *
 * Ownership: the caller's. Threads: one at a time; many sessions may share a model.
 * ===============================================================================================================
 */

typedef struct lstm_session lstm_session;

typedef struct lstm_session_options {
    uint32_t struct_size;
    int32_t training; /* LSTM_YES: tape, gradients, dropout; default LSTM_NO */
    int64_t batch;    /* largest number of samples in a call, > 0 */
    int64_t steps;    /* largest number of steps of free inputs; may be 0 if there is none */
    uint64_t seed;    /* of dropout; default 0 */
    /* LSTM_YES: keep gates and states of recurrent layers for lstm_session_trace; default LSTM_NO.
     * Costs a copy of them, and without training the memory of a tape */
    int32_t traces;
    int32_t reserved; /* 0 */
    /* largest number of labels of a sample, for lstm_session_loss with CTC; default 0 = no CTC.
     * Takes (steps + 6) * (2 * min(labels, steps) + 3) floats a thread */
    int64_t labels;
    /* LSTM_YES, with training: LSTM layers keep the states at some steps of a long sequence instead
     * of the whole tape, and backward runs the steps between them forward again. The same results to
     * the bit, up to a third more time, and memory for the tape that grows with the square root of
     * the steps (docs/design/recomputation.md). Layers whose tape is short anyway, other cells, LSTMs
     * with projections, peepholes and the like, and sessions with `traces` do as without. Default
     * LSTM_NO */
    int32_t recompute;
    int32_t reserved_2; /* 0 */
} lstm_session_options;

/* Plan a built model for calls of up to `batch` samples and `steps` steps. Returns LSTM_OK,
 * LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_session_create(lstm_session **out, lstm_model *model,
                                         const lstm_session_options *options);
LSTM_API void lstm_session_destroy(lstm_session *session);

/* Return the bytes this session holds (state, tape, gradients and scratch; not the model's
 * parameters). */
LSTM_API size_t lstm_session_memory_size(const lstm_session *session);

/* Run the network on data's inputs. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE (a
 * count, or more samples or steps than planned). */
LSTM_API lstm_status lstm_session_forward(lstm_session *session, const lstm_data *data);

/* ---- Stateful layers: h and c are carried from each forward of a session to the next, sample k's
 * to sample k, until they are reset. The model holds no states: any number of sessions carry their
 * own. lstm_fit and lstm_evaluate carry them from batch to batch and begin each epoch with zeros
 * (use shuffle = LSTM_NO); lstm_predict begins every sample with zeros.
 *
 * reset: the next forward begins with zeros, and may have another number of samples. get, set: copy
 * the states of one stateful layer out of / into the session, to save and restore a stream.
 *   h, c   [out]/[in] [samples][units] (h of an LSTM with a projection: [samples][proj_size]); get:
 *          NULL = not wanted
 *   count  [in] of h: samples * units, or samples * proj_size
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (not stateful, another model's), LSTM_ERROR_STATE (get:
 * nothing carried yet), LSTM_ERROR_SHAPE (count). */
LSTM_API lstm_status lstm_session_reset_states(lstm_session *session);
LSTM_API lstm_status lstm_session_get_states(const lstm_session *session, const lstm_layer *layer,
                                             float *h, float *c, size_t count);
LSTM_API lstm_status lstm_session_set_states(lstm_session *session, const lstm_layer *layer,
                                             const float *h, const float *c, size_t count);

/* Copy output `index` of the latest forward, in the layout of its data. Returns LSTM_OK,
 * LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no forward yet), LSTM_ERROR_SHAPE (count). */
LSTM_API lstm_status lstm_session_output(const lstm_session *session, size_t index, float *values,
                                         size_t count);

/* Copy what a layer computed inside itself in the latest forward, also after backward: the gates and
 * states of a recurrent layer (with `traces` in the session's options), or the weights with which
 * an attention layer's queries see its keys.
 *   layer   [in]  of the session's model. The two layers of a Bidirectional: lstm_bidirectional_parts
 *   which   [in]  LSTM_TRACE_*: an LSTM has i, f, g, o, c, h; a GRU r, z, g, h; a SimpleRNN h;
 *                 Attention, AdditiveAttention and MultiHeadAttention attention
 *   values  [out] recurrent: a row of units for each sample and step in the layout of the data, at
 *                 the step whose x it belongs to, whichever direction the layer goes. Steps that are
 *                 masked have the states held, and the gates that hold them: f and z 1, the others
 *                 0. Attention: [samples][heads][queries][keys], heads 1 where there are none
 *   count   [in]  lstm_session_trace_count
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (another model's layer; it has no such trace; no traces are
 * kept), LSTM_ERROR_STATE (no forward yet), LSTM_ERROR_SHAPE (count). */
LSTM_API lstm_status lstm_session_trace(const lstm_session *session, const lstm_layer *layer,
                                        int32_t which, float *values, size_t count);

/* Return the number of values that lstm_session_trace gives, 0 where it gives none. */
LSTM_API size_t lstm_session_trace_count(const lstm_session *session, const lstm_layer *layer,
                                         int32_t which);

/* Compute the loss of the latest forward against data's targets, and the gradient of that loss at
 * the outputs.
 *   options  [in]  NULL = MSE
 *   loss     [out] may be NULL. The sum over outputs
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT (also a class number out of range: names sample, step and
 * value), LSTM_ERROR_STATE (no forward yet), LSTM_ERROR_SHAPE. */
LSTM_API lstm_status lstm_session_loss(lstm_session *session, const lstm_loss_options *options,
                                       const lstm_data *data, double *loss);

/* Instead of a loss: give the gradient at output `index` yourself, in the layout and shape of the
 * output. Outputs not set since the latest forward count as zero. Returns LSTM_OK,
 * LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no forward yet, not for training), LSTM_ERROR_SHAPE. */
LSTM_API lstm_status lstm_session_set_output_gradient(lstm_session *session, size_t index,
                                                      const float *values, size_t count);

/* Compute the gradients of all parameters and inputs. They replace those of the call before.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not for training; no loss or output
 * gradient yet). */
LSTM_API lstm_status lstm_session_backward(lstm_session *session);

/* Copy the gradient of parameter `index` (shape as lstm_model_parameter_info) / of input `index`
 * (shape as given). Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no backward yet),
 * LSTM_ERROR_SHAPE (count). */
LSTM_API lstm_status lstm_session_parameter_gradient(const lstm_session *session, size_t index,
                                                     float *values, size_t count);
LSTM_API lstm_status lstm_session_input_gradient(const lstm_session *session, size_t index,
                                                 float *values, size_t count);

/* Clip and apply the session's gradients to the parameters of the model. Returns LSTM_OK,
 * LSTM_ERROR_ARGUMENT (another model's session), LSTM_ERROR_STATE (no backward yet),
 * LSTM_ERROR_NUMERIC (a gradient is NaN or infinite: names the parameter; nothing is changed).
 * Allocates nothing. */
LSTM_API lstm_status lstm_optimizer_step(lstm_optimizer *optimizer, lstm_session *session);

/* ---- Gradient check: is the way back the derivative of the way forth?
 *
 * For each parameter the change of the loss along `directions` random directions, and along the
 * gradient itself, is compared with what the gradient says. In floats a sound model is within about
 * 1e-3; an activation with a kink (relu) or a pooling maximum that changes hands on the way can be
 * off by more, which a smaller step shows. Dropout and noise stay the same in all passes. Meant for
 * small data (the passes are 4 (directions + 1) a parameter) and for those who write layers of
 * their own. */
typedef struct lstm_gradient_check_options {
    uint32_t struct_size;
    int32_t directions; /* default 3 */
    double step;        /* length of a move of a parameter (the norm of its change); default 0.02 */
    double tolerance;   /* of |difference| / norm of the gradient; default 0.01 */
    uint64_t seed;      /* of the directions; default 0 */
} lstm_gradient_check_options;

/* Check a model with a loss on data.
 *   loss     [in]  NULL = MSE
 *   options  [in]  NULL = defaults
 *   errors   [out] for each parameter the largest error found, relative to the norm of its gradient (or to a
 *                  thousandth of the largest norm or of the loss, if that is more); 0 for statistics. `count` entries,
 *                  one a parameter; may be NULL. Filled in with LSTM_ERROR_NUMERIC too
 * Returns LSTM_OK, LSTM_ERROR_NUMERIC (names the parameter that is off most, and its layer),
 * LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (not built), LSTM_ERROR_SHAPE, LSTM_ERROR_MEMORY. Threads:
 * the model is changed while the call runs, and is as before afterwards, to the bit. */
LSTM_API lstm_status lstm_gradient_check(lstm_model *model, const lstm_loss_options *loss,
                                         const lstm_data *data,
                                         const lstm_gradient_check_options *options, double *errors,
                                         size_t count);

/* ---- Checkpoints of manual loops: parameters, optimizer and a number of your own, to the bit.
 * save: atomic as lstm_model_save. load: the model and optimizer must be of the same kind and shape as those saved;
 * nothing is changed on failure.
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_IO, LSTM_ERROR_FORMAT (damaged; another model's: says what differs),
 * LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_checkpoint_save(const char *path, const lstm_model *model,
                                          const lstm_optimizer *optimizer, int64_t position);
LSTM_API lstm_status lstm_checkpoint_load(const char *path, lstm_model *model,
                                          lstm_optimizer *optimizer, int64_t *position);

/* ===============================================================================================================
 * Primitive: one LSTM layer on your own arrays
 *
 * For those who have a network of their own and want only a fast LSTM. The caller owns weights,
 * states and gradients; the primitive owns the plan, the tape and scratch. Sequences are time
 * first, [steps][batch][...].
 *
 * Weights are one matrix W [H + I][4H], rows h then x, columns i, f, g, o, and a bias [4H] (NULL =
 * none). A forward that is given weights copies them into the form in which they are multiplied,
 * which costs about as much as two or three steps of one sample. While they stay the same, give
 * NULL: forward then uses the copy of the call before.
 *
 * Ownership: the caller's. Threads: one at a time.
 * ===============================================================================================================
 */

typedef struct lstm_primitive lstm_primitive;

typedef struct lstm_primitive_options {
    uint32_t struct_size;
    int32_t training;     /* LSTM_YES: forward keeps the tape for backward; default LSTM_NO */
    int64_t input_size;   /* I > 0 */
    int64_t hidden_size;  /* H > 0 */
    int64_t batch, steps; /* largest in a call, > 0 */
    int32_t route;        /* LSTM_ROUTE_*; default: chosen for the shape */
    int32_t reserved;     /* 0 */
    /* LSTM_YES, with training: as in lstm_session_options, where that saves half of the tape or more.
     * Backward then reads x again, which must be that of the forward. Default LSTM_NO */
    int32_t recompute;
    int32_t reserved_2; /* 0 */
} lstm_primitive_options;
#define LSTM_ROUTE_CONCAT 1 /* one product [h, x] W a step */
/* x times its rows of W for all steps at once, h times its rows in the loop */
#define LSTM_ROUTE_SPLIT 2

/* Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_primitive_create(lstm_primitive **out, lstm_context *context,
                                           const lstm_primitive_options *options);
LSTM_API void lstm_primitive_destroy(lstm_primitive *primitive);

/* Return the bytes the primitive holds, and the route chosen (LSTM_ROUTE_*). NULL gives 0. */
LSTM_API size_t lstm_primitive_memory_size(const lstm_primitive *primitive);
LSTM_API int32_t lstm_primitive_route(const lstm_primitive *primitive);

/* Arrays of one call. Members marked * may be NULL. */
typedef struct lstm_primitive_arrays {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    /* of this call, 1 up to the planned; backward: as in the forward before */
    int64_t batch, steps;
    /* [H + I][4H]; NULL = weights and bias of the forward before (the first needs them). backward
     * always uses those of its forward */
    const float *weights;
    const float *bias;    /* [4H]; NULL = zeros. Must be NULL where weights is */
    const float *x;       /* [steps][batch][I] */
    const float *h0, *c0; /* [batch][H]; NULL = zeros */
    float *y;             /* [steps][batch][H]: every output */
    float *hn, *cn;       /* [batch][H]: the last states */
    /* backward only */
    const float *dy;         /* * gradient at y; NULL = zero */
    const float *dhn, *dcn;  /* * gradients at hn and cn; NULL = zero */
    float *dx;               /* [steps][batch][I] */
    float *dweights, *dbias; /* * overwritten */
    float *dh0, *dc0;        /* [batch][H] */
} lstm_primitive_arrays;

/* Run the layer over `steps` steps. Allocates nothing. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_SHAPE (batch or steps beyond the plan), LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_primitive_forward(lstm_primitive *primitive,
                                            const lstm_primitive_arrays *arrays);

/* Back-propagate through the latest forward (same batch, steps, weights, bias). Uses up its tape.
 * Allocates nothing. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no forward, tape used
 * up, not for training), LSTM_ERROR_SHAPE (not the forward's batch or steps),
 * LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_primitive_backward(lstm_primitive *primitive,
                                             const lstm_primitive_arrays *arrays);

/* ===============================================================================================================
 * CTC on your own arrays
 *
 * For those who have a network of their own: the loss of label sequences without known places
 * (LSTM_LOSS_CTC says what it is) and its gradient. lstm_fit, lstm_evaluate and lstm_session_loss
 * need none of this.
 *
 * Ownership: the caller's. Threads: one at a time.
 * ===============================================================================================================
 */

typedef struct lstm_ctc lstm_ctc;

typedef struct lstm_ctc_options {
    uint32_t struct_size;
    int32_t blank;        /* as lstm_loss_options.ctc_blank; default 0 */
    int64_t classes;      /* C > 0, the blank among them */
    int64_t batch, steps; /* largest in a call, > 0 */
    int64_t labels;       /* largest number of labels of a sample */
    /* LSTM_YES (default): softmax is part of the loss. LSTM_NO: x holds logarithms of probabilities
     * and the gradient is that of the logarithms (PyTorch's backward passes on what belongs before
     * its log_softmax; behind one both give the same) */
    int32_t from_logits;
    int32_t zero_infinity; /* as lstm_loss_options.ctc_zero_infinity */
    int32_t reduction;     /* LSTM_REDUCTION_MEAN (default), _SUM or _MEAN_PER_LABEL */
    int32_t no_gradient;   /* LSTM_YES: losses only, in less memory; default LSTM_NO */
} lstm_ctc_options;

/* Plan calls of up to so many samples, steps and labels. All memory is allocated here. Returns
 * LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_ctc_create(lstm_ctc **out, lstm_context *context,
                                     const lstm_ctc_options *options);
LSTM_API void lstm_ctc_destroy(lstm_ctc *ctc);

/* Arrays of one call. Members marked * may be NULL. */
typedef struct lstm_ctc_arrays {
    uint32_t struct_size;
    int32_t layout;               /* LSTM_LAYOUT_*, of x and gradient; default batch first */
    int64_t batch, steps;         /* of this call */
    const float *x;               /* [batch][steps][classes] */
    const int32_t *lengths;       /* * [batch]: steps of each sample; NULL = all */
    const int32_t *labels;        /* [batch][label_steps]; * if label_steps is 0 */
    int64_t label_steps;          /* any number */
    const int32_t *label_lengths; /* * [batch]; NULL = up to the first negative label */
    double *losses;               /* * [batch]: of each sample, not reduced */
    float *gradient;              /* * as x: of the reduced loss; steps that are not there get 0 */
} lstm_ctc_arrays;

/* Compute the losses.
 *   loss  [out] the reduced loss; NULL = not wanted
 * A sample without an alignment has an infinite loss and a gradient of NaN, or with zero_infinity 0
 * both. Allocates nothing. Returns LSTM_OK, LSTM_ERROR_ARGUMENT (a label is out of range or the
 * blank: names sample and position), LSTM_ERROR_SHAPE (batch, steps or labels beyond the plan),
 * LSTM_ERROR_STATE (a gradient is wanted, but no_gradient was set), LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_ctc_loss(lstm_ctc *ctc, const lstm_ctc_arrays *arrays, double *loss);

/* ===============================================================================================================
 * Decoding: from a network's outputs to sequences of labels
 *
 * CTC's outputs:      lstm_ctc_greedy, lstm_ctc_beam_search
 * The next token:     lstm_beam_search with any step function, lstm_session_search with a network
 * Drawn at random:    lstm_sampler, lstm_session_sample with a network
 *
 * docs/decoding.md has the definitions and examples.
 * ===============================================================================================================
 */

/* ---- CTC */

typedef struct lstm_ctc_decode_options {
    uint32_t struct_size;
    int32_t blank;       /* as lstm_loss_options.ctc_blank; default 0 */
    int64_t classes;     /* C > 0 */
    int32_t layout;      /* LSTM_LAYOUT_*, of x; default batch first */
    int32_t from_logits; /* LSTM_NO: x holds logarithms of probabilities; default LSTM_YES */
    /* Of the beam search: prefixes kept from step to step; default 16 */
    int64_t beam_width;
    int64_t top_paths; /* label sequences wanted, at most beam_width; default 1 */
    /* Added to a prefix' logarithm for each label: more than 0 favours long sequences; default 0 */
    double label_bonus;
    /* [C][C], added when a label (second index) follows another (first; the blank's row for the
     * first label): logarithms of a bigram model, times a weight of your own. NULL = none */
    const float *bigrams;
    size_t bigram_count; /* C * C */
    /* Return what is added when `next` follows `labels`. Called on the calling thread, again and
     * again for the same prefix. NULL = none */
    double (*score)(void *user, const int32_t *labels, size_t count, int32_t next);
    void *score_user;
} lstm_ctc_decode_options;

/* Arrays of one call. Members marked * may be NULL. */
typedef struct lstm_ctc_decode_arrays {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    int64_t batch, steps;
    const float *x;         /* [batch][steps][C] */
    const int32_t *lengths; /* * [batch]: steps of each sample; NULL = all */
    /* [out] [batch][top_paths][steps] (greedy: one path), best first, -1 behind the last label */
    int32_t *labels;
    size_t labels_count;    /* places in labels */
    int32_t *label_lengths; /* [out] * [batch][top_paths] */
    /* [out] * [batch][top_paths]: logarithms. Greedy: of the best path's probability. Beam search:
     * of the sum over all paths that were kept, with bonus and scores; -infinity and no labels
     * where there are fewer sequences than wanted */
    double *scores;
} lstm_ctc_decode_arrays;

/* Take the most likely class of each step, join repeats, take out blanks (Graves et al. 2006, best
 * path). Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE (labels_count),
 * LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. Threads: any number of calls. */
LSTM_API lstm_status lstm_ctc_greedy(lstm_context *context, const lstm_ctc_decode_options *options,
                                     const lstm_ctc_decode_arrays *arrays);

/* Prefix beam search (Graves 2012; Hannun et al. 2014): label sequences with the largest sum over
 * all their paths. With a beam as wide as there are prefixes the scores are exact: minus CTC's loss
 * of these labels. Samples are shared among the context's threads, unless there is a score
 * function. Returns as lstm_ctc_greedy. */
LSTM_API lstm_status lstm_ctc_beam_search(lstm_context *context,
                                          const lstm_ctc_decode_options *options,
                                          const lstm_ctc_decode_arrays *arrays);

/* ---- Networks that predict the next token */

/* What the sum of the logarithms of a sequence of n tokens (the end token counts) is divided by. */
#define LSTM_LENGTH_NONE 1    /* 1 */
#define LSTM_LENGTH_GNMT 2    /* ((5 + n) / 6)^alpha (Wu et al. 2016), the default */
#define LSTM_LENGTH_AVERAGE 3 /* n^alpha */

/* Predict what follows: for hypothesis k of `count`, which is hypothesis from[k] of the step before
 * with token tokens[k] behind it, write the next token's `classes` logits to logits + k * classes.
 * At step 0 there is one hypothesis, its token is the start token. A status other than LSTM_OK
 * ends the search with that status. */
typedef lstm_status (*lstm_beam_step)(void *user, int64_t step, size_t count, const int32_t *tokens,
                                      const int32_t *from, float *logits);

typedef struct lstm_beam_options {
    uint32_t struct_size;
    int32_t length_penalty; /* LSTM_LENGTH_* */
    int64_t classes;        /* C > 0; lstm_session_search: 0 = the output's features */
    int64_t beam_width;     /* living hypotheses, and finished ones kept; default 4 */
    int64_t top_paths;      /* wanted, at most beam_width; default 1 */
    int64_t max_steps;      /* largest number of tokens, > 0 */
    int32_t start_token;    /* given to the first step */
    int32_t end_token;      /* ends a sequence; negative = none: all have max_steps tokens */
    double alpha;           /* default 0.6 (GNMT), 1 (average); negative values are taken as such */
    int32_t from_logits;    /* LSTM_NO: logarithms of probabilities; default LSTM_YES */
    int32_t reserved;       /* 0 */
} lstm_beam_options;

/* Find the sequences of tokens with the largest score (sum of logarithms / penalty of the length).
 *   tokens   [out] [top_paths][max_steps], best first, the end token among them, -1 behind it
 *   count    [in]  places in tokens
 *   lengths  [out] [top_paths]: numbers of tokens, 0 where there are fewer sequences than wanted
 *   scores   [out] [top_paths], -infinity there; NULL = not wanted
 * The search ends when no living hypothesis can become better than the finished ones, or at
 * max_steps, where the living are finished as they are. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_SHAPE, LSTM_ERROR_MEMORY, or what `step` returned. */
LSTM_API lstm_status lstm_beam_search(lstm_context *context, const lstm_beam_options *options,
                                      lstm_beam_step step, void *user, int32_t *tokens,
                                      size_t count, int32_t *lengths, double *scores);

/* The same with a network as the step: a session of beam_width samples or more, whose model has
 * stateful recurrent layers, one input (a sequence of token numbers where its features are 1, of
 * one-hot rows where they are `classes`) and one output of `classes` logits (a softmax layer's
 * probabilities are taken back to logarithms). The search starts from the states that the session
 * carries, of one sample (lstm_session_set_states, or a forward of the source), or from zeros, and
 * leaves states of no meaning. Returns as lstm_beam_search, and LSTM_ERROR_STATE (no stateful
 * layer). Threads: the session's. */
LSTM_API lstm_status lstm_session_search(lstm_session *session, const lstm_beam_options *options,
                                         int32_t *tokens, size_t count, int32_t *lengths,
                                         double *scores);

/* ---- Sampling
 *
 * Ownership: the caller's. Threads: one at a time. */

typedef struct lstm_sampler lstm_sampler;

typedef struct lstm_sampler_options {
    uint32_t struct_size;
    int32_t reserved; /* 0 */
    int64_t classes;  /* C > 0 */
    /* logits are divided by it; default 1; negative = 0: the most likely token */
    double temperature;
    int64_t top_k; /* only the k most likely; default 0 = all */
    /* of these the fewest whose probabilities add up to p, 0 < p <= 1 (nucleus sampling, Holtzman et
     * al. 2020); default 1 */
    double top_p;
    uint64_t seed; /* draw n depends on the seed, n and the logits, and on nothing else */
} lstm_sampler_options;

/* Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_sampler_create(lstm_sampler **out, lstm_context *context,
                                         const lstm_sampler_options *options);
LSTM_API void lstm_sampler_destroy(lstm_sampler *sampler);

/* Draw a token from logits [C]. Allocates nothing. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_SHAPE (count is not C), LSTM_ERROR_NUMERIC (no logit is a number above -infinity). */
LSTM_API lstm_status lstm_sampler_draw(lstm_sampler *sampler, const float *logits, size_t count,
                                       int32_t *token);

/* Return the number of draws done (NULL gives 0) / set it, to go on where another sampler was. set
 * returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API uint64_t lstm_sampler_position(const lstm_sampler *sampler);
LSTM_API lstm_status lstm_sampler_set_position(lstm_sampler *sampler, uint64_t position);

/* Let a network go on writing: feed it `prompt`, then draw token after token and feed it each. The
 * session's model is as for lstm_session_search. States are carried: a second call goes on where
 * the first ended (its prompt is then the last token drawn); lstm_session_reset_states starts anew.
 *   prompt     [in]  prompt_count >= 1 tokens
 *   end_token  [in]  drawing it ends the sequence; negative = none
 *   tokens     [out] `count` places: what was drawn, the end token among it, -1 behind it
 *   length     [out] number of tokens drawn
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_STATE (no stateful layer), LSTM_ERROR_SHAPE,
 * LSTM_ERROR_NUMERIC, LSTM_ERROR_MEMORY. Threads: the session's and the sampler's. */
LSTM_API lstm_status lstm_session_sample(lstm_session *session, lstm_sampler *sampler,
                                         const int32_t *prompt, size_t prompt_count,
                                         int32_t end_token, int32_t *tokens, size_t count,
                                         size_t *length);

/* ===============================================================================================================
 * Metrics of your own arrays. Threads: any number of calls.
 * ===============================================================================================================
 */

/* Count pairs of classes: matrix [classes][classes], rows are actual, columns predicted. Returns
 * LSTM_OK, LSTM_ERROR_ARGUMENT (a class out of range: its place and number), LSTM_ERROR_SHAPE. */
LSTM_API lstm_status lstm_confusion_matrix(const int32_t *actual, const int32_t *predicted,
                                           size_t count, size_t classes, int64_t *matrix,
                                           size_t matrix_count);

/* Compute precision, recall and F1 from a confusion matrix.
 *   scores  [out] [classes + 3][3]: of each class, then micro, macro (over the classes that are
 *           seen) and weighted (by actual counts) means; columns precision, recall, F1; 0 for 0 / 0
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE. */
LSTM_API lstm_status lstm_confusion_scores(const int64_t *matrix, size_t classes, double *scores,
                                           size_t score_count);

/* The part of the rows whose actual class is among the k with the largest scores [rows][classes]; of
 * equals the lower class is first. Returns LSTM_OK, LSTM_ERROR_ARGUMENT. */
LSTM_API lstm_status lstm_top_k_accuracy(const float *scores, const int32_t *actual, size_t rows,
                                         size_t classes, size_t k, double *accuracy);

/* The smallest number of insertions, deletions and substitutions that make a into b (Levenshtein
 * 1966). Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_edit_distance(lstm_context *context, const int32_t *a, size_t a_count,
                                        const int32_t *b, size_t b_count, size_t *distance);

#define LSTM_UNIT_CHARACTER 1 /* Unicode code points */
#define LSTM_UNIT_WORD 2      /* what stands between white space */

/* Count the errors of a text (UTF-8) against a reference: errors / units is the character error rate
 * (CER) or the word error rate (WER); add both up over many texts before dividing.
 *   errors  [out] edit distance     units  [out] characters or words of the reference
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_text_errors(lstm_context *context, const char *reference,
                                      const char *text, int32_t unit, size_t *errors,
                                      size_t *units);

/* ===============================================================================================================
 * Archive: named arrays in files (.npy, .npz, .safetensors)
 *
 * Ownership: the caller's. Threads: one at a time.
 * ===============================================================================================================
 */

typedef struct lstm_archive lstm_archive;

typedef struct lstm_array_info {
    uint32_t struct_size; /* [in] set it before the call */
    int32_t rank;         /* 0 to 8 */
    int64_t shape[8];
    size_t count;
    const char *name;  /* Ownership: the archive's. A .npy file's array is called "array" */
    const float *data; /* row-major, converted to float. Ownership: the archive's */
} lstm_array_info;

/* Create an empty archive. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_archive_create(lstm_archive **out, lstm_context *context);
LSTM_API void lstm_archive_destroy(lstm_archive *archive);

/* Read every array of a .npy, .npz or .safetensors file, or the initializers of an ONNX model
 * (recognised by content): float16, bfloat16,
 * float32, float64, integers and bool of 1 to 8 bytes, either byte order, C or Fortran order. No
 * file, however damaged, is read outside its bounds; no header makes the reader allocate more than
 * the data it describes needs. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_IO,
 * LSTM_ERROR_FORMAT, LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_archive_load(lstm_archive **out, lstm_context *context, const char *path);

/* Return the number of arrays. NULL gives 0. */
LSTM_API size_t lstm_archive_count(const lstm_archive *archive);

/* Describe array `index` / the array called `name`. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_NOT_FOUND (names what there is), LSTM_ERROR_UNSUPPORTED. */
LSTM_API lstm_status lstm_archive_get(const lstm_archive *archive, size_t index,
                                      lstm_array_info *info);
LSTM_API lstm_status lstm_archive_find(const lstm_archive *archive, const char *name,
                                       lstm_array_info *info);

/* Copy an array into the archive under a name that is not taken. Returns LSTM_OK,
 * LSTM_ERROR_ARGUMENT, LSTM_ERROR_SHAPE (count is not the product of shape), LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_archive_add(lstm_archive *archive, const char *name, int32_t rank,
                                      const int64_t *shape, const float *data, size_t count);

/* Write the archive in the format of the path's suffix: .npy (exactly one array), .npz,
 * .safetensors. Atomic as lstm_model_save. Returns LSTM_OK, LSTM_ERROR_ARGUMENT (unknown suffix),
 * LSTM_ERROR_SHAPE (.npy with several arrays), LSTM_ERROR_IO, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_archive_save(const lstm_archive *archive, const char *path);

/* ===============================================================================================================
 * Table: columns of a CSV file
 *
 * RFC 4180 with a header line: commas (or semicolons or tabs, found from the header), quotes, LF or
 * CRLF, a UTF-8 byte-order mark is skipped. Numbers are read in full double precision, independent
 * of the locale. The file is streamed: memory is that of the columns kept, 8 bytes a value.
 *
 * Ownership: the caller's. Threads: one at a time.
 * ===============================================================================================================
 */

typedef struct lstm_table lstm_table;

#define LSTM_COLUMN_NUMBER 1
/* ISO 8601 date with optional time; the value is seconds since 1970-01-01 (UTC) */
#define LSTM_COLUMN_DATE 2
#define LSTM_COLUMN_TEXT 3 /* neither; no values are kept */

typedef struct lstm_table_options {
    uint32_t struct_size;
    /* LSTM_YES: the first line is data, columns are called "0", "1", ...; default LSTM_NO */
    int32_t no_header;
    /* keep the values of these only (the others are checked for number of fields) */
    const char *const *columns;
    size_t column_count; /* 0 = keep all */
    /* LSTM_YES: an empty field, NA or NaN in a number column is kept as NaN; default: error */
    int32_t allow_missing;
    int32_t reserved; /* 0 */
} lstm_table_options;

/* Read a CSV file. A column's kind is that of its first non-empty field; a later field that does
 * not suit it is an error that names row (line number in the file), column and text, unless the
 * column is a text column. Infinite numbers are errors. Returns LSTM_OK, LSTM_ERROR_ARGUMENT,
 * LSTM_ERROR_IO, LSTM_ERROR_FORMAT (empty, ragged row, text in a number column, unclosed quote,
 * duplicate column name), LSTM_ERROR_NOT_FOUND (a column asked for is not there: names those that
 * are), LSTM_ERROR_UNSUPPORTED, LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_table_load_csv(lstm_table **out, lstm_context *context, const char *path,
                                         const lstm_table_options *options);
LSTM_API void lstm_table_destroy(lstm_table *table);

/* Return the number of rows (without the header) / columns. NULL gives 0. */
LSTM_API size_t lstm_table_rows(const lstm_table *table);
LSTM_API size_t lstm_table_columns(const lstm_table *table);

/* Return a column's name / kind (LSTM_COLUMN_*) / values (one a row; NULL if not kept). NULL or 0
 * outside. Ownership: the table's. */
LSTM_API const char *lstm_table_column_name(const lstm_table *table, size_t column);
LSTM_API int32_t lstm_table_column_kind(const lstm_table *table, size_t column);
LSTM_API const double *lstm_table_column_values(const lstm_table *table, size_t column);

/* Return the line of the file in which a row stands (from 1), for messages; 0 outside. */
LSTM_API size_t lstm_table_line(const lstm_table *table, size_t row);

/* Find a column by its name. Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_NOT_FOUND (names
 * those that are). */
LSTM_API lstm_status lstm_table_find_column(const lstm_table *table, const char *name,
                                            size_t *column);

/* ===============================================================================================================
 * Linear algebra for baselines
 * ===============================================================================================================
 */

/* Least squares by LAPACK's rank-revealing dgelsy: find `coefficients` [columns][targets] with the
 * smallest |x coefficients - y|. Columns that depend on others get the smallest solution.
 *   x  [in] [rows][columns], rows >= columns >= 1        y  [in] [rows][targets], targets >= 1
 * Returns LSTM_OK, LSTM_ERROR_ARGUMENT, LSTM_ERROR_NUMERIC (NaN or infinite values),
 * LSTM_ERROR_MEMORY. */
LSTM_API lstm_status lstm_least_squares(lstm_context *context, const double *x, size_t rows,
                                        size_t columns, const double *y, size_t targets,
                                        double *coefficients);

#ifdef __cplusplus
}
#endif
#endif
