/* Parameter counts against what was published, and against closed forms. */
#include "tests/oracles/harness.h"

#include <inttypes.h>

#include "tests/oracles/params.h"

static void counts_are_those_published(void **state) {
  (void)state;
  int rows = 0;
  for (const params_config *c = params_table; c->name; c++, rows++) {
    if (params_count(c) != c->published) {
      fail_msg("%s: expected %" PRId64 ", found %" PRId64, c->name, c->published, params_count(c));
    }
    assert_ptr_equal(params_find(c->name), c);
  }
  assert_int_equal(rows, 16);
  assert_null(params_find("gpt5"));
}

static void counts_are_closed_forms(void **state) {
  (void)state;
  int64_t d = 768, layer = 12 * d * d + 13 * d; /* GPT-2: 4 d^2 + 8 d^2, biases 4 d + 5 d, norms 4 d */
  assert_true(params_count(params_find("gpt2")) == (50257 + 1024) * d + 12 * layer + 2 * d);
  assert_true(params_count(params_find("bert-base")) == (30522 + 512 + 2 + 2) * d + 12 * layer + d * d + d);
  d = 512; /* T5: 4 + 8 d^2 and norms of one vector; a decoder layer has 4 d^2 and a norm more */
  assert_true(params_count(params_find("t5-small")) ==
              32128 * d + 12 * (12 * d * d + 2 * d) + 6 * (4 * d * d + d) + 2 * d + 2 * 32 * 8);
}

/* What a wrong model would have. */
static void mistakes_change_the_count(void **state) {
  (void)state;
  const params_config *right = params_find("mistral-7b");
  params_config wrong = *right;
  wrong.key_heads = wrong.heads;
  assert_true(params_count(&wrong) != right->published);
  wrong = *right, wrong.tied = true;
  assert_true(params_count(&wrong) != right->published);
  wrong = *right, wrong.final_norm = false;
  assert_true(params_count(&wrong) == right->published - 4096);
  right = params_find("bert-base"), wrong = *right, wrong.embedding_norm = false;
  assert_true(params_count(&wrong) == right->published - 2 * 768);
}

/* L * heads * d_h * m for queries, a fourth of it with 8 of 32 key heads, half of that for pairs of layers. */
static void caches_are_counted(void **state) {
  (void)state;
  assert_true(params_cache(params_find("llama-2-7b"), 10, 0) == 2 * 32 * 4096 * 10);
  assert_true(params_cache(params_find("mistral-7b"), 10, 0) == 2 * 32 * 1024 * 10);
  assert_true(params_cache(params_find("mistral-7b"), 10, 16) == 32 * 1024 * 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_are_those_published),
      cmocka_unit_test(counts_are_closed_forms),
      cmocka_unit_test(mistakes_change_the_count),
      cmocka_unit_test(caches_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
