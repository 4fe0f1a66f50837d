/* Attention that walks a map of blocks, by generated code: masks that captured tensors and index expressions decide,
 * lengths that blocks do not divide, gradients, cross attention; any number of threads gives the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

#define SITE "%b = arg index 0 : i32[]\n%h = arg index 1 : i32[]\n%q = arg index 2 : i32[]\n%k = arg index 3 : i32[]\n"

/* Documents of 40 or so tokens, causal; blocks of 50; a prefix per row, as long as captured. */
static const char *const masks[] = {
    SITE
    "%d = arg index 4 : i32[B, S]\n%i = index %d, %b, %q : i32[]\n%j = index %d, %b, %k : i32[]\n"
    "%e = eq %i, %j : bool[]\n%c = le %k, %q : bool[]\n%m = and %c, %e : bool[]\nreturn %m\n",
    SITE
    "%d = arg index 4 : i32[B, S]\n%n = const value 50 : i32[]\n%i = div %q, %n : i32[]\n%j = div %k, %n : i32[]\n"
    "%m = eq %i, %j : bool[]\nreturn %m\n",
    SITE
    "%d = arg index 4 : i32[B, S]\n%z = const value 0 : i32[]\n%i = index %d, %b, %z : i32[]\n"
    "%n = const value 70 : i32[]\n%l = mul %i, %n : i32[]\n%c = le %k, %q : bool[]\n%e = lt %k, %l : bool[]\n"
    "%m = or %c, %e : bool[]\nreturn %m\n"};

/* keys: "T", or more */
static const char *text_of(sn_arena *arena, const char *mask, const char *keys, const char *elem) {
  sn_text t = sn_text_begin(arena), out = sn_text_begin(arena);
  sn_text_add(&t,
              "sinter 1\ndims { B: 1..3, T: 1..512 }\nbody @m {\n%s}\ngraph @g {\n"
              "%%u = input name \"u\" : i32[B, S]\n%%n = const value 40 : i32[B, S]\n%%t = iota axis 1 : i32[B, S]\n"
              "%%o = mul %%u, %%n : i32[B, S]\n%%w = div %%t, %%n : i32[B, S]\n%%x = add %%w, %%u : i32[B, S]\n"
              "%%q = input name \"q\" : E[B, T, 4, 32]\n%%k = input name \"k\" : E[B, S, 2, 32]\n"
              "%%v = input name \"v\" : E[B, S, 2, 16]\n%%dy = input name \"dy\" : E[B, T, 4, 16]\n"
              "%%y, %%l = attention %%q, %%k, %%v, %%x scale 0.2 mask @m : E[B, T, 4, 16], f32[B, 4, T]\n"
              "%%p = mul %%y, %%dy : E[B, T, 4, 16]\n%%s = sum %%p axes [0, 1, 2, 3] : E[]\n"
              "%%dq, %%dk, %%dv = grad %%s, %%q, %%k, %%v : E[B, T, 4, 32], E[B, S, 2, 32], E[B, S, 2, 16]\n"
              "output \"y\" = %%y\noutput \"dq\" = %%dq\noutput \"dk\" = %%dk\noutput \"dv\" = %%dv\n}\n",
              mask);
  for (const char *p = t.at; *p; p++) {
    bool keys_here = *p == 'S' && strchr(" ", p[-1]), elem_here = *p == 'E' && p[1] == '[';
    if (keys_here || elem_here)
      sn_text_add(&out, "%s", keys_here ? keys : elem);
    else
      sn_text_char(&out, *p);
  }
  return out.at;
}

static uint64_t hash_of(const char *text, const char *target, const char *isa, int64_t length, int threads) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  int64_t dims[] = {2, length};
  check_opt opt = {.compile = {.target = target, .isa = isa, .cache_dir = check_cache()},
                   .graph = "g",
                   .dims = dims,
                   .threads = threads,
                   .scale = 0.5};
  check_result r;
  if (check_graph(check_parse(arena, diags, text), &opt, arena, diags, &r))
    fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%d queries, %s: %s", (int)length, target, r.first);
  assert_true(r.total > 0);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

static void check(int mask, const char *keys, const char *elem, const char *isa, int64_t length) {
  sn_arena *arena = sn_arena_create();
  const char *text = text_of(arena, masks[mask], keys, elem);
  assert_true(hash_of(text, "cpu", isa, length, 1) == hash_of(text, "cpu", isa, length, 3));
  sn_arena_destroy(arena);
}

static void processor(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  check(0, "T", "f32", "avx512", 201);
  check(1, "T + 100", "f32", "avx2", 128);
  check(2, "T + 3", "bf16", "amx", 150);
}

/* A window over a known number of keys: its loops end at different blocks, and all read the same copies of keys and
 * values, which are made where rows lie far apart. */
static void known_length(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  const char *text =
      "sinter 1\nbody @m {\n" SITE
      "%c = le %k, %q : bool[]\n%d = sub %q, %k : i32[]\n%n = const value 256 : i32[]\n"
      "%e = lt %d, %n : bool[]\n%m = and %c, %e : bool[]\nreturn %m\n}\ngraph @g {\n"
      "%x = input name \"x\" : f32[1, 832, 16, 32]\n"
      "%k = slice %x start [0, 0, 0, 0] shape [1, 832, 1, 32] : f32[1, 832, 1, 32]\n"
      "%v = slice %x start [0, 0, 5, 0] shape [1, 832, 1, 32] : f32[1, 832, 1, 32]\n"
      "%y, %l = attention %k, %k, %v scale 0.1 mask @m : f32[1, 832, 1, 32], f32[1, 1, 832]\noutput \"y\" = %y\n}\n";
  hash_of(text, "cpu", NULL, 0, 1);
}

static void vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  sn_arena *arena = sn_arena_create();
  hash_of(text_of(arena, masks[0], "T", "f32"), "vulkan", NULL, 101, 1);
  hash_of(text_of(arena, masks[1], "T + 40", "f32"), "vulkan", NULL, 64, 1);
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(processor), cmocka_unit_test(known_length),
                                     cmocka_unit_test(vulkan)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
