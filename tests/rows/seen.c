/* A decoder whose attention sees a window, the first positions and itself: what rows of attention are trained with.
 * RMSNorm, rotary positions, GELU, a head of its own. */
#include "sinter.h"

/* clang-format off */
SN_SETTINGS(seen,
  (int, layers,  2,   "blocks"),
  (int, width,   32,  "size of the residual stream"),
  (int, heads,   2,   "attention heads"),
  (int, window,  0,   "keys seen; 0: all before"),
  (int, firsts,  0,   "first positions, always seen"),
  (bool, beside, 0,   "logits are a sum of what attention and MLP say: neither can switch the other off"),
  (bool, strict, 0,   "no row sees itself, but for the first"),
  (int, context, 256, "longest sequence"),
  (int, vocab,   32,  "tokens"));
/* clang-format on */

static sn_t seen_mask(sn_site at, const void *opt) {
  const seen *c = opt;
  sn_t see = sn_le(at.k, c->strict ? sn_max(sn_sub(at.q, 1), 0) : at.q);
  return c->window ? sn_and(see, sn_or(sn_lt(sn_sub(at.q, at.k), c->window), sn_lt(at.k, c->firsts))) : see;
}

static sn_t attention(sn_scope m, sn_t x, const seen *c) {
  sn_t at = sn_positions(m, x), q = sn_linear(m, "q", x, c->width, .heads = c->heads);
  sn_t k = sn_linear(m, "k", x, c->width, .heads = c->heads), v = sn_linear(m, "v", x, c->width, .heads = c->heads);
  sn_t y = sn_attention(sn_rope(q, at, .base = 100), sn_rope(k, at, .base = 100), v, .mask = seen_mask, .opt = c,
                        .name = "seen");
  return sn_linear(m, "out", sn_merge(y), c->width);
}

static sn_t block(sn_scope m, sn_t x, const seen *c) {
  sn_t y = sn_add(x, attention(m, sn_rmsnorm(m, "norm_1", x), c));
  sn_t h = sn_gelu(sn_affine(m, "up", sn_rmsnorm(m, "norm_2", c->beside ? x : y), 4 * c->width));
  return sn_add(y, sn_linear(m, "down", h, c->width));
}

static sn_t ids(sn_scope m, const char *name, const seen *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B", .max = 64), sn_sym(m, "T", .max = c->context)));
}

static sn_t answers(sn_scope m, const seen *c) {
  sn_t embed = sn_param(m, "embed.weight", (c->vocab, c->width), .init = sn_normal(1));
  sn_t x = sn_gather(embed, ids(m, "tokens", c));
  sn_layers(h, m, "layers", c->layers, &x) x = block(h, x, c);
  return sn_linear(m, "head", c->beside ? x : sn_rmsnorm(m, "norm", x), c->vocab);
}

static void logits(sn_scope m, const seen *c) { sn_output(m, "logits", answers(m, c)); }
static void train(sn_scope m, const seen *c) {
  sn_t targets = ids(m, "targets", c);
  sn_t loss = sn_cross_entropy(answers(m, c), targets, .weight = sn_cast(sn_gt(targets, 0), SN_REAL));
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, 0)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

SN_MODEL(seen, seen, train, logits);
