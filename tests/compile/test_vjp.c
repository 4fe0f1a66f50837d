/* Single ops and their vector-Jacobian products against PyTorch: values of tests/parity/data, made once by
 * tests/parity/make_vjp.py in f64, and the interpreter on graphs that went through the passes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/io/file.h"
#include "runtime/io/safetensors.h"
#include "tests/compile/harness.h"

enum { BUFFERS = 12, LEAST = 60 };
#define TOLERANCE 1e-12 /* of 1 and the value: f64 in both, a few operations */

typedef struct suite {
  sn_arena *arena;
  sn_diags *diags;
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
  sn_safetensors values;
} suite;

static void must(const suite *s, sn_code code) {
  if (code) fail_msg("%s", sn_diags_print(s->diags, s->arena));
}

static char *read_file(suite *s, const char *name, size_t *bytes) {
  char *data;
  const char *path = sn_arena_printf(s->arena, "%s/tests/parity/data/%s", SN_SOURCE_DIR, name);
  must(s, sn_file_read(path, 1 << 20, s->diags, &data, bytes));
  char *copy = sn_arena_copy(s->arena, data, *bytes + 1);
  copy[*bytes] = 0;
  free(data);
  return copy;
}

static suite begin(void) {
  suite s = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  sn_compile_opt co = {.target = "ref", .cache_dir = check_cache()};
  size_t bytes;
  sn_module *m = check_parse(s.arena, s.diags, read_file(&s, "vjp.sn", &bytes));
  must(&s, sn_compile(m, &co, s.arena, s.diags, &s.compiled));
  sn_runtime_opt ro = sn_compile_runtime_opt(&s.compiled, 1);
  must(&s, sn_runtime_create(s.compiled.plan, &ro, s.diags, &s.runtime));
  must(&s, sn_store_create(s.runtime, 1, NULL, s.diags, &s.store));
  const char *image = read_file(&s, "vjp.safetensors", &bytes);
  must(&s, sn_safetensors_read(s.arena, s.diags, "vjp.safetensors", image, bytes, &s.values));
  return s;
}

static void end(suite *s) {
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  sn_diags_destroy(s->diags);
  sn_arena_destroy(s->arena);
}

static const sn_tensor_entry *value_of(const suite *s, const char *graph, const char *name) {
  const char *key = sn_arena_printf(s->arena, "%s/%s", graph, name);
  const sn_tensor_entry *e = sn_safetensors_find(&s->values, key);
  if (!e) fail_msg("no value %s", key);
  return e;
}

/* Every input and output of a graph with room, inputs filled. */
static int bind(suite *s, int graph, sn_buffer *b, const sn_slot **slot) {
  const sn_plan *p = s->compiled.plan;
  int n = 0;
  for (int i = 0; i < p->slot_count; i++) {
    const sn_slot *t = &p->slot[i];
    if (t->graph != graph || (t->role != SN_SLOT_INPUT && t->role != SN_SLOT_OUTPUT)) continue;
    assert_true(n < BUFFERS);
    const sn_tensor_entry *e = value_of(s, p->graph[graph].name, t->name);
    b[n] = (sn_buffer){.name = t->name, .rank = e->rank};
    memcpy(b[n].extent, e->extent, (size_t)e->rank * sizeof *e->extent);
    b[n].data = sn_arena_alloc(s->arena, (size_t)e->bytes + 64);
    if (t->role == SN_SLOT_INPUT) memcpy(b[n].data, e->data, (size_t)e->bytes);
    slot[n++] = t;
  }
  return n;
}

/* -> elements that differ; fails: at the first */
static int compare(const suite *s, const char *graph, const sn_slot *slot, const sn_buffer *b, bool fails) {
  int wrong = 0;
  const sn_tensor_entry *e = value_of(s, graph, slot->name);
  assert_int_equal(e->elem, slot->type->elem);
  int64_t count = e->bytes / (int64_t)sn_elem_bytes(e->elem);
  for (int64_t i = 0; i < count; i++) {
    double want = sn_elem_get(e->elem, e->data, i), found = sn_elem_get(e->elem, b->data, i);
    if (fabs(want - found) <= TOLERANCE * fmax(1, fabs(want))) continue;
    wrong++;
    if (fails) fail_msg("`%s`, %s, element %d: PyTorch %.17g, found %.17g", graph, slot->name, (int)i, want, found);
  }
  return wrong;
}

static int64_t elements(const sn_buffer *b) {
  int64_t n = 1;
  for (int i = 0; i < b->rank; i++) n *= b->extent[i];
  return n;
}

/* shift: added to every element of d, 0 for a true check. *wrong: elements that differ. -> number of products */
static int check_case(suite *s, int graph, double shift, int *wrong) {
  sn_buffer b[BUFFERS];
  const sn_slot *slot[BUFFERS];
  const char *name = s->compiled.plan->graph[graph].name;
  int n = bind(s, graph, b, slot), products = 0;
  for (int i = 0; i < n; i++)
    for (int64_t k = 0; !strcmp(slot[i]->name, "d") && k < elements(&b[i]); k++)
      ((double *)b[i].data)[k] += shift * (double)(1 + k * k);
  must(s, sn_run(s->runtime, s->store, name, n, b, s->diags));
  for (int i = 0; i < n; i++) {
    if (slot[i]->role != SN_SLOT_OUTPUT) continue;
    *wrong += compare(s, name, slot[i], &b[i], shift == 0);
    products += slot[i]->name[0] == 'g';
  }
  return products;
}

static void products_agree_with_pytorch(void **state) {
  (void)state;
  suite s = begin();
  int products = 0, wrong = 0, cases = s.compiled.plan->graph_count;
  for (int i = 0; i < cases; i++) {
    int n = check_case(&s, i, 0, &wrong);
    assert_true(n > 0);
    products += n;
  }
  assert_true(cases >= LEAST);
  print_message("%d ops, %d products\n", cases, products);
  end(&s);
}

/* Every case notices a cotangent that is off by a millionth. */
static void a_wrong_product_is_noticed(void **state) {
  (void)state;
  suite s = begin();
  for (int i = 0; i < s.compiled.plan->graph_count; i++) {
    int wrong = 0;
    check_case(&s, i, 1e-6, &wrong);
    if (!wrong) fail_msg("`%s` would pass", s.compiled.plan->graph[i].name);
  }
  end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_agree_with_pytorch),
      cmocka_unit_test(a_wrong_product_is_noticed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
