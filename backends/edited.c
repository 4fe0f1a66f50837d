/* kernels, text -> kernels: those that the user wrote in place of those that were lowered. What a launch relies on
 * stays as it was: parameters are compared, the grid of a launch follows that of its kernel. */
#include "backends/edited.h"

#include <string.h>

#include "passes/kernel/kernel_passes.h"

/* ---- which one ----------------------------------------------------------------------------- */

static int find_kernel(const sn_compiled *c, const char *name) {
  for (int i = 0; i < c->kernel_count; i++)
    if (!strcmp(c->kernel[i]->name, name)) return i;
  return -1;
}

static sn_code unknown_kernel(const sn_compiled *c, const sn_kernel *k, sn_diags *diags) {
  enum { MOST = 12 };
  sn_text names = sn_text_begin(c->arena);
  for (int i = 0; i < c->kernel_count && i < MOST; i++) sn_text_add(&names, "%s%s", i ? ", " : "", c->kernel[i]->name);
  if (c->kernel_count > MOST) sn_text_add(&names, " and %d more", c->kernel_count - MOST);
  (void)sn_fail(diags, SN_ERR_INPUT, k->loc, "no kernel of this name was lowered");
  sn_fail_expected(diags, "%s", names.at);
  sn_fail_found(diags, "%s", k->name);
  return SN_ERR_INPUT;
}

static sn_code check_params(const sn_compiled *c, const sn_kernel *lowered, const sn_kernel *k, sn_diags *diags) {
  const char *expected = sn_kernel_params_text(lowered, c->arena), *found = sn_kernel_params_text(k, c->arena);
  if (!strcmp(expected, found)) return SN_OK;
  (void)sn_fail(diags, SN_ERR_INPUT, k->loc, "kernel %s has other parameters than the one it replaces", k->name);
  sn_fail_expected(diags, "%s", expected);
  sn_fail_found(diags, "%s", found);
  return SN_ERR_INPUT;
}

/* ---- its grid ----------------------------------------------------------------------------- */

/* An extent of the kernel's grid as a dim of the plan, where sizes are arguments of the step; NULL: it cannot be one.
 */
static const sn_dimx *dim_of(sn_types *t, const sn_kernel *k, sn_kv v, const sn_step *s) { /* table */
  const sn_kins *x = sn_k_ins(k, v);
  if (x->op == SN_K_ICONST) return sn_dimx_const(t, x->i);
  if (x->op == SN_K_PARAM) return sn_types_symbol(t, s->arg[x->i].index);
  if (x->count != 2) return NULL;
  const sn_dimx *a = dim_of(t, k, x->a[0], s), *b = dim_of(t, k, x->a[1], s);
  if (!a || !b) return NULL;
  switch (x->op) {
    case SN_K_IADD: return sn_dimx_add(t, a, b);
    case SN_K_ISUB: return sn_dimx_sub(t, a, b);
    case SN_K_IMUL: return sn_dimx_mul(t, a, b);
    case SN_K_IDIV: return sn_dimx_floordiv(t, a, b);
    case SN_K_IMOD: return sn_dimx_mod(t, a, b);
    case SN_K_IMIN: return sn_dimx_min(t, a, b);
    case SN_K_IMAX: return sn_dimx_max(t, a, b);
    default: return NULL;
  }
}

static sn_code set_grid(const sn_compiled *c, const sn_kernel *k, sn_step *s, sn_diags *diags) {
  for (int i = 0; i < 3; i++) {
    s->grid[i] = i < k->grid_count ? dim_of(c->plan->types, k, k->grid[i], s) : NULL;
    if (s->grid[i] || i >= k->grid_count) continue;
    (void)sn_fail(diags, SN_ERR_INPUT, k->loc, "kernel %s: an extent of the grid that a launch cannot count", k->name);
    sn_fail_expected(diags, "sums, products, quotients, remainders, imin and imax of sizes");
    sn_fail_found(diags, "%s", sn_k_text(k, k->grid[i], c->arena));
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

static bool same_grid(const sn_compiled *c, const sn_kernel *a, const sn_kernel *b) {
  if (a->grid_count != b->grid_count) return false;
  for (int i = 0; i < a->grid_count; i++)
    if (strcmp(sn_k_text(a, a->grid[i], c->arena), sn_k_text(b, b->grid[i], c->arena))) return false;
  return true;
}

static sn_code set_grids(sn_compiled *c, int code, int count, sn_step *steps, sn_diags *diags) {
  for (int i = 0; i < count; i++)
    if (steps[i].kind == SN_STEP_LAUNCH && steps[i].code == code)
      SN_TRY(set_grid(c, c->kernel[code], &steps[i], diags));
  return SN_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static sn_code replace(sn_compiled *c, int i, sn_kernel *k, sn_diags *diags) {
  sn_kernel *old = c->kernel[i];
  SN_TRY(check_params(c, old, k, diags));
  if (sn_kernel_equal(old, sn_kernel_finish(c->arena, k), c->arena)) return SN_OK;
  c->kernel[i] = sn_kernel_finish(c->arena, sn_kernel_expand_math(c->arena, k));
  c->edited[i] = true;
  c->edited_count++;
  if (same_grid(c, old, k)) return SN_OK;
  SN_TRY(set_grids(c, i, c->plan->prepare_count, c->plan->prepare, diags));
  for (int g = 0; g < c->plan->graph_count; g++)
    SN_TRY(set_grids(c, i, c->plan->graph[g].step_count, c->plan->graph[g].step, diags));
  return SN_OK;
}

sn_code sn_edited_kernels(sn_compiled *c, const sn_stage_text *t, sn_diags *diags) {
  sn_kernel **list;
  int count;
  if (!c->backend)
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){.file = t->file}, "target %s has no kernels to replace",
                   c->target.name);
  SN_TRY(sn_kernel_parse_all(c->arena, diags, t->file, t->text, t->bytes, &count, &list));
  int *given = SN_ARRAY(c->arena, c->kernel_count + 1, int); /* its line */
  for (int i = 0; i < count; i++) {
    int at = find_kernel(c, list[i]->name);
    if (at < 0) return unknown_kernel(c, list[i], diags);
    if (given[at])
      return sn_fail(diags, SN_ERR_INPUT, list[i]->loc, "kernel %s was given before, at line %d", list[i]->name,
                     given[at]);
    given[at] = list[i]->loc.line;
    SN_TRY(replace(c, at, list[i], diags));
  }
  return SN_OK;
}
