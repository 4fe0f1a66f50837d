/* The generator of random graphs: one seed, one graph; every op takes part, those too that it has no use of its own
 * for; graphs print and parse back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/str.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "ir/ref/grandom.h"

enum { SEEDS = 500 };
#define GRAPHS UINT64_C(0xd254d69661bc40c6) /* hash of the graphs of seeds 0 .. 63, as texts */

static const char *text_of(uint64_t seed, sn_gpairs *pairs, sn_arena *arena, sn_diags *diags, sn_grandom *g) {
  if (sn_grandom_make(pairs, seed, arena, diags, g)) fail_msg("seed %d: %s", (int)seed, sn_diags_print(diags, arena));
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, g->module, (sn_print_opt){0});
  return t.at;
}

static void one_seed_is_one_graph(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_gpairs *pairs = sn_gpairs_create(arena);
  sn_grandom g;
  for (uint64_t seed = 0; seed < 20; seed++) {
    const char *a = text_of(seed, pairs, arena, diags, &g);
    assert_string_equal(a, text_of(seed, pairs, arena, diags, &g));
    assert_string_not_equal(a, text_of(seed + 1, pairs, arena, diags, &g));
  }
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void graphs_parse_back(void **state) {
  (void)state;
  sn_arena *all = sn_arena_create();
  sn_gpairs *pairs = sn_gpairs_create(all);
  for (uint64_t seed = 0; seed < 60; seed++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_grandom g;
    sn_module *m;
    const char *text = text_of(seed, pairs, arena, diags, &g);
    if (sn_module_parse(arena, diags, "random.sn", text, strlen(text), &m))
      fail_msg("%s\n%s", sn_diags_print(diags, arena), text);
    sn_text t = sn_text_begin(arena);
    sn_module_print(&t, m, (sn_print_opt){0});
    assert_string_equal(text, t.at);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
  sn_arena_destroy(all);
}

static void every_op_takes_part(void **state) {
  (void)state;
  sn_arena *all = sn_arena_create();
  sn_gpairs *pairs = sn_gpairs_create(all);
  int uses[SN_OP_COUNT] = {0}, grads = 0, large = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_grandom g;
    (void)text_of(seed, pairs, arena, diags, &g);
    sn_gpairs_add(pairs, g.module);
    for (int i = 0; i < g.module->func_count; i++)
      for (int k = 0; k < g.module->func[i]->node_count; k++) uses[g.module->func[i]->node[k]->op]++;
    grads += g.grad;
    large += g.ops >= 8;
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
  for (int op = 1; op < SN_OP_COUNT; op++) {
    bool never = op == SN_OP_FUSED || op == SN_OP_ATTENTION_GRAD; /* made by passes */
    if (never ? uses[op] : !uses[op]) fail_msg("`%s`: %d uses", sn_op_get((sn_op)op)->name, uses[op]);
  }
  assert_true(large * 2 >= SEEDS);
  assert_true(grads * 2 >= SEEDS);
  assert_true(pairs->seen_count > 6 * SEEDS && pairs->seen_count <= pairs->possible_count);
  for (int a = 1; a < SN_OP_COUNT; a++)
    for (int c = 1; c < SN_OP_COUNT; c++)
      if (a != SN_OP_ARG && pairs->seen[a][c] && !pairs->possible[a][c])
        fail_msg("`%s` into `%s` was seen, but is not possible", sn_op_get((sn_op)a)->name, sn_op_get((sn_op)c)->name);
  sn_arena_destroy(all);
}

/* A seed in the middle of a block needs those before it; what else was made before does not matter. */
static void seeds_stand_alone(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_gpairs *one = sn_gpairs_create(arena), *other = sn_gpairs_create(arena);
  sn_grandom g;
  const char *text = text_of(150, one, arena, diags, &g);
  for (uint64_t seed = SN_GRANDOM_BLOCK - 2; seed < SN_GRANDOM_BLOCK + 2; seed++)
    (void)text_of(seed, other, arena, diags, &g);
  assert_string_equal(text, text_of(150, other, arena, diags, &g));
  assert_string_equal(text_of(SN_GRANDOM_BLOCK, one, arena, diags, &g),
                      text_of(SN_GRANDOM_BLOCK, other, arena, diags, &g));
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

/* The same under every compiler: no draw depends on the order in which arguments are evaluated. Another op, or another
 * use of one, makes other graphs: then the new hash is the right one, if two compilers agree on it. */
static void compilers_agree(void **state) {
  (void)state;
  sn_arena *all = sn_arena_create();
  sn_gpairs *pairs = sn_gpairs_create(all);
  uint64_t hash = 0;
  for (uint64_t seed = 0; seed < 64; seed++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *diags = sn_diags_create();
    sn_grandom g;
    const char *text = text_of(seed, pairs, arena, diags, &g);
    hash = sn_hash_bytes(text, strlen(text), hash);
    sn_diags_destroy(diags);
    sn_arena_destroy(arena);
  }
  if (hash != GRAPHS) fail_msg("graphs of 64 seeds: 0x%016llx", (unsigned long long)hash);
  sn_arena_destroy(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_seed_is_one_graph), cmocka_unit_test(graphs_parse_back),
      cmocka_unit_test(every_op_takes_part),   cmocka_unit_test(seeds_stand_alone),
      cmocka_unit_test(compilers_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
