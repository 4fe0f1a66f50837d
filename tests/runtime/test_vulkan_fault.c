/* Calls to the driver fail, each function at each place where a plan's life reaches it: a message, nothing lost, and
 * the runtime goes on unless the device is gone. Needs the layer of tests/fault/vulkan.c. */
#include "tests/runtime/harness_vulkan.h"

#ifndef SN_VULKAN_FAULT_LAYER
#define SN_VULKAN_FAULT_LAYER ""
#endif

/* main(x [T]) -> y: check x < x + x; m = m + x; y = m + x */
static world counting(void) {
  world w = vk_world(1);
  const sn_dimx *four = number(&w, 4);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, four, NULL);
  int m = add_slot(&w, "m", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, four, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, four, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 1, four, NULL);
  int flag = add_slot(&w, "flag", SN_SLOT_TEMP, 0, SN_ELEM_BOOL, 0, NULL, NULL);
  live(&w, t, 0, 4);
  live(&w, flag, 1, 2);
  VK_LAUNCH(&w, 0, VK_ADD, four, x, x, t);
  VK_LAUNCH(&w, 0, VK_LESS, number(&w, 1), x, t, flag);
  add_move(&w, 0, SN_STEP_CHECK, flag, -1);
  VK_LAUNCH(&w, 0, VK_ADD, four, m, x, t);
  add_move(&w, 0, SN_STEP_COPY, t, m);
  VK_LAUNCH(&w, 0, VK_ADD, four, m, x, y);
  return w;
}

typedef struct outcome {
  sn_code code;     /* of the first failure */
  bool in_run;      /* it was a run that failed */
  const char *said; /* in the world's arena */
} outcome;

static const float in[4] = {1, 2, 3, 4};

static sn_code once(sn_runtime *r, sn_store *s, int done, sn_diags *diags) {
  float x[4], y[4];
  memcpy(x, in, sizeof x);
  sn_buffer buffers[] = {{"x", x, 1, {4}}, {"y", y, 1, {4}}};
  SN_TRY(sn_run(r, s, "main", 2, buffers, diags));
  for (int i = 0; i < 4; i++) assert_true(y[i] == (float)(done + 2) * in[i]);
  return SN_OK;
}

/* The state is that of `done` runs, or of one more when what failed came behind its change: the device went away, or
 * the outputs could not be fetched. -> runs that it is of */
static int state_is(sn_store *s, int done, bool exactly) {
  int64_t bytes;
  const float *m = sn_store_read(s, 1, &bytes);
  if (!m) return done; /* gone with the device */
  bool before = true, after = true;
  for (int i = 0; i < 4; i++) {
    before &= m[i] == (float)done * in[i];
    after &= m[i] == (float)(done + 1) * in[i];
  }
  assert_true(before || (!exactly && after));
  return done + !before;
}

static bool outputs_are_fetched(void) {
  const char *without = getenv("SN_VULKAN_WITHOUT");
  return without && strstr(without, "mapped");
}

static outcome run_after(sn_runtime *r, sn_store *s, int done, world *w, outcome o) {
  if (o.code == SN_ERR_DEVICE && strstr(o.said, "VK_ERROR_DEVICE_LOST")) {
    assert_int_equal(once(r, s, done, w->diags), SN_ERR_DEVICE); /* at once, without a call */
    assert_message(w, "was lost in an earlier run");
    assert_null(sn_runtime_slot(r, 1, NULL));
  } else {
    if (once(r, s, done, w->diags)) fail_msg("%s", messages(w));
    state_is(s, done + 1, true);
  }
  return o;
}

/* A runtime, a store, two runs, with what SN_VK_FAULT says. */
static outcome live_through(world *w, sn_runtime **r, sn_store **s) {
  outcome o = {0};
  o.code = sn_runtime_create(w->plan, NULL, w->diags, r);
  if (!o.code) o.code = sn_store_create(*r, 1, NULL, w->diags, s);
  for (int done = 0; done < 2 && !o.code; done++) {
    o.code = once(*r, *s, done, w->diags);
    o.in_run = o.code != SN_OK;
    if (!o.in_run) continue;
    o.said = messages(w);
    bool exactly = !strstr(o.said, "VK_ERROR_DEVICE_LOST") && !outputs_are_fetched();
    return run_after(*r, *s, state_is(*s, done, exactly), w, o);
  }
  if (!o.code) state_is(*s, 2, true);
  o.said = messages(w);
  return o;
}

static int faults_of(const char *name, sn_code wanted, const char *text) {
  int at = 0;
  for (outcome o = {.code = wanted}; o.code;) {
    char fault[64];
    snprintf(fault, sizeof fault, "%s %d", name, ++at);
    setenv("SN_VK_FAULT", fault, 1);
    world w = counting();
    sn_runtime *r = NULL;
    sn_store *s = NULL;
    o = live_through(&w, &r, &s);
    if (o.code && (o.code != wanted || !strstr(o.said, text)))
      fail_msg("%s: %d, expected %d and \"%s\": %s", fault, o.code, wanted, text, o.said);
    unsetenv("SN_VK_FAULT");
    sn_store_destroy(s);
    sn_runtime_destroy(r);
    world_destroy(&w);
  }
  print_message("%s: %d places\n", name, at - 1);
  return at - 1;
}

static void memory_runs_out(void **state) {
  (void)state;
  assert_true(faults_of("vkAllocateMemory", SN_ERR_LIMIT, "no memory for") >= 4);
  assert_true(faults_of("vkCreateBuffer", SN_ERR_LIMIT, "no memory for") >= 4);
  assert_true(faults_of("vkBindBufferMemory", SN_ERR_LIMIT, "vkBindBufferMemory says VK_ERROR_OUT_OF_DEVICE") >= 4);
  assert_true(faults_of("vkMapMemory", SN_ERR_DEVICE, "vkMapMemory says VK_ERROR_MEMORY_MAP_FAILED") >= 1);
  assert_true(faults_of("vkAllocateCommandBuffers", SN_ERR_LIMIT, "vkAllocateCommandBuffers says") >= 2);
  assert_true(faults_of("vkBeginCommandBuffer", SN_ERR_LIMIT, "vkBeginCommandBuffer says") >= 2);
  assert_true(faults_of("vkEndCommandBuffer", SN_ERR_LIMIT, "vkEndCommandBuffer says") >= 2);
}

static void parts_cannot_be_made(void **state) {
  (void)state;
  assert_int_equal(faults_of("vkCreateDevice", SN_ERR_DEVICE, "vkCreateDevice says"), 1);
  assert_int_equal(faults_of("vkCreateSemaphore", SN_ERR_LIMIT, "vkCreateSemaphore says"), 1);
  assert_int_equal(faults_of("vkCreateCommandPool", SN_ERR_LIMIT, "vkCreateCommandPool says"), 1);
  assert_int_equal(faults_of("vkCreatePipelineLayout", SN_ERR_LIMIT, "vkCreatePipelineLayout says"), 1);
  assert_int_equal(faults_of("vkCreateShaderModule", SN_ERR_LIMIT, "the code is that of kernel"), VK_KERNELS);
  assert_int_equal(faults_of("vkCreateComputePipelines", SN_ERR_LIMIT, "the code is that of kernel"), VK_KERNELS);
  faults_of("vkCreateQueryPool", SN_ERR_LIMIT, "vkCreateQueryPool says");   /* none where there is no clock */
  assert_int_equal(faults_of("vkCreatePipelineCache", SN_ERR_FAIL, ""), 0); /* does without */
}

static void the_device_is_lost(void **state) {
  (void)state;
  assert_true(faults_of("vkQueueSubmit", SN_ERR_DEVICE, "vkQueueSubmit says VK_ERROR_DEVICE_LOST") >= 4);
  assert_true(faults_of("vkWaitSemaphores", SN_ERR_DEVICE, "vkWaitSemaphores says VK_ERROR_DEVICE_LOST") >= 4);
  setenv("SN_VK_FAULT", "vkWaitSemaphores 2", 1);
  world w = counting();
  sn_runtime *r = NULL;
  sn_store *s = NULL;
  outcome o = live_through(&w, &r, &s);
  assert_non_null(strstr(o.said, "the kernel that was submitted last is add"));
  unsetenv("SN_VK_FAULT");
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

/* ---- devices that are less --------------------------------------------------------------------------------------- */

static void creating_says(sn_code wanted, const char *text) {
  world w = counting();
  sn_runtime *r = NULL;
  sn_code code = sn_runtime_create(w.plan, NULL, w.diags, &r);
  if (code != wanted || !strstr(messages(&w), text))
    fail_msg("%d, expected %d and \"%s\": %s", code, wanted, text, messages(&w));
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void devices_that_cannot_be_used(void **state) {
  static const char *const rows[][2] = {
      {"1.2", "its driver is older than Vulkan 1.2"},
      {"compute", "it has no queue for compute"},
      {"bufferDeviceAddress", "it lacks bufferDeviceAddress"},
      {"timelineSemaphore", "it lacks timelineSemaphore"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    setenv("SN_VK_LACKS", rows[i][0], 1);
    creating_says(SN_ERR_DEVICE, rows[i][1]);
    setenv("SN_VULKAN_DEVICE", "0", 1);
    creating_says(SN_ERR_DEVICE, rows[i][1]);
    unsetenv("SN_VULKAN_DEVICE");
  }
  unsetenv("SN_VK_LACKS");
  creating_says(SN_OK, "");
}

/* main(x [N]) -> y [N] with temporaries of 1 KiB for each: the number that is said to fit fits. */
static world large(void) {
  world w = vk_world(1);
  const sn_dimx *n = sn_dimx_symbol(w.plan->types, "N", 1, 1 << 20, 1, NULL);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, n, NULL);
  int t = add_slot(&w, "t", SN_SLOT_TEMP, 0, SN_ELEM_F32, 2, n, number(&w, 256));
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, n, NULL);
  live(&w, t, 0, 1);
  VK_LAUNCH(&w, 0, VK_ADD, n, x, x, t);
  VK_LAUNCH(&w, 0, VK_ADD, n, t, x, y);
  return w;
}

static sn_code run_large(sn_runtime *r, sn_store *s, int64_t n, float *x, sn_diags *diags) {
  sn_buffer buffers[] = {{"x", x, 1, {n}}, {"y", x + n, 1, {n}}};
  return sn_run(r, s, "main", 2, buffers, diags);
}

static void the_batch_that_is_said_to_fit_does(void **state) {
  (void)state;
  enum { N = 1 << 18 };
  float *x = calloc(2 * N + 2, sizeof *x);
  setenv("SN_VK_HEAP", "40000000", 1);
  world w = large();
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, r, 1);
  assert_int_equal(run_large(r, s, N, x, w.diags), SN_ERR_LIMIT);
  const char *at = strstr(messages(&w), "N = ");
  if (!at || !strstr(at, " fits, of 262144") || !strstr(messages(&w), "are missing")) fail_msg("%s", messages(&w));
  int64_t fits = strtoll(at + 4, NULL, 10);
  if (run_large(r, s, fits, x, w.diags)) fail_msg("%d was to fit: %s", (int)fits, messages(&w));
  assert_int_equal(run_large(r, s, fits + fits / 50 + 1, x, w.diags), SN_ERR_LIMIT);
  if (run_large(r, s, fits, x, w.diags)) fail_msg("the runtime goes on: %s", messages(&w));
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
  unsetenv("SN_VK_HEAP");
  free(x);
}

int main(void) {
  if (!*SN_VULKAN_FAULT_LAYER) {
    printf("skipped: the layer that makes calls fail is not built\n");
    return 77;
  }
  setenv("VK_LAYER_PATH", SN_VULKAN_FAULT_LAYER, 1);
  setenv("VK_INSTANCE_LAYERS", "VK_LAYER_SN_fault", 1);
  if (!vk_there()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_runs_out),
      cmocka_unit_test(parts_cannot_be_made),
      cmocka_unit_test(the_device_is_lost),
      cmocka_unit_test(devices_that_cannot_be_used),
      cmocka_unit_test(the_batch_that_is_said_to_fit_does),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
