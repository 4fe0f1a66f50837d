/* Loading of model files and their settings: what is refused and how; objects are kept by content. */
#include "support.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/sinter-load-XXXXXX";

static void write_file(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

typedef struct load_result {
  sn_code code;
  sn_arena *arena;
  sn_diags *diags;
  sn_model_file *file;
} load_result;

static load_result load(const char *name) {
  load_result r = {.arena = sn_arena_create(), .diags = sn_diags_create()};
  char path[256], cache[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  snprintf(cache, sizeof cache, "%s/cache/objects", folder);
  r.code = sn_model_load(path, cache, r.diags, &r.file);
  return r;
}

static void drop(load_result *r) {
  sn_model_unload(r->file);
  sn_diags_destroy(r->diags);
  sn_arena_destroy(r->arena);
}

static const char *const small_model =
    "#include \"sinter.h\"\n"
    "SN_SETTINGS(tiny, (int, layers, 2, \"blocks\"), (double, rate, .5, \"a rate\"), (bool, bias, 0, \"biases\"),\n"
    "            (int64_t, rows, 7, \"rows\"));\n"
    "static void train(sn_scope m, const tiny *c) {\n"
    "  sn_output(m, \"y\", sn_zeros(m, SN_REAL, (c->layers + (int)c->rows, 2 + c->bias)));\n"
    "}\n"
    "static void eval(sn_scope m, const tiny *c) { sn_output(m, \"y\", sn_add(sn_dim_value(sn_sym(m, \"B\")), "
    "c->rate)); }\n"
    "SN_MODEL(tiny, tiny, train, eval);\n";

static int objects(char *one, size_t bytes) {
  char path[256];
  snprintf(path, sizeof path, "%s/cache/objects", folder);
  DIR *d = opendir(path);
  int n = 0;
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    snprintf(one, bytes, "%s/%.100s", path, e->d_name);
    n++;
  }
  closedir(d);
  return n;
}

static void test_cache(void **state) {
  (void)state;
  char path[512];
  struct stat first, again;
  write_file("tiny.c", small_model);
  for (int i = 0; i < 2; i++) {
    load_result r = load("tiny.c");
    assert_int_equal(r.code, SN_OK);
    assert_string_equal(sn_model_of(r.file)->name, "tiny");
    drop(&r);
    assert_int_equal(objects(path, sizeof path), 1); /* nothing temporary is left */
  }
  assert_int_equal(stat(path, &first), 0);
  assert_int_equal(first.st_mode & 0777, 0600);
  assert_int_equal(chmod(path, 0666), 0); /* others could have written it: made again */
  load_result r = load("tiny.c");
  assert_int_equal(r.code, SN_OK);
  drop(&r);
  assert_int_equal(stat(path, &again), 0);
  assert_int_equal(again.st_mode & 0777, 0600);
}

static void test_refused(void **state) {
  (void)state;
  write_file("wrong.c", "#include \"sinter.h\"\nstatic void f(sn_scope m) { sn_add(mm, 1); }\n");
  load_result r = load("wrong.c");
  assert_int_equal(r.code, SN_ERR_INPUT);
  const char *text = sn_diags_print(r.diags, r.arena);
  assert_non_null(strstr(text, "refuses the model"));
  assert_non_null(strstr(text, "wrong.c:2"));
  drop(&r);
  write_file("empty.c", "int x;\n");
  r = load("empty.c");
  assert_int_equal(r.code, SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(r.diags, r.arena), "there is no model in the file"));
  drop(&r);
  r = load("none.c");
  assert_int_equal(r.code, SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(r.diags, r.arena), "cannot be read"));
  drop(&r);
}

static void test_compiler(void **state) {
  (void)state;
  write_file("other.c", small_model);
  const char *cc = getenv("CC");
  char *saved = cc ? strdup(cc) : NULL;
  setenv("CC", "no-such-compiler -x", 1);
  load_result r = load("other.c");
  assert_int_equal(r.code, SN_ERR_INPUT);
  assert_non_null(strstr(sn_diags_print(r.diags, r.arena), "no-such-compiler"));
  drop(&r);
  if (saved)
    setenv("CC", saved, 1);
  else
    unsetenv("CC");
  free(saved);
}

static void test_folder(void **state) {
  (void)state;
  char path[256];
  snprintf(path, sizeof path, "%s/cache/objects", folder);
  assert_int_equal(chmod(path, 0777), 0);
  load_result r = load("tiny.c");
  assert_int_equal(r.code, SN_ERR_LIMIT);
  assert_non_null(strstr(sn_diags_print(r.diags, r.arena), "the folder for objects is not safe"));
  drop(&r);
  assert_int_equal(chmod(path, 0700), 0);
}

/* Diagnostics of a build of tiny.c with one setting and a choice of graphs; "" when it works. */
static const char *built(const load_result *r, const char *set, const char *graphs) {
  sn_diags *d = sn_diags_create();
  sn_module *m;
  sn_model_opt opt = {.set_count = set != NULL, .set = &set, .graphs = graphs};
  sn_code code = sn_model_build(sn_model_of(r->file), &opt, r->arena, d, &m);
  const char *text = code ? sn_diags_print(d, r->arena) : "";
  if (code) assert_int_equal(code, SN_ERR_USAGE);
  sn_diags_destroy(d);
  return text;
}

static void test_settings(void **state) {
  (void)state;
  load_result r = load("tiny.c");
  assert_int_equal(r.code, SN_OK);
  const char *const set[] = {"layers=4", "rate=1e-3", "bias=true"}, *text;
  sn_model_opt opt = {.set_count = 3, .set = set};
  assert_int_equal(sn_model_settings(sn_model_of(r.file), &opt, r.arena, r.diags, &text), SN_OK);
  assert_string_equal(text, "layers=4 rate=0.001 bias=1 rows=7");
  assert_string_equal(built(&r, "layers=4", NULL), "");
  assert_string_equal(built(&r, "layer=3", NULL),
                      "error: model tiny has no setting in \"layer=3\"; it has: layers=2 rate=0.5 bias=0 rows=7\n"
                      "      = note:     did you mean layers?\n");
  assert_non_null(strstr(built(&r, "layers=3.5", NULL), "setting layers of model tiny does not take \"3.5\""));
  assert_non_null(strstr(built(&r, "layers=9999999999", NULL), "does not take"));
  assert_non_null(strstr(built(&r, "bias=2", NULL),
                         "bias=VALUE, where VALUE is true, false, 1 or 0\n      = note:     bias: biases"));
  assert_non_null(strstr(built(&r, "rate", NULL), "does not take \"\""));
  assert_non_null(strstr(built(&r, "rate=nan", NULL), "does not take"));
  assert_non_null(strstr(built(&r, NULL, "trian"), "model tiny has no graph \"trian\"; it has: train eval"));
  drop(&r);
}

/* The module holds the graphs asked for; real is what SN_REAL is. */
static void test_real(void **state) {
  (void)state;
  load_result r = load("tiny.c");
  sn_module *m;
  sn_model_opt opt = {.graphs = "eval", .real = SN_ELEM_F64};
  assert_int_equal(sn_model_build(sn_model_of(r.file), &opt, r.arena, r.diags, &m), SN_OK);
  assert_int_equal(m->func_count, 1);
  assert_int_equal(sn_val_type(m->func[0], m->func[0]->output[0].value)->elem, SN_ELEM_F64);
  drop(&r);
}

static int begin(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cache),    cmocka_unit_test(test_refused), cmocka_unit_test(test_compiler),
      cmocka_unit_test(test_settings), cmocka_unit_test(test_folder),  cmocka_unit_test(test_real),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
