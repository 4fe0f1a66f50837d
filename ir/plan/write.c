/* Plan -> bytes. Little-endian; layout in the order of the functions below.
 *
 *   header   8 magic "SNPLAN1\0", u32 version, u32 zero, u64 length of all, u64 sn_hash_bytes of the body
 *   body     strings, dims as texts (referred to by number), slots, code, prepare steps, graphs
 *   string   u32 bytes, bytes; 0xffffffff: NULL */
#include <string.h>

#include "ir/base/map.h"
#include "ir/plan/binary.h"
#include "ir/plan/internal.h"

typedef struct writer {
  sn_text *out;
  const sn_plan *plan;
  bool identity; /* leave out what does not decide results */
  sn_map *dims;  /* pointer -> its number plus one, as a pointer */
  sn_text texts; /* of the dims, in order */
} writer;

static void put(sn_text *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) sn_text_char(out, (char)(value >> 8 * i & 255));
}

static void put_u32(writer *w, int64_t value) { put(w->out, (uint64_t)value, 4); }

static void put_u64(writer *w, int64_t value) { put(w->out, (uint64_t)value, 8); }

static void put_string_to(sn_text *out, const char *s) {
  size_t count = s ? strlen(s) : 0;
  put(out, s ? count : SN_PLAN_NULL, 4);
  if (s) sn_text_bytes(out, s, count);
}

static void put_string(writer *w, const char *s) { put_string_to(w->out, s); }

/* Text that only reports are made of. */
static void put_report(writer *w, const char *s) { put_string(w, w->identity ? NULL : s); }

/* The number of a dim, from 1; 0: NULL. */
static void put_dim(writer *w, const sn_dimx *d) {
  if (!d) {
    put_u32(w, 0);
    return;
  }
  uint64_t key = (uint64_t)(uintptr_t)d;
  uintptr_t number = (uintptr_t)sn_map_get(w->dims, key);
  if (!number) {
    number = (uintptr_t)sn_map_count(w->dims) + 1;
    sn_map_put(w->dims, key, (void *)number);
    sn_text text = sn_text_begin(w->out->arena);
    sn_dimx_print(&text, d);
    put_string_to(&w->texts, text.at);
  }
  put_u32(w, (int64_t)number);
}

static void put_type(writer *w, const sn_type *t) {
  put(w->out, (uint64_t)t->elem, 1);
  put(w->out, (uint64_t)t->rank, 1);
  for (int i = 0; i < t->rank; i++) put_dim(w, t->dim[i]);
}

static void put_slot(writer *w, const sn_slot *s) {
  uint64_t init;
  memcpy(&init, &s->init_a, sizeof init);
  bool is_temp = s->role == SN_SLOT_TEMP, brief = w->identity;
  put(w->out, (uint64_t)s->role, 1);
  put(w->out, (uint64_t)s->init, 1);
  put(w->out, (uint64_t)s->optional | (uint64_t)s->frozen << 1, 1);
  put_string(w, brief && is_temp ? "" : s->name);
  put_type(w, s->type);
  put_dim(w, s->elements);
  put(w->out, init, 8);
  put_u32(w, s->graph);
  put_u32(w, is_temp && !brief ? s->first : -1);
  put_u32(w, is_temp && !brief ? s->last : -1);
  put_u32(w, brief ? -1 : s->alias);
  put_u32(w, s->buddy);
}

static void put_code(writer *w, const sn_code_blob *b) {
  put(w->out, (uint64_t)b->kind, 1);
  put_report(w, b->name);
  put_string(w, b->features);
  put_u64(w, b->entry);
  put_u64(w, b->workspace_bytes);
  put_u64(w, b->byte_count);
  if (b->byte_count) sn_text_bytes(w->out, (const char *)b->bytes, (size_t)b->byte_count);
}

static void put_step(writer *w, const sn_step *s) {
  put(w->out, (uint64_t)s->kind, 1);
  put_u32(w, s->code);
  put_u32(w, s->from);
  put_u32(w, s->to);
  if (s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE) {
    put_u32(w, s->block[0]);
    put_u32(w, s->block[1]);
    put_u64(w, s->limit);
  }
  put_u64(w, (int64_t)s->writes);
  put_u32(w, s->arg_count);
  for (int i = 0; i < s->arg_count; i++) {
    put(w->out, s->arg[i].is_slot, 1);
    put_u32(w, s->arg[i].index);
  }
  for (int i = 0; i < 3; i++) put_dim(w, s->grid[i]);
  put_report(w, s->kind_name);
  put_report(w, s->ops);
  put_report(w, s->where);
  put_dim(w, w->identity ? NULL : s->flops);
  put_dim(w, w->identity ? NULL : s->bytes_read);
  put_dim(w, w->identity ? NULL : s->bytes_written);
}

static void put_limit(writer *w, const sn_plan_limit *l) {
  uint64_t value;
  memcpy(&value, &l->value, sizeof value);
  put(w->out, (uint64_t)l->kind, 1);
  put(w->out, value, 8);
  put_u32(w, l->slot);
  put_dim(w, l->rows);
  put_dim(w, l->span);
  put_string(w, l->op);
  put_string(w, l->file);
  put_u32(w, l->line);
}

static void put_graph(writer *w, const sn_plan_graph *g) {
  int refusals = w->identity ? 0 : g->refusal_count;
  put_string(w, g->name);
  put_u32(w, g->step_count);
  for (int i = 0; i < g->step_count; i++) put_step(w, &g->step[i]);
  put_u32(w, refusals);
  for (int i = 0; i < refusals; i++) {
    put_string(w, g->refusal[i].ops);
    put_string(w, g->refusal[i].reason);
  }
  int limits = w->identity ? 0 : g->limit_count;
  put_u32(w, limits);
  for (int i = 0; i < limits; i++) put_limit(w, &g->limit[i]);
}

static void put_parts(writer *w) {
  const sn_plan *p = w->plan;
  put_u32(w, p->slot_count);
  for (int i = 0; i < p->slot_count; i++) put_slot(w, &p->slot[i]);
  put_u32(w, p->code_count);
  for (int i = 0; i < p->code_count; i++) put_code(w, &p->code[i]);
  put_u32(w, p->prepare_count);
  for (int i = 0; i < p->prepare_count; i++) put_step(w, &p->prepare[i]);
  put_u32(w, p->graph_count);
  for (int i = 0; i < p->graph_count; i++) put_graph(w, &p->graph[i]);
}

void sn_plan_write_body(sn_text *out, const sn_plan *p, bool identity) {
  sn_text parts = sn_text_begin(out->arena), symbols = sn_text_begin(out->arena);
  writer w = {.out = &parts, .plan = p, .identity = identity, .dims = sn_map_create(out->arena)};
  w.texts = sn_text_begin(out->arena);
  put_parts(&w);
  sn_symbols_print(&symbols, p->types);
  w.out = out;
  put_report(&w, p->model);
  put_report(&w, p->settings);
  put_report(&w, p->target);
  put_string(&w, symbols.at);
  put_u32(&w, sn_map_count(w.dims));
  sn_text_bytes(out, w.texts.at, (size_t)w.texts.count);
  sn_text_bytes(out, parts.at, (size_t)parts.count);
}

typedef struct write_job {
  sn_arena *arena;
  const sn_plan *plan;
  sn_text all;
} write_job;

static int write_protected(void *arg) {
  write_job *job = arg;
  sn_text body = sn_text_begin(job->arena);
  sn_plan_write_body(&body, job->plan, false);
  job->all = sn_text_begin(job->arena);
  sn_text_bytes(&job->all, SN_PLAN_MAGIC, SN_PLAN_MAGIC_BYTES);
  put(&job->all, SN_PLAN_VERSION, 4);
  put(&job->all, 0, 4);
  put(&job->all, (uint64_t)body.count + SN_PLAN_HEADER_BYTES, 8);
  put(&job->all, sn_hash_bytes(body.at, (size_t)body.count, SN_PLAN_VERSION), 8);
  sn_text_bytes(&job->all, body.at, (size_t)body.count);
  return SN_OK;
}

sn_code sn_plan_write(sn_arena *arena, const sn_plan *p, unsigned char **out, size_t *out_bytes) {
  write_job job = {.arena = arena, .plan = p};
  SN_TRY(sn_plan_verify(p, NULL));
  SN_TRY((sn_code)sn_protect(write_protected, &job));
  *out = (unsigned char *)job.all.at;
  *out_bytes = (size_t)job.all.count;
  return SN_OK;
}
