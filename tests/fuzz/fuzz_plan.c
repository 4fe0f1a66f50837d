/* Fuzz entry: any bytes as a binary plan and as a text plan. What is accepted must verify and round trip.
 * Build: clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. tests/fuzz/fuzz_plan.c ir/plan/[a-z]*.c
 * ir/types/[a-z]*.c ir/base/[a-z]*.c -lm */
#include <stdlib.h>
#include <string.h>

#include "ir/plan/binary.h"
#include "ir/plan/plan.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes);

enum { HEADER = 32 };

static void round_trip(sn_arena *arena, const sn_plan *p) {
  unsigned char *written = NULL;
  size_t count = 0;
  sn_plan *back = NULL;
  sn_text text = sn_text_begin(arena);
  if (sn_plan_verify(p, NULL) || sn_plan_write(arena, p, &written, &count)) abort();
  if (sn_plan_read(arena, NULL, "fuzz", written, count, &back)) abort();
  sn_plan_print(&text, p, true);
  if (sn_plan_parse(arena, NULL, "fuzz", text.at, (size_t)text.count, &back)) abort();
}

typedef struct input {
  sn_arena *arena;
  sn_diags *diags;
  const unsigned char *data;
  size_t bytes;
} input;

/* The bytes are the body; the header is made to fit, so that the checksum does not stop everything. */
static int read_forged(void *arg) {
  input *in = arg;
  sn_plan *p = NULL;
  size_t count = in->bytes + HEADER;
  unsigned char *forged = sn_arena_alloc(in->arena, count);
  memcpy(forged, "SNPLAN1", 8);
  forged[8] = SN_PLAN_VERSION;
  uint64_t checksum = sn_hash_bytes(in->data, in->bytes, SN_PLAN_VERSION);
  for (int i = 0; i < 8; i++) {
    forged[16 + i] = (unsigned char)((uint64_t)count >> 8 * i);
    forged[24 + i] = (unsigned char)(checksum >> 8 * i);
  }
  if (in->bytes) memcpy(forged + HEADER, in->data, in->bytes);
  if (sn_plan_read(in->arena, in->diags, "fuzz", forged, count, &p) == SN_OK) round_trip(in->arena, p);
  return SN_OK;
}

static int read_text(void *arg) {
  input *in = arg;
  sn_plan *p = NULL;
  if (sn_plan_parse(in->arena, in->diags, "fuzz", (const char *)in->data, in->bytes, &p) == SN_OK)
    round_trip(in->arena, p);
  if (sn_plan_read(in->arena, in->diags, "fuzz", in->data, in->bytes, &p) == SN_OK) round_trip(in->arena, p);
  return SN_OK;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t bytes) {
  input in = {sn_arena_create(), sn_diags_create(), data, bytes};
  (void)sn_protect(read_forged, &in);
  (void)sn_protect(read_text, &in);
  sn_diags_destroy(in.diags);
  sn_arena_destroy(in.arena);
  return 0;
}
