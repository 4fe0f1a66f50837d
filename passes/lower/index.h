/* What the schedules of index ops share: where the result lies, tensors of indices. */
#ifndef SN_PASSES_LOWER_INDEX_H
#define SN_PASSES_LOWER_INDEX_H

#include "passes/lower/internal.h"

enum { SN_INDEX_SCRATCH = 1 << 20 }; /* elements that an instance may own */

typedef struct sn_indexing {
  sn_lower_ctx *c;
  const sn_node *n; /* the op */
  int slot;         /* of the result */
  sn_view result;   /* where its elements lie */
  bool onto;        /* scatter_add: adds to what lies there */
} sn_indexing;

/* The group that computes an operand, over its axes. NULL: c->failed is set */
sn_group *sn_index_group(sn_indexing *x, sn_val v);

/* A tensor of indices: loaded (i64 as words of i32), or positions that are known. */
typedef struct sn_numbers {
  int slot;      /* as a buffer of the kernel; -1: the address is the number */
  int64_t scale; /* words per number */
  sn_view view;
} sn_numbers;

SN_MUST sn_code sn_numbers_find(sn_indexing *x, sn_val v, sn_numbers *out);
int sn_numbers_use(const sn_numbers *x, sn_buffer_use *use, int count);
sn_kv sn_number_load(sn_build_kernel *b, const sn_numbers *x, const sn_kv *at);
/* min(max(i, 0), extent - count) */
sn_kv sn_number_clamped(sn_build_kernel *b, sn_kv i, const sn_dimx *extent, const sn_dimx *count);
/* The indices along the tile's columns, clamped to [0, extent): i32. */
sn_kv sn_numbers_tile(sn_build_kernel *b, const sn_numbers *x, const sn_tile *t, const sn_dimx *extent);
/* Bytes of a tensor of indices; of i64 only the low words are read. Distinct ones: views may repeat. */
const sn_dimx *sn_numbers_bytes(const sn_indexing *x, sn_val v);
/* Bytes that a scatter_add writes: the result, or the rows that are added to. */
const sn_dimx *sn_index_added_bytes(const sn_indexing *x);
const sn_dimx *sn_type_bytes(sn_types *t, const sn_type *type);

/* scatter_add: one instance owns whole columns of the result. */
SN_MUST sn_code sn_index_scatter(sn_indexing *x);
/* scatter_add on devices that want many instances: updates are put in order by row first; an instance owns a row. */
SN_MUST sn_code sn_index_scatter_sorted(sn_indexing *x);
/* scatter_add of single numbers on such devices, and index_add; false: it is not done this way. */
SN_MUST sn_code sn_index_scatter_hot(sn_indexing *x, sn_group *g);
bool sn_index_add_hot(sn_indexing *x, sn_code *code);

#endif
