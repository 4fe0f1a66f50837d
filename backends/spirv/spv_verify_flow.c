/* Rules of control flow: branches stay in their function, merges and loops are structured, values are defined on every
 * path to their use, phis have one value for each predecessor.
 *   source: Cooper, Harvey and Kennedy 2001, "A simple, fast dominance algorithm" */
#include "backends/spirv/spv_verify.h"

/* ---- edges ------------------------------------------------------------------------------------------------------- */

/* First operand of the branch that is a label, and the step to the next; false: it has none. */
static bool targets_of(const spv_insn *i, uint32_t *first, uint32_t *step, uint32_t *end) {
  *end = i->words - i->first;
  *step = 1;
  switch (i->row->number) {
    case SpvOpBranch: *first = 0; return true;
    case SpvOpBranchConditional: *first = 1, *end = 3; return true;
    case SpvOpSwitch: *first = 1, *step = 2; return true;
    default: return false;
  }
}

/* The block with that label, in the function of instruction i. */
static sn_code find_block(const spv_checker *c, const spv_insn *i, spv_id label, int *out) {
  int block = c->labelled[label] - 1;
  if (block < 0) return spv_wrong(c, i, "%%%u is not a label", label);
  if (c->blocks[block].function != c->function_of[i - c->r.insn])
    return spv_wrong(c, i, "%%%u is a label of another function", label);
  *out = block;
  return SN_OK;
}

static bool is_entry(const spv_checker *c, int block) {
  return block == 0 || c->blocks[block - 1].function != c->blocks[block].function;
}

static sn_code add_targets(spv_checker *c, spv_bb *b, int *count, int *capacity) {
  const spv_insn *i = &c->r.insn[b->last];
  uint32_t first, step, end;
  b->to = *count;
  if (!targets_of(i, &first, &step, &end)) return SN_OK;
  for (uint32_t k = first; k < end; k += step) {
    int to;
    SN_TRY(find_block(c, i, spv_word_at(&c->r, i, k), &to));
    if (is_entry(c, to)) return spv_wrong(c, i, "goes to the first block of the function");
    SN_GROW(c->r.arena, c->edges, *count, *capacity);
    c->edges[(*count)++] = to;
  }
  b->to_count = *count - b->to;
  return SN_OK;
}

/* Predecessors from successors; a block that names another twice is one predecessor. */
static void turn_edges(spv_checker *c, int count) {
  int *seen = SN_ARRAY(c->r.arena, c->block_count, int), total = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int b = 0; b < c->block_count; b++) seen[b] = -1;
    for (int b = 0; b < c->block_count; b++)
      for (int k = 0; k < c->blocks[b].to_count; k++) {
        spv_bb *to = &c->blocks[c->edges[c->blocks[b].to + k]];
        if (seen[to - c->blocks] == b) continue;
        seen[to - c->blocks] = b;
        if (pass) c->back_edges[to->from + to->from_count] = b;
        to->from_count++;
      }
    if (pass) break;
    for (int b = 0; b < c->block_count; b++) {
      c->blocks[b].from = total;
      total += c->blocks[b].from_count;
      c->blocks[b].from_count = 0;
    }
    c->back_edges = SN_ARRAY(c->r.arena, count, int);
  }
}

/* ---- dominance --------------------------------------------------------------------------------------------------- */

typedef struct orders {
  int *stack, *next; /* blocks on the way down, which successor is next, by block */
  int *order;        /* blocks in reverse postorder, from `first` on */
  int first, count;
} orders;

/* Depth first from the entry, without recursion: functions may be as deep as they are long. */
static void walk_down(spv_checker *c, int entry, orders *o) {
  int depth = 0, at = c->block_count;
  o->stack[depth++] = entry;
  c->blocks[entry].order = 0;
  while (depth) {
    int b = o->stack[depth - 1];
    if (o->next[b] == c->blocks[b].to_count) {
      o->order[--at] = b;
      depth--;
      continue;
    }
    int to = c->edges[c->blocks[b].to + o->next[b]++];
    if (c->blocks[to].order >= 0) continue;
    c->blocks[to].order = 0;
    o->stack[depth++] = to;
  }
  o->first = at;
  o->count = c->block_count - at;
  for (int k = 0; k < o->count; k++) c->blocks[o->order[at + k]].order = k;
}

static int meet(const spv_checker *c, int a, int b) {
  while (a != b) {
    while (c->blocks[a].order > c->blocks[b].order) a = c->blocks[a].parent;
    while (c->blocks[b].order > c->blocks[a].order) b = c->blocks[b].parent;
  }
  return a;
}

static void find_parents(spv_checker *c, int entry, const orders *o) {
  c->blocks[entry].parent = entry;
  for (bool changed = true; changed;) {
    changed = false;
    for (int k = 1; k < o->count; k++) {
      spv_bb *b = &c->blocks[o->order[o->first + k]];
      int parent = -1;
      for (int p = 0; p < b->from_count; p++) {
        int from = c->back_edges[b->from + p];
        if (c->blocks[from].parent < 0) continue; /* not reached, or not yet */
        parent = parent < 0 ? from : meet(c, from, parent);
      }
      changed |= b->parent != parent;
      b->parent = parent;
    }
  }
}

/* Intervals of the dominator tree: children stand behind their parents in the order. */
static void number_tree(spv_checker *c, int entry, const orders *o) {
  for (int k = o->count - 1; k >= 0; k--) { /* tree_end: the number of blocks below and itself */
    spv_bb *b = &c->blocks[o->order[o->first + k]];
    b->tree_end++;
    if (k) c->blocks[b->parent].tree_end += b->tree_end;
  }
  for (int k = 0; k < o->count; k++) { /* next[]: where the next child of a block begins */
    int id = o->order[o->first + k];
    spv_bb *b = &c->blocks[id];
    if (id != entry) {
      b->tree = o->next[b->parent];
      o->next[b->parent] += b->tree_end;
    }
    o->next[id] = b->tree + 1;
    b->tree_end += b->tree;
  }
}

bool spv_dominates(const spv_checker *c, int a, int b) {
  if (c->blocks[b].order < 0) return true;
  if (c->blocks[a].order < 0) return false;
  return c->blocks[a].tree <= c->blocks[b].tree && c->blocks[b].tree < c->blocks[a].tree_end;
}

static void find_dominators(spv_checker *c) {
  orders o = {.stack = SN_ARRAY(c->r.arena, c->block_count, int),
              .next = SN_ARRAY(c->r.arena, c->block_count, int),
              .order = SN_ARRAY(c->r.arena, c->block_count, int)};
  for (int b = 0; b < c->block_count; b++) {
    if (!is_entry(c, b)) continue;
    walk_down(c, b, &o);
    find_parents(c, b, &o);
    number_tree(c, b, &o);
  }
}

/* ---- structure --------------------------------------------------------------------------------------------------- */

/* What the merge instructions name: by block, the block that names it, plus 1. */
typedef struct constructs {
  int *merges, *continues;
} constructs;

static sn_code add_construct(const spv_checker *c, constructs *s, int header) {
  const spv_insn *i = &c->r.insn[c->blocks[header].merge];
  bool is_loop = i->row->number == SpvOpLoopMerge;
  for (uint32_t k = 0; k <= is_loop; k++) {
    int to, *named = k ? s->continues : s->merges;
    SN_TRY(find_block(c, i, spv_word_at(&c->r, i, k), &to));
    if (named[to]) return spv_wrong(c, i, "%%%u is the target of another merge", spv_word_at(&c->r, i, k));
    if (!spv_dominates(c, header, to) || (to == header && !k))
      return spv_wrong(c, i, "%%%u can be reached without it", spv_word_at(&c->r, i, k));
    named[to] = header + 1;
  }
  if (!is_loop) return SN_OK;
  if (spv_word_at(&c->r, i, 0) == spv_word_at(&c->r, i, 1)) return spv_wrong(c, i, "goes on where it ends");
  const uint32_t both = SpvLoopControlUnrollMask | SpvLoopControlDontUnrollMask;
  if ((spv_word_at(&c->r, i, 2) & both) == both) return spv_wrong(c, i, "is and is not to be unrolled");
  return SN_OK;
}

static bool leaves_construct(const spv_checker *c, const constructs *s, int from, int to) {
  int header = s->merges[to] ? s->merges[to] : s->continues[to];
  return header && spv_dominates(c, header - 1, from);
}

/* Edges to what stands before in the order are those of loops. */
static sn_code check_edge(const spv_checker *c, int from, int to) {
  const spv_bb *a = &c->blocks[from], *b = &c->blocks[to];
  const spv_insn *i = &c->r.insn[a->last];
  if (a->order < 0 || b->order > a->order) return SN_OK;
  const spv_insn *merge = b->merge < 0 ? NULL : &c->r.insn[b->merge];
  if (!merge || merge->row->number != SpvOpLoopMerge || !spv_dominates(c, to, from))
    return spv_wrong(c, i, "goes back, not to the head of its loop");
  int next = c->labelled[spv_word_at(&c->r, merge, 1)] - 1;
  if (!spv_dominates(c, next, from))
    return spv_wrong(c, i, "goes back, not from the continue target %%%u", spv_word_at(&c->r, merge, 1));
  return SN_OK;
}

static sn_code check_structure(const spv_checker *c) {
  constructs s = {SN_ARRAY(c->r.arena, c->block_count, int), SN_ARRAY(c->r.arena, c->block_count, int)};
  for (int b = 0; b < c->block_count; b++)
    if (c->blocks[b].merge >= 0) SN_TRY(add_construct(c, &s, b));
  for (int b = 0; b < c->block_count; b++) {
    const spv_bb *x = &c->blocks[b];
    bool leaves = false;
    for (int k = 0; k < x->to_count; k++) {
      SN_TRY(check_edge(c, b, c->edges[x->to + k]));
      leaves |= leaves_construct(c, &s, b, c->edges[x->to + k]);
    }
    if (x->to_count > 1 && x->merge < 0 && (!leaves || c->r.insn[x->last].row->number == SpvOpSwitch))
      return spv_wrong(c, &c->r.insn[x->last], "branches without a merge");
  }
  return SN_OK;
}

/* ---- definitions and uses ---------------------------------------------------------------------------------------- */

/* Is the id known at the end of block b (user NULL), or where its instruction stands in b? */
static sn_code check_use(const spv_checker *c, const spv_insn *user, spv_id id, int b, bool at_end) {
  int d = (int)(spv_definition(&c->r, id) - c->r.insn), u = (int)(user - c->r.insn);
  uint32_t opcode = c->r.insn[d].row->number;
  if (opcode == SpvOpFunction || opcode == SpvOpLabel || c->function_of[d] < 0) return SN_OK;
  if (c->function_of[d] != c->function_of[u]) return spv_wrong(c, user, "%%%u is defined in another function", id);
  if (opcode == SpvOpFunctionParameter) return SN_OK;
  int its = c->block_of[d];
  if (its == b ? at_end || d < u : spv_dominates(c, its, b)) return SN_OK;
  return spv_wrong(c, user, "%%%u is not defined on every way to it", id);
}

static sn_code check_uses(const spv_checker *c, int k) {
  const spv_insn *i = &c->r.insn[k];
  spv_cursor operands = spv_operands(&c->r, i);
  spv_operand o;
  while (spv_next(&operands, &o))
    if (o.letter == 'i') SN_TRY(check_use(c, i, c->r.words[o.at], c->block_of[k], false));
  return SN_OK;
}

static sn_code check_phi(const spv_checker *c, int k, int *seen) {
  const spv_insn *i = &c->r.insn[k];
  const spv_bb *b = &c->blocks[c->block_of[k]];
  uint32_t pairs = (i->words - i->first) / 2;
  if (pairs != (uint32_t)b->from_count)
    return spv_wrong(c, i, "has %u values for %d predecessors", pairs, b->from_count);
  for (int p = 0; p < b->from_count; p++) seen[c->back_edges[b->from + p]] = k;
  for (uint32_t p = 0; p < pairs; p++) {
    int from;
    SN_TRY(find_block(c, i, spv_word_at(&c->r, i, 2 * p + 1), &from));
    if (seen[from] != k)
      return spv_wrong(c, i, "%%%u is not a predecessor, or for the second time", spv_word_at(&c->r, i, 2 * p + 1));
    seen[from] = -1;
    SN_TRY(check_use(c, i, spv_word_at(&c->r, i, 2 * p), from, true));
  }
  return SN_OK;
}

static sn_code check_definitions(const spv_checker *c) {
  int *seen = SN_ARRAY(c->r.arena, c->block_count, int);
  for (int b = 0; b < c->block_count; b++) seen[b] = -1;
  for (int k = c->functions_at; k < c->r.insn_count; k++) {
    if (c->block_of[k] < 0) continue;
    if (c->r.insn[k].row->number == SpvOpPhi)
      SN_TRY(check_phi(c, k, seen));
    else
      SN_TRY(check_uses(c, k));
  }
  return SN_OK;
}

sn_code spv_verify_flow(spv_checker *c) {
  int count = 0, capacity = 0;
  for (int b = 0; b < c->block_count; b++) SN_TRY(add_targets(c, &c->blocks[b], &count, &capacity));
  turn_edges(c, count);
  find_dominators(c);
  SN_TRY(check_structure(c));
  return check_definitions(c);
}
