/* Recurrences: steps as in the papers, against the same steps unrolled by hand: values, last states, gradients, second
 * derivatives; directions; states that only pass through. */
#include "support.h"

#include <math.h>

#include "tests/recurrent.h"

SN_SETTINGS(opts, (int, width, 3, "features"));

enum { B = 2, T = 4, H = 2, K = 3, V = 2, MOST = 32 };

/* ---- unrolled ---------------------------------------------------------------------------------------------------- */

static sn_t stacked(int count, const sn_arg *at) { return sn_concat_at(SN_HERE("stacked()"), 0, (sn_list){count, at}); }
static sn_t as_row(sn_t x) {
  return sn_rank(x) == 0   ? sn_rearrange(x, "->1")
         : sn_rank(x) == 1 ? sn_rearrange(x, "a->1a")
                           : sn_rearrange(x, "ab->1ab");
}

typedef struct {
  int states, inputs, heads; /* heads 0: axes "bt" */
  bool reverse;
} shape;

/* One element of one tensor. */
static sn_t element(sn_t x, const shape *s, int b, int h) { return s->heads ? sn_at(sn_at(x, b), h) : sn_at(x, b); }

/* Rows: (b, h, t) of outputs, (b, h) of every state. */
static sn_t unroll(sn_t (*step)(sn_t[], const sn_t[], const void *), const shape *s, sn_t *state, const sn_t *x,
                   const void *opt) {
  sn_arg y[MOST], last[4][MOST];
  int ys = 0, lasts = 0;
  for (int b = 0; b < B; b++)
    for (int h = 0; h < (s->heads ? s->heads : 1); h++) {
      sn_t now[4], in[8], row[T];
      for (int i = 0; i < s->states; i++) now[i] = element(state[i], s, b, h);
      for (int k = 0; k < T; k++) {
        int t = s->reverse ? T - 1 - k : k;
        for (int i = 0; i < s->inputs; i++) {
          in[i] = sn_at(sn_at(x[i], b), t);
          if (s->heads) in[i] = sn_at(in[i], h);
        }
        row[t] = step(now, in, opt);
      }
      for (int t = 0; t < T; t++) y[ys++].v = as_row(row[t]);
      for (int i = 0; i < s->states; i++) last[i][lasts].v = as_row(now[i]);
      lasts++;
    }
  for (int i = 0; i < s->states; i++) state[i] = stacked(lasts, last[i]);
  return stacked(ys, y);
}

/* ---- graphs: both ways, with gradients --------------------------------------------------------------------------- */

static sn_t energy(sn_t x) {
  static const char *const spec[] = {"->", "a->", "ab->", "abc->", "abcd->", "abcde->"};
  sn_t y = sn_mul(x, sn_add(.5, sn_mul(x, sn_tanh(x))));
  return sn_rank(x) ? sn_sum(y, spec[sn_rank(x)]) : y;
}

static void grad_of(sn_t loss, int count, const sn_t *by, sn_t *out) {
  sn_t *refs[9] = {0};
  sn_arg list[8];
  for (int i = 0; i < count; i++) {
    list[i].v = by[i];
    refs[i] = &out[i];
  }
  sn_grad_at(SN_HERE("grad_of()"), loss, (sn_list){count, list}, refs);
}

/* Outputs a.* of the scan and b.* of the unrolled graph. */
static void outputs(sn_scope m, const char *prefix, sn_t y, int states, const sn_t *state, int count, const sn_t *by) {
  char name[32];
  sn_t loss = energy(y), g[8], gg[8];
  for (int i = 0; i < states; i++) {
    snprintf(name, sizeof name, "%s.s%d", prefix, i);
    sn_output(m, name, state[i]);
    if (i < 2) loss = sn_add(loss, sn_mul(i + 2, energy(state[i])));
  }
  snprintf(name, sizeof name, "%s.y", prefix);
  sn_output(m, name, y);
  grad_of(loss, count, by, g);
  sn_t second = energy(g[0]);
  for (int i = 1; i < count; i++) second = sn_add(second, energy(g[i]));
  grad_of(second, count, by, gg);
  for (int i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%s.g%d", prefix, i);
    sn_output(m, name, g[i]);
    snprintf(name, sizeof name, "%s.gg%d", prefix, i);
    sn_output(m, name, gg[i]);
  }
}

static void heads(sn_scope m, sn_t (*step)(sn_t[], const sn_t[], const void *), bool reverse, bool rule) {
  sn_t q = sn_input(m, "q", SN_REAL, (B, T, H, K)), k = sn_input(m, "k", SN_REAL, (B, T, H, K));
  sn_t v = sn_input(m, "v", SN_REAL, (B, T, H, V)), a, b = sn_input(m, "b", SN_REAL, (B, T, H));
  a = rule ? sn_input(m, "a", SN_REAL, (B, T, H)) : sn_input(m, "w", SN_REAL, (B, T, H, K));
  sn_t first = rule ? sn_input(m, "s", SN_REAL, (B, H, V, K)) : sn_input(m, "s", SN_REAL, (B, H, K, V));
  const sn_t by[6] = {first, q, k, v, a, b};
  sn_t s = first, y;
  if (rule)
    y = reverse ? sn_scan(step, "bth", (&s), (q, k, v, a, b), .reverse = true)
                : sn_scan(step, "bth", (&s), (q, k, v, a, b));
  else
    y = reverse ? sn_scan(step, "bth", (&s), (q, k, v, a), .reverse = true) : sn_scan(step, "bth", (&s), (q, k, v, a));
  outputs(m, "a", y, 1, &s, 5 + rule, by);
  s = first;
  y = unroll(step, &(shape){1, 4 + rule, H, reverse}, &s, by + 1, NULL);
  outputs(m, "b", y, 1, &s, 5 + rule, by);
}

static void gla_heads(sn_scope m, const opts *c) { (void)c, heads(m, gla, false, false); }
static void gla_back(sn_scope m, const opts *c) { (void)c, heads(m, gla, true, false); }
static void delta_heads(sn_scope m, const opts *c) { (void)c, heads(m, delta, false, true); }

static void cells(sn_scope m, const opts *c, bool gated) {
  int d = c->width;
  sn_t x = sn_input(m, "x", SN_REAL, (B, T, d)), h0 = sn_input(m, "h", SN_REAL, (B, d)),
       c0 = sn_input(m, "c", SN_REAL, (B, d));
  weights p = {
      gated ? sn_param(m, "gru", (3, d, 2 * d), .init = sn_normal(.5))
            : sn_param(m, "lstm", (2 * d, 4 * d), .init = sn_normal(.5)),
      gated ? sn_param(m, "bias", (d), .init = sn_normal(.5)) : sn_param(m, "bias4", (4 * d), .init = sn_normal(.5))};
  const sn_t by[5] = {x, p.w, p.b, h0, c0};
  sn_t s[2] = {h0, c0}, y;
  y = gated ? sn_scan(gru, "bt", (&s[0]), (x), .opt = &p) : sn_scan(lstm, "bt", (&s[0], &s[1]), (x), .opt = &p);
  outputs(m, "a", y, 2 - gated, s, 5 - gated, by);
  s[0] = h0, s[1] = c0;
  y = unroll(gated ? gru : lstm, &(shape){2 - gated, 1, 0, false}, s, &x, &p);
  outputs(m, "b", y, 2 - gated, s, 5 - gated, by);
}
static void lstm_cell(sn_scope m, const opts *c) { cells(m, c, false); }
static void gru_cell(sn_scope m, const opts *c) { cells(m, c, true); }

static void swaps(sn_scope m, const opts *c) {
  sn_t x = sn_input(m, "x", SN_REAL, (B, T, c->width)),
       first[2] = {sn_input(m, "h", SN_REAL, (B, c->width)), sn_input(m, "c", SN_REAL, (B, c->width))};
  sn_t n = sn_zeros(m, SN_I32, (B));
  const sn_t by[3] = {x, first[0], first[1]};
  sn_t s[3] = {first[0], first[1], n};
  sn_t y = sn_scan(swap, "bt", (&s[0], &s[1], &s[2]), (x));
  outputs(m, "a", y, 3, s, 3, by);
  s[0] = first[0], s[1] = first[1], s[2] = n;
  y = unroll(swap, &(shape){3, 1, 0, false}, s, &x, NULL);
  outputs(m, "b", y, 3, s, 3, by);
}

SN_MODEL(recurrent, opts, gla_heads, gla_back, delta_heads, lstm_cell, gru_cell, swaps);

/* ---- comparison
 * ------------------------------------------------------------------------------------------------------ */

/* Where element i of what the scan gives lies in the unrolled rows: the axes b, t, h become b, h, t. */
static int64_t place(const sn_tensor *t, int64_t i, bool is_output, bool has_heads) {
  if (!is_output || !has_heads) return i;
  int64_t inner = t->count / (B * T * H), row = i / inner;
  int64_t b = row / (T * H), k = row / H % T, h = row % H;
  return ((b * H + h) * T + k) * inner + i % inner;
}

static void compare(const char *graph, int states, int by, bool has_heads) {
  char name[2][32];
  bench *b = bench_begin(&sn_model_recurrent, graph, NULL, SN_ELEM_F64);
  bench_run_with(b, graph, true);
  for (int i = 0; i < 1 + states + 2 * by; i++) {
    int k = i - 1 - states;
    for (int w = 0; w < 2; w++) {
      if (i == 0)
        snprintf(name[w], sizeof name[w], "%c.y", 'a' + w);
      else if (k < 0)
        snprintf(name[w], sizeof name[w], "%c.s%d", 'a' + w, i - 1);
      else
        snprintf(name[w], sizeof name[w], "%c.g%s%d", 'a' + w, k < by ? "" : "g", k % by);
    }
    const sn_tensor *x = bench_output(b, name[0]), *y = bench_output(b, name[1]);
    double largest = 0;
    assert_int_equal(x->count, y->count);
    for (int64_t e = 0; e < x->count; e++) {
      int64_t at = place(x, e, i == 0, has_heads);
      double want = y->value[at], bound = x->bound[e] + y->bound[at];
      if (!(fabs(x->value[e] - want) <= bound && isfinite(bound)))
        fail_msg("%s %s[%d]: %.15g, unrolled %.15g, bounds %.3g", graph, name[0], (int)e, x->value[e], want, bound);
      largest = fmax(largest, fabs(want));
    }
    if (largest == 0) fail_msg("%s %s is zero", graph, name[0]);
  }
  bench_end(b);
}

static void test_gla(void **state) { (void)state, compare("gla_heads", 1, 5, true); }
static void test_gla_back(void **state) { (void)state, compare("gla_back", 1, 5, true); }
static void test_delta(void **state) { (void)state, compare("delta_heads", 1, 6, true); }
static void test_lstm(void **state) { (void)state, compare("lstm_cell", 2, 5, false); }
static void test_gru(void **state) { (void)state, compare("gru_cell", 1, 4, false); }
static void test_swap(void **state) { (void)state, compare("swaps", 3, 3, false); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gla),  cmocka_unit_test(test_gla_back), cmocka_unit_test(test_delta),
      cmocka_unit_test(test_lstm), cmocka_unit_test(test_gru),      cmocka_unit_test(test_swap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
