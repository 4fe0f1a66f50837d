/* Caches in pages: a pool of pages that sequences share, and a table of the pages of each. Position p of sequence b
 * lies in row p mod page of page table[b, p / page]. Tables should not give one row to two positions that are written:
 * the last of them counts.
 *   1. the row of the pool for every position that is written        [B T]
 *   2. the pool with those rows                                      [pool page, ..]
 *   3. the pages of each sequence, side by side                      [B, N, ..]; attention takes the table (pages.c) */
#include "frontend/trace.h"

typedef struct paged {
  sn_call *c;
  sn_here here;
  sn_build *b;
  const sn_type *x;                   /* of what is written [B, T, ..] */
  const sn_dimx *pool, *page, *table; /* pages, rows of one, pages of a sequence */
} paged;

static sn_types *types_of(const paged *p) { return sn_types_of(p->c); }

/* x with its first axes, `from` of them, replaced by others. */
static sn_val front(const paged *p, sn_val x, int from, int count, const sn_dimx *const *dims) {
  const sn_type *t = sn_g_type(p->b, x);
  const sn_dimx *dim[SN_RANK_MAX];
  int n = 0;
  for (int i = 0; i < count; i++) dim[n++] = dims[i];
  for (int i = from; i < t->rank; i++) dim[n++] = t->dim[i];
  return sn_g_reshape(p->b, x, n, dim);
}

static sn_val gather(const paged *p, sn_val table, sn_val rows) {
  const sn_val arg[2] = {table, rows};
  return sn_emit(p->b, SN_OP_GATHER, 2, arg, NULL, NULL);
}

/* 1. */
static sn_val rows_written(const paged *p, sn_scope m, sn_t x, sn_t table) {
  sn_t pos = sn_positions_at(p->here, m, x), batch, page = sn_num((double)sn_dimx_max_value(p->page));
  const sn_type *column = sn_type_of(types_of(p), SN_ELEM_I32, 1, &p->x->dim[0]);
  batch = sn_rearrange_at(p->here, (sn_axes){.x = sn_result(p->c, sn_g_iota(p->b, column, 0)), .spec = "b->b1"});
  sn_t nth = sn_op2(p->here, "floordiv", (sn_arg){pos}, (sn_arg){page});
  sn_t at = sn_index_at(p->here, table, (sn_list){2, (const sn_arg[]){{batch}, {nth}}});
  sn_t row = sn_x_add(p->here, sn_x_mul(p->here, at, page), sn_x_mod(p->here, pos, page));
  sn_val v = sn_bring(p->c, row, "");
  const sn_dimx *all = sn_dimx_mul(types_of(p), p->x->dim[0], p->x->dim[1]);
  return p->c->poison ? 0 : sn_g_reshape(p->b, v, 1, &all);
}

/* 2. */
static sn_val written(const paged *p, sn_val old, sn_val x, sn_val rows) {
  const sn_val arg[3] = {old, front(p, x, 2, 1, sn_g_type(p->b, rows)->dim), rows};
  const sn_attr axis[2] = {{.set = true, .i = 0}};
  return sn_emit(p->b, SN_OP_DYN_WRITE, 3, arg, axis, NULL);
}

/* 3. */
static sn_val side_by_side(const paged *p, sn_val pool, sn_val table) {
  const sn_dimx *all = sn_dimx_mul(types_of(p), p->x->dim[0], p->table), *pages[2] = {p->pool, p->page};
  const sn_dimx *rows[2] = {p->x->dim[0], sn_dimx_mul(types_of(p), p->table, p->page)};
  pool = front(p, pool, 1, 2, pages);
  return front(p, gather(p, pool, sn_g_reshape(p->b, table, 1, &all)), 2, 2, rows);
}

static bool read_sizes(paged *p, const sn_cache_args *a) {
  const sn_type *t = sn_t_type(a->table);
  int64_t pages = 0, rows = a->m.path->cache;
  bool fits = t && t->elem == SN_ELEM_I32 && t->rank == 2 && t->dim[0] == p->x->dim[0] &&
              sn_dimx_is_const(t->dim[1], &pages) && pages > 0 && rows % pages == 0 && a->pool > 0 && !a->ring;
  if (!fits) {
    const char *want =
        sn_texts(p->c, "i32[%s, n], where n divides the %lld positions of the cache; .pool pages; no ring",
                 sn_dim_text(p->c, p->x->dim[0]), (long long)rows);
    const char *found = sn_texts(p->c, "%s; .pool %lld", sn_describe(p->c, a->table, ".table"), (long long)a->pool);
    sn_mistake(p->c, want, found, "the table of pages does not fit");
    return false;
  }
  p->table = t->dim[1], p->pool = sn_dimx_const(types_of(p), a->pool);
  p->page = sn_dimx_const(types_of(p), rows / pages);
  return true;
}

sn_t sn_paged_cache(sn_call *c, const sn_cache_args *a) {
  paged p = {.c = c, .here = c->here, .b = &c->fn->b, .x = sn_t_type(a->x)};
  if (!read_sizes(&p, a)) return sn_poison(c);
  const sn_dimx *dim[SN_RANK_MAX] = {sn_dimx_mul(types_of(&p), p.pool, p.page)};
  for (int i = 2; i < p.x->rank; i++) dim[i - 1] = p.x->dim[i];
  const sn_type *pool = sn_type_of(types_of(&p), p.x->elem, p.x->rank - 1, dim);
  sn_t old = sn_leaf(c, SN_OP_STATE, a->m, a->name, pool, (sn_init){0});
  sn_val rows = sn_is_poison(old) ? 0 : rows_written(&p, a->m, a->x, a->table);
  if (!rows) return sn_poison(c);
  sn_val x = sn_bring(c, a->x, sn_spelled(c, 2)), table = sn_bring(c, a->table, ".table");
  if (c->poison) return sn_poison(c);
  sn_t next = sn_result(c, written(&p, sn_bring(c, old, ""), x, rows));
  next = sn_is_poison(next) ? next : sn_update_at(p.here, old, (sn_arg){next});
  return sn_is_poison(next) ? next : sn_result(c, side_by_side(&p, sn_bring(c, next, ""), table));
}
