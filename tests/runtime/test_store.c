/* Stores: initial values are made when they are needed and are always the same; parameters may be lent. */
#include <math.h>

#include "runtime/io/safetensors.h"
#include "runtime/loop/serving.h"
#include "tests/runtime/support.h"

enum { N = 1000 };

/* y = 2 p; a, m are states that no step touches; bf is bf16, written is what a step writes. */
enum { P, U, BF, A, M, WRITTEN, Y };

static world model(void) {
  world w = world_create(1);
  const sn_dimx *n = number(&w, N);
  add_slot(&w, "p", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, n, NULL);
  add_slot(&w, "u", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, n, NULL);
  add_slot(&w, "bf", SN_SLOT_PARAM, -1, SN_ELEM_BF16, 1, n, NULL);
  add_slot(&w, "a", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, n, NULL);
  add_slot(&w, "m", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, n, NULL);
  add_slot(&w, "written", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, n, NULL);
  add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, n, NULL);
  sn_slot *s = w.plan->slot;
  s[P].init = s[BF].init = SN_INITIAL_NORMAL, s[U].init = SN_INITIAL_UNIFORM;
  s[P].init_a = s[U].init_a = s[BF].init_a = 0.02;
  s[A].init = s[M].init = s[WRITTEN].init = SN_INITIAL_FILL, s[A].init_a = 8;
  s[P].frozen = s[U].frozen = s[BF].frozen = true;
  add_twice(&w, 0, P, Y, n, false);
  add_twice(&w, 0, P, WRITTEN, n, false);
  return w;
}

/* The words of a stream one by one, as sn_rng.h describes them. */
static uint64_t words_at(uint64_t seed, uint64_t stream, uint64_t at) {
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
  uint32_t counter[4] = {(uint32_t)(at / 2), 0, (uint32_t)stream, (uint32_t)(stream >> 32)};
  sn_philox(counter, key, out);
  return (uint64_t)out[at % 2 * 2] << 32 | out[at % 2 * 2 + 1];
}

static double f64_at(uint64_t seed, const char *name, uint64_t at) {
  return (double)(words_at(seed, sn_stream_of(name), at) >> 11) * 0x1p-53;
}

static double normal_at(uint64_t seed, const char *name, uint64_t i) {
  return sqrt(-2 * log(1 - f64_at(seed, name, 2 * i))) * cos(6.283185307179586 * f64_at(seed, name, 2 * i + 1));
}

static void assert_initial(sn_store *s, uint64_t seed) {
  const float *p = sn_store_read(s, P, NULL), *u = sn_store_read(s, U, NULL), *a = sn_store_read(s, A, NULL);
  const uint16_t *bf = sn_store_read(s, BF, NULL);
  for (uint64_t i = 0; i < N; i++) {
    uint16_t half;
    sn_elem_set(SN_ELEM_BF16, &half, 0, 0.02 * normal_at(seed, "bf", i));
    assert_true(p[i] == (float)(0.02 * normal_at(seed, "p", i)));
    assert_true(u[i] == (float)(0.02 * (2 * f64_at(seed, "u", i) - 1)));
    assert_true(a[i] == 8 && bf[i] == half);
  }
}

static void values_are_drawn_when_they_are_looked_at(void **state) {
  (void)state;
  world w = model();
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 1});
  sn_store *s = store_of(&w, r, 7);
  assert_int_equal(sn_store_drawn(s), 0);
  assert_int_equal(sn_store_bytes(s, P), 4 * N);
  assert_true(sn_store_owns(s, P) && sn_store_drawn(s) == 0);
  assert_true(((const float *)sn_store_read(s, M, NULL))[N - 1] == 0 && sn_store_drawn(s) == 0); /* zeros are there */
  (void)sn_store_read(s, P, NULL);
  (void)sn_store_data(s, P, NULL);
  assert_int_equal(sn_store_drawn(s), N);
  assert_initial(s, 7);
  assert_int_equal(sn_store_drawn(s), 4 * N);
  ((float *)sn_store_data(s, P, NULL))[3] = 5;
  assert_true(((const float *)sn_store_read(s, P, NULL))[3] == 5);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* Those of the normal stream that are within two standard deviations, in order. */
static void truncated_values_are_normal_ones_within_two_deviations(void **state) {
  (void)state;
  world w = model();
  w.plan->slot[P].init = SN_INITIAL_TRUNCATED;
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 1});
  sn_store *s = store_of(&w, r, 5);
  const float *p = sn_store_read(s, P, NULL);
  uint64_t drawn = 0;
  for (int i = 0; i < N; i++) {
    double x = normal_at(5, "p", drawn++);
    while (fabs(x) > 2) x = normal_at(5, "p", drawn++);
    assert_true(p[i] == (float)(0.02 * x));
  }
  assert_in_range(drawn, N + 20, N + 80); /* 48 are expected beyond */
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void runs_find_what_was_not_loaded_drawn(void **state) {
  (void)state;
  for (int loads = 0; loads < 2; loads++) {
    world w = model();
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 1});
    sn_store *s = store_of(&w, r, 9);
    float *p = loads ? sn_store_overwrite(s, P, NULL) : NULL, y[N];
    for (int i = 0; loads && i < N; i++) p[i] = (float)i;
    sn_buffer b = {"y", y, 1, {N}};
    assert_int_equal(sn_run(r, s, "main", 1, &b, w.diags), SN_OK);
    for (uint64_t i = 0; i < N; i++)
      assert_true(y[i] == (loads ? 2 * (float)i : 2 * (float)(0.02 * normal_at(9, "p", i))));
    assert_int_equal(sn_store_drawn(s), loads ? 3 * N : 4 * N);
    if (!loads) assert_initial(s, 9);
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
}

static void resets_of_what_nobody_saw_draw_nothing(void **state) {
  (void)state;
  world w = model();
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 1});
  sn_store *s = store_of(&w, r, 1);
  sn_store_reset(s, "*");
  assert_int_equal(sn_store_drawn(s), 0);
  float *a = sn_store_data(s, A, NULL), *m = sn_store_data(s, M, NULL);
  assert_true(a[1] == 8);
  a[1] = m[1] = 3;
  sn_store_reset(s, "*");
  assert_true(a[1] == 8 && m[1] == 0);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void lent_parameters_are_read_where_they_are_and_copied_to_be_written(void **state) {
  (void)state;
  world w = model();
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 1});
  sn_store *s = store_of(&w, r, 1);
  float *lent = aligned_alloc(64, (4 * N + 127) / 64 * 64 + 64), y[N];
  for (int i = 0; i < N; i++) lent[i] = (float)i;
  assert_false(sn_store_lend(s, A, lent));       /* a state */
  assert_false(sn_store_lend(s, WRITTEN, lent)); /* a step writes it */
  assert_false(sn_store_lend(s, Y, lent));       /* no storage of a store */
  assert_false(sn_store_lend(s, P, lent + 1));   /* not aligned */
  assert_true(sn_store_lend(s, P, lent) && sn_store_lend(s, P, lent));
  assert_ptr_equal(sn_store_read(s, P, NULL), lent);
  sn_buffer b = {"y", y, 1, {N}};
  assert_int_equal(sn_run(r, s, "main", 1, &b, w.diags), SN_OK);
  assert_true(y[N - 1] == 2 * (N - 1));
  assert_ptr_equal(sn_store_read(s, P, NULL), lent);
  float *own = sn_store_data(s, P, NULL);
  assert_ptr_not_equal(own, lent);
  assert_memory_equal(own, lent, 4 * N);
  own[0] = 5;
  assert_true(lent[0] == 0 && ((const float *)sn_store_read(s, P, NULL))[0] == 5);
  assert_true(sn_store_lend(s, P, lent));
  own = sn_store_overwrite(s, P, NULL);
  assert_ptr_not_equal(own, lent);
  assert_true(sn_store_lend(s, P, lent)); /* and is not freed */
  sn_store_destroy(s);
  free(lent);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* ---- a program with its weights inside -------------------------------------------------------------------------- */

/* A file that holds the parameters of a store with another seed. */
static void write_weights(world *w, const char *path) {
  sn_runtime *r = runtime_of(w, (sn_runtime_opt){.threads = 1});
  sn_store *s = store_of(w, r, 21);
  assert_int_equal(sn_store_save(s, w->plan, path, w->diags), SN_OK);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
}

static void write_program(world *w, const char *weights, const char *path) {
  sn_payload parts = {0};
  sn_run_settings settings = {.model = "test", .settings = "", .source = "", .precision = "f32", .ids = 256};
  sn_text text = sn_text_begin(w->arena), tokens = sn_text_begin(w->arena);
  unsigned char *plan;
  size_t bytes;
  sn_run_settings_print(&text, &settings);
  sn_tokenizer_print(&tokens, sn_tokenizer_byte(w->arena));
  assert_int_equal(sn_plan_write(w->arena, w->plan, &plan, &bytes), SN_OK);
  sn_file_map map;
  assert_int_equal(sn_file_map_open(weights, w->diags, &map), SN_OK);
  parts.part[SN_PAYLOAD_PLAN].data = plan, parts.part[SN_PAYLOAD_PLAN].bytes = bytes;
  parts.part[SN_PAYLOAD_WEIGHTS].data = map.data, parts.part[SN_PAYLOAD_WEIGHTS].bytes = map.bytes;
  parts.part[SN_PAYLOAD_TOKENIZER].data = tokens.at, parts.part[SN_PAYLOAD_TOKENIZER].bytes = (size_t)tokens.count;
  parts.part[SN_PAYLOAD_SETTINGS].data = text.at, parts.part[SN_PAYLOAD_SETTINGS].bytes = (size_t)text.count;
  assert_int_equal(sn_payload_write(path, "program", 7, &parts, w->diags), SN_OK);
  sn_file_map_close(&map);
}

static bool is_inside(const sn_payload *p, const void *at) {
  const unsigned char *x = at;
  return x >= p->map.data && x < p->map.data + p->map.bytes;
}

static void a_program_draws_and_copies_nothing(void **state) {
  (void)state;
  char folder[64], weights[128], path[128];
  temp_folder(folder);
  snprintf(weights, sizeof weights, "%s/w.safetensors", folder);
  snprintf(path, sizeof path, "%s/program", folder);
  world w = model();
  /* The sizes of tensors are what the alignment of the next ones depends on; without `written` none is a parameter that
   * a step writes. */
  w.plan->slot[WRITTEN].role = SN_SLOT_STATE;
  for (int i = 0; i < 3; i++) {
    const sn_dimx *n = number(&w, 1024);
    w.plan->slot[i].type = sn_type_of(w.plan->types, w.plan->slot[i].type->elem, 1, &n);
    w.plan->slot[i].elements = n;
  }
  write_weights(&w, weights);
  write_program(&w, weights, path);
  sn_payload parts;
  sn_serving serving;
  assert_int_equal(sn_payload_open(path, w.diags, &parts), SN_OK);
  sn_runtime_opt opt = {.threads = 1};
  if (sn_serving_open(&parts, NULL, &opt, 1, w.diags, &serving)) fail_msg("%s", messages(&w));
  assert_int_equal(sn_store_drawn(serving.store), 0);
  for (int i = P; i <= BF; i++) assert_true(is_inside(&parts, sn_store_read(serving.store, i, NULL)));
  float y[N];
  sn_buffer b = {"y", y, 1, {N}};
  assert_int_equal(sn_run(serving.runtime, serving.store, "main", 1, &b, w.diags), SN_OK);
  for (uint64_t i = 0; i < N; i++) assert_true(y[i] == 2 * (float)(0.02 * normal_at(21, "p", i)));
  assert_int_equal(sn_store_drawn(serving.store), N); /* state a, of 8s */
  sn_serving_close(&serving);
  sn_payload_close(&parts);
  world_destroy(&w);
  remove_folder(folder);
}

/* ---- sequences ------------------------------------------------------------------------------------------------- */

static void sequences_go_on_from_others(void **state) {
  (void)state;
  world w = world_create(1);
  int kept = add_slot(&w, "kept", SN_SLOT_STATE, -1, SN_ELEM_F32, 2, w.b, number(&w, 3));
  int other = add_slot(&w, "other", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, number(&w, 4), NULL);
  sn_runtime *r;
  sn_store *s;
  const int64_t dims[2] = {4, 1};
  assert_int_equal(sn_runtime_create(w.plan, NULL, w.diags, &r), SN_OK);
  assert_int_equal(sn_store_create(r, 1, dims, w.diags, &s), SN_OK);
  float *x = sn_store_data(s, kept, NULL), *y = sn_store_data(s, other, NULL);
  for (int i = 0; i < 12; i++) x[i] = (float)i;
  for (int i = 0; i < 4; i++) y[i] = (float)i;
  const int32_t parent[4] = {1, 0, 1, 3}, outside[1] = {4};
  assert_int_equal(sn_store_reorder(s, "B", 3, parent, w.diags), SN_OK);
  for (int i = 0; i < 12; i++) assert_true(x[i] == (float)(3 * parent[i / 3] + i % 3));
  for (int i = 0; i < 4; i++) assert_true(y[i] == (float)i);
  assert_int_equal(sn_store_reorder(s, "B", 0, parent, w.diags), SN_OK);
  assert_int_equal(sn_store_reorder(s, "B", 1, outside, w.diags), SN_ERR_USAGE);
  assert_int_equal(sn_store_reorder(s, "B", 5, (int32_t[5]){0}, w.diags), SN_ERR_USAGE);
  assert_int_equal(sn_store_reorder(s, "B", -1, parent, w.diags), SN_ERR_USAGE);
  assert_int_equal(sn_store_reorder(s, "b", 1, parent, w.diags), SN_ERR_USAGE);
  assert_message(&w, "no dim b");
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_drawn_when_they_are_looked_at),
      cmocka_unit_test(truncated_values_are_normal_ones_within_two_deviations),
      cmocka_unit_test(runs_find_what_was_not_loaded_drawn),
      cmocka_unit_test(resets_of_what_nobody_saw_draw_nothing),
      cmocka_unit_test(lent_parameters_are_read_where_they_are_and_copied_to_be_written),
      cmocka_unit_test(sequences_go_on_from_others),
      cmocka_unit_test(a_program_draws_and_copies_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
