/* Inside of the plan: names of its enumerations and limits shared by its files. Not for other folders. */
#ifndef SN_IR_PLAN_INTERNAL_H
#define SN_IR_PLAN_INTERNAL_H

#include "ir/plan/plan.h"

enum {
  SN_PLAN_ARGS = 64,          /* arguments of a launch */
  SN_PLAN_NAME_BYTES = 65000, /* longest string, so that it is one token of the text form */
  SN_PLAN_NESTED = 128,       /* blocks around a step */
  SN_PLAN_ROLES = SN_SLOT_PACKED + 1,
  SN_PLAN_INITS = SN_INITIAL_TRUNCATED + 1,
  SN_PLAN_CODES = SN_CODE_KERNEL_TEXT + 1,
  SN_PLAN_STEPS = SN_STEP_WHILE + 1,
  SN_PLAN_LIMITS = SN_LIMIT_SOME_OTHER + 1,
};

extern const char *const sn_plan_role_names[SN_PLAN_ROLES];
extern const char *const sn_plan_init_names[SN_PLAN_INITS];
extern const char *const sn_plan_code_names[SN_PLAN_CODES];
extern const char *const sn_plan_step_names[SN_PLAN_STEPS];
extern const char *const sn_plan_limit_names[SN_PLAN_LIMITS];

/* The body of the binary form. identity: only what decides results, for sn_plan_hash. */
void sn_plan_write_body(sn_text *out, const sn_plan *p, bool identity);

/* The slot whose storage slot i uses.   needs: a verified plan, or one whose aliases were checked */
int sn_plan_root(const sn_plan *p, int i);
/* The dim's value with every symbol at its minimum / maximum; false when that leaves 64 bits. */
bool sn_plan_dim_at(const sn_plan *p, const sn_dimx *d, bool at_max, int64_t *out);

#endif
