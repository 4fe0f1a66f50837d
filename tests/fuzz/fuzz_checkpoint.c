/* Fuzz target: the reader of checkpoints. The input is the header text and the data; magic, length and checksum are put
 * around it, so that mutations reach the header. The raw input is tried as well. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/plan/plan.h"
#include "runtime/io/checkpoint_file.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void little(uint8_t *out, uint64_t x) {
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(x >> (8 * i));
}

/* A plan of nothing but states like the tensors of a checkpoint. */
static sn_plan *plan_of(sn_arena *arena, const sn_checkpoint_file *c) {
  sn_plan *p = SN_NEW(arena, sn_plan);
  p->arena = arena, p->types = sn_types_create(arena);
  p->model = "fuzz", p->settings = "", p->target = "cpu";
  p->slot = SN_ARRAY(arena, c->count + 1, sn_slot);
  p->slot_count = c->count;
  for (int i = 0; i < c->count; i++) {
    const sn_checkpoint_tensor *t = &c->tensor[i];
    const sn_dimx *count = sn_dimx_const(p->types, t->bytes / (int64_t)sn_elem_bytes(t->elem));
    const sn_type *type = sn_type_of(p->types, t->elem, 1, &count);
    p->slot[i] = (sn_slot){.name = t->name, .role = SN_SLOT_STATE, .type = type, .elements = count, .graph = -1};
    p->slot[i].alias = p->slot[i].buddy = p->slot[i].first = p->slot[i].last = -1;
  }
  return p;
}

typedef struct writing {
  sn_arena *arena;
  sn_diags *diags;
  const sn_checkpoint_file *c;
  sn_runtime *r;
  sn_store *s;
} writing;

static int write_file(void *arg) {
  writing *w = arg;
  sn_file_out *f;
  sn_plan *p = plan_of(w->arena, w->c);
  if (sn_runtime_create(p, &(sn_runtime_opt){.threads = 1}, w->diags, &w->r)) __builtin_trap();
  if (sn_store_create(w->r, 1, NULL, w->diags, &w->s)) __builtin_trap();
  for (int i = 0; i < w->c->count; i++) {
    int64_t bytes;
    void *to = sn_store_data(w->s, i, &bytes);
    if (bytes != w->c->tensor[i].bytes) __builtin_trap();
    if (bytes) memcpy(to, w->c->tensor[i].data, (size_t)bytes);
  }
  *sn_store_tally(w->s) = w->c->tally;
  SN_TRY(sn_file_begin(path_to_write(), w->diags, &f));
  const sn_text header = sn_checkpoint_header(w->arena, w->s, p, &w->c->info);
  if (sn_checkpoint_write(f, &header, w->s, p, w->diags)) __builtin_trap();
  return sn_file_commit(f, w->diags);
}

static int read_file(void *arg) {
  const writing *w = arg;
  sn_file_map map;
  sn_checkpoint_file back;
  if (sn_file_map_open(path_to_write(), w->diags, &map)) __builtin_trap();
  if (sn_checkpoint_parse(w->arena, w->diags, "again", map.data, map.bytes, &back)) __builtin_trap();
  if (back.count != w->c->count || back.info.step != w->c->info.step || back.info.seed != w->c->info.seed)
    __builtin_trap();
  for (int i = 0; i < back.count; i++) {
    const sn_checkpoint_tensor *t = sn_checkpoint_find(w->c, back.tensor[i].name);
    if (!t || t->elem != back.tensor[i].elem || t->bytes != back.tensor[i].bytes) __builtin_trap();
    if (t->bytes && memcmp(t->data, back.tensor[i].data, (size_t)t->bytes)) __builtin_trap();
  }
  sn_file_map_close(&map);
  return unlink(path_to_write());
}

static void write_and_read(sn_arena *arena, sn_diags *diags, const sn_checkpoint_file *c) {
  writing w = {.arena = arena, .diags = diags, .c = c};
  if (!sn_protect(write_file, &w)) (void)sn_protect(read_file, &w);
  sn_store_destroy(w.s);
  sn_runtime_destroy(w.r);
}

static void read_one(const uint8_t *data, size_t bytes) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_checkpoint_file c;
  sn_code code = sn_checkpoint_parse(arena, diags, "fuzz.ckpt", data, bytes, &c);
  if ((code != SN_OK) != (diags->count == 1)) __builtin_trap();
  for (int i = 0; !code && i < c.count; i++) {
    const uint8_t *from = c.tensor[i].data;
    if (from < data || c.tensor[i].bytes < 0 || from + c.tensor[i].bytes > data + bytes) __builtin_trap();
    if (!sn_checkpoint_find(&c, c.tensor[i].name)) __builtin_trap();
  }
  if (!code) write_and_read(arena, diags, &c);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  read_one(data, bytes);
  if (bytes < 1) return 0;
  size_t tail = data[bytes - 1] % bytes, total = 16 + (bytes - 1) + 16;
  uint8_t *file = malloc(total);
  if (!file) return 0;
  memcpy(file, "SNCKPT01", 8);
  little(file + 8, bytes - 1 - tail);
  memcpy(file + 16, data, bytes - 1);
  XXH128_hash_t h = XXH3_128bits(file, total - 16);
  little(file + total - 16, h.low64);
  little(file + total - 8, h.high64);
  read_one(file, total);
  free(file);
  return 0;
}
