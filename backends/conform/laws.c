/* Every op of the table, on every element type that its type rule accepts and on shapes of odd extents: its results,
 * and what `grad` makes of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/conform/conform.h"
#include "ir/base/rng.h"
#include "ir/ops/ops.h"
#include "ir/ops/sample.h"

enum { SYMBOLS = 2, LARGEST = 1 << 16 }; /* elements of an operand or a result */

typedef struct kind_of_shape {
  int count; /* 0: small ones and symbols */
  int64_t extents[4];
  bool ties;
  int64_t symbols[SYMBOLS];
} kind_of_shape;

static const kind_of_shape kinds[] = {
    {4, {2, 3, 5, 7}, false, {1, 1}}, {3, {0, 1, 3}, false, {1, 1}},   {1, {1}, false, {1, 1}},
    {2, {1, 4}, false, {1, 1}},       {2, {2, 17}, false, {1, 1}},     {2, {3, 5}, true, {1, 1}},
    {3, {9, 31, 33}, false, {1, 1}},  {3, {1, 63, 65}, false, {1, 1}}, {2, {4, 129}, false, {1, 1}},
    {0, {0}, false, {1, 1}},          {0, {0}, false, {3, 19}},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

typedef struct cell {
  sn_op op;
  sn_elem elem;
  int kind;
  uint64_t order; /* within the op */
  int round;      /* position in that order */
} cell;

/* ---- one use of an op -------------------------------------------------------------------------------------------- */

typedef struct use {
  sn_arena *arena;
  sn_module *m;
  sn_func *f;
  sn_build b;
  sn_sample s;
  sn_val arg[SN_SAMPLE_ARGS], y;
  const cell *c;
} use;

/* -> false: the type rule does not accept this element type */
static bool begin(use *u, sn_arena *arena, const cell *c) {
  const kind_of_shape *k = &kinds[c->kind];
  sn_rng r = {.seed = (uint64_t)c->kind, .stream = (uint64_t)c->op};
  bool conflict = false;
  *u = (use){.arena = arena, .m = sn_module_create(arena), .c = c};
  sn_dimx_symbol(u->m->types, "B", 1, 8, 1, &conflict);
  sn_dimx_symbol(u->m->types, "T", 1, 64, 1, &conflict);
  u->s = (sn_sample){.elem = c->elem, .extent_count = k->count, .extents = k->extents};
  if (sn_op_sample(&r, u->m, c->op, &u->s) || !sn_sample_is_built(&u->s)) return false;
  u->f = sn_func_create(u->m, "g", SN_FUNC_GRAPH);
  u->b = sn_build_begin(u->f, NULL);
  for (int i = 0; i < u->s.arg_count; i++) {
    const sn_attr at[SN_ATTR_MAX] = {{.set = true, .s = sn_name(u->m->names, sn_arena_printf(arena, "x%d", i))}};
    u->arg[i] = sn_emit(&u->b, SN_OP_INPUT, 0, NULL, at, u->s.arg[i]);
  }
  u->y = sn_emit(&u->b, c->op, u->s.arg_count, u->arg, u->s.attr, NULL);
  return u->y != 0;
}

static const sn_type *type_of(const use *u, sn_val v) { return sn_g_type((sn_build *)(uintptr_t)&u->b, v); }

static int64_t elements(const use *u, const sn_type *t) {
  int64_t n = 1, extent;
  for (int i = 0; i < t->rank; i++) n *= sn_dimx_eval(t->dim[i], kinds[u->c->kind].symbols, &extent) ? 0 : extent;
  return n;
}

/* An index of nothing points nowhere, and large shapes take the interpreter too long. */
static bool is_executable(const use *u) {
  const sn_node *n = sn_node_of(u->f, u->y);
  for (int i = 0; i < u->s.arg_count; i++) {
    int64_t most = 1, count = elements(u, u->s.arg[i]);
    if (u->s.domain[i].below && sn_dimx_eval(u->s.domain[i].below, kinds[u->c->kind].symbols, &most)) return false;
    if ((most <= 0 && count) || count > LARGEST) return false;
    if (!count && (u->c->op == SN_OP_ARGMAX || u->c->op == SN_OP_ARGMIN)) return false;
  }
  for (int i = 0; i < n->result_count; i++)
    if (elements(u, n->type[i]) > LARGEST) return false;
  return true;
}

static void output(use *u, const char *format, int i, sn_val v) {
  sn_func_output(u->f, sn_name(u->m->names, sn_arena_printf(u->arena, format, i)), v);
}

/* sum y s for an input s: what is differentiated. 0: the op gives no float */
static sn_val loss(use *u) {
  const sn_attr name[SN_ATTR_MAX] = {{.set = true, .s = sn_name(u->m->names, "s")}};
  sn_val y = u->y;
  if (!sn_elem_is_float(type_of(u, y)->elem)) return 0;
  if (sn_elem_bytes(type_of(u, y)->elem) < 4) {
    const sn_attr at[SN_ATTR_MAX] = {{.set = true, .i = SN_ELEM_F32}};
    y = sn_emit(&u->b, SN_OP_CAST, 1, &y, at, NULL);
  }
  const sn_type *t = type_of(u, y);
  int64_t axes[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) axes[i] = i;
  sn_val weighted[2] = {y, sn_emit(&u->b, SN_OP_INPUT, 0, NULL, name, t)};
  y = sn_emit(&u->b, SN_OP_MUL, 2, weighted, NULL, NULL);
  const sn_attr at[SN_ATTR_MAX] = {{.set = true, .ints = axes, .count = t->rank}};
  return t->rank ? sn_emit(&u->b, SN_OP_SUM, 1, &y, at, NULL) : y;
}

static void gradients(use *u) {
  sn_val arg[SN_SAMPLE_ARGS + 1];
  int n = 1;
  const sn_op_rules *rules = sn_op_rules_of(u->c->op);
  if (!rules->grad && (!rules->expand || rules->why_no_grad)) return;
  for (int i = 0; i < u->s.arg_count; i++)
    if (sn_elem_is_float(u->s.arg[i]->elem)) arg[n++] = u->arg[i];
  if (n == 1 || !(arg[0] = loss(u))) return;
  sn_val d = sn_emit(&u->b, SN_OP_GRAD, n, arg, NULL, NULL);
  for (int i = 0; d && i < n - 1; i++) output(u, "d%d", i, d + (sn_val)i);
}

/* ---- its data ---------------------------------------------------------------------------------------------------- */

static double draw_value(const use *u, sn_rng *r, sn_elem e, const sn_sample_domain *d) {
  int64_t hi = (int64_t)d->hi, lo = (int64_t)d->lo;
  if (d->below && sn_dimx_eval(d->below, kinds[u->c->kind].symbols, &hi)) hi = lo;
  if (!sn_elem_is_float(e)) return hi > lo ? (double)(lo + (int64_t)sn_rng_below(r, (uint64_t)(hi - lo))) : 0;
  double v = d->lo + (d->hi - d->lo) * sn_rng_f64(r);
  if (kinds[u->c->kind].ties) v = fmin(fmax(rint(v), d->lo), d->hi);
  if (fabs(v) < d->gap) v = v < 0 ? v - d->gap : v + d->gap;
  return sn_elem_nearest(e, v);
}

static sn_code data_of(const use *u, sn_binding *data) {
  sn_rng r = {.seed = (uint64_t)u->c->kind + 100, .stream = (uint64_t)u->c->op};
  for (int i = 0; i < u->s.arg_count; i++) {
    const sn_type *type = u->s.arg[i];
    int64_t extent[SN_RANK_MAX];
    sn_tensor *t;
    for (int d = 0; d < type->rank; d++) SN_TRY(sn_dimx_eval(type->dim[d], kinds[u->c->kind].symbols, &extent[d]));
    SN_TRY(sn_tensor_create(u->arena, type->elem, type->rank, extent, &t));
    for (int64_t k = 0; k < t->count; k++) {
      t->value[k] = draw_value(u, &r, type->elem, &u->s.domain[i]);
      if (t->wide) t->wide[k] = (int64_t)t->value[k];
    }
    data[i] = (sn_binding){sn_arena_printf(u->arena, "x%d", i), t};
  }
  return SN_OK;
}

typedef struct law {
  const cell *c;
  const char *fuse;
  int64_t *ops;
} law;

static sn_code one_law(const sn_conform_trial *t, void *user) {
  const law *l = user;
  use u;
  sn_oracle o;
  sn_binding data[SN_SAMPLE_ARGS];
  if (!begin(&u, t->arena, l->c)) return sn_fail(t->diags, SN_ERR_FAIL, (sn_loc){0}, "a cell that is there is not");
  for (int i = 0; i < sn_node_of(u.f, u.y)->result_count; i++) output(&u, "y%d", i, u.y + (sn_val)i);
  gradients(&u);
  SN_TRY(data_of(&u, data));
  sn_case c = {.file = "law.sn",
               .text = sn_module_text(u.m, t->arena),
               .graph = "g",
               .dim_count = SYMBOLS,
               .dims = kinds[l->c->kind].symbols,
               .data_count = u.s.arg_count,
               .data = data};
  SN_TRY(sn_case_draw(&c, 1, 2, 1, t->arena, t->diags));
  if (!t->opt->made) SN_TRY(sn_case_oracle(&c, t->arena, t->diags, &o));
  const char *what = sn_arena_printf(t->arena, "`%s` of %s, shapes %d", sn_op_get(l->c->op)->name,
                                     sn_elem_name(l->c->elem), l->c->kind);
  l->ops[l->c->op] += sn_conform_case(t, &c, &o, l->fuse, what, true);
  return SN_OK;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

/* Leaves hold no values of their own; grad and call are used where they are expanded; attention_grad is what attention
 * has for a gradient. */
static bool is_listed(const void *user, int op) {
  (void)user;
  bool inside = op == SN_OP_CALL || op == SN_OP_GRAD || op == SN_OP_FUSED || op == SN_OP_ATTENTION_GRAD;
  return sn_op_get((sn_op)op)->cls != SN_CLASS_LEAF && !inside;
}

static bool is_there(const cell *c) {
  use u;
  sn_arena *arena = sn_arena_create();
  bool there = arena && begin(&u, arena, c) && is_executable(&u);
  sn_arena_destroy(arena);
  return there;
}

static int by_order(const void *a, const void *b) {
  const cell *x = a, *y = b;
  if (x->op != y->op) return x->op < y->op ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

static int by_round(const void *a, const void *b) {
  const cell *x = a, *y = b;
  if (x->round != y->round) return x->round < y->round ? -1 : 1;
  return x->op < y->op ? -1 : x->op > y->op;
}

/* f32 and primes first, the rest in an order that no structure of the list can meet. */
static uint64_t order_of(const cell *c) {
  const int32_t key[] = {(int32_t)c->op, (int32_t)c->elem, c->kind};
  if (c->elem == SN_ELEM_F32 && c->kind == 0) return 0;
  return 1 + (sn_hash_bytes(key, sizeof key, 7) >> 1);
}

/* Round by round, in each round one cell of every op that has so many. */
static cell *list(sn_arena *arena, int *count) {
  cell *all = SN_ARRAY(arena, SN_OP_COUNT * SN_ELEM_COUNT * KINDS, cell);
  int n = 0;
  for (int op = 1; op < SN_OP_COUNT; op++)
    for (int e = 1; is_listed(NULL, op) && e < SN_ELEM_COUNT; e++)
      for (int k = 0; k < (int)KINDS; k++) {
        all[n] = (cell){.op = (sn_op)op, .elem = (sn_elem)e, .kind = k};
        all[n].order = order_of(&all[n]);
        n += is_there(&all[n]);
      }
  qsort(all, (size_t)n, sizeof *all, by_order);
  for (int i = 0; i < n; i++) all[i].round = i && all[i].op == all[i - 1].op ? all[i - 1].round + 1 : 0;
  qsort(all, (size_t)n, sizeof *all, by_round);
  *count = n;
  return all;
}

void sn_conform_laws(const sn_conform_opt *opt, sn_arena *arena, sn_conform *out) {
  static const char *const fuse[] = {"none", "all"};
  int64_t ops[SN_OP_COUNT] = {0};
  int count;
  *out = (sn_conform){0};
  const cell *all = list(arena, &count);
  out->there = 2 * (int64_t)count;
  for (int64_t i = (int64_t)opt->seed; i < (int64_t)opt->seed + opt->count && i < out->there; i++) {
    law l = {&all[i % count], fuse[(i % count + i / count) % 2], ops};
    sn_conform_try(opt, arena, out, one_law, &l);
  }
  sn_conform_seen(out, arena, ops, is_listed, NULL);
}
