/* kernel/simplify, rule hoist: pure values that do not change in a loop are computed in front of it. Sources and
 * broadcasts move only with what uses them. What could go wrong when the loop does not run (loads, integer division,
 * shifts) moves only out of loops that run at least once. Each round moves values one loop outwards. */
#include "passes/kernel/internal.h"

typedef struct hoist {
  unsigned char *fixed;  /* per value of the old kernel: does not change in the loop being entered */
  unsigned char *wanted; /* fixed and worth moving, or used by such */
  int moved;
} hoist;

static bool index_is_fixed(const sn_kernel *k, sn_kv index, sn_kv iv) {
  const sn_kins *x = sn_k_ins(k, index);
  if (index == iv) return false;
  if (sn_kop_class(x->op) != SN_KCLASS_IDX || x->op == SN_K_PARAM) return true;
  for (int j = x->op == SN_K_ILOAD; j < x->count; j++)
    if (!index_is_fixed(k, x->a[j], iv)) return false;
  return true;
}

static bool is_in_load(const sn_kernel *k, const sn_kins *x) {
  const sn_kins *b = sn_k_ins(k, x->a[0]);
  return (x->op == SN_K_LOAD || x->op == SN_K_GATHER) && b->op == SN_K_PARAM && k->param[b->i].role == SN_K_IN;
}

static bool may_fail(const sn_kins *x) {
  if (sn_kop_class(x->op) == SN_KCLASS_MEM || x->op == SN_K_ISPLAT || x->op == SN_K_IOTA)
    return true; /* their index values may */
  if (x->op == SN_K_SHL || x->op == SN_K_SHR || x->op == SN_K_SAR) return true;
  return (x->op == SN_K_DIV || x->op == SN_K_MOD) && !sn_elem_is_float(x->type.elem);
}

static bool may_move(const sn_kernel *k, const sn_kins *x, bool runs) {
  sn_kclass cls = sn_kop_class(x->op);
  if (cls == SN_KCLASS_CTL || (cls == SN_KCLASS_MEM && !is_in_load(k, x))) return false;
  return runs || !may_fail(x);
}

/* Is it worth a place in front of the loop? Sources and broadcasts cost nothing where they are used. */
static bool is_work(const sn_kins *x) {
  sn_kclass cls = sn_kop_class(x->op);
  return cls != SN_KCLASS_SRC && cls != SN_KCLASS_MEM && x->op != SN_K_BCAST;
}

static bool operand_is_fixed(const sn_krewrite *w, const hoist *h, sn_kv a, sn_kv iv) {
  if (!a) return true;
  const sn_kins *x = sn_k_ins(w->from, a);
  if (x->type.r > 0) return h->fixed[a] || w->map[a]; /* tiles: in this body, or defined before the loop */
  if (x->op == SN_K_LOCAL) return false;
  return index_is_fixed(w->from, a, iv);
}

static void find_fixed(const sn_krewrite *w, hoist *h, const sn_kins *loop) {
  const sn_kblock *b = loop->body[0];
  bool runs = sn_k_least_difference(w->from, loop->a[1], loop->a[0]) > 0;
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sn_k_ins(w->from, b->ins[j]);
    bool fixed = may_move(w->from, x, runs);
    for (int a = 0; a < x->count && fixed; a++) fixed = operand_is_fixed(w, h, x->a[a], loop->iv);
    h->fixed[b->ins[j]] = fixed;
    h->wanted[b->ins[j]] = fixed && is_work(x);
  }
  for (int j = b->count - 1; j >= 0; j--) {
    const sn_kins *x = sn_k_ins(w->from, b->ins[j]);
    for (int a = 0; a < x->count && h->wanted[b->ins[j]]; a++)
      if (h->fixed[x->a[a]]) h->wanted[x->a[a]] = 1;
  }
}

static sn_kv visit(sn_krewrite *w, sn_kv v) {
  hoist *h = w->user;
  if (w->map[v]) return w->map[v]; /* moved already */
  const sn_kins *x = sn_k_ins(w->from, v);
  if (x->op != SN_K_FOR) return 0;
  find_fixed(w, h, x);
  for (int j = 0; j < x->body[0]->count; j++) {
    sn_kv u = x->body[0]->ins[j];
    if (!h->wanted[u]) continue;
    w->map[u] = sn_krewrite_copy(w, u);
    h->moved += is_work(sn_k_ins(w->from, u));
  }
  return 0;
}

bool sn_khoist(sn_arena *arena, const sn_kernel *k, sn_kernel **out) {
  hoist h = {SN_ARRAY(arena, k->ins_count, unsigned char), SN_ARRAY(arena, k->ins_count, unsigned char), 0};
  sn_krewrite w = {.visit = visit, .user = &h};
  sn_kernel *result = sn_krewrite_run(&w, arena, k);
  if (!h.moved) return false;
  *out = result;
  return true;
}
