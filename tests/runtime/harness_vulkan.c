#include "tests/runtime/harness_vulkan.h"

#include "backends/spirv/spv.h"
#include "runtime/vulkan/vulkan.h"

enum { MANY = 20, WORKSPACE = 64 };

typedef struct kernel {
  spv *s;
  int which;
  spv_id word, wide, number; /* types */
  spv_id i;                  /* instance, u32 */
  spv_id group;              /* linear number of the workgroup */
} kernel;

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static spv_id argument(kernel *k, int n) {
  if (k->which != VK_MANY) return spv_push(k->s, 2 + n);
  spv_id table = spv_push(k->s, 2);
  spv_id index = spv_u32(k->s, (uint32_t)n);
  spv_id at = spv_at(k->s, table, k->wide, 8, index);
  return spv_load(k->s, k->wide, at, 8);
}

static spv_id element(kernel *k, int n, spv_id index) {
  spv_id address = argument(k, n);
  spv_id at = spv_at(k->s, address, k->number, 4, index);
  return spv_load(k->s, k->number, at, 4);
}

static void put(kernel *k, int n, spv_id value) {
  spv_id address = argument(k, n);
  spv_id at = spv_at(k->s, address, k->number, 4, k->i);
  spv_store(k->s, at, value, 4);
}

static void add(kernel *k) {
  spv_id x = element(k, 0, k->i);
  spv_id y = element(k, 1, k->i);
  spv_id z = spv_op2(k->s, SpvOpFAdd, k->number, x, y);
  put(k, 2, z);
}

static void mark(kernel *k) {
  spv_id size = spv_push(k->s, 3);
  spv_id n = spv_op1(k->s, SpvOpConvertUToF, k->number, size);
  spv_id i = spv_op1(k->s, SpvOpConvertUToF, k->number, k->i);
  spv_id product = spv_op2(k->s, SpvOpFMul, k->number, i, n);
  spv_decorate(k->s, product, SpvDecorationNoContraction, 0, NULL);
  spv_id value = spv_op2(k->s, SpvOpFAdd, k->number, product, n);
  spv_decorate(k->s, value, SpvDecorationNoContraction, 0, NULL);
  put(k, 0, value);
}

static void many(kernel *k) {
  spv_id sum = spv_f32(k->s, 0);
  for (int n = 0; n < MANY - 1; n++) {
    spv_id x = element(k, n, k->i);
    spv_id factor = spv_f32(k->s, (float)(n + 1));
    spv_id part = spv_op2(k->s, SpvOpFMul, k->number, x, factor);
    sum = spv_op2(k->s, SpvOpFAdd, k->number, sum, part);
  }
  put(k, MANY - 1, sum);
}

/* Each workgroup has its own cell: those that ran over each other would show. */
static void work(kernel *k) {
  spv_id workspace = spv_push(k->s, 1);
  spv_id size = spv_u32(k->s, WORKSPACE / 4);
  spv_id cell = spv_op2(k->s, SpvOpIMul, k->word, k->group, size);
  spv_id at = spv_at(k->s, workspace, k->number, 4, cell);
  spv_id x = element(k, 0, k->i);
  spv_id three = spv_f32(k->s, 3);
  spv_id product = spv_op2(k->s, SpvOpFMul, k->number, x, three);
  spv_store(k->s, at, product, 4);
  spv_id back = spv_load(k->s, k->number, at, 4);
  spv_id one = spv_f32(k->s, 1);
  spv_id y = spv_op2(k->s, SpvOpFAdd, k->number, back, one);
  put(k, 1, y);
}

static void less(kernel *k) {
  spv_id zero = spv_u32(k->s, 0);
  spv_id x = element(k, 0, zero);
  spv_id y = element(k, 1, zero);
  spv_id truth = spv_bool(k->s);
  spv_id is = spv_op2(k->s, SpvOpFOrdLessThan, truth, x, y);
  spv_id one = spv_u32(k->s, 1);
  spv_id flag = spv_op3(k->s, SpvOpSelect, k->word, is, one, zero);
  spv_id byte = spv_uint_storage(k->s, 8);
  spv_id narrow = spv_op1(k->s, SpvOpUConvert, byte, flag);
  spv_id address = argument(k, 2);
  spv_id at = spv_at(k->s, address, byte, 1, zero);
  spv_store(k->s, at, narrow, 1);
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

static spv_id part(kernel *k, spv_id vector, uint32_t index) {
  return spv_op2(k->s, SpvOpCompositeExtract, k->word, vector, index);
}

/* Instances from the linear number of the workgroup, in steps of their number. */
static void over_instances(kernel *k, void (*body)(kernel *k), spv_id group, spv_id groups) {
  spv_id triple = spv_vector(k->s, k->word, 3);
  spv_id at = spv_load(k->s, triple, group, 0);
  spv_id of = spv_load(k->s, triple, groups, 0);
  spv_id x = part(k, at, 0), y = part(k, at, 1);
  spv_id columns = part(k, of, 0), rows = part(k, of, 1);
  spv_id before = spv_op2(k->s, SpvOpIMul, k->word, y, columns);
  k->group = spv_op2(k->s, SpvOpIAdd, k->word, x, before);
  spv_id step = spv_op2(k->s, SpvOpIMul, k->word, columns, rows);
  spv_id total = spv_push(k->s, 0);
  spv_id limit = spv_op1(k->s, SpvOpUConvert, k->word, total);
  spv_loop l = spv_loop_begin(k->s, k->word, k->group);
  spv_loop_body(k->s, &l, limit, step);
  k->i = l.counter;
  body(k);
  spv_loop_next(k->s, &l);
  spv_loop_end(k->s, &l);
}

static sn_code_blob kernel_blob(world *w, int which) {
  static void (*const bodies[])(kernel *) = {add, mark, many, work, less};
  static const char *const names[] = {"add", "mark", "many", "work", "less"};
  static const int arguments[] = {3, 2, 1, 2, 3};
  kernel k = {.s = spv_begin(w->arena, (spv_opt){.int64 = true}), .which = which};
  const uint32_t *words;
  size_t count;
  k.word = spv_uint(k.s, 32);
  k.wide = spv_uint(k.s, 64);
  k.number = spv_float(k.s, 32);
  spv_id triple = spv_vector(k.s, k.word, 3);
  spv_id group = spv_builtin(k.s, SpvBuiltInWorkgroupId, triple);
  spv_id groups = spv_builtin(k.s, SpvBuiltInNumWorkgroups, triple);
  if (which == VK_LESS) {
    spv_capability(k.s, SpvCapabilityStorageBuffer8BitAccess);
    spv_capability(k.s, SpvCapabilityInt8);
  }
  spv_push_block(k.s, 2 + arguments[which]);
  spv_main(k.s);
  over_instances(&k, bodies[which], group, groups);
  if (spv_end(k.s, 1, w->diags, &words, &count)) fail_msg("%s", messages(w));
  return (sn_code_blob){.kind = SN_CODE_SPIRV,
                        .name = names[which],
                        .bytes = (const unsigned char *)words,
                        .byte_count = (int64_t)count * 4,
                        .entry = 1,
                        .workspace_bytes = which == VK_WORK ? WORKSPACE : 0,
                        .features = which == VK_LESS ? "int64 int8 storage8" : "int64"};
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

bool vk_there(void) {
  sn_vulkan_facts f;
  sn_diags *d = sn_diags_create();
  bool there = sn_vulkan_facts_get(d, &f) == SN_OK;
  if (!there) printf("skipped: %s\n", sn_diags_print(d, d->arena));
  sn_diags_destroy(d);
  return there;
}

world vk_world(int graphs) {
  world w = world_create(graphs);
  w.plan->code = SN_ARRAY(w.arena, VK_KERNELS, sn_code_blob);
  w.plan->code_count = VK_KERNELS;
  for (int i = 0; i < VK_KERNELS; i++) w.plan->code[i] = kernel_blob(&w, i);
  w.plan->target = "vulkan";
  return w;
}

void vk_launch(world *w, int graph, int which, int count, const int *args, const sn_dimx *instances) {
  sn_step *s = new_step(w, graph, SN_STEP_LAUNCH);
  sn_plan_arg *arg = SN_ARRAY(w->arena, count, sn_plan_arg);
  for (int i = 0; i < count; i++) arg[i] = (sn_plan_arg){which != VK_MARK || i == 0, args[i]};
  s->code = which, s->arg = arg, s->arg_count = count, s->grid[0] = instances;
  s->writes = which == VK_MARK ? 1 : UINT64_C(1) << (count - 1);
}
