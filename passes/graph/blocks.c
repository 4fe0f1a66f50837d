/* graph -> graph: attention whose mask lets each query see more, or less regularly, than one range of keys gets a map
 * of its blocks as a last operand: empty ones are left out, full ones have no mask. Equal masks of several layers have
 * one map (cse), which is computed once in a step.
 *
 *   blocks.map   attention(q, k, v, ..) is attention(q, k, v, .., map)
 *
 * No map is made where loop bounds follow from the mask itself, as for causal masks and windows (lower/attend_mask.c),
 * for a single query, and where there is one block. Terminates: each rule gives a node without a map one. */
#include <string.h>

#include "passes/graph/block_map.h"
#include "passes/graph/rewrite.h"
#include "passes/graph/wraps.h"
#include "passes/lower/internal.h"

enum { ARG_BATCH, ARG_HEAD, ARG_QUERY, ARG_KEY, ARG_CAPTURE };

/* q * row of query + k * key + s * start + what no row changes, from lo to hi */
typedef struct linear {
  bool known;
  int64_t q, k, s;
  double lo, hi;
} linear;

/* What the mask is of. */
typedef struct masked {
  const sn_func *f;
  const sn_node *n;
  const sn_val *arg; /* operands of n */
  sn_attention_layout l;
  const sn_dimx *T, *S;
  bool backward;
  linear *of; /* by value id of f */
  bool *done; /* .. and of comparisons: they bound keys */
} masked;

static int64_t arg_of(const sn_node *n) { return n->op == SN_OP_ARG ? sn_node_attr(n, "index")->i : -1; }

static bool constant(const sn_node *n, int64_t *out) {
  double x = n->op == SN_OP_CONST ? sn_node_attr(n, "value")->f : 0.5;
  *out = x > -1e15 && x < 1e15 ? (int64_t)x : 0;
  return (double)*out == x && x >= INT32_MIN && x <= INT32_MAX;
}

/* the captured `start` itself, or that of the batch row in it */
static bool is_start(const masked *m, const sn_node *n) {
  bool indexed = n->op == SN_OP_INDEX;
  if (m->l.start < 0 || (indexed && (n->arg_count != 2 || arg_of(sn_node_of(m->f, n->arg[1])) != ARG_BATCH)))
    return false;
  int64_t i = arg_of(indexed ? sn_node_of(m->f, n->arg[0]) : n) - ARG_CAPTURE;
  return i >= 0 && i < m->l.capture_count && m->arg[m->l.first_capture + i] == m->arg[m->l.start];
}

static linear sum(linear x, int64_t times, linear y) {
  double n = (double)times;
  if (!x.known || !y.known) return (linear){0};
  return (linear){true,
                  x.q + times * y.q,
                  x.k + times * y.k,
                  x.s + times * y.s,
                  x.lo + n * (times < 0 ? y.hi : y.lo),
                  x.hi + n * (times < 0 ? y.lo : y.hi)};
}

/* May it not wrap? As loop bounds want it: lower/attend_mask.c. */
static bool fits(const masked *m, linear x) {
  const int64_t part[] = {x.q, x.k, x.s};
  const double most[] = {sn_last_row(m->T, m->l.start >= 0), sn_last_row(m->S, false), SN_START_MAX};
  return sn_fits_i32(3, part, most, x.lo, x.hi);
}

static linear linear_of(const masked *m, sn_val v);

static linear product(const masked *m, const sn_node *n) {
  int64_t c;
  for (int i = 0; i < 2; i++)
    if (constant(sn_node_of(m->f, n->arg[i]), &c)) return sum((linear){.known = true}, c, linear_of(m, n->arg[1 - i]));
  return (linear){0};
}

/* Slots of a ring, no fewer than keys. */
static linear remainder_of(const masked *m, const sn_node *n) {
  linear x = linear_of(m, n->arg[0]);
  int64_t modulus;
  if (!constant(sn_node_of(m->f, n->arg[1]), &modulus) || modulus < sn_dimx_max_value(m->S)) return (linear){0};
  bool known = x.known && !m->backward && x.q == 0 && (x.k == 1 || x.k == -1);
  return (linear){.known = known, .k = x.k, .lo = -(double)modulus, .hi = 2. * (double)modulus};
}

static linear of_dim(const sn_dimx *d) {
  return (linear){.known = true, .lo = (double)sn_dimx_min_value(d), .hi = (double)sn_dimx_max_value(d)};
}

static linear linear_at(const masked *m, sn_val v) {
  const sn_node *n = sn_node_of(m->f, v);
  int64_t i = arg_of(n);
  double x;
  if (n->type[0]->elem != SN_ELEM_I32) return (linear){0};
  switch (n->op) {
    case SN_OP_ARG:
    case SN_OP_INDEX:
      if (i == ARG_QUERY) return (linear){.known = true, .q = 1, .s = m->l.start >= 0};
      if (i == ARG_KEY) return (linear){.known = true, .k = 1};
      return (linear){.known = is_start(m, n), .s = 1};
    case SN_OP_CONST: x = sn_node_attr(n, "value")->f; return (linear){.known = true, .lo = x, .hi = x};
    case SN_OP_DIM: return of_dim(sn_node_attr(n, "dim")->d);
    case SN_OP_ADD: return sum(linear_of(m, n->arg[0]), 1, linear_of(m, n->arg[1]));
    case SN_OP_SUB: return sum(linear_of(m, n->arg[0]), -1, linear_of(m, n->arg[1]));
    case SN_OP_NEG: return sum((linear){.known = true}, -1, linear_of(m, n->arg[0]));
    case SN_OP_MUL: return product(m, n);
    case SN_OP_MOD: return remainder_of(m, n);
    default: return (linear){0};
  }
}

static linear linear_of(const masked *m, sn_val v) {
  if (m->done[v]) return m->of[v];
  linear x = linear_at(m, v);
  m->done[v] = true;
  return m->of[v] = x.known && fits(m, x) ? x : (linear){0};
}

/* Do comparisons bound the keys of each query (backward: and the queries of each key), and nothing else? */
static bool is_range(const masked *m, sn_val v) {
  const sn_node *n = sn_node_of(m->f, v);
  if (n->op == SN_OP_AND) return m->done[v] || (m->done[v] = is_range(m, n->arg[0]) && is_range(m, n->arg[1]));
  if (n->op == SN_OP_CONST) return sn_node_attr(n, "value")->f != 0;
  if (n->op != SN_OP_LT && n->op != SN_OP_LE && n->op != SN_OP_EQ) return false;
  linear d = sum(linear_of(m, n->arg[0]), -1, linear_of(m, n->arg[1]));
  bool keys = d.k == 1 || d.k == -1, queries = d.q == 1 || d.q == -1;
  return d.known && keys && (queries || !m->backward);
}

static bool is_range_mask(masked *m) {
  sn_arena *scratch = sn_arena_needed();
  m->of = SN_ARRAY(scratch, m->f->value_count, linear), m->done = SN_ARRAY(scratch, m->f->value_count, bool);
  bool range = is_range(m, m->f->result[0]);
  sn_arena_destroy(scratch);
  return range;
}

static bool has_target(const sn_pass_env *env) {
  return env->target && env->target->bq > 0 && env->target->bkv > 0 && strcmp(env->target->name, "ref") != 0;
}

static bool block_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  if ((n->op != SN_OP_ATTENTION && n->op != SN_OP_ATTENTION_GRAD) || b->func->kind != SN_FUNC_GRAPH) return false;
  masked m = {.f = sn_node_attr(n, "mask")->region, .n = n, .arg = arg, .l = sn_attention_layout_of(n)};
  if (!m.f || m.l.map >= 0 || !sn_attention_has_kernel(r->env, sn_g_type(b, arg[0]), sn_g_type(b, arg[2])))
    return false;
  const sn_dimx *T = sn_g_type(b, arg[0])->dim[1];
  int pages = m.l.pages, at = pages < 0 ? n->arg_count : pages; /* the table stays last */
  m.T = T, m.backward = n->op == SN_OP_ATTENTION_GRAD;
  m.S = sn_attention_keys(b->func->module->types, sn_g_type(b, arg[1]), pages < 0 ? NULL : sn_g_type(b, arg[pages]));
  int bq = sn_attend_block(r->env->target->bq, T), bk = sn_attend_block(r->env->target->bkv, m.S);
  bool one = sn_dimx_max_value(T) <= bq && sn_dimx_max_value(m.S) <= bk;
  if (one || sn_dimx_is_one(T) || is_range_mask(&m) || !sn_block_map_fits(b->func, n, arg)) return false;
  if (!sn_rule_enabled(r->env, "blocks.map")) return false;
  sn_val *with = SN_ARRAY(b->func->arena, n->arg_count + 1, sn_val);
  int64_t *size = SN_ARRAY(b->func->module->arena, 2, int64_t);
  sn_attr attr[SN_ATTR_MAX];
  int count = sn_op_get(n->op)->attr_count;
  memcpy(attr, n->attr, (size_t)count * sizeof *attr);
  size[0] = bq, size[1] = bk;
  attr[sn_op_attr(n->op, "blocks")] = (sn_attr){.set = true, .count = 2, .ints = size};
  memcpy(with, arg, (size_t)n->arg_count * sizeof *arg);
  if (pages >= 0) with[pages + 1] = arg[pages];
  with[at] = sn_block_map(b, &(sn_block_map_of){n, sn_g_type(b, arg[0]), sn_g_type(b, arg[1]), arg, bq, bk, NULL});
  sn_val first = sn_emit(b, n->op, n->arg_count + 1, with, attr, NULL);
  for (int i = 0; i < n->result_count; i++) out[i] = first + (sn_val)i;
  return true;
}

sn_code sn_pass_blocks(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "blocks", .node = block_node};
  env->rule_hits = 0;
  return has_target(env) ? sn_rewrite_module(m, &r) : SN_OK;
}
