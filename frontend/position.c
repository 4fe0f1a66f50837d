/* Positions and what is kept of them: caches of past rows, absolute positions. */
#include "frontend/trace.h"

#include <math.h>

/* ---- caches ---------------------------------------------------------------------------------------------- */

sn_val sn_start_value(sn_call *c, sn_t start) {
  return sn_as(c, start, sn_is_number(start) ? sn_type_scalar(sn_types_of(c), SN_ELEM_I32) : sn_t_type(start),
               ".start");
}

static const sn_type *cache_type(sn_call *c, const sn_type *t, int64_t rows) {
  const sn_dimx *dim[SN_RANK_MAX];
  for (int i = 0; i < t->rank; i++) dim[i] = i == 1 ? sn_dimx_const(sn_types_of(c), rows) : t->dim[i];
  return sn_type_of(sn_types_of(c), t->elem, t->rank, dim);
}

sn_t sn_cache_at(sn_here here, sn_cache_args a) {
  sn_call c = sn_call_in(here, a.m, 1, &a.x);
  const sn_path *p = a.m.path;
  const sn_type *t = sn_need(&c, a.x, "x");
  if (!t || sn_is_poison(a.table)) return sn_poison(&c);
  if (a.pool && !a.table.fn) {
    sn_mistake(&c, ".table, the pages of each sequence", sn_texts(&c, ".pool %lld alone", (long long)a.pool),
               "a pool of pages without a table");
    return sn_poison(&c);
  }
  if (!p->cache) return a.x;
  if (t->rank < 2 || sn_dimx_max_value(t->dim[1]) > p->cache) {
    sn_mistake(&c, sn_texts(&c, "[B, T, ..] with T up to %lld, the rows of the cache", (long long)p->cache),
               sn_describe(&c, a.x, sn_spelled(&c, 2)), "more rows than the cache keeps");
    return sn_poison(&c);
  }
  const sn_fact fact = {.cache = p->cache, .ring = a.ring, .start = p->start, .rows = t->dim[1]};
  if (a.table.fn) {
    sn_t all = sn_paged_cache(&c, &a);
    if (!sn_is_poison(all)) *sn_fact_of(all.fn, (sn_val)all.u.id, true) = fact;
    return all;
  }
  sn_t old = sn_leaf(&c, SN_OP_STATE, a.m, a.name, cache_type(&c, t, p->cache), (sn_init){0});
  if (sn_is_poison(old)) return old;
  const sn_val arg[3] = {sn_bring(&c, old, ""), sn_bring(&c, a.x, sn_spelled(&c, 2)), sn_start_value(&c, p->start)};
  const sn_attr attr[2] = {{.set = true, .i = 1}, {.set = a.ring, .i = a.ring}};
  sn_t next = sn_result(&c, c.poison ? 0 : sn_emit(&c.fn->b, SN_OP_DYN_WRITE, 3, arg, attr, NULL));
  if (sn_is_poison(next)) return next;
  *sn_fact_of(next.fn, (sn_val)next.u.id, true) = fact;
  return sn_update_at(here, old, (sn_arg){next});
}

/* What the rows of earlier runs leave for the first rows of x: state, or zeros at the beginning. -> [B, rows + T, C] */
static sn_t with_last_rows(sn_here h, sn_call *c, sn_scope m, sn_t x, int64_t rows) {
  const sn_type *t = sn_t_type(x);
  sn_t start = m.path->start, old = sn_leaf(c, SN_OP_STATE, m, "last", cache_type(c, t, rows), (sn_init){0});
  if (!sn_is_number(start) && sn_rank(start) == 1) start = sn_rearrange_at(h, (sn_axes){.x = start, .spec = "b->b11"});
  sn_t kept =
      sn_is_number(start) && start.u.num > 0 ? old : sn_x_where(h, sn_x_lt(h, sn_num(0), start), old, sn_num(0));
  sn_t joined = sn_concat_at(h, 1, (sn_list){2, (const sn_arg[]){{kept}, {x}}});
  if (sn_is_poison(joined)) return joined;
  sn_val next = sn_g_slice_axis(&c->fn->b, sn_bring(c, joined, ""), 1, t->dim[1], sn_dimx_const(sn_types_of(c), rows));
  sn_update_at(h, old, (sn_arg){sn_result(c, next)});
  return joined;
}

sn_t sn_conv_at(sn_here here, sn_conv_args a) {
  sn_call c = sn_call_in(here, a.m, 1, &a.x);
  const sn_type *t = sn_need(&c, a.x, "x");
  int64_t n = 0;
  if (!t) return sn_poison(&c);
  bool fits = t->rank == 3 && sn_elem_is_float(t->elem) && sn_dimx_is_const(t->dim[2], &n);
  if (!fits || a.width < 1 || a.width > 256) {
    sn_mistake(&c, "floats [B, T, C], C a number, and a width of 1 to 256",
               sn_texts(&c, "%s, width %lld", sn_describe(&c, a.x, sn_spelled(&c, 2)), (long long)a.width),
               "operands do not fit");
    return sn_poison(&c);
  }
  sn_scope m = sn_in_at(here, (sn_in_args){.m = a.m, .name = a.name});
  sn_shape taps = {3, {{sn_dim_of(a.width)}, {sn_dim_of(1)}, {sn_dim_of(n)}}}, row = {1, {{sn_dim_of(n)}}};
  if (!a.init.kind) a.init = (sn_init){SN_INIT_UNIFORM, 1 / sqrt((double)a.width)};
  sn_t w = sn_param_at(here, m, "weight", taps, (sn_leaf_opt){.init = a.init}), x = a.x;
  bool cached = a.m.path->cache && a.width > 1;
  if (cached) x = with_last_rows(here, &c, m, x, a.width - 1);
  sn_t y = sn_conv1d_at(here, (sn_conv1d_args){.x = x, .w = w, .groups = n, .causal = !cached});
  return a.no_bias ? y : sn_x_add(here, y, sn_param_at(here, m, "bias", row, (sn_leaf_opt){0}));
}

sn_t sn_positions_at(sn_here here, sn_scope m, sn_t x) {
  sn_call c = sn_call_in(here, m, 1, &x);
  const sn_type *t = sn_need(&c, x, sn_spelled(&c, 1));
  if (!t) return sn_poison(&c);
  if (t->rank < 2) {
    sn_mistake(&c, "[B, T, ..]", sn_describe(&c, x, sn_spelled(&c, 1)), "there is no axis of positions");
    return sn_poison(&c);
  }
  sn_types *types = sn_types_of(&c);
  sn_t start = m.path->start;
  c.fn = m.fn;
  m.fn->b.failed = SN_OK;
  m.fn->loc = (sn_loc){.file = here.file, .line = here.line, .text = here.text};
  sn_t row = sn_result(&c, sn_g_iota(&c.fn->b, sn_type_of(types, SN_ELEM_I32, 1, &t->dim[1]), 0));
  if (!sn_is_number(start) && sn_rank(start) == 1) { /* [B] + [T] -> [B, T] */
    sn_axes column = {.x = start, .spec = "b->b1"};
    row = sn_x_add(here, sn_rearrange_at(here, column), row);
  } else if (!sn_is_number(start) || start.u.num != 0) {
    row = sn_x_add(here, row, start);
  }
  if (!sn_is_poison(row)) sn_fact_of(row.fn, (sn_val)row.u.id, true)->positions = t->dim[1];
  return row;
}
