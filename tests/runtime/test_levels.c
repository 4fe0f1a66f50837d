/* Plans of several feature levels in one piece: round trip, the choice by what the processor offers, every damage. */
#include "ir/base/cpu.h"
#include "runtime/io/levels.h"
#include "tests/runtime/support.h"

#if defined(__x86_64__)
#define HAVE_LEVELS 1
#else
#define HAVE_LEVELS 0
#endif

static sn_level level(world *w, const char *name, const char *features) {
  unsigned char *data;
  sn_level l = {.name = name, .features = features};
  w->plan->model = name;
  assert_int_equal(sn_plan_write(w->arena, w->plan, &data, &l.bytes), SN_OK);
  l.plan = data;
  return l;
}

static sn_levels three(world *w) {
  return (sn_levels){3, {level(w, "low", "baseline"), level(w, "mid", "avx2,fma,f16c"), level(w, "top", "avx9000")}};
}

static void levels_come_back(void **state) {
  (void)state;
  world w = world_create(1);
  sn_levels l = three(&w), back;
  unsigned char *data;
  size_t bytes;
  sn_levels_write(w.arena, &l, &data, &bytes);
  assert_int_equal(bytes % 64, 0);
  assert_int_equal(sn_levels_read(w.diags, "t", data, bytes, &back), SN_OK);
  assert_int_equal(back.count, 3);
  for (int i = 0; i < 3; i++) {
    assert_string_equal(back.at[i].name, l.at[i].name);
    assert_string_equal(back.at[i].features, l.at[i].features);
    assert_int_equal(back.at[i].bytes, l.at[i].bytes);
    assert_memory_equal(back.at[i].plan, l.at[i].plan, l.at[i].bytes);
    assert_int_equal((size_t)((const unsigned char *)back.at[i].plan - data) % 64, 0);
  }
  /* a plan alone */
  assert_int_equal(sn_levels_read(w.diags, "t", l.at[0].plan, l.at[0].bytes, &back), SN_OK);
  assert_int_equal(back.count, 1);
  assert_ptr_equal(back.at[0].plan, l.at[0].plan);
  world_destroy(&w);
}

static const char *chosen(world *w, const sn_levels *l) {
  sn_plan *p = NULL;
  unsigned char *data;
  size_t bytes;
  sn_levels_write(w->arena, l, &data, &bytes);
  return sn_levels_plan(w->arena, w->diags, "t", data, bytes, &p) ? NULL : p->model;
}

static void the_best_that_there_is_is_chosen(void **state) {
  (void)state;
  world w = world_create(1);
  sn_levels l = three(&w);
  assert_string_equal(chosen(&w, &l), HAVE_LEVELS && sn_cpu_offers("avx2,fma,f16c") ? "mid" : "low");
  if (HAVE_LEVELS) {
    assert_int_equal(setenv("SN_CPU_WITHOUT", "f16c", 1), 0);
    assert_string_equal(chosen(&w, &l), "low");
    assert_int_equal(unsetenv("SN_CPU_WITHOUT"), 0);
  }
  l.at[0] = l.at[2], l.count = 1; /* none that runs */
  w.diags->count = 0;
  assert_null(chosen(&w, &l));
  assert_int_equal(w.diags->at[0].code, SN_ERR_DEVICE);
  assert_string_equal(w.diags->at[0].expected, "top");
  assert_string_equal(w.diags->at[0].found, "no avx9000, which top needs");
  world_destroy(&w);
}

/* Taking a feature away takes those that stand on it. */
static void features_are_taken_away(void **state) {
  (void)state;
  world w = world_create(1);
  if (!HAVE_LEVELS) skip();
  static const char *const names[] = {"avx2", "fma", "avx512f", "avx512bw", "avx512bf16", "amx"};
  bool had[6];
  for (int i = 0; i < 6; i++) had[i] = sn_cpu_offers(names[i]);
  setenv("SN_CPU_WITHOUT", "avx512", 1);
  for (int i = 0; i < 6; i++) assert_int_equal(sn_cpu_offers(names[i]), i < 2 && had[i]);
  assert_int_equal(sn_cpu_check(w.diags), SN_OK);
  setenv("SN_CPU_WITHOUT", "amx, avx512bf16", 1);
  for (int i = 0; i < 6; i++) assert_int_equal(sn_cpu_offers(names[i]), i < 4 && had[i]);
  setenv("SN_CPU_WITHOUT", "avx2", 1);
  assert_string_equal(sn_cpu_missing(w.arena, "baseline avx2,fma"), "avx2");
  assert_true(sn_cpu_offers("baseline") && !sn_cpu_offers("avx512f"));
  setenv("SN_CPU_WITHOUT", "amx,avx513", 1);
  assert_int_equal(sn_cpu_check(w.diags), SN_ERR_USAGE);
  assert_non_null(strstr(w.diags->at[0].message, "avx513"));
  unsetenv("SN_CPU_WITHOUT");
  assert_int_equal(sn_cpu_check(w.diags), SN_OK);
  world_destroy(&w);
}

/* Reads from a block of exactly this size; what is accepted may be read to its end. */
static sn_code read_exact(const unsigned char *bytes, size_t count) {
  unsigned char *exact = malloc(count + (count == 0));
  sn_levels l;
  memcpy(exact, bytes, count);
  sn_code code = sn_levels_read(NULL, "t", exact, count, &l);
  for (int i = 0; code == SN_OK && i < l.count; i++) (void)sn_hash_bytes(l.at[i].plan, l.at[i].bytes, 1);
  free(exact);
  return code;
}

static void what_is_damaged_is_refused(void **state) {
  (void)state;
  enum { HEAD = 32, ROW = SN_LEVEL_NAME_BYTES + SN_LEVEL_FEATURES_BYTES + 16, TABLE = HEAD + 3 * ROW };
  world w = world_create(1);
  sn_levels l = three(&w);
  unsigned char *data;
  size_t bytes;
  sn_levels_write(w.arena, &l, &data, &bytes);
  for (size_t n = 8; n < bytes; n++) assert_int_equal(read_exact(data, n), SN_ERR_INPUT);
  for (size_t i = 8; i < TABLE; i++) { /* any bit of head and table */
    data[i] ^= (unsigned char)(1 << i % 8);
    assert_int_equal(read_exact(data, bytes), SN_ERR_INPUT);
    data[i] ^= (unsigned char)(1 << i % 8);
  }
  assert_int_equal(read_exact(data, bytes), SN_OK);
  world_destroy(&w);
}

/* Tables whose hash fits and whose content does not. */
static void what_is_forged_is_refused(void **state) {
  (void)state;
  enum { HEAD = 32, ROW = SN_LEVEL_NAME_BYTES + SN_LEVEL_FEATURES_BYTES + 16, OFFSET = ROW - 16, SIZE = ROW - 8 };
  static const struct {
    int at, bytes;
    uint64_t value;
  } rows[] = {{OFFSET, 8, 0},
              {OFFSET, 8, 65},
              {OFFSET, 8, UINT64_MAX - 63},
              {OFFSET, 8, UINT64_C(1) << 40},
              {SIZE, 8, UINT64_MAX},
              {SIZE, 8, UINT64_C(1) << 63},
              {ROW + OFFSET, 8, 64 * 11},   /* inside of the plan before */
              {0, 1, 0},                    /* no name */
              {SN_LEVEL_NAME_BYTES, 1, 0},  /* no features */
              {ROW, 8, UINT64_C(0x776f6c)}, /* "low" again */
              {2 * ROW + SIZE, 8, UINT64_C(1) << 20}};
  world w = world_create(1);
  sn_levels l = three(&w);
  unsigned char *data;
  size_t bytes;
  sn_levels_write(w.arena, &l, &data, &bytes);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    unsigned char *copy = sn_arena_copy(w.arena, data, bytes);
    memcpy(copy + HEAD + rows[i].at, &rows[i].value, (size_t)rows[i].bytes);
    uint64_t hash = sn_hash_bytes(copy + HEAD, 3 * ROW, bytes);
    memcpy(copy + 24, &hash, 8);
    if (read_exact(copy, bytes) != SN_ERR_INPUT) fail_msg("row %zu is accepted", i);
  }
  unsigned char *full = sn_arena_copy(w.arena, data, bytes); /* texts without end */
  memset(full + HEAD, 'a', SN_LEVEL_NAME_BYTES);
  uint64_t hash = sn_hash_bytes(full + HEAD, 3 * ROW, bytes);
  memcpy(full + 24, &hash, 8);
  assert_int_equal(read_exact(full, bytes), SN_ERR_INPUT);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_come_back), cmocka_unit_test(the_best_that_there_is_is_chosen),
      cmocka_unit_test(features_are_taken_away), cmocka_unit_test(what_is_damaged_is_refused),
      cmocka_unit_test(what_is_forged_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
