/* BERT by its definition. */
#include "models/recipes/bert_definition.h"

#include <stdio.h>
#include <string.h>

#include "tests/oracles/draws.h"

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

bert_batch bert_batch_of(uint64_t seed, int columns) {
  bert_batch x = {0};
  draws r = draws_of(seed, 0x626572, 0);
  for (int b = 0; b < B; b++) {
    x.length[b] = T - 3 * b;
    x.label[b] = b % 2;
    for (int t = 0; t < columns; t++) {
      draws own = draws_of(seed, 0x746f6b, (uint64_t)(b * WIDE + t)); /* the same tokens, however many columns */
      x.tokens[b][t] = draws_below(&own, V), x.segments[b][t] = t > 4, x.place[b][t] = t;
    }
    for (int k = 0; k < K; k++) {
      x.slots[b][k] = draws_below(&r, x.length[b]), x.labels[b][k] = draws_below(&r, V);
      x.weight[b][k] = b || k ? 1 : 0;
    }
  }
  return x;
}

void bert_columns(const bert_given *g, const int32_t from[B][WIDE], void *to) {
  for (int b = 0; b < B; b++) memcpy((int32_t *)to + b * g->columns, from[b], sizeof(int32_t) * (size_t)g->columns);
}

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const bert_given *g = data;
  (void)seed, (void)index;
  bert_columns(g, g->x.tokens, port[0]), bert_columns(g, g->x.segments, port[1]), bert_columns(g, g->x.place, port[2]);
  memcpy(port[3], g->x.length, sizeof g->x.length);
  memcpy(port[4], g->x.slots, sizeof g->x.slots);
  memcpy(port[5], g->x.labels, sizeof g->x.labels);
  memcpy(port[6], g->x.weight, sizeof g->x.weight);
  memcpy(port[7], g->x.label, sizeof g->x.label);
}

feed bert_feed(const bert_given *g) {
  return (feed){{{"tokens", {B, g->columns}},
                 {"segments", {B, g->columns}},
                 {"place", {B, g->columns}},
                 {"length", {B}},
                 {"slots", {B, K}},
                 {"labels", {B, K}},
                 {"weight", {B, K}},
                 {"label", {B}}},
                fill,
                g};
}

/* ---- the definition ---------------------------------------------------------------------------------------------- */

static const char *const outside[] = {"bert.embeddings.word_embeddings.weight",
                                      "bert.embeddings.position_embeddings.weight",
                                      "bert.embeddings.token_type_embeddings.weight",
                                      "bert.embeddings.LayerNorm.weight",
                                      "bert.embeddings.LayerNorm.bias",
                                      "bert.pooler.dense.weight",
                                      "bert.pooler.dense.bias",
                                      "cls.predictions.transform.dense.weight",
                                      "cls.predictions.transform.dense.bias",
                                      "cls.predictions.transform.LayerNorm.weight",
                                      "cls.predictions.transform.LayerNorm.bias",
                                      "cls.predictions.bias",
                                      "cls.seq_relationship.weight",
                                      "cls.seq_relationship.bias"};
static const char *const inside[] = {"attention.self.query",       "attention.self.key", "attention.self.value",
                                     "attention.output.dense",     "intermediate.dense", "output.dense",
                                     "attention.output.LayerNorm", "output.LayerNorm"};

bert_oracle bert_oracle_of(recipe *r, net *n, const bert_batch *x) {
  bert_oracle o = {.w = weights_of(r, n), .x = x, .placement = LAYERS_POST, .curve = LAYERS_GELU};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) weights_add(&o.w, "%s", outside[i]);
  for (int l = 0; l < LAYERS; l++) {
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
      weights_add(&o.w, "bert.encoder.layer.%d.%s.weight", l, inside[i]);
      weights_add(&o.w, "bert.encoder.layer.%d.%s.bias", l, inside[i]);
    }
  }
  return o;
}

static layers_norm norm_of(const bert_oracle *o, const char *name) {
  return (layers_norm){LAYERS_LAYER_NORM, 1e-12, false, weights_at(&o->w, "%s.weight", name),
                       weights_at(&o->w, "%s.bias", name)};
}

static layers_norm layer_norm(const bert_oracle *o, int l, const char *name) {
  char full[96];
  snprintf(full, sizeof full, "bert.encoder.layer.%d.%s", l, name);
  return norm_of(o, full);
}

static layers_block block_of(const bert_oracle *o, int l) {
#define PART(name, what) weights_at(&o->w, "bert.encoder.layer.%d." name "." what, l)
  return (layers_block){.placement = o->placement,
                        .heads = {HEADS, HEADS, D / HEADS, 0},
                        .width = D,
                        .query = PART("attention.self.query", "weight"),
                        .key = PART("attention.self.key", "weight"),
                        .value = PART("attention.self.value", "weight"),
                        .output = PART("attention.output.dense", "weight"),
                        .query_bias = PART("attention.self.query", "bias"),
                        .key_bias = PART("attention.self.key", "bias"),
                        .value_bias = PART("attention.self.value", "bias"),
                        .output_bias = PART("attention.output.dense", "bias"),
                        .feed = {.width = D,
                                 .hidden = 4 * D,
                                 .curve = o->curve,
                                 .up = PART("intermediate.dense", "weight"),
                                 .down = PART("output.dense", "weight"),
                                 .up_bias = PART("intermediate.dense", "bias"),
                                 .down_bias = PART("output.dense", "bias")},
                        .attend_norm = layer_norm(o, l, "attention.output.LayerNorm"),
                        .feed_norm = layer_norm(o, l, "output.LayerNorm")};
#undef PART
}

static bool not_padding(const void *user, int query, int key) { return (void)query, key < *(const int32_t *)user; }

/* out [T][D] of sequence b. */
void bert_oracle_rows(const bert_oracle *o, int b, double *out) {
  const double *words = weights_at(&o->w, "%s", outside[0]), *places = weights_at(&o->w, "%s", outside[1]),
               *kinds = weights_at(&o->w, "%s", outside[2]);
  layers_norm norm = norm_of(o, "bert.embeddings.LayerNorm");
  layers_mask mask = {not_padding, NULL, &o->x->length[b]};
  double sum[D], next[T * D];
  for (int t = 0; t < T; t++) {
    for (int i = 0; i < D; i++)
      sum[i] = words[o->x->tokens[b][t] * D + i] + places[t * D + i] + kinds[o->x->segments[b][t] * D + i];
    layers_normalise(&norm, D, sum, out + t * D);
  }
  for (int l = 0; l < LAYERS; l++) {
    layers_block block = block_of(o, l);
    layers_run(&block, &mask, T, out, next);
    memcpy(out, next, sizeof next);
  }
}

/* out [V]: logits of a row. */
static void guess(const bert_oracle *o, const double *row, double *out) {
  double h[D], z[D];
  layers_norm norm = norm_of(o, "cls.predictions.transform.LayerNorm");
  layers_linear(1, D, D, row, weights_at(&o->w, "cls.predictions.transform.dense.weight"),
                weights_at(&o->w, "cls.predictions.transform.dense.bias"), h);
  for (int i = 0; i < D; i++) h[i] = layers_activate(o->curve, h[i]);
  layers_normalise(&norm, D, h, z);
  const double *words = weights_at(&o->w, "%s", outside[0]), *bias = weights_at(&o->w, "cls.predictions.bias");
  for (int v = 0; v < V; v++) {
    out[v] = bias[v];
    for (int i = 0; i < D; i++) out[v] += z[i] * words[v * D + i];
  }
}

static void pool(const bert_oracle *o, const double *row, double *out) {
  layers_linear(1, D, D, row, weights_at(&o->w, "bert.pooler.dense.weight"),
                weights_at(&o->w, "bert.pooler.dense.bias"), out);
  for (int i = 0; i < D; i++) out[i] = tanh(out[i]);
}

double bert_oracle_loss(void *user) {
  const bert_oracle *o = user;
  double rows[T * D], pooled[D], logits[B * K * V], next[B * 2], weight[B * K], sum = 0;
  int labels[B * K], label[B];
  for (int b = 0; b < B; b++) {
    bert_oracle_rows(o, b, rows);
    for (int k = 0; k < K; k++) {
      guess(o, rows + o->x->slots[b][k] * D, logits + (b * K + k) * V);
      labels[b * K + k] = o->x->labels[b][k];
      sum += weight[b * K + k] = (double)o->x->weight[b][k];
    }
    pool(o, rows, pooled);
    layers_linear(1, D, 2, pooled, weights_at(&o->w, "cls.seq_relationship.weight"),
                  weights_at(&o->w, "cls.seq_relationship.bias"), next + b * 2);
    label[b] = o->x->label[b];
  }
  return layers_cross_entropy(B * K, V, logits, labels, weight) * sum / (sum + 1e-5) +
         layers_cross_entropy(B, 2, next, label, NULL);
}
