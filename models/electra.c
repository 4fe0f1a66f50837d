/* ELECTRA: a small generator fills hidden places of a text, a discriminator tells for every place whether what stands
 * there is the original. Clark et al. 2020; the embeddings are shared. Both are trained in one step, in which the
 * generator is drawn from: no gradient passes there. L = L_G + weight L_D. */
#include "blocks.h"

/* clang-format off */
SN_SETTINGS(electra,
  (int,    layers,    4,   "transformer blocks of either", .max = 4096),
  (int,    embedding, 128, "size of embeddings", SN_SIZE),
  (int,    width,     128, "discriminator: size of the residual stream", SN_SIZE),
  (int,    heads,     4,   "discriminator: attention heads", SN_SIZE),
  (int,    gen_width, 32,  "generator: size of the residual stream", SN_SIZE),
  (int,    gen_heads, 1,   "generator: attention heads", SN_SIZE),
  (int,    context,   64,  "longest sequence", SN_SIZE),
  (int,    vocab,     257, "tokens; the last one hides another", SN_SIZE),
  (int,    part,      6,   "one of so many places is hidden: 15 %", SN_SIZE),
  (double, dropout,   0,   "dropout probability"),
  (double, init,      .02, "deviation of initial values"),
  (bool,   soft,      0,   "control: mean embeddings in place of drawn ones, so that gradients pass"),
  (bool,   drawn,     0,   "control: what was drawn counts as replaced, even if it is the original"));
/* clang-format on */

/* A text with hidden places. */
typedef struct text {
  sn_t tokens; /* i32[B, T] */
  sn_t slots;  /* i32[B, K]: the places */
  sn_t number; /* i32[B, T]: that of the slot at each place; from K on: it is not hidden */
  sn_dim B, T, K;
} text;

static sn_t is_hidden(const text *x) { return sn_lt(x->number, sn_dim_value(x->K)); }
/* Of each slot [B, K, ..] -> where its place is [B, T, ..]; anything elsewhere. */
static sn_t spread(const text *x, sn_t y) { return sn_slots(y, sn_min(x->number, sn_sub(sn_dim_value(x->K), 1))); }

/* ---- two encoders over one table of embeddings ------------------------------------------------------------------- */

static sn_t words(sn_scope m, const electra *c) {
  return sn_param(m, "embeddings.word.weight", (c->vocab, c->embedding), .init = sn_normal(c->init));
}

/* Word embeddings [B, T, embedding] -> [B, T, width] */
static sn_t encoder(sn_scope m, const char *name, sn_t embedded, int width, int heads, const electra *c) {
  block b = {.width = width, .heads = heads, .place = BLOCK_POST, .feed = BLOCK_GELU, .eps = 1e-12};
  b.dropout = c->dropout, b.init = b.out_init = sn_normal(c->init);
  sn_scope e = sn_in(m, name), shared = sn_in(m, "embeddings");
  sn_t places = sn_param(shared, "position.weight", (c->context, c->embedding), .init = sn_normal(c->init));
  sn_t x = sn_add(embedded, sn_gather(places, sn_positions(m, embedded)));
  x = sn_dropout(e, "drop", sn_layernorm(shared, "norm", x, .eps = 1e-12), c->dropout);
  if (width != c->embedding) x = sn_affine(e, "project", x, width, .init = sn_normal(c->init));
  sn_layers(l, e, "layer", c->layers, &x) x = block_layer(&b, l, x, (block_view){0});
  return x;
}

/* What stands at the slots, by the generator, which never draws what hides: [B, K, vocab - 1]. */
static sn_t generator(sn_scope m, const text *x, const electra *c) {
  sn_t shown = sn_where(is_hidden(x), sn_sub(c->vocab, 1), x->tokens);
  sn_t h = encoder(m, "generator", sn_gather(words(m, c), shown), c->gen_width, c->gen_heads, c);
  sn_scope g = sn_in(m, "generator");
  h = sn_gelu(sn_affine(g, "dense", sn_slots(h, x->slots), c->embedding, .init = sn_normal(c->init)));
  h = sn_layernorm(g, "norm", h, .eps = 1e-12);
  sn_t to = sn_slice(words(m, c), 0, 0, c->vocab - 1);
  return sn_add(sn_einsum("bke,ve->bkv", h, to), sn_param(g, "bias", (c->vocab - 1)));
}

/* Log odds that what stands at each place is not the original: [B, T]. */
static sn_t discriminator(sn_scope m, sn_t embedded, const electra *c) {
  sn_t h = encoder(m, "discriminator", embedded, c->width, c->heads, c);
  sn_scope d = sn_in(m, "discriminator");
  h = sn_gelu(sn_affine(d, "dense", h, c->width, .init = sn_normal(c->init)));
  return sn_rearrange(sn_affine(d, "score", h, 1, .init = sn_normal(c->init)), "bt1->bt");
}

/* ---- the game ---------------------------------------------------------------------------------------------------- */

typedef struct game {
  sn_t generator_loss, discriminator_loss;
  sn_t shown, replaced, odds; /* the text that is judged, whether it was changed, what the discriminator says: [B, T] */
} game;

/* One token of each law, by adding Gumbel noise. */
static sn_t draw(sn_scope m, sn_t logits) {
  sn_t u = sn_random(m, "draw", SN_UNIFORM, (sn_size(logits, 0), sn_size(logits, 1), sn_size(logits, 2)));
  return sn_argmax(sn_sub(sn_stop(logits), sn_log(sn_sub(1e-20, sn_log(sn_add(u, 1e-20))))));
}

static game play(sn_scope m, const text *x, const electra *c) {
  sn_t logits = generator(m, x, c);
  sn_t hidden = sn_cast(sn_dim_value(x->K), SN_REAL), mean = sn_cross_entropy(logits, sn_slots(x->tokens, x->slots));
  game y = {.generator_loss = sn_mul(hidden, mean)};
  y.shown = sn_where(is_hidden(x), spread(x, draw(m, logits)), x->tokens);
  y.replaced = sn_ne(y.shown, x->tokens); /* drawn, but the original: not replaced */
  if (c->drawn) y.replaced = is_hidden(x);
  sn_t seen = sn_gather(words(m, c), y.shown);
  if (c->soft) {
    sn_t soft = spread(x, sn_einsum("bkv,ve->bke", sn_softmax(logits), sn_slice(words(m, c), 0, 0, c->vocab - 1)));
    seen = sn_where(sn_rearrange(is_hidden(x), "bt->bt1"), soft, seen);
  }
  y.odds = discriminator(m, seen, c);
  sn_t right = sn_logsigmoid(sn_where(y.replaced, y.odds, sn_neg(y.odds)));
  y.discriminator_loss = sn_neg(sn_mean(sn_sum(right, "bt->b"), "b->"));
  return y;
}

static text read(sn_scope m, const electra *c) {
  text x = {.B = sn_sym(m, "B"), .T = sn_sym(m, "T", .max = c->context)};
  x.tokens = sn_input(m, "tokens", SN_I32, (x.B, x.T));
  return x;
}

/* Places of its own for every text. */
static text hide(sn_scope m, const electra *c) {
  text x = read(m, c);
  x.K = sn_dim_ceildiv(x.T, c->part);
  x.slots = block_places(m, "hide", x.B, x.T, x.K, &x.number);
  return x;
}

static void minimize(sn_scope m, sn_t loss) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 1e-4),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 100),
                    .steps = sn_scalar(m, "steps", SN_I32, 2000),
                    .weight_decay = sn_scalar(m, "weight_decay", SN_REAL, .1),
                    .beta2 = sn_scalar(m, "beta2", SN_REAL, .99)};
  sn_minimize(m, loss, sn_adamw, &o, .clip = sn_scalar(m, "clip", SN_REAL, 1));
}

static sn_t both(sn_scope m, const game *y) {
  return sn_add(y->generator_loss, sn_mul(sn_scalar(m, "weight", SN_REAL, 50), y->discriminator_loss));
}

static void train(sn_scope m, const electra *c) {
  text x = hide(m, c);
  game y = play(sn_with(m, .train = true), &x, c);
  minimize(m, both(m, &y));
}

/* The two stages of the paper's comparison: the generator alone, then the discriminator alone. */
static void train_generator(sn_scope m, const electra *c) {
  text x = hide(m, c);
  minimize(m, play(sn_with(m, .train = true), &x, c).generator_loss);
}
static void train_discriminator(sn_scope m, const electra *c) {
  text x = hide(m, c);
  minimize(m, play(sn_with(m, .train = true), &x, c).discriminator_loss);
}

static void eval(sn_scope m, const electra *c) {
  text x = hide(m, c);
  game y = play(m, &x, c);
  sn_output(m, "loss", both(m, &y));
  sn_output(m, "generator_loss", y.generator_loss);
  sn_output(m, "discriminator_loss", y.discriminator_loss);
  sn_output(m, "shown", y.shown);
  sn_output(m, "hidden", sn_cast(is_hidden(&x), SN_I32));
  sn_output(m, "replaced", sn_cast(y.replaced, SN_I32));
  sn_output(m, "odds", y.odds);
}

/* The generator's law of hidden places that are given. */
static void logits(sn_scope m, const electra *c) {
  text x = read(m, c);
  x.K = sn_sym(m, "K", .max = c->context);
  x.slots = sn_input(m, "slots", SN_I32, (x.B, x.K));
  x.number = sn_input(m, "number", SN_I32, (x.B, x.T));
  sn_output(m, "logits", generator(m, &x, c));
}

SN_MODEL(electra, electra, train, train_generator, train_discriminator, eval, logits);
