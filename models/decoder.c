/* A decoder whose parts are settings: which norm and where it stands, which feed-forward part, heads and layers that
 * share keys and values, positions. place=0 feed=2 bias=1 tied=1 is GPT-2; norm=1 feed=6 positions=1 is Llama. */
#include "blocks.h"

/* clang-format off */
SN_SETTINGS(decoder,
  (int,    layers,    4,   "transformer blocks"),
  (int,    heads,     4,   "query heads"),
  (int,    kv_heads,  0,   "key and value heads; 0: as many"),
  (int,    width,     128, "size of the residual stream"),
  (int,    hidden,    0,   "size of the feed-forward layer; 0: 4 width"),
  (int,    vocab,     256, "tokens"),
  (int,    context,   64,  "longest sequence"),
  (int,    norm,      0,   "0 LayerNorm, 1 RMSNorm"),
  (int,    place,     0,   "norms: 0 pre, 1 post, 2 inner post, 3 sandwich"),
  (int,    feed,      1,   "0 ReLU, 1 GELU, 2 its tanh form, 3 SiLU; gated: 4 GLU, 5 GeGLU, 6 SwiGLU"),
  (int,    positions, 0,   "0 learned, 1 rotary, 2 none"),
  (int,    share,     1,   "layers that share keys and values, 1 to 4; it divides layers"),
  (bool,   bias,      0,   "biases in linear layers and norms"),
  (bool,   tied,      1,   "the head is the embedding"),
  (bool,   scaled,    1,   "what is added to the residual stream starts smaller by sqrt(2 layers)"),
  (double, std,       .02, "of initial matrices; 0: 1/sqrt(rows)"),
  (double, dropout,   0,   "dropout probability"));
/* clang-format on */

static block block_of(const decoder *c) {
  block b = {.width = c->width,
             .heads = c->heads,
             .kv_heads = c->kv_heads,
             .hidden = c->hidden,
             .norm = (block_norm_kind)c->norm,
             .place = (block_place)c->place,
             .feed = (block_feed_kind)c->feed,
             .no_bias = !c->bias,
             .dropout = c->dropout,
             .rope = c->positions == 1 ? 1e4 : 0};
  if (c->std > 0) b.init = b.out_init = sn_normal(c->std);
  if (c->scaled) b.out_init = sn_normal((c->std > 0 ? c->std : 1 / sqrt(c->width)) / sqrt(2. * c->layers));
  return b;
}

static sn_t layer(const block *b, sn_scope m, sn_t x, block_memory *kept, bool first) {
  const block_names *n = block_names_of(b);
  sn_t a = block_enter(b, m, n->attend_norm, x);
  if (first) *kept = block_remember(b, m, n, a);
  x = block_leave(b, m, n->attend_norm, x, block_look(b, m, n, a, *kept, (block_view){.mask = sn_causal}));
  return block_leave(b, m, n->feed_norm, x, block_feed(b, m, n, block_enter(b, m, n->feed_norm, x)));
}

static sn_t decoder_logits(sn_scope m, sn_t tokens, const decoder *c) {
  static const char *const shared[] = {"a", "b", "c", "d"};
  block b = block_of(c);
  int share = c->share;
  bool divides = share >= 1 && share <= 4 && c->layers % share == 0;
  sn_t table = sn_param(m, "embed.weight", (c->vocab, c->width), .init = sn_normal(c->std > 0 ? c->std : 1));
  sn_t x = sn_gather(table, tokens);
  if (c->positions == 0)
    x = sn_add(x, sn_gather(sn_param(m, "position.weight", (c->context, c->width), .init = sn_normal(.02)),
                            sn_positions(m, tokens)));
  sn_layers(h, m, "h", divides ? c->layers / share : -1, &x) {
    block_memory kept;
    for (int i = 0; i < share; i++) x = layer(&b, share > 1 ? sn_in(h, shared[i]) : h, x, &kept, !i);
  }
  if (b.place != BLOCK_POST) x = block_norm(&b, m, "norm", x);
  return c->tied ? sn_einsum("btd,vd->btv", x, table) : sn_linear(m, "head", x, c->vocab, .init = b.init);
}

static sn_t ids(sn_scope m, const char *name, const decoder *c) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = c->context)));
}

static void train(sn_scope m, const decoder *c) {
  sn_t logits = decoder_logits(sn_with(m, .train = true), ids(m, "tokens", c), c);
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, sn_cross_entropy(logits, ids(m, "targets", c)), sn_adamw, &o,
              .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static void eval(sn_scope m, const decoder *c) {
  sn_output(m, "loss", sn_cross_entropy(decoder_logits(m, ids(m, "tokens", c), c), ids(m, "targets", c)));
}

static void logits(sn_scope m, const decoder *c) { sn_output(m, "logits", decoder_logits(m, ids(m, "tokens", c), c)); }

static void serve(sn_scope m, const decoder *c, sn_dim T) {
  sn_dim B = sn_sym(m, "B");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, T)), start = sn_input(m, "start", SN_I32, (B));
  sn_output(m, "logits", decoder_logits(sn_with(m, .cache = c->context, .start = start), tokens, c));
}
static void prefill(sn_scope m, const decoder *c) { serve(m, c, sn_sym(m, "T", .max = c->context)); }
static void decode(sn_scope m, const decoder *c) { serve(m, c, sn_dim_of(1)); }

SN_MODEL(decoder, decoder, train, eval, logits, prefill, decode);
