/* Stores: weights and state of one instance of a model. */
#include <stdlib.h>
#include <string.h>

#include "host/inside.h"
#include "runtime/io/safetensors.h"

void sn_v1_store_destroy(sn_v1_store *s) {
  if (!s) return;
  for (sn_v1_store **at = &s->program->stores; *at; at = &(*at)->next)
    if (*at == s) {
      *at = s->next;
      break;
    }
  sn_store_destroy(s->store);
  sn_block_free(s);
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

typedef struct creation {
  sn_program *p;
  uint64_t seed;
  const char *dims;
  sn_v1_store *out;
} creation;

static int create(void *arg) {
  creation *x = arg;
  int64_t *dims = NULL;
  x->out = sn_block_alloc(sizeof *x->out);
  if (!x->out) return SN_ERR_LIMIT;
  *x->out = (sn_v1_store){.program = x->p};
  if (x->dims) SN_TRY(sn_host_dims(x->p, x->dims, &dims));
  return sn_store_create(x->p->runtime, x->seed, dims, x->p->ctx->diags, &x->out->store);
}

sn_code sn_store_create_for(sn_program *p, uint64_t seed, const char *dims, sn_v1_store **out) {
  creation x = {p, seed, dims, NULL};
  sn_code code = sn_host_call(p->ctx, create, &x);
  if (code) {
    sn_v1_store_destroy(x.out);
    return code;
  }
  x.out->next = p->stores;
  p->stores = x.out;
  *out = x.out;
  return SN_OK;
}

sn_code sn_v1_store_create(sn_program *p, uint64_t seed, sn_v1_store **out) {
  return sn_store_create_for(p, seed, NULL, out);
}

/* ---- files and tensors ------------------------------------------------------------------------------------------- */

typedef struct access {
  sn_v1_store *s;
  const char *name; /* path or tensor */
  sn_tensor_view *view;
} access;

static int load(void *arg) {
  access *x = arg;
  return sn_store_load(x->s->store, x->s->program->plan, x->name, false, x->s->program->ctx->diags);
}

static int save(void *arg) {
  access *x = arg;
  return sn_store_save(x->s->store, x->s->program->plan, x->name, x->s->program->ctx->diags);
}

sn_code sn_v1_store_load(sn_v1_store *s, const char *path) {
  access x = {s, path, NULL};
  return sn_host_call(s->program->ctx, load, &x);
}

sn_code sn_v1_store_save(sn_v1_store *s, const char *path) {
  access x = {s, path, NULL};
  return sn_host_call(s->program->ctx, save, &x);
}

static int view(void *arg) {
  access *x = arg;
  sn_program *p = x->s->program;
  int slot = sn_plan_find_slot(p->plan, -1, x->name);
  int64_t bytes = 0;
  void *data = slot >= 0 ? sn_store_data(x->s->store, slot, &bytes) : NULL;
  if (!data) return sn_fail(p->ctx->diags, SN_ERR_USAGE, (sn_loc){0}, "no parameter or state called %s", x->name);
  const sn_type *type = p->plan->slot[slot].type;
  sn_tensor_view v = {.data = data, .dtype = sn_elem_name(type->elem), .rank = type->rank, .bytes = (size_t)bytes};
  for (int i = 0; i < type->rank; i++) SN_TRY(sn_dimx_eval(type->dim[i], sn_store_dims(x->s->store), &v.extent[i]));
  *x->view = v;
  return SN_OK;
}

sn_code sn_store_tensor(sn_v1_store *s, const char *name, sn_tensor_view *out) {
  access x = {s, name, out};
  return sn_host_call(s->program->ctx, view, &x);
}

void sn_store_changed(sn_v1_store *s) { sn_store_touch(s->store); }
void sn_v1_store_reset(sn_v1_store *s, const char *pattern) { sn_store_reset(s->store, pattern); }

typedef struct moving {
  sn_v1_store *s;
  const char *dim;
  int64_t count;
  const int32_t *parent;
} moving;

static int move(void *arg) {
  moving *x = arg;
  return sn_store_reorder(x->s->store, x->dim, x->count, x->parent, x->s->program->ctx->diags);
}

sn_code sn_v1_store_reorder(sn_v1_store *s, const char *dim, int64_t count, const int32_t *parent) {
  moving x = {s, dim, count, parent};
  return sn_host_call(s->program->ctx, move, &x);
}
