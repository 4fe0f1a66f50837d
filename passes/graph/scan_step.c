/* The step of a scan, read as algebra in its states: sums of terms over labelled axes. Operands in another order, sums
 * taken together otherwise, and states that stand as [v, k] or [k, v] have the same terms. */
#include "passes/graph/scan_step.h"

#include <string.h>

static const sn_type *type_of(const sn_scan_step *s, sn_val v) { return sn_val_type(s->f, v); }

bool sn_linear_has(const sn_linear *x, int label) {
  for (int i = 0; i < x->rank; i++)
    if (x->label[i] == label) return true;
  return false;
}

bool sn_factor_has(const sn_scan_step *s, const sn_factor *f, int label) {
  for (int i = 0; i < type_of(s, f->v)->rank; i++)
    if (f->label[i] == label) return true;
  return false;
}

/* ---- terms ------------------------------------------------------------------------------------------------------ */

static sn_linear *new_linear(sn_scan_step *s, int rank, int terms) {
  sn_linear *x = SN_NEW(s->arena, sn_linear);
  x->rank = rank;
  x->term_count = terms;
  x->term = SN_ARRAY(s->arena, terms + 1, sn_term_of);
  for (int i = 0; i < rank; i++) x->label[i] = s->label_count++;
  return x;
}

/* The value itself as one factor. */
static sn_linear *atom(sn_scan_step *s, sn_val v) {
  const sn_type *t = type_of(s, v);
  sn_linear *x = new_linear(s, t->rank, 1);
  x->term[0] = (sn_term_of){.coef = 1, .state = -1, .at = sn_node_of(s->f, v), .factor_count = 1};
  x->term[0].factor[0].v = v;
  memcpy(x->term[0].factor[0].label, x->label, sizeof x->label);
  double c;
  if (sn_val_is_const(s->f, v, &c)) x->term[0].coef = c, x->term[0].factor_count = 0;
  return x;
}

static sn_linear *state_itself(sn_scan_step *s, sn_val v, int state) {
  sn_linear *x = new_linear(s, type_of(s, v)->rank, 1);
  x->term[0] = (sn_term_of){.coef = 1, .state = state, .at = sn_node_of(s->f, v)};
  for (int i = 0; i < x->rank && i < 2; i++) x->term[0].state_label[i] = x->label[i];
  return x;
}

static void rename_label(const sn_scan_step *s, sn_linear *x, int from, int to) {
  for (int i = 0; i < x->rank; i++)
    if (x->label[i] == from) x->label[i] = to;
  for (int k = 0; k < x->term_count; k++) {
    sn_term_of *t = &x->term[k];
    for (int i = 0; i < 2 && t->state >= 0; i++)
      if (t->state_label[i] == from) t->state_label[i] = to;
    for (int f = 0; f < t->factor_count; f++)
      for (int i = 0; i < type_of(s, t->factor[f].v)->rank; i++)
        if (t->factor[f].label[i] == from) t->factor[f].label[i] = to;
  }
}

static sn_linear *copy_of(sn_scan_step *s, const sn_linear *x) {
  sn_linear *y = SN_NEW(s->arena, sn_linear);
  *y = *x;
  y->term = sn_arena_copy(s->arena, x->term, (size_t)(x->term_count + 1) * sizeof *x->term);
  return y;
}

/* Renames the labels of the axes; in two rounds, as old and new ones may be the same in another order. */
static void rename_axes(sn_scan_step *s, sn_linear *x, const int *to) {
  for (int i = 0; i < x->rank; i++) rename_label(s, x, x->label[i], s->label_count++);
  for (int i = 0; i < x->rank; i++) rename_label(s, x, x->label[i], to[i]);
}

/* Labels inside of the terms are made new, so that no two sums share one. */
static void fresh_inside(sn_scan_step *s, sn_linear *x) {
  for (int k = 0; k < x->term_count; k++) {
    sn_linear one = {.rank = 0, .term_count = 1, .term = &x->term[k]};
    sn_term_of *t = &x->term[k];
    for (int i = 0; i < 2 && t->state >= 0; i++)
      if (t->state_label[i] >= 0 && !sn_linear_has(x, t->state_label[i]))
        rename_label(s, &one, t->state_label[i], s->label_count++);
    for (int f = 0; f < t->factor_count; f++)
      for (int i = 0; i < type_of(s, t->factor[f].v)->rank; i++)
        if (!sn_linear_has(x, t->factor[f].label[i])) rename_label(s, &one, t->factor[f].label[i], s->label_count++);
  }
}

static sn_linear *sum_of(sn_scan_step *s, const sn_linear *a, const sn_linear *b, double sign) {
  if (a->term_count + b->term_count > SN_TERM_COUNT) return NULL;
  sn_linear *x = new_linear(s, a->rank, a->term_count + b->term_count), *other = copy_of(s, b);
  memcpy(x->label, a->label, sizeof x->label);
  fresh_inside(s, other);
  rename_axes(s, other, a->label);
  for (int i = 0; i < a->term_count; i++) x->term[i] = a->term[i];
  for (int i = 0; i < b->term_count; i++) {
    x->term[a->term_count + i] = other->term[i];
    x->term[a->term_count + i].coef *= sign;
  }
  return x;
}

/* Does some factor, or the state, of the term have the label? */
static bool term_has(const sn_scan_step *s, const sn_term_of *t, int label) {
  for (int f = 0; f < t->factor_count; f++)
    if (sn_factor_has(s, &t->factor[f], label)) return true;
  return t->state >= 0 && (t->state_label[0] == label || t->state_label[1] == label);
}

/* All products of a term of each; labels are equal where they are to be the same axis. NULL: two states, or too many.
 */
static sn_linear *product_of(sn_scan_step *s, const sn_linear *a, const sn_linear *b, const sn_node *at) {
  if (a->term_count * b->term_count > SN_TERM_COUNT) return NULL;
  sn_linear *x = new_linear(s, 0, a->term_count * b->term_count);
  int n = 0;
  for (int i = 0; i < a->term_count; i++)
    for (int k = 0; k < b->term_count; k++, n++) {
      const sn_term_of *p = &a->term[i], *q = &b->term[k];
      sn_term_of *t = &x->term[n];
      if (p->factor_count + q->factor_count > SN_TERM_FACTORS || (p->state >= 0 && q->state >= 0)) return NULL;
      *t = p->state >= 0 ? *p : *q;
      t->coef = p->coef * q->coef;
      t->at = at;
      t->factor_count = 0;
      for (int f = 0; f < p->factor_count; f++) t->factor[t->factor_count++] = p->factor[f];
      for (int f = 0; f < q->factor_count; f++) t->factor[t->factor_count++] = q->factor[f];
    }
  return x;
}

/* ---- ops -------------------------------------------------------------------------------------------------------- */

static sn_linear *terms_at(sn_scan_step *s, sn_val v);

static sn_linear *add_op(sn_scan_step *s, const sn_node *n, double sign) {
  sn_linear *a = terms_at(s, n->arg[0]), *b = terms_at(s, n->arg[1]);
  return a && b ? sum_of(s, a, b, sign) : NULL;
}

static sn_linear *mul_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]), *b = terms_at(s, n->arg[1]);
  if (!a || !b) return NULL;
  b = copy_of(s, b);
  fresh_inside(s, b);
  rename_axes(s, b, a->label);
  sn_linear *x = product_of(s, a, b, n);
  if (!x) return NULL;
  x->rank = a->rank;
  memcpy(x->label, a->label, sizeof x->label);
  return x;
}

static sn_linear *scaled(sn_scan_step *s, const sn_linear *a, double by) {
  sn_linear *x = a ? copy_of(s, a) : NULL;
  for (int i = 0; x && i < x->term_count; i++) x->term[i].coef *= by;
  return x;
}

/* A free divisor, without the axes along which it is only repeated. */
static sn_linear *div_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]);
  if (!a || s->cls[n->arg[1]] != SN_STEP_FREE) return NULL;
  sn_val v = n->arg[1];
  int label[SN_RANK_MAX];
  double c;
  memcpy(label, a->label, sizeof label);
  for (const sn_node *d; (d = sn_node_of(s->f, v))->op == SN_OP_BROADCAST; v = d->arg[0]) {
    const sn_attr *axes = sn_node_attr(d, "axes");
    for (int i = 0; i < axes->count; i++) {
      bool repeated = type_of(s, d->arg[0])->dim[i] != d->type[0]->dim[axes->ints[i]];
      label[i] = repeated ? s->label_count++ : label[axes->ints[i]];
    }
  }
  if (sn_val_is_const(s->f, v, &c)) return c != 0 ? scaled(s, a, 1 / c) : NULL;
  a = copy_of(s, a);
  for (int k = 0; k < a->term_count; k++) {
    sn_term_of *t = &a->term[k];
    if (t->factor_count == SN_TERM_FACTORS) return NULL;
    sn_factor *f = &t->factor[t->factor_count++];
    *f = (sn_factor){.v = v, .inverse = true};
    memcpy(f->label, label, sizeof label);
  }
  return a;
}

static sn_linear *broadcast_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]);
  const sn_attr *axes = sn_node_attr(n, "axes");
  if (!a) return NULL;
  sn_linear *x = copy_of(s, a);
  x->rank = n->type[0]->rank;
  for (int i = 0; i < x->rank; i++) x->label[i] = s->label_count++;
  for (int i = 0; i < axes->count; i++)
    if (type_of(s, n->arg[0])->dim[i] == n->type[0]->dim[axes->ints[i]]) x->label[axes->ints[i]] = a->label[i];
  return x;
}

/* Axes of extent 1 come and go; nothing else. */
static sn_linear *reshape_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]);
  const sn_type *from = type_of(s, n->arg[0]), *to = n->type[0];
  if (!a) return NULL;
  sn_linear *x = copy_of(s, a);
  x->rank = to->rank;
  int i = 0, k = 0;
  while (i < from->rank || k < to->rank) {
    if (i < from->rank && k < to->rank && from->dim[i] == to->dim[k]) {
      x->label[k++] = a->label[i++];
    } else if (k < to->rank && sn_dimx_is_one(to->dim[k])) {
      x->label[k++] = s->label_count++;
    } else if (i < from->rank && sn_dimx_is_one(from->dim[i])) {
      i++;
    } else {
      return NULL;
    }
  }
  return x;
}

static sn_linear *transpose_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]);
  if (!a) return NULL;
  sn_linear *x = copy_of(s, a);
  for (int i = 0; i < x->rank; i++) x->label[i] = a->label[sn_node_attr(n, "perm")->ints[i]];
  return x;
}

/* Sums whose terms all have the label: a repeated value would be multiplied by the extent. */
static bool all_have(const sn_scan_step *s, const sn_linear *x, int label) {
  for (int k = 0; k < x->term_count; k++)
    if (!term_has(s, &x->term[k], label)) return false;
  return true;
}

static sn_linear *sum_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]);
  const sn_attr *axes = sn_node_attr(n, "axes");
  if (!a) return NULL;
  sn_linear *x = copy_of(s, a);
  x->rank = 0;
  for (int i = 0; i < a->rank; i++) {
    bool gone = false;
    for (int k = 0; k < axes->count; k++) gone |= axes->ints[k] == i;
    if (!gone) x->label[x->rank++] = a->label[i];
    if (gone && !all_have(s, a, a->label[i])) return NULL;
  }
  return x;
}

static sn_linear *contract_op(sn_scan_step *s, const sn_node *n) {
  sn_linear *a = terms_at(s, n->arg[0]), *b = terms_at(s, n->arg[1]);
  sn_contract_spec c;
  if (!a || !b || sn_contract_parse(sn_node_attr(n, "spec")->s, &c)) return NULL;
  b = copy_of(s, b);
  fresh_inside(s, b);
  int to[SN_RANK_MAX];
  for (int i = 0; i < c.b_count; i++) {
    const char *at = strchr(c.a, c.b[i]);
    to[i] = at ? a->label[at - c.a] : s->label_count++;
  }
  rename_axes(s, b, to);
  sn_linear *x = product_of(s, a, b, n);
  if (!x) return NULL;
  x->rank = c.out_count;
  for (int i = 0; i < c.out_count; i++) {
    const char *at = strchr(c.a, c.out[i]);
    x->label[i] = at ? a->label[at - c.a] : b->label[strchr(c.b, c.out[i]) - c.b];
  }
  for (int i = 0; i < c.a_count; i++)
    if (!strchr(c.out, c.a[i]) && !all_have(s, x, a->label[i])) return NULL;
  return x;
}

/* NULL: the op is not linear, or not one that is known. */
static sn_linear *terms_of_node(sn_scan_step *s, const sn_node *n) {
  switch (n->op) {
    case SN_OP_ADD: return add_op(s, n, 1);
    case SN_OP_SUB: return add_op(s, n, -1);
    case SN_OP_NEG: return scaled(s, terms_at(s, n->arg[0]), -1);
    case SN_OP_MUL: return mul_op(s, n);
    case SN_OP_DIV: return div_op(s, n);
    case SN_OP_BROADCAST: return broadcast_op(s, n);
    case SN_OP_RESHAPE: return reshape_op(s, n);
    case SN_OP_TRANSPOSE: return transpose_op(s, n);
    case SN_OP_SUM: return sum_op(s, n);
    case SN_OP_CONTRACT: return contract_op(s, n);
    default: return NULL;
  }
}

/* Does the contraction only multiply, in the type of its operands? */
static bool sums_nothing(const sn_node *n) {
  sn_contract_spec c;
  return !sn_node_attr(n, "to")->set && !sn_contract_parse(sn_node_attr(n, "spec")->s, &c) &&
         strspn(c.a, c.out) == strlen(c.a) && strspn(c.b, c.out) == strlen(c.b);
}

static bool is_product(const sn_node *n) {
  if (n->op == SN_OP_CONTRACT) return sums_nothing(n);
  return n->op != SN_OP_SUM;
}

/* Free values of one axis or none are factors as they are, and so is what is no product of smaller ones. */
static sn_linear *free_terms(sn_scan_step *s, sn_val v) {
  const sn_node *n = sn_node_of(s->f, v);
  sn_linear *x = NULL;
  bool taken = type_of(s, v)->rank > 1 && is_product(n);
  if (taken || n->op == SN_OP_BROADCAST || n->op == SN_OP_RESHAPE) x = terms_of_node(s, n);
  return x ? x : atom(s, v);
}

static sn_linear *terms_at(sn_scan_step *s, sn_val v) {
  if (s->cls[v] == SN_STEP_AFTER) return NULL;
  if (s->cls[v] == SN_STEP_LINEAR) return s->linear[v];
  if (!s->known[v]) s->known[v] = free_terms(s, v);
  return s->known[v];
}

sn_linear *sn_scan_terms(sn_scan_step *s, sn_val v) { return terms_at(s, v); }

/* ---- classes ---------------------------------------------------------------------------------------------------- */

/* Does the linear value keep a whole state: both axes of a matrix, or the axis of a vector? */
static bool keeps_state(const sn_linear *x) {
  for (int k = 0; k < x->term_count; k++) {
    const sn_term_of *t = &x->term[k];
    bool whole = t->state >= 0;
    for (int i = 0; i < 2 && whole; i++) whole = t->state_label[i] < 0 || sn_linear_has(x, t->state_label[i]);
    if (whole) return true;
  }
  return false;
}

static void mark(sn_scan_step *s, const sn_node *n, sn_step_class cls) {
  for (int r = 0; r < n->result_count; r++) s->cls[n->first + (sn_val)r] = cls;
}

static void after_node(sn_scan_step *s, const sn_node *n) {
  mark(s, n, SN_STEP_AFTER);
  const sn_node *blame = n;
  bool whole = false;
  for (int i = 0; i < n->arg_count; i++) {
    sn_val v = n->arg[i];
    if (s->cls[v] == SN_STEP_AFTER) blame = s->blamed[v];
    whole |= s->cls[v] == SN_STEP_LINEAR && keeps_state(s->linear[v]);
  }
  if (whole && !s->why)
    s->why =
        sn_arena_printf(s->arena, "%s %s", sn_scan_at_line(s->arena, blame),
                        blame == n ? "takes the whole state" : "is not linear in the states and meets a whole one");
  for (int r = 0; r < n->result_count; r++) s->blamed[n->first + (sn_val)r] = blame;
}

static void arg_node(sn_scan_step *s, const sn_node *n) {
  int64_t i = n->attr[0].i;
  if (i >= s->l.states || s->shifts[i]) return;
  s->cls[n->first] = SN_STEP_LINEAR;
  s->linear[n->first] = state_itself(s, n->first, (int)i);
  for (int k = n->type[0]->rank; k < 2; k++) s->linear[n->first]->term[0].state_label[k] = -1;
  if (n->type[0]->rank < 1 || n->type[0]->rank > 2)
    s->why = sn_arena_printf(s->arena, "state %d is no matrix or vector", (int)i);
  if (n->type[0]->elem != SN_ELEM_F32 && n->type[0]->elem != SN_ELEM_F64)
    s->why = sn_arena_printf(s->arena, "state %d is neither f32 nor f64", (int)i);
}

static void classify(sn_scan_step *s) {
  s->why = NULL;
  for (int i = 0; i < s->f->node_count; i++) {
    const sn_node *n = s->f->node[i];
    bool free = true, after = false;
    mark(s, n, SN_STEP_FREE);
    if (n->op == SN_OP_ARG) {
      arg_node(s, n);
      continue;
    }
    for (int k = 0; k < n->arg_count; k++) {
      free &= s->cls[n->arg[k]] == SN_STEP_FREE;
      after |= s->cls[n->arg[k]] == SN_STEP_AFTER;
    }
    if (free) continue;
    sn_linear *x = after ? NULL : terms_of_node(s, n);
    if (!x) {
      after_node(s, n);
      continue;
    }
    s->cls[n->first] = SN_STEP_LINEAR;
    s->linear[n->first] = x;
  }
}

bool sn_scan_step_read(sn_arena *arena, const sn_scan_layout *l, sn_scan_step *out) {
  *out = (sn_scan_step){.arena = arena, .l = *l, .f = l->step, .label_count = 1};
  out->cls = SN_ARRAY(arena, l->step->value_count, sn_step_class);
  out->linear = SN_ARRAY(arena, l->step->value_count, sn_linear *);
  out->known = SN_ARRAY(arena, l->step->value_count, sn_linear *);
  out->blamed = SN_ARRAY(arena, l->step->value_count, const sn_node *);
  out->shifts = SN_ARRAY(arena, l->states + 1, bool);
  for (bool more = true; more;) {
    more = false;
    classify(out);
    for (int i = 0; i < l->states; i++) {
      bool free = out->cls[l->step->result[i]] == SN_STEP_FREE;
      more |= free && !out->shifts[i];
      out->shifts[i] |= free;
    }
  }
  return !out->why;
}
