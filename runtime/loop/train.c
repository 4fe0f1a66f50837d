/* The training loop. */
#include "runtime/loop/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/loop/eval.h"

enum { SCALARS = 32 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A scalar input in its own type. */
typedef union scalar {
  double f64;
  float f32;
  int64_t i64;
  int32_t i32;
} scalar;

typedef struct session {
  const sn_train_opt *o;
  sn_diags *diags;
  int32_t *tokens, *targets; /* [batch, window] */
  float loss, watched;
  scalar value[SCALARS];
  sn_buffer buffer[SCALARS + 5];
  int buffer_count;
  double start;
  sn_tally *tally; /* losses since the last evaluation */
  bool unsaved;    /* a save failed: try again soon */
} session;

static sn_code store_scalar(scalar *s, sn_elem e, double x, sn_diags *diags, const char *name) {
  switch (e) {
    case SN_ELEM_F64: s->f64 = x; return SN_OK;
    case SN_ELEM_F32: s->f32 = (float)x; return SN_OK;
    case SN_ELEM_I64: s->i64 = (int64_t)x; return SN_OK;
    case SN_ELEM_I32: s->i32 = (int32_t)x; return SN_OK;
    default:
      return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "scalar input %s has a type that cannot be set: %s", name,
                     sn_elem_name(e));
  }
}

static sn_code bind_scalar(session *s, int graph, const char *name, double x, bool required) {
  int slot = sn_plan_find_slot(s->o->plan, graph, name);
  if (slot < 0 || s->o->plan->slot[slot].type->rank) {
    if (!required) return SN_OK;
    return sn_fail(s->diags, SN_ERR_USAGE, (sn_loc){0}, "the graph `train` has no scalar input called %s", name);
  }
  if (s->buffer_count >= SCALARS)
    return sn_fail(s->diags, SN_ERR_LIMIT, (sn_loc){0}, "more than %d scalar inputs", SCALARS);
  scalar *to = &s->value[s->buffer_count];
  SN_TRY(store_scalar(to, s->o->plan->slot[slot].type->elem, x, s->diags, name));
  s->buffer[s->buffer_count++] = (sn_buffer){.name = name, .data = to};
  return SN_OK;
}

/* All 64 bits where the input has them, else what every type can hold. */
static sn_code bind_seed(session *s, int graph) {
  SN_TRY(bind_scalar(s, graph, "seed", (double)(s->o->seed & 0x7fffff), false));
  int slot = sn_plan_find_slot(s->o->plan, graph, "seed");
  const sn_type *type = slot < 0 ? NULL : s->o->plan->slot[slot].type;
  if (type && !type->rank && type->elem == SN_ELEM_I64) s->value[s->buffer_count - 1].i64 = (int64_t)s->o->seed;
  return SN_OK;
}

static sn_code bind_train(session *s) {
  const sn_train_opt *o = s->o;
  int graph = sn_plan_find_graph(o->plan, "train");
  if (graph < 0) return sn_fail(s->diags, SN_ERR_USAGE, (sn_loc){0}, "the model has no graph called train");
  for (int i = 0; i < o->scalar_count; i++) SN_TRY(bind_scalar(s, graph, o->scalar[i].name, o->scalar[i].value, true));
  SN_TRY(bind_seed(s, graph));
  int64_t b = o->batch, t = o->window;
  s->buffer[s->buffer_count++] = (sn_buffer){"tokens", s->tokens, 2, {b, t}};
  if (sn_plan_find_slot(o->plan, graph, "targets") >= 0)
    s->buffer[s->buffer_count++] = (sn_buffer){"targets", s->targets, 2, {b, t}};
  s->buffer[s->buffer_count++] = (sn_buffer){.name = "loss", .data = &s->loss};
  s->watched = NAN;
  if (o->watch) s->buffer[s->buffer_count++] = (sn_buffer){.name = o->watch, .data = &s->watched};
  return SN_OK;
}

/* ---- evaluation --------------------------------------------------------------------------------- */

static sn_code eval_rows(const sn_train_opt *o, sn_diags *diags, int32_t *ids, int64_t first, int64_t rows,
                         double *sum) {
  int32_t *tokens = ids, *targets = ids + o->batch * o->window;
  double loss;
  for (int64_t r = 0; r < rows; r++)
    sn_dataset_val_row(o->data, first + r, tokens + r * o->window, targets + r * o->window);
  sn_eval_rows_opt run = {o->runtime, o->plan, o->store, tokens, targets, rows, o->window, first};
  SN_TRY(sn_eval_rows(&run, diags, &loss));
  *sum += loss * (double)rows;
  return SN_OK;
}

sn_code sn_evaluate(const sn_train_opt *o, sn_diags *diags, double *out_loss) {
  int64_t rows = sn_dataset_val_rows(o->data), batches = (rows + o->batch - 1) / o->batch, done = 0;
  int64_t wanted = o->eval_batches < 0 || o->eval_batches > batches ? batches : o->eval_batches;
  double sum = 0;
  *out_loss = NAN;
  if (!wanted) return SN_OK;
  sn_arena *scratch = sn_arena_scratch(); /* a target or on_batch may leave through sn_protect */
  if (!scratch) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for an evaluation batch");
  int32_t *ids = SN_ARRAY(scratch, 2 * o->batch * o->window, int32_t);
  sn_code code = SN_OK;
  for (int64_t i = 0; i < wanted && !code; i++) {
    int64_t first = i * batches / wanted * o->batch, n = rows - first < o->batch ? rows - first : o->batch;
    code = eval_rows(o, diags, ids, first, n, &sum);
    done += n;
    if (o->on_batch) o->on_batch(o->user, i + 1, wanted);
  }
  sn_arena_destroy(scratch);
  if (!code) *out_loss = sum / (double)done;
  return code;
}

/* ---- steps -------------------------------------------------------------------------------------- */

static sn_code run_step(session *s, int64_t step) {
  const sn_train_opt *o = s->o;
  for (int64_t r = 0; r < o->batch; r++)
    sn_dataset_train_row(o->data, o->seed, step, o->batch, r, s->tokens + r * o->window, s->targets + r * o->window);
  sn_code code = sn_run(o->runtime, o->store, "train", s->buffer_count, s->buffer, s->diags);
  if (code == SN_ERR_NUMERIC && o->on_nonfinite) o->on_nonfinite(o->user, step, s->buffer_count, s->buffer, s->diags);
  if (code) return code;
  s->tally->loss_sum += s->loss;
  s->tally->loss_count++;
  return SN_OK;
}

static bool every(int64_t step, int64_t n) { return n > 0 && step % n == 0; }

static void fill_event(session *s, int64_t step, sn_train_event *e) {
  const sn_train_opt *o = s->o;
  double seconds = now() - s->start, done = (double)(step - o->first);
  *e = (sn_train_event){
      .step = step, .steps = o->steps, .loss = s->loss, .val_loss = NAN, .watched = s->watched, .seconds = seconds};
  e->train_loss = s->tally->loss_count ? s->tally->loss_sum / (double)s->tally->loss_count : NAN;
  e->tokens_per_s = seconds > 0 ? done * (double)(o->batch * o->window) / seconds : 0;
  e->eta_s = done > 0 ? seconds / done * (double)(o->steps - step) : 0;
  e->last = step >= o->steps;
  e->evaluation = e->last || every(step, o->eval_every);
}

/* A failed save is a warning while the run goes on, and the run's result at its end. */
static sn_code save(session *s, int64_t step, bool last) {
  const sn_train_opt *o = s->o;
  if (!o->save) return SN_OK;
  sn_diags *d = last ? s->diags : sn_diags_scratch();
  sn_code code = o->save(o->user, step, d);
  s->unsaved = code != SN_OK;
  if (last) return code;
  if (code && o->on_warning)
    o->on_warning(o->user, d && d->count ? d->at[0].message : "checkpoint could not be written");
  sn_diags_destroy(d);
  return SN_OK;
}

static sn_code after_step(session *s, int64_t step, sn_train_event *e) {
  const sn_train_opt *o = s->o;
  fill_event(s, step, e);
  if (e->evaluation) {
    if (o->check) SN_TRY(o->check(o->user, step, s->diags));
    double before = now();
    SN_TRY(sn_evaluate(o, s->diags, &e->val_loss));
    s->start += now() - before; /* the rate is that of training */
    s->tally->loss_sum = 0, s->tally->loss_count = 0;
  }
  if (o->on_event) o->on_event(o->user, e); /* before saving: a resumed run repeats it rather than losing it */
  bool stop = o->stop && *o->stop;
  if (!e->last && !stop && !every(step, o->checkpoint_every) && !(s->unsaved && e->evaluation)) return SN_OK;
  if (o->check) SN_TRY(o->check(o->user, step, s->diags));
  SN_TRY(save(s, step, e->last || stop));
  return stop && !e->last ? SN_ERR_INTERRUPTED : SN_OK;
}

/* Nothing left to do: one evaluation, so that the caller has a result, and the files of the end, which a crash right
 * after the last checkpoint may have left out. */
static sn_code finished(session *s, sn_train_event *out) {
  fill_event(s, s->o->first, out);
  out->loss = NAN;
  SN_TRY(sn_evaluate(s->o, s->diags, &out->val_loss));
  return save(s, s->o->first, true);
}

/* The run ends here by numbers or by data: what `step` steps made is saved, if the data is what it was. -> code. Of
 * data that is refused before the first step there is nothing to save. */
static sn_code keep(session *s, int64_t step, sn_code code) {
  if (code != SN_ERR_NUMERIC && (code != SN_ERR_INPUT || step == s->o->first)) return code;
  sn_diags *said = code == SN_ERR_INPUT ? sn_diags_scratch() : s->diags; /* of changed data it was said */
  if (!s->o->check || !s->o->check(s->o->user, step, said)) {
    (void)save(s, step, false);
    if (code == SN_ERR_INPUT) sn_fail_note(s->diags, "after step %" PRId64 ", whose weights are saved", step);
  }
  if (said != s->diags) sn_diags_destroy(said);
  return code;
}

static sn_code loop(session *s, sn_train_event *out) {
  SN_TRY(bind_train(s));
  s->start = now();
  if (!s->o->first) *s->tally = (sn_tally){0};
  if (s->o->first >= s->o->steps) return finished(s, out);
  for (int64_t step = s->o->first; step < s->o->steps; step++) {
    sn_code code = run_step(s, step);
    if (code) return keep(s, step, code);
    code = after_step(s, step + 1, out);
    if (code == SN_ERR_INPUT) return keep(s, step + 1, code); /* of the data: an evaluation of nothing */
    if (code) return code;
  }
  return SN_OK;
}

typedef struct training {
  session *s;
  sn_train_event *out;
} training;

static int loop_protected(void *arg) {
  training *t = arg;
  return loop(t->s, t->out);
}

sn_code sn_train(const sn_train_opt *o, sn_diags *diags, sn_train_event *out) {
  session s = {.o = o, .diags = diags, .tally = sn_store_tally(o->store)};
  size_t count = (size_t)(o->batch * o->window);
  s.tokens = malloc(count * sizeof *s.tokens);
  s.targets = malloc(count * sizeof *s.targets);
  training t = {&s, out};
  sn_code code = s.tokens && s.targets ? (sn_code)sn_protect(loop_protected, &t)
                                       : sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for a batch");
  free(s.tokens);
  free(s.targets);
  return code;
}
