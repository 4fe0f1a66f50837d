/* Best losses of models that undo corruption of texts of D2, exactly, by sums over everything that can have happened:
 *   masking (the model sees which places are hidden): hmm_ranked_loss with ranks that rise through the hidden places;
 *   deletion, infilling, sentinels: here, where what is hidden is also how long. */
#ifndef ORACLES_DENOISE_H
#define ORACLES_DENOISE_H

#include "tests/oracles/hmm.h"

enum { DENOISE_SPANS = 6, DENOISE_LENGTH = 64 };

/* y [m] is x [n] without n - m tokens, any of them with one probability. loss [n]: -log p(x_t | x_<t, y, n). */
void denoise_deletion_loss(const hmm *h, int n, const int *x, int m, const int *y, double *loss);

/* T5's law: `noise` tokens in `spans` spans, cut evenly at random among all ways to cut them in pieces of at least one
 * token, and what is left cut so too; the text begins with a piece that is left, then they take turns. */
typedef struct denoise_spans {
  int n;                     /* tokens of the text */
  int spans;                 /* number of spans */
  int noise;                 /* tokens in them; at least spans, and n - noise at least spans */
  int kept[DENOISE_SPANS];   /* length of what stands before each span */
  int hidden[DENOISE_SPANS]; /* length of each span */
} denoise_spans;

/* Spans `number` of denoise_spans_many, which are all alike in probability. */
int denoise_spans_many(int n, int noise, int spans);
denoise_spans denoise_spans_number(int n, int noise, int spans, int number);

/* The decoder of sentinels: reads the text with a mark for each span and writes mark, span, mark, span, .., last mark.
 * It knows n and noise. loss [noise + spans + 1]: -log p of each token of the target given those before; the marks
 * count, but for the first and the last, which are certain, and for those that n and noise leave no doubt about. */
void denoise_sentinel_loss(const hmm *h, const denoise_spans *s, const int *x, double *loss);

/* The decoder of infilling: reads the same, writes the whole text. loss [n]: -log p(x_t | x_<t, source). */
void denoise_infill_loss(const hmm *h, const denoise_spans *s, const int *x, double *loss);

#endif
