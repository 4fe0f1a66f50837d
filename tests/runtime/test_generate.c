/* Sampling and generation: distributions, limits, contexts, on host graphs that show what they were asked. */
#include <math.h>

#include "runtime/loop/generate.h"
#include "runtime/loop/voice.h"
#include "tests/runtime/support.h"

/* ---- sampling ----------------------------------------------------------------------------------- */

enum { VOCAB = 5, DRAWS = 20000 };

static void draw(const float *logits, sn_sampling s, double share[VOCAB]) {
  sn_rng rng = {.seed = 9};
  int count[VOCAB] = {0};
  for (int i = 0; i < DRAWS; i++) {
    int32_t id = -1;
    assert_int_equal(sn_sample(logits, VOCAB, &s, &rng, &id), SN_OK);
    assert_true(id >= 0 && id < VOCAB);
    count[id]++;
  }
  for (int i = 0; i < VOCAB; i++) share[i] = (double)count[i] / DRAWS;
}

/* Probabilities 0.1 0.4 0.2 0.25 0.05 */
static const float logits[VOCAB] = {-2.302585f, -0.916291f, -1.609438f, -1.386294f, -2.995732f};

static void assert_shares(const double *share, const double *expected) {
  for (int i = 0; i < VOCAB; i++) {
    double sigma = sqrt(expected[i] * (1 - expected[i]) / DRAWS);
    assert_true(fabs(share[i] - expected[i]) <= 5 * sigma + 1e-9); /* five standard errors */
  }
}

static void shares_follow_the_probabilities(void **state) {
  (void)state;
  double share[VOCAB], expected[VOCAB], sum = 0;
  draw(logits, (sn_sampling){.temperature = 1, .top_p = 1}, share);
  assert_shares(share, (double[]){0.1, 0.4, 0.2, 0.25, 0.05});
  draw(logits, (sn_sampling){.temperature = 0.5, .top_p = 1}, share);
  for (int i = 0; i < VOCAB; i++) sum += expected[i] = exp(2 * (double)logits[i]);
  for (int i = 0; i < VOCAB; i++) expected[i] /= sum;
  assert_shares(share, expected);
  draw(logits, (sn_sampling){.temperature = 1, .top_k = 2, .top_p = 1}, share);
  assert_shares(share, (double[]){0, 0.4 / 0.65, 0, 0.25 / 0.65, 0});
  draw(logits, (sn_sampling){.temperature = 1, .top_p = 0.7}, share); /* 0.4 + 0.25 is not enough */
  assert_shares(share, (double[]){0, 0.4 / 0.85, 0.2 / 0.85, 0.25 / 0.85, 0});
  draw(logits, (sn_sampling){.temperature = 1, .top_k = 1, .top_p = 1}, share);
  assert_true(share[1] == 1);
  draw(logits, (sn_sampling){.temperature = 1, .top_p = 0}, share);
  assert_true(share[1] == 1);
}

static void greedy_takes_the_first_of_the_likeliest(void **state) {
  (void)state;
  sn_sampling greedy = {.temperature = 0, .top_p = 1};
  sn_rng rng = {.seed = 1};
  int32_t id = -1;
  assert_int_equal(sn_sample((const float[]){1, 3, 3, NAN, -INFINITY}, 5, &greedy, &rng, &id), SN_OK);
  assert_int_equal(id, 1);
  assert_true(rng.count == 0);
  assert_int_equal(sn_sample((const float[]){NAN, -INFINITY}, 2, &greedy, &rng, &id), SN_ERR_NUMERIC);
  double share[VOCAB];
  draw((const float[]){NAN, 0, -INFINITY, 0, NAN}, (sn_sampling){.temperature = 1, .top_p = 1}, share);
  assert_shares(share, (double[]){0, 0.5, 0, 0.5, 0});
  draw((const float[]){3e38f, 0, -3e38f, 0, 0}, (sn_sampling){.temperature = 1e-3, .top_p = 1}, share);
  assert_true(share[0] == 1);
}

/* ---- the loop: the next id is the sum of what is visible, modulo the vocabulary ----------------- */

enum { CONTEXT = 4, IDS = 7 };

typedef struct bench {
  world w;
  sn_runtime *r;
  sn_store *s;
  sn_voice voice;
  sn_speaker speaker;
  int prefills, decodes;
  int32_t out[32];
  int count, stop_after;
} bench;

/* The cache keeps ids by position modulo the context. */
static sn_code host(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *data, sn_diags *diags) {
  bench *b = user;
  (void)p, (void)diags;
  const int32_t *tokens = data[graph * 3], *start = data[graph * 3 + 1];
  float *out = data[graph * 3 + 2];
  int32_t *cache = data[6];
  int64_t rows = graph ? 1 : dims[2]; /* S, after B and T */
  graph ? b->decodes++ : b->prefills++;
  for (int64_t t = 0; t < rows; t++) {
    int64_t at = *start + t, sum = 0;
    cache[at % CONTEXT] = tokens[t];
    for (int64_t k = at >= CONTEXT ? at - CONTEXT + 1 : 0; k <= at; k++) sum += cache[k % CONTEXT];
    for (int i = 0; i < IDS; i++) out[t * IDS + i] = i == sum % IDS ? 9 : 0;
  }
  return SN_OK;
}

static bool on_id(void *user, int32_t id) {
  bench *b = user;
  b->out[b->count++] = id;
  return b->count != b->stop_after;
}

static void start(bench *b) {
  *b = (bench){.w = world_create(2)};
  world *w = &b->w;
  w->plan->graph[0].name = "prefill", w->plan->graph[1].name = "decode";
  const sn_dimx *t = sn_dimx_symbol(w->plan->types, "S", 1, CONTEXT, 1, NULL), *one = number(w, 1);
  for (int g = 0; g < 2; g++) {
    const sn_dimx *rows = g ? one : t, *dims[] = {w->b, rows, number(w, IDS)};
    add_slot(w, "tokens", SN_SLOT_INPUT, g, SN_ELEM_I32, 2, w->b, rows);
    add_slot(w, "start", SN_SLOT_INPUT, g, SN_ELEM_I32, 1, w->b, NULL);
    int out = add_slot(w, "logits", SN_SLOT_OUTPUT, g, SN_ELEM_F32, 0, NULL, NULL);
    w->plan->slot[out].type = sn_type_of(w->plan->types, SN_ELEM_F32, 3, dims);
    w->plan->slot[out].elements = sn_type_count(w->plan->types, w->plan->slot[out].type);
    new_step(w, g, SN_STEP_HOST);
  }
  add_slot(w, "cache", SN_SLOT_STATE, -1, SN_ELEM_I32, 1, number(w, CONTEXT), NULL);
  b->r = runtime_of(w, (sn_runtime_opt){.threads = 1, .host = host, .user = b});
  b->s = store_of(w, b->r, 1);
}

static void finish(bench *b) {
  sn_store_destroy(b->s);
  sn_runtime_destroy(b->r);
  world_destroy(&b->w);
}

static sn_generate_opt options(bench *b, int count, const int32_t *prompt) {
  b->voice = (sn_voice){.runtime = b->r, .store = b->s};
  b->speaker = sn_voice_speaker(&b->voice);
  return (sn_generate_opt){.speaker = &b->speaker,
                           .sampling = {.top_p = 1},
                           .count = 10,
                           .prompt_count = count,
                           .prompt = prompt,
                           .on_id = on_id,
                           .user = b};
}

/* What a model with a window of CONTEXT ids says. */
static void expected(const int32_t *prompt, int count, int n, int32_t *out) {
  int32_t all[64];
  memcpy(all, prompt, (size_t)count * sizeof *all);
  for (int i = 0; i < n; i++) {
    int32_t sum = 0;
    for (int k = count + i > CONTEXT ? count + i - CONTEXT : 0; k < count + i; k++) sum += all[k];
    out[i] = all[count + i] = sum % IDS;
  }
}

static void generation_keeps_the_last_context(void **state) {
  (void)state;
  static const int32_t prompt[] = {3, 1, 4, 1, 5, 2, 6};
  for (int count = 1; count <= 7; count++) {
    for (int ring = 0; ring < 2; ring++) {
      bench b;
      int32_t want[10];
      start(&b);
      sn_generate_opt o = options(&b, count, prompt);
      b.speaker.ring = ring;
      if (sn_generate(&o, b.w.diags)) fail_msg("%s", messages(&b.w));
      expected(prompt, count, 10, want);
      assert_int_equal(b.count, 10);
      assert_memory_equal(b.out, want, sizeof want);
      int kept = count < CONTEXT ? count : CONTEXT;
      assert_int_equal(b.prefills, ring ? 1 : 1 + 9 - (CONTEXT - kept));
      assert_int_equal(b.decodes, 10 - b.prefills);
      finish(&b);
    }
  }
}

static void generation_stops_when_told(void **state) {
  (void)state;
  bench b;
  start(&b);
  sn_generate_opt o = options(&b, 1, (const int32_t[]){2});
  b.stop_after = 3;
  assert_int_equal(sn_generate(&o, b.w.diags), SN_OK);
  assert_int_equal(b.count, 3);
  o.count = 0;
  assert_int_equal(sn_generate(&o, b.w.diags), SN_OK);
  assert_int_equal(b.count, 3);
  finish(&b);
}

static void bad_prompts_are_refused(void **state) {
  (void)state;
  bench b;
  start(&b);
  sn_generate_opt o = options(&b, 1, (const int32_t[]){IDS});
  assert_int_equal(sn_generate(&o, b.w.diags), SN_ERR_INPUT);
  assert_message(&b.w, "outside of the model's vocabulary");
  o.prompt = (const int32_t[]){-1};
  assert_int_equal(sn_generate(&o, b.w.diags), SN_ERR_INPUT);
  o.prompt_count = 0;
  assert_int_equal(sn_generate(&o, b.w.diags), SN_ERR_USAGE);
  b.w.plan->graph[1].name = "other";
  assert_int_equal(sn_generate_check(b.w.plan, b.w.diags), SN_ERR_INPUT);
  assert_message(&b.w, "prefill and decode");
  finish(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shares_follow_the_probabilities),   cmocka_unit_test(greedy_takes_the_first_of_the_likeliest),
      cmocka_unit_test(generation_keeps_the_last_context), cmocka_unit_test(generation_stops_when_told),
      cmocka_unit_test(bad_prompts_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
