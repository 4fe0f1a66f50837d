/* bert.arch: BERT beside its definition in doubles, forward and backward; its parameters counted; what may not matter
 * (the order of places, padding) does not; its optimiser is that of the published code. Controls: norms before, GELU by
 * tanh, padding that is seen, tokens that change places alone, moments that are corrected. */
#include <stdio.h>
#include <string.h>

#include "models/recipes/bert_definition.h"
#include "tests/oracles/adam.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/params.h"

extern const sn_model sn_model_bert;

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* Rows that are no padding beside the definition's. */
static double rows_off(const bert_oracle *o, const double *found) {
  double rows[T * D], worst = 0;
  for (int b = 0; b < B && found; b++) {
    bert_oracle_rows(o, b, rows);
    worst = recipe_max(worst, recipe_difference((int64_t)o->x->length[b] * D, found + b * T * D, rows));
  }
  return found ? worst : (double)NAN;
}

/* The graph's gradient along random directions against differences of the definition. */
static double slopes_off(bert_oracle *o, net *exact, const feed *f) {
  enum { DIRECTIONS = 20 };
  weights *w = &o->w;
  double *slope = recipe_alloc(w->r, sizeof(double) * (size_t)w->count),
         *way = recipe_alloc(w->r, sizeof(double) * (size_t)w->count);
  double worst = 0;
  for (int i = 0; i < w->parts; i++) {
    char name[112];
    int64_t count = 0;
    snprintf(name, sizeof name, "grad.%s", w->name[i]);
    const double *g = net_output(exact, "eval_pretrain", f, 0, name, &count);
    if (!g || count != w->first[i + 1] - w->first[i]) return (double)NAN;
    memcpy(slope + w->first[i], g, sizeof(double) * (size_t)count);
  }
  for (int k = 0; k < DIRECTIONS; k++) {
    draws r = draws_of(1, 0x736c6f, (uint64_t)k);
    double along = 0;
    for (int i = 0; i < w->count; i++) along += slope[i] * (way[i] = .02 * draws_normal(&r));
    double right = layers_slope(bert_oracle_loss, o, w->count, w->value, way, 1e-2);
    worst = recipe_max(worst, fabs(along - right) / fabs(right));
  }
  return worst;
}

static void definition(recipe *r, net *n, const bert_given *g) {
  feed f = bert_feed(g);
  bert_oracle o = bert_oracle_of(r, n, &g->x);
  net *exact = net_exact(n, "loss");
  const double *rows = net_output(exact, "encode", &f, 0, "rows", NULL),
               *loss = net_output(exact, "eval_pretrain", &f, 0, "loss", NULL);
  if (recipe_has_failed(r)) return;
  recipe_at_most(r, EXACT, "rows of the encoder in f64 beside the definition", rows_off(&o, rows), 1e-10);
  recipe_at_most(r, EXACT, "loss of hidden tokens and next sentences in f64", fabs(*loss / bert_oracle_loss(&o) - 1),
                 1e-10);
  recipe_at_most(r, EXACT, "gradient in f64 along directions beside the definition's", slopes_off(&o, exact, &f), 1e-6);
  double longest = sqrt(4. * (double)D);
  recipe_at_most(r, EXACT, "rows in f32 beside f64", net_difference(n, exact, "encode", &f, "rows"), 2e-5 * longest);
  recipe_at_most(r, EXACT, "gradients in f32 beside f64", net_gradient_error(n, "eval_pretrain", "loss", &f),
                 2e-4 * longest);
  o.placement = LAYERS_PRE;
  recipe_at_most(r, CONTROL, "norms before the sublayers: rows beside the definition", rows_off(&o, rows), 1e-10);
  o.placement = LAYERS_POST, o.curve = LAYERS_GELU_TANH;
  recipe_at_most(r, CONTROL, "GELU by tanh: rows beside the definition", rows_off(&o, rows), 1e-10);
}

/* ---- what may not matter ----------------------------------------------------------------------------------------- */

/* Largest difference of rows of two batches: row t of x, and row other[t] of y, of all sequences, where they are there.
 */
static double apart(net *n, const bert_given *x, const bert_given *y, const int *other) {
  feed fx = bert_feed(x), fy = bert_feed(y);
  const double *a = net_output(n, "encode", &fx, 0, "rows", NULL), *b = net_output(n, "encode", &fy, 0, "rows", NULL);
  double worst = 0;
  for (int s = 0; a && b && s < B; s++)
    for (int t = 0; t < x->x.length[s]; t++)
      worst =
          recipe_max(worst, recipe_difference(D, b + (s * y->columns + other[t]) * D, a + (s * x->columns + t) * D));
  return a && b ? worst : (double)NAN;
}

/* Row t goes to other[t]: tokens and segments, and unless it is the control places. */
static bert_given moved(const bert_given *g, const int *other, bool places) {
  bert_given y = *g;
  for (int b = 0; b < B; b++)
    for (int t = 0; t < g->columns; t++) {
      y.x.tokens[b][other[t]] = g->x.tokens[b][t], y.x.segments[b][other[t]] = g->x.segments[b][t];
      if (places) y.x.place[b][other[t]] = g->x.place[b][t];
    }
  return y;
}

static void order(recipe *r, net *n, const bert_given *g) {
  int other[WIDE] = {2, 0, 3, 1, 7, 4, 9, 8, 5, 6};
  bert_given whole = *g;
  for (int b = 0; b < B; b++) whole.x.length[b] = T;
  bert_given all = moved(&whole, other, true), some = moved(&whole, other, false);
  net *exact = net_exact(n, NULL);
  recipe_at_most(r, EXACT, "tokens, places and segments in another order: rows in that order",
                 apart(exact, &whole, &all, other), 1e-10);
  recipe_at_most(r, CONTROL, "tokens and segments without their places: the same", apart(exact, &whole, &some, other),
                 1e-10);
}

static void padding(recipe *r, net *n, const bert_given *g) {
  int same[WIDE];
  for (int t = 0; t < WIDE; t++) same[t] = t;
  bert_given wide = {bert_batch_of(1, WIDE), WIDE}, seen = wide;
  recipe_at_most(r, EXACT, "six more columns of padding: rows change by", apart(n, g, &wide, same), 1e-6);
  for (int b = 0; b < B; b++) seen.x.length[b] += SPARE;
  recipe_at_most(r, CONTROL, "they are no padding: rows change by", apart(n, g, &seen, same), 1e-6);
}

/* Two texts in one row, SPARE tokens and T, that see themselves only and whose places begin at 0. */
static void fill_packed(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bert_given *g = data;
  (void)seed, (void)index;
  bert_columns(g, g->x.tokens, port[0]), bert_columns(g, g->x.segments, port[1]), bert_columns(g, g->x.place, port[2]);
  for (int i = 0; i < B * WIDE; i++) ((int32_t *)port[3])[i] = i % WIDE >= SPARE;
}

/* How far rows of the second text are from those that it has alone. */
static double packed_off(net *alone, net *packed, const bert_given *g, bool begins) {
  bert_given one = *g, two = {bert_batch_of(2, WIDE), WIDE};
  for (int b = 0; b < B; b++) {
    one.x.length[b] = T;
    for (int t = 0; t < T; t++) {
      two.x.tokens[b][SPARE + t] = one.x.tokens[b][t], two.x.segments[b][SPARE + t] = one.x.segments[b][t];
      two.x.place[b][SPARE + t] = begins ? t : SPARE + t;
    }
  }
  feed f = bert_feed(&one),
       h = {{{"tokens", {B, WIDE}}, {"segments", {B, WIDE}}, {"place", {B, WIDE}}, {"part", {B, WIDE}}},
            fill_packed,
            &two};
  const double *a = net_output(alone, "encode", &f, 0, "rows", NULL),
               *b = net_output(packed, "encode", &h, 0, "rows", NULL);
  double worst = 0;
  for (int s = 0; a && b && s < B; s++)
    worst = recipe_max(worst, recipe_difference(T * D, b + (s * WIDE + SPARE) * D, a + s * T * D));
  return a && b ? worst : (double)NAN;
}

#define SIZES "layers=2 heads=4 width=32 vocab=40 context=16 std=.2 places=1"
static void packing(recipe *r, net *n, const bert_given *g) {
  net *packed = recipe_net(r, &sn_model_bert, "encode", SIZES " padding=2");
  net_copy(packed, n, "*");
  recipe_at_most(r, EXACT, "a text behind another in its row: its rows change by", packed_off(n, packed, g, true),
                 1e-6);
  recipe_at_most(r, CONTROL, "its places go on instead of beginning: the same", packed_off(n, packed, g, false), 1e-6);
}

/* Four texts, each in its row or two in one: every port but `part` and `slots` holds the same numbers in the same
 * order.
 */
enum { TEXTS = 4, SHORT = 8 };
typedef struct texts {
  int rows;
  bool seen; /* control: texts of one row see each other */
} texts;

static void fill_texts(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const texts *k = data;
  draws r = draws_of(seed, 0x706163, index);
  for (int i = 0; i < TEXTS * SHORT; i++) {
    ((int32_t *)port[0])[i] = draws_below(&r, V), ((int32_t *)port[1])[i] = i % SHORT > 4;
    ((int32_t *)port[2])[i] = i % SHORT, ((int32_t *)port[3])[i] = k->seen ? 0 : i / SHORT;
  }
  for (int i = 0; i < TEXTS * K; i++) {
    int second = i / K % (TEXTS / k->rows);
    ((int32_t *)port[4])[i] = second * SHORT + draws_below(&r, SHORT), ((int32_t *)port[5])[i] = draws_below(&r, V);
    ((float *)port[6])[i] = i != 1;
  }
}
static feed texts_feed(const texts *k) {
  int rows = k->rows, columns = TEXTS / rows * SHORT, slots = TEXTS / rows * K;
  return (feed){{{"tokens", {rows, columns}},
                 {"segments", {rows, columns}},
                 {"place", {rows, columns}},
                 {"part", {rows, columns}},
                 {"slots", {rows, slots}},
                 {"labels", {rows, slots}},
                 {"weight", {rows, slots}}},
                fill_texts,
                k};
}

/* Worst difference of the loss and of all its gradients. */
static double texts_apart(net *exact, const weights *w, const texts *x, const texts *right) {
  feed f = texts_feed(x), g = texts_feed(right);
  double worst = recipe_difference(1, net_output(exact, "eval_mlm", &f, 0, "loss", NULL),
                                   net_output(exact, "eval_mlm", &g, 0, "loss", NULL));
  for (int i = 0; i < w->parts; i++) {
    char name[112];
    int64_t count = 0;
    if (strstr(w->name[i], "pooler") || strstr(w->name[i], "seq_relationship")) continue; /* of next sentences */
    if (strstr(w->name[i], "self.key.bias")) continue; /* 0: it moves all scores of a query alike */
    snprintf(name, sizeof name, "grad.%s", w->name[i]);
    const double *a = net_output(exact, "eval_mlm", &f, 0, name, &count);
    worst = recipe_max(worst, recipe_difference(count, a, net_output(exact, "eval_mlm", &g, 0, name, NULL)));
  }
  return worst;
}

static void packed_loss(recipe *r, net *n) {
  net *packed = recipe_net(r, &sn_model_bert, "eval_mlm", SIZES " padding=2");
  net_copy(packed, n, "*");
  bert_oracle o = bert_oracle_of(r, n, NULL); /* for the names */
  net *exact = net_exact(packed, "loss");
  const texts apart = {TEXTS, false}, together = {TEXTS / 2, false}, seen = {TEXTS / 2, true};
  recipe_at_most(r, EXACT, "two texts in one row: loss of hidden tokens and its gradients, beside one in each",
                 texts_apart(exact, &o.w, &together, &apart), 1e-10);
  recipe_at_most(r, CONTROL, "they see each other: the same", texts_apart(exact, &o.w, &seen, &apart), 1e-10);
}

/* ---- the optimiser ----------------------------------------------------------------------------------------------- */

enum { WATCHED = 3, STEPS = 4, MOST = 4 * D * D };
static const char *const watched[WATCHED] = {"bert.encoder.layer.1.intermediate.dense.weight",
                                             "bert.encoder.layer.1.intermediate.dense.bias",
                                             "bert.encoder.layer.0.output.LayerNorm.weight"};

/* A parameter: where it should be, by the definition. */
typedef struct follower {
  double theta[MOST], m[MOST], v[MOST];
} follower;

static void step(net *n, const bert_given *g, float lr) {
  int32_t tokens[B * T], segments[B * T], place[B * T], warmup = 2, steps = 6;
  float decay = .1f, clip = 0, least = 0;
  bert_batch x = g->x;
  bert_columns(g, x.tokens, tokens), bert_columns(g, x.segments, segments), bert_columns(g, x.place, place);
  net_run(n, "pretrain", {"tokens", tokens, {B, T}}, {"segments", segments, {B, T}}, {"place", place, {B, T}},
          {"length", x.length, {B}}, {"slots", x.slots, {B, K}}, {"labels", x.labels, {B, K}},
          {"weight", x.weight, {B, K}}, {"label", x.label, {B}}, {"lr", &lr}, {"min_lr", &least}, {"warmup", &warmup},
          {"steps", &steps}, {"weight_decay", &decay}, {"clip", &clip});
}

/* Largest distance between where parameters are after some steps and where `law` takes them, by the learning rate. */
static double follow(recipe *r, net *from, const bert_given *g, bool corrected, bool all_decay) {
  feed f = bert_feed(g);
  net *n = net_gradients(from, "loss");
  follower *w = recipe_alloc(r, sizeof *w * WATCHED);
  adam law = {.beta1 = .9, .beta2 = .999, .epsilon = 1e-6, .corrected = corrected};
  double worst = 0, lr = 1e-3;
  memset(w, 0, sizeof *w * WATCHED);
  for (int t = 0; t <= STEPS && !recipe_has_failed(r); t++) {
    for (int i = 0; i < WATCHED; i++) {
      int64_t count;
      const float *now = net_values(n, watched[i], &count);
      for (int64_t k = 0; now && k < count && t == 0; k++) w[i].theta[k] = (double)now[k];
      for (int64_t k = 0; now && k < count; k++) worst = recipe_max(worst, fabs((double)now[k] - w[i].theta[k]) / lr);
      char name[112];
      snprintf(name, sizeof name, "grad.%s", watched[i]);
      double *slope = net_output(n, "eval_pretrain", &f, 0, name, &count);
      law.decay = i == 0 || all_decay ? .1 : 0;
      if (slope)
        adam_step(&law, t + 1, adam_rate_linear(lr, 2, 6, t + 1), (int)count, NULL, slope, w[i].m, w[i].v, w[i].theta);
    }
    step(n, g, (float)lr);
  }
  return recipe_has_failed(r) ? (double)NAN : worst;
}

static void optimiser(recipe *r, net *n, const bert_given *g) {
  recipe_at_most(r, EXACT, "four steps of Adam beside its definition, in learning rates", follow(r, n, g, false, false),
                 1e-2);
  recipe_at_most(r, CONTROL, "moments are corrected: the same", follow(r, n, g, true, false), 1e-2);
  recipe_at_most(r, CONTROL, "norms and biases decay: the same", follow(r, n, g, false, true), 1e-2);
}

/* Within two deviations, which leaves 0.8796 of the deviation.   -> how far off, in standard errors of 32 * 40 numbers
 */
static double start_off(net *n) {
  int64_t count = 0;
  const float *w = net_values(n, "bert.embeddings.word_embeddings.weight", &count);
  double squares = 0;
  for (int64_t i = 0; w && i < count; i++) {
    if (fabs((double)w[i]) > .4 + 1e-6) return (double)INFINITY;
    squares += (double)w[i] * (double)w[i] / (double)count;
  }
  return w ? fabs(sqrt(squares) / (.2 * .8796) - 1) * sqrt(2. * (double)count) : (double)NAN;
}

static void arch(recipe *r) {
  bert_given g = {bert_batch_of(1, T), T};
  const char *large = "layers=24 heads=16 width=1024";
  net *n = recipe_net(r, &sn_model_bert, "pretrain|eval_pretrain|encode", SIZES " padding=1");
  recipe_at_most(
      r, EXACT, "parameters of BERT-base, encoder and pooler, off 109,482,240",
      fabs((double)(recipe_parameters(r, &sn_model_bert, "encode", "") - params_find("bert-base")->published)), 0);
  recipe_at_most(
      r, EXACT, "parameters of BERT-large, off 335,141,888",
      fabs((double)(recipe_parameters(r, &sn_model_bert, "encode", large) - params_find("bert-large")->published)), 0);
  recipe_at_most(r, OPTIMUM, "initial values: a truncated normal law, standard errors off", start_off(n), 4);
  definition(r, n, &g);
  order(r, n, &g);
  padding(r, n, &g);
  packing(r, n, &g);
  optimiser(r, n, &g);
  packed_loss(r, n);
}

RECIPES(bert_arch,
        {"bert.arch", 5, "BERT is what its paper says, forward, backward and in its steps", arch,
         "BERT in nested loops (layers.h); Adam of the published code (adam.h); published counts (params.h)"});
