/* The op table as data: names, arity, attributes, flags. No rules (those are in ir/ops). */
#ifndef SN_IR_TYPES_OP_H
#define SN_IR_TYPES_OP_H

#include <stdbool.h>

typedef enum sn_op {
  SN_OP_NONE,
#define SN_OP(e, text, operands, results, cls, attrs, flags) SN_OP_##e,
#include "ir/types/op.def"
#undef SN_OP
  SN_OP_COUNT
} sn_op;

typedef enum sn_op_class {
  SN_CLASS_LEAF,
  SN_CLASS_POINT,
  SN_CLASS_VIEW,
  SN_CLASS_REDUCE,
  SN_CLASS_CONTRACT,
  SN_CLASS_INDEX,
  SN_CLASS_RANDOM,
  SN_CLASS_STRUCT,
  SN_CLASS_EXPAND
} sn_op_class;

enum { SN_FLAG_COMM = 1, SN_FLAG_DIFF = 2, SN_FLAG_NODIFF = 4, SN_FLAG_EFFECT = 8 };
enum { SN_ATTR_MAX = 12 };

typedef struct sn_attr_info {
  char name[16];
  char kind; /* i f s e d I D R, see op.def */
  bool optional;
} sn_attr_info;

typedef struct sn_op_info {
  const char *name;      /* text form */
  int operands, results; /* -1: any number */
  sn_op_class cls;
  int flags;
  int attr_count;
  sn_attr_info attr[SN_ATTR_MAX];
} sn_op_info;

const sn_op_info *sn_op_get(sn_op op);
/* The op called `name`, SN_OP_NONE if there is none. */
sn_op sn_op_find(const char *name);
/* Position of an attribute of the op, -1 if it has none of that name. */
int sn_op_attr(sn_op op, const char *name);

#endif
