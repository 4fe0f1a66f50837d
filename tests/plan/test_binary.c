/* The binary form of plans: round trips, every damage refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/plan/binary.h"
#include "tests/plan/random_plan.h"

enum { HEADER = 32, CHECKSUM_AT = 24 };

static void round_trip(void **state) {
  (void)state;
  sn_rng r = {.seed = 3};
  for (int i = 0; i < 300; i++) {
    sn_arena *arena = sn_arena_create();
    const sn_plan *p = random_plan(arena, &r, 1 + pick(&r, 20), 12);
    unsigned char *bytes = NULL, *again = NULL;
    size_t count = 0, again_count = 0;
    sn_plan *back = NULL;
    assert_int_equal(sn_plan_write(arena, p, &bytes, &count), SN_OK);
    assert_int_equal(sn_plan_read(arena, NULL, "t", bytes, count, &back), SN_OK);
    assert_string_equal(plan_text(arena, back), plan_text(arena, p));
    assert_int_equal(sn_plan_write(arena, back, &again, &again_count), SN_OK);
    assert_int_equal(count, again_count);
    assert_memory_equal(bytes, again, count);
    sn_arena_destroy(arena);
  }
}

/* Reads from a block of exactly this size; a plan that is accepted must verify. */
static sn_code read_exact(const unsigned char *bytes, size_t count) {
  unsigned char *exact = malloc(count + (count == 0));
  memcpy(exact, bytes, count);
  sn_arena *arena = sn_arena_create();
  sn_plan *p = NULL;
  sn_code code = sn_plan_read(arena, NULL, "t", exact, count, &p);
  if (code == SN_OK) assert_int_equal(sn_plan_verify(p, NULL), SN_OK);
  sn_arena_destroy(arena);
  free(exact);
  return code;
}

static unsigned char *small_plan(sn_arena *arena, uint64_t seed, size_t *count) {
  sn_rng r = {.seed = seed};
  unsigned char *bytes = NULL;
  assert_int_equal(sn_plan_write(arena, random_plan(arena, &r, 6, 4), &bytes, count), SN_OK);
  return bytes;
}

/* The bytes of one plan, of every part that there is, without the header. When this fails, the layout has changed:
 * files that older programs wrote would be read wrong, so SN_PLAN_VERSION goes up by one, and both numbers here are
 * new. */
static void layout_has_a_version(void **state) {
  (void)state;
  static const char text[] =
      "plan 1 model \"m\" settings \"a=1\" target \"cpu avx2\"\n"
      "dims { B: 1..8, T: 16..64 step 16 }\n"
      "slot 0 input \"x\" i32[B, T] elements B*T graph 0 init fill 7 optional\n"
      "slot 1 param \"w\" f32[64] elements 64 init normal 0.02 frozen\n"
      "slot 2 state \"s\" i64[] elements 1 init fill 0 buddy 3\n"
      "slot 3 state \"n\" i64[] elements 1 buddy 2\n"
      "slot 4 temp \"t0.mul\" f32[B] elements B graph 0 life 1 8\n"
      "slot 5 temp \"ok\" bool[] elements 1 graph 0 life 0 4\n"
      "slot 6 output \"y\" f32[B] elements B graph 0 alias 4\n"
      "slot 7 packed \"p\" f32[64] elements 64\n"
      "code 0 cpu \"map_mul\" size 4 workspace 64 features \"avx2\" entry 1 {\n  \"00ff10a5\"\n}\n"
      "code 1 kernel \"later\" size 0 workspace 0\n"
      "prepare {\n  launch 1 (1, write 7)\n}\n"
      "graph \"run\" {\n"
      "  launch 0 (0, 7, write 5, size 0) grid0 B grid1 T grid2 2 kind \"map\" ops \"mul\" where \"h.0\" flops 64*B "
      "reads 512*B writes 256*B\n"
      "  launch 0 (1, write 4)\n"
      "  check 5\n"
      "  choose 5 yes 1 no 1\n"
      "  launch 0 (1, write 4)\n"
      "  launch 0 (1, write 4)\n"
      "  copy 2 to 3\n"
      "  swap 2 to 3\n"
      "  host\n"
      "  refused \"mul sum\" \"two users\"\n"
      "  limit 0 rows 64 span 1 op \"gather\" file \"m.c\" line 3\n"
      "  limit 0 some more -1 op \"div\" line 0\n"
      "}\n"
      "graph \"loop\" {\n}\n";
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_plan *p = NULL;
  unsigned char *bytes = NULL;
  size_t count = 0;
  if (sn_plan_parse(arena, d, "t", text, sizeof text - 1, &p)) fail_msg("%s", sn_diags_print(d, arena));
  assert_int_equal(sn_plan_write(arena, p, &bytes, &count), SN_OK);
  uint64_t hash = sn_hash_bytes(bytes + HEADER, count - HEADER, 0);
  if (SN_PLAN_VERSION != 4 || count != 1462 || hash != UINT64_C(0x2a03094a97627d85))
    fail_msg("version %d: %zu bytes, hash 0x%016llx", SN_PLAN_VERSION, count, (unsigned long long)hash);
  assert_memory_equal(bytes, "SNPLAN1\0\4\0\0\0\0\0\0\0", 16);
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

static void every_flip_is_refused(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  size_t count;
  unsigned char *bytes = small_plan(arena, 4, &count);
  for (size_t i = 0; i < count; i++) {
    for (int bit = 0; bit < 8; bit++) {
      bytes[i] ^= (unsigned char)(1 << bit);
      assert_int_equal(read_exact(bytes, count), SN_ERR_INPUT);
      bytes[i] ^= (unsigned char)(1 << bit);
    }
  }
  assert_int_equal(read_exact(bytes, count), SN_OK);
  sn_arena_destroy(arena);
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  size_t count;
  const unsigned char *bytes = small_plan(arena, 5, &count);
  for (size_t i = 0; i < count; i++) assert_int_equal(read_exact(bytes, i), SN_ERR_INPUT);
  sn_arena_destroy(arena);
}

static void put_u64(unsigned char *at, uint64_t value) {
  for (int i = 0; i < 8; i++) at[i] = (unsigned char)(value >> 8 * i);
}

/* Damage behind a checksum and a length that are made right again: nothing else is trusted either. */
static void forged_bodies(void **state) {
  (void)state;
  sn_rng r = {.seed = 6};
  int accepted = 0;
  for (int plan = 0; plan < 6; plan++) {
    sn_arena *arena = sn_arena_create();
    size_t count;
    unsigned char *bytes = small_plan(arena, 10 + (uint64_t)plan, &count);
    unsigned char *forged = sn_arena_alloc(arena, count);
    for (int i = 0; i < 3000; i++) {
      size_t length = i % 4 ? count : HEADER + (size_t)sn_rng_below(&r, count - HEADER);
      memcpy(forged, bytes, length);
      for (int n = pick(&r, 3) + (i % 4 != 0); n > 0; n--) {
        size_t at = HEADER + (size_t)sn_rng_below(&r, length - HEADER + (length == HEADER));
        if (at < length) forged[at] = (unsigned char)(i % 2 ? sn_rng_u32(&r) : 255u * (unsigned)pick(&r, 2));
      }
      put_u64(forged + 16, length);
      put_u64(forged + CHECKSUM_AT, sn_hash_bytes(forged + HEADER, length - HEADER, SN_PLAN_VERSION));
      accepted += read_exact(forged, length) == SN_OK;
    }
    sn_arena_destroy(arena);
  }
  assert_true(accepted > 100); /* bytes of code and names may be anything */
}

static void refusals_are_told(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_plan *p = NULL;
  assert_int_equal(sn_plan_read(arena, diags, "model.plan", "nonsense", 8, &p), SN_ERR_INPUT);
  assert_string_equal(sn_diags_print(diags, arena),
                      "model.plan: error: not a readable plan: it does not start as one\n");
  assert_null(p);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),
      cmocka_unit_test(layout_has_a_version),
      cmocka_unit_test(every_flip_is_refused),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(forged_bodies),
      cmocka_unit_test(refusals_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
