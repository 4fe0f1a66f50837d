/* A net as a model that speaks. */
#include "models/recipes/inside.h"

typedef struct voice {
  net *n;
  int64_t vocab;
} voice;

static sn_code reads(void *user, int64_t rows, int64_t count, const int32_t *tokens, const int32_t *start,
                     float *logits, sn_diags *diags) {
  const voice *v = user;
  net *n = v->n;
  (void)diags; /* those of the recipe */
  net_run(n, count == 1 && *start ? "decode" : "prefill", {"tokens", (void *)(uintptr_t)tokens, {rows, count}},
          {"start", (void *)(uintptr_t)start, {rows}}, {"logits", logits, {rows, count, v->vocab}});
  return n->r->code;
}

static sn_code reorders(void *user, int64_t rows, const int32_t *parent, sn_diags *diags) {
  net *n = ((const voice *)user)->n;
  (void)diags;
  recipe_ok(n->r, sn_store_reorder(n->store, "B", rows, parent), "moving sequences");
  return n->r->code;
}

sn_speaker net_speaker(net *n, int64_t vocab, int64_t context) {
  if (!n) return (sn_speaker){0};
  voice *v = SN_NEW(n->r->arena, voice);
  *v = (voice){n, vocab};
  return (sn_speaker){v, vocab, context, false, reads, reorders};
}
