/* Equal fused nodes -> steps of one, with the slots of each.
 *
 *   1. The key is all that a schedule writer can see: the body (one pointer for equal ones), the kind, and of each slot
 *      its role, type, size, whether graphs change it, what it shares storage with, and which slots are the same.
 *   2. What lowering a node added to the plan is kept if it is launches of kernels on the node's own slots and on new
 *      temporaries. Packed parameters, steps of their preparation and blocks of steps are not repeated.
 *   3. A node of equal key gets the same launches; only its slots and the place that reports name differ. */
#include "passes/lower/repeat.h"

#include <stdio.h>
#include <string.h>

#include "passes/plan/assemble.h"

/* A temporary of the node. */
typedef struct temp {
  const char *name; /* without its number */
  const sn_type *type;
  const sn_dimx *elements;
} temp;

/* Arguments of steps that are slots: places among arguments, results and temporaries of the node. */
typedef struct made {
  int step_count, temp_count;
  sn_step *step;
  temp *temp;
} made;

void sn_repeat_begin(sn_repeat *r, sn_arena *arena) { *r = (sn_repeat){arena, sn_map_create(arena)}; }

/* ---- what is alike --------------------------------------------------------------------------------------------- */

static int slot_of(const sn_lower_ctx *c, int place) {
  return place < c->arg_count ? c->arg_slot[place] : c->result_slot[place - c->arg_count];
}

static int place_of(const sn_lower_ctx *c, int slot) {
  for (int i = 0; i < c->arg_count + c->result_count; i++)
    if (slot_of(c, i) == slot) return i;
  return -1;
}

static const char *key_of(const sn_repeat *r, const sn_lower_ctx *c) {
  sn_text t = sn_text_begin(r->arena);
  sn_text_add(&t, "%p %s %d", (const void *)c->body, sn_node_attr(c->fused, "kind")->s, c->in_place);
  for (int i = 0; i < c->arg_count + c->result_count; i++) {
    const sn_slot *s = &c->plan->slot[slot_of(c, i)];
    sn_text_add(&t, " %d %d %d %d %d %p %p", place_of(c, slot_of(c, i)), (int)s->role, s->frozen, s->graph >= 0,
                s->alias < 0 ? -1 : place_of(c, s->alias), (const void *)s->type, (const void *)s->elements);
  }
  return t.at;
}

/* ---- keeping -------------------------------------------------------------------------------------------------- */

typedef struct state {
  int slots, steps, prepares;
} state;

static state state_of(const sn_lower_ctx *c) {
  return (state){c->plan->slot_count, c->plan->step_count, c->plan->prepare_count};
}

static bool keep_step(sn_repeat *r, const sn_lower_ctx *c, const state *before, const sn_step *from, sn_step *to) {
  if (from->kind != SN_STEP_LAUNCH) return false;
  *to = *from;
  sn_plan_arg *arg = SN_ARRAY(r->arena, from->arg_count, sn_plan_arg);
  for (int i = 0; i < from->arg_count; i++) {
    arg[i] = from->arg[i];
    if (!arg[i].is_slot) continue;
    int slot = arg[i].index, place = place_of(c, slot);
    if (place < 0 && slot < before->slots) return false;
    arg[i].index = place >= 0 ? place : c->arg_count + c->result_count + slot - before->slots;
  }
  to->arg = arg;
  return true;
}

static bool keep_temp(const sn_slot *s, temp *to) {
  const char *name = strchr(s->name, '.');
  if (s->role != SN_SLOT_TEMP || !name) return false;
  *to = (temp){name + 1, s->type, s->elements};
  return true;
}

static made *keep(sn_repeat *r, const sn_lower_ctx *c, const state *before) {
  const sn_plan_build *p = c->plan;
  made *m = SN_NEW(r->arena, made);
  if (p->prepare_count != before->prepares) return NULL;
  m->step_count = p->step_count - before->steps, m->temp_count = p->slot_count - before->slots;
  m->step = SN_ARRAY(r->arena, m->step_count, sn_step);
  m->temp = SN_ARRAY(r->arena, m->temp_count, temp);
  for (int i = 0; i < m->temp_count; i++)
    if (!keep_temp(&p->slot[before->slots + i], &m->temp[i])) return NULL;
  for (int i = 0; i < m->step_count; i++)
    if (!keep_step(r, c, before, &p->step[before->steps + i], &m->step[i])) return NULL;
  return m;
}

/* ---- repeating ------------------------------------------------------------------------------------------------- */

static void repeat(sn_repeat *r, sn_lower_ctx *c, const made *m) {
  int own = c->arg_count + c->result_count, *slot = SN_ARRAY(r->arena, m->temp_count, int);
  for (int i = 0; i < m->temp_count; i++)
    slot[i] = sn_lower_temp(c, m->temp[i].name, m->temp[i].type, m->temp[i].elements);
  for (int k = 0; k < m->step_count; k++) {
    sn_step s = m->step[k];
    sn_plan_arg *arg = SN_ARRAY(r->arena, s.arg_count, sn_plan_arg);
    for (int i = 0; i < s.arg_count; i++) {
      arg[i] = s.arg[i];
      if (arg[i].is_slot) arg[i].index = arg[i].index < own ? slot_of(c, arg[i].index) : slot[arg[i].index - own];
    }
    s.arg = arg;
    s.where = sn_build_where(c);
    sn_assemble_step(c->plan, &s, false);
  }
}

sn_code sn_repeat_lower(sn_repeat *r, sn_lower_ctx *c) {
  const char *key = key_of(r, c);
  const made *m = sn_map_get_str(r->known, key);
  if (m) {
    repeat(r, c, m);
    return SN_OK;
  }
  state before = state_of(c);
  SN_TRY(sn_lower_scheduled(c));
  made *fresh = c->failed ? NULL : keep(r, c, &before);
  if (fresh) sn_map_put_str(r->known, key, fresh);
  return SN_OK;
}
