/* See recipes.h. */
#include "frontend/cli/recipes.h"

#include <math.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/svg.h"

const char *cli_recipe_kind(recipe_kind k) {
  return k == EXACT ? "exact" : k == OPTIMUM ? "optimum" : k == TRAINED ? "trained" : "control";
}

const char *cli_recipe_verdict(const recipe_check *c) {
  if (c->skipped) return "skipped";
  return !c->pass ? "FAIL" : c->kind == CONTROL ? "rejected" : "PASS";
}

static const char *count_of(sn_arena *arena, int64_t n) {
  return n < 1000 ? sn_arena_printf(arena, "%lld", (long long)n) : sn_arena_printf(arena, "%.4g k", (double)n / 1e3);
}

const char *cli_recipe_trained(sn_arena *arena, const recipe_trained *t) {
  const char *some = t->changed < t->parameters ? sn_arena_printf(arena, "%s of ", count_of(arena, t->changed)) : "";
  return sn_arena_printf(arena, "%s: %s, %s%s parameters; %d step%s of %s, %s, rate %g; loss %.4g; %.1f s", t->label,
                         t->model, some, count_of(arena, t->parameters), t->steps, t->steps == 1 ? "" : "s", t->graph,
                         t->batch, t->rate, t->loss, t->seconds);
}

const char *cli_recipe_share(sn_arena *arena, const recipe_check *c) {
  if (!(c->of > 0)) return "";
  return sn_arena_printf(arena, " (%.4g of %.0f: %.4g to %.4g)", c->share, c->of, c->low, c->high);
}

int cli_recipe_skipped(const recipe_result *r) {
  int count = 0;
  for (int i = 0; i < r->check_count; i++) count += r->check[i].skipped != NULL;
  return count;
}

uint64_t cli_recipe_seed(const cli_recipes *x, int run) { return x->seeds > 1 ? (uint64_t)run + 1 : x->opt.seed; }

/* How near to its verdict's end: larger is worse. */
static double badness(const recipe_check *c) {
  double over = c->at_least ? c->bound - c->value : c->value - c->bound;
  if (isnan(over)) return INFINITY;
  return c->kind == CONTROL ? -over : over;
}

static const recipe_check *find(const recipe_result *r, const char *what) {
  for (int i = 0; i < r->check_count; i++)
    if (!strcmp(r->check[i].what, what)) return &r->check[i];
  return NULL;
}

int cli_recipe_worst(const cli_recipes *x, int row, int k, recipe_check *out, uint64_t *worst_seed) {
  int failed = 0;
  for (int run = 0; run < x->seeds; run++) {
    const recipe_check *c = &x->result[row][0].check[k];
    if (run) c = find(&x->result[row][run], c->what);
    if (!c) continue; /* that run ended before */
    failed += !c->pass;
    if (run && badness(c) <= badness(out)) continue;
    *out = *c;
    *worst_seed = cli_recipe_seed(x, run);
  }
  out->pass = !failed;
  return failed;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void add_number(sn_text *t, double x) {
  if (isfinite(x))
    sn_text_number(t, x);
  else
    sn_text_add(t, "null");
}

static void add_check(sn_text *t, const recipe_check *c, const char *seed) {
  sn_text_add(t, "{%s\"kind\": \"%s\", \"what\": ", seed, cli_recipe_kind(c->kind));
  sn_json_quote(t, c->what);
  sn_text_add(t, ", \"value\": ");
  add_number(t, c->value);
  sn_text_add(t, ", \"%s\": ", c->at_least ? "at_least" : "at_most");
  add_number(t, c->bound);
  if (c->of > 0)
    sn_text_add(t, ", \"share\": %.6g, \"of\": %.0f, \"low\": %.6g, \"high\": %.6g", c->share, c->of, c->low, c->high);
  if (c->skipped) sn_text_add(t, ", \"skipped\": \"%s\"", c->skipped);
  sn_text_add(t, ", \"pass\": %s}", c->pass ? "true" : "false");
}

static void add_trained(sn_text *t, const recipe_result *r) {
  for (int k = 0; k < r->trained_count; k++) {
    const recipe_trained *x = &r->trained[k];
    sn_text_add(t, "%s\n  {\"of\": ", k ? "," : "");
    sn_json_quote(t, x->label);
    sn_text_add(t, ", \"model\": \"%s\", \"graph\": \"%s\", \"parameters\": %lld, \"changed\": %lld, ", x->model,
                x->graph, (long long)x->parameters, (long long)x->changed);
    sn_text_add(t, "\"steps\": %d, \"batch\": \"%s\", \"rate\": %g, \"loss\": ", x->steps, x->batch, x->rate);
    add_number(t, x->loss);
    sn_text_add(t, ", \"seconds\": %.3f}", x->seconds);
  }
}

static void add_json(sn_text *t, const cli_recipes *x, int row, int run) {
  const recipe_result *r = &x->result[row][run];
  sn_text_add(t,
              "{\"id\": \"%s\", \"slide\": %d, \"seed\": %llu, \"quick\": %s, \"target\": \"%s\", \"seconds\": %.3f, "
              "\"pass\": %s, \"oracle\": ",
              x->row[row]->id, x->row[row]->slide, (unsigned long long)cli_recipe_seed(x, run),
              x->opt.quick ? "true" : "false", x->opt.target ? x->opt.target : "cpu", r->seconds,
              r->pass ? "true" : "false");
  sn_json_quote(t, x->row[row]->oracle);
  sn_text_add(t, ", \"trained\": [");
  add_trained(t, r);
  sn_text_add(t, "], \"checks\": [");
  for (int k = 0; k < r->check_count; k++) {
    sn_text_add(t, "%s\n  ", k ? "," : "");
    add_check(t, &r->check[k], "");
  }
  sn_text_add(t, "]}");
}

void cli_recipes_json(sn_text *t, const cli_recipes *x) {
  sn_text_char(t, '[');
  for (int i = 0; i < x->done; i++)
    for (int run = 0; run < x->seeds; run++) {
      if (i || run) sn_text_add(t, ",\n");
      add_json(t, x, i, run);
    }
  sn_text_add(t, "]\n");
}

static double seconds_of(const cli_recipes *x, int row) {
  double sum = 0;
  for (int run = 0; run < x->seeds; run++) sum += x->result[row][run].seconds;
  return sum / x->seeds;
}

static bool row_passes(const cli_recipes *x, int row) {
  bool pass = true;
  for (int run = 0; run < x->seeds; run++) pass = pass && x->result[row][run].pass;
  return pass;
}

static void add_how(sn_text *t, const cli_recipes *x) {
  double all = 0;
  for (int i = 0; i < x->done; i++) all += seconds_of(x, i) * x->seeds;
  sn_text_add(t, "# Systems and their checks\n\nWritten by `sinter recipe`: the %s form, target %s, ",
              x->opt.quick ? "quick" : "full", x->opt.target ? x->opt.target : "cpu");
  if (x->seeds > 1)
    sn_text_add(t, "seeds 1 to %d; a value is the worst of them, a time their mean. ", x->seeds);
  else
    sn_text_add(t, "seed %llu. ", (unsigned long long)x->opt.seed);
  if (x->done < x->count) sn_text_add(t, "Cut off after %d of %d rows. ", x->done, x->count);
  sn_text_add(
      t,
      "In all %.0f s.\n\nKinds of checks: *exact*, an identity or an oracle in f64; *optimum*, a known best "
      "result is reached; *trained*, behaviour after training; *control*, a wrong variant, which must miss the "
      "bound and be rejected. [Recipes](recipes.md) says more. Oracles are those of `tests/oracles`; parameters that a "
      "training left as they were are not counted as trained (\"12 k of 30 k\").\n",
      all);
}

static void add_checks(sn_text *t, const cli_recipes *x, int row) {
  sn_text_add(t, "\n| row | kind | check | value | bound | |\n|---|---|---|---|---|---|\n");
  for (int k = 0; k < x->result[row][0].check_count; k++) {
    recipe_check c;
    uint64_t seed;
    cli_recipe_worst(x, row, k, &c, &seed);
    sn_text_add(t, "| %s | %s | %s | %.4g%s | %s %.4g | %s |\n", x->row[row]->id, cli_recipe_kind(c.kind), c.what,
                c.value, cli_recipe_share(x->c->arena, &c), c.at_least ? "at least" : "at most", c.bound,
                cli_recipe_verdict(&c));
  }
}

/* A row: its oracle, what the first seed trained, checks. */
static void add_section(sn_text *t, const cli_recipes *x, int row) {
  const recipe_result *r = &x->result[row][0];
  sn_text_add(t, "\n## %s\n\nOracle: %s.\n", x->row[row]->id, x->row[row]->oracle);
  if (r->trained_count) sn_text_add(t, "\n");
  for (int k = 0; k < r->trained_count; k++) sn_text_add(t, "- %s\n", cli_recipe_trained(x->c->arena, &r->trained[k]));
  add_checks(t, x, row);
}

void cli_recipes_table(sn_text *t, const cli_recipes *x) {
  add_how(t, x);
  sn_text_add(t, "\n| row | slide | what it shows | checks | seconds | |\n|---|---|---|---|---|---|\n");
  for (int i = 0; i < x->done; i++)
    sn_text_add(t, "| %s | %d | %s | %d | %.1f | %s |\n", x->row[i]->id, x->row[i]->slide, x->row[i]->shows,
                x->result[i][0].check_count, seconds_of(x, i), row_passes(x, i) ? "PASS" : "FAIL");
  for (int i = 0; i < x->done; i++) add_section(t, x, i);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static sn_code write_text(cli_recipes *x, const char *name, const sn_text *t) {
  const char *path = sn_arena_printf(x->c->arena, "%s/%s", x->out, name);
  return sn_file_write_all(path, t->at, (size_t)t->count, x->c->diags);
}

/* Every point of every line, and every check, of all seeds. */
static sn_code write_metrics(cli_recipes *x, int row) {
  sn_text t = sn_text_begin(x->c->arena);
  for (int run = 0; run < x->seeds; run++)
    for (int i = 0; i < x->result[row][run].line_count; i++) {
      const recipe_line *l = &x->result[row][run].line[i];
      for (int k = 0; k < l->count; k++) {
        sn_text_add(&t, "{\"seed\": %llu, \"of\": ", (unsigned long long)cli_recipe_seed(x, run));
        sn_json_quote(&t, l->label);
        sn_text_add(&t, ", \"%s\": ", strcmp(l->title, "loss") ? "x" : "step");
        add_number(&t, l->x[k]);
        sn_text_add(&t, ", ");
        sn_json_quote(&t, l->title);
        sn_text_add(&t, ": ");
        add_number(&t, l->y[k]);
        sn_text_add(&t, "}\n");
      }
    }
  for (int run = 0; run < x->seeds; run++)
    for (int k = 0; k < x->result[row][run].check_count; k++) {
      const char *seed = sn_arena_printf(x->c->arena, "\"seed\": %llu, ", (unsigned long long)cli_recipe_seed(x, run));
      add_check(&t, &x->result[row][run].check[k], seed);
      sn_text_char(&t, '\n');
    }
  return write_text(x, sn_arena_printf(x->c->arena, "%s.metrics.jsonl", x->row[row]->id), &t);
}

/* Up to 1: the bound is kept. Signs that differ say no more than on which side of it a value is. */
static double ratio_of(const recipe_check *c) {
  bool kept = c->at_least ? c->value >= c->bound : c->value <= c->bound;
  if (isnan(c->value)) return NAN;
  if (c->value * c->bound <= 0) return kept ? 0 : INFINITY;
  return c->at_least == (c->bound > 0) ? c->bound / c->value : c->value / c->bound;
}

/* Each check at worst, beside its bound. */
static sn_code write_checks(cli_recipes *x, int row) {
  static const recipe_kind kinds[] = {EXACT, OPTIMUM, TRAINED, CONTROL};
  const char *names[4];
  sn_arena *arena = x->c->arena;
  int count = x->result[row][0].check_count;
  sn_mark *mark = SN_ARRAY(arena, count + 1, sn_mark);
  sn_text t = sn_text_begin(arena);
  for (int i = 0; i < 4; i++) names[i] = cli_recipe_kind(kinds[i]);
  for (int k = 0; k < count; k++) {
    recipe_check c;
    uint64_t seed;
    cli_recipe_worst(x, row, k, &c, &seed);
    mark[k] = (sn_mark){.label = c.what, .ratio = c.skipped ? (double)NAN : ratio_of(&c), .bad = !c.pass};
    mark[k].value = sn_arena_printf(arena, "%.4g %s %.4g %s", c.value, c.at_least ? "\xe2\x89\xa5" : "\xe2\x89\xa4",
                                    c.bound, cli_recipe_verdict(&c));
    while (kinds[mark[k].group] != c.kind) mark[k].group++;
  }
  sn_svg_marks(&t, sn_arena_printf(arena, "%s: checks, each value by its bound", x->row[row]->id), "bound kept",
               "missed, as controls must", 4, names, count, mark);
  return write_text(x, sn_arena_printf(arena, "%s.checks.svg", x->row[row]->id), &t);
}

/* A file for each chart of the first seed. */
static sn_code write_plots(cli_recipes *x, int row) {
  const recipe_result *r = &x->result[row][0];
  sn_arena *arena = x->c->arena;
  const char *id = x->row[row]->id;
  sn_series *series = SN_ARRAY(arena, r->line_count + 1, sn_series);
  for (int first = 0, chart = 1; first < r->line_count; first++) {
    const char *title = r->line[first].title;
    int count = 0;
    bool seen = false;
    for (int k = 0; k < r->line_count; k++) {
      const recipe_line *l = &r->line[k];
      if (strcmp(l->title, title)) continue;
      seen = seen || k < first;
      series[count++] = (sn_series){l->label, l->count, l->x, l->y};
    }
    if (seen) continue;
    sn_text t = sn_text_begin(arena);
    sn_svg_lines(&t, sn_arena_printf(arena, "%s: %s", id, title), "steps", title, count, series);
    const char *name =
        chart == 1 ? sn_arena_printf(arena, "%s.svg", id) : sn_arena_printf(arena, "%s-%d.svg", id, chart);
    SN_TRY(write_text(x, name, &t));
    chart++;
  }
  return SN_OK;
}

sn_code cli_recipes_write(cli_recipes *x) {
  sn_text table = sn_text_begin(x->c->arena), json = sn_text_begin(x->c->arena);
  cli_recipes_table(&table, x);
  cli_recipes_json(&json, x);
  SN_TRY(write_metrics(x, x->done - 1));
  SN_TRY(write_checks(x, x->done - 1));
  SN_TRY(write_plots(x, x->done - 1));
  SN_TRY(write_text(x, "recipes.json", &json));
  return write_text(x, "systems.md", &table);
}
