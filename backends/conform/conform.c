/* What the parts of the suite share: counting refusals and failures. */
#include "backends/conform/conform.h"

#include <string.h>

void sn_conform_refuse(sn_conform *out, const char *why, sn_arena *arena) {
  sn_refusals *r = &out->refusals;
  out->refused++;
  for (int i = 0; i < r->count; i++)
    if (!strcmp(r->at[i].why, why)) {
      r->at[i].times++;
      return;
    }
  SN_GROW(arena, r->at, r->count, r->capacity);
  r->at[r->count].why = sn_arena_strdup(arena, why);
  r->at[r->count++].times = 1;
}

void sn_conform_fail(sn_conform *out, sn_arena *arena, const char *format, ...) {
  out->failed++;
  if (out->first) return;
  sn_text t = sn_text_begin(arena);
  va_list args;
  va_start(args, format);
  sn_text_add_list(&t, format, args);
  va_end(args);
  out->first = t.at;
}
