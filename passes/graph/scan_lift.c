/* The step of a scan, op by op, over all of its steps at once: axes of ops move behind the leading ones. */
#include "passes/graph/scan_lift.h"

#include <string.h>

static const sn_type *type_of(const sn_scan_lift *x, sn_val v) { return sn_val_type(x->s->f, v); }
static sn_types *types_of(const sn_scan_lift *x) { return x->b->func->module->types; }
static int lead_of(const sn_scan_lift *x) { return x->s->l.lead; }

static const sn_type *outer_type(const sn_scan_lift *x, sn_elem e, int rank, const sn_dimx *const *dim) {
  const sn_dimx *all[2 * SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < lead_of(x); i++) all[n++] = x->lead[i];
  for (int i = 0; i < rank; i++) all[n++] = dim[i];
  return sn_type_of(types_of(x), e, n, all);
}

static sn_val refuse(sn_scan_lift *x, const sn_node *n, const char *what) {
  if (!x->s->why) x->s->why = sn_arena_printf(x->s->arena, "%s %s", sn_scan_at_line(x->s->arena, n), what);
  return 0;
}

static bool has_room(const sn_scan_lift *x, sn_val v) { return type_of(x, v)->rank + lead_of(x) <= SN_RANK_MAX; }

sn_scan_lift sn_scan_lift_begin(sn_build *b, sn_matrix_plan *plan, const sn_node *node, const sn_val *arg) {
  sn_scan_step *s = plan->s;
  sn_scan_lift x = {.b = b, .plan = plan, .s = s, .node = node, .arg = arg};
  for (int i = 0; i < s->l.lead; i++) x.lead[i] = sn_g_type(b, arg[s->l.states])->dim[i];
  x.value = SN_ARRAY(s->arena, s->f->value_count, sn_val);
  x.whole = SN_ARRAY(s->arena, s->f->value_count, bool);
  x.read = SN_ARRAY(s->arena, s->l.states + 1, sn_scan_reads);
  return x;
}

/* ---- ops -------------------------------------------------------------------------------------------------------- */

/* A value that is made once, repeated along the leading axes. */
static sn_val spread(sn_scan_lift *x, sn_val v) {
  sn_val made = x->value[v];
  if (!x->whole[v] || x->b->failed) return made;
  if (!has_room(x, v)) return refuse(x, sn_node_of(x->s->f, v), "has too many axes for all steps");
  const sn_type *t = type_of(x, v), *to = outer_type(x, t->elem, t->rank, t->dim);
  return sn_g_expand_to(x->b, made, to);
}

static sn_val shape_op(sn_scan_lift *x, const sn_node *n, sn_val v) {
  int lead = lead_of(x);
  const sn_type *t = n->type[0], *to = outer_type(x, t->elem, t->rank, t->dim);
  int64_t axes[2 * SN_RANK_MAX];
  const sn_attr *list = n->op == SN_OP_RESHAPE ? NULL : sn_node_attr(n, n->op == SN_OP_TRANSPOSE ? "perm" : "axes");
  for (int i = 0; i < lead; i++) axes[i] = i;
  for (int i = 0; list && i < list->count; i++) axes[lead + i] = lead + list->ints[i];
  if (n->op == SN_OP_RESHAPE) return sn_g_reshape(x->b, v, to->rank, to->dim);
  if (n->op == SN_OP_TRANSPOSE) return sn_g_transpose(x->b, v, axes);
  return sn_g_broadcast(x->b, v, to->rank, to->dim, axes);
}

static sn_val slice_op(sn_scan_lift *x, const sn_node *n, sn_val v) {
  const sn_attr *start = sn_node_attr(n, "start");
  const sn_type *to = outer_type(x, n->type[0]->elem, n->type[0]->rank, n->type[0]->dim);
  const sn_dimx *from[2 * SN_RANK_MAX];
  for (int i = 0; i < lead_of(x); i++) from[i] = sn_dimx_const(types_of(x), 0);
  for (int i = 0; i < start->count; i++) from[lead_of(x) + i] = start->dims[i];
  return sn_g_slice(x->b, v, from, to->dim);
}

/* Ops with an attribute `axis`, or `axes`, of the operands. */
static sn_val along_op(sn_scan_lift *x, const sn_node *n, const sn_val *arg) {
  const sn_op_info *info = sn_op_get(n->op);
  sn_attr attr[SN_ATTR_MAX];
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < info->attr_count; i++) attr[i] = n->attr[i];
  int one = sn_op_attr(n->op, "axis"), many = sn_op_attr(n->op, "axes");
  if (one >= 0) attr[one].i += lead_of(x);
  for (int i = 0; many >= 0 && i < attr[many].count; i++) axes[i] = lead_of(x) + attr[many].ints[i];
  if (many >= 0) attr[many].ints = axes;
  return sn_emit(x->b, n->op, n->arg_count, arg, attr, NULL);
}

/* Letters of the leading axes that the spec does not use. */
static void lead_letters(const sn_scan_lift *x, const char *spec, char *out) {
  int n = 0;
  for (char c = 'a'; n < lead_of(x); c = (char)(c == 'z' ? 'A' : c + 1))
    if (!strchr(spec, c)) out[n++] = c;
  out[n] = 0;
}

static sn_val contract_op(sn_scan_lift *x, const sn_node *n) {
  sn_contract_spec c;
  char lead[SN_RANK_MAX + 1];
  const sn_attr *to = sn_node_attr(n, "to");
  const char *spec = sn_node_attr(n, "spec")->s;
  if (sn_contract_parse(spec, &c)) return 0;
  lead_letters(x, spec, lead);
  bool a = !x->whole[n->arg[0]], b = !x->whole[n->arg[1]];
  spec = sn_arena_printf(x->b->func->arena, "%s%s,%s%s->%s%s", a ? lead : "", c.a, b ? lead : "", c.b, lead, c.out);
  return sn_g_contract_to(x->b, sn_name(x->b->func->module->names, spec), x->value[n->arg[0]], x->value[n->arg[1]],
                          to && to->set ? (sn_elem)to->i : SN_ELEM_NONE);
}

static bool along_last(sn_op op) { return op == SN_OP_LAYERNORM || op == SN_OP_RMSNORM || op == SN_OP_L2_NORM; }

static bool has_axis(sn_op op) {
  switch (op) {
    case SN_OP_SUM:
    case SN_OP_AMAX:
    case SN_OP_AMIN:
    case SN_OP_PROD:
    case SN_OP_ARGMAX:
    case SN_OP_ARGMIN:
    case SN_OP_CONCAT:
    case SN_OP_CUMSUM:
    case SN_OP_CUMPROD:
    case SN_OP_SOFTMAX:
    case SN_OP_LOG_SOFTMAX:
    case SN_OP_LOGSUMEXP:
    case SN_OP_ANY:
    case SN_OP_ALL:
    case SN_OP_FLIP: return true;
    default: return false;
  }
}

static sn_val lift_op(sn_scan_lift *x, const sn_node *n) {
  sn_val *arg = SN_ARRAY(x->s->arena, n->arg_count + 1, sn_val);
  if (n->op == SN_OP_CONTRACT) return contract_op(x, n);
  for (int i = 0; i < n->arg_count; i++) arg[i] = spread(x, n->arg[i]);
  if (sn_scan_is_pointwise(n->op) || along_last(n->op)) return sn_emit(x->b, n->op, n->arg_count, arg, n->attr, NULL);
  if (has_axis(n->op)) return along_op(x, n, arg);
  if (n->op == SN_OP_SLICE) return slice_op(x, n, arg[0]);
  if (n->op == SN_OP_RESHAPE || n->op == SN_OP_TRANSPOSE || n->op == SN_OP_BROADCAST) return shape_op(x, n, arg[0]);
  return refuse(x, n, "cannot be made for all steps at once");
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

/* A state whose next value is known: one step later. */
static sn_val shifted(sn_scan_lift *x, int state) {
  const sn_scan_layout *l = &x->s->l;
  sn_val next = sn_scan_lift_value(x, x->s->f->result[state]), first = x->arg[state];
  if (!next) return 0;
  const sn_type *t = sn_g_type(x->b, next);
  const sn_dimx *dim[SN_RANK_MAX], *one = sn_dimx_const(types_of(x), 1), *zero = sn_dimx_const(types_of(x), 0);
  for (int i = 0; i < t->rank; i++) dim[i] = i == l->time ? one : t->dim[i];
  sn_val edge = sn_g_reshape(x->b, first, t->rank, dim);
  if (sn_dimx_is_one(t->dim[l->time])) return edge;
  if (sn_dimx_min_value(t->dim[l->time]) < 1) return x->s->why = "there may be no step", 0;
  const sn_dimx *rest = sn_dimx_sub(types_of(x), t->dim[l->time], one);
  sn_val kept = sn_g_slice_axis(x->b, next, l->time, l->reverse ? one : zero, rest);
  const sn_val part[2] = {l->reverse ? kept : edge, l->reverse ? edge : kept};
  return sn_g_concat(x->b, l->time, 2, part);
}

static sn_val operand(sn_scan_lift *x, const sn_node *n, bool *whole) {
  const sn_scan_layout *l = &x->s->l;
  int64_t i = n->attr[0].i;
  *whole = i >= l->states + l->inputs;
  return i < l->states ? shifted(x, (int)i) : x->arg[i];
}

/* ---- products --------------------------------------------------------------------------------------------------- */

typedef struct labelled {
  sn_val v; /* [lead.., axes..] */
  int rank, label[SN_RANK_MAX];
} labelled;

static bool has(const labelled *x, int label) {
  for (int i = 0; i < x->rank; i++)
    if (x->label[i] == label) return true;
  return false;
}

static void sum_axis(sn_scan_lift *x, labelled *v, int i) {
  const int64_t axis = lead_of(x) + i;
  v->v = sn_g_sum(x->b, v->v, 1, &axis);
  v->rank--;
  for (; i < v->rank; i++) v->label[i] = v->label[i + 1];
}

/* Repeated along the axes that it lacks, in the order of the labels. */
static sn_val arrange(sn_scan_lift *x, const labelled *v, int rank, const int *label, const sn_dimx *const *dim) {
  int64_t perm[2 * SN_RANK_MAX], axes[2 * SN_RANK_MAX];
  int lead = lead_of(x), n = lead;
  for (int i = 0; i < lead; i++) perm[i] = axes[i] = i;
  for (int i = 0; i < rank; i++)
    for (int k = 0; k < v->rank; k++)
      if (v->label[k] == label[i]) perm[n] = lead + k, axes[n++] = lead + i;
  const sn_type *t = outer_type(x, sn_g_type(x->b, v->v)->elem, rank, dim);
  return sn_g_broadcast(x->b, sn_g_transpose(x->b, v->v, perm), t->rank, t->dim, axes);
}

static labelled multiply(sn_scan_lift *x, const labelled *a, const labelled *b) {
  labelled r = *a;
  const sn_dimx *dim[2 * SN_RANK_MAX];
  int lead = lead_of(x);
  for (int i = 0; i < a->rank; i++) dim[i] = sn_g_type(x->b, a->v)->dim[lead + i];
  for (int i = 0; i < b->rank && r.rank < SN_RANK_MAX; i++)
    if (!has(a, b->label[i])) dim[r.rank] = sn_g_type(x->b, b->v)->dim[lead + i], r.label[r.rank++] = b->label[i];
  sn_val p = arrange(x, a, r.rank, r.label, dim), q = arrange(x, b, r.rank, r.label, dim);
  r.v = x->b->failed ? 0 : sn_g2(x->b, SN_OP_MUL, p, q);
  return r;
}

/* The product summed over the labels that both have and `kept` lacks. */
static labelled contract(sn_scan_lift *x, const labelled *a, const labelled *b, bool (*kept)(const void *, int),
                         const void *user) {
  labelled r = {0};
  char spec[4][2 * SN_RANK_MAX + 1] = {{0}}, letter = 'a';
  int n = 0, m = 0, k = 0;
  char of[2 * SN_RANK_MAX];
  for (int i = 0; i < lead_of(x); i++, letter++) spec[0][n++] = spec[1][m++] = spec[2][k++] = letter;
  for (int i = 0; i < a->rank; i++, letter++) {
    of[i] = spec[0][n++] = letter;
    if (!kept(user, a->label[i])) continue;
    spec[2][k++] = letter;
    r.label[r.rank++] = a->label[i];
  }
  for (int i = 0; i < b->rank; i++) {
    int at = 0;
    while (at < a->rank && a->label[at] != b->label[i]) at++;
    if (at < a->rank) {
      spec[1][m++] = of[at];
      continue;
    }
    spec[1][m++] = spec[2][k++] = letter++;
    r.label[r.rank++] = b->label[i];
  }
  const char *all = sn_arena_printf(x->b->func->arena, "%s,%s->%s", spec[0], spec[1], spec[2]);
  r.v = x->b->failed ? 0 : sn_g_contract(x->b, sn_name(x->b->func->module->names, all), a->v, b->v);
  return r;
}

/* What is multiplied: free factors and something read. */
typedef struct factors {
  int count;
  labelled at[SN_TERM_FACTORS + 1];
  int rank, label[SN_RANK_MAX]; /* of the result */
  int skip[2];                  /* the two that are multiplied next: nothing is kept for them */
} factors;

static bool is_kept(const void *user, int label) {
  const factors *f = user;
  for (int i = 0; i < f->rank; i++)
    if (f->label[i] == label) return true;
  for (int i = 0; i < f->count; i++)
    if (i != f->skip[0] && i != f->skip[1] && has(&f->at[i], label)) return true;
  return false;
}

/* Axes of the product of the two. */
static int rank_of_pair(const factors *f) {
  const labelled *a = &f->at[f->skip[0]], *b = &f->at[f->skip[1]];
  int rank = 0;
  for (int i = 0; i < a->rank; i++) rank += is_kept(f, a->label[i]);
  for (int i = 0; i < b->rank; i++) rank += is_kept(f, b->label[i]) && !has(a, b->label[i]);
  return rank;
}

/* The two whose product has the fewest axes: sums come before outer products. */
static void pick_pair(factors *f) {
  int least = 2 * SN_RANK_MAX, best[2] = {0, 1};
  for (int i = 0; i < f->count; i++)
    for (int k = i + 1; k < f->count; k++) {
      f->skip[0] = i, f->skip[1] = k;
      int rank = rank_of_pair(f);
      if (rank < least) least = rank, best[0] = i, best[1] = k;
    }
  f->skip[0] = best[0], f->skip[1] = best[1];
}

static labelled combine(sn_scan_lift *x, factors *f, labelled a, labelled b) {
  bool both = false;
  if (lead_of(x) + a.rank + b.rank > SN_RANK_MAX) { /* more than any product of vectors has */
    x->b->failed = SN_ERR_LIMIT;
    return a;
  }
  for (int i = a.rank; i-- > 0;)
    if (!is_kept(f, a.label[i]) && !has(&b, a.label[i])) sum_axis(x, &a, i);
  for (int i = b.rank; i-- > 0;)
    if (!is_kept(f, b.label[i]) && !has(&a, b.label[i])) sum_axis(x, &b, i);
  for (int i = 0; i < a.rank; i++) both |= !is_kept(f, a.label[i]);
  if (both && rank_of_pair(f)) return contract(x, &a, &b, is_kept, f);
  labelled r = multiply(x, &a, &b);
  for (int i = r.rank; both && i-- > 0;) sum_axis(x, &r, i); /* numbers: no product of matrices */
  return r;
}

/* coef times the factors; the result has the axes `dim`. */
static sn_val evaluate(sn_scan_lift *x, factors *f, double coef, sn_elem e, const sn_dimx *const *dim) {
  if (!f->count) return sn_g_const(x->b, outer_type(x, e, f->rank, dim), coef);
  while (f->count > 1 && !x->b->failed) {
    pick_pair(f);
    labelled r = combine(x, f, f->at[f->skip[0]], f->at[f->skip[1]]);
    f->at[f->skip[0]] = r;
    f->at[f->skip[1]] = f->at[--f->count];
  }
  labelled r = f->at[0];
  f->count = 0;
  for (int i = r.rank; i-- > 0 && !x->b->failed;)
    if (!is_kept(f, r.label[i])) sum_axis(x, &r, i);
  if (x->b->failed) return 0;
  if (coef == -1) r.v = sn_g1(x->b, SN_OP_NEG, r.v);
  if (coef != 1 && coef != -1) r.v = sn_g2(x->b, SN_OP_MUL, r.v, sn_g_const_like(x->b, r.v, coef));
  return x->b->failed ? 0 : arrange(x, &r, f->rank, f->label, dim);
}

static bool add_factor(sn_scan_lift *x, factors *f, const sn_factor *one) {
  labelled *v = &f->at[f->count++];
  v->v = sn_scan_lift_value(x, one->v);
  v->rank = type_of(x, one->v)->rank;
  memcpy(v->label, one->label, sizeof v->label);
  if (v->v && one->inverse) v->v = sn_g2(x->b, SN_OP_DIV, sn_g_const_like(x->b, v->v, 1), v->v);
  return v->v != 0;
}

static sn_elem elem_of(const sn_scan_lift *x) {
  for (int i = 0; i < x->s->l.states; i++)
    if (!x->s->shifts[i]) return sn_val_type(x->s->f, x->s->f->result[i])->elem;
  return SN_ELEM_F32;
}

sn_val sn_scan_lift_product(sn_scan_lift *x, const sn_product *p, const sn_dimx *extent) {
  factors f = {.rank = extent != NULL, .label = {p->label}};
  for (int i = 0; i < p->count; i++)
    if (!add_factor(x, &f, &p->factor[i])) return 0;
  return evaluate(x, &f, p->coef, elem_of(x), &extent);
}

sn_val sn_scan_lift_sum(sn_scan_lift *x, const sn_product_sum *sum, const sn_dimx *extent) {
  sn_val all = 0;
  for (int i = 0; i < sum->count; i++) {
    sn_val v = sn_scan_lift_product(x, &sum->at[i], extent);
    if (!v) return 0;
    all = all ? sn_g2(x->b, SN_OP_ADD, all, v) : v;
  }
  return all;
}

/* A linear value, from what was read. */
static sn_val from_reads(sn_scan_lift *x, sn_val v) {
  const sn_linear *lin = sn_scan_terms(x->s, v);
  const sn_type *t = type_of(x, v);
  sn_val all = 0;
  for (int k = 0; k < lin->term_count; k++) {
    const sn_term_of *term = &lin->term[k];
    factors f = {.rank = lin->rank};
    sn_product rest = {.coef = term->coef, .count = term->factor_count};
    memcpy(f.label, lin->label, sizeof f.label);
    memcpy(rest.factor, term->factor, sizeof rest.factor);
    if (term->state >= 0) {
      const sn_matrix *m = &x->plan->state[term->state];
      int read = sn_matrix_read_of(x->plan, lin, term, &rest);
      if (read < 0) return 0;
      labelled *r = &f.at[f.count++];
      r->v = x->read[term->state].at[read];
      if (m->rank == 2) r->label[r->rank++] = term->state_label[1 - m->k_axis];
    }
    for (int i = 0; i < rest.count; i++)
      if (!add_factor(x, &f, &rest.factor[i])) return 0;
    sn_val one = evaluate(x, &f, rest.coef, t->elem, t->dim);
    if (!one) return 0;
    all = all ? sn_g2(x->b, SN_OP_ADD, all, one) : one;
  }
  return all;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static sn_val make(sn_scan_lift *x, sn_val v) {
  const sn_node *n = sn_node_of(x->s->f, v);
  if (n->op == SN_OP_ARG && x->s->cls[v] == SN_STEP_FREE) return operand(x, n, &x->whole[v]);
  if (x->s->cls[v] == SN_STEP_LINEAR)
    return has_room(x, v) ? from_reads(x, v) : refuse(x, n, "has too many axes for all steps");
  bool whole = true;
  for (int i = 0; i < n->arg_count; i++) {
    (void)sn_scan_lift_value(x, n->arg[i]);
    if (!x->value[n->arg[i]]) return 0;
    whole &= x->whole[n->arg[i]];
  }
  if (n->result_count != 1 || sn_op_get(n->op)->cls == SN_CLASS_RANDOM || n->op == SN_OP_NORMAL)
    return refuse(x, n, "cannot be made for all steps at once");
  x->whole[v] = whole;
  if (!whole && !has_room(x, v)) return refuse(x, n, "has too many axes for all steps");
  x->b->origin = n->origin;
  if (!whole) return lift_op(x, n);
  sn_val *arg = SN_ARRAY(x->s->arena, n->arg_count + 1, sn_val);
  for (int i = 0; i < n->arg_count; i++) arg[i] = x->value[n->arg[i]];
  return sn_func_copy_node(x->b->func, n, arg);
}

sn_val sn_scan_lift_value(sn_scan_lift *x, sn_val v) {
  if (x->b->failed) return 0;
  if (!x->value[v]) x->value[v] = make(x, v);
  return x->value[v] ? spread(x, v) : 0;
}
