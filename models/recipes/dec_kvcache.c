/* dec.kvcache: a decoder that reads a prompt at once and then token by token, keys and values in caches, says what it
 * says when it reads the whole text: where texts are cut, in rows of different lengths, after going back, and with
 * caches in pages. What a step moves does not grow with the cache. */
#include <string.h>

#include "models/recipes/recipe.h"
#include "tests/oracles/draws.h"

enum { LAYERS = 2, HEADS = 4, KEY_HEADS = 2, WIDTH = 64, HEAD = WIDTH / HEADS, SYMBOLS = 40, ROWS = 4, LENGTH = 24 };
enum { MORE = 40 /* tokens, across the end of a page */, POOL = 20, PAGES = 4 /* of a row, at most */ };

SN_SETTINGS(cached, (int, context, 128, "positions of the caches"), (int, page, 32, "positions of a page"),
            (int, window, 0, "keys that a query sees; 0: all"));

/* How a graph keeps keys and values: by position, or in pages; and what rotary positions are too far by. */
typedef struct keeping {
  sn_t table; /* not there: by position */
  int slip, window;
} keeping;

static sn_t near(sn_site at, const void *opt) {
  return sn_within(sn_sub(at.q, at.k), 0, ((const keeping *)opt)->window);
}

static sn_t attention(sn_scope m, sn_t x, sn_t at, const keeping *o) {
  sn_scope kept = o->table.fn ? sn_in(m, "paged") : m;
  sn_t q = sn_linear(m, "q", x, WIDTH, .heads = HEADS), k = sn_linear(m, "k", x, KEY_HEADS * HEAD, .heads = KEY_HEADS);
  sn_t v = sn_linear(m, "v", x, KEY_HEADS * HEAD, .heads = KEY_HEADS);
  k = sn_cache(kept, "keys", sn_rope(k, at), .table = o->table, .pool = o->table.fn ? POOL : 0);
  v = sn_cache(kept, "values", v, .table = o->table, .pool = o->table.fn ? POOL : 0);
  sn_t y = sn_attention(sn_rope(q, at), k, v, .mask = o->window ? near : sn_causal, .opt = o, .start = sn_start(m));
  return sn_linear(m, "o", sn_merge(y), WIDTH);
}

static void logits_of(sn_scope m, sn_t tokens, const keeping *o) {
  sn_t x = sn_gather(sn_param(m, "embed", (SYMBOLS, WIDTH), .init = sn_normal(1)), tokens);
  sn_t at = sn_add(sn_positions(m, tokens), o->slip);
  sn_layers(h, m, "h", LAYERS, &x) {
    x = sn_add(x, attention(h, sn_rmsnorm(h, "norm_1", x), at, o));
    x = sn_add(x, sn_linear(h, "down", sn_silu(sn_linear(h, "up", sn_rmsnorm(h, "norm_2", x), 2 * WIDTH)), WIDTH));
  }
  sn_output(m, "logits", sn_linear(m, "head", sn_rmsnorm(m, "norm", x), SYMBOLS));
}

static void serve(sn_scope m, const cached *c, sn_dim rows, keeping o) {
  sn_dim B = sn_sym(m, "B");
  sn_t tokens = sn_input(m, "tokens", SN_I32, (B, rows)), start = sn_input(m, "start", SN_I32, (B));
  o.window = c->window;
  logits_of(sn_with(m, .cache = c->context, .start = start), tokens, &o);
}

static sn_dim some(sn_scope m, const cached *c) { return sn_sym(m, "T", .max = c->context); }
static keeping pages(sn_scope m, const cached *c) {
  return (keeping){.table = sn_input(m, "table", SN_I32, (sn_sym(m, "B"), c->context / c->page))};
}

static void full(sn_scope m, const cached *c) {
  logits_of(m, sn_input(m, "tokens", SN_I32, (sn_sym(m, "B"), some(m, c))), &(keeping){.window = c->window});
}
static void prefill(sn_scope m, const cached *c) { serve(m, c, some(m, c), (keeping){0}); }
static void decode(sn_scope m, const cached *c) { serve(m, c, sn_dim_of(1), (keeping){0}); }
static void slipped(sn_scope m, const cached *c) { serve(m, c, sn_dim_of(1), (keeping){.slip = 1}); }
static void prefill_paged(sn_scope m, const cached *c) { serve(m, c, some(m, c), pages(m, c)); }
static void decode_paged(sn_scope m, const cached *c) { serve(m, c, sn_dim_of(1), pages(m, c)); }

/* A cache that is made anew at every step: a control. */
static void copied(sn_scope m, const cached *c) {
  sn_dim B = sn_sym(m, "B");
  sn_t row = sn_input(m, "row", SN_REAL, (B, 1, WIDTH)), start = sn_input(m, "start", SN_I32, (B));
  sn_t old = sn_state(m, "copied", (B, c->context, WIDTH));
  sn_t is = sn_eq(sn_rearrange(sn_arange(m, c->context), "n->1n1"), sn_rearrange(start, "b->b11"));
  sn_output(m, "sum", sn_sum(sn_update(old, sn_where(is, row, old)), "bnd->bd"));
}

SN_MODEL(cached, cached, full, prefill, decode, slipped, prefill_paged, decode_paged, copied);

/* ---- texts ------------------------------------------------------------------------------------------------------- */

typedef struct texts {
  int32_t ids[ROWS][LENGTH];
  float right[ROWS][LENGTH][SYMBOLS]; /* logits of whole passes */
} texts;

static void make_texts(recipe *r, net *n, uint64_t index, texts *t) {
  draws d = draws_of(recipe_seed(r, 1), 1, index);
  for (int b = 0; b < ROWS; b++)
    for (int i = 0; i < LENGTH; i++) t->ids[b][i] = draws_below(&d, SYMBOLS);
  net_run(n, "full", {"tokens", t->ids, {ROWS, LENGTH}}, {"logits", t->right, {ROWS, LENGTH, SYMBOLS}});
}

/* Graphs that keep keys and values, and the pages of each row. */
typedef struct reader {
  net *n;
  const char *prefill, *decode;
  int pages;      /* of a row; 0: by position */
  int32_t *table; /* [ROWS, pages] */
} reader;

static void reads(const reader *by, const char *graph, int count, int32_t *ids, int32_t *start, float *out) {
  sn_io io[] = {{"tokens", ids, {ROWS, count}},
                {"start", start, {ROWS}},
                {"logits", out, {ROWS, count, SYMBOLS}},
                {"table", by->table, {ROWS, by->pages}}};
  net_run_io(by->n, graph, io, by->pages ? 4 : 3);
}

static double off(const float *x, const float *right) {
  double worst = 0;
  for (int v = 0; v < SYMBOLS; v++) worst = recipe_max(worst, fabs((double)(x[v] - right[v])));
  return worst;
}

/* Row b is read up to from[b] at once, and then token by token.   -> worst difference of logits, over their largest */
static double cut(const reader *by, const texts *t, const int *from, bool whole) {
  float out[ROWS][LENGTH][SYMBOLS] = {0}, one[ROWS][SYMBOLS] = {0};
  int32_t start[ROWS] = {0}, next[ROWS], ids[ROWS * LENGTH];
  int longest = 0, least = LENGTH;
  double worst = 0, size = 0;
  for (int b = 0; b < ROWS; b++)
    longest = from[b] > longest ? from[b] : longest, least = from[b] < least ? from[b] : least;
  for (int b = 0; b < ROWS; b++) memcpy(ids + b * longest, t->ids[b], (size_t)longest * sizeof *ids);
  if (whole) reads(by, by->prefill, longest, ids, start, &out[0][0][0]);
  for (int b = 0; b < ROWS; b++) {
    for (int i = 0; i < LENGTH; i++) size = recipe_max(size, off(t->right[b][i], (float[SYMBOLS]){0}));
    for (int i = 0; whole && i < from[b]; i++)
      worst = recipe_max(worst, off(&out[0][0][0] + (b * longest + i) * SYMBOLS, t->right[b][i]));
  }
  for (int step = 0; step < LENGTH - least; step++) { /* rows that are done read their last token again */
    for (int b = 0; b < ROWS; b++)
      start[b] = from[b] + step < LENGTH ? from[b] + step : LENGTH - 1, next[b] = t->ids[b][start[b]];
    reads(by, by->decode, 1, next, start, &one[0][0]);
    for (int b = 0; b < ROWS; b++) worst = recipe_max(worst, off(one[b], t->right[b][start[b]]));
  }
  return worst / size;
}

static void cuts(recipe *r, net *n) {
  texts *t = recipe_alloc(r, 2 * sizeof *t);
  draws d = draws_of(recipe_seed(r, 2), 2, 0);
  reader plain = {n, "prefill", "decode", 0, NULL}, late = {n, "prefill", "slipped", 0, NULL};
  double worst = 0, back = 0, slip = INFINITY;
  for (int round = 0; round < recipe_pick(r, 20, 6) && !recipe_has_failed(r); round++) {
    int from[ROWS], again[ROWS];
    for (int b = 0; b < ROWS; b++) from[b] = 1 + draws_below(&d, LENGTH - 1), again[b] = 1 + draws_below(&d, from[b]);
    make_texts(r, n, 2 * (uint64_t)round, t);
    make_texts(r, n, 2 * (uint64_t)round + 1, t + 1);
    for (int b = 0; b < ROWS; b++) memcpy(t[1].ids[b], t[0].ids[b], (size_t)again[b] * sizeof t->ids[0][0]);
    net_run(n, "full", {"tokens", t[1].ids, {ROWS, LENGTH}}, {"logits", t[1].right, {ROWS, LENGTH, SYMBOLS}});
    worst = recipe_max(worst, cut(&plain, t, from, true));
    back = recipe_max(back, cut(&plain, t + 1, again, false)); /* cut there, and another text goes on */
    slip = recipe_min(slip, cut(&late, t, from, true));
  }
  recipe_at_most(r, EXACT, "prompts of random lengths, then token by token, against whole passes", worst, 1e-5);
  recipe_at_most(r, EXACT, "texts cut at random places go on in another way", back, 1e-5);
  recipe_at_most(r, CONTROL, "rotary positions of decoding are one too far", slip, 1e-5);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

typedef float said[MORE][ROWS][SYMBOLS]; /* logits of the last tokens */

/* Rows are read up to `from`, and then token by token. */
static void read_long(recipe *r, const reader *by, int from, said out) {
  int32_t *ids = recipe_alloc(r, sizeof *ids * (size_t)(ROWS * from)), start[ROWS] = {0}, next[ROWS];
  float *all = recipe_alloc(r, sizeof(float) * (size_t)(ROWS * from * SYMBOLS));
  draws d = draws_of(recipe_seed(r, 4), 4, 0);
  for (int i = 0; i < ROWS * from; i++) ids[i] = draws_below(&d, SYMBOLS);
  reads(by, by->prefill, from, ids, start, all);
  for (int at = 0; at < MORE; at++) {
    for (int i = 0; i < ROWS; i++) start[i] = from + at, next[i] = draws_below(&d, SYMBOLS);
    reads(by, by->decode, 1, next, start, out[at][0]);
  }
}

/* Rows of logits that have another bit, and their largest difference over the largest of all. */
typedef struct apart {
  double rows, most;
} apart;

static apart compared(said x, said right) {
  apart a = {0, 0};
  double size = 0;
  for (int i = 0; i < MORE * ROWS; i++) {
    const float *y = x[i / ROWS][i % ROWS], *z = right[i / ROWS][i % ROWS];
    a.rows += memcmp(y, z, sizeof x[0][0]) != 0;
    a.most = recipe_max(a.most, off(y, z));
    size = recipe_max(size, off(z, (float[SYMBOLS]){0}));
  }
  return (apart){a.rows, a.most / size};
}

/* Kernels that write keys or values of all positions: those that gather pages. */
static double gathers(net *n, int context) {
  return net_report(n, "decode_paged", "B=4", (which){.op = "gather", .elements = ROWS * context * KEY_HEADS * HEAD})
      .kernels;
}

typedef struct paging {
  apart lies, gathered, wrong; /* pages are read where they lie; gathered by the table; one page twice in each row */
  double kernels, others;      /* that gather pages */
} paging;

/* Each row has pages of its own anywhere in the pool; against caches by position. */
static paging in_pages(recipe *r, int context, int page, int from) {
  const char *graphs = "prefill_paged|decode_paged";
  int order[POOL], pages = context / page;
  int32_t table[ROWS * PAGES], other[ROWS * PAGES];
  said *out = recipe_alloc(r, 4 * sizeof *out);
  draws d = draws_of(recipe_seed(r, 3), 3, 0);
  for (int i = 0; i < POOL; i++) order[i] = i;
  draws_shuffle(&d, POOL, order);
  for (int i = 0; i < ROWS * pages; i++) table[i] = order[i], other[i] = order[i / pages];
  memset(out, 0, 4 * sizeof *out);
  net *n =
      recipe_net(r, &sn_model_cached, "prefill|decode|prefill_paged|decode_paged", "context=%d page=%d", context, page);
  net *beside = n ? net_as(n, &(sn_compile_opt){.graphs = graphs, .disable = "pages.read"}) : NULL;
  read_long(r, &(reader){n, "prefill", "decode", 0, NULL}, from, out[0]);
  read_long(r, &(reader){n, "prefill_paged", "decode_paged", pages, table}, from, out[1]);
  read_long(r, &(reader){beside, "prefill_paged", "decode_paged", pages, table}, from, out[2]);
  read_long(r, &(reader){n, "prefill_paged", "decode_paged", pages, other}, from, out[3]);
  return (paging){compared(out[1], out[0]), compared(out[2], out[0]), compared(out[3], out[0]), gathers(n, context),
                  gathers(beside, context)};
}

/* Kernels that read pages where they lie take as many keys at a time as one page has, up to their block (64 on the CPU;
 * of one query on Vulkan 128): in pages of whole blocks sums are the same to the bit, in smaller ones they round
 * otherwise. Gathered by the table, all bits are the same. */
static void paged(recipe *r) {
  paging small = in_pages(r, 128, 32, 60), whole = in_pages(r, 256, 128, 108);
  recipe_at_most(r, EXACT, "caches in pages, gathered by the table: rows of logits with another bit",
                 small.gathered.rows + whole.gathered.rows, 0);
  recipe_at_most(r, EXACT, "pages that are read where they lie, of 128: the same", whole.lies.rows, 0);
  recipe_at_most(r, EXACT, "of 32: logits", small.lies.most, 1e-5);
  recipe_at_most(r, EXACT, "kernels that gather those", small.kernels + whole.kernels, 0);
  recipe_at_most(r, CONTROL, "one page twice in each row: rows with another bit", whole.wrong.rows, 0);
  recipe_at_most(r, CONTROL, "and logits", small.wrong.most, 1e-5);
  recipe_at_most(r, CONTROL, "kernels that gather the others", recipe_min(small.others, whole.others), 0);
}

/* ---- what a step costs ------------------------------------------------------------------------------------------- */

/* Operations and bytes outside of attention. */
static double work(net *n, const char *graph, const char *sizes) {
  report a = net_report(n, graph, sizes, (which){.kind = "*|-attend"});
  return a.flops + a.bytes_read + a.bytes_written;
}

/* What a step of decoding does, with caches of 128 and of 1024 positions. */
static void moved(recipe *r, net *n) {
  net *large = recipe_net(r, &sn_model_cached, "full|decode|copied", "context=1024");
  report a = net_report(n, "decode", "B=4", (which){0}), b = net_report(large, "decode", "B=4", (which){0});
  report c = net_report(n, "copied", "B=4", (which){0}), d = net_report(large, "copied", "B=4", (which){0});
  double grown = (double)(b.state_bytes - a.state_bytes); /* long caches are read in parts, which are joined */
  recipe_at_most(r, EXACT | OF_PLAN, "a step: bytes written more for each byte that the caches grow by",
                 (b.bytes_written - a.bytes_written) / grown, .01);
  recipe_at_most(r, EXACT | OF_PLAN, "temporary bytes more for each of them",
                 (double)(b.peak_bytes - a.peak_bytes) / grown, .01);
  recipe_at_most(r, EXACT | OF_PLAN, "bytes copied", a.bytes_copied + b.bytes_copied, 0);
  recipe_at_most(r, EXACT | OF_PLAN, "bytes of caches against 2 L B n d context 4",
                 fabs((double)b.state_bytes - 2. * LAYERS * 4 * KEY_HEADS * HEAD * 1024 * 4), 0);
  recipe_at_most(r, EXACT | OF_PLAN, "operations and bytes outside of attention, caches of 1024 over 128, less 1",
                 fabs(work(large, "decode", "B=4") / work(n, "decode", "B=4") - 1), 0);
  recipe_at_most(r, CONTROL | OF_PLAN, "the whole text again instead of a step, 1024 tokens over 128, less 1",
                 fabs(work(large, "full", "B=4 T=1024") / work(large, "full", "B=4 T=128") - 1), 0);
  recipe_at_most(r, CONTROL | OF_PLAN, "a cache that is made anew: bytes written more for each",
                 (d.bytes_written - c.bytes_written) / (double)(d.state_bytes - c.state_bytes), .01);
}

/* Of a run: token *start with caches, or, without it, so many tokens. */
static double seconds(net *n, const char *graph, int count, int32_t *ids, int32_t *start, float *out) {
  sn_io io[] = {{"tokens", ids, {1, count}}, {"logits", out, {1, count, SYMBOLS}}, {"start", start, {1}}};
  double since = recipe_clock();
  net_run_io(n, graph, io, start ? 3 : 2);
  return recipe_clock() - since;
}

/* How many times longer token 2048 takes than token 256. Both are run by turns, and the fastest run of each counts:
 * what else the machine does can only make it slower. Seen: 1.0, and 7 to 27 for whole texts; with all keys in
 * sight 2.6 and 95. */
static double longer(net *n, bool whole, int rounds, int32_t *ids, float *out) {
  enum { EARLY = 256, LATE = 2048 };
  const char *graph = whole ? "full" : "decode";
  int32_t at[] = {EARLY, LATE};
  double early = INFINITY, late = INFINITY;
  for (int i = 0; i < rounds; i++) {
    early = recipe_min(early, seconds(n, graph, whole ? EARLY : 1, ids, whole ? NULL : at, out));
    late = recipe_min(late, seconds(n, graph, whole ? LATE : 1, ids, whole ? NULL : at + 1, out));
  }
  return late / early;
}

/* Of a step what does not depend on how many keys there are: queries see the last 128. */
static void timed(recipe *r) {
  enum { CONTEXT = 2304 };
  if (recipe_is_quick(r)) return;
  net *n = recipe_net(r, &sn_model_cached, "full|prefill|decode", "context=%d window=128", CONTEXT);
  int32_t *ids = recipe_alloc(r, sizeof *ids * CONTEXT), start = 0;
  float *out = recipe_alloc(r, sizeof *out * CONTEXT * SYMBOLS);
  memset(ids, 0, sizeof *ids * CONTEXT);
  seconds(n, "prefill", CONTEXT, ids, &start, out);
  recipe_at_most(r, OPTIMUM, "a step at token 2048 that sees 128 keys, over one at 256: time",
                 longer(n, false, 500, ids, out), 1.5);
  recipe_at_most(r, CONTROL, "the whole text again instead of a step", longer(n, true, 5, ids, out), 1.5);
}

static void kvcache(recipe *r) {
  net *n = recipe_net(r, &sn_model_cached, "full|prefill|decode|slipped|copied", " ");
  cuts(r, n);
  paged(r);
  moved(r, n);
  timed(r);
}

RECIPES(dec_kvcache, {"dec.kvcache", 6, "decoding with caches says what whole passes say, and moves no cache", kvcache,
                      "the whole text read at once by the same weights; bytes by formula"});
