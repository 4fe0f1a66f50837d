/* Type rules refuse what does not fit, with what was expected and found, at the line of the text; building helpers
 * leave out what changes nothing. */
#include "tests/ops/support.h"

#include "ir/graph/text.h"

typedef struct refusal {
  const char *nodes; /* last line is the node at fault */
  const char *message;
  const char *expected; /* NULL: none stated */
} refusal;

/* clang-format off */
static const refusal refusals[] = { /* table */
    {"%1 = arg index 0 : f32[3]\n%2 = arg index 1 : f32[4]\n%3 = mul %1, %2 : f32[3]",
     "`mul`: operand 2 does not fit", "f32[3], the type of operand 1"},
    {"%1 = arg index 0 : i32[3]\n%2 = exp %1 : i32[3]", "`exp`: operand 1 does not fit", "a float tensor"},
    {"%1 = arg index 0 : f32[3]\n%2 = mod %1, %1 : f32[3]", "`mod`: operand 1 does not fit", "an integer tensor"},
    {"%1 = arg index 0 : f32[3]\n%2 = select %1, %1, %1 : f32[3]", "`select`: operand 1 does not fit", "bool[3]"},
    {"%1 = arg index 0 : f32[3]\n%2 = exp %1 : f32[4]", "`exp`: result 0 is stated with another type", "f32[3]"},
    {"%1 = arg index 0 : f32[B, 3]\n%2 = reshape %1 shape [B, 4] : f32[B, 4]",
     "`reshape`: operand 1 does not fit", "as many elements as f32[B, 4]"},
    {"%1 = arg index 0 : f32[B, 3]\n%2 = transpose %1 perm [1, 1] : f32[3, 3]", "`transpose`: perm is not a permutation", NULL},
    {"%1 = arg index 0 : f32[3]\n%2 = broadcast %1 shape [2, 4] axes [1] : f32[2, 4]",
     "`broadcast`: operand 1 does not fit", "an extent of axis 0 that is 1 or that of axis 1 of f32[2, 4]"},
    {"%1 = arg index 0 : f32[B]\n%2 = slice %1 start [1] shape [B] : f32[B]",
     "`slice`: axis 0 is cut where it may not exist", "rows of f32[B]"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = arg index 1 : f32[2, 4]\n%3 = concat %1, %2 axis 0 : f32[4, 3]",
     "`concat`: operand 2 does not fit", "f32[2, 3] but for axis 0"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = sum %1 axes [1, 0] : f32[]",
     "`sum`: operand 1 does not fit", "axes ascending and within the rank"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = contract %1, %1 spec \"ab,cb->a\" : f32[2]", "`contract`: malformed spec \"ab,cb->a\"",
     "\"ab,bc->ac\": distinct letters; a letter that is summed stands in both operands"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = contract %1, %1 spec \"ab,bc->ac\" : f32[2, 3]", "`contract`: operand 2 does not fit",
     "axis b with the extent that it has in f32[2, 3] (spec \"ab,bc->ac\")"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = gather %1, %1 : f32[2, 3, 3]", "`gather`: operand 2 does not fit", "an i32 or i64 tensor"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = arg index 1 : i32[4]\n%3 = index %1, %2 : f32[4]",
     "`index`: takes one index tensor per axis: 2, not 1", NULL},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = arg index 1 : i32[2]\n%3 = dynamic_slice %1, %2 axis 0 count 1 : f32[1, 3]",
     "`dynamic_slice`: operand 2 does not fit", "i32[], or i32 with an entry per row of axis 0 when axis is above 0"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = arg index 1 : i32[]\n%3 = dynamic_slice %1, %2 axis 0 count 3 : f32[3, 3]",
     "`dynamic_slice`: operand 1 does not fit", "at least as many rows along axis 0 as are taken"},
    {"%1 = arg index 0 : i64[]\n%2 = uniform %1, %1 shape [3] stream \"a\" : f32[3]",
     "`uniform`: operand 2 does not fit", "i32[], the step"},
    {"%1 = arg index 0 : f32[2]\n%2 = grad %1, %1 : f32[2]", "`grad`: operand 1 does not fit", "a float scalar, the loss"},
    {"%1 = arg index 0 : f32[2, 4, 6, 8]\n%2 = arg index 1 : f32[2, 5, 4, 8]\n"
     "%3, %4 = attention %1, %2, %2 scale 1 : f32[2, 4, 6, 8], f32[2, 6, 4]",
     "`attention`: operand 2 does not fit", "a number of heads (axis 2) that divides the heads of f32[2, 4, 6, 8]"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = softmax %1 axis 2 : f32[2, 3]", "`softmax`: operand 1 does not fit", "floats with an axis 2"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = arg index 1 : i32[3]\n%3 = cross_entropy %1, %2 : f32[2]",
     "`cross_entropy`: operand 2 does not fit", "i32 or i64 in the shape of f32[2, 3] without its last axis"},
    {"%1 = arg index 0 : f32[2, 3]\n%2 = layernorm %1 eps -1 : f32[2, 3]", "`layernorm`: eps is negative", NULL},
};
/* clang-format on */

static void check_refusal(const refusal *r) {
  world w = world_create();
  sn_module *m;
  int line = 4;
  for (const char *p = r->nodes; *p; p++) line += *p == '\n';
  const char *text = sn_arena_printf(w.arena, "sinter 1\ndims { B: 1..64 }\nbody @f {\n%s\nreturn %%1\n}\n", r->nodes);
  if (sn_module_parse(w.arena, w.diags, "bad.sn", text, strlen(text), &m)) fail_msg("%s\n%s", world_errors(&w), text);
  assert_int_equal(sn_ops_check(sn_module_find(m, "f"), w.diags), SN_ERR_INPUT);
  const sn_diag *d = &w.diags->at[0];
  assert_string_equal(d->message, r->message);
  if (r->expected)
    assert_string_equal(d->expected, r->expected);
  else
    assert_null(d->expected);
  if (d->loc.line != line) fail_msg("%s: line %d, not %d", r->message, d->loc.line, line);
  world_destroy(&w);
}

static void what_does_not_fit_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) check_refusal(&refusals[i]);
}

static void specs_of_contractions(void **state) {
  (void)state;
  sn_contract_spec s;
  assert_int_equal(sn_contract_parse("btd,vd->btv", &s), SN_OK);
  assert_true(s.a_count == 3 && s.b_count == 2 && s.out_count == 3 && !strcmp(s.out, "btv"));
  assert_int_equal(sn_contract_parse(",->", &s), SN_OK);
  static const char *const bad[] = {"",         "ab",         "ab,bc",     "aa,ab->b",  "ab,bc->abd",
                                    "ab,bc->a", "ab,bc->aac", "a1,1b->ab", "ab,bc->ac,"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(sn_contract_parse(bad[i], &s), SN_ERR_INPUT);
}

static void helpers_leave_out_what_changes_nothing(void **state) {
  (void)state;
  world w = world_create();
  const sn_type *t = typed(&w, SN_ELEM_F32, 2, 2, 3);
  sn_val x = world_arg(&w, t);
  const int64_t same[2] = {0, 1};
  assert_int_equal(sn_g_cast(&w.b, x, SN_ELEM_F32), x);
  assert_int_equal(sn_g_reshape(&w.b, x, 2, t->dim), x);
  assert_int_equal(sn_g_transpose(&w.b, x, same), x);
  assert_int_equal(sn_g_expand_to(&w.b, x, t), x);
  assert_int_equal(sn_g_slice(&w.b, x, t->dim, t->dim), x);
  assert_int_equal(sn_g_concat(&w.b, 0, 1, &x), x);
  assert_int_equal(sn_g_sum(&w.b, x, 0, NULL), x);
  world_destroy(&w);
}

static void a_missing_attribute_is_an_error(void **state) {
  (void)state;
  world w = world_create();
  sn_val x = world_arg(&w, typed(&w, SN_ELEM_F32, 1, 3));
  assert_int_equal(sn_g1(&w.b, SN_OP_SOFTMAX, x), 0);
  assert_string_equal(w.diags->at[0].message, "`softmax`: attribute `axis` is missing");
  world_destroy(&w);
}

/* sum over a row that differs from element to element cannot stand in a region */
static void regions_lift_only_elementwise_ops(void **state) {
  (void)state;
  world w = world_create();
  sn_build r = sn_build_begin(sn_func_create(w.m, "score", SN_FUNC_BODY), w.diags);
  const sn_attr at[2] = {{.set = true, .i = 0}, {.set = true, .i = 1}};
  const int64_t axes[1] = {0};
  sn_val s = sn_emit(&r, SN_OP_ARG, 0, NULL, &at[0], typed(&w, SN_ELEM_I32, 0));
  sn_val table = sn_emit(&r, SN_OP_ARG, 0, NULL, &at[1], typed(&w, SN_ELEM_F32, 2, 4, 3));
  const sn_val pick[2] = {table, s};
  const sn_attr none = {0};
  sn_func_return(r.func, sn_g_sum(&r, sn_emit(&r, SN_OP_GATHER, 2, pick, &none, NULL), 1, axes));
  const sn_val args[2] = {world_arg(&w, typed(&w, SN_ELEM_I32, 1, 5)), world_arg(&w, typed(&w, SN_ELEM_F32, 2, 4, 3))};
  const bool lifted[2] = {true, false};
  assert_int_equal(sn_region_lift(&w.b, r.func, 2, args, lifted, typed(&w, SN_ELEM_F32, 1, 5), 0), 0);
  assert_non_null(strstr(w.diags->at[0].message, "`gather` cannot stand in the region `score`"));
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_does_not_fit_is_refused),           cmocka_unit_test(specs_of_contractions),
      cmocka_unit_test(helpers_leave_out_what_changes_nothing), cmocka_unit_test(a_missing_attribute_is_an_error),
      cmocka_unit_test(regions_lift_only_elementwise_ops),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
