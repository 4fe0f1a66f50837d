/* Schedules of equal bits: tiles that a writer may use instead of its own. Which one is asked of sn_pass_env.choose.
 *
 *   1. The node is written once as its writer would, and set aside.
 *   2. Every other tile of the kind that the extents allow makes a candidate: none changes the order of a sum.
 *   3. The one that is chosen is written into the plan.
 *
 * Nodes of several kernels, and targets other than processors, have no candidates. */
#include "passes/lower/internal.h"

#include <string.h>

#include "passes/plan/assemble.h"

typedef struct factor {
  int rows, cols; /* eighths of the writer's own extents */
} factor;

/* Tiles of products; rows of a tile of reductions; elements of a tile of elementwise work. */
static const factor of_contract[] = {{4, 8}, {16, 8}, {8, 4}, {8, 16}, {16, 4}, {4, 16}, {24, 8}};
static const factor of_rows[] = {{2, 8}, {4, 8}, {16, 8}, {32, 8}};
static const factor of_map[] = {{8, 2}, {8, 4}, {8, 16}, {8, 32}};

static int factors_of(const char *kind, const factor **out) {
  if (!strcmp(kind, "contract")) return *out = of_contract, (int)(sizeof of_contract / sizeof *of_contract);
  if (!strcmp(kind, "rows")) return *out = of_rows, (int)(sizeof of_rows / sizeof *of_rows);
  if (!strcmp(kind, "map")) return *out = of_map, (int)(sizeof of_map / sizeof *of_map);
  return 0;
}

/* Temporaries of a trial. Packed weights stay, with the step that fills them: a node that reads them is next. */
static void forget_slots(sn_plan_build *p, const sn_plan_build *before) {
  int keep = before->slot_count;
  for (int i = keep; i < p->slot_count; i++)
    if (p->slot[i].role == SN_SLOT_PACKED) keep = i + 1;
  p->slot_count = keep, p->temps = before->temps;
}

/* Writes the node with these tiles, but into no plan. -> false: it is not one kernel, or failed */
static bool try(sn_lower_ctx *c, sn_schedule want, sn_trial *out) {
  const sn_plan_build before = *c->plan;
  *out = (sn_trial){0};
  c->want = want, c->trial = out;
  sn_code code = sn_lower_group(c);
  c->want = (sn_schedule){0}, c->trial = NULL;
  bool alone = !code && !c->failed && out->kernels == 1;
  forget_slots(c->plan, &before);
  return alone;
}

static bool is_new(const sn_trial *list, int count, sn_schedule s) {
  for (int i = 0; i < count; i++)
    if (list[i].tile.rows == s.rows && list[i].tile.cols == s.cols) return false;
  return true;
}

static int scaled(int n, int eighths) {
  int64_t x = (int64_t)n * eighths / 8;
  return x < 1 ? 1 : x > 1 << 20 ? 1 << 20 : (int)x;
}

int sn_schedule_candidates(sn_lower_ctx *c, sn_trial out[SN_SCHEDULES]) {
  const factor *f;
  int count = 0, factors = factors_of(sn_node_attr(c->fused, "kind")->s, &f);
  if (!factors || c->inside || strcmp(c->target->name, "cpu") || !try(c, (sn_schedule){0}, &out[0])) return 0;
  count = 1;
  for (int i = 0; i < factors && count < SN_SCHEDULES; i++) {
    sn_schedule want = {scaled(out[0].tile.rows, f[i].rows), scaled(out[0].tile.cols, f[i].cols)};
    if (!out[0].tile.rows && !out[0].tile.cols) break;
    if (try(c, want, &out[count]) && is_new(out, count, out[count].tile)) out[count++].want = want;
  }
  return count;
}

sn_code sn_lower_scheduled(sn_lower_ctx *c) {
  const sn_pass_env *env = c->plan->env;
  sn_trial list[SN_SCHEDULES];
  int count = env && env->choose ? sn_schedule_candidates(c, list) : 0;
  if (c->failed) return c->failed;
  if (count > 1) {
    const sn_kernel *kernel[SN_SCHEDULES];
    for (int i = 0; i < count; i++) kernel[i] = list[i].kernel;
    int chosen = env->choose(env->choose_user, count, kernel);
    c->want = list[chosen > 0 && chosen < count ? chosen : 0].want;
  }
  sn_code code = sn_lower_group(c);
  c->want = (sn_schedule){0};
  if (!code && count > 1) env->chose(env->choose_user, c->plan->step[c->plan->step_count - 1].code);
  return code;
}
