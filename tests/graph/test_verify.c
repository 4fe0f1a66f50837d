/* Verification: each kind of damage is caught, with a message that quotes the node. */
#include "tests/graph/support.h"

/* A sound graph and body to be damaged. Values: 1 x, 2 w, 3 add, 4 neg, 5 sum, 6 call, 7 flag. */
typedef struct patient {
  world w;
  sn_func *f, *body;
} patient;

static patient patient_create(void) {
  patient p = {.w = world_create()};
  p.body = sn_func_create(p.w.m, "body", SN_FUNC_BODY);
  sn_val first = argument(p.body, 0, p.w.vector), second = argument(p.body, 1, p.w.vector);
  sn_func_return(p.body, binary(p.body, SN_OP_ADD, first, second));
  sn_func *f = p.f = sn_func_create(p.w.m, "g", SN_FUNC_GRAPH);
  sn_val x = leaf(f, SN_OP_INPUT, "x", p.w.vector), w = leaf(f, SN_OP_PARAM, "w", p.w.vector);
  sn_val y = unary(f, SN_OP_NEG, binary(f, SN_OP_ADD, x, w));
  sn_attr axes[SN_ATTR_MAX] = {{.set = true, .count = 1, .ints = (int64_t[]){0}}};
  sn_val s = sn_func_add(f, SN_OP_SUM, 1, &y, axes, 1, &p.w.scalar, NULL);
  sn_attr call[SN_ATTR_MAX] = {{.set = true, .region = p.body}, {.set = true, .s = "h"}};
  sn_func_add(f, SN_OP_CALL, 2, (sn_val[]){x, w}, call, 1, &p.w.vector, NULL);
  f->guard = number(f, 1, sn_type_scalar(p.w.m->types, SN_ELEM_BOOL));
  sn_func_output(f, "s", s);
  sn_func_update(f, w, y);
  return p;
}

static sn_node *node(sn_func *f, sn_val v) { return (sn_node *)(uintptr_t)f->node_of[v]; }
static sn_attr *attr(sn_func *f, sn_val v, int i) { return (sn_attr *)(uintptr_t)&f->node_of[v]->attr[i]; }
static sn_val *operand(sn_func *f, sn_val v, int i) { return (sn_val *)(uintptr_t)&f->node_of[v]->arg[i]; }

/* Verifies, expects exactly this message with what was expected and found. */
static void refused(patient *p, const char *message) {
  assert_int_equal(sn_func_verify(p->f, p->w.diags), SN_ERR_INPUT);
  assert_int_equal(p->w.diags->count, 1);
  const sn_diag *d = &p->w.diags->at[0];
  assert_true(d->expected && d->found);
  assert_string_equal(
      sn_arena_printf(p->w.diags->arena, "%s, expected %s, found %s", d->message, d->expected, d->found), message);
  world_destroy(&p->w);
}

static void sound_functions_pass(void **state) {
  (void)state;
  patient p = patient_create();
  assert_int_equal(sn_func_verify(p.f, p.w.diags), SN_OK);
  assert_int_equal(sn_func_verify(p.body, p.w.diags), SN_OK);
  world_destroy(&p.w);
}

static void tables(void **state) {
  (void)state;
  patient p = patient_create();
  node(p.f, 3)->first = 9;
  refused(&p, "graph @g: `%9 = add %1, %2 : f32[B]`: its first value, expected %3, found %9");
  p = patient_create();
  p.f->node_of[3] = p.f->node_of[1];
  refused(
      &p,
      "graph @g: `%3 = add %1, %2 : f32[B]`: value %3 is not listed as its result, expected this node, found another");
  p = patient_create();
  p.f->node_count--;
  refused(&p, "graph @g: the number of listed values, expected 6, found 7");
  p = patient_create();
  node(p.f, 3)->result_count = 0;
  refused(&p, "graph @g: ` = add %1, %2`: the number of its results, expected 1 or more, found 0");
}

static void nodes(void **state) {
  (void)state;
  patient p = patient_create();
  node(p.f, 3)->op = SN_OP_COUNT;
  refused(&p, sn_arena_printf(p.w.arena,
                              "graph @g: `%%3 = ? %%1, %%2 : f32[B]`: there is no such op, expected an op, found %d",
                              SN_OP_COUNT));
  p = patient_create();
  node(p.f, 3)->arg_count = 1;
  refused(&p, "graph @g: `%3 = add %1 : f32[B]`: the number of operands of add, expected 2, found 1");
  p = patient_create();
  *operand(p.f, 3, 1) = 4;
  refused(&p,
          "graph @g: `%3 = add %1, %4 : f32[B]`: operand 1 is not defined before its use, expected a value that is "
          "defined above, found %4");
  p = patient_create();
  *operand(p.f, 3, 0) = 0;
  refused(&p,
          "graph @g: `%3 = add %0, %2 : f32[B]`: operand 0 is not defined before its use, expected a value that is "
          "defined above, found %0");
  p = patient_create();
  *(const sn_type **)(uintptr_t)p.f->node_of[4]->type = NULL;
  refused(&p, "graph @g: `%4 = neg %3 : ?`: the type of a result, expected a type, found none");
}

static void attributes(void **state) {
  (void)state;
  patient p = patient_create();
  attr(p.f, 5, 0)->set = false;
  refused(&p, "graph @g: `%5 = sum %4 : f32[]`: attribute axes is missing, expected axes, found none");
  p = patient_create();
  attr(p.f, 5, 0)->ints = NULL;
  attr(p.f, 5, 0)->count = 0;
  assert_int_equal(sn_func_verify(p.f, p.w.diags), SN_OK);
  attr(p.f, 2, 1)->s = NULL;
  refused(&p, "graph @g: `%2 = param name \"w\" init \"?\" : f32[B]`: attribute init, expected a text, found none");
  p = patient_create();
  attr(p.f, 6, 0)->region = NULL;
  refused(&p,
          "graph @g: `%6 = call %1, %2 body @\"?\" with \"h\" : f32[B]`: attribute body, expected a body, found none");
}

static void leaves(void **state) {
  (void)state;
  patient p = patient_create();
  attr(p.f, 1, 0)->s = "w";
  refused(&p,
          "graph @g: `%2 = param name \"w\" init \"zeros\" : f32[B]`: leaf \"w\" is declared twice, expected a name "
          "that is free, found w");
  p = patient_create();
  attr(p.f, 1, 0)->s = "";
  refused(&p, "graph @g: `%1 = input name \"\" : f32[B]`: the leaf has no name, expected a name, found none");
  p = patient_create();
  argument(p.f, 0, p.w.scalar);
  refused(&p,
          "graph @g: `%8 = arg index 0 : f32[]`: a graph has no arguments, expected input, param or state, found arg");
  p = patient_create();
  p.f = p.body;
  attr(p.f, 2, 0)->i = 0;
  refused(&p,
          "body @body: `%2 = arg index 0 : f32[B]`: argument 0 is declared twice, expected arguments numbered from 0 "
          "without gaps, found 0");
  p = patient_create();
  p.f = p.body;
  attr(p.f, 2, 0)->i = 2;
  refused(
      &p,
      "body @body: argument 1 is missing, expected arguments numbered from 0 without gaps, found none of this number");
  p = patient_create();
  p.f = p.body;
  attr(p.f, 2, 0)->i = -1;
  refused(&p,
          "body @body: `%2 = arg index -1 : f32[B]`: the number of an argument, expected arguments numbered from 0 "
          "without gaps, found -1");
}

static void regions(void **state) {
  (void)state;
  patient p = patient_create();
  p.body->kind = SN_FUNC_GRAPH;
  refused(
      &p,
      "graph @g: `%6 = call %1, %2 body @body with \"h\" : f32[B]`: the kind of @body, expected a body, found a graph");
  p = patient_create();
  sn_module_remove(p.w.m, p.body);
  refused(&p,
          "graph @g: `%6 = call %1, %2 body @body with \"h\" : f32[B]`: body @body is not listed in the module, "
          "expected a body of the module, found body");
  p = patient_create();
  argument(p.body, 2, p.w.scalar);
  refused(&p,
          "graph @g: `%6 = call %1, %2 body @body with \"h\" : f32[B]`: the number of arguments of body @body, "
          "expected 3, found 2");
  p = patient_create();
  sn_func_return(p.body, 1);
  refused(&p,
          "graph @g: `%6 = call %1, %2 body @body with \"h\" : f32[B]`: the number of results of body @body, expected "
          "2, found 1");
  p = patient_create();
  sn_attr call[SN_ATTR_MAX] = {{.set = true, .region = p.body}, {.set = true, .s = "h"}};
  sn_func_add(p.body, SN_OP_CALL, 2, (sn_val[]){1, 2}, call, 1, &p.w.vector, NULL);
  refused(&p,
          "graph @g: `%6 = call %1, %2 body @body with \"h\" : f32[B]`: body @body uses itself, expected another body, "
          "found body");
}

static void nesting_has_a_limit(void **state) {
  (void)state;
  patient p = patient_create();
  for (int i = 0; i < 66; i++) {
    sn_func *outer = sn_func_create(p.w.m, "outer", SN_FUNC_BODY);
    sn_attr call[SN_ATTR_MAX] = {{.set = true, .region = p.body}, {.set = true, .s = "h"}};
    sn_val args[2] = {argument(outer, 0, p.w.vector), argument(outer, 1, p.w.vector)};
    sn_func_return(outer, sn_func_add(outer, SN_OP_CALL, 2, args, call, 1, &p.w.vector, NULL));
    assert_int_equal(sn_func_verify(outer, p.w.diags), i < 64 ? SN_OK : SN_ERR_LIMIT);
    p.body = outer;
  }
  world_destroy(&p.w);
}

static void interface(void **state) {
  (void)state;
  patient p = patient_create();
  sn_func_output(p.f, "s", 1);
  refused(&p, "graph @g: output \"s\" is declared twice, expected a name that is free, found s");
  p = patient_create();
  sn_func_output(p.f, "t", 8);
  refused(&p, "graph @g: the value of output \"t\", expected a value that is defined above, found %8");
  p = patient_create();
  sn_func_update(p.f, 2, 1);
  refused(
      &p,
      "graph @g: `%2 = param name \"w\" init \"zeros\" : f32[B]`: it is updated twice, expected one update, found two");
  p = patient_create();
  sn_func_update(p.f, 1, 1);
  refused(&p, "graph @g: `%1 = input name \"x\" : f32[B]`: it is updated, expected a param or state, found input");
  p = patient_create();
  p.f->update[0].next = 5;
  refused(&p,
          "graph @g: `%2 = param name \"w\" init \"zeros\" : f32[B]`: the type of its update %5, expected f32[B], "
          "found f32[]");
  p = patient_create();
  p.f->update[0].next = 99;
  refused(&p, "graph @g: update %2 = %99, expected a value that is defined above, found %99");
  p = patient_create();
  p.f->guard = 1;
  refused(&p, "graph @g: `%1 = input name \"x\" : f32[B]`: the type of the guard, expected bool[], found f32[B]");
  p = patient_create();
  p.f->guard = 40;
  refused(&p, "graph @g: the guard, expected a value that is defined above, found %40");
  p = patient_create();
  sn_func_return(p.f, 1);
  refused(&p, "graph @g: what a graph gives, expected outputs, found results");
}

static void results_of_bodies(void **state) {
  (void)state;
  patient p = patient_create();
  p.f = p.body;
  p.f->result_count = 0;
  refused(&p, "body @body: the number of values that a body returns, expected 1 or more, found 0");
  p = patient_create();
  p.f = p.body;
  p.f->result[0] = 7;
  refused(&p, "body @body: result 0, expected a value that is defined above, found %7");
  p = patient_create();
  p.f = p.body;
  sn_func_output(p.f, "y", 1);
  refused(&p, "body @body: what a body gives, expected results, found outputs, updates or a guard");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sound_functions_pass), cmocka_unit_test(tables),    cmocka_unit_test(nodes),
      cmocka_unit_test(attributes),           cmocka_unit_test(leaves),    cmocka_unit_test(regions),
      cmocka_unit_test(nesting_has_a_limit),  cmocka_unit_test(interface), cmocka_unit_test(results_of_bodies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
