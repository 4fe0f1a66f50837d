/* Finishing: numbers do not depend on the order of building, dead nodes go, the signature stays. */
#include "tests/graph/support.h"

/* y = (x + w) * -(x + w), z = w - x; built from the left or from the right. */
static sn_func *built(world *w, bool left_first) {
  sn_func *f = sn_func_create(w->m, "g", SN_FUNC_GRAPH);
  sn_val x, p, z = 0;
  if (left_first)
    x = leaf(f, SN_OP_INPUT, "x", w->vector), p = leaf(f, SN_OP_PARAM, "w", w->vector);
  else
    p = leaf(f, SN_OP_PARAM, "w", w->vector), z = leaf(f, SN_OP_INPUT, "unused", w->scalar),
    x = leaf(f, SN_OP_INPUT, "x", w->vector);
  if (!left_first) z = binary(f, SN_OP_SUB, p, x);
  unary(f, SN_OP_EXP, x); /* dead */
  sn_val s = binary(f, SN_OP_ADD, x, p);
  sn_val y = binary(f, SN_OP_MUL, s, unary(f, SN_OP_NEG, s));
  if (left_first) z = binary(f, SN_OP_SUB, p, x), leaf(f, SN_OP_INPUT, "unused", w->scalar);
  const sn_type *flag = sn_type_scalar(w->m->types, SN_ELEM_BOOL);
  f->guard = number(f, 1, flag);
  if (left_first)
    sn_func_output(f, "y", y), sn_func_output(f, "z", z);
  else
    sn_func_output(f, "z", z), sn_func_output(f, "y", y);
  sn_func_update(f, p, y);
  return sn_func_finish(f);
}

static void two_orders_give_the_same_bytes(void **state) {
  (void)state;
  world a = world_create(), b = world_create();
  sn_func *f = built(&a, true), *g = built(&b, false);
  assert_true(sn_func_equal(f, g));
  assert_string_equal(text_of(a.m, true), text_of(b.m, true));
  assert_string_equal(text_of(a.m, false),
                      "sinter 1\n"
                      "dims { B: 1..64 }\n"
                      "\n"
                      "graph @g {\n"
                      "  %1 = input name \"unused\" : f32[]\n"
                      "  %2 = input name \"x\" : f32[B]\n"
                      "  %3 = param name \"w\" init \"zeros\" : f32[B]\n"
                      "  %4 = add %2, %3 : f32[B]\n"
                      "  %5 = neg %4 : f32[B]\n"
                      "  %6 = mul %4, %5 : f32[B]\n"
                      "  %7 = sub %3, %2 : f32[B]\n"
                      "  %8 = const value 1 : bool[]\n"
                      "  output \"y\" = %6\n"
                      "  output \"z\" = %7\n"
                      "  update %3 = %6\n"
                      "  guard %8\n"
                      "}\n");
  world_destroy(&a);
  world_destroy(&b);
}

static void arguments_stay_in_order(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "body", SN_FUNC_BODY);
  sn_val c = argument(f, 2, w.scalar), a = argument(f, 0, w.scalar);
  argument(f, 1, w.vector);
  sn_func_return(f, binary(f, SN_OP_SUB, c, a));
  sn_func_return(f, c);
  f = sn_func_finish(f);
  assert_int_equal(sn_func_verify(f, w.diags), SN_OK);
  assert_string_equal(text_of(w.m, false),
                      "sinter 1\n"
                      "dims { B: 1..64 }\n"
                      "\n"
                      "body @body {\n"
                      "  %1 = arg index 0 : f32[]\n"
                      "  %2 = arg index 1 : f32[B]\n"
                      "  %3 = arg index 2 : f32[]\n"
                      "  %4 = sub %3, %1 : f32[]\n"
                      "  return %4, %3\n"
                      "}\n");
  world_destroy(&w);
}

static void long_chains_do_not_recurse(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_INPUT, "x", w.vector);
  for (int i = 0; i < 200000; i++) x = unary(f, SN_OP_NEG, x);
  sn_func_output(f, "y", x);
  f = sn_func_finish(f);
  assert_int_equal(f->node_count, 200001);
  assert_int_equal(sn_func_verify(f, w.diags), SN_OK);
  world_destroy(&w);
}

static void a_successor_takes_name_and_place(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "first", SN_FUNC_GRAPH);
  sn_func_create(w.m, "second", SN_FUNC_GRAPH);
  sn_func *next = sn_func_successor(f);
  assert_int_equal(w.m->func_count, 2);
  sn_func_output(next, "x", leaf(next, SN_OP_INPUT, "x", w.vector));
  sn_func *done = sn_func_replace(f, next);
  assert_ptr_equal(w.m->func[0], done);
  assert_string_equal(done->name, "first");
  assert_int_equal(w.m->func_count, 2);
  sn_func *listed = sn_func_create(w.m, "first", SN_FUNC_GRAPH);
  done = sn_func_replace(done, listed);
  assert_int_equal(w.m->func_count, 2);
  assert_ptr_equal(sn_module_find(w.m, "first"), done);
  world_destroy(&w);
}

static void equality_sees_every_part(void **state) {
  (void)state;
  static const char *const texts[] = {
      "%1 = input name \"x\" : f32[4] %2 = sum %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"z\" : f32[4] %2 = sum %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[5] %2 = sum %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f16[4] %2 = sum %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = sum %1 axes [1] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = sum %1 axes [] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = amax %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = sum %1 axes [0] : f32[] output \"y\" = %1",
      "%1 = input name \"x\" : f32[4] %2 = sum %1 axes [0] : f32[] output \"x\" = %2",
      "%1 = input name \"x\" default 1 : f32[4] %2 = sum %1 axes [0] : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = call %1 body @b with \"h\" : f32[] output \"y\" = %2",
      "%1 = input name \"x\" : f32[4] %2 = call %1 body @c with \"h\" : f32[] output \"y\" = %2",
  };
  enum { N = sizeof texts / sizeof *texts };
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const sn_func *f[N][2];
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < 2; k++) {
      const char *text = sn_arena_printf(arena,
                                         "sinter 1 body @b { %%1 = arg index 0 : f32[4] return %%1 }"
                                         "body @c { %%1 = arg index 0 : f32[3] return %%1 } graph @g%d { %s }",
                                         k, texts[i]);
      sn_module *m = parsed(arena, diags, text);
      f[i][k] = m->func[2];
    }
  }
  for (int i = 0; i < N; i++) {
    for (int k = 0; k < N; k++) assert_int_equal(sn_func_equal(f[i][0], f[k][1]), i == k);
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_orders_give_the_same_bytes), cmocka_unit_test(arguments_stay_in_order),
      cmocka_unit_test(long_chains_do_not_recurse),     cmocka_unit_test(a_successor_takes_name_and_place),
      cmocka_unit_test(equality_sees_every_part),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
