/* Windows: memory <-> registers and slots. Loads have no branches: an invalid element reads element (0, 0) of its
 * window and is replaced by the pad; a window without valid elements reads the start of its buffer. */
#include <string.h>

#include "backends/spirv/sg.h"

/* ---- what a window is -------------------------------------------------------------------------------------------- */

static bool is_one(sg *g, sn_kv v) {
  int64_t c;
  return sn_k_is_const(g->k, v, &c) && c == 1;
}

/* May offsets r * rs + c * cs leave 31 bits? */
static bool is_far(sg *g, const sn_kins *x, sn_ktype shape) {
  int64_t reach = 0;
  int64_t rows = x->op == SN_K_GATHER ? INT32_MAX : shape.r;
  for (int i = 2; i < 4; i++) {
    int64_t lo, hi, n = i == 2 ? rows : shape.c, step;
    sn_k_bounds(g->k, x->a[i], &lo, &hi);
    if (lo == INT64_MIN || hi == INT64_MAX) return true;
    int64_t most = hi > -lo ? hi : -lo;
    if (most < 0 || __builtin_mul_overflow(most, n, &step) || __builtin_add_overflow(reach, step, &reach)) return true;
  }
  return reach > INT32_MAX / 8;
}

/* A limit, clamped to [0, extent]; 0: it never bites. */
static spv_id limit(sg *g, sn_kv v, int extent) {
  int64_t c;
  if (!v) return 0;
  if (sn_k_is_const(g->k, v, &c)) return c >= extent ? 0 : spv_u32(g->s, (uint32_t)(c < 0 ? 0 : c));
  spv_id type = sg_long_type(g), n = sg_index(g, v), zero = sg_longk(g, 0), most = sg_longk(g, extent);
  spv_id negative = sg_long_test(g, SpvOpSLessThan, n, zero);
  n = sg_select(g, type, negative, zero, n);
  spv_id less = sg_long_test(g, SpvOpSLessThan, n, most);
  n = sg_select(g, type, less, n, most);
  return sg_low(g, n);
}

/* Is there a valid element? 0: surely */
static spv_id is_any(sg *g, const sg_window *w) {
  spv_id rows = w->rows ? sg_testc(g, SpvOpINotEqual, w->rows, 0) : 0;
  spv_id cols = w->cols ? sg_testc(g, SpvOpINotEqual, w->cols, 0) : 0;
  return sg_both(g, rows, cols);
}

static void global_base(sg *g, const sn_kins *x, sg_window *w) {
  spv_id type = sg_long_type(g);
  spv_id off = sg_index(g, x->a[1]);
  off = sg_longc(g, SpvOpIMul, off, (int64_t)sn_elem_bytes(w->elem));
  spv_id any = is_any(g, w), zero = sg_longk(g, 0);
  if (any) off = sg_select(g, type, any, off, zero);
  spv_id buffer = sg_index(g, x->a[0]);
  w->base = sg_long(g, SpvOpIAdd, buffer, off);
}

static void local_base(sg *g, const sn_kins *x, sg_window *w) {
  spv_id word = spv_uint(g->s, 32);
  w->base = sg_index32(g, x->a[1]);
  spv_id any = is_any(g, w), zero = spv_u32(g->s, 0);
  if (any) w->base = sg_select(g, word, any, w->base, zero);
}

static uint32_t known_divisor(sg *g, sn_kv v) {
  int64_t d = sn_k_divisor(g->k, v);
  if (d == 0) return 16;
  return d % 16 == 0 ? 16 : d % 8 == 0 ? 8 : d % 4 == 0 ? 4 : d % 2 == 0 ? 2 : 1;
}

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t alignment(sg *g, const sn_kins *x) {
  uint32_t across = x->a[5] ? known_divisor(g, x->a[5]) : 16;
  return least(across, least(known_divisor(g, x->a[1]), known_divisor(g, x->a[2])));
}

sg_window sg_window_of(sg *g, const sn_kins *x, sn_ktype shape) {
  const sn_kins *b = sg_ins(g, x->a[0]);
  sg_window w = {.elem = b->type.elem, .slot = g->value[x->a[0]].slot, .local = b->op == SN_K_LOCAL};
  w.wide = !w.local && is_far(g, x, shape);
  w.rows = limit(g, x->a[4], shape.r), w.cols = limit(g, x->a[5], shape.c);
  w.rs = w.wide ? sg_index(g, x->a[2]) : sg_index32(g, x->a[2]);
  if (!is_one(g, x->a[3])) w.cs = w.wide ? sg_index(g, x->a[3]) : sg_index32(g, x->a[3]);
  if (w.local)
    local_base(g, x, &w);
  else
    global_base(g, x, &w);
  w.align = alignment(g, x);
  if (x->op != SN_K_STORE) w.pad = sg_const(g, w.elem, x->f);
  return w;
}

/* ---- elements ---------------------------------------------------------------------------------------------------- */

/* An operation on numbers of the window's index type. */
static spv_id position(sg *g, const sg_window *w, spv_opcode op, spv_id a, spv_id b) {
  return w->wide ? sg_long(g, op, a, b) : sg_int(g, op, a, b);
}

/* Offset of element (r, c) in elements, of the window's index type. */
static spv_id offset(sg *g, const sg_window *w, spv_id r, spv_id c) {
  if (w->wide) r = sg_long_of(g, r), c = sg_long_of(g, c);
  r = position(g, w, SpvOpIMul, r, w->rs);
  if (w->cs) c = position(g, w, SpvOpIMul, c, w->cs);
  return position(g, w, SpvOpIAdd, r, c);
}

/* The offset, or 0 where the element is not valid. */
static spv_id guarded(sg *g, const sg_window *w, spv_id at, spv_id ok) {
  if (!ok) return at;
  spv_id zero = w->wide ? sg_longk(g, 0) : spv_u32(g->s, 0);
  return sg_select(g, w->wide ? sg_long_type(g) : spv_uint(g->s, 32), ok, at, zero);
}

static uint32_t bytes_of(const sg_window *w) { return (uint32_t)sn_elem_bytes(w->elem); }

/* Can single elements of 1 or 2 bytes be reached? Where addresses are pairs of words, they cannot: a pair becomes a
 * pointer by OpBitcast, which validators do not let give one to a type that is for memory only. */
static bool reaches(sg *g, uint32_t bytes) {
  if (bytes >= 4) return true;
  return !g->t->gpu.no_int64 && (bytes == 2 ? g->t->gpu.storage16 : g->t->gpu.storage8);
}

/* The integer type of an element in memory. */
static spv_id memory_type(sg *g, uint32_t bytes) {
  if (bytes == 1) spv_capability(g->s, SpvCapabilityStorageBuffer8BitAccess);
  if (bytes == 2) spv_capability(g->s, SpvCapabilityStorageBuffer16BitAccess);
  if (bytes == 8) return sg_long_type(g);
  return bytes < 4 ? spv_uint_storage(g->s, (int)(8 * bytes)) : spv_uint(g->s, 32);
}

/* The integer type in which elements of memory are taken apart: narrow ones are widened first. */
static spv_id word_type(sg *g, uint32_t bytes) { return bytes == 8 ? sg_long_type(g) : spv_uint(g->s, 32); }

static spv_id vector_of(sg *g, spv_id type, uint32_t v) { return v == 1 ? type : spv_vector(g->s, type, v); }

/* A word -> register. */
static spv_id from_word(sg *g, const sg_window *w, spv_id x) {
  sn_elem e = w->elem;
  if (w->raw) return x;
  if (sg_is_wide(e)) return e == SN_ELEM_I64 ? x : sg_bits(g, sg_type(g, e), x);
  return sg_widen(g, e, x);
}

static spv_id to_word(sg *g, sn_elem e, spv_id x) {
  if (sg_is_wide(e)) return e == SN_ELEM_I64 ? x : sg_bits(g, sg_long_type(g), x);
  return sg_narrow(g, e, x);
}

/* Offsets of elements -> of chunks of v. */
static spv_id chunk_number(sg *g, const sg_window *w, spv_id at, uint32_t v) {
  if (v == 1) return at;
  int log = __builtin_ctz(v);
  spv_id shift = w->wide ? sg_longk(g, log) : spv_u32(g->s, (uint32_t)log);
  return position(g, w, SpvOpShiftRightArithmetic, at, shift);
}

/* A pointer to part `number` of what lies at an address. What passes from hand to hand is coherent. */
static spv_id part_at(sg *g, const sg_window *w, spv_id address, spv_id type, uint32_t stride, spv_id number) {
  bool ordered = w->slot >= 0 && !w->local;
  return (ordered ? spv_at_coherent : spv_at)(g->s, address, type, stride, number);
}

/* A pointer to elements at, at+1, ... at+v-1 as one value. */
static spv_id chunk_at(sg *g, const sg_window *w, spv_id type, uint32_t v, spv_id at) {
  uint32_t bytes = bytes_of(w);
  if (!w->wide || !g->t->gpu.no_int64) {
    spv_id number = chunk_number(g, w, at, v);
    return part_at(g, w, w->base, type, v * bytes, number);
  }
  spv_id far = sg_longc(g, SpvOpIMul, at, bytes), none = spv_u32(g->s, 0);
  spv_id address = sg_long(g, SpvOpIAdd, w->base, far);
  return part_at(g, w, address, type, v * bytes, none);
}

/* Elements narrower than what memory can be reached by: the word that holds the element, and where it begins. */
static spv_id word_around(sg *g, const sg_window *w, spv_id at, spv_id *shift) {
  uint32_t bytes = bytes_of(w);
  spv_id word = spv_uint(g->s, 32);
  spv_id far = w->wide ? at : sg_extend(g, at);
  spv_id address = sg_longc(g, SpvOpIMul, far, bytes);
  address = sg_long(g, SpvOpIAdd, w->base, address);
  spv_id low = sg_low(g, address);
  low = sg_intc(g, SpvOpBitwiseAnd, low, 3);
  *shift = sg_mul(g, low, 8);
  address = sg_longc(g, SpvOpBitwiseAnd, address, ~(int64_t)3);
  spv_id none = spv_u32(g->s, 0);
  return part_at(g, w, address, word, 4, none);
}

static spv_id load_narrow(sg *g, const sg_window *w, spv_id at) {
  spv_id shift, word = spv_uint(g->s, 32);
  spv_id p = word_around(g, w, at, &shift);
  spv_id x = spv_load(g->s, word, p, 4);
  x = sg_int(g, SpvOpShiftRightLogical, x, shift);
  x = sg_intc(g, SpvOpBitwiseAnd, x, bytes_of(w) == 2 ? 0xffff : 0xff);
  return w->raw ? x : sg_widen(g, w->elem, x);
}

/* Other invocations write the rest of the word: its bits are cleared and set without touching theirs. */
static void store_narrow(sg *g, const sg_window *w, spv_id at, spv_id value) {
  spv_id shift, word = spv_uint(g->s, 32);
  spv_id p = word_around(g, w, at, &shift);
  spv_id bits = sg_narrow(g, w->elem, value);
  bits = sg_intc(g, SpvOpBitwiseAnd, bits, bytes_of(w) == 2 ? 0xffff : 0xff);
  bits = sg_int(g, SpvOpShiftLeftLogical, bits, shift);
  spv_id mask = spv_u32(g->s, bytes_of(w) == 2 ? 0xffff : 0xff);
  mask = sg_int(g, SpvOpShiftLeftLogical, mask, shift);
  mask = spv_op1(g->s, SpvOpNot, word, mask);
  /* the Vulkan memory model has the wider scope as a capability of its own */
  spv_id scope = spv_u32(g->s, g->matrices ? SpvScopeQueueFamily : SpvScopeDevice), order = spv_u32(g->s, 0);
  spv_op(g->s, SpvOpAtomicAnd, word, 4, (uint32_t[]){p, scope, order, mask});
  spv_op(g->s, SpvOpAtomicOr, word, 4, (uint32_t[]){p, scope, order, bits});
}

static spv_id moved_by(sg *g, const sg_window *w, spv_id at, uint32_t count) {
  if (!count) return at;
  return position(g, w, SpvOpIAdd, at, w->wide ? sg_longk(g, count) : spv_u32(g->s, count));
}

/* Do v elements fill words? Then they are moved as such, whatever access to narrow memory the device has: drivers take
 * vectors of narrow elements apart. */
static bool fills_words(const sg_window *w, uint32_t v) { return bytes_of(w) < 4 && v * bytes_of(w) % 4 == 0; }

static void load_words(sg *g, const sg_window *w, spv_id at, uint32_t v, spv_id *out) {
  uint32_t bytes = bytes_of(w), n = v * bytes / 4, per = 4 / bytes;
  spv_id word = spv_uint(g->s, 32), type = vector_of(g, word, n);
  spv_id p = chunk_at(g, w, type, v, at);
  spv_id x = spv_load(g->s, type, p, v * bytes);
  for (uint32_t i = 0; i < n; i++) {
    spv_id all = n == 1 ? x : spv_op2(g->s, SpvOpCompositeExtract, word, x, i);
    for (uint32_t q = 0; q < per; q++) {
      spv_id part = q ? sg_intc(g, SpvOpShiftRightLogical, all, 8 * bytes * q) : all;
      if (q + 1 < per) part = sg_intc(g, SpvOpBitwiseAnd, part, bytes == 2 ? 0xffff : 0xff);
      out[i * per + q] = from_word(g, w, part);
    }
  }
}

static void store_words(sg *g, const sg_window *w, spv_id at, uint32_t v, const spv_id *value) {
  uint32_t bytes = bytes_of(w), n = v * bytes / 4, per = 4 / bytes;
  spv_id word = spv_uint(g->s, 32), type = vector_of(g, word, n), part[4];
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t q = 0; q < per; q++) {
      spv_id bits = sg_narrow(g, w->elem, value[i * per + q]);
      if (q + 1 < per) bits = sg_intc(g, SpvOpBitwiseAnd, bits, bytes == 2 ? 0xffff : 0xff);
      if (q) bits = sg_intc(g, SpvOpShiftLeftLogical, bits, 8 * bytes * q);
      part[i] = q ? sg_int(g, SpvOpBitwiseOr, part[i], bits) : bits;
    }
  }
  spv_id x = n == 1 ? part[0] : spv_op(g->s, SpvOpCompositeConstruct, type, (int)n, part);
  spv_id p = chunk_at(g, w, type, v, at);
  spv_store(g->s, p, x, v * bytes);
}

/* Elements at, at+1, ... at+v-1 -> out. `at` is a multiple of v then. */
static void load_chunk(sg *g, const sg_window *w, spv_id at, uint32_t v, spv_id *out) {
  if (w->local) {
    spv_id place = sg_int(g, SpvOpIAdd, w->base, at);
    out[0] = sg_slot_load(g, w->slot, w->elem, place);
    return;
  }
  if (fills_words(w, v)) {
    load_words(g, w, at, v, out);
    return;
  }
  if (!reaches(g, bytes_of(w))) {
    for (uint32_t q = 0; q < v; q++) out[q] = load_narrow(g, w, moved_by(g, w, at, q));
    return;
  }
  uint32_t bytes = bytes_of(w);
  spv_id memory = memory_type(g, bytes), word = word_type(g, bytes), type = vector_of(g, memory, v);
  spv_id p = chunk_at(g, w, type, v, at);
  spv_id x = spv_load(g->s, type, p, v * bytes);
  if (bytes < 4) x = spv_op1(g->s, SpvOpUConvert, vector_of(g, word, v), x);
  for (uint32_t q = 0; q < v; q++) {
    spv_id part = v == 1 ? x : spv_op2(g->s, SpvOpCompositeExtract, word, x, q);
    out[q] = from_word(g, w, part);
  }
}

static void store_chunk(sg *g, const sg_window *w, spv_id at, uint32_t v, const spv_id *value) {
  if (w->local) {
    spv_id place = sg_int(g, SpvOpIAdd, w->base, at);
    sg_slot_store(g, w->slot, w->elem, place, value[0]);
    return;
  }
  if (fills_words(w, v)) {
    store_words(g, w, at, v, value);
    return;
  }
  if (!reaches(g, bytes_of(w))) {
    for (uint32_t q = 0; q < v; q++) store_narrow(g, w, moved_by(g, w, at, q), value[q]);
    return;
  }
  uint32_t bytes = bytes_of(w);
  spv_id memory = memory_type(g, bytes), word = word_type(g, bytes), type = vector_of(g, memory, v), part[4];
  for (uint32_t q = 0; q < v; q++) part[q] = to_word(g, w->elem, value[q]);
  spv_id x = v == 1 ? part[0] : spv_op(g->s, SpvOpCompositeConstruct, vector_of(g, word, v), (int)v, part);
  if (bytes < 4) x = spv_op1(g->s, SpvOpUConvert, type, x);
  spv_id p = chunk_at(g, w, type, v, at);
  spv_store(g->s, p, x, v * bytes);
}

/* Elements that may be moved together where `most` lie side by side. */
static uint32_t chunk_of(sg *g, const sg_window *w, uint32_t most) {
  if (w->cs || w->local || bytes_of(w) == 8) return 1;
  uint32_t v = most > 4 ? 4 : most;
  while (v > 1 && w->align % v) v /= 2;
  return reaches(g, bytes_of(w)) || fills_words(w, v) ? v : 1;
}

uint32_t sg_window_chunk(sg *g, const sn_kins *x, uint32_t most) {
  sg_window w = {.elem = sg_ins(g, x->a[0])->type.elem, .align = alignment(g, x)};
  uint32_t v = bytes_of(&w) == 2 ? 8 : 4;
  if (!is_one(g, x->a[3]) || !reaches(g, bytes_of(&w)) || bytes_of(&w) == 8) return 1;
  while (v > most || w.align % v) v /= 2;
  return v;
}

/* The same along an axis of a tile: no chunk may reach beyond its extent. */
static uint32_t chunk_along(sg *g, const sg_window *w, sg_axis a) {
  uint32_t v = chunk_of(g, w, a.vec);
  while (v > 1 && a.extent % v) v /= 2;
  return v;
}

static spv_id row_ok(sg *g, const sg_window *w, sg_axis a, spv_id r) {
  spv_id limited = w->rows ? sg_test(g, SpvOpULessThan, r, w->rows) : 0;
  spv_id inside = sg_inside(g, a, r);
  return sg_both(g, limited, inside);
}

static spv_id col_ok(sg *g, const sg_window *w, sg_axis a, spv_id c) {
  spv_id limited = w->cols ? sg_test(g, SpvOpULessThan, c, w->cols) : 0;
  spv_id inside = sg_inside(g, a, c);
  return sg_both(g, limited, inside);
}

static void padded(sg *g, const sg_window *w, spv_id ok, uint32_t v, spv_id *e) {
  for (uint32_t q = 0; ok && q < v; q++) {
    spv_id type = w->raw ? spv_uint(g->s, 32) : sg_type(g, w->elem);
    e[q] = sg_select(g, type, ok, e[q], w->pad);
  }
}

void sg_load(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_window w = sg_window_of(g, x, x->type);
  sg_tile t = sg_tile_new(g, x->type.r, x->type.c);
  uint32_t n = chunk_along(g, &w, t.c);
  sg_will(g, w.slot, -1, -1);
  for (uint32_t i = 0; i < t.r.per; i++) {
    spv_id r = sg_coordinate(g, t.r, true, i), rows = row_ok(g, &w, t.r, r);
    for (uint32_t j = 0; j < t.c.per; j += n) {
      spv_id c = sg_coordinate(g, t.c, false, j), cols = col_ok(g, &w, t.c, c);
      spv_id ok = sg_both(g, rows, cols), at = offset(g, &w, r, c);
      at = guarded(g, &w, at, ok);
      load_chunk(g, &w, at, n, &t.e[i * t.c.per + j]);
      padded(g, &w, ok, n, &t.e[i * t.c.per + j]);
    }
  }
  g->tile[v] = t;
}

void sg_store(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile t = g->tile[x->a[6]];
  sg_window w = sg_window_of(g, x, sg_ins(g, x->a[6])->type);
  uint32_t n = chunk_along(g, &w, t.c);
  sg_will(g, -1, -1, w.slot);
  spv_id owner = sg_owner(g, t);
  for (uint32_t i = 0; i < t.r.per; i++) {
    spv_id r = sg_coordinate(g, t.r, true, i), rows = row_ok(g, &w, t.r, r);
    rows = sg_both(g, owner, rows);
    spv_id outer = rows ? spv_if(g->s, rows) : 0;
    for (uint32_t j = 0; j < t.c.per; j += n) {
      spv_id c = sg_coordinate(g, t.c, false, j), ok = col_ok(g, &w, t.c, c), inner = ok ? spv_if(g->s, ok) : 0;
      spv_id at = offset(g, &w, r, c);
      store_chunk(g, &w, at, n, &t.e[i * t.c.per + j]);
      if (ok) spv_end_if(g->s, inner);
    }
    if (rows) spv_end_if(g->s, outer);
  }
}

/* Element (r, c) is row x[r, 0 or c] of the window; rows of a tile lie as the tile does. */
void sg_gather(sg *g, sn_kv v) {
  const sn_kins *x = sg_ins(g, v);
  sg_tile rows = g->tile[x->a[6]], t = sg_tile_new(g, x->type.r, x->type.c);
  sg_window w = sg_window_of(g, x, x->type);
  uint32_t n = rows.c.extent == 1 && x->type.c > 1 ? chunk_along(g, &w, t.c) : 1;
  sg_will(g, w.slot, -1, -1);
  for (uint32_t i = 0; i < t.r.per; i++) {
    spv_id r = sg_coordinate(g, t.r, true, i), valid = row_ok(g, &w, t.r, r);
    for (uint32_t j = 0; j < t.c.per; j += n) {
      spv_id c = sg_coordinate(g, t.c, false, j), cols = col_ok(g, &w, t.c, c), ok = sg_both(g, valid, cols);
      spv_id row = rows.e[i * rows.c.per + (rows.c.extent == 1 ? 0 : j)], at = offset(g, &w, row, c);
      at = guarded(g, &w, at, ok);
      load_chunk(g, &w, at, n, &t.e[i * t.c.per + j]);
      padded(g, &w, ok, n, &t.e[i * t.c.per + j]);
    }
  }
  g->tile[v] = t;
}

/* ---- global memory -> four words --------------------------------------------------------------------------------- */

/* Is (r, c) valid, and its offset; where it is not, that of element (0, 0). */
static spv_id place_of(sg *g, const sg_window *w, spv_id r, spv_id c, spv_id *ok) {
  spv_id rows = w->rows ? sg_test(g, SpvOpULessThan, r, w->rows) : 0;
  spv_id cols = w->cols ? sg_test(g, SpvOpULessThan, c, w->cols) : 0;
  *ok = sg_both(g, rows, cols);
  spv_id at = offset(g, w, r, c);
  return guarded(g, w, at, *ok);
}

/* Patterns of bytes or of 16 bits as they lie in memory: v elements, words of them. */
static void load_patterns(sg *g, const sg_window *w, spv_id at, uint32_t v, spv_id *out) {
  spv_id word = spv_uint(g->s, 32);
  uint32_t n = v * bytes_of(w) / 4;
  spv_id type = vector_of(g, word, n);
  spv_id p = chunk_at(g, w, type, v, at);
  spv_id x = spv_load(g->s, type, p, 4 * n);
  for (uint32_t q = 0; q < n; q++) out[q] = n == 1 ? x : spv_op2(g->s, SpvOpCompositeExtract, word, x, q);
}

static spv_id load_element(sg *g, const sg_window *w, spv_id r, spv_id c) {
  spv_id ok, at = place_of(g, w, r, c, &ok), x;
  load_chunk(g, w, at, 1, &x);
  padded(g, w, ok, 1, &x);
  return x;
}

/* 16 bytes of patterns: `count` elements. */
static void patterns(sg *g, const sg_window *w, spv_id r, spv_id c, uint32_t count, spv_id out[4]) {
  uint32_t v = w->cs ? 1 : count, per = count / 4;
  while (v > 1 && w->align % v) v /= 2;
  if (v < per) v = 1;
  for (uint32_t q = 0; q < count; q += v) {
    spv_id col = sg_add(g, c, q), ok, *to = out + q / per;
    if (v > 1) {
      spv_id at = place_of(g, w, r, col, &ok);
      load_patterns(g, w, at, v, to);
      padded(g, w, ok, v / per, to);
      continue;
    }
    spv_id x = load_element(g, w, r, col);
    if (q % per) x = sg_intc(g, SpvOpShiftLeftLogical, x, q % per * 8 * bytes_of(w));
    *to = q % per ? sg_int(g, SpvOpBitwiseOr, *to, x) : x;
  }
}

void sg_window_quad(sg *g, const sg_window *from, spv_id r, spv_id c, uint32_t count, spv_id out[4]) {
  sg_window w = *from;
  w.raw = true, w.pad = spv_u32(g->s, 0);
  if (count > 4) {
    patterns(g, &w, r, c, count, out);
    return;
  }
  uint32_t v = chunk_of(g, &w, 4);
  for (uint32_t q = 0; q < 4; q += v) {
    spv_id col = sg_add(g, c, q), ok, at = place_of(g, &w, r, col, &ok);
    load_chunk(g, &w, at, v, out + q);
    padded(g, &w, ok, v, out + q);
  }
}

/* ---- global memory -> slot: dealt out linearly, a chunk for each invocation and turn ----------------------------- */

static spv_id moved(sg *g, spv_id coordinate, spv_id from) {
  return from ? sg_int(g, SpvOpIAdd, coordinate, from) : coordinate;
}

static void stage_chunk(sg *g, const sg_window *w, spv_id r, spv_id c, spv_id row0, spv_id col0, uint32_t v,
                        spv_id *out) {
  r = moved(g, r, row0), c = moved(g, c, col0);
  spv_id ok, at = place_of(g, w, r, c, &ok);
  load_chunk(g, w, at, v, out);
  padded(g, w, ok, v, out);
}

void sg_window_elements(sg *g, const sg_window *w, spv_id r, spv_id c, uint32_t v, spv_id *out) {
  if (v < 8) {
    stage_chunk(g, w, r, c, 0, 0, v, out);
    return;
  }
  spv_id ok, at = place_of(g, w, r, c, &ok), pair[4];
  load_patterns(g, w, at, v, pair);
  for (uint32_t q = 0; q < 4; q++) {
    spv_id low = sg_intc(g, SpvOpBitwiseAnd, pair[q], 0xffff), high = sg_intc(g, SpvOpShiftRightLogical, pair[q], 16);
    out[2 * q] = from_word(g, w, low);
    out[2 * q + 1] = from_word(g, w, high);
  }
  padded(g, w, ok, v, out);
}

void sg_window_stage(sg *g, const sg_window *from, int r, int c, spv_id row0, spv_id col0, int slot, uint32_t pitch) {
  sg_window as_stored = *from;
  const sg_window *w = &as_stored;
  as_stored.raw = g->slot[slot].array == SG_NARROW && !from->local;
  if (as_stored.raw) as_stored.pad = sg_narrow(g, from->elem, from->pad);
  uint32_t v = chunk_of(g, w, c % 4 == 0 ? 4 : c % 2 == 0 ? 2 : 1), per = (uint32_t)c / v, total = (uint32_t)r * per;
  sg_will(g, w->slot, -1, slot);
  for (uint32_t q = 0; q < total; q += g->NT) {
    spv_id e = sg_add(g, g->tid, q);
    spv_id part = q + g->NT > total ? sg_testc(g, SpvOpULessThan, e, total) : 0, merge = part ? spv_if(g->s, part) : 0;
    spv_id row = sg_intc(g, SpvOpUDiv, e, per), col = sg_intc(g, SpvOpUMod, e, per), x[4];
    col = sg_mul(g, col, v);
    stage_chunk(g, w, row, col, row0, col0, v, x);
    spv_id at = sg_mul(g, row, pitch);
    at = sg_int(g, SpvOpIAdd, at, col);
    bool quad = v == 4 && g->slot[slot].array == SG_QUADS;
    if (quad) sg_slot_store_four(g, slot, w->elem, at, x);
    for (uint32_t z = 0; z < v && !quad; z++) {
      spv_id place = sg_add(g, at, z);
      if (w->raw)
        sg_slot_pattern(g, slot, place, x[z]);
      else
        sg_slot_store(g, slot, w->elem, place, x[z]);
    }
    if (part) spv_end_if(g->s, merge);
  }
}
