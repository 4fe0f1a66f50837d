/* Golden cases of graph passes: files of input and expected text; every case is also executed before and after the pass
 * with the reference interpreter, under two assignments of the symbols, and compared within the error bounds.
 *
 *   == name of the case
 *   disabled: fold.add_zero,cse          optional: rules switched off
 *   noexec                               optional: not executed (the pass renames random streams)
 *   dims { .. } graph @g { .. }          the module, without its first line
 *   --
 *   dims { .. } graph @g { .. }          what the pass makes of it, or `error: message`
 *
 * With SN_BLESS=1 in the environment the expected texts are written anew, to be reviewed like code. */
#ifndef SN_TESTS_PASSES_GOLDEN_H
#define SN_TESTS_PASSES_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "ir/ref/interp.h"
#include "passes/passes.h"

typedef struct golden_case {
  char *name, *disabled, *input, *expected;
  bool noexec;
  bool retypes; /* the pass stores states in another type */
} golden_case;

typedef struct golden_run {
  sn_arena *arena;
  sn_diags *diags;
  const golden_case *c;
  int64_t excluded, total; /* elements compared; excluded: beyond a discontinuity */
} golden_run;

static inline void golden_fail(const golden_run *g, const char *what) {
  print_message("case `%s`: %s\n%s\n", g->c->name, what, sn_diags_print(g->diags, g->arena));
  fail();
}

/* ---- execution ---------------------------------------------------------------------------------------- */

/* Elements that depend on the name only, with numbers in it blanked, so that all layers get the same. */
static inline sn_tensor *golden_leaf(golden_run *g, const sn_node *n, const int64_t *dims) {
  char name[256];
  int count = 0;
  for (const char *s = sn_leaf_name(n); *s && count < 255; s++) {
    bool digit = (*s >= '0' && *s <= '9') || *s == '*';
    if (!digit || count == 0 || name[count - 1] != '*') name[count++] = digit ? '*' : *s;
  }
  sn_rng r = {.seed = sn_hash_bytes(name, (size_t)count, 7)};
  const sn_type *type = n->type[0];
  int64_t extent[SN_RANK_MAX];
  for (int i = 0; i < type->rank; i++) assert_int_equal(sn_dimx_eval(type->dim[i], dims, &extent[i]), SN_OK);
  sn_tensor *t;
  assert_int_equal(sn_tensor_create(g->arena, type->elem, type->rank, extent, &t), SN_OK);
  for (int64_t i = 0; i < t->count; i++) {
    double x = sn_rng_f64(&r) * 4 - 2;
    if (!sn_elem_is_float(type->elem))
      x = (double)sn_rng_below(&r, type->elem == SN_ELEM_BOOL ? 2 : 4);
    else
      x = (double)(int)(x * 64) / 64; /* exact in every float type */
    t->value[i] = x;
    if (t->wide) t->wide[i] = (int64_t)x;
  }
  return t;
}

static inline sn_tensor **golden_execute(golden_run *g, const sn_module *m, const sn_func *f, const int64_t *dims) {
  sn_binding *leaf = SN_ARRAY(g->arena, 4096, sn_binding);
  int count = 0;
  for (int i = 0; i < m->func_count; i++) {
    bool other = m->func[i] != f && m->func[i]->kind == SN_FUNC_GRAPH;
    for (int k = 0; k < m->func[i]->node_count && !other; k++) {
      const sn_node *n = m->func[i]->node[k];
      if (!sn_leaf_name(n) || count == 4096) continue;
      leaf[count++] = (sn_binding){.name = sn_leaf_name(n), .tensor = golden_leaf(g, n, dims)};
    }
  }
  sn_interp in = {.arena = g->arena, .diags = g->diags, .dims = dims, .leaf_count = count, .leaf = leaf};
  sn_tensor **values = NULL;
  if (sn_interp_run(&in, f, &values)) golden_fail(g, "does not run");
  return values;
}

static inline void golden_compare(golden_run *g, const char *name, const sn_tensor *before, const sn_tensor *after) {
  assert_int_equal(before->count, after->count);
  void *found = sn_arena_alloc(g->arena, (size_t)after->count * 8 + 8);
  sn_tensor alike = *after;
  if (g->c->retypes) alike.elem = before->elem;
  assert_int_equal(before->elem, alike.elem);
  sn_tensor_store(&alike, found);
  sn_mismatch miss = sn_tensor_compare(before, found, 1);
  g->excluded += miss.excluded;
  g->total += miss.total;
  if (!miss.count) return;
  print_message("case `%s`: \"%s\" element %lld of %lld: before %.17g, after %.17g, bound %g\n", g->c->name, name,
                (long long)miss.first, (long long)miss.total, miss.expected, miss.found, miss.bound);
  fail();
}

static inline void golden_execute_both(golden_run *g, const sn_module *a, const sn_module *b) {
  for (int round = 0; round < 2; round++) {
    int64_t dims[64] = {0};
    for (int i = 0; i < sn_types_symbol_count(a->types) && i < 64; i++) {
      const sn_dimx *d = sn_types_symbol(a->types, i);
      int64_t step = sn_dimx_divisor(d) > 1 ? sn_dimx_divisor(d) : 1, most = sn_dimx_max_value(d);
      dims[i] = sn_dimx_min_value(d) + round * 2 * step;
      if (dims[i] > most) dims[i] = most;
    }
    for (int i = 0; i < a->func_count; i++) {
      const sn_func *f = a->func[i], *h = sn_module_find(b, f->name);
      if (f->kind != SN_FUNC_GRAPH) continue;
      sn_tensor **x = golden_execute(g, a, f, dims), **y = golden_execute(g, b, h, dims);
      assert_int_equal(f->output_count, h->output_count);
      assert_int_equal(f->update_count, h->update_count);
      for (int k = 0; k < h->output_count; k++) { /* sorted by name in h */
        for (int j = 0; j < f->output_count; j++) {
          if (strcmp(f->output[j].name, h->output[k].name) != 0) continue;
          golden_compare(g, h->output[k].name, x[f->output[j].value], y[h->output[k].value]);
        }
      }
      for (int k = 0; k < h->update_count; k++) {
        const char *state = sn_leaf_name(sn_node_of(h, h->update[k].state));
        for (int j = 0; j < f->update_count; j++) {
          if (strcmp(state, sn_leaf_name(sn_node_of(f, f->update[j].state))) != 0) continue;
          golden_compare(g, state, x[f->update[j].next], y[h->update[k].next]);
        }
      }
    }
  }
}

/* ---- one case ------------------------------------------------------------------------------------------- */

static inline sn_module *golden_parse(golden_run *g) {
  sn_module *m = NULL;
  const char *text = sn_arena_printf(g->arena, "sinter 1\n%s", g->c->input);
  if (sn_module_parse(g->arena, g->diags, "case.sn", text, strlen(text), &m)) golden_fail(g, "input does not parse");
  return m;
}

static inline void golden_check(golden_run *g, const sn_module *m, const char *when) {
  for (int i = 0; i < m->func_count; i++) {
    if (sn_func_verify(m->func[i], g->diags) || sn_ops_check(m->func[i], g->diags)) golden_fail(g, when);
  }
}

static inline char *golden_text(golden_run *g, const sn_module *m) {
  sn_text out = sn_text_begin(g->arena);
  sn_module_print(&out, m, (sn_print_opt){0});
  char *text = out.at + strlen("sinter 1\n");
  while (*text == '\n') text++;
  size_t count = strlen(text);
  while (count && text[count - 1] == '\n') text[--count] = 0;
  return text;
}

/* -> the text after the pass, or "error: message" */
static inline char *golden_apply(golden_run *g, sn_pass_fn pass) {
  sn_module *before = golden_parse(g), *after = golden_parse(g);
  golden_check(g, before, "input is not sound");
  sn_pass_env env = {.arena = g->arena, .diags = g->diags, .disabled = g->c->disabled};
  if (pass(after, &env)) return sn_arena_printf(g->arena, "error: %s", g->diags->at[g->diags->count - 1].message);
  golden_check(g, after, "result is not sound");
  char *text = golden_text(g, after);
  if (!g->c->noexec) golden_execute_both(g, before, after);
  if (g->excluded * 2 > g->total) golden_fail(g, "most elements cannot be compared");
  if (pass(after, &env)) golden_fail(g, "a second run fails");
  if (strcmp(text, golden_text(g, after)) != 0) golden_fail(g, "a second run changes the result");
  return text;
}

/* ---- files of cases --------------------------------------------------------------------------------------- */

static inline char *golden_read(sn_arena *arena, const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) fail_msg("cannot read %s", path);
  char *text = sn_arena_alloc(arena, 1 << 20);
  size_t count = fread(text, 1, (1 << 20) - 1, f);
  text[count] = 0;
  fclose(f);
  return text;
}

/* Cuts the case that begins at *at ("== name") out of the text. */
static inline golden_case golden_next(char **at) {
  golden_case c = {.name = *at + 3};
  char *line = strchr(c.name, '\n');
  *line++ = 0;
  if (!strncmp(line, "disabled: ", 10)) {
    c.disabled = line + 10;
    line = strchr(line, '\n');
    *line++ = 0;
  }
  if (!strncmp(line, "noexec\n", 7)) c.noexec = true, line += 7;
  c.input = line;
  char *cut = strstr(line, "\n--\n");
  if (!cut) fail_msg("case `%s` has no line of --", c.name);
  *cut = 0;
  c.expected = cut + 4;
  char *next = strstr(cut + 3, "\n== ");
  if (next) *next = 0;
  *at = next ? next + 1 : NULL;
  if (next == cut + 3) c.expected = cut; /* nothing is expected yet */
  size_t count = strlen(c.expected);
  while (count && c.expected[count - 1] == '\n') c.expected[--count] = 0;
  return c;
}

static inline void golden_write(FILE *f, const golden_case *c, const char *text) {
  fprintf(f, "== %s\n", c->name);
  if (c->disabled) fprintf(f, "disabled: %s\n", c->disabled);
  if (c->noexec) fprintf(f, "noexec\n");
  fprintf(f, "%s\n--\n%s\n\n", c->input, text);
}

/* Runs every case of tests/passes/golden/<name>.txt; there must be at least three. */
static inline void golden_file_of(const char *name, sn_pass_fn pass, bool retypes) {
  sn_arena *files = sn_arena_create();
  const char *path = sn_arena_printf(files, "%s/tests/passes/golden/%s.txt", SN_SOURCE_DIR, name);
  char *at = golden_read(files, path);
  FILE *bless = getenv("SN_BLESS") ? fopen(path, "wb") : NULL;
  int count = 0, wrong = 0;
  for (; at; count++) {
    golden_case c = golden_next(&at);
    c.retypes = retypes;
    golden_run g = {.arena = sn_arena_create(), .diags = sn_diags_create(), .c = &c};
    char *text = golden_apply(&g, pass);
    if (bless)
      golden_write(bless, &c, text);
    else if (strcmp(text, c.expected) != 0)
      print_message("case `%s` gives\n%s\n", c.name, text), wrong++;
    sn_diags_destroy(g.diags);
    sn_arena_destroy(g.arena);
  }
  if (bless) fclose(bless);
  assert_int_equal(wrong, 0);
  assert_true(count >= 3);
  sn_arena_destroy(files);
}

static inline void golden_file(const char *name, sn_pass_fn pass) { golden_file_of(name, pass, false); }

#endif
