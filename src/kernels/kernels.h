/* SPDX-License-Identifier: MIT
 * The hot loops, one const table of pure functions per instruction level. No allocation, no status,
 * no threads: pointers and sizes in, numbers out. Rows are contiguous; `ld_*` is the distance of
 * two rows in elements. Any alignment, any size including 0. All levels use the same formulas and
 * agree within the tolerance that tests/test_kernels.c states.
 *
 * `real` is float. The gradient checks of the tests compile the layers a second time with
 * LSTM__DOUBLE, where real is double and the table is lstm__kernels_double, built on libm.
 */
#ifndef LSTM_KERNELS_KERNELS_H
#define LSTM_KERNELS_KERNELS_H

#include "packed.h"
#include "variants.h"

#include <lstm/lstm.h>

/* Coefficients of one Adam step, with everything that depends on the step count already multiplied
 * in:
 *     g += coupled_decay * w                               (PyTorch's Adam with weight decay)
 *     w -= decay * w                                       (decoupled: learning rate * weight decay)
 *     m  = beta_1 * m + (1 - beta_1) * g
 *     v  = beta_2 * v + (1 - beta_2) * g * g;   v^ = max(v^, v) with amsgrad
 *     w -= (rate * m + gradient_rate * g) / (sqrt(v or v^) * root_scale + epsilon)
 * Keras: rate = lr sqrt(1-b2^t)/(1-b1^t), root_scale = 1. PyTorch: rate = lr/(1-b1^t), root_scale =
 * 1/sqrt(1-b2^t). Nadam alone has a gradient_rate; RAdam is rate = lr r_t sqrt(1-b2^t)/(1-b1^t), or
 * while the variance is intractable root_scale = 0 and epsilon = 1. */
typedef struct lstm__adam_step {
    real rate, beta_1, beta_2, epsilon, decay, coupled_decay, root_scale, gradient_rate;
} lstm__adam_step;

/* SGD:  g += coupled_decay * w;  w -= decay * w
 * Keras (keras = 1): m = momentum*m - rate*g;  w += nesterov ? momentum*m - rate*g : m
 * PyTorch: b = first ? g : momentum*b + (1-dampening)*g;  w -= rate * (nesterov ? g + momentum*b : b)
 * `m` is NULL without momentum: w -= rate * g. */
typedef struct lstm__sgd_step {
    real rate, momentum, dampening, decay, coupled_decay;
    int nesterov, keras, first;
} lstm__sgd_step;

/* RMSprop:  g += coupled_decay * w;  w -= decay * w
 *   v = rho*v + (1-rho)*g*g;  centered: a = rho*a + (1-rho)*g, and v - a*a in place of v below
 *   d = keras ? g / sqrt(v + epsilon) : g / (sqrt(v) + epsilon)
 *   momentum: keras m = momentum*m + rate*d, w -= m;  PyTorch m = momentum*m + d, w -= rate*m;  else w -= rate*d
 * `m` and `a` are NULL when not used. */
typedef struct lstm__rmsprop_step {
    real rate, rho, momentum, epsilon, decay, coupled_decay;
    int keras;
} lstm__rmsprop_step;

/* One step of a GRU, see gru_tpl.h. `z` and `r` are where these gates begin in a row of 3 units;
 * the candidate is the last.
 *
 *                         gates               recurrent             second            h
 *   gru_after_forward     a from x -> z r g   h U + c, [3 units]    -> its last part  -> h
 *   gru_before_reset      a from x -> z r .   h U, [3 units]        -> r h_previous
 *   gru_before_forward    . . a_g -> g                                                -> h
 *   gru_backward          z r g -> gradients                        after: both ways  dh -> dh z
 *   gru_before_backward   r -> gradient       drh, [units]                            += drh r
 * gru_backward leaves r alone unless `after`. `second` may be NULL in gru_after_forward. */
typedef struct lstm__gru_step {
    size_t rows, units, z, r;
    int after;
    lstm__activation activation, recurrent_activation; /* of g, of z and r */
    real *gates;                                       /* [rows][3 units] */
    const real *recurrent;
    const real *h_previous; /* [rows], ld_previous apart */
    size_t ld_previous;
    real *h, *second; /* [rows][units] */
} lstm__gru_step;
/* The same two decays come first in each of these.
 * Adagrad:  v += g*g;  w -= rate * (keras ? g / sqrt(v + epsilon) : g / (sqrt(v) + epsilon)) */
typedef struct lstm__adagrad_step {
    real rate, epsilon, decay, coupled_decay;
    int keras;
} lstm__adagrad_step;

/* Adadelta:  v = rho*v + (1-rho)*g*g;  d = g * sqrt(u + epsilon) / sqrt(v + epsilon);  u = rho*u + (1-rho)*d*d;
 *            w -= rate * d */
typedef struct lstm__adadelta_step {
    real rate, rho, epsilon, decay, coupled_decay;
} lstm__adadelta_step;

/* Adamax:  m = beta_1*m + (1-beta_1)*g;  u = max(beta_2*u, |g| + gradient_epsilon);  w -= rate * m / (u + epsilon)
 * Keras has the epsilon beside u, PyTorch beside |g|; rate = lr/(1-b1^t). */
typedef struct lstm__adamax_step {
    real rate, beta_1, beta_2, epsilon, gradient_epsilon, decay, coupled_decay;
} lstm__adamax_step;

/* Lion:  w -= rate * sign(beta_1*m + (1-beta_1)*g);  m = beta_2*m + (1-beta_2)*g;  sign(0) = 0 */
typedef struct lstm__lion_step {
    real rate, beta_1, beta_2, decay, coupled_decay;
} lstm__lion_step;

/* One step of CTC over the places of `labels` labels, see ctc_tpl.h for rows, skip and low. */
#define LSTM__CTC_LOW (-1e30)
typedef struct lstm__ctc_step {
    size_t labels;
    /* The places that are computed: blanks first to last, labels first to last (to labels - 1 at
     * most). Those outside cannot be reached, or the end cannot from there. From one step to the
     * next both numbers stay or grow by one */
    size_t first, last;
    real blank; /* log-probability of the blank at this step */
    /* what is subtracted from every place: the largest value of the row before */
    real offset;
    const real *emissions; /* [labels]: of each label */
    const real *skip;      /* [labels + 1] */
} lstm__ctc_step;

/* Numbers drawn at random: `drawn` with chance `rate`, else `other`. Number k depends on the seed, the
 * stream and 4 block + k alone (lstm__random_block), and is the same at every level. */
typedef struct lstm__draw {
    uint64_t seed, stream, block;
    double rate; /* 0 to 1 */
    real drawn, other;
} lstm__draw;

typedef struct lstm__kernels {
    int32_t isa;      /* LSTM_ISA_* */
    const char *name; /* "avx2" */

    /* The LSTM engine, see packed.h for layouts and arguments. `lanes` is V; groups of columns in
     * the across layout have at most `cross_vectors` vectors. Panels are numbers of groups of V
     * units; a step's panels or groups, and an outer product's panels, may be shared among threads,
     * first to last - 1. */
    size_t lanes, cross_vectors;
    void (*pack_gates)(size_t units, size_t rows, const real *w, size_t ld, real *packed);
    /* sum; each may be NULL */
    void (*pack_bias)(size_t units, const real *first, const real *second, real *packed);
    void (*pack_across)(size_t units, size_t columns, const real *w, size_t ld, real *packed);
    void (*pack_narrow)(size_t units, size_t columns, const real *w, size_t ld, real *packed);
    void (*step_forward)(const lstm__step_forward *step, size_t first_panel, size_t last_panel);
    void (*step_backward)(const lstm__step_backward *step, size_t first_group, size_t last_group);
    void (*cell_forward)(const lstm__cell *cell); /* any activations; the products apart */
    void (*cell_backward)(const lstm__cell *cell);
    /* b: gates; c: in gate order */
    void (*multiply_gates)(const lstm__multiplication *product, size_t units);
    /* b: across; a: in gate order, k = 4 U */
    void (*multiply_across)(const lstm__multiplication *product, size_t columns);
    /* b: narrow; a: in gate order, k = 4 U */
    void (*multiply_narrow)(const lstm__multiplication *product, size_t columns);
    void (*outer_gates)(const lstm__outer *outer, size_t first_panel, size_t last_panel);

    /* y = activation(x) (softmax excluded), x may be y. Backward from the output alone: dx = (or
     * +=) dy * f'(x(y)); dy may be dx. */
    void (*activation_forward)(int32_t activation, size_t count, const real *x, real *y);
    void (*activation_backward)(int32_t activation, size_t count, const real *y, const real *dy,
                                real *dx, int accumulate);

    /* Softmax of each row (max subtracted); backward dx = (or +=) y * (dy - sum(dy * y)). In place
     * is allowed. */
    void (*softmax_forward)(size_t rows, size_t columns, const real *x, size_t ld_x, real *y,
                            size_t ld_y);
    void (*softmax_backward)(size_t rows, size_t columns, const real *y, size_t ld_y,
                             const real *dy, size_t ld_dy, real *dx, size_t ld_dx, int accumulate);

    void (*gru_after_forward)(const lstm__gru_step *step);
    void (*gru_before_reset)(const lstm__gru_step *step);
    void (*gru_before_forward)(const lstm__gru_step *step);
    void (*gru_backward)(const lstm__gru_step *step);
    void (*gru_before_backward)(const lstm__gru_step *step);

    /* Rows: y = bias in every row (bias NULL: zeros); out[column] = (or +=) sum over rows of x; y =
     * (or +=) x. */
    void (*fill_rows)(size_t rows, size_t columns, const real *bias, real *y, size_t ld_y);
    void (*column_sum)(size_t rows, size_t columns, const real *x, size_t ld_x, real *out,
                       int accumulate);
    void (*copy_rows)(size_t rows, size_t columns, const real *x, size_t ld_x, real *y, size_t ld_y,
                      int accumulate);

    /* Sum of squares, in double; x *= factor; x = clamp(x, -limit, limit). */
    double (*sum_squares)(size_t count, const real *x);
    void (*scale)(size_t count, real factor, real *x);
    void (*clip)(size_t count, real limit, real *x);

    /* Optimizer updates, one pass. `g` is read only. vmax is NULL without amsgrad. */
    void (*adam)(size_t count, const lstm__adam_step *step, real *w, const real *g, real *m,
                 real *v, real *vmax);
    void (*sgd)(size_t count, const lstm__sgd_step *step, real *w, const real *g, real *m);
    void (*rmsprop)(size_t count, const lstm__rmsprop_step *step, real *w, const real *g, real *v,
                    real *m, real *a);
    void (*adagrad)(size_t count, const lstm__adagrad_step *step, real *w, const real *g, real *v);
    void (*adadelta)(size_t count, const lstm__adadelta_step *step, real *w, const real *g, real *v,
                     real *u);
    void (*adamax)(size_t count, const lstm__adamax_step *step, real *w, const real *g, real *m,
                   real *u);
    void (*lion)(size_t count, const lstm__lion_step *step, real *w, const real *g, real *m);

    /* CTC. normalise: most = largest of x, p = exp(x - most) (p may be NULL), the answer is their
     * sum. forward: row of a step from the one before, without its own emission; the answer is its
     * largest value. backward: `row` holds beta times emission of the step after and gets those of
     * this step; both = alpha * beta; the answer is the largest value of row, `largest` that of
     * both. occupancy: `both` becomes exp(both - largest) for labels; `blank` is the sum of the
     * blanks, the answer that of all. */
    real (*ctc_normalise)(size_t classes, const real *x, real *p, real *most);
    real (*ctc_forward)(const lstm__ctc_step *step, const real *from, real *to);
    real (*ctc_backward)(const lstm__ctc_step *step, const real *alpha, real *row, real *both,
                         real *largest);
    real (*ctc_occupancy)(const lstm__ctc_step *step, real largest, real *both, real *blank);

    /* y = keep * y + (1 - keep) * x; y += factor * x. */
    void (*average)(size_t count, real keep, const real *x, real *y);
    void (*add_scaled)(size_t count, real factor, const real *x, real *y);

    /* The LSTM's variants, see variants.h. pack_columns: w [k][columns], or with `turned`
     * [columns][k], to the across layout, for products with rows of any k numbers. */
    void (*variant_forward)(const lstm__variant *variant);
    void (*variant_backward)(const lstm__variant *variant);
    void (*gate_norm_forward)(const lstm__gate_norm *norm);
    void (*gate_norm_backward)(const lstm__gate_norm *norm);
    void (*hold_forward)(const lstm__hold *hold);
    void (*hold_backward)(const lstm__hold *hold);
    void (*pack_columns)(size_t k, size_t columns, const real *w, size_t ld, int turned,
                         real *packed);

    void (*draw_factors)(const lstm__draw *draw, size_t count, real *to);

    /* As activation_forward and activation_backward, for activations with numbers. */
    void (*shaped_forward)(lstm__activation activation, size_t count, const real *x, real *y);
    void (*shaped_backward)(lstm__activation activation, size_t count, const real *y,
                            const real *dy, real *dx, int accumulate);
} lstm__kernels;

/* The table of a level that the CPU supports (the caller has asked lstm__cpu_level). In the double
 * build there is one table, whatever the level. */
const lstm__kernels *lstm__kernels_for(int32_t isa);

#endif
