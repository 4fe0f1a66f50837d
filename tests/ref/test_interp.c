/* The graph interpreter against values worked out by hand, its errors, and what its bounds promise. */
#include "tests/ops/support.h"

#include <float.h>

#define F32 SN_ELEM_F32
#define F64 SN_ELEM_F64
#define I32 SN_ELEM_I32

static const sn_attr none[SN_ATTR_MAX];

/* ---- values ---- */

static void contracts_by_letters(void **state) {
  (void)state;
  world w = world_create();
  const double a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 0, 2, -1, 3, 1};
  sn_val x = world_data(&w, typed(&w, F32, 2, 2, 3), a), y = world_data(&w, typed(&w, F32, 2, 3, 2), b);
  expect_values(&w, sn_g_contract(&w.b, "ij,jk->ik", x, y), 4, (const double[]){14, 1, 32, 1}, 0);
  expect_values(&w, sn_g_contract(&w.b, "ij,jk->ki", x, y), 4, (const double[]){14, 32, 1, 1}, 0);
  expect_values(&w, sn_g_contract(&w.b, "ij,ij->i", x, x), 2, (const double[]){14, 77}, 0);
  expect_values(&w, sn_g_contract(&w.b, "ij,ij->", x, x), 1, (const double[]){91}, 0);
  expect_values(&w, sn_g_contract(&w.b, "ij,jk->ijk", x, y), 12,
                (const double[]){1, 0, 4, -2, 9, 3, 4, 0, 10, -5, 18, 6}, 0);
  world_destroy(&w);
}

static void narrow_integers_contract_to_i32(void **state) {
  (void)state;
  world w = world_create();
  const double a[3] = {127, 127, -128}, b[3] = {127, 127, -128};
  sn_val x = world_data(&w, typed(&w, SN_ELEM_I8, 1, 3), a), y = world_data(&w, typed(&w, SN_ELEM_I8, 1, 3), b);
  sn_val r = sn_g_contract(&w.b, "i,i->", x, y);
  assert_int_equal(sn_g_type(&w.b, r)->elem, I32);
  expect_values(&w, r, 1, (const double[]){127 * 127 * 2 + 128 * 128}, 0);
  world_destroy(&w);
}

static void gathers_and_scatters(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {10, 11, 20, 21, 30, 31}, ids[4] = {2, 0, 2, 1}, u[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  sn_val table = world_data(&w, typed(&w, F32, 2, 3, 2), x), i = world_data(&w, typed(&w, I32, 1, 4), ids);
  sn_val v = world_data(&w, typed(&w, F32, 2, 4, 2), u);
  const sn_val g[2] = {table, i}, s[2] = {i, v};
  const sn_attr at[2] = {{0}, {.set = true, .d = sn_dimx_const(w.m->types, 3)}};
  expect_values(&w, sn_emit(&w.b, SN_OP_GATHER, 2, g, none, NULL), 8, (const double[]){30, 31, 10, 11, 30, 31, 20, 21},
                0);
  expect_values(&w, sn_emit(&w.b, SN_OP_SCATTER, 2, s, at, NULL), 6, (const double[]){3, 4, 7, 8, 6, 8}, 0);
  world_destroy(&w);
}

static void gathers_within_a_batch(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {1, 2, 3, 4, 5, 6}, ids[4] = {2, 2, 0, 1};
  const sn_val g[2] = {world_data(&w, typed(&w, F32, 2, 2, 3), x), world_data(&w, typed(&w, I32, 2, 2, 2), ids)};
  const sn_attr at = {.set = true, .i = 1};
  expect_values(&w, sn_emit(&w.b, SN_OP_GATHER, 2, g, &at, NULL), 4, (const double[]){3, 3, 4, 5}, 0);
  world_destroy(&w);
}

static void indexes_by_position(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {1, 2, 3, 4, 5, 6}, i[2] = {1, 0}, j[2] = {2, 1}, d[2] = {10, 20};
  const sn_val a[3] = {world_data(&w, typed(&w, F32, 2, 2, 3), x), world_data(&w, typed(&w, I32, 1, 2), i),
                       world_data(&w, typed(&w, I32, 1, 2), j)};
  const sn_val b[3] = {world_data(&w, typed(&w, F32, 1, 2), d), a[1], a[1]};
  const sn_dimx *two[2] = {sn_dimx_const(w.m->types, 2), sn_dimx_const(w.m->types, 2)};
  const sn_attr at = {.set = true, .dims = two, .count = 2};
  expect_values(&w, sn_emit(&w.b, SN_OP_INDEX, 3, a, NULL, NULL), 2, (const double[]){6, 2}, 0);
  expect_values(&w, sn_emit(&w.b, SN_OP_INDEX_ADD, 3, b, &at, NULL), 4, (const double[]){20, 0, 0, 10}, 0);
  world_destroy(&w);
}

static void slices_and_writes_rows(void **state) {
  (void)state;
  world w = world_create();
  const double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, s[2] = {2, 0}, u[4] = {-1, -2, -3, -4}, last[1] = {3};
  sn_val t = world_data(&w, typed(&w, F32, 2, 2, 4), x), start = world_data(&w, typed(&w, I32, 1, 2), s);
  sn_val src = world_data(&w, typed(&w, F32, 2, 2, 2), u), end = world_data(&w, typed(&w, I32, 0), last);
  const sn_attr take[2] = {{.set = true, .i = 1}, {.set = true, .d = sn_dimx_const(w.m->types, 2)}};
  const sn_attr ring[2] = {{.set = true, .i = 1}, {.set = true, .i = 1}};
  const sn_val a[2] = {t, start}, b[3] = {t, src, start}, c[3] = {t, src, end};
  expect_values(&w, sn_emit(&w.b, SN_OP_DYN_SLICE, 2, a, take, NULL), 4, (const double[]){3, 4, 5, 6}, 0);
  expect_values(&w, sn_emit(&w.b, SN_OP_DYN_WRITE, 3, b, take, NULL), 8, (const double[]){1, 2, -1, -2, -3, -4, 7, 8},
                0);
  expect_values(&w, sn_emit(&w.b, SN_OP_DYN_WRITE, 3, c, ring, NULL), 8, (const double[]){-2, 2, 3, -1, -4, 6, 7, -3},
                0);
  const double number[2] = {1, 1};
  const sn_val by_number[3] = {t, world_data(&w, typed(&w, F32, 2, 2, 4), (const double[]){9, 9, 9, 9, 5, 4, 3, 2}),
                               world_data(&w, typed(&w, I32, 1, 2), number)};
  const sn_attr first[2] = {{.set = true, .i = 0}};
  expect_values(&w, sn_emit(&w.b, SN_OP_DYN_WRITE, 3, by_number, first, NULL), 8,
                (const double[]){1, 2, 3, 4, 5, 4, 3, 2}, 0);
  world_destroy(&w);
}

static void views_move_elements(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {1, 2, 3, 4, 5, 6};
  const int64_t swap[2] = {1, 0}, one[1] = {1};
  sn_val t = world_data(&w, typed(&w, F32, 2, 2, 3), x), v = world_data(&w, typed(&w, F32, 1, 3), x);
  sn_types *ty = w.m->types;
  const sn_dimx *shape[2] = {sn_dimx_const(ty, 2), sn_dimx_const(ty, 3)};
  expect_values(&w, sn_g_transpose(&w.b, t, swap), 6, (const double[]){1, 4, 2, 5, 3, 6}, 0);
  expect_values(&w, sn_g_broadcast(&w.b, v, 2, shape, one), 6, (const double[]){1, 2, 3, 1, 2, 3}, 0);
  expect_values(&w, sn_g_slice_axis(&w.b, t, 1, sn_dimx_const(ty, 1), sn_dimx_const(ty, 2)), 4,
                (const double[]){2, 3, 5, 6}, 0);
  expect_values(&w, sn_g_concat(&w.b, 0, 2, (const sn_val[]){t, t}), 12,
                (const double[]){1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}, 0);
  expect_values(&w, sn_g_concat(&w.b, 1, 2, (const sn_val[]){t, t}), 12,
                (const double[]){1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}, 0);
  world_destroy(&w);
}

static void reduces(void **state) {
  (void)state;
  world w = world_create();
  const double x[6] = {1, 7, 3, 7, 5, 7};
  const int64_t rows[1] = {1}, all[2] = {0, 1};
  sn_val t = world_data(&w, typed(&w, F32, 2, 2, 3), x);
  const sn_attr axis = {.set = true, .i = 1};
  expect_values(&w, sn_g_sum(&w.b, t, 1, rows), 2, (const double[]){11, 19}, 0);
  expect_values(&w, sn_g_sum(&w.b, t, 2, all), 1, (const double[]){30}, 0);
  expect_values(&w, sn_g_amax(&w.b, t, 1, rows), 2, (const double[]){7, 7}, 0);
  expect_values(&w, sn_emit(&w.b, SN_OP_ARGMAX, 1, &t, &axis, NULL), 2, (const double[]){1, 0}, 0);
  world_destroy(&w);
}

static void integers_floor_and_wrap(void **state) {
  (void)state;
  world w = world_create();
  const double a[4] = {7, -7, 7, -7}, b[4] = {2, 2, -2, -2}, big[1] = {2147483647}, one[1] = {1};
  sn_val x = world_data(&w, typed(&w, I32, 1, 4), a), y = world_data(&w, typed(&w, I32, 1, 4), b);
  sn_val m = world_data(&w, typed(&w, I32, 1, 1), big), o = world_data(&w, typed(&w, I32, 1, 1), one);
  expect_values(&w, sn_g2(&w.b, SN_OP_DIV, x, y), 4, (const double[]){3, -4, -4, 3}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_MOD, x, y), 4, (const double[]){1, 1, -1, -1}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_ADD, m, o), 1, (const double[]){-2147483648.0}, 0);
  world_destroy(&w);
}

static void casts_truncate_and_saturate(void **state) {
  (void)state;
  world w = world_create();
  const double a[6] = {2.7, -2.7, 3e9, -3e9, NAN, 0};
  sn_val x = world_data(&w, typed(&w, F32, 1, 6), a);
  expect_values(&w, sn_g_cast(&w.b, x, I32), 6, (const double[]){2, -2, 2147483647, -2147483648.0, 0, 0}, 0);
  expect_values(&w, sn_g_cast(&w.b, x, SN_ELEM_U8), 6, (const double[]){2, 0, 255, 0, 0, 0}, 0);
  expect_values(&w, sn_g_cast(&w.b, x, SN_ELEM_BOOL), 6, (const double[]){1, 1, 1, 1, 1, 0}, 0);
  world_destroy(&w);
}

static void wide_integers_stay_exact(void **state) {
  (void)state;
  world w = world_create();
  sn_val x = world_arg(&w, typed(&w, SN_ELEM_I64, 0)), y = world_arg(&w, typed(&w, SN_ELEM_I64, 0));
  w.arg[0]->wide[0] = INT64_C(9007199254740993);
  w.arg[1]->wide[0] = 1;
  const sn_tensor *t = world_value(&w, sn_g2(&w.b, SN_OP_ADD, x, y), RUN_BOUNDS);
  assert_true(t->wide[0] == INT64_C(9007199254740994));
  world_destroy(&w);
}

static void uniform_is_the_generator(void **state) {
  (void)state;
  world w = world_create();
  const double seed[1] = {42}, step[1] = {3};
  const sn_val a[2] = {world_data(&w, typed(&w, SN_ELEM_I64, 0), seed), world_data(&w, typed(&w, I32, 0), step)};
  const sn_dimx *dim[1] = {sn_dimx_const(w.m->types, 4)};
  const sn_attr at[2] = {{.set = true, .dims = dim, .count = 1}, {.set = true, .s = "h.0.drop"}};
  double want[4];
  for (uint64_t i = 0; i < 4; i++) want[i] = (double)sn_uniform(42, sn_stream_of("h.0.drop"), 3, i);
  expect_values(&w, sn_emit(&w.b, SN_OP_UNIFORM, 2, a, at, NULL), 4, want, 0);
  world_destroy(&w);
}

static void nan_and_infinity_follow_the_rules(void **state) {
  (void)state;
  world w = world_create();
  const double a[4] = {NAN, 1, INFINITY, -INFINITY}, b[4] = {1, NAN, 2, 2};
  sn_val x = world_data(&w, typed(&w, F32, 1, 4), a), y = world_data(&w, typed(&w, F32, 1, 4), b);
  expect_values(&w, sn_g2(&w.b, SN_OP_MAX, x, y), 4, (const double[]){NAN, NAN, INFINITY, 2}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_LT, x, y), 4, (const double[]){0, 0, 0, 1}, 0);
  expect_values(&w, sn_g2(&w.b, SN_OP_NE, x, y), 4, (const double[]){1, 1, 1, 1}, 0);
  expect_values(&w, sn_g1(&w.b, SN_OP_ISFINITE, x), 4, (const double[]){0, 1, 0, 0}, 0);
  const sn_tensor *t = world_value(&w, sn_g2(&w.b, SN_OP_ADD, x, y), RUN_BOUNDS);
  assert_true(isnan(t->value[0]) && t->bound[0] == 0 && t->value[2] == INFINITY && t->bound[2] == 0);
  world_destroy(&w);
}

/* ---- attention ---- */

typedef struct setup { /* B 2, T 3, S 4, H 4, G 2, d 3, e 2 */
  world w;
  sn_val q, k, v, bias, start;
} setup;

static sn_val site_arg(sn_build *b, int i, sn_elem e) {
  const sn_attr at = {.set = true, .i = i};
  return sn_emit(b, SN_OP_ARG, 0, NULL, &at, sn_type_scalar(b->func->module->types, e));
}

/* score: s + bias[head]; mask: k <= q and q != 2 */
static void regions(setup *s, const sn_func **score, const sn_func **mask) {
  sn_build b = sn_build_begin(sn_func_create(s->w.m, "score", SN_FUNC_BODY), s->w.diags);
  sn_build c = sn_build_begin(sn_func_create(s->w.m, "mask", SN_FUNC_BODY), s->w.diags);
  sn_val x[6], y[5];
  const sn_type *bias = sn_g_type(&s->w.b, s->bias);
  for (int i = 0; i < 5; i++) x[i] = site_arg(&b, i, i ? I32 : F64);
  const sn_attr last[2] = {{.set = true, .i = 5}, {.set = true, .i = 4}};
  x[5] = sn_emit(&b, SN_OP_ARG, 0, NULL, &last[0], bias);
  for (int i = 0; i < 4; i++) y[i] = site_arg(&c, i, I32);
  y[4] = sn_emit(&c, SN_OP_ARG, 0, NULL, &last[1], bias);
  const sn_val at[2] = {x[5], x[2]};
  sn_func_return(b.func, sn_g2(&b, SN_OP_ADD, x[0], sn_emit(&b, SN_OP_INDEX, 2, at, NULL, NULL)));
  sn_val two = sn_g_const_like(&c, y[2], 2);
  sn_func_return(c.func, sn_g2(&c, SN_OP_AND, sn_g2(&c, SN_OP_LE, y[3], y[2]), sn_g2(&c, SN_OP_NE, y[2], two)));
  assert_int_equal(b.failed || c.failed, 0);
  *score = b.func;
  *mask = c.func;
}

static setup setup_create(void) {
  const double start[2] = {0, 1};
  setup s = {.w = world_create()};
  s.q = world_noise(&s.w, typed(&s.w, F64, 4, 2, 3, 4, 3), 1);
  s.k = world_noise(&s.w, typed(&s.w, F64, 4, 2, 4, 2, 3), 2);
  s.v = world_noise(&s.w, typed(&s.w, F64, 4, 2, 4, 2, 2), 3);
  s.bias = world_noise(&s.w, typed(&s.w, F64, 1, 4), 4);
  s.start = world_data(&s.w, typed(&s.w, I32, 1, 2), start);
  return s;
}

static sn_val attend(setup *s) {
  const sn_func *score, *mask;
  regions(s, &score, &mask);
  const sn_val arg[5] = {s->q, s->k, s->v, s->bias, s->start};
  const sn_attr at[SN_ATTR_MAX] = {
      {.set = true, .f = 0.5}, {.set = true, .i = 1}, {.set = true, .region = score}, {.set = true, .region = mask}};
  return sn_emit(&s->w.b, SN_OP_ATTENTION, 5, arg, at, NULL);
}

/* One element of y and lse, straight from the definition. */
static double naive(const setup *s, int b, int t, int h, int e, double *lse) {
  const double *q = s->w.arg[0]->value, *k = s->w.arg[1]->value, *v = s->w.arg[2]->value, *bias = s->w.arg[3]->value;
  int at = t + (b ? 1 : 0), g = h / 2;
  double sum = 0, y = 0;
  for (int j = 0; j < 4; j++) {
    double dot = 0;
    for (int d = 0; d < 3; d++) dot += q[((b * 3 + t) * 4 + h) * 3 + d] * k[((b * 4 + j) * 2 + g) * 3 + d];
    double p = j <= at && at != 2 ? exp(0.5 * dot + bias[h]) : 0;
    sum += p;
    y += p * v[((b * 4 + j) * 2 + g) * 2 + e];
  }
  *lse = log(sum);
  return sum > 0 ? y / sum : 0;
}

static void check_attention(setup *s, const sn_tensor *y, const sn_tensor *lse) {
  for (int i = 0; i < 48; i++) {
    int b = i / 24, t = i / 8 % 3, h = i / 2 % 4, e = i % 2;
    double l, want = naive(s, b, t, h, e, &l), found = lse->value[(b * 4 + h) * 3 + t];
    assert_true(fabs(y->value[i] - want) <= 1e-14);
    assert_true(isinf(l) ? found == l : fabs(found - l) <= 1e-14);
    assert_true(y->bound[i] <= 1e-12);
  }
}

/* Query 2 sees nothing: y = 0, lse = -inf. */
static void attention_agrees_with_its_definition(void **state) {
  (void)state;
  setup s = setup_create();
  sn_val y = attend(&s);
  const sn_tensor *a = world_value(&s.w, y, RUN_BOUNDS), *b = world_value(&s.w, y + 1, RUN_BOUNDS);
  check_attention(&s, a, b);
  world_destroy(&s.w);
}

static void attention_agrees_with_its_expansion(void **state) {
  (void)state;
  setup s = setup_create();
  sn_val y = attend(&s), lse = 0;
  const sn_node *n = sn_node_of(s.w.b.func, y);
  sn_val e = sn_attention_expand_lse(&s.w.b, n, n->arg, &lse);
  const sn_tensor *a = world_value(&s.w, e, RUN_BOUNDS), *b = world_value(&s.w, lse, RUN_BOUNDS);
  check_attention(&s, a, b);
  world_destroy(&s.w);
}

static void attention_gradient_agrees_with_the_derived_expansion(void **state) {
  (void)state;
  setup s = setup_create();
  sn_val y = attend(&s), wrt[3] = {s.q, s.k, s.v}, d[3], x[3];
  sn_val seed = world_noise(&s.w, sn_g_type(&s.w.b, y), 9);
  const sn_node *n = sn_node_of(s.w.b.func, y);
  sn_val e = sn_attention_expand(&s.w.b, n, n->arg);
  assert_int_equal(sn_derive(&s.w.b, 1, &y, &seed, 3, wrt, d), SN_OK);
  assert_int_equal(sn_derive(&s.w.b, 1, &e, &seed, 3, wrt, x), SN_OK);
  assert_int_equal(sn_node_of(s.w.b.func, d[0])->op, SN_OP_ATTENTION_GRAD);
  for (int i = 0; i < 3; i++) {
    const sn_tensor *a = world_value(&s.w, d[i], RUN_BOUNDS), *b = world_value(&s.w, x[i], RUN_BOUNDS);
    for (int64_t j = 0; j < a->count; j++) assert_true(fabs(a->value[j] - b->value[j]) <= 1e-13);
  }
  world_destroy(&s.w);
}

/* No query of batch 0 sees key 3: what it holds meets weights of 0, in y and so in all gradients of its head. */
static void what_a_hidden_key_holds_is_uncertain(void **state) {
  (void)state;
  setup s = setup_create();
  sn_val y = attend(&s), wrt[3] = {s.q, s.k, s.v}, d[3];
  sn_val seed = world_noise(&s.w, sn_g_type(&s.w.b, y), 9);
  assert_int_equal(sn_derive(&s.w.b, 1, &y, &seed, 3, wrt, d), SN_OK);
  s.w.arg[2]->value[3 * 4] = NAN; /* v of batch 0, key 3, key head 0, element 0 */
  const sn_tensor *a = world_value(&s.w, y, RUN_BOUNDS);
  for (int i = 0; i < 48; i++) {
    bool met = i / 24 == 0 && i / 2 % 4 < 2 && i % 2 == 0;
    assert_true(met ? isinf(a->bound[i]) : a->bound[i] < 1e-12 && isfinite(a->value[i]));
  }
  const sn_tensor *dq = world_value(&s.w, d[0], RUN_BOUNDS), *dk = world_value(&s.w, d[1], RUN_BOUNDS);
  for (int64_t i = 0; i < dq->count; i++) assert_true(isinf(dq->bound[i]) == (i / 36 == 0 && i / 3 % 4 < 2));
  for (int64_t i = 0; i < dk->count; i++) assert_true(isinf(dk->bound[i]) == (i / 24 == 0 && i / 3 % 2 == 0));
  world_destroy(&s.w);
}

/* ---- bounds ---- */

static void exact_operations_have_no_bound(void **state) {
  (void)state;
  world w = world_create();
  const double a[3] = {1, 2.5, -3}, b[3] = {4, 0.25, 7};
  sn_val x = world_data(&w, typed(&w, F32, 1, 3), a), y = world_data(&w, typed(&w, F32, 1, 3), b);
  const int64_t axes[1] = {0};
  const sn_tensor *s = world_value(&w, sn_g2(&w.b, SN_OP_ADD, x, y), RUN_BOUNDS);
  for (int i = 0; i < 3; i++) assert_true(s->bound[i] == 0);
  sn_val counted = sn_g_sum(&w.b, sn_g_cast(&w.b, sn_g2(&w.b, SN_OP_LT, x, y), F32), 1, axes);
  s = world_value(&w, counted, RUN_BOUNDS);
  assert_true(s->value[0] == 2 && s->bound[0] == 0);
  s = world_value(&w, sn_g1(&w.b, SN_OP_EXP, x), RUN_BOUNDS);
  assert_true(s->bound[0] > 0 && s->bound[0] < 1e-5);
  world_destroy(&w);
}

/* x and y differ by less than their errors: the comparison may turn out either way, select covers both sides. */
static void outcomes_that_may_flip_are_uncertain(void **state) {
  (void)state;
  world w = world_create();
  const double a[2] = {0.5, 0.5}, b[2] = {1, 3};
  sn_val x = world_data(&w, typed(&w, F32, 1, 2), a), t = world_data(&w, typed(&w, F32, 1, 2), b);
  sn_val e = sn_g1(&w.b, SN_OP_EXP, x), l = sn_g1(&w.b, SN_OP_EXP, sn_g1(&w.b, SN_OP_LOG, e));
  sn_val c = sn_g2(&w.b, SN_OP_LT, e, l);
  const sn_tensor *flag = world_value(&w, c, RUN_BOUNDS);
  assert_true(isinf(flag->bound[0]));
  sn_val zero = sn_g_const_like(&w.b, t, 0);
  const sn_tensor *s = world_value(&w, sn_g3(&w.b, SN_OP_SELECT, c, t, zero), RUN_BOUNDS);
  assert_true(s->bound[0] == 1 && s->bound[1] == 3);
  s = world_value(&w, sn_g3(&w.b, SN_OP_SELECT, c, t, t), RUN_BOUNDS);
  assert_true(s->bound[0] == 0);
  sn_val both = sn_g_concat(&w.b, 0, 2, (const sn_val[]){e, l});
  const sn_attr axis = {.set = true, .i = 0};
  s = world_value(&w, sn_emit(&w.b, SN_OP_ARGMAX, 1, &both, &axis, NULL), RUN_BOUNDS);
  assert_true(isinf(s->bound[0]));
  world_destroy(&w);
}

/* Outside of a domain by more than the error is NaN for certain; a NaN that may not be one stays uncertain. */
static void negative_beyond_doubt_is_nan(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_LOG, SN_OP_SQRT, SN_OP_RSQRT};
  world w = world_create();
  const double a[3] = {-2, -1e-9, 3}, one[3] = {1, 1, 1};
  sn_val x = world_data(&w, typed(&w, F32, 1, 3), a), y = world_data(&w, typed(&w, F32, 1, 3), one);
  sn_val moved =
      sn_g2(&w.b, SN_OP_SUB, sn_g2(&w.b, SN_OP_ADD, x, sn_g1(&w.b, SN_OP_EXP, y)), sn_g1(&w.b, SN_OP_EXP, y));
  for (int i = 0; i < 3; i++) {
    sn_val v = sn_g1(&w.b, ops[i], moved);
    const sn_tensor *t = world_value(&w, v, RUN_BOUNDS);
    assert_true(isnan(t->value[0]) && t->bound[0] == 0);
    assert_true(isinf(t->bound[1]));
    assert_true(isfinite(t->value[2]) && t->bound[2] > 0 && t->bound[2] < 1e-5);
    assert_true(isinf(world_value(&w, sn_g1(&w.b, SN_OP_SIGN, v), RUN_BOUNDS)->bound[1]));
  }
  world_destroy(&w);
}

/* What may be infinite in an execution may be NaN after any op, also after one whose results are small. */
static void what_may_overflow_stays_unknown(void **state) {
  (void)state;
  static const sn_op ops[] = {SN_OP_SIN, SN_OP_COS, SN_OP_TANH, SN_OP_ERF, SN_OP_SIGN};
  world w = world_create();
  const double a[1] = {88.72}, zero[1] = {0};
  sn_val x = sn_g1(&w.b, SN_OP_EXP, world_data(&w, typed(&w, F32, 1, 1), a));
  sn_val nothing = world_data(&w, typed(&w, F32, 1, 1), zero), big = sn_g2(&w.b, SN_OP_MUL, x, x);
  for (int i = 0; i < 5; i++) assert_true(isinf(world_value(&w, sn_g1(&w.b, ops[i], big), RUN_BOUNDS)->bound[0]));
  assert_true(isinf(world_value(&w, sn_g2(&w.b, SN_OP_MUL, big, nothing), RUN_BOUNDS)->bound[0]));
  world_destroy(&w);
}

/* Eight layers: proven bounds have multiplied to nothing of use, estimated ones hold and are tight. */
static void spread_gives_usable_bounds_in_depth(void **state) {
  (void)state;
  world w = world_create();
  sn_build b = sn_build_begin(sn_func_create(w.m, "deep", SN_FUNC_GRAPH), w.diags);
  sn_val weight = world_noise(&w, typed(&w, F32, 2, 16, 16), 1), x = world_noise(&w, typed(&w, F32, 2, 4, 16), 2);
  const sn_attr name[2][4] = {{{.set = true, .s = "w"}, {.set = true, .s = "zeros"}}, {{.set = true, .s = "x"}}};
  weight = sn_emit(&b, SN_OP_PARAM, 0, NULL, name[0], sn_g_type(&w.b, weight));
  x = sn_emit(&b, SN_OP_INPUT, 0, NULL, name[1], sn_g_type(&w.b, x));
  for (int i = 0; i < 8; i++) x = sn_g1(&b, SN_OP_SIN, sn_g_contract(&b, "bi,io->bo", x, weight));
  assert_int_equal(b.failed, SN_OK);
  const sn_binding leaf[2] = {{"w", w.arg[0]}, {"x", w.arg[1]}};
  sn_tensor **hard, **likely, **found;
  sn_interp in = world_interp(&w, RUN_BOUNDS, 1), round = world_interp(&w, RUN_ROUND, 77);
  in.leaf = round.leaf = leaf;
  in.leaf_count = round.leaf_count = 2;
  assert_int_equal(sn_interp_run(&in, b.func, &hard), SN_OK);
  assert_int_equal(sn_interp_run_spread(&in, b.func, 8, &likely), SN_OK);
  assert_int_equal(sn_interp_run(&round, b.func, &found), SN_OK);
  float data[64];
  sn_tensor_store(found[x], data);
  assert_true(hard[x]->bound[0] > 1 && likely[x]->bound[0] < 0.05);
  assert_int_equal(sn_tensor_compare(likely[x], data, 1).count, 0);
  for (int i = 0; i < 64; i++) data[i] += 0.05f;
  assert_true(sn_tensor_compare(likely[x], data, 1).count > 60);
  world_destroy(&w);
}

static void compare_excludes_flushes_and_counts(void **state) {
  (void)state;
  world w = world_create();
  int64_t extent[1] = {5};
  sn_tensor *t;
  assert_int_equal(sn_tensor_create(w.arena, F32, 1, extent, &t), SN_OK);
  t->bound = SN_ARRAY(w.arena, 5, double);
  const double value[5] = {1, 2, NAN, 1e-40, 4}, bound[5] = {0.1, INFINITY, 0, 0, 0.5};
  const float found[5] = {1.05f, 99, NAN, 0, 5};
  memcpy(t->value, value, sizeof value);
  memcpy(t->bound, bound, sizeof bound);
  sn_mismatch m = sn_tensor_compare(t, found, 1);
  assert_int_equal(m.count, 1);
  assert_int_equal(m.excluded, 1);
  assert_int_equal(m.total, 5);
  assert_int_equal(m.first, 4);
  assert_true(m.worst == 2);
  assert_int_equal(sn_tensor_compare(t, found, 2).count, 0);
  world_destroy(&w);
}

static void tensors_load_and_store_each_type(void **state) {
  (void)state;
  world w = world_create();
  const double value[3] = {-1, 0, 2};
  int64_t extent[1] = {3};
  for (int e = 1; e < SN_ELEM_COUNT; e++) {
    sn_tensor *a, *b;
    char data[64];
    bool is_signed = e != SN_ELEM_U8 && e != SN_ELEM_BOOL;
    assert_int_equal(sn_tensor_create(w.arena, (sn_elem)e, 1, extent, &a), SN_OK);
    assert_int_equal(sn_tensor_create(w.arena, (sn_elem)e, 1, extent, &b), SN_OK);
    for (int i = 0; i < 3; i++)
      set_value(a, i, e == SN_ELEM_BOOL ? value[i] != 0 : is_signed ? value[i] : fabs(value[i]));
    sn_tensor_store(a, data);
    sn_tensor_load(b, data);
    for (int i = 0; i < 3; i++) assert_true(a->value[i] == b->value[i]);
  }
  world_destroy(&w);
}

/* ---- errors ---- */

static void fails_with(world *w, sn_val v, sn_code code, const char *message) {
  sn_tensor **r = SN_ARRAY(w->arena, 64, sn_tensor *);
  sn_interp in = world_interp(w, RUN_BOUNDS, 1);
  in.find_nonfinite = code == SN_ERR_NUMERIC;
  if (w->b.failed) fail_msg("%s", world_errors(w));
  sn_func_return(w->b.func, v);
  assert_int_equal(sn_interp_call(&in, w->b.func, w->arg_count, w->arg, r), code);
  const sn_diag *d = &w->diags->at[w->diags->count - 1];
  if (!strstr(d->message, message)) fail_msg("found: %s", d->message);
  assert_int_equal(d->loc.line, 41);
}

static world at_line_41(void) {
  static const sn_loc loc = {.file = "model.c", .line = 41};
  world w = world_create();
  w.b.origin = (sn_origin){.locs = &loc, .loc_count = 1};
  return w;
}

static void an_index_out_of_range_is_an_error(void **state) {
  (void)state;
  world w = at_line_41();
  const double ids[2] = {0, 3}, start[1] = {2};
  sn_val x = world_noise(&w, typed(&w, F32, 1, 3), 1), i = world_data(&w, typed(&w, I32, 1, 2), ids);
  sn_val s = world_data(&w, typed(&w, I32, 0), start), l = world_noise(&w, typed(&w, F32, 2, 2, 3), 1);
  const sn_val g[2] = {x, i}, c[2] = {x, s}, ce[2] = {l, i};
  const sn_attr take[2] = {{.set = true, .i = 0}, {.set = true, .d = sn_dimx_const(w.m->types, 2)}};
  sn_func *f = w.b.func;
  fails_with(&w, sn_emit(&w.b, SN_OP_GATHER, 2, g, none, NULL), SN_ERR_INPUT,
             "index 3 at element 1 is outside of 0 .. 2");
  f->node_count--;
  fails_with(&w, sn_emit(&w.b, SN_OP_CROSS_ENTROPY, 2, ce, none, NULL), SN_ERR_INPUT, "id 3 at element 1");
  f->node_count--;
  fails_with(&w, sn_emit(&w.b, SN_OP_DYN_SLICE, 2, c, take, NULL), SN_ERR_INPUT, "rows 2 .. 3 are outside of 0 .. 2");
  world_destroy(&w);
}

static void grad_is_not_executable(void **state) {
  (void)state;
  world w = at_line_41();
  const sn_val g[2] = {world_noise(&w, typed(&w, F32, 0), 1), world_noise(&w, typed(&w, F32, 1, 3), 1)};
  fails_with(&w, sn_emit(&w.b, SN_OP_GRAD, 2, g, NULL, NULL), SN_ERR_INPUT, "run the pass `grad` first");
  world_destroy(&w);
}

static void the_first_nonfinite_node_is_named(void **state) {
  (void)state;
  world w = at_line_41();
  const double a[2] = {1, 100};
  sn_val x = world_data(&w, typed(&w, F32, 1, 2), a);
  sn_val y = sn_g1(&w.b, SN_OP_EXP, x);
  fails_with(&w, sn_g1(&w.b, SN_OP_LOG, y), SN_ERR_NUMERIC, "`exp` gives 2.68");
  world_destroy(&w);
}

static void a_missing_or_misshapen_leaf_is_an_error(void **state) {
  (void)state;
  world w = at_line_41();
  const sn_attr at[4] = {{.set = true, .s = "wte"}, {.set = true, .s = "zeros"}};
  sn_val p = sn_emit(&w.b, SN_OP_PARAM, 0, NULL, at, typed(&w, F32, 1, 3));
  fails_with(&w, p, SN_ERR_INPUT, "\"wte\" is not given");
  int64_t extent[1] = {4};
  sn_tensor *t, **r = SN_ARRAY(w.arena, 8, sn_tensor *);
  assert_int_equal(sn_tensor_create(w.arena, F32, 1, extent, &t), SN_OK);
  sn_interp in = world_interp(&w, RUN_BOUNDS, 1);
  const sn_binding leaf = {"wte", t};
  in.leaf = &leaf;
  in.leaf_count = 1;
  assert_int_equal(sn_interp_call(&in, w.b.func, 0, NULL, r), SN_ERR_INPUT);
  assert_string_equal(w.diags->at[w.diags->count - 1].expected, "f32[3]");
  assert_string_equal(w.diags->at[w.diags->count - 1].found, "f32[4]");
  world_destroy(&w);
}

static void type_errors_state_expected_and_found(void **state) {
  (void)state;
  world w = at_line_41();
  sn_val x = world_noise(&w, typed(&w, F32, 1, 3), 1), y = world_noise(&w, typed(&w, F32, 1, 4), 1);
  assert_int_equal(sn_g2(&w.b, SN_OP_ADD, x, y), 0);
  assert_int_equal(w.b.failed, SN_ERR_INPUT);
  assert_string_equal(w.diags->at[0].message, "`add`: operand 2 does not fit");
  assert_string_equal(w.diags->at[0].found, "f32[4]");
  assert_int_equal(w.diags->at[0].loc.line, 41);
  assert_int_equal(sn_g1(&w.b, SN_OP_EXP, x), 0); /* sticky */
  assert_int_equal(w.diags->count, 1);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contracts_by_letters),
      cmocka_unit_test(narrow_integers_contract_to_i32),
      cmocka_unit_test(gathers_and_scatters),
      cmocka_unit_test(gathers_within_a_batch),
      cmocka_unit_test(indexes_by_position),
      cmocka_unit_test(slices_and_writes_rows),
      cmocka_unit_test(views_move_elements),
      cmocka_unit_test(reduces),
      cmocka_unit_test(integers_floor_and_wrap),
      cmocka_unit_test(casts_truncate_and_saturate),
      cmocka_unit_test(wide_integers_stay_exact),
      cmocka_unit_test(uniform_is_the_generator),
      cmocka_unit_test(nan_and_infinity_follow_the_rules),
      cmocka_unit_test(attention_agrees_with_its_definition),
      cmocka_unit_test(attention_agrees_with_its_expansion),
      cmocka_unit_test(attention_gradient_agrees_with_the_derived_expansion),
      cmocka_unit_test(what_a_hidden_key_holds_is_uncertain),
      cmocka_unit_test(exact_operations_have_no_bound),
      cmocka_unit_test(outcomes_that_may_flip_are_uncertain),
      cmocka_unit_test(negative_beyond_doubt_is_nan),
      cmocka_unit_test(what_may_overflow_stays_unknown),
      cmocka_unit_test(spread_gives_usable_bounds_in_depth),
      cmocka_unit_test(compare_excludes_flushes_and_counts),
      cmocka_unit_test(tensors_load_and_store_each_type),
      cmocka_unit_test(an_index_out_of_range_is_an_error),
      cmocka_unit_test(grad_is_not_executable),
      cmocka_unit_test(the_first_nonfinite_node_is_named),
      cmocka_unit_test(a_missing_or_misshapen_leaf_is_an_error),
      cmocka_unit_test(type_errors_state_expected_and_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
