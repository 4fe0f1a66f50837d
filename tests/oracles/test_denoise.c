/* Denoising losses against enumeration of every text and everything that can have happened to it. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/corrupt.h"
#include "tests/oracles/denoise.h"
#include "tests/oracles/draws.h"

enum { N = 6, V = 3, TEXTS = 729 };

static void text_of(int number, int *x) {
  for (int t = 0; t < N; t++, number /= V) x[t] = number % V;
}

static double prior(const hmm *h, const int *x) { return exp(hmm_filter(h, N, x, NULL, NULL)); }

/* -log of p(x_0..x_t, seen) / p(x_0..x_t-1, seen), with law[number] = p(text, seen). */
static void check_texts(const double *law, const int *x, const double *loss) {
  for (int t = 0; t < N; t++) {
    double with = 0, before = 0;
    for (int k = 0; k < TEXTS; k++) {
      int other[N];
      text_of(k, other);
      int same = memcmp(other, x, (size_t)t * sizeof *x) == 0;
      before += same ? law[k] : 0;
      with += same && other[t] == x[t] ? law[k] : 0;
    }
    assert_near(loss[t], -log(with / before), 1e-11);
  }
}

static void deletion_is_enumeration(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 6; seed++) {
    hmm h = hmm_make(seed, 3, V, 0.3);
    int x[N], y[N], m = 0;
    hmm_sample(&h, 1, seed, N, x, NULL);
    for (int t = 0; t < N; t++) {
      if (t != (int)seed && t != 3) y[m++] = x[t];
    }
    double law[TEXTS], loss[N];
    for (int k = 0; k < TEXTS; k++) {
      int other[N];
      text_of(k, other);
      law[k] = prior(&h, other) * corrupt_deletions(N, other, m, y);
    }
    denoise_deletion_loss(&h, N, x, m, y, loss);
    check_texts(law, x, loss);
  }
}

static void spans_have_numbers(void **state) {
  (void)state;
  assert_int_equal(denoise_spans_many(10, 4, 2), 3 * 5);
  int seen[1024] = {0};
  for (int k = 0; k < 15; k++) {
    denoise_spans s = denoise_spans_number(10, 4, 2, k);
    assert_int_equal(s.hidden[0] + s.hidden[1], 4);
    assert_int_equal(s.kept[0] + s.kept[1], 6);
    assert_true(s.hidden[0] > 0 && s.hidden[1] > 0 && s.kept[0] > 0 && s.kept[1] > 0);
    assert_int_equal(seen[s.hidden[0] * 10 + s.kept[0]]++, 0);
  }
}

/* Source and target as tokens: marks are V, V + 1, .. */
static int source_of(const denoise_spans *s, const int *x, int *out) {
  int n = 0, at = 0;
  for (int k = 0; k < s->spans; k++) {
    for (int i = 0; i < s->kept[k]; i++) out[n++] = x[at++];
    out[n++] = V + k;
    at += s->hidden[k];
  }
  return n;
}

static int target_of(const denoise_spans *s, const int *x, int *out) {
  int n = 0, at = 0;
  for (int k = 0; k < s->spans; k++) {
    at += s->kept[k];
    out[n++] = V + k;
    for (int i = 0; i < s->hidden[k]; i++) out[n++] = x[at++];
  }
  out[n++] = V + s->spans;
  return n;
}

static void check_spans(const hmm *h, const denoise_spans *s, const int *x) {
  int source[N + 4], target[N + 4], n_source = source_of(s, x, source), n = target_of(s, x, target), ways = 0;
  double law[TEXTS] = {0}, with[N + 4] = {0}, before[N + 4] = {0}, loss[N + 4];
  ways = denoise_spans_many(N, s->noise, s->spans);
  for (int way = 0; way < ways; way++) {
    denoise_spans other = denoise_spans_number(N, s->noise, s->spans, way);
    for (int k = 0; k < TEXTS; k++) {
      int text[N], a[N + 4], b[N + 4];
      text_of(k, text);
      if (source_of(&other, text, a) != n_source || memcmp(a, source, (size_t)n_source * sizeof *a) != 0) continue;
      double p = prior(h, text);
      law[k] += p;
      target_of(&other, text, b);
      for (int t = 0, same = 1; t < n && same; t++) {
        before[t] += p;
        same = b[t] == target[t];
        with[t] += same ? p : 0;
      }
    }
  }
  denoise_infill_loss(h, s, x, loss);
  check_texts(law, x, loss);
  denoise_sentinel_loss(h, s, x, loss);
  for (int t = 0; t < n; t++) assert_near(loss[t], -log(with[t] / before[t]), 1e-11);
}

static void spans_are_enumeration(void **state) {
  (void)state;
  hmm h = hmm_make(9, 3, V, 0.2);
  for (uint64_t i = 0; i < 4; i++) {
    int x[N];
    hmm_sample(&h, 2, i, N, x, NULL);
    for (int way = (int)i; way < denoise_spans_many(N, 3, 2); way += 3) {
      denoise_spans s = denoise_spans_number(N, 3, 2, way);
      check_spans(&h, &s, x);
    }
    denoise_spans one = denoise_spans_number(N, 2, 1, 0);
    check_spans(&h, &one, x);
  }
}

/* Lengths that are told cost less than lengths that are not: masking beats infilling beats deleting without a mark. */
static void telling_more_costs_less(void **state) {
  (void)state;
  enum { LONG = 12, MANY = 60 };
  hmm h = hmm_make(4, 4, 8, 0.3);
  double told = 0, marked = 0, gone = 0;
  draws d = draws_of(5, 1, 1);
  for (int i = 0; i < MANY; i++) {
    int x[LONG], y[LONG], rank[LONG], m = 0, at = 0;
    double loss[LONG];
    hmm_sample(&h, 3, (uint64_t)i, LONG, x, NULL);
    denoise_spans s = denoise_spans_number(LONG, 4, 2, draws_below(&d, denoise_spans_many(LONG, 4, 2)));
    for (int k = 0; k < 2; k++) {
      for (int b = 0; b < s.kept[k]; b++) rank[at] = -1, y[m++] = x[at++];
      for (int b = 0; b < s.hidden[k]; b++, at++) rank[at] = at;
    }
    hmm_ranked_loss(&h, LONG, x, rank, loss);
    for (int t = 0; t < LONG; t++) told += loss[t] / MANY;
    denoise_infill_loss(&h, &s, x, loss);
    for (int t = 0; t < LONG; t++) marked += loss[t] / MANY;
    denoise_deletion_loss(&h, LONG, x, m, y, loss);
    for (int t = 0; t < LONG; t++) gone += loss[t] / MANY;
  }
  assert_true(told < marked && marked < gone);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deletion_is_enumeration),
      cmocka_unit_test(spans_have_numbers),
      cmocka_unit_test(spans_are_enumeration),
      cmocka_unit_test(telling_more_costs_less),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
