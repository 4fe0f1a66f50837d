/* pos.t5: learned numbers by head and bucket of the distance, added to scores: buckets of one distance each, then
 * logarithmic; one table for all layers.   Raffel et al. 2020, section 2.1; the book's form: B8.79 */
#include <stdio.h>
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/params.h"
#include "tests/oracles/positions.h"

extern const sn_model sn_model_t5, sn_model_t5_model;

enum { FAR = 160 /* distances looked at */ };

/* A head of size d. Bucket b's number is b / 8, so that biases tell buckets. */
static net *numbered(recipe *r, const char *set, int d) {
  int64_t count = 0;
  char *all = recipe_alloc(r, 128);
  snprintf(all, 128, "heads=1 head=%d %s", d, set);
  net *n = recipe_net_as(r, &sn_model_t5, (sn_compile_opt){.graphs = "forward", .set = all});
  float *number = net_values(n, "relative_attention_bias", &count);
  for (int b = 0; b < count; b++) number[b] = (float)b / 8;
  net_changed(n);
  return net_as(n, &(sn_compile_opt){.real = "f64"});
}

/* Those of distances 0 .. length - 1, of keys before the query (way 1) or behind it. */
static void buckets(recipe *r, const char *set, int length, int way, int *out) {
  double *bias = recipe_alloc(r, sizeof *bias * (size_t)(length * length));
  pos_biases(r, numbered(r, set, length), 1, length, bias);
  for (int d = 0; d < length; d++)
    out[d] = (int)lround(8 * (way > 0 ? bias[(length - 1) * length + length - 1 - d] : bias[d]));
}

enum { SOME = 64, LONG = 1100 };

/* Those of some distances, the first of them 0, of the last of LONG queries: values of their keys are rows of the
 * identity. */
static void buckets_at(recipe *r, const char *set, int count, const int *distance, int *out) {
  double *v = recipe_alloc(r, sizeof *v * LONG * SOME);
  for (int k = 0; k < count; k++) v[(LONG - 1 - distance[k]) * SOME + k] = 1;
  const double *y = pos_attend(numbered(r, set, SOME), "forward", (pos_heads){LONG, 1, SOME, .v = v}, "y");
  for (int k = 0; k < count && y; k++) out[k] = (int)lround(8 * log(y[(LONG - 1) * SOME + k] / y[(LONG - 1) * SOME]));
}

/* The book's form to 1024: bucket 16 + k begins at 16 64^(k / 16), which is 1024 for the last. Figure B8.10 says 34 and
 * 802, which does not follow. */
static void book_far(recipe *r) {
  int distance[SOME] = {0, 33, 34, 801, 802, LONG - 1}, want[SOME] = {0, 18, 18, 31, 31, 32}, count = 6;
  int found[SOME] = {0}, bad = 0, figure[SOME], bad_figure = 0;
  for (int k = 0; k <= 16; k++) {
    int first = (int)ceil(pow(2, 4 + 3 * k / 8.) - 1e-9);
    distance[count] = first - 1, want[count++] = 15 + k;
    distance[count] = first, want[count++] = 16 + k;
  }
  memcpy(figure, want, sizeof figure);
  figure[2] = 19, figure[4] = 32;
  buckets_at(r, "buckets=32 far=1024 book=1", count, distance, found);
  for (int k = 0; k < count; k++) bad += found[k] != want[k], bad_figure += found[k] != figure[k];
  recipe_at_most(r, EXACT, "the book's form to 1024: ends of buckets, 790, 1024", bad, 0);
  recipe_at_most(r, CONTROL, "the book's form to 1024: figure B8.10's 34 and 802", bad_figure, 0);
}

/* Distances whose bucket is not the table's: `exact` single ones, then the first distance of each further bucket. */
static double wrong(int length, const int *found, int exact, int further, const int *first, int plus) {
  int bad = 0, bucket = exact - 1;
  for (int d = 0; d < length; d++) {
    int next = bucket - exact + 1;
    if (d >= exact && next < further && d == first[next]) bucket++;
    bad += found[d] != (d < exact ? d : bucket) + (d ? plus : 0);
  }
  return bad;
}

/* Section 14 of SYSTEMS. */
static void tables(recipe *r) {
  static const int causal[] = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
  static const int both[] = {8, 12, 16, 23, 32, 46, 64, 91}, book[] = {16, 21, 27};
  int found[FAR];
  buckets(r, "buckets=32 far=128", FAR, 1, found);
  recipe_at_most(r, EXACT, "causal, 32 buckets to 128: distances in another bucket",
                 wrong(FAR, found, 16, 16, causal, 0), 0);
  recipe_at_most(r, CONTROL, "causal, 32 buckets to 128: the buckets of both directions",
                 wrong(FAR, found, 8, 8, both, 0), 0);
  buckets(r, "buckets=32 far=128 both=1", FAR, 1, found);
  recipe_at_most(r, EXACT, "both directions, keys before the query", wrong(FAR, found, 8, 8, both, 0), 0);
  buckets(r, "buckets=32 far=128 both=1", FAR, -1, found);
  recipe_at_most(r, EXACT, "both directions, keys behind the query", wrong(FAR, found, 8, 8, both, 16), 0);
  buckets(r, "buckets=32 far=1024 book=1", 35, 1, found);
  recipe_at_most(r, EXACT, "the book's form, 33 buckets to 1024", wrong(35, found, 16, 3, book, 0), 0);
  book_far(r);
  int bad = 0;
  buckets(r, "buckets=32 far=128 book=1", FAR, 1, found);
  for (int d = 0; d < FAR; d++) bad += found[d] != positions_book_bucket(d, 32, 128);
  recipe_at_most(r, EXACT, "the book's form, 33 buckets to 128: to the last bucket", bad, 0);
}

/* Figure B8.11 (a), 3 + 1 buckets to 5, as a matrix of queries and keys. */
static void figure(recipe *r) {
  static const int want[8][8] = {{0},
                                 {1, 0},
                                 {2, 1, 0},
                                 {2, 2, 1, 0},
                                 {3, 2, 2, 1, 0},
                                 {3, 3, 2, 2, 1, 0},
                                 {3, 3, 3, 2, 2, 1, 0},
                                 {3, 3, 3, 3, 2, 2, 1, 0}};
  int found[8], bad = 0;
  buckets(r, "buckets=3 far=5 book=1", 8, 1, found);
  for (int i = 0; i < 8; i++)
    for (int j = 0; j <= i; j++) bad += found[i - j] != want[i][j] || positions_book_bucket(i - j, 3, 5) != want[i][j];
  recipe_at_most(r, EXACT, "figure B8.11 (a): entries that differ", bad, 0);
}

/* ---- the gradient of the table ----------------------------------------------------------------------------------- */

enum { T = 24, H = 2, D = 4, BUCKETS = 6, LAST = 8 };

/* Sums over the pairs of a bucket of the derivative by their score, p_j (w . v_j - sum of p w . v). */
static void sums(const pos_heads *x, const float *table, double *out) {
  for (int n = 0; n < T * H; n++) {
    int i = n / H, h = n % H;
    double p[T], g[T], total = 0, mean = 0;
    for (int j = 0; j <= i; j++) {
      double bias = (double)table[h * BUCKETS + positions_bucket(i - j, BUCKETS, LAST, false)];
      total += p[j] = exp(pos_dot(D, x->q + n * D, x->k + (j * H + h) * D) + bias);
      g[j] = pos_dot(D, x->w + n * D, x->v + (j * H + h) * D);
    }
    for (int j = 0; j <= i; j++) mean += p[j] / total * g[j];
    for (int j = 0; j <= i; j++)
      out[h * BUCKETS + positions_bucket(i - j, BUCKETS, LAST, false)] += p[j] / total * (g[j] - mean);
  }
}

static void gradient(recipe *r) {
  double q[T * H * D], k[T * H * D], v[T * H * D], w[T * H * D], want[H * BUCKETS] = {0};
  pos_heads x = {T, H, D, q, k, v, w};
  pos_draw(r, 1, T * H * D, q), pos_draw(r, 2, T * H * D, k), pos_draw(r, 3, T * H * D, v),
      pos_draw(r, 4, T * H * D, w);
  net *n = recipe_net(r, &sn_model_t5, "gradients", "heads=%d head=%d buckets=%d far=%d", H, D, BUCKETS, LAST);
  const float *table = net_values(n, "relative_attention_bias", NULL);
  if (table) sums(&x, table, want);
  const double *wide =
      pos_attend(net_as(n, &(sn_compile_opt){.real = "f64"}), "gradients", x, "grad.relative_attention_bias");
  recipe_at_most(r, EXACT, "gradient of the table: sums over the pairs of a bucket, f64",
                 recipe_difference(H * BUCKETS, wide, want), 1e-10);
  recipe_at_most(r, EXACT, "gradient of the table: sums over the pairs of a bucket, f32",
                 recipe_difference(H * BUCKETS, pos_attend(n, "gradients", x, "grad.relative_attention_bias"), want),
                 2e-4 * sqrt(T * T));
}

/* ---- in the model ------------------------------------------------------------------------------------------------ */

enum { TOKENS = 40, VOCAB = 8 };

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  draws d = draws_of(seed, 0x7435, index);
  (void)data;
  *(int32_t *)port[1] = TOKENS;
  for (int i = 0; i < TOKENS; i++)
    ((int32_t *)port[0])[i] = draws_below(&d, VOCAB), ((int32_t *)port[2])[i] = draws_below(&d, VOCAB);
}

static int as_encoder(int d, int buckets, int far, bool both) {
  return (void)both, positions_bucket(d, buckets, far, true);
}
/* As figure B8.10: up to `far`, one ratio more. */
static int as_figure(int d, int buckets, int far, bool both) {
  int half = both ? buckets / 2 : buckets, exact = half / 2, first = both && d < 0 ? half : 0;
  d = d < 0 ? -d : d;
  if (d < exact) return first + d;
  int b = exact + (int)(log((double)d / exact) / log((double)far / exact) * (half - exact + 1));
  return first + (b < half - 1 ? b : half - 1);
}

/* Both stacks of models/t5.c, two layers each: one table for both, scores that are not scaled. */
static void stacks(recipe *r) {
  loops_t5 c = {2, 2, 4, 8, 16, 8, 20, VOCAB, positions_bucket};
  feed f = {{{"source", {1, TOKENS}}, {"source_length", {1}}, {"tokens", {1, TOKENS}}}, fill, NULL};
  net *n = recipe_net(r, &sn_model_t5_model, "logits",
                      "layers=2 heads=2 head=4 width=8 hidden=16 buckets=8 far=20 context=%d vocab=%d", TOKENS, VOCAB);
  recipe_at_most(r, EXACT, "T5, distances to 39 and far 20, against nested loops, f64", loops_t5_apart(r, n, &c, &f),
                 1e-10);
  c.bucket = as_encoder;
  recipe_at_most(r, CONTROL, "a decoder with the encoder's buckets: the same", loops_t5_apart(r, n, &c, &f), 1e-10);
  c.bucket = as_figure;
  recipe_at_most(r, CONTROL, "buckets in the ratio of figure B8.10: the same", loops_t5_apart(r, n, &c, &f), 1e-10);
}

/* Nothing is allocated. */
static void counts(recipe *r) {
  const char *small = "layers=6 heads=8 head=64 width=512 hidden=2048 vocab=32128 context=512";
  double off =
      (double)(recipe_parameters(r, &sn_model_t5_model, "eval_pairs", small) - params_find("t5-small")->published);
  recipe_at_most(r, EXACT, "parameters of T5-small, against those published", fabs(off), 0);
}

static void t5(recipe *r) {
  tables(r);
  figure(r);
  gradient(r);
  stacks(r);
  counts(r);
}

RECIPES(pos_t5, {"pos.t5", 11, "T5's numbers by bucket of the distance: tables and gradient", t5,
                 "buckets of the published code and of the book (positions.h); published counts (params.h)"});
