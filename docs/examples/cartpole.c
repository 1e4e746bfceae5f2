/* SPDX-License-Identifier: MIT
 * Balancing a pole without seeing velocities: the network sees only the cart's place and the pole's
 * angle, so it must remember. An actor-critic with an LSTM, trained by proximal policy optimization
 * (Schulman et al. 2017) with generalised advantage estimation, its gradient at the outputs computed
 * here and given to lstm_session_set_output_gradient.
 *
 * The cart is that of Barto, Sutton and Anderson (1983) with the limits of Gym's CartPole-v1: an
 * episode ends at 12 degrees, 2.4 m or 500 steps; every step gives a reward of 1.
 */
#include "example.h"

enum { EPISODES = 32, STEPS = 500, SEEN = 2, UNITS = 64, ACTIONS = 2, PASSES = 6 };
static const double discount = 0.99, trace = 0.95, clip = 0.2, entropy_weight = 0.003,
                    value_weight = 0.5;

typedef struct cart {
    double place, speed, angle, turn;
} cart;

/* Push to the left (0) or right (1) for 20 ms; return 1 when the pole has fallen. */
static int push(cart *c, int action)
{
    const double force = action ? 10 : -10, mass = 1.1, pole = 0.05,
                 length = 0.5; /* pole = its mass times length */
    const double sine = sin(c->angle), cosine = cos(c->angle);
    const double common = (force + pole * c->turn * c->turn * sine) / mass;
    const double turning = (9.8 * sine - cosine * common) /
                           (length * (4.0 / 3 - 0.1 * cosine * cosine / mass));
    const double speeding = common - pole * turning * cosine / mass;
    c->place += 0.02 * c->speed, c->speed += 0.02 * speeding;
    c->angle += 0.02 * c->turn, c->turn += 0.02 * turning;
    return fabs(c->place) > 2.4 || fabs(c->angle) > 12 * 2 * 3.14159265358979 / 360;
}

/* Episodes side by side, [episode][step]. */
static float seen[EPISODES * STEPS * SEEN], logits[EPISODES * STEPS * ACTIONS],
    values[EPISODES * STEPS];
static float d_logits[EPISODES * STEPS * ACTIONS], d_values[EPISODES * STEPS];
static double advantage[EPISODES * STEPS], wanted[EPISODES * STEPS], was[EPISODES * STEPS];
static int8_t acted[EPISODES * STEPS];
static int32_t lengths[EPISODES], fallen[EPISODES];

static double probability(const float *of, int action)
{
    return 1 / (1 + exp((double)of[1 - action] - of[action]));
}

/* Play all episodes to their ends, a step of each at a time, in a session that carries h and c.
 * greedy: take the likelier action. Returns the mean length. */
static double play(lstm_session *session, int greedy, uint64_t *state)
{
    cart carts[EPISODES];
    float now[EPISODES * SEEN], out[EPISODES * ACTIONS];
    double sum = 0;
    for (int e = 0; e < EPISODES; e++) {
        carts[e] = (cart){0.1 * random_unit(state) - 0.05, 0.1 * random_unit(state) - 0.05,
                          0.1 * random_unit(state) - 0.05, 0.1 * random_unit(state) - 0.05};
        lengths[e] = fallen[e] = 0;
    }
    DO(lstm_session_reset_states(session));
    for (int step = 0, playing = EPISODES; step < STEPS && playing > 0; step++) {
        for (int e = 0; e < EPISODES; e++) {
            now[e * SEEN] = (float)(carts[e].place / 2.4);
            now[e * SEEN + 1] = (float)(carts[e].angle / 0.2);
        }
        const lstm_data data = {
            .struct_size = sizeof data, .samples = EPISODES, .x = now, .x_count = EPISODES * SEEN};
        DO(lstm_session_forward(session, &data));
        DO(lstm_session_output(session, 0, out, EPISODES * ACTIONS));
        for (int e = 0; e < EPISODES; e++) {
            if (fallen[e])
                continue;
            const double right = probability(out + e * ACTIONS, 1);
            const int action = greedy ? right > 0.5 : random_unit(state) < right,
                      at = e * STEPS + step;
            memcpy(seen + at * SEEN, now + e * SEEN, SEEN * sizeof *now);
            acted[at] = (int8_t)action;
            was[at] = action ? right : 1 - right;
            lengths[e] = step + 1;
            fallen[e] = push(&carts[e], action);
            playing -= fallen[e];
        }
    }
    for (int e = 0; e < EPISODES; e++)
        sum += lengths[e];
    return sum / EPISODES;
}

/* From the values of all steps: how much better each action was than expected, and the return. */
static void judge(void)
{
    double sum = 0, squares = 0, count = 0;
    for (int e = 0; e < EPISODES; e++) {
        const int last = e * STEPS + lengths[e] - 1;
        double next = fallen[e] ? 0 : (double)values[last],
               ahead = 0; /* cut at 500: it would have gone on */
        for (int at = last; at >= e * STEPS; at--) {
            ahead = 1 + discount * next - (double)values[at] + discount * trace * ahead;
            next = (double)values[at];
            advantage[at] = ahead;
            wanted[at] = ahead + next;
            sum += ahead, squares += ahead * ahead, count++;
        }
    }
    const double mean = sum / count, deviation = sqrt(squares / count - mean * mean) + 1e-8;
    for (int e = 0; e < EPISODES; e++)
        for (int at = e * STEPS; at < e * STEPS + lengths[e]; at++)
            advantage[at] = (advantage[at] - mean) / deviation;
}

/* The gradient of the clipped objective, the value's error and the entropy at the outputs. */
static void differentiate(void)
{
    double count = 0;
    for (int e = 0; e < EPISODES; e++)
        count += lengths[e];
    memset(d_logits, 0, sizeof d_logits);
    memset(d_values, 0, sizeof d_values);
    for (int e = 0; e < EPISODES; e++)
        for (int at = e * STEPS; at < e * STEPS + lengths[e]; at++) {
            const int action = acted[at];
            const double p = probability(logits + at * ACTIONS, action), ratio = p / was[at],
                         a = advantage[at];
            const int clipped = a > 0 ? ratio > 1 + clip : ratio < 1 - clip;
            /* of -ratio a: dp/dlogit = p (1 - p); of -entropy: p (1 - p) log(p / (1 - p)) */
            double d = clipped ? 0 : -a * ratio * (1 - p);
            d += entropy_weight * p * (1 - p) * (log(p + 1e-12) - log(1 - p + 1e-12));
            d_logits[at * ACTIONS + action] = (float)(d / count);
            d_logits[at * ACTIONS + 1 - action] = (float)(-d / count);
            d_values[at] = (float)(2 * value_weight * ((double)values[at] - wanted[at]) / 100 /
                                   count);
        }
}

static lstm_model *build(uint64_t seed)
{
    lstm_model *model;
    lstm_layer *memory, *policy, *value;
    DO(lstm_model_create(&model, NULL, OPTIONS(lstm_model, .seed = seed)));
    DO(lstm_model_add_input(model, OPTIONS(lstm_input, .features = SEEN), NULL));
    DO(lstm_model_add_lstm(
        model,
        OPTIONS(lstm_lstm, .units = UNITS, .return_sequences = LSTM_YES, .stateful = LSTM_YES),
        NULL, &memory));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = ACTIONS), memory, &policy));
    DO(lstm_model_add_dense(model, OPTIONS(lstm_dense, .units = 1), memory, &value));
    DO(lstm_model_set_outputs(model, (const lstm_layer *[]){policy, value}, 2));
    DO(lstm_model_build(model));
    return model;
}

int main(int argc, char **argv)
{
    const arguments a = read_arguments(argc, argv);
    uint64_t state = a.seed;
    lstm_model *model = build(a.seed);
    lstm_session *player, *learner;
    lstm_optimizer *optimizer;
    DO(lstm_session_create(&player, model, OPTIONS(lstm_session, .batch = EPISODES, .steps = 1)));
    DO(lstm_session_create(
        &learner, model,
        OPTIONS(lstm_session, .training = LSTM_YES, .batch = EPISODES, .steps = STEPS)));
    DO(lstm_optimizer_create(
        &optimizer, model,
        OPTIONS(lstm_optimizer, .learning_rate = 3e-3, .global_clip_norm = 0.5)));
    const lstm_data data = {.struct_size = sizeof data,
                            .samples = EPISODES,
                            .x = seen,
                            .x_count = EPISODES * STEPS * SEEN,
                            .lengths = lengths,
                            .lengths_count = EPISODES};
    const int most = a.epochs ? (int)a.epochs : a.brief ? 12 : 100;
    const double start = seconds();
    double steps = 0, mean = 0, first = 0;
    for (int round = 1; round <= most && mean < 490; round++) {
        mean = play(player, 0, &state);
        first = round == 1 ? mean : first;
        steps += mean * EPISODES;
        for (int pass = 0; pass < PASSES; pass++) {
            DO(lstm_session_reset_states(learner));
            DO(lstm_session_forward(learner, &data));
            DO(lstm_session_output(learner, 0, logits, EPISODES * STEPS * ACTIONS));
            DO(lstm_session_output(learner, 1, values, EPISODES * STEPS));
            for (int k = 0; k < EPISODES * STEPS; k++)
                values[k] *= 100;
            if (pass == 0)
                judge();
            differentiate();
            DO(lstm_session_set_output_gradient(learner, 0, d_logits, EPISODES * STEPS * ACTIONS));
            DO(lstm_session_set_output_gradient(learner, 1, d_values, EPISODES * STEPS));
            DO(lstm_session_backward(learner));
            DO(lstm_optimizer_step(optimizer, learner));
        }
        if (round % 5 == 0 || mean >= 490)
            printf("round %d: %.0f steps in all, mean %.1f steps a game, %.1f s\n", round, steps,
                   mean, seconds() - start);
        fflush(stdout);
    }
    const double best = play(player, 1, &state);
    printf("greedy: mean %.1f steps a game (random 21.5, without memory 48)\n", best);
    lstm_optimizer_destroy(optimizer);
    lstm_session_destroy(player);
    lstm_session_destroy(learner);
    lstm_model_destroy(model);
    return (a.brief ? mean > first : best >= 475) ? 0 : 1;
}
