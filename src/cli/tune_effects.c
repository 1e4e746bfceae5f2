/* SPDX-License-Identifier: MIT
 *
 * How much a parameter of a search matters: the share of the variance of the ranks of the
 * objective that groups of its values explain,
 *
 *     omega^2 = (SS_between - (g - 1) MS_within) / (SS_total + MS_within)        (Hays 1963)
 *
 * with negative values counted as 0. It looks at one parameter at a time: two that only matter
 * together are not seen, which the page says.
 */
#include "tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct point {
    double x, y, rank;
} point;

static int by_y(const void *a, const void *b)
{
    const point *const p = a;
    const point *const q = b;
    return p->y < q->y ? -1 : p->y > q->y;
}

static int by_x(const void *a, const void *b)
{
    const point *const p = a;
    const point *const q = b;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : by_y(a, b);
}

/* The points whose x is a number, sorted by x, with the ranks of y (equal y share the mean rank;
 * infinite y are the last). */
static point *sorted_points(const double *x, const double *y, size_t count, size_t *kept)
{
    point *points = calloc(count + 1, sizeof *points);
    *kept = 0;
    for (size_t i = 0; points != NULL && i < count; i++) {
        if (!isnan(x[i]) && !isnan(y[i])) {
            points[(*kept)++] = (point){x[i], y[i], 0};
        }
    }
    if (points == NULL) {
        return NULL;
    }
    qsort(points, *kept, sizeof *points, by_y);
    for (size_t i = 0; i < *kept;) {
        size_t j = i;
        while (j < *kept && points[j].y == points[i].y) {
            j++;
        }
        for (size_t k = i; k < j; k++) {
            points[k].rank = (double)(i + j - 1) / 2;
        }
        i = j;
    }
    qsort(points, *kept, sizeof *points, by_x);
    return points;
}

/* Where the next group ends: after about `size` points, but not between equal x. */
static size_t group_end(const point *points, size_t count, size_t from, size_t size)
{
    size_t end = from + size < count ? from + size : count;
    while (end < count && points[end].x == points[end - 1].x) {
        end++;
    }
    return end;
}

/* Points of a group: each value a group of its own where there are few values. */
static size_t group_size(const point *points, size_t count, size_t groups)
{
    size_t different = count > 0;
    for (size_t i = 1; i < count; i++) {
        different += points[i].x != points[i - 1].x;
    }
    return different <= groups ? 1 : (count + groups - 1) / groups;
}

double effect_share(const double *x, const double *y, size_t count, size_t groups)
{
    size_t kept = 0;
    point *points = sorted_points(x, y, count, &kept);
    if (points == NULL) {
        return NAN;
    }
    const size_t size = group_size(points, kept, groups);
    const double middle = ((double)kept - 1) / 2;
    double between = 0;
    double total = 0;
    size_t found = 0;
    for (size_t i = 0; i < kept; found++) {
        const size_t end = group_end(points, kept, i, size);
        double mean = 0;
        for (size_t k = i; k < end; k++) {
            mean += points[k].rank / (double)(end - i);
            total += (points[k].rank - middle) * (points[k].rank - middle);
        }
        between += (double)(end - i) * (mean - middle) * (mean - middle);
        i = end;
    }
    free(points);
    if (kept < found + 2 || found < 2 || total <= 0) {
        return NAN;
    }
    const double within = (total - between) / (double)(kept - found);
    const double share = (between - (double)(found - 1) * within) / (total + within);
    return share > 0 ? share : 0;
}

size_t effect_medians(const double *x, const double *y, size_t count, double *places,
                      double *medians, size_t capacity)
{
    size_t kept = 0;
    size_t found = 0;
    point *points = sorted_points(x, y, count, &kept);
    const size_t size = points == NULL ? 1 : group_size(points, kept, capacity);
    for (size_t i = 0; points != NULL && i < kept && found < capacity; found++) {
        const size_t end = group_end(points, kept, i, size);
        const size_t half = (i + end - 1) / 2;
        places[found] = (end - i) % 2 == 1 ? points[half].x
                                           : (points[half].x + points[half + 1].x) / 2;
        qsort(points + i, end - i, sizeof *points, by_y);
        medians[found] = (end - i) % 2 == 1 ? points[half].y
                                            : (points[half].y + points[half + 1].y) / 2;
        i = end;
    }
    free(points);
    return found;
}
