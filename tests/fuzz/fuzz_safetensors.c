/* Fuzz target: the reader of safetensors. What is accepted lies inside of the file, covers its data once, and is read
 * again from the file that is written of it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The header length is set to fit, so that mutations reach the header. The last byte of the input says how much is
 * data. */
static size_t frame(const uint8_t *data, size_t bytes, uint8_t *out) {
  size_t rest = bytes > 9 ? bytes - 9 : 0, tail = bytes > 9 ? data[bytes - 1] % (rest + 1) : 0;
  memcpy(out, data, bytes);
  if (bytes < 9) return bytes;
  uint64_t header = bytes - 9 - tail;
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(header >> (8 * i));
  return bytes - 1;
}

static bool same_tensor(const sn_tensor_entry *a, const sn_tensor_entry *b) {
  return a->elem == b->elem && a->rank == b->rank && !memcmp(a->extent, b->extent, (size_t)a->rank * 8) &&
         a->bytes == b->bytes && (!a->bytes || !memcmp(a->data, b->data, (size_t)a->bytes));
}

static void write_and_read(sn_arena *arena, sn_diags *diags, const sn_safetensors *s) {
  sn_safetensors back;
  sn_file_map map;
  const char *path = path_to_write();
  if (sn_safetensors_write(path, s->count, s->tensor, s->meta_count, s->meta, diags)) return; /* the disk is full */
  if (sn_file_map_open(path, diags, &map)) __builtin_trap();
  if (sn_safetensors_read(arena, diags, path, map.data, map.bytes, &back)) __builtin_trap();
  if (back.count != s->count || back.meta_count != s->meta_count) __builtin_trap();
  for (int i = 0; i < s->count; i++) {
    const sn_tensor_entry *t = sn_safetensors_find(&back, s->tensor[i].name);
    if (!t || !same_tensor(t, &s->tensor[i])) __builtin_trap();
  }
  sn_file_map_close(&map);
  unlink(path);
}

static void read_one(const uint8_t *data, size_t bytes) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_safetensors s;
  sn_code code = sn_safetensors_read(arena, diags, "fuzz.safetensors", data, bytes, &s);
  if ((code != SN_OK) != (diags->count == 1)) __builtin_trap();
  unsigned sum = 0;
  for (int i = 0; !code && i < s.count; i++)
    for (int64_t k = 0; k < s.tensor[i].bytes; k++) sum += ((const uint8_t *)s.tensor[i].data)[k];
  if (!code && sum == 0x7fffffff) __builtin_trap(); /* the sum is used */
  if (!code) write_and_read(arena, diags, &s);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  uint8_t *copy = malloc(bytes + 1);
  if (!copy) return 0;
  read_one(data, bytes);
  read_one(copy, frame(data, bytes, copy));
  free(copy);
  return 0;
}
