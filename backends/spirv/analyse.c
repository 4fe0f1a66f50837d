/* What is decided before emission: who needs a value, and how long; the shape of the workgroup; slots. */
#include <string.h>

#include "backends/spirv/sg.h"

enum { ROW = 32 }; /* invocations along a row that reduce it; the same on every device, so that sums are too */

static const char *reason(sg *g, sn_kv v, const char *why) {
  return sn_arena_printf(g->arena, "%s: %s", why, sn_k_text(g->k, v, g->arena));
}

/* ---- uses and lifetimes ------------------------------------------------------------------------------------------ */

static void use(sg *g, sn_kv v, const sn_kins *user, int j) {
  if (!v) return;
  const sn_kins *x = sg_ins(g, v);
  sg_value *i = &g->value[v];
  bool local = x->op == SN_K_LOCAL;
  if (!local && !sg_is_tile(x)) return;
  i->last = g->position, i->uses++;
  if (local) return;
  bool factor = user && user->op == SN_K_MMA && j > 0;
  if (factor) i->factor = true;
  if (factor || (user && user->op == SN_K_TRANS))
    i->staged = true;
  else
    i->registers = true;
}

static void scan(sg *g, const sn_kblock *b);

/* What is defined before a loop and used in it lives to its end. */
static void extend(sg *g, int from) {
  for (sn_kv u = 1; u < g->k->ins_count; u++)
    if (g->value[u].def <= from && g->value[u].last > from) g->value[u].last = g->position;
}

static void scan_one(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  g->value[v].def = g->value[v].last = ++g->position;
  for (int j = 0; j < x->count; j++) use(g, x->a[j], x, j);
  if (x->op == SN_K_MMA) g->value[v].def = g->value[v].last = ++g->position; /* factors are read before it is there */
  if (x->op != SN_K_FOR && x->op != SN_K_IF) return;
  int from = g->position, count = x->body[0]->yield_count;
  for (int j = 0; j < count && x->op == SN_K_FOR; j++) g->value[x->in[j]].def = g->value[x->in[j]].last = g->position;
  for (int side = 0; side < 2 && x->body[side]; side++) scan(g, x->body[side]);
  ++g->position;
  if (x->op == SN_K_FOR) extend(g, from);
  for (int j = 0; j < count; j++) g->value[x->out[j]].def = g->value[x->out[j]].last = g->position;
}

static void scan(sg *g, const sn_kblock *b) {
  for (int j = 0; j < b->count; j++) g->value[b->ins[j]].block = b, scan_one(g, b->ins[j]);
  ++g->position;
  for (int j = 0; j < b->yield_count; j++) use(g, b->yield[j], NULL, 0);
}

/* A transposition that only products use is read from the slot of what it turns; any other is read back from there. */
static void settle_transpositions(sg *g, bool *whole) {
  for (sn_kv v = g->k->ins_count; --v > 0;) {
    const sn_kins *x = sg_ins(g, v);
    sg_value *i = &g->value[v];
    if (x->op != SN_K_TRANS || !(i->registers || i->staged)) continue;
    sg_value *s = &g->value[x->a[0]];
    s->staged = true;
    if (i->registers || whole[v]) whole[x->a[0]] = true;
    if (i->registers) continue;
    i->alias = x->a[0], i->staged = false, s->factor |= i->factor;
    if (s->last < i->last) s->last = i->last;
  }
}

static bool is_input(const sg *g, sn_kv buffer) {
  const sn_kins *b = sg_ins(g, buffer);
  return b->op == SN_K_PARAM && g->k->param[b->i].role == SN_K_IN;
}

/* Could products bring this load in by steps of k? */
static bool may_walk(const sg *g, sn_kv v, const bool *whole) {
  const sn_kins *x = sg_ins(g, v);
  const sg_value *i = &g->value[v];
  return x->op == SN_K_LOAD && i->staged && !i->registers && !whole[v] && is_input(g, x->a[0]);
}

/* The load that a factor is, for this product alone and where it stands; 0: there is none. */
static sn_kv only_load(const sg *g, sn_kv mma, sn_kv v) {
  for (; g->value[v].alias; v = g->value[v].alias)
    if (g->value[v].uses != 1) return 0;
  const sg_value *i = &g->value[v];
  return sg_ins(g, v)->op == SN_K_LOAD && i->uses == 1 && i->block == g->value[mma].block ? v : 0;
}

static void walk(sg *g, sn_kv load) { g->value[load].walked = true, g->value[load].staged = false; }

/* Both factors are brought in alike, where one has to be: as quads, one round ahead. */
static void settle_pairs(sg *g, const bool *whole) {
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    if (x->op != SN_K_MMA || g->value[v].thin) continue;
    sn_kv a = only_load(g, v, x->a[1]), b = only_load(g, v, x->a[2]);
    if (!a || !b || a == b || g->value[a].walked == g->value[b].walked) continue;
    sn_kv other = g->value[a].walked ? b : a;
    if (may_walk(g, other, whole)) walk(g, other);
  }
}

static void settle_loads(sg *g, const bool *whole) {
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    sg_value *i = &g->value[v];
    if (x->op == SN_K_GATHER && i->staged) i->registers = true;
    if (may_walk(g, v, whole) && (int64_t)x->type.r * x->type.c > SG_WHOLE) walk(g, v);
  }
  settle_pairs(g, whole);
}

/* Values that are staged through registers. */
static void settle_registers(sg *g) {
  for (sn_kv v = 1; v < g->k->ins_count; v++)
    if (g->value[v].staged && sg_ins(g, v)->op != SN_K_LOAD) g->value[v].registers = true;
}

/* ---- the workgroup ----------------------------------------------------------------------------------------------- */

sn_gpu_matrix sg_matrix_of(const sg *g, sn_elem e) {
  switch (e) {
    case SN_ELEM_F16: return g->t->gpu.f16;
    case SN_ELEM_BF16: return g->t->gpu.bf16;
    case SN_ELEM_I8: return g->t->gpu.i8;
    default: return (sn_gpu_matrix){0};
  }
}

/* Are slots of such elements patterns of 16 bits, which matrices take as they are? Bytes they take from quads only. */
static bool is_patterns(const sg *g, sn_elem e) { return g->matrices && sn_elem_bytes(e) == 2 && sg_matrix_of(g, e).m; }

static uint32_t power_down(int64_t x) {
  uint32_t p = 1;
  while (2 * (int64_t)p <= x) p *= 2;
  return p;
}

static bool reduces(const sg *g, int axis) {
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    sn_kop op = sg_ins(g, v)->op;
    bool fold = op == SN_K_RSUM || op == SN_K_RMAX || op == SN_K_RPROD || op == SN_K_RARGMAX;
    if (fold && sg_ins(g, v)->i == axis) return true;
  }
  return false;
}

/* The tile that decides: the largest result of a product, else the largest. *thin: the product, if it is thin; 0 */
static sn_ktype greatest(const sg *g, bool *product, sn_kv *thin) {
  sn_ktype t = {SN_ELEM_F32, 1, 1};
  *product = false, *thin = 0;
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    bool mma = x->op == SN_K_MMA;
    if (!sg_is_tile(x) || !g->value[v].registers || mma < *product) continue;
    if (mma == *product && (int64_t)x->type.r * x->type.c <= (int64_t)t.r * t.c) continue;
    t = x->type, *product = mma, *thin = g->value[v].thin && mma ? v : 0;
  }
  return t;
}

/* The most elements of one tile that one invocation has, with workgroups of ty x tx. */
static uint32_t crowd(const sg *g, uint32_t ty, uint32_t tx) {
  uint32_t most = 0;
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    if (!sg_is_tile(x) || !g->value[v].registers) continue;
    sg_axis r = sg_axis_of((uint32_t)x->type.r, ty), c = sg_axis_of((uint32_t)x->type.c, tx);
    if (r.per * c.per > most) most = r.per * c.per;
  }
  return most;
}

/* Tiles of other shapes than the one that decided may not fit: then the least workgroup, and of those the shape, with
 * which all do. */
static void make_room(sg *g, uint32_t nt, uint32_t most, uint32_t *tx) {
  uint32_t least = crowd(g, nt / *tx, *tx);
  g->NT = nt;
  for (; nt <= most && least > SG_ELEMENTS; nt *= 2) {
    for (uint32_t x = 1; x <= nt; x *= 2) {
      uint32_t n = crowd(g, nt / x, x);
      if (n < least) least = n, *tx = x, g->NT = nt;
    }
  }
}

/* Elements of a product's result for one invocation. */
static int64_t share_of(int64_t n) { return n >= 128 * 64 ? 64 : n >= 64 * 64 ? 32 : n >= 32 * 32 ? 16 : 8; }

/* A load that goes to its slot past the registers. */
static bool is_moved(const sg *g, sn_kv v) {
  return sg_ins(g, v)->op == SN_K_LOAD && g->value[v].staged && !g->value[v].registers;
}

/* Of so many none brings in more of such a load than refused() allows. */
static uint32_t enough_for_moved(const sg *g, uint32_t nt, uint32_t most) {
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    sn_ktype t = sg_ins(g, v)->type;
    while (is_moved(g, v) && nt < most && (int64_t)t.r * t.c > SG_ELEMENTS * (int64_t)nt) nt *= 2;
  }
  return nt;
}

static void shape_workgroup(sg *g) {
  bool product;
  sn_kv thin;
  sn_ktype t = greatest(g, &product, &thin);
  int64_t n = (int64_t)t.r * t.c;
  uint32_t most = (uint32_t)g->t->gpu.invocations < SG_INVOCATIONS ? (uint32_t)g->t->gpu.invocations : SG_INVOCATIONS;
  int64_t wanted = thin ? sg_thin_invocations(g, thin) : n / (product ? share_of(n) : 8);
  uint32_t nt = power_down(wanted), tx = 1, least = product && !thin ? ROW : 64;
  g->S = g->t->gpu.subgroup > 1 ? (uint32_t)g->t->gpu.subgroup : 1;
  if (nt < least) nt = least;
  most = power_down(most);
  if (nt > most) nt = most;
  nt = enough_for_moved(g, nt, most);
  if (nt < g->S) g->S = 1; /* the shape, and so every sum, is the same for any size of subgroups */
  if (product) {
    while (tx < nt && (int64_t)tx * tx * t.r < (int64_t)nt * t.c) tx *= 2;
    if (reduces(g, 1) && tx > ROW) tx = ROW;
  } else {
    uint32_t ty = power_down(t.r) < nt / ROW ? power_down(t.r) : nt / ROW;
    tx = nt / ty;
  }
  make_room(g, nt, most, &tx);
  g->TX = tx, g->TY = g->NT / tx;
  if (g->t->gpu.subgroups && g->NT > g->S * (uint32_t)g->t->gpu.subgroups) g->S = 1;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

static int words_of(sn_elem e) { return sg_is_wide(e) ? 2 : 1; }

/* Rows of patterns begin at multiples of 16 bytes, and not all in the same banks. */
uint32_t sg_pitch(const sg *g, sn_elem e, int columns) {
  if (is_patterns(g, e)) return ((uint32_t)columns + 7) / 8 * 8 + 8;
  return columns == 1 ? 1 : (uint32_t)columns + 1;
}

static int depth_of(const sg *g, sn_kv mma) {
  const sn_kins *x = sg_ins(g, mma);
  sn_ktype a = sg_ins(g, x->a[1])->type;
  return x->i & SN_K_TA ? a.r : a.c;
}

static sn_elem factors_of(const sg *g, sn_kv mma) { return sg_ins(g, sg_ins(g, mma)->a[1])->type.elem; }

/* Steps of k in one round. */
uint32_t sg_step_of(const sg *g, sn_kv mma) {
  uint32_t depth = (uint32_t)depth_of(g, mma);
  if (!g->quads[mma]) return depth < SG_DEPTH ? depth : SG_DEPTH;
  sn_gpu_matrix m = sg_matrix_of(g, factors_of(g, mma));
  uint32_t unit = g->matrices && m.k > 8 ? (uint32_t)m.k : 8;
  return depth < g->depth ? (depth + unit - 1) / unit * unit : g->depth;
}

/* Do the extents suit the matrices? */
static bool suits(const sg *g, sn_kv mma, sn_gpu_matrix m) {
  const sn_kins *x = sg_ins(g, mma);
  if (!g->matrices || !m.m || x->type.r % m.m || x->type.c % m.n || m.n % 4) return false;
  if (g->quads[mma]) return (m.m | m.n | m.k) % 8 == 0 && sg_step_of(g, mma) % (uint32_t)m.k == 0;
  return is_patterns(g, factors_of(g, mma)) && depth_of(g, mma) % m.k == 0 && SG_DEPTH % m.k == 0;
}

sg_grid sg_grid_of(const sg *g, sn_kv mma) {
  const sn_kins *x = sg_ins(g, mma);
  sn_gpu_matrix m = sg_matrix_of(g, factors_of(g, mma));
  if (g->value[mma].thin || !suits(g, mma, m)) return (sg_grid){0};
  uint32_t rows = (uint32_t)(x->type.r / m.m), cols = (uint32_t)(x->type.c / m.n), all = g->NT / g->S;
  sg_grid best = {0};
  for (uint32_t sr = 1; sr <= all; sr *= 2) {
    uint32_t sc = all / sr;
    if (rows % sr || cols % sc) continue;
    sg_grid y = {sr, sc, rows / sr, cols / sc};
    if (!best.rows || y.r + y.c < best.r + best.c) best = y;
  }
  return best;
}

/* The result leaves in pieces of so many rows, each with rows of every invocation. */
uint32_t sg_piece_of(const sg *g, sn_kv mma) {
  const sn_kins *x = sg_ins(g, mma);
  sg_axis r = sg_axis_of((uint32_t)x->type.r, g->TY);
  uint32_t piece = r.threads * r.vec, m = (uint32_t)sg_matrix_of(g, factors_of(g, mma)).m;
  return piece % m || r.extent % piece ? r.extent : piece;
}

/* Elements that products read four at a time, in rows that begin at multiples of four and not all in the same banks. */
static bool is_whole_quads(const sg *g, sn_kv v, int cols) {
  sn_elem e = sg_ins(g, v)->type.elem;
  return g->whole_quads && (g->S == 1 || g->S > SG_NARROW_LANES) && g->value[v].factor && cols >= 4 && !sg_is_wide(e) &&
         e != SN_ELEM_BOOL;
}

/* Where it takes not half as much again, there is room for what registers hold beyond the tile: nothing is guarded. */
static void slot_of_tile(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_value *i = &g->value[v];
  if (is_patterns(g, x->type.elem)) {
    i->pitch = sg_pitch(g, x->type.elem, x->type.c);
    i->slot = sg_slot_new(g, (int64_t)x->type.r * i->pitch, i->def, i->last);
    g->slot[i->slot].array = SG_NARROW;
    return;
  }
  uint32_t rows = sg_padded(sg_axis_of((uint32_t)x->type.r, g->TY));
  uint32_t cols = sg_padded(sg_axis_of((uint32_t)x->type.c, g->TX));
  i->padded = i->registers && 2 * (int64_t)rows * cols <= 3 * (int64_t)x->type.r * x->type.c;
  if (!i->padded) rows = (uint32_t)x->type.r, cols = (uint32_t)x->type.c;
  bool quads = is_whole_quads(g, v, (int)cols);
  i->pitch = quads ? (cols + 3) / 4 * 4 + 4 : sg_pitch(g, x->type.elem, (int)cols);
  int64_t words = (int64_t)rows * i->pitch * words_of(x->type.elem);
  i->slot = sg_slot_new(g, quads ? words / 4 : words, i->def, i->last);
  if (quads) g->slot[i->slot].array = SG_QUADS;
}

/* The operand of a product that is walked, 0: it is not; *turned: by transpositions and flags on the way. */
static sn_kv walked(const sg *g, sn_kv v, bool *turned) {
  while (g->value[v].alias) v = g->value[v].alias, *turned = !*turned;
  return g->value[v].walked ? v : 0;
}

/* Rows and columns of one round of a factor. */
static sn_ktype round_of(const sg *g, sn_kv load, bool k_over_rows, uint32_t step) {
  sn_ktype t = sg_ins(g, load)->type;
  *(k_over_rows ? &t.r : &t.c) = (int)step;
  return t;
}

/* Can both factors be brought in as quads? Beyond their ends they are zeros. */
static bool is_quads(const sg *g, sn_kv mma, const sn_kv *load, const bool *turned) {
  if (!g->depth || !load[0] || !load[1]) return false;
  for (int side = 0; side < 2; side++) {
    const sn_kins *x = sg_ins(g, load[side]);
    if (sg_is_wide(x->type.elem) || x->type.elem == SN_ELEM_BOOL || x->f != 0) return false;
    sn_ktype t = round_of(g, load[side], turned[side] != (side == 1), sg_step_of(g, mma));
    if ((int64_t)t.r * ((t.c + 3) / 4) > SG_TURNS * (int64_t)g->NT) return false;
  }
  return true;
}

uint32_t sg_packed(const sg *g, sn_kv mma) {
  return g->leaving[mma] < 0 ? 4 : 16 / (uint32_t)sn_elem_bytes(factors_of(g, mma));
}

uint32_t sg_quad_exchange(uint32_t columns, uint32_t packed, bool along_k) {
  bool power = columns >= 16 && !(columns & (columns - 1));
  return packed == 4 && along_k && power ? (columns / 4 - 1) & 7 : 0;
}

/* A multiple of four, and rows do not begin in the same banks. */
uint32_t sg_quad_pitch(uint32_t columns, uint32_t packed, bool along_k) {
  if (sg_quad_exchange(columns, packed, along_k)) return columns;
  return (columns + packed - 1) / packed * 4 + 4;
}

/* Do matrices of bytes begin between quads? Then their factors are words. */
static bool between_quads(const sg *g, sn_kv mma) {
  sn_gpu_matrix m = sg_matrix_of(g, factors_of(g, mma));
  return g->quads[mma] && (uint32_t)(m.m | m.n | m.k) % sg_packed(g, mma);
}

static void slots_of_product(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  if (g->value[v].thin) {
    g->staging[v] = sg_slot_new(g, sg_thin_words(g, v), g->value[v].def, g->value[v].def);
    return;
  }
  bool turned[2] = {(x->i & SN_K_TA) != 0, (x->i & SN_K_TB) != 0};
  sn_kv load[2] = {0};
  for (int side = 0; side < 2; side++) load[side] = walked(g, x->a[1 + side], &turned[side]);
  g->quads[v] = true; /* for the size of a step */
  g->quads[v] = is_quads(g, v, load, turned);
  int def = g->value[v].def - 1;
  bool matrices = sg_grid_of(g, v).rows != 0, late = g->quads[v] || sg_ins(g, x->a[0])->op == SN_K_CONST;
  if (matrices) {
    int64_t quads = (int64_t)sg_piece_of(g, v) * (x->type.c + 7) / 4;
    g->leaving[v] = sg_slot_new(g, quads, late ? def + 1 : def, def + 1);
    g->slot[g->leaving[v]].array = SG_QUADS;
  }
  if (!load[0] && !load[1]) return;
  bool words = matrices && between_quads(g, v);
  for (int side = 0; side < 2; side++) {
    bool k_over_rows = turned[side] != (side == 1), patterns = false;
    int64_t size = 1;
    if (load[side]) {
      sn_ktype t = round_of(g, load[side], k_over_rows, sg_step_of(g, v));
      patterns = is_patterns(g, t.elem);
      size = g->quads[v] ? (int64_t)t.r * sg_quad_pitch((uint32_t)t.c, sg_packed(g, v), !k_over_rows) / (words ? 1 : 4)
                         : (int64_t)t.r * sg_pitch(g, t.elem, t.c) * words_of(t.elem);
    }
    int slot = sg_slot_new(g, size, def, def);
    g->slot[slot].array = g->quads[v] && !words ? SG_QUADS : patterns ? SG_NARROW : SG_WORDS;
    if (!side) g->staging[v] = slot;
  }
}

static void slots_of_reductions(sg *g) {
  int words = 0;
  uint32_t lanes = g->S;
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    bool reduces = x->op == SN_K_RSUM || x->op == SN_K_RMAX || x->op == SN_K_RPROD || x->op == SN_K_RARGMAX;
    if (!reduces || !g->value[v].registers) continue;
    sn_ktype t = sg_ins(g, x->a[0])->type;
    sg_axis a = x->i ? sg_axis_of((uint32_t)t.c, g->TX) : sg_axis_of((uint32_t)t.r, g->TY);
    uint32_t reach = x->i ? a.threads : a.threads * g->TX; /* invocations further away than a subgroup */
    int need = words_of(t.elem) + (x->op == SN_K_RARGMAX);
    if (a.threads > 1 && reach > lanes && need > words) words = need;
  }
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    if (!g->value[v].thin || sg_ins(g, v)->op != SN_K_MMA) continue;
    int need = words_of(sg_ins(g, v)->type.elem);
    if (sg_thin_reach(g, v) > lanes && need > words) words = need;
  }
  g->reduce_slot = -1;
  if (!words) return;
  for (int i = 0; i < 2; i++) {
    int slot = sg_slot_new(g, (int64_t)SG_BATCH * (int64_t)g->NT * words, 0, g->position + 1);
    if (!i) g->reduce_slot = slot;
  }
}

static bool find_slots(sg *g) {
  g->slot_count = 0, g->global_words = 0;
  memset(g->size, 0, sizeof g->size);
  for (sn_kv v = 1; v < g->k->ins_count; v++) {
    const sn_kins *x = sg_ins(g, v);
    g->value[v].slot = g->staging[v] = g->leaving[v] = -1;
    if (x->op == SN_K_LOCAL) {
      int64_t words = x->i * words_of(x->type.elem);
      g->value[v].slot = sg_slot_new(g, words, g->value[v].def, g->value[v].last);
    } else if (x->op == SN_K_PARAM && sg_is_ordered(g, v)) {
      g->value[v].slot = sg_slot_new(g, 0, 0, g->position + 1);
    } else if (g->value[v].staged) {
      slot_of_tile(g, v);
    }
    if (x->op == SN_K_MMA) slots_of_product(g, v);
  }
  slots_of_reductions(g);
  return sg_slots_place(g);
}

/* Do all slots lie in shared memory with these choices? */
static bool all_shared(sg *g, bool matrices, uint32_t depth) {
  g->matrices = matrices, g->depth = depth, g->why = NULL;
  bool fits = find_slots(g);
  for (int i = 0; i < g->slot_count; i++) fits &= !g->slot[i].global;
  return fits;
}

/* Cooperative matrices need shared memory and nothing else for what invocations share: kernels with other memory that
 * is shared do without. */
static bool by_matrices(sg *g, uint32_t depth) {
  bool any = false, fits = all_shared(g, true, depth);
  for (sn_kv v = 1; v < g->k->ins_count; v++) any |= g->leaving[v] >= 0;
  for (int i = 0; i < g->slot_count; i++) fits &= g->slot[i].words != 0;
  return any && fits;
}

static void place_everything(sg *g) {
  if (g->S > 1 && (g->t->gpu.f16.m || g->t->gpu.bf16.m || g->t->gpu.i8.m) && g->NT % g->S == 0)
    for (uint32_t depth = 2 * SG_DEPTH; depth >= SG_DEPTH / 2; depth /= 2)
      if (by_matrices(g, depth)) return;
  for (int quads = 1; quads >= 0; quads--) {
    g->whole_quads = quads;
    for (uint32_t depth = SG_DEPTH; depth >= SG_DEPTH / 2; depth /= 2)
      if (all_shared(g, false, depth)) return;
  }
  (void)all_shared(g, false, 0);
}

/* ---- what loops touch -------------------------------------------------------------------------------------------- */

typedef struct touched {
  uint64_t *read, *written;
} touched;

static void mark(uint64_t *set, int slot) {
  if (slot >= 0) set[slot / 64] |= (uint64_t)1 << (slot % 64);
}

static void touch(sg *g, const sn_kblock *b, touched t);

static void touch_one(sg *g, sn_kv v, touched t) {
  const sn_kins *x = sg_ins(g, v);
  bool memory = sn_kop_class(x->op) == SN_KCLASS_MEM && x->op != SN_K_LOCAL;
  if (memory) mark(x->op == SN_K_STORE ? t.written : t.read, g->value[x->a[0]].slot);
  if (g->value[v].staged) mark(t.written, g->value[v].slot);
  for (int j = 0; j < x->count; j++) {
    sn_kv u = x->a[j];
    if (!u || !sg_is_tile(sg_ins(g, u))) continue;
    while (g->value[u].alias) u = g->value[u].alias;
    if (g->value[u].staged) mark(t.read, g->value[u].slot);
  }
  if (sn_kop_class(x->op) == SN_KCLASS_SHAPE && g->reduce_slot >= 0)
    for (int i = 0; i < 2; i++) mark(t.read, g->reduce_slot + i), mark(t.written, g->reduce_slot + i);
  if (x->op == SN_K_MMA && g->leaving[v] >= 0) mark(t.read, g->leaving[v]), mark(t.written, g->leaving[v]);
  if (x->op == SN_K_MMA && g->staging[v] >= 0)
    for (int i = 0; i < (g->value[v].thin ? 1 : 2); i++)
      mark(t.read, g->staging[v] + i), mark(t.written, g->staging[v] + i);
}

static void touch_results(sg *g, const sn_kv *values, int count, touched t) {
  for (int j = 0; j < count; j++)
    if (g->value[values[j]].staged) mark(t.written, g->value[values[j]].slot);
}

static void touch(sg *g, const sn_kblock *b, touched t) {
  for (int j = 0; j < b->count; j++) {
    sn_kv v = b->ins[j];
    const sn_kins *x = sg_ins(g, v);
    touch_one(g, v, t);
    if (x->op != SN_K_FOR && x->op != SN_K_IF) continue;
    touched in = {SN_ARRAY(g->arena, g->words, uint64_t), SN_ARRAY(g->arena, g->words, uint64_t)};
    int count = x->body[0]->yield_count;
    if (x->op == SN_K_FOR) touch_results(g, x->in, count, in);
    for (int side = 0; side < 2 && x->body[side]; side++) touch(g, x->body[side], in);
    g->loop_read[v] = in.read, g->loop_written[v] = in.written;
    for (int i = 0; i < g->words; i++) t.read[i] |= in.read[i], t.written[i] |= in.written[i];
    touch_results(g, x->out, count, t);
  }
}

/* ---- what is not supported --------------------------------------------------------------------------------------- */

static const char *refused(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  if (x->op == SN_K_MMA && x->i & SN_K_VNNI) return reason(g, v, "pairs of rows as operands");
  if (sn_kop_is_elementary(x->op)) return reason(g, v, "an elementary function that was not expanded");
  if (x->type.elem == SN_ELEM_F64 && !g->t->gpu.float64) return reason(g, v, "the device has no f64");
  if (is_moved(g, v) && (int64_t)x->type.r * x->type.c > SG_ELEMENTS * (int64_t)g->NT)
    return reason(g, v, "a tile too large to be brought in at once");
  if (!sg_is_tile(x) || !g->value[v].registers) return NULL;
  sg_axis r = sg_axis_of((uint32_t)x->type.r, g->TY), c = sg_axis_of((uint32_t)x->type.c, g->TX);
  return r.per * c.per > SG_ELEMENTS ? reason(g, v, "a tile too large for the registers of a workgroup") : NULL;
}

bool sg_analyse(sg *g) {
  size_t n = (size_t)g->k->ins_count + 1;
  g->value = SN_ARRAY(g->arena, n, sg_value);
  g->tile = SN_ARRAY(g->arena, n, sg_tile);
  g->index = SN_ARRAY(g->arena, n, spv_id);
  g->trail = SN_ARRAY(g->arena, n, sn_kv);
  g->staging = SN_ARRAY(g->arena, n, int);
  g->leaving = SN_ARRAY(g->arena, n, int);
  g->quads = SN_ARRAY(g->arena, n, bool);
  g->loop_read = SN_ARRAY(g->arena, n, uint64_t *);
  g->loop_written = SN_ARRAY(g->arena, n, uint64_t *);
  bool *whole = SN_ARRAY(g->arena, n, bool);
  scan(g, g->k->body);
  settle_transpositions(g, whole);
  sg_thin_find(g);
  settle_loads(g, whole);
  settle_registers(g);
  if (g->t->gpu.invocations < ROW || (g->t->gpu.subgroup & (g->t->gpu.subgroup - 1)) ||
      g->t->gpu.subgroup > g->t->gpu.invocations) {
    g->why = "a device whose workgroups or subgroups have other sizes than powers of two from 32 on";
    return false;
  }
  shape_workgroup(g);
  for (sn_kv v = 1; v < g->k->ins_count && !g->why; v++) g->why = refused(g, v);
  if (g->why) return false;
  place_everything(g);
  if (g->why) return false;
  touched t = {SN_ARRAY(g->arena, g->words, uint64_t), SN_ARRAY(g->arena, g->words, uint64_t)};
  touch(g, g->k->body, t);
  if (g->global_words > (1 << 24)) g->why = "more scratch than 64 MiB for a workgroup";
  return !g->why;
}
