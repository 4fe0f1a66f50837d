/* Graphs of the rows of positions: rows turned, sinusoids, and both with angles as products in f32. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/draws.h"

/* clang-format off */
SN_SETTINGS(rotary,
  (int,    d,           8,   "components of a row"),
  (int,    dims,        0,   "of them that turn; 0: all"),
  (bool,   interleaved, 0,   "pairs are neighbours"),
  (int,    scaling,     0,   "as sn_rope_scaling"),
  (double, scale,       1,   "how many times longer than in training"),
  (int,    trained,     64,  "length of training"),
  (double, base,        1e4, "of the frequencies"));
/* clang-format on */

static void differentiable(sn_scope m, sn_t x, sn_t y, const rotary *c) {
  sn_t w = sn_input(m, "w", SN_REAL, (1, sn_sym(m, "T"), 1, c->d)), dx;
  sn_output(m, "y", y);
  sn_grad(sn_sum(sn_mul(y, w), "bthd->"), (x), (&dx));
  sn_output(m, "dx", dx);
}

static sn_t rows(sn_scope m, const rotary *c) { return sn_input(m, "x", SN_REAL, (1, sn_sym(m, "T"), 1, c->d)); }
static sn_t places(sn_scope m) { return sn_input(m, "at", SN_I32, (sn_sym(m, "T"))); }

static void turned(sn_scope m, const rotary *c) {
  sn_t x = rows(m, c);
  differentiable(m, x,
                 sn_rope(x, places(m), .base = c->base, .dims = c->dims, .interleaved = c->interleaved,
                         .scaling = (sn_rope_scaling)c->scaling, .scale = c->scale, .trained = c->trained),
                 c);
}

static void sinusoids(sn_scope m, const rotary *c) { sn_output(m, "y", sn_sinusoid(places(m), c->d, .base = c->base)); }

/* Controls: the position times the frequency, both in f32. -> [T, d / 2] */
static sn_t product(sn_scope m, const rotary *c) {
  sn_t k = sn_cast(sn_arange(m, c->d / 2), SN_F32), at = sn_cast(places(m), SN_F32);
  sn_t frequency = sn_exp(sn_mul(k, -2 * log(c->base) / c->d));
  return sn_mul(sn_rearrange(at, "t->t1"), sn_rearrange(frequency, "k->1k"));
}

static void turned_f32(sn_scope m, const rotary *c) {
  sn_t x = rows(m, c), angle = sn_rearrange(product(m, c), "tk->1t1k");
  sn_t a = sn_slice(x, 3, 0, c->d / 2), b = sn_slice(x, 3, c->d / 2, c->d / 2), u = sn_cos(angle), v = sn_sin(angle);
  differentiable(m, x, sn_concat(3, sn_sub(sn_mul(a, u), sn_mul(b, v)), sn_add(sn_mul(b, u), sn_mul(a, v))), c);
}

static void sinusoids_f32(sn_scope m, const rotary *c) {
  sn_t angle = sn_rearrange(product(m, c), "tk->tk1");
  sn_output(m, "y", sn_rearrange(sn_concat(2, sn_sin(angle), sn_cos(angle)), "tkp->t(kp)"));
}

/* ---- running them ------------------------------------------------------------------------------------------------ */

net *pos_net(recipe *r, const char *graph, const char *real, const char *settings, ...) {
  char *set = recipe_alloc(r, 256);
  va_list args;
  va_start(args, settings);
  vsnprintf(set, 256, settings, args);
  va_end(args);
  return recipe_net_as(r, &sn_model_rotary, (sn_compile_opt){.graphs = graph, .real = real, .set = set});
}

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const pos_rows *p = data;
  (void)seed, (void)index;
  for (int i = 0; i < p->count; i++) ((int32_t *)port[0])[i] = p->at[i];
  for (int i = 0; i < p->count * p->width && p->x; i++) {
    ((float *)port[1])[i] = (float)p->x[i];
    ((float *)port[2])[i] = (float)(p->w ? p->w : p->x)[i];
  }
}

const double *pos_run(net *n, const char *graph, pos_rows rows, const char *output) {
  static const double none[POS_ROWS * POS_WIDTH];
  int T = rows.count, d = rows.width;
  feed f = {{{"at", {T}}, {"x", {1, T, 1, d}}, {"w", {1, T, 1, d}}}, fill, &rows};
  const double *y = net_output(n, graph, &f, 0, output, NULL);
  return y ? y : none;
}

void pos_angles(net *n, int width, int32_t at, double *angle, double *scale) {
  double x[POS_WIDTH] = {0};
  for (int i = 0; i < width / 2; i++) x[i] = 1;
  const double *y = pos_run(n, "turned", (pos_rows){1, width, &at, x, NULL}, "y");
  for (int i = 0; i < width / 2; i++) {
    angle[i] = atan2(y[i + width / 2], y[i]);
    scale[i] = hypot(y[i + width / 2], y[i]);
  }
}

static void fill_heads(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const pos_heads *p = data;
  const double *x[4] = {p->q, p->k, p->v, p->w};
  (void)seed, (void)index;
  for (int n = 0; n < 4; n++)
    for (int i = 0; i < p->length * p->heads * p->d; i++) ((float *)port[n])[i] = x[n] ? (float)x[n][i] : 0;
}

const double *pos_attend(net *n, const char *graph, pos_heads x, const char *output) {
  int T = x.length, H = x.heads, d = x.d;
  feed f = {{{"q", {1, T, H, d}}, {"k", {1, T, H, d}}, {"v", {1, T, H, d}}, {"w", {1, T, H, d}}}, fill_heads, &x};
  return net_output(n, graph, &f, 0, output, NULL);
}

/* Values are rows of the identity, so that y is the softmax itself. */
void pos_biases(recipe *r, net *n, int heads, int length, double *out) {
  double *v = recipe_alloc(r, sizeof *v * (size_t)(length * heads * length));
  for (int i = 0; i < length * heads; i++) v[i * length + i / heads] = 1;
  const double *y = pos_attend(n, "forward", (pos_heads){length, heads, length, .v = v}, "y");
  for (int i = 0; i < length && y; i++)
    for (int h = 0; h < heads; h++)
      for (int j = 0; j < length; j++) {
        const double *p = y + (i * heads + h) * length;
        out[(h * length + i) * length + j] = log(p[j] / p[i]);
      }
}

enum { BATCH = 2, TOKENS = 10, VOCAB = 7 };

static void fill_tokens(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 0x706f73, index);
  (void)data;
  for (int i = 0; i < BATCH * TOKENS; i++) {
    ((int32_t *)port[0])[i] = draws_below(&d, VOCAB);
    ((int32_t *)port[1])[i] = draws_below(&d, VOCAB);
  }
}

void pos_gradient(recipe *r, const char *what, const char *settings) {
  feed f = {{{"tokens", {BATCH, TOKENS}}, {"targets", {BATCH, TOKENS}}}, fill_tokens, NULL};
  net *n = recipe_net(r, &sn_model_positions, "eval", "layers=2 heads=2 width=8 context=%d vocab=%d %s", TOKENS, VOCAB,
                      settings);
  recipe_at_most(r, EXACT, what, net_slope_error(n, "eval", "loss", &f), 1e-6);
}

typedef struct drawn {
  int length, vocab;
} drawn;

static void fill_drawn(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const drawn *d = data;
  draws r = draws_of(seed, 0x706f73, index);
  for (int t = 0; t < d->length; t++) ((int32_t *)port[0])[t] = draws_below(&r, d->vocab);
}

double pos_decoder_apart(recipe *r, net *n, const loops_decoder *c, int length) {
  drawn d = {length, c->vocab};
  int32_t *tokens = recipe_alloc(r, sizeof *tokens * (size_t)length);
  feed f = {{{"tokens", {1, length}}}, fill_drawn, &d};
  fill_drawn(&d, recipe_seed(r, 1), 0, (void *const[]){tokens});
  return recipe_difference(length * c->vocab, net_output(net_exact(n, NULL), "logits", &f, 0, "logits", NULL),
                           loops_decode(r, n, c, length, tokens));
}

net *pos_decoder(recipe *r, const char *what, const char *settings, loops_decoder *scheme) {
  enum { LAYERS = 2, HEADS = 4, WIDTH = 32 };
  scheme->layers = LAYERS, scheme->heads = HEADS, scheme->width = WIDTH, scheme->vocab = VOCAB;
  net *n = recipe_net(r, &sn_model_positions, "logits", "layers=%d heads=%d width=%d context=%d vocab=%d %s", LAYERS,
                      HEADS, WIDTH, POS_LENGTH, VOCAB, settings);
  recipe_at_most(r, EXACT, what, pos_decoder_apart(r, n, scheme, POS_LENGTH), 1e-10);
  return n;
}

void pos_draw(recipe *r, uint64_t use, int count, double *out) {
  draws d = draws_of(recipe_seed(r, 7), 0x706f73, use);
  for (int i = 0; i < count; i++) out[i] = (double)(float)draws_normal(&d);
}

double pos_dot(int n, const double *a, const double *b) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

double pos_apart(int n, const double *a, const double *b) {
  double most = 0;
  for (int i = 0; i < n; i++) most = recipe_max(most, fabs(a[i] - b[i]));
  return most;
}

SN_MODEL(rotary, rotary, turned, sinusoids, turned_f32, sinusoids_f32);
