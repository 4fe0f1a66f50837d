/* Graphs that random testing found wrong once, reduced: each on every target, unfused and fused, against the
 * interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

#define GRAPH(body) "sinter 1\ndims { B: 1..9, T: 1..80 }\ngraph @g {\n" body "}\n"

typedef struct variant {
  const char *target, *fuse, *isa;
} variant;

static void check_variant(const variant *v, const char *text, int64_t B, int64_t T) {
  const int64_t dims[2] = {B, T};
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  check_opt o = {.compile = {.target = v->target, .fuse = v->fuse, .isa = v->isa},
                 .graph = "g",
                 .dims = dims,
                 .seed = 5,
                 .int_limit = 3};
  check_result r;
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s, fuse %s: %s\n%s", v->target, v->fuse, r.first, text);
  assert_true(r.total > 0);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void check(const char *text, int64_t B, int64_t T) {
  static const variant all[] = {{"template", "none", NULL},
                                {"template", "all", NULL},
                                {"cpu", "none", NULL},
                                {"cpu", "all", NULL},
                                {"cpu", "all", "baseline"}};
  for (int i = 0; i < (SN_HAVE_LLVM ? 5 : 2); i++) check_variant(&all[i], text, B, T);
}

/* Computed operands were not zero beyond the end of the sum. */
static void operands_end_with_the_sum(void **state) {
  (void)state;
  check(GRAPH("%1 = const value 0.5 : f32[B, T]\n"
              "%2 = contract %1, %1 spec \"ab,ab->b\" : f32[T]\n"
              "output \"y\" = %2\n"),
        2, 4);
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = iota axis 1 : f32[4, T]\n"
              "%3 = contract %1, %2 spec \"bt,ct->bc\" : f32[B, 4]\n"
              "output \"y\" = %3\n"),
        3, 17);
}

/* Constants were not rounded to bf16; sums of u8 that went from op to op in a kernel did not wrap. */
static void narrow_types_keep_their_width(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : bf16[B, T]\n"
              "%2 = const value 0.03333333333333333 : bf16[B, T]\n"
              "%3 = mul %1, %2 : bf16[B, T]\n"
              "output \"y\" = %3\n"),
        3, 5);
  check(GRAPH("%1 = input name \"x\" : u8[B, T]\n"
              "%2 = neg %1 : u8[B, T]\n"
              "%3 = min %2, %1 : u8[B, T]\n"
              "%4 = sum %2 axes [1] : u8[B]\n"
              "%5 = max %4, %4 : u8[B]\n"
              "output \"y\" = %3\noutput \"z\" = %5\n"),
        3, 65);
}

/* What adds to a table, of an empty value whose strides are 0, was refused for a kernel. */
static void empty_values_add_nothing(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[0, 1, 2, 0]\n"
              "%2 = input name \"i\" : i32[0, 1, 2, 0]\n"
              "%3 = exp %1 : f32[0, 1, 2, 0]\n"
              "%4 = index_add %3, %2 shape [3] : f32[3]\n"
              "output \"y\" = %4\n"),
        1, 1);
}

/* Of two reductions over a square, one ran over the wrong axis. */
static void reductions_over_both_axes_of_a_square(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"a\" : f32[T, T]\n"
              "%2 = input name \"b\" : f32[T, T]\n"
              "%3 = amax %1 axes [0] : f32[T]\n"
              "%4 = amax %2 axes [1] : f32[T]\n"
              "%5 = mul %3, %4 : f32[T]\n"
              "output \"y\" = %5\n"),
        1, 17);
}

/* Numbers made of constants and positions were put where kernels need memory. */
static void numbers_lie_in_memory_where_they_must(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[9]\n"
              "%2 = const value 0 : i64[]\n"
              "%3 = const value 0 : i32[]\n"
              "%4 = uniform %2, %3 shape [] stream \"s\" : f32[]\n"
              "%5 = contract %4, %1 spec \",a->a\" : f32[9]\n"
              "output \"y\" = %5\n"),
        1, 1);
  check(GRAPH("%1 = input name \"x\" : f32[B]\n"
              "%2 = const value 0 : i32[B]\n"
              "%3 = scatter_add %2, %1 rows 6 : f32[6]\n"
              "output \"y\" = %3\n"),
        5, 1);
}

/* There is no kernel for scores of f64, nor for heads whose size is a symbol. */
static void attention_without_a_kernel(void **state) {
  (void)state;
  check(
      "sinter 1\ndims { B: 1..9, T: 1..80 }\n"
      "body @mask {\n"
      "%1 = arg index 0 : i32[]\n%2 = arg index 1 : i32[]\n%3 = arg index 2 : i32[]\n%4 = arg index 3 : i32[]\n"
      "%5 = le %4, %3 : bool[]\nreturn %5\n}\n"
      "graph @g {\n"
      "%1 = input name \"q\" : f32[B, T, 2, T]\n"
      "%2, %3 = attention %1, %1, %1 scale 0.5 mask @mask : f32[B, T, 2, T], f32[B, 2, T]\n"
      "%4 = const value 1 : f32[B, T, 2, T]\n"
      "%5 = mul %2, %4 : f32[B, T, 2, T]\n"
      "%6 = sum %5 axes [0, 1, 2, 3] : f32[]\n"
      "%7 = grad %6, %1 : f32[B, T, 2, T]\n"
      "output \"y\" = %2\noutput \"d\" = %7\n}\n",
      2, 7);
}

/* The gradient of a bf16 table adds rows of bf16. */
static void gradient_of_a_narrow_table(void **state) {
  (void)state;
  check(GRAPH("%1 = param name \"w\" init \"normal\" a 1 : bf16[5, 4]\n"
              "%2 = input name \"i\" : i32[B, T]\n"
              "%3 = gather %1, %2 : bf16[B, T, 4]\n"
              "%4 = cast %3 to f32 : f32[B, T, 4]\n"
              "%5 = square %4 : f32[B, T, 4]\n"
              "%6 = sum %5 axes [0, 1, 2] : f32[]\n"
              "%7 = grad %6, %1 : bf16[5, 4]\n"
              "output \"d\" = %7\n"),
        3, 7);
}

/* A parameter that simplification leaves without a use. */
static void an_unused_parameter(void **state) {
  (void)state;
  check(GRAPH("%1 = const value 0 : bool[3]\n"
              "%2 = param name \"w\" init \"normal\" a 1 : f32[3]\n"
              "%3 = iota axis 0 : f32[3]\n"
              "%4 = select %1, %2, %3 : f32[3]\n"
              "output \"y\" = %4\n"),
        1, 1);
}

/* Elements beyond the end of a tile are divided by nothing. */
static void integers_are_divided_at_the_end_of_a_tile(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : i32[B, T]\n"
              "%2 = const value 1 : i32[B, T]\n"
              "%3 = add %1, %2 : i32[B, T]\n"
              "%4 = mod %1, %3 : i32[B, T]\n"
              "%5 = div %3, %3 : i32[B, T]\n"
              "output \"y\" = %4\noutput \"z\" = %5\n"),
        3, 17);
}

/* Whether a power is a number depends on rounding: no bound can be stated. */
static void a_choice_of_what_may_be_nan_is_uncertain(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = iota axis 1 : f32[B, T]\n"
              "%3 = const value 0.3333333333333333 : f32[B, T]\n"
              "%4 = mul %2, %3 : f32[B, T]\n"
              "%5 = pow %1, %4 : f32[B, T]\n"
              "%6 = isfinite %5 : bool[B, T]\n"
              "%7 = const value 0 : f32[B, T]\n"
              "%8 = select %6, %5, %7 : f32[B, T]\n"
              "output \"y\" = %8\n"),
        4, 47);
}

/* What was computed again elsewhere had held the rest of a group together. */
static void groups_fall_apart_when_values_leave(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = broadcast %1 shape [7, B, T] axes [1, 2] : f32[7, B, T]\n"
              "%3 = gelu %2 : f32[7, B, T]\n"
              "%4 = broadcast %3 shape [B, 7, B, T] axes [1, 2, 3] : f32[B, 7, B, T]\n"
              "%5 = sum %2 axes [2] : f32[7, B]\n"
              "%6 = broadcast %5 shape [7, B, B] axes [0, 1] : f32[7, B, B]\n"
              "%7 = tanh %6 : f32[7, B, B]\n"
              "%8 = contract %4, %7 spec \"abcd,bca->db\" : f32[T, 7]\n"
              "%9 = sum %8 axes [0, 1] : f32[]\n"
              "%10 = grad %9, %1 : f32[B, T]\n"
              "output \"d\" = %10\n"),
        8, 5);
}

/* Without fma the products of argument reduction were not exact. */
static void angles_of_some_turns(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = iota axis 1 : f32[B, T]\n"
              "%3 = mul %1, %2 : f32[B, T]\n"
              "%4 = sin %3 : f32[B, T]\n"
              "%5 = cos %3 : f32[B, T]\n"
              "output \"y\" = %4\noutput \"z\" = %5\n"),
        8, 65);
}

/* Positions in a shape that no stride steps through have to be written down. */
static void positions_that_have_no_stride(void **state) {
  (void)state;
  check(GRAPH("%1 = iota axis 0 : i32[3, 5]\n"
              "%2 = reshape %1 shape [15] : i32[15]\n"
              "%3 = input name \"x\" : f32[15]\n"
              "%4 = scatter_add %2, %3 rows 15 : f32[15]\n"
              "output \"y\" = %4\n"),
        1, 1);
  check(GRAPH("%1 = iota axis 1 : f32[3, 5]\n"
              "%2 = reshape %1 shape [15] : f32[15]\n"
              "%3 = input name \"x\" : f32[15]\n"
              "%4 = contract %2, %3 spec \"a,a->\" : f32[]\n"
              "output \"y\" = %4\n"),
        1, 1);
}

/* The sign of NaN was 0. */
static void sign_of_nan_is_nan(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = sqrt %1 : f32[B, T]\n"
              "%3 = sign %2 : f32[B, T]\n"
              "output \"y\" = %3\n"),
        3, 17);
}

/* Beyond 2^22 an angle counts as 0; from 2^20 on the reduction is coarser. */
static void angles_of_very_many_turns(void **state) {
  (void)state;
  check(GRAPH("%1 = iota axis 0 : f32[T]\n"
              "%2 = const value 131072 : f32[T]\n"
              "%3 = mul %1, %2 : f32[T]\n"
              "%4 = sin %3 : f32[T]\n"
              "%5 = cos %3 : f32[T]\n"
              "output \"y\" = %4\noutput \"z\" = %5\n"),
        1, 65);
}

/* Numbers made of positions are computed where they are used, unless a view in between has no strides for them. */
static void positions_below_a_merge_of_axes(void **state) {
  (void)state;
  check(GRAPH("%1 = iota axis 0 : f32[2, 2, B, 3]\n"
              "%2 = tanh %1 : f32[2, 2, B, 3]\n"
              "%3 = reshape %2 shape [4, B, 3] : f32[4, B, 3]\n"
              "%4 = const value 0 : f32[4, 2, 3]\n"
              "%5 = concat %4, %3 axis 1 : f32[4, B + 2, 3]\n"
              "output \"y\" = %5\n"),
        3, 2);
}

/* When a value left a group to be computed again elsewhere, what was left could be no kernel any more. */
static void what_is_left_of_a_group_is_a_kernel(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = const value 0.25 : f32[B, T]\n"
              "%3 = add %1, %2 : f32[B, T]\n"
              "%4 = broadcast %3 shape [B, B, T] axes [1, 2] : f32[B, B, T]\n"
              "%5 = tanh %4 : f32[B, B, T]\n"
              "%6 = expm1 %5 : f32[B, B, T]\n"
              "%7 = sum %6 axes [1] : f32[B, T]\n"
              "%8 = sigmoid %7 : f32[B, T]\n"
              "%9 = add %8, %2 : f32[B, T]\n"
              "%10 = sum %9 axes [0] : f32[T]\n"
              "output \"y\" = %7\noutput \"z\" = %3\noutput \"u\" = %10\n"),
        3, 5);
}

/* The position of a maximum was that within a row of the space that the merged axis came from. */
static void positions_count_along_a_merged_axis(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = transpose %1 perm [1, 0] : f32[T, B]\n"
              "%3 = reshape %2 shape [B*T] : f32[B*T]\n"
              "%4 = argmax %3 axis 0 : i32[]\n"
              "%5 = reshape %1 shape [B*T] : f32[B*T]\n"
              "%6 = argmin %5 axis 0 : i32[]\n"
              "output \"y\" = %4\noutput \"z\" = %6\n"),
        2, 11);
}

/* Part of the number of tiles, 30 - T by 32, was divided as if it were not negative. */
static void sizes_with_a_negative_part(void **state) {
  (void)state;
  check(
      "sinter 1\ndims { B: 1..9, T: 16..48 step 16 }\ngraph @g {\n"
      "%1 = input name \"x\" : bf16[2, T - 9, 2, T + 1]\n"
      "%2 = elu %1 alpha 0.25 : bf16[2, T - 9, 2, T + 1]\n"
      "output \"y\" = %2\n}\n",
      1, 32);
}

/* What decides a branch was refused where an output holds it, in another shape. */
static void a_flag_that_is_an_output(void **state) {
  (void)state;
  check(
      "sinter 1\n"
      "body @yes {\n%1 = arg index 0 : f32[3]\n%2 = neg %1 : f32[3]\nreturn %2\n}\n"
      "body @no {\n%1 = arg index 0 : f32[3]\n%2 = tanh %1 : f32[3]\nreturn %2\n}\n"
      "graph @g {\n"
      "%1 = input name \"x\" : f32[3]\n"
      "%2 = input name \"b\" : bool[2]\n"
      "%3 = all %2 axes [0] : bool[]\n"
      "%4 = cond %3, %1 yes @yes no @no : f32[3]\n"
      "%5 = reshape %3 shape [1] : bool[1]\n"
      "output \"y\" = %4\noutput \"z\" = %5\n}\n",
      1, 1);
}

/* A value that was computed again elsewhere took the number below it into memory, and the kernel had two shapes. */
static void what_copies_read_is_stored(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, T]\n"
              "%2 = const value 0.5 : f32[B, T]\n"
              "%3 = const value 1 : i32[]\n"
              "%4 = index %1, %3, %3 : f32[]\n"
              "%5 = broadcast %4 shape [B, T] axes [] : f32[B, T]\n"
              "%6 = pow %2, %5 : f32[B, T]\n"
              "%7 = pad %6 before [0, 0] after [2, 0] value 0 : f32[B + 2, T]\n"
              "%8 = const value 0.25 : f32[B, T]\n"
              "%9 = mul %6, %8 : f32[B, T]\n"
              "output \"y\" = %7\noutput \"z\" = %9\n"),
        2, 15);
}

/* Keys that no query sees have no gradient, or that of 0 times NaN: either is right. */
static void hidden_keys_and_nan(void **state) {
  (void)state;
  check(
      "sinter 1\ndims { B: 1..9, T: 1..80 }\n"
      "body @mask {\n"
      "%1 = arg index 0 : i32[]\n%2 = arg index 1 : i32[]\n%3 = arg index 2 : i32[]\n%4 = arg index 3 : i32[]\n"
      "%5 = le %4, %3 : bool[]\nreturn %5\n}\n"
      "graph @g {\n"
      "%1 = input name \"q\" : f32[B, 1, 2, 4]\n"
      "%2 = input name \"k\" : f32[B, T, 2, 4]\n"
      "%3, %4 = attention %1, %2, %2 scale 0.5 mask @mask : f32[B, 1, 2, 4], f32[B, 2, 1]\n"
      "%5 = sqrt %3 : f32[B, 1, 2, 4]\n"
      "%6 = sum %5 axes [0, 1, 2, 3] : f32[]\n"
      "%7 = grad %6, %2 : f32[B, T, 2, 4]\n"
      "output \"y\" = %3\noutput \"d\" = %7\n}\n",
      2, 3);
}

/* No kernel multiplies integers but i8, nor nothing: the products are summed. */
static void products_without_a_kernel(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : i64[B, 3, T]\n"
              "%2 = input name \"y\" : i64[T, B, 2]\n"
              "%3 = contract %1, %2 spec \"aic,cak->kai\" : i64[2, B, 3]\n"
              "%4 = cast %1 to u8 : u8[B, 3, T]\n"
              "%5 = contract %4, %4 spec \"aic,ajc->aij\" : i32[B, 3, 3]\n"
              "output \"wide\" = %3\noutput \"bytes\" = %5\n"),
        3, 17);
  check(GRAPH("%1 = input name \"x\" : f32[B, 0]\n"
              "%2 = input name \"y\" : f32[T, 0]\n"
              "%3 = contract %1, %2 spec \"ac,bc->ab\" : f32[B, T]\n"
              "%4 = exp %3 : f32[B, T]\n"
              "output \"z\" = %4\n"),
        3, 17);
}

/* An operand that is used as it is and turned, over a square: where it lies hung on the order of the nodes, and the
 * kernel of a group that fits was refused. */
static void an_operand_used_both_ways_of_a_square(void **state) {
  (void)state;
  check(GRAPH("%1 = input name \"x\" : f32[B, B, T]\n"
              "%2 = sigmoid %1 : f32[B, B, T]\n"
              "%3 = transpose %1 perm [1, 0, 2] : f32[B, B, T]\n"
              "%4 = pow %2, %3 : f32[B, B, T]\n"
              "%5 = transpose %4 perm [1, 2, 0] : f32[B, T, B]\n"
              "%6 = amax %5 axes [0] : f32[T, B]\n"
              "%7 = softmax %1 axis 0 : f32[B, B, T]\n"
              "output \"y1\" = %6\noutput \"y2\" = %7\noutput \"y4\" = %3\n"),
        5, 17);
}

/* A factor beyond f32, times nothing: NaN in f32, a number in the interpreter. */
static void factors_of_a_recurrence_that_are_too_large(void **state) {
  (void)state;
  check(GRAPH("%1 = iota axis 0 : f32[T, 2]\n"
              "%2 = const value 10 : f32[T, 2]\n"
              "%3 = mul %1, %2 : f32[T, 2]\n"
              "%4 = exp %3 : f32[T, 2]\n"
              "%5 = const value 0.5 : f32[T, 2]\n"
              "%6 = recur %4, %5 axis 1 : f32[T, 2]\n"
              "output \"y\" = %6\n"),
        1, 11);
}

/* Sums that only the interpreter's longer range holds, times 0: the last row is NaN in f32. */
static void a_system_whose_solution_is_too_large(void **state) {
  (void)state;
  check(GRAPH("%1 = iota axis 1 : bf16[T, T]\n"
              "%2 = const value 0.5 : bf16[T, 1]\n"
              "%3 = solve_lower %1, %2 transposed 1 : bf16[T, 1]\n"
              "%4 = iota axis 0 : f32[T, T]\n"
              "%5 = const value 0.5 : f32[T, 3]\n"
              "%6 = solve_lower %4, %5 : f32[T, 3]\n"
              "output \"y\" = %3\noutput \"z\" = %6\n"),
        1, 38);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(operands_end_with_the_sum),
      cmocka_unit_test(narrow_types_keep_their_width),
      cmocka_unit_test(empty_values_add_nothing),
      cmocka_unit_test(reductions_over_both_axes_of_a_square),
      cmocka_unit_test(numbers_lie_in_memory_where_they_must),
      cmocka_unit_test(attention_without_a_kernel),
      cmocka_unit_test(gradient_of_a_narrow_table),
      cmocka_unit_test(an_unused_parameter),
      cmocka_unit_test(integers_are_divided_at_the_end_of_a_tile),
      cmocka_unit_test(groups_fall_apart_when_values_leave),
      cmocka_unit_test(angles_of_some_turns),
      cmocka_unit_test(positions_that_have_no_stride),
      cmocka_unit_test(sign_of_nan_is_nan),
      cmocka_unit_test(angles_of_very_many_turns),
      cmocka_unit_test(positions_below_a_merge_of_axes),
      cmocka_unit_test(what_is_left_of_a_group_is_a_kernel),
      cmocka_unit_test(positions_count_along_a_merged_axis),
      cmocka_unit_test(a_choice_of_what_may_be_nan_is_uncertain),
      cmocka_unit_test(sizes_with_a_negative_part),
      cmocka_unit_test(a_flag_that_is_an_output),
      cmocka_unit_test(what_copies_read_is_stored),
      cmocka_unit_test(hidden_keys_and_nan),
      cmocka_unit_test(products_without_a_kernel),
      cmocka_unit_test(an_operand_used_both_ways_of_a_square),
      cmocka_unit_test(factors_of_a_recurrence_that_are_too_large),
      cmocka_unit_test(a_system_whose_solution_is_too_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
