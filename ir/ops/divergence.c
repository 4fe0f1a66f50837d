/* Rules of divergence: how far the distribution of logits x is from that of reference logits y, per row, in f32. Both
 * are softmaxes over the last axis; no probability is an operand or a result. u = log softmax(x), v = log softmax(y), d
 * = u - v forward  KL(y || x) = sum e^v (v - u)      d/dx = e^u - e^v reverse  KL(x || y) = sum e^u (u - v)      d/dx =
 * e^u (d - KL) jsd      (KL(x || m) + KL(y || m)) / 2     d/dx = e^u (log(e^u / m) - KL(x || m)) / 2,   m = (e^u + e^v)
 * / 2 Gradients by y are those of the mirrored divergence. Logits must be finite. source: Hinton, Vinyals, Dean 2015;
 * Agarwal et al. 2024 (generalised distillation), equation 1 with beta 1/2 */
#include <string.h>

#include "ir/ops/rules.h"

static const char *const kinds[] = {"forward", "reverse", "jsd"};

const char *const *sn_divergence_kinds(int *count) {
  *count = sizeof kinds / sizeof kinds[0];
  return kinds;
}

static sn_val wide(sn_build *b, sn_val x) {
  return b->failed || !x ? 0 : sn_g_cast(b, x, sn_acc_elem(sn_g_type(b, x)->elem));
}
static sn_val mul(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_MUL, x, y); }
static sn_val sub(sn_build *b, sn_val x, sn_val y) { return sn_g2(b, SN_OP_SUB, x, y); }

static sn_val row_sum(sn_build *b, sn_val x) {
  if (b->failed) return 0;
  const int64_t axes[1] = {sn_g_type(b, x)->rank - 1};
  return sn_g_sum(b, x, 1, axes);
}

/* A value per row in the shape of `like`. */
static sn_val spread(sn_build *b, sn_val rows, sn_val like) {
  if (b->failed) return 0;
  const int64_t axes[1] = {sn_g_type(b, like)->rank - 1};
  return sn_g_unreduce(b, rows, like, 1, axes);
}

static sn_code infer_divergence(sn_infer *in) {
  const sn_type *x = in->arg[0];
  const char *kind = sn_infer_attr(in, "kind")->s;
  bool known = false;
  if (!sn_elem_is_float(x->elem) || x->rank < 1) return sn_infer_want(in, 0, "float logits with an axis");
  if (in->arg[1] != x) return sn_infer_want(in, 1, "%s", sn_infer_text(in, x));
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) known |= !strcmp(kind, kinds[i]);
  if (!known) return sn_infer_fail(in, "kind is \"%s\": forward, reverse or jsd", kind);
  return sn_infer_one(in, sn_type_of(sn_infer_types(in), sn_acc_elem(x->elem), x->rank - 1, x->dim));
}

/* ---- the values -------------------------------------------------------------------------------------------- */

typedef struct pair {
  sn_val u, v; /* log probabilities */
  sn_val p, q; /* probabilities */
} pair;

static sn_val log_softmax(sn_build *b, sn_val x) {
  if (b->failed) return 0;
  return sub(b, x, spread(b, sn_b_logsumexp(b, x, sn_g_type(b, x)->rank - 1), x));
}

static pair pair_of(sn_build *b, sn_val x, sn_val y) {
  pair r = {.u = log_softmax(b, wide(b, x)), .v = log_softmax(b, wide(b, y))};
  r.p = sn_g1(b, SN_OP_EXP, r.u);
  r.q = sn_g1(b, SN_OP_EXP, r.v);
  return r;
}

/* log(e^u / m) = log 2 - log(1 + e^(v - u)), without overflow: with a = v - u, log(1 + e^a) = max(a, 0) + log(1 +
 * e^-|a|) */
static sn_val over_middle(sn_build *b, sn_val u, sn_val v) {
  if (b->failed) return 0;
  sn_val a = sub(b, v, u), one = sn_g_const_like(b, a, 1), zero = sn_b_zeros(b, a);
  sn_val small = sn_g1(b, SN_OP_EXP, sn_g2(b, SN_OP_MIN, a, sn_g1(b, SN_OP_NEG, a)));
  sn_val soft = sn_g2(b, SN_OP_ADD, sn_g2(b, SN_OP_MAX, a, zero), sn_g1(b, SN_OP_LOG, sn_g2(b, SN_OP_ADD, one, small)));
  return sub(b, sn_g_const_like(b, a, 0.69314718055994530942), soft);
}

static sn_val expand_divergence(sn_build *b, const sn_node *n, const sn_val *arg) {
  const char *kind = sn_node_attr(n, "kind")->s;
  pair r = pair_of(b, arg[0], arg[1]);
  if (!strcmp(kind, "forward")) return row_sum(b, mul(b, r.q, sub(b, r.v, r.u)));
  if (!strcmp(kind, "reverse")) return row_sum(b, mul(b, r.p, sub(b, r.u, r.v)));
  sn_val both = sn_g2(b, SN_OP_ADD, mul(b, r.p, over_middle(b, r.u, r.v)), mul(b, r.q, over_middle(b, r.v, r.u)));
  return row_sum(b, b->failed ? 0 : sn_b_scale(b, both, 0.5));
}

/* ---- gradients ----------------------------------------------------------------------------------------------- */

/* d of sum e^u (u - v) by the logits of u: e^u (u - v - that sum) */
static sn_val own_slope(sn_build *b, sn_val p, sn_val gap, sn_val sum) {
  return mul(b, p, sub(b, gap, spread(b, sum, gap)));
}

/* Slope by the first operand of `kind` with the distributions (u, p) and (v, q); by the second with both exchanged. */
static sn_val slope(sn_build *b, const char *kind, bool first, pair r, sn_val result) {
  bool mirrored = !strcmp(kind, first ? "reverse" : "forward"); /* KL(x || y) by x */
  if (strcmp(kind, "jsd")) return mirrored ? own_slope(b, r.p, sub(b, r.u, r.v), result) : sub(b, r.p, r.q);
  sn_val gap = over_middle(b, r.u, r.v);
  sn_val d = own_slope(b, r.p, gap, row_sum(b, mul(b, r.p, gap)));
  return b->failed ? 0 : sn_b_scale(b, d, 0.5);
}

static void grad_divergence(sn_grad_rule *g) {
  sn_build *b = g->b;
  const char *kind = sn_node_attr(g->node, "kind")->s;
  for (int i = 0; i < 2; i++) {
    if (!g->need[i]) continue;
    pair r = pair_of(b, g->arg[i], g->arg[1 - i]);
    sn_val d = slope(b, kind, i == 0, r, g->result[0]);
    if (b->failed) return;
    g->d_arg[i] = sn_g_cast(b, mul(b, spread(b, g->d_result[0], d), d), sn_g_type(b, g->arg[i])->elem);
  }
}

/* ---- the loss of a student ------------------------------------------------------------------------------------- */

/* One value in the shape of x. */
static sn_val everywhere(sn_build *b, sn_val scalar, sn_val x) {
  return b->failed ? 0 : sn_g_expand_to(b, scalar, sn_g_type(b, x));
}

sn_val sn_g_distil(sn_build *b, const char *kind, sn_val logits, sn_val reference, sn_val temperature) {
  const sn_attr at = {.set = true, .s = b->failed ? NULL : sn_name(b->func->module->names, kind)};
  sn_val x = wide(b, logits), y = wide(b, reference);
  if (b->failed) return 0;
  sn_val t = temperature ? sn_g_cast(b, temperature, sn_g_type(b, x)->elem) : 0;
  if (t) x = sn_g2(b, SN_OP_DIV, x, everywhere(b, t, x)), y = sn_g2(b, SN_OP_DIV, y, everywhere(b, t, y));
  const sn_val arg[2] = {x, y};
  sn_val rows = sn_emit(b, SN_OP_DIVERGENCE, 2, arg, &at, NULL);
  if (!t || b->failed) return rows;
  return mul(b, rows, everywhere(b, mul(b, t, t), rows));
}

const sn_op_rules sn_rules_DIVERGENCE = {infer_divergence, grad_divergence, NULL, expand_divergence,
                                         "distance of softmax(x) from a reference softmax(y), per row, in f32; `kind`: "
                                         "forward KL(y, x), reverse KL(x, y), jsd"};
