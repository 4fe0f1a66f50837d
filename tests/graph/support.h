/* Shared by the graph tests: short ways to build nodes, and random modules that are structurally sound (any op with any
 * attributes and types: the graph IR does not infer). */
#ifndef SN_TESTS_GRAPH_SUPPORT_H
#define SN_TESTS_GRAPH_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/graph/graph.h"
#include "ir/graph/text.h"

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *m;
  const sn_type *scalar, *vector; /* f32[], f32[B] */
} world;

static inline world world_create(void) {
  world w = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  w.m = sn_module_create(w.arena);
  const sn_dimx *b = sn_dimx_symbol(w.m->types, "B", 1, 64, 1, NULL);
  w.scalar = sn_type_scalar(w.m->types, SN_ELEM_F32);
  w.vector = sn_type_of(w.m->types, SN_ELEM_F32, 1, &b);
  return w;
}

static inline void world_destroy(world *w) {
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
}

static inline sn_val leaf(sn_func *f, sn_op op, const char *name, const sn_type *type) {
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .s = name}};
  if (op != SN_OP_INPUT) attr[1] = (sn_attr){.set = true, .s = "zeros"};
  return sn_func_add(f, op, 0, NULL, attr, 1, &type, NULL);
}

static inline sn_val argument(sn_func *f, int index, const sn_type *type) {
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .i = index}};
  return sn_func_add(f, SN_OP_ARG, 0, NULL, attr, 1, &type, NULL);
}

static inline sn_val number(sn_func *f, double value, const sn_type *type) {
  sn_attr attr[SN_ATTR_MAX] = {{.set = true, .f = value}};
  return sn_func_add(f, SN_OP_CONST, 0, NULL, attr, 1, &type, NULL);
}

static inline sn_val unary(sn_func *f, sn_op op, sn_val x) {
  const sn_type *type = sn_val_type(f, x);
  return sn_func_add(f, op, 1, &x, NULL, 1, &type, NULL);
}

static inline sn_val binary(sn_func *f, sn_op op, sn_val x, sn_val y) {
  const sn_type *type = sn_val_type(f, x);
  return sn_func_add(f, op, 2, (sn_val[]){x, y}, NULL, 1, &type, NULL);
}

static inline const char *text_of(const sn_module *m, bool locations) {
  sn_text out = sn_text_begin(m->arena);
  sn_module_print(&out, m, (sn_print_opt){.locations = locations});
  return out.at;
}

static inline sn_module *parsed(sn_arena *arena, sn_diags *diags, const char *text) {
  sn_module *m = NULL;
  if (sn_module_parse(arena, diags, "t.sn", text, strlen(text), &m)) {
    print_message("%s\n%s\n", text, sn_diags_print(diags, arena));
    fail();
  }
  return m;
}

/* ---- random modules --------------------------------------------------------------------------------- */

static inline int below(sn_rng *r, int n) { return (int)sn_rng_below(r, (uint64_t)n); }

static inline double random_number(sn_rng *r) {
  static const double special[] = {0, -0.0, 1, -1, 0.1, 1e308, 5e-324, -1.0 / 0.0, 1.0 / 0.0, 0.0 / 0.0};
  if (below(r, 3) == 0) return special[below(r, 10)];
  uint64_t bits = (uint64_t)sn_rng_u32(r) << 32 | sn_rng_u32(r);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline const char *random_string(sn_rng *r) {
  static const char *const some[] = {
      "", "normal", "h.*.attn.w", "a \"quote\"", "line\nbreak\\", "\x01\x7f\xc3\xa9", "// no comment"};
  return some[below(r, 7)];
}

static inline const sn_dimx *random_dim(sn_rng *r, sn_types *t) {
  const sn_dimx *b = sn_dimx_symbol(t, "B", 1, 64, 1, NULL), *n = sn_dimx_symbol(t, "T", 8, 1024, 8, NULL);
  switch (below(r, 6)) {
    case 0: return b;
    case 1: return n;
    case 2: return sn_dimx_mul(t, sn_dimx_const(t, 3), n);
    case 3: return sn_dimx_add(t, sn_dimx_mul(t, b, n), sn_dimx_const(t, 2));
    case 4: return sn_dimx_ceildiv(t, n, sn_dimx_const(t, 16));
    default: return sn_dimx_const(t, below(r, 100));
  }
}

static inline const sn_type *random_type(sn_rng *r, sn_types *t) {
  const sn_dimx *dims[4];
  int rank = below(r, 5);
  for (int i = 0; i < rank; i++) dims[i] = random_dim(r, t);
  return sn_type_of(t, (sn_elem)(1 + below(r, SN_ELEM_COUNT - 1)), rank, dims);
}

static inline sn_attr random_attr(sn_rng *r, sn_module *m, char kind, const sn_func *body) {
  sn_attr a = {.set = true, .region = body, .f = random_number(r), .s = random_string(r), .d = random_dim(r, m->types)};
  a.i = kind == 'e'   ? 1 + below(r, SN_ELEM_COUNT - 1)
        : below(r, 2) ? below(r, 9) - 4
                      : (int64_t)(random_number(r) > 0) << 62;
  int64_t *ints = SN_ARRAY(m->arena, 8, int64_t);
  const sn_dimx **dims = SN_ARRAY(m->arena, 8, const sn_dimx *);
  a.count = below(r, 9);
  for (int i = 0; i < a.count; i++) ints[i] = below(r, 20) - 10, dims[i] = random_dim(r, m->types);
  a.ints = ints;
  a.dims = dims;
  return a;
}

static inline sn_origin random_origin(sn_rng *r) {
  static const sn_loc locs[] = {{"a.c", 3, 0, NULL}, {"b \"q\".c", 70, 5, NULL}, {"c.c", 9, 1, NULL}};
  static const char *const layers[] = {NULL, "h.0", "h.1.sub.2"}, *const groups[] = {NULL, "softmax#3"};
  return (sn_origin){
      .locs = locs, .loc_count = below(r, 4), .layer = layers[below(r, 3)], .group = groups[below(r, 2)]};
}

static inline int arguments_of(const sn_func *f) {
  int count = 0;
  for (int i = 0; i < f->node_count; i++) count += f->node[i]->op == SN_OP_ARG;
  return count;
}

static inline void random_node(sn_rng *r, sn_func *f, const sn_func *body) {
  sn_op op = (sn_op)(1 + below(r, SN_OP_COUNT - 1));
  const sn_op_info *info = sn_op_get(op);
  bool values = f->value_count > 1, calls = op == SN_OP_CALL || op == SN_OP_FUSED, regions = false;
  for (int i = 0; i < info->attr_count; i++) regions |= info->attr[i].kind == 'R' && !info->attr[i].optional;
  if (op == SN_OP_ARG || (regions && !body) || (info->operands && !values)) return;
  sn_attr attr[SN_ATTR_MAX] = {{0}};
  for (int i = 0; i < info->attr_count; i++) {
    if (info->attr[i].kind == 'R' && !body) continue;
    if (!info->attr[i].optional || below(r, 2)) attr[i] = random_attr(r, f->module, info->attr[i].kind, body);
  }
  if (op == SN_OP_INPUT || op == SN_OP_PARAM || op == SN_OP_STATE) {
    attr[0].s = sn_arena_printf(f->arena, "%s %d", random_string(r), f->value_count);
  }
  int args = calls ? arguments_of(body) : info->operands < 0 ? below(r, 5) : info->operands;
  int results = calls ? body->result_count : info->results < 0 ? 1 + below(r, 3) : info->results;
  sn_val arg[16];
  const sn_type *type[16];
  for (int i = 0; i < args; i++) arg[i] = 1 + (sn_val)below(r, f->value_count - 1);
  for (int i = 0; i < results; i++) type[i] = random_type(r, f->module->types);
  sn_origin origin = random_origin(r);
  sn_func_add(f, op, args, arg, attr, results, type, &origin);
}

static inline sn_func *random_body(sn_rng *r, sn_module *m, const char *name, const sn_func *inner) {
  sn_func *f = sn_func_create(m, name, SN_FUNC_BODY);
  int args = below(r, 4);
  for (int i = 0; i < args; i++) argument(f, i, random_type(r, m->types));
  number(f, 1, random_type(r, m->types));
  for (int i = 0; i < 6; i++) random_node(r, f, inner);
  for (int i = 0; i < 1 + args; i++) sn_func_return(f, 1 + (sn_val)below(r, f->value_count - 1));
  return f;
}

static inline void random_updates(sn_rng *r, sn_func *f) {
  for (int i = 0; i < f->node_count; i++) {
    const sn_node *n = f->node[i];
    if (n->op != SN_OP_PARAM && n->op != SN_OP_STATE) continue;
    sn_val next = unary(f, SN_OP_NEG, n->first);
    if (below(r, 2)) sn_func_update(f, n->first, next);
  }
}

static inline sn_module *random_module(sn_arena *arena, uint64_t seed, int nodes) {
  sn_rng r = {.seed = seed};
  sn_module *m = sn_module_create(arena);
  sn_func *score = random_body(&r, m, "h.score", NULL);
  sn_func *block = random_body(&r, m, below(&r, 2) ? "block" : "odd name-\"1\"", score);
  for (int g = 0; g < 1 + below(&r, 2); g++) {
    sn_func *f = sn_func_create(m, g ? "eval" : "train", SN_FUNC_GRAPH);
    number(f, 0.5, random_type(&r, m->types));
    for (int i = 0; i < nodes; i++) random_node(&r, f, below(&r, 2) ? score : block);
    random_updates(&r, f);
    if (below(&r, 2)) f->guard = number(f, 1, sn_type_scalar(m->types, SN_ELEM_BOOL));
    for (int i = 0; i < 1 + below(&r, 3); i++) {
      sn_func_output(f, sn_arena_printf(arena, "out %d", i), 1 + (sn_val)below(&r, f->value_count - 1));
    }
  }
  return m;
}

#endif
