/* Every variant of models/attention by score and mask against caches of keys and values, contiguous, as a ring and in
 * pages: row by row and in uneven pieces, what the caches give is what the variant gives at once of the same rows; and
 * kernels of both targets against the interpreter. */
#include "tests/frontend/support.h" /* before sinter.h: see there */

#include "tests/compile/harness.h"
#include "tests/compile/harness_attention.h"

#include <math.h>

enum { BATCH = 2, CONTEXT = 8, PAGE = 2, PAGES = 11, ROWS = 19 };

typedef struct kind {
  const char *one, *many; /* graphs */
  int rows;               /* that are decoded */
  bool ring;
} kind;
static const kind kinds[] = {{"decode", "prefill", CONTEXT, false},
                             {"decode_ring", "prefill_ring", ROWS, true},
                             {"decode_paged", "prefill_paged", CONTEXT, false}};

static const int pieces[] = {1, 1, 3, 1, 2, 1, 5, 4, 1};

static bool decodes(const attention_variant *v) {
  for (const sn_graph *g = v->model->graphs; g->name; g++)
    if (!strcmp(g->name, "decode")) return !strstr(v->set, "separate");
  return false;
}

/* Is nothing of it bound to the beginning of the sequence, which a ring forgets? */
static bool is_relative(const attention_variant *v) {
  static const char *const bound[] = {"fixed", "bigbird", "longformer", "sinks", "prefix", "ssmax", "fire"};
  for (int i = 0; i < (int)(sizeof bound / sizeof *bound); i++)
    if (!strcmp(v->model->name, bound[i])) return false;
  return true;
}

/* ---- gradients through caches ------------------------------------------------------------------------------------ */

SN_SETTINGS(caches, (int, page, 16, "positions of a page"));

static void through(sn_scope m, const caches *c, bool paged) {
  sn_dim B = sn_dim_of(BATCH), T = sn_dim_of(5);
  sn_t start = sn_input(m, "start", SN_I32, (B));
  sn_scope s = sn_with(m, .cache = 64, .start = start);
  sn_t table = {0}, q = sn_input(m, "q", SN_REAL, (B, T, 2, 8)), k = sn_input(m, "k", SN_REAL, (B, T, 1, 8)), dq, dk;
  if (paged) { /* none twice */
    sn_t nth = sn_add(sn_mul(sn_rearrange(sn_arange(m, B), "b->b1"), 64 / c->page), sn_arange(m, 64 / c->page));
    table = sn_mod(sn_add(sn_mul(nth, 5), 3), BATCH * 64 / c->page);
  }
  sn_t rows = sn_cache(s, paged ? "pages" : "rows", k, .table = table, .pool = paged ? BATCH * 64 / c->page : 0);
  sn_t y = sn_attention(q, rows, rows, .mask = sn_causal);
  sn_grad(sn_sum(sn_square(y), "bthd->"), (q, k), (&dq, &dk));
  sn_output(m, "y", y);
  sn_output(m, "dq", dq);
  sn_output(m, "dk", dk);
}
static void in_rows(sn_scope m, const caches *c) { through(m, c, false); }
static void in_pages(sn_scope m, const caches *c) { through(m, c, true); }
SN_MODEL(caches, caches, in_rows, in_pages);

/* Gradients go through what is gathered; of empty caches both are the same. */
static void pages_have_gradients(void **state) {
  (void)state;
  static const char *const outputs[3] = {"y", "dq", "dk"};
  bench *b = bench_begin(&sn_model_caches, "in_rows|in_pages", "", SN_ELEM_F64);
  const sn_tensor *want[3];
  GIVE(b, "start", 30, 14);
  bench_run_with(b, "in_rows", true);
  for (int i = 0; i < 3; i++) want[i] = bench_output(b, outputs[i]);
  bench_run_with(b, "in_pages", true);
  for (int i = 0; i < 3; i++) {
    const sn_tensor *found = bench_output(b, outputs[i]);
    for (int64_t n = 0; n < found->count; n++)
      if (!(fabs(found->value[n] - want[i]->value[n]) <= found->bound[n] + want[i]->bound[n]))
        fail_msg("%s[%d] is %.15g, not %.15g", outputs[i], (int)n, found->value[n], want[i]->value[n]);
  }
  bench_end(b);
}

/* ---- by the interpreter -------------------------------------------------------------------------------------- */

typedef struct decoding {
  bench *b;
  int count;
  const char *name[32]; /* what the graph `forward` is given, of ROWS rows where it has rows */
  const sn_type *type[32];
  const sn_tensor *whole[32];
  bool has_rows[32];
} decoding;

static void draw_all(decoding *d, uint64_t seed) {
  const sn_func *f = sn_module_find(d->b->module, "forward");
  const sn_dimx *T = sn_dimx_find_symbol(d->b->module->types, "T");
  sn_rng r = {.seed = seed};
  bench_dim(d->b, "B", BATCH);
  bench_dim(d->b, "T", ROWS);
  for (int i = 0; i < f->node_count; i++) {
    const char *name = sn_leaf_name(f->node[i]);
    const sn_type *t = f->node[i]->type[0];
    if (!name || !strcmp(name, "seed") || !strcmp(name, "step")) continue;
    sn_tensor *x = bench_tensor(d->b, t);
    for (int64_t k = 0; k < x->count; k++) {
      double v = sn_rng_normal(&r);
      if (!strcmp(name, "r1") || !strcmp(name, "r2")) v = .2 + fabs(v); /* of kerple: positive */
      bench_set(x, k, sn_elem_is_float(t->elem) ? v : (double)sn_rng_below(&r, CONTEXT));
    }
    d->name[d->count] = name, d->type[d->count] = t, d->whole[d->count] = x,
    d->has_rows[d->count++] = t->rank > 1 && t->dim[1] == T;
  }
}

/* Rows [from, to) of all that has rows. */
static void give(decoding *d, int from, int to) {
  bench_dim(d->b, "T", to - from);
  bench_dim(d->b, "N", to - from);
  for (int i = 0; i < d->count; i++) {
    const sn_tensor *w = d->whole[i];
    if (!d->has_rows[i]) {
      bench_bind(d->b, d->name[i], w);
      continue;
    }
    sn_tensor *x = bench_tensor(d->b, d->type[i]);
    int64_t size = w->count / BATCH / ROWS;
    for (int b = 0; b < BATCH; b++)
      for (int64_t k = 0; k < (to - from) * size; k++)
        bench_set(x, b * (to - from) * size + k, w->value[(b * ROWS + from) * size + k]);
    bench_bind(d->b, d->name[i], x);
  }
}

/* Pages of both sequences in no order; the length of what is seen, for those that ask. */
static void give_places(decoding *d, int start, int length) {
  double starts[BATCH], table[BATCH * CONTEXT / PAGE], n = length;
  for (int b = 0; b < BATCH; b++) starts[b] = start;
  for (int i = 0; i < BATCH * CONTEXT / PAGE; i++) table[i] = (7 * i + 3) % PAGES;
  bench_give(d->b, "start", BATCH, starts);
  if (bench_leaf(d->b, "table")) bench_give(d->b, "table", BATCH * CONTEXT / PAGE, table);
  const sn_node *leaf = bench_leaf(d->b, "length");
  if (leaf && !leaf->type[0]->rank) bench_give(d->b, "length", 1, &n);
}

/* Rows of y [B, rows, ..] from `first` on are y of the piece. */
static void same_rows(const attention_variant *v, const char *graph, int start, const sn_tensor *want, int64_t rows,
                      int64_t first, const sn_tensor *found) {
  int64_t size = want->count / BATCH / rows, count = found->count / BATCH;
  for (int64_t i = 0; i < found->count; i++) {
    int64_t k = i / count * rows * size + first * size + i % count;
    double error = want->bound[k] + found->bound[i];
    if (!(fabs(want->value[k] - found->value[i]) <= error))
      fail_msg("%s %s, %s from %d: y[%d] is %.15g, not %.15g within %g", v->model->name, v->set, graph, start, (int)i,
               found->value[i], want->value[k], error);
  }
}

/* BigBird draws by the number of blocks. */
static bool is_comparable(const attention_variant *v, int end) {
  return strcmp(v->model->name, "bigbird") != 0 || end == CONTEXT;
}

/* all: what has left the ring is not seen anyway; then rows come one by one, lest one sees what another overwrites. */
static void check_pieces(const attention_variant *v, const kind *k, const char *set, bool all, uint64_t seed) {
  sn_arena *arena = sn_arena_create();
  const char *graphs = sn_arena_printf(arena, "forward|%s|%s", k->one, k->many);
  decoding d = {.b = bench_begin(v->model, graphs, set, SN_ELEM_F64)};
  draw_all(&d, seed);
  int rows = k->ring && !is_relative(v) ? CONTEXT : k->rows;
  for (int start = 0, i = 0; start < rows; i++) {
    int count = all ? 1 : pieces[i] < rows - start ? pieces[i] : rows - start, end = start + count;
    int from = k->ring && end > CONTEXT && !all ? end - CONTEXT : 0;
    give(&d, from, end);
    bench_run_with(d.b, "forward", true);
    const sn_tensor *want = bench_output(d.b, "y");
    give(&d, start, end);
    give_places(&d, start, end - from);
    bench_run_with(d.b, count == 1 ? k->one : k->many, true);
    if (is_comparable(v, end))
      same_rows(v, d.b->func->name, start, want, end - from, start - from, bench_output(d.b, "y"));
    start = end;
  }
  bench_end(d.b);
  sn_arena_destroy(arena);
}

/* Few heads of few components; of xl, what a cache holds is what `memory` rows would be. */
static const char *settings(const attention_variant *v, int context, int page, int pages, sn_arena *arena) {
  const char *heads = v->flags & LATENT   ? "heads=2"
                      : v->flags & ONE_KV ? "heads=2 head=4"
                                          : "heads=4 kv_heads=2 head=4";
  return sn_arena_printf(arena, "%s context=%d page=%d pages=%d %s%s", heads, context, page, pages, v->set,
                         strcmp(v->model->name, "xl") ? "" : " memory=0");
}

static void pieces_give_what_all_rows_give(void **state) {
  sn_arena *arena = sn_arena_create();
  (void)state;
  for (int i = 0; i < attention_variant_count; i += CHECK_SAMPLE)
    for (int k = 0; k < 3 && decodes(&attention_variants[i]); k++)
      check_pieces(&attention_variants[i], &kinds[k], settings(&attention_variants[i], CONTEXT, PAGE, PAGES, arena),
                   false, 7 + (uint64_t)i);
  sn_arena_destroy(arena);
}

/* A ring as long as the window forgets nothing that is seen; scores look at positions. */
static void rings_of_a_window_forget_nothing(void **state) {
  sn_arena *arena = sn_arena_create();
  (void)state;
  for (int i = 0; i < attention_variant_count; i++) {
    attention_variant v = attention_variants[i];
    bool dilated = !strcmp(v.model->name, "dilated");
    if (!dilated && (strcmp(v.model->name, "window") != 0 || strstr(v.set, "both"))) continue;
    v.set = dilated ? "window=4 step=2" : "window=8";
    check_pieces(&v, &kinds[1], settings(&v, CONTEXT, PAGE, PAGES, arena), true, 3);
  }
  sn_arena_destroy(arena);
}

/* ---- by kernels ---------------------------------------------------------------------------------------------- */

static void check_kernels_of(const attention_variant *v, const char *settings, const char *graph, uint64_t seed,
                             const char *target, const char *precision) {
  sn_arena *arena = sn_arena_create();
  sn_diags *diags = sn_diags_create();
  const char *set[32];
  sn_model_opt opt = {.set = set, .graphs = graph, .real = SN_ELEM_F32};
  char *text = sn_arena_strdup(arena, settings), *rest = NULL;
  for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) set[opt.set_count++] = w;
  sn_module *m;
  sn_code code = sn_model_build(v->model, &opt, arena, diags, &m);
  if (code) fail_msg("%s %s: %s", v->model->name, v->set, sn_diags_print(diags, arena));
  int64_t dims[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  attention_dims(m->types, &(oracle){.set = v->set, .B = BATCH}, dims);
  const sn_dimx *N = sn_dimx_find_symbol(m->types, "N");
  if (N) dims[sn_dimx_symbol_index(N)] = 5;
  check_opt c = {.compile = {.target = target, .precision = precision},
                 .graph = graph,
                 .dims = dims,
                 .seed = seed,
                 .int_limit = strstr(settings, "context=40") ? 35 : 55,
                 .keep_store = true,
                 .threads = 2};
  check_result r;
  code = check_graph(m, &c, arena, diags, &r);
  if (code) fail_msg("%s %s %s %s: %s", v->model->name, v->set, graph, target, sn_diags_print(diags, arena));
  if (r.mismatched) fail_msg("%s %s %s %s: %s", v->model->name, v->set, graph, target, r.first);
  if (r.excluded * 5 > r.total)
    fail_msg("%s %s %s: nothing is known of %d of %d", v->model->name, v->set, graph, (int)r.excluded, (int)r.total);
  sn_diags_destroy(diags);
  sn_arena_destroy(arena);
}

static void check_kernels(const attention_variant *v, const char *graph, uint64_t seed, const char *target) {
  sn_arena *arena = sn_arena_create();
  check_kernels_of(v, settings(v, 64, 16, 64, arena), graph, seed, target, NULL);
  sn_arena_destroy(arena);
}

/* Pages of any size, also those whose rows are gathered; pages in bf16; gradients. */
static void pages_of_other_kinds(void **state) {
  (void)state;
  static const char *const sizes[3] = {"heads=2 head=8 context=60 page=12 pages=64",
                                       "heads=3 head=24 context=384 page=128 pages=64",
                                       "heads=2 head=8 context=40 page=8 pages=64"};
  const attention_variant causal = attention_variants[0], gradients = {.model = &sn_model_caches, .set = ""};
  const char *targets[2] = {SN_HAVE_LLVM ? "cpu" : "template", check_has_vulkan() ? "vulkan" : NULL};
  for (int t = 0; t < 2 && targets[t]; t++) {
    check_kernels_of(&causal, sizes[t], "decode_paged", 1, targets[t], NULL);
    check_kernels_of(&causal, sizes[1 - t], "prefill_paged", 2, targets[t], NULL);
    check_kernels_of(&causal, sizes[2], t ? "decode_paged" : "prefill_paged", 3, targets[t], "bf16");
    check_kernels_of(&gradients, "page=16", "in_pages", 4, targets[t], NULL);
  }
}

/* Each variant by one graph of one row and one of several, of different caches. */
static void on_the_cpu(void **state) {
  (void)state;
  for (int i = 0; i < attention_variant_count; i += CHECK_SAMPLE) {
    const attention_variant *v = &attention_variants[i];
    if (!decodes(v)) continue;
    check_kernels(v, kinds[i % 3].one, (uint64_t)i, SN_HAVE_LLVM ? "cpu" : "template");
    check_kernels(v, kinds[(i + 1) % 3].many, (uint64_t)i, SN_HAVE_LLVM ? "cpu" : "template");
  }
}

/* Some: drivers take their time to compile. */
static void on_vulkan(void **state) {
  (void)state;
  if (!check_has_vulkan()) skip();
  for (int i = 0; i < attention_variant_count; i += 3 * CHECK_SAMPLE) {
    const attention_variant *v = &attention_variants[i];
    if (!decodes(v)) continue;
    check_kernels(v, kinds[(i / 3 + 2) % 3].one, (uint64_t)i, "vulkan");
    check_kernels(v, kinds[i / 3 % 3].many, (uint64_t)i, "vulkan");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pieces_give_what_all_rows_give),
      cmocka_unit_test(rings_of_a_window_forget_nothing),
      cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(on_vulkan),
      cmocka_unit_test(pages_of_other_kinds),
      cmocka_unit_test(pages_have_gradients),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
