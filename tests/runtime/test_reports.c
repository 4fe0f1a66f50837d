/* What people and tools look at: traces, curves, bars. */
#include <jansson.h>
#include <math.h>

#include "runtime/io/svg.h"
#include "runtime/trace.h"
#include "tests/runtime/support.h"

static double number_of(const json_t *e, const char *name) { return json_number_value(json_object_get(e, name)); }
static const char *text_of(const json_t *e, const char *name) {
  const char *s = json_string_value(json_object_get(e, name));
  return s ? s : "";
}

/* Slices of one thread do not overlap, those of runs hold their steps, and every step is there. */
static void check_events(const json_t *events, int runs) {
  double end[3] = {0}, run_end = 0;
  int steps[2] = {0}, seen_runs = 0;
  for (size_t i = 0; i < json_array_size(events); i++) {
    const json_t *e = json_array_get(events, i);
    if (strcmp(text_of(e, "ph"), "X")) continue;
    double ts = number_of(e, "ts"), dur = number_of(e, "dur");
    int thread = (int)number_of(e, "tid");
    assert_true(ts >= 0 && dur >= 0 && thread >= 1 && thread <= 2);
    if (!strcmp(text_of(e, "cat"), "run")) {
      assert_string_equal(text_of(e, "name"), "main");
      assert_true(ts >= run_end - 0.002); /* microseconds, 3 decimals each */
      run_end = ts + dur;
      seen_runs++;
      continue;
    }
    assert_true(ts >= end[thread] - 0.002);
    end[thread] = ts + dur;
    const json_t *args = json_object_get(e, "args");
    steps[(int)number_of(args, "step")]++;
    if (number_of(args, "step") == 1) assert_string_equal(text_of(args, "where"), "h.0 \"quoted\"");
  }
  assert_int_equal(seen_runs, runs);
  assert_true(steps[0] >= runs && steps[0] <= 2 * runs); /* shared by two threads, unless one did it all */
  assert_int_equal(steps[1], runs);                      /* a small copy: the first thread */
}

static void traces_are_json_per_thread(void **state) {
  (void)state;
  world w = world_create(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  int y = add_slot(&w, "y", SN_SLOT_OUTPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  add_twice(&w, 0, x, y, w.t, true);
  add_move(&w, 0, SN_STEP_COPY, x, y)->where = "h.0 \"quoted\"";
  sn_run_trace *trace = sn_run_trace_create(w.plan, 2);
  sn_runtime *r = runtime_of(&w, (sn_runtime_opt){.threads = 2, .on_part = sn_run_trace_part, .part_user = trace});
  sn_store *s = store_of(&w, r, 1);
  float data[5000] = {0};
  sn_buffer buffers[] = {{"x", data, 1, {4096}}};
  for (int i = 0; i < 700; i++) assert_int_equal(sn_run(r, s, "main", 1, buffers, w.diags), SN_OK);
  for (int i = 0; i < 3; i++) sn_run_trace_part(trace, 1, 0, 0, 7, 0, 1); /* no such thread */
  sn_text text = sn_text_begin(w.arena);
  sn_run_trace_print(&text, trace);
  json_t *root = json_loads(text.at, 0, NULL);
  assert_non_null(root);
  check_events(json_object_get(root, "traceEvents"), 700);
  assert_true(number_of(json_object_get(root, "otherData"), "dropped") == 0);
  json_decref(root);
  sn_run_trace_destroy(trace);
  sn_store_destroy(s);
  sn_runtime_destroy(r);
  world_destroy(&w);
}

static void a_full_trace_counts_what_it_drops(void **state) {
  (void)state;
  world w = world_create(1);
  int x = add_slot(&w, "x", SN_SLOT_INPUT, 0, SN_ELEM_F32, 1, w.t, NULL);
  add_move(&w, 0, SN_STEP_COPY, x, x);
  sn_run_trace *trace = sn_run_trace_create(w.plan, 1);
  for (int i = 0; i < 400010; i++) sn_run_trace_part(trace, 1, 0, 0, 0, i, i + 1);
  assert_int_equal(sn_run_trace_dropped(trace), 10);
  sn_run_trace_destroy(trace);
  world_destroy(&w);
}

/* Tags balance, nothing is loaded from outside, no number is missing. */
static void check_svg(const char *svg, const char *const *texts, int count) {
  int open = 0;
  for (const char *p = strchr(svg, '<'); p; p = strchr(p + 1, '<')) {
    const char *end = strchr(p, '>');
    assert_non_null(end);
    open += p[1] == '/' ? -1 : end[-1] != '/';
    assert_true(open >= 0);
  }
  assert_int_equal(open, 0);
  assert_null(strstr(svg, "href"));
  assert_null(strstr(svg, "<script"));
  assert_null(strstr(svg, "nan"));
  assert_null(strstr(svg, "inf"));
  assert_non_null(strstr(svg, "prefers-color-scheme"));
  for (int i = 0; i < count; i++) assert_non_null(strstr(svg, texts[i]));
}

static void curves_survive_any_numbers(void **state) {
  (void)state;
  sn_arena *arena = sn_arena_create();
  double x[] = {1, 2, 3, 4}, y[] = {4.2, NAN, INFINITY, 1.9}, flat[] = {2, 2, 2, 2}, none[] = {NAN, NAN, NAN, NAN};
  double huge[] = {1e300, -1e300, 1e-300, 0}, dense[] = {1e17, 1e17 + 16, 1e17, 1e17};
  const double *columns[] = {y, flat, none, huge, dense};
  for (int i = 0; i < 5; i++) {
    for (int n = 0; n <= 4; n++) {
      sn_text t = sn_text_begin(arena);
      sn_series series[] = {{"train <1>", n, x, columns[i]}, {"val", n, x, flat}};
      sn_svg_lines(&t, "loss & more", "step", "loss", 2, series);
      check_svg(t.at, (const char *const[]){"loss &amp; more", n ? "train &lt;1&gt;" : "no values", "val"}, 3);
    }
  }
  sn_text t = sn_text_begin(arena);
  sn_svg_bars(&t, "time", "ms", 3, (const char *const[]){"none", "map", "all"}, (double[]){12.5, NAN, 0});
  check_svg(t.at, (const char *const[]){"none", "12.5"}, 2);
  t = sn_text_begin(arena);
  sn_svg_bars(&t, "time", "ms", 1, (const char *const[]){"zero"}, (double[]){0});
  check_svg(t.at, (const char *const[]){"zero"}, 1);
  t = sn_text_begin(arena);
  const sn_mark marks[] = {{"loss <1>", "2 FAIL", 2, 0, true},
                           {"zero", "0", 0, 1, false},
                           {"most", "9", INFINITY, 1, false},
                           {"none", "-", NAN, 0, true}};
  sn_svg_marks(&t, "checks", "kept", "missed", 2, (const char *const[]){"exact", "control"}, 4, marks);
  check_svg(t.at, (const char *const[]){"checks", "kept", "missed", "exact", "control", "loss &lt;1&gt;", "2 FAIL"}, 7);
  int points = 0;
  for (const char *at = t.at; (at = strstr(at, "<circle")); at++) points++;
  assert_int_equal(points, 2 + 3); /* of the legend, and none for NAN */
  sn_arena_destroy(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(traces_are_json_per_thread),
      cmocka_unit_test(a_full_trace_counts_what_it_drops),
      cmocka_unit_test(curves_survive_any_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
