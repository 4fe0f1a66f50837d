/* Corrupted texts for denoising: what is chosen, at random, and what is done with it, of given choices. n: tokens of
 * the text without those at its ends that must stay.
 *
 * Choices are functions of (seed, epoch, index) alone: the same in any order, on any number of threads. They are made
 * of uniform numbers of named streams, those of the DSL's sn_random of a shape [texts, room] in the run `epoch`: text
 * `index` has row `index`. So a graph of sorts makes the same choices, bit for bit.
 *
 *   masking, deletion    sn_choose_tokens, then sn_corrupt_mask or sn_corrupt_delete
 *   infilling (BART)     sn_choose_spans, sn_corrupt_infill
 *   sentinels (T5)       sn_choose_segments, sn_corrupt_sentinels
 *   order of tokens      sn_choose_order, sn_corrupt_order
 *   order of sentences   sn_corrupt_sentences, sn_choose_order, sn_corrupt_reorder
 *   rotation             sn_choose_place, sn_corrupt_rotate */
#ifndef SN_RUNTIME_IO_CORRUPT_H
#define SN_RUNTIME_IO_CORRUPT_H

#include <stdbool.h>
#include <stdint.h>

enum { SN_CORRUPT_ROOM = 4096 /* tokens of a text */ };

typedef struct sn_corrupt_draw {
  uint64_t seed, index; /* index: of the text */
  uint32_t epoch;
  int room; /* longest text, the same for all texts; up to SN_CORRUPT_ROOM */
} sn_corrupt_draw;

/* A stretch of a text; count 0: a place between two tokens. */
typedef struct sn_span {
  int first, count;
} sn_span;

/* ceil(rate n), 0 to n: how many are chosen of n. */
int sn_corrupt_budget(int n, double rate);

/* ---- choices ----------------------------------------------------------------------------------------------------- */

/* `count` of n tokens, every set of them alike. */
void sn_choose_tokens(const sn_corrupt_draw *d, int n, int count, bool *out_chosen);

/* out_from [n]: `count` of n things in any order among themselves, the rest where they are. */
void sn_choose_order(const sn_corrupt_draw *d, int n, int count, int *out_from);

/* One of n places. */
int sn_choose_place(const sn_corrupt_draw *d, int n);

/* Spans whose lengths follow Poisson's law, as many as reach `budget` tokens, the last one cut; in order of their
 * places. Those with tokens may touch and never overlap, all ways to place them alike; empty ones stand before any
 * token or at the end, not inside of others, and only as many as `room` leaves. A text has as many numbers as its draw
 * has room: what those leave of the budget, when the mean is far below 1 or nearly all is hidden, is one span. needs:
 * room >= budget, out [room]   -> how many */
int sn_choose_spans(const sn_corrupt_draw *d, int n, int budget, double mean, int room, sn_span *out);

/* T5's: `noise` tokens in `count` spans, what is left in as many pieces before them, each of a token or more, all ways
 * to cut alike. needs: count <= noise, count <= n - noise */
void sn_choose_segments(const sn_corrupt_draw *d, int n, int noise, int count, sn_span *out);

/* ---- what is done with a text: functions return the number of tokens in out -------------------------------------- */

int sn_corrupt_mask(int n, const int32_t *x, const bool *chosen, int32_t mask, int32_t *out);
int sn_corrupt_delete(int n, const int32_t *x, const bool *chosen, int32_t *out);
/* Each span, also an empty one, becomes one mask. out [n + spans] */
int sn_corrupt_infill(int n, const int32_t *x, int spans, const sn_span *span, int32_t mask, int32_t *out);
/* Span k becomes token first + step k; the target is these, each before its span, and one more at the end. source [n],
 * target [n + spans + 1]   -> tokens of the source */
int sn_corrupt_sentinels(int n, const int32_t *x, int spans, const sn_span *span, int32_t first, int32_t step,
                         int32_t *out_source, int *out_target_count, int32_t *out_target);
/* Token t is x[from[t]]. */
int sn_corrupt_order(int n, const int32_t *x, const int *from, int32_t *out);
/* The sentences of a text: they end behind `stop`; the last may have none. out [n]   -> how many */
int sn_corrupt_sentences(int n, const int32_t *x, int32_t stop, sn_span *out);
/* Sentence k is sentence from[k]. */
int sn_corrupt_reorder(const int32_t *x, int sentences, const sn_span *sentence, const int *from, int32_t *out);
/* From token `place` on, and then those before it. */
int sn_corrupt_rotate(int n, const int32_t *x, int place, int32_t *out);

#endif
