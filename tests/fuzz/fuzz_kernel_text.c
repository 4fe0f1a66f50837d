/* Fuzz target: the parser of kernel texts. What parses must print, parse back equal and survive finishing; a
 * text of several is read as its parts are. */
#include <stdint.h>
#include <stdlib.h>

#include "ir/kernel/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
  const uint8_t *data;
  size_t size;
  sn_arena *arena;
  sn_diags *diags;
} input;

static int all(void *arg) {
  const input *in = arg;
  sn_kernel **list;
  int count, again;
  if (sn_kernel_parse_all(in->arena, in->diags, "fuzz", (const char *)in->data, in->size, &count, &list)) return 0;
  sn_text t = sn_text_begin(in->arena);
  for (int i = 0; i < count; i++) sn_kernel_print(&t, list[i]);
  if (sn_kernel_parse_all(in->arena, in->diags, "again", t.at, (size_t)t.count, &again, &list)) abort();
  if (count != again) abort();
  return 0;
}

static int one(void *arg) {
  const input *in = arg;
  sn_kernel *k = NULL, *again = NULL;
  if (sn_kernel_parse(in->arena, in->diags, "fuzz", (const char *)in->data, in->size, &k)) return 0;
  sn_text t = sn_text_begin(in->arena);
  sn_kernel_print(&t, k);
  if (sn_kernel_parse(in->arena, in->diags, "again", t.at, (size_t)t.count, &again)) abort();
  if (!sn_kernel_equal(k, again, in->arena)) abort();
  sn_kernel *f = sn_kernel_finish(in->arena, k);
  if (sn_kernel_verify(f, in->diags)) abort();
  if (!sn_kernel_equal(f, sn_kernel_finish(in->arena, f), in->arena)) abort();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = {data, size, sn_arena_create(), sn_diags_create()};
  (void)sn_protect(one, &in);
  (void)sn_protect(all, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
