/* Runs a module through the pipeline and lowering, executes the plan through the kernel interpreter, and compares with
 * the graph interpreter on the module with calls inlined and gradients made. */
#ifndef SN_TESTS_PASSES_LOWERED_H
#define SN_TESTS_PASSES_LOWERED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/base/rng.h"
#include "ir/graph/text.h"
#include "ir/ops/ops.h"
#include "ir/ops/sample.h"
#include "ir/ref/interp.h"
#include "passes/lower/run.h"
#include "passes/passes.h"

typedef struct lowered_case {
  const char *text; /* the module, without its first line */
  const char *fuse; /* NULL: all */
  const char *disabled;
  const int64_t *dims; /* NULL: one above the minimum of each symbol */
  int int_below;       /* integer leaves are 0 .. int_below - 1; 0: 4 */
  double factor;       /* of the bounds; 0: 1 */
  bool spread;         /* estimated bounds, for whole models */
  bool exact_bytes;    /* predicted bytes must equal the counted ones */
  bool all_bounded;    /* every element must have a bound */
  const sn_target *target;
  const sn_sample_domain *domain; /* of leaves a0, a1, ..; NULL: any */
} lowered_case;

typedef struct lowered_result {
  sn_arena *arena;
  sn_diags *diags;
  sn_module *written, *module; /* before and after the pipeline */
  sn_lowered lowered;
  sn_lower_run run;
  sn_pass_env env;
  sn_target target;
  int64_t dims[64];
  int launches;
  int64_t excluded, total;
} lowered_result;

static inline void lowered_fail(lowered_result *r, const char *what) {
  print_message("%s\n%s\n", what, sn_diags_print(r->diags, r->arena));
  sn_text t = sn_text_begin(r->arena);
  if (r->module) sn_module_print(&t, r->module, (sn_print_opt){0});
  print_message("%s\n", t.at);
  for (int i = 0; i < r->lowered.kernel_count; i++) {
    sn_text k = sn_text_begin(r->arena);
    sn_kernel_print(&k, r->lowered.kernel[i]);
    print_message("%s\n", k.at);
  }
  fail();
}

static inline sn_module *lowered_parse(lowered_result *r, const char *body) {
  sn_module *m = NULL;
  char *text = sn_arena_printf(r->arena, "sinter 1\n%s", body);
  if (sn_module_parse(r->arena, r->diags, "test.sn", text, strlen(text), &m)) lowered_fail(r, "does not parse");
  for (int i = 0; i < m->func_count; i++)
    if (sn_ops_check(m->func[i], r->diags)) lowered_fail(r, "wrong types");
  return m;
}

/* Values of a domain, rounded to the element type. */
static inline void lowered_draw(lowered_result *r, const sn_sample_domain *d, sn_rng *rng, sn_tensor *t) {
  int64_t lo = (int64_t)d->lo, hi = (int64_t)d->hi;
  if (d->below) assert_int_equal(sn_dimx_eval(d->below, r->dims, &hi), SN_OK);
  for (int64_t i = 0; i < t->count; i++) {
    double x = d->lo + (d->hi - d->lo) * sn_rng_f64(rng);
    if (!sn_elem_is_float(t->elem))
      x = (double)(lo + (hi > lo ? (int64_t)sn_rng_below(rng, (uint64_t)(hi - lo)) : 0));
    else if (fabs(x) < d->gap)
      x = x < 0 ? x - d->gap : x + d->gap;
    t->value[i] = x;
    if (t->wide) t->wide[i] = (int64_t)x;
  }
  void *stored = sn_arena_alloc(r->arena, (size_t)t->count * 8 + 8);
  sn_tensor_store(t, stored);
  sn_tensor_load(t, stored);
}

static inline sn_tensor *lowered_leaf(lowered_result *r, const lowered_case *c, const sn_node *n) {
  const sn_type *type = n->type[0];
  int64_t extent[SN_RANK_MAX];
  sn_tensor *t;
  sn_rng rng = {.seed = sn_hash_bytes(sn_leaf_name(n), strlen(sn_leaf_name(n)), 7)};
  for (int i = 0; i < type->rank; i++) assert_int_equal(sn_dimx_eval(type->dim[i], r->dims, &extent[i]), SN_OK);
  assert_int_equal(sn_tensor_create(r->arena, type->elem, type->rank, extent, &t), SN_OK);
  if (c->domain && sn_leaf_name(n)[0] == 'a') {
    lowered_draw(r, &c->domain[atoi(sn_leaf_name(n) + 1)], &rng, t);
    return t;
  }
  for (int64_t i = 0; i < t->count; i++) {
    double x = sn_rng_f64(&rng) * 2 - 1;
    if (!strcmp(sn_leaf_name(n), "start"))
      x = (double)(i % 3);
    else if (!sn_elem_is_float(type->elem))
      x = (double)sn_rng_below(&rng, type->elem == SN_ELEM_BOOL ? 2 : c->int_below ? (uint64_t)c->int_below : 4);
    else
      x = (double)(int)(x * 64) / 64; /* exact in every float type */
    t->value[i] = x;
    if (t->wide) t->wide[i] = (int64_t)x;
  }
  return t;
}

static inline int lowered_slot(lowered_result *r, int graph, const char *name, sn_slot_role role) {
  for (int i = 0; i < r->lowered.plan->slot_count; i++) {
    const sn_slot *s = &r->lowered.plan->slot[i];
    if (s->role == role && (s->graph < 0 || s->graph == graph) && s->name && !strcmp(s->name, name)) return i;
  }
  return -1;
}

static inline void lowered_compare(lowered_result *r, const lowered_case *c, const char *name, const sn_tensor *oracle,
                                   int slot) {
  if (slot < 0) lowered_fail(r, name);
  sn_mismatch miss = sn_tensor_compare(oracle, r->run.data[slot], c->factor > 0 ? c->factor : 1);
  r->excluded += miss.excluded;
  r->total += miss.total;
  if (!miss.count) return;
  print_message("fuse %s: \"%s\": %lld of %lld elements differ, first %lld: expected %.17g, found %.17g, bound %g\n",
                c->fuse ? c->fuse : "all", name, (long long)miss.count, (long long)miss.total, (long long)miss.first,
                miss.expected, miss.found, miss.bound);
  lowered_fail(r, "results differ");
}

static inline void lowered_count(void *user, const sn_step *s, int64_t bytes_read, int64_t bytes_written) {
  lowered_result *r = user;
  int64_t in = 0, out = 0;
  r->launches++;
  if (!r->env.fuse && r->run.user != user) return;
  assert_int_equal(sn_dimx_eval(s->bytes_read, r->dims, &in), SN_OK);
  assert_int_equal(sn_dimx_eval(s->bytes_written, r->dims, &out), SN_OK);
  if (getenv("SN_SHOW_STEPS"))
    print_message("  %-9s read %8lld (said %8lld) written %8lld (said %8lld)  %s\n", s->kind_name,
                  (long long)bytes_read, (long long)in, (long long)bytes_written, (long long)out, s->ops);
}

/* Pipeline and lowering; without a plan when lowering refuses. */
static inline lowered_result lowered_try(const lowered_case *c) {
  lowered_result r = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  r.target = c->target ? *c->target : sn_target_cpu(SN_ISA_AVX2);
  r.written = lowered_parse(&r, c->text);
  sn_pass_env inlined = {.arena = r.arena, .diags = r.diags};
  if (sn_pass_inline(r.written, &inlined) || sn_pass_grad(r.written, &inlined)) lowered_fail(&r, "no gradients");
  r.module = lowered_parse(&r, c->text);
  for (int i = 0; i < sn_types_symbol_count(r.written->types); i++) {
    const sn_dimx *d = sn_types_symbol(r.written->types, i);
    int64_t step = sn_dimx_divisor(d) > 1 ? sn_dimx_divisor(d) : 1;
    r.dims[i] = c->dims ? c->dims[i] : sn_dimx_min_value(d) + step;
    if (r.dims[i] > sn_dimx_max_value(d)) r.dims[i] = sn_dimx_max_value(d);
  }
  r.env =
      (sn_pass_env){.arena = r.arena, .diags = r.diags, .target = &r.target, .fuse = c->fuse, .disabled = c->disabled};
  if (sn_pipeline_run(r.module, &r.env, NULL, NULL, NULL)) lowered_fail(&r, "the pipeline fails");
  if (sn_lower(r.module, &r.env, &r.lowered)) r.lowered = (sn_lowered){0};
  r.env.target = NULL; /* r moves */
  return r;
}

/* The same; fails the test when there is no plan. */
static inline lowered_result lowered_compile(const lowered_case *c) {
  lowered_result r = lowered_try(c);
  if (!r.lowered.plan) lowered_fail(&r, "lowering fails");
  return r;
}

/* Runs every graph and compares outputs and states with the interpreter. */
static inline void lowered_execute(lowered_result *r, const lowered_case *c) {
  for (int i = 0, graph = 0; i < r->written->func_count; i++) {
    const sn_func *f = r->written->func[i];
    if (f->kind != SN_FUNC_GRAPH) continue;
    sn_binding leaf[512];
    int count = 0;
    r->run = (sn_lower_run){.arena = r->arena,
                            .diags = r->diags,
                            .lowered = &r->lowered,
                            .dims = r->dims,
                            .check = true,
                            .on_step = lowered_count,
                            .user = r};
    if (sn_lower_run_begin(&r->run)) lowered_fail(r, "no storage");
    for (int k = 0; k < f->node_count; k++) {
      const sn_node *n = f->node[k];
      if (!sn_leaf_name(n)) continue;
      sn_tensor *t = lowered_leaf(r, c, n);
      leaf[count++] = (sn_binding){sn_leaf_name(n), t};
      sn_slot_role role = n->op == SN_OP_INPUT ? SN_SLOT_INPUT : n->op == SN_OP_PARAM ? SN_SLOT_PARAM : SN_SLOT_STATE;
      int slot = lowered_slot(r, graph, sn_leaf_name(n), role);
      if (slot >= 0) sn_tensor_store(t, r->run.data[slot]);
    }
    sn_interp in = {.arena = r->arena, .diags = r->diags, .dims = r->dims, .leaf_count = count, .leaf = leaf};
    sn_tensor **value;
    if (c->spread ? sn_interp_run_spread(&in, f, 4, &value) : sn_interp_run(&in, f, &value))
      lowered_fail(r, "the oracle fails");
    if (sn_lower_run_graph(&r->run, graph)) lowered_fail(r, "the plan does not run");
    for (int k = 0; k < f->output_count; k++)
      lowered_compare(r, c, f->output[k].name, value[f->output[k].value],
                      lowered_slot(r, graph, f->output[k].name, SN_SLOT_OUTPUT));
    for (int k = 0; k < f->update_count; k++) {
      const sn_node *n = sn_node_of(f, f->update[k].state);
      sn_slot_role role = n->op == SN_OP_PARAM ? SN_SLOT_PARAM : SN_SLOT_STATE;
      lowered_compare(r, c, sn_leaf_name(n), value[f->update[k].next], lowered_slot(r, graph, sn_leaf_name(n), role));
    }
    if (c->exact_bytes &&
        (r->run.bytes_read != r->run.predicted_read || r->run.bytes_written != r->run.predicted_written)) {
      print_message("bytes read %lld, predicted %lld; written %lld, predicted %lld\n", (long long)r->run.bytes_read,
                    (long long)r->run.predicted_read, (long long)r->run.bytes_written,
                    (long long)r->run.predicted_written);
      lowered_fail(r, "the predicted bytes are wrong");
    }
    graph++;
  }
}

static inline void lowered_free(lowered_result *r) {
  sn_diags_destroy(r->diags);
  sn_arena_destroy(r->arena);
}

/* Everything with one way of fusing.  -> launches */
static inline int lowered_check_case(const lowered_case *c) {
  lowered_result r = lowered_compile(c);
  r.env.target = &r.target;
  lowered_execute(&r, c);
  if (c->all_bounded) assert_int_equal(r.excluded, 0);
  int n = r.launches;
  lowered_free(&r);
  return n;
}

/* Fused in every way. */
static inline void lowered_check_all(lowered_case c) {
  static const char *const ways[] = {"none", "map", "rows", "contract", "attend", "index", "map,rows", "all"};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    c.fuse = ways[i];
    lowered_check_case(&c);
  }
}

#endif
