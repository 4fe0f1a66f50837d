/* Fuzz target: bytes -> graph module. What parses must verify, print, and parse back to the same bytes; type rules take
 * or refuse it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ir/graph/text.h"
#include "ir/ops/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *printed(const sn_module *m) {
  sn_text out = sn_text_begin(m->arena);
  sn_module_print(&out, m, (sn_print_opt){.locations = true});
  return out.at;
}

static int check_types(void *arg) {
  const sn_module *m = arg;
  for (int i = 0; i < m->func_count; i++) (void)!sn_ops_check(m->func[i], NULL);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL, *back = NULL;
  if (sn_module_parse(arena, diags, "fuzz.sn", (const char *)data, bytes, &m) == SN_OK) {
    const char *text = printed(m);
    if (sn_module_parse(arena, diags, "fuzz.sn", text, strlen(text), &back) != SN_OK) __builtin_trap();
    if (strcmp(text, printed(back)) != 0) __builtin_trap();
    for (int i = 0; i < m->func_count; i++)
      if (sn_func_verify(m->func[i], diags) != SN_OK) __builtin_trap();
    (void)sn_protect(check_types, m);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return 0;
}
