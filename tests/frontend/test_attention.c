/* Attention of the DSL: scores, masks, normalisers and captures against sums written by hand; caches and rotary
 * positions. */
#include "tests/frontend/mistakes.h"

#include <math.h>

SN_SETTINGS(opts, (int, heads, 2, "query heads"), (int, head, 4, "head size"), (int, window, 2, "keys seen"));

enum { B = 2, T = 3, H = 2, D = 4 };

typedef struct {
  sn_t q, k, v;
} qkv;
static qkv inputs(sn_scope m, const opts *c) {
  return (qkv){sn_input(m, "q", SN_REAL, (B, T, c->heads, c->head)),
               sn_input(m, "k", SN_REAL, (B, T, c->heads, c->head)),
               sn_input(m, "v", SN_REAL, (B, T, c->heads, c->head))};
}

static sn_t alibi(sn_t s, sn_site at, const void *opt) {
  const opts *o = opt;
  return sn_sub(s, sn_mul(sn_alibi_slope(at.head, o->heads), sn_sub(at.q, at.k)));
}
static sn_t window(sn_site at, const void *opt) {
  const opts *o = opt;
  return sn_within(sn_sub(at.q, at.k), 0, o->window);
}
static void alibi_window(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = alibi, .mask = window, .opt = c, .name = "alibi"));
}

/* Two captures, one of the score and one of the mask. Scores are taken where the mask is false, too. */
typedef struct {
  sn_t bias, doc;
} captured;
static sn_t add_bias(sn_t s, sn_site at, const void *opt) {
  const captured *o = opt;
  return sn_add(s, sn_index(o->bias, at.head, sn_max(sn_sub(at.q, at.k), 0)));
}
static sn_t same_doc(sn_site at, const void *opt) {
  sn_t doc = ((const captured *)opt)->doc;
  return sn_and(sn_causal(at, NULL), sn_eq(sn_index(doc, at.batch, at.q), sn_index(doc, at.batch, at.k)));
}
static void captures(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  captured o = {sn_input(m, "bias", SN_REAL, (c->heads, T)), sn_input(m, "doc", SN_I32, (B, T))};
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = add_bias, .mask = same_doc, .opt = &o, .scale = 1));
}

/* The query with a row of the table by head and distance, or by distance. */
static sn_t add_rows(sn_t s, sn_site at, const void *opt) {
  sn_t rows = *(const sn_t *)opt, far = sn_add(sn_sub(at.q, at.k), T - 1);
  sn_t dot = sn_rank(rows) == 3 ? sn_dot_q(at, rows, at.head, far) : sn_dot_q(at, rows, far);
  return sn_add(s, sn_mul(dot, .5));
}
static void relative(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t rows = sn_input(m, "rows", SN_REAL, (c->heads, 2 * T - 1, c->head));
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = add_rows, .opt = &rows));
}
static void relative_flat(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t rows = sn_input(m, "rows2", SN_REAL, (2 * T - 1, c->head));
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = add_rows, .opt = &rows));
}

static sn_t softcap(sn_t s, sn_site at, const void *opt) {
  return (void)at, (void)opt, sn_mul(5, sn_tanh(sn_div(s, 5)));
}
static void capped(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = softcap));
}

/* A capture inside a layer: the attention stands in the layer's body though q, k, v are of the graph. */
static void in_layer(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t x = sn_zeros(m, SN_REAL, (B, T, c->heads, c->head));
  sn_layers(h, m, "h", 2, &x) {
    captured o = {sn_param(h, "bias", (c->heads, T), .init = sn_fill(.25)), sn_input(m, "doc", SN_I32, (B, T))};
    x = sn_add(x, sn_attention(i.q, i.k, i.v, .score = add_bias, .mask = same_doc, .opt = &o, .scale = 1));
  }
  sn_output(m, "y", x);
}

static void grouped(sn_scope m, const opts *c) {
  sn_t q = sn_input(m, "q", SN_REAL, (B, T, c->heads, c->head));
  sn_t k = sn_input(m, "k1", SN_REAL, (B, T, 1, c->head)), v = sn_input(m, "v1", SN_REAL, (B, T, 1, c->head));
  sn_output(m, "y", sn_attention(q, k, v, .mask = sn_causal, .start = sn_input(m, "start", SN_I32, (B))));
}

static void ropes(sn_scope m, const opts *c) {
  sn_t q = sn_input(m, "q", SN_REAL, (B, T, c->heads, c->head));
  sn_t start = sn_input(m, "start", SN_I32, (B));
  sn_t pos = sn_positions(sn_with(m, .start = start), q);
  sn_output(m, "positions", pos);
  sn_output(m, "half", sn_rope(q, pos, .base = 100));
  sn_output(m, "pairs", sn_rope(q, pos, .base = 100, .interleaved = true));
  sn_output(m, "part", sn_rope(q, sn_positions(m, q), .dims = 2));
}

/* Normalisers; the first query sees no key. */
static sn_t before(sn_site at, const void *opt) { return (void)opt, sn_lt(at.k, at.q); }
static void softmax1(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .mask = before, .normaliser = sn_softmax1));
}
static void sink(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t z = sn_input(m, "z", SN_REAL, (c->heads));
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .mask = before, .normaliser = sn_softmax_sink(z)));
}
static sn_t less(sn_t s, sn_site at, const void *opt) { return (void)at, (void)opt, sn_sub(s, log(T)); }
static void sigmoids(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .score = less, .mask = before, .normaliser = sn_sigmoid_weights));
}
static void squares(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .mask = before, .normaliser = sn_relu2_weights));
}
static void scores(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .mask = before, .normaliser = sn_score_weights));
}

/* (1 + |s|) a[head], and what it comes to is divided by the sum of weights and one */
static sn_t own_weight(sn_t s, sn_site at, const void *opt) {
  return sn_mul(sn_add(sn_abs(s), 1), sn_index(*(const sn_t *)opt, at.head));
}
static sn_t own_finish(sn_t y, sn_t total, const void *opt) { return (void)opt, sn_div(y, sn_add(total, 1)); }
static void own(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t a = sn_input(m, "z", SN_REAL, (c->heads));
  sn_output(m, "y", sn_attention(i.q, i.k, i.v, .mask = before, .normaliser = {own_weight, own_finish}, .opt = &a));
}

/* Operands of few digits: what is added up has more, and so does what is made of it. */
static void few_digits(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t q = sn_cast(i.q, SN_BF16), z = sn_input(m, "z", SN_REAL, (c->heads)), z16 = sn_cast(z, SN_BF16);
  sn_normaliser both[2] = {sn_softmax_sink(z16), {own_weight, own_finish}};
  for (int n = 0; n < 2; n++) {
    sn_t y = sn_attention(q, q, q, .mask = before, .normaliser = both[n], .opt = &z);
    sn_output(m, n ? "own" : "sink", sn_cast(y, SN_REAL));
  }
}

/* The same from a cache: query by query, and in a ring of as many rows as are seen. */
static sn_t recent(sn_site at, const void *opt) { return (void)opt, sn_within(sn_sub(at.q, at.k), 0, 2); }
static void cached(sn_scope m, const opts *c, bool ring) {
  sn_scope s = sn_with(m, .cache = ring ? 2 : 5, .start = sn_input(m, "from", SN_I32, ()));
  sn_t q = sn_input(m, "q1", SN_REAL, (B, 1, c->heads, c->head));
  sn_t k = sn_cache(s, ring ? "kr" : "ks", sn_input(m, "k1", SN_REAL, (B, 1, c->heads, c->head)), .ring = ring);
  sn_t v = sn_cache(s, ring ? "vr" : "vs", sn_input(m, "v1", SN_REAL, (B, 1, c->heads, c->head)), .ring = ring);
  sn_t z = sn_input(m, "z", SN_REAL, (c->heads));
  sn_output(m, "sink", sn_attention(q, k, v, .mask = recent, .normaliser = sn_softmax_sink(z)));
  sn_output(m, "own", sn_attention(q, k, v, .mask = recent, .normaliser = {own_weight, own_finish}, .opt = &z));
}
/* Pages of two positions, anywhere in a pool of nine. */
static void one_of_pages(sn_scope m, const opts *c) {
  sn_scope s = sn_with(m, .cache = 6, .start = sn_input(m, "from", SN_I32, ()));
  sn_t table = sn_input(m, "table", SN_I32, (B, 3)), z = sn_input(m, "z", SN_REAL, (c->heads));
  sn_t q = sn_input(m, "q1", SN_REAL, (B, 1, c->heads, c->head));
  sn_t k = sn_cache(s, "kp", sn_input(m, "k1", SN_REAL, (B, 1, c->heads, c->head)), .table = table, .pool = 9);
  sn_t v = sn_cache(s, "vp", sn_input(m, "v1", SN_REAL, (B, 1, c->heads, c->head)), .table = table, .pool = 9);
  sn_output(m, "sink", sn_attention(q, k, v, .mask = recent, .normaliser = sn_softmax_sink(z)));
  sn_output(m, "own", sn_attention(q, k, v, .mask = recent, .normaliser = {own_weight, own_finish}, .opt = &z));
}
static void one_row(sn_scope m, const opts *c) { cached(m, c, false); }
static void one_of_ring(sn_scope m, const opts *c) { cached(m, c, true); }
static void all_rows(sn_scope m, const opts *c) {
  qkv i = inputs(m, c);
  sn_t z = sn_input(m, "z", SN_REAL, (c->heads));
  sn_output(m, "sink", sn_attention(i.q, i.k, i.v, .mask = recent, .normaliser = sn_softmax_sink(z)));
  sn_output(m, "own", sn_attention(i.q, i.k, i.v, .mask = recent, .normaliser = {own_weight, own_finish}, .opt = &z));
}

SN_MODEL(variants, opts, alibi_window, captures, relative, relative_flat, capped, in_layer, grouped, ropes, softmax1,
         sink, sigmoids, squares, scores, own, few_digits, one_row, one_of_ring, one_of_pages, all_rows);

/* ---- by hand ---------------------------------------------------------------------------------------------- */

static double at4(const sn_tensor *t, int b, int i, int h, int d) {
  return t->value[((b * t->extent[1] + i) * t->extent[2] + h) * t->extent[3] + d];
}

typedef double (*score_fn)(const bench *b, double s, int batch, int head, int q, int k);
typedef bool (*mask_fn)(const bench *b, int batch, int head, int q, int k);

static void check_attention(const bench *b, const char *k_name, const char *v_name, double scale, score_fn score,
                            mask_fn mask, double times) {
  const sn_tensor *q = bench_bound(b, "q"), *k = bench_bound(b, k_name), *v = bench_bound(b, v_name);
  const sn_tensor *y = bench_output(b, "y");
  for (int n = 0; n < B * T * H; n++) {
    int bi = n / (T * H), t = n / H % T, h = n % H, g = (int)(h * k->extent[2] / H);
    double p[T], sum = 0;
    for (int s = 0; s < T; s++) {
      double dot = 0;
      for (int d = 0; d < D; d++) dot += at4(q, bi, t, h, d) * at4(k, bi, s, g, d);
      p[s] = mask(b, bi, h, t, s) ? exp(score(b, dot * scale, bi, h, t, s)) : 0;
      sum += p[s];
    }
    for (int d = 0; d < D; d++) {
      double want = 0;
      for (int s = 0; s < T; s++) want += sum > 0 ? p[s] / sum * at4(v, bi, s, g, d) : 0;
      assert_float_equal(at4(y, bi, t, h, d), times * want, 1e-6);
    }
  }
}

static double score_alibi(const bench *b, double s, int batch, int head, int q, int k) {
  (void)b, (void)batch;
  return s - pow(2, -8. * (head + 1) / H) * (q - k);
}
static bool mask_window(const bench *b, int batch, int head, int q, int k) {
  (void)b, (void)batch, (void)head;
  return q - k >= 0 && q - k < 2;
}
static double score_plain(const bench *b, double s, int batch, int head, int q, int k) {
  return (void)b, (void)batch, (void)head, (void)q, (void)k, s;
}
static double score_cap(const bench *b, double s, int batch, int head, int q, int k) {
  return (void)b, (void)batch, (void)head, (void)q, (void)k, 5 * tanh(s / 5);
}
static bool mask_none(const bench *b, int batch, int head, int q, int k) {
  return (void)b, (void)batch, (void)head, (void)q, (void)k, true;
}
static double score_bias(const bench *b, double s, int batch, int head, int q, int k) {
  (void)batch;
  return s + bench_bound(b, "bias")->value[head * T + q - k];
}
static double dot_row(const bench *b, const char *name, int batch, int head, int q, int row) {
  double dot = 0;
  for (int d = 0; d < D; d++)
    dot += at4(bench_bound(b, "q"), batch, q, head, d) * bench_bound(b, name)->value[row * D + d];
  return dot;
}
static double score_rows(const bench *b, double s, int batch, int head, int q, int k) {
  return s + .5 * dot_row(b, "rows", batch, head, q, head * (2 * T - 1) + q - k + T - 1);
}
static double score_rows2(const bench *b, double s, int batch, int head, int q, int k) {
  return s + .5 * dot_row(b, "rows2", batch, head, q, q - k + T - 1);
}
static double score_quarter(const bench *b, double s, int batch, int head, int q, int k) {
  return (void)b, (void)batch, (void)head, (void)q, (void)k, s + .25;
}
static bool mask_doc(const bench *b, int batch, int head, int q, int k) {
  (void)head;
  const sn_tensor *doc = bench_bound(b, "doc");
  return k <= q && doc->value[batch * T + q] == doc->value[batch * T + k];
}
static bool mask_started(const bench *b, int batch, int head, int q, int k) {
  (void)head;
  return k <= q + (int)bench_bound(b, "start")->value[batch];
}

static bench *begin(const char *graph) { return bench_begin(&sn_model_variants, graph, NULL, SN_ELEM_F32); }

static void test_alibi_window(void **state) {
  (void)state;
  bench *b = begin("alibi_window");
  bench_run(b, "alibi_window");
  check_attention(b, "k", "v", .5, score_alibi, mask_window, 1);
  sn_text t = sn_text_begin(b->arena);
  sn_func_print(&t, b->func, (sn_print_opt){0});
  assert_non_null(strstr(t.at, "attention.alibi %"));
  bench_end(b);
}

static void test_captures(void **state) {
  (void)state;
  bench *b = begin("captures");
  GIVE(b, "doc", 0, 0, 1, 0, 1, 1);
  bench_run(b, "captures");
  check_attention(b, "k", "v", 1, score_bias, mask_doc, 1);
  bench_end(b);
}

static void test_relative(void **state) {
  (void)state;
  static const struct {
    const char *graph;
    score_fn score;
  } at[2] = {{"relative", score_rows}, {"relative_flat", score_rows2}};
  for (int i = 0; i < 2; i++) {
    bench *b = begin(at[i].graph);
    bench_run(b, at[i].graph);
    check_attention(b, "k", "v", .5, at[i].score, mask_none, 1);
    sn_text t = sn_text_begin(b->arena);
    sn_func_print(&t, b->func, (sn_print_opt){0});
    assert_non_null(strstr(t.at, "products [0]")); /* no tensor of queries times rows */
    bench_end(b);
  }
}

static void test_capped(void **state) {
  (void)state;
  bench *b = begin("capped");
  bench_run(b, "capped");
  check_attention(b, "k", "v", .5, score_cap, mask_none, 1);
  bench_end(b);
}

static void test_in_layer(void **state) {
  (void)state;
  bench *b = begin("in_layer");
  GIVE(b, "doc", 0, 0, 1, 0, 1, 1);
  bench_run(b, "in_layer");
  check_attention(b, "k", "v", 1, score_quarter, mask_doc, 2);
  bench_end(b);
}

static void test_grouped(void **state) {
  (void)state;
  bench *b = begin("grouped");
  GIVE(b, "start", 0, 1);
  bench_run(b, "grouped");
  check_attention(b, "k1", "v1", .5, score_plain, mask_started, 1);
  bench_end(b);
}

/* The weight of a score, and what the sum of weighted values is divided by. */
typedef struct by_hand {
  const char *graph;
  double (*weight)(const bench *b, double s, int head);
  double (*divisor)(const bench *b, double total, int head);
} by_hand;

static double z_of(const bench *b, int head) { return bench_bound(b, "z")->value[head]; }
static double w_exp(const bench *b, double s, int head) { return (void)b, (void)head, exp(s); }
static double w_sigmoid(const bench *b, double s, int head) { return (void)b, (void)head, 1 / (1 + T * exp(-s)); }
static double w_square(const bench *b, double s, int head) { return (void)b, (void)head, s > 0 ? s * s : 0; }
static double w_score(const bench *b, double s, int head) { return (void)b, (void)head, s; }
static double w_own(const bench *b, double s, int head) { return (1 + fabs(s)) * z_of(b, head); }
static double d_one(const bench *b, double total, int head) { return (void)b, (void)head, (void)total, 1; }
static double d_plus1(const bench *b, double total, int head) { return (void)b, (void)head, total + 1; }
static double d_sink(const bench *b, double total, int head) { return total + exp(z_of(b, head)); }

static void check_by_hand(const bench *b, const by_hand *w) {
  const sn_tensor *q = bench_bound(b, "q"), *k = bench_bound(b, "k"), *v = bench_bound(b, "v");
  for (int n = 0; n < B * T * H * D; n++) {
    int bi = n / (T * H * D), t = n / (H * D) % T, h = n / D % H, j = n % D;
    double sum = 0, total = 0;
    for (int s = 0; s < t; s++) {
      double dot = 0;
      for (int d = 0; d < D; d++) dot += at4(q, bi, t, h, d) * at4(k, bi, s, h, d);
      double p = w->weight(b, dot * .5, h);
      sum += p * at4(v, bi, s, h, j), total += p;
    }
    assert_float_equal(at4(bench_output(b, "y"), bi, t, h, j), sum / w->divisor(b, total, h), 1e-6);
  }
}

static void test_normalisers(void **state) {
  (void)state;
  static const by_hand all[] = {{"softmax1", w_exp, d_plus1},   {"sink", w_exp, d_sink},
                                {"sigmoids", w_sigmoid, d_one}, {"squares", w_square, d_one},
                                {"scores", w_score, d_one},     {"own", w_own, d_plus1}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    bench *b = begin(all[i].graph);
    bench_run(b, all[i].graph);
    check_by_hand(b, &all[i]);
    bench_end(b);
  }
}

static void test_few_digits(void **state) {
  (void)state;
  bench *b = begin("few_digits");
  bench_run(b, "few_digits");
  sn_text t = sn_text_begin(b->arena);
  sn_func_print(&t, b->func, (sn_print_opt){0});
  assert_non_null(strstr(t.at, ": bf16[2, 3, 2, 4]"));
  assert_non_null(strstr(t.at, ": f32[2, 3, 2, 1]"));
  assert_null(strstr(t.at, ": bf16[2, 3, 2, 1]"));
  bench_end(b);
}

/* Row t of q, k and v as the inputs of one query. */
static void give_row(bench *b, int t) {
  static const char *const whole[3] = {"q", "k", "v"}, *const one[3] = {"q1", "k1", "v1"};
  for (int i = 0; i < 3; i++) {
    double x[B * H * D];
    for (int n = 0; n < B * H * D; n++) x[n] = at4(bench_bound(b, whole[i]), n / (H * D), t, n / D % H, n % D);
    bench_give(b, one[i], B * H * D, x);
  }
  GIVE(b, "from", t);
}

static void test_normalisers_of_caches(void **state) {
  (void)state;
  static const char *const graphs[3] = {"one_row", "one_of_ring", "one_of_pages"}, *const outputs[2] = {"sink", "own"};
  bench *b = begin("all_rows|one_*");
  GIVE(b, "table", 7, 2, 0, 1, 8, 3);
  for (int i = 0; i < 3; i++)
    for (int t = 0; t < T; t++) {
      double rows[2][B * H * D];
      bench_run(b, "all_rows");
      give_row(b, t);
      for (int o = 0; o < 2; o++)
        for (int n = 0; n < B * H * D; n++)
          rows[o][n] = at4(bench_output(b, outputs[o]), n / (H * D), t, n / D % H, n % D);
      bench_run(b, graphs[i]);
      for (int o = 0; o < 2; o++) bench_expect(b, outputs[o], B * H * D, rows[o]);
    }
  bench_end(b);
}

/* One turned pair against its angle. */
static void check_pair(const bench *b, const char *name, int first, int second, double angle, int bi, int t) {
  const sn_tensor *x = bench_bound(b, "q"), *y = bench_output(b, name);
  for (int h = 0; h < H; h++) {
    double u = at4(x, bi, t, h, first), v = at4(x, bi, t, h, second);
    assert_float_equal(at4(y, bi, t, h, first), u * cos(angle) - v * sin(angle), 1e-5);
    assert_float_equal(at4(y, bi, t, h, second), v * cos(angle) + u * sin(angle), 1e-5);
  }
}

static void test_ropes(void **state) {
  (void)state;
  bench *b = begin("ropes");
  GIVE(b, "start", 0, 5);
  bench_run(b, "ropes");
  EXPECT(b, "positions", 0, 1, 2, 5, 6, 7);
  for (int n = 0; n < B * T; n++) {
    int bi = n / T, t = n % T, p = t + 5 * bi;
    check_pair(b, "half", 0, 2, p, bi, t); /* frequencies 1 and 100^(-1/2) */
    check_pair(b, "half", 1, 3, p * .1, bi, t);
    check_pair(b, "pairs", 0, 1, p, bi, t);
    check_pair(b, "pairs", 2, 3, p * .1, bi, t);
    check_pair(b, "part", 0, 1, t, bi, t);
    assert_float_equal(at4(bench_output(b, "part"), bi, t, 1, 3), at4(bench_bound(b, "q"), bi, t, 1, 3), 0);
  }
  bench_end(b);
}

static void test_mistakes(void **state) {
  (void)state;
  mistakes_check("mistakes_attention");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alibi_window), cmocka_unit_test(test_captures),
      cmocka_unit_test(test_relative),     cmocka_unit_test(test_capped),
      cmocka_unit_test(test_in_layer),     cmocka_unit_test(test_grouped),
      cmocka_unit_test(test_normalisers),  cmocka_unit_test(test_normalisers_of_caches),
      cmocka_unit_test(test_mistakes),     cmocka_unit_test(test_ropes),
      cmocka_unit_test(test_few_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
