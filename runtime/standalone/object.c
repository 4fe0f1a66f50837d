/* The C functions behind an emitted object: linked into one relocatable file with the runtime, then renamed for each
 * model (backends/object.h). sn_object_model: length (u64), padding to 64 bytes, plan or plans (runtime/io/levels.h).
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/io/levels.h"
#include "runtime/io/safetensors.h"
#include "runtime/runtime.h"

#define API __attribute__((visibility("default")))

typedef struct sn_object {
  sn_arena *arena;
  sn_diags *diags;
  sn_plan *plan;
  sn_runtime *runtime;
  sn_store *store;
  const char *error;
} sn_object;

extern const unsigned char sn_object_model[] __attribute__((visibility("hidden")));

API int sn_object_create(sn_object **out, const char *weights, uint64_t seed, int threads, const int64_t *dims);
API int sn_object_save(sn_object *s, const char *path);
API const char *sn_object_error(const sn_object *s);
API void sn_object_close(sn_object *s);
API int sn_object_run(sn_object *s, const char *graph, const int64_t *dims, void *const *data);

static int report(sn_object *s, int code) {
  s->error = code ? sn_diags_print(s->diags, s->arena) : "";
  s->diags->count = 0;
  return code;
}

typedef struct opening {
  sn_object *s;
  const char *weights;
  uint64_t seed;
  int threads;
  const int64_t *dims;
} opening;

static int open_all(void *arg) {
  opening *o = arg;
  sn_object *s = o->s;
  uint64_t bytes;
  sn_runtime_opt opt = {.threads = o->threads};
  memcpy(&bytes, sn_object_model, sizeof bytes);
  SN_TRY(sn_levels_plan(s->arena, s->diags, "the model", sn_object_model + 64, bytes, &s->plan));
  SN_TRY(sn_runtime_create(s->plan, &opt, s->diags, &s->runtime));
  SN_TRY(sn_store_create(s->runtime, o->seed, o->dims, s->diags, &s->store));
  return o->weights ? sn_store_load(s->store, s->plan, o->weights, SN_LOAD_ALL, s->diags) : SN_OK;
}

/* On failure *out is still set, so that its error can be read; close it in any case. */
int sn_object_create(sn_object **out, const char *weights, uint64_t seed, int threads, const int64_t *dims) {
  sn_object *s = calloc(1, sizeof *s);
  *out = s;
  if (!s) return SN_ERR_LIMIT;
  s->arena = sn_arena_create();
  s->diags = sn_diags_create();
  if (!s->arena || !s->diags) return s->error = "out of memory", SN_ERR_LIMIT;
  opening o = {s, weights, seed, threads, dims};
  return report(s, sn_protect(open_all, &o));
}

int sn_object_save(sn_object *s, const char *path) {
  return report(s, sn_store_save(s->store, s->plan, path, s->diags));
}
const char *sn_object_error(const sn_object *s) { return s && s->error ? s->error : ""; }

void sn_object_close(sn_object *s) {
  if (!s) return;
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  if (s->diags) sn_diags_destroy(s->diags);
  sn_arena_destroy(s->arena);
  free(s);
}

typedef struct running {
  sn_object *s;
  const char *graph;
  const int64_t *dims;
  void *const *data;
} running;

static int extents(const running *r, const sn_slot *slot, sn_buffer *b) {
  b->rank = slot->type->rank;
  for (int i = 0; i < b->rank; i++) SN_TRY(sn_dimx_eval(slot->type->dim[i], r->dims, &b->extent[i]));
  return SN_OK;
}

static int run_graph(void *arg) {
  running *r = arg;
  const sn_plan *p = r->s->plan;
  int graph = sn_plan_find_graph(p, r->graph), count = 0, given = 0;
  sn_buffer *b = calloc((size_t)p->slot_count + 1, sizeof *b);
  sn_code code = b ? SN_OK : SN_ERR_LIMIT;
  for (int pass = 0; pass < 2 && !code; pass++) {
    for (int i = 0; i < p->slot_count && !code; i++) {
      if (p->slot[i].graph != graph || p->slot[i].role != (pass ? SN_SLOT_OUTPUT : SN_SLOT_INPUT)) continue;
      void *data = r->data[given++];
      if (!data) continue;
      b[count] = (sn_buffer){.name = p->slot[i].name, .data = data};
      code = extents(r, &p->slot[i], &b[count++]);
    }
  }
  if (!code) code = sn_run(r->s->runtime, r->s->store, r->graph, count, b, r->s->diags);
  free(b);
  return code;
}

int sn_object_run(sn_object *s, const char *graph, const int64_t *dims, void *const *data) {
  running r = {s, graph, dims, data};
  return report(s, sn_protect(run_graph, &r));
}
