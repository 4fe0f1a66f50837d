/* Many steps of a graph that updates states: values of f64, bounds that hold for executions in f32 and grow with them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/graph/text.h"
#include "ir/ref/interp.h"

enum { STEPS = 12, RUNS = 8 };

/* a takes what b was, b sin(3 a); nothing happens when x is not above 0. */
static const char text[] =
    "sinter 1\n"
    "graph @main {\n"
    "  %x = input name \"x\" : f32[]\n"
    "  %a = state name \"a\" init \"fill\" a 0 : f32[]\n"
    "  %b = state name \"b\" init \"fill\" a 0 : f32[]\n"
    "  %three = const value 3 : f32[]\n"
    "  %zero = const value 0 : f32[]\n"
    "  %p = mul %a, %three : f32[]\n"
    "  %s = sin %p : f32[]\n"
    "  %go = lt %zero, %x : bool[]\n"
    "  output \"s\" = %s\n"
    "  output \"old\" = %b\n"
    "  update %a = %b\n"
    "  update %b = %s\n"
    "  guard %go\n"
    "}\n";

typedef struct world {
  sn_arena *arena;
  sn_diags *diags;
  sn_func *f;
  sn_binding leaf[3];
  sn_interp in;
} world;

static void must(const world *w, sn_code code) {
  if (code) fail_msg("%s", sn_diags_print(w->diags, w->arena));
}

static void begin(world *w) {
  static const char *const names[] = {"x", "a", "b"};
  static const double values[] = {1, .5, .25};
  sn_module *m;
  *w = (world){.arena = sn_arena_create(), .diags = sn_diags_create()};
  must(w, sn_module_parse(w->arena, w->diags, "test.sn", text, sizeof text - 1, &m));
  w->f = sn_module_find(m, "main");
  for (int i = 0; i < 3; i++) {
    sn_tensor *t;
    must(w, sn_tensor_create(w->arena, SN_ELEM_F32, 0, NULL, &t));
    t->value[0] = values[i];
    w->leaf[i] = (sn_binding){names[i], t};
  }
  w->in = (sn_interp){.arena = w->arena, .diags = w->diags, .leaf_count = 3, .leaf = w->leaf};
}

static void end(world *w) {
  sn_diags_destroy(w->diags);
  sn_arena_destroy(w->arena);
}

static const sn_tensor *output(const world *w, sn_tensor *const *value, int i) { return value[w->f->output[i].value]; }

static void bounds_follow_the_steps(void **state) {
  (void)state;
  world w;
  sn_rollout *r;
  double a = .5, b = .25, early = 0, late = 0;
  float fa = .5f, fb = .25f;
  begin(&w);
  must(&w, sn_rollout_create(&w.in, w.f, RUNS, &r));
  for (int i = 0; i < STEPS; i++) {
    sn_arena *arena = sn_arena_create();
    sn_tensor **value;
    must(&w, sn_rollout_step(r, arena, &value));
    double s = sin(3 * a);
    float fs = sinf(3 * fa);
    assert_true(output(&w, value, 0)->value[0] == s && output(&w, value, 1)->value[0] == b);
    assert_true(fabs((double)fs - s) <= output(&w, value, 0)->bound[0]);
    assert_true(fabs((double)fb - b) <= output(&w, value, 1)->bound[0]);
    if (i < 2) early = output(&w, value, 0)->bound[0];
    late = output(&w, value, 0)->bound[0];
    a = b, b = s, fa = fb, fb = fs;
    sn_arena_destroy(arena);
  }
  assert_true(late > early && late < 1e-3);
  assert_true(w.leaf[1].tensor->value[0] == .5); /* what was given stays */
  end(&w);
}

static void a_guard_keeps_the_states(void **state) {
  (void)state;
  world w;
  sn_rollout *r;
  sn_tensor **value;
  begin(&w);
  must(&w, sn_rollout_create(&w.in, w.f, RUNS, &r));
  w.leaf[0].tensor->value[0] = 0; /* inputs are read anew */
  must(&w, sn_rollout_step(r, w.arena, &value));
  must(&w, sn_rollout_step(r, w.arena, &value));
  assert_true(output(&w, value, 1)->value[0] == .25);
  w.leaf[0].tensor->value[0] = 1;
  must(&w, sn_rollout_step(r, w.arena, &value));
  sn_tensor **next;
  must(&w, sn_rollout_step(r, w.arena, &next));
  assert_true(output(&w, value, 1)->value[0] == .25); /* values of a step are its own */
  assert_true(output(&w, next, 1)->value[0] == sin(1.5));
  end(&w);
}

static void a_state_that_is_missing_is_an_error(void **state) {
  (void)state;
  world w;
  sn_rollout *r;
  begin(&w);
  w.in.leaf_count = 2;
  assert_int_equal(sn_rollout_create(&w.in, w.f, RUNS, &r), SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(w.diags, w.arena), "state \"b\" is not given"));
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_follow_the_steps),
      cmocka_unit_test(a_guard_keeps_the_states),
      cmocka_unit_test(a_state_that_is_missing_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
