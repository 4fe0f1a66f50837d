/* Whole training steps, forward, backward and optimiser: fused in several ways against the graph interpreter. */
#include "tests/passes/lowered.h"

static char *read_model(sn_arena *arena, const char *name) {
  FILE *f = fopen(sn_arena_printf(arena, SN_SOURCE_DIR "/tests/passes/golden/%s", name), "rb");
  assert_non_null(f);
  char *text = sn_arena_alloc(arena, 1 << 20);
  size_t n = fread(text, 1, (1 << 20) - 1, f);
  fclose(f);
  text[n] = 0;
  return strchr(text, '\n') + 1; /* after "sinter 1" */
}

static void check_model(const char *name, const int64_t *dims, int int_below) {
  static const char *const ways[] = {"none", "rows,attend", "all"};
  sn_arena *arena = sn_arena_create();
  lowered_case c = {.text = read_model(arena, name), .dims = dims, .int_below = int_below, .spread = true, .factor = 4};
  for (int i = 0; i < 3; i++) {
    c.fuse = ways[i];
    lowered_check_case(&c);
  }
  sn_arena_destroy(arena);
}

static void gpt(void **state) {
  (void)state;
  check_model("gpt_train.sn", (const int64_t[]){2, 7}, 20);
}

static void llama(void **state) {
  (void)state;
  check_model("llama_train.sn", (const int64_t[]){2, 5}, 20);
}

static void serving(void **state) {
  (void)state;
  check_model("gpt_serve.sn", (const int64_t[]){3, 6}, 20);
  check_model("llama_serve.sn", (const int64_t[]){3, 6}, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(gpt), cmocka_unit_test(llama), cmocka_unit_test(serving)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
