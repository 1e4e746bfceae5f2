/* SPDX-License-Identifier: MIT
 * Losses over a batch: options, weights of rows, reduction. The formulas of single rows are in
 * losses_regression.c and losses_classes.c, a table here says which loss is which. CTC, whose rows
 * belong together, is in loss_ctc.c.
 *
 * Cross-entropy behind a softmax or sigmoid layer is taken through that layer at once: the gradient
 * at its input is p - y, which neither overflows nor loses digits; the port is marked `at_logits`
 * so that the layer passes it on as it is.
 *
 * A row of weight 0 is not looked at: its target may be anything.
 */
#include "losses.h"
#include "constants.h"
#include "loss_ctc.h"
#include "loss_rows.h"
#include "options.h"
#include "penalties.h"

#include <math.h>
#include <string.h>

/* ---- Table */

static const lstm__loss_rule rules[] = {
    {LSTM_LOSS_MSE, false, lstm__row_mse},
    {LSTM_LOSS_MAE, false, lstm__row_mae},
    {LSTM_LOSS_HUBER, false, lstm__row_huber},
    {LSTM_LOSS_BINARY_CROSSENTROPY, false, lstm__row_binary},
    {LSTM_LOSS_CATEGORICAL_CROSSENTROPY, true, lstm__row_categorical},
    {LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY, true, lstm__row_categorical},
    {LSTM_LOSS_MAPE, false, lstm__row_mape},
    {LSTM_LOSS_MSLE, false, lstm__row_msle},
    {LSTM_LOSS_LOG_COSH, false, lstm__row_log_cosh},
    {LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY, false, lstm__row_binary_focal},
    {LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, true, lstm__row_categorical_focal},
    {LSTM_LOSS_KL_DIVERGENCE, true, lstm__row_kl_divergence},
    {LSTM_LOSS_POISSON, false, lstm__row_poisson},
    {LSTM_LOSS_COSINE_SIMILARITY, true, lstm__row_cosine},
    {LSTM_LOSS_HINGE, false, lstm__row_hinge},
    {LSTM_LOSS_SQUARED_HINGE, false, lstm__row_squared_hinge},
    {LSTM_LOSS_CATEGORICAL_HINGE, true, lstm__row_categorical_hinge},
    {LSTM_LOSS_QUANTILE, false, lstm__row_quantile},
    {LSTM_LOSS_GAUSSIAN_NLL, false, lstm__row_gaussian},
    {LSTM_LOSS_CUSTOM, true, lstm__row_custom},
};

static const lstm__loss_rule *rule_of(const lstm__loss *loss)
{
    size_t k = 0;
    while (rules[k].kind != loss->kind)
        k++;
    return &rules[k];
}

/* ---- Options */

static bool smooths(int32_t kind)
{
    return kind == LSTM_LOSS_BINARY_CROSSENTROPY || kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY ||
           kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ||
           kind == LSTM_LOSS_BINARY_FOCAL_CROSSENTROPY ||
           kind == LSTM_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY;
}

static lstm_status read_quantiles(lstm__loss *loss, const lstm_loss_options *own)
{
    loss->quantile_count = 1;
    loss->quantiles[0] = 0.5f;
    if (own->quantile_count == 0 && !own->quantiles)
        return LSTM_OK;
    if (loss->kind != LSTM_LOSS_QUANTILE)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "quantiles are set, but the loss is %s",
                          lstm__constant_name(LSTM_NAMES_LOSS, loss->kind));
    if (!own->quantiles || own->quantile_count < 1 || own->quantile_count > LSTM__QUANTILES)
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "quantile_count is %zu: expected 1 to %d, and quantiles not NULL",
                          own->quantile_count, LSTM__QUANTILES);
    loss->quantile_count = own->quantile_count;
    for (size_t k = 0; k < own->quantile_count; k++) {
        loss->quantiles[k] = own->quantiles[k];
        if (!(own->quantiles[k] > 0 && own->quantiles[k] < 1))
            return lstm__fail(LSTM_ERROR_ARGUMENT, "quantile %zu is %g: expected 0 < q < 1", k,
                              (double)own->quantiles[k]);
    }
    return LSTM_OK;
}

static lstm_status read_ctc(lstm__loss *loss, const lstm_loss_options *own)
{
    if (loss->kind != LSTM_LOSS_CTC) {
        if (own->ctc_blank != 0 || own->ctc_zero_infinity != LSTM_NO)
            return lstm__fail(LSTM_ERROR_ARGUMENT, "%s is set, but the loss is %s",
                              own->ctc_blank != 0 ? "ctc_blank" : "ctc_zero_infinity",
                              lstm__constant_name(LSTM_NAMES_LOSS, loss->kind));
        if (loss->reduction == LSTM_REDUCTION_MEAN_PER_LABEL)
            return lstm__fail(LSTM_ERROR_ARGUMENT,
                              "the reduction mean_per_label belongs to CTC, but the loss is %s",
                              lstm__constant_name(LSTM_NAMES_LOSS, loss->kind));
        return LSTM_OK;
    }
    loss->blank = own->ctc_blank;
    loss->zero_infinity = own->ctc_zero_infinity == LSTM_YES;
    loss->log_probabilities = own->from_logits == LSTM_NO;
    loss->from_logits = own->from_logits == LSTM_YES;
    return LSTM_OK;
}

static lstm_status read_custom(lstm__loss *loss, const lstm_loss_options *own)
{
    if ((loss->kind == LSTM_LOSS_CUSTOM) != (own->custom != NULL))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "the loss is %s, but its function custom is %s",
                          lstm__constant_name(LSTM_NAMES_LOSS, loss->kind),
                          own->custom ? "set" : "NULL");
    if (own->custom_targets < 0)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "custom_targets is %lld: expected 0 or more",
                          (long long)own->custom_targets);
    loss->custom = own->custom;
    loss->custom_user = own->custom_user;
    loss->custom_targets = (size_t)own->custom_targets;
    return LSTM_OK;
}

lstm_status lstm__loss_read(lstm__loss *loss, const lstm_loss_options *options)
{
    lstm_loss_options own;
    RETURN_IF_ERROR(lstm__read_options(&own, sizeof own, options, "lstm_loss_options"));
    RETURN_IF_ERROR(lstm__read_constant(&own.loss, LSTM_LOSS_MSE, LSTM_NAMES_LOSS, "loss"));
    RETURN_IF_ERROR(lstm__read_constant(&own.reduction, LSTM_REDUCTION_MEAN, LSTM_NAMES_REDUCTION,
                                        "reduction"));
    /* of CTC 0 is neither: logits, or a softmax layer */
    if (own.loss != LSTM_LOSS_CTC || own.from_logits != 0)
        RETURN_IF_ERROR(lstm__read_flag(&own.from_logits, LSTM_NO, "from_logits"));
    RETURN_IF_ERROR(lstm__read_flag(&own.ctc_zero_infinity, LSTM_NO, "ctc_zero_infinity"));
    RETURN_IF_ERROR(lstm__read_flag(&own.focal_balanced, LSTM_NO, "focal_balanced"));
    own.huber_delta = own.huber_delta == 0 ? 1 : own.huber_delta;
    own.focal_gamma = own.focal_gamma == 0 ? 2 : own.focal_gamma < 0 ? 0 : own.focal_gamma;
    own.focal_alpha = own.focal_alpha == 0 ? 0.25f : own.focal_alpha;
    if (!(own.huber_delta > 0) || !isfinite(own.huber_delta))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "huber_delta is %g: expected a positive number",
                          (double)own.huber_delta);
    if (!(own.label_smoothing >= 0 && own.label_smoothing < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "label_smoothing is %g: expected 0 <= label_smoothing < 1",
                          (double)own.label_smoothing);
    if (own.label_smoothing > 0 && !smooths(own.loss))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "label_smoothing belongs to the cross-entropies, but the loss is %s",
                          lstm__constant_name(LSTM_NAMES_LOSS, own.loss));
    if (!isfinite(own.focal_gamma))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "focal_gamma is %g: expected a finite number",
                          (double)own.focal_gamma);
    if (!(own.focal_alpha > 0 && own.focal_alpha < 1))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "focal_alpha is %g: expected 0 < alpha < 1",
                          (double)own.focal_alpha);
    *loss = (lstm__loss){.kind = own.loss,
                         .from_logits = own.from_logits == LSTM_YES,
                         .delta = (double)own.huber_delta,
                         .smoothing = (double)own.label_smoothing,
                         .gamma = (double)own.focal_gamma,
                         .alpha = (double)own.focal_alpha,
                         .balanced = own.focal_balanced == LSTM_YES,
                         .reduction = own.reduction};
    RETURN_IF_ERROR(read_ctc(loss, &own));
    RETURN_IF_ERROR(read_custom(loss, &own));
    return read_quantiles(loss, &own);
}

/* How many features of an output belong to one target value. */
static size_t group_of(const lstm__loss *loss)
{
    return loss->kind == LSTM_LOSS_GAUSSIAN_NLL ? 2
           : loss->kind == LSTM_LOSS_QUANTILE   ? loss->quantile_count
                                                : 1;
}

size_t lstm__loss_target_features(const lstm__loss *loss, size_t features)
{
    if (loss->kind == LSTM_LOSS_CUSTOM && loss->custom_targets > 0)
        return loss->custom_targets;
    return loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY ? 1 : features / group_of(loss);
}

lstm_status lstm__loss_check_outputs(const lstm_model *model, const lstm__loss *loss)
{
    if (loss->kind == LSTM_LOSS_CTC)
        return lstm__ctc_check_output(model, loss);
    for (size_t k = 0; k < model->output_count; k++) {
        const lstm_layer *layer = model->outputs[k];
        const size_t features = (size_t)layer->node->shapes[layer->port].features;
        if (features % group_of(loss) != 0)
            return lstm__fail(LSTM_ERROR_SHAPE,
                              "output \"%s\" has %zu features: the loss %s needs a multiple of %zu",
                              layer->node->name, features,
                              lstm__constant_name(LSTM_NAMES_LOSS, loss->kind), group_of(loss));
    }
    return LSTM_OK;
}

size_t lstm__loss_prediction(const lstm__loss *loss, size_t target)
{
    size_t nearest = 0;
    if (loss->kind != LSTM_LOSS_QUANTILE)
        return target;
    for (size_t k = 1; k < loss->quantile_count; k++)
        if (fabs((double)loss->quantiles[k] - 0.5) < fabs((double)loss->quantiles[nearest] - 0.5))
            nearest = k;
    return target * loss->quantile_count + nearest;
}

/* ---- Walking over rows */

lstm__rows lstm__rows_of(const lstm_model *model, const lstm__loss *loss, const lstm__batch *batch,
                         size_t output)
{
    const lstm_layer *layer = model->outputs[output];
    const lstm__shape shape = layer->node->shapes[layer->port];
    const size_t features = (size_t)shape.features;
    const size_t steps = lstm__batch_steps(batch, shape);
    const bool piece = batch->piece_steps > 0 && shape.steps != 0;
    return (lstm__rows){.kernels = model->kernels,
                        .batch = batch,
                        .targets = batch->targets[output],
                        .steps = piece ? batch->piece_steps : steps,
                        .all_steps = steps,
                        .first = piece ? batch->piece_first : 0,
                        .skip = piece ? batch->piece_skip : 0,
                        .features = features,
                        .target_features = lstm__loss_target_features(loss, features),
                        .sparse = loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY};
}

lstm__rows lstm__rows_in(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch,
                         size_t output)
{
    const lstm_layer *layer = session->model->outputs[output];
    lstm__rows r = lstm__rows_of(session->model, loss, batch, output);
    if (layer->node->shapes[layer->port].steps != 0)
        r.mask = lstm__session_port(session, layer)->mask;
    return r;
}

static size_t class_of(const lstm__rows *r, const float *y)
{
    size_t best = 0;
    if (r->target_features == 1)
        return (size_t)(r->sparse ? y[0] : roundf(y[0]));
    for (size_t f = 1; f < r->target_features; f++)
        if (y[f] > y[best])
            best = f;
    return best;
}

double lstm__rows_weight(const lstm__rows *r, size_t t, size_t b)
{
    const lstm__batch *batch = r->batch;
    double weight = 1;
    if (t < r->skip || (r->mask && !r->mask[t * batch->count + b]))
        return 0;
    if (batch->weights)
        weight = (double)batch->weights[batch->weights_per_step ? lstm__rows_place(r, t, b)
                                                                : lstm__batch_sample(batch, b)];
    if (batch->class_weights && weight > 0)
        weight *= (double)batch->class_weights[class_of(r, lstm__rows_target(r, t, b))];
    return weight;
}

/* ---- Checks */

/* A class number, or a binary target, among `count` classes. */
static bool is_class(const lstm__rows *r, double class, size_t count)
{
    const double whole = r->sparse ? floor(class) : round(class);
    return whole >= 0 && whole < (double)count && (!r->sparse || whole == class);
}

/* Whether the caller's lengths say that a row of a sequence is padding. */
static bool is_padding(const lstm__rows *r, size_t t, size_t b)
{
    const lstm__batch *batch = r->batch;
    return r->steps > 1 && !r->mask && batch->lengths &&
           r->first + t >= (size_t)batch->lengths[lstm__batch_sample(batch, b)];
}

/* `lenient`: before a forward pass, when masks are not known yet. */
static lstm_status check_classes(const lstm__rows *r, size_t output, size_t count, bool lenient)
{
    lstm__rows unweighted = *r;
    lstm__batch plain = *r->batch;
    plain.class_weights = NULL;
    unweighted.batch = &plain;
    for (size_t b = 0; b < plain.count; b++)
        for (size_t t = 0; t < r->steps; t++) {
            const double class = (double)lstm__rows_target(r, t, b)[0];
            if (!is_class(r, class, count) && lstm__rows_weight(&unweighted, t, b) > 0 &&
                !(lenient && is_padding(r, t, b)))
                return lstm__fail(LSTM_ERROR_ARGUMENT,
                                  "target of output %zu, sample %zu, step %zu: class %g: expected "
                                  "a whole number from 0 to %zu",
                                  output, lstm__batch_sample(&plain, b), r->first + t, class,
                                  count - 1);
        }
    return LSTM_OK;
}

lstm_status lstm__loss_check_targets(const lstm_model *model, const lstm__loss *loss,
                                     const lstm__batch *batch)
{
    if (loss->kind == LSTM_LOSS_CTC)
        return lstm__ctc_check_batch(model, loss, batch);
    if (loss->kind != LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY)
        return LSTM_OK;
    for (size_t output = 0; output < model->output_count; output++) {
        const lstm__rows r = lstm__rows_of(model, loss, batch, output);
        RETURN_IF_ERROR(check_classes(&r, output, r.features, true));
    }
    return LSTM_OK;
}

lstm_status lstm__loss_check_class_weights(const lstm_model *model, const lstm__loss *loss,
                                           const lstm__batch *batch, size_t count)
{
    if (loss->kind == LSTM_LOSS_CTC)
        return lstm__fail(LSTM_ERROR_ARGUMENT, "class weights are set, but CTC has none");
    for (size_t output = 0; output < model->output_count; output++) {
        const lstm__rows r = lstm__rows_of(model, loss, batch, output);
        if (r.target_features == 1)
            RETURN_IF_ERROR(check_classes(&r, output, count, true));
        else if (r.target_features > count)
            return lstm__fail(LSTM_ERROR_SHAPE,
                              "%zu class weights given, output \"%s\" has %zu classes", count,
                              model->outputs[output]->node->name, r.target_features);
    }
    return LSTM_OK;
}

/* ---- The whole batch */

int32_t lstm__loss_activation(const lstm_layer *layer)
{
    if (layer->node->readers[layer->port] != 1)
        return LSTM_ACTIVATION_LINEAR;
    if (layer->node->class == &lstm__class_dense)
        return ((const lstm_dense_options *)layer->node->options)->activation;
    if (layer->node->class == &lstm__class_activation)
        return ((const lstm_activation_options *)layer->node->options)->activation;
    return LSTM_ACTIVATION_LINEAR;
}

bool lstm__loss_is_fused(const lstm__loss *loss, const lstm_layer *layer)
{
    const int32_t activation = lstm__loss_activation(layer);
    if (loss->from_logits)
        return false;
    if (loss->kind == LSTM_LOSS_BINARY_CROSSENTROPY)
        return activation == LSTM_ACTIVATION_SIGMOID;
    return (loss->kind == LSTM_LOSS_CATEGORICAL_CROSSENTROPY ||
            loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY) &&
           activation == LSTM_ACTIVATION_SOFTMAX;
}

/* Keras' hinges take 0 and 1 for -1 and 1 if the batch has no other target. */
static bool is_binary(const lstm__rows *r)
{
    for (size_t t = r->skip; t < r->steps; t++)
        for (size_t b = 0; b < r->batch->count; b++) {
            const float *y = lstm__rows_target(r, t, b);
            for (size_t f = 0; f < r->target_features; f++)
                if (y[f] != 0 && y[f] != 1)
                    return false;
        }
    return true;
}

/* Rows that are not masked: Keras gives them the weight of the masked ones too. */
static double valid_rows(const lstm__rows *r)
{
    size_t valid = 0;
    if (!r->mask)
        return (double)(r->batch->count * (r->steps - r->skip));
    for (size_t k = r->batch->count * r->skip; k < r->batch->count * r->steps; k++)
        valid += r->mask[k] != 0;
    return (double)valid;
}

/* What the sum over weighted rows is divided by. */
static double divisor_of(const lstm__loss *loss, const lstm__rows *r)
{
    double sum = 0;
    if (loss->reduction == LSTM_REDUCTION_SUM)
        return 1;
    if (loss->reduction != LSTM_REDUCTION_WEIGHTED_MEAN)
        return valid_rows(r);
    for (size_t t = 0; t < r->steps; t++)
        for (size_t b = 0; b < r->batch->count; b++)
            sum += lstm__rows_weight(r, t, b);
    return sum;
}

static double output_loss(lstm_session *session, const lstm__loss *loss, const lstm__batch *batch,
                          size_t output, bool gradient)
{
    const lstm_layer *layer = session->model->outputs[output];
    lstm__port *port = lstm__session_port(session, layer);
    const lstm__rows r = lstm__rows_in(session, loss, batch, output);
    const lstm__loss_rule *rule = rule_of(loss);
    const bool fused = lstm__loss_is_fused(loss, layer);
    const lstm__row_loss value = fused ? lstm__row_fused(loss->kind) : rule->value;
    const double divisor = divisor_of(loss, &r) * (rule->per_row ? 1 : (double)r.target_features);
    const double scale = divisor > 0 ? 1 / divisor : 0;
    lstm__loss_row row = {.loss = loss,
                          .kernels = r.kernels,
                          .features = r.features,
                          .targets = r.target_features,
                          .sparse = r.sparse};
    row.binary = (loss->kind == LSTM_LOSS_HINGE || loss->kind == LSTM_LOSS_SQUARED_HINGE) &&
                 is_binary(&r);
    const bool wanted = gradient && port->gradient.data;
    double sum = 0;
    for (size_t t = 0; t < r.steps; t++)
        for (size_t b = 0; b < batch->count; b++) {
            const size_t k = t * batch->count + b;
            const double weight = lstm__rows_weight(&r, t, b);
            row.p = port->value.data + k * port->value.stride;
            row.d = wanted ? port->gradient.data + k * r.features : NULL;
            row.y = lstm__rows_target(&r, t, b);
            row.known = r.sparse && row.y[0] >= 0 && row.y[0] < (float)r.features ? (size_t)row.y[0]
                                                                                  : r.features;
            row.scale = weight * scale;
            if (weight > 0)
                sum += weight * value(&row);
            else if (wanted)
                memset(row.d, 0, r.features * sizeof *row.d);
        }
    if (wanted) {
        port->written = true;
        port->at_logits = fused;
    }
    return sum * scale;
}

lstm_status lstm__loss_compute(lstm_session *session, const lstm__loss *loss,
                               const lstm__batch *batch, bool gradient, double *value)
{
    double total = lstm__penalty_value(session->model) + lstm__activity_value(session);
    /* What padding hides was not looked at when the data was read; class weights are indexed. */
    const bool hidden = loss->kind == LSTM_LOSS_SPARSE_CATEGORICAL_CROSSENTROPY &&
                        (batch->lengths || batch->lengths_of || batch->mask || batch->masks_of ||
                         batch->class_weights);
    for (size_t output = 0; hidden && output < session->model->output_count; output++) {
        const lstm__rows r = lstm__rows_in(session, loss, batch, output);
        RETURN_IF_ERROR(check_classes(&r, output, r.features, false));
    }
    if (loss->kind == LSTM_LOSS_CTC)
        RETURN_IF_ERROR(lstm__ctc_loss(session, loss, batch, gradient, &total));
    else
        for (size_t output = 0; output < session->model->output_count; output++)
            total += output_loss(session, loss, batch, output, gradient);
    session->gradient_given = session->gradient_given || gradient;
    session->penalised = session->penalised || gradient;
    *value = total;
    return LSTM_OK;
}
