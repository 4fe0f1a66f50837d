/* Hash-consing: an equal node is found, a different one is made; source lines of both survive. */
#include <math.h>

#include "tests/graph/support.h"

static void equal_nodes_are_one(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_INPUT, "x", w.vector), y = leaf(f, SN_OP_INPUT, "y", w.vector);
  assert_int_equal(binary(f, SN_OP_ADD, x, y), binary(f, SN_OP_ADD, x, y));
  assert_int_not_equal(binary(f, SN_OP_ADD, x, y), binary(f, SN_OP_ADD, y, x));
  assert_int_not_equal(binary(f, SN_OP_ADD, x, y), binary(f, SN_OP_SUB, x, y));
  assert_int_not_equal(number(f, 1, w.scalar), number(f, 1, w.vector));
  assert_int_not_equal(number(f, 0.0, w.scalar), number(f, -0.0, w.scalar));
  assert_int_equal(number(f, (double)NAN, w.scalar), number(f, -(double)NAN, w.scalar));
  world_destroy(&w);
}

static sn_val cast(sn_func *f, sn_val x, sn_elem to) {
  const sn_type *type = sn_type_with_elem(f->module->types, sn_val_type(f, x), to);
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .i = to}};
  return sn_func_add(f, SN_OP_CAST, 1, &x, attr, 1, &type, NULL);
}

static sn_val sum(sn_func *f, sn_val x, int count, const int64_t *axes, const sn_type *type) {
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .count = count, .ints = axes}};
  return sn_func_add(f, SN_OP_SUM, 1, &x, attr, 1, &type, NULL);
}

static void attributes_are_identity(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_INPUT, "x", w.vector);
  int64_t axes[] = {0, 1};
  assert_int_equal(cast(f, x, SN_ELEM_F16), cast(f, x, SN_ELEM_F16));
  assert_int_not_equal(cast(f, x, SN_ELEM_F16), cast(f, x, SN_ELEM_BF16));
  sn_val all = sum(f, x, 2, axes, w.scalar);
  axes[1] = 7; /* lists are copied: the node does not see this */
  assert_int_equal(sn_node_attr(sn_node_of(f, all), "axes")->ints[1], 1);
  assert_int_not_equal(all, sum(f, x, 2, axes, w.scalar));
  assert_int_not_equal(all, sum(f, x, 1, axes, w.scalar));
  assert_null(sn_node_attr(sn_node_of(f, all), "perm"));
  world_destroy(&w);
}

static void leaves_are_one_per_name(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_PARAM, "w", w.vector);
  assert_int_equal(x, leaf(f, SN_OP_PARAM, "w", w.scalar));
  assert_int_equal(x, sn_func_leaf(f, SN_OP_PARAM, "w"));
  assert_int_equal(0, sn_func_leaf(f, SN_OP_STATE, "w"));
  assert_int_equal(0, sn_func_leaf(f, SN_OP_PARAM, "v"));
  assert_string_equal(sn_leaf_name(sn_node_of(f, x)), "w");
  assert_null(sn_leaf_name(sn_node_of(f, unary(f, SN_OP_NEG, x))));
  world_destroy(&w);
}

static sn_val neg_at(sn_func *f, sn_val x, const char *file, int line, const char *layer) {
  sn_loc loc = {.file = file, .line = line};
  sn_origin origin = {.locs = &loc, .loc_count = 1, .layer = layer};
  const sn_type *type = sn_val_type(f, x);
  return sn_func_add(f, SN_OP_NEG, 1, &x, NULL, 1, &type, &origin);
}

static void merging_keeps_every_line(void **state) {
  (void)state;
  world w = world_create();
  const char *texts[2];
  for (int order = 0; order < 2; order++) {
    sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
    sn_val x = leaf(f, SN_OP_INPUT, "x", w.vector);
    static const int lines[2][4] = {{9, 4, 30, 4}, {30, 4, 9, 9}};
    for (int i = 0; i < 4; i++) neg_at(f, x, "a.c", lines[order][i], "h.0");
    sn_val y = neg_at(f, x, "0.c", 99, "h.1");
    const sn_origin *o = &sn_node_of(f, y)->origin;
    assert_int_equal(o->loc_count, 4);
    assert_string_equal(o->layer, "h.0");
    sn_text out = sn_text_begin(w.arena);
    sn_node_print(&out, f, sn_node_of(f, y), (sn_print_opt){.locations = true});
    texts[order] = out.at;
  }
  assert_string_equal(texts[0], "%2 = neg %1 : f32[B] layer \"h.0\"  @ \"0.c\":99 \"a.c\":4 \"a.c\":9 \"a.c\":30");
  assert_string_equal(texts[0], texts[1]);
  world_destroy(&w);
}

static void lines_have_a_limit(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_INPUT, "x", w.vector), y = 0;
  for (int i = 1000; i > 0; i--) y = neg_at(f, x, "a.c", i, NULL);
  assert_int_equal(sn_node_of(f, y)->origin.loc_count, 64);
  assert_int_equal(sn_node_of(f, y)->origin.locs[0].line, 1);
  assert_int_equal(sn_node_of(f, y)->origin.locs[63].line, 64);
  world_destroy(&w);
}

static void names_are_made_unique(void **state) {
  (void)state;
  world w = world_create();
  assert_string_equal(sn_func_create(w.m, "h", SN_FUNC_BODY)->name, "h");
  sn_func *second = sn_func_create(w.m, "h", SN_FUNC_BODY);
  assert_string_equal(second->name, "h_2");
  assert_string_equal(sn_func_create(w.m, "h", SN_FUNC_BODY)->name, "h_3");
  sn_module_remove(w.m, second);
  assert_null(sn_module_find(w.m, "h_2"));
  assert_int_equal(w.m->func_count, 2);
  world_destroy(&w);
}

static void facts_of_values(void **state) {
  (void)state;
  world w = world_create();
  sn_func *f = sn_func_create(w.m, "g", SN_FUNC_GRAPH);
  sn_val c = number(f, 2.5, w.scalar), args[3] = {c, c, c};
  const sn_type *types[2] = {w.vector, w.scalar};
  sn_attr scale[SN_ATTR_MAX] = {{.set = true, .f = 1}};
  sn_val y = sn_func_add(f, SN_OP_ATTENTION, 3, args, scale, 2, types, NULL);
  double value = 0;
  assert_true(sn_val_is_const(f, c, &value));
  assert_true(value == 2.5);
  assert_false(sn_val_is_const(f, y, NULL));
  assert_int_equal(sn_val_result(f, y + 1), 1);
  assert_ptr_equal(sn_val_type(f, y), w.vector);
  assert_ptr_equal(sn_val_type(f, y + 1), w.scalar);
  assert_int_equal(f->value_count, 4);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_nodes_are_one),     cmocka_unit_test(attributes_are_identity),
      cmocka_unit_test(leaves_are_one_per_name), cmocka_unit_test(merging_keeps_every_line),
      cmocka_unit_test(lines_have_a_limit),      cmocka_unit_test(names_are_made_unique),
      cmocka_unit_test(facts_of_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
