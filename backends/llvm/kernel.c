/* Walks the plan of a kernel and emits its function: parameters, the loop over instances, index values, blocks. */
#include "backends/llvm/kernel.h"

#include <string.h>

#include "backends/llvm/cg.h"

void cg_fail(cg *c, sn_kv v, const char *what) {
  if (c->code) return;
  c->code = sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0}, "kernel %s: %%%d %s: %s", c->k->name, v,
                    sn_kop_name(cg_ins(c, v)->op), what);
}

/* ---- workspace -------------------------------------------------------------------------------------- */

ll_v cg_ws_at(cg *c, int64_t offset) { return ll_gep(&c->g, c->ws, ll_i(&c->g, offset)); }

int64_t cg_temp(cg *c, int64_t bytes) {
  int64_t at = c->ws_top;
  c->ws_top += (bytes + 127) / 64 * 64;
  if (c->ws_top > c->ws_bytes) c->ws_bytes = c->ws_top;
  return at;
}

ll_v cg_slot(cg *c, sn_kv v) { return cg_ws_at(c, c->p.offset[cg_root(&c->p, v)]); }

ll_v cg_buffer(cg *c, sn_kv b) {
  const sn_kins *x = cg_ins(c, b);
  return x->op == SN_K_PARAM ? c->param[x->i] : cg_ws_at(c, c->p.offset[b]);
}

/* ---- index values: emitted where first needed, remembered while that place dominates ------------------- */

static ll_v binary_index(cg *c, const sn_kins *x, ll_v a, ll_v b) {
  ll *g = &c->g;
  switch (x->op) { /* table */
    case SN_K_IADD: return ll_add(g, a, b);
    case SN_K_ISUB: return ll_sub(g, a, b);
    case SN_K_IMUL: return ll_mul(g, a, b);
    case SN_K_IDIV: return LLVMBuildUDiv(g->b, a, b, "");
    case SN_K_IMOD: return LLVMBuildURem(g->b, a, b, "");
    case SN_K_IMIN: return ll_imin(g, a, b);
    case SN_K_IMAX: return ll_imax(g, a, b);
    default: return LLVMBuildZExt(g->b, ll_icmp(g, x->op == SN_K_ILT ? LLVMIntSLT : LLVMIntEQ, a, b), g->i64, "");
  }
}

static ll_v load_index(cg *c, const sn_kins *x, ll_v at) {
  ll *g = &c->g;
  ll_v p = ll_gep(g, cg_buffer(c, x->a[0]), ll_mul(g, at, ll_i(g, 4)));
  return LLVMBuildSExt(g->b, ll_load_invariant(g, g->i32, p, 4), g->i64, "");
}

ll_v cg_index(cg *c, sn_kv v) {
  const sn_kins *x = cg_ins(c, v);
  ll_v known = ll_recall(&c->g, v), a;
  if (known) return known;
  switch (x->op) {
    case SN_K_ICONST: return ll_i(&c->g, x->i);
    case SN_K_PARAM: return c->param[x->i];
    case SN_K_GID: return c->gid[x->i];
    case SN_K_IV: return c->iv[v];
    case SN_K_ILOAD: return ll_remember(&c->g, v, load_index(c, x, cg_index(c, x->a[1])));
    default: a = cg_index(c, x->a[0]); return ll_remember(&c->g, v, binary_index(c, x, a, cg_index(c, x->a[1])));
  }
}

/* The index value where the variable of the loop around is `at`. */
static ll_v index_at(cg *c, sn_kv v, ll_v at) {
  const sn_kins *x = cg_ins(c, v);
  int64_t gain;
  if (v == c->loop->iv) return at;
  if (cg_gains(c->k, c->loop->iv, v, &gain) && !gain) return cg_index(c, v);
  if (x->op == SN_K_ILOAD) return load_index(c, x, index_at(c, x->a[1], at));
  ll_v a = index_at(c, x->a[0], at);
  return binary_index(c, x, a, index_at(c, x->a[1], at));
}

ll_v cg_to_next_turn(cg *c, sn_kv v) {
  ll *g = &c->g;
  int64_t gain;
  if (!c->loop || cg_gains(c->k, c->loop->iv, v, &gain)) return NULL;
  ll_v here = cg_index(c, c->loop->iv), next = ll_add(g, here, cg_index(c, c->loop->a[2]));
  next = ll_select(g, ll_icmp(g, LLVMIntSLT, next, cg_index(c, c->loop->a[1])), next, here); /* no table goes further */
  ll_v then = index_at(c, v, next);
  return ll_sub(g, then, cg_index(c, v));
}

bool cg_limit_holds(const cg *c, sn_kv limit, int64_t extent) {
  int64_t max;
  if (c->least[limit] == INT64_MAX) sn_k_bounds(c->k, limit, &c->least[limit], &max);
  return c->least[limit] >= extent;
}

ll_v cg_clamp(cg *c, ll_v v, int64_t lo, int64_t hi) {
  return ll_imax(&c->g, ll_imin(&c->g, v, ll_i(&c->g, hi)), ll_i(&c->g, lo));
}

/* ---- blocks ----------------------------------------------------------------------------------------- */

static void emit_block(cg *c, int block);

static int body_of(const cg *c, const sn_kblock *b) { return (int)(cg_block_of(&c->p, b) - c->p.block); }

static ll_v trips_of(cg *c, const sn_kins *f) {
  ll *g = &c->g;
  ll_v step = cg_index(c, f->a[2]), span = ll_sub(g, cg_index(c, f->a[1]), cg_index(c, f->a[0]));
  ll_v n = LLVMBuildUDiv(g->b, ll_add(g, span, ll_sub(g, step, ll_i(g, 1))), step, "");
  return c->trips ? ll_mul(g, c->trips, n) : n;
}

static void emit_for(cg *c, const cg_step *s) {
  ll *g = &c->g;
  const sn_kins *f = cg_ins(c, s->v);
  const sn_kblock *b = f->body[0];
  cg_move_all(c, b->yield_count, f->in, f->a + 3);
  ll_loop l;
  ll_loop_begin(g, &l, cg_index(c, f->a[0]), cg_index(c, f->a[1]), cg_index(c, f->a[2]), 0, NULL, true);
  c->iv[f->iv] = l.iv;
  ll_v outer = c->trips;
  const sn_kins *around = c->loop;
  c->trips = trips_of(c, f);
  c->loop = f;
  c->nesting++;
  emit_block(c, body_of(c, b));
  c->nesting--;
  c->trips = outer;
  c->loop = around;
  cg_move_all(c, b->yield_count, f->in, b->yield);
  ll_loop_end(g, &l, NULL);
  cg_move_all(c, b->yield_count, f->out, f->in);
}

static void emit_if(cg *c, const cg_step *s) {
  ll *g = &c->g;
  const sn_kins *x = cg_ins(c, s->v);
  ll_branch br;
  ll_if(g, &br, ll_icmp(g, LLVMIntNE, cg_index(c, x->a[0]), ll_i(g, 0)));
  for (int side = 0; side < 2; side++) {
    if (side == 1) ll_else(g, &br);
    if (!x->body[side]) continue;
    c->nesting++;
    emit_block(c, body_of(c, x->body[side]));
    c->nesting--;
    cg_move_all(c, x->body[side]->yield_count, x->out, x->body[side]->yield);
  }
  ll_endif(g, &br);
}

static void emit_step(cg *c, const cg_step *s) {
  switch (s->kind) {
    case CG_ROWS: cg_rows(c, s); break;
    case CG_MMA: cg_mma(c, s->v); break;
    case CG_TRANS: cg_transpose(c, s->v); break;
    case CG_FOR: emit_for(c, s); break;
    case CG_IF: emit_if(c, s); break;
  }
}

static void emit_block(cg *c, int block) {
  for (int j = 0; j < c->p.block[block].count;) {
    const cg_step *s = &c->p.block[block].step[j], *next = j + 1 < c->p.block[block].count ? s + 1 : NULL;
    int64_t top = c->ws_top;
    int done = cg_mma_fused(c, s, next);
    if (!done) emit_step(c, s);
    j += done ? done : 1;
    c->ws_top = top;
  }
}

/* ---- the function ------------------------------------------------------------------------------------- */

static void load_params(cg *c, ll_v args) {
  ll *g = &c->g;
  for (int j = 0; j < c->k->param_count; j++) {
    bool size = c->k->param[j].role == SN_K_SIZE;
    c->param[j] = ll_load(g, size ? g->i64 : g->ptr, ll_gep(g, args, ll_i(g, 8 * j)), 8);
  }
}

static void split_instance(cg *c, ll_v id) { /* the last grid dimension runs fastest */
  ll *g = &c->g;
  for (int d = c->k->grid_count - 1; d > 0; d--) {
    ll_v n = cg_index(c, c->k->grid[d]);
    c->gid[d] = LLVMBuildURem(g->b, id, n, "");
    id = LLVMBuildUDiv(g->b, id, n, "");
  }
  c->gid[0] = id;
}

static bool uses_tiles(const cg *c) {
  for (sn_kv v = 1; v < c->k->ins_count; v++)
    if (cg_tile_product(c->k, cg_ins(c, v), &c->g.isa)) return true;
  return false;
}

/* The workspace begins with a mark of the instance where the last call of a launch ended. */
enum { MARK = 64 };

static ll_v mark_of(ll *g, ll_v instance) { return ll_add(g, instance, ll_i(g, 1)); } /* neither 0 nor -1 */

/* Does this call begin elsewhere than where the last one ended? What that one kept is then of no use. */
static ll_v begins_anew(cg *c, ll_v f) {
  ll *g = &c->g;
  return ll_icmp(g, LLVMIntNE, ll_load(g, g->i64, LLVMGetParam(f, 1), 8), mark_of(g, LLVMGetParam(f, 2)));
}

static void emit_function(cg *c) {
  ll *g = &c->g;
  ll_t args[] = {g->ptr, g->ptr, g->i64, g->i64};
  ll_v f = ll_function(g, CG_ENTRY, 4, args, false);
  c->ws = ll_gep(g, LLVMGetParam(f, 1), ll_i(g, MARK));
  load_params(c, LLVMGetParam(f, 0));
  c->kept = ll_gep(g, c->ws, ll_i(g, 0)); /* behind everything else: its offset is known at the end */
  bool tiles = uses_tiles(c);
  if (tiles) cg_amx_begin(c);
  ll_loop l;
  ll_v fresh = begins_anew(c, f);
  ll_loop_begin(g, &l, LLVMGetParam(f, 2), LLVMGetParam(f, 3), ll_i(g, 1), 0, NULL, true);
  c->first = ll_and(g, fresh, ll_icmp(g, LLVMIntEQ, l.iv, LLVMGetParam(f, 2)));
  split_instance(c, l.iv);
  cg_slides_begin(c);
  emit_block(c, 0);
  ll_loop_end(g, &l, NULL);
  if (tiles) cg_amx_end(c);
  cg_stream_end(c);
  if (c->kept_bytes) ll_store(g, mark_of(g, LLVMGetParam(f, 3)), LLVMGetParam(f, 1), 8);
  LLVMBuildRetVoid(g->b);
  LLVMSetOperand(c->kept, 1, ll_i(g, c->ws_bytes));
  c->ws_bytes += c->kept_bytes + MARK;
}

static void place_locals(cg *c) {
  c->ws_top = c->p.bytes;
  for (sn_kv v = 1; v < c->k->ins_count; v++)
    if (cg_ins(c, v)->op == SN_K_LOCAL)
      c->p.offset[v] = cg_temp(c, cg_ins(c, v)->i * (int64_t)sn_elem_bytes(cg_type(c, v).elem));
  c->spare = cg_temp(c, 8 * LL_LANES);
}

/* One compilation, run under sn_protect so that its LLVM objects are released when memory runs out. */
typedef struct compilation {
  cg c;
  const cg_isa *isa;
  sn_arena *arena;
  sn_diags *diags;
  const sn_kernel *k;
  cg_output *out;
  cg_form form;
} compilation;

static void prepare(compilation *job) {
  cg *c = &job->c;
  int n = job->k->ins_count;
  sn_arena *scratch = c->g.arena;
  c->k = job->k, c->arena = scratch, c->diags = job->diags;
  cg_plan_make(&c->p, job->k, c->g.lanes, scratch);
  ll_memo_begin(&c->g, n + CG_FLIGHT * n * CG_STATIC_VECTORS);
  c->iv = SN_ARRAY(scratch, n, ll_v);
  c->spill = SN_ARRAY(scratch, n, int64_t);
  c->least = SN_ARRAY(scratch, n, int64_t);
  for (int v = 0; v < n; v++) c->spill[v] = CG_SPILL_NONE, c->least[v] = INT64_MAX;
  place_locals(c);
  cg_slides_find(c);
}

static sn_code run(compilation *job) {
  cg *c = &job->c;
  SN_TRY(ll_begin(&c->g, job->k->name, job->isa, c->g.arena, job->diags));
  prepare(job);
  emit_function(c);
  if (c->code) return c->code;
  SN_TRY(ll_optimise(&c->g, job->diags));
  job->out->workspace_bytes = c->ws_bytes;
  if (job->form != CG_LLVM)
    return ll_emit(&c->g, job->form == CG_ASM, job->arena, job->diags, &job->out->bytes, &job->out->count);
  char *text = LLVMPrintModuleToString(c->g.m);
  job->out->count = strlen(text);
  job->out->bytes = sn_arena_strdup(job->arena, text);
  LLVMDisposeMessage(text);
  return SN_OK;
}

static int protected_run(void *job) { return (int)run(job); }

sn_code cg_compile(const sn_kernel *k, const cg_isa *isa, cg_form form, sn_arena *arena, sn_diags *diags,
                   cg_output *out) {
  sn_arena *scratch = sn_arena_scratch();
  if (!scratch) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "kernel %s: out of memory", k->name);
  compilation *job = SN_NEW(scratch, compilation);
  *job =
      (compilation){.c.g.arena = scratch, .isa = isa, .arena = arena, .diags = diags, .k = k, .out = out, .form = form};
  sn_code code = (sn_code)sn_protect(protected_run, job);
  ll_end(&job->c.g);
  sn_arena_destroy(scratch);
  if (code) sn_fail_note(diags, "while generating code for kernel %s", k->name);
  return code;
}
