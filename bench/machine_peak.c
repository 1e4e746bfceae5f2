/* SPDX-License-Identifier: MIT
 *
 * Peaks of the machine.
 *
 * A core starts two multiply-adds a cycle, each of which takes four cycles or five: at least ten
 * have to be under way. The loops keep twelve accumulators (24 where there are 32 registers), each
 * a variable of its own, as compilers keep arrays of vectors in memory. The values tend to 1 (on
 * aarch64 they grow slowly), so nothing overflows or becomes denormal.
 *
 * Reading adds up whole cache lines in eight accumulators, so that no addition is waited for.
 */
#include "machine_peak.h"

#include <lstm/lstm.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { ROUNDS = 20000, MOST_THREADS = 256 };

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define TWELVE_MORE(X) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)

typedef float four __attribute__((vector_size(16)));

/* Each `spin` runs ROUNDS rounds and returns something that depends on every accumulator; each
 * `read` does so over `count` floats, a multiple of 128. */

static float spin_generic(float start)
{
    const four x = {0.5f, 0.5f, 0.5f, 0.5f};
#define START(k) four a##k = x * (start + k);
    TWELVE(START)
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(k) a##k = a##k * x + x;
        TWELVE(STEP)
#undef STEP
        __asm__ volatile(""); /* the rounds are not to be merged */
    }
    four sum = x;
#define ADD(k) sum += a##k;
    TWELVE(ADD)
    return sum[0] + sum[1] + sum[2] + sum[3];
#undef START
#undef ADD
}

static float read_generic(const float *p, size_t count)
{
    four a = {0}, b = {0}, c = {0}, d = {0};
    const four *const v = (const four *)(const void *)p;
    for (size_t k = 0; k < count / 4; k += 4) {
        a += v[k];
        b += v[k + 1];
        c += v[k + 2];
        d += v[k + 3];
    }
    a += b + c + d;
    return a[0] + a[1] + a[2] + a[3];
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static float spin_avx2(float start)
{
    const __m256 x = _mm256_set1_ps(0.5f);
#define START(k) __m256 a##k = _mm256_set1_ps(start + k);
    TWELVE(START)
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(k) a##k = _mm256_fmadd_ps(a##k, x, x);
        TWELVE(STEP)
#undef STEP
        __asm__ volatile("");
    }
    __m256 sum = x;
#define ADD(k) sum = _mm256_add_ps(sum, a##k);
    TWELVE(ADD)
    return _mm256_cvtss_f32(sum);
#undef START
#undef ADD
}

__attribute__((target("avx512f"))) static float spin_avx512(float start)
{
    const __m512 x = _mm512_set1_ps(0.5f);
#define START(k) __m512 a##k = _mm512_set1_ps(start + k);
    TWELVE(START)
    TWELVE_MORE(START)
    for (int round = 0; round < ROUNDS; round++) {
#define STEP(k) a##k = _mm512_fmadd_ps(a##k, x, x);
        TWELVE(STEP)
        TWELVE_MORE(STEP)
#undef STEP
        __asm__ volatile("");
    }
    __m512 sum = x;
#define ADD(k) sum = _mm512_add_ps(sum, a##k);
    TWELVE(ADD)
    TWELVE_MORE(ADD)
    return _mm512_cvtss_f32(sum);
#undef START
#undef ADD
}

__attribute__((target("avx2"))) static float read_avx2(const float *p, size_t count)
{
    __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    for (size_t k = 0; k < count; k += 64) {
        a = _mm256_add_ps(a, _mm256_load_ps(p + k));
        b = _mm256_add_ps(b, _mm256_load_ps(p + k + 8));
        c = _mm256_add_ps(c, _mm256_load_ps(p + k + 16));
        d = _mm256_add_ps(d, _mm256_load_ps(p + k + 24));
        e = _mm256_add_ps(e, _mm256_load_ps(p + k + 32));
        f = _mm256_add_ps(f, _mm256_load_ps(p + k + 40));
        g = _mm256_add_ps(g, _mm256_load_ps(p + k + 48));
        h = _mm256_add_ps(h, _mm256_load_ps(p + k + 56));
    }
    a = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    e = _mm256_add_ps(_mm256_add_ps(e, f), _mm256_add_ps(g, h));
    return _mm256_cvtss_f32(_mm256_add_ps(a, e));
}

__attribute__((target("avx512f"))) static float read_avx512(const float *p, size_t count)
{
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    for (size_t k = 0; k < count; k += 128) {
        a = _mm512_add_ps(a, _mm512_load_ps(p + k));
        b = _mm512_add_ps(b, _mm512_load_ps(p + k + 16));
        c = _mm512_add_ps(c, _mm512_load_ps(p + k + 32));
        d = _mm512_add_ps(d, _mm512_load_ps(p + k + 48));
        e = _mm512_add_ps(e, _mm512_load_ps(p + k + 64));
        f = _mm512_add_ps(f, _mm512_load_ps(p + k + 80));
        g = _mm512_add_ps(g, _mm512_load_ps(p + k + 96));
        h = _mm512_add_ps(h, _mm512_load_ps(p + k + 112));
    }
    a = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
    e = _mm512_add_ps(_mm512_add_ps(e, f), _mm512_add_ps(g, h));
    return _mm512_cvtss_f32(_mm512_add_ps(a, e));
}

#elif defined(__aarch64__)

static float spin_neon(float start)
{
    const float32x4_t x = vdupq_n_f32(0.5f);
#define START(k) float32x4_t a##k = vdupq_n_f32(start + k);
    TWELVE(START)
    TWELVE_MORE(START)
    for (int round = 0; round < ROUNDS; round++) {
/* the accumulator is the addend here and grows by 1/4 a round */
#define STEP(k) a##k = vfmaq_f32(a##k, x, x);
        TWELVE(STEP)
        TWELVE_MORE(STEP)
#undef STEP
        __asm__ volatile("");
    }
    float32x4_t sum = x;
#define ADD(k) sum = vaddq_f32(sum, a##k);
    TWELVE(ADD)
    TWELVE_MORE(ADD)
    return vaddvq_f32(sum);
#undef START
#undef ADD
}

#endif

typedef struct loops {
    float (*spin)(float start);
    double flops; /* of one call */
    float (*read)(const float *p, size_t count);
} loops;

static loops loops_of(int32_t isa)
{
    switch (isa) {
#if defined(__x86_64__)
    case LSTM_ISA_AVX2:
        return (loops){spin_avx2, 2.0 * ROUNDS * 12 * 8, read_avx2};
    case LSTM_ISA_AVX512:
        return (loops){spin_avx512, 2.0 * ROUNDS * 24 * 16, read_avx512};
#elif defined(__aarch64__)
    case LSTM_ISA_NEON:
        return (loops){spin_neon, 2.0 * ROUNDS * 24 * 4, read_generic};
#endif
    default:
        return (loops){spin_generic, 2.0 * ROUNDS * 12 * 4, read_generic};
    }
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double machine_seconds(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double machine_busy_seconds(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

typedef struct spinner {
    pthread_t thread;
    loops loops;
    double seconds, rate;
    float result;
} spinner;

static void *spin_for_a_while(void *argument)
{
    spinner *const s = argument;
    s->result = s->loops.spin(1);
    const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    double elapsed = 0;
    double calls = 0;
    while (elapsed < s->seconds) {
        s->result = s->loops.spin(1);
        calls++;
        elapsed = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    s->rate = calls * s->loops.flops / elapsed;
    return NULL;
}

double machine_peak(int32_t isa, int32_t threads, double seconds)
{
    static spinner spinners[MOST_THREADS];
    const int32_t count = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
    int32_t started = 1;
    for (int32_t k = 0; k < count; k++)
        spinners[k] = (spinner){.loops = loops_of(isa), .seconds = seconds};
    while (started < count && pthread_create(&spinners[started].thread, NULL, spin_for_a_while,
                                             &spinners[started]) == 0)
        started++;
    spin_for_a_while(&spinners[0]);
    double rate = spinners[0].rate;
    for (int32_t k = 1; k < started; k++) {
        pthread_join(spinners[k].thread, NULL);
        rate += spinners[k].rate;
    }
    return 1e-9 * rate;
}

double machine_read_bandwidth(int32_t isa, size_t bytes, double seconds)
{
    const size_t rounded = bytes / 512 * 512;
    float *const block = rounded ? aligned_alloc(64, rounded) : NULL;
    if (!block)
        return 0;
    memset(block, 0, rounded);
    const loops l = loops_of(isa);
    volatile float sink = l.read(block, rounded / sizeof(float));
    const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    double elapsed = 0;
    double read = 0;
    while (elapsed < seconds) {
        sink = sink + l.read(block, rounded / sizeof(float));
        read += (double)rounded;
        elapsed = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    free(block);
    return 1e-9 * read / elapsed;
}

void machine_name(char *name, size_t size)
{
    snprintf(name, size, "unknown");
    FILE *const file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *const colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(name, size, "%s", colon + 1 + (colon[1] == ' '));
        break;
    }
    fclose(file);
    for (char *c = name; *c; c++) {
        if (*c == '\n')
            *c = 0;
        else if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = ' ';
        if (!*c)
            break;
    }
}

const char *machine_level(int32_t isa)
{
    switch (isa) {
    case LSTM_ISA_GENERIC:
        return "generic";
    case LSTM_ISA_AVX2:
        return "avx2";
    case LSTM_ISA_AVX512:
        return "avx512";
    case LSTM_ISA_NEON:
        return "neon";
    default:
        return "unknown";
    }
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double machine_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}
