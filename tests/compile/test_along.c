/* Ops along an axis at sizes around the blocks of their schedules: on every target, unfused and fused, against the
 * interpreter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

typedef struct variant {
  const char *target, *fuse, *isa;
} variant;

static void check_variant(const variant *v, const char *text, int64_t T) {
  const int64_t dims[2] = {T < 1 ? 1 : T, T}; /* T, N */
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  check_opt o = {.compile = {.target = v->target, .fuse = v->fuse, .isa = v->isa},
                 .graph = "g",
                 .dims = dims,
                 .threads = 2,
                 .seed = 5,
                 .int_limit = 7};
  check_result r;
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r))
    fail_msg("%s\n%s", sn_diags_print(diags, arena), text);
  if (r.mismatched) fail_msg("%s, fuse %s: %s\nT = %d\n%s", v->target, v->fuse, r.first, (int)T, text);
  assert_true(r.total > 0 && r.excluded * 10 <= r.total);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* One way each, in turn: compiling costs most. */
static void check(const char *text, int64_t T, bool quick) {
  static const variant all[] = {
      {"cpu", "all", NULL}, {"template", "all", NULL}, {"cpu", "none", "baseline"}, {"template", "none", NULL}};
  static int turn;
  int ways = quick ? 4 : 1, i = turn++ % ways;
  if (!SN_HAVE_LLVM) i |= 1;
  check_variant(&all[i], text, T);
}

static void check_text(int64_t T, bool quick, const char *format, ...) SN_PRINTF(3, 4);
static void check_text(int64_t T, bool quick, const char *format, ...) {
  char body[2048], text[2300];
  va_list args;
  va_start(args, format);
  vsnprintf(body, sizeof body, format, args);
  va_end(args);
  snprintf(text, sizeof text, "sinter 1\ndims { T: 1..2000, N: 0..2000 }\ngraph @g {\n%s}\n", body);
  check(text, T, quick);
}

/* ---- prefixes ---- */

typedef struct shape {
  const char *text; /* dims */
  int rank;
  int64_t T;
  bool quick;
} shape;

static const shape shapes[] = {{"[1]", 1, 1, true},          {"[T]", 1, 1, true},       {"[T]", 1, 63, true},
                               {"[T]", 1, 65, true},         {"[T]", 1, 1000, false},   {"[3, T]", 2, 130, true},
                               {"[T, 3]", 2, 33, true},      {"[9, 64]", 2, 1, true},   {"[17, 5]", 2, 1, true},
                               {"[2, T, 70]", 3, 10, false}, {"[2, 3, T]", 3, 7, true}, {"[T, 2, 19]", 3, 6, false},
                               {"[128, 65]", 2, 1, false}};

static void check_prefix(const char *op, const char *elem, const char *flags) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const shape *s = &shapes[i];
    for (int axis = 0; axis < s->rank; axis++) {
      char type[64];
      snprintf(type, sizeof type, "%s%s", elem, s->text);
      if (!strcmp(op, "recur"))
        check_text(s->T, s->quick,
                   "%%1 = input name \"a\" : %s\n%%2 = input name \"b\" : %s\n%%3 = tanh %%1 : %s\n"
                   "%%4 = recur %%3, %%2 axis %d%s : %s\n%%5 = neg %%4 : %s\noutput \"y\" = %%5\n",
                   type, type, type, axis, flags, type, type);
      else if (!strcmp(op, "cummax"))
        check_text(s->T, s->quick,
                   "%%1 = input name \"x\" : %s\n%%2, %%3 = cummax %%1 axis %d%s : %s, i32%s\n"
                   "output \"y\" = %%2\noutput \"i\" = %%3\n",
                   type, axis, flags, type, s->text);
      else
        check_text(s->T, s->quick,
                   "%%1 = input name \"x\" : %s\n%%2 = mul %%1, %%1 : %s\n%%3 = %s %%2 axis %d%s : %s\n"
                   "output \"y\" = %%3\n",
                   type, type, op, axis, flags, type);
    }
  }
}

static void cumulative_sums(void **state) {
  (void)state;
  check_prefix("cumsum", "f32", "");
  check_prefix("cumsum", "f32", " exclusive 1 reverse 1");
  check_prefix("cumsum", "i32", " exclusive 1");
  check_prefix("cumsum", "i64", " reverse 1");
  check_prefix("cumsum", "bf16", "");
}

static void cumulative_products(void **state) {
  (void)state;
  check_prefix("cumprod", "f32", " exclusive 1");
  check_prefix("cumprod", "f32", " reverse 1");
  check_prefix("cumprod", "u8", "");
}

static void cumulative_maxima(void **state) {
  (void)state;
  check_prefix("cummax", "f32", "");
  check_prefix("cummax", "f32", " reverse 1");
  check_prefix("cummax", "i64", "");
  check_prefix("cummax", "i8", " reverse 1");
}

static void recurrences(void **state) {
  (void)state;
  check_prefix("recur", "f32", "");
  check_prefix("recur", "bf16", " reverse 1");
}

/* ---- order ---- */

/* x: small whole numbers so that many are equal, then NaN, both zeros and infinities where asked for. */
static void check_sort(const char *dims, const char *result, const char *elem, int axis, const char *flags, int64_t T,
                       bool quick) {
  char x[32], y[32];
  snprintf(x, sizeof x, "%s%s", elem, dims);
  snprintf(y, sizeof y, "%s%s", elem, result);
  check_text(T, quick,
             "%%1 = input name \"x\" : i32%s\n%%2 = cast %%1 to %s : %s\n%%3, %%4 = sort %%2 axis %d%s : %s, i32%s\n"
             "output \"y\" = %%3\noutput \"i\" = %%4\n",
             dims, elem, x, axis, flags, y, result);
}

static void sorts(void **state) {
  (void)state;
  check_sort("[1]", "[1]", "f32", 0, " count 1", 1, true);
  check_sort("[T]", "[T]", "f32", 0, " count T descending 1", 70, true);
  check_sort("[T]", "[T]", "i64", 0, " count T descending 1", 1000, false);
  check_sort("[T]", "[T]", "bf16", 0, " count T", 2, true);
  check_sort("[5, 33]", "[5, 33]", "u8", 1, " count 33 descending 1", 1, true);
  check_sort("[T, 7]", "[T, 7]", "f32", 0, " count T", 130, false);
  check_sort("[T, 3]", "[T, 3]", "f64", 0, " count T descending 1", 70, true);
  check_sort("[130, 20]", "[130, 20]", "i32", 0, " count 130", 1, false);
  check_sort("[3, 1500]", "[3, 1500]", "f32", 1, " count 1500", 1, false);
  check_sort("[2, 3, 8, 5]", "[2, 3, 8, 5]", "f32", 2, " count 8", 1, true);
  check_sort("[2, 3, 8]", "[2, 3, 2]", "f32", 2, " count 2 descending 1", 1, true);
}

/* Few of many: chunks go by. */
static void takes_the_first(void **state) {
  (void)state;
  check_sort("[1000]", "[1]", "f32", 0, " count 1 descending 1", 1, true);
  check_sort("[20, 300]", "[20, 8]", "f32", 1, " count 8 descending 1", 1, true);
  check_sort("[300, 5]", "[50, 5]", "i64", 0, " count 50", 1, true);
  check_sort("[2, 5000]", "[2, 100]", "f32", 1, " count 100 descending 1", 1, false);
  check_sort("[20, 300]", "[20, 8]", "f64", 1, " count 8 descending 1", 1, true);
}

/* Axes of many millions have scratch of their size; what there is of them is sorted. */
static void sorts_axes_of_millions(void **state) {
  (void)state;
  static const variant cpu = {"cpu", "all", NULL};
  if (!SN_HAVE_LLVM) skip();
  check_variant(&cpu,
                "sinter 1\ndims { T: 1..6000000, N: 0..1 }\ngraph @g {\n%1 = input name \"x\" : f64[T]\n"
                "%2, %3 = sort %1 axis 0 count T descending 1 : f64[T], i32[T]\n"
                "output \"y\" = %2\noutput \"i\" = %3\n}\n",
                3000);
}

/* Numbers of every kind, computed by the kernel itself. */
static void sorts_what_is_no_number(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    const char *e = i / 2 ? "f64" : "f32";
    check_text(50, true,
               "%%1 = input name \"x\" : i32[3, T]\n%%2 = cast %%1 to %s : %s[3, T]\n"
               "%%3 = const value 3 : %s[3, T]\n%%4 = sub %%2, %%3 : %s[3, T]\n%%5 = log %%4 : %s[3, T]\n"
               "%%6 = neg %%5 : %s[3, T]\n%%7 = floor %%6 : %s[3, T]\n"
               "%%8, %%9 = sort %%7 axis 1 count T%s : %s[3, T], i32[3, T]\noutput \"y\" = %%8\noutput \"i\" = %%9\n"
               "%%10, %%11 = cummax %%7 axis 1 : %s[3, T], i32[3, T]\noutput \"m\" = %%10\noutput \"p\" = %%11\n",
               e, e, e, e, e, e, e, i % 2 ? " descending 1" : "", e, e);
  }
}

/* ---- systems, convolutions, search ---- */

static void check_solve(const char *batch, const char *n, int m, const char *elem, const char *flags, int64_t T,
                        bool quick) {
  check_text(T, quick,
             "%%1 = input name \"l\" : %s[%s%s, %s]\n%%2 = input name \"x\" : %s[%s%s, %d]\n"
             "%%3 = const value 0.125 : %s[%s%s, %s]\n%%4 = mul %%1, %%3 : %s[%s%s, %s]\n"
             "%%5 = solve_lower %%4, %%2%s : %s[%s%s, %d]\noutput \"y\" = %%5\n",
             elem, batch, n, n, elem, batch, n, m, elem, batch, n, n, elem, batch, n, n, flags, elem, batch, n, m);
}

static void systems(void **state) {
  (void)state;
  check_solve("", "1", 1, "f32", "", 1, true);
  check_solve("", "16", 5, "f32", "", 1, true);
  check_solve("3, ", "T", 20, "f32", " transposed 1", 33, true);
  check_solve("2, ", "T", 70, "f32", "", 47, false);
  check_solve("2, 2, ", "64", 64, "f32", " transposed 1", 1, false);
  check_solve("", "20", 3, "bf16", "", 1, true);
}

static void check_conv(const char *x, const char *w, const char *y, const char *attrs, int64_t T, bool quick) {
  check_text(T, quick,
             "%%1 = input name \"x\" : %s\n%%2 = input name \"w\" : %s\n%%3 = conv1d %%1, %%2 %s : %s\n"
             "output \"y\" = %%3\n",
             x, w, attrs, y);
}

/* Value and both gradients. */
static void check_conv_grad(const char *x, const char *w, const char *y, const char *attrs, int64_t T) {
  check_text(T, true,
             "%%1 = input name \"x\" : %s\n%%2 = input name \"w\" : %s\n%%3 = conv1d %%1, %%2 %s : %s\n"
             "%%4 = tanh %%3 : %s\n%%5 = sum %%4 axes [0, 1, 2] : f32[]\n%%6, %%7 = grad %%5, %%1, %%2 : %s, %s\n"
             "output \"y\" = %%3\noutput \"dx\" = %%6\noutput \"dw\" = %%7\n",
             x, w, attrs, y, y, x, w);
}

static void convolutions(void **state) {
  (void)state;
  check_conv("f32[2, T, 24]", "f32[4, 1, 24]", "f32[2, T, 24]", "left 3 right 0 groups 24", 37, true);
  check_conv("f32[2, T, 40]", "f32[3, 40, 17]", "f32[2, T, 17]", "left 4 right 0 dilation 2", 50, true);
  check_conv("f32[3, 64, 8]", "f32[4, 2, 12]", "f32[3, 16, 12]", "left 0 right 0 stride 4 groups 4", 1, true);
  check_conv("f32[1, 9]", "f32[1, 9, 70]", "f32[1, 70]", "left 0 right 0", 1, true);
  check_conv("bf16[2, T, 8]", "bf16[4, 1, 8]", "bf16[2, T, 8]", "left 3 right 0 groups 8", 20, true);
  check_conv_grad("f32[2, T, 6]", "f32[4, 1, 6]", "f32[2, T, 6]", "left 3 right 0 groups 6", 19);
  check_conv_grad("f32[2, 12, 6]", "f32[3, 3, 4]", "f32[2, 6, 4]", "left 2 right 0 stride 2 groups 2", 1);
  check_conv_grad("f32[1, T, 20]", "f32[3, 20, 5]", "f32[1, T, 5]", "left 1 right 1", 30);
}

static void searches(void **state) {
  (void)state;
  for (int right = 0; right < 2; right++)
    for (int64_t T = 1; T < 70; T += 23)
      check_text(T, true,
                 "%%1 = input name \"s\" : i32[3, T]\n%%2, %%3 = sort %%1 axis 1 count T : i32[3, T], i32[3, T]\n"
                 "%%4 = input name \"v\" : i32[3, 4, 5]\n%%5 = cast %%2 to f32 : f32[3, T]\n"
                 "%%6 = cast %%4 to f32 : f32[3, 4, 5]\n%%7 = searchsorted %%5, %%6%s : i32[3, 4, 5]\n"
                 "output \"y\" = %%7\n",
                 right ? " right 1" : "");
}

/* Values within their bounds; the numbers underneath are equal bit for bit. */
static void normals(void **state) {
  (void)state;
  check_text(777, true,
             "%%1 = input name \"seed\" : i64[]\n%%2 = input name \"step\" : i32[]\n"
             "%%3 = normal %%1, %%2 shape [T, 3] stream \"noise\" : f32[T, 3]\noutput \"y\" = %%3\n");
}

/* ---- nothing ---- */

static void empty_axes(void **state) {
  (void)state;
  for (int64_t T = 0; T < 2; T++)
    check_text(T, true,
               "%%1 = input name \"x\" : f32[3, 0]\n%%2 = cumsum %%1 axis 1 : f32[3, 0]\n"
               "%%3, %%4 = sort %%1 axis 1 count 0 : f32[3, 0], i32[3, 0]\n%%5 = neg %%3 : f32[3, 0]\n"
               "%%6, %%7 = cummax %%1 axis 0 : f32[3, 0], i32[3, 0]\n%%8 = input name \"t\" : f32[N, 4]\n"
               "%%9, %%10 = sort %%8 axis 0 count N : f32[N, 4], i32[N, 4]\n%%11 = cumsum %%8 axis 1 : f32[N, 4]\n"
               "%%12 = input name \"u\" : f32[5]\n%%13, %%14 = sort %%12 axis 0 count 0 : f32[0], i32[0]\n"
               "%%15 = input name \"l\" : f32[0, 0]\n%%16 = input name \"q\" : f32[0, 3]\n"
               "%%17 = solve_lower %%15, %%16 : f32[0, 3]\n%%18 = cumprod %%12 axis 0 : f32[5]\n"
               "%%19 = recur %%8, %%8 axis 0 : f32[N, 4]\n"
               "output \"a\" = %%2\noutput \"b\" = %%5\noutput \"c\" = %%7\noutput \"d\" = %%9\noutput \"e\" = %%11\n"
               "output \"f\" = %%13\noutput \"g\" = %%17\noutput \"h\" = %%18\noutput \"i\" = %%19\n");
}

/* A prefix whose positions alone are used, a prefix of a view, results that are renamed and joined. */
static void in_graphs(void **state) {
  (void)state;
  check_text(66, true,
             "%%1 = input name \"x\" : f32[3, T]\n%%2 = transpose %%1 perm [1, 0] : f32[T, 3]\n"
             "%%3, %%4 = cummax %%2 axis 0 : f32[T, 3], i32[T, 3]\noutput \"i\" = %%4\n");
  check_text(66, true,
             "%%1 = input name \"x\" : f32[3, T]\n%%2 = cumsum %%1 axis 1 : f32[3, T]\n"
             "%%3 = transpose %%2 perm [1, 0] : f32[T, 3]\n%%4 = concat %%3, %%3 axis 1 : f32[T, 6]\n"
             "output \"y\" = %%4\noutput \"z\" = %%2\n");
  check_text(5, true,
             "%%1 = const value 1.5 : f32[T, 4]\n%%2 = cumsum %%1 axis 0 : f32[T, 4]\n"
             "%%3 = iota axis 1 : i32[T, 4]\n%%4 = cumprod %%3 axis 1 : i32[T, 4]\n"
             "output \"y\" = %%2\noutput \"z\" = %%4\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cumulative_sums),
                                     cmocka_unit_test(cumulative_products),
                                     cmocka_unit_test(cumulative_maxima),
                                     cmocka_unit_test(recurrences),
                                     cmocka_unit_test(sorts),
                                     cmocka_unit_test(takes_the_first),
                                     cmocka_unit_test(sorts_axes_of_millions),
                                     cmocka_unit_test(sorts_what_is_no_number),
                                     cmocka_unit_test(systems),
                                     cmocka_unit_test(convolutions),
                                     cmocka_unit_test(searches),
                                     cmocka_unit_test(normals),
                                     cmocka_unit_test(empty_axes),
                                     cmocka_unit_test(in_graphs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
