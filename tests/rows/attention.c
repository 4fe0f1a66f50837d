/* Rows of attention that are settled by training.   usage: rows_attention [quick | NAME...] */
#include "tests/oracles/copying.h"
#include "tests/oracles/draws.h"
#include "tests/rows/rows.h"

extern const sn_model sn_model_seen;

/* ---- attn.window: copying at a lag, inside of what layers reach and behind it ------------------------------------ */

enum { WINDOW = 6, LAYERS = 2, REACH = LAYERS * (WINDOW - 1), SYMBOLS = 8 };

static void lag_task(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  lag_sample(seed, index, SYMBOLS, k->count, k->length, tokens, answers);
}

static double lag_of(int lag, int steps) {
  row_task task = {lag_task, .length = 64, .count = lag};
  row_net n = {&sn_model_seen, "layers=2 width=32 heads=2 window=6 vocab=9", "logits", 16, steps, 5e-3f, 1e-2};
  row_run *w = row_train(&n, &task);
  double right = row_eval(w, &task, 0, 64).right;
  row_end(w);
  return right;
}

static void windows(void) {
  row_at_least("attn.window", "copy at lag 10 = L (w - 1), more than one window", lag_of(REACH, 3000), .99);
  row_at_most("attn.window", "control: one further, 11: chance is 1/8", lag_of(REACH + 1, 600), .15);
}

/* ---- attn.global: a marker at 0, asked for at 1000 and behind ---------------------------------------------------- */

enum { FAR = 1000, MARKERS = 8, NOISE = 7, ASK = MARKERS + NOISE };

/* The marker, then noise with questions in it; the answer is the marker. */
static void marker_task(const row_task *k, uint64_t seed, uint64_t index, int *tokens, int *answers) {
  draws d = draws_of(seed, 0x6d61, index);
  int marker = draws_below(&d, MARKERS);
  tokens[0] = marker, answers[0] = -1;
  for (int t = 1; t < k->length; t++) {
    bool asked = t >= FAR && draws_below(&d, 4) == 0;
    tokens[t] = asked ? ASK : MARKERS + draws_below(&d, NOISE);
    answers[t] = asked ? marker : -1;
  }
}

static double marker_of(const char *set, int steps) {
  row_task task = {marker_task, .length = FAR + 24};
  row_net n = {&sn_model_seen, set, "logits", 16, steps, 5e-3f, 1e-2};
  row_run *w = row_train(&n, &task);
  double right = row_eval(w, &task, FAR, 256).right;
  row_end(w);
  return right;
}

static void globals(void) {
  row_at_least("attn.global", "marker at 0 asked for at 1000: window 16, one global",
               marker_of("layers=1 width=16 heads=1 window=16 firsts=1 vocab=16 context=1024", 1000), .99);
  row_at_most("attn.global", "control: window alone, 2 layers: chance is 1/8",
              marker_of("layers=2 width=16 heads=1 window=16 vocab=16 context=1024", 300), .2);
}

int main(int argc, char **argv) {
  static const row_check check[] = {{"windows", windows, true}, {"globals", globals, false}};
  return row_main(argc, argv, check, sizeof check / sizeof *check);
}
