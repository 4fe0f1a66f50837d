/* Parts of transformers against their definitions, cases with known results, and each other. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/draws.h"
#include "tests/oracles/layers.h"

enum { N = 5, D = 6, H = 4 };

static draws source;

static void fill(int n, double *x) {
  for (int i = 0; i < n; i++) x[i] = draws_normal(&source);
}

static int set_up(void **state) {
  (void)state;
  source = draws_of(1, 1, 1);
  return 0;
}

static void norms_normalise(void **state) {
  (void)state;
  double x[D], y[D], scale[D], shift[D], two[2] = {1, 4}, out[2];
  fill(D, x), fill(D, scale), fill(D, shift);
  layers_norm layer = {.kind = LAYERS_LAYER_NORM}, rms = {.kind = LAYERS_RMS_NORM};
  double mean = 0, square = 0;
  layers_normalise(&layer, D, x, y);
  for (int i = 0; i < D; i++) mean += y[i] / D, square += y[i] * y[i] / D;
  assert_near(mean, 0, 1e-15);
  assert_near(square, 1, 1e-14);
  layers_norm full = {LAYERS_LAYER_NORM, 0, false, scale, shift};
  double z[D];
  layers_normalise(&full, D, x, z);
  for (int i = 0; i < D; i++) assert_near(z[i], y[i] * scale[i] + shift[i], 1e-14);
  layers_normalise(&rms, 2, two, out);
  assert_near(out[1], 4 / sqrt(8.5), 1e-15);
  layer.epsilon = 0.5; /* deviation 1.5 */
  layers_normalise(&layer, 2, two, out);
  assert_near(out[1], 1.5 / sqrt(2.25 + 0.5), 1e-15);
  layer.outside = true;
  layers_normalise(&layer, 2, two, out);
  assert_near(out[1], 1.5 / 2, 1e-15);
}

/* Phi(x) is integrated. */
static void curves_are_integrals(void **state) {
  (void)state;
  for (double x = -4; x <= 4; x += 0.37) {
    double phi = 0.5, h = x / 2000;
    for (int i = 0; i <= 2000; i++) {
      phi += (i == 0 || i == 2000 ? 1 : 2 + 2 * (i % 2)) * exp(-0.5 * i * i * h * h) /
             sqrt(2 * 3.14159265358979323846) * h / 3;
    }
    assert_near(layers_activate(LAYERS_GELU, x), x * phi, 1e-11);
    assert_near(layers_activate(LAYERS_GELU_TANH, x), x * phi, 1e-3);
    assert_near(layers_activate(LAYERS_SILU, x), x * layers_activate(LAYERS_SIGMOID, x), 1e-15);
    assert_near(layers_activate(LAYERS_SIGMOID, x), 0.5 * (1 + tanh(x / 2)), 1e-15);
    assert_near(layers_activate(LAYERS_RELU, x), fmax(0, x), 0);
  }
}

static bool window(const void *user, int i, int j) { return (void)user, j <= i && i - j < 2; }
static bool nothing(const void *user, int i, int j) { return (void)user, i != 1 && j >= 0; }
static double far(const void *user, int head, int i, int j) { return (void)user, -0.5 * (head + 1) * (i - j); }

/* Equal scores give means, and a bias is a factor of weights. */
static void attention_is_a_mean(void **state) {
  (void)state;
  double q[N * D] = {0}, k[N * D], v[N * D], out[N * D];
  layers_heads heads = {.heads = 2, .key_heads = 2, .d = 3};
  fill(N * D, k), fill(N * D, v);
  layers_attend(&heads, &(layers_mask){window, NULL, NULL}, N, N, q, k, v, out);
  for (int i = 0; i < N * D; i++) assert_near(out[i], i < D ? v[i] : (v[i] + v[i - D]) / 2, 1e-15);
  layers_attend(&heads, &(layers_mask){window, far, NULL}, N, N, q, k, v, out);
  for (int i = D; i < N * D; i++) {
    double less = exp(-0.5 * (i % D / 3 + 1));
    assert_near(out[i], (v[i] + less * v[i - D]) / (1 + less), 1e-14);
  }
  layers_attend(&heads, &(layers_mask){nothing, NULL, NULL}, N, N, q, k, v, out);
  for (int i = D; i < 2 * D; i++) assert_near(out[i], 0, 0);
  fill(N * D, q);
  for (int i = 0; i < N * D; i++) q[i] *= 1e4; /* the best key takes all, without overflow */
  layers_attend(&heads, &(layers_mask){0}, 2, N, q, k, v, out);
  for (int h = 0; h < 2; h++) {
    int best = 0;
    double most = -INFINITY;
    for (int j = 0; j < N; j++) {
      double s = 0;
      for (int i = 0; i < 3; i++) s += q[h * 3 + i] * k[j * D + h * 3 + i];
      if (s > most) most = s, best = j;
    }
    for (int i = 0; i < 3; i++) assert_near(out[h * 3 + i], v[best * D + h * 3 + i], 1e-9);
  }
}

/* softmax(q . k / sqrt(d)) by its definition, and heads that share keys against keys written out for each. */
static void heads_share_keys(void **state) {
  (void)state;
  enum { HEADS = 4, FEW = 2, W = 3 };
  double q[N * HEADS * W], k[N * FEW * W], v[N * FEW * W], wide_k[N * HEADS * W], wide_v[N * HEADS * W];
  double out[N * HEADS * W], wide[N * HEADS * W];
  fill(N * HEADS * W, q), fill(N * FEW * W, k), fill(N * FEW * W, v);
  for (int i = 0; i < N * HEADS * W; i++) {
    int from = i / (HEADS * W) * FEW * W + i / W % HEADS / 2 * W + i % W;
    wide_k[i] = k[from], wide_v[i] = v[from];
  }
  layers_mask causal = {layers_causal, NULL, NULL};
  layers_attend(&(layers_heads){HEADS, FEW, W, 0}, &causal, N, N, q, k, v, out);
  layers_attend(&(layers_heads){HEADS, HEADS, W, 0}, &causal, N, N, q, wide_k, wide_v, wide);
  for (int i = 0; i < N * HEADS * W; i++) assert_near(out[i], wide[i], 0);
  int last = (N - 1) * HEADS * W;
  double top[W] = {0}, all = 0;
  for (int j = 0; j < N; j++) {
    double s = 0;
    for (int i = 0; i < W; i++) s += q[last + i] * k[j * FEW * W + i];
    s = exp(s / sqrt(W));
    all += s;
    for (int i = 0; i < W; i++) top[i] += s * v[j * FEW * W + i];
  }
  for (int i = 0; i < W; i++) assert_near(out[last + i], top[i] / all, 1e-14);
}

typedef struct weights {
  double query[D * D], key[D * D], value[D * D], output[D * D], up[D * H], gate[D * H], down[H * D], scale[4 * D];
} weights;

static layers_block block_of(const weights *w, layers_placement placement, bool gated) {
  layers_norm norm = {LAYERS_LAYER_NORM, 1e-5, false, NULL, NULL};
  layers_block b = {.placement = placement, .heads = {2, 2, 3, 0}, .width = D};
  b.query = w->query, b.key = w->key, b.value = w->value, b.output = w->output;
  b.feed = (layers_feed){.width = D, .hidden = H, .curve = LAYERS_SILU, .up = w->up, .down = w->down};
  if (gated) b.feed.gate = w->gate;
  b.attend_norm = b.attend_second = b.feed_norm = b.feed_second = norm;
  b.attend_norm.scale = w->scale, b.attend_second.scale = w->scale + D;
  b.feed_norm.scale = w->scale + 2 * D, b.feed_second.scale = w->scale + 3 * D;
  return b;
}

/* One token: attention passes its value on, so that a block is a short formula. */
static void blocks_are_their_formulas(void **state) {
  (void)state;
  weights w;
  fill(sizeof w / sizeof(double), (double *)&w);
  for (int placement = LAYERS_POST; placement <= LAYERS_SANDWICH; placement++) {
    layers_block b = block_of(&w, (layers_placement)placement, placement % 2);
    double x[D], y[D], out[D], v[D], f[D];
    fill(D, x);
    memcpy(y, x, sizeof x);
    for (int part = 0; part < 2; part++) {
      const layers_norm *norm = part ? &b.feed_norm : &b.attend_norm,
                        *second = part ? &b.feed_second : &b.attend_second;
      double in[D], up[H], gate[H];
      memcpy(in, y, sizeof in);
      if (placement == LAYERS_PRE || placement == LAYERS_SANDWICH) layers_normalise(norm, D, y, in);
      for (int o = 0; o < D; o++) {
        v[o] = 0;
        for (int i = 0; i < D; i++) v[o] += in[i] * w.value[i * D + o];
      }
      for (int o = 0; o < H; o++) {
        up[o] = gate[o] = 0;
        for (int i = 0; i < D; i++) up[o] += in[i] * w.up[i * H + o], gate[o] += in[i] * w.gate[i * H + o];
        up[o] = up[o] / (1 + exp(-up[o])) * (placement % 2 ? gate[o] : 1);
      }
      for (int o = 0; o < D; o++) {
        f[o] = 0;
        for (int i = 0; i < D && !part; i++) f[o] += v[i] * w.output[i * D + o];
        for (int i = 0; i < H && part; i++) f[o] += up[i] * w.down[i * D + o];
      }
      if (placement == LAYERS_INNER) layers_normalise(norm, D, f, f);
      if (placement == LAYERS_SANDWICH) layers_normalise(second, D, f, f);
      for (int i = 0; i < D; i++) y[i] += f[i];
      if (placement == LAYERS_POST) layers_normalise(norm, D, y, y);
    }
    layers_run(&b, &(layers_mask){0}, 1, x, out);
    for (int i = 0; i < D; i++) assert_near(out[i], y[i], 1e-12);
  }
}

static bool itself(const void *user, int i, int j) { return (void)user, i == j; }

/* Tokens that see only themselves are treated one by one. */
static void rows_are_apart(void **state) {
  (void)state;
  weights w;
  fill(sizeof w / sizeof(double), (double *)&w);
  for (int placement = LAYERS_POST; placement <= LAYERS_SANDWICH; placement++) {
    layers_block b = block_of(&w, (layers_placement)placement, true);
    double x[N * D], out[N * D], one[D];
    fill(N * D, x);
    layers_run(&b, &(layers_mask){itself, NULL, NULL}, N, x, out);
    for (int r = 0; r < N; r++) {
      layers_run(&b, &(layers_mask){0}, 1, x + r * D, one);
      for (int i = 0; i < D; i++) assert_near(out[r * D + i], one[i], 1e-13);
    }
  }
}

/* What a causal block says of a token does not hang on later ones. */
static void causal_blocks_do_not_look_ahead(void **state) {
  (void)state;
  weights w;
  fill(sizeof w / sizeof(double), (double *)&w);
  layers_block b = block_of(&w, LAYERS_PRE, true);
  double x[N * D], out[N * D], other[N * D];
  fill(N * D, x);
  layers_run(&b, &(layers_mask){layers_causal, NULL, NULL}, N, x, out);
  fill(2 * D, x + (N - 2) * D);
  layers_run(&b, &(layers_mask){layers_causal, NULL, NULL}, N, x, other);
  assert_memory_equal(out, other, (N - 2) * D * sizeof *out);
  assert_true(fabs(out[(N - 1) * D] - other[(N - 1) * D]) > 1e-6);
}

typedef struct losses {
  double logits[3 * 4], weight[3];
  int target[3];
} losses;

static double loss_of(void *user) {
  const losses *l = user;
  return layers_cross_entropy(3, 4, l->logits, l->target, l->weight);
}

/* The gradient is weight / weights * (softmax - one): slopes agree, also where rows do not count. */
static void losses_have_their_slopes(void **state) {
  (void)state;
  losses l = {.weight = {1, 0, 3}, .target = {2, 0, 1}};
  double way[12], expected = 0, p[4], loss = 0;
  fill(12, l.logits), fill(12, way);
  for (int r = 0; r < 3; r++) {
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += p[i] = exp(l.logits[r * 4 + i]);
    loss -= l.weight[r] / 4 * log(p[l.target[r]] / sum);
    for (int i = 0; i < 4; i++) expected += l.weight[r] / 4 * (p[i] / sum - (i == l.target[r])) * way[r * 4 + i];
  }
  assert_near(loss_of(&l), loss, 1e-15);
  double before[12];
  memcpy(before, l.logits, sizeof before);
  assert_near(layers_slope(loss_of, &l, 12, l.logits, way, 1e-2), expected, 1e-8);
  assert_memory_equal(before, l.logits, sizeof before);
  double sum = 0;
  for (int r = 0; r < 3; r++) {
    double one[3] = {r == 0, r == 1, r == 2};
    sum += layers_cross_entropy(3, 4, l.logits, l.target, one) / 3;
  }
  assert_near(layers_cross_entropy(3, 4, l.logits, l.target, NULL), sum, 1e-15);
  l.weight[0] = l.weight[2] = 0;
  assert_near(loss_of(&l), 0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(norms_normalise, set_up),
      cmocka_unit_test_setup(curves_are_integrals, set_up),
      cmocka_unit_test_setup(attention_is_a_mean, set_up),
      cmocka_unit_test_setup(heads_share_keys, set_up),
      cmocka_unit_test_setup(blocks_are_their_formulas, set_up),
      cmocka_unit_test_setup(rows_are_apart, set_up),
      cmocka_unit_test_setup(causal_blocks_do_not_look_ahead, set_up),
      cmocka_unit_test_setup(losses_have_their_slopes, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
