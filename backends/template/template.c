/* The smallest backend: kernel -> its own text, which the kernel interpreter runs. Copy this folder to start a new one:
 *   1. describe  fill an sn_target with numbers (lanes, tile sizes, what operands may look like);
 *   2. supports  say which instructions have no emission rule, before anything is emitted;
 *   3. emit      walk the blocks once, one table from tile op to instruction, and fill the blob;
 *   4. done when `sinter conformance --backend FILE.so` passes whole. It is built against the installed headers:
 *      cc -std=c17 -fPIC -shared -DSN_PLUGIN -I PREFIX/include/sinter template.c -o template.so */
#include <string.h>

#include "backends/backend.h"

static sn_code describe(sn_target *out, sn_diags *diags) {
  (void)diags;
  *out = sn_target_cpu(SN_ISA_BASELINE);
  memcpy(out->name, "template", sizeof "template");
  return SN_OK;
}

/* The interpreter runs every op that the verifier accepts. */
static bool supports(const sn_target *t, const sn_kernel *k, sn_arena *arena, const char **why) {
  (void)t, (void)k, (void)arena;
  *why = NULL;
  return true;
}

static sn_code emit(const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags, sn_code_blob *out) {
  (void)t;
  SN_TRY(sn_kernel_verify(k, diags));
  sn_text text = sn_text_begin(arena);
  sn_kernel_print(&text, k);
  *out = (sn_code_blob){.kind = SN_CODE_KERNEL_TEXT,
                        .name = k->name,
                        .bytes = (const unsigned char *)text.at,
                        .byte_count = text.count,
                        .features = ""};
  return SN_OK;
}

static sn_code show(const sn_target *t, const sn_kernel *k, const char *what, sn_text *out, sn_diags *diags) {
  (void)t, (void)what, (void)diags;
  sn_kernel_print(out, k);
  return SN_OK;
}

const sn_backend *sn_backend_template(void) {
  static const sn_backend backend = {"template", "1", supports, emit, show, describe};
  return &backend;
}

SN_BACKEND(sn_backend_template);
