/* How tokens are chosen: the exact law of temperature, top-k and top-p, what speculative decoding keeps, and the search
 * for the most probable text, by beams and exhaustively. Language models are functions, so that any model can be
 * searched. */
#ifndef ORACLES_DECODE_H
#define ORACLES_DECODE_H

enum { DECODE_SYMBOLS = 64, DECODE_LENGTH = 16, DECODE_BEAMS = 1296 };

/* Temperature first, then the `top` most probable (0: all), then the smallest set of the most probable of those whose
 * sum, out of theirs, reaches `mass` (1: all). Of equals the lower token comes first. out [n]: the law of what is left.
 */
void decode_truncate(int n, const double *logits, double temperature, int top, double mass, double *out);

/* The most probable token, the lowest of equals. */
int decode_greedy(int n, const double *logits);

/* Speculative decoding of one token, drafted from `draft` and accepted with min(1, target / draft), else drawn from the
 * rest max(0, target - draft). out [n]: the law of the outcome, summed as it happens (it is the target). Returns the
 * probability of acceptance, which is 1 - TV(target, draft). */
double decode_speculate(int n, const double *target, const double *draft, double *out);

/* out [n]: log p(next | prefix [length]). */
typedef void decode_model(const void *user, int length, const int *prefix, double *out);

typedef struct decode_search {
  decode_model *model;
  const void *user;
  int symbols;  /* at most DECODE_SYMBOLS */
  int end;      /* token that ends a text; -1: none */
  int length;   /* most tokens, the end counted; at most DECODE_LENGTH */
  int beams;    /* at most DECODE_BEAMS */
  double power; /* texts are compared by log p / tokens^power; 0: by log p */
} decode_search;

typedef struct decode_text {
  int n;
  int tokens[DECODE_LENGTH];
  double log_p; /* the sum, not divided */
} decode_text;

/* Best text of all, symbols^length of them; of equals the first in the order of tokens. */
decode_text decode_exhaustive(const decode_search *s);

/* Beam search. At each step the `beams` best continuations of all live beams go on (of equals: the earlier beam, the
 * lower token); those that end are kept aside, and the best by log p / n^power of all that ended or filled the length
 * is the result. With beams >= symbols^(length - 1) nothing is dropped. */
decode_text decode_beam(const decode_search *s);

#endif
