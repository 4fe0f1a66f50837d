/* D4: associative recall, overwrite-recall, induction and passkeys. */
#include "tests/oracles/recall.h"

#include <assert.h>
#include <math.h>

#include "tests/oracles/draws.h"

enum { RECALL = 0x726301, INDUCTION = 0x726302, PASSKEY = 0x726303, PAIRS_LIMIT = 64, FILLER = 0 };

int recall_symbols(const recall *r) { return 1 + r->keys + r->values; }

/* Pairs, and a place for a query behind each key. */
int recall_shortest(const recall *r) { return r->pairs * (r->overwrite ? 5 : 3); }

/* `pairs` different keys of 1 .. keys. */
static void choose_keys(draws *d, const recall *r, int *key) {
  int all[1024];
  assert(r->keys <= 1024 && r->pairs <= r->keys && r->pairs <= PAIRS_LIMIT);
  for (int i = 0; i < r->keys; i++) all[i] = i + 1;
  draws_shuffle(d, r->keys, all);
  for (int i = 0; i < r->pairs; i++) key[i] = all[i];
}

/* `pairs` different places of 0 .. room - 1, place g with weight (g + 1)^-0.99, as in Zoology. */
static void choose_gaps(draws *d, int pairs, int room, int *gap) {
  double weight[8192];
  assert(room >= pairs && room <= 8192);
  for (int g = 0; g < room; g++) weight[g] = pow(g + 1, -0.99);
  for (int i = 0; i < pairs; i++) {
    gap[i] = draws_pick(d, room, weight);
    weight[gap[i]] = 0;
  }
}

void recall_sample(const recall *r, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  draws d = draws_of(seed, RECALL, index);
  int key[PAIRS_LIMIT], gap[PAIRS_LIMIT], order[2 * PAIRS_LIMIT], value[PAIRS_LIMIT];
  int writes = r->pairs * (r->overwrite ? 2 : 1), first = 2 * writes;
  assert(r->length >= recall_shortest(r) && r->values > (r->overwrite ? 1 : 0));
  choose_keys(&d, r, key);
  for (int i = 0; i < writes; i++) order[i] = i % r->pairs;
  draws_shuffle(&d, writes, order);
  for (int i = 0; i < r->pairs; i++) value[i] = -1;
  for (int i = 0; i < writes; i++) {
    int *v = &value[order[i]];
    *v = *v < 0 ? draws_below(&d, r->values) : (*v + 1 + draws_below(&d, r->values - 1)) % r->values;
    tokens[2 * i] = key[order[i]];
    tokens[2 * i + 1] = 1 + r->keys + *v;
  }
  for (int t = first; t < r->length; t++) tokens[t] = FILLER;
  for (int t = 0; t < r->length; t++) answers[t] = -1;
  choose_gaps(&d, r->pairs, r->length - first, gap);
  for (int i = 0; i < r->pairs; i++) {
    tokens[first + gap[i]] = key[i];
    answers[first + gap[i]] = value[i];
  }
}

void induction_sample(uint64_t seed, uint64_t index, int symbols, int length, int *tokens, int *answers) {
  assert(symbols > 1 && length >= 3);
  draws d = draws_of(seed, INDUCTION, index);
  for (int t = 0; t < length; t++) {
    tokens[t] = 1 + draws_below(&d, symbols - 1);
    answers[t] = -1;
  }
  int at = draws_below(&d, length - 2);
  tokens[at] = tokens[length - 1] = 0;
  answers[length - 1] = tokens[at + 1];
}

int passkey_symbols(const passkey *p) { return 2 + p->values + p->filler; }

void passkey_sample(const passkey *p, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  int text = p->length - p->digits; /* questions stand behind it */
  assert(p->values > 0 && p->filler > 0 && text > p->digits);
  draws d = draws_of(seed, PASSKEY, index);
  for (int t = 0; t < p->length; t++) {
    tokens[t] = t < text ? 2 + p->values + draws_below(&d, p->filler) : 0;
    answers[t] = -1;
  }
  int any = draws_below(&d, text - p->digits), at = p->depth < 0 ? any : p->depth;
  assert(at < text - p->digits);
  tokens[at] = 1;
  for (int i = 0; i < p->digits; i++) {
    int digit = draws_below(&d, p->values);
    tokens[at + 1 + i] = 2 + digit;
    answers[text + i] = digit;
  }
}
