/* Lowered plans against the graph interpreter: map, rows, contract and index kernels, fused in every way; predicted
 * bytes against counted ones; in-place updates and the check before them. */
#include "tests/passes/lowered.h"

#define EXACT .exact_bytes = true

static void elementwise(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64, T: 1..128 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, T, 24]\n"
                                                  "  %2 = param name \"b\" init \"fill\" : f32[24]\n"
                                                  "  %3 = broadcast %2 shape [B, T, 24] axes [2] : f32[B, T, 24]\n"
                                                  "  %4 = add %1, %3 : f32[B, T, 24]\n"
                                                  "  %5 = tanh %4 : f32[B, T, 24]\n"
                                                  "  %6 = mul %5, %1 : f32[B, T, 24]\n"
                                                  "  output \"y\" = %6\n"
                                                  "  output \"t\" = %5\n"
                                                  "}\n"});
}

static void views(void **state) {
  (void)state;
  lowered_check_all(
      (lowered_case){EXACT, .text = "dims { B: 1..64, T: 1..128 }\n"
                                    "graph @g {\n"
                                    "  %1 = input name \"x\" : f32[B, T, 24]\n"
                                    "  %2 = reshape %1 shape [B, T, 4, 6] : f32[B, T, 4, 6]\n"
                                    "  %3 = transpose %2 perm [0, 2, 1, 3] : f32[B, 4, T, 6]\n"
                                    "  %4 = exp %3 : f32[B, 4, T, 6]\n"
                                    "  %5 = slice %4 start [0, 1, 0, 2] shape [B, 2, T, 3] : f32[B, 2, T, 3]\n"
                                    "  %6 = transpose %4 perm [0, 2, 1, 3] : f32[B, T, 4, 6]\n"
                                    "  %7 = reshape %6 shape [B, T, 24] : f32[B, T, 24]\n"
                                    "  %8 = add %7, %1 : f32[B, T, 24]\n"
                                    "  output \"y\" = %8\n"
                                    "  output \"s\" = %5\n"
                                    "  output \"r\" = %7\n"
                                    "}\n"});
}

static void transposed_copy(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[50, 70]\n"
                                                  "  %2 = transpose %1 perm [1, 0] : f32[70, 50]\n"
                                                  "  %3 = neg %2 : f32[70, 50]\n"
                                                  "  output \"t\" = %2\n"
                                                  "  output \"y\" = %3\n"
                                                  "}\n"});
}

static void types_and_leaves(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"h\" : bf16[B, 8]\n"
                                                  "  %2 = input name \"i\" : i32[B, 8]\n"
                                                  "  %3 = cast %1 to f32 : f32[B, 8]\n"
                                                  "  %4 = iota axis 1 : i32[B, 8]\n"
                                                  "  %5 = le %4, %2 : bool[B, 8]\n"
                                                  "  %6 = const value 2 : f32[B, 8]\n"
                                                  "  %7 = select %5, %3, %6 : f32[B, 8]\n"
                                                  "  %8 = cast %7 to bf16 : bf16[B, 8]\n"
                                                  "  %9 = dim dim B : i32[]\n"
                                                  "  %10 = broadcast %9 shape [B, 8] axes [] : i32[B, 8]\n"
                                                  "  %11 = mul %10, %2 : i32[B, 8]\n"
                                                  "  output \"y\" = %8\n"
                                                  "  output \"m\" = %5\n"
                                                  "  output \"n\" = %11\n"
                                                  "  output \"c\" = %6\n"
                                                  "}\n"});
}

static void softmax(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64, V: 1..100 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, V]\n"
                                                  "  %2 = softmax %1 axis 1 : f32[B, V]\n"
                                                  "  %3 = input name \"z\" : f32[B, 3, 40]\n"
                                                  "  %4 = log_softmax %3 axis 1 : f32[B, 3, 40]\n"
                                                  "  output \"y\" = %2\n"
                                                  "  output \"l\" = %4\n"
                                                  "}\n"});
}

static void wide_rows(void **state) {
  (void)state;
  int64_t dims[] = {3, 2500};
  lowered_check_all((lowered_case){EXACT, .dims = dims,
                                   .text = "dims { B: 1..64, V: 1..50000 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"x\" : f32[B, V]\n"
                                           "  %2 = softmax %1 axis 1 : f32[B, V]\n"
                                           "  %3 = argmax %1 axis 1 : i32[B]\n"
                                           "  output \"y\" = %2\n"
                                           "  output \"i\" = %3\n"
                                           "}\n"});
}

static void norms(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64, T: 1..128 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, T, 24]\n"
                                                  "  %2 = layernorm %1 eps 1e-05 : f32[B, T, 24]\n"
                                                  "  %3 = param name \"g\" init \"fill\" : f32[24]\n"
                                                  "  %4 = broadcast %3 shape [B, T, 24] axes [2] : f32[B, T, 24]\n"
                                                  "  %5 = mul %2, %4 : f32[B, T, 24]\n"
                                                  "  %6 = rmsnorm %5 eps 1e-05 : f32[B, T, 24]\n"
                                                  "  output \"y\" = %5\n"
                                                  "  output \"z\" = %6\n"
                                                  "}\n"});
}

static void columns(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64, T: 1..128 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, T, 40]\n"
                                                  "  %2 = input name \"y\" : f32[B, T, 40]\n"
                                                  "  %3 = mul %1, %2 : f32[B, T, 40]\n"
                                                  "  %4 = sum %3 axes [0, 1] : f32[40]\n"
                                                  "  %5 = sum %1 axes [0, 1] : f32[40]\n"
                                                  "  %6 = amax %2 axes [1] : f32[B, 40]\n"
                                                  "  %7 = sum %2 axes [0, 2] : f32[T]\n"
                                                  "  output \"a\" = %4\n"
                                                  "  output \"b\" = %5\n"
                                                  "  output \"c\" = %6\n"
                                                  "  output \"d\" = %7\n"
                                                  "}\n"});
}

static void full_sums(void **state) {
  (void)state;
  int64_t dims[] = {50};
  lowered_check_all((lowered_case){EXACT, .dims = dims,
                                   .text = "dims { B: 1..64 }\n"
                                           "graph @g {\n"
                                           "  %1 = input name \"x\" : f32[B, 1000]\n"
                                           "  %2 = input name \"s\" : f32[]\n"
                                           "  %3 = mul %1, %1 : f32[B, 1000]\n"
                                           "  %4 = sum %3 axes [0, 1] : f32[]\n"
                                           "  %5 = mul %4, %2 : f32[]\n"
                                           "  %6 = sqrt %4 : f32[]\n"
                                           "  %7 = sum %1 axes [0, 1] : f32[]\n"
                                           "  output \"a\" = %5\n"
                                           "  output \"b\" = %6\n"
                                           "  output \"c\" = %7\n"
                                           "}\n"});
}

static void products(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64, T: 1..128 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, T, 40]\n"
                                                  "  %2 = param name \"w\" init \"normal\" : f32[70, 40]\n"
                                                  "  %3 = param name \"b\" init \"fill\" : f32[70]\n"
                                                  "  %4 = contract %1, %2 spec \"btk,nk->btn\" : f32[B, T, 70]\n"
                                                  "  %5 = broadcast %3 shape [B, T, 70] axes [2] : f32[B, T, 70]\n"
                                                  "  %6 = add %4, %5 : f32[B, T, 70]\n"
                                                  "  %7 = gelu %6 : f32[B, T, 70]\n"
                                                  "  %8 = contract %1, %7 spec \"btk,btn->kn\" : f32[40, 70]\n"
                                                  "  %9 = contract %7, %2 spec \"btn,nk->btk\" : f32[B, T, 40]\n"
                                                  "  %10 = add %9, %1 : f32[B, T, 40]\n"
                                                  "  output \"y\" = %7\n"
                                                  "  output \"w\" = %8\n"
                                                  "  output \"z\" = %10\n"
                                                  "}\n"});
}

static void batched_products(void **state) {
  (void)state;
  lowered_check_all(
      (lowered_case){EXACT, .text = "dims { B: 1..8, T: 1..64 }\n"
                                    "graph @g {\n"
                                    "  %1 = input name \"x\" : f32[B, T, 36]\n"
                                    "  %2 = reshape %1 shape [B, T, 3, 2, 6] : f32[B, T, 3, 2, 6]\n"
                                    "  %3 = slice %2 start [0, 0, 0, 0, 0] shape [B, T, 1, 2, 6] : f32[B, T, 1, 2, 6]\n"
                                    "  %4 = slice %2 start [0, 0, 1, 0, 0] shape [B, T, 1, 2, 6] : f32[B, T, 1, 2, 6]\n"
                                    "  %5 = reshape %3 shape [B, T, 2, 6] : f32[B, T, 2, 6]\n"
                                    "  %6 = reshape %4 shape [B, T, 2, 6] : f32[B, T, 2, 6]\n"
                                    "  %7 = contract %5, %6 spec \"bqhd,bkhd->bhqk\" : f32[B, 2, T, T]\n"
                                    "  %8 = softmax %7 axis 3 : f32[B, 2, T, T]\n"
                                    "  %9 = contract %8, %6 spec \"bhqk,bkhd->bqhd\" : f32[B, T, 2, 6]\n"
                                    "  %10 = reshape %9 shape [B, T, 12] : f32[B, T, 12]\n"
                                    "  output \"s\" = %8\n"
                                    "  output \"y\" = %10\n"
                                    "}\n"});
}

static void narrow_products(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..64 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, 40]\n"
                                                  "  %2 = param name \"w\" init \"normal\" : f32[40, 64]\n"
                                                  "  %3 = cast %1 to bf16 : bf16[B, 40]\n"
                                                  "  %4 = cast %2 to bf16 : bf16[40, 64]\n"
                                                  "  %5 = contract %3, %4 spec \"bk,kn->bn\" : bf16[B, 64]\n"
                                                  "  %6 = cast %5 to f32 : f32[B, 64]\n"
                                                  "  output \"y\" = %6\n"
                                                  "}\n"});
}

/* Reductions over different parts of one operand must not share a space. */
static void reductions_of_a_part(void **state) {
  (void)state;
  lowered_check_all((lowered_case){EXACT, .text = "dims { B: 1..9, T: 16..48 step 16 }\n"
                                                  "graph @g {\n"
                                                  "  %1 = input name \"x\" : f32[B, T]\n"
                                                  "  %2 = slice %1 start [0, 7] shape [B, T - 13] : f32[B, T - 13]\n"
                                                  "  %3 = rmsnorm %2 eps 0.1 : f32[B, T - 13]\n"
                                                  "  %4 = const value 1 : i32[B]\n"
                                                  "  %5 = pick %1, %4 : f32[B]\n"
                                                  "  output \"a\" = %3\n"
                                                  "  output \"b\" = %5\n"
                                                  "}\n"});
}

static int kernels_named(const lowered_result *r, const char *prefix) {
  int n = 0;
  for (int i = 0; i < r->lowered.kernel_count; i++) n += !strncmp(r->lowered.kernel[i]->name, prefix, strlen(prefix));
  return n;
}

static int loops(const sn_kernel *k) {
  int n = 0;
  for (sn_kv v = 1; v < k->ins_count; v++) n += k->ins[v].op == SN_K_FOR;
  return n;
}

/* Long rows of logits are read once: the maximum and what is summed below it share a loop. */
static void logits_once(void **state) {
  (void)state;
  lowered_case c = {EXACT, .int_below = 9001,
                    .text =
                        "graph @g {\n"
                        "  %1 = input name \"x\" : f32[3, 9001]\n"
                        "  %2 = input name \"t\" : i32[3]\n"
                        "  %3 = cross_entropy %1, %2 : f32[3]\n"
                        "  output \"y\" = %3\n"
                        "}\n"};
  lowered_check_all(c);
  lowered_result r = lowered_try(&c);
  assert_int_equal(kernels_named(&r, "rows"), 1);
  for (int i = 0; i < r.lowered.kernel_count; i++) assert_true(loops(r.lowered.kernel[i]) <= 1);
  lowered_free(&r);
}

/* Along rows and columns, of known and unknown lengths, over axes that lie apart, with work before and behind; whole
 * tiles in loops, also on several levels. */
static void reductions_on_a_gpu(void **state) {
  (void)state;
  sn_target gpu = sn_target_vulkan(&(sn_gpu){.float64 = true});
  int64_t dims[] = {7, 613};
  lowered_case c = {.target = &gpu,
                    .dims = dims,
                    .text =
                        "dims { B: 1..64, T: 1..1024 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"x\" : f32[B, T, 12]\n"
                        "  %2 = input name \"v\" : f32[12]\n"
                        "  %3 = exp %1 : f32[B, T, 12]\n"
                        "  %4 = sum %3 axes [0, 1] : f32[12]\n"
                        "  %5 = mul %4, %2 : f32[12]\n"
                        "  %6 = input name \"y\" : f32[3, 33001]\n"
                        "  %7 = amin %6 axes [1] : f32[3]\n"
                        "  %8 = mul %6, %6 : f32[3, 33001]\n"
                        "  %9 = sum %8 axes [1] : f32[3]\n"
                        "  %10 = sum %1 axes [0, 2] : f32[T]\n"
                        "  %11 = input name \"z\" : f32[5, 600, 9]\n"
                        "  %12 = amax %11 axes [1] : f32[5, 9]\n"
                        "  %13 = input name \"w\" : f32[700, 5, 130]\n"
                        "  %14 = sum %13 axes [0, 2] : f32[5]\n"
                        "  %19 = input name \"s\" : f32[2, 9001]\n"
                        "  %15 = softmax %19 axis 1 : f32[2, 9001]\n"
                        "  %16 = sum %13 axes [0] : f32[5, 130]\n"
                        "  %17 = input name \"k\" : i32[2000, 3]\n"
                        "  %18 = sum %17 axes [0] : i32[3]\n"
                        "  output \"a\" = %5\n"
                        "  output \"b\" = %7\n"
                        "  output \"c\" = %9\n"
                        "  output \"d\" = %10\n"
                        "  output \"e\" = %12\n"
                        "  output \"f\" = %14\n"
                        "  output \"g\" = %15\n"
                        "  output \"h\" = %16\n"
                        "  output \"i\" = %18\n"
                        "}\n"};
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  assert_int_equal(kernels_named(&r, "parts_"), 6);
  assert_int_equal(kernels_named(&r, "join_"), 6);
  lowered_execute(&r, &c);
  lowered_free(&r);
}

static bool kernels_hold(const lowered_result *r, const char *text) {
  bool any = false;
  for (int i = 0; i < r->lowered.kernel_count; i++) {
    sn_text t = sn_text_begin(r->arena);
    sn_kernel_print(&t, r->lowered.kernel[i]);
    any |= strstr(t.at, text) != NULL;
  }
  return any;
}

/* Few tiles and a long sum: ranges of it are instances of their own, added in order; whole where a run's axis is short.
 * Batches, sums over axes that lie apart, epilogues in place, packed columns, narrow types. */
static void sums_in_parts(void **state) {
  (void)state;
  const int64_t depths[] = {300, 1100};
  sn_target target[3] = {sn_target_cpu(SN_ISA_AVX2), sn_target_cpu(SN_ISA_AMX),
                         sn_target_vulkan(&(sn_gpu){.float64 = true})};
  lowered_case c = {.text =
                        "dims { T: 1..4096 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"x\" : f32[T, 64]\n"
                        "  %2 = input name \"y\" : f32[T, 64]\n"
                        "  %3 = state name \"s\" init \"fill\" a 0.0 : f32[64, 64]\n"
                        "  %4 = contract %1, %2 spec \"tm,tn->mn\" : f32[64, 64]\n"
                        "  %5 = add %4, %3 : f32[64, 64]\n"
                        "  update %3 = %5\n"
                        "  %6 = input name \"b\" : f32[2, 19, 600]\n"
                        "  %7 = input name \"c\" : f32[2, 600, 33]\n"
                        "  %8 = contract %6, %7 spec \"bmk,bkn->bmn\" : f32[2, 19, 33]\n"
                        "  %9 = tanh %8 : f32[2, 19, 33]\n"
                        "  output \"batch\" = %9\n"
                        "  %10 = input name \"d\" : bf16[17, 519]\n"
                        "  %11 = param name \"w\" init \"normal\" a 0.5 : bf16[519, 32]\n"
                        "  %12 = contract %10, %11 spec \"mk,kn->nm\" : bf16[32, 17]\n"
                        "  output \"packed\" = %12\n"
                        "  %13 = input name \"e\" : f32[3, 24, 520]\n"
                        "  %14 = input name \"f\" : f32[520, 3, 24]\n"
                        "  %15 = contract %13, %14 spec \"lmk,kln->mn\" : f32[24, 24]\n"
                        "  output \"apart\" = %15\n"
                        "}\n"};
  for (int i = 0; i < 3; i++) {
    target[i].part = 256, c.target = &target[i];
    for (int j = 0; j < 2; j++) {
      c.dims = &depths[j];
      lowered_result r = lowered_compile(&c);
      r.env.target = &r.target;
      assert_int_equal(kernels_named(&r, "gemm_parts_"), 4);
      assert_int_equal(kernels_named(&r, "gemm_sum_"), 4);
      assert_int_equal(kernels_named(&r, "gemm_contract_"), 1);
      lowered_execute(&r, &c);
      lowered_free(&r);
    }
  }
}

/* Tiles of a number of bytes: more elements where all are narrow. */
static void elementwise_on_a_gpu(void **state) {
  (void)state;
  sn_target gpu = sn_target_vulkan(&(sn_gpu){.float64 = true});
  lowered_case c = {EXACT, .target = &gpu,
                    .text =
                        "dims { B: 1..64 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"x\" : bf16[9, 1000]\n"
                        "  %2 = neg %1 : bf16[9, 1000]\n"
                        "  %3 = input name \"y\" : f32[7, 1000]\n"
                        "  %4 = neg %3 : f32[7, 1000]\n"
                        "  output \"a\" = %2\n"
                        "  output \"b\" = %4\n"
                        "}\n"};
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  assert_true(kernels_hold(&r, "bf16[1,2048]") && kernels_hold(&r, "f32[1,1024]"));
  lowered_execute(&r, &c);
  lowered_free(&r);
}

/* Frozen parameters are packed: plain and in pairs of rows, from either side, with tails everywhere. */
static void packed_products(void **state) {
  (void)state;
  sn_target amx = sn_target_cpu(SN_ISA_AMX), avx512 = sn_target_cpu(SN_ISA_AVX512);
  lowered_case c = {EXACT, .target = &avx512,
                    .text =
                        "dims { B: 1..64 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"x\" : f32[B, 41]\n"
                        "  %2 = param name \"w\" init \"normal\" : f32[70, 41]\n"
                        "  %3 = param name \"v\" init \"normal\" : f32[41, 100]\n"
                        "  %4 = cast %1 to bf16 : bf16[B, 41]\n"
                        "  %5 = cast %2 to bf16 : bf16[70, 41]\n"
                        "  %6 = contract %5, %4 spec \"nk,bk->bn\" : bf16[B, 70]\n"
                        "  %7 = contract %1, %3 spec \"bk,kn->bn\" : f32[B, 100]\n"
                        "  %11 = param name \"u\" init \"normal\" : f32[70, 41]\n"
                        "  %12 = cast %11 to bf16 : bf16[70, 41]\n"
                        "  %8 = contract %4, %12 spec \"bk,nk->nb\" : bf16[70, B]\n"
                        "  %9 = input name \"y\" : f32[1, 70]\n"
                        "  %10 = contract %9, %2 spec \"bn,nk->bk\" : f32[1, 41]\n"
                        "  output \"a\" = %6\n"
                        "  output \"b\" = %7\n"
                        "  output \"c\" = %8\n"
                        "  output \"d\" = %10\n"
                        "}\n"};
  lowered_check_all(c);
  c.target = &amx;
  lowered_check_all(c);
  lowered_result r = lowered_compile(&c);
  int packed = 0;
  int64_t width;
  for (int i = 0; i < r.lowered.plan->slot_count; i++) {
    const sn_slot *s = &r.lowered.plan->slot[i];
    packed += s->role == SN_SLOT_PACKED;
    if (s->role != SN_SLOT_PACKED || s->type->elem != SN_ELEM_BF16) continue;
    assert_true(sn_dimx_is_const(s->type->dim[2], &width));
    assert_int_equal(width, 2 * amx.panel); /* as wide as a block of tiles, though there are more columns */
  }
  assert_int_equal(packed, 4); /* w is used in two ways */
  assert_int_equal(r.lowered.plan->prepare_count, 4);
  lowered_free(&r);
}

/* Operands that many instances would copy are packed by steps of their own, with tails; those that few copy are not. */
static void operands_are_packed_once(void **state) {
  (void)state;
  sn_target target = sn_target_cpu(SN_ISA_AVX512);
  lowered_case c = {EXACT, .target = &target,
                    .text =
                        "dims { B: 1..64 }\n"
                        "graph @g {\n"
                        "  %1 = input name \"x\" : f32[B, 500]\n"
                        "  %2 = input name \"y\" : f32[B, 410]\n"
                        "  %3 = contract %1, %2 spec \"bm,bn->mn\" : f32[500, 410]\n"
                        "  %4 = neg %3 : f32[500, 410]\n"
                        "  output \"w\" = %4\n"
                        "}\n"};
  lowered_check_all(c);
  lowered_result r = lowered_compile(&c);
  assert_int_equal(kernels_named(&r, "pack"), 2);
  assert_int_equal(r.lowered.plan->prepare_count, 0);
  lowered_free(&r);
  c.text =
      "dims { B: 1..64 }\n"
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[B, 64]\n"
      "  %2 = input name \"y\" : f32[B, 96]\n"
      "  %3 = contract %1, %2 spec \"bm,bn->mn\" : f32[64, 96]\n"
      "  output \"w\" = %3\n"
      "}\n";
  r = lowered_compile(&c);
  assert_int_equal(kernels_named(&r, "pack"), 0);
  lowered_free(&r);
}

/* -> steps that run once; *steps: of the first graph */
static int ahead_of(const char *text, const char *disabled, int *steps) {
  lowered_case c = {.text = text, .disabled = disabled};
  lowered_check_all(c);
  lowered_result r = lowered_compile(&c);
  int count = r.lowered.plan->prepare_count;
  *steps = r.lowered.plan->graph[0].step_count;
  lowered_free(&r);
  return count;
}

/* A reduction of a weight is made once, for both graphs; one that a graph changes in every run; a result of the graph
 * is one, whatever it is made of. */
static void values_of_weights(void **state) {
  (void)state;
  static const char read[] =
      "dims { B: 1..64 }\n"
      "graph @g {\n"
      "  %1 = input name \"x\" : f32[B, 24]\n"
      "  %2 = param name \"w\" init \"normal\" : f32[24, 5]\n"
      "  %3 = sum %2 axes [1] : f32[24]\n"
      "  %4 = broadcast %3 shape [B, 24] axes [1] : f32[B, 24]\n"
      "  %5 = mul %1, %4 : f32[B, 24]\n"
      "  output \"y\" = %5\n"
      "}\n"
      "graph @h {\n"
      "  %1 = input name \"x\" : f32[B, 24]\n"
      "  %2 = param name \"w\" init \"normal\" : f32[24, 5]\n"
      "  %3 = sum %2 axes [1] : f32[24]\n"
      "  %4 = broadcast %3 shape [B, 24] axes [1] : f32[B, 24]\n"
      "  %5 = add %1, %4 : f32[B, 24]\n";
  static const char end[] = "  output \"z\" = %5\n}\n";
  static const char change[] = "  %6 = add %2, %2 : f32[24, 5]\n  update %2 = %6\n";
  sn_arena *arena = sn_arena_create();
  int steps;
  assert_int_equal(ahead_of(sn_arena_printf(arena, "%s%s", read, end), NULL, &steps), 1);
  assert_int_equal(steps, 1);
  assert_int_equal(ahead_of(sn_arena_printf(arena, "%s%s", read, end), "fuse.ahead", &steps), 0);
  assert_int_equal(ahead_of(sn_arena_printf(arena, "%s  output \"z\" = %%5\n%s}\n", read, change), NULL, &steps), 0);
  assert_int_equal(
      ahead_of(sn_arena_printf(arena, "%s  output \"s\" = %%3\n  output \"z\" = %%5\n}\n", read), NULL, &steps), 1);
  assert_int_equal(steps, 1);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(elementwise),
      cmocka_unit_test(views),
      cmocka_unit_test(transposed_copy),
      cmocka_unit_test(types_and_leaves),
      cmocka_unit_test(softmax),
      cmocka_unit_test(wide_rows),
      cmocka_unit_test(norms),
      cmocka_unit_test(columns),
      cmocka_unit_test(full_sums),
      cmocka_unit_test(products),
      cmocka_unit_test(batched_products),
      cmocka_unit_test(narrow_products),
      cmocka_unit_test(packed_products),
      cmocka_unit_test(operands_are_packed_once),
      cmocka_unit_test(values_of_weights),
      cmocka_unit_test(reductions_of_a_part),
      cmocka_unit_test(logits_once),
      cmocka_unit_test(reductions_on_a_gpu),
      cmocka_unit_test(sums_in_parts),
      cmocka_unit_test(elementwise_on_a_gpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
