/* Plans on a Vulkan device: launches, copies, stores, control, what is told of steps. Skipped where there is none. */
#include <math.h>

#include "tests/runtime/harness_vulkan.h"

typedef struct bound {
  sn_runtime *r;
  sn_store *s;
} bound;

static bound bind_opt(world *w, sn_runtime_opt opt) {
  bound b = {.r = runtime_of(w, opt)};
  b.s = store_of(w, b.r, 1);
  return b;
}

static bound bind(world *w) { return bind_opt(w, (sn_runtime_opt){0}); }

static void unbind(world *w, bound b) {
  sn_store_destroy(b.s);
  sn_runtime_destroy(b.r);
  world_destroy(w);
}

static void run_ok(world *w, bound b, const char *graph, int count, const sn_buffer *buffers) {
  if (sn_run(b.r, b.s, graph, count, buffers, w->diags)) fail_msg("%s", messages(w));
}

/* main(x, y [T]) -> z: t = x + y; u = t + x; z = u + u */
static world three_sums(void) {
  world w = vk_world(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int y = add_slot(&w, "y", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int z = add_slot(&w, "z", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, w.t, NULL);
  int u = add_slot(&w, "u", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, w.t, NULL);
  live(&w, t, 0, 1);
  live(&w, u, 1, 2);
  VK_LAUNCH(&w, 0, VK_ADD, w.t, x, y, t);
  VK_LAUNCH(&w, 0, VK_ADD, w.t, t, x, u);
  VK_LAUNCH(&w, 0, VK_ADD, w.t, u, u, z);
  return w;
}

static void runs_for_any_extents_again_and_again(void **state) {
  (void)state;
  world w = three_sums();
  bound b = bind(&w);
  float x[4096], y[4096], z[4097];
  for (int round = 0; round < 3; round++)
    for (int64_t n = 1; n <= 4096; n = n * 4 + (n == 1)) {
      if (n > 4096) n = 4096;
      for (int64_t i = 0; i < n; i++) x[i] = (float)(i + round), y[i] = (float)(100 * i);
      z[n] = -1;
      sn_buffer buffers[] = {{"x", x, 1, {n}}, {"y", y, 1, {n}}, {"z", z, 1, {n}}};
      run_ok(&w, b, "main", 3, buffers);
      for (int64_t i = 0; i < n; i++) assert_true(z[i] == 2 * (2 * x[i] + y[i]));
      assert_true(z[n] == -1);
    }
  sn_buffer without[] = {{"x", x, 1, {7}}, {"y", y, 1, {7}}};
  run_ok(&w, b, "main", 2, without);
  assert_int_equal(sn_run(b.r, b.s, "main", 1, without, w.diags), SN_ERR_USAGE);
  assert_message(&w, "input y is missing");
  unbind(&w, b);
}

static void sizes_and_more_instances_than_one_direction_has(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *many = sn_dimx_symbol(w.plan->types, "N", 0, 1 << 20, 1, NULL);
  add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_U8, 1, many, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, many, NULL);
  VK_LAUNCH(&w, 0, VK_MARK, many, y, 2);
  bound b = bind(&w);
  static uint8_t x[65538];
  static float out[65538];
  static const int64_t counts[] = {65538, 1, 0, 65535};
  for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
    int64_t n = counts[k];
    memset(out, 0, sizeof out);
    sn_buffer buffers[] = {{"x", x, 1, {n}}, {"y", out, 1, {n}}};
    run_ok(&w, b, "main", 2, buffers);
    for (int64_t i = 0; i < n; i++)
      if (out[i] != (float)i * (float)n + (float)n) fail_msg("%lld of %lld: %g", (long long)i, (long long)n, out[i]);
  }
  unbind(&w, b);
}

static void more_arguments_than_push_constants(void **state) {
  (void)state;
  world w = vk_world(1);
  static char names[19][4];
  int args[20];
  float data[19][64], y[64];
  sn_buffer buffers[20];
  for (int k = 0; k < 19; k++) {
    snprintf(names[k], sizeof names[k], "x%d", k);
    args[k] = add_slot(&w, names[k], SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
    for (int i = 0; i < 64; i++) data[k][i] = (float)(k * i);
    buffers[k] = (sn_buffer){names[k], data[k], 1, {64}};
  }
  args[19] = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  buffers[19] = (sn_buffer){"y", y, 1, {64}};
  vk_launch(&w, 0, VK_MANY, 20, args, w.t);
  bound b = bind(&w);
  for (int round = 0; round < 2; round++) {
    run_ok(&w, b, "main", 20, buffers);
    for (int i = 0; i < 64; i++) {
      float sum = 0;
      for (int k = 0; k < 19; k++) sum += (float)(k + 1) * data[k][i];
      assert_true(y[i] == sum);
    }
  }
  unbind(&w, b);
}

static void workgroups_have_their_own_workspace(void **state) {
  (void)state;
  world w = vk_world(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, w.t, NULL);
  live(&w, t, 0, 1);
  w.plan->code[VK_WORK].workspace_bytes = 64;
  VK_LAUNCH(&w, 0, VK_WORK, w.t, x, t);
  VK_LAUNCH(&w, 0, VK_WORK, w.t, t, y); /* shares the workspace: waits */
  bound b = bind(&w);
  float in[4096], out[4096];
  for (int i = 0; i < 4096; i++) in[i] = (float)i;
  sn_buffer buffers[] = {{"x", in, 1, {4096}}, {"y", out, 1, {4096}}};
  run_ok(&w, b, "main", 2, buffers);
  for (int i = 0; i < 4096; i++) assert_true(out[i] == 9 * (float)i + 4);
  unbind(&w, b);
}

static void room_for_steps(world *w, int count) { w->plan->graph[0].step = SN_ARRAY(w->arena, count, sn_step); }

/* More commands than one submission of unknown time may have: a chain in which each needs the one before. */
static void long_runs_are_cut(void **state) {
  (void)state;
  enum { STEPS = 3000 };
  world w = vk_world(1);
  const sn_dimx *four = number(&w, 4);
  int a = add_slot(&w, "a", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int c = add_slot(&w, "c", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, four, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, four, NULL);
  room_for_steps(&w, STEPS + 3);
  VK_LAUNCH(&w, 0, VK_ADD, four, x, x, a);
  for (int i = 0; i < STEPS; i++) VK_LAUNCH(&w, 0, VK_ADD, four, i % 2 ? c : a, x, i % 2 ? a : c);
  VK_LAUNCH(&w, 0, VK_ADD, four, a, c, y);
  bound b = bind(&w);
  float in[4] = {1, 2, 3, 0.5f}, out[4];
  sn_buffer buffers[] = {{"x", in, 1, {4}}, {"y", out, 1, {4}}};
  for (int round = 0; round < 2; round++) {
    run_ok(&w, b, "main", 2, buffers);
    for (int i = 0; i < 4; i++) assert_true(out[i] == (2 * STEPS + 3) * in[i]);
  }
  unbind(&w, b);
}

/* Steps that take longer than a submission should: cut again as their times become known. */
static void slow_runs_are_cut(void **state) {
  (void)state;
  enum { N = 1 << 12, STEPS = 12 };
  world w = vk_world(1);
  const sn_dimx *many = number(&w, N);
  int a = add_slot(&w, "a", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, many, NULL);
  int c = add_slot(&w, "c", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, many, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, many, NULL);
  w.plan->slot[a].init = SN_INITIAL_FILL, w.plan->slot[a].init_a = 1;
  room_for_steps(&w, STEPS + 2);
  for (int i = 0; i < STEPS; i++) VK_LAUNCH(&w, 0, VK_ADD, many, i % 2 ? c : a, i % 2 ? c : a, i % 2 ? a : c);
  VK_LAUNCH(&w, 0, VK_ADD, many, a, a, y);
  bound b = bind(&w);
  static float out[N];
  sn_buffer buffers[] = {{"y", out, 1, {N}}};
  float want = 2;
  for (int round = 0; round < 3; round++) {
    want *= 1 << STEPS;
    run_ok(&w, b, "main", 1, buffers);
    for (int i = 0; i < N; i++) assert_true(out[i] == want);
  }
  unbind(&w, b);
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

/* main(x [T]) -> y: m' = m + w (4 elements, copied back); y = x + x */
static void parameters_and_states_are_kept_alike(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *four = number(&w, 4);
  int p = add_slot(&w, "w", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, four, NULL);
  int m = add_slot(&w, "m", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, four, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, four, NULL);
  w.plan->slot[p].init = SN_INITIAL_NORMAL, w.plan->slot[p].init_a = 1;
  w.plan->slot[m].init = SN_INITIAL_FILL, w.plan->slot[m].init_a = 5;
  live(&w, t, 0, 1);
  VK_LAUNCH(&w, 0, VK_ADD, four, m, p, t);
  add_move(&w, 0, SN_STEP_COPY, t, m);
  add_move(&w, 0, SN_STEP_COPY, m, y);
  bound b = bind(&w);
  float out[4], want[4], first[4];
  int64_t bytes;
  sn_buffer buffers[] = {{"y", out, 1, {4}}};
  memcpy(first, sn_store_data(b.s, p, &bytes), sizeof first);
  assert_int_equal(bytes, 16);
  for (int i = 0; i < 4; i++) want[i] = 5;
  for (int round = 0; round < 3; round++) {
    run_ok(&w, b, "main", 1, buffers);
    for (int i = 0; i < 4; i++) want[i] += first[i];
    assert_memory_equal(out, want, sizeof want);
    if (round == 1) assert_memory_equal(sn_store_read(b.s, m, &bytes), want, sizeof want);
  }
  assert_memory_equal(sn_store_data(b.s, m, &bytes), want, sizeof want);
  float *writable = sn_store_data(b.s, m, &bytes), *weights = sn_store_data(b.s, p, &bytes);
  for (int i = 0; i < 4; i++) writable[i] = (float)i, weights[i] = 0.5f; /* the device takes what the host wrote */
  run_ok(&w, b, "main", 1, buffers);
  for (int i = 0; i < 4; i++) assert_true(out[i] == (float)i + 0.5f);
  sn_store_reset(b.s, "m");
  run_ok(&w, b, "main", 1, buffers);
  for (int i = 0; i < 4; i++) assert_true(out[i] == 5.5f);
  assert_int_equal(sn_store_bytes(b.s, m), 16);
  assert_null(sn_store_read(b.s, t, &bytes));
  assert_int_equal(bytes, 0);
  sn_store *second = store_of(&w, b.r, 1); /* another store of the same runtime */
  bound c = {b.r, second};
  run_ok(&w, c, "main", 1, buffers);
  for (int i = 0; i < 4; i++) assert_true(out[i] == 5 + first[i]);
  sn_store_destroy(second);
  run_ok(&w, b, "main", 1, buffers);
  for (int i = 0; i < 4; i++) assert_true(out[i] == 6);
  unbind(&w, b);
}

/* packed = w + w, made again when the parameter was touched. */
static void packed_copies_are_prepared(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *four = number(&w, 4);
  int p = add_slot(&w, "w", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, four, NULL);
  int packed = add_slot(&w, "packed", SN_SLOT_PACKED, -1, SN_ELEM_F32, 1, four, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, four, NULL);
  w.plan->slot[p].init = SN_INITIAL_FILL, w.plan->slot[p].init_a = 1, w.plan->slot[p].frozen = true;
  VK_LAUNCH(&w, -1, VK_ADD, four, p, p, packed);
  VK_LAUNCH(&w, 0, VK_ADD, four, packed, p, y);
  bound b = bind(&w);
  float out[4];
  int64_t bytes;
  sn_buffer buffers[] = {{"y", out, 1, {4}}};
  for (int round = 1; round < 4; round++) {
    float *weights = sn_store_data(b.s, p, &bytes);
    for (int i = 0; i < 4; i++) weights[i] = (float)(round + i);
    sn_store_touch(b.s);
    for (int again = 0; again < 2; again++) {
      run_ok(&w, b, "main", 1, buffers);
      for (int i = 0; i < 4; i++) assert_true(out[i] == 3 * (float)(round + i));
    }
  }
  unbind(&w, b);
}

/* next = now + x; swap: the states change places every run. */
static void states_change_places(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *four = number(&w, 4);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, four, NULL);
  int now = add_slot(&w, "now", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int next = add_slot(&w, "next", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, four, NULL);
  w.plan->slot[now].buddy = next, w.plan->slot[next].buddy = now;
  VK_LAUNCH(&w, 0, VK_ADD, four, now, x, next);
  add_move(&w, 0, SN_STEP_SWAP, now, next);
  VK_LAUNCH(&w, 0, VK_ADD, four, now, now, y);
  bound b = bind(&w);
  float in[4] = {1, 2, 3, 4}, out[4];
  int64_t bytes;
  sn_buffer buffers[] = {{"x", in, 1, {4}}, {"y", out, 1, {4}}};
  for (int round = 1; round <= 7; round++) {
    run_ok(&w, b, "main", 2, buffers);
    for (int i = 0; i < 4; i++) assert_true(out[i] == 2 * (float)round * in[i]);
    const float *kept = sn_store_read(b.s, now, &bytes), *before = sn_store_read(b.s, next, &bytes);
    for (int i = 0; i < 4; i++) assert_true(kept[i] == (float)round * in[i] && before[i] == (float)(round - 1) * in[i]);
  }
  unbind(&w, b);
}

/* ---- control ----------------------------------------------------------------------------------------------------- */

/* flag = x < y; check; m = x: a state is not written when the check fails. */
static void a_failed_check_leaves_states_alone(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *one = number(&w, 1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int y = add_slot(&w, "y", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int m = add_slot(&w, "m", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, one, NULL);
  int flag = add_slot(&w, "flag", SN_SLOT_TEMP, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  live(&w, flag, 0, 1);
  VK_LAUNCH(&w, 0, VK_LESS, one, x, y, flag);
  add_move(&w, 0, SN_STEP_CHECK, flag, -1);
  VK_LAUNCH(&w, 0, VK_ADD, one, x, x, m);
  bound b = bind(&w);
  float a = 1, c = 2;
  int64_t bytes;
  sn_buffer buffers[] = {{"x", &a, 1, {1}}, {"y", &c, 1, {1}}};
  run_ok(&w, b, "main", 2, buffers);
  assert_true(*(const float *)sn_store_read(b.s, m, &bytes) == 2);
  for (int round = 0; round < 2; round++) {
    a = round ? NAN : 3;
    assert_int_equal(sn_run(b.r, b.s, "main", 2, buffers, w.diags), SN_ERR_NUMERIC);
    assert_message(&w, "graph main: a value is not finite; no state was written");
    assert_true(*(const float *)sn_store_read(b.s, m, &bytes) == 2);
  }
  a = 1.5f;
  run_ok(&w, b, "main", 2, buffers);
  assert_true(*(const float *)sn_store_read(b.s, m, &bytes) == 3);
  unbind(&w, b);
}

/* choose x < y { z = x + x } else { z = y + y } */
static void one_of_two_blocks_runs(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *one = number(&w, 1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int y = add_slot(&w, "y", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int z = add_slot(&w, "z", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int flag = add_slot(&w, "flag", SN_SLOT_TEMP, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  live(&w, flag, 0, 1);
  VK_LAUNCH(&w, 0, VK_LESS, one, x, y, flag);
  sn_step *choose = add_move(&w, 0, SN_STEP_CHOOSE, flag, -1);
  choose->block[0] = choose->block[1] = 1;
  VK_LAUNCH(&w, 0, VK_ADD, one, x, x, z);
  VK_LAUNCH(&w, 0, VK_ADD, one, y, y, z);
  bound b = bind(&w);
  float a, c, out;
  sn_buffer buffers[] = {{"x", &a, 1, {1}}, {"y", &c, 1, {1}}, {"z", &out, 1, {1}}};
  for (int i = 0; i < 6; i++) {
    a = (float)(i % 3), c = (float)(i * 7 % 5), out = -1;
    run_ok(&w, b, "main", 3, buffers);
    assert_true(out == 2 * (a < c ? a : c));
  }
  unbind(&w, b);
}

/* n = x; while n < y { n = n + n }, at most `limit` rounds; z = n. The flag of `given` loops comes from outside. */
static void loops_end(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *one = number(&w, 1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int y = add_slot(&w, "y", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int z = add_slot(&w, "z", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int n = add_slot(&w, "n", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, one, NULL);
  int flag = add_slot(&w, "flag", SN_SLOT_TEMP, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  int sum = add_slot(&w, "sum", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, one, NULL);
  live(&w, n, 0, 5);
  live(&w, flag, 1, 4);
  live(&w, sum, 3, 4);
  add_move(&w, 0, SN_STEP_COPY, x, n);
  sn_step *loop = add_move(&w, 0, SN_STEP_WHILE, flag, -1);
  loop->block[0] = 1, loop->block[1] = 2, loop->limit = 10;
  VK_LAUNCH(&w, 0, VK_LESS, one, n, y, flag);
  VK_LAUNCH(&w, 0, VK_ADD, one, n, n, sum);
  add_move(&w, 0, SN_STEP_COPY, sum, n);
  add_move(&w, 0, SN_STEP_COPY, n, z);
  bound b = bind(&w);
  float a, c, out;
  sn_buffer buffers[] = {{"x", &a, 1, {1}}, {"y", &c, 1, {1}}, {"z", &out, 1, {1}}};
  static const struct {
    float from, to, result;
  } rows[] = {{1, 5, 8}, {3, 3, 3}, {1, 1e9f, 1024}, {7, 8, 14}, {1, 5, 8}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    a = rows[i].from, c = rows[i].to;
    run_ok(&w, b, "main", 3, buffers);
    assert_true(out == rows[i].result);
  }
  unbind(&w, b);
}

/* A flag that no step writes. */
static void a_flag_may_be_an_input(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *one = number(&w, 1);
  int flag = add_slot(&w, "flag", SN_SLOT_INPUT, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, one, NULL);
  int z = add_slot(&w, "z", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, one, NULL);
  sn_step *choose = add_move(&w, 0, SN_STEP_CHOOSE, flag, -1);
  choose->block[0] = choose->block[1] = 1;
  VK_LAUNCH(&w, 0, VK_ADD, one, x, x, z);
  add_move(&w, 0, SN_STEP_COPY, x, z);
  bound b = bind(&w);
  float a = 3, out;
  uint8_t yes;
  sn_buffer buffers[] = {{"flag", &yes, 0, {0}}, {"x", &a, 1, {1}}, {"z", &out, 1, {1}}};
  for (int i = 0; i < 4; i++) {
    yes = i % 2;
    run_ok(&w, b, "main", 3, buffers);
    assert_true(out == (yes ? 6 : 3));
  }
  unbind(&w, b);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

typedef struct log {
  bound b;
  int steps, parts, bad;
  double last_end;
} log_;

static void on_step(void *user, int graph, int step, double ns) {
  log_ *l = user;
  const float *t = sn_runtime_slot(l->b.r, 3, NULL), *x = sn_runtime_slot(l->b.r, 0, NULL);
  if (graph != 0 || step != l->steps || ns < 0 || !t || !x) l->bad++;
  if (step == 0 && t && t[1] != x[1] + 20) l->bad++;
  l->steps++;
}

static void on_part(void *user, int64_t run, int graph, int step, int thread, double start, double end) {
  log_ *l = user;
  if (run < 1 || graph != 0 || step != l->parts % 3 || thread != 0 || end < start || start < l->last_end - 1) l->bad++;
  l->last_end = end;
  l->parts++;
}

static void steps_are_told(void **state) {
  (void)state;
  float x[2] = {1, 2}, y[2] = {10, 20}, z[2];
  sn_buffer buffers[] = {{"x", x, 1, {2}}, {"y", y, 1, {2}}, {"z", z, 1, {2}}};
  for (int both = 0; both < 3; both++) {
    world w = three_sums();
    log_ l = {.last_end = 0};
    bound b = l.b = bind_opt(
        &w,
        (sn_runtime_opt){
            .on_step = both != 1 ? on_step : NULL, .step_user = &l, .on_part = both ? on_part : NULL, .part_user = &l});
    run_ok(&w, b, "main", 3, buffers);
    l.steps = 0;
    run_ok(&w, b, "main", 3, buffers);
    assert_true(z[1] == 48);
    assert_int_equal(l.steps, both != 1 ? 3 : 0);
    assert_int_equal(l.parts, both ? 6 : 0);
    assert_int_equal(l.bad, 0);
    const float *out = sn_runtime_slot(b.r, 2, w.diags);
    assert_true(out && out[0] == 24 && out[1] == 48);
    assert_null(sn_runtime_slots(b.r)[3]);
    unbind(&w, b);
  }
}

int main(void) {
  if (!vk_there()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(runs_for_any_extents_again_and_again),
      cmocka_unit_test(sizes_and_more_instances_than_one_direction_has),
      cmocka_unit_test(more_arguments_than_push_constants),
      cmocka_unit_test(workgroups_have_their_own_workspace),
      cmocka_unit_test(parameters_and_states_are_kept_alike),
      cmocka_unit_test(long_runs_are_cut),
      cmocka_unit_test(slow_runs_are_cut),
      cmocka_unit_test(packed_copies_are_prepared),
      cmocka_unit_test(states_change_places),
      cmocka_unit_test(a_failed_check_leaves_states_alone),
      cmocka_unit_test(one_of_two_blocks_runs),
      cmocka_unit_test(loops_end),
      cmocka_unit_test(a_flag_may_be_an_input),
      cmocka_unit_test(steps_are_told),
  };
  /* Under layers that look into kernels, those of few accesses: drivers take long for code that is checked at each. */
  const struct CMUnitTest small[] = {
      cmocka_unit_test(workgroups_have_their_own_workspace),
      cmocka_unit_test(parameters_and_states_are_kept_alike),
      cmocka_unit_test(states_change_places),
  };
  const char *checks = getenv("SN_VULKAN_VALIDATE");
  if (checks && !strcmp(checks, "gpu")) return cmocka_run_group_tests(small, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
