/* GPT: a decoder-only transformer with learned positions and a tied head. Radford et al. 2019; parameter names are
 * those of the published GPT-2 checkpoint. Biases only with bias=1. */
#include "sinter.h"

/* clang-format off */
SN_SETTINGS(gpt,
  (int,    layers,  4,   "transformer blocks", .max = 4096),
  (int,    heads,   4,   "attention heads", SN_SIZE),
  (int,    width,   128, "size of the residual stream", SN_SIZE),
  (int,    context, 64,  "longest sequence", SN_SIZE),
  (int,    vocab,   256, "tokens", SN_SIZE),
  (double, dropout, 0,   "dropout probability"),
  (bool,   bias,    0,   "biases in linear layers and norms"));
/* clang-format on */

static sn_t linear(sn_scope m, const char *name, sn_t x, int out, double std, const gpt *c) {
  if (c->bias) return sn_affine(m, name, x, out, .init = sn_normal(std));
  return sn_linear(m, name, x, out, .init = sn_normal(std));
}

/* What is added to the residual stream starts smaller, so that its variance does not grow with depth. */
static double residual_std(const gpt *c) { return .02 / sqrt(2. * c->layers); }

static sn_t attention(sn_scope m, sn_t x, const gpt *c) {
  sn_t qkv = linear(m, "c_attn", x, 3 * c->width, .02, c);
  qkv = sn_rearrange(qkv, "bt(nhd)->nbthd", .n = 3, .h = c->heads);
  sn_t k = sn_cache(m, "k", sn_at(qkv, 1));
  sn_t v = sn_cache(m, "v", sn_at(qkv, 2));
  sn_t y = sn_attention(sn_at(qkv, 0), k, v, .mask = sn_causal, .start = sn_start(m));
  return linear(m, "c_proj", sn_merge(y), c->width, residual_std(c), c);
}

static sn_t mlp(sn_scope m, sn_t x, const gpt *c) {
  sn_t h = sn_gelu(linear(m, "c_fc", x, 4 * c->width, .02, c));
  return linear(m, "c_proj", h, c->width, residual_std(c), c);
}

static sn_t block(sn_scope m, sn_t x, const gpt *c) {
  sn_t a = attention(sn_in(m, "attn"), sn_layernorm(m, "ln_1", x, .no_bias = !c->bias), c);
  x = sn_add(x, sn_dropout(m, "attn_drop", a, c->dropout));
  sn_t f = mlp(sn_in(m, "mlp"), sn_layernorm(m, "ln_2", x, .no_bias = !c->bias), c);
  return sn_add(x, sn_dropout(m, "mlp_drop", f, c->dropout));
}

static sn_t gpt_logits(sn_scope m, sn_t tokens, const gpt *c) {
  sn_t wte = sn_param(m, "wte.weight", (c->vocab, c->width), .init = sn_normal(.02));
  sn_t wpe = sn_param(m, "wpe.weight", (c->context, c->width), .init = sn_normal(.02));
  sn_t x = sn_add(sn_gather(wte, tokens), sn_gather(wpe, sn_positions(m, tokens)));
  x = sn_dropout(m, "drop", x, c->dropout);
  sn_layers(h, m, "h", c->layers, &x) x = block(h, x, c);
  return sn_einsum("btd,vd->btv", sn_layernorm(m, "ln_f", x, .no_bias = !c->bias), wte); /* tied head */
}

static sn_t ids(sn_scope m, const char *name, const gpt *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}

static void train(sn_scope m, const gpt *c) {
  sn_t logits = gpt_logits(sn_with(m, .train = true), ids(m, "tokens", c), c);
  sn_t loss = sn_cross_entropy(logits, ids(m, "targets", c));
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static void eval(sn_scope m, const gpt *c) {
  sn_output(m, "loss", sn_cross_entropy(gpt_logits(m, ids(m, "tokens", c), c), ids(m, "targets", c)));
}

static void logits(sn_scope m, const gpt *c) { sn_output(m, "logits", gpt_logits(m, ids(m, "tokens", c), c)); }

/* The same function twice: prefill sees T rows, decode one. The caches are their common state. */
static void serve(sn_scope m, const gpt *c, sn_dim T) {
  sn_dim B = sn_sym(m, "B");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), start = sn_input(m, "start", SN_I32, (B));
  sn_output(m, "logits", gpt_logits(sn_with(m, .cache = c->context, .start = start), tokens, c));
}
static void prefill(sn_scope m, const gpt *c) { serve(m, c, sn_sym(m, "T", .max = c->context)); }
static void decode(sn_scope m, const gpt *c) { serve(m, c, sn_dim_of(1)); }

SN_MODEL(gpt, gpt, train, eval, logits, prefill, decode);
