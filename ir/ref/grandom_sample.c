/* Random use of an op by its sample alone: what every op gets that the generator has no use of its own for.
 *
 *   1. Samples are drawn until one fits: best one whose operand has the type of the wanted value, or takes it.
 *   2. Operands are made from values of the pool, and brought into the domain that the sample states.
 *   3. Of the result nothing is known but its type: it is made small before it is used. */
#include <math.h>
#include <string.h>

#include "ir/ops/sample.h"
#include "ir/ref/grandom_impl.h"

enum { TRIES = 40, UNKNOWN = 64 };

static bool infers(sn_ggen *g, sn_op op, const sn_sample *s) {
  sn_infer in = {.module = g->m, .op = op, .arg_count = s->arg_count, .arg = s->arg, .attr = s->attr, .leaf = s->leaf};
  if (sn_op_infer(&in)) return false;
  for (int i = 0; i < in.result_count; i++)
    if (sn_gr_elements(g, in.result[i]) > SN_GR_MOST) return false;
  return true;
}

/* The sample with the type `t` for operand k; elementwise ops get its shape for all of them. */
static bool retyped(sn_ggen *g, sn_op op, const sn_sample *s, int k, const sn_type *t, sn_sample *out) {
  bool point = sn_op_get(op)->cls == SN_CLASS_POINT;
  *out = *s;
  for (int i = 0; i < s->arg_count; i++)
    if (s->domain[i].below) return false; /* limits would be those of the old shape */
  if (sn_elem_is_float(t->elem) != sn_elem_is_float(s->arg[k]->elem)) return false;
  if (!sn_elem_is_float(t->elem) && t->elem != s->arg[k]->elem) return false;
  for (int i = 0; i < s->arg_count; i++) {
    sn_elem e = s->arg[i]->elem == s->arg[k]->elem ? t->elem : s->arg[i]->elem;
    if (point)
      out->arg[i] = sn_gr_type(g, e, t->rank, t->dim);
    else if (i == k)
      out->arg[i] = t;
    else if (e != s->arg[i]->elem)
      out->arg[i] = sn_gr_type(g, e, s->arg[i]->rank, s->arg[i]->dim);
  }
  return infers(g, op, out);
}

/* A sample whose operand *at takes the wanted value, or any; *at -1: none does. */
static bool draw(sn_ggen *g, sn_op op, sn_sample *out, int *at) {
  bool any = false;
  *at = -1;
  for (int i = 0; i < TRIES; i++) {
    sn_sample s = {.real = g->real[sn_gr_below(g, 3)]}, other;
    if (sn_op_sample(&g->rng, g->m, op, &s)) return false;
    if (!infers(g, op, &s)) continue;
    if (!any) *out = s, any = true;
    if (!g->want) return true;
    const sn_type *t = sn_gr_t(g, g->want);
    for (int k = 0; k < s.arg_count; k++) {
      if (s.arg[k] == t)
        *out = s;
      else if (retyped(g, op, &s, k, t, &other))
        *out = other;
      else
        continue;
      *at = k;
      return true;
    }
  }
  return any;
}

/* x in lo .. hi, whatever it was. */
static sn_val squeezed(sn_ggen *g, sn_val x, double lo, double hi) {
  sn_gr_fact f = sn_gr_mix(g, 1, &x, 1);
  f.low = 0;
  sn_val arg[2] = {sn_gr_emit(g, SN_OP_SIGMOID, 1, &x, NULL, NULL, f), 0};
  if (!arg[0]) return 0;
  f.size = hi - lo;
  arg[1] = sn_gr_const(g, sn_gr_t(g, x), hi - lo);
  arg[0] = arg[1] ? sn_gr_emit(g, SN_OP_MUL, 2, arg, NULL, NULL, f) : 0;
  f.size = fmax(fabs(lo), fabs(hi)), f.low = lo;
  arg[1] = arg[0] ? sn_gr_const(g, sn_gr_t(g, x), lo) : 0;
  return arg[1] ? sn_gr_emit(g, SN_OP_ADD, 2, arg, NULL, NULL, f) : 0;
}

static sn_val float_operand(sn_ggen *g, sn_val x, const sn_sample_domain *d) {
  double most = fmax(fabs(d->lo), fabs(d->hi));
  if (!x || g->direct) return x;
  if (d->lo > 0 && !(g->fact[x].low >= d->lo && g->fact[x].size <= d->hi)) return squeezed(g, x, d->lo, d->hi);
  if (d->gap >= 0.05) return squeezed(g, x, d->gap, most); /* a pole at 0 */
  return sn_gr_tame(g, x, most);
}

/* lo + x mod (hi - lo) */
static sn_val int_operand(sn_ggen *g, const sn_type *t, const sn_sample_domain *d) {
  const sn_dimx *limit = d->below ? d->below : sn_gr_number(g, (int64_t)d->hi - (int64_t)d->lo);
  sn_val x = sn_gr_indices(g, t, limit), arg[2] = {x, 0};
  if (!x) return 0;
  const sn_attr to = {.set = true, .i = t->elem};
  if (sn_gr_t(g, x)->elem != t->elem) arg[0] = sn_gr_emit(g, SN_OP_CAST, 1, &x, &to, NULL, g->fact[x]);
  if (!arg[0] || d->below || d->lo == 0) return arg[0];
  arg[1] = sn_gr_const(g, t, d->lo);
  return arg[1] ? sn_gr_emit(g, SN_OP_ADD, 2, arg, NULL, NULL,
                             (sn_gr_fact){.size = fmax(fabs(d->lo), fabs(d->hi)), .low = d->lo, .exact = true})
                : 0;
}

/* asks: the op compares its operands. */
static sn_val operand(sn_ggen *g, const sn_sample *s, int k, bool asks) {
  const sn_type *t = s->arg[k];
  if (sn_elem_is_float(t->elem)) {
    sn_val x = sn_gr_partner(g, t);
    if (x && !g->fact[x].exact && sn_gr_chance(g, asks ? 95 : 50)) x = sn_gr_leaf(g, t);
    return float_operand(g, x, &s->domain[k]);
  }
  if (t->elem == SN_ELEM_BOOL) return sn_gr_partner(g, t);
  return int_operand(g, t, &s->domain[k]);
}

static bool in_domain(const sn_ggen *g, sn_val v, const sn_sample_domain *d) {
  if (!sn_gr_is(g, v, SN_GR_INT)) return true;
  return !d->below && g->fact[v].low >= d->lo && g->fact[v].size < d->hi;
}

/* Does it make integers or truth values of floats? */
static bool compares(sn_ggen *g, sn_op op, const sn_sample *s) {
  sn_infer in = {.module = g->m, .op = op, .arg_count = s->arg_count, .arg = s->arg, .attr = s->attr, .leaf = s->leaf};
  bool reals = false, other = op == SN_OP_CUMMAX;
  for (int i = 0; i < s->arg_count; i++) reals |= sn_elem_is_float(s->arg[i]->elem);
  if (sn_op_infer(&in)) return false;
  for (int i = 0; i < in.result_count; i++) other |= !sn_elem_is_float(in.result[i]->elem);
  return reals && other;
}

sn_val sn_gr_use_sample(sn_ggen *g, sn_op op) {
  sn_sample s;
  sn_val arg[SN_SAMPLE_ARGS], want = g->want;
  int at;
  bool exact = true;
  if (!draw(g, op, &s, &at)) return 0;
  bool asks = compares(g, op, &s);
  g->want = 0;
  for (int i = 0; i < s.arg_count; i++) {
    bool given = i == at && in_domain(g, want, &s.domain[i]);
    arg[i] = !given                           ? operand(g, &s, i, asks)
             : sn_gr_is(g, want, SN_GR_FLOAT) ? float_operand(g, want, &s.domain[i])
                                              : want;
    if (!arg[i]) return 0;
    exact &= g->fact[arg[i]].exact;
  }
  sn_gr_fact f = sn_gr_mix(g, s.arg_count, arg, UNKNOWN);
  sn_val v = sn_gr_emit(g, op, s.arg_count, arg, s.attr, s.leaf, f);
  if (!v) return 0;
  const sn_node *n = sn_node_of(g->f, v);
  for (int i = 0; i < n->result_count; i++) {
    sn_gr_fact *r = &g->fact[v + (sn_val)i];
    r->exact = exact && !sn_elem_is_float(n->type[i]->elem);
    if (i && (exact || sn_elem_is_float(n->type[i]->elem))) sn_gr_keep(g, v + (sn_val)i); /* else: who can tell? */
  }
  return v;
}
