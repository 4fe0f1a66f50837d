/* Corrupted texts: random choices by sorting keys, and what is done with them. */
#include "runtime/io/corrupt.h"

#include <math.h>
#include <string.h>

#include "ir/base/rng.h"
#include "ir/base/str.h"

enum { SPAN_LONGEST = 256 };

int sn_corrupt_budget(int n, double rate) {
  double many = ceil(rate * n - 1e-9); /* 0.1 of 30 is 3 */
  return many < 0 ? 0 : many > n ? n : (int)many;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static float key(const sn_corrupt_draw *d, const char *stream, int at) {
  return sn_uniform(d->seed, sn_stream_of(stream), d->epoch, d->index * (uint64_t)d->room + (uint64_t)at);
}

/* The numbers 0 .. n - 1 by their keys, equal ones in order. Merges, because texts may be long. */
static void by_key(const float *keys, int n, int *order, int *scratch) {
  for (int i = 0; i < n; i++) order[i] = i;
  for (int width = 1; width < n; width *= 2) {
    for (int at = 0; at < n; at += 2 * width) {
      int middle = at + width < n ? at + width : n, end = at + 2 * width < n ? at + 2 * width : n;
      int a = at, b = middle, to = at;
      while (a < middle || b < end) {
        bool left = a < middle && (b == end || keys[order[a]] <= keys[order[b]]);
        scratch[to++] = left ? order[a++] : order[b++];
      }
    }
    memcpy(order, scratch, sizeof *order * (size_t)n);
  }
}

static void random_order(const sn_corrupt_draw *d, const char *stream, int n, int *order) {
  float keys[SN_CORRUPT_ROOM];
  int scratch[SN_CORRUPT_ROOM];
  for (int i = 0; i < n; i++) keys[i] = key(d, stream, i);
  by_key(keys, n, order, scratch);
}

/* ---- choices ----------------------------------------------------------------------------------------------------- */

static void choose(const sn_corrupt_draw *d, const char *stream, int n, int count, bool *chosen) {
  int order[SN_CORRUPT_ROOM];
  random_order(d, stream, n, order);
  for (int i = 0; i < n; i++) chosen[order[i]] = i < count;
}

void sn_choose_tokens(const sn_corrupt_draw *d, int n, int count, bool *out_chosen) {
  choose(d, "corrupt.tokens", n, count, out_chosen);
}

/* The chosen things, in their order, take the places of the chosen things in random order. */
void sn_choose_order(const sn_corrupt_draw *d, int n, int count, int *out_from) {
  bool chosen[SN_CORRUPT_ROOM];
  int order[SN_CORRUPT_ROOM], next = 0;
  choose(d, "corrupt.moved", n, count, chosen);
  random_order(d, "corrupt.order", n, order);
  for (int i = 0; i < n; i++) {
    out_from[i] = i;
    if (!chosen[i]) continue;
    while (!chosen[order[next]]) next++;
    out_from[i] = order[next++];
  }
}

int sn_choose_place(const sn_corrupt_draw *d, int n) {
  int least = 0;
  for (int i = 1; i < n; i++) {
    if (key(d, "corrupt.place", i) < key(d, "corrupt.place", least)) least = i;
  }
  return least;
}

/* Poisson's law by inversion: how many values below k have together at most the chance u. */
static int poisson(float u, double mean) {
  double law = exp(-mean), below = law;
  int k = 0;
  while (k < SPAN_LONGEST && (float)below < 1 && u >= (float)below) law *= mean / ++k, below += law;
  return k;
}

/* Lengths until the budget is spent, at the latest by the last number of the text's row.   -> how many with tokens */
static int lengths(const sn_corrupt_draw *d, int budget, double mean, int *out, int *out_empty) {
  int spans = 0;
  *out_empty = 0;
  for (int i = 0; budget > 0; i++) {
    int k = i < d->room - 1 ? poisson(key(d, "corrupt.lengths", i), mean) : budget;
    if (k > budget) k = budget;
    if (k)
      out[spans++] = k;
    else
      ++*out_empty;
    budget -= k;
  }
  return spans;
}

/* Spans and tokens that stay are things in a row: which of them are spans is drawn. Empty ones stand before any thing,
 * or behind them all. */
int sn_choose_spans(const sn_corrupt_draw *d, int n, int budget, double mean, int room, sn_span *out) {
  int length[SN_CORRUPT_ROOM], empty, at = 0, many = 0, next = 0, before[SN_CORRUPT_ROOM + 1] = {0};
  bool is_span[SN_CORRUPT_ROOM];
  int spans = lengths(d, budget, mean, length, &empty), things = n - budget + spans;
  choose(d, "corrupt.tokens", things, spans, is_span);
  for (int i = 0; i < empty && i < room - spans; i++) {
    int place = (int)(key(d, "corrupt.empty", i) * (float)(things + 1));
    before[place < things ? place : things]++;
  }
  for (int i = 0; i <= things; i++) {
    for (; before[i]; before[i]--) out[many++] = (sn_span){at, 0};
    if (i == things) break;
    int count = is_span[i] ? length[next++] : 1;
    if (is_span[i]) out[many++] = (sn_span){at, count};
    at += count;
  }
  return many;
}

/* Ends of `pieces` pieces of `length`: which of the length - 1 gaps are cut. out [pieces] lengths */
static void cut(const sn_corrupt_draw *d, const char *stream, int length, int pieces, int *out) {
  bool ends[SN_CORRUPT_ROOM] = {false};
  int piece = 0;
  choose(d, stream, length - 1, pieces - 1, ends);
  for (int i = 0; i < pieces; i++) out[i] = 0;
  for (int i = 0; i < length; i++) {
    out[piece]++;
    piece += i < length - 1 && ends[i];
  }
}

void sn_choose_segments(const sn_corrupt_draw *d, int n, int noise, int count, sn_span *out) {
  int hidden[SN_CORRUPT_ROOM], kept[SN_CORRUPT_ROOM], at = 0;
  cut(d, "corrupt.hidden", noise, count, hidden);
  cut(d, "corrupt.kept", n - noise, count, kept);
  for (int i = 0; i < count; i++) {
    out[i] = (sn_span){at + kept[i], hidden[i]};
    at += kept[i] + hidden[i];
  }
}

/* ---- what is done ------------------------------------------------------------------------------------------------ */

int sn_corrupt_mask(int n, const int32_t *x, const bool *chosen, int32_t mask, int32_t *out) {
  for (int i = 0; i < n; i++) out[i] = chosen[i] ? mask : x[i];
  return n;
}

int sn_corrupt_delete(int n, const int32_t *x, const bool *chosen, int32_t *out) {
  int m = 0;
  for (int i = 0; i < n; i++) {
    if (!chosen[i]) out[m++] = x[i];
  }
  return m;
}

static int copy(const int32_t *from, int count, int32_t *to) {
  memcpy(to, from, sizeof *to * (size_t)count);
  return count;
}

int sn_corrupt_infill(int n, const int32_t *x, int spans, const sn_span *span, int32_t mask, int32_t *out) {
  int m = 0, at = 0;
  for (int k = 0; k < spans; k++) {
    m += copy(x + at, span[k].first - at, out + m);
    out[m++] = mask;
    at = span[k].first + span[k].count;
  }
  return m + copy(x + at, n - at, out + m);
}

int sn_corrupt_sentinels(int n, const int32_t *x, int spans, const sn_span *span, int32_t first, int32_t step,
                         int32_t *out_source, int *out_target_count, int32_t *out_target) {
  int m = 0, at = 0, target = 0;
  for (int k = 0; k < spans; k++) {
    m += copy(x + at, span[k].first - at, out_source + m);
    out_source[m++] = out_target[target++] = first + step * k;
    target += copy(x + span[k].first, span[k].count, out_target + target);
    at = span[k].first + span[k].count;
  }
  out_target[target++] = first + step * spans;
  *out_target_count = target;
  return m + copy(x + at, n - at, out_source + m);
}

int sn_corrupt_order(int n, const int32_t *x, const int *from, int32_t *out) {
  for (int i = 0; i < n; i++) out[i] = x[from[i]];
  return n;
}

int sn_corrupt_sentences(int n, const int32_t *x, int32_t stop, sn_span *out) {
  int many = 0, at = 0;
  for (int i = 0; i < n; i++) {
    if (x[i] != stop && i + 1 < n) continue;
    out[many++] = (sn_span){at, i + 1 - at};
    at = i + 1;
  }
  return many;
}

int sn_corrupt_reorder(const int32_t *x, int sentences, const sn_span *sentence, const int *from, int32_t *out) {
  int m = 0;
  for (int k = 0; k < sentences; k++) m += copy(x + sentence[from[k]].first, sentence[from[k]].count, out + m);
  return m;
}

int sn_corrupt_rotate(int n, const int32_t *x, int place, int32_t *out) {
  int m = copy(x + place, n - place, out);
  return m + copy(x, place, out + m);
}
