/* Random tile programs, structure: parameters, grid, loops with carries, branches, stores. */
#include "ir/ref/krandom_impl.h"

enum { LOOP_MAG = 4, MAX_DEPTH = 3 };

static const double loop_err = 1e-6; /* bound of carried values, kept by every iteration */

/* ---- head ---- */

static void make_sizes(sn_kgen *g) {
  static const int64_t divisors[] = {1, 1, 4, 8, 16};
  static const char *const name[] = {"M", "N", "K"};
  g->size_count = (int)sn_kr_below(g, SN_KR_SIZES + 1);
  for (int j = 0; j < g->size_count; j++) {
    int64_t d = divisors[sn_kr_below(g, 5)], value = d * (1 + sn_kr_below(g, 40 / d + 1));
    int64_t min = sn_kr_chance(g, 50) ? d : value, max = value + d * sn_kr_below(g, 50);
    g->size[j] = (sn_krindex){sn_kernel_size(g->k, name[j], min, max, d), value, value};
    g->size_divisor[j] = d;
    g->buffer[j].role = SN_K_SIZE;
  }
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static sn_krindex grid_extent(sn_kgen *g, int64_t most) {
  for (int tries = 0; tries < 3 && g->size_count && sn_kr_chance(g, 60); tries++) {
    sn_krindex n = g->size[sn_kr_below(g, g->size_count)];
    int64_t by = g->extent[sn_kr_below(g, SN_KR_PALETTE)], count = ceil_div(n.hi, by);
    if (count <= most) return (sn_krindex){sn_k_iceil(g->k, n.v, by), count, count};
  }
  return sn_kr_const(g, 1 + sn_kr_below(g, most < 4 ? most : 4));
}

static void make_grid(sn_kgen *g) {
  sn_krindex e[3] = {0};
  int64_t all = 1;
  g->grid_count = 1 + (int)sn_kr_below(g, 3);
  for (int d = 0; d < g->grid_count; d++) {
    e[d] = grid_extent(g, 12 / all);
    all *= e[d].hi;
  }
  sn_kernel_grid(g->k, g->grid_count, e[0].v, e[1].v, e[2].v);
  sn_kv linear = sn_k_i(g->k, 0);
  for (int d = 0; d < g->grid_count; d++) {
    g->gid[d] = (sn_krindex){sn_k_gid(g->k, d), 0, e[d].hi - 1};
    linear = sn_k_iadd(g->k, sn_k_imul(g->k, linear, e[d].v), g->gid[d].v);
  }
  g->instance = (sn_krindex){linear, 0, all - 1};
}

static void make_palette(sn_kgen *g) {
  static const int extents[] = {1, 2, 3, 4, 5, 7, 8, 8, 11, 13, 16, 16, 17, 19, 24, 31, 32, 33, 48, 64};
  for (int j = 0; j < SN_KR_PALETTE; j++) g->extent[j] = extents[sn_kr_below(g, 20)];
  int smallest = g->extent[0];
  for (int j = 1; j < SN_KR_PALETTE; j++)
    if (g->extent[j] < smallest) smallest = g->extent[j];
  int64_t pick = sn_kr_below(g, 100);
  g->area = pick < 70 ? 300 : pick < 95 ? 1200 : 4096;
  g->work = pick < 70 ? 8192 : pick < 95 ? 32768 : 131072;
  if ((int64_t)smallest * smallest > g->area) g->extent[0] = 1 + (int)sn_kr_below(g, 16);
}

/* ---- control ---- */

static void body(sn_kgen *g, int steps);

/* What a loop carries. */
typedef enum { GENERAL, SUM, PRODUCT, INTEGER, KINDS } carry_kind;

typedef struct carried {
  carry_kind kind;
  sn_krvalue at; /* the carried value inside, then what is yielded */
} carried;

static carried initial(sn_kgen *g) {
  carried c = {(carry_kind)sn_kr_below(g, KINDS), {0}};
  int rows, cols;
  sn_kr_shape(g, &rows, &cols);
  if (c.kind == INTEGER)
    c.at = sn_kr_int(g, rows, cols);
  else if (c.kind == GENERAL)
    c.at = sn_kr_tame(g, sn_kr_float(g, rows, cols), LOOP_MAG, loop_err);
  else
    c.at = sn_kr_value(g, sn_k_const(g->k, SN_ELEM_F32, rows, cols, 0), 0, 0, true);
  return c;
}

/* A bound that is a number, hangs on a size or on the grid; trips are few. */
static sn_krindex loop_end(sn_kgen *g) {
  int64_t pick = sn_kr_below(g, 10);
  if (pick < 3 && g->size_count) return g->size[sn_kr_below(g, g->size_count)];
  if (pick < 5) {
    sn_krindex i = g->gid[sn_kr_below(g, g->grid_count)];
    return (sn_krindex){sn_k_iadd(g->k, i.v, sn_k_i(g->k, 1)), i.lo + 1, i.hi + 1};
  }
  return sn_kr_const(g, sn_kr_below(g, 9));
}

static sn_krvalue next_value(sn_kgen *g, const carried *c, int64_t trips) {
  const sn_krvalue *x = &c->at;
  double share = 1.0 / (double)(trips > 1 ? trips : 1);
  if (c->kind == PRODUCT) return sn_kr_product(g, *x);
  if (c->kind == INTEGER) {
    sn_krvalue y = sn_kr_int(g, x->r, x->c);
    return sn_kr_value(g, sn_k_bin(g->k, sn_kr_chance(g, 50) ? SN_K_ADD : SN_K_XOR, x->v, y.v), 0, 0, true);
  }
  sn_krvalue y = sn_kr_float(g, x->r, x->c);
  if (c->kind == SUM) {
    y = sn_kr_tame(g, y, 8 * share, 1);
    return sn_kr_value(g, sn_k_bin(g->k, SN_K_ADD, x->v, y.v), y.mag, y.err + 1e-7 * 8, false);
  }
  sn_kop op = sn_kr_chance(g, 40) ? SN_K_MAX : sn_kr_chance(g, 50) ? SN_K_ADD : SN_K_SUB;
  sn_kv v = sn_k_bin(g->k, op, x->v, y.v);
  return sn_kr_tame(g, sn_kr_value(g, v, LOOP_MAG + y.mag, loop_err + y.err + 1e-7 * LOOP_MAG, false), LOOP_MAG,
                    loop_err);
}

/* Bounds after all trips. */
static sn_krvalue after_loop(sn_kgen *g, const carried *c, sn_kv v, int64_t trips) {
  double n = (double)(trips > 1 ? trips : 1);
  if (c->kind == INTEGER) return sn_kr_value(g, v, 0, 0, true);
  if (c->kind == GENERAL) return sn_kr_value(g, v, LOOP_MAG, loop_err, false);
  return sn_kr_tame(g, sn_kr_value(g, v, n * c->at.mag, n * c->at.err, false), 8, 2e-6);
}

static void loop(sn_kgen *g) {
  carried c[4];
  sn_kv v[4];
  int count = (int)sn_kr_below(g, 4), pool = g->pool_count;
  sn_krindex hi = loop_end(g);
  int64_t lo = sn_kr_chance(g, 70) ? 0 : sn_kr_below(g, 3), step = 1 + sn_kr_below(g, 3);
  if (hi.hi > 6) step = ceil_div(hi.hi, 1 + sn_kr_below(g, 6));
  int64_t trips = hi.hi > lo ? ceil_div(hi.hi - lo, step) : 0;
  for (int j = 0; j < count; j++) {
    c[j] = initial(g);
    v[j] = c[j].at.v;
  }
  sn_kv iv = sn_k_for(g->k, sn_k_i(g->k, lo), hi.v, step, count, v);
  g->loop[g->loop_count++] = (sn_krindex){iv, lo, hi.hi > lo ? hi.hi - 1 : lo};
  for (int j = 0; j < count; j++) {
    c[j].at = sn_kr_value(g, v[j], c[j].kind == GENERAL ? LOOP_MAG : 0, c[j].kind == GENERAL ? loop_err : 0, false);
    if (c[j].kind == GENERAL || c[j].kind == INTEGER) sn_kr_push(g, c[j].at);
  }
  body(g, 1 + (int)sn_kr_below(g, 4));
  for (int j = 0; j < count; j++) {
    c[j].at = next_value(g, &c[j], trips);
    v[j] = c[j].at.v;
  }
  g->loop_count--;
  g->pool_count = pool; /* nothing inside is seen outside */
  sn_k_end_for(g->k, count, v);
  for (int j = 0; j < count; j++) sn_kr_push(g, after_loop(g, &c[j], v[j], trips));
}

static sn_kv condition(sn_kgen *g) {
  sn_krindex a = sn_kr_index(g), b = sn_kr_index(g);
  if (sn_kr_chance(g, 50)) return sn_k_ibin(g->k, SN_K_ILT, a.v, b.v);
  return sn_k_ibin(g->k, SN_K_IEQ, sn_k_ibin(g->k, SN_K_IMOD, a.v, sn_k_i(g->k, 2)), sn_k_i(g->k, 0));
}

static sn_krvalue of_elem(sn_kgen *g, sn_elem e, int r, int c) {
  if (e == SN_ELEM_F32) return sn_kr_tame(g, sn_kr_float(g, r, c), 8, 2e-6);
  return e == SN_ELEM_I32 ? sn_kr_int(g, r, c) : sn_kr_bool(g, r, c);
}

static void branch(sn_kgen *g) {
  static const sn_elem elems[] = {SN_ELEM_F32, SN_ELEM_F32, SN_ELEM_I32, SN_ELEM_BOOL};
  int count = (int)sn_kr_below(g, 3), r[3], c[3], pool = g->pool_count;
  sn_elem e[3];
  sn_kv v[3];
  for (int j = 0; j < count; j++) {
    sn_kr_shape(g, &r[j], &c[j]);
    e[j] = elems[sn_kr_below(g, 4)];
  }
  sn_k_if(g->k, condition(g));
  for (int side = 0; side < 2; side++) {
    body(g, 1 + (int)sn_kr_below(g, 3));
    for (int j = 0; j < count; j++) v[j] = of_elem(g, e[j], r[j], c[j]).v;
    g->pool_count = pool;
    if (!side) sn_k_else(g->k, count, v);
  }
  sn_k_end_if(g->k, count, v);
  for (int j = 0; j < count; j++) sn_kr_push(g, sn_kr_value(g, v[j], 8, 2e-6, false));
}

static void contraction(sn_kgen *g) {
  int r, c, depth;
  sn_kr_shape(g, &r, &c);
  depth = g->extent[sn_kr_below(g, SN_KR_PALETTE)];
  while ((int64_t)r * c * depth > g->work || (int64_t)(r > c ? r : c) * depth > g->area)
    depth = depth / 2 + (depth == 1);
  if (g->k->param_count < SN_KR_BUFFERS) sn_kr_push(g, sn_kr_tame(g, sn_kr_contract(g, r, c, depth), 8, 2e-6));
}

static void step(sn_kgen *g) {
  int64_t pick = sn_kr_below(g, 100);
  if (pick >= 97 && g->depth < MAX_DEPTH) {
    contraction(g);
  } else if (pick < 9 && g->depth < MAX_DEPTH) {
    g->depth++;
    loop(g);
    g->depth--;
  } else if (pick < 14 && g->depth < MAX_DEPTH) {
    g->depth++;
    branch(g);
    g->depth--;
  } else if (pick < 18 && g->pool_count && !(g->avoid & SN_KRANDOM_NO_LOCAL)) {
    sn_kr_push(g, sn_kr_local(g, g->pool[sn_kr_below(g, g->pool_count)]));
  } else if (pick < 22 && g->pool_count) {
    sn_kr_store(g, g->pool[sn_kr_below(g, g->pool_count)]);
  } else {
    sn_kr_step(g);
  }
}

static void body(sn_kgen *g, int steps) {
  for (int j = 0; j < steps; j++) step(g);
}

void sn_kr_program(sn_kgen *g) {
  make_palette(g);
  make_sizes(g);
  make_grid(g);
  body(g, 2 + (int)sn_kr_below(g, 14));
  if (!g->pool_count) sn_kr_step(g);
  int outputs = 1 + (int)sn_kr_below(g, 3);
  for (int j = 0; j < outputs; j++) { /* late values more often: they hang on the others */
    int64_t back = sn_kr_below(g, g->pool_count);
    if (j == 0 || sn_kr_chance(g, 50)) back = sn_kr_below(g, g->pool_count < 3 ? g->pool_count : 3);
    sn_kr_store(g, g->pool[g->pool_count - 1 - back]);
  }
}
