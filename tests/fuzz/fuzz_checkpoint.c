/* Fuzz target: the reader of checkpoints. The input is the header text and the data; magic, length and checksum are put
 * around it, so that mutations reach the header. The raw input is tried as well. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/io/checkpoint_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void little(uint8_t *out, uint64_t x) {
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(x >> (8 * i));
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
