/* text form -> module. The text may hold anything: every list has a limit, every name is looked up, and each function
 * is verified when its closing brace is read. Tables of names are local to a function (values) or the module (bodies).
 */
#include <limits.h>
#include <string.h>

#include "ir/graph/inside.h"
#include "ir/graph/text.h"

enum { MOST_LISTED = 12, MAX_NODES = 4 << 20, MAX_OPERANDS = 4096, MAX_RESULTS = 4096 };

typedef struct parser {
  sn_lexer x;
  sn_module *m;
  sn_func *f;     /* function being read */
  sn_map *values; /* its values by written name -> sn_val */
  sn_map *funcs;  /* finished functions by name; bodies can be used from here on */
  int node_count; /* of the whole text */
} parser;

/* A list of values as written: names with their places. */
typedef struct value_list {
  int count, capacity;
  const char **at;
} value_list;

/* ---- tokens --------------------------------------------------------------------------------------- */

static const char *spelled(const parser *p) {
  const sn_token *t = &p->x.token;
  switch (t->kind) {
    case SN_TOKEN_END: return "the end";
    case SN_TOKEN_STRING: return sn_arena_printf(p->m->arena, "\"%.40s\"", t->text ? t->text : "");
    case SN_TOKEN_VALUE: return sn_arena_printf(p->m->arena, "%%%.40s", t->text ? t->text : "");
    case SN_TOKEN_REF: return sn_arena_printf(p->m->arena, "@%.40s", t->text ? t->text : "");
    default: return sn_arena_printf(p->m->arena, "%.40s", t->text ? t->text : "");
  }
}

/* An error at the token that was read last, with what was expected and found. */
static sn_code fail_last(parser *p, const char *message, const char *expected, const char *found) {
  if (p->x.failed) return p->x.failed;
  sn_code code = sn_lex_fail_last(&p->x, "%s", message);
  sn_fail_expected(p->x.diags, "%s", expected);
  sn_fail_found(p->x.diags, "%s", found);
  return code;
}

/* An error at the current token: message, what was expected, and the token as found. Only the first error is told. */
static sn_code fail_here(parser *p, const char *message, const char *expected) {
  if (p->x.failed) return p->x.failed;
  const char *found = spelled(p);
  sn_code code = sn_lex_fail(&p->x, "%s", message);
  sn_fail_expected(p->x.diags, "%s", expected);
  sn_fail_found(p->x.diags, "%s", found);
  return code;
}

static sn_code limit_here(parser *p, const char *what, int limit) {
  if (p->x.failed) return p->x.failed;
  p->x.failed = sn_fail(p->x.diags, SN_ERR_LIMIT, sn_lex_loc(&p->x), "more than %d %s", limit, what);
  sn_fail_expected(p->x.diags, "at most %d", limit);
  sn_fail_found(p->x.diags, "one more at %s", spelled(p));
  return p->x.failed;
}

/* An error at the current token with the nearest of the names that would do. */
static sn_code fail_unknown(parser *p, const char *what, const char *name, const char *const *entries, int count) {
  const char *near = sn_nearest(name, entries, count);
  if (p->x.failed) return p->x.failed;
  sn_code code = sn_lex_fail(&p->x, "unknown %s `%s`", what, name);
  sn_text known = sn_text_begin(p->m->arena);
  for (int i = 0; i < count && i < MOST_LISTED; i++) sn_text_add(&known, "%s%s", i ? ", " : "", entries[i]);
  if (count > MOST_LISTED) sn_text_add(&known, ", ... (docs/ops.md lists all %d)", count);
  sn_fail_expected(p->x.diags, "%s", count ? known.at : "none is known here");
  sn_fail_found(p->x.diags, "%s", name);
  if (near) sn_fail_note(p->x.diags, "did you mean `%s`?", near);
  return code;
}

static bool at_value(const parser *p) { return !p->x.failed && p->x.token.kind == SN_TOKEN_VALUE; }

/* ---- names ---------------------------------------------------------------------------------------- */

static sn_code read_value_name(parser *p, const char **out) {
  if (!at_value(p)) return fail_here(p, "a value is needed", "%name");
  *out = p->x.token.text;
  sn_lex_next(&p->x);
  return p->x.failed;
}

/* A value that was defined above. */
static sn_code read_value(parser *p, sn_val *out) {
  if (!at_value(p)) return fail_here(p, "a value is needed", "%name");
  void *v = sn_map_get_str(p->values, p->x.token.text);
  if (!v) return fail_here(p, "the value is not defined above its use", "a value of this function");
  *out = (sn_val)(uintptr_t)v;
  sn_lex_next(&p->x);
  return p->x.failed;
}

/* `@name` or `@"any text"`. */
static sn_code read_function_name(parser *p, const char **out) {
  if (p->x.failed) return p->x.failed;
  if (p->x.token.kind == SN_TOKEN_REF) {
    *out = p->x.token.text;
    sn_lex_next(&p->x);
    return p->x.failed;
  }
  if (!sn_lex_accept(&p->x, "@")) return fail_here(p, "the name of a function is needed", "@name");
  return sn_lex_string(&p->x, out);
}

static sn_code fail_no_body(parser *p, const char *name) {
  int count = sn_map_count(p->funcs);
  const char **entries = SN_ARRAY(p->m->arena, count + 1, const char *);
  for (int i = 0; i < count; i++) sn_map_at(p->funcs, i, &entries[i]);
  return fail_unknown(p, "body", name, entries, count);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

static sn_code read_ints(parser *p, sn_attr *a) {
  int64_t list[SN_RANK_MAX];
  SN_TRY(sn_lex_expect(&p->x, "["));
  while (!sn_lex_is(&p->x, "]")) {
    if (a->count == SN_RANK_MAX) return limit_here(p, "entries in a list", SN_RANK_MAX);
    SN_TRY(sn_lex_int(&p->x, &list[a->count++]));
    if (!sn_lex_accept(&p->x, ",")) break;
  }
  a->ints = sn_arena_copy(p->m->arena, list, (size_t)a->count * sizeof *list);
  return sn_lex_expect(&p->x, "]");
}

static sn_code read_dims(parser *p, sn_attr *a) {
  const sn_dimx *list[SN_RANK_MAX];
  SN_TRY(sn_lex_expect(&p->x, "["));
  while (!sn_lex_is(&p->x, "]")) {
    if (a->count == SN_RANK_MAX) return limit_here(p, "entries in a list", SN_RANK_MAX);
    SN_TRY(sn_dimx_parse(&p->x, p->m->types, &list[a->count++]));
    if (!sn_lex_accept(&p->x, ",")) break;
  }
  a->dims = sn_arena_copy(p->m->arena, list, (size_t)a->count * sizeof *list);
  return sn_lex_expect(&p->x, "]");
}

static sn_code read_elem(parser *p, sn_attr *a) {
  sn_elem e;
  SN_TRY(sn_elem_parse(&p->x, &e));
  a->i = e;
  return SN_OK;
}

static sn_code read_body(parser *p, sn_attr *a) {
  bool quoted = sn_lex_is(&p->x, "@");
  if (!quoted && p->x.token.kind == SN_TOKEN_REF) {
    a->region = sn_map_get_str(p->funcs, p->x.token.text);
    if (!a->region) return fail_no_body(p, p->x.token.text);
  }
  const char *name = NULL;
  SN_TRY(read_function_name(p, &name));
  if (!a->region) a->region = sn_map_get_str(p->funcs, name);
  return a->region ? SN_OK : fail_no_body(p, name);
}

static sn_code read_attr_value(parser *p, char kind, sn_attr *a) {
  a->set = true;
  switch (kind) {
    case 'f': return sn_lex_number(&p->x, &a->f);
    case 's': return sn_lex_string(&p->x, &a->s);
    case 'e': return read_elem(p, a);
    case 'd': return sn_dimx_parse(&p->x, p->m->types, &a->d);
    case 'I': return read_ints(p, a);
    case 'D': return read_dims(p, a);
    case 'R': return read_body(p, a);
    default: return sn_lex_int(&p->x, &a->i);
  }
}

static sn_code fail_no_attr(parser *p, const sn_op_info *info) {
  const char *entries[SN_ATTR_MAX];
  for (int i = 0; i < info->attr_count; i++) entries[i] = info->attr[i].name;
  return fail_unknown(p, "attribute", p->x.token.text, entries, info->attr_count);
}

/* `name value` in any order; all that are not optional must be there. */
static sn_code read_attrs(parser *p, sn_op op, sn_attr attr[SN_ATTR_MAX]) {
  const sn_op_info *info = sn_op_get(op);
  while (!p->x.failed && p->x.token.kind == SN_TOKEN_NAME) {
    int i = sn_op_attr(op, p->x.token.text);
    if (i < 0) return fail_no_attr(p, info);
    if (attr[i].set) return fail_here(p, "the attribute is given twice", "each attribute once");
    sn_lex_next(&p->x);
    SN_TRY(read_attr_value(p, info->attr[i].kind, &attr[i]));
  }
  for (int i = 0; i < info->attr_count; i++) {
    if (attr[i].set || info->attr[i].optional) continue;
    const char *text = sn_arena_printf(p->m->arena, "%s has no attribute `%s`", info->name, info->attr[i].name);
    return fail_here(p, text, info->attr[i].name);
  }
  return p->x.failed;
}

/* ---- nodes ------------------------------------------------------------------------------------------ */

/* One statement `%a, %b = op operands attributes : types origin`. */
typedef struct statement {
  value_list names;
  sn_loc loc;
  sn_op op;
  int arg_count, arg_capacity;
  sn_val *arg;
  sn_attr attr[SN_ATTR_MAX];
  int type_count, type_capacity;
  const sn_type **type;
  sn_origin origin;
} statement;

static sn_code read_names(parser *p, value_list *list) {
  do {
    if (list->count == MAX_RESULTS) return limit_here(p, "results of one node", MAX_RESULTS);
    if (at_value(p) && sn_map_get_str(p->values, p->x.token.text)) {
      return fail_here(p, "the value is defined twice", "a name that is free");
    }
    SN_GROW(p->m->arena, list->at, list->count, list->capacity);
    SN_TRY(read_value_name(p, &list->at[list->count++]));
  } while (sn_lex_accept(&p->x, ","));
  return sn_lex_expect(&p->x, "=");
}

/* `attention.alibi`: the op and the name of its variant. */
static sn_op find_variant(parser *p, const char *text, sn_attr attr[SN_ATTR_MAX]) {
  const char *dot = strchr(text, '.');
  sn_op op = dot && dot[1] ? sn_op_find(sn_arena_printf(p->m->arena, "%.*s", (int)(dot - text), text)) : SN_OP_NONE;
  int i = op ? sn_op_attr(op, "variant") : -1;
  if (i < 0) return SN_OP_NONE;
  attr[i] = (sn_attr){.set = true, .s = sn_arena_strdup(p->m->arena, dot + 1)};
  return op;
}

static sn_code read_op(parser *p, sn_op *out, sn_attr attr[SN_ATTR_MAX]) {
  if (p->x.token.kind != SN_TOKEN_NAME || p->x.failed) return fail_here(p, "the name of an op is needed", "an op");
  *out = sn_op_find(p->x.token.text);
  if (*out == SN_OP_NONE) *out = find_variant(p, p->x.token.text, attr);
  if (*out == SN_OP_NONE) {
    const char *entries[SN_OP_COUNT];
    for (int i = 1; i < SN_OP_COUNT; i++) entries[i - 1] = sn_op_get((sn_op)i)->name;
    return fail_unknown(p, "op", p->x.token.text, entries, SN_OP_COUNT - 1);
  }
  sn_lex_next(&p->x);
  return p->x.failed;
}

static sn_code read_operands(parser *p, statement *s) {
  const sn_op_info *info = sn_op_get(s->op);
  while (at_value(p)) {
    if (s->arg_count == MAX_OPERANDS) return limit_here(p, "operands", MAX_OPERANDS);
    SN_GROW(p->m->arena, s->arg, s->arg_count, s->arg_capacity);
    SN_TRY(read_value(p, &s->arg[s->arg_count++]));
    if (!sn_lex_accept(&p->x, ",")) break;
    if (!at_value(p)) return fail_here(p, "a value is needed", "%name");
  }
  if (info->operands < 0 || s->arg_count == info->operands) return p->x.failed;
  const char *text = sn_arena_printf(p->m->arena, "%s takes %d operand%s, found %d", info->name, info->operands,
                                     info->operands == 1 ? "" : "s", s->arg_count);
  return fail_here(p, text, s->arg_count < info->operands ? "another operand" : "no more operands");
}

static sn_code read_types(parser *p, statement *s) {
  SN_TRY(sn_lex_expect(&p->x, ":"));
  do {
    if (s->type_count == MAX_RESULTS) return limit_here(p, "results of one node", MAX_RESULTS);
    SN_GROW(p->m->arena, s->type, s->type_count, s->type_capacity);
    SN_TRY(sn_type_parse(&p->x, p->m->types, &s->type[s->type_count++]));
  } while (sn_lex_accept(&p->x, ","));
  const sn_op_info *info = sn_op_get(s->op);
  const char *types = sn_arena_printf(p->m->arena, "%d types", s->type_count);
  if (s->type_count != s->names.count)
    return fail_last(p, "a type for each value is needed",
                     sn_arena_printf(p->m->arena, "%d, as many as values are named", s->names.count), types);
  if (info->results < 0 || s->type_count == info->results) return p->x.failed;
  return fail_last(p, sn_arena_printf(p->m->arena, "the number of results of %s", info->name),
                   sn_arena_printf(p->m->arena, "%d", info->results), types);
}

/* `"file":line:column` */
static sn_code read_loc(parser *p, sn_loc *out) {
  int64_t line = 0, column = 0;
  SN_TRY(sn_lex_string(&p->x, &out->file));
  if (sn_lex_accept(&p->x, ":")) SN_TRY(sn_lex_int(&p->x, &line));
  if (sn_lex_accept(&p->x, ":")) SN_TRY(sn_lex_int(&p->x, &column));
  if (line < 0 || line > INT_MAX || column < 0 || column > INT_MAX)
    return fail_last(p, "no such line", "a line number",
                     sn_arena_printf(p->m->arena, "%lld", (long long)(line < 0 || line > INT_MAX ? line : column)));
  out->line = (int)line;
  out->column = (int)column;
  return p->x.failed;
}

static sn_code read_locs(parser *p, statement *s) {
  enum { MAX_LOCS = 64 };
  sn_loc locs[MAX_LOCS] = {{0}};
  int count = 0;
  while (!p->x.failed && p->x.token.kind == SN_TOKEN_STRING) {
    if (count == MAX_LOCS) return limit_here(p, "source lines of a node", MAX_LOCS);
    SN_TRY(read_loc(p, &locs[count++]));
  }
  if (!count && !sn_lex_accept(&p->x, "none")) return fail_here(p, "a source line is needed", "\"file\":line or none");
  s->origin.locs = sn_arena_copy(p->m->arena, locs, (size_t)count * sizeof *locs);
  s->origin.loc_count = count;
  return p->x.failed;
}

static sn_code read_origin(parser *p, statement *s) {
  if (sn_lex_accept(&p->x, "layer")) SN_TRY(sn_lex_string(&p->x, &s->origin.layer));
  if (sn_lex_accept(&p->x, "group")) SN_TRY(sn_lex_string(&p->x, &s->origin.group));
  if (sn_lex_accept(&p->x, "@")) return read_locs(p, s);
  s->origin.locs = &s->loc;
  s->origin.loc_count = 1;
  return p->x.failed;
}

static sn_code add_statement(parser *p, const statement *s) {
  if (p->node_count++ == MAX_NODES) return limit_here(p, "nodes", MAX_NODES);
  if (sn_op_is_named_leaf(s->op) && sn_func_leaf(p->f, s->op, s->attr[0].s)) {
    p->x.failed =
        sn_fail(p->x.diags, SN_ERR_INPUT, s->loc, "%s \"%s\" is declared twice", sn_op_get(s->op)->name, s->attr[0].s);
    sn_fail_expected(p->x.diags, "a name that is free");
    sn_fail_found(p->x.diags, "\"%s\"", s->attr[0].s);
    return p->x.failed;
  }
  sn_val first = sn_func_add(p->f, s->op, s->arg_count, s->arg, s->attr, s->type_count, s->type, &s->origin);
  for (int i = 0; i < s->names.count; i++) {
    if (sn_map_get_str(p->values, s->names.at[i])) {
      p->x.failed = sn_fail(p->x.diags, SN_ERR_INPUT, s->loc, "value %%%s is defined twice", s->names.at[i]);
      return p->x.failed;
    }
    sn_map_put_str(p->values, s->names.at[i], (void *)(uintptr_t)(first + (sn_val)i));
  }
  return SN_OK;
}

static sn_code read_statement(parser *p) {
  statement s = {.loc = sn_lex_loc(&p->x)};
  s.loc.text = NULL;
  SN_TRY(read_names(p, &s.names));
  SN_TRY(read_op(p, &s.op, s.attr));
  SN_TRY(read_operands(p, &s));
  SN_TRY(read_attrs(p, s.op, s.attr));
  SN_TRY(read_types(p, &s));
  SN_TRY(read_origin(p, &s));
  return add_statement(p, &s);
}

/* ---- functions -------------------------------------------------------------------------------------- */

static sn_code read_output(parser *p) {
  const char *name = NULL;
  sn_val v = 0;
  SN_TRY(sn_lex_string(&p->x, &name));
  SN_TRY(sn_lex_expect(&p->x, "="));
  SN_TRY(read_value(p, &v));
  sn_func_output(p->f, name, v);
  return SN_OK;
}

static sn_code read_update(parser *p) {
  sn_val state = 0, next = 0;
  SN_TRY(read_value(p, &state));
  SN_TRY(sn_lex_expect(&p->x, "="));
  SN_TRY(read_value(p, &next));
  sn_func_update(p->f, state, next);
  return SN_OK;
}

static sn_code read_guard(parser *p) {
  if (p->f->guard) return fail_here(p, "the guard is given twice", "one guard");
  return read_value(p, &p->f->guard);
}

static sn_code read_return(parser *p) {
  do {
    sn_val v = 0;
    if (p->f->result_count == MAX_RESULTS) return limit_here(p, "results", MAX_RESULTS);
    SN_TRY(read_value(p, &v));
    sn_func_return(p->f, v);
  } while (sn_lex_accept(&p->x, ","));
  return p->x.failed;
}

static sn_code read_line(parser *p) {
  if (at_value(p)) return read_statement(p);
  if (sn_lex_accept(&p->x, "output")) return read_output(p);
  if (sn_lex_accept(&p->x, "update")) return read_update(p);
  if (sn_lex_accept(&p->x, "guard")) return read_guard(p);
  if (sn_lex_accept(&p->x, "return")) return read_return(p);
  return fail_here(p, "no statement begins so", "%name, output, update, guard, return or }");
}

static sn_code read_function(parser *p, sn_func_kind kind) {
  const char *name = NULL;
  sn_loc loc = sn_lex_loc(&p->x);
  SN_TRY(read_function_name(p, &name));
  if (sn_map_get_str(p->funcs, name)) {
    p->x.failed = sn_fail(p->x.diags, SN_ERR_INPUT, loc, "function @%s is declared twice", name);
    sn_fail_expected(p->x.diags, "a name that is free");
    sn_fail_found(p->x.diags, "@%s", name);
    return p->x.failed;
  }
  p->f = sn_func_create(p->m, name, kind);
  p->values = sn_map_create(p->m->arena);
  SN_TRY(sn_lex_expect(&p->x, "{"));
  while (!sn_lex_is(&p->x, "}")) SN_TRY(read_line(p));
  SN_TRY(sn_lex_expect(&p->x, "}"));
  sn_code code = sn_func_verify(p->f, p->x.diags);
  if (code && p->x.diags && !p->x.diags->at[p->x.diags->count - 1].loc.file)
    p->x.diags->at[p->x.diags->count - 1].loc = (sn_loc){p->x.file, loc.line, loc.column, NULL};
  SN_TRY(code);
  sn_map_put_str(p->funcs, name, p->f);
  return SN_OK;
}

static sn_code read_header(parser *p) {
  int64_t version = 0;
  SN_TRY(sn_lex_expect(&p->x, "sinter"));
  if (p->x.token.kind == SN_TOKEN_INT && p->x.token.integer != 1) return fail_here(p, "the version is not known", "1");
  SN_TRY(sn_lex_int(&p->x, &version));
  return sn_lex_is(&p->x, "dims") ? sn_symbols_parse(&p->x, p->m->types) : p->x.failed;
}

sn_code sn_module_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                        sn_module **out) {
  parser p = {.m = sn_module_create(arena), .funcs = sn_map_create(arena)};
  sn_lex_begin(&p.x, arena, diags, file, text, bytes);
  SN_TRY(read_header(&p));
  while (!p.x.failed && p.x.token.kind != SN_TOKEN_END) {
    if (sn_lex_accept(&p.x, "body"))
      SN_TRY(read_function(&p, SN_FUNC_BODY));
    else if (sn_lex_accept(&p.x, "graph"))
      SN_TRY(read_function(&p, SN_FUNC_GRAPH));
    else
      return fail_here(&p, "no function begins so", "body or graph");
  }
  SN_TRY(p.x.failed);
  *out = p.m;
  return SN_OK;
}
