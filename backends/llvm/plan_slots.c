/* Residence: which values need a slot, which values share one, and where slots lie in the workspace.
 *
 * 1. uses: a value read outside of its cluster needs a slot; reads that are not element by element are "unaligned"
 * 2. sharing: a product with its accumulator, an elementwise result with a dying operand of its shape, loop values with
 * each other
 * 3. placing: first fit over the lifetimes of the classes */
#include "backends/llvm/plan.h"

static const sn_kins *ins(const cg_plan *p, sn_kv v) { return &p->k->ins[v]; }

/* ---- uses ------------------------------------------------------------------------------------------- */

static void note_use(cg_plan *p, sn_kv v, int block, int when) {
  for (int b = block; b >= 0 && b != p->in[v]; b = p->block[b].parent) when = p->block[b].end;
  if (when > p->use[v]) p->use[v] = when;
}

static void use_operands(cg_plan *p, int block, sn_kv v, int when, bool in_cluster) {
  sn_kv d[SN_K_ARGS];
  int n = cg_deps(p, v, d);
  const sn_kins *x = ins(p, v);
  for (int j = 0; j < n; j++) {
    bool operand = x->op == SN_K_MMA && cg_source(p, x->a[0]) != d[j];
    bool both = x->op == SN_K_MMA && (cg_source(p, x->a[1]) == d[j] || cg_source(p, x->a[2]) == d[j]);
    note_use(p, d[j], block, when + (x->op == SN_K_TRANS || operand || both));
    if (!in_cluster || p->member[d[j]] == 0 || p->member[d[j]] != p->member[v]) p->slot[d[j]] = true;
  }
}

static void collect_step(cg_plan *p, int block, const cg_step *s) {
  for (int q = 0; q < s->count; q++) {
    const sn_kins *x = ins(p, s->ops[q]);
    use_operands(p, block, s->ops[q], p->at[s->ops[q]], true);
    if (cg_is_reduce(x) && x->i == 0) p->slot[s->ops[q]] = true;
  }
  if (s->kind == CG_ROWS) return;
  use_operands(p, block, s->v, p->at[s->v], false);
  if (s->kind == CG_MMA || s->kind == CG_TRANS) p->slot[s->v] = true;
  for (int q = 0; q < SN_K_YIELDS; q++) {
    if (ins(p, s->v)->in[q]) p->slot[ins(p, s->v)->in[q]] = true;
    if (ins(p, s->v)->out[q]) p->slot[ins(p, s->v)->out[q]] = true;
  }
}

static void collect_uses(cg_plan *p) {
  for (int j = 0; j < p->block_count; j++) {
    cg_block *bp = &p->block[j];
    for (int s = 0; s < bp->count; s++) collect_step(p, j, &bp->step[s]);
    for (int q = 0; q < bp->b->yield_count; q++) {
      sn_kv y = cg_source(p, bp->b->yield[q]);
      if (p->virt[y]) continue;
      note_use(p, y, j, bp->end);
      p->slot[y] = true;
    }
  }
}

/* ---- sharing ---------------------------------------------------------------------------------------- */

/* one slot for both when the later class begins no earlier than the last use of the other */
static void try_share(cg_plan *p, sn_kv early, sn_kv late) {
  if (p->virt[early] || p->virt[late]) return;
  int a = cg_root(p, early), b = cg_root(p, late);
  sn_ktype ta = ins(p, early)->type, tb = ins(p, late)->type;
  if (a == b || ta.r != tb.r || ta.c != tb.c || sn_elem_bytes(ta.elem) != sn_elem_bytes(tb.elem)) return;
  if (p->use[a] > p->def[b]) return;
  p->root[b] = a;
  if (p->use[b] > p->use[a]) p->use[a] = p->use[b];
}

static void share_in_step(cg_plan *p, int block, const cg_step *s) {
  if (s->kind == CG_MMA) {
    sn_kv acc = cg_source(p, ins(p, s->v)->a[0]);
    if (p->in[acc] == block) try_share(p, acc, s->v);
  }
  if (s->wide && s->last_phase > 0) return; /* an operand may be read again in a later phase */
  for (int q = 0; q < s->count; q++) {
    sn_kv v = s->ops[q], d[SN_K_ARGS];
    if (!p->slot[v] || !cg_is_elementwise(ins(p, v)->op)) continue;
    int n = cg_deps(p, v, d);
    for (int j = 0; j < n; j++)
      if (p->slot[d[j]] && p->in[d[j]] == block && p->at[d[j]] < p->at[v] && cg_root(p, v) == v) try_share(p, d[j], v);
  }
}

static void share_in_loop(cg_plan *p, int block, const cg_step *s) {
  const sn_kins *x = ins(p, s->v);
  const sn_kblock *b = x->body[0];
  int body = (int)(cg_block_of(p, b) - p->block);
  for (int j = 0; j < b->yield_count; j++) {
    sn_kv y = cg_source(p, b->yield[j]), init = cg_source(p, x->a[3 + j]);
    if (!p->virt[y] && p->in[y] == body) try_share(p, x->in[j], y);
    try_share(p, x->in[j], x->out[j]);
    if (!p->virt[init] && p->in[init] == block) try_share(p, init, x->in[j]);
  }
}

static void share(cg_plan *p) {
  for (int pass = 0; pass < 2; pass++)
    for (int j = p->block_count - 1; j >= 0; j--)
      for (int s = 0; s < p->block[j].count; s++) {
        const cg_step *st = &p->block[j].step[s];
        if (pass == 0)
          share_in_step(p, j, st);
        else if (st->kind == CG_FOR)
          share_in_loop(p, j, st);
      }
}

/* ---- placing ---------------------------------------------------------------------------------------- */

static void widen(cg_plan *p, sn_kv v, int from, int to) {
  int r = cg_root(p, v);
  if (from < p->def[r]) p->def[r] = from;
  if (to > p->use[r]) p->use[r] = to;
}

/* a carried value lives from before the loop until its result has been copied; results of a branch from its start */
static void widen_control(cg_plan *p) {
  for (int j = 0; j < p->block_count; j++)
    for (int s = 0; s < p->block[j].count; s++) {
      const cg_step *st = &p->block[j].step[s];
      if (st->kind != CG_FOR && st->kind != CG_IF) continue;
      const sn_kins *x = ins(p, st->v);
      int after = cg_block_of(p, x->body[0])->end + 2;
      for (int q = 0; q < SN_K_YIELDS; q++) {
        if (x->in[q]) widen(p, x->in[q], p->at[st->v], after);
        if (x->out[q]) widen(p, x->out[q], p->at[x->out[q]], p->at[x->out[q]]);
      }
    }
}

typedef struct class {
  sn_kv root;
  int64_t bytes;
} class;

static bool overlap(const cg_plan *p, sn_kv a, sn_kv b) { return p->def[a] <= p->use[b] && p->def[b] <= p->use[a]; }

/* lowest offset at which `bytes` fit beside the placed classes that live at the same time */
static int64_t first_fit(const cg_plan *p, const class *placed, int count, class c) {
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int j = 0; j < count; j++) {
      int64_t lo = p->offset[placed[j].root], hi = lo + placed[j].bytes;
      if (!overlap(p, placed[j].root, c.root) || at + c.bytes <= lo || at >= hi) continue;
      at = hi;
      moved = true;
    }
  }
  return at;
}

static void place(cg_plan *p) {
  class *placed = SN_ARRAY(p->arena, p->k->ins_count, class);
  bool *has_slot = SN_ARRAY(p->arena, p->k->ins_count, bool);
  int count = 0;
  for (sn_kv v = 1; v < p->k->ins_count; v++)
    if (p->slot[v] && !p->virt[v]) has_slot[cg_root(p, v)] = true;
  for (sn_kv v = 1; v < p->k->ins_count; v++) {
    if (!has_slot[v]) continue;
    class c = {v, cg_slot_bytes(p, ins(p, v)->type)};
    p->offset[v] = first_fit(p, placed, count, c);
    placed[count++] = c;
    if (p->offset[v] + c.bytes > p->bytes) p->bytes = p->offset[v] + c.bytes;
  }
}

void cg_place_slots(cg_plan *p) {
  for (sn_kv v = 1; v < p->k->ins_count; v++) p->def[v] = p->use[v] = p->at[v];
  collect_uses(p);
  share(p);
  widen_control(p);
  place(p);
}
