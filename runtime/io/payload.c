/* Parts of a model behind a program, found again by a trailer at the end of the file. */
#include "runtime/io/payload.h"

#include <string.h>

#include "ir/base/str.h"

#define MAGIC "SNEXE001"

typedef struct trailer {
  uint64_t offset[SN_PAYLOAD_PARTS], bytes[SN_PAYLOAD_PARTS];
  uint64_t checksum; /* of every part but the weights, whose own header is checked when they are read */
  char magic[8];
} trailer;

static uint64_t checksum_of(const sn_payload *p) {
  uint64_t h = 0;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++)
    if (i != SN_PAYLOAD_WEIGHTS) h = sn_hash_bytes(p->part[i].data, p->part[i].bytes, h);
  return h;
}

static sn_code pad(sn_file_out *f, uint64_t *at, sn_diags *diags) {
  static const char zeros[64];
  size_t n = (size_t)((64 - *at % 64) % 64);
  *at += n;
  return sn_file_write(f, zeros, n, diags);
}

static sn_code write_parts(sn_file_out *f, const void *program, size_t program_bytes, const sn_payload *p,
                           sn_diags *diags) {
  trailer t = {.checksum = checksum_of(p)};
  uint64_t at = program_bytes;
  memcpy(t.magic, MAGIC, 8);
  SN_TRY(sn_file_write(f, program, program_bytes, diags));
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    SN_TRY(pad(f, &at, diags));
    t.offset[i] = at, t.bytes[i] = p->part[i].bytes;
    SN_TRY(sn_file_write(f, p->part[i].data, p->part[i].bytes, diags));
    at += p->part[i].bytes;
  }
  return sn_file_write(f, &t, sizeof t, diags);
}

sn_code sn_payload_write(const char *path, const void *program, size_t program_bytes, const sn_payload *p,
                         sn_diags *diags) {
  sn_file_out *f;
  SN_TRY(sn_file_begin(path, diags, &f));
  sn_code code = write_parts(f, program, program_bytes, p, diags);
  if (code) {
    sn_file_abandon(f);
    return code;
  }
  sn_file_make_program(f);
  return sn_file_commit(f, diags);
}

static bool find_parts(sn_payload *p) {
  trailer t;
  if (p->map.bytes < sizeof t) return false;
  uint64_t end = p->map.bytes - sizeof t;
  memcpy(&t, (const char *)p->map.data + end, sizeof t);
  if (memcmp(t.magic, MAGIC, 8)) return false;
  for (int i = 0; i < SN_PAYLOAD_PARTS; i++) {
    if (t.offset[i] > end || t.bytes[i] > end - t.offset[i]) return false;
    p->part[i].data = (const char *)p->map.data + t.offset[i];
    p->part[i].bytes = (size_t)t.bytes[i];
  }
  return checksum_of(p) == t.checksum;
}

sn_code sn_payload_open(const char *path, sn_diags *diags, sn_payload *out) {
  sn_payload p = {0};
  SN_TRY(sn_file_map_open(path, diags, &p.map));
  if (!find_parts(&p)) {
    sn_file_map_close(&p.map);
    return sn_fail(diags, SN_ERR_INPUT, (sn_loc){0}, "%s carries no model, or a damaged one", path);
  }
  *out = p;
  return SN_OK;
}

void sn_payload_close(sn_payload *p) {
  sn_file_map_close(&p->map);
  *p = (sn_payload){0};
}
