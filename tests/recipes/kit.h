/* Recipes of a test: run as those of the command are. */
#ifndef SN_TESTS_RECIPES_KIT_H
#define SN_TESTS_RECIPES_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/recipes/run.h"

extern const sn_model sn_model_gpt;
#define SMALL "layers=1 heads=2 width=16 context=8 vocab=17"

enum { B = 2, T = 8, V = 17 };

/* A text that repeats. */
static inline void text_fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  (void)data, (void)seed;
  for (int i = 0; i < B * T; i++) {
    ((int32_t *)port[0])[i] = (int)(index + (uint64_t)i) * 5 % V;
    ((int32_t *)port[1])[i] = (int)(index + (uint64_t)i + 1) * 5 % V;
  }
}
static const feed text = {{{"tokens", {B, T}}, {"targets", {B, T}}}, text_fill, NULL};

/* Runs it on a target; its error, if it has one, goes to `error`. */
static inline recipe_result run_on(const char *target, void (*fn)(recipe *r), char error[512]) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const recipe_row row = {"test", 1, "a test", fn};
  const recipe_options o = {.quick = true, .seed = 1, .threads = 1, .target = target, .cache_dir = ""};
  recipe_result out = {0};
  sn_code code = recipe_run(&row, &o, arena, diags, &out);
  strcpy(error, "");
  if (code) snprintf(error, 512, "%d: %s", code, diags->count ? sn_diags_print(diags, arena) : "failed");
  out.check = NULL, out.trained = NULL, out.line = NULL; /* of the arena */
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return out;
}

/* What should run without an error. */
static inline recipe_result run_well(const char *target, void (*fn)(recipe *r)) {
  char error[512];
  recipe_result out = run_on(target, fn, error);
  assert_string_equal(error, "");
  return out;
}

#endif
