// SPDX-License-Identifier: MIT
//
// A C++17 program of somebody else: the handles in std::unique_ptr, one prediction of an untrained network.
#include <lstm/lstm.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

int main()
{
    lstm_model *raw = nullptr;
    if (lstm_model_create(&raw, nullptr, nullptr) != LSTM_OK)
        return 1;
    const std::unique_ptr<lstm_model, void (*)(lstm_model *)> model(raw, lstm_model_destroy);
    lstm_input_options input = {};
    input.struct_size = sizeof input;
    input.steps = 3;
    input.features = 2;
    lstm_lstm_options layer = {};
    layer.struct_size = sizeof layer;
    layer.units = 4;
    if (lstm_model_add_input(model.get(), &input, nullptr) != LSTM_OK ||
        lstm_model_add_lstm(model.get(), &layer, nullptr, nullptr) != LSTM_OK ||
        lstm_model_build(model.get()) != LSTM_OK) {
        std::fprintf(stderr, "%s\n", lstm_last_error());
        return 1;
    }
    const std::vector<float> x(2 * 3 * 2, 0.5f);
    std::vector<float> out(2 * 4, NAN);
    lstm_data data = {};
    data.struct_size = sizeof data;
    data.samples = 2;
    data.x = x.data();
    data.x_count = x.size();
    if (lstm_predict(model.get(), &data, out.data(), out.size()) != LSTM_OK) {
        std::fprintf(stderr, "%s\n", lstm_last_error());
        return 1;
    }
    for (const float value : out)
        if (!(std::fabs(value) < 1.0f))
            return 1;
    std::printf("liblstm %s from C++\n", lstm_version_string());
    return 0;
}
