/* SPDX-License-Identifier: MIT
 *
 * The tiles of all products: some rows by some vectors of accumulators; each step of k broadcasts
 * one value a row of A and multiplies it with the vectors of B. An element is summed in the order
 * of k whatever the tile, so results do not depend on how rows and columns are cut among tiles or
 * threads.
 *
 * GCC keeps an array of accumulators in registers only if the loops over it are unrolled. Each size
 * is a function of its own, so that nothing around it pushes accumulators out of registers.
 *
 * A level may define GATE_ROWS (rows of tiles of four vectors), CROSS_ROWS and CROSS_VECTORS for
 * its number of registers.
 */
#ifndef LSTM_KERNELS_TILES_TPL_H
#define LSTM_KERNELS_TILES_TPL_H

#ifndef GATE_ROWS /* 32 registers */
#define GATE_ROWS 6
#define CROSS_ROWS 6
#define CROSS_VECTORS 4
#endif

#define UNROLL _Pragma("GCC unroll 16")
#define NOINLINE __attribute__((noinline))

/* k is cut into pieces of at most DEPTH, equal if possible, so that what a piece reads of B stays
 * in the second cache. From there tiles fetch it AHEAD steps of k before they need it: the hardware
 * alone is late (AVX-512: 183 against 193 of 245 GFLOP/s). */
enum { MOST_ROWS = 6, MOST_VECTORS = 4, DEPTH = 512, AHEAD = 12 };

/* What is brought to the second cache while tiles work: AHEAD is too late for what lies in the third
 * or in memory, and to ask for many lines at once blocks the way for those from the second. So
 * whoever calls tiles lists what comes after them, as streams of `count` places `step` apart, and
 * each step of k asks for one; the next tile goes on where one ends. The last stream never ends. */
typedef struct stream {
    const real *at;
    size_t step, count;
} stream;

enum { MOST_STREAMS = 48 };

/* A line that is stored whole need not be there before; half a line must (AVX2: 10 % of a step). */
enum { WHOLE_LINES = LANES * sizeof(real) % 64 == 0 };

typedef struct fetches {
    stream list[MOST_STREAMS + 1];
    size_t length, next;
} fetches;

static INLINE void fetch_nothing(fetches *f, const real *anywhere)
{
    f->list[0] = (stream){anywhere, 0, SIZE_MAX};
    f->length = f->next = 0;
}

static INLINE void fetch(fetches *f, const real *at, size_t step, size_t count)
{
    if (count == 0 || f->length == MOST_STREAMS)
        return;
    f->list[f->length + 1] = f->list[f->length];
    f->list[f->length++] = (stream){at, step, count};
}

/* Some columns of some rows, line by line. */
static INLINE void fetch_rows(fetches *f, const real *at, size_t ld, size_t rows, size_t columns)
{
    for (size_t c = 0; c < columns; c += 64 / sizeof(real))
        fetch(f, at + c, ld, rows);
}

/* `count` numbers in one piece, spread over that many steps of k: asked for more lines than it can give, the
 * third cache keeps waiting also who wants something from the second. A step of k then goes on by a part
 * of a line only: to ask again for the same one costs less than to leave out a step. */
static INLINE void fetch_evenly(fetches *f, const real *at, size_t count, size_t steps)
{
    const size_t line = 64 / sizeof(real);
    if (count == 0 || steps == 0)
        return;
    size_t step = (count + steps - 1) / steps;
    step = step < line ? step : line;
    fetch(f, at, step, (count + step - 1) / step);
}

/* Make the lines of some columns ours to write, soon. A processor holds back a store until its line is
 * there, and every later store with it: without this the lines of a tape that lies in the third cache or
 * in memory come one after the other. */
static INLINE void claim(const real *at, size_t columns)
{
    for (size_t c = 0; c < columns; c += 64 / sizeof(real))
        __builtin_prefetch(at + c, 1);
}

/* out[r][v] = start[r][v] (NULL: 0) + sum over k of a[r * row + k * step] * b[k * wide + v]. The
 * distances ld_start (0: the same for all rows) and ld_out are of rows. */
typedef struct tile_job {
    size_t count;
    const real *a;
    size_t row, step;
    const real *b;
    size_t wide;
    const real *start;
    size_t ld_start;
    real *out;
    size_t ld_out;
    const real *then; /* what the next tile reads of b; NULL = the same */
    fetches *fetch;   /* what tiles bring nearer, a line each step of k; NULL = nothing */
} tile_job;

#define TILE(ROWS, VECTORS)                                                                        \
    static NOINLINE void tile_##ROWS##_##VECTORS(const tile_job *job)                              \
    {                                                                                              \
        const real *a = job->a;                                                                    \
        const real *b = job->b;                                                                    \
        const size_t row = job->row;                                                               \
        const size_t step = job->step;                                                             \
        const size_t wide = job->wide;                                                             \
        V sum[ROWS][VECTORS];                                                                      \
        UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int v = 0; v < VECTORS; v++)             \
            sum[r][v] = job->start                                                                 \
                            ? vload(job->start + (size_t)r * job->ld_start + (size_t)v * LANES)    \
                            : vset(0);                                                             \
        size_t next = job->fetch ? job->fetch->next : 0;                                           \
        stream far = job->fetch ? job->fetch->list[next] : (stream){b, 0, SIZE_MAX};               \
        size_t ahead = AHEAD * wide * sizeof(real);                                                \
        for (size_t left = job->count; left > 0;) {                                                \
            size_t n = left > AHEAD ? left - AHEAD : left;                                         \
            if (left <= AHEAD)                                                                     \
                ahead = (uintptr_t)(job->then ? job->then : job->b) - (uintptr_t)b -               \
                        (AHEAD - left) * wide * sizeof(real);                                      \
            n = n < far.count ? n : far.count;                                                     \
            left -= n;                                                                             \
            far.count -= n;                                                                        \
            const size_t far_step = far.step;                                                      \
            const real *line = far.at;                                                             \
            do {                                                                                   \
                V w[VECTORS];                                                                      \
                UNROLL for (int v = 0; v < VECTORS; v++) w[v] = vload(b + v * LANES);              \
                UNROLL for (int v = 0; v < VECTORS; v++) if (v * LANES * sizeof(real) % 64 == 0)   \
                    __builtin_prefetch((const void *)((uintptr_t)(b + v * LANES) + ahead));        \
                __builtin_prefetch(line, 0, 2);                                                    \
                line += far_step;                                                                  \
                if (step != 1)                                                                     \
                    __builtin_prefetch(a + AHEAD * step);                                          \
                UNROLL for (int r = 0; r < ROWS; r++)                                              \
                {                                                                                  \
                    const V x = vset(a[(size_t)r * row]);                                          \
                    UNROLL for (int v = 0; v < VECTORS; v++) sum[r][v] = vfma(x, w[v], sum[r][v]); \
                }                                                                                  \
                a += step;                                                                         \
                b += wide;                                                                         \
            } while (--n > 0);                                                                     \
            far.at = line;                                                                         \
            if (far.count == 0)                                                                    \
                far = job->fetch->list[++next];                                                    \
        }                                                                                          \
        if (job->fetch) {                                                                          \
            job->fetch->next = next;                                                               \
            job->fetch->list[next] = far;                                                          \
        }                                                                                          \
        UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int v = 0; v < VECTORS; v++)             \
            vstore(job->out + (size_t)r * job->ld_out + (size_t)v * LANES, sum[r][v]);             \
    }

typedef void tile_function(const tile_job *job);

#define TILES(VECTORS) TILE(1, VECTORS) TILE(2, VECTORS) TILE(3, VECTORS)
#define MORE_TILES(VECTORS) TILE(4, VECTORS) TILE(5, VECTORS) TILE(6, VECTORS)
#define NAMES(VECTORS) tile_1_##VECTORS, tile_2_##VECTORS, tile_3_##VECTORS
#define MORE_NAMES(VECTORS) tile_4_##VECTORS, tile_5_##VECTORS, tile_6_##VECTORS

/* With 16 registers, six rows of four vectors are two tiles of two. */
#define TWICE(ROWS)                                              \
    static NOINLINE void tile_##ROWS##_4(const tile_job *job)    \
    {                                                            \
        tile_job half = *job;                                    \
        half.then = job->b + 2 * LANES;                          \
        tile_##ROWS##_2(&half);                                  \
        half.b = job->b + 2 * LANES;                             \
        half.then = job->then ? job->then : job->b;              \
        half.start = job->start ? job->start + 2 * LANES : NULL; \
        half.out = job->out + 2 * LANES;                         \
        tile_##ROWS##_2(&half);                                  \
    }

/* By rows, from 1. */
TILES(1)
MORE_TILES(1)
TILES(2)
MORE_TILES(2)
#if CROSS_VECTORS == 4
TILES(4)
MORE_TILES(4)
#else
TWICE(1)
TWICE(2)
TWICE(3)
TWICE(4)
TWICE(5) TWICE(6)
#endif
static tile_function *const gate_tiles[] = {NAMES(4), MORE_NAMES(4)};
/* By vectors and rows, from 1. */
#if CROSS_VECTORS == 4
TILES(3)
MORE_TILES(3)
static tile_function *const cross_tiles[][6] = {{NAMES(1), MORE_NAMES(1)},
                                                {NAMES(2), MORE_NAMES(2)},
                                                {NAMES(3), MORE_NAMES(3)},
                                                {NAMES(4), MORE_NAMES(4)}};
#else
static tile_function *const cross_tiles[][6] = {{NAMES(1), MORE_NAMES(1)},
                                                {NAMES(2), MORE_NAMES(2)}};
#endif

/* One row alone, for which a tile has too few accumulators to hide the latency of its additions:
 * every second, fourth or eighth k goes to sums of its own, which are added at the end. `wide` is
 * that of the vectors. */
#define SINGLE(VECTORS, WAYS)                                                                     \
    static NOINLINE void tile_single_##VECTORS(const tile_job *job)                               \
    {                                                                                             \
        const real *a = job->a;                                                                   \
        const real *b = job->b;                                                                   \
        V sum[WAYS][VECTORS];                                                                     \
        UNROLL for (int way = 0; way < WAYS; way++) UNROLL for (int v = 0; v < VECTORS; v++)      \
            sum[way][v] = way == 0 && job->start ? vload(job->start + (size_t)v * LANES)          \
                                                 : vset(0);                                       \
        size_t k = 0;                                                                             \
        for (; k + WAYS <= job->count; k += WAYS) {                                               \
            UNROLL for (int way = 0; way < WAYS; way++)                                           \
            {                                                                                     \
                const V x = vset(a[k + (size_t)way]);                                             \
                UNROLL for (int v = 0; v < VECTORS; v++)                                          \
                    sum[way][v] = vfma(x, vload(b + (way * VECTORS + v) * LANES), sum[way][v]);   \
            }                                                                                     \
            b += WAYS * VECTORS * LANES;                                                          \
        }                                                                                         \
        for (; k < job->count; k++, b += VECTORS * LANES)                                         \
            UNROLL for (int v = 0; v < VECTORS; v++)                                              \
                sum[0][v] = vfma(vset(a[k]), vload(b + v * LANES), sum[0][v]);                    \
        UNROLL for (int half = WAYS / 2; half > 0; half /= 2)                                     \
            UNROLL for (int way = 0; way < half; way++) UNROLL for (int v = 0; v < VECTORS; v++)  \
                sum[way][v] = vadd(sum[way][v], sum[way + half][v]);                              \
        UNROLL for (int v = 0; v < VECTORS; v++) vstore(job->out + (size_t)v * LANES, sum[0][v]); \
    }
SINGLE(1, 8)
SINGLE(2, 4)
SINGLE(4, 2)
#if CROSS_VECTORS == 4
SINGLE(3, 2)
static tile_function *const single_tiles[] = {tile_single_1, tile_single_2, tile_single_3,
                                              tile_single_4};
#else
static tile_function *const single_tiles[] = {tile_single_1, tile_single_2};
#endif

/* `total` cut into the fewest parts of at most `most`, sizes differing by at most one. */
typedef struct parts {
    size_t count, base, extra;
} parts;

static INLINE parts cut(size_t total, size_t most)
{
    const size_t count = (total + most - 1) / most;
    return (parts){count, count ? total / count : 0, count ? total % count : 0};
}

static INLINE size_t part_size(const parts *p, size_t index)
{
    return p->base + (index < p->extra);
}

static INLINE size_t part_first(const parts *p, size_t index)
{
    return index * p->base + (index < p->extra ? index : p->extra);
}

static INLINE size_t panels_of(size_t units)
{
    return lstm__panels(LANES, units);
}

#endif
