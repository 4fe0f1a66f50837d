/* Attention of one query by generated code at every level: parts of the keys of whole size and an end, query heads that
 * share key heads, any number of threads with the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

typedef struct one {
  int heads, key_heads, d;
  int64_t keys;
  const char *elem, *mask;
} one;

static const char *text_of(sn_arena *arena, const one *o) {
  const char *q = sn_arena_printf(arena, "%s[B, 1, %d, %d]", o->elem, o->heads, o->d);
  const char *kv = sn_arena_printf(arena, "%s[B, S, %d, %d]", o->elem, o->key_heads, o->d);
  return sn_arena_printf(arena,
                         "sinter 1\ndims { B: 1..3, S: 1..4096 }\n"
                         "body @causal {\n%%1 = arg index 0 : i32[]\n%%2 = arg index 1 : i32[]\n"
                         "%%3 = arg index 2 : i32[]\n%%4 = arg index 3 : i32[]\n%%5 = le %%4, %%3 : bool[]\n"
                         "return %%5\n}\n"
                         "graph @g {\n%%1 = input name \"q\" : %s\n%%2 = input name \"k\" : %s\n"
                         "%%3 = input name \"v\" : %s\n"
                         "%%4, %%5 = attention %%1, %%2, %%3 scale 0.125%s : %s, f32[B, %d, 1]\n"
                         "output \"y\" = %%4\noutput \"l\" = %%5\n}\n",
                         q, kv, kv, o->mask, q, o->heads);
}

static uint64_t hash_of(const one *o, const char *isa, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  int64_t dims[] = {2, o->keys};
  check_opt opt = {.compile = {.isa = isa, .cache_dir = check_cache()}, .graph = "g", .dims = dims, .threads = threads};
  check_result r;
  if (check_graph(check_parse(arena, diags, text_of(arena, o)), &opt, arena, diags, &r))
    fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%d keys of %d heads, %s, %s: %s", (int)o->keys, o->key_heads, o->elem, isa, r.first);
  assert_true(r.total > 0);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

/* isa: at most */
static void check(const one *o, const char *isa) {
  if (!SN_HAVE_LLVM) skip();
  uint64_t hash = hash_of(o, isa, 1);
  assert_true(hash == hash_of(o, isa, 3));
}

static void groups_of_heads(void **state) {
  (void)state;
  check(&(one){8, 8, 64, 700, "f32", ""}, "avx512");
  check(&(one){8, 2, 128, 601, "bf16", ""}, "amx");
  check(&(one){8, 1, 32, 512, "bf16", ""}, "avx2");
}

static void head_sizes(void **state) {
  (void)state;
  check(&(one){4, 2, 16, 300, "f32", ""}, "baseline");
  check(&(one){4, 1, 80, 257, "f16", ""}, "avx512");
  check(&(one){2, 2, 256, 259, "bf16", ""}, "amx");
}

/* keys beyond the first are hidden: parts without a live one */
static void hidden_keys(void **state) {
  (void)state;
  check(&(one){8, 2, 64, 700, "bf16", " mask @causal"}, "amx");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(groups_of_heads),
      cmocka_unit_test(head_sizes),
      cmocka_unit_test(hidden_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
