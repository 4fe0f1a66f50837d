/* What an encoder-decoder reads and writes, made of texts alone: corrupted in the graph, other choices for each text
 * and step. Choices, and what is made of them, are bit for bit those of runtime/io/corrupt.h for texts of T tokens in a
 * room of T.
 *
 *   sentinels   Raffel et al. 2020, section 3.1.4: spans give way to sentinels, the answer is each sentinel and what it
 *               stands for, and one more. The published code has an end of text instead of that one
 *   infilling   Lewis et al. 2020, section 2.2: spans, empty ones too, give way to one mask each; the answer is the
 *               text
 *   sentences   the same: they change places */
#ifndef SINTER_MODELS_DENOISE_H
#define SINTER_MODELS_DENOISE_H

#include "sinter.h"

/* Token ids i32[B, S] and [B, T]; lengths i32[B]: what is there of each row. */
typedef struct denoise_pair {
  sn_t source, source_length, targets, length;
} denoise_pair;

enum {
  DENOISE_NEVER = 1 << 30, /* a key behind those of all places */
  DENOISE_LONGEST = 256,   /* tokens of a span */
};

/* ---- choices ------------------------------------------------------------------------------------------------ */

/* `count` i32 of the first `n` i32 columns of x [B, T]: -> bool [B, T] */
static inline sn_t denoise_choose(sn_scope m, const char *stream, sn_t x, sn_t n, sn_t count) {
  sn_dim B = sn_size(x, 0), T = sn_size(x, 1);
  sn_t keys = sn_where(sn_lt(sn_arange(m, T), n), sn_random(m, stream, SN_UNIFORM, (B, T)), 2.);
  return sn_lt(sn_argsort(sn_argsort(keys, .axis = 1), .axis = 1), count);
}

/* How many hold before each place of [B, T]. */
static inline sn_t denoise_before(sn_t x) { return sn_cumsum(x, 1, .exclusive = true); }

/* The columns of x [B, T] that a vector [T] names. */
static inline sn_t denoise_at(sn_scope m, sn_t x, sn_t columns) {
  return sn_slots(x, sn_add(sn_zeros(m, SN_I32, (sn_size(x, 0), sn_size(columns, 0))), columns));
}

/* [B, n], [B, k] -> [B, n + k] in the order of their keys; equal ones as they stand here. */
static inline sn_t denoise_ordered(sn_t x, sn_t x_keys, sn_t y, sn_t y_keys) {
  return sn_slots(sn_concat(1, x, y), sn_argsort(sn_concat(1, x_keys, y_keys), .axis = 1));
}

/* ---- sentinels ---------------------------------------------------------------------------------------------- */

/* Of each text N tokens are hidden in K spans (with fewer sentinels: in as many as there are); sentinel k is
 * vocab - 1 - k.   shape: text i32[B, T] -> source [B, T], targets [B, N + K + 1] */
static inline denoise_pair denoise_sentinels(sn_scope m, sn_t text, sn_dim N, sn_dim K, int vocab, int sentinels) {
  sn_dim B = sn_size(text, 0), T = sn_size(text, 1);
  sn_t t = sn_arange(m, T), noise = sn_dim_value(N), rest = sn_sub(sn_dim_value(T), noise);
  sn_t spans = sn_min(sn_dim_value(K), sentinels - 1), cuts = sn_sub(spans, 1);
  /* Kept and hidden tokens are cut into pieces that take turns: a piece is an even number, a span an odd one. */
  sn_t kept = denoise_before(denoise_choose(m, "corrupt.kept", text, sn_sub(rest, 1), cuts));
  sn_t hidden = denoise_before(denoise_choose(m, "corrupt.hidden", text, sn_sub(noise, 1), cuts));
  sn_t spread = denoise_at(m, hidden, sn_max(sn_sub(t, rest), 0));
  sn_t piece = sn_sort(sn_where(sn_lt(t, rest), sn_mul(kept, 2), sn_add(sn_mul(spread, 2), 1)), .axis = 1).values;
  sn_t gone = sn_eq(sn_mod(piece, 2), 1), before = sn_slice(sn_pad(piece, 1, 1, 0, -1), 1, 0, T);
  sn_t first = sn_and(gone, sn_ne(piece, before)), sentinel = sn_sub(vocab - 1, sn_floordiv(piece, 2));
  sn_compacted source = sn_compact(sn_where(first, sentinel, text), sn_or(first, sn_not(gone)));
  sn_t place = sn_mul(t, 2), answers = denoise_ordered(text, sn_where(gone, sn_add(place, 1), DENOISE_NEVER), sentinel,
                                                       sn_where(first, place, DENOISE_NEVER));
  sn_dim M = sn_dim_add(sn_dim_add(N, K), 1);
  sn_t i = sn_arange(m, M), end = sn_add(noise, spans), last = sn_sub(vocab - 1, spans);
  sn_t targets =
      sn_where(sn_eq(i, end), last, denoise_at(m, answers, sn_min(i, sn_sub(sn_mul(sn_dim_value(T), 2), 1))));
  return (denoise_pair){source.rows, source.count, targets, sn_add(sn_zeros(m, SN_I32, (B)), sn_add(end, 1))};
}

/* ---- sentences ---------------------------------------------------------------------------------------------- */

/* Sentences end behind the token `stop`; those of the tokens that are `there` stand in any order, others stay behind.
 *   shape: text i32[B, T], there bool [T] or [B, T] -> [B, T] */
static inline sn_t denoise_sentences(sn_scope m, sn_t text, sn_t there, int stop) {
  sn_dim B = sn_size(text, 0), T = sn_size(text, 1);
  sn_t of = denoise_before(sn_eq(text, stop)), keys = sn_random(m, "corrupt.order", SN_UNIFORM, (B, T));
  sn_t number = sn_argsort(sn_argsort(keys, .axis = 1), .axis = 1);
  sn_t order = sn_where(there, sn_slots(number, of), sn_dim_value(T));
  return sn_slots(text, sn_argsort(order, .axis = 1));
}

/* ---- infilling ---------------------------------------------------------------------------------------------- */

/* Poisson's law by inversion; the last of a row is all that is left.   -> i32 [B, T] */
static inline sn_t denoise_lengths(sn_scope m, sn_t text, double mean) {
  sn_dim B = sn_size(text, 0), T = sn_size(text, 1);
  sn_t u = sn_random(m, "corrupt.lengths", SN_UNIFORM, (B, T)), length = sn_zeros(m, SN_I32, (B, T));
  double law = exp(-mean), below = law; /* of lengths less than k */
  for (int k = 1; k <= DENOISE_LONGEST && (float)below < 1; k++) {
    length = sn_add(length, sn_cast(sn_ge(u, (float)below), SN_I32));
    law *= mean / k, below += law;
  }
  return sn_where(sn_lt(sn_arange(m, T), sn_sub(sn_dim_value(T), 1)), length, sn_dim_value(T));
}

/* Of each text the share `rate` is hidden, in spans of Poisson's lengths; masks are no more than hidden tokens.
 *   shape: text i32[B, T] -> source, targets [B, T] */
static inline denoise_pair denoise_infill(sn_scope m, sn_t text, double rate, double mean, int mask) {
  sn_dim B = sn_size(text, 0), T = sn_size(text, 1);
  sn_t t = sn_arange(m, T), n = sn_dim_value(T), none = sn_zeros(m, SN_I32, (B, T)),
       none_row = sn_zeros(m, SN_I32, (B));
  sn_t budget = sn_cast(sn_ceil(sn_sub(sn_mul(sn_cast(n, SN_REAL), rate), 1e-4)), SN_I32);
  sn_t drawn = denoise_lengths(m, text, mean), left = sn_max(sn_sub(budget, denoise_before(drawn)), 0);
  sn_t length = sn_min(drawn, left), is_span = sn_gt(length, 0), is_empty = sn_and(sn_gt(left, 0), sn_eq(drawn, 0));
  sn_compacted span = sn_compact(length, is_span);
  sn_t empties = sn_min(sn_sum(sn_cast(is_empty, SN_I32), "bt->b"), sn_sub(budget, span.count));
  /* Spans and tokens that stay are things in a row: which of them are spans is drawn. */
  sn_t things = sn_rearrange(sn_add(sn_sub(n, budget), span.count), "b->b1");
  sn_t spans = denoise_choose(m, "corrupt.tokens", text, things, sn_rearrange(span.count, "b->b1"));
  sn_t size = sn_where(spans, sn_slots(span.rows, denoise_before(spans)), 1);
  sn_t at = sn_min(denoise_before(size), sn_sub(n, 1)), thing = sn_where(spans, mask, sn_slots(text, at));
  /* Empty ones stand before any thing, or behind them all. */
  sn_t any = sn_mul(sn_random(m, "corrupt.empty", SN_UNIFORM, (B, T)), sn_cast(sn_add(things, 1), SN_REAL));
  sn_t place = sn_mul(sn_min(sn_cast(any, SN_I32), things), 2), put = sn_lt(t, sn_rearrange(empties, "b->b1"));
  sn_t keys = sn_where(sn_lt(t, things), sn_add(sn_mul(t, 2), 1), DENOISE_NEVER);
  sn_t all = denoise_ordered(thing, keys, sn_add(none, mask), sn_where(put, place, DENOISE_NEVER));
  sn_t count = sn_add(sn_rearrange(things, "b1->b"), empties);
  return (denoise_pair){sn_slice(all, 1, 0, T), count, text, sn_add(none_row, n)};
}

#endif
