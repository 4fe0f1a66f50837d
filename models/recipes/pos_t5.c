/* pos.t5: learned numbers by head and bucket of the distance, added to scores: buckets of one distance each, then
 * logarithmic; one table for all layers.   Raffel et al. 2020, section 2.1; the book's form: B8.79 */
#include <stdio.h>

#include "models/recipes/pos.h"
#include "tests/oracles/params.h"
#include "tests/oracles/positions.h"

extern const sn_model sn_model_t5, sn_model_t5_model;

enum { FAR = 160 /* distances looked at */ };

/* Bucket b's number is b / 8, so that biases tell buckets. -> those of distances 0 .. length - 1, of keys before the
 * query (way 1) or behind it */
static void buckets(recipe *r, const char *set, int length, int way, int *out) {
  int64_t count = 0;
  char *all = recipe_alloc(r, 128);
  snprintf(all, 128, "heads=1 head=%d %s", length, set);
  net *n = recipe_net_as(r, &sn_model_t5, (sn_compile_opt){.graphs = "forward", .set = all});
  float *number = net_values(n, "relative_attention_bias", &count);
  for (int b = 0; b < count; b++) number[b] = (float)b / 8;
  net_changed(n);
  double *bias = recipe_alloc(r, sizeof *bias * (size_t)(length * length));
  pos_biases(r, net_as(n, &(sn_compile_opt){.real = "f64"}), 1, length, bias);
  for (int d = 0; d < length; d++)
    out[d] = (int)lround(8 * (way > 0 ? bias[(length - 1) * length + length - 1 - d] : bias[d]));
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

/* Nothing is allocated. */
static void counts(recipe *r) {
  const char *small = "layers=6 heads=8 head=64 width=512 hidden=2048 vocab=32128 context=512";
  double off = (double)(recipe_parameters(r, &sn_model_t5_model, "eval", small) - params_find("t5-small")->published);
  recipe_at_most(r, EXACT, "parameters of T5-small, against those published", fabs(off), 0);
}

static void t5(recipe *r) {
  tables(r);
  figure(r);
  gradient(r);
  counts(r);
}

RECIPES(pos_t5, {"pos.t5", 11, "T5's numbers by bucket of the distance: tables and gradient", t5,
                 "buckets of the published code and of the book (positions.h); published counts (params.h)"});
