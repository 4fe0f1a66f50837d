/* The op table and the target table: every row is well formed and found by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/types/op.h"
#include "ir/types/target.h"

static void every_row(void **state) {
  (void)state;
  for (int op = SN_OP_NONE + 1; op < SN_OP_COUNT; op++) {
    const sn_op_info *info = sn_op_get((sn_op)op);
    assert_int_equal(sn_op_find(info->name), op);
    assert_true(info->operands >= -1 && info->results >= -1);
    assert_true(!(info->flags & SN_FLAG_DIFF) != !(info->flags & SN_FLAG_NODIFF));
    for (int i = 0; i < info->attr_count; i++) {
      assert_non_null(strchr("ifsedIDR", info->attr[i].kind));
      assert_true(strlen(info->attr[i].name) > 0 && !strpbrk(info->attr[i].name, " :?"));
      assert_int_equal(sn_op_attr((sn_op)op, info->attr[i].name), i);
    }
  }
  assert_int_equal(sn_op_find("none"), SN_OP_NONE);
  assert_int_equal(sn_op_find("nosuch"), SN_OP_NONE);
}

static void some_rows(void **state) {
  (void)state;
  const sn_op_info *attention = sn_op_get(SN_OP_ATTENTION);
  assert_int_equal(attention->attr_count, 9);
  assert_string_equal(attention->attr[0].name, "scale");
  assert_int_equal(attention->attr[0].kind, 'f');
  assert_false(attention->attr[0].optional);
  assert_string_equal(attention->attr[4].name, "variant");
  assert_true(attention->attr[4].optional);
  assert_int_equal(attention->operands, -1);
  assert_int_equal(attention->results, 2);
  assert_int_equal(sn_op_get(SN_OP_ADD)->flags, SN_FLAG_DIFF | SN_FLAG_COMM);
  assert_int_equal(sn_op_get(SN_OP_SUM)->cls, SN_CLASS_REDUCE);
  assert_int_equal(sn_op_attr(SN_OP_BROADCAST, "axes"), 1);
  assert_int_equal(sn_op_attr(SN_OP_BROADCAST, "axis"), -1);
  assert_string_equal(sn_op_get((sn_op)12345)->name, "none");
}

static void targets(void **state) {
  (void)state;
  static const int lanes[] = {4, 8, 16, 16};
  for (int isa = SN_ISA_BASELINE; isa <= SN_ISA_AMX; isa++) {
    sn_target t = sn_target_cpu((sn_isa)isa);
    assert_string_equal(t.name, "cpu");
    assert_int_equal(t.isa, isa);
    assert_int_equal(t.lanes, lanes[isa]);
    assert_int_equal(t.bn % t.lanes, 0);
    assert_int_equal(t.vnni, isa == SN_ISA_AMX);
    assert_true(strlen(t.features) > 0 && strlen(t.features) < sizeof t.features - 1);
    assert_true(t.l1_bytes < t.l2_bytes && t.l2_bytes < t.l3_bytes);
  }
  assert_string_equal(sn_isa_name(SN_ISA_AVX512), "avx512");
}

static void levels_ascend(void **state) {
  (void)state;
  static const char *const names[] = {"baseline", "avx2", "avx512", "avx512bf16", "amx"};
  sn_target t, found;
  for (int i = 0; i < 5; i++) {
    assert_string_equal(sn_target_level(i, &t), names[i]);
    assert_int_equal(sn_target_find_level(names[i], &found), i);
    assert_string_equal(t.features, found.features);
    assert_int_equal(t.vnni, i >= 3);
    assert_int_equal(strstr(t.features, "avx512bf16") != NULL, i >= 3);
    assert_int_equal(t.isa, i < 3 ? i : i == 3 ? SN_ISA_AVX512 : SN_ISA_AMX);
  }
  assert_null(sn_target_level(5, NULL));
  assert_null(sn_target_level(-1, NULL));
  assert_int_equal(sn_target_find_level("avx", NULL), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row),
      cmocka_unit_test(some_rows),
      cmocka_unit_test(targets),
      cmocka_unit_test(levels_ascend),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
