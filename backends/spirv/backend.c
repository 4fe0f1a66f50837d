/* The backend of Vulkan devices: one kernel -> one SPIR-V module. */
#include "backends/spirv/spirv_backend.h"

#include <string.h>

#include "backends/spirv/sg.h"
#include "generator.h" /* made by the build */

/* ---- entry ------------------------------------------------------------------------------------------------------- */

static spv_id builtin(sg *g, uint32_t which, uint32_t parts) {
  spv_id word = spv_uint(g->s, 32);
  spv_id type = parts == 1 ? word : spv_vector(g->s, word, parts);
  return spv_builtin(g->s, which, type);
}

static spv_id part(sg *g, spv_id vector, uint32_t i) {
  spv_id word = spv_uint(g->s, 32);
  return spv_op2(g->s, SpvOpCompositeExtract, word, vector, i);
}

typedef struct inputs {
  spv_id group, groups, lane, subgroup, local;
} inputs;

static inputs declare(sg *g) {
  inputs in = {.group = builtin(g, SpvBuiltInWorkgroupId, 3)};
  in.groups = builtin(g, SpvBuiltInNumWorkgroups, 3);
  if (g->S == 1) {
    in.local = builtin(g, SpvBuiltInLocalInvocationIndex, 1);
    return in;
  }
  spv_capability(g->s, SpvCapabilityGroupNonUniform);
  spv_capability(g->s, SpvCapabilityGroupNonUniformShuffle);
  in.subgroup = builtin(g, SpvBuiltInSubgroupId, 1);
  in.lane = builtin(g, SpvBuiltInSubgroupLocalInvocationId, 1);
  return in;
}

/* The number of an invocation: subgroups one after another, whatever order the device counts in. */
static void number_invocations(sg *g, inputs in) {
  spv_id word = spv_uint(g->s, 32);
  if (g->S == 1) {
    g->tid = spv_load(g->s, word, in.local, 0);
  } else {
    spv_id subgroup = g->subgroup = spv_load(g->s, word, in.subgroup, 0);
    spv_id lane = spv_load(g->s, word, in.lane, 0);
    subgroup = sg_mul(g, subgroup, g->S);
    g->tid = sg_int(g, SpvOpIAdd, subgroup, lane);
  }
  g->tx = sg_intc(g, SpvOpBitwiseAnd, g->tid, g->TX - 1);
  g->ty = sg_intc(g, SpvOpShiftRightLogical, g->tid, (uint32_t)__builtin_ctz(g->TX));
}

/* The linear number of the workgroup, and how many there are: 64 bits. */
static spv_id linear_group(sg *g, inputs in, spv_id *count) {
  spv_id word = spv_uint(g->s, 32);
  spv_id three = spv_vector(g->s, word, 3);
  spv_id id = spv_load(g->s, three, in.group, 0), all = spv_load(g->s, three, in.groups, 0);
  spv_id p[4];
  p[0] = part(g, id, 0), p[1] = part(g, id, 1), p[2] = part(g, all, 0), p[3] = part(g, all, 1);
  for (int i = 0; i < 4; i++) p[i] = sg_long_of(g, p[i]);
  spv_id row = sg_long(g, SpvOpIMul, p[1], p[2]);
  *count = sg_long(g, SpvOpIMul, p[2], p[3]);
  return sg_long(g, SpvOpIAdd, row, p[0]);
}

/* Are there surely less than 2^32 instances? */
static bool few_instances(const sg *g) {
  int64_t lo, hi, all = 1;
  for (int i = 0; i < g->k->grid_count; i++) {
    sn_k_bounds(g->k, g->k->grid[i], &lo, &hi);
    if (hi < 1 || hi > UINT32_MAX / all) return false;
    all *= hi;
  }
  return true;
}

static void split_instance(sg *g, spv_id instance) {
  bool small = few_instances(g);
  for (int i = g->k->grid_count - 1; i >= 0; i--) {
    if (i == 0) {
      g->grid[0] = instance;
      return;
    }
    spv_id extent = sg_index(g, g->k->grid[i]);
    g->grid[i] = sg_long_divide(g, SpvOpUMod, instance, extent, small);
    instance = sg_long_divide(g, SpvOpUDiv, instance, extent, small);
  }
}

/* The instances of this workgroup: one, or where there is a workspace, as many as its share is. */
static void instances(sg *g, spv_id first, spv_id count) {
  spv_id total = spv_push(g->s, 0), type = sg_long_type(g);
  int mark = g->trail_count;
  if (!g->global_words) {
    spv_id there = sg_long_test(g, SpvOpULessThan, first, total), merge = spv_if(g->s, there);
    split_instance(g, first);
    sg_block(g, g->k->body);
    sg_index_forget(g, mark);
    spv_end_if(g->s, merge);
    return;
  }
  spv_id base = sg_address(g, spv_push(g->s, 1)), mine = sg_longc(g, SpvOpIMul, first, 4 * g->global_words);
  g->workspace = sg_long(g, SpvOpIAdd, base, mine);
  spv_loop l = spv_loop_begin(g->s, type, first);
  sg_long_loop_body(g, &l, total, count);
  for (int i = 0; i < g->words; i++) g->read[i] = g->written[i] = ~(uint64_t)0; /* the instance before */
  split_instance(g, l.counter);
  sg_block(g, g->k->body);
  sg_index_forget(g, mark);
  spv_loop_next(g->s, &l);
  sg_long_loop_end(g, &l);
}

/* Does the kernel compute with f64? */
static bool has_f64(const sg *g) {
  for (sn_kv v = 1; v < g->k->ins_count; v++)
    if (sg_is_tile(sg_ins(g, v)) && sg_ins(g, v)->type.elem == SN_ELEM_F64) return true;
  return false;
}

static void keep_nan(sg *g, uint32_t bits) {
  spv_capability(g->s, SpvCapabilitySignedZeroInfNanPreserve);
  spv_mode(g->s, SpvExecutionModeSignedZeroInfNanPreserve, bits);
}

/* Drivers that do loads without anybody to do them: at one address for all, that is, and so addresses seem to differ
 * from invocation to invocation. */
static void set_apart(sg *g) {
  if (!g->t->gpu.idle_loads) return;
  spv_id none = sg_low(g, sg_longc(g, SpvOpBitwiseAnd, spv_push(g->s, 1), 3)); /* of an aligned address */
  g->apart = sg_long_of(g, sg_int(g, SpvOpBitwiseAnd, none, g->tid));
}

static void write_module(sg *g) {
  spv_push_block(g->s, 2 + (g->k->param_count > SG_ARGS ? 1 : g->k->param_count));
  inputs in = declare(g);
  sg_slots_begin(g);
  if (g->t->gpu.keeps_nan) keep_nan(g, 32);
  if (g->t->gpu.keeps_nan64 && has_f64(g)) keep_nan(g, 64);
  sg_debug_begin(g);
  spv_main(g->s);
  spv_id count, first;
  number_invocations(g, in);
  sg_debug_entry(g);
  first = linear_group(g, in, &count);
  set_apart(g);
  if (g->k->param_count > SG_ARGS) g->table = sg_address(g, spv_push(g->s, 2));
  instances(g, first, count);
}

/* ---- the backend ------------------------------------------------------------------------------------------------- */

static bool supports(const sn_target *t, const sn_kernel *k, sn_arena *arena, const char **why) {
  sg g = {.k = k, .t = t, .arena = arena};
  bool ok = sg_analyse(&g);
  *why = g.why;
  return ok;
}

static const char *needs(const sg *g) {
  sn_text t = sn_text_begin(g->arena);
  sn_text_add(&t, "%sshared=%lld invocations=%u", g->t->gpu.no_int64 ? "" : "int64 ", (long long)sg_shared_bytes(g),
              g->NT);
  if (g->S > 1) sn_text_add(&t, " subgroup=%u subgroups=%u shuffle", g->S, g->NT / g->S);
  if (g->t->gpu.storage16 && !g->t->gpu.no_int64) sn_text_add(&t, " storage16");
  if (g->t->gpu.storage8 && !g->t->gpu.no_int64) sn_text_add(&t, " storage8");
  if (g->t->gpu.float64 && has_f64(g)) sn_text_add(&t, " float64");
  if (g->t->gpu.keeps_nan) sn_text_add(&t, " preserve32");
  if (g->t->gpu.keeps_nan64 && has_f64(g)) sn_text_add(&t, " preserve64");
  if (!g->t->gpu.idle_loads) sn_text_add(&t, " masked_loads");
  if (!g->matrices) return t.at;
  const sn_gpu_matrix *f16 = &g->t->gpu.f16, *bf16 = &g->t->gpu.bf16, *i8 = &g->t->gpu.i8;
  sn_text_add(&t, " int16 memory_model");
  if (f16->m) sn_text_add(&t, " float16 matrix=f16,f16,f32,f32,%dx%dx%d", f16->m, f16->n, f16->k);
  if (bf16->m) sn_text_add(&t, " bf16 matrix=bf16,bf16,f32,f32,%dx%dx%d", bf16->m, bf16->n, bf16->k);
  if (i8->m) sn_text_add(&t, " int8 matrix=i8,i8,i32,i32,%dx%dx%d", i8->m, i8->n, i8->k);
  return t.at;
}

static sn_code module_of(const sn_target *t, const sn_kernel *k, sn_arena *arena, sn_diags *diags, sn_code_blob *out) {
  SN_TRY(sn_kernel_verify(k, diags));
  sg g = {.k = k, .t = t, .arena = arena};
  if (!sg_analyse(&g)) return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "kernel %s: %s", k->name, g.why);
  g.s = spv_begin(
      arena,
      (spv_opt){.names = t->debug_info, .name = k->name, .int64 = !t->gpu.no_int64, .vulkan_memory = g.matrices});
  write_module(&g);
  const uint32_t *words;
  size_t count;
  SN_TRY(spv_end(g.s, g.NT, diags, &words, &count));
  if (sn_spirv_inspect) SN_TRY(sn_spirv_inspect(words, count, arena, diags));
  *out = (sn_code_blob){.kind = SN_CODE_SPIRV,
                        .name = k->name,
                        .bytes = (const unsigned char *)words,
                        .byte_count = (int64_t)(count * sizeof *words),
                        .entry = g.NT,
                        .workspace_bytes = 4 * g.global_words,
                        .features = needs(&g)};
  return SN_OK;
}

static sn_code show(const sn_target *t, const sn_kernel *k, const char *what, sn_text *out, sn_diags *diags) {
  sn_code_blob blob;
  sn_target with_names = *t;
  (void)what;
  with_names.debug_info = true;
  SN_TRY(module_of(&with_names, k, out->arena, diags, &blob));
  return spv_print(out, (const uint32_t *)(const void *)blob.bytes, (size_t)blob.byte_count / 4, diags);
}

static sn_code describe(sn_target *out, sn_diags *diags) {
  (void)diags;
  *out = sn_target_vulkan(&(sn_gpu){0});
  return SN_OK;
}

const sn_backend *sn_backend_spirv(void) {
  static const sn_backend backend = {"spirv", "generator " SN_GENERATOR, supports, module_of, show, describe};
  return &backend;
}
