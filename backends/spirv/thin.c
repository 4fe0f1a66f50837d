/* Thin products: at most eight rows, or eight columns, and factors that are loads. Every weight is read once, straight
 * from global memory, by the one invocation that multiplies it with all rows; invocations have shares of k, loads of 16
 * bytes and several of them under way, and share nothing before their sums meet pair by pair. What is said of rows here
 * is the short side of the result, what is said of columns the other one, with the weights. */
#include "backends/spirv/sg.h"

enum {
  ROWS = 8,        /* most rows */
  SUMS = 64,       /* most sums of an invocation */
  RESULT = 512,    /* most elements of the result */
  DEPTH = 32,      /* least steps of k */
  CASTS = 4,       /* most conversions of a factor */
  NEIGHBOURS = 32, /* invocations side by side along k where the weights lie so */
};

/* A factor: a load, on its way converted from elem[0] to elem[1], elem[2], ... */
typedef struct factor {
  const sn_kins *load;
  bool k_over_rows;
  sn_elem elem[CASTS + 1];
  int casts;
  sg_window w, last; /* last: ends where k does */
} factor;

typedef struct thin {
  sg *g;
  const sn_kins *x;
  bool turned; /* the rows are the columns of the tile */
  uint32_t rows, cols, depth;
  factor few, many; /* of the rows, of the columns: the weights */
  /* Lanes of columns * lanes of k are all invocations; a chunk of weights is `wide` columns by `deep` steps of k, one
   * of which is 1; an invocation has `chunks` of columns, and `steps` chunks of k in a round. along: k lies side by
   * side. */
  bool along;
  uint32_t wide, deep, col_lanes, k_lanes, chunks, steps;
  spv_id col_lane, first; /* first: step of k of this invocation in a round */
  spv_id *col;            /* of its chunks */
  spv_id type;
  sn_elem elem; /* of the sums */
} thin;

static uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

/* ---- which products ---------------------------------------------------------------------------------------------- */

/* side 0: the first factor, whose summed axis runs over columns unless it is turned; 1: the second, over rows. */
static bool find_factor(const sg *g, const sn_kins *mma, int side, factor *f) {
  bool turned = (mma->i & (side ? SN_K_TB : SN_K_TA)) != 0;
  sn_elem last[CASTS + 1];
  const sn_kins *x = sg_ins(g, mma->a[1 + side]);
  int n = 0;
  for (; x->op == SN_K_TRANS || x->op == SN_K_CAST; x = sg_ins(g, x->a[0])) {
    if (x->op == SN_K_TRANS) turned = !turned;
    if (x->op == SN_K_CAST && n == CASTS) return false;
    if (x->op == SN_K_CAST) last[n++] = x->type.elem;
  }
  if (x->op != SN_K_LOAD || x->f != 0) return false;
  const sn_kins *b = sg_ins(g, x->a[0]);
  if (b->op != SN_K_PARAM || g->k->param[b->i].role != SN_K_IN) return false;
  *f = (factor){.load = x, .k_over_rows = turned != (side == 1), .casts = n, .elem = {b->type.elem}};
  for (int i = 0; i < n; i++) f->elem[i + 1] = last[n - 1 - i];
  return true;
}

static bool find(const sg *g, sn_kv mma, thin *p) {
  const sn_kins *x = sg_ins(g, mma);
  sn_ktype a = sg_ins(g, x->a[1])->type;
  factor f[2];
  if (!find_factor(g, x, 0, &f[0]) || !find_factor(g, x, 1, &f[1])) return false;
  *p = (thin){.x = x, .turned = x->type.c < x->type.r, .elem = x->type.elem};
  p->few = f[p->turned], p->many = f[!p->turned];
  p->rows = (uint32_t)(p->turned ? x->type.c : x->type.r), p->cols = (uint32_t)(p->turned ? x->type.r : x->type.c);
  p->depth = (uint32_t)(x->i & SN_K_TA ? a.r : a.c);
  return p->rows <= ROWS && p->rows * (int64_t)p->cols <= RESULT && p->depth >= DEPTH && !(x->i & SN_K_VNNI);
}

static void count_uses(const sg *g, const sn_kblock *b, int *uses) {
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sg_ins(g, b->ins[j]);
    for (int i = 0; i < x->count; i++) uses[x->a[i]]++;
    for (int side = 0; side < 2 && x->body[side]; side++) count_uses(g, x->body[side], uses);
  }
  for (int j = 0; j < b->yield_count; j++) uses[b->yield[j]]++;
}

/* Does nobody else use what leads to the factor? */
static bool is_alone(const sg *g, sn_kv v, const int *uses) {
  while (sg_ins(g, v)->op != SN_K_LOAD) {
    if (uses[v] != 1) return false;
    v = sg_ins(g, v)->a[0];
  }
  return uses[v] == 1;
}

/* Nothing on the way to the factor is made for itself. */
static void take(sg *g, sn_kv v) {
  for (bool load = false; !load; v = sg_ins(g, v)->a[0]) {
    sg_value *i = &g->value[v];
    load = sg_ins(g, v)->op == SN_K_LOAD;
    i->registers = i->staged = false, i->alias = 0, i->thin = true, i->walked = load;
  }
}

void sg_thin_find(sg *g) {
  int *uses = SN_ARRAY(g->arena, g->k->ins_count + 1, int);
  const sn_kblock *b = g->k->body;
  thin p;
  count_uses(g, b, uses);
  for (int j = 0; j < b->count; j++) {
    const sn_kins *x = sg_ins(g, b->ins[j]);
    if (x->op != SN_K_MMA || !find(g, b->ins[j], &p)) continue;
    if (!is_alone(g, x->a[1], uses) || !is_alone(g, x->a[2], uses)) continue;
    g->value[b->ins[j]].thin = true;
    take(g, x->a[1]), take(g, x->a[2]);
  }
}

int64_t sg_thin_invocations(const sg *g, sn_kv mma) {
  thin p;
  return find(g, mma, &p) ? (int64_t)p.cols * p.depth / 16 : 1;
}

/* ---- how it lies over the invocations ---------------------------------------------------------------------------- */

/* Elements along an axis that are loaded at once: no load reaches beyond the end. */
static uint32_t chunk(sg *g, const factor *f, bool over_rows, uint32_t most, uint32_t extent) {
  uint32_t v = over_rows ? 1 : sg_window_chunk(g, f->load, most);
  while (extent % v) v /= 2;
  return v;
}

static void spread(thin *p) {
  sg *g = p->g;
  p->along = !p->many.k_over_rows;
  p->wide = p->along ? 1 : chunk(g, &p->many, false, p->cols, p->cols);
  p->deep = p->along ? chunk(g, &p->many, false, p->depth, p->depth) : 1;
  uint32_t most = p->along ? g->NT / NEIGHBOURS : g->NT;
  p->col_lanes = sg_power_up(divide_up(p->cols, p->wide));
  if (p->col_lanes > most) p->col_lanes = most;
  while (p->rows * divide_up(p->cols, p->col_lanes) > SUMS) p->col_lanes *= 2;
  p->k_lanes = g->NT / p->col_lanes;
  p->chunks = divide_up(p->cols, p->col_lanes * p->wide);
  uint32_t all = divide_up(p->depth, p->k_lanes * p->deep), flight = p->rows * p->chunks * p->wide > SUMS / 4 ? 8 : 16;
  most = flight > p->chunks ? flight / p->chunks : 1;
  p->steps = divide_up(all, divide_up(all, most));
}

static bool plan(sg *g, sn_kv mma, thin *p) {
  bool found = find(g, mma, p);
  p->g = g;
  if (found) spread(p);
  return found;
}

static uint32_t sums_of(const thin *p) { return p->rows * p->chunks * p->wide; }

int64_t sg_thin_words(sg *g, sn_kv mma) {
  thin p;
  return plan(g, mma, &p) ? (int64_t)sums_of(&p) * p.col_lanes * (sg_is_wide(p.elem) ? 2 : 1) : 0;
}

uint32_t sg_thin_reach(sg *g, sn_kv mma) {
  thin p;
  if (!plan(g, mma, &p) || p.k_lanes == 1) return 1;
  return p.along ? p.k_lanes : g->NT;
}

/* ---- a round of k ------------------------------------------------------------------------------------------------ */

static void open_window(thin *p, factor *f) {
  sg *g = p->g;
  f->w = f->last = sg_window_of(g, f->load, f->load->type);
  spv_id *end = f->k_over_rows ? &f->last.rows : &f->last.cols;
  if (!*end) *end = spv_u32(g->s, p->depth);
}

static void find_place(thin *p) {
  sg *g = p->g;
  uint32_t low = p->along ? p->k_lanes : p->col_lanes;
  spv_id inner = sg_intc(g, SpvOpBitwiseAnd, g->tid, low - 1);
  spv_id outer = sg_intc(g, SpvOpShiftRightLogical, g->tid, sg_log2(low));
  p->col_lane = p->along ? outer : inner;
  p->first = sg_mul(g, p->along ? inner : outer, p->along ? p->deep : p->steps);
  p->col = SN_ARRAY(g->arena, p->chunks + 1, spv_id);
  spv_id word = spv_uint(g->s, 32), last = spv_u32(g->s, p->cols - p->wide);
  for (uint32_t a = 0; a < p->chunks; a++) {
    p->col[a] = sg_add(g, p->col_lane, a * p->col_lanes);
    p->col[a] = sg_mul(g, p->col[a], p->wide);
    if (p->chunks * p->col_lanes * p->wide > p->cols)
      p->col[a] = spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){p->col[a], last});
  }
}

static void convert(thin *p, const factor *f, uint32_t v, spv_id *e) {
  for (uint32_t q = 0; q < v; q++)
    for (int i = 0; i < f->casts; i++) e[q] = sg_cast(p->g, f->elem[i], f->elem[i + 1], e[q]);
}

/* v elements from step k and `other`, a row or a column of the result, on. packed: eight as they lie in memory, in four
 * words: weights wait so for their use. */
static void elements(thin *p, const factor *f, bool last, spv_id k, spv_id other, uint32_t v, bool packed,
                     spv_id *out) {
  spv_id row = f->k_over_rows ? k : other, col = f->k_over_rows ? other : k;
  const sg_window *w = last ? &f->last : &f->w;
  if (packed) {
    sg_window_quad(p->g, w, row, col, 8, out);
    return;
  }
  sg_window_elements(p->g, w, row, col, v, out);
  convert(p, f, v, out);
}

static void unpack(thin *p, const factor *f, const spv_id *words, spv_id *out) {
  sg *g = p->g;
  for (uint32_t q = 0; q < 4; q++) {
    spv_id low = sg_intc(g, SpvOpBitwiseAnd, words[q], 0xffff), high = sg_intc(g, SpvOpShiftRightLogical, words[q], 16);
    out[2 * q] = sg_widen(g, f->elem[0], low);
    out[2 * q + 1] = sg_widen(g, f->elem[0], high);
  }
  convert(p, f, 8, out);
}

static spv_id multiply_add(thin *p, spv_id a, spv_id b, spv_id c) {
  sg *g = p->g;
  if (sn_elem_is_float(p->elem)) return sg_fma(g, p->type, a, b, c);
  spv_id m = sg_int(g, SpvOpIMul, a, b);
  return sg_int(g, SpvOpIAdd, m, c);
}

/* One row times `count` steps of k, whose weights begin at w. */
static void row_times(thin *p, uint32_t row, const spv_id *x, const spv_id *w, uint32_t count, spv_id *sum) {
  for (uint32_t k = 0; k < count; k++)
    for (uint32_t a = 0; a < p->chunks; a++)
      for (uint32_t q = 0; q < p->wide; q++) {
        spv_id *s = &sum[(row * p->chunks + a) * p->wide + q];
        spv_id weight = p->along ? w[a * p->deep + k] : w[(k * p->chunks + a) * p->wide + q];
        *s = multiply_add(p, x[k], weight, *s);
      }
}

/* Steps k0 .. k0 + a round: all loads of weights first. Rows are read as far ahead as steps of k lie side by side. */
static void multiply(thin *p, spv_id k0, bool last, spv_id *sum) {
  sg *g = p->g;
  uint32_t v = p->wide * p->deep, side = p->along ? p->deep : p->steps, stride = p->along ? p->k_lanes * p->deep : 1;
  uint32_t ahead = chunk(g, &p->few, p->few.k_over_rows, side, p->depth);
  while (side % ahead) ahead /= 2;
  bool packed = v == 8;
  uint32_t together = p->along ? 1 : ahead, count = p->along ? p->deep : ahead;
  spv_id *w = SN_ARRAY(g->arena, (size_t)p->steps * p->chunks * v + 1, spv_id), x[8];
  spv_id *now = SN_ARRAY(g->arena, (size_t)together * p->chunks * v + 1, spv_id);
  k0 = k0 ? sg_int(g, SpvOpIAdd, k0, p->first) : p->first;
  for (uint32_t s = 0; s < p->steps; s++)
    for (uint32_t a = 0; a < p->chunks; a++)
      elements(p, &p->many, last, sg_add(g, k0, s * stride), p->col[a], v, packed, &w[(s * p->chunks + a) * v]);
  for (uint32_t s = 0; s < p->steps; s += together) {
    const spv_id *from = &w[s * p->chunks * v];
    for (uint32_t i = 0; packed && i < together * p->chunks; i++)
      unpack(p, &p->many, from + (size_t)i * v, now + (size_t)i * v);
    for (uint32_t row = 0; row < p->rows; row++) {
      spv_id at = sg_add(g, k0, s * stride), r = spv_u32(g->s, row);
      for (uint32_t q = 0; q < count; q += ahead) elements(p, &p->few, last, sg_add(g, at, q), r, ahead, false, &x[q]);
      row_times(p, row, x, packed ? now : from, count, sum);
    }
  }
}

/* Rounds 0 .. count, of `by` steps each. */
static void rounds(thin *p, uint32_t count, uint32_t by, spv_id *sum) {
  sg *g = p->g;
  uint32_t n = sums_of(p);
  if (count < 2) {
    if (count) multiply(p, 0, false, sum);
    return;
  }
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0), end = spv_u32(g->s, count * by), step = spv_u32(g->s, by);
  spv_carry *carry = SN_ARRAY(g->arena, n + 1, spv_carry);
  spv_id *next = SN_ARRAY(g->arena, n + 1, spv_id);
  spv_loop l = spv_loop_begin(g->s, word, zero);
  for (uint32_t e = 0; e < n; e++) carry[e] = spv_loop_carry(g->s, &l, p->type, sum[e]), next[e] = carry[e].phi;
  spv_loop_body(g->s, &l, end, step);
  multiply(p, l.counter, false, next);
  spv_loop_next(g->s, &l);
  for (uint32_t e = 0; e < n; e++) spv_loop_yield(g->s, carry[e], next[e]), sum[e] = carry[e].phi;
  spv_loop_end(g->s, &l);
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

/* Sums of invocations -> the slot: sum i of the lanes of columns, one after the other, then sum i + 1. */
static void gather_sums(thin *p, spv_id *sum, int slot) {
  sg *g = p->g;
  uint32_t lo = p->along ? 0 : sg_log2(p->col_lanes), copies;
  spv_id first;
  uint32_t left = sg_sum_across(g, p->elem, sum, sums_of(p), lo, lo + sg_log2(p->k_lanes), &first, &copies);
  sg_will(g, -1, -1, slot);
  spv_id mine = copies ? sg_intc(g, SpvOpBitwiseAnd, g->tid, copies) : 0;
  spv_id owner = copies ? sg_testc(g, SpvOpIEqual, mine, 0) : 0, merge = owner ? spv_if(g->s, owner) : 0;
  spv_id at = sg_mul(g, first, p->col_lanes);
  at = sg_int(g, SpvOpIAdd, at, p->col_lane);
  for (uint32_t i = 0; i < left; i++) sg_slot_store(g, slot, p->elem, sg_add(g, at, i * p->col_lanes), sum[i]);
  if (owner) spv_end_if(g->s, merge);
}

/* Where the slot holds an element of the result. */
static spv_id place_of(thin *p, spv_id row, spv_id col) {
  sg *g = p->g;
  uint32_t line = p->wide * p->col_lanes;
  spv_id at = sg_mul(g, row, p->chunks * line);
  spv_id a = sg_intc(g, SpvOpShiftRightLogical, col, sg_log2(line)), q = sg_intc(g, SpvOpBitwiseAnd, col, p->wide - 1);
  spv_id lane = sg_intc(g, SpvOpShiftRightLogical, col, sg_log2(p->wide));
  lane = sg_intc(g, SpvOpBitwiseAnd, lane, p->col_lanes - 1);
  a = sg_mul(g, a, line), q = sg_mul(g, q, p->col_lanes);
  at = sg_int(g, SpvOpIAdd, at, a);
  at = sg_int(g, SpvOpIAdd, at, q);
  return sg_int(g, SpvOpIAdd, at, lane);
}

static sg_tile result(thin *p, sg_tile start, int slot) {
  sg *g = p->g;
  const sn_kins *init = sg_ins(g, p->x->a[0]);
  bool nothing = init->op == SN_K_CONST && init->f == 0;
  sg_tile y = sg_tile_new(g, p->x->type.r, p->x->type.c);
  sg_will(g, slot, -1, -1);
  for (uint32_t i = 0; i < y.r.per; i++) {
    spv_id r = sg_clipped(g, y.r, true, i);
    for (uint32_t j = 0; j < y.c.per; j++) {
      spv_id c = sg_clipped(g, y.c, false, j), at = place_of(p, p->turned ? c : r, p->turned ? r : c);
      spv_id x = sg_slot_load(g, slot, p->elem, at), *e = &y.e[i * y.c.per + j];
      *e = nothing ? x : sg_binary(g, SN_K_ADD, p->elem, start.e[i * y.c.per + j], x);
    }
  }
  return y;
}

void sg_thin(sg *g, sn_kv v) {
  thin p;
  if (!plan(g, v, &p)) return;
  p.type = sg_type(g, p.elem);
  open_window(&p, &p.few), open_window(&p, &p.many);
  find_place(&p);
  uint32_t n = sums_of(&p), by = p.k_lanes * p.steps * p.deep, whole = p.depth / by;
  spv_id zero = sg_const(g, p.elem, 0), *sum = SN_ARRAY(g->arena, n + 1, spv_id);
  for (uint32_t i = 0; i < n; i++) sum[i] = zero;
  rounds(&p, whole, by, sum);
  if (p.depth % by) {
    spv_id from = whole ? spv_u32(g->s, whole * by) : 0;
    multiply(&p, from, true, sum);
  }
  gather_sums(&p, sum, g->staging[v]);
  g->tile[v] = result(&p, g->tile[p.x->a[0]], g->staging[v]);
}
