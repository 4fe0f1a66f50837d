/* Operands that slide along a loop, copied once for many readers. Where rows lie far apart they meet in few cache sets,
 * and each has a page of its own. When the same rows are read again, by the next instances (the keys and values of a
 * head, for every block of queries) or by another loop around or inside, the first reader of a call brings them side by
 * side, and all read them there. Row i of the copy is the row at loop value i; which rows are there is one interval.
 *
 *   for i = 0 to n step 64 { .. mma .., load x[base + i*768 : 768, 1] .. }     base: of outer grid dimensions */
#include "backends/llvm/mma.h"

enum { FAR_BYTES = 1024, MOST_BYTES = 2 << 20, STATE_BYTES = 16, LEAST_STEPS = 8 };

typedef struct cg_slide {
  sn_kv load, iv;      /* the window that was found first and its loop variable */
  int free;            /* the first grid dimension that does not matter */
  int ld;              /* elements of a row of the copy */
  int64_t count;       /* rows that there is room for: the most of all loops that read it */
  int64_t state, rows; /* offsets in the kept workspace: the interval, its rows */
} cg_slide;

struct cg_slides {
  cg_slide *at;
  int count, capacity;
  int *of; /* per value: number of its slide from 1, 0: none */
  sn_kv *iv;
};

static int64_t bytes_of(const sn_kins *x) { return (int64_t)sn_elem_bytes(x->type.elem); }

/* ---- which windows ---------------------------------------------------------------------------------------------- */

/* Are these index values equal when one loop variable stands for the other? */
static bool same_but_iv(const sn_kernel *k, sn_kv a, sn_kv a_iv, sn_kv b, sn_kv b_iv) {
  if (a == a_iv || b == b_iv) return a == a_iv && b == b_iv;
  if (a == b) return true;
  const sn_kins *x = sn_k_ins(k, a), *y = sn_k_ins(k, b);
  if (x->op != y->op || x->count != y->count || x->count == 0 || x->i != y->i) return false;
  for (int j = 0; j < x->count; j++)
    if (!same_but_iv(k, x->a[j], a_iv, y->a[j], b_iv)) return false;
  return true;
}

/* rows of the copy when the window is worth one, else 0 */
static int64_t rows_of_copy(const cg *c, const sn_kins *loop, const sn_kins *x) {
  int64_t stride, one, step, lo, hi, least, most;
  bool strided = sn_k_is_const(c->k, x->a[2], &stride) && sn_k_is_const(c->k, x->a[3], &one) && one == 1;
  if (!strided || stride * bytes_of(x) < FAR_BYTES || stride == x->type.c || x->f != 0) return 0;
  if (x->a[5] && !cg_limit_holds(c, x->a[5], x->type.c)) return 0;
  if (!sn_k_is_const(c->k, loop->a[2], &step) || step != x->type.r) return 0;
  sn_k_bounds(c->k, loop->a[0], &lo, &most);
  sn_k_bounds(c->k, loop->a[1], &least, &hi);
  if (lo < 0 || hi == INT64_MAX || hi < LEAST_STEPS * step) return 0;
  if (!cg_moves_along(c->k, loop->iv, step, x->a[1], x->a[2])) return 0;
  return (hi - 1) / step * step + 2 * step;
}

static bool same_rows(const cg *c, const cg_slide *s, sn_kv v, sn_kv iv) {
  const sn_kins *x = cg_ins(c, s->load), *y = cg_ins(c, v);
  bool alike = x->a[0] == y->a[0] && x->a[2] == y->a[2] && x->type.r == y->type.r && x->type.c == y->type.c;
  return alike && same_but_iv(c->k, x->a[1], s->iv, y->a[1], iv);
}

/* The loop whose body a block is, NULL: none; *outer: the block that it stands in. */
static const sn_kins *loop_of(const cg *c, int block, int *outer) {
  *outer = c->p.block[block].parent;
  if (*outer < 0) return NULL;
  const cg_block *b = &c->p.block[*outer];
  for (int j = 0; j < b->count; j++)
    if (b->step[j].kind == CG_FOR && cg_ins(c, b->step[j].v)->body[0] == c->p.block[block].b)
      return cg_ins(c, b->step[j].v);
  return NULL;
}

/* again: is the window read several times before the loop goes on? */
static void add(cg *c, sn_kv v, const sn_kins *loop, bool again) {
  cg_slides *all = c->slides;
  const sn_kins *x = cg_ins(c, v);
  int64_t rows = all->of[v] ? 0 : rows_of_copy(c, loop, x), ld = cg_ld(&c->p, x->type);
  int dims = cg_dims_of(c, x->a[1], loop->iv) | (x->a[4] ? cg_dims_of(c, x->a[4], loop->iv) : 0);
  int free = cg_first_free(c, dims);
  if (!rows || rows * ld * bytes_of(x) > MOST_BYTES) return;
  if (dims == CG_ANY_DIM || (!again && cg_one_instance(c, free))) return;
  all->iv[v] = loop->iv;
  for (int j = 0; j < all->count && !all->of[v]; j++) {
    if (!same_rows(c, &all->at[j], v, loop->iv)) continue;
    if (rows > all->at[j].count) all->at[j].count = rows;
    all->of[v] = j + 1;
  }
  if (all->of[v]) return;
  SN_GROW(c->arena, all->at, all->count, all->capacity);
  cg_slide *s = &all->at[all->count++];
  *s = (cg_slide){.load = v, .iv = loop->iv, .free = free, .ld = (int)ld, .count = rows};
  all->of[v] = all->count;
}

/* by the innermost loop that moves the window; a loop around that reads it again */
static void add_operand(cg *c, sn_kv v, int block) {
  int outer, next;
  const sn_kins *loop = loop_of(c, block, &outer);
  for (bool inner = false; loop && !c->slides->of[v]; inner = true) {
    const sn_kins *around = loop_of(c, outer, &next);
    add(c, v, loop, inner || around);
    loop = around, outer = next;
  }
}

static void add_operands(cg *c, int block) {
  const cg_block *b = &c->p.block[block];
  for (int j = 0; j < b->count; j++) {
    if (b->step[j].kind != CG_MMA) continue;
    const sn_kins *x = cg_ins(c, b->step[j].v);
    for (int q = 1; q < 3 && !(x->i & SN_K_VNNI) && !cg_tile_product(c->k, x, &c->g.isa); q++) {
      sn_kv v = x->a[q];
      while (cg_ins(c, v)->op == SN_K_TRANS && c->p.virt[v]) v = cg_ins(c, v)->a[0];
      if (cg_is_window(c, v) && cg_type(c, v).elem == x->type.elem) add_operand(c, v, block);
    }
  }
}

void cg_slides_find(cg *c) {
  cg_slides *all = c->slides = SN_NEW(c->arena, cg_slides);
  all->of = SN_ARRAY(c->arena, c->k->ins_count, int), all->iv = SN_ARRAY(c->arena, c->k->ins_count, sn_kv);
  for (int j = 0; j < c->p.block_count; j++)
    for (int q = 0; q < c->p.block[j].count; q++) {
      const cg_step *s = &c->p.block[j].step[q];
      if (s->kind != CG_FOR || cg_is_product_loop(c, s)) continue;
      add_operands(c, (int)(cg_block_of(&c->p, cg_ins(c, s->v)->body[0]) - c->p.block));
    }
  for (int j = 0; j < all->count; j++) {
    cg_slide *s = &all->at[j];
    s->state = cg_keep_bytes(c, STATE_BYTES);
    s->rows = cg_keep_bytes(c, s->count * s->ld * bytes_of(cg_ins(c, s->load)));
  }
}

/* ---- code -------------------------------------------------------------------------------------------------------- */

static ll_v at(cg *c, int64_t offset) { return ll_gep(&c->g, c->kept, ll_i(&c->g, offset)); }

void cg_slides_begin(cg *c) {
  ll *g = &c->g;
  ll_branch br;
  for (int j = 0; j < c->slides->count; j++) {
    const cg_slide *s = &c->slides->at[j];
    ll_if(g, &br, cg_starts_over(c, s->free));
    for (int q = 0; q < 2; q++) ll_store(g, ll_i(g, 0), at(c, s->state + 8 * q), 8);
    ll_else(g, &br);
    ll_endif(g, &br);
  }
}

static ll_v row_at(cg *c, const cg_slide *s, ll_v row) {
  return ll_gep(&c->g, at(c, s->rows), ll_mul(&c->g, row, ll_i(&c->g, s->ld * bytes_of(cg_ins(c, s->load)))));
}

/* the interval grows by [row, end) when it touches it, else begins anew */
static void fill(cg *c, const cg_slide *s, sn_kv v, ll_v row, ll_v end, ll_v first, ll_v touches) {
  ll *g = &c->g;
  sn_ktype t = cg_type(c, v);
  cg_copy(c, v, row_at(c, s, row), s->ld, (cg_part){.rows = ll_sub(g, end, row), .cols = t.c, .elem = t.elem});
  ll_store(g, ll_select(g, touches, first, row), at(c, s->state), 8);
  ll_store(g, end, at(c, s->state + 8), 8);
}

bool cg_slid(cg *c, sn_kv v, cg_mat *out) {
  ll *g = &c->g;
  if (!c->slides->of[v]) return false;
  const cg_slide *s = &c->slides->at[c->slides->of[v] - 1];
  const sn_kins *x = cg_ins(c, v);
  ll_v row = c->iv[c->slides->iv[v]];
  *out = (cg_mat){row_at(c, s, row), ll_i(g, s->ld), s->ld};
  if (ll_recall(g, v)) return true;
  ll_v count = ll_i(g, x->type.r);
  if (x->a[4] && !cg_limit_holds(c, x->a[4], x->type.r)) count = cg_clamp(c, cg_index(c, x->a[4]), 0, x->type.r);
  ll_v end = ll_add(g, row, count), first = ll_load(g, g->i64, at(c, s->state), 8);
  ll_v last = ll_load(g, g->i64, at(c, s->state + 8), 8);
  ll_v touches = ll_and(g, ll_icmp(g, LLVMIntSLE, first, row), ll_icmp(g, LLVMIntSLE, row, last));
  ll_branch br;
  ll_if(g, &br, ll_and(g, touches, ll_icmp(g, LLVMIntSLE, end, last)));
  ll_else(g, &br);
  fill(c, s, v, row, end, first, touches);
  ll_endif(g, &br);
  ll_remember(g, v, row);
  return true;
}
