/* Orders of prediction: ranks, what may see what, and twins. */
#include "tests/oracles/orders.h"

#include <math.h>

#include "tests/oracles/draws.h"

enum { TWINS = 0x6f7201 };

void orders_rank(int n, const int *z, int targets, int *rank) {
  for (int t = 0; t < n; t++) rank[z[t]] = t < n - targets ? -1 : t - (n - targets);
}

bool orders_query_sees(const int *rank, int i, int j) { return rank[j] < 0 || rank[j] < rank[i]; }

bool orders_content_sees(const int *rank, int i, int j) { return rank[j] < 0 || rank[j] <= rank[i]; }

void orders_twins_sample(uint64_t seed, uint64_t index, int symbols, int n, int a, int b, int *tokens) {
  draws d = draws_of(seed, TWINS, index);
  for (int t = 0; t < n; t++) tokens[t] = draws_below(&d, symbols);
  tokens[b] = tokens[a];
}

double orders_twins_loss(int symbols, bool at_once) { return (at_once ? 2 : 1) * log(symbols); }
