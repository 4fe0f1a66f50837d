/* Lowered plan -> results: storage for the slots, then every step, launches through the kernel interpreter. */
#include "passes/lower/run.h"

#include <string.h>

#include "ir/ref/kinterp.h"
#include "ir/ref/tensor.h"

sn_code sn_lower_run_bytes(const sn_lower_run *r, int slot, int64_t *out) {
  const sn_slot *s = &r->lowered->plan->slot[slot];
  int64_t n;
  SN_TRY(sn_dimx_eval(s->elements, r->dims, &n));
  *out = n * (int64_t)sn_elem_bytes(s->type->elem);
  return SN_OK;
}

/* Every element of the slot = value. */
static sn_code fill(sn_lower_run *r, int slot, double value) {
  const sn_slot *s = &r->lowered->plan->slot[slot];
  int64_t bytes, n;
  sn_tensor *t;
  SN_TRY(sn_lower_run_bytes(r, slot, &bytes));
  n = bytes / (int64_t)sn_elem_bytes(s->type->elem);
  SN_TRY(sn_tensor_create(r->arena, s->type->elem, 1, &n, &t));
  for (int64_t i = 0; i < n; i++) {
    t->value[i] = value;
    if (t->wide) t->wide[i] = (int64_t)value;
  }
  sn_tensor_store(t, r->data[slot]);
  return SN_OK;
}

sn_code sn_lower_run_begin(sn_lower_run *r) {
  const sn_plan *p = r->lowered->plan;
  r->data = SN_ARRAY(r->arena, p->slot_count, void *);
  for (int i = 0; i < p->slot_count; i++) {
    int64_t bytes;
    SN_TRY(sn_lower_run_bytes(r, i, &bytes));
    r->data[i] = sn_arena_alloc(r->arena, (size_t)bytes + 64);
    memset(r->data[i], 0xff, (size_t)bytes);
    if (p->slot[i].init == SN_INITIAL_FILL) SN_TRY(fill(r, i, p->slot[i].init_a));
  }
  return SN_OK;
}

static sn_code launch(sn_lower_run *r, const sn_step *s) {
  const sn_kernel *k = r->lowered->kernel[s->code];
  sn_karg arg[SN_K_PARAMS];
  int64_t elements[SN_K_PARAMS] = {0};
  if (s->arg_count != k->param_count)
    return sn_fail(r->diags, SN_ERR_FAIL, (sn_loc){0}, "kernel %s takes %d arguments, not %d", k->name, k->param_count,
                   s->arg_count);
  for (int i = 0; i < s->arg_count; i++) {
    if (!s->arg[i].is_slot) {
      arg[i].i = r->dims[s->arg[i].index];
      continue;
    }
    arg[i].p = r->data[s->arg[i].index];
    SN_TRY(sn_lower_run_bytes(r, s->arg[i].index, &elements[i]));
    elements[i] /= (int64_t)sn_elem_bytes(k->param[i].elem);
  }
  sn_kinterp in = {.diags = r->diags, .args = arg, .elements = elements, .round = true, .check = r->check, .hi = -1};
  sn_code code = sn_kinterp_run(&in, k);
  if (code) {
    sn_fail_note(r->diags, "kernel %s: %s", k->name, s->ops);
    return code;
  }
  r->bytes_read += in.bytes_read;
  r->bytes_written += in.bytes_written;
  if (r->on_step) r->on_step(r->user, s, in.bytes_read, in.bytes_written);
  return SN_OK;
}

static sn_code predict(sn_lower_run *r, const sn_step *s) {
  int64_t in, out;
  SN_TRY(sn_dimx_eval(s->bytes_read, r->dims, &in));
  SN_TRY(sn_dimx_eval(s->bytes_written, r->dims, &out));
  r->predicted_read += in;
  r->predicted_written += out;
  return SN_OK;
}

static sn_code run_step(sn_lower_run *r, const sn_step *s) {
  int64_t bytes;
  if (s->kind == SN_STEP_LAUNCH) {
    SN_TRY(predict(r, s));
    return launch(r, s);
  }
  if (s->kind == SN_STEP_CHECK) {
    if (*(const unsigned char *)r->data[s->from]) return SN_OK;
    return sn_fail(r->diags, SN_ERR_NUMERIC, (sn_loc){0}, "the check before the updates failed");
  }
  if (s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE) return SN_OK;
  if (s->kind != SN_STEP_COPY) return sn_fail(r->diags, SN_ERR_FAIL, (sn_loc){0}, "a step that only runtimes know");
  SN_TRY(sn_lower_run_bytes(r, s->from, &bytes));
  memcpy(r->data[s->to], r->data[s->from], (size_t)bytes);
  return SN_OK;
}

static bool flag_of(void *user, int slot) {
  const sn_lower_run *r = user;
  return *(const unsigned char *)r->data[slot] != 0;
}

static sn_code run_steps(sn_lower_run *r, int count, const sn_step *steps) {
  int *parent = SN_ARRAY(r->arena, count + 1, int);
  sn_flow f = {
      .step = steps, .parent = parent, .rounds = SN_ARRAY(r->arena, count + 1, int64_t), .flag = flag_of, .user = r};
  sn_plan_parents(steps, count, parent);
  for (int i = 0; i < count; i = sn_flow_next(&f, i)) SN_TRY(run_step(r, &steps[i]));
  return SN_OK;
}

sn_code sn_lower_run_graph(sn_lower_run *r, int graph) {
  const sn_plan *p = r->lowered->plan;
  for (int i = 0; i < p->prepare_count; i++) SN_TRY(run_step(r, &p->prepare[i]));
  r->bytes_read = r->bytes_written = r->predicted_read = r->predicted_written = 0;
  return run_steps(r, p->graph[graph].step_count, p->graph[graph].step);
}
