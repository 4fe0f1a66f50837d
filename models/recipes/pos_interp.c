/* pos.interp: rotary positions beyond the length of training. Positions divided (PI), another base (NTK), the same by
 * the length at hand (dynamic NTK), a ramp between both (YaRN).   Chen et al. 2023; Peng et al. 2023 */
#include <stdio.h>
#include <string.h>

#include "models/recipes/pos.h"
#include "tests/oracles/draws.h"
#include "tests/oracles/hmm.h"
#include "tests/oracles/positions.h"

/* ---- frequencies ------------------------------------------------------------------------------------------------- */

/* Worst relative error of what pairs turn by at position 1, and of what they are scaled by. */
static double frequencies_off(net *n, int d, const double *want, double scale) {
  double angle[POS_WIDTH / 2], size[POS_WIDTH / 2], worst = 0;
  pos_angles(n, d, 1, angle, size);
  for (int k = 0; k < d / 2; k++)
    worst = recipe_max(worst, recipe_max(fabs(angle[k] / want[k] - 1), fabs(size[k] / scale - 1)));
  return worst;
}

/* Section 14 of SYSTEMS. Frequencies are numbers of 2^-60 turns, factors of them of 2^-30: 3e-8 of the smallest. */
static void yarn_numbers(recipe *r) {
  static const int at[] = {0, 20, 21, 32, 45, 46, 63};
  static const double want[] = {1,
                                0.05623413251903491,
                                0.046940859997959404,
                                0.005673076923076923,
                                0.0001517716047318249,
                                8.334508951020775e-05,
                                7.217387404309114e-06};
  static const double small[] = {
      1,       .2239946675952602,    .04166666666666667, .003952847075210474, .00125, .0003952847075210474,
      .000125, 3.952847075210474e-05};
  double angle[64], size[64], loops[64], worst = 0, scale = positions_yarn(128, 1e4, 16, 4096, loops);
  net *n = pos_net(r, "turned", "f64", "d=128 scaling=%d scale=16 trained=4096", SN_ROPE_YARN);
  pos_angles(n, 128, 1, angle, size);
  for (int i = 0; i < 7; i++) worst = recipe_max(worst, fabs(angle[at[i]] / want[i] - 1));
  recipe_at_most(r, EXACT, "YaRN, d 128, s 16: seven frequencies of the table", worst, 3e-8);
  recipe_at_most(r, EXACT, "YaRN, d 128, s 16: all, and scale 1.27726, against loops",
                 frequencies_off(n, 128, loops, scale), 3e-8);
  recipe_at_most(r, EXACT, "YaRN, d 16, s 8: the table",
                 frequencies_off(pos_net(r, "turned", "f64", "d=16 scaling=%d scale=8 trained=64", SN_ROPE_YARN), 16,
                                 small, 1.2079441541679836),
                 3e-8);
}

static void ntk_limits(recipe *r) {
  static const struct {
    int d;
    double s, base;
  } c[] = {{128, 16, 167198.73921320363}, {16, 8, 107672.01541058847}};
  for (int n = 0; n < 2; n++) {
    char what[96];
    double want[64], interpolated[64], angle[64], size[64];
    net *ntk = pos_net(r, "turned", "f64", "d=%d scaling=%d scale=%g", c[n].d, SN_ROPE_NTK, c[n].s);
    positions_rope(c[n].d, c[n].base, want);
    snprintf(what, sizeof what, "NTK, d %d, s %g: base %.0f", c[n].d, c[n].s, c[n].base);
    recipe_at_most(r, EXACT, what, frequencies_off(ntk, c[n].d, want, 1), 1e-10);
    positions_interpolate(c[n].d, 1e4, c[n].s, interpolated);
    pos_angles(ntk, c[n].d, 1, angle, size);
    snprintf(what, sizeof what, "NTK, d %d: the first pair as it was, the last as PI's", c[n].d);
    int last = c[n].d / 2 - 1;
    recipe_at_most(r, EXACT, what, recipe_max(fabs(angle[0] - 1), fabs(angle[last] / interpolated[last] - 1)), 1e-10);
  }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

enum { D = 16 };

static const double *turn(net *n, int count, const int32_t *at, const double *x) {
  return pos_run(n, "turned", (pos_rows){count, D, at, x, NULL}, "y");
}

static void identities(recipe *r) {
  double x[2 * D], off = 0;
  const int32_t twice[] = {2 * 333, 2}, once[] = {333, 1}, long_text[] = {511, 7}, short_text[] = {63, 7};
  pos_draw(r, 1, 2 * D, x);
  net *plain = pos_net(r, "turned", "f64", "d=%d", D);
  net *pi = pos_net(r, "turned", "f64", "d=%d scaling=%d scale=2", D, SN_ROPE_INTERPOLATED);
  net *dynamic = pos_net(r, "turned", "f64", "d=%d scaling=%d trained=64", D, SN_ROPE_DYNAMIC_NTK);
  net *ntk = pos_net(r, "turned", "f64", "d=%d scaling=%d scale=8", D, SN_ROPE_NTK);
  recipe_at_most(r, EXACT, "PI by 2: position 2i is position i",
                 pos_apart(2 * D, turn(pi, 2, twice, x), turn(plain, 2, once, x)), 1e-12);
  recipe_at_most(r, CONTROL, "position 2i without it",
                 pos_apart(2 * D, turn(plain, 2, twice, x), turn(plain, 2, once, x)), 1e-12);
  for (int scaling = SN_ROPE_INTERPOLATED; scaling <= SN_ROPE_YARN; scaling++) {
    net *n = pos_net(r, "turned", "f64", "d=%d scaling=%d scale=1 trained=64", D, scaling);
    off = recipe_max(off, pos_apart(2 * D, turn(n, 2, short_text, x), turn(plain, 2, short_text, x)));
  }
  recipe_at_most(r, EXACT, "a scale of 1 changes no bit: PI, NTK, dynamic NTK, YaRN", off, 0);
  recipe_at_most(r, EXACT, "dynamic NTK, 512 of 64 positions: NTK by 8",
                 pos_apart(2 * D, turn(dynamic, 2, long_text, x), turn(ntk, 2, long_text, x)), 1e-6);
  recipe_at_most(r, EXACT, "dynamic NTK, 64 of 64 positions: no bit changes",
                 pos_apart(2 * D, turn(dynamic, 2, short_text, x), turn(plain, 2, short_text, x)), 0);
}

/* ---- trained at 64, read at 256 ---------------------------------------------------------------------------------- */

enum { SHORT = 64, LONG = 256, SYMBOLS = 8, KEYS = 8, QUESTION = SYMBOLS + KEYS };

typedef struct text {
  hmm source;
  int rows, length;
} text;

/* A key at the beginning, then words of a hidden chain and, every eighth time, a question, whose answer is the key; a
 * word's answer is the next word. loss: the best of each answer; NULL: not asked. */
static void row(const text *d, uint64_t seed, uint64_t index, int32_t *tokens, int32_t *answers, double *loss) {
  int x[LONG + 1], n = 0;
  double of_words[LONG + 1];
  draws r = draws_of(seed, 0x6b65, index);
  hmm_sample(&d->source, seed, index, d->length + 1, x, NULL);
  if (loss) hmm_causal_loss(&d->source, d->length + 1, x, of_words);
  int key = SYMBOLS + draws_below(&r, KEYS);
  for (int t = 0; t < d->length; t++) {
    bool asked = t > 0 && draws_below(&r, 8) == 0;
    if (tokens) tokens[t] = t == 0 ? key : asked ? QUESTION : x[n];
    n += t > 0 && !asked;
    if (answers) answers[t] = asked ? key : x[n];
    if (loss) loss[t] = asked ? 0 : of_words[n];
  }
}

static void fill(const void *data, uint64_t seed, uint64_t index, void *const port[]) {
  const text *d = data;
  for (int b = 0; b < d->rows; b++)
    row(d, seed, index * (uint64_t)d->rows + (uint64_t)b, (int32_t *)port[0] + b * d->length,
        (int32_t *)port[1] + b * d->length, NULL);
}

static void best(const void *data, uint64_t seed, uint64_t index, double *loss) {
  const text *d = data;
  for (int b = 0; b < d->rows; b++)
    row(d, seed, index * (uint64_t)d->rows + (uint64_t)b, NULL, NULL, loss + b * d->length);
}

static feed feed_of(const text *d) {
  return (feed){{{"tokens", {d->rows, d->length}}, {"targets", {d->rows, d->length}}}, fill, d};
}

/* A base of 100: all pairs turn far within 64 tokens, so that the model learns to use them all, and all meet angles
 * beyond those of training. */
static net *decoder(recipe *r, int scaling, double scale) {
  return recipe_net(r, &sn_model_positions, "train|logits",
                    "layers=2 heads=2 width=32 context=%d vocab=%d base=100 scaling=%d scale=%g trained=%d", LONG,
                    QUESTION + 1, scaling, scale, SHORT);
}

static double above(recipe *r, net *n, const feed *f) {
  return recipe_excess(r, &(against){n, .feed = f, .targets = 1, .best = best}).mean;
}

/* How the decoder should turn in a text of so many tokens. frequency [8] */
static loops_decoder stretched(int scaling, int length, double *frequency) {
  enum { WIDTH = 16 };
  const double s = LONG / SHORT, base = 100;
  loops_decoder c = {.layers = 2, .heads = 2, .width = 32, .vocab = QUESTION + 1, .frequency = frequency, .scale = 1};
  positions_rope(WIDTH, base, frequency);
  switch ((sn_rope_scaling)scaling) {
    case SN_ROPE_PLAIN: break;
    case SN_ROPE_INTERPOLATED: positions_interpolate(WIDTH, base, s, frequency); break;
    case SN_ROPE_NTK: positions_rope(WIDTH, positions_ntk_base(WIDTH, base, s), frequency); break;
    case SN_ROPE_DYNAMIC_NTK:
      positions_rope(WIDTH, positions_ntk_base(WIDTH, base, (double)length / SHORT), frequency);
      break;
    case SN_ROPE_YARN: c.scale = positions_yarn(WIDTH, base, s, SHORT, frequency); break;
  }
  return c;
}

/* Of the trained decoder's logits at 96 tokens; plain: without YaRN's temperature. */
static double from_loops(recipe *r, net *n, int scaling, bool plain) {
  double frequency[8];
  loops_decoder c = stretched(scaling, 96, frequency);
  if (plain) c.scale = 1;
  return pos_decoder_apart(r, n, &c, 96);
}

static const struct {
  const char *exact, *better, *restored, *label;
} say[] = {{"unscaled: the trained decoder against nested loops, f64", "", "", ""},
           {"PI: the same", "PI at 256, not tuned: loss by that of unscaled",
            "PI, 5 % more steps at 256: loss beyond that at 64", "PI, tuned at 256"},
           {"NTK: the same", "NTK at 256, not tuned: loss by that of unscaled",
            "NTK, 5 % more steps at 256: loss beyond that at 64", "NTK, tuned at 256"},
           {"dynamic NTK: the same", "dynamic NTK at 256, not tuned: loss by that of unscaled",
            "dynamic NTK, 5 % more steps: loss beyond that at 64", "dynamic NTK, tuned at 256"},
           {"YaRN: the same", "YaRN at 256, not tuned: loss by that of unscaled",
            "YaRN, 5 % more steps at 256: loss beyond that at 64", "YaRN, tuned at 256"}};

/* Frequencies of dynamic NTK and YaRN are right to 3e-8. */
static void exactly(recipe *r, net *n, int scaling) {
  bool rounded = scaling == SN_ROPE_DYNAMIC_NTK || scaling == SN_ROPE_YARN;
  recipe_at_most(r, EXACT, say[scaling].exact, from_loops(r, n, scaling, false), rounded ? 1e-7 : 1e-10);
  if (scaling != SN_ROPE_YARN) return;
  recipe_at_most(r, CONTROL, "YaRN without its temperature: the same", from_loops(r, n, scaling, true), 1e-7);
  recipe_at_most(r, CONTROL, "YaRN that is NTK: the same", from_loops(r, n, SN_ROPE_NTK, true), 1e-7);
}

/* Bounds by seeds 1 to 5, worst (quick): trained .0051 (.0116), unscaled .343 (.306), by that of unscaled .110 (.116),
 * PI by 1.5 .702 (seed 1: .766), YaRN beyond NTK -.00030 (-.0014), NTK beyond unscaled -.330 (-.304), restored .0131
 * (.0204). */
static void longer(recipe *r) {
  text near = {hmm_make(recipe_seed(r, 7), 4, SYMBOLS, 0), 16, SHORT}, far = {near.source, 4, LONG},
       tune = {near.source, 16, LONG};
  feed near_feed = feed_of(&near), far_feed = feed_of(&far), tune_feed = feed_of(&tune);
  int steps = recipe_pick(r, 1200, 400);
  bool quick = recipe_is_quick(r);
  double before[5], after[5];
  net *trained = decoder(r, SN_ROPE_PLAIN, LONG / SHORT);
  recipe_train(r, &(training){trained, .label = "unscaled, at 64", .feed = &near_feed, .steps = steps, .lr = 1e-2});
  double start = above(r, trained, &near_feed);
  for (int s = SN_ROPE_PLAIN; s <= SN_ROPE_YARN; s++) {
    net *n = decoder(r, s, LONG / SHORT);
    net_copy(n, trained, "*");
    exactly(r, n, s);
    before[s] = above(r, n, &far_feed);
    if (s == SN_ROPE_PLAIN) continue;
    recipe_train(r, &(training){n, .label = say[s].label, .feed = &tune_feed, .steps = steps / 20, .lr = 1e-2});
    after[s] = above(r, n, &far_feed);
  }
  net *little = decoder(r, SN_ROPE_INTERPOLATED, 1.5);
  net_copy(little, trained, "*");
  recipe_at_most(r, TRAINED, "trained at 64: loss over the best, nats", start, quick ? .03 : .01);
  recipe_at_least(r, TRAINED, "unscaled at 256: loss beyond that at 64", before[0] - start, .2);
  for (int s = SN_ROPE_INTERPOLATED; s <= SN_ROPE_YARN; s++)
    recipe_at_most(r, TRAINED, say[s].better, before[s] / before[0], .25);
  recipe_at_most(r, CONTROL, "PI by 1.5 at 256: the same", above(r, little, &far_feed) / before[0], .25);
  recipe_at_most(r, TRAINED, "YaRN at 256: loss beyond NTK's", before[SN_ROPE_YARN] - before[SN_ROPE_NTK], -1e-4);
  recipe_at_most(r, TRAINED, "NTK at 256: loss beyond unscaled's", before[SN_ROPE_NTK] - before[0], -.15);
  for (int s = SN_ROPE_INTERPOLATED; s <= SN_ROPE_YARN; s++)
    recipe_at_most(r, TRAINED, say[s].restored, after[s] - start, quick ? .03 : .02);
}

static void interp(recipe *r) {
  yarn_numbers(r);
  ntk_limits(r);
  identities(r);
  pos_gradient(r, "gradient of a decoder by YaRN, against differences", "scheme=4 scaling=4 scale=2 trained=5");
  longer(r);
}

RECIPES(pos_interp, {"pos.interp", 11, "rotary positions stretched: frequencies, trained at 64 tokens, read at 256",
                     interp, "frequencies of the papers (positions.h); filter of a hidden Markov model (hmm.h)"});
