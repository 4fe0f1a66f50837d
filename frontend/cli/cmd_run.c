/* sinter run: one graph on .npy files; with --grad, gradients of an output as further outputs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backends/gradients.h"
#include "frontend/cli/tune.h"
#include "frontend/cli/cli.h"
#include "runtime/io/json.h"
#include "ir/ops/ops.h"
#include "passes/passes.h"
#include "runtime/io/npy.h"
#include "runtime/io/safetensors.h"

/* ---- --grad LOSS --wrt a,b: outputs grad.a, grad.b ------------------------------------------------------------- */

static sn_val find_leaf(const sn_func *f, const char *name) {
  static const sn_op ops[] = {SN_OP_PARAM, SN_OP_INPUT, SN_OP_STATE};
  sn_val v = 0;
  for (int i = 0; i < 3 && !v; i++) v = sn_func_leaf(f, ops[i], name);
  return v;
}

static sn_code add_gradients(cli *c, sn_module *m, sn_func *f) {
  const char *loss = cli_get(c, CLI_GRAD, NULL), *wrt = cli_get(c, CLI_WRT, NULL), *names[63];
  sn_val leaf[63];
  int count = 0;
  if (!loss && !wrt) return SN_OK;
  if (!loss || !wrt) return cli_usage_error(c, "--grad and --wrt go together");
  sn_pass_env env = {.arena = c->arena, .diags = c->diags};
  const char *graph = f->name;
  SN_TRY(sn_pass_inline(m, &env)); /* parameters of layers have their full names only here */
  f = sn_module_find(m, graph);
  if (!sn_func_output_value(f, loss))
    return cli_usage_error(c, "--grad %s: the graph has no output of that name", loss);
  char *list = sn_arena_strdup(c->arena, wrt);
  for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
    if (count == 63) return cli_usage_error(c, "--wrt takes at most 63 names");
    if (!(leaf[count] = find_leaf(f, name)))
      return cli_usage_error(c, "--wrt %s: the graph has no input, parameter or state of that name", name);
    names[count++] = name;
  }
  return sn_gradient_outputs(m, f, sn_func_output_value(f, loss), count, names, leaf, c->diags);
}

/* ---- binding --------------------------------------------------------------------------------------------------- */

typedef struct job {
  cli *c;
  sn_compiled k;
  const sn_plan *plan;
  int graph;
  sn_runtime *runtime;
  sn_store *store;
  int64_t *dims; /* -1: not bound yet */
  void **data;   /* by slot */
  sn_buffer *buffer;
  int buffer_count;
  sn_npy *array;     /* by slot: what --in gave; data NULL: nothing */
  const char **file; /* by slot */
} job;

static int slot_of(const job *j, const char *name) {
  int slot = sn_plan_find_slot(j->plan, j->graph, name);
  return slot >= 0 ? slot : sn_plan_find_slot(j->plan, -1, name);
}

static sn_code read_inputs(job *j) {
  cli *c = j->c;
  for (int i = 0; i < c->value[CLI_IN].count; i++) {
    const char *name, *path;
    char *image;
    size_t bytes;
    SN_TRY(cli_pair(c, CLI_IN, c->value[CLI_IN].at[i], &name, &path));
    int slot = slot_of(j, name);
    if (slot < 0 || j->plan->slot[slot].role == SN_SLOT_OUTPUT)
      return cli_usage_error(c, "--in %s: graph %s has no input, parameter or state of that name", name,
                             j->plan->graph[j->graph].name);
    if (j->file[slot]) return cli_usage_error(c, "--in %s is given twice: %s and %s", name, j->file[slot], path);
    SN_TRY(cli_read_file(c, path, (size_t)1 << 40, &image, &bytes));
    SN_TRY(sn_npy_read(c->diags, path, image, bytes, &j->array[slot]));
    j->file[slot] = path;
  }
  return SN_OK;
}

/* Symbols from extents that are lone symbols, then from --dim. */
static sn_code find_dims(job *j) {
  cli *c = j->c;
  int count = sn_types_symbol_count(j->plan->types);
  SN_TRY(cli_dims(c, j->plan->types, j->plan->settings, &j->dims));
  bool *given = SN_ARRAY(c->arena, count + 1, bool);
  for (int i = 0; i < c->value[CLI_DIM].count; i++) {
    const char *name, *rest;
    SN_TRY(cli_pair(c, CLI_DIM, c->value[CLI_DIM].at[i], &name, &rest));
    given[sn_dimx_symbol_index(sn_dimx_find_symbol(j->plan->types, name))] = true;
  }
  for (int s = 0; s < j->plan->slot_count; s++) {
    const sn_type *t = j->plan->slot[s].type;
    for (int d = 0; j->array[s].data && d < t->rank && t->rank == j->array[s].rank; d++) {
      int symbol = sn_dimx_symbol_index(t->dim[d]);
      if (symbol < 0) continue;
      if (given[symbol] && j->dims[symbol] != j->array[s].extent[d]) {
        sn_fail(c->diags, SN_ERR_INPUT, (sn_loc){.file = j->file[s]}, "dim %s has two values",
                sn_dimx_symbol_name(t->dim[d]));
        sn_fail_expected(c->diags, "%lld", (long long)j->dims[symbol]);
        sn_fail_found(c->diags, "%lld", (long long)j->array[s].extent[d]);
        return SN_ERR_INPUT;
      }
      j->dims[symbol] = j->array[s].extent[d];
      given[symbol] = true;
    }
  }
  return SN_OK;
}

static sn_code misshapen(job *j, int s) {
  sn_text found = sn_text_begin(j->c->arena);
  for (int d = 0; d < j->array[s].rank; d++)
    sn_text_add(&found, "%s%lld", d ? ", " : "", (long long)j->array[s].extent[d]);
  sn_fail(j->c->diags, SN_ERR_INPUT, (sn_loc){.file = j->file[s]}, "the array does not fit %s", j->plan->slot[s].name);
  sn_fail_expected(j->c->diags, "%s", sn_type_text(j->c->arena, j->plan->slot[s].type));
  sn_fail_found(j->c->diags, "[%s]", found.at);
  return SN_ERR_INPUT;
}

static sn_code bind_slot(job *j, int s) {
  cli *c = j->c;
  const sn_slot *slot = &j->plan->slot[s];
  sn_buffer b = {.name = slot->name, .rank = slot->type->rank};
  int64_t count = 1, bytes;
  for (int d = 0; d < b.rank; d++) {
    SN_TRY(sn_dimx_eval(slot->type->dim[d], j->dims, &b.extent[d]));
    count *= b.extent[d];
    if (j->array[s].data && (j->array[s].rank != b.rank || j->array[s].extent[d] != b.extent[d]))
      return misshapen(j, s);
  }
  if (j->array[s].data && j->array[s].rank != b.rank) return misshapen(j, s);
  bool persistent = slot->role == SN_SLOT_PARAM || slot->role == SN_SLOT_STATE;
  if (persistent) j->data[s] = sn_store_data(j->store, s, &bytes);
  if (persistent && j->array[s].data)
    return sn_npy_convert(&j->array[s], j->file[s], slot->type->elem, j->data[s], c->diags);
  if (persistent || slot->graph != j->graph || (slot->role != SN_SLOT_INPUT && slot->role != SN_SLOT_OUTPUT))
    return SN_OK;
  if (slot->role == SN_SLOT_INPUT && !j->array[s].data) {
    if (slot->optional) return SN_OK;
    return cli_usage_error(c, "input %s of graph %s is missing: --in %s=FILE.npy with %s", slot->name,
                           j->plan->graph[j->graph].name, slot->name, sn_type_text(c->arena, slot->type));
  }
  j->data[s] = b.data = sn_arena_array(c->arena, (size_t)count + 8, sn_elem_bytes(slot->type->elem));
  if (slot->role == SN_SLOT_INPUT) {
    SN_TRY(sn_npy_convert(&j->array[s], j->file[s], slot->type->elem, b.data, c->diags));
  }
  j->buffer[j->buffer_count++] = b;
  return SN_OK;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

static sn_code write_outputs(job *j) {
  cli *c = j->c;
  for (int i = 0; i < c->value[CLI_OUT].count; i++) {
    const char *name, *path;
    int64_t extent[SN_RANK_MAX];
    SN_TRY(cli_pair(c, CLI_OUT, c->value[CLI_OUT].at[i], &name, &path));
    int s = slot_of(j, name);
    if (s < 0 || !j->data[s])
      return cli_usage_error(c, "--out %s: graph %s has no output, parameter or state of that name", name,
                             j->plan->graph[j->graph].name);
    const sn_type *t = j->plan->slot[s].type;
    for (int d = 0; d < t->rank; d++) SN_TRY(sn_dimx_eval(t->dim[d], j->dims, &extent[d]));
    SN_TRY(sn_npy_write(path, t->elem, t->rank, extent, j->data[s], c->diags));
  }
  return SN_OK;
}

static int64_t whole_value(sn_elem e, const void *data) {
  switch (e) {
    case SN_ELEM_I64: return *(const int64_t *)data;
    case SN_ELEM_I32: return *(const int32_t *)data;
    case SN_ELEM_I8: return *(const int8_t *)data;
    default: return *(const uint8_t *)data;
  }
}

/* In JSON, where NaN and infinity are no numbers, they are null. */
static void print_scalar(sn_text *t, sn_elem e, const void *data, bool json) {
  if (!sn_elem_is_float(e))
    sn_text_add(t, "%lld", (long long)whole_value(e, data));
  else if (json && !isfinite(sn_elem_get(e, data, 0)))
    sn_text_add(t, "null");
  else
    sn_text_add(t, "%.9g", sn_elem_get(e, data, 0));
}

/* Scalars with their value, tensors with their type. */
static sn_code print_outputs(job *j) {
  bool json = cli_has(j->c, CLI_JSON), first = true;
  sn_text t = sn_text_begin(j->c->arena);
  if (json) sn_text_char(&t, '{');
  for (int s = 0; s < j->plan->slot_count; s++) {
    const sn_slot *slot = &j->plan->slot[s];
    if (slot->graph != j->graph || slot->role != SN_SLOT_OUTPUT) continue;
    if (json && !first) sn_text_add(&t, ", ");
    if (json)
      sn_json_quote(&t, slot->name), sn_text_add(&t, ": ");
    else
      sn_text_add(&t, "%s = ", slot->name);
    if (!slot->type->rank)
      print_scalar(&t, slot->type->elem, j->data[s], json);
    else if (json)
      sn_json_quote(&t, sn_type_text(j->c->arena, slot->type));
    else
      sn_type_print(&t, slot->type);
    if (!json) sn_text_char(&t, '\n');
    first = false;
  }
  if (json) sn_text_add(&t, "}\n");
  return cli_print(j->c, &t);
}

/* Where they are after a run, and what they are if a device has them. */
static void read_states(job *j) {
  int64_t bytes;
  for (int s = 0; s < j->plan->slot_count; s++)
    if (j->plan->slot[s].role == SN_SLOT_PARAM || j->plan->slot[s].role == SN_SLOT_STATE)
      j->data[s] = (void *)sn_store_read(j->store, s, &bytes);
}

static sn_code run_job(job *j) {
  cli *c = j->c;
  int64_t seed;
  SN_TRY(cli_int(c, CLI_SEED, 1, INT64_MIN, INT64_MAX, &seed));
  SN_TRY(read_inputs(j));
  SN_TRY(find_dims(j));
  const sn_planned_run planned = {j->plan->graph[j->graph].name, j->dims};
  SN_TRY(sn_runtime_check_memory(j->runtime, j->dims, 1, &planned, c->diags));
  SN_TRY(sn_store_create(j->runtime, (uint64_t)seed, j->dims, c->diags, &j->store));
  if (cli_has(c, CLI_INIT)) SN_TRY(sn_store_load(j->store, j->plan, cli_init_file(c), SN_LOAD_ALL, c->diags));
  for (int s = 0; s < j->plan->slot_count; s++) SN_TRY(bind_slot(j, s));
  sn_store_touch(j->store);
  SN_TRY(sn_run(j->runtime, j->store, j->plan->graph[j->graph].name, j->buffer_count, j->buffer, c->diags));
  read_states(j);
  SN_TRY(write_outputs(j));
  return print_outputs(j);
}

static sn_code compile(job *j, const char *path) {
  cli *c = j->c;
  const char *graph = cli_get(c, CLI_GRAPH, NULL);
  cli_source s;
  const cli_tune_model model = cli_tune_model_of(c, path);
  SN_TRY(cli_tune_first(c, &model));
  SN_TRY(cli_load(c, path, graph, c->value[CLI_SET].count, c->value[CLI_SET].at, &s));
  sn_func *f = sn_module_find(s.module, graph ? graph : "train");
  for (int i = 0; !f && i < s.module->func_count; i++)
    if (s.module->func[i]->kind == SN_FUNC_GRAPH) f = s.module->func[i];
  if (f) { SN_TRY(add_gradients(c, s.module, f)); }
  sn_compile_opt opt = cli_compile_opt(c, &s);
  return cli_compile(c, s.module, &opt, &j->k);
}

static int run(void *arg) {
  job *j = arg;
  cli *c = j->c;
  const char *path;
  int64_t threads;
  SN_TRY(cli_int(c, CLI_THREADS, 0, 1, 1024, &threads));
  SN_TRY(cli_word(c, "MODEL.c, FILE.sn or FILE.plan", &path));
  bool plan = cli_is_plan(path);
  if (!plan && cli_has(c, CLI_CHECK)) {
    SN_TRY(cli_tune_refuse(c, "--check compares kernels with the interpreter: run `sinter tune` before it"));
    return cli_check(c);
  }
  SN_TRY(plan ? cli_load_plan(c, path, &j->k) : compile(j, path));
  j->plan = j->k.plan;
  SN_TRY(cli_graph(c, j->plan, &j->graph));
  int n = j->plan->slot_count + 1;
  j->data = SN_ARRAY(c->arena, n, void *), j->buffer = SN_ARRAY(c->arena, n, sn_buffer);
  j->array = SN_ARRAY(c->arena, n, sn_npy), j->file = SN_ARRAY(c->arena, n, const char *);
  sn_runtime_opt ro = cli_runtime_opt(c, &j->k, (int)threads);
  SN_TRY(cli_trace_begin(c, j->plan, &ro));
  SN_TRY(sn_runtime_create(j->plan, &ro, c->diags, &j->runtime));
  return run_job(j);
}

sn_code cli_run(cli *c) {
  job j = {.c = c};
  sn_code code = (sn_code)sn_protect(run, &j); /* what it made is freed below, also when memory runs out */
  sn_store_destroy(j.store);
  sn_runtime_destroy(j.runtime);
  return code;
}
