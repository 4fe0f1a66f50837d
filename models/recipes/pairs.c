/* Pairs of sentences. */
#include "models/recipes/pairs.h"

#include "ir/base/rng.h"

enum { STREAM = 0x6e7370 };

static int below(pairs_walk *w, int n) {
  sn_rng r = {w->seed, w->stream, w->drawn};
  int x = (int)sn_rng_below(&r, (uint64_t)n);
  w->drawn = r.count;
  return x;
}
static int count(pairs_span s) { return s.to - s.from; }

pairs_walk pairs_begin(const pairs_text *text, int document, int most, uint64_t seed, uint64_t index) {
  pairs_walk w = {.text = text, .document = document, .most = most};
  w.seed = seed ^ STREAM, w.stream = index;
  w.next = text->document[document];
  w.target = below(&w, 10) == 0 ? 2 + below(&w, most - 1) : most;
  return w;
}

/* Sentences of another document, from any one on, until there are enough tokens or no more. */
static pairs_span elsewhere(pairs_walk *w, int enough) {
  const pairs_text *x = w->text;
  int other = (w->document + 1 + below(w, x->documents - 1)) % x->documents;
  int first = x->document[other], end = x->document[other + 1], at = first + below(w, end - first);
  pairs_span s = {x->sentence[at], x->sentence[at + 1]};
  while (++at < end && count(s) < enough) s.to = x->sentence[at + 1];
  return s;
}

/* The longer one loses tokens, each at its front or its back. */
static void shorten(pairs_walk *w, pairs_pair *p) {
  while (count(p->a) + count(p->b) > w->most) {
    pairs_span *longer = count(p->a) > count(p->b) ? &p->a : &p->b;
    if (below(w, 2))
      longer->from++;
    else
      longer->to--;
  }
}

bool pairs_next(pairs_walk *w, pairs_pair *out) {
  const pairs_text *x = w->text;
  int first = w->next, last = x->document[w->document + 1], end = first;
  if (first >= last) return false;
  while (end < last && x->sentence[end] - x->sentence[first] < w->target) end++;
  int a_end = end - first > 1 ? first + 1 + below(w, end - first - 1) : end;
  *out = (pairs_pair){.a = {x->sentence[first], x->sentence[a_end]}, .forced = a_end == end};
  out->other = out->forced || below(w, 2);
  if (out->other)
    out->b = elsewhere(w, w->target - count(out->a));
  else
    out->b = (pairs_span){x->sentence[a_end], x->sentence[end]};
  w->next = out->other ? a_end : end;
  shorten(w, out);
  return true;
}
