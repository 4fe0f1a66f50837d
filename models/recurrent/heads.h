/* What layers with a matrix state a head have in common: projections to heads, the state, the way out. */
#ifndef SN_MODELS_RECURRENT_HEADS_H
#define SN_MODELS_RECURRENT_HEADS_H

#include "stack.h"

/* clang-format off */
#define HEADS_SIZES                                            \
  (int, layers,  2,   "blocks", .max = 4096),                  \
  (int, width,   64,  "size of the residual stream", SN_SIZE), \
  (int, heads,   4,   "heads: one state each", SN_SIZE),       \
  (int, key,     16,  "features of a key", SN_SIZE),           \
  (int, context, 256, "longest sequence", SN_SIZE),            \
  (int, vocab,   256, "tokens", SN_SIZE)
#define HEADS_SETTINGS(type) SN_SETTINGS(type, HEADS_SIZES)
/* The rate at which a key is replaced: below 1, or below 2, where what it held may change its sign. Grazzi et al. 2024. */
#define HEADS_RATE (double, most, 1, "bound of the rate at which keys are replaced")
/* clang-format on */

/* x [B, T, width] -> [B, T, heads, size] */
static inline sn_t heads_of(sn_scope m, const char *name, sn_t x, int heads, int size) {
  return sn_linear(m, name, x, heads * size, .heads = heads);
}

/* One number a head, [B, T, heads]. */
static inline sn_t number_of(sn_scope m, const char *name, sn_t x, int heads) { return sn_affine(m, name, x, heads); }

/* y [B, T, heads, v] -> normalised by head, times silu of a gate, to [B, T, width]. */
static inline sn_t heads_out(sn_scope m, sn_t x, sn_t y, int64_t width) {
  sn_t all = sn_merge(sn_rmsnorm(m, "o_norm", y));
  sn_t gate = sn_silu(sn_linear(m, "g_proj", x, sn_size(all, 2).extent));
  return sn_linear(m, "o_proj", sn_mul(all, gate), width);
}

#endif
