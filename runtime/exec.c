/* Steps of a bound graph -> tasks of the workers: arguments, checks, copies, swaps, host calls. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/inside.h"

typedef struct exec {
  sn_runtime *r;
  sn_store *s;
  const sn_bound *b;
  const sn_step *step;
  int count;
  sn_diags *diags;
  sn_code code; /* of the step that stopped the run */
  sn_flow flow;
} exec;

static const char *graph_name(const exec *x) {
  return x->b->graph < 0 ? "prepare" : x->r->plan->graph[x->b->graph].name;
}

/* ---- arguments ---------------------------------------------------------------------------------- */

static void set_args(exec *x, int i) {
  const sn_step *s = &x->step[i];
  sn_rt_arg *arg = &x->r->arg[x->b->step[i].first_arg];
  if (s->kind == SN_STEP_COPY) {
    arg[0].p = x->r->data[s->to], arg[1].p = x->r->data[s->from];
  } else if (s->kind == SN_STEP_LAUNCH) {
    for (int k = 0; k < s->arg_count; k++) {
      if (s->arg[k].is_slot)
        arg[k].p = x->r->data[s->arg[k].index];
      else
        arg[k].i = x->b->dims[s->arg[k].index];
    }
  }
}

/* ---- steps that are calls ----------------------------------------------------------------------- */

static bool fail_step(exec *x, sn_code code) {
  x->code = code;
  return false;
}

sn_code sn_rt_not_finite(const sn_runtime *r, int graph, sn_diags *diags) {
  return sn_fail(diags, SN_ERR_NUMERIC, (sn_loc){0}, "graph %s: a value is not finite; no state was written",
                 graph < 0 ? "prepare" : r->plan->graph[graph].name);
}

static bool run_check(exec *x, const sn_step *s) {
  if (*(const uint8_t *)x->r->data[s->from]) return true;
  return fail_step(x, sn_rt_not_finite(x->r, x->b->graph, x->diags));
}

/* Exchanges storage, for this run and in the store, and renews the arguments of the steps to come. */
static bool run_swap(exec *x, int i) {
  int a = x->step[i].from, b = x->step[i].to;
  void *data = x->s->data[a];
  int64_t bytes = x->s->bytes[a];
  x->s->data[a] = x->s->data[b], x->s->bytes[a] = x->s->bytes[b];
  x->s->data[b] = data, x->s->bytes[b] = bytes;
  for (int k = 0; k < x->r->plan->slot_count; k++)
    if (x->r->root[k] == a || x->r->root[k] == b) x->r->data[k] = x->s->data[x->r->root[k]];
  for (int k = i + 1; k < x->count; k++) set_args(x, k);
  return true;
}

static bool run_host(exec *x) {
  const sn_runtime_opt *o = &x->r->opt;
  if (!o->host) {
    sn_fail(x->diags, SN_ERR_DEVICE, (sn_loc){0}, "graph %s has a host step, and this runtime has no host function",
            graph_name(x));
    return fail_step(x, SN_ERR_DEVICE);
  }
  sn_code code = o->host(o->user, x->r->plan, x->b->graph, x->b->dims, x->r->data, x->diags);
  return code ? fail_step(x, code) : true;
}

static bool run_text(exec *x, int i) {
  const sn_runtime_opt *o = &x->r->opt;
  const sn_code_blob *blob = &x->r->plan->code[x->step[i].code];
  if (!o->kernel_text || blob->kind != SN_CODE_KERNEL_TEXT) {
    sn_fail(x->diags, SN_ERR_DEVICE, (sn_loc){0}, "code of kernel %s is not for this device", blob->name);
    return fail_step(x, SN_ERR_DEVICE);
  }
  const sn_bound_step *s = &x->b->step[i];
  sn_code code =
      s->instances ? o->kernel_text(o->user, blob, &x->r->arg[s->first_arg], 0, s->instances, x->diags) : SN_OK;
  return code ? fail_step(x, code) : true;
}

static bool call(void *user, int i) {
  exec *x = user;
  switch (x->step[i].kind) {
    case SN_STEP_CHECK: return run_check(x, &x->step[i]);
    case SN_STEP_SWAP: return run_swap(x, i);
    case SN_STEP_HOST: return run_host(x);
    default: return run_text(x, i);
  }
}

static bool flag_of(void *user, int slot) {
  const exec *x = user;
  return *(const uint8_t *)x->r->data[slot] != 0;
}

static int next(void *user, int i) {
  exec *x = user;
  return sn_flow_next(&x->flow, i);
}

static void on_task(void *user, int i, double ns) {
  exec *x = user;
  x->r->opt.on_step(x->r->opt.step_user, x->b->graph, i, ns);
}

static void on_part(void *user, int i, int thread, double start_ns, double end_ns) {
  exec *x = user;
  x->r->opt.on_part(x->r->opt.part_user, x->r->run_count, x->b->graph, i, thread, start_ns, end_ns);
}

/* ---- tasks -------------------------------------------------------------------------------------- */

static sn_code grow(sn_runtime *r, int args, int tasks) {
  if (args > r->arg_capacity) {
    sn_rt_arg *arg = realloc(r->arg, (size_t)args * sizeof *arg);
    if (!arg) return SN_ERR_LIMIT;
    r->arg = arg, r->arg_capacity = args;
  }
  if (tasks > r->task_capacity) {
    sn_cpu_task *task = realloc(r->task, (size_t)tasks * sizeof *task);
    if (!task) return SN_ERR_LIMIT;
    r->task = task;
    int *parent = realloc(r->parent, (size_t)tasks * sizeof *parent);
    if (!parent) return SN_ERR_LIMIT;
    r->parent = parent;
    int64_t *rounds = realloc(r->rounds, (size_t)tasks * sizeof *rounds);
    if (!rounds) return SN_ERR_LIMIT;
    r->rounds = rounds, r->task_capacity = tasks;
  }
  return SN_OK;
}

static sn_cpu_task task_of(const exec *x, int i) {
  const sn_step *s = &x->step[i];
  const sn_bound_step *b = &x->b->step[i];
  sn_cpu_task t = {.kind = SN_CPU_CALL, .serial = b->serial, .goes_on = b->goes_on, .args = x->r->arg + b->first_arg};
  t.branches = sn_flow_branches(&x->flow, i);
  if (s->kind == SN_STEP_COPY) {
    t.kind = SN_CPU_COPY, t.count = x->b->bytes[s->from];
    if (x->b->bytes[s->to] < t.count) t.count = x->b->bytes[s->to];
  } else if (s->kind == SN_STEP_LAUNCH) {
    t.kernel = sn_image_entry(x->r->image, s->code);
    t.count = b->instances;
    t.flushes = true; /* text of a kernel, too, which the interpreter of kernels runs */
    if (t.kernel) t.kind = SN_CPU_LAUNCH;
  } else if (s->kind == SN_STEP_CHOOSE || s->kind == SN_STEP_WHILE) {
    t.kind = SN_CPU_NONE;
  }
  return t;
}

sn_code sn_exec(sn_runtime *r, sn_store *s, const sn_bound *b, sn_diags *diags) {
  exec x = {.r = r, .s = s, .b = b, .diags = diags};
  x.step = b->graph < 0 ? r->plan->prepare : r->plan->graph[b->graph].step;
  x.count = b->graph < 0 ? r->plan->prepare_count : r->plan->graph[b->graph].step_count;
  if (grow(r, b->arg_count, x.count)) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  x.flow = (sn_flow){.step = x.step, .parent = r->parent, .rounds = r->rounds, .flag = flag_of, .user = &x};
  sn_plan_parents(x.step, x.count, r->parent);
  for (int i = 0; i < x.count; i++) set_args(&x, i);
  for (int i = 0; i < x.count; i++) r->task[i] = task_of(&x, i);
  sn_cpu_job job = {.threads = r->threads,
                    .share = r->share,
                    .task_count = x.count,
                    .task = r->task,
                    .workspace = r->workspace,
                    .workspace_bytes = r->workspace_bytes,
                    .call = call,
                    .next = next,
                    .on_task = r->opt.on_step ? on_task : NULL,
                    .on_part = r->opt.on_part ? on_part : NULL,
                    .user = &x};
  r->run_count++;
  sn_cpu_run(&job);
  return x.code;
}
