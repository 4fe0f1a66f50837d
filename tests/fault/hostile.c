/* Writes one small hostile file per known attack on parsers of model files, and a manifest of what each must be refused
 * with: FILE <tab> exit code <tab> part of the message. The attacks are those of the public record on readers of GGUF,
 * safetensors, ONNX and npy files; what each row imitates stands beside it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/base/str.h"
#include "ir/plan/binary.h"

static const char *folder;
static FILE *manifest;

static FILE *begin(const char *name, int code, const char *message) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  fprintf(manifest, "%s\t%d\t%s\n", name, code, message);
  FILE *f = fopen(path, "wb");
  if (!f) exit(1);
  return f;
}

static void put(FILE *f, const void *data, size_t bytes) {
  if (bytes && fwrite(data, 1, bytes, f) != bytes) exit(1);
}

static void little(unsigned char *out, uint64_t x, int bytes) {
  for (int i = 0; i < bytes; i++) out[i] = (unsigned char)(x >> 8 * i);
}

static void put_int(FILE *f, uint64_t x, int bytes) {
  unsigned char b[8];
  little(b, x, bytes);
  put(f, b, (size_t)bytes);
}

static void repeat(FILE *f, const char *s, int n) {
  for (int i = 0; i < n; i++) put(f, s, strlen(s));
}

static void text(const char *name, int code, const char *message, const char *content) {
  FILE *f = begin(name, code, message);
  put(f, content, strlen(content));
  fclose(f);
}

/* ---- safetensors ------------------------------------------------------------------------------------------------- */

static void weights(const char *name, const char *message, const char *header, int data) {
  FILE *f = begin(name, 3, message);
  put_int(f, strlen(header), 8);
  put(f, header, strlen(header));
  for (int i = 0; i < data; i++) putc(i, f);
  fclose(f);
}

static void raw_weights(const char *name, int code, const char *message, uint64_t length) {
  FILE *f = begin(name, code, message);
  put_int(f, length, 8);
  put(f, "{\"a\":{}}", 8);
  fclose(f);
}

#define TENSOR(dtype, shape, offsets) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void make_weights(void) {
  /* products and sums that leave 64 bits (Talos 2024-1912.., CVE-2025-53630, stable-diffusion.cpp 1876, LiteRT 9255) */
  weights("product-2-32-2-32.safetensors", "a", TENSOR("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0);
  weights("product-wraps-to-4.safetensors", "a", TENSOR("\"U8\"", "[9223372036854775807,2,2]", "[0,4]"), 4);
  weights("product-wraps-to-0.safetensors", "a", TENSOR("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0);
  weights("extent-over-2-40.safetensors", "a", TENSOR("\"U8\"", "[1099511627777,0]", "[0,0]"), 0);
  weights("offset-sum-wraps.safetensors", "a", TENSOR("\"U8\"", "[2]", "[9223372036854775807,9223372036854775807]"), 2);
  weights("offset-over-64-bits.safetensors", "", TENSOR("\"U8\"", "[2]", "[0,18446744073709551618]"), 2);
  /* data outside of the file (Bleeding Llama, CVE-2026-7482) */
  weights("past-the-end.safetensors", "a", TENSOR("\"F32\"", "[64]", "[0,256]"), 255);
  weights("starts-past-the-end.safetensors", "a", TENSOR("\"F32\"", "[1]", "[4,8]"), 4);
  weights("ends-before-it-starts.safetensors", "a", TENSOR("\"U8\"", "[4]", "[4,0]"), 4);
  weights("negative-offset.safetensors", "a", TENSOR("\"U8\"", "[4]", "[-4,0]"), 4);
  weights("a-hole.safetensors", "", TENSOR("\"U8\"", "[2]", "[2,4]"), 4);
  weights("bytes-of-nobody.safetensors", "", TENSOR("\"U8\"", "[2]", "[0,2]"), 4);
  /* two sources of one size (fastllm 712) */
  weights("shape-against-span.safetensors", "a", TENSOR("\"F32\"", "[4]", "[0,8]"), 8);
  weights("overlap.safetensors", "",
          "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},\"b\":{\"dtype\":\"U8\",\"shape\":[3],"
          "\"data_offsets\":[1,4]}}",
          4);
  weights("twice.safetensors", "duplicate",
          "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"a\":{\"dtype\":\"U8\",\"shape\":[2],"
          "\"data_offsets\":[2,4]}}",
          4);
  /* extents of 0, too many axes (llama.cpp 25596, gguf-tools 28) */
  weights("zero-extent-with-data.safetensors", "a", TENSOR("\"U8\"", "[0,4]", "[0,4]"), 4);
  weights("nine-axes.safetensors", "a", TENSOR("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1);
  weights("negative-extent.safetensors", "a", TENSOR("\"U8\"", "[-1]", "[0,1]"), 1);
  /* declared types that are trusted (llama.cpp 24988, 26690, 24446) */
  weights("type-is-a-number.safetensors", "a", TENSOR("7", "[1]", "[0,1]"), 1);
  weights("type-is-unknown.safetensors", "a", TENSOR("\"F7\"", "[1]", "[0,1]"), 1);
  weights("shape-of-floats.safetensors", "a", TENSOR("\"U8\"", "[1.0]", "[0,1]"), 1);
  weights("shape-is-no-list.safetensors", "a", TENSOR("\"U8\"", "\"[1]\"", "[0,1]"), 1);
  weights("offsets-of-strings.safetensors", "a", TENSOR("\"U8\"", "[1]", "[\"0\",\"1\"]"), 1);
  weights("three-offsets.safetensors", "a", TENSOR("\"U8\"", "[1]", "[0,1,1]"), 1);
  weights("tensor-is-no-object.safetensors", "a", "{\"a\":[]}", 0);
  weights("empty-name.safetensors", "", "{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  weights("zero-in-a-name.safetensors", "", "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
          1);
  weights("no-utf-8.safetensors", "", "{\"\xff\xfe\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
  weights("metadata-is-a-list.safetensors", "", "{\"__metadata__\":[]}", 0);
  /* lengths of the header (fastllm 712: len + 5 wraps) */
  raw_weights("header-2-64-minus-1.safetensors", 3, "header", UINT64_MAX);
  raw_weights("header-2-64-minus-8.safetensors", 3, "header", UINT64_MAX - 7);
  raw_weights("header-2-63.safetensors", 3, "header", (uint64_t)1 << 63);
  raw_weights("header-of-0.safetensors", 3, "", 0);
  raw_weights("header-one-too-long.safetensors", 3, "header", 9);
  raw_weights("header-one-too-short.safetensors", 3, "", 7);
}

/* A long name, deep nesting, many spans over one place. */
static void make_bloated(void) {
  FILE *f = begin("name-of-2000-bytes.safetensors", 3, "");
  put_int(f, 2000 + strlen(TENSOR("\"U8\"", "[1]", "[0,1]")) - 1, 8);
  put(f, "{\"", 2);
  repeat(f, "n", 2000);
  put(f, &TENSOR("\"U8\"", "[1]", "[0,1]")[3], strlen(TENSOR("\"U8\"", "[1]", "[0,1]")) - 3);
  putc(0, f);
  fclose(f);
  f = begin("nesting-100000.safetensors", 3, "nested");
  put_int(f, 5 + 2 * 100000 + 1, 8);
  put(f, "{\"a\":", 5);
  repeat(f, "[", 100000);
  repeat(f, "]", 100000);
  putc('}', f);
  fclose(f);
  f = begin("spans-over-each-other.safetensors", 3, "");
  char entry[128];
  size_t bytes = 1;
  for (int pass = 0; pass < 2; pass++) {
    if (pass) put_int(f, bytes, 8), putc('{', f);
    for (int i = 0; i < 20000; i++) {
      int n = snprintf(entry, sizeof entry, "\"%05d\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[0,64]}%s", i,
                       i == 19999 ? "}" : ",");
      if (pass)
        put(f, entry, (size_t)n);
      else
        bytes += (size_t)n;
    }
  }
  repeat(f, "x", 64);
  fclose(f);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

static void array(const char *name, const char *message, int version, int length, const char *header, int data) {
  FILE *f = begin(name, message ? 3 : 0, message ? message : "");
  put(f, "\x93NUMPY", 6);
  put_int(f, (uint64_t)version, 1);
  put_int(f, 0, 1);
  put_int(f, length < 0 ? strlen(header) : (uint64_t)length, version == 1 ? 2 : 4);
  put(f, header, strlen(header));
  for (int i = 0; i < data; i++) putc(i, f);
  fclose(f);
}

#define ARRAY(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void make_arrays(void) {
  /* objects are pickles (CVE-2019-6446) */
  array("pickle.npy", "", 1, -1, ARRAY("'|O'", "False", "(1,)"), 64);
  array("record.npy", "", 1, -1, ARRAY("[('a', '<f4')]", "False", "(1,)"), 4);
  array("text.npy", "", 1, -1, ARRAY("'<U4'", "False", "(1,)"), 16);
  array("big-endian.npy", "", 1, -1, ARRAY("'>f4'", "False", "(1,)"), 4);
  array("columns-first.npy", "", 1, -1, ARRAY("'<f4'", "True", "(2, 2)"), 16);
  /* sizes */
  array("product-wraps.npy", "", 1, -1, ARRAY("'<f4'", "False", "(4611686018427387904, 4)"), 16);
  array("extent-over-64-bits.npy", "", 1, -1, ARRAY("'<f4'", "False", "(99999999999999999999,)"), 16);
  array("negative-extent.npy", "", 1, -1, ARRAY("'<f4'", "False", "(-1,)"), 4);
  array("thirty-three-axes.npy", "", 1, -1,
        ARRAY("'<u1'", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), 1);
  array("shorter-than-it-says.npy", "", 1, -1, ARRAY("'<f8'", "False", "(1000000000,)"), 8);
  array("longer-than-it-says.npy", "", 1, -1, ARRAY("'<f8'", "False", "(1,)"), 9);
  array("header-past-the-end.npy", "", 1, 65535, ARRAY("'<f4'", "False", "(1,)"), 4);
  array("header-2-32-minus-1.npy", "", 2, -2, "", 4);
  array("version-9.npy", "", 9, -1, ARRAY("'<f4'", "False", "(1,)"), 4);
  array("no-shape.npy", "", 1, -1, "{'descr': '<f4', 'fortran_order': False, }\n", 4);
  array("two-shapes.npy", "", 1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (2,), }\n", 4);
  array("no-comma-at-the-end.npy", NULL, 1, -1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}\n", 4);
  array("small-integers.npy", NULL, 1, -1, ARRAY("'|i1'", "False", "(200,)"), 200);
  array("large-integers.npy", NULL, 2, -1, ARRAY("'<i8'", "False", "(2, 3)"), 48);
  array("bools-above-1.npy", NULL, 1, -1, ARRAY("'|b1'", "False", "(7,)"), 7);
  array("nothing.npy", NULL, 1, -1, ARRAY("'<f2'", "False", "(4, 0)"), 0);
  array("code-in-the-header.npy", "", 1, -1, "__import__('os').system('true')\n", 4);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

static void sealed(const char *name, const char *message, const char *header, int data, uint64_t length) {
  static unsigned char file[1 << 20];
  size_t n = strlen(header), total = 16 + n + (size_t)data;
  memcpy(file, "SNCKPT01", 8);
  little(file + 8, length ? length : n, 8);
  memcpy(file + 16, header, n);
  memset(file + 16 + n, 7, (size_t)data);
  XXH128_hash_t h = XXH3_128bits(file, total);
  little(file + total, h.low64, 8);
  little(file + total + 8, h.high64, 8);
  FILE *f = begin(name, 3, message);
  put(f, file, total + 16);
  fclose(f);
}

#define RUN(step, batch, seed)                                                                                 \
  "{\"step\":" step ",\"batch\":" batch ",\"window\":8,\"seed\":" seed                                         \
  ",\"data\":\"0000000000000000\",\"plan0\":\"0000000000000000\",\"plan1\":\"0000000000000000\",\"loss_sum\":" \
  "\"0000000000000000\",\"loss_count\":0,\"model\":\"m\",\"settings\":\"\",\"options\":[],\"tensors\":"
#define GOOD RUN("1", "2", "\"0000000000000001\"")

static void make_checkpoints(void) {
  sealed("size-2-63-minus-1.ckpt", "w", GOOD "[[\"w\",\"u8\",9223372036854775807]]}", 64,
         0); /* padding it wraps (26318) */
  sealed("size-past-the-end.ckpt", "w", GOOD "[[\"w\",\"f32\",128]]}", 64, 0);
  sealed("negative-size.ckpt", "w", GOOD "[[\"w\",\"u8\",-64]]}", 64, 0);
  sealed("size-of-half-a-float.ckpt", "w", GOOD "[[\"w\",\"f32\",6]]}", 64, 0);
  sealed("size-is-text.ckpt", "", GOOD "[[\"w\",\"f32\",\"64\"]]}", 64, 0);
  sealed("type-is-unknown.ckpt", "w", GOOD "[[\"w\",\"f33\",64]]}", 64, 0);
  sealed("twice.ckpt", "w", GOOD "[[\"w\",\"u8\",64],[\"w\",\"u8\",64]]}", 128, 0);
  sealed("bytes-of-nobody.ckpt", "64", GOOD "[[\"w\",\"u8\",64]]}", 128, 0);
  sealed("no-tensors.ckpt", "tensors", GOOD "7}", 0, 0);
  sealed("negative-step.ckpt", "step", RUN("-1", "2", "\"0000000000000001\"") "[]}", 0, 0);
  sealed("batch-out-of-range.ckpt", "batch", RUN("1", "9223372036854775807", "\"0000000000000001\"") "[]}", 0, 0);
  sealed("seed-of-15-digits.ckpt", "seed", RUN("1", "2", "\"000000000000001\"") "[]}", 0, 0);
  sealed("seed-with-a-sign.ckpt", "seed", RUN("1", "2", "\"-00000000000000f\"") "[]}", 0, 0); /* lax hex (25969) */
  sealed("seed-0x.ckpt", "seed", RUN("1", "2", "\"0x0000000000000f\"") "[]}", 0, 0);
  sealed("seed-is-a-number.ckpt", "seed", RUN("1", "2", "1") "[]}", 0, 0);
  sealed("header-is-a-list.ckpt", "", "[]", 0, 0);
  sealed("header-past-the-end.ckpt", "header", GOOD "[]}", 0, 1 << 20);
  sealed("header-2-64-minus-1.ckpt", "header", GOOD "[]}", 0, UINT64_MAX);
  text("wrong-checksum.ckpt", 3, "",
       "SNCKPT01\x02{}................................................................................");
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

typedef struct body {
  unsigned char at[4096];
  size_t bytes;
} body;

static void add(body *b, const void *data, size_t bytes) {
  memcpy(b->at + b->bytes, data, bytes);
  b->bytes += bytes;
}

static void add_int(body *b, uint64_t x, int bytes) {
  little(b->at + b->bytes, x, bytes);
  b->bytes += (size_t)bytes;
}

static void add_string(body *b, const char *s) {
  add_int(b, strlen(s), 4);
  add(b, s, strlen(s));
}

/* Everything up to the dims. */
static body start(void) {
  body b = {.bytes = 0};
  add_string(&b, "m");
  add_string(&b, "");
  add_string(&b, "cpu");
  add_string(&b, "dims { B: 1..4 }");
  return b;
}

static void plan(const char *name, const char *message, const body *b, uint64_t length, int version) {
  FILE *f = begin(name, 3, message);
  put(f, SN_PLAN_MAGIC, SN_PLAN_MAGIC_BYTES);
  put_int(f, (uint64_t)version, 4);
  put_int(f, 0, 4);
  put_int(f, length ? length : b->bytes + SN_PLAN_HEADER_BYTES, 8);
  put_int(f, sn_hash_bytes(b->at, b->bytes, SN_PLAN_VERSION), 8);
  put(f, b->at, b->bytes);
  fclose(f);
}

/* A plan that ends in a count of 2^32 - 1 after `zeros` counts of 0. */
static void plan_count(const char *name, int zeros) {
  body b = start();
  for (int i = 0; i < zeros; i++) add_int(&b, 0, 4);
  add_int(&b, UINT32_MAX, 4);
  plan(name, "count", &b, 0, SN_PLAN_VERSION);
}

static void make_plans(void) {
  plan_count("dims-2-32-minus-1.plan", 0);
  plan_count("slots-2-32-minus-1.plan", 1);
  plan_count("code-2-32-minus-1.plan", 2);
  plan_count("steps-2-32-minus-1.plan", 3);
  plan_count("graphs-2-32-minus-1.plan", 4);
  body b = start();
  plan("version-9.plan", "version", &b, 0, 9);
  plan("length-2-64-minus-1.plan", "length", &b, UINT64_MAX, SN_PLAN_VERSION);
  plan("ends-early.plan", "", &b, 0, SN_PLAN_VERSION);
  b = start();
  add_int(&b, 1, 4);
  add_string(&b, "B B B");
  plan("a-dim-of-three-words.plan", "dim", &b, 0, SN_PLAN_VERSION);
  b = start();
  add_int(&b, 1, 4);
  add_int(&b, UINT32_MAX - 1, 4);
  plan("string-of-4-GiB.plan", "string", &b, 0, SN_PLAN_VERSION);
  b = start();
  add_int(&b, 0, 4), add_int(&b, 0, 4), add_int(&b, 1, 4); /* one blob of code */
  add_int(&b, 0, 1), add_string(&b, "k"), add_string(&b, ""), add_int(&b, 0, 8), add_int(&b, 0, 8);
  add_int(&b, (uint64_t)1 << 62, 8);
  plan("code-of-2-62-bytes.plan", "code", &b, 0, SN_PLAN_VERSION);
  b = start();
  add_int(&b, 0, 4), add_int(&b, 0, 4), add_int(&b, 1, 4);
  add_int(&b, 200, 1), add_string(&b, "k"), add_string(&b, ""), add_int(&b, 0, 8), add_int(&b, 0, 8), add_int(&b, 0, 8);
  add_int(&b, 0, 4), add_int(&b, 0, 4);
  plan("unknown-kind-of-code.plan", "", &b, 0, SN_PLAN_VERSION);
}

/* ---- executables: what stands behind the program ----------------------------------------------------------------- */

/* Plan, weights, tokenizer and settings, each at `at` of `bytes`, and a checksum that fits empty parts. */
static void executable(const char *name, uint64_t at, uint64_t bytes) {
  FILE *f = begin(name, 3, "carries no model");
  put(f,
      "\x7f"
      "ELF of no use.",
      16);
  for (int i = 0; i < 4; i++) put_int(f, at, 8);
  for (int i = 0; i < 4; i++) put_int(f, bytes, 8);
  put_int(f, 0, 8);
  put(f, "SNEXE001", 8);
  fclose(f);
}

static void make_executables(void) {
  executable("part-starts-past-the-end.exe", 17, 0);
  executable("part-ends-past-the-end.exe", 8, 9);
  executable("part-end-wraps.exe", 8, UINT64_MAX - 3);
  executable("part-at-2-64-minus-1.exe", UINT64_MAX, 2);
  executable("wrong-checksum.exe", 0, 16);
  FILE *f = begin("trailer-cut-off.exe", 3, "carries no model");
  put(f,
      "\x7f"
      "ELFSNEXE001",
      12);
  fclose(f);
}

/* ---- plans of several feature levels ----------------------------------------------------------------------------- */

enum { LEVEL_NAME = 16, LEVEL_FEATURES = 192, LEVEL_ROW = LEVEL_NAME + LEVEL_FEATURES + 16, LEVEL_HEAD = 32 };

/* `count` levels by the head, two rows with plans of 64 bytes behind them; the second at `at` of `bytes`. */
static void levels(const char *name, const char *message, uint64_t count, const char *second, uint64_t at,
                   uint64_t bytes, uint64_t off_by) {
  unsigned char table[2 * LEVEL_ROW] = {0};
  const uint64_t from = (LEVEL_HEAD + sizeof table + 63) / 64 * 64, end = from + 128;
  for (int i = 0; i < 2; i++) {
    unsigned char *row = table + i * LEVEL_ROW;
    strncpy((char *)row, i ? second : "baseline", LEVEL_NAME);
    strncpy((char *)row + LEVEL_NAME, i ? second : "baseline", LEVEL_FEATURES);
    little(row + LEVEL_ROW - 16, i ? from + 64 + at : from, 8);
    little(row + LEVEL_ROW - 8, i ? bytes : 64, 8);
  }
  FILE *f = begin(name, 3, message);
  put(f, "SNLEVEL1", 8);
  put_int(f, count, 4), put_int(f, 0, 4), put_int(f, end, 8);
  put_int(f, sn_hash_bytes(table, sizeof table, end) + off_by, 8);
  put(f, table, sizeof table);
  for (uint64_t i = LEVEL_HEAD + sizeof table; i < end; i++) putc(0, f);
  fclose(f);
}

static void make_levels(void) {
  const char *place = "outside of its place", *end = "beyond its end";
  levels("plan-before-the-table.levels", place, 2, "avx2", (uint64_t)0 - 640, 64, 0);
  levels("plan-past-the-end.levels", place, 2, "avx2", 1 << 20, 0, 0);
  levels("plan-ends-past-the-end.levels", place, 2, "avx2", 0, 65, 0);
  levels("plan-end-wraps.levels", place, 2, "avx2", 0, UINT64_MAX - 63, 0);
  levels("plans-overlap.levels", place, 2, "avx2", (uint64_t)0 - 64, 64, 0);
  levels("name-without-end.levels", "without end", 2, "aaaaaaaaaaaaaaaaaaaaaaaa", 0, 64, 0);
  levels("name-is-empty.levels", "without end", 2, "", 0, 64, 0);
  levels("level-twice.levels", "twice", 2, "baseline", 0, 64, 0);
  levels("no-levels.levels", end, 0, "avx2", 0, 64, 0);
  levels("nine-levels.levels", end, 9, "avx2", 0, 64, 0);
  levels("levels-2-32-minus-1.levels", end, UINT32_MAX, "avx2", 0, 64, 0);
  levels("wrong-hash.levels", "damaged", 2, "avx2", 0, 64, 1);
  levels("no-plans-inside.levels", "plan", 2, "avx2", 0, 64, 0);
  FILE *f = begin("head-cut-off.levels", 3, "ends early");
  put(f, "SNLEVEL1\1", 9);
  fclose(f);
}

/* ---- entries of the object cache --------------------------------------------------------------------------------- */

static void entry(const char *name, uint64_t key, uint64_t code, uint64_t features, uint64_t at, uint64_t workspace) {
  static const char payload[16] = "keyavxcodecodeco";
  FILE *f = begin(name, 3, "damaged");
  put(f, "SNCACHE1", 8);
  put_int(f, key, 8), put_int(f, code, 8), put_int(f, sn_hash_bytes(payload, sizeof payload, 3), 8);
  put_int(f, at, 8), put_int(f, workspace, 8), put_int(f, 0, 4), put_int(f, features, 4);
  put(f, payload, sizeof payload);
  fclose(f);
}

static void make_entries(void) {
  entry("key-past-the-end.code", 17, 0, 0, 0, 0);
  entry("sum-of-sizes-wraps.code", 3, UINT64_MAX - 2, 16, 0, 0);
  entry("features-past-the-end.code", 3, 10, 0xffffffff, 0, 0);
  entry("code-one-too-long.code", 3, 11, 3, 0, 0);
  entry("starts-past-the-end.code", 3, 10, 3, 10, 0);
  entry("starts-before.code", 3, 10, 3, UINT64_MAX, 0);
  entry("workspace-below-0.code", 3, 10, 3, 0, UINT64_MAX);
  FILE *f = begin("header-cut-off.code", 3, "damaged");
  put(f, "SNCACHE1", 8);
  fclose(f);
}

/* ---- graph texts ------------------------------------------------------------------------------------------------- */

static void nested(const char *name, const char *head, const char *word, int n, const char *tail) {
  FILE *f = begin(name, 3, "");
  put(f, head, strlen(head));
  repeat(f, word, n);
  put(f, tail, strlen(tail));
  fclose(f);
}

#define GRAPH(type) \
  "sinter 1\ndims { B: 1..4 }\ngraph @g {\n  %1 = input name \"x\" : " type "\n  output \"y\" = %1\n}\n"

static void make_graphs(void) {
  nested("dims-in-100000-brackets.sn", "sinter 1\ndims { B: 1..4 }\ngraph @g {\n  %1 = input name \"x\" : f32[", "(",
         100000, "B");
  nested("sum-of-100000.sn", "sinter 1\ndims { B: 1..4 }\ngraph @g {\n  %1 = input name \"x\" : f32[B", "+(B*B)",
         100000, "");
  nested("open-brackets.sn", "sinter 1\n", "graph @g {\n", 100000, "");
  nested("a-word-of-100000.sn", "sinter 1\ngraph @", "g", 100000, " {}\n");
  nested("a-string-of-100000.sn", "sinter 1\ngraph @g {\n %1 = input name \"", "n", 100000, "\" : f32[]\n}\n");
  nested("a-string-without-end.sn", "sinter 1\ngraph @g {\n %1 = input name \"", "n", 10, "");
  nested("a-comment-without-end.sn", "sinter 1\n", "/* ", 100000, "");
  text("nine-axes.sn", 3, "", GRAPH("f32[1, 1, 1, 1, 1, 1, 1, 1, 1]"));
  text("extent-over-64-bits.sn", 3, "", GRAPH("f32[99999999999999999999]"));
  text("extent-over-2-40.sn", 3, "2^40", GRAPH("f32[1099511627777]"));
  text("product-over-64-bits.sn", 3, "elements", GRAPH("f32[1099511627776, 1099511627776]"));
  text("negative-extent.sn", 3, "found:    -1", GRAPH("f32[-1]"));
  text("bounds-upside-down.sn", 3, "", "sinter 1\ndims { B: 4..1 }\ngraph @g { }\n");
  text("divided-by-zero.sn", 3, "", "sinter 1\ndims { B: 1..4 % 0 }\ngraph @g { }\n");
  text("version-9.sn", 3, "", "sinter 9\ngraph @g { }\n");
  text("value-from-the-future.sn", 3, "", "sinter 1\ngraph @g {\n  %1 = exp %2 : f32[]\n  %2 = exp %1 : f32[]\n}\n");
  text("value-4294967297.sn", 3, "",
       "sinter 1\ngraph @g {\n  %1 = input name \"x\" : f32[]\n  %2 = exp %4294967297 : f32[]\n  output \"y\" = "
       "%2\n}\n");
  text("calls-itself.sn", 3, "",
       "sinter 1\nfunc @f {\n  %1 = arg index 0 : f32[]\n  %2 = call %1 body @f : f32[]\n  return %2\n}\ngraph @g {\n  "
       "%1 = input name \"x\" : f32[]\n  %2 = call %1 body @f : f32[]\n  output \"y\" = %2\n}\n");
  text("perm-outside.sn", 3, "",
       "sinter 1\ngraph @g {\n  %1 = input name \"x\" : f32[2, 2]\n  %2 = transpose %1 perm [0, 9] : f32[2, 2]\n  "
       "output \"y\" = %2\n}\n");
  text("axis-outside.sn", 3, "",
       "sinter 1\ngraph @g {\n  %1 = input name \"x\" : f32[2]\n  %2 = sum %1 axes [2147483647] : f32[]\n  output "
       "\"y\" = %2\n}\n");
  text("axis-negative.sn", 3, "",
       "sinter 1\ngraph @g {\n  %1 = input name \"x\" : f32[2]\n  %2 = sum %1 axes [-9223372036854775808] : f32[]\n  "
       "output \"y\" = %2\n}\n");
}

/* ---- kernel texts ------------------------------------------------------------------------------------------------ */

#define KERNEL(body) "kernel k(x: in f32, y: out f32, N: size 1..8) grid(2) {\n" body "}\n"
#define CONST "%1 = const 1 : f32[1,1]\n"

static void make_kernels(void) {
  nested("brackets-100000.kernel", "kernel k(x: in f32, y: out f32) grid(2) {\n%1 = load x[", "(", 100000, "");
  nested("operands-100000.kernel", KERNEL("%1 = add 1"), ", 1", 100000, "");
  nested("loops-in-10000-loops.kernel", "kernel k(x: in f32) grid(2) {\n", "for i = 0 to 4 step 1 {\n", 10000, "");
  nested("parameters-100000.kernel", "kernel k(x: in f32", ", x: in f32", 100000, ") grid(1) { }");
  text("extents-over-64-bits.kernel", 3, "", KERNEL("%1 = const 1 : f32[99999999999999999999,1]\n"));
  text("extents-multiply-to-0.kernel", 3, "out of range", KERNEL("%1 = const 1 : f32[4294967296,4294967296]\n"));
  text("tile-too-large.kernel", 3, "out of range", KERNEL("%1 = const 1 : f32[65536,65536]\n"));
  text("unknown-type.kernel", 3, "unknown element type", KERNEL("%1 = const 1 : f33[1,1]\n"));
  text("unknown-type-of-a-parameter.kernel", 3, "unknown element type", "kernel k(x: in f33) grid(1) {\n}\n");
  text("unknown-role.kernel", 3, "in, out, inout or size", "kernel k(x: f32) grid(1) {\n}\n");
  text("unknown-index.kernel", 3, "unknown index function", KERNEL("%1 = load x[isqrt(N, 2) : 0, 1] : f32[1,4]\n"));
  text("buffer-that-is-none.kernel", 3, "a buffer", KERNEL("%1 = load 7[0 : 0, 1] : f32[1,4]\n"));
  text("value-that-is-no-buffer.kernel", 3, "", KERNEL(CONST "%2 = load %1[0 : 0, 1] : f32[1,4]\n"));
  text("numbers-compared.kernel", 3, "one of them a value", KERNEL("%1 = lt 1, 2 : bool[1,1]\n"));
  text("yields-less-than-carried.kernel", 3, "carries 1 values yields 0",
       KERNEL(CONST "%2 = for i = 0 to 4 step 1 carry %3 = %1 {\n}\n"));
  text("branches-yield-unlike.kernel", 3, "yield", KERNEL("if N {\n" CONST "yield %1\n} else {\n}\n"));
  text("size-upside-down.kernel", 3, "bounds", "kernel k(N: size 8..1) grid(1) {\n}\n");
  text("size-by-steps-of-0.kernel", 3, "bounds", "kernel k(N: size 1..8 step 0) grid(1) {\n}\n");
  text("aligned-to-0.kernel", 3, "alignment", "kernel k(x: in f32 align 0) grid(1) {\n}\n");
  text("two-of-one-name.kernel", 3, "name", "kernel k(x: in f32, x: in f32) grid(1) {\n}\n");
  text("named-as-a-grid.kernel", 3, "name", "kernel k(g0: size 1..8) grid(1) {\n}\n");
  text("grid-of-4.kernel", 3, "", "kernel k(x: in f32) grid(1, 1, 1, 1) {\n}\n");
  text("grid-of-a-grid.kernel", 3, "", "kernel k(x: in f32) grid(g0) {\n}\n");
  text("divided-by-0.kernel", 3, "not positive", KERNEL("%1 = load x[N / 0 : 0, 1] : f32[1,4]\n"));
  text("rest-of-0.kernel", 3, "not positive", KERNEL("%1 = load x[N % 0 : 0, 1] : f32[1,4]\n"));
  text("index-over-64-bits.kernel", 3, "", KERNEL("%1 = load x[99999999999999999999 : 0, 1] : f32[1,4]\n"));
  text("read-after-its-block.kernel", 3, "scope",
       KERNEL("for i = 0 to 4 step 1 {\n" CONST "}\nstore y[0 : 0, 1], %1\n"));
  text("cut-off.kernel", 3, "the end of the text", "kernel k(x: in f32) grid(1) {\n  %1 = load ");
}

/* ---- files of a run folder: members of JSON ---------------------------------------------------------------------- */

static void make_json(void) {
  text("settings-is-a-list.settings.json", 3, "", "[]");
  text("ring-is-text.settings.json", 3, "ring",
       "{\"model\": \"m\", \"settings\": \"\", \"source\": \"\", \"ring\": \"1\", \"seed\": 1}");
  text("ring-of-7.settings.json", 3, "ring",
       "{\"model\": \"m\", \"settings\": \"\", \"source\": \"\", \"ring\": 7, \"seed\": 1}");
  text("seed-over-64-bits.settings.json", 3, "",
       "{\"model\": \"m\", \"settings\": \"\", \"source\": \"\", \"ring\": 0, \"seed\": 99999999999999999999}");
  text("model-is-missing.settings.json", 3, "model",
       "{\"settings\": \"\", \"source\": \"\", \"ring\": 0, \"seed\": 1}");
  text("two-models.settings.json", 3, "duplicate",
       "{\"model\": \"m\", \"model\": \"n\", \"settings\": \"\", \"source\": \"\", \"ring\": 0, \"seed\": 1}");
  text("unknown.tokenizer.json", 3, "tokenizer", "{\"type\": \"bpe\"}");
  text("type-is-a-number.tokenizer.json", 3, "tokenizer", "{\"type\": 1}");
  text("no-vocab.tokenizer.json", 3, "vocab", "{\"type\": \"char\"}");
  text("vocab-of-numbers.tokenizer.json", 3, "vocab", "{\"type\": \"char\", \"vocab\": [1, 2]}");
  text("two-letters.tokenizer.json", 3, "vocab", "{\"type\": \"char\", \"vocab\": [\"ab\"]}");
  text("out-of-order.tokenizer.json", 3, "vocab", "{\"type\": \"char\", \"vocab\": [\"b\", \"a\"]}");
  text("an-empty-letter.tokenizer.json", 3, "vocab", "{\"type\": \"char\", \"vocab\": [\"\"]}");
  text("half-a-letter.tokenizer.json", 3, "", "{\"type\": \"char\", \"vocab\": [\"\xc3\"]}");
  text("surrogate.tokenizer.json", 3, "", "{\"type\": \"char\", \"vocab\": [\"\\ud800\"]}");
  text("options-is-an-object.run.json", 3, "options", "{\"options\": {}, \"data\": []}");
  text("option-of-three.run.json", 3, "options", "{\"options\": [[\"lr\", \"1\", \"2\"]], \"data\": []}");
  text("option-is-a-number.run.json", 3, "options", "{\"options\": [[\"lr\", 1]], \"data\": []}");
  text("option-of-no-run.run.json", 3, "--out is no option of a run",
       "{\"options\": [[\"out\", \"/tmp\"]], \"data\": []}");
  text("option-without-value.run.json", 3, "--resume", "{\"options\": [[\"resume\", \"\"]], \"data\": []}");
  text("loads-code.run.json", 2, "give it again", "{\"options\": [[\"backend\", \"evil.so\"]], \"data\": []}");
  text("data-is-text.run.json", 3, "data", "{\"options\": [], \"data\": \"text\"}");
  text("data-without-hash.run.json", 3, "hash", "{\"options\": [], \"data\": [{\"path\": \"text\", \"bytes\": 1}]}");
  text("data-of-15-digits.run.json", 3, "hash",
       "{\"options\": [], \"data\": [{\"path\": \"text\", \"bytes\": 1, \"hash\": \"0123456789abcde\"}]}");
  text("data-of-negative-size.run.json", 3, "bytes",
       "{\"options\": [], \"data\": [{\"path\": \"text\", \"bytes\": -1, \"hash\": \"0123456789abcdef\"}]}");
  FILE *f = begin("options-1000001.run.json", 3, "options");
  put(f, "{\"options\": [[\"a\",\"b\"]", 23);
  repeat(f, ",[\"a\",\"b\"]", 1000000);
  put(f, "], \"data\": []}", 14);
  fclose(f);
  f = begin("nesting-100000.tokenizer.json", 3, "nested");
  repeat(f, "[", 100000);
  fclose(f);
  f = begin("nesting-65.settings.json", 3, "nested");
  put(f, "{\"model\": ", 10);
  repeat(f, "[", 64);
  repeat(f, "]", 64);
  putc('}', f);
  fclose(f);
}

int main(int argc, char **argv) {
  char path[4096];
  if (argc != 2) return 2;
  folder = argv[1];
  snprintf(path, sizeof path, "%s/manifest", folder);
  manifest = fopen(path, "w");
  if (!manifest) return 1;
  make_weights();
  make_bloated();
  make_arrays();
  make_checkpoints();
  make_plans();
  make_executables();
  make_levels();
  make_entries();
  make_graphs();
  make_kernels();
  make_json();
  return fclose(manifest) != 0;
}
