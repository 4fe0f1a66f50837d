/* Models of the tree, loaded by name, and their sizes. */
#ifndef SN_TESTS_FRONTEND_TREE_H
#define SN_TESTS_FRONTEND_TREE_H

#include "support.h"

/* models/NAME.c, compiled.   owns: the caller */
static inline sn_model_file *tree_load(const char *name) {
  sn_diags *d = sn_diags_create();
  sn_arena *arena = sn_arena_create();
  sn_model_file *f = NULL;
  const char *path = sn_arena_printf(arena, SN_SOURCE_DIR "/models/%s.c", name);
  if (sn_model_load(path, SN_BINARY_DIR "/test-model-cache", d, &f)) print_message("%s\n", sn_diags_print(d, arena));
  assert_non_null(f);
  sn_arena_destroy(arena);
  sn_diags_destroy(d);
  return f;
}

/* Numbers in the parameters that a graph has; nothing of them is allocated. */
static inline int64_t tree_count(const char *model, const char *graph, const char *settings) {
  sn_model_file *f = tree_load(model);
  bench *b = bench_begin(sn_model_of(f), graph, settings, SN_ELEM_F32);
  const sn_func *func = sn_module_find(b->module, graph);
  int64_t total = 0;
  for (int i = 0; i < func->node_count; i++) {
    if (func->node[i]->op != SN_OP_PARAM) continue;
    int64_t n;
    assert_int_equal(sn_dimx_eval(sn_type_count(b->module->types, func->node[i]->type[0]), b->dims, &n), SN_OK);
    total += n;
  }
  bench_end(b);
  sn_model_unload(f);
  return total;
}

#endif
