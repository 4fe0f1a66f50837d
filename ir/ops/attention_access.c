/* Accesses of captured tensors in the score region of attention: which positions their index is a function of, and so
 * over what the gradient of one element is a sum.
 *
 * A value of the region depends on the position of the query, on that of the key, on their difference alone, or on both
 * in another way. Sums of integers are followed as multiples of the positions, so that (q + n) - k is a difference. */
#include "ir/ops/captures.h"

#include <string.h>

typedef enum along { NOTHING, QUERY, KEY, DIFFERENCE, BOTH } along;

/* What a value of the region depends on. linear: q * query + k * key + what depends on neither. */
typedef struct reach {
  bool batch, head, linear;
  int64_t q, k;
  along along;
} reach;

static along join(along a, along b) { return !a ? b : !b || a == b ? a : BOTH; }

static along of_multiples(int64_t q, int64_t k) {
  if (!q && !k) return NOTHING;
  if (!k) return QUERY;
  return !q ? KEY : q == -k ? DIFFERENCE : BOTH;
}

static reach of_argument(int64_t index, bool start_of_batch) {
  switch (index) {
    case SN_SITE_SCORE: return (reach){.batch = true, .head = true, .along = BOTH};
    case SN_SITE_BATCH: return (reach){.batch = true, .linear = true};
    case SN_SITE_HEAD: return (reach){.head = true, .linear = true};
    case SN_SITE_QUERY: return (reach){.batch = start_of_batch, .linear = true, .q = 1, .along = QUERY};
    case SN_SITE_KEY: return (reach){.linear = true, .k = 1, .along = KEY};
    default: return (reach){.linear = true};
  }
}

/* r.q and r.k of a sum or multiple of integers; false: it is neither. */
static bool multiples(const sn_func *f, const sn_node *n, const reach *of, reach *r) {
  double c;
  if (!sn_elem_is_int(n->type[0]->elem) || n->type[0]->rank) return false;
  for (int i = 0; i < n->arg_count; i++)
    if (!of[n->arg[i]].linear) return false;
  const reach *x = n->arg_count ? &of[n->arg[0]] : NULL, *y = n->arg_count > 1 ? &of[n->arg[1]] : NULL;
  switch (n->op) {
    case SN_OP_CONST:
    case SN_OP_DIM: return true;
    case SN_OP_CAST: r->q = x->q, r->k = x->k; return sn_elem_is_int(sn_val_type(f, n->arg[0])->elem);
    case SN_OP_NEG: r->q = -x->q, r->k = -x->k; return true;
    case SN_OP_ADD: r->q = x->q + y->q, r->k = x->k + y->k; return true;
    case SN_OP_SUB: r->q = x->q - y->q, r->k = x->k - y->k; return true;
    case SN_OP_MUL:
      if (!sn_val_is_const(f, n->arg[1], &c)) {
        if (!sn_val_is_const(f, n->arg[0], &c)) return false;
        x = y;
      }
      r->q = x->q * (int64_t)c, r->k = x->k * (int64_t)c;
      return c > -65536 && c < 65536;
    default: return false;
  }
}

static reach reach_of(const sn_func *f, const sn_node *n, const reach *of, bool start_of_batch) {
  if (n->op == SN_OP_ARG) return of_argument(sn_node_attr(n, "index")->i, start_of_batch);
  reach r = {0};
  for (int i = 0; i < n->arg_count; i++) {
    const reach *x = &of[n->arg[i]];
    r.batch |= x->batch, r.head |= x->head, r.along = join(r.along, x->along);
  }
  r.linear = multiples(f, n, of, &r);
  if (r.linear) r.along = of_multiples(r.q, r.k);
  if (r.along == NOTHING) r.linear = true;
  return r;
}

bool sn_is_region_arg(const sn_func *f, sn_val v, int64_t index) {
  const sn_node *n = sn_node_of(f, v);
  return n->op == SN_OP_ARG && sn_node_attr(n, "index")->i == index;
}

/* The captured tensor that a value is; -1: none whose gradient is needed. */
static int captured(const sn_node *attention, const bool *need, const sn_func *f, sn_val v) {
  const sn_node *n = sn_node_of(f, v);
  if (n->op != SN_OP_ARG) return -1;
  int64_t i = sn_node_attr(n, "index")->i - SN_SITE_CAPTURE;
  int first = sn_attention_layout_of(attention).first_capture;
  return i >= 0 && sn_elem_is_float(n->type[0]->elem) && need[first + i] ? (int)i : -1;
}

/* Are the two axes of query and key the positions themselves, with nothing else of them? */
static bool is_pairs(const sn_func *f, const sn_access_site *a, const reach *of) {
  int q = 0, k = 0;
  for (int i = 0; i < a->count; i++) {
    if (of[a->expr[i]].along == NOTHING) continue;
    q += sn_is_region_arg(f, a->expr[i], SN_SITE_QUERY);
    k += sn_is_region_arg(f, a->expr[i], SN_SITE_KEY);
    if (of[a->expr[i]].along != QUERY && of[a->expr[i]].along != KEY) return false;
    if (!sn_is_region_arg(f, a->expr[i], SN_SITE_QUERY) && !sn_is_region_arg(f, a->expr[i], SN_SITE_KEY)) return false;
  }
  return q == 1 && k == 1;
}

static bool is_entries(const sn_func *f, sn_access_site *a, const reach *of, sn_types *types) {
  const sn_type *table = sn_val_type(f, sn_node_of(f, a->value)->arg[0]);
  a->entries = sn_dimx_const(types, 1);
  for (int i = 0; i < a->count; i++) {
    a->joint[i] = of[a->expr[i]].along != NOTHING;
    if (a->joint[i]) a->entries = sn_dimx_mul(types, a->entries, table->dim[i]);
  }
  return sn_dimx_max_value(a->entries) <= SN_ENTRIES;
}

/* false: no sum that is made */
static bool classify(const sn_func *f, sn_access_site *a, const reach *of, sn_types *types) {
  along all = NOTHING;
  for (int i = 0; i < a->count; i++) {
    const reach *x = &of[a->expr[i]];
    a->batch |= x->batch, a->head |= x->head, all = join(all, x->along);
  }
  a->position = all != NOTHING;
  switch (all) {
    case NOTHING:
    case QUERY: a->kind = SN_SUM_QUERIES; return true;
    case KEY: a->kind = SN_SUM_KEYS; return true;
    case DIFFERENCE: a->kind = SN_SUM_DIFFERENCES; return true;
    default: break;
  }
  if (is_pairs(f, a, of)) {
    a->kind = SN_SUM_PAIRS + a->batch + 2 * a->head;
    return true;
  }
  a->kind = SN_SUM_ENTRIES;
  return is_entries(f, a, of, types);
}

/* Reads of captured tensors by node n of the region. false: one that is no access */
static bool add_reads(const sn_node *attention, const bool *need, const sn_func *f, const sn_node *n,
                      sn_accesses *out) {
  for (int i = 0; i < n->arg_count; i++) {
    int c = captured(attention, need, f, n->arg[i]);
    if (c < 0 || !sn_val_type(f, n->arg[i])->rank) continue;
    if (n->op != SN_OP_INDEX || i > 0 || out->count == SN_ACCESSES) return false;
    out->at[out->count++] =
        (sn_access_site){.value = n->first, .capture = c, .count = n->arg_count - 1, .expr = n->arg + 1};
  }
  int c = captured(attention, need, f, n->first);
  if (c < 0 || n->type[0]->rank) return true;
  if (out->count == SN_ACCESSES) return false;
  out->at[out->count++] = (sn_access_site){.value = n->first, .capture = c};
  return true;
}

bool sn_accesses_of(const sn_node *n, const bool *need, sn_types *types, sn_accesses *out) {
  const sn_func *f = sn_node_attr(n, "score")->region;
  out->count = 0;
  if (sn_node_attr(n, "products")->count) return false; /* part of the queries' gradient */
  if (!f) return true;
  sn_arena *scratch = sn_arena_create();
  reach *of = SN_ARRAY(scratch, f->value_count, reach);
  sn_attention_layout l = sn_attention_layout_of(n);
  bool fits = true, start_of_batch = l.start >= 0;
  for (int i = 0; i < f->node_count && fits; i++) {
    of[f->node[i]->first] = reach_of(f, f->node[i], of, start_of_batch);
    fits = add_reads(n, need, f, f->node[i], out);
  }
  for (int i = 0; i < out->count && fits; i++) fits = classify(f, &out->at[i], of, types);
  sn_arena_destroy(scratch);
  return fits;
}

bool sn_attention_sums_captures(const sn_node *n, const bool *need, sn_types *types) {
  sn_accesses a;
  return sn_accesses_of(n, need, types, &a);
}
