/* safetensors: round trips, weights of a store, and every hostile file refused with a message. */
#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"
#include "tests/runtime/support.h"

/* A file image: header text, then `data_bytes` bytes of data. */
static size_t image(unsigned char *out, const char *header, size_t data_bytes) {
  uint64_t n = strlen(header);
  for (int i = 0; i < 8; i++) out[i] = (unsigned char)(n >> (8 * i));
  memcpy(out + 8, header, n);
  memset(out + 8 + n, 7, data_bytes);
  return 8 + n + data_bytes;
}

static const char *reject(const void *data, size_t bytes) {
  static char text[4096];
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_safetensors s;
  unsigned char *copy = malloc(bytes + 1); /* exactly as long as the file: reads beyond are seen by the sanitizer */
  unsigned char *exact = realloc(copy, bytes ? bytes : 1);
  if (bytes) memcpy(exact, data, bytes);
  sn_code code = sn_safetensors_read(arena, d, "bad.safetensors", exact, bytes, &s);
  snprintf(text, sizeof text, "%s", code ? sn_diags_print(d, arena) : "accepted");
  if (code) assert_true((code == SN_ERR_INPUT || code == SN_ERR_LIMIT) && d->count == 1);
  free(exact);
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
  return text;
}

typedef struct row {
  const char *header;
  size_t data_bytes;
  const char *message; /* "accepted" */
} row;

#define T(shape, from, to) "\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

/* clang-format off */
static const row rows[] = {
    {"{\"a\":{" T("[2]", 0, 8) "}", 8, "accepted"},
    {"{\"a\":{" T("[2]", 0, 8) "}   ", 8, "accepted"},
    {"{}", 0, "accepted"},
    {"{\"__metadata__\":{\"k\":\"v\"},\"a\":{" T("[]", 0, 4) "}", 4, "accepted"},
    {"{\"a\":{" T("[0,5]", 0, 0) ",\"b\":{" T("[1]", 0, 4) "}", 4, "accepted"},
    {"{\"a\":{" T("[1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "accepted"},
    /* products that wrap: 2^62 * 4 and 2^32 * 2^32, "empty" tensors */
    {"{\"a\":{" T("[4294967296,4294967296]", 0, 0) "}", 0, "too large"},
    {"{\"a\":{" T("[1099511627776,1099511627776,1099511627776]", 0, 8) "}", 8, "too large"},
    {"{\"a\":{" T("[4611686018427387904]", 0, 0) "}", 0, "0 to 2^40"},
    {"{\"a\":{" T("[-1]", 0, 0) "}", 0, "0 to 2^40"},
    {"{\"a\":{" T("[1.0]", 0, 4) "}", 4, "0 to 2^40"},
    {"{\"a\":{" T("[1e0]", 0, 4) "}", 4, "0 to 2^40"},
    {"{\"a\":{" T("[true]", 0, 4) "}", 4, "0 to 2^40"},
    {"{\"a\":{" T("[99999999999999999999]", 0, 4) "}", 4, "not valid JSON"},
    {"{\"a\":{" T("[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "rank 0 to 8"},
    {"{\"a\":{" T("\"2\"", 0, 8) "}", 8, "rank 0 to 8"},
    /* spans */
    {"{\"a\":{" T("[2]", 0, 4) "}", 4, "does not match its shape"},
    {"{\"a\":{" T("[2]", 0, 12) "}", 12, "does not match its shape"},
    {"{\"a\":{" T("[2]", 0, 8) "}", 7, "outside of the file"},
    {"{\"a\":{" T("[2]", 8, 0) "}", 8, "outside of the file"},
    {"{\"a\":{" T("[2]", -8, 0) "}", 8, "outside of the file"},
    {"{\"a\":{" T("[2]", 9223372036854775800, 9223372036854775807) "}", 8, "outside of the file"},
    {"{\"a\":{" T("[2]", 0, 8) "}", 9, "belong to no tensor"},
    {"{\"a\":{" T("[2]", 4, 12) "}", 12, "belong to no tensor"},
    {"{\"a\":{" T("[2]", 0, 8) ",\"b\":{" T("[2]", 4, 12) "}", 12, "overlaps"},
    {"{\"a\":{" T("[2]", 0, 8) ",\"b\":{" T("[2]", 0, 8) "}", 8, "overlaps"},
    {"{\"a\":{" T("[2]", 0, 8) ",\"b\":{" T("[2]", 12, 20) "}", 20, "belong to no tensor"},
    /* members */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "no pair of data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]}}", 4, "no pair of data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{}}}", 4, "no pair of data_offsets"},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "not described"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "not described"},
    {"{\"a\":[1]}", 0, "not described"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    /* names */
    {"{\"\":{" T("[2]", 0, 8) "}", 8, "impossible length"},
    {"{\"a\":{" T("[1]", 0, 4) ",\"a\":{" T("[1]", 4, 8) "}", 8, "not valid JSON"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "not valid JSON"},
    {"{\"a\\u0000b\":{" T("[2]", 0, 8) "}", 8, "not valid JSON"},
    {"{\"\xff\":{" T("[2]", 0, 8) "}", 8, "not valid JSON"},
    {"{\"\xed\xa0\x80\":{" T("[2]", 0, 8) "}", 8, "not valid JSON"},
    /* text */
    {"[]", 0, "does not start with {"},
    {" {}", 0, "does not start with {"},
    {"", 0, "does not start with {"},
    {"{", 0, "not valid JSON"},
    {"{} x", 0, "not valid JSON"},
};
/* clang-format on */

static void hostile_headers_are_refused(void **state) {
  (void)state;
  static unsigned char buffer[4096];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    size_t bytes = image(buffer, rows[i].header, rows[i].data_bytes);
    const char *text = reject(buffer, bytes);
    if (!strstr(text, rows[i].message)) print_message("row %zu: %s\n%s\n", i, rows[i].header, text);
    assert_non_null(strstr(text, rows[i].message));
  }
}

static void hostile_lengths_are_refused(void **state) {
  (void)state;
  static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 5, UINT64_C(1) << 63, 1000, 3};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    unsigned char data[10] = {0};
    for (int k = 0; k < 8; k++) data[k] = (unsigned char)(lengths[i] >> (8 * k));
    data[8] = '{', data[9] = '}';
    assert_non_null(strstr(reject(data, sizeof data), "longer than the file"));
  }
  size_t bytes = 100000001 + 8;
  unsigned char *big = malloc(bytes);
  memset(big, ' ', bytes);
  uint64_t n = bytes - 8;
  for (int k = 0; k < 8; k++) big[k] = (unsigned char)(n >> (8 * k));
  big[8] = '{';
  assert_non_null(strstr(reject(big, bytes), "100000000 is the limit"));
  free(big);
}

static void deep_nesting_is_refused(void **state) {
  (void)state;
  enum { DEPTH = 3000 };
  char *header = malloc(2 * DEPTH + 16);
  unsigned char *buffer = malloc(2 * DEPTH + 64);
  strcpy(header, "{\"a\":");
  memset(header + 5, '[', DEPTH);
  memset(header + 5 + DEPTH, ']', DEPTH);
  strcpy(header + 5 + 2 * DEPTH, "}");
  assert_non_null(strstr(reject(buffer, image(buffer, header, 0)), "nested too deeply"));
  free(header);
  free(buffer);
}

static void long_names_are_refused(void **state) {
  (void)state;
  char header[2000];
  unsigned char buffer[3000];
  for (int n = 1024; n <= 1025; n++) {
    char name[1026] = {0};
    memset(name, 'n', (size_t)n);
    snprintf(header, sizeof header, "{\"%s\":{" T("[1]", 0, 4) "}", name);
    assert_non_null(strstr(reject(buffer, image(buffer, header, 4)), n == 1024 ? "accepted" : "impossible length"));
  }
}

static void many_tensors_take_little_time(void **state) {
  (void)state;
  enum { COUNT = 30000 };
  char *header = malloc(COUNT * 80);
  size_t at = 0;
  at += (size_t)sprintf(header, "{");
  for (int i = 0; i < COUNT; i++) /* in an order that is bad for naive sorting */
    at += (size_t)sprintf(header + at, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                          i ? "," : "", i, COUNT - 1 - i, COUNT - i);
  sprintf(header + at, "}");
  unsigned char *buffer = malloc(at + COUNT + 64);
  assert_string_equal(reject(buffer, image(buffer, header, COUNT)), "accepted");
  free(header);
  free(buffer);
}

/* ---- round trips -------------------------------------------------------------------------------- */

static world model(void) {
  world w = world_create(1);
  const sn_elem elem[] = {SN_ELEM_F32, SN_ELEM_BF16, SN_ELEM_F16,    SN_ELEM_F64,
                          SN_ELEM_I32, SN_ELEM_U8,   SN_ELEM_F8E4M3, SN_ELEM_F8E5M2};
  for (int i = 0; i < 8; i++) {
    int s = add_slot(&w, sn_arena_printf(w.arena, "h.%d.w \"\xc3\xa9\"", i), SN_SLOT_PARAM, -1, elem[i], i % 3,
                     number(&w, 3 + i), number(&w, 5));
    w.plan->slot[s].init = SN_INITIAL_UNIFORM, w.plan->slot[s].init_a = 100;
  }
  add_slot(&w, "moment", SN_SLOT_STATE, -1, SN_ELEM_F32, 1, number(&w, 3), NULL);
  return w;
}

static void weights_come_back(void **state) {
  (void)state;
  world w = model();
  char folder[64], path[128];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *a = store_of(&w, r, 1), *b = store_of(&w, r, 2);
  assert_int_equal(sn_store_save(a, w.plan, path, w.diags), SN_OK);
  assert_int_equal(sn_store_load(b, w.plan, path, SN_LOAD_ALL, w.diags), SN_OK);
  for (int i = 0; i < 8; i++) {
    int64_t bytes;
    const void *x = sn_store_data(a, i, &bytes), *y = sn_store_data(b, i, NULL);
    assert_memory_equal(x, y, (size_t)bytes);
  }
  sn_file_map map;
  sn_safetensors f;
  assert_int_equal(sn_file_map_open(path, w.diags, &map), SN_OK);
  assert_int_equal(sn_safetensors_read(w.arena, w.diags, path, map.data, map.bytes, &f), SN_OK);
  assert_int_equal(f.count, 8);
  assert_int_equal(f.meta_count, 3);
  assert_int_equal((uintptr_t)f.tensor[0].data % 64, 0);
  assert_non_null(sn_safetensors_find(&f, "h.1.w \"\xc3\xa9\""));
  assert_null(sn_safetensors_find(&f, "moment"));
  for (size_t n = 0; n < map.bytes; n++)
    assert_string_not_equal(reject(map.data, n), "accepted"); /* cut off anywhere */
  unsigned char *copy = malloc(map.bytes);
  for (size_t n = 0; n < map.bytes && n < 700; n++) { /* a damaged header is refused or another header; never a crash */
    memcpy(copy, map.data, map.bytes);
    copy[n] ^= (unsigned char)(1 << n % 8);
    reject(copy, map.bytes);
  }
  free(copy);
  sn_file_map_close(&map);
  sn_store_destroy(a);
  sn_store_destroy(b);
  sn_runtime_destroy(r);
  world_destroy(&w);
  remove_folder(folder);
}

static void weights_that_do_not_fit_are_refused(void **state) {
  (void)state;
  char folder[64], path[128];
  temp_folder(folder);
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  world w = world_create(1);
  int slot = add_slot(&w, "wte.weight", SN_SLOT_PARAM, -1, SN_ELEM_F32, 1, number(&w, 4), NULL);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){0});
  sn_store *s = store_of(&w, r, 1);
  double f64[4] = {1, 2, 3, 0.1};
  int32_t i32[4] = {0};
  sn_tensor_entry good = {
      .name = "wte.weight", .elem = SN_ELEM_F64, .rank = 1, .extent = {4}, .data = f64, .bytes = 32};
  sn_tensor_entry shape = good, kind = good, name = good, two[2] = {good, good};
  shape.extent[0] = 2, shape.bytes = 16;
  kind.elem = SN_ELEM_I32, kind.data = i32, kind.bytes = 16;
  name.name = "wte.weigth";
  two[1].name = "extra";
  struct {
    int count;
    const sn_tensor_entry *entry;
    sn_load mode;
    bool frozen;
    const char *message;
  } table[] = {{1, &shape, SN_LOAD_ALL, false, "f64[2]"},
               {1, &kind, SN_LOAD_ALL, false, "i32[4]"},
               {1, &name, SN_LOAD_ALL, false, "no tensor wte.weight"},
               {2, two, SN_LOAD_ALL, false, "no parameter extra"},
               {0, &good, SN_LOAD_ALL, false, "no tensor wte.weight"},
               {0, &good, SN_LOAD_TUNE, true, "no tensor wte.weight"},
               {2, two, SN_LOAD_TUNE, false, "no parameter extra"},
               {1, &good, SN_LOAD_ALL, false, NULL},
               {2, two, SN_LOAD_PARTIAL, false, NULL},
               {0, &good, SN_LOAD_TUNE, false, NULL},
               {0, &good, SN_LOAD_PARTIAL, true, NULL}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    sn_diags *d = sn_diags_create();
    assert_int_equal(sn_safetensors_write(path, table[i].count, table[i].entry, 0, NULL, d), SN_OK);
    w.plan->slot[slot].frozen = table[i].frozen;
    sn_code code = sn_store_load(s, w.plan, path, table[i].mode, d);
    assert_int_equal(code, table[i].message ? SN_ERR_INPUT : SN_OK);
    if (table[i].message) assert_non_null(strstr(sn_diags_print(d, d->arena), table[i].message));
    sn_diags_destroy(d);
  }
  assert_true(((float *)sn_store_data(s, slot, NULL))[3] == 0.1f);
  const char *const same[][2] = {{"model", "test"}, {"settings", ""}}; /* the plan leaves a graph out */
  assert_int_equal(sn_safetensors_write(path, 2, two, 2, same, w.diags), SN_OK);
  assert_int_equal(sn_store_load(s, w.plan, path, SN_LOAD_ALL, w.diags), SN_OK);
  assert_int_equal(sn_store_load(s, w.plan, "/nowhere/x", SN_LOAD_ALL, w.diags), SN_ERR_INPUT);
  assert_message(&w, "/nowhere/x");
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
  remove_folder(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hostile_headers_are_refused),
      cmocka_unit_test(hostile_lengths_are_refused),
      cmocka_unit_test(deep_nesting_is_refused),
      cmocka_unit_test(long_names_are_refused),
      cmocka_unit_test(many_tensors_take_little_time),
      cmocka_unit_test(weights_come_back),
      cmocka_unit_test(weights_that_do_not_fit_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
