/* Order of steps: a block becomes products, transpositions, loops, branches and row clusters.
 *
 * 1. take the first instruction that is ready
 * 2. a row operation opens a cluster: the rest of the block is swept once, and every operation with the same number of
 * rows whose operands are ready or in the cluster joins it
 * 3. memory that the kernel writes keeps its program order; within a cluster a buffer may be
 *    loaded and then stored through one window */
#include "backends/llvm/plan.h"

#include <string.h>

static const sn_kins *ins(const cg_plan *p, sn_kv v) { return &p->k->ins[v]; }

/* ---- facts of instructions ------------------------------------------------------------------------ */

sn_ktype cg_shape(const sn_kernel *k, sn_kv v) {
  const sn_kins *x = &k->ins[v];
  return x->op == SN_K_STORE ? k->ins[x->a[6]].type : x->type;
}

sn_krole cg_buffer_role(const sn_kernel *k, sn_kv buffer) {
  const sn_kins *x = &k->ins[buffer];
  return x->op == SN_K_PARAM ? k->param[x->i].role : SN_K_INOUT;
}

bool cg_is_elementwise(sn_kop op) {
  sn_kclass c = sn_kop_class(op);
  return c == SN_KCLASS_UN || c == SN_KCLASS_BIN || c == SN_KCLASS_CMP || c == SN_KCLASS_TER || op == SN_K_RESCALE;
}

sn_kv cg_source(const cg_plan *p, sn_kv v) {
  for (;;) {
    const sn_kins *x = ins(p, v);
    if (x->op != SN_K_BCAST && !(x->op == SN_K_TRANS && p->virt[v])) return v;
    v = x->a[0];
  }
}

int cg_deps(const cg_plan *p, sn_kv v, sn_kv *out) {
  const sn_kins *x = ins(p, v);
  int n = 0;
  if (x->op == SN_K_CARRY || x->op == SN_K_RESULT || x->op == SN_K_IV) return 0;
  for (int j = 0; j < x->count; j++) {
    if (!x->a[j] || !cg_is_tile(p->k, x->a[j])) continue;
    sn_kv s = cg_source(p, x->a[j]);
    if (!p->virt[s]) out[n++] = s;
  }
  return n;
}

sn_kv cg_root(const cg_plan *p, sn_kv v) {
  while (p->root[v] != v) v = p->root[v] = p->root[p->root[v]];
  return v;
}

cg_block *cg_block_of(const cg_plan *p, const sn_kblock *b) {
  for (int j = 0; j < p->block_count; j++)
    if (p->block[j].b == b) return &p->block[j];
  return NULL;
}

int cg_vectors(int columns, int lanes) { return (columns + lanes - 1) / lanes; }

int cg_ld(const cg_plan *p, sn_ktype t) {
  if (t.c == 1) return 1;
  int ld = cg_vectors(t.c, p->lanes) * p->lanes;
  bool aliases = t.r > 1 && ld * (int64_t)sn_elem_bytes(t.elem) % 4096 == 0; /* rows would meet in one cache set */
  return aliases ? ld + p->lanes : ld;
}

int64_t cg_slot_bytes(const cg_plan *p, sn_ktype t) {
  int64_t bytes = (int64_t)t.r * cg_ld(p, t) * (int64_t)sn_elem_bytes(t.elem);
  return (bytes + 127) / 64 * 64; /* one line more than needed: neighbours start in different sets */
}

static int rows_of(const cg_plan *p, sn_kv v) { /* rows of the loop an operation runs in; 0: not a row operation */
  const sn_kins *x = ins(p, v);
  switch (x->op) {
    case SN_K_MMA:
    case SN_K_TRANS:
    case SN_K_FOR:
    case SN_K_IF: return 0;
    case SN_K_RSUM:
    case SN_K_RPROD:
    case SN_K_RMAX:
    case SN_K_RARGMAX: return ins(p, x->a[0])->type.r;
    default: return cg_shape(p->k, v).r;
  }
}

static bool is_listed_step(const cg_plan *p, sn_kv v) { return !p->virt[v] && ins(p, v)->op != SN_K_LOCAL; }

/* ---- order of memory -------------------------------------------------------------------------------- */

static bool block_touches_memory(const cg_plan *p, const sn_kblock *b);

/* does it touch memory that the kernel writes? */
static bool ordered(const cg_plan *p, sn_kv v) {
  const sn_kins *x = ins(p, v);
  if (x->op == SN_K_STORE) return true;
  if (x->op == SN_K_LOAD || x->op == SN_K_GATHER) return cg_buffer_role(p->k, x->a[0]) != SN_K_IN;
  for (int j = 0; j < 2; j++)
    if (x->body[j] && block_touches_memory(p, x->body[j])) return true;
  return false;
}

static bool block_touches_memory(const cg_plan *p, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++)
    if (ordered(p, b->ins[j])) return true;
  return false;
}

static bool is_control(const sn_kins *x) { return x->op == SN_K_FOR || x->op == SN_K_IF; }

static bool independent(const cg_plan *p, sn_kv v, sn_kv w) {
  const sn_kins *x = ins(p, v), *y = ins(p, w);
  if (is_control(x) || is_control(y)) return false;
  return x->a[0] != y->a[0] || (x->op != SN_K_STORE && y->op != SN_K_STORE);
}

static bool same_window(const cg_plan *p, sn_kv v, sn_kv w) {
  const sn_kins *x = ins(p, v), *y = ins(p, w);
  sn_ktype a = cg_shape(p->k, v), b = cg_shape(p->k, w);
  return x->op != SN_K_GATHER && y->op != SN_K_GATHER && a.r == b.r && a.c == b.c &&
         !memcmp(x->a, y->a, 6 * sizeof x->a[0]);
}

/* ---- readiness -------------------------------------------------------------------------------------- */

enum { WAITING, DONE, JOINED };

typedef struct growth {
  cg_plan *p;
  const sn_kblock *b;
  int self;                /* index of the block */
  char *state;             /* per value of the kernel */
  bool joining;            /* does the operation want to join the open cluster? */
  bool reduces, conflicts; /* of the open cluster: reductions along rows; two accesses of one window */
} growth;

static bool operands_ready(const growth *g, sn_kv v) {
  const cg_plan *p = g->p;
  sn_kv d[SN_K_ARGS];
  int n = cg_deps(p, v, d);
  for (int j = 0; j < n; j++) {
    const sn_kins *x = ins(p, d[j]);
    sn_kv holder = x->op == SN_K_RESULT ? x->a[0] : d[j];
    if (x->op == SN_K_CARRY || p->in[holder] != g->self || g->state[holder] == DONE) continue;
    bool column_result = cg_is_reduce(x) && x->i == 0; /* known only after all rows */
    if (!(g->joining && g->state[holder] == JOINED && !column_result)) return false;
  }
  return true;
}

static bool uses_ready(const growth *g, const sn_kblock *inner);

/* values of this block that the bodies of a loop or branch use */
static bool body_ready(const growth *g, sn_kv v) {
  const sn_kins *x = ins(g->p, v);
  for (int j = 0; j < 2; j++)
    if (x->body[j] && !uses_ready(g, x->body[j])) return false;
  return true;
}

static bool uses_ready(const growth *g, const sn_kblock *inner) {
  for (int j = 0; j < inner->count; j++)
    if (!operands_ready(g, inner->ins[j]) || !body_ready(g, inner->ins[j])) return false;
  for (int j = 0; j < inner->yield_count; j++) {
    sn_kv y = cg_source(g->p, inner->yield[j]);
    const sn_kins *x = ins(g->p, y);
    sn_kv holder = x->op == SN_K_RESULT ? x->a[0] : y;
    if (!g->p->virt[y] && x->op != SN_K_CARRY && g->p->in[holder] == g->self && g->state[holder] != DONE) return false;
  }
  return true;
}

static bool memory_ready(growth *g, sn_kv v, bool *conflicts) {
  const cg_plan *p = g->p;
  *conflicts = false;
  if (!ordered(p, v)) return true;
  for (int q = 0; q < p->pos[v]; q++) {
    sn_kv w = g->b->ins[q];
    if (g->state[w] == DONE || !ordered(p, w) || independent(p, v, w)) continue;
    bool read_back = ins(p, w)->op == SN_K_STORE && ins(p, v)->op != SN_K_STORE;
    if (!(g->joining && g->state[w] == JOINED && same_window(p, v, w) && !g->reduces && !read_back)) return false;
    *conflicts = true;
  }
  return true;
}

static bool ready(growth *g, sn_kv v, bool *conflicts) {
  const sn_kins *x = ins(g->p, v);
  if (g->joining && g->conflicts && cg_is_reduce(x) && x->i == 1) return false;
  return operands_ready(g, v) && body_ready(g, v) && memory_ready(g, v, conflicts);
}

/* ---- steps ------------------------------------------------------------------------------------------ */

static void schedule(cg_plan *p, const sn_kblock *b);

static cg_step *add_step(cg_plan *p, cg_block *bp, cg_step_kind kind, sn_kv v) {
  SN_GROW(p->arena, bp->step, bp->count, bp->capacity);
  bp->step[bp->count] = (cg_step){.kind = kind, .v = v};
  return &bp->step[bp->count++];
}

static void join(growth *g, cg_step *s, sn_kv v, bool conflicts) {
  const sn_kins *x = ins(g->p, v);
  s->ops[s->count++] = v;
  g->state[v] = JOINED;
  g->conflicts |= conflicts;
  g->reduces |= cg_is_reduce(x) && x->i == 1;
  s->ordered |= (x->op == SN_K_LOAD || x->op == SN_K_GATHER) && ordered(g->p, v);
  g->p->at[v] = g->p->clock;
  g->p->member[v] = s->number;
}

static void grow_cluster(growth *g, int first) {
  cg_plan *p = g->p;
  cg_step *s = add_step(p, &p->block[g->self], CG_ROWS, 0);
  s->rows = rows_of(p, g->b->ins[first]);
  s->ops = SN_ARRAY(p->arena, g->b->count - first, sn_kv);
  s->number = ++p->clusters;
  g->joining = true, g->reduces = g->conflicts = false;
  for (int q = first; q < g->b->count; q++) {
    sn_kv v = g->b->ins[q];
    bool conflicts;
    if (g->state[v] || !is_listed_step(p, v) || rows_of(p, v) != s->rows || !ready(g, v, &conflicts)) continue;
    join(g, s, v, conflicts);
  }
  g->joining = false;
  s->reduces = g->reduces;
  for (int j = 0; j < s->count; j++) g->state[s->ops[j]] = DONE;
  cg_cluster_shape(p, s);
}

static void single_step(growth *g, sn_kv v) {
  cg_plan *p = g->p;
  const sn_kins *x = ins(p, v);
  cg_step_kind kind = x->op == SN_K_MMA ? CG_MMA : x->op == SN_K_TRANS ? CG_TRANS : x->op == SN_K_FOR ? CG_FOR : CG_IF;
  add_step(p, &p->block[g->self], kind, v);
  g->state[v] = DONE;
  p->at[v] = p->clock;
  for (int j = 0; j < SN_K_YIELDS; j++)
    if (x->in[j]) p->at[x->in[j]] = p->at[v];
  for (int j = 0; j < 2; j++)
    if (x->body[j]) schedule(p, x->body[j]);
  for (int j = 0; j < SN_K_YIELDS; j++)
    if (x->out[j]) p->at[x->out[j]] = x->op == SN_K_IF ? p->at[v] : p->clock + 2;
}

static void schedule(cg_plan *p, const sn_kblock *b) {
  int self = (int)(cg_block_of(p, b) - p->block);
  growth g = {.p = p, .b = b, .self = self, .state = SN_ARRAY(p->arena, p->k->ins_count, char)};
  for (;;) {
    int q = 0;
    bool conflicts;
    while (q < b->count && (g.state[b->ins[q]] || !is_listed_step(p, b->ins[q]) || !ready(&g, b->ins[q], &conflicts)))
      q++;
    if (q == b->count) break;
    p->clock += 2;
    if (rows_of(p, b->ins[q]))
      grow_cluster(&g, q);
    else
      single_step(&g, b->ins[q]);
  }
  p->clock += 2;
  p->block[self].end = p->clock;
}

/* ---- where values are defined ------------------------------------------------------------------------- */

static void locate(cg_plan *p, const sn_kblock *b, int parent) {
  int self = p->block_count;
  SN_GROW(p->arena, p->block, p->block_count, p->block_capacity);
  p->block[p->block_count++] = (cg_block){.b = b, .parent = parent};
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = ins(p, b->ins[j]);
    p->in[b->ins[j]] = self;
    p->pos[b->ins[j]] = j;
    for (int q = 0; q < SN_K_YIELDS; q++)
      if (x->out[q]) p->in[x->out[q]] = self;
    for (int q = 0; q < 2; q++) {
      if (!x->body[q]) continue;
      int body = p->block_count;
      locate(p, x->body[q], self);
      for (int y = 0; y < SN_K_YIELDS && q == 0; y++)
        if (x->in[y]) p->in[x->in[y]] = body;
    }
  }
}

/* how often values are used; as first factors of products, as second ones of products
 * of few rows, as either factor of any */
typedef struct uses {
  int *all, *first, *second, *factor;
} uses;

static void count_uses(const cg_plan *p, const uses *n) {
  for (sn_kv v = 1; v < p->k->ins_count; v++) {
    const sn_kins *x = ins(p, v);
    for (int j = 0; j < x->count; j++)
      if (x->a[j]) n->all[x->a[j]]++;
    if (x->op != SN_K_MMA || x->i & SN_K_VNNI) continue;
    n->first[x->a[1]]++, n->factor[x->a[1]]++, n->factor[x->a[2]]++;
    if (x->type.r <= CG_FEW_ROWS) n->second[x->a[2]]++;
  }
  for (int j = 0; j < p->block_count; j++)
    for (int q = 0; q < p->block[j].b->yield_count; q++) n->all[p->block[j].b->yield[q]]++;
}

/* numbers of columns below a limit: cheaper than a place in memory, and often known */
static bool is_column_limit(const cg_plan *p, const sn_kins *x) {
  if (x->op != SN_K_LT || x->type.r != 1) return false;
  return ins(p, cg_source(p, x->a[0]))->op == SN_K_IOTA && ins(p, cg_source(p, x->a[1]))->op == SN_K_ISPLAT;
}

/* A window widened to f32 by the products that use it: i8 by all, 16 bits by those of few rows, which are multiplied
 * with them while they are read. */
static bool is_widened_by_products(const cg_plan *p, const uses *u, sn_kv v) {
  const sn_kins *x = ins(p, v), *from = ins(p, x->a[0]);
  bool memory = from->op == SN_K_LOAD && cg_buffer_role(p->k, from->a[0]) == SN_K_IN;
  if (!memory || x->type.elem != SN_ELEM_F32 || u->all[v] == 0) return false;
  if (from->type.elem == SN_ELEM_I8) return u->all[v] == u->factor[v];
  return (from->type.elem == SN_ELEM_BF16 || from->type.elem == SN_ELEM_F16) && u->all[v] == u->second[v];
}

static void find_virtual(cg_plan *p) {
  int n = p->k->ins_count;
  uses u = {SN_ARRAY(p->arena, n, int), SN_ARRAY(p->arena, n, int), SN_ARRAY(p->arena, n, int),
            SN_ARRAY(p->arena, n, int)};
  count_uses(p, &u);
  for (sn_kv v = 1; v < n; v++) {
    const sn_kins *x = ins(p, v);
    switch (x->op) {
      case SN_K_CONST:
      case SN_K_ISPLAT:
      case SN_K_IOTA:
      case SN_K_BCAST: p->virt[v] = true; break;
      case SN_K_LOAD: p->virt[v] = cg_buffer_role(p->k, x->a[0]) == SN_K_IN; break;
      case SN_K_TRANS: p->virt[v] = u.all[v] > 0 && u.all[v] == u.first[v]; break;
      case SN_K_CAST: p->virt[v] = is_widened_by_products(p, &u, v); break;
      case SN_K_LT: p->virt[v] = is_column_limit(p, x); break;
      default: p->virt[v] = sn_kop_class(x->op) == SN_KCLASS_IDX || x->op == SN_K_IV; break;
    }
  }
}

void cg_plan_make(cg_plan *p, const sn_kernel *k, int lanes, sn_arena *arena) {
  int n = k->ins_count;
  *p = (cg_plan){.k = k, .arena = arena, .lanes = lanes};
  p->in = SN_ARRAY(arena, n, int), p->pos = SN_ARRAY(arena, n, int), p->at = SN_ARRAY(arena, n, int);
  p->member = SN_ARRAY(arena, n, int), p->phase = SN_ARRAY(arena, n, int);
  p->virt = SN_ARRAY(arena, n, bool), p->slot = SN_ARRAY(arena, n, bool);
  p->root = SN_ARRAY(arena, n, int), p->def = SN_ARRAY(arena, n, int), p->use = SN_ARRAY(arena, n, int);
  p->offset = SN_ARRAY(arena, n, int64_t);
  for (int v = 0; v < n; v++) p->in[v] = -1, p->root[v] = v;
  locate(p, k->body, -1);
  find_virtual(p);
  schedule(p, k->body);
  cg_place_slots(p);
  for (int j = 0; j < p->block_count; j++)
    for (int s = 0; s < p->block[j].count; s++)
      if (p->block[j].step[s].kind == CG_ROWS) cg_cluster_bound(p, &p->block[j].step[s]);
}
