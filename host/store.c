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

/* ---- creating -----------------------------------------------------------------------------------------------------
 */

typedef struct creation {
  sn_program *p;
  uint64_t seed;
  const char *dims;
  sn_v1_store *out;
} creation;

static sn_code one_dim(const creation *x, const char *word, int length, int64_t *dims) {
  const sn_types *types = x->p->plan->types;
  sn_diags *diags = x->p->ctx->diags;
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

/* Value of each symbol: its maximum, or what the text says. */
static sn_code read_dims(const creation *x, int64_t **out) {
  const sn_types *types = x->p->plan->types;
  int count = sn_types_symbol_count(types);
  int64_t *dims = SN_ARRAY(x->p->ctx->diags->arena, count + 1, int64_t);
  for (int i = 0; i < count; i++) dims[i] = sn_dimx_max_value(sn_types_symbol(types, i));
  for (const char *at = x->dims; *at;) {
    int length = (int)strcspn(at, " ,");
    if (length) SN_TRY(one_dim(x, at, length, dims));
    at += length + (at[length] != 0);
  }
  *out = dims;
  return SN_OK;
}

static int create(void *arg) {
  creation *x = arg;
  int64_t *dims = NULL;
  x->out = sn_block_alloc(sizeof *x->out);
  if (!x->out) return SN_ERR_LIMIT;
  *x->out = (sn_v1_store){.program = x->p};
  if (x->dims) SN_TRY(read_dims(x, &dims));
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

/* ---- files and tensors ----------------------------------------------------------------------------------------------
 */

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
