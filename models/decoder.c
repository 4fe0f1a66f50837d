/* A decoder whose parts are settings: which norm and where it stands, which feed-forward part, heads and layers that
 * share keys and values, positions. place=0 feed=2 bias=1 tied=1 is GPT-2; norm=1 feed=6 positions=1 is Llama. */
#include "blocks.h"
#include "causal.h"

/* clang-format off */
SN_SETTINGS(decoder,
  (int,    layers,    4,   "transformer blocks", .max = 4096),
  (int,    heads,     4,   "query heads", SN_SIZE),
  (int,    kv_heads,  0,   "key and value heads; 0: as many", .max = 1 << 24),
  (int,    width,     128, "size of the residual stream", SN_SIZE),
  (int,    hidden,    0,   "size of the feed-forward layer; 0: 4 width", .max = 1 << 24),
  (int,    vocab,     256, "tokens", SN_SIZE),
  (int,    context,   64,  "longest sequence", SN_SIZE),
  (int,    norm,      0,   "0 LayerNorm, 1 RMSNorm", .max = 1),
  (int,    place,     0,   "norms: 0 pre, 1 post, 2 inner post, 3 sandwich", .max = 3),
  (int,    feed,      1,   "0 ReLU, 1 GELU, 2 its tanh form, 3 SiLU; gated 4 GLU, 5 GeGLU, 6 SwiGLU, 7 ReGLU", .max = 7),
  (int,    positions, 0,   "0 learned, 1 rotary, 2 none", .max = 2),
  (int,    share,     1,   "layers that share keys and values, 1 to 4; it divides layers", .min = 1, .max = 4),
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

CAUSAL_MODEL(decoder, decoder_logits, .weight_decay = .1, .beta2 = .99);
