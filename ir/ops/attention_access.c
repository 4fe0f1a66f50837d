/* Accesses of captured tensors in the score region of attention: which positions their index is a function of, and so
 * over what the gradient of one element is a sum.
 *
 * A value of the region depends on the position of the query, on that of the key, on their difference alone, or on both
 * in another way. Sums of integers are followed as multiples of the positions, so that (q + n) - k is a difference. */
#include "ir/ops/captures.h"

#include <assert.h>
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

/* Does a cast keep multiples? Not one to i64: what wrapped before is another number there. */
static bool keeps_multiples(sn_elem from, sn_elem to, const reach *x) {
  return sn_elem_is_int(from) && (to == SN_ELEM_I32 || from == SN_ELEM_I64 || (!x->q && !x->k));
}

/* r.q and r.k of a sum or multiple of integers; false: it is neither. */
static bool multiples(const sn_func *f, const sn_node *n, const reach *of, reach *r) {
  double c;
  if (!sn_elem_is_int(n->type[0]->elem) || n->type[0]->rank) return false;
  for (int i = 0; i < n->arg_count; i++)
    if (!of[n->arg[i]].linear) return false;
  const reach *x = n->arg_count ? &of[n->arg[0]] : NULL, *y = n->arg_count > 1 ? &of[n->arg[1]] : NULL;
  sn_elem e = n->type[0]->elem; /* narrower integers wrap */
  if (n->op != SN_OP_CONST && e != SN_ELEM_I32 && e != SN_ELEM_I64) return false;
  switch (n->op) {
    case SN_OP_CONST:
    case SN_OP_DIM: return true;
    case SN_OP_CAST: r->q = x->q, r->k = x->k; return keeps_multiples(sn_val_type(f, n->arg[0])->elem, e, x);
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

/* Marks the axes whose combinations are the entries. */
static void join_axes(const sn_func *f, sn_access_site *a, const reach *of, sn_types *types) {
  const sn_type *table = sn_val_type(f, sn_node_of(f, a->value)->arg[0]);
  a->entries = sn_dimx_const(types, 1);
  for (int i = 0; i < a->count; i++) {
    along x = of[a->expr[i]].along;
    a->joint[i] = a->kind == SN_SUM_TABLES ? x > QUERY : x != NOTHING;
    if (a->joint[i]) a->entries = sn_dimx_mul(types, a->entries, table->dim[i]);
  }
}

/* Does some axis have an element of each query? */
static bool is_of_queries(const sn_access_site *a, const reach *of) {
  for (int i = 0; i < a->count; i++) {
    const reach *x = &of[a->expr[i]];
    if (x->linear && x->q == 1 && !x->k) return true;
  }
  return false;
}

/* Entries of each query where the tensor has such an axis, and they are few; else of all. */
static bool is_entries(const sn_func *f, sn_access_site *a, const reach *of, sn_types *types) {
  a->kind = SN_SUM_TABLES;
  join_axes(f, a, of, types);
  if (is_of_queries(a, of) && sn_dimx_max_value(a->entries) <= SN_TABLE) return true;
  a->kind = SN_SUM_ENTRIES;
  join_axes(f, a, of, types);
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
  return is_entries(f, a, of, types);
}

/* Products of queries with rows: their gradient goes to both. */
static void add_rows(const sn_func *f, const sn_node *n, sn_accesses *out) {
  int64_t c = sn_node_attr(sn_node_of(f, n->arg[0]), "index")->i - SN_SITE_CAPTURE;
  for (int i = 0; i < 2; i++)
    out->at[out->count++] = (sn_access_site){
        .value = n->first, .capture = (int)c, .count = 4, .expr = n->arg + 1, .kind = SN_SUM_ROWS + 2 * (int)c + i};
}

static bool reads_product(const sn_node *attention, const sn_func *f, const sn_node *n) {
  if (n->op != SN_OP_INDEX || sn_node_of(f, n->arg[0])->op != SN_OP_ARG) return false;
  int64_t c = sn_node_attr(sn_node_of(f, n->arg[0]), "index")->i - SN_SITE_CAPTURE;
  return c >= 0 && sn_attention_is_product(attention, (int)c);
}

/* Reads of captured tensors by node n of the region. false: one that is no access */
static bool add_reads(const sn_node *attention, const bool *need, const sn_func *f, const sn_node *n,
                      sn_accesses *out) {
  if (reads_product(attention, f, n)) {
    add_rows(f, n, out);
    return true;
  }
  for (int i = 0; i < n->arg_count; i++) {
    int c = captured(attention, need, f, n->arg[i]);
    if (c < 0 || !sn_val_type(f, n->arg[i])->rank) continue;
    if (n->op != SN_OP_INDEX || i > 0) return false;
    out->at[out->count++] =
        (sn_access_site){.value = n->first, .capture = c, .count = n->arg_count - 1, .expr = n->arg + 1};
  }
  int c = captured(attention, need, f, n->first);
  if (c < 0 || n->type[0]->rank) return true;
  out->at[out->count++] = (sn_access_site){.value = n->first, .capture = c};
  return true;
}

/* The one node that reads elements of argument `index`; NULL: there are more, or other uses of it. */
static const sn_node *only_reader(const sn_func *f, int64_t index) {
  const sn_node *found = NULL;
  for (int i = 0; f && i < f->node_count; i++)
    for (int k = 0; k < f->node[i]->arg_count; k++) {
      if (!sn_is_region_arg(f, f->node[i]->arg[k], index)) continue;
      if (found || k || f->node[i]->op != SN_OP_INDEX) return NULL;
      found = f->node[i];
    }
  return found;
}

static bool is_used(const sn_func *f, int64_t index) {
  for (int i = 0; f && i < f->node_count; i++)
    for (int k = 0; k < f->node[i]->arg_count; k++)
      if (sn_is_region_arg(f, f->node[i]->arg[k], index)) return true;
  return false;
}

/* Is v the number of the query's own row: its position, less that of the first query? */
static bool is_own_row(const sn_node *attention, const sn_func *f, sn_val v) {
  sn_attention_layout l = sn_attention_layout_of(attention);
  const sn_node *n = sn_node_of(f, v);
  if (l.start < 0) return sn_is_region_arg(f, v, SN_SITE_QUERY);
  if (n->op != SN_OP_SUB || !sn_is_region_arg(f, n->arg[0], SN_SITE_QUERY)) return false;
  const sn_node *start = sn_node_of(f, n->arg[1]);
  if (start->op == SN_OP_INDEX) {
    if (start->arg_count != 2 || !sn_is_region_arg(f, start->arg[1], SN_SITE_BATCH)) return false;
    start = sn_node_of(f, start->arg[0]);
  }
  int64_t i = start->op == SN_OP_ARG ? sn_node_attr(start, "index")->i - SN_SITE_CAPTURE : -1;
  return i >= 0 && i < l.capture_count && attention->arg[l.first_capture + i] == attention->arg[l.start];
}

static reach reach_of_value(const sn_node *n, const sn_func *f, sn_val v) {
  sn_arena *scratch = sn_arena_needed();
  reach *of = SN_ARRAY(scratch, f->value_count, reach);
  bool start_of_batch = sn_attention_layout_of(n).start >= 0;
  for (int i = 0; i < f->node_count; i++) of[f->node[i]->first] = reach_of(f, f->node[i], of, start_of_batch);
  reach r = of[v];
  sn_arena_destroy(scratch);
  return r;
}

sn_val sn_attention_row_number(const sn_node *n, int capture) {
  const sn_func *f = sn_node_attr(n, "score")->region;
  const sn_node *read = only_reader(f, SN_SITE_CAPTURE + capture);
  if (!read || is_used(sn_node_attr(n, "mask")->region, SN_SITE_CAPTURE - 1 + capture)) return 0;
  if (sn_dimx_is_one(sn_val_type(f, read->arg[0])->dim[1])) return 0; /* one query: they are few */
  bool own = sn_is_region_arg(f, read->arg[1], SN_SITE_BATCH) && is_own_row(n, f, read->arg[2]) &&
             sn_is_region_arg(f, read->arg[3], SN_SITE_HEAD);
  if (!own) return 0;
  reach row = reach_of_value(n, f, read->arg[4]);
  return row.along == NOTHING || row.along == DIFFERENCE ? read->arg[4] : 0;
}

bool sn_attention_products_fit(const sn_node *n) {
  const sn_attr *products = sn_node_attr(n, "products");
  for (int i = 0; i < products->count; i++)
    if (products->count > SN_PRODUCTS || !sn_attention_row_number(n, (int)products->ints[i])) return false;
  return true;
}

sn_val sn_attention_make_products(sn_build *b, const sn_node *n, const sn_val *arg) {
  const sn_attr *products = sn_node_attr(n, "products");
  int first = sn_attention_layout_of(n).first_capture, kept = 0;
  sn_val *operand = SN_ARRAY(b->func->arena, n->arg_count, sn_val);
  int64_t *left = SN_ARRAY(b->func->arena, products->count + 1, int64_t);
  for (int i = 0; i < n->arg_count; i++) operand[i] = arg[i];
  for (int i = 0; i < products->count; i++) {
    int k = first + (int)products->ints[i];
    const sn_type *rows = sn_g_type(b, arg[k]);
    bool few = sn_dimx_is_one(sn_g_type(b, arg[0])->dim[1]) || sn_dimx_max_value(rows->dim[rows->rank - 2]) <= SN_TABLE;
    bool made = few && (kept == SN_PRODUCTS || !sn_attention_row_number(n, (int)products->ints[i]));
    if (made)
      operand[k] = sn_product_of(b, arg[0], arg[k]);
    else
      left[kept++] = products->ints[i];
  }
  if (kept == products->count || b->failed) return 0;
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  for (int i = 0; i < sn_op_get(n->op)->attr_count; i++) attr[i] = n->attr[i];
  attr[sn_op_attr(n->op, "products")] = (sn_attr){.set = kept > 0, .ints = left, .count = kept};
  return sn_emit(b, n->op, n->arg_count, operand, attr, NULL);
}

const char sn_attention_no_products[] =
    "kernels make products of queries with rows by query less key, or with up to 1024 rows";
static_assert(SN_TABLE == 1024, "says so");
static const char too_many[] = "positions choose among more than 65536 entries of a captured tensor";
static_assert(SN_ENTRIES == 65536, "says so");

const char *sn_accesses_of(const sn_node *n, const bool *need, sn_arena *arena, sn_types *types, sn_accesses *out) {
  const sn_func *f = sn_node_attr(n, "score")->region;
  *out = (sn_accesses){0};
  if (!sn_attention_products_fit(n)) return sn_attention_no_products; /* part of the queries' gradient */
  if (!f) return NULL;
  out->at = SN_ARRAY(arena, 2 * f->node_count, sn_access_site); /* two of a node at most */
  sn_arena *scratch = sn_arena_needed();
  reach *of = SN_ARRAY(scratch, f->value_count, reach);
  sn_attention_layout l = sn_attention_layout_of(n);
  bool start_of_batch = l.start >= 0;
  const char *why = NULL;
  for (int i = 0; i < f->node_count && !why; i++) {
    of[f->node[i]->first] = reach_of(f, f->node[i], of, start_of_batch);
    if (!add_reads(n, need, f, f->node[i], out)) why = "a captured tensor is read in another way than by index";
  }
  for (int i = 0; i < out->count && !why; i++) {
    sn_access_site *a = &out->at[i];
    if (a->kind < SN_SUM_ROWS) {
      if (!classify(f, a, of, types)) why = too_many;
      continue;
    }
    const reach *row = &of[a->expr[3]];
    a->batch = row->batch, a->head = row->head, a->linear = row->linear && row->q == 1 && row->k == -1;
  }
  sn_arena_destroy(scratch);
  return why;
}

const char *sn_attention_no_sums(const sn_node *n, const bool *need, sn_types *types) {
  sn_accesses a;
  sn_arena *scratch = sn_arena_needed();
  const char *why = sn_accesses_of(n, need, scratch, types, &a);
  sn_arena_destroy(scratch);
  return why;
}
