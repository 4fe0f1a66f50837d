/* Fuse: what must lie in memory, what is computed wherever it is used, and the groups to begin with. */
#include <string.h>

#include "passes/graph/fuse.h"
#include "passes/lower/internal.h"

enum { INLINE_COST = 48 };

/* ---- positions, bases ---------------------------------------------------------------------------------------- */

int sn_fuse_position(const sn_fuse *s, sn_val v) { return s->position[v]; }

static void find_positions(sn_fuse *s) {
  s->position = SN_ARRAY(s->arena, s->f->value_count, int);
  for (int i = 0; i < s->f->node_count; i++)
    for (int r = 0; r < s->f->node[i]->result_count; r++) s->position[s->f->node[i]->first + (sn_val)r] = i;
}

bool sn_fuse_is_number(sn_op op) { return op == SN_OP_CONST || op == SN_OP_IOTA || op == SN_OP_DIM; }
static bool is_named_leaf(sn_op op) {
  return op == SN_OP_INPUT || op == SN_OP_PARAM || op == SN_OP_STATE || op == SN_OP_ARG;
}

bool sn_fuse_is_free(const sn_fuse *s, const sn_node *n) {
  sn_op_class cls = sn_op_get(n->op)->cls;
  return (cls == SN_CLASS_LEAF || cls == SN_CLASS_VIEW) && !s->stored[n->first];
}

bool sn_fuse_in_memory(const sn_fuse *s, const sn_node *n) {
  return is_named_leaf(n->op) || (!sn_fuse_is_free(s, n) && !s->inlined[n->first]);
}

sn_val sn_fuse_base(const sn_fuse *s, sn_val v) {
  for (;;) {
    const sn_node *n = sn_node_of(s->f, v);
    if (sn_op_get(n->op)->cls != SN_CLASS_VIEW || s->stored[n->first]) return v;
    v = n->arg[0];
  }
}

int sn_fuse_group_of(const sn_fuse *s, sn_val v) { return s->group_of[sn_fuse_position(s, sn_fuse_base(s, v))]; }

/* ---- costs ------------------------------------------------------------------------------------------------------- */

/* In elementwise operations. */
int sn_fuse_cost(const sn_node *n) { /* table */
  switch (n->op) {
    case SN_OP_EXP:
    case SN_OP_LOG:
    case SN_OP_EXP2:
    case SN_OP_LOG2:
    case SN_OP_SIN:
    case SN_OP_COS:
    case SN_OP_TANH:
    case SN_OP_ERF: return 8;
    case SN_OP_EXPM1:
    case SN_OP_LOG1P:
    case SN_OP_POW: return 16;
    case SN_OP_SQRT:
    case SN_OP_RSQRT:
    case SN_OP_DIV:
    case SN_OP_MOD: return 4;
    case SN_OP_UNIFORM: return 30;
    default: return 1;
  }
}

/* ---- what lies in memory
 * --------------------------------------------------------------------------------------------- */

/* The view node on the way down from v whose step is not strided; 0: none. */
static sn_val unviewable(const sn_fuse *s, sn_val v, sn_view *out) {
  const sn_node *n = sn_node_of(s->f, v);
  if (sn_op_get(n->op)->cls != SN_CLASS_VIEW || s->stored[n->first]) {
    sn_shape shape = sn_shape_of(sn_val_type(s->f, v));
    *out = sn_view_of(s->f->module->types, &shape);
    if (n->op == SN_OP_IOTA && !s->stored[n->first]) /* numbers, not addresses */
      for (int i = 0; i < shape.rank; i++)
        out->stride[i] = sn_dimx_const(s->f->module->types, i == sn_node_attr(n, "axis")->i);
    return 0;
  }
  sn_val below = unviewable(s, n->arg[0], out);
  if (below) return below;
  return sn_view_through(s->f->module->types, out, s->f, n) ? 0 : n->first;
}

static void store_unviewable(sn_fuse *s, sn_val v) {
  sn_view view;
  for (sn_val w; (w = unviewable(s, v, &view));) s->stored[w] = true;
}

/* Operands that kernels address element by element: they must be buffers. */
static bool needs_buffer(const sn_node *n, int k) { /* table */
  switch (n->op) {
    case SN_OP_GATHER:
    case SN_OP_INDEX:
    case SN_OP_DYN_SLICE: return k == 0;
    case SN_OP_SCATTER: return k == 0;
    case SN_OP_INDEX_ADD: return k > 0;
    case SN_OP_DYN_WRITE: return k == 2;
    case SN_OP_SOLVE:
    case SN_OP_ATTENTION:
    case SN_OP_ATTENTION_GRAD:
    case SN_OP_SCAN:
    case SN_OP_COND:
    case SN_OP_WHILE: return true;
    default: return false;
  }
}

/* A step takes parts of its operands as they lie: behind the leading axes without gaps, in order. */
static void store_loose(sn_fuse *s, const sn_node *n, int k) {
  sn_scan_layout l = sn_scan_layout_of(n);
  sn_types *t = s->f->module->types;
  int lead = k < l.states ? l.lead - 1 : k < l.states + l.inputs ? l.lead : 0;
  const sn_dimx *stride = sn_dimx_const(t, 1);
  sn_view view;
  if (unviewable(s, n->arg[k], &view)) return;
  for (int i = view.rank - 1; i >= lead; i--) {
    if (!sn_dimx_is_one(view.extent[i]) && view.stride[i] != stride) {
      s->stored[sn_node_of(s->f, n->arg[k])->first] = true;
      return;
    }
    stride = sn_dimx_mul(t, stride, view.extent[i]);
  }
}

/* Regions take whole buffers. */
static void store_viewed(sn_fuse *s, sn_val v) {
  while (sn_node_of(s->f, v)->op == SN_OP_RESHAPE && !s->stored[v]) v = sn_node_of(s->f, v)->arg[0];
  if (sn_op_get(sn_node_of(s->f, v)->op)->cls == SN_CLASS_VIEW) s->stored[v] = true;
}

/* Positions are indices that need no memory. */
static void store_leaf(sn_fuse *s, const sn_node *user, int k) {
  sn_val base = sn_fuse_base(s, user->arg[k]);
  sn_op op = sn_node_of(s->f, base)->op;
  bool indices = user->op == SN_OP_SCATTER || user->op == SN_OP_INDEX_ADD || user->op == SN_OP_DYN_WRITE;
  if (sn_fuse_is_number(op) && !(indices && op == SN_OP_IOTA)) s->stored[base] = true;
}

/* A value the caller sees: its buffer must hold it in order. */
static void keep(sn_fuse *s, sn_val v, bool update) {
  sn_view view;
  if (!v) return;
  sn_val base = v;
  while (sn_node_of(s->f, base)->op == SN_OP_RESHAPE && !s->stored[base]) base = sn_node_of(s->f, base)->arg[0];
  const sn_node *n = sn_node_of(s->f, base);
  (void)view, (void)update;
  if (sn_op_get(n->op)->cls == SN_CLASS_VIEW || sn_fuse_is_number(n->op)) s->stored[base] = true;
  s->kept[base] = true;
}

static void find_stored(sn_fuse *s) {
  const sn_func *f = s->f;
  for (int i = 0; i < f->output_count; i++) keep(s, f->output[i].value, false);
  for (int i = 0; i < f->update_count; i++) keep(s, f->update[i].next, true);
  keep(s, f->guard, false);
  for (int i = 0; i < f->result_count; i++) keep(s, f->result[i], false);
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    sn_op_class cls = sn_op_get(n->op)->cls;
    if (cls == SN_CLASS_LEAF || (cls == SN_CLASS_VIEW && !s->stored[n->first])) continue;
    for (int k = 0; k < n->arg_count; k++) {
      store_unviewable(s, n->arg[k]);
      if (needs_buffer(n, k)) store_leaf(s, n, k);
      if (n->op == SN_OP_SCAN) store_loose(s, n, k);
      if (n->op == SN_OP_COND || n->op == SN_OP_WHILE) store_viewed(s, n->arg[k]);
    }
  }
}

/* Views on the way from a user down to a value, the lowest first. */
typedef struct above {
  const sn_node *view;
  const struct above *next;
} above;

/* Do strides give the addresses, or the positions, of all that v is computed from, seen through `views`? */
static bool leaves_strided(const sn_fuse *s, sn_val v, const above *views) {
  const sn_node *n = sn_node_of(s->f, v);
  sn_types *t = s->f->module->types;
  if (sn_op_get(n->op)->cls == SN_CLASS_VIEW && !s->stored[n->first]) {
    const above a = {n, views};
    return leaves_strided(s, n->arg[0], &a);
  }
  if (s->inlined[v] && n->op != SN_OP_UNIFORM) {
    for (int k = 0; k < n->arg_count; k++)
      if (!leaves_strided(s, n->arg[k], views)) return false;
    return true;
  }
  if (n->op == SN_OP_CONST || n->op == SN_OP_DIM) return true;
  sn_view at;
  (void)unviewable(s, v, &at);
  for (; views; views = views->next)
    if (!sn_view_through(t, &at, s->f, views->view)) return false;
  return true;
}

/* What a user could not address is computed once, into memory. -> was there any? */
static bool leave_unreachable(sn_fuse *s) {
  bool news = false;
  for (int i = s->f->node_count - 1; i >= 0; i--) {
    const sn_node *n = s->f->node[i];
    if (sn_fuse_is_free(s, n) || s->inlined[n->first]) continue;
    for (int k = 0; k < n->arg_count; k++) {
      sn_val base = sn_fuse_base(s, n->arg[k]);
      if (!s->inlined[base] || leaves_strided(s, n->arg[k], NULL)) continue;
      s->inlined[base] = false;
      news = true;
    }
  }
  return news;
}

/* What is made of an op that is not inlined any more is not either. -> was there any? */
static bool leave_orphans(sn_fuse *s) {
  bool news = false;
  for (int i = 0; i < s->f->node_count; i++) {
    const sn_node *n = s->f->node[i];
    for (int k = 0; k < n->arg_count && s->inlined[n->first]; k++) {
      sn_val base = sn_fuse_base(s, n->arg[k]);
      const sn_node *a = sn_node_of(s->f, base);
      if (s->inlined[base] || sn_fuse_is_number(a->op) || is_named_leaf(a->op)) continue;
      s->inlined[n->first] = false;
      news = true;
    }
  }
  return news;
}

/* Numbers made of constants and positions only are computed wherever they are used. */
static void find_inlined(sn_fuse *s) {
  int *cost = SN_ARRAY(s->arena, s->f->value_count, int);
  for (int i = 0; i < s->f->node_count; i++) {
    const sn_node *n = s->f->node[i];
    bool point = sn_op_get(n->op)->cls == SN_CLASS_POINT || n->op == SN_OP_UNIFORM;
    if (!point || s->kept[n->first]) continue;
    bool inlined = true;
    int sum = sn_fuse_cost(n);
    for (int k = 0; k < n->arg_count; k++) {
      sn_val base = sn_fuse_base(s, n->arg[k]);
      const sn_node *a = sn_node_of(s->f, base);
      bool number = sn_fuse_is_number(a->op) && !s->stored[base];
      inlined = inlined && (number || s->inlined[base] || (n->op == SN_OP_UNIFORM && is_named_leaf(a->op)));
      sum += cost[base];
    }
    s->inlined[n->first] = inlined && sum <= INLINE_COST;
    cost[n->first] = s->inlined[n->first] ? sum : 0;
  }
  for (int i = 0; i < s->f->node_count; i++) { /* a product would compute them again in every tile */
    const sn_node *n = s->f->node[i];
    for (int k = 0; k < n->arg_count; k++)
      if (n->op == SN_OP_CONTRACT || needs_buffer(n, k)) s->inlined[sn_fuse_base(s, n->arg[k])] = false;
  }
  while (leave_unreachable(s) || leave_orphans(s)) continue;
}

/* ---- groups to begin with
 * ---------------------------------------------------------------------------------------------- */

sn_fuse_kind sn_fuse_kind_of(const sn_node *n) { /* table */
  switch (n->op) {
    case SN_OP_CONTRACT: return SN_FUSE_CONTRACT;
    case SN_OP_ATTENTION:
    case SN_OP_ATTENTION_GRAD: return SN_FUSE_ATTEND;
    case SN_OP_SCAN: return SN_FUSE_SCAN;
    case SN_OP_COND: return SN_FUSE_COND;
    case SN_OP_WHILE: return SN_FUSE_WHILE;
    default:
      if (sn_is_index_op(n->op)) return SN_FUSE_INDEX;
      return sn_op_get(n->op)->cls == SN_CLASS_REDUCE ? SN_FUSE_ROWS : SN_FUSE_MAP;
  }
}

const char *sn_fuse_kind_name(sn_fuse_kind k) {
  static const char *const name[] = {"map", "rows", "contract", "attend", "index", "scan", "cond", "while"};
  return name[k];
}

static void add_group(sn_fuse *s, int position) {
  sn_fuse_group *g = &s->group[s->group_count];
  *g = (sn_fuse_group){.kind = sn_fuse_kind_of(s->f->node[position]), .count = 1, .version = ++s->versions};
  g->node = SN_ARRAY(s->arena, 1, int);
  g->node[0] = position;
  s->group_of[position] = s->group_count++;
}

static void add_user(sn_fuse *s, sn_val v, int user, int *capacity) {
  int p = sn_fuse_position(s, v);
  if (s->users[p] && s->user[p][s->users[p] - 1] == user) return;
  SN_GROW(s->arena, s->user[p], s->users[p], capacity[p]);
  s->user[p][s->users[p]++] = user;
}

static void find_users(sn_fuse *s) {
  int n = s->f->node_count, *capacity = SN_ARRAY(s->arena, n, int);
  s->user = SN_ARRAY(s->arena, n, int *);
  s->users = SN_ARRAY(s->arena, n, int);
  for (int i = 0; i < n; i++) {
    if (sn_fuse_is_free(s, s->f->node[i])) continue;
    for (int k = 0; k < s->f->node[i]->arg_count; k++) add_user(s, sn_fuse_base(s, s->f->node[i]->arg[k]), i, capacity);
  }
}

/* Bytes of every value with symbols at their maxima, or what is usual where those are far away. */
static void find_bytes(sn_fuse *s) {
  sn_types *t = s->f->module->types;
  int symbols = sn_types_symbol_count(t);
  s->dims = SN_ARRAY(s->arena, symbols, int64_t);
  for (int i = 0; i < symbols; i++) {
    int64_t most = sn_dimx_max_value(sn_types_symbol(t, i)), least = sn_dimx_min_value(sn_types_symbol(t, i));
    s->dims[i] = most > 4096 ? (least > 4096 ? least : 4096) : most;
  }
  s->bytes = SN_ARRAY(s->arena, s->f->value_count, double);
  for (int v = 1; v < s->f->value_count; v++) {
    const sn_type *type = sn_val_type(s->f, (sn_val)v);
    int64_t n = 1;
    if (sn_dimx_eval(sn_type_count(t, type), s->dims, &n)) n = 1;
    s->bytes[v] = (double)n * (double)sn_elem_bytes(type->elem);
  }
}

void sn_fuse_begin(sn_fuse *s, sn_pass_env *env, sn_arena *arena, const sn_func *f, bool inlines) {
  *s = (sn_fuse){.env = env, .arena = arena, .f = f, .refused = sn_map_create(arena)};
  s->stored = SN_ARRAY(arena, f->value_count, bool);
  s->kept = SN_ARRAY(arena, f->value_count, bool);
  s->inlined = SN_ARRAY(arena, f->value_count, bool);
  s->member = SN_ARRAY(arena, f->value_count, bool);
  s->copied = SN_ARRAY(arena, f->node_count, bool);
  s->group_of = SN_ARRAY(arena, f->node_count, int);
  s->group = SN_ARRAY(arena, f->node_count, sn_fuse_group);
  find_positions(s);
  find_stored(s);
  find_bytes(s);
  sn_fuse_find_ahead(s);
  if (inlines) find_inlined(s);
  for (int i = 0; i < f->node_count; i++) {
    s->group_of[i] = -1;
    if (!sn_fuse_is_free(s, f->node[i]) && !s->inlined[f->node[i]->first]) add_group(s, i);
  }
  find_users(s);
  sn_fuse_order_begin(s);
}
