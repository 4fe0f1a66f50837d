/* Operands that are needed next, asked for while a product runs. What a processor waits for from memory is few lines at
 * a time; spread over the microkernels of a product they cost little. Three forms:
 *
 *   the next stretch of k, which will be copied     lines below each other: rows run along k
 *   the next instance's rows of a                   lines side by side; long rows the processor fetches by itself
 *   what follows a panel of b that is read in place one piece of memory, a share of it for every block of rows
 *
 * A microkernel asks for `at_once` lines with every four of its steps. The first form is cut into jobs, a line of 64,
 * 128 or 256 rows each; first those of the columns of b that the microkernel's chunk has, then a share of those of a;
 * block r of rows does job r. In the second form a microkernel asks for some whole rows, turn by turn. Where all that
 * follows a panel is asked for, its own lines need no prefetch: they are in the second level cache. */
#include "backends/llvm/mma.h"

enum { LINE = 64, STEPS = 64, MOST_AT_ONCE = 4, LONG_ROW = 4096 };

static int bytes_of(sn_elem e) { return (int)sn_elem_bytes(e); }
static int ceil_div(int a, int b) { return (a + b - 1) / b; }

/* ---- the next stretch of k ------------------------------------------------------------------------------ */

typedef struct jobs {
  int parts;       /* jobs in a line's rows */
  int b, a, a_all; /* jobs for b; for a, of one chunk and of all */
} jobs;

static jobs divide(const cg_product *p, int columns, int chunks, int blocks, int *at_once) {
  jobs j = {0};
  int a = p->next_a.p ? ceil_div(p->m * bytes_of(p->a.elem), LINE) : 0;
  int b = p->next_b.p ? ceil_div(columns * bytes_of(p->b.elem), LINE) : 0;
  for (*at_once = 1;; *at_once *= 2) {
    j.parts = MOST_AT_ONCE / *at_once;
    j.b = b * j.parts, j.a_all = a * j.parts, j.a = ceil_div(j.a_all, chunks);
    if (j.b + j.a <= blocks || *at_once == MOST_AT_ONCE) return j;
  }
}

static ll_v clamp(ll *g, ll_v x, int most) { return ll_imax(g, ll_imin(g, x, ll_i(g, most)), ll_i(g, 0)); }

/* where a job of an operand begins; ld in bytes */
static ll_v start(ll *g, ll_v p, ll_v job, int parts, int rows, ll_v ld) {
  ll_v line = LLVMBuildUDiv(g->b, job, ll_i(g, parts), ""), part = ll_sub(g, job, ll_mul(g, line, ll_i(g, parts)));
  ll_v down = ll_mul(g, part, ll_mul(g, ld, ll_i(g, rows)));
  return ll_gep(g, p, ll_add(g, down, ll_mul(g, line, ll_i(g, LINE))));
}

static void next_stretch(const cg_product *p, int rows, int col, int columns, ll_v row, cg_next *out) {
  ll *g = &p->c->g;
  int width = cg_chunk_columns(p);
  jobs j = divide(p, columns, ceil_div(p->n, width), ceil_div(p->m, rows), &out->at_once);
  ll_v job = LLVMBuildUDiv(g->b, row, ll_i(g, rows), ""), is_b = ll_icmp(g, LLVMIntSLT, job, ll_i(g, j.b));
  if (p->next_a.p) {
    ll_v mine = ll_add(g, clamp(g, ll_sub(g, job, ll_i(g, j.b)), j.a - 1), ll_i(g, (int64_t)col / width * j.a));
    out->ld = ll_mul(g, p->next_a.ld, ll_i(g, bytes_of(p->a.elem)));
    out->from = start(g, p->next_a.p, clamp(g, mine, j.a_all - 1), j.parts, STEPS * out->at_once, out->ld);
  }
  if (!p->next_b.p) return;
  ll_v ld = ll_mul(g, p->next_b.ld, ll_i(g, bytes_of(p->b.elem)));
  ll_v at = ll_gep(g, p->next_b.p, ll_i(g, (int64_t)col * bytes_of(p->b.elem)));
  ll_v from = start(g, at, clamp(g, job, j.b - 1), j.parts, STEPS * out->at_once, ld);
  out->from = out->from ? ll_select(g, is_b, from, out->from) : from;
  out->ld = out->ld ? ll_select(g, is_b, ld, out->ld) : ld;
}

ll_v cg_rows_ahead_of(const cg_product *p, ll_v rows) {
  cg *c = p->c;
  ll_v next = cg_is_window(c, p->b.v) ? cg_to_next_turn(c, cg_ins(c, p->b.v)->a[1]) : NULL;
  return next ? next : ll_mul(&c->g, rows, p->pb.ld);
}

/* ---- the next rows --------------------------------------------------------------------------------------- */

/* does the window move down by its rows when the last grid dimension grows by one? */
static bool moves_down(const cg *c, const sn_kins *x) {
  int64_t ld, gain;
  for (sn_kv v = 1; v < c->k->ins_count; v++) {
    const sn_kins *gid = cg_ins(c, v);
    if (gid->op == SN_K_GID && gid->i == c->k->grid_count - 1 && sn_k_is_const(c->k, x->a[2], &ld) &&
        cg_gains(c->k, v, x->a[1], &gain))
      return gain == ld * x->type.r;
  }
  return false;
}

void cg_look_at_next_rows(cg_product *p) {
  cg *c = p->c;
  const cg_operand *a = &p->a;
  int bytes = bytes_of(a->elem);
  if (!a->in_place || a->mem_k_rows || a->slid || a->elem != p->elem_a || !cg_is_window(c, a->v)) return;
  if (p->k_most * bytes >= LONG_ROW || !moves_down(c, cg_ins(c, a->v))) return;
  p->next_a = a->mem;
  p->next_a.p = ll_gep(&c->g, a->mem.p, ll_mul(&c->g, a->mem.ld, ll_i(&c->g, (int64_t)p->m * bytes)));
}

static void next_rows(const cg_product *p, int rows, int col, ll_v row, cg_next *out) {
  ll *g = &p->c->g;
  int width = cg_chunk_columns(p), blocks = ceil_div(p->m, rows), calls = ceil_div(p->n, width) * blocks;
  out->turns = LINE / (4 * bytes_of(p->a.elem));
  out->at_once = ceil_div(ceil_div(p->m, calls), out->turns);
  if (out->at_once > MOST_AT_ONCE) out->at_once = MOST_AT_ONCE;
  int mine = out->turns * out->at_once;
  ll_v call = ll_add(g, LLVMBuildUDiv(g->b, row, ll_i(g, rows), ""), ll_i(g, (int64_t)col / width * blocks));
  out->ld = ll_mul(g, p->next_a.ld, ll_i(g, bytes_of(p->a.elem)));
  ll_v first = clamp(g, ll_mul(g, call, ll_i(g, mine)), p->m - mine);
  out->from = ll_gep(g, p->next_a.p, ll_mul(g, first, out->ld));
}

/* ---- the next panel ---------------------------------------------------------------------------------------- */

static void next_panel(const cg_product *p, int rows, int col, ll_v row, cg_next *out) {
  ll *g = &p->c->g;
  int width = cg_chunk_columns(p), blocks = ceil_div(p->m, rows), calls = ceil_div(p->n, width) * blocks;
  int64_t lines = p->next_depth * p->next_b.ld_const * bytes_of(p->b.elem) / LINE, groups = p->next_depth / 4;
  int64_t at_once = (lines + calls * groups - 1) / (calls * groups), mine;
  out->at_once = at_once < MOST_AT_ONCE ? (int)at_once : MOST_AT_ONCE;
  out->panel = at_once <= MOST_AT_ONCE;
  mine = out->at_once * groups;
  ll_v call = ll_add(g, LLVMBuildUDiv(g->b, row, ll_i(g, rows), ""), ll_i(g, (int64_t)col / width * blocks));
  ll_v first = ll_imin(g, ll_mul(g, call, ll_i(g, mine)), ll_i(g, lines > mine ? lines - mine : 0));
  out->ld = ll_i(g, LINE);
  out->from = ll_gep(g, p->next_b.p, ll_mul(g, first, ll_i(g, LINE)));
}

/* ---- the next panel of tiles ------------------------------------------------------------------------------ */

void cg_look_at_next_panel(cg_product *p) {
  cg *c = p->c;
  int d = c->k->grid_count - 2;
  int64_t ld, gain, panels;
  if (!p->pairs || d < 0 || !p->b.in_place || !cg_is_window(c, p->b.v)) return;
  const sn_kins *x = cg_ins(c, p->b.v);
  bool packed = sn_k_is_const(c->k, x->a[2], &ld) && ld == 2 * p->n;
  if (!packed || cg_dims_of(c, x->a[1], p->iv) != 1 << d) return;
  if (sn_k_is_const(c->k, c->k->grid[d], &panels) && panels == 1) return;
  for (sn_kv v = 1; v < c->k->ins_count; v++) {
    const sn_kins *gid = cg_ins(c, v);
    if (gid->op != SN_K_GID || gid->i != d || !cg_gains(c->k, v, x->a[1], &gain) || !gain) continue;
    p->next_b = p->b.mem;
    p->next_b.p = ll_gep(&c->g, p->b.mem.p, ll_i(&c->g, gain * bytes_of(p->b.elem)));
  }
}

/* Blocks of rows ask for one share after the other; those beyond the last for the last once more. */
ll_v cg_next_panel(const cg_product *p, int block_rows, ll_v row) {
  enum { STEP = 32 }; /* of tiles, along k */
  cg *c = p->c;
  ll *g = &c->g;
  int share = CG_PANEL_LINES * LINE / STEP, panel = p->n * bytes_of(p->b.elem); /* bytes for each k */
  ll_v instance = ll_mul(g, c->gid[c->k->grid_count - 1], ll_i(g, ceil_div(p->m, block_rows)));
  ll_v block = ll_add(g, instance, LLVMBuildUDiv(g->b, row, ll_i(g, block_rows), ""));
  ll_v first = clamp(g, ll_mul(g, block, ll_i(g, share)), panel > share ? panel - share : 0);
  return ll_gep(g, p->next_b.p, ll_mul(g, p->k, first));
}

cg_next cg_next_of(const cg_product *p, int rows, int col, int columns, ll_v row) {
  cg_next out = {.turns = 1};
  if (p->next_depth)
    next_panel(p, rows, col, row, &out);
  else if (p->next_a.p && !p->a.mem_k_rows)
    next_rows(p, rows, col, row, &out);
  else if (p->next_a.p || p->next_b.p)
    next_stretch(p, rows, col, columns, row, &out);
  return out;
}
