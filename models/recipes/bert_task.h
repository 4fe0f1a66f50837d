/* Pairs of sentences of D3 with hidden tokens, for bert.mlm: batches, the best answers, and how near BERT is. */
#ifndef SINTER_MODELS_RECIPES_BERT_TASK_H
#define SINTER_MODELS_RECIPES_BERT_TASK_H

#include "models/recipes/hide.h"
#include "models/recipes/recipe.h"
#include "tests/oracles/docs.h"

/* Tokens beyond those of the documents: [CLS], [SEP], [MASK]. */
typedef struct bert_task {
  docs d;
  hide h;
  int cls;
  bool blind; /* rows see nothing but themselves */
  int rows;   /* of a batch; 0: 32 */
} bert_task;

/* What nets of bert_pretrain are fed: `length` tokens a row, `slots` of which may be hidden; what else k is, `fill`
 * knows. Ports, in order: tokens, segments, part [rows, length], slots, labels, weight [rows, slots], label [rows]. */
feed bert_pretrain_feed(int rows, int length, int slots, void (*fill)(const void *, uint64_t, uint64_t, void *const[]),
                        const void *k);
/* Trained to guess hidden tokens and whether B follows; graphs pretrain, eval_pretrain, guess, next. */
net *bert_pretrain(recipe *r, const char *label, const feed *f, int vocab, int steps);
enum { BERT_INNER = 4 * 32 /* its longest sum: inner units */ };

/* noise: of cues */
bert_task bert_task_of(double noise);
feed bert_task_feed(const bert_task *k);

/* bert_pretrain on such pairs. */
net *bert_pretrained(recipe *r, const char *label, const bert_task *k, int steps);

/* Of fresh pairs with hidden tokens: shares of tokens and labels that are right, and that the best answers are. */
typedef struct bert_score {
  double token, label, best_token, best_label;
} bert_score;
bert_score bert_measure(recipe *r, net *n, const bert_task *k, int batches);

/* Losses of hidden tokens beside the least ones. */
excess bert_excess(recipe *r, net *n, const bert_task *k, int64_t tokens);

#endif
