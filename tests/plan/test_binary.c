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
      cmocka_unit_test(every_flip_is_refused),
      cmocka_unit_test(every_truncation_is_refused),
      cmocka_unit_test(forged_bodies),
      cmocka_unit_test(refusals_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
