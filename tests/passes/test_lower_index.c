/* Lowered plans against the graph interpreter: indexing, random numbers, states written in place, guards. */
#include "tests/passes/lowered.h"

static void gathers(void **state) {
  (void)state;
  int64_t dims[] = {3, 12};
  lowered_check_all((lowered_case){.int_below = 11,
                                   .dims = dims,
                                   .text = "dims { B: 1..64, T: 1..128 }\n"
                                           "graph @g {\n"
                                           "  %1 = param name \"w\" init \"normal\" : f32[11, 24]\n"
                                           "  %2 = param name \"p\" init \"normal\" : f32[128, 24]\n"
                                           "  %3 = input name \"i\" : i32[B, T]\n"
                                           "  %4 = gather %1, %3 : f32[B, T, 24]\n"
                                           "  %5 = iota axis 0 : i32[T]\n"
                                           "  %6 = gather %2, %5 : f32[T, 24]\n"
                                           "  %7 = broadcast %6 shape [B, T, 24] axes [1, 2] : f32[B, T, 24]\n"
                                           "  %8 = add %4, %7 : f32[B, T, 24]\n"
                                           "  %9 = layernorm %8 eps 1e-05 : f32[B, T, 24]\n"
                                           "  %10 = transpose %1 perm [1, 0] : f32[24, 11]\n"
                                           "  %11 = gather %10, %3 : f32[B, T, 11]\n"
                                           "  %12 = input name \"j\" : i64[B, T]\n"
                                           "  %13 = index %1, %3, %12 : f32[B, T]\n"
                                           "  %14 = gather %4, %3 batch 1 : f32[B, T, 24]\n"
                                           "  output \"y\" = %9\n"
                                           "  output \"t\" = %11\n"
                                           "  output \"x\" = %13\n"
                                           "  output \"e\" = %8\n"
                                           "}\n"});
}

static void batched_gather(void **state) {
  (void)state;
  int64_t dims[] = {3, 4};
  lowered_check_all((lowered_case){.int_below = 4,
                                   .dims = dims,
                                   .text = "dims { B: 1..64, T: 4..128 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"x\" : f32[B, T, 24]\n"
                                           "  %2 = input name \"i\" : i32[B, 5]\n"
                                           "  %3 = gather %1, %2 batch 1 : f32[B, 5, 24]\n"
                                           "  %4 = scatter_add %2, %3 batch 1 rows T : f32[B, T, 24]\n"
                                           "  output \"y\" = %3\n"
                                           "  output \"z\" = %4\n"
                                           "}\n"});
}

static void scatters(void **state) {
  (void)state;
  lowered_check_all((lowered_case){.int_below = 7,
                                   .text = "dims { B: 1..64, T: 1..128 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"u\" : f32[B, T, 24]\n"
                                           "  %2 = input name \"i\" : i32[B, T]\n"
                                           "  %3 = exp %1 : f32[B, T, 24]\n"
                                           "  %4 = scatter_add %2, %3 rows 7 : f32[7, 24]\n"
                                           "  %5 = input name \"v\" : f32[B, T]\n"
                                           "  %6 = input name \"j\" : i64[B, T]\n"
                                           "  %7 = index_add %5, %2, %6 shape [7, 9] : f32[7, 9]\n"
                                           "  output \"y\" = %4\n"
                                           "  output \"z\" = %7\n"
                                           "}\n"});
}

/* Sorted by row first: several blocks of updates, rows with many, one and none, of both kinds of integers, of
 * positions, and of a set of indices for each of a batch. */
static void scatters_in_many_instances(void **state) {
  (void)state;
  sn_target gpu = sn_target_vulkan(&(sn_gpu){.float64 = true});
  int64_t dims[] = {3, 211};
  lowered_case c = {.int_below = 300,
                    .dims = dims,
                    .target = &gpu,
                    .text =
                        "dims { B: 1..64, T: 1..256 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"u\" : f32[B, T, 5]\n"
                        "  %2 = input name \"i\" : i32[B, T]\n"
                        "  %3 = exp %1 : f32[B, T, 5]\n"
                        "  %4 = scatter_add %2, %3 rows 300 : f32[300, 5]\n"
                        "  %5 = input name \"j\" : i64[B, T]\n"
                        "  %6 = scatter_add %5, %3 batch 1 rows 300 : f32[B, 300, 5]\n"
                        "  %7 = iota axis 0 : i32[T]\n"
                        "  %8 = input name \"v\" : f32[T, 2, 3]\n"
                        "  %14 = exp %8 : f32[T, 2, 3]\n"
                        "  %9 = scatter_add %7, %14 rows 256 : f32[256, 2, 3]\n"
                        "  %15 = iota axis 0 : i32[B, T]\n"
                        "  %16 = scatter_add %15, %1 rows 64 : f32[64, 5]\n"
                        "  %10 = input name \"w\" : f32[B, T]\n"
                        "  %13 = const value 40 : i32[B, T]\n"
                        "  %11 = div %2, %13 : i32[B, T]\n"
                        "  %12 = scatter_add %11, %10 rows 8 : f32[8]\n"
                        "  %17 = input name \"k\" : i64[B, 9, 2]\n"
                        "  %18 = input name \"l\" : i32[B, 9, 2]\n"
                        "  %19 = input name \"m\" : f32[B, 9, 2]\n"
                        "  %20 = exp %19 : f32[B, 9, 2]\n"
                        "  %21 = index_add %20, %17, %18 shape [300, 301] : f32[300, 301]\n"
                        "  %22 = scatter_add %2, %10 batch 1 rows 300 : f32[B, 300]\n"
                        "  output \"q\" = %16\n"
                        "  output \"r\" = %21\n"
                        "  output \"s\" = %22\n"
                        "  output \"y\" = %4\n"
                        "  output \"z\" = %6\n"
                        "  output \"p\" = %9\n"
                        "  output \"h\" = %12\n"
                        "}\n"};
  assert_int_equal(lowered_check_case(&c), 3 * 5 + 6);
}

static void concats(void **state) {
  (void)state;
  lowered_check_all((lowered_case){.exact_bytes = true,
                                   .text = "dims { B: 1..64, T: 1..128 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"x\" : f32[B, T, 24]\n"
                                           "  %2 = slice %1 start [0, 0, 0] shape [B, T, 12] : f32[B, T, 12]\n"
                                           "  %3 = slice %1 start [0, 0, 12] shape [B, T, 12] : f32[B, T, 12]\n"
                                           "  %4 = neg %3 : f32[B, T, 12]\n"
                                           "  %5 = concat %4, %2 axis 2 : f32[B, T, 24]\n"
                                           "  %6 = mul %5, %1 : f32[B, T, 24]\n"
                                           "  %7 = const value 0 : f32[B, 3, 24]\n"
                                           "  %8 = concat %7, %6, %7 axis 1 : f32[B, T + 6, 24]\n"
                                           "  output \"y\" = %6\n"
                                           "  output \"z\" = %8\n"
                                           "}\n"});
}

static void dynamic(void **state) {
  (void)state;
  int64_t dims[] = {3, 2};
  lowered_check_all((lowered_case){.int_below = 5,
                                   .dims = dims,
                                   .text = "dims { B: 1..8, T: 1..4 }\n"
                                           "graph @g {\n"
                                           "  %1 = state name \"k\" init \"fill\" a 0 : f32[B, 12, 2, 4]\n"
                                           "  %2 = input name \"x\" : f32[B, T, 2, 4]\n"
                                           "  %3 = input name \"s\" : i32[B]\n"
                                           "  %4 = dynamic_write %1, %2, %3 axis 1 : f32[B, 12, 2, 4]\n"
                                           "  %5 = state name \"r\" init \"fill\" a 0 : f32[B, 5, 2, 4]\n"
                                           "  %6 = input name \"n\" : i32[]\n"
                                           "  %7 = neg %2 : f32[B, T, 2, 4]\n"
                                           "  %8 = dynamic_write %5, %7, %6 axis 1 ring 1 : f32[B, 5, 2, 4]\n"
                                           "  %9 = dynamic_slice %4, %3 axis 1 count T : f32[B, T, 2, 4]\n"
                                           "  %10 = dynamic_slice %8, %6 axis 1 count 1 : f32[B, 1, 2, 4]\n"
                                           "  %11 = exp %9 : f32[B, T, 2, 4]\n"
                                           "  update %1 = %4\n"
                                           "  update %5 = %8\n"
                                           "  output \"y\" = %11\n"
                                           "  output \"z\" = %10\n"
                                           "}\n"});
}

/* Rows by number: more than there are, so that some are written twice and the last counts. */
static void numbered(void **state) {
  (void)state;
  int64_t dims[] = {7};
  lowered_check_all((lowered_case){.int_below = 5,
                                   .dims = dims,
                                   .text = "dims { N: 1..8 }\n"
                                           "graph @g {\n"
                                           "  %1 = state name \"k\" init \"fill\" a 0 : f32[5, 3, 40]\n"
                                           "  %2 = input name \"x\" : f32[N, 3, 40]\n"
                                           "  %3 = input name \"n\" : i32[N]\n"
                                           "  %4 = neg %2 : f32[N, 3, 40]\n"
                                           "  %5 = dynamic_write %1, %4, %3 axis 0 : f32[5, 3, 40]\n"
                                           "  %6 = input name \"one\" : f32[5]\n"
                                           "  %7 = input name \"y\" : f32[N]\n"
                                           "  %8 = dynamic_write %6, %7, %3 axis 0 : f32[5]\n"
                                           "  update %1 = %5\n"
                                           "  output \"y\" = %5\n"
                                           "  output \"z\" = %8\n"
                                           "}\n"});
}

static void random_numbers(void **state) {
  (void)state;
  lowered_check_all((lowered_case){.text = "dims { B: 1..64 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"seed\" : i64[]\n"
                                           "  %2 = input name \"step\" : i32[]\n"
                                           "  %3 = uniform %1, %2 shape [B, 40] stream \"drop\" : f32[B, 40]\n"
                                           "  %4 = const value 0.5 : f32[B, 40]\n"
                                           "  %5 = lt %3, %4 : bool[B, 40]\n"
                                           "  %6 = input name \"x\" : f32[B, 40]\n"
                                           "  %7 = const value 0 : f32[B, 40]\n"
                                           "  %8 = select %5, %6, %7 : f32[B, 40]\n"
                                           "  %9 = transpose %3 perm [1, 0] : f32[40, B]\n"
                                           "  output \"y\" = %8\n"
                                           "  output \"u\" = %9\n"
                                           "}\n"});
}

/* A parameter that is read again after its update, an exchange of two states, a state set to a constant. */
static void states(void **state) {
  (void)state;
  lowered_check_all((lowered_case){.text = "graph @g {\n"
                                           "  %1 = param name \"w\" init \"fill\" a 1 : f32[40]\n"
                                           "  %2 = input name \"x\" : f32[40]\n"
                                           "  %3 = add %1, %2 : f32[40]\n"
                                           "  %4 = state name \"a\" init \"fill\" a 1 : f32[8]\n"
                                           "  %5 = state name \"b\" init \"fill\" a 2 : f32[8]\n"
                                           "  %6 = state name \"c\" init \"fill\" a 2 : f32[8]\n"
                                           "  %7 = const value 3 : f32[8]\n"
                                           "  %8 = sum %1 axes [0] : f32[]\n"
                                           "  %9 = sum %3 axes [0] : f32[]\n"
                                           "  %10 = state name \"n\" init \"fill\" a 0 : i32[]\n"
                                           "  %11 = const value 1 : i32[]\n"
                                           "  %12 = add %10, %11 : i32[]\n"
                                           "  %13 = isfinite %9 : bool[]\n"
                                           "  update %1 = %3\n"
                                           "  update %4 = %5\n"
                                           "  update %5 = %4\n"
                                           "  update %6 = %7\n"
                                           "  update %10 = %12\n"
                                           "  output \"old\" = %8\n"
                                           "  output \"new\" = %9\n"
                                           "  output \"w\" = %1\n"
                                           "  output \"next\" = %3\n"
                                           "  guard %13\n"
                                           "}\n"});
}

static void guard_stops_updates(void **state) {
  (void)state;
  lowered_case c = {.text =
                        "graph @g {\n"
                        "  %1 = param name \"w\" init \"fill\" a 1 : f32[40]\n"
                        "  %2 = input name \"x\" : f32[40]\n"
                        "  %3 = add %1, %2 : f32[40]\n"
                        "  %4 = sum %3 axes [0] : f32[]\n"
                        "  %5 = isfinite %4 : bool[]\n"
                        "  update %1 = %3\n"
                        "  guard %5\n"
                        "}\n"};
  lowered_result r = lowered_compile(&c);
  r.run = (sn_lower_run){.arena = r.arena, .diags = r.diags, .lowered = &r.lowered, .dims = r.dims};
  assert_int_equal(sn_lower_run_begin(&r.run), SN_OK);
  float *x = r.run.data[lowered_slot(&r, 0, "x", SN_SLOT_INPUT)],
        *w = r.run.data[lowered_slot(&r, 0, "w", SN_SLOT_PARAM)];
  for (int i = 0; i < 40; i++) x[i] = 1;
  assert_int_equal(sn_lower_run_graph(&r.run, 0), SN_OK);
  assert_true(w[5] == 2);
  x[7] = 1.0f / 0.0f;
  assert_int_equal(sn_lower_run_graph(&r.run, 0), SN_ERR_NUMERIC);
  assert_true(w[5] == 2 && w[7] == 2);
  assert_int_equal(sn_plan_verify(r.lowered.plan, r.diags), SN_OK);
  assert_int_equal(sn_plan_check_hazards(r.lowered.plan, r.diags), SN_OK);
  lowered_free(&r);
}

/* ---- sums in place ----------------------------------------------------------------------------------------------- */

/* Slots of temporaries of [301, 40]. */
static int large_temps(const lowered_result *r) {
  int n = 0;
  for (int i = 0; i < r->lowered.plan->slot_count; i++) {
    const sn_slot *s = &r->lowered.plan->slot[i];
    int64_t rows;
    n += s->role == SN_SLOT_TEMP && s->type->rank == 2 && sn_dimx_is_const(s->type->dim[0], &rows) && rows == 301;
  }
  return n;
}

static int accumulated(const lowered_result *r) {
  const sn_plan_graph *g = &r->lowered.plan->graph[0];
  int n = 0;
  for (int i = 0; i < g->step_count; i++) n += g->step[i].ops && strstr(g->step[i].ops, ", accumulated") != NULL;
  return n;
}

static void check_sum(const sn_target *target, const char *end, const char *disabled, int temps, int sums) {
  lowered_case c = {.target = target, .disabled = disabled, .int_below = 301};
  sn_arena *arena = sn_arena_create();
  c.text = sn_arena_printf(arena,
                           "dims { B: 1..64 }\n"
                           "graph @g {\n"
                           "  %%1 = input name \"x\" : f32[B, 40]\n"
                           "  %%2 = input name \"d\" : f32[B, 301]\n"
                           "  %%3 = input name \"e\" : f32[B, 301]\n"
                           "  %%4 = input name \"i\" : i32[B, 3]\n"
                           "  %%5 = input name \"u\" : f32[B, 3, 40]\n"
                           "  %%6 = contract %%2, %%1 spec \"bv,bd->vd\" : f32[301, 40]\n"
                           "  %%7 = contract %%3, %%1 spec \"bv,bd->vd\" : f32[301, 40]\n"
                           "  %%8 = add %%7, %%6 : f32[301, 40]\n"
                           "  %%9 = scatter_add %%4, %%5 rows 301 : f32[301, 40]\n"
                           "  %%10 = add %%9, %%8 : f32[301, 40]\n"
                           "  %%11 = sum %%10 axes [0] : f32[40]\n"
                           "  output \"y\" = %%11\n%s}\n",
                           end);
  const int64_t dims[] = {29};
  c.dims = dims;
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  if (large_temps(&r) != temps || accumulated(&r) != sums) lowered_fail(&r, "another number of buffers");
  lowered_execute(&r, &c);
  lowered_free(&r);
  sn_arena_destroy(arena);
}

/* The gradient of a table that is read by row and multiplied with is one buffer: products and rows are added to it. An
 * output is written once more; a value that is needed later is left as it is. */
static void sums_in_place(void **state) {
  (void)state;
  sn_target target[2] = {sn_target_cpu(SN_ISA_AVX2), sn_target_vulkan(&(sn_gpu){.float64 = true})};
  for (int i = 0; i < 2; i++) {
    check_sum(&target[i], "", NULL, 1, 2);
    check_sum(&target[i], "  output \"z\" = %10\n", NULL, 1, 1);
    check_sum(&target[i], "  output \"z\" = %8\n", NULL, 2, 0);
    check_sum(&target[i], "", "order.accumulate", 3, 0);
    check_sum(&target[i], "", "fuse.scatter_onto_sum", 2, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gathers),       cmocka_unit_test(batched_gather),
      cmocka_unit_test(scatters),      cmocka_unit_test(scatters_in_many_instances),
      cmocka_unit_test(concats),       cmocka_unit_test(dynamic),
      cmocka_unit_test(numbered),      cmocka_unit_test(random_numbers),
      cmocka_unit_test(states),        cmocka_unit_test(guard_stops_updates),
      cmocka_unit_test(sums_in_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
