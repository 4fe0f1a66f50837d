/* module -> text form. Prints damaged nodes too (with ? for what is missing), because messages quote them. */
#include <ctype.h>

#include "ir/graph/text.h"

static void add_list_ints(sn_text *out, const sn_attr *a) {
  sn_text_char(out, '[');
  for (int i = 0; i < a->count; i++) sn_text_add(out, "%s%lld", i ? ", " : "", (long long)a->ints[i]);
  sn_text_char(out, ']');
}

static void add_list_dims(sn_text *out, const sn_attr *a) {
  sn_text_char(out, '[');
  for (int i = 0; i < a->count; i++) {
    if (i) sn_text_add(out, ", ");
    if (a->dims[i]) sn_dimx_print(out, a->dims[i]);
  }
  sn_text_char(out, ']');
}

/* Does the name read back as one token? */
static bool is_plain(const char *name) {
  bool plain = isalpha((unsigned char)name[0]) || name[0] == '_';
  for (const char *c = name; *c && plain; c++) plain = isalnum((unsigned char)*c) || *c == '_' || *c == '.';
  return plain;
}

/* `@name`, quoted if need be. */
static void add_function_name(sn_text *out, const char *name) {
  sn_text_char(out, '@');
  if (is_plain(name))
    sn_text_add(out, "%s", name);
  else
    sn_text_quoted(out, name);
}

static void add_attr(sn_text *out, const sn_attr_info *info, const sn_attr *a) {
  sn_text_add(out, " %s ", info->name);
  switch (info->kind) {
    case 'f': sn_text_number(out, a->f); return;
    case 's': sn_text_quoted(out, a->s ? a->s : "?"); return;
    case 'e': sn_text_add(out, "%s", a->i > 0 && a->i < SN_ELEM_COUNT ? sn_elem_name((sn_elem)a->i) : "?"); return;
    case 'I': add_list_ints(out, a); return;
    case 'D': add_list_dims(out, a); return;
    case 'd':
      if (a->d) sn_dimx_print(out, a->d);
      return;
    case 'R': add_function_name(out, a->region ? a->region->name : "?"); return;
    default: sn_text_add(out, "%lld", (long long)a->i); return;
  }
}

static void add_values(sn_text *out, int count, const sn_val *v) {
  for (int i = 0; i < count; i++) sn_text_add(out, "%s%%%u", i ? ", " : "", (unsigned)v[i]);
}

static void add_origin(sn_text *out, const sn_origin *o, sn_print_opt opt) {
  if (o->layer) sn_text_add(out, " layer "), sn_text_quoted(out, o->layer);
  if (o->group) sn_text_add(out, " group "), sn_text_quoted(out, o->group);
  if (!opt.locations) return;
  sn_text_add(out, "  @");
  int printed = 0;
  for (int i = 0; i < o->loc_count; i++) {
    const sn_loc *at = &o->locs[i];
    if (!at->file) continue;
    sn_text_char(out, ' ');
    sn_text_quoted(out, at->file);
    if (at->line > 0) sn_text_add(out, ":%d", at->line);
    if (at->line > 0 && at->column > 0) sn_text_add(out, ":%d", at->column);
    printed++;
  }
  if (!printed) sn_text_add(out, " none");
}

void sn_node_print(sn_text *out, const sn_func *f, const sn_node *n, sn_print_opt opt) {
  (void)f;
  for (int i = 0; i < n->result_count; i++) sn_text_add(out, "%s%%%u", i ? ", " : "", (unsigned)n->first + (unsigned)i);
  bool known = n->op > SN_OP_NONE && n->op < SN_OP_COUNT;
  const char *variant = known ? sn_node_variant(n) : NULL;
  bool suffix = variant && is_plain(variant);
  sn_text_add(out, " = %s%s%s", known ? sn_op_get(n->op)->name : "?", suffix ? "." : "", suffix ? variant : "");
  if (n->arg_count > 0) sn_text_char(out, ' ');
  add_values(out, n->arg_count, n->arg);
  for (int i = 0; known && i < sn_op_get(n->op)->attr_count; i++) {
    bool named = suffix && n->attr[i].s == variant && sn_op_get(n->op)->attr[i].kind == 's';
    if (n->attr[i].set && !named) add_attr(out, &sn_op_get(n->op)->attr[i], &n->attr[i]);
  }
  for (int i = 0; i < n->result_count; i++) {
    sn_text_add(out, "%s", i ? ", " : " : ");
    if (n->type[i])
      sn_type_print(out, n->type[i]);
    else
      sn_text_char(out, '?');
  }
  add_origin(out, &n->origin, opt);
}

void sn_func_print(sn_text *out, const sn_func *f, sn_print_opt opt) {
  sn_text_add(out, "%s ", f->kind == SN_FUNC_BODY ? "body" : "graph");
  add_function_name(out, f->name);
  sn_text_add(out, " {\n");
  for (int i = 0; i < f->node_count; i++) {
    sn_text_add(out, "  ");
    sn_node_print(out, f, f->node[i], opt);
    sn_text_char(out, '\n');
  }
  for (int i = 0; i < f->output_count; i++) {
    sn_text_add(out, "  output ");
    sn_text_quoted(out, f->output[i].name);
    sn_text_add(out, " = %%%u\n", (unsigned)f->output[i].value);
  }
  for (int i = 0; i < f->update_count; i++) {
    sn_text_add(out, "  update %%%u = %%%u\n", (unsigned)f->update[i].state, (unsigned)f->update[i].next);
  }
  if (f->guard) sn_text_add(out, "  guard %%%u\n", (unsigned)f->guard);
  if (f->result_count) {
    sn_text_add(out, "  return ");
    add_values(out, f->result_count, f->result);
    sn_text_char(out, '\n');
  }
  sn_text_add(out, "}\n");
}

/* Prints the bodies that `f` uses and that are not printed yet, then `f`. */
static void print_after_regions(sn_text *out, const sn_func *f, sn_print_opt opt, sn_map *printed) {
  if (sn_map_get(printed, (uint64_t)(uintptr_t)f)) return;
  sn_map_put(printed, (uint64_t)(uintptr_t)f, (void *)(uintptr_t)f);
  for (int i = 0; i < f->node_count; i++) {
    const sn_op_info *info = sn_op_get(f->node[i]->op);
    for (int k = 0; k < info->attr_count; k++) {
      const sn_attr *a = &f->node[i]->attr[k];
      if (info->attr[k].kind == 'R' && a->set && a->region) print_after_regions(out, a->region, opt, printed);
    }
  }
  sn_text_char(out, '\n');
  sn_func_print(out, f, opt);
}

void sn_module_print(sn_text *out, const sn_module *m, sn_print_opt opt) {
  sn_text_add(out, "sinter 1\n");
  if (sn_types_symbol_count(m->types)) {
    sn_symbols_print(out, m->types);
    if (out->at[out->count - 1] != '\n') sn_text_char(out, '\n');
  }
  sn_map *printed = sn_map_create(out->arena);
  for (int kind = SN_FUNC_BODY; kind >= SN_FUNC_GRAPH; kind--) {
    for (int i = 0; i < m->func_count; i++) {
      if ((int)m->func[i]->kind == kind) print_after_regions(out, m->func[i], opt, printed);
    }
  }
}
