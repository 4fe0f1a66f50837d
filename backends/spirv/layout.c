/* Which invocation holds which element of a tile. */
#include "backends/spirv/sg.h"

sg_axis sg_axis_of(uint32_t extent, uint32_t threads) {
  uint32_t up = sg_power_up(extent);
  sg_axis a = {.extent = extent, .threads = threads < up ? threads : up};
  a.per = (extent + a.threads - 1) / a.threads;
  a.vec = a.per % 4 == 0 ? 4 : a.per % 2 == 0 ? 2 : 1;
  return a;
}

sg_tile sg_tile_new(sg *g, int r, int c) {
  sg_tile t = {.r = sg_axis_of((uint32_t)r, g->TY), .c = sg_axis_of((uint32_t)c, g->TX)};
  t.e = SN_ARRAY(g->arena, sg_count(t), spv_id);
  return t;
}

spv_id sg_coordinate(sg *g, sg_axis a, bool row, uint32_t j) {
  uint32_t fixed = j / a.vec * a.threads * a.vec + j % a.vec;
  if (a.threads == 1) return spv_u32(g->s, fixed);
  spv_id t = row ? g->ty : g->tx;
  if (a.threads < (row ? g->TY : g->TX)) t = sg_intc(g, SpvOpBitwiseAnd, t, a.threads - 1);
  t = sg_mul(g, t, a.vec);
  return sg_add(g, t, fixed);
}

spv_id sg_clipped(sg *g, sg_axis a, bool row, uint32_t j) {
  spv_id x = sg_coordinate(g, a, row, j);
  if (sg_padded(a) == a.extent) return x;
  spv_id word = spv_uint(g->s, 32), last = spv_u32(g->s, a.extent - 1);
  return spv_ext(g->s, SpvGLSLstd450UMin, word, 2, (uint32_t[]){x, last});
}

spv_id sg_owner(sg *g, sg_tile t) {
  spv_id row = t.r.threads < g->TY ? sg_testc(g, SpvOpULessThan, g->ty, t.r.threads) : 0;
  spv_id col = t.c.threads < g->TX ? sg_testc(g, SpvOpULessThan, g->tx, t.c.threads) : 0;
  return sg_both(g, row, col);
}

spv_id sg_inside(sg *g, sg_axis a, spv_id coordinate) {
  return sg_padded(a) == a.extent ? 0 : sg_testc(g, SpvOpULessThan, coordinate, a.extent);
}

sg_tile sg_broadcast(sg *g, sg_tile x, int r, int c) {
  sg_tile y = sg_tile_new(g, r, c);
  for (uint32_t i = 0; i < y.r.per; i++)
    for (uint32_t j = 0; j < y.c.per; j++)
      y.e[i * y.c.per + j] = x.e[(x.r.extent == 1 ? 0 : i) * x.c.per + (x.c.extent == 1 ? 0 : j)];
  return y;
}
