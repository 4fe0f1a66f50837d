/* Delta debugging of a case.
 *
 *   1. The graph without call and grad, if that fails as well: there every value is known.
 *   2. Outputs, updates and the guard go; an output moves to an operand of its node.
 *   3. Runs of nodes, from half of the graph down to one, become inputs that hold their values, or constants.
 *   4. Single nodes give way to an operand of their type.
 *   5. Symbols and constant extents get smaller.
 *
 * 2 to 5 are repeated until none of them changes anything. Every accepted step has fewer ops, or as many and a shorter
 * text, or smaller extents: it ends. */
#include "backends/faults/reduce.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/faults/edit.h"

typedef struct reducer {
  const sn_reduce_opt *opt;
  sn_arena *arena; /* of what is accepted */
  sn_case *c;
  double until;
  int named;
} reducer;

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool in_time(const reducer *r) { return !r->until || seconds_now() < r->until; }

static bool smaller(const sn_case *a, const sn_case *b) {
  int x = sn_case_ops(a), y = sn_case_ops(b);
  return x != y ? x < y : strlen(a->text) < strlen(b->text);
}

/* Keeps the candidate when it fails: a copy of it, since the scratch arena goes. */
static bool accept(reducer *r, const sn_case *candidate) {
  if (!in_time(r) || !r->opt->fails(r->opt->user, candidate)) return false;
  sn_case_copy(r->c, candidate, r->arena);
  return true;
}

static bool try_edit(reducer *r, const sn_edit *e) {
  sn_arena *scratch = sn_arena_scratch();
  sn_case next;
  bool taken = scratch && !sn_case_edit(r->c, e, &r->named, scratch, &next) && smaller(&next, r->c) && accept(r, &next);
  sn_arena_destroy(scratch);
  return taken;
}

static bool drop_results(reducer *r) {
  bool any = false;
  sn_edit e = sn_edit_none();
  e.guard = true;
  any |= try_edit(r, &e);
  for (int i = sn_case_count(r->c, SN_CASE_OUTPUTS); i-- > 0;) {
    e = sn_edit_none();
    e.output = i;
    bool taken = try_edit(r, &e);
    for (e.below = true; e.operand < 3 && !taken; e.operand++) taken = try_edit(r, &e);
    any |= taken;
  }
  for (int i = sn_case_count(r->c, SN_CASE_UPDATES); i-- > 0;) {
    e = sn_edit_none();
    e.update = i;
    any |= try_edit(r, &e);
  }
  return any;
}

static bool cut_runs(reducer *r) {
  bool any = false;
  int n = sn_case_count(r->c, SN_CASE_NODES);
  for (int run = n / 2; run > 0 && in_time(r); run /= 2)
    for (int from = 0; from < (n = sn_case_count(r->c, SN_CASE_NODES)) && in_time(r);) {
      bool taken = false;
      for (int how = SN_CUT_INPUT; how <= SN_CUT_CONST && !taken; how++) {
        sn_edit e = sn_edit_none();
        e.from = from, e.to = from + run < n ? from + run : n, e.how = (sn_cut)how;
        taken = try_edit(r, &e);
      }
      any |= taken;
      if (!taken) from += run;
    }
  return any;
}

static bool bypass(reducer *r) {
  bool any = false;
  for (int i = sn_case_count(r->c, SN_CASE_NODES); i-- > 0 && in_time(r);)
    for (int k = 0; k < 3; k++) {
      sn_edit e = sn_edit_none();
      e.from = i, e.to = i + 1, e.how = SN_CUT_OPERAND, e.operand = k;
      if (!try_edit(r, &e)) continue;
      any = true;
      break;
    }
  return any;
}

/* One symbol or constant extent at a time: to 1, to half, one less. */
static bool shrink_extents(reducer *r) {
  bool any = false;
  for (int i = 0; in_time(r);) {
    int64_t n = sn_case_extent(r->c, i);
    if (n < 0) break;
    const int64_t to[3] = {1, n / 2, n - 1};
    bool taken = false;
    for (int k = 0; k < 3 && !taken; k++) {
      if (to[k] < 1 || to[k] >= n || (k && to[k] == to[k - 1])) continue;
      sn_arena *scratch = sn_arena_scratch();
      sn_case next;
      taken = scratch && !sn_case_shrink(r->c, i, to[k], scratch, &next) && accept(r, &next);
      sn_arena_destroy(scratch);
    }
    any |= taken;
    if (!taken) i++;
  }
  return any;
}

static void flatten(reducer *r, sn_diags *diags) {
  sn_arena *scratch = sn_arena_scratch();
  sn_oracle o;
  sn_case next = *r->c;
  if (scratch && !sn_case_oracle(r->c, scratch, diags, &o)) {
    next.text = sn_module_text(o.module, scratch);
    (void)accept(r, &next);
  }
  sn_arena_destroy(scratch);
}

sn_code sn_case_reduce(sn_case *c, const sn_reduce_opt *opt, sn_arena *arena, sn_diags *diags) {
  reducer r = {.opt = opt, .arena = arena, .c = c, .until = opt->seconds > 0 ? seconds_now() + opt->seconds : 0};
  if (!opt->fails(opt->user, c))
    return sn_fail(diags, SN_ERR_USAGE, (sn_loc){.file = c->file}, "the graph does not fail");
  sn_diags *quiet = sn_diags_scratch();
  (void)drop_results(&r);
  flatten(&r, quiet);
  for (bool any = true; any && in_time(&r);) {
    any = drop_results(&r);
    any |= cut_runs(&r);
    any |= bypass(&r);
    any |= shrink_extents(&r);
  }
  sn_diags_destroy(quiet);
  return SN_OK;
}
