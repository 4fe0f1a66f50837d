/* pos.rope: rotary positions. Pairs of components turn by position i times theta_k = 10000^(-2k / d), so that products
 * of turned rows depend on how far they are apart.   Su et al. 2021, section 3 */
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/positions.h"

enum { D = 16 };

static const double *turn(net *n, int count, const int32_t *at, const double *x) {
  return pos_run(n, "turned", (pos_rows){count, D, at, x, NULL}, "y");
}

/* The product of row 0 turned to i and row 1 turned to j, over their lengths; the angle between them. */
static double product(net *n, int32_t i, int32_t j, const double *x, double *out_angle) {
  const double *y = turn(n, 2, (const int32_t[]){i, j}, x);
  double p = pos_dot(D, y, y + D);
  if (out_angle) *out_angle = acos(p / sqrt(pos_dot(D, y, y) * pos_dot(D, y + D, y + D)));
  return p / sqrt(pos_dot(D, x, x) * pos_dot(D, x + D, x + D));
}

/* Slide (c): two tokens, 2 apart, at two places. */
static void distances(recipe *r, net *wide, net *narrow) {
  double x[2 * D], angle, moved;
  pos_draw(r, 1, 2 * D, x);
  double near = product(wide, 2, 4, x, &angle);
  recipe_at_most(r, EXACT, "both moved by 1000: the same product, f64", fabs(product(wide, 1002, 1004, x, NULL) - near),
                 1e-10);
  recipe_at_most(r, EXACT, "both moved by 1000: the same product, f32",
                 fabs(product(narrow, 1002, 1004, x, NULL) - product(narrow, 2, 4, x, NULL)), 3e-5);
  recipe_at_most(r, EXACT, "tokens at 2 and 4, at 9 and 11: the same product",
                 fabs(product(wide, 9, 11, x, &moved) - near), 1e-10);
  recipe_at_most(r, EXACT, "tokens at 2 and 4, at 9 and 11: the same angle", fabs(moved - angle), 1e-10);
  recipe_at_most(r, CONTROL, "tokens at 2 and 5: the same product", fabs(product(wide, 2, 5, x, NULL) - near), 1e-10);
  recipe_at_most(r, EXACT, "turned to t and to s, or one of them to t - s: the same product",
                 fabs(product(wide, 77, 30, x, NULL) - product(wide, 47, 0, x, NULL)), 1e-10);
  const double *y = turn(wide, 2, (const int32_t[]){77, 1000000}, x);
  recipe_at_most(r, EXACT, "lengths stay",
                 recipe_max(fabs(pos_dot(D, y, y) / pos_dot(D, x, x) - 1),
                            fabs(pos_dot(D, y + D, y + D) / pos_dot(D, x + D, x + D) - 1)),
                 1e-12);
}

/* Halves and neighbours; a part that turns; the gradient. */
static void forms(recipe *r, net *wide) {
  double x[D], swapped[D], w[D], halves[D], pairs[D], rest = 0;
  const int32_t at[] = {77}, back[] = {-77};
  pos_draw(r, 2, D, x), pos_draw(r, 3, D, w);
  for (int i = 0; i < D; i++) swapped[i] = x[i / 2 + i % 2 * D / 2];
  net *neighbours = pos_net(r, "turned", "f64", "d=%d interleaved=1", D);
  const double *y = turn(wide, 1, at, x), *p = turn(neighbours, 1, at, swapped);
  for (int i = 0; i < D; i++) halves[i] = y[i / 2 + i % 2 * D / 2], pairs[i] = p[i];
  recipe_at_most(r, EXACT, "pairs of neighbours are pairs of halves in another order", pos_apart(D, halves, pairs), 0);
  const double *part = turn(pos_net(r, "turned", "f64", "d=%d dims=4", D), 1, at, x);
  const double *alone = pos_run(pos_net(r, "turned", "f64", "d=4"), "turned", (pos_rows){1, 4, at, x, NULL}, "y");
  for (int i = 4; i < D; i++) rest = recipe_max(rest, fabs(part[i] - x[i]));
  recipe_at_most(r, EXACT, "of a part that turns: that is a row of its size", pos_apart(4, part, alone), 0);
  recipe_at_most(r, EXACT, "of a part that turns: the rest stays", rest, 0);
  const double *dx = pos_run(wide, "turned", (pos_rows){1, D, at, x, w}, "dx");
  recipe_at_most(r, EXACT, "the gradient is turned back", pos_apart(D, dx, turn(wide, 1, back, w)), 1e-14);
  recipe_at_most(r, CONTROL, "the gradient is turned on", pos_apart(D, dx, turn(wide, 1, at, w)), 1e-14);
}

/* Difference to nested loops in doubles at positions of 1 to 2e5. */
static double far_apart(recipe *r, net *n, const char *graph) {
  static const int32_t at[] = {1, 7, 64, 1000, 31337, 100001, 123457, 199999};
  enum { COUNT = sizeof at / sizeof *at };
  double x[COUNT * D], want[COUNT * D], theta[D / 2];
  pos_draw(r, 4, COUNT * D, x);
  memcpy(want, x, sizeof want);
  positions_rope(D, 1e4, theta);
  for (int i = 0; i < COUNT; i++) positions_rotate(at[i], D, theta, true, want + i * D);
  return recipe_difference(COUNT * D, pos_run(n, graph, (pos_rows){COUNT, D, at, x, NULL}, "y"), want);
}

/* Queries and keys turn, values do not. */
static void in_decoder(recipe *r) {
  double frequency[4];
  loops_decoder c = {.frequency = frequency, .scale = 1};
  positions_rope(8, 1e4, frequency);
  net *n = pos_decoder(r, "a decoder that turns, against nested loops, f64", "scheme=4", &c);
  positions_rope(8, 1e3, frequency);
  recipe_at_most(r, CONTROL, "a base of 1000: the same", pos_decoder_apart(r, n, &c, POS_LENGTH), 1e-10);
  pos_gradient(r, "gradient of a decoder that turns, against differences", "scheme=4");
}

static void rope(recipe *r) {
  net *wide = pos_net(r, "turned", "f64", "d=%d", D), *narrow = pos_net(r, "turned", "f32", "d=%d", D);
  distances(r, wide, narrow);
  forms(r, wide);
  recipe_at_most(r, EXACT, "positions to 2e5, against nested loops, f64", far_apart(r, wide, "turned"), 1e-10);
  recipe_at_most(r, EXACT, "positions to 2e5, against nested loops, f32", far_apart(r, narrow, "turned"), 3e-5);
  recipe_at_most(r, CONTROL, "angles that are products in f32, beyond 1e5",
                 far_apart(r, pos_net(r, "turned_f32", "f32", "d=%d", D), "turned_f32"), 3e-5);
  in_decoder(r);
}

RECIPES(pos_rope, {"pos.rope", 11, "rotary positions: products of turned rows know distances only", rope,
                   "turned rows in nested loops, f64 (positions.h)"});
