/* Plan hazards: storage shared by slots that live at once, states written before the last check of a run, and values
 * that are read before a step has made them. */
#include <limits.h>
#include <stdarg.h>

#include "ir/plan/internal.h"

typedef struct life {
  int slot, root;
  int first, last; /* steps; an untouched slot has first > last */
} life;

typedef struct scan {
  const sn_plan *p;
  sn_diags *diags;
  sn_arena *scratch;
  int graph;
  life *life; /* one per slot */
} scan;

/* A mistake at a line of the text, if the plan was read from one; without one it is the compiler's. */
static sn_code SN_PRINTF(4, 5) fail(const scan *s, int line, const char *expected, const char *format, ...) {
  sn_code code = s->p->file ? SN_ERR_INPUT : SN_ERR_FAIL;
  va_list args;
  va_start(args, format);
  (void)sn_fail_list(s->diags, code, (sn_loc){.file = s->p->file, .line = line}, "plan", expected, NULL, format, args);
  va_end(args);
  return code;
}

static const char *slot_text(const scan *s, int slot) {
  return sn_arena_printf(s->scratch, "slot %d, \"%.64s\"", slot, s->p->slot[slot].name);
}

static void touch(scan *s, int slot, int step) {
  life *l = &s->life[slot];
  if (step < l->first) l->first = step;
  if (step > l->last) l->last = step;
}

static void touch_all(scan *s, int step, const sn_step *one) {
  switch (one->kind) {
    case SN_STEP_LAUNCH:
      for (int i = 0; i < one->arg_count; i++) {
        if (one->arg[i].is_slot) touch(s, one->arg[i].index, step);
      }
      return;
    case SN_STEP_COPY:
    case SN_STEP_SWAP: touch(s, one->to, step); /* fall through */
    case SN_STEP_CHECK:
    case SN_STEP_CHOOSE:
    case SN_STEP_WHILE: touch(s, one->from, step); return;
    default: return;
  }
}

/* What lives longer than its uses: outputs to the end, persistent slots and inputs throughout. An output that no step
 * touches has no life of its own: it keeps the slot it stands for alive to the end. */
static void extend_lives(scan *s, int steps) {
  const sn_plan *p = s->p;
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *slot = &p->slot[i];
    life *l = &s->life[i];
    if (slot->role == SN_SLOT_TEMP || (slot->graph != -1 && slot->graph != s->graph)) continue;
    if (slot->role == SN_SLOT_OUTPUT && slot->alias >= 0 && l->first > l->last) {
      touch(s, slot->alias, steps);
    } else {
      touch(s, i, slot->role == SN_SLOT_OUTPUT && l->first <= l->last ? l->first : 0);
      touch(s, i, steps);
    }
  }
}

/* What a loop finds and uses lives through all of it: the next round needs it too. */
static void extend_through_loops(scan *s) {
  const sn_plan_graph *g = &s->p->graph[s->graph];
  for (int i = g->step_count - 1; i >= 0; i--) {
    if (g->step[i].kind != SN_STEP_WHILE) continue;
    int end = sn_step_end(g->step, i);
    for (int k = 0; k < s->p->slot_count; k++)
      if (s->life[k].first <= i && s->life[k].last >= i && s->life[k].last < end) touch(s, k, end - 1);
  }
}

static void find_lives(scan *s) {
  const sn_plan_graph *g = &s->p->graph[s->graph];
  for (int i = 0; i < s->p->slot_count; i++) s->life[i] = (life){i, sn_plan_root(s->p, i), INT_MAX, -1};
  for (int i = 0; i < g->step_count; i++) touch_all(s, i, &g->step[i]);
  extend_through_loops(s);
  extend_lives(s, g->step_count);
}

/* Of the slots that share with others: sorted by storage, then by first step. Insertion from the back: few are shared.
 */
static int sharing_lives(const scan *s, life *out) {
  int count = 0;
  signed char *shared = SN_ARRAY(s->scratch, s->p->slot_count, signed char);
  for (int i = 0; i < s->p->slot_count; i++) {
    if (s->p->slot[i].alias >= 0 && s->life[i].first <= s->life[i].last) shared[i] = shared[s->life[i].root] = 1;
  }
  for (int i = 0; i < s->p->slot_count; i++) {
    life l = s->life[i];
    if (!shared[i] || l.first > l.last) continue;
    int at = count++;
    for (; at > 0 && (out[at - 1].root > l.root || (out[at - 1].root == l.root && out[at - 1].first > l.first)); at--) {
      out[at] = out[at - 1];
    }
    out[at] = l;
  }
  return count;
}

static sn_code check_sharing(scan *s) {
  life *lives = SN_ARRAY(s->scratch, s->p->slot_count, life);
  int count = sharing_lives(s, lives);
  for (int i = 1; i < count; i++) {
    const life *a = &lives[i - 1], *b = &lives[i];
    if (a->root != b->root || a->last < b->first) continue;
    const sn_plan_graph *g = &s->p->graph[s->graph];
    int line = b->first < g->step_count ? g->step[b->first].line : g->line;
    sn_code code = fail(s, line, "one of them at a time",
                        "graph '%.64s': slots %d and %d share storage and are both alive at step %d", g->name, a->slot,
                        b->slot, b->first);
    sn_fail_found(s->diags, "slot %d from step %d to %d, slot %d from step %d to %d", a->slot, a->first, a->last,
                  b->slot, b->first, b->last);
    return code;
  }
  return SN_OK;
}

static bool is_kept(const scan *s, int slot) {
  sn_slot_role role = s->p->slot[sn_plan_root(s->p, slot)].role;
  return role == SN_SLOT_STATE || role == SN_SLOT_PARAM;
}

/* A slot in which the step changes what outlives the run; -1: none. */
static int kept_write(const scan *s, const sn_step *one) {
  if (one->kind == SN_STEP_COPY || one->kind == SN_STEP_SWAP) return is_kept(s, one->to) ? one->to : -1;
  if (one->kind != SN_STEP_LAUNCH) return -1;
  for (int i = 0; i < one->arg_count; i++) {
    if ((one->writes >> i & 1) && is_kept(s, one->arg[i].index)) return one->arg[i].index;
  }
  return -1;
}

static sn_code check_order(const scan *s) {
  const sn_plan_graph *g = &s->p->graph[s->graph];
  int last_check = -1;
  for (int i = 0; i < g->step_count; i++) last_check = g->step[i].kind == SN_STEP_CHECK ? i : last_check;
  for (int i = 0; i < last_check; i++) {
    int slot = kept_write(s, &g->step[i]);
    if (slot < 0) continue;
    sn_code code = fail(s, g->step[i].line, "what outlives the run is written after the last check",
                        "graph '%.64s': step %d writes '%.64s' before the check at step %d", g->name, i,
                        s->p->slot[slot].name, last_check);
    sn_fail_found(s->diags, "%s", slot_text(s, slot));
    return code;
  }
  return SN_OK;
}

/* ---- read before written ------------------------------------------------------------------------------------ */

/* What holds a value before the first step. A slot without elements needs none. */
static void find_made(const scan *s, bool *made) {
  for (int i = 0; i < s->p->slot_count; i++) {
    const sn_slot *t = &s->p->slot[i];
    made[i] = t->role == SN_SLOT_INPUT || t->role == SN_SLOT_PARAM || t->role == SN_SLOT_STATE ||
              sn_dimx_max_value(t->elements) == 0;
  }
}

static sn_code read_unmade(const scan *s, const sn_step *step, int i, int slot) {
  bool packed = s->p->slot[slot].role == SN_SLOT_PACKED;
  const char *where = s->graph < 0 ? "prepare" : s->p->graph[s->graph].name;
  sn_code code = fail(s, step->line, packed ? "a prepare step that writes it" : "a step before it that writes it",
                      "'%.64s': step %d reads what no step has written", where, i);
  sn_fail_found(s->diags, "%s", slot_text(s, slot));
  return code;
}

/* Steps in their order: both blocks of a choice, one round of a loop, whose flag its own steps set. */
static sn_code check_made(const scan *s, int count, const sn_step *steps, bool *made) {
  for (int i = 0; i < count; i++) {
    const sn_step *x = &steps[i];
    for (int k = 0; k < x->arg_count; k++)
      if (x->arg[k].is_slot && !(x->writes >> k & 1) && !made[x->arg[k].index])
        return read_unmade(s, x, i, x->arg[k].index);
    for (int k = 0; k < x->arg_count; k++)
      if (x->writes >> k & 1) made[x->arg[k].index] = true;
    bool reads = x->kind == SN_STEP_COPY || x->kind == SN_STEP_CHECK || x->kind == SN_STEP_CHOOSE;
    if (reads && !made[x->from]) return read_unmade(s, x, i, x->from);
    if (x->kind == SN_STEP_COPY) made[x->to] = true;
    for (int k = 0; x->kind == SN_STEP_HOST && k < s->p->slot_count; k++) made[k] = true;
  }
  return SN_OK;
}

/* An output has a step that writes it, or stands for a slot that has. */
static sn_code check_outputs(const scan *s, const bool *made) {
  for (int i = 0; i < s->p->slot_count; i++) {
    const sn_slot *t = &s->p->slot[i];
    if (t->role != SN_SLOT_OUTPUT || t->graph != s->graph || made[i] || made[sn_plan_root(s->p, i)]) continue;
    sn_code code = fail(s, t->line, "a step that writes it", "an output that no step writes");
    sn_fail_found(s->diags, "%s", slot_text(s, i));
    return code;
  }
  return SN_OK;
}

static int hazards_protected(void *arg) {
  scan *s = arg;
  bool *packed = SN_ARRAY(s->scratch, s->p->slot_count, bool), *made = SN_ARRAY(s->scratch, s->p->slot_count, bool);
  s->life = SN_ARRAY(s->scratch, s->p->slot_count, life);
  s->graph = -1;
  find_made(s, packed);
  SN_TRY(check_made(s, s->p->prepare_count, s->p->prepare, packed));
  for (s->graph = 0; s->graph < s->p->graph_count; s->graph++) {
    const sn_plan_graph *g = &s->p->graph[s->graph];
    find_lives(s);
    SN_TRY(check_sharing(s));
    SN_TRY(check_order(s));
    find_made(s, made);
    for (int i = 0; i < s->p->slot_count; i++) made[i] |= packed[i];
    SN_TRY(check_made(s, g->step_count, g->step, made));
    SN_TRY(check_outputs(s, made));
  }
  return SN_OK;
}

sn_code sn_plan_check_hazards(const sn_plan *p, sn_diags *diags) {
  SN_TRY(sn_plan_verify(p, diags));
  scan s = {.p = p, .diags = diags, .scratch = sn_arena_scratch()};
  if (!s.scratch) return SN_ERR_LIMIT;
  sn_code code = (sn_code)sn_protect(hazards_protected, &s);
  sn_arena_destroy(s.scratch);
  return code;
}
