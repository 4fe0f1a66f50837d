/* T5 and BART in f64 against their papers written as loops (tests/oracles/layers.h): logits of padded pairs. */
#include "support.h"

#include <math.h>

#include "tests/oracles/layers.h"
#include "tests/oracles/positions.h"

enum {
  ROWS = 2,
  SOURCE = 7,
  TARGET = 6,
  WIDTH = 8,
  HEADS = 2,
  HIDDEN = 12,
  VOCAB = 11,
  LAYERS = 2,
  BUCKETS = 8,
  FAR = 6
};
static const int source_length[ROWS] = {SOURCE, 4};

typedef struct form {
  const char *model, *settings;
  bool t5;
  int head; /* size */
} form;
static const form forms[] = {
    {"t5", "layers=2 heads=2 head=3 width=8 hidden=12 vocab=11 context=7 buckets=8 far=6", true, 3},
    {"bart", "layers=2 heads=2 width=8 hidden=12 vocab=11 context=7 std=.3", false, 4},
};

/* ---- one text ------------------------------------------------------------------------------------ */

typedef struct text {
  const form *f;
  const bench *b;
  const char *stack;   /* "encoder", "decoder" */
  const double *table; /* T5's distances */
  int n, keys, seen;   /* rows; keys of the attention at hand, of which so many are seen; 0: causal */
} text;

static const double *param(const text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const double *param(const text *t, const char *format, ...) {
  char name[128];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  const sn_tensor *x = bench_bound(t->b, name);
  return x ? x->value : NULL; /* T5 has no biases */
}

static bool sees(const void *user, int query, int key) {
  const text *t = user;
  return t->seen ? key < t->seen : key <= query;
}
static double bias(const void *user, int head, int query, int key) {
  const text *t = user;
  if (!t->table) return 0;
  return t->table[positions_bucket(query - key, BUCKETS, FAR, t->seen > 0) * HEADS + head];
}

static void norm(const text *t, const char *name, double *x) {
  layers_norm n = {t->f->t5 ? LAYERS_RMS_NORM : LAYERS_LAYER_NORM, t->f->t5 ? 1e-6 : 1e-5, false,
                   param(t, "%s.weight", name), param(t, "%s.bias", name)};
  assert_non_null(n.scale);
  for (int i = 0; i < t->n; i++) {
    double y[WIDTH];
    layers_normalise(&n, WIDTH, x + i * WIDTH, y);
    memcpy(x + i * WIDTH, y, sizeof y);
  }
}

static void linear(const text *t, const char *name, int rows, int from, int to, const double *x, double *out) {
  const double *w = param(t, "%s.weight", name);
  assert_non_null(w);
  layers_linear(rows, from, to, x, w, param(t, "%s.bias", name), out);
}

/* at: the scope of the four matrices */
static void attention(const text *t, const char *at, const double *x, const double *memory, double *out) {
  double q[SOURCE * WIDTH], k[SOURCE * WIDTH], v[SOURCE * WIDTH], y[SOURCE * WIDTH];
  char name[4][160];
  static const char *const t5[4] = {"q", "k", "v", "o"}, *const bart[4] = {"q_proj", "k_proj", "v_proj", "out_proj"};
  for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "%s.%s", at, t->f->t5 ? t5[i] : bart[i]);
  int inner = HEADS * t->f->head;
  linear(t, name[0], t->n, WIDTH, inner, x, q);
  linear(t, name[1], t->keys, WIDTH, inner, memory, k);
  linear(t, name[2], t->keys, WIDTH, inner, memory, v);
  layers_heads h = {HEADS, HEADS, t->f->head, t->f->t5 ? 1 : 0};
  layers_mask mask = {sees, bias, t};
  layers_attend(&h, &mask, t->n, t->keys, q, k, v, y);
  linear(t, name[3], t->n, inner, WIDTH, y, out);
}

static void feed_forward(const text *t, const char *up, const char *down, const double *x, double *out) {
  layers_feed f = {.width = WIDTH,
                   .hidden = HIDDEN,
                   .curve = t->f->t5 ? LAYERS_RELU : LAYERS_GELU,
                   .up = param(t, "%s.weight", up),
                   .down = param(t, "%s.weight", down),
                   .up_bias = param(t, "%s.bias", up),
                   .down_bias = param(t, "%s.bias", down)};
  layers_feed_forward(&f, t->n, x, out);
}

/* Part `part` of layer i: self-attention, attention to the memory, the feed-forward part. */
static void sublayer(text *t, int i, int part, double *x, const double *memory, int seen) {
  static const char *const bart_norm[] = {"self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"};
  static const char *const bart_at[] = {"self_attn", "encoder_attn"}, *const t5_at[] = {"SelfAttention",
                                                                                        "EncDecAttention"};
  bool t5 = t->f->t5, decoder = t->stack[0] == 'd';
  char layer[64], at[128], other[128], name[128];
  double y[SOURCE * WIDTH], f[SOURCE * WIDTH];
  snprintf(layer, sizeof layer, t5 ? "%s.block.%d.layer.%d" : "%s.layers.%d", t->stack, i,
           decoder || part < 2 ? part : 1);
  snprintf(name, sizeof name, "%s.%s", layer, t5 ? "layer_norm" : bart_norm[part]);
  memcpy(y, x, sizeof y);
  if (t5) norm(t, name, y);
  t->keys = part == 1 ? SOURCE : t->n;
  t->seen = part == 0 && decoder ? 0 : seen;
  if (part == 2) {
    snprintf(at, sizeof at, "%s.%s", layer, t5 ? "DenseReluDense.wi" : "fc1");
    snprintf(other, sizeof other, "%s.%s", layer, t5 ? "DenseReluDense.wo" : "fc2");
    feed_forward(t, at, other, y, f);
  } else {
    const double *table = t->table;
    if (part == 1) t->table = NULL;
    snprintf(at, sizeof at, "%s.%s", layer, t5 ? t5_at[part] : bart_at[part]);
    attention(t, at, y, part ? memory : y, f);
    t->table = table;
  }
  for (int k = 0; k < t->n * WIDTH; k++) x[k] += f[k];
  if (!t5) norm(t, name, x);
}

static void stack(const form *f, const bench *b, const char *name, int n, const double *tokens, const double *memory,
                  int seen, double *x) {
  text t = {f, b, name, .n = n};
  const double *word = param(&t, "shared.weight"), *place = param(&t, "%s.embed_positions.weight", name);
  t.table = param(&t, "%s.block.0.layer.0.SelfAttention.relative_attention_bias.weight", name);
  char end[64];
  for (int i = 0; i < n * WIDTH; i++) {
    x[i] = word[(int)tokens[i / WIDTH] * WIDTH + i % WIDTH];
    if (place) x[i] += place[2 * WIDTH + i]; /* two rows before are not used */
  }
  snprintf(end, sizeof end, "%s.%s", name, f->t5 ? "final_layer_norm" : "layernorm_embedding");
  if (!f->t5) norm(&t, end, x);
  for (int i = 0; i < LAYERS; i++) {
    for (int part = 0; part < 3; part++)
      if (memory || part != 1) sublayer(&t, i, part, x, memory, seen);
  }
  if (f->t5) norm(&t, end, x);
}

/* ---- all ------------------------------------------------------------------------------------------- */

static void check(const form *f) {
  sn_arena *arena = sn_arena_create();
  sn_diags *d = sn_diags_create();
  sn_model_file *file = NULL;
  const char *path = sn_arena_printf(arena, SN_SOURCE_DIR "/models/%s.c", f->model);
  assert_int_equal(sn_model_load(path, SN_BINARY_DIR "/test-model-cache", d, &file), SN_OK);
  bench *b = bench_begin(sn_model_of(file), "logits", f->settings, SN_ELEM_F64);
  double source[ROWS * SOURCE], tokens[ROWS * TARGET], length[ROWS];
  for (int i = 0; i < ROWS * SOURCE; i++) source[i] = (5 * i + i * i) % VOCAB;
  for (int i = 0; i < ROWS * TARGET; i++) tokens[i] = (3 * i + 1) % VOCAB;
  for (int r = 0; r < ROWS; r++) length[r] = source_length[r];
  bench_dim(b, "B", ROWS), bench_dim(b, "S", SOURCE), bench_dim(b, "T", TARGET);
  bench_give(b, "source", ROWS * SOURCE, source);
  bench_give(b, "source_length", ROWS, length);
  bench_give(b, "tokens", ROWS * TARGET, tokens);
  bench_fill(b, sn_module_find(b->module, "logits"));
  for (int i = 0; i < b->leaf_count; i++) { /* no bias is 0, no scale 1 */
    bool one = strstr(b->leaf[i].name, "bias") || strstr(b->leaf[i].name, "norm");
    for (int64_t k = 0; one && k < b->leaf[i].tensor->count; k++)
      b->leaf[i].tensor->value[k] += .2 * sin(7. * (double)k + i);
  }
  bench_run(b, "logits");
  const double *word = bench_bound(b, "shared.weight")->value;
  double worst = 0, largest = 0;
  for (int r = 0; r < ROWS; r++) {
    double memory[SOURCE * WIDTH] = {0}, x[SOURCE * WIDTH] = {0};
    stack(f, b, "encoder", SOURCE, source + r * SOURCE, NULL, source_length[r], memory);
    stack(f, b, "decoder", TARGET, tokens + r * TARGET, memory, source_length[r], x);
    for (int i = 0; i < TARGET * VOCAB; i++) {
      double sum = 0;
      for (int k = 0; k < WIDTH; k++) sum += x[i / VOCAB * WIDTH + k] * word[i % VOCAB * WIDTH + k];
      sum = f->t5 ? sum / sqrt(WIDTH) : sum + bench_bound(b, "final_logits_bias")->value[i % VOCAB];
      largest = fmax(largest, fabs(sum));
      worst = fmax(worst, fabs(bench_output(b, "logits")->value[r * TARGET * VOCAB + i] - sum));
    }
  }
  assert_true(largest > .1 && worst < 1e-10 * largest);
  bench_end(b);
  sn_model_unload(file);
  sn_diags_destroy(d);
  sn_arena_destroy(arena);
}

static void test_t5(void **state) { (void)state, check(&forms[0]); }
static void test_bart(void **state) { (void)state, check(&forms[1]); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_t5), cmocka_unit_test(test_bart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
