/* The disassembler: golden texts, and the words that an assembler makes of its text. With
 * SN_BLESS=1 in the environment the golden texts are written anew, to be reviewed like code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/spirv/spv_read.h"
#include "harness.h"

static const char *text_of(sn_arena *arena, module m) {
  sn_text t = sn_text_begin(arena);
  assert_int_equal(spv_print(&t, m.words, m.count, NULL), SN_OK);
  return t.at;
}

static const char *read_text(sn_arena *arena, const char *path) {
  sn_text t = sn_text_begin(arena);
  FILE *f = fopen(path, "rb");
  for (int c; f && (c = getc(f)) != EOF;) sn_text_char(&t, (char)c);
  if (f) fclose(f);
  return t.at;
}

static void check_golden(sn_arena *arena, const char *name, module m) {
  const char *path = sn_arena_printf(arena, SN_SOURCE_DIR "/tests/spirv/golden/%s.txt", name);
  const char *text = text_of(arena, m);
  if (getenv("SN_BLESS")) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
  }
  assert_string_equal(text, read_text(arena, path));
}

static void golden(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  check_golden(arena, "plain", sample(arena, (spv_opt){.int64 = true, .names = true}));
  check_golden(arena, "vulkan", sample(arena, (spv_opt){.vulkan_memory = true}));
  sn_arena_destroy(arena);
}

/* Every kind of number, and names that need care. */
static module numbers(sn_arena *arena, bool names) {
  spv *s = spv_begin(arena, (spv_opt){.names = names});
  static const float floats[] = {0.1f, -0.0f, 1e-45f, 3e38f, INFINITY, -INFINITY, NAN};
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) (void)spv_f32(s, floats[i]);
  static const double doubles[] = {0.1, -0.0, 5e-324, 1e300, INFINITY, -INFINITY, NAN};
  for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) (void)spv_f64(s, doubles[i]);
  spv_id half = spv_float(s, 16);
  static const uint32_t halves[] = {0x3c00, 0x8000, 0x0001, 0x7c00, 0xfc00, 0x7e00};
  for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) (void)spv_intern(s, SpvOpConstant, half, 1, &halves[i]);
  static const uint32_t is_signed[] = {32, 1};
  spv_id type = spv_intern(s, SpvOpTypeInt, 0, 2, is_signed);
  static const uint32_t minus = 0xffffffffu;
  spv_id a = spv_intern(s, SpvOpConstant, type, 1, &minus);
  spv_id b = spv_u64(s, UINT64_MAX);
  spv_name(s, a, "uint");
  spv_name(s, b, "uint");
  spv_name(s, type, "7");
  spv_id odd = spv_u32(s, 99);
  spv_name(s, odd, "a b\"\\\x1b[2J");
  (void)spv_flag(s, true);
  (void)spv_flag(s, false);
  spv_main(s);
  module m = {0};
  assert_int_equal(spv_end(s, 1, NULL, &m.words, &m.count), SN_OK);
  return m;
}

static void numbers_and_names(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  check_golden(arena, "numbers", numbers(arena, true));
  sn_arena_destroy(arena);
}

/* The text with numbers for ids. */
static const char *raw_text(sn_arena *arena, module m) {
  spv_reader r;
  assert_int_equal(spv_read(&r, m.words, m.count, arena, NULL, SN_ERR_INPUT), SN_OK);
  sn_text t = sn_text_begin(arena);
  for (int i = 0; i < r.insn_count; i++) {
    spv_print_insn(&t, &r, NULL, &r.insn[i]);
    sn_text_char(&t, '\n');
  }
  return t.at;
}

/* The words that spirv-as makes of a text; without words: it is not there. */
static module assembled(sn_arena *arena, const char *text) {
  char from[] = "/tmp/spirv-XXXXXX", to[] = "/tmp/spirv-XXXXXX";
  int in = mkstemp(from), out = mkstemp(to);
  assert_true(in >= 0 && out >= 0);
  assert_int_equal(write(in, text, strlen(text)), (ssize_t)strlen(text));
  int failed = system(sn_arena_printf(
      arena, "command -v spirv-as >/dev/null || exit 3; spirv-as --preserve-numeric-ids --target-env spv1.5 %s -o %s",
      from, to));
  module m = {0};
  if (!failed) {
    uint32_t *words = SN_ARRAY(arena, 100000, uint32_t);
    ssize_t bytes = read(out, words, 400000);
    m = (module){words, bytes < 0 ? 0 : (size_t)bytes / 4};
  }
  close(in);
  close(out);
  unlink(from);
  unlink(to);
  if (failed) assert_int_equal(failed >> 8, 3);
  return m;
}

static void an_assembler_gives_the_same_words(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  for (int i = 0; i < 9; i++) {
    const spv_opt opt = {.vulkan_memory = i & 1, .int64 = i & 2, .names = i & 4};
    module m = i == 8 ? numbers(arena, false) : sample(arena, opt);
    module again = assembled(arena, raw_text(arena, m));
    if (!again.words) {
      print_message("spirv-as: not found\n");
      skip();
    }
    assert_int_equal(again.count, m.count);
    assert_memory_equal(again.words + SPV_HEADER_WORDS, m.words + SPV_HEADER_WORDS, (m.count - SPV_HEADER_WORDS) * 4);
    assert_non_null(assembled(arena, text_of(arena, m)).words);
  }
  sn_arena_destroy(arena);
}

/* ---- bad words --------------------------------------------------------------------------------------------------- */

/* A header with one word changed, or another number of words. */
static const struct {
  size_t at, count; /* the word, how many there are */
  uint32_t word;
  const char *message;
} bad_headers[] = {
    {2, 4, 0, "spirv: not a module, expected a header of 5 words, found 4 words"},
    {0, 5, 0x03022307, "spirv: not a module, expected the magic number 0x07230203, found 0x03022307"},
    {1, 5, 0x00020000, "spirv: not a module, expected a version from 1.0 to 1.6, found 0x00020000"},
    {1, 5, 0x00010501, "spirv: not a module, expected a version from 1.0 to 1.6, found 0x00010501"},
    {3, 5, 0, "spirv: not a module, expected a bound of ids from 1 to 0x3fffff, found 0"},
    {3, 5, 0x400000, "spirv: not a module, expected a bound of ids from 1 to 0x3fffff, found 4194304"},
    {4, 5, 1, "spirv: not a module, expected schema 0, found 1"},
};

/* Instructions behind a good header. */
static const struct {
  size_t count;
  uint32_t words[8];
  const char *message;
} bad_code[] = {
    {2, {17, 1}, "spirv: word 5: OpCapability: 0 words, 2 are left"},
    {2, {3 << 16 | 17, 1}, "spirv: word 5: OpCapability: 3 words, 2 are left"},
    {2, {2 << 16 | 9999, 1}, "spirv: word 5: unknown opcode 9999"},
    {3, {3 << 16 | 17, 1, 1}, "spirv: word 5: OpCapability: has more words than operands"},
    {1, {1 << 16 | 17}, "spirv: word 5: OpCapability: has too few operands"},
    {2, {2 << 16 | 61, 1}, "spirv: word 5: OpLoad: has too few operands"},
    {5, {5 << 16 | 61, 1, 2, 3, 2}, "spirv: word 5: OpLoad: has too few operands"},
    {6, {6 << 16 | 61, 1, 2, 3, 32, 4}, "spirv: word 5: OpLoad: has more words than operands"},
    {6, {6 << 16 | 245, 1, 2, 3, 4, 5}, "spirv: word 5: OpPhi: has too few operands"},
    {2, {2 << 16 | 17, 77777}, "spirv: word 5: OpCapability: has an unknown enumerant"},
    {4, {2 << 16 | 17, 1, 2 << 16 | 10, 0x41414141}, "spirv: word 7: OpExtension: has a text without end"},
    {6, {6 << 16 | 43, 1, 2, 3, 4, 5}, "spirv: word 5: OpConstant: has a number of more than 64 bits"},
};

static void check_bad(sn_arena *arena, const uint32_t *words, size_t count, const char *message) {
  sn_diags *diags = sn_diags_create();
  sn_text t = sn_text_begin(arena);
  assert_int_equal(spv_print(&t, words, count, diags), SN_ERR_INPUT);
  const sn_diag *d = &diags->at[0];
  const char *said = d->message;
  if (d->expected) said = sn_arena_printf(arena, "%s, expected %s, found %s", said, d->expected, d->found);
  assert_string_equal(said, message);
  assert_int_equal(t.count, 0);
  sn_diags_destroy(diags);
}

static void bad_words_are_refused(void **state) {
  (void)state;
  static const uint32_t header[] = {SPV_MAGIC, SPV_VERSION_1_5, 0, 9, 0};
  sn_arena *arena = sn_arena_create();
  for (size_t i = 0; i < sizeof bad_headers / sizeof *bad_headers; i++) {
    uint32_t words[SPV_HEADER_WORDS];
    memcpy(words, header, sizeof words);
    words[bad_headers[i].at] = bad_headers[i].word;
    check_bad(arena, words, bad_headers[i].count, bad_headers[i].message);
  }
  for (size_t i = 0; i < sizeof bad_code / sizeof *bad_code; i++) {
    uint32_t words[SPV_HEADER_WORDS + 8];
    memcpy(words, header, sizeof header);
    memcpy(words + SPV_HEADER_WORDS, bad_code[i].words, sizeof bad_code[i].words);
    check_bad(arena, words, SPV_HEADER_WORDS + bad_code[i].count, bad_code[i].message);
  }
  sn_arena_destroy(arena);
}

/* Kernels for devices that are only described; tests/spirv/test_device.c runs the like. */
static void kernels_of_described_devices(void **state) {
  (void)state;
  static const char rows[] =
      "kernel rows(x: in f32, y: out f32, n: size 1..512) grid(n) {\n"
      "  %1 = load x[g0*64 : 64, 1] : f32[1,64]\n  %2 = rsum %1 axis 1 : f32[1,1]\n"
      "  store y[g0 : 1, 1], %2\n}\n";
  static const char product[] =
      "kernel product(x: in f16, w: in f16, y: out f32) grid(1) {\n"
      "  %1 = load x[0 : 16, 1] : f16[32,16]\n  %2 = load w[0 : 32, 1] : f16[16,32]\n"
      "  %3 = mma 0, %1, %2 : f32[32,32]\n  store y[0 : 32, 1], %3\n}\n";
  static const struct {
    const char *name, *facts, *text;
  } rows_of[] = {
      {"rows_bare", "shared=16384,threads=128", rows},
      {"rows_words", "subgroup=32,shared=32768,threads=256,no_int64,nan", rows},
      {"rows_wave", "subgroup=64,shared=65536,threads=1024,16,8,nan", rows},
      {"product_matrices", "subgroup=32,shared=49152,threads=1024,16,8,nan,f16=16x16x16", product},
  };
  for (size_t i = 0; i < sizeof rows_of / sizeof *rows_of; i++) {
    sn_arena *arena = sn_arena_create();
    sn_target t = target_of(rows_of[i].facts);
    check_golden(arena, rows_of[i].name, emit(arena, &t, parse_kernel(arena, rows_of[i].text)));
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden),
      cmocka_unit_test(kernels_of_described_devices),
      cmocka_unit_test(numbers_and_names),
      cmocka_unit_test(an_assembler_gives_the_same_words),
      cmocka_unit_test(bad_words_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
