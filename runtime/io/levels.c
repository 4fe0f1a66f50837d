/* Several plans <-> one piece of a file; the choice among them. Reading trusts nothing: every place is compared with
 * the bytes that there are, texts must end inside of their fields. */
#include "runtime/io/levels.h"

#include <string.h>

#include "ir/base/cpu.h"

#define MAGIC "SNLEVEL1"

enum { ALIGNMENT = 64 };

typedef struct head {
  char magic[8];
  uint32_t count, zero;
  uint64_t bytes, hash;
} head;

typedef struct row {
  char name[SN_LEVEL_NAME_BYTES], features[SN_LEVEL_FEATURES_BYTES];
  uint64_t offset, bytes;
} row;

static size_t align_up(size_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static size_t table_bytes(uint32_t count) { return sizeof(head) + count * sizeof(row); }

void sn_levels_write(sn_arena *arena, const sn_levels *l, unsigned char **out, size_t *out_bytes) {
  row rows[SN_LEVELS_MAX];
  head h = {.count = (uint32_t)l->count};
  size_t at = align_up(table_bytes(h.count));
  memset(rows, 0, sizeof rows);
  for (int i = 0; i < l->count; i++) {
    strncpy(rows[i].name, l->at[i].name, sizeof rows[i].name - 1);
    strncpy(rows[i].features, l->at[i].features, sizeof rows[i].features - 1);
    rows[i].offset = at, rows[i].bytes = l->at[i].bytes;
    at = align_up(at + l->at[i].bytes);
  }
  memcpy(h.magic, MAGIC, sizeof h.magic);
  h.bytes = at;
  h.hash = sn_hash_bytes(rows, h.count * sizeof *rows, h.bytes);
  unsigned char *p = sn_arena_alloc(arena, at);
  memset(p, 0, at);
  memcpy(p, &h, sizeof h);
  memcpy(p + sizeof h, rows, h.count * sizeof *rows);
  for (int i = 0; i < l->count; i++) memcpy(p + rows[i].offset, l->at[i].plan, l->at[i].bytes);
  *out = p;
  *out_bytes = at;
}

static sn_code damaged(sn_diags *diags, const char *file, const char *what) {
  return sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "not a readable list of feature levels: %s", what);
}

static bool text_ok(const char *at, size_t room) { return *at && memchr(at, 0, room); }

/* The rows where they lie: texts are used in place. */
static sn_code read_rows(sn_diags *diags, const char *file, const unsigned char *data, const head *h, sn_levels *out) {
  uint64_t from = table_bytes(h->count);
  for (uint32_t i = 0; i < h->count; i++) {
    const char *at = (const char *)data + sizeof *h + i * sizeof(row);
    row r;
    memcpy(&r, at, sizeof r);
    if (!text_ok(r.name, sizeof r.name) || !text_ok(r.features, sizeof r.features))
      return damaged(diags, file, "a name without end");
    for (uint32_t k = 0; k < i; k++)
      if (!strcmp(out->at[k].name, r.name)) return damaged(diags, file, "a level twice");
    if (r.offset % ALIGNMENT || r.offset < from || r.offset > h->bytes || r.bytes > h->bytes - r.offset)
      return damaged(diags, file, "a plan outside of its place");
    from = r.offset + r.bytes;
    out->at[i] = (sn_level){.name = at + offsetof(row, name),
                            .features = at + offsetof(row, features),
                            .plan = data + r.offset,
                            .bytes = (size_t)r.bytes};
  }
  out->count = (int)h->count;
  return SN_OK;
}

sn_code sn_levels_read(sn_diags *diags, const char *file, const void *data, size_t bytes, sn_levels *out) {
  head h;
  sn_levels l = {.count = 1, .at = {{"", "", data, bytes}}};
  if (bytes >= sizeof h.magic && !memcmp(data, MAGIC, sizeof h.magic)) {
    if (bytes < sizeof h) return damaged(diags, file, "it ends early");
    memcpy(&h, data, sizeof h);
    if (!h.count || h.count > SN_LEVELS_MAX || h.zero || h.bytes != bytes || table_bytes(h.count) > bytes)
      return damaged(diags, file, "a count beyond its end");
    if (h.hash != sn_hash_bytes((const char *)data + sizeof h, h.count * sizeof(row), h.bytes))
      return damaged(diags, file, "its table is damaged");
    SN_TRY(read_rows(diags, file, data, &h, &l));
  }
  *out = l;
  return SN_OK;
}

static sn_code none_runs(const sn_levels *l, const char *file, sn_diags *diags) {
  sn_fail(diags, SN_ERR_DEVICE, (sn_loc){0}, "%s has code for no feature level that this processor offers", file);
  if (!diags) return SN_ERR_DEVICE;
  sn_text names = sn_text_begin(diags->arena);
  for (int i = 0; i < l->count; i++) sn_text_add(&names, "%s%s", i ? " or " : "", l->at[i].name);
  sn_fail_expected(diags, "%s", names.at);
  sn_fail_found(diags, "no %s, which %s needs", sn_cpu_missing(diags->arena, l->at[0].features), l->at[0].name);
  return SN_ERR_DEVICE;
}

sn_code sn_levels_choose(const sn_levels *l, const char *file, sn_diags *diags, const sn_level **out) {
  SN_TRY(sn_cpu_check(diags));
  for (int i = l->count - 1; i >= 0; i--) {
    if (!sn_cpu_offers(l->at[i].features)) continue;
    *out = &l->at[i];
    return SN_OK;
  }
  return none_runs(l, file, diags);
}

sn_code sn_levels_plan(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                       sn_plan **out) {
  sn_levels l;
  const sn_level *best;
  SN_TRY(sn_levels_read(diags, file, data, bytes, &l));
  SN_TRY(sn_levels_choose(&l, file, diags, &best));
  return sn_plan_read(arena, diags, file, best->plan, best->bytes, out);
}
