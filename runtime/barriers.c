/* Which steps of a bound graph workers may begin before the steps in front of them are done: those that touch no bytes
 * which another one since the last barrier writes, and write none that it reads. Once per binding: slots with storage
 * of their own have a place of their own whatever their addresses will be, and temporaries share the pool.
 *
 * Steps of the first thread that follow each other are one command: it does them in order anyway. Stretches begin with
 * a barrier, and so do steps that are calls, and what follows them. */
#include "runtime/hazard.h"
#include "runtime/inside.h"

enum { STRETCH = 1024 }; /* steps without a barrier at most: the executor tells tasks apart by a number that wraps */

static bool is_work(const sn_step *s) { return s->kind == SN_STEP_LAUNCH || s->kind == SN_STEP_COPY; }

static sn_code touch(sn_commands *c, const sn_bound *b, const int *root, int slot, bool write) {
  int own = root[slot];
  if (b->offset[own] >= 0) return sn_commands_access(c, (uint64_t)b->offset[own], b->bytes[slot], write);
  return sn_commands_access(c, UINT64_MAX / 2 + (uint64_t)own, 1, write);
}

static sn_code add_step(sn_commands *c, const sn_bound *b, const int *root, const sn_step *s) {
  if (s->kind == SN_STEP_COPY) {
    SN_TRY(touch(c, b, root, s->from, false));
    return touch(c, b, root, s->to, true);
  }
  for (int k = 0; k < s->arg_count; k++)
    if (s->arg[k].is_slot) SN_TRY(touch(c, b, root, s->arg[k].index, s->writes >> k & 1));
  return SN_OK;
}

/* Commands of the steps from..to-1, which follow each other in every run. */
static sn_code list_steps(sn_commands *c, const sn_bound *b, const int *root, const sn_step *steps, int from, int to) {
  for (int i = from; i < to; i++) {
    bool joins = i > from && b->step[i].serial && b->step[i - 1].serial;
    if (!joins) SN_TRY(sn_commands_add(c, i));
    SN_TRY(add_step(c, b, root, &steps[i]));
  }
  return SN_OK;
}

static sn_code place(sn_bound *b, const int *root, const sn_step *steps, int from, int to) {
  sn_commands c = {0};
  sn_code code = list_steps(&c, b, root, steps, from, to);
  if (!code) code = sn_barriers_place(&c);
  for (int i = from; i < to; i++) b->step[i].goes_on = i > from;
  for (int i = 0; i < c.count && !code; i++) b->step[c.at[i].step].goes_on = i && !c.at[i].barrier;
  sn_commands_free(&c);
  return code;
}

sn_code sn_bind_barriers(sn_bound *b, const int *root, const sn_step *steps, int count) {
  for (int from = 0, to; from < count; from = to) {
    for (to = from; to < count && to - from < STRETCH && is_work(&steps[to]);) to++;
    SN_TRY(place(b, root, steps, from, to));
    if (to < count && !is_work(&steps[to])) to++;
  }
  return SN_OK;
}
