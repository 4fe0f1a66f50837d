/* kernel -> the same kernel, renumbered in program order, without what no store needs: unused instructions, carried
 * values, results, loops and scratch that nothing reads. Marking starts at stores and ends because marks are only set.
 */
#include "ir/kernel/internal.h"
#include "ir/kernel/rewrite.h"

typedef struct marker {
  const sn_kernel *k;
  unsigned char *live;
  sn_kv *parent; /* per listed instruction: the statement around it, 0: none */
  sn_kv *work;
  int work_count;
} marker;

static void mark(marker *m, sn_kv v) {
  if (!v || m->live[v]) return;
  m->live[v] = 1;
  m->work[m->work_count++] = v;
}

static void scan_block(marker *m, const sn_kblock *b, sn_kv parent) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sn_k_ins(m->k, b->ins[j]);
    m->parent[b->ins[j]] = parent;
    for (int side = 0; side < 2 && x->body[side]; side++) scan_block(m, x->body[side], b->ins[j]);
  }
}

/* Stores to the buffer `to`, 0: to parameters. */
static void mark_stores(marker *m, const sn_kblock *b, sn_kv to) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sn_k_ins(m->k, b->ins[j]);
    bool scratch = x->op == SN_K_STORE && sn_k_ins(m->k, x->a[0])->op == SN_K_LOCAL;
    if (x->op == SN_K_STORE && (to ? x->a[0] == to : !scratch)) mark(m, b->ins[j]);
    for (int side = 0; side < 2 && x->body[side]; side++) mark_stores(m, x->body[side], to);
  }
}

/* A carried value and its result live and die together. */
static void mark_carried(marker *m, const sn_kins *x) {
  const sn_kins *s = sn_k_ins(m->k, x->a[0]);
  int64_t j = x->i;
  mark(m, x->a[0]);
  mark(m, s->out[j]);
  mark(m, s->body[0]->yield[j]);
  if (s->op == SN_K_IF) {
    mark(m, s->body[1]->yield[j]);
    return;
  }
  mark(m, s->in[j]);
  mark(m, s->a[3 + j]);
}

static void mark_operands(marker *m, sn_kv v) {
  const sn_kins *x = sn_k_ins(m->k, v);
  mark(m, m->parent[v]);
  if (x->op == SN_K_CARRY || x->op == SN_K_RESULT) {
    mark_carried(m, x);
    return;
  }
  if (x->op == SN_K_LOCAL) mark_stores(m, m->k->body, v); /* live because something loads from it */
  int count = x->op == SN_K_FOR ? 3 : x->count;           /* initial values live with their carried values */
  for (int j = 0; j < count; j++) mark(m, x->a[j]);
}

sn_kernel *sn_kernel_finish(sn_arena *arena, const sn_kernel *k) {
  marker m = {.k = k};
  m.live = SN_ARRAY(arena, k->ins_count, unsigned char);
  m.parent = SN_ARRAY(arena, k->ins_count, sn_kv);
  m.work = SN_ARRAY(arena, k->ins_count, sn_kv);
  scan_block(&m, k->body, 0);
  mark_stores(&m, k->body, 0);
  while (m.work_count) mark_operands(&m, m.work[--m.work_count]);
  sn_krewrite w = {.live = m.live, .inline_names = sn_k_names(k, arena).value};
  return sn_krewrite_run(&w, arena, k);
}
