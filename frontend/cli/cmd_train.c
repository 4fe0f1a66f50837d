/* sinter train: text -> tokens -> a trained model in a run folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/tune.h"
#include "frontend/cli/data.h"
#include "frontend/cli/ports.h"
#include "frontend/cli/rundir.h"
#include "frontend/cli/train.h"
#include "frontend/distill.h"
#include "frontend/sinter.h"
#include "ir/graph/text.h"
#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"

/* ---- data ---------------------------------------------------------------------------------------------------- */

/* Weights of a run folder know the ids of its tokenizer and no others. */
static sn_code start_tokenizer(cli *c, cli_training *t) {
  const char *init = cli_get(c, CLI_INIT, NULL), *weights = cli_init_file(c), *kind = cli_get(c, CLI_TOKENIZER, NULL);
  if (!init || weights == init) return SN_OK;
  const char *path = sn_dir_of(c->arena, init).tokenizer;
  char *text;
  size_t bytes;
  if (access(path, F_OK)) return SN_OK;
  SN_TRY(cli_read_file(c, path, (size_t)1 << 30, &text, &bytes));
  SN_TRY(sn_tokenizer_parse(c->arena, c->diags, path, text, bytes, &t->tokenizer));
  if (!kind || !strcmp(kind, sn_tokenizer_type(t->tokenizer))) return SN_OK;
  sn_code code = sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = path}, "--init names weights of another vocabulary");
  sn_fail_expected(c->diags, "--tokenizer %s, %d ids", sn_tokenizer_type(t->tokenizer),
                   sn_tokenizer_vocab(t->tokenizer));
  sn_fail_found(c->diags, "--tokenizer %s", kind);
  sn_fail_note(c->diags, "without --tokenizer that of the run folder is taken");
  return code;
}

static sn_code make_tokenizer(cli *c, cli_training *t) {
  const char *kind = cli_get(c, CLI_TOKENIZER, "byte");
  if (t->teacher) return t->tokenizer = t->teacher->tokenizer, SN_OK;
  SN_TRY(start_tokenizer(c, t));
  if (t->tokenizer) return SN_OK;
  if (!strcmp(kind, "byte")) {
    t->tokenizer = sn_tokenizer_byte(c->arena);
    return SN_OK;
  }
  if (strcmp(kind, "char")) return cli_usage_error(c, "--tokenizer takes byte or char, found \"%s\"", kind);
  sn_text all = sn_text_begin(c->arena);
  for (int i = 0; i < t->part_count; i++) sn_text_bytes(&all, t->parts[i].text, t->parts[i].bytes);
  return sn_tokenizer_char(c->arena, c->diags, all.at, (size_t)all.count, &t->tokenizer);
}

static bool gives_vocab(const cli_values *v) {
  for (int i = 0; i < v->count; i++)
    if (!strncmp(v->at[i], "vocab=", 6)) return true;
  return false;
}

/* vocab: of the setting; 0: what the command line says. */
static sn_code load_with(cli *c, cli_training *t, const char *graphs, int64_t vocab, cli_source *out) {
  const cli_values *v = &c->value[CLI_SET];
  const char **set = SN_ARRAY(c->arena, v->count + 1, const char *);
  for (int i = 0; i < v->count; i++) set[i] = v->at[i];
  t->set_count = v->count, t->set = set;
  if (vocab) set[t->set_count++] = sn_arena_printf(c->arena, "vocab=%lld", (long long)vocab);
  return cli_load(c, t->path, graphs, t->set_count, set, out);
}

/* Does training make its answers of the tokens alone? Then an id that no text has may be shown in place of others. */
static bool hides(const sn_module *m) {
  const sn_func *f = sn_module_find(m, "train");
  return f && !sn_func_leaf(f, SN_OP_INPUT, "targets");
}

/* With the ids that no text has, if the model takes them. */
static sn_code load_marked(cli *c, cli_training *t, const char *graphs, int64_t vocab, cli_source *out) {
  int64_t marks = cli_data_marks(out->settings, hides(out->module));
  if (!marks || !load_with(c, t, graphs, vocab + marks, out)) return SN_OK;
  c->diags->count = 0;
  return load_with(c, t, graphs, vocab, out);
}

/* The vocabulary of the teacher or tokenizer becomes the setting `vocab`, unless --set says otherwise. */
static sn_code load_model(cli *c, cli_training *t, const char *graphs, cli_source *out) {
  if (gives_vocab(&c->value[CLI_SET])) return load_with(c, t, graphs, 0, out);
  int64_t vocab = t->teacher ? t->teacher->vocab : sn_tokenizer_vocab(t->tokenizer);
  sn_code code = load_with(c, t, graphs, vocab, out);
  if (!code) return t->teacher ? SN_OK : load_marked(c, t, graphs, vocab, out);
  if (!out->file || cli_declares(out, "vocab")) return code;
  c->diags->count = 0; /* a model without that setting has its own idea of ids */
  return load_with(c, t, graphs, 0, out);
}

/* ---- scalars --------------------------------------------------------------------------------------------------- */

/* Inputs of the graph `train` that are numbers of the schedule, and what they may be. */
typedef struct scalar_row {
  cli_option option;
  const char *name;
  double min, max;
  bool whole;
} scalar_row;

/* clang-format off */
static const scalar_row scalars[] = {
  {CLI_LR,             "lr",           0,    1e6,      false},
  {CLI_MIN_LR,         "min_lr",       0,    1e6,      false},
  {CLI_WARMUP,         "warmup",       0,    1e12,     true},
  {CLI_CLIP,           "clip",         0,    1e30,     false},
  {CLI_WEIGHT_DECAY,   "weight_decay", 0,    1e3,      false},
  {CLI_BETA2,          "beta2",        0,    0.999999, false},
  {CLI_KD_TEMPERATURE, "temperature",  1e-3, 1e3,      false},
  {CLI_KD_WEIGHT,      "kd_weight",    0,    1e6,      false},
  {CLI_KD_END,         "kd_end",       0,    1e6,      false},
};
/* clang-format on */
enum { SCALARS = sizeof scalars / sizeof *scalars };

static sn_code read_scalar(cli *c, const scalar_row *r, double *out) {
  int64_t n;
  if (!r->whole) return cli_real(c, r->option, 0, r->min, r->max, out);
  SN_TRY(cli_int(c, r->option, 0, (int64_t)r->min, (int64_t)r->max, &n));
  *out = (double)n;
  return SN_OK;
}

static int train_slot(const cli_training *t, const char *name) {
  const sn_plan *p = t->compiled.plan;
  return sn_plan_find_slot(p, sn_plan_find_graph(p, "train"), name);
}

static sn_code add_scalar(cli *c, cli_training *t, const scalar_row *r) {
  double x;
  if (!cli_has(c, r->option)) return SN_OK;
  SN_TRY(read_scalar(c, r, &x));
  if (train_slot(t, r->name) < 0)
    return cli_usage_error(c, "--%s: the graph train of %s has no scalar called %s", cli_option_name(r->option),
                           t->source.name, r->name);
  t->scalar[t->scalar_count++] = (sn_scalar_value){r->name, x};
  return SN_OK;
}

/* What the scalar will be: given, else the default of the model; NAN: neither. */
static double scalar_value(const cli_training *t, const char *name) {
  for (int i = 0; i < t->scalar_count; i++)
    if (!strcmp(t->scalar[i].name, name)) return t->scalar[i].value;
  int slot = train_slot(t, name);
  return slot >= 0 && t->compiled.plan->slot[slot].optional ? t->compiled.plan->slot[slot].init_a : NAN;
}

/* The rate falls: from lr to min_lr. A call that gives neither takes what the model says. */
static sn_code check_rates(cli *c, const cli_training *t) {
  double most = scalar_value(t, "lr"), least = scalar_value(t, "min_lr");
  if (!(least > most) || (!cli_has(c, CLI_LR) && !cli_has(c, CLI_MIN_LR))) return SN_OK;
  return cli_usage_error(c, "--min-lr takes at most the peak --lr, which is %g, found %g%s", most, least,
                         cli_has(c, CLI_MIN_LR) ? "" : " (the model's own: give --min-lr as well)");
}

static sn_code read_scalars(cli *c, cli_training *t) {
  for (int i = 0; i < SCALARS; i++) SN_TRY(add_scalar(c, t, &scalars[i]));
  SN_TRY(check_rates(c, t));
  int slot = train_slot(t, "steps");
  if (cli_has(c, CLI_STEPS))
    SN_TRY(cli_int(c, CLI_STEPS, 0, 1, INT64_C(1) << 40, &t->steps));
  else
    t->steps = slot >= 0 && t->compiled.plan->slot[slot].optional ? (int64_t)t->compiled.plan->slot[slot].init_a : 1000;
  if (slot >= 0) t->scalar[t->scalar_count++] = (sn_scalar_value){"steps", (double)t->steps};
  return SN_OK;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

/* What is no number, or none of its range, is told before anything is compiled. */
static sn_code check_numbers(cli *c) {
  static const cli_option counts[] = {CLI_STEPS, CLI_EVAL_EVERY, CLI_CHECKPOINT};
  double x;
  int64_t n;
  for (int i = 0; i < SCALARS; i++) SN_TRY(read_scalar(c, &scalars[i], &x));
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) SN_TRY(cli_int(c, counts[i], 1, 1, INT64_C(1) << 40, &n));
  return SN_OK;
}

static sn_code read_numbers(cli *c, cli_training *t) {
  int64_t seed, threads;
  SN_TRY(check_numbers(c));
  SN_TRY(cli_int(c, CLI_BATCH, 12, 1, 1 << 20, &t->batch));
  SN_TRY(cli_int(c, CLI_SEED, 1, 0, INT64_MAX, &seed));
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  SN_TRY(cli_real(c, CLI_VAL_FRACTION, 0.1, 0, 0.9, &t->val_fraction));
  const char *batches = cli_get(c, CLI_EVAL_BATCHES, "20");
  t->eval_batches = -1;
  if (strcmp(batches, "all")) SN_TRY(cli_int(c, CLI_EVAL_BATCHES, 20, 1, INT64_C(1) << 40, &t->eval_batches));
  t->seed = (uint64_t)seed;
  t->threads = (int)threads;
  return SN_OK;
}

static sn_code read_intervals(cli *c, cli_training *t) {
  int64_t tenth = t->steps >= 10 ? t->steps / 10 : 1;
  SN_TRY(cli_int(c, CLI_EVAL_EVERY, tenth, 1, INT64_C(1) << 40, &t->eval_every));
  return cli_int(c, CLI_CHECKPOINT, t->eval_every, 1, INT64_C(1) << 40, &t->checkpoint_every);
}

static bool serves(const cli_source *s) {
  const char *graph;
  return sn_module_find(s->module, "prefill") && sn_module_find(s->module, "decode") &&
         !cli_given_state(s->module, &graph);
}

/* Do the caches of the graph decode wrap? */
static bool has_ring(const sn_module *m) {
  for (int i = 0; i < m->func_count; i++)
    for (int k = 0; k < m->func[i]->node_count; k++) {
      const sn_node *n = m->func[i]->node[k];
      if (n->op == SN_OP_DYN_WRITE && sn_node_attr(n, "ring")->set && sn_node_attr(n, "ring")->i) return true;
    }
  return false;
}

/* ---- the folder -------------------------------------------------------------------------------------------------- */

sn_code cli_training_describe(cli_training *t) {
  cli *c = t->c;
  cli_source all;
  sn_compiled serving;
  unsigned char *plan = NULL;
  size_t plan_bytes = 0;
  sn_text graph = sn_text_begin(c->arena), settings = sn_text_begin(c->arena), tokenizer = sn_text_begin(c->arena);
  sn_text recipe = sn_text_begin(c->arena);
  SN_TRY(load_model(c, t, NULL, &all));
  sn_run_settings rs = {all.name,
                        all.settings,
                        t->path,
                        has_ring(all.module),
                        (int64_t)t->seed,
                        cli_get(c, CLI_PRECISION, "f32"),
                        sn_tokenizer_vocab(t->tokenizer)};
  sn_module_print(&graph, all.module, (sn_print_opt){.locations = true});
  sn_run_settings_print(&settings, &rs);
  sn_recipe_print(&recipe, &t->recipe);
  sn_tokenizer_print(&tokenizer, t->tokenizer);
  t->serves = serves(&all);
  if (t->serves && t->compiled.backend) {
    sn_compile_opt opt = cli_compile_opt(c, &all);
    opt.fuse = opt.disabled = NULL;
    SN_TRY(cli_compile_serving(c, all.module, &opt, &serving));
    SN_TRY(sn_plan_write(c->arena, serving.plan, &plan, &plan_bytes));
  }
  SN_TRY(sn_file_write_all(t->dir.graph, graph.at, (size_t)graph.count, c->diags));
  SN_TRY(sn_file_write_all(t->dir.settings, settings.at, (size_t)settings.count, c->diags));
  SN_TRY(sn_file_write_all(t->dir.recipe, recipe.at, (size_t)recipe.count, c->diags));
  SN_TRY(sn_file_write_all(t->dir.tokenizer, tokenizer.at, (size_t)tokenizer.count, c->diags));
  return t->serves ? sn_file_write_all(t->dir.plan, plan, plan_bytes, c->diags) : SN_OK;
}

/* Teacher and student read the same tokens: the shorter context counts. */
static void say_context(const cli_training *t) {
  int64_t own = sn_distill_context(t->source.module, "train"), other = sn_distill_context(t->teacher->module, "logits");
  if (!own || !other || own == other) return;
  fprintf(stderr, "sinter: context %lld: the student could take %lld, the teacher takes %lld\n",
          (long long)(own < other ? own : other), (long long)own, (long long)other);
}

static sn_code compile_training(cli *c, cli_training *t) {
  SN_TRY(load_model(c, t, "train|eval", &t->source));
  if (!sn_module_find(t->source.module, "train"))
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->path},
                   "the model has no graph called train (tokens, targets) -> loss");
  if (t->val_fraction > 0 && !sn_module_find(t->source.module, "eval"))
    return sn_fail(
        c->diags, SN_ERR_INPUT, (sn_loc){.file = t->path},
        "the model has no graph called eval (tokens, targets) -> loss: add one, or train with --val-fraction 0");
  SN_TRY(cli_check_ports(c, t->source.module, "train", t->path));
  if (t->teacher && hides(t->source.module))
    return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->path},
                   "a teacher predicts the next token: the graph train has no targets, it asks for other things");
  if (t->val_fraction > 0) SN_TRY(cli_check_ports(c, t->source.module, "eval", t->path));
  if (t->teacher) {
    say_context(t);
    SN_TRY(cli_teacher_join(c, t->teacher, t->source.module, &t->source.module));
  }
  sn_compile_opt opt = cli_compile_opt(c, &t->source);
  const cli_tune_model model = {t->path, t->set_count, t->set, t->batch};
  SN_TRY(cli_tune_first(c, &model));
  return cli_compile(c, t->source.module, &opt, &t->compiled);
}

/* errors: SN_ERR_LIMIT: it does not fit --mem-limit */
static sn_code compile_fitting(cli *c, cli_training *t) {
  sn_runtime *r;
  SN_TRY(compile_training(c, t));
  SN_TRY(cli_data_window(c, t->compiled.plan, "train", t->path, &t->window));
  if (!c->memory_limit) return SN_OK;
  sn_runtime_opt ro = cli_runtime_opt(c, &t->compiled, t->threads);
  SN_TRY(sn_runtime_create(t->compiled.plan, &ro, c->diags, &r));
  sn_code code = cli_check_memory(c, r, t->batch, t->window, "train", t->val_fraction > 0 ? "eval" : NULL);
  sn_runtime_destroy(r);
  return code;
}

static sn_dir_mode mode_of(const cli *c) {
  return cli_has(c, CLI_RESUME) ? SN_DIR_RESUME : cli_has(c, CLI_FORCE) ? SN_DIR_FORCE : SN_DIR_NEW;
}

/* A former run is not removed before there are weights to start from. */
static sn_code open_folder(cli *c, cli_training *t) {
  if (mode_of(c) != SN_DIR_RESUME) SN_TRY(cli_training_init(t));
  return sn_dir_open(&t->dir, mode_of(c), c->diags, &t->lock);
}

static sn_code prepare(cli *c, cli_training *t) {
  SN_TRY(cli_word(c, "MODEL.c", &t->path));
  t->dir_path = cli_get(c, CLI_OUT_DIR, "out");
  t->dir = sn_dir_of(c->arena, t->dir_path);
  if (cli_has(c, CLI_RESUME) && cli_has(c, CLI_FORCE))
    return cli_usage_error(c, "--resume and --force exclude each other");
  SN_TRY(sn_dir_check(&t->dir, mode_of(c), c->diags)); /* before anything is compiled */
  SN_TRY(cli_recipe_restore(t));
  if (t->distills) SN_TRY(cli_teacher_read(c, t->teacher = SN_NEW(c->arena, cli_teacher)));
  SN_TRY(read_numbers(c, t));
  if (!cli_has(c, CLI_RESUME)) SN_TRY(cli_training_read_init(t)); /* before anything is compiled */
  SN_TRY(cli_data_parts(c, "the newest checkpoint is from before: go on with --resume and the file as it was",
                        &t->part_count, &t->parts));
  SN_TRY(make_tokenizer(c, t));
  sn_code code = compile_fitting(c, t);
  if (cli_fuse_losses(c, code)) code = cli_fused_losses(c, compile_fitting(c, t));
  if (code) return code;
  SN_TRY(read_scalars(c, t));
  SN_TRY(read_intervals(c, t));
  int64_t ids;
  SN_TRY(cli_data_ids(t->source.settings, t->tokenizer, c->diags, &ids));
  SN_TRY(sn_dataset_create(c->diags, t->tokenizer, t->part_count, t->parts, t->val_fraction, t->window, ids, &t->data));
  SN_TRY(cli_recipe_record(t));
  if (!sn_dataset_borrows(t->data)) cli_data_close();
  sn_runtime_opt ro = cli_runtime_opt(c, &t->compiled, t->threads);
  SN_TRY(cli_trace_begin(c, t->compiled.plan, &ro));
  SN_TRY(sn_runtime_create(t->compiled.plan, &ro, c->diags, &t->runtime));
  SN_TRY(sn_store_create(t->runtime, t->seed, NULL, c->diags, &t->store));
  if (t->teacher) SN_TRY(cli_teacher_load(c, t->teacher, t->store, t->compiled.plan, &t->teacher_hash));
  return open_folder(c, t);
}

static int run_protected(void *arg) {
  cli_training *t = arg;
  SN_TRY(prepare(t->c, t));
  return cli_training_run(t);
}

static sn_code train(cli *c, bool distills) {
  cli_training t = {.c = c, .lock = {.fd = -1}, .distills = distills};
  sn_code code = (sn_code)sn_protect(run_protected, &t); /* what it made is freed below, also when memory runs out */
  sn_metrics_close(t.metrics);
  sn_store_destroy(t.store);
  sn_runtime_destroy(t.runtime);
  sn_dataset_destroy(t.data);
  cli_data_close();
  free(t.init);
  if (code)
    sn_dir_abandon(&t.dir, t.lock);
  else
    sn_dir_release(t.lock);
  return code;
}

sn_code cli_train(cli *c) { return train(c, false); }

sn_code cli_distill(cli *c) { return train(c, true); }
