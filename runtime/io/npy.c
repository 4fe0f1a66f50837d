/* .npy: image -> view of its data, array -> file. */
#include "runtime/io/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"

enum { HEADER_MAX = 1 << 16, ALIGN = 64 };

#define FAIL(r, ...) sn_fail((r)->diags, SN_ERR_INPUT, (sn_loc){.file = (r)->file}, __VA_ARGS__)

typedef struct dtype_row {
  const char *name;
  sn_elem elem;
} dtype_row;

static const dtype_row dtypes[] = {
    {"f8", SN_ELEM_F64}, {"f4", SN_ELEM_F32}, {"f2", SN_ELEM_F16}, {"i8", SN_ELEM_I64},
    {"i4", SN_ELEM_I32}, {"i1", SN_ELEM_I8},  {"u1", SN_ELEM_U8},  {"b1", SN_ELEM_BOOL},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

/* ---- header: a Python dict literal with three known keys ---------------------------------------- */

typedef struct reader {
  sn_diags *diags;
  const char *file;
  const char *at, *end;
  char descr[16];
  int fortran; /* -1: not seen */
  bool shaped;
} reader;

static void blanks(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t')) r->at++;
}

static bool accept(reader *r, char c) {
  blanks(r);
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static bool word(reader *r, const char *text) {
  size_t n = strlen(text);
  blanks(r);
  if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n)) return false;
  r->at += n;
  return true;
}

/* A quoted string without escapes, at most 15 bytes. */
static bool string(reader *r, char out[16]) {
  blanks(r);
  char quote = r->at < r->end ? *r->at : 0;
  if (quote != '\'' && quote != '"') return false;
  const char *from = ++r->at;
  while (r->at < r->end && *r->at != quote && *r->at != '\\') r->at++;
  size_t n = (size_t)(r->at - from);
  if (r->at == r->end || *r->at != quote || n > 15) return false;
  r->at++;
  memcpy(out, from, n);
  out[n] = 0;
  return true;
}

static bool number(reader *r, int64_t *out) {
  int64_t n = 0;
  blanks(r);
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && n <= SN_DIM_MAX) n = n * 10 + (*r->at++ - '0');
  if (r->at == from || n > SN_DIM_MAX) return false;
  *out = n;
  accept(r, 'L'); /* old files */
  return true;
}

static bool shape(reader *r, sn_npy *out) {
  if (!accept(r, '(')) return false;
  while (!accept(r, ')')) {
    if (out->rank == SN_RANK_MAX || !number(r, &out->extent[out->rank])) return false;
    out->rank++;
    if (accept(r, ',')) continue;
    return accept(r, ')') && out->rank > 1; /* (3) is a number, not a tuple */
  }
  return true;
}

static bool member(reader *r, sn_npy *out) {
  char key[16];
  if (!string(r, key) || !accept(r, ':')) return false;
  if (!strcmp(key, "descr") && !r->descr[0]) return string(r, r->descr);
  if (!strcmp(key, "fortran_order") && r->fortran < 0) {
    r->fortran = word(r, "True");
    return r->fortran || word(r, "False");
  }
  if (strcmp(key, "shape") || r->shaped) return false;
  r->shaped = true;
  return shape(r, out);
}

static sn_code dict(reader *r, sn_npy *out) {
  bool good = accept(r, '{');
  while (good && !accept(r, '}')) {
    good = member(r, out);
    if (good && !accept(r, ',')) {
      good = accept(r, '}');
      break;
    }
  }
  blanks(r);
  if (good && r->at == r->end && r->descr[0] && r->fortran >= 0 && r->shaped) return SN_OK;
  FAIL(r, "the header of the .npy file is malformed");
  sn_fail_expected(r->diags, "{'descr': '<f4', 'fortran_order': False, 'shape': (..., ), } of rank 0 to %d",
                   SN_RANK_MAX);
  return SN_ERR_INPUT;
}

static sn_code dtype(const reader *r, sn_npy *out) {
  const char *d = r->descr;
  if (strchr(d, 'O')) return FAIL(r, "the array holds Python objects (dtype %s): pickles are not read", d);
  if (*d == '>') return FAIL(r, "the array is big-endian (dtype %s)", d);
  const char *name = *d == '<' || *d == '|' || *d == '=' ? d + 1 : d;
  for (int i = 0; i < DTYPES; i++) {
    if (strcmp(dtypes[i].name, name)) continue;
    out->elem = dtypes[i].elem;
    return SN_OK;
  }
  FAIL(r, "the array has a dtype that is not supported");
  sn_fail_expected(r->diags, "f8, f4, f2, i8, i4, i1, u1 or b1, little-endian");
  sn_fail_found(r->diags, "%s", d);
  return SN_ERR_INPUT;
}

/* Length of the prefix before the header text and of the text: versions 1 (u16) and 2, 3 (u32). */
static sn_code frame(const reader *r, const unsigned char *p, size_t bytes, size_t *out_at, size_t *out_bytes) {
  if (bytes < 10 || memcmp(p, "\x93NUMPY", 6)) return FAIL(r, "this is no .npy file");
  if (p[6] < 1 || p[6] > 3 || p[7])
    return FAIL(r, "version %d.%d of .npy is not supported; 1.0 to 3.0 are", p[6], p[7]);
  size_t at = p[6] == 1 ? 10 : 12, n = (size_t)p[8] | (size_t)p[9] << 8;
  if (at == 12 && bytes >= 12) n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  if (bytes < at || n > bytes - at || n > HEADER_MAX) {
    FAIL(r, "the header of the .npy file is cut off or too long");
    sn_fail_expected(r->diags, "at most %zu bytes",
                     bytes < at                ? (size_t)0
                     : bytes - at < HEADER_MAX ? bytes - at
                                               : (size_t)HEADER_MAX);
    sn_fail_found(r->diags, "%zu", n);
    return SN_ERR_INPUT;
  }
  *out_at = at, *out_bytes = n;
  return SN_OK;
}

static sn_code span(const reader *r, sn_npy *out, size_t left) {
  int64_t bytes = (int64_t)sn_elem_bytes(out->elem);
  for (int i = 0; i < out->rank; i++)
    if (__builtin_mul_overflow(bytes, out->extent[i], &bytes)) return FAIL(r, "the shape of the array is too large");
  if ((uint64_t)bytes != left) {
    FAIL(r, "the data of the .npy file does not match its shape");
    sn_fail_expected(r->diags, "%" PRId64 " bytes", bytes);
    sn_fail_found(r->diags, "%zu bytes", left);
    return SN_ERR_INPUT;
  }
  out->bytes = bytes;
  return SN_OK;
}

sn_code sn_npy_read(sn_diags *diags, const char *file, const void *data, size_t bytes, sn_npy *out) {
  reader r = {.diags = diags, .file = file, .fortran = -1};
  size_t at = 0, header = 0;
  sn_npy a = {0};
  SN_TRY(frame(&r, data, bytes, &at, &header));
  r.at = (const char *)data + at, r.end = r.at + header;
  a.data = r.end;
  SN_TRY(dict(&r, &a));
  SN_TRY(dtype(&r, &a));
  if (r.fortran && a.rank > 1) return FAIL(&r, "the array is stored in Fortran order: save numpy.ascontiguousarray(x)");
  SN_TRY(span(&r, &a, bytes - at - header));
  *out = a;
  return SN_OK;
}

/* ---- writing ------------------------------------------------------------------------------------ */

static const char *descr_of(sn_elem e) {
  if (e != SN_ELEM_F16 && sn_elem_is_narrow(e)) e = SN_ELEM_F32; /* the format has no other */
  for (int i = 0; i < DTYPES; i++)
    if (dtypes[i].elem == e) return dtypes[i].name;
  return NULL;
}

static void print_header(sn_text *t, sn_elem elem, int rank, const int64_t *extent) {
  const char *d = descr_of(elem);
  sn_text dict = sn_text_begin(t->arena);
  sn_text_add(&dict, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", d[1] == '1' ? '|' : '<', d);
  for (int i = 0; i < rank; i++) sn_text_add(&dict, i ? " %" PRId64 "," : "%" PRId64 ",", extent[i]);
  if (rank > 1) dict.at[--dict.count] = 0;
  sn_text_add(&dict, "), }");
  while ((10 + dict.count + 1) % ALIGN) sn_text_char(&dict, ' ');
  sn_text_char(&dict, '\n');
  sn_text_bytes(t, "\x93NUMPY\x01\x00", 8);
  sn_text_char(t, (char)(dict.count & 255));
  sn_text_char(t, (char)(dict.count >> 8));
  sn_text_bytes(t, dict.at, (size_t)dict.count);
}

static sn_code write_data(sn_file_out *f, sn_elem elem, int64_t count, const void *data, sn_diags *diags) {
  if (elem == SN_ELEM_F16 || !sn_elem_is_narrow(elem))
    return sn_file_write(f, data, (size_t)count * sn_elem_bytes(elem), diags);
  float block[1024];
  for (int64_t i = 0; i < count;) {
    int n = 0;
    while (i < count && n < 1024) block[n++] = (float)sn_elem_get(elem, data, i++);
    SN_TRY(sn_file_write(f, block, (size_t)n * sizeof *block, diags));
  }
  return SN_OK;
}

static sn_code write_all(const char *path, const sn_text *header, sn_elem elem, int64_t count, const void *data,
                         sn_diags *diags) {
  sn_file_out *f;
  SN_TRY(sn_file_begin(path, diags, &f));
  sn_code code = sn_file_write(f, header->at, (size_t)header->count, diags);
  if (!code) code = write_data(f, elem, count, data, diags);
  if (!code) return sn_file_commit(f, diags);
  sn_file_abandon(f);
  return code;
}

sn_code sn_npy_write(const char *path, sn_elem elem, int rank, const int64_t *extent, const void *data,
                     sn_diags *diags) {
  int64_t count = 1;
  for (int i = 0; i < rank; i++)
    if (extent[i] < 0 || __builtin_mul_overflow(count, extent[i], &count)) count = INT64_MAX;
  if (count > INT64_MAX / 8)
    return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "the array is too large to write");
  sn_arena *arena = sn_arena_scratch();
  if (!arena) return sn_fail(diags, SN_ERR_LIMIT, (sn_loc){.file = path}, "out of memory");
  sn_text header = sn_text_begin(arena);
  print_header(&header, elem, rank, extent);
  sn_code code = write_all(path, &header, elem, count, data, diags);
  sn_arena_destroy(arena);
  return code;
}

/* ---- conversion --------------------------------------------------------------------------------- */

static int64_t int_at(const sn_npy *a, int64_t i) {
  const char *at = (const char *)a->data + (size_t)i * sn_elem_bytes(a->elem);
  int64_t i64;
  int32_t i32;
  if (a->elem == SN_ELEM_I64) return memcpy(&i64, at, 8), i64;
  if (a->elem == SN_ELEM_I32) return memcpy(&i32, at, 4), i32;
  return a->elem == SN_ELEM_I8 ? *(const int8_t *)at : *(const uint8_t *)at;
}

/* false: x does not fit */
static bool set_int(void *out, sn_elem elem, int64_t i, int64_t x) {
  switch (elem) {
    case SN_ELEM_I64: ((int64_t *)out)[i] = x; return true;
    case SN_ELEM_I32: ((int32_t *)out)[i] = (int32_t)x; return x >= INT32_MIN && x <= INT32_MAX;
    case SN_ELEM_I8: ((int8_t *)out)[i] = (int8_t)x; return x >= INT8_MIN && x <= INT8_MAX;
    default: ((uint8_t *)out)[i] = (uint8_t)x; return x >= 0 && x <= UINT8_MAX;
  }
}

static sn_code wrong_type(const sn_npy *from, const char *file, sn_elem elem, sn_diags *diags) {
  sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "the array has the wrong element type");
  sn_fail_expected(diags, "%s", sn_elem_name(elem));
  sn_fail_found(diags, "%s", sn_elem_name(from->elem));
  return SN_ERR_INPUT;
}

static sn_code convert_ints(const sn_npy *from, const char *file, sn_elem elem, int64_t count, void *out,
                            sn_diags *diags) {
  for (int64_t i = 0; i < count; i++) {
    if (set_int(out, elem, i, int_at(from, i))) continue;
    sn_fail(diags, SN_ERR_INPUT, (sn_loc){.file = file}, "element %" PRId64 " does not fit into %s", i,
            sn_elem_name(elem));
    sn_fail_found(diags, "%" PRId64, int_at(from, i));
    return SN_ERR_INPUT;
  }
  return SN_OK;
}

/* Any byte but 0 is true, stored as 1: code relies on it. */
static void copy_bools(const sn_npy *from, int64_t count, uint8_t *out) {
  for (int64_t i = 0; i < count; i++) out[i] = ((const uint8_t *)from->data)[i] != 0;
}

sn_code sn_npy_convert(const sn_npy *from, const char *file, sn_elem elem, void *out, sn_diags *diags) {
  int64_t count = from->bytes / (int64_t)sn_elem_bytes(from->elem);
  if (from->elem == SN_ELEM_BOOL && elem == SN_ELEM_BOOL) {
    copy_bools(from, count, out);
  } else if (from->elem == elem) {
    if (count) memcpy(out, from->data, (size_t)from->bytes);
  } else if (sn_elem_is_float(from->elem) && sn_elem_is_float(elem)) {
    for (int64_t i = 0; i < count; i++) sn_elem_set(elem, out, i, sn_elem_get(from->elem, from->data, i));
  } else if (sn_elem_is_int(from->elem) && sn_elem_is_int(elem)) {
    return convert_ints(from, file, elem, count, out, diags);
  } else {
    return wrong_type(from, file, elem, diags);
  }
  return SN_OK;
}
