/* Fuzz target: the reader of safetensors. What is accepted lies inside of the file and covers its data once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/safetensors.h"

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
