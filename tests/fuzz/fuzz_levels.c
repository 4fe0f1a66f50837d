/* Fuzz target: plans of several feature levels in one piece. The raw bytes, and the bytes with magic, length and hash
 * that fit. What is accepted lies inside of the piece; written again, the same levels are found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/str.h"
#include "runtime/io/levels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { HEAD = 32, ROW = SN_LEVEL_NAME_BYTES + SN_LEVEL_FEATURES_BYTES + 16 };

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const uint8_t *data;
  size_t bytes;
} input;

static bool inside(const input *in, const void *at, size_t bytes) {
  const uint8_t *p = at;
  return p >= in->data && p <= in->data + in->bytes && bytes <= (size_t)(in->data + in->bytes - p);
}

static bool same(const sn_level *a, const sn_level *b) {
  return !strcmp(a->name, b->name) && !strcmp(a->features, b->features) && a->bytes == b->bytes &&
         !memcmp(a->plan, b->plan, a->bytes);
}

static void write_and_read(const input *in, const sn_levels *l) {
  unsigned char *written;
  size_t count;
  sn_levels back;
  sn_levels_write(in->arena, l, &written, &count);
  if (sn_levels_read(in->diags, "again", written, count, &back) || back.count != l->count) __builtin_trap();
  for (int i = 0; i < l->count; i++)
    if (!same(&back.at[i], &l->at[i])) __builtin_trap();
}

static int one(void *arg) {
  const input *in = arg;
  sn_levels l;
  const sn_level *best = NULL;
  if (sn_levels_read(in->diags, "fuzz", in->data, in->bytes, &l)) {
    if (in->diags->count != 1) __builtin_trap();
    return 0;
  }
  if (l.count < 1 || l.count > SN_LEVELS_MAX) __builtin_trap();
  for (int i = 0; i < l.count; i++) {
    const sn_level *x = &l.at[i];
    if (!inside(in, x->plan, x->bytes)) __builtin_trap();
    if (*x->name && (!inside(in, x->name, strlen(x->name) + 1) || !inside(in, x->features, strlen(x->features) + 1)))
      __builtin_trap();
  }
  if (!sn_levels_choose(&l, "fuzz", in->diags, &best) && (best < l.at || best >= l.at + l.count)) __builtin_trap();
  if (*l.at[0].name) write_and_read(in, &l);
  return 0;
}

static void read_one(const uint8_t *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), data, bytes};
  (void)sn_protect(one, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  read_one(data, bytes);
  if (bytes < HEAD) return 0;
  uint8_t *piece = malloc(bytes);
  if (!piece) return 0;
  uint64_t length = bytes, hash;
  uint32_t count = data[8] % (SN_LEVELS_MAX + 1);
  memcpy(piece, data, bytes);
  memcpy(piece, "SNLEVEL1", 8);
  memcpy(piece + 8, &count, 4);
  memset(piece + 12, 0, 4);
  memcpy(piece + 16, &length, 8);
  if (HEAD + (size_t)count * ROW <= bytes) {
    hash = sn_hash_bytes(piece + HEAD, (size_t)count * ROW, length);
    memcpy(piece + 24, &hash, 8);
  }
  read_one(piece, bytes);
  free(piece);
  return 0;
}
