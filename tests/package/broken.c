#include "sinter.h"
SN_SETTINGS(opts, (int, width, 64, "features"));
static void eval(sn_scope m, const opts *c) {
  sn_output(m, "y", sn_add(sn_param(m, "w", (c->width)), sn_param(m, "v", (c->width + 1))));
}
SN_MODEL(broken, opts, eval);
