/* D5: tables of facts. */
#include "tests/oracles/facts.h"

#include <assert.h>
#include <math.h>

#include "tests/oracles/draws.h"

enum { VALUE = 0x666101, ORDER = 0x666102, QUESTION = 0x666103 };

int facts_symbols(const facts *f) { return f->entities + f->relations + f->values; }

int facts_value(const facts *f, uint64_t seed, uint64_t table, int entity, int relation) {
  draws d = draws_of(seed, VALUE, table);
  d.count = (uint64_t)(entity * f->relations + relation); /* each fact has a number of its own */
  return draws_below(&d, f->values);
}

static void write(const facts *f, int entity, int relation, int value, int *tokens) {
  tokens[0] = entity;
  tokens[1] = f->entities + relation;
  tokens[2] = f->entities + f->relations + value;
}

void facts_write(const facts *f, uint64_t seed, uint64_t table, int *tokens) {
  int order[FACTS_LIMIT], all = f->entities * f->relations;
  assert(all <= FACTS_LIMIT);
  draws d = draws_of(seed, ORDER, table);
  for (int i = 0; i < all; i++) order[i] = i;
  draws_shuffle(&d, all, order);
  for (int i = 0; i < all; i++) {
    int e = order[i] / f->relations, r = order[i] % f->relations;
    write(f, e, r, facts_value(f, seed, table, e, r), tokens + 3 * i);
  }
}

/* The question `index`; draws on for whoever needs more. */
static draws question(const facts *f, uint64_t seed, uint64_t table, uint64_t index, int *entity, int *relation) {
  draws d = draws_of(seed ^ (table * 0x9e3779b97f4a7c15u), QUESTION, index);
  *entity = draws_below(&d, f->entities);
  *relation = draws_below(&d, f->relations);
  return d;
}

int facts_ask(const facts *f, uint64_t seed, uint64_t table, uint64_t index, int *tokens) {
  int e, r, fact[3];
  question(f, seed, table, index, &e, &r);
  write(f, e, r, facts_value(f, seed, table, e, r), fact);
  tokens[0] = fact[0], tokens[1] = fact[1];
  return fact[2];
}

int facts_counterfactual(const facts *f, uint64_t seed, uint64_t table, uint64_t index, int *tokens) {
  int e, r;
  draws d = question(f, seed, table, index, &e, &r);
  assert(f->values > 1);
  write(f, e, r, (facts_value(f, seed, table, e, r) + 1 + draws_below(&d, f->values - 1)) % f->values, tokens);
  return tokens[2];
}

double facts_bits(const facts *f) { return f->entities * f->relations * log2(f->values); }
