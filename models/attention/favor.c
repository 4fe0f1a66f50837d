/* FAVOR+: phi(x) = exp(w x - |x|^2 / 2) / sqrt m for m random directions w, so that phi(q) . phi(k) is exp(q . k) on
 * average. w of one block are orthogonal, of the lengths that normal vectors have.   Choromanski et al. 2021, lemma 1
 * and section 2.4 */
#include "attention.h"

SN_SETTINGS(favor, ATTENTION_HEADS, (int, blocks, 4, "m = blocks times head", SN_SIZE),
            (bool, independent, 0, "not orthogonal"), (bool, both, 0, "in both directions"));

static sn_t directions(attend *a, const favor *c) {
  sn_t w = sn_random(a->m, "directions", SN_NORMAL, (c->blocks, c->head, c->head));
  if (c->independent) return sn_rearrange(w, "bti->(bt)i");
  sn_t other = sn_random(a->m, "lengths", SN_NORMAL, (c->blocks, c->head, c->head));
  sn_t length = sn_sqrt(sn_sum(sn_square(other), "bti->bt1"));
  return sn_rearrange(sn_mul(sn_orthonormal(w, 1e-12), length), "bti->(bt)i");
}

static sn_t phi(sn_t x, sn_t w, const favor *c) {
  x = sn_mul(x, pow(c->head, -.25));
  sn_t e = sn_sub(sn_einsum("bthd,md->bthm", x, w), sn_mul(.5, sn_sum(sn_square(x), "bthd->bth1")));
  return sn_mul(sn_exp(e), 1 / sqrt(c->blocks * c->head));
}

static sn_t favor_attention(attend *a, const favor *c) {
  qkv x = attention_inputs(a, c->heads, c->heads, c->head);
  sn_t w = directions(a, c);
  sn_output(a->m, "directions", w);
  return attention_linear(a, phi(x.q, w, c), phi(x.k, w, c), x.v, c->both, true);
}

ATTENTION_COMPOSITION(favor, .min = 1);
