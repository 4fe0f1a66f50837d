/* Windows of a text -> mean loss. */
#include "runtime/loop/eval.h"

#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct walk {
  const sn_eval_opt *o;
  sn_diags *diags;
  int32_t *tokens, *targets; /* [batch, window] */
  int64_t done, count;       /* tokens predicted, of how many */
  double sum;
} walk;

static const sn_type *input_of(const sn_plan *p, const char *name) {
  int slot = sn_plan_find_slot(p, sn_plan_find_graph(p, "eval"), name);
  return slot < 0 ? NULL : p->slot[slot].type;
}

sn_code sn_eval_rows(const sn_eval_rows_opt *o, sn_diags *diags, double *out_loss) {
  float loss = 0;
  int64_t draw = o->draw;
  sn_buffer b[4] = {{"tokens", o->tokens, 2, {o->rows, o->length}}, {.name = "loss", .data = &loss}};
  int count = 2;
  if (input_of(o->plan, "targets")) b[count++] = (sn_buffer){"targets", o->targets, 2, {o->rows, o->length}};
  const sn_type *seed = input_of(o->plan, "seed");
  int32_t narrow = (int32_t)(draw & INT32_MAX);
  if (seed && !seed->rank && sn_elem_is_int(seed->elem) && sn_elem_bytes(seed->elem) >= 4)
    b[count++] = (sn_buffer){.name = "seed", .data = seed->elem == SN_ELEM_I64 ? (void *)&draw : &narrow};
  SN_TRY(sn_run(o->runtime, o->store, "eval", count, b, diags));
  *out_loss = (double)loss;
  return SN_OK;
}

/* One run: `rows` windows of `length` tokens from where the walk stands. */
static sn_code run(walk *w, int64_t rows, int64_t length) {
  const sn_eval_opt *o = w->o;
  double loss;
  for (int64_t r = 0; r < rows; r++)
    sn_dataset_val_part(o->data, w->done + r * length, length, w->tokens + r * length, w->targets + r * length);
  sn_eval_rows_opt run = {o->runtime, o->plan, o->store, w->tokens, w->targets, rows, length, w->done};
  SN_TRY(sn_eval_rows(&run, w->diags, &loss));
  w->sum += loss * (double)(rows * length);
  w->done += rows * length;
  return o->on_tokens && !o->on_tokens(o->user, w->done, w->count) ? SN_ERR_INTERRUPTED : SN_OK;
}

/* May T be `length`? */
static bool takes(const sn_plan *p, int64_t length) {
  int slot = sn_plan_find_slot(p, sn_plan_find_graph(p, "eval"), "tokens");
  const sn_dimx *t = slot < 0 || p->slot[slot].type->rank != 2 ? NULL : p->slot[slot].type->dim[1];
  if (!t || length < sn_dimx_min_value(t) || length > sn_dimx_max_value(t)) return false;
  return length % sn_dimx_divisor(t) == 0;
}

static sn_code walk_all(walk *w, sn_eval_result *out) {
  const sn_eval_opt *o = w->o;
  int64_t last = w->count % o->window;
  out->windows = w->count / o->window;
  if (last && !takes(o->plan, last)) out->left_out = last, w->count -= last, last = 0;
  out->last = last;
  for (int64_t left = out->windows; left > 0;) {
    int64_t rows = left < o->batch ? left : o->batch;
    SN_TRY(run(w, rows, o->window));
    left -= rows;
  }
  return last ? run(w, 1, last) : SN_OK;
}

sn_code sn_eval(const sn_eval_opt *o, sn_diags *diags, sn_eval_result *out) {
  walk w = {.o = o, .diags = diags, .count = sn_dataset_val_count(o->data) - 1};
  size_t ids = (size_t)(o->batch * o->window);
  double start = now();
  *out = (sn_eval_result){0};
  sn_arena *scratch = sn_arena_scratch(); /* a target or on_batch may leave through sn_protect */
  if (!scratch) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "no memory for a batch");
  w.tokens = SN_ARRAY(scratch, ids, int32_t);
  w.targets = SN_ARRAY(scratch, ids, int32_t);
  sn_code code = walk_all(&w, out);
  sn_arena_destroy(scratch);
  out->tokens = w.done;
  out->seconds = now() - start;
  out->loss = w.done ? w.sum / (double)w.done : 0;
  return code;
}
