/* graph -> graph: attention whose keys and values are gathered from pools of pages reads them there, by the table.
 *
 *   pages.read   attention(q, rows(gather(K, table)), rows(gather(V, table)), ..) is attention(q, K, V, .., table)
 *
 * rows: pages [B N, n, G, d] side by side, [B, N n, G, d], maybe some columns of them. It runs behind grad: gradients
 * go through the gathers. Pages stay gathered where their rows do not make blocks that are worth a product. Terminates:
 * the rule gives a node with a table one. */
#include <string.h>

#include "passes/graph/rewrite.h"
#include "passes/lower/internal.h"

enum { LEAST_ROWS = 8 }; /* of a page that go into a product at a time */

/* What a value is: pages of a pool, and some columns of them. */
typedef struct pages {
  sn_val pool, numbers;         /* [P, n, G, d]; i32 [B N] */
  const sn_dimx *first, *count; /* columns; NULL: all */
} pages;

/* A slice of the last axis alone. */
static bool is_columns(const sn_build *b, const sn_node *n) {
  if (n->op != SN_OP_SLICE || n->type[0]->rank != 4) return false;
  const sn_type *from = sn_g_type(b, n->arg[0]);
  for (int i = 0; i < 3; i++)
    if (from->dim[i] != n->type[0]->dim[i]) return false;
  return true;
}

static bool find_pages(const sn_build *b, sn_val v, const sn_type *q, pages *out) {
  const sn_node *n = sn_node_of(b->func, v);
  *out = (pages){0};
  if (is_columns(b, n)) {
    out->first = sn_node_attr(n, "start")->dims[3], out->count = n->type[0]->dim[3];
    n = sn_node_of(b->func, n->arg[0]);
  }
  const sn_node *gather = n->op == SN_OP_RESHAPE ? sn_node_of(b->func, n->arg[0]) : n;
  if (n->op != SN_OP_RESHAPE || gather->op != SN_OP_GATHER || sn_node_attr(gather, "batch")->i) return false;
  const sn_type *rows = n->type[0], *pool = sn_g_type(b, gather->arg[0]), *numbers = sn_g_type(b, gather->arg[1]);
  out->pool = gather->arg[0], out->numbers = gather->arg[1];
  return rows->rank == 4 && pool->rank == 4 && numbers->rank == 1 && numbers->elem == SN_ELEM_I32 &&
         rows->dim[0] == q->dim[0] && rows->dim[2] == pool->dim[2] && rows->dim[3] == pool->dim[3];
}

/* Pages of a sequence; NULL: they do not make whole sequences, or kernels do not read them. */
static const sn_dimx *pages_each(const sn_rewriter *r, sn_build *b, const sn_val *arg, const pages *k) {
  sn_types *t = b->func->module->types;
  const sn_type *pool = sn_g_type(b, k->pool), *q = sn_g_type(b, arg[0]);
  const sn_dimx *each = sn_dimx_exact_div(t, sn_g_type(b, arg[1])->dim[1], pool->dim[1]);
  int64_t rows;
  if (!each || sn_g_type(b, k->numbers)->dim[0] != sn_dimx_mul(t, q->dim[0], each)) return NULL;
  if (!sn_dimx_is_const(pool->dim[1], &rows) || rows > 1024) return NULL;
  int block = sn_attend_block(r->env->target->bkv, sn_g_type(b, arg[1])->dim[1]);
  int step = sn_attend_page_step(block, (int)rows);
  return step == block || step >= LEAST_ROWS ? each : NULL;
}

static sn_val columns(sn_build *b, const pages *p) {
  return p->count ? sn_g_slice_axis(b, p->pool, 3, p->first, p->count) : p->pool;
}

static bool pages_node(sn_rewriter *r, sn_build *b, const sn_node *n, const sn_val *arg, sn_val *out) {
  pages k, v;
  if (n->op != SN_OP_ATTENTION || b->func->kind != SN_FUNC_GRAPH || sn_node_attr(n, "pages")->i) return false;
  const sn_type *q = sn_g_type(b, arg[0]);
  if (!find_pages(b, arg[1], q, &k) || !find_pages(b, arg[2], q, &v) || k.numbers != v.numbers) return false;
  if (sn_g_type(b, k.pool)->dim[0] != sn_g_type(b, v.pool)->dim[0]) return false;
  if (sn_g_type(b, k.pool)->dim[1] != sn_g_type(b, v.pool)->dim[1]) return false;
  if (!sn_attention_has_kernel(r->env, q, sn_g_type(b, arg[2]))) return false;
  const sn_dimx *table[2] = {q->dim[0], pages_each(r, b, arg, &k)};
  if (!table[1] || !sn_rule_enabled(r->env, "pages.read")) return false;
  sn_val *with = SN_ARRAY(b->func->arena, n->arg_count + 1, sn_val);
  sn_attr attr[SN_ATTR_MAX];
  memcpy(attr, n->attr, (size_t)sn_op_get(n->op)->attr_count * sizeof *attr);
  attr[sn_op_attr(n->op, "pages")] = (sn_attr){.set = true, .i = 1};
  memcpy(with, arg, (size_t)n->arg_count * sizeof *arg);
  with[1] = columns(b, &k), with[2] = columns(b, &v);
  with[n->arg_count] = sn_g_reshape(b, k.numbers, 2, table);
  sn_val first = sn_emit(b, n->op, n->arg_count + 1, with, attr, NULL);
  for (int i = 0; i < n->result_count; i++) out[i] = first + (sn_val)i;
  return true;
}

sn_code sn_pass_pages(sn_module *m, sn_pass_env *env) {
  sn_rewriter r = {.env = env, .pass = "pages", .node = pages_node};
  bool kernels = env->target && env->target->bq > 0 && env->target->bkv > 0 && strcmp(env->target->name, "ref") != 0;
  env->rule_hits = 0;
  return kernels ? sn_rewrite_module(m, &r) : SN_OK;
}
