/* A decoder whose positions are a setting: how far beyond the length of its training it reads is their doing alone.
 * Pre-norm blocks without biases.   Learned and sinusoidal: Vaswani et al. 2017, 3.5; ALiBi: Press et al. 2022; rotary
 * and its stretched forms: Su et al. 2021, Chen et al. 2023, Peng et al. 2023 */
#include "blocks.h"
#include "causal.h"

/* clang-format off */
SN_SETTINGS(positions,
  (int,    layers,  2,   "blocks", .max = 4096),
  (int,    heads,   4,   "attention heads", SN_SIZE),
  (int,    width,   64,  "size of the residual stream", SN_SIZE),
  (int,    context, 256, "longest sequence", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (int,    scheme,  4,   "0 none, 1 learned, 2 sinusoidal, 3 ALiBi, 4 rotary", .max = 4),
  (int,    learned, 0,   "rows of learned positions; 0: context", .max = 1 << 24),
  (double, base,    1e4, "of the rotary frequencies"),
  (int,    scaling, 0,   "rotary: 1 interpolated, 2 NTK, 3 dynamic NTK, 4 YaRN", .max = 4),
  (double, scale,   1,   "how many times longer than in training"),
  (int,    trained, 64,  "length of training", SN_SIZE));
/* clang-format on */

enum { NONE, LEARNED, SINUSOIDAL, ALIBI, ROTARY };

static sn_t alibi_score(sn_t s, sn_site at, const void *opt) {
  const positions *c = opt;
  return sn_sub(s, sn_mul(sn_alibi_slope(at.head, c->heads), sn_sub(at.q, at.k)));
}

static sn_t turn(sn_t x, sn_t at, const positions *c) {
  if (c->scheme != ROTARY) return x;
  return sn_rope(x, at, .base = c->base, .scaling = (sn_rope_scaling)c->scaling, .scale = c->scale,
                 .trained = c->trained);
}

static sn_t attention(sn_scope m, sn_t x, const positions *c) {
  sn_t at = sn_positions(m, x), q = sn_linear(m, "q", x, c->width, .heads = c->heads);
  sn_t k = sn_linear(m, "k", x, c->width, .heads = c->heads), v = sn_linear(m, "v", x, c->width, .heads = c->heads);
  k = sn_cache(m, "keys", turn(k, at, c)), v = sn_cache(m, "values", v);
  sn_t y = sn_attention(turn(q, at, c), k, v, .score = c->scheme == ALIBI ? alibi_score : NULL, .mask = sn_causal,
                        .opt = c, .start = sn_start(m));
  return sn_linear(m, "o", sn_merge(y), c->width);
}

static sn_t embed(sn_scope m, sn_t tokens, const positions *c) {
  sn_t x = sn_gather(sn_param(m, "embed.weight", (c->vocab, c->width), .init = sn_normal(1)), tokens);
  sn_t at = sn_positions(m, tokens);
  int rows = c->learned ? c->learned : c->context;
  if (c->scheme == LEARNED) x = sn_add(x, sn_gather(sn_param(m, "place.weight", (rows, c->width)), at));
  return c->scheme == SINUSOIDAL ? sn_add(x, sn_sinusoid(at, c->width)) : x;
}

static sn_t answers(sn_scope m, sn_t tokens, const positions *c) {
  block b = {.width = c->width, .norm = BLOCK_RMS_NORM, .feed = BLOCK_GELU, .no_bias = true};
  const block_names *n = block_names_of(&b);
  sn_t x = embed(m, tokens, c);
  sn_layers(h, m, "layers", c->layers, &x) {
    x = sn_add(x, attention(sn_in(h, "attn"), block_norm(&b, h, n->attend_norm, x), c));
    x = sn_add(x, block_feed(&b, h, n, block_norm(&b, h, n->feed_norm, x)));
  }
  return sn_linear(m, "head", sn_rmsnorm(m, "norm", x), c->vocab);
}

CAUSAL_MODEL(positions, answers, .weight_decay = 0, .beta2 = .999);
