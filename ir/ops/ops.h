/* The rules of every op: the only place for op semantics.
 * Each op has one block (ir/ops/<family>.c) with its rules and one row in the table that they form. */
#ifndef SN_IR_OPS_OPS_H
#define SN_IR_OPS_OPS_H

#include "ir/graph/graph.h"

/* ---- building -------------------------------------------------------------------------------- */

/* Emits nodes into a function with inferred types. Sticky: after the first error every call returns 0
 * and adds nothing. The origin is given to every node emitted until it is changed. */
typedef struct sn_build {
  sn_func *func;
  sn_diags *diags;
  sn_origin origin;
  sn_code failed;
} sn_build;

sn_build sn_build_begin(sn_func *f, sn_diags *diags);

/* One node of `op`: infers and checks its types. attrs: as op.def lists, or NULL.
 * LEAF ops need `type`; the others ignore it. -> first result, 0 after an error. */
sn_val sn_emit(sn_build *b, sn_op op, int arg_count, const sn_val *arg, const sn_attr *attr, const sn_type *type);

/* Shorthands over sn_emit, for rules, passes and the DSL. Operands of elementwise ops must have one shape. */
sn_val sn_g1(sn_build *b, sn_op op, sn_val x);
sn_val sn_g2(sn_build *b, sn_op op, sn_val x, sn_val y);
sn_val sn_g3(sn_build *b, sn_op op, sn_val x, sn_val y, sn_val z);
sn_val sn_g_const(sn_build *b, const sn_type *type, double value);
sn_val sn_g_const_like(sn_build *b, sn_val like, double value);            /* same type as `like` */
sn_val sn_g_const_elem(sn_build *b, sn_val like, sn_elem e, double value); /* shape of `like`, element type e */
sn_val sn_g_iota(sn_build *b, const sn_type *type, int axis);
sn_val sn_g_cast(sn_build *b, sn_val x, sn_elem to); /* x itself when it has that type */
sn_val sn_g_dim(sn_build *b, const sn_dimx *d);      /* i32[] */
sn_val sn_g_reshape(sn_build *b, sn_val x, int rank, const sn_dimx *const *shape);
sn_val sn_g_transpose(sn_build *b, sn_val x, const int64_t *perm);
sn_val sn_g_broadcast(sn_build *b, sn_val x, int rank, const sn_dimx *const *shape, const int64_t *axes);
/* numpy broadcasting of x to `type`'s shape: axes aligned at the right, extent 1 repeats. */
sn_val sn_g_expand_to(sn_build *b, sn_val x, const sn_type *type);
sn_val sn_g_slice(sn_build *b, sn_val x, const sn_dimx *const *start, const sn_dimx *const *shape);
sn_val sn_g_slice_axis(sn_build *b, sn_val x, int axis, const sn_dimx *start, const sn_dimx *count);
sn_val sn_g_concat(sn_build *b, int axis, int count, const sn_val *x);
sn_val sn_g_sum(sn_build *b, sn_val x, int axis_count, const int64_t *axes);
sn_val sn_g_prod(sn_build *b, sn_val x, int axis_count, const int64_t *axes);
sn_val sn_g_amin(sn_build *b, sn_val x, int axis_count, const int64_t *axes);
sn_val sn_g_amax(sn_build *b, sn_val x, int axis_count, const int64_t *axes);
/* The reduced x with its axes put back as extent 1 and broadcast to the shape of `like`. */
sn_val sn_g_unreduce(sn_build *b, sn_val reduced, sn_val like, int axis_count, const int64_t *axes);
sn_val sn_g_contract(sn_build *b, const char *spec, sn_val x, sn_val y);
/* The result in `to`: f32 of operands of bf16 or f16; SN_ELEM_NONE: what the operands give. */
sn_val sn_g_contract_to(sn_build *b, const char *spec, sn_val x, sn_val y, sn_elem to);
sn_val sn_g_region_call(sn_build *b, const sn_func *body, int arg_count, const sn_val *args,
                        int result); /* inlines the body */

/* The nodes of a body in b->func. map: by value id of the body, set to the values in b->func. */
void sn_region_copy(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map);
/* The same for gradients: ops without a gradient rule of their own are expanded, and attention with captured tensors.
 */
void sn_region_inline(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map);
/* The same for the step of a scan: all attention is expanded. */
void sn_region_inline_step(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, sn_val *map);

static inline const sn_type *sn_g_type(const sn_build *b, sn_val v) { return sn_val_type(b->func, v); }

/* ---- rules ------------------------------------------------------------------------------------ */

typedef struct sn_infer { /* in: what is applied; out: the result types */
  sn_module *module;
  sn_diags *diags;
  sn_op op;
  sn_loc loc;
  int arg_count;
  const sn_type *const *arg; /* type of each operand */
  const sn_attr *attr;       /* as many as op.def lists */
  const sn_type *leaf;       /* LEAF ops: the stated type; NULL for the others */
  int result_count;          /* out */
  const sn_type **result;    /* out: types of the results; room, or an array of the types' arena */
  const sn_type *room[4];
} sn_infer;

/* Gradient rule: given d result (0 where none flows) adds nodes and sets d_arg[i] (leave 0 for none). */
typedef struct sn_grad_rule {
  sn_build *b;          /* function being built; holds forward nodes under the ids below */
  const sn_node *node;  /* forward node, operands mapped into b->func */
  const sn_val *arg;    /* operands in b->func */
  const sn_val *result; /* forward results in b->func */
  const sn_val *d_result;
  const bool *need; /* per operand: does anybody want its gradient */
  sn_val *d_arg;
} sn_grad_rule;

typedef struct sn_op_rules {
  /* Checks operands, sets result types. On failure leaves a diagnostic with expected and found. */
  sn_code (*infer)(sn_infer *in);
  /* NULL: no gradient; `why_no_grad` says why. EXPAND ops: NULL means through the expansion. */
  void (*grad)(sn_grad_rule *g);
  const char *why_no_grad;
  /* EXPAND ops: the same values in ops that are not EXPAND. */
  sn_val (*expand)(sn_build *b, const sn_node *n, const sn_val *arg);
  const char *doc; /* one line of reference documentation */
} sn_op_rules;

const sn_op_rules *sn_op_rules_of(sn_op op);

/* Types of what `op` makes of the operands. The in-part of `in` is set, except room.
 * errors: SN_ERR_INPUT with a diagnostic: expected and found. */
SN_MUST sn_code sn_op_infer(sn_infer *in);

/* Kinds of the op divergence. */
const char *const *sn_divergence_kinds(int *count);
/* The distillation loss per row: t^2 divergence(logits / t, reference / t); temperature t []: 0 stands for 1.
 *   shape: logits, reference [.., V] -> [..], f32 or f64.   source: Hinton, Vinyals, Dean 2015, section 2 */
sn_val sn_g_distil(sn_build *b, const char *kind, sn_val logits, sn_val reference, sn_val temperature);

/* ---- rewriting --------------------------------------------------------------------------------- */

/* The expansion of an EXPAND node, with its lines and layer, and the group "softmax#12" (12: its value id).
 * arg: its operands in b->func. */
sn_val sn_emit_expansion(sn_build *b, const sn_node *n, const sn_val *arg);

/* Attention in terms of other ops over a [B, H, T, S] tensor of scores. Rows without a visible key give y = 0, and lse
 * = -inf or a sum of 0.
 * -> y; *lse (may be NULL) the second result. */
sn_val sn_attention_expand(sn_build *b, const sn_node *n, const sn_val *arg);
sn_val sn_attention_expand_lse(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *lse);
/* The same; inside: the scaled products and the scores, before the mask. */
sn_val sn_attention_expand_inside(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *lse, sn_val inside[2]);

/* The score region on `raw` [B, H, T, S] (scale q.k); *mask: what the mask region lets through, 0 when there is none.
 * arg: operands of the attention or attention_grad node; the start is added to the query index. */
sn_val sn_attention_scores(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, sn_val *mask);

/* A region of attention or attention_grad on every pair of query and key.  raw: argument 0 of the region; 0: it has no
 * score. -> its result of that number, [B, H, T, S] */
sn_val sn_attention_lift(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, const sn_func *region,
                         int result);

/* What the results of attention_grad after dq, dk and dv are sums over (attention_captures.c): entries of `sums`.
 * PAIRS + 1: of each batch, + 2: of each head. */
typedef enum sn_sum_kind {
  SN_SUM_QUERIES,
  SN_SUM_KEYS,
  SN_SUM_DIFFERENCES,
  SN_SUM_ENTRIES,
  SN_SUM_TABLES,
  SN_SUM_PAIRS,
  SN_SUM_ROWS = SN_SUM_PAIRS + 4 /* + 2 c: captured rows c by query; + 2 c + 1: queries by key - query */
} sn_sum_kind;
/* Why the gradients of captured tensors are not made of such sums, so that attention must be expanded; NULL: they are.
 * need: by operand */
const char *sn_attention_no_sums(const sn_node *n, const bool *need, sn_types *types);
/* What products of queries with rows kernels make, for those that they do not. */
extern const char sn_attention_no_products[];
/* The keys that queries may see: rows of operand k, or those of a sequence's pages. */
const sn_dimx *sn_attention_keys(sn_types *types, const sn_type *k, const sn_type *pages);
/* Attention with a table of pages as attention of the rows of those pages side by side. -> its first result */
sn_val sn_attention_side_by_side(sn_build *b, const sn_node *n, const sn_val *arg);
/* These results in other ops.  raw: scaled q.k, ds: gradient by the score, both [B, H, T, S] */
void sn_attention_sums(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, sn_val ds, sn_val *out);

/* The value of the score region that numbers the rows of such a tensor, where kernels make the products block by block:
 * it is read in one place, for the query's own row, by a function of query - key, batch, head. 0: they do not */
sn_val sn_attention_row_number(const sn_node *n, int capture);
/* Do kernels make all of its products? */
bool sn_attention_products_fit(const sn_node *n);
/* The same attention, with those that they do not make as captured tensors [B, T, H, R] where these are no larger than
 * what the queries are times a constant. 0: there are none */
sn_val sn_attention_make_products(sn_build *b, const sn_node *n, const sn_val *arg);
/* Is the captured tensor rows that regions see as their products with the queries (attention_rows.c)? */
bool sn_attention_is_product(const sn_node *n, int capture);

/* Operand layout of attention and attention_grad: captures, and the indices of start, of the map of blocks, of the
 * table of pages and of the gradient of the second result (-1: none). */
typedef struct sn_attention_layout {
  int first_capture, capture_count, start, map, pages, dtotal;
} sn_attention_layout;
sn_attention_layout sn_attention_layout_of(const sn_node *n);

/* Operand layout of scan: states, inputs, captures; results: states, outputs. */
typedef struct sn_scan_layout {
  int states, inputs, captures, outputs;
  int lead, time; /* letters of `axes`, position of t */
  bool reverse;
  const sn_func *step;
} sn_scan_layout;
sn_scan_layout sn_scan_layout_of(const sn_node *n);
/* Are the states before each step among the outputs, as the gradient wants them? */
bool sn_scan_stores_states(const sn_node *n);
/* The same scan with these outputs after its own. -> its first result */
sn_val sn_scan_store_states(sn_build *b, const sn_node *n, const sn_val *arg);
/* A body of a scan's step, with one argument per type -> arg; and its end. */
sn_build sn_scan_body_begin(sn_build *b, const char *name, int count, const sn_type *const *type, sn_val *arg);
const sn_func *sn_scan_body_end(sn_build *b, sn_build *x);
/* Different letters a .. z, one of them t, at most SN_RANK_MAX? */
bool sn_scan_axes_valid(const char *axes);

/* Every value of such a region at once: by value id; what does not vary is as it is in the body. */
sn_val *sn_region_lift_values(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, const bool *lifted,
                              const sn_type *shape);

/* A scalar region applied to each element of tensors of one shape. lifted[i]: argument i is a tensor of type `shape`'s
 * extents standing for a scalar; the others are passed whole. Results are tensors of that shape.
 * errors: b->failed with a diagnostic for ops that cannot be lifted (rows of a varying tensor). */
sn_val sn_region_lift(sn_build *b, const sn_func *body, int arg_count, const sn_val *args, const bool *lifted,
                      const sn_type *shape, int result);

/* Reverse mode: adds to b->func nodes for sum_i <d_out[i], d out[i] / d wrt[j]> -> d_wrt[j], 0 where nothing flows.
 * Forward nodes are those of b->func when called: no call, grad or EXPAND op without a gradient rule may lie on a path.
 * errors: SN_ERR_INPUT at the node that cannot be differentiated, with the ends of the path. */
SN_MUST sn_code sn_derive(sn_build *b, int out_count, const sn_val *out, const sn_val *d_out, int wrt_count,
                          const sn_val *wrt, sn_val *d_wrt);
/* Does a gradient flow through values of this node to its operands (no constant for gradients)? */
bool sn_op_passes_gradient(sn_op op);

/* Re-infers every type of a function and its regions and compares with what is stated (parsed text). */
SN_MUST sn_code sn_ops_check(const sn_func *f, sn_diags *diags);

/* Spec of a contraction: letters of each operand and result, checked. */
typedef struct sn_contract_spec {
  int a_count, b_count, out_count;
  char a[SN_RANK_MAX + 1], b[SN_RANK_MAX + 1], out[SN_RANK_MAX + 1];
} sn_contract_spec;
/* errors: SN_ERR_INPUT without diagnostic when malformed: letters repeat within an operand, an output letter
 * is in neither operand, or a letter of one operand only is missing from the result. */
SN_MUST sn_code sn_contract_parse(const char *spec, sn_contract_spec *out);
/* A contraction as a sum over the products of all combinations of letters; 0: more letters than a tensor has axes. */
sn_val sn_contract_expand(sn_build *b, const sn_node *n, const sn_val *arg);

#endif
