/* D3: documents of sentences. A document has a topic; its sentences have their ordinals 0, 1, .. in order; a sentence
 * is an ordinal cue, a topic cue, words that mean nothing, and a full stop. A cue is wrong with probability `noise`,
 * then any other one. Oracle: the likelihood of what is shown, so that whether B follows A, the order of sentences,
 * where a rotated document began and every hidden token have exact probabilities, and the best classifier its exact
 * accuracy. tokens: 0 stop; then ordinal cues, topic cues, words */
#ifndef ORACLES_DOCS_H
#define ORACLES_DOCS_H

#include <stdint.h>

enum {
  DOCS_SENTENCES = 5,
  DOCS_LENGTH = 8 /* of a sentence */,
  DOCS_ORDERS = 120,
  DOCS_TOPICS = 16 /* of docs_pair_smooth */,
  DOCS_HIDDEN = -1 /* as a token */
};

typedef struct docs {
  int topics;
  int sentences; /* of a document, 2 .. DOCS_SENTENCES */
  int words;     /* different words */
  int filler;    /* words in a sentence, 0 .. 5 */
  double noise;  /* of a cue */
} docs;

int docs_symbols(const docs *d);
int docs_sentence(const docs *d); /* tokens of a sentence */
int docs_ordinal_cue(const docs *d, int ordinal);
int docs_topic_cue(const docs *d, int topic);

/* tokens [sentences * docs_sentence]: a document in order. Returns its topic. */
int docs_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens);

/* Two sentences: A of document `index`, never its last, and what follows it (label 0), or any sentence of another
 * document (label 1), half of each. tokens [2 * docs_sentence]. Returns the label. */
int docs_pair_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens);

/* Two neighbours of a document, exchanged (label 1) or not. */
int docs_swap_sample(const docs *d, uint64_t seed, uint64_t index, int *tokens);

/* p(shown | label), of tokens some of which may be DOCS_HIDDEN. With the label given, without, and summed over the
 * token at a hidden place, it answers everything about pairs. */
double docs_pair_likelihood(const docs *d, int label, const int *tokens);
double docs_swap_likelihood(const docs *d, int label, const int *tokens);

/* Of a pair, from evidence about each token: sight [2 * docs_sentence][symbols], as in hmm.h. label [2]: p(label | all
 * evidence); token [2 * docs_sentence][symbols]: p(token | all evidence); either may be NULL. Returns p(evidence). */
double docs_pair_smooth(const docs *d, const double *sight, double *label, double *token);

/* p(shown | sentence i has ordinal order[i]). */
double docs_likelihood(const docs *d, const int *order, const int *tokens);

/* The likeliest document behind tokens [sentences * docs_sentence], in order, some of them DOCS_HIDDEN, in out; returns
 * its probability given what is shown: mean over texts, the best rate of restoring masked documents without fault. */
double docs_restore(const docs *d, const int *tokens, int *out);

/* order [sentences] number `number` of sentences!, in alphabetical order; 0 is the order as written. */
void docs_order(const docs *d, int number, int *order);

/* p(order `number` | shown), out [sentences!]; and p(sentence i is where the document began | shown), out [sentences],
 * of a document that was rotated (a sentence that was cut in two put together). */
void docs_order_posterior(const docs *d, const int *tokens, double *out);
void docs_start_posterior(const docs *d, const int *tokens, double *out);

/* Exact accuracy of the best classifier of each. */
double docs_pair_accuracy(const docs *d);
double docs_swap_accuracy(const docs *d);
double docs_order_accuracy(const docs *d);
double docs_start_accuracy(const docs *d);

#endif
