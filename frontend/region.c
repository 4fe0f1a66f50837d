/* Regions: the user's functions traced into bodies of their own, for scans, branches, loops and custom ops. */
#include "frontend/trace.h"

#include <string.h>

sn_fn *sn_region_open(sn_call *c, const char *name, const char *what) {
  sn_fn *fn = sn_fn_open(c->trace, c->fn, name, SN_FUNC_BODY, c->here);
  int length = c->here.text ? (int)strcspn(c->here.text, "( ") : 0;
  fn->where = sn_texts(c, "in the %s of %.*s at %s:%d", what, length, length ? c->here.text : "",
                       sn_base_name(c->here.file), c->here.line);
  c->trace->inner = fn;
  return fn;
}

void sn_region_leave(sn_call *c) { c->trace->inner = c->fn; }

sn_val sn_region_result(sn_call *c, sn_fn *fn, sn_t y, const sn_type *want, const char *message) {
  sn_call inside = *c;
  inside.fn = fn;
  fn->b.failed = SN_OK;
  if (sn_is_poison(y)) return c->poison = true, 0;
  if (sn_is_number(y) && want) return sn_g_const(&fn->b, want, y.u.num);
  if (sn_is_number(y) || (want && sn_t_type(y) != want)) {
    sn_mistake(c, want ? sn_type_text(c->trace->arena, want) : "a tensor", sn_describe(c, y, ""), "%s", message);
    return 0;
  }
  sn_val v = sn_bring(&inside, y, "");
  c->poison |= inside.poison;
  return v;
}
