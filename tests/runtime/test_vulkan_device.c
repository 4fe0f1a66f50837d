/* The Vulkan device as it is opened: code that it cannot run, memory that is not there, transfers through staging
 * memory, pipelines kept on disk, layers. Skipped where there is none. */
#include <dirent.h>
#include <math.h>

#include "runtime/vulkan/vulkan.h"
#include "tests/runtime/harness_vulkan.h"

/* main(x [T]) -> y = x + x */
static world doubled(void) {
  world w = vk_world(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  VK_LAUNCH(&w, 0, VK_ADD, w.t, x, x, y);
  return w;
}

static void runs(world *w) {
  float x[100], y[100];
  for (int i = 0; i < 100; i++) x[i] = (float)i;
  sn_runtime *r = runtime_of(w, (sn_runtime_opt){0});
  sn_store *s = store_of(w, r, 1);
  sn_buffer buffers[] = {{"x", x, 1, {100}}, {"y", y, 1, {100}}};
  if (sn_run(r, s, "main", 2, buffers, w->diags)) fail_msg("%s", messages(w));
  for (int i = 0; i < 100; i++) assert_true(y[i] == 2 * x[i]);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
}

static void is_refused(world *w, sn_code wanted, const char *text) {
  sn_runtime *r = NULL;
  sn_code code = sn_plan_verify(w->plan, w->diags);
  if (!code) code = sn_runtime_create(w->plan, NULL, w->diags, &r);
  if (code != wanted || !strstr(messages(w), text)) fail_msg("%d: %s", code, messages(w));
  world_destroy(w);
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void code_that_the_device_cannot_run(void **state) {
  (void)state;
  static const struct {
    const char *features, *without, *text;
  } rows[] = {
      {"int64 shared=999999999", "", "lacks shared=999999999, which the code of kernel add needs"},
      {"int64 teleport", "", "lacks teleport, which the code of kernel add needs"},
      {"int64", "int64", "lacks int64, which the code of kernel add needs"},
      {"subgroup=8 arithmetic", "subgroup", "lacks subgroup=8, which the code of kernel add needs"},
      {"matrix", "matrix", "lacks matrix, which the code of kernel add needs"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    world w = doubled();
    w.plan->code[VK_ADD].features = rows[i].features;
    setenv("SN_VULKAN_WITHOUT", rows[i].without, 1);
    is_refused(&w, SN_ERR_DEVICE, rows[i].text);
  }
  unsetenv("SN_VULKAN_WITHOUT");
}

static void code_that_is_none(void **state) {
  (void)state;
  static const unsigned char noise[64] = {1, 2, 3};
  world w = doubled();
  w.plan->code[VK_ADD].bytes = noise, w.plan->code[VK_ADD].byte_count = sizeof noise;
  is_refused(&w, SN_ERR_INPUT, "code of kernel add: it is no SPIR-V module");
  w = doubled();
  w.plan->code[VK_ADD].byte_count = 18;
  is_refused(&w, SN_ERR_INPUT, "code of kernel add: it is no SPIR-V module");
  w = doubled();
  w.plan->code[VK_MANY].entry = 0;
  is_refused(&w, SN_ERR_INPUT, "code of kernel many: a workgroup of no invocations");
  w = doubled();
  w.plan->code[VK_MANY].entry = 1 << 15;
  is_refused(&w, SN_ERR_DEVICE, "invocations in a workgroup");
  w = doubled();
  w.plan->code[VK_MANY].kind = SN_CODE_KERNEL_TEXT;
  is_refused(&w, SN_ERR_DEVICE, "code of kernel many is not for this device");
  w = doubled();
  add_move(&w, 0, SN_STEP_HOST, -1, -1);
  is_refused(&w, SN_ERR_DEVICE, "graph main has a host step");
}

static void devices_that_are_not_there(void **state) {
  (void)state;
  world w = doubled();
  setenv("SN_VULKAN_DEVICE", "no such device", 1);
  is_refused(&w, SN_ERR_DEVICE, "SN_VULKAN_DEVICE: there is no device \"no such device\"");
  setenv("SN_VULKAN_DEVICE", "77", 1);
  w = doubled();
  is_refused(&w, SN_ERR_DEVICE, "there is no device \"77\"");
  setenv("SN_VULKAN_DEVICE", "0", 1);
  w = doubled();
  runs(&w);
  world_destroy(&w);
  unsetenv("SN_VULKAN_DEVICE");
  setenv("SN_VULKAN_WITHOUT", "everything", 1);
  w = doubled();
  is_refused(&w, SN_ERR_USAGE, "`everything` cannot be taken away");
  unsetenv("SN_VULKAN_WITHOUT");
}

/* A module that uses what was not switched on: only the layers see it. */
static void what_layers_say_is_a_mistake(void **state) {
  (void)state;
  const char *on = getenv("SN_VULKAN_VALIDATE");
  if (!on || !*on) skip();
  world w = doubled();
  for (int i = 0; i < VK_KERNELS; i++) w.plan->code[i].features = "";
  setenv("SN_VULKAN_WITHOUT", "int64", 1);
  is_refused(&w, SN_ERR_DEVICE, "validation layers: ");
  unsetenv("SN_VULKAN_WITHOUT");
  w = doubled();
  runs(&w);
  world_destroy(&w);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void too_little_memory(void **state) {
  (void)state;
  world w = vk_world(1);
  const sn_dimx *many = sn_dimx_symbol(w.plan->types, "N", 1, INT64_C(1) << 40, 1, NULL);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_U8, 1, many, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 2, many, number(&w, 1 << 20));
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, number(&w, 1), NULL);
  live(&w, t, 0, 1);
  (void)x;
  VK_LAUNCH(&w, 0, VK_MARK, number(&w, 1), t, 2);
  VK_LAUNCH(&w, 0, VK_ADD, number(&w, 1), t, t, y);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, r, 1);
  static uint8_t in[1 << 20];
  float out = 0;
  sn_buffer buffers[] = {{"x", in, 1, {1 << 20}}, {"y", &out, 1, {1}}};
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_ERR_LIMIT);
  if (!strstr(messages(&w), "no memory for temporaries, inputs and outputs")) fail_msg("%s", messages(&w));
  assert_message(&w, "bytes, which are free:");
  assert_message(&w, "are missing");
  assert_message(&w, "N = ");
  assert_message(&w, " fits, of 1048576");
  buffers[0].extent[0] = 1; /* and the runtime goes on */
  if (sn_run(r, s, "main", 2, buffers, w.diags)) fail_msg("%s", messages(&w));
  assert_true(out == 2);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  r = runtime_of(&w, (sn_runtime_opt){.memory_limit = 1 << 20});
  s = store_of(&w, r, 1);
  buffers[0].extent[0] = 2;
  assert_int_equal(sn_run(r, s, "main", 2, buffers, w.diags), SN_ERR_LIMIT);
  assert_message(&w, "graph main needs more memory than the limit");
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* More than the staging memory holds, in odd pieces, both ways. */
static void transfers_take_turns(void **state) {
  (void)state;
  enum { N = 7000003 };
  float *x = malloc(N * 4), *y = malloc(N * 4);
  for (int i = 0; i < N; i++) x[i] = (float)(i % 1000);
  for (int mapped = 0; mapped < 2; mapped++) {
    setenv("SN_VULKAN_WITHOUT", mapped ? "" : "mapped,sync2,timestamps", 1);
    world w = vk_world(1);
    const sn_dimx *many = sn_dimx_symbol(w.plan->types, "N", 1, 1 << 24, 1, NULL);
    int a = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, many, NULL);
    int b = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, many, NULL);
    int p = add_slot(&w, "p", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(&w, 3), NULL);
    add_move(&w, 0, SN_STEP_COPY, a, b);
    VK_LAUNCH(&w, 0, VK_ADD, number(&w, 3), p, p, b);
    sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
    sn_store *s = store_of(&w, r, 1);
    int64_t bytes;
    float *weights = sn_store_data(s, p, &bytes);
    for (int i = 0; i < 3; i++) weights[i] = (float)i;
    memset(y, 0, N * 4);
    sn_buffer buffers[] = {{"x", x, 1, {N}}, {"y", y, 1, {N}}};
    for (int round = 0; round < 2; round++)
      if (sn_run(r, s, "main", 2, buffers, w.diags)) fail_msg("%s", messages(&w));
    for (int i = 0; i < 3; i++) assert_true(y[i] == 2 * (float)i);
    assert_memory_equal(x + 3, y + 3, (N - 3) * 4);
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
  unsetenv("SN_VULKAN_WITHOUT");
  free(x);
  free(y);
}

/* ---- pipelines on disk ------------------------------------------------------------------------------------------- */

/* The only file in FOLDER/sinter. */
static void only_file(const char *folder, char *out, size_t bytes) {
  char dir[128];
  snprintf(dir, sizeof dir, "%s/sinter", folder);
  DIR *d = opendir(dir);
  int count = 0;
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    snprintf(out, bytes, "%s/%.200s", dir, e->d_name);
    count++;
  }
  closedir(d);
  assert_int_equal(count, 1);
}

static size_t read_file(const char *path, char *to, size_t most) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(to, 1, most, f);
  fclose(f);
  return n;
}

typedef struct told {
  int count;
  char last[600];
} told;

static void on_warning(void *user, const char *message) {
  told *t = user;
  t->count++;
  snprintf(t->last, sizeof t->last, "%.590s", message);
}

static void creates(world *w, told *t) {
  *t = (told){0};
  sn_runtime_destroy(runtime_of(w, (sn_runtime_opt){.on_warning = on_warning, .warning_user = t}));
}

/* Whatever is in the file, plans run, and a good file is there afterwards; the damage is told, once. */
static void damaged_caches_are_written_anew(void **state) {
  (void)state;
  char folder[64], path[512], *first = malloc(1 << 20), *now = malloc(1 << 20), *old = getenv("XDG_CACHE_HOME");
  if (old) old = strdup(old);
  temp_folder(folder);
  setenv("XDG_CACHE_HOME", folder, 1);
  world w = doubled();
  runs(&w);
  only_file(folder, path, sizeof path);
  size_t bytes = read_file(path, first, 1 << 20);
  assert_true(bytes > 72 && bytes < 1 << 20);
  sn_rng rng = {.seed = 3};
  for (int i = 0; i < 12; i++) {
    memcpy(now, first, bytes);
    size_t size = i < 4 ? (size_t)sn_rng_below(&rng, bytes) : bytes;
    if (i >= 4) now[i < 8 ? sn_rng_below(&rng, 72) : sn_rng_below(&rng, bytes)] ^= 0x55;
    put_file(path, now, size);
    told t;
    if (i % 2) creates(&w, &t);
    if (i % 2 && (t.count != 1 || !strstr(t.last, path) || !strstr(t.last, "is damaged"))) fail_msg("%s", t.last);
    runs(&w);
    assert_int_equal(read_file(path, now, 1 << 20), bytes);
    assert_memory_equal(now, first, bytes);
  }
  assert_int_equal(unlink(path), 0);
  told t;
  creates(&w, &t); /* none is there yet */
  assert_int_equal(t.count, 0);
  creates(&w, &t); /* a good one is */
  assert_int_equal(t.count, 0);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkdir(path, 0700), 0); /* cannot be written: does without */
  creates(&w, &t);
  assert_true(t.count == 1 && strstr(t.last, "cannot be read"));
  runs(&w);
  world_destroy(&w);
  remove_folder(folder);
  if (old)
    setenv("XDG_CACHE_HOME", old, 1);
  else
    unsetenv("XDG_CACHE_HOME");
  free(old);
  free(first);
  free(now);
}

int main(void) {
  if (!vk_there()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(code_that_the_device_cannot_run),
      cmocka_unit_test(code_that_is_none),
      cmocka_unit_test(devices_that_are_not_there),
      cmocka_unit_test(what_layers_say_is_a_mistake),
      cmocka_unit_test(too_little_memory),
      cmocka_unit_test(transfers_take_turns),
      cmocka_unit_test(damaged_caches_are_written_anew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
