/* One mistake a graph; mistakes_points.txt holds what is said about each. Line numbers matter: append only. */
#include "sinter.h"
/* clang-format off */

SN_SETTINGS(m0, (int, width, 64, "features"));

static sn_t in(sn_scope m, int64_t width) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T"), width)); }

static void groups(sn_scope m, const m0 *c) { sn_output(m, "y", sn_group_norm(m, "g", in(m, c->width), .groups = 3)); }
static void padding(sn_scope m, const m0 *c) { sn_output(m, "y", sn_pad(in(m, c->width), -1, -2, 0, 0)); }
static void pad_value(sn_scope m, const m0 *c) { sn_output(m, "y", sn_pad(sn_arange(m, c->width), 0, 1, 0, .5)); }
static void flip_axis(sn_scope m, const m0 *c) { sn_output(m, "y", sn_flip(in(m, c->width), 3)); }
static void length(sn_scope m, const m0 *c) { sn_output(m, "y", sn_l2_norm(in(m, c->width), -1)); }
static void shift(sn_scope m, const m0 *c) { sn_output(m, "y", sn_shl(in(m, c->width), 2)); }
static void any_number(sn_scope m, const m0 *c) { sn_output(m, "y", sn_any(in(m, c->width), "btd->b")); }

SN_MODEL(points, m0, groups, padding, pad_value, flip_axis, length, shift, any_number);
