/* Control flow of a list of steps: which step comes after one that is done. Blocks follow their control step:
 *
 *   choose flag   the steps for true, then the steps for false
 *   while flag    the steps that set the flag, then the steps of one round */
#include "ir/plan/plan.h"

static bool is_control(const sn_step *s) { return s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE; }

int sn_step_end(const sn_step *steps, int i) {
  return i + 1 + (is_control(&steps[i]) ? steps[i].block[0] + steps[i].block[1] : 0);
}

void sn_plan_parents(const sn_step *steps, int count, int *parent) {
  int inside = -1;
  for (int i = 0; i < count; i++) {
    while (inside >= 0 && i >= sn_step_end(steps, inside)) inside = parent[inside];
    parent[i] = inside;
    if (is_control(&steps[i])) inside = i;
  }
}

/* Does the step end a block of its parent? */
static bool ends_block(const sn_flow *f, int i) {
  int p = f->parent[i], end = sn_step_end(f->step, i);
  return p >= 0 && (end == p + 1 + f->step[p].block[0] || end == sn_step_end(f->step, p));
}

bool sn_flow_branches(const sn_flow *f, int i) { return is_control(&f->step[i]) || ends_block(f, i); }

/* What follows the whole of step i. */
static int finish(sn_flow *f, int i) {
  while (ends_block(f, i)) {
    int p = f->parent[i], second = p + 1 + f->step[p].block[0];
    bool first = sn_step_end(f->step, i) == second;
    if (f->step[p].kind == SN_STEP_WHILE && !first) return p + 1;
    if (f->step[p].kind == SN_STEP_WHILE && f->flag(f->user, f->step[p].from) && f->rounds[p] < f->step[p].limit) {
      f->rounds[p]++;
      return second;
    }
    i = p;
  }
  return sn_step_end(f->step, i);
}

int sn_flow_next(sn_flow *f, int i) {
  const sn_step *s = &f->step[i];
  if (s->kind == SN_STEP_CHOOSE) return f->flag(f->user, s->from) ? i + 1 : i + 1 + s->block[0];
  if (s->kind != SN_STEP_WHILE) return finish(f, i);
  f->rounds[i] = 0;
  return i + 1;
}
