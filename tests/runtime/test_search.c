/* Beams and drafts, on a model that remembers what it read: each sequence's ids by position, and next ids by their sum.
 */
#include <math.h>

#include "runtime/loop/generate.h"
#include "runtime/loop/search.h"
#include "runtime/loop/speculate.h"
#include "tests/runtime/support.h"

enum { VOCAB = 4, CONTEXT = 16, ROWS = 64 };

typedef struct memory {
  double sharp;
  int32_t id[ROWS][CONTEXT];
  int reads, reorders;
} memory;

/* Logits of the id behind ids [n]. */
static void says(const memory *m, const int32_t *ids, int64_t n, float *out) {
  uint64_t hash = 7;
  for (int64_t i = 0; i < n; i++) hash = hash * 31 + (uint64_t)ids[i] + 1;
  sn_rng rng = {.seed = hash, .stream = (uint64_t)(m->sharp * 100)};
  for (int i = 0; i < VOCAB; i++) out[i] = (float)(m->sharp * sn_rng_normal(&rng));
}

static sn_code reads(void *user, int64_t rows, int64_t count, const int32_t *tokens, const int32_t *start,
                     float *logits, sn_diags *diags) {
  memory *m = user;
  (void)diags;
  m->reads++;
  for (int64_t b = 0; b < rows; b++) {
    for (int64_t t = 0; t < count; t++) {
      int64_t at = start[b] + t;
      assert_true(at < CONTEXT);
      m->id[b][at] = tokens[b * count + t];
      says(m, m->id[b], at + 1, logits + (b * count + t) * VOCAB);
    }
  }
  return SN_OK;
}

static sn_code reorders(void *user, int64_t rows, const int32_t *parent, sn_diags *diags) {
  memory *m = user, old = *m;
  (void)diags;
  m->reorders++;
  for (int64_t b = 0; b < rows; b++) memcpy(m->id[b], old.id[parent[b]], sizeof m->id[b]);
  return SN_OK;
}

static sn_speaker speaker(memory *m) { return (sn_speaker){m, VOCAB, CONTEXT, false, reads, reorders}; }

/* log p of every text behind the prompt, by recursion; the best of them. */
typedef struct best {
  double log_p, score;
  int64_t n;
  int32_t id[CONTEXT];
} best;

static void walk(const memory *m, const sn_search *o, int32_t *ids, int64_t n, double log_p, best *out) {
  float z[VOCAB];
  double sum = 0;
  if (n == o->count || (n && ids[o->prompt_count + n - 1] == o->end)) {
    double score = log_p / pow((double)n, o->power);
    if (score > out->score) {
      *out = (best){log_p, score, n, {0}};
      memcpy(out->id, ids + o->prompt_count, (size_t)n * sizeof *ids);
    }
    return;
  }
  says(m, ids, o->prompt_count + n, z);
  for (int i = 0; i < VOCAB; i++) sum += exp((double)z[i]);
  for (int i = 0; i < VOCAB; i++) {
    ids[o->prompt_count + n] = i;
    walk(m, o, ids, n + 1, log_p + (double)z[i] - log(sum), out);
  }
}

static void wide_beams_find_the_best_of_all_texts(void **state) {
  (void)state;
  static const int32_t prompt[] = {2, 0, 3};
  world w = world_create(1);
  for (int seed = 0; seed < 20; seed++) {
    memory m = {.sharp = 0.5 + 0.1 * seed};
    sn_speaker s = speaker(&m);
    sn_search o = {&s, ROWS, seed % 2 ? 0.7 : 0, seed % 3 ? 1 : -1, 4, 3, prompt};
    int32_t ids[CONTEXT] = {2, 0, 3}, out[4];
    int64_t n = 0;
    double log_p = 0;
    best want = {.score = -INFINITY};
    walk(&m, &o, ids, 0, 0, &want);
    assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_OK);
    assert_int_equal(n, want.n);
    assert_memory_equal(out, want.id, (size_t)n * sizeof *out);
    assert_true(fabs(log_p - want.log_p) < 1e-9);
    assert_true(m.reads <= 4 && m.reorders <= 3);
  }
  world_destroy(&w);
}

static void what_cannot_be_searched_is_refused(void **state) {
  (void)state;
  world w = world_create(1);
  memory m = {.sharp = 1};
  sn_speaker s = speaker(&m);
  int32_t prompt[CONTEXT] = {0}, out[CONTEXT];
  int64_t n;
  double log_p;
  sn_search o = {&s, 2, 0, -1, 4, CONTEXT - 2, prompt};
  assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_ERR_USAGE);
  assert_message(&w, "do not fit the model's context");
  o.prompt_count = CONTEXT - 3;
  assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_OK);
  o.beams = 0;
  assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_ERR_USAGE);
  o.beams = 2, o.prompt_count = 0;
  assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_ERR_USAGE);
  o.prompt_count = 1, s.reorder = NULL;
  assert_int_equal(sn_search_beams(&o, w.diags, out, &n, &log_p), SN_ERR_USAGE);
  world_destroy(&w);
}

typedef struct text {
  int count;
  int32_t id[CONTEXT];
} text;

static bool on_id(void *user, int32_t id) {
  text *t = user;
  t->id[t->count++] = id;
  return true;
}

/* Both models end up having read the text that was written, and nothing else; greedy texts are those without a draft.
 */
static void drafts_leave_caches_that_agree(void **state) {
  (void)state;
  world w = world_create(1);
  int kept = 0, drafted = 0;
  for (int seed = 0; seed < 200; seed++) {
    memory target = {.sharp = 2}, draft = {.sharp = seed % 2 ? 2 : 1.9}, plain = target;
    sn_speaker t = speaker(&target), d = speaker(&draft), p = speaker(&plain);
    text out = {0}, want = {0};
    int64_t counts[2];
    int32_t prompt = seed % VOCAB;
    double temperature = seed % 3 ? 1 : 0;
    sn_generate_opt o = {.speaker = &t,
                         .sampling = {temperature, 0, 1},
                         .seed = (uint64_t)seed,
                         .count = CONTEXT - 1,
                         .draft = &d,
                         .ahead = 1 + seed % 4,
                         .drafted = counts,
                         .prompt_count = 1,
                         .prompt = &prompt,
                         .on_id = on_id,
                         .user = &out};
    assert_int_equal(sn_generate(&o, w.diags), SN_OK);
    assert_int_equal(out.count, CONTEXT - 1);
    assert_memory_equal(target.id[0] + 1, out.id, (CONTEXT - 2) * sizeof *out.id);
    assert_true(counts[0] >= counts[1]);
    if (seed % 2) assert_true(counts[0] == counts[1]); /* the draft is the model */
    if (seed % 2 == 0) kept += (int)counts[1], drafted += (int)counts[0];
    if (temperature > 0) continue;
    o.speaker = &p, o.draft = NULL, o.drafted = NULL, o.user = &want;
    assert_int_equal(sn_generate(&o, w.diags), SN_OK);
    assert_memory_equal(out.id, want.id, sizeof out.id);
  }
  assert_true(kept > drafted / 10 && kept < drafted * 9 / 10);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wide_beams_find_the_best_of_all_texts),
      cmocka_unit_test(what_cannot_be_searched_is_refused),
      cmocka_unit_test(drafts_leave_caches_that_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
