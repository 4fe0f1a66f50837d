/* Gradients of attention by each of their schedules: one kernel for all of them, or one for dk and dv and one for dq.
 * Both results differentiated; scores that are weights.
 * One query: parts of the keys, then their sum. Rings of keys.
 * Blocks are small, so that short sequences have full, partial and empty ones and an edge. */
#include "tests/passes/lowered.h"

#define SITE(n0, n1, n2, n3)                                                               \
  "  %b = arg index " n0 " : i32[]\n  %h = arg index " n1 " : i32[]\n  %q = arg index " n2 \
  " : i32[]\n  %k = arg index " n3 " : i32[]\n"

static const char regions[] =
    "body @causal {\n" SITE("0", "1", "2", "3") "  %s = le %k, %q : bool[]\n  return %s\n}\n"
    "body @window {\n" SITE("0", "1", "2", "3") "  %s = le %k, %q : bool[]\n  %d = sub %q, %k : i32[]\n"
    "  %n = const value 6 : i32[]\n  %w = lt %d, %n : bool[]\n  %m = and %s, %w : bool[]\n  return %m\n}\n"
    "body @never {\n" SITE("0", "1", "2", "3") "  %s = lt %k, %q : bool[]\n  %t = lt %q, %k : bool[]\n"
    "  %m = and %s, %t : bool[]\n  return %m\n}\n"
    "body @cap {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %y = tanh %x : f32[]\n  return %y\n}\n"
    /* each key above all before it */
    "body @rise {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %f = cast %k to f32 : f32[]\n"
    "  %n = const value 3 : f32[]\n  %r = mul %f, %n : f32[]\n  %y = add %x, %r : f32[]\n  return %y\n}\n"
    /* without a slope at 0, where queries beyond the last would stand */
    "body @root {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %a = abs %x : f32[]\n"
    "  %y = sqrt %a : f32[]\n  return %y\n}\n"
    /* not a number where the key is behind the query */
    "body @far {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %d = sub %q, %k : i32[]\n"
    "  %f = cast %d to f32 : f32[]\n  %o = const value 1.5 : f32[]\n  %a = add %f, %o : f32[]\n"
    "  %l = log %a : f32[]\n  %y = mul %x, %l : f32[]\n  return %y\n}\n";

/* q, k and v are views of one product, as a model has them */
static const char views[] =
    "dims { B: 1..4, T: 1..64 }\n%s"
    "graph @g {\n"
    "  %%x = input name \"x\" : f32[B, T, 3, 4, 8]\n  %%w = input name \"w\" : f32[B, T, 4, 8]\n"
    "  %%t = transpose %%x perm [2, 0, 1, 3, 4] : f32[3, B, T, 4, 8]\n"
    "  %%a = slice %%t start [0, 0, 0, 0, 0] shape [1, B, T, 4, 8] : f32[1, B, T, 4, 8]\n"
    "  %%b = slice %%t start [1, 0, 0, 0, 0] shape [1, B, T, 4, 8] : f32[1, B, T, 4, 8]\n"
    "  %%c = slice %%t start [2, 0, 0, 0, 0] shape [1, B, T, 4, 8] : f32[1, B, T, 4, 8]\n"
    "  %%q = reshape %%a shape [B, T, 4, 8] : f32[B, T, 4, 8]\n"
    "  %%k = reshape %%b shape [B, T, 4, 8] : f32[B, T, 4, 8]\n"
    "  %%v = reshape %%c shape [B, T, 4, 8] : f32[B, T, 4, 8]\n"
    "  %%y, %%l = attention %%q, %%k, %%v scale 0.4%s : f32[B, T, 4, 8], f32[B, 4, T]\n"
    "  %%p = mul %%y, %%w : f32[B, T, 4, 8]\n  %%s = sum %%p axes [0, 1, 2, 3] : f32[]\n"
    "  %%d = grad %%s, %%x : f32[B, T, 3, 4, 8]\n"
    "  output \"y\" = %%y\n  output \"d\" = %%d\n}\n";

/* query heads share key heads; keys begin before the queries */
static const char shared[] =
    "dims { B: 1..4, T: 1..64 }\n%s"
    "graph @g {\n"
    "  %%q = input name \"q\" : f32[B, T, 6, 8]\n  %%k = input name \"k\" : f32[B, T + 5, 2, 8]\n"
    "  %%v = input name \"v\" : f32[B, T + 5, 2, 4]\n  %%w = input name \"w\" : f32[B, T, 6, 4]\n"
    "  %%n = input name \"start\" : i32[B]\n"
    "  %%y, %%l = attention %%q, %%k, %%v, %%n scale 0.4 start 1%s : f32[B, T, 6, 4], f32[B, 6, T]\n"
    "  %%p = mul %%y, %%w : f32[B, T, 6, 4]\n  %%s = sum %%p axes [0, 1, 2, 3] : f32[]\n"
    "  %%dq, %%dk, %%dv = grad %%s, %%q, %%k, %%v : f32[B, T, 6, 8], f32[B, T + 5, 2, 8], f32[B, T + 5, 2, 4]\n"
    "  output \"y\" = %%y\n  output \"dq\" = %%dq\n  output \"dk\" = %%dk\n  output \"dv\" = %%dv\n}\n";

/* What is differentiated depends on both results, or on the second alone: %%r. */
static const char totals[] =
    "dims { B: 1..4, T: 1..64 }\n%s"
    "graph @g {\n"
    "  %%q = input name \"q\" : f32[B, T, 6, 8]\n  %%k = input name \"k\" : f32[B, T, 2, 8]\n"
    "  %%v = input name \"v\" : f32[B, T, 2, 5]\n  %%w = input name \"w\" : f32[B, T, 6, 5]\n"
    "  %%u = input name \"u\" : f32[B, 6, T]\n"
    "  %%y, %%l = attention %%q, %%k, %%v scale 0.4%s : f32[B, T, 6, 5], f32[B, 6, T]\n"
    "  %%p = mul %%y, %%w : f32[B, T, 6, 5]\n  %%o = sum %%p axes [0, 1, 2, 3] : f32[]\n"
    "  %%t = mul %%l, %%u : f32[B, 6, T]\n  %%r = sum %%t axes [0, 1, 2] : f32[]\n"
    "  %%s = add %%o, %%r : f32[]\n"
    "  %%dq, %%dk, %%dv = grad %%%c, %%q, %%k, %%v : f32[B, T, 6, 8], f32[B, T, 2, 8], f32[B, T, 2, 5]\n"
    "  output \"y\" = %%y\n  output \"l\" = %%l\n"
    "  output \"dq\" = %%dq\n  output \"dk\" = %%dk\n  output \"dv\" = %%dv\n}\n";

static const char *const variants[] = {"", " mask @causal", " mask @window", " score @cap mask @causal"};

/* Tensors over tokens in bf16. */
static void narrow(char *text) {
  static const char *const wide[] = {" f32[B, T", " f32[1, B", " f32[3, B", "3] : f32[]"};
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
    for (char *p = text; (p = strstr(p, wide[i]));) {
      char *e = strstr(p, "f32");
      memmove(e + 4, e + 3, strlen(e + 3) + 1);
      memcpy(e, "bf16", 4);
    }
}

/* -> launches */
static int check_threads(const char *graph, const char *variant, int64_t t, int scratch, int most, int threads,
                         bool bf16) {
  char text[4096];
  int64_t dims[] = {2, t};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bq = 4, target.bkv = 4, target.scratch_bytes = scratch, target.scratch_most = most;
  target.threads = threads, target.vnni = bf16;
  snprintf(text, sizeof text, graph, regions, variant);
  if (bf16) narrow(text);
  return lowered_check_case(&(lowered_case){.text = text,
                                            .dims = dims,
                                            .target = &target,
                                            .exact_bytes = graph == views && strcmp(variant, " mask @window") != 0});
}

static int check(const char *graph, const char *variant, int64_t t, int scratch, bool bf16) {
  return check_threads(graph, variant, t, scratch, scratch, 1, bf16);
}

static void schedules(const char *graph, bool bf16) {
  for (size_t i = 0; i < sizeof variants / sizeof *variants - bf16; i++)
    for (int64_t t = 1; t <= 13; t += 4) {
      int several = check(graph, variants[i], t, 0, bf16), whole = check(graph, variants[i], t, 1 << 20, bf16);
      assert_int_equal(whole, several - 2); /* delta, dk and dv, dq */
    }
}

static void views_of_a_product(void **state) {
  (void)state;
  schedules(views, false);
  schedules(views, true);
}

static void shared_heads(void **state) {
  (void)state;
  schedules(shared, false);
}

/* The sum of exp(s_i) in blocks of 4 below a running maximum. */
static double streamed(const double *s, int count, bool corrected) {
  double most = -INFINITY, sum = 0;
  for (int i = 0; i < count; i += 4) {
    double before = most;
    for (int j = i; j < i + 4 && j < count; j++) most = fmax(most, s[j]);
    if (corrected) sum *= exp(before - most);
    for (int j = i; j < i + 4 && j < count; j++) sum += exp(s[j] - most);
  }
  return sum * exp(most);
}

/* Every block raises the maximum: what was summed before must shrink, or much is wrong. */
static void keys_in_rising_order(void **state) {
  double s[13], all = 0;
  (void)state;
  for (int i = 0; i < 13; i++) all += exp(s[i] = 3 * i);
  assert_true(fabs(streamed(s, 13, true) / all - 1) < 1e-12);
  assert_true(fabs(streamed(s, 13, false) / all - 1) > 1);
  check(views, " score @rise", 13, 0, false);
  check(views, " score @rise mask @causal", 13, 1 << 20, false);
  check(shared, " score @rise mask @causal", 13, 0, false);
}

/* a sequence whose gradients do not fit the scratch has a kernel for each */
static void scratch_bounds_the_length(void **state) {
  (void)state;
  int rows = 64 * 4 * (8 + 1);
  assert_int_equal(check(views, variants[1], 9, rows, false), check(views, variants[1], 9, rows - 1, false) - 2);
}

/* .. a longer one has one kernel where four heads keep all threads busy, about */
static void heads_for_all_threads(void **state) {
  (void)state;
  int several = check(views, variants[1], 9, 0, false);
  for (int threads = 1; threads <= 6; threads++) {
    bool one = threads != 3 && threads != 6;
    int found = check_threads(views, variants[1], 9, 64, 64 * 4 * (8 + 1), threads, false);
    assert_int_equal(found, one ? several - 2 : several);
  }
}

/* ---- weights, and both results ----------------------------------------------------------------------------------- */

/* loss: 'o' of y, 'r' of the second result, 's' of both.  -> launches */
static int check_totals(const char *variant, char loss, int64_t t, int scratch) {
  char text[4096];
  int64_t dims[] = {2, t};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bq = 4, target.bkv = 4, target.scratch_bytes = scratch;
  snprintf(text, sizeof text, totals, regions, variant, loss);
  return lowered_check_case(&(lowered_case){.text = text, .dims = dims, .target = &target, .all_bounded = true});
}

static void both_results(void **state) {
  (void)state;
  static const char *const cases[] = {
      "", " mask @causal", " mask @never", " score @cap mask @window", " score @far mask @causal", " score @root"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int64_t t = 1; t <= 9; t += 4)
      for (const char *loss = "rs"; *loss; loss++) {
        int several = check_totals(cases[i], *loss, t, 0), whole = check_totals(cases[i], *loss, t, 1 << 20);
        if (*loss == 's') assert_int_equal(whole, several - 2); /* delta, dk and dv, dq */
      }
}

static void scores_as_weights(void **state) {
  (void)state;
  static const char *const cases[] = {" weights 1",
                                      " mask @causal weights 1",
                                      " mask @never weights 1",
                                      " score @cap mask @window weights 1",
                                      " score @far mask @causal weights 1",
                                      " score @root weights 1"};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int64_t t = 1; t <= 9; t += 4)
      for (const char *loss = "ors"; *loss; loss++) {
        int several = check_totals(cases[i], *loss, t, 0), whole = check_totals(cases[i], *loss, t, 1 << 20);
        if (*loss != 'r') assert_int_equal(whole, several - 1); /* dk and dv, dq */
      }
}

/* ---- one query -------------------------------------------------------------------------------------------------- */

static const char one_regions[] =
    "body @causal {\n" SITE("0", "1", "2", "3") "  %s = le %k, %q : bool[]\n  return %s\n}\n"
    "body @window {\n" SITE("0", "1", "2", "3") "  %s = le %k, %q : bool[]\n  %d = sub %q, %k : i32[]\n"
    "  %n = const value 6 : i32[]\n  %w = lt %d, %n : bool[]\n  %m = and %s, %w : bool[]\n  return %m\n}\n"
    "body @never {\n" SITE("0", "1", "2", "3") "  %s = lt %k, %q : bool[]\n  %t = lt %q, %k : bool[]\n"
    "  %m = and %s, %t : bool[]\n  return %m\n}\n"
    "body @some {\n" SITE("0", "1", "2", "3") "  %x = add %k, %h : i32[]\n  %n = const value 3 : i32[]\n"
    "  %r = mod %x, %n : i32[]\n  %z = const value 0 : i32[]\n  %m = eq %r, %z : bool[]\n  return %m\n}\n"
    "body @slope {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %s = arg index 5 : f32[8]\n"
    "  %a = index %s, %h : f32[]\n  %f = cast %k to f32 : f32[]\n  %p = mul %a, %f : f32[]\n"
    "  %y = add %x, %p : f32[]\n  return %y\n}\n";

/* every second mask leaves parts without a live key; the last has none at all, or differs from head to head */
static const char *const one_variants[] = {" mask @causal", " mask @window",         " mask @never",
                                           " mask @some",   " mask @some weights 1", ""};

/* keys: their number is the symbol S, or `keys`.  -> launches */
static int check_one(int key_heads, int d, int64_t keys, bool fixed, const char *elem, const char *variant) {
  char text[4096], count[16] = "S", slopes[64] = "", more[32] = "";
  const char *start = *variant ? ", %n" : "", *starts = *variant ? " start 1" : "";
  int64_t dims[] = {2, keys};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bkv = 4, target.one_part = 8;
  if (fixed) snprintf(count, sizeof count, "%lld", (long long)keys);
  if (strstr(variant, "@slope")) strcpy(slopes, "  %c = input name \"c\" : f32[8]\n"), strcpy(more, ", %c");
  snprintf(text, sizeof text,
           "dims { B: 1..4, S: 1..64 }\n%sgraph @g {\n%s"
           "  %%q = input name \"q\" : %s[B, 1, 8, %d]\n  %%k = input name \"k\" : %s[B, %s, %d, %d]\n"
           "  %%v = input name \"v\" : %s[B, %s, %d, 4]\n  %%n = input name \"start\" : i32[B]\n"
           "  %%y, %%l = attention %%q, %%k, %%v%s%s scale 0.4%s%s : %s[B, 1, 8, 4], f32[B, 8, 1]\n"
           "  output \"y\" = %%y\n  output \"l\" = %%l\n}\n",
           one_regions, slopes, elem, d, elem, count, key_heads, d, elem, count, key_heads, more, start, starts,
           variant, elem);
  return lowered_check_case(&(lowered_case){.text = text, .dims = dims, .target = &target, .exact_bytes = !*variant});
}

static void one_query(void **state) {
  (void)state;
  static const int64_t keys[] = {1, 7, 8, 9, 23};
  for (int heads = 1; heads <= 8; heads *= heads == 1 ? 2 : 4)
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
      for (size_t v = 0; v < sizeof one_variants / sizeof *one_variants; v++) {
        assert_int_equal(check_one(heads, 8, keys[i], false, "f32", one_variants[v]), 2);
        assert_int_equal(check_one(heads, 5, keys[i], true, "bf16", one_variants[v]), keys[i] > 8 ? 2 : 1);
      }
  assert_int_equal(check_one(2, 8, 23, false, "f32", " score @slope mask @causal"), 2);
}

/* ---- a ring of keys -------------------------------------------------------------------------------------------- */

/* Slot s holds the position `newest - (newest - s) mod 16`; forwards: `newest + s`, for the analysis only.
 * -> bytes read */
static int64_t check_ring(int64_t start, int queries, int keys, int window, bool forwards) {
  char text[4096];
  int64_t dims[] = {2};
  sn_target target = sn_target_cpu(SN_ISA_AVX2);
  target.bq = 4, target.bkv = 4, target.one_part = 8;
  sn_sample_domain at[] = {{.lo = (double)start, .hi = (double)start}};
  snprintf(
      text, sizeof text,
      "dims { B: 1..4 }\nbody @ring {\n%s"
      "  %%s = arg index 4 : i32[B]\n"
      "  %%a = index %%s, %%b : i32[]\n  %%c = const value %d : i32[]\n  %%n = add %%a, %%c : i32[]\n"
      "  %%g = %s %%n, %%k : i32[]\n  %%w = const value 16 : i32[]\n  %%r = mod %%g, %%w : i32[]\n"
      "  %%p = sub %%n, %%r : i32[]\n  %%d = sub %%q, %%p : i32[]\n  %%z = const value 0 : i32[]\n"
      "  %%l = const value %d : i32[]\n  %%e = le %%z, %%d : bool[]\n  %%f = lt %%d, %%l : bool[]\n"
      "  %%i = and %%e, %%f : bool[]\n  %%j = le %%z, %%p : bool[]\n  %%m = and %%i, %%j : bool[]\n"
      "  return %%m\n}\ngraph @g {\n"
      "  %%q = input name \"q\" : f32[B, %d, 4, 8]\n  %%k = input name \"k\" : f32[B, %d, 2, 8]\n"
      "  %%v = input name \"v\" : f32[B, %d, 2, 4]\n  %%n = input name \"a0\" : i32[B]\n"
      "  %%y, %%l = attention %%q, %%k, %%v, %%n, %%n scale 0.4 start 1 mask @ring : f32[B, %d, 4, 4], f32[B, 4, %d]\n"
      "  output \"y\" = %%y\n  output \"l\" = %%l\n}\n",
      SITE("0", "1", "2", "3"), queries - 1, forwards ? "add" : "sub", window, queries, keys, keys, queries, queries);
  lowered_case c = {.text = text, .dims = dims, .target = &target, .domain = at};
  lowered_result r = lowered_compile(&c);
  r.env.target = &r.target;
  lowered_execute(&r, &c);
  int64_t bytes = r.run.bytes_read;
  lowered_free(&r);
  return bytes;
}

static void ring_of_keys(void **state) {
  (void)state;
  static const int64_t far[] = {2147483640, 1073741820, -5};
  for (int i = 0; i < 3; i++) check_ring(far[i], 1, 16, 5, false), check_ring(far[i], 6, 13, 16, i);
  for (int64_t start = 0; start < 40; start += start < 20 ? 1 : 7)
    for (int window = 5; window <= 16; window += 11) {
      check_ring(start, 1, 16, window, false);
      check_ring(start, 3, 13, window, false);
      check_ring(start, 6, 16, window, true);
    }
}

/* keys that were not yet written are not read: of 16, blocks of 4 with two rows of 8 and of 4 */
static void empty_slots_are_not_read(void **state) {
  (void)state;
  int64_t block = 2 * 4 * 2 * (8 + 4) * 4, all = check_ring(50, 1, 16, 16, false);
  assert_int_equal(check_ring(0, 1, 16, 16, false), all - 3 * block);
  assert_int_equal(check_ring(7, 1, 16, 16, false), all - 2 * block);
  assert_int_equal(check_ring(8, 1, 16, 16, false), all - block);
  assert_int_equal(check_ring(15, 1, 16, 16, false), all);
  assert_int_equal(check_ring(2, 3, 16, 16, false), check_ring(50, 3, 16, 16, false) - 2 * block);
}

/* ---- sums by entry ----------------------------------------------------------------------------------------------- */

/* A region of slopes of the user's own gives numbers of no entry: nothing outside of the sums is touched. */
static void entries_that_do_not_exist(void **state) {
  (void)state;
  static const char text[] =
      "body @score {\n  %x = arg index 0 : f32[]\n  return %x\n}\n"
      "body @slopes {\n  %x = arg index 0 : f32[]\n" SITE("1", "2", "3", "4") "  %o = const value 1 : f32[]\n"
      "  %n = const value 90 : i32[]\n  %f = mul %q, %n : i32[]\n  %e = sub %f, %n : i32[]\n  return %o, %e\n}\n"
      "graph @g {\n  %q = input name \"q\" : f32[1, 16, 1, 4]\n  %l = input name \"l\" : f32[1, 1, 16]\n"
      "  %a, %b, %c, %d = attention_grad %q, %q, %q, %q, %l, %q scale 1 score @score slopes @slopes sums [3] entries [100]"
      " : f32[1, 16, 1, 4], f32[1, 16, 1, 4], f32[1, 16, 1, 4], f32[1, 1, 100]\n  output \"d\" = %d\n}\n";
  lowered_case c = {.text = text};
  lowered_result r = lowered_compile(&c);
  r.run = (sn_lower_run){.arena = r.arena, .diags = r.diags, .lowered = &r.lowered, .dims = r.dims, .check = true};
  if (sn_lower_run_begin(&r.run) || sn_lower_run_graph(&r.run, 0)) lowered_fail(&r, "the plan does not run");
  lowered_free(&r);
}

/* A difference of i64 made of products that may have wrapped says more than the difference of positions. */
static void wrapped_products_are_no_differences(void **state) {
  (void)state;
  static const char *const type[2] = {"i32", "i64"}, *const sums[2] = {"sums [2]", "sums [3]"};
  for (int i = 0; i < 2; i++) {
    char text[2048];
    snprintf(text, sizeof text,
             "body @score {\n  %%x = arg index 0 : f32[]\n%s  %%t = arg index 5 : f32[10]\n"
             "  %%c = const value 65535 : i32[]\n  %%m = mul %%q, %%c : i32[]\n  %%n = mul %%k, %%c : i32[]\n"
             "  %%a = cast %%m to %s : %s[]\n  %%d = cast %%n to %s : %s[]\n  %%e = sub %%a, %%d : %s[]\n"
             "  %%o = const value 10 : %s[]\n  %%r = mod %%e, %%o : %s[]\n  %%i = cast %%r to i32 : i32[]\n"
             "  %%v = index %%t, %%i : f32[]\n  %%y = add %%x, %%v : f32[]\n  return %%y\n}\n"
             "graph @g {\n  %%q = input name \"q\" : f32[1, 8, 1, 4]\n  %%t = input name \"t\" : f32[10]\n"
             "  %%y, %%l = attention %%q, %%q, %%q, %%t scale 1 score @score : f32[1, 8, 1, 4], f32[1, 1, 8]\n"
             "  %%z = mul %%y, %%y : f32[1, 8, 1, 4]\n  %%s = sum %%z axes [0, 1, 2, 3] : f32[]\n"
             "  %%g = grad %%s, %%t : f32[10]\n  output \"g\" = %%g\n}\n",
             SITE("1", "2", "3", "4"), type[i], type[i], type[i], type[i], type[i], type[i], type[i]);
    lowered_case c = {.text = text};
    lowered_result r = lowered_compile(&c);
    sn_text t = sn_text_begin(r.arena);
    sn_module_print(&t, r.module, (sn_print_opt){0});
    if (!strstr(t.at, sums[i])) lowered_fail(&r, sums[i]);
    lowered_free(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrapped_products_are_no_differences),
      cmocka_unit_test(entries_that_do_not_exist),
      cmocka_unit_test(views_of_a_product),
      cmocka_unit_test(shared_heads),
      cmocka_unit_test(keys_in_rising_order),
      cmocka_unit_test(scratch_bounds_the_length),
      cmocka_unit_test(heads_for_all_threads),
      cmocka_unit_test(both_results),
      cmocka_unit_test(scores_as_weights),
      cmocka_unit_test(one_query),
      cmocka_unit_test(ring_of_keys),
      cmocka_unit_test(empty_slots_are_not_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
