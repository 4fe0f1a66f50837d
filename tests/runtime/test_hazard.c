/* Barriers: placed where bytes meet, and a checker that finds every one that is taken away. Needs no device. */
#include "runtime/hazard.h"
#include "tests/runtime/support.h"

enum { LISTS = 1000 };

static void add(sn_commands *c, int count, const sn_command_access *access) {
  assert_int_equal(sn_commands_add(c, c->count), SN_OK);
  for (int i = 0; i < count; i++)
    assert_int_equal(sn_commands_access(c, access[i].at, (int64_t)access[i].bytes, access[i].write), SN_OK);
}

/* A list as plans make them: commands that read a few ranges of a small memory and write one or two. */
static sn_commands draw(sn_rng *rng) {
  sn_commands c = {0};
  int count = 1 + (int)sn_rng_below(rng, 60);
  uint64_t memory = 200 + sn_rng_below(rng, 4000);
  for (int i = 0; i < count; i++) {
    sn_command_access a[8];
    int accesses = (int)sn_rng_below(rng, 7);
    for (int k = 0; k < accesses; k++)
      a[k] = (sn_command_access){1000 + sn_rng_below(rng, memory), sn_rng_below(rng, 120),
                                 k == 0 || sn_rng_below(rng, 6) == 0};
    add(&c, accesses, a);
  }
  return c;
}

static bool clash(const sn_commands *c, int i, int k) {
  for (int x = 0; x < c->at[i].count; x++)
    for (int y = 0; y < c->at[k].count; y++) {
      const sn_command_access *a = &c->access[c->at[i].first + x], *b = &c->access[c->at[k].first + y];
      if ((a->write || b->write) && a->at < b->at + b->bytes && b->at < a->at + a->bytes) return true;
    }
  return false;
}

/* Byte by byte: is there a pair of commands without a barrier between them that clashes? */
static bool is_wrong(const sn_commands *c) {
  for (int i = 0; i < c->count; i++)
    for (int k = i + 1; k < c->count && !c->at[k].barrier; k++)
      if (clash(c, i, k)) return true;
  return false;
}

static void every_barrier_is_missed(void **state) {
  (void)state;
  sn_rng rng = {.seed = 7};
  int barriers = 0, commands = 0;
  for (int n = 0; n < LISTS; n++) {
    sn_commands c = draw(&rng);
    sn_hazard h;
    bool found = true;
    assert_int_equal(sn_barriers_place(&c), SN_OK);
    assert_int_equal(sn_barriers_check(&c, &found, &h), SN_OK);
    assert_false(found);
    assert_false(is_wrong(&c));
    for (int i = 0; i < c.count; i++) {
      if (!c.at[i].barrier) continue;
      c.at[i].barrier = false;
      assert_int_equal(sn_barriers_check(&c, &found, &h), SN_OK);
      assert_true(found);
      assert_true(h.first < h.second && clash(&c, h.first, h.second));
      for (int k = h.first + 1; k <= h.second; k++) assert_false(c.at[k].barrier);
      c.at[i].barrier = true;
      barriers++;
    }
    commands += c.count;
    sn_commands_free(&c);
  }
  print_message("%d commands, %d barriers\n", commands, barriers);
  assert_true(barriers > LISTS);
  assert_true(barriers < commands);
}

/* The two ways agree on barriers that are put anywhere. */
static void checker_agrees_with_comparing_all_pairs(void **state) {
  (void)state;
  sn_rng rng = {.seed = 8};
  int wrong = 0;
  for (int n = 0; n < LISTS; n++) {
    sn_commands c = draw(&rng);
    sn_hazard h;
    bool found;
    uint64_t often = 1 + sn_rng_below(&rng, 3);
    for (int i = 0; i < c.count; i++) c.at[i].barrier = sn_rng_below(&rng, often + 1) != 0;
    assert_int_equal(sn_barriers_check(&c, &found, &h), SN_OK);
    assert_int_equal(found, is_wrong(&c));
    wrong += found;
    sn_commands_free(&c);
  }
  assert_true(wrong > LISTS / 10 && wrong < LISTS);
}

static void barriers_are_not_where_nothing_meets(void **state) {
  (void)state;
  static const struct {
    sn_command_access first, second;
    bool barrier;
  } rows[] = {
      {{100, 10, true}, {100, 10, false}, true},                                              /* read after write */
      {{100, 10, false}, {105, 10, true}, true},                                              /* write after read */
      {{100, 10, true}, {109, 10, true}, true},                                               /* write after write */
      {{100, 10, false}, {100, 10, false}, false}, {{100, 10, true}, {110, 10, true}, false}, /* side by side */
      {{100, 10, true}, {90, 10, false}, false},   {{100, 10, true}, {105, 0, true}, false},  /* nothing */
      {{100, 10, true}, {90, 30, false}, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sn_commands c = {0};
    add(&c, 1, &rows[i].first);
    add(&c, 1, &rows[i].second);
    assert_int_equal(sn_barriers_place(&c), SN_OK);
    assert_false(c.at[0].barrier);
    assert_int_equal(c.at[1].barrier, rows[i].barrier);
    sn_commands_free(&c);
  }
  sn_commands own = {0}; /* a command does not wait for itself */
  const sn_command_access both[] = {{100, 10, false}, {100, 10, true}};
  sn_hazard h;
  bool found;
  add(&own, 2, both);
  assert_int_equal(sn_barriers_place(&own), SN_OK);
  assert_int_equal(sn_barriers_check(&own, &found, &h), SN_OK);
  assert_true(!own.at[0].barrier && !found);
  sn_commands_free(&own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_barrier_is_missed),
      cmocka_unit_test(checker_agrees_with_comparing_all_pairs),
      cmocka_unit_test(barriers_are_not_where_nothing_meets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
