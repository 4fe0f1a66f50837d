/* One call of sinter.h: where its nodes go, how operands get there, and how mistakes are told. */
#include "frontend/trace.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- texts --------------------------------------------------------------------------------------- */

static const char *format_text(sn_arena *arena, const char *format, va_list args) {
  char text[2048];
  vsnprintf(text, sizeof text, format, args);
  return sn_arena_strdup(arena, text);
}

const char *sn_texts(const sn_call *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *text = format_text(c->trace->arena, format, args);
  va_end(args);
  return text;
}

const char *sn_dim_text(const sn_call *c, const sn_dimx *d) {
  sn_text t = sn_text_begin(c->trace->arena);
  sn_dimx_print(&t, d);
  return t.at;
}

const char *sn_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* End of the argument that starts at `at`: a comma or bracket of this level, or the end. */
static const char *argument_end(const char *at) {
  int level = 0;
  for (; *at; at++) {
    if (*at == '"' || *at == '\'') {
      char quote = *at++;
      while (*at && *at != quote) at += *at == '\\' && at[1] ? 2 : 1;
      if (!*at) return at;
      continue;
    }
    if (strchr("([{", *at)) level++;
    if (strchr(")]}", *at) && level-- == 0) return at;
    if (*at == ',' && level == 0) return at;
  }
  return at;
}

const char *sn_spelled(const sn_call *c, int i) {
  const char *at = c->here.text ? strchr(c->here.text, '(') : NULL;
  if (!at) return "";
  for (at++;; at++) {
    while (isspace((unsigned char)*at)) at++;
    const char *end = argument_end(at);
    if (i-- == 0) return sn_texts(c, "%.*s", (int)(end - at), at);
    if (*end != ',') return "";
    at = end;
  }
}

const char *sn_describe(const sn_call *c, sn_t x, const char *spelled) {
  if (sn_is_number(x)) {
    sn_text t = sn_text_begin(c->trace->arena);
    sn_text_number(&t, x.u.num);
    return sn_texts(c, "the number %s", t.at);
  }
  if (sn_is_poison(x)) return spelled;
  const sn_node *n = sn_node_of(x.fn->b.func, (sn_val)x.u.id);
  const char *type = sn_type_text(c->trace->arena, sn_t_type(x)), *name = sn_leaf_name(n);
  const char *what = sn_op_get(n->op)->name;
  if (name) what = sn_texts(c, "%s \"%s\"", what, name);
  const char *space = *spelled ? " " : "";
  if (!n->origin.loc_count || !n->origin.locs[0].file) return sn_texts(c, "%s%s%s (%s)", spelled, space, type, what);
  return sn_texts(c, "%s%s%s (%s at %s:%d)", spelled, space, type, what, sn_base_name(n->origin.locs[0].file),
                  n->origin.locs[0].line);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

/* Drops the newest mistake when it repeats an earlier one: a layer is traced many times, a model in many graphs. */
static void drop_repeated(sn_diags *d) {
  const sn_diag *last = &d->at[d->count - 1];
  for (int i = 0; i < d->count - 1; i++) {
    const sn_diag *e = &d->at[i];
    if (e->loc.line == last->loc.line && same_text(e->loc.file, last->loc.file) &&
        same_text(e->loc.text, last->loc.text) && same_text(e->message, last->message)) {
      d->count--;
      return;
    }
  }
}

static void add_notes(sn_trace *t, const sn_fn *fn) {
  sn_text note = sn_text_begin(t->arena);
  for (; fn; fn = fn->outer) {
    if (fn->where) sn_text_add(&note, "%s%s", note.count ? "\n" : "", fn->where);
  }
  if (note.count) sn_fail_note(t->diags, "%s", note.at);
}

void sn_mistake_plain(sn_call *c, const char *expected, const char *found, const char *message) {
  sn_diags *d = c->trace->diags;
  sn_loc loc = {.file = c->here.file, .line = c->here.line, .text = c->here.text};
  sn_code code = sn_fail(d, SN_ERR_INPUT, loc, "%s", message);
  if (expected) sn_fail_expected(d, "%s", expected);
  if (found) sn_fail_found(d, "%s", found);
  add_notes(c->trace, c->fn);
  drop_repeated(d);
  c->trace->mistakes += code != SN_OK;
  c->poison = true;
}

void sn_mistake(sn_call *c, const char *expected, const char *found, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *message = format_text(c->trace->arena, format, args);
  va_end(args);
  int length = c->here.text ? (int)strcspn(c->here.text, "( ") : 0;
  sn_mistake_plain(c, expected, found, sn_texts(c, "%.*s: %s", length, length ? c->here.text : "", message));
}

/* ---- operands ----------------------------------------------------------------------------------------- */

static bool encloses(const sn_fn *outer, const sn_fn *fn) {
  while (fn && fn != outer) fn = fn->outer;
  return fn == outer;
}

/* A value whose function is closed, or a sibling of the one at work. */
static void leaked(sn_call *c, sn_t x, const char *spelled) {
  const char *found =
      sn_texts(c, "%s, local to @%s; carry it out (sn_layers: list it with &; sn_scan: make it a state)",
               sn_describe(c, x, spelled), x.fn->name);
  sn_mistake_plain(c, "a value of this function or of one around it", found,
                   "a value is used outside the region that made it");
}

/* Operand number i of the call as spelled. When the call has a scope first, operands stand behind it. */
static void note_operand(sn_call *c, int i, int skip, sn_t x) {
  if (sn_is_poison(x)) c->poison = true;
  if (c->poison || sn_is_number(x)) return;
  if (x.fn->closed || (!encloses(x.fn, c->fn) && !encloses(c->fn, x.fn))) {
    leaked(c, x, sn_spelled(c, i + skip));
    return;
  }
  if (x.fn->depth > c->fn->depth) c->fn = x.fn;
}

static void begin_nodes(sn_call *c) {
  c->fn->loc = (sn_loc){.file = c->here.file, .line = c->here.line, .text = c->here.text};
  c->fn->b.failed = SN_OK;
}

static sn_fn *innermost_open(sn_fn *fn) {
  while (fn->closed && fn->outer) fn = fn->outer;
  return fn;
}

sn_call sn_call_on(sn_here here, int count, const sn_t *x) {
  sn_call c = {.here = here};
  for (int i = 0; i < count && !c.fn; i++) c.fn = x[i].fn;
  if (!c.fn) return c;
  c.trace = c.fn->trace;
  c.fn = innermost_open(c.fn);
  for (int i = 0; i < count; i++) note_operand(&c, i, 0, x[i]);
  begin_nodes(&c);
  return c;
}

sn_call sn_call_in(sn_here here, sn_scope m, int count, const sn_t *x) {
  sn_call c = {.here = here, .trace = m.fn->trace, .fn = m.fn};
  if (m.fn->closed) {
    c.fn = innermost_open(m.fn);
    sn_mistake(&c, "a scope of this function or of one around it", sn_texts(&c, "the scope of @%s", m.fn->name),
               "a scope is used after its region");
  }
  for (int i = 0; i < count; i++) note_operand(&c, i, 2, x[i]);
  begin_nodes(&c);
  return c;
}

sn_t sn_poison(const sn_call *c) { return c->fn ? (sn_t){.fn = c->fn} : sn_num(NAN); }

/* The value in `fn`, captured level by level. */
static sn_val capture(sn_fn *fn, sn_t x) {
  if (x.fn == fn) return (sn_val)x.u.id;
  sn_val outer = capture(fn->outer, x);
  for (int i = 0; i < fn->capture_count; i++) {
    if (fn->capture[i].outer == outer) return fn->capture[i].inner;
  }
  /* Provisional numbers far above the fixed arguments; closing gives the final ones. */
  const sn_func *of = fn->outer->b.func;
  const sn_attr index = {.set = true, .i = 1000000 + fn->capture_count};
  sn_origin mine = fn->b.origin;
  fn->b.origin = sn_node_of(of, outer)->origin;
  sn_val inner = sn_emit(&fn->b, SN_OP_ARG, 0, NULL, &index, sn_val_type(of, outer));
  fn->b.origin = mine;
  SN_GROW(fn->trace->arena, fn->capture, fn->capture_count, fn->capture_capacity);
  fn->capture[fn->capture_count++] = (sn_capture){outer, inner};
  const sn_fact *fact = sn_fact_of(fn->outer, outer, false);
  if (fact) *sn_fact_of(fn, inner, true) = *fact;
  return inner;
}

sn_val sn_bring(sn_call *c, sn_t x, const char *spelled) {
  if (c->poison || sn_is_poison(x)) return c->poison = true, 0;
  if (sn_is_number(x)) {
    sn_mistake(c, "a tensor", sn_describe(c, x, spelled), "%s is a number", *spelled ? spelled : "an operand");
    return 0;
  }
  if (x.fn->closed || !encloses(x.fn, c->fn)) return leaked(c, x, spelled), 0;
  return capture(c->fn, x);
}

sn_t sn_result(sn_call *c, sn_val v) {
  if (c->poison) return sn_poison(c);
  if (c->fn->b.failed || !v) {
    add_notes(c->trace, c->fn);
    if (c->trace->diags->count) drop_repeated(c->trace->diags);
    c->trace->mistakes++;
    c->fn->b.failed = SN_OK;
    return sn_poison(c);
  }
  return (sn_t){.u.id = v, .fn = c->fn};
}

const sn_type *sn_need(sn_call *c, sn_t x, const char *operand) {
  if (c->poison) return NULL;
  if (sn_is_poison(x)) return c->poison = true, NULL;
  if (!sn_is_number(x)) return sn_t_type(x);
  bool nothing = x.u.num == 0 || isnan(x.u.num);
  sn_mistake(c, "a tensor", nothing ? "nothing" : sn_describe(c, x, ""), "operand %s is %s", operand,
             nothing ? "missing" : "a number");
  return NULL;
}
