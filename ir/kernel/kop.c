/* The op table as data: names and classes. */
#include "ir/kernel/kernel.h"

#include <string.h>

typedef struct op_info {
  const char *name;
  sn_kclass cls;
} op_info;

static const op_info info[SN_K_COUNT] = {
    {"none", SN_KCLASS_CTL},
#define SN_KOP(e, text, cls) {text, SN_KCLASS_##cls},
#include "ir/kernel/kop.def"
#undef SN_KOP
};

const char *sn_kop_name(sn_kop op) { return info[op].name; }

sn_kclass sn_kop_class(sn_kop op) { return info[op].cls; }

sn_kop sn_kop_find(const char *name) {
  for (int op = SN_K_NONE + 1; op < SN_K_COUNT; op++)
    if (!strcmp(info[op].name, name)) return (sn_kop)op;
  return SN_K_NONE;
}

bool sn_kop_is_elementary(sn_kop op) {
  switch (op) {
    case SN_K_EXP2:
    case SN_K_LOG2:
    case SN_K_EXP:
    case SN_K_LOG:
    case SN_K_SIN:
    case SN_K_COS:
    case SN_K_TANH:
    case SN_K_ERF: return true;
    default: return false;
  }
}
