/* Mistakes in models: what is said about each graph of a file of them. */
#ifndef SN_TESTS_FRONTEND_MISTAKES_H
#define SN_TESTS_FRONTEND_MISTAKES_H

#include <unistd.h>

#include "tests/frontend/support.h"

/* The mistakes of all graphs of a model file, one after the other. */
static inline const char *mistakes_in(const char *path, sn_arena *arena) {
  sn_diags *d = sn_diags_create();
  sn_model_file *f = NULL;
  if (sn_model_load(path, SN_BINARY_DIR "/test-model-cache", d, &f)) print_message("%s\n", sn_diags_print(d, arena));
  assert_non_null(f);
  sn_text all = sn_text_begin(arena);
  for (const sn_graph *g = sn_model_of(f)->graphs; g->name; g++)
    sn_text_add(&all, "-- %s\n%s\n", g->name, mistakes_of(sn_model_of(f), g->name, arena));
  sn_model_unload(f);
  sn_diags_destroy(d);
  return all.at;
}

/* Against NAME.txt: word by word. SN_BLESS=1 writes the texts anew. */
static inline void mistakes_check(const char *name) {
  char path[64], *expected = calloc(1, 1 << 16);
  sn_arena *arena = sn_arena_create();
  assert_int_equal(chdir(SN_SOURCE_DIR "/tests/frontend"), 0); /* messages name the file as it was given */
  snprintf(path, sizeof path, "%s.c", name);
  const char *found = mistakes_in(path, arena);
  snprintf(path, sizeof path, "%s.txt", name);
  FILE *f = fopen(path, getenv("SN_BLESS") ? "wb" : "rb");
  assert_non_null(f);
  if (getenv("SN_BLESS")) {
    fputs(found, f);
  } else {
    assert_true(fread(expected, 1, (1 << 16) - 1, f) > 0);
    assert_string_equal(found, expected);
  }
  fclose(f);
  free(expected);
  sn_arena_destroy(arena);
}

#endif
