/* Llama 2 / Mistral: RMSNorm, RoPE, grouped queries, SwiGLU, no biases. Touvron et al. 2023, Jiang et al. 2023.
 * Keys and values live in a ring of `context` slots, so decoding may go on beyond it. */
#include "sinter.h"

/* clang-format off */
SN_SETTINGS(llama,
  (int,    layers,   4,   "transformer blocks", .max = 4096),
  (int,    heads,    4,   "query heads", SN_SIZE),
  (int,    kv_heads, 2,   "key and value heads", SN_SIZE),
  (int,    width,    128, "size of the residual stream", SN_SIZE),
  (int,    hidden,   344, "size of the feed-forward layer", SN_SIZE),
  (int,    vocab,    256, "tokens", SN_SIZE),
  (int,    context,  64,  "longest sequence, and slots of the caches", SN_SIZE),
  (int,    window,   0,   "sliding window; 0 is none", .max = 1 << 24),
  (double, base,     1e4, "base of the rotary frequencies"));
/* clang-format on */

static sn_t window_mask(sn_site at, const void *opt) {
  const llama *c = opt;
  return sn_within(sn_sub(at.q, at.k), 0, c->window ? c->window : c->context);
}

static sn_t linear(sn_scope m, const char *name, sn_t x, int out, int heads) {
  return sn_linear(m, name, x, out, .heads = heads, .init = sn_normal(.02));
}

static sn_t attention(sn_scope m, sn_t x, sn_t pos, const llama *c) {
  int d = c->width / c->heads;
  sn_t q = linear(m, "q_proj", x, c->heads * d, c->heads);
  sn_t k = linear(m, "k_proj", x, c->kv_heads * d, c->kv_heads);
  sn_t v = linear(m, "v_proj", x, c->kv_heads * d, c->kv_heads);
  k = sn_cache(m, "k", sn_rope(k, pos, .base = c->base), .ring = true);
  v = sn_cache(m, "v", v, .ring = true);
  sn_t y = sn_attention(sn_rope(q, pos, .base = c->base), k, v, .mask = window_mask, .opt = c, .start = sn_start(m));
  return linear(m, "o_proj", sn_merge(y), c->width, 0);
}

static sn_t mlp(sn_scope m, sn_t x, const llama *c) {
  sn_t gate = sn_silu(linear(m, "gate_proj", x, c->hidden, 0));
  sn_t up = linear(m, "up_proj", x, c->hidden, 0);
  return linear(m, "down_proj", sn_mul(gate, up), c->width, 0);
}

static sn_t llama_logits(sn_scope m, sn_t tokens, const llama *c) {
  sn_t pos = sn_positions(m, tokens);
  sn_t x = sn_gather(sn_param(m, "embed_tokens.weight", (c->vocab, c->width), .init = sn_normal(.02)), tokens);
  sn_layers(h, m, "layers", c->layers, &x) {
    x = sn_add(x, attention(sn_in(h, "self_attn"), sn_rmsnorm(h, "input_layernorm", x), pos, c));
    x = sn_add(x, mlp(sn_in(h, "mlp"), sn_rmsnorm(h, "post_attention_layernorm", x), c));
  }
  return linear(m, "lm_head", sn_rmsnorm(m, "norm", x), c->vocab, 0);
}

static sn_t ids(sn_scope m, const char *name, const llama *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}

static void train(sn_scope m, const llama *c) {
  sn_t logits = llama_logits(sn_with(m, .train = true), ids(m, "tokens", c), c);
  sn_t loss = sn_cross_entropy(logits, ids(m, "targets", c));
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static void eval(sn_scope m, const llama *c) {
  sn_output(m, "loss", sn_cross_entropy(llama_logits(m, ids(m, "tokens", c), c), ids(m, "targets", c)));
}

static void logits(sn_scope m, const llama *c) { sn_output(m, "logits", llama_logits(m, ids(m, "tokens", c), c)); }

static void serve(sn_scope m, const llama *c, sn_dim T) {
  sn_dim B = sn_sym(m, "B");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), start = sn_input(m, "start", SN_I32, (B));
  sn_output(m, "logits", llama_logits(sn_with(m, .cache = c->context, .start = start), tokens, c));
}
static void prefill(sn_scope m, const llama *c) { serve(m, c, sn_sym(m, "T", .max = c->context)); }
static void decode(sn_scope m, const llama *c) { serve(m, c, sn_dim_of(1)); }

SN_MODEL(llama, llama, train, eval, logits, prefill, decode);
