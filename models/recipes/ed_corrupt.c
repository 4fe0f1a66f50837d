/* ed.corrupt: programs that corrupt texts for denoising, on the host and as graphs of sorts, sums and gathers. Judged
 * by counting the ways a corrupted text can have come about (tests/oracles/corrupt.h). */
#include <stdio.h>
#include <string.h>

#include "models/denoise.h"
#include "models/recipes/recipe.h"
#include "runtime/io/corrupt.h"
#include "tests/oracles/corrupt.h"
#include "tests/oracles/denoise.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

enum { ROOM = 20, MASK = 99, TEXTS = 64, SYMBOLS = 4, STOP = 0, NOISE = 6, SPANS = 3, MARKS = 8 };

/* ---- worked examples ---------------------------------------------------------------------------------------- */

typedef struct words {
  int count;
  char word[40][16];
} words;

static int read_text(words *w, const char *text, int32_t *out) {
  int n = 0, at = 0;
  char word[16];
  for (; sscanf(text, "%15s", word) == 1; text += at) {
    int k = 0;
    sscanf(text, "%*s%n", &at);
    while (k < w->count && strcmp(w->word[k], word) != 0) k++;
    if (k == w->count) snprintf(w->word[w->count++], sizeof word, "%s", word);
    out[n++] = k;
  }
  return n;
}

/* Tokens that are not those of the expected text. */
static int differ(int n, const int32_t *x, int m, const int32_t *y) {
  int wrong = n != m;
  for (int i = 0; i < n && i < m; i++) wrong += x[i] != y[i];
  return wrong;
}

static int expect(words *w, int n, const int32_t *x, const char *text) {
  int32_t y[40];
  return differ(n, x, read_text(w, text, y), y);
}

/* The book's sentence in every way, by given choices. */
static int worked_sentence(void) {
  words w = {0};
  int32_t sentinel[3], x[40], y[40], target[40];
  read_text(&w, "[X] [Y] [Z] [MASK]", y);
  for (int i = 0; i < 3; i++) sentinel[i] = i;
  int n = read_text(&w, "The puppies are frolicking outside the house .", x), n_target, m, wrong = 0;
  const bool chosen[8] = {[3] = true, [5] = true};
  const sn_span spans[2] = {{3, 1}, {5, 2}}, long_and_empty[2] = {{0, 0}, {3, 4}};
  m = sn_corrupt_mask(n, x, chosen, 3, y);
  wrong += expect(&w, m, y, "The puppies are [MASK] outside [MASK] house .");
  m = sn_corrupt_delete(n, x, chosen, y);
  wrong += expect(&w, m, y, "The puppies are outside house .");
  m = sn_corrupt_infill(n, x, 2, long_and_empty, 3, y);
  wrong += expect(&w, m, y, "[MASK] The puppies are [MASK] .");
  m = sn_corrupt_sentinels(n, x, 2, spans, sentinel[0], 1, y, &n_target, target);
  wrong += expect(&w, m, y, "The puppies are [X] outside [Y] .");
  wrong += expect(&w, n_target, target, "[X] frolicking [Y] the house [Z]");
  const int from[8] = {1, 0, 2, 3, 4, 6, 5, 7};
  m = sn_corrupt_order(n, x, from, y);
  return wrong + expect(&w, m, y, "puppies The are frolicking outside house the .");
}

static int worked_document(void) {
  words w = {0};
  int32_t x[40], y[40];
  sn_span sentence[40];
  int n = read_text(&w, "Hard work leads to success . Success brings happiness .", x), wrong = 0;
  int m = sn_corrupt_rotate(n, x, 6, y);
  wrong += expect(&w, m, y, "Success brings happiness . Hard work leads to success .");
  int sentences = sn_corrupt_sentences(n, x, x[5], sentence);
  m = sn_corrupt_reorder(x, sentences, sentence, (const int[]){1, 0}, y);
  return wrong + (sentences != 2) + expect(&w, m, y, "Success brings happiness . Hard work leads to success .");
}

/* ---- laws that hold of every text --------------------------------------------------------------- */

typedef struct sample {
  int n, x[ROOM];
  sn_corrupt_draw draw;
} sample;

static sample make_text(recipe *r, int index) {
  draws d = draws_of(recipe_seed(r, 31), 1, (uint64_t)index);
  sample t = {.n = 4 + draws_below(&d, ROOM - 3),
              .draw = {recipe_seed(r, 32), (uint64_t)index, (uint32_t)index % 3, ROOM}};
  for (int i = 0; i < t.n; i++) t.x[i] = draws_below(&d, SYMBOLS);
  return t;
}

/* Texts of which `wrong` says that they are. */
static double count_wrong(recipe *r, int texts, bool (*wrong)(const sample *t)) {
  double count = 0;
  for (int i = 0; i < texts; i++) {
    sample t = make_text(r, i);
    count += wrong(&t);
  }
  return count;
}

/* ceil(0.3 n), counted apart from sn_corrupt_budget. */
static int three_tenths(int n) { return (3 * n + 9) / 10; }

static bool sentinels_wrong(const sample *t) {
  int noise = sn_corrupt_budget(t->n, .3), spans = (noise + 2) / 3, out[ROOM], n_source, n_target;
  int32_t source[ROOM], target[2 * ROOM];
  sn_span span[ROOM];
  if (spans > t->n - noise) spans = t->n - noise;
  sn_choose_segments(&t->draw, t->n, noise, spans, span);
  n_source = sn_corrupt_sentinels(t->n, t->x, spans, span, MASK, -1, source, &n_target, target);
  const corrupt_sentinels marks = {MASK, -1, ROOM};
  int n = corrupt_unsentinel(&marks, n_source, source, n_target, target, ROOM, out);
  return n_source != t->n - three_tenths(t->n) + spans || n_target != noise + spans + 1 || differ(t->n, t->x, n, out);
}

static bool masking_wrong(const sample *t) {
  int budget = sn_corrupt_budget(t->n, .3), hidden = 0, other = 0;
  bool chosen[ROOM];
  int32_t y[ROOM];
  sn_choose_tokens(&t->draw, t->n, budget, chosen);
  sn_corrupt_mask(t->n, t->x, chosen, MASK, y);
  for (int i = 0; i < t->n; i++) hidden += y[i] == MASK, other += y[i] != MASK && y[i] != t->x[i];
  return hidden != three_tenths(t->n) || other;
}

static bool deletion_wrong(const sample *t) {
  int budget = sn_corrupt_budget(t->n, .3);
  bool chosen[ROOM];
  int32_t y[ROOM];
  sn_choose_tokens(&t->draw, t->n, budget, chosen);
  int m = sn_corrupt_delete(t->n, t->x, chosen, y);
  return m != t->n - three_tenths(t->n) || corrupt_deletions(t->n, t->x, m, y) < 1;
}

static bool infill_judged(const sample *t, int spans, const sn_span *span) {
  int32_t y[6 * ROOM];
  int m = sn_corrupt_infill(t->n, t->x, spans, span, MASK, y);
  return corrupt_infills(t->n, t->x, m, y, MASK, three_tenths(t->n)) < 1;
}
static bool infill_wrong(const sample *t) {
  sn_span span[4 * ROOM];
  int spans = sn_choose_spans(&t->draw, t->n, sn_corrupt_budget(t->n, .3), 3, 4 * ROOM, span);
  return infill_judged(t, spans, span);
}

/* Control: two spans that begin anywhere. The second overwrites what the first left. */
static bool overlapping_wrong(const sample *t) {
  int budget = sn_corrupt_budget(t->n, .3), a = budget / 2, b = budget - a;
  draws d = draws_of(t->draw.seed, 9, t->draw.index);
  int32_t y[ROOM], m = 0;
  int at[2] = {draws_below(&d, t->n - b + 1), draws_below(&d, t->n - b + 1)};
  bool hidden[2 * ROOM] = {false};
  for (int i = 0; i < a; i++) hidden[at[0] + i] = true;
  for (int i = 0; i < b; i++) hidden[at[1] + i] = true;
  for (int i = 0; i < t->n; i++) {
    if (!hidden[i]) y[m++] = t->x[i];
    if (hidden[i] && (i == at[0] || i == at[1])) y[m++] = MASK;
  }
  return corrupt_infills(t->n, t->x, m, y, MASK, budget) < 1;
}

static bool rotation_wrong(const sample *t) {
  int32_t y[ROOM];
  int place = sn_choose_place(&t->draw, t->n);
  sn_corrupt_rotate(t->n, t->x, place, y);
  int found = corrupt_rotation(t->n, t->x, y);
  return found < 0 || found > place || !corrupt_is_reordered(t->n, t->x, y);
}

/* Control: the token that begins the text turns, too, so that what stands between the ends is no rotation. */
static bool rotated_begin_wrong(const sample *t) {
  int32_t x[ROOM + 1] = {MASK}, y[ROOM + 1];
  memcpy(x + 1, t->x, sizeof t->x);
  sn_corrupt_rotate(t->n + 1, x, sn_choose_place(&t->draw, t->n), y);
  return corrupt_rotation(t->n, t->x, y + 1) < 0;
}

static bool orders_wrong(const sample *t) {
  int from[ROOM], budget = sn_corrupt_budget(t->n, .5), moved = 0;
  int32_t y[ROOM], z[ROOM];
  sn_span sentence[ROOM];
  sn_choose_order(&t->draw, t->n, budget, from);
  for (int i = 0; i < t->n; i++) moved += from[i] != i;
  sn_corrupt_order(t->n, t->x, from, y);
  int many = sn_corrupt_sentences(t->n, t->x, STOP, sentence);
  sn_choose_order(&t->draw, many, many, from);
  int m = sn_corrupt_reorder(t->x, many, sentence, from, z);
  return moved > budget || m != t->n || !corrupt_is_reordered(t->n, t->x, y) || !corrupt_is_reordered(t->n, t->x, z);
}

/* ---- laws of chance ----------------------------------------------------------------------------- */

static sn_corrupt_draw draw_of(recipe *r, int i, int room) {
  return (sn_corrupt_draw){recipe_seed(r, 33), (uint64_t)i, 0, room};
}

static double lengths_fit(recipe *r, int texts) {
  enum { N = 40, BUDGET = 12 };
  double law[BUDGET + 1], count[BUDGET + 1] = {0}, all = corrupt_spans(3, BUDGET, law);
  sn_span span[4 * N];
  for (int i = 0; i < texts; i++) {
    sn_corrupt_draw d = draw_of(r, i, N);
    int spans = sn_choose_spans(&d, N, BUDGET, 3, 4 * N, span);
    for (int k = 0; k < spans; k++) count[span[k].count]++;
  }
  for (int k = 0; k <= BUDGET; k++) law[k] /= all;
  return stats_fit_p(BUDGET + 1, count, law);
}

static double even_fit(int cells, const double *count) {
  double law[64];
  for (int i = 0; i < cells; i++) law[i] = 1. / cells;
  return stats_fit_p(cells, count, law);
}

static double places_fit(recipe *r, int texts) {
  double count[10] = {0};
  for (int i = 0; i < texts; i++) {
    sn_corrupt_draw d = draw_of(r, i, 10);
    count[sn_choose_place(&d, 10)]++;
  }
  return even_fit(10, count);
}

/* naive: control, every thing is exchanged with any other. */
static double orders_fit(recipe *r, int texts, bool naive) {
  double count[24] = {0};
  for (int i = 0; i < texts; i++) {
    sn_corrupt_draw d = draw_of(r, i, 4);
    draws other = draws_of(recipe_seed(r, 34), 1, (uint64_t)i);
    int from[4] = {0, 1, 2, 3};
    if (!naive) sn_choose_order(&d, 4, 4, from);
    for (int k = 0; k < 4 && naive; k++) {
      int j = draws_below(&other, 4), kept = from[k];
      from[k] = from[j], from[j] = kept;
    }
    count[corrupt_order_number(4, from)]++;
  }
  return even_fit(24, count);
}

/* All ways of two spans of 4 of 9 tokens together. */
static double segments_fit(recipe *r, int texts) {
  double count[64] = {0};
  int ways = denoise_spans_many(9, 4, 2);
  for (int i = 0; i < texts; i++) {
    sn_corrupt_draw d = draw_of(r, i, 9);
    sn_span span[2];
    sn_choose_segments(&d, 9, 4, 2, span);
    for (int k = 0; k < ways; k++) {
      denoise_spans s = denoise_spans_number(9, 4, 2, k);
      count[k] += s.kept[0] == span[0].first && s.hidden[0] == span[0].count &&
                  s.kept[1] == span[1].first - s.kept[0] - s.hidden[0] && s.hidden[1] == span[1].count;
    }
  }
  return even_fit(ways, count);
}

/* ---- the same on the device --------------------------------------------------------------------- */

SN_SETTINGS(sizes, (int, room, ROOM, "longest text"), (int, mask, MASK, "token"));

static sn_t random_keys(sn_scope m, const char *stream, sn_t text) {
  return sn_random(m, stream, SN_UNIFORM, (sn_size(text, 0), sn_size(text, 1)));
}

static void corrupt(sn_scope m, const sizes *c) {
  sn_dim B = sn_sym(m, "B");
  sn_t text = sn_input(m, "text", SN_I32, (B, c->room)), t = sn_arange(m, c->room);
  sn_t n = sn_rearrange(sn_input(m, "n", SN_I32, (B)), "b->b1"), there = sn_lt(t, n);
  sn_t budget = sn_rearrange(sn_input(m, "budget", SN_I32, (B)), "b->b1");
  sn_t chosen = denoise_choose(m, "corrupt.tokens", text, n, budget);
  sn_output(m, "masked", sn_where(chosen, c->mask, text));
  sn_compacted left = sn_compact(text, sn_and(there, sn_not(chosen)));
  sn_output(m, "deleted", left.rows);
  sn_output(m, "deleted_n", left.count);
  /* The chosen take each other's places: the k-th place gets the k-th of them in random order. */
  sn_t moved = denoise_choose(m, "corrupt.moved", text, n, budget);
  sn_t shuffled = sn_argsort(sn_where(moved, random_keys(m, "corrupt.order", text), 2.), 1);
  sn_t from = sn_where(moved, sn_slots(shuffled, sn_cumsum(sn_cast(moved, SN_I32), 1, .exclusive = true)), t);
  sn_output(m, "ordered", sn_slots(text, from));
  sn_t place = sn_argmin(sn_where(there, random_keys(m, "corrupt.place", text), 2.));
  sn_t turned = sn_mod(sn_add(sn_rearrange(place, "b->b1"), t), n);
  sn_output(m, "rotated", sn_where(there, sn_slots(text, turned), text));
  sn_output(m, "reordered", denoise_sentences(m, text, there, STOP));
  sn_update(sn_step_count(m), sn_add(sn_step_count(m), 1)); /* the next epoch */
}

/* Of whole texts: what encoder-decoders of models/ are trained with. */
static void denoise(sn_scope m, const sizes *c) {
  sn_t text = sn_input(m, "text", SN_I32, (sn_sym(m, "B"), c->room)), t = sn_arange(m, c->room);
  denoise_pair x = denoise_sentinels(m, text, sn_dim_of(NOISE), sn_dim_of(SPANS), c->mask + 1, MARKS);
  denoise_pair y = denoise_infill(m, text, .3, 3, c->mask);
  sn_output(m, "spans", x.source);
  sn_output(m, "spans_n", x.source_length);
  sn_output(m, "answers", x.targets);
  sn_output(m, "filled", sn_where(sn_lt(t, sn_rearrange(y.source_length, "b->b1")), y.source, 0));
  sn_output(m, "filled_n", y.source_length);
  sn_update(sn_step_count(m), sn_add(sn_step_count(m), 1));
}

SN_MODEL(corrupt_device, sizes, corrupt, denoise);

typedef struct corrupted {
  int32_t masked[TEXTS][ROOM], deleted[TEXTS][ROOM], deleted_n[TEXTS], ordered[TEXTS][ROOM], rotated[TEXTS][ROOM],
      reordered[TEXTS][ROOM];
} corrupted;

static void on_host(const sample *t, int budget, int row, corrupted *out) {
  bool chosen[ROOM];
  int from[ROOM];
  sn_choose_tokens(&t->draw, t->n, budget, chosen);
  sn_corrupt_mask(t->n, t->x, chosen, MASK, out->masked[row]);
  out->deleted_n[row] = sn_corrupt_delete(t->n, t->x, chosen, out->deleted[row]);
  sn_choose_order(&t->draw, t->n, budget, from);
  sn_corrupt_order(t->n, t->x, from, out->ordered[row]);
  sn_corrupt_rotate(t->n, t->x, sn_choose_place(&t->draw, t->n), out->rotated[row]);
  sn_span sentence[ROOM];
  int many = sn_corrupt_sentences(t->n, t->x, STOP, sentence);
  sn_choose_order(&t->draw, many, many, from);
  sn_corrupt_reorder(t->x, many, sentence, from, out->reordered[row]);
}

/* Bytes that differ in three epochs. */
static double device_differs(recipe *r) {
  static const char *const settings = "room=%d mask=%d";
  net *n = recipe_net(r, &sn_model_corrupt_device, "corrupt", settings, ROOM, MASK);
  corrupted *host = recipe_alloc(r, sizeof *host), *device = recipe_alloc(r, sizeof *device);
  int32_t x[TEXTS][ROOM], length[TEXTS], budget[TEXTS];
  double wrong = 0;
  for (int epoch = 0; epoch < 3; epoch++) {
    memset(host, 0, sizeof *host), memset(x, 0, sizeof x);
    int64_t seed = 0;
    for (int b = 0; b < TEXTS; b++) {
      sample t = make_text(r, b);
      t.draw.epoch = (uint32_t)epoch;
      memcpy(x[b], t.x, sizeof t.x);
      length[b] = t.n, budget[b] = sn_corrupt_budget(t.n, .3), seed = (int64_t)t.draw.seed;
      on_host(&t, budget[b], b, host);
    }
    net_run(n, "corrupt", {"text", x, {TEXTS, ROOM}}, {"n", length, {TEXTS}}, {"budget", budget, {TEXTS}},
            {"seed", &seed, {0}}, {"masked", device->masked, {TEXTS, ROOM}},
            {"deleted", device->deleted, {TEXTS, ROOM}}, {"deleted_n", device->deleted_n, {TEXTS}},
            {"ordered", device->ordered, {TEXTS, ROOM}}, {"rotated", device->rotated, {TEXTS, ROOM}},
            {"reordered", device->reordered, {TEXTS, ROOM}});
    const char *a = (const char *)host, *b = (const char *)device;
    for (size_t i = 0; i < sizeof *host; i++) wrong += a[i] != b[i];
  }
  return wrong;
}

typedef struct denoised {
  int32_t spans[TEXTS][ROOM], spans_n[TEXTS], answers[TEXTS][NOISE + SPANS + 1], filled[TEXTS][ROOM], filled_n[TEXTS];
} denoised;

static void denoise_on_host(const sample *t, int row, denoised *out) {
  sn_span span[2 * ROOM];
  int32_t filled[2 * ROOM] = {0};
  int n;
  sn_choose_segments(&t->draw, ROOM, NOISE, SPANS, span);
  out->spans_n[row] = sn_corrupt_sentinels(ROOM, t->x, SPANS, span, MASK, -1, out->spans[row], &n, out->answers[row]);
  int budget = sn_corrupt_budget(ROOM, .3), spans = sn_choose_spans(&t->draw, ROOM, budget, 3, budget, span);
  out->filled_n[row] = sn_corrupt_infill(ROOM, t->x, spans, span, MASK, filled);
  memcpy(out->filled[row], filled, sizeof out->filled[row]);
}

static double denoising_differs(recipe *r) {
  net *n = recipe_net(r, &sn_model_corrupt_device, "denoise", "room=%d mask=%d", ROOM, MASK);
  denoised *host = recipe_alloc(r, sizeof *host), *device = recipe_alloc(r, sizeof *device);
  int32_t x[TEXTS][ROOM];
  double wrong = 0;
  for (int epoch = 0; epoch < 30; epoch++) {
    int64_t seed = 0;
    memset(host, 0, sizeof *host);
    for (int b = 0; b < TEXTS; b++) {
      sample t = make_text(r, b);
      t.draw.epoch = (uint32_t)epoch, seed = (int64_t)t.draw.seed;
      for (int i = 0; i < ROOM; i++) x[b][i] = t.x[i] = (b + i * i) % SYMBOLS;
      denoise_on_host(&t, b, host);
    }
    net_run(n, "denoise", {"text", x, {TEXTS, ROOM}}, {"seed", &seed, {0}}, {"spans", device->spans, {TEXTS, ROOM}},
            {"spans_n", device->spans_n, {TEXTS}}, {"answers", device->answers, {TEXTS, NOISE + SPANS + 1}},
            {"filled", device->filled, {TEXTS, ROOM}}, {"filled_n", device->filled_n, {TEXTS}});
    const char *a = (const char *)host, *b = (const char *)device;
    for (size_t i = 0; i < sizeof *host; i++) wrong += a[i] != b[i];
  }
  return wrong;
}

/* ---- the row ------------------------------------------------------------------------------------ */

static void corruption(recipe *r) {
  int many = 100000, some = 20000, texts = recipe_pick(r, 200000, 20000);
  recipe_at_most(r, EXACT, "worked examples of B7.2.3: tokens that differ", worked_sentence() + worked_document(), 0);
  recipe_at_most(r, EXACT, "of 1e5 texts, sentinels that do not give the text back",
                 count_wrong(r, many, sentinels_wrong), 0);
  recipe_at_most(r, EXACT, "masked texts with another budget, or changed elsewhere",
                 count_wrong(r, some, masking_wrong), 0);
  recipe_at_most(r, EXACT, "deletions that are no part in order of n - m tokens", count_wrong(r, some, deletion_wrong),
                 0);
  recipe_at_most(r, EXACT, "infilled texts that no spans of the budget explain", count_wrong(r, some, infill_wrong), 0);
  recipe_at_most(r, EXACT, "rotations that are none", count_wrong(r, some, rotation_wrong), 0);
  recipe_at_most(r, EXACT, "orders that lose or double tokens", count_wrong(r, some, orders_wrong), 0);
  recipe_at_most(r, EXACT, "sorts, sums and gathers on the device: bytes unlike the host's", device_differs(r), 0);
  recipe_at_most(r, EXACT, "sentinels and infilling on the device: bytes unlike the host's", denoising_differs(r), 0);
  recipe_at_least(r, OPTIMUM, "lengths of spans and Poisson's law: p", lengths_fit(r, texts), 1e-4);
  recipe_at_least(r, OPTIMUM, "places of rotation are even: p", places_fit(r, texts), 1e-4);
  recipe_at_least(r, OPTIMUM, "orders of 4 sentences are even: p", orders_fit(r, texts, false), 1e-4);
  recipe_at_least(r, OPTIMUM, "ways to cut for sentinels are even: p", segments_fit(r, texts), 1e-4);
  recipe_at_most(r, CONTROL, "spans overlap: texts that none of the budget explain",
                 count_wrong(r, some, overlapping_wrong), 0);
  recipe_at_most(r, CONTROL, "the text's begin turns, too: rotations that are none",
                 count_wrong(r, some, rotated_begin_wrong), 0);
  recipe_at_least(r, CONTROL, "orders by exchanging anything: p of evenness", orders_fit(r, texts, true), 1e-4);
}

RECIPES(ed_corrupt,
        {"ed.corrupt", 3, "texts are masked, cut, filled, reordered and rotated as the laws say", corruption,
         "ways a corrupted text can have come about, counted (corrupt.h); laws of the draws by chi-square (stats.h)"});
