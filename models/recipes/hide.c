/* Hidden tokens. */
#include "models/recipes/hide.h"

#include <math.h>
#include <string.h>

#include "ir/base/rng.h"

enum { STREAM = 0x6d6c6d };

int hide_count(const hide *h, int n) {
  int count = (int)floor((h->rate > 0 ? h->rate : .15) * n + .5);
  if (count < 1) count = 1;
  if (count > n) count = n;
  return h->most && count > h->most ? h->most : count;
}

/* The first token of each word that may be chosen, in random order.   -> how many; out_tokens: of all of them */
static int candidates(const hide *h, sn_rng *r, int n, const int *x, const int *word, int *first, int *out_tokens) {
  int words = 0;
  *out_tokens = 0;
  for (int t = 0; t < n; t++) {
    if (h->special && h->special(x[t])) continue;
    bool goes_on = word && t > 0 && word[t] == word[t - 1] && !(h->special && h->special(x[t - 1]));
    if (!goes_on) first[words++] = t;
    ++*out_tokens;
  }
  for (int i = words - 1; i > 0; i--) {
    int k = (int)sn_rng_below(r, (uint64_t)i + 1), at = first[i];
    first[i] = first[k], first[k] = at;
  }
  return words;
}

static int length(const hide *h, int n, const int *x, const int *word, int at) {
  int end = at + 1;
  while (word && end < n && word[end] == word[at] && !(h->special && h->special(x[end]))) end++;
  return end - at;
}

static int replaced(const hide *h, sn_rng *r, int x) {
  bool plain = h->masked == 0 && h->kept == 0;
  if (sn_rng_f64(r) < (plain ? .8 : h->masked)) return h->mask;
  if (sn_rng_f64(r) < (plain ? .5 : h->kept)) return x;
  return (int)sn_rng_below(r, (uint64_t)h->symbols);
}

int hide_tokens(const hide *h, uint64_t seed, uint64_t index, int n, const int *x, const int *word, int *shown,
                int *slots, int *labels) {
  sn_rng r = {.seed = seed ^ STREAM, .stream = index};
  int first[HIDE_LENGTH], tokens, count = 0;
  bool chosen[HIDE_LENGTH] = {false};
  int words = candidates(h, &r, n, x, word, first, &tokens), asked = tokens ? hide_count(h, tokens) : 0;
  memcpy(shown, x, sizeof *x * (size_t)n);
  for (int i = 0; i < words && count < asked; i++) {
    int many = length(h, n, x, word, first[i]);
    if (count + many > asked) continue;
    for (int t = first[i]; t < first[i] + many; t++) chosen[t] = true, count++;
  }
  count = 0;
  for (int t = 0; t < n; t++) {
    if (!chosen[t]) continue;
    slots[count] = t;
    labels[count++] = x[t];
    shown[t] = replaced(h, &r, x[t]);
  }
  return count;
}
