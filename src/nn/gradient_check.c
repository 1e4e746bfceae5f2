/* SPDX-License-Identifier: MIT
 * Gradient check: for each parameter the derivative of the loss along a few directions d of norm 1,
 *
 *     (8 (L(w + h d) - L(w - h d)) - (L(w + 2 h d) - L(w - 2 h d))) / 12 h    against    sum(g d)
 *
 * d is the gradient's own direction, where the derivative is largest, and random signs, where every
 * element takes part. A direction instead of single elements keeps the change of the loss far above
 * the rounding of a forward pass in floats, and needs a number of passes that does not grow with
 * the model.
 */
#include "gradient_check.h"
#include "random.h"

#include <math.h>
#include <string.h>

enum { STREAM_CHECK = 7 };

static lstm_status loss_at(const lstm__gradient_check *check, const lstm__parameter *parameter,
                           const real *direction, double distance, double *loss)
{
    lstm_model *model = check->session->model;
    for (size_t k = 0; k < lstm__parameter_size(parameter); k++)
        model->values[parameter->offset + k] = (real)((double)check->kept[parameter->offset + k] +
                                                      distance * (double)direction[k]);
    lstm__graph_changed(model);
    lstm__session_forward(check->session, check->batch);
    return lstm__loss_compute(check->session, check->loss, check->batch, false, loss);
}

/* Direction 0 is the gradient's, the others random signs; false where the gradient is 0. The
 * gradient block of the session is free to hold it, as the gradients have been copied. */
static bool set_direction(const lstm__gradient_check *check, size_t number, int32_t direction,
                          const lstm__parameter *parameter, double norm, real *to)
{
    const size_t count = lstm__parameter_size(parameter);
    const real *g = check->gradients + parameter->offset;
    if (direction == 0 && norm == 0)
        return false;
    const uint64_t stream = lstm__random_stream(lstm__random_stream(STREAM_CHECK, number),
                                                (uint64_t)direction);
    for (size_t k = 0; k < count; k++) {
        const double sign = lstm__random_uniform(check->seed, stream, k) < 0.5 ? -1 : 1;
        to[k] = (real)(direction == 0 ? (double)g[k] / norm : sign / sqrt((double)count));
    }
    return true;
}

static lstm_status along(const lstm__gradient_check *check, const lstm__parameter *parameter,
                         const real *direction, double *difference)
{
    static const double places[4] = {-2, -1, 1, 2};
    double loss[4];
    double expected = 0;
    for (int k = 0; k < 4; k++)
        RETURN_IF_ERROR(loss_at(check, parameter, direction, places[k] * check->step, &loss[k]));
    for (size_t k = 0; k < lstm__parameter_size(parameter); k++)
        expected += (double)check->gradients[parameter->offset + k] * (double)direction[k];
    *difference = fabs((8 * (loss[2] - loss[1]) - (loss[3] - loss[0])) / (12 * check->step) -
                       expected);
    return LSTM_OK;
}

static double norm_of(const lstm__gradient_check *check, const lstm__parameter *parameter)
{
    return sqrt(check->session->model->kernels->sum_squares(lstm__parameter_size(parameter),
                                                            check->gradients + parameter->offset));
}

static lstm_status check_parameter(const lstm__gradient_check *check, size_t number, double scale,
                                   double *error)
{
    lstm_model *model = check->session->model;
    const lstm__parameter *parameter = &model->parameters[number];
    const double norm = norm_of(check, parameter);
    real *direction = check->session->gradients + parameter->offset;
    lstm_status status = LSTM_OK;
    *error = 0;
    for (int32_t d = 0; d <= check->directions; d++) {
        double difference = 0;
        if (!set_direction(check, number, d, parameter, norm, direction))
            continue;
        TRY(along(check, parameter, direction, &difference));
        *error = fmax(*error, difference / fmax(norm, scale));
        if (!isfinite(difference))
            *error = INFINITY;
    }
out:
    memcpy(model->values + parameter->offset, check->kept + parameter->offset,
           lstm__parameter_size(parameter) * sizeof(real));
    lstm__graph_changed(model);
    return status;
}

lstm_status lstm__check_model_gradients(const lstm__gradient_check *check, double *errors)
{
    lstm_model *model = check->session->model;
    double loss = 0;
    double largest = 0;
    size_t worst = 0;
    lstm__session_forward(check->session, check->batch);
    RETURN_IF_ERROR(lstm__loss_compute(check->session, check->loss, check->batch, true, &loss));
    lstm__session_backward(check->session);
    memcpy(check->gradients, check->session->gradients, model->value_count * sizeof(real));
    memcpy(check->kept, model->values, model->value_count * sizeof(real));
    for (size_t k = 0; k < model->parameter_count; k++)
        if (!model->parameters[k].statistic)
            largest = fmax(largest, norm_of(check, &model->parameters[k]));
    /* What is below a thousandth of the largest gradient, or of the loss, is rounding. */
    const double scale = fmax(fmax(largest, fabs(loss)) * 1e-3, 1e-6);
    for (size_t k = 0; k < model->parameter_count; k++) {
        errors[k] = 0;
        if (model->parameters[k].statistic)
            continue;
        RETURN_IF_ERROR(check_parameter(check, k, scale, &errors[k]));
        worst = errors[k] > errors[worst] ? k : worst;
    }
    if (model->parameter_count > 0 && !(errors[worst] <= check->tolerance))
        return lstm__fail(LSTM_ERROR_NUMERIC,
                          "the gradient of parameter \"%s\" is off by %.2g of its size (tolerance "
                          "%g): layer \"%s\" (%s)",
                          model->parameters[worst].name, errors[worst], check->tolerance,
                          model->parameters[worst].node->name,
                          model->parameters[worst].node->class->type);
    return LSTM_OK;
}
