/* One mistake a graph, in functions that become regions; mistakes_regions.txt holds what is said about each. Line
 * numbers matter: append only. */
#include "sinter.h"
/* clang-format off */
SN_SETTINGS(m0, (int, width, 64, "features"));
static sn_t in(sn_scope m, int n) { return sn_input(m, "x", SN_REAL, (sn_sym(m, "B"), sn_sym(m, "T", .max = 256), n)); }

static sn_t twice(const sn_t x[], const void *opt) { (void)opt; return sn_mul(2, x[0]); }
static sn_t number(const sn_t x[], const void *opt) { (void)x, (void)opt; return (sn_t){0}; }
static sn_t broken(const sn_t x[], const void *opt) { (void)opt; return sn_einsum("abc,d->a", x[0], x[0]); }
static void summed(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt) {
  (void)x, (void)y, (void)opt;
  dx[0] = sn_sum(dy, "btd->bt");
}
static void of_index(const sn_t x[], sn_t y, sn_t dy, sn_t dx[], const void *opt) {
  (void)x, (void)y, (void)dy, (void)opt;
  dx[0] = sn_mul(2, x[0]);
}
static sn_t kept;
static sn_t keeps(const sn_t x[], const void *opt) { (void)opt; return kept = sn_neg(x[0]); }
static void custom_type(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("twice", twice, summed, (in(m, c->width)), NULL)); }
static void custom_number(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("number", number, NULL, (in(m, c->width)), NULL)); }
static void custom_inside(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("broken", broken, NULL, (in(m, c->width)), NULL)); }
static void custom_leak(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_custom("keeps", keeps, NULL, (x), NULL));
  sn_output(m, "z", sn_add(x, kept));
}
static void custom_name(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("", twice, NULL, (in(m, c->width)), NULL)); }
static void custom_none(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("none", NULL, NULL, (in(m, c->width)), NULL)); }
static void custom_integers(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("twice", twice, of_index, (sn_arange(m, c->width)), NULL)); }
static void custom_operand(sn_scope m, const m0 *c) { sn_output(m, "y", sn_custom("twice", twice, summed, (in(m, c->width), 3), NULL)); }

SN_MODEL(regions, m0, custom_type, custom_number, custom_inside, custom_leak, custom_name, custom_none, custom_integers,
         custom_operand);
