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

static sn_t grows(sn_t h[], const sn_t x[], const void *opt) { (void)opt; h[0] = sn_concat(0, h[0], x[0]); return x[0]; }
static sn_t silent(sn_t h[], const sn_t x[], const void *opt) { (void)h, (void)x, (void)opt; return (sn_t){0}; }
static sn_t adds(sn_t h[], const sn_t x[], const void *opt) { (void)opt; return h[0] = sn_add(h[0], x[0]); }
static sn_t drops(sn_t h[], const sn_t x[], const void *opt) { return h[0] = sn_dropout(*(const sn_scope *)opt, "drop", sn_add(h[0], x[0]), .1); }
static sn_t keeps_state(sn_t h[], const sn_t x[], const void *opt) { (void)opt; return kept = h[0] = sn_add(h[0], x[0]); }
static void scan_state(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width));
  sn_output(m, "y", sn_scan(grows, "bt", (&s), (x)));
}
static void scan_silent(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0)));
  sn_output(m, "y", sn_scan(silent, "bt", (&s), (x)));
}
static void scan_axes(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0)));
  sn_output(m, "y", sn_scan(adds, "bs", (&s), (x)));
}
static void scan_extent(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (3, c->width));
  sn_output(m, "y", sn_scan(adds, "bt", (&s), (x)));
}
static void scan_rank(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width));
  sn_output(m, "y", sn_scan(adds, "bth", (&s), (sn_mean(x, "btd->bt"))));
}
static void scan_number(sn_scope m, const m0 *c) {
  sn_t s = {0};
  sn_output(m, "y", sn_scan(adds, "bt", (&s), (in(m, c->width))));
}
static void scan_inside(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), 3));
  sn_output(m, "y", sn_scan(adds, "bt", (&s), (x)));
}
static void scan_leak(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width));
  sn_output(m, "y", sn_scan(keeps_state, "bt", (&s), (x)));
  sn_output(m, "z", sn_neg(kept));
}
static void scan_noise(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width));
  sn_scope t = sn_with(m, .train = true);
  sn_output(m, "y", sn_scan(drops, "bt", (&s), (x), .opt = &t));
}
static void scan_none(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = x;
  sn_output(m, "y", sn_scan(NULL, "bt", (&s), (x)));
}

static sn_t as_it_is(const sn_t x[], const void *opt) { (void)opt; return x[0]; }
static sn_t narrow(const sn_t x[], const void *opt) { (void)opt; return sn_mean(x[0], "btd->bt"); }
static void widen(sn_t x[], const void *opt) { (void)opt; x[0] = sn_concat(1, x[0], x[0]); }
static void halve(sn_t x[], const void *opt) { (void)opt; x[0] = sn_mul(.5, x[0]); }
static sn_t large(const sn_t x[], const void *opt) { (void)opt; return sn_gt(sn_mean(x[0], "btd->"), 1); }
static void noisy(sn_t x[], const void *opt) { x[0] = sn_dropout(*(const sn_scope *)opt, "drop", x[0], .1); }
static void cond_types(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_cond(sn_gt(sn_mean(x, "btd->"), 0), as_it_is, narrow, (x), NULL));
}
static void cond_pred(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_cond(sn_gt(x, 0), as_it_is, as_it_is, (x), NULL));
}
static void cond_none(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_output(m, "y", sn_cond(sn_gt(sn_mean(x, "btd->"), 0), as_it_is, NULL, (x), NULL));
}
static void while_test(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_while(as_it_is, halve, (&x));
  sn_output(m, "y", x);
}
static void while_type(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_while(large, widen, (&x));
  sn_output(m, "y", x);
}
static void while_limit(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_while(large, halve, (&x), .limit = -1);
  sn_output(m, "y", x);
}
static void while_noise(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width);
  sn_scope t = sn_with(m, .train = true);
  sn_while(large, noisy, (&x), .opt = &t);
  sn_output(m, "y", x);
}

static sn_t mean_of_all(sn_t h[], const sn_t x[], const void *opt) { return h[0] = sn_add(x[0], sn_mean(*(const sn_t *)opt, "btd->d")); }
static sn_t row_of_all(sn_t h[], const sn_t x[], const void *opt) { h[1] = sn_add(h[1], 1); return h[0] = sn_add(x[0], sn_gather(sn_rearrange(*(const sn_t *)opt, "btd->(bt)d"), h[1])); }
static void scan_future(sn_scope m, const m0 *c) {
  sn_t x = in(m, c->width), s = sn_zeros(m, SN_REAL, (sn_size(x, 0), c->width));
  sn_output(m, "y", sn_scan(mean_of_all, "bt", (&s), (sn_neg(x)), .opt = &x));
}
static void scan_ahead(sn_scope m, const m0 *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (1, 8, c->width)), s = sn_zeros(m, SN_REAL, (1, c->width)), n = sn_zeros(m, SN_I32, (1));
  sn_output(m, "y", sn_scan(row_of_all, "bt", (&s, &n), (x), .opt = &x));
}

SN_MODEL(regions, m0, custom_type, custom_number, custom_inside, custom_leak, custom_name, custom_none, custom_integers,
         custom_operand, scan_state, scan_silent, scan_axes, scan_extent, scan_rank, scan_number, scan_inside, scan_leak,
         scan_noise, scan_none, cond_types, cond_pred, cond_none, while_test, while_type, while_limit, while_noise,
         scan_future, scan_ahead);
