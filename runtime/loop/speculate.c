/* Ids -> more ids.
 *
 *   1. the draft reads what it has not, and proposes one id after the other
 *   2. the target reads the newest id and the proposals, at once: its law for the place of each, and for the one behind
 *   3. proposals are kept up to the first that is refused, which is replaced; all kept: one more id from the last law
 *
 * What the caches hold of refused ids is written again when ids of their places are read. */
#include "runtime/loop/speculate.h"

#include <stdlib.h>

sn_code sn_speculation_begin(sn_speculation *s, sn_diags *diags) {
  size_t vocab = (size_t)s->target->vocab, rows = (size_t)s->ahead + 1;
  size_t longest = (size_t)(s->draft->context > s->ahead ? s->draft->context : s->ahead + 1);
  s->law = malloc(rows * vocab * sizeof *s->law);
  s->logits = malloc((longest > rows ? longest : rows) * vocab * sizeof *s->logits);
  s->tokens = malloc(rows * sizeof *s->tokens);
  s->chance = malloc(vocab * sizeof *s->chance);
  if (s->law && s->logits && s->tokens && s->chance) return SN_OK;
  sn_speculation_end(s);
  return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory to draft tokens");
}

void sn_speculation_end(sn_speculation *s) {
  free(s->law), free(s->logits), free(s->tokens), free(s->chance);
  s->law = NULL, s->logits = NULL, s->tokens = NULL, s->chance = NULL;
}

static sn_code law_of(sn_speculation *s, const float *logits, double *out, sn_diags *diags) {
  sn_code code = sn_law_by_id(logits, s->target->vocab, &s->sampling, s->chance, out);
  return code ? sn_fail(diags, code, (sn_loc){0}, "no token can be chosen: no logit is finite") : SN_OK;
}

static int32_t draw(const double *law, int64_t vocab, sn_rng *rng) {
  double x = sn_rng_f64(rng);
  int32_t last = 0;
  for (int64_t i = 0; i < vocab; i++) {
    if (law[i] <= 0) continue;
    last = (int32_t)i;
    if ((x -= law[i]) < 0) break;
  }
  return last;
}

/* 1. */
static sn_code propose(sn_speculation *s, int64_t ahead, int32_t *ids, int64_t count, sn_rng *rng, sn_diags *diags) {
  const sn_speaker *d = s->draft;
  for (int64_t i = 0; i < ahead; i++) {
    int64_t unread = count + i - s->known;
    int32_t start = (int32_t)s->known;
    SN_TRY(d->read(d->user, 1, unread, ids + s->known, &start, s->logits, diags));
    s->known = count + i;
    SN_TRY(law_of(s, s->logits + (unread - 1) * d->vocab, s->law + i * d->vocab, diags));
    ids[count + i] = draw(s->law + i * d->vocab, d->vocab, rng);
  }
  return SN_OK;
}

sn_code sn_speculation_next(sn_speculation *s, int64_t room, int32_t *ids, int64_t count, sn_rng *rng,
                            int64_t *out_written, sn_diags *diags) {
  const sn_speaker *t = s->target;
  int64_t ahead = room < s->ahead ? room : s->ahead, n = 0;
  double *own = s->law + s->ahead * t->vocab;
  int32_t start = (int32_t)(count - 1);
  bool kept = true;
  SN_TRY(propose(s, ahead, ids, count, rng, diags));
  SN_TRY(t->read(t->user, 1, ahead + 1, ids + count - 1, &start, s->logits, diags)); /* 2. */
  for (; kept && n < ahead; n++) {                                                   /* 3. */
    SN_TRY(law_of(s, s->logits + n * t->vocab, own, diags));
    kept = sn_speculate(own, s->law + n * t->vocab, t->vocab, rng, &ids[count + n]);
    s->kept += kept;
    s->drafted++;
  }
  if (kept) {
    SN_TRY(law_of(s, s->logits + n * t->vocab, own, diags));
    ids[count + n++] = draw(own, t->vocab, rng);
  }
  if (s->known > count + n - 1) s->known = count + n - 1; /* what was refused is not known */
  *out_written = n;
  return SN_OK;
}
