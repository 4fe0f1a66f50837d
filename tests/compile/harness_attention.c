/* See harness_attention.h. */
#include "ir/base/rng.h" /* before sinter.h, whose macro sn_uniform has the name of a function of it */

#include "tests/compile/harness_attention.h"

#include <stdlib.h>
#include <string.h>

#include "tests/oracles/positions.h"

double *oracle_get(const oracle *o, const char *name) {
  for (int i = 0; i < o->field_count; i++)
    if (!strcmp(o->field[i].name, name)) return o->field[i].value;
  return NULL;
}

int oracle_setting(const oracle *o, const char *name, int otherwise) {
  size_t n = strlen(name);
  for (const char *at = o->set; (at = strstr(at, name)); at += n)
    if ((at == o->set || at[-1] == ' ') && at[n] == '=') return atoi(at + n + 1);
  return otherwise;
}

/* ---- softmax over what a mask lets through ----------------------------------------------------------------------- */

typedef double (*score_fn)(const oracle *o, double s, int b, int h, int i, int j);
typedef bool (*mask_fn)(const oracle *o, int b, int h, int i, int j);

/* Row (b, i, h) of [B, T, H, d]. */
static double *row(const oracle *o, double *x, int heads, int size, int b, int i, int h) {
  return x + (((size_t)b * (size_t)o->T + (size_t)i) * (size_t)heads + (size_t)h) * (size_t)size;
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* w: scores of T keys, -infinity where hidden -> y = their softmax times the values; 0 when all are hidden. */
static void weigh(const oracle *o, const double *w, double *v, int b, int g, double *y) {
  double most = -INFINITY, sum = 0;
  memset(y, 0, sizeof(double) * (size_t)o->e);
  for (int j = 0; j < o->T; j++) most = fmax(most, w[j]);
  if (most == -INFINITY) return;
  for (int j = 0; j < o->T; j++) sum += exp(w[j] - most);
  for (int j = 0; j < o->T; j++)
    for (int c = 0; c < o->e; c++) y[c] += exp(w[j] - most) / sum * row(o, v, o->G, o->e, b, j, g)[c];
}

static void attend(const oracle *o, score_fn score, mask_fn mask, double scale, double *y) {
  double w[64], *q = oracle_get(o, "q"), *k = oracle_get(o, "k"), *v = oracle_get(o, "v");
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = n / o->H % o->T, h = n % o->H, g = h / (o->H / o->G);
    for (int j = 0; j < o->T; j++) {
      double s = scale * dot(row(o, q, o->H, o->d, b, i, h), row(o, k, o->G, o->d, b, j, g), o->d);
      w[j] = mask(o, b, h, i, j) ? score(o, s, b, h, i, j) : -INFINITY;
    }
    weigh(o, w, v, b, g, y + n * o->e);
  }
}

static double plain(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)o, (void)b, (void)h, (void)i, (void)j, s;
}
static bool past(const oracle *o, int b, int h, int i, int j) { return (void)o, (void)b, (void)h, j <= i; }
static bool all(const oracle *o, int b, int h, int i, int j) {
  return (void)o, (void)b, (void)h, (void)i, (void)j, true;
}

#define MASK(name, expression)                                           \
  static bool name##_mask(const oracle *o, int b, int h, int i, int j) { \
    (void)o, (void)b, (void)h;                                           \
    return expression;                                                   \
  }                                                                      \
  static void name(const oracle *o, double *y) { attend(o, plain, name##_mask, 1 / sqrt(o->d), y); }
#define SET(name) oracle_setting(o, #name, 0)
#define AT(name, i) oracle_get(o, #name)[i]

static void causal(const oracle *o, double *y) { attend(o, plain, past, 1 / sqrt(o->d), y); }
MASK(window, SET(both) ? abs(i - j) <= SET(window) / 2 : i - SET(window) < j && j <= i)
MASK(dilated, j <= i && (i - j) % SET(step) == 0 && (i - j) / SET(step) < SET(window))
MASK(strided, j <= i && (h % 2 ? (i - j) % SET(stride) == 0 : i - j < SET(stride)))
MASK(fixed, j <= i && (h % 2 ? j % SET(block) >= SET(block) - SET(summary) : j / SET(block) == i / SET(block)))
MASK(sinks, j <= i && (i - j < SET(window) || j < SET(sinks)))
MASK(prefix, j <= i || j < AT(length, b))
MASK(documents, j <= i && AT(doc, b * o->T + i) == AT(doc, b * o->T + j))
MASK(permutation, SET(query_stream) ? AT(rank, b * o->T + j) < AT(rank, b * o->T + i)
                                    : AT(rank, b * o->T + j) <= AT(rank, b * o->T + i))

/* j is i or an ancestor of it. */
static bool tree_mask(const oracle *o, int b, int h, int i, int j) {
  (void)h;
  for (int n = i; n >= 0; n = (int)AT(parent, b * o->T + n))
    if (n == j) return true;
  return false;
}
static void tree(const oracle *o, double *y) { attend(o, plain, tree_mask, 1 / sqrt(o->d), y); }

static bool bigbird_mask(const oracle *o, int b, int h, int i, int j) {
  int size = SET(block), p = i / size, q = j / size, last = (o->T + size - 1) / size - 1;
  (void)b, (void)h;
  if (abs(p - q) <= 1 || p == 0 || q == 0 || p == last || q == last) return true;
  return AT(chosen, p * (last + 1) + q) != 0;
}
static void bigbird(const oracle *o, double *y) { attend(o, plain, bigbird_mask, 1 / sqrt(o->d), y); }

static bool longformer_mask(const oracle *o, int b, int h, int i, int j) {
  (void)b, (void)h;
  return abs(i - j) <= SET(window) / 2 || i < SET(globals) || j < SET(globals);
}
static void longformer(const oracle *o, double *y) {
  attend(o, plain, longformer_mask, 1 / sqrt(o->d), y);
  if (!SET(separate)) return;
  double w[64], *q = oracle_get(o, "q_global"), *k = oracle_get(o, "k_global"), *v = oracle_get(o, "v_global");
  for (int n = 0; n < o->B * SET(globals) * o->H; n++) {
    int b = n / (SET(globals) * o->H), i = n / o->H % SET(globals), h = n % o->H, g = h / (o->H / o->G);
    for (int j = 0; j < o->T; j++) w[j] = dot(q + n * o->d, row(o, k, o->G, o->d, b, j, g), o->d) / sqrt(o->d);
    weigh(o, w, v, b, g, row(o, y, o->H, o->e, b, i, h));
  }
}

/* ---- scores
 * ---------------------------------------------------------------------------------------------------------- */

static double alibi_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, s - positions_alibi(h, o->H) * (i - j);
}
static void alibi(const oracle *o, double *y) { attend(o, alibi_score, past, 1 / sqrt(o->d), y); }

static double kerple_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, s + positions_kerple(i - j, AT(r1, h), AT(r2, h), SET(power));
}
static void kerple(const oracle *o, double *y) { attend(o, kerple_score, past, 1 / sqrt(o->d), y); }

static double sandwich_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, s + positions_sandwich(i - j, SET(width), positions_alibi(h, o->H));
}
static void sandwich(const oracle *o, double *y) { attend(o, sandwich_score, past, 1 / sqrt(o->d), y); }

static double fire_score(const oracle *o, double s, int b, int h, int i, int j) {
  int n = SET(hidden);
  return (void)b, s + AT(out, h) +
                      positions_fire(i - j, i, fabs(AT(c, 0)), fabs(AT(L, 0)), n, oracle_get(o, "up"),
                                     oracle_get(o, "bias"), oracle_get(o, "down") + h * n);
}
static void fire(const oracle *o, double *y) { attend(o, fire_score, past, 1 / sqrt(o->d), y); }

static double t5_score(const oracle *o, double s, int b, int h, int i, int j) {
  int bucket = positions_bucket(i - j, SET(buckets), SET(far), SET(both));
  return (void)b, s + AT(relative_attention_bias, h * SET(buckets) + bucket);
}
static void t5(const oracle *o, double *y) { attend(o, t5_score, SET(both) ? all : past, 1, y); }

static double softcap_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, (void)h, (void)i, (void)j, SET(cap) * tanh(s / SET(cap));
}
static void softcap(const oracle *o, double *y) { attend(o, softcap_score, past, 1 / sqrt(o->d), y); }

static void unit(double *x, int rows, int n) {
  for (int r = 0; r < rows; r++) {
    double length = sqrt(dot(x + r * n, x + r * n, n) + 1e-6);
    for (int i = 0; i < n; i++) x[r * n + i] /= length;
  }
}

static double *copy(const double *x, int count) {
  double *y = malloc(sizeof *y * (size_t)count);
  return memcpy(y, x, sizeof *y * (size_t)count);
}

static oracle_field *field(oracle *o, const char *name) {
  for (int i = 0; i < o->field_count; i++)
    if (!strcmp(o->field[i].name, name)) return &o->field[i];
  return NULL;
}

static double temperature_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, (void)i, (void)j, s * AT(g, h);
}
static void temperature(const oracle *given, double *y) {
  oracle o = *given;
  oracle_field *q = field(&o, "q"), *k = field(&o, "k");
  unit(q->value = copy(q->value, q->count), q->count / o.d, o.d);
  unit(k->value = copy(k->value, k->count), k->count / o.d, o.d);
  attend(&o, temperature_score, past, 1, y);
  free(q->value);
  free(k->value);
}

/* Weights of the keys up to i: exp(s) over the sum and that of the sink; or sigmoids. */
static void weights(const oracle *o, bool sigmoid, double *y) {
  double *q = oracle_get(o, "q"), *k = oracle_get(o, "k"), *v = oracle_get(o, "v"), *sinks = oracle_get(o, "sinks");
  memset(y, 0, sizeof *y * (size_t)(o->B * o->T * o->H * o->e));
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = n / o->H % o->T, h = n % o->H, g = h / (o->H / o->G);
    double w[64], sum = exp(sinks ? sinks[h] : 0);
    for (int j = 0; j <= i; j++) {
      double s = dot(q + n * o->d, row(o, k, o->G, o->d, b, j, g), o->d) / sqrt(o->d);
      sum += w[j] = exp(s);
      if (sigmoid) w[j] = 1 / (1 + o->T * exp(-s));
    }
    for (int j = 0; j <= i; j++)
      for (int c = 0; c < o->e; c++) y[n * o->e + c] += w[j] / (sigmoid ? 1 : sum) * row(o, v, o->G, o->e, b, j, g)[c];
  }
}
static void softmax1(const oracle *o, double *y) { weights(o, false, y); }
static void sigmoid(const oracle *o, double *y) { weights(o, true, y); }

/* Forget gates after j up to i. */
static double fox_score(const oracle *o, double s, int b, int h, int i, int j) {
  for (int l = j + 1; l <= i; l++) s -= log(1 + exp(-AT(gate, (b * o->T + l) * o->H + h)));
  return s;
}
static void fox(const oracle *o, double *y) { attend(o, fox_score, past, 1 / sqrt(o->d), y); }

static double ssmax_score(const oracle *o, double s, int b, int h, int i, int j) {
  return (void)b, (void)j, AT(s, h) * log(i + 1) * s;
}
static void ssmax(const oracle *o, double *y) { attend(o, ssmax_score, past, 1 / sqrt(o->d), y); }

/* As the paper's equation says it. */
static void softpick(const oracle *o, double *y) {
  double *q = oracle_get(o, "q"), *k = oracle_get(o, "k"), *v = oracle_get(o, "v");
  memset(y, 0, sizeof *y * (size_t)(o->B * o->T * o->H * o->e));
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = n / o->H % o->T, h = n % o->H, g = h / (o->H / o->G);
    double w[64], sum = 0;
    for (int j = 0; j <= i; j++) {
      w[j] = exp(dot(q + n * o->d, row(o, k, o->G, o->d, b, j, g), o->d) / sqrt(o->d)) - 1;
      sum += fabs(w[j]);
    }
    for (int j = 0; j <= i; j++)
      for (int c = 0; w[j] > 0 && c < o->e; c++) y[n * o->e + c] += w[j] / sum * row(o, v, o->G, o->e, b, j, g)[c];
  }
}

/* The product of q_i with the mean key of a block that lies before it. */
static double moba_gate(const oracle *o, int b, int h, int i, int block) {
  double sum = 0;
  for (int j = block * SET(block); j < (block + 1) * SET(block); j++)
    sum += dot(row(o, oracle_get(o, "q"), o->H, o->d, b, i, h),
               row(o, oracle_get(o, "k"), o->G, o->d, b, j, h / (o->H / o->G)), o->d) /
           SET(block);
  return sum;
}
static bool moba_mask(const oracle *o, int b, int h, int i, int j) {
  int own = i / SET(block), block = j / SET(block), better = 0;
  if (j > i || block == own) return j <= i;
  for (int n = 0; n < own; n++) better += moba_gate(o, b, h, i, n) > moba_gate(o, b, h, i, block);
  return better < SET(top) - 1;
}
static void moba(const oracle *o, double *y) { attend(o, plain, moba_mask, 1 / sqrt(o->d), y); }

/* ---- compositions
 * ------------------------------------------------------------------------------------------------------ */

/* The k-th largest of what is seen is the least that counts. */
static void topk(const oracle *o, double *y) {
  double w[64], *q = oracle_get(o, "q"), *k = oracle_get(o, "k"), *v = oracle_get(o, "v");
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = n / o->H % o->T, h = n % o->H;
    for (int j = 0; j < o->T; j++)
      w[j] =
          j <= i ? dot(row(o, q, o->H, o->d, b, i, h), row(o, k, o->H, o->d, b, j, h), o->d) / sqrt(o->d) : -INFINITY;
    double best[64];
    memcpy(best, w, sizeof best);
    for (int j = 0; j < o->T; j++) {
      int above = 0;
      for (int m = 0; m < o->T; m++) above += best[m] > best[j];
      if (above >= SET(keys)) w[j] = -INFINITY;
    }
    weigh(o, w, v, b, h, y + n * o->e);
  }
}

/* The centroid nearest to the row less its mean, over its deviation. */
static int nearest(const oracle *o, const double *x, int h) {
  int best = 0, count = SET(clusters);
  double mean = 0, most = -INFINITY, var = 0, *mu = oracle_get(o, "centroids");
  for (int c = 0; c < o->d; c++) mean += x[c] / o->d;
  for (int c = 0; c < o->d; c++) var += (x[c] - mean) * (x[c] - mean) / o->d;
  for (int m = 0; m < count; m++) {
    double s = 0;
    for (int c = 0; c < o->d; c++) s += (x[c] - mean) / sqrt(var + 1e-5) * mu[(h * count + m) * o->d + c];
    if (s > most) most = s, best = m;
  }
  return best;
}
static bool routing_mask(const oracle *o, int b, int h, int i, int j) {
  if (j > i) return false;
  return nearest(o, row(o, oracle_get(o, "q"), o->H, o->d, b, i, h), h) ==
         nearest(o, row(o, oracle_get(o, "k"), o->H, o->d, b, j, h), h);
}
static void routing(const oracle *o, double *y) { attend(o, plain, routing_mask, 1 / sqrt(o->d), y); }

/* Buckets of one head in one round, and the chunk that each row comes to lie in. */
static void hash(const oracle *o, double *q, int b, int h, int r, int *bucket, int *chunk) {
  int m = SET(buckets) / 2;
  const double *R = oracle_get(o, "rotation") + (size_t)r * (size_t)(o->d * m);
  for (int i = 0; i < o->T; i++) {
    double most = -INFINITY;
    for (int n = 0; n < 2 * m; n++) {
      double s = 0;
      for (int c = 0; c < o->d; c++) s += row(o, q, o->H, o->d, b, i, h)[c] * R[c * m + n % m];
      if (n >= m) s = -s;
      if (s > most) most = s, bucket[i] = n;
    }
  }
  for (int i = 0; i < o->T; i++) {
    int before = 0;
    for (int j = 0; j < o->T; j++) before += bucket[j] < bucket[i] || (bucket[j] == bucket[i] && j < i);
    chunk[i] = before / SET(chunk);
  }
}

/* Every pair of the union counts once. */
static void lsh_head(const oracle *o, double *q, double *v, int b, int h, double *y) {
  int bucket[8][64], chunk[8][64];
  for (int r = 0; r < SET(rounds); r++) hash(o, q, b, h, r, bucket[r], chunk[r]);
  for (int i = 0; i < o->T; i++) {
    double w[64], *qi = row(o, q, o->H, o->d, b, i, h);
    for (int j = 0; j < o->T; j++) {
      const double *qj = row(o, q, o->H, o->d, b, j, h);
      w[j] = -INFINITY;
      for (int r = 0; r < SET(rounds); r++)
        if (j <= i && bucket[r][i] == bucket[r][j] && chunk[r][i] - chunk[r][j] <= 1)
          w[j] = dot(qi, qj, o->d) / sqrt(dot(qj, qj, o->d) + 1e-6) / sqrt(o->d) - (i == j ? 1e3 : 0);
    }
    weigh(o, w, v, b, h, row(o, y, o->H, o->e, b, i, h));
  }
}
static void lsh(const oracle *o, double *y) {
  double *q = oracle_get(o, "q"), *v = oracle_get(o, "v");
  for (int b = 0; b < o->B; b++)
    for (int h = 0; h < o->H; h++) lsh_head(o, q, v, b, h, y);
}

/* phi(x) . phi(y) of the feature maps */
static double kernel(const oracle *o, const double *x, const double *y) {
  double sum = 0, s = dot(x, y, o->d);
  if (SET(map) == 2) return 1 + s / sqrt(o->d) + s * s / o->d / 2;
  if (SET(map) == 1) return s;
  for (int c = 0; c < o->d; c++) sum += (x[c] > 0 ? x[c] + 1 : exp(x[c])) * (y[c] > 0 ? y[c] + 1 : exp(y[c]));
  return sum;
}
static double random_kernel(const oracle *o, const double *x, const double *y) {
  int m = SET(blocks) * o->d;
  double sum = 0, scale = 1 / sqrt(sqrt(o->d)), norms = (dot(x, x, o->d) + dot(y, y, o->d)) / 2 / sqrt(o->d);
  for (int n = 0; n < m; n++) {
    const double *w = oracle_get(o, "directions") + n * o->d;
    sum += exp(scale * dot(w, x, o->d) + scale * dot(w, y, o->d) - norms) / m;
  }
  return sum;
}

static void by_kernel(const oracle *o, double (*k)(const oracle *, const double *, const double *), bool normalised,
                      double *y) {
  double *q = oracle_get(o, "q"), *key = oracle_get(o, "k"), *v = oracle_get(o, "v");
  memset(y, 0, sizeof *y * (size_t)(o->B * o->T * o->H * o->e));
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = n / o->H % o->T, h = n % o->H;
    double sum = 0, *out = y + n * o->e;
    for (int j = 0; j < (SET(both) ? o->T : i + 1); j++) {
      double w = k(o, row(o, q, o->H, o->d, b, i, h), row(o, key, o->H, o->d, b, j, h));
      sum += w;
      for (int c = 0; c < o->e; c++) out[c] += w * row(o, v, o->H, o->e, b, j, h)[c];
    }
    for (int c = 0; normalised && c < o->e; c++) out[c] /= sum;
  }
}
static void linear(const oracle *o, double *y) { by_kernel(o, kernel, SET(map) != 1, y); }
static void favor(const oracle *o, double *y) { by_kernel(o, random_kernel, true, y); }

/* Half n of the components of every row. */
static double *half(const double *x, int count, int d, int n) {
  double *y = malloc(sizeof *y * (size_t)count / 2);
  for (int i = 0; i < count / 2; i++) y[i] = x[i / d * 2 * d + n * d + i % d];
  return y;
}
static void differential(const oracle *given, double *y) {
  oracle o = *given;
  const oracle_field q = *field(&o, "q"), k = *field(&o, "k");
  int count = o.B * o.T * o.H * o.e;
  double *part[2];
  for (int n = 0; n < 2; n++) {
    part[n] = malloc(sizeof **part * (size_t)count);
    field(&o, "q")->value = half(q.value, q.count, o.d, n);
    field(&o, "k")->value = half(k.value, k.count, o.d, n);
    attend(&o, plain, past, 1 / sqrt(o.d), part[n]);
    free(field(&o, "q")->value);
    free(field(&o, "k")->value);
  }
  double l = .8 + exp(dot(oracle_get(&o, "lambda_q1"), oracle_get(&o, "lambda_k1"), o.d)) -
             exp(dot(oracle_get(&o, "lambda_q2"), oracle_get(&o, "lambda_k2"), o.d));
  for (int i = 0; i < count; i++) y[i] = part[0][i] - l * part[1][i];
  for (int r = 0; r < count / o.e; r++) {
    double scale = .2 / sqrt(dot(y + r * o.e, y + r * o.e, o.e) / o.e + 1e-5);
    for (int c = 0; c < o.e; c++) y[r * o.e + c] *= scale;
  }
  free(part[0]);
  free(part[1]);
}

/* Pairs (0, 1), (2, 3), .. turned by position times 10000^(-2 n / d). */
static void turn(double *x, int d, int position) {
  for (int n = 0; n < d / 2; n++) {
    double a = position * pow(1e4, -2. * n / d), u = x[2 * n], w = x[2 * n + 1];
    x[2 * n] = u * cos(a) - w * sin(a);
    x[2 * n + 1] = w * cos(a) + u * sin(a);
  }
}
static void mla(const oracle *o, double *y) {
  int P = SET(nope), R = SET(rope), L = SET(latent), E = SET(value), d = P + R;
  double *q = oracle_get(o, "q"), *c = oracle_get(o, "latent"), *kr = oracle_get(o, "k_rope");
  double *up_k = oracle_get(o, "up_k"), *up_v = oracle_get(o, "up_v");
  oracle at = *o;
  at.d = d;
  at.e = E;
  at.G = o->H;
  int rows = o->B * o->T * o->H;
  double *qq = copy(q, rows * d), *k = calloc((size_t)(rows * d), sizeof *k),
         *v = calloc((size_t)(rows * E), sizeof *v);
  for (int n = 0; n < rows; n++) {
    int bt = n / o->H, h = n % o->H, i = bt % o->T;
    turn(qq + n * d + P, R, i);
    for (int p = 0; p < P; p++)
      for (int l = 0; l < L; l++) k[n * d + p] += c[bt * L + l] * up_k[(h * L + l) * P + p];
    memcpy(k + n * d + P, kr + bt * R, sizeof *k * (size_t)R);
    turn(k + n * d + P, R, i);
    for (int p = 0; p < E; p++)
      for (int l = 0; l < L; l++) v[n * E + p] += c[bt * L + l] * up_v[(h * L + l) * E + p];
  }
  oracle_field made[3] = {{"q", rows * d, qq}, {"k", rows * d, k}, {"v", rows * E, v}};
  memcpy(at.field, made, sizeof made);
  at.field_count = 3;
  attend(&at, plain, past, 1 / sqrt(d), y);
  free(qq);
  free(k);
  free(v);
}

/* Keys of `memory` rows more than queries; r_n = W' R_n, R_n the sinusoids of n. */
static void xl(const oracle *o, double *y) {
  int M = SET(memory), S = M + o->T, d = o->d, width = SET(width);
  double w[64], R[64], r[64], *q = oracle_get(o, "q"), *k = oracle_get(o, "k"), *W = oracle_get(o, "r_net.weight");
  oracle keys = *o;
  keys.T = S;
  for (int n = 0; n < o->B * o->T * o->H; n++) {
    int b = n / (o->T * o->H), i = M + n / o->H % o->T, h = n % o->H;
    for (int j = 0; j < S; j++) {
      for (int m = 0; m < width / 2; m++) {
        R[2 * m] = sin((i - j) * pow(1e4, -2. * m / width));
        R[2 * m + 1] = cos((i - j) * pow(1e4, -2. * m / width));
      }
      double s = 0;
      for (int c = 0; c < d; c++) {
        r[c] = 0;
        for (int m = 0; m < width; m++) r[c] += R[m] * W[(m * o->H + h) * d + c];
        s += (q[n * d + c] + AT(r_w_bias, h * d + c)) * row(&keys, k, o->H, d, b, j, h)[c];
        s += (q[n * d + c] + AT(r_r_bias, h * d + c)) * r[c];
      }
      w[j] = j <= i ? s / sqrt(d) : -INFINITY;
    }
    weigh(&keys, w, oracle_get(o, "v"), b, h, y + n * o->e);
  }
}

/* ---- all of them
 * --------------------------------------------------------------------------------------------------------- */

const attention_variant attention_variants[] = {
    {&sn_model_causal, "", causal, 0, 0},
    {&sn_model_window, "window=3", window, 0, 0},
    {&sn_model_window, "window=4 both=1", window, 0, 0},
    {&sn_model_dilated, "window=3 step=2", dilated, 0, 0},
    {&sn_model_strided, "stride=3", strided, 0, 0},
    {&sn_model_fixed, "block=4 summary=1", fixed, 0, 0},
    {&sn_model_bigbird, "block=1 random=2", bigbird, 0, 0},
    {&sn_model_longformer, "window=2 globals=2", longformer, 3, 0},
    {&sn_model_longformer, "window=2 globals=1 separate=1", longformer, 2, 0},
    {&sn_model_sinks, "window=3 sinks=2", sinks, 0, 0},
    {&sn_model_prefix, "", prefix, 0, 0},
    {&sn_model_documents, "", documents, 0, 0},
    {&sn_model_alibi, "", alibi, 0, 0},
    {&sn_model_kerple, "", kerple, 0, 0},
    {&sn_model_kerple, "power=1", kerple, 0, 0},
    {&sn_model_sandwich, "width=6", sandwich, 0, 0},
    {&sn_model_fire, "hidden=3", fire, 0, 0},
    {&sn_model_t5, "buckets=6 far=8", t5, 0, 0},
    {&sn_model_t5, "buckets=8 far=6 both=1", t5, 0, 0},
    {&sn_model_softcap, "cap=2", softcap, 0, 0},
    {&sn_model_temperature, "", temperature, 0, 0},
    {&sn_model_softmax1, "", softmax1, 0, 0},
    {&sn_model_softmax1, "learned=1", softmax1, 0, 0},
    {&sn_model_sigmoid, "", sigmoid, 0, 0},
    {&sn_model_tree, "", tree, 0, 0},
    {&sn_model_permutation, "", permutation, 0, 0},
    {&sn_model_permutation, "query_stream=1", permutation, 0, 0},
    {&sn_model_xl, "memory=3 width=6", xl, 0, ONE_KV},
    {&sn_model_mla, "nope=5 rope=4 value=6 latent=7", mla, 0, LATENT},
    {&sn_model_mla, "nope=4 rope=2 value=5 latent=8 absorbed=1", mla, 0, LATENT},
    {&sn_model_topk, "keys=3", topk, 0, ONE_KV},
    {&sn_model_routing, "clusters=3", routing, 0, ONE_KV},
    {&sn_model_lsh, "buckets=4 rounds=2 chunk=4", lsh, 0, ONE_KV},
    {&sn_model_linear, "", linear, 0, ONE_KV},
    {&sn_model_linear, "map=1", linear, 0, ONE_KV},
    {&sn_model_linear, "map=2 both=1", linear, 0, ONE_KV},
    {&sn_model_favor, "blocks=2", favor, 0, ONE_KV},
    {&sn_model_differential, "", differential, 0, 0},
    {&sn_model_fox, "", fox, 0, 0},
    {&sn_model_softpick, "", softpick, 0, 0},
    {&sn_model_moba, "block=2 top=3", moba, 0, 0},
    {&sn_model_moba, "block=3 top=2", moba, 0, 0},
    {&sn_model_ssmax, "", ssmax, 0, 0},
};
const int attention_variant_count = sizeof attention_variants / sizeof *attention_variants;

/* ---- cases ---- */

oracle attention_case(const attention_variant *v, uint64_t seed, sn_arena *arena) {
  static const int heads[] = {1, 2, 3, 4, 6}, sizes[] = {2, 3, 4, 5, 8, 16};
  sn_rng r = {.seed = seed};
  oracle o = {.B = 1 + (int)sn_rng_below(&r, 2), .H = heads[sn_rng_below(&r, 5)], .d = sizes[sn_rng_below(&r, 6)]};
  do o.G = 1 + (int)sn_rng_below(&r, (uint64_t)o.H);
  while (o.H % o.G);
  o.T = 1 + (int)sn_rng_below(&r, 11);
  if (o.T < v->least) o.T = v->least;
  if (v->flags & (ONE_KV | LATENT)) o.G = o.H;
  o.set = sn_arena_printf(arena, "heads=%d context=64 %s", o.H, v->set);
  o.e = o.d;
  if (v->flags & LATENT) o.e = oracle_setting(&o, "value", 0);
  if (!(v->flags & LATENT)) o.set = sn_arena_printf(arena, "head=%d %s", o.d, o.set);
  if (!(v->flags & (ONE_KV | LATENT))) o.set = sn_arena_printf(arena, "kv_heads=%d %s", o.G, o.set);
  if (!strcmp(v->model->name, "differential")) o.e = 2 * o.d;
  return o;
}

void attention_dims(const sn_types *types, const oracle *o, int64_t *dims) {
  const char *const names[2] = {"B", "T"};
  const int values[2] = {o->B, o->T};
  for (int i = 0; i < 2; i++) {
    const sn_dimx *d = sn_dimx_find_symbol(types, names[i]);
    if (d) dims[sn_dimx_symbol_index(d)] = values[i];
  }
}
