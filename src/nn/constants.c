/* SPDX-License-Identifier: MIT
 * The name tables of the public constants. Keras' names come first, its class names and PyTorch's
 * as aliases.
 */
#include "constants.h"

#include <stddef.h>

static const lstm__name profiles[] = {{"keras", LSTM_PROFILE_KERAS},
                                      {"torch", LSTM_PROFILE_TORCH},
                                      {"pytorch", LSTM_PROFILE_TORCH},
                                      {NULL, 0}};

static const lstm__name levels[] = {{"generic", LSTM_ISA_GENERIC},
                                    {"avx2", LSTM_ISA_AVX2},
                                    {"avx512", LSTM_ISA_AVX512},
                                    {"neon", LSTM_ISA_NEON},
                                    {NULL, 0}};

static const lstm__name activations[] = {
    {"linear", LSTM_ACTIVATION_LINEAR},
    {"tanh", LSTM_ACTIVATION_TANH},
    {"sigmoid", LSTM_ACTIVATION_SIGMOID},
    {"relu", LSTM_ACTIVATION_RELU},
    {"softmax", LSTM_ACTIVATION_SOFTMAX},
    {"elu", LSTM_ACTIVATION_ELU},
    {"softplus", LSTM_ACTIVATION_SOFTPLUS},
    {"softsign", LSTM_ACTIVATION_SOFTSIGN},
    {"exponential", LSTM_ACTIVATION_EXPONENTIAL},
    {"hard_sigmoid", LSTM_ACTIVATION_HARD_SIGMOID},
    {"hard_sigmoid_keras2", LSTM_ACTIVATION_HARD_SIGMOID_KERAS2},
    {NULL, 0}};

static const lstm__name traces[] = {{"input gate", LSTM_TRACE_INPUT_GATE},
                                    {"i", LSTM_TRACE_INPUT_GATE},
                                    {"forget gate", LSTM_TRACE_FORGET_GATE},
                                    {"f", LSTM_TRACE_FORGET_GATE},
                                    {"candidate", LSTM_TRACE_CANDIDATE},
                                    {"g", LSTM_TRACE_CANDIDATE},
                                    {"output gate", LSTM_TRACE_OUTPUT_GATE},
                                    {"o", LSTM_TRACE_OUTPUT_GATE},
                                    {"cell", LSTM_TRACE_CELL},
                                    {"c", LSTM_TRACE_CELL},
                                    {"output", LSTM_TRACE_OUTPUT},
                                    {"h", LSTM_TRACE_OUTPUT},
                                    {"reset gate", LSTM_TRACE_RESET_GATE},
                                    {"r", LSTM_TRACE_RESET_GATE},
                                    {"update gate", LSTM_TRACE_UPDATE_GATE},
                                    {"z", LSTM_TRACE_UPDATE_GATE},
                                    {"attention", LSTM_TRACE_ATTENTION},
                                    {NULL, 0}};

static const lstm__name losses[] = {
    {"mse", LSTM_LOSS_MSE},
    {"mean_squared_error", LSTM_LOSS_MSE},
    {"mae", LSTM_LOSS_MAE},
    {"mean_absolute_error", LSTM_LOSS_MAE},
    {"huber", LSTM_LOSS_HUBER},
    {"binary_crossentropy", LSTM_LOSS_BINARY_CROSSENTROPY},
    {"bce", LSTM_LOSS_BINARY_CROSSENTROPY},
    {"categorical_crossentropy", LSTM_LOSS_CATEGORICAL_CROSSENTROPY},
    {"cce", LSTM_LOSS_CATEGORICAL_CROSSENTROPY},
    {"sparse_categorical_crossentropy", LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY},
    {"scce", LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY},
    {"mape", LSTM_LOSS_MAPE},
    {"mean_absolute_percentage_error", LSTM_LOSS_MAPE},
    {"msle", LSTM_LOSS_MSLE},
    {"mean_squared_logarithmic_error", LSTM_LOSS_MSLE},
    {"log_cosh", LSTM_LOSS_LOG_COSH},
    {"logcosh", LSTM_LOSS_LOG_COSH},
    {"binary_focal_crossentropy", LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY},
    {"categorical_focal_crossentropy", LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY},
    {"kl_divergence", LSTM_LOSS_KL_DIVERGENCE},
    {"kld", LSTM_LOSS_KL_DIVERGENCE},
    {"poisson", LSTM_LOSS_POISSON},
    {"cosine_similarity", LSTM_LOSS_COSINE_SIMILARITY},
    {"cosine", LSTM_LOSS_COSINE_SIMILARITY},
    {"hinge", LSTM_LOSS_HINGE},
    {"squared_hinge", LSTM_LOSS_SQUARED_HINGE},
    {"categorical_hinge", LSTM_LOSS_CATEGORICAL_HINGE},
    {"quantile", LSTM_LOSS_QUANTILE},
    {"pinball", LSTM_LOSS_QUANTILE},
    {"gaussian_nll", LSTM_LOSS_GAUSSIAN_NLL},
    {"ctc", LSTM_LOSS_CTC},
    {"custom", LSTM_LOSS_CUSTOM},
    {NULL, 0}};

static const lstm__name metrics[] = {{"accuracy", LSTM_METRIC_ACCURACY},
                                     {"acc", LSTM_METRIC_ACCURACY},
                                     {"mae", LSTM_METRIC_MAE},
                                     {"mean_absolute_error", LSTM_METRIC_MAE},
                                     {"rmse", LSTM_METRIC_RMSE},
                                     {"root_mean_squared_error", LSTM_METRIC_RMSE},
                                     {"mse", LSTM_METRIC_MSE},
                                     {"mean_squared_error", LSTM_METRIC_MSE},
                                     {"label_error_rate", LSTM_METRIC_LABEL_ERROR_RATE},
                                     {"ler", LSTM_METRIC_LABEL_ERROR_RATE},
                                     {"precision", LSTM_METRIC_PRECISION},
                                     {"recall", LSTM_METRIC_RECALL},
                                     {"f1", LSTM_METRIC_F1},
                                     {"precision_micro", LSTM_METRIC_PRECISION_MICRO},
                                     {"recall_micro", LSTM_METRIC_RECALL_MICRO},
                                     {"f1_micro", LSTM_METRIC_F1_MICRO},
                                     {"top_5_accuracy", LSTM_METRIC_TOP_5_ACCURACY},
                                     {"perplexity", LSTM_METRIC_PERPLEXITY},
                                     {"bits_per_character", LSTM_METRIC_BITS_PER_CHARACTER},
                                     {"bpc", LSTM_METRIC_BITS_PER_CHARACTER},
                                     {NULL, 0}};

static const lstm__name optimizers[] = {
    {"sgd", LSTM_OPTIMIZER_SGD},         {"rmsprop", LSTM_OPTIMIZER_RMSPROP},
    {"adam", LSTM_OPTIMIZER_ADAM},       {"adamw", LSTM_OPTIMIZER_ADAMW},
    {"adagrad", LSTM_OPTIMIZER_ADAGRAD}, {"adadelta", LSTM_OPTIMIZER_ADADELTA},
    {"adamax", LSTM_OPTIMIZER_ADAMAX},   {"nadam", LSTM_OPTIMIZER_NADAM},
    {"radam", LSTM_OPTIMIZER_RADAM},     {"lion", LSTM_OPTIMIZER_LION},
    {"lbfgs", LSTM_OPTIMIZER_LBFGS},     {NULL, 0}};

static const lstm__name schedules[] = {
    {"constant", LSTM_SCHEDULE_CONSTANT},
    {"step", LSTM_SCHEDULE_STEP},
    {"StepLR", LSTM_SCHEDULE_STEP},
    {"exponential", LSTM_SCHEDULE_EXPONENTIAL},
    {"ExponentialDecay", LSTM_SCHEDULE_EXPONENTIAL},
    {"ExponentialLR", LSTM_SCHEDULE_EXPONENTIAL},
    {"cosine", LSTM_SCHEDULE_COSINE},
    {"CosineDecay", LSTM_SCHEDULE_COSINE},
    {"CosineAnnealingLR", LSTM_SCHEDULE_COSINE},
    {"cosine_restarts", LSTM_SCHEDULE_COSINE_RESTARTS},
    {"CosineDecayRestarts", LSTM_SCHEDULE_COSINE_RESTARTS},
    {"CosineAnnealingWarmRestarts", LSTM_SCHEDULE_COSINE_RESTARTS},
    {"one_cycle", LSTM_SCHEDULE_ONE_CYCLE},
    {"OneCycleLR", LSTM_SCHEDULE_ONE_CYCLE},
    {"plateau", LSTM_SCHEDULE_PLATEAU},
    {"ReduceLROnPlateau", LSTM_SCHEDULE_PLATEAU},
    {"callback", LSTM_SCHEDULE_CALLBACK},
    {NULL, 0}};

static const lstm__name reductions[] = {{"mean", LSTM_REDUCTION_MEAN},
                                        {"sum_over_batch_size", LSTM_REDUCTION_MEAN},
                                        {"sum", LSTM_REDUCTION_SUM},
                                        {"weighted_mean", LSTM_REDUCTION_WEIGHTED_MEAN},
                                        {"mean_with_sample_weight", LSTM_REDUCTION_WEIGHTED_MEAN},
                                        {"mean_per_label", LSTM_REDUCTION_MEAN_PER_LABEL},
                                        {NULL, 0}};

static const lstm__name constraints[] = {
    {"none", LSTM_CONSTRAINT_NONE},           {"max_norm", LSTM_CONSTRAINT_MAX_NORM},
    {"MaxNorm", LSTM_CONSTRAINT_MAX_NORM},    {"unit_norm", LSTM_CONSTRAINT_UNIT_NORM},
    {"UnitNorm", LSTM_CONSTRAINT_UNIT_NORM},  {"non_neg", LSTM_CONSTRAINT_NON_NEGATIVE},
    {"NonNeg", LSTM_CONSTRAINT_NON_NEGATIVE}, {NULL, 0}};

static const lstm__name initializers[] = {{"glorot_uniform", LSTM_INITIALIZER_GLOROT_UNIFORM},
                                          {"GlorotUniform", LSTM_INITIALIZER_GLOROT_UNIFORM},
                                          {"orthogonal", LSTM_INITIALIZER_ORTHOGONAL},
                                          {"OrthogonalInitializer", LSTM_INITIALIZER_ORTHOGONAL},
                                          {"zeros", LSTM_INITIALIZER_ZEROS},
                                          {"ones", LSTM_INITIALIZER_ONES},
                                          {"torch_uniform", LSTM_INITIALIZER_TORCH_UNIFORM},
                                          {"random_uniform", LSTM_INITIALIZER_RANDOM_UNIFORM},
                                          {"RandomUniform", LSTM_INITIALIZER_RANDOM_UNIFORM},
                                          {"uniform", LSTM_INITIALIZER_RANDOM_UNIFORM},
                                          {"random_normal", LSTM_INITIALIZER_RANDOM_NORMAL},
                                          {"normal", LSTM_INITIALIZER_RANDOM_NORMAL},
                                          {NULL, 0}};

static const lstm__name paddings[] = {{"valid", LSTM_PADDING_VALID},
                                      {"same", LSTM_PADDING_SAME},
                                      {"causal", LSTM_PADDING_CAUSAL},
                                      {NULL, 0}};

static const lstm__name scores[] = {
    {"dot", LSTM_SCORE_DOT}, {"concat", LSTM_SCORE_CONCAT}, {NULL, 0}};
static const lstm__name merges[] = {{"concat", LSTM_MERGE_CONCAT}, {"sum", LSTM_MERGE_SUM},
                                    {"mul", LSTM_MERGE_MUL},       {"ave", LSTM_MERGE_AVE},
                                    {"none", LSTM_MERGE_NONE},     {NULL, 0}};

static const lstm__name couplings[] = {{"none", LSTM_COUPLING_NONE},
                                       {"forget", LSTM_COUPLING_FORGET},
                                       {"input", LSTM_COUPLING_INPUT},
                                       {NULL, 0}};

static const lstm__name layer_norms[] = {{"none", LSTM_LAYER_NORM_NONE},
                                         {"ba", LSTM_LAYER_NORM_BA},
                                         {"fastrnns", LSTM_LAYER_NORM_FASTRNNS},
                                         {"tflite", LSTM_LAYER_NORM_TFLITE},
                                         {"tf", LSTM_LAYER_NORM_TF},
                                         {NULL, 0}};

const lstm__name *lstm__constant_names(int32_t set)
{
    switch (set) {
    case LSTM_NAMES_PROFILE:
        return profiles;
    case LSTM_NAMES_ISA:
        return levels;
    case LSTM_NAMES_ACTIVATION:
        return activations;
    case LSTM_NAMES_MERGE:
        return merges;
    case LSTM_NAMES_TRACE:
        return traces;
    case LSTM_NAMES_COUPLING:
        return couplings;
    case LSTM_NAMES_LAYER_NORM:
        return layer_norms;
    case LSTM_NAMES_LOSS:
        return losses;
    case LSTM_NAMES_METRIC:
        return metrics;
    case LSTM_NAMES_OPTIMIZER:
        return optimizers;
    case LSTM_NAMES_INITIALIZER:
        return initializers;
    case LSTM_NAMES_PADDING:
        return paddings;
    case LSTM_NAMES_SCORE:
        return scores;
    case LSTM_NAMES_SCHEDULE:
        return schedules;
    case LSTM_NAMES_REDUCTION:
        return reductions;
    case LSTM_NAMES_CONSTRAINT:
        return constraints;
    default:
        return NULL;
    }
}

const char *lstm__constant_name(int32_t set, int32_t value)
{
    const lstm__name *names = lstm__constant_names(set);
    for (size_t k = 0; names && names[k].name; k++)
        if (names[k].value == value)
            return names[k].name;
    return NULL;
}

lstm_status lstm__read_constant(int32_t *value, int32_t standard, int32_t set, const char *what)
{
    if (*value == 0)
        *value = standard;
    if (!lstm__constant_name(set, *value))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "%s is %d: expected one of the constants of lstm.h, or 0 for the default",
                          what, (int)*value);
    return LSTM_OK;
}

lstm_status lstm__constant_find(int32_t set, const char *name, int32_t *value)
{
    static const char *const kinds[] = {[LSTM_NAMES_PROFILE] = "profile",
                                        [LSTM_NAMES_ISA] = "instruction level",
                                        [LSTM_NAMES_ACTIVATION] = "activation",
                                        [LSTM_NAMES_LOSS] = "loss",
                                        [LSTM_NAMES_METRIC] = "metric",
                                        [LSTM_NAMES_OPTIMIZER] = "optimizer",
                                        [LSTM_NAMES_INITIALIZER] = "initializer",
                                        [LSTM_NAMES_SCHEDULE] = "schedule",
                                        [LSTM_NAMES_REDUCTION] = "reduction",
                                        [LSTM_NAMES_CONSTRAINT] = "constraint",
                                        [LSTM_NAMES_PADDING] = "padding",
                                        [LSTM_NAMES_SCORE] = "score mode",
                                        [LSTM_NAMES_MERGE] = "merge mode",
                                        [LSTM_NAMES_TRACE] = "trace",
                                        [LSTM_NAMES_COUPLING] = "coupling of gates",
                                        [LSTM_NAMES_LAYER_NORM] = "layer normalisation"};
    const lstm__name *names = lstm__constant_names(set);
    if (!names)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "set is %d: expected an LSTM_NAMES_* constant",
                          (int)set);
    const lstm__name *found = lstm__find_name(names, name);
    if (found) {
        *value = found->value;
        return LSTM_OK;
    }
    lstm__nearest nearest;
    lstm__nearest_start(&nearest, name);
    for (size_t k = 0; names[k].name; k++)
        lstm__nearest_offer(&nearest, names[k].name);
    return lstm__fail_unknown(&nearest, kinds[set]);
}
