/* Recognises steps over matrix states: the terms of what a state becomes are sorted into decay, low rank and outer
 * products; those of outputs into reads. A factor belongs to the axis whose label it has. */
#include "passes/graph/scan_matrix.h"

#include <string.h>

enum { NUMBER, ALONG_K, ALONG_V, ALONG_READ, PARTS }; /* what a factor goes along */

static bool stop(sn_matrix_plan *p, const sn_term_of *t, const char *what) {
  if (!p->s->why)
    p->s->why = sn_arena_printf(p->s->arena, "%s %s", t->at ? sn_scan_at_line(p->s->arena, t->at) : "a term", what);
  return false;
}

/* ---- factors of a term ------------------------------------------------------------------------------------------ */

typedef struct parts {
  int label[PARTS]; /* of the axes; 0: there is none */
  int of[SN_TERM_FACTORS];
} parts;

/* Do the factors share a label that is summed and not one of the axes? */
static bool share(const sn_scan_step *s, const parts *x, const sn_factor *a, const sn_factor *b) {
  for (int i = 0; i < sn_val_type(s->f, a->v)->rank; i++) {
    bool axis = false;
    for (int k = ALONG_K; k < PARTS; k++) axis |= a->label[i] == x->label[k];
    if (!axis && sn_factor_has(s, b, a->label[i])) return true;
  }
  return false;
}

/* Which axis each factor goes along. false: one goes along two. */
static bool sort_factors(const sn_scan_step *s, const sn_term_of *t, parts *x) {
  for (int f = 0; f < t->factor_count; f++) {
    x->of[f] = NUMBER;
    for (int k = ALONG_K; k < PARTS; k++) {
      if (!x->label[k] || !sn_factor_has(s, &t->factor[f], x->label[k])) continue;
      if (x->of[f]) return false;
      x->of[f] = k;
    }
  }
  for (int round = 0; round < t->factor_count; round++)
    for (int f = 0; f < t->factor_count; f++)
      for (int g = 0; g < t->factor_count; g++) {
        if (f == g || x->of[f] == x->of[g] || !share(s, x, &t->factor[f], &t->factor[g])) continue;
        if (x->of[f] && x->of[g]) return false;
        x->of[f] = x->of[g] = x->of[f] + x->of[g];
      }
  return true;
}

static sn_product part_of(const sn_term_of *t, const parts *x, int which) {
  sn_product p = {.coef = 1, .label = x->label[which]};
  for (int f = 0; f < t->factor_count; f++)
    if (x->of[f] == which) p.factor[p.count++] = t->factor[f];
  return p;
}

/* Numbers and another part together. */
static sn_product with_numbers(const sn_term_of *t, const parts *x, sn_product p) {
  for (int f = 0; f < t->factor_count; f++)
    if (x->of[f] == NUMBER) p.factor[p.count++] = t->factor[f];
  p.coef = t->coef;
  return p;
}

/* Do the factors, each along the one label, agree but for their order? */
static bool same_product(const sn_scan_step *s, const sn_product *a, const sn_product *b) {
  bool used[SN_TERM_FACTORS] = {false};
  if (a->count != b->count) return false;
  for (int i = 0; i < a->count; i++) {
    int k = 0;
    for (; k < b->count; k++) {
      bool same = !used[k] && a->factor[i].v == b->factor[k].v && a->factor[i].inverse == b->factor[k].inverse;
      for (int x = 0; same && x < sn_val_type(s->f, a->factor[i].v)->rank; x++)
        same = a->factor[i].label[x] == a->label && b->factor[k].label[x] == b->label;
      if (same) break;
    }
    if (k == b->count) return false;
    used[k] = true;
  }
  return true;
}

static bool add_product(sn_matrix_plan *p, const sn_term_of *t, sn_product_sum *sum, const sn_product *x) {
  if (sum->count == SN_MATRIX_SUMS) return stop(p, t, "is one of too many terms");
  sum->at[sum->count++] = *x;
  return true;
}

/* ---- reads ------------------------------------------------------------------------------------------------------ */

static int value_label(const sn_matrix *m, const sn_term_of *t) {
  return m->rank == 2 ? t->state_label[1 - m->k_axis] : 0;
}

static int find_read(sn_matrix_plan *p, const sn_term_of *t, sn_matrix *m, const sn_product *x) {
  for (int i = 0; i < m->read_count; i++)
    if (same_product(p->s, &m->read[i], x)) return i;
  if (m->read_count == SN_MATRIX_READS) return stop(p, t, "is one of too many reads of the state"), -1;
  m->read[m->read_count] = *x;
  return m->read_count++;
}

/* Do the factors of a read have an axis of the value, so that there is a vector for each of its elements? */
static bool has_axis_of(const sn_scan_step *s, const sn_product *a, const sn_linear *x) {
  for (int f = 0; f < a->count; f++)
    for (int i = 0; i < sn_val_type(s->f, a->factor[f].v)->rank; i++)
      if (sn_linear_has(x, a->factor[f].label[i])) return true;
  return false;
}

int sn_matrix_read_of(sn_matrix_plan *p, const sn_linear *value, const sn_term_of *t, sn_product *rest) {
  sn_matrix *m = &p->state[t->state];
  parts x = {.label = {[ALONG_V] = value_label(m, t), [ALONG_READ] = t->state_label[m->k_axis]}};
  if (!sort_factors(p->s, t, &x)) return stop(p, t, "ties the axes of the state together"), -1;
  sn_product a = part_of(t, &x, ALONG_READ);
  *rest = with_numbers(t, &x, part_of(t, &x, ALONG_V));
  if (!a.count) return stop(p, t, "sums the state without a vector"), -1;
  if (has_axis_of(p->s, &a, value)) return stop(p, t, "reads the state by a matrix"), -1;
  return find_read(p, t, m, &a);
}

/* Is the axis that is summed the same for all that reads the state? */
static bool set_axis(sn_matrix_plan *p, const sn_term_of *t, int axis) {
  sn_matrix *m = &p->state[t->state];
  if (m->k_axis < 0) m->k_axis = axis;
  return m->k_axis == axis || stop(p, t, "reads the state along its other axis");
}

/* Axes that the terms of a value tell about. */
static bool vote(sn_matrix_plan *p, const sn_linear *x) {
  for (int k = 0; k < x->term_count; k++) {
    const sn_term_of *t = &x->term[k];
    if (t->state < 0 || p->state[t->state].rank != 2) continue;
    bool kept[2] = {sn_linear_has(x, t->state_label[0]), sn_linear_has(x, t->state_label[1])};
    if (kept[0] != kept[1] && !set_axis(p, t, kept[0] ? 1 : 0)) return false;
  }
  return true;
}

/* ---- what a state becomes --------------------------------------------------------------------------------------- */

static bool add_decay(sn_matrix_plan *p, const sn_linear *x, const sn_term_of *t) {
  sn_matrix *m = &p->state[t->state];
  for (int i = 0; i < m->rank; i++)
    if (x->label[i] != t->state_label[i]) return stop(p, t, "transposes the state");
  for (int i = 0; i < m->rank && m->k_axis < 0; i++)
    for (int f = 0; f < t->factor_count; f++)
      if (sn_factor_has(p->s, &t->factor[f], t->state_label[i])) m->k_axis = i;
  if (m->k_axis < 0) m->k_axis = 1;
  parts of = {.label = {[ALONG_K] = t->state_label[m->k_axis], [ALONG_V] = value_label(m, t)}};
  if (!sort_factors(p->s, t, &of)) return stop(p, t, "multiplies the state by a matrix, element by element");
  if (part_of(t, &of, ALONG_V).count) return stop(p, t, "scales the state along both of its axes");
  sn_product w = part_of(t, &of, ALONG_K);
  if (!w.count) w.label = 0;
  w = with_numbers(t, &of, w);
  return add_product(p, t, &m->decay, &w);
}

static sn_source *find_source(sn_matrix_plan *p, const sn_term_of *t, sn_matrix *m, const sn_product *y) {
  for (int i = 0; i < m->source_count; i++)
    if (same_product(p->s, &m->source[i].y, y)) return &m->source[i];
  if (m->source_count == SN_MATRIX_SOURCES) return stop(p, t, "is one of too many products that are added"), NULL;
  m->source[m->source_count] = (sn_source){.y = *y};
  return &m->source[m->source_count++];
}

/* c (S a) y' */
static bool add_low_rank(sn_matrix_plan *p, int state, const sn_linear *x, const sn_term_of *t) {
  sn_matrix *m = &p->state[state];
  if (m->k_axis < 0) m->k_axis = 1;
  int kept = value_label(m, t);
  if (kept && x->label[1 - m->k_axis] != kept)
    return stop(p, t, "multiplies the state by a matrix from the other side");
  parts of = {.label = {[ALONG_K] = x->label[m->k_axis], [ALONG_V] = kept, [ALONG_READ] = t->state_label[m->k_axis]}};
  if (!sort_factors(p->s, t, &of)) return stop(p, t, "multiplies the state by a whole matrix");
  if (part_of(t, &of, ALONG_V).count) return stop(p, t, "scales what is read of the state along its values");
  sn_product a = part_of(t, &of, ALONG_READ), y = part_of(t, &of, ALONG_K);
  sn_product c = with_numbers(t, &of, (sn_product){0});
  if (!a.count || !y.count) return stop(p, t, "sums or repeats the state without a vector");
  int read = find_read(p, t, m, &a);
  if (read < 0) return false;
  if (m->low_rank >= 0 && m->low_rank != read) return stop(p, t, "is a second read that enters the state: rank two");
  m->low_rank = read;
  sn_source *source = find_source(p, t, m, &y);
  return source && add_product(p, t, &source->c, &c);
}

/* v y' of values that are free of the state */
static bool add_outer(sn_matrix_plan *p, int state, const sn_linear *x, const sn_term_of *t) {
  sn_matrix *m = &p->state[state];
  if (m->k_axis < 0) m->k_axis = m->rank - 1;
  parts of = {.label = {[ALONG_K] = x->label[m->k_axis], [ALONG_V] = m->rank == 2 ? x->label[1 - m->k_axis] : 0}};
  if (!sort_factors(p->s, t, &of)) return stop(p, t, "adds a matrix that is no product of two vectors");
  sn_product y = part_of(t, &of, ALONG_K), v = part_of(t, &of, ALONG_V);
  if (!y.count) return stop(p, t, "adds what is repeated along the axis that is read");
  v = with_numbers(t, &of, v);
  sn_source *source = find_source(p, t, m, &y);
  return source && add_product(p, t, &source->v, &v);
}

static bool keeps_all(const sn_linear *x, const sn_term_of *t, int rank) {
  for (int i = 0; i < rank; i++)
    if (!sn_linear_has(x, t->state_label[i])) return false;
  return true;
}

static bool plan_state(sn_matrix_plan *p, int i) {
  sn_scan_step *s = p->s;
  sn_val v = s->f->result[i];
  if (s->cls[v] == SN_STEP_AFTER) {
    s->why = sn_arena_printf(s->arena, "%s is not linear in the states and enters state %d",
                             sn_scan_at_line(s->arena, s->blamed[v]), i);
    return false;
  }
  const sn_linear *x = sn_scan_terms(s, v);
  for (int k = 0; k < x->term_count; k++) {
    const sn_term_of *t = &x->term[k];
    bool fine;
    if (t->state >= 0 && t->state != i)
      fine = stop(p, t, sn_arena_printf(s->arena, "brings state %d into state %d", t->state, i));
    else if (t->state < 0)
      fine = add_outer(p, i, x, t);
    else if (keeps_all(x, t, p->state[i].rank))
      fine = add_decay(p, x, t);
    else
      fine = add_low_rank(p, i, x, t);
    if (!fine) return false;
  }
  if (p->state[i].k_axis < 0) p->state[i].k_axis = p->state[i].rank - 1;
  return true;
}

/* ---- outputs ---------------------------------------------------------------------------------------------------- */

/* Linear values that the value is made of at the end. `use` is called for each, once. */
static bool walk(sn_matrix_plan *p, sn_val v, bool *seen, bool (*use)(sn_matrix_plan *p, sn_val v)) {
  const sn_node *n = sn_node_of(p->s->f, v);
  if (seen[v] || p->s->cls[v] == SN_STEP_FREE) return true;
  seen[v] = true;
  if (p->s->cls[v] == SN_STEP_LINEAR) return use(p, v);
  for (int i = 0; i < n->arg_count; i++)
    if (!walk(p, n->arg[i], seen, use)) return false;
  return true;
}

static bool vote_value(sn_matrix_plan *p, sn_val v) { return vote(p, sn_scan_terms(p->s, v)); }

static bool read_value(sn_matrix_plan *p, sn_val v) {
  const sn_linear *x = sn_scan_terms(p->s, v);
  for (int k = 0; k < x->term_count; k++) {
    const sn_term_of *t = &x->term[k];
    sn_product rest;
    if (t->state < 0) continue;
    if (sn_linear_has(x, t->state_label[p->state[t->state].k_axis])) {
      if (!p->s->why)
        p->s->why = sn_arena_printf(p->s->arena, "an output holds all of state %d, %s", t->state,
                                    sn_scan_at_line(p->s->arena, sn_node_of(p->s->f, v)));
      return false;
    }
    if (sn_matrix_read_of(p, x, t, &rest) < 0) return false;
  }
  return true;
}

static bool for_outputs(sn_matrix_plan *p, bool (*use)(sn_matrix_plan *p, sn_val v)) {
  const sn_func *f = p->s->f;
  bool *seen = SN_ARRAY(p->s->arena, f->value_count, bool);
  for (int r = p->s->l.states; r < f->result_count; r++)
    if (!walk(p, f->result[r], seen, use)) return false;
  return true;
}

bool sn_matrix_plan_make(sn_scan_step *s, sn_matrix_plan *out) {
  sn_matrix_plan *p = out;
  int matrices = 0;
  *p = (sn_matrix_plan){.s = s, .state = SN_ARRAY(s->arena, s->l.states + 1, sn_matrix)};
  for (int i = 0; i < s->l.states; i++) {
    int rank = sn_val_type(s->f, s->f->result[i])->rank;
    p->state[i] = (sn_matrix){.rank = rank, .k_axis = rank == 1 ? 0 : -1, .low_rank = -1};
    matrices += !s->shifts[i] && rank == 2; /* a vector alone is better off element by element */
  }
  if (!matrices && !s->why) s->why = "no state that depends on itself is a matrix";
  if (s->why) return false;
  for (int i = 0; i < s->l.states; i++)
    if (!s->shifts[i] && s->cls[s->f->result[i]] == SN_STEP_LINEAR && !vote(p, sn_scan_terms(s, s->f->result[i])))
      return false;
  if (!for_outputs(p, vote_value)) return false;
  for (int i = 0; i < s->l.states; i++)
    if (!s->shifts[i] && !plan_state(p, i)) return false;
  return for_outputs(p, read_value);
}
