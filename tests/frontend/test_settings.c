/* Settings of every model of the tree: whole numbers say what they are at least and at most, values outside are refused
 * with that, and values inside give graphs or a diagnostic that says what was expected. */
#include <glob.h>

#include "support.h"

typedef struct tried {
  const sn_model *model;
  const sn_setting *setting;
  sn_arena *arena;
} tried;

static bool is_whole(const sn_setting *s) { return !strcmp(s->type, "int") || !strcmp(s->type, "int64_t"); }

/* All graphs with one setting. An error says what was expected, or is a limit. */
static sn_code build_with(const tried *t, double value, const char **out_text) {
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  const char *set = sn_arena_printf(arena, "%s=%.0f", t->setting->name, value);
  const sn_model_opt opt = {.set_count = 1, .set = &set};
  sn_module *m;
  sn_code code = sn_model_build(t->model, &opt, arena, d, &m);
  *out_text = sn_arena_strdup(t->arena, code ? sn_diags_print(d, arena) : "");
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
  return code;
}

static void try_value(const tried *t, double value) {
  const sn_setting *s = t->setting;
  const char *text;
  sn_code code = build_with(t, value, &text);
  if (value < s->min || value > s->max) {
    const char *range = sn_arena_printf(t->arena, "%.15g to %.15g", s->min, s->max);
    if (code != SN_ERR_USAGE || !strstr(text, s->name) || !strstr(text, range))
      fail_msg("%s: %s=%g: code %d, %s", t->model->name, s->name, value, code, text);
  } else if (code && !strstr(text, "expected:")) {
    fail_msg("%s: %s=%g: code %d does not say what it takes: %s", t->model->name, s->name, value, code, text);
  }
}

static void try_model(const char *path) {
  static const double values[] = {-1, 0, 1, 2, 3, 1e9};
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_model_file *f = NULL;
  if (sn_model_load(path, SN_BINARY_DIR "/test-model-cache", d, &f)) fail_msg("%s", sn_diags_print(d, arena));
  tried t = {.model = sn_model_of(f), .arena = arena};
  for (t.setting = t.model->settings; t.setting->name; t.setting++) {
    if (!is_whole(t.setting)) continue;
    if (t.setting->max <= t.setting->min) fail_msg("%s: %s has no range", path, t.setting->name);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) try_value(&t, values[i]);
  }
  sn_model_unload(f);
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

static void of_every_model(void **state) {
  (void)state;
  glob_t g;
  assert_int_equal(glob(SN_SOURCE_DIR "/models/*.c", 0, NULL, &g), 0);
  assert_int_equal(glob(SN_SOURCE_DIR "/models/attention/*.c", GLOB_APPEND, NULL, &g), 0);
  assert_int_equal(glob(SN_SOURCE_DIR "/models/recurrent/*.c", GLOB_APPEND, NULL, &g), 0);
  assert_true(g.gl_pathc > 50);
  for (size_t i = 0; i < g.gl_pathc; i++) try_model(g.gl_pathv[i]);
  globfree(&g);
}

/* ---- kinds of ranges --------------------------------------------------------------------------------------------- */

SN_SETTINGS(ranges, (int, any, -3, "no range"), (int, size, 4, "a size", SN_SIZE), (int, kind, 0, "0 a, 1 b", .max = 1),
            (double, share, .5, "of all", .max = 1), (int, least, 7, "from 5 on", .min = 5));
static void only(sn_scope m, const ranges *c) { sn_output(m, "y", sn_input(m, "x", SN_REAL, (c->size, c->least))); }
SN_MODEL(ranges, ranges, only);

static void kinds(void **state) {
  (void)state;
  static const struct {
    const char *set, *says;
  } cases[] = {
      {"any=-7", ""},
      {"any=2147483647", ""},
      {"size=1", ""},
      {"size=0", "size=VALUE, where VALUE is a whole number, 1 to 16777216\n      = note:     size: a size"},
      {"size=16777217", "1 to 16777216"},
      {"kind=1", ""},
      {"kind=2", "kind=VALUE, where VALUE is a whole number, 0 to 1\n      = note:     kind: 0 a, 1 b"},
      {"kind=-1", "0 to 1"},
      {"share=1", ""},
      {"share=1.01", "a number, 0 to 1"},
      {"share=-1e-9", "a number, 0 to 1"},
      {"least=5", ""},
      {"least=4", "a whole number, 5 or more"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sn_arena *arena = sn_arena_create();
    sn_diags *d = sn_diags_create();
    sn_module *m;
    const sn_model_opt opt = {.set_count = 1, .set = &cases[i].set};
    sn_code code = sn_model_build(&sn_model_ranges, &opt, arena, d, &m);
    const char *text = code ? sn_diags_print(d, arena) : "";
    if (code != (*cases[i].says ? SN_ERR_USAGE : SN_OK) || !strstr(text, cases[i].says))
      fail_msg("%s: code %d, %s", cases[i].set, code, text);
    sn_diags_destroy(d);
    sn_arena_destroy(arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kinds), cmocka_unit_test(of_every_model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
