/* Kneser-Ney by its formula, counting in the text each time. */
#include "tests/oracles/harness.h"

#include <math.h>
#include <string.h>

#include "tests/oracles/markov.h"
#include "tests/oracles/ngram.h"

enum { N = 120, V = 4, ORDER = 3 };

static int stands(const int *text, int at, const int *gram, int k) {
  return at + k <= N && memcmp(text + at, gram, (size_t)k * sizeof *gram) == 0;
}

/* c(gram) of k tokens: at the order how often; below, how many different tokens stand in front of it where all of the
 * longest n-grams fit, which is what was counted. */
static double count(const int *text, const int *gram, int k) {
  double sum = 0;
  if (k == ORDER) {
    for (int i = 0; i < N; i++) sum += stands(text, i, gram, k);
    return sum;
  }
  int longer[ORDER];
  memcpy(longer + 1, gram, (size_t)k * sizeof *gram);
  for (longer[0] = 0; longer[0] < V; longer[0]++) sum += count(text, longer, k + 1) > 0;
  return sum;
}

static double discount(const int *text, int k) {
  double once = 0, twice = 0;
  for (int number = 0; number < pow(V, k) - 0.5; number++) {
    int gram[ORDER];
    for (int i = 0, rest = number; i < k; i++, rest /= V) gram[i] = rest % V;
    double c = count(text, gram, k);
    once += c == 1, twice += c == 2;
  }
  return once > 0 ? once / (once + 2 * twice) : 0.5;
}

/* p_k(w | the last k - 1 of past) */
static double formula(const int *text, const double *d, const int *past, int n, int k, int w) {
  if (k == 0) return 1.0 / V;
  double total = 0, followers = 0, own = 0;
  for (int x = 0; x < V; x++) {
    int gram[ORDER];
    memcpy(gram, past + n - (k - 1), (size_t)(k - 1) * sizeof *gram);
    gram[k - 1] = x;
    double c = count(text, gram, k);
    total += c, followers += c > 0, own = x == w ? c : own;
  }
  double shorter = formula(text, d, past, n, k - 1, w);
  return total > 0 ? fmax(own - d[k], 0) / total + d[k] * followers / total * shorter : shorter;
}

static void probabilities_are_the_formula(void **state) {
  (void)state;
  markov chain;
  ngram m;
  int text[N], past[2];
  double d[ORDER + 1] = {0};
  assert_true(markov_create(&chain, 3, 2, V));
  markov_sample(&chain, 1, 1, N, text);
  assert_true(ngram_create(&m, ORDER, V, N, text));
  for (int k = 1; k <= ORDER; k++) {
    d[k] = discount(text, k);
    assert_near(m.table[k].discount, d[k], 1e-15);
  }
  for (int h = 0; h < V * V; h++) {
    double sum = 0;
    past[0] = h / V, past[1] = h % V;
    for (int w = 0; w < V; w++) {
      double p = ngram_probability(&m, 2, past, w);
      assert_near(p, formula(text, d, past, 2, ORDER, w), 1e-13);
      sum += p;
    }
    assert_near(sum, 1, 1e-13);
  }
  double sum = 0;
  for (int t = 0; t < N; t++) sum -= log(ngram_probability(&m, t, text, text[t])) / N;
  assert_near(ngram_loss(&m, N, text), sum, 1e-13);
  assert_near(ngram_probability(&m, 0, past, 1), formula(text, d, past, 0, 1, 1), 1e-13);
  ngram_destroy(&m);
  markov_destroy(&chain);
}

/* With enough text of an order-2 chain the model of order 3 comes near the entropy, from above; order 2 does not. */
static void losses_near_the_entropy(void **state) {
  (void)state;
  enum { LONG = 40000 };
  static int text[LONG], held[LONG / 4];
  markov chain;
  assert_true(markov_create(&chain, 5, 2, 6));
  markov_sample(&chain, 1, 1, LONG, text);
  markov_sample(&chain, 1, 2, LONG / 4, held);
  double loss[3];
  static double best[LONG / 4];
  markov_loss(&chain, LONG / 4, held, best);
  double least = 0;
  for (int t = 0; t < LONG / 4; t++) least += best[t] / (LONG / 4);
  for (int order = 2; order <= 4; order++) {
    ngram m;
    assert_true(ngram_create(&m, order, 6, LONG, text));
    loss[order - 2] = ngram_loss(&m, LONG / 4, held);
    ngram_destroy(&m);
  }
  markov_destroy(&chain);
  assert_true(loss[1] > least && loss[1] < least + 0.02);
  assert_true(loss[0] > least + 0.1 && loss[2] > loss[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(probabilities_are_the_formula),
      cmocka_unit_test(losses_near_the_entropy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
