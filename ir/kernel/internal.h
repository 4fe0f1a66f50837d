/* What the files of this room share: raw construction without folding, numbers as text. */
#ifndef SN_IR_KERNEL_INTERNAL_H
#define SN_IR_KERNEL_INTERNAL_H

#include "ir/kernel/kernel.h"
#include "ir/kernel/rewrite.h"

enum { SN_K_EXTENT_MAX = 1 << 24, SN_K_INDEX_OPS = 256 }; /* largest R or C; operators of one parsed index expression */
#define SN_K_TILE_MAX (INT64_C(1) << 26)                  /* elements of one tile or scratch array */

static const sn_ktype sn_k_index_type = {SN_ELEM_NONE, 0, 0};
static const sn_ktype sn_k_statement_type = {SN_ELEM_NONE, -1, -1};

/* A new instruction that is listed in no block. */
sn_kv sn_k_new(sn_kernel *k, sn_kop op, sn_ktype t, int count, const sn_kv *a, int64_t i, double f);
sn_kblock *sn_k_block_new(sn_kernel *k);
/* Index value by structure, not folded: ICONST and GID use i, the others a and b. */
sn_kv sn_k_index_raw(sn_kernel *k, sn_kop op, sn_kv a, sn_kv b, int64_t i);
/* Window operands as given: an operand 0 stays 0 for the limits only. */
sn_kv sn_k_emit_window(sn_kernel *k, sn_kop op, sn_ktype t, const sn_kwin *w, sn_kv last, double pad);
/* Parameter with everything given. NULL name is allowed nowhere. */
sn_kv sn_k_param_new(sn_kernel *k, const sn_kparam *p);

static inline bool sn_k_valid(const sn_kernel *k, sn_kv v) { return v > 0 && v < k->ins_count; }
/* Can a reader of the text tell the type of a CONST as operand `at` of x? Then it is shown inline. */
bool sn_k_const_inline(const sn_kernel *k, const sn_kins *x, int at);

#endif
