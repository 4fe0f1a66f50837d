/* Rules of attention and its backward op: types, gradient, and the expansion over a tensor of scores.
 *
 *   q [B,T,H,d], k [B,S,G,d], v [B,S,G,e] -> y [B,T,H,e], total [B,H,T]; query head h reads head h / (H/G) of k and v
 *   s = score(scale q.k, batch, head, start + t, s, captures..)
 *   y = softmax(s where mask) v, total = log sum exp s
 *   with the attribute weights: y = (s where mask) v, total = sum (s where mask)
 *
 * Scores and total are f32, or f64 when q is. attention_grad takes q, k, v, y, total, dy, and with the attribute dtotal
 * the gradient of total; with weights it reads neither y nor total, whatever stands there.
 * A map of blocks says where the mask lets nothing, something (1) or everything (2) through: no part of the values.
 * With the attribute pages, k and v are pools of pages [P, n, G, ..] that sequences share, and the last operand holds
 * the pages of each, i32[B, N]: key s of sequence b is row s mod n of page pages[b, s / n], and S is N n. */
#include "ir/ops/captures.h"

#include <math.h>
#include <string.h>

/* ---- types ---- */

typedef struct operands { /* which there are */
  bool start, map, pages, dtotal;
} operands;

static sn_attention_layout layout_of(sn_op op, int count, operands has) {
  int first = op == SN_OP_ATTENTION ? 3 : 6;
  sn_attention_layout l = {.first_capture = first, .start = -1, .map = -1, .pages = -1, .dtotal = -1};
  if (has.dtotal) l.dtotal = l.first_capture++;
  if (has.pages) l.pages = --count;
  if (has.map) l.map = --count;
  if (has.start) l.start = --count;
  l.capture_count = count - l.first_capture;
  return l;
}

sn_attention_layout sn_attention_layout_of(const sn_node *n) {
  bool backward = n->op == SN_OP_ATTENTION_GRAD;
  operands has = {.start = sn_node_attr(n, "start")->i != 0,
                  .map = sn_node_attr(n, "blocks")->set,
                  .pages = !backward && sn_node_attr(n, "pages")->i != 0,
                  .dtotal = backward && sn_node_attr(n, "dtotal")->i != 0};
  return layout_of(n->op, n->arg_count, has);
}

static sn_attention_layout inferred_layout(sn_infer *in) {
  bool backward = in->op == SN_OP_ATTENTION_GRAD;
  operands has = {.start = sn_infer_attr(in, "start")->i != 0,
                  .map = sn_infer_attr(in, "blocks")->set,
                  .pages = !backward && sn_infer_attr(in, "pages")->i != 0,
                  .dtotal = backward && sn_infer_attr(in, "dtotal")->i != 0};
  return layout_of(in->op, in->arg_count, has);
}

const sn_dimx *sn_attention_keys(sn_types *types, const sn_type *k, const sn_type *pages) {
  return pages ? sn_dimx_mul(types, pages->dim[1], k->dim[1]) : k->dim[1];
}

/* One argument of a region: which type it must have, NULL if the region has no such argument. */
static const sn_type *region_arg(sn_infer *in, const sn_attention_layout *l, int site, int k) {
  sn_types *types = sn_infer_types(in);
  if (k < site) return sn_type_scalar(types, sn_acc_elem(in->arg[0]->elem));
  if (k < site + 4) return sn_type_scalar(types, SN_ELEM_I32);
  if (k >= site + 4 + l->capture_count) return NULL;
  const sn_attr *products = sn_infer_attr(in, "products");
  const sn_type *own = in->arg[l->first_capture + k - site - 4];
  for (int i = 0; i < products->count; i++)
    if (products->ints[i] == k - site - 4) return sn_product_type(types, in->arg[0], own);
  return own;
}

/* A region works on one query and one key: on scalars, and on captured tensors only by an index. */
static bool is_single(const sn_func *body, const sn_node *n) {
  sn_op_class cls = sn_op_get(n->op)->cls;
  bool known = cls == SN_CLASS_LEAF || cls == SN_CLASS_POINT || cls == SN_CLASS_VIEW || cls == SN_CLASS_EXPAND;
  if (n->type[0]->rank || (!known && n->op != SN_OP_INDEX)) return false;
  for (int k = n->op == SN_OP_INDEX; k < n->arg_count; k++)
    if (sn_val_type(body, n->arg[k])->rank) return false;
  return true;
}

static sn_code check_single(sn_infer *in, const char *name, const sn_func *body) {
  for (int i = 0; i < body->node_count; i++) {
    const sn_node *n = body->node[i];
    if (n->op == SN_OP_ARG || is_single(body, n)) continue;
    sn_loc loc = n->origin.loc_count ? n->origin.locs[0] : in->loc;
    sn_code code = sn_fail(in->diags, SN_ERR_INPUT, loc, "`%s`: the %s works on one query and one key, not on `%s`",
                           sn_op_get(in->op)->name, name, sn_op_get(n->op)->name);
    sn_fail_expected(in->diags, "ops on scalars, and elements of captured tensors by index");
    sn_fail_found(in->diags, "`%s` %s", sn_op_get(n->op)->name, sn_infer_text(in, n->type[0]));
    return code;
  }
  return SN_OK;
}

static sn_code check_body(sn_infer *in, const sn_attention_layout *l, const char *name) {
  const sn_func *body = sn_infer_attr(in, name)->region;
  int site = name[0] == 's'; /* arguments before the site: the score, of score and slopes */
  if (!body) return SN_OK;
  for (int i = 0; i < body->node_count; i++) {
    const sn_node *n = body->node[i];
    if (n->op != SN_OP_ARG) continue;
    int64_t k = sn_node_attr(n, "index")->i;
    const sn_type *want = k >= 0 && k < 64 ? region_arg(in, l, site, (int)k) : NULL;
    if (want == n->type[0]) continue;
    sn_code code = sn_infer_fail(in, "argument %lld of the %s region does not fit", (long long)k, name);
    sn_fail_expected(in->diags, "%s", want ? sn_infer_text(in, want) : "no such argument");
    sn_fail_found(in->diags, "%s", sn_infer_text(in, n->type[0]));
    return code;
  }
  return check_single(in, name, body);
}

static sn_code check_region(sn_infer *in, const sn_attention_layout *l, const char *name, sn_elem result) {
  const sn_func *body = sn_infer_attr(in, name)->region;
  if (!body) return SN_OK;
  SN_TRY(check_body(in, l, name));
  const sn_type *want = sn_type_scalar(sn_infer_types(in), result);
  if (body->result_count != 1 || sn_val_type(body, body->result[0]) != want)
    return sn_infer_fail(in, "the %s region must give one %s", name, sn_infer_text(in, want));
  return SN_OK;
}

static sn_code check_start(sn_infer *in, int k) {
  const sn_type *s = in->arg[k];
  if (s->elem != SN_ELEM_I32 || s->rank > 1 || (s->rank == 1 && s->dim[0] != in->arg[0]->dim[0]))
    return sn_infer_want(in, k, "i32[], or i32 with an entry per batch row, the start");
  return SN_OK;
}

static sn_code check_products(sn_infer *in, const sn_attention_layout *l) {
  const sn_attr *products = sn_infer_attr(in, "products");
  for (int i = 0; i < products->count; i++) {
    int64_t c = products->ints[i];
    if (c < 0 || c >= l->capture_count) return sn_infer_fail(in, "there is no captured tensor %lld", (long long)c);
    int k = l->first_capture + (int)c;
    if (!sn_product_type(sn_infer_types(in), in->arg[0], in->arg[k]))
      return sn_infer_want(in, k, "rows [R, d] or [H, R, d] for queries %s", sn_infer_text(in, in->arg[0]));
  }
  return SN_OK;
}

/* The map of blocks: 0, 1 or 2 for each block of queries and keys, maybe the same for all batch rows or heads. */
static sn_code check_map(sn_infer *in, int k, const sn_dimx *S) {
  sn_types *t = sn_infer_types(in);
  const sn_attr *blocks = sn_infer_attr(in, "blocks");
  const sn_type *q = in->arg[0], *m = in->arg[k];
  bool sizes = blocks->count == 2;
  for (int i = 0; i < 2 && sizes; i++) sizes = blocks->ints[i] >= 1 && blocks->ints[i] <= 1024;
  if (!sizes) return sn_infer_fail(in, "`blocks` must be two numbers up to 1024, queries and keys of a block");
  if (sn_dimx_is_one(q->dim[1])) return sn_infer_fail(in, "a single query has no map of blocks");
  const sn_dimx *one = sn_dimx_const(t, 1), *rows = sn_dimx_ceildiv(t, q->dim[1], sn_dimx_const(t, blocks->ints[0])),
                *cols = sn_dimx_ceildiv(t, S, sn_dimx_const(t, blocks->ints[1]));
  bool fits = m->elem == SN_ELEM_I32 && m->rank == 4 && (m->dim[0] == one || m->dim[0] == q->dim[0]) &&
              (m->dim[1] == one || m->dim[1] == q->dim[2]) && m->dim[2] == rows && m->dim[3] == cols;
  return fits ? SN_OK : sn_infer_want(in, k, "i32 [B or 1, H or 1, blocks of queries, blocks of keys], the map");
}

static sn_code check_pages(sn_infer *in, int at) {
  const sn_type *t = in->arg[at];
  if (t->elem == SN_ELEM_I32 && t->rank == 2 && t->dim[0] == in->arg[0]->dim[0]) return SN_OK;
  return sn_infer_want(in, at, "i32[B, N], the pages of each sequence, for queries %s", sn_infer_text(in, in->arg[0]));
}

/* q, k, v, regions, start, map, pages. */
static sn_code check_common(sn_infer *in) {
  sn_types *types = sn_infer_types(in);
  sn_attention_layout l = inferred_layout(in);
  int last = (l.start >= 0) + (l.map >= 0) + (l.pages >= 0);
  if (l.capture_count < 0) return sn_infer_fail(in, "takes at least %d operands", l.first_capture + last);
  const sn_type *q = in->arg[0], *k = in->arg[1], *v = in->arg[2];
  if (l.pages >= 0) SN_TRY(check_pages(in, l.pages));
  if (!sn_elem_is_float(q->elem) || q->rank != 4) return sn_infer_want(in, 0, "floats [B, T, H, d]");
  if (k->elem != q->elem || k->rank != 4 || (l.pages < 0 && k->dim[0] != q->dim[0]) || k->dim[3] != q->dim[3])
    return sn_infer_want(in, 1, "[B, S, G, d] for queries %s", sn_infer_text(in, q));
  if (v->elem != q->elem || v->rank != 4 || v->dim[0] != k->dim[0] || v->dim[1] != k->dim[1] || v->dim[2] != k->dim[2])
    return sn_infer_want(in, 2, "[B, S, G, e] for keys %s", sn_infer_text(in, k));
  if (!sn_dimx_exact_div(types, q->dim[2], k->dim[2]))
    return sn_infer_want(in, 1, "a number of heads (axis 2) that divides the heads of %s", sn_infer_text(in, q));
  if (l.start >= 0) SN_TRY(check_start(in, l.start));
  if (l.map >= 0) SN_TRY(check_map(in, l.map, sn_attention_keys(types, k, l.pages < 0 ? NULL : in->arg[l.pages])));
  SN_TRY(check_products(in, &l));
  SN_TRY(check_region(in, &l, "score", sn_acc_elem(q->elem)));
  return check_region(in, &l, "mask", SN_ELEM_BOOL);
}

static const sn_type *y_type(sn_infer *in) {
  const sn_type *q = in->arg[0];
  const sn_dimx *dim[4] = {q->dim[0], q->dim[1], q->dim[2], in->arg[2]->dim[3]};
  return sn_type_of(sn_infer_types(in), q->elem, 4, dim);
}

static const sn_type *total_type(sn_infer *in) {
  const sn_type *q = in->arg[0];
  const sn_dimx *dim[3] = {q->dim[0], q->dim[2], q->dim[1]};
  return sn_type_of(sn_infer_types(in), sn_acc_elem(q->elem), 3, dim);
}

static sn_code infer_attention(sn_infer *in) {
  SN_TRY(check_common(in));
  sn_infer_results(in, 2);
  in->result[0] = y_type(in);
  in->result[1] = total_type(in);
  return SN_OK;
}

static sn_code infer_attention_grad(sn_infer *in) {
  bool dtotal = sn_infer_attr(in, "dtotal")->i != 0;
  SN_TRY(check_common(in));
  const sn_type *total = total_type(in);
  bool weights = sn_infer_attr(in, "weights")->i != 0; /* operands 4 and 5 are not read */
  if (!weights && in->arg[3] != y_type(in))
    return sn_infer_want(in, 3, "%s, the result of attention", sn_infer_text(in, y_type(in)));
  if (!weights && in->arg[4] != total) return sn_infer_want(in, 4, "%s, its second result", sn_infer_text(in, total));
  if (in->arg[5] != y_type(in)) return sn_infer_want(in, 5, "%s, as the result", sn_infer_text(in, y_type(in)));
  if (dtotal && in->arg[6] != total) return sn_infer_want(in, 6, "%s, as the second result", sn_infer_text(in, total));
  sn_attention_layout l = inferred_layout(in);
  SN_TRY(check_body(in, &l, "slopes"));
  sn_infer_results(in, 3 + sn_infer_attr(in, "sums")->count);
  for (int i = 0; i < 3; i++) in->result[i] = in->arg[i];
  return sn_sums_infer(in);
}

/* ---- gradient ---- */

enum { GRADS = 3 + SN_ACCESSES }; /* q, k, v, then sums for captured tensors */

/* Gradients of q, k and these values, of which attention made y, and the sums. With weights the op reads neither y nor
 * total: dy stands in their places, so that nothing is kept for them. */
static bool backward(const sn_grad_rule *g, const sn_sums_attrs *sums, sn_val v, sn_val y, sn_val dy, sn_val *out) {
  sn_val dtotal = g->d_result[1];
  bool weights = sn_node_attr(g->node, "weights")->i != 0;
  int fixed = dtotal ? 7 : 6, n = g->node->arg_count - 3 + fixed;
  sn_val *arg = SN_ARRAY(g->b->func->arena, n, sn_val);
  const sn_val own[7] = {g->arg[0], g->arg[1], v, weights ? dy : y, weights ? dy : g->result[1], dy, dtotal};
  for (int i = 0; i < n; i++) arg[i] = i < fixed ? own[i] : g->arg[i - fixed + 3];
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  memcpy(attr, g->node->attr, (size_t)sn_op_get(SN_OP_ATTENTION)->attr_count * sizeof *attr);
  if (dtotal) attr[sn_op_attr(SN_OP_ATTENTION_GRAD, "dtotal")] = (sn_attr){.set = true, .i = 1};
  attr[sn_op_attr(SN_OP_ATTENTION_GRAD, "slopes")] = sums->slopes;
  attr[sn_op_attr(SN_OP_ATTENTION_GRAD, "sums")] = sums->sums;
  attr[sn_op_attr(SN_OP_ATTENTION_GRAD, "entries")] = sums->entries;
  sn_val d = sn_emit(g->b, SN_OP_ATTENTION_GRAD, n, arg, attr, NULL);
  for (int i = 0; i < 3 + sums->sums.count; i++) out[i] = d + (sn_val)i;
  return d != 0;
}

/* Where the values are the keys, attention made p k already: dq = scale dlse y. */
static sn_val weighted_keys(const sn_grad_rule *g) {
  sn_build *b = g->b;
  const int64_t perm[3] = {0, 2, 1}, axes[3] = {0, 1, 2};
  const sn_type *q = sn_g_type(b, g->arg[0]);
  sn_val d = sn_g_transpose(b, sn_g_cast(b, g->d_result[1], q->elem), perm);
  sn_val wide = b->failed ? 0 : sn_g_broadcast(b, d, 4, q->dim, axes);
  return sn_b_scale(b, sn_g2(b, SN_OP_MUL, wide, g->result[0]), sn_node_attr(g->node, "scale")->f);
}

/* The gradient of total alone: values do not matter, so that there is one column of them, without a gradient. */
static bool through_total(const sn_grad_rule *g, const sn_sums_attrs *sums, sn_val *out) {
  sn_build *b = g->b;
  const sn_type *q = sn_g_type(b, g->arg[0]), *k = sn_g_type(b, g->arg[1]);
  const sn_dimx *one = sn_dimx_const(sn_b_types(b), 1);
  const sn_dimx *v[4] = {k->dim[0], k->dim[1], k->dim[2], one}, *y[4] = {q->dim[0], q->dim[1], q->dim[2], one};
  sn_val values = sn_g_const(b, sn_type_of(sn_b_types(b), q->elem, 4, v), 0);
  sn_val zeros = sn_g_const(b, sn_type_of(sn_b_types(b), q->elem, 4, y), 0);
  if (b->failed || !backward(g, sums, values, zeros, zeros, out)) return false;
  bool softmax = !sn_node_attr(g->node, "score")->region && !sn_node_attr(g->node, "weights")->i;
  if (softmax && g->arg[1] == g->arg[2]) out[0] = weighted_keys(g);
  return true;
}

/* The sums of some accesses; first: and the gradients of q, k and v. */
static void grad_part(sn_grad_rule *g, sn_accesses *reads, bool first) {
  sn_sums_attrs sums;
  sn_val d[GRADS] = {0};
  bool y = g->d_result[0] != 0;
  sn_sums_attrs_make(g, reads, &sums);
  if (!first && !reads->count) return;
  bool ok =
      y ? backward(g, &sums, g->arg[2], g->result[0], g->d_result[0], d) : g->d_result[1] && through_total(g, &sums, d);
  for (int i = 0; i < (y ? 3 : 2) && ok && first; i++) g->d_arg[i] = d[i];
  if (ok) sn_sums_finish(g, reads, d + 3);
}

/* One node makes a few sums: what a kernel carries is bounded. */
static void grad_attention(sn_grad_rule *g) {
  sn_accesses all;
  if (sn_node_attr(g->node, "pages")->i) {
    sn_b_fail(g->b, "rows of pages have a gradient where they are gathered, before attention takes the table");
    return;
  }
  if (sn_accesses_of(g->node, g->need, g->b->func->arena, sn_b_types(g->b), &all)) {
    sn_b_fail(g->b, "the gradient of a captured tensor needs the expansion of attention");
    return;
  }
  for (int at = 0; (at == 0 || at < all.count) && !g->b->failed; at += SN_ACCESSES) {
    int left = all.count - at;
    sn_accesses reads = {left < SN_ACCESSES ? left : SN_ACCESSES, all.at + at};
    grad_part(g, &reads, at == 0);
  }
}

/* ---- expansion ---- */

/* q.k * scale -> [B, H, T, S] in the type of scores; heads of k repeat in groups of H / G. */
static sn_val raw_scores(sn_build *b, sn_val q, sn_val k, double scale, const sn_type *shape) {
  const sn_type *tq = sn_g_type(b, q), *tk = sn_g_type(b, k);
  const sn_dimx *g = tk->dim[2], *r = sn_dimx_exact_div(sn_b_types(b), tq->dim[2], g);
  const sn_dimx *split[5] = {tq->dim[0], tq->dim[1], g, r, tq->dim[3]};
  sn_elem acc = sn_acc_elem(tq->elem);
  sn_val q5 = sn_g_reshape(b, sn_g_cast(b, q, acc), 5, split);
  sn_val s = sn_g_contract(b, "btgrd,bsgd->bgrts", q5, sn_g_cast(b, k, acc));
  return sn_b_scale(b, sn_g_reshape(b, s, 4, shape->dim), scale);
}

/* p [B,H,T,S] times v [B,S,G,e] -> [B,T,H,e] */
static sn_val weighted(sn_build *b, sn_val p, sn_val v, const sn_type *tq) {
  const sn_type *tv = sn_g_type(b, v), *tp = sn_g_type(b, p);
  const sn_dimx *g = tv->dim[2], *r = sn_dimx_exact_div(sn_b_types(b), tq->dim[2], g);
  const sn_dimx *split[5] = {tp->dim[0], g, r, tp->dim[2], tp->dim[3]};
  const sn_dimx *y[4] = {tq->dim[0], tq->dim[1], tq->dim[2], tv->dim[3]};
  sn_val p5 = sn_g_reshape(b, p, 5, split);
  sn_val o = sn_g_contract(b, "bgrts,bsge->btgre", p5, sn_g_cast(b, v, tp->elem));
  return sn_g_cast(b, sn_g_reshape(b, o, 4, y), tq->elem);
}

typedef struct sites { /* i32 tensors over [B, H, T, S], then captures */
  int count;
  sn_val *at; /* [1 + 4 + captures]; entry 0 is kept for the score */
  bool *lifted;
} sites;

static sites make_sites(sn_build *b, const sn_node *n, const sn_val *arg, const sn_type *shape) {
  sn_attention_layout l = sn_attention_layout_of(n);
  const sn_type *it = sn_type_with_elem(sn_b_types(b), shape, SN_ELEM_I32);
  sites s = {.count = 5 + l.capture_count};
  s.at = SN_ARRAY(b->func->arena, s.count, sn_val);
  s.lifted = SN_ARRAY(b->func->arena, s.count, bool);
  for (int i = 0; i < 4; i++) s.at[1 + i] = sn_g_iota(b, it, i);
  if (l.start >= 0) {
    const int64_t axes[1] = {0};
    sn_val start = sn_g_broadcast(b, arg[l.start], 4, it->dim, axes);
    s.at[3] = sn_g2(b, SN_OP_ADD, s.at[3], start);
  }
  for (int i = 0; i < 5; i++) s.lifted[i] = true;
  for (int i = 0; i < l.capture_count; i++) {
    sn_val c = arg[l.first_capture + i];
    s.at[5 + i] = sn_attention_is_product(n, i) ? sn_product_of(b, arg[0], c) : c;
  }
  return s;
}

static sn_val masked(sn_build *b, sn_val mask, sn_val x, double other) {
  return mask ? sn_g3(b, SN_OP_SELECT, mask, x, sn_g_const_like(b, x, other)) : x;
}

sn_val sn_attention_scores(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, sn_val *mask) {
  const sn_func *score = sn_node_attr(n, "score")->region, *visible = sn_node_attr(n, "mask")->region;
  *mask = 0;
  if (b->failed) return 0;
  const sn_type *shape = sn_g_type(b, raw);
  sites s = make_sites(b, n, arg, shape);
  if (visible) *mask = sn_region_lift(b, visible, s.count - 1, s.at + 1, s.lifted + 1, shape, 0);
  s.at[0] = score && visible ? masked(b, *mask, raw, 0) : raw; /* no slope where it is hidden, be it infinite */
  return score ? sn_region_lift(b, score, s.count, s.at, s.lifted, shape, 0) : raw;
}

sn_val sn_attention_lift(sn_build *b, const sn_node *n, const sn_val *arg, sn_val raw, const sn_func *region,
                         int result) {
  if (b->failed) return 0;
  const sn_type *tq = sn_g_type(b, arg[0]), *tk = sn_g_type(b, arg[1]);
  const sn_dimx *dim[4] = {tq->dim[0], tq->dim[2], tq->dim[1], tk->dim[1]};
  const sn_type *shape = sn_type_of(sn_b_types(b), sn_acc_elem(tq->elem), 4, dim);
  sites s = make_sites(b, n, arg, shape);
  s.at[0] = raw;
  int first = raw ? 0 : 1;
  return sn_region_lift(b, region, s.count - first, s.at + first, s.lifted + first, shape, result);
}

/* p v of masked scores.
 * 1. their maximum (a finite number where nothing is visible)   2. weights exp(s - max), 0 where masked
 * 3. their sum, 1 instead of 0   4. y, lse */
static sn_val softmax_values(sn_build *b, sn_val s, sn_val mask, sn_val v, const sn_type *tq, sn_val *lse) {
  const int64_t axes[1] = {3};
  sn_val m = sn_g1(b, SN_OP_STOP, sn_g_amax(b, masked(b, mask, s, -3e38), 1, axes));
  sn_val z = masked(b, mask, sn_g2(b, SN_OP_SUB, s, sn_g_unreduce(b, m, s, 1, axes)), 0);
  sn_val e = masked(b, mask, sn_g1(b, SN_OP_EXP, z), 0);
  sn_val l = sn_g_sum(b, e, 1, axes);
  if (b->failed) return 0;
  sn_val none = sn_g2(b, SN_OP_EQ, l, sn_b_zeros(b, l));
  sn_val safe = sn_g3(b, SN_OP_SELECT, none, sn_g_const_like(b, l, 1), l);
  if (lse)
    *lse = sn_g3(b, SN_OP_SELECT, none, sn_g_const_like(b, l, -INFINITY),
                 sn_g2(b, SN_OP_ADD, m, sn_g1(b, SN_OP_LOG, safe)));
  sn_val p = sn_g2(b, SN_OP_DIV, e, sn_g_unreduce(b, safe, e, 1, axes));
  return b->failed ? 0 : weighted(b, p, v, tq);
}

/* The operands with keys and values side by side, as without a table. */
static const sn_val *gathered(sn_build *b, const sn_node *n, const sn_val *arg) {
  int table = sn_attention_layout_of(n).pages;
  if (table < 0 || b->failed) return arg;
  sn_types *t = sn_b_types(b);
  const sn_type *pages = sn_g_type(b, arg[table]);
  const sn_dimx *all = sn_dimx_mul(t, pages->dim[0], pages->dim[1]);
  sn_val *out = SN_ARRAY(b->func->arena, n->arg_count, sn_val), numbers = sn_g_reshape(b, arg[table], 1, &all);
  for (int i = 0; i < n->arg_count; i++) out[i] = arg[i];
  for (int i = 1; i < 3 && !b->failed; i++) {
    const sn_type *pool = sn_g_type(b, arg[i]);
    const sn_dimx *rows[4] = {pages->dim[0], sn_attention_keys(t, pool, pages), pool->dim[2], pool->dim[3]};
    const sn_val of[2] = {arg[i], numbers};
    out[i] = sn_g_reshape(b, sn_emit(b, SN_OP_GATHER, 2, of, NULL, NULL), 4, rows);
  }
  return out;
}

sn_val sn_attention_side_by_side(sn_build *b, const sn_node *n, const sn_val *arg) {
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  const sn_val *with = gathered(b, n, arg);
  memcpy(attr, n->attr, (size_t)sn_op_get(n->op)->attr_count * sizeof *attr);
  attr[sn_op_attr(n->op, "pages")] = (sn_attr){0};
  return b->failed ? 0 : sn_emit(b, n->op, n->arg_count - 1, with, attr, NULL);
}

static sn_val expand(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *total, sn_val *inside) {
  if (n->op == SN_OP_ATTENTION) arg = gathered(b, n, arg);
  if (b->failed) return 0;
  const sn_type *tq = sn_g_type(b, arg[0]), *tk = sn_g_type(b, arg[1]);
  const sn_dimx *dim[4] = {tq->dim[0], tq->dim[2], tq->dim[1], tk->dim[1]};
  const sn_type *shape = sn_type_of(sn_b_types(b), sn_acc_elem(tq->elem), 4, dim);
  const int64_t axes[1] = {3};
  sn_val mask, raw = raw_scores(b, arg[0], arg[1], sn_node_attr(n, "scale")->f, shape);
  sn_val s = masked(b, 0, sn_attention_scores(b, n, arg, raw, &mask), 0);
  if (b->failed) return 0;
  if (inside) inside[0] = raw, inside[1] = s;
  if (!sn_node_attr(n, "weights")->i) return softmax_values(b, s, mask, arg[2], tq, total);
  sn_val w = masked(b, mask, s, 0);
  if (total) *total = sn_g_sum(b, w, 1, axes);
  return b->failed ? 0 : weighted(b, w, arg[2], tq);
}

sn_val sn_attention_expand_lse(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *lse) {
  sn_origin saved = b->origin;
  b->origin = n->origin;
  b->origin.group = sn_arena_printf(b->func->arena, "%s#%u", sn_node_called(b->func->arena, n), n->first);
  sn_val v = b->failed ? 0 : expand(b, n, arg, lse, NULL);
  b->origin = saved;
  return v;
}

sn_val sn_attention_expand_inside(sn_build *b, const sn_node *n, const sn_val *arg, sn_val *lse, sn_val inside[2]) {
  return expand(b, n, arg, lse, inside);
}

sn_val sn_attention_expand(sn_build *b, const sn_node *n, const sn_val *arg) {
  return sn_attention_expand_lse(b, n, arg, NULL);
}

const sn_op_rules sn_rules_ATTENTION = {infer_attention, grad_attention,
                                        .doc =
                                            "softmax(score(scale q.k)) v over keys that mask lets through, or "
                                            "score(scale q.k) v with `weights`; captures go "
                                            "to both regions"};
const sn_op_rules sn_rules_ATTENTION_GRAD = {
    infer_attention_grad, .why_no_grad = "second derivatives go through the expansion of attention",
    .doc = "gradients of q, k, v of attention from q, k, v, y, total, dy and maybe dtotal; sums for those of captures"};
