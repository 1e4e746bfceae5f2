/* SPDX-License-Identifier: MIT
 *
 * The two recursions of CTC (Graves et al. 2006) in log space, over all places of a label sequence
 * at once. A row holds one number a place for L labels,
 *
 *     [blank 0 … blank L] [low] [label 0 … label L-1] [low]         2 L + 3 values
 *
 * blanks apart from labels, so that every load is contiguous, no place needs a gather and a blank
 * has two ways in instead of three. "low" (CTC_LOW) stands for the logarithm of 0: finite, so that
 * the difference of two of them is a number, and far below whatever a sum of logits can reach.
 *
 * skip[j] is 0 where label j may follow label j-1 without a blank between them (they differ), else
 * low; skip[0] and skip[L] are low.
 *
 * Only places that can be reached are computed: j labels take j steps, so place j is reached at step j
 * at the earliest, and left for the last time when as many steps are to come as labels.
 *
 * Each step subtracts the largest value of the step before: values stay near 0, where floats are
 * dense, and the caller adds up in double what was subtracted. The error of a loss is that of
 * numbers of a few units, not of its own hundreds.
 */
#ifndef LSTM_KERNELS_CTC_TPL_H
#define LSTM_KERNELS_CTC_TPL_H

#define CTC_LOW ((real)LSTM__CTC_LOW)

/* log(1 + e) for 0 <= e <= 2: from 1 on log 2 + log(1 + (e - 1) / 2). */
static INLINE V log1p_to_two(V e)
{
    const B large = vgreater(e, vset(1));
    const V half = vmul(vsub(e, vset(1)), vset((real)0.5));
    const V log_two = vselect(large, vset((real)0.69314718055994530942), vset(0));
    return vadd(log_two, vlog1p_unit(vselect(large, half, e)));
}

static INLINE V log_add_two(V a, V b)
{
    const V difference = vsub(vmin(a, b), vmax(a, b));
    return vadd(vmax(a, b), vlog1p_unit(vexp_negative(difference)));
}

static INLINE V log_add_three(V a, V b, V c)
{
    const V high = vmax(a, b);
    const V most = vmax(high, c);
    const V rest = vadd(vexp_negative(vsub(vmin(a, b), most)),
                        vexp_negative(vsub(vmin(high, c), most)));
    return vadd(most, log1p_to_two(rest));
}

static real ctc_normalise(size_t classes, const real *x, real *p, real *most)
{
    V largest = vset(-INFINITY);
    FOR_EACH_VECTOR(classes, largest = vmax(largest, vpart(get(x + k, n), n, largest)));
    *most = vlargest(largest);
    const V offset = vset(*most);
    V sums = vset(0);
    if (p)
        FOR_EACH_VECTOR(classes,
                        const V e = vpart(vexp_negative(vsub(get(x + k, n), offset)), n, vset(0));
                        sums = vadd(sums, e); put(p + k, e, n));
    else
        FOR_EACH_VECTOR(classes, sums = vadd(sums, vpart(vexp_negative(vsub(get(x + k, n), offset)),
                                                         n, vset(0))));
    return vsum(sums);
}

/* Labels that are computed: from step->first on. */
static size_t ctc_label_count(const lstm__ctc_step *s)
{
    const size_t end = s->last < s->labels ? s->last + 1 : s->labels;
    return end > s->first ? end - s->first : 0;
}

/* What the next step reads on either side of the places is low. */
static real ctc_forward(const lstm__ctc_step *s, const real *from, real *to)
{
    const size_t blanks = s->last - s->first + 1;
    const size_t labels = ctc_label_count(s);
    const real *blank_before = from + s->first;
    const real *before = blank_before + s->labels + 1; /* label j - 1 at j */
    const real *skip = s->skip + s->first;
    const real *emissions = s->emissions + s->first;
    real *to_blanks = to + s->first;
    real *to_labels = to_blanks + s->labels + 2;
    const V low = vset(CTC_LOW);
    const V blank = vset(s->blank - s->offset);
    const V offset = vset(s->offset);
    V most = low;
    FOR_EACH_VECTOR(blanks, const V sum = log_add_two(get(blank_before + k, n), get(before + k, n));
                    const V v = vmax(low, vadd(sum, blank)); most = vmax(most, vpart(v, n, most));
                    put(to_blanks + k, v, n));
    FOR_EACH_VECTOR(labels,
                    const V sum = log_add_three(get(before + 1 + k, n), get(blank_before + k, n),
                                                vadd(get(before + k, n), get(skip + k, n)));
                    const V v = vmax(low, vadd(sum, vsub(get(emissions + k, n), offset)));
                    most = vmax(most, vpart(v, n, most)); put(to_labels + k, v, n));
    to_blanks[blanks] = CTC_LOW;
    to_labels[-1] = CTC_LOW;
    to_labels[labels] = CTC_LOW;
    return vlargest(most);
}

/* Blank and label of one place are updated together: both read what the other was. */
static real ctc_backward(const lstm__ctc_step *s, const real *alpha, real *row, real *both,
                         real *largest)
{
    const size_t labels = ctc_label_count(s);
    const size_t to_label = s->labels + 2; /* from a blank to its label */
    const real *a = alpha + s->first;
    const real *skip = s->skip + s->first;
    const real *emissions = s->emissions + s->first;
    real *r = row + s->first;
    real *c = both + s->first;
    const V low = vset(CTC_LOW);
    const V blank = vset(s->blank - s->offset);
    const V offset = vset(s->offset);
    V most = low;
    V most_both = vset(2 * CTC_LOW);
    FOR_EACH_VECTOR(labels, real *own = r + to_label + k; const V own_blank = get(r + k, n);
                    const V next_blank = get(r + k + 1, n); const V own_label = get(own, n);
                    const V next_label = vadd(get(own + 1, n), get(skip + k + 1, n));
                    const V b = log_add_two(own_blank, own_label);
                    const V l = log_add_three(own_label, next_blank, next_label);
                    const V both_blank = vadd(b, get(a + k, n));
                    const V both_label = vadd(l, get(a + to_label + k, n));
                    put(c + k, both_blank, n); put(c + to_label + k, both_label, n);
                    most_both = vmax(most_both, vpart(vmax(both_blank, both_label), n, most_both));
                    const V new_blank = vmax(low, vadd(b, blank));
                    const V new_label = vmax(low, vadd(l, vsub(get(emissions + k, n), offset)));
                    most = vmax(most, vpart(vmax(new_blank, new_label), n, most));
                    put(r + k, new_blank, n); put(own, new_label, n));
    const real largest_move = vlargest(most);
    *largest = vlargest(most_both);
    if (s->last < s->labels)
        return largest_move;
    /* the last blank is followed by itself only */
    const real last = row[s->labels];
    const real moved = last + s->blank - s->offset;
    const real kept = moved > CTC_LOW ? moved : CTC_LOW;
    both[s->labels] = last + alpha[s->labels];
    row[s->labels] = kept;
    *largest = *largest > both[s->labels] ? *largest : both[s->labels];
    return largest_move > kept ? largest_move : kept;
}

static real ctc_occupancy(const lstm__ctc_step *s, real largest, real *both, real *blank)
{
    const V most = vset(largest);
    V blanks = vset(0);
    V others = vset(0);
    real *c = both + s->first;
    real *p = c + s->labels + 2;
    FOR_EACH_VECTOR(
        s->last - s->first + 1,
        blanks = vadd(blanks, vpart(vexp_negative(vsub(get(c + k, n), most)), n, vset(0))));
    FOR_EACH_VECTOR(ctc_label_count(s),
                    const V e = vpart(vexp_negative(vsub(get(p + k, n), most)), n, vset(0));
                    others = vadd(others, e); put(p + k, e, n));
    *blank = vsum(blanks);
    return *blank + vsum(others);
}

#endif
