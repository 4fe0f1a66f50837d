/* Shared by the kernels that make sums for the gradients of captured tensors: what an instance of them holds. */
#ifndef SN_PASSES_LOWER_ATTEND_SUMS_H
#define SN_PASSES_LOWER_ATTEND_SUMS_H

#include "passes/lower/attend_grad.h"

enum { SN_ATTEND_SUMS = 8, SN_ATTEND_ENTRIES = 64 }; /* results; entries that are moved at a time */

/* One result of the node after dq, dk and dv. */
typedef struct sn_sum {
  int slope, entry; /* results of the region of slopes; entry -1: none */
  int kind;         /* sn_sum_kind */
  const sn_dimx *entries;
  sn_operand to;    /* slot -1: nobody wants it */
  sn_operand part;  /* sums of parts; slot -1: none */
  sn_operand range; /* i32 [B or 1, H or 1, blocks of queries, 2 x blocks of keys]: entries of a block; slot -1: all */
  sn_kv scratch;    /* of an instance: its sums by entry */
} sn_sum;

typedef struct sn_sums {
  sn_attend *a;
  const sn_operand *delta;
  int count;
  sn_sum at[SN_ATTEND_SUMS];
} sn_sums;

/* A block of one query head and its keys: rows as products take them. */
typedef struct sn_sum_block {
  sn_backward w;
  sn_kv q, dy, k, v;
  bool turned; /* the second factors have been transposed: queries if keys_major, else keys */
} sn_sum_block;

/* The kernel with a buffer for each of the sums chosen. */
sn_build_kernel *sn_sums_kernel(const sn_sums *m, const char *name, const bool *chosen);
sn_sum_block sn_sums_block(const sn_sums *m, sn_build_kernel *b, bool keys_major, int bq, int bk);
/* Sets the heads of the block: the query's, and the one of keys that it reads. */
void sn_sums_head(sn_sum_block *x, sn_kv head);
/* ds * slope of each sum on the block, which varies over all of it; entry: their entries, where they have some. */
SN_MUST sn_code sn_sums_terms(const sn_sums *m, const sn_sum_block *x, sn_kv *term, sn_kv *entry);
/* Ends the kernel. written: bytes */
SN_MUST sn_code sn_sums_end(const sn_sums *m, sn_build_kernel *b, const char *ops, const sn_dimx *written);
/* A buffer of f32 [B, H, rows, columns]. */
sn_operand sn_sums_temp(const sn_sums *m, const sn_dimx *rows, const sn_dimx *columns);
const sn_dimx *sn_sums_bytes(const sn_sums *m, const sn_operand *o);

/* ---- sums by entry: attend_entries.c ---- */

/* Blocks of queries of an instance, so that the sums of all parts do not outgrow the queries. */
int sn_entries_part(const sn_sum *s);
/* Buffers for parts of that many blocks, and for the entries of each block, which a kernel finds. */
SN_MUST sn_code sn_entries_find(sn_sums *m, sn_sum *s, int part);
/* In the kernel that makes the sums of a part: before, for each block, and after. */
void sn_entries_begin(const sn_sum_block *x, sn_sum *s);
void sn_entries_add(const sn_sum_block *x, const sn_sum *s, sn_kv term, sn_kv entry);
void sn_entries_end(const sn_sum_block *x, const sn_sum *s, sn_kv part);
/* After a block of queries: the sums of each, which are those of the result. */
void sn_entries_store(const sn_sum_block *x, const sn_sum *s);
/* Adds up the parts. */
SN_MUST sn_code sn_entries_join(const sn_sums *m, const sn_sum *s);

/* ---- diagonals ---- */

/* Diagonals of square blocks, of which an instance each has the sums of its 2 block differences. */
typedef struct sn_diagonals {
  int block, columns;             /* columns: of a sum */
  const sn_dimx *blocks, *extent; /* of keys where differences are of query and key, else of queries */
  const sn_dimx *number;          /* of diagonals */
} sn_diagonals;
/* Each difference is in two diagonals: adds their sums, of s->part to s->to, by a kernel called after `ops`. */
SN_MUST sn_code sn_sums_join(const sn_sums *m, const sn_sum *s, const sn_diagonals *d, const char *ops);

/* What products of queries with captured rows give to both. */
SN_MUST sn_code sn_sums_of_rows(sn_sums *m);
/* Sums by the difference of positions. */
SN_MUST sn_code sn_sums_by_difference(sn_sums *m, const bool *chosen);

#endif
