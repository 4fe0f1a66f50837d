/* Plan verification: everything that a loader or runner relies on without looking again. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
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
  const sn_step *steps; /* those being checked */
} checker;

/* A mistake at a line of the text, if the plan was read from one. */
static sn_code SN_PRINTF(5, 6)
    fail(const checker *c, int line, const char *expected, const char *found, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const sn_loc loc = {.file = c->p->file, .line = line};
  (void)sn_fail_list(c->diags, SN_ERR_INPUT, loc, "plan", expected, found, format, args);
  va_end(args);
  return SN_ERR_INPUT;
}

static const char *number(const checker *c, int64_t n) { return sn_arena_printf(c->scratch, "%" PRId64, n); }

static const char *range(const checker *c, int64_t count) {
  if (count < 1) return "there is none";
  return sn_arena_printf(c->scratch, "0 to %" PRId64, count - 1);
}

static const char *dim_text(const checker *c, const sn_dimx *d) {
  sn_text t = sn_text_begin(c->scratch);
  sn_dimx_print(&t, d);
  return t.at;
}

/* A name of an enumeration, or its number. */
static const char *choice(const checker *c, const char *const *names, int count, int i) {
  return i >= 0 && i < count ? names[i] : number(c, i);
}

static bool is_string(const char *s) { return s && strnlen(s, SN_PLAN_NAME_BYTES + 1) <= SN_PLAN_NAME_BYTES; }

static bool is_string_or_null(const char *s) { return !s || is_string(s); }

static bool is_symbol_name(const char *s) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
  return is_string(s) && *s && strchr(letters, *s) && s[strspn(s, more)] == 0;
}

static bool in_range(int i, int count) { return i >= 0 && i < count; }

/* ---- header and code ------------------------------------------------------------------------------------- */

static const char string_rule[] = "a text of at most 65000 bytes";
static_assert(SN_PLAN_NAME_BYTES == 65000, "string_rule says another limit");

static const char *string_text(const char *s) { return !s ? "none" : is_string(s) ? s : "a longer one"; }

static sn_code check_text(const checker *c, const char *s, const char *what) {
  return is_string(s) ? SN_OK : fail(c, 1, string_rule, string_text(s), "its %s", what);
}

static sn_code check_header(const checker *c) {
  const sn_plan *p = c->p;
  if (!p->types) return fail(c, 1, "a table of dims", "none", "its types");
  SN_TRY(check_text(c, p->model, "model"));
  SN_TRY(check_text(c, p->settings, "settings"));
  SN_TRY(check_text(c, p->target, "target"));
  if (p->slot_count < 0 || p->code_count < 0 || p->graph_count < 0 || p->prepare_count < 0)
    return fail(c, 1, "0 or more", "a negative count", "a count of its parts");
  for (int i = 0; i < sn_types_symbol_count(p->types); i++) {
    const char *name = sn_dimx_symbol_name(sn_types_symbol(p->types, i));
    if (!is_symbol_name(name))
      return fail(c, 1, "letters, digits, _ and dots", string_text(name), "the name of dim %d", i);
  }
  return SN_OK;
}

static sn_code check_code(const checker *c, int i) {
  const sn_code_blob *b = &c->p->code[i];
  if ((unsigned)b->kind >= SN_PLAN_CODES)
    return fail(c, b->line, "cpu, spirv or kernel", number(c, (int64_t)b->kind), "the kind of code %d", i);
  if (!is_string(b->name)) return fail(c, b->line, string_rule, string_text(b->name), "the name of code %d", i);
  if (!is_string_or_null(b->features))
    return fail(c, b->line, string_rule, "a longer one", "the features of code %d", i);
  if (b->byte_count < 0 || (b->byte_count > 0 && !b->bytes))
    return fail(c, b->line, "as many bytes as its size", "none", "code %d has no bytes", i);
  if (!sn_code_entry_ok(b))
    return fail(c, b->line, range(c, b->kind == SN_CODE_SPIRV ? 1 << 16 : b->byte_count), number(c, b->entry),
                "the entry of code %d is outside of it", i);
  if (b->workspace_bytes < 0 || b->workspace_bytes > SN_DIM_MAX)
    return fail(c, b->line, range(c, SN_DIM_MAX + 1), number(c, b->workspace_bytes), "the workspace of code %d", i);
  return SN_OK;
}

/* ---- slots ----------------------------------------------------------------------------------------------- */

static int slot_line(const checker *c, int i) { return c->p->slot[i].line; }

static sn_code check_type(const checker *c, int i) {
  const sn_type *t = c->p->slot[i].type;
  if (!t || t->elem <= SN_ELEM_NONE || t->elem >= SN_ELEM_COUNT || t->rank < 0 || t->rank > SN_RANK_MAX)
    return fail(c, slot_line(c, i), "an element type and up to 8 extents", "none", "the type of slot %d", i);
  for (int k = 0; k < t->rank; k++) {
    if (t->dim[k] && sn_dimx_max_value(t->dim[k]) >= 0) continue;
    return fail(c, slot_line(c, i), "0 or more", t->dim[k] ? dim_text(c, t->dim[k]) : "none",
                "slot %d has a negative extent", i);
  }
  if (c->p->slot[i].elements) return SN_OK;
  return fail(c, slot_line(c, i), "elements N", "none", "slot %d has no element count", i);
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
      return fail(c, slot_line(c, i), sn_arena_printf(c->scratch, "at least %" PRId64, needed), number(c, held),
                  "slot %d holds fewer elements than its type", i);
    }
  }
  return SN_OK;
}

static bool is_persistent(sn_slot_role role) {
  return role == SN_SLOT_PARAM || role == SN_SLOT_STATE || role == SN_SLOT_PACKED;
}

static const char *graph_text(const checker *c, int graph) {
  return graph < 0 ? "no graph" : sn_arena_printf(c->scratch, "graph %d", graph);
}

static const char *role_text(const checker *c, int i) {
  return choice(c, sn_plan_role_names, SN_PLAN_ROLES, (int)c->p->slot[i].role);
}

static sn_code check_slot_fields(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  if ((unsigned)s->role >= SN_PLAN_ROLES)
    return fail(c, s->line, "input, output, param, state, temp or packed", role_text(c, i), "the role of slot %d", i);
  if (!is_string(s->name)) return fail(c, s->line, string_rule, string_text(s->name), "the name of slot %d", i);
  if ((unsigned)s->init >= SN_PLAN_INITS || isnan(s->init_a))
    return fail(c, s->line, "none, fill, normal or uniform, and a number",
                choice(c, sn_plan_init_names, SN_PLAN_INITS, (int)s->init), "the initial value of slot %d", i);
  if (s->graph < -1 || s->graph >= c->p->graph_count)
    return fail(c, s->line, range(c, c->p->graph_count), number(c, s->graph), "slot %d is of a graph that is not there",
                i);
  if (is_persistent(s->role) && s->graph != -1)
    return fail(c, s->line, "no graph: all share it", graph_text(c, s->graph), "slot %d is persistent", i);
  if (s->role == SN_SLOT_TEMP && s->graph < 0)
    return fail(c, s->line, "graph N", "no graph", "slot %d is temporary", i);
  if (s->frozen && s->role != SN_SLOT_PARAM)
    return fail(c, s->line, "a param", role_text(c, i), "slot %d is frozen", i);
  if (s->optional && s->role != SN_SLOT_INPUT)
    return fail(c, s->line, "an input", role_text(c, i), "slot %d is optional", i);
  return SN_OK;
}

static sn_code check_life(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  if (s->role != SN_SLOT_TEMP || (s->first == -1 && s->last == -1)) return SN_OK; /* -1: never used */
  int count = c->p->graph[s->graph].step_count;
  if (s->first >= 0 && s->last >= s->first && s->last < count) return SN_OK;
  return fail(c, s->line, sn_arena_printf(c->scratch, "steps of its graph: %s", range(c, count)),
              sn_arena_printf(c->scratch, "life %d %d", s->first, s->last), "the life of slot %d", i);
}

static bool same_storage(const sn_slot *a, const sn_slot *b) {
  return a->type->elem == b->type->elem && a->elements == b->elements;
}

static sn_code check_buddy(const checker *c, int i) {
  const sn_plan *p = c->p;
  const sn_slot *s = &p->slot[i];
  if (s->buddy == -1) return SN_OK;
  bool ok = in_range(s->buddy, p->slot_count) && s->buddy != i && s->role == SN_SLOT_STATE &&
            p->slot[s->buddy].role == SN_SLOT_STATE && same_storage(s, &p->slot[s->buddy]);
  if (ok) return SN_OK;
  return fail(c, s->line, "another state of the same elements", sn_arena_printf(c->scratch, "slot %d", s->buddy),
              "the buddy of slot %d", i);
}

static sn_code check_links(const checker *c, int i) {
  const sn_plan *p = c->p;
  const sn_slot *s = &p->slot[i];
  SN_TRY(check_buddy(c, i));
  if (s->alias == -1) return SN_OK;
  if (!in_range(s->alias, p->slot_count))
    return fail(c, s->line, range(c, p->slot_count), number(c, s->alias), "slot %d shares the storage of no slot", i);
  if (is_persistent(s->role) || s->role == SN_SLOT_INPUT)
    return fail(c, s->line, "a temp or an output", role_text(c, i), "slot %d cannot share the storage of another", i);
  if (p->slot[s->alias].graph == -1 || p->slot[s->alias].graph == s->graph) return SN_OK;
  return fail(c, s->line, graph_text(c, s->graph), graph_text(c, p->slot[s->alias].graph),
              "slot %d shares storage with slot %d of another graph", i, s->alias);
}

/* Aliases end, and at storage that is large enough; each chain is walked once. */
static sn_code check_alias_chain(const checker *c, int i, signed char *done) {
  const sn_plan *p = c->p;
  int length = 0;
  for (int at = i; p->slot[at].alias >= 0 && !done[at]; at = p->slot[at].alias) {
    if (++length > p->slot_count)
      return fail(c, p->slot[i].line, "a slot with storage of its own at the end", "a cycle", "the aliases of slot %d",
                  i);
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
    if (known && held < needed)
      return fail(c, s->line, sn_arena_printf(c->scratch, "at least %" PRId64 " bytes", needed), number(c, held),
                  "slot %d needs more storage than slot %d has", i, s->alias);
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
    if (sn_map_get_str(seen, key)) return fail(c, s->line, "a name of its own", s->name, "two slots have one name");
    sn_map_put_str(seen, key, seen);
  }
  for (int i = 0; i < c->p->graph_count; i++) {
    const sn_plan_graph *g = &c->p->graph[i];
    const char *key = sn_arena_printf(c->scratch, "graph %s", g->name);
    if (sn_map_get_str(seen, key)) return fail(c, g->line, "a name of its own", g->name, "two graphs have one name");
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

static sn_code bad_step(const checker *c, const char *expected, const char *found, const char *what) {
  int line = c->steps[c->step].line;
  if (c->graph < 0) return fail(c, line, expected, found, "prepare step %d: %s", c->step, what);
  return fail(c, line, expected, found, "graph '%.64s', step %d: %s", c->graph_name, c->step, what);
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

static const char *slot_text(const checker *c, int i) {
  const sn_slot *s = &c->p->slot[i];
  return sn_arena_printf(c->scratch, "slot %d: %s%s \"%.64s\" of %s", i, s->frozen ? "frozen " : "", role_text(c, i),
                         s->name, s->graph < 0 ? "all graphs" : graph_text(c, s->graph));
}

static sn_code check_use(const checker *c, int slot, bool writes) {
  if (!in_range(slot, c->p->slot_count))
    return bad_step(c, range(c, c->p->slot_count), number(c, slot), "a slot that this graph does not have");
  if (!is_visible(c, slot))
    return bad_step(
        c, c->graph < 0 ? "one of all graphs" : sn_arena_printf(c->scratch, "one of graph %d or of all", c->graph),
        slot_text(c, slot), "a slot that this graph does not have");
  const sn_slot *s = &c->p->slot[slot];
  if (!is_alive(c, slot))
    return bad_step(c,
                    s->first < 0 ? "a life that holds this step"
                                 : sn_arena_printf(c->scratch, "steps %d to %d, its life", s->first, s->last),
                    sn_arena_printf(c->scratch, "step %d", c->step), "a temporary outside of its life");
  if (writes && !is_writable(c, slot))
    return bad_step(c, c->graph < 0 ? "a packed slot" : "an output, state, temp or param that is not frozen",
                    slot_text(c, slot), "writes what must not be written");
  return SN_OK;
}

static sn_code check_launch(const checker *c, const sn_step *s) {
  if (!in_range(s->code, c->p->code_count))
    return bad_step(c, range(c, c->p->code_count), number(c, s->code), "no such code");
  if (s->arg_count < 0 || s->arg_count > SN_PLAN_ARGS || (s->arg_count && !s->arg))
    return bad_step(c, range(c, SN_PLAN_ARGS + 1), number(c, s->arg_count), "the number of its arguments");
  if (s->arg_count < 64 && s->writes >> s->arg_count)
    return bad_step(c, "an argument", "more", "writes an argument that it does not have");
  for (int i = 0; i < s->arg_count; i++) {
    bool writes = s->writes >> i & 1;
    int sizes = sn_types_symbol_count(c->p->types);
    if (s->arg[i].is_slot)
      SN_TRY(check_use(c, s->arg[i].index, writes));
    else if (writes)
      return bad_step(c, "a slot", "a size", "writes what must not be written");
    else if (!in_range(s->arg[i].index, sizes))
      return bad_step(c, range(c, sizes), number(c, s->arg[i].index), "no such size");
  }
  for (int i = 0; i < 3; i++) {
    if (s->grid[i] && sn_dimx_max_value(s->grid[i]) < 0)
      return bad_step(c, "0 or more", dim_text(c, s->grid[i]), "a negative grid");
  }
  return SN_OK;
}

static sn_code check_pair(const checker *c, const sn_step *s) {
  SN_TRY(check_use(c, s->from, s->kind == SN_STEP_SWAP));
  SN_TRY(check_use(c, s->to, true));
  const sn_slot *from = &c->p->slot[s->from], *to = &c->p->slot[s->to];
  const char *found =
      sn_arena_printf(c->scratch, "%s of %s elements and %s of %s", sn_elem_name(from->type->elem),
                      dim_text(c, from->elements), sn_elem_name(to->type->elem), dim_text(c, to->elements));
  if (s->from == s->to) found = "one slot";
  if (s->from == s->to || !same_storage(from, to))
    return bad_step(c, "two slots of one element type and count", found, "slots of different storage");
  if (s->kind == SN_STEP_COPY) return SN_OK;
  bool persistent = is_persistent(from->role) && is_persistent(to->role);
  if (persistent && from->type == to->type) return SN_OK;
  return bad_step(c, "two states of one type",
                  sn_arena_printf(c->scratch, "%s and %s", slot_text(c, s->from), slot_text(c, s->to)),
                  "swaps others than states");
}

/* A scalar, or in an output's shape of ones. */
static bool is_flag(const sn_type *t) {
  for (int i = 0; i < t->rank; i++)
    if (!sn_dimx_is_one(t->dim[i])) return false;
  return t->elem == SN_ELEM_BOOL;
}

/* Blocks lie within the list; that they nest is checked for all steps together. */
static sn_code check_control(const checker *c, const sn_step *s) {
  SN_TRY(check_use(c, s->from, false));
  const sn_type *flag = c->p->slot[s->from].type;
  if (!is_flag(flag)) return bad_step(c, "one bool", sn_type_text(c->scratch, flag), "its flag is no single bool");
  int64_t left = (int64_t)c->step_count - c->step - 1;
  if (s->block[0] < 1 || s->block[1] < 1 || (int64_t)s->block[0] + s->block[1] > left)
    return bad_step(c, sn_arena_printf(c->scratch, "1 or more each, %" PRId64 " follow", left),
                    sn_arena_printf(c->scratch, "%d and %d", s->block[0], s->block[1]),
                    "blocks that are empty or go beyond the end");
  if (s->kind == SN_STEP_WHILE && s->limit < 1)
    return bad_step(c, "1 or more", number(c, s->limit), "a loop without rounds");
  return SN_OK;
}

static sn_code check_step(const checker *c, const sn_step *s) {
  const char *kind = choice(c, sn_plan_step_names, SN_PLAN_STEPS, (int)s->kind);
  if ((unsigned)s->kind >= SN_PLAN_STEPS) return bad_step(c, range(c, SN_PLAN_STEPS), kind, "no such kind of step");
  if (!is_string_or_null(s->kind_name) || !is_string_or_null(s->ops) || !is_string_or_null(s->where))
    return bad_step(c, string_rule, "a longer one", "a text that is too long");
  if (c->graph < 0 && s->kind != SN_STEP_LAUNCH && s->kind != SN_STEP_COPY)
    return bad_step(c, "launch or copy", kind, "not a step that prepares");
  switch (s->kind) {
    case SN_STEP_LAUNCH: return check_launch(c, s);
    case SN_STEP_COPY:
    case SN_STEP_SWAP: return check_pair(c, s);
    case SN_STEP_CHOOSE:
    case SN_STEP_WHILE: return check_control(c, s);
    case SN_STEP_CHECK:
      SN_TRY(check_use(c, s->from, false));
      const sn_type *t = c->p->slot[s->from].type;
      return t->elem == SN_ELEM_BOOL
                 ? SN_OK
                 : bad_step(c, "bool", sn_type_text(c->scratch, t), "checks a slot that is not bool");
    default: return SN_OK;
  }
}

/* Blocks nest, at most SN_PLAN_NESTED deep; checks and swaps stand outside. */
static sn_code check_nesting(checker *c, int count, const sn_step *steps) {
  int *end = SN_ARRAY(c->scratch, SN_PLAN_NESTED + 1, int), depth = 0;
  for (c->step = 0; c->step < count; c->step++) {
    const sn_step *s = &steps[c->step];
    while (depth && c->step >= end[depth - 1]) depth--;
    if (depth && (s->kind == SN_STEP_CHECK || s->kind == SN_STEP_SWAP))
      return bad_step(c, "launch, copy, host, choose or while", sn_plan_step_names[s->kind],
                      "not a step inside a block");
    if (s->kind != SN_STEP_CHOOSE && s->kind != SN_STEP_WHILE) continue;
    if (depth + 2 > SN_PLAN_NESTED)
      return bad_step(c, sn_arena_printf(c->scratch, "at most %d", SN_PLAN_NESTED), "more",
                      "blocks that nest too deep");
    int whole = sn_step_end(steps, c->step);
    if (depth && whole > end[depth - 1])
      return bad_step(c, sn_arena_printf(c->scratch, "an end before step %d", end[depth - 1]), number(c, whole - 1),
                      "blocks that overlap");
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
      return bad_step(c, sn_arena_printf(c->scratch, "inside of steps %d to %d or around them", c->step, end - 1),
                      sn_arena_printf(c->scratch, "slot %d: life %d %d", i, s->first, s->last),
                      "a temporary that does not live as long as the loop");
  }
  return SN_OK;
}

static sn_code check_steps(checker *c, int count, const sn_step *steps) {
  c->step_count = count;
  c->steps = steps;
  for (c->step = 0; c->step < count; c->step++) SN_TRY(check_step(c, &steps[c->step]));
  SN_TRY(check_nesting(c, count, steps));
  for (c->step = 0; c->step < count; c->step++)
    if (steps[c->step].kind == SN_STEP_WHILE) SN_TRY(check_loop_lives(c, steps));
  return SN_OK;
}

static sn_code check_limit(checker *c, const sn_plan_limit *l) {
  int line = c->p->graph[c->graph].line;
  const sn_slot *s = in_range(l->slot, c->p->slot_count) ? &c->p->slot[l->slot] : NULL;
  if ((unsigned)l->kind >= SN_PLAN_LIMITS || isnan(l->value))
    return fail(c, line, "each, less, more, equal or other, and a number",
                choice(c, sn_plan_limit_names, SN_PLAN_LIMITS, (int)l->kind), "graph '%.64s' has a limit of no kind",
                c->graph_name);
  bool each = l->kind == SN_LIMIT_EACH;
  if (!s || s->role != SN_SLOT_INPUT || s->graph != c->graph || (each && !sn_elem_is_int(s->type->elem)))
    return fail(c, line, each ? "an input of integers of this graph" : "an input of this graph",
                s ? slot_text(c, l->slot) : number(c, l->slot), "graph '%.64s' limits another slot", c->graph_name);
  if ((each && (!l->rows || !l->span)) || !is_string(l->op) || (l->file && !is_string(l->file)) || l->line < 0)
    return fail(c, line, each ? "rows, span and op" : "op", "less", "graph '%.64s' has an empty limit", c->graph_name);
  return SN_OK;
}

static sn_code check_graph(checker *c, int i) {
  const sn_plan_graph *g = &c->p->graph[i];
  c->graph = i;
  c->graph_name = g->name;
  SN_TRY(check_steps(c, g->step_count, g->step));
  for (int k = 0; k < g->refusal_count; k++) {
    if (!is_string(g->refusal[k].ops) || !is_string(g->refusal[k].reason))
      return fail(c, g->line, "ops and a reason", "less", "graph %d has an empty refusal", i);
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
    if (!is_string(g->name)) return fail(c, g->line, string_rule, string_text(g->name), "the name of graph %d", i);
    if (g->step_count < 0 || g->refusal_count < 0 || g->limit_count < 0)
      return fail(c, g->line, "0 or more", "a negative count", "a count of graph %d", i);
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
