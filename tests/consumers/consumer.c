/* SPDX-License-Identifier: MIT
 *
 * A program of somebody else: trains a small network on y = mean of x, saves it, loads it and
 * predicts the same.
 */
#include <lstm/lstm.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { samples = 64, steps = 5 };

static int failed(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, lstm_last_error());
    return 1;
}

int main(void)
{
    if (lstm_version() != LSTM_VERSION) {
        fprintf(stderr, "header %d, library %u\n", LSTM_VERSION, (unsigned)lstm_version());
        return 1;
    }
    static float x[samples * steps], y[samples], before[samples], after[samples];
    for (int k = 0; k < samples; k++)
        for (int t = 0; t < steps; t++) {
            x[k * steps + t] = (float)((k * 7 + t * 13) % 17) / 17.0f;
            y[k] += x[k * steps + t] / steps;
        }
    lstm_model *model = NULL;
    lstm_model *loaded = NULL;
    if (lstm_model_create(&model, NULL, NULL) ||
        lstm_model_add_input(
            model, &(lstm_input_options){sizeof(lstm_input_options), .steps = steps, .features = 1},
            NULL) ||
        lstm_model_add_lstm(model, &(lstm_lstm_options){sizeof(lstm_lstm_options), .units = 8},
                            NULL, NULL) ||
        lstm_model_add_dense(model, &(lstm_dense_options){sizeof(lstm_dense_options), .units = 1},
                             NULL, NULL) ||
        lstm_model_build(model))
        return failed("build");
    const lstm_data data = {sizeof data, .samples = samples, .x = x, .x_count = samples * steps,
                            .y = y,      .y_count = samples};
    if (lstm_fit(model, &(lstm_fit_options){sizeof(lstm_fit_options), .epochs = 40}, &data, NULL))
        return failed("fit");
    if (lstm_predict(model, &data, before, samples))
        return failed("predict");
    if (lstm_model_save(model, "consumer.lstm"))
        return failed("save");
    if (lstm_model_load(&loaded, NULL, "consumer.lstm"))
        return failed("load");
    if (lstm_predict(loaded, &data, after, samples))
        return failed("predict with the loaded model");
    double error = 0;
    for (int k = 0; k < samples; k++)
        error += fabs((double)before[k] - (double)y[k]) / samples;
    const int same = memcmp(before, after, sizeof before) == 0;
    lstm_model_destroy(model);
    lstm_model_destroy(loaded);
    printf("liblstm %s: mean error %.4f after training, predictions after loading %s\n",
           lstm_version_string(), error, same ? "equal" : "differ");
    return same && error < 0.1 ? 0 : 1;
}
