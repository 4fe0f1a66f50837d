/* Fuzz target: the model behind an executable. The raw bytes, and the bytes with a trailer whose magic and checksum
 * fit. What is accepted lies inside of the file; written as an executable, its parts are found again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ir/base/str.h"
#include "runtime/io/payload.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { WORDS = 2 * SN_PAYLOAD_PARTS, TRAILER = 8 * WORDS + 16 };

static void write_and_open(const sn_payload *p, sn_diags *diags) {
  sn_payload back;
  const char *path = path_to_write();
  if (sn_payload_write(path, "program", 7, p, diags)) return; /* the disk is full */
  if (sn_payload_open(path, diags, &back)) __builtin_trap();
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    size_t n = p->part[i].bytes;
    if (back.part[i].bytes != n || (n && memcmp(back.part[i].data, p->part[i].data, n))) __builtin_trap();
  }
  sn_payload_close(&back);
  unlink(path);
}

static void open_one(const void *data, size_t bytes) {
  sn_diags *diags = sn_diags_create();
  sn_payload p;
  if (sn_payload_open(file_of(data, bytes), diags, &p) == SN_OK) {
    write_and_open(&p, diags);
    sn_payload_close(&p);
  } else if (diags->count != 1) {
    __builtin_trap();
  }
  sn_diags_destroy(diags);
}

static uint64_t word(const uint8_t *at) {
  uint64_t x;
  memcpy(&x, at, sizeof x);
  return x;
}

/* The checksum of the parts where they lie inside of the file. */
static uint64_t checksum(const uint8_t *file, size_t end) {
  uint64_t h = 0;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    uint64_t at = word(file + end + 8 * i), n = word(file + end + 8 * (SN_PAYLOAD_PARTS + i));
    if (at > end || n > end - at) return 0;
    if (i != SN_PAYLOAD_WEIGHTS) h = sn_hash_bytes(file + at, n, h);
  }
  return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  open_one(data, bytes);
  if (bytes < 8 * WORDS) return 0;
  size_t end = bytes - 8 * WORDS;
  uint8_t *file = malloc(end + TRAILER);
  if (!file) return 0;
  memcpy(file, data, bytes);
  uint64_t sum = checksum(file, end);
  memcpy(file + bytes, &sum, 8);
  memcpy(file + bytes + 8, "SNEXE001", 8);
  open_one(file, end + TRAILER);
  free(file);
  return 0;
}
