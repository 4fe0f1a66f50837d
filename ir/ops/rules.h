/* Private to ir/ops: the block of rules of every op, and what the blocks share. */
#ifndef SN_IR_OPS_RULES_H
#define SN_IR_OPS_RULES_H

#include "ir/ops/ops.h"

/* One block per row of op.def, defined in the file of its family; a missing one does not link. */
#define SN_OP(e, text, operands, results, cls, attrs, flags) extern const sn_op_rules sn_rules_##e;
#include "ir/types/op.def"
#undef SN_OP

/* ---- type rules ---- */

/* "`add`: ..." at the node's line; then expected / found are added by the caller. */
sn_code sn_infer_fail(sn_infer *in, const char *format, ...) SN_PRINTF(2, 3);
/* An operand that does not fit: "`add`: operand 2 does not fit" with what was expected and its type. */
sn_code sn_infer_want(sn_infer *in, int k, const char *format, ...) SN_PRINTF(3, 4);
const char *sn_infer_text(const sn_infer *in, const sn_type *t);
/* Sets the only result. */
sn_code sn_infer_one(sn_infer *in, const sn_type *t);
/* Room for `count` results. */
void sn_infer_results(sn_infer *in, int count);
/* Attribute of the op by name. */
const sn_attr *sn_infer_attr(const sn_infer *in, const char *name);
sn_types *sn_infer_types(const sn_infer *in);
/* Type with the shape in a D attribute, extents checked to be >= 0. errors: as above */
SN_MUST sn_code sn_infer_shape(sn_infer *in, sn_elem e, const sn_attr *shape, const sn_type **out);
/* Region `name`: its ARG leaves have the types `want`; it gives `count` results; result k has the type `want`.
 * errors: SN_ERR_INPUT with expected and found */
SN_MUST sn_code sn_infer_region_args(sn_infer *in, const char *name, int count, const sn_type *const *want);
SN_MUST sn_code sn_infer_region_count(sn_infer *in, const char *name, int count);
SN_MUST sn_code sn_infer_region_result(sn_infer *in, const char *name, int k, const sn_type *want);
/* f64 for f64, f32 for the other floats: what sums and statistics are kept in. */
static inline sn_elem sn_acc_elem(sn_elem e) { return e == SN_ELEM_F64 ? SN_ELEM_F64 : SN_ELEM_F32; }
static inline bool sn_is_index(sn_elem e) { return e == SN_ELEM_I32 || e == SN_ELEM_I64; }

/* ---- pieces that gradient rules and expansions share ---- */

void sn_scan_grad(sn_grad_rule *g); /* of scan */

sn_types *sn_b_types(const sn_build *b);
sn_val sn_b_scale(sn_build *b, sn_val x, double factor);         /* x * factor */
sn_val sn_b_mean(sn_build *b, sn_val x, int axis);               /* over one axis */
sn_val sn_b_onehot(sn_build *b, sn_val index, const sn_type *t); /* bool: iota of the last axis of t == index */
sn_val sn_b_logsumexp(sn_build *b, sn_val x, int axis);
/* Zeros like `like` with d [.., K, ..] added at positions pos i32 [.., K, ..] along the axis. */
sn_val sn_b_scatter_along(sn_build *b, sn_val pos, sn_val d, int axis, sn_val like);
void sn_b_fail(sn_build *b, const char *format, ...) SN_PRINTF(2, 3);
static inline sn_val sn_b_zeros(sn_build *b, sn_val like) { return sn_g_const_like(b, like, 0); }

#endif
