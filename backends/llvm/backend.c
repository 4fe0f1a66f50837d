/* The llvm entry of backends/backend.h: kernel -> image. */
#include <string.h>

#include "backends/llvm/cover.h"
#include "backends/llvm/elf.h"
#include "backends/llvm/isolate.h"
#include "backends/llvm/kernel.h"
#include "backends/llvm/library.h"
#include "backends/llvm/llvm_backend.h"
#include "generator.h" /* made by the build: names this state of the generator, for the keys of cached code */

static bool supports(const sn_target *t, const sn_kernel *k, sn_arena *arena, const char **why) {
  cg_isa isa = cg_isa_of(t);
  const char *reason = cg_uncovered(k, &isa, arena);
  if (reason) *why = reason;
  return !reason;
}

static sn_code covered(const sn_kernel *k, const cg_isa *isa, sn_arena *arena, sn_diags *diags) {
  const char *why = cg_uncovered(k, isa, arena);
  return why ? sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "kernel %s: %s", k->name, why) : SN_OK;
}

static sn_code emit(const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags, sn_code_blob *out) {
  cg_isa isa = cg_isa_of(t);
  cg_output object;
  cg_image image;
  SN_TRY(covered(k, &isa, arena, diags));
  SN_TRY(cg_compile(k, &isa, CG_OBJECT, arena, diags, &object));
  sn_code code = cg_image_of_object(object.bytes, object.count, CG_ENTRY, arena, diags, &image);
  if (code) {
    sn_fail_note(diags, "while generating code for kernel %s", k->name);
    return code;
  }
  *out = (sn_code_blob){.kind = SN_CODE_CPU,
                        .name = sn_arena_strdup(arena, k->name),
                        .bytes = image.bytes,
                        .byte_count = image.count,
                        .entry = image.entry,
                        .workspace_bytes = object.workspace_bytes,
                        .features = sn_arena_strdup(arena, t->features)};
  return SN_OK;
}

sn_code sn_llvm_emit(const sn_llvm_opt *opt, const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags,
                     sn_code_blob *out) {
  return opt && opt->isolate ? cg_isolated(emit, t, k, arena, diags, out) : emit(t, k, arena, diags, out);
}

static sn_code show(const sn_target *t, const sn_kernel *k, const char *what, sn_text *out, sn_diags *diags) {
  cg_isa isa = cg_isa_of(t);
  cg_output text;
  bool assembly = !strcmp(what, "asm");
  if (!assembly && strcmp(what, "llvm"))
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "no form %s of code: llvm or asm", what);
  SN_TRY(covered(k, &isa, out->arena, diags));
  SN_TRY(cg_compile(k, &isa, assembly ? CG_ASM : CG_LLVM, out->arena, diags, &text));
  sn_text_bytes(out, text.bytes, text.count);
  return SN_OK;
}

sn_code sn_llvm_ready(sn_diags *diags) { return ll_library_open(diags); }

static sn_code describe(sn_target *out, sn_diags *diags) {
  sn_code code = sn_llvm_host_target(out);
  if (!code) return SN_OK;
  if (code == SN_ERR_LIMIT) return sn_fail(diags, code, (sn_loc){0}, "no memory to look at the processor");
  return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "code is generated for x86-64 only");
}

const sn_backend *sn_backend_llvm(void) {
  static const sn_backend backend = {
      .name = "llvm",
      .version = "llvm " SN_LLVM_VERSION_TEXT " generator " SN_GENERATOR,
      .supports = supports,
      .emit = emit,
      .show = show,
      .describe = describe,
  };
  return &backend;
}
