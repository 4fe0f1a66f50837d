/* Networks of models/ in nested loops: a decoder with any positions, and T5. */
#include "models/recipes/loops.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/oracles/positions.h"

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct loops {
  recipe *r;
  net *n;
  layers_heads heads;
  layers_curve curve;
  int width, hidden;
  const double *frequency; /* NULL: nothing turns */
  double scale;
} loops;

static double *numbers(const loops *l, int count) { return recipe_alloc(l->r, sizeof(double) * (size_t)count); }

/* A parameter of so many elements; zeros after an error. */
__attribute__((format(printf, 3, 4))) static const double *part(const loops *l, int count, const char *format, ...) {
  char name[128];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  int64_t found = 0;
  const float *from = net_values(l->n, name, &found);
  double *out = numbers(l, count);
  if (from && found != count) recipe_fail(l->r, "%s has another size than in nested loops", name);
  for (int i = 0; from && found == count && i < count; i++) out[i] = (double)from[i];
  return out;
}

static double *words(const loops *l, const double *table, int count, const int32_t *tokens) {
  double *x = numbers(l, count * l->width);
  for (int t = 0; t < count; t++) memcpy(x + t * l->width, table + tokens[t] * l->width, sizeof *x * (size_t)l->width);
  return x;
}

static double *norm(const loops *l, const char *name, int count, const double *x) {
  const layers_norm by = {LAYERS_RMS_NORM, 1e-6, false, part(l, l->width, "%s.weight", name), NULL};
  double *y = numbers(l, count * l->width);
  for (int t = 0; t < count; t++) layers_normalise(&by, l->width, x + t * l->width, y + t * l->width);
  return y;
}

static double *projected(const loops *l, const char *at, const char *name, int count, const double *x) {
  int all = l->heads.heads * l->heads.d;
  double *y = numbers(l, count * all);
  layers_linear(count, l->width, all, x, part(l, l->width * all, "%s.%s.weight", at, name), NULL, y);
  return y;
}

static void turn(const loops *l, int count, double *x) {
  int d = l->heads.d;
  for (int i = 0; l->frequency && i < count * l->heads.heads; i++) {
    positions_rotate(i / l->heads.heads, d, l->frequency, true, x + i * d);
    for (int k = 0; k < d; k++) x[i * d + k] *= l->scale;
  }
}

/* x += attention of the rows of a to rows of b */
static void attend(const loops *l, const char *at, const layers_mask *mask, int count, const double *a, int keys,
                   const double *b, double *x) {
  int all = l->heads.heads * l->heads.d;
  double *q = projected(l, at, "q", count, a), *k = projected(l, at, "k", keys, b), *v = projected(l, at, "v", keys, b);
  double *mixed = numbers(l, count * all), *y = numbers(l, count * l->width);
  turn(l, count, q), turn(l, keys, k);
  layers_attend(&l->heads, mask, count, keys, q, k, v, mixed);
  layers_linear(count, all, l->width, mixed, part(l, all * l->width, "%s.o.weight", at), NULL, y);
  for (int i = 0; i < count * l->width; i++) x[i] += y[i];
}

/* x += down(curve(up(a))) */
static void feed_forward(const loops *l, const char *up, const char *down, int count, const double *a, double *x) {
  const layers_feed f = {.width = l->width,
                         .hidden = l->hidden,
                         .curve = l->curve,
                         .up = part(l, l->width * l->hidden, "%s.weight", up),
                         .down = part(l, l->width * l->hidden, "%s.weight", down)};
  double *y = numbers(l, count * l->width);
  layers_feed_forward(&f, count, a, y);
  for (int i = 0; i < count * l->width; i++) x[i] += y[i];
}

/* A name of a layer. */
__attribute__((format(printf, 2, 3))) static const char *name(const loops *l, const char *format, ...) {
  char *text = recipe_alloc(l->r, 96);
  va_list args;
  va_start(args, format);
  vsnprintf(text, 96, format, args);
  va_end(args);
  return text;
}

/* ---- the decoder ------------------------------------------------------------------------------------------------- */

static double far_away(const void *user, int head, int query, int key) {
  const loops_decoder *c = user;
  return -c->bias(head, c->heads) * (query - key);
}

static void place(const loops *l, const loops_decoder *c, int length, double *x) {
  double *row = numbers(l, l->width);
  const double *learned = c->rows ? part(l, length * l->width, "%s", c->rows) : NULL;
  for (int t = 0; t < length && (c->row || learned); t++) {
    if (c->row) c->row(t, l->width, row);
    for (int i = 0; i < l->width; i++) x[t * l->width + i] += learned ? learned[t * l->width + i] : row[i];
  }
}

const double *loops_decode(recipe *r, net *n, const loops_decoder *c, int length, const int32_t *tokens) {
  const loops made = {r,
                      n,
                      {c->heads, c->heads, c->width / c->heads, 0},
                      LAYERS_GELU,
                      c->width,
                      4 * c->width,
                      c->frequency,
                      c->scale},
              *l = &made;
  const layers_mask mask = {layers_causal, c->bias ? far_away : NULL, c};
  if (recipe_has_failed(r)) return NULL;
  double *x = words(l, part(l, c->vocab * c->width, "embed.weight"), length, tokens), *a;
  place(l, c, length, x);
  for (int i = 0; i < c->layers; i++) {
    a = norm(l, name(l, "layers.%d.norm_1", i), length, x);
    attend(l, name(l, "layers.%d.attn", i), &mask, length, a, length, a, x);
    a = norm(l, name(l, "layers.%d.norm_2", i), length, x);
    feed_forward(l, name(l, "layers.%d.ffn.up", i), name(l, "layers.%d.ffn.down", i), length, a, x);
  }
  double *out = numbers(l, length * c->vocab);
  layers_linear(length, c->width, c->vocab, norm(l, "norm", length, x), part(l, c->width * c->vocab, "head.weight"),
                NULL, out);
  return recipe_has_failed(r) ? NULL : out;
}

/* ---- T5 ---------------------------------------------------------------------------------------------------------- */

typedef struct stack {
  const loops_t5 *c;
  const double *table; /* [buckets][heads] */
  bool both;
} stack;

static double of_bucket(const void *user, int head, int query, int key) {
  const stack *s = user;
  return s->table[s->c->bucket(query - key, s->c->buckets, s->c->far, s->both) * s->c->heads + head];
}

static stack stack_of(const loops *l, const loops_t5 *c, const char *name, bool both) {
  return (stack){
      c, part(l, c->buckets * c->heads, "%s.block.0.layer.0.SelfAttention.relative_attention_bias.weight", name), both};
}

/* One table for all layers; scores are not scaled. */
static const double *encoded(const loops *l, const loops_t5 *c, double *x, int count) {
  const stack s = stack_of(l, c, "encoder", true);
  const layers_mask mask = {NULL, of_bucket, &s};
  for (int i = 0; i < c->layers; i++) {
    double *a = norm(l, name(l, "encoder.block.%d.layer.0.layer_norm", i), count, x);
    attend(l, name(l, "encoder.block.%d.layer.0.SelfAttention", i), &mask, count, a, count, a, x);
    a = norm(l, name(l, "encoder.block.%d.layer.1.layer_norm", i), count, x);
    feed_forward(l, name(l, "encoder.block.%d.layer.1.DenseReluDense.wi", i),
                 name(l, "encoder.block.%d.layer.1.DenseReluDense.wo", i), count, a, x);
  }
  return norm(l, "encoder.final_layer_norm", count, x);
}

static const double *decoded(const loops *l, const loops_t5 *c, int keys, const double *memory, double *x, int count) {
  const stack s = stack_of(l, c, "decoder", false);
  const layers_mask mask = {layers_causal, of_bucket, &s}, all = {NULL, NULL, NULL};
  for (int i = 0; i < c->layers; i++) {
    double *a = norm(l, name(l, "decoder.block.%d.layer.0.layer_norm", i), count, x);
    attend(l, name(l, "decoder.block.%d.layer.0.SelfAttention", i), &mask, count, a, count, a, x);
    a = norm(l, name(l, "decoder.block.%d.layer.1.layer_norm", i), count, x);
    attend(l, name(l, "decoder.block.%d.layer.1.EncDecAttention", i), &all, count, a, keys, memory, x);
    a = norm(l, name(l, "decoder.block.%d.layer.2.layer_norm", i), count, x);
    feed_forward(l, name(l, "decoder.block.%d.layer.2.DenseReluDense.wi", i),
                 name(l, "decoder.block.%d.layer.2.DenseReluDense.wo", i), count, a, x);
  }
  return norm(l, "decoder.final_layer_norm", count, x);
}

/* One source, all of whose tokens are there. out [length][vocab] */
static void say(const loops *l, const loops_t5 *c, int keys, const int32_t *source, int length, const int32_t *tokens,
                double *out) {
  const double *table = part(l, c->vocab * c->width, "shared.weight");
  const double *memory = encoded(l, c, words(l, table, keys, source), keys);
  const double *rows = decoded(l, c, keys, memory, words(l, table, length, tokens), length);
  for (int i = 0; i < length * c->vocab; i++)
    for (int k = 0; k < c->width; k++)
      out[i] += rows[i / c->vocab * c->width + k] * table[i % c->vocab * c->width + k] / sqrt(c->width);
}

double loops_t5_apart(recipe *r, net *n, const loops_t5 *c, const feed *f) {
  const loops made = {r, n, {c->heads, c->heads, c->head, 1}, LAYERS_RELU, c->width, c->hidden, NULL, 1}, *l = &made;
  int batch = (int)f->port[0].extent[0], most = (int)f->port[0].extent[1], length = (int)f->port[2].extent[1];
  int32_t *port[FEED_PORTS] = {0};
  if (recipe_has_failed(r)) return NAN;
  for (int i = 0; i < FEED_PORTS; i++) port[i] = recipe_alloc(r, sizeof(int32_t) * (size_t)(batch * (most + length)));
  f->fill(f->data, recipe_seed(r, 1), 0, (void *const *)port);
  double *want = numbers(l, batch * length * c->vocab);
  for (int b = 0; b < batch; b++)
    say(l, c, port[1][b], port[0] + b * most, length, port[2] + b * length, want + b * length * c->vocab);
  return recipe_difference(batch * length * c->vocab, net_output(net_exact(n, NULL), "logits", f, 0, "logits", NULL),
                           want);
}
