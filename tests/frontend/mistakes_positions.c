/* Mistakes in positions: what is said is in mistakes_positions.txt. */
#include "sinter.h"

SN_SETTINGS(m0, (int, width, 8, ""));

static sn_t x(sn_scope m) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T"), 2, 8)); }
static sn_t at(sn_scope m) { return sn_positions(m, x(m)); }

static void base(sn_scope m, const m0 *c) { sn_output(m, "y", sn_rope(x(m), at(m), .base = c->width / 8)); }
static void scale(sn_scope m, const m0 *c) {
  sn_output(m, "y", sn_rope(x(m), at(m), .scaling = SN_ROPE_NTK, .scale = c->width / 16.));
}
static void trained(sn_scope m, const m0 *c) {
  sn_output(m, "y", sn_rope(x(m), at(m), .scaling = SN_ROPE_YARN, .scale = c->width));
}
static void odd(sn_scope m, const m0 *c) { sn_output(m, "y", sn_sinusoid(at(m), c->width + 1)); }
static void reals(sn_scope m, const m0 *c) { sn_output(m, "y", sn_sinusoid(x(m), c->width)); }

SN_MODEL(mistakes, m0, base, scale, trained, odd, reals);
