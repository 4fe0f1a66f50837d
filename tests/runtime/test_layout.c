/* The layout of temporaries: what lives together never overlaps; bounds of the pool; store values. */
#include <math.h>

#include "runtime/inside.h"
#include "tests/runtime/support.h"

/* A graph of `steps` copies between nothing, only to have steps; temporaries with random lives and sizes. */
static world random_lives(uint64_t seed, int temps, int steps) {
  world w = world_create(1);
  sn_rng r = {.seed = seed};
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  for (int i = 0; i < steps; i++) add_move(&w, 0, SN_STEP_COPY, x, x);
  for (int i = 0; i < temps; i++) {
    const sn_dimx *size = sn_dimx_mul(w.plan->types, number(&w, (int64_t)sn_rng_below(&r, 40)), w.t);
    int t = add_slot(&w, sn_arena_printf(w.arena, "t%d", i), SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, size, NULL);
    int first = (int)sn_rng_below(&r, (uint64_t)steps), last = first + (int)sn_rng_below(&r, (uint64_t)(steps - first));
    live(&w, t, first, last);
    /* now and then a slot shares the storage of one that died before */
    if (t > 1 && w.plan->slot[t - 1].last < first && sn_rng_below(&r, 2)) w.plan->slot[t].alias = t - 1;
  }
  return w;
}

static bool together(const sn_slot *a, const sn_slot *b) { return a->first <= b->last && b->first <= a->last; }

static void check_layout(world *w, const int64_t *dims) {
  enum { N = MAX_SLOTS };
  const sn_plan *p = w->plan;
  int root[N];
  int64_t bytes[N] = {0}, offset[N], again[N], pool = -1, peak = -1;
  assert_int_equal(sn_layout_roots(p, root), SN_OK);
  for (int i = 0; i < p->slot_count; i++) assert_int_equal(sn_rt_bytes(&p->slot[i], dims, &bytes[i]), SN_OK);
  assert_int_equal(sn_layout(p, 0, root, bytes, offset, &pool), SN_OK);
  assert_int_equal(sn_layout(p, 0, root, bytes, again, &peak), SN_OK);
  assert_memory_equal(offset, again, (size_t)p->slot_count * sizeof *offset);
  assert_int_equal(sn_plan_peak_bytes(p, 0, dims, &peak), SN_OK);
  assert_int_equal(peak, pool);
  int64_t sum = 0;
  for (int i = 1; i < p->slot_count; i++) {
    assert_true(offset[root[i]] >= 0 && offset[root[i]] % 64 == 0);
    assert_true(offset[root[i]] + bytes[i] <= pool);
    sum += (bytes[i] + 63) / 64 * 64;
    for (int k = 1; k < i; k++) {
      int64_t a = offset[root[i]], b = offset[root[k]];
      bool apart = a + bytes[i] <= b || b + bytes[k] <= a;
      assert_true(apart || !together(&p->slot[i], &p->slot[k]) || !bytes[i] || !bytes[k]);
    }
  }
  assert_true(pool <= sum);
}

static void live_storage_never_overlaps(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 60; seed++) {
    world w = random_lives(seed, 1 + (int)(seed % 60), 1 + (int)(seed * 7 % 50));
    check_layout(&w, (int64_t[]){1, 1});
    check_layout(&w, (int64_t[]){8, 77});
    world_destroy(&w);
  }
}

static void a_chain_needs_two_buffers(void **state) {
  (void)state;
  world w = world_create(1);
  for (int i = 0; i < 20; i++) {
    int t = add_slot(&w, sn_arena_printf(w.arena, "t%d", i), SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, number(&w, 1000), NULL);
    live(&w, t, i, i + 1);
    add_move(&w, 0, SN_STEP_COPY, t, t);
  }
  add_move(&w, 0, SN_STEP_COPY, 0, 0);
  int64_t peak = 0, dims[] = {1, 1};
  assert_int_equal(sn_plan_peak_bytes(w.plan, 0, dims, &peak), SN_OK);
  assert_int_equal(peak, 2 * 4032);
  world_destroy(&w);
}

static void sizes_beyond_memory_are_a_limit(void **state) {
  (void)state;
  world w = world_create(1);
  const sn_dimx *huge = sn_dimx_symbol(w.plan->types, "H", 1, INT64_C(1) << 40, 1, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F64, 2, huge, huge);
  live(&w, t, 0, 0);
  int64_t peak, dims[] = {1, 1, INT64_C(1) << 40};
  assert_int_equal(sn_plan_peak_bytes(w.plan, 0, dims, &peak), SN_ERR_LIMIT);
  dims[2] = INT64_C(1) << 30; /* 2^63 bytes */
  assert_int_equal(sn_plan_peak_bytes(w.plan, 0, dims, &peak), SN_ERR_LIMIT);
  dims[2] = INT64_C(1) << 20;
  assert_int_equal(sn_plan_peak_bytes(w.plan, 0, dims, &peak), SN_OK);
  world_destroy(&w);
}

static void circles_of_aliases_are_refused(void **state) {
  (void)state;
  world w = world_create(1);
  for (int i = 0; i < 2; i++) {
    int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 0, NULL, NULL);
    w.plan->slot[t].alias = 1 - i;
  }
  sn_runtime *r = NULL;
  assert_int_equal(sn_runtime_create(w.plan, NULL, w.diags, &r), SN_ERR_INPUT);
  assert_null(r);
  world_destroy(&w);
}

/* ---- the store ---------------------------------------------------------------------------------- */

static int add_param(world *w, const char *name, sn_init_kind kind, double a) {
  int p = add_slot(w, name, SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(w, 5000), NULL);
  w->plan->slot[p].init = kind, w->plan->slot[p].init_a = a;
  return p;
}

static void moments(const float *x, int n, double *mean, double *deviation, double *largest) {
  double s = 0, q = 0;
  *largest = 0;
  for (int i = 0; i < n; i++) {
    s += (double)x[i], q += (double)x[i] * (double)x[i];
    if (fabs((double)x[i]) > *largest) *largest = fabs((double)x[i]);
  }
  *mean = s / n;
  *deviation = sqrt(q / n - *mean * *mean);
}

static void initial_values_depend_on_seed_and_name_only(void **state) {
  (void)state;
  world w = world_create(1), v = world_create(1);
  int a = add_param(&w, "a", SN_INITIAL_NORMAL, 0.02), b = add_param(&w, "b", SN_INITIAL_UNIFORM, 3);
  int c = add_param(&w, "c", SN_INITIAL_FILL, 0.5), z = add_param(&w, "z", SN_INITIAL_NONE, 0);
  add_param(&v, "first", SN_INITIAL_NORMAL, 1);
  int vb = add_param(&v, "b", SN_INITIAL_UNIFORM, 3), va = add_param(&v, "a", SN_INITIAL_NORMAL, 0.02);
  sn_runtime *rw = runtime_of(&w, (sn_runtime_opt){.threads = 1}), *rv = runtime_of(&v, (sn_runtime_opt){.threads = 3});
  sn_store *sw = store_of(&w, rw, 42), *sv = store_of(&v, rv, 42), *other = store_of(&w, rw, 43);
  assert_memory_equal(sn_store_data(sw, a, NULL), sn_store_data(sv, va, NULL), 20000);
  assert_memory_equal(sn_store_data(sw, b, NULL), sn_store_data(sv, vb, NULL), 20000);
  assert_memory_not_equal(sn_store_data(sw, a, NULL), sn_store_data(other, a, NULL), 20000);
  assert_int_equal((uintptr_t)sn_store_data(sw, b, NULL) % 64, 0);
  /* Six standard errors: 1/sqrt(5000) of the deviation for the mean, 1/sqrt(10000) for the deviation itself. */
  double mean, deviation, largest;
  moments(sn_store_data(sw, a, NULL), 5000, &mean, &deviation, &largest);
  assert_true(fabs(mean) < 6 * 0.02 / sqrt(5000) && fabs(deviation / 0.02 - 1) < 6 / sqrt(10000) && largest < 0.12);
  moments(sn_store_data(sw, b, NULL), 5000, &mean, &deviation, &largest);
  assert_true(fabs(mean) < 6 * 1.74 / sqrt(5000) && fabs(deviation / sqrt(3) - 1) < 0.06 && largest < 3 &&
              largest > 2.9);
  moments(sn_store_data(sw, c, NULL), 5000, &mean, &deviation, &largest);
  assert_true(mean == 0.5 && largest == 0.5);
  assert_true(((float *)sn_store_data(sw, z, NULL))[4999] == 0);
  sn_store_destroy(sw);
  sn_store_destroy(sv);
  sn_store_destroy(other);
  sn_runtime_destroy(rw);
  sn_runtime_destroy(rv);
  world_destroy(&w);
  world_destroy(&v);
}

static void states_are_sized_by_dims(void **state) {
  (void)state;
  world w = world_create(1);
  int cache = add_slot(&w, "cache", SN_SLOT_STATE, -1, SN_ELEM_F32, 2, w.b, w.t);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 2, w.b, w.t);
  add_move(&w, 0, SN_STEP_COPY, x, cache);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *most = store_of(&w, r, 1), *s = NULL;
  int64_t bytes;
  sn_store_data(most, cache, &bytes);
  assert_int_equal(bytes, 8 * 4096 * 4);
  assert_int_equal(sn_store_create(r, 1, (int64_t[]){2, 10}, w.diags, &s), SN_OK);
  sn_store_data(s, cache, &bytes);
  assert_int_equal(bytes, 80);
  float data[30] = {1};
  sn_buffer buffers[] = {{"x", data, 2, {2, 10}}};
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  buffers[0].extent[0] = 1; /* fewer rows */
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  buffers[0].extent[0] = 3;
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_ERR_INPUT);
  assert_message(&w, "state cache was made for other extents");
  buffers[0].extent[0] = 2, buffers[0].extent[1] = 9; /* rows would move */
  assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_ERR_INPUT);
  sn_store_destroy(s);
  sn_store_destroy(most);
  sn_runtime_destroy(r);
  r = runtime_of(&w, (sn_runtime_opt){.memory_limit = 1000});
  assert_int_equal(sn_store_create(r, 1, NULL, w.diags, &s), SN_ERR_LIMIT);
  assert_message(&w, "parameters and states exceed the memory limit");
  sn_runtime_destroy(r);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(live_storage_never_overlaps),
      cmocka_unit_test(a_chain_needs_two_buffers),
      cmocka_unit_test(sizes_beyond_memory_are_a_limit),
      cmocka_unit_test(circles_of_aliases_are_refused),
      cmocka_unit_test(initial_values_depend_on_seed_and_name_only),
      cmocka_unit_test(states_are_sized_by_dims),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
