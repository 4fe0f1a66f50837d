/* See check.h. */
#include "backends/faults/check.h"

#include <string.h>

#include "ir/base/rng.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "passes/passes.h"

enum {
  SPREAD = 8,   /* noisy executions of an estimate */
  GUARD = 4096, /* bytes of ones before and behind what a kernel may read and write */
  ALIGN = 64,   /* of buffers that the runtime uses in place */
};

/* ---- the module and its leaves ----------------------------------------------------------------------------------- */

const char *sn_module_text(const sn_module *m, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  sn_module_print(&t, m, (sn_print_opt){.locations = true});
  return t.at;
}

sn_code sn_case_parse(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_module **out) {
  SN_TRY(sn_module_parse(arena, diags, c->file, c->text, strlen(c->text), out));
  for (int i = 0; i < (*out)->func_count; i++) {
    SN_TRY(sn_func_verify((*out)->func[i], diags));
    SN_TRY(sn_ops_check((*out)->func[i], diags));
  }
  if (sn_module_find(*out, c->graph)) return SN_OK;
  return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = c->file}, "no graph called %s", c->graph);
}

/* The module without call and grad, as the interpreter runs it: other graphs dropped. */
static sn_code flatten(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_module **out) {
  SN_TRY(sn_case_parse(c, arena, diags, out));
  for (int i = (*out)->func_count - 1; i >= 0; i--)
    if ((*out)->func[i]->kind == SN_FUNC_GRAPH && strcmp((*out)->func[i]->name, c->graph))
      sn_module_remove(*out, (*out)->func[i]);
  sn_target target;
  const sn_backend *none;
  const sn_compile_opt ref = {.target = "ref"};
  SN_TRY(sn_compile_target(&ref, diags, &target, &none));
  sn_pass_env env = {.arena = arena, .diags = diags, .target = &target};
  return sn_pipeline_run(*out, &env, "grad", NULL, NULL);
}

static const sn_tensor *data_of(const sn_case *c, const char *name) {
  for (int i = 0; i < c->data_count; i++)
    if (!strcmp(c->data[i].name, name)) return c->data[i].tensor;
  return NULL;
}

static void draw_float(sn_tensor *t, sn_rng *rng, double scale) {
  for (int64_t i = 0; i < t->count; i++) t->value[i] = scale * sn_rng_normal(rng);
}

static void set_int(sn_tensor *t, int64_t i, int64_t x) {
  t->value[i] = (double)x;
  if (t->wide) t->wide[i] = x;
}

/* Not all 0, unless it is a scalar: a mean by a mask or by lengths would be one of nothing. */
static void draw_int(sn_tensor *t, sn_rng *rng, int64_t limit) {
  bool any = !t->rank || !t->count;
  if (t->elem == SN_ELEM_BOOL) limit = 2;
  for (int64_t i = 0; i < t->count; i++) {
    int64_t x = (int64_t)sn_rng_below(rng, (uint64_t)limit);
    set_int(t, i, x), any |= x != 0;
  }
  if (!any && limit > 1) set_int(t, 0, 1);
}

static void fill(sn_tensor *t, double x) {
  for (int64_t i = 0; i < t->count; i++) t->value[i] = x;
  for (int64_t i = 0; t->wide && i < t->count; i++) t->wide[i] = (int64_t)x;
}

/* As it would be read from a file of its type. */
static void store_and_load(sn_tensor *t, sn_arena *arena) {
  void *data = sn_arena_array(arena, (size_t)t->count + 1, sn_elem_bytes(t->elem));
  sn_tensor_store(t, data);
  sn_tensor_load(t, data);
}

typedef struct draw {
  uint64_t seed;
  int64_t int_limit;
  double scale;
} draw;

static sn_code draw_leaf(const sn_case *c, const draw *d, const sn_node *n, sn_arena *arena, sn_tensor **out) {
  int64_t extent[SN_RANK_MAX];
  const sn_type *type = n->type[0];
  for (int i = 0; i < type->rank; i++) SN_TRY(sn_dimx_eval(type->dim[i], c->dims, &extent[i]));
  SN_TRY(sn_tensor_create(arena, type->elem, type->rank, extent, out));
  sn_rng rng = {.seed = d->seed, .stream = sn_stream_of(sn_leaf_name(n))};
  const sn_attr *given = n->op == SN_OP_INPUT ? sn_node_attr(n, "default") : NULL;
  if (given && given->set)
    fill(*out, given->f);
  else if (n->op == SN_OP_STATE)
    fill(*out, strcmp(sn_node_attr(n, "init")->s, "fill") ? 0 : sn_node_attr(n, "a")->f);
  else if (sn_elem_is_float(type->elem))
    draw_float(*out, &rng, d->scale);
  else
    draw_int(*out, &rng, d->int_limit);
  store_and_load(*out, arena);
  return SN_OK;
}

/* Leaves of f that have no data yet. */
static sn_code draw_leaves(sn_case *c, const draw *d, const sn_func *f, sn_arena *arena) {
  sn_binding *data = SN_ARRAY(arena, f->node_count + c->data_count + 1, sn_binding);
  int count = 0;
  for (int i = 0; i < c->data_count; i++) data[count++] = c->data[i];
  for (int i = 0; i < f->node_count; i++) {
    const char *name = sn_leaf_name(f->node[i]);
    sn_tensor *t;
    if (!name || data_of(c, name)) continue;
    SN_TRY(draw_leaf(c, d, f->node[i], arena, &t));
    data[count++] = (sn_binding){sn_arena_strdup(arena, name), t};
  }
  c->data = data;
  c->data_count = count;
  return SN_OK;
}

/* As the user wrote it and without calls: either may have leaves that the other lacks. */
sn_code sn_case_draw(sn_case *c, uint64_t seed, int64_t int_limit, double scale, sn_arena *arena, sn_diags *diags) {
  sn_module *source, *flat;
  const draw d = {seed, int_limit, scale};
  SN_TRY(sn_case_parse(c, arena, diags, &source));
  SN_TRY(flatten(c, arena, diags, &flat));
  SN_TRY(draw_leaves(c, &d, sn_module_find(source, c->graph), arena));
  return draw_leaves(c, &d, sn_module_find(flat, c->graph), arena);
}

/* ---- the oracle -------------------------------------------------------------------------------------------------- */

sn_code sn_case_interpret(const sn_case *c, const sn_func *f, bool bounds, sn_arena *arena, sn_diags *diags,
                          sn_tensor ***values) {
  sn_interp in = {.arena = arena,
                  .diags = diags,
                  .dims = c->dims,
                  .leaf_count = c->data_count,
                  .leaf = c->data,
                  .no_bounds = !bounds};
  return sn_interp_run(&in, f, values);
}

sn_code sn_case_oracle(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_oracle *out) {
  SN_TRY(flatten(c, arena, diags, &out->module));
  out->f = sn_module_find(out->module, c->graph);
  return sn_case_interpret(c, out->f, true, arena, diags, &out->values);
}

sn_code sn_case_estimate(const sn_case *c, sn_arena *arena, sn_diags *diags, sn_oracle *out) {
  SN_TRY(flatten(c, arena, diags, &out->module));
  out->f = sn_module_find(out->module, c->graph);
  sn_interp in = {.arena = arena, .diags = diags, .dims = c->dims, .leaf_count = c->data_count, .leaf = c->data};
  return sn_interp_run_spread(&in, out->f, SPREAD, &out->values);
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

typedef struct session {
  const sn_case *c;
  const sn_variant *v;
  sn_arena *arena;
  sn_diags *diags;
  sn_compiled compiled;
  int graph;
  void **data;    /* by slot, of inputs and outputs */
  int64_t *bytes; /* by slot: of its data */
  sn_buffer *buffer;
  int buffer_count;
  sn_runtime *runtime;
  sn_store *store;
  const sn_watcher *watcher; /* NULL: none */
} session;

static bool persistent(const sn_slot *s) { return s->role == SN_SLOT_PARAM || s->role == SN_SLOT_STATE; }

/* Ones, with a guard before them and behind. */
static char *guarded(sn_arena *arena, int64_t bytes) {
  size_t all = (size_t)bytes + 2 * GUARD + ALIGN;
  char *at = memset(sn_arena_alloc(arena, all), 0xff, all), *data = at + GUARD;
  return data + (ALIGN - (uintptr_t)data % ALIGN) % ALIGN;
}

static sn_code bind_slot(session *x, int slot) {
  const sn_slot *s = &x->compiled.plan->slot[slot];
  const sn_tensor *given = data_of(x->c, s->name);
  int64_t bytes, count = 1;
  if (persistent(s)) {
    void *store = sn_store_data(x->store, slot, &bytes);
    if (given && bytes == given->count * (int64_t)sn_elem_bytes(given->elem)) sn_tensor_store(given, store);
    return SN_OK;
  }
  if (s->graph != x->graph || (s->role != SN_SLOT_INPUT && s->role != SN_SLOT_OUTPUT)) return SN_OK;
  sn_buffer b = {.name = s->name, .rank = s->type->rank};
  for (int d = 0; d < b.rank; d++) {
    SN_TRY(sn_dimx_eval(s->type->dim[d], x->c->dims, &b.extent[d]));
    count *= b.extent[d];
  }
  bytes = count * (int64_t)sn_elem_bytes(s->type->elem);
  x->data[slot] = b.data = guarded(x->arena, bytes);
  x->bytes[slot] = bytes;
  if (s->role == SN_SLOT_INPUT && !given) return SN_OK; /* the runtime says that it is missing */
  if (s->role == SN_SLOT_INPUT && given->count == count) sn_tensor_store(given, b.data);
  x->buffer[x->buffer_count++] = b;
  return SN_OK;
}

void sn_checked_add(sn_checked *out, sn_arena *arena, const char *what, const char *name, const sn_tensor *oracle,
                    const void *found) {
  sn_mismatch m = sn_tensor_compare(oracle, found, 1);
  out->total += m.total;
  out->excluded += m.excluded;
  out->mismatched += m.count;
  out->hash = sn_hash_bytes(found, (size_t)oracle->count * sn_elem_bytes(oracle->elem), out->hash);
  if (!m.count || out->first) return;
  out->name = name;
  out->first = sn_arena_printf(
      arena, "%s %s: %lld of %lld wrong, first element %lld: expected %.9g, found %.9g, bound %.3g", what, name,
      (long long)m.count, (long long)m.total, (long long)m.first, m.expected, m.found, m.bound);
}

static bool all_ones(const unsigned char *at) {
  int i = 0;
  while (i < GUARD && at[i] == 0xff) i++;
  return i == GUARD;
}

static void check_guards(session *x, sn_checked *out) {
  for (int i = 0; i < x->compiled.plan->slot_count; i++) {
    const unsigned char *data = x->data[i];
    if (!data || (all_ones(data - GUARD) && all_ones(data + x->bytes[i]))) continue;
    out->mismatched++;
    if (out->first) continue;
    out->name = x->compiled.plan->slot[i].name;
    out->first = sn_arena_printf(x->arena, "%s: memory around it is written", out->name);
  }
}

static void compare(session *x, const sn_oracle *o, sn_checked *out) {
  const sn_plan *p = x->compiled.plan;
  for (int i = 0; i < o->f->output_count; i++) {
    const char *name = o->f->output[i].name;
    int slot = sn_plan_find_slot(p, x->graph, name);
    if (slot >= 0) sn_checked_add(out, x->arena, "output", name, o->values[o->f->output[i].value], x->data[slot]);
  }
  for (int i = 0; i < o->f->update_count; i++) {
    const char *name = sn_leaf_name(sn_node_of(o->f, o->f->update[i].state));
    int slot = sn_plan_find_slot(p, -1, name);
    int64_t bytes;
    if (slot >= 0)
      sn_checked_add(out, x->arena, "state", name, o->values[o->f->update[i].next],
                     sn_store_read(x->store, slot, &bytes));
  }
  check_guards(x, out);
}

static void on_step(void *user, int graph, int step, double ns) {
  session *x = user;
  (void)ns;
  if (graph == x->graph) x->watcher->step(x->watcher->user, step);
}

static sn_code run(session *x) {
  sn_runtime_opt ro = sn_compile_runtime_opt(&x->compiled, x->v->threads && !x->watcher ? x->v->threads : 1);
  ro.guard = GUARD;
  if (x->watcher) ro.on_step = on_step, ro.step_user = x;
  SN_TRY(sn_runtime_create(x->compiled.plan, &ro, x->diags, &x->runtime));
  SN_TRY(sn_store_create(x->runtime, 1, x->c->dims, x->diags, &x->store));
  int n = x->compiled.plan->slot_count;
  x->data = SN_ARRAY(x->arena, n + 1, void *);
  x->bytes = SN_ARRAY(x->arena, n + 1, int64_t);
  x->buffer = SN_ARRAY(x->arena, n + 1, sn_buffer);
  for (int i = 0; i < n; i++) SN_TRY(bind_slot(x, i));
  sn_store_touch(x->store);
  if (x->watcher) x->watcher->begin(x->watcher->user, &x->compiled, x->runtime);
  return sn_run(x->runtime, x->store, x->c->graph, x->buffer_count, x->buffer, x->diags);
}

static sn_code compile_and_run(session *x) {
  sn_module *m;
  const sn_variant *v = x->v;
  const sn_compile_opt co = {.target = v->target,
                             .backend = v->backend,
                             .fuse = v->fuse,
                             .isa = v->isa,
                             .vocab = v->vocab,
                             .scan = v->scan,
                             .disabled = v->disabled,
                             .hits = v->hits,
                             .kernels = v->kernels,
                             .interpret = v->interpret,
                             .cache_dir = v->cache_dir ? v->cache_dir : "",
                             .threads = 1};
  SN_TRY(sn_case_parse(x->c, x->arena, x->diags, &m));
  SN_TRY(sn_compile(m, &co, x->arena, x->diags, &x->compiled));
  x->graph = sn_plan_find_graph(x->compiled.plan, x->c->graph);
  return run(x);
}

const char *sn_lacks(sn_code code, const char *text) {
  const char *kernel = strstr(text, "cannot run kernel"), *why = kernel ? strstr(kernel, ": ") : NULL;
  if (code != SN_ERR_DEVICE) return NULL;
  if (why) return why + 2;
  return kernel || strstr(text, "not supported") || strstr(text, "not available on target") ? text : NULL;
}

static void end(session *x) {
  sn_store_destroy(x->store);
  sn_runtime_destroy(x->runtime);
}

sn_code sn_case_check(const sn_case *c, const sn_variant *v, const sn_oracle *o, sn_arena *arena, sn_diags *diags,
                      sn_checked *out) {
  session x = {.c = c, .v = v, .arena = arena, .diags = diags};
  *out = (sn_checked){0};
  sn_code code = compile_and_run(&x);
  if (!code) compare(&x, o, out);
  end(&x);
  return code;
}

sn_code sn_case_watch(const sn_case *c, const sn_variant *v, const sn_watcher *w, sn_arena *arena, sn_diags *diags) {
  session x = {.c = c, .v = v, .arena = arena, .diags = diags, .watcher = w};
  sn_code code = compile_and_run(&x);
  if (!code) w->step(w->user, -1);
  end(&x);
  return code;
}

const char *sn_variant_text(const sn_variant *v, sn_arena *arena) {
  sn_text t = sn_text_begin(arena);
  if (v->source) return "--target ref";
  sn_text_add(&t, v->backend_file ? "--backend %s" : "--target %s",
              v->backend_file ? v->backend_file
              : v->target     ? v->target
                              : "cpu");
  sn_text_add(&t, " --fuse %s", v->fuse ? v->fuse : "all");
  if (v->isa) sn_text_add(&t, " --isa %s", v->isa);
  if (v->vocab) sn_text_add(&t, " --vocab %s", v->vocab);
  if (v->scan) sn_text_add(&t, " --scan %s", v->scan);
  if (v->disabled) sn_text_add(&t, " --disable %s", v->disabled);
  sn_text_add(&t, " --threads %d", v->threads ? v->threads : 1);
  return t.at;
}
