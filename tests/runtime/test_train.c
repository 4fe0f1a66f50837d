/* The training loop on a small host graph: resuming is bit-exact, stops are clean, failures leave the weights of the
 * step before. */
#include <math.h>

#include "runtime/io/checkpoint.h"
#include "runtime/loop/train.h"
#include "tests/runtime/support.h"

enum { WINDOW = 8, BATCH = 4 };

/* A quadratic with momentum: w moves towards the tokens seen. Deterministic, sensitive to every row. */
typedef struct bench {
  world w;
  sn_runtime *r;
  sn_store *s;
  sn_dataset *data;
  sn_train_opt opt;
  char root[64], folder[96];
  volatile sig_atomic_t stop;
  int events, evaluations, saves, warnings, nonfinite;
  int64_t stop_at, nan_at, fail_saves_until;
  double losses[64], means[64];
  int batches;
  int64_t last_rows;
} bench;

static sn_code train_host(bench *b, const int64_t *dims, void *const *data, sn_diags *diags) {
  const int32_t *tokens = data[0], *targets = data[1];
  float lr = *(const float *)data[2], *w = data[8], *m = data[9], loss = 0;
  int64_t *steps = data[10];
  if (*steps == b->nan_at) return sn_fail(diags, SN_ERR_NUMERIC, (sn_loc){0}, "a value is not finite");
  assert_int_equal(*(const int64_t *)data[3], 77); /* the seed */
  for (int64_t i = 0; i < dims[0] * dims[1]; i++) {
    float d = w[i % 4] - (float)tokens[i] / 64 - (float)(targets[i] % 3);
    loss += d * d;
    m[i % 4] = 0.9f * m[i % 4] + d;
  }
  for (int k = 0; k < 4; k++) w[k] -= lr * m[k];
  *(float *)data[4] = loss / (float)(dims[0] * dims[1]);
  ++*steps;
  return SN_OK;
}

static sn_code host(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *data, sn_diags *diags) {
  bench *b = user;
  (void)p;
  if (graph == 0) return train_host(b, dims, data, diags);
  float sum = 0;
  const int32_t *tokens = data[5];
  for (int64_t i = 0; i < dims[0] * dims[1]; i++) sum += (float)tokens[i];
  *(float *)data[7] = sum / (float)(dims[0] * dims[1]);
  b->batches++, b->last_rows = dims[0];
  return SN_OK;
}

static void on_event(void *user, const sn_train_event *e) {
  bench *b = user;
  assert_int_equal(e->steps, b->opt.steps);
  if (e->step > b->opt.first && e->step < 64) b->losses[e->step] = e->loss;
  b->events++;
  b->evaluations += e->evaluation;
  if (e->evaluation && e->step < 64) b->means[e->step] = e->train_loss;
  assert_int_equal(e->evaluation, isfinite(e->val_loss));
  if (e->step == b->stop_at) b->stop = 1;
}

static sn_code save(void *user, int64_t step, sn_diags *diags) {
  bench *b = user;
  b->saves++;
  if (step < b->fail_saves_until)
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "cannot write: No space left on device");
  sn_checkpoint_info info = {.step = step, .seed = 77, .model = "m", .settings = "", .batch = BATCH, .window = WINDOW};
  return sn_checkpoint_save(b->folder, b->s, b->w.plan, &info, diags);
}

static void on_warning(void *user, const char *message) {
  ++((bench *)user)->warnings;
  assert_non_null(strstr(message, "No space left"));
}

static void on_nonfinite(void *user, int64_t step, int count, const sn_buffer *buffers, sn_diags *diags) {
  bench *b = user;
  b->nonfinite++;
  assert_true(step == b->nan_at && count == 5);
  assert_non_null(buffers[0].data);
  assert_non_null(sn_runtime_slots(b->r)[8]);
  sn_fail_note(diags, "first at the softmax");
}

static void make_plan(world *w) {
  w->plan->graph[0].name = "train", w->plan->graph[1].name = "eval";
  add_slot(w, "tokens", SN_SLOT_INPUT, 0, SN_ELEM_I32, 2, w->b, w->t);
  add_slot(w, "targets", SN_SLOT_INPUT, 0, SN_ELEM_I32, 2, w->b, w->t);
  add_slot(w, "lr", SN_SLOT_INPUT, 0, SN_ELEM_F32, 0, NULL, NULL);
  add_slot(w, "seed", SN_SLOT_INPUT, 0, SN_ELEM_I64, 0, NULL, NULL);
  add_slot(w, "loss", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 0, NULL, NULL);
  add_slot(w, "tokens", SN_SLOT_INPUT, 1, SN_ELEM_I32, 2, w->b, w->t);
  add_slot(w, "targets", SN_SLOT_INPUT, 1, SN_ELEM_I32, 2, w->b, w->t);
  add_slot(w, "loss", SN_SLOT_OUTPUT, 1, SN_ELEM_F32, 0, NULL, NULL);
  int p = add_slot(w, "w", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(w, 4), NULL);
  add_slot(w, "m", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, number(w, 4), NULL);
  add_slot(w, "steps", SN_SLOT_STATE, -1, SN_ELEM_I64, 0, NULL, NULL);
  w->plan->slot[p].init = SN_INITIAL_NORMAL, w->plan->slot[p].init_a = 1;
  new_step(w, 0, SN_STEP_HOST);
  new_step(w, 1, SN_STEP_HOST);
}

static void make_data(bench *b) {
  char *text = sn_arena_alloc(b->w.arena, 500);
  for (int i = 0; i < 500; i++) text[i] = (char)(i * 13 % 64);
  sn_dataset_part part = {"x", text, 500};
  sn_tokenizer *t = sn_tokenizer_byte(b->w.arena);
  assert_int_equal(sn_dataset_create(b->w.diags, t, 1, &part, 0.2, WINDOW, 256, &b->data), SN_OK);
}

static void start(bench *b, uint64_t seed) {
  static const sn_scalar_value lr = {"lr", 0.001};
  *b = (bench){.w = world_create(2), .stop_at = -1, .nan_at = -1};
  make_plan(&b->w);
  make_data(b);
  b->r = runtime_of(&b->w, (sn_runtime_opt){.threads = 1, .host = host, .user = b});
  b->s = store_of(&b->w, b->r, seed);
  temp_folder(b->root);
  snprintf(b->folder, sizeof b->folder, "%s/checkpoints", b->root);
  b->opt = (sn_train_opt){.runtime = b->r,
                          .plan = b->w.plan,
                          .store = b->s,
                          .data = b->data,
                          .batch = BATCH,
                          .window = WINDOW,
                          .steps = 20,
                          .eval_every = 5,
                          .eval_batches = -1,
                          .seed = 77,
                          .scalar_count = 1,
                          .scalar = &lr,
                          .stop = &b->stop,
                          .on_event = on_event,
                          .save = save,
                          .on_warning = on_warning,
                          .on_nonfinite = on_nonfinite,
                          .user = b};
}

static void finish(bench *b) {
  remove_folder(b->root);
  sn_store_destroy(b->s);
  sn_runtime_destroy(b->r);
  sn_dataset_destroy(b->data);
  world_destroy(&b->w);
}

static void run_all(float out[8], double losses[64], double means[64]) {
  bench b;
  sn_train_event e;
  start(&b, 1);
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_OK);
  assert_true(b.events == 20 && b.evaluations == 4 && b.saves == 1 && e.last && e.step == 20);
  assert_true(b.losses[20] < b.losses[1]);
  memcpy(out, sn_store_data(b.s, 8, NULL), 16);
  memcpy(out + 4, sn_store_data(b.s, 9, NULL), 16);
  memcpy(losses, b.losses, sizeof b.losses);
  memcpy(means, b.means, sizeof b.means);
  finish(&b);
}

static int64_t resume(bench *b) {
  int64_t step = -2;
  sn_checkpoint_info info = {.seed = 77, .model = "m", .settings = "", .batch = BATCH, .window = WINDOW};
  assert_int_equal(sn_checkpoint_resume(b->folder, b->s, b->w.plan, &info, NULL, NULL, b->w.diags, &step), SN_OK);
  return step;
}

static void a_stopped_run_goes_on_bit_for_bit(void **state) {
  (void)state;
  float whole[8];
  double losses[64], means[64];
  run_all(whole, losses, means);
  for (int64_t stop = 1; stop < 19; stop += 6) {
    bench b;
    sn_train_event e;
    start(&b, 1);
    b.stop_at = stop;
    assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_INTERRUPTED);
    assert_int_equal(e.step, stop);
    sn_store_destroy(b.s);
    b.s = store_of(&b.w, b.r, 999); /* nothing of the old process but its checkpoint */
    b.opt.store = b.s;
    b.stop = 0, b.stop_at = -1;
    b.opt.first = resume(&b);
    assert_int_equal(b.opt.first, stop);
    assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_OK);
    assert_memory_equal(sn_store_data(b.s, 8, NULL), whole, 16);
    assert_memory_equal(sn_store_data(b.s, 9, NULL), whole + 4, 16);
    assert_memory_equal(b.losses + 1, losses + 1, 20 * sizeof *losses);
    assert_memory_equal(b.means, means, sizeof means);
    finish(&b);
  }
}

static void a_failed_save_is_tried_again(void **state) {
  (void)state;
  bench b;
  sn_train_event e;
  start(&b, 1);
  b.opt.checkpoint_every = 4, b.fail_saves_until = 10;
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_OK);
  assert_int_equal(b.warnings, 3); /* 4, at the evaluation 5, 8; at 10 it worked */
  assert_int_equal(b.saves, 7);    /* 4 5 8 10 12 16 20 */
  assert_int_equal(b.w.diags->count, 0);
  assert_int_equal(resume(&b), 20);
  finish(&b);
  start(&b, 1);
  b.fail_saves_until = 100; /* at the end it is the result */
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_LIMIT);
  finish(&b);
}

static void nan_stops_before_the_weights(void **state) {
  (void)state;
  bench b;
  sn_train_event e;
  start(&b, 1);
  b.nan_at = 7;
  b.opt.checkpoint_every = 3;
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_NUMERIC);
  assert_int_equal(b.nonfinite, 1);
  assert_message(&b.w, "first at the softmax");
  assert_int_equal(*(int64_t *)sn_store_data(b.s, 10, NULL), 7);
  assert_int_equal(resume(&b), 7); /* saved, though none was due */
  finish(&b);
}

static void evaluation_covers_the_split(void **state) {
  (void)state;
  bench b;
  double loss, all;
  start(&b, 1);
  int64_t rows = sn_dataset_val_rows(b.data);
  assert_int_equal(rows, 12); /* 100 tokens: 99 / 8 */
  b.opt.batch = 5;
  assert_int_equal(sn_evaluate(&b.opt, b.w.diags, &all), SN_OK);
  assert_true(b.batches == 3 && b.last_rows == 2);
  double sum = 0;
  for (int64_t i = 400; i < 400 + rows * WINDOW; i++) sum += (double)(i * 13 % 64);
  assert_true(fabs(all - sum / (double)(rows * WINDOW)) < 1e-4); /* f32 sums of 40 integers below 64, three of them */
  b.opt.eval_batches = 1;
  b.batches = 0;
  assert_int_equal(sn_evaluate(&b.opt, b.w.diags, &loss), SN_OK);
  assert_int_equal(b.batches, 1);
  b.opt.eval_batches = 0;
  assert_int_equal(sn_evaluate(&b.opt, b.w.diags, &loss), SN_OK);
  assert_true(isnan(loss));
  finish(&b);
}

static void unknown_scalars_are_a_usage_error(void **state) {
  (void)state;
  bench b;
  sn_train_event e;
  start(&b, 1);
  static const sn_scalar_value none = {"momentum", 1}, tensor = {"tokens", 1};
  b.opt.scalar = &none;
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_USAGE);
  assert_message(&b.w, "momentum");
  b.opt.scalar = &tensor;
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_USAGE);
  b.w.plan->graph[0].name = "other";
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_ERR_USAGE);
  finish(&b);
}

static void a_finished_run_is_only_evaluated(void **state) {
  (void)state;
  bench b;
  sn_train_event e;
  start(&b, 1);
  b.opt.first = 20;
  assert_int_equal(sn_train(&b.opt, b.w.diags, &e), SN_OK);
  assert_true(b.events == 0 && b.saves == 1 && isfinite(e.val_loss) && e.last);
  finish(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_stopped_run_goes_on_bit_for_bit), cmocka_unit_test(a_failed_save_is_tried_again),
      cmocka_unit_test(nan_stops_before_the_weights),      cmocka_unit_test(evaluation_covers_the_split),
      cmocka_unit_test(unknown_scalars_are_a_usage_error), cmocka_unit_test(a_finished_run_is_only_evaluated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
