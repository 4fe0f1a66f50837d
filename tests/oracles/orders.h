/* Permuted language models: masks from orders, and a task that only they can do. An order z lists places in the order
 * in which they are predicted: place z[0] first. rank[place] is when; the last `targets` of the order are predicted,
 * the others have rank -1 and are seen by all (as in XLNet's _local_perm). */
#ifndef ORACLES_ORDERS_H
#define ORACLES_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

/* rank [n] of order z [n], with `targets` of them predicted: 0 for the first one that is. */
void orders_rank(int n, const int *z, int targets, int *rank);

/* Whether the prediction of place i (query stream), or the content of place i, may depend on token j. */
bool orders_query_sees(const int *rank, int i, int j);
bool orders_content_sees(const int *rank, int i, int j);

/* Two tokens that are equal and uniform, both hidden, among others that say nothing: tokens [n], equal at places a and
 * b. What predicts both at once loses 2 log(symbols), one after the other log(symbols). */
void orders_twins_sample(uint64_t seed, uint64_t index, int symbols, int n, int a, int b, int *tokens);
double orders_twins_loss(int symbols, bool at_once);

#endif
