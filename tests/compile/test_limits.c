/* Inputs that name rows which are not there: refused before the run at the line of the op, on every target; the run
 * after it works, and what is at the edge is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/compile/harness.h"

enum { B = 2, T = 3, ROWS = 7 };

typedef struct limit {
  const char *name;
  const char *input;  /* type of the input "ids" */
  const char *body;   /* from line 6 on; %4 is the input, the table is %2 f32[7, 4] */
  const char *result; /* of the body */
  int64_t last;       /* greatest value that is allowed; -1: every one is */
  int line;
} limit;

static const limit limits[] = {
    {"gather", "i32[B, T]", "  %5 = gather %2, %4 : f32[B, T, 4]\n", "%5", ROWS - 1, 6},
    {"gather", "u8[B, T]", "  %5 = cast %4 to i32 : i32[B, T]\n  %6 = gather %2, %5 : f32[B, T, 4]\n", "%6", ROWS - 1,
     7},
    {"gather", "i64[T, B]",
     "  %5 = transpose %4 perm [1, 0] : i64[B, T]\n  %6 = reshape %5 shape [B, T, 1] : i64[B, T, 1]\n"
     "  %7 = gather %2, %6 : f32[B, T, 1, 4]\n",
     "%7", ROWS - 1, 8},
    {"gather", "i32[T]", /* a part: all of the input is held to it */
     "  %5 = slice %4 start [0] shape [1] : i32[1]\n  %6 = gather %2, %5 : f32[1, 4]\n", "%6", ROWS - 1, 7},
    {"pick", "i32[B]",
     "  %5 = const value 0.5 : f32[B, 5]\n  %6 = pick %5, %4 : f32[B]\n  %7 = const value 1 : f32[B]\n"
     "  %8 = mul %6, %7 : f32[B]\n",
     "%8", 4, 7},
    {"cross_entropy", "i32[B]", "  %5 = const value 0.5 : f32[B, 5]\n  %6 = cross_entropy %5, %4 : f32[B]\n", "%6", 4,
     7},
    {"gather", "i32[B]", /* positions from a start */
     "  %5 = iota axis 0 : i32[T]\n  %6 = reshape %4 shape [B, 1] : i32[B, 1]\n"
     "  %7 = broadcast %6 shape [B, T] axes [0, 1] : i32[B, T]\n"
     "  %8 = broadcast %5 shape [B, T] axes [1] : i32[B, T]\n  %9 = add %7, %8 : i32[B, T]\n"
     "  %10 = gather %2, %9 : f32[B, T, 4]\n",
     "%10", ROWS - T, 11},
    {"dynamic_slice", "i32[]", "  %5 = dynamic_slice %2, %4 axis 0 count T : f32[T, 4]\n", "%5", ROWS - T, 6},
    {"dynamic_write", "i32[]", "  %5 = const value 1 : f32[T, 4]\n  %6 = dynamic_write %2, %5, %4 axis 0 : f32[7, 4]\n",
     "%6", ROWS - T, 7},
    {"dynamic_write", "i32[]",
     "  %5 = const value 1 : f32[T, 4]\n  %6 = dynamic_write %2, %5, %4 axis 0 ring 1 : f32[7, 4]\n", "%6", -1, 0},
    {"dynamic_write", "i32[T]", /* rows by their numbers */
     "  %5 = const value 1 : f32[T, 4]\n  %6 = dynamic_write %2, %5, %4 axis 0 : f32[7, 4]\n", "%6", ROWS - 1, 7},
    {"attention", "i32[B, T]", /* pages */
     "  %5 = reshape %2 shape [7, 2, 1, 2] : f32[7, 2, 1, 2]\n  %6 = const value 1 : f32[B, 3, 1, 2]\n"
     "  %7, %8 = attention %6, %5, %5, %4 scale 1 pages 1 : f32[B, 3, 1, 2], f32[B, 1, 3]\n",
     "%7", ROWS - 1, 8},
    {"index", "i32[T]", "  %5 = iota axis 0 : i32[T]\n  %6 = index %2, %4, %5 : f32[T]\n", "%6", ROWS - 1, 7},
    {"index", "i32[B]", /* the page that a position from a start is in */
     "  %5 = iota axis 0 : i32[T]\n  %6 = reshape %4 shape [B, 1] : i32[B, 1]\n"
     "  %7 = broadcast %6 shape [B, T] axes [0, 1] : i32[B, T]\n"
     "  %8 = broadcast %5 shape [B, T] axes [1] : i32[B, T]\n  %9 = add %7, %8 : i32[B, T]\n"
     "  %10 = const value 5 : i32[B, T]\n  %11 = div %9, %10 : i32[B, T]\n"
     "  %12 = index %2, %11, %8 : f32[B, T]\n",
     "%12", 5 * ROWS - T, 13},
    {"gather", "i32[T]", /* computed: moved inside */
     "  %5 = const value 6 : i32[T]\n  %6 = min %4, %5 : i32[T]\n  %7 = const value 0 : i32[T]\n"
     "  %8 = max %6, %7 : i32[T]\n  %9 = gather %2, %8 : f32[T, 4]\n",
     "%9", -1, 0},
};

typedef struct session {
  sn_arena *arena;
  sn_diags *diags;
  sn_compiled compiled;
  sn_runtime *runtime;
  sn_store *store;
  sn_buffer ids;
  const sn_type *type;
} session;

static const char *text_of(const limit *l, sn_arena *arena) {
  return sn_arena_printf(arena,
                         "sinter 1\n"
                         "dims { B: 1..4, T: 1..6 }\n"
                         "graph @g {\n"
                         "  %%2 = param name \"table\" init \"normal\" a 1 : f32[7, 4]\n"
                         "  %%4 = input name \"ids\" : %s\n"
                         "%s"
                         "  output \"y\" = %s\n"
                         "}\n",
                         l->input, l->body, l->result);
}

/* In place: the runtime refers to what was compiled. */
static void begin_text(session *s, sn_arena *arena, const char *text, sn_compile_opt co) {
  *s = (session){.arena = arena, .diags = sn_diags_create()};
  sn_module *m = check_parse(s->arena, s->diags, text);
  if (sn_compile(m, &co, s->arena, s->diags, &s->compiled)) fail_msg("%s", sn_diags_print(s->diags, s->arena));
  sn_runtime_opt ro = sn_compile_runtime_opt(&s->compiled, 1);
  assert_int_equal(sn_runtime_create(s->compiled.plan, &ro, s->diags, &s->runtime), SN_OK);
  const int64_t dims[2] = {B, T}; /* of symbols that the input does not name */
  assert_int_equal(sn_store_create(s->runtime, 1, dims, s->diags, &s->store), SN_OK);
  s->type = s->compiled.plan->slot[sn_plan_find_slot(s->compiled.plan, 0, "ids")].type;
}

static void begin(session *s, const limit *l, const char *target) {
  sn_arena *arena = sn_arena_create();
  begin_text(s, arena, text_of(l, arena), (sn_compile_opt){.target = target, .cache_dir = check_cache()});
}

static void end(session *s) {
  sn_store_destroy(s->store);
  sn_runtime_destroy(s->runtime);
  sn_diags_destroy(s->diags);
  sn_arena_destroy(s->arena);
}

static void set(void *data, sn_elem e, int64_t i, int64_t value) {
  if (e == SN_ELEM_I64)
    ((int64_t *)data)[i] = value;
  else if (e == SN_ELEM_I32)
    ((int32_t *)data)[i] = (int32_t)value;
  else
    ((uint8_t *)data)[i] = (uint8_t)value;
}

/* Runs with 1 everywhere and `value` in one place. */
static sn_code run(session *s, int64_t value, int64_t *out_at) {
  const int64_t dims[2] = {B, T};
  int64_t data[B * T] = {0}, count = 1;
  sn_buffer b = {.name = "ids", .data = data, .rank = s->type->rank};
  for (int i = 0; i < b.rank; i++) {
    assert_int_equal(sn_dimx_eval(s->type->dim[i], dims, &b.extent[i]), SN_OK);
    count *= b.extent[i];
  }
  for (int64_t i = 0; i < count; i++) set(data, s->type->elem, i, 1);
  *out_at = count - 1;
  set(data, s->type->elem, count - 1, value);
  return sn_run(s->runtime, s->store, "g", 1, &b, s->diags);
}

/* Is there one message, with all that it should say? It is removed. */
static void says(session *s, const limit *l, int64_t value, int64_t at) {
  assert_int_equal(s->diags->count, 1);
  const char *text = sn_diags_print(s->diags, s->arena);
  const char *const parts[] = {sn_arena_printf(s->arena, "test.sn:%d", l->line),
                               sn_arena_printf(s->arena, "`%s`", l->name), "input ids",
                               sn_arena_printf(s->arena, "0 to %lld", (long long)l->last),
                               sn_arena_printf(s->arena, "%lld at element %lld", (long long)value, (long long)at)};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(text, parts[i])) fail_msg("%s: \"%s\" is not in: %s", l->name, parts[i], text);
  s->diags->count = 0;
}

static void refused(session *s, const limit *l, int64_t value) {
  int64_t at;
  assert_int_equal(run(s, value, &at), SN_ERR_INPUT);
  says(s, l, value, at);
}

static void check(const limit *l, const char *target) {
  session s;
  begin(&s, l, target);
  int64_t at;
  bool byte = s.type->elem == SN_ELEM_U8;
  const char *t = text_of(l, s.arena);
  if (run(&s, l->last < 0 ? 0 : l->last, &at)) fail_msg("%s\n%s", sn_diags_print(s.diags, s.arena), t);
  if (l->last >= 0) {
    refused(&s, l, l->last + 1);
    refused(&s, l, byte ? 255 : INT32_MAX);
    if (!byte) refused(&s, l, -1);
    if (s.type->elem == SN_ELEM_I64) refused(&s, l, INT64_MIN);
  } else {
    assert_int_equal(run(&s, 1000, &at), SN_OK);
  }
  assert_int_equal(run(&s, 0, &at), SN_OK);
  end(&s);
}

/* ---- targets of a loss over a large vocabulary, in every form ---------------------------------------------------- */

enum { VOCAB = 9000, TARGETS = 4 };

static const char loss_text[] =
    "sinter 1\ngraph @g {\n%1 = input name \"x\" : f32[4, 24]\n"
    "%2 = param name \"w\" init \"normal\" a 1 : f32[9000, 24]\n%3 = input name \"ids\" : i32[4]\n"
    "%4 = contract %1, %2 spec \"td,vd->tv\" : f32[4, 9000]\n%8 = cross_entropy %4, %3 : f32[4]\n"
    "%9 = sum %8 axes [0] : f32[]\n%10 = grad %9, %2 : f32[9000, 24]\n"
    "output \"rows\" = %8\noutput \"dw\" = %10\n}\n";

static sn_code run_loss(session *s, int at, int32_t id) {
  float x[TARGETS * 24] = {0};
  int32_t ids[TARGETS] = {0, 1, VOCAB - 1, 3};
  ids[at] = id;
  const sn_buffer b[2] = {{.name = "x", .data = x, .rank = 2, .extent = {TARGETS, 24}},
                          {.name = "ids", .data = ids, .rank = 1, .extent = {TARGETS}}};
  return sn_run(s->runtime, s->store, "g", 2, b, s->diags);
}

static void check_loss(const char *target, const char *form) {
  session s;
  begin_text(&s, sn_arena_create(), loss_text,
             (sn_compile_opt){.target = target, .cache_dir = check_cache(), .vocab = form});
  for (int at = 0; at < TARGETS; at++) {
    const limit l = {.name = "cross_entropy", .last = VOCAB - 1, .line = 7};
    if (run_loss(&s, at, VOCAB - 1)) fail_msg("%s: %s", form, sn_diags_print(s.diags, s.arena));
    assert_int_equal(run_loss(&s, at, VOCAB), SN_ERR_INPUT);
    says(&s, &l, VOCAB, at);
    assert_int_equal(run_loss(&s, at, -1), SN_ERR_INPUT);
    says(&s, &l, -1, at);
  }
  end(&s);
}

static void targets_of_losses(void **state) {
  (void)state;
  static const char *const forms[] = {"whole", "parts", "fused"};
  for (int i = 0; i < 3; i++) check_loss(SN_HAVE_LLVM ? "cpu" : "template", forms[i]);
}

/* ---- means of nothing -------------------------------------------------------------------------------------------- */

typedef struct weights {
  const char *type;    /* of the input "ids"; [4], or a scalar more */
  const char *body;    /* weights %9 f32[4] of the input %4 */
  double none, some;   /* everywhere: no element counts; in one place: one does */
  const char *wants;   /* "" : never refused */
  const char *divisor; /* NULL: the sum */
  const char *result;  /* NULL: the quotient */
} weights;

static const weights means[] = {
    {"i32[4]", "%5 = const value 0 : i32[4]\n%6 = le %5, %4 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", -1, 0,
     "0 or more", NULL, NULL},
    {"i64[4]", "%5 = const value 2 : i64[4]\n%6 = lt %4, %5 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", 2, 1,
     "1 or less", NULL, NULL},
    {"i32[4]", "%5 = const value 3 : i32[4]\n%6 = eq %4, %5 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", 2, 3, "is 3",
     NULL, NULL},
    {"i32[4]", "%5 = const value -100 : i32[4]\n%6 = ne %4, %5 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", -100, 0,
     "other than -100", NULL, NULL},
    {"i32[4]", "%5 = iota axis 0 : i32[4]\n%6 = lt %5, %4 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", 0, 3, "1 or more",
     NULL, NULL},
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, .5, "other than 0", NULL, NULL},
    {"bool[4]", "%9 = cast %4 to f32 : f32[4]\n", 0, 1, "other than 0", NULL, NULL},
    {"f32[4]", "%5 = const value 0.5 : f32[4]\n%6 = lt %5, %4 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", .5, .75,
     "above 0.5", NULL, NULL},
    {"f32[4]", "%5 = const value 3 : f32[4]\n%9 = mul %4, %5 : f32[4]\n", 0, -1, "other than 0", NULL, NULL},
    /* computed otherwise, compared, kept from 0, replaced */
    {"f32[4]", "%9 = exp %4 : f32[4]\n", 0, 1, "", NULL, NULL},
    {"f32[4]", "%5 = const value 2 : f32[4]\n%9 = add %4, %5 : f32[4]\n", 0, 1, "", NULL, NULL},
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, 1, "", "%12 = max %11, %10 : f32[]\n", NULL},
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, 1, "", NULL,
     "%14 = lt %10, %11 : bool[]\n%15 = select %14, %13, %10 : f32[]\n"},
    /* replaced further on, by whether any weight is there, or as it is no number */
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, 1, "", NULL,
     "%14 = amax %9 axes [0] : f32[]\n%16 = const value 0 : f32[]\n%17 = lt %16, %14 : bool[]\n"
     "%18 = mul %13, %10 : f32[]\n%15 = select %17, %18, %16 : f32[]\n"},
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, 1, "", NULL,
     "%16 = const value 0 : f32[]\n%18 = mul %13, %10 : f32[]\n%17 = ne %18, %18 : bool[]\n"
     "%15 = select %17, %16, %18 : f32[]\n"},
    {"f32[4]", "%9 = reshape %4 shape [4] : f32[4]\n", 0, 1, "other than 0", NULL, "%15 = add %13, %10 : f32[]\n"},
    /* numbers that are rounded, or wrap, before they are compared */
    {"f32[4]", "%5 = const value 0.1 : f32[4]\n%6 = eq %4, %5 : bool[4]\n%9 = cast %6 to f32 : f32[4]\n", 0, .1, "",
     NULL, NULL},
    {"i64[4]",
     "%3 = cast %4 to i32 : i32[4]\n%5 = const value 1 : i32[4]\n%6 = lt %3, %5 : bool[4]\n"
     "%9 = cast %6 to f32 : f32[4]\n",
     4294967297., 4294967296., "", NULL, NULL},
};

static const char *mean_text(const weights *w, sn_arena *arena) {
  return sn_arena_printf(arena,
                         "sinter 1\ngraph @g {\n%%4 = input name \"ids\" : %s\n"
                         "%%1 = param name \"p\" init \"fill\" a 1 : f32[4]\n%s"
                         "%%10 = const value 1 : f32[]\n%%11 = sum %%9 axes [0] : f32[]\n%s"
                         "%%7 = mul %%1, %%9 : f32[4]\n%%8 = sum %%7 axes [0] : f32[]\n"
                         "%%13 = div %%8, %s : f32[]\n%soutput \"loss\" = %s\nupdate %%1 = %%7\n}\n",
                         w->type, w->body, w->divisor ? w->divisor : "", w->divisor ? "%12" : "%11",
                         w->result ? w->result : "", w->result ? "%15" : "%13");
}

/* All elements are `none`, one of them `some`. */
static sn_code run_mean(session *s, double none, double some) {
  int64_t data[4] = {0};
  sn_buffer b = {.name = "ids", .data = data, .rank = 1, .extent = {4}};
  for (int i = 0; i < 4; i++) {
    double x = i == 2 ? some : none;
    if (s->type->elem == SN_ELEM_F32)
      ((float *)data)[i] = (float)x;
    else
      set(data, s->type->elem, i, (int64_t)x);
  }
  return sn_run(s->runtime, s->store, "g", 1, &b, s->diags);
}

static void says_none(session *s, const weights *w) {
  const char *text = sn_diags_print(s->diags, s->arena);
  const char *const parts[] = {"test.sn:", "`div`", "a mean of nothing", "input ids", w->wants, "none of 4"};
  assert_int_equal(s->diags->count, 1);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(text, parts[i])) fail_msg("\"%s\" is not in: %s", parts[i], text);
  s->diags->count = 0;
}

static void check_mean(const weights *w, const char *target) {
  session s;
  sn_arena *arena = sn_arena_create();
  begin_text(&s, arena, mean_text(w, arena), (sn_compile_opt){.target = target, .cache_dir = check_cache()});
  sn_code code = run_mean(&s, w->none, w->none);
  if (code != (*w->wants ? SN_ERR_INPUT : SN_OK)) fail_msg("code %d of %s", code, w->body);
  if (code) says_none(&s, w);
  if (run_mean(&s, w->none, w->some)) fail_msg("%s%s", w->body, sn_diags_print(s.diags, arena));
  end(&s);
}

static void means_on(const char *target) {
  for (size_t i = 0; i < sizeof means / sizeof *means; i++) check_mean(&means[i], target);
}

static void means_of_nothing(void **state) {
  (void)state;
  means_on("ref");
  means_on("template");
  if (SN_HAVE_LLVM) means_on("cpu");
}

static void means_on_a_gpu(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  means_on("vulkan");
}

/* ---- each -------------------------------------------------------------------------------------------------------- */

static void each(const char *target) {
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) check(&limits[i], target);
}

static void in_the_interpreter(void **state) { (void)state, each("ref"); }
static void on_the_template(void **state) { (void)state, each("template"); }
static void on_the_cpu(void **state) {
  (void)state;
  if (!SN_HAVE_LLVM) skip();
  each("cpu");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_the_interpreter), cmocka_unit_test(on_the_template),  cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(targets_of_losses),  cmocka_unit_test(means_of_nothing), cmocka_unit_test(means_on_a_gpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
