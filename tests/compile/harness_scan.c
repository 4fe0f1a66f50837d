/* See harness_scan.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/compile/harness.h"
#include "tests/compile/harness_scan.h"

/* Values of the symbols. */
static void set_dims(const sn_types *types, int64_t B, int64_t T, int64_t *dims) {
  for (int i = 0; i < sn_types_symbol_count(types); i++)
    dims[i] = sn_dimx_symbol_name(sn_types_symbol(types, i))[0] == 'B' ? B : T;
}

uint64_t scan_check(const scan_way *w) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = NULL;
  int64_t dims[2];
  const sn_model_opt build = {.graphs = w->graph, .set = (const char *[]){w->set}, .set_count = w->set != NULL};
  if (sn_model_build(w->model, &build, arena, diags, &m)) fail_msg("%s", sn_diags_print(diags, arena));
  set_dims(m->types, w->B ? w->B : 2, w->T, dims);
  check_opt o = {.compile = {.target = w->target, .fuse = w->fuse, .scan = w->form, .precision = w->precision},
                 .graph = w->graph,
                 .dims = dims,
                 .threads = w->threads,
                 .seed = 3,
                 .spread = w->spread,
                 .scale = w->scale ? w->scale : .5};
  check_result r;
  const char *fuse = w->fuse ? w->fuse : "all", *form = w->form ? w->form : "auto";
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s: %s", w->graph, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s, %s on %s, fuse %s: %s", w->graph, form, w->target, fuse, r.first);
  if (!(r.total > 0 && r.excluded * 100 <= r.total * (w->most ? w->most : 2)))
    fail_msg("%s: %d of %d excluded", w->graph, (int)r.excluded, (int)r.total);
  uint64_t hash = r.hash;
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
  return hash;
}

void scan_check_text(const char *text, const char *target, const char *fuse, const char *form, int64_t T) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  sn_module *m = check_parse(arena, diags, text);
  int64_t dims[2];
  set_dims(m->types, 2, T, dims);
  check_opt o = {
      .compile = {.target = target, .fuse = fuse, .scan = form}, .graph = "g", .dims = dims, .seed = 7, .scale = .5};
  check_result r;
  if (check_graph(m, &o, arena, diags, &r)) fail_msg("%s", sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("on %s, fuse %s: %s", target, fuse ? fuse : "all", r.first);
  assert_true(r.total > 0 && r.excluded == 0);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}
