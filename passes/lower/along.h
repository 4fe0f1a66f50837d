/* What the schedules of ops along an axis share (prefix, sort): operands as tiles of one space, results at their
 * places. The space has the axes of the operands, in order; results have the same axes. */
#ifndef SN_PASSES_LOWER_ALONG_H
#define SN_PASSES_LOWER_ALONG_H

#include "passes/lower/internal.h"

enum { SN_ALONG_OPERANDS = 2, SN_ALONG_PLACES = 16 };

typedef struct sn_along {
  sn_lower_ctx *c;
  const sn_node *n; /* the op */
  sn_build_kernel *b;
  sn_kernel *k;
  int axis;
  sn_tile t;                      /* where tiles are: axes, extents, coordinates, limits */
  sn_group *g[SN_ALONG_OPERANDS]; /* of the operands */
  int place_count;
  struct {
    int result; /* of the op */
    sn_group_output at;
  } place[SN_ALONG_PLACES];
} sn_along;

/* Finds operands and places and starts the kernel. t.row, t.col, t.r, t.c and the grid are the schedule's to set. */
SN_MUST sn_code sn_along_begin(sn_along *x, sn_lower_ctx *c, const sn_node *n, const char *name);
/* Operand k on the tile, in its compute type, of the tile's whole extents. Emitted anew at each call. */
sn_kv sn_along_value(sn_along *x, int k);
/* bool tile: which elements exist along the columns; 0: all. */
sn_kv sn_along_exists(const sn_along *x);
void sn_along_store(sn_along *x, int result, sn_kv value);
SN_MUST sn_code sn_along_end(sn_along *x, const sn_dimx *flops);
/* Extent of the axis. */
const sn_dimx *sn_along_extent(const sn_along *x);

#endif
