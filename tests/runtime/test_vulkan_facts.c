/* Facts of Vulkan devices: what code may ask for, and what is taken away for tests. Needs no device. */
#include "runtime/vulkan/facts.h"
#include "tests/runtime/support.h"

static sn_vulkan_facts example(void) {
  return (sn_vulkan_facts){.subgroup = 32,
                           .subgroups = 16,
                           .subgroup_min = 8,
                           .subgroup_max = 64,
                           .size_control = true,
                           .full_subgroups = true,
                           .basic = true,
                           .arithmetic = true,
                           .shuffle = true,
                           .shared = 49152,
                           .invocations = 1024,
                           .push = 256,
                           .int64 = true,
                           .float16 = true,
                           .storage16 = true,
                           .sync2 = true,
                           .mapped = true,
                           .allocation_bytes = 1 << 20,
                           .timestamp_ns = 1,
                           .matrix_count = 1,
                           .matrix = {{"f16", "f16", "f32", "f32", 16, 16, 8}}};
}

/* The word that is missing; "": none. */
static const char *missing(const sn_vulkan_facts *f, const char *features) {
  static char out[SN_VULKAN_WORD];
  out[0] = 0;
  bool allowed = sn_vulkan_facts_allow(f, features, out);
  assert_int_equal(allowed, out[0] == 0);
  return out;
}

static void code_asks(void **state) {
  (void)state;
  static const struct {
    const char *features, *missing;
  } rows[] = {
      {"", ""},
      {"int64 float16  storage16 shared=49152 subgroup=32", ""},
      {"int64 float64 int8", "float64"},
      {"shared=49153", "shared=49153"},
      {"subgroup=8 subgroup=64 arithmetic", ""},
      {"subgroup=8 subgroups=16", ""},
      {"subgroup=8 subgroups=17", "subgroups=17"},
      {"subgroup=4", "subgroup=4"},
      {"subgroup=128", "subgroup=128"},
      {"subgroup=24", "subgroup=24"},
      {"subgroup=", "subgroup="},
      {"subgroup", "subgroup"},
      {"int64=1", "int64=1"},
      {"shared=-1", "shared=-1"},
      {"shared=1x", "shared=1x"},
      {"sync2", "sync2"}, /* is no matter of code */
      {"allocation=1", "allocation=1"},
      {"something", "something"},
      {"matrix", ""},
      {"matrix=f16,f16,f32,f32,16x16x8", ""},
      {"matrix=f16,f16,f32,f32,16x16x16", "matrix=f16,f16,f32,f32,16x16x16"},
      {"matrix=f16,f16,f32,f32,16x16x", "matrix=f16,f16,f32,f32,16x16x"},
  };
  sn_vulkan_facts f = example();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_string_equal(missing(&f, rows[i].features), rows[i].missing);
  assert_string_equal(missing(&f, NULL), "");
  f.size_control = false;
  assert_string_equal(missing(&f, "subgroup=32"), "");
  assert_string_equal(missing(&f, "subgroup=8"), "subgroup=8");
}

static void facts_are_taken_away(void **state) {
  (void)state;
  static const struct {
    const char *without, *features, *missing;
  } rows[] = {
      {"", "subgroup=32 float16 matrix shared=49152", ""},
      {"float16", "float16", "float16"},
      {"subgroup", "subgroup=32", "subgroup=32"},
      {"subgroup", "subgroups=1", "subgroups=1"},
      {"subgroups=4", "subgroups=8", "subgroups=8"},
      {"subgroup", "basic", "basic"},
      {"subgroup", "arithmetic", "arithmetic"},
      {"subgroup", "matrix", "matrix"},
      {"matrix", "matrix", "matrix"},
      {"matrix,shuffle", "shuffle", "shuffle"},
      {"shared=16384", "shared=16384", ""},
      {"shared=16384, int64", "shared=16385", "shared=16385"},
      {"subgroup=32", "subgroup=32", ""},
      {"subgroup=64", "subgroup=32", ""},
      {"subgroup=16", "subgroup=16", ""},
      {"subgroup=16", "subgroup=32", "subgroup=32"},
      {"subgroup=31", "subgroup=16", ""},
      {"subgroup=8", "subgroup=16", "subgroup=16"},
      {"subgroup=8", "subgroup=8 shuffle", ""},
      {"subgroup=4", "shuffle", "shuffle"},
      {"subgroup=4", "matrix", "matrix"},
      {"subgroup=0", "basic", "basic"},
      {"size_control,subgroup=16", "shuffle", "shuffle"},
      {"shared=99999", "shared=49152", ""},
      {"shared=99999", "shared=99999", "shared=99999"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sn_vulkan_facts f = example();
    assert_int_equal(sn_vulkan_facts_without(&f, rows[i].without, NULL), SN_OK);
    assert_string_equal(missing(&f, rows[i].features), rows[i].missing);
  }
  sn_vulkan_facts f = example();
  assert_int_equal(sn_vulkan_facts_without(&f, "sync2,mapped,timestamps", NULL), SN_OK);
  assert_true(!f.sync2 && !f.mapped && f.timestamp_ns == 0);
}

static void unknown_words_are_mistakes(void **state) {
  (void)state;
  static const char *const rows[] = {"float17",   "shared",     "shared=x", "shared=-1",
                                     "float16=1", "subgroup=x", "=",        "matrix=1"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    sn_vulkan_facts f = example();
    sn_diags *d = sn_diags_create();
    assert_int_equal(sn_vulkan_facts_without(&f, rows[i], d), SN_ERR_USAGE);
    const char *text = sn_diags_print(d, d->arena);
    if (!strstr(text, rows[i]) || !strstr(text, "shared=NUMBER")) fail_msg("%s", text);
    sn_diags_destroy(d);
  }
}

static void printed(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  sn_text t = sn_text_begin(arena), m = sn_text_begin(arena);
  sn_vulkan_facts f = example();
  sn_vulkan_facts_print(&t, &f);
  assert_string_equal(
      t.at,
      "subgroup=32 (8 to 64) subgroups=16 size_control full_subgroups basic arithmetic shuffle shared=49152 "
      "invocations=1024 push=256 int64 float16 storage16 sync2 mapped allocation=1048576");
  sn_vulkan_matrices_print(&m, &f);
  assert_string_equal(m.at, "f16,f16,f32,f32,16x16x8");
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(code_asks),
      cmocka_unit_test(facts_are_taken_away),
      cmocka_unit_test(unknown_words_are_mistakes),
      cmocka_unit_test(printed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
