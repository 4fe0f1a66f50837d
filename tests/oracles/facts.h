/* D5: facts. A table gives every (entity, relation) a uniform value; tables are drawn anew for every number, so that
 * nothing but reading one tells its values: without it the best accuracy is 1 / values, and to know it takes
 * facts_bits. tokens: entities, then relations, then values; a fact is entity relation value, a question entity
 * relation */
#ifndef ORACLES_FACTS_H
#define ORACLES_FACTS_H

#include <stdint.h>

enum { FACTS_LIMIT = 4096 /* entities * relations */ };

typedef struct facts {
  int entities, relations, values;
} facts;

int facts_symbols(const facts *f);

/* The value of a fact in table `table`, counted from 0. */
int facts_value(const facts *f, uint64_t seed, uint64_t table, int entity, int relation);

/* tokens [3 * entities * relations]: all facts of a table, in random order. */
void facts_write(const facts *f, uint64_t seed, uint64_t table, int *tokens);

/* tokens [2]: a question about the table; returns the token of its answer. */
int facts_ask(const facts *f, uint64_t seed, uint64_t table, uint64_t index, int *tokens);

/* The same question with the value changed to another one, as a fact to be put in front: the answer must follow it. */
int facts_counterfactual(const facts *f, uint64_t seed, uint64_t table, uint64_t index, int *tokens);

/* entities * relations * log2(values) */
double facts_bits(const facts *f);

#endif
