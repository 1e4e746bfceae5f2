/* SPDX-License-Identifier: MIT
 * The updates of Adagrad, Adadelta, Adamax, Nadam, RAdam and Lion, and the averages of the weights,
 * of every level that this CPU supports, against plain double references: all sizes from 0 to 70,
 * off alignment, the gradient and the memory behind the arrays unchanged. Compiled a second time
 * with LSTM__DOUBLE. The other updates are in test_kernels.c.
 */
#include "cpu.h"
#include "kernels.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 70, ROOM = MOST + 17, SEED = 20261124 };

#ifdef LSTM__DOUBLE
static const double CLOSE = 1e-13;
#else
static const double CLOSE = 2e-6; /* relative to 1 + |value| */
#endif

static const real UNTOUCHED = (real)-12345.678;

/* What an update works on: w, g and up to three moments, each off alignment in a guarded row, and
 * copies of them. */
typedef struct arrays {
    real rows[5][ROOM];
    real before[5][ROOM];
    size_t count;
} arrays;

enum { W, G, M, V, U };

static real *row(arrays *a, int which)
{
    return a->rows[which] + 1 + which;
}

static double was(const arrays *a, int which, size_t k)
{
    return (double)a->before[which][1 + which + (int)k];
}

static void fill(arrays *a, size_t count)
{
    static uint64_t stream;
    a->count = count;
    stream++;
    for (int which = 0; which < 5; which++)
        for (size_t k = 0; k < ROOM; k++) {
            const size_t first = 1 + (size_t)which;
            const double u = lstm__random_uniform(SEED, stream, (uint64_t)which * ROOM + k);
            const bool inside = k >= first && k < first + count;
            a->rows[which][k] = !inside ? UNTOUCHED : (real)(which >= V ? 0.5 + u : 2 * u - 1);
        }
    for (size_t k = 0; k < count; k += 5) { /* Lion's sign of nothing */
        row(a, G)[k] = 0;
        row(a, M)[k] = 0;
    }
    memcpy(a->before, a->rows, sizeof a->rows);
}

static void expect(const char *what, arrays *a, int which, size_t k, double wanted)
{
    const double got = (double)row(a, which)[k];
    if (!(fabs(got - wanted) <= CLOSE * (1 + fabs(wanted))))
        fail_msg("%s of %zu: array %d, element %zu: %.9g, expected %.9g", what, a->count, which, k,
                 got, wanted);
}

static void expect_rest(const char *what, const arrays *a, unsigned changed)
{
    for (int which = 0; which < 5; which++)
        for (size_t k = 0; k < ROOM; k++) {
            const bool inside = k >= 1 + (size_t)which && k < 1 + (size_t)which + a->count;
            if (!(inside && (changed >> which & 1)) && a->rows[which][k] != a->before[which][k])
                fail_msg("%s of %zu: array %d was changed at %zu", what, a->count, which, k);
        }
}

/* The gradient and the weight after the decays that every update begins with. */
static const double DECAY = 0.01;
static const double COUPLED = 0.02;

static double gradient(const arrays *a, size_t k)
{
    return was(a, G, k) + COUPLED * was(a, W, k);
}

static double weight(const arrays *a, size_t k)
{
    return was(a, W, k) * (1 - DECAY);
}

static void check_adagrad(const lstm__kernels *k, size_t count, int keras)
{
    arrays a;
    fill(&a, count);
    const lstm__adagrad_step s = {(real)0.1, (real)1e-2, (real)DECAY, (real)COUPLED, keras};
    k->adagrad(count, &s, row(&a, W), row(&a, G), row(&a, V));
    for (size_t e = 0; e < count; e++) {
        const double g = gradient(&a, e);
        const double v = was(&a, V, e) + g * g;
        expect("adagrad", &a, V, e, v);
        expect("adagrad", &a, W, e,
               weight(&a, e) - 0.1 * g / (keras ? sqrt(v + 1e-2) : sqrt(v) + 1e-2));
    }
    expect_rest("adagrad", &a, 1u << W | 1u << V);
}

static void check_adadelta(const lstm__kernels *k, size_t count)
{
    arrays a;
    fill(&a, count);
    const lstm__adadelta_step s = {(real)0.5, (real)0.9, (real)1e-2, (real)DECAY, (real)COUPLED};
    k->adadelta(count, &s, row(&a, W), row(&a, G), row(&a, V), row(&a, U));
    for (size_t e = 0; e < count; e++) {
        const double g = gradient(&a, e);
        const double v = 0.9 * was(&a, V, e) + 0.1 * g * g;
        const double d = g * sqrt(was(&a, U, e) + 1e-2) / sqrt(v + 1e-2);
        expect("adadelta", &a, V, e, v);
        expect("adadelta", &a, U, e, 0.9 * was(&a, U, e) + 0.1 * d * d);
        expect("adadelta", &a, W, e, weight(&a, e) - 0.5 * d);
    }
    expect_rest("adadelta", &a, 1u << W | 1u << V | 1u << U);
}

static void check_adamax(const lstm__kernels *k, size_t count)
{
    arrays a;
    fill(&a, count);
    const lstm__adamax_step s = {(real)0.1,  (real)0.9,   (real)0.7,    (real)1e-2,
                                 (real)2e-2, (real)DECAY, (real)COUPLED};
    k->adamax(count, &s, row(&a, W), row(&a, G), row(&a, M), row(&a, U));
    for (size_t e = 0; e < count; e++) {
        const double g = gradient(&a, e);
        const double m = 0.9 * was(&a, M, e) + 0.1 * g;
        const double u = fmax(0.7 * was(&a, U, e), fabs(g) + 2e-2);
        expect("adamax", &a, M, e, m);
        expect("adamax", &a, U, e, u);
        expect("adamax", &a, W, e, weight(&a, e) - 0.1 * m / (u + 1e-2));
    }
    expect_rest("adamax", &a, 1u << W | 1u << M | 1u << U);
}

static void check_lion(const lstm__kernels *k, size_t count)
{
    arrays a;
    fill(&a, count);
    const lstm__lion_step s = {(real)0.1, (real)0.9, (real)0.99, (real)DECAY, 0};
    k->lion(count, &s, row(&a, W), row(&a, G), row(&a, M));
    for (size_t e = 0; e < count; e++) {
        const double c = 0.9 * was(&a, M, e) + 0.1 * was(&a, G, e);
        expect("lion", &a, M, e, 0.99 * was(&a, M, e) + 0.01 * was(&a, G, e));
        expect("lion", &a, W, e, weight(&a, e) - 0.1 * ((c > 0) - (c < 0)));
    }
    expect_rest("lion", &a, 1u << W | 1u << M);
}

/* Nadam (a part of the gradient in the step) and RAdam while its variance is intractable (no root).
 */
static void check_adam_variants(const lstm__kernels *k, size_t count, double root_scale,
                                double epsilon)
{
    arrays a;
    fill(&a, count);
    const lstm__adam_step s = {(real)0.1,   (real)0.9,     (real)0.99,       (real)epsilon,
                               (real)DECAY, (real)COUPLED, (real)root_scale, (real)0.3};
    k->adam(count, &s, row(&a, W), row(&a, G), row(&a, M), row(&a, V), NULL);
    for (size_t e = 0; e < count; e++) {
        const double g = gradient(&a, e);
        const double m = 0.9 * was(&a, M, e) + 0.1 * g;
        const double v = 0.99 * was(&a, V, e) + 0.01 * g * g;
        expect("nadam", &a, M, e, m);
        expect("nadam", &a, V, e, v);
        expect("nadam", &a, W, e,
               weight(&a, e) - (0.1 * m + 0.3 * g) / (sqrt(v) * root_scale + epsilon));
    }
    expect_rest("nadam", &a, 1u << W | 1u << M | 1u << V);
}

static void check_averages(const lstm__kernels *k, size_t count)
{
    arrays a;
    fill(&a, count);
    k->average(count, (real)0.75, row(&a, W), row(&a, M));
    k->add_scaled(count, (real)-0.5, row(&a, W), row(&a, V));
    for (size_t e = 0; e < count; e++) {
        expect("average", &a, M, e, 0.75 * was(&a, M, e) + 0.25 * was(&a, W, e));
        expect("add_scaled", &a, V, e, was(&a, V, e) - 0.5 * was(&a, W, e));
    }
    expect_rest("average and add_scaled", &a, 1u << M | 1u << V);
}

static void test_adaptive_updates_equal_reference(void **state)
{
    const int32_t isa = *(const int32_t *)*state;
    if (isa != LSTM_ISA_GENERIC && !lstm__cpu_supports(isa))
        skip();
    const lstm__kernels *const k = lstm__kernels_for(isa);
    for (size_t count = 0; count <= MOST; count++) {
        check_adagrad(k, count, 0);
        check_adagrad(k, count, 1);
        check_adadelta(k, count);
        check_adamax(k, count);
        check_lion(k, count);
        check_adam_variants(k, count, 1.5, 1e-3);
        check_adam_variants(k, count, 0, 1);
        check_averages(k, count);
    }
}

int main(void)
{
    static int32_t levels[] = {LSTM_ISA_GENERIC, LSTM_ISA_AVX2, LSTM_ISA_AVX512, LSTM_ISA_NEON};
    const struct CMUnitTest tests[] = {
        {"test_adaptive_updates_equal_reference (generic)", test_adaptive_updates_equal_reference,
         NULL, NULL, &levels[0]},
#ifndef LSTM__DOUBLE
        {"test_adaptive_updates_equal_reference (avx2)", test_adaptive_updates_equal_reference,
         NULL, NULL, &levels[1]},
        {"test_adaptive_updates_equal_reference (avx512)", test_adaptive_updates_equal_reference,
         NULL, NULL, &levels[2]},
        {"test_adaptive_updates_equal_reference (neon)", test_adaptive_updates_equal_reference,
         NULL, NULL, &levels[3]},
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
