/* Plan -> text. One line a slot and a step; the order of words is fixed and what is absent is left out. */
#include <inttypes.h>

#include "ir/plan/internal.h"

enum { HEX_BYTES = 64 }; /* bytes of code in one line */

static void print_named(sn_text *out, const char *word, const char *value) {
  if (!value) return;
  sn_text_add(out, " %s ", word);
  sn_text_quoted(out, value);
}

static void print_dim(sn_text *out, const char *word, const sn_dimx *d) {
  if (!d) return;
  sn_text_add(out, " %s ", word);
  sn_dimx_print(out, d);
}

static void print_slot(sn_text *out, const sn_plan *p, int i) {
  const sn_slot *s = &p->slot[i];
  sn_text_add(out, "slot %d %s ", i, sn_plan_role_names[s->role]);
  sn_text_quoted(out, s->name);
  sn_text_char(out, ' ');
  sn_type_print(out, s->type);
  print_dim(out, "elements", s->elements);
  if (s->graph != -1) sn_text_add(out, " graph %d", s->graph);
  if (s->init != SN_INITIAL_NONE) {
    sn_text_add(out, " init %s ", sn_plan_init_names[s->init]);
    sn_text_number(out, s->init_a);
  }
  if (s->optional) sn_text_add(out, " optional");
  if (s->frozen) sn_text_add(out, " frozen");
  if (s->role == SN_SLOT_TEMP && s->first >= 0) sn_text_add(out, " life %d %d", s->first, s->last);
  if (s->alias != -1) sn_text_add(out, " alias %d", s->alias);
  if (s->buddy != -1) sn_text_add(out, " buddy %d", s->buddy);
  sn_text_char(out, '\n');
}

static void print_hex(sn_text *out, const sn_code_blob *b) {
  static const char digits[] = "0123456789abcdef";
  sn_text_add(out, " entry %" PRId64 " {", b->entry);
  for (int64_t i = 0; i < b->byte_count; i++) {
    if (i % HEX_BYTES == 0) sn_text_add(out, i ? "\"\n  \"" : "\n  \"");
    sn_text_char(out, digits[b->bytes[i] >> 4]);
    sn_text_char(out, digits[b->bytes[i] & 15]);
  }
  sn_text_add(out, "\"\n}");
}

static void print_code(sn_text *out, const sn_plan *p, int i, bool with_bytes) {
  const sn_code_blob *b = &p->code[i];
  sn_text_add(out, "code %d %s ", i, sn_plan_code_names[b->kind]);
  sn_text_quoted(out, b->name);
  sn_text_add(out, " size %" PRId64 " workspace %" PRId64, b->byte_count, b->workspace_bytes);
  print_named(out, "features", b->features);
  if (with_bytes && b->byte_count) print_hex(out, b);
  sn_text_char(out, '\n');
}

static void print_launch(sn_text *out, const sn_step *s) {
  sn_text_add(out, " %d (", s->code);
  for (int i = 0; i < s->arg_count; i++) {
    const char *kind = !s->arg[i].is_slot ? "size " : s->writes >> i & 1 ? "write " : "";
    sn_text_add(out, "%s%s%d", i ? ", " : "", kind, s->arg[i].index);
  }
  sn_text_char(out, ')');
  for (int i = 0; i < 3; i++) {
    static const char *const words[3] = {"grid0", "grid1", "grid2"};
    print_dim(out, words[i], s->grid[i]);
  }
}

void sn_plan_step_print(sn_text *out, const sn_step *s) {
  sn_text_add(out, "%s", sn_plan_step_names[s->kind]);
  if (s->kind == SN_STEP_LAUNCH) print_launch(out, s);
  if (s->kind == SN_STEP_COPY || s->kind == SN_STEP_SWAP) sn_text_add(out, " %d to %d", s->from, s->to);
  if (s->kind == SN_STEP_CHECK) sn_text_add(out, " %d", s->from);
  if (s->kind == SN_STEP_CHOOSE) sn_text_add(out, " %d yes %d no %d", s->from, s->block[0], s->block[1]);
  if (s->kind == SN_STEP_WHILE)
    sn_text_add(out, " %d test %d body %d limit %" PRId64, s->from, s->block[0], s->block[1], s->limit);
}

static void print_step(sn_text *out, const sn_step *s) {
  sn_text_add(out, "  ");
  sn_plan_step_print(out, s);
  print_named(out, "kind", s->kind_name);
  print_named(out, "ops", s->ops);
  print_named(out, "where", s->where);
  print_dim(out, "flops", s->flops);
  print_dim(out, "reads", s->bytes_read);
  print_dim(out, "writes", s->bytes_written);
  sn_text_char(out, '\n');
}

static void print_limit(sn_text *out, const sn_plan_limit *l) {
  sn_text_add(out, "  limit %d", l->slot);
  if (l->kind) {
    sn_text_add(out, " some %s ", sn_plan_limit_names[l->kind]);
    sn_text_number(out, l->value);
  }
  print_dim(out, "rows", l->rows);
  print_dim(out, "span", l->span);
  print_named(out, "op", l->op);
  print_named(out, "file", l->file);
  sn_text_add(out, " line %d\n", l->line);
}

static void print_graph(sn_text *out, const sn_plan_graph *g) {
  sn_text_add(out, "graph ");
  sn_text_quoted(out, g->name);
  sn_text_add(out, " {\n");
  for (int i = 0; i < g->step_count; i++) print_step(out, &g->step[i]);
  for (int i = 0; i < g->refusal_count; i++) {
    sn_text_add(out, "  refused ");
    sn_text_quoted(out, g->refusal[i].ops);
    sn_text_char(out, ' ');
    sn_text_quoted(out, g->refusal[i].reason);
    sn_text_char(out, '\n');
  }
  for (int i = 0; i < g->limit_count; i++) print_limit(out, &g->limit[i]);
  sn_text_add(out, "}\n");
}

void sn_plan_print(sn_text *out, const sn_plan *p, bool with_code) {
  sn_text_add(out, "plan 1");
  print_named(out, "model", p->model);
  print_named(out, "settings", p->settings);
  print_named(out, "target", p->target);
  sn_text_char(out, '\n');
  sn_symbols_print(out, p->types);
  sn_text_char(out, '\n');
  for (int i = 0; i < p->slot_count; i++) print_slot(out, p, i);
  for (int i = 0; i < p->code_count; i++) print_code(out, p, i, with_code);
  sn_text_add(out, "prepare {\n");
  for (int i = 0; i < p->prepare_count; i++) print_step(out, &p->prepare[i]);
  sn_text_add(out, "}\n");
  for (int i = 0; i < p->graph_count; i++) print_graph(out, &p->graph[i]);
}
