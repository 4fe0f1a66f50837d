/* dec.sample: tokens are drawn from exactly the law that is left by temperature, top-k and top-p, on the host and in a
 * graph by Gumbel-max; beams find what listing all texts finds; drafts do not change the law. */
#include <stdio.h>
#include <string.h>

#include "runtime/loop/generate.h" /* before sinter.h, which has another sn_uniform */
#include "runtime/loop/search.h"
#include "runtime/loop/speculate.h"
#include "models/recipes/recipe.h"
#include "tests/oracles/decode.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/stats.h"

enum { V = 50, AT_ONCE = 20000, SAMPLES = 1000000, SYMBOLS = 4, LENGTH = 4 /* of texts: as few as 64 beams hold */ };

/* |z| < 4 of a normal variable, as a probability: what every test of samples here must stay above. */
#define FOUR_SIGMA 6.3e-5

extern const sn_model sn_model_decoder;

/* ---- laws -------------------------------------------------------------------------------------------------------- */

typedef struct setting {
  double temperature, top_p;
  int top_k;
} setting;

static const setting grid[] = {{1, 1, 0},  {.7, 1, 0},   {1.6, 1, 0},  {1, 1, 10},
                               {1, .9, 0}, {.7, .5, 20}, {1.6, .8, 7}, {1, 0, 0}};
enum { GRID = sizeof grid / sizeof *grid };

/* Normal, and ten that are equal: ties go to the lower token. */
static void make_logits(recipe *r, uint64_t use, float *out) {
  draws d = draws_of(recipe_seed(r, use), 0x7a11, 0);
  for (int i = 0; i < V; i++) out[i] = i % 5 == 3 ? 1.f : (float)(1.5 * draws_normal(&d));
}

static void exact_law(const float *logits, const setting *s, double *out) {
  double z[V];
  for (int i = 0; i < V; i++) z[i] = (double)logits[i];
  decode_truncate(V, z, s->temperature, s->top_k, s->top_p, out);
}

static double host_p(recipe *r, const float *logits, const setting *s) {
  sn_sampling o = {s->temperature, s->top_k, s->top_p};
  sn_chance chance[V];
  sn_rng rng = {.seed = recipe_seed(r, 11)};
  int64_t n = 0;
  double sum = 1, count[V] = {0}, law[V];
  exact_law(logits, s, law);
  if (sn_law(logits, V, &o, chance, &n, &sum)) return 0;
  for (int i = 0; i < SAMPLES; i++) count[sn_law_draw(chance, n, sum, &rng)]++;
  return stats_fit_p(V, count, law);
}

/* The largest of z + T g among the tokens that are left, g with the law of a maximum: -log(-log u).
 * logits [V] -> ids [AT_ONCE] */
SN_SETTINGS(drawing, (int, uniform, 0, "the noise is u itself: a control"));

static void draw(sn_scope m, const drawing *c) {
  sn_t t = sn_scalar(m, "temperature", SN_REAL, 1), k = sn_scalar(m, "top_k", SN_I32, V);
  sn_ranked z = sn_sort(sn_input(m, "logits", SN_REAL, (V)), 0, .descending = true);
  sn_t in = sn_lt(sn_arange(m, V), k), p = sn_softmax(sn_where(in, sn_div(z.values, t), -1e30));
  sn_t before = sn_cumsum(p, 0, .exclusive = true);
  in = sn_and(in, sn_or(sn_lt(before, sn_scalar(m, "top_p", SN_REAL, 1)), sn_eq(sn_arange(m, V), 0)));
  sn_t u = sn_random(m, "draw", SN_UNIFORM, (AT_ONCE, V));
  sn_t g = c->uniform ? u : sn_neg(sn_log(sn_neg(sn_log(u))));
  sn_t best = sn_argmax(sn_where(in, sn_add(z.values, sn_mul(t, g)), -1e30));
  sn_output(m, "ids", sn_gather(z.positions, best));
}

SN_MODEL(drawing, drawing, draw);

static double graph_p(recipe *r, net *n, const float *logits, const setting *s) {
  int32_t *ids = recipe_alloc(r, AT_ONCE * sizeof *ids), k = s->top_k ? s->top_k : V;
  double count[V] = {0}, law[V];
  float t = (float)s->temperature, p = (float)s->top_p;
  exact_law(logits, s, law);
  for (int64_t i = 0; i < SAMPLES / AT_ONCE && !recipe_has_failed(r); i++) {
    int64_t seed = (int64_t)recipe_seed(r, 100 + (uint64_t)i);
    net_run(n, "draw", {"logits", (void *)(uintptr_t)logits, {V}}, {"temperature", &t}, {"top_k", &k}, {"top_p", &p},
            {"seed", &seed}, {"ids", ids, {AT_ONCE}});
    for (int j = 0; j < AT_ONCE; j++) count[ids[j]]++;
  }
  return stats_fit_p(V, count, law);
}

static void laws(recipe *r) {
  float logits[V];
  double host = 1, graph = 1;
  net *n = recipe_net(r, &sn_model_drawing, "draw", "uniform=0");
  make_logits(r, 10, logits);
  for (int i = 0; i < GRID; i++) {
    host = recipe_min(host, host_p(r, logits, &grid[i]));
    graph = recipe_min(graph, graph_p(r, n, logits, &grid[i]));
  }
  recipe_at_least(r, EXACT, "1e6 samples of 8 truncated laws, on the host: least p-value", host, FOUR_SIGMA);
  recipe_at_least(r, EXACT, "the same drawn in a graph by Gumbel-max", graph, FOUR_SIGMA);
  n = recipe_net(r, &sn_model_drawing, "draw", "uniform=1");
  recipe_at_least(r, CONTROL, "noise u for -log(-log u): p-value", graph_p(r, n, logits, &grid[0]), FOUR_SIGMA);
}

/* ---- beams ------------------------------------------------------------------------------------------------------- */

/* Random decoders over few tokens: every text can be listed. */
static net *small(recipe *r, uint64_t seed, int layers) {
  net *n = recipe_net(r, &sn_model_decoder, "logits|prefill|decode",
                      "layers=%d heads=2 width=16 vocab=%d context=8 std=0 scaled=0 tied=0", layers, SYMBOLS);
  return net_again(n, recipe_seed(r, seed));
}

/* log p of every next token behind a prompt and up to three more, of one whole pass without caches over all texts. */
typedef struct listing {
  double log_p[4][64][SYMBOLS]; /* by how many follow the prompt, and which, as digits */
} listing;

static int number(int n, const int *ids) {
  int all = 0;
  for (int i = 0; i < n; i++) all = all * SYMBOLS + ids[i];
  return all;
}

static const listing *listed(recipe *r, net *n, int prompt) {
  listing *l = recipe_alloc(r, sizeof *l);
  int32_t ids[64][LENGTH];
  float logits[64][LENGTH][SYMBOLS] = {0};
  for (int i = 0; i < 64; i++) memcpy(ids[i], (int32_t[]){prompt, i / 16, i / 4 % 4, i % 4}, sizeof ids[i]);
  net_run(n, "logits", {"tokens", ids, {64, LENGTH}}, {"logits", logits, {64, LENGTH, SYMBOLS}});
  for (int i = 0; i < 64; i++) {
    for (int t = 0; t < LENGTH; t++) {
      double sum = 0, *out = l->log_p[t][i >> (2 * (3 - t))];
      for (int v = 0; v < SYMBOLS; v++) sum += exp((double)logits[i][t][v]);
      for (int v = 0; v < SYMBOLS; v++) out[v] = (double)logits[i][t][v] - log(sum);
    }
  }
  return l;
}

static void next_law(const void *user, int length, const int *prefix, double *out) {
  const listing *l = user;
  memcpy(out, l->log_p[length][number(length, prefix)], sizeof l->log_p[0][0]);
}

static double log_p(const listing *l, int n, const int32_t *ids) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += l->log_p[i][number(i, ids)][ids[i]];
  return sum;
}

/* What the oracle's best text has more of log p / tokens^power than that of beams, which rank by tokens^`by`. */
static double shortfall(const listing *l, const sn_speaker *s, int prompt, int end, double power, double by, int beams,
                        bool all) {
  decode_search o = {next_law, l, SYMBOLS, end, LENGTH, beams, power};
  decode_text best = all ? decode_exhaustive(&o) : decode_beam(&o);
  int32_t ids[LENGTH], first = prompt;
  int64_t count = 0;
  double sum = 0;
  sn_search x = {s, beams, by, end, LENGTH, 1, &first};
  sn_diags *diags = sn_diags_scratch();
  if (sn_search_beams(&x, diags, ids, &count, &sum)) count = 0;
  sn_diags_destroy(diags);
  if (!count || fabs(sum - log_p(l, (int)count, ids)) > 1e-5) return 1e3; /* caches that are not those of the text */
  return fabs(best.log_p / pow(best.n, power) - sum / pow((double)count, power));
}

static sn_code stays(void *user, int64_t rows, const int32_t *parent, sn_diags *diags) {
  return (void)user, (void)rows, (void)parent, (void)diags, SN_OK;
}

/* The most that searches of `low` to `high` beams fall short, with and without an end. */
static double falls_short(const listing *l, const sn_speaker *s, int prompt, int low, int high, bool all) {
  double most = 0;
  for (int b = low; b <= high; b++) {
    most = recipe_max(most, shortfall(l, s, prompt, -1, 0, 0, b, all));
    most = recipe_max(most, shortfall(l, s, prompt, 0, .8, .8, b, all));
  }
  return most;
}

/* Many nets: where the best text is always of the first beam, its caches are right whether they follow or not. */
static void beams(recipe *r) {
  enum { NETS = 8 };
  double all = 0, narrow = 0, greedy = 0, kept = 0, kept_narrow = 0, short_ones = 0;
  net *n = NULL;
  for (int i = 0; i < NETS * SYMBOLS && !recipe_has_failed(r); i++) {
    int prompt = i % SYMBOLS;
    if (!prompt) net_end(n), n = small(r, 20 + (uint64_t)(i / SYMBOLS), 2);
    const listing *l = listed(r, n, prompt);
    sn_speaker s = net_speaker(n, SYMBOLS, 8), wrong = s;
    wrong.reorder = stays;
    all = recipe_max(all, falls_short(l, &s, prompt, 64, 64, true));
    narrow = recipe_max(narrow, falls_short(l, &s, prompt, 2, 5, false));
    greedy = recipe_max(greedy, falls_short(l, &s, prompt, 1, 1, false));
    short_ones = recipe_max(short_ones, shortfall(l, &s, prompt, 0, .8, 0, 64, true));
    kept = recipe_max(kept, falls_short(l, &wrong, prompt, 64, 64, true));
    kept_narrow = recipe_max(kept_narrow, falls_short(l, &wrong, prompt, 2, 5, false));
  }
  recipe_at_most(r, OPTIMUM, "V^(L-1) beams against all texts, with and without an end: log p", all, 1e-5);
  recipe_at_most(r, EXACT, "2 to 5 beams against the oracle's search: log p", narrow, 1e-5);
  recipe_at_most(r, EXACT, "one beam against greedy", greedy, 1e-5);
  recipe_at_most(r, CONTROL, "texts that end ranked by log p, not over tokens^.8: the latter", short_ones, 1e-5);
  recipe_at_most(r, CONTROL, "caches that do not follow their beams, V^(L-1) of them: log p", kept, 1e-5);
  recipe_at_most(r, CONTROL, "the same, 2 to 5 beams", kept_narrow, 1e-5);
}

/* ---- drafts ------------------------------------------------------------------------------------------------------ */

/* Tokens of the law p by drafts from q, `wrong`: refused ones are drawn again from p, not from what p has beyond q.
 *   -> p-value; z of how many were kept */
static double draft_p(recipe *r, const double *p, const double *q, bool wrong, double *out_z) {
  draws d = draws_of(recipe_seed(r, 30), 1, 0);
  sn_rng rng = {.seed = recipe_seed(r, 31)};
  double count[V] = {0}, kept = 0, law[V], share = decode_speculate(V, p, q, law);
  for (int i = 0; i < SAMPLES; i++) {
    int32_t id = draws_pick(&d, V, q);
    bool keeps = sn_speculate(p, q, V, &rng, &id);
    if (!keeps && wrong) id = draws_pick(&d, V, p);
    kept += keeps;
    count[id]++;
  }
  if (out_z) *out_z = stats_binomial_z(kept, SAMPLES, share);
  return stats_fit_p(V, count, p);
}

typedef struct text {
  int n, code;
} text;

static bool on_id(void *user, int32_t id) {
  text *t = user;
  t->code = t->code * SYMBOLS + id;
  return ++t->n < LENGTH;
}

/* Texts of LENGTH tokens from a net, drafted by another.   -> p-value of their law */
static double text_p(recipe *r, net *target, net *drafter) {
  enum { TEXTS = SYMBOLS * SYMBOLS * SYMBOLS * SYMBOLS };
  sn_speaker t = net_speaker(target, SYMBOLS, 8), d = net_speaker(drafter, SYMBOLS, 8);
  double *count = recipe_alloc(r, 2 * TEXTS * sizeof *count), *law = count + TEXTS;
  int32_t first = 2;
  const listing *l = listed(r, target, first);
  memset(count, 0, TEXTS * sizeof *count);
  for (int i = 0; i < TEXTS && !recipe_has_failed(r); i++)
    law[i] = exp(log_p(l, LENGTH, (int32_t[]){i / 64, i / 16 % 4, i / 4 % 4, i % 4}));
  sn_diags *diags = sn_diags_scratch();
  for (int i = 0; i < recipe_pick(r, 20000, 1000) && !recipe_has_failed(r); i++) {
    text got = {0};
    sn_generate_opt o = {.speaker = &t,
                         .sampling = {1, 0, 1},
                         .seed = recipe_seed(r, 1000 + (uint64_t)i),
                         .count = LENGTH,
                         .draft = &d,
                         .ahead = 3,
                         .prompt_count = 1,
                         .prompt = &first,
                         .on_id = on_id,
                         .user = &got};
    if (sn_generate(&o, diags)) break;
    count[got.code]++;
  }
  sn_diags_destroy(diags);
  return stats_fit_p(TEXTS, count, law);
}

static void drafts(recipe *r) {
  float a[V], b[V];
  double p[V], q[V], z;
  make_logits(r, 32, a);
  make_logits(r, 33, b);
  exact_law(a, &(setting){1, .95, 0}, p);
  exact_law(b, &(setting){1.3, 1, 40}, q);
  recipe_at_least(r, EXACT, "1e6 drafted tokens, the law of the target: p-value", draft_p(r, p, q, false, &z),
                  FOUR_SIGMA);
  recipe_at_most(r, EXACT, "those that were kept, against 1 - TV: standard errors", fabs(z), 4);
  recipe_at_least(r, CONTROL, "refused ones drawn again from the target's law: p-value", draft_p(r, p, q, true, NULL),
                  FOUR_SIGMA);
  net *target = small(r, 40, 2), *drafter = small(r, 41, 1);
  recipe_at_least(r, EXACT, "texts of a decoder drafted by another: p-value", text_p(r, target, drafter), FOUR_SIGMA);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

/* Of logits that are all equal the lowest tokens are left.   -> samples of others, on the host and in a graph */
static void ties(recipe *r) {
  float logits[V] = {0};
  const setting s = {1, 1, 7};
  sn_sampling greedy = {0, 0, 1}, seven = {1, 7, 1};
  sn_rng rng = {.seed = recipe_seed(r, 50)};
  int32_t id = -1, wrong = 0;
  net *n = recipe_net(r, &sn_model_drawing, "draw", "uniform=0");
  if (sn_sample(logits, V, &greedy, &rng, &id) || id) wrong++;
  for (int i = 0; i < 1000; i++) wrong += sn_sample(logits, V, &seven, &rng, &id) || id >= 7;
  if (!(graph_p(r, n, logits, &s) > 0)) wrong++;
  recipe_at_most(r, EXACT, "of equal tokens the lowest are left: samples of others", wrong, 0);
}

typedef struct line {
  int n;
  int32_t ids[56];
} line;

static bool on_token(void *user, int32_t id) {
  line *l = user;
  l->ids[l->n++] = id;
  return true;
}

static line written(recipe *r, int threads, uint64_t seed) {
  int32_t prompt[8] = {3, 1, 4, 1, 5, 9, 2, 6};
  line out = {0};
  recipe_threads(r, threads);
  sn_speaker s = net_speaker(
      recipe_net(r, &sn_model_decoder, "prefill|decode", "layers=2 width=64 vocab=300 std=0 scaled=0 tied=0"), 300, 64);
  sn_generate_opt o = {.speaker = &s,
                       .sampling = {1, 0, 1},
                       .seed = seed,
                       .count = 56,
                       .prompt_count = 8,
                       .prompt = prompt,
                       .on_id = on_token,
                       .user = &out};
  sn_diags *diags = sn_diags_scratch();
  if (recipe_has_failed(r) || sn_generate(&o, diags)) out.n = 0;
  sn_diags_destroy(diags);
  return out;
}

static void threads(recipe *r) {
  line one = written(r, 1, recipe_seed(r, 60)), two = written(r, 2, recipe_seed(r, 60)),
       other = written(r, 2, recipe_seed(r, 61));
  int differ = one.n != 56, control = 0;
  for (int i = 0; i < 56; i++) differ += one.ids[i] != two.ids[i], control += one.ids[i] != other.ids[i];
  recipe_at_most(r, EXACT, "one seed on 1 and 2 threads: tokens that differ", differ, 0);
  recipe_at_most(r, CONTROL, "another seed: tokens that differ", control, 0);
}

static void sample(recipe *r) {
  laws(r);
  ties(r);
  beams(r);
  drafts(r);
  threads(r);
}

RECIPES(dec_sample, {"dec.sample", 6, "sampling, beam search and drafted decoding follow their exact laws", sample,
                     "exact truncated laws, search over all texts (decode.h); chi-square (stats.h)"});
