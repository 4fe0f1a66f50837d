/* plan, text -> plan: the one that the user wrote in place of the one that was made. Kernels know nothing of the
 * storage that they are given, so each launch must be one that was planned, on slots that hold at least as much. */
#include <string.h>

#include "backends/edited.h"

typedef struct linker {
  sn_compiled *c;
  const sn_plan *from; /* that was made */
  sn_plan *to;         /* of the user, in the same table of dims */
  int *code;           /* by code of the text: that of `from` */
  sn_diags *diags;
} linker;

static sn_code fail(const linker *l, int line, const char *rule, const char *expected, const char *found) {
  (void)sn_fail(l->diags, SN_ERR_INPUT, (sn_loc){.file = l->to->file, .line = line}, "plan: %s", rule);
  sn_fail_expected(l->diags, "%s", expected);
  sn_fail_found(l->diags, "%s", found);
  return SN_ERR_INPUT;
}

/* ---- what it is for ---------------------------------------------------------------------------------------------- */

static sn_code check_header(const linker *l, const char *target, const char *settings) {
  if (strcmp(l->to->target, target)) return fail(l, 1, "made for another target", target, l->to->target);
  if (strcmp(l->to->settings, settings)) return fail(l, 1, "made with other settings", settings, l->to->settings);
  for (int i = 0; i < l->to->graph_count; i++)
    if (sn_plan_find_graph(l->from, l->to->graph[i].name) < 0)
      return fail(l, l->to->graph[i].line, "a graph that the model does not have",
                  l->from->graph_count ? l->from->graph[0].name : "none", l->to->graph[i].name);
  return SN_OK;
}

static const char *code_names(const linker *l) {
  sn_text t = sn_text_begin(l->c->arena);
  for (int i = 0; i < l->from->code_count && i < 12; i++) sn_text_add(&t, "%s%s", i ? ", " : "", l->from->code[i].name);
  if (l->from->code_count > 12) sn_text_add(&t, " and %d more", l->from->code_count - 12);
  return t.at;
}

/* Code is found by the name of its kernel. */
static sn_code link_code(linker *l) {
  l->code = SN_ARRAY(l->c->arena, l->to->code_count + 1, int);
  for (int i = 0; i < l->to->code_count; i++) {
    int at = l->from->code_count - 1;
    while (at >= 0 && strcmp(l->from->code[at].name, l->to->code[i].name)) at--;
    if (at < 0) return fail(l, l->to->code[i].line, "no kernel of this name", code_names(l), l->to->code[i].name);
    l->code[i] = at;
  }
  return SN_OK;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

static bool is_named(const sn_slot *s) { return s->role != SN_SLOT_TEMP && s->role != SN_SLOT_PACKED; }

static const char *slot_text(const linker *l, const sn_slot *s) {
  static const char *const roles[] = {"input", "output", "param", "state", "temp", "packed"};
  return sn_arena_printf(l->c->arena, "%s \"%.64s\" %s", roles[s->role], s->name, sn_type_text(l->c->arena, s->type));
}

/* The slot of the other plan that is called so in the same graph; NULL: none. */
static const sn_slot *same_slot(const sn_plan *in, const sn_plan *p, const sn_slot *s) {
  int graph = s->graph < 0 ? -1 : sn_plan_find_graph(in, p->graph[s->graph].name);
  for (int i = 0; i < in->slot_count; i++) {
    const sn_slot *x = &in->slot[i];
    if (is_named(x) && x->graph == graph && !strcmp(x->name, s->name)) return x;
  }
  return NULL;
}

/* Bytes of `a` less those of `b` are never negative. */
static bool holds(const linker *l, const sn_slot *a, const sn_slot *b) {
  sn_types *t = l->to->types;
  const sn_dimx *x = sn_dimx_mul(t, a->elements, sn_dimx_const(t, (int64_t)sn_elem_bytes(a->type->elem)));
  const sn_dimx *y = sn_dimx_mul(t, b->elements, sn_dimx_const(t, (int64_t)sn_elem_bytes(b->type->elem)));
  return x == y || sn_dimx_min_value(sn_dimx_sub(t, x, y)) >= 0;
}

static int root_of(const sn_plan *p, int i) {
  while (p->slot[i].alias >= 0) i = p->slot[i].alias;
  return i;
}

/* What callers and files know stays as it is; what shares storage fits into it whatever the dims. */
static sn_code check_slots(const linker *l) {
  for (int i = 0; i < l->to->slot_count; i++) {
    const sn_slot *s = &l->to->slot[i], *root = &l->to->slot[root_of(l->to, i)];
    if (!holds(l, root, s))
      return fail(l, s->line, "a slot shares storage that may be too small for it", slot_text(l, s),
                  slot_text(l, root));
    if (!is_named(s)) continue;
    const sn_slot *x = same_slot(l->from, l->to, s);
    if (!x) return fail(l, s->line, "a slot that the model does not have", "a name of the model", slot_text(l, s));
    if (x->role != s->role || x->type != s->type || x->elements != s->elements)
      return fail(l, s->line, "a slot is not what the model makes it", slot_text(l, x), slot_text(l, s));
  }
  return SN_OK;
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

static bool same_grid(const sn_step *a, const sn_step *b) {
  return a->grid[0] == b->grid[0] && a->grid[1] == b->grid[1] && a->grid[2] == b->grid[2];
}

/* May the slot stand where the planned launch has `planned`? Numbers that the caller gives are checked before a run:
 * they stay what they are. */
static bool may_stand(const linker *l, const sn_slot *s, const sn_slot *planned) {
  if (s->type->elem != planned->type->elem || !holds(l, s, planned)) return false;
  bool rows = planned->role == SN_SLOT_INPUT && sn_elem_is_int(planned->type->elem);
  return !rows || same_slot(l->from, l->to, s) == planned;
}

/* Arguments share storage at most where they did. */
static bool shares_as(const linker *l, const sn_step *s, const sn_step *planned) {
  for (int i = 0; i < s->arg_count; i++)
    for (int k = 0; k < i; k++) {
      if (!s->arg[i].is_slot || !s->arg[k].is_slot) continue;
      if (root_of(l->to, s->arg[i].index) == root_of(l->to, s->arg[k].index) &&
          root_of(l->from, planned->arg[i].index) != root_of(l->from, planned->arg[k].index))
        return false;
    }
  return true;
}

static bool is_like(const linker *l, const sn_step *s, const sn_step *planned) {
  if (planned->kind != SN_STEP_LAUNCH || planned->code != s->code || planned->arg_count != s->arg_count ||
      planned->writes != s->writes || !same_grid(s, planned))
    return false;
  for (int i = 0; i < s->arg_count; i++) {
    const sn_plan_arg *a = &s->arg[i], *b = &planned->arg[i];
    if (a->is_slot != b->is_slot) return false;
    if (!a->is_slot && a->index != b->index) return false;
    if (a->is_slot && !may_stand(l, &l->to->slot[a->index], &l->from->slot[b->index])) return false;
  }
  return shares_as(l, s, planned);
}

typedef struct steps {
  int count;
  const sn_step *at;
} steps;

/* Steps of graph i of a plan; -1: those that prepare. */
static steps steps_of(const sn_plan *p, int i) {
  if (i < 0) return (steps){p->prepare_count, p->prepare};
  return (steps){p->graph[i].step_count, p->graph[i].step};
}

/* The first planned launch of the same kernel; NULL: there is none. */
static const sn_step *planned_of(const linker *l, int code) {
  for (int g = -1; g < l->from->graph_count; g++) {
    steps planned = steps_of(l->from, g);
    for (int i = 0; i < planned.count; i++)
      if (planned.at[i].kind == SN_STEP_LAUNCH && planned.at[i].code == code) return &planned.at[i];
  }
  return NULL;
}

static const char *step_text(const linker *l, const sn_step *s) {
  sn_text t = sn_text_begin(l->c->arena);
  if (s) sn_plan_step_print(&t, s);
  return t.at;
}

/* Both launches, and the first slot that cannot stand where it does. */
static sn_code unplanned(const linker *l, const sn_step *s) {
  const sn_step *planned = planned_of(l, s->code);
  (void)fail(l, s->line, "a launch that was not planned: its sizes, grid or the slots that it needs",
             sn_arena_printf(l->c->arena, "as in the plan of the model: %s", step_text(l, planned)), step_text(l, s));
  for (int i = 0; planned && i < s->arg_count && i < planned->arg_count; i++) {
    if (!s->arg[i].is_slot || !planned->arg[i].is_slot) continue;
    const sn_slot *x = &l->to->slot[s->arg[i].index], *y = &l->from->slot[planned->arg[i].index];
    if (may_stand(l, x, y)) continue;
    sn_fail_expected(l->diags, "argument %d: at least %s", i, slot_text(l, y));
    sn_fail_found(l->diags, "argument %d: %s", i, slot_text(l, x));
    break;
  }
  return SN_ERR_INPUT;
}

static sn_code check_launch(const linker *l, const sn_step *s) {
  for (int g = -1; g < l->from->graph_count; g++) {
    steps planned = steps_of(l->from, g);
    for (int i = 0; i < planned.count; i++)
      if (is_like(l, s, &planned.at[i])) return SN_OK;
  }
  return unplanned(l, s);
}

static sn_code link_steps(const linker *l, int count, sn_step *step) {
  for (int i = 0; i < count; i++) {
    if (step[i].kind == SN_STEP_HOST)
      return fail(l, step[i].line, "a step for target ref", "launch, copy, check, swap, choose or while", "host");
    if (step[i].kind != SN_STEP_LAUNCH) continue;
    step[i].code = l->code[step[i].code];
    SN_TRY(check_launch(l, &step[i]));
  }
  return SN_OK;
}

/* Limits are found again from the graphs: they are no matter of the plan's author. */
static sn_code link_all(linker *l) {
  SN_TRY(link_code(l));
  SN_TRY(check_slots(l));
  SN_TRY(link_steps(l, l->to->prepare_count, l->to->prepare));
  for (int i = 0; i < l->to->graph_count; i++) {
    SN_TRY(link_steps(l, l->to->graph[i].step_count, l->to->graph[i].step));
    l->to->graph[i].limit_count = 0;
  }
  l->to->code = l->from->code;
  l->to->code_count = l->from->code_count;
  return SN_OK;
}

sn_code sn_edited_plan(sn_compiled *c, const sn_stage_text *t, const char *target, const char *settings,
                       sn_diags *diags) {
  linker l = {.c = c, .from = c->plan, .diags = diags};
  if (!c->backend)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){.file = t->file}, "target %s has no steps to replace", c->target.name);
  SN_TRY(sn_plan_parse_into(c->plan->types, diags, t->file, t->text, t->bytes, &l.to));
  SN_TRY(check_header(&l, target, settings));
  SN_TRY(sn_plan_check_hazards(l.to, diags));
  SN_TRY(link_all(&l));
  c->plan = l.to;
  c->mark_count = 0;
  return SN_OK;
}
