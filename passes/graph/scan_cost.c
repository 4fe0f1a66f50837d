/* The model is of processors, whose cores hold a state in their first cache: a walk goes over the whole state for every
 * read and every source; chunks do that by products, which are as much work and more, but seven times as fast. Measured
 * for states of 4 x 4 to 128 x 128 and chunks of 16 to 64: within 50 %, and mostly within 20 %. */
#include "passes/graph/scan_cost.h"

/* In elements: operations of products for one; what a part of a kernel takes for a step beside its work; the same in
 * chunks, whose parts are made for many steps at once; a row of a triangular system; ops on each pair of steps; passes
 * over the state for a chunk beside its products, more where it is kept for gradients. */
enum {
  OPERATIONS = 7,
  PART = 170,
  PART_OF_CHUNK = 12,
  ROW = 250,
  PAIR = 1,
  PAIR_BY_CHANNEL = 5,
  PASSES = 6,
  PASSES_KEPT = 12
};

typedef struct sizes {
  double k, v, reads, sources;
  bool low, channels, kept;
} sizes;

static bool sizes_of(const sn_matrix_plan *p, int state, sizes *out) {
  const sn_matrix *m = &p->state[state];
  const sn_type *t = sn_val_type(p->s->f, p->s->f->result[state]);
  int64_t k = 1, v = 1;
  bool known = sn_dimx_is_const(t->dim[m->k_axis], &k) && (m->rank < 2 || sn_dimx_is_const(t->dim[1 - m->k_axis], &v));
  *out = (sizes){
      .k = (double)k, .v = (double)v, .reads = m->read_count, .sources = m->source_count, .low = m->low_rank >= 0};
  for (int i = 0; i < m->decay.count; i++) out->channels |= m->decay.at[i].label != 0;
  return known;
}

static double walk_of(const sizes *s) { return (s->reads + s->sources) * (PART + s->k * s->v); }

static double chunk_of(const sizes *s, int steps) {
  double c = steps, levels = 0, pairs = s->reads * s->sources, all = s->reads + s->sources;
  for (int n = 1; s->channels && n < steps; n *= 2) levels++;
  double between = s->channels ? c * s->k : 2 * c * s->k; /* halves of halves are half of the products */
  double products = 2 * all * s->k * s->v + pairs * (between + 2 * c * s->v) + (s->low ? c * s->v : 0);
  double parts = 4 + 3 * all + (s->channels ? levels * 2 * (all + pairs) : 2 * pairs);
  double passes = s->kept ? PASSES_KEPT : PASSES;
  double pair = pairs * c * (s->channels ? PAIR_BY_CHANNEL : PAIR), scaled = levels * s->k * all;
  return products / OPERATIONS + parts * PART_OF_CHUNK + (s->low ? ROW : 0) + pair + scaled + passes * s->k * s->v / c;
}

static double sum_of(const sn_matrix_plan *p, int steps, bool kept) {
  double sum = 0;
  for (int i = 0; i < p->s->l.states; i++) {
    sizes s;
    if (p->s->shifts[i]) continue;
    if (!sizes_of(p, i, &s)) return 0;
    s.kept = kept;
    sum += steps ? chunk_of(&s, steps) : walk_of(&s);
  }
  return sum;
}

double sn_scan_walk_cost(const sn_matrix_plan *p) { return sum_of(p, 0, false); }
double sn_scan_chunk_cost(const sn_matrix_plan *p, int steps, bool kept) { return sum_of(p, steps, kept); }
