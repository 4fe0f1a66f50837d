/* pos.abs: absolute positions. Sinusoids, whose row p + k is row p turned by k; learned rows, of which there are as
 * many as were learned; and the embeddings they are added to.   Vaswani et al. 2017, 3.5; Devlin et al. 2019 */
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/positions.h"

/* clang-format off */
SN_SETTINGS(embeddings,
  (int, vocab,    16, "tokens"),
  (int, segments, 2,  "segments"),
  (int, width,    32, "size of a row"));
/* clang-format on */

/* Rows of two tables, added; the gradient of the sum of y w by both tables. */
static void looked_up(sn_scope m, const embeddings *c) {
  sn_dim N = sn_sym(m, "N");
  sn_t token = sn_param(m, "token", (c->vocab, c->width), .init = sn_normal(1));
  sn_t segment = sn_param(m, "segment", (c->segments, c->width), .init = sn_normal(1)), dt, ds;
  sn_t y = sn_add(sn_gather(token, sn_input(m, "tokens", SN_I32, (N))),
                  sn_gather(segment, sn_input(m, "segments", SN_I32, (N))));
  sn_grad(sn_sum(sn_mul(y, sn_input(m, "w", SN_REAL, (N, c->width))), "nd->"), (token, segment), (&dt, &ds));
  sn_output(m, "y", y);
  sn_output(m, "dtoken", dt);
  sn_output(m, "dsegment", ds);
}

SN_MODEL(embeddings, embeddings, looked_up);

/* ---- sinusoids --------------------------------------------------------------------------------------------------- */

enum { D = 64 };

static void shifts(recipe *r, net *wide) {
  const int32_t at[] = {41, 41 + 7, 100000, 100000 + 999};
  const double *p = pos_run(wide, "sinusoids", (pos_rows){4, D, at, NULL, NULL}, "y");
  double want[4 * D];
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < D / 2; k++) {
      double a = (at[i / 2 * 2 + 1] - at[i / 2 * 2]) * pow(1e4, -2. * k / D), s = p[i / 2 * 2 * D + 2 * k],
             c = p[i / 2 * 2 * D + 2 * k + 1];
      want[i * D + 2 * k] = i % 2 ? s * cos(a) + c * sin(a) : s;
      want[i * D + 2 * k + 1] = i % 2 ? c * cos(a) - s * sin(a) : c;
    }
  recipe_at_most(r, EXACT, "row p + k is row p turned by k, from p = 41", pos_apart(2 * D, p, want), 1e-12);
  recipe_at_most(r, EXACT, "row p + k is row p turned by k, from p = 100000", pos_apart(2 * D, p + 2 * D, want + 2 * D),
                 1e-12);
}

static double far_apart(net *n, const char *graph) {
  static const int32_t at[] = {0, 1, 1000, 100000, 100001, 131071};
  enum { COUNT = sizeof at / sizeof *at };
  double want[COUNT * D];
  for (int i = 0; i < COUNT; i++) positions_sinusoid(at[i], D, want + i * D);
  return pos_apart(COUNT * D, pos_run(n, graph, (pos_rows){COUNT, D, at, NULL, NULL}, "y"), want);
}

/* ---- learned rows ------------------------------------------------------------------------------------------------ */

enum { ROWS = 64, LONGER = 65 };

/* 1: so many tokens are not run, and the error says `text`. */
static double refuses(net *n, int length, const char *text) {
  int32_t tokens[LONGER] = {0};
  float loss;
  const char *why =
      net_refused(n, "eval", {"tokens", tokens, {1, length}}, {"targets", tokens, {1, length}}, {"loss", &loss, {0}});
  return why && strstr(why, text);
}

static void learned(recipe *r) {
  net *n = recipe_net(r, &sn_model_positions, "eval", "layers=1 width=32 scheme=1 context=%d vocab=16", ROWS);
  net *free = recipe_net(r, &sn_model_positions, "eval", "layers=1 width=32 scheme=2 context=%d vocab=16", LONGER);
  const char *why = recipe_refused(
      r, &sn_model_positions, (sn_compile_opt){.graphs = "eval", .set = "scheme=1 learned=64 context=65 vocab=16"});
  recipe_at_least(r, EXACT, "a table of 64 rows for 65 positions: not compiled, says why",
                  why && strstr(why, "too few positions"), 1);
  recipe_at_least(r, EXACT, "65 tokens where 64 were learned: not run, says why", refuses(n, LONGER, "64"), 1);
  recipe_at_most(r, EXACT, "64 tokens: not run", refuses(n, ROWS, ""), 0);
  recipe_at_least(r, CONTROL, "65 tokens by sinusoids: not run", refuses(free, LONGER, ""), 1);
}

/* ---- embeddings -------------------------------------------------------------------------------------------------- */

enum { TOKENS = 4096, V = 16, WIDTH = 32 };

/* Few tokens, often: token 0 is every second one. */
static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 0x6c6f6f6b, index);
  (void)data;
  for (int i = 0; i < TOKENS; i++) {
    ((int32_t *)port[0])[i] = i % 2 ? draws_below(&d, V) : 0;
    ((int32_t *)port[1])[i] = i >= TOKENS / 3;
  }
  for (int i = 0; i < TOKENS * WIDTH; i++) ((float *)port[2])[i] = (float)draws_normal(&d);
}

/* Sums over all places of a token and of a segment. */
static void sums(recipe *r, double *dtoken, double *dsegment) {
  int32_t *token = recipe_alloc(r, sizeof *token * TOKENS), *segment = recipe_alloc(r, sizeof *segment * TOKENS);
  float *w = recipe_alloc(r, sizeof *w * TOKENS * WIDTH);
  fill(NULL, recipe_seed(r, 1), 0, (void *const[]){token, segment, w});
  for (int i = 0; i < TOKENS * WIDTH; i++) {
    dtoken[token[i / WIDTH] * WIDTH + i % WIDTH] += (double)w[i];
    dsegment[segment[i / WIDTH] * WIDTH + i % WIDTH] += (double)w[i];
  }
}

static void looks_up(recipe *r) {
  double dtoken[V * WIDTH] = {0}, dsegment[2 * WIDTH] = {0}, differing = 0;
  feed f = {{{"tokens", {TOKENS}}, {"segments", {TOKENS}}, {"w", {TOKENS, WIDTH}}}, fill, NULL};
  net *n = recipe_net(r, &sn_model_embeddings, "looked_up", "vocab=%d width=%d", V, WIDTH);
  net *wide = net_as(n, &(sn_compile_opt){.real = "f64"});
  sums(r, dtoken, dsegment);
  const double *dt = net_output(n, "looked_up", &f, 0, "dtoken", NULL);
  recipe_at_most(r, EXACT, "gradient of rows used 2000 times and less, against loops, f64",
                 recipe_difference(V * WIDTH, net_output(wide, "looked_up", &f, 0, "dtoken", NULL), dtoken), 1e-10);
  recipe_at_most(r, EXACT, "gradient of the two segments, against loops, f64",
                 recipe_difference(2 * WIDTH, net_output(wide, "looked_up", &f, 0, "dsegment", NULL), dsegment), 1e-10);
  recipe_at_most(r, EXACT, "gradient of rows used 2000 times and less, against loops, f32",
                 recipe_difference(V * WIDTH, dt, dtoken), 2e-4 * sqrt(TOKENS));
  for (int threads = 1; threads <= 4; threads++) {
    const double *same = net_output_on(n, threads, "looked_up", &f, "dtoken", NULL);
    differing += dt && same ? memcmp(dt, same, sizeof dtoken) != 0 : 1;
  }
  recipe_at_most(r, EXACT, "runs on 1 to 4 threads with other bits", differing, 0);
}

/* ---- in a decoder ------------------------------------------------------------------------------------------------ */

static void from_one(double at, int d, double *out) { positions_sinusoid(at + 1, d, out); }

static void decoders(recipe *r) {
  loops_decoder learned_rows = {.rows = "place.weight"}, waves = {.row = positions_sinusoid};
  pos_decoder(r, "a decoder with learned positions, against nested loops, f64", "scheme=1", &learned_rows);
  net *n = pos_decoder(r, "a decoder with sinusoids, against nested loops, f64", "scheme=2", &waves);
  waves.row = from_one;
  recipe_at_most(r, CONTROL, "positions that begin at 1: the same", pos_decoder_apart(r, n, &waves, POS_LENGTH), 1e-10);
  pos_gradient(r, "gradient of a decoder with learned positions, against differences", "scheme=1");
}

static void absolute(recipe *r) {
  net *wide = pos_net(r, "sinusoids", "f64", "d=%d", D), *narrow = pos_net(r, "sinusoids", "f32", "d=%d", D);
  shifts(r, wide);
  recipe_at_most(r, EXACT, "table to position 131071, f64", far_apart(wide, "sinusoids"), 1e-7);
  recipe_at_most(r, EXACT, "table to position 131071, f32", far_apart(narrow, "sinusoids"), 1e-6);
  recipe_at_most(r, CONTROL, "angles that are products in f32",
                 far_apart(pos_net(r, "sinusoids_f32", "f32", "d=%d", D), "sinusoids_f32"), 1e-6);
  learned(r);
  looks_up(r);
  decoders(r);
}

RECIPES(pos_abs, {"pos.abs", 11, "sinusoidal and learned positions: shifts, lengths, gradients of tables", absolute,
                  "sinusoids and gradients of tables in nested loops (positions.h)"});
