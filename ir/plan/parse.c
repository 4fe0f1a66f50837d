/* Text -> plan. What is read is verified as a whole at the end. */
#include <string.h>

#include "ir/plan/internal.h"

typedef struct parser {
  sn_lexer x;
  sn_arena *arena;
  sn_plan *plan;
  int slot_capacity, code_capacity, graph_capacity, prepare_capacity;
} parser;

static sn_code parse_index(sn_lexer *x, int *out) {
  int64_t n;
  sn_loc loc = sn_lex_loc(x);
  SN_TRY(sn_lex_int(x, &n));
  if (n < 0 || n > INT32_MAX) {
    (void)sn_lex_fail_at(x, loc, "an index out of range");
    sn_fail_expected(x->diags, "0 to %d", INT32_MAX);
    sn_fail_found(x->diags, "%lld", (long long)n);
    return x->failed;
  }
  *out = (int)n;
  return SN_OK;
}

/* One of the names, as its position. */
static sn_code parse_choice(sn_lexer *x, const char *const *names, int count, int *out) {
  for (int i = 0; i < count; i++) {
    if (!sn_lex_accept(x, names[i])) continue;
    *out = i;
    return x->failed;
  }
  if (x->failed) return x->failed;
  sn_text all = sn_text_begin(x->arena);
  for (int i = 0; i < count; i++) sn_text_add(&all, "%s%s", i ? ", " : "", names[i]);
  const char *found = x->token.text;
  (void)sn_lex_fail(x, "unexpected %s", x->token.kind == SN_TOKEN_END ? "end" : "token");
  sn_fail_expected(x->diags, "%s", all.at);
  if (*found) sn_fail_found(x->diags, "%.64s", found);
  return x->failed;
}

static sn_code parse_string_if(sn_lexer *x, const char *word, const char **out) {
  return sn_lex_accept(x, word) ? sn_lex_string(x, out) : x->failed;
}

static sn_code parse_index_if(sn_lexer *x, const char *word, int *out) {
  return sn_lex_accept(x, word) ? parse_index(x, out) : x->failed;
}

static sn_code parse_dim_if(parser *p, const char *word, const sn_dimx **out) {
  return sn_lex_accept(&p->x, word) ? sn_dimx_parse(&p->x, p->plan->types, out) : p->x.failed;
}

/* The number of a listed thing, which must be its position. */
static sn_code parse_position(sn_lexer *x, int position) {
  int i;
  SN_TRY(parse_index(x, &i));
  if (i == position) return SN_OK;
  (void)sn_lex_fail_last(x, "they are numbered in order");
  sn_fail_expected(x->diags, "%d", position);
  sn_fail_found(x->diags, "%d", i);
  return x->failed;
}

/* ---- slots and code -------------------------------------------------------------------------------------- */

static sn_code parse_slot_life(sn_lexer *x, sn_slot *s) {
  s->optional = sn_lex_accept(x, "optional");
  s->frozen = sn_lex_accept(x, "frozen");
  if (sn_lex_accept(x, "life")) {
    SN_TRY(parse_index(x, &s->first));
    SN_TRY(parse_index(x, &s->last));
  }
  SN_TRY(parse_index_if(x, "alias", &s->alias));
  return parse_index_if(x, "buddy", &s->buddy);
}

static sn_code parse_slot(parser *p) {
  sn_lexer *x = &p->x;
  sn_slot s = {.graph = -1, .first = -1, .last = -1, .alias = -1, .buddy = -1};
  int role = 0, init = 0;
  s.line = x->last.line;
  SN_TRY(parse_position(x, p->plan->slot_count));
  SN_TRY(parse_choice(x, sn_plan_role_names, SN_PLAN_ROLES, &role));
  SN_TRY(sn_lex_string(x, &s.name));
  SN_TRY(sn_type_parse(x, p->plan->types, &s.type));
  SN_TRY(parse_dim_if(p, "elements", &s.elements));
  SN_TRY(parse_index_if(x, "graph", &s.graph));
  s.role = (sn_slot_role)role;
  if (sn_lex_accept(x, "init")) {
    SN_TRY(parse_choice(x, sn_plan_init_names, SN_PLAN_INITS, &init));
    SN_TRY(sn_lex_number(x, &s.init_a));
    s.init = (sn_init_kind)init;
  }
  SN_TRY(parse_slot_life(x, &s));
  SN_GROW(p->arena, p->plan->slot, p->plan->slot_count, p->slot_capacity);
  p->plan->slot[p->plan->slot_count++] = s;
  return SN_OK;
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* One string of hex digits, appended to the bytes. */
static sn_code parse_hex(sn_lexer *x, sn_text *bytes) {
  sn_loc loc = sn_lex_loc(x);
  const char *hex;
  SN_TRY(sn_lex_string(x, &hex));
  for (; *hex; hex += 2) {
    int high = hex_digit(hex[0]), low = high < 0 ? -1 : hex_digit(hex[1]);
    if (low < 0) {
      (void)sn_lex_fail_at(x, loc, "a string of code");
      sn_fail_expected(x->diags, "pairs of hex digits");
      sn_fail_found(x->diags, "%.64s", hex);
      return x->failed;
    }
    sn_text_char(bytes, (char)(high * 16 + low));
  }
  return SN_OK;
}

/* entry N { "hex" "hex" } */
static sn_code parse_bytes(parser *p, sn_code_blob *b, int64_t size) {
  sn_lexer *x = &p->x;
  sn_text bytes = sn_text_begin(p->arena);
  if (!sn_lex_accept(x, "entry")) return x->failed;
  SN_TRY(sn_lex_int(x, &b->entry));
  SN_TRY(sn_lex_expect(x, "{"));
  while (!sn_lex_accept(x, "}")) SN_TRY(parse_hex(x, &bytes));
  if (bytes.count != size) {
    (void)sn_lex_fail_last(x, "the size of code");
    sn_fail_expected(x->diags, "%lld bytes", (long long)size);
    sn_fail_found(x->diags, "%d", (int)bytes.count);
    return x->failed;
  }
  b->bytes = (const unsigned char *)bytes.at;
  b->byte_count = size;
  return x->failed;
}

static sn_code parse_code(parser *p) {
  sn_lexer *x = &p->x;
  sn_code_blob b = {0};
  int kind = 0;
  int64_t size;
  b.line = x->last.line;
  SN_TRY(parse_position(x, p->plan->code_count));
  SN_TRY(parse_choice(x, sn_plan_code_names, SN_PLAN_CODES, &kind));
  SN_TRY(sn_lex_string(x, &b.name));
  SN_TRY(sn_lex_expect(x, "size"));
  SN_TRY(sn_lex_int(x, &size));
  SN_TRY(sn_lex_expect(x, "workspace"));
  SN_TRY(sn_lex_int(x, &b.workspace_bytes));
  SN_TRY(parse_string_if(x, "features", &b.features));
  SN_TRY(parse_bytes(p, &b, size));
  b.kind = (sn_code_kind)kind;
  SN_GROW(p->arena, p->plan->code, p->plan->code_count, p->code_capacity);
  p->plan->code[p->plan->code_count++] = b;
  return SN_OK;
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static sn_code parse_launch(parser *p, sn_step *s) {
  sn_lexer *x = &p->x;
  sn_plan_arg arg[SN_PLAN_ARGS];
  SN_TRY(parse_index(x, &s->code));
  SN_TRY(sn_lex_expect(x, "("));
  while (!sn_lex_accept(x, ")")) {
    if (s->arg_count == SN_PLAN_ARGS) return sn_lex_fail(x, "more than %d arguments", SN_PLAN_ARGS);
    sn_plan_arg *a = &arg[s->arg_count];
    a->is_slot = !sn_lex_accept(x, "size");
    if (sn_lex_accept(x, "write")) s->writes |= (uint64_t)1 << s->arg_count;
    SN_TRY(parse_index(x, &a->index));
    s->arg_count++;
    if (!sn_lex_is(x, ")")) SN_TRY(sn_lex_expect(x, ","));
  }
  s->arg = sn_arena_copy(p->arena, arg, (size_t)s->arg_count * sizeof *arg);
  SN_TRY(parse_dim_if(p, "grid0", &s->grid[0]));
  SN_TRY(parse_dim_if(p, "grid1", &s->grid[1]));
  return parse_dim_if(p, "grid2", &s->grid[2]);
}

/* The numbers of steps in the blocks. */
static sn_code parse_blocks(sn_lexer *x, sn_step *s) {
  bool loop = s->kind == SN_STEP_WHILE;
  SN_TRY(sn_lex_expect(x, loop ? "test" : "yes"));
  SN_TRY(parse_index(x, &s->block[0]));
  SN_TRY(sn_lex_expect(x, loop ? "body" : "no"));
  SN_TRY(parse_index(x, &s->block[1]));
  if (!loop) return x->failed;
  SN_TRY(sn_lex_expect(x, "limit"));
  return sn_lex_int(x, &s->limit);
}

static sn_code parse_operands(parser *p, sn_step *s) {
  if (s->kind == SN_STEP_LAUNCH) return parse_launch(p, s);
  if (s->kind == SN_STEP_HOST) return p->x.failed;
  SN_TRY(parse_index(&p->x, &s->from));
  if (s->kind == SN_STEP_CHECK) return SN_OK;
  if (s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE) return parse_blocks(&p->x, s);
  SN_TRY(sn_lex_expect(&p->x, "to"));
  return parse_index(&p->x, &s->to);
}

static sn_code parse_step(parser *p, sn_step *out) {
  sn_lexer *x = &p->x;
  sn_step s = {.from = -1, .to = -1, .line = x->token.line};
  int kind = 0;
  SN_TRY(parse_choice(x, sn_plan_step_names, SN_PLAN_STEPS, &kind));
  s.kind = (sn_step_kind)kind;
  SN_TRY(parse_operands(p, &s));
  SN_TRY(parse_string_if(x, "kind", &s.kind_name));
  SN_TRY(parse_string_if(x, "ops", &s.ops));
  SN_TRY(parse_string_if(x, "where", &s.where));
  SN_TRY(parse_dim_if(p, "flops", &s.flops));
  SN_TRY(parse_dim_if(p, "reads", &s.bytes_read));
  SN_TRY(parse_dim_if(p, "writes", &s.bytes_written));
  *out = s;
  return SN_OK;
}

static sn_code parse_prepare(parser *p) {
  sn_plan *plan = p->plan;
  SN_TRY(sn_lex_expect(&p->x, "{"));
  while (!sn_lex_accept(&p->x, "}")) {
    SN_GROW(p->arena, plan->prepare, plan->prepare_count, p->prepare_capacity);
    SN_TRY(parse_step(p, &plan->prepare[plan->prepare_count]));
    plan->prepare_count++;
  }
  return p->x.failed;
}

static sn_code parse_some(parser *p, sn_plan_limit *l) {
  int kind = 0;
  SN_TRY(parse_choice(&p->x, sn_plan_limit_names, SN_PLAN_LIMITS, &kind));
  l->kind = (sn_limit_kind)kind;
  return sn_lex_number(&p->x, &l->value);
}

static sn_code parse_limit(parser *p, sn_plan_limit *out) {
  sn_lexer *x = &p->x;
  sn_plan_limit l = {0};
  SN_TRY(parse_index(x, &l.slot));
  if (sn_lex_accept(x, "some")) SN_TRY(parse_some(p, &l));
  SN_TRY(parse_dim_if(p, "rows", &l.rows));
  SN_TRY(parse_dim_if(p, "span", &l.span));
  SN_TRY(sn_lex_expect(x, "op"));
  SN_TRY(sn_lex_string(x, &l.op));
  SN_TRY(parse_string_if(x, "file", &l.file));
  SN_TRY(sn_lex_expect(x, "line"));
  SN_TRY(parse_index(x, &l.line));
  *out = l;
  return SN_OK;
}

static sn_code parse_graph(parser *p) {
  sn_lexer *x = &p->x;
  sn_plan_graph g = {.line = x->last.line};
  int step_capacity = 0, refusal_capacity = 0, limit_capacity = 0;
  SN_TRY(sn_lex_string(x, &g.name));
  SN_TRY(sn_lex_expect(x, "{"));
  while (!sn_lex_accept(x, "}")) {
    if (sn_lex_accept(x, "refused")) {
      SN_GROW(p->arena, g.refusal, g.refusal_count, refusal_capacity);
      sn_refusal *r = &g.refusal[g.refusal_count];
      SN_TRY(sn_lex_string(x, &r->ops));
      SN_TRY(sn_lex_string(x, &r->reason));
      g.refusal_count++;
    } else if (sn_lex_accept(x, "limit")) {
      SN_GROW(p->arena, g.limit, g.limit_count, limit_capacity);
      SN_TRY(parse_limit(p, &g.limit[g.limit_count]));
      g.limit_count++;
    } else {
      SN_GROW(p->arena, g.step, g.step_count, step_capacity);
      SN_TRY(parse_step(p, &g.step[g.step_count]));
      g.step_count++;
    }
  }
  SN_GROW(p->arena, p->plan->graph, p->plan->graph_count, p->graph_capacity);
  p->plan->graph[p->plan->graph_count++] = g;
  return x->failed;
}

/* ---- whole ----------------------------------------------------------------------------------------------- */

static sn_code parse_header(parser *p) {
  sn_lexer *x = &p->x;
  int64_t version;
  SN_TRY(sn_lex_expect(x, "plan"));
  SN_TRY(sn_lex_int(x, &version));
  if (version != 1) {
    (void)sn_lex_fail_last(x, "plan text of another version");
    sn_fail_expected(x->diags, "1");
    sn_fail_found(x->diags, "%lld", (long long)version);
    return x->failed;
  }
  SN_TRY(sn_lex_expect(x, "model"));
  SN_TRY(sn_lex_string(x, &p->plan->model));
  SN_TRY(sn_lex_expect(x, "settings"));
  SN_TRY(sn_lex_string(x, &p->plan->settings));
  SN_TRY(sn_lex_expect(x, "target"));
  SN_TRY(sn_lex_string(x, &p->plan->target));
  return sn_symbols_parse(x, p->plan->types);
}

static sn_code parse_plan(parser *p) {
  sn_lexer *x = &p->x;
  SN_TRY(parse_header(p));
  while (x->token.kind != SN_TOKEN_END) {
    if (sn_lex_accept(x, "slot")) {
      SN_TRY(parse_slot(p));
    } else if (sn_lex_accept(x, "code")) {
      SN_TRY(parse_code(p));
    } else if (sn_lex_accept(x, "prepare")) {
      SN_TRY(parse_prepare(p));
    } else {
      SN_TRY(sn_lex_expect(x, "graph"));
      SN_TRY(parse_graph(p));
    }
  }
  return x->failed;
}

typedef struct parse_job {
  sn_types *types;
  sn_diags *diags;
  const char *file, *text;
  size_t bytes;
  sn_plan *plan;
} parse_job;

static int parse_protected(void *arg) {
  parse_job *job = arg;
  parser p = {.arena = sn_types_arena(job->types)};
  p.plan = SN_NEW(p.arena, sn_plan);
  p.plan->arena = p.arena;
  p.plan->types = job->types;
  p.plan->file = sn_arena_strdup(p.arena, job->file);
  sn_lex_begin(&p.x, p.arena, job->diags, job->file, job->text, job->bytes);
  SN_TRY(parse_plan(&p));
  job->plan = p.plan;
  return sn_plan_verify(p.plan, job->diags);
}

sn_code sn_plan_parse_into(sn_types *types, sn_diags *diags, const char *file, const char *text, size_t bytes,
                           sn_plan **out) {
  parse_job job = {types, diags, file, text, bytes, NULL};
  SN_TRY((sn_code)sn_protect(parse_protected, &job));
  *out = job.plan;
  return SN_OK;
}

typedef struct own_types {
  sn_arena *arena;
  sn_types *types;
} own_types;

static int create_types(void *arg) {
  own_types *x = arg;
  x->types = sn_types_create(x->arena);
  return SN_OK;
}

sn_code sn_plan_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                      sn_plan **out) {
  own_types x = {arena, NULL};
  SN_TRY((sn_code)sn_protect(create_types, &x));
  return sn_plan_parse_into(x.types, diags, file, text, bytes, out);
}
