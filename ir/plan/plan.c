/* Plans: names of their parts, look-up, identity. */
#include "ir/plan/plan.h"

#include <string.h>

#include "ir/plan/internal.h"

const char *const sn_plan_role_names[SN_PLAN_ROLES] = {"input", "output", "param", "state", "temp", "packed"};
const char *const sn_plan_init_names[SN_PLAN_INITS] = {"none", "fill", "normal", "uniform", "truncated"};
const char *const sn_plan_code_names[SN_PLAN_CODES] = {"cpu", "spirv", "kernel"};
const char *const sn_plan_step_names[SN_PLAN_STEPS] = {"launch", "copy", "check", "swap", "host", "choose", "while"};
const char *const sn_plan_limit_names[SN_PLAN_LIMITS] = {"each", "less", "more", "equal", "other"};

int sn_plan_root(const sn_plan *p, int i) {
  while (p->slot[i].alias >= 0) i = p->slot[i].alias;
  return i;
}

bool sn_plan_dim_at(const sn_plan *p, const sn_dimx *d, bool at_max, int64_t *out) {
  enum { SYMBOLS = 64 };
  int64_t values[SYMBOLS];
  int count = sn_types_symbol_count(p->types);
  if (count > SYMBOLS) return false;
  for (int i = 0; i < count; i++) {
    const sn_dimx *s = sn_types_symbol(p->types, i);
    values[i] = at_max ? sn_dimx_max_value(s) : sn_dimx_min_value(s);
  }
  return sn_dimx_eval(d, values, out) == SN_OK;
}

bool sn_refusal_is_form(const sn_refusal *r) { return !strncmp(r->ops, SN_REFUSAL_FORM, strlen(SN_REFUSAL_FORM)); }

int sn_plan_find_graph(const sn_plan *p, const char *name) {
  for (int i = 0; i < p->graph_count; i++) {
    if (strcmp(p->graph[i].name, name) == 0) return i;
  }
  return -1;
}

/* Slots of the graph itself come before shared ones. */
int sn_plan_find_slot(const sn_plan *p, int graph, const char *name) {
  int shared = -1;
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *s = &p->slot[i];
    if ((s->graph != graph && s->graph != -1) || strcmp(s->name, name) != 0) continue;
    if (s->graph == graph) return i;
    if (shared < 0) shared = i;
  }
  return shared;
}

typedef struct hash_job {
  sn_arena *arena;
  const sn_plan *plan;
  uint64_t *out;
} hash_job;

static int hash_protected(void *arg) {
  hash_job *job = arg;
  sn_text body = sn_text_begin(job->arena);
  sn_plan_write_body(&body, job->plan, true);
  job->out[0] = sn_hash_bytes(body.at, (size_t)body.count, 0);
  job->out[1] = sn_hash_bytes(body.at, (size_t)body.count, job->out[0] | 1);
  return SN_OK;
}

sn_code sn_plan_hash(const sn_plan *p, uint64_t out[2]) {
  hash_job job = {sn_arena_scratch(), p, out};
  sn_code code = job.arena ? (sn_code)sn_protect(hash_protected, &job) : SN_ERR_LIMIT;
  sn_arena_destroy(job.arena);
  return code;
}

bool sn_code_entry_ok(const sn_code_blob *b) {
  if (b->kind == SN_CODE_SPIRV) return b->entry >= 0 && b->entry < 1 << 16;
  return b->entry >= 0 && (b->entry < b->byte_count || b->entry == 0);
}

bool sn_plan_is_native(const sn_plan *p) {
  for (int i = 0; i < p->code_count; i++)
    if (p->code[i].kind == SN_CODE_KERNEL_TEXT) return false;
  return p->code_count > 0;
}
