/* Logits -> laws of the next id -> ids. */
#include "runtime/loop/sample.h"

#include <math.h>
#include <stdlib.h>

static int likelier(const void *a, const void *b) {
  const sn_chance *x = a, *y = b;
  if (x->p != y->p) return x->p > y->p ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static int32_t likeliest(const float *logits, int64_t vocab) {
  int32_t best = -1;
  for (int64_t i = 0; i < vocab; i++)
    if (isfinite(logits[i]) && (best < 0 || logits[i] > logits[best])) best = (int32_t)i;
  return best;
}

/* How many of the sorted ids stay under top-k and top-p. */
static int64_t keep(const sn_chance *c, int64_t count, const sn_sampling *s, double total) {
  int64_t n = s->top_k > 0 && s->top_k < count ? s->top_k : count;
  double sum = 0, limit = 0;
  for (int64_t i = 0; i < n; i++) limit += c[i].p;
  if (s->top_p >= 1) return n;
  limit = s->top_p * (s->top_k > 0 ? limit : total);
  for (int64_t i = 0; i < n; i++)
    if ((sum += c[i].p) >= limit) return i + 1;
  return n;
}

sn_code sn_law(const float *logits, int64_t vocab, const sn_sampling *s, sn_chance *out, int64_t *out_count,
               double *out_sum) {
  int32_t best = likeliest(logits, vocab);
  if (best < 0) return SN_ERR_NUMERIC;
  out[0] = (sn_chance){1, best};
  *out_count = 1;
  *out_sum = 1;
  if (s->temperature <= 0) return SN_OK;
  double total = 0, sum = 0;
  for (int64_t i = 0; i < vocab; i++) {
    double p = isfinite(logits[i]) ? exp(((double)logits[i] - (double)logits[best]) / s->temperature) : 0;
    out[i] = (sn_chance){p, (int32_t)i};
    total += p;
  }
  qsort(out, (size_t)vocab, sizeof *out, likelier);
  int64_t n = keep(out, vocab, s, total);
  while (n > 1 && out[n - 1].p <= 0) n--;
  for (int64_t i = 0; i < n; i++) sum += out[i].p;
  *out_count = n;
  *out_sum = sum;
  return SN_OK;
}

sn_code sn_law_by_id(const float *logits, int64_t vocab, const sn_sampling *s, sn_chance *scratch, double *out) {
  int64_t count = 0;
  double sum = 1;
  SN_TRY(sn_law(logits, vocab, s, scratch, &count, &sum));
  for (int64_t i = 0; i < vocab; i++) out[i] = 0;
  for (int64_t i = 0; i < count; i++) out[scratch[i].id] = scratch[i].p / sum;
  return SN_OK;
}

int32_t sn_law_draw(const sn_chance *law, int64_t count, double sum, sn_rng *rng) {
  double x = sn_rng_f64(rng) * sum;
  int64_t pick = 0;
  while (pick + 1 < count && (x -= law[pick].p) >= 0) pick++;
  return law[pick].id;
}

sn_code sn_sample(const float *logits, int64_t vocab, const sn_sampling *s, sn_rng *rng, int32_t *out) {
  int64_t count = 0;
  double sum = 1;
  sn_chance one, *law = s->temperature > 0 ? malloc((size_t)vocab * sizeof *law) : &one;
  if (!law) return SN_ERR_LIMIT;
  sn_code code = sn_law(logits, vocab, s, law, &count, &sum);
  if (!code) *out = count > 1 || s->temperature > 0 ? sn_law_draw(law, count, sum, rng) : law->id;
  if (law != &one) free(law);
  return code;
}

bool sn_speculate(const double *target, const double *draft, int64_t vocab, sn_rng *rng, int32_t *id) {
  double rest = 0;
  if (sn_rng_f64(rng) * draft[*id] < target[*id]) return true;
  for (int64_t i = 0; i < vocab; i++) rest += target[i] > draft[i] ? target[i] - draft[i] : 0;
  double x = sn_rng_f64(rng) * rest;
  for (int64_t i = 0; i < vocab; i++) {
    if (!(target[i] > draft[i])) continue;
    *id = (int32_t)i; /* the last of them where sums differ by rounding */
    if ((x -= target[i] - draft[i]) < 0) break;
  }
  return false;
}
