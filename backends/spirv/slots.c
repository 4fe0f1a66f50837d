/* Memory that the invocations of a workgroup share, and the barriers between its uses. What does not fit shared memory
 * lies in the workspace, a stretch of global memory for each workgroup. */
#include <stdlib.h>
#include <string.h>

#include "backends/spirv/sg.h"

/* ---- before emission --------------------------------------------------------------------------------------------- */

int sg_slot_new(sg *g, int64_t words, int def, int last) {
  if (g->slot_count == g->slot_capacity) {
    int more = g->slot_capacity ? 2 * g->slot_capacity : 32;
    sg_slot *slot = SN_ARRAY(g->arena, more, sg_slot);
    if (g->slot_count) memcpy(slot, g->slot, (size_t)g->slot_count * sizeof *slot);
    g->slot = slot, g->slot_capacity = more;
  }
  words = (words + 7) / 8 * 8; /* matrices want rows at multiples of 16 bytes */
  g->slot[g->slot_count] = (sg_slot){.words = words, .def = def, .last = last};
  return g->slot_count++;
}

static bool live_together(const sg_slot *a, const sg_slot *b) { return a->def <= b->last && b->def <= a->last; }

/* The lowest place of one kind of memory that slots before it leave free while it lives. */
static int64_t place_of(const sg *g, int slot, bool global) {
  const sg_slot *s = &g->slot[slot];
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < slot; i++) {
      const sg_slot *o = &g->slot[i];
      if (!o->words || o->global != global || o->array != s->array || !live_together(o, s)) continue;
      if (at < o->at + o->words && o->at < at + s->words) at = o->at + o->words, moved = true;
    }
  }
  return at;
}

static bool share_bytes(const sg_slot *a, const sg_slot *b) {
  return a->words && b->words && a->global == b->global && a->array == b->array && a->at < b->at + b->words &&
         b->at < a->at + a->words;
}

static void set_bit(uint64_t *set, int i) { set[i / 64] |= (uint64_t)1 << (i % 64); }

int64_t sg_shared_bytes(const sg *g) { return 4 * g->size[SG_WORDS] + 2 * g->size[SG_NARROW] + 16 * g->size[SG_QUADS]; }

/* Patterns and quads first: they have no other place. */
static bool place_shared(sg *g) {
  for (int i = 0; i < g->slot_count; i++) {
    sg_slot *s = &g->slot[i];
    if (s->array == SG_WORDS) continue;
    s->at = place_of(g, i, false);
    if (s->at + s->words > g->size[s->array]) g->size[s->array] = s->at + s->words;
  }
  return sg_shared_bytes(g) <= g->t->gpu.shared_bytes;
}

bool sg_slots_place(sg *g) {
  if (g->slot_count > SG_SLOTS) {
    g->why = "more pieces of scratch, staged tiles and ordered buffers than 512";
    return false;
  }
  if (!place_shared(g)) return false;
  int64_t most = (g->t->gpu.shared_bytes - sg_shared_bytes(g)) / 4;
  for (int i = 0; i < g->slot_count; i++) {
    sg_slot *s = &g->slot[i];
    if (!s->words || s->array != SG_WORDS) continue;
    s->at = place_of(g, i, false);
    s->global = s->at + s->words > most;
    if (s->global) s->at = place_of(g, i, true);
    int64_t *end = s->global ? &g->global_words : &g->size[SG_WORDS];
    if (s->at + s->words > *end) *end = s->at + s->words;
  }
  g->words = (g->slot_count + 63) / 64 + 1;
  for (int i = 0; i < g->slot_count; i++) {
    g->slot[i].meets = SN_ARRAY(g->arena, g->words, uint64_t);
    for (int k = 0; k < g->slot_count; k++)
      if (k == i || share_bytes(&g->slot[i], &g->slot[k])) set_bit(g->slot[i].meets, k);
  }
  g->read = SN_ARRAY(g->arena, g->words, uint64_t);
  g->written = SN_ARRAY(g->arena, g->words, uint64_t);
  return true;
}

uint64_t *sg_bits_of(sg *g, const uint64_t *from) {
  uint64_t *to = SN_ARRAY(g->arena, g->words, uint64_t);
  memcpy(to, from, (size_t)g->words * sizeof *to);
  return to;
}

/* ---- barriers ---------------------------------------------------------------------------------------------------- */

void sg_slots_begin(sg *g) {
  for (sg_array a = SG_WORDS; a < SG_ARRAYS; a++) {
    if (!g->size[a]) continue;
    spv_id element = spv_uint(g->s, a == SG_NARROW ? 16 : 32);
    if (a == SG_QUADS) element = spv_vector(g->s, element, 4);
    spv_id array = spv_array(g->s, element, (uint32_t)g->size[a]);
    g->array[a] = spv_global(g->s, SpvStorageClassWorkgroup, array);
  }
}

static void barrier(sg *g) {
  memset(g->read, 0, (size_t)g->words * sizeof *g->read);
  memset(g->written, 0, (size_t)g->words * sizeof *g->written);
  if (++g->barriers == g->drop) return;
  bool global = g->global_words != 0;
  for (int i = 0; i < g->slot_count; i++) global |= !g->slot[i].words;
  uint32_t semantics = SpvMemorySemanticsAcquireReleaseMask | SpvMemorySemanticsWorkgroupMemoryMask;
  if (global) semantics |= SpvMemorySemanticsUniformMemoryMask;
  if (g->matrices) semantics |= SpvMemorySemanticsMakeAvailableMask | SpvMemorySemanticsMakeVisibleMask;
  spv_id scope = spv_u32(g->s, SpvScopeWorkgroup);
  spv_id order = spv_u32(g->s, semantics);
  spv_do(g->s, SpvOpControlBarrier, 3, (uint32_t[]){scope, scope, order});
}

static bool meet(const sg *g, const uint64_t *a, const uint64_t *b) {
  for (int i = 0; i < g->words; i++)
    if (a[i] & b[i]) return true;
  return false;
}

static bool must_wait(const sg *g, int slot, bool write) {
  if (slot < 0) return false;
  return meet(g, g->slot[slot].meets, g->written) || (write && meet(g, g->slot[slot].meets, g->read));
}

void sg_will(sg *g, int read, int also, int write) {
  if (must_wait(g, read, false) || must_wait(g, also, false) || must_wait(g, write, true)) barrier(g);
  if (read >= 0) set_bit(g->read, read);
  if (also >= 0) set_bit(g->read, also);
  if (write >= 0) set_bit(g->written, write);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static spv_id quad_number(sg *g, const sg_slot *s, spv_id word) {
  spv_id q = sg_intc(g, SpvOpShiftRightLogical, word, 2);
  return sg_add(g, q, (uint32_t)s->at);
}

/* A pointer to word `at` of the slot. */
static spv_id pointer(sg *g, const sg_slot *s, spv_id at) {
  spv_id word = spv_uint(g->s, 32);
  if (s->global) return spv_at_coherent(g->s, g->workspace, word, 4, sg_add(g, at, (uint32_t)s->at));
  spv_id type = spv_pointer(g->s, SpvStorageClassWorkgroup, word);
  if (s->array == SG_WORDS)
    return spv_op2(g->s, SpvOpAccessChain, type, g->array[SG_WORDS], sg_add(g, at, (uint32_t)s->at));
  spv_id number = quad_number(g, s, at);
  spv_id part = sg_intc(g, SpvOpBitwiseAnd, at, 3);
  return spv_op3(g->s, SpvOpAccessChain, type, g->array[SG_QUADS], number, part);
}

static spv_id word_load(sg *g, const sg_slot *s, spv_id at) {
  spv_id word = spv_uint(g->s, 32);
  spv_id p = pointer(g, s, at);
  return s->global ? spv_load(g->s, word, p, 4) : spv_load_shared(g->s, word, p);
}

static void word_store(sg *g, const sg_slot *s, spv_id at, spv_id value) {
  spv_id p = pointer(g, s, at);
  if (s->global)
    spv_store(g->s, p, value, 4);
  else
    spv_store_shared(g->s, p, value);
}

static spv_id wide_load(sg *g, const sg_slot *s, sn_elem e, spv_id element) {
  spv_id at = sg_mul(g, element, 2);
  spv_id low = word_load(g, s, at);
  at = sg_add(g, at, 1);
  spv_id high = word_load(g, s, at);
  spv_id word = spv_uint(g->s, 32);
  spv_id pair = spv_vector(g->s, word, 2);
  spv_id both = spv_op2(g->s, SpvOpCompositeConstruct, pair, low, high);
  return sg_of_words(g, e, both);
}

spv_id sg_slot_narrow(sg *g, int slot, spv_id element) {
  spv_id pattern = spv_uint(g->s, 16);
  spv_id type = spv_pointer(g->s, SpvStorageClassWorkgroup, pattern);
  spv_id place = sg_add(g, element, (uint32_t)g->slot[slot].at);
  return spv_op2(g->s, SpvOpAccessChain, type, g->array[SG_NARROW], place);
}

/* ---- quads ------------------------------------------------------------------------------------------------------- */

static spv_id quad_type(sg *g) { return spv_vector(g->s, spv_uint(g->s, 32), 4); }

spv_id sg_quad(sg *g, int slot, spv_id word) {
  if (g->slot[slot].array == SG_WORDS) return pointer(g, &g->slot[slot], word);
  spv_id quad = quad_type(g);
  spv_id type = spv_pointer(g->s, SpvStorageClassWorkgroup, quad);
  spv_id number = quad_number(g, &g->slot[slot], word);
  return spv_op2(g->s, SpvOpAccessChain, type, g->array[SG_QUADS], number);
}

void sg_quad_load(sg *g, int slot, spv_id word, spv_id out[4]) {
  spv_id p = sg_quad(g, slot, word), part = spv_uint(g->s, 32);
  spv_id x = spv_load_shared(g->s, quad_type(g), p);
  for (uint32_t i = 0; i < 4; i++) out[i] = spv_op2(g->s, SpvOpCompositeExtract, part, x, i);
}

void sg_quad_store(sg *g, int slot, spv_id word, const spv_id words[4]) {
  if (g->slot[slot].array == SG_WORDS) {
    for (uint32_t i = 0; i < 4; i++) word_store(g, &g->slot[slot], sg_add(g, word, i), words[i]);
    return;
  }
  spv_id p = sg_quad(g, slot, word);
  spv_id x = spv_op(g->s, SpvOpCompositeConstruct, quad_type(g), 4, words);
  spv_store_shared(g->s, p, x);
}

spv_id sg_quad_word(sg *g, int slot, spv_id word) { return pointer(g, &g->slot[slot], word); }

/* ---- elements ---------------------------------------------------------------------------------------------------- */

static spv_id pattern_load(sg *g, int slot, sn_elem e, spv_id element) {
  spv_id pattern = spv_uint(g->s, 16), word = spv_uint(g->s, 32);
  spv_id p = sg_slot_narrow(g, slot, element);
  spv_id x = spv_load_shared(g->s, pattern, p);
  x = spv_op1(g->s, SpvOpUConvert, word, x);
  return sg_widen(g, e, x);
}

void sg_slot_pattern(sg *g, int slot, spv_id element, spv_id bits) {
  spv_id pattern = spv_uint(g->s, 16);
  spv_id p = sg_slot_narrow(g, slot, element);
  spv_id x = spv_op1(g->s, SpvOpUConvert, pattern, bits);
  spv_store_shared(g->s, p, x);
}

spv_id sg_slot_load(sg *g, int slot, sn_elem e, spv_id element) {
  const sg_slot *s = &g->slot[slot];
  if (s->array == SG_NARROW) return pattern_load(g, slot, e, element);
  if (sg_is_wide(e)) return wide_load(g, s, e, element);
  spv_id x = word_load(g, s, element), type = sg_type(g, e);
  if (e == SN_ELEM_BOOL) return sg_testc(g, SpvOpINotEqual, x, 0);
  return type == spv_uint(g->s, 32) ? x : sg_bits(g, type, x);
}

static void wide_store(sg *g, const sg_slot *s, sn_elem e, spv_id element, spv_id value) {
  spv_id word = spv_uint(g->s, 32), both = sg_words(g, e, value);
  spv_id at = sg_mul(g, element, 2);
  for (uint32_t i = 0; i < 2; i++) {
    spv_id half = spv_op2(g->s, SpvOpCompositeExtract, word, both, i);
    word_store(g, s, sg_add(g, at, i), half);
  }
}

/* A register of 32 bits as the word that its slot holds. */
static spv_id word_of(sg *g, sn_elem e, spv_id value) {
  spv_id word = spv_uint(g->s, 32);
  if (e != SN_ELEM_BOOL) return sg_type(g, e) == word ? value : sg_bits(g, word, value);
  spv_id one = spv_u32(g->s, 1), zero = spv_u32(g->s, 0);
  return sg_select(g, word, value, one, zero);
}

void sg_slot_store(sg *g, int slot, sn_elem e, spv_id element, spv_id value) {
  const sg_slot *s = &g->slot[slot];
  if (s->array == SG_NARROW) {
    spv_id bits = sg_narrow(g, e, value);
    sg_slot_pattern(g, slot, element, bits);
    return;
  }
  if (sg_is_wide(e)) {
    wide_store(g, s, e, element, value);
    return;
  }
  value = word_of(g, e, value);
  word_store(g, s, element, value);
}

void sg_slot_store_four(sg *g, int slot, sn_elem e, spv_id element, const spv_id value[4]) {
  spv_id words[4];
  for (uint32_t i = 0; i < 4; i++) words[i] = word_of(g, e, value[i]);
  sg_quad_store(g, slot, element, words);
}

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

void sg_put(sg *g, sg_tile x, sn_elem e, int slot, uint32_t pitch, bool padded) {
  sg_will(g, -1, -1, slot);
  spv_id owner = sg_owner(g, x), merge = owner ? spv_if(g->s, owner) : 0;
  bool quads = g->slot[slot].array == SG_QUADS && x.c.vec == 4 && (padded || x.c.extent % 4 == 0);
  uint32_t step = quads ? 4 : 1;
  for (uint32_t i = 0; i < x.r.per; i++) {
    spv_id r = sg_coordinate(g, x.r, true, i), row_ok = padded ? 0 : sg_inside(g, x.r, r);
    spv_id line = sg_mul(g, r, pitch);
    for (uint32_t j = 0; j < x.c.per; j += step) {
      spv_id c = sg_coordinate(g, x.c, false, j), col_ok = padded ? 0 : sg_inside(g, x.c, c);
      spv_id ok = sg_both(g, row_ok, col_ok), inner = ok ? spv_if(g->s, ok) : 0;
      spv_id at = sg_int(g, SpvOpIAdd, line, c);
      if (quads)
        sg_slot_store_four(g, slot, e, at, &x.e[i * x.c.per + j]);
      else
        sg_slot_store(g, slot, e, at, x.e[i * x.c.per + j]);
      if (ok) spv_end_if(g->s, inner);
    }
  }
  if (owner) spv_end_if(g->s, merge);
}

void sg_stage(sg *g, sn_kv v) {
  const sg_value *a = &g->value[v];
  sg_put(g, g->tile[v], sg_ins(g, v)->type.elem, a->slot, a->pitch, a->padded);
}

sg_tile sg_unstage(sg *g, sn_elem e, int r, int c, int slot, uint32_t pitch, bool turned) {
  sg_tile y = sg_tile_new(g, r, c);
  sg_will(g, slot, -1, -1);
  for (uint32_t i = 0; i < y.r.per; i++) {
    spv_id row = sg_clipped(g, y.r, true, i);
    for (uint32_t j = 0; j < y.c.per; j++) {
      spv_id col = sg_clipped(g, y.c, false, j);
      spv_id line = sg_mul(g, turned ? col : row, pitch);
      spv_id at = sg_int(g, SpvOpIAdd, line, turned ? row : col);
      y.e[i * y.c.per + j] = sg_slot_load(g, slot, e, at);
    }
  }
  return y;
}
