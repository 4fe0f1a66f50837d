/* Private to ir/ops: what the gradients of captured tensors of attention are made of. */
#ifndef SN_IR_OPS_CAPTURES_H
#define SN_IR_OPS_CAPTURES_H

#include "ir/ops/rules.h"

enum {
  SN_PRODUCTS = 4,
  SN_ACCESSES = 8,    /* most of one attention_grad */
  SN_ENTRIES = 65536, /* entries that are added up one by one */
  SN_TABLE = 1024     /* the same of each query */
};

/* One place where the score region reads a captured tensor: an `index` of it, or the captured scalar itself. */
typedef struct sn_access_site {
  sn_val value;            /* in the score region */
  int capture;             /* which of the captured tensors */
  int count;               /* index expressions: axes of the tensor */
  const sn_val *expr;      /* values of the region */
  int kind;                /* sn_sum_kind */
  bool batch, head;        /* does the index depend on them? */
  bool position;           /* on the position of query or key? */
  bool joint[SN_RANK_MAX]; /* ENTRIES: expressions of query or key; TABLES: of the key */
  const sn_dimx *entries;  /* all combinations of those */
  bool linear;             /* ROWS: the row is query - key + what only the head decides */
} sn_access_site;

typedef struct sn_accesses {
  int count;
  sn_access_site *at;
} sn_accesses;

/* The accesses of captured tensors whose gradient is needed (need: by operand of the attention node).
 * -> NULL, or why some gradient is no sum that attention_grad makes.   owns: arena */
const char *sn_accesses_of(const sn_node *n, const bool *need, sn_arena *arena, sn_types *types, sn_accesses *out);
/* What regions see of rows [R, d] or [H, R, d] that queries are multiplied with: [B, T, H, R]; NULL: they do not fit.
 */
const sn_type *sn_product_type(sn_types *types, const sn_type *q, const sn_type *rows);
sn_val sn_product_of(sn_build *b, sn_val q, sn_val rows);
/* Are sums of that kind by the number of an entry? */
static inline bool sn_sum_has_entries(int64_t kind) { return kind == SN_SUM_ENTRIES || kind == SN_SUM_TABLES; }
/* Does the value of the region equal argument `index` of it? */
bool sn_is_region_arg(const sn_func *f, sn_val v, int64_t index);

/* Arguments of a score region. */
enum { SN_SITE_SCORE, SN_SITE_BATCH, SN_SITE_HEAD, SN_SITE_QUERY, SN_SITE_KEY, SN_SITE_CAPTURE };

/* Attributes of attention_grad beyond those of attention. */
typedef struct sn_sums_attrs {
  sn_attr slopes, sums, entries;
} sn_sums_attrs;
/* Makes the region of slopes; drops accesses that the score does not depend on. errors: b->failed */
void sn_sums_attrs_make(const sn_grad_rule *g, sn_accesses *a, sn_sums_attrs *out);
/* Adds to g->d_arg what the sums say of each captured tensor. sum: by access */
void sn_sums_finish(const sn_grad_rule *g, const sn_accesses *a, const sn_val *sum);
/* Types of the results after the first three, of which `in` has the types already. */
sn_code sn_sums_infer(sn_infer *in);

#endif
