/* Random tile programs: seed -> kernel, arguments, expected outputs. The interpreter runs each instance twice, exact
 * and rounded to f32: their difference gives the tolerance; instances whose decisions differ or are close are left out.
 */
#include "ir/ref/krandom.h"

#include <math.h>
#include <string.h>

#include "ir/ref/kinterp_impl.h"
#include "ir/ref/krandom_impl.h"

/* ---- arguments ---- */

static void *aligned(sn_arena *arena, size_t bytes) {
  char *p = sn_arena_alloc(arena, bytes + 64);
  return p + (64 - (uintptr_t)p % 64) % 64;
}

static sn_kcell random_cell(sn_kgen *g, const sn_krbuffer *b) { /* table */
  switch (b->elem) {
    case SN_ELEM_I32: return (sn_kcell){.i = b->below ? sn_kr_below(g, b->below) : (int32_t)sn_rng_u32(&g->rng)};
    case SN_ELEM_I64: return (sn_kcell){.i = sn_kr_below(g, 2001) - 1000};
    case SN_ELEM_I8: return (sn_kcell){.i = sn_kr_below(g, 201) - 100};
    case SN_ELEM_U8: return (sn_kcell){.i = sn_kr_below(g, 256)};
    case SN_ELEM_BOOL: return (sn_kcell){.i = sn_kr_below(g, 2)};
    default:
      return (sn_kcell){.f = b->quantised ? 0.25 * (double)(sn_kr_below(g, 17) - 8) : 4 * sn_rng_f64(&g->rng) - 2};
  }
}

static void make_args(sn_arena *arena, sn_kgen *g, const sn_kernel *k, sn_krandom_case *c) {
  c->arg_count = k->param_count;
  for (int j = 0; j < k->param_count; j++) {
    const sn_krbuffer *b = &g->buffer[j];
    if (k->param[j].role == SN_K_SIZE) {
      c->args[j].i = g->size[j].lo;
      continue;
    }
    size_t bytes = (size_t)b->need * sn_elem_bytes(b->elem);
    c->elements[j] = b->need;
    c->args[j].p = aligned(arena, bytes);
    memset(c->args[j].p, 0xff, bytes);
    for (int64_t i = 0; i < b->need && b->role != SN_K_OUT; i++)
      sn_kcell_set(c->args[j].p, b->elem, i, random_cell(g, b));
  }
}

void sn_krandom_args(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, sn_karg *args) {
  for (int j = 0; j < k->param_count; j++) {
    args[j] = c->args[j];
    if (k->param[j].role == SN_K_SIZE) continue;
    size_t bytes = (size_t)c->elements[j] * sn_elem_bytes(k->param[j].elem);
    args[j].p = aligned(arena, bytes);
    memcpy(args[j].p, c->args[j].p, bytes);
  }
}

/* ---- expected outputs ---- */

/* One way of running all instances, one by one. */
typedef struct trial {
  sn_karg args[SN_K_PARAMS];
  int64_t *writer[SN_K_PARAMS];
  uint64_t *trace;
  bool *fragile;
} trial;

static sn_code run_trial(sn_arena *arena, sn_diags *diags, const sn_kernel *k, const sn_krandom_case *c, bool round,
                         trial *t) {
  sn_krandom_args(arena, k, c, t->args);
  for (int j = 0; j < k->param_count; j++)
    if (k->param[j].role == SN_K_OUT || k->param[j].role == SN_K_INOUT)
      t->writer[j] = SN_ARRAY(arena, c->elements[j], int64_t);
  t->trace = SN_ARRAY(arena, c->instances, uint64_t);
  t->fragile = SN_ARRAY(arena, c->instances, bool);
  for (int64_t i = 0; i < c->instances; i++) {
    sn_kinterp in = {.diags = diags,
                     .args = t->args,
                     .elements = c->elements,
                     .round = round,
                     .check = true,
                     .lo = i,
                     .hi = i + 1,
                     .writer = t->writer,
                     .watch = true};
    SN_TRY(sn_kinterp_run(&in, k));
    t->trace[i] = in.trace;
    t->fragile[i] = in.fragile > 0;
  }
  return SN_OK;
}

/* Relative distance of neighbours in a narrow type. */
static double narrow_unit(sn_elem e) { return sn_elem_is_narrow(e) ? 2 * sn_elem_roundoff(e) : 0; }

static double as_double(const void *data, sn_elem e, int64_t i) {
  sn_kcell c = sn_kcell_get(data, e, i);
  return sn_elem_is_float(e) ? c.f : (double)c.i;
}

static void expect_element(const trial *exact, const trial *rounded, const bool *excluded, sn_elem e,
                           sn_krandom_case *c, int j, int64_t i) {
  int64_t writer = exact->writer[j][i];
  double x = as_double(exact->args[j].p, e, i), y = as_double(rounded->args[j].p, e, i);
  double tolerance = 32 * fabs(x - y) + (1e-5 + narrow_unit(e)) * (1 + fabs(x));
  c->expected[j][i] = x;
  if (!writer)
    c->tolerance[j][i] = -1;
  else if (excluded[writer - 1] || !isfinite(x) || !isfinite(y))
    c->tolerance[j][i] = -2;
  else
    c->tolerance[j][i] = sn_elem_is_float(e) ? tolerance : 0;
}

static sn_code expect(sn_arena *arena, sn_diags *diags, const sn_kernel *k, sn_krandom_case *c) {
  trial exact = {0}, rounded = {0};
  c->instances = sn_kernel_instances(k, c->args);
  SN_TRY(run_trial(arena, diags, k, c, false, &exact));
  SN_TRY(run_trial(arena, diags, k, c, true, &rounded));
  bool *excluded = SN_ARRAY(arena, c->instances, bool);
  for (int64_t i = 0; i < c->instances; i++) {
    excluded[i] = exact.trace[i] != rounded.trace[i] || exact.fragile[i] || rounded.fragile[i];
    c->excluded += excluded[i];
  }
  for (int j = 0; j < k->param_count; j++) {
    if (!exact.writer[j]) continue;
    c->expected[j] = SN_ARRAY(arena, c->elements[j], double);
    c->tolerance[j] = SN_ARRAY(arena, c->elements[j], double);
    for (int64_t i = 0; i < c->elements[j]; i++) expect_element(&exact, &rounded, excluded, k->param[j].elem, c, j, i);
  }
  sn_karg whole[SN_K_PARAMS];
  sn_krandom_args(arena, k, c, whole);
  sn_kinterp in = {.diags = diags, .args = whole, .elements = c->elements, .check = true, .hi = -1};
  SN_TRY(sn_kinterp_run(&in, k)); /* all instances at once: finds races */
  c->bytes_read = in.bytes_read;
  c->bytes_written = in.bytes_written;
  return SN_OK;
}

/* ---- public ---- */

sn_kernel *sn_krandom(sn_arena *arena, uint64_t seed, sn_krandom_case *out) {
  sn_kgen *g = SN_NEW(arena, sn_kgen);
  sn_diags *diags = sn_diags_scratch();
  g->rng = (sn_rng){.seed = seed, .stream = 77};
  g->avoid = out->avoid;
  g->k = sn_kernel_create(arena, "random");
  sn_kr_program(g);
  sn_code code = sn_kernel_verify(g->k, diags);
  sn_kernel *k = g->k;
  if (!code) {
    k = sn_kernel_finish(arena, g->k);
    make_args(arena, g, k, out);
    code = sn_kernel_verify(k, diags);
  }
  if (!code) code = expect(arena, diags, k, out);
  if (code) out->error = sn_diags_print(diags, arena);
  sn_diags_destroy(diags);
  return k;
}

static bool check_element(const sn_krandom_case *c, sn_elem e, const void *got, int j, int64_t i) {
  double t = c->tolerance[j][i], x = c->expected[j][i];
  size_t bytes = sn_elem_bytes(e);
  if (t == -2) return true;
  if (t == -1)
    return !memcmp((const char *)got + (size_t)i * bytes, (const char *)c->args[j].p + (size_t)i * bytes, bytes);
  return fabs(as_double(got, e, i) - x) <= t;
}

bool sn_krandom_check(sn_arena *arena, const sn_kernel *k, const sn_krandom_case *c, const sn_karg *got,
                      const char **why) {
  for (int j = 0; j < k->param_count; j++) {
    sn_elem e = k->param[j].elem;
    for (int64_t i = 0; c->expected[j] && i < c->elements[j]; i++) {
      if (check_element(c, e, got[j].p, j, i)) continue;
      *why = sn_arena_printf(arena, "%s[%lld] is %.9g, expected %.9g within %.3g%s", k->param[j].name, (long long)i,
                             as_double(got[j].p, e, i), c->expected[j][i], c->tolerance[j][i],
                             c->tolerance[j][i] == -1 ? " (untouched)" : "");
      return false;
    }
  }
  return true;
}
