/* See bisect.h.
 *
 *   1. Does the compiled graph differ from the interpreter? If so, stage by stage: the graph after each pass,
 *      interpreted; then lowered, with the later passes switched off, in the kernel interpreter; then those one by one;
 *      then the code itself. The first stage that differs is guilty.
 *   2. If not, the mistake may be in what the interpreter runs as well: values against the source without passes,
 *      gradients against differences.
 *   3. The rule: those that the guilty pass applied are switched off one at a time; the first without which the stage
 *      is right. Where nothing can be switched off, the only rule applied, or the schedule of the first wrong step. */
#include "backends/faults/bisect.h"

#include <stdio.h>
#include <string.h>

#include "passes/passes.h"

enum { STAGE_SECONDS = 60 };

static const char *const late[SN_STAGE_COUNT] = {"lower", "simplify", "math", "order", "memory", "code", "threads"};
/* Of the late stages, what is off until its turn. */
static const char *const switched[SN_STAGE_COUNT] = {NULL, "simplify", "math", "order", "memory", NULL, NULL};

static int pipeline_count(void) {
  int n = 0;
  while (sn_pipeline[n].name) n++;
  return n;
}

static int pass_index(const char *name) {
  int n = 0;
  while (sn_pipeline[n].name && strcmp(sn_pipeline[n].name, name)) n++;
  return n;
}

static const char *joined(sn_arena *arena, const char *a, const char *b) {
  if (!a || !*a) return b;
  return b && *b ? sn_arena_printf(arena, "%s,%s", a, b) : a;
}

/* ---- stages ------------------------------------------------------------------------------------------------------ */

typedef struct stage_job {
  const sn_case *c;
  const sn_variant *v;
  int stage;
  sn_outcome *out;
} stage_job;

static void say(sn_outcome *o, sn_outcome_kind kind, const char *text) {
  o->kind = kind;
  snprintf(o->text, sizeof o->text, "%s", text);
}

static void add(sn_checked *r, sn_arena *arena, const char *what, const char *name, const sn_tensor *oracle,
                const sn_tensor *t) {
  void *data = sn_arena_array(arena, (size_t)t->count + 1, sn_elem_bytes(t->elem));
  sn_tensor_store(t, data);
  if (t->count == oracle->count && t->elem == oracle->elem) sn_checked_add(r, arena, what, name, oracle, data);
}

/* Outputs and next states of two functions of one graph. */
static void compare_functions(sn_checked *r, sn_arena *arena, const sn_oracle *o, const sn_func *f,
                              sn_tensor *const *values) {
  for (int i = 0; i < o->f->output_count; i++)
    for (int k = 0; k < f->output_count; k++)
      if (!strcmp(f->output[k].name, o->f->output[i].name))
        add(r, arena, "output", f->output[k].name, o->values[o->f->output[i].value], values[f->output[k].value]);
  for (int i = 0; i < o->f->update_count; i++)
    for (int k = 0; k < f->update_count; k++) {
      const char *name = sn_leaf_name(sn_node_of(f, f->update[k].state));
      if (!strcmp(name, sn_leaf_name(sn_node_of(o->f, o->f->update[i].state))))
        add(r, arena, "state", name, o->values[o->f->update[i].next], values[f->update[k].next]);
    }
}

static sn_code run_passes(const stage_job *j, const char *stop, sn_map *hits, sn_arena *arena, sn_diags *diags,
                          sn_module **m) {
  sn_target target;
  const sn_backend *backend;
  const sn_compile_opt opt = {.target = j->v->target, .backend = j->v->backend, .isa = j->v->isa};
  SN_TRY(sn_case_parse(j->c, arena, diags, m));
  SN_TRY(sn_compile_target(&opt, diags, &target, &backend));
  sn_pass_env env = {
      .arena = arena, .diags = diags, .target = &target, .disabled = j->v->disabled, .fuse = j->v->fuse, .hits = hits};
  SN_TRY(sn_compile_vocab(j->v->vocab, diags, &env.vocab));
  SN_TRY(sn_compile_scan(j->v->scan, diags, &env));
  return sn_pipeline_run(*m, &env, stop, NULL, NULL);
}

static sn_code pass_stage(const stage_job *j, sn_arena *arena, sn_diags *diags, const sn_oracle *o, sn_checked *r) {
  sn_module *m;
  sn_tensor **values;
  SN_TRY(run_passes(j, sn_pipeline[j->stage].name, NULL, arena, diags, &m));
  if (j->stage < pass_index("grad")) return SN_OK; /* cannot be interpreted yet */
  const sn_func *f = sn_module_find(m, j->c->graph);
  SN_TRY(sn_case_interpret(j->c, f, false, arena, diags, &values));
  compare_functions(r, arena, o, f, values);
  return SN_OK;
}

/* The variant with everything after a late stage switched off. */
static sn_variant late_variant(const sn_variant *v, int stage, sn_arena *arena) {
  sn_variant x = *v;
  const char *off = "";
  for (int i = stage + 1; i < SN_STAGE_COUNT; i++) off = joined(arena, off, switched[i]);
  x.disabled = joined(arena, v->disabled, off);
  x.interpret = stage < SN_STAGE_CODE;
  if (stage < SN_STAGE_THREADS) x.threads = 1;
  return x;
}

static int run_stage(void *arg) {
  stage_job *j = arg;
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_scratch();
  sn_oracle o;
  sn_checked r = {0};
  int late_stage = j->stage - pipeline_count();
  sn_code code = sn_case_oracle(j->c, arena, diags, &o);
  if (!code && late_stage < 0) code = pass_stage(j, arena, diags, &o, &r);
  if (!code && late_stage >= 0) {
    sn_variant v = late_variant(j->v, late_stage, arena);
    code = sn_case_check(j->c, &v, &o, arena, diags, &r);
  }
  j->out->code = code;
  if (code)
    say(j->out, SN_OUTCOME_ERROR, sn_diags_print(diags, arena));
  else if (r.mismatched)
    say(j->out, SN_OUTCOME_WRONG, r.first);
  else
    j->out->kind = SN_OUTCOME_RIGHT;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

/* Values that need no gradient, without any pass; gradients by differences. */
static int run_source(void *arg) {
  stage_job *j = arg;
  sn_arena *arena = sn_arena_scratch();
  sn_diags *diags = sn_diags_scratch();
  const char *what = NULL;
  sn_code code = sn_case_gradients(j->c, arena, diags, &what);
  j->out->code = code;
  if (code)
    say(j->out, SN_OUTCOME_ERROR, sn_diags_print(diags, arena));
  else if (what)
    say(j->out, SN_OUTCOME_WRONG, what);
  else
    j->out->kind = SN_OUTCOME_RIGHT;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return SN_OK;
}

static void stage_main(void *user, uint64_t seed, sn_outcome *out) {
  stage_job j = *(stage_job *)user;
  (void)seed;
  j.out = out;
  bool source = j.stage < 0;
  if (!sn_protect(source ? run_source : run_stage, &j) || out->kind != SN_OUTCOME_NONE) return;
  out->code = SN_ERR_LIMIT;
  say(out, SN_OUTCOME_ERROR, "error: out of memory or a limit of dims");
}

/* stage -1: the source against what the interpreter runs. */
static sn_outcome try_stage(const sn_case *c, const sn_variant *v, int stage) {
  stage_job j = {.c = c, .v = v, .stage = stage};
  sn_outcome o = {0};
  if (!sn_isolate(stage_main, &j, 0, STAGE_SECONDS, &o)) say(&o, SN_OUTCOME_ERROR, "error: no process can be started");
  return o;
}

sn_outcome sn_bisect_try(const sn_case *c, const sn_variant *v, int stage) {
  if (stage != pass_index("grad")) return try_stage(c, v, stage);
  sn_outcome o = try_stage(c, v, stage);
  return sn_outcome_failed(&o) ? o : try_stage(c, v, -1);
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

/* "canon2" -> "canon" */
static const char *base_name(const char *pass, sn_arena *arena) {
  char *name = sn_arena_strdup(arena, pass);
  size_t n = strlen(name);
  while (n && name[n - 1] >= '0' && name[n - 1] <= '9') name[--n] = 0;
  return name;
}

/* Rules that were applied up to the stage. In this process: the stage itself did not crash. */
static void collect(const sn_case *c, const sn_variant *v, int stage, sn_map *hits, sn_arena *arena) {
  sn_diags *diags = sn_diags_scratch();
  stage_job j = {.c = c, .v = v, .stage = stage};
  int late_stage = stage - pipeline_count();
  sn_module *m;
  sn_code code;
  if (late_stage < 0) {
    code = run_passes(&j, sn_pipeline[stage].name, hits, arena, diags, &m);
  } else {
    sn_variant x = late_variant(v, late_stage, arena);
    const sn_compile_opt opt = {.target = x.target,
                                .backend = x.backend,
                                .isa = x.isa,
                                .fuse = x.fuse,
                                .vocab = x.vocab,
                                .scan = x.scan,
                                .disabled = x.disabled,
                                .hits = hits,
                                .interpret = true,
                                .cache_dir = "",
                                .threads = 1};
    sn_compiled compiled;
    code = sn_case_parse(c, arena, diags, &m);
    if (!code) code = sn_compile(m, &opt, arena, diags, &compiled);
  }
  (void)code; /* what was applied before an error counts */
  sn_diags_destroy(diags);
}

static bool right_without(const sn_case *c, const sn_variant *v, int stage, const char *rule, sn_arena *arena) {
  sn_variant x = *v;
  x.disabled = joined(arena, v->disabled, rule);
  sn_outcome o = sn_bisect_try(c, &x, stage);
  return o.kind == SN_OUTCOME_RIGHT;
}

static const char *find_rule(const sn_case *c, const sn_variant *v, int stage, const char *pass, sn_arena *arena) {
  sn_map *hits = sn_map_create(arena);
  const char *base = base_name(pass, arena), *only = NULL;
  int count = 0;
  collect(c, v, stage, hits, arena);
  for (int i = 0; i < sn_map_count(hits); i++) {
    const char *rule = NULL;
    (void)sn_map_at(hits, i, &rule);
    if (!rule || !sn_rule_listed(base, rule)) continue;
    only = rule;
    count++;
    if (right_without(c, v, stage, rule, arena)) return rule;
  }
  return count == 1 ? only : NULL;
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

static void locate(const sn_case *c, const sn_variant *v, int late_stage, sn_arena *arena, sn_culprit *out) {
  sn_diags *diags = sn_diags_scratch();
  sn_variant x = late_variant(v, late_stage, arena);
  sn_step_fault at;
  if (out->o.kind == SN_OUTCOME_WRONG && !sn_case_steps(c, &x, arena, diags, &at)) out->at = at;
  sn_diags_destroy(diags);
}

static const char *code_name(const sn_variant *v) {
  if (v->backend) return v->backend->name;
  return !v->target || !strcmp(v->target, "cpu") ? "llvm" : v->target;
}

static void name_stage(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_culprit *out) {
  int late_stage = out->stage - pipeline_count();
  out->pass = late_stage < 0                ? sn_pipeline[out->stage].name
              : late_stage == SN_STAGE_CODE ? code_name(v)
                                            : late[late_stage];
  out->what = sn_arena_strdup(arena, out->o.text);
  if (out->o.kind == SN_OUTCOME_CRASH || out->o.kind == SN_OUTCOME_HANG) return;
  out->rule = find_rule(c, v, out->stage, out->pass, arena);
  if (late_stage != SN_STAGE_LOWER && late_stage != SN_STAGE_CODE) return;
  locate(c, v, late_stage, arena, out);
  if (!out->rule && out->at.kind != SN_STEP_RIGHT)
    out->rule = sn_arena_printf(arena, "%s.%s", out->pass, out->at.schedule);
}

/* A difference that is first seen behind the pass `grad` may come from the passes before it. */
static void blame_earlier(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_culprit *out) {
  if (out->stage != pass_index("grad") || out->o.kind != SN_OUTCOME_WRONG) return;
  if (right_without(c, v, out->stage, "attention", arena)) out->stage = pass_index("attention");
}

sn_code sn_case_bisect(const sn_case *c, const sn_variant *v, sn_arena *arena, sn_diags *diags, sn_culprit *out) {
  int last = pipeline_count() + SN_STAGE_COUNT - 1;
  sn_oracle o;
  SN_TRY(sn_case_oracle(c, arena, diags, &o));
  *out = (sn_culprit){.stage = -1};
  sn_outcome whole = try_stage(c, v, last);
  if (sn_outcome_failed(&whole)) {
    for (out->stage = 0; out->stage < last; out->stage++) {
      out->o = try_stage(c, v, out->stage);
      if (sn_outcome_failed(&out->o)) break;
    }
    if (out->stage == last) out->o = whole;
    blame_earlier(c, v, arena, out);
  } else {
    out->o = try_stage(c, v, -1);
    if (!sn_outcome_failed(&out->o)) return SN_OK;
    out->stage = pass_index("grad");
  }
  name_stage(c, v, arena, out);
  return SN_OK;
}
