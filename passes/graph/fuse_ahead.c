/* Fuse: values of weights alone. A value that depends on nothing but parameters that no graph updates is the same in
 * every run: lowering makes it once, after weights were loaded (lower.c), if it is a result of a group of its own.
 *
 *   early   parameters and numbers, and elementwise work on them: cheap enough to be done wherever it is read
 *   ahead   what takes a kernel that is no map (a reduction, a product), what is smaller than all it is made of, and
 * what is made of such values: worth a place in memory. Rounding a parameter is not: who reads it does so, or packs it
 * late    everything else: it needs a run. So does widening what lies ahead: less is read when it is done late
 *
 * No group holds both what is ahead and what is late. */
#include "passes/graph/fuse.h"

typedef struct ahead {
  sn_fuse *s;
  double *made_of; /* by value id: bytes of the largest that it is made of */
  bool *weights;   /* by value id: is a parameter below it? */
  bool *rounded;   /* by value id: a parameter, at most seen through views and casts */
} ahead;

static bool is_static(const sn_node *n) {
  int64_t e;
  for (int r = 0; r < n->result_count; r++)
    for (int i = 0; i < n->type[r]->rank; i++)
      if (!sn_dimx_is_const(n->type[r]->dim[i], &e)) return false;
  return true;
}

static sn_fuse_time time_of_leaf(const sn_fuse *s, const sn_node *n) {
  if (n->op == SN_OP_PARAM) return sn_param_is_frozen(s->f->module, n) ? SN_FUSE_EARLY : SN_FUSE_LATE;
  return sn_fuse_is_number(n->op) ? SN_FUSE_EARLY : SN_FUSE_LATE;
}

static bool may_be_ahead(const sn_node *n) { /* table */
  switch (sn_op_get(n->op)->cls) {
    case SN_CLASS_POINT:
    case SN_CLASS_VIEW:
    case SN_CLASS_REDUCE:
    case SN_CLASS_CONTRACT:
    case SN_CLASS_INDEX: return n->op != SN_OP_STOP;
    default: return false;
  }
}

/* Of a node whose operands can all be made before a run. */
static sn_fuse_time time_of(const ahead *a, const sn_node *n) {
  const sn_fuse *s = a->s;
  sn_val v = n->first, x = n->arg[0];
  bool view = sn_op_get(n->op)->cls == SN_CLASS_VIEW, above = false;
  for (int k = 0; k < n->arg_count; k++) above |= s->when[n->arg[k]] == SN_FUSE_AHEAD;
  if (view && !s->stored[v]) return above ? SN_FUSE_AHEAD : SN_FUSE_EARLY;
  if (!a->weights[v]) return SN_FUSE_EARLY;
  if (n->op == SN_OP_CAST && above && sn_elem_bytes(n->type[0]->elem) > sn_elem_bytes(sn_val_type(s->f, x)->elem))
    return SN_FUSE_LATE;
  if (above || sn_op_get(n->op)->cls != SN_CLASS_POINT) return SN_FUSE_AHEAD;
  return s->bytes[v] < a->made_of[v] && !a->rounded[v] ? SN_FUSE_AHEAD : SN_FUSE_EARLY;
}

static void look_at(ahead *a, const sn_node *n) {
  sn_fuse *s = a->s;
  bool leaf = sn_op_get(n->op)->cls == SN_CLASS_LEAF, late = !leaf && (!may_be_ahead(n) || !is_static(n));
  bool moves = n->op == SN_OP_CAST || sn_op_get(n->op)->cls == SN_CLASS_VIEW;
  for (int k = 0; k < n->arg_count; k++) {
    sn_val x = n->arg[k];
    double bytes = s->when[x] == SN_FUSE_AHEAD ? s->bytes[sn_fuse_base(s, x)] : a->made_of[x];
    late |= s->when[x] == SN_FUSE_LATE;
    a->weights[n->first] |= a->weights[x];
    if (bytes > a->made_of[n->first]) a->made_of[n->first] = bytes;
  }
  if (n->op == SN_OP_PARAM) a->weights[n->first] = true, a->made_of[n->first] = s->bytes[n->first];
  a->rounded[n->first] = n->op == SN_OP_PARAM || (moves && a->rounded[n->arg[0]]);
  sn_fuse_time when = leaf ? time_of_leaf(s, n) : late ? SN_FUSE_LATE : time_of(a, n);
  for (int r = 0; r < n->result_count; r++) s->when[n->first + (sn_val)r] = when;
}

void sn_fuse_find_ahead(sn_fuse *s) {
  int n = s->f->value_count;
  ahead a = {s, SN_ARRAY(s->arena, n, double), SN_ARRAY(s->arena, n, bool), SN_ARRAY(s->arena, n, bool)};
  s->when = SN_ARRAY(s->arena, n, sn_fuse_time);
  for (int i = 0; i < s->f->node_count; i++) look_at(&a, s->f->node[i]);
}

bool sn_fuse_splits_time(const sn_fuse *s, int count, const int *node) {
  bool early = false, late = false;
  for (int i = 0; i < count; i++) {
    early |= s->when[s->f->node[node[i]]->first] == SN_FUSE_AHEAD;
    late |= s->when[s->f->node[node[i]]->first] == SN_FUSE_LATE;
  }
  return early && late && sn_rule_enabled(s->env, "fuse.ahead");
}
