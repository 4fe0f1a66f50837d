/* ed.prefix: a prefix is read in both directions, what follows is written from the left: loss = - sum over t >= P of
 * log p(x_t | x_<t). As T5, whose encoder reads the prefix, and as one decoder in which i sees j when j < P or j <= i.
 * Texts of hidden Markov models. Control, trained alike: a prefix that is one token too long.
 * Frozen bounds of the loss over the best, seeds 1 to 5: at most 0.0063 nat (quick: 0.0205). */
#include "models/blocks.h"
#include "models/recipes/loops.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/positions.h"

enum { BATCH = 32, LENGTH = 12, SYMBOLS = 6, BEGIN = SYMBOLS, VOCAB };

extern const sn_model sn_model_t5_model;

/* ---- the decoder with a prefix ---------------------------------------------------------------------- */

SN_SETTINGS(sizes, (int, layers, 2, "blocks"), (int, heads, 4, "attention heads"), (int, width, 32, "residual stream"));

static sn_t prefix_mask(sn_site at, const void *opt) {
  return sn_or(sn_le(at.k, at.q), sn_lt(at.k, sn_index(*(const sn_t *)opt, at.batch)));
}

static sn_t ids(sn_scope m, const char *name) {
  return sn_input(m, name, SN_I32, (sn_sym(m, "B"), sn_sym(m, "T", .max = LENGTH)));
}

static sn_t rows(sn_scope m, const sizes *c, block_view see) {
  const block b = {.width = c->width, .heads = c->heads, .norm = BLOCK_RMS_NORM, .feed = BLOCK_GELU, .no_bias = true};
  sn_t tokens = ids(m, "tokens"), place = sn_param(m, "places", (LENGTH, c->width), .init = sn_normal(.3));
  sn_t x = sn_gather(sn_param(m, "words", (VOCAB, c->width), .init = sn_normal(.3)), tokens);
  x = sn_add(x, sn_gather(place, sn_positions(m, tokens)));
  sn_layers(h, m, "layer", c->layers, &x) x = block_layer(&b, h, x, see);
  return sn_linear(m, "head", sn_rmsnorm(m, "norm", x), VOCAB);
}

static sn_t prefixed(sn_scope m, const sizes *c) {
  sn_t length = sn_input(m, "prefix", SN_I32, (sn_sym(m, "B")));
  return rows(m, c, (block_view){.mask = prefix_mask, .opt = &length});
}

static sn_t loss(sn_scope m, const sizes *c) {
  sn_t targets = ids(m, "targets"), weight = sn_input(m, "weight", SN_REAL, (sn_size(targets, 0), sn_size(targets, 1)));
  return sn_cross_entropy(prefixed(m, c), targets, .weight = weight);
}
static void train(sn_scope m, const sizes *c) {
  sn_adamw_opt o = {.lr = sn_scalar(m, "lr", SN_REAL, 1e-3),
                    .min_lr = sn_scalar(m, "min_lr", SN_REAL, 0),
                    .warmup = sn_scalar(m, "warmup", SN_I32, 0),
                    .steps = sn_scalar(m, "steps", SN_I32, 0)};
  sn_minimize(m, loss(m, c), sn_adamw, &o, .clip = 1);
}
static void eval(sn_scope m, const sizes *c) { sn_output(m, "loss", loss(m, c)); }
static void logits(sn_scope m, const sizes *c) { sn_output(m, "logits", prefixed(m, c)); }
static void causal(sn_scope m, const sizes *c) { sn_output(m, "logits", rows(m, c, (block_view){.mask = sn_causal})); }
static void both(sn_scope m, const sizes *c) { sn_output(m, "logits", rows(m, c, (block_view){0})); }

SN_MODEL(prefix_decoder, sizes, train, eval, logits, causal, both);

/* ---- texts -------------------------------------------------------------------------------------------- */

typedef struct task {
  hmm h;
  int rows;     /* of a batch */
  int extra;    /* tokens of the prefix too many: control */
  bool answers; /* targets that are not asked for are -1 */
} task;

typedef struct text {
  int x[LENGTH], prefix; /* 1 .. LENGTH - 2 */
} text;

static text make(const task *t, uint64_t seed, uint64_t index) {
  text e;
  draws d = draws_of(seed, 61, index);
  e.prefix = 1 + draws_below(&d, LENGTH - 2);
  hmm_sample(&t->h, seed, index, LENGTH, e.x, NULL);
  return e;
}

/* tokens, targets, prefix, weight: row i has the token before x_i and is asked for x_i. The row that is asked first is
 * in the prefix: what it reads is. */
static void decoder_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const task *t = data;
  for (int b = 0; b < t->rows; b++) {
    text e = make(t, seed, index * BATCH + (uint64_t)b);
    ((int32_t *)port[2])[b] = e.prefix + 1 + t->extra;
    for (int i = 0; i < LENGTH; i++) {
      bool asked = i >= e.prefix;
      ((int32_t *)port[0])[b * LENGTH + i] = i ? e.x[i - 1] : BEGIN;
      ((int32_t *)port[1])[b * LENGTH + i] = asked ? e.x[i] : t->answers ? -1 : 0;
      ((float *)port[3])[b * LENGTH + i] = asked;
    }
  }
}

/* source, source_length, tokens, targets, length */
static void pair_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const task *t = data;
  for (int b = 0; b < t->rows; b++) {
    text e = make(t, seed, index * BATCH + (uint64_t)b);
    ((int32_t *)port[1])[b] = e.prefix + t->extra;
    ((int32_t *)port[4])[b] = LENGTH - e.prefix;
    for (int i = 0; i < LENGTH; i++) {
      int at = e.prefix + i;
      ((int32_t *)port[0])[b * LENGTH + i] = e.x[i];
      ((int32_t *)port[2])[b * LENGTH + i] = i == 0 || at > LENGTH ? BEGIN : e.x[at - 1];
      ((int32_t *)port[3])[b * LENGTH + i] = at < LENGTH ? e.x[at] : t->answers ? -1 : 0;
    }
  }
}

/* loss [LENGTH] of one text, by place. */
static void best_of(const task *t, const text *e, double *loss) {
  int rank[LENGTH];
  for (int i = 0; i < LENGTH; i++) rank[i] = i < e->prefix ? -1 : i;
  hmm_ranked_loss(&t->h, LENGTH, e->x, rank, loss);
}
static void decoder_best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  for (int b = 0; b < ((const task *)data)->rows; b++) {
    text e = make(data, seed, index * BATCH + (uint64_t)b);
    best_of(data, &e, loss + b * LENGTH);
  }
}
static void pair_best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  for (int b = 0; b < ((const task *)data)->rows; b++) {
    text e = make(data, seed, index * BATCH + (uint64_t)b);
    double by_place[LENGTH];
    best_of(data, &e, by_place);
    for (int i = 0; e.prefix + i < LENGTH; i++) loss[b * LENGTH + i] = by_place[e.prefix + i];
  }
}

static feed decoder_feed(const task *t) {
  return (feed){{{"tokens", {t->rows, LENGTH}},
                 {"targets", {t->rows, LENGTH}},
                 {"prefix", {t->rows}},
                 {"weight", {t->rows, LENGTH}}},
                decoder_fill,
                t};
}
static feed pair_feed(const task *t) {
  return (feed){{{"source", {t->rows, LENGTH}},
                 {"source_length", {t->rows}},
                 {"tokens", {t->rows, LENGTH}},
                 {"targets", {t->rows, LENGTH}},
                 {"length", {t->rows}}},
                pair_fill,
                t};
}

/* ---- limits of the mask, to the bit ------------------------------------------------------------------- */

typedef struct batch_of {
  int32_t tokens[LENGTH][LENGTH], prefix[LENGTH];
  float logits[LENGTH][LENGTH][VOCAB];
} batch_of;

/* As many texts as places; text j has the token at j changed. */
static void make_batch(recipe *r, const task *t, int prefix, bool changed, batch_of *out) {
  text e = make(t, recipe_seed(r, 62), 0);
  for (int j = 0; j < LENGTH; j++) {
    out->prefix[j] = prefix;
    for (int i = 0; i < LENGTH; i++) out->tokens[j][i] = i ? e.x[i - 1] : BEGIN;
    if (changed) out->tokens[j][j] = (out->tokens[j][j] + 1) % SYMBOLS;
  }
}

static void run(net *n, const char *graph, batch_of *x) {
  sn_io io[] = {{"tokens", x->tokens, {LENGTH, LENGTH}},
                {"logits", x->logits, {LENGTH, LENGTH, VOCAB}},
                {"prefix", x->prefix, {LENGTH}}};
  net_run_io(n, graph, io, graph[0] == 'l' ? 3 : 2);
}

static double bytes_differ(recipe *r, net *n, const task *t, int prefix, const char *graph) {
  batch_of *a = recipe_alloc(r, sizeof *a), *b = recipe_alloc(r, sizeof *b);
  make_batch(r, t, prefix, true, a), make_batch(r, t, prefix, true, b);
  run(n, "logits", a), run(n, graph, b);
  double count = 0;
  for (size_t i = 0; i < sizeof a->logits; i++) count += ((const char *)a->logits)[i] != ((const char *)b->logits)[i];
  return recipe_has_failed(r) ? (double)NAN : count;
}

static bool equal(const float *a, const float *b) {
  for (int v = 0; v < VOCAB; v++)
    if (a[v] != b[v]) return false;
  return true;
}

/* Rows that change though they do not see the token, and rows that see it and stay. */
static void check_changes(recipe *r, net *n, const task *t) {
  enum { PREFIX = 5 };
  batch_of *a = recipe_alloc(r, sizeof *a), *b = recipe_alloc(r, sizeof *b);
  make_batch(r, t, PREFIX, false, a), make_batch(r, t, PREFIX, true, b);
  run(n, "logits", a), run(n, "logits", b);
  double changed = 0, stayed = 0;
  for (int j = 0; j < LENGTH; j++) {
    for (int i = 0; i < LENGTH; i++) {
      bool sees = j < PREFIX || j <= i, same = equal(a->logits[j][i], b->logits[j][i]);
      changed += !sees && !same;
      stayed += sees && same;
    }
  }
  recipe_at_most(r, EXACT, "a token changed: rows that do not see it and change", changed, 0);
  recipe_at_most(r, EXACT, "a token changed: rows that see it and stay", stayed, 0);
}

/* ---- the row -------------------------------------------------------------------------------------------- */

static net *decoder(recipe *r, const char *label, const task *t, int steps) {
  feed f = decoder_feed(t);
  net *n = recipe_net(r, &sn_model_prefix_decoder, "train|eval|logits|causal|both", "layers=2");
  recipe_train(r, &(training){n, .label = label, .feed = &f, .steps = steps, .lr = 1e-2});
  return n;
}
static net *pair(recipe *r, const char *label, const task *t, int steps) {
  feed f = pair_feed(t);
  net *n = recipe_net(r, &sn_model_t5_model, "pairs|logits",
                      "layers=2 heads=4 head=8 width=32 hidden=128 buckets=16 far=12 "
                      "context=%d vocab=%d",
                      LENGTH, VOCAB);
  recipe_train(r, &(training){n, "pairs", .label = label, .feed = &f, .steps = steps, .lr = 1e-2});
  return n;
}

static excess excess_of(recipe *r, net *n, task *t, bool is_pair) {
  t->answers = true;
  feed f = is_pair ? pair_feed(t) : decoder_feed(t);
  against a = {n, .feed = &f, .targets = is_pair ? 3 : 1, .best = is_pair ? pair_best : decoder_best,
               .tokens = recipe_pick(r, 40000, 8000)};
  excess e = recipe_excess(r, &a);
  t->answers = false;
  return e;
}

static void check_exact(recipe *r, net *n, task *t) {
  t->rows = 3;
  feed f = decoder_feed(t);
  recipe_at_most(r, EXACT, "gradient against differences in f64", net_slope_error(n, "eval", "loss", &f), 1e-6);
  double difference = net_difference(n, net_exact(n, NULL), "logits", &f, "logits");
  recipe_at_most(r, EXACT, "logits against those in f64", difference, 2e-5 * sqrt(128));
  t->rows = BATCH;
}

static int as_encoder(int d, int buckets, int far, bool both) {
  return (void)both, positions_bucket(d, buckets, far, true);
}

/* Buckets of both stacks; padding that is not seen. */
static void check_pair(recipe *r, net *n, task *t) {
  loops_t5 c = {2, 4, 8, 32, 128, 16, 12, VOCAB, positions_bucket};
  t->rows = 3;
  feed f = pair_feed(t);
  recipe_at_most(r, EXACT, "encoder and decoder: logits against nested loops, f64", loops_t5_apart(r, n, &c, &f),
                 1e-10);
  c.bucket = as_encoder;
  recipe_at_most(r, CONTROL, "a decoder with the encoder's buckets: the same", loops_t5_apart(r, n, &c, &f), 1e-10);
  t->rows = BATCH;
}

static void prefixes(recipe *r) {
  task *t = recipe_alloc(r, sizeof *t), *wrong = recipe_alloc(r, sizeof *t);
  int steps = recipe_pick(r, 1500, 300);
  double bound = recipe_pick(r, 20, 50) * 1e-3;
  *t = (task){.rows = BATCH, .h = hmm_make(recipe_seed(r, 7), 3, SYMBOLS, .5)};
  *wrong = *t, wrong->extra = 1;
  net *n = decoder(r, "one decoder", t, steps);
  recipe_at_most(r, EXACT, "no prefix and a causal decoder: bytes of logits that differ",
                 bytes_differ(r, n, t, 0, "causal"), 0);
  recipe_at_most(r, EXACT, "all prefix and an encoder: bytes of logits that differ",
                 bytes_differ(r, n, t, LENGTH, "both"), 0);
  recipe_at_most(r, CONTROL, "a prefix of 5 and a causal decoder: the same", bytes_differ(r, n, t, 5, "causal"), 0);
  recipe_at_most(r, CONTROL, "a prefix of 5 and an encoder: the same", bytes_differ(r, n, t, 5, "both"), 0);
  check_changes(r, n, t);
  check_exact(r, n, t);
  excess e = excess_of(r, n, t, false);
  recipe_at_most(r, OPTIMUM, "one decoder: held-out loss over the best, nats", e.mean, bound);
  recipe_no_leak(r, OPTIMUM, "one decoder: excess in standard errors", &e);
  n = pair(r, "encoder and decoder", t, steps);
  check_pair(r, n, t);
  e = excess_of(r, n, t, true);
  recipe_at_most(r, OPTIMUM, "encoder and decoder: held-out loss over the best, nats", e.mean, bound);
  recipe_no_leak(r, OPTIMUM, "encoder and decoder: excess in standard errors", &e);
  e = excess_of(r, decoder(r, "control: prefix too long", wrong, steps / 2), wrong, false);
  recipe_no_leak(r, CONTROL, "a prefix one token too long: excess in standard errors", &e);
}

RECIPES(ed_prefix, {"ed.prefix", 3, "a prefix read in both directions, what follows written from the left", prefixes,
                    "filter of the hidden Markov model (hmm.h); nets beside their f64 twins"});
