/* Measures of generated texts, by plain dynamic programming and plain counting. */
#include "tests/oracles/metrics.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static int least(int a, int b) { return a < b ? a : b; }

int metrics_edits(int n, const int *a, int m, const int *b) {
  int row[METRICS_LENGTH + 1];
  assert(m <= METRICS_LENGTH);
  for (int j = 0; j <= m; j++) row[j] = j;
  for (int i = 1; i <= n; i++) {
    int corner = row[0];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      int above = row[j];
      row[j] = least(least(above, row[j - 1]) + 1, corner + (a[i - 1] != b[j - 1]));
      corner = above;
    }
  }
  return row[m];
}

int metrics_common(int n, const int *a, int m, const int *b) {
  int row[METRICS_LENGTH + 1] = {0};
  assert(m <= METRICS_LENGTH);
  for (int i = 1; i <= n; i++) {
    int corner = 0;
    for (int j = 1; j <= m; j++) {
      int above = row[j];
      row[j] = a[i - 1] == b[j - 1] ? corner + 1 : above > row[j - 1] ? above : row[j - 1];
      corner = above;
    }
  }
  return row[m];
}

double metrics_rouge_l(int n, const int *a, int m, const int *b) {
  int common = metrics_common(n, a, m, b);
  if (common == 0) return 0;
  double p = (double)common / m, r = (double)common / n;
  return 2 * p * r / (p + r);
}

static bool same(const int *a, const int *b, int gram) { return memcmp(a, b, (size_t)gram * sizeof *a) == 0; }

static int times(const metrics_text *t, const int *what, int gram) {
  int found = 0;
  for (int i = 0; i + gram <= t->n; i++) found += same(t->tokens + i, what, gram);
  return found;
}

/* N-grams of the candidate that the reference has too, each as often as there at most. The k-th time of one counts if
 * the reference has k of them. */
static int matches(const metrics_text *c, const metrics_text *r, int gram) {
  int found = 0;
  for (int i = 0; i + gram <= c->n; i++) {
    metrics_text before = {i + gram, c->tokens};
    found += times(&before, c->tokens + i, gram) <= times(r, c->tokens + i, gram);
  }
  return found;
}

double metrics_bleu(int many, const metrics_text *candidate, const metrics_text *reference) {
  double sum = 0, length = 0, wanted = 0;
  for (int gram = 1; gram <= METRICS_GRAM; gram++) {
    double found = 0, all = 0;
    for (int k = 0; k < many; k++) {
      found += matches(&candidate[k], &reference[k], gram);
      all += candidate[k].n >= gram ? candidate[k].n - gram + 1 : 0;
    }
    if (found == 0) return 0;
    sum += log(found / all) / METRICS_GRAM;
  }
  for (int k = 0; k < many; k++) length += candidate[k].n, wanted += reference[k].n;
  return exp(sum + (length < wanted ? 1 - wanted / length : 0));
}

double metrics_distinct(int many, const metrics_text *text, int gram) {
  double all = 0, first = 0;
  for (int k = 0; k < many; k++) {
    for (int i = 0; i + gram <= text[k].n; i++) {
      const int *what = text[k].tokens + i;
      int before = 0;
      for (int b = 0; b < k && !before; b++) before = times(&text[b], what, gram);
      metrics_text own = {i + gram - 1, text[k].tokens};
      first += before == 0 && times(&own, what, gram) == 0;
      all++;
    }
  }
  return all > 0 ? first / all : 0;
}
