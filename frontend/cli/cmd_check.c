/* sinter run --check: the interpreter beside the compiled graph, step by step. */
#include "frontend/cli/faults.h"
#include "backends/faults/steps.h"
#include "runtime/io/json.h"

/* Options of `run` that a comparison has no use for. */
static sn_code check_options(cli *c) {
  static const struct {
    cli_option option;
    const char *why;
  } apart[] = {
      {CLI_INIT, "values of parameters are drawn from --seed, or given by --in"},
      {CLI_GRAD, "the graph is compared as it is written"},
      {CLI_WRT, "the graph is compared as it is written"},
      {CLI_OUT, "results are compared, not written"},
      {CLI_MEM_LIMIT, "the interpreter keeps every value"},
      {CLI_TRACE, "the interpreter runs between the kernels, whose times would say nothing"},
      {CLI_PRECISION, "the interpreter has the types that the graph declares"},
      {CLI_QUANTIZE,
       "the interpreter has the types that the graph declares: dump --pass quantize writes a graph that can be "
       "checked"},
      {CLI_PLAN, "steps are compared as the compiler planned them"},
  };
  for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
    if (cli_has(c, apart[i].option))
      return cli_usage_error(c, "--%s and --check: %s", cli_option_name(apart[i].option), apart[i].why);
  return cli_needs_kernels(c, "compare");
}

static sn_code step_failed(cli *c, const sn_step_fault *f) {
  static const char *const kinds[] = {"", "differs from the interpreter", "was written over", "was not copied"};
  sn_fail(c->diags, SN_ERR_NUMERIC, f->loc, "`%s` %s: %s", f->op ? f->op : f->schedule, kinds[f->kind], f->what);
  if (f->step >= 0)
    sn_fail_note(c->diags, "step %d, kernel %s (%s), which fuses: %s", f->step, f->kernel ? f->kernel : "-",
                 f->schedule, f->ops ? f->ops : "-");
  return SN_ERR_NUMERIC;
}

static sn_code print_text(cli *c, const sn_case *k, const sn_step_fault *f, const sn_checked *r, bool estimated) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(
      &t,
      "graph %s agrees with the interpreter: %d results of kernels, %lld elements; outputs and states, %lld elements",
      k->graph, f->checked, (long long)f->elements, (long long)r->total);
  if (estimated) sn_text_add(&t, ", within estimated bounds");
  if (f->skipped) sn_text_add(&t, "; %d results not compared", f->skipped);
  if (f->excluded || r->excluded)
    sn_text_add(&t, "; excluded %lld and %lld, whose error has no bound", (long long)f->excluded,
                (long long)r->excluded);
  sn_text_char(&t, '\n');
  return cli_print(c, &t);
}

static sn_code print_json(cli *c, const sn_case *k, const sn_step_fault *f, const sn_checked *r, bool estimated) {
  sn_text t = sn_text_begin(c->arena);
  sn_text_add(&t, "{\"graph\": ");
  sn_json_quote(&t, k->graph);
  sn_text_add(&t, ", \"results\": %d, \"skipped\": %d, \"elements\": %lld, \"excluded\": %lld", f->checked, f->skipped,
              (long long)f->elements, (long long)f->excluded);
  sn_text_add(&t, ", \"output_elements\": %lld, \"output_excluded\": %lld, \"estimated\": %s}\n", (long long)r->total,
              (long long)r->excluded, estimated ? "true" : "false");
  return cli_print(c, &t);
}

sn_code cli_check(cli *c) {
  sn_case k;
  sn_variant v;
  sn_step_fault f;
  sn_oracle o;
  sn_checked r;
  SN_TRY(check_options(c));
  SN_TRY(cli_variant(c, &v));
  SN_TRY(cli_case(c, &k));
  SN_TRY(sn_case_steps(&k, &v, c->arena, c->diags, &f));
  if (f.kind != SN_STEP_RIGHT) return step_failed(c, &f);
  SN_TRY(sn_case_oracle(&k, c->arena, c->diags, &o));
  SN_TRY(sn_case_check(&k, &v, &o, c->arena, c->diags, &r));
  bool estimated = !r.mismatched && r.excluded * 10 > r.total;
  if (estimated) {
    SN_TRY(sn_case_estimate(&k, c->arena, c->diags, &o));
    SN_TRY(sn_case_check(&k, &v, &o, c->arena, c->diags, &r));
  }
  if (r.mismatched) {
    sn_fail(c->diags, SN_ERR_NUMERIC, (sn_loc){.file = k.file}, "%s", r.first);
    sn_fail_note(c->diags, "each step computes what the graph after the passes says: `sinter bisect` names the pass");
    return SN_ERR_NUMERIC;
  }
  return cli_has(c, CLI_JSON) ? print_json(c, &k, &f, &r, estimated) : print_text(c, &k, &f, &r, estimated);
}
