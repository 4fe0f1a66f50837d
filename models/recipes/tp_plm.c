/* tp.plm: a permuted language model (XLNet). Loss = - sum over the targets of log p(x_i | tokens of smaller rank), with
 * an order of its own for every text; what may see what is read off the network by changing one token at a time. */
#include <string.h>

#include "models/recipes/recipe.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/orders.h"

enum { ROWS = 32, LENGTH = 12, TARGETS = 6, SYMBOLS = 6, ORDERS = 200, TWINS = 4, TWIN_SYMBOLS = 8 };

static const double GAP = .06; /* nats */
#define SIZES "heads=2 width=32 hidden=64 vocab=6 context=12"
#define TWO "layers=2 " SIZES

extern const sn_model sn_model_xlnet, sn_model_causal_xl;

/* ---- a causal model with the same weights, made in another way ----------------------------------------------------
 * One stream of 2 T rows: those of the tokens, and as many that begin as the learned vector. Scores, positions and mask
 * are tensors; there are no ranks. */

/* clang-format off */
SN_SETTINGS(causal_xl, (int, layers, 2, "blocks"), (int, heads, 2, "heads"), (int, width, 32, "stream"),
            (int, hidden, 64, "feed-forward layer"), (int, vocab, 6, "tokens"), (int, context, 12, "T"));
/* clang-format on */

static sn_t heads_of(sn_scope m, const char *name, sn_t x, const causal_xl *c) {
  return sn_linear(m, name, x, c->width, .heads = c->heads);
}

static sn_t attend(sn_scope m, sn_t x, const causal_xl *c) {
  int T = c->context, d = c->width / c->heads;
  sn_t row = sn_rearrange(sn_arange(m, 2 * T), "q->q1"), key = sn_rearrange(sn_arange(m, T), "k->1k");
  sn_t place = sn_mod(row, T), sees = sn_where(sn_lt(row, T), sn_le(key, place), sn_lt(key, place));
  sn_t q = heads_of(m, "q", x, c), k = sn_slice(heads_of(m, "k", x, c), 1, 0, T);
  sn_t v = sn_slice(heads_of(m, "v", x, c), 1, 0, T);
  sn_t r = heads_of(m, "r", sn_sinusoid(sn_sub(place, key), c->width), c); /* [2 T, T, H, d] */
  sn_t to_key = sn_add(q, sn_param(m, "r_w_bias", (c->heads, d))), to_place = sn_param(m, "r_r_bias", (c->heads, d));
  sn_t s = sn_einsum("bqhd,bkhd->bhqk", to_key, k);
  s = sn_mul(sn_add(s, sn_einsum("bqhd,qkhd->bhqk", sn_add(q, to_place), r)), 1 / sqrt(d));
  sn_t p = sn_where(sees, sn_softmax(sn_where(sees, s, -1e30)), 0.);
  return sn_linear(m, "o", sn_merge(sn_einsum("bhqk,bkhd->bqhd", p, v)), c->width);
}

static void logits(sn_scope m, const causal_xl *c) {
  sn_scope t = sn_in(m, "transformer");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (sn_sym(m, "B"), c->context));
  sn_t words = sn_param(t, "word_embedding.weight", (c->vocab, c->width)), h = sn_gather(words, tokens);
  sn_t x = sn_concat(1, h, sn_add(sn_mul(h, 0.), sn_rearrange(sn_param(t, "mask_emb", (1, c->width)), "1d->11d")));
  sn_layers(l, t, "layer", c->layers, &x) {
    sn_scope a = sn_in(l, "rel_attn"), f = sn_in(l, "ff");
    x = sn_layernorm(a, "layer_norm", sn_add(x, attend(a, x, c)), .eps = 1e-12);
    sn_t y = sn_affine(f, "layer_2", sn_gelu(sn_affine(f, "layer_1", x, c->hidden)), c->width);
    x = sn_layernorm(f, "layer_norm", sn_add(x, y), .eps = 1e-12);
  }
  x = sn_slice(x, 1, c->context, c->context);
  sn_output(m, "logits", sn_add(sn_einsum("btd,vd->btv", x, words), sn_param(m, "lm_loss.bias", (c->vocab))));
}

SN_MODEL(causal_xl, causal_xl, logits);

/* ---- data -------------------------------------------------------------------------------------------------------- */

/* Texts of D2 and the order of each: the last `targets` are predicted. */
typedef struct ordered {
  hmm h;
  int rows, length, targets;
  const int *z; /* one order for all; NULL: random ones */
  bool at_once; /* all targets have one rank: a masked model */
} ordered;

static void order_text(const ordered *o, draws *d, int32_t *rank, int32_t *slots) {
  int z[LENGTH];
  for (int t = 0; t < o->length; t++) z[t] = o->z ? o->z[t] : t;
  if (!o->z) draws_shuffle(d, o->length, z);
  orders_rank(o->length, z, o->targets, rank);
  for (int k = 0; k < o->targets; k++) slots[k] = z[o->length - o->targets + k];
  for (int t = 0; t < o->length && o->at_once; t++) rank[t] = rank[t] < 0 ? -1 : 0;
}

/* tokens, rank [rows, length], slots, answers [rows, targets] */
static void ordered_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const ordered *o = data;
  for (int b = 0; b < o->rows; b++) {
    uint64_t at = index * (uint64_t)o->rows + (uint64_t)b;
    int32_t *tokens = (int32_t *)port[0] + b * o->length, *slots = (int32_t *)port[2] + b * o->targets;
    draws d = draws_of(seed, 1, at);
    hmm_sample(&o->h, seed, at, o->length, tokens, NULL);
    order_text(o, &d, (int32_t *)port[1] + b * o->length, slots);
    for (int k = 0; k < o->targets; k++) ((int32_t *)port[3])[b * o->targets + k] = tokens[slots[k]];
  }
}

static feed ordered_feed(const ordered *o) {
  return (feed){{{"tokens", {o->rows, o->length}},
                 {"rank", {o->rows, o->length}},
                 {"slots", {o->rows, o->targets}},
                 {"answers", {o->rows, o->targets}}},
                ordered_fill,
                o};
}

/* Best losses given all tokens of smaller rank, also for a model that is not given all of them. */
static void ordered_best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  ordered o = *(const ordered *)data;
  int32_t tokens[ROWS * LENGTH], rank[ROWS * LENGTH], slots[ROWS * LENGTH], answers[ROWS * LENGTH];
  o.at_once = false;
  ordered_fill(&o, seed, index, (void *const[]){tokens, rank, slots, answers});
  for (int b = 0; b < o.rows; b++) {
    double each[LENGTH];
    hmm_ranked_loss(&o.h, o.length, tokens + b * o.length, rank + b * o.length, each);
    for (int k = 0; k < o.targets; k++) loss[b * o.targets + k] = each[slots[b * o.targets + k]];
  }
}

/* Mean of what a masked model, which is not given tokens that are hidden with its own, must lose more than that. */
static double masked_gap(const ordered *o, uint64_t seed) {
  double sum = 0, each[LENGTH], best[ROWS * LENGTH];
  int32_t tokens[ROWS * LENGTH], rank[ROWS * LENGTH], slots[ROWS * LENGTH], answers[ROWS * LENGTH];
  ordered masked = *o;
  masked.at_once = true;
  for (uint64_t i = 0; i < 16; i++) {
    ordered_best(o, seed, i, best);
    ordered_fill(&masked, seed, i, (void *const[]){tokens, rank, slots, answers});
    for (int b = 0; b < o->rows; b++) {
      hmm_ranked_loss(&o->h, o->length, tokens + b * o->length, rank + b * o->length, each);
      for (int k = 0; k < o->targets; k++) sum += each[slots[b * o->targets + k]] - best[b * o->targets + k];
    }
  }
  return sum / 16 / o->rows / o->targets;
}

/* ---- what sees what ---------------------------------------------------------------------------------------------- */

typedef struct sight {
  int rows, length, targets;
  int32_t *tokens, *rank, *slots;
  bool *sees; /* [rows, targets, length]: whether the prediction of a slot changes by a bit when token j does */
} sight;

static void sight_run(net *n, const sight *s, float *logits) {
  net_run(n, "logits", {"tokens", s->tokens, {s->rows, s->length}}, {"rank", s->rank, {s->rows, s->length}},
          {"slots", s->slots, {s->rows, s->targets}}, {"logits", logits, {s->rows, s->targets, SYMBOLS}});
}

static sight look(recipe *r, net *n, const ordered *o) {
  int L = o->length, all = o->rows * o->targets;
  size_t bytes = sizeof(int32_t) * (size_t)(o->rows * L);
  sight s = {o->rows, L, o->targets, recipe_alloc(r, bytes), recipe_alloc(r, bytes), recipe_alloc(r, bytes), NULL};
  s.sees = recipe_alloc(r, (size_t)(all * L));
  float *logits = recipe_alloc(r, bytes * SYMBOLS), *changed = recipe_alloc(r, bytes * SYMBOLS);
  ordered_fill(o, recipe_seed(r, 3), 0, (void *const[]){s.tokens, s.rank, s.slots, recipe_alloc(r, bytes)});
  sight_run(n, &s, logits);
  for (int j = 0; j < L; j++) {
    for (int b = 0; b < s.rows; b++) s.tokens[b * L + j] = (s.tokens[b * L + j] + 1) % SYMBOLS;
    sight_run(n, &s, changed);
    for (int b = 0; b < s.rows; b++) s.tokens[b * L + j] = (s.tokens[b * L + j] + SYMBOLS - 1) % SYMBOLS;
    for (int i = 0; i < all; i++)
      s.sees[i * L + j] = memcmp(logits + i * SYMBOLS, changed + i * SYMBOLS, sizeof(float) * SYMBOLS) != 0;
  }
  return s;
}

/* Pairs that are seen though they may not be, or are not though they may. */
static int leaks(const sight *s, bool misses) {
  int count = 0, L = s->length;
  for (int i = 0; i < s->rows * s->targets; i++)
    for (int j = 0; j < L; j++) {
      bool may = orders_query_sees(s->rank + i / s->targets * L, s->slots[i], j), sees = s->sees[i * L + j];
      count += misses ? may && !sees : sees && !may;
    }
  return count;
}

/* Figure B7.3 (c): row i says what the prediction of x_i sees. */
static int figure_faults(recipe *r, net *n, const hmm *h) {
  static const int order[5] = {0, 4, 2, 1, 3};
  static const char *const table[5] = {".....", "x.x.x", "x...x", "xxx.x", "x...."};
  ordered o = {*h, 1, 5, 5, order, false};
  sight s = look(r, n, &o);
  int faults = 0;
  for (int i = 0; i < 25; i++) faults += s.sees[i] != (table[s.slots[i / 5]][i % 5] == 'x');
  return faults;
}

/* Of nets with two layers, whatever they learned: what the content stream sees reaches a prediction in the second. */
static void check_sight(recipe *r, net *n, const hmm *h) {
  net *one = recipe_net(r, &sn_model_xlnet, "logits", TWO " part=2 init=.2 one=1");
  ordered o = {*h, ORDERS, LENGTH, LENGTH, NULL, false}, part = o;
  part.targets = TARGETS; /* the others have rank -1: all see them, and they see no target */
  sight s = look(r, n, &o), half = look(r, n, &part), single = look(r, one, &o);
  recipe_at_most(r, EXACT, "200 orders: predictions that change by a bit with what they may not see", leaks(&s, false),
                 0);
  recipe_at_most(r, EXACT, "200 orders: predictions that do not change with what they may see", leaks(&s, true), 0);
  recipe_at_most(r, EXACT, "200 orders, half are targets: predictions that change with what they may not see",
                 leaks(&half, false), 0);
  recipe_at_most(r, EXACT, "200 orders, half are targets: predictions that do not change with what they may see",
                 leaks(&half, true), 0);
  recipe_at_most(r, EXACT, "order x0 x4 x2 x1 x3: places that are not as in figure B7.3 (c)", figure_faults(r, n, h),
                 0);
  recipe_at_most(r, CONTROL, "one stream: predictions that change with what they may not see", leaks(&single, false),
                 0);
}

static void check_causal(recipe *r, net *n, const hmm *h) {
  int order[LENGTH], back[LENGTH];
  for (int t = 0; t < LENGTH; t++) order[t] = t, back[t] = LENGTH - 1 - t;
  ordered along = {*h, 8, LENGTH, LENGTH, order, false}, reverse = along;
  reverse.z = back;
  feed f = ordered_feed(&along), g = ordered_feed(&reverse);
  net *causal = recipe_net(r, &sn_model_causal_xl, NULL, TWO);
  net_copy(causal, n, "*");
  net *exact = net_exact(n, NULL), *right = net_exact(causal, NULL);
  recipe_at_most(r, EXACT, "order of the text: logits in f64 beside a causal model that was built apart",
                 net_difference(exact, right, "logits", &f, "logits"), 1e-10);
  recipe_at_most(r, EXACT, "the same in f32 beside f64", net_difference(n, right, "logits", &f, "logits"),
                 2e-5 * sqrt(64));
  recipe_at_most(r, CONTROL, "order from the end: logits in f64 beside the causal model",
                 net_difference(exact, right, "logits", &g, "logits"), 1e-10);
}

/* ---- two tokens that are equal, both hidden ---------------------------------------------------------------------- */

static void twins_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bool *at_once = data;
  for (int b = 0; b < ROWS; b++) {
    uint64_t at = index * ROWS + (uint64_t)b;
    int32_t *tokens = (int32_t *)port[0] + b * TWINS, *rank = (int32_t *)port[1] + b * TWINS;
    int32_t *slots = (int32_t *)port[2] + b * 2, *answers = (int32_t *)port[3] + b * 2;
    draws d = draws_of(seed, 2, at);
    orders_twins_sample(seed, at, TWIN_SYMBOLS, TWINS, 0, TWINS - 1, tokens);
    for (int t = 0; t < TWINS; t++) rank[t] = -1;
    slots[0] = draws_below(&d, 2) * (TWINS - 1), slots[1] = TWINS - 1 - slots[0];
    rank[slots[0]] = 0, rank[slots[1]] = !*at_once;
    answers[0] = answers[1] = tokens[0];
  }
}

/* What is predicted second is known, if the first one is seen. */
static void twins_best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  double first = log(TWIN_SYMBOLS), both = orders_twins_loss(TWIN_SYMBOLS, *(const bool *)data);
  (void)seed, (void)index;
  for (int i = 0; i < 2 * ROWS; i++) loss[i] = i % 2 ? both - first : first;
}

static excess twins(recipe *r, bool at_once) {
  feed f = {{{"tokens", {ROWS, TWINS}}, {"rank", {ROWS, TWINS}}, {"slots", {ROWS, 2}}, {"answers", {ROWS, 2}}},
            twins_fill,
            &at_once};
  net *n = recipe_net(r, &sn_model_xlnet, "train_given|logits",
                      "layers=2 heads=2 width=32 hidden=64 init=.2 vocab=%d context=%d", TWIN_SYMBOLS, TWINS);
  recipe_train(r, &(training){n, "train_given", at_once ? "twins at once" : "twins in turn", &f,
                              recipe_pick(r, 3000, 700), 1e-2});
  return recipe_excess(r, &(against){n, .feed = &f, .targets = 3, .best = twins_best});
}

/* Losses are those of both. Full, fresh seeds 6 to 10: in turn 0.035 at most (9; bound 0.05), at once 0.0008 (9), and
 * over log V 2.08. */
static void check_twins(recipe *r) {
  excess e = twins(r, false);
  recipe_at_most(r, OPTIMUM, "equal tokens, one after the other: loss over log V, nats", 2 * e.mean,
                 recipe_is_quick(r) ? .2 : .05);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  e = twins(r, true);
  recipe_at_most(r, OPTIMUM, "both at once, a masked model: loss over 2 log V, nats", 2 * e.mean, .05);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  recipe_at_most(r, CONTROL, "a masked model: loss over log V, nats", 2 * e.model - log(TWIN_SYMBOLS), .05);
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

static net *trained(recipe *r, const char *set, const char *more, const char *graph, const char *label,
                    const ordered *o, int steps) {
  feed f = ordered_feed(o);
  net *n = recipe_net(r, &sn_model_xlnet, NULL, "%s part=2 init=.2 %s", set, more);
  recipe_train(r, &(training){n, graph, label, &f, steps, 5e-3});
  return n;
}

/* Texts in which a masked model misses much. */
static ordered task(recipe *r) {
  ordered o = {.rows = ROWS, .length = LENGTH, .targets = TARGETS};
  for (uint64_t i = 0; i < 64; i++) {
    o.h = hmm_make(recipe_seed(r, 100 + i), 6, SYMBOLS, .8);
    if (masked_gap(&o, recipe_seed(r, 4)) >= GAP) return o;
  }
  return recipe_fail(r, "no task was found"), o;
}

static excess judged(recipe *r, net *n, const ordered *o) {
  feed f = ordered_feed(o);
  return recipe_excess(r, &(against){n, .feed = &f, .targets = 3, .best = ordered_best});
}

static void permuted(recipe *r) {
  const char *set = recipe_is_quick(r) ? "layers=1 " SIZES : TWO;
  ordered o = task(r), masked = o;
  masked.at_once = true;
  /* Full: seeds 1 to 5 reach 0.0259 or less, fresh ones, 6 to 10, 0.0235 (10; bound 0.03); masked models 0.071 at
   * least (7), one stream -135 standard errors. Quick: seeds 1 to 3 0.046, 0.102. */
  double bound = recipe_is_quick(r) ? .06 : .03;
  int steps = recipe_pick(r, 4000, 700);
  net *n = trained(r, set, "", "train", "two streams", &o, steps); /* orders are drawn in the step */
  excess e = judged(r, n, &o);
  recipe_at_most(r, OPTIMUM, "loss over that of the HMM given smaller ranks, nats", e.mean, bound);
  recipe_no_leak(r, OPTIMUM, "the same in standard errors: none is below it by a leak", &e);
  net *one = trained(r, set, "one=1", "train", "control: one stream", &o, steps / 4);
  e = judged(r, one, &o);
  recipe_no_leak(r, CONTROL, "one stream: loss over that of the HMM, standard errors", &e);
  e = judged(r, trained(r, set, "", "train_given", "control: masked", &masked, steps / 2), &masked);
  recipe_at_most(r, CONTROL, "a masked model: loss over that of the HMM given smaller ranks, nats", e.mean, bound);
  net *two = recipe_is_quick(r) ? recipe_net(r, &sn_model_xlnet, "eval_given|logits", TWO " part=2 init=.2") : n;
  check_sight(r, two, &o.h);
  check_causal(r, two, &o.h);
  ordered few = o;
  few.rows = 2;
  feed f = ordered_feed(&few);
  recipe_arithmetic(r, &(arithmetic){two, &f, "eval_given", .longest = 64});
  check_twins(r);
}

RECIPES(tp_plm, {"tp.plm", 4, "a permuted language model predicts in any order, and sees what it may", permuted,
                 "forward-backward of the hidden Markov model by ranks (hmm.h); masks of orders (orders.h)"});
