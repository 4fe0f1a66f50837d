/* Layers with parameters, noise, and the loss. */
#include "frontend/trace.h"

#include <math.h>
#include <string.h>

/* ---- linear ------------------------------------------------------------------------------------------------ */

static sn_t split_heads(sn_here h, sn_t x, int64_t heads) {
  static const char *const specs[] = {"(hd)->hd", "a(hd)->ahd", "ab(hd)->abhd", "abc(hd)->abchd"};
  int rank = sn_rank(x);
  if (rank < 1 || rank > 4) return x;
  return sn_rearrange_at(h, (sn_axes){.x = x, .spec = specs[rank - 1], .h = heads});
}

/* x [.., i] times w [i, o] -> [.., o] */
static sn_t times_matrix(sn_here h, sn_t x, sn_t w) {
  static const char *const specs[] = {"i,io->o", "ai,io->ao", "abi,io->abo", "abci,io->abco", "abcdi,io->abcdo"};
  const sn_arg both[2] = {{x}, {w}};
  return sn_einsum_at(h, specs[sn_rank(x) - 1], (sn_list){2, both});
}

static sn_t apply_hook(sn_here here, const sn_linear_args *a, sn_t y) {
  const sn_path *p = a->m.path;
  if (!p->hook || sn_is_poison(y)) return y;
  sn_scope at = sn_in_at(here, (sn_in_args){.m = a->m, .name = a->name});
  if (!sn_pattern_match(p->hook_on, at.path->name)) return y;
  sn_path *own = SN_NEW(at.fn->trace->arena, sn_path);
  *own = *at.path;
  own->frozen = false;
  own->hook = NULL;
  return p->hook((sn_scope){at.fn, own}, a->x, y, p->hook_opt);
}

sn_t sn_linear_at(sn_here here, bool bias, sn_linear_args a) {
  sn_call c = sn_call_in(here, a.m, 1, &a.x);
  const sn_type *t = sn_need(&c, a.x, "x");
  int64_t in = 0;
  if (!t) return sn_poison(&c);
  bool fits = t->rank >= 1 && t->rank <= 5 && sn_elem_is_float(t->elem) && sn_dimx_is_const(t->dim[t->rank - 1], &in);
  if (!fits || a.out < 1 || (a.heads && (a.heads < 1 || a.out % a.heads))) {
    if (!fits)
      sn_mistake(&c, "floats [.., in], in a number", sn_describe(&c, a.x, sn_spelled(&c, 2)), "x does not fit");
    else
      sn_mistake(&c, "a positive number, a multiple of .heads",
                 sn_texts(&c, "%lld, .heads = %lld", (long long)a.out, (long long)a.heads), "out does not fit");
    return sn_poison(&c);
  }
  sn_scope m = sn_in_at(here, (sn_in_args){.m = a.m, .name = a.name});
  sn_shape matrix = {2, {{sn_dim_of(in)}, {sn_dim_of(a.out)}}}, row = {1, {{sn_dim_of(a.out)}}};
  sn_t y = times_matrix(here, a.x, sn_param_at(here, m, "weight", matrix, (sn_leaf_opt){.init = a.init}));
  if (bias) y = sn_x_add(here, y, sn_param_at(here, m, "bias", row, (sn_leaf_opt){0}));
  if (a.heads) y = split_heads(here, y, a.heads);
  return apply_hook(here, &a, y);
}

/* ---- norms ----------------------------------------------------------------------------------------------------- */

sn_t sn_norm_at(sn_here here, const char *kind, sn_norm_args a) {
  bool centred = strcmp(kind, "rmsnorm") != 0, grouped = !strcmp(kind, "group_norm");
  int64_t extent = 0;
  sn_call c = sn_call_in(here, a.m, 1, &a.x);
  const sn_type *t = sn_need(&c, a.x, "x");
  if (!t) return sn_poison(&c);
  if (t->rank < 1 || !sn_elem_is_float(t->elem) || !sn_dimx_is_const(t->dim[t->rank - 1], &extent)) {
    sn_mistake(&c, "floats [.., D], D a number", sn_describe(&c, a.x, sn_spelled(&c, 2)), "x does not fit");
    return sn_poison(&c);
  }
  if (grouped && (a.groups < 1 || extent % a.groups)) {
    const char *found = sn_texts(&c, ".groups = %d for %s", a.groups, sn_describe(&c, a.x, sn_spelled(&c, 2)));
    sn_mistake(&c, sn_texts(&c, "a number that divides %lld", (long long)extent), found, "the groups do not fit");
    return sn_poison(&c);
  }
  sn_scope m = sn_in_at(here, (sn_in_args){.m = a.m, .name = a.name});
  sn_shape row = {1, {{sn_dim_from(c.trace, t->dim[t->rank - 1])}}};
  const sn_attr eps = {.set = true, .f = a.eps > 0 ? a.eps : centred ? 1e-5 : 1e-6};
  const sn_attr attr[2] = {grouped ? (sn_attr){.set = true, .i = a.groups} : eps, eps};
  sn_val v = sn_bring(&c, a.x, sn_spelled(&c, 2));
  sn_t y = sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, sn_op_find(kind), 1, &v, attr, NULL));
  if (!a.no_scale) y = sn_x_mul(here, y, sn_param_at(here, m, "weight", row, (sn_leaf_opt){.init = sn_fill(1)}));
  if (centred && !a.no_bias) y = sn_x_add(here, y, sn_param_at(here, m, "bias", row, (sn_leaf_opt){0}));
  return y;
}

sn_t sn_l2_norm_at(sn_here here, sn_t x, double eps) {
  sn_call c = sn_call_on(here, 1, &x);
  const sn_type *t = c.fn ? sn_need(&c, x, "x") : NULL;
  if (!t) return sn_poison(&c);
  if (t->rank < 1 || !sn_elem_is_float(t->elem) || !(eps >= 0)) {
    const char *found = sn_texts(&c, "%s, eps %g", sn_describe(&c, x, sn_spelled(&c, 0)), eps);
    sn_mistake(&c, "floats with an axis, eps from 0", found, "x does not fit");
    return sn_poison(&c);
  }
  const sn_attr attr = {.set = true, .f = eps};
  sn_val v = sn_bring(&c, x, sn_spelled(&c, 0));
  return sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_L2_NORM, 1, &v, &attr, NULL));
}

/* ---- noise ------------------------------------------------------------------------------------------------------- */

/* Random numbers of a stream in the function of the scope, f32. */
static sn_t noise(sn_call *c, sn_op op, sn_scope m, const char *name, int rank, const sn_dimx *const *dims) {
  for (const sn_fn *fn = c->trace->inner; fn; fn = fn->outer) {
    if (!fn->repeats) continue;
    sn_mistake(c, "numbers drawn outside, for every step, and given to the step as an input", "a stream inside a step",
               "every step would get the same random numbers");
    return sn_poison(c);
  }
  sn_t seed = sn_root_scalar(c->trace, c->here, "seed", SN_ELEM_I64, 0);
  sn_t step = sn_root_state(c->trace, c->here, "step", SN_ELEM_I32);
  sn_call at = *c;
  at.fn = m.fn;
  m.fn->b.failed = SN_OK;
  const sn_val arg[2] = {sn_bring(&at, seed, "seed"), sn_bring(&at, step, "step")};
  const sn_attr attr[2] = {{.set = true, .dims = dims, .count = rank},
                           {.set = true, .s = sn_join_name(c, m.path->star, name)}};
  return sn_result(&at, at.poison ? 0 : sn_emit(&m.fn->b, op, 2, arg, attr, NULL));
}

static bool check_stream(sn_call *c, const char *name) {
  if (name && *name) return true;
  sn_mistake(c, "a name for the stream", "none", "the noise has no name");
  return false;
}

sn_t sn_random_at(sn_here here, sn_scope m, const char *name, sn_noise kind, sn_shape shape) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  const sn_dimx *dims[SN_RANK_MAX];
  if (c.poison || !check_stream(&c, name) || !sn_shape_read(&c, shape, dims)) return sn_poison(&c);
  sn_t u = noise(&c, kind == SN_NORMAL ? SN_OP_NORMAL : SN_OP_UNIFORM, m, name, shape.rank, dims);
  return c.trace->real == SN_ELEM_F64 ? sn_cast_at(here, (sn_arg){u}, SN_REAL) : u;
}

/* 48 random bits an element: two of a million keys are equal with probability 0.002, and then keep their order. */
sn_t sn_permutation_at(sn_here here, sn_scope m, const char *name, sn_ext n) {
  sn_call c = sn_call_in(here, m, 0, NULL);
  const sn_dimx *dims[1];
  if (c.poison || !check_stream(&c, name) || !sn_shape_read(&c, (sn_shape){1, {n}}, dims)) return sn_poison(&c);
  sn_t key = sn_num(0);
  static const char *const part[2] = {"high", "low"};
  for (int i = 0; i < 2; i++) {
    sn_t u = noise(&c, SN_OP_UNIFORM, m, sn_texts(&c, "%s/%s", name, part[i]), 1, dims);
    sn_t bits = sn_cast_at(here, (sn_arg){sn_x_mul(here, u, sn_num(0x1p24))}, SN_I64);
    key = i ? sn_x_add(here, sn_x_mul(here, key, sn_num(0x1p24)), bits) : bits;
  }
  return sn_sort_at(here, (sn_sort_args){.x = key, .axis = 0}).positions;
}

sn_t sn_dropout_at(sn_here here, sn_scope m, const char *name, sn_t x, double p) {
  sn_call c = sn_call_in(here, m, 1, &x);
  const sn_type *t = sn_need(&c, x, "x");
  if (!t) return sn_poison(&c);
  if (!(p >= 0 && p < 1) || !sn_elem_is_float(t->elem)) {
    sn_mistake(&c, "floats, and 0 <= p < 1", sn_texts(&c, "%s, p = %g", sn_describe(&c, x, sn_spelled(&c, 2)), p),
               "operands do not fit");
    return sn_poison(&c);
  }
  if (!m.path->train || p == 0) return x;
  if (!check_stream(&c, name)) return sn_poison(&c);
  sn_t kept = sn_x_le(here, sn_num(p), noise(&c, SN_OP_UNIFORM, m, name, t->rank, t->dim));
  return sn_x_where(here, kept, sn_x_mul(here, x, sn_num(1 / (1 - p))), sn_num(0));
}

/* ---- loss
 * ------------------------------------------------------------------------------------------------------------ */

static sn_t sum_all(sn_here h, sn_t x) {
  sn_call c = sn_call_on(h, 1, &x);
  sn_val v = sn_bring(&c, x, "");
  return sn_result(&c, sn_reduce_axes(&c, SN_OP_SUM, v, (1u << sn_rank(x)) - 1));
}

/* The number of elements of x as a value. */
static sn_t count_all(sn_t x) {
  sn_trace *t = x.fn->trace;
  return sn_dim_value(sn_dim_from(t, sn_type_count(t->module->types, sn_t_type(x))));
}

static bool same_rows(const sn_type *rows, const sn_type *t) {
  if (rows->rank != t->rank - 1) return false;
  for (int i = 0; i < rows->rank; i++) {
    if (rows->dim[i] != t->dim[i]) return false;
  }
  return true;
}

/* Mean of the rows; weight: a number (none), or one per row. */
static sn_t weighted_mean(sn_here here, sn_t rows, sn_t weight) {
  if (sn_is_poison(rows)) return rows;
  if (sn_is_number(weight)) return sn_rank(rows) ? sn_x_div(here, sum_all(here, rows), count_all(rows)) : rows;
  sn_dtype acc = sn_t_type(rows)->elem == SN_ELEM_F64 ? SN_F64 : SN_F32;
  sn_t w = sn_cast_at(here, (sn_arg){weight}, acc);
  return sn_x_div(here, sum_all(here, sn_x_mul(here, rows, w)), sum_all(here, w));
}

sn_t sn_cross_entropy_at(sn_here here, sn_ce_args a) {
  const sn_t x[3] = {a.logits, a.targets, a.weight};
  sn_call c = sn_call_on(here, 3, x);
  const sn_type *t = c.fn ? sn_need(&c, a.logits, "logits") : NULL;
  const sn_type *ids = t ? sn_need(&c, a.targets, "targets") : NULL;
  if (!ids) return sn_poison(&c);
  const sn_type *wt = sn_t_type(a.weight);
  bool weighted = !sn_is_number(a.weight);
  if (t->rank < 1 || !sn_elem_is_float(t->elem) || !sn_elem_is_int(ids->elem) || !same_rows(ids, t) ||
      (weighted && (!same_rows(wt, t) || wt->elem == SN_ELEM_BOOL))) {
    const char *found = sn_texts(&c, "%s\n%s", sn_describe(&c, a.logits, sn_spelled(&c, 0)),
                                 sn_describe(&c, a.targets, sn_spelled(&c, 1)));
    if (weighted) found = sn_texts(&c, "%s\n%s", found, sn_describe(&c, a.weight, ".weight"));
    sn_mistake(&c, "logits [.., V], targets i32[..], .weight [..]", found, "operands do not fit");
    return sn_poison(&c);
  }
  if (!(a.smooth >= 0 && a.smooth < 1)) {
    sn_mistake(&c, "0 <= .smooth < 1", sn_texts(&c, "%g", a.smooth), "the smoothing is out of range");
    return sn_poison(&c);
  }
  const sn_val arg[2] = {sn_bring(&c, a.logits, "logits"), sn_bring(&c, a.targets, "targets")};
  const sn_attr smooth = {.set = a.smooth > 0, .f = a.smooth};
  sn_t rows = sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_CROSS_ENTROPY, 2, arg, &smooth, NULL));
  return weighted_mean(here, rows, a.weight);
}

static const char *divergence_kind(sn_call *c, const char *wanted) {
  int count;
  const char *const *kind = sn_divergence_kinds(&count);
  for (int i = 0; i < count; i++)
    if (!strcmp(kind[i], wanted)) return kind[i];
  sn_mistake(c, "\"forward\", \"reverse\" or \"jsd\"", sn_texts(c, "\"%s\"", wanted), "no such divergence");
  return NULL;
}

/* The temperature as a value: 0 for 1, which is also the default. */
static sn_val temperature_value(sn_call *c, const sn_divergence_args *a, sn_elem e) {
  const sn_type *t = sn_t_type(a->temperature);
  if (sn_is_number(a->temperature)) {
    double x = a->temperature.u.num;
    if (!(x >= 0)) sn_mistake(c, "a positive number", sn_texts(c, "%g", x), "the temperature is out of range");
    return x == 0 || x == 1 ? 0 : sn_g_const(&c->fn->b, sn_type_scalar(sn_types_of(c), e), x);
  }
  if (!t || t->rank || !sn_elem_is_float(t->elem)) {
    sn_mistake(c, "a number or a real scalar", sn_describe(c, a->temperature, ".temperature"),
               "the temperature does not fit");
    return 0;
  }
  return sn_bring(c, a->temperature, ".temperature");
}

sn_t sn_divergence_at(sn_here here, sn_divergence_args a) {
  const sn_t x[4] = {a.logits, a.reference, a.temperature, a.weight};
  sn_call c = sn_call_on(here, 4, x);
  const sn_type *t = c.fn ? sn_need(&c, a.logits, "logits") : NULL;
  const sn_type *r = t ? sn_need(&c, a.reference, "reference") : NULL, *w = sn_t_type(a.weight);
  if (!r) return sn_poison(&c);
  bool weighted = !sn_is_number(a.weight);
  if (t->rank < 1 || !sn_elem_is_float(t->elem) || r != t ||
      (weighted && (!same_rows(w, t) || w->elem == SN_ELEM_BOOL))) {
    const char *found = sn_texts(&c, "%s\n%s", sn_describe(&c, a.logits, sn_spelled(&c, 0)),
                                 sn_describe(&c, a.reference, sn_spelled(&c, 1)));
    if (weighted) found = sn_texts(&c, "%s\n%s", found, sn_describe(&c, a.weight, ".weight"));
    sn_mistake(&c, "logits and reference [.., V] of one type, .weight [..]", found, "operands do not fit");
    return sn_poison(&c);
  }
  const char *kind = divergence_kind(&c, a.kind ? a.kind : "forward");
  sn_val temperature = temperature_value(&c, &a, t->elem);
  if (c.poison) return sn_poison(&c);
  sn_val student = sn_bring(&c, a.logits, "logits"), teacher = sn_bring(&c, a.reference, "reference");
  sn_val rows = c.poison ? 0 : sn_g_distil(&c.fn->b, kind, student, teacher, temperature);
  return weighted_mean(here, sn_result(&c, rows), a.weight);
}
