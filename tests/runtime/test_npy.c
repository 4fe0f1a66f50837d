/* .npy: files as NumPy writes them, round trips, conversions, hostile files. */
#include "ir/base/half.h"
#include "runtime/io/file.h"
#include "runtime/io/npy.h"
#include "tests/runtime/support.h"

static size_t image(unsigned char *out, int version, const char *dict, const void *data, size_t data_bytes) {
  size_t n = strlen(dict), at = version == 1 ? 10 : 12;
  memcpy(out, "\x93NUMPY", 6);
  out[6] = (unsigned char)version, out[7] = 0;
  out[8] = (unsigned char)n, out[9] = (unsigned char)(n >> 8);
  if (at == 12) out[10] = out[11] = 0;
  memcpy(out + at, dict, n);
  if (data_bytes) memcpy(out + at + n, data, data_bytes);
  return at + n + data_bytes;
}

static sn_code read_copy(const void *data, size_t bytes, char text[1024], sn_npy *out) {
  sn_diags *d = sn_diags_create();
  unsigned char *exact = malloc(bytes ? bytes : 1);
  if (bytes) memcpy(exact, data, bytes);
  sn_code code = sn_npy_read(d, "x.npy", exact, bytes, out);
  snprintf(text, 1024, "%s", code ? sn_diags_print(d, d->arena) : "accepted");
  free(exact);
  sn_diags_destroy(d);
  return code;
}

#define DICT(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

/* clang-format off */
static const struct { const char *dict; size_t data_bytes; const char *message; } rows[] = {
    {DICT("'<f4'", "False", "(2, 3)"), 24, "accepted"},
    {DICT("'<f4'", "False", "(6,)"), 24, "accepted"},
    {DICT("'<f4'", "False", "()"), 4, "accepted"},
    {DICT("'|b1'", "False", "(0, 7)"), 0, "accepted"},
    {DICT("\"<i8\"", "True", "(3,)"), 24, "accepted"},
    {"{'shape': (2L, 3L), 'fortran_order': False, 'descr': '<f4'}", 24, "accepted"},
    {DICT("'<f4'", "True", "(2, 3)"), 24, "Fortran order"},
    {DICT("'|O'", "False", "(1,)"), 8, "pickles are not read"},
    {DICT("'O'", "False", "(1,)"), 8, "pickles are not read"},
    {DICT("'>f4'", "False", "(1,)"), 4, "big-endian"},
    {DICT("'<f16'", "False", "(1,)"), 16, "not supported"},
    {DICT("'<c8'", "False", "(1,)"), 8, "not supported"},
    {DICT("'<U4'", "False", "(1,)"), 16, "not supported"},
    {DICT("[('a', '<f4')]", "False", "(1,)"), 4, "malformed"},
    {DICT("'<f4'", "False", "(2, 3)"), 23, "does not match its shape"},
    {DICT("'<f4'", "False", "(2, 3)"), 25, "does not match its shape"},
    {DICT("'<f8'", "False", "(1099511627776, 1099511627776)"), 0, "too large"},
    {DICT("'<f4'", "False", "(4611686018427387904,)"), 0, "malformed"},
    {DICT("'<f4'", "False", "(-1,)"), 0, "malformed"},
    {DICT("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4, "malformed"},
    {DICT("'<f4'", "False", "(3)"), 12, "malformed"},
    {DICT("'<f4'", "False", "3"), 12, "malformed"},
    {DICT("'<f4'", "Maybe", "(3,)"), 12, "malformed"},
    {"{'descr': '<f4', 'shape': (3,)}", 12, "malformed"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 12, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}", 12, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} import os", 12, "malformed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)", 12, "malformed"},
    {"{'descr", 0, "malformed"},
    {"", 0, "malformed"},
};
/* clang-format on */

static void headers_are_read_or_refused(void **state) {
  (void)state;
  unsigned char buffer[512];
  static const unsigned char zeros[64];
  char text[1024];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int version = 1; version <= 3; version++) {
      sn_npy a;
      size_t bytes = image(buffer, version, rows[i].dict, zeros, rows[i].data_bytes);
      sn_code code = read_copy(buffer, bytes, text, &a);
      if (!strstr(text, rows[i].message)) print_message("%s\n%s\n", rows[i].dict, text);
      assert_non_null(strstr(text, rows[i].message));
      assert_int_equal(code, strcmp(rows[i].message, "accepted") ? SN_ERR_INPUT : SN_OK);
    }
  }
  image(buffer, 4, rows[0].dict, zeros, 24);
  sn_npy a;
  assert_int_equal(read_copy(buffer, 200, text, &a), SN_ERR_INPUT);
  assert_non_null(strstr(text, "version 4.0"));
  size_t bytes = image(buffer, 2, rows[0].dict, zeros, 24);
  buffer[11] = 0xff; /* a header of 4 GB */
  assert_int_equal(read_copy(buffer, bytes, text, &a), SN_ERR_INPUT);
  assert_int_equal(read_copy("PK\3\4 an npz", 12, text, &a), SN_ERR_INPUT);
  assert_non_null(strstr(text, "no .npy file"));
}

static void cut_and_damaged_files_never_crash(void **state) {
  (void)state;
  unsigned char buffer[512];
  static const unsigned char zeros[64];
  char text[1024];
  sn_npy a;
  size_t bytes = image(buffer, 1, rows[0].dict, zeros, 24);
  for (size_t n = 0; n < bytes; n++) assert_int_equal(read_copy(buffer, n, text, &a), SN_ERR_INPUT);
  for (size_t n = 0; n < bytes * 8; n++) {
    buffer[n / 8] ^= (unsigned char)(1 << n % 8);
    (void)!read_copy(buffer, bytes, text, &a);
    buffer[n / 8] ^= (unsigned char)(1 << n % 8);
  }
}

static void arrays_come_back(void **state) {
  (void)state;
  char folder[64], path[128];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/x.npy", folder);
  unsigned char data[6 * 8];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i % 2 * (i * 37 % 120));
  const sn_elem elem[] = {SN_ELEM_F64, SN_ELEM_F32, SN_ELEM_F16, SN_ELEM_I64, SN_ELEM_I32, SN_ELEM_I8, SN_ELEM_U8};
  const int64_t extent[] = {2, 3, 1};
  for (size_t i = 0; i < sizeof elem / sizeof *elem; i++) {
    for (int rank = 2; rank <= 3; rank++) {
      char *image_bytes;
      size_t bytes;
      sn_npy a;
      sn_diags *d = sn_diags_create();
      assert_int_equal(sn_npy_write(path, elem[i], rank, extent, data, d), SN_OK);
      assert_int_equal(sn_file_read(path, 1 << 20, d, &image_bytes, &bytes), SN_OK);
      assert_int_equal(sn_npy_read(d, path, image_bytes, bytes, &a), SN_OK);
      assert_true(a.elem == elem[i] && a.rank == rank && a.extent[1] == 3);
      assert_int_equal(((const char *)a.data - image_bytes) % 64, 0);
      assert_memory_equal(a.data, data, (size_t)a.bytes);
      free(image_bytes);
      sn_diags_destroy(d);
    }
  }
  uint16_t half[3] = {sn_bf16_from_f32(1.5f), sn_bf16_from_f32(-2), 0};
  char *image_bytes;
  size_t bytes;
  sn_npy a;
  int64_t three = 3;
  uint16_t back[3];
  assert_int_equal(sn_npy_write(path, SN_ELEM_BF16, 1, &three, half, NULL), SN_OK);
  assert_int_equal(sn_file_read(path, 1 << 20, NULL, &image_bytes, &bytes), SN_OK);
  assert_non_null(strstr(image_bytes + 10, "'<f4', 'fortran_order': False, 'shape': (3,), }"));
  assert_int_equal(sn_npy_read(NULL, path, image_bytes, bytes, &a), SN_OK);
  assert_int_equal(sn_npy_convert(&a, path, SN_ELEM_BF16, back, NULL), SN_OK);
  assert_memory_equal(half, back, sizeof half);
  free(image_bytes);
  uint8_t byte[3] = {sn_f8e4m3_from_f32(1.5f), sn_f8e4m3_from_f32(-448), 0}, byte_back[3];
  assert_int_equal(sn_npy_write(path, SN_ELEM_F8E4M3, 1, &three, byte, NULL), SN_OK);
  assert_int_equal(sn_file_read(path, 1 << 20, NULL, &image_bytes, &bytes), SN_OK);
  assert_int_equal(sn_npy_read(NULL, path, image_bytes, bytes, &a), SN_OK);
  assert_true(a.elem == SN_ELEM_F32);
  assert_int_equal(sn_npy_convert(&a, path, SN_ELEM_F8E4M3, byte_back, NULL), SN_OK);
  assert_memory_equal(byte, byte_back, sizeof byte);
  free(image_bytes);
  int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40};
  assert_int_equal(sn_npy_write(path, SN_ELEM_F32, 2, huge, half, NULL), SN_ERR_LIMIT);
  assert_int_equal(sn_npy_write("/nowhere/x.npy", SN_ELEM_F32, 0, huge, data, NULL), SN_ERR_FAIL);
  remove_folder(folder);
}

static void conversions_keep_values_or_say_why_not(void **state) {
  (void)state;
  sn_diags *d = sn_diags_create();
  int64_t ids[] = {0, 127, -5, 300};
  sn_npy from = {.elem = SN_ELEM_I64, .rank = 1, .extent = {4}, .data = ids, .bytes = 32};
  int32_t i32[4];
  uint8_t u8[4];
  float f32[4];
  assert_int_equal(sn_npy_convert(&from, "x.npy", SN_ELEM_I32, i32, d), SN_OK);
  assert_true(i32[2] == -5 && i32[3] == 300);
  assert_int_equal(sn_npy_convert(&from, "x.npy", SN_ELEM_U8, u8, d), SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(d, d->arena), "element 2 does not fit into u8"));
  assert_int_equal(sn_npy_convert(&from, "x.npy", SN_ELEM_F32, f32, d), SN_ERR_INPUT);
  assert_int_equal(sn_npy_convert(&from, "x.npy", SN_ELEM_BOOL, u8, d), SN_ERR_INPUT);
  double reals[] = {1.1, -2, 1e300, 0};
  sn_npy real = {.elem = SN_ELEM_F64, .rank = 1, .extent = {4}, .data = reals, .bytes = 32};
  assert_int_equal(sn_npy_convert(&real, "x.npy", SN_ELEM_F32, f32, d), SN_OK);
  assert_true(f32[0] == 1.1f && f32[2] > 3e38f);
  uint8_t bools[] = {0, 1, 2, 255};
  sn_npy flags = {.elem = SN_ELEM_BOOL, .rank = 1, .extent = {4}, .data = bools, .bytes = 4};
  assert_int_equal(sn_npy_convert(&flags, "x.npy", SN_ELEM_BOOL, u8, d), SN_OK);
  assert_true(u8[0] == 0 && u8[2] == 1 && u8[3] == 1);
  sn_diags_destroy(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(headers_are_read_or_refused),
      cmocka_unit_test(cut_and_damaged_files_never_crash),
      cmocka_unit_test(arrays_come_back),
      cmocka_unit_test(conversions_keep_values_or_say_why_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
