/* The pass pages: golden cases, executed before and after; tables that a text gives itself, with maps of blocks. */
#include "tests/passes/golden.h"
#include "tests/passes/lowered.h"

static sn_code read_pages(sn_module *m, sn_pass_env *env) {
  const sn_target target = sn_target_cpu(SN_ISA_BASELINE);
  env->target = &target;
  sn_code code = sn_pass_pages(m, env);
  env->target = NULL;
  return code;
}

static void cases(void **state) {
  (void)state;
  golden_file("pages", read_pages);
}

static const char text[] =
    "dims { B: 1..3, T: 1..70 }\n"
    "body @mask {\n  %%b = arg index 0 : i32[]\n  %%h = arg index 1 : i32[]\n  %%q = arg index 2 : i32[]\n"
    "  %%k = arg index 3 : i32[]\n  %%n = const value 5 : i32[]\n%s  return %%m\n}\n"
    "graph @g {\n  %%q = input name \"q\" : f32[B, T, 2, 4]\n  %%k = input name \"k\" : f32[4, %d, 1, 4]\n"
    "  %%t = input name \"t\" : i32[B, 5]\n%s"
    "  %%y, %%l = attention %%q, %%k, %%k, %s%%t scale 1 mask @mask %spages 1 : f32[B, T, 2, 4], f32[B, 2, T]\n"
    "  output \"y\" = %%y\n}\n";

static void check(const char *mask, int page, const char *map, const char *operand, const char *blocks) {
  char all[2048];
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bq = 4, target.bkv = 16;
  snprintf(all, sizeof all, text, mask, page, map, operand, blocks);
  lowered_check_case(&(lowered_case){.text = all, .dims = (const int64_t[]){2, 9}, .target = &target});
}

/* Masks that have a map get one of all keys, before the table. */
static void maps_of_pages(void **state) {
  (void)state;
  static const char strided[] =
      "  %d = sub %q, %k : i32[]\n  %r = mod %d, %n : i32[]\n"
      "  %z = const value 0 : i32[]\n  %m = eq %r, %z : bool[]\n";
  for (int page = 3; page <= 40; page += page < 9 ? 1 : 8) check(strided, page, "", "", "");
}

/* Blocks of 5 keys in pages of 4: the first is empty, and what is read at a time is of one block. */
static void blocks_across_pages(void **state) {
  (void)state;
  check("  %m = le %n, %k : bool[]\n", 4,
        "  %i = iota axis 3 : i32[1, 1, ceildiv(T, 4), 4]\n  %o = const value 1 : i32[1, 1, ceildiv(T, 4), 4]\n"
        "  %m = min %i, %o : i32[1, 1, ceildiv(T, 4), 4]\n",
        "%m, ", "blocks [4, 5] ");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(maps_of_pages),
                                     cmocka_unit_test(blocks_across_pages)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
