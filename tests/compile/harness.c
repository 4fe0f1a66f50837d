/* See harness.h. */
#include "tests/compile/harness.h"

#include <math.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/ref.h"
#include "ir/base/rng.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"

sn_module *check_parse(sn_arena *arena, sn_diags *diags, const char *text) {
  sn_module *m = NULL;
  sn_code code = sn_module_parse(arena, diags, "test.sn", text, strlen(text), &m);
  for (int i = 0; !code && i < m->func_count; i++) {
    code = sn_func_verify(m->func[i], diags);
    if (!code) code = sn_ops_check(m->func[i], diags);
  }
  if (code) fail_msg("%s", sn_diags_print(diags, arena));
  return m;
}

bool check_has_vulkan(void) {
  sn_diags *d = sn_diags_create();
  sn_target t;
  const sn_backend *b;
  const sn_compile_opt o = {.target = "vulkan"};
  bool there = sn_compile_target(&o, d, &t, &b) == SN_OK;
  if (!there) printf("no Vulkan here: %s\n", sn_diags_print(d, d->arena));
  sn_diags_destroy(d);
  return there;
}

static void fill(void *data, sn_elem e, int64_t count, sn_rng *rng, const check_opt *o) {
  double scale = o->scale > 0 ? o->scale : 1;
  uint64_t limit = o->int_limit > 0 ? (uint64_t)o->int_limit : 2;
  for (int64_t i = 0; i < count; i++) {
    double x = scale * sn_rng_normal(rng);
    uint64_t n = sn_rng_below(rng, limit);
    switch (e) {
      case SN_ELEM_I64: ((int64_t *)data)[i] = (int64_t)n; break;
      case SN_ELEM_I32: ((int32_t *)data)[i] = (int32_t)n; break;
      case SN_ELEM_BOOL: ((uint8_t *)data)[i] = n & 1; break;
      case SN_ELEM_I8:
      case SN_ELEM_U8: ((uint8_t *)data)[i] = (uint8_t)n; break;
      default: sn_elem_set(e, data, i, x); break;
    }
  }
}

typedef struct session {
  const check_opt *o;
  sn_arena *arena;
  sn_diags *diags;
  sn_compiled *c;
  const sn_module *reference; /* what the interpreter runs */
  int graph;
  void **data;    /* by slot: what the interpreter reads */
  int64_t *count; /* elements by slot */
  sn_buffer *buffer;
  int buffer_count;
  sn_runtime *runtime;
  sn_store *store;
} session;

static bool persistent(const sn_slot *s) { return s->role == SN_SLOT_PARAM || s->role == SN_SLOT_STATE; }

static sn_code elements(session *x, int slot, sn_buffer *b) {
  const sn_type *t = x->c->plan->slot[slot].type;
  b->rank = t->rank;
  x->count[slot] = 1;
  for (int d = 0; d < t->rank; d++) {
    SN_TRY(sn_dimx_eval(t->dim[d], x->o->dims, &b->extent[d]));
    x->count[slot] *= b->extent[d];
  }
  return SN_OK;
}

static sn_code prepare_slot(session *x, int slot, sn_rng *rng) {
  const sn_slot *s = &x->c->plan->slot[slot];
  sn_buffer b = {.name = s->name};
  SN_TRY(elements(x, slot, &b));
  size_t bytes = (size_t)x->count[slot] * sn_elem_bytes(s->type->elem);
  if (persistent(s)) {
    int64_t stored;
    void *store = sn_store_data(x->store, slot, &stored);
    if (!x->o->keep_store && s->role == SN_SLOT_PARAM) fill(store, s->type->elem, x->count[slot], rng, x->o);
    x->data[slot] = sn_arena_copy(x->arena, store, bytes);
    return SN_OK;
  }
  if (s->graph != x->graph || (s->role != SN_SLOT_INPUT && s->role != SN_SLOT_OUTPUT)) return SN_OK;
  x->data[slot] = b.data = sn_arena_alloc(x->arena, bytes + 64);
  if (s->role == SN_SLOT_OUTPUT)
    memset(b.data, 0xff, bytes);
  else if (s->optional)
    fill(b.data, s->type->elem, 0, rng, x->o);
  else
    fill(b.data, s->type->elem, x->count[slot], rng, x->o);
  if (s->optional) {
    sn_tensor *t;
    SN_TRY(sn_tensor_create(x->arena, s->type->elem, b.rank, b.extent, &t));
    for (int64_t i = 0; i < t->count; i++) t->value[i] = s->init_a;
    if (t->wide)
      for (int64_t i = 0; i < t->count; i++) t->wide[i] = (int64_t)s->init_a;
    sn_tensor_store(t, b.data);
  }
  x->buffer[x->buffer_count++] = b;
  return SN_OK;
}

static sn_code prepare(session *x) {
  sn_rng rng = {.seed = x->o->seed};
  int n = x->c->plan->slot_count;
  x->data = SN_ARRAY(x->arena, n + 1, void *);
  x->count = SN_ARRAY(x->arena, n + 1, int64_t);
  x->buffer = SN_ARRAY(x->arena, n + 1, sn_buffer);
  for (int i = 0; i < n; i++) SN_TRY(prepare_slot(x, i, &rng));
  sn_store_touch(x->store);
  return SN_OK;
}

static void compare(session *x, const char *what, const char *name, const sn_tensor *oracle, const void *found,
                    check_result *out) {
  sn_mismatch m = sn_tensor_compare(oracle, found, x->o->factor > 0 ? x->o->factor : 1);
  out->total += m.total;
  out->excluded += m.excluded;
  out->mismatched += m.count;
  out->hash = sn_hash_bytes(found, (size_t)oracle->count * sn_elem_bytes(oracle->elem), out->hash);
  if (m.count && !out->first)
    out->first = sn_arena_printf(
        x->arena, "%s %s: %lld of %lld wrong, first element %lld: expected %.9g, found %.9g, bound %.3g", what, name,
        (long long)m.count, (long long)m.total, (long long)m.first, m.expected, m.found, m.bound);
}

static sn_code compare_all(session *x, check_result *out) {
  const sn_plan *p = x->c->plan;
  sn_func *f = sn_module_find(x->reference, x->o->graph);
  sn_interp in = {.arena = x->arena, .diags = x->diags};
  sn_tensor **values;
  SN_TRY(sn_ref_bind(p, x->graph, f, x->o->dims, x->data, x->arena, &in));
  SN_TRY(x->o->spread ? sn_interp_run_spread(&in, f, x->o->spread, &values) : sn_interp_run(&in, f, &values));
  for (int i = 0; i < f->output_count; i++) {
    int slot = sn_plan_find_slot(p, x->graph, f->output[i].name);
    compare(x, "output", f->output[i].name, values[f->output[i].value], x->data[slot], out);
  }
  for (int i = 0; i < f->update_count; i++) {
    const char *name = sn_leaf_name(sn_node_of(f, f->update[i].state));
    int64_t bytes;
    compare(x, "state", name, values[f->update[i].next],
            sn_store_data(x->store, sn_plan_find_slot(p, -1, name), &bytes), out);
  }
  return SN_OK;
}

static sn_code run_and_compare(session *x, check_result *out) {
  sn_runtime_opt ro = sn_compile_runtime_opt(x->c, x->o->threads ? x->o->threads : 1);
  SN_TRY(sn_runtime_create(x->c->plan, &ro, x->diags, &x->runtime));
  SN_TRY(sn_store_create(x->runtime, x->o->seed, x->o->dims, x->diags, &x->store));
  SN_TRY(prepare(x));
  SN_TRY(sn_run(x->runtime, x->store, x->o->graph, x->buffer_count, x->buffer, x->diags));
  return compare_all(x, out);
}

static char cache[64];
static pid_t cache_owner;

static void remove_cache(void) {
  char command[100];
  if (getpid() != cache_owner) return;
  snprintf(command, sizeof command, "rm -rf %s", cache);
  if (system(command)) perror(command);
}

const char *check_cache(void) {
  if (cache_owner) return cache;
  snprintf(cache, sizeof cache, "/tmp/sinter-check-XXXXXX");
  if (!mkdtemp(cache)) return "";
  cache_owner = getpid();
  atexit(remove_cache);
  return cache;
}

/* The graphs whose products read bf16, or weights in int8: as the pass that narrows them left them. */
static void keep_narrowed(void *user, const char *pass, const sn_module *m, double ms) {
  sn_module *copy = user;
  (void)ms;
  if (strcmp(pass, "precision") && strcmp(pass, "quantize")) return;
  sn_func **func = copy->func;
  memcpy(func, m->func, (size_t)m->func_count * sizeof *func);
  *copy = *m;
  copy->func = func;
}

sn_code check_graph(sn_module *m, const check_opt *opt, sn_arena *arena, sn_diags *diags, check_result *out) {
  *out = (check_result){0};
  sn_compile_opt co = opt->compile;
  if (!co.cache_dir) co.cache_dir = check_cache();
  sn_module narrowed = {.func = SN_ARRAY(arena, 4096, sn_func *)};
  if (co.precision || co.quantize) co.after = keep_narrowed, co.user = &narrowed;
  SN_TRY(sn_compile(m, &co, arena, diags, &out->compiled));
  session x = {.o = opt, .arena = arena, .diags = diags, .c = &out->compiled};
  x.reference = co.precision || co.quantize ? &narrowed : out->compiled.flat;
  x.graph = sn_plan_find_graph(out->compiled.plan, opt->graph);
  if (x.graph < 0) return sn_fail(diags, SN_ERR_USAGE, (sn_loc){0}, "no graph %s", opt->graph);
  sn_code code = run_and_compare(&x, out);
  sn_store_destroy(x.store);
  sn_runtime_destroy(x.runtime);
  return code;
}
