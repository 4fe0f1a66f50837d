/* The table of rules: one block per op, from the files of the families. */
#include "ir/ops/rules.h"

#include <stddef.h>

/* table */
static const sn_op_rules *const rules[SN_OP_COUNT] = {
#define SN_OP(e, text, operands, results, cls, attrs, flags) [SN_OP_##e] = &sn_rules_##e,
#include "ir/types/op.def"
#undef SN_OP
};

const sn_op_rules *sn_op_rules_of(sn_op op) { return op > SN_OP_NONE && op < SN_OP_COUNT ? rules[op] : NULL; }

bool sn_op_passes_gradient(sn_op op) {
  const sn_op_info *info = sn_op_get(op);
  return !(info->flags & SN_FLAG_NODIFF) || info->cls == SN_CLASS_STRUCT;
}
