/* Text -> kernel, exactly as written (nothing is folded), verified. Input may be hostile: sizes, nesting and expression
 * lengths are limited before anything is built. Each instruction remembers its line. */
#include "ir/kernel/parse.h"

#include <string.h>

typedef sn_kparser parser;

/* An operand that may be a number whose type is known only at the end of the line. */
typedef struct operand {
  sn_kv v;
  double number; /* when v is 0 */
} operand;

typedef struct operands {
  operand at[SN_K_ARGS];
  int count;
} operands;

static void put(sn_map *m, const char *name, sn_kv v) { sn_map_put_str(m, name, (void *)(intptr_t)v); }

/* ---- tiles ---- */

static sn_code unknown_type(sn_lexer *x, const char *name) {
  sn_text all = sn_text_begin(x->arena);
  for (int e = SN_ELEM_NONE + 1; e < SN_ELEM_COUNT; e++)
    sn_text_add(&all, "%s%s", all.count ? " " : "", sn_elem_name((sn_elem)e));
  (void)sn_lex_fail_last(x, "unknown element type");
  sn_fail_expected(x->diags, "%s", all.at);
  sn_fail_found(x->diags, "%.60s", name);
  return x->failed;
}

static sn_code bad_extents(sn_lexer *x, int64_t r, int64_t c) {
  (void)sn_lex_fail_last(x, "extents out of range");
  sn_fail_expected(x->diags, "1 to %d each, at most %lld elements", SN_K_EXTENT_MAX, (long long)SN_K_TILE_MAX);
  sn_fail_found(x->diags, "[%lld, %lld]", (long long)r, (long long)c);
  return x->failed;
}

static sn_code read_type(parser *p, sn_ktype *out) {
  sn_lexer *x = &p->x;
  const char *name;
  int64_t r, c;
  SN_TRY(sn_lex_name(x, &name));
  out->elem = sn_elem_find(name);
  if (!out->elem) return unknown_type(x, name);
  SN_TRY(sn_lex_expect(x, "["));
  SN_TRY(sn_lex_int(x, &r));
  SN_TRY(sn_lex_expect(x, ","));
  SN_TRY(sn_lex_int(x, &c));
  SN_TRY(sn_lex_expect(x, "]"));
  if (r < 1 || c < 1 || r > SN_K_EXTENT_MAX || c > SN_K_EXTENT_MAX || r * c > SN_K_TILE_MAX)
    return bad_extents(x, r, c);
  out->r = (int)r;
  out->c = (int)c;
  return SN_OK;
}

static sn_code read_value(parser *p, sn_kv *out) {
  sn_lexer *x = &p->x;
  if (x->token.kind != SN_TOKEN_VALUE) return sn_kparser_wants(p, "a value");
  *out = sn_kparser_get(p->values, x->token.text);
  if (!*out) return sn_lex_fail(x, "%%%.60s is not defined", x->token.text);
  sn_lex_next(x);
  return x->failed;
}

static sn_code read_operand(parser *p, operand *out) {
  *out = (operand){0};
  return p->x.token.kind == SN_TOKEN_VALUE ? read_value(p, &out->v) : sn_lex_number(&p->x, &out->number);
}

static sn_code read_operands(parser *p, operands *out) {
  out->count = 0;
  do {
    if (out->count == SN_K_YIELDS) return sn_lex_fail(&p->x, "more than %d operands", SN_K_YIELDS);
    SN_TRY(read_operand(p, &out->at[out->count]));
    out->count++;
  } while (sn_lex_accept(&p->x, ","));
  return p->x.failed;
}

/* Type of a number as operand `at` of an instruction of type t; false: cannot be told. */
static bool number_type(const parser *p, sn_kop op, sn_ktype t, const operands *a, int at, sn_ktype *out) {
  sn_kins x = {.op = op, .count = a->count};
  if (at >= 3) return false;
  for (int j = 0; j < a->count && j < 3; j++) x.a[j] = a->at[j].v;
  if (!sn_k_const_inline(p->k, &x, at)) return false;
  if (sn_kop_class(op) == SN_KCLASS_CMP) t.elem = sn_k_type(p->k, a->at[!at].v).elem;
  if (op == SN_K_SELECT && at == 0) t.elem = SN_ELEM_BOOL;
  if (op == SN_K_TRANS) t = (sn_ktype){t.elem, t.c, t.r};
  *out = t;
  return true;
}

/* The numbers become constants in front of the instruction. */
static sn_code resolve(parser *p, sn_kop op, sn_ktype t, operands *a, sn_kv *out) {
  bool compares = sn_kop_class(op) == SN_KCLASS_CMP;
  if (compares && (a->count != 2 || (!a->at[0].v && !a->at[1].v)))
    return sn_lex_fail_at(&p->x, p->at, "needs two operands, one of them a value");
  for (int j = 0; j < a->count; j++) {
    sn_ktype number;
    out[j] = a->at[j].v;
    if (out[j]) continue;
    if (!number_type(p, op, t, a, j, &number))
      return sn_lex_fail_at(&p->x, p->at, "the type of a number is not known: use const");
    out[j] = sn_k_const(p->k, number.elem, number.r, number.c, a->at[j].number);
  }
  return SN_OK;
}

/* buf[off : rs, cs] (by rows) (rows<nr) (cols<nc) (pad x) */
static sn_code read_window(parser *p, sn_kop op, sn_kwin *w, sn_kv *rows, double *pad) {
  sn_lexer *x = &p->x;
  *w = (sn_kwin){0};
  *pad = 0;
  SN_TRY(sn_kparser_buffer(p, &w->buf));
  SN_TRY(sn_lex_expect(x, "["));
  SN_TRY(sn_kparser_expression(p, &w->off));
  SN_TRY(sn_lex_expect(x, ":"));
  SN_TRY(sn_kparser_expression(p, &w->rs));
  SN_TRY(sn_lex_expect(x, ","));
  SN_TRY(sn_kparser_expression(p, &w->cs));
  SN_TRY(sn_lex_expect(x, "]"));
  if (op == SN_K_GATHER) SN_TRY(sn_lex_expect(x, "by"));
  if (op == SN_K_GATHER) SN_TRY(read_value(p, rows));
  if (sn_lex_accept(x, "rows")) {
    SN_TRY(sn_lex_expect(x, "<"));
    SN_TRY(sn_kparser_expression(p, &w->nr));
  }
  if (sn_lex_accept(x, "cols")) {
    SN_TRY(sn_lex_expect(x, "<"));
    SN_TRY(sn_kparser_expression(p, &w->nc));
  }
  if (op != SN_K_STORE && sn_lex_accept(x, "pad")) SN_TRY(sn_lex_number(x, pad));
  return x->failed;
}

static sn_code read_axis(parser *p, int64_t *out) {
  SN_TRY(sn_lex_expect(&p->x, "axis"));
  SN_TRY(sn_lex_int(&p->x, out));
  return *out == 0 || *out == 1 ? SN_OK : sn_lex_fail_last(&p->x, "axis is 0 or 1");
}

static sn_code read_colon_type(parser *p, sn_ktype *out) {
  SN_TRY(sn_lex_expect(&p->x, ":"));
  return read_type(p, out);
}

static sn_code read_local(parser *p, sn_kv *out) {
  const char *name;
  int64_t elements;
  SN_TRY(sn_lex_name(&p->x, &name));
  SN_TRY(sn_lex_expect(&p->x, "x"));
  SN_TRY(sn_lex_int(&p->x, &elements));
  sn_elem e = sn_elem_find(name);
  if (!e) return unknown_type(&p->x, name);
  if (elements < 1 || elements > SN_K_TILE_MAX) return bad_extents(&p->x, 1, elements);
  *out = sn_k_local(p->k, e, elements);
  return SN_OK;
}

static sn_code read_memory(parser *p, sn_kop op, sn_kv *out) {
  sn_kwin w;
  sn_ktype t;
  sn_kv rows = 0;
  double pad;
  if (op == SN_K_LOCAL) return read_local(p, out);
  SN_TRY(read_window(p, op, &w, &rows, &pad));
  SN_TRY(read_colon_type(p, &t));
  *out = sn_k_emit_window(p->k, op, t, &w, rows, pad);
  return SN_OK;
}

static sn_code read_source(parser *p, sn_kop op, sn_kv *out) {
  sn_ktype t;
  sn_kv base = 0;
  int64_t axis = 0;
  double number = 0;
  if (op == SN_K_CONST)
    SN_TRY(sn_lex_number(&p->x, &number));
  else
    SN_TRY(sn_kparser_expression(p, &base));
  if (op == SN_K_IOTA) SN_TRY(read_axis(p, &axis));
  SN_TRY(read_colon_type(p, &t));
  if (op == SN_K_CONST)
    *out = sn_k_const(p->k, t.elem, t.r, t.c, number);
  else
    *out = sn_k_emit(p->k, op, t, 1, &base, axis, 0);
  return SN_OK;
}

static sn_code read_compute(parser *p, sn_kop op, sn_kv *out) {
  sn_lexer *x = &p->x;
  operands a;
  sn_kv v[SN_K_ARGS];
  sn_ktype t;
  int64_t i = 0;
  SN_TRY(read_operands(p, &a));
  if (op == SN_K_RSUM || op == SN_K_RPROD || op == SN_K_RMAX || op == SN_K_RARGMAX) SN_TRY(read_axis(p, &i));
  if (op == SN_K_MMA) {
    if (sn_lex_accept(x, "ta")) i |= SN_K_TA;
    if (sn_lex_accept(x, "tb")) i |= SN_K_TB;
    if (sn_lex_accept(x, "vnni")) i |= SN_K_VNNI;
  }
  SN_TRY(read_colon_type(p, &t));
  SN_TRY(resolve(p, op, t, &a, v));
  *out = sn_k_emit(p->k, op, t, a.count, v, i, 0);
  return SN_OK;
}

/* ---- statements ---- */

typedef struct names {
  const char *at[SN_K_YIELDS];
  int count;
} names;

static sn_code define(parser *p, const char *name, sn_kv v) {
  if (sn_map_get_str(p->values, name)) return sn_lex_fail_at(&p->x, p->at, "%%%.60s is defined twice", name);
  put(p->values, name, v);
  return SN_OK;
}

static sn_code read_block(parser *p, bool *yielded, operands *yield);

static sn_code read_body(parser *p, operands *yield) {
  bool yielded = false;
  sn_loc around = p->at;
  yield->count = 0;
  SN_TRY(sn_lex_expect(&p->x, "{"));
  SN_TRY(read_block(p, &yielded, yield));
  p->at = around;
  sn_k_at(p->k, p->at);
  return sn_lex_expect(&p->x, "}");
}

static sn_code check_depth(parser *p) {
  return p->k->depth + 2 < SN_K_DEPTH ? SN_OK : sn_lex_fail(&p->x, "more than %d nested statements", SN_K_DEPTH - 2);
}

static sn_code read_carries(parser *p, names *carry, sn_kv *init) {
  sn_lexer *x = &p->x;
  do {
    if (carry->count == SN_K_YIELDS) return sn_lex_fail(x, "more than %d carried values", SN_K_YIELDS);
    if (x->token.kind != SN_TOKEN_VALUE) return sn_kparser_wants(p, "the name of a carried value");
    carry->at[carry->count] = x->token.text;
    sn_lex_next(x);
    SN_TRY(sn_lex_expect(x, "="));
    SN_TRY(read_value(p, &init[carry->count]));
    carry->count++;
  } while (sn_lex_accept(x, ","));
  return x->failed;
}

/* Yields of a loop: numbers have the type of the carried value. */
static sn_code loop_yields(parser *p, const operands *yield, sn_kv *v, int count) {
  if (yield->count != count)
    return sn_lex_fail_at(&p->x, p->at, "a loop that carries %d values yields %d", count, yield->count);
  for (int j = 0; j < count; j++) {
    sn_ktype t = sn_k_type(p->k, v[j]);
    v[j] = yield->at[j].v ? yield->at[j].v : sn_k_const(p->k, t.elem, t.r, t.c, yield->at[j].number);
  }
  return SN_OK;
}

static sn_code branch_yields(parser *p, const operands *yield, sn_kv *v) {
  for (int j = 0; j < yield->count; j++) {
    v[j] = yield->at[j].v;
    if (!v[j]) return sn_lex_fail_last(&p->x, "the type of a yielded number is not known: use const");
  }
  return SN_OK;
}

static sn_code define_results(parser *p, const names *results, const sn_kv *v, int count) {
  if (results->count != count) return sn_lex_fail_at(&p->x, p->at, "%d names for %d results", results->count, count);
  for (int j = 0; j < count; j++) SN_TRY(define(p, results->at[j], v[j]));
  return SN_OK;
}

static sn_code read_for(parser *p, const names *results) {
  sn_lexer *x = &p->x;
  const char *iv;
  sn_kv lo, hi, v[SN_K_YIELDS] = {0};
  int64_t step;
  names carry = {.count = 0};
  operands yield;
  SN_TRY(check_depth(p));
  SN_TRY(sn_lex_name(x, &iv));
  SN_TRY(sn_lex_expect(x, "="));
  SN_TRY(sn_kparser_expression(p, &lo));
  SN_TRY(sn_lex_expect(x, "to"));
  SN_TRY(sn_kparser_expression(p, &hi));
  SN_TRY(sn_lex_expect(x, "step"));
  SN_TRY(sn_lex_int(x, &step));
  if (sn_lex_accept(x, "carry")) SN_TRY(read_carries(p, &carry, v));
  if (sn_kparser_get(p->indices, iv)) return sn_lex_fail_at(x, p->at, "`%.60s` is a size or loop variable already", iv);
  put(p->indices, iv, sn_k_for(p->k, lo, hi, step, carry.count, v));
  for (int j = 0; j < carry.count; j++) SN_TRY(define(p, carry.at[j], v[j]));
  SN_TRY(read_body(p, &yield));
  put(p->indices, iv, 0);
  SN_TRY(loop_yields(p, &yield, v, carry.count));
  sn_k_end_for(p->k, carry.count, v);
  return define_results(p, results, v, carry.count);
}

static sn_code read_if(parser *p, const names *results) {
  sn_kv cond, v[SN_K_YIELDS] = {0};
  operands yield;
  SN_TRY(check_depth(p));
  SN_TRY(sn_kparser_expression(p, &cond));
  sn_k_if(p->k, cond);
  SN_TRY(read_body(p, &yield));
  SN_TRY(branch_yields(p, &yield, v));
  sn_k_else(p->k, yield.count, v);
  SN_TRY(sn_lex_expect(&p->x, "else"));
  SN_TRY(read_body(p, &yield));
  SN_TRY(branch_yields(p, &yield, v));
  sn_k_end_if(p->k, yield.count, v);
  return define_results(p, results, v, yield.count);
}

static sn_code read_store(parser *p) {
  sn_kwin w;
  sn_kv v;
  double pad;
  SN_TRY(read_window(p, SN_K_STORE, &w, NULL, &pad));
  SN_TRY(sn_lex_expect(&p->x, ","));
  SN_TRY(read_value(p, &v));
  sn_k_emit_window(p->k, SN_K_STORE, sn_k_statement_type, &w, v, 0);
  return SN_OK;
}

static sn_code read_op(parser *p, const char *name, const names *results) {
  sn_kop op = sn_kop_find(name);
  sn_kclass cls = sn_kop_class(op);
  sn_kv v = 0;
  if (op == SN_K_FOR) return read_for(p, results);
  if (op == SN_K_IF) return read_if(p, results);
  if (!op || cls == SN_KCLASS_IDX || cls == SN_KCLASS_CTL || op == SN_K_STORE)
    return sn_lex_fail_last(&p->x, "unknown operation `%.60s`", name);
  if (cls == SN_KCLASS_MEM)
    SN_TRY(read_memory(p, op, &v));
  else if (cls == SN_KCLASS_SRC)
    SN_TRY(read_source(p, op, &v));
  else
    SN_TRY(read_compute(p, op, &v));
  return define_results(p, results, &v, 1);
}

static sn_code read_statement(parser *p) {
  sn_lexer *x = &p->x;
  names results = {.count = 0};
  const char *name;
  p->at = sn_lex_loc(x);
  sn_k_at(p->k, p->at);
  if (sn_lex_accept(x, "store")) return read_store(p);
  while (x->token.kind == SN_TOKEN_VALUE) {
    if (results.count == SN_K_YIELDS) return sn_lex_fail(x, "more than %d results", SN_K_YIELDS);
    results.at[results.count++] = x->token.text;
    sn_lex_next(x);
    if (!sn_lex_accept(x, ",")) break;
  }
  if (results.count) SN_TRY(sn_lex_expect(x, "="));
  SN_TRY(sn_lex_name(x, &name));
  return read_op(p, name, &results);
}

static sn_code read_block(parser *p, bool *yielded, operands *yield) {
  sn_lexer *x = &p->x;
  while (!x->failed && !sn_lex_is(x, "}")) {
    if (yielded && sn_lex_accept(x, "yield")) {
      *yielded = true;
      return read_operands(p, yield);
    }
    SN_TRY(read_statement(p));
  }
  return x->failed;
}

/* ---- head ---- */

static sn_code read_size(parser *p, sn_kparam *q) {
  sn_lexer *x = &p->x;
  q->role = SN_K_SIZE;
  q->divisor = 1;
  SN_TRY(sn_lex_int(x, &q->min));
  SN_TRY(sn_lex_expect(x, "."));
  SN_TRY(sn_lex_expect(x, "."));
  SN_TRY(sn_lex_int(x, &q->max));
  return sn_lex_accept(x, "step") ? sn_lex_int(x, &q->divisor) : x->failed;
}

static sn_code read_buffer_param(parser *p, sn_kparam *q) {
  sn_lexer *x = &p->x;
  const char *elem;
  if (sn_lex_accept(x, "in"))
    q->role = SN_K_IN;
  else if (sn_lex_accept(x, "out"))
    q->role = SN_K_OUT;
  else if (sn_lex_accept(x, "inout"))
    q->role = SN_K_INOUT;
  else
    return sn_kparser_wants(p, "in, out, inout or size");
  SN_TRY(sn_lex_name(x, &elem));
  q->elem = sn_elem_find(elem);
  if (!q->elem) return unknown_type(x, elem);
  q->divisor = 64;
  return sn_lex_accept(x, "align") ? sn_lex_int(x, &q->divisor) : x->failed;
}

static sn_code read_param(parser *p) {
  sn_kparam q = {0};
  if (p->k->param_count == SN_K_PARAMS) return sn_lex_fail(&p->x, "more than %d parameters", SN_K_PARAMS);
  SN_TRY(sn_lex_name(&p->x, &q.name));
  SN_TRY(sn_lex_expect(&p->x, ":"));
  if (sn_lex_accept(&p->x, "size"))
    SN_TRY(read_size(p, &q));
  else
    SN_TRY(read_buffer_param(p, &q));
  put(q.role == SN_K_SIZE ? p->indices : p->buffers, q.name, sn_k_param_new(p->k, &q));
  return SN_OK;
}

static sn_code read_grid(parser *p) {
  sn_kv e[3] = {0};
  int count = 0;
  SN_TRY(sn_lex_expect(&p->x, "grid"));
  SN_TRY(sn_lex_expect(&p->x, "("));
  do {
    if (count == 3) return sn_lex_fail(&p->x, "a grid has at most 3 extents");
    SN_TRY(sn_kparser_expression(p, &e[count]));
    count++;
  } while (sn_lex_accept(&p->x, ","));
  sn_kernel_grid(p->k, count, e[0], e[1], e[2]);
  return sn_lex_expect(&p->x, ")");
}

static sn_code read_kernel(parser *p) {
  sn_lexer *x = &p->x;
  const char *name;
  sn_loc loc = sn_lex_loc(x);
  SN_TRY(sn_lex_expect(x, "kernel"));
  SN_TRY(sn_lex_name(x, &name));
  p->k = sn_kernel_create(x->arena, name);
  p->k->loc = (sn_loc){.file = loc.file, .line = loc.line};
  sn_k_at(p->k, loc);
  SN_TRY(sn_lex_expect(x, "("));
  while (!sn_lex_is(x, ")")) {
    SN_TRY(read_param(p));
    if (!sn_lex_accept(x, ",")) break;
  }
  SN_TRY(sn_lex_expect(x, ")"));
  SN_TRY(read_grid(p));
  SN_TRY(sn_lex_expect(x, "{"));
  SN_TRY(read_block(p, NULL, NULL));
  SN_TRY(sn_lex_expect(x, "}"));
  return sn_kernel_verify(p->k, x->diags);
}

/* Names are of one kernel. */
static void begin_kernel(parser *p) {
  p->values = sn_map_create(p->x.arena);
  p->indices = sn_map_create(p->x.arena);
  p->buffers = sn_map_create(p->x.arena);
}

sn_code sn_kernel_parse(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                        sn_kernel **out) {
  parser p = {.k = NULL};
  sn_lex_begin(&p.x, arena, diags, file, text, bytes);
  begin_kernel(&p);
  SN_TRY(read_kernel(&p));
  if (p.x.failed) return p.x.failed;
  if (p.x.token.kind != SN_TOKEN_END) return sn_lex_fail(&p.x, "text after the kernel");
  *out = p.k;
  return SN_OK;
}

sn_code sn_kernel_parse_all(sn_arena *arena, sn_diags *diags, const char *file, const char *text, size_t bytes,
                            int *out_count, sn_kernel ***out) {
  parser p = {.k = NULL};
  sn_kernel **list = NULL;
  int count = 0, capacity = 0;
  sn_lex_begin(&p.x, arena, diags, file, text, bytes);
  do {
    begin_kernel(&p);
    SN_TRY(read_kernel(&p));
    SN_GROW(arena, list, count, capacity);
    list[count++] = p.k;
  } while (!p.x.failed && p.x.token.kind != SN_TOKEN_END);
  if (p.x.failed) return p.x.failed;
  *out_count = count;
  *out = list;
  return SN_OK;
}
