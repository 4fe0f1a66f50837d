/* dec.heads: query heads share keys and values: all have their own, groups share one, all share one, layers share them.
 * Head j of H reads key head floor(j G / H). */
#include <stdio.h>
#include <string.h>

#include "models/blocks.h"
#include "models/recipes/recipe.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/layers.h"
#include "tests/oracles/params.h"

enum { T = 8, WIDTH = 32, HEADS = 8, HEAD = WIDTH / HEADS, CONTEXT = 256 };

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

SN_SETTINGS(sharing, (int, kv_heads, 2, "key and value heads"));

static block block_of(const sharing *c) {
  return (block){.width = WIDTH, .heads = HEADS, .kv_heads = c->kv_heads, .no_bias = true};
}

static void give(sn_scope m, sn_t y) {
  sn_output(m, "y", y);
  sn_output(m, "loss", sn_sum(sn_mul(y, sn_input(m, "by", SN_REAL, (1, T, WIDTH))), "btd->"));
}

static sn_t given(sn_scope m) { return sn_param(m, "x", (1, T, WIDTH), .init = sn_normal(1)); }
static sn_t looks(const block *b, sn_scope m, sn_t x, block_memory at) {
  return block_look(b, m, block_names_of(b), x, at, (block_view){.mask = sn_causal});
}

static void one(sn_scope m, const sharing *c) {
  block b = block_of(c);
  sn_t x = given(m);
  give(m, looks(&b, m, x, block_remember(&b, m, block_names_of(&b), x)));
}

/* Two layers, the second with keys and values of the first; or with its own, of the same rows and other weights. */
static void two(sn_scope m, const sharing *c, const char *second) {
  block b = block_of(c);
  sn_t x = given(m), y;
  block_memory kept = block_remember(&b, sn_in(m, "kept"), block_names_of(&b), x);
  y = sn_add(x, looks(&b, sn_in(m, "a"), x, kept));
  if (second) kept = block_remember(&b, sn_in(m, second), block_names_of(&b), x);
  give(m, sn_add(y, looks(&b, sn_in(m, "b"), y, kept)));
}
static void shared(sn_scope m, const sharing *c) { two(m, c, NULL); }
static void apart(sn_scope m, const sharing *c) { two(m, c, "again"); }

/* Weights of rows x, and what they make of values of rows y. */
static sn_t weights(sn_scope m, sn_t x, int heads) {
  sn_t q = sn_linear(m, "attn.q", x, heads * HEAD, .heads = heads);
  sn_t k = sn_linear(m, "attn.k", x, heads * HEAD, .heads = heads), at = sn_arange(m, T);
  sn_t sees = sn_le(sn_rearrange(at, "s->1s"), sn_rearrange(at, "t->t1"));
  return sn_softmax(sn_where(sees, sn_mul(sn_einsum("bthd,bshd->bhts", q, k), 1 / sqrt(HEAD)), -1e30));
}
static sn_t mixed(sn_scope m, sn_t weights, sn_t y, int heads) {
  sn_t v = sn_linear(m, "attn.v", y, heads * HEAD, .heads = heads);
  return sn_linear(m, "attn.o", sn_merge(sn_einsum("bhts,bshd->bthd", weights, v)), WIDTH);
}

/* The second layer has the weights of the first; or its own, of the same rows and other matrices. */
static void two_weighted(sn_scope m, const sharing *c, const char *second) {
  sn_t x = given(m), w = weights(sn_in(m, "kept"), x, c->kv_heads);
  sn_t y = sn_add(x, mixed(sn_in(m, "a"), w, x, c->kv_heads));
  if (second) w = weights(sn_in(m, second), x, c->kv_heads);
  give(m, sn_add(y, mixed(sn_in(m, "b"), w, y, c->kv_heads)));
}
static void shared_weights(sn_scope m, const sharing *c) { two_weighted(m, c, NULL); }
static void apart_weights(sn_scope m, const sharing *c) { two_weighted(m, c, "again"); }

SN_MODEL(sharing, sharing, one, shared, apart, shared_weights, apart_weights);

/* ---- heads ------------------------------------------------------------------------------------------------------- */

static void by_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 5, index);
  (void)data;
  for (int i = 0; i < T * WIDTH; i++) ((float *)port[0])[i] = (float)draws_normal(&d);
}
static const feed by = {{{"by", {1, T, WIDTH}}}, by_fill, NULL};

static double *output(net *n, const char *graph, const char *name) { return net_output(n, graph, &by, 0, name, NULL); }

static double *doubles(recipe *r, net *n, const char *name) {
  int64_t count = 0;
  const float *v = net_values(n, name, &count);
  double *out = recipe_alloc(r, (size_t)(count + 1) * sizeof *out);
  for (int64_t i = 0; v && i < count; i++) out[i] = (double)v[i];
  return out;
}

/* The same by loops. */
static void by_loops(recipe *r, net *n, int key_heads, double *out) {
  double *x = doubles(r, n, "x"), q[T * WIDTH], k[T * WIDTH], v[T * WIDTH], mixed[T * WIDTH];
  layers_heads heads = {HEADS, key_heads, HEAD, 0};
  layers_mask causal = {.sees = layers_causal};
  layers_linear(T, WIDTH, WIDTH, x, doubles(r, n, "attn.q.weight"), NULL, q);
  layers_linear(T, WIDTH, key_heads * HEAD, x, doubles(r, n, "attn.k.weight"), NULL, k);
  layers_linear(T, WIDTH, key_heads * HEAD, x, doubles(r, n, "attn.v.weight"), NULL, v);
  layers_attend(&heads, &causal, T, T, q, k, v, mixed);
  layers_linear(T, WIDTH, WIDTH, mixed, doubles(r, n, "attn.o.weight"), NULL, out);
}

/* Matrices of `few` key heads, repeated for all heads: head j has those of floor(j few / H); turned: of j mod few. */
static void repeat(net *to, net *from, int few, bool turned) {
  static const char *const names[] = {"attn.k.weight", "attn.v.weight"};
  net_copy(to, from, "x|attn.q.weight|attn.o.weight");
  for (int m = 0; m < 2; m++) {
    float *a = net_values(from, names[m], NULL), *b = net_values(to, names[m], NULL);
    for (int i = 0; a && b && i < WIDTH; i++)
      for (int j = 0; j < HEADS; j++)
        memcpy(b + i * WIDTH + j * HEAD, a + (i * few + (turned ? j % few : j * few / HEADS)) * HEAD, HEAD * sizeof *a);
  }
  net_changed(to);
}

/* Derivatives by matrices of key heads: those of all heads summed by group. */
static void sum_groups(const double *all, int few, double *out) {
  memset(out, 0, sizeof *out * (size_t)(WIDTH * few * HEAD));
  for (int i = 0; i < WIDTH; i++)
    for (int j = 0; j < HEADS; j++)
      for (int d = 0; d < HEAD; d++) out[(i * few + j * few / HEADS) * HEAD + d] += all[i * WIDTH + j * HEAD + d];
}

static void heads(recipe *r) {
  double loops = 0, tied = 0, summed = 0, near = 0, slope = 0, turned = INFINITY, right[T * WIDTH], sums[WIDTH * WIDTH];
  net *all = recipe_net(r, &sn_model_sharing, "one", "kv_heads=%d", HEADS);
  for (int few = HEADS; few >= 1; few /= 2) {
    net *n = recipe_net(r, &sn_model_sharing, "one", "kv_heads=%d", few), *exact = net_exact(n, "loss");
    double *y = output(exact, "one", "y");
    if (!n || !all || !y) return;
    by_loops(r, n, few, right);
    loops = recipe_max(loops, recipe_difference(T * WIDTH, y, right));
    near = recipe_max(near, net_difference(n, exact, "one", &by, "y"));
    slope = recipe_max(slope, net_gradient_error(n, "one", "loss", &by));
    repeat(all, n, few, false);
    net *same = net_exact(all, "loss");
    if (!same) return;
    tied = recipe_max(tied, recipe_difference(T * WIDTH, output(same, "one", "y"), y));
    sum_groups(output(same, "one", "grad.attn.k.weight"), few, sums);
    summed =
        recipe_max(summed, recipe_difference(WIDTH * few * HEAD, sums, output(exact, "one", "grad.attn.k.weight")));
    if (few == 1 || few == HEADS) continue;
    repeat(all, n, few, true);
    turned = recipe_min(turned, recipe_difference(T * WIDTH, output(net_exact(all, NULL), "one", "y"), y));
  }
  recipe_at_most(r, EXACT, "8, 4, 2 and 1 key heads of 8 against loops, f64", loops, 1e-10);
  recipe_at_most(r, EXACT, "compiled in f32: values", near, 2e-5 * sqrt(WIDTH));
  recipe_at_most(r, EXACT, "and derivatives", slope, 2e-4 * sqrt(WIDTH));
  recipe_at_most(r, EXACT, "one for each head, with repeated matrices, is the same", tied, 1e-12);
  recipe_at_most(r, EXACT, "its derivatives by keys sum to those of the group", summed, 1e-12);
  recipe_at_most(r, CONTROL, "head j reads key head j mod G", turned, 1e-12);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

/* Two layers share what matrices kept.* make: their derivatives, against sums of those of two layers with equal ones.
 */
static void sums(recipe *r, const char *shared, const char *apart, const char *const matrix[2], double *worst,
                 double *half) {
  char graphs[64], name[64];
  double sum[WIDTH * 2 * HEAD], *slope[3];
  snprintf(graphs, sizeof graphs, "%s|%s", shared, apart);
  net *n = recipe_net(r, &sn_model_sharing, graphs, "kv_heads=2");
  for (int m = 0; m < 2 && n; m++) {
    snprintf(name, sizeof name, "kept.%s", matrix[m]);
    const float *from = net_values(n, name, NULL);
    snprintf(name, sizeof name, "again.%s", matrix[m]);
    float *to = net_values(n, name, NULL);
    if (from && to) memcpy(to, from, sizeof(float) * WIDTH * 2 * HEAD);
  }
  net_changed(n);
  net *exact = net_exact(n, "loss");
  for (int m = 0; m < 2; m++) {
    for (int k = 0; k < 3; k++) {
      snprintf(name, sizeof name, "grad.%s.%s", k < 2 ? "kept" : "again", matrix[m]);
      if (!(slope[k] = output(exact, k ? apart : shared, name))) return;
    }
    for (int i = 0; i < WIDTH * 2 * HEAD; i++) sum[i] = slope[1][i] + slope[2][i];
    *worst = recipe_max(*worst, recipe_difference(WIDTH * 2 * HEAD, slope[0], sum));
    *half = recipe_min(*half, recipe_difference(WIDTH * 2 * HEAD, slope[0], slope[1]));
  }
}

static void layers(recipe *r) {
  static const char *const memory[] = {"attn.k.weight", "attn.v.weight"};
  static const char *const scores[] = {"attn.q.weight", "attn.k.weight"};
  double worst = 0, half = INFINITY;
  sums(r, "shared", "apart", memory, &worst, &half);
  recipe_at_most(r, EXACT, "layers that share keys and values: derivatives sum over both", worst, 1e-12);
  recipe_at_most(r, CONTROL, "those of the first layer alone", half, 1e-12);
  worst = 0, half = INFINITY;
  sums(r, "shared_weights", "apart_weights", scores, &worst, &half);
  recipe_at_most(r, EXACT, "layers that share weights of attention: the same", worst, 1e-12);
  recipe_at_most(r, CONTROL, "those of the first such layer alone", half, 1e-12);
}

/* ---- caches ------------------------------------------------------------------------------------------------------ */

extern const sn_model sn_model_decoder, sn_model_llama;

/* Bytes of caches of a decoder, less those of the formula 2 L / share G d m f32. */
static double bytes_off(recipe *r, int key_heads, int share, int formula_heads, report *out) {
  net *n = recipe_net(r, &sn_model_decoder, "decode", "layers=4 heads=%d kv_heads=%d width=%d context=%d share=%d",
                      HEADS, key_heads, WIDTH, CONTEXT, share);
  *out = net_report(n, "decode", "B=1", (which){.elements = HEADS * CONTEXT * HEAD});
  return fabs((double)out->state_bytes - 2. * 4 / share * formula_heads * HEAD * CONTEXT * 4);
}

static void caches(recipe *r) {
  report mqa, other;
  double off = recipe_max(bytes_off(r, 8, 1, 8, &other), bytes_off(r, 2, 1, 2, &other));
  off = recipe_max(off, bytes_off(r, 2, 2, 2, &other));
  off = recipe_max(off, bytes_off(r, 1, 1, 1, &mqa));
  recipe_at_most(r, EXACT | OF_PLAN, "bytes of caches: 8, 2 and 1 key heads, and layers in pairs", off, 0);
  recipe_at_most(r, EXACT | OF_PLAN, "one key head: its largest buffer over keys repeated for all heads",
                 (double)mqa.largest_buffer / (HEADS * CONTEXT * HEAD), .99);
  recipe_at_most(r, EXACT | OF_PLAN, "kernels that write as much as such keys", mqa.kernels, 0);
  recipe_at_most(r, CONTROL | OF_PLAN, "a key head for each head, against the bytes of one",
                 bytes_off(r, 8, 1, 1, &other), 0);
}

/* Nothing is allocated. */
static void counts(recipe *r) {
  const char *mistral = "layers=32 heads=32 kv_heads=8 width=4096 hidden=14336 vocab=32000";
  double off = (double)(recipe_parameters(r, &sn_model_llama, "eval", mistral) - params_find("mistral-7b")->published);
  recipe_at_most(r, EXACT, "parameters of Mistral-7B, against those published", fabs(off), 0);
}

static void heads_row(recipe *r) {
  heads(r);
  layers(r);
  caches(r);
  counts(r);
}

RECIPES(dec_heads, {"dec.heads", 6, "query heads and layers share keys and values, and gradients are summed", heads_row,
                    "attention in nested loops, f64 (layers.h); published counts (params.h)"});
