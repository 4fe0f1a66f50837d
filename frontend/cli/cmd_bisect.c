/* sinter bisect: which pass and rule make a graph wrong, and the smallest graph that shows it. */
#include <stdio.h>
#include <string.h>

#include "backends/faults/bisect.h"
#include "runtime/io/json.h"
#include "backends/faults/reduce.h"
#include "backends/faults/save.h"
#include "frontend/cli/faults.h"
#include "ir/base/plant.h"

enum { SHRINK_SECONDS = 45 };

typedef struct shrinking {
  const sn_variant *v;
  int stage;
  sn_outcome o;
} shrinking;

static bool still_wrong(void *user, const sn_case *c) {
  const shrinking *s = user;
  sn_outcome o = sn_bisect_try(c, s->v, s->stage);
  return sn_outcome_same(&s->o, &o);
}

static const char *default_output(cli *c, const char *file) {
  const char *slash = strrchr(file, '/');
  char *stem = sn_arena_strdup(c->arena, slash ? slash + 1 : file), *dot = strrchr(stem, '.');
  if (dot) *dot = 0;
  return sn_arena_printf(c->arena, "%s.small.sn", stem);
}

static sn_code print_json(cli *c, const sn_culprit *x, int ops, const char *file) {
  sn_text t = sn_text_begin(c->arena);
  const char *const pair[][2] = {
      {"pass", x->pass}, {"rule", x->rule}, {"what", x->what}, {"op", x->at.op}, {"file", file}};
  sn_text_char(&t, '{');
  for (int i = 0; i < 5; i++) {
    sn_text_add(&t, "%s\"%s\": ", i ? ", " : "", pair[i][0]);
    sn_json_quote(&t, pair[i][1] ? pair[i][1] : "");
  }
  sn_text_add(&t, ", \"ops\": %d}\n", ops);
  return cli_print(c, &t);
}

static sn_code print_text(cli *c, const sn_culprit *x, int ops, int before, const char *file) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "pass %s", x->pass);
  if (x->rule) sn_text_add(&t, ", rule %s", x->rule);
  sn_text_add(&t, "\n  %s\n", x->what);
  if (x->at.kind != SN_STEP_RIGHT) {
    sn_text_add(&t, "  first in %s `%s`", x->at.schedule, x->at.op ? x->at.op : "");
    if (x->at.kernel) sn_text_add(&t, " of kernel %s (%s)", x->at.kernel, x->at.ops ? x->at.ops : "");
    if (x->at.loc.file) sn_text_add(&t, ", %s:%d", x->at.loc.file, x->at.loc.line);
    sn_text_char(&t, '\n');
  }
  sn_text_add(&t, "%d of %d ops are left: %s\n", ops, before, file);
  return cli_print(c, &t);
}

/* The mistakes that this build can make, a line each: name, class, pass, rule. */
static sn_code list_plants(cli *c) {
  if (!sn_plant_get((sn_plant)0))
    return sn_fail(c->diags, SN_ERR_DEVICE, (sn_loc){0},
                   "this build has no planted mistakes: configure with -DSN_PLANT=ON");
  sn_text t = sn_text_begin(c->arena);
  for (int i = 0; i < SN_PLANT_COUNT; i++) {
    const sn_plant_info *p = sn_plant_get((sn_plant)i);
    sn_text_add(&t, "%s\t%s\t%s\t%s\n", p->name, p->kind, p->pass, p->rule);
  }
  return cli_print(c, &t);
}

sn_code cli_bisect(cli *c) {
  sn_case k;
  sn_variant v;
  sn_culprit x, small;
  if (cli_has(c, CLI_PLANTS)) return list_plants(c);
  SN_TRY(cli_variant(c, &v));
  SN_TRY(cli_case(c, &k));
  SN_TRY(sn_case_bisect(&k, &v, c->arena, c->diags, &x));
  if (x.stage < 0) return cli_printf(c, "every stage agrees with the interpreter\n");
  const char *out = cli_get(c, CLI_OUTPUT, default_output(c, k.file));
  int before = sn_case_ops(&k);
  fprintf(stderr, "pass %s: %s\nshrinking the graph, for at most %d s\n", x.pass, x.what, SHRINK_SECONDS);
  shrinking s = {&v, x.stage, x.o};
  const sn_reduce_opt opt = {still_wrong, &s, SHRINK_SECONDS};
  SN_TRY(sn_case_reduce(&k, &opt, c->arena, c->diags));
  SN_TRY(sn_case_bisect(&k, &v, c->arena, c->diags, &small));
  if (small.stage == x.stage && (small.rule || !x.rule)) x = small; /* the rule is clearer where less is applied */
  const char *note = sn_arena_printf(c->arena, "pass %s, rule %s: %s", x.pass, x.rule ? x.rule : "-", x.what);
  SN_TRY(sn_case_save(&k, &v, out, note, c->arena, c->diags));
  SN_TRY(cli_has(c, CLI_JSON) ? print_json(c, &x, sn_case_ops(&k), out)
                              : print_text(c, &x, sn_case_ops(&k), before, out));
  return sn_fail(c->diags, SN_ERR_NUMERIC, (sn_loc){.file = k.file}, "graph %s is made wrong by pass %s", k.graph,
                 x.pass);
}
