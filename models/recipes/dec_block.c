/* dec.block: a transformer block in every form: norms before, behind, inside and around; two norms; eight feed-forward
 * parts; with biases and without. Each against loops in f64, values and gradients; how signals pass forty of them; and
 * what fusion makes of one. */
#include <stdio.h>
#include <string.h>

#include "models/blocks.h"
#include "models/recipes/recipe.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/layers.h"
#include "tests/oracles/params.h"

enum { T = 6, WIDTH = 16, HIDDEN = 24, HEADS = 4, KEY_HEADS = 2, FEEDS = BLOCK_REGLU + 1, NUMBERS = 4096 };
enum { DEEP = 40, SHALLOW = 10, ROWS = 8, LONG = 16, WIDE = 64 };

/* ---- one block, one graph for each placement of its norms -------------------------------------------------------- */

SN_SETTINGS(blocks, (int, norm, 0, "0 LayerNorm, 1 RMSNorm"), (int, feed, 0, "feed-forward part"),
            (bool, bias, 0, "biases"), (int, place, 0, "of norms, for passes"),
            (bool, scaled, 0, "what is added starts smaller"), (int, depth, DEEP, "blocks of passes"));

static void place(sn_scope m, const blocks *c, block_place at) {
  block b = {.width = WIDTH,
             .heads = HEADS,
             .kv_heads = KEY_HEADS,
             .hidden = HIDDEN,
             .norm = (block_norm_kind)c->norm,
             .place = at,
             .feed = (block_feed_kind)c->feed,
             .no_bias = !c->bias,
             .eps = 1e-5};
  sn_t x = sn_param(m, "x", (1, T, WIDTH), .init = sn_normal(1));
  sn_t y = block_layer(&b, m, x, (block_view){.mask = sn_causal});
  sn_output(m, "y", y);
  sn_output(m, "loss", sn_sum(sn_mul(y, sn_input(m, "by", SN_REAL, (1, T, WIDTH))), "btd->"));
}

static void pre(sn_scope m, const blocks *c) { place(m, c, BLOCK_PRE); }
static void post(sn_scope m, const blocks *c) { place(m, c, BLOCK_POST); }
static void inner(sn_scope m, const blocks *c) { place(m, c, BLOCK_INNER); }
static void sandwich(sn_scope m, const blocks *c) { place(m, c, BLOCK_SANDWICH); }

/* B6.1.4: (h - mean) / (deviation + eps), as no model's code has it, beside sn_layernorm's root of variance + eps. */
static void worked(sn_scope m, const blocks *c) {
  sn_t h = sn_input(m, "h", SN_REAL, (4)), centred = sn_sub(h, sn_mean(h, "d->"));
  sn_t deviation = sn_sqrt(sn_mean(sn_square(centred), "d->"));
  (void)c;
  sn_output(m, "outside", sn_div(centred, sn_add(deviation, .5)));
  sn_output(m, "inside", sn_layernorm(m, "n", h, .eps = .5));
}

/* Many blocks as they are at first. rms: of what each block gives; share: cosine of what comes out and what went in;
 * loss: the mean of random multiples behind the final norm, where there is one. */
static void passes(sn_scope m, const blocks *c) {
  block b = {.width = WIDE, .heads = 4, .place = (block_place)c->place, .feed = BLOCK_GELU, .no_bias = true};
  if (c->scaled) b.out_init = sn_normal(1 / sqrt(2. * c->depth * WIDE));
  sn_t first = sn_input(m, "x", SN_REAL, (ROWS, LONG, WIDE)), x = first, rms = x;
  for (int i = 0; i < c->depth; i++) {
    char name[16];
    snprintf(name, sizeof name, "h.%d", i);
    x = block_layer(&b, sn_in(m, name), x, (block_view){.mask = sn_causal});
    sn_t here = sn_sqrt(sn_mean(sn_square(x), "btd->1"));
    rms = i ? sn_concat(0, rms, here) : here;
  }
  sn_t both = sn_mul(sn_mean(sn_square(x), "btd->"), sn_mean(sn_square(first), "btd->"));
  sn_output(m, "rms", rms);
  sn_output(m, "share", sn_div(sn_mean(sn_mul(x, first), "btd->"), sn_sqrt(both)));
  if (b.place != BLOCK_POST) x = block_norm(&b, m, "norm", x);
  sn_output(m, "loss", sn_mean(sn_mul(x, sn_input(m, "by", SN_REAL, (ROWS, LONG, WIDE))), "btd->"));
}

SN_MODEL(blocks, blocks, pre, post, inner, sandwich, worked, passes);

static const char *const graphs[] = {"pre", "post", "inner", "sandwich"};
static const layers_placement placements[] = {LAYERS_PRE, LAYERS_POST, LAYERS_INNER, LAYERS_SANDWICH};

/* ---- the same by loops: all parameters in one row of numbers ----------------------------------------------------- */

static const char *const names[] = {"x",
                                    "attn.q.weight",
                                    "attn.k.weight",
                                    "attn.v.weight",
                                    "attn.o.weight",
                                    "ffn.up.weight",
                                    "ffn.gate.weight",
                                    "ffn.down.weight",
                                    "norm_1.weight",
                                    "norm_1.after.weight",
                                    "norm_2.weight",
                                    "norm_2.after.weight",
                                    "attn.q.bias",
                                    "attn.k.bias",
                                    "attn.v.bias",
                                    "attn.o.bias",
                                    "ffn.up.bias",
                                    "ffn.gate.bias",
                                    "ffn.down.bias",
                                    "norm_1.bias",
                                    "norm_1.after.bias",
                                    "norm_2.bias",
                                    "norm_2.after.bias"};
enum {
  X,
  Q,
  K,
  VALUE,
  O,
  UP,
  GATE,
  DOWN,
  N1,
  N1_AFTER,
  N2,
  N2_AFTER,
  NAMES = sizeof names / sizeof *names,
  BIAS = 11 /* behind its weight */
};

typedef struct twin {
  layers_block b;
  double by[T * WIDTH], numbers[NUMBERS];
  int count, at[NAMES + 1];
} twin;

static void twin_run(const twin *w, double *out) {
  layers_mask causal = {.sees = layers_causal};
  layers_run(&w->b, &causal, T, w->numbers, out);
}

static double twin_loss(void *user) {
  const twin *w = user;
  double y[T * WIDTH], sum = 0;
  twin_run(w, y);
  for (int i = 0; i < T * WIDTH; i++) sum += y[i] * w->by[i];
  return sum;
}

static const double *part(const twin *w, int name) {
  return w->at[name] == w->at[name + 1] ? NULL : w->numbers + w->at[name];
}

static layers_norm norm_of(const twin *w, int kind, int name) {
  return (layers_norm){(layers_norm_kind)kind, 1e-5, false, part(w, name), part(w, name + BIAS)};
}

/* Random values for every parameter of n, and the oracle on them. */
static void twin_begin(recipe *r, net *n, int norm, int kind, twin *w) {
  static const layers_curve curves[FEEDS] = {LAYERS_RELU,    LAYERS_GELU, LAYERS_GELU_TANH, LAYERS_SILU,
                                             LAYERS_SIGMOID, LAYERS_GELU, LAYERS_SILU,      LAYERS_RELU};
  draws d = draws_of(recipe_seed(r, 1), (uint64_t)kind, (uint64_t)norm);
  w->count = 0;
  for (int k = 0; k < NAMES; k++) {
    int64_t count = net_parameters(n, names[k]);
    float *v = count ? net_values(n, names[k], NULL) : NULL;
    double most = k > X && k < N1 ? .3 : .5, middle = k >= N1 && k <= N2_AFTER ? 1 : 0;
    w->at[k] = w->count;
    for (int64_t i = 0; v && i < count; i++)
      w->numbers[w->count++] = (double)(v[i] = (float)(middle + most * draws_normal(&d)));
  }
  w->at[NAMES] = w->count;
  net_changed(n);
  for (int i = 0; i < T * WIDTH; i++) w->by[i] = (double)(float)draws_normal(&d);
  w->b = (layers_block){.heads = {HEADS, KEY_HEADS, WIDTH / HEADS, 0},
                        .width = WIDTH,
                        .query = part(w, Q),
                        .key = part(w, K),
                        .value = part(w, VALUE),
                        .output = part(w, O),
                        .query_bias = part(w, Q + BIAS),
                        .key_bias = part(w, K + BIAS),
                        .value_bias = part(w, VALUE + BIAS),
                        .output_bias = part(w, O + BIAS),
                        .feed = {WIDTH, HIDDEN, curves[kind], part(w, UP), part(w, GATE), part(w, DOWN),
                                 part(w, UP + BIAS), part(w, GATE + BIAS), part(w, DOWN + BIAS)},
                        .attend_norm = norm_of(w, norm, N1),
                        .attend_second = norm_of(w, norm, N1_AFTER),
                        .feed_norm = norm_of(w, norm, N2),
                        .feed_second = norm_of(w, norm, N2_AFTER)};
}

static void by_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const twin *w = data;
  (void)seed, (void)index;
  for (int i = 0; i < T * WIDTH; i++) ((float *)port[0])[i] = (float)w->by[i];
}

/* Worst relative errors so far. */
typedef struct worst {
  double exact, slope, near, near_slope, swapped;
} worst;

/* Of all parameters, in the order of the oracle's numbers. */
static double *gradient(recipe *r, net *exact, const feed *f, const twin *w, int at) {
  double *out = recipe_alloc(r, NUMBERS * sizeof *out);
  memset(out, 0, NUMBERS * sizeof *out);
  for (int k = 0; k < NAMES; k++) {
    char name[64];
    int64_t count = 0;
    snprintf(name, sizeof name, "grad.%s", names[k]);
    if (!part(w, k) || (at != BLOCK_SANDWICH && strstr(names[k], "after"))) continue;
    double *got = net_output(exact, graphs[at], f, 0, name, &count);
    if (!got) return NULL;
    memcpy(out + w->at[k], got, (size_t)count * sizeof *out);
  }
  return out;
}

/* One graph: values in f64 and f32, and the gradient in f64 along random directions. */
static void compare(recipe *r, net *n, net *exact, twin *w, int at, worst *out) {
  feed f = {{{"by", {1, T, WIDTH}}}, by_fill, w};
  double y[T * WIDTH], other[T * WIDTH];
  w->b.placement = placements[at];
  twin_run(w, y);
  w->b.placement = placements[(at + 1) % 4];
  twin_run(w, other);
  w->b.placement = placements[at];
  int64_t count = 0;
  double *got = net_output(exact, graphs[at], &f, 0, "y", &count);
  if (!got || count != T * WIDTH) return;
  out->exact = recipe_max(out->exact, recipe_difference(count, got, y));
  out->swapped = recipe_min(out->swapped, recipe_difference(count, got, other));
  if ((got = net_output(n, graphs[at], &f, 0, "y", &count)))
    out->near = recipe_max(out->near, recipe_difference(count, got, y));
  double *grad = gradient(r, exact, &f, w, at), largest = 0;
  draws d = draws_of(recipe_seed(r, 2), (uint64_t)at, 0);
  for (int round = 0; round < 20 && grad; round++) {
    double way[NUMBERS], sum = 0;
    for (int i = 0; i < w->count; i++) sum += grad[i] * (way[i] = draws_normal(&d));
    double slope = layers_slope(twin_loss, w, w->count, w->numbers, way, 1e-6);
    largest = recipe_max(largest, fabs(slope));
    out->slope = recipe_max(out->slope, fabs(sum - slope) / recipe_max(fabs(slope), largest / 10));
  }
}

/* Compiled derivatives against those in f64, once for each feed-forward part: every placement under both norms. */
static void compare_slopes(net *n, twin *w, int at, worst *out) {
  feed f = {{{"by", {1, T, WIDTH}}}, by_fill, w};
  out->near_slope = recipe_max(out->near_slope, net_gradient_error(n, graphs[at], "loss", &f));
}

static void forms(recipe *r) {
  worst e = {.swapped = INFINITY};
  twin *w = recipe_alloc(r, sizeof *w);
  for (int form = 0; form < 4 * FEEDS && !recipe_has_failed(r); form++) {
    int norm = form & 1, bias = form >> 1 & 1, kind = form >> 2;
    net *n = recipe_net(r, &sn_model_blocks, "pre|post|inner|sandwich", "norm=%d bias=%d feed=%d", norm, bias, kind);
    if (!n) return;
    twin_begin(r, n, norm, kind, w);
    net *exact = net_exact(n, "loss");
    for (int at = 0; at < 4 && exact; at++) compare(r, n, exact, w, at, &e);
    if ((form & 3) == (kind & 3)) compare_slopes(n, w, kind >> 1, &e);
    net_end(n), net_end(exact);
  }
  recipe_at_most(r, EXACT, "4 placements, 2 norms, 8 feed-forward parts, with and without biases: f64", e.exact, 1e-10);
  recipe_at_most(r, EXACT, "the same compiled in f32", e.near, 2e-5 * sqrt(HIDDEN));
  recipe_at_most(r, EXACT, "their gradients along 20 directions", e.slope, 1e-6);
  recipe_at_most(r, EXACT, "each placement, norm and part in f32: gradients", e.near_slope, 2e-4 * sqrt(HIDDEN));
  recipe_at_most(r, CONTROL, "the next placement's values, the nearest", e.swapped, 1e-10);
}

/* ---- forty blocks as they are at first --------------------------------------------------------------------------- */

static void deep_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 3, index);
  (void)data;
  for (int i = 0; i < ROWS * LONG * WIDE; i++) {
    ((float *)port[0])[i] = (float)draws_normal(&d);
    ((float *)port[1])[i] = (float)draws_normal(&d);
  }
}

typedef struct signal {
  double power; /* p of RMS ~ blocks^p, from the 5th to the last */
  double last;  /* RMS behind the last */
  double ratio; /* gradient of the first block's matrices over that of the last's */
  double share; /* cosine of what comes out and what went in */
  double top;   /* gradient of the last block's matrix `down` */
} signal;

static double gradient_norm(net *n, const feed *f, int layer, const char *matrix) {
  double sum = 0;
  char name[64];
  int64_t count = 0;
  snprintf(name, sizeof name, "grad.h.%d.%s.weight", layer, matrix);
  double *g = net_output(n, "passes", f, 0, name, &count);
  for (int64_t i = 0; g && i < count; i++) sum += g[i] * g[i];
  return sqrt(sum);
}
static double gradient_of(net *n, const feed *f, int layer) {
  return hypot(gradient_norm(n, f, layer, "attn.v"), gradient_norm(n, f, layer, "ffn.up"));
}

static signal passed(recipe *r, block_place at, bool scaled, int depth, const char *label) {
  feed f = {{{"x", {ROWS, LONG, WIDE}}, {"by", {ROWS, LONG, WIDE}}}, deep_fill, NULL};
  net *any = recipe_net(r, &sn_model_blocks, "worked", "feed=1 place=%d scaled=%d depth=%d", at, scaled, depth);
  net *n = net_again(net_as(any, &(sn_compile_opt){.graphs = "passes", .grad = "loss"}), recipe_seed(r, 3));
  double x[DEEP], *y = net_output(n, "passes", &f, 0, "rms", NULL),
                  *share = net_output(n, "passes", &f, 0, "share", NULL);
  for (int i = 0; i < depth; i++) x[i] = i + 1;
  if (!y || !share) return (signal){(double)NAN};
  if (label) recipe_plot(r, "RMS behind blocks", label, depth, x, y);
  signal s = {log(y[depth - 1] / y[4]) / log(depth / 5.), y[depth - 1],
              gradient_of(n, &f, 0) / gradient_of(n, &f, depth - 1), share[0],
              gradient_norm(n, &f, depth - 1, "ffn.down")};
  net_end(n), net_end(any);
  return s;
}

/* p of the last feed-forward part's gradient ~ blocks^p. */
static double top_power(recipe *r, block_place at, const signal *deep) {
  signal shallow = passed(r, at, false, SHALLOW, NULL);
  return log(deep->top / shallow.top) / log((double)DEEP / SHALLOW);
}

/* At first, random directions are added: their squares add up. How gradients depend on depth is theorem 1 of Xiong et
 * al. 2020: the last feed-forward part's falls as 1 / sqrt(blocks) with pre-norm, and stays as it is with post-norm.
 * SYSTEMS also has the first block's gradient over the last's decay with post-norm. It does not: forty blocks of width
 * 64, ReLU and GELU, matrices of variance 1 / rows and 2 / rows, gave .02 to 5.9 by seed alone, in the middle .5 (all
 * keys seen) to 1.8 (causal); ten blocks .3 to 2. A block returns to gradients what it took from values.
 * The bound of that ratio with pre-norm is that of SYSTEMS; others are from seeds 1 to 5, at worst |p - 1/2| .051,
 * |p + 1/2| .053, p of post-norm -.084, ratio 6.4, shares .138 (pre) and .019 (post), small RMS 1.45; controls at the
 * nearest .5, .416 and -.447, 270 and 6.3. */
static void signals(recipe *r) {
  signal before = passed(r, BLOCK_PRE, false, DEEP, "pre"), behind = passed(r, BLOCK_POST, false, DEEP, "post");
  signal inside = passed(r, BLOCK_INNER, false, DEEP, "inner"), small = passed(r, BLOCK_PRE, true, DEEP, "pre, scaled");
  double top = top_power(r, BLOCK_PRE, &before), top_post = top_power(r, BLOCK_POST, &behind);
  recipe_at_most(r, OPTIMUM, "pre-norm: RMS grows as blocks to the power p, |p - 1/2|", fabs(before.power - .5), .1);
  recipe_at_most(r, OPTIMUM, "gradient, first block over last, and its inverse",
                 recipe_max(before.ratio, 1 / before.ratio), 10);
  recipe_at_most(r, OPTIMUM, "that of the last feed-forward part as blocks to the power p, |p + 1/2|", fabs(top + .5),
                 .2);
  recipe_at_least(r, OPTIMUM, "post-norm: the same does not fall, p", top_post, -.3);
  recipe_at_least(r, OPTIMUM, "what came in is part of what goes out, cosine", before.share, .08);
  recipe_at_most(r, OPTIMUM, "post-norm: that part is gone", fabs(behind.share), .05);
  recipe_at_most(r, OPTIMUM, "what is added starts smaller by sqrt(2 layers): RMS behind 40", small.last, 2);
  recipe_at_most(r, CONTROL, "post-norm in place of pre-norm: |p - 1/2|", fabs(behind.power - .5), .1);
  recipe_at_most(r, CONTROL, "and |p + 1/2| of the last feed-forward part", fabs(top_post + .5), .2);
  recipe_at_least(r, CONTROL, "pre-norm in place of post-norm: p of the last feed-forward part", top, -.3);
  recipe_at_most(r, CONTROL, "inner post-norm: gradient, first block over last",
                 recipe_max(inside.ratio, 1 / inside.ratio), 10);
  recipe_at_most(r, CONTROL, "without the smaller start: RMS behind 40", before.last, 2);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static void h_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  (void)data, (void)seed, (void)index;
  memcpy(port[0], (float[]){1, 1, 5, 5}, 4 * sizeof(float)); /* mean 3, deviation 2 */
}

static void numbers(recipe *r) {
  feed f = {{{"h", {4}}}, h_fill, NULL};
  net *n = recipe_net(r, &sn_model_blocks, "worked", " ");
  int64_t count = 0;
  double right[4] = {-.8, -.8, .8, .8} /* 2 / 2.5 */, *outside, *inside;
  if (!(outside = net_output(n, "worked", &f, 0, "outside", &count)) ||
      !(inside = net_output(n, "worked", &f, 0, "inside", &count)))
    return;
  recipe_at_most(r, EXACT, "LayerNorm worked by hand, eps outside of the root", recipe_difference(4, outside, right),
                 1e-6);
  recipe_at_most(r, CONTROL, "the same with eps under it", recipe_difference(4, inside, right), 1e-6);
}

extern const sn_model sn_model_decoder, sn_model_gpt, sn_model_llama;

/* Nothing is allocated: the larger one would need 26 GB. */
static void counts(recipe *r) {
  const char *gpt = "layers=12 heads=12 width=768 vocab=50257 context=1024 bias=1";
  const char *llama = "layers=32 heads=32 kv_heads=32 width=4096 hidden=11008 vocab=32000";
  double off = (double)(recipe_parameters(r, &sn_model_gpt, "eval", gpt) - params_find("gpt2")->published);
  recipe_at_most(r, EXACT, "parameters of GPT-2, against those published", fabs(off), 0);
  off = (double)(recipe_parameters(r, &sn_model_llama, "eval", llama) - params_find("llama-2-7b")->published);
  recipe_at_most(r, EXACT, "of Llama-2-7B", fabs(off), 0);
}

static void token_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 4, index);
  (void)data;
  for (int i = 0; i < ROWS * LONG; i++) ((int32_t *)port[0])[i] = draws_below(&d, 256);
}

/* Kernels too many or too few of two blocks: one for each of five norms, and two products with a curve. */
static double unlike(net *n) {
  double norms = net_report(n, "logits", "B=8 T=16", (which){.op = "rsqrt"}).kernels;
  double rows = net_report(n, "logits", "B=8 T=16", (which){.kind = "rows", .op = "rsqrt"}).kernels;
  double curves = net_report(n, "logits", "B=8 T=16", (which){.kind = "contract", .op = "exp"}).kernels;
  return fabs(norms - 5) + fabs(rows - 5) + fabs(curves - 2);
}

/* Biases, curves, gates and sums with what came in go into the products before them, everything of a norm into one
 * kernel. That is not part of the product behind it, which would do it again for every tile of columns. */
static void fused(recipe *r) {
  feed f = {{{"tokens", {ROWS, LONG}}}, token_fill, NULL};
  net *n = recipe_net(r, &sn_model_decoder, "logits", "layers=2 width=%d norm=1 feed=%d positions=1 bias=1 std=0", WIDE,
                      BLOCK_SWIGLU);
  net *apart = n ? net_as(n, &(sn_compile_opt){.fuse = "none"}) : NULL;
  double all = net_report(n, "logits", "B=8 T=16", (which){0}).kernels;
  double none = net_report(apart, "logits", "B=8 T=16", (which){0}).kernels;
  double maps = net_report(n, "logits", "B=8 T=16", (which){.kind = "map"}).kernels;
  double maps_none = net_report(apart, "logits", "B=8 T=16", (which){.kind = "map"}).kernels;
  recipe_at_most(r, EXACT | OF_PLAN, "fused: kernels over those without fusion", all / none, .4);
  recipe_at_most(r, EXACT | OF_PLAN, "fused: kernels that are elementwise only", maps, 2);
  recipe_at_most(r, EXACT | OF_PLAN, "fused: norms and curves in other kernels than one and a product", unlike(n), 0);
  recipe_at_most(r, EXACT, "fused: values against those without", net_difference(n, apart, "logits", &f, "logits"),
                 2e-5 * sqrt(4. * WIDE));
  recipe_at_most(r, CONTROL | OF_PLAN, "without fusion: kernels that are elementwise only", maps_none, 2);
  recipe_at_most(r, CONTROL | OF_PLAN, "and norms and curves in others", unlike(apart), 0);
}

static void block_row(recipe *r) {
  forms(r);
  numbers(r);
  fused(r);
  counts(r);
  signals(r);
}

RECIPES(dec_block,
        {"dec.block", 6, "a transformer block in every form against loops in f64, and how signals pass forty",
         block_row, "blocks in nested loops, f64 (layers.h); published counts (params.h)"});
