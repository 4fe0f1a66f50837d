/* How products bring their factors in: quads of words go from memory to registers while the round before is computed,
 * and from there to shared memory. Both factors are padded with zeros to whole rounds. */
#include <string.h>

#include "backends/spirv/product.h"

static uint32_t quads_of_row(const sg_factor *f) { return ((uint32_t)f->c + f->packed - 1) / f->packed; }

spv_id sg_factor_place(sg *g, const sg_factor *f, spv_id row, spv_id word) {
  spv_id line = sg_mul(g, row, f->pitch);
  if (f->exchange) {
    spv_id by = sg_intc(g, SpvOpBitwiseAnd, row, 4 * f->exchange); /* of every fourth row another */
    word = sg_int(g, SpvOpBitwiseXor, word, by);
  }
  return sg_int(g, SpvOpIAdd, line, word);
}

/* Which quads of a round this invocation brings in. */
void sg_factor_begin(sg *g, sg_factor *f) {
  uint32_t per = quads_of_row(f), total = (uint32_t)f->r * per;
  spv_id word = spv_uint(g->s, 32);
  f->turns = (total + g->NT - 1) / g->NT;
  for (uint32_t t = 0; t < f->turns; t++) {
    spv_id e = sg_add(g, g->tid, t * g->NT);
    f->part[t] = 0;
    if ((t + 1) * g->NT > total) {
      f->part[t] = sg_testc(g, SpvOpULessThan, e, total);
      spv_id last = spv_u32(g->s, total - 1);
      e = spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){e, last});
    }
    f->row[t] = sg_intc(g, SpvOpUDiv, e, per);
    spv_id quad = sg_intc(g, SpvOpUMod, e, per);
    f->col[t] = sg_mul(g, quad, f->packed);
    spv_id at = sg_mul(g, quad, 4);
    f->place[t] = sg_factor_place(g, f, f->row[t], at);
  }
}

void sg_factor_fetch(sg *g, const sg_factor *f, spv_id k0, spv_id *words) {
  for (uint32_t t = 0; t < f->turns; t++) {
    spv_id r = f->row[t], c = f->col[t];
    if (f->k_over_rows)
      r = sg_int(g, SpvOpIAdd, r, k0);
    else
      c = sg_int(g, SpvOpIAdd, c, k0);
    sg_window_quad(g, &f->w, r, c, f->packed, words + (size_t)4 * t);
  }
}

/* Patterns as matrices want them are there already; others are widened to registers, bit by bit those of 32 bits. */
static void widen(sg *g, const sg_factor *f, const spv_id *from, spv_id *to) {
  spv_id word = spv_uint(g->s, 32);
  memcpy(to, from, 4 * sizeof *to);
  if (f->packed > 4 || sn_elem_bytes(f->w.elem) == 4) return;
  for (uint32_t i = 0; i < 4; i++) {
    to[i] = sg_widen(g, f->w.elem, to[i]);
    if (sg_type(g, f->w.elem) != word) to[i] = sg_bits(g, word, to[i]);
  }
}

void sg_factor_put(sg *g, const sg_factor *f, const spv_id *words) {
  sg_will(g, -1, -1, f->slot);
  for (uint32_t t = 0; t < f->turns; t++) {
    spv_id merge = f->part[t] ? spv_if(g->s, f->part[t]) : 0, x[4];
    widen(g, f, words + (size_t)4 * t, x);
    sg_quad_store(g, f->slot, f->place[t], x);
    if (merge) spv_end_if(g->s, merge);
  }
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

/* Where both factors end at the same limit, what lies beyond is nothing but zeros. */
static spv_id limit_of(sg *g, const sg_walk *w) {
  const sn_kins *a = sg_ins(g, w->f[0]->walked), *b = sg_ins(g, w->f[1]->walked);
  sn_kv la = a->a[w->f[0]->k_over_rows ? 4 : 5], lb = b->a[w->f[1]->k_over_rows ? 4 : 5];
  spv_id known = w->f[0]->k_over_rows ? w->f[0]->w.rows : w->f[0]->w.cols;
  return la && la == lb && known ? known : spv_u32(g->s, w->depth);
}

/* The round behind the last one: nothing of it is used, and it is read where there is something. */
static spv_id ahead(sg *g, const sg_walk *w, const sg_factor *f, spv_id k) {
  if (f->ends) return k;
  spv_id word = spv_uint(g->s, 32), last = spv_u32(g->s, w->depth - w->step);
  return spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){k, last});
}

void sg_walk_begin(sg *g, sg_walk *w) {
  spv_id word = spv_uint(g->s, 32), zero = spv_u32(g->s, 0);
  for (int i = 0; i < 2; i++) sg_factor_begin(g, w->f[i]);
  w->limit = limit_of(g, w);
  for (int i = 0; i < 2; i++) sg_factor_fetch(g, w->f[i], zero, w->words[i]);
  w->loop = spv_loop_begin(g->s, word, zero);
  for (int i = 0; i < 2; i++)
    for (uint32_t e = 0; e < 4 * w->f[i]->turns; e++)
      w->carry[i][e] = spv_loop_carry(g->s, &w->loop, word, w->words[i][e]), w->words[i][e] = w->carry[i][e].phi;
}

void sg_walk_body(sg *g, sg_walk *w) {
  w->read = sg_bits_of(g, g->read), w->written = sg_bits_of(g, g->written);
  spv_id step = spv_u32(g->s, w->step);
  spv_loop_body(g->s, &w->loop, w->limit, step);
  for (int i = 0; i < 2; i++) sg_factor_was_read(g, w->f[i]); /* in the round before */
  for (int i = 0; i < 2; i++) sg_factor_put(g, w->f[i], w->words[i]);
  spv_id next = sg_intc(g, SpvOpIAdd, w->loop.counter, w->step);
  for (int i = 0; i < 2; i++) {
    spv_id k = ahead(g, w, w->f[i], next);
    sg_factor_fetch(g, w->f[i], k, w->words[i]);
  }
  sg_will(g, w->f[0]->slot, w->f[1]->slot, -1);
}

void sg_walk_next(sg *g, sg_walk *w) {
  spv_loop_next(g->s, &w->loop);
  for (int i = 0; i < 2; i++)
    for (uint32_t e = 0; e < 4 * w->f[i]->turns; e++) spv_loop_yield(g->s, w->carry[i][e], w->words[i][e]);
}

void sg_walk_end(sg *g, sg_walk *w) {
  spv_loop_end(g->s, &w->loop);
  for (int i = 0; i < g->words; i++) g->read[i] |= w->read[i], g->written[i] |= w->written[i];
}
