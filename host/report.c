/* Sizes by name, and what a run of a graph does with them. */
#include <string.h>

#include "host/inside.h"

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static sn_code one_dim(const sn_program *p, const char *word, int length, int64_t *dims) {
  const sn_types *types = p->plan->types;
  sn_diags *diags = p->ctx->diags;
  const char *equals = memchr(word, '=', (size_t)length);
  const char *name = sn_arena_printf(diags->arena, "%.*s", equals ? (int)(equals - word) : length, word);
  const sn_dimx *d = sn_dimx_find_symbol(types, name);
  if (!d) return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "the model has no dim called %s", name);
  const char *value =
      equals ? sn_arena_printf(diags->arena, "%.*s", length - (int)(equals + 1 - word), equals + 1) : "";
  int64_t n = 0;
  if (!sn_int_in(value, sn_dimx_min_value(d), sn_dimx_max_value(d), &n)) {
    sn_code code = sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "dim %s: not a size that it may have", name);
    sn_fail_expected(diags, "%s=N with N from %lld to %lld", name, (long long)sn_dimx_min_value(d),
                     (long long)sn_dimx_max_value(d));
    sn_fail_found(diags, "%.*s", length, word);
    return code;
  }
  dims[sn_dimx_symbol_index(d)] = n;
  return SN_OK;
}

sn_code sn_host_dims(const sn_program *p, const char *text, int64_t **out) {
  const sn_types *types = p->plan->types;
  int count = sn_types_symbol_count(types);
  int64_t *dims = SN_ARRAY(p->ctx->diags->arena, count + 1, int64_t);
  for (int i = 0; i < count; i++) dims[i] = sn_dimx_max_value(sn_types_symbol(types, i));
  for (const char *at = text; *at;) {
    int length = (int)strcspn(at, " ,");
    if (length) SN_TRY(one_dim(p, at, length, dims));
    at += length + (at[length] != 0);
  }
  *out = dims;
  return SN_OK;
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

typedef struct reporting {
  sn_program *p;
  const char *graph, *dims;
  int64_t *dim;
  sn_report *out;
} reporting;

static sn_code value_of(const reporting *x, const sn_dimx *d, int64_t *out) {
  *out = 0;
  return d ? sn_dimx_eval(d, x->dim, out) : SN_OK;
}

static sn_code written(const reporting *x, int slot, int64_t *largest) {
  int64_t n;
  SN_TRY(value_of(x, x->p->plan->slot[slot].elements, &n));
  if (n > *largest) *largest = n;
  return SN_OK;
}

static sn_code describe(const reporting *x, const sn_step *s, sn_report_step *out) {
  int64_t flops, read, wrote;
  bool launch = s->kind == SN_STEP_LAUNCH;
  SN_TRY(value_of(x, s->flops, &flops));
  SN_TRY(value_of(x, s->bytes_read, &read));
  SN_TRY(value_of(x, s->bytes_written, &wrote));
  *out = (sn_report_step){.kind = s->kind_name ? s->kind_name
                                  : launch     ? "kernel"
                                               : "copy",
                          .ops = s->ops ? s->ops : "",
                          .where = s->where ? s->where : "",
                          .flops = (double)flops,
                          .bytes_read = (double)read,
                          .bytes_written = (double)wrote};
  if (!launch) return written(x, s->to, &out->largest);
  for (int i = 0; i < s->arg_count; i++)
    if (s->arg[i].is_slot && s->writes >> i & 1) SN_TRY(written(x, s->arg[i].index, &out->largest));
  return SN_OK;
}

static sn_code steps(const reporting *x, int count, const sn_step *step, int *out_count, const sn_report_step **out) {
  sn_report_step *at = SN_ARRAY(x->p->arena, count + 1, sn_report_step);
  *out_count = 0;
  for (int i = 0; i < count; i++)
    if (step[i].kind == SN_STEP_LAUNCH || step[i].kind == SN_STEP_COPY)
      SN_TRY(describe(x, &step[i], &at[(*out_count)++]));
  *out = at;
  return SN_OK;
}

static sn_code buffers(const reporting *x, int graph) {
  const sn_plan *plan = x->p->plan;
  sn_report_buffer *at = SN_ARRAY(x->p->arena, plan->slot_count + 1, sn_report_buffer);
  for (int i = 0; i < plan->slot_count; i++) {
    const sn_slot *s = &plan->slot[i];
    int64_t n;
    if (s->role != SN_SLOT_TEMP || s->graph != graph || s->alias >= 0) continue;
    SN_TRY(value_of(x, s->elements, &n));
    at[x->out->buffer_count++] = (sn_report_buffer){x->p->type_text[i], n, n * (int64_t)sn_elem_bytes(s->type->elem)};
  }
  x->out->buffer = at;
  return SN_OK;
}

static bool touches(const sn_step *s, int slot) {
  if (s->from == slot || s->to == slot) return s->kind != SN_STEP_LAUNCH;
  for (int i = 0; i < s->arg_count; i++)
    if (s->arg[i].is_slot && s->arg[i].index == slot) return true;
  return false;
}

static sn_code states(const reporting *x, const sn_plan_graph *g) {
  const sn_plan *plan = x->p->plan;
  for (int i = 0; i < plan->slot_count; i++) {
    int64_t n;
    bool touched = false;
    for (int k = 0; k < g->step_count && plan->slot[i].role == SN_SLOT_STATE; k++)
      touched = touched || touches(&g->step[k], i);
    if (!touched) continue;
    SN_TRY(value_of(x, plan->slot[i].elements, &n));
    x->out->state_bytes += n * (int64_t)sn_elem_bytes(plan->slot[i].type->elem);
  }
  return SN_OK;
}

static int report(void *arg) {
  reporting *x = arg;
  const sn_plan *plan = x->p->plan;
  int g = sn_plan_find_graph(plan, x->graph);
  *x->out = (sn_report){0};
  if (g < 0) return sn_fail(x->p->ctx->diags, SN_ERR_USAGE, (sn_loc){0}, "no graph called %s", x->graph);
  SN_TRY(sn_host_dims(x->p, x->dims ? x->dims : "", &x->dim));
  SN_TRY(steps(x, plan->graph[g].step_count, plan->graph[g].step, &x->out->step_count, &x->out->step));
  SN_TRY(steps(x, plan->prepare_count, plan->prepare, &x->out->ahead_count, &x->out->ahead));
  SN_TRY(buffers(x, g));
  SN_TRY(states(x, &plan->graph[g]));
  return sn_plan_peak_bytes(plan, g, x->dim, &x->out->peak_bytes);
}

sn_code sn_program_report(sn_program *p, const char *graph, const char *dims, sn_report *out) {
  reporting x = {p, graph, dims, NULL, out};
  return sn_host_call(p->ctx, report, &x);
}

/* ---- extents ----------------------------------------------------------------------------------------------------- */

typedef struct measuring {
  sn_program *p;
  const char *graph, *port, *dims;
  int64_t *out;
} measuring;

static int measure(void *arg) {
  measuring *x = arg;
  const sn_plan *plan = x->p->plan;
  sn_diags *diags = x->p->ctx->diags;
  int g = sn_plan_find_graph(plan, x->graph), slot = g < 0 ? -1 : sn_plan_find_slot(plan, g, x->port);
  int64_t *dim;
  if (slot < 0) return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "graph %s has no port called %s", x->graph, x->port);
  SN_TRY(sn_host_dims(x->p, x->dims ? x->dims : "", &dim));
  const sn_type *t = plan->slot[slot].type;
  for (int i = 0; i < 8; i++) x->out[i] = 0;
  for (int i = 0; i < t->rank && i < 8; i++) SN_TRY(sn_dimx_eval(t->dim[i], dim, &x->out[i]));
  return SN_OK;
}

sn_code sn_program_extents(sn_program *p, const char *graph, const char *port, const char *dims, int64_t out[8]) {
  measuring x = {p, graph, port, dims, out};
  return sn_host_call(p->ctx, measure, &x);
}
