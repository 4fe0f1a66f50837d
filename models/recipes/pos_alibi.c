/* pos.alibi: scores lose in proportion to the distance, so that a decoder reads on beyond the length of its training.
 * With its kin, whose scores lose by other curves: Kerple, Sandwich, FIRE.   Press, Smith, Lewis 2022 */
#include <stdio.h>
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/layers.h"
#include "tests/oracles/positions.h"

extern const sn_model sn_model_alibi, sn_model_kerple, sn_model_sandwich, sn_model_fire;

/* ---- slopes ------------------------------------------------------------------------------------------------------ */

static void slopes(recipe *r) {
  static const double want[3][12] = {
      {-1, -2, -3, -4, -5, -6, -7, -8}, {-2, -4, -6, -8}, {-1, -2, -3, -4, -5, -6, -7, -8, -.5, -1.5, -2.5, -3.5}};
  static const int heads[] = {8, 4, 12};
  for (int n = 0; n < 3; n++) {
    char what[64];
    double bias[12 * 16] = {0}, worst = 0;
    net *a = recipe_net(r, &sn_model_alibi, "forward", "heads=%d head=4", heads[n]);
    pos_biases(r, net_as(a, &(sn_compile_opt){.real = "f64"}), heads[n], 4, bias);
    for (int h = 0; h < heads[n]; h++)
      for (int d = 0; d < 4; d++)
        worst = recipe_max(worst, fabs(bias[(h * 4 + 3) * 4 + 3 - d] + d * pow(2, want[n][h])));
    snprintf(what, sizeof what, "slopes of %d heads", heads[n]);
    recipe_at_most(r, EXACT, what, worst, 1e-14);
  }
}

/* ---- biases that are computed where scores are, and nested loops over a matrix of them --------------------------- */

enum { T = 24, H = 4, D = 8, UNITS = 5 };

typedef struct kin {
  const sn_model *model;
  const char *set;
  double (*bias)(const struct kin *k, int head, int distance, int place);
  double a[H], b[H], c, least, up[UNITS], shift[UNITS], down[H * UNITS], matrix[H * T * T];
} kin;

static double alibi_bias(const kin *k, int h, int d, int i) { return (void)k, (void)i, -positions_alibi(h, H) * d; }
static double log_bias(const kin *k, int h, int d, int i) { return (void)i, positions_kerple(d, k->a[h], k->b[h], 0); }
static double power_bias(const kin *k, int h, int d, int i) {
  return (void)i, positions_kerple(d, k->a[h], k->b[h], 1);
}
static double sandwich_bias(const kin *k, int h, int d, int i) {
  return (void)k, (void)i, positions_sandwich(d, 32, positions_alibi(h, H));
}
static double fire_bias(const kin *k, int h, int d, int i) {
  return k->a[h] + positions_fire(d, i, k->c, k->least, UNITS, k->up, k->shift, k->down + h * UNITS);
}

/* A parameter drawn anew, positive if need be, and what it is. */
static void learn(recipe *r, net *n, const char *name, uint64_t use, bool positive, int count, double *out) {
  int64_t elements = 0;
  float *x = net_values(n, name, &elements);
  pos_draw(r, use, count, out);
  for (int i = 0; i < count && x && elements == count; i++)
    out[i] = x[i] = (float)(positive ? .2 + fabs(out[i]) : out[i]);
  net_changed(n);
}

static void learn_all(recipe *r, net *n, kin *k) {
  if (k->model == &sn_model_kerple) learn(r, n, "r1", 11, true, H, k->a), learn(r, n, "r2", 12, true, H, k->b);
  if (k->model != &sn_model_fire) return;
  learn(r, n, "up", 13, false, UNITS, k->up), learn(r, n, "bias", 14, false, UNITS, k->shift);
  learn(r, n, "down", 15, false, H * UNITS, k->down), learn(r, n, "out", 16, false, H, k->a);
  learn(r, n, "c", 17, true, 1, &k->c), learn(r, n, "L", 18, true, 1, &k->least);
  k->least *= 8; /* some places are beyond it */
  float *least = net_values(n, "L", NULL);
  if (least) k->least = *least = (float)k->least;
  net_changed(n);
}

static double matrix(const void *user, int h, int i, int j) { return ((const kin *)user)->matrix[(h * T + i) * T + j]; }

/* Every bias, written out. */
static void write_out(kin *k) {
  for (int h = 0; h < H; h++)
    for (int i = 0; i < T; i++)
      for (int j = 0; j <= i; j++) k->matrix[(h * T + i) * T + j] = k->bias(k, h, i - j, i);
}

static void fused(recipe *r, kin *k, const char *what) {
  enum { COUNT = T * H * D };
  double q[COUNT], key[COUNT], v[COUNT], want[COUNT];
  pos_heads x = {T, H, D, q, key, v, NULL};
  layers_mask mask = {layers_causal, matrix, k};
  pos_draw(r, 1, COUNT, q), pos_draw(r, 2, COUNT, key), pos_draw(r, 3, COUNT, v);
  net *n = recipe_net(r, k->model, "forward", "heads=%d head=%d %s", H, D, k->set);
  learn_all(r, n, k);
  write_out(k);
  layers_attend(&(layers_heads){H, H, D, 0}, &mask, T, T, q, key, v, want);
  const double *y = pos_attend(net_as(n, &(sn_compile_opt){.real = "f64"}), "forward", x, "y");
  recipe_at_most(r, EXACT, what, recipe_difference(COUNT, y, want), 1e-10);
  if (k->model != &sn_model_alibi) return;
  recipe_at_most(r, EXACT, "the same, f32", recipe_difference(COUNT, pos_attend(n, "forward", x, "y"), want),
                 2e-5 * sqrt(T));
  for (int i = 0; i < H * T * T; i++) k->matrix[i] = -k->matrix[i];
  layers_attend(&(layers_heads){H, H, D, 0}, &mask, T, T, q, key, v, want);
  recipe_at_most(r, CONTROL, "scores that gain with distance", recipe_difference(COUNT, y, want), 1e-10);
}

static void biases(recipe *r) {
  static const struct {
    const sn_model *model;
    const char *set, *what;
    double (*bias)(const kin *k, int head, int distance, int place);
  } all[] = {{&sn_model_alibi, "", "ALiBi: fused = biases in memory, f64", alibi_bias},
             {&sn_model_kerple, "", "Kerple, logarithm: fused = biases in memory, f64", log_bias},
             {&sn_model_kerple, "power=1", "Kerple, power: fused = biases in memory, f64", power_bias},
             {&sn_model_sandwich, "width=32", "Sandwich: fused = biases in memory, f64", sandwich_bias},
             {&sn_model_fire, "hidden=5", "FIRE: fused = biases in memory, f64", fire_bias}};
  for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) {
    kin *k = recipe_alloc(r, sizeof *k);
    *k = (kin){.model = all[i].model, .set = all[i].set, .bias = all[i].bias};
    fused(r, k, all[i].what);
  }
}

/* ---- trained at 64, read at 512 ---------------------------------------------------------------------------------- */

enum { SHORT = 64, LONG = 512, STATES = 4, SYMBOLS = 4 };

typedef struct text {
  hmm source;
  int rows, length;
} text;

/* Four states go round; two of them say one or the other of two tokens, two of the others. What comes next hangs on the
 * order of the last few tokens, and on nothing far away. */
static hmm round_of(uint64_t seed) {
  hmm h = hmm_make(seed, STATES, SYMBOLS, 0);
  for (int s = 0; s < STATES; s++) {
    h.start[s] = 1. / STATES;
    for (int next = 0; next < STATES; next++) h.step[s][next] = next == (s + 1) % STATES ? .925 : .025;
    for (int w = 0; w < SYMBOLS; w++) h.emit[s][w] = w / 2 == s / 2 ? .45 : .05;
  }
  return h;
}

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const text *d = data;
  int x[LONG + 1];
  for (int b = 0; b < d->rows; b++) {
    hmm_sample(&d->source, seed, index * (uint64_t)d->rows + (uint64_t)b, d->length + 1, x, NULL);
    memcpy((int32_t *)port[0] + b * d->length, x, sizeof *x * (size_t)d->length);
    memcpy((int32_t *)port[1] + b * d->length, x + 1, sizeof *x * (size_t)d->length);
  }
}

static void best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  const text *d = data;
  double all[LONG + 1];
  int x[LONG + 1];
  for (int b = 0; b < d->rows; b++) {
    hmm_sample(&d->source, seed, index * (uint64_t)d->rows + (uint64_t)b, d->length + 1, x, NULL);
    hmm_causal_loss(&d->source, d->length + 1, x, all);
    memcpy(loss + b * d->length, all + 1, sizeof *all * (size_t)d->length);
  }
}

static feed feed_of(const text *d) {
  return (feed){{{"tokens", {d->rows, d->length}}, {"targets", {d->rows, d->length}}}, fill, d};
}

/* Losses over the best: of the length of training, and of eight times that. far NULL: not asked */
typedef struct losses {
  double near, far;
} losses;

static losses lengths(recipe *r, const char *label, int scheme, const feed *near, const feed *far) {
  net *n = recipe_net(r, &sn_model_positions, "train|logits", "layers=2 heads=4 width=32 context=%d vocab=%d scheme=%d",
                      LONG, SYMBOLS, scheme);
  recipe_train(r, &(training){n, .label = label, .feed = near, .steps = recipe_pick(r, 1200, 500), .lr = 1e-2});
  losses l = {.near = recipe_excess(r, &(against){n, .feed = near, .targets = 1, .best = best}).mean};
  if (far) l.far = recipe_excess(r, &(against){n, .feed = far, .targets = 1, .best = best}).mean;
  return l;
}

/* Seeds 1 to 5, worst (quick): trained .0214 (.033), ALiBi at 512 .0023 (.0031), sinusoidal at 512 .206 (.169), no
 * biases .123 (seed 1: .146). */
static void reads_on(recipe *r) {
  text near = {round_of(recipe_seed(r, 7)), 16, SHORT}, far = {near.source, 4, LONG};
  feed short_feed = feed_of(&near), long_feed = feed_of(&far);
  double learned = recipe_is_quick(r) ? .05 : .03;
  losses a = lengths(r, "ALiBi", 3, &short_feed, &long_feed);
  losses s = lengths(r, "sinusoidal", 2, &short_feed, &long_feed);
  losses none = lengths(r, "control: no biases", 0, &short_feed, NULL);
  recipe_at_most(r, TRAINED, "ALiBi, trained at 64: loss over the best, nats", a.near, learned);
  recipe_at_most(r, CONTROL, "no biases, trained at 64: loss over the best, nats", none.near, learned);
  recipe_at_most(r, TRAINED, "ALiBi at 512: loss beyond that at 64, nats", a.far - a.near, .02);
  recipe_at_most(r, TRAINED, "sinusoidal, trained at 64: loss over the best, nats", s.near, learned);
  recipe_at_least(r, TRAINED, "sinusoidal at 512: loss beyond that at 64, nats", s.far - s.near, .1);
  const char *why = recipe_refused(r, &sn_model_positions,
                                   (sn_compile_opt){.graphs = "logits", .set = "scheme=1 learned=64 context=512"});
  recipe_at_least(r, EXACT, "64 learned positions at 512: refused", why && strstr(why, "too few positions"), 1);
}

static double as_printed(int head, int heads) { return (void)heads, pow(2, -8. / (head + 1)); } /* B8.84 */

static void in_decoder(recipe *r) {
  loops_decoder c = {.bias = positions_alibi};
  net *n = pos_decoder(r, "a decoder with ALiBi, against nested loops, f64", "scheme=3", &c);
  c.bias = as_printed;
  recipe_at_most(r, CONTROL, "slopes as the book prints them: the same", pos_decoder_apart(r, n, &c, POS_LENGTH),
                 1e-10);
  pos_gradient(r, "gradient of a decoder with ALiBi, against differences", "scheme=3");
}

static void alibi(recipe *r) {
  slopes(r);
  biases(r);
  in_decoder(r);
  reads_on(r);
}

RECIPES(pos_alibi,
        {"pos.alibi", 11, "ALiBi and its kin: slopes, biases, trained at 64 tokens and read at 512", alibi,
         "biases of the papers in nested loops (positions.h, layers.h); filter of a hidden Markov model (hmm.h)"});
