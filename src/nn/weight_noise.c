/* SPDX-License-Identifier: MIT
 * Noise on weights and on gradients; see weight_noise.h. Gaps of the parameter block stay zero:
 * noise goes to one parameter after another.
 */
#include "weight_noise.h"
#include "graph.h"
#include "random.h"

#include <math.h>
#include <string.h>

enum { STREAM_WEIGHT_NOISE = 22, STREAM_GRADIENT_NOISE = 23 };

static void add_noise(const lstm_model *model, double stddev, uint64_t seed, uint64_t stream,
                      real *values)
{
    for (size_t k = 0; k < model->parameter_count; k++) {
        const lstm__parameter *parameter = &model->parameters[k];
        if (parameter->statistic || parameter->node->rate == 0)
            continue;
        const size_t end = parameter->offset + lstm__parameter_size(parameter);
        for (size_t v = parameter->offset; v < end; v++)
            values[v] += (real)(stddev * lstm__random_normal(seed, stream, v));
    }
}

void lstm__weight_noise_add(lstm_model *model, real *saved, double stddev, uint64_t seed,
                            int64_t update)
{
    memcpy(saved, model->values, model->value_count * sizeof *saved);
    add_noise(model, stddev, seed, lstm__random_stream(STREAM_WEIGHT_NOISE, (uint64_t)update),
              model->values);
    lstm__graph_changed(model);
}

void lstm__weight_noise_remove(lstm_model *model, const real *saved)
{
    memcpy(model->values, saved, model->value_count * sizeof *saved);
    lstm__graph_changed(model);
}

void lstm__gradient_noise_add(lstm_session *session, double eta, double gamma, uint64_t seed,
                              int64_t update)
{
    const double stddev = sqrt(eta / pow(1 + (double)update, gamma));
    add_noise(session->model, stddev, seed,
              lstm__random_stream(STREAM_GRADIENT_NOISE, (uint64_t)update), session->gradients);
}
