/* A net as a model that speaks. */
#include "models/recipes/inside.h"

static sn_code reads(void *user, int64_t rows, int64_t count, const int32_t *tokens, const int32_t *start,
                     float *logits, sn_diags *diags) {
  net *n = user;
  (void)diags; /* those of the recipe */
  net_run(n, count == 1 && *start ? "decode" : "prefill", {"tokens", (void *)(uintptr_t)tokens, {rows, count}},
          {"start", (void *)(uintptr_t)start, {rows}}, {"logits", logits, {0}});
  return n->r->code;
}

static sn_code reorders(void *user, int64_t rows, const int32_t *parent, sn_diags *diags) {
  net *n = user;
  (void)diags;
  recipe_ok(n->r, sn_store_reorder(n->store, "B", rows, parent), "moving sequences");
  return n->r->code;
}

sn_speaker net_speaker(net *n, int64_t vocab, int64_t context) {
  return (sn_speaker){n, vocab, context, false, reads, reorders};
}
