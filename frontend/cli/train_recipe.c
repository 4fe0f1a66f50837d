/* run.json <-> options of the command: --resume goes on with what the run was started with, and refuses options that
 * say otherwise. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/cli/train.h"
#include "runtime/io/file.h"

typedef enum kind {
  LOCAL, /* concerns this call alone: not part of a run */
  FIXED, /* decides the bits of the weights */
  LOOSE, /* may differ when the run goes on; that is said */
  NAMED, /* --set: one value per name */
  PATHS, /* --data, --init, --teacher: compared by content, or not at all once there is a checkpoint */
} kind;

/* Every option is named here, so that a new one is thought about. table */
static kind kind_of(cli_option o) {
  switch (o) {
    case CLI_TOKENIZER:
    case CLI_BATCH:
    case CLI_LR:
    case CLI_MIN_LR:
    case CLI_WARMUP:
    case CLI_CLIP:
    case CLI_WEIGHT_DECAY:
    case CLI_BETA2:
    case CLI_VAL_FRACTION:
    case CLI_SEED:
    case CLI_TARGET:
    case CLI_BACKEND:
    case CLI_ISA:
    case CLI_TRAINABLE:
    case CLI_PRECISION:
    case CLI_VOCAB:
    case CLI_SCAN:
    case CLI_DIVERGENCE:
    case CLI_KD_TEMPERATURE:
    case CLI_KD_WEIGHT:
    case CLI_KD_END:
    case CLI_FUSE:
    case CLI_DISABLE: return FIXED;
    case CLI_STEPS:
    case CLI_EVAL_EVERY:
    case CLI_EVAL_BATCHES:
    case CLI_CHECKPOINT: return LOOSE;
    case CLI_SET: return NAMED;
    case CLI_DATA:
    case CLI_TEACHER: /* a checkpoint knows the hash of its weights */
    case CLI_INIT: return PATHS;
    case CLI_THREADS:
    case CLI_MEM_LIMIT:
    case CLI_TRACE:
    case CLI_OUT_DIR:
    case CLI_RESUME:
    case CLI_FORCE:
    case CLI_NO_CACHE:
    case CLI_DEBUG_INFO:
    case CLI_CALIBRATE:
    case CLI_TUNE: /* equal bits */
    case CLI_TUNE_SECONDS:
    case CLI_JSON:
    case CLI_HELP:
    case CLI_PROMPT: /* from here on: of other commands */
    case CLI_QUANTIZE:
    case CLI_TOKENS:
    case CLI_TEMPERATURE:
    case CLI_TOP_K:
    case CLI_TOP_P:
    case CLI_BEAM:
    case CLI_DRAFT:
    case CLI_AHEAD:
    case CLI_OUTPUT:
    case CLI_EMIT:
    case CLI_LEVELS:
    case CLI_GRAPH:
    case CLI_LIST:
    case CLI_ALL:
    case CLI_ROWS:
    case CLI_SEEDS:
    case CLI_QUICK:
    case CLI_KERNELS:
    case CLI_PLAN:
    case CLI_DIM:
    case CLI_IN:
    case CLI_OUT:
    case CLI_GRAD:
    case CLI_WRT:
    case CLI_CHECK:
    case CLI_PLANTS:
    case CLI_PART:
    case CLI_COUNT:
    case CLI_EACH_PASS:
    case CLI_BRIEF:
    case CLI_MOST:
    case CLI_FAILURES:
    case CLI_NO_REDUCE:
    case CLI_LADDER:
    case CLI_SVG:
    case CLI_PROFILE:
    case CLI_WHOLE:
    case CLI_REPEAT:
    case CLI_PASS:
    case CLI_HTML:
    case CLI_OPTION_COUNT: return LOCAL;
  }
  return LOCAL;
}

static const char *absolute(cli *c, const char *path) {
  char *real = realpath(path, NULL);
  const char *copy = sn_arena_strdup(c->arena, real ? real : path);
  free(real);
  return copy;
}

/* ---- restoring --------------------------------------------------------------------------------------------------- */

/* The same text, path or number? */
static bool same_value(cli *c, cli_option o, const char *a, const char *b) {
  char *end_a, *end_b;
  if (o == CLI_INIT || o == CLI_TEACHER || o == CLI_BACKEND) return !strcmp(absolute(c, a), absolute(c, b));
  if (!strcmp(a, b)) return true;
  double x = strtod(a, &end_a), y = strtod(b, &end_b);
  return *a && *b && !*end_a && !*end_b && x == y;
}

static sn_code conflict(cli_training *t, const char *option, const char *expected, const char *found) {
  sn_diags *d = t->c->diags;
  sn_fail(d, SN_ERR_INPUT, (sn_loc){.file = t->dir.recipe}, "--%s differs from what the run was started with", option);
  sn_fail_expected(d, "%s (--resume restores it: leave the option out)", expected);
  sn_fail_found(d, "%s", found);
  return SN_ERR_INPUT;
}

static void give(cli *c, cli_option o, const char *value) {
  cli_values *v = &c->value[o];
  SN_GROW(c->arena, v->at, v->count, v->capacity);
  v->at[v->count++] = value;
}

static cli_option option_called(const char *name) {
  for (int o = 0; o < CLI_OPTION_COUNT; o++)
    if (!strcmp(cli_option_name((cli_option)o), name) && kind_of((cli_option)o) != LOCAL) return (cli_option)o;
  return CLI_OPTION_COUNT;
}

/* Do both say NAME=...? */
static bool same_name(const char *a, const char *b) {
  size_t n = strcspn(a, "=");
  return n == strcspn(b, "=") && !strncmp(a, b, n);
}

/* The last of this call's --set that has the name of `pair`; NULL: none. */
static const char *given_setting(const cli_values *set, int count, const char *pair) {
  const char *found = NULL;
  for (int i = 0; i < count; i++)
    if (same_name(set->at[i], pair)) found = set->at[i];
  return found;
}

static sn_code restore_setting(cli_training *t, int given, const char *pair) {
  cli *c = t->c;
  const char *found = given_setting(&c->value[CLI_SET], given, pair), *value = strchr(pair, '=');
  if (!found) give(c, CLI_SET, pair);
  if (!found || !strcmp(found, pair)) return SN_OK;
  const char *now = strchr(found, '=');
  if (now && value && same_value(c, CLI_SET, now + 1, value + 1)) return SN_OK;
  return conflict(t, "set", pair, found);
}

static sn_code restore_one(cli_training *t, cli_option o, const char *value) {
  cli *c = t->c;
  const char *now = cli_get(c, o, NULL);
  if (!now && o == CLI_BACKEND) { /* code is not loaded because a file of a run says so */
    sn_fail(c->diags, SN_ERR_USAGE, (sn_loc){.file = t->dir.recipe},
            "the run was started with --backend: give it again");
    sn_fail_expected(c->diags, "--backend %s", value);
    return SN_ERR_USAGE;
  }
  if (!now) give(c, o, value);
  if (!now || same_value(c, o, now, value)) return SN_OK;
  if (kind_of(o) != LOOSE) return conflict(t, cli_option_name(o), value, now);
  fprintf(stderr, "sinter: going on with --%s %s instead of %s\n", cli_option_name(o), now, value);
  return SN_OK;
}

/* What this call gives and the run was started without. */
static sn_code check_added(cli_training *t, int sets, const sn_recipe *r) {
  cli *c = t->c;
  for (int o = 0; o < CLI_OPTION_COUNT; o++) {
    bool known = !cli_has(c, (cli_option)o) || kind_of((cli_option)o) != FIXED;
    for (int i = 0; i < r->option_count && !known; i++) known = option_called(r->option[i].name) == (cli_option)o;
    if (!known) return conflict(t, cli_option_name((cli_option)o), "not given", cli_get(c, (cli_option)o, NULL));
  }
  for (int i = 0; i < sets; i++) {
    const char *pair = c->value[CLI_SET].at[i];
    bool known = false;
    for (int k = 0; k < r->option_count && !known; k++)
      known = option_called(r->option[k].name) == CLI_SET && same_name(r->option[k].value, pair);
    if (!known) return conflict(t, "set", "the model's own value", pair);
  }
  return SN_OK;
}

static sn_code restore(cli_training *t, const sn_recipe *r) {
  cli *c = t->c;
  int sets = c->value[CLI_SET].count;
  SN_TRY(check_added(t, sets, r));
  for (int i = 0; i < r->option_count; i++) {
    cli_option o = option_called(r->option[i].name);
    if (o == CLI_TEACHER && !t->distills)
      return sn_fail(c->diags, SN_ERR_USAGE, (sn_loc){.file = t->dir.recipe},
                     "the run has a teacher: go on with `sinter distill --resume`");
    if (o == CLI_OPTION_COUNT)
      return sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->dir.recipe}, "--%s is no option of a run",
                     r->option[i].name);
    SN_TRY(o == CLI_SET ? restore_setting(t, sets, r->option[i].value) : restore_one(t, o, r->option[i].value));
  }
  bool given = cli_has(c, CLI_DATA);
  for (int i = 0; i < r->data_count && !given; i++)
    if (r->data[i].path[0]) give(c, CLI_DATA, r->data[i].path);
  return SN_OK;
}

sn_code cli_recipe_restore(cli_training *t) {
  cli *c = t->c;
  char *text;
  size_t bytes;
  if (!cli_has(c, CLI_RESUME) || (access(t->dir.recipe, F_OK) && errno == ENOENT)) return SN_OK;
  SN_TRY(cli_read_file(c, t->dir.recipe, 1 << 28, &text, &bytes));
  SN_TRY(sn_recipe_parse(c->arena, c->diags, t->dir.recipe, text, bytes, &t->started));
  return restore(t, &t->started);
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

static const char *data_text(cli *c, const sn_run_data *d) {
  return sn_arena_printf(c->arena, "%lld bytes with hash %016llx", (long long)d->bytes, (unsigned long long)d->hash);
}

static sn_code check_data(cli_training *t) {
  cli *c = t->c;
  const sn_recipe *was = &t->started, *is = &t->recipe;
  if (was->data_count && was->data_count != is->data_count)
    return conflict(t, "data", sn_arena_printf(c->arena, "%d files", was->data_count),
                    sn_arena_printf(c->arena, "%d", is->data_count));
  for (int i = 0; i < was->data_count; i++) {
    const sn_run_data *a = &was->data[i], *b = &is->data[i];
    if (a->bytes == b->bytes && a->hash == b->hash) continue;
    sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = t->parts[i].name},
            "the data is not what the run was started with (%s)", a->path[0] ? a->path : "the embedded corpus");
    sn_fail_expected(c->diags, "%s", data_text(c, a));
    sn_fail_found(c->diags, "%s", data_text(c, b));
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

/* ---- recording --------------------------------------------------------------------------------------------------- */

/* The shortest text that reads back as x. */
static const char *real_text(cli *c, double x) {
  char s[40];
  if (fabs(x) < 1e15 && x == floor(x)) return sn_arena_printf(c->arena, "%.0f", x);
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, x);
    if (strtod(s, NULL) == x) break;
  }
  return sn_arena_strdup(c->arena, s);
}

typedef struct list {
  cli_training *t;
  int count, capacity;
  sn_run_option *at;
} list;

static void add(list *l, cli_option o, const char *value) {
  if (!value) return;
  SN_GROW(l->t->c->arena, l->at, l->count, l->capacity);
  l->at[l->count++] = (sn_run_option){cli_option_name(o), value, kind_of(o) != FIXED};
}

static void add_int(list *l, cli_option o, int64_t x) {
  add(l, o, sn_arena_printf(l->t->c->arena, "%lld", (long long)x));
}

/* A scalar input of the graph train: as given, else the model's default. */
static void add_scalar(list *l, cli_option o, const char *name) {
  cli_training *t = l->t;
  const sn_plan *p = t->compiled.plan;
  for (int i = 0; i < t->scalar_count; i++)
    if (!strcmp(t->scalar[i].name, name)) {
      add(l, o, real_text(t->c, t->scalar[i].value));
      return;
    }
  int slot = sn_plan_find_slot(p, sn_plan_find_graph(p, "train"), name);
  if (slot >= 0 && p->slot[slot].optional) add(l, o, real_text(t->c, p->slot[slot].init_a));
}

static void add_all(list *l) {
  cli_training *t = l->t;
  cli *c = t->c;
  for (int i = 0; i < c->value[CLI_SET].count; i++) add(l, CLI_SET, c->value[CLI_SET].at[i]);
  add(l, CLI_TOKENIZER, sn_tokenizer_type(t->tokenizer));
  add_int(l, CLI_BATCH, t->batch);
  add_int(l, CLI_STEPS, t->steps);
  add_scalar(l, CLI_LR, "lr");
  add_scalar(l, CLI_MIN_LR, "min_lr");
  add_scalar(l, CLI_WARMUP, "warmup");
  add_scalar(l, CLI_CLIP, "clip");
  add_scalar(l, CLI_WEIGHT_DECAY, "weight_decay");
  add_scalar(l, CLI_BETA2, "beta2");
  add(l, CLI_VAL_FRACTION, real_text(c, t->val_fraction));
  add_int(l, CLI_EVAL_EVERY, t->eval_every);
  add(l, CLI_EVAL_BATCHES, t->eval_batches < 0 ? "all" : sn_arena_printf(c->arena, "%lld", (long long)t->eval_batches));
  add_int(l, CLI_CHECKPOINT, t->checkpoint_every);
  add_int(l, CLI_SEED, (int64_t)t->seed);
  if (cli_has(c, CLI_BACKEND))
    add(l, CLI_BACKEND, absolute(c, cli_get(c, CLI_BACKEND, NULL)));
  else
    add(l, CLI_TARGET, cli_get(c, CLI_TARGET, "cpu"));
  add(l, CLI_ISA, cli_get(c, CLI_ISA, NULL));
  add(l, CLI_PRECISION, cli_get(c, CLI_PRECISION, "f32"));
  add(l, CLI_VOCAB, c->vocab ? c->vocab : cli_get(c, CLI_VOCAB, NULL)); /* so that it goes on with equal bits */
  add(l, CLI_SCAN, cli_get(c, CLI_SCAN, NULL));
  add(l, CLI_TRAINABLE, cli_get(c, CLI_TRAINABLE, NULL));
  add(l, CLI_FUSE, cli_get(c, CLI_FUSE, NULL));
  add(l, CLI_DISABLE, cli_get(c, CLI_DISABLE, NULL));
  if (t->teacher) {
    add(l, CLI_DIVERGENCE, t->teacher->divergence);
    add(l, CLI_KD_TEMPERATURE, real_text(c, t->teacher->temperature));
    add(l, CLI_KD_WEIGHT, real_text(c, t->teacher->weight));
    if (t->teacher->changes) add(l, CLI_KD_END, real_text(c, t->teacher->end));
    add(l, CLI_TEACHER, absolute(c, t->teacher->path));
  }
  if (cli_has(c, CLI_INIT)) add(l, CLI_INIT, absolute(c, cli_get(c, CLI_INIT, NULL)));
}

sn_code cli_recipe_record(cli_training *t) {
  cli *c = t->c;
  list l = {.t = t};
  add_all(&l);
  sn_run_data *data = SN_ARRAY(c->arena, t->part_count + 1, sn_run_data);
  bool files = cli_has(c, CLI_DATA);
  for (int i = 0; i < t->part_count; i++)
    data[i] = (sn_run_data){files ? absolute(c, t->parts[i].name) : "", (int64_t)t->parts[i].bytes,
                            sn_dataset_part_hash(t->data, i)};
  t->recipe = (sn_recipe){l.count, t->part_count, l.at, data};
  return check_data(t);
}
