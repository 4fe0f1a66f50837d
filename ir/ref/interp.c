/* Graph interpreter: walks a function in order and dispatches to the files of the op families. */
#include "ir/ref/interp.h"

#include <stdio.h>
#include <string.h>

#include "ir/ref/eval.h"

enum { DEPTH_MAX = 64 };

sn_loc sn_eval_loc(const sn_eval *e) { return e->n->origin.loc_count ? e->n->origin.locs[0] : (sn_loc){0}; }

sn_code sn_eval_fail(sn_eval *e, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return sn_fail(e->in->diags, SN_ERR_INPUT, sn_eval_loc(e), "`%s`: %s", sn_op_get(e->n->op)->name, text);
}

sn_code sn_eval_extents(sn_interp *in, const sn_type *t, int64_t *extent) {
  for (int i = 0; i < t->rank; i++) {
    sn_code code = sn_dimx_eval(t->dim[i], in->dims, &extent[i]);
    if (code || extent[i] < 0)
      return sn_fail(in->diags, SN_ERR_INPUT, (sn_loc){0}, "extent %d of %s has no value under the sizes of this run",
                     i, sn_type_text(in->arena, t));
  }
  return SN_OK;
}

sn_code sn_eval_tensor(sn_eval *e, sn_elem elem, int rank, const int64_t *extent, sn_tensor **out) {
  SN_TRY(sn_tensor_create(e->in->arena, elem, rank, extent, out));
  if (e->bounds) (*out)->bound = SN_ARRAY(e->in->arena, (*out)->count + 1, double);
  return SN_OK;
}

double sn_eval_shuffled(sn_eval *e, sn_elem elem, double *terms, int64_t count) {
  sn_elem acc = sn_acc_of(elem);
  uint32_t order = sn_rng_u32(&e->in->shuffle) % 3;
  double s = 0;
  if (order < 2) {
    for (int64_t i = 0; i < count; i++) s = sn_elem_round(acc, s + terms[order ? count - 1 - i : i]);
    return s;
  }
  for (int64_t n = count; n > 1; n = (n + 1) / 2) /* a tree of pairs */
    for (int64_t i = 0; i < n / 2; i++) { terms[i] = sn_elem_round(acc, terms[i] + terms[n - 1 - i]); }
  return count ? terms[0] : 0;
}

/* ---- bodies made for a node ---- */

static sn_code make_body(sn_eval *e, int extra_count, const sn_type *const *extra, sn_eval_make make,
                         const sn_func **out) {
  sn_interp *in = e->in;
  sn_module *m = sn_module_create(in->arena); /* of its own: the program's list of functions is not touched */
  m->types = e->f->module->types;
  m->names = e->f->module->names;
  sn_func *f = sn_func_create(m, sn_op_get(e->n->op)->name, SN_FUNC_BODY);
  sn_build b = sn_build_begin(f, in->diags);
  b.origin = e->n->origin;
  int n = e->n->arg_count;
  sn_val *arg = SN_ARRAY(in->arena, n + extra_count + 1, sn_val);
  for (int i = 0; i < n + extra_count; i++) {
    const sn_attr at = {.set = true, .i = i};
    arg[i] = sn_emit(&b, SN_OP_ARG, 0, NULL, &at, i < n ? sn_val_type(e->f, e->n->arg[i]) : extra[i - n]);
  }
  if (!b.failed) make(&b, e->n, arg, arg + n);
  if (b.failed) return b.failed;
  *out = f;
  return SN_OK;
}

sn_code sn_eval_body(sn_eval *e, int kind, int extra_count, const sn_type *const *extra, sn_eval_make make,
                     const sn_func **out) {
  if (!e->in->cache) e->in->cache = sn_map_create(e->in->arena);
  uint64_t key = (uint64_t)(uintptr_t)e->n + (uint64_t)kind; /* nodes are aligned to 16 */
  const sn_func *f = sn_map_get(e->in->cache, key);
  if (!f) {
    SN_TRY(make_body(e, extra_count, extra, make, &f));
    sn_map_put(e->in->cache, key, (void *)(uintptr_t)f);
  }
  *out = f;
  return SN_OK;
}

/* ---- leaves ---- */

static sn_code misfit(sn_eval *e, const sn_tensor *t) {
  sn_text found = sn_text_begin(e->in->arena);
  sn_text_add(&found, "%s[", sn_elem_name(t->elem));
  for (int i = 0; i < t->rank; i++) sn_text_add(&found, "%s%lld", i ? ", " : "", (long long)t->extent[i]);
  sn_text_add(&found, "]");
  sn_code code = sn_eval_fail(e, "\"%s\" does not fit", sn_leaf_name(e->n));
  sn_fail_expected(e->in->diags, "%s", sn_type_text(e->in->arena, e->n->type[0]));
  sn_fail_found(e->in->diags, "%s", found.at);
  return code;
}

/* A bound tensor as it is given, with a zero bound of our own. */
static sn_code eval_named(sn_eval *e) {
  const char *name = sn_leaf_name(e->n);
  for (int i = 0; i < e->in->leaf_count; i++) {
    const sn_tensor *t = e->in->leaf[i].tensor;
    if (strcmp(e->in->leaf[i].name, name)) continue;
    sn_tensor *out = e->out[0];
    bool fits = t->elem == out->elem && t->rank == out->rank;
    for (int k = 0; fits && k < t->rank; k++) fits = t->extent[k] == out->extent[k];
    if (!fits) return misfit(e, t);
    out->value = t->value;
    out->wide = t->wide;
    if (e->bounds && t->bound) out->bound = t->bound;
    return SN_OK;
  }
  const sn_attr *init = e->n->op == SN_OP_INPUT ? sn_node_attr(e->n, "default") : NULL;
  if (!init || !init->set) return sn_eval_fail(e, "\"%s\" is not given", name);
  for (int64_t i = 0; i < e->out[0]->count; i++) {
    e->out[0]->value[i] = sn_elem_round(e->out[0]->elem, init->f);
    if (e->out[0]->wide) e->out[0]->wide[i] = (int64_t)init->f;
  }
  return SN_OK;
}

static sn_code eval_const(sn_eval *e) {
  sn_tensor *out = e->out[0];
  double v = sn_node_attr(e->n, "value")->f;
  bool is_int = !sn_elem_is_float(out->elem);
  for (int64_t i = 0; i < out->count; i++) {
    if (is_int)
      sn_int_set(out, i, sn_wrap(out->elem, (int64_t)v));
    else
      out->value[i] = sn_elem_round(out->elem, v);
  }
  return SN_OK;
}

static sn_code eval_iota(sn_eval *e) {
  sn_tensor *out = e->out[0];
  int64_t axis = sn_node_attr(e->n, "axis")->i, inner = 1;
  for (int i = (int)axis + 1; i < out->rank; i++) inner *= out->extent[i];
  for (int64_t i = 0; i < out->count; i++) {
    int64_t at = i / inner % out->extent[axis];
    if (sn_elem_is_float(out->elem))
      out->value[i] = sn_elem_round(out->elem, (double)at);
    else
      sn_int_set(out, i, sn_wrap(out->elem, at));
  }
  return SN_OK;
}

static sn_code eval_dim(sn_eval *e) {
  int64_t v;
  if (sn_dimx_eval(sn_node_attr(e->n, "dim")->d, e->in->dims, &v)) return sn_eval_fail(e, "has no value in this run");
  sn_int_set(e->out[0], 0, v);
  return SN_OK;
}

static sn_code eval_uniform(sn_eval *e) {
  uint64_t stream = sn_stream_of(sn_node_attr(e->n, "stream")->s);
  uint64_t seed = (uint64_t)sn_int_at(e->arg[0], 0);
  uint32_t step = (uint32_t)sn_int_at(e->arg[1], 0);
  for (int64_t i = 0; i < e->out[0]->count; i++)
    e->out[0]->value[i] = (double)sn_uniform(seed, stream, step, (uint64_t)i);
  return SN_OK;
}

/* ---- bodies ---- */

static sn_code eval_body(sn_eval *e) {
  return sn_interp_call(e->in, sn_node_attr(e->n, "body")->region, e->n->arg_count, e->arg, e->out);
}

sn_code sn_eval_quietly(sn_eval *e, const sn_func *body, int arg_count, sn_tensor *const *args, sn_tensor **results) {
  sn_interp saved = *e->in;
  e->in->find_nonfinite = false;
  e->in->on_node = NULL;
  sn_code code = sn_interp_call(e->in, body, arg_count, args, results);
  e->in->find_nonfinite = saved.find_nonfinite;
  e->in->on_node = saved.on_node;
  return code;
}

static sn_code eval_grad(sn_eval *e) { return sn_eval_fail(e, "cannot be executed: run the pass `grad` first"); }

static void make_expansion(sn_build *b, const sn_node *n, const sn_val *arg, const sn_val *extra) {
  (void)extra;
  sn_func_return(b->func, sn_op_rules_of(n->op)->expand(b, n, arg));
}

/* The ids of pick and cross_entropy must exist, which their expansion would not notice. */
static sn_code check_ids(sn_eval *e) {
  const sn_tensor *x = e->arg[0], *ids = e->arg[1];
  int64_t rows = x->extent[x->rank - 1];
  for (int64_t i = 0; i < ids->count; i++) {
    int64_t id = sn_int_at(ids, i);
    if (id < 0 || id >= rows)
      return sn_eval_fail(e, "id %lld at element %lld is outside of 0 .. %lld", (long long)id, (long long)i,
                          (long long)rows - 1);
  }
  return SN_OK;
}

static sn_code eval_expand(sn_eval *e) {
  const sn_func *body;
  if (e->n->op == SN_OP_PICK || e->n->op == SN_OP_CROSS_ENTROPY) SN_TRY(check_ids(e));
  SN_TRY(sn_eval_body(e, 0, 0, NULL, make_expansion, &body));
  return sn_eval_quietly(e, body, e->n->arg_count, e->arg, e->out);
}

/* ---- dispatch ---- */

static sn_eval_fn by_class(sn_op_class c) { /* table */
  switch (c) {
    case SN_CLASS_POINT: return sn_eval_point;
    case SN_CLASS_VIEW: return sn_eval_view;
    case SN_CLASS_REDUCE: return sn_eval_reduce;
    case SN_CLASS_CONTRACT: return sn_eval_contract;
    case SN_CLASS_INDEX: return sn_eval_index;
    case SN_CLASS_RANDOM: return eval_uniform;
    case SN_CLASS_EXPAND: return eval_expand;
    default: return NULL;
  }
}

static sn_eval_fn rule_of(sn_op op) { /* table */
  switch (op) {
    case SN_OP_INPUT:
    case SN_OP_PARAM:
    case SN_OP_STATE: return eval_named;
    case SN_OP_CONST: return eval_const;
    case SN_OP_IOTA: return eval_iota;
    case SN_OP_DIM: return eval_dim;
    case SN_OP_CONCAT: return sn_eval_view;
    case SN_OP_CUMSUM:
    case SN_OP_CUMPROD:
    case SN_OP_CUMMAX:
    case SN_OP_RECUR: return sn_eval_prefix;
    case SN_OP_SORT: return sn_eval_sort;
    case SN_OP_SOLVE: return sn_eval_solve;
    case SN_OP_CALL:
    case SN_OP_FUSED: return eval_body;
    case SN_OP_GRAD: return eval_grad;
    case SN_OP_ATTENTION:
    case SN_OP_ATTENTION_GRAD: return sn_eval_attention;
    case SN_OP_SCAN: return sn_eval_scan;
    case SN_OP_COND: return sn_eval_cond;
    case SN_OP_WHILE: return sn_eval_while;
    default: return by_class(sn_op_get(op)->cls);
  }
}

static bool nonfinite(const sn_tensor *t, int64_t *at) {
  double top = sn_elem_max(t->elem);
  if (!sn_elem_is_float(t->elem)) return false;
  for (int64_t i = 0; i < t->count; i++) {
    *at = i;
    if (!(fabs(t->value[i]) <= top)) return true;
  }
  return false;
}

/* Constants may be infinite, and so may the lse of attention: that of a row that sees nothing. */
static sn_code check_finite(sn_eval *e) {
  int64_t at;
  int count = e->n->op == SN_OP_ATTENTION ? 1 : e->n->result_count;
  if (e->n->op == SN_OP_CONST) return SN_OK;
  for (int i = 0; i < count; i++) {
    if (!nonfinite(e->out[i], &at)) continue;
    e->in->nonfinite = e->n;
    double v = e->out[i]->value[at];
    sn_code code = sn_fail(e->in->diags, SN_ERR_NUMERIC, sn_eval_loc(e), "`%s` gives %g%s", sn_op_get(e->n->op)->name,
                           isnan(v) ? fabs(v) : v, isfinite(v) ? ", which its type cannot hold" : "");
    sn_fail_found(e->in->diags, "at element %lld of %s", (long long)at, sn_type_text(e->in->arena, e->n->type[i]));
    if (e->n->origin.group) sn_fail_note(e->in->diags, "part of %s", e->n->origin.group);
    if (e->n->origin.layer) sn_fail_note(e->in->diags, "in layer %s", e->n->origin.layer);
    return code;
  }
  return SN_OK;
}

/* Ops among those of indexing that do arithmetic: they round inside as well. */
static bool computes_along(sn_op op) {
  return op == SN_OP_SOLVE || op == SN_OP_CUMSUM || op == SN_OP_CUMPROD || op == SN_OP_RECUR;
}

/* How many roundoffs an execution may differ by in one op: sums of n terms by about sqrt(n). */
static double op_noise(const sn_eval *e) {
  sn_op_class c = sn_op_get(e->n->op)->cls;
  if (computes_along(e->n->op)) return e->in->noise;
  if (c == SN_CLASS_VIEW || c == SN_CLASS_INDEX || e->n->op == SN_OP_STOP) return 0;
  double terms = e->out[0]->count ? (double)e->arg[0]->count / (double)e->out[0]->count : 1;
  return c == SN_CLASS_REDUCE ? e->in->noise * fmax(1, sqrt(terms)) : e->in->noise;
}

/* Cheap noise in -1 .. 1: one multiplication per element. */
static double jitter(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (double)(int32_t)(*state >> 32) * 0x1p-31;
}

/* An execution in the declared types: rounded, and moved at random when that is asked for. */
static void round_results(sn_eval *e) {
  double noise = e->in->noise > 0 && e->n->arg_count > 0 ? op_noise(e) : 0;
  for (int i = 0; i < e->n->result_count; i++) {
    sn_tensor *t = e->out[i];
    if (!sn_elem_is_float(t->elem)) continue;
    double u = noise * sn_unit(t->elem);
    uint64_t state = u > 0 ? sn_rng_u32(&e->in->shuffle) : 0;
    for (int64_t k = 0; u > 0 && k < t->count; k++) t->value[k] *= 1 + u * jitter(&state);
    for (int64_t k = 0; k < t->count; k++) t->value[k] = sn_elem_round(t->elem, t->value[k]);
  }
}

/* f8e4m3 has no infinity: a cast gives NaN, and so does the store of another result, unless it is used before that. */
static void lose_infinities(sn_eval *e) {
  for (int i = 0; i < e->n->result_count; i++) {
    sn_tensor *t = e->out[i];
    for (int64_t k = 0; t->elem == SN_ELEM_F8E4M3 && k < t->count; k++) {
      if (!isinf(t->value[k])) continue;
      t->value[k] = NAN;
      if (e->bounds && e->n->op != SN_OP_CAST) t->bound[k] = INFINITY;
    }
  }
}

static sn_code eval_node(sn_interp *in, const sn_func *f, const sn_node *n, sn_tensor **values, int arg_count,
                         sn_tensor *const *args) {
  sn_tensor *arg_room[16], **arg = n->arg_count <= 16 ? arg_room : SN_ARRAY(in->arena, n->arg_count, sn_tensor *);
  sn_eval e = {.in = in, .f = f, .n = n, .arg = arg, .out = values + n->first, .bounds = !in->no_bounds && !in->round};
  for (int i = 0; i < n->arg_count; i++) arg[i] = values[n->arg[i]];
  if (n->op == SN_OP_ARG) {
    int64_t k = sn_node_attr(n, "index")->i;
    if (k >= arg_count) return sn_eval_fail(&e, "`%s` is called with %d arguments", f->name, arg_count);
    e.out[0] = args[k];
    return SN_OK;
  }
  bool leaf = sn_leaf_name(n) != NULL,
       body = n->op == SN_OP_CALL || n->op == SN_OP_FUSED || sn_op_get(n->op)->cls == SN_CLASS_EXPAND;
  for (int i = 0; i < n->result_count && !body; i++) {
    int64_t extent[SN_RANK_MAX];
    SN_TRY(sn_eval_extents(in, n->type[i], extent));
    SN_TRY(sn_eval_tensor(&e, n->type[i]->elem, n->type[i]->rank, extent, &e.out[i]));
  }
  SN_TRY(rule_of(n->op)(&e));
  if (!leaf && !body) lose_infinities(&e);
  if (in->round && !leaf && !body) round_results(&e);
  if (in->on_node) in->on_node(in->user, f, n, e.out);
  return in->find_nonfinite ? check_finite(&e) : SN_OK;
}

static sn_code run(sn_interp *in, const sn_func *f, int arg_count, sn_tensor *const *args, sn_tensor ***out) {
  if (in->depth >= DEPTH_MAX)
    return sn_fail(in->diags, SN_ERR_LIMIT, (sn_loc){0}, "bodies nest deeper than %d in `%s`", DEPTH_MAX, f->name);
  sn_tensor **values = SN_ARRAY(in->arena, f->value_count, sn_tensor *);
  sn_code code = SN_OK;
  in->depth++;
  for (int i = 0; i < f->node_count && !code; i++) code = eval_node(in, f, f->node[i], values, arg_count, args);
  in->depth--;
  if (!code) *out = values;
  return code;
}

sn_code sn_interp_run(sn_interp *in, const sn_func *f, sn_tensor ***values) { return run(in, f, 0, NULL, values); }

/* An argument with a bound array, when bounds are computed. */
static sn_tensor *with_bound(sn_interp *in, sn_tensor *t) {
  if (in->no_bounds || in->round || t->bound) return t;
  sn_tensor *copy = sn_arena_copy(in->arena, t, sizeof *t);
  copy->bound = SN_ARRAY(in->arena, t->count + 1, double);
  return copy;
}

sn_code sn_interp_call(sn_interp *in, const sn_func *body, int arg_count, sn_tensor *const *args, sn_tensor **results) {
  sn_tensor **values, **given = SN_ARRAY(in->arena, arg_count, sn_tensor *);
  for (int i = 0; i < arg_count; i++) given[i] = with_bound(in, args[i]);
  SN_TRY(run(in, body, arg_count, given, &values));
  for (int i = 0; i < body->result_count; i++) results[i] = values[body->result[i]];
  return SN_OK;
}
