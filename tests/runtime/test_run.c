/* sn_run: binding of extents, storage, steps, threads, failures. */
#include <math.h>

#include "tests/runtime/support.h"

/* main(x [B, T]) -> y: t = 2 x; y = 2 t */
static world two_steps(bool large) {
  world w = world_create(1);
  const sn_dimx *count = sn_dimx_mul(w.plan->types, w.b, w.t);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 2, w.b, w.t);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 2, w.b, w.t);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 2, w.b, w.t);
  live(&w, t, 0, 1);
  add_twice(&w, 0, x, t, count, large);
  add_twice(&w, 0, t, y, count, large);
  return w;
}

static void runs_for_any_extents_and_threads(void **state) {
  (void)state;
  for (int threads = 1; threads <= 5; threads++) {
    world w = two_steps(true);
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = threads});
    sn_store *s = store_of(&w, r, 1);
    for (int64_t b = 1; b <= 8; b += 3) {
      for (int64_t t = 1; t < 4096; t = t * 5 + 1) {
        float *x = malloc((size_t)(b * t) * 4 + 4), *y = malloc((size_t)(b * t) * 4 + 4);
        for (int64_t i = 0; i < b * t; i++) x[i] = (float)i;
        y[b * t] = -1;
        sn_buffer buffers[] = {{"y", y, 2, {b, t}}, {"x", x, 2, {b, t}}};
        assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
        for (int64_t i = 0; i < b * t; i++) assert_true(y[i] == 4 * (float)i && x[i] == (float)i);
        assert_true(y[b * t] == -1);
        assert_int_equal(sn_runtime_dims(r)[0], b);
        free(x);
        free(y);
      }
    }
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
}

static void outputs_may_be_left_out_and_aligned_data_is_used_in_place(void **state) {
  (void)state;
  world w = two_steps(false);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 2});
  sn_store *s = store_of(&w, r, 1);
  float *x = aligned_alloc(64, 64), *y = aligned_alloc(64, 64);
  x[0] = 3;
  sn_buffer buffers[] = {{"x", x, 2, {1, 1}}, {"y", y, 2, {1, 1}}};
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
  assert_true(y[0] == 12);
  assert_ptr_equal(sn_runtime_slots(r)[0], x);
  assert_ptr_equal(sn_runtime_slots(r)[1], y);
  buffers[1].data = x; /* output over the input: staged */
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
  assert_true(x[0] == 12);
  free(x);
  free(y);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void refuses_bad_buffers(void **state) {
  (void)state;
  world w = two_steps(false);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, r, 1);
  float data[64] = {0};
  struct {
    int count;
    sn_buffer buffers[2];
    sn_code code;
    const char *text;
  } rows[] = {
      {1, {{"z", data, 2, {1, 1}}}, SN_ERR_USAGE, "no input or output z"},
      {1, {{"t", data, 2, {1, 1}}}, SN_ERR_USAGE, "no input or output t"},
      {0, {{0}}, SN_ERR_USAGE, "input x is missing"},
      {1, {{"x", NULL, 2, {1, 1}}}, SN_ERR_USAGE, "input x is missing"},
      {1, {{"x", data, 1, {1}}}, SN_ERR_INPUT, "wrong rank"},
      {1, {{"x", data, 2, {9, 1}}}, SN_ERR_INPUT, "expected: B in 1..8"},
      {1, {{"x", data, 2, {0, 1}}}, SN_ERR_INPUT, "found:    0"},
      {1, {{"x", data, 2, {-1, 1}}}, SN_ERR_INPUT, "found:    -1"},
      {2, {{"x", data, 2, {2, 3}}, {"y", data, 2, {2, 4}}}, SN_ERR_INPUT, "T = 3"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sn_diags *d = sn_diags_create();
    assert_int_equal(sn_run(r, s, "main", rows[i].count, rows[i].buffers, d), rows[i].code);
    if (!strstr(sn_diags_print(d, d->arena), rows[i].text)) print_message("%s\n", sn_diags_print(d, d->arena));
    assert_non_null(strstr(sn_diags_print(d, d->arena), rows[i].text));
    assert_int_equal(sn_run(r, s, "main", rows[i].count, rows[i].buffers, NULL), rows[i].code);
    sn_diags_destroy(d);
  }
  assert_int_equal(sn_run(r, s, "none", 0, NULL, w.diags), SN_ERR_USAGE);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* u [T + 1] and v [2 T + 3 B] give T where no extent is a lone symbol. */
static void solves_for_symbols(void **state) {
  (void)state;
  world w = world_create(1);
  sn_types *t = w.plan->types;
  const sn_dimx *next = sn_dimx_add(t, w.t, number(&w, 1));
  const sn_dimx *mixed = sn_dimx_add(t, sn_dimx_mul(t, number(&w, 2), w.t), w.b);
  add_slot(&w, "u", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, next, NULL);
  add_slot(&w, "v", SN_SLOT_INPUT, 0, SN_ELEM_F32, 2, mixed, w.b);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_I64, 1, w.t, NULL);
  add_mark(&w, 0, y, 1, w.t, NULL, false);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 2});
  sn_store *s = store_of(&w, r, 1);
  float u[64] = {0}, v[64] = {0};
  int64_t out[10];
  sn_buffer buffers[] = {{"u", u, 1, {11}}, {"v", v, 2, {22, 2}}, {"y", out, 1, {10}}};
  assert_int_equal(sn_run(r, s, "main", 3, buffers, w.diags), SN_OK);
  for (int64_t i = 0; i < 10; i++) assert_int_equal(out[i], i * 10 + 10);
  buffers[1].extent[0] = 23;
  assert_int_equal(sn_run(r, s, "main", 3, buffers, w.diags), SN_ERR_INPUT);
  assert_message(&w, "2*T = 22");
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void grid_is_linear_and_every_thread_has_its_workspace(void **state) {
  (void)state;
  world w = world_create(1);
  const sn_dimx *count = sn_dimx_mul(w.plan->types, w.b, w.t);
  add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_U8, 2, w.b, w.t);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_I64, 1, count, NULL);
  add_mark(&w, 0, y, 1, w.b, w.t, true);
  for (int threads = 1; threads <= 7; threads += 3) {
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = threads});
    sn_store *s = store_of(&w, r, 1);
    int64_t out[70];
    uint8_t x[70] = {0};
    sn_buffer buffers[] = {{"x", x, 2, {7, 10}}, {"y", out, 1, {70}}};
    assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
    for (int64_t i = 0; i < 70; i++) assert_int_equal(out[i], i * 10 + 10);
    sn_store_destroy(s);
    sn_runtime_destroy(r);
  }
  world_destroy(&w);
}

static void denormals_are_flushed_while_kernels_run_only(void **state) {
  (void)state;
  for (int large = 0; large < 2; large++) {
    world w = two_steps(large);
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 2});
    sn_store *s = store_of(&w, r, 1);
    float x[2] = {1e-40f, -1e-40f}, y[2] = {1, 1};
    sn_buffer buffers[] = {{"x", x, 2, {1, 2}}, {"y", y, 2, {1, 2}}};
    assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
    assert_true(y[0] == 0 && y[1] == 0);
    volatile float tiny = 1e-40f;
    assert_true(tiny + tiny > 0);
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
}

/* check ok; param = 2 param; swap a, b; out = a */
static world states(void) {
  world w = world_create(1);
  const sn_dimx *n = number(&w, 4);
  int ok = add_slot(&w, "ok", SN_SLOT_INPUT, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  int p = add_slot(&w, "p", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, n, NULL);
  int a = add_slot(&w, "a", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, n, NULL);
  int b = add_slot(&w, "b", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, n, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, n, NULL);
  sn_slot *slot = w.plan->slot;
  slot[p].init = slot[a].init = SN_INITIAL_FILL, slot[p].init_a = 1, slot[a].init_a = 8;
  slot[a].buddy = b, slot[b].buddy = a;
  add_move(&w, 0, SN_STEP_CHECK, ok, -1);
  add_twice(&w, 0, p, p, n, true);
  add_twice(&w, 0, a, b, n, true);
  add_move(&w, 0, SN_STEP_SWAP, a, b);
  add_move(&w, 0, SN_STEP_COPY, a, y);
  return w;
}

static void states_are_updated_unless_a_check_fails(void **state) {
  (void)state;
  for (int threads = 1; threads <= 3; threads++) {
    world w = states();
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = threads});
    sn_store *s = store_of(&w, r, 1);
    float y[4];
    uint8_t ok = 1;
    sn_buffer buffers[] = {{"ok", &ok, 0, {0}}, {"y", y, 1, {4}}};
    for (int i = 0; i < 3; i++) {
      assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
      assert_true(y[3] == (float)(16 << i));
    }
    ok = 0;
    assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_ERR_NUMERIC);
    assert_message(&w, "not finite");
    int64_t bytes;
    const float *p = sn_store_data(s, 1, &bytes), *a = sn_store_data(s, 2, NULL);
    assert_int_equal(bytes, 16);
    assert_true(p[0] == 8 && a[0] == 64);
    sn_store_reset(s, "a|b");
    assert_true(((const float *)sn_store_data(s, 2, NULL))[0] == 8 && p[0] == 8);
    assert_null(sn_store_data(s, 0, NULL));
    assert_null(sn_store_data(s, -1, NULL));
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
}

static void prepare_runs_before_the_first_run_after_a_touch(void **state) {
  (void)state;
  world w = world_create(1);
  const sn_dimx *n = number(&w, 4);
  int p = add_slot(&w, "p", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, n, NULL);
  int q = add_slot(&w, "q", SN_SLOT_PACKED, -1, SN_ELEM_F32, 1, n, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, n, NULL);
  w.plan->slot[p].init = SN_INITIAL_FILL, w.plan->slot[p].init_a = 3, w.plan->slot[p].frozen = true;
  add_twice(&w, -1, p, q, n, true);
  add_move(&w, 0, SN_STEP_COPY, q, y);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 2});
  sn_store *s = store_of(&w, r, 1);
  float out[4];
  sn_buffer buffers[] = {{"y", out, 1, {4}}};
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  assert_true(out[0] == 6);
  ((float *)sn_store_data(s, p, NULL))[0] = 5;
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  assert_true(out[0] == 6);
  sn_store_touch(s);
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  assert_true(out[0] == 10);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void optional_inputs_take_their_default(void **state) {
  (void)state;
  world w = world_create(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_BF16, 0, NULL, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_BF16, 0, NULL, NULL);
  w.plan->slot[x].optional = true, w.plan->slot[x].init = SN_INITIAL_FILL, w.plan->slot[x].init_a = 1.5;
  add_move(&w, 0, SN_STEP_COPY, x, y);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, r, 1);
  uint16_t in = 7, out = 0;
  sn_buffer buffers[] = {{"y", &out, 0, {0}}, {"x", &in, 0, {0}}};
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  assert_int_equal(out, 0x3fc0);
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
  assert_int_equal(out, 7);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* ---- host steps, profiling, refusals ------------------------------------------------------------ */

typedef struct calls {
  int count, steps;
  sn_code give;
  sn_runtime *r;
  sn_store *s;
} calls;

static sn_code host(void *user, const sn_plan *p, int graph, const int64_t *dims, void *const *data, sn_diags *diags) {
  calls *c = user;
  c->count++;
  assert_int_equal(graph, 0);
  assert_string_equal(p->model, "test");
  volatile float tiny = 1e-40f;
  assert_true(tiny + tiny > 0); /* hosts keep their floating-point mode */
  for (int64_t i = 0; i < dims[1]; i++) ((float *)data[1])[i] = ((const float *)data[0])[i] + 1;
  assert_int_equal(sn_run(c->r, c->s, "main", 0, NULL, NULL), SN_ERR_USAGE);
  return c->give ? sn_fail(diags, c->give, (sn_loc){0}, "the host says no") : SN_OK;
}

static void on_step(void *user, int graph, int step, double ns) {
  calls *c = user;
  assert_int_equal(graph, 0);
  assert_int_equal(step, c->steps % 2);
  assert_true(ns >= 0);
  c->steps++;
}

static void host_steps_and_profiling(void **state) {
  (void)state;
  world w = world_create(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  new_step(&w, 0, SN_STEP_HOST);
  add_twice(&w, 0, y, y, w.t, true);
  (void)x;
  calls c = {0};
  c.r = runtime_of(&w, (sn_runtime_opt){.threads = 2, .host = host, .on_step = on_step, .user = &c, .step_user = &c});
  c.s = store_of(&w, c.r, 1);
  float in[3] = {1, 2, 3}, out[3];
  sn_buffer buffers[] = {{"x", in, 1, {3}}, {"y", out, 1, {3}}};
  assert_int_equal(sn_run(c.r, c.s, "main", 2, buffers, w.diags), SN_OK);
  assert_true(out[2] == 8 && c.count == 1 && c.steps == 2);
  c.give = SN_ERR_FAIL;
  assert_int_equal(sn_run(c.r, c.s, "main", 2, buffers, w.diags), SN_ERR_FAIL);
  assert_message(&w, "the host says no");
  sn_store_destroy(c.s);
  sn_runtime_destroy(c.r);
  sn_runtime *bare = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, bare, 1);
  assert_int_equal(sn_run(bare, s, "main", 2, buffers, w.diags), SN_ERR_DEVICE);
  sn_store_destroy(s);
  sn_runtime_destroy(bare);
  world_destroy(&w);
}

static sn_code kernel_text(void *user, const sn_code_blob *b, const void *args, int64_t lo, int64_t hi,
                           sn_diags *diags) {
  (void)diags;
  assert_string_equal(b->name, "text");
  float *const *p = args;
  for (int64_t i = lo; i < hi; i++) p[1][i] = 10 * p[0][i];
  ++*(int *)user;
  return SN_OK;
}

static void kernel_text_is_run_by_the_owner(void **state) {
  (void)state;
  world w = two_steps(true);
  w.plan->code[TWICE].kind = SN_CODE_KERNEL_TEXT;
  w.plan->code[TWICE].name = "text";
  int count = 0;
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 3, .kernel_text = kernel_text, .user = &count});
  sn_store *s = store_of(&w, r, 1);
  float x[4] = {1, 2, 3, 4}, y[4];
  sn_buffer buffers[] = {{"x", x, 2, {2, 2}}, {"y", y, 2, {2, 2}}};
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_OK);
  assert_true(y[3] == 400 && count == 2);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  r = runtime_of(&w, (sn_runtime_opt){0});
  s = store_of(&w, r, 1);
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_ERR_DEVICE);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void refuses_code_that_the_host_cannot_run(void **state) {
  (void)state;
  world w = two_steps(false);
  sn_runtime *r = NULL;
  w.plan->code[MARK].features = "baseline avx9000";
  assert_int_equal(sn_runtime_create(w.plan, NULL, w.diags, &r), SN_ERR_DEVICE);
  assert_message(&w, "lacks avx9000");
  w.plan->code[MARK].features = "baseline";
  w.plan->code[MARK].entry = sizeof kernel_bytes;
  assert_int_equal(sn_runtime_create(w.plan, NULL, w.diags, &r), SN_ERR_INPUT);
  assert_message(&w, "entry outside");
  assert_null(r);
  world_destroy(&w);
}

static void memory_limit_is_checked_before_the_run(void **state) {
  (void)state;
  world w = two_steps(false);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.memory_limit = 1000});
  sn_store *s = store_of(&w, r, 1);
  static float x[4096];
  sn_buffer buffers[] = {{"x", x, 2, {1, 4096}}};
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_ERR_LIMIT);
  assert_message(&w, "at most 1000 bytes");
  assert_message(&w, "even B = 1 needs 49152 bytes");
  buffers[0].extent[0] = 8, buffers[0].extent[1] = 64;
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_ERR_LIMIT);
  assert_message(&w, "B = 1 fits, of 8");
  buffers[0].extent[0] = 1;
  buffers[0].extent[1] = 8;
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_for_any_extents_and_threads),
      cmocka_unit_test(outputs_may_be_left_out_and_aligned_data_is_used_in_place),
      cmocka_unit_test(refuses_bad_buffers),
      cmocka_unit_test(solves_for_symbols),
      cmocka_unit_test(grid_is_linear_and_every_thread_has_its_workspace),
      cmocka_unit_test(denormals_are_flushed_while_kernels_run_only),
      cmocka_unit_test(states_are_updated_unless_a_check_fails),
      cmocka_unit_test(prepare_runs_before_the_first_run_after_a_touch),
      cmocka_unit_test(optional_inputs_take_their_default),
      cmocka_unit_test(host_steps_and_profiling),
      cmocka_unit_test(kernel_text_is_run_by_the_owner),
      cmocka_unit_test(refuses_code_that_the_host_cannot_run),
      cmocka_unit_test(memory_limit_is_checked_before_the_run),
  };
#if defined(__x86_64__)
  return cmocka_run_group_tests(tests, NULL, NULL);
#else
  (void)tests;
  return 77; /* the kernels above are x86-64 code */
#endif
}
