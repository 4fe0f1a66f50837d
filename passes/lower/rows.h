/* What the schedules of reductions share. */
#ifndef SN_PASSES_LOWER_ROWS_H
#define SN_PASSES_LOWER_ROWS_H

#include "passes/lower/internal.h"

enum { SN_ROWS_REDUCTIONS = 12 };

typedef struct sn_rows {
  sn_lower_ctx *c;
  sn_group *g;
  sn_build_kernel *b;
  sn_tile t;                            /* the tile without coordinates along reduced axes */
  bool along_columns;                   /* reduced axis along the tile's rows */
  int inner;                            /* the reduced axis that a tile spans; -1: none */
  int outer[SN_VIEW_RANK], outer_count; /* the other reduced axes: one index at a time */
  int block;                            /* extent of the tile along `inner` */
  bool looped;
  bool late; /* loops carry whole tiles */
  int count; /* reductions */
  const sn_node *node[SN_ROWS_REDUCTIONS];
  int level[SN_ROWS_REDUCTIONS], levels; /* 0: picked */
  int peak[SN_ROWS_REDUCTIONS];          /* online sums: 1 + number of the maximum that is subtracted; 0: none */
  sn_kv result[SN_ROWS_REDUCTIONS];
  int64_t part; /* an instance reduces so many coordinates of an axis; 0: all */
  int split;    /* the axis */
  sn_kv from;   /* the first of them */
} sn_rows;

typedef void (*sn_rows_step)(sn_rows *r, sn_tile *t, sn_kv *carry, void *user);

sn_kop sn_rows_op(const sn_node *n);
sn_kop sn_rows_joining_op(const sn_node *n);
double sn_rows_identity(const sn_rows *r, const sn_node *n);
/* A value on a tile. */
sn_kv sn_rows_value(sn_rows *r, sn_tile *t, sn_val v);
/* Of one tile; with x in the place of its operand. */
sn_kv sn_rows_reduce(sn_rows *r, sn_tile *t, const sn_node *n);
sn_kv sn_rows_reduce_of(sn_rows *r, sn_tile *t, const sn_node *n, sn_kv x);
/* The result of what was reduced. Sums and products of narrow integers wrap to their type. */
sn_kv sn_rows_finished(sn_rows *r, const sn_node *n, sn_kv v);
/* Starts a kernel with the group's buffers, these, and those of the results. */
void sn_rows_begin(sn_rows *r, const char *name, int extra, const sn_buffer_use *more, bool results);
/* The grid: blocks of the kept axes, and the parts. */
void sn_rows_grid(sn_rows *r);
/* The loops of one level.  -> carries, not finished */
int sn_rows_level(sn_rows *r, int level, sn_kv *carry);
/* Outputs that have the kept axes only. */
void sn_rows_store_kept(sn_rows *r, const bool *which);

/* rows_online.c. Sums of exp(x - max x) that are kept up while the maximum is being found: one loop for both. */
void sn_rows_find_online(sn_rows *r);
/* The sum with a tile more, where its maximum grew from `old` to `now`. */
sn_kv sn_rows_online(sn_rows *r, sn_tile *t, int i, sn_kv sum, sn_kv old, sn_kv now);
/* Of all tiles: NaN where all were -infinity. */
sn_kv sn_rows_online_end(sn_rows *r, sn_kv sum, sn_kv peak);

/* rows_pick.c. Sums in long rows of which one element counts: level 0, made before the loops. */
typedef struct sn_pick {
  sn_val index, x;
  const sn_chain *index_chain, *x_chain;
} sn_pick;
void sn_rows_find_picks(sn_rows *r);
sn_kv sn_rows_picked(sn_rows *r, int i);

/* rows_parts.c. Few results of many elements in two steps: partial results of fixed blocks, then those in order. */
bool sn_rows_in_parts(sn_rows *r);
SN_MUST sn_code sn_rows_parts(sn_rows *r);

#endif
