/* safetensors files: image -> entries, entries -> file. Every size comes from the file and is checked before use. */
#include "runtime/io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"

enum { HEADER_MAX = 100000000, TENSORS_MAX = 1000000, NAME_MAX_BYTES = 1024, META_MAX = 65536, LENGTH = 8 };
enum { ALIGN = 64 }; /* where the data section begins, so that it can be used where it lies */

typedef struct dtype_row {
  const char *name;
  sn_elem elem;
} dtype_row;

static const dtype_row dtypes[] = {
    {"F64", SN_ELEM_F64}, {"F32", SN_ELEM_F32},        {"BF16", SN_ELEM_BF16},      {"F16", SN_ELEM_F16},
    {"I64", SN_ELEM_I64}, {"F8_E4M3", SN_ELEM_F8E4M3}, {"F8_E5M2", SN_ELEM_F8E5M2}, {"I32", SN_ELEM_I32},
    {"I8", SN_ELEM_I8},   {"U8", SN_ELEM_U8},          {"BOOL", SN_ELEM_BOOL},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static const char *dtype_name(sn_elem e) {
  for (int i = 0; i < DTYPES; i++)
    if (dtypes[i].elem == e) return dtypes[i].name;
  return NULL;
}

/* ---- reading ------------------------------------------------------------------------------------ */

typedef struct reader {
  sn_arena *arena;
  sn_diags *diags;
  const char *file;
  const unsigned char *data; /* the data section */
  int64_t data_bytes;
} reader;

#define FAIL(r, ...) sn_fail((r)->diags, SN_ERR_INPUT, (sn_loc){.file = (r)->file}, __VA_ARGS__)

static sn_code check_name(const reader *r, const char *name) {
  size_t bytes = strlen(name);
  if (bytes && bytes <= NAME_MAX_BYTES) return SN_OK;
  FAIL(r, "a tensor name has an impossible length");
  sn_fail_expected(r->diags, "1 to %d bytes", NAME_MAX_BYTES);
  sn_fail_found(r->diags, "%zu", bytes);
  return SN_ERR_INPUT;
}

static sn_code read_dtype(const reader *r, const json_t *info, sn_tensor_entry *t) {
  const char *name = json_string_value(json_object_get(info, "dtype"));
  for (int i = 0; name && i < DTYPES; i++) {
    if (strcmp(dtypes[i].name, name)) continue;
    t->elem = dtypes[i].elem;
    return SN_OK;
  }
  FAIL(r, "tensor %s has an unknown dtype", t->name);
  sn_fail_expected(r->diags, "F64, F32, BF16, F16, I64, I32, I8, U8 or BOOL");
  sn_fail_found(r->diags, "%s", name ? name : "no string");
  return SN_ERR_INPUT;
}

/* Extents, and the bytes that they and the type ask for. */
static sn_code read_shape(const reader *r, const json_t *info, sn_tensor_entry *t, int64_t *out_bytes) {
  const json_t *shape = json_object_get(info, "shape");
  if (!json_is_array(shape) || json_array_size(shape) > SN_RANK_MAX) {
    FAIL(r, "tensor %s has no shape of rank 0 to %d", t->name, SN_RANK_MAX);
    return SN_ERR_INPUT;
  }
  int64_t bytes = (int64_t)sn_elem_bytes(t->elem);
  t->rank = (int)json_array_size(shape);
  for (int i = 0; i < t->rank; i++) {
    const json_t *v = json_array_get(shape, (size_t)i);
    int64_t extent = json_is_integer(v) ? json_integer_value(v) : -1;
    if (extent < 0 || extent > SN_DIM_MAX) {
      FAIL(r, "extent %d of tensor %s is no number from 0 to 2^40", i, t->name);
      return SN_ERR_INPUT;
    }
    t->extent[i] = extent;
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return FAIL(r, "the shape of tensor %s is too large", t->name);
  }
  *out_bytes = bytes;
  return SN_OK;
}

static sn_code read_span(const reader *r, const json_t *info, sn_tensor_entry *t, int64_t need) {
  const json_t *offsets = json_object_get(info, "data_offsets");
  const json_t *a = json_array_get(offsets, 0), *b = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(a) || !json_is_integer(b))
    return FAIL(r, "tensor %s has no pair of data_offsets", t->name);
  int64_t from = json_integer_value(a), to = json_integer_value(b);
  if (from < 0 || to < from || to > r->data_bytes) {
    FAIL(r, "the data of tensor %s lies outside of the file", t->name);
    sn_fail_expected(r->diags, "offsets in 0..%" PRId64, r->data_bytes);
    sn_fail_found(r->diags, "%" PRId64 "..%" PRId64, from, to);
    return SN_ERR_INPUT;
  }
  if (to - from != need) {
    FAIL(r, "the data of tensor %s does not match its shape", t->name);
    sn_fail_expected(r->diags, "%" PRId64 " bytes", need);
    sn_fail_found(r->diags, "%" PRId64 " bytes", to - from);
    return SN_ERR_INPUT;
  }
  t->data = r->data + from, t->bytes = need;
  return SN_OK;
}

static sn_code read_tensor(const reader *r, const char *name, const json_t *info, sn_tensor_entry *t) {
  int64_t need = 0;
  SN_TRY(check_name(r, name));
  *t = (sn_tensor_entry){.name = sn_arena_strdup(r->arena, name)};
  if (!json_is_object(info) || json_object_size(info) != 3)
    return FAIL(r, "tensor %s is not described by dtype, shape and data_offsets", t->name);
  SN_TRY(read_dtype(r, info, t));
  SN_TRY(read_shape(r, info, t, &need));
  return read_span(r, info, t, need);
}

static sn_code read_meta(const reader *r, json_t *meta, sn_safetensors *out) {
  if (!json_is_object(meta) || json_object_size(meta) > META_MAX)
    return FAIL(r, "__metadata__ is no object of strings");
  const char *(*list)[2] = sn_arena_array(r->arena, json_object_size(meta) + 1, sizeof *list);
  const char *key;
  json_t *value;
  json_object_foreach(meta, key, value) {
    if (!json_is_string(value)) return FAIL(r, "__metadata__ is no object of strings");
    list[out->meta_count][0] = sn_arena_strdup(r->arena, key);
    list[out->meta_count++][1] = sn_arena_strdup(r->arena, json_string_value(value));
  }
  out->meta = list;
  return SN_OK;
}

/* Empty tensors come before those that start where they stand. */
static int by_data(const void *x, const void *y) {
  const sn_tensor_entry *a = x, *b = y;
  if (a->data != b->data) return (uintptr_t)a->data < (uintptr_t)b->data ? -1 : 1;
  if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
  return strcmp(a->name, b->name);
}

/* The data section is covered exactly once. */
static sn_code check_cover(const reader *r, const sn_safetensors *s) {
  const unsigned char *end = r->data;
  for (int i = 0; i < s->count; i++) {
    const sn_tensor_entry *t = &s->tensor[i];
    if ((const unsigned char *)t->data < end)
      return FAIL(r, "the data of tensors %s and %s overlaps", s->tensor[i - 1].name, t->name);
    if ((const unsigned char *)t->data > end)
      return FAIL(r, "%td bytes before the data of tensor %s belong to no tensor", (const unsigned char *)t->data - end,
                  t->name);
    end += t->bytes;
  }
  ptrdiff_t left = r->data + r->data_bytes - end;
  return left ? FAIL(r, "%td bytes at the end of the file belong to no tensor", left) : SN_OK;
}

static sn_code read_entries(const reader *r, json_t *root, sn_safetensors *out) {
  if (!json_is_object(root)) return FAIL(r, "the header is no JSON object");
  if (json_object_size(root) > TENSORS_MAX) {
    sn_fail(r->diags, SN_ERR_LIMIT, (sn_loc){.file = r->file}, "too many tensors: %zu; %d is the limit",
            json_object_size(root), TENSORS_MAX);
    return SN_ERR_LIMIT;
  }
  out->tensor = SN_ARRAY(r->arena, json_object_size(root) + 1, sn_tensor_entry);
  const char *name;
  json_t *info;
  json_object_foreach(root, name, info) {
    if (!strcmp(name, "__metadata__"))
      SN_TRY(read_meta(r, info, out));
    else
      SN_TRY(read_tensor(r, name, info, &out->tensor[out->count++]));
  }
  qsort(out->tensor, (size_t)out->count, sizeof *out->tensor, by_data);
  return check_cover(r, out);
}

static sn_code header_bytes(const reader *r, const unsigned char *image, size_t bytes, size_t *out) {
  if (bytes < 8) return FAIL(r, "a safetensors file has at least 8 bytes; found %zu", bytes);
  uint64_t header = 0;
  for (int i = 7; i >= 0; i--) header = header << 8 | image[i];
  if (header > bytes - 8) {
    FAIL(r, "the header is longer than the file");
    sn_fail_expected(r->diags, "at most %zu bytes", bytes - 8);
    sn_fail_found(r->diags, "%" PRIu64, header);
    return SN_ERR_INPUT;
  }
  if (header > HEADER_MAX)
    return sn_fail(r->diags, SN_ERR_LIMIT, (sn_loc){.file = r->file}, "a header of %" PRIu64 " bytes; %d is the limit",
                   header, HEADER_MAX);
  if (!header || image[8] != '{') return FAIL(r, "this is no safetensors file: its header does not start with {");
  *out = (size_t)header;
  return SN_OK;
}

sn_code sn_safetensors_read(sn_arena *arena, sn_diags *diags, const char *file, const void *data, size_t bytes,
                            sn_safetensors *out) {
  reader r = {.arena = arena, .diags = diags, .file = file};
  size_t header = 0;
  SN_TRY(header_bytes(&r, data, bytes, &header));
  r.data = (const unsigned char *)data + 8 + header;
  r.data_bytes = (int64_t)(bytes - 8 - header);
  json_t *root;
  sn_safetensors s = {0};
  sn_arena *own = sn_arena_scratch();
  sn_code code = sn_json_parse(own, diags, file, (const char *)data + 8, header, 0, &root);
  if (!code) code = read_entries(&r, root, &s);
  sn_arena_destroy(own);
  if (!code) *out = s;
  return code;
}

const sn_tensor_entry *sn_safetensors_find(const sn_safetensors *s, const char *name) {
  for (int i = 0; i < s->count; i++)
    if (!strcmp(s->tensor[i].name, name)) return &s->tensor[i];
  return NULL;
}

/* ---- writing ------------------------------------------------------------------------------------ */

static void print_meta(sn_text *t, int count, const char *const (*meta)[2]) {
  sn_text_add(t, "\"__metadata__\":{");
  for (int i = 0; i < count; i++) {
    if (i) sn_text_char(t, ',');
    sn_json_quote(t, meta[i][0]);
    sn_text_char(t, ':');
    sn_json_quote(t, meta[i][1]);
  }
  sn_text_char(t, '}');
}

static void print_entry(sn_text *t, const sn_tensor_entry *e, int64_t at) {
  sn_json_quote(t, e->name);
  sn_text_add(t, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(e->elem));
  for (int i = 0; i < e->rank; i++) sn_text_add(t, i ? ",%" PRId64 : "%" PRId64, e->extent[i]);
  sn_text_add(t, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", at, at + e->bytes);
}

static void print_header(sn_text *t, int count, const sn_tensor_entry *tensor, int meta_count,
                         const char *const (*meta)[2]) {
  int64_t at = 0;
  sn_text_char(t, '{');
  if (meta_count) print_meta(t, meta_count, meta);
  for (int i = 0; i < count; i++) {
    if (i || meta_count) sn_text_char(t, ',');
    print_entry(t, &tensor[i], at);
    at += tensor[i].bytes;
  }
  sn_text_char(t, '}');
  while ((LENGTH + t->count) % ALIGN) sn_text_char(t, ' ');
}

static sn_code write_parts(sn_file_out *f, const sn_text *header, int count, const sn_tensor_entry *tensor,
                           sn_diags *diags) {
  unsigned char length[LENGTH];
  for (int i = 0; i < LENGTH; i++) length[i] = (unsigned char)((uint64_t)header->count >> (8 * i));
  SN_TRY(sn_file_write(f, length, sizeof length, diags));
  SN_TRY(sn_file_write(f, header->at, (size_t)header->count, diags));
  for (int i = 0; i < count; i++) SN_TRY(sn_file_write(f, tensor[i].data, (size_t)tensor[i].bytes, diags));
  return SN_OK;
}

sn_code sn_safetensors_write(const char *path, int count, const sn_tensor_entry *tensor, int meta_count,
                             const char *const (*meta)[2], sn_diags *diags) {
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "out of memory");
  sn_text header = sn_text_begin(arena);
  print_header(&header, count, tensor, meta_count, meta);
  sn_file_out *f = NULL;
  sn_code code = sn_file_begin(path, diags, &f);
  if (!code) {
    code = write_parts(f, &header, count, tensor, diags);
    if (code)
      sn_file_abandon(f);
    else
      code = sn_file_commit(f, diags);
  }
  sn_arena_destroy(arena);
  return code;
}
