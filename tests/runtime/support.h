/* Shared by the runtime tests: plans built by hand, with machine code of two small kernels or with host steps. */
#ifndef SN_TESTS_RUNTIME_SUPPORT_H
#define SN_TESTS_RUNTIME_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/plan/plan.h"
#include "runtime/runtime.h"

enum { MAX_SLOTS = 64, MAX_STEPS = 64 };

/* void twice(args, ws, lo, hi): y[i] = x[i] + x[i] for f32 x = args[0], y = args[1]
 * void mark(args, ws, lo, hi):  y[i] = i * n + ws[0] for i64 y = args[0], n = args[1], after ws[0] = n */
static const unsigned char kernel_bytes[] = {
    0x48, 0x8b, 0x37, 0x48, 0x8b, 0x47, 0x08, 0x48, 0x39, 0xca, 0x7d, 0x17, 0xf3, 0x0f, 0x10, 0x04, 0x96, 0xf3,
    0x0f, 0x58, 0xc0, 0xf3, 0x0f, 0x11, 0x04, 0x90, 0x48, 0x83, 0xc2, 0x01, 0x48, 0x39, 0xd1, 0x75, 0xe9, 0xc3,
    0x4c, 0x8b, 0x0f, 0x4c, 0x8b, 0x47, 0x08, 0x4c, 0x89, 0x06, 0x48, 0x39, 0xca, 0x7d, 0x24, 0x4c, 0x89, 0xc7,
    0x48, 0x0f, 0xaf, 0xfa, 0x49, 0x8d, 0x04, 0xd1, 0x49, 0x8d, 0x0c, 0xc9, 0x48, 0x8b, 0x16, 0x48, 0x01, 0xfa,
    0x48, 0x89, 0x10, 0x4c, 0x01, 0xc7, 0x48, 0x83, 0xc0, 0x08, 0x48, 0x39, 0xc8, 0x75, 0xeb, 0xc3};
enum { TWICE, MARK, TWICE_ENTRY = 0, MARK_ENTRY = 36 };

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
  sn_plan *plan;
  const sn_dimx *b, *t; /* symbols B in 1..8, T in 1..4096 */
} world;

static inline sn_code_blob blob(const char *name, int64_t entry) {
  return (sn_code_blob){.kind = SN_CODE_CPU,
                        .name = name,
                        .bytes = kernel_bytes,
                        .byte_count = sizeof kernel_bytes,
                        .entry = entry,
                        .workspace_bytes = 8,
                        .features = "baseline"};
}

static inline world world_create(int graphs) {
  world w = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  sn_plan *p = w.plan = SN_NEW(w.arena, sn_plan);
  p->arena = w.arena;
  p->types = sn_types_create(w.arena);
  p->model = "test", p->settings = "", p->target = "cpu";
  p->slot = SN_ARRAY(w.arena, MAX_SLOTS, sn_slot);
  p->code = SN_ARRAY(w.arena, 4, sn_code_blob);
  p->code_count = 2;
  p->code[TWICE] = blob("twice", TWICE_ENTRY);
  p->code[MARK] = blob("mark", MARK_ENTRY);
  p->graph = SN_ARRAY(w.arena, 4, sn_plan_graph);
  p->graph_count = graphs;
  for (int i = 0; i < graphs; i++) {
    p->graph[i].name = i == 0 ? "main" : i == 1 ? "second" : "third";
    p->graph[i].step = SN_ARRAY(w.arena, MAX_STEPS, sn_step);
  }
  p->prepare = SN_ARRAY(w.arena, MAX_STEPS, sn_step);
  w.b = sn_dimx_symbol(p->types, "B", 1, 8, 1, NULL);
  w.t = sn_dimx_symbol(p->types, "T", 1, 4096, 1, NULL);
  return w;
}

static inline void world_destroy(world *w) {
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
}

static inline const char *messages(world *w) { return sn_diags_print(w->diags, w->arena); }

#define assert_message(w, text) assert_non_null(strstr(messages(w), text))

static inline const sn_dimx *number(world *w, int64_t n) { return sn_dimx_const(w->plan->types, n); }

static inline int add_slot(world *w, const char *name, sn_slot_role role, int graph, sn_elem elem, int rank,
                           const sn_dimx *d0, const sn_dimx *d1) {
  sn_plan *p = w->plan;
  const sn_dimx *dims[] = {d0, d1};
  const sn_type *type = sn_type_of(p->types, elem, rank, dims);
  p->slot[p->slot_count] = (sn_slot){.name = name,
                                     .role = role,
                                     .type = type,
                                     .elements = sn_type_count(p->types, type),
                                     .graph = graph,
                                     .first = -1,
                                     .last = -1,
                                     .alias = -1,
                                     .buddy = -1};
  return p->slot_count++;
}

static inline sn_step *new_step(world *w, int graph, sn_step_kind kind) {
  sn_step *s = graph < 0 ? &w->plan->prepare[w->plan->prepare_count++]
                         : &w->plan->graph[graph].step[w->plan->graph[graph].step_count++];
  const sn_dimx *zero = number(w, 0);
  *s = (sn_step){.kind = kind,
                 .code = -1,
                 .from = -1,
                 .to = -1,
                 .kind_name = "map",
                 .ops = "add",
                 .flops = zero,
                 .bytes_read = zero,
                 .bytes_written = zero};
  return s;
}

static inline sn_step *add_move(world *w, int graph, sn_step_kind kind, int from, int to) {
  sn_step *s = new_step(w, graph, kind);
  s->from = from, s->to = to;
  return s;
}

/* y = 2 x over `count` instances; `large` makes it worth several threads. */
static inline void add_twice(world *w, int graph, int x, int y, const sn_dimx *count, bool large) {
  sn_step *s = new_step(w, graph, SN_STEP_LAUNCH);
  sn_plan_arg *arg = SN_ARRAY(w->arena, 2, sn_plan_arg);
  arg[0] = (sn_plan_arg){true, x}, arg[1] = (sn_plan_arg){true, y};
  s->code = TWICE, s->arg = arg, s->arg_count = 2, s->writes = 2, s->grid[0] = count;
  if (large) s->flops = number(w, 1000000000);
}

/* y[i] = i * symbol + symbol */
static inline void add_mark(world *w, int graph, int y, int symbol, const sn_dimx *g0, const sn_dimx *g1, bool large) {
  sn_step *s = new_step(w, graph, SN_STEP_LAUNCH);
  sn_plan_arg *arg = SN_ARRAY(w->arena, 2, sn_plan_arg);
  arg[0] = (sn_plan_arg){true, y}, arg[1] = (sn_plan_arg){false, symbol};
  s->code = MARK, s->arg = arg, s->arg_count = 2, s->writes = 1, s->grid[0] = g0, s->grid[1] = g1;
  if (large) s->flops = number(w, 1000000000);
}

static inline void live(world *w, int slot, int first, int last) {
  w->plan->slot[slot].first = first, w->plan->slot[slot].last = last;
}

static inline sn_runtime *runtime_of(world *w, sn_runtime_opt opt) {
  sn_runtime *r = NULL;
  if (sn_plan_verify(w->plan, w->diags) || sn_runtime_create(w->plan, &opt, w->diags, &r)) {
    print_message("%s\n", messages(w));
    fail();
  }
  return r;
}

static inline sn_store *store_of(world *w, sn_runtime *r, uint64_t seed) {
  sn_store *s = NULL;
  if (sn_store_create(r, seed, NULL, w->diags, &s)) {
    print_message("%s\n", messages(w));
    fail();
  }
  return s;
}

/* ---- files -------------------------------------------------------------------------------------- */

/* A new empty folder; its name in `out`. */
static inline void temp_folder(char out[64]) {
  snprintf(out, 64, "/tmp/sinter-test-XXXXXX");
  assert_non_null(mkdtemp(out));
}

static inline void remove_folder(const char *path) {
  char command[512];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  assert_int_equal(system(command), 0);
}

static inline void put_file(const char *path, const void *data, size_t bytes) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, bytes, f), bytes);
  fclose(f);
}

#endif
