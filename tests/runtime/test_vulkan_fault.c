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

/* The state is that of `done` runs, or of one more when the device went away behind its change. */
static void state_is(sn_store *s, int done, bool exactly) {
  int64_t bytes;
  const float *m = sn_store_read(s, 1, &bytes);
  if (!m) return; /* gone with the device */
  bool before = true, after = true;
  for (int i = 0; i < 4; i++) {
    before &= m[i] == (float)done * in[i];
    after &= m[i] == (float)(done + 1) * in[i];
  }
  assert_true(before || (!exactly && after));
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
    state_is(*s, done, !strstr(o.said, "VK_ERROR_DEVICE_LOST"));
    return run_after(*r, *s, done, w, o);
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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
