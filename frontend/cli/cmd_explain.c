/* sinter explain: the plan report. One entry per launch in plan order, refused fusions with reasons, buffers. */
#include <stdio.h>
#include <string.h>

#include "backends/choose.h"
#include "frontend/cli/bench.h"
#include "frontend/cli/masks.h"
#include "frontend/cli/predict.h"
#include "runtime/io/file.h"
#include "runtime/io/json.h"

typedef cli_report report;

/* Does the slot have storage of its own in this graph? */
static bool in_graph(const report *r, int slot) {
  const sn_slot *s = &r->plan->slot[slot];
  return s->role == SN_SLOT_TEMP && s->graph == r->graph && s->alias < 0;
}

static int64_t slot_bytes(const report *r, const sn_slot *s) {
  return cli_value_of(s->elements, r->dims) * (int64_t)sn_elem_bytes(s->type->elem);
}

/* Is it a launch of a kernel of the user? */
static bool is_edited(const report *r, const sn_step *s) {
  return s->kind == SN_STEP_LAUNCH && r->edited && r->edited[s->code];
}

/* A kernel that is not the usual one: of those of equal bits, the fastest when they were timed, or the model's choice.
 */
static const char *schedule_text(const report *r, const sn_step *s) {
  const sn_choice *x = s->kind == SN_STEP_LAUNCH && r->choice ? r->choice[s->code] : NULL;
  return !x ? "" : x->tuned ? "   (tuned)" : x->taken ? "   (tile by the cost model)" : "";
}

static void json_step(sn_text *t, const report *r, int index, bool first) {
  const sn_step *s = &r->plan->graph[r->graph].step[index];
  const char *name = s->kind == SN_STEP_LAUNCH ? r->plan->code[s->code].name : s->kind_name;
  sn_text_add(t, "%s\n    {\"step\": %d, \"name\": ", first ? "" : ",", index);
  sn_json_quote(t, name ? name : "");
  sn_text_add(t, ", \"kind\": ");
  sn_json_quote(t, s->kind_name ? s->kind_name : "copy");
  sn_text_add(t, ", \"ops\": ");
  sn_json_quote(t, s->ops ? s->ops : "");
  sn_text_add(t, ", \"where\": ");
  sn_json_quote(t, s->where ? s->where : "");
  if (is_edited(r, s)) sn_text_add(t, ", \"edited\": true");
  if (*schedule_text(r, s)) sn_text_add(t, ", \"schedule\": \"%s\"", r->choice[s->code]->tuned ? "tuned" : "model");
  if (r->predicted_ms) sn_text_add(t, ", \"predicted_ms\": %.6g", r->predicted_ms[index]);
  sn_text_add(t, ", \"flops\": %.0f, \"bytes_read\": %lld, \"bytes_written\": %lld}", r->flops[index],
              (long long)cli_value_of(s->bytes_read, r->dims), (long long)cli_value_of(s->bytes_written, r->dims));
}

static bool is_control(const sn_step *s) { return s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE; }

/* Which steps a control step decides about: numbers of the steps of its blocks, as in the list of kernels. */
static void json_control(sn_text *t, const report *r, int index, bool first) {
  const sn_step *s = &r->plan->graph[r->graph].step[index];
  bool loop = s->kind == SN_STEP_WHILE;
  int second = index + 1 + s->block[0], end = second + s->block[1];
  sn_text_add(t, "%s\n    {\"step\": %d, \"kind\": \"%s\", \"where\": ", first ? "" : ",", index,
              loop ? "while" : "choose");
  sn_json_quote(t, s->where ? s->where : "");
  sn_text_add(t, ", \"flag\": ");
  sn_json_quote(t, r->plan->slot[s->from].name);
  sn_text_add(t, ", \"%s\": [%d, %d], \"%s\": [%d, %d]", loop ? "test" : "yes", index + 1, second - 1,
              loop ? "body" : "no", second, end - 1);
  if (loop) sn_text_add(t, ", \"limit\": %lld", (long long)s->limit);
  sn_text_char(t, '}');
}

static bool is_launch(const sn_step *s) { return s->kind == SN_STEP_LAUNCH || s->kind == SN_STEP_COPY; }

/* What is made once: values of weights alone, and their layouts. */
static void add_ahead(const report *r, int64_t *read, int64_t *kept) {
  *read = *kept = 0;
  for (int i = 0; i < r->plan->prepare_count; i++) *read += cli_value_of(r->plan->prepare[i].bytes_read, r->dims);
  for (int i = 0; i < r->plan->slot_count; i++)
    if (r->plan->slot[i].role == SN_SLOT_PACKED) *kept += slot_bytes(r, &r->plan->slot[i]);
}

/* Parameters of the graph: their numbers, and in how many tensors. */
static int64_t parameters(const report *r, int *out_tensors) {
  int64_t all = 0;
  *out_tensors = 0;
  for (int i = 0; i < r->plan->slot_count; i++) {
    if (r->plan->slot[i].role != SN_SLOT_PARAM) continue;
    all += cli_value_of(r->plan->slot[i].elements, r->dims);
    ++*out_tensors;
  }
  return all;
}

/* Masks of the graph. */
typedef struct masks {
  int count;
  cli_mask *at;
} masks;

/* What was refused, or the forms that were chosen. */
static void json_pairs(sn_text *t, const sn_plan_graph *g, bool forms) {
  bool first = true;
  for (int i = 0; i < g->refusal_count; i++) {
    const sn_refusal *r = &g->refusal[i];
    if (sn_refusal_is_form(r) != forms) continue;
    sn_text_add(t, "%s\n    {\"%s\": ", first ? "" : ",", forms ? "of" : "ops");
    sn_json_quote(t, r->ops + (forms ? strlen(SN_REFUSAL_FORM) : 0));
    sn_text_add(t, ", \"%s\": ", forms ? "form" : "reason");
    sn_json_quote(t, r->reason);
    sn_text_char(t, '}');
    first = false;
  }
}

static void json_report(sn_text *t, const report *r, const masks *m, int64_t peak) {
  const sn_plan_graph *g = &r->plan->graph[r->graph];
  bool first = true;
  sn_text_add(t, "{\"graph\": ");
  sn_json_quote(t, g->name);
  sn_text_add(t, ",\n  \"kernels\": [");
  for (int i = 0; i < g->step_count; i++)
    if (is_launch(&g->step[i])) json_step(t, r, i, first), first = false;
  sn_text_add(t, "],\n  \"control\": [");
  first = true;
  for (int i = 0; i < g->step_count; i++)
    if (is_control(&g->step[i])) json_control(t, r, i, first), first = false;
  sn_text_add(t, "],\n  \"refused\": [");
  json_pairs(t, g, false);
  sn_text_add(t, "],\n  \"forms\": [");
  json_pairs(t, g, true);
  sn_text_add(t, "],\n");
  cli_masks_json(t, m->count, m->at);
  sn_text_add(t, "  \"buffers\": [");
  first = true;
  for (int i = 0; i < r->plan->slot_count; i++) {
    if (!in_graph(r, i)) continue;
    sn_text_add(t, "%s\n    {\"name\": ", first ? "" : ",");
    sn_json_quote(t, r->plan->slot[i].name);
    const sn_slot *s = &r->plan->slot[i];
    sn_text_add(t, ", \"bytes\": %lld, \"first\": %d, \"last\": %d, \"type\": ", (long long)slot_bytes(r, s), s->first,
                s->last);
    sn_json_quote(t, sn_type_text(r->plan->arena, s->type));
    sn_text_char(t, '}');
    first = false;
  }
  int64_t read, kept;
  add_ahead(r, &read, &kept);
  sn_text_add(t, "],\n  \"ahead\": {\"kernels\": %d, \"bytes_read\": %lld, \"bytes_kept\": %lld}",
              r->plan->prepare_count, (long long)read, (long long)kept);
  sn_text_add(t, ",\n  \"peak_bytes\": %lld", (long long)peak);
  int tensors;
  int64_t numbers = parameters(r, &tensors);
  sn_text_add(t, ",\n  \"parameters\": {\"count\": %lld, \"tensors\": %d}}\n", (long long)numbers, tensors);
}

/* "choose": the kernels that follow are those of one of two blocks; "while": of the test and of a round. Blocks are
 * told by the numbers of their kernels. */
static void text_control(sn_text *t, const report *r, int index, int kernels) {
  const sn_step *step = r->plan->graph[r->graph].step, *s = &step[index];
  bool loop = s->kind == SN_STEP_WHILE;
  int count[2] = {0, 0}, second = index + 1 + s->block[0];
  for (int i = index + 1; i < sn_step_end(step, index); i++) count[i >= second] += is_launch(&step[i]);
  const char *names[2] = {loop ? "test" : "if true", loop ? "round" : "if false"};
  sn_text_add(t, "%4s %-9s %10s %10s %10s ", "", loop ? "while" : "choose", "", "", "");
  for (int b = 0, from = kernels + 1; b < 2; from += count[b++]) {
    sn_text_add(t, "%s %s: ", b ? "," : "", names[b]);
    if (!count[b]) sn_text_add(t, "nothing");
    if (count[b] == 1) sn_text_add(t, "kernel %d", from);
    if (count[b] > 1) sn_text_add(t, "kernels %d to %d", from, from + count[b] - 1);
  }
  if (loop) sn_text_add(t, ", at most %lld rounds", (long long)s->limit);
  sn_text_add(t, "%s%s\n", s->where ? "   @ " : "", s->where ? s->where : "");
}

static void text_steps(cli *c, sn_text *t, const report *r) {
  const sn_plan_graph *g = &r->plan->graph[r->graph];
  int64_t read = 0, written = 0;
  double ms = 0, flops = 0;
  int kernels = 0;
  const char *time = r->predicted_ms ? sn_arena_printf(c->arena, " %9s", "ms") : "";
  sn_text_add(t, "%4s %-9s %10s %10s %10s%s  %s\n", "", "kind", "flop", "read", "written", time, "ops");
  for (int i = 0; i < g->step_count; i++) {
    const sn_step *s = &g->step[i];
    if (is_control(s)) text_control(t, r, i, kernels);
    if (!is_launch(s)) continue;
    int64_t a = cli_value_of(s->bytes_read, r->dims), b = cli_value_of(s->bytes_written, r->dims);
    flops += r->flops[i], read += a, written += b;
    if (r->predicted_ms) time = sn_arena_printf(c->arena, " %9.4f", r->predicted_ms[i]), ms += r->predicted_ms[i];
    sn_text_add(t, "%4d %-9s %10s %10s %10s%s  %s%s%s%s\n", ++kernels, s->kind_name,
                cli_human(c->arena, r->flops[i], ""), cli_human(c->arena, (double)a, "B"),
                cli_human(c->arena, (double)b, "B"), time, s->ops ? s->ops : "", s->where ? "   @ " : "",
                s->where ? s->where : "", is_edited(r, s) ? "   (yours)" : schedule_text(r, s));
  }
  if (r->predicted_ms) time = sn_arena_printf(c->arena, " %9.4f", ms);
  sn_text_add(t, "%4d kernels   %10s %10s %10s%s  in all%s\n", kernels, cli_human(c->arena, flops, ""),
              cli_human(c->arena, (double)read, "B"), cli_human(c->arena, (double)written, "B"), time,
              r->predicted_ms ? r->measured_limits ? "; ms are predicted, from limits measured here"
                                                   : "; ms are predicted, from default limits"
                              : "");
}

static void text_ahead(cli *c, sn_text *t, const report *r) {
  int64_t read, kept;
  add_ahead(r, &read, &kept);
  if (!r->plan->prepare_count) return;
  sn_text_add(t, "\n%d kernels run once, after weights are loaded: %s read, %s kept beside them\n",
              r->plan->prepare_count, cli_human(c->arena, (double)read, "B"), cli_human(c->arena, (double)kept, "B"));
}

static void text_pairs(sn_text *t, const sn_plan_graph *g, bool forms) {
  bool first = true;
  for (int i = 0; i < g->refusal_count; i++) {
    const sn_refusal *r = &g->refusal[i];
    if (sn_refusal_is_form(r) != forms) continue;
    if (first) sn_text_add(t, forms ? "\nforms:\n" : "\nnot fused:\n");
    sn_text_add(t, "  %s: %s\n", r->ops + (forms ? strlen(SN_REFUSAL_FORM) : 0), r->reason);
    first = false;
  }
}

static void text_report(cli *c, sn_text *t, const report *r, const masks *m, int64_t peak) {
  const sn_plan_graph *g = &r->plan->graph[r->graph];
  sn_text_add(t, "graph %s, target %s", g->name, r->plan->target);
  for (int i = 0; i < sn_types_symbol_count(r->plan->types); i++)
    sn_text_add(t, ", %s = %lld", sn_dimx_symbol_name(sn_types_symbol(r->plan->types, i)), (long long)r->dims[i]);
  sn_text_add(t, "\n\n");
  text_steps(c, t, r);
  text_pairs(t, g, true);
  text_pairs(t, g, false);
  cli_masks_text(t, m->count, m->at);
  int buffers = 0;
  int64_t bytes = 0;
  for (int i = 0; i < r->plan->slot_count; i++)
    if (in_graph(r, i)) buffers++, bytes += slot_bytes(r, &r->plan->slot[i]);
  sn_text_add(t, "\n%d temporary buffers, %s in all, %s at once\n", buffers, cli_human(c->arena, (double)bytes, "B"),
              cli_human(c->arena, (double)peak, "B"));
  text_ahead(c, t, r);
  int tensors;
  int64_t numbers = parameters(r, &tensors);
  if (tensors) sn_text_add(t, "\n%lld parameters in %d tensors\n", (long long)numbers, tensors);
}

static sn_code predict(cli *c, const sn_compiled *k, report *r) {
  int64_t threads;
  sn_limits l = {0};
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  SN_TRY(cli_flops(c, k, r->graph, r->dims, &r->flops));
  SN_TRY(cli_predict(c, k, r->graph, r->dims, (int)threads, false, &r->predicted_ms, &l));
  r->measured_limits = l.measured;
  return SN_OK;
}

/* Times of the steps, where code runs: for the roofline. */
static sn_code measure(cli *c, sn_compiled *k, report *r) {
  int64_t threads;
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  if (!k->backend || strcmp(k->target.name, "cpu")) return SN_OK;
  return cli_measure_steps(c, k, r->graph, r->dims, (int)threads, &r->step_ms);
}

static sn_code write_html(cli *c, sn_compiled *k, report *r, int64_t peak) {
  const char *path = cli_get(c, CLI_HTML, NULL);
  sn_text t = sn_text_begin(c->arena);
  SN_TRY(measure(c, k, r));
  SN_TRY(cli_explain_html(c, &t, r, peak));
  SN_TRY(sn_file_write_all(path, t.at, (size_t)t.count, c->diags));
  cli_log(&c->log, CLI_LOG_INFO, "wrote %s, %d bytes", path, (int)t.count);
  return SN_OK;
}

sn_code cli_explain(cli *c) {
  const char *path;
  cli_source s;
  sn_compiled compiled;
  report r;
  int64_t peak, *dims;
  sn_module *copy;
  masks m;
  SN_TRY(cli_word(c, "MODEL.c or FILE.sn", &path));
  SN_TRY(cli_needs_kernels(c, "report on"));
  SN_TRY(cli_load(c, path, cli_get(c, CLI_GRAPH, NULL), c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  SN_TRY(cli_masks_copy(c, s.module, &copy));
  sn_compile_opt opt = cli_compile_opt(c, &s);
  SN_TRY(cli_compile(c, s.module, &opt, &compiled));
  SN_TRY(cli_dims(c, compiled.plan->types, s.settings, &dims));
  r = (report){.plan = compiled.plan, .dims = dims, .edited = compiled.edited, .choice = compiled.choice};
  SN_TRY(cli_graph(c, r.plan, &r.graph));
  SN_TRY(sn_plan_peak_bytes(r.plan, r.graph, dims, &peak));
  SN_TRY(predict(c, &compiled, &r));
  SN_TRY(cli_masks_find(c, &r, copy, &compiled.target, &m.count, &m.at));
  cli_masks_apply(&r, m.count, m.at);
  if (cli_has(c, CLI_HTML)) SN_TRY(write_html(c, &compiled, &r, peak));
  if (cli_has(c, CLI_HTML) && !cli_has(c, CLI_JSON)) return SN_OK;
  sn_text t = sn_text_begin(c->arena);
  if (cli_has(c, CLI_JSON))
    json_report(&t, &r, &m, peak);
  else
    text_report(c, &t, &r, &m, peak);
  return cli_print(c, &t);
}
