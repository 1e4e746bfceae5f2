/* SPDX-License-Identifier: MIT
 * Penalties l1 sum |w| + l2 sum w^2, with gradient l1 sign(w) + 2 l2 w, and constraints after each
 * update, as Keras' regularizers and constraints. Norms are those of the columns (axis 0), of a
 * bias that of the whole.
 */
#include "penalties.h"
#include "constants.h"
#include "losses.h"
#include "options.h"

#include <math.h>
#include <string.h>

#define NORM_FLOOR 1e-7

static const char *const names[LSTM__PENALTIES] = {"kernel", "recurrent_kernel", "bias",
                                                   "activity"};

int lstm__penalty_find(const char *name)
{
    for (int k = 0; k < LSTM__PENALTIES; k++)
        if (strcmp(names[k], name) == 0)
            return k;
    return -1;
}

lstm_status lstm__penalty_read(lstm__penalty *penalty, const lstm_regularizer_options *options)
{
    lstm_regularizer_options o;
    RETURN_IF_ERROR(lstm__read_options(&o, sizeof o, options, "lstm_regularizer_options"));
    RETURN_IF_ERROR(lstm__read_constant(&o.constraint, LSTM_CONSTRAINT_NONE, LSTM_NAMES_CONSTRAINT,
                                        "constraint"));
    o.max_norm = o.max_norm == 0 ? 2 : o.max_norm;
    if (!(o.l1 >= 0 && isfinite(o.l1) && o.l2 >= 0 && isfinite(o.l2)))
        return lstm__fail(LSTM_ERROR_ARGUMENT,
                          "l1 is %g and l2 is %g: expected finite numbers of at least 0", o.l1,
                          o.l2);
    if (!(o.max_norm > 0) || !isfinite(o.max_norm))
        return lstm__fail(LSTM_ERROR_ARGUMENT, "max_norm is %g: expected a positive number",
                          o.max_norm);
    *penalty = (lstm__penalty){o.constraint, o.l1, o.l2, o.max_norm};
    return LSTM_OK;
}

/* A class says in its option table what can be regularised: Keras' keys are there, read or refused.
 */
bool lstm__penalty_suits(const lstm__layer_class *class, int penalty)
{
    static const char *const keys[LSTM__PENALTIES] = {"kernel_regularizer", "recurrent_regularizer",
                                                      "bias_regularizer", "activity_regularizer"};
    for (const lstm__option *option = class->options; option && option->key; option++)
        if (strcmp(option->key, keys[penalty]) == 0)
            return true;
    return false;
}

static const lstm__penalty *penalty_of(const lstm__parameter *parameter)
{
    static const lstm__penalty none = {0, 0, 0, 0};
    return parameter->penalty < 0 ? &none : &parameter->node->penalties[parameter->penalty];
}

double lstm__penalty_value(const lstm_model *model)
{
    double sum = 0;
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        const lstm__penalty *p = penalty_of(parameter);
        const real *w = model->values + parameter->offset;
        const size_t count = lstm__parameter_size(parameter);
        double size = 0;
        for (size_t v = 0; p->l1 > 0 && v < count; v++)
            size += fabs((double)w[v]);
        sum += p->l1 * size;
        if (p->l2 > 0)
            sum += p->l2 * model->kernels->sum_squares(count, w);
    }
    return sum;
}

void lstm__penalty_gradients(lstm_session *session)
{
    const lstm_model *model = session->model;
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        const lstm__penalty *p = penalty_of(parameter);
        const real *w = model->values + parameter->offset;
        real *g = session->gradients + parameter->offset;
        const size_t count = lstm__parameter_size(parameter);
        const real l1 = (real)p->l1;
        for (size_t v = 0; l1 > 0 && v < count; v++)
            g[v] += w[v] > 0 ? l1 : w[v] < 0 ? -l1 : 0;
        if (p->l2 > 0)
            model->kernels->add_scaled(count, (real)(2 * p->l2), w, g);
    }
}

/* The penalty of a layer's output; NULL = it has none, or nobody reads it. */
static const lstm__penalty *activity_of(const lstm__node *node)
{
    const lstm__penalty *p = &node->penalties[LSTM__PENALTY_ACTIVITY];
    return (p->l1 > 0 || p->l2 > 0) && node->readers[0] > 0 ? p : NULL;
}

double lstm__activity_value(lstm_session *session)
{
    const lstm_model *model = session->model;
    double sum = 0;
    for (size_t k = 0; k < model->node_count; k++) {
        const lstm__node *node = model->nodes[k];
        const lstm__penalty *p = activity_of(node);
        const lstm__port *port = lstm__session_own(session, node, 0);
        const size_t rows = p ? lstm__session_rows(session, node->shapes[0]) : 0;
        double size = 0;
        double squares = 0;
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < (size_t)node->shapes[0].features; c++) {
                const size_t row = lstm__port_row(port, r);
                const double y = (double)port->value.data[row * port->value.stride + c];
                const bool there = !port->mask || port->mask[r];
                size += there ? fabs(y) : 0;
                squares += there ? y * y : 0;
            }
        if (p && session->batch > 0)
            sum += (p->l1 * size + p->l2 * squares) / (double)session->batch;
    }
    return sum;
}

/* d(l1 |y| + l2 y^2) / dy */
static double activity_slope(const lstm__penalty *p, double y)
{
    return (y > 0 ? p->l1 : y < 0 ? -p->l1 : 0) + 2 * p->l2 * y;
}

/* The slopes of one row, times `scale`, at the output or, where the loss has put its gradient behind
 * the activation (losses.c), there: softmax y_c (d_c - sum d y), sigmoid d y (1 - y). */
static void add_slopes(const lstm__penalty *p, double scale, int32_t behind, size_t columns,
                       const real *y, bool add, real *to)
{
    double sum = 0;
    for (size_t c = 0; behind == LSTM_ACTIVATION_SOFTMAX && c < columns; c++)
        sum += activity_slope(p, (double)y[c]) * (double)y[c];
    for (size_t c = 0; c < columns; c++) {
        const double d = activity_slope(p, (double)y[c]);
        const double at = behind == LSTM_ACTIVATION_SOFTMAX ? (double)y[c] * (d - sum)
                          : behind == LSTM_ACTIVATION_SIGMOID
                              ? d * (double)y[c] * (1 - (double)y[c])
                              : d;
        to[c] = (add ? to[c] : 0) + (real)(scale * at);
    }
}

void lstm__activity_gradient(lstm_session *session, const lstm__node *node)
{
    const lstm__penalty *p = activity_of(node);
    lstm__port *port = lstm__session_own(session, node, 0);
    if (!p || !port->gradient.data)
        return;
    const int32_t behind = port->at_logits ? lstm__loss_activation(&node->ports[0]) : 0;
    const double each = 1 / (double)session->batch;
    if (port->numbers && !port->written)
        memset(port->gradient.data, 0,
               node->class->table(node) * port->gradient.stride * sizeof(real));
    for (size_t r = 0; r < lstm__session_rows(session, node->shapes[0]); r++) {
        const size_t row = lstm__port_row(port, r);
        add_slopes(p, !port->mask || port->mask[r] ? each : 0, behind,
                   (size_t)node->shapes[0].features, port->value.data + row * port->value.stride,
                   port->written || port->numbers,
                   port->gradient.data + row * port->gradient.stride);
    }
    port->written = true;
}

static void constrain_norms(const lstm__parameter *parameter, const lstm__penalty *p, real *w)
{
    const size_t rows = parameter->rank == 1 ? parameter->columns : parameter->rows;
    const size_t columns = parameter->rank == 1 ? 1 : parameter->columns;
    for (size_t c = 0; c < columns; c++) {
        double sum = 0;
        for (size_t r = 0; r < rows; r++)
            sum += (double)w[r * columns + c] * (double)w[r * columns + c];
        const double norm = sqrt(sum);
        const double wanted = p->constraint == LSTM_CONSTRAINT_UNIT_NORM ? 1
                                                                         : fmin(norm, p->max_norm);
        const real factor = (real)(wanted / (NORM_FLOOR + norm));
        for (size_t r = 0; r < rows; r++)
            w[r * columns + c] *= factor;
    }
}

void lstm__penalty_constrain(lstm_model *model)
{
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        const lstm__penalty *p = penalty_of(parameter);
        real *w = model->values + parameter->offset;
        if (parameter->node->rate == 0)
            continue;
        if (p->constraint == LSTM_CONSTRAINT_MAX_NORM || p->constraint == LSTM_CONSTRAINT_UNIT_NORM)
            constrain_norms(parameter, p, w);
        for (size_t v = 0;
             p->constraint == LSTM_CONSTRAINT_NON_NEGATIVE && v < lstm__parameter_size(parameter);
             v++)
            w[v] = w[v] > 0 ? w[v] : 0;
    }
}
