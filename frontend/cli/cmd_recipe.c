/* sinter recipe: trains and judges systems, one after another; their results as a table, JSON and plots. */
#include <stdio.h>
#include <string.h>

#include "frontend/cli/corpus.h"
#include "frontend/cli/recipes.h"
#include "runtime/io/dir.h"
#include "runtime/io/json.h"

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static const char *time_of(cli *c, const recipe_row *row) {
  double seconds = recipe_row_seconds(row);
  return seconds > 0 ? sn_arena_printf(c->arena, seconds < 10 ? "%.1f s" : "%.0f s", seconds) : "-";
}

static sn_code list(cli *c) {
  sn_text t = sn_text_begin(c->arena);
  const recipe_row *row;
  for (int i = 0; (row = recipe_row_at(i)); i++) {
    if (cli_has(c, CLI_JSON)) {
      sn_text_add(&t, "%s{\"id\": \"%s\", \"slide\": %d, \"shows\": ", i ? ",\n " : "[", row->id, row->slide);
      sn_json_quote(&t, row->shows);
      sn_text_add(&t, ", \"seconds\": %.1f, \"oracle\": ", recipe_row_seconds(row));
      sn_json_quote(&t, row->oracle);
      sn_text_char(&t, '}');
    } else
      sn_text_add(&t, "%-12s slide %-3d %6s  %s\n", row->id, row->slide, time_of(c, row), row->shows);
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
  const char *known[CLI_RECIPES_MAX];
  int count = 0;
  const recipe_row *row;
  for (int i = 0; (row = recipe_row_at(i)) && count < CLI_RECIPES_MAX; i++) known[count++] = row->id;
  const char *near = sn_nearest(id, known, count);
  return cli_usage_error(c, "no recipe \"%s\"%s%s%s; `sinter recipe --list` says which there are", id,
                         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static bool is_family(const char *id, const char *name, size_t length) {
  return strcspn(id, ".") == length && !strncmp(id, name, length);
}

static bool is_chosen(const cli_recipes *x, const recipe_row *row) {
  for (int i = 0; i < x->count; i++)
    if (x->row[i] == row) return true;
  return false;
}

static void add(cli_recipes *x, const recipe_row *row) {
  if (x->count < CLI_RECIPES_MAX && !is_chosen(x, row)) x->row[x->count++] = row;
}

/* The rows of "tp,dec"; of each family there is one at least. */
static sn_code choose_families(cli_recipes *x, const char *families) {
  const recipe_row *row;
  for (const char *at = families + strspn(families, ","); *at; at += strspn(at, ",")) {
    size_t n = strcspn(at, ",");
    int before = x->count;
    bool known = false;
    for (int i = 0; (row = recipe_row_at(i)); i++)
      if (is_family(row->id, at, n)) add(x, row), known = true;
    if (x->count == before && !known)
      return cli_usage_error(x->c, "--rows %.*s: no such family; `sinter recipe --list` says which there are", (int)n,
                             at);
    at += n;
  }
  return x->count ? SN_OK : cli_usage_error(x->c, "--rows names no family");
}

static sn_code choose(cli_recipes *x) {
  cli *c = x->c;
  const char *families = cli_get(c, CLI_ROWS, NULL);
  const recipe_row *row;
  if (c->word.count && (cli_has(c, CLI_ALL) || families))
    return cli_usage_error(c, "recipes are named: --all and --rows choose others");
  for (int i = 0; i < c->word.count; i++) {
    if (!(row = find(c->word.at[i]))) return unknown(c, c->word.at[i]);
    add(x, row);
  }
  if (families) return choose_families(x, families);
  for (int i = 0; cli_has(c, CLI_ALL) && (row = recipe_row_at(i)); i++) add(x, row);
  return x->count ? SN_OK : cli_usage_error(c, "sinter recipe needs an id, --all or --list");
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void on_step(void *user, const char *label, int64_t done, int64_t count, double loss) {
  cli_recipes *x = user;
  (void)loss;
  if (done == 1 || !x->label) x->progress = cli_progress_begin(x->label = label, "steps");
  cli_progress_at(&x->progress, done, count);
  if (done == count) cli_progress_end(&x->progress, done);
}

static void on_trained(void *user, const recipe_trained *t) {
  cli_recipes *x = user;
  if (cli_has(x->c, CLI_JSON) || x->seeds > 1) return;
  printf("  model   %s\n", cli_recipe_trained(x->c->arena, t));
  fflush(stdout);
}

static void print_check(const cli_recipes *x, const recipe_check *k, const char *verdict) {
  printf("  %-7s %-66s %11.5g %s %-9.4g %s%s\n", cli_recipe_kind(k->kind), k->what, k->value,
         k->at_least ? ">=" : "<=", k->bound, verdict, cli_recipe_share(x->c->arena, k));
  fflush(stdout);
}

static void on_check(void *user, const recipe_check *k) {
  cli_recipes *x = user;
  if (!cli_has(x->c, CLI_JSON) && x->seeds == 1) print_check(x, k, cli_recipe_verdict(k));
}

/* What each check was at worst. */
static void print_worst(cli_recipes *x, int row) {
  for (int k = 0; k < x->result[row][0].check_count; k++) {
    recipe_check c;
    uint64_t seed;
    int failed = cli_recipe_worst(x, row, k, &c, &seed);
    const char *verdict = cli_recipe_verdict(&c);
    if (failed) verdict = sn_arena_printf(x->c->arena, "FAIL in %d of %d", failed, x->seeds);
    print_check(x, &c, sn_arena_printf(x->c->arena, "%s, worst at seed %llu", verdict, (unsigned long long)seed));
  }
}

static const char *first_reason(const recipe_result *r) {
  for (int i = 0; i < r->check_count; i++)
    if (r->check[i].skipped) return r->check[i].skipped;
  return "";
}

static sn_code run_seed(cli_recipes *x, int row, int run) {
  recipe_options o = x->opt;
  recipe_result *r = &x->result[row][run];
  o.seed = cli_recipe_seed(x, run);
  sn_code code = recipe_run(x->row[row], &o, x->c->arena, x->c->diags, r);
  if (cli_has(x->c, CLI_JSON)) return code;
  const char *seed = x->seeds > 1 ? sn_arena_printf(x->c->arena, " seed %llu", (unsigned long long)o.seed) : "";
  int skipped = code ? 0 : cli_recipe_skipped(r);
  const char *left = skipped ? sn_arena_printf(x->c->arena, ", %d skipped: %s", skipped, first_reason(r)) : "";
  if (!code) printf("%s%s %s%s, %.1f s\n", x->row[row]->id, seed, r->pass ? "PASS" : "FAIL", left, r->seconds);
  fflush(stdout);
  return code;
}

/* Of several rows one that ends with an error has failed, and the others go on; but mistakes of the call, and a device
 * that is not there, are the same for all. */
static sn_code run_row(cli_recipes *x, int row) {
  x->result[row] = SN_ARRAY(x->c->arena, x->seeds, recipe_result);
  if (!cli_has(x->c, CLI_JSON))
    printf("%s: %s\n  oracle  %s\n", x->row[row]->id, x->row[row]->shows, x->row[row]->oracle);
  fflush(stdout);
  for (int run = 0; run < x->seeds; run++) {
    sn_code code = run_seed(x, row, run);
    if (code && (x->count == 1 || code == SN_ERR_USAGE || code == SN_ERR_DEVICE)) return code;
    if (!code) continue;
    fprintf(stderr, "%s: %s", x->row[row]->id, sn_diags_print(x->c->diags, x->c->arena));
    x->c->diags->count = 0;
  }
  if (x->seeds > 1 && !cli_has(x->c, CLI_JSON)) print_worst(x, row);
  x->done = row + 1;
  return x->out ? cli_recipes_write(x) : SN_OK;
}

static sn_code finish(cli_recipes *x) {
  cli *c = x->c;
  int failed = 0, ran = x->count * x->seeds;
  for (int i = 0; i < x->count; i++)
    for (int run = 0; run < x->seeds; run++) failed += !x->result[i][run].pass;
  if (cli_has(c, CLI_JSON)) {
    sn_text json = sn_text_begin(c->arena);
    cli_recipes_json(&json, x);
    SN_TRY(cli_print(c, &json));
  }
  if (!failed) return SN_OK;
  return sn_fail(c->diags, SN_ERR_FAIL, (sn_loc){0}, "%d of %d %s failed", failed, ran,
                 x->seeds > 1 ? "runs" : "recipes");
}

sn_code cli_recipe(cli *c) {
  int64_t seed, threads, seeds;
  bool made;
  if (cli_has(c, CLI_LIST) && (c->word.count || cli_has(c, CLI_ALL) || cli_has(c, CLI_ROWS)))
    return cli_usage_error(c, "--list names all recipes: nothing is chosen beside it");
  if (cli_has(c, CLI_LIST)) return list(c);
  cli_recipes *x = SN_NEW(c->arena, cli_recipes);
  *x = (cli_recipes){.c = c, .out = cli_get(c, CLI_OUT_DIR, NULL)};
  SN_TRY(choose(x));
  SN_TRY(cli_int(c, CLI_SEED, 1, 0, INT64_MAX, &seed));
  SN_TRY(cli_int(c, CLI_SEEDS, 1, 1, 1000, &seeds));
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  if (cli_has(c, CLI_SEED) && cli_has(c, CLI_SEEDS))
    return cli_usage_error(c, "--seeds runs seeds 1 to N: --seed says another one");
  SN_TRY(cli_check_target(c));
  if (x->out) SN_TRY(sn_dir_make(x->out, c->diags, &made));
  x->seeds = (int)seeds;
  x->opt = (recipe_options){.quick = cli_has(c, CLI_QUICK),
                            .seed = (uint64_t)seed,
                            .threads = (int)threads,
                            .target = cli_get(c, CLI_TARGET, NULL),
                            .cache_dir = cli_has(c, CLI_NO_CACHE) ? "" : NULL,
                            .text = sn_corpus,
                            .text_bytes = sn_corpus_bytes,
                            .user = x,
                            .on_step = on_step,
                            .on_trained = on_trained,
                            .on_check = on_check};
  for (int i = 0; i < x->count; i++) SN_TRY(run_row(x, i));
  return finish(x);
}
