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

static sn_code bad(const check *c, const char *format, ...) SN_PRINTF(2, 3);

/* Leaves a mistake at the node in question. */
static sn_code bad(const check *c, const char *format, ...) {
  char what[512];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  const char *kind = c->f->kind == SN_FUNC_BODY ? "body" : "graph";
  if (!c->node) return sn_fail(c->diags, c->code, (sn_loc){0}, "%s @%s: %s", kind, c->f->name, what);
  const sn_origin *o = &c->node->origin;
  sn_text text = sn_text_begin(c->arena);
  sn_node_print(&text, c->f, c->node, (sn_print_opt){0});
  return sn_fail(c->diags, c->code, o->loc_count ? o->locs[0] : (sn_loc){0}, "%s @%s: `%s`: %s", kind, c->f->name,
                 text.at, what);
}

/* ---- 1. tables ---------------------------------------------------------------------------------- */

static sn_code check_tables(check *c) {
  const sn_func *f = c->f;
  sn_val next = 1;
  for (int i = 0; i < f->node_count; i++) {
    c->node = f->node[i];
    if (c->node->first != next) return bad(c, "its first value should be %%%u", (unsigned)next);
    if (c->node->result_count < 1) return bad(c, "it has no result");
    for (int k = 0; k < c->node->result_count; k++, next++) {
      if (next >= (sn_val)f->value_count || f->node_of[next] != c->node) {
        return bad(c, "value %%%u is not listed as its result", (unsigned)next);
      }
    }
  }
  c->node = NULL;
  if (next != (sn_val)f->value_count)
    return bad(c, "%d values are listed, the nodes have %u", f->value_count - 1, next - 1);
  return SN_OK;
}

/* ---- 2. nodes ------------------------------------------------------------------------------------- */

static sn_code check_list(const check *c, const sn_attr_info *info, const sn_attr *a) {
  if (a->count < 0 || a->count > SN_RANK_MAX)
    return bad(c, "attribute %s has %d entries, at most 8 may be", info->name, a->count);
  if (a->count && (info->kind == 'I' ? !a->ints : !a->dims)) return bad(c, "attribute %s has no entries", info->name);
  for (int i = 0; info->kind == 'D' && i < a->count; i++) {
    if (!a->dims[i]) return bad(c, "attribute %s lacks entry %d", info->name, i);
  }
  return SN_OK;
}

static sn_code check_attr(const check *c, const sn_attr_info *info, const sn_attr *a) {
  if (!a->set) return info->optional ? SN_OK : bad(c, "attribute %s is missing", info->name);
  switch (info->kind) {
    case 's': return a->s ? SN_OK : bad(c, "attribute %s has no text", info->name);
    case 'd': return a->d ? SN_OK : bad(c, "attribute %s has no dim", info->name);
    case 'R': return a->region ? SN_OK : bad(c, "attribute %s has no body", info->name);
    case 'e': return a->i > 0 && a->i < SN_ELEM_COUNT ? SN_OK : bad(c, "attribute %s is no element type", info->name);
    case 'I':
    case 'D': return check_list(c, info, a);
    default: return SN_OK;
  }
}

static sn_code check_type(const check *c, const sn_type *type) {
  if (!type) return bad(c, "a result has no type");
  if (type->elem <= SN_ELEM_NONE || type->elem >= SN_ELEM_COUNT) return bad(c, "a result has no element type");
  if (type->rank < 0 || type->rank > SN_RANK_MAX) return bad(c, "a result has rank %d, at most 8 may be", type->rank);
  int64_t extent, count = 1;
  for (int i = 0; i < type->rank; i++) {
    if (!sn_dimx_is_const(type->dim[i], &extent)) continue;
    if (extent < 0 || extent > SN_DIM_MAX)
      return bad(c, "a result has an extent of %lld; 0 to 2^40 may be", (long long)extent);
    if (extent && __builtin_mul_overflow(count, extent, &count))
      return bad(c, "a result has more elements than can be counted: %s", sn_type_text(c->arena, type));
  }
  return SN_OK;
}

static sn_code check_node(const check *c) {
  const sn_node *n = c->node;
  if (n->op <= SN_OP_NONE || n->op >= SN_OP_COUNT) return bad(c, "there is no op %d", (int)n->op);
  const sn_op_info *info = sn_op_get(n->op);
  if (info->operands >= 0 && n->arg_count != info->operands) {
    return bad(c, "%s takes %d operands, found %d", info->name, info->operands, n->arg_count);
  }
  if (info->results >= 0 && n->result_count != info->results) {
    return bad(c, "%s has %d results, found %d", info->name, info->results, n->result_count);
  }
  for (int i = 0; i < n->arg_count; i++) {
    if (!n->arg[i] || n->arg[i] >= n->first)
      return bad(c, "operand %%%u is not defined before its use", (unsigned)n->arg[i]);
  }
  for (int i = 0; i < info->attr_count; i++) SN_TRY(check_attr(c, &info->attr[i], &n->attr[i]));
  for (int i = 0; i < n->result_count; i++) SN_TRY(check_type(c, n->type[i]));
  return SN_OK;
}

/* ---- 3. leaves ------------------------------------------------------------------------------------ */

static sn_code check_unique(const check *c, const char *what, const char *name) {
  if (!name[0]) return bad(c, "the %s has no name", what);
  const char *key = sn_arena_printf(c->arena, "%s %s", what, name);
  if (sn_map_get_str(c->scratch, key)) return bad(c, "%s \"%s\" is declared twice", what, name);
  sn_map_put_str(c->scratch, key, (void *)(uintptr_t)c->f);
  return SN_OK;
}

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
    if (f->kind != SN_FUNC_BODY) return bad(c, "only a body has arguments");
    if (index < 0 || index >= f->node_count) return bad(c, "arguments must be numbered from 0 without gaps");
    if (seen[index]) return bad(c, "argument %d is declared twice", (int)index);
    seen[index] = true;
    args++;
  }
  c->node = NULL;
  for (int i = 0; i < args; i++) {
    if (!seen[i]) return bad(c, "argument %d is missing: arguments must be numbered from 0 without gaps", i);
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
  if (body->module != c->f->module) return bad(c, "body @%s is of another module", body->name);
  if (body->kind != SN_FUNC_BODY) return bad(c, "@%s is a graph, a body is needed", body->name);
  if (!is_listed(body->module, body)) return bad(c, "body @%s is not listed in the module", body->name);
  if (n->op != SN_OP_CALL && n->op != SN_OP_FUSED) return SN_OK;
  if (n->arg_count != arg_leaves(body)) {
    return bad(c, "body @%s takes %d arguments, found %d operands", body->name, arg_leaves(body), n->arg_count);
  }
  if (n->result_count != body->result_count) {
    return bad(c, "body @%s returns %d values, found %d results", body->name, body->result_count, n->result_count);
  }
  return SN_OK;
}

/* Walks into the regions of `f`; depth of nesting per function is kept in scratch so that shared bodies are walked
 * once. */
static sn_code check_depth(check *c, const sn_func *f, int *out_depth) {
  int *depth = sn_map_get(c->scratch, (uint64_t)(uintptr_t)f);
  if (depth && *depth < 0) return bad(c, "body @%s uses itself", f->name);
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
  if (deepest > MAX_NESTED) return bad(c, "bodies are nested deeper than %d", MAX_NESTED);
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
      return bad(c, "output \"%s\" is %%%u, which is not defined", f->output[i].name, (unsigned)f->output[i].value);
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
      return bad(c, "update %%%u = %%%u names a value that is not defined", (unsigned)state, (unsigned)next);
    }
    c->node = f->node_of[state];
    if (c->node->op != SN_OP_PARAM && c->node->op != SN_OP_STATE) return bad(c, "only a param or state can be updated");
    if (written[state]) return bad(c, "it is updated twice");
    if (sn_val_type(f, state) != sn_val_type(f, next)) {
      return bad(c, "its update %%%u is %s", (unsigned)next, sn_type_text(c->arena, sn_val_type(f, next)));
    }
    written[state] = true;
    c->node = NULL;
  }
  return SN_OK;
}

static sn_code check_guard(check *c) {
  const sn_func *f = c->f;
  if (!f->guard) return SN_OK;
  if (!is_value(f, f->guard)) return bad(c, "guard %%%u is not defined", (unsigned)f->guard);
  const sn_type *type = sn_val_type(f, f->guard);
  c->node = f->node_of[f->guard];
  if (type->elem != SN_ELEM_BOOL || type->rank != 0)
    return bad(c, "a guard is bool[], found %s", sn_type_text(c->arena, type));
  c->node = NULL;
  return SN_OK;
}

static sn_code check_results(const check *c) {
  const sn_func *f = c->f;
  bool body = f->kind == SN_FUNC_BODY;
  if (body && (f->output_count || f->update_count || f->guard))
    return bad(c, "a body has no outputs, updates or guard");
  if (body && !f->result_count) return bad(c, "a body returns at least one value");
  if (!body && f->result_count) return bad(c, "a graph has outputs, not results");
  for (int i = 0; i < f->result_count; i++) {
    if (!is_value(f, f->result[i])) return bad(c, "result %%%u is not defined", (unsigned)f->result[i]);
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
