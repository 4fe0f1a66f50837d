/* FIRE: the score plus f(psi(i - j) / psi(max(L, i))), psi(x) = log(1 + |c| x), f a network of one hidden layer from
 * the quotient, which is in [0, 1], to a number by head; c and L are learned.   Li et al. 2024, section 3 */
#include "attention.h"

SN_SETTINGS(fire, ATTENTION_SIZES, (int, hidden, 32, "units of f", .min = 1, .max = 4096));

typedef struct {
  sn_t unit, out, c, least; /* [H, 3, hidden]: weight, bias, weight of the head; [H] [] [] */
  int hidden;
} network;

static sn_t psi(const network *f, sn_t x) { return sn_log1p(sn_mul(sn_abs(f->c), x)); }

static sn_t fire_score(sn_t s, sn_site at, const void *opt) {
  const network *f = opt;
  sn_t d = sn_cast(sn_max(sn_sub(at.q, at.k), 0), SN_REAL), i = sn_cast(at.q, SN_REAL), h = at.head;
  sn_t x = sn_div(psi(f, d), psi(f, sn_max(sn_abs(f->least), i))), y = sn_index(f->out, h);
  for (int n = 0; n < f->hidden; n++) {
    sn_t a = sn_add(sn_mul(sn_index(f->unit, h, 0, n), x), sn_index(f->unit, h, 1, n));
    y = sn_add(y, sn_mul(sn_index(f->unit, h, 2, n), sn_relu(a)));
  }
  return sn_add(s, y);
}

static sn_t fire_attention(attend *a, const fire *c) {
  qkv x = ATTENTION_INPUTS(a, c);
  sn_t up = attention_param(a, "up", (c->hidden), .init = sn_normal(1));
  sn_t bias = attention_param(a, "bias", (c->hidden), .init = sn_normal(1));
  sn_t down = attention_param(a, "down", (c->heads, c->hidden), .init = sn_normal(1 / sqrt(c->hidden)));
  sn_t shared = sn_concat(1, sn_rearrange(up, "n->11n"), sn_rearrange(bias, "n->11n")); /* of all heads */
  shared = sn_add(shared, sn_zeros(a->m, SN_REAL, (c->heads, 2, c->hidden)));
  network f = {.unit = sn_concat(1, shared, sn_rearrange(down, "hn->h1n")),
               .out = attention_param(a, "out", (c->heads)),
               .c = attention_param(a, "c", (), .init = sn_fill(.1)),
               .least = attention_param(a, "L", (), .init = sn_fill(512)),
               .hidden = c->hidden};
  return sn_attention(x.q, x.k, x.v, .score = fire_score, .mask = sn_causal, .opt = &f, .name = "fire");
}

ATTENTION_MODEL(fire, .min = 1);
