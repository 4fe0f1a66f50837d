/* Plan verification: everything that a loader or runner relies on without looking again. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/base/map.h"
#include "ir/plan/internal.h"

typedef struct checker {
  const sn_plan *p;
  sn_diags *diags;
  sn_arena *scratch;
  const char *graph_name; /* of the steps being checked, NULL: prepare */
  int graph;              /* -1: prepare */
  int step, step_count;
} checker;

#define FAIL(c, ...) sn_fail((c)->diags, SN_ERR_INPUT, (sn_loc){0}, __VA_ARGS__)

static bool is_string(const char *s) { return s && strnlen(s, SN_PLAN_NAME_BYTES + 1) <= SN_PLAN_NAME_BYTES; }

static bool is_string_or_null(const char *s) { return !s || is_string(s); }

static bool is_symbol_name(const char *s) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
  return is_string(s) && *s && strchr(letters, *s) && s[strspn(s, more)] == 0;
}

static bool in_range(int i, int count) { return i >= 0 && i < count; }

/* ---- header and code ------------------------------------------------------------------------------------- */

static sn_code check_header(const checker *c) {
  const sn_plan *p = c->p;
  if (!p->types || !is_string(p->model) || !is_string(p->settings) || !is_string(p->target)) {
    return FAIL(c, "plan: model, settings, target or types are missing");
  }
  if (p->slot_count < 0 || p->code_count < 0 || p->graph_count < 0 || p->prepare_count < 0) {
    return FAIL(c, "plan: a negative count");
  }
  for (int i = 0; i < sn_types_symbol_count(p->types); i++) {
    if (!is_symbol_name(sn_dimx_symbol_name(sn_types_symbol(p->types, i))))
      return FAIL(c, "plan: dim %d has no proper name", i);
  }
  return SN_OK;
}

static sn_code check_code(const checker *c, int i) {
  const sn_code_blob *b = &c->p->code[i];
  if ((unsigned)b->kind >= SN_PLAN_CODES || !is_string(b->name)) return FAIL(c, "plan: code %d has no kind or name", i);
  if (!is_string_or_null(b->features)) return FAIL(c, "plan: code %d has too long features", i);
  if (b->byte_count < 0 || (b->byte_count > 0 && !b->bytes)) return FAIL(c, "plan: code %d has no bytes", i);
  if (b->entry < 0 || (b->entry >= b->byte_count && b->entry > 0))
    return FAIL(c, "plan: code %d has its entry outside", i);
  if (b->workspace_bytes < 0 || b->workspace_bytes > SN_DIM_MAX)
    return FAIL(c, "plan: code %d has an impossible workspace", i);
  return SN_OK;
}

/* ---- slots ----------------------------------------------------------------------------------------------- */

static sn_code check_type(const checker *c, int i) {
  const sn_type *t = c->p->slot[i].type;
  if (!t || t->elem <= SN_ELEM_NONE || t->elem >= SN_ELEM_COUNT || t->rank < 0 || t->rank > SN_RANK_MAX) {
    return FAIL(c, "plan: slot %d has no type", i);
  }
  for (int k = 0; k < t->rank; k++) {
    if (!t->dim[k] || sn_dimx_max_value(t->dim[k]) < 0) return FAIL(c, "plan: slot %d has a negative extent", i);
  }
  if (!c->p->slot[i].elements) return FAIL(c, "plan: slot %d has no element count", i);
  return SN_OK;
}

/* The number of elements of the type with all symbols at one end of their bounds; false beyond 64 bits. */
static bool count_at(const sn_plan *p, const sn_type *t, bool at_max, int64_t *out) {
  int64_t count = 1, extent;
  for (int k = 0; k < t->rank; k++) {
    if (!sn_plan_dim_at(p, t->dim[k], at_max, &extent) || __builtin_mul_overflow(count, extent, &count)) return false;
  }
  *out = count;
  return true;
}

static sn_code check_elements(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  for (int at_max = 0; at_max < 2; at_max++) {
    int64_t held, needed;
    bool known = sn_plan_dim_at(c->p, s->elements, at_max, &held) && count_at(c->p, s->type, at_max, &needed);
    if (known && held < needed) {
      return FAIL(c, "plan: slot %d holds %" PRId64 " elements, its type needs %" PRId64, i, held, needed);
    }
  }
  return SN_OK;
}

static bool is_persistent(sn_slot_role role) {
  return role == SN_SLOT_PARAM || role == SN_SLOT_STATE || role == SN_SLOT_PACKED;
}

static sn_code check_slot_fields(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  if ((unsigned)s->role >= SN_PLAN_ROLES || !is_string(s->name)) return FAIL(c, "plan: slot %d has no role or name", i);
  if ((unsigned)s->init >= SN_PLAN_INITS || isnan(s->init_a)) return FAIL(c, "plan: slot %d has no initial value", i);
  if (s->graph < -1 || s->graph >= c->p->graph_count) return FAIL(c, "plan: slot %d has no graph %d", i, s->graph);
  if (is_persistent(s->role) && s->graph != -1) return FAIL(c, "plan: slot %d is persistent and in one graph", i);
  if (s->role == SN_SLOT_TEMP && s->graph < 0) return FAIL(c, "plan: slot %d is temporary and in no graph", i);
  if (s->frozen && s->role != SN_SLOT_PARAM) return FAIL(c, "plan: slot %d is frozen and no parameter", i);
  if (s->optional && s->role != SN_SLOT_INPUT) return FAIL(c, "plan: slot %d is optional and no input", i);
  return SN_OK;
}

static sn_code check_life(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  if (s->role != SN_SLOT_TEMP || (s->first == -1 && s->last == -1)) return SN_OK; /* -1: never used */
  if (s->first < 0 || s->last < s->first || s->last >= c->p->graph[s->graph].step_count) {
    return FAIL(c, "plan: slot %d lives from step %d to %d, which its graph does not have", i, s->first, s->last);
  }
  return SN_OK;
}

static bool same_storage(const sn_slot *a, const sn_slot *b) {
  return a->type->elem == b->type->elem && a->elements == b->elements;
}

static sn_code check_links(const checker *c, int i) {
  const sn_plan *p = c->p;
  const sn_slot *s = &p->slot[i];
  if (s->buddy != -1) {
    if (!in_range(s->buddy, p->slot_count) || s->buddy == i || s->role != SN_SLOT_STATE ||
        p->slot[s->buddy].role != SN_SLOT_STATE || !same_storage(s, &p->slot[s->buddy])) {
      return FAIL(c, "plan: slot %d has an impossible buddy %d", i, s->buddy);
    }
  }
  if (s->alias == -1) return SN_OK;
  if (!in_range(s->alias, p->slot_count) || is_persistent(s->role) || s->role == SN_SLOT_INPUT) {
    return FAIL(c, "plan: slot %d cannot share the storage of slot %d", i, s->alias);
  }
  if (p->slot[s->alias].graph != -1 && p->slot[s->alias].graph != s->graph) {
    return FAIL(c, "plan: slot %d shares storage with slot %d of another graph", i, s->alias);
  }
  return SN_OK;
}

/* Aliases end, and at storage that is large enough; each chain is walked once. */
static sn_code check_alias_chain(const checker *c, int i, signed char *done) {
  const sn_plan *p = c->p;
  int length = 0;
  for (int at = i; p->slot[at].alias >= 0 && !done[at]; at = p->slot[at].alias) {
    if (++length > p->slot_count) return FAIL(c, "plan: the aliases of slot %d form a cycle", i);
  }
  for (int at = i; p->slot[at].alias >= 0 && !done[at]; at = p->slot[at].alias) done[at] = 1;
  return SN_OK;
}

static sn_code check_alias_room(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i], *root = s->alias >= 0 ? &c->p->slot[s->alias] : s;
  for (int at_max = 0; at_max < 2; at_max++) {
    int64_t held, needed;
    bool known =
        sn_plan_dim_at(c->p, root->elements, at_max, &held) && sn_plan_dim_at(c->p, s->elements, at_max, &needed);
    known = known && !__builtin_mul_overflow(held, (int64_t)sn_elem_bytes(root->type->elem), &held) &&
            !__builtin_mul_overflow(needed, (int64_t)sn_elem_bytes(s->type->elem), &needed);
    if (known && held < needed) return FAIL(c, "plan: slot %d needs more storage than slot %d has", i, s->alias);
  }
  return SN_OK;
}

/* Names that users meet are unique within their graph. */
static sn_code check_names(const checker *c) {
  sn_map *seen = sn_map_create(c->scratch);
  for (int i = 0; i < c->p->slot_count; i++) {
    const sn_slot *s = &c->p->slot[i];
    if (s->role == SN_SLOT_TEMP || s->role == SN_SLOT_PACKED) continue;
    const char *key = sn_arena_printf(c->scratch, "%d %s", s->graph, s->name);
    if (sn_map_get_str(seen, key)) return FAIL(c, "plan: two slots are called '%.64s'", s->name);
    sn_map_put_str(seen, key, seen);
  }
  for (int i = 0; i < c->p->graph_count; i++) {
    const char *key = sn_arena_printf(c->scratch, "graph %s", c->p->graph[i].name);
    if (sn_map_get_str(seen, key)) return FAIL(c, "plan: two graphs are called '%.64s'", c->p->graph[i].name);
    sn_map_put_str(seen, key, seen);
  }
  return SN_OK;
}

static sn_code check_slots(const checker *c) {
  signed char *done = SN_ARRAY(c->scratch, c->p->slot_count, signed char);
  for (int i = 0; i < c->p->slot_count; i++) {
    SN_TRY(check_slot_fields(c, i));
    SN_TRY(check_type(c, i));
    SN_TRY(check_elements(c, i));
    SN_TRY(check_life(c, i));
  }
  for (int i = 0; i < c->p->slot_count; i++) SN_TRY(check_links(c, i));
  for (int i = 0; i < c->p->slot_count; i++) {
    SN_TRY(check_alias_chain(c, i, done));
    SN_TRY(check_alias_room(c, i));
  }
  return check_names(c);
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static sn_code bad_step(const checker *c, const char *what) {
  if (c->graph < 0) return FAIL(c, "plan: prepare step %d: %s", c->step, what);
  return FAIL(c, "plan: graph '%.64s', step %d: %s", c->graph_name, c->step, what);
}

/* A slot that the steps of this graph may name. */
static bool is_visible(const checker *c, int slot) {
  if (!in_range(slot, c->p->slot_count)) return false;
  return c->p->slot[slot].graph == -1 || c->p->slot[slot].graph == c->graph;
}

/* Roles that steps may write: packed weights only while preparing, frozen ones and inputs never. */
static bool is_writable(const checker *c, int slot) {
  const sn_slot *s = &c->p->slot[slot];
  if (s->role == SN_SLOT_PACKED) return c->graph < 0;
  return c->graph >= 0 && s->role != SN_SLOT_INPUT && !s->frozen;
}

/* A temporary is used only while it lives. */
static bool is_alive(const checker *c, int slot) {
  const sn_slot *s = &c->p->slot[slot];
  return s->role != SN_SLOT_TEMP || (s->first <= c->step && c->step <= s->last);
}

static sn_code check_use(const checker *c, int slot, bool writes) {
  if (!is_visible(c, slot)) return bad_step(c, "a slot that this graph does not have");
  if (!is_alive(c, slot)) return bad_step(c, "a temporary outside of its life");
  if (writes && !is_writable(c, slot)) return bad_step(c, "writes what must not be written");
  return SN_OK;
}

static sn_code check_launch(const checker *c, const sn_step *s) {
  if (!in_range(s->code, c->p->code_count)) return bad_step(c, "no such code");
  if (s->arg_count < 0 || s->arg_count > SN_PLAN_ARGS || (s->arg_count && !s->arg))
    return bad_step(c, "impossible arguments");
  if (s->arg_count < 64 && s->writes >> s->arg_count) return bad_step(c, "writes an argument that it does not have");
  for (int i = 0; i < s->arg_count; i++) {
    bool writes = s->writes >> i & 1;
    if (s->arg[i].is_slot) {
      SN_TRY(check_use(c, s->arg[i].index, writes));
    } else if (writes || !in_range(s->arg[i].index, sn_types_symbol_count(c->p->types))) {
      return bad_step(c, "no such size");
    }
  }
  for (int i = 0; i < 3; i++) {
    if (s->grid[i] && sn_dimx_max_value(s->grid[i]) < 0) return bad_step(c, "a negative grid");
  }
  return SN_OK;
}

static sn_code check_pair(const checker *c, const sn_step *s) {
  SN_TRY(check_use(c, s->from, s->kind == SN_STEP_SWAP));
  SN_TRY(check_use(c, s->to, true));
  const sn_slot *from = &c->p->slot[s->from], *to = &c->p->slot[s->to];
  if (s->from == s->to || !same_storage(from, to)) return bad_step(c, "two slots of one storage size are needed");
  if (s->kind == SN_STEP_COPY) return SN_OK;
  bool persistent = is_persistent(from->role) && is_persistent(to->role);
  return persistent && from->type == to->type ? SN_OK : bad_step(c, "only states of one type can be swapped");
}

/* Blocks lie within the list; that they nest is checked for all steps together. */
static sn_code check_control(const checker *c, const sn_step *s) {
  SN_TRY(check_use(c, s->from, false));
  const sn_slot *flag = &c->p->slot[s->from];
  if (flag->type->elem != SN_ELEM_BOOL || flag->type->rank) return bad_step(c, "its flag is no single bool");
  int64_t left = (int64_t)c->step_count - c->step - 1;
  if (s->block[0] < 1 || s->block[1] < 1 || (int64_t)s->block[0] + s->block[1] > left)
    return bad_step(c, "blocks that are empty or go beyond the end");
  if (s->kind == SN_STEP_WHILE && s->limit < 1) return bad_step(c, "a loop without rounds");
  return SN_OK;
}

static sn_code check_step(const checker *c, const sn_step *s) {
  if ((unsigned)s->kind >= SN_PLAN_STEPS) return bad_step(c, "no such kind of step");
  if (!is_string_or_null(s->kind_name) || !is_string_or_null(s->ops) || !is_string_or_null(s->where)) {
    return bad_step(c, "a text that is too long");
  }
  if (c->graph < 0 && s->kind != SN_STEP_LAUNCH && s->kind != SN_STEP_COPY)
    return bad_step(c, "not a step that prepares");
  switch (s->kind) {
    case SN_STEP_LAUNCH: return check_launch(c, s);
    case SN_STEP_COPY:
    case SN_STEP_SWAP: return check_pair(c, s);
    case SN_STEP_CHOOSE:
    case SN_STEP_WHILE: return check_control(c, s);
    case SN_STEP_CHECK:
      SN_TRY(check_use(c, s->from, false));
      return c->p->slot[s->from].type->elem == SN_ELEM_BOOL ? SN_OK : bad_step(c, "checks a slot that is not bool");
    default: return SN_OK;
  }
}

/* Blocks nest, at most SN_PLAN_NESTED deep; checks and swaps stand outside. */
static sn_code check_nesting(checker *c, int count, const sn_step *steps) {
  int *end = SN_ARRAY(c->scratch, SN_PLAN_NESTED + 1, int), depth = 0;
  for (c->step = 0; c->step < count; c->step++) {
    const sn_step *s = &steps[c->step];
    while (depth && c->step >= end[depth - 1]) depth--;
    if (depth && (s->kind == SN_STEP_CHECK || s->kind == SN_STEP_SWAP)) return bad_step(c, "not a step inside a block");
    if (s->kind != SN_STEP_CHOOSE && s->kind != SN_STEP_WHILE) continue;
    if (depth + 2 > SN_PLAN_NESTED) return bad_step(c, "blocks that nest too deep");
    int whole = sn_step_end(steps, c->step);
    if (depth && whole > end[depth - 1]) return bad_step(c, "blocks that overlap");
    end[depth++] = whole;
    end[depth++] = c->step + 1 + s->block[0];
  }
  return SN_OK;
}

/* What a loop keeps from round to round lives through all of it; what is made in it stays in it. */
static sn_code check_loop_lives(checker *c, const sn_step *steps) {
  int end = sn_step_end(steps, c->step);
  for (int i = 0; i < c->p->slot_count; i++) {
    const sn_slot *s = &c->p->slot[i];
    if (s->role != SN_SLOT_TEMP || s->graph != c->graph || s->last < c->step || s->first >= end) continue;
    if (s->first <= c->step ? s->last < end - 1 : s->last >= end)
      return bad_step(c, "a temporary that does not live as long as the loop");
  }
  return SN_OK;
}

static sn_code check_steps(checker *c, int count, const sn_step *steps) {
  c->step_count = count;
  for (c->step = 0; c->step < count; c->step++) SN_TRY(check_step(c, &steps[c->step]));
  SN_TRY(check_nesting(c, count, steps));
  for (c->step = 0; c->step < count; c->step++)
    if (steps[c->step].kind == SN_STEP_WHILE) SN_TRY(check_loop_lives(c, steps));
  return SN_OK;
}

static sn_code check_limit(checker *c, const sn_plan_limit *l) {
  const sn_slot *s = l->slot >= 0 && l->slot < c->p->slot_count ? &c->p->slot[l->slot] : NULL;
  if (!s || s->role != SN_SLOT_INPUT || s->graph != c->graph || !sn_elem_is_int(s->type->elem))
    return FAIL(c, "plan: graph '%.64s' limits slot %d, which is no input of integers", c->graph_name, l->slot);
  if (!l->rows || !l->span || !is_string(l->op) || (l->file && !is_string(l->file)) || l->line < 0)
    return FAIL(c, "plan: graph '%.64s' has an empty limit", c->graph_name);
  return SN_OK;
}

static sn_code check_graph(checker *c, int i) {
  const sn_plan_graph *g = &c->p->graph[i];
  c->graph = i;
  c->graph_name = g->name;
  SN_TRY(check_steps(c, g->step_count, g->step));
  for (int k = 0; k < g->refusal_count; k++) {
    if (!is_string(g->refusal[k].ops) || !is_string(g->refusal[k].reason))
      return FAIL(c, "plan: graph %d has an empty refusal", i);
  }
  for (int k = 0; k < g->limit_count; k++) SN_TRY(check_limit(c, &g->limit[k]));
  return SN_OK;
}

static int verify_protected(void *arg) {
  checker *c = arg;
  const sn_plan *p = c->p;
  SN_TRY(check_header(c));
  for (int i = 0; i < p->code_count; i++) SN_TRY(check_code(c, i));
  for (int i = 0; i < p->graph_count; i++) {
    const sn_plan_graph *g = &p->graph[i];
    if (!is_string(g->name)) return FAIL(c, "plan: graph %d has no name", i);
    if (g->step_count < 0 || g->refusal_count < 0 || g->limit_count < 0)
      return FAIL(c, "plan: graph %d has a negative count", i);
  }
  SN_TRY(check_slots(c));
  c->graph = -1;
  SN_TRY(check_steps(c, p->prepare_count, p->prepare));
  for (int i = 0; i < p->graph_count; i++) SN_TRY(check_graph(c, i));
  return SN_OK;
}

sn_code sn_plan_verify(const sn_plan *p, sn_diags *diags) {
  checker c = {.p = p, .diags = diags, .scratch = sn_arena_scratch(), .graph = -1};
  if (!c.scratch) return SN_ERR_LIMIT;
  sn_code code = (sn_code)sn_protect(verify_protected, &c);
  sn_arena_destroy(c.scratch);
  return code;
}
