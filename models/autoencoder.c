/* Stacked denoising autoencoder with tied weights: layer l learns to undo noise in what the layers below say,
 *   h = s(W (h' with inputs at zero) + b),  r = s(W^T h + c),  |h' - r|^2,
 * one after the other (stage_1, stage_2: layers below stand still), then all of them learn labels, without the way
 * back. Bengio et al. 2006; Vincent et al. 2010. With linear=1, s(x) = x and no b and c: principal components. */
#include "labels.h"

/* clang-format off */
SN_SETTINGS(autoencoder,
  (int,    inputs,  64, "numbers of a row, 0 to 1 unless linear", SN_SIZE),
  (int,    width_1, 32, "units of layer 1", SN_SIZE),
  (int,    width_2, 16, "units of layer 2", SN_SIZE),
  (int,    classes, 2,  "labels", SN_SIZE),
  (double, drop,    .3, "probability that an input is set to zero"),
  (double, miss,    0,  "the same where labels are learned"),
  (bool,   linear,  0,  "no sigmoid and no biases"),
  (bool,   freeze,  1,  "a stage trains its own layer only"));
/* clang-format on */

typedef struct {
  sn_t w, b, c;
  bool linear;
} layer;

static layer layer_of(sn_scope m, sn_t x, int width, bool linear) {
  sn_dim in = sn_size(x, -1);
  layer l = {.w = sn_param(m, "weight", (in, width)), .linear = linear};
  if (!linear) l.b = sn_param(m, "bias", (width));
  return l;
}

static sn_t there(sn_t x, const layer *l) {
  sn_t y = sn_einsum("bi,io->bo", x, l->w);
  return l->linear ? y : sn_sigmoid(sn_add(y, l->b));
}
/* The same matrix, transposed: its gradient has both terms. */
static sn_t back(sn_scope m, sn_t h, const layer *l) {
  sn_t y = sn_einsum("bo,io->bi", h, l->w);
  return l->linear ? y : sn_sigmoid(sn_add(y, sn_param(m, "back", (sn_size(y, -1)))));
}

static sn_t rows(sn_scope m, const autoencoder *c) {
  return sn_input(m, "x", SN_REAL, (sn_sym(m, "B", .max = 4096), c->inputs));
}

static sn_t noisy(sn_scope m, sn_t x, double drop) {
  if (drop <= 0) return x;
  return sn_where(sn_lt(sn_random(m, "noise", SN_UNIFORM, (sn_size(x, 0), sn_size(x, 1))), drop), 0., x);
}

/* Of layer `number`, on top of those below. */
static sn_t stage_loss(sn_scope m, int number, const autoencoder *c) {
  const int width[2] = {c->width_1, c->width_2};
  static const char *const name[2] = {"layer_1", "layer_2"};
  sn_t x = rows(m, c);
  for (int i = 0; i < number - 1; i++) {
    layer below = layer_of(sn_in(m, name[i]), x, width[i], c->linear);
    x = there(x, &below);
  }
  sn_scope at = sn_in(m, name[number - 1]);
  layer l = layer_of(at, x, width[number - 1], c->linear);
  sn_t r = back(at, there(noisy(at, x, c->drop), &l), &l);
  return sn_mean(sn_sum(sn_square(sn_sub(x, r)), "bi->b"), "b->");
}

static void stage_1(sn_scope m, const autoencoder *c) { labels_learn(m, stage_loss(m, 1, c), "layer_1.*", 1); }
static void stage_2(sn_scope m, const autoencoder *c) {
  labels_learn(m, stage_loss(m, 2, c), c->freeze ? "layer_2.*" : "*", 1);
}
static void eval(sn_scope m, const autoencoder *c) { sn_output(m, "loss", stage_loss(m, 2, c)); }

/* One label a row. */
static sn_t scores(sn_scope m, double miss, const autoencoder *c) {
  sn_t x = noisy(m, rows(m, c), miss);
  layer one = layer_of(sn_in(m, "layer_1"), x, c->width_1, c->linear);
  x = there(x, &one);
  layer two = layer_of(sn_in(m, "layer_2"), x, c->width_2, c->linear);
  return labels_scores(m, sn_rearrange(there(x, &two), "bo->b1o"), c->classes);
}
static sn_t labels_of(sn_scope m) { return sn_input(m, "labels", SN_I32, (sn_sym(m, "B", .max = 4096), 1)); }

static void tune(sn_scope m, const autoencoder *c) {
  labels_learn(m, labels_loss(scores(m, c->miss, c), labels_of(m)), "*", 1);
}
static void judge(sn_scope m, const autoencoder *c) { labels_judge(m, scores(m, 0, c), labels_of(m)); }

SN_MODEL(autoencoder, autoencoder, stage_1, stage_2, eval, tune, judge);
