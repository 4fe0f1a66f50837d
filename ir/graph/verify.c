/* Structural check of one function: what every pass may rely on without asking. Types of results against operands are
 * checked in ir/ops. Messages quote the node as the text form prints it.
 *
 *   1. tables     values are numbered in order of the nodes
 *   2. nodes      op, counts, operands before uses, attributes, types
 *   3. leaves     arguments contiguous, names unique
 *   4. regions    bodies of this module, not recursive, at most 64 deep
 *   5. interface  outputs, updates, guard, results */
#include <stdarg.h>
#include <stdio.h>

#include "ir/graph/graph.h"
#include "ir/graph/text.h"

enum { MAX_NESTED = 64 };

typedef struct check {
  sn_arena *arena; /* of the check */
  const sn_func *f;
  sn_diags *diags;
  const sn_node *node; /* looked at now; NULL: the function itself */
  sn_map *scratch;     /* leaf and output names seen, and depth of regions by address */
  sn_code code;        /* of the next mistake */
} check;

/* Leaves a mistake at the node in question. */
static sn_code SN_PRINTF(4, 5) bad(const check *c, const char *expected, const char *found, const char *format, ...) {
  char what[512];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  const char *kind = c->f->kind == SN_FUNC_BODY ? "body" : "graph";
  sn_loc loc = c->node && c->node->origin.loc_count ? c->node->origin.locs[0] : (sn_loc){0};
  sn_text text = sn_text_begin(c->arena);
  if (c->node) sn_node_print(&text, c->f, c->node, (sn_print_opt){0});
  (void)sn_fail(c->diags, c->code, loc, c->node ? "%s @%s: `%s`: %s" : "%s @%s: %s%s", kind, c->f->name, text.at, what);
  sn_fail_expected(c->diags, "%s", expected);
  sn_fail_found(c->diags, "%s", found);
  return c->code;
}

static const char *number(const check *c, int64_t n) { return sn_arena_printf(c->arena, "%lld", (long long)n); }

static const char *value(const check *c, sn_val v) { return sn_arena_printf(c->arena, "%%%u", (unsigned)v); }

static const char value_rule[] = "a value that is defined above";

/* ---- 1. tables ---------------------------------------------------------------------------------- */

static sn_code check_tables(check *c) {
  const sn_func *f = c->f;
  sn_val next = 1;
  for (int i = 0; i < f->node_count; i++) {
    c->node = f->node[i];
    if (c->node->first != next) return bad(c, value(c, next), value(c, c->node->first), "its first value");
    if (c->node->result_count < 1) return bad(c, "1 or more", "0", "the number of its results");
    for (int k = 0; k < c->node->result_count; k++, next++) {
      if (next >= (sn_val)f->value_count || f->node_of[next] != c->node) {
        return bad(c, "this node", "another", "value %%%u is not listed as its result", (unsigned)next);
      }
    }
  }
  c->node = NULL;
  if (next != (sn_val)f->value_count)
    return bad(c, number(c, (int64_t)next - 1), number(c, f->value_count - 1), "the number of listed values");
  return SN_OK;
}

/* ---- 2. nodes ------------------------------------------------------------------------------------- */

static sn_code check_list(const check *c, const sn_attr_info *info, const sn_attr *a) {
  if (a->count < 0 || a->count > SN_RANK_MAX)
    return bad(c, "0 to 8", number(c, a->count), "the number of entries of attribute %s", info->name);
  if (a->count && (info->kind == 'I' ? !a->ints : !a->dims))
    return bad(c, number(c, a->count), "none", "the entries of attribute %s", info->name);
  for (int i = 0; info->kind == 'D' && i < a->count; i++) {
    if (!a->dims[i]) return bad(c, "a dim", "none", "entry %d of attribute %s", i, info->name);
  }
  return SN_OK;
}

static sn_code check_attr(const check *c, const sn_attr_info *info, const sn_attr *a) {
  if (!a->set) return info->optional ? SN_OK : bad(c, info->name, "none", "attribute %s is missing", info->name);
  switch (info->kind) {
    case 's': return a->s ? SN_OK : bad(c, "a text", "none", "attribute %s", info->name);
    case 'd': return a->d ? SN_OK : bad(c, "a dim", "none", "attribute %s", info->name);
    case 'R': return a->region ? SN_OK : bad(c, "a body", "none", "attribute %s", info->name);
    case 'e':
      return a->i > 0 && a->i < SN_ELEM_COUNT ? SN_OK
                                              : bad(c, "an element type", number(c, a->i), "attribute %s", info->name);
    case 'I':
    case 'D': return check_list(c, info, a);
    default: return SN_OK;
  }
}

static sn_code check_type(const check *c, const sn_type *type) {
  if (!type) return bad(c, "a type", "none", "the type of a result");
  if (type->elem <= SN_ELEM_NONE || type->elem >= SN_ELEM_COUNT)
    return bad(c, "an element type", number(c, (int64_t)type->elem), "the element type of a result");
  if (type->rank < 0 || type->rank > SN_RANK_MAX)
    return bad(c, "0 to 8", number(c, type->rank), "the rank of a result");
  int64_t extent, count = 1;
  for (int i = 0; i < type->rank; i++) {
    if (!sn_dimx_is_const(type->dim[i], &extent)) continue;
    if (extent < 0 || extent > SN_DIM_MAX) return bad(c, "0 to 2^40", number(c, extent), "an extent of a result");
    if (extent && __builtin_mul_overflow(count, extent, &count))
      return bad(c, "at most 2^63 - 1 elements", sn_type_text(c->arena, type), "the size of a result");
  }
  return SN_OK;
}

static sn_code check_node(const check *c) {
  const sn_node *n = c->node;
  if (n->op <= SN_OP_NONE || n->op >= SN_OP_COUNT)
    return bad(c, "an op", number(c, (int64_t)n->op), "there is no such op");
  const sn_op_info *info = sn_op_get(n->op);
  if (info->operands >= 0 && n->arg_count != info->operands) {
    return bad(c, number(c, info->operands), number(c, n->arg_count), "the number of operands of %s", info->name);
  }
  if (info->results >= 0 && n->result_count != info->results) {
    return bad(c, number(c, info->results), number(c, n->result_count), "the number of results of %s", info->name);
  }
  for (int i = 0; i < n->arg_count; i++) {
    if (!n->arg[i] || n->arg[i] >= n->first)
      return bad(c, value_rule, value(c, n->arg[i]), "operand %d is not defined before its use", i);
  }
  for (int i = 0; i < info->attr_count; i++) SN_TRY(check_attr(c, &info->attr[i], &n->attr[i]));
  for (int i = 0; i < n->result_count; i++) SN_TRY(check_type(c, n->type[i]));
  return SN_OK;
}

/* ---- 3. leaves ------------------------------------------------------------------------------------ */

static sn_code check_unique(const check *c, const char *what, const char *name) {
  if (!name[0]) return bad(c, "a name", "none", "the %s has no name", what);
  const char *key = sn_arena_printf(c->arena, "%s %s", what, name);
  if (sn_map_get_str(c->scratch, key))
    return bad(c, "a name that is free", name, "%s \"%s\" is declared twice", what, name);
  sn_map_put_str(c->scratch, key, (void *)(uintptr_t)c->f);
  return SN_OK;
}

static const char gapless[] = "arguments numbered from 0 without gaps";

/* -> the number of ARG leaves in *out */
static sn_code check_leaves(check *c, int *out) {
  const sn_func *f = c->f;
  int args = 0;
  bool *seen = SN_ARRAY(c->arena, f->node_count + 1, bool);
  for (int i = 0; i < f->node_count; i++) {
    c->node = f->node[i];
    const char *name = sn_leaf_name(c->node);
    if (name) SN_TRY(check_unique(c, "leaf", name));
    if (c->node->op != SN_OP_ARG) continue;
    int64_t index = c->node->attr[0].i;
    if (f->kind != SN_FUNC_BODY) return bad(c, "input, param or state", "arg", "a graph has no arguments");
    if (index < 0 || index >= f->node_count) return bad(c, gapless, number(c, index), "the number of an argument");
    if (seen[index]) return bad(c, gapless, number(c, index), "argument %d is declared twice", (int)index);
    seen[index] = true;
    args++;
  }
  c->node = NULL;
  for (int i = 0; i < args; i++) {
    if (!seen[i]) return bad(c, gapless, "none of this number", "argument %d is missing", i);
  }
  *out = args;
  return SN_OK;
}

/* ---- 4. regions ----------------------------------------------------------------------------------- */

static int arg_leaves(const sn_func *f) {
  int count = 0;
  for (int i = 0; i < f->node_count; i++) count += f->node[i]->op == SN_OP_ARG;
  return count;
}

static bool is_listed(const sn_module *m, const sn_func *f) {
  for (int i = 0; i < m->func_count; i++) {
    if (m->func[i] == f) return true;
  }
  return false;
}

static int attr_count_of(const sn_node *n) {
  return n->op > SN_OP_NONE && n->op < SN_OP_COUNT ? sn_op_get(n->op)->attr_count : 0;
}

static const sn_func *region_of(const sn_node *n, int attr) {
  return sn_op_get(n->op)->attr[attr].kind == 'R' && n->attr[attr].set ? n->attr[attr].region : NULL;
}

static sn_code check_region(const check *c, const sn_func *body) {
  const sn_node *n = c->node;
  if (body->module != c->f->module) return bad(c, "this module", "another", "the module of body @%s", body->name);
  if (body->kind != SN_FUNC_BODY) return bad(c, "a body", "a graph", "the kind of @%s", body->name);
  if (!is_listed(body->module, body))
    return bad(c, "a body of the module", body->name, "body @%s is not listed in the module", body->name);
  if (n->op != SN_OP_CALL && n->op != SN_OP_FUSED) return SN_OK;
  if (n->arg_count != arg_leaves(body)) {
    return bad(c, number(c, arg_leaves(body)), number(c, n->arg_count), "the number of arguments of body @%s",
               body->name);
  }
  if (n->result_count != body->result_count) {
    return bad(c, number(c, body->result_count), number(c, n->result_count), "the number of results of body @%s",
               body->name);
  }
  return SN_OK;
}

/* Walks into the regions of `f`; depth of nesting per function is kept in scratch so that shared bodies are walked
 * once. */
static sn_code check_depth(check *c, const sn_func *f, int *out_depth) {
  int *depth = sn_map_get(c->scratch, (uint64_t)(uintptr_t)f);
  if (depth && *depth < 0) return bad(c, "another body", f->name, "body @%s uses itself", f->name);
  if (depth) return *out_depth = *depth, SN_OK;
  depth = SN_NEW(c->arena, int);
  *depth = -1;
  sn_map_put(c->scratch, (uint64_t)(uintptr_t)f, depth);
  int deepest = 0;
  for (int i = 0; i < f->node_count; i++) {
    if (f == c->f) c->node = f->node[i];
    for (int k = 0; k < attr_count_of(f->node[i]); k++) {
      const sn_func *body = region_of(f->node[i], k);
      int inner = 0;
      if (!body) continue;
      if (f == c->f) SN_TRY(check_region(c, body));
      SN_TRY(check_depth(c, body, &inner));
      if (inner >= deepest) deepest = inner + 1;
    }
  }
  if (deepest > MAX_NESTED) c->code = SN_ERR_LIMIT;
  if (deepest > MAX_NESTED)
    return bad(c, number(c, MAX_NESTED), number(c, deepest), "bodies are nested deeper than %d", MAX_NESTED);
  *out_depth = *depth = deepest;
  return SN_OK;
}

/* ---- 5. interface --------------------------------------------------------------------------------- */

static bool is_value(const sn_func *f, sn_val v) { return v && v < (sn_val)f->value_count; }

static sn_code check_outputs(const check *c) {
  const sn_func *f = c->f;
  for (int i = 0; i < f->output_count; i++) {
    SN_TRY(check_unique(c, "output", f->output[i].name));
    if (!is_value(f, f->output[i].value)) {
      return bad(c, value_rule, value(c, f->output[i].value), "the value of output \"%s\"", f->output[i].name);
    }
  }
  return SN_OK;
}

static sn_code check_updates(check *c) {
  const sn_func *f = c->f;
  bool *written = SN_ARRAY(c->arena, f->value_count, bool);
  for (int i = 0; i < f->update_count; i++) {
    sn_val state = f->update[i].state, next = f->update[i].next;
    if (!is_value(f, state) || !is_value(f, next)) {
      return bad(c, value_rule, value(c, is_value(f, state) ? next : state), "update %%%u = %%%u", (unsigned)state,
                 (unsigned)next);
    }
    c->node = f->node_of[state];
    if (c->node->op != SN_OP_PARAM && c->node->op != SN_OP_STATE)
      return bad(c, "a param or state", sn_op_get(c->node->op)->name, "it is updated");
    if (written[state]) return bad(c, "one update", "two", "it is updated twice");
    if (sn_val_type(f, state) != sn_val_type(f, next)) {
      return bad(c, sn_type_text(c->arena, sn_val_type(f, state)), sn_type_text(c->arena, sn_val_type(f, next)),
                 "the type of its update %%%u", (unsigned)next);
    }
    written[state] = true;
    c->node = NULL;
  }
  return SN_OK;
}

static sn_code check_guard(check *c) {
  const sn_func *f = c->f;
  if (!f->guard) return SN_OK;
  if (!is_value(f, f->guard)) return bad(c, value_rule, value(c, f->guard), "the guard");
  const sn_type *type = sn_val_type(f, f->guard);
  c->node = f->node_of[f->guard];
  if (type->elem != SN_ELEM_BOOL || type->rank != 0)
    return bad(c, "bool[]", sn_type_text(c->arena, type), "the type of the guard");
  c->node = NULL;
  return SN_OK;
}

static sn_code check_results(const check *c) {
  const sn_func *f = c->f;
  bool body = f->kind == SN_FUNC_BODY;
  if (body && (f->output_count || f->update_count || f->guard))
    return bad(c, "results", "outputs, updates or a guard", "what a body gives");
  if (body && !f->result_count) return bad(c, "1 or more", "0", "the number of values that a body returns");
  if (!body && f->result_count) return bad(c, "outputs", "results", "what a graph gives");
  for (int i = 0; i < f->result_count; i++) {
    if (!is_value(f, f->result[i])) return bad(c, value_rule, value(c, f->result[i]), "result %d", i);
  }
  return SN_OK;
}

static sn_code check_all(check *c) {
  const sn_func *f = c->f;
  int args = 0, depth = 0;
  SN_TRY(check_tables(c));
  for (int i = 0; i < f->node_count; i++) {
    c->node = f->node[i];
    SN_TRY(check_node(c));
  }
  SN_TRY(check_leaves(c, &args));
  SN_TRY(check_depth(c, f, &depth));
  c->node = NULL;
  SN_TRY(check_outputs(c));
  SN_TRY(check_updates(c));
  SN_TRY(check_guard(c));
  return check_results(c);
}

sn_code sn_func_verify(const sn_func *f, sn_diags *diags) {
  sn_arena *own = sn_arena_scratch();
  check c = {.arena = own ? own : f->arena, .f = f, .diags = diags, .code = SN_ERR_INPUT};
  c.scratch = sn_map_create(c.arena);
  sn_code code = check_all(&c);
  sn_arena_destroy(own);
  return code;
}
