/* What decides the results of a compiled plan, whichever kernels of equal bits it has: for checkpoints. */
#include "backends/choose.h"
#include "backends/compile.h"
#include "passes/lower/limits.h"

/* Texts of kernels and what makes code of them, in place of the code. */
static void set_texts(const sn_compiled *c, sn_plan *p, int count, sn_kernel *const *kernel, sn_arena *arena) {
  p->code = SN_ARRAY(arena, count + 1, sn_code_blob);
  for (int i = 0; i < count; i++) {
    sn_text t = sn_text_begin(arena);
    sn_kernel_print(&t, kernel[i]);
    p->code[i] = (sn_code_blob){.kind = SN_CODE_KERNEL_TEXT,
                                .name = kernel[i]->name,
                                .bytes = (const unsigned char *)t.at,
                                .byte_count = t.count,
                                .features = sn_arena_printf(arena, "%s %s", c->target.features, c->backend->version)};
  }
}

static sn_code hash_usual(sn_compiled *c, sn_arena *arena, sn_diags *diags, uint64_t out[2]) {
  sn_target one = c->target;
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &one, .disabled = c->disabled};
  sn_lowered usual = {.plan = c->plan, .kernel_count = c->kernel_count, .kernel = c->kernel};
  bool chosen = one.threads != 1; /* workers, too, decide among kernels of equal bits only */
  one.threads = 1;
  for (int i = 0; i < c->kernel_count; i++) chosen |= c->choice[i] && c->choice[i]->taken;
  if (chosen) {
    SN_TRY(sn_lower(c->fused, &env, &usual));
    sn_plan_find_limits(c->flat, usual.plan);
  }
  sn_plan p = *usual.plan;
  set_texts(c, &p, usual.kernel_count, usual.kernel, arena);
  return sn_plan_hash(&p, out);
}

sn_code sn_compile_identity(sn_compiled *c, sn_diags *diags, uint64_t out[2]) {
  if (!c->choice || c->edited_count) return sn_plan_hash(c->plan, out);
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  sn_code code = hash_usual(c, arena, diags, out);
  sn_arena_destroy(arena);
  return code;
}
