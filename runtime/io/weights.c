/* Parameters of a store <-> a safetensors file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"

static const char *shape_text(sn_arena *arena, sn_elem elem, int rank, const int64_t *extent) {
  sn_text t = sn_text_begin(arena);
  sn_text_add(&t, "%s[", sn_elem_name(elem));
  for (int i = 0; i < rank; i++) sn_text_add(&t, i ? ", %" PRId64 : "%" PRId64, extent[i]);
  sn_text_char(&t, ']');
  return t.at;
}

/* A parameter of the store, its extents are numbers; data: NULL. */
static sn_code entry_of(sn_store *s, const sn_plan *p, int slot, sn_diags *diags, sn_tensor_entry *out) {
  const sn_slot *t = &p->slot[slot];
  sn_tensor_entry e = {.name = t->name, .elem = t->type->elem, .rank = t->type->rank};
  e.bytes = (int64_t)sn_elem_bytes(e.elem);
  for (int i = 0; i < e.rank; i++) {
    if (!sn_dimx_is_const(t->type->dim[i], &e.extent[i]))
      return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "parameter %s has an extent that is no number", t->name);
    e.bytes *= e.extent[i];
  }
  if (sn_store_bytes(s, slot) < e.bytes)
    return sn_fail(diags, SN_ERR_FAIL, (sn_loc){0}, "parameter %s has no storage", t->name);
  *out = e;
  return SN_OK;
}

/* ---- saving ------------------------------------------------------------------------------------- */

static sn_code save(sn_store *s, const sn_plan *p, const char *path, sn_tensor_entry *list, sn_diags *diags) {
  int count = 0;
  for (int i = 0; i < p->slot_count; i++) {
    if (p->slot[i].role != SN_SLOT_PARAM || !sn_store_owns(s, i)) continue;
    SN_TRY(entry_of(s, p, i, diags, &list[count]));
    list[count].data = sn_store_read(s, i, NULL);
    if (!list[count++].data)
      return sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "parameter %s cannot be read", p->slot[i].name);
  }
  const char *const meta[][2] = {{"format", "pt"}, {"model", p->model}, {"settings", p->settings}};
  return sn_safetensors_write(path, count, list, 3, meta, diags);
}

typedef struct saving {
  sn_store *s;
  const sn_plan *p;
  const char *path;
  sn_tensor_entry *list;
  sn_diags *diags;
} saving;

static int save_protected(void *arg) {
  saving *j = arg;
  return save(j->s, j->p, j->path, j->list, j->diags);
}

sn_code sn_store_save(sn_store *s, const sn_plan *p, const char *path, sn_diags *diags) {
  sn_tensor_entry *list = calloc((size_t)p->slot_count + 1, sizeof *list);
  if (!list) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "out of memory");
  saving job = {s, p, path, list, diags};
  sn_code code = (sn_code)sn_protect(save_protected, &job);
  free(list);
  return code;
}

/* ---- loading ------------------------------------------------------------------------------------ */

typedef struct loader {
  sn_store *s;
  const sn_plan *p;
  sn_arena *arena;
  sn_diags *diags;
  const char *path;
  sn_load mode;
  const char *prefix; /* only parameters whose names begin so, by what follows it; NULL: those that the store owns */
  const char *lent;   /* end of memory that stays: tensors in it need not be copied; NULL: copy all */
} loader;

/* A tensor of the file and the parameter that it is for. */
typedef struct pair {
  int slot;
  sn_tensor_entry want;
  const sn_tensor_entry *have;
} pair;

/* Is it loaded? *name: what the file calls it. */
static bool is_wanted(const loader *l, int slot, const char **name) {
  const sn_slot *s = &l->p->slot[slot];
  size_t bytes = l->prefix ? strlen(l->prefix) : 0;
  if (s->role != SN_SLOT_PARAM || (l->prefix ? strncmp(s->name, l->prefix, bytes) != 0 : !sn_store_owns(l->s, slot)))
    return false;
  *name = s->name + bytes;
  return true;
}

#define FAIL(l, ...) sn_fail((l)->diags, SN_ERR_INPUT, (sn_loc){.file = (l)->path}, __VA_ARGS__)

enum { LENT_SLACK = 64 }; /* readable bytes behind what is lent, see sn_store_lend */

static sn_code take_tensor(const loader *l, const pair *x) {
  const sn_tensor_entry *from = x->have, *to = &x->want;
  const char *end = (const char *)from->data + from->bytes;
  bool same = from->elem == to->elem;
  if (same && l->lent && end <= l->lent - LENT_SLACK && sn_store_lend(l->s, x->slot, from->data)) return SN_OK;
  void *data = sn_store_overwrite(l->s, x->slot, NULL);
  if (!data) return sn_fail(l->diags, SN_ERR_LIMIT, (sn_loc){.file = l->path}, "no memory for %s", to->name);
  if (same && to->bytes) memcpy(data, from->data, (size_t)to->bytes);
  int64_t count = same ? 0 : to->bytes / (int64_t)sn_elem_bytes(to->elem);
  for (int64_t i = 0; i < count; i++) sn_elem_set(to->elem, data, i, sn_elem_get(from->elem, from->data, i));
  return SN_OK;
}

static bool matches(const sn_tensor_entry *a, const sn_tensor_entry *b) {
  bool same = a->elem == b->elem || (sn_elem_is_float(a->elem) && sn_elem_is_float(b->elem));
  return same && a->rank == b->rank && !memcmp(a->extent, b->extent, (size_t)a->rank * sizeof *a->extent);
}

static sn_code misfit(const loader *l, const sn_tensor_entry *have, const sn_tensor_entry *want) {
  FAIL(l, "tensor %s does not fit the model", want->name);
  sn_fail_expected(l->diags, "%s", shape_text(l->arena, want->elem, want->rank, want->extent));
  sn_fail_found(l->diags, "%s", shape_text(l->arena, have->elem, have->rank, have->extent));
  return SN_ERR_INPUT;
}

static int by_name(const void *x, const void *y) {
  return strcmp(((const sn_tensor_entry *)x)->name, ((const sn_tensor_entry *)y)->name);
}

static const char *meta_of(const sn_safetensors *f, const char *key) {
  for (int i = 0; i < f->meta_count; i++)
    if (!strcmp(f->meta[i][0], key)) return f->meta[i][1];
  return "";
}

/* The file was written for this very model; what this plan lacks is for graphs that it leaves out. */
static bool is_same_model(const loader *l, const sn_safetensors *f) {
  return *l->p->model && !strcmp(meta_of(f, "model"), l->p->model) && !strcmp(meta_of(f, "settings"), l->p->settings);
}

/* Tensors of the file that the model has no place for. */
static sn_code check_unknown(const loader *l, const sn_safetensors *f) {
  int count = 0;
  const char **names = SN_ARRAY(l->arena, l->p->slot_count + 1, const char *);
  for (int i = 0; i < l->p->slot_count; i++) count += is_wanted(l, i, &names[count]);
  for (int i = 0; i < f->count; i++) {
    bool known = false;
    for (int k = 0; k < count && !known; k++) known = !strcmp(names[k], f->tensor[i].name);
    if (known) continue;
    const char *near = sn_nearest(f->tensor[i].name, names, count);
    FAIL(l, "the model has no parameter %s", f->tensor[i].name);
    if (near) sn_fail_note(l->diags, "did you mean %s?", near);
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

/* Pairs of parameter and tensor; nothing is written before all of them fit. */
static sn_code match_all(const loader *l, const sn_safetensors *f, pair *pairs, int *out_count) {
  int count = 0;
  for (int i = 0; i < l->p->slot_count; i++) {
    const char *name;
    pair *x = &pairs[count];
    if (!is_wanted(l, i, &name)) continue;
    SN_TRY(entry_of(l->s, l->p, i, l->diags, &x->want));
    x->slot = i, x->want.name = name;
    x->have = bsearch(&x->want, f->tensor, (size_t)f->count, sizeof *f->tensor, by_name);
    if (x->have && !matches(x->have, &x->want)) return misfit(l, x->have, &x->want);
    bool needed = l->mode == SN_LOAD_ALL || (l->mode == SN_LOAD_TUNE && l->p->slot[i].frozen);
    if (!x->have && needed) {
      FAIL(l, "the file has no tensor %s", name);
      sn_fail_expected(l->diags, "%s", shape_text(l->arena, x->want.elem, x->want.rank, x->want.extent));
      return SN_ERR_INPUT;
    }
    count += x->have != NULL;
  }
  *out_count = count;
  bool others = l->mode == SN_LOAD_PARTIAL || l->prefix || is_same_model(l, f);
  return others ? SN_OK : check_unknown(l, f);
}

static sn_code load(const loader *l, const sn_safetensors *f) {
  int count;
  sn_safetensors sorted = {.count = f->count,
                           .meta_count = f->meta_count,
                           .meta = f->meta,
                           .tensor = SN_ARRAY(l->arena, f->count + 1, sn_tensor_entry)};
  if (f->count) memcpy(sorted.tensor, f->tensor, (size_t)f->count * sizeof *f->tensor);
  qsort(sorted.tensor, (size_t)f->count, sizeof *f->tensor, by_name);
  pair *pairs = SN_ARRAY(l->arena, l->p->slot_count + 1, pair);
  SN_TRY(match_all(l, &sorted, pairs, &count));
  sn_store_touch(l->s);
  for (int i = 0; i < count; i++) SN_TRY(take_tensor(l, &pairs[i]));
  return SN_OK;
}

sn_code sn_store_load_tensors(sn_store *s, const sn_plan *p, const char *file, const sn_safetensors *tensors,
                              sn_load mode, const void *lent_end, sn_diags *diags) {
  loader l = {
      .s = s, .p = p, .arena = sn_arena_scratch(), .diags = diags, .path = file, .mode = mode, .lent = lent_end};
  if (!l.arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = file}, "out of memory");
  sn_code code = load(&l, tensors);
  sn_arena_destroy(l.arena);
  return code;
}

sn_code sn_store_load_image(sn_store *s, const sn_plan *p, const char *file, const void *data, size_t bytes,
                            sn_load mode, sn_diags *diags) {
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = file}, "out of memory");
  sn_safetensors f;
  sn_code code = sn_safetensors_read(arena, diags, file, data, bytes, &f);
  if (!code) code = sn_store_load_tensors(s, p, file, &f, mode, NULL, diags);
  sn_arena_destroy(arena);
  return code;
}

sn_code sn_store_refer(sn_store *s, const sn_plan *p, const char *prefix, const char *file, const void *data,
                       size_t bytes, sn_diags *diags, uint64_t *out_hash) {
  loader l = {.s = s, .p = p, .arena = sn_arena_scratch(), .diags = diags, .path = file, .prefix = prefix};
  if (!l.arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = file}, "out of memory");
  sn_safetensors f;
  sn_code code = sn_safetensors_read(l.arena, diags, file, data, bytes, &f);
  if (!code) code = load(&l, &f);
  *out_hash = 0;
  for (int i = 0; i < p->slot_count && !code; i++) {
    const char *name;
    int64_t stored;
    if (!is_wanted(&l, i, &name)) continue;
    sn_store_set_reference(s, i);
    const void *at = sn_store_read(s, i, &stored);
    *out_hash = sn_hash_bytes(at, (size_t)stored, *out_hash);
  }
  sn_arena_destroy(l.arena);
  return code;
}

sn_code sn_store_load(sn_store *s, const sn_plan *p, const char *path, sn_load mode, sn_diags *diags) {
  char *data; /* read, not mapped: a file that shrinks under a map ends the process */
  size_t bytes;
  SN_TRY(sn_file_read(path, SIZE_MAX / 4, diags, &data, &bytes));
  sn_code code = sn_store_load_image(s, p, path, data, bytes, mode, diags);
  free(data);
  return code;
}
