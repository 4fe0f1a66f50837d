/* Rows longer than a tile: what is kept up while the maximum is being found, on every target and feature level, for any
 * number of threads; also rows that begin with nothing but -infinity, grow all along, or hold NaN or infinity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

#define X "f32[6, 9001]"
#define I "i32[6, 9001]"
#define B "bool[6, 9001]"
#define RESULTS(x, id, name)                                                                               \
  "  %" id "0 = softmax %" x " axis 1 : " X "\n  %" id "1 = logsumexp %" x                                 \
  " axis 1 : f32[6]\n"                                                                                     \
  "  %" id "2 = cross_entropy %" x ", %2 smooth 0.1 : f32[6]\n  %" id "3 = log_softmax %" x " axis 1 : " X \
  "\n"                                                                                                     \
  "  output \"" name "s\" = %" id "0\n  output \"" name "l\" = %" id "1\n  output \"" name "c\" = %" id    \
  "2\n"                                                                                                    \
  "  output \"" name "g\" = %" id "3\n"

/* Rows of %29: 0 as given, 1 -infinity up to column 3000, 2 all of it, 3 growing, 4 with NaN, 5 with infinity. */
static const char text[] =
    "sinter 1\ngraph @g {\n"
    "  %1 = input name \"x\" : " X
    "\n  %2 = input name \"t\" : i32[6]\n"
    "  %3 = iota axis 0 : " I "\n  %4 = iota axis 1 : " I
    "\n"
    "  %5 = const value 3000 : " I "\n  %6 = lt %4, %5 : " B
    "\n"
    "  %7 = const value 1 : " I "\n  %8 = eq %3, %7 : " B "\n  %9 = and %6, %8 : " B
    "\n"
    "  %10 = const value -inf : " X "\n  %11 = select %9, %10, %1 : " X
    "\n"
    "  %12 = const value 2 : " I "\n  %13 = eq %3, %12 : " B "\n  %14 = select %13, %10, %11 : " X
    "\n"
    "  %15 = const value 3 : " I "\n  %16 = eq %3, %15 : " B "\n  %17 = cast %4 to f32 : " X
    "\n"
    "  %18 = const value 0.0078125 : " X "\n  %19 = mul %17, %18 : " X "\n  %20 = select %16, %19, %14 : " X
    "\n"
    "  %21 = const value 4 : " I "\n  %22 = eq %3, %21 : " B "\n  %23 = const value 5000 : " I
    "\n"
    "  %24 = eq %4, %23 : " B "\n  %25 = and %22, %24 : " B "\n  %26 = const value nan : " X
    "\n"
    "  %27 = select %25, %26, %20 : " X
    "\n"
    "  %30 = const value 5 : " I "\n  %31 = eq %3, %30 : " B "\n  %32 = and %31, %24 : " B
    "\n"
    "  %33 = const value inf : " X "\n  %29 = select %32, %33, %27 : " X "\n" RESULTS("1", "4", "plain_")
        RESULTS("29", "5", "special_") "}\n";

static uint64_t check(const char *target, const char *isa, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  check_opt o = {.compile = {.target = target, .isa = isa}, .graph = "g", .threads = threads, .seed = 3, .scale = 4};
  o.int_limit = 9001;
  check_result r;
  if (check_graph(check_parse(arena, diags, text), &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched)
    fail_msg("%s %s: %lld of %lld: %s", target, isa ? isa : "", (long long)r.mismatched, (long long)r.total, r.first);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

static void on_the_cpu(void **state) {
  (void)state;
  static const char *const isa[] = {"baseline", "avx2", NULL};
  if (!SN_HAVE_LLVM) skip();
  for (int i = 0; i < 3; i++) assert_true(check("cpu", isa[i], 1) == check("cpu", isa[i], 3));
}

static void on_the_template(void **state) {
  (void)state;
  check("template", NULL, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(on_the_cpu), cmocka_unit_test(on_the_template)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
