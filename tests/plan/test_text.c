/* The text form of plans: random ones round trip, broken ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/plan/random_plan.h"

static void round_trip(void **state) {
  (void)state;
  sn_rng r = {.seed = 1};
  for (int i = 0; i < 300; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    const sn_plan *p = random_plan(arena, &r, 1 + pick(&r, 20), 12);
    if (sn_plan_verify(p, diags)) fail_msg("%s", sn_diags_print(diags, arena));
    const char *text = plan_text(arena, p);
    sn_plan *back = NULL;
    if (sn_plan_parse(arena, diags, "t", text, strlen(text), &back))
      fail_msg("%s%s", sn_diags_print(diags, arena), text);
    assert_string_equal(plan_text(arena, back), text);
    uint64_t a[2], b[2];
    assert_int_equal(sn_plan_hash(p, a), SN_OK);
    assert_int_equal(sn_plan_hash(back, b), SN_OK);
    assert_memory_equal(a, b, sizeof a);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
}

static const char example[] =
    "plan 1 model \"tiny\" settings \"\" target \"cpu avx2\"\n"
    "dims { B: 1..8 }\n"
    "slot 0 input \"x\" f32[B, 64] elements 64*B graph 0\n"
    "slot 1 param \"w\" f32[64] elements 64 init normal 0.02\n"
    "slot 2 state \"n\" i64[] elements 1 init fill 0\n"
    "slot 3 temp \"t0.mul\" f32[B, 64] elements 64*B graph 0 life 0 1\n"
    "slot 4 output \"y\" f32[B, 64] elements 64*B graph 0\n"
    "code 0 cpu \"map_mul\" size 4 workspace 64 features \"avx2\" entry 1 {\n"
    "  \"00ff10a5\"\n"
    "}\n"
    "code 1 kernel \"later\" size 0 workspace 0\n"
    "prepare {\n"
    "}\n"
    "graph \"run\" {\n"
    "  launch 0 (0, 1, write 3, size 0) grid0 B kind \"map\" ops \"mul\" where \"h.0\" flops 64*B reads 512*B writes "
    "256*B\n"
    "  copy 3 to 4 kind \"copy\"\n"
    "  host\n"
    "  refused \"mul sum\" \"two users\"\n"
    "}\n";

static void example_is_exact(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_plan *p = NULL;
  assert_int_equal(sn_plan_parse(arena, NULL, "t", example, sizeof example - 1, &p), SN_OK);
  assert_string_equal(plan_text(arena, p), example);
  assert_int_equal(p->code[0].bytes[1], 0xff);
  assert_int_equal(p->graph[0].step[0].writes, 4);
  sn_text brief = sn_text_begin(arena);
  sn_plan_print(&brief, p, false);
  assert_null(strstr(brief.at, "00ff"));
  assert_int_equal(sn_plan_parse(arena, NULL, "t", brief.at, (size_t)brief.count, &p), SN_OK);
  sn_arena_destroy(arena);
}

/* Every prefix, and the text with one byte changed or one word dropped, is read or refused without harm. */
static void damaged_texts(void **state) {
  (void)state;
  sn_rng r = {.seed = 2};
  char text[sizeof example];
  for (int i = 0; i < 3000; i++) {
    sn_arena *arena = sn_arena_create();
    sn_plan *p = NULL;
    size_t count = sizeof example - 1;
    memcpy(text, example, sizeof text);
    if (i < (int)count)
      count = (size_t)i;
    else
      text[pick(&r, (int)count)] = (char)(i % 2 ? sn_rng_u32(&r) : 32 + (unsigned)pick(&r, 95));
    if (sn_plan_parse(arena, NULL, "t", text, count, &p) == SN_OK) assert_int_equal(sn_plan_verify(p, NULL), SN_OK);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),
      cmocka_unit_test(example_is_exact),
      cmocka_unit_test(damaged_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
