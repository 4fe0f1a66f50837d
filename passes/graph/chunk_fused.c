/* graph -> graph: a loss over a large vocabulary of which no logits exist beyond a tile. Rows x [N, D] and the matrix
 * w [V, D] of a cross entropy are queries and keys of an attention whose lse is the logarithm of the sum:
 *
 *   cross_entropy(x w', t) = lse - (1 - smooth) x . w[t] - smooth x . mean w
 *
 * Where a gradient is wanted, the values are w too: y is the gradient of lse by x. That by w makes the product of a
 * block of rows and one of the vocabulary again: four products of that size instead of three. Else the values are a
 * column of ones, and nothing reads y. */
#include <string.h>

#include "passes/graph/chunk.h"

typedef struct loss {
  sn_build *b;
  const sn_node *n; /* the cross entropy */
  bool derived;
  sn_val rows, table; /* x [.., D], w [V, D] */
  const sn_dimx *N, *V, *D;
} loss;

/* x with the axis of letter `last` at the end. */
static sn_val with_last(sn_build *b, sn_val x, const char *letters, char last) {
  int64_t perm[SN_RANK_MAX];
  int rank = sn_g_type(b, x)->rank, n = 0, at = (int)(strchr(letters, last) - letters);
  for (int i = 0; i < rank; i++)
    if (i != at) perm[n++] = i;
  perm[n] = at;
  return at == rank - 1 ? x : sn_g_transpose(b, x, perm);
}

/* Do the letters but `but` stand in the order of the result? */
static bool in_order(const char *letters, char but, const char *out) {
  for (; *letters; letters++)
    if (*letters != but && *letters != *out++) return false;
  return true;
}

/* The operands of a product of rows with one matrix.  -> NULL, or why it is none */
static const char *find_operands(loss *l, const sn_node *product) {
  static const char other[] = "its logits are not rows times one matrix";
  sn_contract_spec s;
  if (product->op != SN_OP_CONTRACT) return "something stands between the product and the loss";
  if (sn_contract_parse(sn_node_attr(product, "spec")->s, &s)) return other;
  char v = s.out[s.out_count - 1];
  bool second = strchr(s.b, v) != NULL;
  const char *table = second ? s.b : s.a, *rows = second ? s.a : s.b;
  if (strlen(table) != 2 || strchr(rows, v) || strlen(rows) != (size_t)s.out_count) return other;
  char d = table[0] == v ? table[1] : table[0];
  if (!strchr(rows, d) || !in_order(rows, d, s.out)) return other;
  l->rows = with_last(l->b, product->arg[!second], rows, d);
  l->table = with_last(l->b, product->arg[second], table, d);
  return NULL;
}

/* The operands of an attention of rows and matrix: [1, N, 1, D], [1, V, 1, D], and values of either. */
static void types_of(const loss *l, const sn_type *out[3]) {
  sn_types *types = l->b->func->module->types;
  const sn_dimx *e = sn_dimx_const(types, 1);
  const sn_dimx *q[4] = {e, l->N, e, l->D}, *k[4] = {e, l->V, e, l->D}, *v[4] = {e, l->V, e, l->derived ? l->D : e};
  sn_elem elem = sn_g_type(l->b, l->rows)->elem;
  out[0] = sn_type_of(types, elem, 4, q);
  out[1] = sn_type_of(types, elem, 4, k);
  out[2] = sn_type_of(types, elem, 4, v);
}

static const char *check(const loss *l, const sn_pass_env *env) {
  const sn_type *t[3];
  if (sn_g_type(l->b, l->rows)->elem != sn_g_type(l->b, l->table)->elem) return "rows and matrix have different types";
  if (!sn_fuse_wants(env, "attend")) return "kernels of attention are switched off";
  types_of(l, t);
  return sn_attention_has_kernel(env, t[0], t[2]) ? NULL : "attention has no kernel for rows of this type or width";
}

/* The logarithm of the sum of exponentials of each row [N]. */
static sn_val lse_of(const loss *l) {
  sn_build *b = l->b;
  const sn_type *t[3];
  const sn_attr at[SN_ATTR_MAX] = {{.set = true, .f = 1}}; /* scale */
  types_of(l, t);
  sn_val q = sn_g_reshape(b, l->rows, 4, t[0]->dim), k = sn_g_reshape(b, l->table, 4, t[1]->dim);
  const sn_val arg[3] = {q, k, l->derived ? k : sn_g_const(b, t[2], 1)};
  sn_val y = sn_emit(b, SN_OP_ATTENTION, 3, arg, at, NULL);
  return y ? sn_g_reshape(b, y + 1, 1, &l->N) : 0;
}

static sn_val product(const loss *l, const char *spec, sn_val x, sn_val y) {
  sn_elem acc = l->n->type[0]->elem;
  if (l->b->failed) return 0;
  return sn_g_type(l->b, x)->elem == acc ? sn_g_contract(l->b, spec, x, y) : sn_g_contract_to(l->b, spec, x, y, acc);
}

/* w[t] [N, D], marked as what it is made for: a message about targets names that. */
static sn_val rows_of_targets(const loss *l, sn_val targets) {
  sn_build *b = l->b;
  sn_origin origin = b->origin;
  const sn_val arg[2] = {l->table, sn_g_reshape(b, targets, 1, &l->N)};
  b->origin.group = sn_arena_printf(b->func->arena, "%s#%u", sn_op_get(l->n->op)->name, l->n->first);
  sn_val rows = sn_emit(b, SN_OP_GATHER, 2, arg, NULL, NULL);
  b->origin = origin;
  return rows;
}

/* (1 - smooth) x . w[t] + smooth x . mean w [N]; products, so that they are rounded as the logits are */
static sn_val target_of(const loss *l, sn_val targets) {
  sn_build *b = l->b;
  const sn_dimx *shape[2] = {l->N, l->D};
  double smooth = sn_node_attr(l->n, "smooth")->f;
  sn_val x = sn_g_reshape(b, l->rows, 2, shape), at = product(l, "nd,nd->n", x, rows_of_targets(l, targets));
  if (smooth == 0 || b->failed) return at;
  const int64_t axes[1] = {0};
  sn_val sum = product(l, "nd,d->n", x, sn_g_sum(b, l->table, 1, axes));
  sn_val mean = sn_g2(b, SN_OP_MUL, sum, sn_g_const_like(b, sum, smooth / (double)sn_dimx_max_value(l->V)));
  return sn_g2(b, SN_OP_ADD, sn_g2(b, SN_OP_MUL, at, sn_g_const_like(b, at, 1 - smooth)), mean);
}

const char *sn_chunk_fused(sn_build *b, const sn_pass_env *env, bool derived, const sn_node *n, const sn_val *arg,
                           sn_val *out) {
  loss l = {.b = b, .n = n, .derived = derived};
  sn_types *types = b->func->module->types;
  if (n->op != SN_OP_CROSS_ENTROPY) return "a divergence compares all logits of two models";
  const char *why = find_operands(&l, sn_node_of(b->func, arg[0]));
  if (why) return why;
  const sn_type *t = sn_g_type(b, arg[0]);
  l.N = sn_dimx_const(types, 1);
  for (int i = 0; i + 1 < t->rank; i++) l.N = sn_dimx_mul(types, l.N, t->dim[i]);
  l.V = t->dim[t->rank - 1];
  l.D = sn_g_type(b, l.table)->dim[1];
  if ((why = check(&l, env)) != NULL) return why;
  sn_val lse = lse_of(&l), at = target_of(&l, arg[1]);
  sn_val rows = b->failed ? 0 : sn_g2(b, SN_OP_SUB, sn_g_cast(b, lse, n->type[0]->elem), at);
  *out = b->failed ? 0 : sn_g_reshape(b, rows, n->type[0]->rank, n->type[0]->dim);
  return NULL;
}
