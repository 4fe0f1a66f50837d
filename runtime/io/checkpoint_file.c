/* One checkpoint file <-> its parts. */
#include "runtime/io/checkpoint_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/io/json.h"

enum {
  MAGIC_BYTES = 8,
  FRAME = MAGIC_BYTES + 8,
  TRAILER = 16,
  ALIGN = 64,
  HEADER_MAX = 100000000,
  TENSORS_MAX = 1000000
};

static const char magic[MAGIC_BYTES] = {'S', 'N', 'C', 'K', 'P', 'T', '0', '1'};

static int64_t padded(int64_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

/* ---- writing ------------------------------------------------------------------------------------ */

typedef struct writer {
  sn_file_out *f;
  sn_diags *diags;
  XXH3_state_t *hash;
} writer;

static sn_code put(writer *w, const void *data, int64_t bytes) {
  if (!bytes) return SN_OK;
  XXH3_128bits_update(w->hash, data, (size_t)bytes);
  return sn_file_write(w->f, data, (size_t)bytes, w->diags);
}

static sn_code put_padding(writer *w, int64_t bytes) {
  static const char zeros[ALIGN] = {0};
  return put(w, zeros, padded(bytes) - bytes);
}

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static void print_run(sn_text *t, const sn_checkpoint_info *c, const sn_tally *tally) {
  sn_text_add(t, "{\"step\":%" PRId64 ",\"batch\":%" PRId64 ",\"window\":%" PRId64, c->step, c->batch, c->window);
  sn_text_add(t, ",\"seed\":\"%016" PRIx64 "\",\"data\":\"%016" PRIx64 "\"", c->seed, c->data_hash);
  sn_text_add(t, ",\"plan0\":\"%016" PRIx64 "\",\"plan1\":\"%016" PRIx64 "\"", c->plan_hash[0], c->plan_hash[1]);
  sn_text_add(t, ",\"loss_sum\":\"%016" PRIx64 "\",\"loss_count\":%" PRId64, bits_of(tally->loss_sum),
              tally->loss_count);
  sn_text_add(t, ",\"model\":");
  sn_json_quote(t, c->model);
  sn_text_add(t, ",\"settings\":");
  sn_json_quote(t, c->settings);
  sn_text_add(t, ",\"options\":");
  sn_run_options_print(t, c->option_count, c->option);
}

static void print_tensors(sn_text *t, sn_store *s, const sn_plan *p) {
  const char *separator = "";
  sn_text_add(t, ",\"tensors\":[");
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_store_owns(s, i)) continue;
    int64_t bytes = sn_store_bytes(s, i);
    sn_text_add(t, "%s[", separator);
    sn_json_quote(t, p->slot[i].name);
    sn_text_add(t, ",\"%s\",%" PRId64 "]", sn_elem_name(p->slot[i].type->elem), bytes);
    separator = ",";
  }
  sn_text_add(t, "]}");
  while ((FRAME + t->count) % ALIGN) sn_text_char(t, ' ');
}

static void little(unsigned char *out, uint64_t x) {
  for (int i = 0; i < 8; i++) out[i] = (unsigned char)(x >> (8 * i));
}

static uint64_t big(const unsigned char *p) {
  uint64_t x = 0;
  for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
  return x;
}

static sn_code write_parts(writer *w, const sn_text *header, sn_store *s, const sn_plan *p) {
  unsigned char length[8], trailer[TRAILER];
  little(length, (uint64_t)header->count);
  SN_TRY(put(w, magic, MAGIC_BYTES));
  SN_TRY(put(w, length, sizeof length));
  SN_TRY(put(w, header->at, header->count));
  for (int i = 0; i < p->slot_count; i++) {
    if (!sn_store_owns(s, i)) continue;
    int64_t bytes;
    const void *data = sn_store_read(s, i, &bytes);
    if (bytes != sn_store_bytes(s, i))
      return sn_fail(w->diags, SN_ERR_DEVICE, (sn_loc){0}, "%s cannot be read from the device", p->slot[i].name);
    SN_TRY(put(w, data, bytes));
    SN_TRY(put_padding(w, bytes));
  }
  XXH128_hash_t h = XXH3_128bits_digest(w->hash);
  little(trailer, h.low64);
  little(trailer + 8, h.high64);
  return sn_file_write(w->f, trailer, TRAILER, w->diags);
}

sn_text sn_checkpoint_header(sn_arena *arena, sn_store *s, const sn_plan *p, const sn_checkpoint_info *info) {
  sn_text header = sn_text_begin(arena);
  print_run(&header, info, sn_store_tally(s));
  print_tensors(&header, s, p);
  return header;
}

sn_code sn_checkpoint_write(sn_file_out *f, const sn_text *header, sn_store *s, const sn_plan *p, sn_diags *diags) {
  writer w = {.f = f, .diags = diags, .hash = XXH3_createState()};
  if (!w.hash) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){0}, "out of memory");
  XXH3_128bits_reset(w.hash);
  sn_code code = write_parts(&w, header, s, p);
  XXH3_freeState(w.hash);
  return code;
}

/* ---- reading ------------------------------------------------------------------------------------ */

typedef struct reader {
  sn_arena *arena;
  sn_diags *diags;
  const char *file;
  const unsigned char *data; /* tensors */
  int64_t data_bytes;
} reader;

#define FAIL(r, ...) sn_fail((r)->diags, SN_ERR_INPUT, (sn_loc){.file = (r)->file}, __VA_ARGS__)

static sn_code check_sum(const reader *r, const unsigned char *p, size_t bytes) {
  XXH128_hash_t h = XXH3_128bits(p, bytes - TRAILER);
  const unsigned char *trailer = p + bytes - TRAILER;
  if (h.low64 == big(trailer) && h.high64 == big(trailer + 8)) return SN_OK;
  return FAIL(r, "the checksum does not match: the file is cut off or damaged");
}

static sn_code header_bytes(reader *r, const unsigned char *p, size_t bytes, size_t *out) {
  if (bytes < FRAME + TRAILER) return FAIL(r, "%zu bytes are too few for a checkpoint", bytes);
  if (memcmp(p, magic, MAGIC_BYTES - 2)) return FAIL(r, "this is no checkpoint");
  if (memcmp(p, magic, MAGIC_BYTES)) return FAIL(r, "a checkpoint of another version of the format");
  uint64_t header = big(p + MAGIC_BYTES);
  if (header > bytes - FRAME - TRAILER || header > HEADER_MAX) return FAIL(r, "the header is longer than the file");
  SN_TRY(check_sum(r, p, bytes));
  r->data = p + FRAME + header;
  r->data_bytes = (int64_t)(bytes - FRAME - TRAILER - header);
  *out = (size_t)header;
  return SN_OK;
}

static sn_code read_run(const reader *r, const json_t *root, sn_checkpoint_info *c) {
  SN_TRY(sn_json_int(r->diags, r->file, root, "step", 0, INT64_MAX, &c->step));
  SN_TRY(sn_json_int(r->diags, r->file, root, "batch", 0, SN_DIM_MAX, &c->batch));
  SN_TRY(sn_json_int(r->diags, r->file, root, "window", 0, SN_DIM_MAX, &c->window));
  SN_TRY(sn_json_hex(r->diags, r->file, root, "seed", &c->seed));
  SN_TRY(sn_json_hex(r->diags, r->file, root, "data", &c->data_hash));
  SN_TRY(sn_json_hex(r->diags, r->file, root, "plan0", &c->plan_hash[0]));
  SN_TRY(sn_json_hex(r->diags, r->file, root, "plan1", &c->plan_hash[1]));
  SN_TRY(sn_json_string(r->diags, r->file, root, "model", &c->model));
  SN_TRY(sn_json_string(r->diags, r->file, root, "settings", &c->settings));
  SN_TRY(sn_run_options_read(r->arena, r->diags, r->file, root, &c->option_count, &c->option));
  c->model = sn_arena_strdup(r->arena, c->model);
  c->settings = sn_arena_strdup(r->arena, c->settings);
  return SN_OK;
}

static sn_code read_tally(const reader *r, const json_t *root, sn_tally *out) {
  uint64_t bits;
  SN_TRY(sn_json_hex(r->diags, r->file, root, "loss_sum", &bits));
  SN_TRY(sn_json_int(r->diags, r->file, root, "loss_count", 0, INT64_MAX, &out->loss_count));
  memcpy(&out->loss_sum, &bits, sizeof bits);
  return SN_OK;
}

static sn_code read_tensor(const reader *r, const json_t *entry, int64_t *at, sn_checkpoint_tensor *t) {
  const char *name = json_string_value(json_array_get(entry, 0)), *elem = json_string_value(json_array_get(entry, 1));
  const json_t *bytes = json_array_get(entry, 2);
  if (json_array_size(entry) != 3 || !name || !elem || !json_is_integer(bytes))
    return FAIL(r, "a tensor is not described");
  t->name = sn_arena_strdup(r->arena, name);
  t->elem = sn_elem_find(elem);
  t->bytes = json_integer_value(bytes);
  if (t->elem == SN_ELEM_NONE || t->bytes < 0 || t->bytes % (int64_t)sn_elem_bytes(t->elem))
    return FAIL(r, "tensor %s has an impossible type or size", t->name);
  if (t->bytes > r->data_bytes - *at || padded(t->bytes) > r->data_bytes - *at)
    return FAIL(r, "the data of tensor %s lies outside of the file", t->name);
  t->data = r->data + *at;
  *at += padded(t->bytes);
  return SN_OK;
}

static int by_name(const void *x, const void *y) {
  return strcmp(((const sn_checkpoint_tensor *)x)->name, ((const sn_checkpoint_tensor *)y)->name);
}

static sn_code read_tensors(const reader *r, const json_t *root, sn_checkpoint_file *c) {
  const json_t *list = json_object_get(root, "tensors");
  int64_t at = 0;
  if (!json_is_array(list) || json_array_size(list) > TENSORS_MAX) return FAIL(r, "the header has no list of tensors");
  c->count = (int)json_array_size(list);
  c->tensor = SN_ARRAY(r->arena, c->count + 1, sn_checkpoint_tensor);
  for (int i = 0; i < c->count; i++) SN_TRY(read_tensor(r, json_array_get(list, (size_t)i), &at, &c->tensor[i]));
  if (at != r->data_bytes) return FAIL(r, "%" PRId64 " bytes belong to no tensor", r->data_bytes - at);
  qsort(c->tensor, (size_t)c->count, sizeof *c->tensor, by_name);
  for (int i = 1; i < c->count; i++)
    if (!by_name(&c->tensor[i - 1], &c->tensor[i])) return FAIL(r, "tensor %s is there twice", c->tensor[i].name);
  return SN_OK;
}

sn_code sn_checkpoint_parse(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                            sn_checkpoint_file *out) {
  reader r = {.arena = arena, .diags = diags, .file = file};
  size_t header = 0;
  SN_TRY(header_bytes(&r, data, bytes, &header));
  json_t *root;
  sn_checkpoint_file c = {.count = 0};
  sn_arena *own = sn_arena_scratch();
  sn_code code = sn_json_parse(own, diags, file, (const char *)data + FRAME, header, 0, &root);
  if (!code) code = json_is_object(root) ? read_run(&r, root, &c.info) : FAIL(&r, "the header is no JSON object");
  if (!code) code = read_tally(&r, root, &c.tally);
  if (!code) code = read_tensors(&r, root, &c);
  sn_arena_destroy(own);
  if (!code) *out = c;
  return code;
}

const sn_checkpoint_tensor *sn_checkpoint_find(const sn_checkpoint_file *c, const char *name) {
  sn_checkpoint_tensor key = {.name = name};
  return c->count ? bsearch(&key, c->tensor, (size_t)c->count, sizeof *c->tensor, by_name) : NULL;
}
