/* sinter recipe: trains and judges systems, one after another; their results as a table, JSON and plots. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/cli.h"
#include "frontend/cli/progress.h"
#include "models/recipes/run.h"
#include "runtime/io/dir.h"
#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/svg.h"

enum { CHOSEN_MAX = 256 };

typedef struct recipes {
  cli *c;
  recipe_options opt;
  const char *out; /* folder; NULL: none */
  int count;
  const recipe_row *row[CHOSEN_MAX];
  recipe_result result[CHOSEN_MAX];
  cli_progress progress;
  const char *label; /* of what progress is told about */
} recipes;

/* ---- choosing -----------------------------------------------------------------------------------------------------
 */

static sn_code list(cli *c) {
  sn_text t = sn_text_begin(c->arena);
  const recipe_row *row;
  for (int i = 0; (row = recipe_row_at(i)); i++) {
    if (cli_has(c, CLI_JSON))
      sn_text_add(&t, "%s{\"id\": \"%s\", \"slide\": %d, \"shows\": \"%s\"}", i ? ",\n " : "[", row->id, row->slide,
                  row->shows);
    else
      sn_text_add(&t, "%-14s slide %-3d %s\n", row->id, row->slide, row->shows);
  }
  if (cli_has(c, CLI_JSON)) sn_text_add(&t, "]\n");
  return cli_print(c, &t);
}

static const recipe_row *find(const char *id) {
  const recipe_row *row;
  for (int i = 0; (row = recipe_row_at(i)); i++)
    if (!strcmp(row->id, id)) return row;
  return NULL;
}

static sn_code unknown(cli *c, const char *id) {
  const char *known[CHOSEN_MAX];
  int count = 0;
  const recipe_row *row;
  for (int i = 0; (row = recipe_row_at(i)) && count < CHOSEN_MAX; i++) known[count++] = row->id;
  const char *near = sn_nearest(id, known, count);
  return cli_usage_error(c, "no recipe \"%s\"%s%s%s; `sinter recipe --list` says which there are", id,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Is the family of "tp.causal" among "tp,dec"? */
static bool in_families(const char *id, const char *families) {
  size_t length = strcspn(id, ".");
  for (const char *at = families; *at; at += strspn(at, ",")) {
    size_t n = strcspn(at, ",");
    if (n == length && !strncmp(at, id, n)) return true;
    at += n;
  }
  return false;
}

static sn_code choose(recipes *x) {
  cli *c = x->c;
  const char *families = cli_get(c, CLI_ROWS, NULL);
  const recipe_row *row;
  for (int i = 0; i < c->word.count && x->count < CHOSEN_MAX; i++) {
    if (!(row = find(c->word.at[i]))) return unknown(c, c->word.at[i]);
    x->row[x->count++] = row;
  }
  if (c->word.count && (cli_has(c, CLI_ALL) || families))
    return cli_usage_error(c, "recipes are named: --all and --rows choose others");
  for (int i = 0; (cli_has(c, CLI_ALL) || families) && (row = recipe_row_at(i)) && x->count < CHOSEN_MAX; i++)
    if (!families || in_families(row->id, families)) x->row[x->count++] = row;
  if (x->count) return SN_OK;
  if (families)
    return cli_usage_error(c, "--rows %s: no such family; `sinter recipe --list` says which there are", families);
  return cli_usage_error(c, "sinter recipe needs an id, --all or --list");
}

/* ---- running ------------------------------------------------------------------------------------------------------
 */

static void on_step(void *user, const char *label, int64_t done, int64_t count, double loss) {
  recipes *x = user;
  (void)loss;
  if (done == 1 || !x->label) x->progress = cli_progress_begin(x->label = label, "steps");
  cli_progress_at(&x->progress, done, count);
  if (done == count) cli_progress_end(&x->progress, done);
}

static const char *kind_word(recipe_kind k) {
  return k == EXACT ? "exact" : k == OPTIMUM ? "optimum" : k == TRAINED ? "trained" : "control";
}

static void on_check(void *user, const recipe_check *k) {
  recipes *x = user;
  if (cli_has(x->c, CLI_JSON)) return;
  printf("  %-7s %-66s %11.5g %s %-9.4g %s\n", kind_word(k->kind), k->what, k->value,
         k->at_least ? ">=" : "<=", k->bound, k->pass ? (k->kind == CONTROL ? "rejected" : "PASS") : "FAIL");
  fflush(stdout);
}

static sn_code run_one(recipes *x, int i) {
  const recipe_row *row = x->row[i];
  recipe_result *r = &x->result[i];
  if (!cli_has(x->c, CLI_JSON)) printf("%s: %s\n", row->id, row->shows);
  SN_TRY(recipe_run(row, &x->opt, x->c->arena, x->c->diags, r));
  if (!cli_has(x->c, CLI_JSON)) printf("%s %s, %.1f s\n", row->id, r->pass ? "PASS" : "FAIL", r->seconds);
  fflush(stdout);
  return SN_OK;
}

/* ---- results ------------------------------------------------------------------------------------------------------
 */

static void add_json(sn_text *t, const recipes *x, int i) {
  const recipe_result *r = &x->result[i];
  sn_text_add(t,
              "{\"id\": \"%s\", \"seed\": %llu, \"quick\": %s, \"target\": \"%s\", \"seconds\": %.3f, \"pass\": %s, "
              "\"checks\": [",
              x->row[i]->id, (unsigned long long)x->opt.seed, x->opt.quick ? "true" : "false",
              x->opt.target ? x->opt.target : "cpu", r->seconds, r->pass ? "true" : "false");
  for (int k = 0; k < r->check_count; k++) {
    const recipe_check *c = &r->check[k];
    sn_text_add(t, "%s\n  {\"kind\": \"%s\", \"what\": ", k ? "," : "", kind_word(c->kind));
    sn_json_quote(t, c->what);
    sn_text_add(t, ", \"value\": ");
    if (c->value - c->value == 0)
      sn_text_number(t, c->value);
    else
      sn_text_add(t, "null");
    sn_text_add(t, ", \"%s\": ", c->at_least ? "at_least" : "at_most");
    sn_text_number(t, c->bound);
    sn_text_add(t, ", \"pass\": %s}", c->pass ? "true" : "false");
  }
  sn_text_add(t, "]}");
}

static void add_table(sn_text *t, const recipes *x) {
  sn_text_add(t, "| row | slide | kind | check | value | bound | |\n|---|---|---|---|---|---|---|\n");
  for (int i = 0; i < x->count; i++)
    for (int k = 0; k < x->result[i].check_count; k++) {
      const recipe_check *c = &x->result[i].check[k];
      sn_text_add(t, "| %s | %d | %s | %s | %.4g | %s %.4g | %s |\n", x->row[i]->id, x->row[i]->slide,
                  kind_word(c->kind), c->what, c->value, c->at_least ? "at least" : "at most", c->bound,
                  c->pass ? (c->kind == CONTROL ? "rejected" : "pass") : "FAIL");
    }
}

static sn_code write_text(recipes *x, const char *name, const sn_text *t) {
  const char *path = sn_arena_printf(x->c->arena, "%s/%s", x->out, name);
  return sn_file_write_all(path, t->at, (size_t)t->count, x->c->diags);
}

/* A file for each chart: ID.svg, ID-2.svg, ... */
static sn_code write_plots(recipes *x, int i) {
  const recipe_result *r = &x->result[i];
  sn_arena *arena = x->c->arena;
  sn_series *series = SN_ARRAY(arena, r->line_count + 1, sn_series);
  for (int first = 0, chart = 1; first < r->line_count; first++) {
    int count = 0;
    bool seen = false;
    for (int k = 0; k < r->line_count; k++) {
      const recipe_line *l = &r->line[k];
      if (strcmp(l->title, r->line[first].title)) continue;
      seen = seen || k < first;
      series[count++] = (sn_series){l->label, l->count, l->x, l->y};
    }
    if (seen) continue;
    sn_text t = sn_text_begin(arena);
    sn_svg_lines(&t, sn_arena_printf(arena, "%s: %s", x->row[i]->id, r->line[first].title), "steps",
                 r->line[first].title, count, series);
    const char *name = chart == 1 ? sn_arena_printf(arena, "%s.svg", x->row[i]->id)
                                  : sn_arena_printf(arena, "%s-%d.svg", x->row[i]->id, chart);
    SN_TRY(write_text(x, name, &t));
    chart++;
  }
  return SN_OK;
}

static sn_code write_results(recipes *x, const sn_text *json) {
  sn_text table = sn_text_begin(x->c->arena);
  add_table(&table, x);
  SN_TRY(write_text(x, "recipes.json", json));
  SN_TRY(write_text(x, "recipes.md", &table));
  for (int i = 0; i < x->count; i++) SN_TRY(write_plots(x, i));
  return SN_OK;
}

static sn_code finish(recipes *x) {
  cli *c = x->c;
  int failed = 0;
  sn_text json = sn_text_begin(c->arena);
  sn_text_add(&json, "[");
  for (int i = 0; i < x->count; i++) {
    if (i) sn_text_add(&json, ",\n");
    add_json(&json, x, i);
    failed += !x->result[i].pass;
  }
  sn_text_add(&json, "]\n");
  if (x->out) SN_TRY(write_results(x, &json));
  if (cli_has(c, CLI_JSON)) SN_TRY(cli_print(c, &json));
  if (!failed) return SN_OK;
  return sn_fail(c->diags, SN_ERR_FAIL, (sn_loc){0}, "%d of %d recipes failed", failed, x->count);
}

sn_code cli_recipe(cli *c) {
  int64_t seed, threads;
  bool made;
  if (cli_has(c, CLI_LIST)) return list(c);
  recipes *x = SN_NEW(c->arena, recipes);
  *x = (recipes){.c = c, .out = cli_get(c, CLI_OUT_DIR, NULL)};
  SN_TRY(choose(x));
  SN_TRY(cli_int(c, CLI_SEED, 1, 0, INT64_MAX, &seed));
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  if (x->out) SN_TRY(sn_dir_make(x->out, c->diags, &made));
  x->opt = (recipe_options){.quick = cli_has(c, CLI_QUICK),
                            .seed = (uint64_t)seed,
                            .threads = (int)threads,
                            .target = cli_get(c, CLI_TARGET, NULL),
                            .cache_dir = cli_has(c, CLI_NO_CACHE) ? "" : NULL,
                            .user = x,
                            .on_step = on_step,
                            .on_check = on_check};
  for (int i = 0; i < x->count; i++) SN_TRY(run_one(x, i));
  return finish(x);
}
