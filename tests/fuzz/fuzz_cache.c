/* Fuzz target: entries of the object cache. The raw bytes, and the bytes with magic, sizes and checksum that fit. What
 * is accepted is stored, and found again under its key. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>

#include "backends/cache.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { HEADER = 56 };

static void remove_folder(const char *path) {
  char name[512];
  DIR *d = opendir(path);
  for (const struct dirent *e; d && (e = readdir(d));) {
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    if (e->d_name[0] != '.') unlink(name);
  }
  if (d) closedir(d);
  rmdir(path);
}

static void store_and_find(sn_arena *arena, const sn_cache_entry *e) {
  sn_code_blob back = {0};
  const char *why, *outside = sn_arena_printf(arena, "%s-cache", path_to_write());
  const char *path = sn_arena_printf(arena, "%s/sinter", outside);
  setenv("XDG_CACHE_HOME", outside, 1);
  const sn_cache *c = sn_cache_open(arena, NULL, &why);
  if (!c) return;
  const unsigned char *plan = NULL;
  size_t bytes = 0;
  bool found;
  if (e->is_plan) {
    sn_cache_put_plan(c, e->key, e->key_bytes, e->blob.bytes, (size_t)e->blob.byte_count);
    found = sn_cache_get_plan(c, e->key, e->key_bytes, arena, &plan, &bytes);
    back = e->blob, back.bytes = plan, back.byte_count = (int64_t)bytes;
  } else {
    sn_cache_put(c, e->key, e->key_bytes, &e->blob);
    found = sn_cache_get(c, e->key, e->key_bytes, arena, &back);
  }
  remove_folder(path);
  rmdir(outside);
  if (!found) return; /* the disk is full */
  if (back.byte_count != e->blob.byte_count || memcmp(back.bytes, e->blob.bytes, (size_t)back.byte_count) ||
      back.entry != e->blob.entry || strcmp(back.features, e->blob.features))
    __builtin_trap();
}

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const uint8_t *data;
  size_t bytes;
} input;

static int one(void *arg) {
  const input *in = arg;
  sn_cache_entry e;
  if (sn_cache_entry_read(in->arena, in->diags, "fuzz.code", in->data, in->bytes, &e)) {
    if (in->diags->count != 1) __builtin_trap();
    return 0;
  }
  const uint8_t *key = (const uint8_t *)e.key, *end = in->data + in->bytes;
  if (key < in->data || key + e.key_bytes > end || e.blob.bytes + e.blob.byte_count > end) __builtin_trap();
  if (e.blob.byte_count < 1 || (!e.is_plan && !sn_code_entry_ok(&e.blob))) __builtin_trap();
  store_and_find(in->arena, &e);
  return 0;
}

static void read_one(const uint8_t *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), data, bytes};
  (void)sn_protect(one, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
}

static void put_word(uint8_t *at, uint64_t x) { memcpy(at, &x, sizeof x); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  read_one(data, bytes);
  if (bytes < HEADER) return 0;
  uint8_t *file = malloc(bytes);
  if (!file) return 0;
  memcpy(file, data, bytes);
  size_t room = bytes - HEADER, key = file[8] % (room + 1), features = file[52] % (room - key + 1);
  memcpy(file, "SNCACHE1", 8);
  put_word(file + 8, key);
  put_word(file + 16, room - key - features);
  put_word(file + 24, sn_hash_bytes(file + HEADER, room, 3));
  memcpy(file + 52, &(uint32_t){(uint32_t)features}, 4);
  read_one(file, bytes);
  free(file);
  return 0;
}
