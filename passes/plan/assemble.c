/* Slots, kernels and steps -> plan: numbering, duplicates, lifetimes of temporaries. */
#include "passes/plan/assemble.h"

#include <string.h>

#include "passes/kernel/kernel_passes.h"

void sn_assemble_begin(sn_plan_build *p, sn_arena *arena, sn_diags *diags, const sn_target *target, sn_types *types) {
  *p = (sn_plan_build){.arena = arena, .diags = diags, .target = target, .types = types};
  p->kernel_of_text = sn_map_create(arena);
  p->name_uses = sn_map_create(arena);
  p->packed = sn_map_create(arena);
}

int sn_assemble_slot(sn_plan_build *p, const sn_slot *s) {
  SN_GROW(p->arena, p->slot, p->slot_count, p->slot_capacity);
  p->slot[p->slot_count] = *s;
  return p->slot_count++;
}

int sn_assemble_temp(sn_plan_build *p, const char *name, const sn_type *type, const sn_dimx *elements) {
  sn_slot s = {.role = SN_SLOT_TEMP,
               .type = type,
               .elements = elements,
               .graph = p->graph_count,
               .first = -1,
               .last = -1,
               .alias = -1,
               .buddy = -1};
  if (p->preparing) s.role = SN_SLOT_PACKED, s.graph = -1;
  s.name = p->preparing ? sn_arena_printf(p->arena, "ahead%d.%s", p->ahead++, name)
                        : sn_arena_printf(p->arena, "t%d.%s", p->temps++, name);
  return sn_assemble_slot(p, &s);
}

/* ---- kernels --------------------------------------------------------------------------------------------- */

/* "map_add", then "map_add_2" for the next different kernel that wants this name. */
static const char *unique_name(sn_plan_build *p, const char *name) {
  int64_t *uses = sn_map_get_str(p->name_uses, name);
  if (!uses) {
    uses = SN_NEW(p->arena, int64_t);
    sn_map_put_str(p->name_uses, name, uses);
  }
  return ++*uses == 1 ? name : sn_arena_printf(p->arena, "%s_%lld", name, (long long)*uses);
}

static const char *text_of(sn_plan_build *p, const sn_kernel *k) {
  sn_text text = sn_text_begin(p->arena);
  sn_kernel_print(&text, k);
  return text.at;
}

/* Equal kernels are found twice: as they were written, which saves simplifying them, and simplified. */
sn_code sn_assemble_kernel(sn_plan_build *p, sn_kernel *k, int *out) {
  const char *written = text_of(p, sn_kernel_finish(p->arena, k));
  const int *known = sn_map_get_str(p->kernel_of_text, written);
  if (known) {
    *out = *known;
    return SN_OK;
  }
  SN_TRY(sn_kernel_verify(k, p->diags));
  k = sn_kernel_passes(p->arena, k, p->env);
  SN_TRY(sn_kernel_verify(k, p->diags));
  const char *text = text_of(p, k);
  known = sn_map_get_str(p->kernel_of_text, text);
  if (known)
    *out = *known;
  else {
    k->name = unique_name(p, k->name);
    SN_GROW(p->arena, p->kernel, p->kernel_count, p->kernel_capacity);
    p->kernel[p->kernel_count] = k;
    *out = p->kernel_count++;
  }
  int *position = sn_arena_copy(p->arena, out, sizeof *out);
  sn_map_put_str(p->kernel_of_text, written, position);
  if (!known) sn_map_put_str(p->kernel_of_text, text, position);
  return SN_OK;
}

void sn_assemble_step(sn_plan_build *p, const sn_step *s, bool prepare) {
  sn_step copy = *s;
  if (s->arg_count) copy.arg = sn_arena_copy(p->arena, s->arg, (size_t)s->arg_count * sizeof *s->arg);
  if (prepare || p->preparing) {
    SN_GROW(p->arena, p->prepare, p->prepare_count, p->prepare_capacity);
    p->prepare[p->prepare_count++] = copy;
  } else {
    SN_GROW(p->arena, p->step, p->step_count, p->step_capacity);
    p->step[p->step_count++] = copy;
  }
}

/* ---- graphs ------------------------------------------------------------------------------------------------ */

static void touch(sn_plan_build *p, int slot, int step) {
  sn_slot *s = &p->slot[slot];
  if (s->role != SN_SLOT_TEMP || s->graph != p->graph_count) return;
  if (s->first < 0) s->first = step;
  s->last = step;
}

static void find_lives(sn_plan_build *p) {
  for (int i = 0; i < p->step_count; i++) {
    const sn_step *s = &p->step[i];
    if (s->kind == SN_STEP_LAUNCH) {
      for (int k = 0; k < s->arg_count; k++)
        if (s->arg[k].is_slot) touch(p, s->arg[k].index, i);
      continue;
    }
    touch(p, s->from, i);
    if (s->kind == SN_STEP_COPY || s->kind == SN_STEP_SWAP) touch(p, s->to, i);
  }
  if (!p->env || sn_rule_enabled(p->env, "memory.reuse")) return;
  for (int i = 0; i < p->slot_count; i++) { /* every temporary has storage of its own */
    touch(p, i, 0);
    touch(p, i, p->step_count - 1);
    if (p->slot[i].role == SN_SLOT_TEMP && p->slot[i].graph == p->graph_count) p->slot[i].first = 0;
  }
}

/* What a loop finds and uses lives through all of it: the next round needs it too. Outer loops come last, so that what
 * an inner one prolongs is seen by them. */
static void extend_lives(sn_plan_build *p) {
  for (int i = p->step_count - 1; i >= 0; i--) {
    if (p->step[i].kind != SN_STEP_WHILE) continue;
    int end = sn_step_end(p->step, i);
    for (int k = 0; k < p->slot_count; k++) {
      sn_slot *s = &p->slot[k];
      bool here = s->role == SN_SLOT_TEMP && s->graph == p->graph_count;
      if (here && s->first >= 0 && s->first <= i && s->last >= i && s->last < end) s->last = end - 1;
    }
  }
}

int sn_assemble_begin_blocks(sn_plan_build *p, const sn_step *s) {
  sn_assemble_step(p, s, false);
  return p->step_count - 1;
}

void sn_assemble_end_block(sn_plan_build *p, int step, int block) {
  sn_step *s = &p->step[step];
  s->block[block] = p->step_count - step - 1 - (block ? s->block[0] : 0);
}

void sn_assemble_graph(sn_plan_build *p, const char *name, int refusal_count, const sn_refusal *refusal) {
  find_lives(p);
  extend_lives(p);
  SN_GROW(p->arena, p->graph, p->graph_count, p->graph_capacity);
  sn_plan_graph *g = &p->graph[p->graph_count++];
  *g = (sn_plan_graph){.name = name, .step_count = p->step_count, .step = p->step, .refusal_count = refusal_count};
  if (refusal_count) g->refusal = sn_arena_copy(p->arena, refusal, (size_t)refusal_count * sizeof *refusal);
  p->step = NULL;
  p->step_count = p->step_capacity = p->temps = 0;
}

sn_plan *sn_assemble_end(sn_plan_build *p) {
  sn_plan *plan = SN_NEW(p->arena, sn_plan);
  *plan = (sn_plan){.arena = p->arena,
                    .types = p->types,
                    .model = "model",
                    .settings = "",
                    .slot_count = p->slot_count,
                    .slot = p->slot,
                    .code_count = p->kernel_count,
                    .graph_count = p->graph_count,
                    .graph = p->graph,
                    .prepare_count = p->prepare_count,
                    .prepare = p->prepare};
  plan->target = sn_arena_printf(p->arena, "%s %s", p->target->name, p->target->features);
  plan->code = SN_ARRAY(p->arena, p->kernel_count, sn_code_blob);
  for (int i = 0; i < p->kernel_count; i++) plan->code[i].name = p->kernel[i]->name;
  return plan;
}
