/* Bytes -> plan. Every count is compared with the bytes that are left before memory is asked for; indices, types and
 * lifetimes are verified at the end. Layout: see write.c. */
#include <string.h>

#include "ir/plan/binary.h"
#include "ir/plan/internal.h"

typedef struct reader {
  sn_arena *arena;
  sn_diags *diags;
  const char *file;
  const unsigned char *at, *end;
  sn_plan *plan;
  int dim_count;
  const sn_dimx **dim;
  bool failed; /* sticky: what is read afterwards is zero */
} reader;

enum {
  SLOT_BYTES = 41,
  CODE_BYTES = 33,
  STEP_BYTES = 61,
  GRAPH_BYTES = 16,
  LIMIT_BYTES = 33,
  ARG_BYTES = 5,
  STRING_BYTES = 4
}; /* at least */

static sn_code fail_read(reader *r, const char *what) {
  if (!r->failed) (void)sn_fail(r->diags, SN_ERR_INPUT, (sn_loc){.file = r->file}, "not a readable plan: %s", what);
  r->failed = true;
  return SN_ERR_INPUT;
}

static size_t left(const reader *r) { return (size_t)(r->end - r->at); }

static uint64_t get(reader *r, int bytes) {
  uint64_t value = 0;
  if (r->failed || left(r) < (size_t)bytes) {
    (void)fail_read(r, "it ends early");
    return 0;
  }
  for (int i = 0; i < bytes; i++) value |= (uint64_t)r->at[i] << 8 * i;
  r->at += bytes;
  return value;
}

static int get_u8(reader *r) { return (int)get(r, 1); }

/* Indices may be -1. */
static int get_index(reader *r) { return (int)(int32_t)(uint32_t)get(r, 4); }

static int64_t get_i64(reader *r) { return (int64_t)get(r, 8); }

/* A count of things that take `bytes` bytes each at least; 0 after an error. */
static int get_count(reader *r, size_t bytes) {
  uint64_t count = get(r, 4);
  if (r->failed) return 0;
  if (count > left(r) / bytes || count > INT32_MAX / 4) {
    (void)fail_read(r, "a count beyond its end");
    return 0;
  }
  return (int)count;
}

static const char *get_string_or_null(reader *r, size_t limit) {
  uint64_t count = get(r, 4);
  if (r->failed || count == SN_PLAN_NULL) return NULL;
  if (count > left(r) || count > limit || memchr(r->at, 0, (size_t)count)) {
    (void)fail_read(r, "a bad string");
    return NULL;
  }
  char *s = sn_arena_alloc(r->arena, (size_t)count + 1);
  memcpy(s, r->at, (size_t)count);
  r->at += count;
  return s;
}

static const char *get_string(reader *r) {
  const char *s = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  if (!s) (void)fail_read(r, "a string is missing");
  return s;
}

static const sn_dimx *get_dim_or_null(reader *r) {
  uint64_t number = get(r, 4);
  if (number <= (uint64_t)r->dim_count) return number ? r->dim[number - 1] : NULL;
  (void)fail_read(r, "no such dim");
  return NULL;
}

static const sn_dimx *get_dim(reader *r) {
  const sn_dimx *d = get_dim_or_null(r);
  if (!d) (void)fail_read(r, "a dim is missing");
  return d;
}

/* ---- symbols and dims ------------------------------------------------------------------------------------ */

static sn_code read_symbols(reader *r) {
  sn_lexer x;
  const char *text = get_string_or_null(r, left(r));
  if (!text) return fail_read(r, "its dims are missing");
  sn_lex_begin(&x, r->arena, r->diags, r->file, text, strlen(text));
  if (sn_symbols_parse(&x, r->plan->types) || x.token.kind != SN_TOKEN_END)
    return fail_read(r, "its dims do not parse");
  return SN_OK;
}

static sn_code read_dims(reader *r) {
  int count = get_count(r, STRING_BYTES);
  r->dim = SN_ARRAY(r->arena, count, const sn_dimx *);
  for (int i = 0; i < count; i++) {
    sn_lexer x;
    const char *text = get_string(r);
    if (!text) return SN_ERR_INPUT;
    sn_lex_begin(&x, r->arena, r->diags, r->file, text, strlen(text));
    if (sn_dimx_parse(&x, r->plan->types, &r->dim[i]) || x.failed || x.token.kind != SN_TOKEN_END) {
      return fail_read(r, "a dim does not parse");
    }
    r->dim_count = i + 1;
  }
  return r->failed ? SN_ERR_INPUT : SN_OK;
}

/* ---- slots and code -------------------------------------------------------------------------------------- */

static const sn_type *read_type(reader *r) {
  const sn_dimx *dims[SN_RANK_MAX];
  int elem = get_u8(r), rank = get_u8(r);
  if (elem <= SN_ELEM_NONE || elem >= SN_ELEM_COUNT || rank > SN_RANK_MAX) {
    (void)fail_read(r, "a bad type");
    return NULL;
  }
  for (int i = 0; i < rank; i++) dims[i] = get_dim(r);
  return r->failed ? NULL : sn_type_of(r->plan->types, (sn_elem)elem, rank, dims);
}

static void read_slot(reader *r, sn_slot *s) {
  s->role = (sn_slot_role)get_u8(r);
  s->init = (sn_init_kind)get_u8(r);
  int flags = get_u8(r);
  if (flags > 3) (void)fail_read(r, "unknown flags of a slot");
  s->optional = flags & 1;
  s->frozen = flags >> 1 & 1;
  s->name = get_string(r);
  s->type = read_type(r);
  s->elements = get_dim(r);
  uint64_t init = get(r, 8);
  memcpy(&s->init_a, &init, sizeof init);
  s->graph = get_index(r);
  s->first = get_index(r);
  s->last = get_index(r);
  s->alias = get_index(r);
  s->buddy = get_index(r);
}

static void read_code(reader *r, sn_code_blob *b) {
  b->kind = (sn_code_kind)get_u8(r);
  b->name = get_string(r);
  b->features = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  b->entry = get_i64(r);
  b->workspace_bytes = get_i64(r);
  uint64_t count = get(r, 8);
  if (count > left(r)) {
    (void)fail_read(r, "code beyond its end");
    return;
  }
  b->byte_count = (int64_t)count;
  if (count) b->bytes = sn_arena_copy(r->arena, r->at, (size_t)count);
  r->at += count;
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static void read_step(reader *r, sn_step *s) {
  s->kind = (sn_step_kind)get_u8(r);
  s->code = get_index(r);
  s->from = get_index(r);
  s->to = get_index(r);
  if (s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE) {
    s->block[0] = get_index(r);
    s->block[1] = get_index(r);
    s->limit = get_i64(r);
  }
  s->writes = get(r, 8);
  s->arg_count = get_count(r, ARG_BYTES);
  sn_plan_arg *arg = SN_ARRAY(r->arena, s->arg_count, sn_plan_arg);
  for (int i = 0; i < s->arg_count && !r->failed; i++) {
    int is_slot = get_u8(r);
    if (is_slot > 1) (void)fail_read(r, "an unknown kind of argument");
    arg[i] = (sn_plan_arg){is_slot == 1, get_index(r)};
  }
  s->arg = arg;
  for (int i = 0; i < 3; i++) s->grid[i] = get_dim_or_null(r);
  s->kind_name = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  s->ops = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  s->where = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  s->flops = get_dim_or_null(r);
  s->bytes_read = get_dim_or_null(r);
  s->bytes_written = get_dim_or_null(r);
}

static sn_step *read_steps(reader *r, int *out_count) {
  int count = get_count(r, STEP_BYTES);
  sn_step *steps = SN_ARRAY(r->arena, count, sn_step);
  for (int i = 0; i < count && !r->failed; i++) read_step(r, &steps[i]);
  *out_count = count;
  return steps;
}

static void read_limit(reader *r, sn_plan_limit *l) {
  l->kind = (sn_limit_kind)get_u8(r);
  uint64_t value = get(r, 8);
  memcpy(&l->value, &value, sizeof value);
  l->slot = get_index(r);
  l->rows = get_dim_or_null(r);
  l->span = get_dim_or_null(r);
  l->op = get_string(r);
  l->file = get_string_or_null(r, SN_PLAN_NAME_BYTES);
  l->line = get_index(r);
}

static void read_graph(reader *r, sn_plan_graph *g) {
  g->name = get_string(r);
  g->step = read_steps(r, &g->step_count);
  g->refusal_count = get_count(r, 2 * STRING_BYTES);
  g->refusal = SN_ARRAY(r->arena, g->refusal_count, sn_refusal);
  for (int i = 0; i < g->refusal_count && !r->failed; i++) {
    g->refusal[i].ops = get_string(r);
    g->refusal[i].reason = get_string(r);
  }
  g->limit_count = get_count(r, LIMIT_BYTES);
  g->limit = SN_ARRAY(r->arena, g->limit_count, sn_plan_limit);
  for (int i = 0; i < g->limit_count && !r->failed; i++) read_limit(r, &g->limit[i]);
}

/* ---- whole ----------------------------------------------------------------------------------------------- */

static sn_code read_header(reader *r, size_t bytes) {
  if (bytes < SN_PLAN_HEADER_BYTES || memcmp(r->at, SN_PLAN_MAGIC, SN_PLAN_MAGIC_BYTES) != 0) {
    return fail_read(r, "it does not start as one");
  }
  r->at += SN_PLAN_MAGIC_BYTES;
  uint64_t version = get(r, 4), zero = get(r, 4), length = get(r, 8), checksum = get(r, 8);
  if (version != SN_PLAN_VERSION || zero) return fail_read(r, "it is of another version");
  if (length != bytes) return fail_read(r, "its length is not what it states");
  if (checksum != sn_hash_bytes(r->at, left(r), SN_PLAN_VERSION)) return fail_read(r, "its checksum is wrong");
  return SN_OK;
}

static sn_code read_parts(reader *r) {
  sn_plan *p = r->plan;
  p->slot_count = get_count(r, SLOT_BYTES);
  p->slot = SN_ARRAY(r->arena, p->slot_count, sn_slot);
  for (int i = 0; i < p->slot_count && !r->failed; i++) read_slot(r, &p->slot[i]);
  p->code_count = get_count(r, CODE_BYTES);
  p->code = SN_ARRAY(r->arena, p->code_count, sn_code_blob);
  for (int i = 0; i < p->code_count && !r->failed; i++) read_code(r, &p->code[i]);
  p->prepare = read_steps(r, &p->prepare_count);
  p->graph_count = get_count(r, GRAPH_BYTES);
  p->graph = SN_ARRAY(r->arena, p->graph_count, sn_plan_graph);
  for (int i = 0; i < p->graph_count && !r->failed; i++) read_graph(r, &p->graph[i]);
  if (!r->failed && left(r)) return fail_read(r, "bytes after its end");
  return r->failed ? SN_ERR_INPUT : SN_OK;
}

typedef struct read_job {
  reader r;
  size_t bytes;
} read_job;

static int read_protected(void *arg) {
  read_job *job = arg;
  reader *r = &job->r;
  SN_TRY(read_header(r, job->bytes));
  r->plan = SN_NEW(r->arena, sn_plan);
  r->plan->arena = r->arena;
  r->plan->types = sn_types_create(r->arena);
  r->plan->file = sn_arena_strdup(r->arena, r->file);
  r->plan->model = get_string(r);
  r->plan->settings = get_string(r);
  r->plan->target = get_string(r);
  SN_TRY(read_symbols(r));
  SN_TRY(read_dims(r));
  SN_TRY(read_parts(r));
  return sn_plan_verify(r->plan, r->diags);
}

sn_code sn_plan_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                     sn_plan **out) {
  read_job job = {.r = {.arena = arena, .diags = diags, .file = file, .at = data}, .bytes = bytes};
  job.r.end = job.r.at + bytes;
  SN_TRY((sn_code)sn_protect(read_protected, &job));
  *out = job.r.plan;
  return SN_OK;
}
