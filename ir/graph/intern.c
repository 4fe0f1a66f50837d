/* Adds nodes to a function: each node is hashed by op, operands, attributes and result types (not by origin), so that
 * an equal node is found instead of made again. Named leaves are hashed by op and name alone.
 *
 * Attributes, types and lines lie in the module's arena, wherever the function does: nodes that are copied from one
 * function to the next share them. */
#include <math.h>
#include <string.h>

#include "ir/graph/graph.h"
#include "ir/graph/inside.h"

enum { MAX_LOCS = 64 }; /* source lines kept per node, the first in order of file and line */

/* Nodes of one hash. */
typedef struct bucket {
  sn_node *node;
  struct bucket *next;
} bucket;

/* ---- identity of attributes ------------------------------------------------------------------- */

bool sn_number_same(double a, double b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
  return a == b && signbit(a) == signbit(b);
}

static bool same_bytes(const void *a, const void *b, size_t bytes) { return !bytes || !memcmp(a, b, bytes); }

static bool attr_same(char kind, const sn_attr *a, const sn_attr *b) {
  if (a->set != b->set) return false;
  if (!a->set) return true;
  switch (kind) {
    case 'f': return sn_number_same(a->f, b->f);
    case 's': return a->s == b->s;
    case 'd': return a->d == b->d;
    case 'R': return a->region == b->region;
    case 'I': return a->count == b->count && same_bytes(a->ints, b->ints, (size_t)a->count * sizeof *a->ints);
    case 'D': return a->count == b->count && same_bytes(a->dims, b->dims, (size_t)a->count * sizeof *a->dims);
    default: return a->i == b->i;
  }
}

static uint64_t pointer_hash(const void *p, uint64_t h) { return sn_hash_word((uint64_t)(uintptr_t)p, h); }

static uint64_t list_hash(char kind, const sn_attr *a, uint64_t h) {
  for (int i = 0; i < a->count; i++)
    h = kind == 'I' ? sn_hash_word((uint64_t)a->ints[i], h) : pointer_hash(a->dims[i], h);
  return h;
}

static uint64_t attr_hash(char kind, const sn_attr *a, uint64_t h) {
  uint64_t bits;
  if (!a->set) return sn_hash_word(1, h);
  switch (kind) {
    case 'f': memcpy(&bits, &a->f, sizeof bits); return sn_hash_word(bits, h);
    case 's': return pointer_hash(a->s, h);
    case 'd': return pointer_hash(a->d, h);
    case 'R': return pointer_hash(a->region, h);
    case 'I':
    case 'D': return list_hash(kind, a, h);
    default: return sn_hash_word((uint64_t)a->i, h);
  }
}

static uint64_t node_hash(const sn_node *n) {
  uint64_t h = sn_hash_word((uint64_t)n->op, 0);
  if (sn_op_is_named_leaf(n->op)) return pointer_hash(n->attr[0].s, h);
  const sn_op_info *info = sn_op_get(n->op);
  for (int i = 0; i < info->attr_count; i++) h = attr_hash(info->attr[i].kind, &n->attr[i], h);
  for (int i = 0; i < n->arg_count; i++) h = sn_hash_word(n->arg[i], h);
  for (int i = 0; i < n->result_count; i++) h = pointer_hash(n->type[i], h);
  return h;
}

static bool node_same(const sn_node *a, const sn_node *b) {
  if (a->op != b->op) return false;
  if (sn_op_is_named_leaf(a->op)) return a->attr[0].s == b->attr[0].s;
  if (a->arg_count != b->arg_count || a->result_count != b->result_count) return false;
  if (!same_bytes(a->arg, b->arg, (size_t)a->arg_count * sizeof *a->arg)) return false;
  if (!same_bytes(a->type, b->type, (size_t)a->result_count * sizeof(const sn_type *))) return false;
  const sn_op_info *info = sn_op_get(a->op);
  for (int i = 0; i < info->attr_count; i++) {
    if (!attr_same(info->attr[i].kind, &a->attr[i], &b->attr[i])) return false;
  }
  return true;
}

/* ---- origins ------------------------------------------------------------------------------------ */

static int text_order(const char *a, const char *b) { return a == b ? 0 : !a ? -1 : !b ? 1 : strcmp(a, b); }

static int loc_order(const sn_loc *a, const sn_loc *b) {
  int by_file = text_order(a->file, b->file);
  if (by_file) return by_file;
  return a->line != b->line ? (a->line > b->line) - (a->line < b->line) : a->column - b->column;
}

static bool same_line(const sn_loc *a, const sn_loc *b) {
  return a->line == b->line && text_order(a->file, b->file) == 0;
}

static const char *interned_or_null(sn_names *names, const char *s) { return s ? sn_name(names, s) : NULL; }

static sn_origin origin_copy(sn_func *f, const sn_origin *from) {
  sn_names *names = f->module->names;
  int count = from->loc_count < MAX_LOCS ? from->loc_count : MAX_LOCS;
  sn_loc *locs = count ? SN_ARRAY(f->module->arena, count, sn_loc) : NULL;
  for (int i = 0; i < count; i++) {
    locs[i] = from->locs[i];
    locs[i].file = interned_or_null(names, from->locs[i].file);
    locs[i].text = interned_or_null(names, from->locs[i].text);
  }
  return (sn_origin){.locs = locs,
                     .loc_count = count,
                     .layer = interned_or_null(names, from->layer),
                     .group = interned_or_null(names, from->group)};
}

/* Puts `loc` into sorted locs unless its line is there; the last falls off when full. -> new count */
static int loc_insert(sn_loc *locs, int count, sn_loc loc) {
  int at = 0;
  for (int i = 0; i < count; i++) {
    if (same_line(&locs[i], &loc)) {
      if (loc_order(&loc, &locs[i]) < 0) locs[i] = loc;
      return count;
    }
    if (loc_order(&locs[i], &loc) < 0) at = i + 1;
  }
  if (at == MAX_LOCS) return count;
  int end = count < MAX_LOCS ? count : MAX_LOCS - 1;
  memmove(locs + at + 1, locs + at, (size_t)(end - at) * sizeof *locs);
  locs[at] = loc;
  return end + 1;
}

static bool has_all_lines(const sn_origin *all, const sn_origin *some) {
  if (all->locs == some->locs && all->loc_count == some->loc_count) return true;
  for (int i = 0; i < some->loc_count; i++) {
    bool found = false;
    for (int k = 0; k < all->loc_count && !found; k++) found = !loc_order(&all->locs[k], &some->locs[i]);
    if (!found) return false;
  }
  return true;
}

/* A node that is made twice keeps every distinct line, sorted, so that the order of making does not show. Layer and
 * group stay those of the first. */
static void origin_merge(sn_func *f, sn_origin *into, const sn_origin *from) {
  if (!into->layer) into->layer = interned_or_null(f->module->names, from->layer);
  if (!into->group) into->group = interned_or_null(f->module->names, from->group);
  if (has_all_lines(into, from)) return;
  sn_origin more = origin_copy(f, from);
  int room = into->loc_count + more.loc_count;
  sn_loc *locs = SN_ARRAY(f->module->arena, room < MAX_LOCS ? room : MAX_LOCS, sn_loc);
  int count = 0;
  for (int i = 0; i < into->loc_count; i++) count = loc_insert(locs, count, into->locs[i]);
  for (int i = 0; i < more.loc_count; i++) count = loc_insert(locs, count, more.locs[i]);
  into->locs = locs;
  into->loc_count = count;
}

/* ---- adding ------------------------------------------------------------------------------------- */

/* Attributes with interned strings and one NaN; lists are borrowed. */
static void attrs_normalise(sn_func *f, sn_op op, const sn_attr *attr, sn_attr out[SN_ATTR_MAX]) {
  const sn_op_info *info = sn_op_get(op);
  memset(out, 0, SN_ATTR_MAX * sizeof *out);
  for (int i = 0; attr && i < info->attr_count; i++) {
    if (!attr[i].set) continue;
    out[i] = attr[i];
    if (info->attr[i].kind == 's') out[i].s = interned_or_null(f->module->names, attr[i].s);
    if (info->attr[i].kind == 'f' && isnan(attr[i].f)) out[i].f = (double)NAN;
  }
}

static const sn_attr *attrs_copy(sn_func *f, sn_op op, const sn_attr *attr) {
  const sn_op_info *info = sn_op_get(op);
  sn_arena *arena = f->module->arena;
  if (!info->attr_count) return NULL;
  sn_attr *out = sn_arena_copy(arena, attr, (size_t)info->attr_count * sizeof *attr);
  for (int i = 0; i < info->attr_count; i++) {
    if (!out[i].set || !out[i].count) continue;
    size_t count = (size_t)out[i].count;
    if (info->attr[i].kind == 'I') out[i].ints = sn_arena_copy(arena, out[i].ints, count * sizeof *out[i].ints);
    if (info->attr[i].kind == 'D') out[i].dims = sn_arena_copy(arena, out[i].dims, count * sizeof *out[i].dims);
  }
  return out;
}

/* Puts the candidate into the function as its newest node; its own: the operands. */
static sn_node *store(sn_func *f, const sn_node *candidate) {
  sn_node *n = SN_NEW(f->arena, sn_node);
  *n = *candidate;
  n->arg = n->arg_count ? sn_arena_copy(f->arena, n->arg, (size_t)n->arg_count * sizeof *n->arg) : NULL;
  n->first = (sn_val)f->value_count;
  SN_GROW(f->arena, f->node, f->node_count, f->node_capacity);
  f->node[f->node_count++] = n;
  for (int i = 0; i < n->result_count; i++) {
    SN_GROW(f->arena, f->node_of, f->value_count, f->value_capacity);
    f->node_of[f->value_count++] = n;
  }
  return n;
}

/* The same, with what it borrows from the caller copied into the module. */
static sn_node *store_copy(sn_func *f, sn_node candidate, const sn_origin *origin) {
  size_t results = (size_t)candidate.result_count;
  candidate.attr = attrs_copy(f, candidate.op, candidate.attr);
  candidate.type = sn_arena_copy(f->module->arena, candidate.type, results * sizeof(const sn_type *));
  if (origin) candidate.origin = origin_copy(f, origin);
  return store(f, &candidate);
}

/* Finds an equal node, or stores the candidate; shared: all but its operands is the module's. */
static sn_val find_or_store(sn_func *f, const sn_node *candidate, const sn_origin *origin, bool shared) {
  bool effect = sn_op_get(candidate->op)->flags & SN_FLAG_EFFECT;
  uint64_t hash = effect ? 0 : node_hash(candidate);
  bucket *head = effect ? NULL : sn_map_get(f->interned, hash);
  for (bucket *b = head; b; b = b->next) {
    if (!node_same(b->node, candidate)) continue;
    if (origin) origin_merge(f, &b->node->origin, origin);
    return b->node->first;
  }
  sn_node *n = shared ? store(f, candidate) : store_copy(f, *candidate, origin);
  if (effect) return n->first;
  bucket *fresh = SN_NEW(f->arena, bucket);
  *fresh = (bucket){.node = n, .next = head};
  sn_map_put(f->interned, hash, fresh);
  return n->first;
}

sn_val sn_func_add(sn_func *f, sn_op op, int arg_count, const sn_val *arg, const sn_attr *attr, int result_count,
                   const sn_type *const *type, const sn_origin *origin) {
  sn_attr attrs[SN_ATTR_MAX];
  attrs_normalise(f, op, attr, attrs);
  const sn_node candidate = {
      .op = op, .arg_count = arg_count, .arg = arg, .attr = attrs, .result_count = result_count, .type = type};
  return find_or_store(f, &candidate, origin, false);
}

sn_val sn_func_copy_node(sn_func *to, const sn_node *n, const sn_val *arg) {
  sn_node candidate = *n;
  candidate.arg = arg;
  return find_or_store(to, &candidate, &n->origin, true);
}

sn_val sn_func_leaf(const sn_func *f, sn_op op, const char *name) {
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .s = sn_name(f->module->names, name)}};
  sn_node wanted = {.op = op, .attr = attr};
  for (bucket *b = sn_map_get(f->interned, node_hash(&wanted)); b; b = b->next) {
    if (node_same(b->node, &wanted)) return b->node->first;
  }
  return 0;
}
