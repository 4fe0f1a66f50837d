/* Shared by the attention schedules: operands, the site of a score, mask analysis. */
#ifndef SN_PASSES_LOWER_ATTEND_H
#define SN_PASSES_LOWER_ATTEND_H

#include "passes/lower/internal.h"

enum { SN_ATTEND_CAPTURES = 40 };

/* A tensor that a kernel reads or writes, over the axes of its type. */
typedef struct sn_operand {
  int slot;
  sn_view view;
} sn_operand;

/* What both directions know of the node. Symbols: B batch, T queries, S keys, H query heads, G key heads, d, e head
 * sizes. */
typedef struct sn_attend {
  sn_lower_ctx *c;
  const sn_node *node;
  bool backward;
  bool weights;                                       /* scores are the weights of values, as they are: no softmax */
  sn_operand q, k, v, y, lse, dy, dtotal, start, map; /* map: [B or 1, H or 1, blocks of queries, of keys] */
  sn_operand pages;                                   /* [B, N]: then k and v are pools [P, page, G, ..] */
  int page;                                           /* rows of a page; 0: keys lie side by side */
  const sn_dimx *pool;                                /* P */
  sn_operand capture[SN_ATTEND_CAPTURES];
  int capture_count;
  bool has_start, has_map, has_dtotal;
  const sn_func *score, *mask, *dscore; /* dscore: derivative of score by its first argument; NULL: 1 */
  const sn_func *slopes;                /* its derivatives by captured tensors; NULL: none are wanted */
  int product_count;
  struct sn_attend_product {
    int capture;
    const sn_func *number; /* region: the row of each pair */
  } product[4];            /* captured rows that queries are multiplied with */
  const sn_dimx *B, *T, *S, *H, *G;
  int d, e;   /* static head sizes */
  int group;  /* H / G */
  int bq, bk; /* queries and keys of a block */
  int step;   /* keys that the forward walk takes at a time: bk, or a part of it that lies in one page */
  double scale;
} sn_attend;

/* Where a block of scores stands. keys_major: tiles are [keys, queries], else [queries, keys]. */
typedef struct sn_site_block {
  const sn_attend *a;
  sn_build_kernel *b;
  bool keys_major;
  int bq, bk;        /* extents of the tile */
  int heads;         /* of one query, as the rows of the tile, from `head` on; 0: the rows are queries */
  sn_kv batch, head; /* index values; head: of the query */
  sn_kv q0, k0;      /* first row of the block */
  sn_kv start;       /* index value added to q0 for the position; 0: none */
  bool whole_keys;   /* every key of the block exists */
} sn_site_block;

/* Reads the node. errors: what no schedule covers, at the user's line. */
SN_MUST sn_code sn_attend_read(sn_lower_ctx *c, sn_attend *a);

/* Slots may repeat (q, k and v of one product): each is one buffer.  -> new count */
int sn_attend_unique(sn_buffer_use *list, int count);
/* A kernel with every operand that scores need, then `count` more buffers. */
sn_build_kernel *sn_attend_kernel(const sn_attend *a, const char *name, int count, const sn_buffer_use *more);
/* rows [row0, row0 + rows) of head `head` as an f32 tile [rows, cols]; `extent`: how many rows exist, NULL: all of
 * these. */
sn_kv sn_attend_rows(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head,
                     int rows, int cols, const sn_dimx *extent);
/* The same as an operand of a product with rows of `with`: in bf16 where both are stored so and the target multiplies
 * tiles of it; products of bf16 are exact in f32. */
sn_kv sn_attend_factor(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, const sn_operand *with, sn_kv batch,
                       sn_kv row0, sn_kv head, int rows, int cols, const sn_dimx *extent);
void sn_attend_store(const sn_attend *a, sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row0, sn_kv head,
                     const sn_dimx *extent, sn_kv tile);
/* The same of keys or values: rows of one page, where they lie in pages. */
sn_kv sn_attend_keys(const sn_site_block *s, const sn_operand *o, const sn_operand *with, sn_kv head, int cols);
/* One row, `row`, of `heads` heads from `head` on, as an f32 tile [heads, cols]; stores such a tile. */
sn_kv sn_attend_heads(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row, sn_kv head, int heads, int cols);
void sn_attend_store_heads(sn_build_kernel *b, const sn_operand *o, sn_kv batch, sn_kv row, sn_kv head, sn_kv tile);
/* A statistic [B, H, T] of one block of queries as [1, bq] (keys_major) or [bq, 1]. */
sn_kv sn_attend_stat(const sn_site_block *s, const sn_operand *o, double pad);

/* The number added to rows of queries for their position, as an index value; 0: none. Batch must be set. */
sn_kv sn_attend_start(const sn_site_block *s);

/* What products of queries and keys are times to be what sn_attend_scores takes. */
double sn_attend_unit(const sn_attend *a);
/* Scores from products that are scaled already: score region, in units of log 2, masked entries -3e38; weights as they
 * are, masked entries 0. masked: apply mask region and the end of the keys. */
SN_MUST sn_code sn_attend_scores(const sn_site_block *s, sn_kv products, bool masked, sn_kv *out);
/* ds of the score's argument from ds of its result: 0 where masked, whatever the region's slope is there. */
SN_MUST sn_code sn_attend_dscores(const sn_site_block *s, sn_kv products, bool masked, sn_kv ds, sn_kv *out);
/* Results of the region of slopes; as large as they vary. */
SN_MUST sn_code sn_attend_slopes(const sn_site_block *s, sn_kv products, sn_kv *out);
/* A region with the arguments of the score's, which has no use for the score. */
SN_MUST sn_code sn_attend_numbers(const sn_site_block *s, const sn_func *f, sn_kv *out);
/* The tile with 0 where nothing is seen, and for queries past the end. */
SN_MUST sn_code sn_attend_hide(const sn_site_block *s, bool masked, sn_kv *tile);
/* The tile with 0 for queries past the end: what stands there may be anything that a region makes of nothing. */
sn_kv sn_attend_own_rows(const sn_site_block *s, sn_kv tile);

/* ---- products of queries with captured rows: attend_rows.c ---- */

/* Finds them. */
SN_MUST sn_code sn_attend_read_products(sn_attend *a);
/* The products of the block, to b->product. */
SN_MUST sn_code sn_attend_make_products(const sn_site_block *s);
/* Rows that the block reads of product i, bq + bk of them: first that of its first query and last key .. as keys ascend
 * the rows of a query follow each other, those of the next query begin one earlier. */
SN_MUST sn_code sn_attend_captured_rows(const sn_site_block *s, int i, sn_kv *out);
/* Window of a tile [queries, keys] in scratch [queries, bq + bk], in whose columns rows stand as above. */
sn_kwin sn_attend_skewed(const sn_site_block *s, sn_kv scratch);

/* Blocks of one index, given a block of the other: [lo, mid0) partial, [mid0, mid1) full, [mid1, hi) partial. */
typedef struct sn_mask_range {
  sn_kv lo, mid0, mid1, hi;
  bool has_low;  /* [lo, mid0) may be non-empty */
  bool has_full; /* [mid0, mid1) may be non-empty */
} sn_mask_range;
/* Live key blocks of the queries [q0, q0 + bq), or (over_queries) live query blocks of the keys [k0, k0 + bk):
 * positions of rows, not of the site. By interval analysis of the mask region: comparisons affine in q and k, joined by
 * `and`. */
sn_mask_range sn_attend_range(const sn_site_block *s, bool over_queries);

/* "attention_grad.alibi.dq": what a kernel that does a part of the node is called. */
const char *sn_attend_ops(const sn_attend *a, const char *part);
/* A walk over blocks: `step` adds what the block at s->k0 (over_queries: s->q0) gives to what is carried. */
typedef struct sn_walk {
  sn_site_block *s;
  bool over_queries;
  bool masked; /* full blocks are masked too: there is one `step` */
  sn_code (*step)(void *user, bool masked, sn_kv *carry);
  void *user;
} sn_walk;
/* The live blocks of the range, ascending. */
SN_MUST sn_code sn_attend_walk(const sn_walk *w, const sn_mask_range *r, int count, sn_kv *carry);

/* Report of a launch that reads operands [from, to) of the node and does that many products over d and over e. */
sn_report sn_attend_report(const sn_attend *a, int from, int to, int products_d, int products_e);

/* dq, dk, dv of ATTENTION_GRAD: three or fewer kernels. */
SN_MUST sn_code sn_attend_backward(sn_attend *a);

#endif
